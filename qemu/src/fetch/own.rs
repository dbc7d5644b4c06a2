// SPDX-License-Identifier: GPL-2.0-or-later
//! A program of Debian's with all that it needs, unpacked in the cache: where installing it would take packages of the machine away.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::fetch::FetchError;
use crate::fetch::apt::{run, run_apt};
use crate::ui::Progress;

/// A package that is to be unpacked: name and version.
pub type Needed = (String, String);

/// Where the packages' files are, in the program's directory.
const ROOT: &str = "root";

/// The program `name`, if an earlier run has unpacked it.
pub fn find(cache: &Cache, name: &str) -> Option<PathBuf> {
    Some(start_of(&cache.path(directory(name)))).filter(|start| start.is_file())
}

/// Downloads the packages, which apt checks, and unpacks them. The program is found at `usr/bin/NAME` of them; what starts it, with the libraries of
/// the packages, is the file that is answered. It was started once.
pub fn unpack(cache: &Cache, name: &str, packages: &[Needed], progress: &Progress) -> Result<PathBuf, FetchError> {
    let made = cache.directory(&directory(name), |place| {
        let downloads = tempfile::tempdir_in(cache.root())?;
        progress.note(&format!("fetching {} packages with {name}", packages.len()));
        download(packages, downloads.path())?;
        let root = place.join(ROOT);
        for package in fs::read_dir(downloads.path())? {
            run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
        }
        let start = start_of(place);
        fs::write(&start, script(name, &libraries(&root)?))?;
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
        run(Command::new(&start).arg("--version")).map(drop)
    })?;
    Ok(start_of(&made))
}

/// Where a program is in the cache.
fn directory(name: &str) -> String {
    format!("own/{name}")
}

fn start_of(directory: &Path) -> PathBuf {
    directory.join("start")
}

fn download(packages: &[Needed], into: &Path) -> Result<(), FetchError> {
    let mut command = Command::new("apt-get");
    // In a directory of the user's apt's own user may not write.
    command.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).env("LC_ALL", "C").current_dir(into);
    command.args(packages.iter().map(|(name, version)| format!("{name}={version}")));
    run_apt(&mut command, &format!("apt-get download of {} packages", packages.len())).map(drop)
}

/// The directories with libraries below `root`, relative to it: of the C library's search path those with a machine's name.
fn libraries(root: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let mut found = Vec::new();
    for above in ["usr/lib", "lib"] {
        let Ok(entries) = fs::read_dir(root.join(above)) else { continue };
        for entry in entries {
            let name = entry?.file_name();
            if Path::new(&name).to_str().is_some_and(|name| name.contains("-linux-gnu")) {
                found.push(Path::new(above).join(name));
            }
        }
    }
    Ok(found)
}

/// What starts the program. It may stand anywhere, as it is moved once it is whole.
fn script(name: &str, libraries: &[PathBuf]) -> String {
    let places = libraries.iter().map(|place| place.as_os_str()).map(OsStr::to_string_lossy);
    let path: Vec<String> = places.map(|place| format!("$root/{place}")).collect();
    format!(
        "#!/bin/sh\nroot=$(dirname \"$(readlink -f \"$0\")\")/{ROOT}\nexport LD_LIBRARY_PATH=\"{}\"\nexec \
         \"$root/usr/bin/{name}\" \"$@\"\n",
        path.join(":")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_starts_the_program_with_its_libraries_wherever_it_stands() {
        let place = tempfile::tempdir().unwrap();
        let old = place.path().join("old");
        let bin = old.join(ROOT).join("usr/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(old.join(ROOT).join("usr/lib/any-linux-gnu")).unwrap();
        fs::write(bin.join("program"), "#!/bin/sh\necho \"$LD_LIBRARY_PATH $1\"\n").unwrap();
        fs::set_permissions(bin.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
        let found = libraries(&old.join(ROOT)).unwrap();
        assert_eq!(found, [Path::new("usr/lib/any-linux-gnu")]);
        fs::write(start_of(&old), script("program", &found)).unwrap();
        fs::set_permissions(start_of(&old), fs::Permissions::from_mode(0o755)).unwrap();
        let new = place.path().join("a new place");
        fs::rename(&old, &new).unwrap();
        let output = run(Command::new(start_of(&new)).arg("two words")).unwrap();
        let libraries = new.canonicalize().unwrap().join(ROOT).join("usr/lib/any-linux-gnu");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{} two words\n", libraries.display()));
    }

    #[test]
    fn what_is_not_whole_is_not_found() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(place.path());
        assert_eq!(find(&cache, "program"), None);
        fs::create_dir_all(cache.path(directory("program"))).unwrap();
        assert_eq!(find(&cache, "program"), None);
    }
}
