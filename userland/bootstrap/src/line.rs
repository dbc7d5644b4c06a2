// SPDX-License-Identifier: GPL-2.0-or-later
//! What the host tool says while programs run: a byte each on a serial line of its own, so that the console stays the programs'.

use mach::error::{KernReturn, Result};
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::stubs;
use mach::stubs::device_reply_server::Server;
use protocol::control::LINE;

/// `D_READ | D_NODELAY` of device_types.h: nobody has to be at the other end.
const D_READ_NODELAY: u32 = 1 | 4;

/// Most bytes that are taken at once.
const WANTED: i32 = 16;

/// The line, and where the kernel answers what was asked of it.
pub(crate) struct Line {
    device: SendRight,
    pub(crate) replies: ReceiveRight,
}

impl Line {
    /// Opens the line.
    pub(crate) fn open(device_master: PortName) -> Result<Self> {
        let device = stubs::device::device_open(device_master, D_READ_NODELAY, LINE.as_bytes())?;
        Ok(Self { device, replies: ReceiveRight::allocate()? })
    }

    /// Asks for what comes next; the answer comes to `replies`.
    pub(crate) fn ask(&self) -> Result<()> {
        stubs::device_request::device_read_request_inband(self.device.name(), self.replies.name(), 0, 0, WANTED)
    }
}

/// Calls `take` with each byte that the kernel's answer brings.
pub(crate) fn answer(message: &[u64], reply: &mut [u64], take: impl FnMut(u8)) {
    stubs::device_reply_server::demux(&mut Answer(take), message, reply);
}

struct Answer<F>(F);

impl<F: FnMut(u8)> Server for Answer<F> {
    fn device_read_reply_inband(&mut self, _port: PortName, return_code: KernReturn, data: &[u8]) -> Result<()> {
        return_code.into_result()?;
        data.iter().for_each(|byte| (self.0)(*byte));
        Ok(())
    }
}
