// SPDX-License-Identifier: GPL-2.0-or-later
//! The memory of a machine that hangs or has died, and the one recorder in it.

mod copy;
mod gdb;
mod monitor;
mod wire;

use std::fs::{self, File, FileType};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use kernel_ipc::ring::{self, HEADER_SIZE, MAX_CAPACITY, Reader, RingError, control};

use self::copy::Copy;
use crate::ending::Ending;
use crate::recorder::GuestRing;

pub use self::copy::{folder, private};

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
    /// None is where it was said to be.
    #[error("{place}: there is no recorder at {address:#x}, where --at says, of {bytes} bytes of memory")]
    NoneThere {
        /// Where.
        place: String,
        /// Physical address.
        address: u64,
        /// How much memory there is.
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
    /// What is there is no memory.
    #[error("{place}: expected a file or a block device with a machine's memory, found {kind}")]
    NoMemory {
        /// Where.
        place: String,
        /// What it is.
        kind: &'static str,
    },
    /// A signal has ended it before the memory was there.
    #[error("ended by signal {0}")]
    Ended(i32),
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
}

/// The recorder in a machine's memory; at this physical address, if one is given. What had to be copied is gone afterwards, but for the recorder.
///
/// # Errors
/// There is none, or more than one, or it is damaged, or the memory cannot be reached.
pub fn find(source: &Source, at: Option<u64>) -> Result<Found, AutopsyError> {
    match source {
        Source::File(path) => in_file(path, &path.display().to_string(), at),
        Source::Monitor(address) => in_copy(address, at, |copy, ending| monitor::save(address, copy, ending)),
        Source::Gdb(address, bytes) => {
            in_copy(address, at, |copy, ending| gdb::save(address, *bytes, at, copy, ending))
        }
    }
}

/// In a copy of the memory, which has to be made. A signal ends it in an orderly way: the machine runs on, and the copy is gone.
fn in_copy(
    place: &str,
    at: Option<u64>,
    save: impl FnOnce(&Copy, &Ending) -> io::Result<()>,
) -> Result<Found, AutopsyError> {
    let io = |source| AutopsyError::Io { place: "a directory for a copy of the memory".to_owned(), source };
    let ending = Ending::hear().map_err(io)?;
    let copy = Copy::new().map_err(io)?;
    let unreachable = |why: io::Error| AutopsyError::Unreachable { place: place.to_owned(), why: why.to_string() };
    let found = save(&copy, &ending).map_err(unreachable).and_then(|()| in_file(&copy.path(), place, at));
    drop(copy);
    match ending.signal() {
        Some(signal) => Err(AutopsyError::Ended(signal)),
        None => found,
    }
}

fn in_file(path: &Path, place: &str, at: Option<u64>) -> Result<Found, AutopsyError> {
    let io = |source| AutopsyError::Io { place: place.to_owned(), source };
    // Before it is opened, which may wait for ever.
    let kind = fs::metadata(path).map_err(io)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(AutopsyError::NoMemory { place: place.to_owned(), kind: name_of(kind) });
    }
    let mut file = File::open(path).map_err(io)?;
    // A device says by nothing else how large it is.
    let bytes = file.seek(SeekFrom::End(0)).map_err(io)?;
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
    match (found.len(), damaged, at) {
        (0, Some((address, why)), _) => Err(AutopsyError::Damaged { place, address, why }),
        (0, None, Some(address)) => Err(AutopsyError::NoneThere { place, address, bytes }),
        (0, None, None) => Err(AutopsyError::None { place, bytes }),
        (1, ..) => {
            let (address, ring) = found.remove(0);
            Ok(Found { ring, address })
        }
        _ => Err(AutopsyError::Several { place, addresses: found.into_iter().map(|(address, _)| address).collect() }),
    }
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a character device"
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
