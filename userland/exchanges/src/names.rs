//! What tasks and ports are, learned from the trace itself.
//!
//! A right comes into a task's name space by a message, which the trace shows, or by one of four traps
//! (`mach_task_self`, `mach_thread_self`, `mach_host_self`, `mach_reply_port`), which it does not. So a name that no
//! message brought and that is used as a task can only be the task's own, and so on ([`Names::sent`]).

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use mig_defs::decode::Message;
use mig_defs::value::{Field, Value, View};
use mig_defs::wire::type_name;
use trace_port::TASK_TRACE_PORT;

use crate::event::Event;
use crate::pair::is_name;

/// Place of a task in the order in which this trace met them; the number that is shown is one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskIndex(pub usize);

/// What a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The control port of a task of this trace.
    Task(TaskIndex),
    /// That of a thread, by the kernel's number of it.
    Thread(u32),
    /// Where replies come.
    ReplyPort,
    /// One of many, of which no more is known.
    Kind(Kind),
    /// The host's name port.
    Host,
    /// The host's privileged port.
    HostPrivileged,
    /// The master device port.
    DeviceMaster,
    /// The task's bootstrap port.
    Bootstrap,
    /// The task's exception port.
    ExceptionPort,
    /// The task's trace port.
    TracePort,
    /// The device of this name.
    Device(Rc<[u8]>),
    /// The task that the boot server made for this program.
    Program(Rc<[u8]>),
}

/// What kind of port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A port that a task has made.
    Port,
    /// A set of ports.
    PortSet,
    /// The name of a port that is dead.
    DeadName,
    /// The control port of a thread.
    Thread,
    /// The control port of a task.
    Task,
    /// A device.
    Device,
    /// A processor.
    Processor,
    /// A processor set.
    ProcessorSet,
    /// A memory object.
    MemoryObject,
    /// The kernel's side of one.
    MemoryControl,
    /// What says which one is mapped.
    MemoryName,
}

/// What a task's lines begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// The task's name; empty if it is not known.
    pub name: &'a [u8],
    /// The number of the task, from 1.
    pub task: usize,
    /// That of the thread in the task, from 1, if the task has several.
    pub thread: Option<usize>,
}

#[derive(Clone, Debug)]
struct Port {
    what: What,
    /// User references, as far as messages brought them; `None` if a trap did.
    refs: Option<u32>,
    /// The last known reference was given up, so the name may already stand for something else.
    stale: bool,
}

#[derive(Debug)]
struct Task {
    /// The kernel's number; `None` until its first record.
    number: Option<u32>,
    /// As it is set, or as the kernel makes it of the parent's.
    name: Vec<u8>,
    /// Nobody has been seen to create it.
    foundling: bool,
    /// Someone has set its name.
    named: bool,
    /// The kernel's numbers of its threads, in the order of their first records.
    threads: Vec<u32>,
    ports: BTreeMap<u32, Port>,
}

/// All names of a trace.
#[derive(Debug)]
pub struct Names {
    tasks: Vec<Task>,
}

impl Task {
    fn new(name: Vec<u8>) -> Self {
        Self { number: None, name, foundling: false, named: false, threads: Vec::new(), ports: BTreeMap::new() }
    }

    /// Whether nothing certain is known about a name.
    fn is_open(&self, name: u32) -> bool {
        is_name(name) && self.ports.get(&name).is_none_or(|port| port.stale)
    }

    /// A name that a trap gave to the task.
    fn learn_from_use(&mut self, name: u32, what: What) {
        if is_name(name) {
            self.ports.insert(name, Port { what, refs: None, stale: false });
        }
    }

    /// A reference that a message gave to the task. A name that is known already stands for the same port as before,
    /// unless this says otherwise.
    fn learn(&mut self, name: u32, what: What) {
        match self.ports.get_mut(&name) {
            Some(port) if !port.stale && port.what == what => port.refs = port.refs.map(|refs| refs.saturating_add(1)),
            _ if is_name(name) => drop(self.ports.insert(name, Port { what, refs: Some(1), stale: false })),
            _ => {}
        }
    }

    fn release(&mut self, name: u32, count: u32) {
        if let Some(port) = self.ports.get_mut(&name) {
            let left = port.refs.unwrap_or(0).saturating_sub(count);
            port.refs = port.refs.map(|_| left);
            port.stale = left == 0;
        }
    }
}

impl Names {
    /// For a trace of this command.
    pub fn new(command: &str) -> Self {
        let base = command.rsplit('/').next().unwrap_or(command);
        Self { tasks: Vec::from([Task::new(base.into())]) }
    }

    /// The task of an event, which may be a new one.
    pub fn meet(&mut self, event: &Event) -> TaskIndex {
        let index = self.find(event.task).unwrap_or_else(|| self.claim(event.task));
        let task = &mut self.tasks[index.0];
        // 0 is no thread: the message was for the task.
        if event.thread != 0 && !task.threads.contains(&event.thread) {
            task.threads.push(event.thread);
        }
        index
    }

    /// The task with the kernel's number, if it has been met.
    pub fn find(&self, number: u32) -> Option<TaskIndex> {
        self.tasks.iter().position(|task| task.number == Some(number)).map(TaskIndex)
    }

    /// A first record: which of the tasks that were created and not yet heard of is it? The kernel counts tasks up in the
    /// order of their creation.
    fn claim(&mut self, number: u32) -> TaskIndex {
        let expected: Vec<usize> = (0..self.tasks.len()).filter(|index| self.tasks[*index].number.is_none()).collect();
        let last = self.tasks.iter().filter_map(|task| task.number).max();
        let place = last.and_then(|last| number.checked_sub(last)?.checked_sub(1)).unwrap_or(0) as usize;
        let index = match expected.get(place).or(expected.first()) {
            Some(index) => *index,
            None => {
                let name = in_parentheses(&self.tasks[0].name);
                self.tasks.push(Task { foundling: true, ..Task::new(name) });
                self.tasks.len() - 1
            }
        };
        self.tasks[index].number = Some(number);
        TaskIndex(index)
    }

    /// A task was created: a foundling if there is one, else one not yet heard of.
    fn create(&mut self, parent: TaskIndex) -> TaskIndex {
        let found = self.tasks.iter().position(|task| task.foundling);
        let index = found.unwrap_or_else(|| {
            self.tasks.push(Task::new(Vec::new()));
            self.tasks.len() - 1
        });
        // The kernel names a new task after its parent, in parentheses.
        let name = in_parentheses(&self.tasks[parent.0].name);
        let task = &mut self.tasks[index];
        task.foundling = false;
        if !task.named {
            task.name = name;
        }
        TaskIndex(index)
    }

    /// What the lines of a task begin with.
    pub fn label(&self, task: TaskIndex, thread: u32) -> Label<'_> {
        let number = task.0 + 1;
        let Some(known) = self.tasks.get(task.0) else { return Label { name: &[], task: number, thread: None } };
        let place = known.threads.iter().position(|number| *number == thread);
        let thread = place.filter(|_| known.threads.len() > 1).map(|place| place + 1);
        Label { name: &known.name, task: number, thread }
    }

    /// How many tasks the trace has met or seen created.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// What the port is that the task has this name for, if it is known.
    pub fn what(&self, task: TaskIndex, name: u32) -> Option<&What> {
        self.tasks.get(task.0)?.ports.get(&name).map(|port| &port.what)
    }

    /// The task whose name space the port names in a request are of: `mach_port_allocate(task: task[2], ...)`.
    pub fn space_of(&self, task: TaskIndex, request: &Message<'_>) -> TaskIndex {
        let port = match request.fields().next() {
            Some(Ok(Field { type_name: "ipc_space_t", value: Value::Port(right), .. })) => right.name,
            _ => return task,
        };
        match self.what(task, port) {
            Some(What::Task(index)) => *index,
            _ => task,
        }
    }

    /// The task that a request's first argument is, if the trace knows it.
    pub fn first_task(&self, task: TaskIndex, request: &Message<'_>) -> Option<TaskIndex> {
        match request.fields().next()?.ok()?.value {
            Value::Port(right) => match self.what(task, right.name)? {
                What::Task(index) => Some(*index),
                _ => None,
            },
            _ => None,
        }
    }

    /// Learns from a message that is being sent: what its ports must be, before it is printed.
    pub fn sent(&mut self, task: TaskIndex, event: &Event, message: Option<&Message<'_>>) {
        let Some(header) = event.mach_header else { return };
        let known = &mut self.tasks[task.0];
        let reply_port = header.local_port as u32;
        if u32::from(header.local_disposition()) == type_name::MAKE_SEND_ONCE && known.is_open(reply_port) {
            known.learn_from_use(reply_port, What::ReplyPort);
        }
        if let Some(Ok(field)) =
            message.filter(|message| !message.is_reply()).and_then(|message| message.fields().next())
            && known.is_open(header.remote_port)
            && let Some(what) = self.by_use(task, event.thread, &field)
        {
            self.tasks[task.0].learn_from_use(header.remote_port, what);
        }
    }

    /// What a name is that no message brought and that is used like this.
    fn by_use(&self, task: TaskIndex, thread: u32, port: &Field<'_>) -> Option<What> {
        let has = |what: &What| self.tasks[task.0].ports.values().any(|port| !port.stale && port.what == *what);
        let what = match (port.type_name, port.name) {
            ("task_t" | "vm_task_t" | "ipc_space_t", _) => What::Task(task),
            ("thread_t", _) => What::Thread(thread),
            ("host_t", _) => What::Host,
            ("host_priv_t", _) => What::HostPrivileged,
            (_, "master_port") => What::DeviceMaster,
            (_, "bootstrap") => What::Bootstrap,
            _ => return None,
        };
        // One task has one name for each of these, so this must be something else.
        if has(&what) { None } else { Some(what) }
    }

    /// Learns from a message that was sent, once it is printed: what it took along and what it changed.
    pub fn after_sent(&mut self, task: TaskIndex, event: &Event, message: Option<&Message<'_>>) {
        let Some(header) = event.mach_header else { return };
        let known = &mut self.tasks[task.0];
        if u32::from(header.remote_disposition()) == type_name::MOVE_SEND_ONCE {
            known.ports.remove(&header.remote_port);
        }
        let Some(message) = message else { return };
        for field in message.fields().skip(1).map_while(Result::ok) {
            if let Value::Port(right) = field.value
                && (type_name::MOVE_RECEIVE..=type_name::MOVE_SEND_ONCE).contains(&u32::from(right.disposition.0))
            {
                known.release(right.name, 1);
            }
        }
        if message.routine().name() == "thread_terminate_release" {
            for gone in ["thread_name", "reply_port"] {
                if let Some(Value::PortName(name)) = field(message, gone) {
                    self.tasks[task.0].ports.remove(&name);
                }
            }
        }
        if message.routine().name() == "task_set_name"
            && let Some(Value::Text(name)) = field(message, "name")
            && let Some(What::Task(index)) = self.what(task, header.remote_port).cloned()
        {
            let renamed = &mut self.tasks[index.0];
            renamed.name = name.to_vec();
            renamed.named = true;
        }
    }

    /// Learns from a message that came in, before it is printed: what the rights in it are.
    pub fn received(&mut self, task: TaskIndex, message: &Message<'_>) {
        for field in message.fields().map_while(Result::ok) {
            if let Value::Port(right) = field.value
                && right.view == View::Received
            {
                self.came(task, right.name, kind_of_type(field.type_name));
            }
        }
    }

    /// A right came with a message whose type says at most which kind it is.
    fn came(&mut self, task: TaskIndex, name: u32, kind: Option<What>) {
        let known = &mut self.tasks[task.0];
        let before = known.ports.get(&name).filter(|port| !port.stale).map(|port| port.what.clone());
        match before.or(kind) {
            Some(what) => known.learn(name, what),
            None => drop(known.ports.remove(&name)),
        }
    }

    /// Learns from a successful reply, before it is printed.
    pub fn replied(&mut self, task: TaskIndex, request: &Message<'_>, reply: &Message<'_>) {
        let space = self.space_of(task, request);
        for field in reply.fields().map_while(Result::ok) {
            let what = match self.brought(task, request, field.name) {
                Some(what) => Some(what),
                None => kind_of_type(field.type_name),
            };
            match (field.value, what) {
                (Value::Port(right), Some(what)) if what.is_one() => {
                    self.tasks[task.0].learn(right.name, what);
                }
                (Value::Port(right), what) => self.came(task, right.name, what),
                (Value::PortName(name), Some(what)) => self.tasks[space.0].learn(name, what),
                _ => {}
            }
        }
    }

    /// What the argument `field` of a reply is, where the routine says so.
    fn brought(&mut self, task: TaskIndex, request: &Message<'_>, field: &str) -> Option<What> {
        match (request.routine().name(), field) {
            ("task_create", "child_task") => Some(What::Task(self.create(task))),
            // The boot server makes the task, so it is not traced with ours.
            ("boot_spawn", "task") => {
                let program = text(request, "arguments")?.split(|byte| *byte == 0).next()?;
                Some(What::Program(program.into()))
            }
            ("device_open" | "device_open_new", "device") => Some(What::Device(text(request, "name")?.into())),
            ("boot_console", "console") => Some(What::Device(b"console"[..].into())),
            ("task_get_special_port", "special_port") => match number(request, "which_port")? {
                1 => Some(What::Task(task)),
                3 => Some(What::ExceptionPort),
                4 => Some(What::Bootstrap),
                5 => Some(What::TracePort),
                _ => None,
            },
            ("mach_port_allocate", "name") => match number(request, "right")? {
                3 => Some(What::Kind(Kind::PortSet)),
                4 => Some(What::Kind(Kind::DeadName)),
                _ => Some(What::Kind(Kind::Port)),
            },
            _ => None,
        }
    }

    /// Learns from a successful reply, once it is printed: which names its request gave up or made.
    pub fn after_replied(&mut self, task: TaskIndex, request: &Message<'_>) {
        let space = self.space_of(task, request);
        let Some(Value::PortName(name)) = field(request, "name") else { return };
        match request.routine().name() {
            "mach_port_deallocate" => self.tasks[space.0].release(name, 1),
            "mach_port_destroy" => drop(self.tasks[space.0].ports.remove(&name)),
            "mach_port_mod_refs" => match (number(request, "right"), number(request, "delta")) {
                (Some(1 | 3), Some(..0)) => drop(self.tasks[space.0].ports.remove(&name)),
                (_, Some(delta @ ..0)) => {
                    let count = u32::try_from(delta.unsigned_abs()).unwrap_or(u32::MAX);
                    self.tasks[space.0].release(name, count);
                }
                (_, Some(_)) => self.came(space, name, None),
                _ => {}
            },
            "mach_port_allocate_name" => {
                let kind = if number(request, "right") == Some(3) { Kind::PortSet } else { Kind::Port };
                self.tasks[space.0].learn(name, What::Kind(kind));
            }
            "mach_port_insert_right" => {
                if let Some(Value::Port(right)) = field(request, "poly")
                    && let Some(what) = self.what(task, right.name).cloned()
                {
                    self.tasks[space.0].learn(name, what);
                }
            }
            _ => {}
        }
    }
}

impl What {
    /// Whether it says which one it is, and not only of what kind.
    fn is_one(&self) -> bool {
        !matches!(self, Self::Kind(_) | Self::Thread(_) | Self::ReplyPort)
    }
}

/// What the kernel calls the child of a task of this name.
fn in_parentheses(name: &[u8]) -> Vec<u8> {
    [b"(", name, b")"].concat()
}

/// Whether a task_set_special_port is about the trace port.
pub fn sets_trace_port(request: &Message<'_>) -> bool {
    number(request, "which_port") == Some(TASK_TRACE_PORT.into())
}

/// What a right of this type is, if the type alone says enough.
fn kind_of_type(type_name: &str) -> Option<What> {
    Some(What::Kind(match type_name {
        "thread_t" => Kind::Thread,
        "task_t" => Kind::Task,
        "device_t" => Kind::Device,
        "processor_t" => Kind::Processor,
        "processor_set_t" | "processor_set_name_t" => Kind::ProcessorSet,
        "memory_object_t" => Kind::MemoryObject,
        "memory_object_control_t" => Kind::MemoryControl,
        "memory_object_name_t" => Kind::MemoryName,
        _ => return None,
    }))
}

fn field<'a>(message: &Message<'a>, name: &str) -> Option<Value<'a>> {
    message.fields().map_while(Result::ok).find(|field| field.name == name).map(|field| field.value)
}

fn text<'a>(message: &Message<'a>, name: &str) -> Option<&'a [u8]> {
    match field(message, name)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn number(message: &Message<'_>, name: &str) -> Option<i64> {
    match field(message, name)? {
        Value::Signed { value, .. } => Some(value),
        Value::Unsigned { value, .. } => i64::try_from(value).ok(),
        _ => None,
    }
}
