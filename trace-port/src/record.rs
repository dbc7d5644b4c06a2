//! The trace record: one Mach message, `trace_record` of trace.defs, written by the kernel and read by a tracer.
//!
//! ```text
//! offset  bytes  item
//!      0     32  mach_msg_header_t, msgh_id 5000
//!     32      8  type descriptor: one port, MACH_MSG_TYPE_PORT_SEND
//!     40      8  send right to the traced task
//!     48      8  type descriptor: the header, 9 x INTEGER_64
//!     56     72  RecordHeader
//!    128      8  type descriptor: n x CHAR
//!    136      n  the message as the traced task sees it, zero padded to a multiple of 8
//! ```

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::TRACE_RECORD_MSGH_ID;
use crate::event::{Direction, EventKind};

/// Version of the record that this build writes and reads.
pub const VERSION: u16 = 1;

/// Most message bytes a record carries; a longer message is cut here and [`RecordHeader::message_size`] tells its size.
pub const MAX_BODY: usize = 128 * 1024;

/// [`RecordHeader::sender`] when the task that receives the trace sent the message itself.
pub const SENDER_IS_TRACER: u32 = u32::MAX;

/// Set in what stands for a right in a message of another kind than normal where it is no name of the task's own, but the
/// number of a port: the same for one port throughout the trace.
pub const PORT_NUMBER: u32 = 0x8000_0000;

/// Where the type descriptor of the task right stands.
pub const TASK_TYPE_OFFSET: usize = 32;
/// Where the send right to the traced task stands.
pub const TASK_OFFSET: usize = 40;
/// Where the type descriptor of the header stands.
pub const HEADER_TYPE_OFFSET: usize = 48;
/// Where the [`RecordHeader`] stands.
pub const HEADER_OFFSET: usize = 56;
/// Where [`RecordHeader::retval`] stands, which is known last.
pub const RETVAL_OFFSET: usize = HEADER_OFFSET + core::mem::offset_of!(RecordHeader, retval);
/// Where [`RecordHeader::correlation`] stands.
pub const CORRELATION_OFFSET: usize = HEADER_OFFSET + core::mem::offset_of!(RecordHeader, correlation);
/// Where [`RecordHeader::dropped`] stands.
pub const DROPPED_OFFSET: usize = HEADER_OFFSET + core::mem::offset_of!(RecordHeader, dropped);
/// Where the type descriptor of the message bytes stands.
pub const BODY_TYPE_OFFSET: usize = HEADER_OFFSET + size_of::<RecordHeader>();
/// Where the message bytes start.
pub const BODY_OFFSET: usize = BODY_TYPE_OFFSET + 8;

/// `mach_msg_type_t` of one inline send right.
pub const TASK_TYPE: u64 = 0x0000_0001_2000_4011;
/// `mach_msg_type_t` of the header: 9 inline 64-bit integers.
pub const HEADER_TYPE: u64 = 0x0000_0009_2000_400b;
/// `mach_msg_type_t` of the message bytes without their count, which stands in the upper 32 bits. The longform bit has no
/// meaning to a 64-bit kernel, but the stock MIG sets and checks it for arrays this large.
pub const BODY_TYPE: u64 = 0x6000_0808;

/// What the kernel says about a message. All fields little-endian.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct RecordHeader {
    /// [`VERSION`].
    pub version: U16,
    /// A [`Direction`].
    pub direction: u8,
    /// An [`EventKind`].
    pub kind: u8,
    /// The `option` argument of `mach_msg`.
    pub options: U32,
    /// What `mach_msg` returned for this half (`mach_msg_return_t`).
    pub retval: U32,
    /// The thread that called, that the message was for, or that raised the exception; 0 if it was for the whole task. A number
    /// no other traced thread gets until the next boot; never an address.
    pub thread: U32,
    /// Place of the event in the order of all traced events of the system, from 1.
    pub sequence: U64,
    /// Same number in the sender's and the receiver's record of one message, in those of a request and its reply, and in those
    /// of a request passed on with the reply right of another; 0 if there was no traced sender.
    pub correlation: U64,
    /// When it happened: nanoseconds since the kernel's clock epoch.
    pub time: U64,
    /// Size of the whole message in bytes, also when fewer follow.
    pub message_size: U32,
    /// Message bytes that follow, at most [`MAX_BODY`].
    pub captured_size: U32,
    /// Records lost since the last one that reached this port.
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
    /// [`SENDER_IS_TRACER`], or 0. Zero in all other records.
    pub sender: U32,
}

const _: () = assert!(size_of::<RecordHeader>() == 72);
const _: () = assert!(BODY_OFFSET == 136);

/// Size in bytes of a whole `trace_record` message with `captured` message bytes.
pub const fn wire_size(captured: usize) -> usize {
    BODY_OFFSET + captured.next_multiple_of(8)
}

/// The descriptor of `captured` message bytes.
pub const fn body_type(captured: u32) -> u64 {
    BODY_TYPE | (captured as u64) << 32
}

/// A validated record, borrowed from the received `trace_record` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Name, in the reader's own space, of the send right to the traced task that came with the record; all ones if the task
    /// died meanwhile.
    pub task: u32,
    /// What the kernel says about the message.
    pub header: RecordHeader,
    /// Sent or received.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// The message as the traced task sees it; empty if the call failed before there was one.
    pub message: &'a [u8],
}

/// Why bytes are not a record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The message ends before `item` does.
    Truncated {
        /// What was being read.
        item: &'static str,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        need: usize,
        /// Bytes there are from `offset`.
        have: usize,
    },
    /// Not a `trace_record`.
    WrongId {
        /// The `msgh_id` found.
        found: u32,
    },
    /// A type descriptor is not the one of trace.defs.
    WrongType {
        /// What it should describe.
        item: &'static str,
        /// Where it stands.
        offset: usize,
        /// The descriptor trace.defs gives.
        expected: u64,
        /// The descriptor found.
        found: u64,
    },
    /// Written by another version of the kernel payload.
    WrongVersion {
        /// The version found.
        found: u16,
    },
    /// A field has a value this version does not know.
    BadField {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u32,
    },
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated { item, offset, need, have } => {
                write!(f, "trace record cut short: `{item}` at offset {offset} needs {need} bytes, found {have}")
            }
            Self::WrongId { found } => {
                write!(f, "not a trace record: expected msgh_id {TRACE_RECORD_MSGH_ID}, found {found}")
            }
            Self::WrongType { item, offset, expected, found } => write!(
                f,
                "trace record: type descriptor of `{item}` at offset {offset}: expected {expected:#x}, found {found:#x}"
            ),
            Self::WrongVersion { found } => write!(
                f,
                "trace record has version {found}, this reader knows version {VERSION}: use the rpctrace2 that came with the kernel's payload"
            ),
            Self::BadField { field, found } => write!(f, "trace record: field `{field}` has the unknown value {found}"),
        }
    }
}

impl core::error::Error for RecordError {}

impl<'a> Record<'a> {
    /// Takes a received `trace_record` message apart.
    ///
    /// # Errors
    /// Any [`RecordError`]; bytes beyond the record's own size are ignored, as a receive buffer is larger than what
    /// it holds.
    pub fn parse(message: &'a [u8]) -> Result<Self, RecordError> {
        let found = read_u32(message, "msgh_id", 28)?;
        if found != TRACE_RECORD_MSGH_ID {
            return Err(RecordError::WrongId { found });
        }
        expect_type(message, "task", TASK_TYPE_OFFSET, TASK_TYPE)?;
        let task = read_u32(message, "task", TASK_OFFSET)?;
        expect_type(message, "header", HEADER_TYPE_OFFSET, HEADER_TYPE)?;
        let version = u16::from_le_bytes(read(message, "version", HEADER_OFFSET)?);
        if version != VERSION {
            return Err(RecordError::WrongVersion { found: version });
        }
        let header = RecordHeader::read_from_bytes(slice(message, "header", HEADER_OFFSET, size_of::<RecordHeader>())?)
            .map_err(|_| RecordError::BadField { field: "header", found: 0 })?;
        let direction = Direction::from_wire(header.direction)
            .ok_or(RecordError::BadField { field: "direction", found: header.direction.into() })?;
        let kind = EventKind::from_wire(header.kind)
            .ok_or(RecordError::BadField { field: "kind", found: header.kind.into() })?;
        let captured = header.captured_size.get();
        if captured as usize > MAX_BODY {
            return Err(RecordError::BadField { field: "captured_size", found: captured });
        }
        expect_type(message, "message", BODY_TYPE_OFFSET, body_type(captured))?;
        let message = slice(message, "message", BODY_OFFSET, captured as usize)?;
        Ok(Self { task, header, direction, kind, message })
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
