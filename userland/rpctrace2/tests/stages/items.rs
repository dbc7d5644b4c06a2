// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that no .defs knows, by their descriptors; and those of which the record holds only the beginning.

use mach_abi::type_name::{
    BOOLEAN, BYTE, CHAR, COPY_SEND, INTEGER_16, INTEGER_32, INTEGER_64, PORT_NAME, REAL, STRING,
};

use crate::common::*;

/// What the line of a message with these items says of them.
fn items(of: impl FnOnce(Message) -> Message) -> String {
    let found = lines(&[], &[Sample::sent(of(Message::request_from(2999, 7, 0)))]);
    let [line] = &found[..] else { panic!("{found:?}") };
    let rest = line.strip_suffix(") = MACH_MSG_SUCCESS").expect(line);
    let rest = rest.strip_prefix("hello[1] msgh_id 2999(to port 7, ").expect(line);
    let (_, items) = rest.split_once(" bytes").expect(line);
    items.strip_prefix(": ").unwrap_or(items).to_string()
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn rights_are_rights_however_many_stand_in_an_item() {
    let some = words(&[8, 0, 0xffff_ffff]);
    assert_eq!(items(|message| message.item(COPY_SEND, 64, 3, &some)), "[port 8, MACH_PORT_NULL, MACH_PORT_DEAD]");
    let made = "[make-send-once port 8, make-send-once port 9]";
    assert_eq!(items(|message| message.item(MAKE_SEND_ONCE, 64, 2, &words(&[8, 9]))), made);
    assert_eq!(items(|message| message.item(MOVE_SEND, 64, 1, &words(&[8]))), "move-send port 8");
    assert_eq!(items(|message| message.item(COPY_SEND, 64, 0, &[])), "[]");
    assert_eq!(items(|message| message.item(PORT_NAME, 32, 2, &words(&[8 | 9 << 32]))), "[port 8, port 9]");
}

#[test]
fn integers_of_every_width_are_numbers() {
    let negative = |bits: u32| u64::MAX >> (64 - bits);
    for (name, bits) in [(BYTE, 8), (INTEGER_16, 16), (INTEGER_32, 32), (INTEGER_64, 64), (BOOLEAN, 32)] {
        let data = words(&[negative(bits)])[..bits as usize / 8].to_vec();
        assert_eq!(items(|message| message.item(name, bits as u16, 1, &data)), "-1", "{name} {bits}");
    }
    assert_eq!(items(|message| message.ints(&[7, -8])), "[7, -8]");
    assert_eq!(items(|message| message.item(INTEGER_16, 16, 3, &[1, 0, 0xff, 0xff, 3, 0])), "[1, -1, 3]");
    assert_eq!(items(|message| message.words(&[7, 8])), "[7, 8]");
    assert_eq!(items(|message| message.bool(true)), "1");
    assert_eq!(items(|message| message.ints(&[])), "[]");
    // What has no form of its own is bytes.
    assert_eq!(items(|message| message.item(REAL, 32, 1, &[0, 0, 0x80, 0x3f])), "<00 00 80 3f>");
    assert_eq!(items(|message| message.item(BOOLEAN, 8, 2, &[1, 2])), "<01 02>");
    assert_eq!(items(|message| message.data(&[])), "<>");
}

#[test]
fn an_array_of_characters_has_all_its_bytes_and_a_c_string_ends_at_its_padding() {
    assert_eq!(items(|message| message.chars(&[0; 8])), r#""\0\0\0\0\0\0\0\0""#);
    assert_eq!(items(|message| message.chars(b"ab\0")), r#""ab\0""#);
    assert_eq!(items(|message| message.chars(b"")), r#""""#);
    assert_eq!(items(|message| message.item(STRING, 64, 1, b"ab\0\0\0\0\0\0")), r#""ab""#);
}

#[test]
fn what_is_out_of_line_is_counted_and_says_what_it_is() {
    for (name, bits, count, text) in [
        (BYTE, 8, 12, "12 bytes"),
        (BYTE, 8, 1, "1 byte"),
        (CHAR, 8, 5, "5 chars"),
        (INTEGER_32, 32, 100, "100 int32"),
        (INTEGER_16, 16, 2, "2 int16"),
        (INTEGER_64, 64, 1, "1 int64"),
        (PORT_NAME, 32, 3, "3 names"),
        (REAL, 32, 2, "8 bytes"),
        (INTEGER_32, 32, 0, "0 int32"),
    ] {
        let found = items(|message| message.out_of_line(name, bits, count, 0x5000));
        assert_eq!(found, format!("ool 0x5000[{text}]"));
    }
    let rights = items(|message| message.out_of_line(MAKE_SEND, 64, 2, 0x5000));
    assert_eq!(rights, "make-send ool 0x5000[2 ports]");
}

#[test]
fn rights_and_memory_of_a_message_that_is_not_complex_are_said_to_be_none() {
    let rights = items(|message| message.out_of_line(MOVE_SEND, 32, 3, 0x5000).said_simple());
    assert_eq!(rights, "move-send ool 0x5000[3 ports], <not complex>");
    let memory = items(|message| message.out_of_line(CHAR, 8, 0, 0).chars(b"a").said_simple());
    assert_eq!(memory, "ool 0x0[0 chars], \"a\", <not complex>");
    let right = items(|message| message.item(MAKE_SEND, 64, 1, &words(&[8])).said_simple());
    assert_eq!(right, "make-send port 8, <not complex>");
    let many = |message: Message| (0..40).fold(message.port(COPY_SEND, 8), Message::int).said_simple();
    assert!(items(many).ends_with("30, ..., <not complex>"), "{}", items(many));
    assert_eq!(items(|message| message.int(5).said_simple()), "5");
}

#[test]
fn a_message_of_many_items_is_shortened_without_v() {
    let many = || Sample::sent((0..40).fold(Message::request_from(2999, 7, 0), Message::int));
    let found = lines(&[], &[many()]).concat();
    assert!(found.ends_with("30, 31, ...) = MACH_MSG_SUCCESS"), "{found}");
    let found = lines(&["-v"], &[many()]).concat();
    assert!(found.ends_with("38, 39) = MACH_MSG_SUCCESS"), "{found}");
}

#[test]
fn an_id_is_signed_and_a_body_may_be_empty() {
    let found = lines(&[], &[Sample::sent(Message::request_from(u32::MAX, 7, 0))]);
    assert_eq!(found, ["hello[1] msgh_id -1(to port 7, 32 bytes) = MACH_MSG_SUCCESS"]);
}

/// The line of a message of which only so many bytes were captured.
fn cut(arguments: &[&str], message: Message, captured: usize) -> String {
    let found = lines(arguments, &[Sample::sent(message).cut_to(captured)]);
    assert_eq!(found.len(), 1, "{found:?}");
    found.concat().strip_prefix("hello[1] ").expect("a line of hello").to_string()
}

#[test]
fn what_was_not_captured_of_a_message_without_interface_is_said() {
    let unknown = || Message::request_from(2999, 7, 0);
    let three = || unknown().int(1).int(2).int(3);
    // Behind an item, within a descriptor, within its data.
    let whole = "msgh_id 2999(to port 7, 80 bytes: 1, 2, <16 bytes not captured>) = MACH_MSG_SUCCESS";
    assert_eq!(cut(&[], three(), 64), whole);
    let found = cut(&[], three(), 68);
    assert_eq!(
        found,
        "msgh_id 2999(to port 7, 80 bytes: 1, 2, <02 20 00 20>, <12 bytes not captured>) = MACH_MSG_SUCCESS"
    );
    let found = cut(&[], unknown().ints(&[1, 2, 3, 4]), 50);
    assert_eq!(found, "msgh_id 2999(to port 7, 56 bytes: [1, 2]..., <6 bytes not captured>) = MACH_MSG_SUCCESS");
    let found = cut(&[], unknown().chars(&[b'a'; 16]), 44);
    assert_eq!(found, "msgh_id 2999(to port 7, 56 bytes: \"aaaa\"..., <12 bytes not captured>) = MACH_MSG_SUCCESS");
    let found = cut(&["-s", "2"], unknown().chars(&[b'a'; 16]), 44);
    assert_eq!(found, "msgh_id 2999(to port 7, 56 bytes: \"aa\"..., <12 bytes not captured>) = MACH_MSG_SUCCESS");
    let found = cut(&[], unknown().item(COPY_SEND, 64, 2, &words(&[8, 9])), 49);
    assert_eq!(found, "msgh_id 2999(to port 7, 56 bytes: [port 8]..., <7 bytes not captured>) = MACH_MSG_SUCCESS");
    let found = cut(&[], (0..40).fold(unknown(), Message::int), 32 + 36 * 16);
    assert!(found.ends_with("30, 31, ..., <64 bytes not captured>) = MACH_MSG_SUCCESS"), "{found}");
    assert_eq!(cut(&[], three(), 32), "msgh_id 2999(to port 7, 80 bytes: <48 bytes not captured>) = MACH_MSG_SUCCESS");
}

#[test]
fn what_was_not_captured_of_a_message_with_an_interface_is_said() {
    let write = || Message::request_from(7007, 7, 0).chars(&[b'a'; 16]);
    let found = cut(&[], write(), 44);
    assert_eq!(
        found,
        "device_write_inband(device: port 7, data: \"aaaa\"..., <12 bytes not captured>) = MACH_MSG_SUCCESS"
    );
    assert_eq!(
        cut(&[], write(), 32),
        "device_write_inband(device: port 7, <24 bytes not captured>) = MACH_MSG_SUCCESS"
    );
    let give = || Message::request_from(7009, 7, 0).port(MOVE_SEND, 8).data(&[1, 2, 3, 4]).memory(0x2000, 8192);
    let found = cut(&[], give(), 59);
    assert_eq!(
        found,
        "give(port: port 7, right: move-send port 8, bytes: <01 02 03>..., <21 bytes not captured>) = MACH_MSG_SUCCESS"
    );
    // Half a right, or half an integer, is none.
    assert_eq!(
        cut(&[], give(), 42),
        "give(port: port 7, right: <08 00>..., <38 bytes not captured>) = MACH_MSG_SUCCESS"
    );
    // Behind the last argument there may be more than the .defs say.
    let found = cut(&[], Message::request_from(7008, 7, 0).int(5).int(6), 48);
    assert_eq!(found, "echo(port: port 7, value: 5, <16 bytes not captured>) = MACH_MSG_SUCCESS");
    // What is wrong with what is there is said all the same.
    let found = lines(&[], &[Sample::sent(Message::request_from(7008, 7, 0).chars(b"no int")).cut_to(45)]);
    let wrong = "expected 4 bytes of data, found 6>, <3 bytes not captured>) = MACH_MSG_SUCCESS";
    assert!(found[0].ends_with(wrong), "{found:?}");
}

#[test]
fn what_was_not_captured_of_a_reply_is_said() {
    let describe = |message: Message, captured| {
        let reply = Sample::received(message).cut_to(captured);
        lines(&[], &[Sample::sent(Message::request(7011, 7)), reply]).concat()
    };
    let reply = Message::reply(7111, REPLY).int(0).words(&[5, 0x7000]).ints(&[1, -2, 3]);
    assert_eq!(
        describe(reply, 90),
        "hello[1] describe(port: port 7) = KERN_SUCCESS {pair: {first: 5, second: 0x7000}, info: [1, -2]..., <6 bytes not captured>}"
    );
}
