// SPDX-License-Identifier: GPL-2.0-or-later
//! What is told of a process: `struct procinfo` of the Hurd's hurd_types.h, and its arguments as they stand in its memory.

use alloc::vec::Vec;

use mach::error::{KernReturn, Result};
use mach::memory::{PAGE_SIZE, page_floor};
use mach::mig::AnyRight;
use mach::port::{PortName, SendRight};
use mach::stubs;
use small_hurd::errno::ESRCH;

use super::process::Process;
use super::table::Table;
use super::wait::Of;

/// `PI_FETCH_...`: what is asked for.
const TASKINFO: i32 = 1;
const THREADS: i32 = 2;
const THREAD_BASIC: i32 = 4;
const THREAD_SCHED: i32 = 8;
const THREAD_WAITS: i32 = 0x10;
const TASKEVENTS: i32 = 0x20;

/// `PI_...`: states.
const STOPPED: i32 = 1;
const EXECED: i32 = 2;
const WAITING: i32 = 4;
const ORPHAN: i32 = 8;
const NOMSG: i32 = 0x10;
const SESSLD: i32 = 0x20;
const NOTOWNED: i32 = 0x40;
const NOPARENT: i32 = 0x80;
const GETMSG: i32 = 0x400;

/// Places in the struct, in integers.
const NTHREADS: usize = 8;
const TASK: usize = 10;
const EVENTS: usize = 40;
const FIRST_THREAD: usize = 54;
/// Within a thread's part.
const BASIC: usize = 2;
const SCHED: usize = 34;
const THREAD_SIZE: usize = 42;

/// `TASK_BASIC_INFO`, `TASK_EVENTS_INFO`, `THREAD_BASIC_INFO` and `THREAD_SCHED_INFO` of Mach.
const TASK_BASIC_INFO: i32 = 1;
const TASK_EVENTS_INFO: i32 = 2;
const THREAD_BASIC_INFO: i32 = 1;
const THREAD_SCHED_INFO: i32 = 2;

/// Most arguments that are looked for.
const STRINGS_MAX: usize = 4096;

/// What one answer tells.
pub(super) struct Info {
    pub(super) flags: i32,
    pub(super) words: Vec<i32>,
}

impl Table {
    /// What the table knows: the struct's first integers, and the task to ask about the rest.
    pub(super) fn state(&self, pid: i32) -> Result<(Vec<i32>, SendRight)> {
        let process = self.living(pid)?;
        let waits = |of: fn(&Of) -> bool| self.waiters.iter().any(|waiter| waiter.caller == pid && of(&waiter.of));
        let states = [
            (process.is_stopped, STOPPED),
            (process.has_execed, EXECED),
            (waits(|of| matches!(of, Of::Child { .. })), WAITING),
            (waits(|of| matches!(of, Of::MessagePort { .. })), GETMSG),
            (self.is_orphaned(process.group), ORPHAN),
            (process.message_port.is_none(), NOMSG),
            (process.session == pid, SESSLD),
            (process.ids.is_empty(), NOTOWNED),
            (!process.has_parent, NOPARENT),
        ];
        let state = states.iter().filter(|state| state.0).map(|state| state.1).sum();
        let owner = process.ids.first().copied().unwrap_or(0) as i32;
        let (status, sigcode) = if process.is_stopped { (process.status, process.sigcode) } else { (0, 0) };
        let Process { parent, group, session, .. } = *process;
        // Everybody is in one login collection, the first process's.
        let words = alloc::vec![state, owner, parent, group, session, super::process::INIT, status, sigcode, 0];
        let task = process.task.as_ref().ok_or(ESRCH)?.try_clone()?;
        Ok((words, task))
    }
}

/// Completes what the table knows by what the kernel knows, as far as `flags` ask for it.
pub(super) fn complete(mut words: Vec<i32>, task: &SendRight, flags: i32) -> Result<Info> {
    let mut flags = flags;
    let details = flags & (THREAD_BASIC | THREAD_SCHED | THREAD_WAITS) != 0;
    if details {
        flags |= THREADS;
    }
    // What threads wait for only they could tell, and none of ours does.
    flags &= !THREAD_WAITS;
    let gone = |error: KernReturn| if error == KernReturn::MACH_SEND_INVALID_DEST { ESRCH } else { error };
    let threads: Vec<AnyRight> = match flags & THREADS {
        0 => Vec::new(),
        _ => stubs::mach::task_threads(task.name()).map_err(gone)?.collect(),
    };
    let room = FIRST_THREAD + if details { threads.len() * THREAD_SIZE } else { 0 };
    words.resize(room, 0);
    words[NTHREADS] = threads.len() as i32;
    if flags & TASKINFO != 0 {
        stubs::mach::task_info(task.name(), TASK_BASIC_INFO, &mut words[TASK..EVENTS]).map_err(gone)?;
    }
    if flags & TASKEVENTS != 0 {
        let told = stubs::mach::task_info(task.name(), TASK_EVENTS_INFO, &mut words[EVENTS..FIRST_THREAD]);
        flags &= if told.is_ok() { !0 } else { !TASKEVENTS };
    }
    if details {
        let places = words[FIRST_THREAD..].chunks_exact_mut(THREAD_SIZE);
        threads.iter().zip(places).for_each(|(thread, place)| fill(thread.name(), place, flags));
    }
    Ok(Info { flags, words })
}

/// One thread's part. A thread that has ended meanwhile is marked.
fn fill(thread: PortName, place: &mut [i32], flags: i32) {
    for (wanted, flavor, part) in
        [(THREAD_BASIC, THREAD_BASIC_INFO, BASIC..SCHED), (THREAD_SCHED, THREAD_SCHED_INFO, SCHED..THREAD_SIZE)]
    {
        if flags & wanted != 0 && stubs::mach::thread_info(thread, flavor, &mut place[part]).is_err() {
            place[0] = 1;
        }
    }
}

/// The strings of a vector of pointers at `address` of a task, each with its NUL.
pub(super) fn strings(task: PortName, address: u64) -> Result<Vec<u8>> {
    let mut strings = Vec::new();
    for index in 0..STRINGS_MAX {
        let mut pointer = [0; 8];
        read(task, address + 8 * index as u64, &mut pointer)?;
        let string = u64::from_le_bytes(pointer);
        if string == 0 {
            break;
        }
        // No string is longer than a page.
        let bytes = page(task, string)?;
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(KernReturn::KERN_INVALID_ADDRESS)?;
        strings.extend_from_slice(&bytes[..=end]);
    }
    Ok(strings)
}

/// A task's bytes from `address` on to the end of the next page, or of its own page if there is no next one.
fn page(task: PortName, address: u64) -> Result<Vec<u8>> {
    let start = page_floor(address);
    let memory = match stubs::mach::vm_read(task, start, 2 * PAGE_SIZE) {
        Err(KernReturn::KERN_INVALID_ADDRESS | KernReturn::KERN_PROTECTION_FAILURE) => {
            stubs::mach::vm_read(task, start, PAGE_SIZE)
        }
        other => other,
    };
    let memory = memory.map_err(|error| match error {
        KernReturn::MACH_SEND_INVALID_DEST => ESRCH,
        other => other,
    })?;
    Ok(memory.as_slice()[(address - start) as usize..].to_vec())
}

fn read(task: PortName, address: u64, into: &mut [u8]) -> Result<()> {
    let bytes = page(task, address)?;
    let from = bytes.get(..into.len()).ok_or(KernReturn::KERN_INVALID_ADDRESS)?;
    into.copy_from_slice(from);
    Ok(())
}
