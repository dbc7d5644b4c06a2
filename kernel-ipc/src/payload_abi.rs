// SPDX-License-Identifier: GPL-2.0-or-later
//! What the payload needs from a kernel and which places it wants redirected: the contract with `qemu::plan`.
//!
//! The payload is a static library. The instrumenter links it at the page after the kernel's `_end` with the kernel's
//! symbols at hand, fills [`SLOTS_SYMBOL`] and [`SWITCHES_SYMBOL`] in the linked image, and redirects the [`HOOKS`]. Both sides
//! are built from one commit, so nothing here has to stay compatible; [`VERSION`] catches a stale library.

mod link;
mod prototypes;
mod traps;

pub use link::link_symbols;
pub use prototypes::{PROTOTYPES, Prototype, Source, Value, What};
pub use traps::{KERNELS_OWN_CALLS, NO_TRAP, TRAPS, Trap, TrapKind};

/// Changes whenever [`SLOTS`] or [`HOOKS`] change meaning.
pub const VERSION: u64 = 14;

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

/// Where a hook is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The function pointer of a `mach_trap_table` entry, which must hold the address of `original`.
    Trap {
        /// Index in the table.
        number: u32,
        /// Symbol the entry points to in a stock kernel.
        original: &'static str,
    },
    /// Every `call rel32` to `target` in the kernel's text, of which there must be exactly `count`.
    Calls {
        /// Symbol that is called.
        target: &'static str,
        /// How many call sites a stock kernel has.
        count: usize,
    },
    /// Every `call rel32` to `target` in each of these functions, of which there must be at least one in each: compilers merge the
    /// tails of a function as they like.
    CallsIn {
        /// Symbol that is called.
        target: &'static str,
        /// The functions whose calls are redirected.
        callers: &'static [&'static str],
        /// Who else calls it.
        others: Others,
    },
}

/// Which functions may call a target besides those whose calls are redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// These, each of which must do so in a stock kernel, and no other.
    Only(&'static [&'static str]),
    /// Any: the target serves much else.
    Any,
}

/// When a place leads to the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// From the boot on: the file is patched.
    Always,
    /// While somebody is traced. A pointer, and on a kernel for one processor a call, is left alone in the file, and gets a row of
    /// [`SWITCHES_SYMBOL`] that leads to `traced`. A call on a kernel for several processors, which another processor may be executing,
    /// is patched in the file, to the hook's own symbol, which jumps on.
    Traced {
        /// Symbol of the payload.
        traced: &'static str,
    },
}

/// One place of the kernel that is redirected into the payload.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Symbol of the payload that takes over.
    pub symbol: &'static str,
    /// What is redirected to it.
    pub site: Site,
    /// When.
    pub when: When,
    /// What it is seen for, in a few words.
    pub purpose: &'static str,
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
}

/// Every redirected place. The payload's symbol has the original's signature.
pub const HOOKS: &[Hook] = &[
    calls("task_get_special_port", 1, "hook_task_get_special_port", "answers for the trace port"),
    calls("task_set_special_port", 2, "hook_task_set_special_port", "sets and ends a trace"),
    calls("ipc_task_init", 1, "hook_ipc_task_init", "a child inherits the trace port"),
    calls("ipc_task_terminate", 1, "hook_ipc_task_terminate", "a trace ends with its task"),
    calls("ipc_thread_enable", 1, "hook_ipc_thread_enable", "a new thread of a traced task is traced"),
    calls("ipc_thread_terminate", 4, "hook_ipc_thread_terminate", "a thread of a traced task has ended"),
    calls(
        "ipc_kobject_notify",
        1,
        "hook_ipc_kobject_notify",
        "requests about engines, and that an engine's port has no senders",
    ),
    calls("host_reboot", 1, "hook_host_reboot", "a call that does not return: its record goes out before"),
    calls("exception_raise", 2, "hook_exception_raise", "an exception of a traced thread"),
    calls("exception_parse_reply", 2, "hook_exception_parse_reply", "what became of an exception"),
    Hook {
        symbol: "hook_ipc_port_destroy",
        site: Site::Calls { target: "ipc_port_destroy", count: 6 },
        when: When::Traced { traced: "rpctrace2_ipc_port_destroy" },
        purpose: "what is kept with a port ends with it",
    },
    Hook {
        symbol: "rpctrace2_mach_msg_trap",
        site: Site::Trap { number: 25, original: "mach_msg_trap" },
        when: When::Traced { traced: "rpctrace2_mach_msg_trap" },
        purpose: "a traced thread's mach_msg begins",
    },
    inside(
        "copyinmsg",
        &["mach_msg_trap", "ipc_kmsg_get"],
        Others::Only(&[]),
        ("hook_copyinmsg", "rpctrace2_copyinmsg"),
        "a message is copied in: what the task sends",
    ),
    inside(
        "copyout",
        &["mach_msg_trap", "ipc_kmsg_put", "exception_raise"],
        Others::Any,
        ("hook_copyout", "rpctrace2_copyout"),
        "a message is copied out: what the task receives",
    ),
    inside(
        "copyout",
        &["mach_msg_receive", "mach_msg_receive_continue"],
        Others::Any,
        ("hook_copyout_size", "rpctrace2_copyout_size"),
        "the size of a message that stays queued",
    ),
    inside(
        "ipc_kmsg_copyout_body",
        &["mach_msg_trap"],
        Others::Any,
        ("hook_ipc_kmsg_copyout_body", "rpctrace2_ipc_kmsg_copyout_body"),
        "a body that cannot be received: the call returns past the exits",
    ),
    inside(
        "copyin",
        &["ipc_kmsg_copyin"],
        Others::Any,
        ("hook_copyin_name", "rpctrace2_copyin_name"),
        "a name in an array out of line is read: which port it is",
    ),
    inside(
        "copyout",
        &["ipc_kmsg_copyout_body"],
        Others::Any,
        ("hook_copyout_name", "rpctrace2_copyout_name"),
        "a name in an array out of line is written: which port it is",
    ),
    inside(
        "ipc_kobject_server",
        &["mach_msg_trap", "ipc_mqueue_send"],
        Others::Only(&[]),
        ("hook_ipc_kobject_server", "rpctrace2_ipc_kobject_server"),
        "a request to the kernel, perhaps on a traced task's control port",
    ),
    inside(
        "ipc_mqueue_copyin",
        &["mach_msg_trap", "mach_msg_receive"],
        Others::Only(&["mach_msg"]),
        ("hook_ipc_mqueue_copyin", "rpctrace2_ipc_mqueue_copyin"),
        "the call goes on to receive: what it had to send is sent",
    ),
    inside(
        "ipc_mqueue_receive",
        &["mach_msg_trap", "mach_msg_continue", "mach_msg_receive", "mach_msg_receive_continue"],
        Others::Any,
        ("hook_ipc_mqueue_receive", "rpctrace2_ipc_mqueue_receive"),
        "a message is taken out of a queue: which port it came to",
    ),
    inside(
        "thread_handoff",
        &["mach_msg_trap"],
        Others::Only(&["exception_raise"]),
        ("hook_thread_handoff", "rpctrace2_thread_handoff"),
        "the sender sleeps, its message is with the receiver, which runs on",
    ),
    inside(
        "thread_syscall_return",
        &["mach_msg_trap", "mach_msg_continue", "mach_msg_receive_continue", "exception_raise"],
        Others::Only(&["swtch_pri_continue", "evc_continue", "thread_switch_continue", "swtch_continue"]),
        ("hook_thread_syscall_return", "rpctrace2_thread_syscall_return"),
        "a call ends: its result is known",
    ),
    inside(
        "mach_msg_interrupt",
        &["thread_halt"],
        Others::Only(&[]),
        ("hook_mach_msg_interrupt", "rpctrace2_mach_msg_interrupt"),
        "a receive ends without the receiver",
    ),
    giving(26, "mach_reply_port", "hook_mach_reply_port"),
    giving(27, "mach_thread_self", "hook_mach_thread_self"),
    giving(28, "mach_task_self", "hook_mach_task_self"),
    giving(29, "mach_host_self", "hook_mach_host_self"),
    emulation(39, "syscall_device_writev_request", "hook_syscall_device_writev_request"),
    emulation(40, "syscall_device_write_request", "hook_syscall_device_write_request"),
    emulation(64, "syscall_vm_map", "hook_syscall_vm_map"),
    emulation(65, "syscall_vm_allocate", "hook_syscall_vm_allocate"),
    emulation(66, "syscall_vm_deallocate", "hook_syscall_vm_deallocate"),
    emulation(68, "syscall_task_create", "hook_syscall_task_create"),
    emulation(69, "syscall_task_terminate", "hook_syscall_task_terminate"),
    emulation(70, "syscall_task_suspend", "hook_syscall_task_suspend"),
    emulation(71, "syscall_task_set_special_port", "hook_syscall_task_set_special_port"),
    emulation(72, "syscall_mach_port_allocate", "hook_syscall_mach_port_allocate"),
    emulation(73, "syscall_mach_port_deallocate", "hook_syscall_mach_port_deallocate"),
    emulation(74, "syscall_mach_port_insert_right", "hook_syscall_mach_port_insert_right"),
    emulation(75, "syscall_mach_port_allocate_name", "hook_syscall_mach_port_allocate_name"),
    emulation(76, "syscall_thread_depress_abort", "hook_syscall_thread_depress_abort"),
];

const fn giving(number: u32, original: &'static str, symbol: &'static str) -> Hook {
    trap(number, original, symbol, "a trap that gives a right: what it gives a traced task")
}

const fn emulation(number: u32, original: &'static str, symbol: &'static str) -> Hook {
    trap(number, original, symbol, "a trap that stands in for an RPC: a traced task makes the RPC")
}

const fn trap(number: u32, original: &'static str, symbol: &'static str, purpose: &'static str) -> Hook {
    Hook { symbol, site: Site::Trap { number, original }, when: When::Traced { traced: symbol }, purpose }
}

const fn calls(target: &'static str, count: usize, symbol: &'static str, purpose: &'static str) -> Hook {
    Hook { symbol, site: Site::Calls { target, count }, when: When::Always, purpose }
}

const fn inside(
    target: &'static str,
    callers: &'static [&'static str],
    others: Others,
    (symbol, traced): (&'static str, &'static str),
    purpose: &'static str,
) -> Hook {
    Hook { symbol, site: Site::CallsIn { target, callers, others }, when: When::Traced { traced }, purpose }
}
