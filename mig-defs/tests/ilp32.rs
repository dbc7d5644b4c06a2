// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of 32-bit kernels, written byte by byte as mach/message.h lays them out for i386, and what they decode to: the fields are
//! those of the same messages of 64-bit kernels.
#![cfg(feature = "compiler")]

mod common;

use common::{decode_all, decode_as, tables, tables_for};
use mach_abi::Format;
use mig_defs::decode::{Error, Message, Reason};
use mig_defs::raw::Items;
use mig_defs::table::Tables;
use mig_defs::value::{Value, View};

const DEFS: &str = "
subsystem demo 1000;
type int32_t = MACH_MSG_TYPE_INTEGER_32;
type uint64_t = MACH_MSG_TYPE_INTEGER_64;
type boolean_t = MACH_MSG_TYPE_BOOLEAN;
type kern_return_t = int;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type name_t = MACH_MSG_TYPE_PORT_NAME;
type title_t = c_string[16];
type free_title_t = c_string[*:16];
type mixed_t = struct { int32_t first; uint64_t wide; boolean_t last; };
type three_t = array[3] of int32_t;
type data_t = array[*:64] of char;
type pointer_t = ^array[] of MACH_MSG_TYPE_BYTE;
type ports_t = ^array[] of mach_port_t;
type few_ports_t = array[*:3] of mach_port_t;
type any_t = polymorphic;
type task_info_t = array[*:1024] of int32_t;
routine scalars(task : mach_port_t; a : int32_t; b : uint64_t; c : boolean_t; name : name_t; three : three_t;
    out mixed : mixed_t; out e : mach_port_t);
routine texts(server : mach_port_t; title : title_t; free : free_title_t; data : data_t; last : int32_t);
simpleroutine memory(server : mach_port_t; bytes : pointer_t; ports : ports_t; few : few_ports_t; any : any_t);
routine task_info(target_task : mach_port_t; flavor : int32_t; out task_info_out : task_info_t, CountInOut);
";

/// The bytes of 32-bit words, one after the other.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// bits, size, remote port, local port, seqno, id, and the body.
fn message(bits: u32, (remote, local): (u32, u32), id: u32, body: &[Vec<u8>]) -> Vec<u8> {
    let body = body.concat();
    [words(&[bits, 24 + body.len() as u32, remote, local, 0, id]), body].concat()
}

fn text_of(bytes: &[u8], view: View) -> String {
    let tables = tables_for(Format::Ilp32, &[DEFS]);
    decode_as(Format::Ilp32, Tables::parse(&tables).expect("tables"), bytes, view)
}

fn scalars_request() -> Vec<u8> {
    let body = [
        words(&[0x1001_2002, (-5_i32) as u32]),
        // 64 bits are aligned to four bytes.
        words(&[0x1001_400b, 0xffff_ffff, 0x7fff_ffff]),
        words(&[0x1001_2000, 1]),
        words(&[0x1001_200f, 33]),
        words(&[0x1003_2002, 1, 2, 3]),
    ];
    message(0x1513, (7, 9), 1000, &body)
}

fn texts_request() -> Vec<u8> {
    let body = [
        // The number of a short descriptor has 12 bits; MIG makes strings and arrays that vary long.
        words(&[0x1010_080c]),
        b"hello\0..........".to_vec(),
        words(&[0x3000_0000, 0x0008_000c, 6]),
        b"short\0..".to_vec(),
        words(&[0x3000_0000, 0x0008_0008, 5]),
        b"abcde...".to_vec(),
        words(&[0x1001_2002, 77]),
    ];
    message(0x1513, (7, 9), 1001, &body)
}

fn memory_request() -> Vec<u8> {
    let body = [
        words(&[0x6000_0000, 0x0008_0009, 0x0012_3456, 0xb000_5000]),
        words(&[0x2000_0000, 0x0020_0013, 2, 0xb000_6000]),
        words(&[0x3000_0000, 0x0020_0013, 2, 21, 22]),
        words(&[0x1001_2015, 44]),
    ];
    message(0x8000_0013, (7, 0), 1002, &body)
}

#[test]
fn scalars_and_fixed_arrays() {
    assert_eq!(
        text_of(&scalars_request(), View::Sent),
        "demo.scalars(task: mach_port_t = port 7 COPY_SEND, a: int32_t = -5 i32, b: uint64_t = 9223372036854775807 u64, c: \
         boolean_t = true, name: name_t = name 33, three: three_t = [1 i32, 2 i32, 3 i32])"
    );
}

#[test]
fn structs_have_the_alignment_of_32_bit_c() {
    // The 64-bit member stands at byte 4 of the struct, which i386 sends as bytes.
    let body = [words(&[0x1001_2002, 0]), words(&[0x1004_2002, 6, 8, 1, 1]), words(&[0x1001_2011, 12])];
    let reply = message(0x8000_1200, (0, 9), 1100, &body);
    assert_eq!(
        text_of(&reply, View::Received),
        "demo.scalars reply(RetCode: kern_return_t = KERN_SUCCESS, mixed: mixed_t = {first: int32_t = 6 i32, wide: uint64_t = \
         4294967304 u64, last: boolean_t = true}, e: mach_port_t = port 12 PORT_SEND)"
    );
}

#[test]
fn strings_and_arrays_of_the_long_form_are_padded_to_four_bytes() {
    assert_eq!(
        text_of(&texts_request(), View::Sent),
        "demo.texts(server: mach_port_t = port 7 COPY_SEND, title: title_t = \"hello\", free: free_title_t = \"short\", data: \
         data_t = \"abcde\", last: int32_t = 77 i32)"
    );
}

#[test]
fn memory_and_rights() {
    assert_eq!(
        text_of(&memory_request(), View::Sent),
        "demo.memory(server: mach_port_t = port 7 COPY_SEND, bytes: pointer_t = 1193046 bytes at 0xb0005000 dealloc, ports: \
         ports_t = 2 ports at 0xb0006000 COPY_SEND, few: few_ports_t = [port 21 COPY_SEND, port 22 COPY_SEND], any: any_t = \
         port 44 MAKE_SEND_ONCE)"
    );
    // What a receiver sees: the port is the local one.
    let request = message(0x1112, (9, 7), 1000, &[]);
    let text = text_of(&request, View::Received);
    assert!(text.starts_with("demo.scalars(task: mach_port_t = port 7 PORT_SEND, error "), "{text}");
    assert!(text.ends_with("a at byte 24: needs 4 bytes, there are 0)"), "{text}");
}

#[test]
fn an_error_reply_is_its_return_code_alone() {
    let reply = message(0x1200, (0, 9), 1100, &[words(&[0x1001_2002, (-304_i32) as u32])]);
    assert_eq!(reply.len(), Format::Ilp32.error_reply_size());
    assert_eq!(text_of(&reply, View::Received), "demo.scalars reply(RetCode: kern_return_t = MIG_BAD_ARGUMENTS)");
}

#[test]
fn what_integers_stand_for_is_laid_out_for_the_format() {
    let bytes = tables_for(Format::Ilp32, &[DEFS]);
    let tables = Tables::parse(&bytes).expect("tables");
    let request = message(0x1513, (7, 9), 1003, &[words(&[0x1001_2002, 1]), words(&[0x1001_2002, 1024])]);
    // suspend_count, base_priority, virtual_size, resident_size, three times of two words, then of two 64-bit numbers each.
    let info: Vec<u32> = [0, 25, 0x8000, 0x4000, 1, 2, 3, 4, 5, 6].into_iter().chain([7, 0, 8, 0].repeat(3)).collect();
    let body = [words(&[0x1001_2002, 0]), words(&[0x3000_0000, 0x0020_0002, info.len() as u32]), words(&info)];
    let reply = message(0x1200, (0, 9), 1103, &body);
    let request = Message::new(tables, Format::Ilp32, &request, View::Sent).expect("known");
    let reply = Message::reply(tables, Format::Ilp32, &reply, View::Received).expect("known").to_request(&request);
    let field = reply.fields().last().expect("fields").expect("sound");
    let Value::Struct(info) = field.value else { panic!("{:?}", field.value) };
    assert_eq!(info.type_name(), "task_basic_info");
    let members: Vec<String> = info.fields().map(|member| format!("{}: {:?}", member.name, member.value)).collect();
    assert_eq!(members.len(), 10);
    assert_eq!(members[2], "virtual_size: Unsigned { value: 32768, bits: 32 }");
    let Some(Value::Struct(time)) = info.fields().nth(9).map(|member| member.value) else { panic!("{members:?}") };
    let parts: Vec<_> = time.fields().map(|part| (part.name, format!("{:?}", part.value))).collect();
    assert_eq!(parts[0], ("seconds", "Signed { value: 7, bits: 64 }".to_string()));
    assert_eq!(parts[1], ("nanoseconds", "Signed { value: 8, bits: 64 }".to_string()));
}

#[test]
fn messages_without_an_interface_are_read_by_their_descriptors() {
    let message = memory_request();
    let mut items = Items::new(Format::Ilp32, &message);
    let found: Vec<String> = items.by_ref().map(|item| format!("{:?}", item.value(View::Sent))).collect();
    assert!(items.rest().is_empty());
    assert_eq!(found.len(), 4);
    assert_eq!(
        found[0],
        "OutOfLine { address: 2952810496, size: 1193046, units: Bytes, count: 1193046, deallocate: true }"
    );
    assert!(found[1].starts_with("OutOfLinePorts { address: 2952814592, count: 2,"), "{}", found[1]);
    assert!(found[2].starts_with("Array(Array { element: Right("), "{}", found[2]);
    assert!(found[3].starts_with("Port(PortRight { name: 44,"), "{}", found[3]);
}

#[test]
fn every_prefix_and_every_changed_byte_gives_fields_or_an_error() {
    let bytes = tables_for(Format::Ilp32, &[DEFS]);
    let tables = Tables::parse(&bytes).expect("tables");
    for message in [scalars_request(), texts_request(), memory_request()] {
        let whole = decode_as(Format::Ilp32, tables, &message, View::Sent);
        assert!(!whole.contains("error"), "{whole}");
        for length in 0..message.len() {
            let cut = decode_as(Format::Ilp32, tables, &message[..length], View::Sent);
            assert!(cut.contains("error") || cut.starts_with("message"), "{length}: {cut}");
        }
        for at in 0..message.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = message.clone();
                changed[at] = value;
                decode_as(Format::Ilp32, tables, &changed, View::Received);
            }
        }
    }
}

#[test]
fn what_is_cut_off_says_how_much_is_missing() {
    let bytes = tables_for(Format::Ilp32, &[DEFS]);
    let tables = Tables::parse(&bytes).expect("tables");
    let message = texts_request();
    // In the long descriptor of the string, which begins behind the fixed one.
    let at = 24 + 4 + 16;
    let cut = Message::new(tables, Format::Ilp32, &message[..at + 7], View::Sent).expect("known");
    let error = cut.fields().find_map(Result::err).expect("an error");
    let expected = Error {
        msgh_id: Some(1001),
        routine: Some("texts"),
        field: Some("free"),
        offset: at,
        reason: Reason::Truncated,
        need: 12,
        have: 7,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_message_is_decoded_by_the_tables_of_its_format() {
    let both = [tables(&[DEFS]), tables_for(Format::Ilp32, &[DEFS])].concat();
    let message = scalars_request();
    let alone = text_of(&message, View::Sent);
    assert_eq!(decode_as(Format::Ilp32, Tables::parse(&both).expect("tables"), &message, View::Sent), alone);
    let other = tables(&[DEFS]);
    let tables = Tables::parse(&other).expect("tables");
    assert_eq!(decode_as(Format::Ilp32, tables, &message, View::Sent), "message 1000: no routine has this id");
    // Its id stands elsewhere in the other format.
    assert_ne!(decode_all(Tables::parse(&both).expect("tables"), &message, View::Sent), alone);
}
