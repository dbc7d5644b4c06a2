// SPDX-License-Identifier: GPL-2.0-or-later
//! Which calls are shown, and from when until when: `--on`, `--until`, `--limit`, `--for`, `--slower`, `--port`, `--direction`, `--thread`, `--result`.

use proptest::collection::vec;
use proptest::prelude::*;
use rpctrace2::options::{self, place::Here};
use trace_port::Direction;

use crate::common::*;
use crate::property::exchange;

/// A call of `vm_protect` of task 40, in microseconds.
fn protect(time: u64, took: u64, code: i32) -> [Sample; 2] {
    [
        Sample::sent(Message::request(7001, SELF).int(1)).time(1000 * time),
        Sample::received(Message::reply(7101, REPLY).int(code)).time(1000 * (time + took)),
    ]
}

fn name(time: u64) -> Sample {
    Sample::sent(Message::request_from(7002, SELF, 0).string("hello")).time(1000 * time)
}

fn failed(time: u64) -> Sample {
    Sample::failed(Direction::Receive, 0x1000_4003).on(9).time(1000 * time)
}

/// What is asked of the command, which answers.
fn served(time: u64) -> [Sample; 2] {
    [
        Sample::received(Message::incoming(7008, 3, 9).int(5)).time(1000 * time),
        Sample::sent(Message::answer(7108, 9).int(5)).time(1000 * (time + 1)),
    ]
}

/// Ten lines: calls that succeed and fail, at 0, 10, ... microseconds.
fn calls() -> Vec<Sample> {
    let parts: [&[Sample]; 8] = [
        &protect(0, 2, 0),
        &[name(10)],
        &protect(20, 5, 5),
        &[failed(30)],
        &served(40),
        &protect(50, 1, 0),
        &[name(60)],
        &protect(70, 9, 5),
    ];
    parts.concat()
}

/// What is printed, and what is said of options that have selected nothing.
fn shown(arguments: &[&str], samples: &[Sample]) -> (Vec<String>, Vec<String>) {
    let mut trace = trace(arguments);
    let mut out = String::new();
    for (index, sample) in samples.iter().enumerate() {
        sample.clone().sequence(index as u64 + 1).feed(&mut trace, &mut out);
    }
    trace.finish(&mut out);
    (out.lines().map(String::from).collect(), trace.unmatched())
}

/// What is printed where no option has to be told of.
fn printed(arguments: &[&str], samples: &[Sample]) -> Vec<String> {
    let (lines, unmatched) = shown(arguments, samples);
    assert_eq!(unmatched, [""; 0], "{arguments:?}");
    lines
}

/// Some of the lines.
fn at(all: &[String], places: &[usize]) -> Vec<String> {
    places.iter().map(|place| all[*place].clone()).collect()
}

#[test]
fn what_is_shown_begins_at_a_call_with_what_was_before_it() {
    let all = lines(&[], &calls());
    assert_eq!(all.len(), 9, "{all:?}");
    for (words, from) in [
        (&["--on=vm_protect"][..], 0),
        (&["--on=vm_protect=5"], 2),
        (&["--on=vm_protect=failed"], 2),
        (&["--on", "task_set_name"], 1),
        (&["--on=echo"], 4),
        (&["--on=echo=failed"], 5),
        (&["--on=echo=failed", "--history=1"], 4),
        (&["--on=mach_msg=MACH_RCV_TIMED_OUT"], 3),
        (&["--on=mach_msg=0x10004003"], 3),
        (&["--on=mach_msg", "--history=2"], 1),
        (&["--on=7001=KERN_FAILURE", "--history", "100000"], 0),
    ] {
        assert_eq!(printed(words, &calls()), all[from..], "{words:?}");
    }
    // What is not selected may be what is waited for, and is no history.
    let names = printed(&["-e", "task_set_name", "--on=vm_protect=failed", "--history=1"], &calls());
    assert_eq!(names, at(&all, &[1, 7]));
    assert_eq!(printed(&["-Z", "--on=task_set_name"], &calls()), at(&all, &[2, 3, 4, 5, 8]));
    // Bytes stand below the line that they are of.
    let dumped = printed(&["--dump-messages", "--on=mach_msg", "--history=1"], &calls());
    assert!(dumped[0].starts_with("hello[1] vm_protect") && dumped[1].starts_with(" | message"), "{dumped:?}");
    let never = ["--on=vm_protect=KERN_NO_SPACE matched none of 13 records"];
    let (lines, unmatched) = shown(&["--on=vm_protect=KERN_NO_SPACE", "--thread=7"], &calls());
    assert_eq!((lines, &unmatched[..]), (vec![], &never.map(String::from)[..]));
}

#[test]
fn a_trace_ends_after_the_call_that_it_is_to_end_after() {
    let all = lines(&[], &calls());
    for (words, end, to) in [
        (&["--until=vm_protect"][..], "--until=vm_protect", 1),
        (&["--until=vm_protect=failed"], "--until=vm_protect=failed", 3),
        (&["--until=echo"], "--until=echo", 6),
        (&["--limit=1"], "--limit=1", 1),
        (&["--syscall-limit=5"], "--limit=5", 6),
    ] {
        let found = printed(words, &calls());
        assert_eq!(found[..to], all[..to], "{words:?}");
        assert_eq!(found[to..], [format!("rpctrace2: {end}: the trace ends here")], "{words:?}");
    }
    let one = printed(&["--on=vm_protect=failed", "--until=vm_protect=failed"], &calls());
    assert_eq!(one[..1], all[2..3]);
    assert_eq!(one.len(), 2, "{one:?}");
    let names = printed(&["-e", "task_set_name", "--limit=2"], &calls());
    assert_eq!(names[..2], [all[1].clone(), all[7].clone()]);
    // A call that waits when the trace ends is not said to have had no answer.
    let [request, reply] = protect(0, 5, 0);
    let found = printed(&["--until=task_set_name"], &[request, name(1), reply]);
    assert!(found[0].ends_with(" <unfinished ...>") && found.len() == 3, "{found:?}");
    let (_, unmatched) = shown(&["--until=vm_protect=KERN_NO_SPACE"], &calls());
    assert_eq!(unmatched, ["--until=vm_protect=KERN_NO_SPACE matched none of 13 records"]);
    assert_eq!(printed(&["--limit=100"], &calls()), all);
}

#[test]
fn a_trace_ends_when_its_time_is_over() {
    let all = lines(&[], &calls());
    let end = "rpctrace2: --for=35us: the trace ends here";
    assert_eq!(printed(&["--for=35us"], &calls()), [&all[..4], &[end.to_owned()]].concat());
    let found = printed(&["--on=mach_msg", "--for=35us"], &calls());
    assert_eq!(found, [&all[3..8], &[end.to_owned()]].concat());
    assert_eq!(printed(&["--for=1s"], &calls()), all);
    // Nothing comes, and the time passes all the same.
    let mut trace = trace(&["--for=1ms"]);
    let mut out = String::new();
    assert_eq!(trace.left_of_span(400_000), Some(600_000));
    protect(5, 0, 0)[0].clone().sequence(1).feed(&mut trace, &mut out);
    name(105).sequence(2).feed(&mut trace, &mut out);
    assert_eq!((trace.left_of_span(400_000), trace.left_of_span(1_000_000)), (Some(500_000), Some(0)));
    assert!(!trace.is_over());
    trace.run_out(&mut out);
    assert!(trace.is_over() && out.ends_with("rpctrace2: --for=1ms: the trace ends here\n"), "{out}");
    let before = out.clone();
    name(110).sequence(3).feed(&mut trace, &mut out);
    trace.exited(0, &mut out);
    trace.finish(&mut out);
    assert_eq!(out, before);
}

#[test]
fn calls_are_selected_by_what_they_took() {
    let all = lines(&[], &calls());
    assert_eq!(printed(&["--slower=5us"], &calls()), at(&all, &[2, 8]));
    assert_eq!(printed(&["--slower=9us"], &calls()), at(&all, &[8]));
    // One without an answer has taken as long as it has been waited for.
    let open = [protect(0, 0, 0)[0].clone(), name(100)];
    assert!(printed(&["--slower=100us"], &open)[0].ends_with("VM_PROT_READ) = ?"));
    let (lines, unmatched) = shown(&["--slower=101us"], &open);
    assert_eq!((lines.len(), &unmatched[..]), (0, &["--slower=101us matched none of 2 records".to_owned()][..]));
}

#[test]
fn calls_are_selected_by_port() {
    let give = |port: u64, right: u64| {
        Sample::sent(Message::request_from(7009, port, 0).port(COPY_SEND, right).data(&[]).memory(0, 0))
    };
    let samples = [give(7, 8), give(8, 9), give(2, 9)];
    let all = lines(&[], &samples);
    for (words, expected) in [
        (&["--port=7"][..], vec![0]),
        (&["--port=port 8"], vec![0, 1]),
        (&["--port=name 9"], vec![1, 2]),
        (&["--port=host"], vec![2]),
        (&["--port=7", "--port=host"], vec![0, 2]),
    ] {
        let expected = at(&all, &expected);
        assert_eq!(printed(words, &samples), expected, "{words:?}");
    }
    let (_, unmatched) = shown(&["--port=77"], &samples);
    assert_eq!(unmatched, ["--port=77 matched none of 3 records"]);
}

#[test]
fn calls_are_selected_by_thread_and_direction() {
    let of = |task: u32, thread: u32| name(1).task(task).thread(thread);
    let samples = [of(40, 70), of(40, 71), of(41, 80), of(40, 70)];
    let all = lines(&[], &samples);
    for (words, expected) in [
        (&["--thread=1"][..], vec![0, 1, 3]),
        (&["--thread=1/2"], vec![1]),
        (&["--thread=hello[1/2],2"], vec![1, 2]),
        (&["--thread=[2]"], vec![2]),
        (&["--thread=2/1"], vec![2]),
    ] {
        let expected = at(&all, &expected);
        assert_eq!(printed(words, &samples), expected, "{words:?}");
    }
    let (_, unmatched) = shown(&["--thread=3"], &samples);
    assert_eq!(unmatched, ["--thread=3 matched none of 4 records"]);
    let all = lines(&[], &calls());
    assert_eq!(printed(&["--direction=receive"], &calls()), all[3..6]);
    assert_eq!(printed(&["--direction=send"], &calls()), [&all[..3], &all[6..]].concat());
}

#[test]
fn calls_are_selected_by_result() {
    let all = lines(&[], &calls());
    assert_eq!(printed(&["--result=KERN_FAILURE"], &calls()), at(&all, &[2, 4, 5, 8]));
    assert_eq!(printed(&["--result=MACH_RCV_TIMED_OUT"], &calls()), at(&all, &[3]));
    assert_eq!(printed(&["--result=0"], &calls()), at(&all, &[0, 1, 6, 7]));
    assert_eq!(printed(&["--result=0,5,0x10004003"], &calls()).len(), all.len());
    let (_, unmatched) = shown(&["--result=KERN_NO_SPACE"], &calls());
    assert_eq!(unmatched, ["--result=KERN_NO_SPACE matched none of 13 records"]);
}

#[test]
fn figures_and_answers_are_of_what_is_selected() {
    let count = |words: &[&str]| {
        let found = printed(words, &calls());
        let row = found.iter().find(|row| row.ends_with(" total")).expect("a table").clone();
        row.split_whitespace().nth(3).map(str::to_owned)
    };
    assert_eq!(count(&["-c"]).as_deref(), Some("7"));
    assert_eq!(count(&["-c", "--on=mach_msg"]).as_deref(), Some("4"));
    assert_eq!(count(&["-c", "--on=vm_protect=failed"]).as_deref(), Some("5"));
    assert_eq!(count(&["-c", "--limit=3"]).as_deref(), Some("3"));
    assert_eq!(count(&["-c", "--until=mach_msg"]).as_deref(), Some("4"));
    assert_eq!(count(&["-c", "--slower=5us"]).as_deref(), Some("2"));
    assert_eq!(count(&["-c", "--for=25us"]).as_deref(), Some("3"));
    let top = printed(&["--ask=top", "--result=5", "--direction=send"], &calls()).join("\n");
    assert!(top.contains(" 2         2 vm_protect\n") && !top.contains("task_set_name"), "{top}");
    let parsed = |words: &[&str]| options::parse(words.iter().copied(), Here::Guest).map_err(|error| error.to_string());
    let refusal = "option `--ask=stuck`: needs all messages; `--slower` leaves some out";
    assert_eq!(parsed(&["--ask=stuck", "--slower=1ms", "hello"]), Err(refusal.to_owned()));
    assert!(parsed(&["--ask=stuck", "--until=vm_map", "hello"]).is_ok());
}

#[test]
fn what_selects_nothing_is_told_of() {
    let said = |words: &[&str], samples: &[Sample]| shown(words, samples).1;
    let none = |what: &str| vec![format!("{what} matched none of 13 records")];
    assert_eq!(said(&["-e", "host_ping"], &calls()), none("-e host_ping"));
    assert_eq!(said(&["-e", "status=unfinished"], &calls()), none("-e status=unfinished"));
    // As it was written.
    assert_eq!(said(&["-Z"], &[name(1)]), ["-Z matched none of 1 records"]);
    assert_eq!(said(&["-e", "status=failed"], &[name(1)]), ["-e status=failed matched none of 1 records"]);
    assert_eq!(said(&["-z"], &[failed(0)]), ["-z matched none of 1 records"]);
    assert_eq!(said(&["-e", "host_ping", "-e", "7026"], &calls()), none("-e host_ping -e 7026"));
    assert_eq!(said(&["-c", "-e", "host_ping"], &calls()), none("-e host_ping"));
    assert_eq!(said(&["--thread=9", "--slower=1s"], &calls()), [none("--thread=9"), none("--slower=1s")].concat());
    let together = "--result=0 --slower=5us have each matched some, but all together none of 13 records";
    assert_eq!(said(&["--result=0", "--slower=5us"], &calls()), [together]);
    // Nobody wonders where nothing is what was asked for, or nothing has come.
    assert_eq!(said(&["-e", "none"], &calls()), [""; 0]);
    assert_eq!(said(&["-e", "host_ping", "--on=echo"], &[]), [""; 0]);
    // Also not where calls are only counted.
    let counted = [&[failed(0), name(1)][..], &protect(2, 1, 5), &protect(4, 1, 5)].concat();
    assert_eq!(said(&["-e", "vm_protect", "-c"], &counted), [""; 0]);
    assert_eq!(said(&["-Zc", "-e", "vm_protect"], &counted), [""; 0]);
}

#[test]
fn a_word_that_selects_nothing_is_refused() {
    let refused = |words: &[&str]| {
        options::parse(words.iter().copied().chain(["hello"]), Here::Guest).expect_err("refused").to_string()
    };
    let expected = "expected SET, as of -e trace=, or SET=RESULT, where RESULT is failed, successful or a return code";
    assert_eq!(refused(&["--on="]), format!("option `--on`: {expected}, found ``"));
    assert_eq!(refused(&["--until=x="]), format!("option `--until`: {expected}, found `x=`"));
    for (words, expected) in [
        (&["--history=5"][..], "option `--history`: needs --on, which names the call that it is before"),
        (&["--history=x", "--on=x"], "option `--history`: expected a number of lines up to 100000, found `x`"),
        (&["--limit=0"], "option `--limit`: expected a number of calls, not 0, found `0`"),
        (&["--for=3"], "option `--for`: expected a time: 500us, 1ms, 2s, found `3`"),
        (&["--slower=x"], "option `--slower`: expected a time: 500us, 1ms, 2s, found `x`"),
        (
            &["--port="],
            "option `--port`: expected a port as lines show it: its number, `name 7`, `bootstrap`, `console`, found ``",
        ),
        (
            &["--direction=recieve"],
            "option `--direction`: expected send or receive, found `recieve`; did you mean `receive`?",
        ),
        (
            &["--thread=0"],
            "option `--thread`: expected TASK or TASK/THREAD, by the numbers in brackets that lines begin with, found `0`",
        ),
        (
            &["--result=,"],
            "option `--result`: expected return codes by name or number, with commas between them, found `,`",
        ),
        (
            &["--until=all"],
            "option `--until=all`: needs a Hurd, which has processes; here a trace begins with its command",
        ),
    ] {
        assert_eq!(refused(words), expected, "{words:?}");
    }
    let unknown = |words: &[&str]| {
        let parsed = options::parse(words.iter().copied().chain(["hello"]), Here::Guest);
        let Ok(rpctrace2::Request::Trace { options, .. }) = parsed else { panic!("{parsed:?}") };
        rpctrace2::Trace::new(sample_tables(), &options, "hello").expect_err("refused").to_string()
    };
    for (words, expected) in [
        (
            &["--on=vm_protekt"][..],
            "option `--on`: no routine, subsystem or msgh_id is called `vm_protekt`; did you mean `vm_protect`?",
        ),
        (
            &["--until=vm_protect=KERN_FAILUR"],
            "option `--until`: no return code is called `KERN_FAILUR`; did you mean `KERN_FAILURE`?",
        ),
        (
            &["--result=KERN_NO_SPAC"],
            "option `--result`: no return code is called `KERN_NO_SPAC`; did you mean `KERN_NO_SPACE`?",
        ),
    ] {
        assert_eq!(unknown(words), expected, "{words:?}");
    }
}

/// A capture has what the trace had that it was made of, up to the trace's end, and shows it so.
#[test]
fn a_capture_ends_where_its_trace_did() {
    let facts = capture::Facts::default().with(capture::Fact::Command, "hello");
    let mut trace = trace(&["--until=vm_protect=failed", "-e", "task_set_name"]);
    trace.keep(capture::Writer::new(64, &facts, &BYTES));
    let mut out = String::new();
    for (index, sample) in calls().iter().enumerate() {
        trace.message(&sample.clone().sequence(index as u64 + 1).wire().into(), &mut out);
    }
    trace.exited(0, &mut out);
    trace.finish(&mut out);
    let bytes = trace.capture().expect("it is kept").bytes().to_vec();
    let mut reader = capture::Reader::new(std::io::Cursor::new(bytes));
    reader.contents().expect("a capture");
    let mut again = crate::common::trace(&[]);
    let (mut replay, mut text) = (rpctrace2::replay::Replay::default(), String::new());
    while let Some(block) = reader.next_block().expect("a block") {
        replay.block(&bytes::Bytes::from(block.contents), &mut again, &mut text).expect("entries");
    }
    let found: Vec<&str> = text.lines().collect();
    let end = "rpctrace2: --until=vm_protect=failed: the trace ends here".to_owned();
    assert_eq!(found, [&lines(&[], &calls())[..3], &[end]].concat());
}

proptest! {
    /// What is printed from a call on is the end of what is printed without that option, and begins so many lines before the call's own.
    #[test]
    fn history_is_the_end_of_the_whole(
        exchanges in vec(exchange(), 1..30),
        on in prop_oneof![
            Just("vm_protect"), Just("vm_protect=failed"), Just("echo"), Just("7005=successful"), Just("mach_msg"), Just("vm_allocate=5"),
        ],
        most in 0..12_usize,
        style in prop_oneof![Just(&[][..]), Just(&["-Xraw"][..]), Just(&["-t", "-T"][..]), Just(&["-e", "vm_protect,echo"][..]), Just(&["-Z"][..]), Just(&["--direction=send"][..])],
    ) {
        let samples: Vec<Sample> = exchanges.concat();
        let print = |words: &[&str]| usual_lines(&[style, words].concat(), &samples);
        let (whole, from) = (print(&[]), print(&["--on", on]));
        prop_assert!(whole.ends_with(&from), "{:#?}\n{:#?}", whole, from);
        let words = format!("--history={most}");
        let found = print(&["--on", on, &words]);
        let mut all = trace_of(&[style, &["--on", on]].concat(), &samples);
        if all.unmatched().iter().any(|line| line.starts_with("--on")) {
            prop_assert_eq!(found, Vec::<String>::new());
        } else {
            // What stands below a line is a part of it.
            let before = whole[..whole.len() - from.len()].iter().enumerate();
            let lines = before.filter(|(_, line)| !line.starts_with(" |")).map(|(at, _)| at);
            let begin = if most == 0 { whole.len() - from.len() } else { lines.rev().nth(most - 1).unwrap_or(0) };
            prop_assert_eq!(&found[..], &whole[begin..], "{:#?}", whole);
        }
        all.finish(&mut String::new());
    }

    /// In the form in which each call has lines of its own the first line is the call's own.
    #[test]
    fn it_begins_with_the_call_that_is_waited_for(exchanges in vec(exchange(), 1..30), on in prop_oneof![Just("vm_protect"), Just("echo"), Just("vm_allocate")]) {
        let samples: Vec<Sample> = exchanges.concat();
        let (whole, from) = (lines(&[], &samples), lines(&["--on", on], &samples));
        let begins = ["", "<- ", "-> ", "<... "].map(|mark| format!("] {mark}{on}"));
        let first = whole.iter().position(|line| begins.iter().any(|begin| line.contains(begin)));
        let expected = first.map_or(&[][..], |first| &whole[first..]);
        prop_assert_eq!(&from, expected, "{:#?}", whole);
    }
}

/// A trace of these, to its last record.
fn trace_of(arguments: &[&str], samples: &[Sample]) -> rpctrace2::Trace<'static> {
    let mut trace = usual_trace(arguments);
    let mut out = String::new();
    for (index, sample) in samples.iter().enumerate() {
        sample.clone().sequence(index as u64 + 1).feed(&mut trace, &mut out);
    }
    trace.finish(&mut out);
    trace
}
