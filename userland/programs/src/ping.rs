// SPDX-License-Identifier: GPL-2.0-or-later
//! The stubs of defs/ping.defs, generated like all others, and a server that answers with twice the number.

use mach::error::{KernReturn, Result};
use mach::mig::{Patience, send_reply};
use mach::port::PortName;
use mach::sys::msg::mach_msg;
use mach_abi::option::MACH_RCV_MSG;

/// The client's side.
pub mod client {
    include!(concat!(env!("MACH_STUBS"), "/ping.rs"));
}

/// The server's side.
pub mod server {
    include!(concat!(env!("MACH_STUBS"), "/ping_server.rs"));
}

/// The side that answers, and what it was asked.
struct Doubler(i32);

impl server::Server for Doubler {
    fn ping(&mut self, _port: PortName, number: i32) -> Result<i32> {
        self.0 = number;
        Ok(2 * number)
    }
}

/// Receives one call, answers it, and returns the number in it.
///
/// # Errors
/// What a call of the kernel's answers, or that it was another request.
pub fn serve_one(port: PortName) -> Result<i32> {
    let mut doubler = Doubler(0);
    serve_one_with(port, &mut doubler).map(|()| doubler.0)
}

/// Receives one call, and answers it as the server says.
///
/// # Errors
/// What a call of the kernel's answers, or that it was another request.
pub fn serve_one_with(port: PortName, server: &mut impl server::Server) -> Result<()> {
    let mut request = [0; 16];
    let mut reply = [0; 16];
    let limit = size_of_val(&request) as u32;
    let received = mach_msg(&mut request, MACH_RCV_MSG, 0, limit, port, 0, PortName::NULL);
    KernReturn::from_mach_msg(received).into_result()?;
    if !server::demux(server, &request, &mut reply) {
        return Err(KernReturn::MIG_BAD_ID);
    }
    send_reply(&mut reply, Patience::Endless)
}
