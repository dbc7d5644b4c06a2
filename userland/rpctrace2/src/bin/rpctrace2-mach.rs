// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2 as a program on Mach: `rpctrace2 [OPTION]... COMMAND [ARGUMENT]...`, started by the boot server or by the exec server of a
//! Hurd.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::rt::arguments::Arguments;

hurd::entry!(main);

fn main(arguments: Arguments) -> i32 {
    rpctrace2::session::main(arguments)
}
