// SPDX-License-Identifier: GPL-2.0-or-later
//! Which ports the rights in arrays out of line are.
//!
//! The kernel reads the names in such an array from the sender's memory one by one, and so writes them to the receiver's. Each is looked up
//! there, on its way: what the kernel takes and gives is exact, what the memory holds before and after is not, because other
//! threads may change it. Nothing is locked there.
//!
//! What is sent goes into the thread's draft, which shows the message already. A received message has none yet: what its arrays hold is put
//! [`aside`], in memory of a record with the number of the thread, and goes behind the message's record at the end of the call, in
//! the order of the descriptors. The thread's word says that something waits ([`OpenCall::flushing`]).

use trace_port::port::MAX_PORTS;
use trace_port::record::Part;
use trace_port::{Direction, Port};
use zerocopy::byteorder::little_endian::U32;

use crate::aside;
use crate::draft::{Draft, FIRST};
use crate::emit;
use crate::gnumach::{Kernel, OwnedKmsg, Record, Thread};
use crate::named::{self, Arrays, PORT};
use crate::observe;
use crate::open_call::OpenCall;
use crate::room;
use crate::state::State;

/// Bytes of a name in an array.
const NAME: u64 = 4;
/// Most places for what is put aside: an element each, and as many beginnings of arrays.
const MOST: usize = 2 * MAX_PORTS;

/// What matters of a record here.
#[derive(Clone, Copy)]
struct Shown {
    direction: u8,
    captured: usize,
    ports: usize,
    /// Of what is put aside: where the next element is expected.
    next: u64,
}

impl Shown {
    #[inline(never)]
    fn of(kernel: &impl Kernel, record: Record, part: usize) -> Self {
        let mut shown = Self { direction: 0, captured: 0, ports: 0, next: 0 };
        kernel.record_part(record, part, |Part { header, .. }: &mut Part| {
            shown = Self {
                direction: header.direction,
                captured: header.captured_size.get() as usize,
                ports: header.ports.get() as usize,
                next: header.time.get(),
            };
        });
        shown
    }

    /// Where a port of the record at `part` stands, or would.
    fn place(self, part: usize, index: usize) -> usize {
        part + size_of::<Part>() + self.captured.next_multiple_of(8) + index * PORT
    }

    /// The arrays of its message.
    fn arrays(self) -> Arrays {
        Arrays::of(self.captured)
    }
}

/// Reads the message of the record at `part`.
fn word_of(kernel: &impl Kernel, record: Record, part: usize) -> impl Fn(usize) -> u64 + Copy {
    move |offset| kernel.record_read(record, part + size_of::<Part>() + offset)
}

#[inline(never)]
fn read(kernel: &impl Kernel, record: Record, place: usize) -> Port {
    let mut found = Port::default();
    kernel.record_part(record, place, |port: &mut Port| found = *port);
    found
}

#[inline(never)]
fn write(kernel: &impl Kernel, record: Record, place: usize, port: Port) {
    kernel.record_part(record, place, |place: &mut Port| *place = port);
}

/// The current thread sends, and has had a name read from this address, where an array of its message is.
#[inline(never)]
pub(crate) fn sent(kernel: &impl Kernel, state: &State, address: u64, name: u32) {
    let (thread, call) = OpenCall::current(kernel);
    let task = kernel.thread_task(thread);
    if call.has_received() || kernel.task_entry(task) == 0 {
        return;
    }
    let (flags, without) = (call.bare(), call.without_draft(kernel));
    let Some(draft) = call.into_draft() else { return };
    // Room for it may be long in coming.
    without.keep(kernel, thread);
    let (draft, has_room) = begin_or_go_on(kernel, state, draft, address);
    if has_room && let Some(place) = push(kernel, draft.record(), MAX_PORTS) {
        named::say_element(kernel, state, task, (draft.record(), place), name);
    }
    flags.with_draft(kernel, Some(draft)).keep(kernel, thread);
}

/// Whether the next element of a sent message's arrays may be the one at this address. With the first one there is room for all, so that
/// none is missing between others.
fn begin_or_go_on(kernel: &impl Kernel, state: &State, draft: Draft, address: u64) -> (Draft, bool) {
    let record = draft.record();
    let shown = Shown::of(kernel, record, FIRST);
    if shown.ports > 0 && read(kernel, record, shown.place(FIRST, shown.ports - 1)).is_out_of_line() {
        return (draft, true);
    }
    let (mut arrays, word) = (shown.arrays(), word_of(kernel, record, FIRST));
    let Some(first) = arrays.next(word).filter(|first| first.address == address) else { return (draft, false) };
    let mut elements = first.number;
    while let Some(array) = arrays.next(word) {
        elements += array.number;
    }
    let elements = elements.min(MAX_PORTS.saturating_sub(shown.ports));
    room::make(kernel, state, draft, elements)
}

/// One more port behind a message's only record, if it has not so many and there is room: says where it goes.
#[inline(never)]
fn push(kernel: &impl Kernel, record: Record, most: usize) -> Option<usize> {
    let shown = Shown::of(kernel, record, FIRST);
    let place = shown.place(FIRST, shown.ports);
    let has_room = shown.ports < most && kernel.record_room(record.kmsg()).is_some_and(|room| place + PORT <= room);
    if has_room {
        emit::set_ports(kernel, record, (FIRST, shown.captured), shown.ports + 1);
    }
    has_room.then_some(place)
}

/// The current thread receives, and has had a name written to this address, where an array of its message will be.
#[inline(never)]
pub(crate) fn received(kernel: &impl Kernel, state: &State, address: u64, name: u32) {
    let (thread, call) = OpenCall::current(kernel);
    let task = kernel.thread_task(thread);
    // One that could not be sent comes back the same way: what is put aside then is not for its record, which is a sender's.
    // What is put aside for one who is looked at lightly goes into no record, unless its message is wanted.
    if !(call.is_open(kernel) || call.is_light()) || call.has_received() || kernel.task_entry(task) == 0 {
        return;
    }
    let number = observe::thread_number(kernel, state, thread);
    let before = state.aside.take(kernel, number);
    let Some(kmsg) = before.or_else(|| aside::begin(kernel, state, task, number)) else { return };
    OpenCall::of(kernel, thread).flushing().keep(kernel, thread);
    let (kmsg, place) = put_aside(kernel, state, kmsg, address);
    if let Some(place) = place {
        named::say_element(kernel, state, task, (kmsg.record(), place), name);
    }
    state.aside.put(kernel, kmsg);
}

/// Where an element goes; before the first of an array stands where that begins. After one for which there was no memory, another array
/// begins.
fn put_aside(kernel: &impl Kernel, state: &State, kmsg: OwnedKmsg, address: u64) -> (OwnedKmsg, Option<usize>) {
    let shown = Shown::of(kernel, kmsg.record(), FIRST);
    let goes_on = shown.ports > 0 && shown.next == address;
    let places = if goes_on { 1 } else { 2 };
    if shown.ports + places > MOST {
        return (kmsg, None);
    }
    let end = shown.place(FIRST, shown.ports + places);
    let fits = kernel.record_room(kmsg.record().kmsg()).is_some_and(|room| end <= room);
    // Twice as much at a time.
    let more = if fits { places } else { places.max(shown.ports) };
    let (draft, has_room) = room::make(kernel, state, Draft::of(kmsg), more);
    let kmsg = draft.into_memory();
    if !has_room {
        return (kmsg, None);
    }
    let record = kmsg.record();
    if !goes_on && let Some(place) = push(kernel, record, MOST) {
        write(kernel, record, place, beginning(address));
    }
    kernel.record_part(record, FIRST, |part: &mut Part| part.header.time = (address + NAME).into());
    let place = push(kernel, record, MOST);
    (kmsg, place)
}

/// No element.
const END: Port = Port { name: U32::ZERO, number: U32::ZERO, kind: 0, flags: 0, reserved: [0; 2], object: U32::ZERO };

/// Where an array begins: no element.
fn beginning(address: u64) -> Port {
    Port { name: (address as u32).into(), number: ((address >> 32) as u32).into(), ..Port::default() }
}

/// The end of the current thread's call: what is put aside goes into its draft, if that shows what was received.
#[inline(never)]
pub(crate) fn settle(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall) -> OpenCall {
    let Some(kmsg) = state.aside.take(kernel, kernel.thread_number(thread)) else { return call };
    let flags = call.bare();
    let call = if call.has_draft() {
        let draft = call.into_draft().map(|draft| add(kernel, state, draft, kmsg.record()));
        flags.with_draft(kernel, draft)
    } else {
        // Nobody wants the message, or its record was lost.
        call
    };
    aside::give_back(kernel, state, kmsg);
    call
}

fn add(kernel: &impl Kernel, state: &State, draft: Draft, aside: Record) -> Draft {
    let part = kernel.note(draft.record()).part as usize;
    let shown = Shown::of(kernel, draft.record(), part);
    if shown.direction != Direction::Receive as u8 {
        return draft;
    }
    let most = MAX_PORTS.saturating_sub(shown.ports);
    let elements = copy(kernel, (draft.record(), part), aside, most, false);
    if elements == 0 {
        return draft;
    }
    let (draft, has_room) = room::make(kernel, state, draft, elements);
    if has_room {
        let record = draft.record();
        let part = kernel.note(record).part as usize;
        copy(kernel, (record, part), aside, most, true);
        emit::set_ports(kernel, record, (part, shown.captured), shown.ports + elements);
    }
    draft
}

/// How many elements of the arrays of a record's message were put aside, in their order, as far as all before them were, and at most so
/// many. Writes them behind the record, if there is room.
#[inline(never)]
fn copy(kernel: &impl Kernel, (record, part): (Record, usize), aside: Record, most: usize, has_room: bool) -> usize {
    let (shown, kept) = (Shown::of(kernel, record, part), Shown::of(kernel, aside, FIRST));
    let at = |index: usize| if index < kept.ports { read(kernel, aside, kept.place(FIRST, index)) } else { END };
    let mut arrays = shown.arrays();
    let (mut next, mut copied) = (0, 0);
    while let Some(array) = arrays.next(word_of(kernel, record, part)) {
        let begins = beginning(array.address);
        // Before it may be what is left of one that could not be received.
        while next < kept.ports && at(next) != begins {
            next += 1;
        }
        next += 1;
        for _ in 0..array.number {
            let port = at(next);
            if !port.is_out_of_line() || copied == most {
                return copied;
            }
            if has_room {
                write(kernel, record, shown.place(part, shown.ports + copied), port);
            }
            copied += 1;
            next += 1;
        }
    }
    copied
}

#[cfg(test)]
mod tests;
