// SPDX-License-Identifier: GPL-2.0-or-later
//! One Debian package as data, and the tree that `dpkg-deb` makes a file of.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::{Compression, GzBuilder};
use md5::{Digest, Md5};

use crate::deb::{DebError, io_error};
use crate::fetch::apt::run;

/// What the packages are for.
pub(super) const ARCHITECTURE: &str = "hurd-amd64";

const DIRECTORY: u32 = 0o755;
const PLAIN: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// A package: its fields, its scripts, its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with an epoch if it has one.
    pub version: String,
    /// Lines of its control file but those of name, version, architecture and size, in their order; the description is the last.
    pub(super) fields: Vec<(&'static str, String)>,
    /// Scripts of the maintainer, by name.
    pub(super) scripts: Vec<(&'static str, &'static str)>,
    /// Its files.
    pub(super) files: Vec<Packed>,
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Its path from the root, without a slash before it.
    path: String,
    mode: u32,
    contents: Vec<u8>,
}

impl Packed {
    /// A file that is read.
    pub(super) fn plain(path: impl Into<String>, contents: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: PLAIN, contents: contents.into() }
    }

    /// A file that is started.
    pub(super) fn program(path: impl Into<String>, contents: Vec<u8>) -> Self {
        Self { path: path.into(), mode: PROGRAM, contents }
    }

    /// A text that is read when it is unpacked, packed as small as it gets, without name and time.
    pub(super) fn gzipped(path: impl Into<String>, contents: &str) -> Self {
        let mut writer = GzBuilder::new().write(Vec::new(), Compression::best());
        // Nothing that grows in memory fails.
        let packed = writer.write_all(contents.as_bytes()).and_then(|()| writer.finish()).unwrap_or_default();
        Self::plain(path, packed)
    }
}

impl Package {
    /// What its file is called: without the epoch.
    pub fn file_name(&self) -> String {
        let version = self.version.split_once(':').map_or(&*self.version, |(_, version)| version);
        format!("{}_{version}_{ARCHITECTURE}.deb", self.name)
    }

    /// Makes the package's file of a tree in `place`.
    pub(super) fn build(&self, epoch: u64, dpkg_deb: &Path, place: &Path, file: &Path) -> Result<(), DebError> {
        self.lay_out(epoch, place).map_err(io_error(format!("lay out {}", self.name)))?;
        let mut command = Command::new(dpkg_deb);
        // With several threads the compressed bytes depend on how many there are.
        command.env("SOURCE_DATE_EPOCH", epoch.to_string()).env("DPKG_DEB_THREADS_MAX", "1").env("LC_ALL", "C");
        run(command.args(["--root-owner-group", "-Zxz", "--build"]).arg(place).arg(file))?;
        Ok(())
    }

    fn lay_out(&self, epoch: u64, place: &Path) -> io::Result<()> {
        fs::create_dir_all(place)?;
        for Packed { path, mode, contents } in &self.files {
            put(&place.join(path), *mode, contents)?;
        }
        let control = place.join("DEBIAN");
        for (name, text) in &self.scripts {
            put(&control.join(name), PROGRAM, text.as_bytes())?;
        }
        put(&control.join("control"), PLAIN, self.control().as_bytes())?;
        put(&control.join("md5sums"), PLAIN, self.sums().as_bytes())?;
        settle(place, SystemTime::UNIX_EPOCH + Duration::from_secs(epoch))
    }

    fn control(&self) -> String {
        let Self { name, version, .. } = self;
        let size: usize = self.files.iter().map(|file| file.contents.len().div_ceil(1024)).sum();
        let mut text = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {ARCHITECTURE}\nInstalled-Size: {}\n",
            size + self.directories()
        );
        for (field, value) in &self.fields {
            // Cannot fail: it goes to memory.
            let _ = writeln!(text, "{field}: {value}");
        }
        text
    }

    /// How many directories the files are in; each counts one KiB, as `dpkg-gencontrol` has it.
    fn directories(&self) -> usize {
        let all = self.files.iter().flat_map(|file| Path::new(&file.path).ancestors().skip(1));
        all.collect::<std::collections::BTreeSet<_>>().len()
    }

    fn sums(&self) -> String {
        let mut lines: Vec<String> = self
            .files
            .iter()
            .map(|file| {
                let sum: String = Md5::digest(&file.contents).iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{sum}  {}\n", file.path)
            })
            .collect();
        lines.sort_by(|a, b| a[32..].cmp(&b[32..]));
        lines.concat()
    }
}

fn put(path: &Path, mode: u32, contents: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, contents)?;
    // Whatever the user's mask is.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Gives everything below a directory one time, and its directories the mode that directories have.
fn settle(directory: &Path, time: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => settle(&path, time)?,
            false => File::options().write(true).open(&path)?.set_modified(time)?,
        }
    }
    fs::set_permissions(directory, Permissions::from_mode(DIRECTORY))?;
    File::open(directory)?.set_modified(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            name: "a".to_owned(),
            version: "2:1-1".to_owned(),
            fields: vec![("Section", "devel".to_owned()), ("Description", "short\n long".to_owned())],
            scripts: vec![("postinst", "#!/bin/sh\n")],
            files: vec![
                Packed::program("usr/bin/b", vec![0; 1025]),
                Packed::plain("usr/bin/a", "x"),
                Packed::gzipped("usr/share/c.gz", "text"),
            ],
        }
    }

    #[test]
    fn fields_have_their_order_and_the_size_is_in_whole_kilobytes() {
        assert_eq!(package().file_name(), "a_1-1_hurd-amd64.deb");
        assert_eq!(
            package().control(),
            // 2 + 1 + 1 of files; the directories are the root, usr, usr/bin, usr/share.
            "Package: a\nVersion: 2:1-1\nArchitecture: hurd-amd64\nInstalled-Size: 8\nSection: devel\nDescription: \
             short\n long\n"
        );
    }

    #[test]
    fn sums_are_of_what_is_installed_in_the_order_of_paths() {
        let sums = package().sums();
        let paths: Vec<&str> = sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, path)| path).collect();
        assert_eq!(paths, ["usr/bin/a", "usr/bin/b", "usr/share/c.gz"]);
        assert!(sums.starts_with("9dd4e461268c8034f5c8564e155c67a6  usr/bin/a\n"), "{sums}");
    }

    #[test]
    fn a_tree_has_the_modes_and_the_time_it_is_given() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tree");
        package().lay_out(1000, &root).unwrap();
        let of = |path: &str| fs::metadata(root.join(path)).unwrap();
        for (path, mode) in
            [("", 0o755), ("usr", 0o755), ("usr/bin/a", 0o644), ("usr/bin/b", 0o755), ("DEBIAN/postinst", 0o755)]
        {
            assert_eq!(of(path).permissions().mode() & 0o7777, mode, "{path}");
            assert_eq!(of(path).modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(1000), "{path}");
        }
    }
}
