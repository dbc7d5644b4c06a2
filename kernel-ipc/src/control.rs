// SPDX-License-Identifier: GPL-2.0-or-later
//! The requests of trace_control.defs, served as a MIG server would.
//!
//! They come where the kernel has found no routine of its own for a message to one of its ports. The kernel has made the head of the reply by
//! then; what is written behind it here is as `trace_port::control` says. Of a request that is refused the kernel releases the rights.

mod owner;
mod stop;

use trace_port::control::{
    self, Action, AnswerRequest, AttachRequest, DetachRequest, Integer, Limits, MAX_RULES, Rule, SetEventsRequest,
    SetFilterRequest,
};
use trace_port::record;

use crate::engines::{Engine, EngineKey, Wish};
use crate::gnumach::{InTransit, Kernel, Port, Reference, Task, mr, objects};
use crate::hooks::call;
use crate::numbers::ThreadNumber;
use crate::state::{State, Unjoined};
use crate::stops::Answer;
use crate::table::CAPACITY;
use crate::{fan_out, light, observe};

/// Where the arguments of a request begin.
const ARGUMENTS: usize = mach_abi::header::LP64.end;
/// Where the results of a reply begin, behind the return code.
const RESULTS: usize = 48;
/// Where the return code stands.
const RETURN_CODE: usize = 40;

/// Where the right to the trace port stands in a `trace_attach`.
const TRACE_PORT: usize = ARGUMENTS + core::mem::offset_of!(AttachRequest, trace_port);

/// How often a barrier looks whether a record is on its way, at most.
const LOOKS: u32 = 100;

/// Milliseconds between one look and the next.
const BETWEEN: u32 = 10;

/// What a request is answered with, other than success.
type Refusal = u32;

/// The results of a reply: how many bytes, and whether there is a right among them.
#[derive(Clone, Copy, Debug)]
struct Results {
    bytes: usize,
    is_complex: bool,
}

impl Results {
    const NONE: Self = Self { bytes: 0, is_complex: false };

    const fn plain(bytes: usize) -> Self {
        Self { bytes, is_complex: false }
    }
}

/// Answers a request of trace_control.defs on a port of the kernel's. `false` if it is none.
pub(crate) fn serve(kernel: &impl Kernel, state: &State, request: InTransit, reply: InTransit) -> bool {
    if kernel.reply_room(reply) < RESULTS {
        return false;
    }
    let server = Server { kernel, state, request, reply };
    let result = match kernel.msgh_id(request.kmsg()) {
        control::VERSION_ID => server.version(),
        control::ATTACH_ID => server.attach(),
        control::ENGINES_ID => server.engines(),
        control::ENGINE_ID => server.engine(),
        control::SET_EVENTS_ID => server.set_events(),
        control::SET_FILTER_ID => server.set_filter(),
        control::DETACH_ID => server.detach(),
        control::BARRIER_ID => server.barrier(),
        control::SET_ACTIONS_ID => server.set_actions(),
        control::ANSWER_ID => server.answer(),
        id => match server.of_threads(id).or_else(|| server.of_system(id)) {
            Some(result) => result,
            None => return false,
        },
    };
    light::settle(kernel, state);
    let (code, results) = match result {
        Ok(results) => (mr::MACH_MSG_SUCCESS, results),
        Err(code) => (code, Results::NONE),
    };
    answer(kernel, reply, code);
    kernel.end_reply(reply, (RESULTS + results.bytes) as u32, results.is_complex);
    true
}

/// Puts the return code into a reply, and zeros behind it, where the reply's memory holds what was there before.
pub(crate) fn answer(kernel: &impl Kernel, reply: InTransit, code: u32) {
    kernel.reply_part(reply, RETURN_CODE, &u64::from(code));
}

/// An engine's or a tool's own port has no senders any more. `false` if it is another port.
pub(crate) fn no_senders(kernel: &impl Kernel, state: &State, port: Port) -> bool {
    let found = state.engine_of(port, kernel.kernel_port_object(port));
    match found {
        Some(engine) => fan_out::end(kernel, state, engine),
        None => return owner::no_senders(kernel, state, port),
    }
    true
}

struct Server<'a, K> {
    kernel: &'a K,
    state: &'a State,
    request: InTransit,
    reply: InTransit,
}

impl<K: Kernel> Server<'_, K> {
    /// The arguments, whose request must be so long and have rights or none.
    fn arguments<T: zerocopy::FromBytes>(&self, is_complex: bool) -> Result<T, Refusal> {
        self.is_sized(ARGUMENTS + size_of::<T>(), is_complex)?;
        Ok(self.kernel.request_part(self.request, ARGUMENTS))
    }

    fn is_sized(&self, size: usize, is_complex: bool) -> Result<(), Refusal> {
        let kmsg = self.request.kmsg();
        let found = self.kernel.msgh_bits(kmsg) & objects::COMPLEX != 0;
        let is_right = self.kernel.msgh_size(kmsg) as usize == size && found == is_complex;
        if is_right { Ok(()) } else { Err(mr::MIG_BAD_ARGUMENTS) }
    }

    /// Writes results behind the return code, after their descriptor.
    fn result<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &self,
        descriptor: u64,
        value: &T,
    ) -> Result<Results, Refusal> {
        let bytes = 8 + size_of::<T>();
        self.has_room(bytes)?;
        self.kernel.reply_part(self.reply, RESULTS, &descriptor);
        self.kernel.reply_part(self.reply, RESULTS + 8, value);
        Ok(Results::plain(bytes))
    }

    fn has_room(&self, bytes: usize) -> Result<(), Refusal> {
        if self.kernel.reply_room(self.reply) < RESULTS + bytes { Err(mr::KERN_RESOURCE_SHORTAGE) } else { Ok(()) }
    }

    #[inline(never)]
    fn version(&self) -> Result<Results, Refusal> {
        self.is_sized(ARGUMENTS, false)?;
        let limits = Limits {
            version: control::VERSION.into(),
            record: u32::from(record::VERSION).into(),
            engines: (control::MAX_ENGINES as u32).into(),
            rules: (MAX_RULES as u32).into(),
            tasks: (CAPACITY as u32).into(),
            flags: control::flag::ALL.into(),
            events: control::event::ALL.into(),
            policies: (control::policy::LAST + 1).into(),
        };
        self.result(control::LIMITS, &limits)
    }

    /// The task that the request is addressed to.
    fn task(&self) -> Result<TaskOf<'_, K>, Refusal> {
        let task = self.kernel.port_task(self.kernel.destination(self.request));
        task.map(|task| TaskOf { kernel: self.kernel, task: Some(task) }).ok_or(mr::KERN_INVALID_ARGUMENT)
    }

    /// The engine that the request is addressed to.
    fn addressed(&self) -> Result<EngineKey, Refusal> {
        let port = self.kernel.destination(self.request);
        self.state.engine_of(port, self.kernel.kernel_port_object(port)).ok_or(mr::KERN_INVALID_ARGUMENT)
    }

    #[inline(never)]
    fn attach(&self) -> Result<Results, Refusal> {
        let task = self.task()?;
        let arguments: AttachRequest = self.arguments(true)?;
        let AttachRequest { trace_port_type, name_type, name, flags, events, policy, .. } = arguments;
        if trace_port_type.get() != control::SEND_RIGHT || name_type.get() != control::NAME {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        let [flags, events, policy] = [integer(flags)?, integer(events)?, integer(policy)?];
        let births_only = flags & (control::flag::BIRTHS | control::flag::CONTROL) == control::flag::BIRTHS;
        let is_known = flags & !control::flag::ALL == 0 && !births_only && known(events, policy);
        if !is_known {
            return Err(mr::KERN_INVALID_VALUE);
        }
        self.has_room(16)?;
        if flags & control::flag::CREATE == 0 {
            return self.find(&task, flags, &name);
        }
        let wish = Wish { name, owner: 0, flags, events, policy };
        self.create(&task, wish)
    }

    /// The number of the caller's control port.
    fn owner(&self) -> u32 {
        let right = self.kernel.task_send_right(observe::current_task(self.kernel));
        right.map_or(0, |right| {
            let number = self.kernel.identity(right.port(), &self.state.numbers).map_or(0, |known| known.number.get());
            self.kernel.ipc_port_release_send(right);
            number
        })
    }

    /// An engine whose trace port the caller receives from, or nobody any more.
    #[inline(never)]
    fn find(&self, task: &TaskOf<'_, K>, flags: u32, name: &control::Name) -> Result<Results, Refusal> {
        let space = self.kernel.task_space(observe::current_task(self.kernel));
        let is_it = |engine: &Engine| {
            let is_callers = self.kernel.port_is_received_in(engine.port(), space);
            is_callers && (flags & control::flag::MATCH == 0 || engine.is_called(name))
        };
        let (engine, control) = self.state.find_engine(self.kernel, task.get()?, is_it).ok_or(mr::KERN_INVALID_NAME)?;
        let right = self.state.engine_right(self.kernel, engine, control).ok_or(mr::KERN_INVALID_NAME)?;
        if let Some(unused) = self.kernel.take_right(self.request, TRACE_PORT) {
            self.kernel.ipc_port_release_send(unused);
        }
        Ok(self.engine_right(right))
    }

    fn engine_right(&self, right: crate::gnumach::SendRight) -> Results {
        self.kernel.reply_part(self.reply, RESULTS, &control::SEND_RIGHT);
        self.kernel.reply_right(self.reply, RESULTS + 8, right);
        Results { bytes: 16, is_complex: true }
    }

    #[inline(never)]
    fn create(&self, of: &TaskOf<'_, K>, wish: Wish) -> Result<Results, Refusal> {
        let Self { kernel, state, request, .. } = *self;
        let task = of.get()?;
        self.may_be_traced(task)?;
        let Some(right) = kernel.take_right(request, TRACE_PORT) else { return Err(mr::KERN_INVALID_ARGUMENT) };
        let release = |code| {
            move |right| {
                kernel.ipc_port_release_send(right);
                code
            }
        };
        if kernel.port_is_the_kernels(right.port()) {
            return Err(release(mr::KERN_INVALID_ARGUMENT)(right));
        }
        if kernel.port_is_received_in(right.port(), kernel.task_space(task)) {
            return Err(release(mr::KERN_FAILURE)(right));
        }
        let (engine, own) = state.make_engine(kernel, right, wish).ok_or(mr::KERN_RESOURCE_SHORTAGE)?;
        // Before the engine has a task: nobody else can end it until then, and its port lives.
        kernel.watch_senders(own.port(), engine.place);
        let only = (wish.flags & control::flag::EXCLUSIVE != 0).then_some(&wish.name);
        if let Err(code) = self.join_task(engine, task, only) {
            fan_out::end(kernel, state, engine);
            kernel.ipc_port_release_send(own);
            return Err(code);
        }
        // Only now: numbers of ports begin with the first trace.
        state.set_owner(engine, self.owner());
        Ok(self.engine_right(own))
    }

    /// Whether a task may have engines; if so, there is what an engine needs of the payload.
    fn may_be_traced(&self, task: Task) -> Result<(), Refusal> {
        if self.kernel.is_kernel_task(task) {
            return Err(mr::KERN_NO_ACCESS);
        }
        if !self.kernel.task_is_alive(task) {
            return Err(mr::KERN_FAILURE);
        }
        self.has_nowhere()
    }

    /// A task that may be traced becomes an engine's; with a name only if no engine of the task's has it.
    fn join_task(&self, engine: EngineKey, task: Task, only: Option<&control::Name>) -> Result<(), Refusal> {
        let Self { kernel, state, .. } = *self;
        if state.join(kernel, engine, task, only).map_err(unjoined)? {
            kernel.watch_task(task);
            call::join(kernel, task);
        }
        if !kernel.task_is_alive(task)
            && let Some(attachment) = state.let_go(kernel, engine, task)
        {
            // It died on another processor after it was found alive.
            fan_out::let_go(kernel, state, attachment);
        }
        Ok(())
    }

    /// Makes sure that there is what stands for the trace port of a task that has none.
    fn has_nowhere(&self) -> Result<(), Refusal> {
        if self.state.make_nowhere(self.kernel) { Ok(()) } else { Err(mr::KERN_RESOURCE_SHORTAGE) }
    }

    #[inline(never)]
    fn engines(&self) -> Result<Results, Refusal> {
        let task = self.task()?;
        self.is_sized(ARGUMENTS, false)?;
        let engines = self.state.engines(self.kernel, task.get()?);
        self.has_room(8 + engines.len() * size_of::<control::Engine>())?;
        let mut count = 0;
        for state in engines.iter().filter_map(|&engine| self.state.engine_state(engine)) {
            self.kernel.reply_part(self.reply, RESULTS + 8 + count * size_of::<control::Engine>(), &state);
            count += 1;
        }
        self.kernel.reply_part(self.reply, RESULTS, &control::array_of::<control::Engine>(count));
        Ok(Results::plain(8 + count * size_of::<control::Engine>()))
    }

    #[inline(never)]
    fn engine(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        self.is_sized(ARGUMENTS, false)?;
        let state = self.state.engine_state(engine).ok_or(mr::KERN_TERMINATED)?;
        self.result(control::ENGINE, &state)
    }

    #[inline(never)]
    fn set_events(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        let SetEventsRequest { events, policy } = self.arguments(false)?;
        let (events, policy) = (integer(events)?, integer(policy)?);
        if !known(events, policy) {
            return Err(mr::KERN_INVALID_VALUE);
        }
        self.state.set_events(self.kernel, engine, (events, policy)).ok_or(mr::KERN_TERMINATED)?;
        Ok(Results::NONE)
    }

    #[inline(never)]
    fn set_filter(&self) -> Result<Results, Refusal> {
        const FIRST: usize = ARGUMENTS + size_of::<SetFilterRequest>();
        let engine = self.addressed()?;
        if (self.kernel.msgh_size(self.request.kmsg()) as usize) < FIRST {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        let SetFilterRequest { bytes, rules_type } = self.kernel.request_part(self.request, ARGUMENTS);
        let bytes = integer(bytes)?;
        let count = control::rules_in(rules_type.get()).ok_or(mr::MIG_BAD_ARGUMENTS)?;
        self.is_sized(FIRST + count * size_of::<Rule>(), false)?;
        // Read where they stand: they are too many for the stack.
        let rule = |index| self.kernel.request_part::<Rule>(self.request, FIRST + index * size_of::<Rule>());
        if (0..count).any(|index| rule(index).flags.get() & !control::rule::ALL != 0) {
            return Err(mr::KERN_INVALID_VALUE);
        }
        self.state.set_filter(self.kernel, engine, (0..count).map(rule), bytes).ok_or(mr::KERN_TERMINATED)?;
        Ok(Results::NONE)
    }

    #[inline(never)]
    fn detach(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        let DetachRequest { task_type, task } = self.arguments(true)?;
        if task_type.get() != control::SEND_RIGHT {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        let offset = ARGUMENTS + core::mem::offset_of!(DetachRequest, task);
        let Some(right) = self.kernel.take_right(self.request, offset) else {
            // A right to a task that is dead says nothing; no right means all.
            return if task.get() == 0 {
                fan_out::let_go_of_all(self.kernel, self.state, engine);
                Ok(Results::NONE)
            } else {
                Err(mr::KERN_INVALID_ARGUMENT)
            };
        };
        let task = self.kernel.port_task(right.port());
        self.kernel.ipc_port_release_send(right);
        let task =
            task.map(|task| TaskOf { kernel: self.kernel, task: Some(task) }).ok_or(mr::KERN_INVALID_ARGUMENT)?;
        let attachment = self.state.let_go(self.kernel, engine, task.get()?).ok_or(mr::KERN_INVALID_TASK)?;
        fan_out::let_go(self.kernel, self.state, attachment);
        Ok(Results::NONE)
    }

    #[inline(never)]
    fn set_actions(&self) -> Result<Results, Refusal> {
        const FIRST: usize = ARGUMENTS + 8;
        let engine = self.addressed()?;
        if (self.kernel.msgh_size(self.request.kmsg()) as usize) < FIRST {
            return Err(mr::MIG_BAD_ARGUMENTS);
        }
        let descriptor = self.kernel.message_word(self.request.kmsg(), ARGUMENTS);
        let count = control::actions_in(descriptor).ok_or(mr::MIG_BAD_ARGUMENTS)?;
        self.is_sized(FIRST + count * size_of::<Action>(), false)?;
        // Read where they stand: they are too many for the stack.
        let action = |index| self.kernel.request_part::<Action>(self.request, FIRST + index * size_of::<Action>());
        if !(0..count).all(|index| action(index).is_known()) {
            return Err(mr::KERN_INVALID_VALUE);
        }
        match self.state.set_actions(self.kernel, engine, (0..count).map(action)) {
            Some(true) => Ok(Results::NONE),
            Some(false) => Err(mr::KERN_NO_ACCESS),
            None => Err(mr::KERN_TERMINATED),
        }
    }

    #[inline(never)]
    fn answer(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        let AnswerRequest { thread, what, value } = self.arguments(false)?;
        let [thread, what, value] = [integer(thread)?, integer(what)?, integer(value)?];
        if !control::is_answer(what, value) {
            return Err(mr::KERN_INVALID_VALUE);
        }
        let is_stopped = self.state.answer(self.kernel, engine, ThreadNumber::new(thread), Answer { what, value });
        if is_stopped { Ok(Results::NONE) } else { Err(mr::KERN_INVALID_ARGUMENT) }
    }

    #[inline(never)]
    fn barrier(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        self.is_sized(ARGUMENTS, false)?;
        let mut looks = 0;
        // A thread with such a record may be suspended: the caller is told, and does not wait for ever.
        while self.state.is_sending_to(engine) {
            if looks == LOOKS || self.kernel.thread_is_halting(self.kernel.current_thread()) {
                return Err(mr::KERN_TIMEDOUT);
            }
            looks += 1;
            self.kernel.sleep(BETWEEN);
        }
        Ok(Results::NONE)
    }
}

/// Whether an engine can be told of this.
fn known(events: u32, policy: u32) -> bool {
    events & !control::event::ALL == 0 && policy <= control::policy::LAST
}

/// Why a task has not become an engine's.
fn unjoined(why: Unjoined) -> Refusal {
    match why {
        Unjoined::Full => mr::KERN_RESOURCE_SHORTAGE,
        Unjoined::Exists => mr::KERN_NAME_EXISTS,
        Unjoined::Ended => mr::KERN_TERMINATED,
        Unjoined::Own => mr::KERN_FAILURE,
    }
}

fn integer(argument: Integer) -> Result<u32, Refusal> {
    if argument.descriptor.get() == control::INTEGER { Ok(argument.value.get()) } else { Err(mr::MIG_BAD_ARGUMENTS) }
}

/// A reference to a task that is given back.
struct TaskOf<'a, K: Kernel> {
    kernel: &'a K,
    task: Option<Reference<Task>>,
}

impl<K: Kernel> TaskOf<'_, K> {
    fn get(&self) -> Result<Task, Refusal> {
        self.task.as_ref().map(Reference::get).ok_or(mr::KERN_INVALID_TASK)
    }
}

impl<K: Kernel> Drop for TaskOf<'_, K> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.kernel.task_deallocate(task);
        }
    }
}

#[cfg(test)]
mod tests;
