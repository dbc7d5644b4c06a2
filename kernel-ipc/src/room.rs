// SPDX-License-Identifier: GPL-2.0-or-later
//! Room behind the last record of a message that is not queued, where more is to be said than was known when its memory was taken.

use trace_port::TRACE_RECORD_MSGH_ID;
use trace_port::record::{self, MAX_BATCH, Part};

use crate::deliver;
use crate::draft::Draft;
use crate::emit;
use crate::gnumach::{Kernel, Note, Record};
use crate::named::PORT;
use crate::observe;
use crate::quiet::{self, Wait};
use crate::state::State;

/// Where the first record of a message stands.
const FIRST: u32 = crate::draft::FIRST as u32;

/// Room for so many ports more. Of two records in one message the first goes its own way if both have no room then. `false` if there is no
/// memory, or nobody to tell.
#[inline(never)]
pub(crate) fn make(kernel: &impl Kernel, state: &State, draft: Draft, ports: usize) -> (Draft, bool) {
    let record = draft.record();
    let end = kernel.msgh_size(record.kmsg()) as usize + ports * PORT;
    let most = if kernel.note(record).part == FIRST { usize::MAX } else { MAX_BATCH };
    if kernel.record_room(record.kmsg()).is_some_and(|room| end <= room.min(most)) {
        return (draft, true);
    }
    move_last(kernel, state, draft, ports * PORT)
}

/// The last record in memory of its own, with so many bytes more.
#[inline(never)]
fn move_last(kernel: &impl Kernel, state: &State, draft: Draft, more: usize) -> (Draft, bool) {
    let record = draft.record();
    let note = kernel.note(record);
    let size = (kernel.msgh_size(record.kmsg()) - note.part) as usize;
    let Some(right) = kernel.ipc_port_copy_send(kernel.record_port(record)) else { return (draft, false) };
    let kmsg = match emit::fresh(kernel, observe::current_task(kernel), right, FIRST as usize + size + more, false) {
        Ok(kmsg) => kmsg,
        Err(right) => {
            kernel.ipc_port_release_send(right);
            return (draft, false);
        }
    };
    kernel.record_copy(kmsg.record(), FIRST as usize, record.kmsg(), note.part as usize, size);
    only(kernel, kmsg.record(), FIRST + size as u32, note);
    if note.part == FIRST {
        quiet::discard(kernel, draft.into_memory());
    } else {
        only(kernel, record, note.part, note);
        state.draft_opened();
        deliver::post(kernel, state, draft, Wait::InCall);
    }
    (Draft::of(kmsg), true)
}

/// A message that has one record and ends there.
fn only(kernel: &impl Kernel, record: Record, end: u32, note: Note) {
    kernel.set_note(record, Note { part: FIRST, ..note });
    kernel.set_message(record, end, TRACE_RECORD_MSGH_ID);
    kernel.record_part(record, FIRST as usize, |part: &mut Part| part.header_type = record::HEADER_TYPE.into());
}
