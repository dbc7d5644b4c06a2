// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-claim: takes the system trace over from `rpctrace2 --boot`, on a Hurd whose boot that traces, and gives it back.
//!
//! Its tracer must be the background tool's engine before, and none after; and the tracer must end.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use hurd::startup;
use hurd::stubs::process;
use mach::rt::arguments::Arguments;
use mach::stubs::trace_control::{trace_owner_claim, trace_owner_reset, trace_owner_state, trace_owner_tool};
use mach::{println, task_self};
use programs::engine::{engines, name_of};
use programs::patience::pause;
use programs::{Doing, Mismatch, expect};
use trace_port::control::owner::{Mode, part};

hurd::entry!(main);

/// Milliseconds between two looks at whether the tracer has ended.
const PAUSE: u32 = 20;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    let proc = startup.proc().doing("our process")?;
    let host = process::proc_getprivports(proc).doing("proc_getprivports")?.host_priv;
    let before = trace_owner_state(task_self()).doing("trace_owner_state")?;
    let found = (before.mode, before.owner == before.background, before.configured_by);
    expect("whose the trace is at first", (Mode::Background as u32, true, name_of("rpctrace2 --boot")), found)?;
    expect("engines of this task", [String::from("rpctrace2 --boot")].to_vec(), names()?)?;
    println!("hurd-claim: the boot has the system trace in the background");

    let tool = trace_owner_tool(host.name(), name_of("hurd-claim")).doing("trace_owner_tool")?;
    trace_owner_claim(tool.name(), part::TASKS).doing("trace_owner_claim")?;
    expect("engines of this task after that", Vec::new(), names()?)?;
    // Not in the trace any more.
    drop(process::proc_getprivports(proc).doing("proc_getprivports")?);
    // As long as its task is there its tool is.
    while trace_owner_state(task_self()).doing("trace_owner_state")?.background != 0 {
        pause(PAUSE);
    }
    println!("hurd-claim: the boot's tracer has ended");
    trace_owner_reset(tool.name(), part::TASKS).doing("trace_owner_reset")?;
    let after = trace_owner_state(task_self()).doing("trace_owner_state")?;
    expect("whose the trace is at last", (Mode::Off as u32, 0, 0), (after.mode, after.owner, after.background))?;
    println!("hurd-claim: the system trace is free");
    Ok(())
}

/// What the engines of this task are called.
fn names() -> Result<Vec<String>, Mismatch> {
    let listed = engines(task_self()).doing("trace_engines")?;
    let text = |name: [u8; 32]| name.split(|byte| *byte == 0).next().map(|name| String::from_utf8_lossy(name).into());
    Ok(listed.iter().filter_map(|engine| text(engine.name)).collect())
}
