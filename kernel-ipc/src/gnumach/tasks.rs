//! Tasks and spaces of the running kernel.

use core::sync::atomic::{AtomicU64, Ordering, Ordering::Relaxed, fence};

use super::control;
use super::lock::SimpleLock;
use super::mach::{Mach, load, store};
use super::slots::slot;
use super::threads::each_thread;
use super::{Port, SendRight, Space, Task, Tasks, Threads};
use crate::numbers::HalfCorrelation;
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn convert_task_to_port(task: usize) -> usize;
    fn task_reference(task: usize);
    fn task_deallocate(task: usize);
    fn lock_try_read(lock: usize) -> i32;
    fn lock_done(lock: usize);
    fn ipc_right_reverse(space: usize, port: usize, name: *mut u32, entry: *mut usize) -> i32;
    fn rdxtree_lookup_common(tree: usize, key: u32, get_slot: i32) -> usize;
    static kernel_task: usize;
}

/// `MACH_PORT_TYPE_SEND`, `RECEIVE` and `SEND_ONCE` in `ie_bits`: the entry's object is a port.
const IE_BITS_PORT: u32 = 0x7_0000;

/// A member of a kernel struct that is changed atomically.
fn atomic64(base: usize, offset: Slot) -> &'static AtomicU64 {
    // SAFETY: as for `load`; the reference is used at once, while the struct lives, and the member is an aligned word.
    unsafe { &*((base + slot(offset)) as *const AtomicU64) }
}

/// A task's space, active and locked for reading.
struct ReadSpace(usize);

impl ReadSpace {
    /// Does not wait: nothing if a writer holds the lock, or if the space has ended.
    #[inline(always)]
    fn of(task: Task) -> Option<Self> {
        let space = Mach.task_space(task).0;
        // SAFETY: the task, which the caller keeps alive, has a reference to its space until its memory is freed.
        if unsafe { lock_try_read(space + slot(Slot::space_lock)) } == 0 {
            return None;
        }
        let space = Self(space);
        (load::<u32>(space.0, Slot::space_is_active) != 0).then_some(space)
    }
}

impl Drop for ReadSpace {
    fn drop(&mut self) {
        // SAFETY: releases the lock that was taken above.
        unsafe { lock_done(self.0 + slot(Slot::space_lock)) };
    }
}

impl Tasks for Mach {
    #[inline(always)]
    fn task_entry(&self, task: Task) -> u32 {
        load(task.0, Slot::task_entry)
    }

    #[inline(always)]
    fn set_task_entry(&self, task: Task, entry: u32) {
        store(task.0, Slot::task_entry, entry);
    }

    #[inline(always)]
    fn task_space(&self, task: Task) -> Space {
        Space(load(task.0, Slot::task_itk_space))
    }

    #[inline(always)]
    fn task_is_alive(&self, task: Task) -> bool {
        // Between an entry's appearance and this look, against ipc_task_terminate, which clears the member before it looks for
        // an entry: one of both sees the other.
        fence(Ordering::SeqCst);
        load::<usize>(task.0, Slot::task_itk_self) != 0
    }

    fn is_kernel_task(&self, task: Task) -> bool {
        // SAFETY: a kernel variable set once at boot, before the first hook can run.
        task.0 == unsafe { kernel_task }
    }

    #[inline(always)]
    fn uncount_sent(&self, task: Task) {
        atomic64(task.0, Slot::task_messages_sent).fetch_sub(1, Relaxed);
    }

    fn task_send_right(&self, task: Task) -> Option<SendRight> {
        // SAFETY: the task is alive, the caller being one of its threads or holding it; the reference is consumed next.
        unsafe { task_reference(task.0) };
        // SAFETY: consumes the reference just taken.
        SendRight::own(Port(unsafe { convert_task_to_port(task.0) }))
    }

    fn watch_task(&self, task: Task) {
        if let Some(right) = self.task_send_right(task) {
            control::watch(right);
        }
        each_thread(task, |thread| self.watch_thread(thread));
    }

    fn task_deallocate(&self, task: Task) {
        // SAFETY: consumes a reference of the caller's.
        unsafe { task_deallocate(task.0) };
    }

    fn own_name(&self, task: Task, port: Port) -> u32 {
        // If somebody is changing the names, the port is shown by its number instead.
        let Some(space) = ReadSpace::of(task) else { return 0 };
        let (mut name, mut entry) = (0, 0);
        // SAFETY: a live, active, locked space and a port that the message holds a right to; the results outlive the call.
        if unsafe { ipc_right_reverse(space.0, port.0, &mut name, &mut entry) } == 0 {
            return 0;
        }
        // The port comes back locked.
        drop(SimpleLock::taken(port.0, Slot::port_lock));
        name
    }

    fn awaited_at(&self, task: Task, name: u32, change: impl FnOnce(&mut HalfCorrelation)) {
        let Some(space) = ReadSpace::of(task) else { return };
        // SAFETY: the tree of a live, active space, locked for reading; the entry stays as long as the lock is held.
        let entry = unsafe { rdxtree_lookup_common(space.0 + slot(Slot::space_map), name, 0) };
        if entry == 0 || load::<u32>(entry, Slot::entry_bits) & IE_BITS_PORT == 0 {
            return;
        }
        let port: usize = load(entry, Slot::entry_object);
        let _lock = SimpleLock::take(port, Slot::port_lock);
        let mut awaited = HalfCorrelation::new(load(port, Slot::port_awaited));
        change(&mut awaited);
        store(port, Slot::port_awaited, awaited.get());
    }
}
