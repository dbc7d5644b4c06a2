// SPDX-License-Identifier: GPL-2.0-or-later
//! The messages that wait in a port's queue, and which of them are the payload's.

use core::num::NonZeroUsize;

use trace_port::record::{LARGEST, MAX_BATCH};

use super::handles::Pset;
use super::lock::{PORT_LOCK, PORT_MESSAGES_LOCK, PSET_MESSAGES_LOCK};
use super::mach::MSGH_SIZE;
use super::members::{KMSG_PREV, KMSG_SIZE, PORT_IO_BITS, PORT_KMSGS, PORT_PSET, PSET_KMSGS, Struct};
use super::objects::IO_BITS_ACTIVE;
use super::slots::slot;
use super::{Kmsg, Port, Record};
use crate::payload_abi::Slot;

/// How many messages, from the last one on, are looked at: as many tasks that take turns can share a trace port and still
/// have their records put together.
const LOOKED_AT: usize = 4;

/// Shows `look` the last messages in a port's queue, those that are the payload's with their room, until it has an answer.
///
/// The kernel's order of locks, and as `ipc_mqueue_send` does: the port, so that it stays in its set and alive, then the queue.
/// A message is put into a queue and taken out under the queue's lock alone, and only who has taken it out knows it then.
#[inline(always)]
pub(super) fn look(port: Port, mut look: impl FnMut(Record, usize) -> Option<bool>) -> bool {
    let _port_lock = PORT_LOCK.of(port).take();
    if port.load(PORT_IO_BITS) & IO_BITS_ACTIVE == 0 {
        return false;
    }
    // SAFETY: a set lives as long as a port is in it, whose lock is held.
    let set = NonZeroUsize::new(port.load(PORT_PSET)).map(|set| unsafe { Pset::at(set.get()) });
    let lock = set.map_or_else(|| PORT_MESSAGES_LOCK.of(port), |set| PSET_MESSAGES_LOCK.of(set));
    let _queue_lock = lock.take();
    let first = set.map_or_else(|| port.load(PORT_KMSGS), |set| set.load(PSET_KMSGS));
    if first == 0 {
        return false;
    }
    // SAFETY: the queue's lock is held, and its messages stay there: a circle.
    let kmsg = |address: usize| unsafe { Kmsg::at(address) };
    let mut last = kmsg(first).load(KMSG_PREV);
    for _ in 0..LOOKED_AT {
        if let Some(room) = record_room(kmsg(last))
            // SAFETY: it is a record's kmsg by its memory, and whoever queued it has made it one.
            && let Some(answer) = look(unsafe { Record::at(last) }, room)
        {
            return answer;
        }
        if last == first {
            break;
        }
        last = kmsg(last).load(KMSG_PREV);
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
    let total = kmsg.load(KMSG_SIZE);
    let room = total.checked_sub(slot(Slot::kmsg_header) + RECORD_ODD)?;
    let is_record = room.is_multiple_of(8) && (MAX_BATCH..=LARGEST).contains(&room);
    is_record.then_some(room)
}

/// Where the last two words of a kmsg's memory are, if the message does not reach there. The kernel's special kmsgs have sizes that are
/// none.
#[inline(always)]
pub(super) fn tail(kmsg: Kmsg) -> Option<usize> {
    const TAIL: usize = 16;
    const LARGEST: usize = 1 << 32;
    let total = kmsg.load(KMSG_SIZE);
    let message = kmsg.header(MSGH_SIZE);
    let used = slot(Slot::kmsg_header) + message as usize;
    (total <= LARGEST && used + TAIL <= total).then(|| kmsg.address() + total - TAIL)
}
