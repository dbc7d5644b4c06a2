//! The payload that is added to a stock GNU Mach kernel binary.
//!
//! **What.** Hooks on the kernel's message path that copy every message of a traced task to its trace port.
//!
//! **Place in the flow.** struct ipc_kmsg -> `gnumach` views -> `observe` -> `trace_port::RecordHeader` -> trace port.
//!
//! **Invariants.** No panic path that can run; no allocation but the kernel's own kalloc; no buffer on the kernel's 4 KiB
//! stack; nothing is locked when a hook calls into the kernel; untraced work costs three instructions.
//!
//! **Unsafe.** Only in `gnumach/` and `entry.rs`; everything else also runs in host unit tests against a fake kernel.
//!
//! **Start reading at** `hooks::message`.
#![no_std]

pub mod payload_abi;
