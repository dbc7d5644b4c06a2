// SPDX-License-Identifier: GPL-2.0-or-later
//! Words that the program shares with the task it traces, so that each knows of the other without a message; and what the task's
//! threads do.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use mach::error::{KernReturn, Result};
use mach::memory::{Pages, shared_words};
use mach::port::{Disposition, Right};
use mach::stubs::mach_port;
use mach::sys::trap;
use mach::task_self;
use programs::tracer::{FIRST, send};

/// The thread that waits, and another one of its task.
pub(crate) const WAITER: usize = 0;
pub(crate) const OTHER: usize = 1;
/// How many there are.
pub(crate) const SEATS: usize = 2;
/// Id of the messages that the first one sends; the next one's is 1 more.
pub(crate) const DATA: i32 = 6900;

/// What stands on the board of each thread: the step that it may go to, the one that it has begun, the one that it has done, the last
/// result that was no success, and its rounds while it may not go on.
const ALLOWED: usize = 0;
const BEGUN: usize = 1;
const DONE: usize = 2;
const FAILED: usize = 3;
const ROUNDS: usize = 4;
const WORDS: usize = 5;

/// What the thread's record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// A message to another task.
    Message,
    /// A write to a page that it may not write to.
    Exception,
    /// A call that the kernel answers at once.
    Kernel,
}

impl Situation {
    pub(crate) const ALL: [Self; 3] = [Self::Message, Self::Exception, Self::Kernel];
}

/// The words.
#[derive(Clone, Copy)]
pub(crate) struct Board(&'static [AtomicU64]);

impl Board {
    pub(crate) fn new() -> Result<Self> {
        shared_words(SEATS * WORDS).map(Self)
    }

    pub(crate) fn clear(self) {
        self.0.iter().for_each(|word| word.store(0, SeqCst));
    }

    fn word(self, seat: usize, word: usize) -> &'static AtomicU64 {
        &self.0[seat * WORDS + word]
    }

    /// Lets a thread make one step more; returns its number, from 1.
    pub(crate) fn allow(self, seat: usize) -> u64 {
        self.word(seat, ALLOWED).fetch_add(1, SeqCst) + 1
    }

    /// The last step that a thread has begun.
    pub(crate) fn begun(self, seat: usize) -> u64 {
        self.word(seat, BEGUN).load(SeqCst)
    }

    /// The last step that a thread has done.
    pub(crate) fn done(self, seat: usize) -> u64 {
        self.word(seat, DONE).load(SeqCst)
    }

    /// The last result of a thread's that was no success.
    pub(crate) fn failed(self, seat: usize) -> KernReturn {
        KernReturn(self.word(seat, FAILED).load(SeqCst) as i32)
    }

    /// How often a thread has seen that it may not go on.
    pub(crate) fn rounds(self, seat: usize) -> u64 {
        self.word(seat, ROUNDS).load(SeqCst)
    }
}

/// What the thread does of which a record is made.
pub(crate) fn step(situation: Situation, number: u64, page: &mut Pages) -> KernReturn {
    match situation {
        Situation::Message => send(DATA, FIRST, Disposition::CopySend, number as u32),
        Situation::Exception => {
            black_box(page.as_mut_slice())[0] = number as u8;
            let written = black_box(page.as_slice())[0] == number as u8;
            if written { KernReturn::KERN_SUCCESS } else { KernReturn::KERN_FAILURE }
        }
        Situation::Kernel => mach_port::mach_port_mod_refs(task_self(), FIRST, Right::Send as u32, 1)
            .err()
            .unwrap_or(KernReturn::KERN_SUCCESS),
    }
}

/// What a thread of the task runs: steps, as many as it may. It does not return, and waits without a call that would be traced.
pub(crate) fn play(board: Board, seat: usize, mut step: impl FnMut(u64) -> KernReturn) {
    for number in 1.. {
        while board.word(seat, ALLOWED).load(SeqCst) < number {
            board.word(seat, ROUNDS).fetch_add(1, SeqCst);
            trap::thread_switch();
        }
        board.word(seat, BEGUN).store(number, SeqCst);
        let result = step(number);
        if result != KernReturn::KERN_SUCCESS {
            board.word(seat, FAILED).store(result.0 as u64, SeqCst);
        }
        board.word(seat, DONE).store(number, SeqCst);
    }
}
