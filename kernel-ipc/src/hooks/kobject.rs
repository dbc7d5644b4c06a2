//! `ipc_kobject_server`: the kernel's reply carries the correlation number of the request it answers.

use crate::gnumach::{Kernel, Kmsg};
use crate::observe;
use crate::state::State;

/// Before the kernel consumes a request: its correlation number, or 0.
pub fn requested(kernel: &impl Kernel, state: &State, request: Kmsg) -> u64 {
    observe::correlation(kernel, state, request)
}

/// Stamps the reply of a request that had a correlation number.
pub fn replied(kernel: &impl Kernel, state: &State, reply: Kmsg, correlation: u64) {
    if correlation != 0 {
        state.restamp(reply, correlation);
        kernel.set_msgh_seqno(reply, correlation as u32);
    }
}
