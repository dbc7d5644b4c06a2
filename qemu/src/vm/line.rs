// SPDX-License-Identifier: GPL-2.0-or-later
//! The serial line by which the boot server is told something while programs run.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use protocol::control::{ARE_YOU_THERE, INTERRUPT};

/// Name of the line's socket in the directory that QEMU runs in.
pub(super) const SOCKET: &str = "line.socket";

/// How long a boot server may take to say that it is there. On a kernel that waits in its debugger nobody answers.
const ANSWER: Duration = Duration::from_secs(5);

/// The line, and what was said on it.
#[derive(Debug)]
pub(super) struct Line {
    guest: UnixStream,
    /// What looks like the end of the kernel, and until when the boot server can say that it is not.
    suspicion: Option<(String, Instant)>,
    is_interrupted: bool,
}

impl Line {
    pub(super) fn new(guest: UnixStream) -> Self {
        Self { guest, suspicion: None, is_interrupted: false }
    }

    /// The console shows what a kernel says that has stopped, or what a program prints. Asks.
    pub(super) fn suspect(&mut self, cause: String) -> io::Result<()> {
        if self.suspicion.is_none() {
            self.suspicion = Some((cause, Instant::now() + ANSWER));
        }
        self.guest.write_all(&[ARE_YOU_THERE])
    }

    /// The boot server is there, so the kernel is.
    pub(super) fn is_there(&mut self) {
        self.suspicion = None;
    }

    /// When a suspicion becomes certain.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.suspicion.as_ref().map(|(_, deadline)| *deadline)
    }

    /// Why the kernel has stopped, if it has by now.
    pub(super) fn stopped(&mut self) -> Option<String> {
        self.suspicion.take_if(|(_, deadline)| *deadline <= Instant::now()).map(|(cause, _)| cause)
    }

    /// Passes an interrupt on; says whether it was the first.
    pub(super) fn interrupt(&mut self) -> bool {
        !std::mem::replace(&mut self.is_interrupted, true) && self.guest.write_all(&[INTERRUPT]).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_suspicion_waits_for_the_answer() {
        let (ours, mut guest) = UnixStream::pair().unwrap();
        let mut line = Line::new(ours);
        line.suspect("panic".to_owned()).unwrap();
        assert_eq!((line.stopped(), line.deadline().is_some()), (None, true));
        line.is_there();
        assert_eq!(line.deadline(), None);
        line.suspicion = Some(("panic".to_owned(), Instant::now()));
        assert_eq!(line.stopped().as_deref(), Some("panic"));
        assert!(line.interrupt() && !line.interrupt(), "only the first is passed on");
        drop(line);
        let mut said = Vec::new();
        guest.read_to_end(&mut said).unwrap();
        assert_eq!(said, [ARE_YOU_THERE, INTERRUPT]);
    }
}
