// SPDX-License-Identifier: GPL-2.0-or-later
//! The prototypes of every function of the kernel that is hooked or called, and what the variables hold that are read.
//!
//! The instrumenter compares them with the kernel's DWARF: the payload's own declarations cannot be checked by a compiler.

use core::fmt;

/// What a function takes, or gives back, or a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `void`, of a result.
    Nothing,
    /// A pointer.
    Pointer,
    /// A signed integer of that many bytes.
    Signed(u8),
    /// An unsigned integer of that many bytes, or an enumeration.
    Unsigned(u8),
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => out.write_str("nothing"),
            Self::Pointer => out.write_str("pointer"),
            Self::Signed(bytes) => write!(out, "i{}", u32::from(*bytes) * 8),
            Self::Unsigned(bytes) => write!(out, "u{}", u32::from(*bytes) * 8),
        }
    }
}

/// A function or a variable of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// Its symbol.
    pub name: &'static str,
    /// What it is.
    pub what: What,
}

/// What a symbol of the kernel stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A function.
    Function {
        /// What it gives back.
        result: Value,
        /// What it takes.
        parameters: &'static [Value],
        /// It takes more after these.
        variadic: bool,
        /// Where the DWARF says this.
        source: Source,
    },
    /// A variable.
    Variable(Value),
}

/// What a function is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// C: the DWARF has its definition.
    C,
    /// Assembly: the DWARF has only declarations, in the C files that call it.
    Assembly,
}

const PTR: Value = Value::Pointer;
const I32: Value = Value::Signed(4);
const U32: Value = Value::Unsigned(4);
const I64: Value = Value::Signed(8);
const U64: Value = Value::Unsigned(8);
const NOTHING: Value = Value::Nothing;

/// All of them. A payload that refers to a symbol of the kernel that is not here is refused.
pub const PROTOTYPES: &[Prototype] = &[
    // Called, or jumped to after a look.
    c("assert_wait", NOTHING, &[PTR, I32]),
    c("clear_wait", NOTHING, &[PTR, I32, I32]),
    c("convert_task_to_port", PTR, &[PTR]),
    c("convert_thread_to_port", PTR, &[PTR]),
    assembly("copyin", I32, &[PTR, PTR, U64]),
    c("copyinmsg", I32, &[PTR, PTR, U64, U64]),
    assembly("copyout", I32, &[PTR, PTR, U64]),
    c("device_pager_setup", I32, &[PTR, I32, U64, U64, PTR]),
    c("exception_parse_reply", I32, &[PTR]),
    c("exception_raise", NOTHING, &[PTR, PTR, PTR, I32, I32, I64]),
    c("host_reboot", I32, &[PTR, I32]),
    c("init_alloc_aligned", I32, &[U64, PTR]),
    c("ipc_kmsg_copyout_body", I32, &[PTR, PTR, PTR]),
    c("ipc_kmsg_destroy", NOTHING, &[PTR]),
    c("ipc_kmsg_free", NOTHING, &[PTR]),
    c("ipc_kobject_notify", I32, &[PTR, PTR]),
    c("ipc_kobject_server", PTR, &[PTR]),
    c("ipc_mqueue_copyin", I32, &[PTR, U32, PTR, PTR]),
    c("ipc_mqueue_receive", I32, &[PTR, I32, U32, U32, I32, PTR, PTR, PTR]),
    c("ipc_mqueue_send", I32, &[PTR, I32, U32]),
    c("ipc_object_reference", NOTHING, &[PTR]),
    c("ipc_object_release", NOTHING, &[PTR]),
    c("ipc_port_alloc_special", PTR, &[PTR]),
    c("ipc_port_copy_send", PTR, &[PTR]),
    c("ipc_port_dealloc_special", NOTHING, &[PTR, PTR]),
    c("ipc_port_destroy", NOTHING, &[PTR]),
    c("ipc_port_make_send", PTR, &[PTR]),
    c("ipc_port_make_sonce", PTR, &[PTR]),
    c("ipc_port_nsrequest", NOTHING, &[PTR, U32, PTR, PTR]),
    c("ipc_port_release_send", NOTHING, &[PTR]),
    c("ipc_right_reverse", I32, &[PTR, PTR, PTR, PTR]),
    c("ipc_task_init", NOTHING, &[PTR, PTR]),
    c("ipc_task_terminate", NOTHING, &[PTR]),
    c("ipc_thread_enable", NOTHING, &[PTR]),
    c("ipc_thread_terminate", NOTHING, &[PTR]),
    c("kalloc", U64, &[U64]),
    c("kfree", NOTHING, &[U64, U64]),
    c("lock_done", NOTHING, &[PTR]),
    c("lock_try_read", I32, &[PTR]),
    c("mach_msg_continue", NOTHING, &[]),
    c("mach_msg_interrupt", I32, &[PTR]),
    c("mach_msg_receive_continue", NOTHING, &[]),
    c("mach_msg_trap", I32, &[PTR, I32, U32, U32, U32, U32, U32]),
    c("memory_object_create_proxy", I32, &[PTR, I32, PTR, U32, PTR, U32, PTR, U32, PTR, U32, PTR]),
    Prototype { name: "printf", what: function(I32, &[PTR], true, Source::C) },
    c("rdxtree_lookup_common", PTR, &[PTR, U32, I32]),
    c("record_time_stamp", NOTHING, &[PTR]),
    assembly("splsched", I32, &[]),
    assembly("splx", I32, &[I32]),
    c("task_deallocate", NOTHING, &[PTR]),
    c("task_get_special_port", I32, &[PTR, I32, PTR]),
    c("task_reference", NOTHING, &[PTR]),
    c("task_set_special_port", I32, &[PTR, I32, PTR]),
    c("thread_block", NOTHING, &[PTR]),
    c("thread_deallocate", NOTHING, &[PTR]),
    c("thread_handoff", I32, &[PTR, PTR, PTR]),
    c("thread_hold", NOTHING, &[PTR]),
    c("thread_reference", NOTHING, &[PTR]),
    c("thread_release", NOTHING, &[PTR]),
    assembly("thread_syscall_return", NOTHING, &[I32]),
    c("thread_wakeup_prim", I32, &[PTR, I32, I32]),
    c("thread_will_wait_with_timeout", NOTHING, &[PTR, U32]),
    c("vm_object_enter", PTR, &[PTR, U64, I32]),
    c("vm_page_free_contig", NOTHING, &[PTR, U64]),
    c("vm_page_grab_contig", PTR, &[U64, U32]),
    // What the compiler calls where it likes.
    c("memcmp", I32, &[PTR, PTR, U64]),
    c("memcpy", PTR, &[PTR, PTR, U64]),
    c("memmove", PTR, &[PTR, PTR, U64]),
    c("memset", PTR, &[PTR, I32, U64]),
    // Traps that give rights.
    c("mach_host_self", U32, &[]),
    c("mach_reply_port", U32, &[]),
    c("mach_task_self", U32, &[]),
    c("mach_thread_self", U32, &[]),
    // Traps that stand in for RPCs.
    c("syscall_device_write_request", I32, &[U32, U32, U32, U64, U64, U64]),
    c("syscall_device_writev_request", I32, &[U32, U32, U32, U64, PTR, U64]),
    c("syscall_mach_port_allocate", I32, &[U32, U32, PTR]),
    c("syscall_mach_port_allocate_name", I32, &[U32, U32, U32]),
    c("syscall_mach_port_deallocate", I32, &[U32, U32]),
    c("syscall_mach_port_insert_right", I32, &[U32, U32, U32, U32]),
    c("syscall_task_create", I32, &[U32, I32, PTR]),
    c("syscall_task_set_special_port", I32, &[U32, I32, U32]),
    c("syscall_task_suspend", I32, &[U32]),
    c("syscall_task_terminate", I32, &[U32]),
    c("syscall_thread_depress_abort", I32, &[U32]),
    c("syscall_vm_allocate", I32, &[U32, PTR, U64, I32]),
    c("syscall_vm_deallocate", I32, &[U32, U64, U64]),
    c("syscall_vm_map", I32, &[U32, PTR, U64, U64, I32, U32, U64, I32, I32, I32, I32]),
    // Read.
    Prototype { name: "elapsed_ticks", what: What::Variable(U64) },
    Prototype { name: "ipc_space_kernel", what: What::Variable(PTR) },
    Prototype { name: "kernel_cmdline", what: What::Variable(PTR) },
    Prototype { name: "kernel_task", what: What::Variable(PTR) },
    Prototype { name: "mtime", what: What::Variable(PTR) },
    Prototype { name: "tick", what: What::Variable(I32) },
];

const fn c(name: &'static str, result: Value, parameters: &'static [Value]) -> Prototype {
    Prototype { name, what: function(result, parameters, false, Source::C) }
}

const fn assembly(name: &'static str, result: Value, parameters: &'static [Value]) -> Prototype {
    Prototype { name, what: function(result, parameters, false, Source::Assembly) }
}

const fn function(result: Value, parameters: &'static [Value], variadic: bool, source: Source) -> What {
    What::Function { result, parameters, variadic, source }
}
