// SPDX-License-Identifier: GPL-2.0-or-later
//! Stubs of a message's way: copied in, handed over, taken out of a queue, served by the kernel, copied out.

use core::arch::global_asm;

use crate::direct::quick::server;
use crate::gnumach::mach;
use crate::gnumach::objects::IO_BITS_PROTECTED_PAYLOAD;

// What an earlier sender left in the last word of the buffer is none of this one's. Whoever it may be handed over to wants to know which
// message it is, and that it was copied in since the first of the present traces began. In an observed call, what has been copied in is looked at
// by who does the least that is to be done: see crate::direct.
code_of_messages!(
    "rpctrace2_copyinmsg",
    server::ANSWER,
    "mov qword ptr [rsi + rcx - 40], 0",
    current_thread!(),
    "mov r11d, dword ptr [rip + rpctrace2_period]",
    "mov dword ptr [rax + rpctrace2_slot_thread_message], esi",
    "mov dword ptr [rax + rpctrace2_slot_thread_awaited], r11d",
    which_call!(),
    "jb copyinmsg",
    "je 2f",
    "cld",
    // Of an observed call both mean something else, which nothing has happened to yet.
    "mov dword ptr [rax + rpctrace2_slot_thread_message], 0",
    "mov dword ptr [rax + rpctrace2_slot_thread_awaited], 0",
    "push rsi",
    concat!("call ", copyinmsg!()),
    "pop rdi",
    "test eax, eax",
    "jnz 4f",
    is_direct!("rsi" = "6", "rdx"),
    "jz rpctrace2_copied_in",
    "cmp byte ptr [rip + {is_one}], 0",
    "je rpctrace2_copied_in_less_quickly",
    "cmp dword ptr [rdi + {bits}], {servers}",
    "jne rpctrace2_clients_request",
    "jmp rpctrace2_servers_answer",
    "2:",
    "push rsi",
    "call copyinmsg",
    "pop rsi",
    // Also of one that could not be copied in, of which there is nothing to tell.
    is_wanted!("rsi"),
    "jc 3f",
    "ret",
    "3:",
    "mov rdi, rsi",
    "mov esi, eax",
    "cld",
    "jmp rpctrace2_wanted_copyinmsg",
    "4:",
    "ret",
);
code_of_messages!(
    "rpctrace2_copyout",
    server::REQUEST,
    current_thread!(),
    which_call!(),
    "jb copyout",
    "je 2f",
    "1:",
    "cld",
    "sub rsp, 8",
    "push rdi",
    "push rdx",
    "call copyout",
    "pop rsi",
    "pop rdi",
    "add rsp, 8",
    "test eax, eax",
    "jnz 3f",
    is_direct!("rdx" = "2", "rcx"),
    "jz 4f",
    "cmp byte ptr [rip + {is_one}], 0",
    "je rpctrace2_copied_out_less_quickly",
    "cmp dword ptr [rdi + {bits}], {servers}",
    "jne rpctrace2_clients_answer",
    "jmp rpctrace2_servers_request",
    "3:",
    "mov edx, eax",
    "jmp rpctrace2_copied_out",
    "4:",
    "xor edx, edx",
    "jmp rpctrace2_copied_out",
    "2:",
    is_wanted!("rdi"),
    "jnc copyout",
    "jmp 1b",
);
code!(
    "rpctrace2_copyin_name",
    current_thread!(),
    which_call!(),
    "jbe copyin",
    "cld",
    "jmp rpctrace2_traced_copyin_name"
);
observed!("rpctrace2_copyout_name", "copyout", "rpctrace2_traced_copyout_name");
observed!("rpctrace2_copyout_size", "copyout", "rpctrace2_traced_copyout_size");
observed!("rpctrace2_ipc_kmsg_copyout_body", "ipc_kmsg_copyout_body", "rpctrace2_traced_copyout_body");

// Is the sender or the receiver in an observed call? If the receiver alone is, it matters only whether the port has a payload: the sender
// has copied a message in since the first of the present traces began, whose header is in transit by now.
code!(
    "rpctrace2_thread_handoff",
    current_thread!(),
    "mov r11d, dword ptr [rax + rpctrace2_slot_thread_call]",
    "or r11d, dword ptr [rdx + rpctrace2_slot_thread_call]",
    "jz thread_handoff",
    which_call!(),
    "ja 2f",
    "mov r11d, dword ptr [rax + rpctrace2_slot_thread_awaited]",
    "cmp r11d, dword ptr [rip + rpctrace2_period]",
    "jne thread_handoff",
    "movsxd r11, dword ptr [rax + rpctrace2_slot_thread_message]",
    "test r11, r11",
    "jz thread_handoff",
    "mov r11, qword ptr [r11 + {remote}]",
    "test dword ptr [r11 + rpctrace2_slot_port_io_bits], {payload}",
    "jz thread_handoff",
    "2:",
    "cld",
    // A sender without a draft has nothing to leave to the receiver, who is not told which port without a payload it was, and looks itself for what is
    // wanted: what is done is to note that the sender has no message any more.
    "cmp dword ptr [rax + rpctrace2_slot_thread_call], 0",
    "js 3f",
    "mov r11d, dword ptr [rdx + rpctrace2_slot_thread_call]",
    "or r11d, 2",
    "cmp r11d, 3",
    "je 3f",
    "movsxd r11, dword ptr [rax + rpctrace2_slot_thread_message]",
    "test r11, r11",
    "jz 3f",
    "mov r10, qword ptr [r11 + {remote}]",
    "test dword ptr [r10 + rpctrace2_slot_port_io_bits], {payload}",
    "jnz 3f",
    "push rax",
    "push r11",
    "sub rsp, 8",
    "mov dword ptr [rax + rpctrace2_slot_thread_message], 0",
    "call thread_handoff",
    "add rsp, 8",
    "pop r11",
    "pop rdx",
    "test eax, eax",
    "jz 4f",
    "ret",
    // It goes on with it.
    "4:",
    "mov dword ptr [rdx + rpctrace2_slot_thread_message], r11d",
    "ret",
    "3:",
    "jmp rpctrace2_traced_handoff";
    remote = const mach::MSGH_REMOTE_PORT.offset(),
    payload = const IO_BITS_PROTECTED_PAYLOAD,
);

// A kmsg that a thread in an observed call has got, by a port with a payload, is shown before its header is changed.
code!(
    "rpctrace2_ipc_mqueue_receive",
    current_thread!(),
    is_in_call!(),
    "je ipc_mqueue_receive",
    "cld",
    "sub rsp, 8",
    // The seventh and the eighth argument again.
    "push qword ptr [rsp + 24]",
    "push qword ptr [rsp + 24]",
    "call ipc_mqueue_receive",
    "test eax, eax",
    "jnz 2f",
    "mov rdi, qword ptr [rsp + 32]",
    "mov rdi, qword ptr [rdi]",
    "mov r11, qword ptr [rdi + rpctrace2_slot_kmsg_header + {remote}]",
    "test dword ptr [r11 + rpctrace2_slot_port_io_bits], {payload}",
    "jz 2f",
    "call rpctrace2_dequeued",
    "xor eax, eax",
    "2:",
    "add rsp, 24",
    "ret";
    remote = const mach::MSGH_REMOTE_PORT.offset(),
    payload = const IO_BITS_PROTECTED_PAYLOAD,
);

// What had to be sent is sent, also where its record was lost; the arguments are those of the original.
code!(
    "rpctrace2_ipc_mqueue_copyin",
    current_thread!(),
    which_call!(),
    "jbe ipc_mqueue_copyin",
    "cmp dword ptr [rax + rpctrace2_slot_thread_message], 0",
    "je ipc_mqueue_copyin",
    "cld",
    "push rdi",
    "push rsi",
    "push rdx",
    "push rcx",
    "sub rsp, 8",
    "call rpctrace2_sent",
    "add rsp, 8",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "jmp ipc_mqueue_copyin"
);

// Is the request for a port that may be a traced task's? What a task asks of itself is in its trace already. Nothing is read
// through the object: another processor may be ending it.
code!(
    "rpctrace2_ipc_kobject_server",
    "mov r11, qword ptr [rdi + rpctrace2_slot_kmsg_header + {remote}]",
    "test byte ptr [r11 + rpctrace2_slot_port_watched], 1",
    "jz ipc_kobject_server",
    "mov r11, qword ptr [r11 + rpctrace2_slot_port_kobject]",
    current_thread!(),
    "cmp qword ptr [rax + rpctrace2_slot_thread_task], r11",
    "je ipc_kobject_server",
    "jmp rpctrace2_kobject_server";
    remote = const mach::MSGH_REMOTE_PORT.offset(),
);

// Another port may come to stand in its memory.
code!(
    "rpctrace2_ipc_port_destroy",
    "mov dword ptr [rdi + rpctrace2_slot_port_awaited], 0",
    "mov dword ptr [rdi + rpctrace2_slot_port_watched], 0",
    "jmp ipc_port_destroy"
);
