// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace made again of what a capture has kept: the same calls of [`Trace`], in the same order.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;
use capture::{Entries, Entry, Note};
use exchanges::Injected;
use exchanges::ending::Untraced;
use exchanges::fate::Told;
use exchanges::memory::{Found, Memory};

use crate::Trace;

/// Most bytes of a signal's name.
const SIGNAL: usize = 32;

/// What a capture has said of the trace's end.
#[derive(Debug, Default)]
pub struct Replay {
    is_finished: bool,
    /// By which signal the command ended: the only name that is kept, as long as this program runs.
    signal: Option<&'static str>,
}

impl Replay {
    /// Takes the contents of a block of entries; appends the text.
    ///
    /// # Errors
    /// Where in the contents something stands that is no entry. What is before it has been taken.
    pub fn block(&mut self, contents: &Bytes, trace: &mut Trace<'_>, out: &mut String) -> Result<(), usize> {
        for entry in Entries::new(contents) {
            match entry? {
                Entry::Message(message) => trace.message(&contents.slice_ref(message), out),
                Entry::Note(note) => self.note(note, trace, out),
            }
        }
        Ok(())
    }

    /// The capture has no more entries: a trace that was cut ends here.
    pub fn end(&mut self, trace: &mut Trace<'_>, out: &mut String) {
        if !core::mem::replace(&mut self.is_finished, true) {
            trace.finish(out);
        }
    }

    fn note(&mut self, note: Note<'_>, trace: &mut Trace<'_>, out: &mut String) {
        match note {
            Note::Attached(only) => trace.attach(only),
            Note::ByEngines => trace.keep_to_engines(),
            Note::Filtered => trace.set_filtered(),
            Note::Called(task, name) => trace.call(task, name),
            Note::TooLarge(id, size) => trace.too_large(id, size, out),
            Note::Idle => {
                if trace.is_waiting() {
                    trace.idle(out);
                }
            }
            Note::Ended(task) => trace.ended(task, out),
            Note::Untraced(now) => trace.untraced(untraced(now), out),
            Note::Exited(status) => trace.exited(status, out),
            Note::Signaled(signal) => {
                let cut = signal.char_indices().nth(SIGNAL).map_or(signal.len(), |(at, _)| at);
                let signal =
                    *self.signal.get_or_insert_with(|| Box::leak(Box::from(signal.get(..cut).unwrap_or(signal))));
                trace.ended_so(Told::Signaled(signal), out);
            }
            Note::EndUnknown(answer) => trace.end_unknown(answer, out),
            Note::Left => trace.left(out),
            Note::Interrupted => trace.interrupted(out),
            Note::Injected(sequence, injected) => trace.inject(sequence, made(injected)),
            Note::Memory(memory) => trace.remember(memory.sequence, read(memory)),
            Note::TakenOver(by) => trace.taken_over(&by, out),
            Note::Detached => trace.detached(out),
            Note::Lost(lost) => trace.lost(lost, out),
            Note::Mark(text) => trace.mark(text, out),
            Note::Finished => self.end(trace, out),
        }
    }
}

fn made(injected: capture::Injected) -> Injected {
    match injected {
        capture::Injected::Failure(code) => Injected::Failure(code),
        capture::Injected::Reply(code) => Injected::Reply(code),
        capture::Injected::Delay => Injected::Delay,
    }
}

fn read(capture::Memory { address, size, found, .. }: capture::Memory<'_>) -> Memory {
    let found = match found {
        capture::Found::Read(bytes) => Found::Read(Bytes::copy_from_slice(bytes)),
        capture::Found::GivenAway => Found::GivenAway,
        capture::Found::Refused(code) => Found::Refused(code),
        capture::Found::Paged => Found::Paged,
    };
    Memory { address, size, found }
}

fn untraced(now: capture::Untraced) -> Untraced {
    match now {
        capture::Untraced::Cleared => Untraced::Cleared,
        capture::Untraced::Replaced => Untraced::Replaced,
        capture::Untraced::EngineEnded => Untraced::EngineEnded,
        capture::Untraced::SetId => Untraced::SetId,
    }
}
