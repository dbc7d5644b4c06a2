// SPDX-License-Identifier: GPL-2.0-or-later
//! What tasks, threads and ports are.
//!
//! The records say which port each name in a message stands for, by a number that is the same in all tasks, and what the kernel knows of
//! it: that it is a task's, a thread's, the host's. What else is known of a port, some messages tell: lessons.rs. Nothing is
//! inferred from how a port is used: what is not known is a number.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use mig_defs::table::Tables;
use trace_port::{EventKind, Port, port};

use crate::event::Event;
use crate::exchange::Actor;
use crate::fate::Fates;
use crate::given::Given;
use crate::hurd::Lookups;
use crate::lessons::Lessons;
use crate::ours::Interface;

/// Place of a task in the order in which this trace met them; the number that is shown is one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskIndex(pub usize);

/// What is known of a port that a task receives from, or of one of the kernel's of which there are many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Where a task's replies come.
    ReplyPort(TaskIndex),
    /// A task made it, as its so many-th, from 1.
    MadeBy(TaskIndex, u32),
    /// The bootstrap port of a task of this trace.
    Bootstrap,
    /// The exception port of a task of this trace.
    ExceptionPort,
    /// The device of this name.
    Device(Rc<[u8]>),
    /// The task that the boot server made for this program.
    Program(Rc<[u8]>),
    /// The file that this name was looked up for.
    File(Rc<[u8]>),
    /// What a task of this trace, or others for it, ask the Hurd's proc server by.
    Proc(TaskIndex),
    /// Where a task of this trace gets signals.
    MessagePort(TaskIndex),
}

/// What a name in a message stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// The control port of a task of this trace.
    Task(TaskIndex),
    /// The control port of a thread of this trace: its task, and its number in it, from 1.
    Thread(TaskIndex, usize),
    /// It is known which one it is.
    Known(&'a What),
    /// A port of this kind, by the kernel's number for it.
    Port(Kind, u32),
    /// A set of ports.
    PortSet,
}

/// What kind of port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A task receives from it.
    Port,
    /// The control port of a task that is not traced.
    Task,
    /// That of a thread of one.
    Thread,
    /// The host's name port.
    Host,
    /// The host's privileged port.
    HostPrivileged,
    /// The master device port.
    MasterDevice,
    /// A device.
    Device,
    /// A processor.
    Processor,
    /// A processor set, or its name port.
    ProcessorSet,
    /// A memory object of the kernel's.
    MemoryObject,
    /// The kernel's side of a memory object.
    MemoryControl,
    /// What says which one is mapped.
    MemoryName,
    /// Another of the kernel's.
    Kernel,
}

impl Kind {
    fn of(kind: u8) -> Self {
        match kind {
            port::NONE => Self::Port,
            port::TASK => Self::Task,
            port::THREAD => Self::Thread,
            port::HOST => Self::Host,
            port::HOST_PRIVILEGED => Self::HostPrivileged,
            port::MASTER_DEVICE => Self::MasterDevice,
            port::DEVICE => Self::Device,
            port::PROCESSOR => Self::Processor,
            port::PROCESSOR_SET | port::PROCESSOR_SET_NAME => Self::ProcessorSet,
            port::MEMORY_OBJECT => Self::MemoryObject,
            port::MEMORY_CONTROL => Self::MemoryControl,
            port::MEMORY_NAME => Self::MemoryName,
            _ => Self::Kernel,
        }
    }
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

#[derive(Debug, Default)]
pub(crate) struct Task {
    /// The kernel's number; `None` of the command until its first record.
    number: Option<u32>,
    /// As it is set, or as the kernel makes it of the parent's.
    name: Vec<u8>,
    /// The kernel's numbers of its threads, in the order in which they were met.
    threads: Vec<u32>,
    /// Ports that it has made.
    made: u32,
    /// What is known of its end.
    pub(crate) fates: Fates,
    /// What it holds ports for.
    pub(crate) given: Vec<Given>,
    /// The task whose copy it is, and it has done nothing yet.
    fork_of: Option<TaskIndex>,
    /// It has done something itself since it was made, or since it began to be another program.
    acts: bool,
}

/// What is known.
#[derive(Debug)]
pub struct Names {
    pub(crate) tasks: Vec<Task>,
    /// By the kernel's number.
    ports: BTreeMap<u32, What>,
    /// What a task's name stood for when it asked to be told of its end.
    told_of: BTreeMap<(TaskIndex, u32), Port>,
    /// Which interface of ours messages to a port are of, by the kernel's number.
    pub(crate) ours: BTreeMap<u32, Interface>,
    pub(crate) lessons: Lessons,
    /// The tasks that hold a port for something, by the kernel's number.
    pub(crate) holders: BTreeMap<u32, Vec<TaskIndex>>,
    pub(crate) lookups: Lookups,
    /// An exception has been raised.
    pub(crate) has_crashed: bool,
    /// The first task is the command, of whose end its parent is told.
    pub(crate) has_command: bool,
    /// The kernel leaves messages out: what a task holds a port for may change unseen, and what it does itself is not known.
    pub(crate) is_filtered: bool,
    /// That, or some task holds a port for something: [`Names::watch`].
    pub(crate) is_watched: bool,
}

impl Names {
    /// For a trace of this command.
    pub fn new(tables: Tables<'_>, command: &str) -> Self {
        let base = command.rsplit('/').next().unwrap_or(command);
        let command = Task { name: base.into(), ..Task::default() };
        Self {
            tasks: Vec::from([command]),
            ports: BTreeMap::new(),
            told_of: BTreeMap::new(),
            ours: BTreeMap::new(),
            lessons: Lessons::new(tables),
            holders: BTreeMap::new(),
            lookups: Lookups::default(),
            has_crashed: false,
            is_filtered: false,
            is_watched: false,
            has_command: true,
        }
    }

    /// The task of an event, which may be a new one.
    pub(crate) fn meet(&mut self, event: &Event) -> TaskIndex {
        let index = self.task(event.task);
        self.meet_thread(index, event.thread);
        index
    }

    /// The task with the kernel's number, which may be a new one. The first is the command.
    pub(crate) fn task(&mut self, number: u32) -> TaskIndex {
        if let Some(known) = self.find(number) {
            return known;
        }
        if self.tasks[0].number.is_none() {
            self.tasks[0].number = Some(number);
            return TaskIndex(0);
        }
        self.tasks.push(Task { number: Some(number), ..Task::default() });
        TaskIndex(self.tasks.len() - 1)
    }

    /// What [`Names::task`] would answer.
    pub(crate) fn would_be(&self, number: u32) -> TaskIndex {
        let first_is_free = self.tasks.first().is_some_and(|first| first.number.is_none());
        let new = TaskIndex(if first_is_free { 0 } else { self.tasks.len() });
        self.find(number).unwrap_or(new)
    }

    /// A thread of a task; 0 is none.
    pub(crate) fn meet_thread(&mut self, task: TaskIndex, thread: u32) {
        if let Some(known) = self.tasks.get_mut(task.0)
            && thread != 0
            && !known.threads.contains(&thread)
        {
            known.threads.push(thread);
        }
    }

    /// The task with the kernel's number, if it has been met.
    pub fn find(&self, number: u32) -> Option<TaskIndex> {
        self.tasks.iter().position(|task| task.number == Some(number)).map(TaskIndex)
    }

    /// What the lines of a task begin with.
    pub fn label(&self, task: TaskIndex, thread: u32) -> Label<'_> {
        let number = task.0 + 1;
        let Some(known) = self.tasks.get(task.0) else { return Label { name: &[], task: number, thread: None } };
        let thread = match known.threads.len() {
            0 | 1 => None,
            _ => known.threads.iter().position(|number| *number == thread).map(|place| place + 1),
        };
        Label { name: &known.name, task: number, thread }
    }

    /// The number of a thread in its task, from 1, whether or not lines show it.
    pub fn place_of(&self, actor: Actor) -> Option<usize> {
        let known = self.tasks.get(actor.task.0)?;
        known.threads.iter().position(|number| *number == actor.thread).map(|place| place + 1)
    }

    /// Whether the kernel was to leave messages out of the trace.
    pub fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// What a name stands for.
    pub fn named(&self, port: &Port) -> Named<'_> {
        let (number, object) = (port.number.get(), port.object.get());
        let kind = Kind::of(port.kind);
        match port.kind {
            port::PORT_SET => return Named::PortSet,
            // There is one of each.
            port::HOST | port::HOST_PRIVILEGED | port::MASTER_DEVICE => return Named::Port(kind, number),
            port::TASK => {
                if let Some(task) = self.find(object).filter(|_| object != 0) {
                    return Named::Task(task);
                }
            }
            port::THREAD => {
                if let Some((task, place)) = self.find_thread(object).filter(|_| object != 0) {
                    return Named::Thread(task, place);
                }
            }
            _ => {}
        }
        self.ports.get(&number).map_or(Named::Port(kind, number), Named::Known)
    }

    /// What a task's name stood for when it asked to be told of its end.
    pub fn told_of(&self, task: TaskIndex, name: u32) -> Option<&Port> {
        self.told_of.get(&(task, name))
    }

    fn find_thread(&self, number: u32) -> Option<(TaskIndex, usize)> {
        self.tasks.iter().enumerate().find_map(|(task, known)| {
            let place = known.threads.iter().position(|thread| *thread == number)?;
            Some((TaskIndex(task), place + 1))
        })
    }

    /// The task whose control port this is.
    pub(crate) fn task_of(&self, port: &Port) -> Option<TaskIndex> {
        match self.named(port) {
            Named::Task(task) => Some(task),
            _ => None,
        }
    }

    /// What is said about a port holds until something else is said.
    pub(crate) fn learn(&mut self, port: &Port, what: What) {
        if port.number.get() != 0 {
            self.ports.insert(port.number.get(), what);
        }
    }

    /// Whether something is known of it that some message has told.
    pub(crate) fn knows(&self, port: &Port) -> bool {
        self.ports.contains_key(&port.number.get())
    }

    /// What is known of the port with this number that some message has told.
    pub(crate) fn what(&self, number: u32) -> Option<&What> {
        self.ports.get(&number)
    }

    /// What was said of a port, if it is such, does not hold any more.
    pub(crate) fn unlearn(&mut self, number: u32, is_such: impl Fn(&What) -> bool) {
        if self.ports.get(&number).is_some_and(is_such) {
            self.ports.remove(&number);
        }
    }

    /// What was said of all such ports does not hold any more.
    pub(crate) fn unlearn_all(&mut self, is_such: impl Fn(&What) -> bool) {
        self.ports.retain(|_, what| !is_such(what));
    }

    /// Takes note of what a port is if nothing is known of it.
    pub(crate) fn suggest(&mut self, port: &Port, what: What) {
        if port.number.get() != 0 {
            self.ports.entry(port.number.get()).or_insert(what);
        }
    }

    /// A task has made a port.
    pub(crate) fn made(&mut self, port: &Port, by: TaskIndex) {
        if let Some(task) = self.tasks.get_mut(by.0) {
            task.made += 1;
            let what = What::MadeBy(by, task.made);
            self.learn(port, what);
        }
    }

    /// A task asks to be told of the end of what it has this name for.
    pub(crate) fn asks_of(&mut self, task: TaskIndex, port: Port) {
        self.told_of.insert((task, port.name.get()), port);
    }

    /// A task is called so from now on.
    pub(crate) fn rename(&mut self, task: TaskIndex, name: &[u8]) {
        if let Some(known) = self.tasks.get_mut(task.0) {
            known.name = name.to_vec();
        }
    }

    /// The tasks of this trace ran before it: there is no command, and their names are told. If there is only one, whatever comes first is of
    /// that one, which has this name.
    pub(crate) fn have_run_before(&mut self, only: Option<&str>) {
        self.has_command = false;
        self.rename(TaskIndex(0), only.unwrap_or("").as_bytes());
    }

    /// A task does something itself.
    pub(crate) fn acts(&mut self, actor: Actor, event: &Event) {
        let Some(known) = self.tasks.get_mut(actor.task.0) else { return };
        if event.kind == EventKind::Normal {
            known.fates.goes_on(actor.thread, false);
        }
        // Whoever ends a thread for another program ends what it waits for, too.
        if event.retval == 0 {
            (known.acts, known.fork_of) = (true, None);
        }
    }

    /// A task is to become another program.
    pub(crate) fn loads(&mut self, task: TaskIndex) {
        if let Some(known) = self.tasks.get_mut(task.0) {
            known.acts = false;
        }
    }

    /// Whether a task has done nothing itself since it was made, or since it began to be another program.
    pub fn is_loading(&self, task: TaskIndex) -> bool {
        !self.is_filtered && self.tasks.get(task.0).is_some_and(|task| !task.acts)
    }

    /// A task has made a copy of itself.
    pub(crate) fn forked(&mut self, parent: TaskIndex, child: TaskIndex) {
        if let Some(known) = self.tasks.get_mut(child.0).filter(|child| !child.acts) {
            known.fork_of = Some(parent);
        }
    }

    /// Whether a task is a copy of that one, and has done nothing yet.
    pub(crate) fn is_fork_of(&self, child: TaskIndex, parent: TaskIndex) -> bool {
        self.tasks.get(child.0).is_some_and(|child| child.fork_of == Some(parent))
    }

    /// A task has made another, which the kernel has named after it. It may have named itself meanwhile.
    pub(crate) fn created(&mut self, parent: TaskIndex, child: TaskIndex) {
        let name = self.label(parent, 0).name.to_vec();
        if let Some(known) = self.tasks.get_mut(child.0).filter(|child| child.name.is_empty()) {
            known.name = [b"(", &name[..], b")"].concat();
        }
    }
}
