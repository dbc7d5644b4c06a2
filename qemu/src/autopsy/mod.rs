// SPDX-License-Identifier: GPL-2.0-or-later
//! The memory of a machine that hangs or has died, and the one recorder in it.

mod gdb;
mod monitor;
mod wire;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kernel_ipc::ring::{self, HEADER_SIZE, MAX_CAPACITY, Reader, RingError, control};

use crate::recorder::GuestRing;

/// Bytes of a page, on whose boundary a recorder begins.
pub(crate) const PAGE: u64 = 4096;

/// Bytes that are looked through at once.
const CHUNK: usize = 1 << 20;

/// Where a machine's memory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In this file, from physical address 0 on, as QEMU's `pmemsave` writes it, or as it is the memory of a machine that runs.
    File(PathBuf),
    /// Behind this monitor of QEMU's, HMP or QMP: the path of a socket, or HOST:PORT.
    Monitor(String),
    /// Behind this gdb stub of QEMU's, and so many bytes.
    Gdb(String, u64),
}

/// Why there is no recorder to read.
#[derive(Debug, thiserror::Error)]
pub enum AutopsyError {
    /// None has begun.
    #[error(
        "{place}: there is no recorder in {bytes} bytes of memory: was the kernel told `rpctrace2=record` or `rpctrace2=all`?"
    )]
    None {
        /// Where.
        place: String,
        /// How much was looked through.
        bytes: u64,
    },
    /// More than one.
    #[error("{place}: {} recorders, at {}: expected one; --at ADDRESS says which", addresses.len(), hex(addresses))]
    Several {
        /// Where.
        place: String,
        /// Physical addresses.
        addresses: Vec<u64>,
    },
    /// What begins as one is none.
    #[error("{place}: the recorder at {address:#x} is damaged: {why}")]
    Damaged {
        /// Where.
        place: String,
        /// Physical address.
        address: u64,
        /// What is wrong.
        why: String,
    },
    /// The memory cannot be had.
    #[error("{place}: {why}")]
    Unreachable {
        /// Where.
        place: String,
        /// What was expected and found.
        why: String,
    },
    /// The host's own files.
    #[error("{place}: {source}")]
    Io {
        /// Which.
        place: String,
        /// The system's reason.
        source: io::Error,
    },
}

fn hex(addresses: &[u64]) -> String {
    addresses.iter().map(|address| format!("{address:#x}")).collect::<Vec<_>>().join(", ")
}

/// A recorder that was found, and where.
#[derive(Debug)]
pub struct Found {
    /// Its ring.
    pub ring: GuestRing,
    /// Its physical address.
    pub address: u64,
    /// Holds the copy of the memory, if one had to be made.
    _copy: Option<tempfile::TempDir>,
}

/// The recorder in a machine's memory; at this physical address, if one is given.
///
/// # Errors
/// There is none, or more than one, or it is damaged, or the memory cannot be reached.
pub fn find(source: &Source, at: Option<u64>) -> Result<Found, AutopsyError> {
    match source {
        Source::File(path) => in_file(path, &path.display().to_string(), at, None),
        Source::Monitor(address) => in_copy(address, at, |copy| monitor::save(address, copy)),
        Source::Gdb(address, bytes) => in_copy(address, at, |copy| gdb::save(address, *bytes, at, copy)),
    }
}

/// In a copy of the memory, which has to be made.
fn in_copy(place: &str, at: Option<u64>, save: impl FnOnce(&Path) -> io::Result<()>) -> Result<Found, AutopsyError> {
    let folder = tempfile::Builder::new().prefix("rpctrace2-autopsy-").tempdir();
    let folder = folder
        .map_err(|source| AutopsyError::Io { place: "a directory for a copy of the memory".to_owned(), source })?;
    let copy = folder.path().join("memory");
    save(&copy).map_err(|why| AutopsyError::Unreachable { place: place.to_owned(), why: why.to_string() })?;
    in_file(&copy, place, at, Some(folder))
}

fn in_file(path: &Path, place: &str, at: Option<u64>, copy: Option<tempfile::TempDir>) -> Result<Found, AutopsyError> {
    let io = |source| AutopsyError::Io { place: place.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let places = match at {
        Some(address) => vec![address],
        None => candidates(&file, bytes).map_err(io)?,
    };
    let mut found = Vec::new();
    let mut damaged = None;
    for address in places {
        match open(&file, address, bytes) {
            Ok(ring) => found.push((address, ring)),
            Err(RingError::NoRing) => {}
            Err(error) => damaged = Some((address, error.to_string())),
        }
    }
    let place = place.to_owned();
    match (found.len(), damaged) {
        (0, Some((address, why))) => Err(AutopsyError::Damaged { place, address, why }),
        (0, None) => Err(AutopsyError::None { place, bytes }),
        (1, _) => {
            let (address, ring) = found.remove(0);
            Ok(Found { ring, address, _copy: copy })
        }
        _ => Err(AutopsyError::Several { place, addresses: found.into_iter().map(|(address, _)| address).collect() }),
    }
}

/// Where pages begin as a recorder does. A sparse file's holes read as zeros.
fn candidates(file: &File, bytes: u64) -> io::Result<Vec<u64>> {
    let mut places = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < bytes {
        let size = usize::try_from((bytes - at).min(CHUNK as u64)).unwrap_or(CHUNK);
        let chunk = &mut buffer[..size];
        file.read_exact_at(chunk, at)?;
        places.extend(ring::find(chunk).map(|offset| at + offset as u64));
        at += size as u64;
    }
    Ok(places)
}

/// The ring that begins there, if it is one.
fn open(file: &File, address: u64, bytes: u64) -> Result<GuestRing, RingError> {
    let mut word = [0; 8];
    let place = address.saturating_add(control::CAPACITY as u64 * 8);
    file.read_exact_at(&mut word, place).map_err(|_| RingError::NoRing)?;
    let capacity = u64::from_le_bytes(word);
    // What memory cut off has of it is read, and the rest said to be lost. Too large a number is no number of bytes.
    let size = capacity.min(MAX_CAPACITY as u64) + HEADER_SIZE as u64;
    let copy = file.try_clone().map_err(|_| RingError::NoRing)?;
    let ring = GuestRing::over(copy, address, size);
    let mut reader = Reader::open(&ring)?;
    if address.saturating_add(HEADER_SIZE as u64) > bytes {
        return Err(RingError::BadWord { word: "end", found: bytes });
    }
    // A head or a floor that cannot be is found now.
    let mut buffer = GuestRing::buffer();
    reader.read(&ring, &mut buffer).map(drop)?;
    Ok(ring)
}

#[cfg(test)]
mod tests;
