// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel, MIG and devices answer: mach/kern_return.h, mach/message.h, mach/mig_errors.h, device/device_types.h.

use core::fmt;

/// A `kern_return_t`, `mach_msg_return_t` or `io_return_t`: one number space shared by the kernel, MIG and devices.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KernReturn(pub i32);

/// Names the return values once: as constants, for [`KernReturn::name`] and in [`ALL`].
macro_rules! return_values {
    ($($name:ident = $value:expr),* $(,)?) => {
        #[expect(missing_docs, reason = "the C names are the documentation: mach/kern_return.h and its neighbours")]
        impl KernReturn {
            $(pub const $name: KernReturn = KernReturn($value);)*

            /// The C name of this value, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        /// Every return value with its C name.
        pub const ALL: &[(&str, KernReturn)] = &[$((stringify!($name), KernReturn::$name)),*];

        /// The return values as `mach_msg` has them, whose C type is unsigned.
        pub mod mr {
            use super::KernReturn;

            /// Has the number of `KERN_SUCCESS`.
            pub const MACH_MSG_SUCCESS: u32 = 0;
            $(
                #[doc = concat!("[`KernReturn::", stringify!($name), "`]")]
                pub const $name: u32 = KernReturn::$name.to_mach_msg();
            )*
        }
    };
}

return_values! {
    KERN_SUCCESS = 0,
    KERN_INVALID_ADDRESS = 1,
    KERN_PROTECTION_FAILURE = 2,
    KERN_NO_SPACE = 3,
    KERN_INVALID_ARGUMENT = 4,
    KERN_FAILURE = 5,
    KERN_RESOURCE_SHORTAGE = 6,
    KERN_NOT_RECEIVER = 7,
    KERN_NO_ACCESS = 8,
    KERN_MEMORY_FAILURE = 9,
    KERN_MEMORY_ERROR = 10,
    KERN_NOT_IN_SET = 12,
    KERN_NAME_EXISTS = 13,
    KERN_ABORTED = 14,
    KERN_INVALID_NAME = 15,
    KERN_INVALID_TASK = 16,
    KERN_INVALID_RIGHT = 17,
    KERN_INVALID_VALUE = 18,
    KERN_UREFS_OVERFLOW = 19,
    KERN_INVALID_CAPABILITY = 20,
    KERN_RIGHT_EXISTS = 21,
    KERN_INVALID_HOST = 22,
    KERN_MEMORY_PRESENT = 23,
    KERN_WRITE_PROTECTION_FAILURE = 24,
    KERN_TERMINATED = 26,
    KERN_TIMEDOUT = 27,
    KERN_INTERRUPTED = 28,
    MACH_SEND_IN_PROGRESS = 0x1000_0001,
    MACH_SEND_INVALID_DATA = 0x1000_0002,
    MACH_SEND_INVALID_DEST = 0x1000_0003,
    MACH_SEND_TIMED_OUT = 0x1000_0004,
    MACH_SEND_WILL_NOTIFY = 0x1000_0005,
    MACH_SEND_NOTIFY_IN_PROGRESS = 0x1000_0006,
    MACH_SEND_INTERRUPTED = 0x1000_0007,
    MACH_SEND_MSG_TOO_SMALL = 0x1000_0008,
    MACH_SEND_INVALID_REPLY = 0x1000_0009,
    MACH_SEND_INVALID_RIGHT = 0x1000_000a,
    MACH_SEND_INVALID_NOTIFY = 0x1000_000b,
    MACH_SEND_INVALID_MEMORY = 0x1000_000c,
    MACH_SEND_NO_BUFFER = 0x1000_000d,
    MACH_SEND_NO_NOTIFY = 0x1000_000e,
    MACH_SEND_INVALID_TYPE = 0x1000_000f,
    MACH_SEND_INVALID_HEADER = 0x1000_0010,
    MACH_RCV_IN_PROGRESS = 0x1000_4001,
    MACH_RCV_INVALID_NAME = 0x1000_4002,
    MACH_RCV_TIMED_OUT = 0x1000_4003,
    MACH_RCV_TOO_LARGE = 0x1000_4004,
    MACH_RCV_INTERRUPTED = 0x1000_4005,
    MACH_RCV_PORT_CHANGED = 0x1000_4006,
    MACH_RCV_INVALID_NOTIFY = 0x1000_4007,
    MACH_RCV_INVALID_DATA = 0x1000_4008,
    MACH_RCV_PORT_DIED = 0x1000_4009,
    MACH_RCV_IN_SET = 0x1000_400a,
    MACH_RCV_HEADER_ERROR = 0x1000_400b,
    MACH_RCV_BODY_ERROR = 0x1000_400c,
    MIG_TYPE_ERROR = -300,
    MIG_REPLY_MISMATCH = -301,
    MIG_REMOTE_ERROR = -302,
    MIG_BAD_ID = -303,
    MIG_BAD_ARGUMENTS = -304,
    MIG_NO_REPLY = -305,
    MIG_EXCEPTION = -306,
    MIG_ARRAY_TOO_LARGE = -307,
    MIG_SERVER_DIED = -308,
    MIG_DESTROY_REQUEST = -309,
    D_IO_QUEUED = -1,
    D_IO_ERROR = 2500,
    D_WOULD_BLOCK = 2501,
    D_NO_SUCH_DEVICE = 2502,
    D_ALREADY_OPEN = 2503,
    D_DEVICE_DOWN = 2504,
    D_INVALID_OPERATION = 2505,
    D_INVALID_RECNUM = 2506,
    D_INVALID_SIZE = 2507,
    D_NO_MEMORY = 2508,
    D_READ_ONLY = 2509,
}

/// `MACH_MSG_MASK`: the bits that `mach_msg` adds to an error to say which resource was short.
pub const MACH_MSG_MASK: u32 = 0x3c00;

numbers! {
    /// The bits of [`MACH_MSG_MASK`] with their names.
    SHORTAGES: u32;

    /// No room in the task's name space.
    MACH_MSG_IPC_SPACE = 0x2000;
    /// No room in the task's memory map.
    MACH_MSG_VM_SPACE = 0x1000;
    /// The kernel is short of what IPC needs.
    MACH_MSG_IPC_KERNEL = 0x0800;
    /// The kernel is short of memory.
    MACH_MSG_VM_KERNEL = 0x0400;
}

/// What `MACH_RCV_*` return values have and `MACH_SEND_*` lack.
const OF_RECEIVE: i32 = 0x4000;

impl KernReturn {
    /// What `mach_msg` returned, whose C type is unsigned.
    pub const fn from_mach_msg(value: u32) -> Self {
        Self(value as i32)
    }

    /// As `mach_msg` returns it.
    pub const fn to_mach_msg(self) -> u32 {
        self.0 as u32
    }

    /// Whether a `mach_msg` that ended so had sent what it had to send.
    pub const fn is_of_receive(self) -> bool {
        self.0 & OF_RECEIVE != 0
    }

    /// `Ok` for `KERN_SUCCESS`, so that `?` works on what the kernel answers.
    ///
    /// # Errors
    /// Every other value.
    pub const fn into_result(self) -> Result<(), Self> {
        match self.0 {
            0 => Ok(()),
            _ => Err(self),
        }
    }
}

impl fmt::Display for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "kern_return_t {:#x}", self.0),
        }
    }
}

impl fmt::Debug for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for KernReturn {}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn values_have_the_names_of_the_headers() {
        for (value, name) in [
            (0, "KERN_SUCCESS"),
            (28, "KERN_INTERRUPTED"),
            (0x1000_0007, "MACH_SEND_INTERRUPTED"),
            (0x1000_4004, "MACH_RCV_TOO_LARGE"),
            (-303, "MIG_BAD_ID"),
            (2502, "D_NO_SUCH_DEVICE"),
            (11, "kern_return_t 0xb"),
            (-1000, "kern_return_t 0xfffffc18"),
        ] {
            assert_eq!(KernReturn(value).to_string(), name);
        }
    }

    #[test]
    fn only_success_is_ok() {
        assert_eq!(KernReturn::KERN_SUCCESS.into_result(), Ok(()));
        assert_eq!(KernReturn::from_mach_msg(0x1000_4003).into_result(), Err(KernReturn::MACH_RCV_TIMED_OUT));
    }
}
