// SPDX-License-Identifier: GPL-2.0-or-later
//! Room that the payload takes as engines and tasks come, and keeps for later ones.

use alloc::vec::Vec;

use mach::port::SendRight;
use mach::sys::trap::{task_create, task_terminate};
use mach::task_self;
use programs::engine::{Wish, attach, detach};
use programs::tracer::Tracer;
use programs::{Doing, Mismatch};
use trace_port::control::MAX_ENGINES;

/// Tasks, each with as many engines as one can have: more at once than the requests ever have.
const TASKS: usize = 16;

/// Has the payload take the room for all engines that there will ever be: what is kept afterwards is then the same before and after a seed.
pub(crate) fn fill() -> Result<(), Mismatch> {
    let tracer = Tracer::new(1)?;
    let mut engines: Vec<SendRight> = Vec::with_capacity(TASKS * MAX_ENGINES);
    let mut tasks: Vec<SendRight> = Vec::with_capacity(TASKS);
    for _ in 0..TASKS {
        let task = SendRight::from_name(task_create(task_self(), false).doing("task_create")?);
        for _ in 0..MAX_ENGINES {
            engines.push(attach(task.name(), &tracer, Wish::new("room").of(0)).doing("trace_attach")?);
        }
        tasks.push(task);
    }
    for engine in &engines {
        detach(engine, None).doing("trace_detach")?;
    }
    for task in &tasks {
        task_terminate(task.name()).doing("task_terminate")?;
    }
    Ok(())
}
