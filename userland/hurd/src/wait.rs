// SPDX-License-Identifier: GPL-2.0-or-later
//! How a process ended: the status that `proc_mark_exit` is told and `proc_waitid` answers, as wait.h takes it apart.

use core::fmt;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

/// The bits of a signal.
const SIGNAL: i32 = 0x7f;
/// What stands there of one that has not ended.
const STOPPED: i32 = 0x7f;

impl Ending {
    /// Takes a status apart; `None` if the process has only stopped, or goes on.
    pub const fn from_status(status: i32) -> Option<Self> {
        match status & SIGNAL {
            0 => Some(Self::Exited((status >> 8) as u8)),
            STOPPED => None,
            signal => Some(Self::Signaled(signal as u8)),
        }
    }

    /// As `proc_mark_exit` is told.
    pub const fn to_status(self) -> i32 {
        match self {
            Self::Exited(status) => (status as i32) << 8,
            Self::Signaled(signal) => signal as i32 & SIGNAL,
        }
    }

    /// What a shell has in `$?`: 128 and the signal for one that was killed.
    pub const fn shell_status(self) -> i32 {
        match self {
            Self::Exited(status) => status as i32,
            Self::Signaled(signal) => 128 + signal as i32,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_survive() {
        for ending in
            [Ending::Exited(0), Ending::Exited(3), Ending::Exited(255), Ending::Signaled(9), Ending::Signaled(15)]
        {
            assert_eq!(Ending::from_status(ending.to_status()), Some(ending));
        }
        assert_eq!(Ending::Exited(3).to_status(), 0x300);
        assert_eq!(Ending::Signaled(9).to_status(), 9);
        assert_eq!(Ending::from_status(9 | 0x80), Some(Ending::Signaled(9)));
    }

    #[test]
    fn who_has_stopped_has_not_ended() {
        assert_eq!(Ending::from_status(0x137f), None);
        assert_eq!(Ending::from_status(0xffff), None);
    }

    #[test]
    fn shells_say_128_and_the_signal() {
        assert_eq!(Ending::Exited(7).shell_status(), 7);
        assert_eq!(Ending::Signaled(9).shell_status(), 137);
    }
}
