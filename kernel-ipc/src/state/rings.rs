// SPDX-License-Identifier: GPL-2.0-or-later
//! Which traces have a ring, and whose records may go there.

use super::{State, place};
use crate::engines::EngineKey;
use crate::gnumach::{Kernel, Key, Port, Reference, SendRight, Task};
use crate::rings::RingKey;

impl State {
    /// The trace port of a task, its own or an engine's, that another task receives from.
    pub(crate) fn port_received_by(&self, kernel: &impl Kernel, task: Task, by: Task) -> Option<Reference<Port>> {
        let mut table = self.table.lock();
        let at = place(kernel, task);
        table.find(at, task)?;
        let space = kernel.task_space(by);
        let port = table.ports(at, |port| kernel.port_is_received_in(port, space))?;
        // Under the lock: the entry, or the engine, has a right to it.
        Some(kernel.port_reference(port))
    }

    /// Whether records of a trace may go to the ring of its trace port.
    pub(crate) fn is_introduced(&self, key: Key, ring: RingKey) -> bool {
        self.table.lock().of(key).is_some_and(|entry| entry.introduced() == ring.given())
    }

    /// A message with the right to a trace's task has been queued at the trace port, its own or an engine's, which has a ring: records of the task
    /// may go there from now on.
    #[inline(never)]
    pub(crate) fn introduce(&self, kernel: &impl Kernel, (key, engine): (Key, Option<EngineKey>), ring: RingKey) {
        let mut table = self.table.lock();
        match engine {
            None => {
                if let Some(entry) = table.of(key).filter(|entry| self.rings.is_of(ring, entry.port())) {
                    entry.set_introduced(ring.given());
                }
            }
            Some(engine) => {
                let attached = table.list_of(key).and_then(|list| list.iter_mut().find(|each| each.engine == engine));
                if let Some(attached) = attached.filter(|attached| attached.dropped == 0) {
                    attached.introduced = ring.given();
                }
            }
        }
        self.count_wanted(kernel, &mut table, key.entry);
    }

    /// A new right to the trace port of a task that a ring is of, if it is still one of the task's.
    #[cold]
    #[inline(never)]
    pub(crate) fn right_to_ring(&self, kernel: &impl Kernel, task: Task, ring: RingKey) -> Option<SendRight> {
        let mut table = self.table.lock();
        let at = place(kernel, task);
        table.find(at, task)?;
        let port = table.ports(at, |port| self.rings.is_of(ring, port))?;
        // Under the lock, because whoever takes the port away releases its right.
        kernel.ipc_port_copy_send(port)
    }

    /// No task's word tells a ring any more that is to be another tracer's.
    pub(crate) fn forget_rings(&self, kernel: &impl Kernel) {
        let mut table = self.table.lock();
        for at in 1..=table.last() {
            self.count_wanted(kernel, &mut table, at);
        }
    }
}
