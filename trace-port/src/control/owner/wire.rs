// SPDX-License-Identifier: GPL-2.0-or-later
//! The requests of trace_control.defs about the system trace, as MIG lays them out, and what their numbers mean.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::{Integer, Name, integers};
use super::Ownership;

/// `msgh_id` of `trace_owner_state`.
pub const STATE_ID: u32 = 5120;
/// `msgh_id` of `trace_owner_tool`.
pub const TOOL_ID: u32 = 5121;
/// `msgh_id` of `trace_owner_policy`.
pub const POLICY_ID: u32 = 5122;
/// `msgh_id` of `trace_owner_set`.
pub const SET_ID: u32 = 5123;
/// `msgh_id` of `trace_owner_claim`.
pub const CLAIM_ID: u32 = 5130;
/// `msgh_id` of `trace_owner_reset`.
pub const RESET_ID: u32 = 5131;
/// `msgh_id` of `trace_owner_set_background`.
pub const BACKGROUND_ID: u32 = 5132;
/// `msgh_id` of `trace_owner_engine`.
pub const ENGINE_ID: u32 = 5133;
/// `msgh_id` of `trace_join`.
pub const JOIN_ID: u32 = 5140;
/// `msgh_id` of `trace_owner_available`, which the kernel sends.
pub const AVAILABLE_ID: u32 = 5150;

/// Most tools at the same time.
pub const MAX_TOOLS: usize = 16;

/// What else there is to a [`State`]: bits of [`State::flags`].
pub mod state_flag {
    /// A reset does not free the trace: the owner was made the owner by another.
    pub const KEEPS: u32 = 1;
    /// The kernel has configured it.
    pub const KERNEL: u32 = 2;
    /// [`policy::ANYONE`](super::policy::ANYONE).
    pub const ANYONE: u32 = 4;
}

/// Who may make another tool the owner: the argument of `trace_owner_policy`.
pub mod policy {
    /// Only the owner.
    pub const OWNER: u32 = 0;
    /// Whoever has the host's privileged port, too.
    pub const ANYONE: u32 = 1;
    /// The last of them.
    pub const LAST: u32 = ANYONE;
}

/// Whose the system trace is: `trace_owner_t`, 64 bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct State {
    /// The name of who has configured it last.
    pub configured_by: Name,
    /// [`Mode`](super::Mode): 0 off, 1 foreground, 2 background.
    pub mode: U32,
    /// The owner's number; 0 without one.
    pub owner: U32,
    /// The background tool's number; 0 without one.
    pub background: U32,
    /// What is configured: bits of [`part`](super::part).
    pub parts: U32,
    /// Bits of [`state_flag`].
    pub flags: U32,
    /// The number of the engine of all tasks, as in [`Engine::number`](crate::control::Engine::number); 0 without one.
    pub engine: U32,
    /// The number of the last tool that was made.
    pub tools: U32,
    /// Zero.
    pub reserved: U32,
}

/// Type descriptor of a [`State`].
pub const STATE: u64 = integers((size_of::<State>() / 4) as u32);

impl State {
    /// What a machine says.
    pub fn of(machine: &Ownership) -> Self {
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        let flags = flag(machine.keeps, state_flag::KEEPS)
            | flag(machine.is_kernels, state_flag::KERNEL)
            | flag(machine.anyone, state_flag::ANYONE);
        Self {
            configured_by: machine.configured_by,
            mode: (machine.mode as u32).into(),
            owner: machine.owner.into(),
            background: machine.background.into(),
            parts: machine.parts.into(),
            flags: flags.into(),
            ..Self::default()
        }
    }
}

/// What `trace_owner_tool` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ToolRequest {
    /// [`NAME`](crate::control::NAME).
    pub name_type: U64,
    /// The tool's name.
    pub name: Name,
}

/// What `trace_owner_set`, `trace_owner_set_background` and `trace_join` have after their header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RightRequest {
    /// [`SEND_RIGHT`](crate::control::SEND_RIGHT).
    pub right_type: U64,
    /// The right, in transit, or 0.
    pub right: U64,
}

/// What `trace_owner_engine` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct EngineRequest {
    /// [`SEND_RIGHT`](crate::control::SEND_RIGHT).
    pub trace_port_type: U64,
    /// The right, in transit.
    pub trace_port: U64,
    /// Bits of [`flag`](crate::control::flag).
    pub flags: Integer,
    /// Bits of [`event`](crate::control::event).
    pub events: Integer,
    /// One of [`policy`](crate::control::policy).
    pub policy: Integer,
}
