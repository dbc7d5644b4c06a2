// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's own `mach_msg`, for tests: each way through it, with the hooks called where the instrumenter puts them.
//!
//! What the kernel decides, scripted by [`Steps`], is as in ipc/mach_msg.c. The sites, with the looks of their stubs, are in `sites`; what
//! a tracer sees is in `seen`.

pub(crate) mod asking;
pub(crate) mod random;
pub(crate) mod seen;
mod sites;

pub(crate) use seen::Seen;

use std::boxed::Box;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

use mach_abi::header::bits;
use mach_abi::type_name::{COPY_SEND, MAKE_SEND_ONCE, MOVE_SEND_ONCE};

use crate::gnumach::fake::{CHILD, Fake, KERNEL_TASK, Kobject, Memory, TASK, TRACE, TRACERS_THREAD};
use crate::gnumach::{Arguments, Kmsg, Messages, Port, Ports, SendRight, Task, Thread, Threads, mr, option};
use crate::hooks::special_port;
use crate::state::State;

/// `MACH_SEND_MSG | MACH_RCV_MSG`, the only option of `mach_msg_trap`'s fast path.
pub(crate) const RPC: u32 = option::MACH_SEND_MSG | option::MACH_RCV_MSG;

/// A port that [`CHILD`] receives requests from.
pub(crate) const SERVICE: Port = Port::fake(0xffff_ffff_8123_0000);
/// A port that [`TASK`] receives replies from.
pub(crate) const REPLY: Port = Port::fake(0xffff_ffff_8123_0088);
/// A port of the kernel's.
pub(crate) const HOST: Port = Port::fake(0xffff_ffff_8123_0110);
/// [`TASK`]'s name for [`SERVICE`].
pub(crate) const TO_SERVICE: u32 = 0x11;
/// [`TASK`]'s name for [`REPLY`].
pub(crate) const REPLY_NAME: u32 = 0x12;
/// [`TASK`]'s name for [`HOST`].
pub(crate) const TO_HOST: u32 = 0x13;
/// [`CHILD`]'s name for [`SERVICE`].
pub(crate) const SERVICE_NAME: u32 = 0x21;

/// `MACH_MSGH_BITS (COPY_SEND, MAKE_SEND_ONCE)`: a request.
pub(crate) const REQUEST: u32 = bits(COPY_SEND, MAKE_SEND_ONCE);
/// `MACH_MSGH_BITS (MOVE_SEND_ONCE, 0)`: a reply.
pub(crate) const ANSWER: u32 = bits(MOVE_SEND_ONCE, 0);
/// `MACH_MSGH_BITS (COPY_SEND, 0)`: a message without a reply.
pub(crate) const SIMPLE: u32 = bits(COPY_SEND, 0);

/// How many bytes the buffer that the kernel keeps for the next message has.
const CACHED: usize = 232;

/// A message of so many bytes as its sender gives it.
pub(crate) fn message(bits: u32, remote: u32, local: u32, id: u32, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size).map(|index| index as u8).collect();
    for (offset, value) in [(0, bits), (4, 0), (8, remote), (12, 0), (16, local), (20, 0), (24, 77), (28, id)] {
        bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// The arguments of a `mach_msg`, with the message that is at its address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// What is sent.
    pub(crate) message: Vec<u8>,
    /// But for the size of what is sent.
    pub(crate) arguments: Arguments,
    /// The receiver's room.
    pub(crate) rcv_size: u32,
    /// The notify port.
    pub(crate) notify: u32,
}

impl Call {
    /// Sends a message.
    pub(crate) fn send(message: Vec<u8>) -> Self {
        let arguments =
            Arguments { option: option::MACH_SEND_MSG, send_size: message.len() as u32, rcv_name: 0, time_out: 30 };
        Self { message, arguments, ..Self::default() }
    }

    /// Receives a message.
    pub(crate) fn receive(rcv_name: u32, rcv_size: u32) -> Self {
        let arguments = Arguments { option: option::MACH_RCV_MSG, send_size: 0, rcv_name, time_out: 30 };
        Self { arguments, rcv_size, ..Self::default() }
    }

    /// Both.
    pub(crate) fn rpc(message: Vec<u8>, rcv_name: u32) -> Self {
        let arguments = Arguments { option: RPC, send_size: message.len() as u32, rcv_name, time_out: 30 };
        Self { message, arguments, rcv_size: 4096, ..Self::default() }
    }

    /// A request of 40 bytes to [`SERVICE`] and its reply.
    pub(crate) fn of_service() -> Self {
        Self::rpc(message(REQUEST, TO_SERVICE, REPLY_NAME, 6000, 40), REPLY_NAME)
    }

    /// A request of 40 bytes to [`HOST`] and its reply.
    pub(crate) fn of_host() -> Self {
        Self::rpc(message(REQUEST, TO_HOST, REPLY_NAME, 2021, 40), REPLY_NAME)
    }

    /// A message of 40 bytes to [`SERVICE`] that is only sent.
    pub(crate) fn simple() -> Self {
        Self::send(message(SIMPLE, TO_SERVICE, 0, 7000, 40))
    }

    /// This call with more options.
    pub(crate) fn with(mut self, option: u32) -> Self {
        self.arguments.option |= option;
        self
    }

    /// This call with a notify port.
    pub(crate) fn notifying(self, notify: u32) -> Self {
        Self { notify, ..self }
    }

    fn is_rpc(&self) -> bool {
        self.arguments.option == RPC
    }
}

/// What the kernel's steps answer; zeros where all goes well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    /// How many of the next `copyinmsg` fail.
    pub(crate) bad_copyins: u32,
    /// `ipc_kmsg_copyin`.
    pub(crate) copyin: u32,
    /// `ipc_mqueue_send`.
    pub(crate) send: u32,
    /// `ipc_mqueue_copyin`.
    pub(crate) mqueue_copyin: u32,
    /// `ipc_mqueue_receive`.
    pub(crate) receive: u32,
    /// `ipc_kmsg_copyout`.
    pub(crate) copyout: u32,
    /// `ipc_kmsg_copyout_body` in `mach_msg_trap`.
    pub(crate) fast_body: u32,
    /// How many of the next `copyout` of a message fail.
    pub(crate) bad_copyouts: u32,
    /// Whether the buffer for the next message is there already when one is to be kept.
    pub(crate) cache_is_full: bool,
    /// Whether `thread_handoff` cannot hand over.
    pub(crate) no_handoff: bool,
    /// `msgh_id` and size of the kernel's reply, more of its `msgh_bits`, and what its body begins with.
    pub(crate) reply: Option<(u32, usize)>,
    pub(crate) reply_bits: u32,
    pub(crate) reply_body: Vec<u8>,
    /// Whether something else goes on at the reply port, so that the kernel's reply is queued.
    pub(crate) reply_is_queued: bool,
    /// `exception_parse_reply`.
    pub(crate) parsed: u32,
}

/// Where something else may happen in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// `copyinmsg` waits for a pager.
    CopyIn,
    /// `ipc_mqueue_send` waits for room.
    Send,
    /// The kernel serves a request.
    Serve,
    /// `copyout` waits for a pager.
    CopyOut,
}

/// A thread that waits for a message.
#[derive(Clone, Debug)]
struct Sleeper {
    thread: Thread,
    port: Port,
    call: Call,
    /// Whether it waits for the reply to its exception.
    in_exception: bool,
}

type Action = Box<dyn FnOnce(&Model)>;

/// A kernel with its payload.
#[derive(Default)]
pub(crate) struct Model {
    /// What the hooks call.
    pub(crate) fake: Fake,
    /// What they know.
    pub(crate) state: State,
    /// What happens.
    pub(crate) steps: RefCell<Steps>,
    /// What threads got from their last call that is over.
    pub(crate) results: RefCell<BTreeMap<usize, u32>>,
    /// What was last copied out to threads.
    pub(crate) received: RefCell<BTreeMap<usize, Vec<u8>>>,
    sleepers: RefCell<Vec<Sleeper>>,
    cached: RefCell<Option<(Kmsg, Memory)>>,
    moments: RefCell<BTreeMap<Moment, Action>>,
}

impl Model {
    /// [`TASK`] is the client, [`CHILD`] the server; nobody is traced.
    pub(crate) fn new() -> Self {
        let model = Self { fake: Fake::new(), ..Self::default() };
        model.state.keep_secret(0x1234_5678_9abc_def1);
        for (port, receiver) in [(SERVICE, CHILD), (REPLY, TASK), (HOST, KERNEL_TASK)] {
            model.fake.add_port(port, receiver);
        }
        model.fake.port(HOST).kobject = Some(Kobject::Kernel);
        let names = [(TASK, TO_SERVICE, SERVICE), (TASK, REPLY_NAME, REPLY), (TASK, TO_HOST, HOST)];
        for (task, name, port) in names.into_iter().chain([(CHILD, SERVICE_NAME, SERVICE)]) {
            model.fake.task(task).names.insert(name, port.address());
        }
        model.steps.borrow_mut().reply = Some((2121, 48));
        model
    }

    /// A model with these tasks traced.
    pub(crate) fn traced(tasks: &[Task]) -> Self {
        let model = Self::new();
        tasks.iter().for_each(|&task| model.trace(task));
        model
    }

    /// Begins or replaces the trace of a task.
    pub(crate) fn trace(&self, task: Task) {
        self.set_trace(task, self.fake.ipc_port_copy_send(TRACE));
    }

    /// Ends it.
    pub(crate) fn untrace(&self, task: Task) {
        self.set_trace(task, None);
    }

    /// Gives a task this trace port, as the tracer, whose right it takes.
    pub(crate) fn trace_to(&self, task: Task, port: Port) {
        self.set_trace(task, Some(SendRight::fake(port)));
    }

    fn set_trace(&self, task: Task, right: Option<SendRight>) {
        let current = self.fake.current_thread();
        self.fake.run(TRACERS_THREAD);
        assert_eq!(special_port::set(&self.fake, &self.state, task, right), mr::MACH_MSG_SUCCESS);
        self.fake.run(current);
    }

    /// Changes what happens.
    pub(crate) fn script(&self, change: impl FnOnce(&mut Steps)) {
        change(&mut self.steps.borrow_mut());
    }

    /// Lets something happen in the middle of the next call.
    pub(crate) fn at(&self, moment: Moment, action: impl FnOnce(&Model) + 'static) {
        self.moments.borrow_mut().insert(moment, Box::new(action));
    }

    fn moment(&self, moment: Moment) {
        let action = self.moments.borrow_mut().remove(&moment);
        if let Some(action) = action {
            let current = self.fake.current_thread();
            action(self);
            self.fake.run(current);
        }
    }

    /// A thread's call: its result, or `None` while it sleeps in its receive.
    pub(crate) fn call(&self, thread: Thread, call: &Call) -> Option<u32> {
        self.fake.run(thread);
        self.results.borrow_mut().remove(&thread.address());
        self.fake.thread(thread).arguments = call.arguments;
        self.fake.thread(thread).receives_with = (call.arguments.option, call.rcv_size);
        let result = self.enter(call);
        if let Some(result) = result {
            self.results.borrow_mut().insert(thread.address(), result);
        }
        self.results.borrow().get(&thread.address()).copied()
    }

    /// `mach_msg_trap`: the result where it returns; nothing where its thread sleeps, or has left by an exit.
    fn trap(&self, call: &Call) -> Option<u32> {
        let sends = call.arguments.option & option::MACH_SEND_MSG != 0;
        match (call.is_rpc(), sends) {
            (true, _) => self.rpc(call),
            (false, false) => self.receive_half(call),
            (false, true) => match self.send_half(call) {
                mr::MACH_MSG_SUCCESS if call.arguments.option & option::MACH_RCV_MSG != 0 => self.receive_half(call),
                result => Some(result),
            },
        }
    }

    fn rpc(&self, call: &Call) -> Option<u32> {
        let kmsg = match self.fast_get(call).map_or_else(|| self.get(call), Ok) {
            Ok(kmsg) => kmsg,
            Err(result) => return self.exit(result),
        };
        if let Err(result) = self.copyin(kmsg) {
            self.free(kmsg);
            return self.exit(result);
        }
        let port = self.fake.destination(kmsg);
        if self.is_kernels(port) {
            if let Some(reply) = self.kobject_server(kmsg) {
                let expected = self.port(call.arguments.rcv_name) == Some(self.fake.destination(reply));
                if expected && !self.steps.borrow().reply_is_queued {
                    return self.copy_out(call, reply);
                }
                self.enqueue(reply);
            }
            return self.receive_half(call);
        }
        let index = self.sleepers.borrow().iter().position(|sleeper| sleeper.port == port);
        if let Some(index) = index
            && self.steps.borrow().send == mr::MACH_MSG_SUCCESS
            && let Some(receiver) = self.hand_over(call, kmsg, index)
        {
            return self.hand_over_message(&receiver, kmsg);
        }
        match self.mqueue_send(kmsg) {
            mr::MACH_MSG_SUCCESS => self.receive_half(call),
            result => {
                self.give_back(kmsg);
                self.exit(result)
            }
        }
    }

    /// The sender sleeps; its receiver, no longer a sleeper, is current and answers for the message.
    fn hand_over(&self, call: &Call, kmsg: Kmsg, index: usize) -> Option<Sleeper> {
        let sender = self.fake.current_thread();
        let receiver = self.sleepers.borrow()[index].thread;
        self.fake.locked.set(true);
        let switched = self.thread_handoff(receiver, kmsg, || {
            let possible = !self.steps.borrow().no_handoff;
            if possible {
                self.sleep(call, sender);
                let mut sleepers = self.sleepers.borrow_mut();
                self.fake.thread(sleepers[index].thread).receives = false;
                self.fake.run(sleepers[index].thread);
                sleepers.swap(index, 0);
            }
            possible
        });
        self.fake.locked.set(false);
        switched.then(|| self.sleepers.borrow_mut().remove(0))
    }

    fn hand_over_message(&self, receiver: &Sleeper, kmsg: Kmsg) -> Option<u32> {
        match receiver.in_exception {
            true => self.exception_reply(kmsg),
            false => {
                let result = self.copy_out(&receiver.call, kmsg);
                result.and_then(|result| self.exit(result));
            }
        }
        None
    }

    /// `mach_msg_send`.
    fn send_half(&self, call: &Call) -> u32 {
        let kmsg = match self.get(call) {
            Ok(kmsg) => kmsg,
            Err(result) => return result,
        };
        if let Err(result) = self.copyin(kmsg) {
            self.free(kmsg);
            return result;
        }
        let notifies = call.arguments.option & option::MACH_SEND_NOTIFY != 0;
        let result = match self.mqueue_send(kmsg) {
            mr::MACH_SEND_TIMED_OUT if notifies && call.notify != 0 => {
                self.enqueue(kmsg);
                return mr::MACH_SEND_WILL_NOTIFY;
            }
            mr::MACH_SEND_TIMED_OUT if notifies => mr::MACH_SEND_INVALID_NOTIFY,
            result => result,
        };
        if result != mr::MACH_MSG_SUCCESS {
            self.give_back(kmsg);
        }
        result
    }

    /// `ipc_mqueue_copyin` and what follows: the receive of every call, and the one of a `mach_msg_trap` that cannot be fast.
    fn receive_half(&self, call: &Call) -> Option<u32> {
        self.mqueue_copyin();
        let Steps { mqueue_copyin, receive, .. } = *self.steps.borrow();
        if let Some(result) = [mqueue_copyin, receive].into_iter().find(|&result| result != mr::MACH_MSG_SUCCESS) {
            return self.leave(call, result);
        }
        let port = self.port(call.arguments.rcv_name).expect("a port to receive from");
        if self.fake.port(port).queue.is_empty() {
            self.sleep(call, self.fake.current_thread());
            return None;
        }
        self.receive_from(call, port)
    }

    fn receive_from(&self, call: &Call, port: Port) -> Option<u32> {
        let kmsg = self.fake.port(port).queue[0];
        let size = self.fake.msgh_size(kmsg);
        if call.arguments.option & option::MACH_RCV_LARGE != 0 && size > call.rcv_size {
            self.copyout_size(size);
            return self.leave(call, mr::MACH_RCV_TOO_LARGE);
        }
        self.fake.port(port).queue.pop_front();
        self.mqueue_receive(kmsg);
        self.copy_out(call, kmsg)
    }

    /// `mach_msg_trap` from `fast_copyout` on, which the others are like.
    fn copy_out(&self, call: &Call, kmsg: Kmsg) -> Option<u32> {
        let size = self.fake.msgh_size(kmsg);
        let Steps { fast_body, copyout, .. } = *self.steps.borrow();
        let is_of_header = |&result: &u32| result != 0 && result & !0x3e00 != mr::MACH_RCV_BODY_ERROR;
        let too_large = (call.rcv_size < size).then_some(mr::MACH_RCV_TOO_LARGE);
        if let Some(result) = too_large.or(Some(copyout).filter(is_of_header)) {
            self.copyout_dest(kmsg);
            self.put(kmsg, 32);
            return self.leave(call, result);
        }
        self.copyout_names(kmsg);
        if call.is_rpc() && fast_body != mr::MACH_MSG_SUCCESS {
            self.copyout_body(kmsg, fast_body);
            self.put(kmsg, size);
            return Some(fast_body | mr::MACH_RCV_BODY_ERROR);
        }
        if copyout != mr::MACH_MSG_SUCCESS {
            self.put(kmsg, size);
            return self.leave(call, copyout);
        }
        if call.is_rpc() && self.fake.memory(kmsg).bytes.len() == CACHED {
            // fast_put, and slow_put after it.
            if self.copyout(kmsg, size) && !self.steps.borrow().cache_is_full {
                self.free(kmsg);
                return self.leave(call, mr::MACH_MSG_SUCCESS);
            }
        }
        let result = self.put(kmsg, size);
        self.leave(call, result)
    }

    /// The result of a call that returns, or the exit of one that does not.
    fn leave(&self, call: &Call, result: u32) -> Option<u32> {
        if call.is_rpc() { self.exit(result) } else { Some(result) }
    }

    /// A thread that slept receives what is queued for it, in `mach_msg_continue` or `mach_msg_receive_continue`.
    pub(crate) fn resume(&self, thread: Thread) -> u32 {
        let sleeper = self.wake(thread);
        if sleeper.in_exception {
            let kmsg = self.fake.port(sleeper.port).queue.pop_front().expect("a reply");
            self.exception_reply(kmsg);
        } else if let Some(result) = self.receive_from(&sleeper.call, sleeper.port) {
            self.exit(result);
        }
        self.results.borrow()[&thread.address()]
    }

    /// A thread that slept receives nothing.
    pub(crate) fn give_up(&self, thread: Thread, result: u32) {
        self.wake(thread);
        self.exit(result);
    }

    fn wake(&self, thread: Thread) -> Sleeper {
        let sleeper = self.end_sleep(thread);
        self.fake.run(thread);
        sleeper
    }

    fn end_sleep(&self, thread: Thread) -> Sleeper {
        let mut sleepers = self.sleepers.borrow_mut();
        let index = sleepers.iter().position(|sleeper| sleeper.thread == thread).expect("a sleeper");
        self.fake.thread(thread).receives = false;
        sleepers.remove(index)
    }

    fn sleep(&self, call: &Call, thread: Thread) {
        let port = self.port(call.arguments.rcv_name).expect("a port to receive from");
        self.fake.thread(thread).receives = true;
        self.sleepers.borrow_mut().push(Sleeper { thread, port, call: call.clone(), in_exception: false });
    }

    /// The current thread's port by this name; of a set its only member, [`SERVICE`].
    fn port(&self, name: u32) -> Option<Port> {
        let task = self.fake.thread_task(self.fake.current_thread());
        if self.fake.task(task).sets.contains(&name) {
            return Some(SERVICE);
        }
        self.fake.task(task).names.get(&name).map(|&port| Port::fake(port))
    }

    fn is_kernels(&self, port: Port) -> bool {
        self.fake.port(port).kobject.is_some()
    }
}
