// SPDX-License-Identifier: GPL-2.0-or-later
//! Engines of a task, for programs that are tracers of their own: trace_control.defs.

use mach::error::KernReturn;
use mach::port::{Disposition, PortName, SendRight};
use mach::stubs::trace_control::{self, trace_attach, trace_detach, trace_engine_t, trace_engines, trace_rule_t};
use trace_port::control::{MAX_ENGINES, Name, event, flag, policy};

use crate::tracer::Tracer;

/// What an engine is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Its name, of at most 32 bytes.
    pub name: &'a str,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Bits of [`event`].
    pub events: u32,
    /// One of [`policy`].
    pub policy: u32,
}

impl<'a> Wish<'a> {
    /// A new engine that is told of everything, and whose task waits for it.
    pub const fn new(name: &'a str) -> Self {
        Self { name, flags: flag::CREATE, events: event::ALL, policy: policy::BLOCK }
    }

    /// One that is told of less.
    pub const fn of(self, events: u32) -> Self {
        Self { events, ..self }
    }

    /// One with more flags.
    pub const fn with(self, flags: u32) -> Self {
        Self { flags: self.flags | flags, ..self }
    }

    /// One that loses what there is no room for.
    pub const fn dropping(self) -> Self {
        Self { policy: policy::DROP, ..self }
    }
}

/// A name as the kernel has it.
pub fn name_of(text: &str) -> [u8; 32] {
    Name::of(text).0
}

/// Makes an engine of a task's that tells a tracer.
pub fn attach(task: PortName, tracer: &Tracer, wish: Wish<'_>) -> Result<SendRight, KernReturn> {
    let port = tracer.port.name();
    let Wish { name, flags, events, policy } = wish;
    trace_attach(task, port, Disposition::MakeSend, name_of(name), flags, events, policy)
}

/// The engine of a task's that is there already: with a name, the one that has it.
pub fn find(task: PortName, name: Option<&str>) -> Result<SendRight, KernReturn> {
    let flags = if name.is_some() { flag::MATCH } else { 0 };
    trace_attach(task, PortName::NULL, Disposition::CopySend, name_of(name.unwrap_or("")), flags, 0, 0)
}

/// The engines of a task, in the order of their attaching.
pub fn engines(task: PortName) -> Result<alloc::vec::Vec<trace_engine_t>, KernReturn> {
    let mut engines = [trace_engine_t::default(); MAX_ENGINES];
    let count = trace_engines(task, &mut engines)?;
    Ok(engines.into_iter().take(count).collect())
}

/// An engine lets go of a task, or of all.
pub fn detach(engine: &SendRight, task: Option<PortName>) -> Result<(), KernReturn> {
    trace_detach(engine.name(), task.unwrap_or(PortName::NULL), Disposition::CopySend)
}

/// Returns when no record is on its way to an engine that it does not want any more.
pub fn barrier(engine: &SendRight) -> Result<(), KernReturn> {
    trace_control::trace_barrier(engine.name())
}

/// A rule of an engine's filter.
pub const fn rule(flags: u32, first: u32, last: u32, port: u32) -> trace_rule_t {
    trace_rule_t { flags, first, last, port }
}
