//! A message in its in-transit form made fit to leave the kernel: rights become names or numbers, memory becomes nothing.
//!
//! Works on the copy in the record, in place. Past what cannot be understood everything is cleared, so that no pointer is ever
//! left over.

use mach_abi::header::LP64;
use mach_abi::port::MACH_PORT_DEAD;
use mach_abi::{Format, descriptor, type_name};
use trace_port::record::{BODY_OFFSET, PORT_NUMBER};

use crate::gnumach::objects::COMPLEX;
use crate::gnumach::{Kernel, MaybePort, Record, Task};
use crate::state::State;

/// The inline bit.
const INLINE: u64 = descriptor::INLINE as u64;
/// The bits of the size of one element.
const SIZE: u64 = descriptor::SIZE as u64;
/// Bytes of a port, a pointer and a descriptor.
const WORD: usize = Format::Lp64.word();

/// Who wrote a message, and so what stands between its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The kernel: typed throughout, and what pads an item is whatever its heap held. It is cleared.
    Kernel,
    /// A user: without rights and memory it may be anything, and its bytes are its own.
    User,
}

/// Replaces every kernel pointer in the first `size` bytes of the message in a record.
#[inline(never)]
pub(crate) fn conceal(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    (record, size): (Record, usize),
    author: Author,
) {
    let shown = |offset: usize| {
        let port = kernel.shown_right(record, BODY_OFFSET + offset);
        put(kernel, record, offset, show(kernel, state, task, port));
    };
    if size < LP64.end {
        return clear(kernel, record, 0, size);
    }
    shown(LP64.remote_port);
    shown(LP64.local_port);
    if author == Author::User && kernel.record_read(record, BODY_OFFSET + LP64.bits) as u32 & COMPLEX == 0 {
        return;
    }
    let mut offset = LP64.end;
    while size - offset >= WORD {
        let descriptor = kernel.record_read(record, BODY_OFFSET + offset);
        offset += WORD;
        let is_right = type_name::is_right(descriptor as u32 & descriptor::NAME);
        let (bits, number) = ((descriptor & SIZE) >> 8, descriptor >> 32);
        // 32 bits by 16 bits cannot overflow.
        let bytes = if descriptor & INLINE == 0 { WORD as u64 } else { (number * bits).div_ceil(64) * WORD as u64 };
        let rest = size - offset;
        if bytes > rest as u64 {
            return clear(kernel, record, offset, rest);
        }
        let end = offset + bytes as usize;
        if descriptor & INLINE == 0 {
            put(kernel, record, offset, 0);
        } else if is_right {
            for port in (offset..end).step_by(WORD) {
                shown(port);
            }
        } else if author == Author::Kernel {
            let used = (number * bits).div_ceil(8) as usize;
            clear(kernel, record, offset + used, bytes as usize - used);
        }
        offset = end;
    }
    clear(kernel, record, offset, size - offset);
}

/// What stands for a port: the task's own name for it, else its number.
pub(crate) fn show(kernel: &impl Kernel, state: &State, task: Task, port: MaybePort) -> u64 {
    let Some(port) = port.port() else {
        return if port == MaybePort::NULL { 0 } else { MACH_PORT_DEAD.into() };
    };
    match kernel.own_name(task, port) {
        0 => state.links.port_number(port).get().into(),
        // A name that looks like a number is not shown.
        name if name & PORT_NUMBER != 0 => state.links.port_number(port).get().into(),
        name => name.into(),
    }
}

fn put(kernel: &impl Kernel, record: Record, offset: usize, value: u64) {
    kernel.record_write(record, BODY_OFFSET + offset, &value.to_le_bytes());
}

#[inline(never)]
fn clear(kernel: &impl Kernel, record: Record, offset: usize, size: usize) {
    for index in 0..size {
        kernel.record_write(record, BODY_OFFSET + offset + index, &[0]);
    }
}
