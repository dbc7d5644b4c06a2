// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages at the trace port that are not what the kernel sends: one remark where each kind came first, and a count at the end.
//!
//! Whoever gets a send right to the trace port can write what it likes. That must neither end the trace nor bury it.

use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_FIRST};
use trace_port::RecordError;

/// What the kernel sends by itself.
const NOTIFICATIONS: core::ops::RangeInclusive<u32> = MACH_NOTIFY_FIRST..=MACH_NOTIFY_DEAD_NAME;

/// What such a message is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A record, but of another version: perhaps the kernel's.
    Version(RecordError),
    /// Has the id of a record and is none.
    Malformed(RecordError),
    /// Larger than any record.
    TooLarge,
    /// A notification that was not asked for here.
    Notification,
    /// No message of trace.defs.
    UnknownId,
}

/// How many kinds there are.
pub const KINDS: usize = 5;

impl Kind {
    /// Its place in [`Strays::counts`].
    pub const fn place(self) -> usize {
        match self {
            Self::Version(_) => 0,
            Self::Malformed(_) => 1,
            Self::TooLarge => 2,
            Self::Notification => 3,
            Self::UnknownId => 4,
        }
    }

    /// What a message with this id is that is no record for this reason.
    fn of(id: u32, error: RecordError) -> Self {
        match error {
            RecordError::WrongId { .. } if NOTIFICATIONS.contains(&id) => Self::Notification,
            RecordError::WrongId { .. } => Self::UnknownId,
            RecordError::WrongVersion { .. } => Self::Version(error),
            _ => Self::Malformed(error),
        }
    }
}

/// The first message of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// What it is.
    pub kind: Kind,
    /// Its `msgh_id`.
    pub id: u32,
    /// Its `msgh_size` in bytes.
    pub size: u32,
}

/// Counts them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strays {
    counts: [u64; KINDS],
    other_version: Option<RecordError>,
}

impl Strays {
    /// Takes a message that is none of the kernel's for this reason; the remark, if it is the first of its kind.
    pub(crate) fn take(&mut self, id: u32, size: u32, error: RecordError) -> Option<Stray> {
        let kind = Kind::of(id, error);
        if let Kind::Version(error) = kind {
            self.other_version.get_or_insert(error);
        }
        self.count(Stray { kind, id, size })
    }

    /// Takes one that is larger than any record.
    pub(crate) fn take_too_large(&mut self, id: u32, size: u32) -> Option<Stray> {
        self.count(Stray { kind: Kind::TooLarge, id, size })
    }

    /// The first of another version, which the kernel may have sent.
    pub(crate) fn other_version(&self) -> Option<RecordError> {
        self.other_version
    }

    /// How many there were of each kind, by [`Kind::place`].
    pub fn counts(&self) -> [u64; KINDS] {
        self.counts
    }

    fn count(&mut self, stray: Stray) -> Option<Stray> {
        let count = &mut self.counts[stray.kind.place()];
        *count = count.saturating_add(1);
        (*count == 1).then_some(stray)
    }
}
