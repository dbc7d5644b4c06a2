// SPDX-License-Identifier: GPL-2.0-or-later
//! What the program `replay` is to do: requests of a captured client, in which names of ports and addresses are the capture's, and where
//! in the answers stands what they are now.
//!
//! Text, a line for each step and, below a call, a line for each place in its messages:
//!
//! ```text
//! known PORT WHAT                      WHAT is self, thread, host, host-priv or device-master
//! trap NUMBER PORT                     a trap that gives a right
//! call NUMBER answered|one-way BYTES   a message of 64-bit Mach, in hexadecimal
//! port OFFSET PORT                     in the request: a name
//! address OFFSET ADDRESS               in the request
//! contents OFFSET BYTES                in the request, in hexadecimal: what is in the memory whose address stands there,
//!                                      and where in a page it begins
//! gives OFFSET DESCRIPTOR-OFFSET DESCRIPTOR PORT
//!                                      in the answer, if this descriptor stands there: a name
//! memory OFFSET DESCRIPTOR-OFFSET DESCRIPTOR ADDRESS SIZE
//!                                      in the answer, likewise: where memory is now that was at ADDRESS
//! ```
//!
//! PORT is the kernel's number of a port in the capture.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// The member of the boot archive with this text.
pub const SCRIPT: &str = "etc/replay";

/// `msgh_seqno` of a request that is replayed: this, and the number of its call. Who sends may put there what it likes.
pub const MARK: u32 = 0x5250_0000;

/// Most calls: their numbers, from 1, have half of `msgh_seqno`.
pub const CALLS_MAX: u32 = 0xffff;

/// The number of the call whose request has this `msgh_seqno`, if it is one.
pub const fn number_of(seqno: u32) -> Option<u32> {
    if seqno & !CALLS_MAX == MARK && seqno & CALLS_MAX != 0 { Some(seqno & CALLS_MAX) } else { None }
}

/// A port that a program has without asking a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The task itself.
    Task,
    /// Its first thread.
    Thread,
    /// The host's name port.
    Host,
    /// The host's privileged port.
    HostPrivileged,
    /// The device master port.
    DeviceMaster,
}

/// What they are called.
const KNOWN: [(Known, &str); 5] = [
    (Known::Task, "self"),
    (Known::Thread, "thread"),
    (Known::Host, "host"),
    (Known::HostPrivileged, "host-priv"),
    (Known::DeviceMaster, "device-master"),
];

/// Where in an answer something stands: only if this descriptor is where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it stands, in bytes from the message's start.
    pub offset: usize,
    /// Where its descriptor stands.
    pub descriptor_offset: usize,
    /// The descriptor's word.
    pub descriptor: u64,
}

/// A request, and what its answer brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// From 1.
    pub number: u32,
    /// Whether an answer is waited for.
    pub is_answered: bool,
    /// The message.
    pub message: Vec<u8>,
    /// Where names of ports stand in it, of 32 bits, and which ports they are.
    pub ports: Vec<(usize, u32)>,
    /// Where addresses stand in it, of 64 bits, and which.
    pub addresses: Vec<(usize, u64)>,
    /// Where addresses of memory out of line stand in it, of 64 bits, and what is in it. What stands there in `message` says where in a page it
    /// began, on which some servers insist.
    pub contents: Vec<(usize, Vec<u8>)>,
    /// Ports in the answer.
    pub gives: Vec<(Place, u32)>,
    /// Memory in the answer: address and size in the capture.
    pub memory: Vec<(Place, u64, u64)>,
}

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The port with this number is known.
    Known(u32, Known),
    /// A trap with this number, as it is in `mach_trap_table`, gives a right to this port.
    Trap(u32, u32),
    /// A request is sent.
    Call(Call),
}

/// The text of these steps.
pub fn write(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Known(port, what) => {
                let name = KNOWN.iter().find(|(known, _)| known == what).map_or("", |(_, name)| name);
                writeln!(out, "known {port} {name}")
            }
            Step::Trap(number, port) => writeln!(out, "trap {number} {port}"),
            Step::Call(call) => write_call(&mut out, call),
        };
    }
    out
}

fn write_call(out: &mut String, call: &Call) -> core::fmt::Result {
    write!(out, "call {} {} ", call.number, if call.is_answered { "answered" } else { "one-way" })?;
    call.message.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
    writeln!(out)?;
    call.ports.iter().try_for_each(|(offset, port)| writeln!(out, "port {offset} {port}"))?;
    call.addresses.iter().try_for_each(|(offset, address)| writeln!(out, "address {offset} {address}"))?;
    for (offset, bytes) in &call.contents {
        write!(out, "contents {offset} ")?;
        bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        writeln!(out)?;
    }
    let place = |place: &Place| format!("{} {} {}", place.offset, place.descriptor_offset, place.descriptor);
    call.gives.iter().try_for_each(|(at, port)| writeln!(out, "gives {} {port}", place(at)))?;
    call.memory.iter().try_for_each(|(at, address, size)| writeln!(out, "memory {} {address} {size}", place(at)))
}

/// The steps of a text.
///
/// # Errors
/// The number of the first line, from 1, that is none.
pub fn parse(text: &str) -> Result<Vec<Step>, usize> {
    let mut steps = Vec::new();
    for (place, line) in text.lines().enumerate() {
        read(&mut steps, line).ok_or(place + 1)?;
    }
    Ok(steps)
}

fn read(steps: &mut Vec<Step>, line: &str) -> Option<()> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let step = match kind {
        "known" => {
            let port = words.next()?.parse().ok()?;
            let name = words.next()?;
            Some(Step::Known(port, KNOWN.iter().find(|(_, known)| *known == name)?.0))
        }
        "call" => {
            let number = words.next()?.parse().ok().filter(|number| (1..=CALLS_MAX).contains(number))?;
            let is_answered = match words.next()? {
                "answered" => true,
                "one-way" => false,
                _ => return None,
            };
            let message = bytes(words.next()?)?;
            Some(Step::Call(Call { number, is_answered, message, ..Call::default() }))
        }
        "trap" => Some(Step::Trap(words.next()?.parse().ok()?, words.next()?.parse().ok()?)),
        _ => None,
    };
    if let Some(step) = step {
        steps.push(step);
        return words.next().is_none().then_some(());
    }
    let Some(Step::Call(call)) = steps.last_mut() else { return None };
    if kind == "contents" {
        call.contents.push((words.next()?.parse().ok()?, bytes(words.next()?)?));
        return words.next().is_none().then_some(());
    }
    let mut number = || words.next()?.parse::<u64>().ok();
    let mut at = || usize::try_from(number()?).ok();
    match kind {
        "port" => call.ports.push((at()?, u32::try_from(number()?).ok()?)),
        "address" => call.addresses.push((at()?, number()?)),
        "gives" | "memory" => {
            let place = Place { offset: at()?, descriptor_offset: at()?, descriptor: number()? };
            match kind {
                "gives" => call.gives.push((place, u32::try_from(number()?).ok()?)),
                _ => call.memory.push((place, number()?, number()?)),
            }
        }
        _ => return None,
    }
    words.next().is_none().then_some(())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn steps_survive() {
        let place = Place { offset: 40, descriptor_offset: 32, descriptor: u64::MAX };
        let call = Call {
            number: 7,
            is_answered: true,
            message: vec![0, 0x7f, 0xff],
            ports: vec![(8, 3), (40, u32::MAX)],
            addresses: vec![(48, 0x1000)],
            contents: vec![(56, vec![1, 0xff]), (64, vec![0])],
            gives: vec![(place, 9)],
            memory: vec![(place, 0x2000, 4096)],
        };
        let one_way = Call { number: CALLS_MAX, message: vec![1], ..Call::default() };
        let mut steps = vec![Step::Trap(26, 4), Step::Call(call), Step::Call(one_way)];
        steps.extend(KNOWN.iter().map(|(known, _)| Step::Known(5, *known)));
        assert_eq!(parse(&write(&steps)), Ok(steps));
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn damage_is_refused_with_its_line() {
        let call = "call 1 answered 00";
        for (text, line) in [
            ("known 1 nobody", 1),
            ("port 8 1", 1),
            ("call 0 answered 00", 1),
            ("call 65536 answered 00", 1),
            ("call 1 perhaps 00", 1),
            ("call 1 answered 000", 1),
            ("call 1 answered 0g", 1),
            ("trap 26", 1),
            ("trap 26 1 2", 1),
            ("", 0),
        ] {
            assert_eq!(parse(text).err().unwrap_or(0), line, "{text}");
        }
        for line in [
            "contents 8",
            "contents 8 0",
            "contents 8 00 00",
            "port 8",
            "port 8 1 1",
            "port -1 1",
            "gives 1 2 3",
            "memory 1 2 3 4",
            "address 1 x",
            "other 1",
            "",
        ] {
            assert_eq!(parse(&format!("{call}\n{line}\n")), Err(2), "{line}");
        }
    }

    #[test]
    fn marks_are_told_from_other_numbers() {
        assert_eq!(number_of(MARK + 1), Some(1));
        assert_eq!(number_of(MARK | CALLS_MAX), Some(CALLS_MAX));
        for other in [0, 1, MARK, MARK + CALLS_MAX + 1, u32::MAX] {
            assert_eq!(number_of(other), None, "{other:#x}");
        }
    }
}
