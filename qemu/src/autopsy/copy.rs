// SPDX-License-Identifier: GPL-2.0-or-later
//! A copy of a machine's memory, which nobody but its owner may read.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The name of the copy in its folder, and of the piece of it that QEMU writes.
const MEMORY: &str = "memory";
const PIECE: &str = "piece";

/// Bytes that are looked at and copied at once.
const CHUNK: usize = 64 * 1024;

/// A folder in the place for temporary files that only its owner can look into.
pub fn folder(prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir()
}

/// Creates a file, or empties it, that only its owner can read if it was not there.
///
/// # Errors
/// If it cannot be written.
pub fn private(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The copy. With it what was copied goes, but for who has it open.
#[derive(Debug)]
pub(super) struct Copy {
    folder: TempDir,
    memory: File,
    piece: File,
}

impl Copy {
    pub(super) fn new() -> io::Result<Self> {
        let folder = folder("rpctrace2-autopsy-")?;
        let memory = private(&folder.path().join(MEMORY))?;
        let piece = private(&folder.path().join(PIECE))?;
        Ok(Self { folder, memory, piece })
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All of it.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(MEMORY)
    }

    /// Where QEMU is to write a piece.
    pub(super) fn piece(&self) -> PathBuf {
        self.folder.path().join(PIECE)
    }

    /// From now on what is in the piece is QEMU's.
    pub(super) fn begin_piece(&self) -> io::Result<()> {
        self.piece.set_len(0)
    }

    /// Bytes that QEMU has written.
    pub(super) fn written(&self) -> io::Result<u64> {
        Ok(self.piece.metadata()?.len())
    }

    /// It has so many bytes, and what is not written is zeros.
    pub(super) fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.memory.set_len(bytes)
    }

    /// Writes bytes at an address.
    pub(super) fn write(&self, bytes: &[u8], address: u64) -> io::Result<()> {
        let failed =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", self.path().display()));
        self.memory.write_all_at(bytes, address).map_err(failed)
    }

    /// Takes over the piece, which begins at this address. Where it is zeros no room is taken.
    pub(super) fn take_piece(&self, address: u64) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let count = self.piece.read_at(&mut buffer, at)?;
            let chunk = &buffer[..count];
            if chunk.is_empty() {
                return self.piece.set_len(0);
            }
            if chunk.iter().any(|byte| *byte != 0) {
                self.write(chunk, address + at)?;
            }
            at += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nobody_else_can_read_it() {
        let copy = Copy::new().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([copy.folder(), &copy.path(), &copy.piece()].map(mode), [0o700, 0o600, 0o600]);
        // As QEMU does.
        File::create(copy.piece()).unwrap();
        assert_eq!(mode(&copy.piece()), 0o600);
    }

    #[test]
    fn pieces_become_one() {
        let copy = Copy::new().unwrap();
        let all: Vec<u8> = (0..5 * CHUNK).map(|at| if at / CHUNK == 1 { 0 } else { at as u8 }).collect();
        copy.set_len(all.len() as u64).unwrap();
        for (index, piece) in all.chunks(2 * CHUNK + 1).enumerate() {
            copy.begin_piece().unwrap();
            fs::write(copy.piece(), piece).unwrap();
            assert_eq!(copy.written().unwrap(), piece.len() as u64);
            copy.take_piece((index * (2 * CHUNK + 1)) as u64).unwrap();
        }
        assert!(fs::read(copy.path()).unwrap() == all);
    }
}
