// SPDX-License-Identifier: GPL-2.0-or-later
//! `_start`, and the macro that tells it which function is `main`.

use core::arch::global_asm;

use super::arguments::{self, Arguments};
use super::exit;
use crate::sys::block::ThreadBlock;

/// Names a program's `main`: `fn main(arguments: Arguments) -> impl Termination`.
///
/// The binary says `#![no_std] #![no_main]` and `mach::entry!(main);`. A program that may have been started by somebody who leaves nothing on
/// its stack names besides a function that asks for the arguments, `fn() -> Option<Arguments>`, and answers `None` where they are on the
/// stack: `mach::entry!(main, asks);`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::entry!($main, $crate::rt::arguments::on_stack);
    };
    ($main:path, $asks:path) => {
        // The runtime calls these symbols; a second `entry!` in a program is refused by the linker.
        #[unsafe(no_mangle)]
        extern "Rust" fn mach_main(arguments: $crate::rt::arguments::Arguments) -> i32 {
            $crate::rt::exit::Termination::status($main(arguments))
        }

        #[unsafe(no_mangle)]
        extern "Rust" fn mach_arguments() -> Option<$crate::rt::arguments::Arguments> {
            $asks()
        }
    };
}

unsafe extern "Rust" {
    fn mach_main(arguments: Arguments) -> i32;
    fn mach_arguments() -> Option<Arguments>;
}

// GNU Mach's loader and ours leave argc, argv and envp at the stack pointer, as the System V ABI has them; the Hurd's exec server leaves
// nothing there, and the pointer at the end of the stack. The frame pointer is cleared so that a debugger's backtrace ends here.
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
    // SAFETY: `entry!` defines `mach_arguments` with exactly this signature, and a program without it does not link.
    let asked = unsafe { mach_arguments() };
    let arguments = asked.unwrap_or_else(|| {
        // SAFETY: `stack` is the stack pointer the loader left. Who leaves nothing there answers the program that asks, and one that does
        // not ask is started only by loaders that leave argc, argv, NULL, envp, NULL there.
        unsafe { arguments::from_stack(stack) }
    });
    // SAFETY: `entry!` defines `mach_main` with exactly this signature, and a program without it does not link.
    let status = unsafe { mach_main(arguments) };
    exit::exit(status)
}
