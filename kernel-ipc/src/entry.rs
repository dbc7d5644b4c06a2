//! Where the kernel enters the payload: the hook symbols of `payload_abi::HOOKS`, and nothing else.
//!
//! The stubs jump to the original with every register and stack argument in place unless a traced task is concerned. The two
//! on the path of every message go through a pointer, which leads to the original while nobody is traced. For a traced task
//! `cld` comes first, because `syscall` does not clear the direction flag a user may have set.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

use crate::gnumach::mach::{self, Mach};
use crate::gnumach::{Kmsg, Port, Task, UserAddress, mr, objects, slots, time};
use crate::hooks::{exception, kobject, lifecycle, message, receive, special_port};
use crate::state::State;

static STATE: State = State::new();
static ARMED: AtomicBool = AtomicBool::new(false);

macro_rules! stub {
    ($symbol:literal, $original:literal, $traced:literal) => {
        stub!(
            $symbol, $original, $traced,
            "cmp dword ptr [rip + {state} + {traced}], 0", concat!("je ", $original);
            state = sym STATE,
            traced = const State::TRACED_OFFSET
        );
    };
    ($symbol:literal, $original:literal, $traced:literal, $($first:expr),*; $($operand:tt)*) => {
        global_asm!(
            concat!(".globl ", $symbol),
            concat!(".type ", $symbol, ", @function"),
            concat!($symbol, ":"),
            $($first,)*
            // mov rax, segment:[address]: see payload_abi::link_symbols.
            ".byte rpctrace2_current_thread_segment, 0x48, 0x8b, 0x04, 0x25",
            ".long rpctrace2_current_thread_address",
            "mov rax, qword ptr [rax + rpctrace2_slot_thread_task]",
            "cmp dword ptr [rax + rpctrace2_slot_task_entry], 0",
            concat!("je ", $original),
            "cld",
            $traced,
            concat!(".size ", $symbol, ", . - ", $symbol),
            $($operand)*
        );
    };
}

/// Code of the kernel or of this file that a hook goes on to.
type Next = AtomicPtr<()>;

const fn next(code: *const ()) -> Next {
    AtomicPtr::new(code.cast_mut())
}

macro_rules! through {
    ($symbol:literal, $next:ident) => {
        global_asm!(
            concat!(".globl ", $symbol),
            concat!(".type ", $symbol, ", @function"),
            concat!($symbol, ":"),
            "jmp qword ptr [rip + {next}]",
            concat!(".size ", $symbol, ", . - ", $symbol),
            next = sym $next,
        );
    };
}

static MACH_MSG: Next = next(mach_msg_trap as *const ());
static KOBJECT_SERVER: Next = next(ipc_kobject_server as *const ());

through!("hook_mach_msg_trap", MACH_MSG);
through!("hook_ipc_kobject_server", KOBJECT_SERVER);

stub!("rpctrace2_mach_msg_trap", "mach_msg_trap", "jmp rpctrace2_mach_msg",;);

// Is the request for a traced task's control port, or for one that needs a closer look? Without locks, on a kernel for one
// processor: whoever ends the object clears its type in the port first, and nothing comes between two of these instructions.
global_asm!(
    ".type rpctrace2_kobject_filter, @function",
    "rpctrace2_kobject_filter:",
    "mov rax, qword ptr [rdi + rpctrace2_slot_kmsg_header + {remote}]",
    "cmp word ptr [rax + rpctrace2_slot_port_io_bits], {task}",
    "jne 2f",
    "mov rax, qword ptr [rax + rpctrace2_slot_port_kobject]",
    "cmp dword ptr [rax + rpctrace2_slot_task_entry], 0",
    "je ipc_kobject_server",
    "jmp rpctrace2_kobject_server",
    // A thread's port, one whose object is gone, or another kind.
    "2: ja ipc_kobject_server",
    "jmp rpctrace2_kobject_server",
    ".size rpctrace2_kobject_filter, . - rpctrace2_kobject_filter",
    remote = const mach::MSGH_REMOTE_PORT,
    task = const objects::IKOT_TASK,
);

/// Leads the hooks on the path of every message to the payload, or past it. Either is right at any time for who is not traced.
pub(crate) fn watch(watching: bool) {
    unsafe extern "C" {
        fn rpctrace2_mach_msg_trap();
        fn rpctrace2_kobject_filter();
    }
    let lead = |next: &Next, code: *const ()| next.store(code.cast_mut(), Relaxed);
    lead(&MACH_MSG, if watching { rpctrace2_mach_msg_trap as *const () } else { mach_msg_trap as *const () });
    let kobject_server = match (watching, slots::has_locks()) {
        (false, _) => ipc_kobject_server as *const (),
        (true, false) => rpctrace2_kobject_filter as *const (),
        (true, true) => rpctrace2_kobject_server as *const (),
    };
    lead(&KOBJECT_SERVER, kobject_server);
}

macro_rules! emulation {
    ($($symbol:literal => $original:literal;)*) => {
        // MACH_SEND_INTERRUPTED makes the user's stub fall back to a real RPC, which is then traced.
        $(stub!($symbol, $original, "mov eax, 0x10000007\nret");)*
    };
}

emulation! {
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

// SAFETY (of every call below): the prototypes in the kernel's DWARF; each hook stands at call sites of the function it calls and
// passes on what it was given.
unsafe extern "C" {
    fn task_get_special_port(task: usize, which: u32, port: *mut usize) -> u32;
    fn task_set_special_port(task: usize, which: u32, port: usize) -> u32;
    fn ipc_task_init(task: usize, parent: usize);
    fn ipc_task_terminate(task: usize);
    fn ipc_kobject_server(request: usize) -> usize;
    fn mach_msg_trap();
    fn exception_raise(port: usize, thread: usize, task: usize, exception: i32, code: i32, subcode: i64) -> !;
    fn exception_parse_reply(reply: usize) -> u32;
    fn thread_syscall_return(result: u32) -> !;
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_mach_msg(
    msg: u64,
    option: u32,
    send_size: u32,
    rcv_size: u32,
    rcv_name: u32,
    time_out: u32,
    notify: u32,
) -> u32 {
    let msg = UserAddress(msg);
    message::mach_msg(&Mach, &STATE, &message::MachMsg { msg, option, send_size, rcv_size, rcv_name, time_out, notify })
}

#[unsafe(no_mangle)]
extern "C" fn traced_msg_receive_continue() -> ! {
    let result = receive::resume(&Mach, &STATE);
    // SAFETY: a continuation runs on the thread's own stack with its user state saved, as this expects.
    unsafe { thread_syscall_return(result) }
}

#[unsafe(no_mangle)]
extern "C" fn traced_msg_continue() -> ! {
    let result = receive::resume_plain(&Mach, &STATE);
    // SAFETY: a continuation runs on the thread's own stack with its user state saved, as this expects.
    unsafe { thread_syscall_return(result) }
}

#[unsafe(no_mangle)]
extern "C" fn hook_task_get_special_port(task: usize, which: u32, port: *mut usize) -> u32 {
    if which != trace_port::TASK_TRACE_PORT || !ARMED.load(Relaxed) {
        // SAFETY: the caller's own arguments.
        return unsafe { task_get_special_port(task, which, port) };
    }
    if task == 0 {
        return mr::KERN_INVALID_ARGUMENT;
    }
    match special_port::get(&Mach, &STATE, Task(task)) {
        Ok(right) => {
            // SAFETY: the MIG stub passes the address of a local variable for the result.
            unsafe { port.write(right.0) };
            mr::SUCCESS
        }
        Err(result) => result,
    }
}

#[unsafe(no_mangle)]
extern "C" fn hook_task_set_special_port(task: usize, which: u32, port: usize) -> u32 {
    #[cfg(feature = "faults")]
    if let Some(answer) = crate::gnumach::faulty::FAULTS.command(which) {
        return answer;
    }
    if which != trace_port::TASK_TRACE_PORT || !ARMED.load(Relaxed) {
        // SAFETY: the caller's own arguments.
        return unsafe { task_set_special_port(task, which, port) };
    }
    if task == 0 {
        return mr::KERN_INVALID_ARGUMENT;
    }
    time::watch();
    special_port::set(&Mach, &STATE, Task(task), Port(port))
}

#[unsafe(no_mangle)]
extern "C" fn hook_ipc_task_init(task: usize, parent: usize) {
    // SAFETY: the caller's own arguments.
    unsafe { ipc_task_init(task, parent) };
    if parent == 0 && !ARMED.load(Relaxed) && slots::check_slots() {
        // The kernel task, the first of all; the boot task has no parent either.
        ARMED.store(true, Relaxed);
        slots::announce();
    }
    if ARMED.load(Relaxed) {
        time::watch();
        lifecycle::created(&Mach, &STATE, Task(task), (parent != 0).then_some(Task(parent)));
    }
}

#[unsafe(no_mangle)]
extern "C" fn hook_ipc_task_terminate(task: usize) {
    // SAFETY: the caller's own argument.
    unsafe { ipc_task_terminate(task) };
    if ARMED.load(Relaxed) {
        time::watch();
        lifecycle::terminated(&Mach, &STATE, Task(task));
    }
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_kobject_server(request: usize) -> usize {
    kobject::serve(&Mach, &STATE, Kmsg(request), 0).map_or(0, |reply| reply.0)
}

#[unsafe(no_mangle)]
extern "C" fn hook_exception_raise(
    port: usize,
    thread: usize,
    task: usize,
    exception: i32,
    code: i32,
    subcode: i64,
) -> ! {
    if STATE.any_traced() {
        let (thread, task) = (Port(thread), Port(task));
        let raised = exception::Raised { port: Port(port), thread, task, exception, code, subcode };
        exception::raised(&Mach, &STATE, &raised);
    }
    // SAFETY: the caller's own arguments.
    unsafe { exception_raise(port, thread, task, exception, code, subcode) }
}

#[unsafe(no_mangle)]
extern "C" fn hook_exception_parse_reply(reply: usize) -> u32 {
    // SAFETY: the caller's own argument.
    let parse = || unsafe { exception_parse_reply(reply) };
    if STATE.any_traced() { exception::replied(&Mach, &STATE, Kmsg(reply), parse) } else { parse() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        /// Defined nowhere: the payload links only if the optimizer has removed every path that panics.
        fn rpctrace2_payload_has_a_panic_path() -> !;
    }
    // SAFETY: never linked.
    unsafe { rpctrace2_payload_has_a_panic_path() }
}
