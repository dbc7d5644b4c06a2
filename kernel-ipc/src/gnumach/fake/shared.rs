// SPDX-License-Identifier: GPL-2.0-or-later
//! Rings of tracers in the fake kernel's memory.

use std::vec::Vec;

use trace_port::ring::{FRAMES_WORD, TRACERS_SIZE, WISHES_WORD};

use super::*;

/// The port that stands for a ring's memory, or for its reader's page.
const fn object(place: usize, is_readers_page: bool) -> Port {
    Port::fake(0x9000 + 0x20 * place + if is_readers_page { 0x10 } else { 0 })
}

impl Fake {
    /// Takes back a right to map a ring, as if it was never mapped.
    pub(crate) fn unmap(&self, object: SendRight) {
        self.ipc_port_release_send(object);
    }
}

impl Shared for Fake {
    fn port_reference(&self, port: Port) -> Reference<Port> {
        self.references.set(self.references.get() + 1);
        Reference::fake(port)
    }
    fn port_release(&self, _: Reference<Port>) {
        self.references.set(self.references.get() - 1);
    }
    fn ring_message(&self, blank: Blank, right: SendRight) -> OwnedKmsg {
        self.write(blank.kmsg(), 0, objects::ring_message(right).as_bytes());
        OwnedKmsg::fake(blank.kmsg())
    }
    fn tracers_ring(&self, place: usize) -> Option<&'static Ring<'static, AtomicU64>> {
        self.rings.borrow().get(&place).copied()
    }

    fn make_ring(&self, place: usize) -> bool {
        self.unlocked();
        if self.script.borrow().no_room {
            return false;
        }
        self.rings.borrow_mut().entry(place).or_insert_with(|| {
            let words: Vec<AtomicU64> = (0..TRACERS_SIZE / 8).map(|_| AtomicU64::new(0)).collect();
            let (header, frames) = Box::leak(words.into_boxed_slice()).split_at(FRAMES_WORD);
            Box::leak(Box::new(Ring::in_parts(&header[..WISHES_WORD], &header[WISHES_WORD..], frames).unwrap()))
        });
        for is_readers_page in [false, true] {
            if !self.ports.borrow().contains_key(&object(place, is_readers_page).address()) {
                self.add_port(object(place, is_readers_page), KERNEL_TASK);
            }
        }
        true
    }

    fn ring_is_unused(&self, place: usize) -> bool {
        let rights = |is_readers_page| {
            let ports = self.ports.borrow();
            ports.get(&object(place, is_readers_page).address()).map_or(0, |port| port.rights)
        };
        rights(false) + rights(true) == 0
    }

    fn ring_object(&self, place: usize, is_readers_page: bool) -> Result<SendRight, u32> {
        self.unlocked();
        self.ipc_port_copy_send(object(place, is_readers_page)).ok_or(mr::KERN_RESOURCE_SHORTAGE)
    }
}
