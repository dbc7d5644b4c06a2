// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-lookups: 1,000 lookups of names of every kind, and no right is left of them: not here, not in any server.
//!
//! It runs as root, who may ask for the tasks of the servers and so count their names. What is counted is counted again until nothing is
//! left, because servers hear of a port that nobody has any more when they come to it; a thread more in a server is a reply port more.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use hurd::abi::open::{CREAT, EXCL, NOLINK, NOTRANS, READ, WRITE};
use hurd::errno::Answer;
use hurd::names::Here;
use hurd::startup;
use hurd::stubs::process;
use mach::error::KernReturn;
use mach::port::{PortName, SendRight};
use mach::rt::arguments::Arguments;
use mach::{println, stubs};
use programs::patience::pause;
use programs::{Doing, Mismatch, left};

hurd::entry!(main);

/// How often each name is looked up.
const ROUNDS: usize = 40;
/// Rounds before anything is counted, in which servers get the threads that they need.
const FIRST_ROUNDS: usize = 4;
/// How often what is left is counted, and how many milliseconds lie between.
const COUNTS: usize = 200;
const PAUSE: u32 = 10;

/// The process of the kernel's own task.
const KERNEL: i32 = 3;

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

/// A task, how many names it has, and how many threads.
struct Counted {
    pid: i32,
    task: SendRight,
    names: usize,
    threads: usize,
}

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
    let before = settled(tasks(startup)?)?;
    (0..ROUNDS).for_each(|_| round());
    for task in &before {
        let mut found = (0, 0);
        let is_left = (0..COUNTS).all(|_| {
            found = count(task.task.name()).unwrap_or_default();
            let more = found.0 > task.names + 2 * found.1.saturating_sub(task.threads);
            if more {
                pause(PAUSE);
            }
            more
        });
        if is_left {
            println!("process {}: {} names before, {} after", task.pid, task.names, found.0);
            return Err(Mismatch::new("names of a task: expected no more than before, found more"));
        }
    }
    println!("{} lookups: no right is left in any of {} tasks", ROUNDS * NAMES.len(), before.len());
    Ok(())
}

/// Every task that its process shows us, and our own.
fn tasks(startup: &startup::Startup) -> Result<Vec<Counted>, Mismatch> {
    let proc = startup.proc().doing("our process")?;
    let mut tasks = Vec::new();
    for pid in process::proc_getallpids(proc).doing("proc_getallpids")?.iter() {
        let task = match process::proc_pid2task(proc, pid) {
            // The kernel's own task is left alone, and a dead one has none.
            Ok(task) if task.name().is_valid() && pid != KERNEL => task,
            Ok(_) => continue,
            Err(error) => return Err(error).doing("proc_pid2task"),
        };
        if count(task.name()).is_ok() {
            tasks.push(Counted { pid, task, names: 0, threads: 0 });
        }
    }
    Ok(tasks)
}

/// Names and threads of a task.
fn count(task: PortName) -> Result<(usize, usize), KernReturn> {
    let mut names = 0;
    left::each_name(task, |_, _| names += 1)?;
    Ok((names, stubs::mach::task_threads(task)?.len()))
}

/// Counts each task's names until two counts of all are alike.
fn settled(mut tasks: Vec<Counted>) -> Result<Vec<Counted>, Mismatch> {
    for _ in 0..COUNTS {
        let mut same = true;
        for task in &mut tasks {
            let counted = count(task.task.name()).doing("counting names")?;
            same &= counted == (task.names, task.threads);
            (task.names, task.threads) = counted;
        }
        if same {
            return Ok(tasks);
        }
        pause(PAUSE);
    }
    Err(Mismatch::new("names of all tasks: expected two counts alike, found none"))
}
