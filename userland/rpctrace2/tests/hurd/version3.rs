// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of version 3, as a payload of this project wrote them on a real Hurd, to those of today.

use bytes::Bytes;
use mach_abi::header::LP64;
use mach_abi::{Format, Header};
use trace_port::record::{HEADER_OFFSET, HEADER_TYPE, HEADER_TYPE_OFFSET, VERSION, body_type, carried};
use trace_port::{Direction, EventKind, Port, RecordHeader, TRACE_RECORD_MSGH_ID, port};
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of the header of version 3: that of today up to the number of ports.
const HEADER: usize = std::mem::offset_of!(RecordHeader, ports);

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Old {
    /// What the kernel said, without ports.
    pub(crate) header: RecordHeader,
    /// The message as the task saw it.
    pub(crate) message: Vec<u8>,
    /// The message of the trace port up to the header's descriptor.
    prefix: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The records of a file of messages that stand one after the other.
pub(crate) fn records(file: &[u8]) -> Vec<Old> {
    let mut found = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let (message, after) = rest.split_at(word(rest, LP64.size) as usize);
        let is_one = word(message, LP64.id) == TRACE_RECORD_MSGH_ID;
        let mut part = &message[HEADER_TYPE_OFFSET..];
        while !part.is_empty() {
            // A descriptor, the header, a descriptor, the message.
            let mut header = [0; size_of::<RecordHeader>()];
            header[..HEADER].copy_from_slice(&part[8..8 + HEADER]);
            let header = RecordHeader::read_from_bytes(&header).expect("a header");
            let (start, captured) = (16 + HEADER, header.captured_size.get() as usize);
            let prefix = message[..HEADER_TYPE_OFFSET].to_vec();
            found.push(Old { header, message: part[start..start + captured].to_vec(), prefix });
            part = if is_one { &[] } else { &part[start + captured.next_multiple_of(8)..] };
        }
        rest = after;
    }
    found
}

impl Old {
    pub(crate) fn kind(&self) -> EventKind {
        EventKind::from_wire(self.header.kind).expect("a kind of version 3")
    }

    pub(crate) fn direction(&self) -> Direction {
        Direction::from_wire(self.header.direction).expect("a direction")
    }

    /// The header of the message, if there is one.
    pub(crate) fn mach_header(&self) -> Option<Header> {
        Header::read(Format::Lp64, &self.message)
    }

    /// What version 3 says of ports: a message of these kinds to the kernel went to the control port of this task or thread.
    pub(crate) fn ports(&self) -> Vec<Port> {
        let (kind, object) = match self.kind() {
            EventKind::Task => (port::TASK, self.header.task),
            EventKind::Thread => (port::THREAD, self.header.thread),
            _ => return Vec::new(),
        };
        let name = self.mach_header().map_or(0, |header| header.remote_port);
        if self.direction() == Direction::Send || name == 0 {
            return Vec::new();
        }
        let number = (name & !trace_port::record::PORT_NUMBER).into();
        vec![Port { name: name.into(), number, kind, object, ..Port::default() }]
    }

    /// The message of a trace port that a kernel of today would send.
    pub(crate) fn to_today(&self) -> Bytes {
        self.with(&self.ports())
    }

    /// The message of a trace port that a kernel of today would send if it said this of the ports.
    pub(crate) fn with(&self, ports: &[Port]) -> Bytes {
        let count = (ports.len() as u32).into();
        let header = RecordHeader { version: VERSION.into(), ports: count, ..self.header };
        let mut bytes = self.prefix.clone();
        bytes[LP64.id..LP64.id + 4].copy_from_slice(&TRACE_RECORD_MSGH_ID.to_le_bytes());
        bytes.extend(HEADER_TYPE.to_le_bytes());
        assert_eq!(bytes.len(), HEADER_OFFSET);
        bytes.extend(header.as_bytes());
        bytes.extend(body_type(carried(self.message.len(), ports.len()) as u32).to_le_bytes());
        bytes.extend(&self.message);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(ports.as_bytes());
        let size = bytes.len() as u32;
        bytes[LP64.size..LP64.size + 4].copy_from_slice(&size.to_le_bytes());
        bytes.into()
    }
}
