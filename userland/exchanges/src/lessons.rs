// SPDX-License-Identifier: GPL-2.0-or-later
//! What some messages tell about tasks and ports beyond what the kernel says of each.

use alloc::vec::Vec;

use mach_abi::port::MACH_PORT_RIGHT_RECEIVE;
use mach_abi::special_port::{TASK_BOOTSTRAP_PORT, TASK_EXCEPTION_PORT, TASK_TRACE_PORT};
use mig_defs::decode::Message;
use mig_defs::table::Tables;
use mig_defs::value::Value;
use trace_port::{Port, port};

use crate::event::Event;
use crate::exchange::{Exchange, Role};
use crate::names::{Named, Names, TaskIndex, What};
use crate::ours::Interface;

/// What an exchange of a routine tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    TaskCreate,
    ThreadCreate,
    SetName,
    Allocate,
    AllocateName,
    GetSpecialPort,
    SetSpecialPort,
    RequestNotification,
    DeviceOpen,
    BootConsole,
    BootSpawn,
    BootExit,
    Terminate,
    ThreadState,
    TaskThreads,
    /// References of a right may go.
    GiveBack,
    InsertRight,
    Startup,
    Exec,
    Lookup,
    Reauthenticate,
    Authenticate,
    /// The answer's port is of the file that the request's is of.
    SameFile,
    ProcOfTask,
    SetMessagePort,
    OpenTerminal,
}

/// By the name of the routine in the .defs.
const LESSONS: [(&str, Lesson); 34] = [
    ("task_create", Lesson::TaskCreate),
    ("thread_create", Lesson::ThreadCreate),
    ("task_set_name", Lesson::SetName),
    ("mach_port_allocate", Lesson::Allocate),
    ("mach_port_allocate_name", Lesson::AllocateName),
    ("task_get_special_port", Lesson::GetSpecialPort),
    ("task_set_special_port", Lesson::SetSpecialPort),
    ("mach_port_request_notification", Lesson::RequestNotification),
    ("device_open", Lesson::DeviceOpen),
    ("device_open_new", Lesson::DeviceOpen),
    ("boot_console", Lesson::BootConsole),
    ("boot_spawn", Lesson::BootSpawn),
    ("boot_exit", Lesson::BootExit),
    ("task_terminate", Lesson::Terminate),
    ("thread_get_state", Lesson::ThreadState),
    ("task_threads", Lesson::TaskThreads),
    ("mach_port_deallocate", Lesson::GiveBack),
    ("mach_port_destroy", Lesson::GiveBack),
    ("mach_port_mod_refs", Lesson::GiveBack),
    ("mach_port_rename", Lesson::GiveBack),
    ("mach_port_extract_right", Lesson::GiveBack),
    ("mach_port_insert_right", Lesson::InsertRight),
    ("exec_startup_get_info", Lesson::Startup),
    ("file_exec", Lesson::Exec),
    ("file_exec_paths", Lesson::Exec),
    ("dir_lookup", Lesson::Lookup),
    ("io_reauthenticate", Lesson::Reauthenticate),
    ("auth_user_authenticate", Lesson::Authenticate),
    ("io_duplicate", Lesson::SameFile),
    ("io_restrict_auth", Lesson::SameFile),
    ("file_reparent", Lesson::SameFile),
    ("proc_task2proc", Lesson::ProcOfTask),
    ("proc_setmsgport", Lesson::SetMessagePort),
    ("term_open_ctty", Lesson::OpenTerminal),
];

/// Special ports, as a message has them.
const EXCEPTION_PORT: i64 = TASK_EXCEPTION_PORT as i64;
const BOOTSTRAP_PORT: i64 = TASK_BOOTSTRAP_PORT as i64;

/// The routines that tell something, by the `msgh_id` of their requests.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    known: Vec<(u32, Lesson)>,
    /// A bit for the last eight of each id: most messages are of none, and are asked about several times.
    some: [u64; 4],
}

/// Where the bit of an id is.
fn bit(id: u32) -> (usize, u64) {
    ((id >> 6 & 3) as usize, 1 << (id & 63))
}

impl Lessons {
    /// Those that the tables have.
    pub(crate) fn new(tables: Tables<'_>) -> Self {
        let known = |name: &str| LESSONS.iter().find(|lesson| lesson.0 == name).map(|lesson| lesson.1);
        let found = tables.routines().filter_map(|routine| Some((routine.request_id(), known(routine.name())?)));
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|lesson| lesson.0);
        let mut some = [0; 4];
        for (word, bit) in found.iter().map(|lesson| bit(lesson.0)) {
            some[word] |= bit;
        }
        Self { known: found, some }
    }

    /// Whether a request with this id, or its reply, may tell something.
    pub(crate) fn has(&self, request: u32) -> bool {
        self.get(request).is_some()
    }

    /// Whether nothing but the right in the reply to it tells something: [`Names::brought`].
    pub(crate) fn has_in_answer(&self, request: u32) -> bool {
        self.get(request) == Some(Lesson::BootConsole)
    }

    /// Whether it tells something only where tasks are known to hold ports for something: [`Names::may_give_back`].
    pub(crate) fn is_of_rights(&self, request: u32) -> bool {
        matches!(self.get(request), Some(Lesson::GiveBack | Lesson::InsertRight))
    }

    /// Whether it tells what tasks and ports are. What they have given back says only what they held a port for.
    pub(crate) fn names(&self, request: u32) -> bool {
        self.has(request) && !self.is_of_rights(request)
    }

    /// Whether it sets a special port of a task.
    pub(crate) fn is_special_port_set(&self, exchange: &Exchange<'_>) -> bool {
        self.of(exchange) == Some(Lesson::SetSpecialPort)
    }

    /// Whether a program is told what it is given at its start: calls of its task that are open are of the program before.
    pub(crate) fn is_start(&self, exchange: &Exchange<'_>) -> bool {
        self.of(exchange) == Some(Lesson::Startup)
    }

    fn of(&self, exchange: &Exchange<'_>) -> Option<Lesson> {
        self.get(exchange.subject.msgh_id?)
    }

    fn get(&self, request: u32) -> Option<Lesson> {
        let (word, bit) = bit(request);
        if self.some[word] & bit == 0 {
            return None;
        }
        let place = self.known.binary_search_by_key(&request, |lesson| lesson.0).ok()?;
        Some(self.known[place].1)
    }
}

impl Names {
    /// Learns from a request, once it has been told.
    pub(crate) fn requested(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>) {
        let Some(event) = &exchange.request else { return };
        match exchange.role {
            Role::Client => self.asked(tables, exchange, event),
            Role::Control { of_thread: false } => match self.lessons.of(exchange) {
                Some(Lesson::SetName) => {
                    let message = exchange.decode_request(tables);
                    let name = message.as_ref().and_then(|message| text(message, "name"));
                    name.iter().for_each(|name| self.rename(exchange.actor.task, name));
                }
                Some(Lesson::GiveBack | Lesson::InsertRight) => {
                    self.gives_back(tables, exchange, exchange.actor.task);
                }
                _ => {}
            },
            Role::Exception { .. } => self.crashed(exchange.actor.task, exchange.id, event),
            _ => {}
        }
    }

    /// Learns from a request of a task's own.
    fn asked(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>, event: &Event) {
        if let Some(reply) = event.reply_port().filter(|reply| reply.kind == port::NONE) {
            self.suggest(reply, What::ReplyPort(exchange.actor.task));
        }
        if self.has_given() {
            self.gives_away(exchange.actor.task, event);
        }
        match self.lessons.of(exchange) {
            Some(Lesson::SetName) => {
                let target = event.remote_port().and_then(|port| self.task_of(port));
                if let (Some(target), Some(message)) = (target, exchange.decode_request(tables)) {
                    text(&message, "name").iter().for_each(|name| self.rename(target, name));
                }
            }
            Some(Lesson::RequestNotification) if self.is_own(exchange) => {
                let message = exchange.decode_request(tables);
                if let Some(port) = message.and_then(|message| event.port(port_name(&message, "name")?)) {
                    self.asks_of(exchange.actor.task, *port);
                }
            }
            Some(Lesson::BootExit) if event.remote_port().is_some_and(|port| self.is_bootstrap(port)) => {
                let message = exchange.decode_request(tables);
                let status = message.and_then(|message| i32::try_from(number(&message, "status")?).ok());
                status.iter().for_each(|status| self.says_status(exchange.actor.task, *status));
            }
            Some(Lesson::SetSpecialPort) => {
                let message = exchange.decode_request(tables).filter(sets_trace_port);
                if let Some(port) = message.and_then(|message| event.port(right(&message, "special_port")?)) {
                    self.speaks(&port.clone(), Interface::Trace);
                }
            }
            Some(Lesson::BootSpawn) => {
                let message = exchange.decode_request(tables);
                if let Some(port) = message.and_then(|message| event.port(right(&message, "exit_port")?)) {
                    self.speaks(&port.clone(), Interface::Boot);
                }
            }
            Some(Lesson::Terminate) if self.is_own(exchange) => {
                self.goes_on(exchange.actor.task, exchange.actor.thread, true);
            }
            Some(lesson) => self.hurd_asked(exchange, event, tables, lesson),
            None => {}
        }
    }

    /// Learns from a successful answer, before it is told. The task of this trace that has been ended by it.
    pub(crate) fn replied(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>) -> Option<TaskIndex> {
        if matches!(exchange.role, Role::Exception { .. }) {
            self.recovered(exchange.actor.task, exchange.id);
            return None;
        }
        match (self.lessons.of(exchange)?, exchange.role) {
            (Lesson::Terminate, Role::Client) => return self.target(exchange),
            (Lesson::Terminate, Role::Control { of_thread: false }) => return Some(exchange.actor.task),
            (Lesson::TaskThreads, Role::Client) => {
                self.target(exchange).iter().for_each(|target| self.meet_threads(*target, exchange));
            }
            (Lesson::TaskThreads, Role::Control { .. }) => self.meet_threads(exchange.actor.task, exchange),
            (Lesson::ThreadState, _) => self.learn_state(tables, exchange),
            (Lesson::GiveBack, _) => {}
            (Lesson::InsertRight, _) if !self.has_given() => {}
            (Lesson::Lookup, Role::Server) => self.hurd_served(tables, exchange),
            (lesson, Role::Client) => self.answered(tables, exchange, lesson),
            _ => {}
        }
        None
    }

    /// Learns from an answer to a request of a task's own.
    fn answered(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>, lesson: Lesson) {
        let (Some(request), Some(reply)) = (exchange.decode_request(tables), exchange.decode_reply(tables)) else {
            return;
        };
        let task = exchange.actor.task;
        // The answer's only right or name, and that of a port which a task has asked to have under its own name.
        let brought = exchange.reply.as_ref().and_then(|event| event.port(first_name(&reply)?)).copied();
        match (lesson, brought) {
            (Lesson::TaskCreate, Some(child)) if child.object.get() != 0 => {
                let child = self.task(child.object.get());
                let parent = self.target(exchange).unwrap_or(task);
                self.created(parent, child);
                if parent == task && is_true(&request, "inherit_memory") {
                    self.forked(parent, child);
                }
            }
            (Lesson::ThreadCreate, Some(thread)) => {
                if let Some(target) = self.target(exchange) {
                    self.meet_thread(target, thread.object.get());
                }
            }
            (Lesson::Allocate, Some(port))
                if self.is_own(exchange) && number(&request, "right") == Some(MACH_PORT_RIGHT_RECEIVE.into()) =>
            {
                self.made(&port, task);
            }
            (Lesson::GetSpecialPort, Some(port)) => match number(&request, "which_port") {
                Some(EXCEPTION_PORT) => self.suggest(&port, What::ExceptionPort),
                Some(BOOTSTRAP_PORT) => {
                    self.speaks(&port, Interface::Boot);
                    self.suggest(&port, What::Bootstrap);
                }
                _ => {}
            },
            (Lesson::DeviceOpen, Some(port)) => {
                text(&request, "name").iter().for_each(|name| self.learn(&port, What::Device((*name).into())));
            }
            (Lesson::BootConsole, Some(port)) => self.brought(&[port]),
            (Lesson::BootSpawn, Some(port)) => {
                let program = text(&request, "arguments").and_then(|words| words.split(|byte| *byte == 0).next());
                program.iter().for_each(|program| self.learn(&port, What::Program((*program).into())));
            }
            (lesson, brought) => self.hurd_answered(exchange, (&request, &reply), lesson, brought),
        }
    }

    /// The threads of a task, which an answer brings.
    fn meet_threads(&mut self, task: TaskIndex, exchange: &Exchange<'_>) {
        for right in exchange.reply.iter().flat_map(Event::elements).filter(|right| right.kind == port::THREAD) {
            self.meet_thread(task, right.object.get());
        }
    }

    /// Learns from the ports of a successful answer that brings the console: nothing, almost always.
    pub(crate) fn brought(&mut self, ports: &[Port]) {
        let console = ports.iter().find(|port| !port.is_received_on());
        if let Some(port) = console.filter(|port| !self.knows(port)) {
            self.suggest(port, What::Device(b"console"[..].into()));
        }
    }

    /// Learns where a thread is from what somebody was told of its registers.
    fn learn_state(&mut self, tables: Tables<'_>, exchange: &Exchange<'_>) {
        let thread = match exchange.role {
            Role::Control { .. } => Some(exchange.actor.thread),
            Role::Client => exchange.request.as_ref().and_then(Event::remote_port).map(|port| port.object.get()),
            _ => None,
        };
        let message = exchange.decode_request(tables).zip(exchange.decode_reply(tables));
        let message = message.map(|(request, reply)| reply.to_request(&request));
        let Some(Value::Struct(state)) = message.and_then(|message| field(&message, "old_state")) else { return };
        let pointer = state.fields().find(|member| matches!(member.name, "rip" | "eip")).map(|member| member.value);
        if let (Some(thread @ 1..), Some(Value::Unsigned { value, .. })) = (thread, pointer) {
            self.thread_is_at(thread, value);
        }
    }

    /// The task of this trace that a request was sent to by its control port.
    pub(crate) fn target(&self, exchange: &Exchange<'_>) -> Option<TaskIndex> {
        self.task_of(exchange.request.as_ref()?.remote_port()?)
    }

    /// Whether it is known to be the bootstrap port of a task.
    fn is_bootstrap(&self, port: &Port) -> bool {
        matches!(self.named(port), Named::Known(What::Bootstrap))
    }

    /// Whether it is a request of a task to itself, so that the names in it are its own.
    fn is_own(&self, exchange: &Exchange<'_>) -> bool {
        self.target(exchange) == Some(exchange.actor.task)
    }
}

/// Whether a `task_set_special_port` is about the trace port.
pub(crate) fn sets_trace_port(request: &Message<'_>) -> bool {
    number(request, "which_port") == Some(TASK_TRACE_PORT.into())
}

fn field<'a>(message: &Message<'a>, name: &str) -> Option<Value<'a>> {
    message.fields().map_while(Result::ok).find(|field| field.name == name).map(|field| field.value)
}

/// The first right or name in a reply.
fn first_name(reply: &Message<'_>) -> Option<u32> {
    reply.fields().map_while(Result::ok).find_map(|field| match field.value {
        Value::Port(right) => Some(right.name),
        Value::PortName(name) => Some(name),
        _ => None,
    })
}

pub(crate) fn port_name(message: &Message<'_>, name: &str) -> Option<u32> {
    match field(message, name)? {
        Value::PortName(name) => Some(name),
        _ => None,
    }
}

pub(crate) fn right(message: &Message<'_>, name: &str) -> Option<u32> {
    match field(message, name)? {
        Value::Port(right) => Some(right.name),
        _ => None,
    }
}

pub(crate) fn text<'a>(message: &Message<'a>, name: &str) -> Option<&'a [u8]> {
    match field(message, name)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

pub(crate) fn number(message: &Message<'_>, name: &str) -> Option<i64> {
    match field(message, name)? {
        Value::Signed { value, .. } => Some(value),
        Value::Unsigned { value, .. } => i64::try_from(value).ok(),
        _ => None,
    }
}

fn is_true(message: &Message<'_>, name: &str) -> bool {
    matches!(field(message, name), Some(Value::Bool(true)))
}
