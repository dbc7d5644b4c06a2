// SPDX-License-Identifier: GPL-2.0-or-later
//! The names of all tasks of a Hurd, for programs of root's that check that nothing is left of what they asked for.
//!
//! What is counted is counted again until nothing is left, because servers hear of a port that nobody has any more when they come to it; a
//! thread more in a server is a reply port more, and a few names of its own.

use alloc::format;
use alloc::vec::Vec;

use hurd::startup::Startup;
use hurd::stubs::process;
use mach::error::KernReturn;
use mach::port::{PortName, SendRight};
use mach::stubs;

use crate::left::each_name;
use crate::patience::pause;
use crate::{Doing, Mismatch};

/// How often what is left is counted, and how many milliseconds lie between.
const COUNTS: usize = 200;
const PAUSE: u32 = 10;

/// The process of the kernel's own task, which is left alone.
const KERNEL: i32 = 3;

/// Names that a thread more may have.
const OF_THREAD: usize = 2;

/// A task, how many names it has, and how many threads.
#[derive(Debug)]
struct Counted {
    pid: i32,
    task: SendRight,
    names: usize,
    threads: usize,
}

/// The names of all tasks at one time.
#[derive(Debug)]
pub struct Everywhere(Vec<Counted>);

impl Everywhere {
    /// Counts them once they stay the same.
    ///
    /// # Errors
    /// If they do not, or somebody does not show his task.
    pub fn count(startup: &Startup) -> Result<Self, Mismatch> {
        let proc = startup.proc().doing("our process")?;
        let mut tasks = Vec::new();
        for pid in process::proc_getallpids(proc).doing("proc_getallpids")?.iter().filter(|pid| *pid != KERNEL) {
            let task = process::proc_pid2task(proc, pid).doing("proc_pid2task")?;
            if task.name().is_valid() {
                tasks.push(Counted { pid, task, names: 0, threads: 0 });
            }
        }
        for _ in 0..COUNTS {
            let mut same = true;
            for task in &mut tasks {
                let counted = count(task.task.name()).doing("counting names")?;
                same &= counted == (task.names, task.threads);
                (task.names, task.threads) = counted;
            }
            if same {
                return Ok(Self(tasks));
            }
            pause(PAUSE);
        }
        Err(Mismatch::new("names of all tasks: expected two counts alike, found none"))
    }

    /// Checks that no task has more names than when they were counted; answers how many tasks there are.
    ///
    /// # Errors
    /// If one has.
    pub fn nothing_is_left(&self) -> Result<usize, Mismatch> {
        for task in &self.0 {
            let mut found = (0, 0);
            let is_left = (0..COUNTS).all(|_| {
                found = count(task.task.name()).unwrap_or_default();
                let more = found.0 > task.names + OF_THREAD * found.1.saturating_sub(task.threads);
                if more {
                    pause(PAUSE);
                }
                more
            });
            if is_left {
                let Counted { pid, names, .. } = task;
                return Err(Mismatch::new(&format!("names of process {pid}: expected {names}, found {}", found.0)));
            }
        }
        Ok(self.0.len())
    }
}

/// Names and threads of a task.
fn count(task: PortName) -> Result<(usize, usize), KernReturn> {
    let mut names = 0;
    each_name(task, |_, _| names += 1)?;
    Ok((names, stubs::mach::task_threads(task)?.len()))
}
