// SPDX-License-Identifier: GPL-2.0-or-later
//! Records without a message.

use trace_port::record::{self, Part};
use trace_port::{Direction, EventKind, TRACE_RECORD_MSGH_ID};

use crate::draft::FIRST;
use crate::gnumach::{Kernel, OwnedKmsg, SendRight, option};
use crate::numbers::{TaskNumber, ThreadNumber};
use crate::observe::{self, Event, Moment};
use crate::quiet;

/// Messages that may wait in a port when one more such record is queued that nobody is told of if it is lost.
pub(crate) const CAP: u32 = 4096;

/// What is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// Of which kind.
    pub(crate) kind: EventKind,
    /// About which task.
    pub(crate) task: TaskNumber,
    /// About which thread of it.
    pub(crate) thread: ThreadNumber,
    /// Who it is from.
    pub(crate) sender: u32,
}

impl News {
    /// Of this kind, about nobody yet.
    pub(crate) const fn of(kind: EventKind) -> Self {
        Self { kind, task: TaskNumber::NONE, thread: ThreadNumber::NONE, sender: 0 }
    }
}

/// A record without a message; the right to the port again if there is no memory.
#[inline(never)]
pub(crate) fn record(
    kernel: &impl Kernel,
    right: SendRight,
    task: Option<SendRight>,
    (news, moment, dropped): (&News, Moment, u32),
) -> Result<OwnedKmsg, SendRight> {
    let Some(blank) = kernel.record_alloc(record::wire_size(0, 0), false) else {
        if let Some(task) = task {
            kernel.ipc_port_release_send(task);
        }
        return Err(right);
    };
    let kmsg = kernel.record_begin(blank, right, task);
    let record = kmsg.record();
    kernel.record_part(record, FIRST, |part: &mut Part| {
        let event = Event { sender: news.sender, ..Event::other(Direction::Send, news.kind, news.thread, moment) };
        part.header_type = record::HEADER_TYPE.into();
        part.body_type = record::body_type(0).into();
        part.header = observe::header(kernel, &event, news.task, 0);
        part.header.dropped = dropped.into();
    });
    kernel.set_message(record, record::wire_size(0, 0) as u32, TRACE_RECORD_MSGH_ID);
    Ok(kmsg)
}

/// Queues such a record beyond the limit of its port, if no more than [`CAP`] messages wait there: else nobody is told.
pub(crate) fn send(kernel: &impl Kernel, kmsg: OwnedKmsg) {
    let port = kernel.record_port(kmsg.record());
    if kernel.port_msgcount(port) >= CAP {
        return quiet::discard(kernel, kmsg);
    }
    let queued = kernel.port_is_active(port);
    match quiet::emitting(kernel, || kernel.ipc_mqueue_send(kmsg, option::MACH_SEND_ALWAYS, 0)) {
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
        Err((_, kmsg)) => quiet::discard(kernel, kmsg),
    }
}
