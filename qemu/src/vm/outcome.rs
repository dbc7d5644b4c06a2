// SPDX-License-Identifier: GPL-2.0-or-later
//! What came of a run: the program's exit status, or the one reason why there is none.

use std::time::Duration;

/// The command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit status; 0 if it restarted the machine.
    pub status: i32,
    /// It restarted the machine (`host_reboot`), which nobody can do without the host control port.
    pub restarted: bool,
}

/// Why a run has no exit status. Each shows the end of the console.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The kernel stopped in its debugger after a panic or a trap, or, if it has none, restarted the machine.
    #[error("the kernel stopped: {cause}\n{tail}")]
    Kernel {
        /// The kernel's own line about it.
        cause: String,
        /// The end of the console.
        tail: String,
    },
    /// QEMU ended before the program did.
    #[error("QEMU ended ({status}) before the program did{stderr}\n{tail}")]
    Died {
        /// QEMU's exit status.
        status: String,
        /// What QEMU wrote to its standard error.
        stderr: String,
        /// The end of the console.
        tail: String,
    },
    /// Ctrl-C, or another signal that ends a process: its number.
    #[error("ended by signal {0}")]
    Interrupted(i32),
    /// Who looks at the machine has no use for it any more, and says why.
    #[error("nobody looks at the machine any more")]
    Stopped,
    /// An output cannot be written, as it says itself.
    #[error("{0}")]
    Unwritten(#[source] std::io::Error),
    /// The time limit.
    #[error("no end after {} seconds, QEMU was stopped; a longer limit: --timeout SECONDS\n{tail}", limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// The end of the console.
        tail: String,
    },
    /// A command could not be typed, or did not end.
    #[error("{why}\n{tail}")]
    Typing {
        /// In which step, and what was expected.
        why: String,
        /// The end of the console.
        tail: String,
    },
    /// A control line that makes no sense.
    #[error("{why}\n{tail}")]
    Control {
        /// What was expected and found.
        why: String,
        /// The end of the console.
        tail: String,
    },
    /// QEMU cannot be started, or an output cannot be written.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}
