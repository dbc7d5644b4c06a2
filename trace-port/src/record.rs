// SPDX-License-Identifier: GPL-2.0-or-later
//! The trace record: a Mach message, `trace_record` of trace.defs, written by the kernel and read by a tracer.
//!
//! ```text
//! offset  bytes  item
//!      0     32  mach_msg_header_t, msgh_id 5000
//!     32      8  type descriptor: one port, MACH_MSG_TYPE_PORT_SEND
//!     40      8  send right to the traced task
//!     48      8  type descriptor: the header, 10 x INTEGER_64
//!     56     80  RecordHeader
//!    136      8  type descriptor: n x CHAR, or n padded and 16 x p more
//!    144      n  the message as the traced task sees it, zero padded to a multiple of 8
//!           16p  a Port for each name in it, and for each right in its arrays out of line
//! ```
//!
//! Several records of one task may come in one message: those of a call that the kernel answers at once, and those that a tracer
//! finds when it has not received for a while. It then is a `trace_records` with msgh_id 5001, in which all after the task's right
//! is one array of bytes. Tasks that were dying when their records were made have no right there, and may share one. The first record's header has the array's descriptor before it, each further one a word without meaning:
//!
//! ```text
//!     48      8  type descriptor: n x CHAR, all that follows
//!     56     80  RecordHeader
//!    136      8  as in a trace_record
//!    144      m  the message, zero padded to a multiple of 8
//!           16q  a Port for each name in it
//!             8  any value
//!            80  the next RecordHeader
//!             8  as in a trace_record
//!                ... to the end
//! ```

mod error;

use mach_abi::{Descriptor, Format, header, type_name};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use error::RecordError;

use crate::event::{Direction, EventKind};
use crate::port::{MAX_PORTS, Port};
use crate::{TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

/// Version of the record that this build writes and reads.
pub const VERSION: u16 = 6;

/// Set in [`RecordHeader::direction`]: the message is of the 32-bit format.
pub const ILP32: u8 = 0x80;

/// Most message bytes a record carries; a longer message is cut here and [`RecordHeader::message_size`] tells its size.
pub const MAX_BODY: usize = 128 * 1024;

/// [`RecordHeader::sender`] when the task that receives the trace sent the message itself.
pub const SENDER_IS_TRACER: u32 = u32::MAX;

/// Set in what stands for a right in a message of another kind than normal where it is no name of the task's own, but the
/// number of a port: the same for one port throughout the trace.
pub const PORT_NUMBER: u32 = 0x8000_0000;

/// Set in [`RecordHeader::dropped`]: since the last record that reached this port the task has had a child that is not traced, for want of
/// room in the kernel.
pub const CHILD_NOT_TRACED: u32 = 0x8000_0000;

/// Two values of [`RecordHeader::dropped`] in one: what was lost in both, at most all ones, and whether a child was.
pub const fn add_lost(one: u32, other: u32) -> u32 {
    let lost = (one & !CHILD_NOT_TRACED) + (other & !CHILD_NOT_TRACED);
    let lost = if lost < CHILD_NOT_TRACED { lost } else { CHILD_NOT_TRACED - 1 };
    lost | (one | other) & CHILD_NOT_TRACED
}

impl RecordHeader {
    /// Records lost since the last one that reached this port.
    pub fn lost(&self) -> u32 {
        self.dropped.get() & !CHILD_NOT_TRACED
    }

    /// Whether a child of the task is not traced.
    pub fn child_not_traced(&self) -> bool {
        self.dropped.get() & CHILD_NOT_TRACED != 0
    }
}

/// Most bytes of a `trace_records` message. A message to which no record can be added any more is at least this large less
/// the record's own size.
pub const MAX_BATCH: usize = 2008;

/// Most bytes of records in a `trace_records`.
pub const MAX_RECORDS: usize = MAX_BATCH - HEADER_OFFSET;

/// Bytes of a type descriptor.
const DESCRIPTOR_SIZE: usize = Format::Lp64.descriptor_size(false);

/// Where the type descriptor of the task right stands.
pub const TASK_TYPE_OFFSET: usize = header::LP64.end;
/// Where the send right to the traced task stands.
pub const TASK_OFFSET: usize = TASK_TYPE_OFFSET + DESCRIPTOR_SIZE;
/// Where the type descriptor of the header stands.
pub const HEADER_TYPE_OFFSET: usize = TASK_OFFSET + Format::Lp64.word();
/// Where the [`RecordHeader`] stands.
pub const HEADER_OFFSET: usize = HEADER_TYPE_OFFSET + DESCRIPTOR_SIZE;
/// Where the type descriptor of the message bytes stands.
pub const BODY_TYPE_OFFSET: usize = HEADER_OFFSET + size_of::<RecordHeader>();
/// Where the message bytes start.
pub const BODY_OFFSET: usize = BODY_TYPE_OFFSET + DESCRIPTOR_SIZE;

/// Type descriptor of one inline send right.
pub const TASK_TYPE: u64 = Descriptor::inline(type_name::PORT_SEND, 64, 1).to_word();
/// Type descriptor of the header: inline 64-bit integers.
pub const HEADER_TYPE: u64 =
    Descriptor::inline(type_name::INTEGER_64, 64, (size_of::<RecordHeader>() / size_of::<u64>()) as u32).to_word();
/// Type descriptor of the message bytes without their count, which stands in the upper 32 bits. The longform bit has no
/// meaning to a 64-bit kernel, but the stock MIG sets and checks it for arrays this large.
pub const BODY_TYPE: u64 = Descriptor { longform: true, ..Descriptor::inline(type_name::CHAR, 8, 0) }.to_word();

/// Type descriptor of the bytes of a `trace_records` without their count, which stands in the upper 32 bits.
pub const RECORDS_TYPE: u64 = Descriptor::inline(type_name::CHAR, 8, 0).to_word();

/// What the kernel says about a message. All fields little-endian.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RecordHeader {
    /// [`VERSION`].
    pub version: U16,
    /// A [`Direction`], and [`ILP32`]: see [`direction_of`].
    pub direction: u8,
    /// An [`EventKind`].
    pub kind: u8,
    /// The `option` argument of `mach_msg`; of a trap its place in `mach_trap_table`, such as 26 of `mach_reply_port`.
    pub options: U32,
    /// What `mach_msg` returned for this half (`mach_msg_return_t`).
    pub retval: U32,
    /// The thread that called, that the message was for, or that raised the exception; 0 if it was for the whole task. A number
    /// no other traced thread gets until the next boot; never an address.
    pub thread: U32,
    /// Place of the event in the order of all traced events of the system, from 1.
    pub sequence: U64,
    /// A number that is the same in the sender's and the receiver's record of one message, in those of a request and its reply, and in those
    /// of a request passed on with the reply right of another; 0 if there was no traced sender.
    pub correlation: U64,
    /// When it happened: nanoseconds since 1970 by the kernel's clock, which keeps UTC if the machine's clock does. It never
    /// decreases from one record to the next in the order of [`RecordHeader::sequence`]; when somebody sets that clock back by up to
    /// a second, it runs at 15/16 of its speed until both agree again; by more, it stays ahead by as much.
    pub time: U64,
    /// Size of the whole message in bytes, also when fewer follow.
    pub message_size: U32,
    /// Message bytes that follow, at most [`MAX_BODY`].
    pub captured_size: U32,
    /// Records lost since the last one that reached this port, and [`CHILD_NOT_TRACED`]: see [`RecordHeader::lost`].
    pub dropped: U32,
    /// The `rcv_name` argument of `mach_msg`; 0 in a send record.
    pub rcv_name: U32,
    /// The `time_out` argument of `mach_msg` in milliseconds.
    pub time_out: U32,
    /// The `notify` argument of `mach_msg`.
    pub notify: U32,
    /// The traced task, likewise a number no other traced task gets until the next boot. It also names a task that is dead by the
    /// time the record is received.
    pub task: U32,
    /// In a record of another task's message to a control port: the number of the task that sent it if that is traced,
    /// [`SENDER_IS_TRACER`], or 0. In the birth of a task its parent's, in that of a stop its place. Zero in all other records.
    pub sender: U32,
    /// How many [`Port`]s follow the message, at most [`MAX_PORTS`].
    pub ports: U32,
    /// Zero.
    pub reserved: U32,
}

/// What every message of a trace port begins with, as the kernel queues it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Prefix {
    /// `msgh_bits`.
    pub bits: U32,
    /// `msgh_size`.
    pub size: U32,
    /// `msgh_remote_port`.
    pub remote_port: U64,
    /// `msgh_local_port`.
    pub local_port: U64,
    /// `msgh_seqno`.
    pub seqno: U32,
    /// `msgh_id`.
    pub id: U32,
    /// [`TASK_TYPE`].
    pub task_type: U64,
    /// The right to the task.
    pub task: U64,
}

impl Prefix {
    /// What stands before a record of so many bytes, as it is in a [ring](crate::ring), where that is kept as a `trace_record`: no port, and no
    /// right to the task.
    pub fn without_rights(part: usize) -> Self {
        Self {
            bits: 0.into(),
            size: ((size_of::<Self>() + part) as u32).into(),
            remote_port: 0.into(),
            local_port: 0.into(),
            seqno: 0.into(),
            id: TRACE_RECORD_MSGH_ID.into(),
            task_type: TASK_TYPE.into(),
            task: 0.into(),
        }
    }
}

/// A record before its message bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Part {
    /// [`HEADER_TYPE`].
    pub header_type: U64,
    /// What the kernel says about the message.
    pub header: RecordHeader,
    /// [`body_type`].
    pub body_type: U64,
}

const _: () = assert!(size_of::<RecordHeader>() == 80);
const _: () =
    assert!(size_of::<Prefix>() == HEADER_TYPE_OFFSET && core::mem::offset_of!(Prefix, id) == header::LP64.id);
const _: () = assert!(BODY_OFFSET == 144 && size_of::<Prefix>() + size_of::<Part>() == BODY_OFFSET);

/// Bytes after the header of a record with `captured` message bytes and so many ports.
pub const fn carried(captured: usize, ports: usize) -> usize {
    if ports == 0 { captured } else { captured.next_multiple_of(8) + ports * size_of::<Port>() }
}

/// Size in bytes of a whole `trace_record` message with `captured` message bytes and so many ports.
pub const fn wire_size(captured: usize, ports: usize) -> usize {
    size_of::<Prefix>() + part_size(captured, ports)
}

/// Size in bytes of such a record, without what every message begins with.
pub const fn part_size(captured: usize, ports: usize) -> usize {
    size_of::<Part>() + carried(captured, ports).next_multiple_of(8)
}

/// Size in bytes of the largest message that the kernel sends to a trace port.
pub const LARGEST: usize = wire_size(MAX_BODY, MAX_PORTS);

/// The descriptor of all that follows it in a `trace_records` of so many bytes.
pub const fn records_type(message_size: u32) -> u64 {
    RECORDS_TYPE | (message_size as u64).saturating_sub(HEADER_OFFSET as u64) << 32
}

/// The descriptor of what a record has after its header: [`carried`] bytes.
pub const fn body_type(carried: u32) -> u64 {
    BODY_TYPE | (carried as u64) << 32
}

/// [`RecordHeader::direction`] of a message of this format.
pub const fn direction_of(direction: Direction, format: Format) -> u8 {
    direction as u8
        | match format {
            Format::Lp64 => 0,
            Format::Ilp32 => ILP32,
        }
}

/// A validated record, borrowed from the received `trace_record` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Name, in the reader's own space, of the send right to the traced task that came with the record; all ones if the task
    /// died meanwhile, 0 if it was dying when the record was made.
    pub task: u32,
    /// What the kernel says about the message.
    pub header: &'a RecordHeader,
    /// Sent or received.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// The format of the message, which is that of the kernel.
    pub format: Format,
    /// The message as the traced task sees it; empty if the call failed before there was one.
    pub message: &'a [u8],
    /// What the names in it stand for.
    pub ports: &'a [Port],
}

impl<'a> Record<'a> {
    /// Takes a received `trace_record` apart, which holds one record.
    ///
    /// # Errors
    /// Any [`RecordError`]; bytes beyond the record's own size are ignored, as a receive buffer is larger than what
    /// it holds.
    pub fn parse(message: &'a [u8]) -> Result<Self, RecordError> {
        match Records::parse(message)? {
            Records { is_array: true, .. } => Err(RecordError::WrongId { found: TRACE_RECORDS_MSGH_ID }),
            Records { task, .. } => Self::part(message, size_of::<Prefix>(), task),
        }
    }

    /// Takes a record apart as it stands in a [ring](crate::ring): without a right to its task, from the word before its header on.
    ///
    /// # Errors
    /// Any [`RecordError`] about what follows the first word.
    #[inline(always)]
    pub fn in_ring(contents: &'a [u8]) -> Result<Self, RecordError> {
        match Self::sound(contents) {
            Some(record) => Ok(record),
            None => Self::part(contents, 0, 0),
        }
    }

    /// What [`Record::part`] finds, where nothing is wrong: quicker at a guest's level of optimisation, slower at that of a tool on Linux.
    #[inline(always)]
    fn sound(contents: &'a [u8]) -> Option<Self> {
        let (part, rest) = Part::ref_from_prefix(contents).ok()?;
        let header = &part.header;
        let (captured, count) = (header.captured_size.get() as usize, header.ports.get() as usize);
        if captured > MAX_BODY || count > MAX_PORTS {
            return None;
        }
        let carried = carried(captured, count);
        let body = rest.get(..carried)?;
        if header.version.get() != VERSION || part.body_type.get() != body_type(carried as u32) {
            return None;
        }
        let format = if header.direction & ILP32 == 0 { Format::Lp64 } else { Format::Ilp32 };
        let direction = Direction::from_wire(header.direction & !ILP32)?;
        let kind = EventKind::from_wire(header.kind)?;
        let (message, ports) = body.split_at_checked(captured)?;
        let ports = ports.get(ports.len().checked_sub(count * size_of::<Port>())?..)?;
        let ports = <[Port]>::ref_from_bytes_with_elems(ports, count).ok()?;
        Some(Self { task: 0, header, direction, kind, format, message, ports })
    }

    fn part(message: &'a [u8], offset: usize, task: u32) -> Result<Self, RecordError> {
        let header_offset = offset + size_of::<u64>();
        let body_offset = offset + size_of::<Part>();
        let version = u16::from_le_bytes(read(message, "version", header_offset)?);
        if version != VERSION {
            return Err(RecordError::WrongVersion { found: version });
        }
        let header = RecordHeader::ref_from_bytes(slice(message, "header", header_offset, size_of::<RecordHeader>())?)
            .map_err(|_| RecordError::BadField { field: "header", found: 0 })?;
        let format = if header.direction & ILP32 == 0 { Format::Lp64 } else { Format::Ilp32 };
        let direction = Direction::from_wire(header.direction & !ILP32)
            .ok_or(RecordError::BadField { field: "direction", found: header.direction.into() })?;
        let kind = EventKind::from_wire(header.kind)
            .ok_or(RecordError::BadField { field: "kind", found: header.kind.into() })?;
        let captured = header.captured_size.get();
        if captured as usize > MAX_BODY {
            return Err(RecordError::BadField { field: "captured_size", found: captured });
        }
        let (captured, count) = (captured as usize, header.ports.get() as usize);
        if count > MAX_PORTS {
            return Err(RecordError::BadField { field: "ports", found: header.ports.get() });
        }
        let carried = carried(captured, count);
        expect_type(message, "message", body_offset - size_of::<u64>(), body_type(carried as u32))?;
        let body = slice(message, "message", body_offset, carried)?;
        let (message, rest) = body.split_at(captured);
        let ports = rest.get(carried - captured - count * size_of::<Port>()..).unwrap_or(&[]);
        let ports = <[Port]>::ref_from_bytes(ports)
            .map_err(|_| RecordError::BadField { field: "ports", found: header.ports.get() })?;
        Ok(Self { task, header, direction, kind, format, message, ports })
    }
}

/// The records of one received message, in the order of their events. After an error there is no further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    /// The name that came with the message: see [`Record::task`].
    pub task: u32,
    is_array: bool,
    /// The message up to the end of the last record.
    message: &'a [u8],
    /// Where the next record stands, or the end.
    next: usize,
}

impl<'a> Records<'a> {
    /// Takes a received message of a trace port apart, which is a `trace_record` or a `trace_records`.
    ///
    /// # Errors
    /// A [`RecordError`] about what comes before the first record.
    pub fn parse(message: &'a [u8]) -> Result<Self, RecordError> {
        let found = read_u32(message, "msgh_id", header::LP64.id)?;
        if !crate::is_record(found) {
            return Err(RecordError::WrongId { found });
        }
        expect_type(message, "task", TASK_TYPE_OFFSET, TASK_TYPE)?;
        let task = read_u32(message, "task", TASK_OFFSET)?;
        let next = size_of::<Prefix>();
        let is_array = found == TRACE_RECORDS_MSGH_ID;
        if !is_array {
            expect_type(message, "header", HEADER_TYPE_OFFSET, HEADER_TYPE)?;
            return Ok(Self { task, is_array, message, next });
        }
        let descriptor = u64::from_le_bytes(read(message, "records", HEADER_TYPE_OFFSET)?);
        let size = (descriptor >> 32) as usize;
        let expected = RECORDS_TYPE | descriptor & !0xffff_ffff;
        expect_type(message, "records", HEADER_TYPE_OFFSET, expected)?;
        if size > MAX_RECORDS {
            return Err(RecordError::BadField { field: "size of the records", found: size as u32 });
        }
        slice(message, "records", HEADER_OFFSET, size)?;
        let message = message.get(..HEADER_OFFSET + size).unwrap_or(message);
        Ok(Self { task, is_array, message, next })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.message.len() {
            return None;
        }
        let record = Record::part(self.message, self.next, self.task);
        self.next = match &record {
            Ok(record) if self.is_array => self.next + part_size(record.message.len(), record.ports.len()),
            _ => self.message.len(),
        };
        Some(record)
    }
}

fn slice<'a>(bytes: &'a [u8], item: &'static str, offset: usize, need: usize) -> Result<&'a [u8], RecordError> {
    let have = bytes.len().saturating_sub(offset);
    bytes.get(offset..).and_then(|rest| rest.get(..need)).ok_or(RecordError::Truncated { item, offset, need, have })
}

fn read<const N: usize>(bytes: &[u8], item: &'static str, offset: usize) -> Result<[u8; N], RecordError> {
    let found = slice(bytes, item, offset, N)?;
    let mut out = [0; N];
    out.copy_from_slice(found);
    Ok(out)
}

fn read_u32(bytes: &[u8], item: &'static str, offset: usize) -> Result<u32, RecordError> {
    read(bytes, item, offset).map(u32::from_le_bytes)
}

fn expect_type(bytes: &[u8], item: &'static str, offset: usize, expected: u64) -> Result<(), RecordError> {
    let found = u64::from_le_bytes(read(bytes, item, offset)?);
    if found == expected { Ok(()) } else { Err(RecordError::WrongType { item, offset, expected, found }) }
}

#[cfg(test)]
mod tests;
