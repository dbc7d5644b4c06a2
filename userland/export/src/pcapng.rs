// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to pcapng`: a packet for each record, for Wireshark with the dissector of `--to wireshark-lua`.
//!
//! The link type is `LINKTYPE_USER0`. A packet is, all numbers little-endian:
//!
//! ```text
//! offset  bytes  item
//!      0      2  version, 1
//!      2      2  bytes before the message: this header, the label and what pads it to a multiple of 8
//!      4      1  0 sent, 1 received
//!      5      1  kind of record (`EventKind`); 255: a remark about the trace, the label is its text
//!      6      1  bytes of a word of the message: 8 or 4
//!      7      1  role of the task in the exchange: 0 none, 1 client, 2 server, 3 control, 4 exception, 5 failed
//!      8      4  options of mach_msg
//!     12      4  what this half of mach_msg returned
//!     16      4  the kernel's number of the task
//!     20      4  that of the thread
//!     24      8  place in the order of all records
//!     32      8  links the copies of one message, and a request with the kernel's reply; 0 if unknown
//!     40      8  number of the exchange; 0 if it is of none
//!     48      2  1 its request, 2 its reply, 0 neither
//!     50      2  bytes of the label
//!     52      4  bytes of the whole message
//!     56      4  bytes of it that are here
//!     60      4  records lost before this one
//!     64      4  the port or port set that was received from
//!     68      4  time-out in milliseconds
//!     72      4  the notify port
//!     76      4  the number of the task that sent the message, where that is not the task's own doing
//!     80      4  msgh_id of the request that it is or answers; all ones if unknown
//!     84      4  ports behind the message
//!     88         the label, as lines begin, in ASCII; padding to a multiple of 8
//!                the message, as the task sees it; padding to a multiple of 8
//!                the ports: 16 bytes each, `trace_port::Port`
//! ```

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};

use exchanges::memory::Found;
use exchanges::{Event, Memory};
use mig_defs::table::Tables;
use report::words;
use trace_port::Direction;

use crate::json::hexadecimal;
use crate::model::{About, Call, End, Half, Remark};
use crate::{Format, Out};

/// Bytes before the label.
const HEADER: usize = 88;
/// Kind of a remark.
const REMARK: u8 = 255;
/// `LINKTYPE_USER0`.
const USER0: u16 = 147;
/// Nanoseconds: 10 to the minus ninth.
const RESOLUTION: u8 = 9;
/// Bytes of memory out of line that a packet's comment has.
const MEMORY_MAX: usize = 1024;
/// The longest label: what is counted in two bytes, with room for the header.
const LABEL_MAX: usize = 0x8000;

/// Blocks, of draft-ietf-opsawg-pcapng.
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const PACKET: u32 = 6;
    /// An option of each.
    pub(super) const COMMENT: u16 = 1;
    pub(super) const BYTE_ORDER: u32 = 0x1a2b_3c4d;
}

struct Pcapng {
    out: Out,
    /// Exchanges whose request has been written.
    open: HashSet<u64>,
    /// A record that may turn out to be of an exchange.
    pending: Option<Event>,
    packets: u64,
}

impl fmt::Debug for Pcapng {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Pcapng")
    }
}

/// What a packet says beyond its record.
#[derive(Default)]
struct Of<'a> {
    role: u8,
    exchange: u64,
    part: u16,
    subject: Option<u32>,
    label: &'a str,
}

/// Begins one.
pub(crate) fn begin(out: Out, about: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    let mut pcapng = Pcapng { out, open: HashSet::new(), pending: None, packets: 0 };
    let fact = |name: &str| about.facts.iter().find(|(key, _)| *key == name).map_or("", |(_, text)| text.as_str());
    let comment: Vec<String> = about.facts.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    let mut section = Block::default();
    // The length of the section is not known.
    section.u32(block::BYTE_ORDER).u16(1).u16(0).bytes(&[0xff; 8]);
    section.option(1, comment.join("\n").as_bytes()).option(3, fact("kernel").as_bytes());
    section.option(4, about.writer.as_bytes()).option(0, &[]);
    pcapng.block(block::SECTION, &section)?;
    let mut interface = Block::default();
    interface.u16(USER0).u16(0).u32(0);
    interface.option(2, b"trace port").option(9, &[RESOLUTION]).option(0, &[]);
    pcapng.block(block::INTERFACE, &interface)?;
    Ok(Box::new(pcapng))
}

/// What is in a block.
#[derive(Default)]
struct Block(Vec<u8>);

impl Block {
    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn pad(&mut self, multiple: usize) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(multiple), 0);
        self
    }

    /// An option; number 0 is the last one. What is longer than an option can be is cut.
    fn option(&mut self, number: u16, value: &[u8]) -> &mut Self {
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        self.u16(number).u16(value.len() as u16).bytes(value).pad(4)
    }
}

impl Pcapng {
    fn block(&mut self, kind: u32, contents: &Block) -> io::Result<()> {
        // Its own type and length, and the length again at its end.
        let size = (contents.0.len() as u32 + 12).to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&size)?;
        self.out.write_all(&contents.0)?;
        self.out.write_all(&size)
    }

    fn packet(&mut self, time: u64, packet: &Block, whole: usize, comment: &str) -> io::Result<()> {
        let mut enhanced = Block::default();
        enhanced.u32(0).u32((time >> 32) as u32).u32(time as u32);
        enhanced.u32(packet.0.len() as u32).u32(whole as u32).bytes(&packet.0).pad(4);
        if !comment.is_empty() {
            enhanced.option(block::COMMENT, comment.as_bytes()).option(0, &[]);
        }
        self.packets += 1;
        self.block(block::PACKET, &enhanced)
    }

    fn record(&mut self, event: &Event, of: &Of<'_>) -> io::Result<()> {
        let (message, ports) = (event.message(), event.ports());
        let mut packet = Block::default();
        let label = of.label.as_bytes();
        let label = label.get(..LABEL_MAX).unwrap_or(label);
        let start = (HEADER + label.len()).next_multiple_of(8);
        packet.u16(1).u16(start as u16);
        packet.bytes(&[u8::from(event.direction == Direction::Receive), event.kind as u8, event.format.word() as u8]);
        packet.bytes(&[of.role]).u32(event.options).u32(event.retval).u32(event.task).u32(event.thread);
        packet.u64(event.sequence).u64(event.correlation).u64(of.exchange).u16(of.part).u16(label.len() as u16);
        packet.u32(event.message_size).u32(message.len() as u32).u32(event.dropped).u32(event.rcv_name);
        packet.u32(event.time_out).u32(event.notify).u32(event.sender).u32(of.subject.unwrap_or(u32::MAX));
        packet.u32(ports.len() as u32).bytes(label).pad(8).bytes(message).pad(8);
        for port in ports {
            packet
                .u32(port.name.get())
                .u32(port.number.get())
                .bytes(&[port.kind, port.flags, 0, 0])
                .u32(port.object.get());
        }
        let comment: Vec<String> = event.all_memory().iter().map(|memory| comment(event, memory)).collect();
        self.packet(event.time, &packet, packet.0.len() + event.not_captured(), &comment.join("\n"))
    }

    fn half(&mut self, call: &Call, half: &Half, part: u16) -> io::Result<()> {
        // It is no other's.
        self.pending.take_if(|pending| pending.sequence == half.sequence);
        self.flush_pending()?;
        let role = match call.role {
            "client" => 1,
            "server" => 2,
            "control" => 3,
            "exception" => 4,
            _ => 5,
        };
        let of = Of { role, exchange: call.id, part, subject: call.msgh_id, label: &call.label };
        half.record.as_ref().map_or(Ok(()), |record| self.record(record, &of))
    }

    /// Writes the record that is of no exchange.
    fn flush_pending(&mut self) -> io::Result<()> {
        match self.pending.take() {
            Some(event) => self.record(&event, &Of::default()),
            None => Ok(()),
        }
    }
}

impl Format for Pcapng {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        self.open.insert(call.id);
        call.request.as_ref().map_or(Ok(()), |request| self.half(call, request, 1))
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        if let Some(request) = call.request.as_ref().filter(|_| !self.open.remove(&call.id)) {
            self.half(call, request, 1)?;
        }
        call.reply.as_ref().map_or(Ok(()), |reply| self.half(call, reply, 2))
    }

    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.flush_pending()?;
        self.pending = Some(event.clone());
        Ok(())
    }

    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        // It may be about the record that is held back, so that it stands before that.
        let mut packet = Block::default();
        let label = remark.text.as_bytes();
        let label = label.get(..LABEL_MAX).unwrap_or(label);
        packet.u16(1).u16((HEADER + label.len()).next_multiple_of(8) as u16).bytes(&[0, REMARK, 8, 0]);
        packet.0.resize(50, 0);
        packet.u16(label.len() as u16);
        packet.0.resize(HEADER, 0);
        packet.bytes(label).pad(8);
        let size = packet.0.len();
        self.packet(remark.time, &packet, size, "")
    }

    fn finish(&mut self, end: &End) -> io::Result<()> {
        self.flush_pending()?;
        let mut statistics = Block::default();
        statistics.u32(0).u32((end.time >> 32) as u32).u32(end.time as u32);
        // How many came to the interface, and how many of these it lost.
        statistics
            .option(4, &(self.packets + end.lost).to_le_bytes())
            .option(5, &end.lost.to_le_bytes())
            .option(0, &[]);
        self.block(block::STATISTICS, &statistics)?;
        self.out.flush()
    }
}

/// What memory out of line held: it is in no message.
fn comment(event: &Event, memory: &Memory) -> String {
    let Memory { address, size, found } = memory;
    let said = match found {
        Found::Read(bytes) => {
            let shown = bytes.get(..MEMORY_MAX).unwrap_or(bytes);
            let more = if shown.len() < bytes.len() { "..." } else { "" };
            format!("{} {}: {}{more}", bytes.len(), words::read_when(event.direction), hexadecimal(shown))
        }
        // Names of return codes are in the tables, which a form does not keep.
        Found::Refused(code) => format!("{}the kernel answered {code}", words::begins_not_read(found)),
        Found::GivenAway | Found::Paged => words::begins_not_read(found).into(),
    };
    format!("ool {address:#x}[{size} bytes; {said}]")
}
