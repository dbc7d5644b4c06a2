// SPDX-License-Identifier: GPL-2.0-or-later
//! Which port a message came to, where what its receiver gets does not say: a protected payload stands in the place of the name.
//!
//! It is looked up while the message is still in transit: where it is taken out of a queue, or handed over, which every receive of a
//! `mach_msg` does. Until it is copied out it stands in the kmsg's own memory, where the kernel keeps the links of queues, and the
//! thread's word says that this has been done. It has not for a message that `exception_raise` hands over.

use crate::gnumach::{InTransit, Kernel, Kmsg, Port};
use crate::identity::NamedPort;
use crate::light;
use crate::observe;
use crate::open_call::OpenCall;
use crate::state::State;

/// In the thread's word, beside the message: it is the thread's to receive, and came to a port with a payload. No message begins at such
/// an address.
const HAS_PAYLOAD: u32 = 4;

/// The current thread, in an observed call or looked at lightly, has taken a message out of a queue.
#[inline(always)]
pub(crate) fn taken_out(kernel: &impl Kernel, state: &State, message: InTransit) {
    let (thread, call) = OpenCall::current(kernel);
    if call.is_light() && light::open_if_wanted(kernel, state, (thread, call), kernel.msgh_id(message.kmsg())).is_none()
    {
        return;
    }
    keep(kernel, state, message, false);
}

/// The current thread, in an observed call, is given a message by its sender, which has locked the port that it goes to.
#[inline(always)]
pub(crate) fn handed_over(kernel: &impl Kernel, state: &State, message: InTransit) {
    keep(kernel, state, message, true);
}

#[inline(always)]
fn keep(kernel: &impl Kernel, state: &State, message: InTransit, is_locked: bool) {
    let port = kernel.destination(message);
    if kernel.port_has_payload(port) {
        keep_port(kernel, state, message, port, is_locked);
    }
}

#[cold]
#[inline(never)]
fn keep_port(kernel: &impl Kernel, state: &State, message: InTransit, port: Port, is_locked: bool) {
    let found = kernel.receivers_name(port, observe::current_task(kernel), &state.numbers, is_locked);
    if let Some(found) = found {
        kernel.set_link_words(message.kmsg(), found.words());
        kernel.set_thread_message(kernel.current_thread(), message.kmsg().message_half() | HAS_PAYLOAD);
    }
}

/// The receiver's name for the port with a payload that a message came to, which the current thread receives, and which port it is.
pub(crate) fn known(kernel: &impl Kernel, kmsg: Kmsg) -> Option<NamedPort> {
    if kernel.thread_message(kernel.current_thread()) != kmsg.message_half() | HAS_PAYLOAD {
        return None;
    }
    NamedPort::of_words(kernel.link_words(kmsg))
}

#[cfg(test)]
mod tests;
