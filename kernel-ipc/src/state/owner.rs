// SPDX-License-Identifier: GPL-2.0-or-later
//! Who has the system trace: the machine of `trace_port::control::owner`, the tools that it numbers, and the engine of all tasks.
//!
//! What a step of the machine asks for is handed to the caller as [`Done`], for when nothing is locked.

use spin::mutex::SpinMutex;
use trace_port::control::Name;
use trace_port::control::owner::wire::{self, MAX_TOOLS};
use trace_port::control::owner::{Effects, Ownership, Refused, Tool, part};

use crate::engines::EngineKey;
use crate::gnumach::{Kernel, Port, SendRight};

/// The engine of all tasks, which the kernel has a right to as long as it is configured.
#[must_use]
#[derive(Debug)]
pub(crate) struct SystemEngine {
    /// The engine.
    pub(crate) key: EngineKey,
    /// The right to its own port.
    pub(crate) right: SendRight,
}

/// What is to be done after a step.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// An engine that ends.
    pub(crate) engine: Option<SystemEngine>,
    /// A right to the port of the background tool that is to be told, and its number.
    pub(crate) tell: Option<(SendRight, u32)>,
    /// A right that nobody needs any more.
    pub(crate) unused: Option<SendRight>,
    /// The recorder ends.
    pub(crate) recorder: bool,
}

/// A tool that lives.
#[derive(Clone, Copy, Debug)]
struct Known {
    port: Port,
    tool: Tool,
}

#[derive(Debug)]
struct Inner {
    machine: Ownership,
    /// Number of the last tool.
    last: u32,
    tools: [Option<Known>; MAX_TOOLS],
    /// The background tool is told here.
    notify: Option<SendRight>,
    engine: Option<SystemEngine>,
}

/// Whose the system trace is.
pub(crate) struct Owner {
    inner: SpinMutex<Inner>,
}

impl Owner {
    /// Nobody's.
    pub(crate) const fn new() -> Self {
        let inner = Inner { machine: Ownership::new(), last: 0, tools: [None; MAX_TOOLS], notify: None, engine: None };
        Self { inner: SpinMutex::new(inner) }
    }

    /// Whose it is, and the number of its engine.
    pub(crate) fn state(&self) -> (wire::State, Option<EngineKey>) {
        let inner = self.inner.lock();
        let state = wire::State { tools: inner.last.into(), ..wire::State::of(&inner.machine) };
        (state, inner.engine.as_ref().map(|engine| engine.key))
    }

    /// The kernel itself takes these parts, before there is anybody else.
    pub(crate) fn configure_kernel(&self, parts: u32) -> Result<(), Refused> {
        // Nothing of another's is there that could end.
        self.inner.lock().machine.configure_kernel(parts).map(|_| ())
    }

    /// A new tool, which is at this place; nothing if there are as many as may be, or no number is left.
    pub(crate) fn add_tool(&self, port: Port, name: Name) -> Option<u32> {
        let mut inner = self.inner.lock();
        // Who makes one is a task.
        inner.machine.started();
        let number = inner.last.checked_add(1)?;
        let (at, free) = inner.tools.iter_mut().zip(1..).find_map(|(tool, at)| tool.is_none().then_some((at, tool)))?;
        *free = Some(Known { port, tool: Tool { number, name } });
        inner.last = number;
        Some(at)
    }

    /// The tool whose port this is, which says that it is at this place.
    pub(crate) fn tool(&self, port: Port, at: u32) -> Option<Tool> {
        self.inner.lock().known(port, at)?.as_ref().map(|known| known.tool)
    }

    /// A tool has died. Nothing if the port is none's.
    pub(crate) fn end_tool(&self, port: Port, at: u32) -> Option<Done> {
        let mut inner = self.inner.lock();
        let tool = inner.known(port, at)?.take()?.tool;
        let is_background = inner.machine.background() == tool.number;
        inner.machine.died(tool.number);
        let unused = if is_background { inner.notify.take() } else { None };
        Some(Done { unused, ..Done::default() })
    }

    /// A tool takes these parts.
    pub(crate) fn claim(&self, kernel: &impl Kernel, tool: Tool, parts: u32) -> Result<Done, Refused> {
        let mut inner = self.inner.lock();
        let effects = inner.machine.configure(tool, parts)?;
        Ok(inner.done(kernel, effects))
    }

    /// A tool gives the trace an engine of all tasks.
    ///
    /// # Errors
    /// Why not, and the engine.
    pub(crate) fn give_engine(
        &self,
        kernel: &impl Kernel,
        tool: Tool,
        engine: SystemEngine,
    ) -> Result<Done, (Refused, SystemEngine)> {
        let mut inner = self.inner.lock();
        let effects = match inner.machine.configure(tool, part::TASKS) {
            Ok(effects) => effects,
            Err(refused) => return Err((refused, engine)),
        };
        let mut done = inner.done(kernel, effects);
        if let Some(replaced) = inner.engine.replace(engine) {
            // If the one of the background has ended there is none to replace.
            done.engine = Some(replaced);
        }
        Ok(done)
    }

    /// The engine of all tasks, for its owner.
    pub(crate) fn engine(&self, tool: Tool) -> Option<(EngineKey, Port)> {
        let inner = self.inner.lock();
        let engine = inner.engine.as_ref().filter(|_| inner.machine.owner() == tool.number)?;
        Some((engine.key, engine.right.port()))
    }

    /// A tool gives these parts back.
    pub(crate) fn reset(&self, kernel: &impl Kernel, tool: Tool, parts: u32) -> Result<Done, Refused> {
        let mut inner = self.inner.lock();
        let effects = inner.machine.reset(tool.number, parts)?;
        Ok(inner.done(kernel, effects))
    }

    /// A tool waits for the background, and is told by this right.
    pub(crate) fn register(&self, kernel: &impl Kernel, tool: Tool, notify: SendRight) -> Done {
        let mut inner = self.inner.lock();
        let unused = inner.notify.replace(notify);
        let effects = inner.machine.register(tool);
        Done { unused, ..inner.done(kernel, effects) }
    }

    /// Makes a tool the owner, or unsets one that is kept.
    pub(crate) fn set(&self, kernel: &impl Kernel, by: Option<Tool>, to: Option<Tool>) -> Result<Done, Refused> {
        let mut inner = self.inner.lock();
        let effects = inner.machine.set_owner(by.map(|tool| tool.number), to)?;
        Ok(inner.done(kernel, effects))
    }

    /// Who may make owners.
    pub(crate) fn let_anyone(&self, anyone: bool) {
        self.inner.lock().machine.let_anyone(anyone);
    }

    /// A tool could not be told.
    pub(crate) fn not_told(&self, number: u32) {
        self.inner.lock().machine.not_told(number);
    }
}

impl Inner {
    fn known(&mut self, port: Port, at: u32) -> Option<&mut Option<Known>> {
        let found = self.tools.get_mut(at.checked_sub(1)? as usize)?;
        if found.as_ref().is_some_and(|known| known.port == port) { Some(found) } else { None }
    }

    fn done(&mut self, kernel: &impl Kernel, effects: Effects) -> Done {
        let Effects { ended, tell } = effects;
        let mut done = Done { recorder: ended & part::RECORDER != 0, ..Done::default() };
        if ended & part::TASKS != 0 {
            done.engine = self.engine.take();
        }
        if tell != 0 {
            // Under the lock: whoever takes its place releases our right.
            let right = self.notify.as_ref().and_then(|notify| kernel.ipc_port_copy_send(notify.port()));
            match right {
                Some(right) => done.tell = Some((right, tell)),
                None => self.machine.not_told(tell),
            }
        }
        done
    }
}
