// SPDX-License-Identifier: GPL-2.0-or-later
//! Tracing by engines: trace_control.defs. A task has one trace port, and beside it up to eight engines, each with a trace port of its own.
//!
//! An engine is ours as long as we have a right to its port: with the last one it ends, and with it the kernel's right to our trace port. So
//! those that have no task any more are given up, and the no-senders notification comes as it does when no task has our trace port.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use exchanges::leave_out::LetThrough;
use mach::error::KernReturn;
use mach::port::{Disposition, PortName, SendRight};
use mach::stubs::trace_control::{
    trace_action_t, trace_answer, trace_attach, trace_barrier, trace_detach, trace_engine, trace_engine_t,
    trace_engines, trace_limits_t, trace_resume, trace_rule_t, trace_set_actions, trace_set_events, trace_set_filter,
    trace_version,
};
use mach::{stubs, task_self};
use mach_abi::special_port::TASK_TRACE_PORT;
use trace_port::control::{self, MAX_ENGINES, Name, event, flag, policy, rule, what};

use super::system::{Successor, System, Wish};
use crate::injections::Injections;
use crate::options::{Options, Policy};
use crate::world::{Failure, Target, doing};

/// What is said where an engine is made because a trace port is not free.
const BESIDE: &str = "its trace port is another tracer's; traced by an engine beside it";

/// What an engine is called where no option says it.
const NAME: &str = "rpctrace2";

/// What bits of `events` are called by `--engines`.
const EVENTS: [(u32, &str); 14] = [
    (event::SEND, "send"),
    (event::RECEIVE, "receive"),
    (event::CONTROL, "control"),
    (event::EXCEPTION, "exception"),
    (event::TRAP, "trap"),
    (event::FAILED, "failed"),
    (event::TASK_BIRTH, "task-birth"),
    (event::THREAD_BIRTH, "thread-birth"),
    (event::THREAD_DEATH, "thread-death"),
    (event::TASK_DEATH, "task-death"),
    (event::END, "end"),
    (event::STOP, "stop"),
    (event::KERNEL_CALL, "kernel-call"),
    (event::RPC_TRAP, "rpc-trap"),
];

/// How tasks are traced, and the engines that they are traced by.
#[derive(Default)]
pub(super) struct Engines {
    /// `--as`; without it by the trace port, if that is free.
    name: Option<String>,
    /// An option says what it is called, so that nobody else's may be.
    is_named: bool,
    policy: Policy,
    /// `--kernel-filter`.
    rules: Vec<trace_rule_t>,
    /// Of which messages it is asked before they are sent.
    actions: Vec<trace_action_t>,
    made: Vec<SendRight>,
    /// Tasks are traced by that of all tasks, or we have that trace while engines ask us about messages.
    system: Option<System>,
}

impl Engines {
    /// As the options say.
    pub(super) fn of(options: &Options, let_through: Option<LetThrough>, injections: &Injections) -> Self {
        let rules = let_through.map(|LetThrough { ids, answers, failed }| {
            let rule = |flags, first, last| trace_rule_t { flags, first, last, port: 0 };
            let flags = if answers { rule::ANSWERS } else { 0 };
            let ids = ids.into_iter().map(|(first, last)| rule(flags, first, last));
            let failed = failed.then(|| rule(rule::FAILED, 0, u32::MAX));
            ids.chain([rule(rule::NO_MESSAGE, 0, 0)]).chain(failed).collect()
        });
        let rules = rules.unwrap_or_default();
        let stop = |(first, last)| trace_action_t { first, last, what: what::STOP, value: 0, nth: 1, step: 1 };
        let mut actions: Vec<trace_action_t> = injections.ranges().into_iter().map(stop).collect();
        if options.memory > 0 {
            // Any message can have some.
            let all = stop((0, u32::MAX));
            actions = [all, trace_action_t { what: what::HOLD, ..all }].into();
        }
        let must_be_one = (!actions.is_empty()).then(|| NAME.into());
        let is_named = options.engine.is_some();
        let name = options.engine.clone().or(must_be_one);
        Self { name, is_named, policy: options.policy, rules, actions, made: Vec::new(), system: None }
    }

    /// Whether threads may wait for an answer.
    pub(super) fn may_stop(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Lets go of all tasks, and of the engines.
    pub(super) fn give_up(&mut self) {
        self.let_go();
        self.made.clear();
    }

    /// Answers a thread that waits; `false` if it does no more.
    pub(super) fn answer(&self, thread: u32, what: u32, value: u32) -> bool {
        // It waits for one of them.
        self.made.iter().any(|engine| trace_answer(engine.name(), thread, what, value).is_ok())
    }

    /// Lets a thread go on that is held with what it has received; `false` if it is not.
    pub(super) fn resume(&self, thread: u32) -> bool {
        self.made.iter().any(|engine| trace_resume(engine.name(), thread).is_ok())
    }

    /// What is traced is the system trace, in the background. It takes the host's privileged port.
    pub(super) fn stay_in_background(&mut self, host: SendRight) -> Result<(), Failure> {
        self.system = Some(System::register(host)?);
        Ok(())
    }

    /// What is traced is the system trace, in the foreground. It takes the host's privileged port.
    pub(super) fn claim_system(&mut self, host: SendRight) -> Result<(), Failure> {
        self.system = Some(System::claim(host, self.name.as_deref().unwrap_or(NAME))?);
        Ok(())
    }

    /// The tasks that there are, if all are to be traced.
    pub(super) fn present(&self) -> Result<Vec<SendRight>, Failure> {
        self.system.as_ref().map_or(Ok(Vec::new()), System::tasks)
    }

    /// Who has taken over the system trace, once its engine has ended.
    pub(super) fn successor(&self) -> Option<Successor> {
        self.system.as_ref()?.successor()
    }

    /// Whether something is traced by an engine.
    pub(super) fn are_there(&self) -> bool {
        !self.made.is_empty() || self.system.as_ref().is_some_and(System::is_tracing)
    }

    /// Whether nothing is traced by its trace port.
    pub(super) fn are_all(&self) -> bool {
        self.name.is_some() || self.system.is_some()
    }

    /// Traces the task of a command. What is to be said of how, if it is otherwise than one would think.
    pub(super) fn trace(&mut self, task: PortName, port: &SendRight) -> Result<Option<&'static str>, Failure> {
        match self.name.clone() {
            None => match set(task, port)? {
                Err(KernReturn::KERN_NO_ACCESS) => {
                    self.name = Some(NAME.into());
                    self.trace(task, port).map(|_| Some(BESIDE))
                }
                other => doing("task_set_special_port", other).map(|()| None),
            },
            Some(name) => {
                let limits = limits()?;
                let exclusive = if self.is_named { flag::EXCLUSIVE } else { 0 };
                let how = flag::CREATE | exclusive | flag::CHILDREN;
                let attached = self.attach(task, port, (&name, how), &limits);
                attached.map(|()| None).map_err(|error| match error {
                    KernReturn::KERN_NAME_EXISTS => Failure::EngineExists(name),
                    error => Failure::Kernel { what: "trace_attach", error },
                })
            }
        }
    }

    /// Traces a task that runs already. What is to be said of how, if it is otherwise than one would think.
    pub(super) fn join(&mut self, target: &Target, port: &SendRight) -> Result<Option<String>, Failure> {
        let Target { task, name } = target;
        let refused = |error| Failure::NotAttached { name: name.clone(), error };
        // The engine of all tasks asks nobody about messages: others do, and all tasks are ours all the same.
        if let Some(system) = self.system.as_mut().filter(|_| self.actions.is_empty()) {
            let wish = Wish { policy: wire_policy(self.policy), rules: &self.rules };
            return system.join(task.name(), port, &wish).map(|()| None).map_err(|failure| match failure {
                Failure::Kernel { what: "trace_join", error } => refused(error),
                other => other,
            });
        }
        if self.name.is_some() {
            return match self.trace(task.name(), port) {
                Err(Failure::EngineExists(engine)) => Err(Failure::HasEngine { name: name.clone(), engine }),
                Err(Failure::Kernel { error, .. }) => Err(Self::refusal(target, error)),
                other => other.map(|_| None),
            };
        }
        match set(task.name(), port)? {
            Err(error @ KernReturn::KERN_NO_ACCESS) => {
                // It is another tracer's. Without engines, or of the kernel's own task, that is the end of it.
                let limits = limits().map_err(|_| refused(error))?;
                let attached = self.attach(task.name(), port, (NAME, flag::CREATE | flag::CHILDREN), &limits);
                attached.map_err(|error| Self::refusal(target, error))?;
                Ok(Some(format!("{name}: {BESIDE}")))
            }
            other => other.map(|()| None).map_err(refused),
        }
    }

    /// Why a task that runs already gets no engine.
    fn refusal(Target { task, name }: &Target, error: KernReturn) -> Failure {
        let mut engines = [trace_engine_t::default(); MAX_ENGINES];
        let name = name.clone();
        // Otherwise it is memory that there is too little of.
        let is_full = trace_engines(task.name(), &mut engines) == Ok(MAX_ENGINES);
        match error {
            KernReturn::KERN_RESOURCE_SHORTAGE if is_full => Failure::EnginesFull { name },
            error => Failure::NotAttached { name, error },
        }
    }

    fn attach(
        &mut self,
        task: PortName,
        port: &SendRight,
        (name, how): (&str, u32),
        limits: &trace_limits_t,
    ) -> Result<(), KernReturn> {
        let policy = wire_policy(self.policy);
        // What a trace port is told, if the kernel has it all.
        let mut events = event::MESSAGES & limits.events;
        let mut how = how;
        if !self.actions.is_empty() {
            (events, how) = (events | event::STOP, how | flag::CONTROL);
        }
        let (port, disposition) = (port.name(), Disposition::CopySend);
        // A task that runs already is observed once it is known what becomes of its messages.
        let is_plain = self.rules.is_empty() && self.actions.is_empty();
        let at_first = if is_plain { events } else { 0 };
        let engine = trace_attach(task, port, disposition, Name::of(name).0, how, at_first, policy)?;
        if !self.rules.is_empty() {
            trace_set_filter(engine.name(), u32::MAX, &self.rules)?;
        }
        if !self.actions.is_empty() {
            trace_set_actions(engine.name(), &self.actions)?;
        }
        if !is_plain {
            trace_set_events(engine.name(), events, policy)?;
        }
        self.made.push(engine);
        Ok(())
    }

    /// Gives up those that have no task any more.
    pub(super) fn give_up_empty(&mut self) {
        self.made.retain(|engine| trace_engine(engine.name()).is_ok_and(|state| state.tasks != 0));
        if let Some(system) = &mut self.system {
            system.give_up_empty();
        }
    }

    /// Lets go of all tasks. What comes from now on came to the trace port before this returns.
    pub(super) fn let_go(&self) {
        for engine in &self.made {
            // Of one that has ended there is nothing to let go of.
            let _ = trace_detach(engine.name(), PortName::NULL, Disposition::CopySend);
        }
        for engine in &self.made {
            // Who interrupts this thread does not change what is waited for.
            // Where a thread is suspended that has such a record, it times out: that record is not taken.
            let _ = trace_barrier(engine.name());
        }
        if let Some(system) = &self.system {
            system.let_go();
        }
    }
}

fn wire_policy(policy: Policy) -> u32 {
    match policy {
        Policy::Block => policy::BLOCK,
        Policy::Drop => policy::DROP,
    }
}

/// Sets a task's trace port.
fn set(task: PortName, port: &SendRight) -> Result<Result<(), KernReturn>, Failure> {
    match stubs::mach::task_set_special_port(task, TASK_TRACE_PORT, port.name()) {
        Err(KernReturn::KERN_INVALID_ARGUMENT) => Err(Failure::NoTracePort),
        other => Ok(other),
    }
}

/// What the kernel can do about engines.
pub(super) fn limits() -> Result<trace_limits_t, Failure> {
    match trace_version(task_self()) {
        Ok(limits) if limits.version == control::VERSION => Ok(limits),
        Ok(limits) => Err(Failure::OtherEngines(limits.version)),
        Err(error) => Err(Failure::NoEngines(error)),
    }
}

/// The text of `--engines`: a line for each engine of these tasks.
pub(super) fn list(targets: &[Target]) -> Result<String, Failure> {
    limits()?;
    let mut text = String::new();
    for Target { task, name } in targets {
        let mut engines = [trace_engine_t::default(); MAX_ENGINES];
        let found = trace_engines(task.name(), &mut engines);
        let count = found.map_err(|error| Failure::NotAttached { name: name.clone(), error })?;
        for engine in engines.iter().take(count) {
            text += &line(name, engine);
        }
    }
    if text.is_empty() {
        text.push_str("no engines\n");
    }
    Ok(text)
}

/// `term(9): engine one of port 17: events messages, policy block, rules 0, tasks 1 and their children, records lost 0`
fn line(task: &str, engine: &trace_engine_t) -> String {
    let name = engine.name.split(|byte| *byte == 0).next().unwrap_or(&[]).escape_ascii();
    let events = match engine.events {
        0 => String::from("none"),
        event::MESSAGES => String::from("messages"),
        event::ALL => String::from("all"),
        some => {
            let named = EVENTS.iter().filter(|(bit, _)| some & bit != 0).map(|(_, name)| *name);
            named.collect::<Vec<_>>().join(" ")
        }
    };
    let policy = match engine.policy {
        policy::BLOCK => "block",
        policy::DROP => "drop",
        _ => "unknown",
    };
    let children = if engine.flags & flag::CHILDREN != 0 { " and their children" } else { "" };
    let control = if engine.flags & flag::CONTROL != 0 { ", with control" } else { "" };
    let trace_engine_t { owner, rules, tasks, lost, .. } = engine;
    format!(
        "{task}: engine {name} of port {owner}{control}: events {events}, policy {policy}, rules {rules}, tasks {tasks}{children}, \
         records lost {lost}\n"
    )
}
