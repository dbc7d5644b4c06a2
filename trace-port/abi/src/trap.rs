// SPDX-License-Identifier: GPL-2.0-or-later
//! Trap numbers: mach/syscall_sw.h. They are negative, as they are called; `mach_trap_table` has the trap at the positive number.

numbers! {
    /// Every trap that a program or the payload speaks of, with its number.
    ALL: i64;

    /// `evc_wait`
    EVC_WAIT = -17;
    /// `evc_wait_clear`
    EVC_WAIT_CLEAR = -18;
    /// `mach_msg_trap`
    MACH_MSG_TRAP = -25;
    /// `mach_reply_port`
    MACH_REPLY_PORT = -26;
    /// `mach_thread_self`
    MACH_THREAD_SELF = -27;
    /// `mach_task_self`
    MACH_TASK_SELF = -28;
    /// `mach_host_self`
    MACH_HOST_SELF = -29;
    /// `mach_print`
    MACH_PRINT = -30;
    /// `syscall_device_writev_request`
    SYSCALL_DEVICE_WRITEV_REQUEST = -39;
    /// `syscall_device_write_request`
    SYSCALL_DEVICE_WRITE_REQUEST = -40;
    /// `swtch_pri`
    SWTCH_PRI = -59;
    /// `swtch`
    SWTCH = -60;
    /// `thread_switch`
    THREAD_SWITCH = -61;
    /// `syscall_vm_map`
    SYSCALL_VM_MAP = -64;
    /// `syscall_vm_allocate`
    SYSCALL_VM_ALLOCATE = -65;
    /// `syscall_vm_deallocate`
    SYSCALL_VM_DEALLOCATE = -66;
    /// `syscall_task_create`
    SYSCALL_TASK_CREATE = -68;
    /// `syscall_task_terminate`
    SYSCALL_TASK_TERMINATE = -69;
    /// `syscall_task_suspend`
    SYSCALL_TASK_SUSPEND = -70;
    /// `syscall_task_set_special_port`
    SYSCALL_TASK_SET_SPECIAL_PORT = -71;
    /// `syscall_mach_port_allocate`
    SYSCALL_MACH_PORT_ALLOCATE = -72;
    /// `syscall_mach_port_deallocate`
    SYSCALL_MACH_PORT_DEALLOCATE = -73;
    /// `syscall_mach_port_insert_right`
    SYSCALL_MACH_PORT_INSERT_RIGHT = -74;
    /// `syscall_mach_port_allocate_name`
    SYSCALL_MACH_PORT_ALLOCATE_NAME = -75;
    /// `syscall_thread_depress_abort`
    SYSCALL_THREAD_DEPRESS_ABORT = -76;
    /// `thread_set_self_state`
    THREAD_SET_SELF_STATE = -77;
}

/// The traps that give a right without a message, by their place in `mach_trap_table`.
pub const GIVING: [(u32, &str); 4] =
    [(26, "mach_reply_port"), (27, "mach_thread_self"), (28, "mach_task_self"), (29, "mach_host_self")];

/// The name of one of them.
pub fn giving(number: u32) -> Option<&'static str> {
    GIVING.iter().find(|giving| giving.0 == number).map(|giving| giving.1)
}
