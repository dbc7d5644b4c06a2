// SPDX-License-Identifier: GPL-2.0-or-later
//! Which of a task's calls can be sent again, in their order, with what each needs and brings.

use std::collections::{HashMap, HashSet};

use exchanges::Event;
use export::model::{Call, Contents, Half, Value};
use mach_abi::Header;
use mach_abi::header::LP64;
use protocol::replay::{self, CALLS_MAX, Known, Step};
use trace_port::port;

use crate::Calls;
use crate::parts::{FORMAT, Part, parts};
pub use crate::refuse::Why;
use crate::refuse::harm;

/// Addresses below are of no memory: they are sent as they are.
const FIRST_PAGE: u64 = 4096;
/// Names that stand for no port.
const NO_PORTS: [u32; 2] = [0, u32::MAX];
/// The trap that gives a receive right.
const MACH_REPLY_PORT: u32 = 26;

/// Routines that change what is in memory, which no answer is compared for, and nothing else.
const CONTENTS: [&str; 1] = ["vm_write"];
/// What is another thing after a request to it.
const KINDS: [u8; 4] = [port::TASK, port::THREAD, port::MEMORY_OBJECT, port::MEMORY_CONTROL];

/// What can be replayed of a task.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What is done.
    pub steps: Vec<Step>,
    /// The calls that are sent again; the number of each is its place, from 1.
    pub calls: Vec<Call>,
    /// Those that are not, and why.
    pub refused: Vec<(Call, Why)>,
    /// Something that memory out of line held is known of an answer, so that the replay has to know it, too.
    pub has_memory: bool,
}

/// What is known when a call comes.
#[derive(Debug, Default)]
struct World {
    /// Ports that will be known then.
    ports: HashSet<u32>,
    /// Those that the task receives from.
    own: HashSet<u32>,
    /// Its control port and that of its first thread.
    selves: HashSet<u32>,
    /// Memory that will be known: begin and size.
    memory: Vec<(u64, u64)>,
    /// What calls that are not replayed have made something of: ports, and memory.
    spoiled: HashSet<u32>,
    spoiled_memory: Vec<(u64, u64)>,
    /// The kernel's numbers of the task and of its first thread.
    task: u32,
    thread: u32,
}

/// Plans the calls of the task with this number in the trace, from 1, as a client.
pub fn plan(calls: &Calls, task: usize) -> Plan {
    let of_task = |call: &&Call| call.task.index == task && matches!(call.role, "client" | "failed");
    let mut ordered: Vec<(u64, &Call)> = calls.calls.iter().filter(of_task).map(|call| (begin(call), call)).collect();
    ordered.sort_by_key(|(sequence, _)| *sequence);
    let mut traps = calls.traps.iter().filter(|(index, _)| *index == task).map(|(_, event)| event).peekable();
    let (mut plan, mut world) = (Plan::default(), World::default());
    for (sequence, call) in ordered {
        while let Some(event) = traps.next_if(|event| event.sequence < sequence) {
            world.trap(event, &mut plan);
        }
        match world.call(call, &mut plan) {
            Ok(step) => {
                plan.steps.push(Step::Call(step));
                plan.calls.push(call.clone());
            }
            Err(why) => {
                world.spoil(call);
                plan.refused.push((call.clone(), why));
            }
        }
    }
    plan
}

/// The place of a call's first record in the order of all.
fn begin(call: &Call) -> u64 {
    call.request.as_ref().or(call.reply.as_ref()).map_or(0, |half| half.sequence)
}

impl World {
    fn trap(&mut self, event: &Event, plan: &mut Plan) {
        let Some(port) = event.ports().iter().find(|port| port.is_known() && port.number.get() != 0) else { return };
        let number = port.number.get();
        if event.options == MACH_REPLY_PORT {
            self.own.insert(number);
        } else {
            self.selves.insert(number);
        }
        self.ports.insert(number);
        plan.steps.push(Step::Trap(event.options, number));
    }

    fn call(&mut self, call: &Call, plan: &mut Plan) -> Result<replay::Call, Why> {
        if call.role == "failed" {
            return Err(Why::NotSent);
        }
        let request = call.request.as_ref().ok_or(Why::NoRequest)?;
        let event = request.record.as_ref().ok_or(Why::NoRequest)?;
        if event.format != FORMAT {
            return Err(Why::Format);
        }
        if event.injected.is_some() {
            return Err(Why::Injected);
        }
        if request.missing > 0 {
            return Err(Why::Cut);
        }
        let header = event.mach_header.ok_or(Why::NoRequest)?;
        (self.task, self.thread) = (event.task, if self.thread == 0 { event.thread } else { self.thread });
        let target = self.name(event, header.remote_port, plan)?;
        if self.own.contains(&target) {
            return Err(Why::ToItself);
        }
        let routine = call.routine.as_deref().ok_or(Why::NoRoutine)?;
        if let Some(why) = harm(routine, self.selves.contains(&target)) {
            return Err(why);
        }
        let is_answered = call.reply.is_some();
        if !is_answered && call.outcome != "one-way" {
            return Err(Why::NoAnswer);
        }
        let number = u32::try_from(plan.calls.len() + 1).ok().filter(|number| *number <= CALLS_MAX);
        let mut step = replay::Call {
            number: number.ok_or(Why::TooMany)?,
            is_answered,
            message: event.message().to_vec(),
            ports: vec![(LP64.remote_port, target)],
            ..replay::Call::default()
        };
        self.answer_port(event, header, &mut step, plan)?;
        for part in parts(event, request, 0).ok_or(Why::NotAsDefined)? {
            self.argument(event, &part, &mut step, plan)?;
        }
        self.brings(call, &mut step);
        plan.has_memory |= compare::memory(call) == Some(true);
        Ok(step)
    }

    /// A call is not replayed, so that what it is about is not what it was then.
    fn spoil(&mut self, call: &Call) {
        let Some(request) = &call.request else { return };
        let Some(event) = &request.record else { return };
        let is_memory = call.routine.as_deref().is_none_or(|name| !CONTENTS.contains(&name));
        if let Some(target) = event.remote_port().filter(|target| KINDS.contains(&target.kind)) {
            self.spoil_port(target.number.get());
        }
        for part in parts(event, request, 0).unwrap_or_default() {
            match &part.field.value {
                Value::Port(port) => port.number.into_iter().for_each(|number| self.spoil_port(number)),
                Value::List(values) => {
                    for value in values {
                        if let Value::Port(export::model::Port { number: Some(number), .. }) = value {
                            self.spoil_port(*number);
                        }
                    }
                }
                Value::Rights { ports, .. } => {
                    ports.iter().filter_map(|port| port.number).for_each(|number| self.spoil_port(number));
                }
                Value::Memory { address: Some(address), size, .. } if part.item.descriptor.deallocate => {
                    self.spoiled_memory.push((*address, *size));
                }
                Value::Unsigned(address, _) if is_memory && is_address(&part) && *address >= FIRST_PAGE => {
                    let size = sizes(request).next_back().unwrap_or(FIRST_PAGE);
                    self.spoiled_memory.push((*address, size));
                }
                _ => {}
            }
        }
    }

    fn spoil_port(&mut self, number: u32) {
        if !self.selves.contains(&number) {
            self.spoiled.insert(number);
        }
    }

    /// The port for the answer is the program's own; where none is waited for, whatever stands there has to be known.
    fn answer_port(
        &mut self,
        event: &Event,
        header: Header,
        step: &mut replay::Call,
        plan: &mut Plan,
    ) -> Result<(), Why> {
        let name = header.local_port as u32;
        if !step.is_answered && !NO_PORTS.contains(&name) {
            step.ports.push((LP64.local_port, self.name(event, name, plan)?));
        }
        Ok(())
    }

    /// The port that a name stands for, if it will be known.
    fn name(&mut self, event: &Event, name: u32, plan: &mut Plan) -> Result<u32, Why> {
        let port = event.port(name).filter(|port| port.number.get() != 0).ok_or(Why::UnknownName(name))?;
        let number = port.number.get();
        if self.spoiled.contains(&number) {
            return Err(Why::Spoiled);
        }
        if self.ports.contains(&number) {
            return Ok(number);
        }
        let known = match (port.kind, port.object.get()) {
            (port::TASK, task) if task == self.task => Known::Task,
            (port::THREAD, thread) if thread == self.thread => Known::Thread,
            (port::HOST, _) => Known::Host,
            (port::HOST_PRIVILEGED, _) => Known::HostPrivileged,
            (port::MASTER_DEVICE, _) => Known::DeviceMaster,
            _ => return Err(Why::Port(format!("port {number}"), number)),
        };
        if matches!(known, Known::Task | Known::Thread) {
            self.selves.insert(number);
        }
        self.ports.insert(number);
        plan.steps.push(Step::Known(number, known));
        Ok(number)
    }

    fn argument(
        &mut self,
        event: &Event,
        part: &Part<'_>,
        step: &mut replay::Call,
        plan: &mut Plan,
    ) -> Result<(), Why> {
        match &part.field.value {
            Value::Wrong(_) => Err(Why::NotAsDefined),
            Value::Port(port) => self.port(event, port, part.data_at, step, plan).map_err(|why| told(why, port)),
            Value::List(values) if matches!(values.first(), Some(Value::Port(_))) => {
                let wide = usize::from(part.item.descriptor.size / 8);
                values.iter().enumerate().try_for_each(|(place, value)| {
                    let Value::Port(port) = value else { return Err(Why::NotAsDefined) };
                    let at = part.data_at + place * wide;
                    self.port(event, port, at, step, plan).map_err(|why| told(why, port))
                })
            }
            Value::Memory { size: 0, .. } | Value::Rights { count: 0, .. } => Ok(()),
            Value::Memory { address: Some(address), size, contents: Contents::Read { bytes, .. } }
                if bytes.len() as u64 == *size =>
            {
                step.contents.push((part.data_at, bytes.clone()));
                self.keep(part, (*address, *size), &mut step.message);
                Ok(())
            }
            Value::Memory { size, .. } => Err(Why::Memory(*size)),
            Value::Rights { .. } => Err(Why::Rights),
            Value::Unsigned(address, _) if is_address(part) => {
                if *address >= FIRST_PAGE {
                    if self.spoiled_memory.iter().any(|(begin, size)| address.wrapping_sub(*begin) < *size) {
                        return Err(Why::Spoiled);
                    }
                    let is_known = self.memory.iter().any(|(begin, size)| address.wrapping_sub(*begin) <= *size);
                    if !is_known || part.item.data.len() != 8 {
                        return Err(Why::Address(*address));
                    }
                    step.addresses.push((part.data_at, *address));
                }
                Ok(())
            }
            Value::Unsigned(..) => Ok(()),
            value if has_address(value, &part.field.ty) => Err(Why::AddressWithin),
            _ => Ok(()),
        }
    }

    /// Memory that the client gave away with a request is sent from other memory, which stays: what is about it from then on cannot be as it was.
    fn keep(&mut self, part: &Part<'_>, given: (u64, u64), message: &mut [u8]) {
        let mut descriptor = part.item.descriptor;
        if descriptor.deallocate {
            self.spoiled_memory.push(given);
            descriptor.deallocate = false;
            let kept = descriptor.to_word().to_le_bytes();
            let place = message.get_mut(part.descriptor_at..).and_then(|rest| rest.first_chunk_mut());
            place.into_iter().for_each(|place| *place = kept);
        }
    }

    fn port(
        &mut self,
        event: &Event,
        port: &export::model::Port,
        at: usize,
        step: &mut replay::Call,
        plan: &mut Plan,
    ) -> Result<(), Why> {
        let name = port.name.ok_or(Why::UnknownName(0))?;
        if !NO_PORTS.contains(&name) {
            step.ports.push((at, self.name(event, name, plan)?));
        }
        Ok(())
    }

    /// Takes note of what the answer brings: what of it is where, and that it will be known.
    fn brings(&mut self, call: &Call, step: &mut replay::Call) {
        let Some(reply) = call.reply.as_ref().filter(|_| !call.has_failed) else { return };
        let Some(event) = reply.record.as_ref().filter(|event| event.format == FORMAT) else { return };
        let Some(parts) = parts(event, reply, usize::from(reply.code.is_some())) else { return };
        let size = call.request.iter().chain([reply]).flat_map(sizes).last().unwrap_or(FIRST_PAGE);
        for part in &parts {
            match &part.field.value {
                Value::Port(port) => self.gives(call, port, part, 0, step),
                Value::List(values) => {
                    let wide = usize::from(part.item.descriptor.size / 8);
                    for (place, value) in values.iter().enumerate() {
                        if let Value::Port(port) = value {
                            self.gives(call, port, part, place * wide, step);
                        }
                    }
                }
                Value::Memory { address: Some(address), size, .. } if *size > 0 => {
                    step.memory.push((part.place(0), *address, *size));
                    self.remember(*address, *size);
                }
                Value::Unsigned(address, _) if is_address(part) && part.item.data.len() == 8 => {
                    step.memory.push((part.place(0), *address, size));
                    self.remember(*address, size);
                }
                _ => {}
            }
        }
    }

    /// There is memory that was not there before, whatever was.
    fn remember(&mut self, address: u64, size: u64) {
        self.spoiled_memory.retain(|(begin, length)| {
            *begin >= address.saturating_add(size) || address >= begin.saturating_add(*length)
        });
        self.memory.push((address, size));
    }

    fn gives(
        &mut self,
        call: &Call,
        port: &export::model::Port,
        part: &Part<'_>,
        behind: usize,
        step: &mut replay::Call,
    ) {
        let Some(number) = port.number else { return };
        step.gives.push((part.place(behind), number));
        self.ports.insert(number);
        // A name without a right in it is one that the kernel has just made.
        let makes = call.routine.as_deref().is_some_and(|name| name.starts_with("mach_port_allocate"));
        if makes && port.right.is_none() {
            self.own.insert(number);
        }
    }
}

/// Whether an argument is an address; an alignment only has its type.
fn is_address(part: &Part<'_>) -> bool {
    compare::is_address(&part.field.ty) && part.field.name != "mask"
}

/// How much memory a message is about.
fn sizes(half: &Half) -> impl DoubleEndedIterator<Item = u64> {
    half.arguments.iter().filter_map(|field| match field.value {
        Value::Unsigned(size, _) if field.ty.ends_with("vm_size_t") => Some(size),
        _ => None,
    })
}

/// With what the port is called instead of its number.
fn told(why: Why, port: &export::model::Port) -> Why {
    match why {
        Why::Port(_, number) => Why::Port(port.label.clone(), number),
        other => other,
    }
}

/// Whether some address in it may be of memory.
fn has_address(value: &Value, ty: &str) -> bool {
    match value {
        Value::Unsigned(address, _) => compare::is_address(ty) && *address >= FIRST_PAGE,
        Value::Signed(address, _) => compare::is_address(ty) && *address != 0,
        Value::List(values) => values.iter().any(|value| has_address(value, ty)),
        Value::Struct(fields) => fields.iter().any(|field| has_address(&field.value, &field.ty)),
        _ => false,
    }
}

/// What is known of a task's calls by the numbers that a replay has sent them with.
pub(crate) fn replayed(calls: &Calls) -> HashMap<u32, &Call> {
    let number = |call: &Call| replay::number_of(call.request.as_ref()?.record.as_ref()?.mach_header?.seqno);
    calls
        .calls
        .iter()
        .filter_map(|call| Some((number(call)?, call)))
        .filter(|(_, call)| call.role != "server")
        .collect()
}
