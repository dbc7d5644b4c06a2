// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-quiet: a Hurd program that does nothing.
//!
//! Its trace must show what every Hurd program does: `exec_startup_get_info`, `proc_set_arg_locations`, `proc_mark_exit`, `task_terminate`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::rt::arguments::Arguments;

hurd::entry!(main);

fn main(_arguments: Arguments) {}
