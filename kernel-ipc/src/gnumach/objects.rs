//! Kernel objects behind ports, and the numbers of rights in messages.

/// `MACH_MSG_TYPE_PORT_SEND`: a send right in transit.
pub const PORT_SEND: u32 = 17;
/// `MACH_MSG_TYPE_PORT_SEND_ONCE`: a send-once right in transit.
pub const PORT_SEND_ONCE: u32 = 18;
/// `MACH_MSG_TYPE_MOVE_SEND_ONCE`, the same number: a message as its sender gives it.
pub const MOVE_SEND_ONCE: u32 = 18;
/// `MACH_MSG_TYPE_MAKE_SEND_ONCE`.
pub const MAKE_SEND_ONCE: u32 = 21;
/// `MACH_MSGH_BITS_COMPLEX`.
pub const COMPLEX: u32 = 0x8000_0000;
/// `msgh_bits` of a message to a trace port in transit: complex, and the destination is a send right.
pub const RECORD_BITS: u32 = COMPLEX | PORT_SEND;

/// `MACH_MSGH_BITS_REMOTE`.
pub fn remote_type(bits: u32) -> u32 {
    bits & 0xff
}

/// `MACH_MSGH_BITS_LOCAL`.
pub fn local_type(bits: u32) -> u32 {
    bits >> 8 & 0xff
}

/// `IO_BITS_ACTIVE`.
pub const IO_BITS_ACTIVE: u32 = 0x8000_0000;
/// `IO_BITS_KOTYPE`.
#[cfg(target_os = "none")]
const IO_BITS_KOTYPE: u32 = 0xffff;
/// `IKOT_THREAD`.
pub const IKOT_THREAD: u32 = 1;
/// `IKOT_TASK`.
pub const IKOT_TASK: u32 = 2;

/// The traced task, other than the current one, and the thread, each with a reference, that a message in transit is addressed to by a
/// control port; 0 if there is none. In registers.
#[cfg(target_os = "none")]
#[inline(never)]
pub(super) fn control_target(kmsg: super::Kmsg) -> (usize, usize) {
    use super::lock::SimpleLock;
    use super::mach::{MSGH_REMOTE_PORT, Mach, header, load};
    use super::{Task, Tasks, Thread, Threads};
    use crate::payload_abi::Slot;

    // SAFETY: the prototype in the DWARF of the kernels this payload is linked against.
    unsafe extern "C" {
        fn task_reference(task: usize);
        fn thread_reference(thread: usize);
    }
    let port: usize = header(kmsg, MSGH_REMOTE_PORT);
    // Elsewhere the object's thread may just be ending; the lock keeps type and object together.
    let _lock = SimpleLock::take(port, Slot::port_lock);
    let bits: u32 = load(port, Slot::port_io_bits);
    if bits & IO_BITS_ACTIVE == 0 {
        return (0, 0);
    }
    // The object of an active control port is alive: ipc_task_disable and ipc_thread_disable clear the type first.
    let object = load(port, Slot::port_kobject);
    let (task, thread) = match bits & IO_BITS_KOTYPE {
        IKOT_TASK => (Task(object), 0),
        IKOT_THREAD => (Mach.thread_task(Thread(object)), object),
        _ => return (0, 0),
    };
    if Mach.task_entry(task) == 0 || task == Mach.thread_task(Mach.current_thread()) {
        return (0, 0);
    }
    // SAFETY: the task lives as long as its control port is active, and longer than its threads.
    unsafe { task_reference(task.0) };
    if thread != 0 {
        // SAFETY: the thread lives as long as its control port is active, which is locked.
        unsafe { thread_reference(thread) };
    }
    (task.0, thread)
}
