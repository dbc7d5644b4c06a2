// SPDX-License-Identifier: GPL-2.0-or-later
//! What is traced: a command of ours, or tasks that ran before.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use exchanges::ending::Untraced;
use mach::port::{PortName, SendRight};
use mach::{stubs, task_self};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use mach_abi::special_port::TASK_TRACE_PORT;

use super::engines::Engines;
use crate::world::{Failure, Target, World};

/// What is traced.
pub(super) enum Subject {
    /// A command. Its task is kept to end it if it cannot be traced to its end.
    Command(SendRight),
    /// Tasks that ran before, and go on after it.
    Processes(Vec<Target>),
}

impl Subject {
    /// Traces it. Of several processes some may have ended meanwhile, or be another tracer's: why those are not traced, or how.
    ///
    /// # Errors
    /// If nothing can be traced.
    pub(super) fn trace(&mut self, port: &SendRight, engines: &mut Engines) -> Result<Vec<String>, Failure> {
        let targets = match self {
            Self::Command(task) => {
                let remark = engines.trace(task.name(), port)?;
                return Ok(remark.into_iter().map(|how| format!("the command: {how}")).collect());
            }
            Self::Processes(targets) => targets,
        };
        let (mut said, mut failures) = (Vec::new(), Vec::new());
        for (index, target) in targets.iter().enumerate() {
            // One that is named twice is traced once.
            if targets.iter().take(index).any(|before| before.task == target.task) {
                continue;
            }
            match engines.join(target, port) {
                Ok(remark) => said.push(remark),
                Err(failure) => failures.push(failure),
            }
        }
        if said.is_empty() && !failures.is_empty() {
            return Err(failures.swap_remove(0));
        }
        // Children of those that are traced are, too: nobody is new in the end.
        let known = |targets: &[Target], task: &SendRight| targets.iter().any(|known| known.task == *task);
        loop {
            let before = targets.len();
            for task in engines.present()? {
                if known(targets, &task) {
                    continue;
                }
                let target = Target { task, name: String::new() };
                // The kernel's task and our own are refused, and one that has ended.
                let _ = engines.join(&target, port);
                targets.push(target);
            }
            if targets.len() == before {
                break;
            }
        }
        Ok(said.into_iter().flatten().chain(failures.iter().map(ToString::to_string)).collect())
    }

    /// Ends the command; it may have done so itself. Processes that had our trace port go on without it.
    pub(super) fn let_go(&self) {
        match self {
            Self::Command(task) => {
                let _ = stubs::mach::task_terminate(task.name());
            }
            // Of one that is gone, or that another tracer has taken over, there is nothing to let go of.
            Self::Processes(targets) => targets.iter().for_each(|Target { task, .. }| {
                let _ = stubs::mach::task_set_special_port(task.name(), TASK_TRACE_PORT, PortName::NULL);
            }),
        }
    }

    /// The tasks that were to be traced at first.
    pub(super) fn tasks(&self) -> impl Iterator<Item = PortName> {
        let (command, targets) = match self {
            Self::Command(task) => (Some(task), None),
            Self::Processes(targets) => (None, Some(targets)),
        };
        let targets = targets.into_iter().flatten().map(|target| &target.task);
        command.into_iter().chain(targets).map(SendRight::name)
    }

    pub(super) fn is_attached(&self) -> bool {
        matches!(self, Self::Processes(_))
    }

    /// What the only task is called that ran before, if there is only one.
    pub(super) fn only_name(&self) -> Option<&str> {
        match self {
            Self::Processes(targets) if targets.len() == 1 => targets.first().map(|target| target.name.as_str()),
            _ => None,
        }
    }

    /// What a task is called that ran before.
    pub(super) fn name_of(&self, task: PortName) -> Option<&str> {
        let Self::Processes(targets) = self else { return None };
        targets.iter().find(|target| target.task.name() == task).map(|target| target.name.as_str())
    }

    /// What became of the command's trace, if the command is still there.
    pub(super) fn untraced(&self, world: &dyn World, engines: &Engines) -> Option<Untraced> {
        let Self::Command(task) = self else { return None };
        let of_task = stubs::mach_port::mach_port_type(task_self(), task.name()).ok()?;
        if of_task & MACH_PORT_TYPE_DEAD_NAME != 0 {
            return world.successor();
        }
        if engines.are_all() {
            return Some(Untraced::EngineEnded);
        }
        // Who does not receive from the port that is set may be refused it.
        match stubs::mach::task_get_special_port(task.name(), TASK_TRACE_PORT) {
            Ok(port) if port.name() == PortName::NULL => Some(Untraced::Cleared),
            _ => Some(Untraced::Replaced),
        }
    }
}
