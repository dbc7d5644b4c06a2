// SPDX-License-Identifier: GPL-2.0-or-later
//! What a traced sender leaves in a message for a traced receiver: the correlation number, in the last two words of the kmsg's memory.
//!
//! The kernel gives a user's message twice the room it needs (`IKM_EXPAND_FACTOR`), and neither writes nor shows the rest, so the
//! stamp travels with the message through queues and hand-offs, whatever becomes of the header, and needs no table and no lock.
//! Its second word seals the first with a secret of this boot, the kmsg's place, `msgh_id` and `msgh_size`. A stamp is taken on
//! receipt; where the receiver is not traced it stays in the memory, and the next message that is copied in there clears it
//! (the stub of `copyinmsg`, for every sender). What the kernel itself puts into such memory: messages that fill it and have no room for a stamp;
//! replies, with 8 KiB, of which none is as long as a user's message with that much memory; and exceptions, whose id and size are never stamped.

use crate::gnumach::{Kernel, Kmsg};
use crate::numbers::Correlation;
use crate::state::State;

/// `msgh_id` and `msgh_size` of the message that `exception_raise` makes in a cached buffer.
const EXCEPTION: (u32, u32) = (2400, 112);

/// Leaves a correlation number in a message.
#[inline(always)]
pub(crate) fn put(kernel: &impl Kernel, state: &State, kmsg: Kmsg, correlation: Correlation) {
    if let Some(seal) = seal(kernel, state, kmsg, correlation) {
        kernel.set_tail(kmsg, [correlation.get(), seal]);
    }
}

/// The number in a message, or none if no traced sender left one.
#[inline(always)]
pub(crate) fn read(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> Correlation {
    let tail = kernel.tail(kmsg).map(|[number, found]| (Correlation::new(number), found));
    match tail {
        Some((correlation, found)) if seal(kernel, state, kmsg, correlation) == Some(found) => correlation,
        _ => Correlation::NONE,
    }
}

/// The number in a message, which is there once.
#[inline(always)]
pub(crate) fn take(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> Correlation {
    let correlation = read(kernel, state, kmsg);
    if !correlation.is_none() {
        kernel.set_tail(kmsg, [0; 2]);
    }
    correlation
}

#[inline(always)]
fn seal(kernel: &impl Kernel, state: &State, kmsg: Kmsg, correlation: Correlation) -> Option<u64> {
    let (id, size) = (kernel.msgh_id(kmsg), kernel.msgh_size(kmsg));
    if (id, size) == EXCEPTION {
        return None;
    }
    let message = (u64::from(id) << 32 | u64::from(size)) ^ kmsg.address() as u64;
    let mixed = message.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ state.secret();
    Some(mixed ^ correlation.get().wrapping_mul(0xd6e8_feb8_6659_fd93))
}

#[cfg(test)]
mod tests;
