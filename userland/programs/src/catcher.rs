// SPDX-License-Identifier: GPL-2.0-or-later
//! A server of exceptions that lets its clients write where they must not.

use mach::error::{KernReturn, Result};
use mach::memory::{PAGE_SIZE, VM_PROT_READ, VM_PROT_WRITE};
use mach::port::{PortName, SendRight};
use mach::stubs::{exc_server, mach as kernel};

/// Makes the page that was written to a writable one, or refuses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catcher {
    /// Whether it answers `KERN_FAILURE`.
    pub refuses: bool,
    /// Exception, code and subcode, an address, of what came last.
    pub seen: Option<(i32, KernReturn, u64)>,
}

impl exc_server::Server for Catcher {
    fn exception_raise(
        &mut self,
        _exception_port: PortName,
        _thread: SendRight,
        task: SendRight,
        exception: i32,
        code: i32,
        subcode: i64,
    ) -> Result<()> {
        self.seen = Some((exception, KernReturn(code), subcode as u64));
        if self.refuses {
            return Err(KernReturn::KERN_FAILURE);
        }
        kernel::vm_protect(task.name(), subcode as u64, PAGE_SIZE, false, VM_PROT_READ | VM_PROT_WRITE)
    }
}
