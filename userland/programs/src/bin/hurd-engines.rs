// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-engines SCENE: rpctrace2 and other tracers at one process of a Hurd, which is this program itself with the word `work`: it waits for
//! a signal, does the same work each time and ends. Prints what rpctrace2 wrote.
//!
//! `alone`: one rpctrace2 at it. `crowd`: beside that one that is killed in the middle, one that stands still and loses records, and two tracers
//! of this program's own: one takes them one by one, one stops a thread before each call of a routine. `refused`: whom the engines and the trace port are refused. `beside`: its trace port is
//! taken. `interrupt`: Ctrl-C while it works. `ended`: an engine that ends before its command does. `filtered`: what the kernel leaves out.
//! `stopped`: an rpctrace2 with `--stop-at` at it, which asks at this program's terminal.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hurd::abi::signal;
use hurd::message_port::MessagePort;
use hurd::startup::{self, Startup};
use hurd::stubs::{msg, process};
use hurd::wait::Ending;
use mach::error::{KernReturn, Result as KernResult};
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::trace_control::{trace_action_t, trace_answer, trace_engine, trace_set_actions};
use mach::sys::msg::mach_msg;
use mach::{println, stubs, thread};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::port::{MACH_PORT_TYPE_RECEIVE, MACH_PORT_TYPE_SEND};
use programs::engine::{self, Wish, attach, detach, engines};
use programs::on_hurd::{Started, contents};
use programs::patience::pause;
use programs::tracer::Tracer;
use programs::{Doing, Mismatch, expect};
use trace_port::control::{ENGINE_ID, Engine, event, flag, what};
use trace_port::ring::TRACERS_CAPACITY;

hurd::entry!(main);

/// How often it asks proc and the kernel.
const ROUNDS: u32 = 60;
/// A message that nobody receives, and how many bytes are in it: with all rounds more than a tracer's ring has room for.
const LOAD: i32 = 7000;
const MUCH: usize = 8192;
const _: () = assert!(MUCH * ROUNDS as usize > TRACERS_CAPACITY);

/// Room for any message to a message port.
const ROOM: usize = 256;
/// Milliseconds between two looks at something; that a slow tracer takes for a record; and after which work is under way.
const PAUSE: u32 = 10;
const SLOWNESS: u32 = 5;
const UNDER_WAY: u32 = 100;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    match arguments.get_str(1) {
        Some("work") => work(startup, arguments.get_str(2) == Some("calm")),
        Some("alone") => alone(startup),
        Some("crowd") => crowd(startup),
        Some("refused") => refused(startup),
        Some("beside") => beside(startup),
        Some("interrupt") => interrupt(startup),
        Some("ended") => ended(startup),
        Some("filtered") => filtered(startup),
        Some("stopped") => stopped(startup),
        _ => Err(Mismatch::new("the name of a scene")),
    }
}

/// What is traced.
fn work(startup: &'static Startup, is_calm: bool) -> Result<(), Mismatch> {
    let port = MessagePort::register(startup).doing("proc_setmsgport")?;
    let mut message = [0; ROOM / 8];
    loop {
        let answer = mach_msg(&mut message, MACH_RCV_MSG, 0, ROOM as u32, port.port.name(), 0, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().doing("receiving a signal")?;
        if port.answer(startup, &message).is_some() {
            break;
        }
    }
    for _ in 0..ROUNDS {
        if is_calm {
            drop(stubs::mach_host::processor_set_default(mach::host_self()).doing("processor_set_default")?);
            continue;
        }
        startup.process_id().doing("proc_getpids")?;
        let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        // It dies with the message in its queue.
        Message::new(LOAD, port.name(), Disposition::MakeSend)
            .bytes(&[0; MUCH])
            .send(None)
            .into_result()
            .doing("mach_msg")?;
    }
    Ok(())
}

/// What is traced, which waits for its signal.
fn worker(startup: &'static Startup, how: &[&str]) -> Result<Started, Mismatch> {
    let worker = Started::new(startup, &[&["hurd-engines", "work"], how].concat())?;
    // Who has not begun has none.
    while !worker.message_port(startup)?.name().is_valid() {
        pause(PAUSE);
    }
    Ok(worker)
}

/// rpctrace2 with an engine of this name at a process; it observes it when this returns.
fn tracer(startup: &'static Startup, worker: &Started, name: &str, words: &[&str]) -> Result<Started, Mismatch> {
    let (id, file) = (format!("{}", worker.child.id), file_of(name));
    let words = [&["rpctrace2", "--as", name, "-o", &file], words, &["-p", &id]].concat();
    let tracer = Started::new(startup, &words)?;
    wait_for_engine(worker, name)?;
    Ok(tracer)
}

fn wait_for_engine(worker: &Started, name: &str) -> Result<(), Mismatch> {
    // One that is told of nothing yet is still being made.
    let is_it =
        |engine: &stubs::trace_control::trace_engine_t| engine.name == engine::name_of(name) && engine.events != 0;
    while !engines(worker.task()).doing("trace_engines")?.iter().any(is_it) {
        pause(PAUSE);
    }
    Ok(())
}

/// An engine of a program's whose tracer takes its records one by one, and whom the program waits for.
fn slow_tracer(worker: &Started) -> Result<SendRight, Mismatch> {
    let mut slow = Tracer::new(1)?;
    let engine = attach(worker.task(), &slow, Wish::new("slow")).doing("trace_attach")?;
    let takes = move || {
        while slow.record(None).is_ok() {
            pause(SLOWNESS);
        }
    };
    thread::spawn(takes).doing("a thread")?;
    Ok(engine)
}

/// An engine that is asked about each call for process ids, whose tracer lets some time pass before it goes on.
fn stopping_tracer(worker: &Started) -> Result<SendRight, Mismatch> {
    let mut stopping = Tracer::new(1)?;
    let wish = Wish::new("stopping").of(event::STOP).with(flag::CONTROL);
    let engine = attach(worker.task(), &stopping, wish).doing("trace_attach")?;
    let action =
        trace_action_t { first: PROC_GETPIDS, last: PROC_GETPIDS, what: what::STOP, value: 0, nth: 1, step: 1 };
    trace_set_actions(engine.name(), &[action]).doing("trace_set_actions")?;
    let answers = engine.try_clone().doing("a second right to the engine")?;
    let goes_on = move || {
        while let Ok(Some(record)) = stopping.record(None) {
            pause(SLOWNESS);
            if trace_answer(answers.name(), record.header.thread.get(), what::GO, 0).is_ok() {
                STOPS.fetch_add(1, Relaxed);
            }
        }
    };
    thread::spawn(goes_on).doing("a thread")?;
    Ok(engine)
}

/// Where the trace of this name is written.
fn file_of(name: &str) -> String {
    format!("/tmp/{name}")
}

fn trace(startup: &'static Startup, name: &str) -> Result<String, Mismatch> {
    contents(startup, &file_of(name))
}

/// Prints a trace, each line after a mark.
fn show(startup: &'static Startup, name: &str) -> Result<(), Mismatch> {
    trace(startup, name)?.lines().for_each(|line| println!("{name}: {line}"));
    Ok(())
}

/// `proc_getpids` of process.defs.
const PROC_GETPIDS: u32 = 24016;
/// How often a call for process ids was let go on.
static STOPS: AtomicU32 = AtomicU32::new(0);

const ENDED: Ending = Ending::Exited(0);

fn alone(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &[])?;
    let one = tracer(startup, &worker, "one", &[])?;
    worker.signal(startup, signal::HUP)?;
    worker.ends("the work", ENDED)?;
    one.ends("the tracer", ENDED)?;
    show(startup, "one")
}

fn crowd(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &[])?;
    let one = tracer(startup, &worker, "one", &[])?;
    let killed = tracer(startup, &worker, "killed", &[])?;
    let still = tracer(startup, &worker, "still", &["--policy=drop"])?;
    let engines_of_ours = (slow_tracer(&worker)?, stopping_tracer(&worker)?);
    stubs::mach::task_suspend(still.task()).doing("task_suspend")?;
    worker.signal(startup, signal::HUP)?;
    pause(UNDER_WAY);
    // In the middle of it all.
    expect("the engines of the process", 5, engines(worker.task()).doing("trace_engines")?.len())?;
    killed.child.kill();
    worker.ends("the work", ENDED)?;
    one.ends("the first tracer", ENDED)?;
    stubs::mach::task_resume(still.task()).doing("task_resume")?;
    still.ends("the tracer that stood still", ENDED)?;
    drop(engines_of_ours);
    expect("calls that were stopped", ROUNDS, STOPS.load(Relaxed))?;
    let lost = trace(startup, "still")?.lines().any(|line| line.starts_with("--- ") && line.contains(" lost ---"));
    println!("still: {}", if lost { "says what it has lost" } else { "does not say that it has lost anything" });
    show(startup, "one")
}

fn refused(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &[])?;
    let id = format!("{}", worker.child.id);
    let run = |words: &[&str]| Started::new(startup, &[&["rpctrace2"], words, &["-p", &id]].concat());
    run(&["--engines"])?.ends("a list of none", ENDED)?;
    let one = tracer(startup, &worker, "one", &["--policy=drop"])?;
    run(&["--engines"])?.ends("a list", ENDED)?;
    let other = engine::find(worker.task(), Some("one")).map(drop);
    expect("the engine of another tracer", Err(KernReturn::KERN_INVALID_NAME), other)?;
    run(&["--as", "one"])?.ends("another of the name", Ending::Exited(125))?;
    // Whoever has the task's control port, and so the task itself, can take all places there are.
    let tracer = Tracer::new(1)?;
    let more = (1..8).map(|_| attach(worker.task(), &tracer, Wish::new("more").dropping()));
    let more = more.collect::<KernResult<Vec<SendRight>>>().doing("seven more")?;
    run(&["--as", "ninth"])?.ends("a ninth", Ending::Exited(125))?;
    let port = run(&["-o", "/tmp/port"])?;
    while !is_traced(worker.task()) {
        pause(PAUSE);
    }
    drop(more);
    worker.signal(startup, signal::HUP)?;
    worker.ends("the work", ENDED)?;
    one.ends("the first tracer", ENDED)?;
    port.ends("the tracer with the trace port", ENDED)?;
    let traced = trace(startup, "port")?.lines().filter(|line| line.contains(" proc_getpids(")).count();
    expect("what came to the trace port meanwhile", ROUNDS as usize, traced)
}

/// Whether a task's trace port is somebody else's.
fn is_traced(task: PortName) -> bool {
    let port = stubs::mach::task_get_special_port(task, mach_abi::special_port::TASK_TRACE_PORT);
    !port.is_ok_and(|port| port.name() == PortName::NULL)
}

fn beside(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &[])?;
    let id = format!("{}", worker.child.id);
    let port = Started::new(startup, &["rpctrace2", "-o", "/tmp/port", "-p", &id])?;
    while !is_traced(worker.task()) {
        pause(PAUSE);
    }
    let engine = Started::new(startup, &["rpctrace2", "-o", "/tmp/engine", "-p", &id])?;
    wait_for_engine(&worker, "rpctrace2")?;
    worker.signal(startup, signal::HUP)?;
    worker.ends("the work", ENDED)?;
    port.ends("the tracer with the trace port", ENDED)?;
    engine.ends("the tracer with the engine", ENDED)?;
    show(startup, "port")?;
    show(startup, "engine")
}

fn interrupt(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &[])?;
    let one = tracer(startup, &worker, "one", &[])?;
    let _engine = slow_tracer(&worker)?;
    worker.signal(startup, signal::HUP)?;
    pause(UNDER_WAY);
    one.signal(startup, signal::INT)?;
    one.ends("the tracer", Ending::Exited(130))?;
    expect("the engines of the process", 1, engines(worker.task()).doing("trace_engines")?.len())?;
    worker.ends("the work", ENDED)?;
    show(startup, "one")
}

/// One without and one with a filter in the kernel, and one that stands still and would lose most of what is done.
fn filtered(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &["calm"])?;
    let selected = ["-e", "trace=processor_set_default"];
    let one = tracer(startup, &worker, "one", &selected)?;
    let few = tracer(startup, &worker, "few", &["--kernel-filter", selected[0], selected[1]])?;
    let end = ["--policy=drop", "--kernel-filter", "-e", "trace=proc_mark_exit"];
    let still = tracer(startup, &worker, "still", &end)?;
    stubs::mach::task_suspend(still.task()).doing("task_suspend")?;
    worker.signal(startup, signal::HUP)?;
    worker.ends("the work", ENDED)?;
    one.ends("the first tracer", ENDED)?;
    few.ends("the tracer with a filter", ENDED)?;
    stubs::mach::task_resume(still.task()).doing("task_resume")?;
    still.ends("the tracer that stood still", ENDED)?;
    show(startup, "one")?;
    show(startup, "few")?;
    show(startup, "still")
}

/// Its first calls are asked about, until who types has enough of it.
fn stopped(startup: &'static Startup) -> Result<(), Mismatch> {
    let worker = worker(startup, &[])?;
    let one = tracer(startup, &worker, "one", &["--stop-at", "proc_getpids"])?;
    worker.signal(startup, signal::HUP)?;
    worker.ends("the work", ENDED)?;
    one.ends("the tracer", ENDED)?;
    show(startup, "one")
}

/// Whoever has the tracer's task can have its engine let go.
fn ended(startup: &'static Startup) -> Result<(), Mismatch> {
    let words = ["rpctrace2", "--as", "one", "-o", "/tmp/one", "hurd-engines", "work"];
    let tracer = Started::new(startup, &words)?;
    let worker = tracer.child.id + 1;
    let proc = startup.proc().doing("our process")?;
    let port = loop {
        match process::proc_getmsgport(proc, worker) {
            Ok(port) if port.name().is_valid() => break port,
            // It is not there yet, or has not begun.
            _ => pause(PAUSE),
        }
    };
    let task = process::proc_pid2task(proc, worker).doing("proc_pid2task")?;
    let engine = engine_of(tracer.task())?;
    expect("whose children are traced", flag::CHILDREN, trace_engine(engine.name()).doing("trace_engine")?.flags)?;
    detach(&engine, None).doing("trace_detach")?;
    drop(engine);
    // The tracer looks once in a second.
    while !trace(startup, "one")?.contains("traced no longer") {
        pause(PAUSE);
    }
    msg::msg_sig_post(port.name(), signal::HUP, 0, task.name()).doing("msg_sig_post")?;
    tracer.ends("the tracer", ENDED)?;
    show(startup, "one")
}

/// The only engine that a task has a right to.
fn engine_of(task: PortName) -> Result<SendRight, Mismatch> {
    let found = stubs::mach_port::mach_port_names(task).doing("mach_port_names")?;
    let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let both = found.names.as_slice().chunks_exact(4).zip(found.types.as_slice().chunks_exact(4));
    let kinds = MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_RECEIVE;
    let sends = both.filter(|(_, kind)| word(kind) & kinds == MACH_PORT_TYPE_SEND);
    for name in sends.map(|(name, _)| PortName(word(name))) {
        let how = Disposition::CopySend as u32;
        let Ok(right) = stubs::mach_port::mach_port_extract_right(task, name, how) else { continue };
        let right = SendRight::from_name(right.into_name());
        if is_engine(&right)? {
            return Ok(right);
        }
    }
    Err(Mismatch::new("the tracer's engine: expected one, found none"))
}

/// Whether a port answers what an engine is asked. Others answer that they do not know it, or nothing.
fn is_engine(port: &SendRight) -> Result<bool, Mismatch> {
    let reply = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut question = Message::new(ENGINE_ID as i32, port.name(), Disposition::CopySend);
    question = question.reply_to(reply.name(), Disposition::MakeSendOnce);
    if question.send(Some(0)) != KernReturn::KERN_SUCCESS {
        return Ok(false);
    }
    let answer = Received::receive(&reply, ROOM as u32, Some(PAUSE));
    Ok(answer.is_ok_and(|answer| answer.size() as usize > size_of::<Engine>()))
}
