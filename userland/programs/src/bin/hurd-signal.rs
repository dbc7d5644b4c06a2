// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-signal: a Hurd program with a message port; says that it waits, and what signal comes. With `deaf` it has no message port, and with
//! `lost` it has had one: who asks for it waits until there is another.
//!
//! Its trace must show `proc_setmsgport`, and, when somebody types Ctrl-C, `msg_sig_post` with the terminal's id, answered at once.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use hurd::message_port::MessagePort;
use hurd::startup::{self, Startup};
use hurd::stubs::process;
use mach::error::KernReturn;
use mach::port::PortName;
use mach::rt::arguments::Arguments;
use mach::sys::msg::mach_msg;
use mach::{println, thread};
use mach_abi::option::MACH_RCV_MSG;
use programs::patience::pause;
use programs::{Doing, Mismatch};

hurd::entry!(main);

/// Room for any message to the port.
const ROOM: usize = 256;

/// How long a signal may take that does not come, and how long nothing is done where something is waited for, in milliseconds.
const WHILE: u32 = 200;
const PAUSE: u32 = 10;

/// `PI_GETMSG` of hurd_types.h: the process waits for a message port.
const GETMSG: i32 = 0x400;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    match arguments.get_str(1) {
        Some("deaf") => {
            println!("waiting for a signal");
            pause(WHILE);
            println!("no signal comes");
            Ok(())
        }
        Some("lost") => lost(startup),
        _ => {
            let port = MessagePort::register(startup).doing("proc_setmsgport")?;
            println!("waiting for a signal");
            hear(startup, &port)
        }
    }
}

/// Waits for the first signal that somebody may send.
fn hear(startup: &Startup, port: &MessagePort) -> Result<(), Mismatch> {
    loop {
        let mut message = [0; ROOM / 8];
        let answer = mach_msg(&mut message, MACH_RCV_MSG, 0, ROOM as u32, port.port.name(), 0, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().doing("receiving a signal")?;
        if let Some(signal) = port.answer(startup, &message) {
            println!("signal {signal}");
            return Ok(());
        }
    }
}

/// A message port that dies while it is registered: who asks for it waits for the next one.
fn lost(startup: &'static Startup) -> Result<(), Mismatch> {
    static ANSWERED: AtomicBool = AtomicBool::new(false);
    let proc = startup.proc().doing("our process")?;
    let pid = startup.process_id().doing("our number")?;
    drop(MessagePort::register(startup).doing("proc_setmsgport")?);
    thread::spawn(move || {
        match process::proc_getmsgport(proc, pid) {
            Ok(port) => println!("the next one is {}", if port.name().is_valid() { "there" } else { "none" }),
            Err(error) => println!("proc_getmsgport: {error}"),
        }
        ANSWERED.store(true, Ordering::Release);
    })
    .doing("a thread")?;
    while state(proc, pid)? & GETMSG == 0 {
        pause(PAUSE);
    }
    println!("who asks for a message port that has died waits");
    let port = MessagePort::register(startup).doing("proc_setmsgport")?;
    while !ANSWERED.load(Ordering::Acquire) {
        pause(PAUSE);
    }
    drop(port);
    Ok(())
}

/// The state of a process as proc tells it.
fn state(proc: PortName, pid: i32) -> Result<i32, Mismatch> {
    let info = process::proc_getprocinfo(proc, pid, &mut 0).doing("proc_getprocinfo")?;
    info.procinfo.iter().next().doing("its state")
}
