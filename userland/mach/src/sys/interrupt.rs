// SPDX-License-Identifier: GPL-2.0-or-later
//! Interrupting a thread: it runs a function on its own stack and then goes on as if nothing had happened, as signals do on Unix.
//!
//! Where it can be interrupted is one instruction only, the one of [`read`], so that it is known what the thread has on its stack.

use core::arch::global_asm;

use super::thread::{I386_THREAD_STATE, I386_THREAD_STATE_COUNT};
use super::trap;
use crate::error::{KernReturn, Result};
use crate::port::SendRight;
use crate::{stubs, task_self};

/// Where registers stand in `struct i386_thread_state`, in words of 64 bits.
const RDI: usize = 8;
const RIP: usize = 16;
const URSP: usize = 19;

/// The general registers, as `thread_get_state` answers them.
type Registers = [u32; I386_THREAD_STATE_COUNT];

// A function of which it is known that it has nothing on the stack but the address it returns to when its first instruction faults.
global_asm!(".globl mach_interruptible_read", "mach_interruptible_read:", "mov eax, dword ptr [rdi]", "ret");

// SAFETY: it is defined above and keeps to the C calling convention: an address in rdi, an answer in eax, no other register changed.
unsafe extern "C" {
    fn mach_interruptible_read(address: u64) -> u32;
}

/// Reads four bytes at an address where there may be no memory: then the kernel raises an exception, and whoever serves it may
/// [`interrupt`] this thread to provide some.
pub fn read(address: u64) -> u32 {
    // SAFETY: it reads and changes nothing; what it reads is taken for bits alone, and without memory there it is an exception. A
    // function that interrupts it is for the compiler a part of it, which it knows nothing of: it may do what any function may.
    unsafe { mach_interruptible_read(address) }
}

/// What an interrupted thread finds on its stack.
#[repr(C, align(16))]
struct Frame {
    registers: Registers,
    handler: fn(u64),
    argument: u64,
}

/// Has a thread of this task that is in [`read`] call `handler(argument)` there and read again. It is suspended meanwhile, and goes on
/// when it was answered, if it waits for the answer to an exception. `task` is the one that the exception says is the thread's.
///
/// # Errors
/// `KERN_INVALID_ARGUMENT` if the thread is not in [`read`] or of another task, else what the kernel answers.
pub fn interrupt(thread: &SendRight, task: &SendRight, handler: fn(u64), argument: u64) -> Result<()> {
    if task.name() != task_self() {
        return Err(KernReturn::KERN_INVALID_ARGUMENT);
    }
    stubs::mach::thread_suspend(thread.name())?;
    let interrupted = interrupt_suspended(thread, handler, argument);
    stubs::mach::thread_resume(thread.name())?;
    interrupted
}

fn interrupt_suspended(thread: &SendRight, handler: fn(u64), argument: u64) -> Result<()> {
    let mut registers = [0; I386_THREAD_STATE_COUNT];
    let count = stubs::mach::thread_get_state(thread.name(), I386_THREAD_STATE, &mut registers)?;
    let reads = mach_interruptible_read as unsafe extern "C" fn(u64) -> u32 as usize as u64;
    if count != registers.len() || register(&registers, RIP) != reads {
        return Err(KernReturn::KERN_INVALID_ARGUMENT);
    }
    let place = frame_below(register(&registers, URSP));
    // SAFETY: by the kernel's word the thread is suspended before the only instruction of `mach_interruptible_read` that is not its
    // return, so its stack pointer is that of a Rust caller's stack and nobody writes there; nothing below it is in use, because
    // our target (x86_64-unknown-none) has no red zone. The place is aligned. Where the stack ends too early this is a fault and not
    // anybody's memory: a frame is much smaller than the page without access below the stack.
    unsafe { (place as *mut Frame).write(Frame { registers, handler, argument }) };
    let entry = run as extern "C" fn(*const Frame) -> ! as usize as u64;
    // A C function starts with its return address on the stack, one word below an aligned place; nothing returns to it.
    for (position, value) in [(RDI, place), (RIP, entry), (URSP, place - 8)] {
        registers[2 * position] = value as u32;
        registers[2 * position + 1] = (value >> 32) as u32;
    }
    stubs::mach::thread_set_state(thread.name(), I386_THREAD_STATE, &registers)
}

/// Where the frame goes on a stack whose pointer is `stack`.
fn frame_below(stack: u64) -> u64 {
    stack.wrapping_sub(size_of::<Frame>() as u64) & !(align_of::<Frame>() as u64 - 1)
}

/// One of the registers.
fn register(registers: &Registers, position: usize) -> u64 {
    u64::from(registers[2 * position]) | u64::from(registers[2 * position + 1]) << 32
}

/// What an interrupted thread runs.
extern "C" fn run(frame: *const Frame) -> ! {
    // SAFETY: `interrupt_suspended` wrote it and set this function's argument; it stands above this function's stack, which grows down.
    let frame = unsafe { &*frame };
    (frame.handler)(frame.argument);
    // SAFETY: these are the registers with which this thread was before the instruction of `read`; its stack from there on upwards is
    // as it was, because this function's and the handler's are below. Nothing here waits to be dropped.
    let refused = unsafe { trap::thread_go_on(&frame.registers) };
    panic!("thread_set_self_state(i386_THREAD_STATE): expected to go on, found {refused}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_aligned_and_whole_below_the_stack_pointer() {
        for stack in [0x7fff_0000u64, 0x7fff_0008, 0x7fff_0001] {
            let place = frame_below(stack);
            assert!(place.is_multiple_of(16) && place + size_of::<Frame>() as u64 <= stack, "{place:#x} {stack:#x}");
        }
        assert!(size_of::<Frame>() < 4096);
    }

    #[test]
    fn registers_stand_where_the_kernel_has_them() {
        let mut registers = [0; I386_THREAD_STATE_COUNT];
        registers[38] = 0xffff_f000;
        registers[39] = 0x7fff;
        assert_eq!(register(&registers, URSP), 0x7fff_ffff_f000);
    }
}
