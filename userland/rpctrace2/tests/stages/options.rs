// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line: what each option does to the output.

use crate::common::*;
use exchanges::leave_out::LetThrough;
use report::Style;
use rpctrace2::Options;
use trace_port::Direction;

/// An RPC from `time` that takes `took`, its request with the sequence number `from`.
fn protect(from: u64, time: u64, took: u64, code: i32) -> [Sample; 2] {
    [
        Sample::sent(Message::request(7001, SELF).int(1)).sequence(from).time(time),
        Sample::received(Message::reply(7101, REPLY).int(code)).sequence(from + 1).time(time + took),
    ]
}

#[test]
fn times_stand_before_lines() {
    // 2026-11-21 02:03:04.000005 UTC
    let time = 1_795_226_584_000_005_000;
    let samples = [protect(1, time, 1000, 0), protect(3, time + 2_500_000_000, 1000, 0)].concat();
    let call = "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = KERN_SUCCESS";
    for (option, first, second) in [
        ("-t", "02:03:04", "02:03:06"),
        ("-tt", "02:03:04.000005", "02:03:06.500005"),
        ("-ttt", "1795226584.000005", "1795226586.500005"),
        ("-r", "     0.000000", "     2.500000"),
    ] {
        assert_eq!(lines(&[option], &samples), [format!("{first} {call}"), format!("{second} {call}")]);
    }
}

#[test]
fn durations_stand_behind_results() {
    let [request, reply] = protect(1, 0, 1_000_042_000, 0);
    let between = Sample::failed(Direction::Receive, 0x1000_4003).on(9).sequence(2);
    let line = "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ)";
    assert_eq!(lines(&["-T"], &[request.clone(), reply.clone()]), [format!("{line} = KERN_SUCCESS <1.000042>")]);
    assert_eq!(
        lines(&["-T"], &[request, between, reply.sequence(3)]),
        [
            format!("{line} <unfinished ...>"),
            "hello[1] mach_msg(receive, port 9) = MACH_RCV_TIMED_OUT".to_string(),
            "hello[1] <... vm_protect resumed> = KERN_SUCCESS <1.000042>".to_string(),
        ]
    );
}

fn mixed() -> Vec<Sample> {
    let [request, reply] = protect(1, 0, 3_000_000, 0);
    let [request_2, reply_2] = protect(4, 5_000_000, 1_000_000, 5);
    let name = Sample::sent(Message::request_from(7002, SELF, 0).string("hello")).sequence(2);
    let receive = Sample::failed(Direction::Receive, 0x1000_4003).on(9).sequence(6);
    vec![request, name, reply.sequence(3), request_2, reply_2, receive]
}

#[test]
fn expressions_select_lines() {
    let protect = "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ)";
    let rpcs = [format!("{protect} = KERN_SUCCESS"), format!("{protect} = KERN_FAILURE")];
    let name = ["hello[1] task_set_name(task: self, name: \"hello\") = MACH_MSG_SUCCESS"];
    let failed = ["hello[1] mach_msg(receive, port 9) = MACH_RCV_TIMED_OUT"];
    // What is not printed does not come between.
    assert_eq!(lines(&["-e", "trace=vm_protect"], &mixed()), rpcs);
    assert_eq!(lines(&["-e", "7002"], &mixed()), name);
    assert_eq!(lines(&["-e", "trace=mach_msg"], &mixed()), failed);
    assert_eq!(lines(&["-e", "trace=!vm_protect,mach_msg"], &mixed()), name);
    assert_eq!(lines(&["-e", "trace=sample", "-e", "trace=!task_set_name"], &mixed()), rpcs);
    assert_eq!(lines(&["-e", "none"], &mixed()), [""; 0]);
    assert_eq!(lines(&["-e", "all"], &mixed()), lines(&[], &mixed()));
}

/// Which calls have lines, and that these are whole: what another call's end would come between has waited.
#[test]
fn only_calls_with_a_status_are_shown() {
    let all = lines(&[], &mixed());
    let ends = |words: &[&str]| {
        all.iter().filter(|line| words.iter().any(|word| line.ends_with(word))).cloned().collect::<Vec<_>>()
    };
    let protect = "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = KERN_SUCCESS".to_string();
    let name = "hello[1] task_set_name(task: self, name: \"hello\") = MACH_MSG_SUCCESS".to_string();
    assert_eq!(lines(&["-z"], &mixed()), [name.clone(), protect.clone()]);
    assert_eq!(lines(&["-e", "status=successful"], &mixed()), [name, protect]);
    let failed = ends(&["KERN_FAILURE", "MACH_RCV_TIMED_OUT"]);
    assert_eq!(failed.len(), 2);
    assert_eq!(lines(&["-Z"], &mixed()), failed);
    assert_eq!(lines(&["-e", "status=none"], &mixed()), [""; 0]);
    let open = [protect_request()];
    assert_eq!(lines(&["-e", "status=unfinished"], &open), lines(&[], &open));
    assert_eq!(lines(&["-zZ"], &open), [""; 0]);
}

fn protect_request() -> Sample {
    protect(1, 0, 0, 0)[0].clone()
}

#[test]
fn strings_in_hexadecimal() {
    let line = |arguments: &[&str], text: &str| {
        lines(arguments, &[Sample::sent(Message::request_from(7002, SELF, 0).string(text))]).concat()
    };
    let name = |text: &str| format!("hello[1] task_set_name(task: self, name: \"{text}\") = MACH_MSG_SUCCESS");
    assert_eq!(line(&["-x"], "a b\n"), name("a b\\n"));
    assert_eq!(line(&["-x"], "a\u{1}"), name("\\x61\\x01"));
    assert_eq!(line(&["-xx"], "ab"), name("\\x61\\x62"));
    assert_eq!(line(&[], "a\u{1}"), name("a\\x01"));
}

#[test]
fn the_summary_counts_by_routine() {
    let table = [
        "% time     seconds  usecs/call     calls    errors routine",
        "------ ----------- ----------- --------- --------- ----------------",
        "100.00    0.004000        2000         2         1 vm_protect",
        "  0.00    0.000000           0         1         1 mach_msg",
        "  0.00    0.000000           0         1           task_set_name",
        "------ ----------- ----------- --------- --------- ----------------",
        "100.00    0.004000        1000         4         2 total",
    ];
    assert_eq!(lines(&["-c"], &mixed()), table);
    let both = lines(&["-C"], &mixed());
    assert_eq!(both[..5], lines(&[], &mixed()));
    assert_eq!(both[5..], table);
}

#[test]
fn serving_is_counted_and_timed_apart() {
    let served = [
        Sample::received(Message::incoming(7008, 3, 9).int(5)).time(1_000_000),
        Sample::sent(Message::answer(7108, 9).int(5)).time(3_000_000),
    ];
    let found = lines(&["-CT"], &served);
    assert_eq!(found[1], "hello[1] -> echo reply = KERN_FAILURE <0.002000>");
    assert_eq!(found[2], "% time     seconds  usecs/call     calls    errors served");
    assert_eq!(found[4], "100.00    0.002000        2000         1         1 echo");
    // What a task asks for and what it is asked for are no hundred percent together.
    let both = [&served[..], &protect(3, 4_000_000, 1_000_000, 0)].concat();
    let found = lines(&["-c"], &both);
    let (table, rule) = ("% time     seconds  usecs/call     calls    errors ", &found[1]);
    let expected = [
        &format!("{table}routine"),
        rule,
        "100.00    0.001000        1000         1           vm_protect",
        rule,
        "100.00    0.001000        1000         1           total",
        &format!("{table}served"),
        rule,
        "100.00    0.002000        2000         1         1 echo",
        rule,
        "100.00    0.002000        2000         1         1 total",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_dump_shows_both_messages() {
    let found = lines(&["--dump-messages"], &protect(1, 0, 0, 0));
    assert_eq!(
        found,
        [
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = KERN_SUCCESS",
            " | message, 48 bytes",
            " | 00000  13 15 00 00 30 00 00 00  01 00 00 00 00 00 00 00  ....0...........",
            " | 00010  04 00 00 00 00 00 00 00  00 00 00 00 59 1b 00 00  ............Y...",
            " | 00020  02 20 00 20 01 00 00 00  01 00 00 00 00 00 00 00  . . ............",
            " | reply, 48 bytes",
            " | 00000  00 12 00 00 30 00 00 00  00 00 00 00 00 00 00 00  ....0...........",
            " | 00010  04 00 00 00 00 00 00 00  00 00 00 00 bd 1b 00 00  ................",
            " | 00020  02 20 00 20 01 00 00 00  00 00 00 00 00 00 00 00  . . ............",
        ]
    );
}

#[test]
fn verbose_abbreviates_nothing() {
    let long = Sample::sent(Message::request_from(7007, 7, 0).chars(&[b'x'; 100]));
    let text = "x".repeat(100);
    assert_eq!(
        lines(&["-v"], &[long]),
        [format!("hello[1] device_write_inband(device: port 7 (name 7), data: \"{text}\") = MACH_MSG_SUCCESS")]
    );
    let port = Sample::sent(Message::request_from(7009, 7, 0).port(COPY_SEND, 8).data(&[]).memory(0, 0));
    assert_eq!(
        lines(&["-v"], &[port]),
        [
            "hello[1] give(port: port 7 (name 7), right: copy-send port 8 (name 8), bytes: <>, memory: ool 0x0[0 bytes]) = MACH_MSG_SUCCESS"
        ]
    );
}

#[test]
fn the_exit_is_a_line_unless_quiet() {
    for (arguments, expected) in [
        (
            &[][..],
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = ?\n+++ hello[1] exited with 3 +++\n",
        ),
        (&["-q"], "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = ?\n"),
    ] {
        let mut trace = trace(arguments);
        let mut out = String::new();
        protect(1, 0, 0, 0)[0].feed(&mut trace, &mut out);
        trace.exited(3, &mut out);
        trace.finish(&mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn the_output_is_ascii() {
    let mut trace = start(Options { style: Style { string_size: 2, ..Style::default() }, ..Options::default() });
    let mut out = String::new();
    Sample::sent(Message::request(7007, 7).chars("äöü".as_bytes())).sequence(1).feed(&mut trace, &mut out);
    trace.idle(&mut out);
    assert_eq!(out, "hello[1] device_write_inband(device: port 7, data: \"\\xc3\\xa4\"...) <unfinished ...>\n");
}

/// What is selected, its answers, and all that tells tasks, ports and ends; of what no table knows all or nothing.
#[test]
fn the_kernel_is_told_what_to_let_through() {
    let of = |words: &[&str], rules| trace(words).leave_out(rules);
    assert_eq!((of(&[], 16), of(&["-e", "all"], 16), of(&["-e", "!none"], 16)), (None, None, None));
    let has = |words: &[&str], id: u32| {
        let let_through = of(words, 1000).expect("something is left out");
        let few = of(words, 16).expect("something is left out");
        assert!(few.ids.len() + usize::from(few.failed) < 16, "{few:?}");
        let is_among = |ids: &[(u32, u32)], id| ids.iter().any(|&(first, last)| first <= id && id <= last);
        let is_in = |some: &LetThrough| {
            is_among(&some.ids, id) || some.answers && id.checked_sub(100).is_some_and(|id| is_among(&some.ids, id))
        };
        // With fewer rules more comes, and nothing less.
        assert!(!is_in(&let_through) || is_in(&few), "{id}: {let_through:?} {few:?}");
        is_in(&let_through)
    };
    const NAMES: [u32; 5] = [7002, 7003, 7103, 7021, 7123];
    for words in [&["-e", "vm_protect"][..], &["-e", "7001,mach_msg"], &["-e", "none", "-e", "vm_protect"]] {
        assert!([7001, 7101].into_iter().chain(NAMES).all(|id| has(words, id)), "{words:?}");
        assert!([0, 1, 7000, 7008, 7108, 7026, 9999, u32::MAX].iter().all(|&id| !has(words, id)), "{words:?}");
        assert_eq!(of(words, 16).is_some_and(|let_through| let_through.failed), words[1].contains("mach_msg"));
    }
    let words = ["-e", "!echo,task_create"];
    assert!([0, 7001, 7101, 9999, u32::MAX].into_iter().chain(NAMES).all(|id| has(&words, id)));
    assert!(!has(&words, 7008) && !has(&words, 7108));
}
