// SPDX-License-Identifier: GPL-2.0-or-later
//! What the names in a recorded message stand for, written behind the message: [`trace_port::Port`].

use mach_abi::descriptor;
use mach_abi::header::{LP64, local};
use mach_abi::type_name::{self, PROTECTED_PAYLOAD};
use trace_port::port::{MAX_PORTS, NOTHING, OUT_OF_LINE, PORT_SET, RECEIVED_ON};
use trace_port::record::{self, Part};
use trace_port::{Direction, Port};

use crate::conceal;
use crate::gnumach::{Kernel, Kmsg, Names, Record, Task};
use crate::identity::Identity;
use crate::received_on;
use crate::state::State;

/// Message bytes up to which it is not worth while to count names before memory is taken.
const SMALL: usize = 136;
/// Bytes of the smallest name.
const NAME: usize = 4;
/// Bytes of a port in a record.
pub(crate) const PORT: usize = size_of::<Port>();

/// Ports that a record of the first `captured` bytes of a message, in the form the task sees or in transit, has room for.
#[inline(always)]
pub(crate) fn room(kernel: &impl Kernel, message: Kmsg, captured: usize) -> usize {
    if captured <= SMALL { most(captured) } else { count(kernel, message, captured) }
}

/// More there cannot be in so many bytes.
const fn most(captured: usize) -> usize {
    2 + captured.saturating_sub(LP64.end) / NAME
}

#[inline(never)]
fn count(kernel: &impl Kernel, message: Kmsg, captured: usize) -> usize {
    let word = |offset| kernel.message_word(message, offset);
    let mut items = Items::of(captured);
    let mut names = 2;
    while let Some(item) = items.next(word)
        && names < MAX_PORTS
    {
        names += item.count;
    }
    names.min(MAX_PORTS)
}

/// Room for the ports of a message in transit: the names in it, and the rights in its arrays out of line, which are at hand.
#[inline(never)]
pub(crate) fn room_in_transit(kernel: &impl Kernel, message: Kmsg, captured: usize) -> usize {
    let word = |offset| kernel.message_word(message, offset);
    (count(kernel, message, captured) + count_elements(captured, word)).min(MAX_PORTS)
}

/// The descriptors of a message's body.
struct Descriptors {
    offset: usize,
    end: usize,
}

impl Descriptors {
    /// Of a message of so many bytes.
    #[inline(always)]
    const fn of(size: usize) -> Self {
        Self { offset: LP64.end, end: size }
    }

    /// The next one, and where what it describes begins, or where that is said; `word` reads the message. What goes over the end is none, and the last.
    #[inline(always)]
    fn next(&mut self, word: impl Fn(usize) -> u64) -> Option<(u64, usize)> {
        let start = self.offset + conceal::WORD;
        let room = self.end.checked_sub(start)?;
        let descriptor = word(self.offset);
        let bytes = bytes_behind(descriptor);
        if bytes > room as u64 {
            self.offset = self.end;
            return None;
        }
        self.offset = start + bytes as usize;
        Some((descriptor, start))
    }
}

/// Whether all that a message of so many bytes carries is in itself: no memory, and no array of rights. `word` reads it.
pub(crate) fn is_all_inline(size: usize, word: impl Fn(usize) -> u64 + Copy) -> bool {
    let mut descriptors = Descriptors::of(size);
    core::iter::from_fn(|| descriptors.next(word)).all(|(descriptor, _)| descriptor & conceal::INLINE != 0)
}

/// Names in the body of a message: so many, so many bytes from each other.
pub(crate) struct Item {
    pub(crate) start: usize,
    pub(crate) count: usize,
    pub(crate) stride: usize,
}

/// The items of a message that have names.
pub(crate) struct Items(Descriptors);

impl Items {
    /// Those of a message of so many bytes.
    #[inline(always)]
    pub(crate) const fn of(size: usize) -> Self {
        Self(Descriptors::of(size))
    }

    /// The next one; `word` reads the message.
    #[inline(always)]
    pub(crate) fn next(&mut self, word: impl Fn(usize) -> u64 + Copy) -> Option<Item> {
        loop {
            let (descriptor, start) = self.0.next(word)?;
            let (bits, number) = ((descriptor & conceal::SIZE) >> 8, descriptor >> 32);
            let is_inline = descriptor & conceal::INLINE != 0;
            if is_inline && has_names(descriptor) && matches!(bits, 32 | 64) && number > 0 {
                return Some(Item { start, count: number as usize, stride: bits as usize / 8 });
            }
        }
    }
}

/// Whether what a descriptor with this lower half describes, if it has one element, is in the message, of 32 bits: what there is most often.
#[inline(always)]
pub(crate) const fn is_one(descriptor: u32) -> bool {
    descriptor & (descriptor::INLINE | descriptor::SIZE) == descriptor::INLINE | 32 << 8
}

/// The lower half of what describes numbers of 32 bits in the message: what there is more often than all else, as every answer begins with one.
pub(crate) const ONE_NUMBER: u32 = type_name::INTEGER_32 | 32 << 8 | descriptor::INLINE;

/// How many bytes of a message there are behind a descriptor, in whole words.
#[inline(always)]
pub(crate) const fn bytes_behind(descriptor: u64) -> u64 {
    if descriptor & conceal::INLINE == 0 {
        return conceal::WORD as u64;
    }
    // 32 bits by 16 bits cannot overflow.
    ((descriptor >> 32) * ((descriptor & conceal::SIZE) >> 8)).div_ceil(64) * conceal::WORD as u64
}

/// Whether what a descriptor describes is names.
#[inline(always)]
pub(crate) fn has_names(descriptor: u64) -> bool {
    let kind = descriptor as u32 & descriptor::NAME;
    kind == type_name::PORT_NAME || type_name::is_port(kind)
}

/// An array of rights out of line.
pub(crate) struct Array {
    /// Where it is.
    pub(crate) address: u64,
    /// How many elements it has; never 0.
    pub(crate) number: usize,
}

/// Those of a message that have elements.
pub(crate) struct Arrays(Descriptors);

impl Arrays {
    /// Those of a message of which there are so many bytes.
    pub(crate) const fn of(captured: usize) -> Self {
        Self(Descriptors::of(captured))
    }

    /// The next one; `word` reads the message.
    pub(crate) fn next(&mut self, word: impl Fn(usize) -> u64 + Copy) -> Option<Array> {
        loop {
            let (descriptor, start) = self.0.next(word)?;
            let number = descriptor >> 32;
            let is_array =
                descriptor & conceal::INLINE == 0 && type_name::is_port(descriptor as u32 & descriptor::NAME);
            // One that could not be received is nowhere.
            if is_array && number > 0 && word(start) != 0 {
                return Some(Array { address: word(start), number: number as usize });
            }
        }
    }
}

/// How many elements the arrays of a message in any form have, which `word` reads.
fn count_elements(captured: usize, word: impl Fn(usize) -> u64 + Copy) -> usize {
    let mut arrays = Arrays::of(captured);
    let mut elements = 0;
    while let Some(array) = arrays.next(word)
        && elements < MAX_PORTS
    {
        elements += array.number;
    }
    elements
}

/// A port that a task has a name for.
#[inline(always)]
pub(crate) fn port(name: u32, flags: u8, port: Identity) -> Port {
    Port {
        name: name.into(),
        number: port.number.get().into(),
        kind: port.kind,
        flags,
        reserved: [0; 2],
        object: port.object.into(),
    }
}

/// An element of an array with this name, which stands for nothing known.
pub(crate) fn nothing(name: u32) -> Port {
    Port { name: name.into(), kind: NOTHING, flags: OUT_OF_LINE, ..Port::default() }
}

/// Where ports are written in a record.
pub(crate) struct Ports {
    record: Record,
    /// Where the next one goes, where none goes any more, and where the first is.
    next: usize,
    end: usize,
    first: usize,
}

impl Ports {
    /// One, at this place.
    #[inline(always)]
    const fn one_at(record: Record, place: usize) -> Self {
        Self { record, next: place, end: place + PORT, first: place }
    }

    /// Behind the message of the record at `part`, which has so many bytes; there is room for so many ports.
    #[inline(always)]
    pub(crate) fn behind(record: Record, part: usize, captured: usize, room: usize) -> Self {
        let next = part + size_of::<Part>() + captured.next_multiple_of(8);
        Self { record, next, end: next + room * size_of::<Port>(), first: next }
    }

    /// One more.
    #[inline(always)]
    pub(crate) fn push(&mut self, kernel: &impl Kernel, name: u32, flags: u8, port: Identity) {
        self.put(kernel, self::port(name, flags, port));
    }

    /// One more port, as it stands in a record.
    #[inline(always)]
    pub(crate) fn put(&mut self, kernel: &impl Kernel, port: Port) {
        if self.has_room() {
            kernel.record_part(self.record, self.next, |place: &mut Port| *place = port);
            self.next += PORT;
        }
    }

    /// Whether there is room for one more.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.next < self.end
    }

    /// What a name stands for, if for anything. On its own, so that what it needs is not in the way of the rest.
    #[inline(never)]
    fn say(&mut self, kernel: &impl Kernel, names: &impl Names, name: u32, flags: u8) {
        if let Some(port) = names.look_up(name) {
            self.push(kernel, name, flags, port);
        }
    }

    /// Says which port with a protected payload it was that a message came to.
    #[cold]
    #[inline(never)]
    fn say_receiver(&mut self, kernel: &impl Kernel, names: &impl Names, view: View) {
        let seen = view.message.and_then(|kmsg| received_on::known(kernel, kmsg));
        // It came to what it was received from, unless that is a set.
        let received_from = || names.look_up(view.rcv_name).filter(|port| port.kind != PORT_SET);
        let seen = seen.map(|port| (port.name(), port.identity()));
        if let Some((name, port)) = seen.or_else(|| Some((view.rcv_name, received_from()?))) {
            self.push(kernel, name, RECEIVED_ON, port);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        (self.next - self.first) / size_of::<Port>()
    }
}

/// What an element of an array with this name is, at this place in a record.
#[inline(never)]
pub(crate) fn say_element(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    (record, place): (Record, usize),
    name: u32,
) {
    let mut ports = Ports::one_at(record, place);
    if let Some(names) = kernel.names(task, &state.numbers) {
        ports.say(kernel, &names, name, OUT_OF_LINE);
    }
    if ports.count() == 0 {
        ports.put(kernel, nothing(name));
    }
}

/// What a message in the form the task sees is to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Whose names they are.
    pub(crate) task: Task,
    /// Sent or received.
    pub(crate) direction: Direction,
    /// The name that was received from.
    pub(crate) rcv_name: u32,
    /// Where the message itself is, if there is one.
    pub(crate) message: Option<Kmsg>,
}

/// Writes what the names stand for in the record's message of `captured` bytes, which is the form the task sees. Returns how many.
#[inline(always)]
pub(crate) fn write(
    kernel: &impl Kernel,
    state: &State,
    view: View,
    (record, part, captured): (Record, usize, usize),
    room: usize,
) -> usize {
    let mut ports = Ports::behind(record, part, captured, room);
    let message = part + size_of::<Part>();
    let word = |offset: usize| kernel.record_read(record, message + offset);
    let Some(names) = kernel.names(view.task, &state.numbers) else { return 0 };
    if captured < LP64.end {
        ports.say(kernel, &names, view.rcv_name, 0);
        return ports.count();
    }
    ports.say(kernel, &names, word(LP64.remote_port) as u32, 0);
    let local_name = word(LP64.local_port) as u32;
    if view.direction == Direction::Send {
        ports.say(kernel, &names, local_name, 0);
    } else if local(word(LP64.bits) as u32) != PROTECTED_PAYLOAD {
        ports.say(kernel, &names, local_name, RECEIVED_ON);
    } else {
        ports.say_receiver(kernel, &names, view);
    }
    let mut items = Items::of(captured);
    while let Some(item) = items.next(word) {
        for index in 0..item.count {
            ports.say(kernel, &names, word(item.start + index * item.stride) as u32, 0);
        }
    }
    ports.count()
}

/// Says what names without rights in a message in transit stand for in a task: so many of so many bits each.
#[inline(never)]
pub(crate) fn push_names(
    kernel: &impl Kernel,
    state: &State,
    ports: &mut Ports,
    task: Task,
    (record, start): (Record, usize),
    (bits, number): (u64, u64),
) {
    if matches!(bits, 32 | 64) {
        let stride = bits as usize / 8;
        let Some(names) = kernel.names(task, &state.numbers) else { return };
        for index in 0..number as usize {
            ports.say(kernel, &names, kernel.record_read(record, start + index * stride) as u32, 0);
        }
    }
}

/// Writes down how many ports a record has.
#[inline(always)]
pub(crate) fn settle(kernel: &impl Kernel, record: Record, part: usize, captured: usize, ports: usize) {
    kernel.record_part(record, part, |part: &mut Part| {
        part.header.ports = (ports as u32).into();
        part.body_type = record::body_type(record::carried(captured, ports) as u32).into();
    });
}

#[cfg(test)]
mod tests;
