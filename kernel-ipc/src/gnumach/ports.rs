//! Ports of the running kernel.

use super::mach::Mach;
use super::members::{PORT_IO_BITS, PORT_MSGCOUNT, PORT_QLIMIT, PORT_RECEIVER, Struct};
use super::objects::IO_BITS_ACTIVE;
use super::{MaybeRight, Port, Ports, SendRight, Space};

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. What takes only handles, and what is owned, asks for nothing else. The variable is set once at boot, before
// anybody can ask for a trace.
unsafe extern "C" {
    safe fn ipc_port_copy_send(port: Port) -> MaybeRight;
    safe fn ipc_port_release_send(right: SendRight);
    safe static ipc_space_kernel: Space;
}

impl Ports for Mach {
    #[inline(always)]
    fn ipc_port_copy_send(&self, port: Port) -> Option<SendRight> {
        ipc_port_copy_send(port).right()
    }

    fn ipc_port_release_send(&self, right: SendRight) {
        ipc_port_release_send(right);
    }

    fn port_is_the_kernels(&self, port: Port) -> bool {
        self.port_is_received_in(port, ipc_space_kernel)
    }

    #[inline(always)]
    fn port_is_received_in(&self, port: Port, space: Space) -> bool {
        // One word, so that no lock is needed. Of a port in transit it is the port it is sent to, and in one that is dead half
        // of it is a time stamp: neither is the address of a space.
        port.load(PORT_RECEIVER) == space.address()
    }

    #[inline(always)]
    fn port_msgcount(&self, port: Port) -> u32 {
        port.load(PORT_MSGCOUNT)
    }

    #[inline(always)]
    fn port_is_active(&self, port: Port) -> bool {
        port.load(PORT_IO_BITS) & IO_BITS_ACTIVE != 0
    }

    #[inline(always)]
    fn port_is_full(&self, port: Port) -> bool {
        self.port_msgcount(port) >= port.load(PORT_QLIMIT)
    }
}
