// SPDX-License-Identifier: GPL-2.0-or-later
//! What is traced: a command of ours, or tasks that ran before.

use alloc::vec::Vec;

use exchanges::ending::Untraced;
use mach::error::KernReturn;
use mach::port::{PortName, SendRight};
use mach::{stubs, task_self};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use mach_abi::special_port::TASK_TRACE_PORT;

use crate::world::{Failure, Target, World, doing};

/// What is traced.
pub(super) enum Subject {
    /// A command. Its task is kept to end it if it cannot be traced to its end.
    Command(SendRight),
    /// Tasks that ran before, and go on after it.
    Processes(Vec<Target>),
}

impl Subject {
    /// Sets the trace port. Of several processes some may have ended meanwhile, or be another tracer's: why those are not traced.
    ///
    /// # Errors
    /// If nothing can be traced.
    pub(super) fn trace(&self, port: &SendRight) -> Result<Vec<Failure>, Failure> {
        let set = |task: &SendRight| match stubs::mach::task_set_special_port(task.name(), TASK_TRACE_PORT, port.name())
        {
            Err(KernReturn::KERN_INVALID_ARGUMENT) => Err(Failure::NoTracePort),
            other => doing("task_set_special_port", other),
        };
        let targets = match self {
            Self::Command(task) => return set(task).map(|()| Vec::new()),
            Self::Processes(targets) => targets,
        };
        let refused = |Target { task, name }: &Target| match set(task).err()? {
            Failure::Kernel { error, .. } => Some(Failure::NotAttached { name: name.clone(), error }),
            failure => Some(failure),
        };
        let mut failures: Vec<Failure> = targets.iter().filter_map(refused).collect();
        if failures.len() == targets.len() && !failures.is_empty() {
            Err(failures.swap_remove(0))
        } else {
            Ok(failures)
        }
    }

    /// Ends the command; it may have done so itself. Processes go on untraced.
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

    /// What became of the command's trace port, if the command is still there.
    pub(super) fn untraced(&self, world: &dyn World) -> Option<Untraced> {
        let Self::Command(task) = self else { return None };
        let of_task = stubs::mach_port::mach_port_type(task_self(), task.name()).ok()?;
        if of_task & MACH_PORT_TYPE_DEAD_NAME != 0 {
            return world.successor();
        }
        // Who does not receive from the port that is set may be refused it.
        match stubs::mach::task_get_special_port(task.name(), TASK_TRACE_PORT) {
            Ok(port) if port.name() == PortName::NULL => Some(Untraced::Cleared),
            _ => Some(Untraced::Replaced),
        }
    }
}
