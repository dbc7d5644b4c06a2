// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks and spaces of the running kernel.

use core::num::NonZeroU32;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{Ordering, fence};

use mach_abi::port::{MACH_PORT_TYPE_PORT_SET, MACH_PORT_TYPE_RECEIVE, MACH_PORT_TYPE_SEND, MACH_PORT_TYPE_SEND_ONCE};

use super::control;
use super::lock::PORT_LOCK;
use super::mach::Mach;
use super::members::{
    NAME_BITS, NAME_OBJECT, PORT_AWAITED, Struct, TASK_ENTRY, TASK_MESSAGES_SENT, TASK_NUMBER, TASK_SELF, TASK_SPACE,
    THREAD_CALL,
};
use super::names::{self, Lowest, Reading};
use super::ports::{identify, identify_quickly, known_if_active};
use super::threads::each_thread;
use super::{CallWord, ForOne, MaybeRight, Names, Port, Reference, SendRight, Space, Task, Tasks, Threads};
use crate::identity::{Identity, NamedPort, Numbers, What};
use crate::numbers::{HalfCorrelation, PortNumber, TaskNumber};

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. What takes only handles, and what is owned, asks for nothing else. The variable is set once at boot, before
// anybody can ask for a trace.
unsafe extern "C" {
    safe fn convert_task_to_port(task: Reference<Task>) -> MaybeRight;
    safe fn task_reference(task: Task);
    safe fn task_deallocate(task: Reference<Task>);
    fn ipc_right_reverse(space: Space, port: Port, name: *mut u32, entry: *mut usize) -> i32;
    safe static kernel_task: Task;
}

/// In `ie_bits`: the entry's object is a port.
const IE_BITS_PORT: u32 = MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_SEND_ONCE;

impl Reference<Task> {
    /// A new reference to a task.
    pub(super) fn to_task(task: Task) -> Self {
        task_reference(task);
        // SAFETY: the reference just taken.
        unsafe { Self::own(task) }
    }
}

/// The names of a task that do not change meanwhile.
pub(crate) struct SpaceNames<'a> {
    reading: Reading,
    numbers: &'a Numbers,
}

/// The port by a name, if that is found quickly.
#[inline(always)]
fn port_of(lowest: Lowest, name: u32) -> Option<Port> {
    let entry = lowest.find(name)?;
    // SAFETY: the object of an entry of this type is a port, to which the entry has a right.
    (entry.load(NAME_BITS) & IE_BITS_PORT != 0).then(|| unsafe { Port::at(entry.load(NAME_OBJECT)) })
}

/// What a name stands for that was found to be a port's.
#[inline(always)]
fn named(name: u32, port: (PortNumber, What)) -> Option<NamedPort> {
    // SAFETY: 0 is nothing's name: its entry, `zero_entry` of ipc/ipc_space.c, is of no type.
    Some(NamedPort::by(unsafe { NonZeroU32::new_unchecked(name) }, port))
}

impl SpaceNames<'_> {
    /// On a kernel for several processors.
    #[inline(never)]
    fn port_with_lock(&self, name: u32) -> Option<NamedPort> {
        let found = port_of(self.reading.lowest(), name).and_then(|port| {
            let _lock = PORT_LOCK.of(port).take();
            self.identify(port)
        });
        if let Some(found) = found { named(name, found) } else { self.port_anyhow(name) }
    }

    #[inline(always)]
    fn identify(&self, port: Port) -> Option<(PortNumber, What)> {
        identify_quickly(port, |bits, code| known_if_active(port, (bits, code), self.numbers), self.numbers)
    }

    #[inline(never)]
    fn port_anyhow(&self, name: u32) -> Option<NamedPort> {
        NamedPort::of(name, self.find(name)?)
    }

    #[inline(always)]
    fn find(&self, name: u32) -> Option<Identity> {
        let entry = self.reading.find(name)?;
        match entry.load(NAME_BITS) {
            // SAFETY: the object of an entry of this type is a port, to which the entry has a right.
            bits if bits & IE_BITS_PORT != 0 => identify(unsafe { Port::at(entry.load(NAME_OBJECT)) }, self.numbers),
            bits if bits & MACH_PORT_TYPE_PORT_SET != 0 => Some(Identity::SET),
            _ => None,
        }
    }
}

/// The names of a task, on a kernel for one processor, so far as they are found quickly.
pub(crate) struct QuickNames<'a> {
    one: ForOne,
    lowest: Lowest,
    numbers: &'a Numbers,
}

impl Names for QuickNames<'_> {
    #[inline(always)]
    fn port(&self, name: u32) -> Option<NamedPort> {
        let port = port_of(self.lowest, name)?;
        // It is alive: one that dies loses its number before (the stub of `ipc_port_destroy`), and with one processor nobody has looked at it since.
        let known = |_, code| self.numbers.known_quickly(self.one, port.address(), code);
        named(name, identify_quickly(port, known, self.numbers)?)
    }
}

impl Names for SpaceNames<'_> {
    // A function of its own that keeps nothing across a call: most of what it costs would else be that its callers need registers.
    #[inline(never)]
    fn port(&self, name: u32) -> Option<NamedPort> {
        if self.reading.is_locked() {
            return self.port_with_lock(name);
        }
        match port_of(self.reading.lowest(), name).and_then(|port| self.identify(port)) {
            Some(found) => named(name, found),
            None => self.port_anyhow(name),
        }
    }
}

impl Tasks for Mach {
    type Names<'a> = SpaceNames<'a>;
    type QuickNames<'a> = QuickNames<'a>;

    #[inline(always)]
    fn task_entry(&self, task: Task) -> u32 {
        task.load(TASK_ENTRY)
    }

    #[inline(always)]
    fn set_task_entry(&self, task: Task, entry: u32) {
        task.store(TASK_ENTRY, entry);
    }

    #[inline(always)]
    fn task_number(&self, task: Task) -> TaskNumber {
        TaskNumber::new(task.load(TASK_NUMBER))
    }

    #[inline(always)]
    fn set_task_number(&self, task: Task, number: TaskNumber) {
        task.store(TASK_NUMBER, number.get());
    }

    #[inline(always)]
    fn task_space(&self, task: Task) -> Space {
        task.load(TASK_SPACE)
    }

    #[inline(always)]
    fn space_is_active(&self, task: Task) -> bool {
        names::is_active(self.task_space(task))
    }

    #[inline(always)]
    fn task_is_alive(&self, task: Task) -> bool {
        // Between an entry's appearance and this look, against ipc_task_terminate, which clears the member before it looks for
        // an entry: one of both sees the other.
        fence(Ordering::SeqCst);
        task.load(TASK_SELF) != 0
    }

    fn is_kernel_task(&self, task: Task) -> bool {
        task == kernel_task
    }

    #[inline(always)]
    fn uncount_sent(&self, task: Task) {
        task.count_down(TASK_MESSAGES_SENT);
    }

    fn task_send_right(&self, task: Task) -> Option<SendRight> {
        convert_task_to_port(Reference::to_task(task)).right()
    }

    fn watch_task(&self, task: Task) {
        if let Some(right) = self.task_send_right(task) {
            control::watch(right);
        }
        each_thread(task, |thread| self.watch_thread(thread));
    }

    fn watch_threads_closely(&self, task: Task, (before, after): (CallWord, CallWord)) {
        // After the task's word has changed: see `watch_lightly`.
        fence(Ordering::SeqCst);
        each_thread(task, |thread| {
            self.watch_closely(thread);
            // The thread may just be changing it itself.
            let _ = thread.shared(THREAD_CALL).compare_exchange(before.word(), after.word(), Relaxed, Relaxed);
        });
    }

    fn task_reference(&self, task: Task) -> Reference<Task> {
        Reference::to_task(task)
    }

    fn port_task(&self, port: Port) -> Option<Reference<Task>> {
        control::task_of(port)
    }

    fn task_deallocate(&self, task: Reference<Task>) {
        task_deallocate(task);
    }

    fn own_name(&self, task: Task, port: Port) -> u32 {
        let space = self.task_space(task);
        // If somebody is changing the names, the port is shown by its number instead.
        let Some(_reading) = Reading::locked(space) else { return 0 };
        let (mut name, mut entry) = (0, 0);
        // SAFETY: a live, active, locked space and a live port; the results outlive the call.
        if unsafe { ipc_right_reverse(space, port, &mut name, &mut entry) } == 0 {
            return 0;
        }
        // SAFETY: the port comes back locked.
        drop(unsafe { PORT_LOCK.of(port).taken() });
        name
    }

    #[inline(always)]
    fn names<'a>(&'a self, task: Task, numbers: &'a Numbers) -> Option<SpaceNames<'a>> {
        let space = self.task_space(task);
        let reading = Reading::of(space)?;
        Some(SpaceNames { reading, numbers })
    }

    #[inline(always)]
    fn quick_names<'a>(&'a self, one: ForOne, task: Task, numbers: &'a Numbers) -> Option<QuickNames<'a>> {
        let space = self.task_space(task);
        if !names::is_active(space) {
            return None;
        }
        // SAFETY: a live, active space, whose names nobody changes while the current thread, the only one that runs, does not wait; nodes are as
        // they are known.
        let lowest = unsafe { Lowest::of(space) }?;
        Some(QuickNames { one, lowest, numbers })
    }

    fn awaited_at(&self, task: Task, name: u32, change: impl FnOnce(&mut HalfCorrelation)) {
        let space = self.task_space(task);
        let Some(reading) = Reading::of(space) else { return };
        let found = reading.find(name);
        let Some(found) = found.filter(|found| found.load(NAME_BITS) & IE_BITS_PORT != 0) else { return };
        // SAFETY: the object of an entry of this type is a port, to which the entry has a right.
        let port = unsafe { Port::at(found.load(NAME_OBJECT)) };
        let _lock = PORT_LOCK.of(port).take();
        let mut awaited = HalfCorrelation::new(port.load(PORT_AWAITED));
        change(&mut awaited);
        port.store(PORT_AWAITED, awaited.get());
    }
}
