//! rpctrace2: the stages between trace records and the lines a user reads.
//!
//! **What.** Every Mach message of a command and its children as text, decoded with MIG definitions:
//!
//! ```text
//! hello[1] vm_allocate(task: self, address: 0x0, size: 4096, anywhere: true) = KERN_SUCCESS {address: 0x2000}
//! hello[1] task_set_name(task: self, name: "hello") = MACH_MSG_SUCCESS        sent; no reply is expected
//! hello[1] boot_list(bootstrap: bootstrap) <unfinished ...>                     other records come between
//! hello[1] <... boot_list resumed> = KERN_SUCCESS {tasks: ool 0x3000[24]}
//! hello[1] task_terminate(task: self) = ?                                     no reply came before the end
//! hello[1/2] <- ping_echo(port: port 7, value: 3)                             a request or notification came in
//! hello[1/2] -> ping_echo reply = KERN_SUCCESS {value: 3}                     the answer to it went out
//! hello[1] mach_msg(send) ping_echo(port: port 7, value: 3) = MACH_SEND_TIMED_OUT
//! hello[1] mach_msg(receive, port 12) = MACH_RCV_TOO_LARGE {size: 4096}
//! --- 3 records lost ---
//! --- at the trace port, not from the kernel: msgh_id 70, 40 bytes: a notification that was not asked for here ---
//! --- hello[1] is traced no longer: hello[1] set its trace port ---
//! +++ hello[1] exited with 0 +++
//! ```
//!
//! The number in brackets counts the tasks of this trace, 1 is the command; after a slash, the thread within the task,
//! shown once there is more than one.
//!
//! **Place in the flow.** `trace_port::Records` -> [`event`] -> [`order`] -> [`correlate`] -> [`names`] -> [`select`] ->
//! [`weave`] (requests and replies to [`line`]s, values by [`values`]) -> [`print`]. [`trace`] strings them together and
//! `mig_defs` decodes. On Mach, `session` (feature `mach-task`) starts the command and receives the records.
//!
//! **Invariants.** Each stage sees the output of the one before and nothing else. No input makes a stage panic: what
//! cannot be decoded is printed as bytes. What a record says was lost is printed where it was lost, and so is a message at the
//! trace port that the kernel did not send ([`stray`]), and the end of a task's trace before its own ([`ending`]).
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`trace`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod correlate;
pub mod ending;
pub mod event;
pub mod line;
pub mod names;
pub mod options;
pub mod order;
pub mod print;
pub mod select;
#[cfg(feature = "mach-task")]
pub mod session;
pub mod stray;
pub mod summary;
pub mod text;
pub mod trace;
pub mod values;
pub mod weave;

pub use options::{Options, Request};
pub use trace::Trace;
