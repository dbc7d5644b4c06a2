// SPDX-License-Identifier: GPL-2.0-or-later
//! How a thread of ours begins and ends: its stack, its block, the registers it starts with.

use alloc::boxed::Box;
use core::ptr;

use super::block::{self, ThreadBlock};
use super::trap;
use crate::error::Result;
use crate::memory::{PAGE_SIZE, Pages, VM_PROT_NONE};
use crate::{stubs, task_self, thread_self};

/// `i386_THREAD_STATE` of thread_status.h: the general registers.
pub const I386_THREAD_STATE: i32 = 1;

/// Words of 32 bits in that state.
pub const I386_THREAD_STATE_COUNT: usize = 42;

/// A thread's stack, its block included and a page that faults below.
const STACK_SIZE: u64 = 128 * 1024;

/// Room for the block at the top of the stack; keeps the stack pointer below it aligned.
const BLOCK_ROOM: u64 = (size_of::<ThreadBlock>() as u64).next_multiple_of(16);

/// The registers a thread starts with; all others are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadState {
    /// First argument of a C function.
    pub rdi: u64,
    /// Second argument of a C function.
    pub rsi: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Where it starts.
    pub rip: u64,
}

impl ThreadState {
    /// The state as `thread_set_state` takes it: `struct i386_thread_state` of the 64-bit kernel.
    pub fn words(&self) -> [u32; I386_THREAD_STATE_COUNT] {
        let mut words = [0; I386_THREAD_STATE_COUNT];
        // Positions in 64-bit registers: rdi 8, rsi 9, rip 16, ursp 19 ("rsp" at 11 is what pusha left; unused).
        for (position, value) in [(8, self.rdi), (9, self.rsi), (16, self.rip), (19, self.rsp)] {
            words[2 * position] = value as u32;
            words[2 * position + 1] = (value >> 32) as u32;
        }
        words
    }

    /// The instruction pointer in a state that `thread_get_state` answered.
    pub fn rip_of(words: &[u32]) -> Option<u64> {
        Some(u64::from(*words.get(32)?) | u64::from(*words.get(33)?) << 32)
    }
}

type Body = Box<dyn FnOnce() + Send>;

/// A thread that is ready to start: its stack and what it will run. Dropped unstarted, or after it was started in a task
/// that has its own copy of this memory, it takes both back.
pub struct Prepared {
    stack: Pages,
    body: *mut Body,
}

impl Prepared {
    /// Makes the stack and puts the body where the thread will find it.
    pub fn new(body: impl FnOnce() + Send + 'static) -> Result<Self> {
        let stack = Pages::allocate(STACK_SIZE)?;
        stubs::mach::vm_protect(task_self(), stack.address(), PAGE_SIZE, false, VM_PROT_NONE)?;
        let block = (stack.address() + stack.size() - BLOCK_ROOM) as *mut ThreadBlock;
        // SAFETY: the room at the top of the stack is writable, large enough and aligned, and nobody else's.
        unsafe { block.write(ThreadBlock::new()) };
        Ok(Self { stack, body: Box::into_raw(Box::new(Box::new(body) as Body)) })
    }

    /// The registers to start it with.
    pub fn state(&self) -> ThreadState {
        let block = self.stack.address() + self.stack.size() - BLOCK_ROOM;
        // A C function starts with its return address on the stack, one word below an aligned place; that word is zero
        // here, and nothing returns to it.
        ThreadState {
            rdi: block,
            rsi: self.body as u64,
            rsp: block - 8,
            rip: thread_entry as extern "C" fn(*const ThreadBlock, *mut Body) -> ! as usize as u64,
        }
    }

    /// The thread runs in this task now: the stack and the body are its own to release.
    pub fn started(self) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the pages are moved out once; leaking them leaves the thread its stack.
        let stack = unsafe { ptr::read(&this.stack) };
        stack.leak();
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::into_raw` and no thread of this task was started with it.
        drop(unsafe { Box::from_raw(self.body) });
    }
}

/// The first Rust code of a thread.
extern "C" fn thread_entry(block: *const ThreadBlock, body: *mut Body) -> ! {
    // SAFETY: `Prepared::new` wrote a block there, which lives as long as the stack and so as long as this thread.
    unsafe { &*block }.install();
    // SAFETY: the pointer came from `Box::into_raw`; `Prepared::started` gave it to this thread, or this task has its own
    // copy of the memory.
    let body = unsafe { Box::from_raw(body) };
    body();
    let stack = block as u64 + BLOCK_ROOM - STACK_SIZE;
    end(stack)
}

/// Ends the calling thread and gives its stack, its names and its reply port back, all in one request.
fn end(stack: u64) -> ! {
    let reply_port = block::forget_reply_port();
    let thread = thread_self();
    loop {
        let _ = stubs::gnumach::thread_terminate_release(thread, task_self(), thread, reply_port, stack, STACK_SIZE);
        trap::thread_switch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_stand_where_the_kernel_reads_them() {
        let state = ThreadState { rdi: 0x1111_2222, rsi: 3, rsp: 0x7fff_ffff_f000, rip: 0x20_0000 };
        let words = state.words();
        assert_eq!(words[16..20], [0x1111_2222, 0, 3, 0]);
        assert_eq!(words[32..34], [0x20_0000, 0]);
        assert_eq!(words[38..40], [0xffff_f000, 0x7fff]);
        assert_eq!(words.iter().filter(|word| **word != 0).count(), 5);
        assert_eq!(ThreadState::rip_of(&words), Some(0x20_0000));
        assert_eq!(ThreadState::rip_of(&words[..33]), None);
    }
}
