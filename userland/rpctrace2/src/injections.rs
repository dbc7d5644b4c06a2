// SPDX-License-Identifier: GPL-2.0-or-later
//! What `--inject` and `--stop-at` make of messages that wait to be sent, one after the other: which has a message, and whose turn it is.

use alloc::string::String;
use alloc::vec::Vec;

use exchanges::leave_out::close_gaps;
use mach_abi::Header;
use mach_abi::option::MACH_RCV_MSG;
use mig_defs::table::Tables;
use trace_port::control::MAX_ACTIONS;
use trace_port::{EventKind, Record};

use crate::options::inject::{InjectError, Injection, Instead, ids};

/// The injections of a trace, and how often each was asked about.
#[derive(Debug, Default)]
pub struct Injections {
    /// Each with its `msgh_id`s.
    all: Vec<(Injection, Vec<u32>)>,
    counts: Vec<Count>,
    /// The `msgh_id`s of `--stop-at`.
    stops: Vec<u32>,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Go,
    /// This is made of it.
    Instead(Instead),
    /// The user says it.
    Ask,
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
    pub fn of(injections: &[Injection], stops: &[String], tables: Tables<'_>) -> Result<Self, InjectError> {
        let resolve = |injection: &Injection| {
            let injection = injection.clone().resolve(tables)?;
            let ids = injection.ids(tables)?;
            Ok((injection, ids))
        };
        let all = injections.iter().map(resolve).collect::<Result<_, InjectError>>()?;
        let stops = stops.iter().map(|set| ids("--stop-at", set, tables)).collect::<Result<Vec<_>, _>>()?.concat();
        Ok(Self { all, counts: Vec::new(), stops })
    }

    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        self.all.is_empty() && self.stops.is_empty()
    }

    /// The ranges of the `msgh_id`s of all messages that are to wait, as many as a kernel takes at most: others may lie between.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let injected = self.all.iter().flat_map(|(_, ids)| ids.iter().copied());
        let mut ids: Vec<u32> = injected.chain(self.stops.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut ranges: Vec<(u32, u32)> = ids.into_iter().map(|id| (id, id)).collect();
        close_gaps(&mut ranges, MAX_ACTIONS);
        ranges
    }

    /// What is made of the message that a record shows. Counts it. What is injected is not asked about.
    pub fn decide(&mut self, record: &Record<'_>) -> Verdict {
        let Some(Header { id: msgh_id, .. }) = Header::read(record.format, record.message) else { return Verdict::Go };
        let count = self.count(record.header.task.get(), msgh_id);
        let mut of_message = self.all.iter().filter(|(_, ids)| ids.contains(&msgh_id));
        let injection = of_message.find(|(injection, _)| injection.when.has(count));
        let instead = injection.map(|(injection, _)| injection.instead);
        match instead.filter(|instead| may_reply(record) || !matches!(instead, Instead::Reply(_))) {
            Some(instead) => Verdict::Instead(instead),
            None if self.stops.contains(&msgh_id) => Verdict::Ask,
            None => Verdict::Go,
        }
    }

    /// Nobody is asked any more. Whether somebody would have been.
    pub fn ask_no_more(&mut self) -> bool {
        !core::mem::take(&mut self.stops).is_empty()
    }

    /// Whether the user is asked about some.
    pub fn asks(&self) -> bool {
        !self.stops.is_empty()
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

/// Who receives nothing in the same call gets no reply.
pub fn may_reply(record: &Record<'_>) -> bool {
    record.header.options.get() & MACH_RCV_MSG != 0
}
