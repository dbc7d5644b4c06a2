// SPDX-License-Identifier: GPL-2.0-or-later
//! Debian packages, unpacked in the cache, with a note which version they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::cache::Cache;
use crate::fetch::apt::run;
use crate::fetch::{AptRoot, FetchError};
use crate::ui::{Progress, say};

/// The suite everything comes from; a stable one, so it stays.
pub const SUITE: &str = "trixie";

/// The suite with the newest kernels: what it has today is gone tomorrow, so nothing but the user's wish or `cargo qemu test --all`
/// leads there.
pub const MOVING_SUITE: &str = "sid";

/// How many processors a kernel is built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// One.
    #[default]
    Up,
    /// Several.
    Smp,
}

impl Flavour {
    /// The package with this kernel, built for debugging.
    pub fn package(self) -> &'static str {
        match self {
            Self::Up => KERNEL,
            Self::Smp => "gnumach-image-1.8-amd64-smp-dbg",
        }
    }

    /// The package with this kernel as people boot it, without symbols.
    pub fn production(self) -> &'static str {
        match self {
            Self::Up => PRODUCTION,
            Self::Smp => "gnumach-image-1.8-amd64-smp",
        }
    }
}

/// The stock kernel.
pub const KERNEL: &str = "gnumach-image-1.8-amd64-up-dbg";
/// The kernel that an installed Debian GNU/Hurd boots: without symbols, of the same version.
pub const PRODUCTION: &str = "gnumach-image-1.8-amd64-up";
/// The `.defs` files and headers.
pub const DEV: &str = "gnumach-dev";
/// The guest's architecture, as Debian calls it.
pub(super) const AMD64: &str = "amd64";
/// The reference MIG, for tests.
pub const MIG: &str = "mig-x86-64-gnu";

/// The reference MIG for 32-bit Mach, for tests: a program for i386, which runs with the libraries of [`LIBRARIES_I386`].
pub const MIG_I386: &str = "mig-i686-gnu";
/// The C library for i386.
pub const LIBRARIES_I386: &str = "libc6";

/// How the names of packages with kernels begin; the rest is in the name of the kernel's file too.
const KERNEL_PREFIX: &str = "gnumach-image-";
/// The directory of the `.defs` files in theirs.
const DEFS_DIRECTORY: &str = "usr/include/x86_64-linux-gnu";
/// The reference MIG compiler in its package.
const MIGCOM_FILE: &str = "usr/lib/mig/x86_64-gnu-migcom";

/// An unpacked package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its files are.
    pub root: PathBuf,
}

/// The kernel file of a [`Flavour`]'s package.
pub fn kernel_file(package: &Package) -> PathBuf {
    let name = package.name.strip_prefix(KERNEL_PREFIX).unwrap_or(&package.name);
    package.root.join(format!("boot/gnumach-{name}.gz"))
}

/// The include directory of [`DEV`].
pub fn defs_directory(package: &Package) -> PathBuf {
    package.root.join(DEFS_DIRECTORY)
}

/// The compiler of [`MIG`].
pub fn migcom(package: &Package) -> PathBuf {
    package.root.join(MIGCOM_FILE)
}

/// What is needed to run the 32-bit format's MIG: the include directory, and its loader, libraries and program.
#[derive(Clone, Debug)]
pub struct Mig32 {
    /// The include directory of its [`DEV`].
    pub defs: PathBuf,
    /// Loader, libraries, program.
    pub command: [PathBuf; 3],
}

/// Fetches the 32-bit format's MIG and interfaces, apart from the 64-bit ones.
pub fn fetch_mig32(cache: &Cache, progress: &Progress) -> Result<Mig32, FetchError> {
    let apart = Cache::at(cache.path("i386"));
    fs::create_dir_all(apart.root())?;
    let found = fetch_from(&apart, SUITE, "i386", &[DEV, LIBRARIES_I386, MIG_I386], progress)?;
    let [dev, libraries, mig] = <[Package; 3]>::try_from(found).map_err(|found| FetchError::Version {
        package: MIG_I386.to_owned(),
        wanted: format!("with {DEV} and {LIBRARIES_I386} in {SUITE}"),
        found: found.iter().map(|package| format!("{} ", package.name)).collect(),
    })?;
    Ok(Mig32 {
        defs: dev.root.join("usr/include/i386-linux-gnu"),
        command: [
            libraries.root.join("usr/lib/ld-linux.so.2"),
            libraries.root.join("usr/lib/i386-linux-gnu"),
            mig.root.join("usr/lib/mig/i686-gnu-migcom"),
        ],
    })
}

/// A package that an earlier run fetched.
pub fn fetched(cache: &Cache, name: &str) -> Option<Package> {
    let version = fs::read_to_string(note(cache, name)).ok()?.trim().to_owned();
    let root = cache.path(directory(name, &version));
    root.is_dir().then(|| Package { name: name.to_owned(), version, root })
}

/// The packages in the order of `names`; what is not in the cache yet is fetched.
pub fn fetch(cache: &Cache, names: &[&str], progress: &Progress) -> Result<Vec<Package>, FetchError> {
    fetch_from(cache, SUITE, AMD64, names, progress)
}

/// The kernel of a suite. Suites but [`SUITE`] have a place of their own in the cache, so that what is there today is never taken
/// for what the default one needs; a kernel that was fetched stays until the cache is cleaned.
pub fn fetch_kernel(cache: &Cache, suite: &str, flavour: Flavour, progress: &Progress) -> Result<Package, FetchError> {
    fetch_apart(cache, suite, flavour.package(), progress)
}

/// The kernel of a suite as people boot it, kept as its kernels are.
pub fn fetch_production(
    cache: &Cache,
    suite: &str,
    flavour: Flavour,
    progress: &Progress,
) -> Result<Package, FetchError> {
    fetch_apart(cache, suite, flavour.production(), progress)
}

/// The `.defs` files of a suite, kept as its kernels are; a suite that is no longer served is an error.
pub fn fetch_defs(cache: &Cache, suite: &str, progress: &Progress) -> Result<Package, FetchError> {
    fetch_apart(cache, suite, DEV, progress)
}

fn fetch_apart(cache: &Cache, suite: &str, name: &str, progress: &Progress) -> Result<Package, FetchError> {
    let apart = if suite == SUITE { cache.clone() } else { Cache::at(cache.path(suite)) };
    fs::create_dir_all(apart.root())?;
    let mut found = fetch_from(&apart, suite, AMD64, &[name], progress)?;
    found.pop().ok_or_else(|| FetchError::Version {
        package: name.to_owned(),
        wanted: format!("in {suite}"),
        found: "none".to_owned(),
    })
}

/// The package lists that this process has fetched: cache and suite.
static UPDATED: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());

fn fetch_from(
    cache: &Cache,
    suite: &str,
    architecture: &'static str,
    names: &[&str],
    progress: &Progress,
) -> Result<Vec<Package>, FetchError> {
    if names.iter().any(|name| fetched(cache, name).is_none()) {
        let apt = AptRoot::create(cache, &[suite])?.of_architecture(architecture);
        // Once is enough for all that one run fetches.
        let mut updated = UPDATED.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = (cache.root().to_owned(), suite.to_owned());
        if !updated.contains(&lists) {
            progress.note(&format!("fetching the package lists of Debian {suite}"));
            apt.update(|line| progress.suspend(|| say(line)))?;
            updated.insert(lists);
        }
        drop(updated);
        for name in names.iter().filter(|name| fetched(cache, name).is_none()) {
            let versions = apt.versions(name)?;
            let version = versions.first().ok_or_else(|| FetchError::Version {
                package: (*name).to_owned(),
                wanted: format!("in {suite}"),
                found: "none".to_owned(),
            })?;
            progress.note(&format!("fetching {name} {version}"));
            unpack(cache, &apt, name, version)?;
        }
    }
    let found: Vec<Package> = names.iter().filter_map(|name| fetched(cache, name)).collect();
    Ok(found)
}

/// Downloads, unpacks and notes one version of a package.
pub fn unpack(cache: &Cache, apt: &AptRoot, name: &str, version: &str) -> Result<Package, FetchError> {
    let root = cache.directory(&directory(name, version), |place| {
        let downloads = tempfile::tempdir_in(cache.root())?;
        let file = apt.download(name, version, downloads.path())?;
        run(Command::new("dpkg").arg("-x").arg(&file).arg(place)).map(drop)
    })?;
    let note = note(cache, name);
    let temporary = note.with_extension("new");
    fs::write(&temporary, format!("{version}\n"))?;
    fs::rename(&temporary, &note)?;
    Ok(Package { name: name.to_owned(), version: version.to_owned(), root })
}

fn directory(name: &str, version: &str) -> String {
    // An epoch's colon would end a path in some variables.
    format!("debian/{name}_{}", version.replace(':', "%3a"))
}

fn note(cache: &Cache, name: &str) -> PathBuf {
    cache.path(Path::new("debian").join(format!("{name}.version")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_package_with_its_note_counts_as_fetched() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path());
        assert_eq!(fetched(&cache, DEV), None);
        let place = cache.path(directory(DEV, "2:1.8-1"));
        fs::create_dir_all(&place).unwrap();
        assert_eq!(fetched(&cache, DEV), None);
        fs::write(note(&cache, DEV), "2:1.8-1\n").unwrap();
        let package = fetched(&cache, DEV).unwrap();
        assert_eq!((package.version.as_str(), &package.root), ("2:1.8-1", &place));
        assert!(!place.to_string_lossy().contains(':'));
        // Nothing is missing, so this needs neither apt nor a network.
        assert_eq!(fetch(&cache, &[DEV], &Progress::new(1)).unwrap(), [package]);
    }
}
