// SPDX-License-Identifier: GPL-2.0-or-later
//! Records that are lost: counted, and told of by the next one of their trace.
//!
//! Where none can follow, because the trace has ended, one of their own tells. It has no message, and goes beyond the port's limit, so
//! that it comes although the port is full, which is why others were lost. Nobody waits for it.

use trace_port::record::{self, Part};
use trace_port::{Direction, EventKind, TRACE_RECORD_MSGH_ID};

use crate::draft::{Draft, FIRST};
use crate::emit;
use crate::gnumach::{Kernel, Key, Note, SendRight, option};
use crate::numbers::{TaskNumber, ThreadNumber};
use crate::observe::{self, Event, Moment};
use crate::state::{Released, State};

/// Messages that may wait in the port when one more such record is queued.
pub(crate) const CAP: u32 = 4096;

/// There was no memory for a record, which was to tell of `carried` more.
#[cold]
#[inline(never)]
pub(crate) fn no_memory(kernel: &impl Kernel, state: &State, key: Key, right: SendRight, carried: u32) {
    match drop_records(kernel, state, key, carried, 1) {
        None => kernel.ipc_port_release_send(right),
        Some(untold) => tell(kernel, state, right, (key.number, untold)),
    }
}

/// Counts the records of a message that could not be queued, and those they were to tell of.
#[cold]
#[inline(never)]
pub(crate) fn lose(kernel: &impl Kernel, state: &State, draft: Draft) {
    let record = draft.record();
    let Note { key, part, .. } = kernel.note(record);
    let records = if part as usize == FIRST { 1 } else { 2 };
    let mut carried = 0;
    kernel.record_part(record, FIRST, |first: &mut Part| carried = first.header.dropped.get());
    let untold = drop_records(kernel, state, key, carried, records);
    let right = untold.and_then(|_| kernel.ipc_port_copy_send(kernel.record_port(record)));
    emit::discard(kernel, draft.into_memory());
    if let (Some(untold), Some(right)) = (untold, right) {
        tell(kernel, state, right, (key.number, untold));
    }
}

/// Counts lost records. Of what no record can tell, as the trace has ended, the number is given back.
#[cold]
#[inline(never)]
fn drop_records(kernel: &impl Kernel, state: &State, key: Key, carried: u32, records: u32) -> Option<u32> {
    let (total, goes_on) = state.add_dropped(key, carried, records);
    // At 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
    if total.leading_zeros() != total.wrapping_sub(records).leading_zeros() {
        kernel.report_dropped(total);
    }
    (!goes_on).then(|| record::add_lost(carried, records))
}

/// What a trace leaves behind is given back, once its port has been told what was lost.
#[inline(never)]
pub(crate) fn release(kernel: &impl Kernel, state: &State, mut released: Released) {
    if let Some((right, number, dropped)) = released.untold() {
        tell(kernel, state, right, (number, dropped));
    }
    released.release(kernel);
}

/// Tells the trace port of a task, whose trace may have ended, what was lost: see `RecordHeader::dropped`. There may be no memory for it.
#[cold]
#[inline(never)]
pub(crate) fn tell(kernel: &impl Kernel, state: &State, right: SendRight, (number, dropped): (TaskNumber, u32)) {
    // Before the record is made in a frame of its own: both need much of the stack.
    let moment = Moment::now_apart(kernel, state);
    let Some(blank) = kernel.record_alloc(record::wire_size(0, 0), false) else {
        return kernel.ipc_port_release_send(right);
    };
    // The task may be gone: no right to it.
    let kmsg = kernel.record_begin(blank, right, None);
    let record = kmsg.record();
    kernel.record_part(record, FIRST, |part: &mut Part| {
        let event = Event::other(Direction::Send, EventKind::Lost, ThreadNumber::NONE, moment);
        part.header_type = record::HEADER_TYPE.into();
        part.body_type = record::body_type(0).into();
        part.header = observe::header(kernel, &event, number, 0);
        part.header.dropped = dropped.into();
    });
    kernel.set_message(record, record::wire_size(0, 0) as u32, TRACE_RECORD_MSGH_ID);
    let port = kernel.record_port(record);
    if kernel.port_msgcount(port) >= CAP {
        return emit::discard(kernel, kmsg);
    }
    let queued = kernel.port_is_active(port);
    match emit::silently(kernel, || kernel.ipc_mqueue_send(kmsg, option::MACH_SEND_ALWAYS, 0)) {
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
        Err((_, kmsg)) => emit::discard(kernel, kmsg),
    }
}

#[cfg(test)]
mod tests;
