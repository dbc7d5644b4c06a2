// SPDX-License-Identifier: GPL-2.0-or-later
//! Who gets a ring, and when it ends.

use core::sync::atomic::Ordering::Relaxed;

use trace_port::ring::Producer;

use super::{Hold, KEPT, OF_TASK, OWED, PLACES, RingKey, Rings};
use crate::gnumach::{Kernel, Port, Reference, SendRight, Space, Task, mr};
use crate::observe;
use crate::state::State;
use crate::writer::Pen;

/// Answers for `TASK_TRACE_RING` and, if `is_readers_page`, `TASK_TRACE_READER`: a right to map the ring of the trace port of this task that the caller
/// receives from, or a part of it.
///
/// # Errors
/// `KERN_FAILURE` for a task that is dying, `KERN_NO_ACCESS` where the task is not traced to a port that the caller receives from,
/// `KERN_RESOURCE_SHORTAGE` where there is no ring, or the caller has as many as it may.
#[inline(never)]
pub(crate) fn give(kernel: &impl Kernel, state: &State, task: Task, is_readers_page: bool) -> Result<SendRight, u32> {
    if !kernel.task_is_alive(task) {
        return Err(mr::KERN_FAILURE);
    }
    let caller = observe::current_task(kernel);
    let port = state.port_received_by(kernel, task, caller).ok_or(mr::KERN_NO_ACCESS)?;
    collect(kernel, state);
    let place = match state.rings.place_of(port.get()) {
        Some(place) => {
            kernel.port_release(port);
            place
        }
        None => give_another(kernel, state, caller, port)?,
    };
    kernel.ring_object(place, is_readers_page)
}

/// A place for a port that has none.
#[inline(never)]
fn give_another(kernel: &impl Kernel, state: &State, caller: Task, port: Reference<Port>) -> Result<usize, u32> {
    let rings = &state.rings;
    let Some(index) = rings.claim(kernel, caller) else {
        kernel.port_release(port);
        return Err(mr::KERN_RESOURCE_SHORTAGE);
    };
    // No lock is held: it may sleep.
    let made = kernel.make_ring(index).then(|| kernel.tracers_ring(index)).flatten();
    let (Some(ring), Some(place)) = (made, rings.tracers().get(index)) else {
        rings.hold(index, Hold::Free);
        kernel.port_release(port);
        return Err(mr::KERN_RESOURCE_SHORTAGE);
    };
    // What tasks' words say of who had it before goes with its number.
    state.forget_rings(kernel);
    {
        place.writer.keep_ring(*ring);
        let mut pen = place.writer.pen();
        *pen = Pen::of(Producer::keeping(KEPT), OWED, u32::MAX);
        ring.clear();
        pen.producer.begin(ring);
        // 0 is none.
        let given = rings.given.fetch_add(1, Relaxed).wrapping_add(1).max(1);
        place.given.store(given, Relaxed);
        place.writer.set_bits(RingKey { place: index as u32, given }.bits());
    }
    Ok(rings.publish(kernel, index, (port, kernel.task_space(caller))))
}

/// A task ends: its rings do.
#[inline(never)]
pub(crate) fn end_of(kernel: &impl Kernel, state: &State, task: Task) {
    state.rings.end_where(kernel, |rings, index| rings.is_task_of(index, task));
}

/// Rings end whose ports are not received from any more by who has asked for them.
#[inline(never)]
pub(crate) fn collect(kernel: &impl Kernel, state: &State) {
    state.rings.end_where(kernel, |rings, index| {
        !rings.tracers().get(index).is_some_and(|place| place.port.is_received(kernel))
    });
}

impl Rings {
    fn hold(&self, index: usize, hold: Hold) {
        if let Some(known) = self.holds.lock().get_mut(index) {
            *known = hold;
        }
    }

    fn is_task_of(&self, index: usize, task: Task) -> bool {
        self.tracers().get(index).is_some_and(|place| place.task.load(Relaxed) == task.address())
    }

    fn place_of(&self, port: Port) -> Option<usize> {
        self.place_among(&self.holds.lock(), port)
    }

    fn place_among(&self, holds: &[Hold; PLACES], port: Port) -> Option<usize> {
        self.tracers().iter().zip(holds).position(|(place, hold)| *hold == Hold::Given && place.port.is(port))
    }

    /// Claims a place that nobody has, in whatever way, for a task, unless that has as many as it may, with those that it is about to get.
    pub(super) fn claim(&self, kernel: &impl Kernel, task: Task) -> Option<usize> {
        let mut holds = self.holds.lock();
        let of_task = |(index, hold): &(usize, &Hold)| **hold != Hold::Free && self.is_task_of(*index, task);
        if holds.iter().enumerate().filter(of_task).count() >= OF_TASK {
            return None;
        }
        let is_free = |(index, hold): &(usize, &mut Hold)| {
            let is_idle = self.tracers().get(*index).is_some_and(|place| place.writer.pen().producer.is_idle());
            **hold == Hold::Free && is_idle && kernel.ring_is_unused(*index)
        };
        let (index, hold) = holds.iter_mut().enumerate().find(is_free)?;
        self.tracers().get(index)?.task.store(task.address(), Relaxed);
        *hold = Hold::Claimed;
        Some(index)
    }

    /// A claimed place is a port's from now on, which this space receives from. Returns where the port's ring is: elsewhere if another thread has
    /// asked for it meanwhile.
    pub(super) fn publish(&self, kernel: &impl Kernel, index: usize, (port, space): (Reference<Port>, Space)) -> usize {
        let mut holds = self.holds.lock();
        let known = self.place_among(&holds, port.get());
        if let (None, Some(place), Some(hold)) = (known, self.tracers().get(index), holds.get_mut(index)) {
            place.port.keep(port, space);
            *hold = Hold::Given;
            return index;
        }
        drop(holds);
        self.hold(index, Hold::Free);
        kernel.port_release(port);
        known.unwrap_or(index)
    }

    /// Ends those of which this is so.
    fn end_where(&self, kernel: &impl Kernel, is_it: impl Fn(&Self, usize) -> bool) {
        if !self.are_there() {
            return;
        }
        for (index, place) in self.tracers().iter().enumerate() {
            if !self.claim_to_end(index, &is_it) {
                continue;
            }
            let port = place.port.end();
            self.hold(index, Hold::Free);
            if let Some(port) = port {
                kernel.port_release(port);
            }
        }
    }

    /// Claims a place that is given, if it is one of which this is so: one of several that are about to end it does.
    fn claim_to_end(&self, index: usize, is_it: impl Fn(&Self, usize) -> bool) -> bool {
        let mut holds = self.holds.lock();
        let Some(hold) = holds.get_mut(index).filter(|hold| **hold == Hold::Given) else { return false };
        let is_it = is_it(self, index);
        if is_it {
            *hold = Hold::Claimed;
        }
        is_it
    }
}
