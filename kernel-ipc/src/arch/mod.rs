// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the kernel enters the payload: the hook symbols of `payload_abi::HOOKS`, and nothing else.
//!
//! A function that is given an address, as a handle or not, is unsafe to call. Only the kernel does, at the places of
//! `payload_abi::HOOKS`, with what it would give the function that was called there: structs that it holds until that returns.

mod stubs;

use core::mem::MaybeUninit;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use mach_abi::special_port::{TASK_TRACE_PORT, TASK_TRACE_READER, TASK_TRACE_RING};

use crate::direct::quick::{client, server};
use crate::gnumach::mach::Mach;
use crate::gnumach::members::Struct;
use crate::gnumach::pages::Pages;
use crate::gnumach::{
    Current, InTransit, Kmsg, MaybePort, MaybeRight, MessageOfKmsg, Task, Thread, Threads, mr, one, slots, time,
};
use crate::hooks::{call, copy, exception, handoff, kobject, lifecycle, notify, special_port, trap};
use crate::open_call::OpenCall;
use crate::state::State;
use crate::{arrays, direct, emit, received_on, recorder, rings};

static STATE: State = State::new();
static ARMED: AtomicBool = AtomicBool::new(false);

// SAFETY (of every call below): the prototypes in the kernel's DWARF; each hook stands at call sites of the function it calls and
// passes on what it was given.
unsafe extern "C" {
    fn task_get_special_port(task: Option<Task>, which: u32, port: &mut MaybeUninit<MaybePort>) -> u32;
    fn task_set_special_port(task: Option<Task>, which: u32, port: MaybeRight) -> u32;
    fn ipc_task_init(task: Task, parent: Option<Task>);
    fn ipc_task_terminate(task: Task);
    fn ipc_thread_enable(thread: Thread);
    fn ipc_thread_terminate(thread: Thread);
    fn host_reboot(host: usize, options: i32) -> i32;
    fn init_alloc_aligned(size: usize, address: &mut MaybeUninit<usize>) -> i32;
    fn ipc_kobject_server(request: InTransit) -> Option<InTransit>;
    fn ipc_kobject_notify(request: MessageOfKmsg, reply: MessageOfKmsg) -> i32;
    fn copyin(user: u64, kernel: &mut MaybeUninit<u32>, size: usize) -> i32;
    fn copyout(kernel: usize, user: u64, size: usize) -> i32;
    fn ipc_kmsg_copyout_body(kmsg: Kmsg, space: usize, map: usize) -> u32;
    fn thread_handoff(old: usize, continuation: usize, new: usize) -> u32;
    fn thread_syscall_return(result: u32) -> !;
    fn mach_msg_interrupt(thread: Thread) -> u32;
    fn exception_raise(
        port: MaybePort,
        thread: MaybePort,
        task: MaybePort,
        exception: i32,
        code: i32,
        subcode: i64,
    ) -> !;
    fn exception_parse_reply(reply: InTransit) -> u32;
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_begin_again() {
    call::begin_again(&Mach, &STATE);
}

/// After a successful `copyinmsg`, of a task whose messages go straight into a ring, on a kernel for one processor.
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_clients_request(kernel: MessageOfKmsg, thread: Thread, task: Task) -> i32 {
    // SAFETY: the stub has looked.
    let current = unsafe { Current::on_one(thread, task) };
    client::request(&Mach, &STATE, current, kernel.kmsg()).map_or_else(|| copied_in_less_quickly(kernel), |()| 0)
}

/// [`rpctrace2_clients_request`] of a [`server::ANSWER`].
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_servers_answer(kernel: MessageOfKmsg, thread: Thread, task: Task) -> i32 {
    // SAFETY: the stub has looked.
    let current = unsafe { Current::on_one(thread, task) };
    server::answer(&Mach, &STATE, current, kernel.kmsg()).map_or_else(|| copied_in_less_quickly(kernel), |()| 0)
}

/// [`rpctrace2_clients_request`] on a kernel for several.
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_copied_in_less_quickly(kernel: MessageOfKmsg) -> i32 {
    copied_in_less_quickly(kernel)
}

// What it is given is what its callers were: they have nothing to keep for it.
#[inline(never)]
fn copied_in_less_quickly(kernel: MessageOfKmsg) -> i32 {
    let kmsg = kernel.kmsg();
    if direct::sent(&Mach, &STATE, kmsg) { 0 } else { copied_in_with_draft(kmsg) }
}

/// After a successful `copyinmsg`, of a task of which others are told, too.
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_copied_in(kernel: MessageOfKmsg) -> i32 {
    copied_in_with_draft(kernel.kmsg())
}

#[inline(never)]
fn copied_in_with_draft(kmsg: Kmsg) -> i32 {
    emit::prepare(&Mach, &STATE);
    copy::copied_in(&Mach, &STATE, kmsg)
}

#[inline(never)]
fn copied_out_less_quickly(kernel: MessageOfKmsg, size: usize) -> i32 {
    let (kmsg, size) = (kernel.kmsg(), size as u32);
    if direct::received(&Mach, &STATE, kmsg, size) { 0 } else { copied_out_with_draft(kmsg, size, 0) }
}

#[inline(never)]
fn copied_out_with_draft(kmsg: Kmsg, size: u32, failed: i32) -> i32 {
    if !OpenCall::current(&Mach).1.has_draft() {
        emit::prepare(&Mach, &STATE);
    }
    copy::copied_out(&Mach, &STATE, kmsg, size, failed)
}

/// A thread that is looked at lightly has copied a message in that is wanted, or has failed to copy in one.
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_wanted_copyinmsg(kernel: MessageOfKmsg, failed: i32) -> i32 {
    if failed != 0 {
        return failed;
    }
    emit::prepare(&Mach, &STATE);
    copy::copied_in(&Mach, &STATE, kernel.kmsg())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_copied_out(kernel: MessageOfKmsg, size: usize, failed: i32) -> i32 {
    copied_out_with_draft(kernel.kmsg(), size as u32, failed)
}

/// After a successful `copyout`, of a task whose messages go straight into a ring, on a kernel for one processor.
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_clients_answer(kernel: MessageOfKmsg, size: usize, thread: Thread, task: Task) -> i32 {
    // SAFETY: the stub has looked.
    let current = unsafe { Current::on_one(thread, task) };
    let message = (kernel.kmsg(), size as u32);
    client::answer(&Mach, &STATE, current, message).map_or_else(|| copied_out_less_quickly(kernel, size), |()| 0)
}

/// [`rpctrace2_clients_answer`] of a [`server::REQUEST`].
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_servers_request(kernel: MessageOfKmsg, size: usize, thread: Thread, task: Task) -> i32 {
    // SAFETY: the stub has looked.
    let current = unsafe { Current::on_one(thread, task) };
    let message = (kernel.kmsg(), size as u32);
    server::request(&Mach, &STATE, current, message).map_or_else(|| copied_out_less_quickly(kernel, size), |()| 0)
}

/// [`rpctrace2_clients_answer`] on a kernel for several.
#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_copied_out_less_quickly(kernel: MessageOfKmsg, size: usize) -> i32 {
    copied_out_less_quickly(kernel, size)
}

/// Whether it is a name: see [`crate::arrays`].
const fn is_name(size: usize) -> bool {
    size == size_of::<u32>()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_traced_copyin_name(user: u64, kernel: &mut MaybeUninit<u32>, size: usize) -> i32 {
    // SAFETY: the caller's own arguments.
    let failed = unsafe { copyin(user, kernel, size) };
    if failed == 0 && is_name(size) {
        // SAFETY: it has been read.
        arrays::sent(&Mach, &STATE, user, unsafe { kernel.assume_init() });
    }
    failed
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_traced_copyout_name(kernel: &u32, user: u64, size: usize) -> i32 {
    // SAFETY: the caller's own arguments.
    let failed = unsafe { copyout(core::ptr::from_ref(kernel).expose_provenance(), user, size) };
    if failed == 0 && is_name(size) {
        arrays::received(&Mach, &STATE, user, *kernel);
    }
    failed
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_traced_copyout_size(kernel: &u32, user: u64, size: usize) -> i32 {
    // SAFETY: the caller's own arguments.
    let failed = unsafe { copyout(core::ptr::from_ref(kernel).expose_provenance(), user, size) };
    copy::size_copied_out(&Mach, &STATE, *kernel);
    failed
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_traced_copyout_body(kmsg: Kmsg, space: usize, map: usize) -> u32 {
    // SAFETY: the caller's own arguments.
    let result = unsafe { ipc_kmsg_copyout_body(kmsg, space, map) };
    if result != mr::MACH_MSG_SUCCESS {
        copy::body_failed(&Mach, &STATE, kmsg, result);
    }
    result
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_sent() {
    call::sent(&Mach, &STATE);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_traced_handoff(old: usize, continuation: usize, new: usize) -> u32 {
    // SAFETY: the caller's own arguments.
    let switch = || unsafe { thread_handoff(old, continuation, new) } != 0;
    // SAFETY: it has copied the message in, which is in transit now and still its own.
    let message = unsafe { copied_in() };
    handoff::hand_off(&Mach, &STATE, message, switch).into()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_dequeued(message: InTransit) {
    received_on::taken_out(&Mach, &STATE, message);
}

/// The message that the current thread, traced or not, has copied in, unless that was before the first of the present traces.
///
/// # Safety
/// It has since it entered the kernel, and the message has not been consumed.
#[inline(always)]
unsafe fn copied_in() -> Option<InTransit> {
    let (thread, call) = OpenCall::current(&Mach);
    let is_known = call.is_open(&Mach) || Mach.thread_awaited(thread).get() == Mach.period();
    let half = NonZeroU32::new(Mach.thread_message(thread)).filter(|_| is_known)?;
    // SAFETY: what the stub of copyinmsg has kept; the message lives, the caller says.
    let message = unsafe { MessageOfKmsg::of_half(half) };
    // SAFETY: the same.
    Some(unsafe { InTransit::at(message.kmsg().address()) })
}

fn finish(result: u32) -> u32 {
    #[cfg(feature = "faults")]
    crate::gnumach::faulty::call_ends();
    call::finish(&Mach, &STATE, result)
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_traced_exit(result: u32) -> ! {
    let result = finish(result);
    // SAFETY: the caller's own argument, or what an engine gives in its place.
    unsafe { thread_syscall_return(result) }
}

/// A trap of a traced task has returned this name.
#[unsafe(no_mangle)]
extern "C" fn rpctrace2_gave(number: u32, name: u32) -> u32 {
    trap::gave(&Mach, &STATE, number, name);
    name
}

#[unsafe(no_mangle)]
extern "C" fn rpctrace2_returned(result: u32) -> u32 {
    finish(result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_mach_msg_interrupt(thread: Thread) -> u32 {
    // SAFETY: the caller's own argument.
    let done = unsafe { mach_msg_interrupt(thread) };
    if done != 0 {
        call::interrupted(&Mach, &STATE, thread);
    }
    done
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_host_reboot(host: usize, options: i32) -> i32 {
    if host != 0 && OpenCall::current(&Mach).1.is_open(&Mach) {
        call::sent(&Mach, &STATE);
    }
    // SAFETY: the caller's own arguments.
    unsafe { host_reboot(host, options) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rpctrace2_kobject_server(request: InTransit) -> Option<InTransit> {
    // SAFETY: the caller's own argument.
    kobject::serve(&Mach, &STATE, request, |request| unsafe { ipc_kobject_server(request) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_ipc_kobject_notify(request: MessageOfKmsg, reply: MessageOfKmsg) -> i32 {
    if ARMED.load(Relaxed) {
        // SAFETY: both are in transit: the kernel has the request, and makes the reply.
        let [asked, answer] = [request, reply].map(|message| unsafe { InTransit::at(message.kmsg().address()) });
        if notify::asked(&Mach, &STATE, asked, answer) {
            return 1;
        }
    }
    // SAFETY: the caller's own arguments.
    unsafe { ipc_kobject_notify(request, reply) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_task_get_special_port(
    task: Option<Task>,
    which: u32,
    port: &mut MaybeUninit<MaybePort>,
) -> u32 {
    const OURS: core::ops::RangeInclusive<i32> = TASK_TRACE_PORT..=TASK_TRACE_READER;
    if !OURS.contains(&which.cast_signed()) || !ARMED.load(Relaxed) {
        // SAFETY: the caller's own arguments.
        return unsafe { task_get_special_port(task, which, port) };
    }
    let Some(task) = task else { return mr::KERN_INVALID_ARGUMENT };
    let answer = match which.cast_signed() {
        TASK_TRACE_RING => rings::give(&Mach, &STATE, task, false).map(|right| right.into_port().into()),
        TASK_TRACE_READER => rings::give(&Mach, &STATE, task, true).map(|right| right.into_port().into()),
        _ => special_port::get(&Mach, &STATE, task),
    };
    match answer {
        Ok(right) => {
            port.write(right);
            mr::MACH_MSG_SUCCESS
        }
        Err(result) => result,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_task_set_special_port(task: Option<Task>, which: u32, port: MaybeRight) -> u32 {
    #[cfg(feature = "faults")]
    if let Some(answer) = crate::gnumach::faulty::FAULTS.command(which) {
        return answer;
    }
    if which != TASK_TRACE_PORT as u32 || !ARMED.load(Relaxed) {
        // SAFETY: the caller's own arguments.
        return unsafe { task_set_special_port(task, which, port) };
    }
    let Some(task) = task else { return mr::KERN_INVALID_ARGUMENT };
    time::look_once();
    special_port::set(&Mach, &STATE, task, port.right())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_ipc_task_init(task: Task, parent: Option<Task>) {
    // SAFETY: the caller's own arguments.
    unsafe { ipc_task_init(task, parent) };
    if parent.is_none() {
        return made_by_the_kernel(task);
    }
    if ARMED.load(Relaxed) {
        time::look_once();
        lifecycle::created(&Mach, &STATE, task, parent);
    }
}

/// The kernel's own task, the first of all, or one that the kernel makes while it boots.
#[cold]
#[inline(never)]
fn made_by_the_kernel(task: Task) {
    let is_first = !ARMED.load(Relaxed);
    if is_first && slots::check_slots() {
        one::look();
        STATE.keep_secret(time::secret());
        ARMED.store(true, Relaxed);
        slots::announce();
        recorder::begin(&Mach, &STATE);
    }
    if ARMED.load(Relaxed) {
        time::look_once();
        lifecycle::begun(&Mach, task);
        if !is_first {
            recorder::adopt(&Mach, &STATE, task);
        }
    }
}

/// Memory for the descriptors of another processor. The kernel asks its allocator of the early boot, whose memory the VM has by then.
#[unsafe(no_mangle)]
unsafe extern "C" fn hook_init_alloc_aligned(size: usize, address: &mut MaybeUninit<usize>) -> i32 {
    if !ARMED.load(Relaxed) {
        // SAFETY: the caller's own arguments.
        return unsafe { init_alloc_aligned(size, address) };
    }
    match Pages::grab(size) {
        Some(pages) => {
            address.write(pages.physical());
            1
        }
        None => 0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_ipc_task_terminate(task: Task) {
    if ARMED.load(Relaxed) {
        lifecycle::terminates(&Mach, &STATE, task);
    }
    // SAFETY: the caller's own argument.
    unsafe { ipc_task_terminate(task) };
    if ARMED.load(Relaxed) {
        time::look_once();
        lifecycle::terminated(&Mach, &STATE, task);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_ipc_thread_enable(thread: Thread) {
    // SAFETY: the caller's own argument.
    unsafe { ipc_thread_enable(thread) };
    if ARMED.load(Relaxed) {
        lifecycle::thread_created(&Mach, &STATE, thread);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_ipc_thread_terminate(thread: Thread) {
    if ARMED.load(Relaxed) {
        lifecycle::thread_terminates(&Mach, &STATE, thread);
    }
    // SAFETY: the caller's own argument.
    unsafe { ipc_thread_terminate(thread) };
    lifecycle::thread_terminated(&Mach, &STATE, thread);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_exception_raise(
    port: MaybePort,
    thread: MaybePort,
    task: MaybePort,
    exception: i32,
    code: i32,
    subcode: i64,
) -> ! {
    if STATE.any_traced() {
        let raised = exception::Raised { port, thread, task, exception, code, subcode };
        exception::raised(&Mach, &STATE, &raised);
    }
    // SAFETY: the caller's own arguments.
    unsafe { exception_raise(port, thread, task, exception, code, subcode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hook_exception_parse_reply(reply: InTransit) -> u32 {
    // SAFETY: the caller's own argument.
    let parse = || unsafe { exception_parse_reply(reply) };
    exception::replied(&Mach, &STATE, reply, parse)
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
