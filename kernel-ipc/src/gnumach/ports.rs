//! Ports of the running kernel.

use super::mach::{Mach, load};
use super::objects::IO_BITS_ACTIVE;
use super::{Port, Ports, SendRight, Space};
use crate::payload_abi::Slot;

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    fn ipc_port_copy_send(port: usize) -> usize;
    fn ipc_port_release_send(port: usize);
    static ipc_space_kernel: usize;
}

impl Ports for Mach {
    #[inline(always)]
    fn ipc_port_copy_send(&self, port: Port) -> Option<SendRight> {
        // SAFETY: somebody has a send right to the port, so it exists.
        SendRight::own(Port(unsafe { ipc_port_copy_send(port.0) }))
    }

    fn ipc_port_release_send(&self, right: SendRight) {
        // SAFETY: consumes the right.
        unsafe { ipc_port_release_send(right.into_port().0) };
    }

    fn port_is_the_kernels(&self, port: Port) -> bool {
        // SAFETY: a kernel variable set once at boot, before the first hook can run.
        load::<usize>(port.0, Slot::port_receiver) == unsafe { ipc_space_kernel }
    }

    #[inline(always)]
    fn port_is_received_in(&self, port: Port, space: Space) -> bool {
        // One word, so that no lock is needed. Of a port in transit it is the port it is sent to, and in one that is dead half
        // of it is a time stamp: neither is the address of a space.
        load::<usize>(port.0, Slot::port_receiver) == space.0
    }

    #[inline(always)]
    fn port_msgcount(&self, port: Port) -> u32 {
        load(port.0, Slot::port_msgcount)
    }

    #[inline(always)]
    fn port_is_active(&self, port: Port) -> bool {
        load::<u32>(port.0, Slot::port_io_bits) & IO_BITS_ACTIVE != 0
    }

    #[inline(always)]
    fn port_is_full(&self, port: Port) -> bool {
        self.port_msgcount(port) >= load(port.0, Slot::port_qlimit)
    }
}
