// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages to trace ports on the running kernel, before they are sent.

use trace_port::record::Prefix;
use zerocopy::{FromBytes, IntoBytes, KnownLayout, Unaligned};

use super::copy::copy;
#[cfg(feature = "faults")]
use super::faulty;
use super::mach::{MSGH_REMOTE_PORT, Mach};
use super::members::{KMSG_HEADER, RECORD_LINK, RECORD_NUMBERS, RECORD_SIZE, RECORD_WHOSE, Struct};
use super::objects::prefix;
use super::{Blank, Key, Kmsg, MaybePort, Note, OwnedKmsg, Port, Record, Records, SendRight, queue};
use crate::numbers::TaskNumber;
use crate::payload_abi::KERNEL_BASE;

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. What takes only what is owned, or makes memory, asks for nothing else.
unsafe extern "C" {
    safe fn ipc_kmsg_free(kmsg: Blank);
    #[cfg_attr(feature = "faults", link_name = "faulty_kalloc")]
    safe fn kalloc(size: usize) -> usize;
}

/// Beside [`Note::part`], which is less.
const HAS_ENGINES: u32 = 1 << 31;
/// Likewise: [`Note::answers`].
const ANSWERS: u32 = 1 << 30;

impl Records for Mach {
    #[cfg_attr(not(feature = "faults"), expect(unused_variables, reason = "faults strike where something is lost"))]
    #[inline(always)]
    fn record_alloc(&self, size: usize, ahead: bool) -> Option<Blank> {
        #[cfg(feature = "faults")]
        if ahead && faulty::refuses_ahead() {
            return None;
        }
        let total = queue::record_total(size);
        let address = kalloc(total);
        if address == 0 {
            return None;
        }
        // SAFETY: new memory, of the size that is put down first, where anything may be written.
        let record = unsafe { Record::at(address) };
        record.store(RECORD_SIZE, total);
        record.store(RECORD_LINK, 0);
        // SAFETY: it is nobody else's.
        let blank = unsafe { Blank::own(record.kmsg()) };
        // The kernel's addresses have a lower half that tells the whole, its highest bit set.
        if address >= KERNEL_BASE as usize && address.is_multiple_of(8) {
            return Some(blank);
        }
        ipc_kmsg_free(blank);
        None
    }

    #[inline(always)]
    fn record_begin(&self, blank: Blank, right: SendRight, task: Option<SendRight>) -> OwnedKmsg {
        let begin = message(blank.kmsg(), 0).cast::<Prefix>();
        // SAFETY: the memory has room for a record.
        unsafe { begin.write(prefix(right, task)) };
        // SAFETY: that is its header and its rights.
        unsafe { blank.begun() }
    }

    #[inline(always)]
    fn record_room(&self, kmsg: Kmsg) -> Option<usize> {
        queue::record_room(kmsg)
    }

    #[inline(always)]
    fn record_port(&self, record: Record) -> Port {
        // SAFETY: the record has a right to it.
        unsafe { Port::at(record.kmsg().header(MSGH_REMOTE_PORT)) }
    }

    #[inline(always)]
    fn look_at_queue(&self, record: Record, look: impl FnMut(Record, usize) -> Option<bool>) -> bool {
        let append = || queue::look(self.record_port(record), look);
        #[cfg(feature = "faults")]
        return faulty::append(append);
        #[cfg(not(feature = "faults"))]
        append()
    }

    #[inline(always)]
    fn note(&self, record: Record) -> Note {
        let (whose, numbers) = (record.load(RECORD_WHOSE), record.load(RECORD_NUMBERS));
        let key = Key { entry: (whose >> 32) as u32, number: TaskNumber::new(whose as u32) };
        let part = (numbers >> 32) as u32;
        let has = |flag| part & flag != 0;
        let (has_engines, answers) = (has(HAS_ENGINES), has(ANSWERS));
        Note { key, part: part & !(HAS_ENGINES | ANSWERS), lost: numbers as u32, has_engines, answers }
    }

    #[inline(always)]
    fn set_note(&self, record: Record, note: Note) {
        record.store(RECORD_WHOSE, u64::from(note.key.entry) << 32 | u64::from(note.key.number.get()));
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let part = note.part | flag(note.has_engines, HAS_ENGINES) | flag(note.answers, ANSWERS);
        record.store(RECORD_NUMBERS, u64::from(part) << 32 | u64::from(note.lost));
    }

    #[inline(always)]
    fn set_link(&self, record: Record, link: Option<OwnedKmsg>) {
        record.store(RECORD_LINK, link.map_or(0, OwnedKmsg::into_address));
    }

    #[inline(always)]
    fn swap_link(&self, record: Record, link: Option<OwnedKmsg>) -> Option<OwnedKmsg> {
        let before = record.load(RECORD_LINK);
        self.set_link(record, link);
        // SAFETY: the link's own until now.
        unsafe { OwnedKmsg::own(before) }
    }

    #[inline(always)]
    fn set_message(&self, record: Record, size: u32, id: u32) {
        self.record_part(record, 0, |prefix: &mut Prefix| {
            prefix.size = size.into();
            prefix.id = id.into();
        });
    }

    #[inline(always)]
    fn record_read(&self, record: Record, offset: usize) -> u64 {
        // SAFETY: within the record's room: see `Record`.
        unsafe { message(record.kmsg(), offset).cast::<u64>().read_unaligned() }
    }

    #[inline(always)]
    fn shown_right(&self, record: Record, offset: usize) -> MaybePort {
        // SAFETY: a word of a message in transit, which has a right to the port that it calls a right. `conceal`, the only caller, reads
        // the words that the descriptors say are rights, each before it is replaced.
        unsafe { MaybePort::of(self.record_read(record, offset) as usize) }
    }

    #[inline(always)]
    fn shown_right_in_array(&self, record: Record, offset: usize, index: usize) -> MaybePort {
        let place = self.record_read(record, offset) as usize + index * size_of::<usize>();
        // SAFETY: the word at `offset`, of a message in transit, its descriptor says to be the address of an array of rights. In transit such
        // an array is the kernel's own memory with a word for each right; ipc_kmsg_copyin has made it of a user's, and it lives as long as
        // the message, which the current thread has. `conceal`, the only caller, asks for no more elements than the descriptor has.
        let word = unsafe { (place as *const usize).read() };
        // SAFETY: that word of a message which has a right to the port.
        unsafe { MaybePort::of(word) }
    }

    #[inline(always)]
    fn record_write(&self, record: Record, offset: usize, bytes: &[u8]) {
        // SAFETY: within the record's room: see `Record`. Nobody else knows the kmsg, or its queue is locked.
        unsafe { message(record.kmsg(), offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    #[inline(always)]
    fn record_part<T: FromBytes + IntoBytes + KnownLayout + Unaligned>(
        &self,
        record: Record,
        offset: usize,
        fill: impl FnOnce(&mut T),
    ) {
        let part = message(record.kmsg(), offset).cast::<T>();
        // SAFETY: as above. Any bytes are a valid `T` of alignment 1, and `fill` has no other way to them.
        fill(unsafe { &mut *part });
    }

    #[inline(always)]
    fn record_copy(&self, record: Record, offset: usize, source: Kmsg, start: usize, size: usize) {
        let (from, to) = (message(source, start), message(record.kmsg(), offset));
        // SAFETY: `to` as above. `start + size` is at most the source's message size, which its allocation covers.
        unsafe { copy(from, to, size) };
    }
}

/// Where a kmsg's message bytes are, from `offset` on.
#[inline(always)]
fn message(kmsg: Kmsg, offset: usize) -> *mut u8 {
    (kmsg.place(KMSG_HEADER) + offset) as *mut u8
}
