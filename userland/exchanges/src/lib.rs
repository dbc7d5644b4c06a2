// SPDX-License-Identifier: GPL-2.0-or-later
//! Trace records to exchanges: who asked whom for what, and what came of it.
//!
//! **What.** An [`Exchange`] is a request with its reply, a message that expects none, or a `mach_msg` that failed. There is no text in
//! it: a port, a task or a remark is what it is, not how it is written.
//!
//! **Place in the flow.** A record goes through these stages once, each a module:
//! ```text
//! message at the trace port -> [`stray`] what the kernel did not send
//!                           -> `quiet` is anything to be made of it? most often where not everything is wanted, nothing is
//!                           -> [`event`] plain values; the message stays a slice of the buffer it was received in
//!                           -> [`order`] as it happened
//!                           -> [`pair`] which reply belongs to which request
//!                           -> [`names`] what tasks and ports are
//!                           -> [`select`] what is wanted
//!                           -> [`Sink`] of the caller: the crate `report`, or an analysis
//! ```
//! [`Exchanges`] strings them together.
//!
//! **Invariants.** No input makes a stage panic. A [`Sink`] hears of an exchange when it is opened, if an answer may come, and once when it
//! is closed. What a record says was lost is told where it was lost.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`Exchanges`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ending;
pub mod event;
pub mod exchange;
mod exchanges;
pub mod fate;
mod given;
mod hurd;
pub mod leave_out;
mod lessons;
pub mod memory;
pub mod names;
mod order;
mod ours;
pub mod pair;
mod quiet;
pub mod select;
pub mod stray;

pub use event::{Event, Injected};
pub use exchange::{Actor, Exchange, Outcome, Remark, Role, Sink};
pub use exchanges::Exchanges;
pub use given::Roles;
pub use memory::Memory;
pub use names::{Names, TaskIndex};
pub use select::{Selection, Subject, UnknownName};
