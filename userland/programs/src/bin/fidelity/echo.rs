// SPDX-License-Identifier: GPL-2.0-or-later
//! The other threads: servers that answer, with options of their own, so that calls sleep and wake each other.
//!
//! They share their ports with nobody, and the calling thread goes on only after they have dealt with the message; so the order
//! of events is one and the same at every run.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use mach::error::{KernReturn, Result};
use mach::memory::PAGE_SIZE;
use mach::port::{Disposition, PortName, Right};
use mach::sys::trap::thread_switch;
use mach::sys::wild::{Arena, Arguments, Place};
use mach::{stubs, task_self, thread};
use mach_abi::code::MACH_MSG_MASK;
use mach_abi::header::{LP64, remote};
use mach_abi::option::{MACH_RCV_LARGE, MACH_RCV_MSG, MACH_RCV_NOTIFY, MACH_RCV_TIMEOUT, MACH_SEND_MSG};
use mach_abi::type_name::{MOVE_SEND_ONCE, PORT_SEND_ONCE};
use programs::random::Random;

use crate::hash::Hash;
use crate::message::{clear_kernel_padding, take_memory};

/// Servers.
pub(crate) const SERVERS: usize = 3;
/// How many servers may start: the right to the thread of each is released, and its name free, before the next one does.
static STARTED: AtomicUsize = AtomicUsize::new(0);
/// Messages each has dealt with.
static SERVED: [AtomicU64; SERVERS] = [const { AtomicU64::new(0) }; SERVERS];
/// What each has seen.
static SEEN: [AtomicU64; SERVERS] = [const { AtomicU64::new(0) }; SERVERS];
/// The last call of any, for the full log: option, receive size, result, header.
static LAST: [AtomicU64; 7] = [const { AtomicU64::new(0) }; 7];
/// Longer than any run.
const NEVER: u32 = 1_000_000_000;

/// The servers' ports, and the one that answers come to.
pub(crate) struct Echo {
    pub(crate) ports: [PortName; SERVERS],
    pub(crate) reply: PortName,
    sent: [u64; SERVERS],
}

impl Echo {
    /// Starts the servers.
    pub(crate) fn start(seed: u64) -> Result<Self> {
        let allocate = || stubs::mach_port::mach_port_allocate(task_self(), Right::Receive as u32);
        let (reply, notify) = (allocate()?, allocate()?);
        let mut echo = Self { ports: [PortName::NULL; SERVERS], reply, sent: [0; SERVERS] };
        for (server, served) in SERVED.iter().enumerate() {
            let port = allocate()?;
            stubs::mach_port::mach_port_insert_right(task_self(), port, port, Disposition::MakeSend)?;
            let mut arena = Arena::allocate(4 * PAGE_SIZE)?;
            drop(thread::spawn(move || {
                // Its reply port is made now, not at a time that depends on the scheduler or on what it receives.
                while STARTED.load(SeqCst) <= server {
                    thread_switch();
                }
                mach::sys::msg::reply_port();
                served.fetch_add(1, SeqCst);
                serve(server, port, notify, &mut Random::new(seed ^ 0xec40 ^ (server as u64) << 32), &mut arena)
            })?);
            STARTED.store(server + 1, SeqCst);
            echo.ports[server] = port;
            echo.expect(server);
            echo.wait(server);
        }
        Ok(echo)
    }

    /// A message to a server was sent, or one that it passes on.
    pub(crate) fn expect(&mut self, server: usize) {
        self.sent[server] += 1;
    }

    /// Waits until a server has dealt with all that was sent to it; returns the hash of all it has seen.
    pub(crate) fn wait(&self, server: usize) -> u64 {
        while SERVED[server].load(SeqCst) < self.sent[server] {
            thread_switch();
        }
        SEEN[server].load(SeqCst)
    }
}

/// Receives and answers for ever.
fn serve(server: usize, port: PortName, notify: PortName, random: &mut Random, arena: &mut Arena) {
    let mut hash = Hash::START;
    let mut answer = false;
    loop {
        let mut arguments = Arguments {
            option: MACH_RCV_MSG,
            send_size: if answer { LP64.end as u32 } else { 0 },
            rcv_size: 4 * PAGE_SIZE as u32,
            rcv_name: port,
            time_out: NEVER,
            notify,
        };
        if answer {
            arguments.option |= MACH_SEND_MSG;
        }
        // Half of the receives are of the plain kind, which the kernel has optimized.
        if random.percent(50) {
            arguments.option |= random.word() as u32 & (MACH_RCV_LARGE | MACH_RCV_TIMEOUT);
            if random.percent(20) {
                arguments.option |= MACH_RCV_NOTIFY;
            }
            if random.percent(25) {
                arguments.rcv_size = random.below(64) as u32;
            }
        }
        let result = arena.mach_msg(Place::Inside(0), &arguments);
        hash.word(result.into());
        note(&arguments, result, arena);
        // A message whose body could not be taken whole came all the same, and its sender waits.
        let came = result == 0 || KernReturn::from_mach_msg(result & !MACH_MSG_MASK) == KernReturn::MACH_RCV_BODY_ERROR;
        if came {
            clear_kernel_padding(arena.as_mut_slice());
        }
        hash.bytes(&arena.as_slice()[..512]);
        let bits = u32::from_le_bytes(arena.as_slice()[..4].try_into().unwrap_or_default());
        if result == 0 {
            take_memory(arena, None, &mut hash);
        }
        answer = came && remote(bits) == PORT_SEND_ONCE;
        if answer {
            reply(arena);
        }
        SEEN[server].store(hash.0, SeqCst);
        let stays = KernReturn::from_mach_msg(result) == KernReturn::MACH_RCV_TOO_LARGE
            && arguments.option & MACH_RCV_LARGE != 0;
        if !stays {
            SERVED[server].fetch_add(1, SeqCst);
        }
    }
}

fn note(arguments: &Arguments, result: u32, arena: &Arena) {
    let words = arena.as_slice().chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    let call = [arguments.option, arguments.rcv_size, result].map(u64::from);
    for (place, word) in LAST.iter().zip(call.into_iter().chain(words)) {
        place.store(word, SeqCst);
    }
}

/// The servers' last call, as words.
pub(crate) fn last() -> [u64; 7] {
    LAST.each_ref().map(|word| word.load(SeqCst))
}

/// Turns the message into its answer: a header alone, to the send-once right that came with it.
fn reply(arena: &mut Arena) {
    let message = arena.as_mut_slice();
    message[..4].copy_from_slice(&MOVE_SEND_ONCE.to_le_bytes());
    message[LP64.local_port..LP64.seqno].fill(0);
}
