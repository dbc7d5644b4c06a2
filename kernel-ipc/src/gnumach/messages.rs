// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of the running kernel.

use core::sync::atomic::AtomicU64;

use mach_abi::header::LP64;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::mach::{MSGH_BITS, MSGH_ID, MSGH_LOCAL_NAME, MSGH_REMOTE_NAME, MSGH_SIZE, Mach};
use super::members::{KMSG_HEADER, KMSG_OTHER_WORD, KMSG_SIZE, KMSG_WORD, Struct};
use super::objects::COMPLEX;
use super::slots::slot;
use super::{
    InTransit, Kmsg, MaybePort, MaybeRight, Messages, OwnedKmsg, Port, Record, Reference, SendRight, Task, Thread,
    control, copy, mr, queue,
};
use crate::payload_abi::Slot;

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. What takes only what is owned asks for nothing else.
unsafe extern "C" {
    safe fn ipc_kmsg_destroy(kmsg: OwnedKmsg);
    #[cfg_attr(feature = "faults", link_name = "faulty_ipc_mqueue_send")]
    fn ipc_mqueue_send(kmsg: Record, option: u32, time_out: u32) -> u32;
}

/// Where a kmsg's message is: a pointer, so that who was given that place itself adds to it what stands where, and nothing else.
#[inline(always)]
fn message(kmsg: Kmsg) -> *const u8 {
    kmsg.place(KMSG_HEADER) as *const u8
}

impl Messages for Mach {
    #[inline(always)]
    fn msgh_bits(&self, kmsg: Kmsg) -> u32 {
        kmsg.header(MSGH_BITS)
    }

    #[inline(always)]
    fn msgh_size(&self, kmsg: Kmsg) -> u32 {
        kmsg.header(MSGH_SIZE)
    }

    #[inline(always)]
    fn msgh_id(&self, kmsg: Kmsg) -> u32 {
        kmsg.header(MSGH_ID)
    }

    #[inline(always)]
    fn message_word(&self, kmsg: Kmsg, offset: usize) -> u64 {
        // SAFETY: within the message, whose bytes the kmsg has.
        unsafe { message(kmsg).wrapping_add(offset).cast::<u64>().read_unaligned() }
    }

    #[inline(always)]
    fn message_dword(&self, kmsg: Kmsg, offset: usize) -> u32 {
        // SAFETY: within the message, whose bytes the kmsg has.
        unsafe { message(kmsg).wrapping_add(offset).cast::<u32>().read_unaligned() }
    }

    #[inline(always)]
    fn copy_message(&self, kmsg: Kmsg, places: &[AtomicU64]) {
        // SAFETY: within the message, whose bytes the kmsg has.
        unsafe { copy::copy_words(message(kmsg).cast(), places) }
    }

    #[inline(always)]
    fn remote_name(&self, kmsg: Kmsg) -> u32 {
        kmsg.header(MSGH_REMOTE_NAME)
    }

    #[inline(always)]
    fn local_name(&self, kmsg: Kmsg) -> u32 {
        kmsg.header(MSGH_LOCAL_NAME)
    }

    #[inline(always)]
    fn destination(&self, message: InTransit) -> Port {
        message.destination()
    }

    #[inline(always)]
    fn link_words(&self, kmsg: Kmsg) -> [u64; 2] {
        [kmsg.load(KMSG_WORD), kmsg.load(KMSG_OTHER_WORD)]
    }

    #[inline(always)]
    fn set_link_words(&self, kmsg: Kmsg, [word, other]: [u64; 2]) {
        kmsg.store(KMSG_WORD, word);
        kmsg.store(KMSG_OTHER_WORD, other);
    }

    #[inline(always)]
    fn tail(&self, kmsg: Kmsg) -> Option<[u64; 2]> {
        let place = queue::tail(kmsg)?;
        // SAFETY: two words within the kmsg's memory, which the caller owns, and beyond its message.
        Some(unsafe { (place as *const [u64; 2]).read_unaligned() })
    }

    #[inline(always)]
    fn set_tail(&self, kmsg: Kmsg, tail: [u64; 2]) {
        if let Some(place) = queue::tail(kmsg) {
            // SAFETY: as above.
            unsafe { (place as *mut [u64; 2]).write_unaligned(tail) };
        }
    }

    fn request_part<T: FromBytes>(&self, request: InTransit, offset: usize) -> T {
        // SAFETY: within the message, whose bytes the kmsg has; any bytes are a `T`.
        unsafe { ((request.kmsg().place(KMSG_HEADER) + offset) as *const T).read_unaligned() }
    }

    fn take_right(&self, request: InTransit, offset: usize) -> Option<SendRight> {
        let word = (request.kmsg().place(KMSG_HEADER) + offset) as *mut MaybePort;
        // SAFETY: within the message, whose bytes the kmsg has.
        let right = unsafe { word.replace(MaybePort::NULL) };
        // SAFETY: its descriptor said that it is a send right, or none: it is the caller's from now on, and `IP_NULL` is none.
        let right = unsafe { MaybeRight::own(right) };
        right.right()
    }

    fn reply_room(&self, reply: InTransit) -> usize {
        reply.kmsg().load(KMSG_SIZE).saturating_sub(slot(Slot::kmsg_header))
    }

    fn reply_part<T: IntoBytes + Immutable>(&self, reply: InTransit, offset: usize, part: &T) {
        let to = (reply.kmsg().place(KMSG_HEADER) + offset) as *mut u8;
        let bytes = part.as_bytes();
        // SAFETY: within the room of a kmsg that nobody else knows yet: the caller has asked for it.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn reply_right(&self, reply: InTransit, offset: usize, right: SendRight) {
        self.reply_part(reply, offset, &(right.into_port().address() as u64));
    }

    fn end_reply(&self, reply: InTransit, size: u32, is_complex: bool) {
        let bits = self.msgh_bits(reply.kmsg()) | if is_complex { COMPLEX } else { 0 };
        self.reply_part(reply, LP64.bits, &bits);
        self.reply_part(reply, LP64.size, &size);
    }

    fn control_target(&self, request: InTransit) -> Option<(Reference<Task>, Option<Reference<Thread>>)> {
        control::target(request)
    }

    fn ipc_kmsg_destroy(&self, kmsg: OwnedKmsg) {
        ipc_kmsg_destroy(kmsg);
    }

    fn ipc_mqueue_send(&self, kmsg: OwnedKmsg, option: u32, time_out: u32) -> Result<(), (u32, OwnedKmsg)> {
        // SAFETY: consumed if this returns success.
        match unsafe { ipc_mqueue_send(kmsg.record(), option, time_out) } {
            mr::MACH_MSG_SUCCESS => {
                kmsg.into_address();
                Ok(())
            }
            result => Err((result, kmsg)),
        }
    }
}
