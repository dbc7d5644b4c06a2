// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks and ports to text.

use alloc::string::String;
use alloc::vec::Vec;

use exchanges::names::{Kind, Label, Named, Names, What};
use exchanges::{Actor, Event, TaskIndex};
use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_PORT_DELETED};
use mach_abi::port::{MACH_PORT_DEAD, MACH_PORT_NULL};
use trace_port::record::PORT_NUMBER;
use trace_port::{EventKind, Port};

use crate::number::decimal;
use crate::pieces::{plain, quoted};

/// Appends what a task's lines begin with: `hello[1]`, or `hello[1/2]` of one of several threads.
pub(crate) fn label(out: &mut String, Label { name, task, thread }: Label<'_>) {
    plain(out, name);
    out.push('[');
    decimal(out, task);
    if let Some(thread) = thread {
        out.push('/');
        decimal(out, thread);
    }
    out.push(']');
}

/// A label and its text: lines of one thread often follow one another.
#[derive(Debug, Default)]
pub(crate) struct LastLabel {
    name: Vec<u8>,
    task: usize,
    thread: Option<usize>,
    text: String,
}

impl LastLabel {
    /// The text of a label.
    pub(crate) fn of(&mut self, new: Label<'_>) -> &str {
        if self.task != new.task || self.thread != new.thread || self.name != new.name {
            self.text.clear();
            label(&mut self.text, new);
            (self.task, self.thread) = (new.task, new.thread);
            self.name.clear();
            self.name.extend_from_slice(new.name);
        }
        &self.text
    }
}

/// Who sees a port: a thread, in a message.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) names: &'a Names,
    pub(crate) actor: Actor,
    pub(crate) event: &'a Event,
    /// The task's own name for it is told, too.
    pub(crate) verbose: bool,
}

/// Who sees a port, whatever message it is in.
#[derive(Clone, Copy)]
struct Viewer<'a> {
    names: &'a Names,
    task: TaskIndex,
    thread: u32,
    verbose: bool,
}

/// Who looks at the whole trace is no task of it.
const NOBODY: TaskIndex = TaskIndex(usize::MAX);

/// Appends what a port is to who looks at the whole trace.
pub(crate) fn to_all(out: &mut String, names: &Names, port: &Port) {
    known(out, Viewer { names, task: NOBODY, thread: 0, verbose: false }, port.name.get(), port);
}

/// Appends what a name without a right in the message stands for.
pub(crate) fn port_name(out: &mut String, seen: Seen<'_>, name: u32) {
    let is_no_name = matches!(name, MACH_PORT_NULL | MACH_PORT_DEAD);
    if is_no_name || seen.event.port(name).is_some() || seen.ended(name).is_some() {
        port(out, seen, name);
    } else {
        // The argument's own name says what it is.
        decimal(out, name);
    }
}

/// Appends what a name of the task's in the message stands for.
pub(crate) fn port(out: &mut String, seen: Seen<'_>, name: u32) {
    match name {
        MACH_PORT_NULL => return out.push_str("MACH_PORT_NULL"),
        MACH_PORT_DEAD => return out.push_str("MACH_PORT_DEAD"),
        _ => {}
    }
    let Some(port) = seen.event.port(name).or_else(|| seen.ended(name)) else { return unknown(out, seen, name) };
    known(out, seen.viewer(), name, port);
}

/// Appends what a right in an array out of line is.
pub(crate) fn element(out: &mut String, seen: Seen<'_>, element: &Port) {
    let name = element.name.get();
    if element.is_known() { known(out, seen.viewer(), name, element) } else { port(out, seen, name) }
}

/// Whether it is the port of who sees it: of the task, or of the thread.
pub(crate) fn is_own(seen: Seen<'_>, port: &Port) -> bool {
    match seen.names.named(port) {
        Named::Task(task) => task == seen.actor.task,
        Named::Thread(..) => port.object.get() == seen.actor.thread,
        _ => false,
    }
}

fn known(out: &mut String, by: Viewer<'_>, name: u32, port: &Port) {
    let (known, names) = (by.names.named(port), by.names);
    match known {
        Named::Known(_) | Named::Port(Kind::Port, _) if held(out, by, port) => {}
        Named::Task(task) if task == by.task => out.push_str("self"),
        Named::Task(task) => {
            out.push_str("task ");
            label(out, names.label(task, 0));
        }
        Named::Thread(..) if port.object.get() == by.thread => out.push_str("thread-self"),
        Named::Thread(TaskIndex(task), place) => {
            out.push_str("thread [");
            decimal(out, task + 1);
            out.push('/');
            decimal(out, place);
            out.push(']');
        }
        Named::Known(what) => known_port(out, by, what),
        Named::Port(Kind::Host, _) => out.push_str("host"),
        Named::Port(Kind::HostPrivileged, _) => out.push_str("host-priv"),
        Named::Port(Kind::MasterDevice, _) => out.push_str("device-master"),
        Named::Port(kind, number) => numbered(out, kind_text(kind), number),
        Named::PortSet => return numbered(out, "port set", name),
    }
    if by.verbose && name & PORT_NUMBER == 0 {
        out.push_str(" (");
        plain_name(out, name);
        out.push(')');
    }
}

/// Appends what who sees the port, or another task, holds it for; `false` if that is not known.
fn held(out: &mut String, by: Viewer<'_>, port: &Port) -> bool {
    let Some((roles, of)) = by.names.roles(by.task, port) else { return false };
    let mut separator = if roles.is_terminal { "terminal of " } else { "" };
    for name in roles.names() {
        out.push_str(core::mem::replace(&mut separator, " and "));
        out.push_str(name);
    }
    for (first, last) in roles.runs() {
        out.push_str(core::mem::replace(&mut separator, " and "));
        out.push_str("fd ");
        decimal(out, first);
        if last > first {
            out.push('-');
            decimal(out, last);
        }
    }
    if let Some(task) = of {
        out.push_str(" of ");
        label(out, by.names.label(task, 0));
    }
    true
}

/// Appends what the kernel says nothing of: what stands for a right in a message in transit may be a port's number instead of a name.
fn unknown(out: &mut String, seen: Seen<'_>, name: u32) {
    match seen.event.kind {
        EventKind::Normal | EventKind::Trap => plain_name(out, name),
        _ if name & PORT_NUMBER == 0 => plain_name(out, name),
        _ => numbered(out, kind_text(Kind::Port), name & !PORT_NUMBER),
    }
}

/// Appends a name of which nothing else is known.
pub(crate) fn plain_name(out: &mut String, name: u32) {
    numbered(out, "name", name);
}

impl<'a> Seen<'a> {
    fn viewer(&self) -> Viewer<'a> {
        let Self { names, actor, verbose, .. } = *self;
        Viewer { names, task: actor.task, thread: actor.thread, verbose }
    }

    /// What a name stood for of which the kernel now says that it stands for nothing any more.
    fn ended(&self, name: u32) -> Option<&'a Port> {
        let id = self.event.mach_header?.id;
        let is_news = matches!(id, MACH_NOTIFY_DEAD_NAME | MACH_NOTIFY_PORT_DELETED);
        self.names.told_of(self.actor.task, name).filter(|_| is_news)
    }
}

fn known_port(out: &mut String, by: Viewer<'_>, what: &What) {
    let of = |out: &mut String, task: TaskIndex| label(out, by.names.label(task, 0));
    let own = |out: &mut String, what: &str, task: TaskIndex| {
        out.push_str(what);
        if task != by.task {
            out.push_str(" of ");
            of(out, task);
        }
    };
    match what {
        What::ReplyPort(task) => own(out, "reply port", *task),
        What::Proc(task) => own(out, "proc", *task),
        What::MessagePort(task) => own(out, "message port", *task),
        What::File(name) => {
            out.push_str("file ");
            quoted(out, name);
        }
        What::MadeBy(task, number) => {
            out.push_str("port ");
            if *number > 1 {
                decimal(out, *number);
                out.push(' ');
            }
            out.push_str("made by ");
            of(out, *task);
        }
        What::Bootstrap => out.push_str("bootstrap"),
        What::ExceptionPort => out.push_str("exception port"),
        What::Device(device) => {
            out.push_str("device ");
            quoted(out, device);
        }
        What::Program(program) => {
            out.push_str("task ");
            quoted(out, program);
        }
    }
}

fn numbered(out: &mut String, what: &str, number: u32) {
    out.push_str(what);
    out.push(' ');
    decimal(out, number);
}

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Port => "port",
        Kind::Task => "task port",
        Kind::Thread => "thread port",
        Kind::Host => "host",
        Kind::HostPrivileged => "host-priv",
        Kind::MasterDevice => "device-master",
        Kind::Device => "device",
        Kind::Processor => "processor",
        Kind::ProcessorSet => "processor set",
        Kind::MemoryObject => "memory object",
        Kind::MemoryControl => "memory control",
        Kind::MemoryName => "memory name",
        Kind::Kernel => "kernel port",
    }
}
