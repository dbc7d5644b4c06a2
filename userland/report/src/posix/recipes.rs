// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of calls: a row each. What messages a call is made of is the GNU C library's, as docs/posix.md says with the file of each row.
//!
//! A row's steps are in the order of the messages. Of rows that fit as many messages the first one is meant.

mod files;
mod names;
mod processes;
mod sockets;

use super::recipe::Argument::{Open, Path};
use super::recipe::When::{Is, Lacks};
use super::recipe::{Gives, LOOKUP, Need, ROW, Recipe, Step, When};

/// `O_READ`, `O_WRITE`, `O_EXEC`, `O_NOLINK` and `O_TRUNC` of the Hurd.
const READ_WRITE: i64 = 3;
const WRITE: i64 = 2;
const EXEC: i64 = 4;
const NOLINK: i64 = 0x40;
const TRUNCATE: i64 = 0x1_0000;

/// What is told of a file's state.
const STAT: &[&str] = &["st_mode", "st_size"];

const fn must(routine: &'static str) -> Step {
    Step::must(routine)
}

const fn may(routine: &'static str) -> Step {
    Step::may(routine)
}

/// A name is looked up only to know the file: neither to read nor to write it.
const fn find() -> Step {
    must(LOOKUP).when(&[Lacks("flags", READ_WRITE | EXEC)])
}

/// The directory of a name is looked up, or, if it is the current or the root one, gets another reference.
const fn find_directory() -> Step {
    may(LOOKUP).when(&[Lacks("flags", READ_WRITE | EXEC)])
}

const fn refer() -> Step {
    may("mach_port_mod_refs").when(&[Is("delta", 1)])
}

const fn gives_back(step: &'static [When]) -> Step {
    Step::gives_back(step)
}

const fn cleans(step: &'static [When]) -> Step {
    Step::cleans(step)
}

/// The port by which something was authenticated anew goes away.
const fn destroys() -> Step {
    Step { need: Need::Cleans, ..must("mach_port_destroy") }
}

/// A name is looked up for something that no other row has.
const LOOKED_UP: &[Recipe] = &[Recipe {
    call: "file_name_lookup",
    at: "file_name_lookup_under",
    steps: &[must(LOOKUP)],
    arguments: &[Path(0), Open(0)],
    gives: Gives::Port(0),
    ..ROW
}];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Recipe> {
    [names::ROWS, files::ROWS, processes::ROWS, sockets::ROWS, LOOKED_UP].into_iter().flatten()
}
/// What libc asks for without being called for it: at a program's start, for signals and identities.
pub(super) const OF_LIBC: &[&str] = &[
    "exec_startup_get_info",
    "interrupt_operation",
    "msg_proc_newids",
    "proc_dostop",
    "proc_get_arg_locations",
    "proc_getpids",
    "proc_handle_exceptions",
    "proc_set_arg_locations",
    "proc_set_code",
    "proc_set_entry",
    "proc_setmsgport",
];

/// How routines of the kernel's begin that are no call of a programmer's.
pub(super) const OF_THE_KERNEL: &[&str] = &[
    "gsync_",
    "host_",
    "i386_",
    "mach_port_",
    "memory_object_",
    "processor_",
    "register_new_task",
    "task_",
    "thread_",
    "vm_",
];
