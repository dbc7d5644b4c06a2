// SPDX-License-Identifier: GPL-2.0-or-later
//! `_start`, and the macro that tells it which function is `main`.

use core::arch::global_asm;

use super::arguments::{self, Arguments};
use super::exit;
use crate::sys::block::ThreadBlock;

/// Names a program's `main`: `fn main(arguments: Arguments) -> impl Termination`.
///
/// The binary says `#![no_std] #![no_main]` and `mach::entry!(main);`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // The runtime calls this one symbol; a second `entry!` in a program is refused by the linker.
        #[unsafe(no_mangle)]
        extern "Rust" fn mach_main(arguments: $crate::rt::arguments::Arguments) -> i32 {
            $crate::rt::exit::Termination::status($main(arguments))
        }
    };
}

unsafe extern "Rust" {
    fn mach_main(arguments: Arguments) -> i32;
}

// GNU Mach's loader and ours leave argc, argv and envp at the stack pointer, as the System V ABI has them. The frame
// pointer is cleared so that a debugger's backtrace ends here.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);

/// The first thread's block.
static FIRST_BLOCK: ThreadBlock = ThreadBlock::new();

/// The first Rust code of a program.
extern "C" fn start(stack: *const usize) -> ! {
    FIRST_BLOCK.install();
    // SAFETY: `stack` is the stack pointer the loader left, which points to argc, argv, NULL, envp, NULL.
    let arguments = unsafe { arguments::from_stack(stack) };
    // SAFETY: `entry!` defines `mach_main` with exactly this signature, and a program without it does not link.
    let status = unsafe { mach_main(arguments) };
    exit::exit(status)
}
