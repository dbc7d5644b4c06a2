// SPDX-License-Identifier: GPL-2.0-or-later
//! The tasks that are measured: a client, which counts, and its server.

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::Message;
use mach::port::{Disposition, PortName};
use mach::rt::exit::terminate;
use mach::sys::clock::counter;
use mach::sys::msg::mach_msg;
use mach::task_self;
use mach_abi::Descriptor;
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};
use mach_abi::type_name::{BYTE, PORT_NAME};
use programs::{Doing, Mismatch};

/// What a child calls its send right to the bench.
pub(crate) const PARENT: PortName = PortName(0x101);
/// What the server calls its receive right, and a client its send right to the server.
pub(crate) const SERVER: PortName = PortName(0x102);
/// A client asks that no record be left in the queue.
pub(crate) const SYNC: i32 = 6600;
/// A client's result.
pub(crate) const DONE: i32 = 6601;
/// Most bytes of a message.
pub(crate) const LIMIT: usize = 66 * 1024;
/// Id of the messages measured.
const NULL_CALL: i32 = 6610;
/// `mach_port_type` of mach_port.defs.
const MACH_PORT_TYPE: u64 = 3201;
/// Batches, of which the least counts.
const BATCHES: u32 = 24;

/// What a client does again and again.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// `mach_port_type` on itself.
    KernelCall,
    /// A call of the server without arguments.
    ServerCall,
    /// Sends a message of so many bytes to a port of its own; taking it out is not counted.
    Send(u32),
}

/// Answers the message in `buffer` with a message of 32 bytes to its reply port.
pub(crate) fn answer(buffer: &mut [u64]) -> Result<(), Mismatch> {
    reply(buffer);
    let sent = mach_msg(buffer, MACH_SEND_MSG, 32, 0, PortName::NULL, 0, PortName::NULL);
    KernReturn::from_mach_msg(sent).into_result().doing("answering")
}

/// Makes a received request its own reply.
fn reply(buffer: &mut [u64]) {
    buffer[word::BITS] = Disposition::MoveSendOnce as u64;
    buffer[word::LOCAL_PORT] = 0;
}

/// The server: answers every request, each answer and the next request in one `mach_msg`.
pub(crate) fn serve() {
    let mut buffer = [0; 8];
    let mut option = MACH_RCV_MSG;
    while mach_msg(&mut buffer, option, 32, 64, SERVER, 0, PortName::NULL) == 0 {
        reply(&mut buffer);
        option = MACH_SEND_MSG | MACH_RCV_MSG;
    }
    terminate()
}

/// The client: measures its batches, reports the least, and waits to be ended. If everything is to be counted, also what the tracer does until it
/// has seen all.
pub(crate) fn client(work: Work, calls: u32, until_seen: bool) {
    let mut caller = Caller { reply: mach::sys::msg::reply_port(), buffer: alloc::vec![0; LIMIT / 8] };
    let mut least = u64::MAX;
    for _ in 0..BATCHES {
        if !caller.sync() {
            break;
        }
        let start = counter();
        let right = (0..calls).all(|_| caller.call(work)) && (!until_seen || caller.sync());
        let total = counter() - start;
        if !right || !caller.clean_up(work) {
            least = u64::MAX;
            break;
        }
        least = least.min(total);
    }
    let mut done =
        Message::new(DONE, PARENT, Disposition::CopySend).integer(least as u32).integer((least >> 32) as u32);
    done.send(None);
    // Nothing comes.
    mach_msg(&mut caller.buffer, MACH_RCV_MSG, 0, 256, caller.reply, 0, PortName::NULL);
    terminate()
}

/// A client's buffer and reply port. Requests are made by hand, so that little but the kernel is measured.
struct Caller {
    reply: PortName,
    buffer: Vec<u64>,
}

impl Caller {
    /// Waits until the tracer has emptied its queue.
    fn sync(&mut self) -> bool {
        self.header(PARENT, SYNC as u64, 32);
        self.exchange(32)
    }

    #[inline]
    fn call(&mut self, work: Work) -> bool {
        match work {
            Work::KernelCall => {
                self.header(task_self(), MACH_PORT_TYPE, 48);
                // One port name, in the message.
                self.buffer[4] = Descriptor::inline(PORT_NAME, 32, 1).to_word();
                self.buffer[5] = u64::from(self.reply.0);
                self.exchange(48) && self.buffer[5] as u32 == 0
            }
            Work::ServerCall => {
                self.header(SERVER, NULL_CALL as u64, 32);
                self.exchange(32)
            }
            Work::Send(size) => {
                self.buffer[word::BITS] = Disposition::MakeSend as u64 | u64::from(size) << 32;
                self.buffer[word::REMOTE_PORT] = u64::from(self.reply.0);
                self.buffer[word::LOCAL_PORT] = 0;
                self.buffer[word::ID] = (NULL_CALL as u64) << 32;
                if size > 32 {
                    // Bytes in the message.
                    self.buffer[4] = Descriptor::inline(BYTE, 8, size - 40).to_word();
                }
                mach_msg(&mut self.buffer, MACH_SEND_MSG, size, 0, PortName::NULL, 0, PortName::NULL) == 0
            }
        }
    }

    /// Takes out what a batch left behind.
    fn clean_up(&mut self, work: Work) -> bool {
        let Work::Send(size) = work else { return true };
        mach_msg(&mut self.buffer, MACH_RCV_MSG, 0, size, self.reply, 0, PortName::NULL) == 0
    }

    #[inline]
    fn header(&mut self, to: PortName, id: u64, size: u64) {
        self.buffer[word::BITS] = Disposition::CopySend as u64 | (Disposition::MakeSendOnce as u64) << 8 | size << 32;
        self.buffer[word::REMOTE_PORT] = u64::from(to.0);
        self.buffer[word::LOCAL_PORT] = u64::from(self.reply.0);
        self.buffer[word::ID] = id << 32;
    }

    #[inline]
    fn exchange(&mut self, size: u32) -> bool {
        let option = MACH_SEND_MSG | MACH_RCV_MSG;
        mach_msg(&mut self.buffer, option, size, 256, self.reply, 0, PortName::NULL) == 0
    }
}
