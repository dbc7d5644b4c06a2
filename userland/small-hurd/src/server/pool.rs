// SPDX-License-Identifier: GPL-2.0-or-later
//! The threads of a server: there is always one more than have something to do, so that one that has to wait for another server, or for
//! its own client, holds nobody up.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use mach::error::{KernReturn, Result};
use mach::mig::{Call, Patience, request_id, send_reply};
use mach::port::{PortName, PortSet, SendRight};
use mach::stubs::notify_server;
use mach::sys::msg::mach_msg;
use mach::{println, thread};
use mach_abi::header::{local, word};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::type_name;

use super::faults::Faults;

/// Room for the largest request, which starts a program.
const REQUEST_SIZE: usize = 20 * 1024;

/// Room for the largest reply, which tells a program how it was started.
const REPLY_SIZE: usize = 16 * 1024;

/// A server: what it does with requests, and with what the kernel tells it.
pub(crate) trait Server: Send + Sync + 'static {
    /// Serves a request and leaves its reply in `reply`; false if no routine has its id. What is put into `held` is given back when the reply
    /// has been sent, or could not be.
    fn serve(&self, request: &[u64], reply: &mut [u64], held: &mut Vec<SendRight>) -> bool;

    /// Nobody has a send right to this port any more.
    fn no_senders(&self, _port: PortName) {}

    /// The port has died that this name was a right to.
    fn died(&self, _name: PortName) {}
}

/// A server and its threads.
struct Pool<S> {
    server: S,
    set: PortName,
    faults: Faults,
    /// Threads that wait for a request.
    idle: AtomicUsize,
}

/// Serves what comes to the ports of `set` for ever, with at least `threads` threads.
pub(crate) fn serve<S: Server>(server: S, set: &PortSet, faults: Faults, threads: usize) -> ! {
    let pool = Arc::new(Pool { server, set: set.name(), faults, idle: AtomicUsize::new(0) });
    for _ in 1..threads {
        pool.spawn();
    }
    pool.work()
}

impl<S: Server> Pool<S> {
    /// Starts another thread. If there can be none, requests wait for those that there are.
    fn spawn(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        drop(thread::spawn(move || pool.work()));
    }

    fn work(self: &Arc<Self>) -> ! {
        let mut request = vec![0u64; REQUEST_SIZE / 8];
        let mut reply = vec![0u64; REPLY_SIZE / 8];
        loop {
            self.idle.fetch_add(1, Ordering::Relaxed);
            let answer = mach_msg(&mut request, MACH_RCV_MSG, 0, REQUEST_SIZE as u32, self.set, 0, PortName::NULL);
            if self.idle.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.spawn();
            }
            match KernReturn::from_mach_msg(answer) {
                KernReturn::KERN_SUCCESS => self.handle(&request, &mut reply),
                // A client's mistake: the kernel has destroyed its message, and tells it so through its reply right.
                KernReturn::MACH_RCV_TOO_LARGE => {}
                error => println!("receiving requests: {error}"),
            }
        }
    }

    /// Serves one message.
    fn handle(&self, request: &[u64], reply: &mut [u64]) {
        // What comes by a send-once right is of the kernel: nobody else has one.
        if local(request[word::BITS] as u32) == type_name::PORT_SEND_ONCE {
            notify_server::demux(&mut Notified(&self.server), request, reply);
            return;
        }
        let mut held = Vec::new();
        let refusal = request_id(request).and_then(|id| self.faults.before(id));
        let served = match refusal {
            Some(error) => {
                if let Some(call) = Call::new(request, reply) {
                    call.answer(Err(error));
                }
                false
            }
            None => self.server.serve(request, reply, &mut held),
        };
        if !served {
            mach::msg::destroy_body(request);
        }
        // A client that cannot take its reply loses it.
        let _ = send_reply(reply, Patience::None);
    }
}

/// What the kernel tells a server.
struct Notified<'a, S>(&'a S);

impl<S: Server> notify_server::Server for Notified<'_, S> {
    fn mach_notify_no_senders(&mut self, port: PortName, _count: u32) -> Result<()> {
        self.0.no_senders(port);
        Ok(())
    }

    fn mach_notify_dead_name(&mut self, _notify: PortName, name: PortName) -> Result<()> {
        self.0.died(name);
        // The notification carries a reference of the dead name.
        drop(SendRight::from_name(name));
        Ok(())
    }

    fn mach_notify_port_deleted(&mut self, _notify: PortName, _name: PortName) -> Result<()> {
        Ok(())
    }

    fn mach_notify_send_once(&mut self, _notify: PortName) -> Result<()> {
        Ok(())
    }
}
