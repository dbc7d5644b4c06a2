// SPDX-License-Identifier: GPL-2.0-or-later
//! Rings of the trace ports that somebody receives from: asked for, read, scribbled on, and left when their reader is ended.

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::sys::trap::{task_create, task_terminate};
use mach::task_self;
use programs::random::Random;
use programs::ring::Mappings;
use programs::tracer::{FIRST as PARENT, Tracer, child_with_port, number, send};
use programs::{Doing, Mismatch, expect};
use trace_port::ring::Reader;

use crate::board::Board;

/// Rings that the program has at a time: as many as a task may have.
const MOST: usize = 4;
/// Tracers that have all rings of the kernel's pool between them.
const TRACERS: u32 = 4;
/// Id of a message that says how many rings a tracer has.
const HAVE: i32 = 7500;

/// One that is mapped, and how far it was read. Without heap: who has it may be ended anywhere.
pub(crate) struct Ring {
    mappings: Mappings,
    reader: Reader,
}

impl Ring {
    /// That of the caller's trace port of a task.
    pub(crate) fn of(task: PortName) -> Result<Self, KernReturn> {
        let mappings = Mappings::of(task)?;
        Ok(Self { reader: mappings.reader()?, mappings })
    }

    /// Reads what there is, and does something to the reader's page. `false` if it is of no use any more.
    pub(crate) fn look(&mut self, board: Board, random: &mut Random) -> bool {
        let Some(words) = self.mappings.words() else { return false };
        let seen = self.reader.walk(&words).count();
        board.count_in_rings(seen);
        match random.below(40) {
            0 => words.set_tail(random.word()),
            1 => words.set_tail(random.word() % (2 * words.capacity())),
            2 => words.close(),
            3..8 => words.set_sleeps(random.word() % words.capacity()),
            8 => words.set_wants(random.word()),
            // Who does not say what it has read.
            9..12 => {}
            _ => words.set_tail(self.reader.position()),
        }
        // What is not as usual is of a ring that is another's by now, or stands at the end of the memory: there it is asked for again.
        seen > 0 || words.head() == self.reader.position()
    }
}

/// Those of the program.
#[derive(Default)]
pub(crate) struct Rings(Vec<Ring>);

impl Rings {
    /// One more, of a task's trace port.
    pub(crate) fn ask(&mut self, task: PortName) {
        if let Ok(ring) = Ring::of(task) {
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            self.0.push(ring);
        }
    }

    /// Reads one of them; what else is done to it follows from a random number.
    pub(crate) fn look(&mut self, board: Board, index: usize, draw: u64) {
        let index = index % self.0.len().max(1);
        if self.0.get_mut(index).is_some_and(|ring| !ring.look(board, &mut Random::new(draw))) {
            self.0.remove(index);
        }
    }
}

/// Has the kernel make all rings that it ever makes, and keeps.
pub(crate) fn warm_up() -> Result<(), Mismatch> {
    let report = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut tracers = Vec::new();
    let mut rings = 0;
    for _ in 0..TRACERS {
        let (tracer, _right) = child_with_port(take_rings, &report)?;
        tracer.resume().doing("starting a tracer")?;
        tracers.push(tracer);
        let message = Received::receive(&report, 256, None).doing("receiving a number of rings")?;
        rings += number(&message).doing("a number of rings")?;
    }
    tracers.iter().try_for_each(|tracer| task_terminate(tracer.task.name())).doing("task_terminate")?;
    // A kernel without trace ports has none.
    expect("whether the rings are those of a pool", true, rings == 0 || rings > TRACERS * MOST as u32 - 2)
}

/// A tracer that takes as many rings as it may have.
fn take_rings() {
    let mut kept = Vec::new();
    while let Some(ring) = take_ring() {
        kept.push(ring);
    }
    send(HAVE, PARENT, Disposition::CopySend, kept.len() as u32);
    // Nothing comes: the program ends this task.
    let _ = ReceiveRight::allocate().and_then(|port| Received::receive(&port, 256, None));
}

/// A traced task and the ring of its trace port.
fn take_ring() -> Option<(SendRight, Tracer, Ring)> {
    let task = SendRight::from_name(task_create(task_self(), false).ok()?);
    let tracer = Tracer::new(1).ok()?;
    tracer.trace(task.name()).ok()?;
    let ring = Ring::of(task.name()).ok()?;
    ring.mappings.touch();
    Some((task, tracer, ring))
}
