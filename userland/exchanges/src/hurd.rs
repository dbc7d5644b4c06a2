// SPDX-License-Identifier: GPL-2.0-or-later
//! What messages of the Hurd's interfaces tell of ports: what a program is given at its start, which file a name was looked up for, whose process
//! a port is of. Each rule is one routine's own meaning; where the answer leaves open what a port is, nothing is said of it.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;

use mig_defs::decode::Message;
use mig_defs::table::Tables;
use mig_defs::value::Value;
use trace_port::{Port, port};

use crate::event::Event;
use crate::exchange::{Exchange, Role};
use crate::given::Roles;
use crate::lessons::{Lesson, number, port_name, right, text};
use crate::names::{Named, Names, TaskIndex, What};

/// `FS_RETRY_NORMAL` and `FS_RETRY_REAUTH` of the Hurd's `hurd/hurd_types.h`.
const RETRY_NORMAL: i64 = 1;
const RETRY_REAUTH: i64 = 2;

/// Lookups that go on, and rendezvous, that are kept in mind; and files that are.
const OPEN: usize = 64;
const FILES: usize = 4096;

/// What was looked up so far.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// Ports from which a lookup is to go on.
    open: VecDeque<Lookup>,
    /// What was given to be authenticated anew: the task, the kernel's numbers of the rendezvous port and of what was given.
    rendezvous: VecDeque<(TaskIndex, u32, u32)>,
    /// The kernel's numbers of ports that are known as files, in the order in which that came to be known.
    files: VecDeque<u32>,
}

/// A lookup that is to go on from a port.
#[derive(Clone, Debug)]
struct Lookup {
    task: TaskIndex,
    /// The kernel's number of the port.
    from: u32,
    /// The whole name.
    name: Rc<[u8]>,
    /// What is left of it to be looked up.
    rest: Vec<u8>,
}

fn keep<T>(known: &mut VecDeque<T>, new: T) {
    if known.len() == OPEN {
        known.pop_front();
    }
    known.push_back(new);
}

impl Lookups {
    fn from(&self, task: TaskIndex, port: u32) -> Option<&Lookup> {
        self.open.iter().rev().find(|lookup| lookup.task == task && lookup.from == port)
    }
}

impl Names {
    /// Learns from a request for something of the Hurd's, or by which a task gives back references.
    pub(crate) fn hurd_asked(&mut self, exchange: &Exchange<'_>, event: &Event, tables: Tables<'_>, lesson: Lesson) {
        let task = exchange.actor.task;
        match lesson {
            Lesson::GiveBack | Lesson::InsertRight if self.has_given() => {
                let is_untraced = |port: &Port| port.kind == port::TASK && self.task_of(port).is_none();
                if !event.remote_port().is_some_and(is_untraced) {
                    // What is no task's own port may stand for the caller's.
                    let target = self.target(exchange).unwrap_or(task);
                    self.gives_back(tables, exchange, target);
                }
            }
            Lesson::Exec => {
                let message = exchange.decode_request(tables);
                let port = message.and_then(|message| event.port(right(&message, "exec_task")?));
                if let Some(target) = port.and_then(|port| self.task_of(port)) {
                    self.loads(target);
                }
            }
            Lesson::Reauthenticate => {
                let message = exchange.decode_request(tables);
                let rendezvous = message.and_then(|message| {
                    let name = right(&message, "rendezvous2").or_else(|| right(&message, "rendezvous"))?;
                    event.port(name)
                });
                if let (Some(rendezvous), Some(object)) = (rendezvous, event.remote_port()) {
                    keep(&mut self.lookups.rendezvous, (task, rendezvous.number.get(), object.number.get()));
                }
            }
            _ => {}
        }
    }

    /// Forgets what a task holds ports for whose names a request has that may take a reference away.
    pub(crate) fn gives_back(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>, target: TaskIndex) {
        if !self.has_given() {
            return;
        }
        let Some(message) = exchange.decode_request(tables) else { return };
        if number(&message, "delta").is_some_and(|delta| delta > 0) {
            return;
        }
        for field in message.fields().map_while(Result::ok) {
            if let Value::PortName(name) = field.value {
                self.forget(target, name);
            }
        }
    }

    /// Learns from a successful answer to a task's own request. `brought` is the answer's only right.
    pub(crate) fn hurd_answered(
        &mut self,
        exchange: &Exchange<'_>,
        (request, reply): (&Message<'_>, &Message<'_>),
        lesson: Lesson,
        brought: Option<Port>,
    ) {
        let task = exchange.actor.task;
        let Some(event) = &exchange.request else { return };
        let asked = |name| event.port(right(request, name)?).copied();
        match (lesson, brought, event.remote_port()) {
            (Lesson::Startup, ..) => self.starts(exchange, reply),
            (Lesson::Lookup, Some(result), Some(start)) => self.looked_up(exchange, (request, reply), (*start, result)),
            (Lesson::Authenticate, Some(port), _) => {
                if let Some(rendezvous) = asked("rendezvous") {
                    self.authenticated(task, rendezvous.number.get(), &port);
                }
            }
            (Lesson::SameFile, Some(port), Some(of)) => self.same_file(of.number.get(), &port),
            (Lesson::ProcOfTask, Some(port), _) => {
                if let Some(target) = asked("task").and_then(|port| self.task_of(&port)) {
                    self.learn(&port, What::Proc(target));
                }
            }
            (Lesson::SetMessagePort, _, Some(proc)) => {
                let (of, port) = (self.task_of_proc(task, proc), asked("newmsgport"));
                if let (Some(of), Some(port)) = (of, port) {
                    self.message_port(of, &port);
                }
            }
            (Lesson::OpenTerminal, Some(port), Some(of)) => {
                let roles = self.roles(task, of).filter(|(_, other)| other.is_none());
                if let Some(roles) = roles.and_then(|(roles, _)| roles.terminal_of()) {
                    self.give(task, &port, roles);
                }
            }
            (Lesson::InsertRight, _, Some(target)) => {
                let child = self.task_of(target).filter(|child| self.is_fork_of(*child, task));
                if let (Some(child), Some(name), Some(port)) = (child, port_name(request, "name"), asked("poly")) {
                    self.inherit(child, task, (name, &port));
                }
            }
            _ => {}
        }
    }

    /// Learns from a server's answer, as far as it does not depend on who asked.
    pub(crate) fn hurd_served(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>) {
        let (Some(request), Some(reply)) = (exchange.decode_request(tables), exchange.decode_reply(tables)) else {
            return;
        };
        let result = exchange.reply.as_ref().and_then(|event| event.port(right(&reply, "result")?)).copied();
        let start = exchange.request.as_ref().and_then(Event::received_on).copied();
        if let (Some(result), Some(start)) = (result, start) {
            self.looked_up(exchange, (&request, &reply), (start, result));
        }
    }

    /// A program has been told what it is given.
    fn starts(&mut self, exchange: &Exchange<'_>, reply: &Message<'_>) {
        let (task, Some(event)) = (exchange.actor.task, &exchange.reply) else { return };
        self.forget_all(task);
        let mut elements = event.elements();
        for field in reply.fields().map_while(Result::ok) {
            let role: fn(usize) -> Option<Roles> = match field.name {
                "dtable" => Roles::descriptor,
                "portarray" => Roles::place,
                _ => |_| None,
            };
            let mut give = |place: usize, port: Option<&Port>| {
                if let (Some(port), Some(roles)) = (port.filter(|port| port.is_known()), role(place)) {
                    self.give(task, port, roles);
                }
            };
            match field.value {
                Value::Array(rights) => rights.iter().enumerate().for_each(|(place, right)| {
                    let Value::Port(right) = right else { return };
                    give(place, event.port(right.name));
                }),
                // Of one that could not be received the record has no elements.
                Value::OutOfLinePorts { address: 1.., count, .. } => {
                    (0..count as usize).for_each(|place| give(place, elements.next()));
                }
                _ => {}
            }
        }
    }

    /// A name was looked up from a port.
    fn looked_up(
        &mut self,
        exchange: &Exchange<'_>,
        (request, reply): (&Message<'_>, &Message<'_>),
        (start, result): (Port, Port),
    ) {
        let (Some(name), Some(rest)) = (text(request, "file_name"), text(reply, "retry_name")) else { return };
        let (task, from) = (exchange.actor.task, start.number.get());
        let is_client = exchange.role == Role::Client;
        // What one has to go on with after an answer is a part of the name that was asked for first.
        let lookup = self.lookups.from(task, from).filter(|lookup| is_client && lookup.rest == name);
        let whole = lookup.map_or_else(|| name.into(), |lookup| lookup.name.clone());
        match number(reply, "do_retry") {
            Some(RETRY_NORMAL) if rest.is_empty() => match whole.is_empty() {
                true => self.same_file(from, &result),
                false => self.is_file(&result, whole),
            },
            Some(RETRY_NORMAL | RETRY_REAUTH) if is_client => {
                let lookup = Lookup { task, from: result.number.get(), name: whole, rest: rest.into() };
                keep(&mut self.lookups.open, lookup);
            }
            _ => {}
        }
    }

    /// What a task gave to be authenticated anew by this rendezvous is this port now.
    fn authenticated(&mut self, task: TaskIndex, rendezvous: u32, port: &Port) {
        let is_it = |given: &&(TaskIndex, u32, u32)| given.0 == task && given.1 == rendezvous;
        let Some(object) = self.lookups.rendezvous.iter().rev().find(is_it).map(|given| given.2) else { return };
        if let Some(lookup) = self.lookups.from(task, object).cloned() {
            keep(&mut self.lookups.open, Lookup { from: port.number.get(), ..lookup });
        }
        self.same_file(object, port);
    }

    /// A port is of the same file as another.
    fn same_file(&mut self, of: u32, port: &Port) {
        if let Some(What::File(name)) = self.what(of).cloned() {
            self.is_file(port, name);
        }
    }

    /// A port is of the file of this name. Of too many files the oldest is forgotten.
    fn is_file(&mut self, port: &Port, name: Rc<[u8]>) {
        if port.kind != port::NONE {
            return;
        }
        let number = port.number.get();
        if !matches!(self.what(number), Some(What::File(_))) {
            if self.lookups.files.len() == FILES
                && let Some(oldest) = self.lookups.files.pop_front()
            {
                self.unlearn(oldest, |what| matches!(what, What::File(_)));
            }
            self.lookups.files.push_back(number);
        }
        self.learn(port, What::File(name));
    }

    /// The traced task whose process a port is of, to a task that holds it.
    fn task_of_proc(&self, task: TaskIndex, proc: &Port) -> Option<TaskIndex> {
        match (self.roles(task, proc), self.named(proc)) {
            (Some((roles, None)), _) if roles.is_proc() => Some(task),
            (_, Named::Known(What::Proc(of))) => Some(*of),
            _ => None,
        }
    }

    /// A task's message port is another one now.
    fn message_port(&mut self, of: TaskIndex, port: &Port) {
        self.unlearn_all(|what| *what == What::MessagePort(of));
        if port.kind == port::NONE {
            self.learn(port, What::MessagePort(of));
        }
    }
}
