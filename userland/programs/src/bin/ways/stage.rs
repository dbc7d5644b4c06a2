// SPDX-License-Identifier: GPL-2.0-or-later
//! The traced task of one combination, its full queue, and all that the program can see of it.

use alloc::format;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, Pages, VM_PROT_NONE};
use mach::mig::{Patience, request_id, send_reply};
use mach::msg::Received;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, Right, SendRight};
use mach::stubs::{exc_server, mach as kernel, mach_port};
use mach::sys::msg::mach_msg;
use mach::sys::trap::task_terminate;
use mach::task_self;
use mach::thread::{self, Child};
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use mach_abi::special_port::TASK_EXCEPTION_PORT;
use programs::catcher::Catcher;
use programs::patience::{pause, waits};
use programs::tracer::{FIRST, Tracer, give, send};
use programs::{Doing, Mismatch, expect, processors};

use crate::board::{Board, DATA, OTHER, SEATS, Situation, WAITER, play, step};
use crate::records::{Own, behind, in_the_way};

/// Id of the message that fills the queue, which is no record.
const BALLAST: i32 = 6950;
/// Milliseconds of one look, looks without news after which what could happen has happened, and looks in which it must.
const LOOK: u32 = 10;
const QUIET: u32 = 6;
const PATIENCE: u32 = 1000;
/// How often a queue is filled until the thread waits: it goes past it if it is so late that its record fits beside one of our looks.
const TRIES: u32 = 8;

/// A task with two threads, traced.
pub(crate) struct Stage {
    pub(crate) situation: Situation,
    pub(crate) board: Board,
    pub(crate) child: Child,
    pub(crate) other: SendRight,
    /// The trace port, until it dies.
    pub(crate) tracer: Option<Tracer>,
    /// Whether the program receives records while it waits for something.
    pub(crate) draining: bool,
    /// The page that the thread writes to.
    page: u64,
    ports: PortSet,
    // They are in the set.
    data: ReceiveRight,
    _exceptions: ReceiveRight,
    /// Whether the first message in the queue is the one that fills it.
    has_ballast: bool,
    /// The last number that came from each thread, how many exceptions came, and how many of their answers nobody took.
    numbers: [u64; SEATS],
    caught: u64,
    refused: u64,
    /// Records received: of the thread that waits, which is known by its number, and of the other one.
    records: [Vec<Own>; SEATS],
    number_of_waiter: u32,
    last_place: u64,
    lost: u32,
}

impl Stage {
    /// A task that has made one step untraced, after which nothing is done for the first time, and is traced now.
    pub(crate) fn new(situation: Situation, board: Board, host: Option<PortName>) -> Result<Self, Mismatch> {
        board.clear();
        let mut page = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?;
        let address = page.address();
        let waits = move || play(board, WAITER, |number| step(situation, number, &mut page));
        let goes_on = move || {
            play(board, OTHER, |number| send(DATA + OTHER as i32, FIRST, Disposition::CopySend, number as u32));
        };
        let (child, other) = thread::fork_two(waits, goes_on).doing("making a child")?;
        let ports = PortSet::allocate().doing("mach_port_allocate")?;
        let data = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let exceptions = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let to_exceptions = exceptions.make_send().doing("a send right")?;
        give(&child, FIRST, data.name(), Disposition::MakeSend)?;
        kernel::task_set_special_port(child.task.name(), TASK_EXCEPTION_PORT, to_exceptions.name())
            .doing("task_set_special_port")?;
        ports.add(&data).doing("mach_port_move_member")?;
        ports.add(&exceptions).doing("mach_port_move_member")?;
        if let Some(host) = host {
            processors::move_elsewhere(host, child.task.name())?;
        }
        let mut stage = Self {
            situation,
            board,
            child,
            other,
            tracer: None,
            draining: false,
            page: address,
            ports,
            data,
            _exceptions: exceptions,
            has_ballast: false,
            numbers: [0; SEATS],
            caught: 0,
            refused: 0,
            records: [const { Vec::new() }; SEATS],
            number_of_waiter: 0,
            last_place: 0,
            lost: 0,
        };
        stage.child.resume().doing("thread_resume")?;
        kernel::thread_resume(stage.other.name()).doing("thread_resume")?;
        stage.steps(WAITER, 1)?;
        stage.steps(OTHER, 1)?;
        let tracer = Tracer::new(1)?;
        tracer.trace(stage.task()).doing("task_set_special_port")?;
        stage.tracer = Some(tracer);
        Ok(stage)
    }

    pub(crate) fn task(&self) -> PortName {
        self.child.task.name()
    }

    /// Receives a message or an exception of the task's, and the records if that is wanted. False if there was no message.
    pub(crate) fn look(&mut self) -> Result<bool, Mismatch> {
        if self.draining {
            self.drain()?;
        }
        let mut words = [0; 32];
        let (option, limit) = (MACH_RCV_MSG | MACH_RCV_TIMEOUT, size_of_val(&words) as u32);
        let answer = mach_msg(&mut words, option, 0, limit, self.ports.name(), 0, PortName::NULL);
        match KernReturn::from_mach_msg(answer) {
            KernReturn::MACH_RCV_TIMED_OUT => {
                pause(LOOK);
                return Ok(false);
            }
            other => other.into_result().doing("receiving from the task")?,
        }
        if PortName(words[word::LOCAL_PORT] as u32) == self.data.name() {
            let seat = request_id(&words).map_or(0, |id| id as usize - DATA as usize);
            let last = self.numbers.get_mut(seat).doing("a thread with this id")?;
            *last += 1;
            expect("the number of a message", *last, words[5] & 0xffff_ffff)?;
            return Ok(true);
        }
        self.caught += 1;
        let mut reply = [0; 16];
        let served = exc_server::demux(&mut Catcher::default(), &words, &mut reply);
        expect("an exception that is served", true, served)?;
        self.refused += u64::from(send_reply(&mut reply, Patience::None).is_err());
        Ok(true)
    }

    /// Looks until something is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) -> Result<(), Mismatch> {
        for _ in 0..PATIENCE {
            if is_so(self) {
                return Ok(());
            }
            self.look()?;
        }
        Err(Mismatch::new(&format!("{what}: expected within {} s, found not yet", PATIENCE * LOOK / 1000)))
    }

    /// Looks until nothing new has come for a while.
    pub(crate) fn settle(&mut self) -> Result<(), Mismatch> {
        let mut quiet = 0;
        while quiet < QUIET {
            quiet = if self.look()? { 0 } else { quiet + 1 };
        }
        Ok(())
    }

    /// The thread has done all steps that it may.
    pub(crate) fn until_done(&mut self, seat: usize, number: u64) -> Result<(), Mismatch> {
        let what = format!("thread {seat} of the task at the end of step {number}");
        self.until(&what, |stage| stage.board.done(seat) == number)?;
        expect("the result of the step", KernReturn::KERN_SUCCESS, self.board.failed(seat))
    }

    /// Lets a thread make so many steps.
    pub(crate) fn steps(&mut self, seat: usize, count: u32) -> Result<(), Mismatch> {
        for _ in 0..count {
            let number = self.let_step(seat)?;
            self.until_done(seat, number)?;
        }
        Ok(())
    }

    fn let_step(&mut self, seat: usize) -> Result<u64, Mismatch> {
        if (seat, self.situation) == (WAITER, Situation::Exception) {
            self.protect()?;
        }
        Ok(self.board.allow(seat))
    }

    /// Takes the page away, for the next exception. A request on the task's port, of which records are made.
    fn protect(&self) -> Result<(), Mismatch> {
        kernel::vm_protect(self.task(), self.page, PAGE_SIZE, false, VM_PROT_NONE).doing("vm_protect")
    }

    /// Receives all records that there are.
    pub(crate) fn drain(&mut self) -> Result<(), Mismatch> {
        let Some(mut tracer) = self.tracer.take() else { return Ok(()) };
        if core::mem::take(&mut self.has_ballast) {
            let first = Received::receive(&tracer.port, 64, Some(0)).doing("the message that filled the queue")?;
            expect("the first message in the queue", BALLAST, first.id())?;
        }
        let result = self.take_records(&mut tracer);
        self.tracer = Some(tracer);
        result
    }

    fn take_records(&mut self, tracer: &mut Tracer) -> Result<(), Mismatch> {
        while tracer.each(Some(0), |record| {
            self.lost += record.header.lost();
            let Some((thread, place, own)) = Own::of(record) else { return Ok(()) };
            if self.number_of_waiter == 0 {
                self.number_of_waiter = thread;
            }
            let is_later = place > core::mem::replace(&mut self.last_place, place);
            self.records[usize::from(thread != self.number_of_waiter)].push(own);
            expect("a later record behind an earlier one", true, is_later)
        })? {}
        Ok(())
    }

    /// Fills the queue and lets the thread make a step, until it waits for its tracer: whatever else it could wait for is there or has
    /// happened. Returns the step's number.
    pub(crate) fn until_waiting(&mut self) -> Result<u64, Mismatch> {
        for _ in 0..TRIES {
            let number = self.let_step_when_full()?;
            self.until("the begin of a step", |stage| stage.board.begun(WAITER) == number)?;
            self.settle()?;
            if self.board.done(WAITER) != number {
                self.expect_waiting(number)?;
                return Ok(number);
            }
        }
        Err(Mismatch::new("a thread whose tracer's queue is full: expected to wait, found that it goes on"))
    }

    fn let_step_when_full(&mut self) -> Result<u64, Mismatch> {
        if self.situation == Situation::Exception {
            self.protect()?;
        }
        self.drain()?;
        // Behind what is no record no record of the task's is put.
        let to = self.tracer.as_ref().doing("a trace port")?.port.name();
        expect("filling the queue", KernReturn::KERN_SUCCESS, send(BALLAST, to, Disposition::MakeSend, 0))?;
        self.has_ballast = true;
        Ok(self.board.allow(WAITER))
    }

    /// The thread is in a step and waits for its tracer, and the other one runs.
    pub(crate) fn expect_waiting(&mut self, number: u64) -> Result<(), Mismatch> {
        let thread = self.child.thread.name();
        self.until("TH_STATE_WAITING of the thread", |_| waits(thread))?;
        match self.situation {
            Situation::Message => expect("the number that came", number, self.numbers[WAITER])?,
            // Its record comes before it is raised.
            Situation::Exception => expect("exceptions that came", number - 1, self.caught)?,
            Situation::Kernel => self.expect_references(number)?,
        }
        let rounds = self.board.rounds(OTHER);
        self.settle()?;
        self.until("the task's other thread runs", |stage| stage.board.rounds(OTHER) > rounds)?;
        expect("the step that is done, the next one waiting", number - 1, self.board.done(WAITER))
    }

    /// The thread's calls of the kernel have had their effect, each once.
    fn expect_references(&self, calls: u64) -> Result<(), Mismatch> {
        let refs = mach_port::mach_port_get_refs(self.task(), FIRST, Right::Send as u32).doing("mach_port_get_refs")?;
        expect("references, one for each call", 1 + calls, refs.into())
    }

    /// The records received since the last time are these of the thread, none of the other, and none was lost.
    pub(crate) fn expect_records(&mut self, expected: &[Own]) -> Result<(), Mismatch> {
        self.drain()?;
        expect("records of the thread", expected, &self.records[WAITER])?;
        expect("records of the other thread", 0, self.records[OTHER].len())?;
        expect("lost records", 0, self.lost)?;
        self.records[WAITER].clear();
        Ok(())
    }

    /// The records received since the last time are these of the other thread.
    pub(crate) fn expect_records_of_other(&mut self, expected: &[Own]) -> Result<(), Mismatch> {
        self.drain()?;
        expect("records of the other thread", expected, &self.records[OTHER])?;
        expect("lost records", 0, self.lost)?;
        self.records[OTHER].clear();
        Ok(())
    }

    /// All records of these steps.
    pub(crate) fn of_steps(&self, steps: impl Iterator<Item = u64>) -> Vec<Own> {
        steps.flat_map(|number| in_the_way(self.situation, number).into_iter().chain(behind(self.situation))).collect()
    }

    /// All that the thread did has come, each once.
    pub(crate) fn expect_all_came(&mut self) -> Result<(), Mismatch> {
        self.settle()?;
        expect("exceptions whose answer came too late", 0, self.refused)?;
        expect("exceptions that were raised again", 0, self.raised_again()?)?;
        let done = self.board.done(WAITER);
        match self.situation {
            Situation::Message => expect("numbers that came", done, self.numbers[WAITER]),
            Situation::Exception => Ok(()),
            Situation::Kernel => self.expect_references(done),
        }
    }

    /// All has come, where the exception of one step was given up once it was raised. The thread writes again; whether it raises another one
    /// depends on who is first, the thread or who lets it write. Returns how many more there were.
    pub(crate) fn expect_all_came_but_one_answer(&mut self) -> Result<u64, Mismatch> {
        self.settle()?;
        expect("exceptions whose answer came too late", 1, self.refused)?;
        let again = self.raised_again()?;
        expect("an exception that is raised again, once at most", true, again <= 1)?;
        Ok(again)
    }

    fn raised_again(&self) -> Result<u64, Mismatch> {
        let steps = if self.situation == Situation::Exception { self.board.done(WAITER) } else { 0 };
        self.caught.checked_sub(steps).doing("an exception for each step")
    }
}

/// A right of the program's has died.
pub(crate) fn expect_dead(what: &str, name: PortName) -> Result<(), Mismatch> {
    let kind = mach_port::mach_port_type(task_self(), name).doing("mach_port_type")?;
    expect(what, MACH_PORT_TYPE_DEAD_NAME, kind)
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A combination that ends it has done so already.
        let _ = task_terminate(self.task());
    }
}
