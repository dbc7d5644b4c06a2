// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-interpreter: stands in the place of ld.so. exec starts it instead of the program that names it as its interpreter, and tells it where
//! that is; it looks whether the program is all there, runs it, and looks what it did. The program is that of small-hurd's `tiny`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use hurd::startup::{self, Loaded};
use mach::rt::arguments::Arguments;
use mach::sys::thread::{I386_THREAD_STATE, ThreadState};
use mach::{println, stubs, task_self};
use programs::patience::pause;
use programs::{Doing, Mismatch, expect};

hurd::entry!(main);

/// Where its code and its data are, from where it lies, and what its data are before and after it has run.
const CODE: u64 = 0x1000;
const DATA: u64 = 0x2000;
const BEFORE: [u32; 2] = [7, 0];
const AFTER: [u32; 2] = [7, 42];
/// Its program headers: where they are, how many bytes, and the type of the first one, which is about themselves.
const HEADERS: u64 = 0x40;
const HEADERS_SIZE: u64 = 6 * 56;
const PT_PHDR: u32 = 6;
/// Below this nothing lies that may lie anywhere, if its interpreter may, too.
const LOW: u64 = 1 << 32;
/// Milliseconds between two looks at the data, and how often.
const PAUSE: u32 = 10;
const LOOKS: u32 = 500;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let Loaded { entry, headers } = startup::get().doing("being started on a Hurd")?.program();
    let base = entry.wrapping_sub(CODE);
    expect("where the program lies in its page", 0, base % 0x1000)?;
    expect("its headers", (base + HEADERS, HEADERS_SIZE), headers)?;
    expect("its first header", PT_PHDR, words(base + HEADERS, 1)?[0])?;
    expect("its data", BEFORE.to_vec(), words(base + DATA, 2)?)?;
    // This program lies where it says, below that.
    println!("interpreting {} below 4 GiB: {}", arguments.get_str(0).unwrap_or("?"), base < LOW);
    let thread = stubs::mach::thread_create(task_self()).doing("thread_create")?;
    let state = ThreadState { rip: entry, ..ThreadState::default() };
    stubs::mach::thread_set_state(thread.name(), I386_THREAD_STATE, &state.words()).doing("thread_set_state")?;
    stubs::mach::thread_resume(thread.name()).doing("thread_resume")?;
    for _ in 0..LOOKS {
        if words(base + DATA, 2)? == AFTER {
            break;
        }
        pause(PAUSE);
    }
    expect("its data when it has run", AFTER.to_vec(), words(base + DATA, 2)?)?;
    stubs::mach::thread_terminate(thread.name()).doing("thread_terminate")?;
    println!("it has run");
    Ok(())
}

/// Words of this task's memory.
fn words(address: u64, count: usize) -> Result<Vec<u32>, Mismatch> {
    let page = address & !0xfff;
    let pages = stubs::mach::vm_read(task_self(), page, 0x1000).doing("vm_read")?;
    let bytes = pages.as_slice().get((address - page) as usize..).unwrap_or(&[]);
    Ok(bytes.chunks_exact(4).take(count).filter_map(|word| word.try_into().ok().map(u32::from_le_bytes)).collect())
}
