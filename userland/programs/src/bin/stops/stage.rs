// SPDX-License-Identifier: GPL-2.0-or-later
//! The traced task of one combination, one of whose threads is stopped.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::stubs::mach::task_threads;
use mach::stubs::trace_control::{trace_action_t, trace_finish, trace_prepare, trace_set_actions, trace_stop};
use mach::sys::trap::task_terminate;
use mach::thread::{self, Child};
use programs::engine::{Wish, attach};
use programs::patience::pause;
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, Seen, Tracer, give, send};
use programs::{Doing, Mismatch, expect, processors};
use trace_port::EventKind;
use trace_port::control::stop::{EVERY_THREAD, place};
use trace_port::control::{event, flag, what};

/// Ids of the messages between parent and child.
const GO: i32 = 6810;
const DONE: i32 = 6811;
/// Most bytes of those messages.
const LIMIT: u32 = 64;
/// How long something may take, in milliseconds.
pub(crate) const PATIENCE: u32 = 5000;
/// In which a thread that goes on would do something, in milliseconds.
const A_WHILE: u32 = 50;
/// Milliseconds of one look.
const LOOK: u32 = 5;

/// Where the thread is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before it sends a message.
    Send,
    /// Before the call returns that has received a message.
    Return,
    /// Before its first instruction.
    Birth,
    /// In user mode.
    Running,
    /// In a receive for which there is nothing.
    Asleep,
}

impl Place {
    pub(crate) const ALL: [Self; 5] = [Self::Send, Self::Return, Self::Birth, Self::Running, Self::Asleep];

    /// As records say it.
    const fn place(self) -> u32 {
        match self {
            Self::Send => place::BEFORE_SEND,
            Self::Return => place::BEFORE_RETURN,
            Self::Birth => place::AT_BIRTH,
            Self::Running | Self::Asleep => place::ON_REQUEST,
        }
    }
}

/// A task with a thread that is stopped, and the engine that stops it.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) engine: Option<SendRight>,
    /// The thread's number.
    pub(crate) number: u32,
    count: &'static AtomicU64,
    child: Child,
    to_child: SendRight,
    tracer: Tracer,
    // The child's messages come here.
    _from_child: ReceiveRight,
}

impl Stage {
    pub(crate) fn new(place: Place, count: &'static AtomicU64, host: Option<PortName>) -> Result<Self, Mismatch> {
        count.store(0, SeqCst);
        let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let to_child = port.make_send().doing("a send right to the child's port")?;
        let child = thread::fork(move || play(place, count)).doing("making a child")?;
        give(&child, PARENT, from_child.name(), Disposition::MakeSend)?;
        give(&child, CHILD, port.into_name(), Disposition::MoveReceive)?;
        if let Some(host) = host {
            processors::move_elsewhere(host, child.task.name())?;
        }
        let tracer = Tracer::new(16)?;
        let wish = Wish::new("stops").of(event::STOP | event::THREAD_DEATH | event::TASK_DEATH);
        let engine =
            attach(child.task.name(), &tracer, wish.with(flag::CONTROL | flag::BIRTHS)).doing("trace_attach")?;
        let (engine, number) = (Some(engine), 0);
        let mut stage = Self { place, engine, number, count, child, to_child, tracer, _from_child: from_child };
        stage.begin()?;
        stage.stands()?;
        Ok(stage)
    }

    /// Until the thread is stopped.
    fn begin(&mut self) -> Result<(), Mismatch> {
        match self.place {
            Place::Send => self.act(DONE, what::STOP)?,
            Place::Return => self.act(GO, what::HOLD)?,
            _ => {}
        }
        self.child.resume().doing("starting the child")?;
        match self.place {
            Place::Send | Place::Return => self.go()?,
            Place::Birth => {}
            Place::Running => {
                until_more(self.count, 0)?;
                trace_stop(self.engine()?, EVERY_THREAD).doing("trace_stop")?;
            }
            Place::Asleep => {
                pause(A_WHILE);
                trace_stop(self.engine()?, EVERY_THREAD).doing("trace_stop")?;
            }
        }
        self.stopped(self.place.place())
    }

    fn act(&self, id: i32, what: u32) -> Result<(), Mismatch> {
        let id = id as u32;
        let action = trace_action_t { first: id, last: id, what, value: 0, nth: 1, step: 1 };
        trace_set_actions(self.engine()?, &[action]).doing("trace_set_actions")
    }

    fn go(&self) -> Result<(), Mismatch> {
        let sent = send(GO, self.to_child.name(), Disposition::CopySend, 0);
        expect("sending to the child", KernReturn::KERN_SUCCESS, sent)
    }

    pub(crate) fn engine(&self) -> Result<PortName, Mismatch> {
        self.engine.as_ref().map(SendRight::name).doing("an engine")
    }

    pub(crate) fn task(&self) -> PortName {
        self.child.task.name()
    }

    /// The thread that is stopped: the newest of its task.
    pub(crate) fn thread(&self) -> Result<SendRight, Mismatch> {
        let thread = task_threads(self.task()).doing("task_threads")?.last().doing("a thread")?;
        Ok(SendRight::from_name(thread.into_name()))
    }

    /// How much it has done.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    /// The next record says that a thread has stopped here.
    pub(crate) fn stopped(&mut self, place: u32) -> Result<(), Mismatch> {
        let seen = self.tracer.record(Some(PATIENCE))?.doing("a record")?;
        expect("the record", (EventKind::Stopped, place), (seen.kind, seen.header.sender.get()))?;
        self.number = seen.header.thread.get();
        Ok(())
    }

    /// The records up to one of this kind.
    pub(crate) fn until(&mut self, kind: EventKind) -> Result<Seen, Mismatch> {
        loop {
            let seen = self.tracer.record(Some(PATIENCE))?.doing("a record")?;
            if seen.kind == kind {
                return Ok(seen);
            }
        }
    }

    /// The number of the stop.
    pub(crate) fn prepare(&self) -> Result<u32, Mismatch> {
        let mut tries = 0;
        loop {
            match trace_prepare(self.engine()?, self.number) {
                // It comes to stand still.
                Err(KernReturn::KERN_FAILURE) if tries < PATIENCE / LOOK => pause(LOOK),
                result => return result.doing("trace_prepare"),
            }
            tries += 1;
        }
    }

    /// The thread does nothing, and is said not to have moved.
    pub(crate) fn stands(&mut self) -> Result<(), Mismatch> {
        let stop = self.prepare()?;
        self.stays(self.count())?;
        trace_finish(self.engine()?, self.number, stop).doing("trace_finish")
    }

    /// The thread does nothing.
    pub(crate) fn stays(&self, count: u64) -> Result<(), Mismatch> {
        pause(A_WHILE);
        expect("what a thread does that is stopped", count, self.count())
    }

    /// The thread goes on.
    pub(crate) fn goes_on(&mut self, before: u64) -> Result<(), Mismatch> {
        if self.place == Place::Asleep {
            self.go()?;
        }
        until_more(self.count, before)
    }

    /// The task ends at once.
    pub(crate) fn end(&mut self) -> Result<(), Mismatch> {
        task_terminate(self.task()).doing("task_terminate")
    }
}

/// One that is not as expected does not disturb the next.
impl Drop for Stage {
    fn drop(&mut self) {
        let _ = task_terminate(self.task());
    }
}

/// Waits until a count is larger.
pub(crate) fn until_more(count: &AtomicU64, before: u64) -> Result<(), Mismatch> {
    for _ in 0..PATIENCE / LOOK {
        if count.load(SeqCst) > before {
            return Ok(());
        }
        pause(LOOK);
    }
    Err(Mismatch::new("a thread that goes on: expected that it does something, found nothing"))
}

/// What the child runs. It does not return.
fn play(place: Place, count: &'static AtomicU64) {
    match place {
        Place::Running => loop {
            count.fetch_add(1, SeqCst);
        },
        Place::Birth => {
            let _ = thread::spawn(move || {
                count.fetch_add(1, SeqCst);
                sleep()
            });
            sleep()
        }
        Place::Send | Place::Return | Place::Asleep => answer(place, count),
    }
}

fn sleep() -> ! {
    loop {
        pause(1000);
    }
}

fn answer(place: Place, count: &AtomicU64) -> ! {
    let port = ReceiveRight::from_name(CHILD);
    loop {
        if Received::receive(&port, LIMIT, None).is_err() {
            continue;
        }
        while place == Place::Send && send(DONE, PARENT, Disposition::CopySend, 0) != KernReturn::KERN_SUCCESS {}
        count.fetch_add(1, SeqCst);
    }
}
