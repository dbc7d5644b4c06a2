// SPDX-License-Identifier: GPL-2.0-or-later
//! Which reply belongs to which request.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mach_abi::{Disposition, Format, Header, type_name};
use mig_defs::raw::Items;
use mig_defs::table::Tables;
use trace_port::Direction;

use crate::event::Event;
use crate::exchange::{Actor, Exchange, Outcome, Role};
use crate::names::TaskIndex;
use crate::select::{Looked, Subject};

/// Open exchanges of each role that are remembered; the oldest is given up, and its answer, if it comes, is an orphan.
const OPEN_MAX: usize = 4096;

/// What an event makes of an exchange.
#[derive(Debug)]
pub(crate) enum Step<'t> {
    /// A request, whose answer is to come. It comes back by [`Pairs::keep`].
    Opened(Box<Exchange<'t>>),
    /// A message that expects no answer.
    OneWay(Box<Exchange<'t>>),
    /// An answer, with its request if that was seen.
    Closed(Box<Exchange<'t>>),
    /// A `mach_msg` that failed.
    Failed(Box<Exchange<'t>>),
}

/// Remembers what is open. An exchange stays where it is made: it is large, and passes through several hands.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'t> {
    last: u64,
    calls: VecDeque<Box<Exchange<'t>>>,
    served: VecDeque<Box<Exchange<'t>>>,
    /// What others exchange with the kernel about a task.
    others: VecDeque<Box<Exchange<'t>>>,
    looked: Looked<'t>,
}

impl<'t> Pairs<'t> {
    /// Says what an event is.
    pub(crate) fn step(&mut self, tables: Tables<'t>, event: Event, actor: Actor) -> Step<'t> {
        if let Some(role) = Role::of(event.kind) {
            return self.other(tables, event, (actor, role));
        }
        let Some(header) = event.mach_header.filter(|_| event.retval == 0) else {
            let subject = Subject { failed: true, ..Subject::of(tables, &event) };
            let outcome = Outcome::Failed(event.retval);
            let mut exchange = self.make((actor, Role::Failed), subject, event);
            exchange.outcome = outcome;
            return Step::Failed(exchange);
        };
        match event.direction {
            Direction::Send => self.sent(tables, (header, event), actor),
            Direction::Receive => self.received(tables, (header, event), actor),
        }
    }

    /// Remembers an exchange that was opened. Returns one that is given up for it.
    pub(crate) fn keep(&mut self, exchange: Box<Exchange<'t>>) -> Option<Box<Exchange<'t>>> {
        let open = match exchange.role {
            Role::Client => &mut self.calls,
            Role::Server => &mut self.served,
            _ => &mut self.others,
        };
        let oldest = if open.len() == OPEN_MAX { open.pop_front() } else { None };
        open.push_back(exchange);
        oldest.map(unanswered)
    }

    /// Whether nothing is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.served.is_empty() && self.others.is_empty()
    }

    /// What is still open: nothing comes any more.
    pub(crate) fn end(&mut self) -> impl Iterator<Item = Box<Exchange<'t>>> + use<'t> {
        let Self { calls, served, others, .. } = core::mem::take(self);
        calls.into_iter().chain(served).chain(others).map(unanswered)
    }

    /// What a task that has ended leaves open. What others ask the kernel about it may still be answered.
    pub(crate) fn end_of(&mut self, task: TaskIndex) -> VecDeque<Box<Exchange<'t>>> {
        let mut left = VecDeque::new();
        let is_its = |open: &Exchange<'_>| open.actor.task == task && !matches!(open.role, Role::Control { .. });
        for open in [&mut self.calls, &mut self.served, &mut self.others] {
            let all = core::mem::take(open).into_iter();
            let (ended, rest) = all.partition::<VecDeque<_>, _>(|open| is_its(open));
            *open = rest;
            left.extend(ended.into_iter().map(unanswered));
        }
        left
    }

    fn make(&mut self, (actor, role): (Actor, Role), subject: Subject<'t>, request: Event) -> Box<Exchange<'t>> {
        self.last += 1;
        let (id, request) = (self.last, Some(request));
        Box::new(Exchange { id, actor, role, peer: None, subject, request, reply: None, outcome: Outcome::Open })
    }

    /// An answer whose request was not seen.
    fn orphan(&mut self, tables: Tables<'t>, who: (Actor, Role), reply: Event) -> Step<'t> {
        let subject = Subject::of_reply(tables, &reply);
        self.last += 1;
        let (id, (actor, role)) = (self.last, who);
        let outcome = Outcome::Open;
        let exchange = Exchange { id, actor, role, peer: None, subject, request: None, reply: None, outcome };
        Step::Closed(answered(Box::new(exchange), reply))
    }

    fn sent(&mut self, tables: Tables<'t>, (header, event): (Header, Event), actor: Actor) -> Step<'t> {
        let place = self.served.iter().position(|served| answers(served, header, &event));
        if let Some(mut served) = place.and_then(|place| self.served.remove(place)) {
            served.actor = actor;
            return Step::Closed(answered(served, event));
        }
        let (subject, is_reply) = self.looked.look(tables, &event);
        if is_reply {
            return self.orphan(tables, (actor, Role::Server), event);
        }
        let one_way = subject.routine.is_some_and(|routine| routine.reply_id().is_none());
        let expects_none = one_way || !is_name(header.local_port as u32);
        let exchange = self.make((actor, Role::Client), subject, event);
        if expects_none { Step::OneWay(exchange) } else { Step::Opened(exchange) }
    }

    fn received(&mut self, tables: Tables<'t>, (header, event): (Header, Event), actor: Actor) -> Step<'t> {
        if let Some(mut call) = self.answered_call(header, &event).and_then(|place| self.calls.remove(place)) {
            call.actor = actor;
            return Step::Closed(answered(call, event));
        }
        let (subject, is_reply) = self.looked.look(tables, &event);
        if is_reply {
            return self.orphan(tables, (actor, Role::Client), event);
        }
        let peer = self.asker(event.correlation);
        let reply_right = header.remote_port;
        // The name is used again, so what it stood for before is gone.
        self.served.retain(|served| served.actor.task != actor.task || reply_right_of(served) != Some(reply_right));
        let mut exchange = self.make((actor, Role::Server), subject, event);
        exchange.peer = peer;
        if is_name(reply_right) { Step::Opened(exchange) } else { Step::OneWay(exchange) }
    }

    /// Who waits for the answer to a message that has been received: its request has the same correlation number, also where another has
    /// passed it on.
    fn asker(&self, correlation: u64) -> Option<TaskIndex> {
        let same = |call: &Exchange<'_>| {
            correlation != 0 && call.request.as_ref().is_some_and(|request| request.correlation == correlation)
        };
        self.calls.iter().find(|call| same(call)).map(|call| call.actor.task)
    }

    /// The call that this message answers: by the kernel's correlation number what came to its reply port is its reply, whatever its id.
    /// Else a MIG server's reply has the id that follows, and other servers are taken to answer in order.
    fn answered_call(&self, header: Header, event: &Event) -> Option<usize> {
        self.answered(header, event).map(|(_, place)| place)
    }

    /// The call that a message answers, and how that is known.
    fn answered(&self, header: Header, event: &Event) -> Option<(Sureness, usize)> {
        let asked = |call: &Exchange<'_>| call.request.as_ref().and_then(Asked::of);
        [Sureness::Sure, Sureness::Likely].into_iter().find_map(|sureness| {
            let is_it =
                |call: &Exchange<'_>| asked(call).is_some_and(|asked| asked.is_answered(header, event, sureness));
            Some((sureness, self.calls.iter().position(|call| is_it(call))?))
        })
    }

    /// How an event is known as the answer of an open call, and the place of that in the order of all events.
    pub(crate) fn answer(&self, header: Header, event: &Event) -> Option<(Sureness, u64)> {
        let (sureness, place) = self.answered(header, event)?;
        Some((sureness, self.calls.get(place)?.request.as_ref()?.sequence))
    }

    /// A record of another kind: a request is received on a control port and sent to an exception port.
    fn other(&mut self, tables: Tables<'t>, event: Event, who: (Actor, Role)) -> Step<'t> {
        let is_exception = matches!(who.1, Role::Exception { .. });
        if is_exception == (event.direction == Direction::Send) {
            let subject = Subject::of(tables, &event);
            // An exception's message has no reply port yet.
            let expects_reply =
                is_exception || event.mach_header.is_some_and(|header| is_name(header.local_port as u32));
            let exchange = self.make(who, subject, event);
            return if expects_reply { Step::Opened(exchange) } else { Step::OneWay(exchange) };
        }
        let place = self.others.iter().position(|open| {
            let asked = |request: &Event| request.correlation == event.correlation;
            event.correlation != 0 && open.role == who.1 && open.request.as_ref().is_some_and(asked)
        });
        match place.and_then(|place| self.others.remove(place)) {
            Some(open) => Step::Closed(answered(open, event)),
            None => self.orphan(tables, who, event),
        }
    }
}

/// What the answer to a request is known by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The kernel's number of the task that asks.
    pub(crate) task: u32,
    /// If it sends the request to the port where it expects the answer, the right by which it does.
    pub(crate) to_itself: Option<Disposition>,
    /// Its name for the port where it expects the answer.
    pub(crate) reply_port: u32,
    pub(crate) msgh_id: u32,
    pub(crate) correlation: u64,
    /// Its place in the order of all events.
    pub(crate) sequence: u64,
}

/// How an answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sureness {
    /// By the kernel's correlation number.
    Sure,
    /// By its port and its id.
    Likely,
}

impl Asked {
    fn of(request: &Event) -> Option<Self> {
        let sent = request.mach_header?;
        let (reply_port, msgh_id) = (sent.local_port as u32, sent.id);
        let to_itself = (sent.remote_port == reply_port).then(|| Disposition(sent.remote_disposition()));
        let Event { task, correlation, sequence, .. } = *request;
        Some(Self { task, to_itself, reply_port, msgh_id, correlation, sequence })
    }

    /// Whether this message is the answer.
    pub(crate) fn is_answered(&self, header: Header, event: &Event, sureness: Sureness) -> bool {
        if self.task != event.task {
            return false;
        }
        let same_port = || Some(self.reply_port) == received_on(header, event);
        // Who expects the answer where it sends the request to receives both there. The request has the id and brings the right to answer.
        let is_request = || {
            let right = header.local_disposition();
            let is_by = |sent: Disposition| {
                u32::from(right) == type_name::PROTECTED_PAYLOAD || Disposition(right) == sent.received()
            };
            header.id == self.msgh_id && is_name(header.remote_port) && self.to_itself.is_some_and(is_by)
        };
        let has_its_id = header.id == self.msgh_id.wrapping_add(REPLY_ID_OFFSET);
        match sureness {
            Sureness::Sure => {
                let is_linked = event.correlation != 0 && self.correlation == event.correlation;
                is_linked && (has_its_id || same_port() && !is_request())
            }
            Sureness::Likely => (has_its_id || header.id == MACH_NOTIFY_SEND_ONCE) && same_port(),
        }
    }
}

/// Whether a message answers what a server received: it goes where the answer is to go and has the id of one, or it has any, and the
/// kernel links it to the request.
fn answers(served: &Exchange<'_>, header: Header, event: &Event) -> bool {
    let Some(request) = &served.request else { return false };
    let reply_id = request.mach_header.map(|sent| sent.id.wrapping_add(REPLY_ID_OFFSET));
    let is_linked = event.correlation != 0 && event.correlation == request.correlation;
    request.task == event.task
        && reply_right_of(served) == Some(header.remote_port)
        && (reply_id == Some(header.id) || is_linked)
}

/// The server's name of the right to answer.
fn reply_right_of(served: &Exchange<'_>) -> Option<u32> {
    Some(served.request.as_ref()?.mach_header?.remote_port)
}

/// With its answer.
fn answered(mut exchange: Box<Exchange<'_>>, mut reply: Event) -> Box<Exchange<'_>> {
    if let Some(request) = &exchange.request {
        reply.is_foreign &= request.is_foreign;
    }
    exchange.outcome = Outcome::Answered { failed: !has_succeeded(reply.format, reply.message()) };
    exchange.reply = Some(reply);
    exchange
}

fn unanswered(mut exchange: Box<Exchange<'_>>) -> Box<Exchange<'_>> {
    exchange.outcome = Outcome::Unanswered;
    exchange
}

/// By MIG's convention a return code comes first, or the reply has none and says that all went well.
pub(crate) fn has_succeeded(format: Format, reply: &[u8]) -> bool {
    if Header::read(format, reply).is_some_and(|header| header.id == MACH_NOTIFY_SEND_ONCE) {
        return false;
    }
    match Items::new(format, reply).next() {
        Some(item) => item.return_code().is_none_or(|code| code == 0),
        None => true,
    }
}

/// The port a message came in on, by its name in the receiver; `None` if a protected payload stands in the place of the name and the
/// kernel does not say which port that is.
pub fn received_on(header: Header, event: &Event) -> Option<u32> {
    match event.received_on() {
        Some(port) => Some(port.name.get()),
        None if u32::from(header.local_disposition()) == type_name::PROTECTED_PAYLOAD => None,
        None => Some(header.local_port as u32),
    }
}

/// Whether this names a right at all.
pub fn is_name(name: u32) -> bool {
    name != 0 && name != u32::MAX
}
