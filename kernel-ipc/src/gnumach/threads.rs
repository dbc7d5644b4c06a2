// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads of the running kernel.

use core::arch::asm;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::fence;

use super::control;
use super::lock::{TASK_LOCK, THREAD_LOCK};
use super::mach::Mach;
use super::members::{
    PCB_MSG, PCB_OPTION, PCB_RCV_NAME, PCB_SEND_SIZE, PCB_TIME_OUT, Struct, TASK_THREADS, THREAD_ACTIVE, THREAD_AST,
    THREAD_AWAITED, THREAD_CALL, THREAD_ITH_EXC, THREAD_ITH_OPTION, THREAD_ITH_RCV_SIZE, THREAD_MESSAGE, THREAD_NEXT,
    THREAD_NOTIFY, THREAD_NUMBER, THREAD_PCB, THREAD_STATE, THREAD_SWAP_FUNC, THREAD_TASK, THREAD_WATCHED,
};
use super::{Arguments, CallWord, MaybeRight, Reference, Task, Tasks, Thread, Threads, switches};
use crate::identity::Numbers;
use crate::numbers::{HalfCorrelation, ThreadNumber};

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. What takes only handles, and what is owned, asks for nothing else. Any level may be asked for.
unsafe extern "C" {
    safe fn splsched() -> Level;
    safe fn splx(level: Level);
    fn mach_msg_continue();
    fn mach_msg_receive_continue();
    safe fn assert_wait(event: usize, interruptible: i32);
    fn copyout(kernel: usize, user: u64, size: usize) -> i32;
    fn thread_block(continuation: usize);
    safe fn thread_wakeup_prim(event: usize, one_thread: i32, result: i32) -> i32;
    safe fn thread_will_wait_with_timeout(thread: Thread, milliseconds: u32);
    safe fn clear_wait(thread: Thread, result: i32, interrupt_only: i32);
    safe fn thread_hold(thread: Thread);
    safe fn thread_release(thread: Thread);
    safe fn thread_deallocate(thread: Reference<Thread>);
    safe fn thread_reference(thread: Thread);
    safe fn convert_thread_to_port(thread: Reference<Thread>) -> MaybeRight;
}

/// `spl_t`: the level that `splsched` has found.
#[must_use]
#[repr(transparent)]
struct Level(u32);

impl Reference<Thread> {
    /// A new reference to a thread.
    pub(super) fn to_thread(thread: Thread) -> Self {
        thread_reference(thread);
        // SAFETY: the reference just taken.
        unsafe { Self::own(thread) }
    }
}

/// `THREAD_AWAKENED`.
const THREAD_AWAKENED: i32 = 0;

/// `THREAD_INTERRUPTED`.
const THREAD_INTERRUPTED: i32 = 2;

/// `AST_HALT | AST_TERMINATE`.
const AST_HALTING: u32 = 1 | 2;

/// `TH_RUN | TH_UNINT`: the thread runs, or will before anybody can stop it.
const TH_MOVES: u16 = 0x04 | 0x08;

/// `TH_HALTED`.
const TH_HALTED: u16 = 0x10;

/// `TH_SWAPPED | TH_SW_COMING_IN`: the thread has no stack; it will run its continuation.
const TH_SWAP_STATE: u16 = 0x100 | 0x200;

/// In the mark of a thread: it is looked at lightly. The sign, which the stub of `mach_msg_trap` looks at.
const LIGHTLY: u32 = 1 << 31;

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
        // SAFETY: it lives as long as it runs, and its task and the kernel keep it while the payload looks at it.
        unsafe { Thread::at(thread) }
    }

    #[inline(always)]
    fn thread_task(&self, thread: Thread) -> Task {
        thread.load(THREAD_TASK)
    }

    #[inline(always)]
    fn thread_number(&self, thread: Thread) -> ThreadNumber {
        ThreadNumber::new(thread.load(THREAD_NUMBER))
    }

    fn give_thread_number(&self, thread: Thread, numbers: &Numbers) -> ThreadNumber {
        let number = numbers.next_thread();
        // Another processor may do the same: one of both numbers is nobody's.
        match thread.shared(THREAD_NUMBER).compare_exchange(0, number.get(), Relaxed, Relaxed) {
            Ok(_) => number,
            Err(known) => ThreadNumber::new(known),
        }
    }

    #[inline(always)]
    fn thread_call(&self, thread: Thread) -> CallWord {
        // SAFETY: `set_thread_call` writes what the hole holds, and the stub of `mach_msg_trap`, a period.
        unsafe { CallWord::of(thread.load(THREAD_CALL)) }
    }

    #[inline(always)]
    fn period(&self) -> u32 {
        switches::period()
    }

    #[inline(always)]
    fn set_thread_call(&self, thread: Thread, call: CallWord) {
        thread.store(THREAD_CALL, call.word());
    }

    #[inline(always)]
    fn thread_message(&self, thread: Thread) -> u32 {
        thread.load(THREAD_MESSAGE)
    }

    #[inline(always)]
    fn set_thread_message(&self, thread: Thread, message: u32) {
        thread.store(THREAD_MESSAGE, message);
    }

    #[inline(always)]
    fn thread_awaited(&self, thread: Thread) -> HalfCorrelation {
        HalfCorrelation::new(thread.load(THREAD_AWAITED))
    }

    #[inline(always)]
    fn set_thread_awaited(&self, thread: Thread, awaited: HalfCorrelation) {
        thread.store(THREAD_AWAITED, awaited.get());
    }

    #[inline(always)]
    fn thread_notify(&self, thread: Thread) -> u32 {
        thread.load(THREAD_NOTIFY)
    }

    #[inline(always)]
    fn set_thread_notify(&self, thread: Thread, notify: u32) {
        thread.store(THREAD_NOTIFY, notify);
    }

    #[inline(always)]
    fn arguments(&self, thread: Thread) -> Arguments {
        let pcb = thread.load(THREAD_PCB);
        Arguments {
            option: pcb.load(PCB_OPTION),
            send_size: pcb.load(PCB_SEND_SIZE),
            rcv_name: pcb.load(PCB_RCV_NAME),
            time_out: pcb.load(PCB_TIME_OUT),
        }
    }

    #[inline(always)]
    fn receives(&self, thread: Thread) -> (u32, u32) {
        let pcb = thread.load(THREAD_PCB);
        (pcb.load(PCB_OPTION), pcb.load(PCB_RCV_NAME))
    }

    #[inline(always)]
    fn time_out(&self, thread: Thread) -> u32 {
        thread.load(THREAD_PCB).load(PCB_TIME_OUT)
    }

    #[inline(always)]
    fn receives_with(&self, thread: Thread) -> (u32, u32) {
        (thread.load(THREAD_ITH_OPTION), thread.load(THREAD_ITH_RCV_SIZE))
    }

    #[inline(always)]
    fn thread_is_halting(&self, thread: Thread) -> bool {
        !thread.bit(THREAD_ACTIVE) || thread.load(THREAD_AST) & AST_HALTING != 0
    }

    fn exception_is_threads(&self, thread: Thread) -> bool {
        thread.load(THREAD_ITH_EXC) != 0
    }

    fn interrupt_threads(&self, task: Task, mut waits: impl FnMut(Thread) -> bool) {
        each_thread(task, |thread| {
            if waits(thread) {
                // The kernel, too, takes a thread's lock inside its task's. A thread that does not wait, or must not be interrupted,
                // is left alone.
                clear_wait(thread, THREAD_INTERRUPTED, 1);
            }
        });
    }

    fn watch_thread(&self, thread: Thread) {
        thread.store(THREAD_WATCHED, control::MARKED);
        if let Some(right) = convert_thread_to_port(Reference::to_thread(thread)).right() {
            control::watch(right);
        }
    }

    fn unwatch_untraced(&self, thread: Thread) {
        let is_traced = || self.task_entry(self.thread_task(thread)) != 0;
        if !is_traced() {
            control::unmark(thread, THREAD_WATCHED, is_traced);
        }
    }

    fn watch_closely(&self, thread: Thread) {
        thread.store(THREAD_WATCHED, control::MARKED);
    }

    fn watch_lightly(&self, thread: Thread, is_light: impl Fn() -> bool) {
        thread.store(THREAD_WATCHED, control::MARKED | LIGHTLY);
        // Who stirs the task takes its bit away before it marks the threads: either that mark comes later than this, or it is seen.
        fence(SeqCst);
        if !is_light() {
            thread.store(THREAD_WATCHED, control::MARKED);
        }
    }

    fn thread_is_alive(&self, thread: Thread) -> bool {
        let right = convert_thread_to_port(Reference::to_thread(thread)).right();
        let is_alive = right.is_some();
        if let Some(right) = right {
            super::Ports::ipc_port_release_send(self, right);
        }
        is_alive
    }

    fn wait(&self) {
        // SAFETY: on the stack of a thread that the kernel has called the payload on, which holds no lock, without a continuation.
        unsafe { thread_block(0) };
    }

    fn prepare_to_stop(&self, thread: Thread) {
        assert_wait(thread.address(), 1);
    }

    fn wake_stopped(&self, thread: Thread) {
        thread_wakeup_prim(thread.address(), 0, THREAD_AWAKENED);
    }

    fn hold_thread(&self, thread: Thread) {
        thread_hold(thread);
    }

    fn release_thread(&self, thread: Thread) {
        thread_release(thread);
    }

    fn stay(&self) {
        Threads::wait(self);
    }

    fn thread_stands(&self, thread: Thread) -> bool {
        thread.load(THREAD_STATE) & TH_MOVES == 0
    }

    fn thread_is_halted(&self, thread: Thread) -> bool {
        thread.load(THREAD_STATE) & TH_HALTED != 0
    }

    fn next_thread(
        &self,
        task: Task,
        above: ThreadNumber,
        numbers: &Numbers,
    ) -> Option<(Reference<Thread>, ThreadNumber)> {
        loop {
            let mut next = None;
            each_thread(task, |thread| {
                let known = self.thread_number(thread);
                let number = if known.is_none() { self.give_thread_number(thread, numbers) } else { known };
                if number.get() > above.get() && next.is_none_or(|next: ThreadNumber| number.get() < next.get()) {
                    next = Some(number);
                }
            });
            let number = next?;
            let mut found = None;
            each_thread(task, |thread| {
                if self.thread_number(thread) == number {
                    // The kernel, too, takes a thread's lock inside its task's.
                    found = Some(Reference::to_thread(thread));
                }
            });
            // It may have ended between both looks.
            if let Some(found) = found {
                return Some((found, number));
            }
        }
    }

    fn sleep(&self, milliseconds: u32) {
        thread_will_wait_with_timeout(self.current_thread(), milliseconds);
        Threads::wait(self);
    }

    fn write_received(&self, bytes: &[u8]) -> bool {
        let buffer = self.current_thread().load(THREAD_PCB).load(PCB_MSG);
        // SAFETY: `copyout` answers for the user's addresses; the bytes are there to be read.
        unsafe { copyout(bytes.as_ptr().expose_provenance(), buffer, bytes.len()) == 0 }
    }

    fn thread_deallocate(&self, thread: Reference<Thread>) {
        thread_deallocate(thread);
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
    let end = task.place(TASK_THREADS);
    let held = TASK_LOCK.of(task).take();
    // The queue's links point to the threads themselves; its head ends it.
    let mut next = task.load(TASK_THREADS);
    while next != end {
        // SAFETY: a thread of a locked task's list is alive.
        let thread = unsafe { Thread::at(next) };
        show(thread);
        next = thread.load(THREAD_NEXT);
    }
    drop(held);
}

/// Shows a thread under its lock, as the scheduler changes it where threads run in parallel.
fn look_at(thread: Thread, look: &mut impl FnMut(Thread, bool)) {
    let level = splsched();
    let held = THREAD_LOCK.of(thread).take();
    // Elsewhere it may be running, and its continuation be that of an earlier sleep.
    let stands_still = !held.is_real() || thread.load(THREAD_STATE) & TH_SWAP_STATE != 0;
    if stands_still {
        look(thread, receives(thread.load(THREAD_SWAP_FUNC)));
    }
    drop(held);
    splx(level);
}

/// Whether this continuation ends a `mach_msg`.
fn receives(swap_func: usize) -> bool {
    swap_func == mach_msg_continue as *const () as usize || swap_func == mach_msg_receive_continue as *const () as usize
}
