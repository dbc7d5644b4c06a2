// SPDX-License-Identifier: GPL-2.0-or-later
//! What the stages make: exchanges, and remarks about the trace itself.

use alloc::vec::Vec;

use mig_defs::decode::Message;
use mig_defs::table::Tables;
use trace_port::{Direction, EventKind, port};

use crate::ending::{Unfinished, Untraced};
use crate::event::Event;
use crate::fate::Fate;
use crate::names::{Names, TaskIndex};
use crate::select::Subject;
use crate::stray::Stray;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Which task.
    pub task: TaskIndex,
    /// The kernel's number of the thread; 0 for the task as a whole.
    pub thread: u32,
}

/// The part that the traced task has in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It sent the request, or a message that expects no answer.
    Client,
    /// It received the request, or a message that expects no answer, and answers.
    Server,
    /// Somebody else asked the kernel for something on the task's control port, or on that of a thread of it.
    Control {
        /// On a thread's.
        of_thread: bool,
    },
    /// The kernel told an exception server of an exception of the task.
    Exception {
        /// On the exception port of the thread.
        of_thread: bool,
    },
    /// Its `mach_msg` failed: [`Exchange::request`] is what was to be sent or received.
    Failed,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet: the answer may come.
    Open,
    /// With an answer.
    Answered {
        /// The return code in it is an error, or it is no answer at all, such as the news that the reply right died.
        failed: bool,
    },
    /// No answer is expected.
    OneWay,
    /// No answer has been seen, and none will be.
    Unanswered,
    /// `mach_msg` failed with this code.
    Failed(u32),
}

/// A request and its answer, or one of them.
#[derive(Clone, Debug)]
pub struct Exchange<'t> {
    /// Counts the exchanges of the trace, from 1, but for those that nobody wants to see, or only counts.
    pub id: u64,
    /// Whose it is.
    pub actor: Actor,
    /// The part it has.
    pub role: Role,
    /// Of what a server is asked: the traced task that the answer goes to, if there is one.
    pub peer: Option<TaskIndex>,
    /// What it is about.
    pub subject: Subject<'t>,
    /// The request; `None` if only the answer was seen.
    pub request: Option<Event>,
    /// The answer.
    pub reply: Option<Event>,
    /// How it ended.
    pub outcome: Outcome,
}

impl<'t> Exchange<'t> {
    /// The request decoded.
    pub fn decode_request<'a>(&'a self, tables: Tables<'a>) -> Option<Message<'a>> {
        let request = self.request.as_ref()?;
        // A message that expects no answer may have the id of somebody's reply.
        match self.subject.routine.filter(|routine| routine.reply_id().is_some()) {
            Some(routine) => request.decode_as(routine, false),
            None => request.decode(tables),
        }
    }

    /// The answer decoded.
    pub fn decode_reply<'a>(&'a self, tables: Tables<'a>) -> Option<Message<'a>> {
        let reply = self.reply.as_ref()?;
        let id = reply.mach_header.map(|header| header.id);
        match self.subject.routine.filter(|routine| id == routine.reply_id()) {
            Some(routine) => reply.decode_as(routine, true),
            None => reply.decode_reply(tables),
        }
    }

    /// The record that came last.
    pub fn last(&self) -> Option<&Event> {
        self.reply.as_ref().or(self.request.as_ref())
    }

    /// Nanoseconds from the request to the answer, if both were seen.
    pub fn duration(&self) -> Option<u64> {
        let (request, reply) = (self.request.as_ref()?, self.reply.as_ref()?);
        Some(reply.time.saturating_sub(request.time))
    }

    /// Whether the plain port names in a message of it, which nobody has a right by in the message, are the traced task's own: not where it
    /// asks something of another task, nor in what another task sends, of whose names the kernel says nothing.
    pub fn has_own_names(&self, event: &Event) -> bool {
        let is_sent = event.direction == Direction::Send;
        match self.role {
            Role::Control { .. } | Role::Exception { .. } => true,
            Role::Server => is_sent || event.is_notification(),
            Role::Client | Role::Failed => match self.request.as_ref().and_then(Event::remote_port) {
                Some(target) if target.kind == port::TASK => target.object.get() == event.task,
                Some(target) => is_sent || target.kind != port::NONE,
                None => is_sent,
            },
        }
    }

    /// Whether the answer is nothing but this return code.
    pub fn is_answered_with(&self, code: i32) -> bool {
        let Some(reply) = &self.reply else { return false };
        let mut items = reply.items();
        let is_it = items.next().and_then(|item| item.return_code()) == Some(code);
        is_it && items.next().is_none()
    }

    /// The code that it ended with: what the answer returns, 0 of a message that was sent and expects none, what `mach_msg` returned.
    /// `None` as long as it has not ended, and of an answer that begins with no return code.
    pub fn code(&self) -> Option<i32> {
        match self.outcome {
            Outcome::OneWay => Some(0),
            Outcome::Failed(code) => Some(code as i32),
            Outcome::Answered { .. } => self.reply.as_ref()?.items().next()?.return_code(),
            Outcome::Open | Outcome::Unanswered => None,
        }
    }

    /// Whether it ended with an error.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Answered { failed: true } | Outcome::Failed(_))
    }
}

impl Role {
    /// The role that a record of another kind than normal shows.
    pub(crate) fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Normal
            | EventKind::Trap
            | EventKind::Lost
            | EventKind::TaskBirth
            | EventKind::ThreadBirth
            | EventKind::ThreadDeath
            | EventKind::TaskDeath
            | EventKind::EngineEnd
            | EventKind::Stopped => None,
            EventKind::Task => Some(Self::Control { of_thread: false }),
            EventKind::Thread => Some(Self::Control { of_thread: true }),
            EventKind::TaskException => Some(Self::Exception { of_thread: false }),
            EventKind::ThreadException => Some(Self::Exception { of_thread: true }),
        }
    }
}

/// Something about the trace itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// So many records were lost.
    Lost(u32),
    /// A child of the task is not traced: the kernel had no room for it.
    ChildNotTraced(TaskIndex),
    /// A task is traced no longer: this one, or somebody outside the trace, set its trace port.
    TraceEnded {
        /// Whose trace.
        target: TaskIndex,
        /// Who asked for it.
        by: Option<Actor>,
    },
    /// No task is traced any more, but the command goes on.
    Untraced {
        /// What became of its trace port.
        now: Untraced,
        /// Who had asked for it, if it was asked for.
        asked: Option<Option<Actor>>,
    },
    /// Somebody asked for the end of a task's trace, and no answer was seen.
    Unfinished(Unfinished),
    /// A message came to the trace port that the kernel did not send.
    Stray(Stray),
    /// A task has ended.
    Ended {
        /// Which.
        task: TaskIndex,
        /// How.
        fate: Fate,
    },
    /// The command has ended and nothing comes any more, but tasks are still traced: among these, whose end was not seen.
    Left(Vec<TaskIndex>),
}

/// A step of an exchange that is only counted: a task's own call of a known routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// It sent a request.
    Asked {
        /// The request's.
        msgh_id: u32,
    },
    /// The answer came.
    Answered {
        /// The request's.
        msgh_id: u32,
        /// With an error.
        failed: bool,
        /// Since the request.
        nanoseconds: u64,
    },
}

/// Takes what the stages make, as it becomes known.
pub trait Sink<'t> {
    /// A request was seen. What comes of it is told later, by [`Sink::closed`].
    fn opened(&mut self, names: &Names, exchange: &Exchange<'t>);

    /// Nothing more will be known of an exchange. Of one that had no request [`Sink::opened`] was not called, nor of one that failed.
    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>);

    /// Where exchanges are only counted: [`Exchanges::new`](crate::Exchanges::new).
    fn counted(&mut self, tally: Tally);

    /// A task got a right by a trap: [`EventKind::Trap`].
    fn given(&mut self, names: &Names, actor: Actor, event: &Event);

    /// Something about the trace itself, at this time.
    fn remark(&mut self, names: &Names, time: u64, remark: &Remark);

    /// A record, in order, before anything is told that it brings about; births and deaths, too, and those of messages that are not selected
    /// unless they are passed over: [`Exchanges::look_at_all`](crate::Exchanges::look_at_all).
    fn event(&mut self, _: &Event) {}
}
