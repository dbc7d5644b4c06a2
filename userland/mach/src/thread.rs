// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads: another flow of control in this task, or the first one of a task that inherited our memory.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::Result;
use crate::port::{PortName, SendRight};
use crate::sys::thread::{I386_THREAD_STATE, Prepared};
use crate::{stubs, task_self, thread_self};

/// Starts a thread of this task that runs `body` and then ends. Returns its control port.
pub fn spawn(body: impl FnOnce() + Send + 'static) -> Result<SendRight> {
    let prepared = Prepared::new(body)?;
    let thread = create(task_self(), &prepared)?;
    match stubs::mach::thread_resume(thread.name()) {
        Ok(()) => {
            // The thread owns its stack and body now, and may already have given them back.
            prepared.started();
            Ok(thread)
        }
        Err(error) => {
            let _ = stubs::mach::thread_terminate(thread.name());
            Err(error)
        }
    }
}

/// `THREAD_SCHED_INFO` of thread_info.h, the integers in it, and where `base_priority` is.
const THREAD_SCHED_INFO: i32 = 2;
const THREAD_SCHED_INFO_COUNT: usize = 8;
const BASE_PRIORITY: usize = 2;

/// By how much [`step_back`] lowers a priority. A thread that never sleeps loses about eight steps in a second.
const STEPS_BACK: i32 = 2;

/// Lowers the calling thread's priority a little, for a tracer: what it traces goes on when there is a record to receive, so that
/// it finds several when it runs. One that never sleeps loses its advantage within a second.
pub fn step_back() -> Result<()> {
    step(STEPS_BACK)
}

/// Takes [`step_back`] back.
pub fn step_forward() -> Result<()> {
    step(-STEPS_BACK)
}

fn step(by: i32) -> Result<()> {
    let mut info = [0; THREAD_SCHED_INFO_COUNT];
    stubs::mach::thread_info(thread_self(), THREAD_SCHED_INFO, &mut info)?;
    stubs::mach_host::thread_priority(thread_self(), info[BASE_PRIORITY] + by, false)
}

/// A task with a copy of this task's memory and one thread that will run `body` there, suspended.
///
/// The copy is of memory only: it holds no ports. Before [`Child::resume`], the parent inserts the rights that the child
/// is to have. The child must not use a right of the parent's by its name, nor the console: it ends with
/// [`crate::rt::exit::terminate`].
pub fn fork(body: impl FnOnce() + Send + 'static) -> Result<Child> {
    let prepared = Prepared::new(body)?;
    let task = SendRight::from_name(crate::sys::trap::task_create(task_self(), true)?);
    let thread = first_of(&task, &prepared)?;
    Ok(Child { task, thread })
}

/// Forks as [`fork`] does, with a second thread; its control port comes with the child.
pub fn fork_two(
    first: impl FnOnce() + Send + 'static,
    second: impl FnOnce() + Send + 'static,
) -> Result<(Child, SendRight)> {
    let (first, second) = (Prepared::new(first)?, Prepared::new(second)?);
    let task = SendRight::from_name(crate::sys::trap::task_create(task_self(), true)?);
    let (thread, other) = (first_of(&task, &first)?, first_of(&task, &second)?);
    Ok((Child { task, thread }, other))
}

/// Forks as [`fork`] does, with one thread for each of `bodies`; their control ports come with the task's.
pub fn fork_all(bodies: Vec<Box<dyn FnOnce() + Send>>) -> Result<(SendRight, Vec<SendRight>)> {
    let prepared = bodies.into_iter().map(Prepared::new).collect::<Result<Vec<_>>>()?;
    let task = SendRight::from_name(crate::sys::trap::task_create(task_self(), true)?);
    let threads = prepared.iter().map(|prepared| first_of(&task, prepared)).collect::<Result<_>>()?;
    Ok((task, threads))
}

/// A thread without which its task is of no use.
fn first_of(task: &SendRight, prepared: &Prepared) -> Result<SendRight> {
    create(task.name(), prepared).inspect_err(|_| {
        let _ = crate::sys::trap::task_terminate(task.name());
    })
}

/// A task made by [`fork`].
#[derive(Debug)]
pub struct Child {
    /// Its control port.
    pub task: SendRight,
    /// The control port of its only thread.
    pub thread: SendRight,
}

impl Child {
    /// Lets it run.
    pub fn resume(&self) -> Result<()> {
        stubs::mach::thread_resume(self.thread.name())
    }
}

/// Makes the thread in `task` and sets the registers it starts with; leaves it suspended, as it was made.
fn create(task: PortName, prepared: &Prepared) -> Result<SendRight> {
    let thread = stubs::mach::thread_create(task)?;
    let set = stubs::mach::thread_set_state(thread.name(), I386_THREAD_STATE, &prepared.state().words());
    match set {
        Ok(()) => Ok(thread),
        Err(error) => {
            let _ = stubs::mach::thread_terminate(thread.name());
            Err(error)
        }
    }
}
