// SPDX-License-Identifier: GPL-2.0-or-later
//! Stubs of traps other than `mach_msg`.

use core::arch::global_asm;

// Traps that give a right.
macro_rules! giving {
    ($($symbol:literal: $number:literal => $original:literal;)*) => {
        $(code!(
            $symbol,
            current_thread!(),
            unless_traced!($original, "-1"),
            "cld",
            "sub rsp, 8",
            concat!("call ", $original),
            concat!("mov edi, ", $number),
            "mov esi, eax",
            "add rsp, 8",
            "jmp rpctrace2_gave"
        );)*
    };
}

giving! {
    "hook_mach_reply_port": "26" => "mach_reply_port";
    "hook_mach_thread_self": "27" => "mach_thread_self";
    "hook_mach_task_self": "28" => "mach_task_self";
    "hook_mach_host_self": "29" => "mach_host_self";
}

macro_rules! emulation {
    ($($symbol:literal => $original:literal;)*) => {
        // MACH_SEND_INTERRUPTED makes the user's stub fall back to a real RPC, which is then traced.
        $(code!(
            $symbol,
            current_thread!(),
            unless_traced!($original, "{refuses}"),
            "mov eax, 0x10000007",
            "ret";
            refuses = const crate::state::REFUSES_TRAPS,
        );)*
    };
}

emulation! {
    "hook_syscall_device_writev_request" => "syscall_device_writev_request";
    "hook_syscall_device_write_request" => "syscall_device_write_request";
    "hook_syscall_vm_map" => "syscall_vm_map";
    "hook_syscall_vm_allocate" => "syscall_vm_allocate";
    "hook_syscall_vm_deallocate" => "syscall_vm_deallocate";
    "hook_syscall_task_create" => "syscall_task_create";
    "hook_syscall_task_terminate" => "syscall_task_terminate";
    "hook_syscall_task_suspend" => "syscall_task_suspend";
    "hook_syscall_task_set_special_port" => "syscall_task_set_special_port";
    "hook_syscall_mach_port_allocate" => "syscall_mach_port_allocate";
    "hook_syscall_mach_port_deallocate" => "syscall_mach_port_deallocate";
    "hook_syscall_mach_port_insert_right" => "syscall_mach_port_insert_right";
    "hook_syscall_mach_port_allocate_name" => "syscall_mach_port_allocate_name";
    "hook_syscall_thread_depress_abort" => "syscall_thread_depress_abort";
}
