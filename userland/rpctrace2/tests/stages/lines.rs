// SPDX-License-Identifier: GPL-2.0-or-later
//! Records in, exact lines out: RPCs, failures, servers, losses, names.

use crate::common::*;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, MACH_SEND_TIMEOUT};
use trace_port::Direction;

pub(crate) fn vm_allocate() -> Message {
    Message::request(7000, SELF).long(0).long(4096).bool(true)
}

fn vm_allocated(address: u64) -> Message {
    Message::reply(7100, REPLY).int(0).long(address)
}

fn echo(port: u64, reply: u64, value: i32) -> Message {
    Message::request_from(7008, port, reply).int(value)
}

#[test]
fn an_rpc_is_one_line() {
    let found = lines(
        &[],
        &[Sample::sent(vm_allocate()).correlation(9), Sample::received(vm_allocated(0x2000)).correlation(9)],
    );
    assert_eq!(
        found,
        ["hello[1] vm_allocate(task: self, address: 0x0, size: 4096, anywhere: true) = KERN_SUCCESS {address: 0x2000}"]
    );
}

#[test]
fn a_failed_rpc_shows_the_error_by_name_or_number() {
    let reply = |code| Sample::received(Message::reply(7101, REPLY).int(code));
    let request = || Sample::sent(Message::request(7001, SELF).int(3));
    let found =
        lines(&[], &[request(), reply(3), request(), reply(77), request(), reply(0x1234_5678), request(), reply(-303)]);
    assert_eq!(
        found,
        [
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ|VM_PROT_WRITE) = KERN_NO_SPACE",
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ|VM_PROT_WRITE) = 77",
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ|VM_PROT_WRITE) = 0x12345678",
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ|VM_PROT_WRITE) = MIG_BAD_ID",
        ]
    );
}

#[test]
fn rpcs_of_two_threads_interleave() {
    let found = lines(
        &[],
        &[
            Sample::sent(echo(7, 4, 1)),
            Sample::sent(echo(7, 5, 2)).thread(71),
            Sample::received(Message::reply(7108, 4).int(0).int(10)),
            Sample::received(Message::reply(7108, 5).int(0).int(20)).thread(71),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] echo(port: port 7, value: 1) <unfinished ...>",
            "hello[1/2] echo(port: port 7, value: 2) <unfinished ...>",
            "hello[1/1] <... echo resumed> = KERN_SUCCESS {answer: 10}",
            "hello[1/2] <... echo resumed> = KERN_SUCCESS {answer: 20}",
        ]
    );
}

#[test]
fn a_reply_may_be_received_by_another_thread() {
    let found =
        lines(&[], &[Sample::sent(echo(7, 4, 1)), Sample::received(Message::reply(7108, 4).int(0).int(10)).thread(71)]);
    assert_eq!(found, ["hello[1] echo(port: port 7, value: 1) = KERN_SUCCESS {answer: 10}"]);
}

#[test]
fn the_correlation_number_tells_two_requests_on_one_port_apart() {
    let found = lines(
        &[],
        &[
            Sample::sent(echo(7, 4, 1)).correlation(100),
            Sample::sent(echo(7, 4, 2)).correlation(200),
            Sample::received(Message::reply(7108, 4).int(0).int(20)).correlation(200),
            Sample::received(Message::reply(7108, 4).int(0).int(10)).correlation(100),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] echo(port: port 7, value: 1) <unfinished ...>",
            "hello[1] echo(port: port 7, value: 2) = KERN_SUCCESS {answer: 20}",
            "hello[1] <... echo resumed> = KERN_SUCCESS {answer: 10}",
        ]
    );
}

#[test]
fn a_reply_with_another_id_is_linked_by_the_kernel_and_said_to_have_it() {
    let ask = || Sample::sent(Message::request(-1_i32 as u32, 7).int(1)).correlation(5);
    let reply = |id: i32| Message::reply(id as u32, REPLY).int(3);
    // GNU Mach's own machmsg test answers with the id of the request.
    let found = lines(&[], &[ask(), Sample::received(reply(-1)).correlation(5)]);
    assert_eq!(found, ["hello[1] msgh_id -1(to port 7, 48 bytes: 1) = KERN_NO_SPACE <msgh_id -1, not 99>"]);
    // A message of the same number that comes to another port is the request itself, received by the task that sent it.
    let found = lines(&[], &[ask(), Sample::received(Message::incoming(-1_i32 as u32, 7, 9).int(1)).correlation(5)]);
    assert_eq!(
        found,
        [
            "hello[1] msgh_id -1(to port 7, 48 bytes: 1) <unfinished ...>",
            "hello[1] <- msgh_id -1(on port 7, 48 bytes: 1)"
        ]
    );
}

#[test]
fn a_request_to_the_port_where_its_answer_is_expected_is_not_its_own_answer() {
    let ask = || Sample::sent(Message::request_from(2999, 7, 7).int(1)).correlation(5);
    let hear = || Sample::received(Message::incoming(2999, 7, 9).int(1)).correlation(5);
    let said = [
        "hello[1] msgh_id 2999(to port 7, 48 bytes: 1) <unfinished ...>",
        "hello[1] <- msgh_id 2999(on reply port, 48 bytes: 1)",
    ];
    assert_eq!(lines(&[], &[ask(), hear()]), said);
    // Sent back as it came, it comes by the send-once right, and is.
    let answer = Sample::sent(Message::answer(2999, 9).int(0)).correlation(5);
    let found = lines(&[], &[ask(), hear(), answer, Sample::received(Message::reply(2999, 7).int(0)).correlation(5)]);
    let end = [
        "hello[1] -> msgh_id 2999 reply = KERN_SUCCESS <msgh_id 2999, not 3099>",
        "hello[1] <... msgh_id 2999 resumed> = KERN_SUCCESS <msgh_id 2999, not 3099>",
    ];
    assert_eq!(found, [said, end].concat());
}

#[test]
fn a_server_may_answer_with_another_id() {
    let hear = |correlation| Sample::received(Message::incoming(7008, 7, 9).int(5)).correlation(correlation);
    let say = |correlation| Sample::sent(Message::answer(7008, 9).int(0)).correlation(correlation);
    let found = lines(&[], &[hear(5), say(5)]);
    assert_eq!(
        found,
        ["hello[1] <- echo(port: port 7, value: 5)", "hello[1] -> echo reply = KERN_SUCCESS <msgh_id 7008, not 7108>",]
    );
    // Nothing links them: it may be anything.
    assert_eq!(lines(&[], &[hear(0), say(0)])[1], "hello[1] echo(port: port 9, value: 0) = MACH_MSG_SUCCESS");
}

#[test]
fn client_and_server_are_both_traced() {
    let client = |sample: Sample| sample.task(40);
    let server = |sample: Sample| sample.task(41);
    let found = lines(
        &[],
        &[
            client(Sample::sent(Message::request(7003, SELF).bool(false))),
            client(Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 6))).knows(task(6, 41)),
            client(Sample::sent(echo(7, 4, 5))).correlation(1),
            // The same port, by another name.
            server(Sample::received(Message::incoming(7008, 3, 9).int(5))).correlation(1).knows(port(3, 7)),
            server(Sample::sent(Message::answer(7108, 9).int(0).int(6))).correlation(2),
            client(Sample::received(Message::reply(7108, 4).int(0).int(6))).correlation(2),
            client(Sample::sent(Message::request_from(7002, 6, 0).string("server"))).knows(task(6, 41)),
            server(Sample::sent(vm_allocate())),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] task_create(target_task: self, inherit_memory: false) = KERN_SUCCESS {child_task: task (hello)[2]}",
            "hello[1] echo(port: port 7, value: 5) <unfinished ...>",
            "(hello)[2] <- echo(port: port 7, value: 5)",
            "(hello)[2] -> echo reply = KERN_SUCCESS {answer: 6}",
            "hello[1] <... echo resumed> = KERN_SUCCESS {answer: 6}",
            "hello[1] task_set_name(task: task (hello)[2], name: \"server\") = MACH_MSG_SUCCESS",
            "server[2] vm_allocate(task: self, address: 0x0, size: 4096, anywhere: true) = ?",
        ]
    );
}

#[test]
fn an_orphan_reply_is_resumed_from_nowhere() {
    let found = lines(&[], &[Sample::received(vm_allocated(0x3000))]);
    assert_eq!(found, ["hello[1] <... vm_allocate resumed> = KERN_SUCCESS {address: 0x3000}"]);
}

#[test]
fn an_answer_to_an_unseen_request_is_one_all_the_same() {
    let found = lines(&[], &[Sample::sent(Message::answer(7108, 9).int(5))]);
    assert_eq!(found, ["hello[1] -> echo reply = KERN_FAILURE"]);
}

#[test]
fn a_dropped_reply_right_ends_the_call() {
    let found = lines(
        &[],
        &[
            Sample::sent(echo(7, 4, 1)),
            Sample::received(Message::reply(71, 4)),
            Sample::received(Message::reply(7108, 4).int(0).int(10)),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] echo(port: port 7, value: 1) = msgh_id 71(on reply port, 32 bytes)",
            "hello[1] <... echo resumed> = KERN_SUCCESS {answer: 10}",
        ]
    );
}

#[test]
fn failed_sends_show_mach_msg_and_the_message() {
    let found = lines(
        &[],
        &[
            Sample::sent(echo(7, 4, 1)).retval(0x1000_0004),
            Sample::failed(Direction::Send, 0x1000_0002),
            Sample::sent(echo(7, 4, 1)).retval(0x1000_000c | 0x1000),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] mach_msg(send) echo(port: port 7, value: 1) = MACH_SEND_TIMED_OUT",
            "hello[1] mach_msg(send) = MACH_SEND_INVALID_DATA",
            "hello[1] mach_msg(send) echo(port: port 7, value: 1) = MACH_SEND_INVALID_MEMORY|MACH_MSG_VM_SPACE",
        ]
    );
}

#[test]
fn failed_receives_show_the_port_and_the_size() {
    let mut header = Message::reply(7108, 12).done();
    header[4..8].copy_from_slice(&4096_u32.to_le_bytes());
    let found = lines(
        &[],
        &[
            Sample::failed(Direction::Receive, 0x1000_4003).on(12),
            Sample::raw(Direction::Receive, &header).retval(0x1000_4004).on(12),
            Sample::failed(Direction::Receive, 0x1000_4002).on(0),
            Sample::sent(echo(7, 4, 1)),
            Sample::failed(Direction::Receive, 0x1000_4005).on(4),
            Sample::received(Message::reply(7108, 4).int(0).int(10)),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] mach_msg(receive, port 12) = MACH_RCV_TIMED_OUT",
            "hello[1] mach_msg(receive, port 12) = MACH_RCV_TOO_LARGE {size: 4096}",
            "hello[1] mach_msg(receive, MACH_PORT_NULL) = MACH_RCV_INVALID_NAME",
            "hello[1] echo(port: port 7, value: 1) <unfinished ...>",
            "hello[1] mach_msg(receive, reply port) = MACH_RCV_INTERRUPTED",
            "hello[1] <... echo resumed> = KERN_SUCCESS {answer: 10}",
        ]
    );
    let verbose = Sample::failed(Direction::Receive, 0x1000_4003).on(12).options(0x102, 50);
    assert_eq!(
        lines(&["-v"], &[verbose]),
        [
            "hello[1] mach_msg(receive, port 12 (name 12), options: MACH_RCV_MSG|MACH_RCV_TIMEOUT, time_out: 50) = MACH_RCV_TIMED_OUT"
        ]
    );
}

#[test]
fn a_time_out_is_shown_where_one_was_given() {
    const SEND_RECEIVE: u32 = MACH_SEND_MSG | MACH_RCV_MSG;
    let call = |options| Sample::sent(echo(7, 4, 1)).options(options, 50);
    let answer = |options| Sample::received(Message::reply(7108, 4).int(0).int(10)).options(options, 50);
    let rpc = |first: u32, second: u32| lines(&[], &[call(first), answer(second)]).concat();
    let text = |request: &str, reply: &str| {
        format!("hello[1] echo(port: port 7, value: 1){request} = KERN_SUCCESS {{answer: 10}}{reply}")
    };
    // A call without one has a number all the same.
    assert_eq!(rpc(SEND_RECEIVE, SEND_RECEIVE), text("", ""));
    for option in [MACH_SEND_TIMEOUT, MACH_RCV_TIMEOUT, MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT] {
        assert_eq!(rpc(SEND_RECEIVE | option, SEND_RECEIVE | option), text(" <time_out 50>", ""), "{option:#x}");
    }
    assert_eq!(rpc(MACH_SEND_MSG, MACH_RCV_MSG | MACH_RCV_TIMEOUT), text("", " <time_out 50>"));
    assert_eq!(rpc(MACH_SEND_MSG | MACH_RCV_TIMEOUT, MACH_RCV_MSG), text("", ""));
    let asked = Sample::received(Message::incoming(7008, 3, 6).int(1)).options(MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0);
    assert_eq!(lines(&[], &[asked]), ["hello[1] <- echo(port: port 3, value: 1) <time_out 0>"]);
    let failed = |direction, retval, options| {
        lines(&[], &[Sample::failed(direction, retval).on(12).options(options, 50)]).concat()
    };
    let found = failed(Direction::Receive, 0x1000_4003, MACH_RCV_MSG | MACH_RCV_TIMEOUT);
    assert_eq!(found, "hello[1] mach_msg(receive, port 12, time_out: 50) = MACH_RCV_TIMED_OUT");
    let found = failed(Direction::Send, 0x1000_0004, MACH_SEND_MSG | MACH_SEND_TIMEOUT);
    assert_eq!(found, "hello[1] mach_msg(send, time_out: 50) = MACH_SEND_TIMED_OUT");
}

#[test]
fn lost_records_are_a_line() {
    let found = lines(
        &[],
        &[
            Sample::sent(echo(7, 4, 1)).sequence(1),
            Sample::received(Message::reply(7108, 4).int(0).int(10)).sequence(5).dropped(3),
            Sample::sent(echo(7, 4, 2)).sequence(7).dropped(1),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] echo(port: port 7, value: 1) <unfinished ...>",
            "--- 3 records lost ---",
            "hello[1] <... echo resumed> = KERN_SUCCESS {answer: 10}",
            "--- 1 record lost ---",
            "hello[1] echo(port: port 7, value: 2) = ?",
        ]
    );
}

#[test]
fn a_child_that_is_not_traced_is_a_line_after_what_was_lost() {
    let told = trace_port::record::CHILD_NOT_TRACED | 2;
    let found = lines(&[], &[Sample::sent(echo(7, 4, 1)).sequence(1).dropped(told)]);
    let remarks =
        ["--- 2 records lost ---", "--- a child of hello[1] is not traced: the kernel had no room for it ---"];
    assert_eq!(found[..2], remarks);
    assert_eq!(found.len(), 3);
}

#[test]
fn records_are_printed_in_sequence_order() {
    let mut trace = trace(&[]);
    let mut out = String::new();
    let one_way = |name: &str| Sample::sent(Message::request_from(7002, SELF, 0).string(name));
    one_way("a").sequence(11).feed(&mut trace, &mut out);
    one_way("c").sequence(13).feed(&mut trace, &mut out);
    one_way("d").sequence(14).feed(&mut trace, &mut out);
    assert!(trace.is_waiting());
    assert_eq!(out.lines().count(), 1);
    one_way("b").sequence(12).feed(&mut trace, &mut out);
    assert!(!trace.is_waiting());
    // What does not come is not waited for beyond an idle moment; when it does come, it is printed late.
    one_way("f").sequence(16).feed(&mut trace, &mut out);
    trace.idle(&mut out);
    one_way("e").sequence(15).feed(&mut trace, &mut out);
    let names: String = out.split('"').skip(1).step_by(2).collect();
    assert_eq!(names, "abcdfe");
}

#[test]
fn a_missing_record_is_waited_for_only_so_long() {
    let mut trace = trace(&[]);
    let mut out = String::new();
    let one_way = |sequence| Sample::sent(Message::request_from(7002, SELF, 0).string("x")).sequence(sequence);
    one_way(1).feed(&mut trace, &mut out);
    // As many as a ring can have of the smallest.
    let most = (trace_port::ring::TRACERS_CAPACITY / trace_port::record::part_size(0, 0)) as u64;
    for sequence in 3..3 + most {
        one_way(sequence).feed(&mut trace, &mut out);
    }
    assert_eq!(out.lines().count(), 1);
    one_way(3 + most).feed(&mut trace, &mut out);
    assert_eq!(out.lines().count() as u64, most + 2);
    assert!(!trace.is_waiting());
}

#[test]
fn an_idle_moment_shows_the_request_that_waits() {
    let mut trace = trace(&[]);
    let mut out = String::new();
    Sample::sent(echo(7, 4, 1)).sequence(1).feed(&mut trace, &mut out);
    assert_eq!(out, "");
    assert!(trace.is_waiting());
    trace.idle(&mut out);
    Sample::received(Message::reply(7108, 4).int(0).int(2)).sequence(2).feed(&mut trace, &mut out);
    assert_eq!(
        out,
        "hello[1] echo(port: port 7, value: 1) <unfinished ...>\nhello[1] <... echo resumed> = KERN_SUCCESS {answer: 2}\n"
    );
}

#[test]
fn unknown_ids_show_their_items() {
    let message = || Message::request(2999, 7).int(-5).chars(b"abc").port(MAKE_SEND, 8).name(9).memory(0x5000, 12);
    let found = lines(
        &[],
        &[
            Sample::sent(message()),
            Sample::received(Message::reply(3099, REPLY).int(-303)),
            Sample::sent(Message::request_from(2998, 7, 0).data(&[1, 2, 255])),
            Sample::received(Message::incoming(2997, 3, 0).words(&[7, 8])),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] msgh_id 2999(to port 7, 112 bytes: -5, \"abc\", make-send port 8, port 9, ool 0x5000[12 bytes]) = MIG_BAD_ID",
            "hello[1] msgh_id 2998(to port 7, 48 bytes: <01 02 ff>) = MACH_MSG_SUCCESS",
            "hello[1] <- msgh_id 2997(on port 3, 56 bytes: [7, 8])",
        ]
    );
}

#[test]
fn a_truncated_body_shows_what_there_is() {
    let whole = vm_allocate().done();
    let cut = |length: usize| lines(&["-s", "4"], &[Sample::raw(Direction::Send, &whole[..length])]);
    assert_eq!(
        cut(60),
        [
            "hello[1] vm_allocate(task: self, address: 0x0, <message 7000 (vm_allocate): size at byte 48: needs 16 bytes, \
         there are 12>) = ?",
            " | 00030  0b 40 00 20 01 00 00 00  00 10 00 00              .@. ........",
        ]
    );
    assert_eq!(cut(31), ["hello[1] mach_msg(send) = KERN_SUCCESS"]);
}

#[test]
fn values_are_printed_by_kind() {
    let long = [b'x'; 100];
    let give = Message::request(7009, 7).port(MOVE_SEND, 8).data(&[0xde, 0xad]).memory(0x2000, 8192);
    let found = lines(
        &["-s", "10"],
        &[
            Sample::sent(give),
            Sample::received(Message::reply(7109, REPLY).int(0)),
            Sample::sent(Message::request(7010, 7).port(MAKE_SEND_ONCE, 8)),
            Sample::received(Message::reply(7110, REPLY).int(0)),
            Sample::sent(Message::request(7007, 7).chars(b"a\"b\\\n\x07\xff")),
            Sample::received(Message::reply(7107, REPLY).int(0).int(7)),
            Sample::sent(Message::request(7007, 7).chars(&long)),
            Sample::received(Message::reply(7107, REPLY).int(0).int(100)),
            Sample::sent(Message::request(7011, 7)),
            Sample::received(Message::reply(7111, REPLY).int(0).words(&[5, 0x7000]).ints(&[1, -2, 3])),
            Sample::sent(Message::request(7001, SELF).int(0)),
            Sample::received(Message::reply(7101, REPLY).int(0)),
            Sample::sent(Message::request(7001, SELF).int(0x41)),
            Sample::received(Message::reply(7101, REPLY).int(0)),
            Sample::sent(Message::request(7010, 7).port(MAKE_SEND_ONCE, 0)),
            Sample::received(Message::reply(7110, REPLY).int(0)),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] give(port: port 7, right: move-send port 8, bytes: <de ad>, memory: ool 0x2000[8192 bytes]) = KERN_SUCCESS",
            "hello[1] watch(port: port 7, tell: make-send-once port 8) = KERN_SUCCESS",
            r#"hello[1] device_write_inband(device: port 7, data: "a\"b\\\n\x07\xff") = KERN_SUCCESS {bytes_written: 7}"#,
            "hello[1] device_write_inband(device: port 7, data: \"xxxxxxxxxx\"...) = KERN_SUCCESS {bytes_written: 100}",
            "hello[1] describe(port: port 7) = KERN_SUCCESS {pair: {first: 5, second: 0x7000}, info: [1, -2, 3]}",
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_NONE) = KERN_SUCCESS",
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ|0x40) = KERN_SUCCESS",
            "hello[1] watch(port: port 7, tell: MACH_PORT_NULL) = KERN_SUCCESS",
        ]
    );
}

#[test]
fn a_wait_status_is_said_in_words() {
    let wait = |status: i32| {
        let request = Sample::sent(Message::request(7018, 7));
        let found = lines(&[], &[request, Sample::received(Message::reply(7118, REPLY).int(0).int(status))]);
        let [line] = &found[..] else { panic!("{found:?}") };
        let start = "hello[1] proc_wait(process: port 7) = KERN_SUCCESS {status: ";
        line.strip_prefix(start).and_then(|line| line.strip_suffix('}')).expect(line).to_string()
    };
    assert_eq!(wait(0), "exit 0");
    assert_eq!(wait(0x300), "exit 3");
    assert_eq!(wait(9), "killed by SIGKILL");
    assert_eq!(wait(0x8b), "killed by SIGSEGV, core dumped");
    assert_eq!(wait(0x127f), "stopped by SIGTSTP");
    assert_eq!(wait(0x637f), "stopped by signal 99");
    assert_eq!(wait(0xffff), "continued");
    assert_eq!(wait(-1), "0xffffffff");
}

#[test]
fn what_does_not_conform_is_dumped_below_its_line() {
    let wrong = |value: &[u8]| Message::request(7008, 7).chars(value);
    let answer = |reply: Message| Sample::received(reply);
    let reply = || Message::reply(7108, REPLY).int(0).chars(b"wrong type");
    let found = lines(&[], &[Sample::sent(wrong(b"no int")), answer(reply())]);
    assert_eq!(
        found,
        [
            "hello[1] echo(port: port 7, <message 7008 (echo): value at byte 32: expected 4 bytes of data, found 6>) = \
             KERN_SUCCESS {<message 7108 (echo): answer at byte 48: expected 4 bytes of data, found 10>}",
            " | 00020  08 08 00 20 06 00 00 00  6e 6f 20 69 6e 74 00 00  ... ....no int..",
            " | 00030  08 08 00 20 0a 00 00 00  77 72 6f 6e 67 20 74 79  ... ....wrong ty",
            " | 00040  70 65 00 00 00 00 00 00                           pe......",
        ]
    );
    // Long ones are cut short; -v shows all of them, -x whole messages and nothing twice.
    let long = || [Sample::sent(wrong(&[b'x'; 200])), answer(Message::reply(7108, REPLY).int(5))];
    let found = lines(&[], &long());
    assert_eq!(found.len(), 10, "{found:?}");
    assert_eq!(found[9], " | 80 more bytes (-v, --dump-messages)");
    assert_eq!(lines(&["-v"], &long()).len(), 14);
    let found = lines(&["--dump-messages"], &long());
    assert_eq!(found.iter().filter(|line| line.starts_with(" | 00020 ")).count(), 2, "{found:?}");
    assert_eq!(found.iter().filter(|line| line.starts_with(" | 00000 ")).count(), 2, "{found:?}");
}
