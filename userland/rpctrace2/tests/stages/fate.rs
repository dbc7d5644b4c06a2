// SPDX-License-Identifier: GPL-2.0-or-later
//! The ends of tasks: what each line says, and that it says no more than is known.

use rpctrace2::Trace;
use trace_port::{Direction, EventKind};

use crate::common::*;

/// Feeds a trace these records, then lets the caller tell it what else is known, and ends it.
fn after(samples: &[Sample], end: impl FnOnce(&mut Trace<'_>, &mut String)) -> Vec<String> {
    let mut trace = trace(&["-e", "none"]);
    let mut out = String::new();
    for (index, sample) in samples.iter().enumerate() {
        sample.clone().sequence(index as u64 + 1).feed(&mut trace, &mut out);
    }
    end(&mut trace, &mut out);
    trace.finish(&mut out);
    out.lines().map(String::from).collect()
}

/// The command makes task 41 and gets the right 6 to it.
fn child() -> Vec<Sample> {
    let answer = Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 6);
    vec![Sample::sent(Message::request(7003, SELF).bool(true)), Sample::received(answer).knows(task(6, 41))]
}

fn terminate(target: u64) -> Sample {
    Sample::sent(Message::request(7021, target)).knows(task(6, 41))
}

fn raised(task: u32, exception: i32, code: i32, subcode: u64) -> Sample {
    let message = Message::request(7023, 9).int(exception).int(code).long(subcode);
    Sample::sent(message).kind(EventKind::TaskException).task(task).correlation(77)
}

fn answered(task: u32, code: i32) -> Sample {
    Sample::received(Message::reply(7123, 9).int(code)).kind(EventKind::TaskException).task(task).correlation(77)
}

/// Somebody asks the kernel for the registers of the thread of a task.
fn asked_where(task: u32, rip: u64) -> [Sample; 2] {
    let mut registers = [0; 21];
    registers[16] = rip;
    let words: Vec<i32> = registers.iter().flat_map(|word| [*word as i32, (*word >> 32) as i32]).collect();
    let kind = |sample: Sample| sample.kind(EventKind::Thread).task(task).correlation(78);
    [
        kind(Sample::received(Message::request(7022, 9).int(1))),
        kind(Sample::sent(Message::reply(7122, 9).int(0).ints(&words))),
    ]
}

#[test]
fn a_task_whose_status_is_not_known_has_just_ended() {
    let works = Sample::sent(Message::request_from(7014, 2, 0)).task(41);
    let found = after(&[child(), vec![works]].concat(), |trace, out| {
        trace.ended(41, out);
        // Of a number that was never seen nothing is known, and nobody ends twice.
        trace.ended(99, out);
        trace.ended(41, out);
        trace.exited(0, out);
    });
    assert_eq!(found, ["+++ (hello)[2] ended +++", "+++ hello[1] exited with 0 +++"]);
}

#[test]
fn a_status_is_what_the_task_told_its_bootstrap_port() {
    let bootstrap = [
        Sample::sent(Message::request(7012, SELF).int(4)).task(41),
        Sample::received(Message::reply(7112, REPLY).int(0).port(MOVE_SEND, 5)).task(41),
    ];
    let exit = |port| Sample::sent(Message::request_from(7020, port, 0).int(3)).task(41);
    let ends = |samples: &[Sample]| after(&[&child(), samples].concat(), |trace, out| trace.ended(41, out));
    assert_eq!(ends(&[&bootstrap[..], &[exit(5)]].concat()), ["+++ (hello)[2] exited with 3 +++"]);
    // A message of the same id to another port is not that.
    assert_eq!(ends(&[&bootstrap[..], &[exit(6)]].concat()), ["+++ (hello)[2] ended +++"]);
    assert_eq!(ends(&[exit(5)]), ["+++ (hello)[2] ended +++"]);
}

#[test]
fn an_exception_that_nobody_took_care_of_is_what_killed_the_task() {
    let killed = |samples: &[Sample]| after(samples, |trace, out| trace.exited(129, out)).concat();
    let access = || raised(40, 1, 2, 0x1000);
    let with = |how: &str| format!("+++ hello[1] killed by {how} +++");
    assert_eq!(killed(&[access()]), with("EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x1000)"));
    let place = [&[access()][..], &asked_where(40, 0x40_10d3)].concat();
    assert_eq!(killed(&place), with("EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x1000, rip 0x4010d3)"));
    assert_eq!(killed(&[raised(40, 2, 13, 0)]), with("EXC_BAD_INSTRUCTION (EXC_I386_GPFLT)"));
    assert_eq!(killed(&[raised(40, 2, 12, 0x18)]), with("EXC_BAD_INSTRUCTION (EXC_I386_STKFLT, subcode 0x18)"));
    assert_eq!(killed(&[raised(40, 5, 99, 0)]), with("EXC_SOFTWARE (99)"));
    // That it was refused does not save the task.
    assert_eq!(killed(&[access(), answered(40, 5)]), with("EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x1000)"));
    // The registers of another thread are not where this one was.
    let [ask, answer] = asked_where(41, 5);
    assert_eq!(killed(&[access(), ask, answer]), with("EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x1000)"));
}

#[test]
fn an_exception_that_the_task_survived_did_not_kill_it() {
    let exited = |samples: &[Sample]| after(samples, |trace, out| trace.exited(3, out));
    let told = ["+++ hello[1] exited with 3 +++"];
    assert_eq!(exited(&[raised(40, 1, 1, 0), answered(40, 0)]), told);
    // The thread does something afterwards, whatever became of the answer.
    assert_eq!(exited(&[raised(40, 1, 1, 0), Sample::sent(Message::request_from(7014, 2, 0)).task(40)]), told);
    // Another thread ends the task while one waits.
    assert_eq!(exited(&[raised(40, 1, 1, 0), terminate(SELF).thread(9)]), told);
}

#[test]
fn a_task_that_another_ends_has_ended_also_if_it_never_did_anything() {
    let answer = |code| Sample::received(Message::reply(7121, REPLY).int(code));
    let found = after(&[child(), vec![terminate(6), answer(0)]].concat(), |trace, out| trace.ended(41, out));
    assert_eq!(found, ["+++ (hello)[2] ended +++"]);
    assert_eq!(after(&[child(), vec![terminate(6), answer(5)]].concat(), |_, _| ()), [""; 0]);
}

#[test]
fn what_a_task_leaves_open_at_its_end_has_no_answer() {
    let mut trace = trace(&[]);
    let mut out = String::new();
    let echo = |task| Sample::sent(Message::request(7008, 7).int(1)).task(task);
    echo(40).sequence(1).feed(&mut trace, &mut out);
    echo(41).sequence(2).feed(&mut trace, &mut out);
    trace.ended(41, &mut out);
    // Another of the same name is not the answer to it.
    Sample::received(Message::reply(7108, REPLY).int(0).int(2)).task(41).sequence(3).feed(&mut trace, &mut out);
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        [
            "hello[1] echo(port: port 7, value: 1) <unfinished ...>",
            "[2] echo(port: port 41007, value: 1) = ?",
            "+++ [2] ended +++",
            "[2] <... echo resumed> = KERN_SUCCESS {answer: 2}"
        ]
    );
}

#[test]
fn an_end_is_told_after_the_records_that_come_late() {
    let mut trace = trace(&["-e", "none"]);
    let mut out = String::new();
    let ping = || Sample::sent(Message::request_from(7014, 2, 0));
    for sequence in [1, 3] {
        ping().task(39 + sequence as u32).sequence(sequence).feed(&mut trace, &mut out);
    }
    trace.ended(42, &mut out);
    assert_eq!(out, "");
    ping().sequence(2).feed(&mut trace, &mut out);
    assert_eq!(out, "+++ [2] ended +++\n");
}

#[test]
fn what_is_counted_of_a_task_is_so_if_its_end_is_known_before_its_records_come() {
    let mut trace = usual_trace(&["-c"]);
    let mut out = String::new();
    let of = |sample: Sample, sequence: u64| sample.task(41).sequence(sequence).time(1_000_000 * sequence);
    let echo = |sequence| of(Sample::sent(Message::request(7008, 7).int(1)), sequence);
    let answer = |sequence| of(Sample::received(Message::reply(7108, REPLY).int(0).int(2)), sequence);
    for sample in [echo(1), answer(2), echo(3), answer(6)] {
        sample.feed(&mut trace, &mut out);
    }
    trace.ended(41, &mut out);
    for sample in [answer(4), echo(5)] {
        sample.feed(&mut trace, &mut out);
    }
    trace.finish(&mut out);
    let row = out.lines().find(|line| line.ends_with(" echo"));
    assert_eq!(row, Some("100.00    0.003000        1000         3           echo"), "{out}");
}

#[test]
fn what_a_task_lost_last_is_told_before_its_end() {
    let lost = Sample::failed(Direction::Send, 0).kind(EventKind::Lost).thread(0).dropped(3);
    let mut trace = trace(&["-e", "none"]);
    let mut out = String::new();
    Sample::sent(Message::request_from(7014, 2, 0)).sequence(1).feed(&mut trace, &mut out);
    // The news of the end may come before it, and with it a record of an earlier event.
    lost.sequence(6).feed(&mut trace, &mut out);
    trace.ended(40, &mut out);
    assert_eq!(out, "", "a record may still come");
    Sample::sent(Message::request_from(7021, SELF, 0)).sequence(5).feed(&mut trace, &mut out);
    trace.exited(0, &mut out);
    assert_eq!(out, "--- 3 records lost ---\n+++ hello[1] exited with 0 +++\n");
}

#[test]
fn a_quiet_trace_says_nothing_of_ends() {
    let mut trace = trace(&["-q"]);
    let mut out = String::new();
    Sample::sent(Message::request_from(7014, 2, 0)).sequence(1).feed(&mut trace, &mut out);
    trace.exited(0, &mut out);
    assert_eq!(out, "hello[1] host_ping(host: host) = MACH_MSG_SUCCESS\n");
}

#[test]
fn tasks_that_are_left_are_told_but_not_those_that_ended_or_are_not_traced() {
    let found = after(&child(), |trace, out| {
        trace.exited(3, out);
        trace.left(out);
    });
    let left = "--- traced tasks are left, the end was not seen of (hello)[2] ---";
    assert_eq!(found, ["+++ hello[1] exited with 3 +++", left]);
    let found = after(&child(), |trace, out| {
        trace.exited(3, out);
        trace.ended(41, out);
        trace.left(out);
    });
    assert_eq!(found[2..], ["--- traced tasks are left ---"]);
}

#[test]
fn a_task_has_the_name_that_somebody_outside_the_trace_gave_it() {
    let named = Message::request_from(7002, SELF, 0).string("lost");
    let named = Sample::received(named).kind(EventKind::Task).task(41).thread(0);
    let found = after(&[child(), vec![named]].concat(), |trace, out| trace.ended(41, out));
    assert_eq!(found, ["+++ lost[2] ended +++"]);
}
