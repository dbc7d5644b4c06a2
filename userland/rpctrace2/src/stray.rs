//! Messages at the trace port that are not what the kernel sends: one remark where each kind came first, and a count at the end.
//!
//! Whoever gets a send right to the trace port can write what it likes. That must neither end the trace nor bury it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_FIRST};
use trace_port::RecordError;
use trace_port::record::{MAX_BODY, wire_size};

/// Most bytes of a message that the kernel sends to a trace port.
pub const LARGEST: usize = wire_size(MAX_BODY);

/// The ids of notifications.
const NOTIFICATIONS: core::ops::RangeInclusive<u32> = MACH_NOTIFY_FIRST..=MACH_NOTIFY_DEAD_NAME;

/// What a message is instead: a place in [`COUNTED`].
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A record, but of another version: perhaps the kernel's.
    Version,
    /// Has the id of a record and is none.
    Malformed,
    TooLarge,
    Notification,
    UnknownId,
}

/// What each kind is called where it is counted.
const COUNTED: [&str; 5] = ["of another version", "malformed", "too large", "notifications", "of unknown ids"];

/// Counts them.
#[derive(Debug, Default)]
pub struct Strays {
    counts: [u64; COUNTED.len()],
    other_version: Option<RecordError>,
}

impl Strays {
    /// Takes a message that is none of the kernel's for this reason; the remark, if it is the first of its kind.
    pub fn take(&mut self, id: u32, size: u32, error: RecordError) -> Option<String> {
        let (kind, why) = match error {
            RecordError::WrongId { .. } if NOTIFICATIONS.contains(&id) => {
                (Kind::Notification, "a notification that was not asked for here".to_string())
            }
            RecordError::WrongId { .. } => (Kind::UnknownId, "no message of trace.defs".to_string()),
            RecordError::WrongVersion { .. } => {
                self.other_version.get_or_insert(error);
                (Kind::Version, error.to_string())
            }
            _ => (Kind::Malformed, error.to_string()),
        };
        self.count(kind, id, size, &why)
    }

    /// Takes one that is larger than any record.
    pub fn take_too_large(&mut self, id: u32, size: u32) -> Option<String> {
        self.count(Kind::TooLarge, id, size, &format!("no message of trace.defs has more than {LARGEST} bytes"))
    }

    /// The first of another version, which the kernel may have sent.
    pub fn other_version(&self) -> Option<RecordError> {
        self.other_version
    }

    /// What is to be said at the end, if remarks, where they were shown, have not said it all.
    pub fn total(&self, remarks_shown: bool) -> Option<String> {
        let all = self.counts.iter().fold(0, |sum: u64, &count| sum.saturating_add(count));
        if self.counts.iter().all(|&count| count <= u64::from(remarks_shown)) {
            return None;
        }
        let kinds = COUNTED.iter().zip(self.counts).filter(|&(_, count)| count > 0);
        let kinds: Vec<String> = kinds.map(|(what, count)| format!("{count} {what}")).collect();
        let what = if all == 1 { "message that was no record" } else { "messages that were no records" };
        Some(format!("--- at the trace port {all} {what}: {} ---", kinds.join(", ")))
    }

    fn count(&mut self, kind: Kind, id: u32, size: u32, why: &str) -> Option<String> {
        let count = &mut self.counts[kind as usize];
        *count = count.saturating_add(1);
        let from = if matches!(kind, Kind::Version) { "" } else { ", not from the kernel" };
        let remark = || format!("--- at the trace port{from}: msgh_id {id}, {size} bytes: {why} ---");
        (*count == 1).then(remark)
    }
}
