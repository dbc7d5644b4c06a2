//! What every trap of the kernel is to a trace: the whole of `mach_trap_table`, as it is in the kernels of 2025 and 2026.

/// What a trap is to the trace of the task that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// Sends and receives messages.
    MessagePath,
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

/// Every other entry. A kernel may lack a local one.
pub const TRAPS: &[Trap] = &[
    local(17, "evc_wait"),
    local(18, "evc_wait_clear"),
    Trap { number: 25, function: "mach_msg_trap", kind: TrapKind::MessagePath },
    local(26, "mach_reply_port"),
    local(27, "mach_thread_self"),
    local(28, "mach_task_self"),
    local(29, "mach_host_self"),
    local(30, "mach_print"),
    rpc(39, "syscall_device_writev_request"),
    rpc(40, "syscall_device_write_request"),
    local(59, "swtch_pri"),
    local(60, "swtch"),
    local(61, "thread_switch"),
    rpc(64, "syscall_vm_map"),
    rpc(65, "syscall_vm_allocate"),
    rpc(66, "syscall_vm_deallocate"),
    rpc(68, "syscall_task_create"),
    rpc(69, "syscall_task_terminate"),
    rpc(70, "syscall_task_suspend"),
    rpc(71, "syscall_task_set_special_port"),
    rpc(72, "syscall_mach_port_allocate"),
    rpc(73, "syscall_mach_port_deallocate"),
    rpc(74, "syscall_mach_port_insert_right"),
    rpc(75, "syscall_mach_port_allocate_name"),
    rpc(76, "syscall_thread_depress_abort"),
    local(77, "thread_set_self_state"),
];

const fn local(number: u32, function: &'static str) -> Trap {
    Trap { number, function, kind: TrapKind::Local }
}

const fn rpc(number: u32, function: &'static str) -> Trap {
    Trap { number, function, kind: TrapKind::Rpc }
}
