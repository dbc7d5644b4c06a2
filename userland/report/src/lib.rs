// SPDX-License-Identifier: GPL-2.0-or-later
//! Exchanges as text for people.
//!
//! **What.** Lines, as in
//!
//! ```text
//! hello[1] vm_allocate(address: 0x0, size: 4096, anywhere: true) = 0 {address: 0x2000}   of its own task
//! hello[1] task_set_name(name: "hello") = sent                                  no reply is expected
//! hello[1] mach_port_deallocate(name: port 7), (name: port 9) = 0               two calls
//! hello[1] boot_list(bootstrap: bootstrap) <unfinished ...>                     other records come between
//! hello[1] <... boot_list resumed> = 0 {tasks: ool 0x3000[24 bytes]}
//! hello[1] task_terminate() = ?                                                 no reply came before the end
//! hello[1/2] <- ping_echo(port: port 7, value: 3)                               a request or notification came in
//! hello[1/2] -> ping_echo reply = 0 {value: 3}                                  the answer to it went out
//! hello[1] mach_msg(send) ping_echo(port: port 7, value: 3) = MACH_SEND_TIMED_OUT
//! hello[1] mach_msg(receive, port 12) = MACH_RCV_TOO_LARGE {size: 4096}
//! --- 3 records lost ---
//! +++ (hello)[2] ended +++                                                    its status is not known
//! +++ crash[1] killed by EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x0, rip 0x202bc4) +++
//! +++ hello[1] exited with 0 +++
//! --- traced tasks are left, the end was not seen of (hello)[3] ---              nothing comes any more
//! ```
//!
//! and a summary by routine. The number in brackets counts the tasks of the trace, 1 is the command; after a slash, the thread within the
//! task, shown once there is more than one. With [`Style::raw`] and with [`Style::verbose`] the first lines are
//!
//! ```text
//! hello[1] vm_allocate(task: self, address: 0x0, size: 4096, anywhere: true) = KERN_SUCCESS {address: 0x2000}
//! hello[1] task_set_name(task: self, name: "hello") = MACH_MSG_SUCCESS
//! hello[1] mach_port_deallocate(task: self, name: port 7) = KERN_SUCCESS
//! ```
//!
//! **Place in the flow.** `exchanges` -> [`Lines`], [`Summary`] -> text. Values and ports are written in the crate's other modules, which only
//! [`lines`] uses.
//!
//! **Invariants.** ASCII, and whole lines. What cannot be decoded is written as bytes. Text is written once, where it stands in the line.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`lines`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod analysis;
mod contents;
mod draft;
mod explain;
mod figures;
mod fold;
mod histogram;
pub mod lines;
mod loading;
mod number;
mod pieces;
mod ports;
pub mod posix;
mod question;
mod questions;
mod remarks;
mod style;
mod summary;
mod table;
mod values;
pub mod words;

pub use analysis::{Analysis, Found};
pub use explain::explain;
pub use lines::{Lines, UNFINISHED};
pub use posix::Posix;
pub use question::Question;
pub use questions::coverage::{Amount, Coverage, Reach};
pub use remarks::{end_unknown, strays};
pub use style::{Stamp, Strings, Style};
pub use summary::Summary;
pub use table::{Column, Layout, Sort};
