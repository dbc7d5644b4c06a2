// SPDX-License-Identifier: GPL-2.0-or-later
//! Which rights come to tasks and never go, which are given back twice, and who sends to names that stand for nothing.
//!
//! What is counted is what the records show: rights in messages that were sent and received, rights that traps give, and what a task asks the
//! kernel to do with its own names. Whatever else may have changed a name, such as a request of another task, a message that could not be sent, or
//! lost records, makes what is known of it uncertain, and nothing uncertain is called a leak.

mod space;
mod words;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Injected, Names, Sink};
use mach_abi::code::mr;
use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_PORT_DELETED};
use mach_abi::port::{
    MACH_PORT_RIGHT_DEAD_NAME, MACH_PORT_RIGHT_PORT_SET, MACH_PORT_RIGHT_RECEIVE, MACH_PORT_RIGHT_SEND,
    MACH_PORT_RIGHT_SEND_ONCE,
};
use mach_abi::{KernReturn, trap};
use mig_defs::table::Tables;
use mig_defs::value::Value;
use trace_port::{Direction, EventKind, Port};

use self::space::{Freed, Leak, Space, Step, Way};
use super::carried::{Kind, carried};
use super::rights::{Asked, asked, is_own, name_in_answer};
use super::say::ThreadId;
use crate::analysis::{Analysis, Found};

/// Most mistakes of each kind that are told one by one: the first ones.
const MISTAKES: usize = 16;

/// Most tasks that have ended whose sums are told: the last ones.
const ENDED: usize = 32;

/// A right that is given back though its name stands for nothing.
#[derive(Clone, Copy, Debug)]
struct Twice {
    by: ThreadId,
    name: u32,
    msgh_id: u32,
    code: i32,
    time: u64,
    before: Freed,
}

/// A message to a name that stands for nothing, or for a port that is no more.
#[derive(Clone, Copy, Debug)]
struct ToDead {
    by: ThreadId,
    name: u32,
    msgh_id: u32,
    time: u64,
    /// The port that it stood for, and when it was given back if it was.
    port: Port,
    before: Option<Freed>,
}

/// Rights of all tasks.
#[derive(Debug)]
pub(crate) struct Leaks<'t> {
    tables: Tables<'t>,
    /// By the kernel's number of the task.
    spaces: BTreeMap<u32, Space>,
    /// What leaks in tasks that have ended.
    leaks: Vec<(u32, Leak)>,
    /// The last of those tasks, and what came and went.
    ended: Vec<(u32, Space)>,
    twice: Vec<Twice>,
    more_twice: u64,
    to_dead: Vec<ToDead>,
    more_to_dead: u64,
    /// Messages of which the record did not hold all rights.
    cut: u64,
    lost: u64,
}

impl<'t> Leaks<'t> {
    pub(crate) fn new(tables: Tables<'t>) -> Self {
        Self {
            tables,
            spaces: BTreeMap::new(),
            leaks: Vec::new(),
            ended: Vec::new(),
            twice: Vec::new(),
            more_twice: 0,
            to_dead: Vec::new(),
            more_to_dead: 0,
            cut: 0,
            lost: 0,
        }
    }

    fn space(&mut self, task: u32) -> &mut Space {
        self.spaces.entry(task).or_default()
    }

    /// Takes what a message brings or takes.
    fn message(&mut self, event: &Event) {
        let Some(header) = event.mach_header else { return };
        let rights = carried(event);
        self.cut += u64::from(rights.is_none());
        let (tables, time) = (self.tables, event.time);
        let space = self.spaces.entry(event.task).or_default();
        let Some(rights) = rights else {
            // What is not shown may be anything of it.
            return space.forget_all();
        };
        let is_sent = event.direction == Direction::Send;
        if is_sent && event.retval != 0 {
            // Whether the message was taken apart again, and by which names it came back, is not known.
            return rights.iter().for_each(|right| space.forget(right.name));
        }
        let way = way_of(tables, header.id);
        for right in rights {
            let way = if right.in_header && !is_sent { Way::ToAnswer(header.id) } else { way };
            let step = Step { name: right.name, kind: right.kind, way, time };
            match is_sent {
                true if right.moves => space.lose(step, 1),
                true => {}
                false => space.gain(step, right.port, 1),
            }
        }
        if !is_sent && header.id == MACH_NOTIFY_DEAD_NAME {
            // It comes with a reference of the dead name.
            if let Some(name) = first_name(event) {
                space.gain(Step { name, kind: Kind::Send, way, time }, None, 1);
            }
        }
        if !is_sent && header.id == MACH_NOTIFY_PORT_DELETED {
            first_name(event).into_iter().for_each(|name| space.forget(name));
        }
    }

    /// A trap has given a right.
    fn trap(&mut self, event: &Event) {
        let (name, number) = (event.rcv_name, event.options);
        let port = event.port(name).copied();
        let kind = if trap::giving(number) == Some("mach_reply_port") { Kind::Receive } else { Kind::Send };
        let step = Step { name, kind, way: Way::Trap(number, event.thread), time: event.time };
        self.space(event.task).gain(step, port, 1);
    }

    /// The kernel has answered what a task asked about its own rights.
    fn asked(&mut self, exchange: &Exchange<'_>, asked: Asked) {
        let Some(request) = &exchange.request else { return };
        let (task, msgh_id) = (request.task, exchange.subject.msgh_id.unwrap_or(0));
        let (way, time) = (Way::Call(msgh_id), exchange.last().map_or(0, |last| last.time));
        let name_of_new = match asked {
            Asked::Allocate { name: None, .. } => name_in_answer(self.tables, exchange),
            Asked::Allocate { name, .. } => name,
            _ => None,
        };
        let port_of = |name: u32| {
            let mut events = exchange.reply.iter().chain(&exchange.request);
            events.find_map(|event| event.port(name)).copied()
        };
        let space = self.spaces.entry(task).or_default();
        let step = |name, kind| Step { name, kind, way, time };
        match asked {
            Asked::Allocate { right, .. } => {
                if let (Some(name), Some(kind)) = (name_of_new, kind_of(right)) {
                    space.gain(step(name, kind), port_of(name), 1);
                }
            }
            Asked::Deallocate(name) => space.deallocate(name, way, time),
            Asked::Destroy(name) => space.destroy(name, way, time),
            Asked::ModRefs { name, right, delta } => match (kind_of(right), u64::try_from(delta)) {
                (Some(kind), Ok(more)) => space.gain(step(name, kind), port_of(name), more),
                (Some(kind), Err(_)) => space.lose(step(name, kind), delta.unsigned_abs()),
                (None, _) => space.forget(name),
            },
            Asked::Rename(from, to) => space.rename(from, to),
            Asked::Insert(name, disposition) => match Kind::of_disposition(disposition) {
                Some(kind) => space.gain(step(name, kind), port_of(name), 1),
                None => space.forget(name),
            },
            Asked::Extract(name, disposition) => {
                if let Some(kind) = Kind::of_disposition(disposition).filter(|_| moves(disposition)) {
                    space.lose(step(name, kind), 1);
                }
            }
            Asked::Release(names) => names.into_iter().for_each(|name| space.forget(name)),
        }
    }

    /// What a task asked about its own rights has failed.
    fn refused(&mut self, exchange: &Exchange<'_>, asked: Asked) {
        let (Asked::Deallocate(name) | Asked::Destroy(name) | Asked::ModRefs { name, delta: ..0, .. }) = asked else {
            return;
        };
        let (Some(request), Some(reply)) = (&exchange.request, &exchange.reply) else { return };
        let code = reply.items().next().and_then(|item| item.return_code());
        let Some(code) = code.filter(|code| {
            [KernReturn::KERN_INVALID_NAME, KernReturn::KERN_INVALID_RIGHT].contains(&KernReturn(*code))
        }) else {
            return;
        };
        let Some(before) = self.spaces.get(&request.task).and_then(|space| space.freed(name)) else { return };
        let (by, time) = ((request.task, request.thread), request.time);
        if self.twice.len() < MISTAKES {
            let msgh_id = exchange.subject.msgh_id.unwrap_or(0);
            self.twice.push(Twice { by, name, msgh_id, code, time, before });
        } else {
            self.more_twice += 1;
        }
    }

    /// A message could not be sent, as its destination is none.
    fn not_sent(&mut self, event: &Event) {
        let Some((header, space)) = event.mach_header.zip(self.spaces.get(&event.task)) else { return };
        let name = header.remote_port;
        let (port, before) = match (space.port_of(name), space.freed(name)) {
            (Some(port), _) => (port, None),
            (None, Some(before)) => (before.port, Some(before)),
            // It never stood for anything, as far as is known.
            (None, None) => return,
        };
        if self.to_dead.len() < MISTAKES {
            let by = (event.task, event.thread);
            self.to_dead.push(ToDead { by, name, msgh_id: header.id, time: event.time, port, before });
        } else {
            self.more_to_dead += 1;
        }
    }

    /// What is known of names may not hold any more: others have asked about them, or what was asked is not answered.
    fn forget_names_in(&mut self, event: &Event) {
        let space = self.spaces.entry(event.task).or_default();
        let names = event.items().filter_map(|item| match item.value(event.view()) {
            Value::PortName(name) => Some(name),
            _ => None,
        });
        names.for_each(|name| space.forget(name));
    }

    /// A task's records have ended.
    fn end(&mut self, task: u32) {
        if let Some(space) = self.spaces.remove(&task) {
            self.leaks.extend(space.leaks().into_iter().map(|leak| (task, leak)));
            if self.ended.len() == ENDED {
                self.ended.remove(0);
            }
            self.ended.push((task, space));
        }
    }
}

/// By what a message brings rights: as the answer that its id says it is, or by itself.
fn way_of(tables: Tables<'_>, id: u32) -> Way {
    let is_reply = tables.request(id).is_none() && tables.reply(id).is_some();
    if is_reply { Way::Answer(id.wrapping_sub(REPLY_ID_OFFSET)) } else { Way::Message(id) }
}

fn kind_of(right: u32) -> Option<Kind> {
    match right {
        MACH_PORT_RIGHT_SEND | MACH_PORT_RIGHT_DEAD_NAME => Some(Kind::Send),
        MACH_PORT_RIGHT_SEND_ONCE => Some(Kind::SendOnce),
        MACH_PORT_RIGHT_RECEIVE => Some(Kind::Receive),
        MACH_PORT_RIGHT_PORT_SET => Some(Kind::Set),
        _ => None,
    }
}

/// Whether a right that is taken by this disposition is gone.
fn moves(disposition: u8) -> bool {
    use mach_abi::type_name::{MOVE_RECEIVE, MOVE_SEND, MOVE_SEND_ONCE};
    matches!(u32::from(disposition), MOVE_RECEIVE | MOVE_SEND | MOVE_SEND_ONCE)
}

/// The first name without a right in a message.
fn first_name(event: &Event) -> Option<u32> {
    event.items().find_map(|item| match item.value(event.view()) {
        Value::PortName(name) => Some(name),
        _ => None,
    })
}

impl<'t> Analysis<'t> for Leaks<'t> {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        self.write(names, out)
    }
}

impl<'t> Sink<'t> for Leaks<'t> {
    fn opened(&mut self, _: &Names, exchange: &Exchange<'t>) {
        let Some(request) = &exchange.request else { return };
        let was_not_sent = matches!(request.injected, Some(Injected::Reply(_) | Injected::Failure(_)));
        if was_not_sent || matches!(exchange.role, Role::Control { .. }) {
            self.forget_names_in(request);
        }
        if was_not_sent && let Some(rights) = carried(request) {
            let space = self.space(request.task);
            rights.iter().for_each(|right| space.forget(right.name));
        }
    }

    fn closed(&mut self, _: &Names, exchange: &Exchange<'t>) {
        if !is_own(exchange) {
            return;
        }
        let (Some(asked), Some(request)) = (asked(self.tables, exchange), &exchange.request) else { return };
        match exchange.outcome {
            _ if matches!(request.injected, Some(Injected::Reply(_) | Injected::Failure(_))) => {}
            Outcome::Answered { failed: false } | Outcome::OneWay => self.asked(exchange, asked),
            Outcome::Answered { failed: true } => self.refused(exchange, asked),
            _ => self.forget_names_in(request),
        }
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, names: &Names, _: u64, remark: &Remark) {
        match remark {
            Remark::Lost(count) => {
                self.lost = self.lost.saturating_add((*count).into());
                self.spaces.values_mut().for_each(Space::forget_all);
            }
            Remark::Ended { task, .. } => {
                let ended: Vec<u32> =
                    self.spaces.keys().copied().filter(|number| names.find(*number) == Some(*task)).collect();
                ended.into_iter().for_each(|number| self.end(number));
            }
            _ => {}
        }
    }

    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::Normal {
            let space = self.spaces.entry(event.task).or_default();
            space.used(event.rcv_name);
            event.ports().iter().for_each(|port| space.used(port.name.get()));
        }
        match event.kind {
            EventKind::Trap => self.trap(event),
            EventKind::Normal if event.direction == Direction::Send || event.retval == 0 => {
                if event.direction == Direction::Send && event.retval == mr::MACH_SEND_INVALID_DEST {
                    self.not_sent(event);
                }
                self.message(event);
            }
            EventKind::TaskDeath => self.end(event.task),
            _ => {}
        }
    }
}
