// SPDX-License-Identifier: GPL-2.0-or-later
//! Port names and the rights behind them, as types that give their right back when they are dropped.
//!
//! A name alone ([`PortName`]) is a number and owns nothing. [`SendRight`], [`SendOnceRight`], [`ReceiveRight`] and
//! [`PortSet`] each own one user reference of their right in this task's name space; `into_name` gives that up,
//! `from_name` takes it on.

use core::fmt;
use core::mem;

use mach_abi::port::{
    MACH_PORT_DEAD, MACH_PORT_NULL, MACH_PORT_RIGHT_DEAD_NAME, MACH_PORT_RIGHT_PORT_SET, MACH_PORT_RIGHT_RECEIVE,
    MACH_PORT_RIGHT_SEND, MACH_PORT_RIGHT_SEND_ONCE,
};
use mach_abi::type_name;

use crate::error::Result;
use crate::sys;
use crate::{stubs, task_self};

/// `mach_port_name_t`: the name of a right in this task's space. Owns nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PortName(pub u32);

impl PortName {
    /// `MACH_PORT_NULL`: no right.
    pub const NULL: PortName = PortName(MACH_PORT_NULL);
    /// `MACH_PORT_DEAD`: the right died on its way here.
    pub const DEAD: PortName = PortName(MACH_PORT_DEAD);

    /// Whether this can name a right at all (`MACH_PORT_VALID`).
    pub const fn is_valid(self) -> bool {
        self.0 != Self::NULL.0 && self.0 != Self::DEAD.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortName({})", self.0)
    }
}

/// `mach_port_right_t`: which kind of right `mach_port_allocate` or `mach_port_mod_refs` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the C names are the documentation: mach/port.h")]
pub enum Right {
    Send = MACH_PORT_RIGHT_SEND as isize,
    Receive = MACH_PORT_RIGHT_RECEIVE as isize,
    SendOnce = MACH_PORT_RIGHT_SEND_ONCE as isize,
    PortSet = MACH_PORT_RIGHT_PORT_SET as isize,
    DeadName = MACH_PORT_RIGHT_DEAD_NAME as isize,
}

/// `mach_msg_type_name_t` of a right in a message or RPC: what happens to the sender's right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the C names are the documentation: mach/message.h")]
pub enum Disposition {
    MoveReceive = type_name::MOVE_RECEIVE as isize,
    MoveSend = type_name::MOVE_SEND as isize,
    MoveSendOnce = type_name::MOVE_SEND_ONCE as isize,
    CopySend = type_name::COPY_SEND as isize,
    MakeSend = type_name::MAKE_SEND as isize,
    MakeSendOnce = type_name::MAKE_SEND_ONCE as isize,
}

/// Shared by the four owning types: construction from a name and giving the name up again.
macro_rules! owning_right {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(PartialEq, Eq, Debug)]
        pub struct $type(PortName);

        impl $type {
            /// Takes on the reference that `name` has, for example because a message just brought it.
            pub const fn from_name(name: PortName) -> Self {
                Self(name)
            }

            /// The name, still owned by this value.
            pub const fn name(&self) -> PortName {
                self.0
            }

            /// Gives the reference up without releasing it: someone else owns it now.
            pub const fn into_name(self) -> PortName {
                let name = self.0;
                mem::forget(self);
                name
            }
        }
    };
}

owning_right! {
    /// One user reference of a send right (or of the dead name it became).
    SendRight
}
owning_right! {
    /// One send-once right: consumed by the message that is sent to it.
    SendOnceRight
}
owning_right! {
    /// A receive right. The port dies with it.
    ReceiveRight
}
owning_right! {
    /// A port set: receiving from it receives from any member.
    PortSet
}

impl SendRight {
    /// One more reference of the right that somebody else has under this name, and keeps.
    pub fn copy_of(name: PortName) -> Result<Self> {
        mem::ManuallyDrop::new(Self(name)).try_clone()
    }

    /// A second reference of the same right, under the same name.
    pub fn try_clone(&self) -> Result<Self> {
        if self.0.is_valid() {
            stubs::mach_port::mach_port_mod_refs(task_self(), self.0, Right::Send as u32, 1)?;
        }
        Ok(Self(self.0))
    }
}

impl ReceiveRight {
    /// A new port: `mach_port_allocate`.
    pub fn allocate() -> Result<Self> {
        sys::trap::mach_port_allocate(task_self(), Right::Receive).map(Self)
    }

    /// A new send right to this port, under the receive right's own name.
    pub fn make_send(&self) -> Result<SendRight> {
        sys::trap::mach_port_insert_right(task_self(), self.0, self.0, Disposition::MakeSend)?;
        Ok(SendRight(self.0))
    }

    /// Sets how many messages the port queues before a sender must wait.
    pub fn set_queue_limit(&self, limit: u32) -> Result<()> {
        stubs::mach_port::mach_port_set_qlimit(task_self(), self.0, limit)
    }
}

impl PortSet {
    /// A new, empty port set.
    pub fn allocate() -> Result<Self> {
        sys::trap::mach_port_allocate(task_self(), Right::PortSet).map(Self)
    }

    /// Puts a port into the set; it leaves the set it was in.
    pub fn add(&self, member: &ReceiveRight) -> Result<()> {
        stubs::mach_port::mach_port_move_member(task_self(), member.0, self.0)
    }
}

// Nobody can act on a failed release: the name is gone either way, so the drops below discard the answer.

impl Drop for SendRight {
    fn drop(&mut self) {
        if self.0.is_valid() {
            let _ = sys::trap::mach_port_deallocate(task_self(), self.0);
        }
    }
}

impl Drop for SendOnceRight {
    fn drop(&mut self) {
        if self.0.is_valid() {
            let _ = sys::trap::mach_port_deallocate(task_self(), self.0);
        }
    }
}

impl Drop for ReceiveRight {
    fn drop(&mut self) {
        if self.0.is_valid() {
            let _ = stubs::mach_port::mach_port_mod_refs(task_self(), self.0, Right::Receive as u32, -1);
        }
    }
}

impl Drop for PortSet {
    fn drop(&mut self) {
        if self.0.is_valid() {
            let _ = stubs::mach_port::mach_port_mod_refs(task_self(), self.0, Right::PortSet as u32, -1);
        }
    }
}
