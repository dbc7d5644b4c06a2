//! The continuations of sleeping receivers: the kernel's, and the payload's that stand in for them.

use super::Continuation;
use super::lock::SimpleLock;
use super::mach::{AST_HALTING, load, store};
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn splsched() -> u32;
    fn splx(level: u32);
    fn mach_msg_continue();
    fn mach_msg_receive_continue();
    fn traced_msg_continue();
    fn traced_msg_receive_continue();
}

/// What `thread->swap_func` is for a continuation.
pub(super) fn address(continuation: Continuation) -> usize {
    match continuation {
        Continuation::Plain => mach_msg_continue as *const () as usize,
        Continuation::Options => mach_msg_receive_continue as *const () as usize,
        Continuation::TracedPlain => traced_msg_continue as *const () as usize,
        Continuation::TracedOptions => traced_msg_receive_continue as *const () as usize,
        Continuation::Other => 0,
    }
}

fn continuation(swap_func: usize) -> Continuation {
    use Continuation::{Options, Other, Plain, TracedOptions, TracedPlain};
    [Plain, Options, TracedPlain, TracedOptions].into_iter().find(|&known| address(known) == swap_func).unwrap_or(Other)
}

/// Replaces the continuation of a sleeping receiver, under its lock as the scheduler does where threads run in parallel.
pub(super) fn convert(thread: usize, replace: fn(Continuation) -> Continuation) {
    // SAFETY: may be called at any level; the result goes back to splx below.
    let level = unsafe { splsched() };
    let lock = SimpleLock::take(thread, Slot::thread_lock);
    // Elsewhere thread_halt may just have looked at the continuation of a thread that it makes give up its receive.
    let halted_elsewhere = lock.is_real() && load::<u32>(thread, Slot::thread_ast) & AST_HALTING != 0;
    let old = continuation(load(thread, Slot::thread_swap_func));
    let new = replace(old);
    if new != old && !halted_elsewhere {
        store(thread, Slot::thread_swap_func, address(new));
    }
    drop(lock);
    // SAFETY: the level that splsched found.
    unsafe { splx(level) };
}
