// SPDX-License-Identifier: GPL-2.0-or-later
//! `--ool`: how it is written, and how lines say what memory out of line held, and when it was read.

use exchanges::Memory;
use exchanges::memory::Found;
use mach_abi::KernReturn;
use mach_abi::type_name::{BYTE, CHAR, INTEGER_16, INTEGER_32, PORT_NAME};
use rpctrace2::Request;
use rpctrace2::options::place::Here;
use rpctrace2::options::{self, guest_words};

use crate::common::*;

fn read(bytes: &[u8]) -> Found {
    Found::Read(bytes.to_vec().into())
}

/// The argument of a message with one item out of line at 0x5000, which is sent, or received, and of which this was found.
fn item((name, bits, count): (u32, u16, u32), is_sent: bool, arguments: &[&str], found: Found) -> String {
    let size = u64::from(count) * u64::from(bits) / 8;
    let sample = match is_sent {
        true => Sample::sent(Message::request_from(2999, 7, 0).out_of_line(name, bits, count, 0x5000)),
        false => Sample::received(Message::incoming(2999, 3, 0).out_of_line(name, bits, count, 0x5000)),
    };
    let (mut trace, mut out) = (usual_trace(arguments), String::new());
    trace.remember(9, Memory { address: 0x5000, size, found });
    sample.sequence(9).feed(&mut trace, &mut out);
    trace.finish(&mut out);
    let start = out.find("ool 0x5000").unwrap_or_else(|| panic!("no memory: {out}"));
    out[start..].split_once(')').map_or("", |(item, _)| item).to_owned()
}

#[test]
fn a_line_says_what_was_read_and_when() {
    let page = [b'a'; 4096];
    for (found, text) in [
        (read(&page[..16]), r#"16 read after the copy: "aaaaaaaaaaaaaaaa""#),
        (read(&[0, 1, 2]), "3 read after the copy: <00 01 02>"),
        (read(&[]), "0 read after the copy: <>"),
        (Found::GivenAway, "given away"),
        (Found::Refused(KernReturn::KERN_INVALID_ADDRESS.0), "not read: KERN_INVALID_ADDRESS"),
        (Found::Paged, "not read: a pager provides it"),
    ] {
        assert_eq!(item((BYTE, 8, 4096), true, &[], found), format!("ool 0x5000[4096 bytes; {text}]"));
    }
    let received = item((BYTE, 8, 4), false, &[], read(b"text"));
    assert_eq!(received, r#"ool 0x5000[4 bytes; read before the return: "text"]"#);
}

#[test]
fn contents_are_shown_as_inline_data_are() {
    let long = item((CHAR, 8, 100), true, &["-s", "4"], read(&[b'x'; 100]));
    assert_eq!(long, r#"ool 0x5000[100 chars; read after the copy: "xxxx"...]"#);
    let whole = item((CHAR, 8, 100), true, &["-s", "4", "-v"], read(&[b'x'; 100]));
    assert!(whole.ends_with(&format!("\"{}\"]", "x".repeat(100))), "{whole}");
    let numbers: Vec<u8> = [5_i32, -6, 7].iter().flat_map(|number| number.to_le_bytes()).collect();
    let of = |kind, bytes: &[u8]| item(kind, true, &[], read(bytes));
    assert_eq!(of((INTEGER_32, 32, 3), &numbers), "ool 0x5000[3 int32; read after the copy: [5, -6, 7]]");
    assert_eq!(of((PORT_NAME, 32, 3), &numbers), "ool 0x5000[3 names; read after the copy: [5, 4294967290, 7]]");
    // Half a number is none.
    assert_eq!(of((INTEGER_16, 16, 9), &[1, 0, 2]), "ool 0x5000[9 int16; 3 read after the copy: [1]]");
    let many = of((INTEGER_16, 16, 40), &[1; 80]);
    assert!(many.ends_with("257, 257, ...]]"), "{many}");
}

/// One record's memory is no other's, and what was read of one item is not said of another.
#[test]
fn memory_is_that_of_its_record_and_item() {
    let message = || Message::request_from(2999, 7, 0).memory(0x5000, 4).memory(0x6000, 4).memory(0x5000, 2);
    let (mut trace, mut out) = (usual_trace(&[]), String::new());
    let held = |address, size, bytes: &[u8]| Memory { address, size, found: read(bytes) };
    trace.remember(1, held(0x6000, 4, b"abcd"));
    trace.remember(3, held(0x5000, 4, b"efgh"));
    (1..=3).for_each(|sequence| Sample::sent(message()).sequence(sequence).feed(&mut trace, &mut out));
    trace.finish(&mut out);
    let lines: Vec<&str> = out.lines().collect();
    let says = |text: &str| format!("; read after the copy: \"{text}\"]");
    assert!(
        lines[0].contains(&format!("ool 0x5000[4 bytes], ool 0x6000[4 bytes{}, ool 0x5000[2 bytes])", says("abcd")))
    );
    assert!(!lines[1].contains("read"), "{out}");
    assert!(
        lines[2].contains(&format!("ool 0x5000[4 bytes{}, ool 0x6000[4 bytes], ool 0x5000[2 bytes])", says("efgh")))
    );
}

#[test]
fn how_much_is_read_is_a_number_of_bytes() {
    let size = |text: &str| match options::parse(["--ool", text, "hello"], Here::Guest) {
        Ok(Request::Trace { options, .. }) => Ok((options.memory, guest_words(&options))),
        Ok(other) => panic!("expected options, found {other:?}"),
        Err(error) => Err(error.to_string()),
    };
    for (text, bytes) in [("1", 1), ("4096", 4096), ("4k", 4096), ("512k", 524_288), ("524288", 524_288)] {
        assert_eq!(size(text), Ok((bytes, vec!["--ool".to_owned(), bytes.to_string()])));
    }
    for text in ["", "0", "0k", "-1", "+1", "k", "4K", "4kb", "1m", "524289", "513k", "18446744073709551615k", "all"] {
        let expected = "option `--ool`: expected a number of bytes from 1 to 512k, such as 4096 or 64k, found ";
        assert_eq!(size(text), Err(format!("{expected}`{text}`")));
    }
    let of_capture = options::parse(["--ool", "1", "file"], Here::Show).unwrap_err().to_string();
    assert_eq!(of_capture, "option `--ool`: is about a trace that is being made; this one has been");
}
