// SPDX-License-Identifier: GPL-2.0-or-later
//! Members of the kernel's structs, and what they hold: the one place where a struct, a slot and a type are put together.
//!
//! The compiler looks whether the slot is one of that struct and of the kind that is needed, so that a hole or a bit-field has nothing to
//! be believed. Of the kernel's members the type is; [`payload_abi`](crate::payload_abi) has their names in the kernel.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::handles::{Device, DeviceOps, Name, Node, Object, Page, Pcb, Pset};
use super::slots::{fact, slot};
use super::{Kmsg, Port, Record, Space, Task, Thread};
use crate::payload_abi::{Need, SLOTS, Slot};

/// A handle to a struct of the kernel.
///
/// # Safety
/// [`Struct::address`] is what the handle was made of by [`Struct::at`], which is the only way to make one.
pub(crate) unsafe trait Struct: Copy {
    /// Its tag in the kernel.
    const TAG: &'static str;

    /// The struct at this address.
    ///
    /// # Safety
    /// There is one, initialized, and it lives as long as the handle or a copy of it is used.
    unsafe fn at(address: usize) -> Self;

    /// Where it is.
    fn address(self) -> usize;

    /// Where a member of it is.
    #[inline(always)]
    fn place<T, W>(self, member: Member<Self, T, W>) -> usize {
        self.address() + slot(member.slot)
    }

    /// Reads a member. Another processor may change it: it is read with one instruction.
    #[inline(always)]
    fn load<T: Copy, W>(self, member: Member<Self, T, W>) -> T {
        // SAFETY: the struct lives, and has a `T` there.
        unsafe { (self.place(member) as *const T).read_volatile() }
    }

    /// Writes a member of the payload's.
    #[inline(always)]
    fn store<T: Copy>(self, member: Member<Self, T, Payloads>, value: T) {
        // SAFETY: as for `load`; it means nothing to the kernel.
        unsafe { (self.place(member) as *mut T).write_volatile(value) }
    }

    /// A hole that several processors change at once.
    #[inline(always)]
    fn shared(self, hole: Hole<Self>) -> &'static AtomicU32 {
        // SAFETY: the struct lives, and has an aligned word there that means nothing to the kernel.
        unsafe { &*(self.place(hole) as *const AtomicU32) }
    }

    /// Counts a member of the kernel's down by one.
    #[inline(always)]
    fn count_down(self, member: Member<Self, AtomicU64, Kernels>) {
        // SAFETY: the struct lives, and has an aligned word there that is only changed atomically.
        let count = unsafe { &*(self.place(member) as *const AtomicU64) };
        count.fetch_sub(1, Relaxed);
    }

    /// Reads a bit-field of one bit.
    #[inline(always)]
    fn bit(self, bit: Bit<Self>) -> bool {
        let place = fact(bit.slot);
        // SAFETY: the struct lives, and the slot holds byte offset and bit number.
        let byte = unsafe { ((self.address() + (place >> 8)) as *const u8).read() };
        byte & 1 << (place & 7) != 0
    }
}

/// Who writes a member: the kernel alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernels {}

/// Who writes a member: the payload alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payloads {}

/// A member of the struct `S` that holds a `T`, written by `W`.
pub(crate) struct Member<S, T, W> {
    slot: Slot,
    of: PhantomData<fn(S, W) -> T>,
}

impl<S, T, W> Clone for Member<S, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T, W> Copy for Member<S, T, W> {}

/// A hole of the struct `S`, where the payload keeps a number.
pub(crate) type Hole<S> = Member<S, u32, Payloads>;

/// A bit-field of the struct `S`.
pub(crate) struct Bit<S> {
    slot: Slot,
    of: PhantomData<fn(S)>,
}

/// What a member has only an address for: the kernel's own functions know what it is.
#[derive(Debug)]
pub(crate) enum Opaque {}

impl<S: Struct, T> Member<S, T, Kernels> {
    /// A member of the kernel's.
    ///
    /// # Safety
    /// It is a `T` as long as there may be a handle to the struct.
    const unsafe fn new(slot: Slot) -> Self {
        match need(slot) {
            Need::Member { of, .. } => assert!(same(of, S::TAG), "a member of another struct"),
            Need::Half { of, .. } => assert!(same(of, S::TAG) && size_of::<T>() == 2, "not a half of this struct"),
            _ => panic!("no member"),
        }
        Self { slot, of: PhantomData }
    }
}

impl<S: Struct> Hole<S> {
    /// A hole of a struct, where the kernel has nothing.
    const fn hole(slot: Slot) -> Self {
        assert!(matches!(need(slot), Need::Padding { of } if same(of, S::TAG)), "not a hole of this struct");
        Self { slot, of: PhantomData }
    }
}

impl<S: Struct, T> Member<S, T, Payloads> {
    /// A member of a struct that the payload has for itself.
    ///
    /// # Safety
    /// It has room for a `T`, and holds one before it is read.
    const unsafe fn own(slot: Slot) -> Self {
        assert!(matches!(need(slot), Need::Member { of, .. } if same(of, S::TAG)), "not a member of this struct");
        Self { slot, of: PhantomData }
    }
}

impl<S: Struct> Bit<S> {
    const fn new(slot: Slot) -> Self {
        assert!(matches!(need(slot), Need::Bit { of, .. } if same(of, S::TAG)), "not a bit of this struct");
        Self { slot, of: PhantomData }
    }
}

/// What a slot needs.
pub(super) const fn need(slot: Slot) -> &'static Need {
    &SLOTS[slot as usize].need
}

/// Whether two tags are the same.
pub(super) const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

macro_rules! kernels {
    ($($name:ident: $of:ty => $type:ty = $slot:ident;)*) => {$(
        // SAFETY: the types have the sizes that the kernel's headers give them. A thread has its task and its pcb, and a task its space,
        // until its own memory is freed. What else is an address is a number here, and a handle where something keeps alive what is there.
        pub(super) const $name: Member<$of, $type, Kernels> = unsafe { Member::new(Slot::$slot) };
    )*};
}

macro_rules! records {
    ($($name:ident: $of:ty => $type:ty = $slot:ident;)*) => {$(
        // SAFETY: the kernel has eight bytes for each, whatever they hold is such a number, and nobody else reads them in a kmsg that is
        // not queued, but the size, which is right.
        pub(super) const $name: Member<$of, $type, Payloads> = unsafe { Member::own(Slot::$slot) };
    )*};
}

macro_rules! own {
    ($($name:ident: $of:ty => $type:ty = $slot:ident;)*) => {$(
        // SAFETY: the types have the sizes that the kernel's headers give them, and the structs are the payload's own memory.
        pub(super) const $name: Member<$of, $type, Payloads> = unsafe { Member::own(Slot::$slot) };
    )*};
}

macro_rules! holes {
    ($($name:ident: $of:ty = $slot:ident;)*) => {$(
        pub(super) const $name: Hole<$of> = Hole::hole(Slot::$slot);
    )*};
}

kernels! {
    THREAD_TASK: Thread => Task = thread_task;
    THREAD_NEXT: Thread => usize = thread_thread_list;
    THREAD_STATE: Thread => u16 = thread_state;
    THREAD_SWAP_FUNC: Thread => usize = thread_swap_func;
    THREAD_AST: Thread => u32 = thread_ast;
    THREAD_PCB: Thread => Pcb = thread_pcb;
    THREAD_ITH_OPTION: Thread => u32 = thread_ith_option;
    THREAD_ITH_RCV_SIZE: Thread => u32 = thread_ith_rcv_size;
    THREAD_ITH_EXC: Thread => u32 = thread_ith_exc;
    PCB_MSG: Pcb => u64 = pcb_msg;
    PCB_OPTION: Pcb => u32 = pcb_option;
    PCB_SEND_SIZE: Pcb => u32 = pcb_send_size;
    PCB_RCV_NAME: Pcb => u32 = pcb_rcv_name;
    PCB_TIME_OUT: Pcb => u32 = pcb_time_out;
    TASK_THREADS: Task => usize = task_thread_list;
    TASK_SELF: Task => usize = task_itk_self;
    TASK_SPACE: Task => Space = task_itk_space;
    TASK_MESSAGES_SENT: Task => AtomicU64 = task_messages_sent;
    PORT_RECEIVER: Port => usize = port_receiver;
    PORT_RECEIVER_NAME: Port => u32 = port_receiver_name;
    PORT_IO_BITS: Port => u32 = port_io_bits;
    PORT_KOBJECT: Port => usize = port_kobject;
    PORT_PSET: Port => usize = port_pset;
    PORT_KMSGS: Port => usize = port_messages_kmsgs;
    PORT_QLIMIT: Port => u32 = port_qlimit;
    PORT_MSGCOUNT: Port => u32 = port_msgcount;
    PSET_KMSGS: Pset => usize = pset_messages_kmsgs;
    SPACE_MAP: Space => Opaque = space_map;
    SPACE_MAP_ROOT: Space => usize = space_map_root;
    NODE_HEIGHT: Node => u32 = rdxtree_node_height;
    NODE_ENTRIES: Node => Opaque = rdxtree_node_entries;
    SPACE_LOCK: Space => Opaque = space_lock;
    SPACE_IS_ACTIVE: Space => u32 = space_is_active;
    NAME_BITS: Name => u32 = entry_bits;
    NAME_OBJECT: Name => usize = entry_object;
    KMSG_SIZE: Kmsg => usize = kmsg_size;
    KMSG_HEADER: Kmsg => Opaque = kmsg_header;
    KMSG_PREV: Kmsg => usize = kmsg_prev;
    PORT_SEND_RIGHTS: Port => u32 = port_srights;
    OBJECT_REFERENCES: Object => i32 = vm_object_ref_count;
    PAGE_ADDRESS: Page => usize = vm_page_phys_addr;
}

own! {
    DEVICE_REFERENCES: Device => i32 = mach_device_ref_count;
    DEVICE_NUMBER: Device => u16 = mach_device_dev_number;
    DEVICE_OPS: Device => usize = mach_device_dev_ops;
    OPS_MMAP: DeviceOps => usize = dev_ops_d_mmap;
}

records! {
    RECORD_SIZE: Record => usize = kmsg_size;
    RECORD_LINK: Record => usize = kmsg_marequest;
    RECORD_WHOSE: Record => u64 = kmsg_next;
    RECORD_NUMBERS: Record => u64 = kmsg_prev;
    KMSG_WORD: Kmsg => u64 = kmsg_next;
    KMSG_OTHER_WORD: Kmsg => u64 = kmsg_prev;
}

holes! {
    THREAD_NUMBER: Thread = thread_number;
    THREAD_CALL: Thread = thread_call;
    THREAD_MESSAGE: Thread = thread_message;
    THREAD_NOTIFY: Thread = thread_notify;
    THREAD_AWAITED: Thread = thread_awaited;
    THREAD_WATCHED: Thread = thread_watched;
    TASK_ENTRY: Task = task_entry;
    TASK_NUMBER: Task = task_number;
    PORT_AWAITED: Port = port_awaited;
    PORT_WATCHED: Port = port_watched;
}

/// `thread->active`.
pub(super) const THREAD_ACTIVE: Bit<Thread> = Bit::new(Slot::thread_active);
