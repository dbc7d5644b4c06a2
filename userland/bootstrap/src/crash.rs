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
    /// Exception, code, address and instruction pointer.
    pub(crate) fn describe(&self) -> String {
        let name = usize::try_from(self.exception - 1).ok().and_then(|index| NAMES.get(index));
        let name = name.copied().map_or_else(|| format!("exception {}", self.exception), String::from);
        let detail = if self.exception == EXC_BAD_ACCESS {
            format!("{} at address {:#x}", KernReturn(self.code), self.subcode)
        } else {
            format!("code {}, subcode {:#x}", self.code, self.subcode)
        };
        let mut words = [0; I386_THREAD_STATE_COUNT];
        let rip = stubs::mach::thread_get_state(self.thread, I386_THREAD_STATE, &mut words)
            .ok()
            .and_then(|_| ThreadState::rip_of(&words))
            .map_or_else(|| "unknown".into(), |rip| format!("{rip:#x}"));
        format!("{name}, {detail}, rip {rip}")
    }
}
