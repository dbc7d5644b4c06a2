// SPDX-License-Identifier: GPL-2.0-or-later
//! The per-thread block: what the runtime remembers for each thread, found through the `fs` base.
//!
//! `fs` is set with the trap `thread_set_self_state`, not by RPC, so that starting a thread leaves no message in a trace.
//! Names are cached per thread, not per task: a task made with inherited memory starts a thread with a fresh block and so
//! never uses its parent's names.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::trap;
use crate::port::PortName;

/// `i386_FSGS_BASE_STATE` of thread_status.h.
const FSGS_BASE_STATE: i32 = 7;

/// What is remembered for one thread. `fs:0` holds the block's own address.
#[derive(Debug)]
#[repr(C)]
pub struct ThreadBlock {
    address: core::sync::atomic::AtomicU64,
    reply_port: AtomicU32,
    task_self: AtomicU32,
    thread_self: AtomicU32,
    host_self: AtomicU32,
    /// Whether the thread is giving a reply port back.
    gives_back: AtomicBool,
}

impl ThreadBlock {
    /// A block that remembers nothing yet.
    pub const fn new() -> Self {
        Self {
            address: core::sync::atomic::AtomicU64::new(0),
            reply_port: AtomicU32::new(0),
            task_self: AtomicU32::new(0),
            thread_self: AtomicU32::new(0),
            host_self: AtomicU32::new(0),
            gives_back: AtomicBool::new(false),
        }
    }

    /// Makes this the calling thread's block. The first thing any thread of the runtime does.
    pub(crate) fn install(&'static self) {
        let address = core::ptr::from_ref(self) as u64;
        self.address.store(address, Ordering::Relaxed);
        let state = [address, 0u64];
        trap::thread_set_self_state(FSGS_BASE_STATE, &state)
            .unwrap_or_else(|error| panic!("thread_set_self_state(FSGS_BASE_STATE): expected success, found {error}"));
    }
}

impl Default for ThreadBlock {
    fn default() -> Self {
        Self::new()
    }
}

/// The calling thread's block.
fn current() -> &'static ThreadBlock {
    let address: *const ThreadBlock;
    // SAFETY: every thread of the runtime installs a block, whose first word is its own address, before any other code;
    // reading that word changes nothing.
    unsafe { asm!("mov {}, fs:[0]", out(reg) address, options(nostack, readonly, preserves_flags)) };
    // SAFETY: `install` takes only `&'static` blocks, so the address is that of a live block; all its fields are atomic.
    unsafe { &*address }
}

/// The cached name, fetched on first use.
fn cached(cache: &AtomicU32, fetch: fn() -> PortName) -> PortName {
    let known = cache.load(Ordering::Relaxed);
    if known != 0 {
        return PortName(known);
    }
    let name = fetch();
    cache.store(name.0, Ordering::Relaxed);
    name
}

/// The thread's reply port; every RPC of the thread uses it.
pub(crate) fn reply_port() -> PortName {
    cached(&current().reply_port, trap::mach_reply_port)
}

/// Forgets the reply port, because a reply that was not waited for may still come to it.
pub(crate) fn forget_reply_port() -> PortName {
    PortName(current().reply_port.swap(0, Ordering::Relaxed))
}

/// Runs `give_back`, unless this thread is in the midst of it already.
pub(crate) fn once_at_a_time(give_back: impl FnOnce()) {
    let is_under_way = &current().gives_back;
    if !is_under_way.swap(true, Ordering::Relaxed) {
        give_back();
        is_under_way.store(false, Ordering::Relaxed);
    }
}

/// `mach_task_self`, asked once per thread.
pub(crate) fn task_self() -> PortName {
    cached(&current().task_self, trap::mach_task_self)
}

/// `mach_thread_self`, asked once per thread.
pub(crate) fn thread_self() -> PortName {
    cached(&current().thread_self, trap::mach_thread_self)
}

/// `mach_host_self`, asked once per thread.
pub(crate) fn host_self() -> PortName {
    cached(&current().host_self, trap::mach_host_self)
}
