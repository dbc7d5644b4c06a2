// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of the fake kernel, as the hooks see them.

use super::*;

impl Messages for Fake {
    fn msgh_bits(&self, kmsg: Kmsg) -> u32 {
        self.half(kmsg, 0)
    }
    fn msgh_size(&self, kmsg: Kmsg) -> u32 {
        self.half(kmsg, 4)
    }
    fn msgh_id(&self, kmsg: Kmsg) -> u32 {
        self.half(kmsg, 28)
    }
    fn destination(&self, message: InTransit) -> Port {
        Fake::destination(self, message.kmsg())
    }
    fn link_words(&self, kmsg: Kmsg) -> [u64; 2] {
        self.memory(kmsg).links
    }
    fn set_link_words(&self, kmsg: Kmsg, words: [u64; 2]) {
        self.memory(kmsg).links = words;
    }
    fn message_word(&self, kmsg: Kmsg, offset: usize) -> u64 {
        u64::from(self.half(kmsg, offset)) | u64::from(self.half(kmsg, offset + 4)) << 32
    }
    fn message_dword(&self, kmsg: Kmsg, offset: usize) -> u32 {
        self.half(kmsg, offset)
    }
    fn copy_message(&self, kmsg: Kmsg, places: &[AtomicU64]) {
        for (index, place) in places.iter().enumerate() {
            place.store(self.message_word(kmsg, index * 8), core::sync::atomic::Ordering::Relaxed);
        }
    }
    fn remote_name(&self, kmsg: Kmsg) -> u32 {
        self.half(kmsg, 8)
    }
    fn local_name(&self, kmsg: Kmsg) -> u32 {
        self.half(kmsg, 16)
    }
    fn tail(&self, kmsg: Kmsg) -> Option<[u64; 2]> {
        let tail = self.tail_at(kmsg)?;
        Some([tail, tail + 8].map(|offset| self.read(kmsg, offset)))
    }
    fn set_tail(&self, kmsg: Kmsg, [first, last]: [u64; 2]) {
        if let Some(tail) = self.tail_at(kmsg) {
            self.write(kmsg, tail, &first.to_le_bytes());
            self.write(kmsg, tail + 8, &last.to_le_bytes());
        }
    }
    fn request_part<T: FromBytes>(&self, request: InTransit, offset: usize) -> T {
        let memory = self.memory(request.kmsg());
        T::read_from_bytes(&memory.bytes[offset..offset + size_of::<T>()]).expect("any bytes")
    }
    fn take_right(&self, request: InTransit, offset: usize) -> Option<SendRight> {
        let word = self.read(request.kmsg(), offset) as usize;
        self.write(request.kmsg(), offset, &[0; 8]);
        MaybePort::fake(word).port().map(SendRight::fake)
    }
    fn reply_room(&self, reply: InTransit) -> usize {
        self.memory(reply.kmsg()).bytes.len()
    }
    fn reply_part<T: IntoBytes + Immutable>(&self, reply: InTransit, offset: usize, part: &T) {
        self.write(reply.kmsg(), offset, part.as_bytes());
    }
    fn reply_right(&self, reply: InTransit, offset: usize, right: SendRight) {
        self.write(reply.kmsg(), offset, &(right.into_port().address() as u64).to_le_bytes());
    }
    fn end_reply(&self, reply: InTransit, size: u32, is_complex: bool) {
        assert!(size as usize <= self.reply_room(reply));
        let bits = self.msgh_bits(reply.kmsg()) | if is_complex { objects::COMPLEX } else { 0 };
        self.write(reply.kmsg(), 0, &bits.to_le_bytes());
        self.write(reply.kmsg(), 4, &size.to_le_bytes());
    }
    fn control_target(&self, request: InTransit) -> Option<(Reference<Task>, Option<Reference<Thread>>)> {
        let port = self.destination(request.kmsg());
        if !self.port(port).watched {
            return None;
        }
        let kobject = if self.port_is_active(port) { self.port(port).kobject } else { None };
        let (task, thread) = match kobject? {
            Kobject::Kernel | Kobject::Privileged | Kobject::Payload(_) => return None,
            Kobject::Task(task) => (task, None),
            Kobject::Thread(thread) => (self.thread_task(thread), Some(thread)),
        };
        if self.task_entry(task) == 0 || task == self.thread_task(self.current_thread()) {
            return None;
        }
        self.references.set(self.references.get() + 1 + i64::from(thread.is_some()));
        Some((Reference::fake(task), thread.map(Reference::fake)))
    }
    fn ipc_kmsg_destroy(&self, kmsg: OwnedKmsg) {
        self.unlocked();
        self.destroy(kmsg.record().kmsg());
    }
    fn ipc_mqueue_send(&self, owned: OwnedKmsg, option: u32, time_out: u32) -> Result<(), (u32, OwnedKmsg)> {
        self.unlocked();
        let kmsg = owned.record().kmsg();
        assert!(self.memory(kmsg).is_record && self.memory(kmsg).link == 0, "a record, and off every list");
        assert!(self.msgh_size(kmsg) as usize <= self.memory(kmsg).bytes.len(), "no larger than its memory");
        self.options.borrow_mut().push(option);
        let port = self.destination(kmsg);
        let must_wait = || option != option::MACH_SEND_ALWAYS && self.port_is_active(port) && self.port_is_full(port);
        if must_wait() {
            let waits = option != option::MACH_SEND_TIMEOUT || time_out != 0;
            if waits && self.wait(port) {
                return Err((mr::MACH_SEND_INTERRUPTED, owned));
            }
            if must_wait() {
                assert_eq!(option, option::MACH_SEND_TIMEOUT, "nothing wakes it");
                return Err((mr::MACH_SEND_TIMED_OUT, owned));
            }
        }
        if !self.port_is_active(port) {
            // Sent, as far as the sender is concerned, but not counted.
            self.destroy(kmsg);
            return Ok(());
        }
        let refused = self.script.borrow().record_send;
        if refused != mr::MACH_MSG_SUCCESS {
            return Err((refused, owned));
        }
        self.enqueue(kmsg);
        Ok(())
    }
}
