// SPDX-License-Identifier: GPL-2.0-or-later
//! What an engine wants of a message for the trace port, and its own message with that.

use trace_port::control::Seen;
use trace_port::record::{self, Part, TASK_OFFSET};
use trace_port::{Direction, EventKind, Port, TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

use crate::draft::FIRST;
use crate::engines::Engine;
use crate::frames::{self, Shown};
use crate::gnumach::{Kernel, OwnedKmsg, Port as KernelPort, Record, SendRight, mr};
use crate::state::{Sending, State};
use crate::{named, observe, recorder};

/// The one or two records of a message: where they stand. Small, as it is on the stack all the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    record: Record,
    /// Where the second one begins, or the end if there is none.
    second: u32,
    end: u32,
}

impl Parts {
    /// Those of a draft.
    pub(super) fn of(kernel: &impl Kernel, record: Record) -> Self {
        let (end, part) = (kernel.msgh_size(record.kmsg()), kernel.note(record).part);
        Self { record, second: if part as usize == FIRST { end } else { part }, end }
    }

    /// Where one of them begins, and how many bytes it has; nothing if there is none. `bit` is 1 or 2.
    fn place(self, bit: u8) -> Option<(usize, usize)> {
        let (second, end) = (self.second as usize, self.end as usize);
        match bit {
            1 => Some((FIRST, second.saturating_sub(FIRST))),
            _ if second < end => Some((second, end - second)),
            _ => None,
        }
    }

    /// That of the first one.
    pub(super) fn direction(self, kernel: &impl Kernel) -> Direction {
        seen(kernel, self.record, FIRST).1.direction
    }

    /// The message that a thread has received by a call of its own: its id, and which of the records it is.
    pub(super) fn received(self, kernel: &impl Kernel) -> Option<(u32, u8)> {
        [2, 1].into_iter().find_map(|bit| {
            let (at, _) = self.place(bit)?;
            let (_, seen) = seen(kernel, self.record, at);
            let is_received = seen.direction == Direction::Receive && seen.kind == EventKind::Normal && !seen.failed;
            seen.msgh_id.filter(|_| is_received).map(|msgh_id| (msgh_id, bit))
        })
    }

    /// Which of them an engine wants that was attached at `since`: a bit for each.
    #[inline(never)]
    pub(super) fn wanted(self, kernel: &impl Kernel, engine: &Engine, since: u64) -> u8 {
        let wants = |bit| {
            let Some((at, _)) = self.place(bit) else { return 0 };
            let (sequence, mut seen) = seen(kernel, self.record, at);
            if engine.asks_for_kernel_calls() && !seen.is_among(engine.events()) {
                seen.kernel_call = self.is_of_kernel_call(kernel, bit);
            }
            let is_wanted = sequence > since && engine.wants(&seen, |number| has_port(kernel, self.record, at, number));
            if is_wanted { bit } else { 0 }
        };
        wants(1) | wants(2)
    }

    /// Whether one of them is of a call of the kernel: a second one is of the same call as the first.
    fn is_of_kernel_call(self, kernel: &impl Kernel, bit: u8) -> bool {
        bit == 1 && kernel.note(self.record).answers || asks_kernel(kernel, self.record)
    }
}

/// Whether a message's first record shows one that a task sends to the kernel.
#[inline(never)]
pub(super) fn asks_kernel(kernel: &impl Kernel, record: Record) -> bool {
    let (_, seen) = seen(kernel, record, FIRST);
    let is_sent = seen.kind == EventKind::Normal && seen.direction == Direction::Send && seen.msgh_id.is_some();
    let (captured, ports) = extent(kernel, record, FIRST);
    if !is_sent || ports == 0 {
        return false;
    }
    let message = FIRST + size_of::<Part>();
    let name = kernel.record_read(record, message + mach_abi::header::LP64.remote_port) as u32;
    let mut found = false;
    // What it is sent to is said first, if it is known.
    kernel.record_part(record, message + captured.next_multiple_of(8), |port: &mut Port| {
        found = port.name.get() == name && port.is_kernels();
    });
    found
}

/// A record as an engine's filter sees it, and its place in the order of events.
fn seen(kernel: &impl Kernel, record: Record, at: usize) -> (u64, Seen) {
    let (mut sequence, mut captured) = (0, 0);
    let mut seen =
        Seen { direction: Direction::Send, kind: EventKind::Normal, failed: false, kernel_call: false, msgh_id: None };
    kernel.record_part(record, at, |part: &mut Part| {
        let header = &part.header;
        sequence = header.sequence.get();
        captured = header.captured_size.get() as usize;
        seen.kind = EventKind::from_wire(header.kind).unwrap_or(EventKind::Lost);
        seen.direction = Direction::from_wire(header.direction & !record::ILP32).unwrap_or(Direction::Send);
        seen.failed = header.retval.get() != mr::MACH_MSG_SUCCESS;
    });
    if captured >= mach_abi::header::LP64.end {
        let word = kernel.record_read(record, at + size_of::<Part>() + mach_abi::header::LP64.seqno);
        seen.msgh_id = Some((word >> 32) as u32);
    }
    (sequence, seen)
}

/// How many message bytes and ports a record has.
fn extent(kernel: &impl Kernel, record: Record, at: usize) -> (usize, usize) {
    let mut extent = (0, 0);
    kernel.record_part(record, at, |part: &mut Part| {
        extent = (part.header.captured_size.get() as usize, part.header.ports.get() as usize);
    });
    extent
}

fn has_port(kernel: &impl Kernel, record: Record, at: usize, number: u32) -> bool {
    let (captured, ports) = extent(kernel, record, at);
    let first = at + size_of::<Part>() + captured.next_multiple_of(8);
    let number_of = |index: usize| (kernel.record_read(record, first + index * size_of::<Port>()) >> 32) as u32;
    (0..ports).any(|index| number_of(index) == number)
}

/// A message of an engine's own with those records that it wants.
///
/// # Errors
/// The right, if there is no memory.
pub(super) fn copy(
    kernel: &impl Kernel,
    state: &State,
    parts: Parts,
    sending: Sending,
) -> Result<OwnedKmsg, SendRight> {
    let Sending { right, dropped, bytes, wanted, .. } = sending;
    let size_of = |bit| if wanted & bit == 0 { 0 } else { parts.place(bit).map_or(0, |(_, size)| size) };
    let memory = begin(kernel, parts.record, right, FIRST + size_of(1) + size_of(2))?;
    fill(kernel, state, (parts, wanted), memory.record(), (dropped, bytes as usize));
    Ok(memory)
}

/// Which of a draft's records somebody wants, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// A bit for each.
    pub(crate) wanted: u8,
    /// Most bytes of a message.
    pub(crate) bytes: u32,
    /// What the first one is to say was lost before it.
    pub(crate) dropped: u32,
    /// The engine's trace port; none is the one that the draft is for.
    pub(crate) port: Option<KernelPort>,
}

impl Share {
    /// An engine's.
    pub(super) fn of(sending: &Sending) -> Self {
        let Sending { wanted, bytes, dropped, ref right, .. } = *sending;
        Self { wanted, bytes, dropped, port: Some(right.port()) }
    }

    /// All, as it stands there.
    pub(super) const ALL: Self = Self { wanted: 3, bytes: u32::MAX, dropped: 0, port: None };
}

impl Parts {
    /// One of the records as somebody is to be shown it, if it is there and wanted.
    #[inline(never)]
    pub(crate) fn shown(self, kernel: &impl Kernel, state: &State, share: Share, bit: u8) -> Option<Shown> {
        let (start, _) = self.place(bit).filter(|_| share.wanted & bit != 0)?;
        let (captured, ports) = extent(kernel, self.record, start);
        let sender = share.port.and_then(|port| sender_of(kernel, state, (self.record, start), port));
        let Share { bytes, dropped, .. } = share;
        Some(Shown { at: (self.record, start), captured, bytes: bytes as usize, ports, dropped, sender })
    }
}

/// Writes those records that the machine's recorder wants where that keeps them.
#[inline(never)]
pub(super) fn record(kernel: &impl Kernel, state: &State, parts: Parts, sending: &Sending) {
    let Some(sink) = recorder::sink(state) else { return };
    let mut share = Share::of(sending);
    for bit in [1, 2] {
        if let Some(shown) = parts.shown(kernel, state, share, bit) {
            frames::write(kernel, state, &sink, &shown);
            share.dropped = 0;
        }
    }
}

/// Memory of that size, addressed to the engine's trace port, with the right to the task that the other message has. On its own: `kalloc` is
/// deep.
#[inline(never)]
fn begin(kernel: &impl Kernel, record: Record, right: SendRight, size: usize) -> Result<OwnedKmsg, SendRight> {
    let Some(blank) = kernel.record_alloc(size, false) else { return Err(right) };
    let task = kernel.shown_right(record, TASK_OFFSET).port().and_then(|port| kernel.ipc_port_copy_send(port));
    Ok(kernel.record_begin(blank, right, task))
}

/// Writes the records.
#[inline(never)]
fn fill(
    kernel: &impl Kernel,
    state: &State,
    (parts, wanted): (Parts, u8),
    copy: Record,
    (dropped, bytes): (u32, usize),
) {
    let mut end = FIRST;
    for bit in [1, 2] {
        if wanted & bit != 0
            && let Some(place) = parts.place(bit)
        {
            let size = copy_part(kernel, (parts.record, place), (copy, end), bytes);
            say_sender(kernel, state, copy, end);
            end += size;
        }
    }
    let is_one = wanted.is_power_of_two();
    let header_type = if is_one { record::HEADER_TYPE } else { record::records_type(end as u32) };
    kernel.record_part(copy, FIRST, |first: &mut Part| {
        first.header_type = header_type.into();
        first.header.dropped = dropped.into();
    });
    kernel.set_message(copy, end as u32, if is_one { TRACE_RECORD_MSGH_ID } else { TRACE_RECORDS_MSGH_ID });
}

/// A request on a control port is made by whoever has a right to that, which may be this tracer.
fn say_sender(kernel: &impl Kernel, state: &State, copy: Record, at: usize) {
    if let Some(sender) = sender_of(kernel, state, (copy, at), kernel.record_port(copy)) {
        kernel.record_part(copy, at, |part: &mut Part| part.header.sender = sender.into());
    }
}

/// Who has made a request that a record shows, for who receives from `port`; nothing if it shows none on a control port.
fn sender_of(kernel: &impl Kernel, state: &State, (record, at): (Record, usize), port: KernelPort) -> Option<u32> {
    let mut is_control = false;
    kernel.record_part(record, at, |part: &mut Part| {
        is_control = matches!(EventKind::from_wire(part.header.kind), Some(EventKind::Task | EventKind::Thread));
    });
    is_control.then(|| observe::sender(kernel, state, port))
}

/// Copies a record with at most so many bytes of its message. Returns its size.
#[inline(never)]
fn copy_part(
    kernel: &impl Kernel,
    (from, (start, size)): (Record, (usize, usize)),
    (to, at): (Record, usize),
    bytes: usize,
) -> usize {
    let (captured, ports) = extent(kernel, from, start);
    if captured <= bytes {
        kernel.record_copy(to, at, from.kmsg(), start, size);
        kernel.record_part(to, at, |part: &mut Part| part.header.dropped = 0.into());
        return size;
    }
    let body = at + size_of::<Part>();
    // Before it is overwritten by the message's own end it is the padding.
    kernel.record_write(to, body + bytes / 8 * 8, &[0; 8]);
    kernel.record_copy(to, at, from.kmsg(), start, size_of::<Part>() + bytes);
    let listed = start + size_of::<Part>() + captured.next_multiple_of(8);
    kernel.record_copy(to, body + bytes.next_multiple_of(8), from.kmsg(), listed, ports * size_of::<Port>());
    kernel.record_part(to, at, |part: &mut Part| {
        part.header.dropped = 0.into();
        part.header.captured_size = (bytes as u32).into();
    });
    named::settle(kernel, to, at, bytes, ports);
    record::part_size(bytes, ports)
}
