// SPDX-License-Identifier: GPL-2.0-or-later
//! The stubs of defs/ping.defs, generated like all others.

/// The client's side.
pub mod client {
    include!(concat!(env!("MACH_STUBS"), "/ping.rs"));
}

/// The server's side.
pub mod server {
    include!(concat!(env!("MACH_STUBS"), "/ping_server.rs"));
}
