// SPDX-License-Identifier: GPL-2.0-or-later
//! The second disk: a small ext2 file system with rpctrace2 and its tables.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::fetch::FetchError;
use crate::fetch::apt::run;

/// Blocks of the file system, in bytes.
const BLOCK: u64 = 4096;
/// Room for the file system's own.
const OWN: u64 = 1 << 20;
/// What the file system is called.
const LABEL: &str = "rpctrace2";

/// Writes the image `file` with these files, by name, bytes and whether they are programs; `mke2fs` makes it.
pub fn write(file: &Path, files: &[(&str, &[u8], bool)], mke2fs: &Path) -> Result<(), FetchError> {
    let tree = tempfile::tempdir()?;
    fill(tree.path(), files)?;
    let size: u64 = files.iter().map(|(_, bytes, _)| (bytes.len() as u64).next_multiple_of(BLOCK)).sum();
    // Four blocks in a hundred are for the tables that lead to the others.
    let size = (size + size / 25 + OWN).next_multiple_of(BLOCK);
    File::create(file)?.set_len(size)?;
    let mut command = Command::new(mke2fs);
    // As the Hurd makes its own: 128 bytes an inode, no journal, nothing that its ext2fs would not know.
    command.args(["-q", "-F", "-t", "ext2", "-o", "hurd", "-I", "128", "-O", "none,sparse_super,large_file"]);
    command.args(["-m", "0", "-b", &BLOCK.to_string(), "-L", LABEL, "-E", "root_owner=0:0", "-d"]);
    run(command.arg(tree.path()).arg(file)).map(drop)
}

fn fill(tree: &Path, files: &[(&str, &[u8], bool)]) -> io::Result<()> {
    for (name, bytes, is_program) in files {
        let path = tree.join(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, Permissions::from_mode(if *is_program { 0o755 } else { 0o644 }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::ext2::Ext2;
    use crate::disk::table::Partition;
    use crate::fetch::programs::{self, Consent};
    use crate::ui::Progress;

    #[test]
    #[ignore = "needs mke2fs: run cargo qemu test"]
    fn the_second_disk_has_the_files_it_is_given() {
        let mke2fs = programs::mke2fs(Consent::default(), &Progress::new(1)).unwrap();
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("second.img");
        let large = vec![7; 5 << 20];
        super::write(&image, &[("rpctrace2", &large, true), ("interfaces.mdt", b"tables", false)], &mke2fs).unwrap();
        let length = fs::metadata(&image).unwrap().len();
        let whole = Partition { number: None, table: "", start: 0, length, kind: String::new() };
        let files = Ext2::open(&File::open(&image).unwrap(), &whole, length).unwrap();
        assert_eq!(files.label, LABEL.as_bytes());
        assert!(files.read(b"/rpctrace2", 6 << 20).unwrap() == large);
        assert_eq!(files.read(b"/interfaces.mdt", 100).unwrap(), b"tables");
    }
}
