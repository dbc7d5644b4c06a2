// SPDX-License-Identifier: GPL-2.0-or-later
//! orphan: leaves a task behind that has no thread and will never end, and exits with 3, as a fork that fails half way does.
//!
//! Its trace must end all the same, after saying which task is left.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::rt::arguments::Arguments;
use mach::{stubs, task_self};
use programs::{Doing, Mismatch};

mach::entry!(main);

fn main(_arguments: Arguments) -> Result<i32, Mismatch> {
    let task = stubs::mach::task_create(task_self(), true).doing("task_create")?;
    // The name dies with this task, and the task behind it does not.
    core::mem::forget(task);
    Ok(3)
}
