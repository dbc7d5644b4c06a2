// SPDX-License-Identifier: GPL-2.0-or-later
//! What the threads of a player do: each one thing again and again, in random variations, until its task is ended.
//!
//! Whatever the kernel answers is right here. Nothing uses the heap: a thread may be ended anywhere.

use mach::error::{KernReturn, Result};
use mach::memory::{PAGE_SIZE, Pages, VM_PROT_NONE};
use mach::msg::{destroy, destroy_body};
use mach::port::{Disposition, PortName, Right, SendRight};
use mach::stubs::{exc_server, mach as kernel, mach_port};
use mach::sys::msg::mach_msg;
use mach::sys::trap;
use mach::{task_self, thread_self};
use mach_abi::header::word;
use mach_abi::option::{
    MACH_RCV_LARGE, MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, MACH_SEND_NOTIFY, MACH_SEND_TIMEOUT,
};
use mach_abi::special_port::{TASK_BOOTSTRAP_PORT, TASK_TRACE_PORT};
use programs::catcher::Catcher;
use programs::random::Random;

use crate::board::{Act, Board};
use crate::names::{ABSENT, DEAD, Name, PLAYERS, PORTS, SET, THREADS};
use crate::rings::Ring;
use crate::without::Without;
use crate::words::{ROOM, Words};

/// `exception_raise` of exc.defs.
const EXCEPTION_RAISE: u32 = 2400;
/// Milliseconds for which a thread sleeps that is to rest, unless it is to rest on.
const REST: u32 = 10;
/// Milliseconds that somebody waits who does not wait for ever.
const SOON: u64 = 40;

/// What a player leaves out.
#[derive(Clone, Copy)]
pub(crate) struct Plays {
    pub(crate) without: Without,
    /// Whether there is one processor only.
    pub(crate) alone: bool,
}

/// A thread of a player, its own memory, and what it may do.
pub(crate) struct Player {
    player: usize,
    thread: usize,
    board: Board,
    without: Without,
    /// Whether there is one processor only. With several, what stops stock kernels is left out (docs/differences.md): a time limit
    /// at which others may just be waking the thread, and lists of names.
    alone: bool,
    random: Random,
    /// For data out of line.
    data: Pages,
    /// For exceptions.
    forbidden: Pages,
    reply: PortName,
    /// A port to which nobody has a right.
    silence: PortName,
    /// The ring of a trace port of the player's.
    ring: Option<Ring>,
}

impl Player {
    pub(crate) fn new(player: usize, thread: usize, seed: u64, board: Board, plays: Plays) -> Result<Self> {
        let random = Random::new(seed ^ (player * THREADS + thread) as u64);
        let (data, forbidden) = (Pages::allocate(2 * PAGE_SIZE)?, Pages::allocate(PAGE_SIZE)?);
        let Plays { without, alone } = plays;
        let (reply, silence) = (PortName::NULL, PortName::NULL);
        Ok(Self { player, thread, board, without, alone, random, data, forbidden, reply, silence, ring: None })
    }

    /// Plays; never returns.
    pub(crate) fn run(mut self) {
        self.silence = trap::mach_reply_port();
        if self.thread == 0 {
            return self.serve();
        }
        self.reply = trap::mach_reply_port();
        let word = match self.thread {
            1 => "calls",
            2 => "sends",
            3 => "kernel-calls",
            4 => "faults",
            _ => "meddling",
        };
        loop {
            self.rest();
            match self.thread {
                _ if self.without.has(word) => trap::thread_switch_depressed(10),
                1 => self.call(),
                2 => self.send(),
                3 => self.ask_the_kernel(),
                4 if !self.board.is_over() => self.fault(),
                _ if self.board.is_over() => self.ask_the_kernel(),
                _ => self.meddle(),
            }
            self.board.step(self.player, self.thread);
        }
    }

    fn act(&self, act: Act, port: PortName) {
        self.board.act(self.player, self.thread, act, port);
    }

    /// Leaves the processor for a while if it is time to. With several, who sleeps for a time must not be woken by others, as every player may
    /// be at any time (docs/differences.md): there everybody else runs first, for as long.
    fn rest(&self) {
        if self.board.rests() && !self.alone {
            trap::thread_switch_depressed(REST);
        } else if self.board.rests() {
            let mut nothing = [0; 8];
            mach_msg(&mut nothing, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, 64, self.silence, REST, PortName::NULL);
        }
    }

    fn any_port(&mut self) -> PortName {
        self.board.port(self.random.below(PORTS as u64) as usize)
    }

    /// Milliseconds.
    fn soon(&mut self) -> u32 {
        self.random.below(SOON) as u32
    }

    /// Milliseconds for a receive.
    fn limit(&mut self) -> u32 {
        let soon = self.soon();
        if self.alone { soon } else { 0 }
    }

    /// Receives whatever comes to the player's ports: calls, records, exceptions, and answers.
    fn serve(&mut self) {
        let mut message = Words::new();
        let mut answer = 0;
        loop {
            self.rest();
            let from = if self.random.percent(85) { SET } else { self.any_port() };
            let mut option = MACH_RCV_MSG | if answer == 0 { 0 } else { MACH_SEND_MSG };
            if self.random.percent(50) {
                option |= MACH_RCV_TIMEOUT | if self.random.percent(20) { MACH_RCV_LARGE } else { 0 };
            }
            let whole = 8 * ROOM as u32;
            let limit = if self.random.percent(8) { self.random.below(200) as u32 } else { whole };
            self.act(if answer == 0 { Act::Receiving } else { Act::Answering }, from);
            let time = self.limit();
            let result = mach_msg(&mut message.words, option, answer, limit, from, time, PortName::NULL);
            self.board.step(self.player, self.thread);
            match KernReturn::from_mach_msg(result) {
                KernReturn::MACH_RCV_TIMED_OUT if !self.alone => trap::thread_switch_depressed(1 + self.soon()),
                // The thread was aborted while an engine had stopped it with its answer, which is its own still.
                KernReturn::MACH_SEND_INTERRUPTED if answer != 0 => {
                    give_up(PortName(message.words[word::REMOTE_PORT] as u32))
                }
                _ => {}
            }
            answer = if result == 0 { self.answer(&mut message) } else { 0 };
        }
    }

    /// Makes an answer of a message; returns its size, 0 if none is to be sent.
    fn answer(&mut self, message: &mut Words) -> u32 {
        let [bits, to, _, id, ..] = message.words;
        let id = (id >> 32) as u32;
        if trace_port::is_record(id) {
            self.board.count_records();
            destroy(&message.words);
            return 0;
        }
        if id == EXCEPTION_RAISE {
            let mut reply = [0; 16];
            exc_server::demux(
                &mut Catcher { refuses: self.random.percent(5), ..Catcher::default() },
                &message.words,
                &mut reply,
            );
            message.words[..16].copy_from_slice(&reply);
            return (reply[word::BITS] >> 32) as u32;
        }
        let how = bits & 0xff;
        let is_question = matches!(how, 17 | 18);
        if !is_question || self.random.percent(5) {
            destroy_body(&message.words);
            if is_question {
                give_up(PortName(to as u32));
            }
            return 0;
        }
        destroy_body(&message.words);
        message.header(how, PortName(to as u32), PortName::NULL, id.wrapping_add(100));
        message.body(self.board, &mut self.random, self.data.address());
        message.size()
    }

    /// A call of whoever receives from a port.
    fn call(&mut self) {
        let to = self.any_port();
        let mut message = Words::new();
        let reply = if self.random.percent(80) { Disposition::MakeSendOnce } else { Disposition::MakeSend };
        message.header(Disposition::CopySend as u64 | (reply as u64) << 8, to, self.reply, 7000);
        message.body(self.board, &mut self.random, self.data.address());
        let mut option = MACH_SEND_MSG | MACH_RCV_MSG;
        // Nobody tells that a send right to the reply port is gone unused.
        if reply == Disposition::MakeSend || self.random.percent(50) {
            option |= MACH_RCV_TIMEOUT | if self.random.percent(50) { MACH_SEND_TIMEOUT } else { 0 };
        }
        self.act(Act::Calling, to);
        let (size, time) = (message.size(), self.limit());
        let result = mach_msg(&mut message.words, option, size, 8 * ROOM as u32, self.reply, time, PortName::NULL);
        match KernReturn::from_mach_msg(result) {
            KernReturn::KERN_SUCCESS => destroy(&message.words),
            KernReturn::MACH_SEND_TIMED_OUT | KernReturn::MACH_SEND_INTERRUPTED => destroy_body(&message.words),
            _ => {
                // A late answer must not be taken for the next one.
                let _ = mach_port::mach_port_mod_refs(task_self(), self.reply, Right::Receive as u32, -1);
                self.reply = trap::mach_reply_port();
            }
        }
    }

    /// A message without an answer, or one that cannot be sent.
    fn send(&mut self) {
        let mut to = self.any_port();
        let mut how = Disposition::CopySend;
        match self.random.below(40_000) {
            // Seldom, as the kernel prints a line.
            0 if self.random.percent(5) => to = ABSENT,
            1..4000 => to = DEAD,
            4000..8000 => how = Disposition::MakeSend,
            8000..10_000 => to = SET,
            _ => {}
        }
        let mut message = Words::new();
        message.header(how as u64, to, PortName::NULL, 7100);
        message.body(self.board, &mut self.random, self.data.address());
        if self.random.percent(5) {
            message.right(self.reply, Disposition::MoveSend);
        }
        let option = match self.random.below(10) {
            0..3 => MACH_SEND_MSG,
            3 => MACH_SEND_MSG | MACH_SEND_TIMEOUT | MACH_SEND_NOTIFY,
            _ => MACH_SEND_MSG | MACH_SEND_TIMEOUT,
        };
        self.act(Act::Sending, to);
        let time = self.random.below(3) as u32;
        let (size, time, notify) = (message.size(), if self.alone { time } else { 0 }, self.reply);
        let result = mach_msg(&mut message.words, option, size, 0, PortName::NULL, time, notify);
        if matches!(
            KernReturn::from_mach_msg(result),
            KernReturn::MACH_SEND_TIMED_OUT | KernReturn::MACH_SEND_INTERRUPTED
        ) {
            destroy_body(&message.words);
        }
    }

    /// A call of the kernel.
    fn ask_the_kernel(&mut self) {
        let this = task_self();
        let player = self.random.below(PLAYERS as u64) as usize;
        let index = self.random.below(THREADS as u64) as usize;
        let (task, thread) = (self.board.task(player), self.board.thread(player, index));
        let name = self.any_port();
        self.act(Act::AskingTheKernel, name);
        match self.random.below(11) {
            0..3 => drop(mach_port::mach_port_type(this, name)),
            3 if self.alone => drop(mach_port::mach_port_names(this)),
            3 => drop(mach_port::mach_port_get_refs(this, name, Right::Send as u32)),
            4 => drop(kernel::task_info(task, 1, &mut [0; 16])),
            5 => drop(kernel::thread_info(thread, 1, &mut [0; 32])),
            6 => {
                if let Ok(address) = trap::vm_allocate(this, 0, PAGE_SIZE, true) {
                    let _ = trap::vm_deallocate(this, address, PAGE_SIZE);
                }
            }
            7 => {
                if let Ok(child) = trap::task_create(this, false).map(SendRight::from_name) {
                    let _ = trap::task_terminate(child.name());
                }
            }
            8 => drop(kernel::task_threads(task)),
            9 => drop(kernel::task_get_special_port(this, TASK_BOOTSTRAP_PORT)),
            // No thread_abort: two that abort and end each other wait for ever on every GNU Mach, traced or not.
            _ => {
                let set = if self.random.percent(80) { SET } else { PortName::NULL };
                let _ = mach_port::mach_port_move_member(this, name, set);
            }
        }
    }

    /// Writes where it must not; whoever catches that lets it.
    fn fault(&mut self) {
        let address = self.forbidden.address();
        self.act(Act::Protecting, PortName::NULL);
        let _ = kernel::vm_protect(task_self(), address, PAGE_SIZE, false, VM_PROT_NONE);
        self.act(Act::Writing, PortName::NULL);
        self.forbidden.as_mut_slice()[0] = 1;
        self.act(Act::Nothing, PortName::NULL);
    }

    /// Sets, reads or clears somebody's trace port.
    fn meddle(&mut self) {
        let of = self.board.task(self.random.below(PLAYERS as u64) as usize);
        let tried = self.without.filter(Name::drawn(self.random.word())).name(self.board);
        match self.random.below(if self.without.has("rings") { 10 } else { 13 }) {
            0..4 => {
                self.act(Act::SettingByTrap, tried);
                let _ = trap::task_set_special_port(of, TASK_TRACE_PORT, tried);
            }
            4..6 => {
                self.act(Act::Setting, tried);
                let _ = kernel::task_set_special_port(of, TASK_TRACE_PORT, tried);
            }
            6 => {
                self.act(Act::Setting, PortName::NULL);
                let _ = kernel::task_set_special_port(of, TASK_TRACE_PORT, PortName::NULL);
            }
            7 => self.own_port(),
            10.. => self.look_at_ring(of),
            _ => {
                self.act(Act::Reading, of);
                drop(kernel::task_get_special_port(of, TASK_TRACE_PORT));
            }
        }
        if self.random.percent(30) {
            // The others shall have something to do.
            self.act(Act::AskingTheKernel, thread_self());
            trap::thread_switch_depressed(1 + self.random.below(20) as u32);
        }
    }

    /// Asks for a ring, or reads the one that there is.
    fn look_at_ring(&mut self, of: PortName) {
        self.act(Act::Reading, of);
        self.ring = match self.ring.take() {
            Some(mut ring) => (ring.look(self.board, &mut self.random) && !self.random.percent(5)).then_some(ring),
            None => Ring::of(of).ok(),
        };
    }

    /// Makes a port that nobody ever receives from, or ends it.
    fn own_port(&mut self) {
        let old = self.board.take_own(self.player);
        self.act(Act::Setting, old);
        if old.is_valid() {
            let _ = mach_port::mach_port_destroy(task_self(), old);
            return;
        }
        let name = self.board.fresh_name();
        if trap::mach_port_allocate_name(task_self(), Right::Receive, name).is_ok() {
            self.board.set_own(self.player, name);
            let _ = trap::mach_port_insert_right(task_self(), name, name, Disposition::MakeSend);
        }
    }
}

/// Drops a right to answer, so that who waits for the answer is told that there will be none. An engine may have stopped the thread with the
/// request for that, too, when it is aborted.
fn give_up(right: PortName) {
    while trap::mach_port_deallocate(task_self(), right) == Err(KernReturn::MACH_SEND_INTERRUPTED) {}
}
