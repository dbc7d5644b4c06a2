// SPDX-License-Identifier: GPL-2.0-or-later
//! Annotations: flavors, registers, codes and times in messages, and that each place they name is in the .defs.
#![cfg(feature = "compiler")]

mod common;

use common::{Builder, decode_all, field_text, tables};
use mach_abi::Format;
use mig_defs::decode::Message;
use mig_defs::table::{Form, Tables};
use mig_defs::value::{Field, Value, View, WaitStatus};

const DEFS: &str = "
subsystem mach 2000;
type natural_t = MACH_MSG_TYPE_INTEGER_32;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type task_info_t = array[*:1024] of int;
type thread_state_t = array[*:1024] of natural_t;
routine task_info(target_task : mach_port_t; flavor : int; out task_info_out : task_info_t, CountInOut);
routine thread_set_state(target_thread : mach_port_t; flavor : int; new_state : thread_state_t);
routine exception_raise(exception_port : mach_port_t; exception : int; code : int; subcode : int);
";

const INTEGER: u64 = 0x1_2000_2002;

fn integers(words: &[u32]) -> (u64, Vec<u8>) {
    (0x2000_2002 | (words.len() as u64) << 32, words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

fn numbers<'a>(fields: impl Iterator<Item = Field<'a>>) -> Vec<(&'a str, u64)> {
    fields
        .map(|field| match field.value {
            Value::Unsigned { value, .. } => (field.name, value),
            Value::Signed { value, .. } => (field.name, value as u64),
            other => panic!("{}: {other:?}", field.name),
        })
        .collect()
}

fn last_field<'a>(message: &Message<'a>) -> Field<'a> {
    message.fields().last().expect("fields").expect("sound")
}

fn info(flavor: u32, words: &[u32]) -> (Vec<u8>, Vec<u8>) {
    let request = Builder::new(2000, 0x1513, 7, 9)
        .item(INTEGER, &flavor.to_le_bytes())
        .item(INTEGER, &(words.len() as u32).to_le_bytes());
    let (descriptor, data) = integers(words);
    let reply = Builder::new(2100, 0x1200, 0, 9).item(INTEGER, &[0; 4]).item(descriptor, &data);
    (request.finish(), reply.finish())
}

#[test]
fn the_flavor_of_the_request_says_what_the_reply_holds() {
    let file = tables(&[DEFS]);
    let tables = Tables::parse(&file).expect("tables");
    let counts: Vec<u32> = (1..=14).collect();
    let (request, reply) = info(2, &counts);
    let request = Message::new(tables, Format::Lp64, &request, View::Sent).expect("known");
    let reply = Message::reply(tables, Format::Lp64, &reply, View::Received).expect("known");
    assert!(matches!(last_field(&reply).value, Value::Array(_)), "without its request it is an array");
    let field = last_field(&reply.to_request(&request));
    let Value::Struct(events) = field.value else { panic!("{field:?}") };
    assert_eq!(events.type_name(), "task_events_info");
    let found = numbers(events.fields());
    assert_eq!(found[0], ("faults", 0x2_0000_0001));
    assert_eq!(found[6], ("messages_received", 0xe_0000_000d));
    assert_eq!(found.len(), 7);
}

#[test]
fn data_that_end_inside_a_member_stay_as_the_defs_say() {
    let file = tables(&[DEFS]);
    let tables = Tables::parse(&file).expect("tables");
    for (flavor, words, is_struct) in [(2, 14, true), (2, 12, true), (2, 13, false), (2, 16, false), (9, 14, false)] {
        let (request, reply) = info(flavor, &vec![1; words]);
        let request = Message::new(tables, Format::Lp64, &request, View::Sent).expect("known");
        let reply = Message::reply(tables, Format::Lp64, &reply, View::Received).expect("known").to_request(&request);
        let value = last_field(&reply).value;
        assert_eq!(matches!(value, Value::Struct(_)), is_struct, "flavor {flavor}, {words} words: {value:?}");
        let Value::Array(array) = value else { continue };
        assert_eq!(array.len(), words);
    }
}

#[test]
fn registers_have_names_and_the_layout_of_c() {
    let file = tables(&[DEFS]);
    let tables = Tables::parse(&file).expect("tables");
    // struct i386_thread_state of Debian's mach/x86_64/thread_status.h: 21 words of 8 bytes.
    let mut state = vec![0_u32; 42];
    (state[32], state[34], state[36], state[38], state[40]) = (0x30680, 0x17, 0x202, 0x2fff0, 0x1f);
    let (descriptor, data) = integers(&state);
    let request = Builder::new(2001, 0x1513, 7, 9).item(INTEGER, &1_u32.to_le_bytes()).item(descriptor, &data).finish();
    let message = Message::new(tables, Format::Lp64, &request, View::Sent).expect("known");
    let field = last_field(&message);
    let Value::Struct(registers) = field.value else { panic!("{field:?}") };
    assert_eq!(field.form, Form::Sparse);
    assert!(registers.fields().all(|register| register.form == Form::Hexadecimal));
    let set: Vec<_> = numbers(registers.fields()).into_iter().filter(|(_, value)| *value != 0).collect();
    assert_eq!(set, [("rip", 0x30680), ("cs", 0x17), ("rfl", 0x202), ("ursp", 0x2fff0), ("ss", 0x1f)]);
    assert_eq!(registers.fields().count(), 21);
}

#[test]
fn an_exceptions_code_depends_on_the_exception() {
    let file = tables(&[DEFS]);
    let tables = Tables::parse(&file).expect("tables");
    let decode = |exception: u32, code: u32| {
        let message = [exception, code, 0xdead_b000]
            .iter()
            .fold(Builder::new(2002, 0x1513, 7, 9), |message, word| message.item(INTEGER, &word.to_le_bytes()));
        decode_all(tables, &message.finish(), View::Sent)
    };
    let text = decode(1, 1);
    assert!(text.contains("exception: int = 1 i32 EXC_BAD_ACCESS, code: kern_return = KERN_INVALID_ADDRESS"), "{text}");
    let text = decode(3, 1);
    assert!(text.contains("EXC_ARITHMETIC, code: i32 = 1 i32 EXC_I386_DIV"), "{text}");
    assert!(decode(5, 1).contains("code: int = 1 i32, subcode"), "no case: as the .defs say");
}

#[test]
fn the_hurds_modes() {
    let file = tables(&["subsystem hurd 2000;
        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
        type mode_t = unsigned32;
        routine file_chmod(file : mach_port_t; new_mode : mode_t);"
        .replace("unsigned32", "(MACH_MSG_TYPE_INTEGER_32, 32)")
        .as_str()]);
    let tables = Tables::parse(&file).expect("tables");
    let modes = tables.set("file_mode").expect("a set");
    for (mode, names) in [
        (0o100644, "S_IFREG|S_IRUSR|S_IWUSR|S_IRGRP|S_IROTH"),
        (0o120777, "S_IFLNK|S_IRWXU|S_IRWXG|S_IRWXO"),
        (0o140600, "S_IFSOCK|S_IRUSR|S_IWUSR"),
        (0o060660, "S_IFBLK|S_IRUSR|S_IWUSR|S_IRGRP|S_IWGRP"),
        (0o040_041_777, "S_IFDIR|S_ISVTX|S_IRWXU|S_IRWXG|S_IRWXO|S_IROOT"),
    ] {
        assert_eq!(modes.names_of(mode).collect::<Vec<_>>().join("|"), names, "{mode:o}");
        let request = Builder::new(2000, 0x1513, 7, 9).item(INTEGER, &mode.to_le_bytes()).finish();
        let message = Message::new(tables, Format::Lp64, &request, View::Sent).expect("known");
        assert_eq!(last_field(&message).set.map(|set| set.name()), Some("file_mode"));
    }
}

const PROCESS: &str = "subsystem process 2000;
    type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
    type procinfo_t = array[*:500] of int;
    routine proc_getprocinfo(process : mach_port_t; which : int; inout flags : int; out procinfo : procinfo_t);
    routine proc_mark_exit(process : mach_port_t; status : int; sigcode : int);";

/// struct procinfo of the Hurd for 64 bits: nine integers, padding, task_basic_info, task_events_info, then for each thread
/// two integers, thread_basic_info, thread_sched_info and padding.
#[test]
fn process_information_is_what_was_asked_for() {
    let file = tables(&[PROCESS]);
    let tables = Tables::parse(&file).expect("tables");
    let mut words = vec![0; 10 + 30 + 14];
    (words[0], words[1], words[2], words[8], words[10], words[40]) = (0x22, 1000, 1, 2, 5, 77);
    let mut thread = vec![0; 2 + 32 + 7 + 1];
    let decode = |flags: u32, words: &[u32]| {
        let request = Builder::new(2000, 0x1513, 7, 9).item(INTEGER, &[1, 0, 0, 0]).item(INTEGER, &flags.to_le_bytes());
        let (descriptor, data) = integers(words);
        let reply = Builder::new(2100, 0x1200, 0, 9).item(INTEGER, &[0; 4]).item(INTEGER, &flags.to_le_bytes());
        let (request, reply) = (request.finish(), reply.item(descriptor, &data).finish());
        let request = Message::new(tables, Format::Lp64, &request, View::Sent).expect("known");
        let reply = Message::reply(tables, Format::Lp64, &reply, View::Received).expect("known").to_request(&request);
        field_text(tables, &last_field(&reply))
    };
    let text = decode(0x21, &words);
    let start =
        "procinfo: procinfo = {state: i32 = 34 i32 PI_EXECED|PI_SESSLD, owner: u32 = 1000 u32, ppid: i32 = 1 i32";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("nthreads: i32 = 2 i32, taskinfo: task_basic_info = {suspend_count: i32 = 5 i32"), "{text}");
    assert!(text.ends_with("messages_received: u64 = 0 u64}, threadinfos: procinfo_thread = []}"), "{text}");
    assert!(text.contains("taskevents: task_events_info = {faults: u64 = 77 u64"), "{text}");
    let text = decode(0x1, &words);
    assert!(text.contains("taskinfo") && !text.contains("taskevents"), "{text}");
    for number in [11, 12] {
        (thread[1], thread[2], thread[34]) = (21000 + number, number, 1);
        words.extend(&thread);
    }
    let text = decode(0x6, &words);
    assert!(!text.contains("taskinfo") && !text.contains("pis_si"), "{text}");
    let threads = "threadinfos: procinfo_thread = [{died: bool = false, rpc_block: i32 = 21011 i32, pis_bi: thread_basic_info = \
        {user_time: time_value = {seconds: i64 = 11 i64";
    assert!(text.contains(threads) && text.contains("rpc_block: i32 = 21012 i32"), "{text}");
    let text = decode(0x8, &words);
    assert!(
        text.contains("{died: bool = false, rpc_block: i32 = 21011 i32, pis_si: thread_sched_info = {policy: i32 = 1"),
        "{text}"
    );
    // A thread that is not whole is none.
    words.pop();
    assert!(decode(0x6, &words).starts_with("procinfo: procinfo_t = [34 i32, "), "as the .defs say");
}

#[test]
fn a_wait_status_says_what_became_of_a_process() {
    let file = tables(&[PROCESS]);
    let tables = Tables::parse(&file).expect("tables");
    let request = Builder::new(2001, 0x1513, 7, 9).item(INTEGER, &[0, 3, 0, 0]).item(INTEGER, &[0; 4]).finish();
    let message = Message::new(tables, Format::Lp64, &request, View::Sent).expect("known");
    let status = message.fields().nth(1).expect("three fields").expect("sound");
    assert_eq!((status.name, status.form), ("status", Form::WaitStatus));
    use WaitStatus::{Continued, Exited, Killed, Stopped};
    for (number, expected) in [
        (0, Some(Exited(0))),
        (0x300, Some(Exited(3))),
        (0xff00, Some(Exited(255))),
        (9, Some(Killed { signal: 9, dumped: false })),
        (0x8b, Some(Killed { signal: 11, dumped: true })),
        (0x127f, Some(Stopped(18))),
        (0xffff, Some(Continued)),
        (0x109, None),
        (0x1_0000, None),
        (u32::MAX, None),
    ] {
        assert_eq!(WaitStatus::from_number(number), expected, "{number:#x}");
    }
    assert_eq!(tables.set("signal").and_then(|signals| signals.name_of(11)), Some("SIGSEGV"));
}

#[test]
fn a_table_in_front_wins_and_the_others_are_the_fallback() {
    let mine = tables(&["subsystem mine 2000; type port = MACH_MSG_TYPE_COPY_SEND;
        simpleroutine mine(p : port; number : int);"]);
    let both = [mine.clone(), tables(&[DEFS])].concat();
    let tables = Tables::parse(&both).expect("two tables");
    assert_eq!(tables.request(2000).map(|routine| routine.name()), Some("mine"));
    assert_eq!(tables.request(2002).map(|routine| routine.name()), Some("exception_raise"));
    assert_eq!(tables.routines().count(), 4);
    assert_eq!(tables.subsystem_count(), 2);
    let request = Builder::new(2000, 0x13, 7, 0).item(INTEGER, &[5, 0, 0, 0]).finish();
    assert_eq!(decode_all(tables, &request, View::Sent), "mine.mine(p: port = port 7 COPY_SEND, number: int = 5 i32)");
    for cut in mine.len()..both.len() {
        let cut_off = Tables::parse(&both[..cut]);
        assert_eq!(cut_off.is_ok(), cut == mine.len(), "{cut} of {} bytes", both.len());
    }
}
