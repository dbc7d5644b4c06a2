// SPDX-License-Identifier: GPL-2.0-or-later
//! Exchanges to the model: messages decoded once, with what is known of ports at that moment.

use exchanges::exchange::{Exchange, Outcome, Role};
use exchanges::memory::Found;
use exchanges::names::{Kind, Named, Names};
use exchanges::pair::received_on;
use exchanges::{Actor, Event};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::{Disposition, Header};
use mig_defs::decode::Message;
use mig_defs::table::{Set, Tables};
use mig_defs::value::{self, PortRight, View};
use report::words;
use trace_port::{Direction, EventKind};

use crate::model::{Call, Code, Contents, Field, Half, Port, Task, Value};

/// Decodes one message as its task sees it.
struct Decoder<'a> {
    tables: Tables<'a>,
    names: &'a Names,
    actor: Actor,
    event: &'a Event,
    /// Whether plain port names in it are the task's own.
    has_own_names: bool,
    /// Elements of its arrays out of line that have been passed.
    passed: usize,
}

/// The request, as far as it is known when it is seen.
pub(crate) fn request(tables: Tables<'_>, names: &Names, exchange: &Exchange<'_>) -> Option<Half> {
    let event = exchange.request.as_ref()?;
    let mut decoder = Decoder::new(tables, names, exchange, event);
    let message = match exchange.role {
        Role::Failed => event.decode(tables),
        _ => exchange.decode_request(tables),
    };
    let mut half = decoder.half(message.as_ref(), false);
    half.port = decoder.request_port();
    Some(half)
}

/// The answer.
pub(crate) fn reply(tables: Tables<'_>, names: &Names, exchange: &Exchange<'_>) -> Option<Half> {
    let event = exchange.reply.as_ref()?;
    let request = exchange.decode_request(tables);
    let message = exchange.decode_reply(tables);
    let message = match (message, &request) {
        (Some(message), Some(request)) => Some(message.to_request(request)),
        (message, _) => message,
    };
    Some(Decoder::new(tables, names, exchange, event).half(message.as_ref(), true))
}

/// The exchange with its halves; what happened with it so far.
pub(crate) fn call(
    tables: Tables<'_>,
    names: &Names,
    exchange: &Exchange<'_>,
    request: Option<Half>,
    reply: Option<Half>,
) -> Call {
    let result = match exchange.outcome {
        Outcome::Failed(code) => Some(self::code(tables, code as i32)),
        _ => reply.as_ref().and_then(|reply| reply.code.clone()),
    };
    let (task, thread) = (exchange.actor.task, exchange.actor.thread);
    let number = exchange.request.as_ref().or(exchange.reply.as_ref()).map_or(0, |event| event.task);
    let label = names.label(task, thread);
    let routine = exchange.subject.routine;
    Call {
        id: exchange.id,
        task: Task { index: label.task, number, name: words::plain(label.name) },
        thread,
        label: words::label(label),
        role: match exchange.role {
            Role::Client => "client",
            Role::Server => "server",
            Role::Control { .. } => "control",
            Role::Exception { .. } => "exception",
            Role::Failed => "failed",
        },
        asker: exchange.peer.map(|task| {
            let label = names.label(task, 0);
            Task { index: label.task, number: 0, name: words::plain(label.name) }
        }),
        name: words::subject(exchange.subject),
        routine: routine.map(|routine| routine.name().into()),
        subsystem: routine.map(|routine| routine.subsystem().into()),
        msgh_id: exchange.subject.msgh_id,
        request,
        reply,
        outcome: match exchange.outcome {
            Outcome::Open => "open",
            Outcome::Answered { .. } => "answered",
            Outcome::OneWay => "one-way",
            Outcome::Unanswered => "unanswered",
            Outcome::Failed(_) => "failed",
        },
        has_failed: exchange.has_failed(),
        result,
        split: None,
        closed_at: 0,
    }
}

/// A return code with its name.
fn code(tables: Tables<'_>, number: i32) -> Code {
    Code { number, name: words::code(tables, number) }
}

/// What a port is, by the kind in a record.
fn kind(named: Named<'_>) -> &'static str {
    match named {
        Named::Task(_) | Named::Port(Kind::Task, _) => "task",
        Named::Thread(..) | Named::Port(Kind::Thread, _) => "thread",
        Named::Known(_) | Named::Port(Kind::Port, _) => "port",
        Named::Port(Kind::Host, _) => "host",
        Named::Port(Kind::HostPrivileged, _) => "host-priv",
        Named::Port(Kind::MasterDevice, _) => "device-master",
        Named::Port(Kind::Device, _) => "device",
        Named::Port(Kind::Processor, _) => "processor",
        Named::Port(Kind::ProcessorSet, _) => "processor-set",
        Named::Port(Kind::MemoryObject, _) => "memory-object",
        Named::Port(Kind::MemoryControl, _) => "memory-control",
        Named::Port(Kind::MemoryName, _) => "memory-name",
        Named::Port(Kind::Kernel, _) => "kernel",
        Named::PortSet => "port-set",
    }
}

impl<'a> Decoder<'a> {
    fn new(tables: Tables<'a>, names: &'a Names, exchange: &Exchange<'_>, event: &'a Event) -> Self {
        let has_own_names = exchange.has_own_names(event);
        Self { tables, names, actor: exchange.actor, event, has_own_names, passed: 0 }
    }

    fn half(&mut self, message: Option<&Message<'_>>, is_reply: bool) -> Half {
        let event = self.event;
        let is_sent = event.direction == Direction::Send;
        let mut half = Half {
            time: event.time,
            sequence: event.sequence,
            correlation: event.correlation,
            is_sent,
            thread: event.thread,
            size: event.message_size,
            missing: event.not_captured() as u64,
            then_receives: is_sent && event.kind == EventKind::Normal && event.options & MACH_RCV_MSG != 0,
            port: None,
            code: None,
            arguments: Vec::new(),
            record: Some(event.clone()),
        };
        match message {
            Some(message) => self.fields(message, &mut half),
            None => self.items(&mut half, is_reply),
        }
        if half.code.as_ref().is_some_and(|code| code.number != 0) {
            // What comes with a failure is not set.
            half.arguments.clear();
        }
        half
    }

    fn fields(&mut self, message: &Message<'_>, half: &mut Half) {
        for (place, field) in message.fields().enumerate() {
            match field {
                Ok(value::Field { value: value::Value::KernReturn(number), .. })
                    if place == 0 && message.is_reply() =>
                {
                    half.code = Some(code(self.tables, number));
                }
                // The port in the header.
                Ok(value::Field { value: value::Value::Port(_), .. }) if place == 0 && !message.is_reply() => {}
                Ok(field) => half.arguments.push(self.field(&field)),
                Err(error) => half.arguments.push(Field {
                    name: error.field.unwrap_or("").into(),
                    ty: String::new(),
                    value: Value::Wrong(error.to_string()),
                }),
            }
        }
    }

    /// What is in a message of which no more is known than its descriptors. By MIG's convention a return code comes first in a reply.
    fn items(&mut self, half: &mut Half, is_reply: bool) {
        for (place, item) in self.event.items().enumerate() {
            match item.return_code().filter(|_| is_reply && place == 0) {
                Some(number) => half.code = Some(code(self.tables, number)),
                None => {
                    let value = self.value(item.value(self.event.view()), None);
                    half.arguments.push(Field { name: String::new(), ty: String::new(), value });
                }
            }
        }
    }

    fn field(&mut self, field: &value::Field<'_>) -> Field {
        let value = self.value(field.value, field.set);
        Field { name: field.name.into(), ty: field.type_name().into(), value }
    }

    fn value(&mut self, value: value::Value<'_>, set: Option<Set<'_>>) -> Value {
        use value::Value as From;
        let meaning = |number: Option<u32>| Some(words::constants(set?, number?));
        match value {
            From::Bool(value) => Value::Bool(value),
            From::Signed { value, .. } => Value::Signed(value, meaning(Some(value as u32))),
            From::Unsigned { value, .. } => Value::Unsigned(value, meaning(u32::try_from(value).ok())),
            From::KernReturn(number) => Value::Code(number, words::code(self.tables, number)),
            From::Text(text) => Value::Text(text.into()),
            From::Bytes(bytes) => Value::Bytes(bytes.into()),
            From::PortName(name) if self.has_own_names => Value::Port(self.port(name, None)),
            From::PortName(name) => Value::Unsigned(name.into(), None),
            From::Port(PortRight { name, disposition, view }) => {
                Value::Port(self.port(name, Some(right(disposition, view))))
            }
            From::Array(array) => {
                let set = array.set();
                Value::List(array.iter().map(|value| self.value(value, set)).collect())
            }
            From::Struct(members) => Value::Struct(members.fields().map(|member| self.field(&member)).collect()),
            From::OutOfLine { address, size, .. } => {
                let is_there = self.event.kind == EventKind::Normal;
                Value::Memory { address: is_there.then_some(address), size, contents: self.contents(address, size) }
            }
            From::OutOfLinePorts { address, count, disposition, view, .. } => {
                let is_there = address != 0 || self.event.kind != EventKind::Normal;
                self.rights(if is_there { count } else { 0 }, count, right(disposition, view))
            }
            // What a later decoder may know.
            other => Value::Wrong(format!("{other:?}")),
        }
    }

    fn contents(&self, address: u64, size: u64) -> Contents {
        match self.event.memory(address, size).map(|memory| &memory.found) {
            None => Contents::Unknown,
            Some(Found::Read(bytes)) => {
                Contents::Read { when: words::read_when(self.event.direction), bytes: bytes.to_vec() }
            }
            Some(other) => Contents::NotRead(words::not_read(self.tables, other)),
        }
    }

    fn rights(&mut self, said: u32, count: u32, right: &'static str) -> Value {
        let event = self.event;
        let elements: Vec<_> = event.elements().skip(self.passed).take(said as usize).collect();
        self.passed += elements.len();
        let ports = elements.into_iter().map(|element| Port {
            label: words::element(self.names, self.actor, event, element),
            right: Some(right),
            ..self.known(element.name.get(), Some(element).filter(|element| element.is_known()))
        });
        Value::Rights { count, ports: ports.collect() }
    }

    /// A port of the task's own.
    fn port(&self, name: u32, right: Option<&'static str>) -> Port {
        let label = words::port(self.names, self.actor, self.event, name);
        Port { label, right, ..self.known(name, self.event.port(name)) }
    }

    /// What a record says of a name.
    fn known(&self, name: u32, port: Option<&trace_port::Port>) -> Port {
        let is_name = self.event.kind == EventKind::Normal || name & trace_port::record::PORT_NUMBER == 0;
        Port {
            label: String::new(),
            name: is_name.then_some(name),
            number: port.map(|port| port.number.get()).filter(|number| *number != 0),
            kind: port.map(|port| kind(self.names.named(port))),
            right: None,
        }
    }

    /// The port in the header that a request goes to, or came in on.
    fn request_port(&self) -> Option<Port> {
        let header = self.event.mach_header.unwrap_or_default();
        let Header { remote_port, .. } = header;
        match (self.event.view(), self.event.mach_header) {
            (View::Sent, Some(_)) => Some(self.port(remote_port, None)),
            (View::Received, Some(header)) => received_on(header, self.event).map(|name| self.port(name, None)),
            // A receive that got nothing.
            (_, None) if self.event.direction == Direction::Receive => Some(self.port(self.event.rcv_name, None)),
            (_, None) => None,
        }
    }
}

fn right(disposition: Disposition, view: View) -> &'static str {
    match view {
        View::Sent => disposition.sent_name(),
        View::Received => disposition.received_name(),
    }
}
