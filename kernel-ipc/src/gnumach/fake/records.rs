// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of the fake kernel: kmsgs of the payload's own.

use std::vec;

use trace_port::record::{HEADER_TYPE, HEADER_TYPE_OFFSET, MAX_BATCH, RECORDS_TYPE, TASK_OFFSET};

use super::*;

impl Fake {
    /// As `ipc_kmsg_clean`: a right that is not within the message's size is left behind.
    pub(super) fn release_rights_of_record(&self, bytes: &[u8]) {
        let word = |offset: usize| u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap());
        let size = (word(0) >> 32) as usize;
        if size > HEADER_TYPE_OFFSET {
            // The kernel walks over all items: without a descriptor it would take anything for rights and memory.
            let found = word(HEADER_TYPE_OFFSET);
            assert!(found == HEADER_TYPE || found as u32 == RECORDS_TYPE as u32, "{found:#x} is no descriptor");
        }
        for offset in [8, TASK_OFFSET].into_iter().filter(|&offset| offset == 8 || offset + 8 <= size) {
            if word(offset) != 0 {
                self.release(word(offset) as usize);
            }
        }
    }
}

impl Records for Fake {
    fn record_alloc(&self, size: usize, _: bool) -> Option<Blank> {
        self.unlocked();
        let bytes = || vec![0xaa; size.max(MAX_BATCH).next_multiple_of(8)];
        if self.script.borrow().no_memory { None } else { Some(Blank::fake(self.new_kmsg(bytes(), true))) }
    }
    fn record_begin(&self, blank: Blank, right: SendRight, task: Option<SendRight>) -> OwnedKmsg {
        self.write(blank.kmsg(), 0, objects::prefix(right, task).as_bytes());
        OwnedKmsg::fake(blank.kmsg())
    }
    fn record_room(&self, kmsg: Kmsg) -> Option<usize> {
        let memory = self.memory(kmsg);
        memory.is_record.then(|| memory.bytes.len())
    }
    fn record_port(&self, record: Record) -> Port {
        self.destination(record.kmsg())
    }
    fn look_at_queue(&self, record: Record, mut look: impl FnMut(Record, usize) -> Option<bool>) -> bool {
        self.unlocked();
        let port = self.record_port(record);
        let last: Vec<Kmsg> = self.port(port).queue.iter().rev().take(4).copied().collect();
        let records = last.into_iter().filter_map(|kmsg| self.record_room(kmsg).map(|room| (kmsg, room)));
        let mut answers = records.filter_map(|(kmsg, room)| look(Record::fake(kmsg), room));
        answers.next().unwrap_or(false)
    }
    fn note(&self, record: Record) -> Note {
        self.memory(record.kmsg()).note.expect("a note was left")
    }
    fn set_note(&self, record: Record, note: Note) {
        self.memory(record.kmsg()).note = Some(note);
    }
    fn set_link(&self, record: Record, link: Option<OwnedKmsg>) {
        self.memory(record.kmsg()).link = link.map_or(0, OwnedKmsg::into_address);
    }
    fn swap_link(&self, record: Record, link: Option<OwnedKmsg>) -> Option<OwnedKmsg> {
        let before = self.memory(record.kmsg()).link;
        self.set_link(record, link);
        (before != 0).then(|| OwnedKmsg::fake(Kmsg::fake(before)))
    }
    fn set_message(&self, record: Record, size: u32, id: u32) {
        self.write(record.kmsg(), 4, &size.to_le_bytes());
        self.write(record.kmsg(), 28, &id.to_le_bytes());
    }
    fn record_read(&self, record: Record, offset: usize) -> u64 {
        self.read(record.kmsg(), offset)
    }
    fn shown_right(&self, record: Record, offset: usize) -> MaybePort {
        MaybePort::fake(self.record_read(record, offset) as usize)
    }
    fn shown_right_in_array(&self, record: Record, offset: usize, index: usize) -> MaybePort {
        let arrays = self.arrays.borrow();
        MaybePort::fake(arrays[&self.record_read(record, offset)][index])
    }
    fn record_write(&self, record: Record, offset: usize, bytes: &[u8]) {
        self.write(record.kmsg(), offset, bytes);
    }
    fn record_part<T: FromBytes + IntoBytes + KnownLayout + Unaligned>(
        &self,
        record: Record,
        offset: usize,
        fill: impl FnOnce(&mut T),
    ) {
        let mut memory = self.memory(record.kmsg());
        let bytes = &mut memory.bytes[offset..offset + size_of::<T>()];
        fill(T::mut_from_bytes(bytes).unwrap());
    }
    fn record_copy(&self, record: Record, offset: usize, source: Kmsg, start: usize, size: usize) {
        let bytes = self.memory(source).bytes[start..start + size].to_vec();
        self.write(record.kmsg(), offset, &bytes);
    }
}
