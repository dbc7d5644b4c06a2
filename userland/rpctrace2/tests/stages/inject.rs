// SPDX-License-Identifier: GPL-2.0-or-later
//! `--inject`: how it is written, and how lines say what was injected.

use crate::common::*;
use bytes::Bytes;
use exchanges::Injected;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};
use rpctrace2::answers::{Answer, Keys, Line};
use rpctrace2::injections::{Injections, Verdict};
use rpctrace2::options::inject::{InjectError, Injection, Instead};
use trace_port::{Direction, EventKind, Record};

fn parsed(text: &str) -> Injection {
    Injection::parse(text).expect("it is one")
}

#[test]
fn injections_are_written_as_straces_are() {
    for (text, instead) in [
        ("vm_map:error=MACH_SEND_INVALID_DEST", Instead::Failure(0x1000_0003)),
        ("vm_map:error=0x10000004", Instead::Failure(0x1000_0004)),
        ("vm_map:retval=KERN_FAILURE", Instead::Reply(5)),
        ("vm_map:retval=-303", Instead::Reply(-303)),
        ("vm_map:retval=0", Instead::Reply(0)),
        ("vm_map:delay_enter=2s", Instead::Delay(2000)),
        ("vm_map:when=3:delay=3000", Instead::Delay(3)),
    ] {
        let injection = parsed(text);
        assert_eq!((injection.instead, injection.text()), (instead, text.to_owned()));
    }
    let turns = |when: &str| {
        let when = parsed(&format!("vm_map:retval=0:when={when}")).when;
        (1..=9).filter(|count| when.has(*count)).collect::<Vec<u32>>()
    };
    assert_eq!(turns("2"), [2]);
    assert_eq!(turns("7+"), [7, 8, 9]);
    assert_eq!(turns("2+3"), [2, 5, 8]);
    assert_eq!(turns("2..4"), [2, 3, 4]);
    assert_eq!(turns("2..7+2"), [2, 4, 6]);
}

#[test]
fn injections_that_mean_nothing_are_refused() {
    let refused = |text: &str| match Injection::parse(text) {
        Ok(injection) => {
            let tables = sample_tables();
            injection.resolve(tables).and_then(|one| one.ids(tables)).expect_err("must be refused").to_string()
        }
        Err(error) => error.to_string(),
    };
    let nothing = "option `--inject`: expected SET:error=CODE, SET:retval=CODE or SET:delay_enter=TIME, found ";
    for text in ["vm_protect", ":retval=0", "vm_protect:when=2"] {
        assert_eq!(refused(text), format!("{nothing}`{text}`"));
    }
    for (text, expected) in [
        (
            "a:error=0x10000003:retval=5",
            "one of error=, retval= and delay_enter= at a time, found `a:error=0x10000003:retval=5`",
        ),
        ("a:error=KERN_FAILURE", "`error=KERN_FAILURE`: expected the name of a MACH_SEND_ code or its number, not 0"),
        ("a:error=0", "`error=0`: expected the name of a MACH_SEND_ code or its number, not 0"),
        (
            "a:retval=MACH_SEND_NO_BUFFER",
            "`retval=MACH_SEND_NO_BUFFER`: expected the name of what a routine returns, such as KERN_FAILURE, or its number",
        ),
        (
            "a:delay_enter=30",
            "`delay_enter=30`: expected whole milliseconds up to a minute, such as 20ms or 1s; a number alone is microseconds",
        ),
        ("a:retval=0:when=0", "`when=0`: expected first[..last][+[step]], counted from 1"),
        ("a:retval=0:when=4..2", "`when=4..2`: expected first[..last][+[step]], counted from 1"),
        ("a:signal=9", "`signal=9`: Mach has no signals; on the Hurd they are messages, msg_sig_post"),
        ("a:delay_exit=1s", "`delay_exit=1s`: a message is late before it is sent: delay_enter="),
        ("a:frob=1", "`frob=1`: expected error=, retval=, delay_enter= or when="),
        ("all:retval=0", "`all` names no message; expected routines, subsystems, msgh_ids, %classes"),
        ("!vm_protect:retval=0", "`!vm_protect` names no message; expected routines, subsystems, msgh_ids, %classes"),
        (
            "task_set_name:retval=0",
            "task_set_name has no reply, which retval= would make up; error= and delay_enter= can be had",
        ),
    ] {
        assert_eq!(refused(text), format!("option `--inject`: {expected}"));
    }
    assert!(matches!(parsed("vm_protcet:retval=0").ids(sample_tables()), Err(InjectError::Filter(_))));
}

#[test]
fn sets_are_routines_and_ids() {
    let tables = sample_tables();
    let ids = parsed("vm_protect,7008,99:retval=0").ids(tables).expect("a set");
    assert_eq!(ids, [99, 7001, 7008]);
}

#[test]
fn what_was_injected_is_said() {
    let all = |injections: &[(u64, Injected)], samples: &[Sample]| {
        let mut trace = trace(&[]);
        injections.iter().for_each(|(sequence, injected)| trace.inject(*sequence, *injected));
        lines_of(trace, samples)
    };
    let request = Sample::sent(Message::request(7001, SELF).int(1)).sequence(5);
    let reply = |code| Sample::received(Message::reply(7101, REPLY).int(code)).sequence(6);
    let call = "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = ";
    let answered = |injections: &[(u64, Injected)], code| all(injections, &[request.clone(), reply(code)]).concat();
    assert_eq!(answered(&[(5, Injected::Reply(5))], 5), format!("{call}KERN_FAILURE (INJECTED)"));
    assert_eq!(answered(&[(5, Injected::Delay)], 0), format!("{call}KERN_SUCCESS (DELAYED)"));
    // Another answer came, or it is another message's.
    assert_eq!(answered(&[(5, Injected::Reply(5))], 4), format!("{call}KERN_INVALID_ARGUMENT"));
    assert_eq!(answered(&[(6, Injected::Reply(5))], 5), format!("{call}KERN_FAILURE"));

    let failed = |code| {
        let mut sample = request.clone();
        sample.header.retval = u32::into(code);
        sample
    };
    let line = |code| all(&[(5, Injected::Failure(0x1000_0003))], &[failed(code)]).concat();
    assert!(line(0x1000_0003).ends_with(" = MACH_SEND_INVALID_DEST (INJECTED)"), "{}", line(0x1000_0003));
    // It was interrupted while it waited.
    assert!(line(0x1000_0007).ends_with(" = MACH_SEND_INTERRUPTED"), "{}", line(0x1000_0007));
}

/// What each of these messages of a task becomes.
#[test]
fn each_task_and_each_id_is_counted_apart() {
    let injections = ["vm_protect:retval=5:when=2", "7001,7008:error=0x10000003:when=3+"].map(parsed);
    let mut injections = Injections::of(&injections, &[], sample_tables()).expect("a set");
    assert_eq!(injections.ranges(), [(7001, 7001), (7008, 7008)]);
    let mut decide = |task: u32, id: u32, options: u32| {
        let mut sample = Sample::sent(Message::request(id, SELF).int(1)).kind(EventKind::Stopped).options(options, 0);
        sample.header.task = task.into();
        let wire = sample.wire();
        injections.decide(&Record::parse(&wire).expect("a record"))
    };
    let (both, failure) = (MACH_SEND_MSG | MACH_RCV_MSG, Verdict::Instead(Instead::Failure(0x1000_0003)));
    assert_eq!([decide(1, 7001, both), decide(2, 7001, both), decide(1, 7008, both)], [Verdict::Go; 3]);
    assert_eq!(decide(1, 7001, both), Verdict::Instead(Instead::Reply(5)));
    // Nobody waits for a reply.
    assert_eq!(decide(2, 7001, MACH_SEND_MSG), Verdict::Go);
    assert_eq!([decide(1, 7001, both), decide(1, 7001, both)], [failure; 2]);
    assert_eq!(
        [decide(1, 7008, both), decide(1, 7008, both), decide(1, 7002, both)],
        [Verdict::Go, failure, Verdict::Go]
    );
}

/// The user is asked about messages of a set, unless something is injected, until there is nobody to answer.
#[test]
fn the_user_is_asked_about_messages_of_a_set() {
    let injections = ["vm_protect:retval=5:when=2"].map(parsed);
    let mut injections = Injections::of(&injections, &["vm_protect".into()], sample_tables()).expect("sets");
    assert_eq!(injections.ranges(), [(7001, 7001)]);
    let decide = |injections: &mut Injections| {
        let options = MACH_SEND_MSG | MACH_RCV_MSG;
        let sample = Sample::sent(Message::request(7001, SELF).int(1)).kind(EventKind::Stopped).options(options, 0);
        let wire = sample.wire();
        injections.decide(&Record::parse(&wire).expect("a record"))
    };
    let verdicts = [decide(&mut injections), decide(&mut injections), decide(&mut injections)];
    assert_eq!(verdicts, [Verdict::Ask, Verdict::Instead(Instead::Reply(5)), Verdict::Ask]);
    assert_eq!((injections.ask_no_more(), injections.ask_no_more()), (true, false));
    assert_eq!(decide(&mut injections), Verdict::Go);
    let refused = Injections::of(&[], &["!vm_protect".into()], sample_tables()).expect_err("no set");
    assert_eq!(
        refused.to_string(),
        "option `--stop-at`: `!vm_protect` names no message; expected routines, subsystems, msgh_ids, %classes"
    );
}

/// Keys become lines, wherever they are cut, and a line an answer or one clear word.
#[test]
fn what_is_typed_becomes_an_answer() {
    let (mut keys, mut echo, mut lines) = (Keys::default(), Vec::new(), Vec::new());
    for typed in [&b"g"[..], b"o\rsh", b"ox\x7fw\n\n\x03abc", b"", b""] {
        keys.typed(typed);
        lines.extend(std::iter::from_fn(|| keys.line(&mut echo)));
    }
    let text = |text: &str| Line::Text(text.into());
    assert_eq!(lines, [text("go"), text("show"), text(""), Line::Interrupt, text("abc"), Line::End, Line::End]);
    assert_eq!(echo, b"go\nshox\x08 \x08w\n\n^C\nabc\n\n\n");

    // Arrows and the like are no text, wherever they are cut, and what is no whole one takes no line with it.
    let (mut echo, mut lines) = (Vec::new(), Vec::new());
    for typed in [&b"s\x1b[Ah\x1b"[..], b"OHo\x1b[1;5", b"Cw\x1b[3~\n", b"g\x1bxo\x1b[\n"] {
        keys.typed(typed);
        lines.extend(std::iter::from_fn(|| keys.line(&mut echo)));
    }
    assert_eq!(lines, [text("show"), text("go")]);
    assert_eq!(echo, b"show\ngo\n");

    let answer = |line: &str| Answer::parse(line, sample_tables());
    for (line, expected) in [
        ("", Answer::Nothing),
        (" show ", Answer::Show),
        ("r", Answer::Registers),
        ("reg", Answer::Registers),
        ("g", Answer::Go),
        ("q", Answer::Quit),
        ("help", Answer::Help),
        ("fail MACH_SEND_NO_BUFFER", Answer::Fail(Instead::Failure(0x1000_000d))),
        ("f 0x10000003", Answer::Fail(Instead::Failure(0x1000_0003))),
        ("fail KERN_NO_ACCESS", Answer::Fail(Instead::Reply(8))),
        ("fail 0", Answer::Fail(Instead::Reply(0))),
        ("fail -303", Answer::Fail(Instead::Reply(-303))),
    ] {
        assert_eq!(answer(line), Ok(expected), "{line}");
    }
    for (line, said) in [
        ("sohw", "expected show, registers, go, fail CODE, quit or help, found `sohw`; did you mean `show`?"),
        ("gone", "expected show, registers, go, fail CODE, quit or help, found `gone`"),
        ("go now", "`go`: found `now` besides"),
        ("fail", "`fail CODE`: expected a name, "),
        ("fail KERN_NONSENSE", "`fail KERN_NONSENSE`: expected a name, "),
        ("fail 1 2", "`fail CODE`: found `2` besides"),
    ] {
        let refused = answer(line).expect_err(line);
        assert!(refused.starts_with(said), "{refused}");
    }
    assert_eq!(Answer::help().lines().count(), 6);
}

/// The line of a message that waits is that of the message, and nothing of it is kept.
#[test]
fn a_message_that_waits_has_its_line_beforehand() {
    let first = Sample::sent(Message::request(7008, SELF).int(1)).sequence(1);
    let request = Sample::sent(Message::request(7001, SELF).int(1)).sequence(2);
    let waits = Bytes::from(request.clone().kind(EventKind::Stopped).wire());
    let mut of_it = trace(&[]);
    first.feed(&mut of_it, &mut String::new());
    let record = Record::parse(&waits).expect("a record");
    let before = of_it.preview(&record, &waits, false);
    assert_eq!(before, of_it.preview(&record, &waits, false));
    let after = lines_of(trace(&[]), &[first, request]);
    let called = before.trim_end();
    assert!(called.starts_with("hello[1] vm_protect(") && called.ends_with(')'), "{before}");
    assert!(after.iter().any(|line| line.starts_with(called)), "{before}: {after:?}");
    assert!(of_it.preview(&record, &waits, true).lines().count() > 1);
}

/// The record that says that a message waits is no line, and the message's own, which has the same number, comes when it does.
#[test]
fn a_late_message_has_its_line_when_it_is_sent() {
    let request = Sample::sent(Message::request(7001, SELF).int(1)).sequence(1);
    let waits = request.clone().kind(EventKind::Stopped);
    let between = Sample::failed(Direction::Receive, 0x1000_4003).on(9).sequence(2);
    let reply = Sample::received(Message::reply(7101, REPLY).int(0)).sequence(3);
    let mut trace = trace(&[]);
    trace.inject(1, Injected::Delay);
    assert_eq!(
        lines_of(trace, &[waits, between, request, reply]),
        [
            "hello[1] mach_msg(receive, port 9) = MACH_RCV_TIMED_OUT",
            "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = KERN_SUCCESS (DELAYED)",
        ]
    );
}
