// SPDX-License-Identifier: GPL-2.0-or-later
//! A connection to a QEMU that somebody else has started, which need not answer.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 2000 } else { 10_000 });

/// Either kind of stream.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects to the path of a socket, or to HOST:PORT.
    pub(super) fn connect(address: &str) -> io::Result<Self> {
        // What is there as a file is one, whatever its name.
        if address.contains('/') || Path::new(address).exists() || !address.contains(':') {
            return UnixStream::connect(address).map(Self::Unix);
        }
        TcpStream::connect(address).map(Self::Tcp)
    }

    /// Waits no longer than this for what is read.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(patience)).and_then(|()| stream.set_write_timeout(Some(patience)))
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(patience)).and_then(|()| stream.set_write_timeout(Some(patience)))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        };
        match read {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
            }
            other => other,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
