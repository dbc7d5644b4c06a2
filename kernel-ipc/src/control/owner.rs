// SPDX-License-Identifier: GPL-2.0-or-later
//! The requests of trace_control.defs about the system trace, and about further tasks of an engine.

use mach_abi::header::LP64;
use trace_port::control::owner::wire::{self, EngineRequest, RightRequest, ToolRequest};
use trace_port::control::owner::{Refused, Tool, part};
use trace_port::control::{self, flag};
use trace_port::record::Prefix;

use super::{ARGUMENTS, Refusal, Results, Server, TaskOf, integer, known};
use crate::engines::Wish;
use crate::gnumach::objects::PORT_SEND;
use crate::gnumach::{Kernel, Port, SendRight, mr, option};
use crate::state::{Done, State, SystemEngine};
use crate::{fan_out, observe, quiet, recorder};

/// Where the right stands in a request with one.
const RIGHT: usize = ARGUMENTS + core::mem::offset_of!(RightRequest, right);
/// Where the right to the trace port stands in a `trace_owner_engine`.
const TRACE_PORT: usize = ARGUMENTS + core::mem::offset_of!(EngineRequest, trace_port);

/// A right in a request.
enum Sent {
    Nothing,
    Dead,
    Right(SendRight),
}

impl<K: Kernel> Server<'_, K> {
    /// Serves a request with this id; nothing if it is another's.
    pub(super) fn of_system(&self, id: u32) -> Option<Result<Results, Refusal>> {
        Some(match id {
            wire::STATE_ID => self.owner_state(),
            wire::TOOL_ID => self.owner_tool(),
            wire::POLICY_ID => self.owner_policy(),
            wire::SET_ID => self.owner_set(),
            wire::CLAIM_ID => self.owner_claim(),
            wire::RESET_ID => self.owner_reset(),
            wire::BACKGROUND_ID => self.owner_background(),
            wire::ENGINE_ID => self.owner_engine(),
            wire::JOIN_ID => self.join(),
            _ => return None,
        })
    }

    fn owner_state(&self) -> Result<Results, Refusal> {
        self.is_sized(ARGUMENTS, false)?;
        let (mut state, engine) = self.state.owner.state();
        if let Some(engine) = engine.filter(|&engine| self.state.engine_state(engine).is_some()) {
            state.engine = engine.number.into();
        }
        self.result(wire::STATE, &state)
    }

    fn is_privileged(&self) -> Result<(), Refusal> {
        let port = self.kernel.destination(self.request);
        if self.kernel.port_is_host_privileged(port) { Ok(()) } else { Err(mr::KERN_INVALID_HOST) }
    }

    fn owner_tool(&self) -> Result<Results, Refusal> {
        let Self { kernel, state, .. } = *self;
        self.is_privileged()?;
        let ToolRequest { name_type, name } = self.arguments(false)?;
        if name_type.get() != control::NAME {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        self.has_room(16)?;
        let own = kernel.kernel_port().ok_or(mr::KERN_RESOURCE_SHORTAGE)?;
        let Some(place) = state.owner.add_tool(own.port(), name) else {
            kernel.end_kernel_port(own.port());
            kernel.ipc_port_release_send(own);
            return Err(mr::KERN_RESOURCE_SHORTAGE);
        };
        kernel.watch_senders(own.port(), place);
        Ok(self.engine_right(own))
    }

    fn owner_policy(&self) -> Result<Results, Refusal> {
        self.is_privileged()?;
        let policy = integer(self.arguments(false)?)?;
        if policy > wire::policy::LAST {
            return Err(mr::KERN_INVALID_VALUE);
        }
        self.state.owner.let_anyone(policy == wire::policy::ANYONE);
        Ok(Results::NONE)
    }

    /// The tool that has this port.
    fn tool_of(&self, port: Port) -> Option<Tool> {
        self.state.owner.tool(port, self.kernel.kernel_port_object(port))
    }

    /// The tool that the request is addressed to.
    fn tool(&self) -> Result<Tool, Refusal> {
        self.tool_of(self.kernel.destination(self.request)).ok_or(mr::KERN_INVALID_ARGUMENT)
    }

    /// The right of a request that has one argument.
    fn right(&self) -> Result<Sent, Refusal> {
        let RightRequest { right_type, right } = self.arguments(true)?;
        if right_type.get() != control::SEND_RIGHT {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        Ok(match self.kernel.take_right(self.request, RIGHT) {
            Some(right) => Sent::Right(right),
            None if right.get() == 0 => Sent::Nothing,
            None => Sent::Dead,
        })
    }

    fn owner_set(&self) -> Result<Results, Refusal> {
        let by = if self.is_privileged().is_ok() { None } else { Some(self.tool()?) };
        let set = |to| {
            let done = self.state.owner.set(self.kernel, by, to).map_err(code)?;
            finish(self.kernel, self.state, done);
            Ok(Results::NONE)
        };
        match self.right()? {
            Sent::Nothing => set(None),
            Sent::Dead => Err(mr::KERN_INVALID_ARGUMENT),
            Sent::Right(right) => {
                let to = self.tool_of(right.port());
                let result = if to.is_some() { set(to) } else { Err(mr::KERN_INVALID_ARGUMENT) };
                self.kernel.ipc_port_release_send(right);
                result
            }
        }
    }

    fn parts(&self) -> Result<u32, Refusal> {
        let parts = integer(self.arguments(false)?)?;
        if parts == 0 || parts & !part::ALL != 0 { Err(mr::KERN_INVALID_VALUE) } else { Ok(parts) }
    }

    fn owner_claim(&self) -> Result<Results, Refusal> {
        let tool = self.tool()?;
        let done = self.state.owner.claim(self.kernel, tool, self.parts()?).map_err(code)?;
        finish(self.kernel, self.state, done);
        Ok(Results::NONE)
    }

    fn owner_reset(&self) -> Result<Results, Refusal> {
        let tool = self.tool()?;
        let done = self.state.owner.reset(self.kernel, tool, self.parts()?).map_err(code)?;
        finish(self.kernel, self.state, done);
        Ok(Results::NONE)
    }

    /// Who cannot be told does not become the background tool.
    fn owner_background(&self) -> Result<Results, Refusal> {
        let tool = self.tool()?;
        let Sent::Right(notify) = self.right()? else { return Err(mr::KERN_INVALID_ARGUMENT) };
        if self.kernel.port_is_the_kernels(notify.port()) {
            // The message would be a request to the kernel.
            self.kernel.ipc_port_release_send(notify);
            return Err(mr::KERN_INVALID_ARGUMENT);
        }
        let done = self.state.owner.register(self.kernel, tool, notify);
        finish(self.kernel, self.state, done);
        Ok(Results::NONE)
    }

    fn owner_engine(&self) -> Result<Results, Refusal> {
        let tool = self.tool()?;
        let EngineRequest { trace_port_type, flags, events, policy, .. } = self.arguments(true)?;
        if trace_port_type.get() != control::SEND_RIGHT {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        let [flags, events, policy] = [integer(flags)?, integer(events)?, integer(policy)?];
        if flags & !(flag::CREATE | flag::CHILDREN) != 0 || !known(events, policy) {
            return Err(mr::KERN_INVALID_VALUE);
        }
        self.has_room(16)?;
        if flags & flag::CREATE == 0 {
            return self.present_engine(tool);
        }
        let wish = Wish { name: tool.name, owner: 0, flags, events, policy };
        let own = self.new_engine(tool, wish)?;
        Ok(self.engine_right(own))
    }

    fn present_engine(&self, tool: Tool) -> Result<Results, Refusal> {
        let (engine, control) = self.state.owner.engine(tool).ok_or(mr::KERN_INVALID_NAME)?;
        let right = self.state.engine_right(self.kernel, engine, control).ok_or(mr::KERN_INVALID_NAME)?;
        if let Some(unused) = self.kernel.take_right(self.request, TRACE_PORT) {
            self.kernel.ipc_port_release_send(unused);
        }
        Ok(self.engine_right(right))
    }

    /// A right to the own port of a new engine of all tasks.
    fn new_engine(&self, tool: Tool, wish: Wish) -> Result<SendRight, Refusal> {
        let Self { kernel, state, request, .. } = *self;
        let right = kernel.take_right(request, TRACE_PORT).ok_or(mr::KERN_INVALID_ARGUMENT)?;
        if kernel.port_is_the_kernels(right.port()) {
            kernel.ipc_port_release_send(right);
            return Err(mr::KERN_INVALID_ARGUMENT);
        }
        let (key, own) = state.make_engine(kernel, right, wish).ok_or(mr::KERN_RESOURCE_SHORTAGE)?;
        // Nobody can end it yet: it has no task, and nobody else a right to it.
        kernel.watch_senders(own.port(), key.place);
        let engine = SystemEngine { key, right: kernel.make_send(own.port()) };
        match state.owner.give_engine(kernel, tool, engine) {
            Ok(done) => {
                finish(kernel, state, done);
                Ok(own)
            }
            Err((refused, engine)) => {
                end_engine(kernel, state, engine);
                kernel.ipc_port_release_send(own);
                Err(code(refused))
            }
        }
    }

    /// The engine goes on to have what it has; the task is told of nothing.
    fn join(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        let Sent::Right(right) = self.right()? else { return Err(mr::KERN_INVALID_ARGUMENT) };
        let task = self.kernel.port_task(right.port());
        self.kernel.ipc_port_release_send(right);
        let task = task.ok_or(mr::KERN_INVALID_ARGUMENT)?;
        let task = TaskOf { kernel: self.kernel, task: Some(task) };
        self.may_be_traced(task.get()?)?;
        self.join_task(engine, task.get()?, None)?;
        Ok(Results::NONE)
    }
}

fn code(refused: Refused) -> Refusal {
    match refused {
        Refused::Owned | Refused::NotOwner => mr::KERN_NO_ACCESS,
        Refused::Foreground | Refused::Started => mr::KERN_FAILURE,
    }
}

/// A tool's port has no senders any more. `false` if it is another port.
pub(super) fn no_senders(kernel: &impl Kernel, state: &State, port: Port) -> bool {
    let Some(done) = state.owner.end_tool(port, kernel.kernel_port_object(port)) else { return false };
    quiet::emitting(kernel, || kernel.end_kernel_port(port));
    finish(kernel, state, done);
    true
}

/// Does what a step has asked for.
#[inline(never)]
fn finish(kernel: &impl Kernel, state: &State, done: Done) {
    let Done { engine, tell, unused, recorder } = done;
    if recorder {
        recorder::end(kernel, state);
    }
    if let Some(engine) = engine {
        end_engine(kernel, state, engine);
    }
    if let Some((right, number)) = tell
        && !is_told(kernel, right)
    {
        state.owner.not_told(number);
    }
    if let Some(unused) = unused {
        kernel.ipc_port_release_send(unused);
    }
}

fn end_engine(kernel: &impl Kernel, state: &State, engine: SystemEngine) {
    fan_out::end(kernel, state, engine.key);
    kernel.ipc_port_release_send(engine.right);
}

/// Sends `trace_owner_available`. Nobody waits for room: a tool that has not received what waits for it is told when it registers again.
fn is_told(kernel: &impl Kernel, right: SendRight) -> bool {
    let Some(blank) = kernel.record_alloc(size_of::<Prefix>(), false) else {
        kernel.ipc_port_release_send(right);
        return false;
    };
    let kmsg = kernel.record_begin(blank, right, None);
    let record = kmsg.record();
    kernel.record_part(record, 0, |prefix: &mut Prefix| prefix.bits = PORT_SEND.into());
    kernel.set_message(record, LP64.end as u32, wire::AVAILABLE_ID);
    let queued = kernel.port_is_active(kernel.record_port(record));
    match quiet::emitting(kernel, || kernel.ipc_mqueue_send(kmsg, option::MACH_SEND_TIMEOUT, 0)) {
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
        Err((_, kmsg)) => {
            quiet::discard(kernel, kmsg);
            return false;
        }
    }
    queued
}

#[cfg(test)]
mod tests;
