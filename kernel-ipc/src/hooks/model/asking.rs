// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests of trace_control.defs, as `ipc_kobject_server` hands them on, and what it does with them afterwards.

use std::vec;
use std::vec::Vec;

use mach_abi::notify::MACH_NOTIFY_NO_SENDERS;
use mach_abi::type_name::{PORT_SEND, PORT_SEND_ONCE};
use trace_port::control::{self, Action, Engine, Rule, flag};
use trace_port::{EventKind, Records};
use zerocopy::{FromBytes, IntoBytes};

use super::{Model, Seen};
use crate::gnumach::fake::{TRACER, TRACERS_THREAD, control_port};
use crate::gnumach::objects::COMPLEX;
use crate::gnumach::{InTransit, Messages, Port, Task, Thread, Threads, mr};
use crate::hooks::notify;

/// The arguments of a request, item by item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    bytes: Vec<u8>,
    is_complex: bool,
}

impl Arguments {
    /// One integer more.
    pub(crate) fn integer(mut self, value: u32) -> Self {
        self.bytes.extend(control::INTEGER.to_le_bytes());
        self.bytes.extend(u64::from(value).to_le_bytes());
        self
    }

    /// A right more, in transit; to nothing if there is none.
    pub(crate) fn right(mut self, port: Option<Port>) -> Self {
        self.is_complex = true;
        self.bytes.extend(control::SEND_RIGHT.to_le_bytes());
        self.bytes.extend(port.map_or(0, |port| port.address() as u64).to_le_bytes());
        self
    }

    /// A name more.
    pub(crate) fn name(mut self, text: &str) -> Self {
        self.bytes.extend(control::NAME.to_le_bytes());
        let mut name = text.as_bytes().to_vec();
        name.resize(32, 0);
        self.bytes.extend(name);
        self
    }

    /// Rules more.
    pub(crate) fn rules(mut self, rules: &[Rule]) -> Self {
        self.bytes.extend(control::array_of::<Rule>(rules.len()).to_le_bytes());
        self.bytes.extend(rules.as_bytes());
        self
    }

    /// These arguments with one byte another.
    pub(crate) fn changed(mut self, at: usize, value: u8) -> Self {
        let len = self.bytes.len();
        // Of a right nothing is changed but whether it is one: any word may be a port.
        match self.bytes.get_mut(at % len.max(1)) {
            Some(byte) if !self.is_complex || !(8..16).contains(&(at % len)) => *byte = value,
            _ => self.is_complex = false,
        }
        self
    }

    /// These arguments without their end, with more behind it, with rights where there are none and the other way round, and each with another
    /// descriptor.
    pub(crate) fn misshapen(&self) -> Vec<(Vec<u8>, bool)> {
        let Self { bytes, is_complex } = self;
        let mut all = vec![([&bytes[..], &[0; 8]].concat(), *is_complex), (bytes.clone(), !is_complex)];
        if !bytes.is_empty() {
            all.push((bytes[..bytes.len() - 8].to_vec(), *is_complex));
            all.push((Vec::new(), *is_complex));
            let mut changed = bytes.clone();
            changed[0] ^= 1;
            all.push((changed, *is_complex));
        }
        all
    }

    /// Actions more.
    pub(crate) fn actions(mut self, actions: &[Action]) -> Self {
        self.bytes.extend(control::array_of::<Action>(actions.len()).to_le_bytes());
        self.bytes.extend(actions.as_bytes());
        self
    }

    /// Other bytes.
    pub(crate) fn raw(bytes: Vec<u8>, is_complex: bool) -> Self {
        Self { bytes, is_complex }
    }
}

/// A rule.
pub(crate) fn rule(flags: u32, first: u32, last: u32, port: u32) -> Rule {
    Rule { flags: flags.into(), first: first.into(), last: last.into(), port: port.into() }
}

/// What becomes of every message of one id.
pub(crate) fn action(msgh_id: u32, what: u32, value: u32) -> Action {
    let (id, one) = (msgh_id.into(), 1.into());
    Action { first: id, last: id, what: what.into(), value: value.into(), nth: one, step: one }
}

impl Model {
    /// A thread's request to a port of the kernel's: the return code, and what stands behind it in the reply. `None` if it is not served.
    pub(crate) fn ask(&self, thread: Thread, port: Port, id: u32, arguments: &Arguments) -> Option<(u32, Vec<u8>)> {
        self.ask_by((PORT_SEND, thread), port, id, arguments)
    }

    /// Sends a request as [`Model::ask`] does, by a right of this kind.
    fn ask_by(
        &self,
        (kind, thread): (u32, Thread),
        port: Port,
        id: u32,
        arguments: &Arguments,
    ) -> Option<(u32, Vec<u8>)> {
        let current = self.fake.current_thread();
        self.fake.run(thread);
        let Arguments { bytes, is_complex } = arguments;
        let mut message = super::message(if *is_complex { COMPLEX | kind } else { kind }, 0, 0, id, 32);
        message.extend(bytes);
        let request = self.fake.kmsg(&message);
        self.fake.write(request, 8, &(port.address() as u64).to_le_bytes());
        // As the kernel's memory is: whatever it held before.
        let reply = self.fake.new_kmsg([vec![0; 32], vec![0xbb; 4064]].concat(), false);
        let served = notify::asked(&self.fake, &self.state, InTransit::fake(request), InTransit::fake(reply));
        let code = self.fake.read(reply, 40);
        assert!(!served || code >> 32 == 0, "what is behind the return code is sent, too");
        let code = code as u32;
        let size = self.fake.msgh_size(reply) as usize;
        let results = self.fake.memory(reply).bytes[48..size.max(48)].to_vec();
        if !served || !matches!(code, mr::MACH_MSG_SUCCESS | mr::MIG_NO_REPLY) {
            self.release_first_right(request);
        }
        self.fake.free(request);
        self.fake.free(reply);
        self.fake.run(current);
        served.then_some((code, results))
    }

    /// As `ipc_kmsg_destroy`, of a request whose first item may be a right.
    fn release_first_right(&self, request: crate::gnumach::Kmsg) {
        let has_right = self.fake.msgh_bits(request) & COMPLEX != 0
            && self.fake.msgh_size(request) >= 48
            && self.fake.read(request, 32) == control::SEND_RIGHT;
        let word = if has_right { self.fake.read(request, 40) } else { 0 };
        if has_right && word != 0 && word != u64::MAX {
            self.fake.port(Port::fake(word as usize)).rights -= 1;
        }
    }

    /// As [`Model::ask`] by the tracer, of a request that brings nothing but its code.
    pub(crate) fn ask_for_code(&self, port: Port, id: u32, arguments: &Arguments) -> u32 {
        self.ask(TRACERS_THREAD, port, id, arguments).expect("it is served").0
    }

    /// `trace_attach` by the tracer, which receives from the port: the engine's port.
    pub(crate) fn attach(&self, task: Task, port: Port, flags: u32, events: u32, policy: u32) -> Result<Port, u32> {
        if !self.fake.ports.borrow().contains_key(&port.address()) {
            self.fake.add_port(port, TRACER);
        }
        self.fake.port(port).rights += 1;
        self.attach_as("engine", task, Some(port), [flags | flag::CREATE, events, policy])
    }

    /// `trace_attach` by the tracer, whose right to the trace port it takes.
    pub(crate) fn attach_as(
        &self,
        name: &str,
        task: Task,
        port: Option<Port>,
        [flags, events, policy]: [u32; 3],
    ) -> Result<Port, u32> {
        let arguments = Arguments::default().right(port).name(name).integer(flags).integer(events).integer(policy);
        let (code, results) =
            self.ask(TRACERS_THREAD, control_port(task), control::ATTACH_ID, &arguments).expect("it is served");
        if code != mr::MACH_MSG_SUCCESS {
            return Err(code);
        }
        assert_eq!(results[..8], control::SEND_RIGHT.to_le_bytes());
        Ok(Port::fake(u64::from_le_bytes(results[8..].try_into().unwrap()) as usize))
    }

    /// The tracer gives back a right to an engine's port.
    pub(crate) fn give_back_engine(&self, engine: Port) {
        let (rights, is_dead) = {
            let mut port = self.fake.port(engine);
            port.rights -= 1;
            (port.rights, port.dead)
        };
        if rights == 0 && !is_dead {
            let arguments = Arguments::default().integer(1);
            let answer = self.ask_by((PORT_SEND_ONCE, TRACERS_THREAD), engine, MACH_NOTIFY_NO_SENDERS, &arguments);
            assert_eq!(answer.map(|(code, _)| code), Some(mr::MIG_NO_REPLY));
        }
    }

    /// `trace_engines` of a task.
    pub(crate) fn engines_of(&self, task: Task) -> Vec<Engine> {
        let asked = self.ask(TRACERS_THREAD, control_port(task), control::ENGINES_ID, &Arguments::default());
        let (code, results) = asked.expect("it is served");
        assert_eq!(code, mr::MACH_MSG_SUCCESS);
        let count = (results.len() - 8) / size_of::<Engine>();
        assert_eq!(results[..8], control::array_of::<Engine>(count).to_le_bytes());
        <[Engine]>::ref_from_bytes(&results[8..]).unwrap().to_vec()
    }

    /// What came to one port, in its order.
    pub(crate) fn seen_at(&self, port: Port) -> Vec<Seen> {
        let ports: Vec<Port> = self.fake.queued.borrow().iter().map(|queued| queued.port).collect();
        self.seen().into_iter().filter(|seen| ports[seen.came_in] == port).collect()
    }

    /// To which ports messages with records of the kind normal were queued, in this order.
    pub(crate) fn told(&self) -> Vec<Port> {
        let ports: Vec<Port> = self.fake.queued.borrow().iter().map(|queued| queued.port).collect();
        let is_normal = |message: &Vec<u8>| {
            Records::parse(message).unwrap().any(|record| record.unwrap().kind == EventKind::Normal)
        };
        let records = self.fake.records();
        ports.into_iter().zip(&records).filter(|(_, message)| is_normal(message)).map(|(port, _)| port).collect()
    }
}
