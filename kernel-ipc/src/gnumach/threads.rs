//! Threads of the running kernel.

use core::arch::asm;

use super::control;
use super::lock::SimpleLock;
use super::mach::{Mach, load, store};
use super::slots::{fact, slot};
use super::{Arguments, Port, SendRight, Task, Tasks, Thread, Threads};
use crate::numbers::{HalfCorrelation, ThreadNumber};
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn splsched() -> u32;
    fn splx(level: u32);
    fn mach_msg_continue();
    fn mach_msg_receive_continue();
    fn clear_wait(thread: usize, result: i32, interrupt_only: i32);
    fn thread_deallocate(thread: usize);
    fn thread_reference(thread: usize);
    fn convert_thread_to_port(thread: usize) -> usize;
}

/// `THREAD_INTERRUPTED`.
const THREAD_INTERRUPTED: i32 = 2;

/// `AST_HALT | AST_TERMINATE`.
const AST_HALTING: u32 = 1 | 2;

/// `TH_SWAPPED | TH_SW_COMING_IN`: the thread has no stack; it will run its continuation.
const TH_SWAP_STATE: u16 = 0x100 | 0x200;

impl Threads for Mach {
    #[inline(always)]
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

    #[inline(always)]
    fn thread_task(&self, thread: Thread) -> Task {
        Task(load(thread.0, Slot::thread_task))
    }

    #[inline(always)]
    fn thread_number(&self, thread: Thread) -> ThreadNumber {
        ThreadNumber::new(load(thread.0, Slot::thread_number))
    }

    #[inline(always)]
    fn set_thread_number(&self, thread: Thread, number: ThreadNumber) {
        store(thread.0, Slot::thread_number, number.get());
    }

    #[inline(always)]
    fn thread_call(&self, thread: Thread) -> u32 {
        load(thread.0, Slot::thread_call)
    }

    #[inline(always)]
    fn set_thread_call(&self, thread: Thread, word: u32) {
        store(thread.0, Slot::thread_call, word);
    }

    #[inline(always)]
    fn thread_message(&self, thread: Thread) -> u32 {
        load(thread.0, Slot::thread_message)
    }

    #[inline(always)]
    fn set_thread_message(&self, thread: Thread, message: u32) {
        store(thread.0, Slot::thread_message, message);
    }

    #[inline(always)]
    fn thread_awaited(&self, thread: Thread) -> HalfCorrelation {
        HalfCorrelation::new(load(thread.0, Slot::thread_awaited))
    }

    #[inline(always)]
    fn set_thread_awaited(&self, thread: Thread, awaited: HalfCorrelation) {
        store(thread.0, Slot::thread_awaited, awaited.get());
    }

    #[inline(always)]
    fn thread_notify(&self, thread: Thread) -> u32 {
        load(thread.0, Slot::thread_notify)
    }

    #[inline(always)]
    fn arguments(&self, thread: Thread) -> Arguments {
        let pcb: usize = load(thread.0, Slot::thread_pcb);
        Arguments {
            option: load(pcb, Slot::pcb_option),
            send_size: load(pcb, Slot::pcb_send_size),
            rcv_name: load(pcb, Slot::pcb_rcv_name),
            time_out: load(pcb, Slot::pcb_time_out),
        }
    }

    #[inline(always)]
    fn thread_is_halting(&self, thread: Thread) -> bool {
        let place = fact(Slot::thread_active);
        // SAFETY: the slot holds byte offset and bit number of `thread->active`, a bit-field of the current, live thread.
        let byte = unsafe { ((thread.0 + (place >> 8)) as *const u8).read() };
        let active = byte & 1 << (place & 7) != 0;
        !active || load::<u32>(thread.0, Slot::thread_ast) & AST_HALTING != 0
    }

    fn exception_is_threads(&self, thread: Thread) -> bool {
        load::<u32>(thread.0, Slot::thread_ith_exc) != 0
    }

    fn interrupt_threads(&self, task: Task, mut waits: impl FnMut(Thread) -> bool) {
        each_thread(task, |thread| {
            if waits(thread) {
                // SAFETY: a thread of a locked task's list is alive; the kernel, too, takes a thread's lock inside its task's. A thread
                // that does not wait, or must not be interrupted, is left alone.
                unsafe { clear_wait(thread.0, THREAD_INTERRUPTED, 1) };
            }
        });
    }

    fn watch_thread(&self, thread: Thread) {
        store(thread.0, Slot::thread_watched, control::MARKED);
        // SAFETY: the thread is alive, which is on its task's list or just being made; the reference is consumed next.
        unsafe { thread_reference(thread.0) };
        // SAFETY: consumes the reference just taken.
        if let Some(right) = SendRight::own(Port(unsafe { convert_thread_to_port(thread.0) })) {
            control::watch(right);
        }
    }

    fn unwatch_untraced(&self, thread: Thread) {
        let is_traced = || self.task_entry(self.thread_task(thread)) != 0;
        if !is_traced() {
            control::unmark(thread.0, Slot::thread_watched, is_traced);
        }
    }

    fn thread_deallocate(&self, thread: Thread) {
        // SAFETY: consumes a reference of the caller's.
        unsafe { thread_deallocate(thread.0) };
    }

    fn look_at_threads(&self, task: Task, mut look: impl FnMut(Thread, bool)) {
        let current = self.current_thread();
        each_thread(task, |thread| {
            if thread != current {
                look_at(thread, &mut look);
            }
        });
    }
}

/// Shows every thread of a task, under the task's lock.
pub(super) fn each_thread(task: Task, mut show: impl FnMut(Thread)) {
    let end = task.0 + slot(Slot::task_thread_list);
    let task_lock = SimpleLock::take(task.0, Slot::task_lock);
    // The queue's links point to the threads themselves; its head ends it.
    let mut thread: usize = load(task.0, Slot::task_thread_list);
    while thread != end {
        show(Thread(thread));
        thread = load(thread, Slot::thread_thread_list);
    }
    drop(task_lock);
}

/// Shows a thread under its lock, as the scheduler changes it where threads run in parallel.
fn look_at(Thread(thread): Thread, look: &mut impl FnMut(Thread, bool)) {
    // SAFETY: may be called at any level; the result goes back to splx below.
    let level = unsafe { splsched() };
    let lock = SimpleLock::take(thread, Slot::thread_lock);
    // Elsewhere it may be running, and its continuation be that of an earlier sleep.
    let stands_still = !lock.is_real() || load::<u16>(thread, Slot::thread_state) & TH_SWAP_STATE != 0;
    if stands_still {
        look(Thread(thread), receives(load(thread, Slot::thread_swap_func)));
    }
    drop(lock);
    // SAFETY: the level that splsched found.
    unsafe { splx(level) };
}

/// Whether this continuation ends a `mach_msg`.
fn receives(swap_func: usize) -> bool {
    swap_func == mach_msg_continue as *const () as usize || swap_func == mach_msg_receive_continue as *const () as usize
}
