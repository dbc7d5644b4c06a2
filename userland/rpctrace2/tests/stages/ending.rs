// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks that go on untraced: the trace says so, and who asked for it.

use crate::common::*;
use exchanges::ending::Untraced;
use mach_abi::special_port::TASK_TRACE_PORT;
use trace_port::EventKind;

const SET: &str = "task_set_special_port(task: self, which_port: TASK_TRACE_PORT, special_port: MACH_PORT_NULL)";

fn set(target: u64, which: i32) -> Sample {
    Sample::sent(Message::request(7019, target).int(which).port(COPY_SEND, 0))
}

fn answered(code: i32) -> Sample {
    Sample::received(Message::reply(7119, REPLY).int(code))
}

#[test]
fn a_task_that_ends_its_own_trace_is_told() {
    let call = format!("hello[1] {SET} = KERN_SUCCESS");
    let told = "--- hello[1] is traced no longer: hello[1] set its trace port ---";
    assert_eq!(lines(&[], &[set(SELF, TASK_TRACE_PORT), answered(0)]), [call.as_str(), told]);
    // Also when the call itself is not to be shown.
    assert_eq!(lines(&["-e", "none"], &[set(SELF, TASK_TRACE_PORT), answered(0)]), [told]);
    // Not if it was refused, or another port was set.
    assert_eq!(lines(&["-e", "none"], &[set(SELF, TASK_TRACE_PORT), answered(8)]), [""; 0]);
    assert_eq!(lines(&["-e", "none"], &[set(SELF, 4), answered(0)]), [""; 0]);
}

#[test]
fn a_child_whose_trace_is_taken_over_is_told() {
    let create = [
        Sample::sent(Message::request(7003, SELF).bool(false)),
        Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 6)).knows(task(6, 41)),
    ];
    let child = Sample::sent(Message::request_from(7014, 2, 0)).task(41);
    let samples = [&create[..], &[child, set(6, TASK_TRACE_PORT).knows(task(6, 41)), answered(0)]].concat();
    let found = lines(&["-e", "none"], &samples);
    assert_eq!(found, ["--- (hello)[2] is traced no longer: hello[1] set its trace port ---"]);
}

#[test]
fn a_trace_that_another_task_ends_by_the_control_port_is_told() {
    let exchange = |code| {
        let request = Message::request(7019, SELF).int(TASK_TRACE_PORT).port(COPY_SEND, 0);
        let request = Sample::received(request).kind(EventKind::Task).thread(0).correlation(5);
        [request, Sample::sent(Message::reply(7119, 9).int(code)).kind(EventKind::Task).thread(0).correlation(5)]
    };
    let told = "--- hello[1] is traced no longer: another task set its trace port ---";
    assert_eq!(lines(&["-e", "none"], &exchange(0)), [told]);
    assert_eq!(lines(&["-e", "none"], &exchange(8)), [""; 0]);
}

/// The text of a trace in which the command has asked, and is then found to be untraced, or to have ended.
fn after(asked: bool, end: impl FnOnce(&mut rpctrace2::Trace<'_>, &mut String)) -> String {
    let mut trace = trace(&["-e", "none"]);
    let mut out = String::new();
    if asked {
        set(SELF, TASK_TRACE_PORT).sequence(1).feed(&mut trace, &mut out);
    }
    end(&mut trace, &mut out);
    trace.exited(0, &mut out);
    trace.finish(&mut out);
    out
}

#[test]
fn a_command_that_goes_on_untraced_is_told_with_what_is_known_of_why() {
    let exited = "+++ hello[1] exited with 0 +++\n";
    for (asked, now, why) in [
        (false, Untraced::Cleared, "its trace port was taken away"),
        (true, Untraced::Cleared, "its trace port was taken away, as hello[1] asked"),
        (false, Untraced::Replaced, "another trace port was set in place of ours"),
    ] {
        let found = after(asked, |trace, out| trace.untraced(now, out));
        assert_eq!(found, format!("--- hello[1] is traced no longer, and goes on: {why} ---\n{exited}"));
    }
    // What the answer has told already is not told again.
    let found = after(true, |trace, out| {
        answered(0).sequence(2).feed(trace, out);
        trace.untraced(Untraced::Cleared, out);
    });
    assert_eq!(found, format!("--- hello[1] is traced no longer: hello[1] set its trace port ---\n{exited}"));
    let found = after(true, |_, _| ());
    let told =
        "--- hello[1] may not have been traced to its end: hello[1] set its trace port, and no answer was seen ---";
    assert_eq!(found, format!("{told}\n{exited}"));
    assert_eq!(after(false, |_, _| ()), exited);
}

/// Who is traced by an engine may set its trace port as often as it likes.
#[test]
fn a_trace_by_an_engine_ends_with_the_engine() {
    let mut trace = trace(&["-e", "none"]);
    trace.keep_to_engines();
    let mut out = String::new();
    set(SELF, TASK_TRACE_PORT).sequence(1).feed(&mut trace, &mut out);
    answered(0).sequence(2).feed(&mut trace, &mut out);
    assert_eq!(out, "");
    trace.untraced(Untraced::EngineEnded, &mut out);
    trace.exited(0, &mut out);
    trace.finish(&mut out);
    let why = "its engine has ended, or has let go of it";
    let told = format!("--- hello[1] is traced no longer, and goes on: {why} ---\n+++ hello[1] exited with 0 +++\n");
    assert_eq!(out, told);
}
