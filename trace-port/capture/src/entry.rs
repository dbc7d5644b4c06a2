// SPDX-License-Identifier: GPL-2.0-or-later
//! What came, one after the other: messages of the trace port, and what else its receiver knew.
//!
//! An entry is its size and its kind, 32 bits each, and as many bytes, padded with zeros to a multiple of 8. Kinds from
//! [`FIRST_OPTIONAL`] on are passed over by who does not know them.

use alloc::vec::Vec;

use crate::format::{MAX_ENTRY, u32_at, u64_at};
use crate::memory::Memory;

/// What became of a command's trace when nobody was traced any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Untraced {
    /// Its task has no trace port.
    Cleared = 0,
    /// Its task has another.
    Replaced = 1,
    /// Its engine has ended.
    EngineEnded = 2,
    /// The process has another task.
    SetId = 3,
}

/// What the tracer has made of a message that was about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// It was not sent, and `mach_msg` returned this code.
    Failure(u32),
    /// It was not sent, and its sender received a reply with this return code.
    Reply(i32),
    /// It was sent later.
    Delay,
}

/// What the receiver of a trace knew beside the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note<'a> {
    /// What is traced ran before. The name of the task, if it is one alone.
    Attached(Option<&'a str>),
    /// Tasks are traced by engines.
    ByEngines,
    /// The kernel leaves out what the options did not ask for.
    Filtered,
    /// A task with this number of the kernel's is called so.
    Called(u32, &'a str),
    /// A message that was too large to be received: its `msgh_id` and `msgh_size`.
    TooLarge(u32, u32),
    /// Nothing has come for a while.
    Idle,
    /// A task with this number of the kernel's has ended, and all its records have come.
    Ended(u32),
    /// Nobody is traced any more, but the command goes on.
    Untraced(Untraced),
    /// The command has ended with this exit status.
    Exited(i32),
    /// The command was ended by the signal with this name.
    Signaled(&'a str),
    /// Nobody says how the command ended; this was answered instead.
    EndUnknown(&'a str),
    /// The command has ended, and nothing comes, but tasks are still traced.
    Left,
    /// The user has ended the trace.
    Interrupted,
    /// The user has ended the trace, and what was traced goes on.
    Detached,
    /// Records that were lost, an interval.
    Lost(Lost),
    /// What the tracer has made of the message whose record has this sequence number.
    Injected(u64, Injected),
    /// What memory out of line held of the message whose record comes later.
    Memory(Memory<'a>),
    /// Another tool, called so, has taken over what was traced.
    TakenOver(&'a str),
    /// A line about the trace.
    Mark(&'a str),
    /// No record comes any more.
    Finished,
}

/// Records that were lost before they could be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Sequence number of the first.
    pub first: u64,
    /// Sequence number of the last.
    pub last: u64,
    /// Time of the first, in nanoseconds since 1970; 0 if it is not known.
    pub time: u64,
    /// How many.
    pub count: u64,
    /// How many bytes they were; 0 if it is not known.
    pub bytes: u64,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The bytes of a message to the trace port, as they were received.
    Message(&'a [u8]),
    /// Something else.
    Note(Note<'a>),
}

/// Kinds of entries.
mod kind {
    pub(super) const MESSAGE: u32 = 1;
    pub(super) const ATTACHED: u32 = 2;
    pub(super) const BY_ENGINES: u32 = 3;
    pub(super) const FILTERED: u32 = 4;
    pub(super) const CALLED: u32 = 5;
    pub(super) const TOO_LARGE: u32 = 6;
    pub(super) const IDLE: u32 = 7;
    pub(super) const ENDED: u32 = 8;
    pub(super) const UNTRACED: u32 = 9;
    pub(super) const EXITED: u32 = 10;
    pub(super) const SIGNALED: u32 = 11;
    pub(super) const END_UNKNOWN: u32 = 12;
    pub(super) const LEFT: u32 = 13;
    pub(super) const INTERRUPTED: u32 = 14;
    pub(super) const DETACHED: u32 = 15;
    pub(super) const LOST: u32 = 16;
    pub(super) const MARK: u32 = 17;
    pub(super) const FINISHED: u32 = 18;
    pub(super) const INJECTED: u32 = 19;
    pub(super) const TAKEN_OVER: u32 = 20;
    pub(super) const MEMORY: u32 = 256;
}

/// The first kind that a reader may pass over.
const FIRST_OPTIONAL: u32 = 256;

/// Bytes of an entry's size and kind.
const HEAD: usize = 8;

/// Appends a message in pieces. Of one that is too large only the beginning is kept: no record is.
pub(crate) fn push_message(pieces: &[&[u8]], out: &mut Vec<u8>) {
    let mut room = MAX_ENTRY.min(pieces.iter().map(|piece| piece.len()).sum());
    out.extend_from_slice(&(room as u32).to_le_bytes());
    out.extend_from_slice(&kind::MESSAGE.to_le_bytes());
    for piece in pieces {
        let (piece, _) = piece.split_at(piece.len().min(room));
        out.extend_from_slice(piece);
        room -= piece.len();
    }
    out.resize(out.len().next_multiple_of(8), 0);
}

/// Appends a note. Texts are cut where they are too large.
pub(crate) fn push_note(note: Note<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    let kind = push_contents(note, out);
    let size = (out.len() - start - HEAD) as u32;
    let head = size.to_le_bytes().into_iter().chain(kind.to_le_bytes());
    out.iter_mut().skip(start).zip(head).for_each(|(place, byte)| *place = byte);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// Appends what a note has beside its kind, which is answered.
fn push_contents(note: Note<'_>, out: &mut Vec<u8>) -> u32 {
    let (kind, numbers, text): (u32, &[u32], &str) = match note {
        // Nobody is called nothing, but a task may have no name.
        Note::Attached(None) => (kind::ATTACHED, &[0], ""),
        Note::Attached(Some(name)) => (kind::ATTACHED, &[1], name),
        Note::ByEngines => (kind::BY_ENGINES, &[], ""),
        Note::Filtered => (kind::FILTERED, &[], ""),
        Note::Called(task, name) => (kind::CALLED, &[task], name),
        Note::TooLarge(id, size) => (kind::TOO_LARGE, &[id, size], ""),
        Note::Idle => (kind::IDLE, &[], ""),
        Note::Ended(task) => (kind::ENDED, &[task], ""),
        Note::Untraced(why) => (kind::UNTRACED, &[why as u32], ""),
        Note::Exited(status) => (kind::EXITED, &[status as u32], ""),
        Note::Signaled(signal) => (kind::SIGNALED, &[], signal),
        Note::EndUnknown(answer) => (kind::END_UNKNOWN, &[], answer),
        Note::Left => (kind::LEFT, &[], ""),
        Note::Interrupted => (kind::INTERRUPTED, &[], ""),
        Note::Detached => (kind::DETACHED, &[], ""),
        Note::Lost(Lost { first, last, time, count, bytes }) => {
            [first, last, time, count, bytes].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
            (kind::LOST, &[], "")
        }
        Note::Injected(sequence, injected) => {
            out.extend_from_slice(&sequence.to_le_bytes());
            let (what, code) = match injected {
                Injected::Failure(code) => (0, code),
                Injected::Reply(code) => (1, code as u32),
                Injected::Delay => (2, 0),
            };
            out.extend_from_slice(&u32::to_le_bytes(what));
            out.extend_from_slice(&code.to_le_bytes());
            (kind::INJECTED, &[], "")
        }
        Note::Memory(memory) => {
            memory.push(out);
            (kind::MEMORY, &[], "")
        }
        Note::TakenOver(by) => (kind::TAKEN_OVER, &[], by),
        Note::Mark(text) => (kind::MARK, &[], text),
        Note::Finished => (kind::FINISHED, &[], ""),
    };
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    let mut size = text.len().min(MAX_ENTRY - HEAD);
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    out.extend_from_slice(text.get(..size).unwrap_or("").as_bytes());
    kind
}

/// A note of this kind, if these bytes are one.
fn note(kind: u32, bytes: &[u8]) -> Option<Note<'_>> {
    let text = |from: usize| core::str::from_utf8(bytes.get(from..)?).ok();
    let numbers = |count: usize, note| (bytes.len() == count).then_some(note);
    let first = u32_at(bytes, 0);
    match kind {
        kind::ATTACHED if first == 0 => numbers(4, Note::Attached(None)),
        kind::ATTACHED if first == 1 => text(4).map(|name| Note::Attached(Some(name))),
        kind::BY_ENGINES => numbers(0, Note::ByEngines),
        kind::FILTERED => numbers(0, Note::Filtered),
        kind::CALLED => text(4).map(|name| Note::Called(first, name)),
        kind::TOO_LARGE => numbers(8, Note::TooLarge(first, u32_at(bytes, 4))),
        kind::IDLE => numbers(0, Note::Idle),
        kind::ENDED => numbers(4, Note::Ended(first)),
        kind::UNTRACED => {
            let all = [Untraced::Cleared, Untraced::Replaced, Untraced::EngineEnded, Untraced::SetId];
            numbers(4, Note::Untraced(*all.get(first as usize)?))
        }
        kind::EXITED => numbers(4, Note::Exited(first as i32)),
        kind::SIGNALED => text(0).map(Note::Signaled),
        kind::END_UNKNOWN => text(0).map(Note::EndUnknown),
        kind::LEFT => numbers(0, Note::Left),
        kind::INTERRUPTED => numbers(0, Note::Interrupted),
        kind::DETACHED => numbers(0, Note::Detached),
        kind::LOST => {
            let [first, last, time, count, size] = [0, 8, 16, 24, 32].map(|at| u64_at(bytes, at));
            numbers(40, Note::Lost(Lost { first, last, time, count, bytes: size }))
        }
        kind::INJECTED => {
            let code = u32_at(bytes, 12);
            let injected = match u32_at(bytes, 8) {
                0 => Injected::Failure(code),
                1 => Injected::Reply(code as i32),
                2 if code == 0 => Injected::Delay,
                _ => return None,
            };
            numbers(16, Note::Injected(u64_at(bytes, 0), injected))
        }
        kind::MEMORY => Memory::read(bytes).map(Note::Memory),
        kind::TAKEN_OVER => text(0).map(Note::TakenOver),
        kind::MARK => text(0).map(Note::Mark),
        kind::FINISHED => numbers(0, Note::Finished),
        _ => None,
    }
}

/// The entries of a block's contents. After one that is none there is no other.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    contents: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    /// Those of these contents.
    pub fn new(contents: &'a [u8]) -> Self {
        Self { contents, at: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, usize>;

    /// The next entry, or where in the contents something else stands.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at;
            if at >= self.contents.len() {
                return None;
            }
            let (size, kind) = (u32_at(self.contents, at) as usize, u32_at(self.contents, at + 4));
            let bytes = self.contents.get(at + HEAD..).and_then(|rest| rest.get(..size));
            let entry = match bytes.filter(|_| size <= MAX_ENTRY) {
                Some(bytes) if kind == kind::MESSAGE => Some(Entry::Message(bytes)),
                Some(bytes) => note(kind, bytes).map(Entry::Note),
                None => None,
            };
            let end = at + HEAD + size.next_multiple_of(8);
            let is_known = kind <= kind::TAKEN_OVER || kind == kind::MEMORY;
            let is_passed = bytes.is_some() && !is_known && kind >= FIRST_OPTIONAL && end <= self.contents.len();
            self.at = if entry.is_some() || is_passed { end } else { self.contents.len() };
            if !is_passed {
                return Some(entry.filter(|_| end <= self.contents.len()).ok_or(at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Found, MAX_READ};

    /// One of each kind.
    const NOTES: [Note<'_>; 28] = [
        Note::Attached(None),
        Note::Attached(Some("a task")),
        Note::ByEngines,
        Note::Filtered,
        Note::Called(7, "proc"),
        Note::TooLarge(5000, 1 << 20),
        Note::Idle,
        Note::Ended(3),
        Note::Untraced(Untraced::SetId),
        Note::Exited(-1),
        Note::Signaled("SIGSEGV"),
        Note::EndUnknown("(ipc/mig) bad request message ID"),
        Note::Left,
        Note::Interrupted,
        Note::Detached,
        Note::Lost(Lost { first: 1, last: 9, time: 2, count: 8, bytes: u64::MAX }),
        Note::Injected(7, Injected::Failure(0x1000_0003)),
        Note::Injected(u64::MAX, Injected::Reply(-1)),
        Note::Injected(0, Injected::Delay),
        Note::Memory(Memory { sequence: 9, address: 0x1000, size: 5, found: Found::Read(b"hello") }),
        Note::Memory(Memory { sequence: 9, address: u64::MAX, size: u64::MAX, found: Found::Read(b"") }),
        Note::Memory(Memory { sequence: 9, address: 0x1000, size: 5, found: Found::GivenAway }),
        Note::Memory(Memory { sequence: 9, address: 0x1000, size: 5, found: Found::Refused(-1) }),
        Note::Memory(Memory { sequence: 9, address: 0x1000, size: 5, found: Found::Paged }),
        Note::TakenOver("rpctrace2, process 7"),
        Note::Mark("ext2fs: has as many engines as there may be"),
        Note::Mark(""),
        Note::Finished,
    ];

    #[test]
    fn every_note_comes_back() {
        let mut bytes = Vec::new();
        for note in NOTES {
            push_note(note, &mut bytes);
            push_message(&[b"twelve bytes"], &mut bytes);
        }
        let mut entries = Entries::new(&bytes);
        for note in NOTES {
            assert_eq!(entries.next(), Some(Ok(Entry::Note(note))));
            assert_eq!(entries.next(), Some(Ok(Entry::Message(b"twelve bytes"))));
        }
        assert_eq!(entries.next(), None);
    }

    #[test]
    fn what_is_too_large_is_cut() {
        let mut bytes = Vec::new();
        push_message(&[&[1; MAX_ENTRY + 5]], &mut bytes);
        let text = "\u{e9}".repeat(MAX_ENTRY);
        push_note(Note::Called(1, &text), &mut bytes);
        let entries: Vec<_> = Entries::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(entries[0], Entry::Message(&[1; MAX_ENTRY]));
        assert_eq!(entries[1], Entry::Note(Note::Called(1, &text[..MAX_ENTRY - HEAD])));
    }

    #[test]
    fn contents_are_cut_to_what_is_kept() {
        let mut bytes = Vec::new();
        let large = [7; MAX_READ + 1];
        let contents = Memory { sequence: 1, address: 2, size: 1 << 40, found: Found::Read(&large) };
        push_note(Note::Memory(contents), &mut bytes);
        let kept = Memory { found: Found::Read(&large[..MAX_READ]), ..contents };
        assert_eq!(Entries::new(&bytes).collect::<Vec<_>>(), [Ok(Entry::Note(Note::Memory(kept)))]);
    }

    #[test]
    fn later_kinds_that_may_be_passed_over_are() {
        let mut bytes = Vec::new();
        for kind in [257_u32, u32::MAX] {
            bytes.extend(5_u32.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(*b"later\0\0\0");
        }
        push_note(Note::Idle, &mut bytes);
        assert_eq!(Entries::new(&bytes).collect::<Vec<_>>(), [Ok(Entry::Note(Note::Idle))]);
        // One that is cut is none.
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(257_u32.to_le_bytes());
        let at = bytes.len() - 8;
        assert_eq!(Entries::new(&bytes).last(), Some(Err(at)));
    }

    #[test]
    fn what_is_no_entry_ends_them() {
        let mut bytes = Vec::new();
        push_note(Note::Idle, &mut bytes);
        for (size, kind) in [(0_u32, 0_u32), (0, 21), (9, 1), (u32::MAX, 1), (1, kind::LEFT), (4, kind::UNTRACED)] {
            let mut bytes = bytes.clone();
            bytes.extend(size.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0xff; 8]);
            let mut entries = Entries::new(&bytes);
            assert_eq!(entries.next(), Some(Ok(Entry::Note(Note::Idle))));
            assert_eq!((entries.next(), entries.next()), (Some(Err(8)), None), "{size} {kind}");
        }
        let injected = |what: u32, code: u32| {
            let mut bytes = [7_u64.to_le_bytes(), [0; 8]].concat();
            bytes[8..12].copy_from_slice(&what.to_le_bytes());
            bytes[12..].copy_from_slice(&code.to_le_bytes());
            note(kind::INJECTED, &bytes).is_some()
        };
        let contents = |size: u64, what: u32, code: u32, bytes: &[u8]| {
            let head = [1, 2, size].map(u64::to_le_bytes).concat();
            let bytes = [&head[..], &what.to_le_bytes(), &code.to_le_bytes(), bytes].concat();
            note(kind::MEMORY, &bytes).is_some()
        };
        assert!(contents(3, 0, 0, b"abc") && contents(3, 0, 0, b"a") && !contents(2, 0, 0, b"abc"));
        assert!(!contents(3, 0, 1, b"abc") && !contents(3, 1, 0, b"a") && !contents(3, 4, 0, b""));
        assert!(contents(3, 1, 0, b"") && contents(3, 2, 9, b"") && !contents(3, 3, 9, b""));
        assert!(note(kind::MEMORY, &[0; 31]).is_none());
        assert!(injected(0, 9) && injected(1, 9) && injected(2, 0) && !injected(2, 1) && !injected(3, 0));
    }
}
