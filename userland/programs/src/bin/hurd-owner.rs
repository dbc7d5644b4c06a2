// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-owner SCENE: several rpctrace2 of which each wants the system trace of a Hurd. What they print stands in the order in which they do.
//!
//! `claim`: one has it, others are refused it, it gives it back, it dies. `background`: one has it whenever nobody else wants it. `all`:
//! `-p all` has it, traces a program that starts later, and gives it back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use hurd::abi::signal;
use hurd::startup::{self, Startup};
use hurd::wait::Ending;
use mach::rt::arguments::Arguments;
use mach::stubs::trace_control::{trace_owner_state, trace_owner_t};
use mach::task_self;
use programs::on_hurd::{Started, contents};
use programs::patience::pause;
use programs::{Doing, Mismatch, expect};
use trace_port::control::owner::Mode;

hurd::entry!(main);

/// Milliseconds between two looks at something.
const PAUSE: u32 = 10;
const WELL: Ending = Ending::Exited(0);
const REFUSED: Ending = Ending::Exited(125);
const INTERRUPTED: Ending = Ending::Exited(130);
/// Where the trace of all tasks is written.
const TRACE: &str = "/tmp/trace";

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    match arguments.get_str(1) {
        Some("claim") => claim(startup),
        Some("background") => background(startup),
        Some("all") => all(startup),
        _ => Err(Mismatch::new("the name of a scene")),
    }
}

/// Runs rpctrace2 with these words to its end.
fn run(startup: &'static Startup, words: &[&str], expected: Ending) -> Result<(), Mismatch> {
    rpctrace2(startup, words)?.ends("rpctrace2", expected)
}

fn rpctrace2(startup: &'static Startup, words: &[&str]) -> Result<Started, Mismatch> {
    Started::new(startup, &[&["rpctrace2"], words].concat())
}

/// Waits until the system trace is so.
fn until(is_so: impl Fn(&trace_owner_t) -> bool) -> Result<(), Mismatch> {
    while !is_so(&trace_owner_state(task_self()).doing("trace_owner_state")?) {
        pause(PAUSE);
    }
    Ok(())
}

/// Waits until a word has been printed: what the claimer prints comes after its claim.
fn settle() {
    pause(10 * PAUSE);
}

fn claim(startup: &'static Startup) -> Result<(), Mismatch> {
    run(startup, &["owner"], WELL)?;
    let owner = rpctrace2(startup, &["owner", "claim"])?;
    until(|state| state.owner != 0)?;
    settle();
    run(startup, &["owner"], WELL)?;
    run(startup, &["owner", "claim"], REFUSED)?;
    run(startup, &["owner", "release"], REFUSED)?;
    run(startup, &["-p", "all"], REFUSED)?;
    owner.signal(startup, signal::INT)?;
    owner.ends("the owner", INTERRUPTED)?;
    run(startup, &["owner", "release"], WELL)?;
    let dies = rpctrace2(startup, &["owner", "claim"])?;
    until(|state| state.owner != 0)?;
    settle();
    dies.child.kill();
    until(|state| state.owner == 0)?;
    run(startup, &["owner"], WELL)?;
    run(startup, &["owner", "release"], WELL)?;
    run(startup, &["owner", "relaese"], REFUSED)
}

fn background(startup: &'static Startup) -> Result<(), Mismatch> {
    let waits = rpctrace2(startup, &["owner", "background"])?;
    until(|state| state.mode == Mode::Background as u32)?;
    settle();
    let owner = rpctrace2(startup, &["owner", "claim"])?;
    until(|state| state.mode == Mode::Foreground as u32)?;
    settle();
    run(startup, &["owner"], WELL)?;
    owner.signal(startup, signal::INT)?;
    owner.ends("the owner", INTERRUPTED)?;
    until(|state| state.mode == Mode::Background as u32)?;
    settle();
    waits.signal(startup, signal::INT)?;
    waits.ends("the background", INTERRUPTED)?;
    run(startup, &["owner"], WELL)
}

fn all(startup: &'static Startup) -> Result<(), Mismatch> {
    let tracer = rpctrace2(startup, &["-o", TRACE, "-e", "proc_mark_exit", "-p", "all"])?;
    until(|state| state.engine != 0)?;
    run(startup, &["owner"], WELL)?;
    run(startup, &["-p", "all"], REFUSED)?;
    Started::new(startup, &["hurd-hello"])?.ends("a program that starts later", Ending::Exited(3))?;
    tracer.signal(startup, signal::INT)?;
    tracer.ends("the tracer", INTERRUPTED)?;
    until(|state| state.mode == Mode::Off as u32)?;
    let trace = contents(startup, TRACE)?;
    // It is called so because a program before it, the owner's, was traced from its start, too.
    let of_it = |line: &&str| line.contains("hurd-hello(") && line.contains("] proc_mark_exit(");
    expect("lines of the later program", 1, trace.lines().filter(of_it).count())?;
    expect("whether it says that it has let go", true, trace.lines().any(|line| line == "--- detached ---"))
}
