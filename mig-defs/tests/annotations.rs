//! Annotations: flavors, registers, codes and times in messages, and that each place they name is in the .defs.
#![cfg(feature = "compiler")]

mod common;

use std::path::Path;

use common::{Builder, decode_all, defs_below, tables};
use mig_defs::decode::Message;
use mig_defs::table::{Form, Tables};
use mig_defs::value::{Field, Value, View};

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
    let request = Message::new(tables, &request, View::Sent).expect("known");
    let reply = Message::reply(tables, &reply, View::Received).expect("known");
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
        let request = Message::new(tables, &request, View::Sent).expect("known");
        let reply = Message::reply(tables, &reply, View::Received).expect("known").to_request(&request);
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
    let message = Message::new(tables, &request, View::Sent).expect("known");
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
fn the_hurds_modes_and_process_information() {
    let file = tables(&["subsystem hurd 2000;
        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
        type mode_t = unsigned32;
        type procinfo_t = array[*:500] of int;
        routine file_chmod(file : mach_port_t; new_mode : mode_t);
        routine proc_getprocinfo(process : mach_port_t; which : int; out procinfo : procinfo_t);"
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
        let message = Message::new(tables, &request, View::Sent).expect("known");
        assert_eq!(last_field(&message).set.map(|set| set.name()), Some("file_mode"));
    }
    // struct procinfo of the Hurd without threads: nine integers, padding, task_basic_info, task_events_info.
    let mut words = vec![0; 10 + 30 + 14];
    (words[0], words[1], words[2], words[8], words[10]) = (0x22, 1000, 1, 3, 5);
    let (descriptor, data) = integers(&words);
    let reply = Builder::new(2101, 0x1200, 0, 9).item(INTEGER, &[0; 4]).item(descriptor, &data).finish();
    let message = Message::reply(tables, &reply, View::Received).expect("known");
    let text = decode_all(tables, &reply, View::Received);
    let Value::Struct(info) = last_field(&message).value else { panic!("{text}") };
    assert_eq!(info.type_name(), "procinfo");
    assert!(
        text.contains("{state: i32 = 34 i32 PI_EXECED|PI_SESSLD, owner: u32 = 1000 u32, ppid: i32 = 1 i32"),
        "{text}"
    );
    assert!(text.contains("nthreads: i32 = 3 i32, taskinfo: task_basic_info = {suspend_count: i32 = 5 i32"), "{text}");
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

/// Every place that an annotation names is in the .defs of this directory.
fn check_places(directory: &str, file: &str) {
    use mig_defs::annotations::{Annotations, BUILTIN};
    use mig_defs::compile::{Options, compile};
    use mig_defs::diag::Diagnostics;
    use mig_defs::source::{Disk, SourceMap};
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let text = BUILTIN.iter().find(|(name, _)| *name == file).expect("a built-in file").1;
    let mut annotations = Annotations::default();
    let index = sources.add(file.into(), text.into());
    annotations.add(index, &sources, &mut diagnostics);
    assert_eq!(diagnostics.render(&sources), "");
    let mut known = std::collections::BTreeSet::new();
    let defs = Path::new(directory);
    for path in defs_below(defs) {
        let Some(model) = compile(&path, &Options::lp64(vec![defs.to_path_buf()]), &Disk).model else { continue };
        for routine in &model.routines {
            known.extend(routine.arguments.iter().map(|argument| format!("{}.{}", routine.name, argument.name)));
        }
        for ty in &model.types {
            let Some(name) = &ty.name else { continue };
            known.insert(name.to_string());
            if let mig_defs::model::Shape::Struct(members) = &ty.shape {
                known.extend(members.iter().map(|member| format!("{name}.{}", member.name)));
            }
        }
    }
    let places = annotations.uses.keys().chain(annotations.forms.keys()).chain(annotations.choice_uses.keys());
    let unknown: Vec<&String> = places.filter(|place| !known.contains(*place)).collect();
    // Types of C, and a type of routines that Debian leaves out.
    assert!(
        unknown
            .iter()
            .all(|place| ["mach_msg_option_t", "exception_type_t", "sampled_pc_flavor_t"].contains(&place.as_str())),
        "{unknown:?}"
    );
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn the_places_of_the_built_in_annotations_exist() {
    check_places(&std::env::var("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test"), "gnumach.txt");
}
