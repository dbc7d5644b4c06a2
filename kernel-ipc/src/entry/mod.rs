//! Where the kernel enters the payload: the hook symbols of `payload_abi::HOOKS`, and nothing else.

mod stubs;

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::emit;
use crate::gnumach::mach::Mach;
use crate::gnumach::{Kmsg, Port, Task, Thread, mr, slots, time};
use crate::hooks::{call, copy, exception, handoff, kobject, lifecycle, special_port};
use crate::open_call::OpenCall;
use crate::state::State;

static STATE: State = State::new();
static ARMED: AtomicBool = AtomicBool::new(false);

// SAFETY (of every call below): the prototypes in the kernel's DWARF; each hook stands at call sites of the function it calls and
// passes on what it was given.
unsafe extern "C" {
    fn task_get_special_port(task: usize, which: u32, port: *mut usize) -> u32;
    fn task_set_special_port(task: usize, which: u32, port: usize) -> u32;
    fn ipc_task_init(task: usize, parent: usize);
    fn ipc_task_terminate(task: usize);
    fn ipc_thread_enable(thread: usize);
    fn host_reboot(host: usize, options: i32) -> i32;
    fn ipc_kobject_server(request: usize) -> usize;
    #[cfg_attr(feature = "faults", link_name = "faulty_copyinmsg")]
    fn copyinmsg(user: u64, kernel: usize, size: usize, room: usize) -> i32;
    fn copyout(kernel: usize, user: u64, size: usize) -> i32;
    fn ipc_kmsg_copyout_body(kmsg: usize, space: usize, map: usize) -> u32;
    fn thread_handoff(old: usize, continuation: usize, new: usize) -> u32;
    fn thread_syscall_return(result: u32) -> !;
    fn mach_msg_interrupt(thread: usize) -> u32;
    fn exception_raise(port: usize, thread: usize, task: usize, exception: i32, code: i32, subcode: i64) -> !;
    fn exception_parse_reply(reply: usize) -> u32;
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_begin_again() {
    call::begin_again(&Mach, &STATE);
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_copyinmsg(user: u64, kernel: usize, size: usize, room: usize) -> i32 {
    // SAFETY: the caller's own arguments.
    let failed = unsafe { copyinmsg(user, kernel, size, room) };
    if failed != 0 {
        return failed;
    }
    emit::prepare(&Mach, &STATE);
    copy::copied_in(&Mach, &STATE, Kmsg::of_header(kernel))
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_copyout(kernel: usize, user: u64, size: usize) -> i32 {
    // SAFETY: the caller's own arguments.
    let failed = unsafe { copyout(kernel, user, size) };
    if !OpenCall::current(&Mach).1.has_draft() {
        emit::prepare(&Mach, &STATE);
    }
    copy::copied_out(&Mach, &STATE, Kmsg::of_header(kernel), size as u32, failed)
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_copyout_size(kernel: usize, user: u64, size: usize) -> i32 {
    // SAFETY: the caller's own arguments.
    let failed = unsafe { copyout(kernel, user, size) };
    // SAFETY: these sites pass the address of a mach_msg_size_t of theirs.
    copy::size_copied_out(&Mach, &STATE, unsafe { (kernel as *const u32).read() });
    failed
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_copyout_body(kmsg: usize, space: usize, map: usize) -> u32 {
    // SAFETY: the caller's own arguments.
    let result = unsafe { ipc_kmsg_copyout_body(kmsg, space, map) };
    if result != mr::SUCCESS {
        copy::body_failed(&Mach, &STATE, Kmsg(kmsg), result);
    }
    result
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_sent() {
    call::sent(&Mach, &STATE);
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_handoff(old: usize, continuation: usize, new: usize) -> u32 {
    // SAFETY: the caller's own arguments.
    let switch = || unsafe { thread_handoff(old, continuation, new) } != 0;
    handoff::hand_off(&Mach, &STATE, switch).into()
}

fn finish(result: u32) {
    #[cfg(feature = "faults")]
    crate::gnumach::faulty::call_ends();
    call::finish(&Mach, &STATE, result);
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_exit(result: u32) -> ! {
    finish(result);
    // SAFETY: the caller's own argument.
    unsafe { thread_syscall_return(result) }
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_returned(result: u32) -> u32 {
    finish(result);
    result
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_mach_msg_interrupt(thread: usize) -> u32 {
    // SAFETY: the caller's own argument.
    let done = unsafe { mach_msg_interrupt(thread) };
    if done != 0 {
        call::interrupted(&Mach, &STATE, Thread(thread));
    }
    done
}

#[unsafe(no_mangle)]
extern "C" fn hook_host_reboot(host: usize, options: i32) -> i32 {
    if host != 0 && OpenCall::current(&Mach).1.is_open() {
        call::sent(&Mach, &STATE);
    }
    // SAFETY: the caller's own arguments.
    unsafe { host_reboot(host, options) }
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_kobject_server(request: usize) -> usize {
    let server = |request: Kmsg| {
        // SAFETY: the caller's own argument.
        let reply = unsafe { ipc_kobject_server(request.0) };
        (reply != 0).then_some(Kmsg(reply))
    };
    kobject::serve(&Mach, &STATE, Kmsg(request), server).map_or(0, |reply| reply.0)
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
        STATE.keep_secret(time::secret());
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
extern "C" fn hook_ipc_thread_enable(thread: usize) {
    // SAFETY: the caller's own argument.
    unsafe { ipc_thread_enable(thread) };
    if ARMED.load(Relaxed) {
        lifecycle::thread_created(&Mach, Thread(thread));
    }
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
    exception::replied(&Mach, &STATE, Kmsg(reply), parse)
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
