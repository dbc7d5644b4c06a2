// SPDX-License-Identifier: GPL-2.0-or-later
//! What today's kernel would say of the names in the records of version 3: each task's names as the kernel keeps them, worked out from the
//! messages alone. Rights that a message brings are counted, as the kernel does; where a name is used that nothing has brought,
//! the task had it before.

use std::collections::BTreeMap;

use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::{Format, type_name};
use mig_defs::raw::Items;
use mig_defs::value::{Value, View};
use trace_port::{Direction, EventKind, Port, port};

use crate::version3::Old;

const TASK_CREATE: u32 = 2007;
const ALLOCATE_NAME: u32 = 3203;
const ALLOCATE: u32 = 3204;
const DESTROY: u32 = 3205;
const DEALLOCATE: u32 = 3206;
const MOD_REFS: u32 = 3208;
const INSERT_RIGHT: u32 = 3215;
const STARTUP: u32 = 30_500;

const RIGHT_RECEIVE: i64 = mach_abi::port::MACH_PORT_RIGHT_RECEIVE as i64;

/// More references than anybody gives back.
const MANY: i64 = 1 << 40;

/// What the arrays of the first program's start held: they were out of line, and are not in the records. Seen in what it does with the names, and
/// in how many references `mach_port_get_refs` tells of each: 3 of name 5, 2 of name 9.
pub(crate) const DESCRIPTORS: [u32; 6] = [5, 5, 5, 6, 7, 8];
pub(crate) const PLACES: [u32; 6] = [9, 9, 10, 11, 0, 0];

#[derive(Clone, Copy, Debug)]
struct Entry {
    port: Port,
    references: i64,
}

/// The names of all tasks.
#[derive(Default)]
pub(crate) struct Spaces {
    names: BTreeMap<(u32, u32), Entry>,
    last: u32,
    /// Children that are not made yet, the next one last.
    children: Vec<u32>,
    /// Requests to the kernel that are not answered, by correlation number.
    asked: BTreeMap<u64, (Old, Vec<Port>)>,
    started: bool,
}

impl Spaces {
    /// Of a trace of these records, whose first task makes the others, in the order of their numbers.
    pub(crate) fn of(records: &[Old]) -> Self {
        let mut tasks: Vec<u32> = records.iter().map(|old| old.header.task.get()).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks.reverse();
        tasks.pop();
        Self { children: tasks, ..Self::default() }
    }

    fn fresh(&mut self, name: u32, kind: u8, object: u32) -> Port {
        self.last += 1;
        Port { name: name.into(), number: self.last.into(), kind, object: object.into(), ..Port::default() }
    }

    /// What a name of a task stands for.
    fn look(&mut self, task: u32, name: u32) -> Port {
        if let Some(entry) = self.names.get(&(task, name)) {
            return entry.port;
        }
        let port = self.fresh(name, port::NONE, 0);
        self.names.insert((task, name), Entry { port, references: MANY });
        port
    }

    /// A message brings a right.
    fn bring(&mut self, task: u32, name: u32, child: Option<u32>) -> Port {
        // Nobody had a right to a new task before.
        if let Some(entry) = self.names.get_mut(&(task, name)).filter(|_| child.is_none()) {
            entry.references += 1;
            return entry.port;
        }
        let port = match child {
            Some(child) => self.fresh(name, port::TASK, child),
            None => self.fresh(name, port::NONE, 0),
        };
        self.names.insert((task, name), Entry { port, references: 1 });
        port
    }

    fn take(&mut self, task: u32, name: u32, references: i64) {
        if let Some(entry) = self.names.get_mut(&(task, name)) {
            entry.references -= references;
            if entry.references <= 0 {
                self.names.remove(&(task, name));
            }
        }
    }

    /// The ports of a record, and of the elements of the first program's start. Of another kind of record the names of the task it is of.
    pub(crate) fn ports(&mut self, old: &Old) -> Vec<Port> {
        let Some(header) = old.mach_header().filter(|_| old.header.retval.get() == 0) else { return Vec::new() };
        if old.kind() != EventKind::Normal {
            return old.ports();
        }
        let task = old.header.task.get();
        let is_sent = old.direction() == Direction::Send;
        let correlation = old.header.correlation.get();
        let request = if is_sent { None } else { self.asked.remove(&correlation) };
        let request = request.filter(|_| correlation != 0);
        let asked = request.as_ref().and_then(|(old, _)| old.mach_header()).map_or(0, |header| header.id);
        let is_answer = header.id == asked.wrapping_add(REPLY_ID_OFFSET);
        let child = if is_answer && asked == TASK_CREATE { self.children.pop() } else { None };
        let is_name = |name: u32| name != 0 && name != u32::MAX;
        let mut ports = Vec::new();
        for (place, name) in [header.remote_port, header.local_port as u32].into_iter().enumerate() {
            let is_payload = u32::from(header.local_disposition()) == type_name::PROTECTED_PAYLOAD && place == 1;
            if is_name(name) && !is_payload {
                let flags = if place == 1 && !is_sent { port::RECEIVED_ON } else { 0 };
                ports.push(Port { flags, ..self.look(task, name) });
            }
        }
        for item in Items::new(Format::Lp64, &old.message) {
            match item.value(if is_sent { View::Sent } else { View::Received }) {
                Value::Port(right) if is_name(right.name) && !is_sent => {
                    ports.push(self.bring(task, right.name, child))
                }
                Value::Port(right) if is_name(right.name) => {
                    ports.push(self.look(task, right.name));
                    if u32::from(right.disposition.0) == type_name::MOVE_SEND {
                        self.take(task, right.name, 1);
                    }
                }
                // A name in an answer is one that the kernel has made.
                Value::PortName(name) if is_name(name) && is_answer && asked == ALLOCATE => {
                    self.names.remove(&(task, name));
                    ports.push(self.look(task, name));
                }
                Value::PortName(name) if is_name(name) => ports.push(self.look(task, name)),
                _ => {}
            }
        }
        if is_sent && !is_name(header.local_port as u32) {
            // Nobody is told, but it is done.
            self.answered(old, &ports, header.id);
        } else if is_sent && correlation != 0 {
            self.asked.insert(correlation, (old.clone(), ports.clone()));
        } else if let Some((request, of_request)) = request.filter(|_| is_answer) {
            self.answered(&request, &of_request, asked);
            if asked == STARTUP && !self.started {
                self.started = true;
                ports.extend(self.start(task));
            }
        }
        ports
    }

    fn start(&mut self, task: u32) -> Vec<Port> {
        let names = DESCRIPTORS.iter().chain(&PLACES);
        let of = |name: &u32| match name {
            0 => Port { kind: port::NOTHING, ..Port::default() },
            name => self.bring(task, *name, None),
        };
        let elements: Vec<Port> = names.map(of).collect();
        elements.into_iter().map(|element| Port { flags: port::OUT_OF_LINE, ..element }).collect()
    }

    /// The kernel has done what was asked for, if it says so.
    fn answered(&mut self, request: &Old, ports: &[Port], asked: u32) {
        let header = request.mach_header().expect("a header");
        let task = request.header.task.get();
        let target = self.names.get(&(task, header.remote_port)).map(|entry| entry.port);
        let target = target.filter(|port| port.kind == port::TASK).map_or(task, |port| port.object.get());
        let mut values = Items::new(Format::Lp64, &request.message).map(|item| item.value(View::Sent));
        let mut name = 0;
        let mut right = None;
        let mut numbers = Vec::new();
        for value in values.by_ref() {
            match value {
                Value::PortName(found) => name = found,
                Value::Port(found) => right = Some(found.name),
                Value::Signed { value, .. } => numbers.push(value),
                _ => {}
            }
        }
        match asked {
            DEALLOCATE => self.take(target, name, 1),
            DESTROY => drop(self.names.remove(&(target, name))),
            MOD_REFS if numbers.first() == Some(&RIGHT_RECEIVE) => drop(self.names.remove(&(target, name))),
            MOD_REFS => self.take(target, name, -numbers.last().copied().unwrap_or(0)),
            ALLOCATE_NAME => drop(self.names.remove(&(target, name))),
            INSERT_RIGHT if target != task => {
                let of = ports.iter().find(|port| Some(port.name.get()) == right).expect("a port of the request");
                let port = Port { name: name.into(), ..*of };
                self.names.insert((target, name), Entry { port, references: 1 });
            }
            _ => {}
        }
    }
}
