// SPDX-License-Identifier: GPL-2.0-or-later
//! From .defs text through tables to decoded fields, and every way a message can be cut or wrong.
#![cfg(feature = "compiler")]

mod common;

use common::{Builder, decode_all, field_text, tables};
use mach_abi::Format;
use mig_defs::decode::{Error, Message, Reason};
use mig_defs::dump::Dump;
use mig_defs::table::{TableError, Tables};
use mig_defs::value::{Value, View};

const DEFS: &str = "
subsystem demo 1000;
type int32_t = MACH_MSG_TYPE_INTEGER_32;
type uint32_t = MACH_MSG_TYPE_INTEGER_32;
type uint64_t = MACH_MSG_TYPE_INTEGER_64;
type boolean_t = MACH_MSG_TYPE_BOOLEAN;
type kern_return_t = int;
type vm_prot_t = int;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type name_t = MACH_MSG_TYPE_PORT_NAME;
type title_t = c_string[16];
type free_title_t = c_string[*:16];
type pair_t = struct { uint32_t low; int32_t high; };
type wide_t = struct { uint64_t size; boolean_t used; };
type pairs_t = array[*:4] of pair_t;
type data_t = array[*:64] of char;
type pointer_t = ^array[] of MACH_MSG_TYPE_BYTE;
type ports_t = ^array[] of mach_port_t;
type few_ports_t = array[*:3] of mach_port_t;
type any_t = polymorphic;
routine scalars(task : mach_port_t; a : int32_t; b : uint64_t; c : boolean_t; prot : vm_prot_t; name : name_t;
    out d : wide_t; out e : mach_port_t);
routine texts(server : mach_port_t; title : title_t; free : free_title_t; data : data_t; pairs : pairs_t);
simpleroutine memory(server : mach_port_t; bytes : pointer_t; ports : ports_t; few : few_ports_t; any : any_t);
";

fn demo() -> Vec<u8> {
    tables(&[DEFS])
}

fn text_of(bytes: &[u8], view: View) -> String {
    let tables = demo();
    decode_all(Tables::parse(&tables).expect("tables"), bytes, view)
}

fn scalars_request() -> Vec<u8> {
    Builder::new(1000, 0x1513, 7, 9)
        .item(0x1_2000_2002, &(-5_i32).to_le_bytes())
        .item(0x1_2000_400b, &u64::MAX.to_le_bytes())
        .item(0x1_2000_2000, &1_u32.to_le_bytes())
        .item(0x1_2000_2002, &3_u32.to_le_bytes())
        .item(0x1_2000_200f, &33_u32.to_le_bytes())
        .finish()
}

fn scalars_reply() -> Vec<u8> {
    let wide: Vec<u8> = [4096_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat();
    Builder::new(1100, 0x8000_0012, 9, 0)
        .item(0x1_2000_2002, &0_u32.to_le_bytes())
        .item(0x2_2000_400b, &wide)
        .item(0x1_2000_4011, &12_u64.to_le_bytes())
        .finish()
}

fn texts_request() -> Vec<u8> {
    let mut title = *b"hello\0..........";
    title[15] = 0;
    let pairs: Vec<u8> = [1_u32, 0xffff_ffff, 3, 4].iter().flat_map(|word| word.to_le_bytes()).collect();
    Builder::new(1001, 0x1513, 7, 9)
        .item(0x10_2000_080c, &title)
        .item(0x4_2000_080c, b"abc\0")
        .item(0x3_2000_0808, b"\x01xy")
        .item(0x4_2000_2002, &pairs)
        .finish()
}

fn memory_request() -> Vec<u8> {
    Builder::new(1002, 0x8000_0013, 7, 0)
        .item(0x1000_c000_0809, &0x5000_u64.to_le_bytes())
        .item(0x2_4000_2013, &0x6000_u64.to_le_bytes())
        .item(0x2_2000_4013, &[[21, 0, 0, 0, 0, 0, 0, 0], [22, 0, 0, 0, 0, 0, 0, 0]].concat())
        .item(0x1_2000_4015, &44_u64.to_le_bytes())
        .finish()
}

#[test]
fn scalars_ports_and_sets() {
    assert_eq!(
        text_of(&scalars_request(), View::Sent),
        "demo.scalars(task: mach_port_t = port 7 COPY_SEND, a: int32_t = -5 i32, b: uint64_t = 18446744073709551615 u64, \
         c: boolean_t = true, prot: vm_prot_t = 3 i32 VM_PROT_READ|VM_PROT_WRITE, name: name_t = name 33)"
    );
    assert_eq!(
        text_of(&scalars_reply(), View::Received),
        "demo.scalars reply(RetCode: kern_return_t = KERN_SUCCESS, d: wide_t = {size: uint64_t = 4096 u64, used: \
         boolean_t = true}, e: mach_port_t = port 12 PORT_SEND)"
    );
}

#[test]
fn received_requests_go_to_the_local_port() {
    let request = Builder::new(1000, 0x1112, 9, 7).finish();
    let text = text_of(&request, View::Received);
    assert!(text.starts_with("demo.scalars(task: mach_port_t = port 7 PORT_SEND, error "), "{text}");
}

#[test]
fn texts_and_arrays() {
    assert_eq!(
        text_of(&texts_request(), View::Sent),
        "demo.texts(server: mach_port_t = port 7 COPY_SEND, title: title_t = \"hello\", free: free_title_t = \"abc\", \
         data: data_t = \"\\u{1}xy\", pairs: pairs_t = [{low: uint32_t = 1 u32, high: int32_t = -1 i32}, {low: uint32_t = \
         3 u32, high: int32_t = 4 i32}])"
    );
}

#[test]
fn out_of_line_memory_and_rights() {
    assert_eq!(
        text_of(&memory_request(), View::Sent),
        "demo.memory(server: mach_port_t = port 7 COPY_SEND, bytes: pointer_t = 4096 bytes at 0x5000 dealloc, ports: \
         ports_t = 2 ports at 0x6000 COPY_SEND, few: few_ports_t = [port 21 COPY_SEND, port 22 COPY_SEND], any: any_t = \
         port 44 MAKE_SEND_ONCE)"
    );
}

#[test]
fn an_error_reply_is_its_return_code_alone() {
    let reply = Builder::new(1100, 0x12, 9, 0).item(0x1_2000_2002, &(-304_i32).to_le_bytes()).finish();
    assert_eq!(reply.len(), Format::Lp64.error_reply_size());
    assert_eq!(text_of(&reply, View::Received), "demo.scalars reply(RetCode: kern_return_t = MIG_BAD_ARGUMENTS)");
}

#[test]
fn a_success_reply_without_its_arguments_is_an_error() {
    let reply = Builder::new(1100, 0x12, 9, 0).item(0x1_2000_2002, &0_u32.to_le_bytes()).finish();
    let text = text_of(&reply, View::Received);
    assert!(text.ends_with("error message 1100 (scalars): d at byte 48: needs 8 bytes, there are 0)"), "{text}");
}

#[test]
fn aligned_structs_are_accepted_as_bytes_too() {
    let wide: Vec<u8> = [4096_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat();
    let reply = Builder::new(1100, 0x8000_0012, 9, 0)
        .item(0x1_2000_2002, &0_u32.to_le_bytes())
        .item(0x10_2000_0809, &wide)
        .item(0x1_2000_4011, &12_u64.to_le_bytes())
        .finish();
    assert_eq!(text_of(&reply, View::Received), text_of(&scalars_reply(), View::Received));
}

#[test]
fn of_a_message_that_was_cut_off_the_beginning_decodes() {
    let bytes = demo();
    let tables = Tables::parse(&bytes).expect("tables");
    for message in [scalars_request(), scalars_reply(), texts_request(), memory_request()] {
        let fields = |length: usize| {
            let cut = Message::new(tables, Format::Lp64, &message[..length], View::Sent).expect("known id");
            let mut fields = cut.cut_from(message.len()).fields();
            let texts: Vec<String> = fields.by_ref().map(|field| field_text(tables, &field.expect("sound"))).collect();
            (texts, fields.is_cut())
        };
        let (whole, is_cut) = fields(message.len());
        assert!(!is_cut);
        for length in Format::Lp64.header().end..message.len() {
            let (found, is_cut) = fields(length);
            // Only the last field may be less than it was, and only the padding behind it may be missing unnoticed.
            let sound = found.len().saturating_sub(1);
            assert_eq!(found[..sound], whole[..sound], "{length}");
            assert!(is_cut || found == whole && message.len() - length < 8, "{length}: {found:?}");
        }
    }
    // What is longer than the message was, is wrong however much of it there is.
    let message = Builder::new(1001, 0x1513, 7, 9).item(0x1_2000_800c, &[b'a'; 16]).finish();
    let cut = Message::new(tables, Format::Lp64, &message[..48], View::Sent).expect("known id");
    let error = |whole: usize| cut.cut_from(whole).fields().find_map(Result::err).map(|error| error.reason);
    assert_eq!(error(48), Some(Reason::Truncated));
    assert_eq!(error(56), None);
}

#[test]
fn what_is_sound_comes_before_the_error() {
    let request = Builder::new(1000, 0x1513, 7, 9)
        .item(0x1_2000_2002, &5_u32.to_le_bytes())
        .item(0x1_2000_2002, &6_u32.to_le_bytes())
        .finish();
    let bytes = demo();
    let message =
        Message::new(Tables::parse(&bytes).expect("tables"), Format::Lp64, &request, View::Sent).expect("known id");
    let fields: Vec<_> = message.fields().collect();
    assert_eq!(fields.len(), 3);
    let expected = Error {
        msgh_id: Some(1000),
        routine: Some("scalars"),
        field: Some("b"),
        offset: 48,
        reason: Reason::WrongSize,
        need: 8,
        have: 4,
    };
    assert_eq!(fields[2].err(), Some(expected));
    assert_eq!(message.rest(48), &request[48..]);
}

#[test]
fn a_right_where_a_number_should_be_is_refused() {
    let request = Builder::new(1000, 0x1513, 7, 9).item(0x1_2000_4013, &5_u64.to_le_bytes()).finish();
    let text = text_of(&request, View::Sent);
    assert!(text.contains("a at byte 32: expected 4 bytes of data, found 8 of port rights (COPY_SEND)"), "{text}");
}

/// What comes before the error, the error, and the bytes from the item on that it is about.
fn complaint(bytes: &[u8]) -> (usize, Error<'static>, String) {
    let tables: &'static [u8] = demo().leak();
    let bytes: &'static [u8] = bytes.to_vec().leak();
    let message =
        Message::new(Tables::parse(tables).expect("tables"), Format::Lp64, bytes, View::Sent).expect("known id");
    let sound = message.fields().take_while(Result::is_ok).count();
    let error = message.fields().find_map(Result::err).expect("an error");
    assert_eq!(message.fields().count(), sound + 1, "nothing comes after an error");
    (sound, error, Dump { bytes: message.rest(error.offset), offset: error.offset }.to_string())
}

#[test]
fn what_does_not_conform_is_said_with_its_place_and_dumped() {
    let error = |msgh_id, routine, field, offset, reason, need, have| Error {
        msgh_id: Some(msgh_id),
        routine: Some(routine),
        field,
        offset,
        reason,
        need,
        have,
    };
    // Cut off in the data of an item, and in its descriptor.
    let cut = error(1000, "scalars", Some("b"), 48, Reason::Truncated, 16, 13);
    let dump = " | 00030  0b 40 00 20 01 00 00 00  ff ff ff ff ff           .@. .........\n";
    assert_eq!(complaint(&scalars_request()[..61]), (2, cut, dump.to_string()));
    assert_eq!(cut.to_string(), "message 1000 (scalars): b at byte 48: needs 16 bytes, there are 13");
    let cut = error(1000, "scalars", Some("c"), 64, Reason::Truncated, 8, 3);
    let dump = " | 00040  00 20 00                                          . .\n";
    assert_eq!(complaint(&scalars_request()[..67]), (3, cut, dump.to_string()));
    // A right where data should be, and the other way round.
    let right = Builder::new(1000, 0x1513, 7, 9).item(0x1_2000_4013, &0x57_u64.to_le_bytes()).finish();
    let wrong = error(1000, "scalars", Some("a"), 32, Reason::RightsForData { found: 19 }, 4, 8);
    let dump = " | 00020  13 40 00 20 01 00 00 00  57 00 00 00 00 00 00 00  .@. ....W.......\n";
    assert_eq!(complaint(&right), (1, wrong, dump.to_string()));
    let mut data = memory_request();
    data[64..72].copy_from_slice(&0x4_2000_0809_u64.to_le_bytes());
    let (sound, wrong, dump) = complaint(&data);
    let expected = error(1002, "memory", Some("few"), 64, Reason::DataForRights { found: 9 }, 8, 4);
    assert_eq!((sound, wrong), (3, expected));
    assert!(
        dump.starts_with(" | 00040  09 08 00 20 04 00 00 00  15 00 00 00 00 00 00 00  ... ............\n"),
        "{dump}"
    );
    assert!(wrong.to_string().ends_with("few at byte 64: expected port rights, found 4 bytes of data of type 9"));
    // A count that gives no whole elements, and one that gives another size than a type has.
    let mut count = texts_request();
    let at = count.len() - 24;
    count[at + 4] = 3;
    let wrong = error(1001, "texts", Some("pairs"), at, Reason::WrongSize, 8, 12);
    let dump = " | 00058  02 20 00 20 03 00 00 00  01 00 00 00 ff ff ff ff  . . ............\n \
                | 00068  03 00 00 00 04 00 00 00                           ........\n";
    assert_eq!(complaint(&count), (4, wrong, dump.to_string()));
    let mut count = scalars_request();
    count[36] = 2;
    let wrong = error(1000, "scalars", Some("a"), 32, Reason::WrongSize, 4, 8);
    assert_eq!(complaint(&count).1, wrong);
    assert_eq!(wrong.to_string(), "message 1000 (scalars): a at byte 32: expected 4 bytes of data, found 8");
    // More than the routine has.
    let mut long = scalars_request();
    long.extend(*b"too much");
    let wrong = error(1000, "scalars", None, 112, Reason::TrailingBytes, 0, 8);
    let dump = " | 00070  74 6f 6f 20 6d 75 63 68                           too much\n";
    assert_eq!(complaint(&long), (6, wrong, dump.to_string()));
    assert_eq!(wrong.to_string(), "message 1000 (scalars): 8 bytes after the last item at byte 112");
}

#[test]
fn unknown_ids_and_trailing_bytes_are_named() {
    assert_eq!(text_of(&Builder::new(77, 0, 0, 0).finish(), View::Sent), "message 77: no routine has this id");
    let mut request = scalars_request();
    request.extend([0; 8]);
    assert!(text_of(&request, View::Sent).ends_with("8 bytes after the last item at byte 112)"));
}

#[test]
fn every_prefix_and_every_changed_byte_gives_fields_or_an_error() {
    let bytes = demo();
    let tables = Tables::parse(&bytes).expect("tables");
    for message in [scalars_request(), scalars_reply(), texts_request(), memory_request()] {
        let whole = decode_all(tables, &message, View::Sent);
        assert!(!whole.contains("error"), "{whole}");
        for length in 0..message.len() {
            let cut = decode_all(tables, &message[..length], View::Sent);
            // Only the padding of the last item may be missing.
            let padding_only = message.len() - length < 8 && cut == whole;
            assert!(cut.contains("error") || cut.starts_with("message") || padding_only, "{length}: {cut}");
        }
        for at in 0..message.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = message.clone();
                changed[at] = value;
                decode_all(tables, &changed, View::Received);
            }
        }
    }
}

#[test]
fn damaged_tables_are_refused_or_harmless() {
    let good = demo();
    for length in 0..good.len() {
        assert!(Tables::parse(&good[..length]).is_err(), "{length}");
    }
    let message = texts_request();
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[at] = value;
            if let Ok(tables) = Tables::parse(&changed) {
                decode_all(tables, &message, View::Sent);
            }
        }
    }
}

/// Tables made to be taken apart without end (the corpus of the fuzz target has more to say): 16 levels are, the rest is bytes.
#[test]
fn types_in_one_another_come_to_an_end() {
    let read = |name: &str| std::fs::read(common::corpus().join("../fuzz/corpus/table").join(name)).expect("a seed");
    let bytes = read("types-deep.mdt");
    let tables = Tables::parse(&bytes).expect("sound");
    let message = Builder::new(7, 0x13, 7, 0).item(0x1_2000_0809, &[5]).finish();
    let text = decode_all(tables, &message, View::Sent);
    assert_eq!(text, format!("x.x(x: x = port 7 COPY_SEND, {}x: x = [5]{})", "x: x = {".repeat(16), "}".repeat(16)));
    let refused = TableError::BadRecord { section: "members", index: 1, field: 2 };
    assert_eq!(Tables::parse(&read("members-overlap.mdt")).err(), Some(refused));
}

#[test]
fn another_version_is_refused_by_name() {
    let mut bytes = demo();
    bytes[8] = 2;
    let error = Tables::parse(&bytes).expect_err("another version");
    assert_eq!(error, TableError::WrongVersion { found: 2 });
    let text = "decode tables: expected version 4, found 2; compile the .defs again (`mig-defs table`)";
    assert_eq!(error.to_string(), text);
    bytes[0] = b'X';
    assert_eq!(Tables::parse(&bytes).err(), Some(TableError::NotTables));
}

#[test]
fn the_canonical_name_of_an_id_is_the_one_without_request() {
    let asynchronous =
        DEFS.replace("subsystem demo", "subsystem demo_async").replace("routine scalars", "routine scalars_request");
    let bytes = tables(&[&asynchronous, DEFS]);
    let tables = Tables::parse(&bytes).expect("tables");
    let names: Vec<_> = tables.requests(1000).map(|routine| routine.name()).collect();
    assert_eq!(names, ["scalars", "scalars_request"]);
    assert_eq!(tables.request(1000).map(|routine| routine.subsystem()), Some("demo"));
    assert_eq!(tables.reply(1100).map(|routine| routine.name()), Some("scalars"));
}

#[test]
fn errors_and_sets_have_names() {
    let bytes = demo();
    let tables = Tables::parse(&bytes).expect("tables");
    assert_eq!(tables.error_name(0x1000_0004), Some("MACH_SEND_TIMED_OUT"));
    assert_eq!(tables.error_name(-303), Some("MIG_BAD_ID"));
    assert_eq!(tables.error_name(2502), Some("D_NO_SUCH_DEVICE"));
    assert_eq!(tables.error_name(11), None);
    let options = tables.set("mach_msg_option").expect("set");
    let mut names = options.names_of(0x8000_0103);
    assert_eq!(names.by_ref().collect::<Vec<_>>(), ["MACH_SEND_MSG", "MACH_RCV_MSG", "MACH_RCV_TIMEOUT"]);
    assert_eq!(names.rest(), 0x8000_0000);
    assert_eq!(options.names_of(0).collect::<Vec<_>>(), ["MACH_MSG_OPTION_NONE"]);
    let right = tables.set("mach_port_right").expect("set");
    assert_eq!((right.name_of(1), right.name_of(9)), (Some("MACH_PORT_RIGHT_RECEIVE"), None));
    assert!(right.names_of(9).next().is_none());
}

#[test]
fn array_elements_can_be_taken_one_by_one() {
    let bytes = demo();
    let request = memory_request();
    let message =
        Message::new(Tables::parse(&bytes).expect("tables"), Format::Lp64, &request, View::Sent).expect("known id");
    let field = message.fields().nth(3).expect("four fields").expect("sound");
    let Value::Array(few) = field.value else { panic!("{:?}", field.value) };
    assert_eq!((few.len(), few.is_empty(), few.element_type().map_or("", |ty| ty.name())), (2, false, "mach_port_t"));
    assert!(few.get(2).is_none());
}
