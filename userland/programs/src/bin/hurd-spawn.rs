// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-spawn [FILE...]: starts programs on a Hurd as a shell does, and says of each how it ended, or why it was not started.
//!
//! Its trace must show for each file `dir_lookup` for executing, `task_create`, `proc_child`, `proc_task2pid`, `proc_task2proc`,
//! `file_exec_paths` and `proc_waitid`, and what the child does. Without a file it starts one of every kind that the small Hurd has, and asks
//! proc what it has to refuse; as root it does so again and again and counts what is left in all tasks: nothing.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use hurd::abi::{open, port, wait};
use hurd::errno::{Answer, EAGAIN, EBUSY, ECHILD, ESRCH};
use hurd::names::Here;
use hurd::spawn::{Child, Program, block, receive_end};
use hurd::startup::{self, Startup};
use hurd::stubs::auth::auth_getids;
use hurd::stubs::process;
use hurd::wait::Ending;
use mach::error::Result as KernResult;
use mach::port::ReceiveRight;
use mach::println;
use mach::rt::arguments::Arguments;
use programs::everywhere::Everywhere;
use programs::{Doing, Mismatch, expect_error};

hurd::entry!(main);

/// Files of every kind: a program, one beyond a translator, a script; then those that are no programs, or not for everybody.
const FILES: [&str; 12] = [
    "/bin/hurd-hello",
    "/home/user/hello",
    "/etc/script",
    "/etc/set-id",
    "/etc/orphan-script",
    "/etc/plain",
    "/etc/cut",
    "/etc/text",
    "/etc/empty",
    "/etc",
    "/etc/none",
    "/dev/console",
];

/// Files that print nothing when they are started, or are not started: a program that does nothing, and all that is none.
const QUIET: [&str; 7] =
    ["/bin/hurd-quiet", "/etc/orphan-script", "/etc/plain", "/etc/cut", "/etc/text", "/etc", "/dev/console"];

/// How often each of them is started, and how often before anything is counted, so that servers have the threads that they need.
const ROUNDS: usize = 20;
const FIRST_ROUNDS: usize = 4;

/// The root user.
const ROOT: u32 = 0;

/// A process that is not there.
const NOBODY: i32 = 29_999;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    let named: Vec<&str> = (1..arguments.len()).filter_map(|index| arguments.get_str(index)).collect();
    let files = if named.is_empty() { FILES.to_vec() } else { named.clone() };
    for name in files {
        match run(startup, name) {
            Ok(ending) => println!("{name}: {ending}"),
            Err(error) => println!("{name}: {}", Answer(error)),
        }
    }
    if !named.is_empty() {
        return Ok(());
    }
    refusals(startup)?;
    if auth_getids(startup.port(port::AUTH).doing("our ids")?).doing("auth_getids")?.euids.iter().any(|id| id == ROOT) {
        repeat(startup)?;
    }
    Ok(())
}

/// Starts what prints nothing, or is not started, several times over.
fn repeat(startup: &'static Startup) -> Result<(), Mismatch> {
    let round = || {
        for name in QUIET {
            let _ = run(startup, name);
        }
    };
    (0..FIRST_ROUNDS).for_each(|_| round());
    let before = Everywhere::count(startup)?;
    (0..ROUNDS).for_each(|_| round());
    let tasks = before.nothing_is_left()?;
    println!("{} programs started: no right is left in any of {tasks} tasks", ROUNDS * QUIET.len());
    Ok(())
}

/// Starts a file as a program and waits for its end.
fn run(startup: &'static Startup, name: &str) -> KernResult<Ending> {
    let file = Here(startup).open(name, open::EXEC, 0)?;
    let child = Child::create(startup)?;
    let program =
        Program { file: &file, name, absolute: name, arguments: &block([name.as_bytes(), b"ids"]), environment: b"" };
    let port = ReceiveRight::allocate()?;
    if let Err(error) = child.exec(startup, &program) {
        child.kill();
        // A child that has run nothing has died all the same.
        child.wait(startup, &port)?;
        receive_end(&port)?;
        return Err(error);
    }
    child.wait(startup, &port)?;
    receive_end(&port)
}

/// What proc refuses.
fn refusals(startup: &'static Startup) -> Result<(), Mismatch> {
    let proc = startup.proc().doing("our process")?;
    expect_error("waiting without a child", ECHILD, process::proc_wait(proc, -1, 0))?;
    let child = Child::create(startup).doing("a child")?;
    expect_error("a child twice", EBUSY, process::proc_child(proc, child.task.name()))?;
    expect_error("a child that runs", EAGAIN, process::proc_wait(proc, child.id, wait::NOHANG))?;
    expect_error("a child that is none", ECHILD, process::proc_wait(proc, NOBODY, 0))?;
    expect_error("the task of nobody", ESRCH, process::proc_pid2task(proc, NOBODY))?;
    expect_error("the process of nobody", ESRCH, process::proc_pid2proc(proc, NOBODY))?;
    expect_error("the group of nobody", ESRCH, process::proc_getpgrppids(proc, NOBODY))?;
    child.kill();
    let ended = process::proc_wait(proc, child.id, 0).doing("waiting for the child")?;
    println!("a child that did nothing: {}", Ending::from_status(ended.status).doing("its end")?);
    expect_error("waiting for it again", ECHILD, process::proc_wait(proc, child.id, 0))?;
    println!("proc refuses what it has to refuse");
    Ok(())
}
