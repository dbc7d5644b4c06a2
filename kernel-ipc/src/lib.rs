// SPDX-License-Identifier: GPL-2.0-or-later
//! The payload that is added to a stock GNU Mach kernel binary.
//!
//! **What.** Hooks on the kernel's message path that copy every message of a traced task to its trace port.
//!
//! **Place in the flow.** struct ipc_kmsg -> [`gnumach`] views -> [`observe`] -> `trace_port::RecordHeader` -> [`emit`] -> trace port.
//!
//! **Invariants.** No panic path that can run (the payload links only if none is left); no allocation but the kernel's own
//! kalloc; no buffer on the kernel's 4 KiB stack; nothing of ours is locked while the kernel runs; only a live traced
//! thread ever waits for its tracer, at the end of its call; while nobody is traced a kernel for one processor is the stock one.
//!
//! **Unsafe.** Only in `gnumach/` and `arch/`, where handles to the kernel's structs are made; who has one needs no more. What is not for
//! the kernel's target alone also runs in host unit tests against `gnumach::fake`.
//!
//! **Start reading at** [`hooks`]: the life of a call.
#![no_std]
#![cfg_attr(not(any(target_os = "none", test)), expect(dead_code, reason = "the instrumenter reads payload_abi alone"))]

#[cfg(test)]
extern crate std;

mod announce;
#[cfg(target_os = "none")]
mod arch;
mod arrays;
mod aside;
mod bare;
mod batch;
mod clock;
mod conceal;
mod control;
mod deliver;
mod direct;
mod draft;
mod emit;
mod engines;
mod fan_out;
#[cfg(any(all(target_os = "none", feature = "faults"), test))]
mod faults;
mod frames;
mod gnumach;
mod hold;
mod hooks;
mod identity;
mod inject;
mod light;
mod links;
mod lost;
mod named;
mod numbers;
mod observe;
mod open_call;
pub mod payload_abi;
mod pending;
mod quiet;
mod received_on;
mod recorder;
mod replies;
mod rings;
mod room;
mod slab;
mod stamp;
mod state;
mod stops;
mod table;
mod wanted;
mod writer;

pub use trace_port::ring;
