// SPDX-License-Identifier: GPL-2.0-or-later
//! The system trace: an engine of all tasks, which one tool at a time owns (trace_control.defs, docs/ktrace.md).
//!
//! What a boot traces is in the background: whoever claims the system trace takes over, and the kernel ends the engine. Then nobody can send to our
//! trace port any more, and the trace ends as it does when no task is left. `-p all` is in the foreground: nobody else has it as long as we live.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::slice::EscapeAscii;

use mach::error::KernReturn;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::stubs::trace_control::{
    trace_barrier, trace_detach, trace_engine, trace_join, trace_owner_claim, trace_owner_engine, trace_owner_reset,
    trace_owner_set_background, trace_owner_state, trace_owner_t, trace_owner_tool, trace_rule_t, trace_set_filter,
};
use mach::task_self;
use trace_port::control::owner::part;
use trace_port::control::{Name, event, flag};

use super::engines::limits;
use crate::tasks;
use crate::world::{Failure, doing};

/// What the tool of a boot and its engine are called.
const BOOT: &str = "rpctrace2 --boot";

/// A tool and its engine.
pub(super) struct System {
    host: SendRight,
    tool: SendRight,
    /// The background: hears that the trace is free again. It is not asked, as who has lost the trace ends.
    notify: Option<ReceiveRight>,
    /// As soon as something is to be traced.
    engine: Option<SendRight>,
    /// There are parts that are ours, unless another has taken over.
    has_parts: bool,
    /// Our number, in the foreground.
    number: Option<u32>,
}

/// Who has the trace instead.
pub(super) struct Successor(trace_owner_t);

/// What the engine is told, and how.
pub(super) struct Wish<'a> {
    pub(super) policy: u32,
    pub(super) rules: &'a [trace_rule_t],
}

impl System {
    fn new(host: SendRight, name: &str) -> Result<Self, Failure> {
        limits()?;
        let tool = doing("trace_owner_tool", trace_owner_tool(host.name(), Name::of(name).0))?;
        Ok(Self { host, tool, notify: None, engine: None, has_parts: false, number: None })
    }

    /// A tool in the background, which takes the host's privileged port.
    pub(super) fn register(host: SendRight) -> Result<Self, Failure> {
        let mut system = Self::new(host, BOOT)?;
        let notify = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let told = trace_owner_set_background(system.tool.name(), notify.name(), Disposition::MakeSend);
        doing("trace_owner_set_background", told)?;
        system.notify = Some(notify);
        Ok(system)
    }

    /// A tool of this name in the foreground, which has the trace.
    pub(super) fn claim(host: SendRight, name: &str) -> Result<Self, Failure> {
        let mut system = Self::new(host, name)?;
        trace_owner_claim(system.tool.name(), part::TASKS).map_err(|error| refusal("trace_owner_claim", error))?;
        system.has_parts = true;
        system.number = trace_owner_state(task_self()).ok().map(|state| state.owner);
        Ok(system)
    }

    /// Whether there is an engine that may have a task.
    pub(super) fn is_tracing(&self) -> bool {
        self.engine.is_some()
    }

    /// The host's tasks: those that are in the foreground's trace.
    pub(super) fn tasks(&self) -> Result<Vec<SendRight>, Failure> {
        match self.notify {
            None => tasks::all(self.host.name()),
            // Of a boot those that its words say, and their children.
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Traces a task and its children, with records to this port.
    pub(super) fn join(&mut self, task: PortName, port: &SendRight, wish: &Wish<'_>) -> Result<(), Failure> {
        let engine = match &mut self.engine {
            Some(engine) => engine,
            none => {
                let (how, port) = (flag::CREATE | flag::CHILDREN, port.name());
                let (tool, copy) = (self.tool.name(), Disposition::CopySend);
                let engine = trace_owner_engine(tool, port, copy, how, event::MESSAGES, wish.policy);
                let engine = engine.map_err(|error| refusal("trace_owner_engine", error))?;
                if !wish.rules.is_empty() {
                    doing("trace_set_filter", trace_set_filter(engine.name(), u32::MAX, wish.rules))?;
                }
                self.has_parts = true;
                none.insert(engine)
            }
        };
        doing("trace_join", trace_join(engine.name(), task, Disposition::CopySend))
    }

    /// Gives the trace back if no task is left. The kernel has a right to the engine, too: without that it would not end.
    pub(super) fn give_up_empty(&mut self) {
        let is_empty = |engine: &SendRight| trace_engine(engine.name()).is_ok_and(|state| state.tasks == 0);
        if self.engine.as_ref().is_some_and(is_empty) {
            self.engine = None;
            self.reset();
        }
    }

    /// Whoever has taken it over meanwhile has ended the engine.
    fn reset(&mut self) {
        self.has_parts = trace_owner_reset(self.tool.name(), part::TASKS).is_err();
    }

    /// Lets go of all tasks. What comes from now on came to the trace port before this returns.
    pub(super) fn let_go(&self) {
        if let Some(engine) = &self.engine {
            // Of one that has ended there is nothing to let go of, and who interrupts this thread does not change what is waited for.
            let _ = trace_detach(engine.name(), PortName::NULL, Disposition::CopySend);
            let _ = trace_barrier(engine.name());
        }
    }

    /// Who has the trace now that our engine has ended; nobody if we have it, or have given it back.
    pub(super) fn successor(&self) -> Option<Successor> {
        let state = if self.has_parts { trace_owner_state(task_self()).map_err(drop) } else { Err(()) };
        state.ok().filter(|state| self.number != Some(state.owner)).map(Successor)
    }
}

impl Drop for System {
    /// An owner's trace would go on when it is dead.
    fn drop(&mut self) {
        if self.has_parts {
            self.reset();
        }
    }
}

/// What it means that a tool is refused something.
pub(super) fn refusal(what: &'static str, error: KernReturn) -> Failure {
    match (error, trace_owner_state(task_self())) {
        (KernReturn::KERN_NO_ACCESS, Ok(state)) if state.owner != 0 => Failure::Owned(Successor(state).to_string()),
        _ => Failure::Kernel { what, error },
    }
}

/// The name of who has configured the system trace last, who is its owner if it has one: whatever a tool has called itself.
pub(super) fn named(state: &trace_owner_t) -> EscapeAscii<'_> {
    state.configured_by.split(|byte| *byte == 0).next().unwrap_or(&[]).escape_ascii()
}

impl fmt::Display for Successor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(state @ trace_owner_t { owner, .. }) = self;
        if *owner == 0 {
            // It has died already, or given the trace back: the name may be that of a third one.
            return out.write_str("a tool that has it no longer");
        }
        write!(out, "{}, tool {owner}", named(state))
    }
}
