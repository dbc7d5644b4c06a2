// SPDX-License-Identifier: GPL-2.0-or-later
//! What the payload needs from a kernel and which places it wants redirected: the contract with `qemu::plan`.
//!
//! The payload is a static library. The instrumenter links it at the page after the kernel's `_end` with the kernel's
//! symbols at hand, fills [`SLOTS_SYMBOL`] and [`SWITCHES_SYMBOL`] in the linked image, and redirects the [`HOOKS`]. Both sides
//! are built from one commit, so nothing here has to stay compatible; [`VERSION`] catches a stale library.

mod hooks;
mod link;
mod prototypes;
mod traps;

pub use hooks::{HOOKS, Hook, Kernels, Others, Site, When};
pub use link::link_symbols;
pub use prototypes::{PROTOTYPES, Prototype, Source, Value, What};
pub use traps::{KERNELS_OWN_CALLS, NO_TRAP, TRAPS, Trap, TrapKind};

/// Changes whenever [`SLOTS`] or [`HOOKS`] change meaning.
pub const VERSION: u64 = 15;

/// Symbol of the slot table in the linked payload: `[u64; SLOT_WORDS]`, little-endian.
pub const SLOTS_SYMBOL: &str = "rpctrace2_slots";

/// Symbol of the machine's recorder, zeroed memory behind the payload; [`RING_END_SYMBOL`] is where it ends.
pub const RING_SYMBOL: &str = "rpctrace2_ring";

/// See [`RING_SYMBOL`].
pub const RING_END_SYMBOL: &str = "rpctrace2_ring_end";

/// First word of the slot table.
pub const MAGIC: u64 = u64::from_le_bytes(*b"rpctrac2");

/// What the slot of a lock holds on a kernel for one processor, which has none.
pub const ABSENT: u64 = u64::MAX - 1;

/// Lowest address of the kernel. Smaller values of a [`Need::PerCpu`] slot are offsets.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// What an unfilled slot holds. The payload does not arm while one is left.
pub const UNFILLED: u64 = u64::MAX;

/// Symbol of the table of places that the payload redirects itself, with the first trace and back after the last:
/// `[u32; SWITCHES * SWITCH_WORDS]`, little-endian. A row is the place's address, its bytes in a stock kernel, the bytes that lead to
/// the payload, and how many bytes it is (4 of a `call`'s `rel32`, or 8 of a pointer), in the order of [`SwitchWord`]. Of addresses, also
/// those in pointers, it is the lower half: the upper one is that of [`KERNEL_BASE`]. Rows that are not needed are zero, and come last.
pub const SWITCHES_SYMBOL: &str = "rpctrace2_switches";

/// Rows of the table.
pub const SWITCHES: usize = 72;

/// Words of a row: see [`SWITCHES_SYMBOL`].
pub const SWITCH_WORDS: usize = 4;

/// The words of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchWord {
    /// Address of the first byte.
    Place,
    /// What stands there while nobody is traced.
    Stock,
    /// What stands there while somebody is.
    Traced,
    /// How many bytes it is: 4 or 8.
    Bytes,
}

/// Words before the first slot: magic, version, number of slots.
pub const HEADER_WORDS: usize = 3;

/// Words of the whole table.
pub const SLOT_WORDS: usize = HEADER_WORDS + SLOTS.len();

/// One fact about the kernel that only its DWARF knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Byte offset of a member (`a.b` names a member of a member; an anonymous union or struct has no name of its own).
    Member {
        /// Tag of the struct.
        of: &'static str,
        /// Path of the member.
        member: &'static str,
    },
    /// Byte offset of a bit-field's first bit divided by 8, and the bit's place in that byte: `offset << 8 | bit`.
    Bit {
        /// Tag of the struct.
        of: &'static str,
        /// Path of the bit-field, which must be one bit wide.
        member: &'static str,
    },
    /// Byte offset of a bit-field that fills two aligned bytes.
    Half {
        /// Tag of the struct.
        of: &'static str,
        /// Path of the bit-field.
        member: &'static str,
    },
    /// Size of a struct in bytes.
    Size {
        /// Tag of the struct.
        of: &'static str,
    },
    /// Byte offset of an aligned 4-byte hole between members of a struct, where the payload may keep a number.
    Padding {
        /// Tag of the struct.
        of: &'static str,
    },
    /// Byte offset of a `simple_lock_data_t` member, or [`ABSENT`] on a kernel for one processor, where it takes no room. All
    /// locks must be there on the one kind of kernel and none on the other.
    Lock {
        /// Tag of the struct.
        of: &'static str,
        /// Path of the member.
        member: &'static str,
    },
    /// Where a processor finds a member of its element of a per-CPU array: the member's address, if the array has one element;
    /// else the member's offset, to be used with `%gs`, which points to the element.
    PerCpu {
        /// The array's symbol.
        array: &'static str,
        /// Tag of the element's struct.
        of: &'static str,
        /// Path of the member.
        member: &'static str,
    },
}

/// A named [`Need`].
#[derive(Clone, Copy, Debug)]
pub struct SlotSpec {
    /// The slot's name in messages and in the sidecar.
    pub name: &'static str,
    /// The symbol that has the slot's value as its address, so that an offset is part of an instruction.
    pub symbol: &'static str,
    /// What fills it.
    pub need: Need,
}

macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident = $need:expr;)*) => {
        /// Names the slots; the discriminant is the index in [`SLOTS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(non_camel_case_types, reason = "slots are named after the C members they stand for")]
        pub enum Slot { $($(#[$doc])* $name,)* }

        /// Every fact the payload needs, in the order of the slot table.
        pub const SLOTS: &[SlotSpec] = &[
            $(SlotSpec { name: stringify!($name), symbol: concat!("rpctrace2_slot_", stringify!($name)), need: $need },)*
        ];

        /// Calls a macro with the names of all slots.
        #[cfg(target_os = "none")]
        macro_rules! every_slot {
            ($macro:ident) => { $macro! { $($name)* } };
        }
        #[cfg(target_os = "none")]
        pub(crate) use every_slot;
    };
}

const fn member(of: &'static str, member: &'static str) -> Need {
    Need::Member { of, member }
}

const fn lock(of: &'static str, member: &'static str) -> Need {
    Need::Lock { of, member }
}

slots! {
    /// Where the pointer to the running thread is.
    current_thread = Need::PerCpu { array: "percpu_array", of: "percpu", member: "active_thread" };
    /// `thread->task`.
    thread_task = member("thread", "task");
    /// `thread->lock`.
    thread_lock = lock("thread", "lock");
    /// `thread->thread_list`, the link of `task->thread_list`.
    thread_thread_list = member("thread", "thread_list");
    /// `thread->active`.
    thread_active = Need::Bit { of: "thread", member: "active" };
    /// `thread->state`.
    thread_state = Need::Half { of: "thread", member: "state" };
    /// `thread->swap_func`.
    thread_swap_func = member("thread", "swap_func");
    /// `thread->ast`.
    thread_ast = member("thread", "ast");
    /// `thread->pcb`.
    thread_pcb = member("thread", "pcb");
    /// `pcb->iss.rdi`: the address of the message of the `mach_msg` that the thread is in.
    pcb_msg = member("pcb", "iss.edi");
    /// `pcb->iss.rsi`: the `option` of the `mach_msg` that the thread is in.
    pcb_option = member("pcb", "iss.esi");
    /// `pcb->iss.rdx`: its `send_size`.
    pcb_send_size = member("pcb", "iss.edx");
    /// `pcb->iss.r8`: its `rcv_name`.
    pcb_rcv_name = member("pcb", "iss.r8");
    /// `pcb->iss.r9`: its `time_out`.
    pcb_time_out = member("pcb", "iss.r9");
    /// `thread->saved.receive.option`.
    thread_ith_option = member("thread", "saved.receive.option");
    /// `thread->saved.receive.rcv_size`.
    thread_ith_rcv_size = member("thread", "saved.receive.rcv_size");
    /// `thread->saved.exception.exc`.
    thread_ith_exc = member("thread", "saved.exception.exc");
    /// A hole of struct thread: the payload's thread number.
    thread_number = Need::Padding { of: "thread" };
    /// A hole of struct thread: the call that the thread is in, as the payload knows it.
    thread_call = Need::Padding { of: "thread" };
    /// A hole of struct thread: lower half of the address of the message that the thread has copied in and not sent yet, or taken out of
    /// a queue.
    thread_message = Need::Padding { of: "thread" };
    /// A hole of struct thread: the call's `notify`.
    thread_notify = Need::Padding { of: "thread" };
    /// A hole of struct thread: lower half of the correlation number of the request whose reply the call is to receive. Of a thread in no
    /// observed call: when it has copied in its last message, as `rpctrace2_period` counts.
    thread_awaited = Need::Padding { of: "thread" };
    /// A hole of struct thread: not 0 if the thread may be one of a traced task.
    thread_watched = Need::Padding { of: "thread" };
    /// `task->lock`.
    task_lock = lock("task", "lock");
    /// `task->thread_list`.
    task_thread_list = member("task", "thread_list");
    /// `task->itk_self`.
    task_itk_self = member("task", "itk_self");
    /// `task->itk_space`.
    task_itk_space = member("task", "itk_space");
    /// `task->messages_sent`.
    task_messages_sent = member("task", "messages_sent");
    /// A hole of struct task: 1 + index of the task's trace entry, or 0.
    task_entry = Need::Padding { of: "task" };
    /// A hole of struct task: what records call the task while it is traced, or 0.
    task_number = Need::Padding { of: "task" };
    /// `port->ip_target.ipt_object.io_lock_data`.
    port_lock = lock("ipc_port", "ip_target.ipt_object.io_lock_data");
    /// `port->data.receiver`.
    port_receiver = member("ipc_port", "data.receiver");
    /// `port->ip_target.ipt_name`: the receiver's name for it.
    port_receiver_name = member("ipc_port", "ip_target.ipt_name");
    /// `port->ip_target.ipt_object.io_bits`.
    port_io_bits = member("ipc_port", "ip_target.ipt_object.io_bits");
    /// `port->ip_kobject`.
    port_kobject = member("ipc_port", "ip_kobject");
    /// `port->ip_pset`.
    port_pset = member("ipc_port", "ip_pset");
    /// `port->ip_target.ipt_messages.imq_lock_data`.
    port_messages_lock = lock("ipc_port", "ip_target.ipt_messages.imq_lock_data");
    /// `port->ip_target.ipt_messages.imq_messages`: the first message.
    port_messages_kmsgs = member("ipc_port", "ip_target.ipt_messages.imq_messages.ikmq_base");
    /// `pset->ips_target.ipt_messages.imq_lock_data`.
    pset_messages_lock = lock("ipc_pset", "ips_target.ipt_messages.imq_lock_data");
    /// `pset->ips_target.ipt_messages.imq_messages`: the first message.
    pset_messages_kmsgs = member("ipc_pset", "ips_target.ipt_messages.imq_messages.ikmq_base");
    /// `port->ip_qlimit`.
    port_qlimit = member("ipc_port", "ip_qlimit");
    /// `port->ip_msgcount`.
    port_msgcount = member("ipc_port", "ip_msgcount");
    /// A hole of struct ipc_port: lower half of the correlation number of the request whose reply is to come there.
    port_awaited = Need::Padding { of: "ipc_port" };
    /// A hole of struct ipc_port. The lowest bit is 1 if the port may be a traced task's control port, or that of a thread of one; the
    /// others tell the port's number.
    port_watched = Need::Padding { of: "ipc_port" };
    /// `space->is_map`, the tree of names.
    space_map = member("ipc_space", "is_map");
    /// `space->is_map.root`: its uppermost node, or its only entry.
    space_map_root = member("ipc_space", "is_map.root");
    /// `node->height`, of a tree's node.
    rdxtree_node_height = member("rdxtree_node", "height");
    /// `node->entries`.
    rdxtree_node_entries = member("rdxtree_node", "entries");
    /// Bytes of a node, which tell how many entries it has.
    rdxtree_node_size = Need::Size { of: "rdxtree_node" };
    /// `entry->ie_bits`.
    entry_bits = member("ipc_entry", "ie_bits");
    /// `entry->ie_object`.
    entry_object = member("ipc_entry", "ie_object");
    /// `space->is_lock_data`.
    space_lock = member("ipc_space", "is_lock_data");
    /// `space->is_active`.
    space_is_active = member("ipc_space", "is_active");
    /// `kmsg->ikm_size`.
    kmsg_size = member("ipc_kmsg", "ikm_size");
    /// `kmsg->ikm_marequest`.
    kmsg_marequest = member("ipc_kmsg", "ikm_marequest");
    /// `kmsg->ikm_header`.
    kmsg_header = member("ipc_kmsg", "ikm_header");
    /// `kmsg->ikm_next`.
    kmsg_next = member("ipc_kmsg", "ikm_next");
    /// `kmsg->ikm_prev`.
    kmsg_prev = member("ipc_kmsg", "ikm_prev");
    /// `port->ip_srights`.
    port_srights = member("ipc_port", "ip_srights");
    /// Bytes of a struct mach_device, of which the payload makes one for each ring.
    mach_device_size = Need::Size { of: "mach_device" };
    /// `device->ref_count`.
    mach_device_ref_count = member("mach_device", "ref_count");
    /// `device->dev_number`.
    mach_device_dev_number = member("mach_device", "dev_number");
    /// `device->dev_ops`.
    mach_device_dev_ops = member("mach_device", "dev_ops");
    /// Bytes of a struct dev_ops, of which the payload makes one.
    dev_ops_size = Need::Size { of: "dev_ops" };
    /// `dev_ops->d_mmap`.
    dev_ops_d_mmap = member("dev_ops", "d_mmap");
    /// `page->phys_addr`.
    vm_page_phys_addr = member("vm_page", "phys_addr");
    /// `object->ref_count`.
    vm_object_ref_count = member("vm_object", "ref_count");
}
