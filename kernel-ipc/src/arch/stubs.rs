// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the kernel enters the payload in the middle of a message's path: assembly, because a stub that finds nothing to do must leave
//! every register and stack argument in place, and cost next to nothing.
//!
//! Each looks for the current thread's open call (a word in a hole of its struct) and goes on to the original without one, or, where the
//! thread is looked at lightly, without a message that is wanted.
//! For a thread in an observed call `cld` comes first: `syscall` does not clear the direction flag that a user may have set.

use core::arch::global_asm;

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

// One that looks at a message: whether it is wanted, and who does what is to be done for it. A server's has these bits.
macro_rules! code_of_messages {
    ($symbol:literal, $servers:expr, $($line:expr),* $(,)?) => {
        code!(
            $symbol,
            $($line),*;
            id = const mach::MSGH_ID.offset(),
            bits = const mach::MSGH_BITS.offset(),
            servers = const $servers,
            state = sym crate::arch::STATE,
            wanted = const core::mem::offset_of!(crate::state::State, wanted),
            direct = const crate::state::IS_DIRECT,
            is_one = sym crate::gnumach::one::IS_ONE,
        );
    };
}

// mov rax, segment:[address]: see payload_abi::link_symbols. Or into the register of another number below 8.
macro_rules! current_thread {
    () => {
        current_thread!("0")
    };
    ($number:tt) => {
        concat!(
            ".byte rpctrace2_current_thread_segment, 0x48, 0x8b, 0x04 | ",
            $number,
            " << 3, 0x25\n.long rpctrace2_current_thread_address"
        )
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

// As what a copy of the kernel's is called: one that faults where a test says so.
#[cfg(feature = "faults")]
macro_rules! copyinmsg {
    () => {
        "faulty_copyinmsg"
    };
}
#[cfg(not(feature = "faults"))]
macro_rules! copyinmsg {
    () => {
        "copyinmsg"
    };
}

// Into these registers, of which the first one has this number, the current thread and its task; does what that does go straight into a ring? Not zero:
// yes.
macro_rules! is_direct {
    ($thread:literal = $number:tt, $task:literal) => {
        concat!(
            current_thread!($number),
            "\nmov ",
            $task,
            ", qword ptr [",
            $thread,
            " + rpctrace2_slot_thread_task]\n",
            "test dword ptr [",
            $task,
            " + rpctrace2_slot_task_entry], {direct}"
        )
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

// Of a thread that is looked at lightly only a failure is seen. A call that ends well, has an answer that it awaited, or needed none, and of which no more
// is to be noted, as what the task does goes straight into a ring, is over: see direct::end_over.
code!(
    "rpctrace2_thread_syscall_return",
    current_thread!(),
    which_call!(),
    "jb thread_syscall_return",
    "je 3f",
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

mod messages;
mod traps;
