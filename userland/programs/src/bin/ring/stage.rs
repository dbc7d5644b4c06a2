// SPDX-License-Identifier: GPL-2.0-or-later
//! Who plays: a task that is traced, tasks that trace it, and words that all of them share.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use mach::error::KernReturn;
use mach::memory::shared_words;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::exit::terminate;
use mach::stubs::mach_port::mach_port_type;
use mach::sys::trap::{task_create, task_set_special_port, task_terminate, thread_switch};
use mach::task_self;
use mach::thread::{self, Child};
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::patience::pause;
use programs::tracer::{FIRST, SECOND, Tracer, give};
use programs::{Doing, Mismatch, processors};

/// Messages that wait for a tracer before what it traces has to.
pub(crate) const QUEUE: u32 = 4;
/// How long something may take, in milliseconds.
pub(crate) const PATIENCE: u32 = 20_000;
/// In which a thread that can go on would, in milliseconds.
pub(crate) const A_WHILE: u32 = 200;
/// Milliseconds of one look, and how many shorter ones there are before.
const LOOK: u32 = 10;
const SHORT_LOOKS: u32 = 20;
/// Calls by which one sees that who makes them goes on.
const STEPS: u64 = 50;

/// What a shared word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// How many calls the traced task has made.
    Calls,
    /// 0 until a tracer has asked for its ring, then 1 and what the kernel said.
    Asked,
    /// How many records a tracer had from its ring.
    FromRing,
    /// How many it had in messages.
    FromMessages,
    /// How often something else was done.
    Rounds,
    /// Where a tracer is: what that means its program says.
    Place,
}

/// How many words there are.
const WORDS: usize = 6;

/// Words that every task sees.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    words: &'static [AtomicU64],
    /// The host's privileged port.
    pub(crate) host: Option<PortName>,
}

impl Board {
    pub(crate) fn new(host: Option<PortName>) -> Result<Self, Mismatch> {
        Ok(Self { words: shared_words(WORDS).doing("vm_allocate")?, host })
    }

    pub(crate) fn get(&self, word: Word) -> u64 {
        self.words[word as usize].load(SeqCst)
    }

    pub(crate) fn set(&self, word: Word, value: u64) {
        self.words[word as usize].store(value, SeqCst);
    }

    pub(crate) fn add(&self, word: Word, more: u64) {
        self.words[word as usize].fetch_add(more, SeqCst);
    }

    /// Rises as long as anybody does anything.
    pub(crate) fn total(&self) -> u64 {
        self.words.iter().fold(0, |sum, word| sum.wrapping_add(word.load(SeqCst)))
    }

    /// Waits until a word is larger.
    pub(crate) fn until(&self, word: Word, more_than: u64) -> Result<(), Mismatch> {
        for look in 0..SHORT_LOOKS + PATIENCE / LOOK {
            if self.get(word) > more_than {
                return Ok(());
            }
            if look < SHORT_LOOKS { thread_switch() } else { pause(LOOK) }
        }
        Err(Mismatch::new(match word {
            Word::Calls => "the traced task: expected that it goes on, found that it does not",
            Word::Asked => "a tracer: expected that it asks for its ring, found that it does not",
            Word::FromRing => "a tracer: expected records from its ring, found none",
            Word::FromMessages => "a tracer: expected records in messages, found none",
            Word::Rounds | Word::Place => "a tracer: expected that it goes on, found that it does not",
        }))
    }

    /// The traced task goes on.
    pub(crate) fn goes_on(&self) -> Result<(), Mismatch> {
        self.until(Word::Calls, self.get(Word::Calls) + STEPS)
    }

    /// What the kernel said to the next tracer that asked for its ring.
    pub(crate) fn answer(&self) -> Result<KernReturn, Mismatch> {
        self.until(Word::Asked, 0)?;
        Ok(KernReturn((self.get(Word::Asked) - 1) as i32))
    }
}

/// A task that ends with this.
pub(crate) struct Task(SendRight);

impl Task {
    /// One without threads.
    pub(crate) fn empty() -> Result<Self, Mismatch> {
        task_create(task_self(), false).doing("task_create").map(|name| Self(SendRight::from_name(name)))
    }

    /// One that makes calls of the kernel without end, or so many, and counts them; with a suspended thread.
    pub(crate) fn busy(board: &Board, calls: Option<u64>) -> Result<(Self, Child), Mismatch> {
        let words = board.clone();
        let child = thread::fork(move || call(&words, calls)).doing("making a child")?;
        let task = Self(SendRight::copy_of(child.task.name()).doing("mach_port_mod_refs")?);
        if let Some(host) = board.host {
            processors::move_elsewhere(host, task.name())?;
        }
        Ok((task, child))
    }

    pub(crate) const fn name(&self) -> PortName {
        self.0.name()
    }

    /// Traces it to a port of this task's.
    pub(crate) fn trace_to(&self, port: &ReceiveRight) -> Result<(), Mismatch> {
        let right = port.make_send().doing("a send right to the trace port")?;
        task_set_special_port(self.name(), TASK_TRACE_PORT, right.name()).doing("task_set_special_port")
    }

    /// Traces it to a new port, which another task receives from that runs `body`.
    pub(crate) fn traced_by(&self, board: &Board, body: fn(&Board, Tracer)) -> Result<Self, Mismatch> {
        let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        port.set_queue_limit(QUEUE).doing("mach_port_set_qlimit")?;
        self.trace_to(&port)?;
        self.received_by(board, port, body)
    }

    /// A task that runs `body` with the receive right to a port that this one is traced to.
    pub(crate) fn received_by(
        &self,
        board: &Board,
        port: ReceiveRight,
        body: fn(&Board, Tracer),
    ) -> Result<Self, Mismatch> {
        [Word::Asked, Word::FromRing, Word::FromMessages].into_iter().for_each(|word| board.set(word, 0));
        let words = board.clone();
        let child = thread::fork(move || {
            body(&words, Tracer::of(ReceiveRight::from_name(FIRST)));
            terminate()
        });
        let child = child.doing("making a tracer")?;
        give(&child, SECOND, self.name(), Disposition::CopySend)?;
        give(&child, FIRST, port.into_name(), Disposition::MoveReceive)?;
        child.resume().doing("thread_resume")?;
        Ok(Self(child.task))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let _ = task_terminate(self.name());
    }
}

/// What the traced task runs.
fn call(board: &Board, calls: Option<u64>) {
    let mut made = 0;
    while calls.is_none_or(|calls| made < calls) && mach_port_type(task_self(), task_self()).is_ok() {
        board.add(Word::Calls, 1);
        made += 1;
    }
    terminate()
}

/// A tracer asks for its ring and says what the kernel answered.
pub(crate) fn ask(board: &Board, tracer: &mut Tracer) {
    let answer = tracer.ask_for_ring(SECOND).err().unwrap_or(KernReturn::KERN_SUCCESS);
    board.set(Word::Asked, 1 + u64::from(answer.0 as u32));
}

/// A tracer receives for ever and says what comes.
pub(crate) fn receive(board: &Board, tracer: &mut Tracer) {
    while tracer.each(None, |_| Ok(())).is_ok() {
        board.set(Word::FromRing, tracer.from_ring as u64);
        board.set(Word::FromMessages, tracer.from_messages as u64);
    }
}

/// What a tracer runs that asks for its ring.
pub(crate) fn trace(board: &Board, mut tracer: Tracer) {
    ask(board, &mut tracer);
    receive(board, &mut tracer);
}
