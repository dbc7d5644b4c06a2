// SPDX-License-Identifier: GPL-2.0-or-later
//! A connection to a QEMU that somebody else has started, which need not answer, or may answer without end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ending::Ending;

/// How long a whole answer may take.
pub(super) const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 2000 } else { 10_000 });

/// Most bytes of a whole answer, and of what comes before it unasked.
pub(super) const LONGEST: usize = 1 << 20;

/// How long nobody looks whether the process is to end.
const SLICE: Duration = Duration::from_millis(100);

/// Characters of the other end's that an error shows.
const SHOWN: usize = 100;

/// Either kind of stream.
#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects to the path of a socket, or to HOST:PORT.
    fn connect(address: &str) -> io::Result<Self> {
        // What is there as a file is one, whatever its name.
        let is_path = address.contains('/') || Path::new(address).exists() || !address.contains(':');
        let stream =
            if is_path { Self::Unix(UnixStream::connect(address)?) } else { Self::Tcp(TcpStream::connect(address)?) };
        match &stream {
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(SLICE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(SLICE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
            }
        }
        Ok(stream)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

/// The connection, and how much of an answer may still come.
#[derive(Debug)]
pub(super) struct Wire<'a> {
    stream: Stream,
    ending: &'a Ending,
    /// Whether the end of this process comes before the answer.
    pub(super) gives_way: bool,
    answer: Answer,
}

/// What may still come of an answer.
#[derive(Clone, Copy, Debug)]
struct Answer {
    patience: Duration,
    deadline: Instant,
    left: usize,
}

impl Answer {
    fn within(patience: Duration) -> Self {
        Self { patience, deadline: Instant::now() + patience, left: LONGEST }
    }
}

impl<'a> Wire<'a> {
    /// Connects to the path of a socket, or to HOST:PORT. Who listens need not be there.
    pub(super) fn connect(address: &str, ending: &'a Ending) -> io::Result<Self> {
        let answer = Answer::within(PATIENCE);
        let (sender, connected) = mpsc::channel();
        let address = address.to_owned();
        // Fails only if nobody waits any more.
        thread::spawn(move || drop(sender.send(Stream::connect(&address))));
        loop {
            match connected.recv_timeout(SLICE) {
                Ok(stream) => return Ok(Self { stream: stream?, ending, gives_way: true, answer }),
                Err(RecvTimeoutError::Timeout) if Instant::now() < answer.deadline => ended(ending)?,
                Err(_) => return Err(silent()),
            }
        }
    }

    /// Asks; the answer is to come within this time.
    pub(super) fn ask(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        self.answer = Answer::within(patience);
        self.write_all(bytes)
    }
}

/// An error if the process is to end.
pub(super) fn ended(ending: &Ending) -> io::Result<()> {
    match ending.signal() {
        // Who hears it says so, in other words.
        Some(_) => Err(io::Error::other("ended")),
        None => Ok(()),
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Answer { patience, deadline, left } = self.answer;
        if left == 0 {
            return Err(io::Error::other(format!("expected an answer of at most {LONGEST} bytes, found more")));
        }
        loop {
            if self.gives_way {
                ended(self.ending)?;
            }
            if Instant::now() >= deadline {
                let unfinished = format!("expected a whole answer in {} seconds, found a part", patience.as_secs());
                let error = || io::Error::new(io::ErrorKind::TimedOut, unfinished);
                return Err(if left == LONGEST { silent() } else { error() });
            }
            let most = buffer.len().min(left);
            match self.stream.read(&mut buffer[..most]) {
                Ok(count) => {
                    self.answer.left -= count;
                    return Ok(count);
                }
                // A socket's read that has a timeout is not taken up again by the kernel after a signal.
                Err(error) if is_early(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether nothing is wrong but that nothing has come.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.stream {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => silent(),
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the other end says, as an error shows it: nothing in it is an order to a terminal, and it is short.
pub(super) fn shown(text: &str) -> String {
    let (text, mut short) = (text.trim(), String::new());
    for (index, letter) in text.chars().enumerate() {
        if short.len() >= SHOWN {
            short.push_str(&format!("... and {} more characters", text.chars().count() - index));
            break;
        }
        short.extend(escaped(letter));
    }
    short
}

fn escaped(letter: char) -> Box<dyn Iterator<Item = char>> {
    match letter {
        '"' | '\'' => Box::new(std::iter::once(letter)),
        _ => Box::new(letter.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_no_answer() {
        for kind in [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            assert!(is_early(&kind.into()));
        }
        assert!(!is_early(&io::ErrorKind::ConnectionReset.into()));
    }

    #[test]
    fn a_terminal_takes_no_orders_from_an_answer() {
        assert_eq!(shown(" could not open \"a\": \u{1b}]0;x\u{7}\u{9b}\u{202e}\r\n"), {
            "could not open \"a\": \\u{1b}]0;x\\u{7}\\u{9b}\\u{202e}"
        });
        assert_eq!(shown(&"x".repeat(103)), format!("{}... and 3 more characters", "x".repeat(100)));
    }

    #[test]
    fn who_is_to_end_does_not_wait_for_an_answer() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(SLICE)).unwrap();
        let (answer, ending) = (Answer::within(Duration::MAX / 4), Ending::that_heard(Some(15)));
        let mut wire = Wire { stream: Stream::Unix(ours), ending: &ending, gives_way: true, answer };
        assert_eq!(wire.read(&mut [0; 8]).unwrap_err().to_string(), "ended");
    }
}
