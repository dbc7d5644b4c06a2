// SPDX-License-Identifier: GPL-2.0-or-later
//! What every trap of the kernel is to a trace: the whole of `mach_trap_table`, as it is in the kernels of 2025 and 2026.

use mach_abi::trap;

/// What a trap is to the trace of the task that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// Sends and receives messages.
    MessagePath,
    /// Gives a right without a message.
    Gives,
    /// Does without a message what an RPC does, so that a traced task must make the RPC.
    Rpc,
    /// Concerns the task alone, and has no RPC that says the same.
    Local,
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Its index.
    pub number: u32,
    /// The function it points to.
    pub function: &'static str,
    /// What it is.
    pub kind: TrapKind,
}

/// Functions of entries that are no traps.
pub const NO_TRAP: &[&str] = &["kern_invalid", "null_port"];

/// Functions of the kernel that call a trap's for the kernel's own sake, and the trap's.
pub const KERNELS_OWN_CALLS: &[(&str, &str)] = &[("mig_get_reply_port", "mach_reply_port")];

/// Every other entry. A kernel may lack a local one.
pub const TRAPS: &[Trap] = &[
    local(trap::EVC_WAIT, "evc_wait"),
    local(trap::EVC_WAIT_CLEAR, "evc_wait_clear"),
    entry(trap::MACH_MSG_TRAP, "mach_msg_trap", TrapKind::MessagePath),
    entry(trap::MACH_REPLY_PORT, "mach_reply_port", TrapKind::Gives),
    entry(trap::MACH_THREAD_SELF, "mach_thread_self", TrapKind::Gives),
    entry(trap::MACH_TASK_SELF, "mach_task_self", TrapKind::Gives),
    entry(trap::MACH_HOST_SELF, "mach_host_self", TrapKind::Gives),
    local(trap::MACH_PRINT, "mach_print"),
    rpc(trap::SYSCALL_DEVICE_WRITEV_REQUEST, "syscall_device_writev_request"),
    rpc(trap::SYSCALL_DEVICE_WRITE_REQUEST, "syscall_device_write_request"),
    local(trap::SWTCH_PRI, "swtch_pri"),
    local(trap::SWTCH, "swtch"),
    local(trap::THREAD_SWITCH, "thread_switch"),
    rpc(trap::SYSCALL_VM_MAP, "syscall_vm_map"),
    rpc(trap::SYSCALL_VM_ALLOCATE, "syscall_vm_allocate"),
    rpc(trap::SYSCALL_VM_DEALLOCATE, "syscall_vm_deallocate"),
    rpc(trap::SYSCALL_TASK_CREATE, "syscall_task_create"),
    rpc(trap::SYSCALL_TASK_TERMINATE, "syscall_task_terminate"),
    rpc(trap::SYSCALL_TASK_SUSPEND, "syscall_task_suspend"),
    rpc(trap::SYSCALL_TASK_SET_SPECIAL_PORT, "syscall_task_set_special_port"),
    rpc(trap::SYSCALL_MACH_PORT_ALLOCATE, "syscall_mach_port_allocate"),
    rpc(trap::SYSCALL_MACH_PORT_DEALLOCATE, "syscall_mach_port_deallocate"),
    rpc(trap::SYSCALL_MACH_PORT_INSERT_RIGHT, "syscall_mach_port_insert_right"),
    rpc(trap::SYSCALL_MACH_PORT_ALLOCATE_NAME, "syscall_mach_port_allocate_name"),
    rpc(trap::SYSCALL_THREAD_DEPRESS_ABORT, "syscall_thread_depress_abort"),
    local(trap::THREAD_SET_SELF_STATE, "thread_set_self_state"),
];

const fn local(number: i64, function: &'static str) -> Trap {
    entry(number, function, TrapKind::Local)
}

const fn rpc(number: i64, function: &'static str) -> Trap {
    entry(number, function, TrapKind::Rpc)
}

/// Traps are called by negative numbers.
const fn entry(number: i64, function: &'static str, kind: TrapKind) -> Trap {
    Trap { number: -number as u32, function, kind }
}
