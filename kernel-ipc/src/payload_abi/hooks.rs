// SPDX-License-Identifier: GPL-2.0-or-later
//! Which places of the kernel are redirected into the payload.

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

/// Which kernels have a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Each.
    All,
    /// Those for several processors may have it: a fault of theirs, which is mended. In one without it there is nothing to be mended. A call in what the
    /// compiler has split off a caller is one of the caller's.
    SeveralPerhaps,
}

impl Kernels {
    /// Whether a kernel for one processor, or for several, has such a place, or may have it.
    pub fn has(self, one_processor: bool) -> bool {
        self == Self::All || !one_processor
    }
}

/// When a place leads to the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// From the boot on: the file is patched.
    Always,
    /// While somebody is traced. A pointer, and on a kernel for one processor a call, is left alone in the file, and gets a row of
    /// [`SWITCHES_SYMBOL`] that leads to `traced`. A call on a kernel for several processors, which another processor may be executing,
    /// is patched in the file, to the hook's own symbol, which jumps on.
    ///
    /// [`SWITCHES_SYMBOL`]: super::SWITCHES_SYMBOL
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
    /// In which kernels.
    pub kernels: Kernels,
    /// What it is seen for, in a few words.
    pub purpose: &'static str,
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
        kernels: Kernels::All,
        purpose: "what is kept with a port ends with it",
    },
    Hook {
        symbol: "rpctrace2_mach_msg_trap",
        site: Site::Trap { number: 25, original: "mach_msg_trap" },
        when: When::Traced { traced: "rpctrace2_mach_msg_trap" },
        kernels: Kernels::All,
        purpose: "a traced thread's mach_msg begins",
    },
    Hook {
        symbol: "hook_init_alloc_aligned",
        site: Site::CallsIn { target: "init_alloc_aligned", callers: &["mp_desc_init"], others: Others::Any },
        when: When::Always,
        kernels: Kernels::SeveralPerhaps,
        purpose: "another processor's descriptors: memory that is not the VM's",
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
    Hook {
        symbol,
        site: Site::Trap { number, original },
        when: When::Traced { traced: symbol },
        kernels: Kernels::All,
        purpose,
    }
}

const fn calls(target: &'static str, count: usize, symbol: &'static str, purpose: &'static str) -> Hook {
    Hook { symbol, site: Site::Calls { target, count }, when: When::Always, kernels: Kernels::All, purpose }
}

const fn inside(
    target: &'static str,
    callers: &'static [&'static str],
    others: Others,
    (symbol, traced): (&'static str, &'static str),
    purpose: &'static str,
) -> Hook {
    Hook {
        symbol,
        site: Site::CallsIn { target, callers, others },
        when: When::Traced { traced },
        kernels: Kernels::All,
        purpose,
    }
}
