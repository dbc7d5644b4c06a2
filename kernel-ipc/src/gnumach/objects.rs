//! Kernel objects behind ports, and rights in their in-transit form: what the records of control ports and exceptions need.

use super::{Kmsg, Port, Task, Thread};

/// The further operations of GNU Mach on objects, names and messages in transit. Nothing may be locked by the caller.
pub trait Objects {
    /// The traced task, other than the current one, that a message in transit is addressed to by its control port or by that of
    /// a thread of it. The caller gets a reference to the task.
    fn control_target(&self, kmsg: Kmsg) -> Option<(Task, Option<Thread>)>;
    /// Whether a message in transit goes to a port that the kernel receives from.
    fn is_for_the_kernel(&self, kmsg: Kmsg) -> bool;
    /// Corresponds to `task_deallocate`: consumes a reference.
    fn task_deallocate(&self, task: Task);
    /// The task's own name for a port, or 0: where the task receives from it or has send rights to it.
    fn own_name(&self, task: Task, port: Port) -> u32;
    /// Corresponds to `ip_active`. The caller holds a right or a reference.
    fn port_is_active(&self, port: Port) -> bool;
    /// Whether a sender without `MACH_SEND_ALWAYS` would have to wait.
    fn port_is_full(&self, port: Port) -> bool;
    /// Whether the current thread's exception was raised on its own exception port: `ith_exc` is not 0, as long as the task's
    /// exception port is still to be tried.
    fn exception_is_threads(&self, thread: Thread) -> bool;
    /// `msgh_bits`.
    fn msgh_bits(&self, kmsg: Kmsg) -> u32;
    /// `msgh_remote_port` of a message in transit.
    fn remote_port(&self, kmsg: Kmsg) -> Port;
    /// `msgh_local_port` of a message in transit.
    fn local_port(&self, kmsg: Kmsg) -> Port;
    /// Eight message bytes of a kmsg from `record_alloc`, within the size that was asked for.
    fn record_read(&self, record: Kmsg, offset: usize) -> u64;
}

/// `MACH_MSG_TYPE_PORT_SEND`: a send right in transit.
pub const PORT_SEND: u32 = 17;
/// `MACH_MSG_TYPE_PORT_SEND_ONCE`: a send-once right in transit.
pub const PORT_SEND_ONCE: u32 = 18;
/// `MACH_MSGH_BITS_COMPLEX`.
pub const COMPLEX: u32 = 0x8000_0000;

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
/// `IKOT_THREAD`.
pub const IKOT_THREAD: u32 = 1;
/// `IKOT_TASK`.
pub const IKOT_TASK: u32 = 2;

#[cfg(target_os = "none")]
mod running {
    use super::{IKOT_TASK, IKOT_THREAD, IO_BITS_ACTIVE, Kmsg, Objects, Port, Task, Thread};
    use crate::gnumach::Kernel;
    use crate::gnumach::lock::SimpleLock;
    use crate::gnumach::mach::{MSGH_REMOTE_PORT, Mach, header, load};
    use crate::gnumach::slots::slot;
    use crate::payload_abi::Slot;

    // SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
    // instrumenter refuses a kernel that lacks one of the symbols.
    unsafe extern "C" {
        fn task_reference(task: usize);
        fn task_deallocate(task: usize);
        fn lock_try_read(lock: usize) -> i32;
        fn lock_done(lock: usize);
        static ipc_space_kernel: usize;
        fn ipc_right_reverse(space: usize, port: usize, name: *mut u32, entry: *mut usize) -> i32;
    }

    const MSGH_BITS: usize = 0;
    const MSGH_LOCAL_PORT: usize = 16;

    /// `IO_BITS_KOTYPE`.
    const IO_BITS_KOTYPE: u32 = 0xffff;

    /// Task and thread of [`Objects::control_target`], or 0, in registers.
    #[inline(never)]
    fn control_target(kmsg: Kmsg) -> (usize, usize) {
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
        (task.0, thread)
    }

    impl Objects for Mach {
        fn control_target(&self, kmsg: Kmsg) -> Option<(Task, Option<Thread>)> {
            match control_target(kmsg) {
                (0, _) => None,
                (task, 0) => Some((Task(task), None)),
                (task, thread) => Some((Task(task), Some(Thread(thread)))),
            }
        }

        fn is_for_the_kernel(&self, kmsg: Kmsg) -> bool {
            let port = header(kmsg, MSGH_REMOTE_PORT);
            let _lock = SimpleLock::take(port, Slot::port_lock);
            // SAFETY: a kernel variable set once at boot.
            load::<usize>(port, Slot::port_receiver) == unsafe { ipc_space_kernel }
        }

        fn task_deallocate(&self, task: Task) {
            // SAFETY: consumes a reference of the caller's.
            unsafe { task_deallocate(task.0) };
        }

        fn own_name(&self, task: Task, port: Port) -> u32 {
            // A task's space is freed after `itk_self` is cleared; nothing below sleeps.
            if !self.task_is_alive(task) {
                return 0;
            }
            let space = self.task_space(task);
            let lock = space.0 + slot(Slot::space_lock);
            // SAFETY: the space is alive. If a writer holds the lock, the port is shown by its number instead.
            if unsafe { lock_try_read(lock) } == 0 {
                return 0;
            }
            let mut name = 0;
            if load::<u32>(space.0, Slot::space_is_active) != 0 {
                let (mut found, mut entry) = (0, 0);
                // SAFETY: a live, active, locked space and a port that the message holds a right to; the results outlive the call.
                if unsafe { ipc_right_reverse(space.0, port.0, &mut found, &mut entry) } != 0 {
                    name = found;
                    // The port comes back locked.
                    drop(SimpleLock::taken(port.0, Slot::port_lock));
                }
            }
            // SAFETY: releases the lock that was taken above.
            unsafe { lock_done(lock) };
            name
        }

        fn port_is_active(&self, port: Port) -> bool {
            load::<u32>(port.0, Slot::port_io_bits) & IO_BITS_ACTIVE != 0
        }

        fn port_is_full(&self, port: Port) -> bool {
            self.port_msgcount(port) >= load(port.0, Slot::port_qlimit)
        }

        fn exception_is_threads(&self, thread: Thread) -> bool {
            load::<u32>(thread.0, Slot::thread_ith_exc) != 0
        }

        fn msgh_bits(&self, kmsg: Kmsg) -> u32 {
            header(kmsg, MSGH_BITS)
        }

        fn remote_port(&self, kmsg: Kmsg) -> Port {
            Port(header(kmsg, MSGH_REMOTE_PORT))
        }

        fn local_port(&self, kmsg: Kmsg) -> Port {
            Port(header(kmsg, MSGH_LOCAL_PORT))
        }

        fn record_read(&self, record: Kmsg, offset: usize) -> u64 {
            header(record, offset)
        }
    }
}
