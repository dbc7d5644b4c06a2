// SPDX-License-Identifier: GPL-2.0-or-later
//! owner HOST_PORT: who has the system trace, of two tasks that both want it, and of all tasks.
//!
//! A tracer of its own; run it untraced, with the host's privileged port as argument (`${host-port}`).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::trace_control::{
    trace_engine, trace_join, trace_owner_claim, trace_owner_engine, trace_owner_policy, trace_owner_reset,
    trace_owner_set, trace_owner_set_background, trace_owner_state, trace_owner_tool,
};
use mach::sys::trap::{mach_task_self, task_terminate};
use mach::thread::Child;
use mach::{println, stubs, task_self};
use programs::engine::{engines, name_of};
use programs::tracer::{FIRST as PARENT, SECOND as OWN, THIRD as TOOL, Tracer, child_with_port, give, number, send};
use programs::{Doing, Mismatch, expect, processors};
use trace_port::EventKind;
use trace_port::control::owner::wire::{AVAILABLE_ID, policy, state_flag};
use trace_port::control::owner::{Mode, part};
use trace_port::control::{event, flag, policy as full};

mach::entry!(main);

/// Ids of the messages between the tasks.
const DO: i32 = 6750;
const DONE: i32 = 6751;
const TOLD: i32 = 6752;
/// Most bytes of those messages.
const LIMIT: u32 = 64;
/// How long a message may take that is sent already, in milliseconds.
const PATIENCE: u32 = 1000;

/// What the other task does, with its argument in the lowest byte.
const CLAIM: u32 = 0x100;
const RESET: u32 = 0x200;
const SET_ITSELF: u32 = 0x300;
const UNSET: u32 = 0x400;
const OWNER: u32 = 0x500;
const MAKE_TOOL: u32 = 0x600;
const SET_BACKGROUND: u32 = 0x700;
const GET_ENGINE: u32 = 0x800;
const TAKE_TURNS: u32 = 0x900;
/// How often the other tasks then try to own it.
const TURNS: u32 = 2000;
/// How often this task does, each time with an engine.
const ENGINES: u32 = 200;

const OK: KernReturn = KernReturn::KERN_SUCCESS;
const REFUSED: KernReturn = KernReturn::KERN_NO_ACCESS;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(1).and_then(|name| name.parse().ok()).map(PortName).doing("the host's port")?;
    rights(host)?;
    foreground(host)?;
    background(host)?;
    deaths(host)?;
    made(host)?;
    all_tasks(host)?;
    at_once(host)
}

/// A tool of this task's, and its number.
fn tool(host: PortName, name: &str) -> Result<(SendRight, u32), Mismatch> {
    let tool = trace_owner_tool(host, name_of(name)).doing("trace_owner_tool")?;
    Ok((tool, trace_owner_state(host).doing("trace_owner_state")?.tools))
}

fn claim(tool: &SendRight, parts: u32) -> KernReturn {
    code(trace_owner_claim(tool.name(), parts))
}

fn reset(tool: &SendRight, parts: u32) -> KernReturn {
    code(trace_owner_reset(tool.name(), parts))
}

fn code<T>(result: Result<T, KernReturn>) -> KernReturn {
    result.map_or_else(|error| error, |_| OK)
}

/// Mode, owner, background tool, and parts.
fn expect_state(what: &str, mode: Mode, owner: u32, background: u32, parts: u32) -> Result<(), Mismatch> {
    let state = trace_owner_state(task_self()).doing("trace_owner_state")?;
    let found = (state.mode, state.owner, state.background, state.parts);
    expect(what, (mode as u32, owner, background, parts), found)
}

/// Another task with a tool.
struct Other {
    child: Child,
    to_child: SendRight,
    from_child: ReceiveRight,
    number: u32,
}

impl Other {
    fn new(host: PortName) -> Result<Self, Mismatch> {
        let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let (child, to_child) = child_with_port(other, &from_child)?;
        let (tool, number) = tool(host, "other")?;
        give(&child, TOOL, tool.into_name(), Disposition::MoveSend)?;
        child.resume().doing("starting the other task")?;
        Ok(Self { child, to_child, from_child, number })
    }

    /// What it gets for something that it does.
    fn value(&self, what: u32) -> Result<u32, Mismatch> {
        let sent = send(DO, self.to_child.name(), Disposition::CopySend, what);
        expect("sending to the other task", OK, sent)?;
        let answer = Received::receive(&self.from_child, LIMIT, None).doing("receiving from the other task")?;
        expect("the other task's answer", DONE, answer.id())?;
        number(&answer).doing("a number from the other task")
    }

    fn does(&self, what: u32) -> Result<KernReturn, Mismatch> {
        self.value(what).map(KernReturn::from_mach_msg)
    }

    /// Whether it has been told that it may.
    fn is_told(&self, patience: u32) -> Result<bool, Mismatch> {
        is_told(&self.from_child, TOLD, patience)
    }

    /// It dies, and its tool with it.
    fn end(self) -> Result<(), Mismatch> {
        task_terminate(self.child.task.name()).doing("task_terminate")
    }
}

fn is_told(port: &ReceiveRight, id: i32, patience: u32) -> Result<bool, Mismatch> {
    match Received::receive(port, LIMIT, Some(patience)) {
        Err(KernReturn::MACH_RCV_TIMED_OUT) => Ok(false),
        message => expect("what comes", id, message.doing("receiving")?.id()).map(|()| true),
    }
}

/// What the other task runs.
fn other() {
    let port = ReceiveRight::from_name(OWN);
    while let Ok(message) = Received::receive(&port, LIMIT, None) {
        let (id, answer) = match number(&message) {
            _ if message.id() == AVAILABLE_ID as i32 => (TOLD, 0),
            what => (DONE, answer(what.unwrap_or(0))),
        };
        if send(id, PARENT, Disposition::CopySend, answer) != OK {
            break;
        }
    }
}

fn answer(what: u32) -> u32 {
    let (what, argument) = (what & !0xff, what & 0xff);
    let code = match what {
        CLAIM => code(trace_owner_claim(TOOL, argument)),
        RESET => code(trace_owner_reset(TOOL, argument)),
        SET_ITSELF => code(trace_owner_set(TOOL, TOOL, Disposition::CopySend)),
        UNSET => code(trace_owner_set(TOOL, PortName::NULL, Disposition::CopySend)),
        OWNER => return trace_owner_state(mach_task_self()).map_or(u32::MAX, |state| state.owner),
        MAKE_TOOL => code(trace_owner_tool(mach_task_self(), [0; 32])),
        SET_BACKGROUND => code(trace_owner_set_background(TOOL, OWN, Disposition::MakeSend)),
        TAKE_TURNS => return take_turns(),
        GET_ENGINE => code(trace_owner_engine(TOOL, PortName::NULL, Disposition::CopySend, 0, 0, 0)),
        _ => KernReturn::KERN_INVALID_ARGUMENT,
    };
    code.to_mach_msg()
}

/// How often it has got it.
fn take_turns() -> u32 {
    let mut times = 0;
    for _ in 0..TURNS {
        match trace_owner_claim(TOOL, part::ALL) {
            // Nobody else can free what it has, or take it.
            Ok(()) if trace_owner_reset(TOOL, part::ALL).is_err() => return u32::MAX,
            Ok(()) => times += 1,
            Err(REFUSED) => {}
            Err(_) => return u32::MAX,
        }
    }
    times
}

/// Everybody reads the state; who has not the host's privileged port makes no tools.
fn rights(host: PortName) -> Result<(), Mismatch> {
    expect_state("the state at first", Mode::Off, 0, 0, 0)?;
    let other = Other::new(host)?;
    expect("the owner", 0, other.value(OWNER)?)?;
    expect("a tool of who is not privileged", KernReturn::KERN_INVALID_HOST, other.does(MAKE_TOOL)?)?;
    let anyone = code(trace_owner_policy(task_self(), policy::ANYONE));
    expect("a policy of who is not privileged", KernReturn::KERN_INVALID_HOST, anyone)?;
    println!("owner: everybody reads whose it is, who has the host's privileged port makes tools");
    other.end()
}

/// While its owner lives nobody else has it.
fn foreground(host: PortName) -> Result<(), Mismatch> {
    let (mine, me) = tool(host, "first")?;
    let other = Other::new(host)?;
    expect("claiming it", OK, claim(&mine, part::TASKS))?;
    expect("claiming another's", REFUSED, other.does(CLAIM | part::TASKS)?)?;
    expect("resetting another's", REFUSED, other.does(RESET | part::ALL)?)?;
    expect("the owner that the other task sees", me, other.value(OWNER)?)?;
    expect("claiming more", OK, claim(&mine, part::RECORDER))?;
    expect("giving one part back", OK, reset(&mine, part::TASKS))?;
    expect_state("with one part left", Mode::Foreground, me, 0, part::RECORDER)?;
    expect("giving the last part back", OK, reset(&mine, part::RECORDER))?;
    expect_state("with no part left", Mode::Off, 0, 0, 0)?;
    expect("claiming what is free", OK, other.does(CLAIM | part::ALL)?)?;
    expect("claiming another's", REFUSED, claim(&mine, part::TASKS))?;
    expect_state("the other's", Mode::Foreground, other.number, 0, part::ALL)?;
    expect("resetting all", OK, other.does(RESET | part::ALL)?)?;
    let by = trace_owner_state(host).doing("trace_owner_state")?.configured_by;
    expect("who has configured it last", name_of("other"), by)?;
    println!("owner: one of two has it, and nobody else while it lives");
    other.end()
}

/// The background tool is told when it may, and loses it to whoever comes.
fn background(host: PortName) -> Result<(), Mismatch> {
    let (daemon, me) = tool(host, "daemon")?;
    let other = Other::new(host)?;
    let notify = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let register = || code(trace_owner_set_background(daemon.name(), notify.name(), Disposition::MakeSend));
    let told = || is_told(&notify, AVAILABLE_ID as i32, 0);
    expect("registering", OK, register())?;
    expect("whether it is told at once", (true, false), (told()?, told()?))?;
    expect("registering twice", OK, register())?;
    expect("whether it is told twice", false, told()?)?;
    expect("claiming what is free", OK, claim(&daemon, part::TASKS))?;
    expect_state("the background", Mode::Background, me, me, part::TASKS)?;
    expect("taking over", OK, other.does(CLAIM | part::RECORDER)?)?;
    expect_state("out of the background", Mode::Foreground, other.number, me, part::RECORDER)?;
    let waits = KernReturn::KERN_FAILURE;
    expect("claiming while the foreground is active", waits, claim(&daemon, part::TASKS))?;
    expect("whether it is told meanwhile", false, told()?)?;
    expect("resetting the foreground", OK, other.does(RESET | part::ALL)?)?;
    expect("whether it is told", true, told()?)?;
    expect_state("until it comes", Mode::Off, 0, me, 0)?;
    expect("claiming what is free", OK, claim(&daemon, part::ALL))?;
    expect("another tool that registers in the background", OK, other.does(SET_BACKGROUND)?)?;
    expect_state("another background tool", Mode::Background, other.number, other.number, part::ALL)?;
    expect("the first one takes over", OK, claim(&daemon, part::TASKS))?;
    expect_state("the first one's", Mode::Foreground, me, other.number, part::TASKS)?;
    expect("resetting the foreground", OK, reset(&daemon, part::ALL))?;
    expect("whether the other one is told", true, other.is_told(PATIENCE)?)?;
    expect("claiming what is free", OK, other.does(CLAIM | part::TASKS)?)?;
    expect("resetting the background", OK, other.does(RESET | part::ALL)?)?;
    expect("whether it is told of its own reset", false, other.is_told(0)?)?;
    other.end()?;
    expect_state("after the background tool's death", Mode::Off, 0, 0, 0)?;
    println!("owner: the background tool is told when the foreground is over");
    Ok(())
}

/// What a dead owner has configured goes on, and may be claimed.
fn deaths(host: PortName) -> Result<(), Mismatch> {
    let other = Other::new(host)?;
    expect("claiming it", OK, other.does(CLAIM | part::RECORDER)?)?;
    let dead = other.number;
    other.end()?;
    expect_state("after the owner's death", Mode::Foreground, 0, 0, part::RECORDER)?;
    let (mine, me) = tool(host, "next")?;
    expect("a number that no other has had", true, me > dead)?;
    expect("resetting what it has not claimed", REFUSED, reset(&mine, part::ALL))?;
    let mut tracer = Tracer::new(16)?;
    let engine = give_engine(&mine, &tracer, 0)?;
    expect_state("taken over, with what was there", Mode::Foreground, me, 0, part::ALL)?;
    let other = Other::new(host)?;
    join(&engine, other.child.task.name())?;
    drop((engine, mine));
    expect_state("after the next owner's death", Mode::Foreground, 0, 0, part::ALL)?;
    other.value(OWNER)?;
    let record = tracer.record(Some(PATIENCE))?.doing("a record after the owner's death")?;
    expect("its kind", (EventKind::Normal, DO), (record.kind, record.id))?;
    expect("claiming it", OK, other.does(CLAIM | part::TASKS)?)?;
    expect("the engine that is there", OK, other.does(GET_ENGINE)?)?;
    expect("resetting it", OK, other.does(RESET | part::ALL)?)?;
    expect("the engines left", 0, engines(other.child.task.name()).doing("trace_engines")?.len())?;
    expect_state("after the reset", Mode::Off, 0, 0, 0)?;
    println!("owner: the trace of one that has died goes on until another takes over");
    other.end()
}

/// An owner that another has made keeps it over its resets.
fn made(host: PortName) -> Result<(), Mismatch> {
    let (mine, me) = tool(host, "maker")?;
    let other = Other::new(host)?;
    let set = |by: PortName, to: PortName| code(trace_owner_set(by, to, Disposition::CopySend));
    expect("claiming it", OK, other.does(CLAIM | part::TASKS)?)?;
    expect("who is privileged makes an owner", REFUSED, set(host, mine.name()))?;
    expect("a tool makes itself the owner", REFUSED, set(mine.name(), mine.name()))?;
    expect("letting anyone", OK, code(trace_owner_policy(host, policy::ANYONE)))?;
    expect("who is privileged makes an owner", OK, set(host, mine.name()))?;
    expect("a tool alone still does not", REFUSED, other.does(SET_ITSELF)?)?;
    expect("resetting it", OK, reset(&mine, part::ALL))?;
    expect_state("kept over the reset", Mode::Foreground, me, 0, part::TASKS)?;
    expect("claiming another's", REFUSED, other.does(CLAIM | part::TASKS)?)?;
    let flags = trace_owner_state(host).doing("trace_owner_state")?.flags;
    expect("what else is said", state_flag::KEEPS | state_flag::ANYONE, flags)?;
    expect("letting only the owner", OK, code(trace_owner_policy(host, policy::OWNER)))?;
    expect("who is privileged unsets the owner", REFUSED, set(host, PortName::NULL))?;
    expect("another unsets the owner", REFUSED, other.does(UNSET)?)?;
    expect("the owner unsets itself", OK, set(mine.name(), PortName::NULL))?;
    expect_state("what is kept no longer", Mode::Off, 0, 0, 0)?;
    let task = set(mine.name(), task_self());
    expect("a task is no tool", KernReturn::KERN_INVALID_ARGUMENT, task)?;
    println!("owner: one that is made the owner keeps it, and the policy says who makes owners");
    other.end()
}

/// An engine of all tasks, which loses what there is no room for.
fn give_engine(tool: &SendRight, tracer: &Tracer, flags: u32) -> Result<SendRight, Mismatch> {
    let (name, port) = (tool.name(), tracer.port.name());
    trace_owner_engine(
        name,
        port,
        Disposition::MakeSend,
        flags | flag::CREATE,
        event::SEND | event::RECEIVE,
        full::DROP,
    )
    .doing("trace_owner_engine")
}

fn join(engine: &SendRight, task: PortName) -> Result<(), Mismatch> {
    trace_join(engine.name(), task, Disposition::CopySend).doing("trace_join")
}

/// Whether an engine has ended.
fn has_ended(engine: &SendRight) -> bool {
    code(trace_engine(engine.name())) == KernReturn::MACH_SEND_INVALID_DEST
}

/// The present tasks, and those that they make.
fn all_tasks(host: PortName) -> Result<(), Mismatch> {
    let (mine, _) = tool(host, "all")?;
    let mut tracer = Tracer::new(16)?;
    let engine = give_engine(&mine, &tracer, flag::CHILDREN)?;
    let other = Other::new(host)?;
    let (mut joined, mut refused) = (0, Vec::new());
    for task in processors::tasks(host)? {
        match trace_join(engine.name(), task.name(), Disposition::CopySend) {
            Ok(()) => joined += 1,
            Err(error) => refused.push((error, task.name() == task_self())),
        }
    }
    refused.sort_by_key(|&(_, is_own)| is_own);
    let kernels = (REFUSED, false);
    let own = (KernReturn::KERN_FAILURE, true);
    expect("the kernel's task and this one", [kernels, own].to_vec(), refused)?;
    expect("whether the boot server and the other task are among them", true, joined >= 2)?;
    // A child of one that is there.
    let later = stubs::mach::task_create(other.child.task.name(), false).doing("task_create")?;
    let listed = engines(later.name()).doing("trace_engines")?;
    let names: Vec<[u8; 32]> = listed.iter().map(|engine| engine.name).collect();
    expect("the engines of a task that comes later", [name_of("all")].to_vec(), names)?;
    task_terminate(later.name()).doing("task_terminate")?;
    other.value(OWNER)?;
    expect("whether there are records", true, tracer.record(Some(PATIENCE))?.is_some())?;
    expect("resetting it", OK, reset(&mine, part::ALL))?;
    expect("whether the engine has ended", true, has_ended(&engine))?;
    // The engine of the background ends when another takes over.
    let notify = ReceiveRight::allocate().doing("mach_port_allocate")?;
    trace_owner_set_background(mine.name(), notify.name(), Disposition::MakeSend)
        .doing("trace_owner_set_background")?;
    let engine = give_engine(&mine, &tracer, 0)?;
    expect("taking over", OK, other.does(CLAIM | part::TASKS)?)?;
    expect("whether the engine of the background has ended", true, has_ended(&engine))?;
    other.end()?;
    println!("owner: an engine has the present tasks and those that they make");
    Ok(())
}

/// Three tasks want it, on several processors if there are such, and one gives it an engine of the others each time.
fn at_once(host: PortName) -> Result<(), Mismatch> {
    let (mine, _) = tool(host, "turns")?;
    let tracer = Tracer::new(16)?;
    let others = [Other::new(host)?, Other::new(host)?];
    for (index, other) in others.iter().enumerate() {
        if index == 0 {
            processors::move_elsewhere(host, other.child.task.name())?;
        }
        let sent = send(DO, other.to_child.name(), Disposition::CopySend, TAKE_TURNS);
        expect("sending to the other task", OK, sent)?;
    }
    let mut given = 0;
    while given < ENGINES {
        let port = tracer.port.name();
        let events = event::SEND | event::RECEIVE;
        match trace_owner_engine(mine.name(), port, Disposition::MakeSend, flag::CREATE, events, full::DROP) {
            Ok(engine) => {
                others.iter().try_for_each(|other| join(&engine, other.child.task.name()))?;
                expect(
                    "making an owner meanwhile",
                    REFUSED,
                    code(trace_owner_set(host, mine.name(), Disposition::CopySend)),
                )?;
                expect("resetting it", OK, reset(&mine, part::ALL))?;
                expect("whether the engine has ended", true, has_ended(&engine))?;
                given += 1;
            }
            other => expect("giving it an engine", REFUSED, code(other))?,
        }
    }
    for other in others {
        let answer = Received::receive(&other.from_child, LIMIT, None).doing("receiving from the other task")?;
        let times = number(&answer).doing("a number from the other task")?;
        expect("whether it has kept what it had", true, answer.id() == DONE && times <= TURNS)?;
        expect("the engines left", 0, engines(other.child.task.name()).doing("trace_engines")?.len())?;
        other.end()?;
    }
    expect_state("after all turns", Mode::Off, 0, 0, 0)?;
    println!("owner: of three that want it at once each has it alone");
    Ok(())
}
