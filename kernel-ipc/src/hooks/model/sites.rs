// SPDX-License-Identifier: GPL-2.0-or-later
//! The sites: the stubs of `arch`, and behind them what each kernel function does.

use std::vec;
use std::vec::Vec;

use mach_abi::type_name::PROTECTED_PAYLOAD;

use super::{CACHED, Call, Model, Moment, Sleeper};
use crate::direct::quick::{client, server};
use crate::gnumach::fake::TRACE;
use crate::gnumach::{
    Current, ForOne, InTransit, Kmsg, Messages, Port, Ports, Task, Tasks, Thread, Threads, mr, option,
};
use crate::hooks::exception::{self, Raised};
use crate::hooks::{call, copy, handoff, kobject, lifecycle};
use crate::numbers::HalfCorrelation;
use crate::open_call::OpenCall;
use crate::received_on;
use crate::state::State;
use crate::{direct, emit};

/// What a type of `mach_msg` becomes in transit.
fn in_transit(disposition: u32) -> u32 {
    match disposition {
        16 => 16,
        17 | 19 | 20 => 17,
        18 | 21 => 18,
        other => other,
    }
}

impl Model {
    /// A new thread of a task: `ipc_thread_enable`.
    pub(crate) fn add_thread(&self, task: Task, thread: Thread) {
        self.fake.add_thread(task, thread);
        lifecycle::thread_created(&self.fake, &self.state, thread);
    }

    /// What the stubs look at.
    fn is_observed(&self) -> bool {
        self.fake.is_redirected() && self.fake.thread(self.fake.current_thread()).call != 0
    }

    /// Whether they find the current thread looked at lightly.
    fn is_light(&self) -> bool {
        self.is_observed() && self.fake.thread(self.fake.current_thread()).call == 1
    }

    /// The stub of `mach_msg_trap`, and the trap.
    pub(super) fn enter(&self, call: &Call) -> Option<u32> {
        let (fake, thread) = (&self.fake, self.fake.current_thread());
        if !fake.is_redirected() || !fake.thread(thread).watched {
            return self.trap(call);
        }
        if fake.thread(thread).lightly {
            assert!(
                matches!(fake.thread(thread).call, 1 | 3),
                "a thread that is looked at lightly has the word for it"
            );
            fake.set_thread_message(thread, 0);
            if let Some(result) = self.too_large(call) {
                return Some(call::finish(fake, &self.state, result));
            }
            if !call.is_rpc() && call.arguments.option & option::WITH_NOTIFY != 0 {
                fake.thread(thread).notify = call.notify;
            }
            let result = self.trap(call);
            if call.is_rpc() || self.is_light() && result == Some(mr::MACH_MSG_SUCCESS) {
                return result;
            }
            return result.map(|result| call::finish(fake, &self.state, result));
        }
        if fake.thread(thread).call != 0 {
            call::begin_again(fake, &self.state);
        }
        fake.thread(thread).call = fake.period();
        fake.set_thread_awaited(thread, HalfCorrelation::NONE);
        fake.set_thread_message(thread, 0);
        if let Some(result) = self.too_large(call) {
            return Some(call::finish(fake, &self.state, result));
        }
        let arguments = call.arguments;
        if call.is_rpc() {
            return self.trap(call);
        }
        if arguments.option & option::WITH_NOTIFY != 0 {
            fake.thread(thread).notify = call.notify;
        }
        self.trap(call).map(|result| call::finish(fake, &self.state, result))
    }

    /// What the stub answers to a message of 2 GiB and more.
    fn too_large(&self, call: &Call) -> Option<u32> {
        let arguments = call.arguments;
        if arguments.send_size < 1 << 31 || arguments.option & option::MACH_SEND_MSG == 0 {
            return None;
        }
        let odd = arguments.send_size & 3 == 0 && arguments.send_size & 4 != 0;
        Some(if odd { mr::MACH_SEND_MSG_TOO_SMALL } else { mr::MACH_SEND_NO_BUFFER })
    }

    /// `thread_syscall_return`.
    pub(super) fn exit(&self, result: u32) -> Option<u32> {
        let is_seen = self.is_observed() && !(self.is_light() && result == mr::MACH_MSG_SUCCESS);
        let result = if is_seen { call::finish(&self.fake, &self.state, result) } else { result };
        self.results.borrow_mut().insert(self.fake.current_thread().address(), result);
        None
    }

    /// `ipc_mqueue_copyin`.
    pub(super) fn mqueue_copyin(&self) {
        if self.is_observed() && !self.is_light() && self.fake.thread_message(self.fake.current_thread()) != 0 {
            call::sent(&self.fake, &self.state);
        }
    }

    fn has_payload(&self, kmsg: Kmsg) -> bool {
        self.fake.port_has_payload(self.fake.destination(kmsg))
    }

    /// `thread_handoff` to this thread of this message.
    pub(super) fn thread_handoff(&self, receiver: Thread, kmsg: Kmsg, switch: impl FnOnce() -> bool) -> bool {
        let is_receiver_observed = self.fake.is_redirected() && self.fake.thread(receiver).call != 0;
        let is_sender_observed = self.is_observed() && !self.is_light();
        if !is_sender_observed && !is_receiver_observed {
            return switch();
        }
        let message = self.copied_in();
        assert!(message.is_none_or(|message| message.kmsg() == kmsg), "another message");
        let (sender, call) = OpenCall::current(&self.fake);
        let word = self.fake.thread_message(sender);
        let is_plain = word != 0 && !self.has_payload(kmsg) && self.fake.thread(receiver).call | 2 != 3;
        if is_plain && !call.has_draft() {
            self.fake.set_thread_message(sender, 0);
            return switch() || {
                self.fake.set_thread_message(sender, word);
                false
            };
        }
        handoff::hand_off(&self.fake, &self.state, message, switch)
    }

    /// What the hook of `thread_handoff` finds of the sender's message.
    fn copied_in(&self) -> Option<InTransit> {
        let thread = self.fake.current_thread();
        let is_known = self.is_observed() || self.fake.thread_awaited(thread).get() == self.fake.period();
        let half = Some(self.fake.thread_message(thread)).filter(|&half| is_known && half != 0)?;
        Some(InTransit::fake(Kmsg::fake(half.cast_signed() as usize)))
    }

    /// `ipc_mqueue_receive` has found a message.
    pub(super) fn mqueue_receive(&self, kmsg: Kmsg) {
        if self.is_observed() && self.has_payload(kmsg) {
            received_on::taken_out(&self.fake, &self.state, InTransit::fake(kmsg));
        }
    }

    /// `mach_msg_interrupt` of a thread that sleeps in its receive.
    pub(crate) fn interrupt(&self, thread: Thread) {
        self.end_sleep(thread);
        self.results.borrow_mut().insert(thread.address(), mr::MACH_RCV_INTERRUPTED);
        if self.fake.is_redirected() {
            call::interrupted(&self.fake, &self.state, thread);
        }
    }

    /// The fast path's `ipc_kmsg_get`: the buffer that is kept, if the message fits and can be read.
    pub(super) fn fast_get(&self, call: &Call) -> Option<Kmsg> {
        if 2 * call.message.len() > CACHED {
            return None;
        }
        let kmsg = self.take_cached()?;
        if !self.copyinmsg(kmsg, &call.message) {
            self.free(kmsg);
            return None;
        }
        Some(kmsg)
    }

    /// `ipc_kmsg_get`.
    pub(super) fn get(&self, call: &Call) -> Result<Kmsg, u32> {
        let room = 2 * call.message.len();
        let cached = if room <= CACHED { self.take_cached() } else { None };
        let kmsg = cached.unwrap_or_else(|| self.fake.new_kmsg(vec![0xbb; room.max(CACHED)], false));
        if self.copyinmsg(kmsg, &call.message) {
            return Ok(kmsg);
        }
        self.free(kmsg);
        Err(mr::MACH_SEND_INVALID_DATA)
    }

    /// `copyinmsg`.
    fn copyinmsg(&self, kmsg: Kmsg, message: &[u8]) -> bool {
        if self.fake.is_redirected() {
            let end = self.fake.memory(kmsg).bytes.len();
            self.fake.write(kmsg, end - 8, &[0; 8]);
        }
        let is_light = self.is_light();
        let is_observed = self.is_observed() && !is_light;
        if self.fake.is_redirected() {
            let (thread, unseen) = (self.fake.current_thread(), (kmsg.message_half(), self.fake.period()));
            let (message, awaited) = if is_observed { (0, 0) } else { unseen };
            self.fake.set_thread_message(thread, message);
            self.fake.set_thread_awaited(thread, HalfCorrelation::new(awaited));
        }
        self.moment(Moment::CopyIn);
        if self.steps.borrow().bad_copyins != 0 {
            self.script(|steps| steps.bad_copyins -= 1);
            return false;
        }
        self.fake.write(kmsg, 0, message);
        self.fake.write(kmsg, 4, &(message.len() as u32).to_le_bytes());
        if is_observed || is_light && self.state.wanted.may_be(self.fake.msgh_id(kmsg)) {
            let entry = self.fake.task_entry(self.fake.thread_task(self.fake.current_thread()));
            if is_observed
                && State::is_direct(entry)
                && (self.is_quickly_in(kmsg) || direct::sent(&self.fake, &self.state, kmsg))
            {
                return true;
            }
            emit::prepare(&self.fake, &self.state);
            return copy::copied_in(&self.fake, &self.state, kmsg) == 0;
        }
        true
    }

    fn current(&self) -> Current {
        let thread = self.fake.current_thread();
        Current { one: ForOne::fake(), thread, task: self.fake.thread_task(thread) }
    }

    fn is_quickly_in(&self, kmsg: Kmsg) -> bool {
        match self.fake.msgh_bits(kmsg) {
            server::ANSWER => server::answer(&self.fake, &self.state, self.current(), kmsg).is_some(),
            _ => client::request(&self.fake, &self.state, self.current(), kmsg).is_some(),
        }
    }

    fn is_quickly_out(&self, (kmsg, size): (Kmsg, u32)) -> bool {
        match self.fake.msgh_bits(kmsg) {
            server::REQUEST => server::request(&self.fake, &self.state, self.current(), (kmsg, size)).is_some(),
            _ => client::answer(&self.fake, &self.state, self.current(), (kmsg, size)).is_some(),
        }
    }

    /// `copyout` of a message.
    pub(super) fn copyout(&self, kmsg: Kmsg, size: u32) -> bool {
        let is_observed = self.is_observed();
        self.moment(Moment::CopyOut);
        let failed = self.steps.borrow().bad_copyouts != 0;
        if failed {
            self.script(|steps| steps.bad_copyouts -= 1);
        } else {
            let bytes = self.fake.memory(kmsg).bytes[..size as usize].to_vec();
            self.received.borrow_mut().insert(self.fake.current_thread().address(), bytes);
        }
        if is_observed && (!self.is_light() || self.state.wanted.may_be(self.fake.msgh_id(kmsg))) {
            let entry = self.fake.task_entry(self.fake.thread_task(self.fake.current_thread()));
            if State::is_direct(entry)
                && !failed
                && (self.is_quickly_out((kmsg, size)) || direct::received(&self.fake, &self.state, kmsg, size))
            {
                return true;
            }
            if !OpenCall::current(&self.fake).1.has_draft() {
                emit::prepare(&self.fake, &self.state);
            }
            copy::copied_out(&self.fake, &self.state, kmsg, size, failed.into());
        }
        !failed
    }

    /// `copyout` of the size of a message that stays queued.
    pub(super) fn copyout_size(&self, size: u32) {
        if self.is_observed() {
            copy::size_copied_out(&self.fake, &self.state, size);
        }
    }

    /// `ipc_kmsg_copyout_body`, which fails.
    pub(super) fn copyout_body(&self, kmsg: Kmsg, result: u32) {
        if self.is_observed() {
            copy::body_failed(&self.fake, &self.state, kmsg, result);
        }
    }

    /// `ipc_kmsg_put`.
    pub(super) fn put(&self, kmsg: Kmsg, size: u32) -> u32 {
        let copied = self.copyout(kmsg, size);
        self.free(kmsg);
        if copied { mr::MACH_MSG_SUCCESS } else { mr::MACH_RCV_INVALID_DATA }
    }

    /// `ipc_kmsg_copyout_pseudo` and `ipc_kmsg_put`: a message that could not be sent goes back.
    pub(super) fn give_back(&self, kmsg: Kmsg) {
        let bits = self.fake.msgh_bits(kmsg);
        let names = [8, 16].map(|offset| self.name_of(self.fake.read(kmsg, offset), bits & 0xff == 18));
        self.write_header(kmsg, bits, names.map(u64::from));
        self.put(kmsg, self.fake.msgh_size(kmsg));
    }

    /// `ipc_mqueue_send`: the kmsg is consumed if it returns `MACH_MSG_SUCCESS`.
    pub(super) fn mqueue_send(&self, kmsg: Kmsg) -> u32 {
        self.moment(Moment::Send);
        let result = self.steps.borrow().send;
        if result != mr::MACH_MSG_SUCCESS {
            return result;
        }
        if !self.is_kernels(self.fake.destination(kmsg)) {
            self.enqueue(kmsg);
        } else if let Some(reply) = self.kobject_server(kmsg) {
            self.enqueue(reply);
        }
        mr::MACH_MSG_SUCCESS
    }

    /// `ipc_mqueue_send_always`.
    pub(super) fn enqueue(&self, kmsg: Kmsg) {
        let task = self.fake.thread_task(self.fake.current_thread());
        self.fake.task(task).messages_sent += 1;
        let port = self.fake.destination(kmsg);
        self.fake.port(port).queue.push_back(kmsg);
    }

    /// `ipc_kobject_server`.
    pub(super) fn kobject_server(&self, request: Kmsg) -> Option<Kmsg> {
        let server = |request: InTransit| {
            let reply = self.kernels_reply(self.fake.read(request.kmsg(), 16));
            self.moment(Moment::Serve);
            self.free(request.kmsg());
            reply.map(InTransit::fake)
        };
        let request = InTransit::fake(request);
        let reply = match self.fake.is_redirected() {
            true => kobject::serve(&self.fake, &self.state, request, server),
            false => server(request),
        };
        reply.map(InTransit::kmsg)
    }

    /// A message to this reply port, in a buffer of 8 KiB.
    fn kernels_reply(&self, port: u64) -> Option<Kmsg> {
        let (id, size) = self.steps.borrow().reply.filter(|_| port != 0)?;
        let mut bytes = super::message(18, 0, 0, id, size);
        bytes.splice(32..(32 + self.steps.borrow().reply_body.len()).min(size), self.steps.borrow().reply_body.clone());
        bytes.resize(8192.max(size), 0xcc);
        let reply = self.fake.new_kmsg(bytes, false);
        self.fake.write(reply, 4, &(size as u32).to_le_bytes());
        self.write_header(reply, 18 | self.steps.borrow().reply_bits, [port, 0]);
        Some(reply)
    }

    /// The kernel sends `port` a message from a buffer that `copyinmsg` has not filled.
    pub(crate) fn notify(&self, port: Port, id: u32, size: usize) {
        let kmsg = self.kernels_message(port, id, size);
        self.enqueue(kmsg);
    }

    fn kernels_message(&self, port: Port, id: u32, size: usize) -> Kmsg {
        let kmsg = self.take_cached().unwrap_or_else(|| self.fake.new_kmsg(vec![0xbb; CACHED], false));
        self.fake.write(kmsg, 0, &super::message(17, 0, 0, id, size));
        self.fake.write(kmsg, 4, &(size as u32).to_le_bytes());
        self.write_header(kmsg, 17, [port.address() as u64, 0]);
        kmsg
    }

    /// `exception_raise`, up to where the thread sleeps: its server gets the message by a hand-off that no site sees.
    pub(crate) fn raise(&self, thread: Thread, raised: &Raised, reply: Port) {
        self.fake.run(thread);
        if self.state.any_traced() {
            exception::raised(&self.fake, &self.state, raised);
        }
        let port = raised.port.port().expect("an exception port");
        let kmsg = self.kernels_message(port, 2400, 112);
        self.fake.thread(thread).receives = false;
        let sleeper = Sleeper { thread, port: reply, call: Call::default(), in_exception: true };
        let server = self.sleepers.borrow().iter().position(|sleeper| sleeper.port == port);
        self.sleepers.borrow_mut().push(sleeper);
        let Some(server) = server else { return self.enqueue(kmsg) };
        let server = self.sleepers.borrow_mut().remove(server);
        self.fake.thread(server.thread).receives = false;
        self.fake.run(server.thread);
        self.hand_over_message(&server, kmsg);
    }

    /// `exception_raise_continue_fast`, and the other.
    pub(super) fn exception_reply(&self, kmsg: Kmsg) {
        let parse = || {
            self.free(kmsg);
            self.steps.borrow().parsed
        };
        let result = exception::replied(&self.fake, &self.state, InTransit::fake(kmsg), parse);
        self.results.borrow_mut().insert(self.fake.current_thread().address(), result);
    }

    /// `ipc_kmsg_copyin`: names become ports.
    pub(super) fn copyin(&self, kmsg: Kmsg) -> Result<(), u32> {
        let bits = self.fake.msgh_bits(kmsg);
        let names = [self.fake.remote_name(kmsg), self.fake.local_name(kmsg)];
        let result = self.steps.borrow().copyin;
        if result != mr::MACH_MSG_SUCCESS {
            return Err(result);
        }
        let [Some(remote), local] = names.map(|name| self.port(name)) else { return Err(mr::MACH_SEND_INVALID_DEST) };
        let task = self.fake.thread_task(self.fake.current_thread());
        for (name, disposition) in names.into_iter().zip([bits & 0xff, bits >> 8 & 0xff]) {
            if disposition == 18 {
                self.fake.task(task).names.remove(&name);
            }
        }
        let transit = bits & !0xffff | in_transit(bits & 0xff) | in_transit(bits >> 8 & 0xff) << 8;
        let ports = [Some(remote), local].map(|port| port.map_or(0, |port| port.address() as u64));
        self.write_header(kmsg, transit, ports);
        Ok(())
    }

    /// `ipc_kmsg_copyout_header`: ports become names, and each its other's place.
    pub(super) fn copyout_names(&self, kmsg: Kmsg) {
        let bits = self.fake.msgh_bits(kmsg);
        let (destination, reply) = (bits & 0xff, bits >> 8 & 0xff);
        let [to, from] = [8, 16].map(|offset| self.fake.read(kmsg, offset));
        let names = [self.name_of(from, reply == 18), self.name_of(to, false)].map(u64::from);
        let (local, names) = match self.fake.ports.borrow().get(&(to as usize)).and_then(|port| port.payload) {
            Some(payload) => (PROTECTED_PAYLOAD, [names[0], payload]),
            None => (destination, names),
        };
        self.write_header(kmsg, bits & !0xffff | reply | local << 8, names);
    }

    /// `ipc_kmsg_copyout_dest`: the reply port is lost.
    pub(super) fn copyout_dest(&self, kmsg: Kmsg) {
        self.fake.write(kmsg, 16, &0_u64.to_le_bytes());
        self.copyout_names(kmsg);
    }

    /// The current task's name for a port, or a new one.
    fn name_of(&self, port: u64, is_new: bool) -> u32 {
        if port == 0 {
            return 0;
        }
        let task = self.fake.thread_task(self.fake.current_thread());
        let known = if is_new { 0 } else { self.fake.own_name(task, Port::fake(port as usize)) };
        if known != 0 {
            return known;
        }
        let names = &mut self.fake.task(task).names;
        let name = names.keys().last().map_or(0x101, |&last| last.max(0x100) + 1);
        names.insert(name, port as usize);
        name
    }

    fn write_header(&self, kmsg: Kmsg, bits: u32, [remote, local]: [u64; 2]) {
        self.fake.write(kmsg, 0, &bits.to_le_bytes());
        self.fake.write(kmsg, 8, &remote.to_le_bytes());
        self.fake.write(kmsg, 16, &local.to_le_bytes());
    }

    fn take_cached(&self) -> Option<Kmsg> {
        let (kmsg, memory) = self.cached.borrow_mut().take()?;
        self.fake.revive(kmsg, memory);
        Some(kmsg)
    }

    /// `ikm_free`, which keeps one small buffer as it is.
    pub(crate) fn free(&self, kmsg: Kmsg) {
        let memory = self.fake.free(kmsg);
        if !memory.is_record && memory.bytes.len() == CACHED && self.cached.borrow().is_none() {
            *self.cached.borrow_mut() = Some((kmsg, memory));
        }
    }

    /// All traces end; nothing is left of them, nor of calls that are over.
    pub(crate) fn assert_ends_clean(&self) {
        self.fake.receive_records();
        let traced: Vec<usize> =
            self.fake.tasks.borrow().iter().filter_map(|(&task, fake)| (fake.entry != 0).then_some(task)).collect();
        traced.into_iter().for_each(|task| self.untrace(Task::fake(task)));
        // What was lost last is told now.
        self.fake.receive_records();
        let queued: usize = self.fake.ports.borrow().values().map(|port| port.queue.len()).sum();
        assert_eq!(self.fake.kmsgs.borrow().len(), queued, "live kmsgs");
        for (&address, port) in self.fake.ports.borrow().iter() {
            let port_of = Port::fake(address);
            let others = i64::from(port_of == TRACE) + i64::from(self.state.nowhere() == Some(port_of));
            assert_eq!(port.rights, others, "rights to {address:#x}");
        }
        assert_eq!(self.fake.references.get(), 0, "references");
        assert!(!self.fake.is_redirected(), "no open call has anything to say");
        let threads: Vec<usize> = self.fake.threads.borrow().keys().copied().collect();
        for address in threads {
            let call = OpenCall::of(&self.fake, Thread::fake(address));
            assert_eq!(self.fake.thread(Thread::fake(address)).held, 0, "{address:#x} is held by nobody");
            // The flag of one that is looked at lightly says that its task was stirred.
            let has_to_flush = call.has_to_flush() && !call.is_light();
            assert!(!call.has_draft() && !has_to_flush, "{address:#x} has nothing to say: {call:?}");
        }
    }
}
