// SPDX-License-Identifier: GPL-2.0-or-later
//! What the hooks call, answered by the fake kernel.

use std::vec::Vec;

use trace_port::port;

use super::names::FakeNames;
use super::*;

impl Fake {
    /// The threads of a task.
    fn threads_of(&self, task: Task) -> Vec<Thread> {
        let of_task =
            |(&thread, fake): (&usize, &FakeThread)| (fake.task == task.address()).then_some(Thread::fake(thread));
        self.threads.borrow().iter().filter_map(of_task).collect()
    }
}

impl Threads for Fake {
    fn current_thread(&self) -> Thread {
        Thread::fake(self.current.get())
    }
    fn thread_task(&self, thread: Thread) -> Task {
        Task::fake(self.thread(thread).task)
    }
    fn thread_number(&self, thread: Thread) -> ThreadNumber {
        self.thread(thread).number
    }
    fn give_thread_number(&self, thread: Thread, numbers: &Numbers) -> ThreadNumber {
        self.thread(thread).number = numbers.next_thread();
        self.thread(thread).number
    }
    fn thread_call(&self, thread: Thread) -> CallWord {
        CallWord::fake(self.thread(thread).call)
    }
    fn period(&self) -> u32 {
        let times = self.redirected.borrow().iter().filter(|&&is_traced| is_traced).count();
        (0..times).fold(0, |period, _| CallWord::next_period(period))
    }
    fn set_thread_call(&self, thread: Thread, call: CallWord) {
        self.thread(thread).call = call.word();
    }
    fn thread_message(&self, thread: Thread) -> u32 {
        self.thread(thread).message
    }
    fn set_thread_message(&self, thread: Thread, message: u32) {
        self.thread(thread).message = message;
    }
    fn thread_awaited(&self, thread: Thread) -> HalfCorrelation {
        self.thread(thread).awaited
    }
    fn set_thread_awaited(&self, thread: Thread, awaited: HalfCorrelation) {
        self.thread(thread).awaited = awaited;
    }
    fn thread_notify(&self, thread: Thread) -> u32 {
        self.thread(thread).notify
    }
    fn set_thread_notify(&self, thread: Thread, notify: u32) {
        self.thread(thread).notify = notify;
    }
    fn arguments(&self, thread: Thread) -> Arguments {
        self.thread(thread).arguments
    }
    fn receives(&self, thread: Thread) -> (u32, u32) {
        let asked = self.arguments(thread);
        (asked.option, asked.rcv_name)
    }
    fn time_out(&self, thread: Thread) -> u32 {
        self.arguments(thread).time_out
    }
    fn receives_with(&self, thread: Thread) -> (u32, u32) {
        self.thread(thread).receives_with
    }
    fn thread_is_halting(&self, thread: Thread) -> bool {
        self.thread(thread).halting
    }
    fn exception_is_threads(&self, thread: Thread) -> bool {
        self.thread(thread).exception_is_threads
    }
    fn interrupt_threads(&self, task: Task, mut waits: impl FnMut(Thread) -> bool) {
        let threads = self.threads_of(task).into_iter();
        self.interrupted.borrow_mut().extend(threads.filter(|&thread| waits(thread)));
    }
    fn watch_thread(&self, thread: Thread) {
        self.thread(thread).watched = true;
        self.thread(thread).lightly = false;
        let mut ports = self.ports.borrow_mut();
        ports
            .values_mut()
            .filter(|port| port.kobject == Some(Kobject::Thread(thread)))
            .for_each(|port| port.watched = true);
    }
    fn watch_closely(&self, thread: Thread) {
        self.thread(thread).watched = true;
        self.thread(thread).lightly = false;
    }
    fn watch_lightly(&self, thread: Thread, is_light: impl Fn() -> bool) {
        self.thread(thread).watched = true;
        self.thread(thread).lightly = is_light();
    }
    fn unwatch_untraced(&self, thread: Thread) {
        if self.task_entry(self.thread_task(thread)) == 0 {
            self.thread(thread).watched = false;
        }
    }
    fn thread_is_alive(&self, thread: Thread) -> bool {
        self.unlocked();
        !self.thread(thread).dead
    }
    fn wait(&self) {
        self.unlocked();
        let event = self.awaited.take().expect("what is waited for");
        if let Some(action) = self.while_waiting.borrow_mut().take() {
            let thread = self.current_thread();
            action();
            self.run(thread);
        }
        self.waits.borrow_mut().push((event, self.woken.borrow().contains(&event)));
    }
    fn prepare_to_stop(&self, thread: Thread) {
        let event = Port::fake(thread.address());
        assert!(self.awaited.replace(Some(event)).is_none(), "one wait after the other");
    }
    fn wake_stopped(&self, thread: Thread) {
        self.woken.borrow_mut().push(Port::fake(thread.address()));
    }
    fn hold_thread(&self, thread: Thread) {
        self.thread(thread).held += 1;
    }
    fn release_thread(&self, thread: Thread) {
        let mut thread = self.thread(thread);
        thread.held = thread.held.checked_sub(1).expect("a thread is released as often as it is held");
        thread.halted &= thread.held != 0;
    }
    fn stay(&self) {
        self.unlocked();
        let thread = self.current_thread();
        if self.thread(thread).held != 0
            && let Some(action) = self.while_waiting.borrow_mut().take()
        {
            action();
            self.run(thread);
        }
        let held = self.thread(thread).held;
        self.stayed.borrow_mut().push((thread, held));
    }
    fn thread_stands(&self, thread: Thread) -> bool {
        !self.thread(thread).moves
    }
    fn thread_is_halted(&self, thread: Thread) -> bool {
        self.thread(thread).halted
    }
    fn next_thread(
        &self,
        task: Task,
        above: ThreadNumber,
        numbers: &Numbers,
    ) -> Option<(Reference<Thread>, ThreadNumber)> {
        self.unlocked();
        let number = |thread: Thread| match self.thread_number(thread) {
            known if known.is_none() => self.give_thread_number(thread, numbers),
            known => known,
        };
        let numbered = self.threads_of(task).into_iter().map(|thread| (number(thread).get(), thread.address()));
        let (number, thread) = numbered.filter(|&(number, _)| number > above.get()).min()?;
        self.references.set(self.references.get() + 1);
        Some((Reference::fake(Thread::fake(thread)), ThreadNumber::new(number)))
    }
    fn sleep(&self, milliseconds: u32) {
        self.unlocked();
        self.slept.borrow_mut().push(milliseconds);
        if self.script.borrow().waiting == Waiting::SomethingElse
            && let Some(action) = self.while_waiting.borrow_mut().take()
        {
            let thread = self.current_thread();
            action();
            self.run(thread);
        }
    }
    fn write_received(&self, bytes: &[u8]) -> bool {
        self.unlocked();
        if self.script.borrow().bad_buffer {
            return false;
        }
        self.written.borrow_mut().push(bytes.to_vec());
        true
    }
    fn thread_deallocate(&self, _: Reference<Thread>) {
        self.references.set(self.references.get() - 1);
    }
    fn look_at_threads(&self, task: Task, mut look: impl FnMut(Thread, bool)) {
        let shown = |(&thread, fake): (&usize, &FakeThread)| {
            let is_shown = fake.task == task.address() && thread != self.current.get() && !fake.runs_elsewhere;
            is_shown.then_some((thread, fake.receives))
        };
        let threads: Vec<_> = self.threads.borrow().iter().filter_map(shown).collect();
        for (thread, receives) in threads {
            look(Thread::fake(thread), receives);
        }
    }
}

impl Tasks for Fake {
    type Names<'a> = FakeNames<'a>;
    type QuickNames<'a> = FakeNames<'a>;

    fn task_entry(&self, task: Task) -> u32 {
        self.task(task).entry
    }
    fn set_task_entry(&self, task: Task, entry: u32) {
        self.task(task).entry = entry;
    }
    fn task_number(&self, task: Task) -> TaskNumber {
        self.task(task).number
    }
    fn set_task_number(&self, task: Task, number: TaskNumber) {
        self.task(task).number = number;
    }
    fn task_space(&self, task: Task) -> Space {
        Space::fake(task.address() + 1)
    }
    fn space_is_active(&self, task: Task) -> bool {
        !self.task(task).space_has_ended
    }
    fn task_is_alive(&self, task: Task) -> bool {
        !self.task(task).dying
    }
    fn is_kernel_task(&self, task: Task) -> bool {
        task == KERNEL_TASK
    }
    fn uncount_sent(&self, task: Task) {
        self.task(task).messages_sent -= 1;
    }
    fn task_send_right(&self, task: Task) -> Option<SendRight> {
        self.unlocked();
        self.port(control_port(task)).rights += 1;
        Some(SendRight::fake(control_port(task)))
    }
    fn watch_task(&self, task: Task) {
        self.port(control_port(task)).watched = true;
        self.threads_of(task).into_iter().for_each(|thread| self.watch_thread(thread));
    }
    fn watch_threads_closely(&self, task: Task, (before, after): (CallWord, CallWord)) {
        for thread in self.threads_of(task) {
            self.watch_closely(thread);
            if self.thread(thread).call == before.word() {
                self.thread(thread).call = after.word();
            }
        }
    }
    fn task_reference(&self, task: Task) -> Reference<Task> {
        self.references.set(self.references.get() + 1);
        Reference::fake(task)
    }
    fn port_task(&self, port: Port) -> Option<Reference<Task>> {
        let kobject = if self.port_is_active(port) { self.port(port).kobject } else { None };
        match kobject? {
            Kobject::Task(task) => Some(self.task_reference(task)),
            _ => None,
        }
    }
    fn task_deallocate(&self, _: Reference<Task>) {
        self.references.set(self.references.get() - 1);
    }
    fn own_name(&self, task: Task, port: Port) -> u32 {
        let task = self.task(task);
        let mut names = task.names.iter().filter(|_| !task.changing);
        names.find_map(|(&name, &known)| (known == port.address()).then_some(name)).unwrap_or(0)
    }
    fn names<'a>(&'a self, task: Task, numbers: &'a Numbers) -> Option<FakeNames<'a>> {
        let is_changing = self.task(task).changing;
        (!is_changing).then_some(FakeNames { fake: self, task, numbers })
    }
    fn quick_names<'a>(&'a self, _: ForOne, task: Task, numbers: &'a Numbers) -> Option<FakeNames<'a>> {
        self.names(task, numbers).filter(|_| !self.names_are_slow.get())
    }
    fn awaited_at(&self, task: Task, name: u32, change: impl FnOnce(&mut HalfCorrelation)) {
        let port = match self.task(task).names.get(&name) {
            Some(&port) => Port::fake(port),
            None => return,
        };
        if !self.task(task).changing {
            change(&mut self.port(port).awaited);
        }
    }
}

impl Ports for Fake {
    fn identity(&self, port: Port, numbers: &Numbers) -> Option<Identity> {
        if !self.ports.borrow().contains_key(&port.address()) {
            // One of which a test says nothing else.
            self.add_port(port, THIRD);
        }
        let (dead, kobject, code) = {
            let known = self.port(port);
            (known.dead, known.kobject, known.code)
        };
        if dead {
            return None;
        }
        let number = numbers.known(port.address(), code).or_else(|| {
            let (number, code) = numbers.next(port.address())?;
            self.port(port).code = code;
            Some(number)
        })?;
        let (kind, object) = match kobject {
            None => (port::NONE, 0),
            Some(Kobject::Kernel) => (port::HOST, 0),
            Some(Kobject::Privileged) => (port::HOST_PRIVILEGED, 0),
            Some(Kobject::Payload(_)) => (port::NONE, 0),
            Some(Kobject::Task(task)) => (port::TASK, self.task(task).number.get()),
            Some(Kobject::Thread(thread)) if self.task_entry(self.thread_task(thread)) == 0 => (port::THREAD, 0),
            Some(Kobject::Thread(thread)) => {
                let known = self.thread_number(thread);
                let number = if known.is_none() { self.give_thread_number(thread, numbers) } else { known };
                (port::THREAD, number.get())
            }
        };
        Some(Identity { number, kind, object })
    }
    fn ipc_port_copy_send(&self, port: Port) -> Option<SendRight> {
        self.unlocked();
        let mut known = self.port(port);
        if known.dead {
            return None;
        }
        known.rights += 1;
        Some(SendRight::fake(port))
    }
    fn ipc_port_release_send(&self, right: SendRight) {
        self.unlocked();
        self.release(right.into_port().address());
    }
    fn kernel_port(&self) -> Option<SendRight> {
        self.unlocked();
        if self.script.borrow().no_ports {
            return None;
        }
        let number = self.next_port.get() + 1;
        self.next_port.set(number);
        let port = Port::fake(0xffff_ffff_8800_0000 + 0x88 * number);
        self.add_port(port, KERNEL_TASK);
        self.port(port).kobject = Some(Kobject::Payload(0));
        Some(self.make_send(port))
    }
    fn make_send(&self, port: Port) -> SendRight {
        assert!(matches!(self.port(port).kobject, Some(Kobject::Payload(_))) && !self.port(port).dead);
        self.port(port).rights += 1;
        SendRight::fake(port)
    }
    fn watch_senders(&self, port: Port, object: u32) {
        self.unlocked();
        assert_eq!(self.port(port).kobject, Some(Kobject::Payload(0)), "it is asked once");
        self.port(port).kobject = Some(Kobject::Payload(object));
    }
    fn kernel_port_object(&self, port: Port) -> u32 {
        match self.port(port).kobject {
            Some(Kobject::Payload(object)) => object,
            _ => 0xdead,
        }
    }
    fn end_kernel_port(&self, port: Port) {
        self.unlocked();
        assert!(matches!(self.port(port).kobject, Some(Kobject::Payload(_))) && !self.port(port).dead);
        self.kill(port);
    }
    fn port_has_payload(&self, port: Port) -> bool {
        self.port(port).payload.is_some()
    }
    fn receivers_name(&self, port: Port, task: Task, numbers: &Numbers, is_locked: bool) -> Option<NamedPort> {
        assert_eq!(is_locked, self.locked.get(), "the port's lock is taken once");
        if self.port(port).dead || self.port(port).receiver != task.address() {
            return None;
        }
        let names = self.task(task).names.clone();
        let (&name, _) = names.iter().find(|&(_, &known)| known == port.address())?;
        NamedPort::of(name, self.identity(port, numbers)?)
    }
    fn port_is_host_privileged(&self, port: Port) -> bool {
        let port = self.port(port);
        !port.dead && port.kobject == Some(Kobject::Privileged)
    }
    fn port_is_the_kernels(&self, port: Port) -> bool {
        self.port(port).receiver == KERNEL_TASK.address()
    }
    fn port_is_received_at(&self, port: Port, space: usize) -> bool {
        let port = self.port(port);
        !port.dead && port.receiver + 1 == space
    }
    fn port_msgcount(&self, port: Port) -> u32 {
        self.port(port).queue.len() as u32
    }
    fn port_is_active(&self, port: Port) -> bool {
        !self.port(port).dead
    }
    fn port_is_full(&self, port: Port) -> bool {
        let port = self.port(port);
        port.queue.len() >= port.limit
    }
}

impl Kernel for Fake {
    fn redirect(&self, is_traced: bool) {
        self.redirected.borrow_mut().push(is_traced);
    }
    fn now(&self, number: impl FnOnce() -> u64) -> (u64, u64) {
        (number(), TIME)
    }
    fn now_quickly(&self, _: ForOne, number: impl FnOnce() -> u64) -> Option<(u64, u64)> {
        (!self.clock_is_slow.get()).then(|| {
            self.quick_times.set(self.quick_times.get() + 1);
            self.now(number)
        })
    }
    fn rest(&self) {
        assert!(!self.is_redirected(), "nobody is traced any more");
    }
    fn command_line(&self) -> &'static [u8] {
        self.command_line.get()
    }
    fn for_one(&self) -> Option<ForOne> {
        Some(ForOne::fake())
    }
    fn ring(&self) -> Option<&'static Ring<'static, AtomicU64>> {
        self.ring.get()
    }
    fn room<T: Default, const N: usize>(&self) -> Option<&'static mut [T; N]> {
        self.unlocked();
        let has_room = !self.script.borrow().no_room;
        self.rooms.set(self.rooms.get() + usize::from(has_room));
        has_room.then(|| Box::leak(Box::new(std::array::from_fn(|_| T::default()))))
    }
    fn report_untraced(&self, total: u32) {
        self.untraced_reports.borrow_mut().push(total);
    }
    fn report_dropped(&self, total: u32) {
        self.reports.borrow_mut().push(total);
    }
}
