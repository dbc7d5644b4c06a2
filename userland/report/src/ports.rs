//! Tasks and ports to text.

use alloc::string::String;

use exchanges::names::{Kind, Label, Names, What};
use exchanges::{Actor, TaskIndex};
use trace_port::record::PORT_NUMBER;

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

/// Appends what a port is called by a thread, whose task or another of which (`space`) has this name for it.
pub(crate) fn port(out: &mut String, names: &Names, (actor, space): (Actor, TaskIndex), name: u32) {
    match name {
        0 => return out.push_str("MACH_PORT_NULL"),
        u32::MAX => return out.push_str("MACH_PORT_DEAD"),
        _ if name & PORT_NUMBER != 0 => return numbered(out, "kernel port", name & !PORT_NUMBER),
        _ => {}
    }
    match names.what(space, name) {
        Some(What::Task(index)) if *index == space => out.push_str("self"),
        Some(What::Task(index)) => {
            out.push_str("task[");
            decimal(out, index.0 + 1);
            out.push(']');
        }
        Some(What::Thread(number)) if *number == actor.thread => out.push_str("thread-self"),
        Some(What::Thread(_)) => numbered(out, "thread", name),
        Some(What::ReplyPort) => out.push_str("reply port"),
        Some(What::Kind(kind)) => numbered(out, kind_text(*kind), name),
        Some(What::Host) => out.push_str("host"),
        Some(What::HostPrivileged) => out.push_str("host-priv"),
        Some(What::DeviceMaster) => out.push_str("device-master"),
        Some(What::Bootstrap) => out.push_str("bootstrap"),
        Some(What::ExceptionPort) => out.push_str("exception port"),
        Some(What::TracePort) => out.push_str("trace port"),
        Some(What::Device(device)) => {
            out.push_str("device ");
            quoted(out, device);
        }
        Some(What::Program(program)) => {
            out.push_str("task ");
            quoted(out, program);
        }
        None => numbered(out, "port", name),
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
        Kind::PortSet => "port set",
        Kind::DeadName => "dead name",
        Kind::Thread => "thread",
        Kind::Task => "task port",
        Kind::Device => "device",
        Kind::Processor => "processor",
        Kind::ProcessorSet => "processor set",
        Kind::MemoryObject => "memory object",
        Kind::MemoryControl => "memory control",
        Kind::MemoryName => "memory name",
    }
}
