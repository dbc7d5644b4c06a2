// SPDX-License-Identifier: GPL-2.0-or-later
//! Engines of the players, and everything that one can ask of them: right, wrong, and of any shape.

use alloc::vec::Vec;

use mach::msg::Received;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::stubs::trace_control::{
    trace_action_t, trace_answer, trace_attach, trace_barrier, trace_detach, trace_engine, trace_finish,
    trace_interrupt, trace_prepare, trace_report, trace_resume, trace_rule_t, trace_set_actions, trace_set_events,
    trace_set_filter, trace_stop,
};
use mach::sys::msg::mach_msg;
use mach::sys::trap::task_terminate;
use mach_abi::header::{MACH_MSGH_BITS_COMPLEX, bits, word};
use mach_abi::option::{MACH_SEND_MSG, MACH_SEND_TIMEOUT};
use mach_abi::type_name::COPY_SEND;
use programs::engine::{Wish, attach, engines, name_of};
use programs::random::Random;
use programs::requests::{self, DISPOSITIONS, LONGEST, Memory};
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, Tracer, child_with_port, send};
use programs::{Doing, Mismatch};
use trace_port::control::stop::{EVERY_THREAD, STOP_ID};
use trace_port::control::{ANSWER_ID, BARRIER_ID, SET_ACTIONS_ID, event, flag, policy, what};
use zerocopy::IntoBytes;

use crate::board::Board;
use crate::names::{ABSENT, PLAYERS};

/// Engines that there are at most at a time.
const MOST: usize = 24;
/// Milliseconds that a message is late at most.
const LATE: u32 = 20;
/// Id of the message that is stopped once.
const STOPPED: i32 = 7400;

/// Rights to their ports.
pub(crate) struct Engines {
    rights: Vec<SendRight>,
    buffer: [u64; LONGEST / 8],
    memory: Memory,
}

impl Engines {
    /// None yet.
    pub(crate) fn new() -> Result<Self, Mismatch> {
        let memory = Memory::new().doing("memory for requests")?;
        Ok(Self { rights: Vec::new(), buffer: [0; LONGEST / 8], memory })
    }

    /// One more, of a task, that tells whoever receives from a port.
    pub(crate) fn attach(&mut self, task: PortName, port: PortName, wish: u64) {
        let field = |shift: u32, all: u32| (wish >> shift) as u32 & all;
        // Children would be in more lists than are made before anything is counted; nobody would resume those that are stopped at their birth.
        let flags = field(0, flag::ALL & !flag::CHILDREN & !flag::BIRTHS)
            | if wish.is_multiple_of(8) { 0 } else { flag::CREATE };
        let (events, policy) = (field(5, event::ALL), if wish & 1 << 17 == 0 { policy::BLOCK } else { policy::DROP });
        let made = trace_attach(task, port, Disposition::CopySend, name_of("soak"), flags, events, policy);
        if let Ok(engine) = made {
            if self.rights.len() == MOST {
                self.rights.remove(0);
            }
            self.rights.push(engine);
        }
        let _ = engines(task);
    }

    /// Something of an engine, of a player.
    pub(crate) fn ask(&mut self, index: usize, board: Board, (player, thread): (usize, usize), draw: u64) {
        let Some(engine) = self.rights.get(index % self.rights.len().max(1)).map(SendRight::name) else {
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

    /// A request of any shape, without rights that are anything: they would be moved away from where they are needed.
    fn shapeless(&mut self, to: PortName, draw: u64) {
        let bytes = &mut self.buffer.as_mut_bytes()[..LONGEST];
        let right = |random: &mut Random| {
            let name = random.pick(&[PortName::NULL, PortName::DEAD, ABSENT], PortName::NULL);
            (random.pick(&DISPOSITIONS, 0), name)
        };
        let request = requests::write(bytes, &mut Random::new(draw), &mut self.memory, right);
        // What the players say to each other is as they expect it, and nobody waits for long.
        if matches!(request.id, SET_ACTIONS_ID | ANSWER_ID | BARRIER_ID | STOP_ID) {
            return;
        }
        let complex = if request.is_complex { MACH_MSGH_BITS_COMPLEX } else { 0 };
        self.buffer[word::BITS] = u64::from(bits(COPY_SEND, 0) | complex);
        self.buffer[word::REMOTE_PORT] = to.0.into();
        self.buffer[word::LOCAL_PORT] = 0;
        self.buffer[word::ID] = u64::from(request.id) << 32;
        let option = MACH_SEND_MSG | MACH_SEND_TIMEOUT;
        mach_msg(&mut self.buffer, option, request.size, 0, PortName::NULL, 0, PortName::NULL);
    }

    /// One ends with its last right.
    pub(crate) fn forget(&mut self, index: usize) {
        if !self.rights.is_empty() {
            self.rights.swap_remove(index % self.rights.len());
        }
    }

    /// All do.
    pub(crate) fn forget_all(&mut self) {
        self.rights.clear();
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
