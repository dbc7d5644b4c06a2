// SPDX-License-Identifier: GPL-2.0-or-later
//! hello: writes one line to the console, and its arguments and its environment, if it has any, on further lines.
//!
//! Its trace must show how a program comes by its console (`task_get_special_port`, `boot_console`), one
//! `device_write_inband` for each line, and its end (`boot_exit`, `task_terminate`).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::println;
use mach::rt::arguments::Arguments;

mach::entry!(main);

fn main(arguments: Arguments) {
    println!("hello, world");
    for (index, argument) in arguments.iter().enumerate().skip(1) {
        println!("argument {index}: {}", argument.escape_ascii());
    }
    for variable in arguments.environment() {
        println!("environment: {}", variable.escape_ascii());
    }
}
