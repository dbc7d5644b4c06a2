//! A message in its in-transit form made fit to leave the kernel: rights become names or numbers, memory becomes nothing.
//!
//! Works on the copy in the record, in place. Past what cannot be understood everything is cleared, so that no pointer is ever
//! left over.

use trace_port::record::{BODY_OFFSET, PORT_NUMBER};

use crate::gnumach::objects::COMPLEX;
use crate::gnumach::{Kernel, MaybePort, Record, Task};
use crate::state::State;

const BITS: usize = 0;
const REMOTE_PORT: usize = 8;
const LOCAL_PORT: usize = 16;
/// `sizeof (mach_msg_header_t)`.
pub(crate) const HEADER_SIZE: usize = 32;

/// `MACH_PORT_DEAD`.
const DEAD: u64 = 0xffff_ffff;
/// `msgt_inline`.
const INLINE: u64 = 1 << 29;
/// `MACH_MSG_TYPE_PORT_RECEIVE` to `MACH_MSG_TYPE_PORT_SEND_ONCE`: rights in transit.
const RIGHTS: core::ops::RangeInclusive<u64> = 16..=18;
/// Bytes of a port, a pointer and a descriptor.
const WORD: usize = 8;

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
    if size < HEADER_SIZE {
        return clear(kernel, record, 0, size);
    }
    shown(REMOTE_PORT);
    shown(LOCAL_PORT);
    if author == Author::User && kernel.record_read(record, BODY_OFFSET + BITS) as u32 & COMPLEX == 0 {
        return;
    }
    let mut offset = HEADER_SIZE;
    while size - offset >= WORD {
        let descriptor = kernel.record_read(record, BODY_OFFSET + offset);
        offset += WORD;
        let (is_right, bits, number) =
            (RIGHTS.contains(&(descriptor & 0xff)), descriptor >> 8 & 0xffff, descriptor >> 32);
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
        return if port == MaybePort::NULL { 0 } else { DEAD };
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
