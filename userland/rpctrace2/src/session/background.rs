// SPDX-License-Identifier: GPL-2.0-or-later
//! The system trace in the background: it is ours until somebody else claims it.
//!
//! What a boot traces is an engine of all tasks, whose owner is the background tool: whoever claims the system trace takes over, and
//! the kernel ends the engine. Then nobody can send to our trace port any more, and the trace ends as it does when no task is left.

use core::fmt;

use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::stubs::trace_control::{
    trace_engine, trace_join, trace_owner_engine, trace_owner_reset, trace_owner_set_background, trace_owner_state,
    trace_owner_t, trace_owner_tool,
};
use mach::task_self;
use trace_port::control::owner::part;
use trace_port::control::{event, flag, policy};

use super::engines::padded;
use crate::world::{Failure, doing};

/// What the tool and its engine are called.
const NAME: &str = "rpctrace2 --boot";

/// A tool that waits for the background, and its engine.
pub(super) struct Background {
    tool: SendRight,
    /// Hears that the trace is free again. It is not asked: who has lost the trace ends.
    _notify: ReceiveRight,
    /// As soon as something is to be traced.
    engine: Option<SendRight>,
    /// We have given the trace back ourselves.
    is_reset: bool,
}

/// Who has the trace instead.
pub(super) struct Successor(trace_owner_t);

impl Background {
    /// Registers a tool, which takes the host's privileged port.
    pub(super) fn register(host: &SendRight) -> Result<Self, Failure> {
        let notify = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let tool = doing("trace_owner_tool", trace_owner_tool(host.name(), padded(NAME)))?;
        let told = trace_owner_set_background(tool.name(), notify.name(), Disposition::MakeSend);
        doing("trace_owner_set_background", told)?;
        Ok(Self { tool, _notify: notify, engine: None, is_reset: false })
    }

    /// Whether there is an engine that may have a task.
    pub(super) fn is_tracing(&self) -> bool {
        self.engine.is_some()
    }

    /// Traces a task and its children, with records to this port.
    pub(super) fn join(&mut self, task: PortName, port: &SendRight) -> Result<(), Failure> {
        let engine = match &mut self.engine {
            Some(engine) => engine,
            none => {
                let (how, port) = (flag::CREATE | flag::CHILDREN, port.name());
                let (tool, copy) = (self.tool.name(), Disposition::CopySend);
                let engine = trace_owner_engine(tool, port, copy, how, event::MESSAGES, policy::BLOCK);
                none.insert(doing("trace_owner_engine", engine)?)
            }
        };
        doing("trace_join", trace_join(engine.name(), task, Disposition::CopySend))
    }

    /// Gives the trace back if no task is left. The kernel has a right to the engine, too: without that it would not end.
    pub(super) fn give_up_empty(&mut self) {
        let is_empty = |engine: &SendRight| trace_engine(engine.name()).is_ok_and(|state| state.tasks == 0);
        if self.engine.as_ref().is_some_and(is_empty) {
            self.engine = None;
            // Whoever has taken it over meanwhile has ended the engine.
            self.is_reset = trace_owner_reset(self.tool.name(), part::TASKS).is_ok();
        }
    }

    /// Who has the trace now that our engine has ended; nobody if we have given it back.
    pub(super) fn successor(&self) -> Option<Successor> {
        let state = if self.is_reset { Err(()) } else { trace_owner_state(task_self()).map_err(drop) };
        state.ok().map(Successor)
    }
}

impl fmt::Display for Successor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(trace_owner_t { owner, configured_by, .. }) = self;
        if *owner == 0 {
            // It has died already, or given the trace back: the name may be that of a third one.
            return out.write_str("a tool that has it no longer");
        }
        let name = configured_by.split(|byte| *byte == 0).next().unwrap_or(&[]).escape_ascii();
        write!(out, "{name}, tool {owner}")
    }
}
