// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that wait for our word before they are sent: what `--inject` makes of each, and about which the user is asked. With `--ool` every
//! message waits, and who has received one does, until its memory out of line has been read.
//!
//! The kernel could do without us what its actions say. But only who is asked about every message knows which record shows what was injected:
//! the record of a message has the sequence number of the one that said that it waits.

use bytes::Bytes;
use mach::port::PortName;
use mach_abi::Header;
use trace_port::control::stop::place;
use trace_port::control::what;
use trace_port::{Record, Records};

use super::engines::Engines;
use super::memory;
use super::prompt::{Stop, words};
use super::registers::Call;
use crate::apart::behind_first;
use crate::injections::{Injections, Verdict, is_stop, may_reply};
use crate::trace::Trace;

/// What is left of a message to the trace port.
pub(super) enum Left {
    /// All of it is for the trace.
    All,
    /// What came behind the record that says so, if anything did.
    Rest(Option<Bytes>),
    /// The user is asked, and it is for the trace.
    Asks(Stop),
}

/// Answers where a message to the trace port says that a thread waits, of the task that we have this right to. `most`: of `--ool`.
pub(super) fn answer(
    (task, message): (PortName, &Bytes),
    most: usize,
    injections: &mut Injections,
    engines: &Engines,
    trace: &mut Trace<'_>,
) -> Left {
    if injections.are_none() && !engines.may_stop() {
        return Left::All;
    }
    let Ok(mut records) = Records::parse(message) else { return Left::All };
    let Some(Ok(record)) = records.next() else { return Left::All };
    if !is_stop(&record) {
        return Left::All;
    }
    let header = &record.header;
    let sequence = header.sequence.get();
    let memory = memory::read(task, &record, most);
    // The message's own record has its place in the order. What was lost is told by the first that comes.
    let is_nothing = header.lost() == 0 && !header.child_not_traced();
    if header.sender.get() != place::BEFORE_SEND {
        // Who does not wait any more may have run while its memory was read.
        if engines.resume(header.thread.get()) {
            memory.into_iter().for_each(|memory| trace.remember(sequence, memory));
        }
        return if is_nothing { Left::Rest(behind_first(message, &record)) } else { Left::All };
    }
    memory.into_iter().for_each(|memory| trace.remember(sequence, memory));
    let (what, value, injected) = match injections.decide(&record) {
        Verdict::Ask => return Left::Asks(stop(&record, (task, message), trace)),
        Verdict::Go => words(None),
        Verdict::Instead(instead) => words(Some(instead)),
    };
    // One that has been ended, or let go, waits no more: nothing was made of its message.
    if engines.answer(header.thread.get(), what, value)
        && let Some(injected) = injected
    {
        trace.inject(sequence, injected);
    }
    // That of one that is to be sent later comes late.
    if is_nothing && what != what::DELAY { Left::Rest(behind_first(message, &record)) } else { Left::All }
}

/// What the user is told of a thread that waits.
fn stop(record: &Record<'_>, (task, message): (PortName, &Bytes), trace: &Trace<'_>) -> Stop {
    let header = &record.header;
    let msgh_id = Header::read(record.format, record.message).map_or(0, |header| header.id);
    let is_one_way = trace.tables().request(msgh_id).is_some_and(|routine| routine.reply_id().is_none());
    let no_reply = match () {
        () if is_one_way => Some("this routine has no reply"),
        () if !may_reply(record) => Some("the call that sends it receives no reply"),
        () => None,
    };
    Stop {
        task,
        number: header.task.get(),
        thread: header.thread.get(),
        sequence: header.sequence.get(),
        line: trace.preview(record, message, false),
        whole: trace.preview(record, message, true),
        call: Call::of(record),
        no_reply,
    }
}
