//! The messages that wait in a port's queue, and which of them are the payload's.

use trace_port::record::{MAX_BATCH, MAX_BODY, wire_size};

use super::lock::SimpleLock;
use super::mach::{MSGH_SIZE, header, load};
use super::objects::IO_BITS_ACTIVE;
use super::slots::slot;
use super::{Kmsg, Port};
use crate::payload_abi::Slot;

/// How many messages, from the last one on, are looked at: as many tasks that take turns can share a trace port and still
/// have their records put together.
const LOOKED_AT: usize = 4;

/// Shows `look` the last messages in a port's queue until it has an answer.
///
/// The kernel's order of locks, and as `ipc_mqueue_send` does: the port, so that it stays in its set and alive, then the queue.
/// A message is put into a queue and taken out under the queue's lock alone, and only who has taken it out knows it then.
#[inline(always)]
pub(super) fn look(port: Port, mut look: impl FnMut(Kmsg) -> Option<bool>) -> bool {
    let _port_lock = SimpleLock::take(port.0, Slot::port_lock);
    if load::<u32>(port.0, Slot::port_io_bits) & IO_BITS_ACTIVE == 0 {
        return false;
    }
    let set: usize = load(port.0, Slot::port_pset);
    let (owner, lock) = if set == 0 { (port.0, Slot::port_messages_lock) } else { (set, Slot::pset_messages_lock) };
    let _queue_lock = SimpleLock::take(owner, lock);
    let first: usize = match set {
        0 => load(port.0, Slot::port_messages_kmsgs),
        _ => load(set, Slot::pset_messages_kmsgs),
    };
    if first == 0 {
        return false;
    }
    // The queue is a circle.
    let mut kmsg: usize = load(first, Slot::kmsg_prev);
    for _ in 0..LOOKED_AT {
        if let Some(answer) = look(Kmsg(kmsg)) {
            return answer;
        }
        if kmsg == first {
            break;
        }
        kmsg = load(kmsg, Slot::kmsg_prev);
    }
    false
}

/// What makes the `ikm_size` of a record's kmsg odd. All others have an even one, by which they are told apart: that of a user's
/// message is 32 more than a multiple of the message's size, which is a multiple of 4; that of the kernel's own messages is a
/// C struct's, a page's multiple, or larger than any of ours. `kalloc` and `kfree` look for the cache of the next larger
/// objects, whatever the size.
const RECORD_ODD: usize = 7;

/// `ikm_size` of a record's kmsg with room for `size` message bytes.
pub(super) fn record_total(size: usize) -> usize {
    size.max(MAX_BATCH).next_multiple_of(8) + slot(Slot::kmsg_header) + RECORD_ODD
}

/// For how many message bytes a kmsg has room if it is a record's.
#[inline(always)]
pub(super) fn record_room(kmsg: Kmsg) -> Option<usize> {
    let total: usize = load(kmsg.0, Slot::kmsg_size);
    let room = total.checked_sub(slot(Slot::kmsg_header) + RECORD_ODD)?;
    let is_record = room.is_multiple_of(8) && (MAX_BATCH..=wire_size(MAX_BODY)).contains(&room);
    is_record.then_some(room)
}

/// Where the last two words of a kmsg's memory are, if the message does not reach there. The kernel's special kmsgs have sizes that are
/// none.
#[inline(always)]
pub(super) fn tail(kmsg: Kmsg) -> Option<usize> {
    const TAIL: usize = 16;
    const LARGEST: usize = 1 << 32;
    let total: usize = load(kmsg.0, Slot::kmsg_size);
    let message: u32 = header(kmsg, MSGH_SIZE);
    let used = slot(Slot::kmsg_header) + message as usize;
    (total <= LARGEST && used + TAIL <= total).then(|| kmsg.0 + total - TAIL)
}
