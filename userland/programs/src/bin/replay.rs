// SPDX-License-Identifier: GPL-2.0-or-later
//! replay: sends the requests of a captured client again, as the archive's `etc/replay` says, with the names that ports have and the addresses that
//! memory has now. What it is answered nobody looks at here: its trace has it, with the numbers of the calls as `msgh_seqno`.
//!
//! Arguments: the names of rights to the host's privileged port and to the device master port. A request whose port or
//! address no answer has brought is not sent, and a line says so at the end.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::memory::{Pages, page_floor};
use mach::port::PortName;
use mach::rt::arguments::Arguments;
use mach::sys::msg::mach_msg;
use mach::sys::trap;
use mach::{boot, println, task_self, thread_self};
use mach_abi::bytes::read_u32;
use mach_abi::header::{LP64, word};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, MACH_SEND_TIMEOUT};
use programs::{Doing, Mismatch};
use protocol::replay::{Call, Known, MARK, Place, SCRIPT, Step, parse};

mach::entry!(main);

/// Room for any message, in words.
const ROOM: usize = 16 * 1024;
/// Milliseconds that a server may take.
const PATIENCE: u32 = 10_000;

/// What the capture's numbers and addresses are now.
struct Now {
    ports: Vec<(u32, PortName)>,
    /// Where memory was, how much, where it is.
    memory: Vec<(u64, u64, u64)>,
    /// Memory out of line of requests: of which, where its address stands in it, and the address.
    contents: Vec<(u32, usize, u64)>,
    reply_port: PortName,
    buffer: Vec<u64>,
}

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let file = boot::read_file(SCRIPT, 0).doing("boot_read_file of etc/replay")?;
    let text = str::from_utf8(file.as_slice()).map_err(|_| Mismatch::new("etc/replay is no text"))?;
    let steps = parse(text).map_err(|line| Mismatch::new(&alloc::format!("etc/replay: line {line}")))?;
    let given: usize = steps.iter().map(|step| if let Step::Call(call) = step { call.gives.len() } else { 1 }).sum();
    let memory: usize = steps.iter().map(|step| if let Step::Call(call) = step { call.memory.len() } else { 0 }).sum();
    // Memory of its own that came between the client's would be where the client had none.
    let mut now = Now {
        ports: Vec::with_capacity(given),
        memory: Vec::with_capacity(memory),
        contents: contents(&steps)?,
        reply_port: trap::mach_reply_port(),
        buffer: alloc::vec![0; ROOM],
    };
    let privileged =
        |index| arguments.get_str(index).and_then(|name| name.parse().ok()).map_or(PortName::NULL, PortName);
    let mut unsent: Vec<(u32, &str)> = Vec::with_capacity(steps.len());
    for step in &steps {
        match step {
            Step::Known(port, what) => now.ports.push((
                *port,
                match what {
                    Known::Task => task_self(),
                    Known::Thread => thread_self(),
                    Known::Host => trap::mach_host_self(),
                    Known::HostPrivileged => privileged(1),
                    Known::DeviceMaster => privileged(2),
                },
            )),
            Step::Trap(number, port) => {
                let name = match number {
                    26 => trap::mach_reply_port(),
                    27 => trap::mach_thread_self(),
                    28 => trap::mach_task_self(),
                    29 => trap::mach_host_self(),
                    _ => PortName::NULL,
                };
                now.ports.push((*port, name));
            }
            Step::Call(call) => unsent.extend(now.replay(call).err().map(|why| (call.number, why))),
        }
    }
    for (number, why) in &unsent {
        println!("replay: call {number} was not sent: {why}");
    }
    Ok(())
}

/// Makes what requests have out of line: each in pages of its own, where in a page it was, as the kernel writes only whole pages into a task
/// (`vm_write`). In the order of the numbers and places by which it is found.
fn contents(steps: &[Step]) -> Result<Vec<(u32, usize, u64)>, Mismatch> {
    let mut made = Vec::new();
    for step in steps {
        let Step::Call(call) = step else { continue };
        for (offset, bytes) in &call.contents {
            let old = call
                .message
                .get(*offset..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |old| u64::from_le_bytes(*old));
            let begin = (old - page_floor(old)) as usize;
            let mut pages =
                Pages::allocate((begin + bytes.len()) as u64).doing("vm_allocate for memory out of line")?;
            if let Some(place) = pages.as_mut_slice().get_mut(begin..begin + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            made.push((call.number, *offset, pages.leak() + begin as u64));
        }
    }
    Ok(made)
}

impl Now {
    fn port(&self, number: u32) -> Option<PortName> {
        let found = self.ports.iter().rev().find(|(port, _)| *port == number)?.1;
        found.is_valid().then_some(found)
    }

    /// Where what was at an address is now: in what came last.
    fn address(&self, old: u64) -> Option<u64> {
        let is_there = |(start, size, _): &&(u64, u64, u64)| old >= *start && old - *start <= *size;
        let (start, _, now) = self.memory.iter().rev().find(is_there)?;
        now.checked_add(old - start)
    }

    /// Puts a value of 32 or 64 bits into the message.
    fn put(&mut self, offset: usize, value: u64, is_wide: bool) -> Option<()> {
        let place = self.buffer.get_mut(offset / 8)?;
        *place = match (is_wide, offset % 8) {
            (true, 0) => value,
            (false, 0) => *place & !0xffff_ffff | value,
            (false, 4) => *place & 0xffff_ffff | value << 32,
            _ => return None,
        };
        Some(())
    }

    /// Sends a request, and takes what its answer brings; why it was not sent.
    fn replay(&mut self, call: &Call) -> Result<(), &'static str> {
        let size = call.message.len();
        if !(LP64.end..=ROOM * 8).contains(&size) {
            return Err("it is larger than any message, or smaller");
        }
        for (place, bytes) in self.buffer.iter_mut().zip(call.message.chunks(8)) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            *place = u64::from_le_bytes(word);
        }
        for (offset, number) in &call.ports {
            let name = self.port(*number).ok_or("no answer has brought a port that it names")?;
            self.put(*offset, name.0.into(), false).ok_or("a port stands nowhere in it")?;
        }
        for (offset, old) in &call.addresses {
            let address = self.address(*old).ok_or("no answer has brought memory that it names")?;
            self.put(*offset, address, true).ok_or("an address stands nowhere in it")?;
        }
        for (offset, _) in &call.contents {
            let found =
                self.contents.binary_search_by_key(&(call.number, *offset), |(number, offset, _)| (*number, *offset));
            let address =
                found.ok().and_then(|index| self.contents.get(index)).ok_or("its memory out of line is not there")?.2;
            self.put(*offset, address, true).ok_or("an address stands nowhere in it")?;
        }
        self.put(LP64.seqno, u64::from(MARK | call.number), false);
        let mut option = MACH_SEND_MSG | MACH_SEND_TIMEOUT;
        if call.is_answered {
            self.put(LP64.local_port, self.reply_port.0.into(), true);
            option |= MACH_RCV_MSG | MACH_RCV_TIMEOUT;
        }
        let (port, room) = (self.reply_port, (ROOM * 8) as u32);
        let answer = mach_msg(&mut self.buffer, option, size as u32, room, port, PATIENCE, PortName::NULL);
        if answer != 0 {
            // An answer that comes later is nobody's.
            self.reply_port = trap::mach_reply_port();
        } else if call.is_answered {
            self.take(call);
        }
        Ok(())
    }

    /// Takes what an answer brings that is made as it was in the capture.
    fn take(&mut self, call: &Call) {
        let size = (self.buffer.get(word::BITS).copied().unwrap_or(0) >> 32) as usize;
        let words = self.buffer.get(..size / 8).unwrap_or_default();
        let half = |offset: usize| {
            let word = words.get(offset / 8)?.to_le_bytes();
            read_u32(&word, offset % 8)
        };
        let whole = |offset: usize| {
            let low = u64::from(half(offset)?);
            Some(low | u64::from(half(offset.checked_add(4)?)?) << 32)
        };
        let is_there = |place: &Place| whole(place.descriptor_offset) == Some(place.descriptor);
        for (place, number) in call.gives.iter().filter(|(place, _)| is_there(place)) {
            if let Some(name) = half(place.offset) {
                self.ports.push((*number, PortName(name)));
            }
        }
        for (place, old, size) in call.memory.iter().filter(|(place, ..)| is_there(place)) {
            if let Some(address) = whole(place.offset) {
                self.memory.push((*old, *size, address));
            }
        }
    }
}
