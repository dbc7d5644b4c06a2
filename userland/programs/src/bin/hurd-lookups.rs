// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-lookups: 1,000 lookups of names of every kind, and no right is left of them: not here, not in any server.
//!
//! It runs as root, who may ask for the tasks of the servers and so count their names.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use hurd::abi::open::{CREAT, EXCL, NOLINK, NOTRANS, READ, WRITE};
use hurd::errno::Answer;
use hurd::names::Here;
use hurd::startup;
use mach::println;
use mach::rt::arguments::Arguments;
use programs::everywhere::Everywhere;
use programs::{Doing, Mismatch};

hurd::entry!(main);

/// How often each name is looked up.
const ROUNDS: usize = 40;
/// Rounds before anything is counted, in which servers get the threads that they need.
const FIRST_ROUNDS: usize = 4;
/// Names, and how each is opened.
const NAMES: [(&str, i32); 25] = [
    ("/etc/motd", READ),
    ("etc/motd", READ),
    ("/etc/message", READ),
    ("/etc/up", READ),
    ("/etc/absolute", READ),
    ("/etc/programs/hurd-hello", READ),
    ("/etc/loop", NOLINK),
    ("/tmp/made", WRITE | CREAT),
    ("/home", READ),
    ("/home", NOTRANS),
    ("/home/user/letter", READ),
    ("/home/../etc/motd", READ),
    ("/home/user/out", READ),
    ("/home/user/absolute", READ),
    ("/dev/console", WRITE),
    ("/dev/tty", READ),
    ("/dev/fd", READ),
    ("/dev/fd/1", READ),
    ("/dev/fd/../tty", READ),
    ("/proc/self", 0),
    ("/servers/exec", 0),
    ("/etc/none", READ),
    ("/etc/motd/more", READ),
    ("/etc/loop", READ),
    ("/tmp/made", WRITE | CREAT | EXCL),
];

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    let here = Here(startup);
    for (name, flags) in NAMES {
        match here.open(name, flags, 0o644) {
            Ok(_) => println!("{name} {flags:#x}: a file"),
            Err(error) => println!("{name} {flags:#x}: {}", Answer(error)),
        }
    }
    let round = || NAMES.iter().for_each(|(name, flags)| drop(here.open(name, *flags, 0o644)));
    (0..FIRST_ROUNDS).for_each(|_| round());
    let before = Everywhere::count(startup)?;
    (0..ROUNDS).for_each(|_| round());
    let tasks = before.nothing_is_left()?;
    println!("{} lookups: no right is left in any of {tasks} tasks", ROUNDS * NAMES.len());
    Ok(())
}
