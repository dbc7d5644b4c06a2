// SPDX-License-Identifier: GPL-2.0-or-later
//! stuck HOST suspended TRIES | starved TIMES [rests] | names SECONDS | arrays CALLS: three ways in which a kernel for several processors,
//! traced or not, lets a thread that should run wait for ever, and one in which it loses memory (docs/differences.md). It needs
//! `--smp` of at least 3; HOST is `${host-port}`.
//!
//! `suspended`: a task ends itself while another task suspends it. `starved`: a thread that had to wait for a lock of the kernel's is
//! never chosen again as long as others compute; with `rests` all sleep for a moment of every second.
//! `names`: a thread that asks for its names walks through the entries of another map for ever. `arrays`: the memory that rights out of line are
//! being written to is freed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mach::memory::{PAGE_SIZE, Pages, shared_words};
use mach::port::{PortName, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::{mach as kernel, mach_host, mach_port};
use mach::sys::msg::mach_msg;
use mach::sys::trap::{mach_reply_port, task_terminate, vm_deallocate};
use mach::{println, task_self, thread};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use programs::patience::pause;
use programs::random::Random;
use programs::{Doing, Mismatch, left, processors};

mach::entry!(main);

/// Threads of a task that ends itself: one computes, the others never begin. The more, the longer it takes to suspend them.
const THREADS: usize = 12;
/// Tenths of a second in which a task that has ended itself is gone.
const PATIENCE: usize = 30;
/// Most turns by which the two that are to meet miss each other.
const TURNS: u64 = 4000;
/// Threads that take a lock of the kernel's, threads that compute, and all of them.
const CALLERS: usize = 8;
const COMPUTERS: usize = 16;
const ALL: usize = CALLERS + COMPUTERS;
/// The first of those that compute have the same priority as the callers, lower than the others' by this.
const EQUALS: usize = 4;
const STEPS_BACK: i32 = 8;
/// `BASEPRI_USER` of sched.h.
const BASE_PRIORITY: i32 = 25;
/// Milliseconds of calls alone, which wear down the callers' priority, and seconds that all run together.
const ALONE: u32 = 3000;
const TOGETHER: u64 = 12;
/// Milliseconds of each second in which all sleep, and for which one does at a time.
const REST: u32 = 50;
const SLEEP: u32 = 10;
/// Bytes among which the kernel finds room for a list of two threads, and the cache of which it makes that.
const ROOM: u64 = 16 * PAGE_SIZE;
const ARRAY: &str = "kalloc_32";
/// Seconds without a step after which a caller gets all processors, and in which it must make one then.
const SUSPICIOUS: u64 = 8;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u64>().ok()).doing("a number");
    let host = PortName(number(1)? as u32);
    match arguments.get_str(2) {
        Some("suspended") => suspended(host, number(3)?),
        Some("starved") => starved(host, number(3)?, arguments.get_str(4) == Some("rests")),
        Some("names") => names(host, number(3)?),
        Some("arrays") => arrays(host, number(3)?),
        _ => Err(Mismatch::new("expected suspended TRIES, starved TIMES, names SECONDS or arrays CALLS")),
    }
}

/// A new task with a thread for each body, on the processors that others share, and its threads.
fn elsewhere(host: PortName, bodies: Vec<Box<dyn FnOnce() + Send>>) -> Result<(SendRight, Vec<SendRight>), Mismatch> {
    let (task, threads) = thread::fork_all(bodies).doing("making a task")?;
    if !processors::move_elsewhere(host, task.name())? {
        return Err(Mismatch::new("expected several processors, found one"));
    }
    Ok((task, threads))
}

fn is_dead(task: &SendRight) -> bool {
    mach_port::mach_port_type(task_self(), task.name()).map_or(true, |kind| kind & MACH_PORT_TYPE_DEAD_NAME != 0)
}

fn compute(turns: u64) {
    (0..turns).for_each(|_| core::hint::spin_loop());
}

/// Tasks that end themselves just when they are suspended, and resumed at once.
fn suspended(host: PortName, tries: u64) -> Result<(), Mismatch> {
    let words = shared_words(1).doing("memory that children share")?;
    let mut random = Random::new(1);
    let mut stuck = 0;
    for _ in 0..tries {
        words[0].store(0, Relaxed);
        let (its, mine) = (random.below(TURNS), random.below(TURNS));
        let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        bodies.push(Box::new(move || {
            while words[0].load(Relaxed) < 2 {}
            compute(its);
            let _ = task_terminate(task_self());
        }));
        bodies.push(Box::new(move || {
            words[0].store(1, Relaxed);
            loop {
                core::hint::spin_loop();
            }
        }));
        bodies.extend((2..THREADS).map(|_| Box::new(|| {}) as Box<dyn FnOnce() + Send>));
        let (task, threads) = elsewhere(host, bodies)?;
        for thread in &threads[..2] {
            kernel::thread_resume(thread.name()).doing("thread_resume")?;
        }
        while words[0].load(Relaxed) == 0 {}
        words[0].store(2, Relaxed);
        compute(mine);
        let (suspend, resume) = (kernel::task_suspend(task.name()), kernel::task_resume(task.name()));
        if !(0..PATIENCE).any(|_| is_dead(&task) || (pause(100), false).1) {
            println!("stuck: a task that has ended itself is still there; suspend {suspend:?}, resume {resume:?}");
            stuck += 1;
        }
    }
    println!("stuck: {stuck} of {tries} tasks that were suspended when they ended themselves are still there");
    Ok(())
}

/// Tasks with one thread each. The first ones call the kernel, which takes a lock each time; all others compute. Each counts its steps.
fn players(
    host: PortName,
    count: usize,
    steps: &'static [AtomicU64],
    rest: &'static AtomicU64,
) -> Result<Vec<SendRight>, Mismatch> {
    let mut tasks = Vec::new();
    for (index, steps) in steps.iter().enumerate().take(count) {
        let calls = index < CALLERS;
        let body: Box<dyn FnOnce() + Send> = Box::new(move || {
            let silence = mach_reply_port();
            loop {
                if rest.load(Relaxed) != 0 {
                    let (mut nothing, option) = ([0; 8], MACH_RCV_MSG | MACH_RCV_TIMEOUT);
                    mach_msg(&mut nothing, option, 0, 64, silence, SLEEP, PortName::NULL);
                }
                match calls {
                    true => drop(mach_port::mach_port_names(task_self())),
                    false => compute(TURNS),
                }
                steps.fetch_add(1, Relaxed);
            }
        });
        let (task, threads) = elsewhere(host, Vec::from([body]))?;
        let priority = BASE_PRIORITY + if index < CALLERS + EQUALS { STEPS_BACK } else { 0 };
        for thread in threads {
            mach_host::thread_priority(thread.name(), priority, false).doing("thread_priority")?;
            kernel::thread_resume(thread.name()).doing("thread_resume")?;
        }
        tasks.push(task);
    }
    Ok(tasks)
}

/// Threads that list their names, until one does not return from there though it has the processors for itself.
fn names(host: PortName, seconds: u64) -> Result<(), Mismatch> {
    let words = shared_words(CALLERS + 1).doing("memory that children share")?;
    let (steps, rest) = words.split_at(CALLERS);
    let tasks = players(host, CALLERS, steps, &rest[0])?;
    let (mut last, mut silent) = ([0; CALLERS], [0; CALLERS]);
    for second in 0..seconds {
        pause(1000);
        for (index, steps) in steps.iter().enumerate() {
            let now = steps.load(Relaxed);
            silent[index] = if now == last[index] { silent[index] + 1 } else { 0 };
            last[index] = now;
        }
        let Some(index) = silent.iter().position(|silent| *silent == SUSPICIOUS) else { continue };
        println!(
            "stuck: after {second} s: caller {index} made no step for {SUSPICIOUS} s; the others sleep from now on"
        );
        rest[0].store(1, Relaxed);
        pause(1000 * SUSPICIOUS as u32);
        if steps[index].load(Relaxed) == last[index] {
            println!("stuck: it made none in {SUSPICIOUS} s either: it does not return from mach_port_names");
            return Ok(());
        }
        rest[0].store(0, Relaxed);
    }
    println!("stuck: all callers returned for {seconds} s");
    tasks.iter().try_for_each(|task| task_terminate(task.name())).doing("task_terminate")
}

/// A task asks for its threads while another thread of it frees the memory in which the list comes, again and again.
fn arrays(host: PortName, calls: u64) -> Result<(), Mismatch> {
    let words = shared_words(3).doing("memory that children share")?;
    let [place, done, failed] = words else { return Err(Mismatch::new("three words")) };
    let asks = Box::new(move || {
        // Where the kernel will find room from now on: nothing else of this task comes and goes.
        let Ok(room) = Pages::allocate(ROOM) else { return };
        let address = room.address();
        drop(room);
        place.store(address, Relaxed);
        for _ in 0..calls {
            match kernel::task_threads(task_self()) {
                // What it brings may be gone already.
                Ok(list) => core::mem::forget(list),
                Err(_) => drop(failed.fetch_add(1, Relaxed)),
            }
        }
        done.store(1, Relaxed);
        pause(u32::MAX);
    });
    let frees = Box::new(move || {
        while place.load(Relaxed) == 0 {}
        loop {
            let _ = vm_deallocate(task_self(), place.load(Relaxed), ROOM);
        }
    });
    let before = left::caches(host)?;
    let (task, threads) = elsewhere(host, Vec::from([asks as Box<dyn FnOnce() + Send>, frees]))?;
    threads.iter().try_for_each(|thread| kernel::thread_resume(thread.name())).doing("thread_resume")?;
    while done.load(Relaxed) == 0 && !is_dead(&task) {
        pause(100);
    }
    task_terminate(task.name()).doing("task_terminate")?;
    pause(1000 * SUSPICIOUS as u32);
    let grown = left::objects_of(&left::caches(host)?, ARRAY).saturating_sub(left::objects_of(&before, ARRAY));
    println!(
        "stuck: {} of {calls} lists of threads failed; the kernel has {grown} arrays of {ARRAY} more",
        failed.load(Relaxed)
    );
    Ok(())
}

/// Threads that call the kernel and threads that compute beside them for a while, again and again.
fn starved(host: PortName, times: u64, rests: bool) -> Result<(), Mismatch> {
    let words = shared_words(ALL + 1).doing("memory that children share")?;
    let (steps, rest) = words.split_at(ALL);
    let rest = &rest[0];
    let tasks = players(host, ALL, steps, rest)?;
    let mut longest = [0; ALL];
    for _ in 0..times {
        tasks[CALLERS..].iter().try_for_each(|task| kernel::task_suspend(task.name())).doing("task_suspend")?;
        pause(ALONE);
        tasks[CALLERS..].iter().try_for_each(|task| kernel::task_resume(task.name())).doing("task_resume")?;
        together(steps, rest, rests, &mut longest);
    }
    let (calling, computing) = longest.split_at(CALLERS);
    println!("stuck: most seconds of {TOGETHER} without a step: calling {calling:?}, computing {computing:?}");
    tasks.iter().try_for_each(|task| task_terminate(task.name())).doing("task_terminate")
}

/// Looks on for a while; adds how long each thread makes no step.
fn together(steps: &[AtomicU64], rest: &AtomicU64, rests: bool, longest: &mut [u64; ALL]) {
    let (mut last, mut silent) = ([0; ALL], [0; ALL]);
    for _ in 0..TOGETHER {
        rest.store(rests.into(), Relaxed);
        pause(REST);
        rest.store(0, Relaxed);
        pause(1000 - REST);
        for (index, steps) in steps.iter().enumerate() {
            let now = steps.load(Relaxed);
            silent[index] = if now == last[index] { silent[index] + 1 } else { 0 };
            longest[index] = longest[index].max(silent[index]);
            last[index] = now;
        }
    }
}
