// SPDX-License-Identifier: GPL-2.0-or-later
//! A crash in one line: what the kernel's exception message says, in words.

use alloc::format;
use alloc::string::String;

use mach::error::KernReturn;
use mach::port::PortName;
use mach::stubs;
use mach::sys::thread::{I386_THREAD_STATE, I386_THREAD_STATE_COUNT, ThreadState};

/// `EXC_BAD_ACCESS` of exception.h: the code is a `kern_return_t` and the subcode the address.
const EXC_BAD_ACCESS: i32 = 1;

/// `EXC_*` of exception.h, from 1.
const NAMES: [&str; 6] =
    ["EXC_BAD_ACCESS", "EXC_BAD_INSTRUCTION", "EXC_ARITHMETIC", "EXC_EMULATION", "EXC_SOFTWARE", "EXC_BREAKPOINT"];

/// `EXC_I386_*` of x86_64/exception.h: the exception, its code, and what the code is called.
const CODES: [(i32, i32, &str); 9] = [
    (2, 1, "EXC_I386_INVOP"),
    (2, 10, "EXC_I386_INVTSSFLT"),
    (2, 11, "EXC_I386_SEGNPFLT"),
    (2, 12, "EXC_I386_STKFLT"),
    (2, 13, "EXC_I386_GPFLT"),
    (3, 1, "EXC_I386_DIV"),
    (3, 5, "EXC_I386_EXTERR"),
    (6, 1, "EXC_I386_SGL"),
    (6, 2, "EXC_I386_BPT"),
];

/// What `exception_raise` says.
pub(crate) struct Crash {
    /// The thread it happened in.
    pub(crate) thread: PortName,
    /// `EXC_*`.
    pub(crate) exception: i32,
    /// Depends on the exception.
    pub(crate) code: i32,
    /// Depends on the exception.
    pub(crate) subcode: i64,
}

impl Crash {
    /// Exception, code, address and instruction pointer, as rpctrace2 writes them.
    pub(crate) fn describe(&self) -> String {
        let name = usize::try_from(self.exception - 1).ok().and_then(|index| NAMES.get(index));
        let name = name.copied().map_or_else(|| format!("exception {}", self.exception), String::from);
        let code = CODES.iter().find(|known| (known.0, known.1) == (self.exception, self.code));
        let code = code.map_or_else(|| format!("{}", self.code), |known| String::from(known.2));
        let detail = match (self.exception, self.subcode) {
            (EXC_BAD_ACCESS, address) => format!("{} at {address:#x}", KernReturn(self.code)),
            (_, 0) => code,
            (_, subcode) => format!("{code}, subcode {subcode:#x}"),
        };
        let mut words = [0; I386_THREAD_STATE_COUNT];
        let rip = stubs::mach::thread_get_state(self.thread, I386_THREAD_STATE, &mut words)
            .ok()
            .and_then(|_| ThreadState::rip_of(&words))
            .map_or_else(|| "unknown".into(), |rip| format!("{rip:#x}"));
        format!("{name} ({detail}, rip {rip})")
    }
}
