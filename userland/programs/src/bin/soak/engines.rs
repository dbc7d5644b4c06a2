// SPDX-License-Identifier: GPL-2.0-or-later
//! Engines of the players, and everything that one can ask of them: right, wrong, and of any shape.

use alloc::vec::Vec;

use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::stubs::trace_control::{
    trace_action_t, trace_answer, trace_attach, trace_barrier, trace_detach, trace_engine, trace_finish,
    trace_interrupt, trace_prepare, trace_report, trace_resume, trace_rule_t, trace_set_actions, trace_set_events,
    trace_set_filter, trace_stop,
};
use mach::sys::trap::task_terminate;
use programs::engine::{Wish, attach, engines, name_of};
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, Tracer, child_with_port, send};
use programs::{Doing, Mismatch};
use trace_port::control::stop::EVERY_THREAD;
use trace_port::control::{event, flag, policy, what};

use crate::board::Board;
use crate::names::PLAYERS;

/// Engines that there are at most at a time.
const MOST: usize = 24;
/// Milliseconds that a message is late at most.
const LATE: u32 = 20;
/// Id of the message that is stopped once.
const STOPPED: i32 = 7400;
/// Beyond the first and the last request of trace_control.defs.
const REQUESTS: core::ops::Range<u64> = 5099..5125;

/// Rights to their ports.
#[derive(Default)]
pub(crate) struct Engines(Vec<SendRight>);

impl Engines {
    /// One more, of a task, that tells whoever receives from a port.
    pub(crate) fn attach(&mut self, task: PortName, port: PortName, wish: u64) {
        let field = |shift: u32, all: u32| (wish >> shift) as u32 & all;
        // Children would be in more lists than are made before anything is counted; nobody would resume those that are stopped at their birth.
        let flags = field(0, flag::ALL & !flag::CHILDREN & !flag::BIRTHS)
            | if wish.is_multiple_of(8) { 0 } else { flag::CREATE };
        let (events, policy) = (field(5, event::ALL), if wish & 1 << 17 == 0 { policy::BLOCK } else { policy::DROP });
        let made = trace_attach(task, port, Disposition::CopySend, name_of("soak"), flags, events, policy);
        if let Ok(engine) = made {
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            self.0.push(engine);
        }
        let _ = engines(task);
    }

    /// Something of an engine, of a player.
    pub(crate) fn ask(&self, index: usize, board: Board, (player, thread): (usize, usize), draw: u64) {
        let Some(engine) = self.0.get(index % self.0.len().max(1)).map(SendRight::name) else {
            return self.shapeless(board.task(player), draw);
        };
        let number = (draw >> 8) as u32;
        let _ = match draw % 16 {
            0 => trace_set_events(engine, number & event::ALL, (draw >> 23) as u32 & 1),
            1 => trace_set_filter(engine, number % 4096, &rules(draw)),
            2 | 3 => trace_set_actions(engine, &actions(draw)),
            4 => trace_detach(engine, board.task(player), Disposition::CopySend),
            // Nobody waits for an engine that has let go: the barrier comes to its end.
            5 => trace_detach(engine, PortName::NULL, Disposition::CopySend).and_then(|()| trace_barrier(engine)),
            6 => trace_engine(engine).map(drop),
            7 | 8 => trace_answer(engine, number % 256, what::GO, 0),
            9 => trace_resume(engine, number % 256),
            10 => trace_attach(engine, board.thread(player, thread), Disposition::CopySend, name_of(""), 1, 1, 0)
                .map(drop),
            // Those that are stopped at this moment are looked at, and go on.
            11 | 12 => {
                let _ = trace_stop(engine, if draw & 1 << 40 == 0 { EVERY_THREAD } else { number % 256 });
                examine(engine, number % 256);
                trace_resume(engine, EVERY_THREAD)
            }
            13 => trace_interrupt(engine, number % 256),
            14 => trace_report(engine, number % 256).map(drop),
            _ => {
                self.shapeless(engine, draw);
                Ok(())
            }
        };
    }

    /// A message that is no request, or one of another shape.
    fn shapeless(&self, to: PortName, draw: u64) {
        let id = REQUESTS.start + (draw >> 8) % (REQUESTS.end - REQUESTS.start);
        let mut message = Message::new(id as i32, to, Disposition::CopySend);
        for item in 0..draw % 5 {
            message = if draw >> (20 + item) & 1 == 0 {
                message.integer((draw >> (8 * item)) as u32)
            } else {
                message.port(to, Disposition::CopySend)
            };
        }
        message.send(Some(0));
    }

    /// One ends with its last right.
    pub(crate) fn forget(&mut self, index: usize) {
        if !self.0.is_empty() {
            self.0.swap_remove(index % self.0.len());
        }
    }

    /// All do.
    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
    }
}

/// As a debugger looks at a thread.
fn examine(engine: PortName, thread: u32) {
    if let Ok(stop) = trace_prepare(engine, thread) {
        let _ = trace_finish(engine, thread, stop);
    }
}

fn rules(draw: u64) -> [trace_rule_t; 3] {
    core::array::from_fn(|index| {
        let part = (draw >> (8 * index)) as u32;
        trace_rule_t { flags: part % 8, first: part % 7500, last: part % 7500 + part % 512, port: part % 4 }
    })
}

/// What players say to each other is only late, or waits: they look at what they get.
fn actions(draw: u64) -> [trace_action_t; 2] {
    core::array::from_fn(|index| {
        let part = (draw >> (8 * index)) as u32;
        let what = [what::GO, what::STOP, what::DELAY, what::HOLD][part as usize % 4];
        let value = if what == what::DELAY { part % LATE } else { 0 };
        trace_action_t { first: 0, last: u32::MAX, what, value, nth: 1 + part % 16, step: part % 32 }
    })
}

/// As many as there ever are, and one thread that waits: what the kernel takes for them it keeps.
pub(crate) fn warm_up() -> Result<(), Mismatch> {
    let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut tracer = Tracer::new(16)?;
    let mut made = Vec::new();
    let mut children = Vec::new();
    for _ in 0..PLAYERS.max(MOST / 8) {
        let (child, to_child) = child_with_port(answer, &from_child)?;
        for _ in 0..8 {
            let wish = Wish::new("soak").of(event::STOP).with(flag::CONTROL);
            match attach(child.task.name(), &tracer, wish) {
                Ok(engine) => made.push(engine),
                // This kernel has no such.
                Err(_) => return Ok(()),
            }
        }
        children.push((child, to_child));
    }
    let (child, to_child) = &children[0];
    let stop = trace_action_t { first: 0, last: u32::MAX, what: what::STOP, value: 0, nth: 1, step: 0 };
    trace_set_actions(made[0].name(), &[stop]).doing("trace_set_actions")?;
    child.resume().doing("starting a child")?;
    let _ = send(STOPPED, to_child.name(), Disposition::CopySend, 0);
    tracer.record(None)?.doing("a thread that waits")?;
    drop(made);
    Received::receive(&from_child, 64, None).doing("its message, once nobody says what becomes of it")?;
    for (child, _) in &children {
        // One has ended by itself.
        let _ = task_terminate(child.task.name());
    }
    Ok(())
}

/// What a child runs.
fn answer() {
    let port = ReceiveRight::from_name(CHILD);
    if Received::receive(&port, 64, None).is_ok() {
        let _ = send(STOPPED, PARENT, Disposition::CopySend, 0);
    }
}
