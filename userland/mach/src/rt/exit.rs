//! The end of a program: its exit status goes to the boot server, then the task ends itself.

use core::fmt::Display;

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

/// Ends the program with this exit status.
pub fn exit(status: i32) -> ! {
    boot::report_exit(status);
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
