// SPDX-License-Identifier: GPL-2.0-or-later
//! What is in a file: bytes that were written, or a member of the boot archive, which is fetched when somebody reads it.

use alloc::vec::Vec;

use mach::boot;
use mach::memory::OutOfLine;
use small_hurd::errno::{EIO, Errno};
use small_hurd::image::end_of_loaded;

/// The contents of a file.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Bytes of its own.
    Bytes(Vec<u8>),
    /// A member of the boot archive.
    Member(&'static str),
    /// A member, a program, that ends with the last byte that is loaded of it.
    Cut(&'static str),
    /// A member that has been fetched.
    Memory(OutOfLine),
}

impl Default for Contents {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Contents {
    /// The bytes.
    ///
    /// # Errors
    /// `EIO` if the boot archive does not have the member any more.
    pub(crate) fn bytes(&mut self) -> Result<&[u8], Errno> {
        match *self {
            Self::Member(name) => *self = Self::Memory(boot::read_file(name, 0).map_err(|_| EIO)?),
            Self::Cut(name) => {
                let whole = boot::read_file(name, 0).map_err(|_| EIO)?;
                let end = end_of_loaded(whole.as_slice()).ok_or(EIO)?;
                *self = Self::Bytes(whole.as_slice()[..end].to_vec());
            }
            _ => {}
        }
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Memory(memory) => Ok(memory.as_slice()),
            Self::Member(_) | Self::Cut(_) => Err(EIO),
        }
    }

    /// The bytes, to change them.
    ///
    /// # Errors
    /// As [`Contents::bytes`].
    pub(crate) fn bytes_mut(&mut self) -> Result<&mut Vec<u8>, Errno> {
        let copy = match self {
            Self::Bytes(_) => None,
            _ => Some(self.bytes()?.to_vec()),
        };
        if let Some(copy) = copy {
            *self = Self::Bytes(copy);
        }
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(EIO),
        }
    }
}
