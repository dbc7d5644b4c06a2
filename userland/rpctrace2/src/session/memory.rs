// SPDX-License-Identifier: GPL-2.0-or-later
//! `--ool`: what memory out of line holds of a message that a thread has stopped with.
//!
//! A sender stops when the kernel has copied its message in, so that its memory is read after the copy was made; a receiver when all is in its
//! memory, before its call returns. Nothing is read where a pager provides the memory: that may be the thread that has stopped, or
//! wait for one, and whatever it does not provide would end this task when it is touched. So it is asked before the kernel copies anything, and
//! of the copy again, which is this task's alone, before that is touched.

use alloc::vec::Vec;

use bytes::Bytes;
use exchanges::memory::{Found, Memory};
use mach::error::KernReturn;
use mach::memory::{page_ceiling, page_floor};
use mach::port::{PortName, SendRight};
use mach::{stubs, task_self};
use mach_abi::Header;
use mach_abi::header::MACH_MSGH_BITS_COMPLEX;
use mach_abi::vm_info::VOI_STATE_INTERNAL;
use mig_defs::raw::Items;
use mig_defs::value::{Value, View};
use trace_port::{Direction, Record};

/// Most bytes of all memory of one message that are read.
const MESSAGE_MAX: usize = 1024 * 1024;
/// Most objects of which each is a copy of the next that are looked at.
const SHADOWS_MAX: usize = 64;
/// Most items of one message of which memory is read.
const ITEMS_MAX: usize = 64;

/// What memory out of line holds, at most so many bytes of each, of the message that the record of a stop shows, in the task that this is a right to.
pub(super) fn read(task: PortName, record: &Record<'_>, most: usize) -> Vec<Memory> {
    let header = Header::read(record.format, record.message).unwrap_or_default();
    // Without this bit the kernel moves no memory, whatever the descriptors say.
    if header.bits & MACH_MSGH_BITS_COMPLEX == 0 || !task.is_valid() {
        return Vec::new();
    }
    let is_sent = record.direction == Direction::Send;
    let view = if is_sent { View::Sent } else { View::Received };
    let items = Items::new(record.format, record.message).cut_from(record.header.message_size.get() as usize);
    let mut left = MESSAGE_MAX;
    let mut found = Vec::new();
    for item in items {
        let Value::OutOfLine { address, size, deallocate, .. } = item.value(view) else { continue };
        let wanted = usize::try_from(size).unwrap_or(usize::MAX).min(most);
        if wanted == 0 {
            continue;
        }
        if wanted > left || found.len() == ITEMS_MAX {
            break;
        }
        left -= wanted;
        let contents = match is_sent && deallocate {
            true => Found::GivenAway,
            false => contents(task, address, wanted as u64),
        };
        found.push(Memory { address, size, found: contents });
    }
    found
}

/// So many bytes of a task's memory.
fn contents(task: PortName, address: u64, size: u64) -> Found {
    let read = || {
        if is_paged(task, address, size)? {
            return Ok(Found::Paged);
        }
        let copy = stubs::mach::vm_read(task, address, size)?;
        match is_paged(task_self(), copy.address(), size)? {
            true => Ok(Found::Paged),
            false => Ok(Found::Read(Bytes::copy_from_slice(copy.as_slice()))),
        }
    };
    read().unwrap_or_else(|KernReturn(code)| Found::Refused(code))
}

/// Whether a pager provides something of a task's memory: of nothing that is not there.
fn is_paged(task: PortName, address: u64, size: u64) -> Result<bool, KernReturn> {
    let (mut at, end) = (page_floor(address), page_ceiling(address.saturating_add(size)).unwrap_or(u64::MAX));
    while at < end {
        let mut start = at;
        // Behind the last region there is nothing.
        let Ok(region) = stubs::mach::vm_region(task, &mut start) else { break };
        if start < end && has_pager(region.object_name)? {
            return Ok(true);
        }
        let Some(next) = start.checked_add(region.size) else { break };
        at = next.max(at.saturating_add(1));
    }
    Ok(false)
}

/// Whether a pager of somebody's provides what is in an object of the kernel's, or in one that it is a copy of. Memory that nobody has touched has
/// none.
fn has_pager(object: SendRight) -> Result<bool, KernReturn> {
    let mut object = object;
    for _ in 0..SHADOWS_MAX {
        if !object.name().is_valid() {
            return Ok(false);
        }
        let found = stubs::mach_debug::mach_vm_object_info(object.name())?;
        if found.info.voi_state & VOI_STATE_INTERNAL == 0 {
            return Ok(true);
        }
        object = found.shadow;
    }
    Ok(true)
}
