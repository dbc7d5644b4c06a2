// SPDX-License-Identifier: GPL-2.0-or-later
//! The eight ways out, and what is right after each.

use alloc::vec::Vec;

use mach::port::PortName;
use mach::stubs::mach as kernel;
use mach::sys::trap::task_terminate;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::tracer::{Tracer, untrace};
use programs::{Doing, Mismatch, expect};

use crate::board::{DATA, OTHER, Situation, WAITER};
use crate::records::{Own, behind, in_the_way, of_message};
use crate::stage::{Stage, expect_dead};

/// The first step that is traced.
const FIRST_TRACED: u64 = 2;
/// Steps after the way out.
const MORE: u32 = 3;

/// How the thread gets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Drain,
    End,
    Replace,
    PortDies,
    TaskDies,
    ThreadDies,
    Abort,
    SuspendAndResume,
}

impl Way {
    pub(crate) const ALL: [Self; 8] = [
        Self::Drain,
        Self::End,
        Self::Replace,
        Self::PortDies,
        Self::TaskDies,
        Self::ThreadDies,
        Self::Abort,
        Self::SuspendAndResume,
    ];

    /// Takes it, from the full queue on.
    pub(crate) fn take(self, stage: &mut Stage) -> Result<(), Mismatch> {
        let number = stage.until_waiting()?;
        match self {
            Self::Drain => drain(stage, number),
            Self::End => end(stage, number),
            Self::Replace => replace(stage, number),
            Self::PortDies => port_dies(stage, number),
            Self::TaskDies => task_dies(stage, number),
            Self::ThreadDies => thread_dies(stage, number),
            Self::Abort => abort(stage, number),
            Self::SuspendAndResume => suspend_and_resume(stage, number),
        }
    }
}

/// The thread goes on and all records come in order, with the tracer receiving from now on.
fn drain(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    stage.draining = true;
    stage.until_done(WAITER, number)?;
    stage.steps(WAITER, MORE)?;
    stage.expect_all_came()?;
    let steps = FIRST_TRACED..=number + u64::from(MORE);
    stage.expect_records(&stage.of_steps(steps))
}

/// The records up to the one that was in the way of a step.
fn up_to(stage: &Stage, number: u64) -> Vec<Own> {
    let mut records = stage.of_steps(FIRST_TRACED..number);
    records.extend(in_the_way(stage.situation, number));
    records
}

/// The task is not traced any more; the thread goes on.
fn expect_untraced(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    stage.until_done(WAITER, number)?;
    let port = kernel::task_get_special_port(stage.task(), TASK_TRACE_PORT).doing("task_get_special_port")?;
    expect("the trace port", PortName::NULL, port.name())?;
    stage.steps(WAITER, MORE)?;
    stage.expect_all_came()
}

/// The thread goes on without anybody receiving. Its record was made while the task was traced, later ones are not.
fn end(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    untrace(stage.task()).doing("task_set_special_port to null")?;
    expect_untraced(stage, number)?;
    stage.expect_records(&up_to(stage, number))
}

/// The record that was in the way is in the old port's queue, later ones in the new one's.
fn replace(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    let new = Tracer::new(16)?;
    new.trace(stage.task()).doing("task_set_special_port to another port")?;
    stage.until_done(WAITER, number)?;
    stage.expect_records(&up_to(stage, number))?;
    stage.tracer = Some(new);
    stage.draining = true;
    stage.steps(WAITER, MORE)?;
    stage.expect_all_came()?;
    let mut records = behind(stage.situation);
    records.extend(stage.of_steps(number + 1..=number + u64::from(MORE)));
    stage.expect_records(&records)
}

/// The records are gone with the port, the thread goes on.
fn port_dies(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    stage.tracer = None;
    expect_untraced(stage, number)
}

/// The task ends at once. The record that was in the way is there.
fn task_dies(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    task_terminate(stage.task()).doing("task_terminate")?;
    expect_dead("the right to the task", stage.task())?;
    expect_dead("the right to the thread", stage.child.thread.name())?;
    expect_dead("the right to the other thread", stage.other.name())?;
    stage.settle()?;
    expect("the step that is done", number - 1, stage.board.done(WAITER))?;
    stage.expect_records(&up_to(stage, number))
}

/// The thread ends at once. The other one goes on, and is traced.
fn thread_dies(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    kernel::thread_terminate(stage.child.thread.name()).doing("thread_terminate")?;
    expect_dead("the right to the thread", stage.child.thread.name())?;
    let threads: Vec<_> = kernel::task_threads(stage.task()).doing("task_threads")?.collect();
    expect("threads left", 1, threads.len())?;
    stage.settle()?;
    expect("the step that is done", number - 1, stage.board.done(WAITER))?;
    stage.expect_records(&up_to(stage, number))?;
    stage.draining = true;
    let before = stage.board.done(OTHER);
    stage.steps(OTHER, MORE)?;
    let records: Vec<_> = (before + 1..=before + u64::from(MORE)).map(|n| of_message(DATA + OTHER as i32, n)).collect();
    stage.expect_records_of_other(&records)
}

/// The thread goes on while nobody receives: its record goes beyond the queue's limit. Its call was over. But an exception is raised only
/// after its record, so that it is the exception that is given up, as on any kernel: nobody takes the answer.
fn abort(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    kernel::thread_abort(stage.child.thread.name()).doing("thread_abort")?;
    stage.until_done(WAITER, number)?;
    stage.draining = true;
    stage.steps(WAITER, MORE)?;
    let mut records = up_to(stage, number);
    if stage.situation == Situation::Exception {
        for _ in 0..stage.expect_all_came_but_one_answer()? {
            records.extend(stage.of_steps(number..=number));
        }
    } else {
        stage.expect_all_came()?;
    }
    records.extend(stage.of_steps(number + 1..=number + u64::from(MORE)));
    stage.expect_records(&records)
}

/// The thread still waits for its tracer after both; and if there is room while the task is suspended, once that is resumed it goes on.
fn suspend_and_resume(stage: &mut Stage, number: u64) -> Result<(), Mismatch> {
    let task = stage.task();
    kernel::task_suspend(task).doing("task_suspend")?;
    let rounds = stage.board.rounds(OTHER);
    stage.settle()?;
    expect("rounds of the other thread, suspended", rounds, stage.board.rounds(OTHER))?;
    kernel::task_resume(task).doing("task_resume")?;
    stage.expect_waiting(number)?;
    kernel::task_suspend(task).doing("task_suspend")?;
    stage.draining = true;
    stage.settle()?;
    expect("the step that is done, suspended", number - 1, stage.board.done(WAITER))?;
    kernel::task_resume(task).doing("task_resume")?;
    stage.until_done(WAITER, number)?;
    stage.steps(WAITER, MORE)?;
    stage.expect_all_came()?;
    stage.expect_records(&stage.of_steps(FIRST_TRACED..=number + u64::from(MORE)))
}
