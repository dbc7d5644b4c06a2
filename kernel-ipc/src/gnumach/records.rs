//! Messages to trace ports on the running kernel, before they are sent.

use zerocopy::{FromBytes, IntoBytes, KnownLayout, Unaligned};

use super::copy::copy;
#[cfg(feature = "faults")]
use super::faulty;
use super::mach::{MSGH_REMOTE_PORT, Mach, header, load, store};
use super::slots::slot;
use super::{Key, Kmsg, Note, OwnedKmsg, Port, Records, queue};
use crate::numbers::TaskNumber;
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn ipc_kmsg_free(kmsg: usize);
    #[cfg_attr(feature = "faults", link_name = "faulty_kalloc")]
    fn kalloc(size: usize) -> usize;
}

impl Records for Mach {
    #[cfg_attr(not(feature = "faults"), expect(unused_variables, reason = "faults strike where something is lost"))]
    fn record_alloc(&self, size: usize, ahead: bool) -> Option<OwnedKmsg> {
        #[cfg(feature = "faults")]
        if ahead && faulty::refuses_ahead() {
            return None;
        }
        let total = queue::record_total(size);
        // SAFETY: kalloc may be called with nothing locked; it returns 0 when there is no memory.
        let kmsg = unsafe { kalloc(total) };
        if kmsg == 0 {
            return None;
        }
        store(kmsg, Slot::kmsg_size, total);
        store(kmsg, Slot::kmsg_marequest, 0usize);
        if kmsg != (kmsg as i32) as usize & !7 {
            // SAFETY: consumes a kmsg of the size it says, without rights.
            unsafe { ipc_kmsg_free(kmsg) };
            return None;
        }
        OwnedKmsg::own(kmsg)
    }

    #[inline(always)]
    fn record_room(&self, kmsg: Kmsg) -> Option<usize> {
        queue::record_room(kmsg)
    }

    #[inline(always)]
    fn look_at_queue(&self, message: Kmsg, look: impl FnMut(Kmsg) -> Option<bool>) -> bool {
        let append = || queue::look(Port(header(message, MSGH_REMOTE_PORT)), look);
        #[cfg(feature = "faults")]
        return faulty::append(append);
        #[cfg(not(feature = "faults"))]
        append()
    }

    #[inline(always)]
    fn note(&self, record: Kmsg) -> Note {
        let (whose, numbers): (u64, u64) = (load(record.0, Slot::kmsg_next), load(record.0, Slot::kmsg_prev));
        let key = Key { entry: (whose >> 32) as u32, number: TaskNumber::new(whose as u32) };
        Note { key, part: (numbers >> 32) as u32, lost: numbers as u32 }
    }

    #[inline(always)]
    fn set_note(&self, record: Kmsg, note: Note) {
        store(record.0, Slot::kmsg_next, u64::from(note.key.entry) << 32 | u64::from(note.key.number.get()));
        store(record.0, Slot::kmsg_prev, u64::from(note.part) << 32 | u64::from(note.lost));
    }

    #[inline(always)]
    fn link(&self, record: Kmsg) -> usize {
        load(record.0, Slot::kmsg_marequest)
    }

    #[inline(always)]
    fn set_link(&self, record: Kmsg, link: usize) {
        store(record.0, Slot::kmsg_marequest, link);
    }

    #[inline(always)]
    fn record_read(&self, record: Kmsg, offset: usize) -> u64 {
        header(record, offset)
    }

    #[inline(always)]
    fn record_write(&self, record: Kmsg, offset: usize, bytes: &[u8]) {
        let to = (record.0 + slot(Slot::kmsg_header) + offset) as *mut u8;
        // SAFETY: `record_alloc` was asked for at least `offset + bytes.len()` message bytes, and nobody else knows the kmsg yet.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    #[inline(always)]
    fn record_part<T: FromBytes + IntoBytes + KnownLayout + Unaligned>(
        &self,
        record: Kmsg,
        offset: usize,
        fill: impl FnOnce(&mut T),
    ) {
        let part = (record.0 + slot(Slot::kmsg_header) + offset) as *mut T;
        // SAFETY: within what `record_alloc` was asked for, in memory of the kernel's with any bytes, which are a valid `T` of
        // alignment 1; nobody else knows the kmsg yet, and `fill` has no other way to it.
        fill(unsafe { &mut *part });
    }

    #[inline(always)]
    fn record_copy(&self, record: Kmsg, offset: usize, source: Kmsg, start: usize, size: usize) {
        let from = (source.0 + slot(Slot::kmsg_header) + start) as *const u8;
        let to = (record.0 + slot(Slot::kmsg_header) + offset) as *mut u8;
        // SAFETY: the caller owns both, or holds the lock of the queue that the record is in; `start + size` is at most the
        // source's message size, which its allocation covers, and `record_alloc` gave at least `offset + size` bytes.
        unsafe { copy(from, to, size) };
    }
}
