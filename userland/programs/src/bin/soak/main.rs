// SPDX-License-Identifier: GPL-2.0-or-later
//! soak HOST DEVICE SEED SECONDS FIRST_ROUND [-WORD...]: everything at once that can happen to traces, for a while; nothing may be left.
//!
//! Run it untraced. HOST and DEVICE are the names of the host's privileged port and of the master device port (`${host-port}`,
//! `${device-port}`). In each round four tasks of six threads exchange messages, raise exceptions, trace each other, and
//! read rings of their trace ports; the program moves their ports about, sets, replaces and ends traces, suspends, aborts and ends threads and tasks. At the end of a
//! round all trace ports die: every thread that is left must go on. Then all tasks are ended, and the kernel must have as many ports,
//! messages and tasks as before. What the program does follows from seed and round, so that a round can be repeated alone;
//! when the others' threads run is left to the scheduler. `-WORD` leaves a kind of operation out (without.rs).
//!
//! Start reading at [`play`], then operation.rs for what the program does, player.rs for what the threads do.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod board;
mod engines;
mod held;
mod names;
mod operation;
mod player;
mod rings;
mod watch;
mod without;
mod words;
mod world;

use alloc::vec::Vec;

use mach::mig::{Patience, send_reply};
use mach::port::{Disposition, PortName, Right, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::{exc_server, mach_host, mach_port};
use mach::sys::msg::mach_msg;
use mach::sys::trap::{mach_port_allocate_name, mach_reply_port, task_create, task_terminate};
use mach::thread::{self, Child};
use mach::{host_self, println, task_self};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::catcher::Catcher;
use programs::patience::pause;
use programs::random::Random;
use programs::tracer::{Tracer, child};
use programs::{Doing, Mismatch, processors};

use board::Board;
use held::{Ended, Held, settle};
use names::CATCH;
use operation::{Operation, revive};
use without::Without;
use world::{Fixed, World, end_orphans, extract, rename};

mach::entry!(main);

/// Operations of a round.
const OPERATIONS: u64 = 200;
/// Rounds until the kernel and the program have made all that they make once and keep.
const WARM_UP: u64 = 2;
/// Tasks that can be traced at once, and more.
const CAPACITY: usize = 256;
/// More names than the catcher ever has at a time.
const ENTRIES: usize = 16;
/// Milliseconds after which the kernel has ended what was ended.
const SETTLED: u32 = 2000;

/// What the command line says.
struct Plan {
    fixed: Fixed,
    seed: u64,
    seconds: i64,
    first: u64,
    without: Without,
}

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let plan = plan(&arguments)?;
    let board = Board::new().doing("memory that children share")?;
    let _catcher = start_catcher()?;
    if !plan.without.has("engines") {
        engines::warm_up()?;
    }
    if !plan.without.has("rings") {
        rings::warm_up()?;
    }
    thread::spawn(move || watch::watch(board)).doing("starting the watchdog")?;
    let start = uptime()?;
    let mut round = plan.first;
    // The first two are not compared with anything.
    let at_least = plan.first + WARM_UP + 1;
    let mut before = None;
    let mut ended = Ended::default();
    while round < at_least || uptime()? < start + plan.seconds {
        println!("soak: seed {}, round {round}", plan.seed);
        ended += play(&plan, board, round).inspect_err(|_| watch::report(board))?;
        match &before {
            Some(before) => settle(&plan.fixed, before, ended)?,
            None if round + 1 == plan.first + WARM_UP => {
                // What is still being ended is not to be had afterwards.
                pause(SETTLED);
                (before, ended) = (Some(Held::now(&plan.fixed)?), Ended::default());
            }
            None => {}
        }
        round += 1;
    }
    capacity()?;
    println!(
        "soak: {} rounds, {} operations, {} steps of threads, {} messages of records, {} frames of rings; nothing is left of it",
        round - plan.first,
        board.operations(),
        board.all_steps(),
        board.records(),
        board.in_rings()
    );
    Ok(())
}

fn plan(arguments: &Arguments) -> Result<Plan, Mismatch> {
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u64>().ok());
    let name = |index| number(index).map(|name| PortName(name as u32));
    let privileged = name(1).doing("the name of the host's privileged port")?;
    let device = name(2).doing("the name of the master device port")?;
    let processors = mach_host::host_processors(privileged).doing("host_processors")?.count();
    let mut without = Without::default();
    for word in (6..arguments.len()).filter_map(|index| arguments.get_str(index)) {
        without = without.and(word.strip_prefix('-').unwrap_or(word))?;
    }
    Ok(Plan {
        fixed: Fixed { host: host_self(), privileged, device, processors },
        seed: number(3).doing("a seed")?,
        seconds: number(4).doing("a number of seconds")? as i64,
        first: number(5).doing("the number of the first round")?,
        without,
    })
}

/// One round. Returns how many have ended in it.
fn play(plan: &Plan, board: Board, round: u64) -> Result<Ended, Mismatch> {
    let mut random = Random::new(plan.seed ^ round.wrapping_mul(0x9e37_79b9_97f4_a7c5));
    let known = processors::tasks(plan.fixed.privileged)?;
    let without = if round % 2 == 1 {
        // Without exceptions what is left can be told exactly (held.rs).
        plan.without.and("faults")?
    } else if plan.fixed.processors > 1 && !plan.without.has("faults") {
        // A task that ends itself, as one does whose exception nobody answers, while it is being suspended on another processor stays for
        // ever, half ended, on any GNU Mach, traced or not (docs/differences.md).
        plan.without.and("suspend")?
    } else {
        plan.without
    };
    let mut world = World::start(plan.fixed, board, without, Random::new(random.word()))?;
    for _ in 0..OPERATIONS {
        let draw = random.word();
        board.begin(draw);
        board.beat();
        Operation::drawn(draw).perform(&mut world)?;
        revive(&mut world)?;
    }
    let ended = world.end()?;
    end_orphans(plan.fixed.privileged, &known)?;
    Ok(ended)
}

/// As many tasks as ever can be traced.
fn capacity() -> Result<(), Mismatch> {
    if mach::stubs::mach::task_get_special_port(task_self(), TASK_TRACE_PORT).is_err() {
        println!("soak: this kernel has no trace port: nobody was traced");
        return Ok(());
    }
    let tracer = Tracer::new(1)?;
    let mut tasks = Vec::new();
    for _ in 0..CAPACITY {
        let task = SendRight::from_name(task_create(task_self(), false).doing("task_create")?);
        tracer.trace(task.name()).doing("task_set_special_port")?;
        tasks.push(task);
    }
    tasks.iter().try_for_each(|task| task_terminate(task.name())).doing("task_terminate")
}

/// A task that answers exceptions. Not this one: names of tasks and threads that come with exceptions would be those of the players.
fn start_catcher() -> Result<Child, Mismatch> {
    let catcher = child(catch)?;
    let this = catcher.task.name();
    mach_port_allocate_name(this, Right::Receive, CATCH).doing("mach_port_allocate_name")?;
    rename(extract(this, CATCH, Disposition::MakeSend)?, CATCH)?;
    catcher.resume().doing("starting the catcher")?;
    Ok(catcher)
}

/// What it runs.
fn catch() {
    // The kernel keeps a task's entries of names that are free again. A call that fails needs two reply ports at a time, which may happen
    // in any round: now there are entries enough.
    let names: [PortName; ENTRIES] = core::array::from_fn(|_| mach_reply_port());
    for name in names {
        let _ = mach_port::mach_port_mod_refs(task_self(), name, Right::Receive as u32, -1);
    }
    loop {
        let (mut request, mut reply) = ([0; 64], [0; 16]);
        let limit = size_of_val(&request) as u32;
        if mach_msg(&mut request, MACH_RCV_MSG, 0, limit, CATCH, 0, PortName::NULL) == 0 {
            exc_server::demux(&mut Catcher::default(), &request, &mut reply);
            // Who raised it may be gone.
            let _ = send_reply(&mut reply, Patience::None);
        }
    }
}

/// Seconds since the kernel started.
fn uptime() -> Result<i64, Mismatch> {
    Ok(mach_host::host_get_uptime64(host_self()).doing("host_get_uptime64")?.seconds)
}
