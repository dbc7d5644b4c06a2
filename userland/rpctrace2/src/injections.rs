// SPDX-License-Identifier: GPL-2.0-or-later
//! What `--inject` makes of messages that wait to be sent, one after the other: which injection has a message, and whose turn it is.

use alloc::vec::Vec;

use exchanges::leave_out::close_gaps;
use mach_abi::Header;
use mach_abi::option::MACH_RCV_MSG;
use mig_defs::table::Tables;
use trace_port::control::MAX_ACTIONS;
use trace_port::{EventKind, Record};

use crate::options::inject::{InjectError, Injection, Instead};

/// The injections of a trace, and how often each was asked about.
#[derive(Debug, Default)]
pub struct Injections {
    /// Each with its `msgh_id`s.
    all: Vec<(Injection, Vec<u32>)>,
    counts: Vec<Count>,
}

/// How many messages of an id a task has been about to send, by the kernel's number of the task.
#[derive(Debug)]
struct Count {
    task: u32,
    msgh_id: u32,
    messages: u32,
}

impl Injections {
    /// As the options say.
    ///
    /// # Errors
    /// The first [`InjectError`].
    pub fn of(injections: &[Injection], tables: Tables<'_>) -> Result<Self, InjectError> {
        let resolve = |injection: &Injection| {
            let injection = injection.clone().resolve(tables)?;
            let ids = injection.ids(tables)?;
            Ok((injection, ids))
        };
        let all = injections.iter().map(resolve).collect::<Result<_, InjectError>>()?;
        Ok(Self { all, counts: Vec::new() })
    }

    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        self.all.is_empty()
    }

    /// The ranges of the `msgh_id`s of all messages that are to wait, as many as a kernel takes at most: others may lie between.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ids: Vec<u32> = self.all.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut ranges: Vec<(u32, u32)> = ids.into_iter().map(|id| (id, id)).collect();
        close_gaps(&mut ranges, MAX_ACTIONS);
        ranges
    }

    /// What is made of the message that a record shows; `None` if it is sent. Counts it.
    pub fn decide(&mut self, record: &Record<'_>) -> Option<Instead> {
        let msgh_id = Header::read(record.format, record.message)?.id;
        let count = self.count(record.header.task.get(), msgh_id);
        let mut of_message = self.all.iter().filter(|(_, ids)| ids.contains(&msgh_id));
        let (injection, _) = of_message.find(|(injection, _)| injection.when.has(count))?;
        // Who receives nothing in the same call gets no reply.
        let may_reply = record.header.options.get() & MACH_RCV_MSG != 0;
        Some(injection.instead).filter(|instead| may_reply || !matches!(instead, Instead::Reply(_)))
    }

    /// Which message of its id of this task it is, from 1.
    fn count(&mut self, task: u32, msgh_id: u32) -> u32 {
        let found = self.counts.iter_mut().find(|count| (count.task, count.msgh_id) == (task, msgh_id));
        if let Some(count) = found {
            count.messages = count.messages.saturating_add(1);
            return count.messages;
        }
        self.counts.push(Count { task, msgh_id, messages: 1 });
        1
    }

    /// A task has ended.
    pub fn forget(&mut self, task: u32) {
        self.counts.retain(|count| count.task != task);
    }
}

/// Whether a record says that a message waits to be sent.
pub fn is_stop(record: &Record<'_>) -> bool {
    record.kind == EventKind::Stopped
}
