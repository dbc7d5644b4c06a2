// SPDX-License-Identifier: GPL-2.0-or-later
//! The end of a program: its exit status goes to the boot server, then the task ends itself.

use alloc::boxed::Box;
use core::fmt::Display;

use spin::Once;

use super::arguments::program_name;
use crate::{boot, sys, task_self};

/// What `main` may return.
pub trait Termination {
    /// The exit status it means; prints the reason if that is an error.
    fn status(self) -> i32;
}

impl Termination for i32 {
    fn status(self) -> i32 {
        self
    }
}

impl Termination for () {
    fn status(self) -> i32 {
        0
    }
}

impl<T: Termination, E: Display> Termination for Result<T, E> {
    fn status(self) -> i32 {
        match self {
            Ok(value) => value.status(),
            Err(error) => {
                crate::println!("{}: {error}", program_name());
                1
            }
        }
    }
}

/// What is done with the exit status instead of telling it to the boot server.
type LastAction = Box<dyn Fn(i32) + Send + Sync>;

static LAST_ACTION: Once<LastAction> = Once::new();

/// Has `action` called with the exit status when the program ends, however it ends, instead of the boot server being told.
/// For the boot server itself, which has nobody to tell. The first call counts.
pub fn on_exit(action: impl Fn(i32) + Send + Sync + 'static) {
    LAST_ACTION.call_once(|| Box::new(action));
}

/// Ends the program with this exit status.
pub fn exit(status: i32) -> ! {
    match LAST_ACTION.get() {
        Some(action) => action(status),
        None => boot::report_exit(status),
    }
    terminate()
}

/// Ends the task without a word to the boot server.
pub fn terminate() -> ! {
    loop {
        // Answers only if the kernel refused, and then there is nothing left but to try again.
        let _ = sys::trap::task_terminate(task_self());
        sys::trap::thread_switch();
    }
}
