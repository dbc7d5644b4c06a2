// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_msg` over a buffer of 64-bit words, which is how a message is aligned.

use mach_abi::header::LP64;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};

use super::{block, trap};
use crate::port::{PortName, ReceiveRight};

/// Sends and/or receives one message.
///
/// # Panics
/// If a size is larger than the buffer: the kernel would read or write past it.
pub fn mach_msg(
    buffer: &mut [u64],
    option: u32,
    send_size: u32,
    rcv_size: u32,
    rcv_name: PortName,
    timeout: u32,
    notify: PortName,
) -> u32 {
    let bytes = size_of_val(buffer);
    assert!(
        option & MACH_SEND_MSG == 0 || send_size as usize <= bytes,
        "mach_msg: send size {send_size}, expected at most the buffer's {bytes}"
    );
    assert!(
        option & MACH_RCV_MSG == 0 || rcv_size as usize <= bytes,
        "mach_msg: receive size {rcv_size}, expected at most the buffer's {bytes}"
    );
    // The kernel stores the size of a message that is too large even where no message fits.
    assert!(
        option & MACH_RCV_MSG == 0 || bytes >= LP64.end,
        "mach_msg: receive buffer of {bytes} bytes, expected a header's {}",
        LP64.end
    );
    trap::mach_msg(buffer.as_mut_ptr() as u64, option, send_size, rcv_size, rcv_name, timeout, notify)
}

/// Sends `size` bytes at `address`, mapped or not: the kernel reads them and refuses memory it cannot read.
pub fn send_at(address: u64, size: u32, option: u32, timeout: u32) -> u32 {
    let option = option & !MACH_RCV_MSG | MACH_SEND_MSG;
    trap::mach_msg(address, option, size, 0, PortName::NULL, timeout, PortName::NULL)
}

/// The calling thread's reply port, allocated on first use.
pub fn reply_port() -> PortName {
    block::reply_port()
}

/// Gives the calling thread's reply port back; the next RPC gets a new one. A reply that was not waited for can so never be
/// mistaken for the answer to a later request. Where the request to give it back fails, too, as where an engine fails every
/// message, the port which that request used stays: it would take one more request, and that without end.
pub(crate) fn give_back_reply_port() {
    let name = block::forget_reply_port();
    block::once_at_a_time(|| drop(ReceiveRight::from_name(name)));
}
