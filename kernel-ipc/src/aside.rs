// SPDX-License-Identifier: GPL-2.0-or-later
//! What is known of a message before it has a record, in memory of a record that lacks a message.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use spin::mutex::SpinMutex;
use trace_port::RecordHeader;
use trace_port::TRACE_RECORD_MSGH_ID;
use trace_port::record::{self, MAX_BATCH, Part};

use crate::draft::FIRST;
use crate::gnumach::{Kernel, Note, OwnedKmsg, Task};
use crate::numbers::ThreadNumber;
use crate::state::{State, Way};
use crate::table::Asked;
use crate::{emit, quiet};

/// A list by the links of the kmsgs. A thread has at most one there.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    first: SpinMutex<Option<OwnedKmsg>>,
    count: AtomicU32,
}

impl Aside {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self { first: SpinMutex::new(None), count: AtomicU32::new(0) }
    }

    /// Whether nothing is there. What a thread has put there itself it sees.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Puts down what is of the thread that [`begin`] was told.
    pub(crate) fn put(&self, kernel: &impl Kernel, kmsg: OwnedKmsg) {
        let mut first = self.first.lock();
        self.count.fetch_add(1, Relaxed);
        kernel.set_link(kmsg.record(), first.take());
        *first = Some(kmsg);
    }

    /// Takes out what is of this thread.
    #[inline(never)]
    pub(crate) fn take(&self, kernel: &impl Kernel, thread: ThreadNumber) -> Option<OwnedKmsg> {
        let mut first = self.first.lock();
        let (mut found, mut others) = (None, None);
        while let Some(kmsg) = first.take() {
            *first = kernel.swap_link(kmsg.record(), None);
            if whose(kernel, &kmsg) == thread {
                found = Some(kmsg);
            } else {
                kernel.set_link(kmsg.record(), others.take());
                others = Some(kmsg);
            }
        }
        *first = others;
        self.count.fetch_sub(u32::from(found.is_some()), Relaxed);
        found
    }
}

fn whose(kernel: &impl Kernel, kmsg: &OwnedKmsg) -> ThreadNumber {
    let mut thread = 0;
    kernel.record_part(kmsg.record(), FIRST, |part: &mut Part| thread = part.header.thread.get());
    ThreadNumber::new(thread)
}

/// A record of nothing yet, for a thread of a traced task; `None` if there is no memory.
#[inline(never)]
pub(crate) fn begin(kernel: &impl Kernel, state: &State, task: Task, thread: ThreadNumber) -> Option<OwnedKmsg> {
    let target = state.target(kernel, task, true, || Asked::ANYTHING)?;
    if target.dropped != 0 {
        // The record that comes tells of it.
        state.add_dropped(kernel, target.key, target.dropped, 0);
    }
    let kmsg = match target.way {
        Way::Memory(kmsg) => kmsg,
        Way::Right(right) => match emit::fresh(kernel, task, right, MAX_BATCH, true) {
            Ok(kmsg) => kmsg,
            Err(right) => {
                kernel.ipc_port_release_send(right);
                return None;
            }
        },
    };
    let record = kmsg.record();
    kernel.set_note(
        record,
        Note { key: target.key, part: FIRST as u32, lost: state.lost(), has_engines: false, answers: false },
    );
    kernel.record_part(record, FIRST, |part: &mut Part| {
        part.header_type = record::HEADER_TYPE.into();
        part.header = RecordHeader { thread: thread.get().into(), ..RecordHeader::default() };
        part.body_type = record::body_type(0).into();
    });
    // Only now: when it is destroyed, the kernel looks for rights behind every descriptor of the message.
    kernel.set_message(record, record::wire_size(0, 0) as u32, TRACE_RECORD_MSGH_ID);
    Some(kmsg)
}

/// Its memory serves for the task's next record.
pub(crate) fn give_back(kernel: &impl Kernel, state: &State, kmsg: OwnedKmsg) {
    let key = kernel.note(kmsg.record()).key;
    if let Err(kmsg) = state.keep_spare(kernel, key, kmsg) {
        quiet::discard(kernel, kmsg);
    }
}
