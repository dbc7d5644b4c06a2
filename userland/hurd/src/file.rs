// SPDX-License-Identifier: GPL-2.0-or-later
//! An open file: reading and writing where its file pointer stands.

use alloc::string::String;
use alloc::vec::Vec;

use mach::error::Result;
use mach::mig::Received;
use mach::port::{PortName, SendRight};

use crate::abi::AT_FILE_POINTER;
use crate::errno::{EINTR, EIO};
use crate::stubs::{fs, io};

/// Bytes that are asked for at once.
const READ: u64 = 64 * 1024;
/// As many entries as there are.
const ALL: i32 = -1;
/// Where `struct dirent` of bits/dirent.h has its own length (16 bits), that of the name (8 bits), and the name.
const LENGTH: usize = 8;
const NAME_LENGTH: usize = 11;
const NAME: usize = 12;

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
            let piece = read_piece(self.name(), READ)?;
            match piece.as_bytes() {
                [] => return Ok(whole),
                piece => whole.extend_from_slice(piece),
            }
        }
    }

    /// The names in a directory, in its server's order, without those that are not UTF-8.
    ///
    /// # Errors
    /// What the server answers; `EIO` for what are no entries.
    pub fn entries(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next = 0i32;
        loop {
            let fs::DirReaddirOut { data, amount } = match fs::dir_readdir(self.name(), next, ALL, 0) {
                Err(EINTR) => continue,
                answer => answer?,
            };
            if amount <= 0 {
                return Ok(names);
            }
            names.extend(dirents(data.as_bytes()).ok_or(EIO)?);
            next = next.checked_add(amount).ok_or(EIO)?;
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

fn read_piece(file: PortName, amount: u64) -> Result<Received<'static, u8>> {
    loop {
        match io::io_read(file, AT_FILE_POINTER, amount) {
            Err(EINTR) => {}
            piece => return piece,
        }
    }
}

/// Waits until a file has something where its file pointer stands, and reads that into a buffer as far as it has room; 0 bytes are the file's end.
///
/// # Errors
/// What the server answers.
pub fn read(file: PortName, buffer: &mut [u8]) -> Result<usize> {
    let piece = read_piece(file, buffer.len() as u64)?;
    // A server that sends more than it was asked for is believed as far as there is room.
    let count = piece.as_bytes().len().min(buffer.len());
    buffer[..count].copy_from_slice(&piece.as_bytes()[..count]);
    Ok(count)
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

/// The names in an array of `struct dirent`; nothing if it is none.
fn dirents(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes(bytes.get(LENGTH..LENGTH + 2)?.try_into().ok()?));
        let entry = bytes.get(..length)?;
        let name = entry.get(NAME..NAME + usize::from(*entry.get(NAME_LENGTH)?))?;
        names.extend(str::from_utf8(name).map(String::from));
        // An entry without a length would be read for ever.
        bytes = bytes.get(length.max(NAME)..)?;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8]) -> Vec<u8> {
        let size = (NAME + name.len() + 1).next_multiple_of(4);
        let mut entry = [&7u64.to_le_bytes()[..], &(size as u16).to_le_bytes(), &[8, name.len() as u8], name].concat();
        entry.resize(size, 0);
        entry
    }

    #[test]
    fn entries_are_names() {
        let bytes = [entry(b"."), entry(b"fs.msgids"), entry(b"\xff"), entry(b"io.msgids")].concat();
        assert_eq!(dirents(&bytes).unwrap(), [".", "fs.msgids", "io.msgids"]);
        assert_eq!(dirents(&[]), Some(Vec::new()));
    }

    #[test]
    fn what_are_no_entries_are_none() {
        let whole = entry(b"fs.msgids");
        for cut in 1..whole.len() {
            assert_eq!(dirents(&whole[..cut]), None, "{cut} bytes");
        }
        for (place, value) in [(LENGTH, 0), (LENGTH, 11), (NAME_LENGTH, 200), (LENGTH + 1, 0xff)] {
            let mut damaged = whole.clone();
            damaged[place] = value;
            assert_eq!(dirents(&damaged), None, "byte {place} is {value}");
        }
    }
}
