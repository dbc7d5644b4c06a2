// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_msg` with any arguments at all, for programs that test the kernel: sizes and addresses that lie.

use super::trap;
use crate::error::Result;
use crate::memory::{PAGE_SIZE, Pages, VM_PROT_NONE, VM_PROT_READ};
use crate::port::PortName;
use crate::{stubs, task_self};

/// Memory for messages whose sizes may be wrong: what is ours, then a page nobody can touch, then one to read only.
#[derive(Debug)]
pub struct Arena {
    pages: Pages,
}

/// Where the kernel is told that the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This many bytes into the part of the arena that is ours.
    Inside(usize),
    /// The page that nobody can touch.
    Forbidden,
    /// The page that can only be read; it is all zero.
    ReadOnly,
    /// Address 0.
    Null,
    /// The kernel's own text.
    Kernel,
}

/// The arguments of `mach_msg_trap` but for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the C prototype")]
pub struct Arguments {
    pub option: u32,
    pub send_size: u32,
    pub rcv_size: u32,
    pub rcv_name: PortName,
    pub time_out: u32,
    pub notify: PortName,
}

impl Arena {
    /// At least `size` bytes of our own, and the two pages behind them.
    pub fn allocate(size: u64) -> Result<Self> {
        let pages = Pages::allocate(size + 2 * PAGE_SIZE)?;
        let behind = pages.address() + pages.size() - 2 * PAGE_SIZE;
        stubs::mach::vm_protect(task_self(), behind, PAGE_SIZE, false, VM_PROT_NONE)?;
        stubs::mach::vm_protect(task_self(), behind + PAGE_SIZE, PAGE_SIZE, false, VM_PROT_READ)?;
        Ok(Self { pages })
    }

    /// Bytes that are ours.
    pub fn size(&self) -> usize {
        (self.pages.size() - 2 * PAGE_SIZE) as usize
    }

    /// Where they are.
    pub fn address(&self) -> u64 {
        self.pages.address()
    }

    /// The bytes that are ours.
    pub fn as_slice(&self) -> &[u8] {
        super::memory::kernel_given(self.pages.address(), self.size() as u64)
    }

    /// The bytes that are ours, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let size = self.size();
        super::memory::own_part(&mut self.pages, size)
    }

    /// `mach_msg_trap`. No argument is checked: the kernel writes upwards from the message's address and cannot get past the
    /// page that nobody can touch, and the other places cannot be written at all.
    ///
    /// # Panics
    /// If the message is said to begin behind the part that is ours.
    pub fn mach_msg(&mut self, place: Place, arguments: &Arguments) -> u32 {
        let behind = self.address() + self.size() as u64;
        let address = match place {
            Place::Inside(offset) => {
                assert!(offset < self.size(), "message at {offset}: expected less than {}", self.size());
                self.address() + offset as u64
            }
            Place::Forbidden => behind,
            Place::ReadOnly => behind + PAGE_SIZE,
            Place::Null => 0,
            Place::Kernel => 0xffff_ffff_8100_0000,
        };
        let Arguments { option, send_size, rcv_size, rcv_name, time_out, notify } = *arguments;
        trap::mach_msg(address, option, send_size, rcv_size, rcv_name, time_out, notify)
    }
}
