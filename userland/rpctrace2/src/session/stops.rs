// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that wait for our word before they are sent: what `--inject` makes of each.
//!
//! The kernel could do without us what its actions say. But only who is asked about every message knows which record shows what was injected:
//! the record of a message has the sequence number of the one that said that it waits.

use bytes::Bytes;
use exchanges::Injected;
use trace_port::Records;
use trace_port::control::what;

use super::engines::Engines;
use crate::injections::{Injections, is_stop};
use crate::options::inject::Instead;
use crate::trace::Trace;

/// Answers where a message to the trace port says that a thread waits. `true` if that is all it says.
pub(super) fn answer(message: &Bytes, injections: &mut Injections, engines: &Engines, trace: &mut Trace<'_>) -> bool {
    if injections.are_none() {
        return false;
    }
    let Ok(mut records) = Records::parse(message) else { return false };
    let Some(Ok(record)) = records.next() else { return false };
    if !is_stop(&record) {
        return false;
    }
    let (what, value, injected) = match injections.decide(&record) {
        None => (what::GO, 0, None),
        Some(Instead::Failure(code)) => (what::FAIL, code, Some(Injected::Failure(code))),
        Some(Instead::Reply(code)) => (what::REPLY, code as u32, Some(Injected::Reply(code))),
        Some(Instead::Delay(time)) => (what::DELAY, time, Some(Injected::Delay)),
    };
    let header = &record.header;
    // One that has been ended, or let go, waits no more: nothing was made of its message.
    if engines.answer(header.thread.get(), what, value)
        && let Some(injected) = injected
    {
        trace.inject(header.sequence.get(), injected);
    }
    // The message's own record has its place in the order, unless it is to come late. What was lost is told by the first that comes.
    what != what::DELAY && header.lost() == 0 && !header.child_not_traced()
}
