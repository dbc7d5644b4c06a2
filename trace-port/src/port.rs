//! What the names in a recorded message stand for: a port by a number that is the same in all tasks, and what the kernel knows of it.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One name of the traced task's in a message. 16 bytes, little-endian.
///
/// There is one for every name of a port or port set in the message, in its order: of the header's remote port, of its local port, of the
/// rights and port names (`MACH_MSG_TYPE_PORT_NAME`) in its body. A receive without a message has one for its `rcv_name`. There is none
/// for `MACH_PORT_NULL` and `MACH_PORT_DEAD`, for a name that stands for nothing, for dead names, for what is out of line, for more than
/// [`MAX_PORTS`], and where somebody was changing the task's names at that moment. What a request says about names of another task is
/// looked up in the sender's. On a port with a protected payload a message is received without the port's name: the one that is flagged
/// [`RECEIVED_ON`] tells it, also where `rcv_name` is a port set. It is missing where the receive right was moved away meanwhile, and in an
/// exception's message that comes through a set.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Port {
    /// The task's name for it.
    pub name: U32,
    /// Which port: a number that no other port gets while anything is traced, from 1; 0 of a port set. Never an address.
    pub number: U32,
    /// What the kernel does with messages to it: an `IKOT_` number of GNU Mach's kern/ipc_kobject.h, 0 if it is a task that receives them;
    /// [`PORT_SET`].
    pub kind: u8,
    /// [`RECEIVED_ON`].
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

/// In [`Port::flags`]: the message was received on it, also where the header has a protected payload instead of its name.
pub const RECEIVED_ON: u8 = 1;

/// Most names of a message that are said.
pub const MAX_PORTS: usize = 1024;

impl Port {
    /// Whether the message was received on it.
    pub fn is_received_on(&self) -> bool {
        self.flags & RECEIVED_ON != 0
    }
}

const _: () = assert!(size_of::<Port>() == 16);
