// SPDX-License-Identifier: GPL-2.0-or-later
//! What a Hurd person knows ports by: names that messages of the Hurd give them, and when each must not be given.

use std::path::Path;
use std::sync::LazyLock;

use crate::common::*;
use mach_abi::Format;
use mach_abi::type_name;
use mig_defs::annotations::Annotations;
use mig_defs::codegen::table::tables;
use mig_defs::compile::{Options as CompileOptions, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;
use rpctrace2::options::place::Here;
use rpctrace2::{Request, Trace, options};
use trace_port::control::MAX_RULES;
use trace_port::{EventKind, Port, port as kinds};

/// The sample's, which have the kernel's names, and the Hurd's own.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let files = [
        "sample",
        "hurd/exec_startup",
        "hurd/fs",
        "hurd/io",
        "hurd/auth",
        "hurd/process",
        "hurd/term",
        "hurd/socket",
        "hurd/ifsock",
        "hurd/msg",
        "hurd/mach",
    ];
    let compiled = files.map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/defs").join(name).with_extension("defs");
        let compiled = compile(&path, &CompileOptions::lp64(Vec::new()), &Disk);
        assert_eq!(compiled.report(), "");
        compiled.model.expect("it has a subsystem")
    });
    let annotations = Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default());
    tables(&compiled.each_ref(), &annotations)
});

pub(crate) fn told(arguments: &[&str], samples: &[Sample]) -> Vec<String> {
    let options = match options::parse(arguments.iter().copied().chain(["hello"]), Here::Guest) {
        Ok(Request::Trace { options, .. }) => options,
        other => panic!("expected options, found {other:?}"),
    };
    let tables = Tables::parse(&BYTES).expect("the compiler's own tables are sound");
    let mut trace = Trace::new(tables, &options, "hello").expect("the tests select names that exist");
    if options.kernel_filter {
        assert!(trace.leave_out(MAX_RULES).is_some());
    }
    lines_of(trace, samples)
}

/// The lines of `io_write`, which are the same whatever else is to be seen.
fn writes(samples: &[Sample]) -> Vec<String> {
    let is_write = |line: &String| line.contains("io_write(");
    let all: Vec<String> = told(&[], samples).into_iter().filter(is_write).collect();
    let alone: Vec<String> = told(&["-e", "io_write"], samples).into_iter().filter(is_write).collect();
    assert_eq!(alone, all);
    let first = all.iter().filter_map(|line| line.split_once("io_object: ")?.1.split_once(", data"));
    first.map(|(first, _)| first.to_owned()).collect()
}

/// A task writes to what it has this name for.
fn write(task: u32, port: Port) -> Sample {
    let name = port.name.get();
    let message = Message::request_from(21000, name.into(), 0).chars(b"hi").long(u64::MAX);
    let sample = Sample::sent(message).knows(port);
    if task == 40 { sample } else { sample.task(task) }
}

/// Of [`write`] by the command, whose ports have their names as numbers.
pub(crate) fn wrote(name: u32) -> Sample {
    write(40, port(name, name))
}

pub(crate) fn rights(message: Message, names: &[u64]) -> Message {
    let data: Vec<u8> = names.iter().flat_map(|name| name.to_le_bytes()).collect();
    message.item(MOVE_SEND, 64, names.len(), &data)
}

pub(crate) fn asks(id: u32, to: u64) -> Message {
    Message::request(id, to)
}

pub(crate) fn answers(id: u32) -> Message {
    Message::reply(id, REPLY).int(0)
}

/// The beginning of the answer to `exec_startup_get_info`.
fn start() -> Message {
    (0..5).fold(answers(30600), |message, _| message.long(0)).int(0).chars(b"hello\0").chars(b"")
}

pub(crate) fn starts(descriptors: &[u64], places: &[u64]) -> [Sample; 2] {
    let answer = rights(rights(start(), descriptors), places).ints(&[18, 0, 0, 0, 0]);
    [Sample::sent(asks(30500, 3)), Sample::received(answer)]
}

/// As most programs are started: with one terminal, the same directory twice, and a file.
pub(crate) fn usual() -> [Sample; 2] {
    starts(&[5, 5, 5, 6], &[9, 9, 10, 11, 0, 0])
}

pub(crate) fn string(message: Message, text: &str) -> Message {
    let mut data = text.as_bytes().to_vec();
    data.resize(1024, 0);
    message.item(type_name::STRING, 1024 * 8, 1, &data)
}

/// A name is looked up, with what the answer says of it.
fn lookup(from: u64, name: &str, (retry, rest, result): (i32, &str, u64)) -> [Sample; 2] {
    let request = string(asks(20018, from), name).int(1).int(0);
    let answer = string(answers(20118).int(retry), rest).port(MOVE_SEND, result);
    [Sample::sent(request), Sample::received(answer)]
}

pub(crate) const NORMAL: i32 = 1;
pub(crate) const REAUTH: i32 = 2;
pub(crate) const MAGICAL: i32 = 3;

fn deallocate(name: u32) -> [Sample; 2] {
    [Sample::sent(asks(7005, SELF).name(name)), Sample::received(answers(7105))]
}

fn both(first: &[Sample], second: &[Sample]) -> Vec<Sample> {
    [first, second].concat()
}

#[test]
fn what_a_program_is_given_at_its_start_is_said() {
    let samples = both(&usual(), &[5, 6, 9, 10, 11, 12].map(wrote));
    let given = ["fd 0-2", "fd 3", "cwd and root", "auth", "proc", "port 12"];
    assert_eq!(writes(&samples), given);
    assert_eq!(
        told(&[], &samples)[0],
        "hello[1] exec_startup_get_info(bootstrap: port 3) = 0 {user_entry: 0x0, phdr_data: 0x0, phdr_size: 0, stack_base: 0x0, \
         stack_size: 0, flags: 0, argv: \"hello\\0\", envp: \"\", dtable: [fd 0-2, fd 0-2, fd 0-2, fd 3], portarray: [cwd and root, \
         cwd and root, auth, proc, MACH_PORT_NULL, MACH_PORT_NULL], intarray: {umask: S_IWGRP|S_IWOTH, sigmask: 0x0, sigign: 0x0, \
         sigpending: 0x0, tracemask: 0x0}}"
    );
    assert_eq!(
        told(&["-v", "-e", "io_write"], &samples)[0].split(", data").next(),
        Some("hello[1] io_write(io_object: fd 0-2 (name 5)")
    );
    // One port for several things, longer arrays, and shorter ones.
    let more = starts(&[5, 0, 7, 5], &[5, 0, 0, 0, 7, 8, 9]);
    assert_eq!(
        writes(&both(&more, &[5, 7, 8, 9].map(wrote))),
        ["cwd and fd 0 and fd 3", "ctty and fd 2", "bootstrap", "port 9"]
    );
    assert_eq!(writes(&both(&starts(&[], &[]), &[wrote(5)])), ["port 5"]);
}

#[test]
fn arrays_out_of_line_say_the_same() {
    let answer = start().out_of_line(MOVE_SEND, 32, 4, 0x3000).out_of_line(MOVE_SEND, 32, 6, 0x4000);
    let nothing = || Port { kind: kinds::NOTHING, ..port(0, 0) };
    let elements = [5, 5, 5, 6, 9, 9, 10, 11].map(|name| port(name, name));
    let received = |answer: Message| Sample::received(answer.ints(&[18, 0, 0, 0, 0]));
    let asked = || Sample::sent(asks(30500, 3));
    let whole = received(answer.clone()).elements(&elements).elements(&[nothing(), nothing()]);
    let after = [5, 6, 9, 10, 11].map(wrote);
    let given = ["fd 0-2", "fd 3", "cwd and root", "auth", "proc"];
    assert_eq!(writes(&both(&[asked(), whole], &after)), given);
    // The kernel said what only the first of them are.
    let cut = received(answer).elements(&elements[..5]);
    assert_eq!(writes(&both(&[asked(), cut], &after)), ["fd 0-2", "fd 3", "cwd", "port 10", "port 11"]);
    // One that could not be received has no elements: those that there are are of the next.
    let lost = start().out_of_line(MOVE_SEND, 32, 4, 0).out_of_line(MOVE_SEND, 32, 2, 0x4000);
    let lost = received(lost).elements(&elements[4..6]);
    assert_eq!(writes(&both(&[asked(), lost], &after[..3])), ["port 5", "port 6", "cwd and root"]);
}

#[test]
fn a_start_that_fails_gives_nothing() {
    let failed = [Sample::sent(asks(30500, 3)), Sample::received(Message::reply(30600, REPLY).int(5))];
    assert_eq!(writes(&both(&failed, &[wrote(5)])), ["port 5"]);
}

#[test]
fn what_may_have_been_given_back_is_not_said_any_more() {
    let after = |between: &[Sample]| writes(&[&usual(), between, &[5, 6].map(wrote)].concat());
    let (gone, kept) = (["port 5", "fd 3"], ["fd 0-2", "fd 3"]);
    assert_eq!(after(&deallocate(5)), gone);
    // Without an answer, too.
    assert_eq!(after(&[Sample::sent(Message::request_from(7005, SELF, 0).name(5))]), gone);
    assert_eq!(after(&deallocate(7)), kept);
    // Another reference is none less.
    let references = |delta| Sample::sent(Message::request_from(7026, SELF, 0).name(5).int(0).int(delta));
    assert_eq!(after(&[references(1)]), kept);
    assert_eq!(after(&[references(-1)]), gone);
    let insert = Message::request_from(7015, SELF, 0).name(5).port(COPY_SEND, 8);
    assert_eq!(after(&[Sample::sent(insert)]), gone);
    // Sent away: in the body, in an array, out of line, by the header; a copy is none less.
    let give = |how| Message::request_from(7009, 8, 0).port(how, 5).data(&[]).memory(0, 0);
    assert_eq!(after(&[Sample::sent(give(MOVE_SEND))]), gone);
    assert_eq!(after(&[Sample::sent(give(COPY_SEND))]), kept);
    assert_eq!(after(&[Sample::sent(rights(Message::request_from(2996, 8, 0), &[7, 5]))]), gone);
    let array = Message::request_from(2996, 8, 0).out_of_line(MOVE_SEND, 32, 1, 0x3000);
    assert_eq!(after(&[Sample::sent(array).elements(&[port(5, 5)])]), gone);
    let mut header = wrote(5);
    header.message[0] = MOVE_SEND as u8;
    assert_eq!(after(&[header]), ["fd 0-2", "port 5", "fd 3"]);
    // In an answer of a server.
    let asked = Sample::received(Message::incoming(2996, 8, 13));
    assert_eq!(after(&[asked, Sample::sent(Message::answer(3096, 13).int(0).port(MOVE_SEND, 5))]), gone);
    // In what was lost.
    assert_eq!(after(&[wrote(6).dropped(1)])[1..], ["port 5", "port 6"]);
}

#[test]
fn exec_changes_what_a_task_holds() {
    let exec = |message: Message| Sample::received(message).kind(EventKind::Task).thread(0).correlation(9);
    let after = |between: &[Sample]| writes(&[&usual(), between, &[5, 6].map(wrote)].concat());
    assert_eq!(after(&[exec(Message::request(7005, SELF).name(5))]), ["port 5", "fd 3"]);
    assert_eq!(after(&[exec(Message::request(7005, SELF).name(7))]), ["fd 0-2", "fd 3"]);
    let insert = Message::request(7015, SELF).name(6).port(MOVE_SEND, 8);
    assert_eq!(after(&[exec(insert)]), ["fd 0-2", "port 6"]);
    // A new program is given all anew, and has a name of its own.
    let name = exec(Message::request_from(7002, SELF, 0).string("cat(12)"));
    let again = [&[name][..], &starts(&[6], &[5])].concat();
    assert_eq!(after(&again), ["cwd", "fd 0"]);
    assert!(told(&["-Xraw"], &again)[1].starts_with("cat(12)[1] exec_startup_get_info("));
    // A traced task that asks for it, of a task whose names are not its own.
    let other = Sample::sent(Message::request_from(7005, 8, 0).name(6)).task(41).knows(task(8, 40));
    assert_eq!(after(&[other]), ["fd 0-2", "port 6"]);
    let own = Sample::sent(Message::request_from(7005, SELF, 0).name(6)).task(41);
    assert_eq!(after(&[own]), ["fd 0-2", "fd 3"]);
}

#[test]
fn a_name_that_stands_for_another_port_now_is_not_called_as_before() {
    let samples = both(&usual(), &[write(40, port(5, 77)), write(40, port(33, 5)), wrote(5)]);
    // It is the port that is known, by whichever name.
    assert_eq!(writes(&samples), ["port 77", "fd 0-2", "fd 0-2"]);
}

#[test]
fn descriptors_are_a_tasks_own() {
    let other = |task, name| write(task, port(name, name));
    let samples = both(&usual(), &[other(41, 6), other(41, 11), wrote(6)]);
    assert_eq!(writes(&samples), ["fd 3 of hello[1]", "proc of hello[1]", "fd 3"]);
    // Two hold it: whose it is to a third is not said.
    let second = starts(&[6], &[]).map(|sample| sample.task(41).knows(port(6, 6)));
    let samples = [&usual()[..], &second, &[other(41, 6), other(42, 6), wrote(6)]].concat();
    assert_eq!(writes(&samples), ["fd 0", "port 6", "fd 3"]);
    // What it is to all is said rather.
    let file = lookup(9, "tmp/t1", (NORMAL, "", 6));
    let samples = [&usual()[..], &file, &[other(41, 6), wrote(6)]].concat();
    assert_eq!(writes(&samples), ["file \"tmp/t1\"", "fd 3"]);
}

/// A task makes another, 41, by the name 19.
pub(crate) fn create(inherits: bool) -> [Sample; 2] {
    let created = Sample::received(answers(7103).port(MOVE_SEND, 19)).knows(task(19, 41));
    [Sample::sent(asks(7003, SELF).bool(inherits)), created]
}

/// It puts a right into it.
fn insert(name: u32, right: u64) -> [Sample; 2] {
    let request = Sample::sent(asks(7015, 19).name(name).port(COPY_SEND, right)).knows(task(19, 41));
    [request, Sample::received(answers(7115))]
}

#[test]
fn a_forked_task_holds_what_its_parent_holds() {
    let child = |name| write(41, port(name, name));
    let forked = |inherits: bool, inserted: &[Sample], then: &[Sample]| {
        writes(&[&usual()[..], &create(inherits), inserted, then].concat())
    };
    assert_eq!(
        forked(true, &both(&insert(5, 5), &insert(9, 9)), &[child(5), child(9), wrote(5)]),
        ["fd 0-2", "cwd and root", "fd 0-2"]
    );
    // What one of them gives back the other still has.
    let given_back = Sample::sent(Message::request_from(7005, SELF, 0).name(5)).task(41).knows(port(5, 5));
    assert_eq!(forked(true, &insert(5, 5), &[given_back, child(5), wrote(5)]), ["fd 0-2 of hello[1]", "fd 0-2"]);
    // Not one that is no copy, or not yet that, or under another name.
    let in_child = |inherits, inserted: &[Sample]| forked(inherits, inserted, &[child(5)]);
    assert_eq!(in_child(false, &insert(5, 5)), ["fd 0-2 of hello[1]"]);
    assert_eq!(in_child(true, &insert(7, 5)), ["fd 0-2 of hello[1]"]);
    let mut failed = insert(5, 5);
    failed[1] = Sample::received(Message::reply(7115, REPLY).int(13));
    assert_eq!(in_child(true, &failed), ["fd 0-2 of hello[1]"]);
    // Another port under the name, as the child's own process has.
    assert_eq!(forked(true, &insert(11, 20), &[write(41, port(11, 20))]), ["port 20"]);
    // One that runs already is what it is.
    let runs = [&[write(41, port(7, 7))][..], &insert(5, 5)].concat();
    assert_eq!(forked(true, &runs, &[child(5)]), ["port 7", "fd 0-2 of hello[1]"]);
}

#[test]
fn a_file_is_called_by_the_name_it_was_looked_up_by() {
    let found = |lookups: &[Sample]| writes(&[&usual()[..], lookups, &[wrote(16)]].concat());
    assert_eq!(found(&lookup(9, "tmp/t1", (NORMAL, "", 16))), ["file \"tmp/t1\""]);
    assert_eq!(writes(&both(&lookup(9, "a", (NORMAL, "", 16)), &[write(41, port(3, 16))])), ["file \"a\""]);
    // Not what is not found yet, or somewhere else.
    assert_eq!(found(&lookup(9, "tmp/t1", (NORMAL, "t1", 16))), ["port 16"]);
    assert_eq!(found(&lookup(9, "dev/null", (REAUTH, "", 16))), ["port 16"]);
    assert_eq!(found(&lookup(9, "dev/fd/1", (MAGICAL, "fd/1", 16))), ["port 16"]);
    let mut failed = lookup(9, "tmp/t1", (NORMAL, "", 16));
    failed[1] = Sample::received(Message::reply(20118, REPLY).int(0x4000_0002));
    assert_eq!(found(&failed), ["port 16"]);
    // A server says it of its own port.
    let asked = Sample::received(string(Message::incoming(20018, 8, 13), "x").int(0).int(0));
    let answer = string(Message::answer(20118, 13).int(0).int(NORMAL), "").port(type_name::MAKE_SEND, 16);
    assert_eq!(found(&[asked, Sample::sent(answer)]), ["file \"x\""]);
    // Another port is another file, and the same one may be.
    let again = both(&lookup(9, "a", (NORMAL, "", 16)), &lookup(9, "b", (NORMAL, "", 17)));
    assert_eq!(found(&again), ["file \"a\""]);
    assert_eq!(found(&both(&again, &lookup(9, "b", (NORMAL, "", 16)))), ["file \"b\""]);
}

#[test]
fn a_lookup_that_goes_on_is_of_the_name_that_was_asked_for() {
    let found = |lookups: &[Sample]| writes(&[&usual()[..], lookups, &[wrote(16)]].concat());
    let link = |then: [Sample; 2]| both(&lookup(9, "link/x", (NORMAL, "to/x", 15)), &then);
    assert_eq!(found(&link(lookup(15, "to/x", (NORMAL, "", 16)))), ["file \"link/x\""]);
    // Something else from there is another lookup.
    assert_eq!(found(&link(lookup(15, "y", (NORMAL, "", 16)))), ["file \"y\""]);
    let by_another =
        lookup(15, "to/x", (NORMAL, "", 16)).map(|sample| sample.task(41).knows(port(15, 15)).knows(port(16, 16)));
    assert_eq!(found(&link(by_another)), ["file \"to/x\""]);
    // Nothing looked up from a port of which nothing is known is nothing known.
    assert_eq!(found(&lookup(15, "", (NORMAL, "", 16))), ["port 16"]);
}

/// A port is given to be authenticated anew by the rendezvous port 30, and comes back.
pub(crate) fn reauthenticate(object: u64, rendezvous: u64, to: u64) -> Vec<Sample> {
    vec![
        Sample::sent(Message::request_from(21014, object, 0).port(MAKE_SEND, 30)),
        Sample::sent(asks(25002, 10).port(MAKE_SEND, rendezvous)),
        Sample::received(answers(25102).port(MOVE_SEND, to)),
    ]
}

#[test]
fn a_file_behind_a_translator_is_known_after_the_whole_chain() {
    let found = |chain: &[&[Sample]]| writes(&[&usual()[..], &chain.concat(), &[wrote(16)]].concat());
    let first = lookup(9, "dev/null", (REAUTH, "", 14));
    let last = lookup(15, "", (NORMAL, "", 16));
    assert_eq!(found(&[&first, &reauthenticate(14, 30, 15), &last]), ["file \"dev/null\""]);
    let deeper = lookup(9, "home/a/b", (REAUTH, "a/b", 14));
    let below = lookup(15, "a/b", (NORMAL, "", 16));
    assert_eq!(found(&[&deeper, &reauthenticate(14, 30, 15), &below]), ["file \"home/a/b\""]);
    // What comes back is not the file yet.
    assert_eq!(found(&[&first, &reauthenticate(14, 30, 16)]), ["port 16"]);
    // Another rendezvous, another object, no authentication, an end before the last step.
    assert_eq!(found(&[&first, &reauthenticate(14, 31, 15), &last]), ["port 16"]);
    assert_eq!(found(&[&first, &reauthenticate(13, 30, 15), &last]), ["port 16"]);
    assert_eq!(found(&[&first, &last]), ["port 16"]);
    assert_eq!(found(&[&first, &reauthenticate(14, 30, 15)]), ["port 16"]);
    // A file that is open stays the file.
    let open = lookup(9, "log", (NORMAL, "", 14));
    assert_eq!(found(&[&open, &reauthenticate(14, 30, 16)]), ["file \"log\""]);
}

#[test]
fn what_is_made_of_a_file_is_the_file() {
    let made = |id: u32, of: u64| [Sample::sent(asks(id, of)), Sample::received(answers(id + 100).port(MOVE_SEND, 16))];
    let parent =
        [Sample::sent(asks(20031, 14).port(COPY_SEND, 9)), Sample::received(answers(20131).port(MOVE_SEND, 16))];
    let open = lookup(9, "log", (NORMAL, "", 14));
    for routine in [made(21016, 14), parent] {
        assert_eq!(writes(&[&open[..], &routine, &[wrote(16)]].concat()), ["file \"log\""]);
        assert_eq!(writes(&[&usual()[..], &routine, &[wrote(16)]].concat()), ["port 16"]);
    }
    // A copy of a descriptor's port is no descriptor.
    assert_eq!(writes(&[&usual()[..], &made(21016, 6), &[wrote(16)]].concat()), ["port 16"]);
}

#[test]
fn a_process_and_its_message_port_are_of_the_task() {
    let ask = |of: Port| {
        let request = Sample::sent(asks(24031, 11).port(COPY_SEND, of.name.get().into())).knows(of);
        [request, Sample::received(answers(24131).port(MOVE_SEND, 16))]
    };
    let child = [&create(true)[..], &ask(task(19, 41))].concat();
    assert_eq!(writes(&both(&child, &[wrote(16), write(41, port(11, 16))])), ["proc of (hello)[2]", "proc"]);
    // A task that is not traced has no number here.
    assert_eq!(writes(&both(&ask(kernel_port(19, 19, kinds::TASK, 0)), &[wrote(16)])), ["port 16"]);
    let set = |proc: u64, port: u64| {
        let request = Sample::sent(asks(24013, proc).port(type_name::MAKE_SEND, port));
        [request, Sample::received(answers(24113).port(MOVE_SEND, 0))]
    };
    let own = |sets: &[Sample]| writes(&[&usual()[..], sets, &[wrote(17), write(41, port(3, 17))]].concat());
    assert_eq!(own(&set(11, 17)), ["message port", "message port of hello[1]"]);
    assert_eq!(own(&both(&set(11, 17), &set(11, 18))), ["port 17", "port 17"]);
    assert_eq!(own(&set(12, 17)), ["port 17", "port 17"]);
    let childs = [&child[..], &set(16, 17)].concat();
    assert_eq!(writes(&both(&childs, &[wrote(17)])), ["message port of (hello)[2]"]);
}

#[test]
fn what_descriptors_of_a_terminal_write_to_is_said() {
    let open =
        |of: u64| [Sample::sent(asks(28001, of).int(11).int(11)), Sample::received(answers(28101).port(MOVE_SEND, 16))];
    let after = |more: &[Sample]| writes(&[&usual()[..], more, &[wrote(16)]].concat());
    assert_eq!(after(&open(5)), ["terminal of fd 0-2"]);
    assert_eq!(after(&open(7)), ["port 16"]);
    assert_eq!(after(&open(10)), ["port 16"]);
    // It goes with the descriptor.
    assert_eq!(after(&both(&open(5), &deallocate(5))), ["port 16"]);
    assert_eq!(after(&both(&open(5), &deallocate(6))), ["terminal of fd 0-2"]);
    assert_eq!(after(&both(&open(5), &deallocate(16))), ["port 16"]);
}

#[test]
fn many_files_do_not_grow_without_end() {
    let mut samples = usual().to_vec();
    for number in 0..5000 {
        let known = port(16, 10_000 + number);
        let [asked, answer] = lookup(9, "f", (NORMAL, "", 16));
        samples.extend([asked, answer.knows(known)]);
    }
    samples.extend([write(40, port(16, 10_000)), write(40, port(16, 14_999))]);
    assert_eq!(writes(&samples), ["port 10000", "file \"f\""]);
}

#[test]
fn errors_of_the_hurds_routines_are_called_by_their_names() {
    let tables = Tables::parse(&BYTES).expect("the compiler's own tables are sound");
    let mut count = 0;
    for routine in tables.routines().filter(|routine| routine.request_id() >= 20_000) {
        let Some(reply) = routine.reply_id() else { continue };
        for (code, name) in
            [(0x4000_0001, "EPERM"), (0x4000_0002, "ENOENT"), (0x4000_002d, "EOPNOTSUPP"), (-303, "MIG_BAD_ID")]
        {
            let asked = Sample::sent(asks(routine.request_id(), 9));
            let found = told(&[], &[asked, Sample::received(Message::reply(reply, REPLY).int(code))]);
            assert!(found.iter().any(|line| line.ends_with(&format!(" = {name}"))), "{found:?}");
        }
        count += 1;
    }
    assert!(count > 12, "{count}");
    // One that nothing is known of has a number.
    let found =
        told(&[], &[Sample::sent(asks(21000, 9)), Sample::received(Message::reply(21100, REPLY).int(0x4000_0fff))]);
    assert!(found.iter().any(|line| line.ends_with(" = 0x40000fff")), "{found:?}");
}

/// Where the kernel leaves messages out, a descriptor may be another one's without anybody seeing it.
#[test]
fn what_may_change_unseen_is_not_said() {
    let samples = [&usual()[..], &[wrote(6)]].concat();
    let of = |words: &[&str]| told(&[words, &["-e", "io_write"]].concat(), &samples).concat();
    assert!(of(&[]).contains("io_object: fd "), "{}", of(&[]));
    assert!(
        of(&["--as=one", "--kernel-filter"]).contains("io_object: port 6"),
        "{}",
        of(&["--as=one", "--kernel-filter"])
    );
}
