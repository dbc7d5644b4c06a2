// SPDX-License-Identifier: GPL-2.0-or-later
//! Ports of the running kernel.

use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;

use trace_port::port;

use super::lock::PORT_LOCK;
use super::mach::Mach;
use super::members::{
    PORT_IO_BITS, PORT_KOBJECT, PORT_MSGCOUNT, PORT_QLIMIT, PORT_RECEIVER, PORT_RECEIVER_NAME, PORT_WATCHED, Struct,
    TASK_NUMBER,
};
use super::objects::{IO_BITS_ACTIVE, IO_BITS_KOTYPE, IO_BITS_PROTECTED_PAYLOAD};
use super::{MaybePort, MaybeRight, Port, Ports, SendRight, Space, Task, Tasks, Thread, Threads, control};
use crate::identity::{Identity, NamedPort, Numbers, What};
use crate::numbers::PortNumber;

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. What takes only handles, and what is owned, asks for nothing else. The variable is set once at boot, before
// anybody can ask for a trace.
unsafe extern "C" {
    safe fn ipc_port_copy_send(port: Port) -> MaybeRight;
    safe fn ipc_port_release_send(right: SendRight);
    safe static ipc_space_kernel: Space;
    safe fn ipc_port_alloc_special(space: Space) -> MaybePort;
    safe fn ipc_port_make_send(port: Port) -> SendRight;
    safe fn ipc_port_make_sonce(port: Port) -> Port;
    fn ipc_port_nsrequest(port: Port, sync: u32, notify: Port, previous: &mut MaybeUninit<usize>);
    fn ipc_port_dealloc_special(port: Port, space: Space);
}

/// Which port it is that is locked, where that takes no more than to read its struct: one that has a number, and is no thread's. `known` says which number a
/// code stands for, of a port with these `ip_bits`.
#[inline(always)]
pub(super) fn identify_quickly(
    port: Port,
    known: impl FnOnce(u32, u32) -> Option<PortNumber>,
    numbers: &Numbers,
) -> Option<(PortNumber, What)> {
    let bits = port.load(PORT_IO_BITS);
    let kind = (bits & IO_BITS_KOTYPE) as u8;
    if kind == port::THREAD {
        return None;
    }
    let number = known(bits, port.load(PORT_WATCHED) >> 1)?;
    let what = if kind == port::TASK { What::of(kind, object(port, kind, numbers)) } else { What::kind(kind) };
    Some((number, what))
}

/// The number that a locked port's code stands for; none if it is dead.
#[inline(always)]
pub(super) fn known_if_active(port: Port, (bits, code): (u32, u32), numbers: &Numbers) -> Option<PortNumber> {
    if bits & IO_BITS_ACTIVE == 0 { None } else { numbers.known(port.address(), code) }
}

/// Which port it is: see [`Ports::identity`].
#[inline(always)]
pub(super) fn identify(port: Port, numbers: &Numbers) -> Option<Identity> {
    let _lock = PORT_LOCK.of(port).take();
    identify_locked(port, numbers)
}

/// The identity of a port that is locked.
#[inline(always)]
fn identify_locked(port: Port, numbers: &Numbers) -> Option<Identity> {
    let bits = port.load(PORT_IO_BITS);
    // One that is dead gets no number any more: nobody would take it away.
    if bits & IO_BITS_ACTIVE == 0 {
        return None;
    }
    let number = match numbers.known(port.address(), port.load(PORT_WATCHED) >> 1) {
        Some(number) => number,
        None => give_number(port, numbers)?,
    };
    let kind = (bits & IO_BITS_KOTYPE) as u8;
    let object = if matches!(kind, port::TASK | port::THREAD) { object(port, kind, numbers) } else { 0 };
    Some(Identity { number, kind, object })
}

/// Gives a locked port a number.
#[cold]
#[inline(never)]
fn give_number(port: Port, numbers: &Numbers) -> Option<PortNumber> {
    let (number, code) = numbers.next(port.address())?;
    // The mark may be set and taken away meanwhile.
    let with_mark = |word: u32| Some(code << 1 | word & control::MARKED);
    let _ = port.shared(PORT_WATCHED).fetch_update(Relaxed, Relaxed, with_mark);
    Some(number)
}

/// The number of the traced task, or of the thread of one, that a locked, active control port stands for.
#[inline(always)]
fn object(port: Port, kind: u8, numbers: &Numbers) -> u32 {
    let object = port.load(PORT_KOBJECT);
    if kind == port::TASK {
        // SAFETY: the object of an active control port is alive: ipc_task_disable clears the type first, under the port's lock.
        return unsafe { Task::at(object) }.load(TASK_NUMBER);
    }
    // SAFETY: the same of a thread.
    let thread = unsafe { Thread::at(object) };
    if Mach.task_entry(Mach.thread_task(thread)) == 0 {
        return 0;
    }
    let known = Mach.thread_number(thread);
    if known.is_none() { Mach.give_thread_number(thread, numbers) } else { known }.get()
}

impl Ports for Mach {
    #[inline(always)]
    fn ipc_port_copy_send(&self, port: Port) -> Option<SendRight> {
        ipc_port_copy_send(port).right()
    }

    fn ipc_port_release_send(&self, right: SendRight) {
        ipc_port_release_send(right);
    }

    fn identity(&self, port: Port, numbers: &Numbers) -> Option<Identity> {
        identify(port, numbers)
    }

    #[inline(always)]
    fn port_has_payload(&self, port: Port) -> bool {
        port.load(PORT_IO_BITS) & IO_BITS_PROTECTED_PAYLOAD != 0
    }

    fn receivers_name(&self, port: Port, task: Task, numbers: &Numbers, is_locked: bool) -> Option<NamedPort> {
        let _lock = (!is_locked).then(|| PORT_LOCK.of(port).take());
        // The receive right may have gone meanwhile.
        if !self.port_is_received_in(port, self.task_space(task)) {
            return None;
        }
        NamedPort::of(port.load(PORT_RECEIVER_NAME), identify_locked(port, numbers)?)
    }

    fn kernel_port(&self) -> Option<SendRight> {
        ipc_port_alloc_special(ipc_space_kernel).port().map(|port| ipc_port_make_send(port))
    }

    fn make_send(&self, port: Port) -> SendRight {
        ipc_port_make_send(port)
    }

    fn watch_senders(&self, port: Port, object: u32) {
        // SAFETY: a live port of the payload's, which stands for no object of the kernel's: its type says so, and the kernel looks at this
        // word only after that.
        unsafe { (port.place(PORT_KOBJECT) as *mut usize).write_volatile(object as usize) };
        let notify = ipc_port_make_sonce(port);
        let mut previous = MaybeUninit::uninit();
        // The kernel unlocks it.
        core::mem::forget(PORT_LOCK.of(port).take());
        // SAFETY: a live port, locked, and a send-once right, which is the port's own from now on. There was no request before.
        unsafe { ipc_port_nsrequest(port, 1, notify, &mut previous) };
    }

    fn kernel_port_object(&self, port: Port) -> u32 {
        port.load(PORT_KOBJECT) as u32
    }

    fn end_kernel_port(&self, port: Port) {
        // SAFETY: a live port of the kernel's space, which the caller ends once.
        unsafe { ipc_port_dealloc_special(port, ipc_space_kernel) };
    }

    fn port_is_host_privileged(&self, port: Port) -> bool {
        let kind = port.load(PORT_IO_BITS) & (IO_BITS_ACTIVE | IO_BITS_KOTYPE);
        kind == IO_BITS_ACTIVE | u32::from(port::HOST_PRIVILEGED)
    }

    fn port_is_the_kernels(&self, port: Port) -> bool {
        self.port_is_received_in(port, ipc_space_kernel)
    }

    #[inline(always)]
    fn port_is_received_at(&self, port: Port, space: usize) -> bool {
        // One word, so that no lock is needed. Of a port in transit it is the port it is sent to, and in one that is dead half
        // of it is a time stamp: neither is the address of a space.
        port.load(PORT_RECEIVER) == space
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
