// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-hello: a Hurd program that writes one line, and its arguments and its environment, if it has any, on further lines, and ends with
//! status 3. With the last argument `ids` it also says whose it is.
//!
//! Its trace must show `exec_startup_get_info`, one `io_write` on the first descriptor for each line, `proc_mark_exit` and `task_terminate`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use hurd::abi::port;
use hurd::startup;
use hurd::stubs::auth::auth_getids;
use mach::println;
use mach::rt::arguments::Arguments;

hurd::entry!(main);

/// What it ends with.
const STATUS: i32 = 3;

fn main(arguments: Arguments) -> i32 {
    println!("hello, Hurd");
    for (index, argument) in arguments.iter().enumerate().skip(1) {
        println!("argument {index}: {}", argument.escape_ascii());
    }
    for variable in arguments.environment() {
        println!("environment: {}", variable.escape_ascii());
    }
    if arguments.iter().last() == Some(b"ids") {
        let handle = startup::get().and_then(|startup| startup.port(port::AUTH));
        match handle.map(auth_getids) {
            Some(Ok(ids)) => {
                let [effective, available] = [&ids.euids, &ids.auids].map(|ids| ids.iter().collect::<Vec<_>>());
                println!("users {effective:?}, available {available:?}");
            }
            _ => println!("nobody says whose it is"),
        }
    }
    STATUS
}
