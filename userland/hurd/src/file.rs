// SPDX-License-Identifier: GPL-2.0-or-later
//! An open file: reading and writing where its file pointer stands.

use alloc::vec::Vec;

use mach::error::Result;
use mach::port::{PortName, SendRight};

use crate::abi::AT_FILE_POINTER;
use crate::errno::{EINTR, EIO};
use crate::stubs::{fs, io};

/// Bytes that are asked for at once.
const READ: u64 = 64 * 1024;

/// An open file or directory, or anything else that answers io.defs.
#[derive(Debug)]
pub struct File(SendRight);

impl File {
    /// A file behind this right.
    pub const fn new(right: SendRight) -> Self {
        Self(right)
    }

    /// The name of its right.
    pub const fn name(&self) -> PortName {
        self.0.name()
    }

    /// Its right.
    pub fn into_right(self) -> SendRight {
        self.0
    }

    /// Writes all of these bytes where the file pointer stands.
    ///
    /// # Errors
    /// What the server answers; `EIO` if it takes nothing.
    pub fn write_all(&self, bytes: &[u8]) -> Result<()> {
        write_all(self.name(), bytes)
    }

    /// What it has from the file pointer to its end.
    ///
    /// # Errors
    /// What the server answers.
    pub fn read_to_end(&self) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let piece = match io::io_read(self.name(), AT_FILE_POINTER, READ) {
                Err(EINTR) => continue,
                piece => piece?,
            };
            match piece.as_bytes() {
                [] => return Ok(whole),
                piece => whole.extend_from_slice(piece),
            }
        }
    }

    /// Which of reading, writing and executing the caller may do.
    ///
    /// # Errors
    /// What the server answers.
    pub fn access(&self) -> Result<i32> {
        fs::file_check_access(self.name())
    }
}

/// Writes all of these bytes to whatever answers io.defs behind this name.
///
/// # Errors
/// What the server answers; `EIO` if it takes nothing.
pub fn write_all(file: PortName, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match io::io_write(file, bytes, AT_FILE_POINTER) {
            Err(EINTR) => {}
            Err(error) => return Err(error),
            Ok(taken) => bytes = bytes.get(taken as usize..).filter(|_| taken > 0).ok_or(EIO)?,
        }
    }
    Ok(())
}
