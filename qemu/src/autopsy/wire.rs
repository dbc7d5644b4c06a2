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
        patiently(|| match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        })
    }
}

/// Reads once, whatever signals come: a socket's read that has a timeout is not taken up again by the kernel after one.
fn patiently(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
            }
            other => return other,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_answer() {
        let mut came =
            [Err(io::ErrorKind::Interrupted.into()), Err(io::ErrorKind::Interrupted.into()), Ok(7)].into_iter();
        assert_eq!(patiently(|| came.next().unwrap()).unwrap(), 7);
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            assert_eq!(patiently(|| Err(kind.into())).unwrap_err().to_string(), "it does not answer");
        }
        let gone = patiently(|| Err(io::ErrorKind::ConnectionReset.into())).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionReset);
    }
}
