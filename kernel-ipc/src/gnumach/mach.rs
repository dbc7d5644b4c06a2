//! The running kernel: struct members by the offsets in the slot table, functions by their symbols.
//!
//! Every function here is called from a hook at spl0, on a kernel without kernel preemption, with nothing locked but the
//! payload's own table. On a kernel for one processor nothing else runs between two calls that may block but interrupt
//! handlers, which touch no IPC state. On a kernel for several, members that other processors change are read under the
//! kernel's own simple locks (`state` has the order); the rest belongs to the current thread or never changes.

use core::arch::asm;
use core::ffi::c_char;
use core::sync::atomic::{AtomicU64, Ordering, Ordering::Relaxed, fence};

use super::continuation::{address, convert};
use super::copy::copy;
use super::lock::SimpleLock;
use super::objects::IO_BITS_ACTIVE;
use super::slots::{fact, slot};
use super::{
    Continuation, FromBytes, IntoBytes, Kernel, Kmsg, KnownLayout, Mqueue, Note, Object, Port, Receive, Received,
    Space, Task, Thread, Unaligned, UserAddress, queue, time,
};
use crate::entry;
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    #[cfg_attr(feature = "faults", link_name = "faulty_ipc_kmsg_get")]
    fn ipc_kmsg_get(msg: u64, size: u32, kmsg: *mut usize) -> u32;
    fn ipc_kmsg_copyin(kmsg: usize, space: usize, map: usize, notify: u32) -> u32;
    fn ipc_kmsg_copyout(kmsg: usize, space: usize, map: usize, notify: u32) -> u32;
    fn ipc_kmsg_copyout_pseudo(kmsg: usize, space: usize, map: usize) -> u32;
    fn ipc_kmsg_copyout_dest(kmsg: usize, space: usize);
    fn ipc_kmsg_put(msg: u64, kmsg: usize, size: u32) -> u32;
    fn ipc_kmsg_free(kmsg: usize);
    fn ipc_kmsg_destroy(kmsg: usize);
    #[cfg_attr(feature = "faults", link_name = "faulty_ipc_mqueue_send")]
    fn ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32;
    fn ipc_kobject_server(request: usize) -> usize;
    fn ipc_mqueue_copyin(space: usize, name: u32, mqueue: *mut usize, object: *mut usize) -> u32;
    fn ipc_mqueue_receive(
        mqueue: usize,
        option: u32,
        max_size: u32,
        time_out: u32,
        resume: u32,
        continuation: usize,
        kmsg: *mut u64,
        seqno: *mut u32,
    ) -> u32;
    fn ipc_marequest_create(space: usize, port: usize, notify: u32, marequest: *mut usize) -> u32;
    fn ipc_object_release(object: usize);
    fn ipc_port_copy_send(port: usize) -> usize;
    fn ipc_port_release_send(port: usize);
    fn convert_task_to_port(task: usize) -> usize;
    fn task_reference(task: usize);
    #[cfg_attr(feature = "faults", link_name = "faulty_kalloc")]
    fn kalloc(size: usize) -> usize;
    fn copyout(from: *const u32, to: u64, size: usize) -> i32;
    fn printf(format: *const c_char, ...) -> i32;
    static kernel_task: usize;
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
pub(super) fn header<T: Copy>(kmsg: Kmsg, offset: usize) -> T {
    // SAFETY: the caller owns the kmsg; `offset` is that of a header member of this size, or within what a record was given.
    unsafe { ((kmsg.0 + slot(Slot::kmsg_header) + offset) as *const T).read_unaligned() }
}

/// A member of a kernel struct that is changed atomically.
fn atomic64(base: usize, offset: Slot) -> &'static AtomicU64 {
    // SAFETY: as for `load`; the reference is used at once, while the struct lives, and the member is an aligned word.
    unsafe { &*((base + slot(offset)) as *const AtomicU64) }
}

const MSGH_SIZE: usize = 4;
/// Offset of `msgh_remote_port`.
pub(crate) const MSGH_REMOTE_PORT: usize = 8;
const MSGH_SEQNO: usize = 24;

fn current_task() -> usize {
    load(Mach.current_thread().0, Slot::thread_task)
}

fn current_space() -> usize {
    load(current_task(), Slot::task_itk_space)
}

fn current_map() -> usize {
    load(current_task(), Slot::task_map)
}

/// Result and kmsg of `ipc_kmsg_get`. On its own, so that the caller need not keep the place of the latter.
#[inline(never)]
fn get(msg: UserAddress, size: u32) -> (u32, usize) {
    let mut kmsg = 0;
    // SAFETY: the kernel checks the user address; `kmsg` outlives the call.
    let result = unsafe { ipc_kmsg_get(msg.0, size, &mut kmsg) };
    (result, kmsg)
}

/// `AST_HALT | AST_TERMINATE`.
pub(super) const AST_HALTING: u32 = 1 | 2;

impl Kernel for Mach {
    fn current_thread(&self) -> Thread {
        let thread;
        // SAFETY: mov rax, segment:[address] (see payload_abi::link_symbols) reads this processor's active_thread, which is
        // always a live thread, and changes nothing. It is not `pure`: the word belongs to another thread after a wait.
        unsafe {
            asm!(
                ".byte rpctrace2_current_thread_segment, 0x48, 0x8b, 0x04, 0x25",
                ".long rpctrace2_current_thread_address",
                out("rax") thread,
                options(nostack, preserves_flags, readonly)
            );
        }
        Thread(thread)
    }

    fn thread_task(&self, thread: Thread) -> Task {
        Task(load(thread.0, Slot::thread_task))
    }

    fn thread_number(&self, thread: Thread) -> u32 {
        load(thread.0, Slot::thread_number)
    }

    fn set_thread_number(&self, thread: Thread, number: u32) {
        store(thread.0, Slot::thread_number, number);
    }

    fn thread_is_halting(&self, thread: Thread) -> bool {
        let place = fact(Slot::thread_active);
        // SAFETY: the slot holds byte offset and bit number of `thread->active`, a bit-field of the current, live thread.
        let byte = unsafe { ((thread.0 + (place >> 8)) as *const u8).read() };
        let active = byte & 1 << (place & 7) != 0;
        !active || load::<u32>(thread.0, Slot::thread_ast) & AST_HALTING != 0
    }

    fn saved_receive(&self, thread: Thread) -> Receive {
        Receive {
            msg: UserAddress(load(thread.0, Slot::thread_ith_msg)),
            option: load(thread.0, Slot::thread_ith_option),
            rcv_size: load(thread.0, Slot::thread_ith_rcv_size),
            time_out: load(thread.0, Slot::thread_ith_timeout),
            notify: load(thread.0, Slot::thread_ith_notify),
            object: Object(load(thread.0, Slot::thread_ith_object)),
            mqueue: Mqueue(load(thread.0, Slot::thread_ith_mqueue)),
        }
    }

    fn save_receive(&self, thread: Thread, receive: &Receive) {
        store(thread.0, Slot::thread_ith_msg, receive.msg.0);
        store(thread.0, Slot::thread_ith_option, receive.option);
        store(thread.0, Slot::thread_ith_rcv_size, receive.rcv_size);
        store(thread.0, Slot::thread_ith_timeout, receive.time_out);
        store(thread.0, Slot::thread_ith_notify, receive.notify);
        store(thread.0, Slot::thread_ith_object, receive.object.0);
        store(thread.0, Slot::thread_ith_mqueue, receive.mqueue.0);
    }

    fn task_entry(&self, task: Task) -> u32 {
        load(task.0, Slot::task_entry)
    }

    fn set_task_entry(&self, task: Task, entry: u32) {
        store(task.0, Slot::task_entry, entry);
    }

    fn task_space(&self, task: Task) -> Space {
        Space(load(task.0, Slot::task_itk_space))
    }

    fn task_is_alive(&self, task: Task) -> bool {
        // Between an entry's appearance and this look, against ipc_task_terminate, which clears the member before it looks for
        // an entry: one of both sees the other.
        fence(Ordering::SeqCst);
        load::<usize>(task.0, Slot::task_itk_self) != 0
    }

    fn watch(&self, watching: bool) {
        entry::watch(watching);
    }

    fn is_kernel_task(&self, task: Task) -> bool {
        // SAFETY: a kernel variable set once at boot, before the first hook can run.
        task.0 == unsafe { kernel_task }
    }

    fn uncount_sent(&self, task: Task) {
        atomic64(task.0, Slot::task_messages_sent).fetch_sub(1, Relaxed);
    }

    fn convert_sleeping_receivers(&self, task: Task, replace: fn(Continuation) -> Continuation) {
        let current = self.current_thread();
        let end = task.0 + slot(Slot::task_thread_list);
        let task_lock = SimpleLock::take(task.0, Slot::task_lock);
        // The queue's links point to the threads themselves; its head ends it.
        let mut thread: usize = load(task.0, Slot::task_thread_list);
        while thread != end {
            if thread != current.0 {
                convert(thread, replace);
            }
            thread = load(thread, Slot::thread_thread_list);
        }
        drop(task_lock);
    }

    fn task_send_right(&self, task: Task) -> Port {
        // SAFETY: the task is alive, the caller being one of its threads or holding it; the reference is consumed next.
        unsafe { task_reference(task.0) };
        // SAFETY: consumes the reference just taken.
        Port(unsafe { convert_task_to_port(task.0) })
    }

    fn ipc_port_copy_send(&self, port: Port) -> Port {
        // SAFETY: the caller owns a send right to the port, so it exists.
        Port(unsafe { ipc_port_copy_send(port.0) })
    }

    fn ipc_port_release_send(&self, port: Port) {
        // SAFETY: consumes a valid send right the caller owns.
        unsafe { ipc_port_release_send(port.0) };
    }

    fn port_is_received_in(&self, port: Port, space: Space) -> bool {
        let _lock = SimpleLock::take(port.0, Slot::port_lock);
        load::<u32>(port.0, Slot::port_receiver_name) != 0 && load::<usize>(port.0, Slot::port_receiver) == space.0
    }

    fn port_msgcount(&self, port: Port) -> u32 {
        load(port.0, Slot::port_msgcount)
    }

    fn ipc_kmsg_get(&self, msg: UserAddress, size: u32) -> Result<Kmsg, u32> {
        match get(msg, size) {
            (0, kmsg) => Ok(Kmsg(kmsg)),
            (result, _) => Err(result),
        }
    }

    fn ipc_kmsg_copyin(&self, kmsg: Kmsg, notify: u32) -> u32 {
        // SAFETY: a kmsg from ipc_kmsg_get that the caller owns; the current task's space and map need no reference.
        unsafe { ipc_kmsg_copyin(kmsg.0, current_space(), current_map(), notify) }
    }

    fn ipc_kmsg_copyout(&self, kmsg: Kmsg, notify: u32) -> u32 {
        // SAFETY: a kmsg from ipc_mqueue_receive that the caller owns.
        unsafe { ipc_kmsg_copyout(kmsg.0, current_space(), current_map(), notify) }
    }

    fn ipc_kmsg_copyout_pseudo(&self, kmsg: Kmsg) -> u32 {
        // SAFETY: a copied-in kmsg that the caller still owns because it could not be sent.
        unsafe { ipc_kmsg_copyout_pseudo(kmsg.0, current_space(), current_map()) }
    }

    fn ipc_kmsg_copyout_dest(&self, kmsg: Kmsg) {
        // SAFETY: a kmsg from ipc_mqueue_receive that the caller owns and has not copied out.
        unsafe { ipc_kmsg_copyout_dest(kmsg.0, current_space()) };
    }

    fn ipc_kmsg_put(&self, msg: UserAddress, kmsg: Kmsg, size: u32) -> u32 {
        // SAFETY: consumes a kmsg of at least `size` message bytes; the kernel checks the user address.
        unsafe { ipc_kmsg_put(msg.0, kmsg.0, size) }
    }

    fn ipc_kmsg_free(&self, kmsg: Kmsg) {
        // SAFETY: consumes a kmsg that holds no rights.
        unsafe { ipc_kmsg_free(kmsg.0) };
    }

    fn ipc_kmsg_destroy(&self, kmsg: Kmsg) {
        // SAFETY: consumes a kmsg in transit, whose header and descriptors are complete.
        unsafe { ipc_kmsg_destroy(kmsg.0) };
    }

    fn msgh_size(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_SIZE)
    }

    fn msgh_seqno(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_SEQNO)
    }

    fn set_msgh_seqno(&self, kmsg: Kmsg, seqno: u32) {
        // SAFETY: the caller owns the kmsg, whose header is 32 bytes.
        unsafe { ((kmsg.0 + slot(Slot::kmsg_header) + MSGH_SEQNO) as *mut u32).write(seqno) };
    }

    fn ipc_marequest_create(&self, kmsg: Kmsg, notify: u32) -> u32 {
        let marequest = (kmsg.0 + slot(Slot::kmsg_marequest)) as *mut usize;
        // SAFETY: a copied-in kmsg holds a reference to its destination; its own member takes the result.
        unsafe { ipc_marequest_create(current_space(), header(kmsg, MSGH_REMOTE_PORT), notify, marequest) }
    }

    fn ipc_mqueue_send(&self, kmsg: Kmsg, option: u32, time_out: u32) -> u32 {
        // SAFETY: a kmsg in transit that the caller owns; consumed if this returns success.
        unsafe { ipc_mqueue_send(kmsg.0, option, time_out) }
    }

    fn ipc_kobject_server(&self, request: Kmsg) -> Option<Kmsg> {
        // SAFETY: consumes a kmsg in transit to a port of the kernel's that the caller owns.
        let reply = unsafe { ipc_kobject_server(request.0) };
        (reply != 0).then_some(Kmsg(reply))
    }

    fn ipc_mqueue_copyin(&self, name: u32) -> Result<(Mqueue, Object), u32> {
        let (mut mqueue, mut object) = (0, 0);
        // SAFETY: the results outlive the call; the current space needs no reference.
        match unsafe { ipc_mqueue_copyin(current_space(), name, &mut mqueue, &mut object) } {
            0 => Ok((Mqueue(mqueue), Object(object))),
            result => Err(result),
        }
    }

    fn ipc_mqueue_receive(&self, receive: &Receive, max_size: u32, resume: bool, then: Continuation) -> Received {
        // With MACH_RCV_TOO_LARGE the kernel writes a 32-bit size here instead of a pointer.
        let mut kmsg = 0u64;
        let mut seqno = 0;
        let option = receive.option & super::option::RCV_TIMEOUT;
        // SAFETY: the queue comes from ipc_mqueue_copyin, whose object reference the caller still holds; if the thread sleeps
        // this frame is never returned to and the continuation takes everything from the thread.
        let result = unsafe {
            ipc_mqueue_receive(
                receive.mqueue.0,
                option,
                max_size,
                receive.time_out,
                resume.into(),
                address(then),
                &mut kmsg,
                &mut seqno,
            )
        };
        match result {
            0 => Received::Message(Kmsg(kmsg as usize), seqno),
            result => Received::Failed(result, kmsg as u32),
        }
    }

    fn receive_at_once(&self, reply: Kmsg, rcv_name: u32) -> Option<u32> {
        let port: usize = header(reply, MSGH_REMOTE_PORT);
        let _port_lock = SimpleLock::take(port, Slot::port_lock);
        let here = load::<u32>(port, Slot::port_io_bits) & IO_BITS_ACTIVE != 0
            && load::<usize>(port, Slot::port_receiver) == current_space()
            && load::<u32>(port, Slot::port_receiver_name) == rcv_name
            && load::<usize>(port, Slot::port_pset) == 0;
        if !here {
            return None;
        }
        let _queue_lock = SimpleLock::take(port, Slot::port_messages_lock);
        let idle = load::<usize>(port, Slot::port_messages_threads) == 0
            && load::<usize>(port, Slot::port_messages_kmsgs) == 0;
        if !idle {
            return None;
        }
        let seqno: u32 = load(port, Slot::port_seqno);
        store(port, Slot::port_seqno, seqno.wrapping_add(1));
        Some(seqno)
    }

    fn ipc_object_release(&self, object: Object) {
        // SAFETY: consumes the reference that ipc_mqueue_copyin gave.
        unsafe { ipc_object_release(object.0) };
    }

    fn object_name(&self, object: Object) -> u32 {
        // Ports and port sets both begin with struct ipc_target, which holds the name.
        load(object.0, Slot::port_receiver_name)
    }

    fn copyout_msgh_size(&self, msg: UserAddress, size: u32) {
        // SAFETY: the kernel checks the user address; `size` outlives the call. A fault is ignored, as mach_msg_receive does.
        unsafe { copyout(&size, msg.0 + MSGH_SIZE as u64, size_of::<u32>()) };
    }

    fn record_alloc(&self, size: usize) -> Option<Kmsg> {
        let total = queue::record_total(size);
        // SAFETY: kalloc may be called with nothing locked; it returns 0 when there is no memory.
        let kmsg = unsafe { kalloc(total) };
        if kmsg == 0 {
            return None;
        }
        store(kmsg, Slot::kmsg_size, total);
        store(kmsg, Slot::kmsg_marequest, 0usize);
        Some(Kmsg(kmsg))
    }

    fn record_room(&self, kmsg: Kmsg) -> Option<usize> {
        queue::record_room(kmsg)
    }

    fn look_at_queue(&self, message: Kmsg, look: impl FnMut(Kmsg) -> Option<bool>) -> bool {
        let append = || queue::look(Port(header(message, MSGH_REMOTE_PORT)), look);
        #[cfg(feature = "faults")]
        return super::faulty::append(append);
        #[cfg(not(feature = "faults"))]
        append()
    }

    fn note(&self, record: Kmsg) -> Note {
        let numbers: u64 = load(record.0, Slot::kmsg_prev);
        Note { task: Task(load(record.0, Slot::kmsg_next)), part: (numbers >> 32) as u32, lost: numbers as u32 }
    }

    fn set_note(&self, record: Kmsg, note: Note) {
        store(record.0, Slot::kmsg_next, note.task.0);
        store(record.0, Slot::kmsg_prev, u64::from(note.part) << 32 | u64::from(note.lost));
    }

    fn record_write(&self, record: Kmsg, offset: usize, bytes: &[u8]) {
        let to = (record.0 + slot(Slot::kmsg_header) + offset) as *mut u8;
        // SAFETY: `record_alloc` was asked for at least `offset + bytes.len()` message bytes, and nobody else knows the kmsg yet.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

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

    fn record_copy(&self, record: Kmsg, offset: usize, source: Kmsg, start: usize, size: usize) {
        let from = (source.0 + slot(Slot::kmsg_header) + start) as *const u8;
        let to = (record.0 + slot(Slot::kmsg_header) + offset) as *mut u8;
        // SAFETY: the caller owns both, or holds the lock of the queue that the record is in; `start + size` is at most the
        // source's message size, which its allocation covers, and `record_alloc` gave at least `offset + size` bytes.
        unsafe { copy(from, to, size) };
    }

    fn time(&self) -> u64 {
        time::now()
    }

    fn report_dropped(&self, total: u32) {
        // SAFETY: the format is NUL-terminated and matches the argument.
        unsafe { printf(c"rpctrace2: %u trace records dropped since boot\n".as_ptr(), total) };
    }
}
