// SPDX-License-Identifier: GPL-2.0-or-later
//! What of a capture is sent again, and what is said of the answers: `cargo qemu replay` without the machine.
#![cfg(feature = "host")]

use std::fs;

use capture::{Fact, Facts, Writer};
use mach_abi::header::LP64;
use protocol::replay::{Call, Known, MARK, Step, parse};
use rpctrace2::host::replay::Replay;
use tempfile::NamedTempFile;
use trace_port::{Direction, port};

#[path = "stages/common.rs"]
#[expect(dead_code, unused_imports, reason = "only what makes records is used")]
mod common;
use common::*;

/// What the client calls its ports, which are their numbers, too.
const MASTER: u64 = 11;
const DEVICE: u64 = 12;
const STRANGER: u64 = 33;

/// A request, of a replay with its number.
fn sent(message: Message, number: Option<u32>) -> Sample {
    let mut bytes = message.done();
    if let Some(number) = number {
        bytes[LP64.seqno..LP64.seqno + 4].copy_from_slice(&(MARK | number).to_le_bytes());
    }
    Sample::raw(Direction::Send, &bytes)
}

fn reply(id: u32, code: i32) -> Message {
    Message::reply(id + 100, REPLY).int(code)
}

/// Memory is allocated, a device opened and written to, so many bytes by its answer; then what cannot be sent again. In a replay ports and memory have other
/// names and numbers, and only the first three are there.
fn calls(is_again: bool, written: i32) -> Vec<Sample> {
    let number = |number| is_again.then_some(number);
    let (device, address) = if is_again { (52, 0x9000) } else { (DEVICE, 0x5000) };
    let master = kernel_port(MASTER as u32, MASTER as u32, port::MASTER_DEVICE, 0);
    let mut samples = vec![
        sent(Message::request(7000, SELF).long(0).long(4096).bool(true), number(1)),
        Sample::received(reply(7000, 0).long(address)),
        sent(Message::request(7006, MASTER).int(1).string("console"), number(2)).knows(master),
        Sample::received(reply(7006, 0).port(MOVE_SEND, device)),
        sent(Message::request(7007, device).chars(b"hello"), number(3)),
        Sample::received(reply(7007, 0).int(written)),
    ];
    if !is_again {
        samples.extend([
            sent(Message::request(7009, DEVICE).port(COPY_SEND, SELF).data(b"").memory(0x7000, 100), None),
            Sample::received(reply(7009, 0)),
            sent(Message::request(7008, STRANGER).int(1), None),
            Sample::received(reply(7008, 0).int(2)),
            sent(Message::request(7021, SELF), None),
        ]);
    }
    samples
}

fn capture(samples: &[Sample]) -> NamedTempFile {
    let mut trace = usual_trace(&[]);
    trace.keep(Writer::new(64, &Facts::default().with(Fact::Command, "hello"), &BYTES));
    let mut text = String::new();
    for (place, sample) in samples.iter().enumerate() {
        trace.message(&sample.clone().sequence(place as u64 + 1).wire().into(), &mut text);
    }
    trace.finish(&mut text);
    let file = NamedTempFile::new().expect("a file");
    fs::write(file.path(), trace.capture().expect("it is kept").bytes()).expect("written");
    file
}

fn planned(file: &NamedTempFile) -> Replay {
    Replay::of(&file.path().to_string_lossy(), 1).expect("a capture")
}

#[test]
fn requests_are_sent_with_what_answers_have_brought() {
    let file = capture(&calls(false, 5));
    let replay = planned(&file);
    let steps = parse(&replay.script()).expect("a script");
    let [Step::Known(1, Known::Task), Step::Call(allocate), Step::Known(11, Known::DeviceMaster), rest @ ..] = &*steps
    else {
        panic!("{steps:?}")
    };
    let [Step::Call(open), Step::Call(write)] = rest else { panic!("{steps:?}") };
    let ports = |call: &Call| call.ports.clone();
    assert_eq!(ports(allocate), [(LP64.remote_port, 1)]);
    let memory: Vec<_> = allocate.memory.iter().map(|(place, address, size)| (place.offset, *address, *size)).collect();
    assert_eq!(memory, [(56, 0x5000, 4096)]);
    assert_eq!((ports(open), open.gives.len(), open.gives[0].1), (vec![(8, 11)], 1, 12));
    assert_eq!((open.gives[0].0.descriptor_offset, open.gives[0].0.offset), (48, 56));
    assert_eq!((ports(write), write.number, write.is_answered), (vec![(8, 12)], 3, true));
}

#[test]
fn equal_answers_are_equal_whatever_ports_and_memory_are_called() {
    let (file, again) = (capture(&calls(false, 5)), capture(&calls(true, 5)));
    let found = planned(&file).judge(&again.path().to_string_lossy()).expect("a capture");
    let lines: Vec<&str> = found.text.lines().collect();
    assert_eq!((found.calls, found.replayed, found.differ), (6, 3, 0), "{}", found.text);
    let ends = [
        ": 100 bytes out of line, which the capture has not",
        ": no answer that is replayed brings port 33",
        ": it would end or change the program that replays",
        "3 of 6 replayed, 0 differ",
    ];
    assert_eq!(lines.len(), ends.len(), "{}", found.text);
    lines.iter().zip(ends).for_each(|(line, end)| assert!(line.ends_with(end), "{line}"));
    assert!(lines[0].starts_with("not replayed: hello[1] give("), "{}", lines[0]);
}

#[test]
fn another_answer_is_told_with_both() {
    let (file, again) = (capture(&calls(false, 5)), capture(&calls(true, 4)));
    let found = planned(&file).judge(&again.path().to_string_lossy()).expect("a capture");
    assert_eq!((found.replayed, found.differ), (3, 1), "{}", found.text);
    let line = |sign: char, of: &str| {
        let is_it = |line: &&str| line.starts_with(sign) && line.ends_with(&format!("{{bytes_written: {of}}}"));
        assert!(found.text.lines().any(|line| is_it(&line)), "{sign}{of}:\n{}", found.text);
    };
    line('-', "5");
    line('+', "4");
}

#[test]
fn what_was_not_sent_or_answered_is_not_equal() {
    let (file, whole) = (capture(&calls(false, 5)), calls(true, 5));
    let judged = |samples: &[Sample]| {
        let again = capture(samples);
        planned(&file).judge(&again.path().to_string_lossy()).expect("a capture")
    };
    let found = judged(&whole[..4]);
    assert_eq!((found.replayed, found.differ), (2, 0), "{}", found.text);
    assert!(found.text.contains("what it needs was not in an answer"), "{}", found.text);
    let found = judged(&whole[..5]);
    assert_eq!((found.replayed, found.differ), (3, 1), "{}", found.text);
    assert!(found.text.contains("= (unanswered)"), "{}", found.text);
    // Requests without a number are the program's own.
    assert_eq!(judged(&calls(false, 5)).replayed, 0);
}

#[test]
fn a_port_that_another_answer_denies_is_told() {
    let twice = |device: [u64; 2], is_again: bool| -> Vec<Sample> {
        let master = kernel_port(MASTER as u32, MASTER as u32, port::MASTER_DEVICE, 0);
        let open = |place: u32, device| {
            let number = is_again.then_some(place);
            let request = sent(Message::request(7006, MASTER).int(1).string("console"), number).knows(master);
            [request, Sample::received(reply(7006, 0).port(MOVE_SEND, device))]
        };
        [open(1, device[0]), open(2, device[1])].concat()
    };
    let (file, same) = (capture(&twice([12, 12], false)), capture(&twice([52, 52], true)));
    let other = capture(&twice([52, 53], true));
    let judged = |again: &NamedTempFile| planned(&file).judge(&again.path().to_string_lossy()).expect("a capture");
    assert_eq!(judged(&same).differ, 0);
    let found = judged(&other);
    assert_eq!(found.differ, 1, "{}", found.text);
    assert!(
        found.text.contains("(port 12 of the first is port 53 of the second here, port 52 before)"),
        "{}",
        found.text
    );
}
