// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-attach SERVER [ROUNDS] [quiet|until|ool]: starts `rpctrace2 -o /tmp/trace -p SERVER` on a Hurd, works with all servers, interrupts rpctrace2 as
//! Ctrl-C does and works on; so often. Says what it found in the trace.
//!
//! rpctrace2 must be attached while the server works, let it go and end with 130; the server must go on as if nothing had been, even if it is
//! the one that the trace is written by. With `quiet` nothing is asked of the server: every name that it has, and all that the kernel says of the
//! ports that it receives from (sequence number, mscount, no-senders request among them), must be as before. With `until` nobody interrupts
//! rpctrace2, which begins at a lookup, and ends after one, with 0. With `ool` it reads what messages have out of line, too.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hurd::abi::{open, signal};
use hurd::errno::ENOENT;
use hurd::names::Here;
use hurd::spawn::receive_end;
use hurd::startup::{self, Startup};
use hurd::stubs::{msg, process};
use hurd::wait::Ending;
use mach::error::Result as KernResult;
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::println;
use mach::rt::arguments::Arguments;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::on_hurd::start;
use programs::patience::pause;
use programs::{Doing, Mismatch, expect};

hurd::entry!(main);

/// Where the trace is written.
const TRACE: &str = "/tmp/trace";
const TRACER: &str = "/bin/rpctrace2";
/// Milliseconds between two looks at the trace.
const PAUSE: u32 = 50;
fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    let server = arguments.get_str(1).doing("the name of a server")?;
    let rounds = arguments.get_str(2).map_or(Some(1), |rounds| rounds.parse().ok()).doing("a number of rounds")?;
    work(startup).doing("working untraced")?;
    // A node's name may be its server's.
    let name = server.trim_start_matches('/');
    let reads_memory = arguments.get_str(3) == Some("ool");
    let quiet = match arguments.get_str(3) {
        Some("until") => return until(startup, server),
        Some("quiet") => Some(task_of(startup, name)?),
        _ => None,
    };
    let before = quiet.as_ref().map(ports).transpose()?;
    let mut trace = String::new();
    for _ in 0..rounds {
        trace = round(startup, (server, reads_memory), quiet.as_ref())?;
    }
    if let (Some(task), Some(before)) = (&quiet, before) {
        expect("names and ports", &before, &ports(task)?)?;
        println!("{server}: {rounds} times attached and let go, and its names and ports are as before");
        return Ok(());
    }
    work(startup).doing("working after the trace")?;
    report(name, &trace);
    println!("{rounds} times attached and let go");
    Ok(())
}

/// One trace: from its start to its end, and what it wrote.
fn round(
    startup: &'static Startup,
    (server, reads_memory): (&str, bool),
    quiet: Option<&SendRight>,
) -> Result<String, Mismatch> {
    let memory: &[&str] = if reads_memory { &["--ool=16"] } else { &[] };
    let words = [&["rpctrace2", "-o", TRACE, "-p", server], memory].concat();
    let tracer = start(startup, TRACER, &words).doing("starting rpctrace2")?;
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    tracer.wait(startup, &port).doing("proc_waitid")?;
    // It is attached when it has written something, and not only made the file.
    let is_attached = || match quiet {
        Some(task) => Ok(is_traced(task)),
        None => written().doing("reading the trace").map(|trace| !trace.is_empty()),
    };
    while !is_attached()? {
        let alive = process::proc_getmsgport(startup.proc().doing("our process")?, tracer.id).is_ok();
        expect("rpctrace2 runs", true, alive)?;
        if quiet.is_none() {
            work(startup).doing("working under trace")?;
        }
        pause(PAUSE);
    }
    if reads_memory {
        // A server may have been asked for nothing yet.
        work(startup).doing("working under trace")?;
    }
    let to = process::proc_getmsgport(startup.proc().doing("our process")?, tracer.id).doing("proc_getmsgport")?;
    msg::msg_sig_post(to.name(), signal::INT, 0, tracer.task.name()).doing("msg_sig_post")?;
    expect("how rpctrace2 ended", Ending::Exited(130), receive_end(&port).doing("its end")?)?;
    let trace = written().doing("reading the trace")?;
    Here(startup).remove(TRACE).doing("removing the trace")?;
    Ok(trace)
}

/// A trace that ends by itself.
fn until(startup: &'static Startup, server: &str) -> Result<(), Mismatch> {
    let words = ["rpctrace2", "-o", TRACE, "-p", server, "--on=dir_lookup", "--until=dir_lookup"];
    let tracer = start(startup, TRACER, &words).doing("starting rpctrace2")?;
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    tracer.wait(startup, &port).doing("proc_waitid")?;
    while process::proc_getmsgport(startup.proc().doing("our process")?, tracer.id).is_ok() {
        work(startup).doing("working under trace")?;
        pause(PAUSE);
    }
    expect("how rpctrace2 ended", Ending::Exited(0), receive_end(&port).doing("its end")?)?;
    work(startup).doing("working after the trace")?;
    let trace = written().doing("reading the trace")?;
    let first = trace.lines().next().unwrap_or_default();
    println!(
        "{server}: the first line is{} of dir_lookup",
        if first.contains("] <- dir_lookup(") { "" } else { " not" }
    );
    trace.lines().filter(|line| !line.contains("] ")).for_each(|line| println!("{line}"));
    Ok(())
}

/// The task of the process whose program is called so.
fn task_of(startup: &'static Startup, name: &str) -> Result<SendRight, Mismatch> {
    let proc = startup.proc().doing("our process")?;
    let all = process::proc_getallpids(proc).doing("proc_getallpids")?;
    let is_it = |id: &i32| {
        let arguments = process::proc_getprocargs(proc, *id);
        arguments.is_ok_and(|arguments| arguments.as_bytes() == [b"/hurd/", name.as_bytes(), b"\0"].concat())
    };
    let id = all.iter().find(is_it).doing("a process of that name")?;
    process::proc_pid2task(proc, id).doing("proc_pid2task")
}

/// Whether somebody else traces the task: only who receives from its trace port is told which one it is.
fn is_traced(task: &SendRight) -> bool {
    !mach::stubs::mach::task_get_special_port(task.name(), TASK_TRACE_PORT)
        .is_ok_and(|port| port.name() == PortName::NULL)
}

/// Every name that a task has, what it is a name of, and all that the kernel says of the ports that the task receives from.
fn ports(task: &SendRight) -> Result<Vec<String>, Mismatch> {
    let found = mach::stubs::mach_port::mach_port_names(task.name()).doing("mach_port_names")?;
    let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let both = found.names.as_slice().chunks_exact(4).zip(found.types.as_slice().chunks_exact(4));
    let mut ports = Vec::new();
    for (name, kind) in both.map(|(name, kind)| (PortName(word(name)), word(kind))) {
        let status = mach::stubs::mach_port::mach_port_get_receive_status(task.name(), name).ok();
        ports.push(format!("{name} {kind:#x} {status:?}"));
    }
    ports.sort();
    Ok(ports)
}

/// A little of everything: files here and beyond a translator, processes, the terminal, a program.
fn work(startup: &'static Startup) -> KernResult<()> {
    drop(Here(startup).open("/etc/text", open::READ, 0)?.read_to_end()?);
    drop(Here(startup).open("/home/../etc/motd", open::READ, 0)?);
    startup.process_id()?;
    let port = ReceiveRight::allocate()?;
    let child = start(startup, "/bin/hurd-hello", &["hurd-hello"])?;
    child.wait(startup, &port)?;
    receive_end(&port).map(drop)
}

/// What is in the file of the trace, if it is there.
fn written() -> KernResult<String> {
    let startup = startup::get().ok_or(ENOENT)?;
    match Here(startup).open(TRACE, open::READ, 0) {
        Err(ENOENT) => Ok(String::new()),
        file => Ok(String::from_utf8_lossy(&file?.read_to_end()?).into_owned()),
    }
}

/// What can be said of a trace whose lines depend on when it began.
fn report(server: &str, trace: &str) {
    let label = |line: &str| line.split('[').next().is_some_and(|name| name.starts_with(server) && name.ends_with(')'));
    let mut lines = trace.lines().filter(|line| !line.starts_with(" | "));
    let others = lines.clone().filter(|line| !label(line) && !line.starts_with("--- ")).count();
    println!("{server}: its name stands before {} lines", if others == 0 { "all" } else { "not all" });
    if others > 0 {
        trace.lines().filter(|line| !label(line)).take(3).for_each(|line| println!("  {line}"));
    }
    println!("{server}: the last line is {}", lines.next_back().unwrap_or("not there"));
    let undecoded = trace.lines().filter(|line| line.contains("msgh_id")).take(3);
    undecoded.for_each(|line| println!("  not decoded: {line}"));
    let read = trace.lines().filter(|line| line.contains("; 16 read ")).count();
    if read > 0 {
        println!("{server}: what is out of line was read of {read} lines");
    }
}
