//! The running kernel: struct members by the offsets in the slot table, functions by their symbols.
//!
//! Every function here is called from a hook at spl0, on a kernel without kernel preemption, with nothing locked but the
//! payload's own table. On a kernel for one processor nothing else runs between two calls that may block but interrupt
//! handlers, which touch no IPC state. On a kernel for several, members that other processors change are read under the
//! kernel's own simple locks (`state` has the order); the rest belongs to the current thread or never changes.

use core::ffi::c_char;

use super::control;
use super::copy::copy;
use super::objects::IO_BITS_ACTIVE;
use super::slots::{self, slot};
use super::{
    FromBytes, FromZeros, IntoBytes, Kernel, Key, Kmsg, KnownLayout, Messages, Note, Port, Ports, Records, Space, Task,
    Thread, Unaligned, queue, switches, time,
};
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn ipc_kmsg_destroy(kmsg: usize);
    fn ipc_kmsg_free(kmsg: usize);
    #[cfg_attr(feature = "faults", link_name = "faulty_ipc_mqueue_send")]
    fn ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32;
    fn ipc_port_copy_send(port: usize) -> usize;
    fn ipc_port_release_send(port: usize);
    #[cfg_attr(feature = "faults", link_name = "faulty_kalloc")]
    fn kalloc(size: usize) -> usize;
    fn printf(format: *const c_char, ...) -> i32;
    static ipc_space_kernel: usize;
}

/// The kernel this payload is part of.
#[derive(Clone, Copy, Debug)]
pub struct Mach;

/// Reads a member of a kernel struct.
#[inline(always)]
pub(super) fn load<T: Copy>(base: usize, offset: Slot) -> T {
    // SAFETY: `base` is a live struct of the kernel that the handle's owner holds or that the current thread keeps alive, and
    // the slot is the offset DWARF gives for a member of that struct with this size. Another processor may change the member
    // where the caller says so; it is read with one instruction then.
    unsafe { ((base + slot(offset)) as *const T).read_volatile() }
}

/// Writes a member of a kernel struct.
#[inline(always)]
pub(super) fn store<T>(base: usize, offset: Slot, value: T) {
    // SAFETY: as for `load`; the members written are the payload's own holes and those the hook stands in for the kernel to write.
    unsafe { ((base + slot(offset)) as *mut T).write_volatile(value) }
}

/// Reads message bytes of a kmsg.
#[inline(always)]
pub(super) fn header<T: Copy>(kmsg: Kmsg, offset: usize) -> T {
    // SAFETY: the caller owns the kmsg; `offset` is that of a header member of this size, or within what a record was given.
    unsafe { ((kmsg.0 + slot(Slot::kmsg_header) + offset) as *const T).read_unaligned() }
}

impl Kmsg {
    /// The kmsg whose message begins here.
    #[inline(always)]
    pub(crate) fn of_header(header: usize) -> Self {
        Self(header - slot(Slot::kmsg_header))
    }
}

const MSGH_BITS: usize = 0;
/// Offset of `msgh_size`.
pub(super) const MSGH_SIZE: usize = 4;
/// Offset of `msgh_remote_port`.
pub(crate) const MSGH_REMOTE_PORT: usize = 8;
const MSGH_LOCAL_PORT: usize = 16;
const MSGH_ID: usize = 28;

impl Ports for Mach {
    #[inline(always)]
    fn ipc_port_copy_send(&self, port: Port) -> Port {
        // SAFETY: the caller owns a send right to the port, so it exists.
        Port(unsafe { ipc_port_copy_send(port.0) })
    }

    fn ipc_port_release_send(&self, port: Port) {
        // SAFETY: consumes a valid send right the caller owns.
        unsafe { ipc_port_release_send(port.0) };
    }

    fn port_is_the_kernels(&self, port: Port) -> bool {
        // SAFETY: a kernel variable set once at boot, before the first hook can run.
        load::<usize>(port.0, Slot::port_receiver) == unsafe { ipc_space_kernel }
    }

    #[inline(always)]
    fn port_is_received_in(&self, port: Port, space: Space) -> bool {
        // One word, so that no lock is needed. Of a port in transit it is the port it is sent to, and in one that is dead half
        // of it is a time stamp: neither is the address of a space.
        load::<usize>(port.0, Slot::port_receiver) == space.0
    }

    #[inline(always)]
    fn port_msgcount(&self, port: Port) -> u32 {
        load(port.0, Slot::port_msgcount)
    }

    #[inline(always)]
    fn port_is_active(&self, port: Port) -> bool {
        load::<u32>(port.0, Slot::port_io_bits) & IO_BITS_ACTIVE != 0
    }

    #[inline(always)]
    fn port_is_full(&self, port: Port) -> bool {
        self.port_msgcount(port) >= load(port.0, Slot::port_qlimit)
    }
}

impl Messages for Mach {
    #[inline(always)]
    fn msgh_bits(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_BITS)
    }

    #[inline(always)]
    fn msgh_size(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_SIZE)
    }

    #[inline(always)]
    fn msgh_id(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_ID)
    }

    #[inline(always)]
    fn remote_port(&self, kmsg: Kmsg) -> Port {
        Port(header(kmsg, MSGH_REMOTE_PORT))
    }

    #[inline(always)]
    fn remote_name(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_REMOTE_PORT)
    }

    #[inline(always)]
    fn local_name(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_LOCAL_PORT)
    }

    #[inline(always)]
    fn tail(&self, kmsg: Kmsg) -> Option<[u64; 2]> {
        let place = queue::tail(kmsg)?;
        // SAFETY: two words within the kmsg's memory, which the caller owns, and beyond its message.
        Some(unsafe { (place as *const [u64; 2]).read_unaligned() })
    }

    #[inline(always)]
    fn set_tail(&self, kmsg: Kmsg, tail: [u64; 2]) {
        if let Some(place) = queue::tail(kmsg) {
            // SAFETY: as above.
            unsafe { (place as *mut [u64; 2]).write_unaligned(tail) };
        }
    }

    fn control_target(&self, kmsg: Kmsg) -> Option<(Task, Option<Thread>)> {
        match control::target(kmsg) {
            (0, _) => None,
            (task, 0) => Some((Task(task), None)),
            (task, thread) => Some((Task(task), Some(Thread(thread)))),
        }
    }

    fn ipc_kmsg_destroy(&self, kmsg: Kmsg) {
        // SAFETY: consumes a kmsg in transit, whose header and descriptors are complete.
        unsafe { ipc_kmsg_destroy(kmsg.0) };
    }

    fn ipc_mqueue_send(&self, kmsg: Kmsg, option: u32, time_out: u32) -> u32 {
        // SAFETY: a kmsg in transit that the caller owns; consumed if this returns success.
        unsafe { ipc_mqueue_send(kmsg.0, option, time_out) }
    }
}

impl Records for Mach {
    #[cfg_attr(not(feature = "faults"), expect(unused_variables, reason = "faults strike where something is lost"))]
    fn record_alloc(&self, size: usize, ahead: bool) -> Option<Kmsg> {
        #[cfg(feature = "faults")]
        if ahead && super::faulty::refuses_ahead() {
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
        Some(Kmsg(kmsg))
    }

    #[inline(always)]
    fn record_room(&self, kmsg: Kmsg) -> Option<usize> {
        queue::record_room(kmsg)
    }

    #[inline(always)]
    fn look_at_queue(&self, message: Kmsg, look: impl FnMut(Kmsg) -> Option<bool>) -> bool {
        let append = || queue::look(Port(header(message, MSGH_REMOTE_PORT)), look);
        #[cfg(feature = "faults")]
        return super::faulty::append(append);
        #[cfg(not(feature = "faults"))]
        append()
    }

    #[inline(always)]
    fn note(&self, record: Kmsg) -> Note {
        let (whose, numbers): (u64, u64) = (load(record.0, Slot::kmsg_next), load(record.0, Slot::kmsg_prev));
        let key = Key { entry: (whose >> 32) as u32, number: whose as u32 };
        Note { key, part: (numbers >> 32) as u32, lost: numbers as u32 }
    }

    #[inline(always)]
    fn set_note(&self, record: Kmsg, note: Note) {
        store(record.0, Slot::kmsg_next, u64::from(note.key.entry) << 32 | u64::from(note.key.number));
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

impl Kernel for Mach {
    fn runs_in_parallel(&self) -> bool {
        slots::has_locks()
    }

    fn watch(&self, watching: bool) {
        switches::watch(watching);
    }

    #[inline(always)]
    fn now(&self, number: impl FnOnce() -> u64) -> (u64, u64) {
        time::now(number)
    }

    fn rest(&self) {
        time::rest();
    }

    fn room<T: FromZeros>(&self) -> Option<&'static mut T> {
        // SAFETY: kalloc may be called with nothing locked; it returns 0 when there is no memory.
        let room = unsafe { kalloc(size_of::<T>()) };
        if room == 0 || !room.is_multiple_of(align_of::<T>()) {
            return None;
        }
        let room = room as *mut T;
        // SAFETY: so many bytes of the caller's alone.
        unsafe { room.write_bytes(0, 1) };
        // SAFETY: zeros are a valid `T`, and the memory is aligned, nobody else's and never given back.
        Some(unsafe { &mut *room })
    }

    fn report_untraced(&self, total: u32) {
        // SAFETY: the format is NUL-terminated and matches the argument.
        unsafe { printf(c"rpctrace2: %u children of traced tasks not traced since boot\n".as_ptr(), total) };
    }

    fn report_dropped(&self, total: u32) {
        // SAFETY: the format is NUL-terminated and matches the argument.
        unsafe { printf(c"rpctrace2: %u trace records dropped since boot\n".as_ptr(), total) };
    }
}
