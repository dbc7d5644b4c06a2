// SPDX-License-Identifier: GPL-2.0-or-later
//! A message in its in-transit form made fit to leave the kernel: rights become names or numbers, memory becomes nothing.
//!
//! Works on the copy in the record, in place. Past what cannot be understood everything is cleared, so that no pointer is ever
//! left over.

use mach_abi::header::LP64;
use mach_abi::port::{MACH_PORT_DEAD, MACH_PORT_NULL};
use mach_abi::{Format, descriptor, type_name};
use trace_port::port::OUT_OF_LINE;
use trace_port::record::{BODY_OFFSET, PORT_NUMBER};

use crate::draft::FIRST;
use crate::gnumach::objects::COMPLEX;
use crate::gnumach::{Kernel, MaybePort, Record, Task};
use crate::named::{self, Ports};
use crate::state::State;

/// The inline bit.
pub(crate) const INLINE: u64 = descriptor::INLINE as u64;
/// The bits of the size of one element.
pub(crate) const SIZE: u64 = descriptor::SIZE as u64;
/// Bytes of a port, a pointer and a descriptor.
pub(crate) const WORD: usize = Format::Lp64.word();

/// Who wrote a message, and so what stands between its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The kernel: typed throughout, and what pads an item is whatever its heap held. It is cleared.
    Kernel,
    /// A user: without rights and memory it may be anything, and its bytes are its own.
    User,
}

/// Replaces every kernel pointer in the first `size` bytes of the message in a record, and says behind it, where there is `room` for so
/// many, which ports the names stand for. Returns how many those are.
#[inline(never)]
pub(crate) fn conceal(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    (record, size, room): (Record, usize, usize),
    author: Author,
) -> usize {
    let mut ports = Ports::behind(record, FIRST, size, room);
    if size < LP64.end {
        clear(kernel, record, 0, size);
        return 0;
    }
    let shown = |ports: &mut Ports, offset: usize| {
        let port = kernel.shown_right(record, BODY_OFFSET + offset);
        put(kernel, record, offset, show(kernel, state, task, ports, port, 0));
    };
    shown(&mut ports, LP64.remote_port);
    shown(&mut ports, LP64.local_port);
    let is_plain = author == Author::User && kernel.record_read(record, BODY_OFFSET + LP64.bits) as u32 & COMPLEX == 0;
    let mut offset = LP64.end;
    while size - offset >= WORD {
        let descriptor = kernel.record_read(record, BODY_OFFSET + offset);
        offset += WORD;
        let kind = descriptor as u32 & descriptor::NAME;
        let (bits, number) = ((descriptor & SIZE) >> 8, descriptor >> 32);
        let bytes = named::bytes_behind(descriptor);
        let rest = size - offset;
        if bytes > rest as u64 {
            if !is_plain {
                clear(kernel, record, offset, rest);
            }
            return ports.count();
        }
        let end = offset + bytes as usize;
        if descriptor & INLINE != 0 && kind == type_name::PORT_NAME {
            named::push_names(kernel, state, &mut ports, task, (record, BODY_OFFSET + offset), (bits, number));
        }
        if is_plain {
            // Without rights and memory it may be anything.
        } else if descriptor & INLINE == 0 {
            if type_name::is_right(kind) {
                show_array(kernel, state, task, &mut ports, (record, offset), number as usize);
            }
            put(kernel, record, offset, 0);
        } else if type_name::is_right(kind) {
            for port in (offset..end).step_by(WORD) {
                shown(&mut ports, port);
            }
        } else if author == Author::Kernel {
            let used = (number * bits).div_ceil(8) as usize;
            clear(kernel, record, offset + used, bytes as usize - used);
        }
        offset = end;
    }
    if !is_plain {
        clear(kernel, record, offset, size - offset);
    }
    ports.count()
}

/// What stands for a port: the task's own name for it, else its number. Which port it is goes to `ports`; of an element of an array, as the
/// flags say, also that it is none.
#[inline(never)]
pub(crate) fn show(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    ports: &mut Ports,
    port: MaybePort,
    flags: u8,
) -> u64 {
    let name = match port.port() {
        None if port == MaybePort::NULL => MACH_PORT_NULL,
        None => MACH_PORT_DEAD,
        Some(port) => {
            let name = kernel.own_name(task, port);
            if let Some(identity) = kernel.identity(port, &state.numbers) {
                // A name that looks like a number is not shown.
                let shown = if name == 0 || name & PORT_NUMBER != 0 { identity.number.as_name() } else { name };
                ports.push(kernel, shown, flags, identity);
                return shown.into();
            }
            MACH_PORT_DEAD
        }
    };
    if flags & OUT_OF_LINE != 0 {
        ports.put(kernel, named::nothing(name));
    }
    name.into()
}

/// What the rights of an array out of line are, of which the address stands at `offset`, as far as there is room.
#[inline(never)]
fn show_array(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    ports: &mut Ports,
    (record, offset): (Record, usize),
    number: usize,
) {
    for index in 0..number {
        if !ports.has_room() {
            break;
        }
        let right = kernel.shown_right_in_array(record, BODY_OFFSET + offset, index);
        show(kernel, state, task, ports, right, OUT_OF_LINE);
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
