// SPDX-License-Identifier: GPL-2.0-or-later
//! What the names in a recorded message stand for: a port by a number that is the same in all tasks, and what the kernel knows of it.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One name of the traced task's in a message. 16 bytes, little-endian.
///
/// There is one for every name of a port or port set in the message, in its order: of the header's remote port, of its local port, of the
/// rights and port names (`MACH_MSG_TYPE_PORT_NAME`) in its body. A receive without a message has one for its `rcv_name`. There is none
/// for `MACH_PORT_NULL` and `MACH_PORT_DEAD`, for a name that stands for nothing, for dead names, for more than
/// [`MAX_PORTS`], and where somebody was changing the task's names at that moment. What a request says about names of another task is
/// looked up in the sender's.
///
/// A right in an array out of line has one that is flagged [`OUT_OF_LINE`], also where its name stands for nothing: [`NOTHING`]. They are in the
/// order of the arrays and of their elements, without a gap, and behind the others in a record of kind normal. How many elements an array has
/// its descriptor says; those that the record has none for, because it has [`MAX_PORTS`] already or the kernel had no memory, are the last
/// ones of all arrays. One that is at address 0 in a message of kind normal was not received, and has none. The names in such an array are those that the kernel read or wrote, whatever the memory holds later. Names without a right
/// (`MACH_MSG_TYPE_PORT_NAME`) out of line are memory like any other: there is none for them.
/// On a port with a protected payload a message is received without the port's name: the one that is flagged
/// [`RECEIVED_ON`] tells it, also where `rcv_name` is a port set. It is missing where the receive right was moved away meanwhile, and in an
/// exception's message that comes through a set.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Port {
    /// The task's name for it.
    pub name: U32,
    /// Which port: a number that no other port gets while anything is traced, from 1; 0 of a port set and of [`NOTHING`]. Never an address.
    pub number: U32,
    /// What the kernel does with messages to it: an `IKOT_` number of GNU Mach's kern/ipc_kobject.h, 0 if it is a task that receives them;
    /// [`PORT_SET`], [`NOTHING`].
    pub kind: u8,
    /// [`RECEIVED_ON`], [`OUT_OF_LINE`].
    pub flags: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// Of the control port of a traced task or of a thread of one: the number that records call it by; else 0.
    pub object: U32,
}

/// [`Port::kind`] of a port that a task receives from.
pub const NONE: u8 = 0;
/// `IKOT_THREAD`: a thread's control port.
pub const THREAD: u8 = 1;
/// `IKOT_TASK`: a task's control port.
pub const TASK: u8 = 2;
/// `IKOT_HOST`: the host's name port.
pub const HOST: u8 = 3;
/// `IKOT_HOST_PRIV`: the host's privileged port.
pub const HOST_PRIVILEGED: u8 = 4;
/// `IKOT_PROCESSOR`.
pub const PROCESSOR: u8 = 5;
/// `IKOT_PSET`.
pub const PROCESSOR_SET: u8 = 6;
/// `IKOT_PSET_NAME`.
pub const PROCESSOR_SET_NAME: u8 = 7;
/// `IKOT_PAGER`: a memory object of the kernel's.
pub const MEMORY_OBJECT: u8 = 8;
/// `IKOT_PAGING_REQUEST`: the kernel's side of a memory object.
pub const MEMORY_CONTROL: u8 = 9;
/// `IKOT_DEVICE`.
pub const DEVICE: u8 = 10;
/// `IKOT_PAGING_NAME`: which memory object is mapped.
pub const MEMORY_NAME: u8 = 16;
/// `IKOT_MASTER_DEVICE`.
pub const MASTER_DEVICE: u8 = 19;
/// [`Port::kind`] of a port set, which is no port and has no number: its name says all.
pub const PORT_SET: u8 = 0xff;

/// [`Port::kind`] of an element of an array out of line of which no more is known than its name: `MACH_PORT_NULL`, `MACH_PORT_DEAD`, a dead
/// name, or one that somebody was just changing. It has no number.
pub const NOTHING: u8 = 0xfe;

/// In [`Port::flags`]: the message was received on it, also where the header has a protected payload instead of its name.
pub const RECEIVED_ON: u8 = 1;

/// In [`Port::flags`]: it is an element of an array of rights out of line.
pub const OUT_OF_LINE: u8 = 2;

/// Most names of a message that are said, and elements of arrays out of line.
pub const MAX_PORTS: usize = 1024;

impl Port {
    /// Whether the message was received on it.
    pub fn is_received_on(&self) -> bool {
        self.flags & RECEIVED_ON != 0
    }

    /// Whether it is an element of an array of rights out of line.
    pub fn is_out_of_line(&self) -> bool {
        self.flags & OUT_OF_LINE != 0
    }

    /// Whether it stands for an object of the kernel's, so that the kernel receives from it. What is sent to a memory object a pager receives.
    pub fn is_kernels(&self) -> bool {
        !matches!(self.kind, NONE | MEMORY_OBJECT | PORT_SET | NOTHING)
    }

    /// Whether more is known of it than its name.
    pub fn is_known(&self) -> bool {
        self.kind != NOTHING
    }
}

const _: () = assert!(size_of::<Port>() == 16);
