// SPDX-License-Identifier: GPL-2.0-or-later
//! Records for tests: messages put together item by item as mach/message.h lays them out, and tables of sample.defs.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use mach_abi::header::MACH_MSGH_BITS_COMPLEX;
use mach_abi::{Descriptor, Format, Header, type_name};
use mig_defs::annotations::Annotations;
use mig_defs::codegen::table::tables;
use mig_defs::compile::{Options as CompileOptions, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::raw::Items;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;
use mig_defs::value::{Value, View};
use rpctrace2::options::place::Here;
use rpctrace2::{Options, Request, Trace, options};
use trace_port::record::{HEADER_OFFSET, HEADER_TYPE, PORT_NUMBER, TASK_TYPE, VERSION, body_type, carried};
use trace_port::{Direction, EventKind, Port, Record, RecordHeader, TRACE_RECORD_MSGH_ID, port};
use zerocopy::IntoBytes;

pub(crate) use mach_abi::type_name::{COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE, MOVE_SEND, MOVE_SEND_ONCE};

/// The port names of the tasks in the tests.
pub(crate) const SELF: u64 = 1;
pub(crate) const REPLY: u64 = 4;

pub(crate) static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let compiled = ["sample.defs", "boot.defs", "trace.defs"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/defs").join(name);
        let compiled = compile(&path, &CompileOptions::lp64(Vec::new()), &Disk);
        assert_eq!(compiled.report(), "");
        compiled.model.expect("it has a subsystem")
    });
    let annotations = Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default());
    tables(&compiled.each_ref(), &annotations)
});

pub(crate) fn sample_tables() -> Tables<'static> {
    Tables::parse(&BYTES).expect("the compiler's own tables are sound")
}

/// A message under construction.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(bits: u32, remote: u64, local: u64, id: u32) -> Self {
        let header = Header { bits, remote_port: remote as u32, local_port: local, id, ..Header::default() };
        let mut bytes = vec![0; Format::Lp64.header().end];
        header.write(Format::Lp64, &mut bytes).expect("room for the header");
        Self { bytes }
    }

    /// A request as its sender sees it, with a reply port.
    pub(crate) fn request(id: u32, to: u64) -> Self {
        Self::new(COPY_SEND | MAKE_SEND_ONCE << 8, to, REPLY, id)
    }

    /// A request with another reply port; 0 for none.
    pub(crate) fn request_from(id: u32, to: u64, reply: u64) -> Self {
        let how = if reply == 0 { 0 } else { MAKE_SEND_ONCE };
        Self::new(COPY_SEND | how << 8, to, reply, id)
    }

    /// A reply as its receiver sees it: it came to the reply port by a send-once right.
    pub(crate) fn reply(id: u32, port: u64) -> Self {
        Self::new(MOVE_SEND_ONCE << 8, 0, port, id)
    }

    /// A request as a server sees it: `right` is the reply right.
    pub(crate) fn incoming(id: u32, port: u64, right: u64) -> Self {
        Self::new(MOVE_SEND_ONCE | MOVE_SEND << 8, right, port, id)
    }

    /// A server's reply as it sends it.
    pub(crate) fn answer(id: u32, right: u64) -> Self {
        Self::new(MOVE_SEND_ONCE, right, 0, id)
    }

    /// A request that a server passes on, with its right to answer.
    pub(crate) fn passed_on(id: u32, to: u64, right: u64) -> Self {
        Self::new(COPY_SEND | MOVE_SEND_ONCE << 8, to, right, id)
    }

    pub(crate) fn item(mut self, name: u32, bits: u16, count: usize, data: &[u8]) -> Self {
        if type_name::is_port(name) {
            self.set_complex(true);
        }
        self.bytes.extend(Descriptor::inline(name, bits, count as u32).to_word().to_le_bytes());
        self.bytes.extend(data);
        self.pad()
    }

    fn set_complex(&mut self, is_complex: bool) {
        let bits: &mut [u8; 4] = self.bytes.first_chunk_mut().expect("a header");
        let other = u32::from_le_bytes(*bits) & !MACH_MSGH_BITS_COMPLEX;
        *bits = (other | if is_complex { MACH_MSGH_BITS_COMPLEX } else { 0 }).to_le_bytes();
    }

    /// With a header that says that no item holds rights or memory.
    pub(crate) fn said_simple(mut self) -> Self {
        self.set_complex(false);
        self
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self
    }

    pub(crate) fn int(self, value: i32) -> Self {
        self.item(type_name::INTEGER_32, 32, 1, &value.to_le_bytes())
    }

    pub(crate) fn ints(self, values: &[i32]) -> Self {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.item(type_name::INTEGER_32, 32, values.len(), &data)
    }

    pub(crate) fn bool(self, value: bool) -> Self {
        self.item(type_name::BOOLEAN, 32, 1, &i32::from(value).to_le_bytes())
    }

    pub(crate) fn long(self, value: u64) -> Self {
        self.item(type_name::INTEGER_64, 64, 1, &value.to_le_bytes())
    }

    pub(crate) fn chars(self, text: &[u8]) -> Self {
        self.item(type_name::CHAR, 8, text.len(), text)
    }

    pub(crate) fn data(self, bytes: &[u8]) -> Self {
        self.item(type_name::BYTE, 8, bytes.len(), bytes)
    }

    pub(crate) fn name(self, port: u32) -> Self {
        self.item(type_name::PORT_NAME, 32, 1, &port.to_le_bytes())
    }

    /// A `c_string[32]`.
    pub(crate) fn string(self, text: &str) -> Self {
        let mut data = text.as_bytes().to_vec();
        data.resize(32, 0);
        self.item(type_name::STRING, 32 * 8, 1, &data)
    }

    pub(crate) fn port(self, how: u32, name: u64) -> Self {
        self.item(how, 64, 1, &name.to_le_bytes())
    }

    /// A struct of 64-bit words.
    pub(crate) fn words(self, words: &[u64]) -> Self {
        let data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.item(type_name::INTEGER_64, 64, words.len(), &data)
    }

    /// Out-of-line bytes.
    pub(crate) fn memory(self, address: u64, size: u32) -> Self {
        self.out_of_line(type_name::BYTE, 8, size, address)
    }

    /// Elements out of line.
    pub(crate) fn out_of_line(mut self, name: u32, bits: u16, count: u32, address: u64) -> Self {
        self.set_complex(true);
        let descriptor = Descriptor { inline: false, ..Descriptor::inline(name, bits, count) };
        self.bytes.extend(descriptor.to_word().to_le_bytes());
        self.bytes.extend(address.to_le_bytes());
        self
    }

    /// With its size in the header, as the kernel puts it there.
    pub(crate) fn done(mut self) -> Vec<u8> {
        let size = self.bytes.len() as u32;
        self.bytes[4..8].copy_from_slice(&size.to_le_bytes());
        self.bytes
    }
}

/// A record to feed; everything but the message has a plain default.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) direction: Direction,
    pub(crate) header: RecordHeader,
    pub(crate) message: Vec<u8>,
    /// What names in it stand for, where that is not what [`Sample::ports`] makes up.
    known: Vec<Port>,
    /// What the elements of its arrays are.
    elements: Vec<Port>,
    /// What the kernel says instead.
    said: Option<Vec<Port>>,
}

/// A port of a task's, by its name and number.
pub(crate) fn port(name: u32, number: u32) -> Port {
    Port { name: name.into(), number: number.into(), ..Port::default() }
}

/// The control port of a traced task.
pub(crate) fn task(name: u32, number: u32) -> Port {
    kernel_port(name, 900 + number, port::TASK, number)
}

/// One of the kernel's; `object` is the number of the task or thread.
pub(crate) fn kernel_port(name: u32, number: u32, kind: u8, object: u32) -> Port {
    Port { kind, object: object.into(), ..port(name, number) }
}

impl Sample {
    fn new(direction: Direction, message: Vec<u8>) -> Self {
        let header = RecordHeader {
            task: 40.into(),
            thread: 70.into(),
            message_size: (message.len() as u32).into(),
            captured_size: (message.len() as u32).into(),
            ..RecordHeader::default()
        };
        Self { direction, header, message, known: Vec::new(), elements: Vec::new(), said: None }
    }

    pub(crate) fn sent(message: Message) -> Self {
        Self::new(Direction::Send, message.done())
    }

    pub(crate) fn received(message: Message) -> Self {
        Self::new(Direction::Receive, message.done())
    }

    /// A call that failed without a message.
    pub(crate) fn failed(direction: Direction, retval: u32) -> Self {
        Self::new(direction, Vec::new()).retval(retval)
    }

    pub(crate) fn raw(direction: Direction, message: &[u8]) -> Self {
        Self::new(direction, message.to_vec())
    }

    /// A trap that gave the task this name.
    pub(crate) fn trap(number: u32, name: u32) -> Self {
        Self::new(Direction::Receive, Vec::new()).kind(EventKind::Trap).options(number, 0).on(name)
    }

    /// The kernel captured only so many bytes of the message.
    pub(crate) fn cut_to(mut self, captured: usize) -> Self {
        self.message.truncate(captured);
        self.header.captured_size = (captured as u32).into();
        self
    }

    /// What a name in the message stands for.
    pub(crate) fn knows(mut self, port: Port) -> Self {
        self.known.push(port);
        self
    }

    /// The kernel says this of the next elements of its arrays out of line.
    pub(crate) fn elements(mut self, elements: &[Port]) -> Self {
        self.elements.extend(elements.iter().map(|port| Port { flags: port::OUT_OF_LINE, ..*port }));
        self
    }

    /// The kernel says nothing of the names.
    pub(crate) fn without_ports(mut self) -> Self {
        self.said = Some(Vec::new());
        self
    }

    /// The kernel says this of them.
    pub(crate) fn says(mut self, port: Port) -> Self {
        self.said.get_or_insert_default().push(port);
        self
    }

    /// What the kernel says of the names in the message: [`SELF`] is the task itself, 2 the host, others are ports, in task 40 by their own
    /// numbers.
    fn ports(&self) -> Vec<Port> {
        if let Some(said) = &self.said {
            return said.clone();
        }
        let header = Header::read(Format::Lp64, &self.message).unwrap_or_default();
        let view = if self.direction == Direction::Send { View::Sent } else { View::Received };
        let local = if self.message.is_empty() { self.header.rcv_name.get() } else { header.local_port as u32 };
        let mut names = vec![header.remote_port, local];
        let name = |value: Value<'_>| match value {
            Value::Port(right) => Some(right.name),
            Value::PortName(name) => Some(name),
            _ => None,
        };
        for item in Items::new(Format::Lp64, &self.message).cut_from(self.header.message_size.get() as usize) {
            match item.value(view) {
                Value::Array(array) => names.extend(array.iter().filter_map(name)),
                value => names.extend(name(value)),
            }
        }
        let task = self.header.task.get();
        let number = |name: u32| if task == 40 { name & !PORT_NUMBER } else { name.wrapping_add(task * 1000) };
        let made_up = |name: u32| match name {
            1 => kernel_port(name, number(name), port::TASK, task),
            2 => kernel_port(name, 2, port::HOST, 0),
            _ => port(name, number(name)),
        };
        let known = |name: u32| self.known.iter().find(|port| port.name.get() == name).copied();
        let received_on = |place: usize| u8::from(place == 1 && self.direction == Direction::Receive);
        let named = names.into_iter().enumerate().filter(|(_, name)| *name != 0 && *name != u32::MAX);
        named.map(|(place, name)| Port { flags: received_on(place), ..known(name).unwrap_or(made_up(name)) }).collect()
    }

    pub(crate) fn retval(mut self, retval: u32) -> Self {
        self.header.retval = retval.into();
        self
    }

    pub(crate) fn task(mut self, task: u32) -> Self {
        self.header.task = task.into();
        self.header.thread = (task + 1000).into();
        self
    }

    pub(crate) fn thread(mut self, thread: u32) -> Self {
        self.header.thread = thread.into();
        self
    }

    pub(crate) fn correlation(mut self, correlation: u64) -> Self {
        self.header.correlation = correlation.into();
        self
    }

    pub(crate) fn kind(mut self, kind: EventKind) -> Self {
        self.header.kind = kind as u8;
        self
    }

    pub(crate) fn sender(mut self, sender: u32) -> Self {
        self.header.sender = sender.into();
        self
    }

    pub(crate) fn on(mut self, rcv_name: u32) -> Self {
        self.header.rcv_name = rcv_name.into();
        self
    }

    pub(crate) fn dropped(mut self, dropped: u32) -> Self {
        self.header.dropped = dropped.into();
        self
    }

    pub(crate) fn sequence(mut self, sequence: u64) -> Self {
        self.header.sequence = sequence.into();
        self
    }

    pub(crate) fn time(mut self, time: u64) -> Self {
        self.header.time = time.into();
        self
    }

    pub(crate) fn options(mut self, options: u32, time_out: u32) -> Self {
        self.header.options = options.into();
        self.header.time_out = time_out.into();
        self
    }

    /// The message of a trace port in which the kernel sends the record.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut bytes = Message::new(MACH_MSGH_BITS_COMPLEX | MOVE_SEND << 8, 0, 9, TRACE_RECORD_MSGH_ID).bytes;
        let mut ports = self.ports();
        ports.extend(&self.elements);
        let count = (ports.len() as u32).into();
        let header =
            RecordHeader { version: VERSION.into(), direction: self.direction as u8, ports: count, ..self.header };
        bytes.extend(TASK_TYPE.to_le_bytes());
        bytes.extend(0x50_u64.to_le_bytes());
        bytes.extend(HEADER_TYPE.to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(body_type(carried(self.message.len(), ports.len()) as u32).to_le_bytes());
        bytes.extend(&self.message);
        let mut message = Message { bytes }.pad();
        message.bytes.extend(ports.as_bytes());
        message.done()
    }

    pub(crate) fn feed(&self, trace: &mut Trace<'_>, out: &mut String) {
        let buffer = Bytes::from(self.wire());
        trace.record(&Record::parse(&buffer).expect("a record"), &buffer, out);
    }
}

/// Gives the record in a message of the trace port its place in the order of all.
pub(crate) fn set_sequence(wire: &mut [u8], sequence: u64) {
    let place = HEADER_OFFSET + std::mem::offset_of!(RecordHeader, sequence);
    wire[place..place + 8].copy_from_slice(&sequence.to_le_bytes());
}

/// A trace of `hello` with these arguments before the command, in the form that leaves nothing out.
pub(crate) fn trace(arguments: &[&str]) -> Trace<'static> {
    usual_trace(&[&["-Xraw"], arguments].concat())
}

/// A trace of `hello` with these arguments before the command, in the form in which users see it.
pub(crate) fn usual_trace(arguments: &[&str]) -> Trace<'static> {
    let options = match options::parse(arguments.iter().copied().chain(["hello"]), Here::Guest) {
        Ok(Request::Trace { options, .. }) => options,
        other => panic!("expected options, found {other:?}"),
    };
    start(*options)
}

pub(crate) fn start(options: Options) -> Trace<'static> {
    Trace::new(sample_tables(), &options, "hello").expect("the tests select names that exist")
}

/// The lines of a whole trace. Records without a sequence number get the next one.
pub(crate) fn lines(arguments: &[&str], samples: &[Sample]) -> Vec<String> {
    lines_of(trace(arguments), samples)
}

/// The lines of a whole trace in the form in which users see it.
pub(crate) fn usual_lines(arguments: &[&str], samples: &[Sample]) -> Vec<String> {
    lines_of(usual_trace(arguments), samples)
}

/// Records without a sequence number get the next one.
pub(crate) fn lines_of(mut trace: Trace<'static>, samples: &[Sample]) -> Vec<String> {
    let mut out = String::new();
    for (index, sample) in samples.iter().enumerate() {
        let numbered = match sample.header.sequence.get() {
            0 => sample.clone().sequence(index as u64 + 1),
            _ => sample.clone(),
        };
        numbered.feed(&mut trace, &mut out);
    }
    trace.finish(&mut out);
    out.lines().map(String::from).collect()
}
