// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the kernel enters the payload in the middle of a message's path: assembly, because a stub that finds nothing to do must leave
//! every register and stack argument in place, and cost next to nothing.
//!
//! Each looks for the current thread's open call (a word in a hole of its struct) and goes on to the original without one, or, where the
//! thread is looked at lightly, without a message that is wanted.
//! For a thread in an observed call `cld` comes first: `syscall` does not clear the direction flag that a user may have set.

use core::arch::global_asm;

use crate::gnumach::mach;
use crate::gnumach::objects::IO_BITS_PROTECTED_PAYLOAD;
use crate::state::State;

macro_rules! code {
    ($symbol:literal, $($line:expr),* $(; $($operand:tt)*)?) => {
        global_asm!(
            concat!(".globl ", $symbol),
            concat!(".type ", $symbol, ", @function"),
            concat!($symbol, ":"),
            $($line,)*
            concat!(".size ", $symbol, ", . - ", $symbol),
            $($($operand)*)?
        );
    };
}

// One that looks at what is wanted.
macro_rules! code_that_looks {
    ($symbol:literal, $($line:expr),* $(,)?) => {
        code!(
            $symbol,
            $($line),*;
            id = const mach::MSGH_ID.offset(),
            state = sym super::STATE,
            wanted = const core::mem::offset_of!(State, wanted),
        );
    };
}

// mov rax, segment:[address]: see payload_abi::link_symbols.
macro_rules! current_thread {
    () => {
        ".byte rpctrace2_current_thread_segment, 0x48, 0x8b, 0x04, 0x25\n.long rpctrace2_current_thread_address"
    };
}

macro_rules! is_in_call {
    () => {
        "cmp dword ptr [rax + rpctrace2_slot_thread_call], 0"
    };
}

// Above: in an observed call; equal: looked at lightly (see crate::light); below: neither.
macro_rules! which_call {
    () => {
        "cmp dword ptr [rax + rpctrace2_slot_thread_call], 1"
    };
}

// Carry: a message of the id at `$id` may be wanted (see crate::wanted). Changes r11.
macro_rules! is_wanted {
    ($header:literal) => {
        concat!("movzx r11d, word ptr [", $header, " + {id}]\nbt dword ptr [rip + {state} + {wanted}], r11d")
    };
}

// Goes on to the original, unless the current thread's task is traced, and its word has one of these bits.
macro_rules! unless_traced {
    ($original:literal, $bits:literal) => {
        concat!(
            "cmp dword ptr [rax + rpctrace2_slot_thread_watched], 0\nje ",
            $original,
            "\nmov rax, qword ptr [rax + rpctrace2_slot_thread_task]\n",
            "test dword ptr [rax + rpctrace2_slot_task_entry], ",
            $bits,
            "\njz ",
            $original
        )
    };
}

macro_rules! observed {
    ($symbol:literal, $original:literal, $traced:literal) => {
        code!($symbol, current_thread!(), is_in_call!(), concat!("je ", $original), "cld", concat!("jmp ", $traced));
    };
}

// May the thread's task be traced? Then its call begins here; one that makes no record takes the mark away.
code!(
    "rpctrace2_mach_msg_trap",
    current_thread!(),
    "cmp dword ptr [rax + rpctrace2_slot_thread_watched], 0",
    "je mach_msg_trap",
    // The sign: its thread is looked at lightly.
    "js 7f",
    "cld",
    is_in_call!(),
    "jne 5f",
    "2:",
    // An open call of this period.
    "mov r11d, dword ptr [rip + rpctrace2_period]",
    "mov dword ptr [rax + rpctrace2_slot_thread_call], r11d",
    // Until it was watched they meant something else: see rpctrace2_copyinmsg.
    "mov dword ptr [rax + rpctrace2_slot_thread_awaited], 0",
    "mov dword ptr [rax + rpctrace2_slot_thread_message], 0",
    "test edx, edx",
    "js 6f",
    "3:",
    // Nothing but send and receive ends in thread_syscall_return only.
    "cmp esi, 3",
    "je mach_msg_trap",
    "test esi, {with_notify}",
    "jz 4f",
    "mov r11d, dword ptr [rsp + 8]",
    "mov dword ptr [rax + rpctrace2_slot_thread_notify], r11d",
    "4:",
    // The seventh argument again.
    "push qword ptr [rsp + 8]",
    "call mach_msg_trap",
    "add rsp, 8",
    "mov edi, eax",
    "jmp rpctrace2_returned",
    // The last call was not seen to end.
    "5:",
    "push rdi",
    "push rsi",
    "push rdx",
    "push rcx",
    "push r8",
    "push r9",
    "push rax",
    "call rpctrace2_begin_again",
    "pop rax",
    "pop r9",
    "pop r8",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "jmp 2b",
    // A message of 2 GiB and more: the kernel doubles its size in 32 bits, and would copy it over what is behind its buffer. Other
    // sizes that are no multiple of 4 it refuses itself.
    "6:",
    "test sil, 1",
    "jz 3b",
    "test dl, 3",
    "jnz 3b",
    "mov edi, {no_buffer}",
    "mov eax, {too_small}",
    "test dl, 4",
    "cmovnz edi, eax",
    "jmp rpctrace2_returned",
    // As of an untraced thread, unless a message turns out to be wanted, or the call fails: then it is seen to end, too. Whether it has copied
    // one in says this word.
    "7:",
    "mov dword ptr [rax + rpctrace2_slot_thread_message], 0",
    "test edx, edx",
    "js 6b",
    "cmp esi, 3",
    "je mach_msg_trap",
    "test esi, {with_notify}",
    "jz 8f",
    "mov r11d, dword ptr [rsp + 8]",
    "mov dword ptr [rax + rpctrace2_slot_thread_notify], r11d",
    "8:",
    "push qword ptr [rsp + 8]",
    "call mach_msg_trap",
    "add rsp, 8",
    "mov edi, eax",
    current_thread!(),
    which_call!(),
    "ja 9f",
    "test edi, edi",
    "jnz 9f",
    "mov eax, edi",
    "ret",
    "9:",
    "cld",
    "jmp rpctrace2_returned";
    with_notify = const crate::gnumach::option::WITH_NOTIFY,
    no_buffer = const crate::gnumach::mr::MACH_SEND_NO_BUFFER,
    too_small = const crate::gnumach::mr::MACH_SEND_MSG_TOO_SMALL,
);

// What an earlier sender left in the last word of the buffer is none of this one's. Whoever it may be handed over to wants to know which
// message it is, and that it was copied in since the first of the present traces began.
code_that_looks!(
    "rpctrace2_copyinmsg",
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
    "jmp rpctrace2_traced_copyinmsg",
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
    "jmp rpctrace2_wanted_copyinmsg"
);
code!(
    "rpctrace2_copyout",
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
    "mov edx, eax",
    "test eax, eax",
    "jnz rpctrace2_copied_out",
    // Does it go straight into a ring?
    current_thread!(),
    "mov rax, qword ptr [rax + rpctrace2_slot_thread_task]",
    "test dword ptr [rax + rpctrace2_slot_task_entry], {direct}",
    "jnz rpctrace2_copied_out_directly",
    "jmp rpctrace2_copied_out",
    "2:",
    is_wanted!("rdi"),
    "jnc copyout",
    "jmp 1b";
    id = const mach::MSGH_ID.offset(),
    state = sym super::STATE,
    wanted = const core::mem::offset_of!(State, wanted),
    direct = const crate::state::IS_DIRECT,
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
// Of a thread that is looked at lightly only a failure is seen. A call that ends well, has an answer that it awaited, or needed none, and of which no more
// is to be noted, as what the task does goes straight into a ring, is over: see direct::end_over.
code!(
    "rpctrace2_thread_syscall_return",
    current_thread!(),
    which_call!(),
    "jb thread_syscall_return",
    "je 3f",
    // The sign: there is a draft.
    "js 2f",
    "mov r11d, dword ptr [rax + rpctrace2_slot_thread_call]",
    "xor r11d, dword ptr [rip + rpctrace2_period]",
    "xor r11d, {received}",
    "or r11d, dword ptr [rax + rpctrace2_slot_thread_awaited]",
    "or r11d, edi",
    "jnz 2f",
    "mov r11, qword ptr [rax + rpctrace2_slot_thread_task]",
    "test dword ptr [r11 + rpctrace2_slot_task_entry], {direct}",
    "jz 2f",
    "mov dword ptr [rax + rpctrace2_slot_thread_call], 0",
    "jmp thread_syscall_return",
    "3:",
    "test edi, edi",
    "jz thread_syscall_return",
    "2:",
    "cld",
    "jmp rpctrace2_traced_exit";
    received = const crate::open_call::OpenCall::RECEIVED,
    direct = const crate::state::IS_DIRECT,
);

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
    "jmp rpctrace2_traced_handoff";
    remote = const mach::MSGH_REMOTE_PORT.offset(),
    payload = const IO_BITS_PROTECTED_PAYLOAD,
);

// A kmsg that a thread in an observed call has got is shown before its header is changed.
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
    "call rpctrace2_dequeued",
    "xor eax, eax",
    "2:",
    "add rsp, 24",
    "ret"
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

macro_rules! jumps {
    ($($symbol:literal: $stock:literal, $traced:literal;)*) => {
        $(code!($symbol, concat!("jmp qword ptr [rip + ", $symbol, "_jump]"));)*
        // Three words a jump: see gnumach::switches.
        global_asm!(
            ".pushsection .data.rpctrace2_jumps, \"aw\", @progbits",
            ".balign 8",
            ".globl rpctrace2_jumps",
            "rpctrace2_jumps:",
            $(concat!($symbol, "_jump: .quad ", $stock, ", ", $stock, ", ", $traced),)*
            ".size rpctrace2_jumps, . - rpctrace2_jumps",
            ".popsection",
        );
        const _: () = assert!([$($symbol),*].len() == crate::gnumach::switches::JUMPS);
    };
}

// The calls of a kernel for several processors: see gnumach::switches.
jumps! {
    "hook_copyin_name": "copyin", "rpctrace2_copyin_name";
    "hook_copyout_name": "copyout", "rpctrace2_copyout_name";
    "hook_copyinmsg": "copyinmsg", "rpctrace2_copyinmsg";
    "hook_copyout": "copyout", "rpctrace2_copyout";
    "hook_copyout_size": "copyout", "rpctrace2_copyout_size";
    "hook_ipc_kmsg_copyout_body": "ipc_kmsg_copyout_body", "rpctrace2_ipc_kmsg_copyout_body";
    "hook_ipc_kobject_server": "ipc_kobject_server", "rpctrace2_ipc_kobject_server";
    "hook_ipc_mqueue_copyin": "ipc_mqueue_copyin", "rpctrace2_ipc_mqueue_copyin";
    "hook_ipc_mqueue_receive": "ipc_mqueue_receive", "rpctrace2_ipc_mqueue_receive";
    "hook_thread_handoff": "thread_handoff", "rpctrace2_thread_handoff";
    "hook_thread_syscall_return": "thread_syscall_return", "rpctrace2_thread_syscall_return";
    "hook_mach_msg_interrupt": "mach_msg_interrupt", "rpctrace2_mach_msg_interrupt";
    "hook_ipc_port_destroy": "ipc_port_destroy", "rpctrace2_ipc_port_destroy";
}

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
