// SPDX-License-Identifier: GPL-2.0-or-later
//! Records that are lost: counted, and told of by the next one of their trace.
//!
//! Where none can follow, because the trace has ended, one of their own tells. It has no message, and goes beyond the port's limit, so
//! that it comes although the port is full, which is why others were lost. Nobody waits for it.

use trace_port::EventKind;
use trace_port::record::{self, Part};

use crate::bare::{self, News};
use crate::draft::{Draft, FIRST};
use crate::gnumach::{Kernel, Key, Note, SendRight};
use crate::numbers::TaskNumber;
use crate::observe::Moment;
use crate::quiet;
use crate::state::{Released, State};

/// There was no memory for a record, which was to tell of `carried` more.
#[cold]
#[inline(never)]
pub(crate) fn no_memory(kernel: &impl Kernel, state: &State, key: Key, right: SendRight, carried: u32) {
    state.lose_for_engines(kernel, key, 1);
    match drop_records(kernel, state, key, carried, 1) {
        None => kernel.ipc_port_release_send(right),
        Some(untold) => tell(kernel, state, right, (key.number, untold)),
    }
}

/// Counts the records of a message that nobody has been told of.
#[cold]
#[inline(never)]
pub(crate) fn lose_for_all(kernel: &impl Kernel, state: &State, draft: Draft) {
    let Note { key, part, .. } = kernel.note(draft.record());
    state.lose_for_engines(kernel, key, if part as usize == FIRST { 1 } else { 2 });
    lose(kernel, state, draft);
}

/// Counts the records of a message that could not be queued at the trace port, and those they were to tell of.
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
    quiet::discard(kernel, draft.into_memory());
    if let (Some(untold), Some(right)) = (untold, right) {
        tell(kernel, state, right, (key.number, untold));
    }
}

/// Counts lost records. Of what no record can tell, as the trace has ended, the number is given back.
#[cold]
#[inline(never)]
fn drop_records(kernel: &impl Kernel, state: &State, key: Key, carried: u32, records: u32) -> Option<u32> {
    let (total, goes_on) = state.add_dropped(kernel, key, carried, records);
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
    // Where engine 0 is not there nobody is to be told.
    if kernel.port_is_the_kernels(right.port()) {
        return kernel.ipc_port_release_send(right);
    }
    // Before the record is made in a frame of its own: both need much of the stack.
    let moment = Moment::now_apart(kernel, state);
    let news = News { task: number, ..News::of(EventKind::Lost) };
    // The task may be gone: no right to it.
    match bare::record(kernel, right, None, (&news, moment, dropped)) {
        Ok(kmsg) => bare::send(kernel, kmsg),
        Err(right) => kernel.ipc_port_release_send(right),
    }
}

#[cfg(test)]
mod tests;
