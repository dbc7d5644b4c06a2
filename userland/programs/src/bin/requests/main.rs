// SPDX-License-Identifier: GPL-2.0-or-later
//! requests HOST DEVICE FIRST LAST COUNT: so many random requests of trace_control.defs for each seed from FIRST to LAST; nothing may be left.
//!
//! Run it untraced. HOST and DEVICE are the names of the host's privileged port and of the master device port (`${host-port}`,
//! `${device-port}`). Requests of every shape (programs::requests) go to ports of every kind: tasks, threads, the host, a device, engines,
//! tools, none at all. A second task runs now and then, whatever engines it has. Each request that the kernel takes must be answered. After each
//! seed all ports die, and the kernel must have as many objects as before.
//!
//! Start reading at [`play`], then world.rs for what is in play.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod asked;
mod tables;
mod world;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use mach::memory::shared_words;
use mach::port::PortName;
use mach::println;
use mach::rt::arguments::Arguments;
use mach::stubs::mach_host;
use programs::patience::pause;
use programs::random::Random;
use programs::requests::routine_ids;
use programs::{Doing, Mismatch, expect, left};
use trace_port::control::{ANSWER_ID, stop};

use asked::Asked;
use world::{Fixed, World};

mach::entry!(main);

/// Requests before anything is counted: the kernel and the program have made then all that they make once and keep.
const WARM_UP: u64 = 3000;
/// From so many requests on each routine must have done what it was asked for.
const ENOUGH: u64 = 20_000;
/// Requests after which what is in play is made whole again.
const WHOLE_EVERY: u64 = 64;
/// Requests after which the other task runs, if it has come to rest.
const GO_EVERY: u64 = 8;
/// Tenths of a second that the kernel has to end what was ended.
const PATIENCE: u32 = 100;
/// Caches whose objects the kernel keeps for later or makes as it runs, and by how many they may grow (as in soak/held.rs). The last three grow
/// in the first seeds and not in later ones. It is by so many for all seeds together.
const KEPT: &[(&str, u64)] = &[
    ("kmem_slab", u64::MAX),
    ("rdxtree_node", 100),
    ("pv_entry", 200),
    ("thread_stack", 100),
    ("ipc_entry", SPARE_ENTRIES),
    ("vm_object", 4),
    ("ipc_port", 4),
    ("kalloc_2048", 1),
];
/// Routines that ask for the number of a thread which the engine has and, but for the first, stops: programs stops and inject have them
/// succeed; here they are asked for, and may not.
const BY_CHANCE: [u32; 5] = [stop::REPORT_ID, stop::PREPARE_ID, stop::FINISH_ID, stop::RESUME_ID, ANSWER_ID];
/// Entries of names that were given back, which a space keeps for the next (IS_FREE_LIST_SIZE_LIMIT of ipc/ipc_space.h).
const SPARE_ENTRIES: u64 = 64;
/// The cache of the messages of a page of which each processor keeps one for the next.
const OF_PROCESSORS: &str = "kalloc_4096";

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u64>().ok());
    let name = |index| number(index).map(|name| PortName(name as u32));
    let privileged = name(1).doing("the name of the host's privileged port")?;
    let fixed = Fixed { privileged, device: name(2).doing("the name of the master device port")? };
    let (first, last) = (number(3).doing("the first seed")?, number(4).doing("the last seed")?);
    let count = number(5).doing("a number of requests")?;
    let processors = mach_host::host_processors(privileged).doing("host_processors")?.count() as u64;
    println!("requests: seeds {first} to {last}, {count} requests each");
    let mut asked = Asked::new().doing("memory for requests")?;
    let went = &shared_words(1).doing("memory that children share")?[0];
    tables::fill()?;
    // Twice: what this program's own memory is made of is made anew when it ends for the first time.
    for _ in 0..2 {
        play((fixed, went), &mut asked, 0, WARM_UP)?;
    }
    pause(1000);
    // As later, when what is held then and what was before are in memory at once.
    drop([Held::now(privileged)?, Held::now(privileged)?]);
    let before = Held::now(privileged)?;
    for seed in first..=last {
        println!("requests: seed {seed}");
        play((fixed, went), &mut asked, seed, count)?;
        settle(privileged, &before, processors)?;
    }
    println!("requests: {asked}; nothing is left of them");
    let total = count.saturating_mul(last.saturating_sub(first) + 1);
    if total >= ENOUGH {
        let missing: Vec<u32> =
            routine_ids().filter(|id| !BY_CHANCE.contains(id) && !asked.has_succeeded(*id)).collect();
        expect("routines that never did what they were asked for", Vec::new(), missing)?;
    }
    Ok(())
}

/// The requests of one seed.
fn play((fixed, went): (Fixed, &'static AtomicU64), asked: &mut Asked, seed: u64, count: u64) -> Result<(), Mismatch> {
    let mut random = Random::new(seed);
    let mut world = World::start(fixed, went)?;
    for index in 0..count {
        let at = |why: Mismatch| Mismatch::new(&format!("seed {seed}, request {index}: {why}"));
        if index % WHOLE_EVERY == 0 {
            world.make_whole().map_err(at)?;
        }
        if index % GO_EVERY == 0 {
            world.go();
        }
        asked.one(&mut world, &mut random).map_err(at)?;
    }
    world.end()
}

/// What the kernel and this task hold.
struct Held {
    names: usize,
    caches: Vec<(String, u64)>,
}

impl Held {
    fn now(privileged: PortName) -> Result<Self, Mismatch> {
        Ok(Self { names: left::names()?, caches: left::caches_beside_maps(privileged)? })
    }
}

/// Waits until there is no more than before: the kernel ends threads in a thread of its own.
fn settle(privileged: PortName, before: &Held, processors: u64) -> Result<(), Mismatch> {
    let allowed = |name: &str| {
        let kept = KEPT.iter().find(|(kept, _)| *kept == name).map_or(0, |(_, most)| *most);
        if name == OF_PROCESSORS { processors } else { kept }
    };
    let mut list = Vec::new();
    for _ in 0..PATIENCE {
        let after = Held::now(privileged)?;
        expect("names of this task", before.names, after.names)?;
        list.clear();
        for (name, objects) in left::grown(&before.caches, &after.caches, 0) {
            let more = objects - left::objects_of(&before.caches, name);
            if more > allowed(name) {
                list.push(format!("{name} by {more} (at most {})", allowed(name)));
            }
        }
        if list.is_empty() {
            return Ok(());
        }
        pause(100);
    }
    Err(Mismatch::new(&format!("the kernel's caches: expected no growth, found {}", list.join(", "))))
}
