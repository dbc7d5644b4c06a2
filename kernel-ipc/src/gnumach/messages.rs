//! Messages of the running kernel.

use super::mach::{MSGH_BITS, MSGH_ID, MSGH_LOCAL_PORT, MSGH_REMOTE_PORT, MSGH_SIZE, Mach, header};
use super::{Kmsg, Messages, OwnedKmsg, Port, Task, Thread, control, mr, queue};

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn ipc_kmsg_destroy(kmsg: usize);
    #[cfg_attr(feature = "faults", link_name = "faulty_ipc_mqueue_send")]
    fn ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32;
}

impl Messages for Mach {
    #[inline(always)]
    fn msgh_bits(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_BITS)
    }

    #[inline(always)]
    fn msgh_size(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_SIZE)
    }

    #[inline(always)]
    fn msgh_id(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_ID)
    }

    #[inline(always)]
    fn remote_port(&self, kmsg: Kmsg) -> Port {
        Port(header(kmsg, MSGH_REMOTE_PORT))
    }

    #[inline(always)]
    fn remote_name(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_REMOTE_PORT)
    }

    #[inline(always)]
    fn local_name(&self, kmsg: Kmsg) -> u32 {
        header(kmsg, MSGH_LOCAL_PORT)
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

    fn control_target(&self, kmsg: Kmsg) -> Option<(Task, Option<Thread>)> {
        match control::target(kmsg) {
            (0, _) => None,
            (task, 0) => Some((Task(task), None)),
            (task, thread) => Some((Task(task), Some(Thread(thread)))),
        }
    }

    fn ipc_kmsg_destroy(&self, kmsg: OwnedKmsg) {
        // SAFETY: consumes a kmsg in transit, whose header and descriptors are complete.
        unsafe { ipc_kmsg_destroy(kmsg.into_address()) };
    }

    fn ipc_mqueue_send(&self, kmsg: OwnedKmsg, option: u32, time_out: u32) -> Result<(), (u32, OwnedKmsg)> {
        // SAFETY: a kmsg in transit; consumed if this returns success.
        match unsafe { ipc_mqueue_send(kmsg.kmsg().0, option, time_out) } {
            mr::SUCCESS => {
                kmsg.into_address();
                Ok(())
            }
            result => Err((result, kmsg)),
        }
    }
}
