//! What the payload needs from a kernel and which places it wants redirected: the contract with `qemu::plan`.
//!
//! The payload is a static library. The instrumenter links it at the page after the kernel's `_end` with the kernel's
//! symbols at hand, fills [`SLOTS_SYMBOL`] in the linked image, and redirects the [`HOOKS`]. Both sides are built from one
//! commit, so nothing here has to stay compatible; [`VERSION`] catches a stale library.

/// Changes whenever [`SLOTS`] or [`HOOKS`] change meaning.
pub const VERSION: u64 = 4;

/// Symbol of the slot table in the linked payload: `[u64; SLOT_WORDS]`, little-endian.
pub const SLOTS_SYMBOL: &str = "rpctrace2_slots";

/// First word of the slot table.
pub const MAGIC: u64 = u64::from_le_bytes(*b"rpctrac2");

/// What the slot of a lock holds on a kernel for one processor, which has none.
pub const ABSENT: u64 = u64::MAX - 1;

/// Lowest address of the kernel. Smaller values of a [`Need::PerCpu`] slot are offsets.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// What an unfilled slot holds. The payload does not arm while one is left.
pub const UNFILLED: u64 = u64::MAX;

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
}

/// One place of the kernel that is redirected into the payload.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Symbol of the payload that takes over.
    pub symbol: &'static str,
    /// What is redirected to it.
    pub site: Site,
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
    /// `thread->swap_func`.
    thread_swap_func = member("thread", "swap_func");
    /// `thread->ast`.
    thread_ast = member("thread", "ast");
    /// `thread->saved.receive.msg`.
    thread_ith_msg = member("thread", "saved.receive.msg");
    /// `thread->saved.receive.option`.
    thread_ith_option = member("thread", "saved.receive.option");
    /// `thread->saved.receive.rcv_size`.
    thread_ith_rcv_size = member("thread", "saved.receive.rcv_size");
    /// `thread->saved.receive.timeout`.
    thread_ith_timeout = member("thread", "saved.receive.timeout");
    /// `thread->saved.receive.notify`.
    thread_ith_notify = member("thread", "saved.receive.notify");
    /// `thread->saved.receive.object`.
    thread_ith_object = member("thread", "saved.receive.object");
    /// `thread->saved.receive.mqueue`.
    thread_ith_mqueue = member("thread", "saved.receive.mqueue");
    /// `thread->saved.exception.exc`.
    thread_ith_exc = member("thread", "saved.exception.exc");
    /// A hole of struct thread: the payload's thread number.
    thread_number = Need::Padding { of: "thread" };
    /// `task->lock`.
    task_lock = lock("task", "lock");
    /// `task->map`.
    task_map = member("task", "map");
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
    /// `port->ip_target.ipt_object.io_lock_data`.
    port_lock = lock("ipc_port", "ip_target.ipt_object.io_lock_data");
    /// `port->ip_target.ipt_name`, the receiver's name for the port.
    port_receiver_name = member("ipc_port", "ip_target.ipt_name");
    /// `port->data.receiver`.
    port_receiver = member("ipc_port", "data.receiver");
    /// `port->ip_target.ipt_object.io_bits`.
    port_io_bits = member("ipc_port", "ip_target.ipt_object.io_bits");
    /// `port->ip_kobject`.
    port_kobject = member("ipc_port", "ip_kobject");
    /// `port->ip_pset`.
    port_pset = member("ipc_port", "ip_pset");
    /// `port->ip_seqno`.
    port_seqno = member("ipc_port", "ip_seqno");
    /// `port->ip_target.ipt_messages.imq_lock_data`.
    port_messages_lock = lock("ipc_port", "ip_target.ipt_messages.imq_lock_data");
    /// `port->ip_target.ipt_messages.imq_messages`: the first message.
    port_messages_kmsgs = member("ipc_port", "ip_target.ipt_messages.imq_messages.ikmq_base");
    /// `port->ip_target.ipt_messages.imq_threads`: the first receiver.
    port_messages_threads = member("ipc_port", "ip_target.ipt_messages.imq_threads.ithq_base");
    /// `pset->ips_target.ipt_messages.imq_lock_data`.
    pset_messages_lock = lock("ipc_pset", "ips_target.ipt_messages.imq_lock_data");
    /// `pset->ips_target.ipt_messages.imq_messages`: the first message.
    pset_messages_kmsgs = member("ipc_pset", "ips_target.ipt_messages.imq_messages.ikmq_base");
    /// `port->ip_qlimit`.
    port_qlimit = member("ipc_port", "ip_qlimit");
    /// `port->ip_msgcount`.
    port_msgcount = member("ipc_port", "ip_msgcount");
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

/// Symbols that the instrumenter defines for the link, because instructions have the values of slots in them: every slot's
/// own, and how to load the pointer to the current thread.
pub fn link_symbols(slot: impl Fn(&SlotSpec) -> u64) -> impl Iterator<Item = (&'static str, u64)> {
    let current_thread = SLOTS.get(Slot::current_thread as usize).map_or(UNFILLED, &slot);
    // Prefixes of an instruction; the one for %ds has no meaning in 64-bit mode.
    let segment = if current_thread < KERNEL_BASE { GS_PREFIX } else { DS_PREFIX };
    let loading = [
        ("rpctrace2_current_thread_segment", segment),
        // The processor extends the sign of a 32-bit address.
        ("rpctrace2_current_thread_address", current_thread & 0xffff_ffff),
    ];
    loading.into_iter().chain(SLOTS.iter().map(move |spec| (spec.symbol, slot(spec))))
}

const GS_PREFIX: u64 = 0x65;
const DS_PREFIX: u64 = 0x3e;

/// Every redirected place. The payload's symbol has the original's signature.
pub const HOOKS: &[Hook] = &[
    trap(25, "mach_msg_trap", "hook_mach_msg_trap"),
    calls("task_get_special_port", 1, "hook_task_get_special_port"),
    calls("task_set_special_port", 2, "hook_task_set_special_port"),
    calls("ipc_task_init", 1, "hook_ipc_task_init"),
    calls("ipc_task_terminate", 1, "hook_ipc_task_terminate"),
    calls("ipc_kobject_server", 2, "hook_ipc_kobject_server"),
    calls("exception_raise", 2, "hook_exception_raise"),
    calls("exception_parse_reply", 2, "hook_exception_parse_reply"),
    trap(64, "syscall_vm_map", "hook_syscall_vm_map"),
    trap(65, "syscall_vm_allocate", "hook_syscall_vm_allocate"),
    trap(66, "syscall_vm_deallocate", "hook_syscall_vm_deallocate"),
    trap(68, "syscall_task_create", "hook_syscall_task_create"),
    trap(69, "syscall_task_terminate", "hook_syscall_task_terminate"),
    trap(70, "syscall_task_suspend", "hook_syscall_task_suspend"),
    trap(71, "syscall_task_set_special_port", "hook_syscall_task_set_special_port"),
    trap(72, "syscall_mach_port_allocate", "hook_syscall_mach_port_allocate"),
    trap(73, "syscall_mach_port_deallocate", "hook_syscall_mach_port_deallocate"),
    trap(74, "syscall_mach_port_insert_right", "hook_syscall_mach_port_insert_right"),
    trap(75, "syscall_mach_port_allocate_name", "hook_syscall_mach_port_allocate_name"),
    trap(76, "syscall_thread_depress_abort", "hook_syscall_thread_depress_abort"),
];

const fn trap(number: u32, original: &'static str, symbol: &'static str) -> Hook {
    Hook { symbol, site: Site::Trap { number, original } }
}

const fn calls(target: &'static str, count: usize, symbol: &'static str) -> Hook {
    Hook { symbol, site: Site::Calls { target, count } }
}
