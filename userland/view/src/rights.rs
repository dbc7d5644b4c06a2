// SPDX-License-Identifier: GPL-2.0-or-later
//! What names a task has at an instant, as far as the trace says: those that messages and traps have brought, without those given back.
//!
//! What a task had before the trace, and reply rights, which come and go with every request, are not in it. Where records were lost it may be wrong.

use std::collections::BTreeMap;
use std::rc::Rc;

use exchanges::Event;
use export::model::{Call, Half, Port, Value};
use mach_abi::port::{
    MACH_PORT_RIGHT_DEAD_NAME, MACH_PORT_RIGHT_RECEIVE, MACH_PORT_RIGHT_SEND, MACH_PORT_RIGHT_SEND_ONCE,
};
use mach_abi::trap;

/// What happens to a name of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// So many references to a send right more, or fewer.
    Send(i32),
    /// A send-once right, that comes or goes.
    Once(bool),
    /// The receive right, likewise.
    Receive(bool),
    /// A reference of whatever right it is goes.
    Less,
    /// What the name stood for has died, and the kernel has told so, which is one reference more.
    Dead,
    /// The name means nothing any more.
    Gone,
}

#[derive(Clone, Debug)]
struct Step {
    /// Place of the record in the order of all.
    sequence: u64,
    task: u32,
    name: u32,
    change: Change,
    label: Option<Rc<str>>,
}

/// All that happens to names of tasks.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    steps: Vec<Step>,
    labels: BTreeMap<String, Rc<str>>,
}

/// A name of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// What it stands for.
    pub(crate) label: Rc<str>,
    /// References to a send right that the trace has seen come, less those that it has seen go.
    pub(crate) send: u32,
    pub(crate) has_once: bool,
    pub(crate) has_receive: bool,
    pub(crate) is_dead: bool,
    /// The place in the order of the record that brought it.
    pub(crate) since: u64,
}

impl Rights {
    /// The names of a task (its number in the trace) after the record at this place.
    pub(crate) fn at(&self, task: u32, sequence: u64) -> BTreeMap<u32, Held> {
        let mut names = BTreeMap::<u32, Held>::new();
        for step in self.steps.iter().filter(|step| step.task == task && step.sequence <= sequence) {
            let held = names.entry(step.name).or_insert_with(|| Held { since: step.sequence, ..Held::default() });
            match step.change {
                Change::Send(more) => held.send = held.send.saturating_add_signed(more),
                Change::Once(is_there) => held.has_once = is_there,
                Change::Receive(is_there) => held.has_receive = is_there,
                Change::Less if held.send == 0 => held.has_once = false,
                Change::Less => held.send -= 1,
                Change::Dead => {
                    // Whatever right it was, it is a dead name now.
                    held.send = held.send.saturating_add(1 + u32::from(held.has_once));
                    (held.is_dead, held.has_once) = (true, false);
                }
                Change::Gone => *held = Held::default(),
            }
            if let Some(label) = &step.label {
                held.label = label.clone();
            }
            if held.send == 0 && !held.has_once && !held.has_receive {
                names.remove(&step.name);
            }
        }
        names
    }

    fn push(&mut self, (task, sequence): (u32, u64), name: u32, change: Change, label: Option<&str>) {
        let label = label.map(|label| match self.labels.get(label) {
            Some(known) => known.clone(),
            None => {
                let new = Rc::<str>::from(label);
                self.labels.insert(label.to_owned(), new.clone());
                new
            }
        });
        let step = Step { sequence, task, name, change, label };
        let place = self.steps.iter().rposition(|other| other.sequence <= sequence).map_or(0, |place| place + 1);
        self.steps.insert(place, step);
    }

    /// A message of a call was sent or received.
    pub(crate) fn message(&mut self, call: &Call, half: &Half) {
        // In a message that others send on the task's control port the names are theirs.
        if !matches!(call.role, "client" | "server") {
            return;
        }
        let at = (call.task.index as u32, half.sequence);
        half.arguments.iter().for_each(|field| self.carried(at, half.is_sent, &field.value));
    }

    fn carried(&mut self, at: (u32, u64), is_sent: bool, value: &Value) {
        match value {
            Value::Port(port) => self.right(at, is_sent, port),
            Value::Rights { ports, .. } => ports.iter().for_each(|port| self.right(at, is_sent, port)),
            Value::List(values) => values.iter().for_each(|value| self.carried(at, is_sent, value)),
            Value::Struct(fields) => fields.iter().for_each(|field| self.carried(at, is_sent, &field.value)),
            _ => {}
        }
    }

    fn right(&mut self, at: (u32, u64), is_sent: bool, port: &Port) {
        let (Some(right), Some(name)) = (port.right, port.name.filter(|name| !matches!(*name, 0 | u32::MAX))) else {
            return;
        };
        let change = match (right, is_sent) {
            (right, false) if right.contains("ONCE") => Change::Once(true),
            (right, false) if right.contains("RECEIVE") => Change::Receive(true),
            (right, false) if right.contains("SEND") => Change::Send(1),
            ("MOVE_SEND", true) => Change::Send(-1),
            ("MOVE_SEND_ONCE", true) => Change::Once(false),
            ("MOVE_RECEIVE", true) => Change::Receive(false),
            _ => return,
        };
        self.push(at, name, change, (!is_sent).then_some(&port.label));
    }

    /// A task got a right by a trap: `mach_reply_port` makes a port, the others give a send right.
    pub(crate) fn given(&mut self, task: u32, event: &Event, label: &str) {
        let change = match trap::giving(event.options) {
            Some("mach_reply_port") => Change::Receive(true),
            Some(_) => Change::Send(1),
            None => return,
        };
        if event.rcv_name != 0 {
            self.push((task, event.sequence), event.rcv_name, change, Some(label));
        }
    }

    /// All is known of a call: what the kernel did with names when it was asked to, and what it tells of them.
    pub(crate) fn closed(&mut self, call: &Call) {
        let Some(request) = &call.request else { return };
        let task = call.task.index as u32;
        if call.role == "server" && call.outcome == "one-way" && !request.is_sent {
            let what = match call.name.as_str() {
                "mach_notify_dead_name" => Change::Dead,
                "mach_notify_port_deleted" => Change::Gone,
                _ => return,
            };
            return if let Some((name, _)) = named(request) {
                self.push((task, request.sequence), name, what, None);
            };
        }
        let is_own = call.role == "client" && request.port.as_ref().is_some_and(|port| port.label == "self");
        let Some(reply) = call.reply.as_ref().filter(|_| is_own && !call.has_failed) else { return };
        self.asked((task, reply.sequence), call.name.as_str(), request, reply);
    }

    /// The kernel has done with a name of the task's what the task has asked for.
    fn asked(&mut self, at: (u32, u64), what: &str, request: &Half, reply: &Half) {
        let right = number(request, "right");
        let is_new = right == Some(MACH_PORT_RIGHT_RECEIVE);
        let (half, change) = match what {
            "mach_port_allocate" if is_new => (reply, Change::Receive(true)),
            "mach_port_allocate_name" if is_new => (request, Change::Receive(true)),
            "mach_port_deallocate" => (request, Change::Less),
            "mach_port_destroy" => (request, Change::Gone),
            "mach_port_mod_refs" => {
                let more = number(request, "delta").unwrap_or(0);
                let change = match right {
                    Some(MACH_PORT_RIGHT_SEND | MACH_PORT_RIGHT_DEAD_NAME) => Change::Send(more as i32),
                    Some(MACH_PORT_RIGHT_RECEIVE) if (more as i32) < 0 => Change::Receive(false),
                    Some(MACH_PORT_RIGHT_SEND_ONCE) if (more as i32) < 0 => Change::Once(false),
                    _ => return,
                };
                (request, change)
            }
            "mach_port_insert_right" => (request, inserted(request)),
            _ => return,
        };
        let is_there = matches!(change, Change::Receive(true) | Change::Once(true) | Change::Send(1..));
        if let Some((name, label)) = named(half) {
            self.push(at, name, change, is_there.then_some(&*label));
        }
    }
}

/// The right that `mach_port_insert_right` gives a name.
fn inserted(request: &Half) -> Change {
    let mut rights = request.arguments.iter().rev().filter_map(|field| match &field.value {
        Value::Port(port) => port.right,
        _ => None,
    });
    match rights.next() {
        Some(right) if right.contains("ONCE") => Change::Once(true),
        Some(right) if right.contains("RECEIVE") => Change::Receive(true),
        _ => Change::Send(1),
    }
}

/// The name in the argument of that name, and what it stands for.
fn named(half: &Half) -> Option<(u32, String)> {
    let field = half.arguments.iter().find(|field| matches!(field.name.as_str(), "name" | "port"))?;
    match &field.value {
        Value::Port(port) => Some((port.name?, port.label.clone())),
        Value::Unsigned(name, _) => Some((u32::try_from(*name).ok()?, format!("name {name}"))),
        _ => None,
    }
}

/// The number in the argument of this name, signed or not as its 32 bits.
fn number(half: &Half, name: &str) -> Option<u32> {
    match half.arguments.iter().find(|field| field.name == name)?.value {
        Value::Signed(number, _) => Some(number as u32),
        Value::Unsigned(number, _) => u32::try_from(number).ok(),
        _ => None,
    }
}
