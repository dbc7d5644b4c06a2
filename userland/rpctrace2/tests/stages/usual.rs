// SPDX-License-Identifier: GPL-2.0-or-later
//! The form in which users see a trace: without the caller's own port and the name of success, and runs of bookkeeping in a line.

use crate::common::*;
use mach_abi::code::mr::MACH_RCV_TIMED_OUT;
use proptest::collection::vec;
use proptest::prelude::*;
use trace_port::Direction;

fn deallocate(name: u32, code: i32) -> [Sample; 2] {
    let request = Message::request(7005, SELF).name(name);
    [Sample::sent(request).knows(port(name, 100 + name)), Sample::received(Message::reply(7105, REPLY).int(code))]
}

fn protect() -> [Sample; 2] {
    [Sample::sent(Message::request(7001, SELF).int(1)), Sample::received(Message::reply(7101, REPLY).int(0))]
}

#[test]
fn the_raw_form_repeats_what_is_usually_left_out() {
    let name = Sample::sent(Message::request_from(7002, SELF, 0).string("hello"));
    let thread =
        Sample::sent(Message::request_from(7016, 7, 0)).knows(kernel_port(7, 70, trace_port::port::THREAD, 70));
    let calls = [&protect()[..], &[name, thread], &deallocate(9, 0), &deallocate(10, 0)].concat();
    assert_eq!(
        usual_lines(&[], &calls),
        [
            "hello[1] vm_protect(new_protection: VM_PROT_READ) = 0",
            "hello[1] task_set_name(name: \"hello\") = sent",
            "hello[1] thread_ping() = sent",
            "hello[1] mach_port_deallocate(name: port 109), (name: port 110) = 0",
        ]
    );
    let raw = [
        "hello[1] vm_protect(task: self, new_protection: VM_PROT_READ) = KERN_SUCCESS",
        "hello[1] task_set_name(task: self, name: \"hello\") = MACH_MSG_SUCCESS",
        "hello[1] thread_ping(thread: thread-self) = MACH_MSG_SUCCESS",
        "hello[1] mach_port_deallocate(task: self, name: port 109) = KERN_SUCCESS",
        "hello[1] mach_port_deallocate(task: self, name: port 110) = KERN_SUCCESS",
    ];
    assert_eq!(usual_lines(&["-Xraw"], &calls), raw);
    assert_eq!(usual_lines(&["--form", "raw", "-X", "abbrev"], &calls), usual_lines(&[], &calls));
    let own = |line: &str| line.split(" (name ").next().unwrap_or_default().to_owned();
    let verbose = usual_lines(&["-v"], &calls);
    assert!(verbose.iter().zip(raw).all(|(line, raw)| raw.starts_with(&own(line))), "{verbose:?}");
}

#[test]
fn a_line_has_one_task_one_routine_and_no_failure() {
    let other = deallocate(9, 0).map(|sample| sample.task(2).thread(2));
    let calls = [deallocate(9, 0), deallocate(9, 15), deallocate(9, 0), other, protect(), deallocate(9, 0)].concat();
    let found = usual_lines(&[], &calls);
    assert_eq!(
        found,
        [
            "hello[1] mach_port_deallocate(name: port 109) = 0",
            "hello[1] mach_port_deallocate(name: port 109) = KERN_INVALID_NAME",
            "hello[1] mach_port_deallocate(name: port 109) = 0",
            "[2] mach_port_deallocate(name: port 109) = 0",
            "hello[1] vm_protect(new_protection: VM_PROT_READ) = 0",
            "hello[1] mach_port_deallocate(name: port 109) = 0",
        ]
    );
}

/// What has a time of its own is a line of its own, and so is what has its bytes below it.
#[test]
fn times_durations_and_bytes_are_each_calls_own() {
    let calls = [deallocate(9, 0), deallocate(9, 0)].concat();
    assert_eq!(usual_lines(&[], &calls).len(), 1);
    for option in ["-t", "-r", "-T", "--dump-messages"] {
        let found = usual_lines(&[option], &calls);
        let count = found.iter().filter(|line| line.contains("mach_port_deallocate")).count();
        assert_eq!(count, 2, "{option}: {found:?}");
    }
}

#[test]
fn a_line_does_not_grow_without_end_nor_wait_for_ever() {
    let calls: Vec<Sample> = (0..100).flat_map(|_| deallocate(9, 0)).collect();
    let found = usual_lines(&[], &calls);
    assert!(found.len() > 5 && found.iter().all(|line| line.len() < 200), "{found:?}");
    assert_eq!(found.iter().map(|line| line.matches("(name: port 109)").count()).sum::<usize>(), 100);

    let mut trace = usual_trace(&[]);
    let mut out = String::new();
    for sample in &calls[..2] {
        sample.clone().sequence(sample.header.sequence.get().max(1)).feed(&mut trace, &mut out);
    }
    assert!(trace.is_waiting() && out.is_empty(), "{out:?}");
    trace.idle(&mut out);
    assert_eq!(out, "hello[1] mach_port_deallocate(name: port 109) = 0\n");
    assert!(!trace.is_waiting());
}

/// What a raw line says, in the usual form.
fn usual(raw: &str) -> String {
    raw.replace("task: self, ", "").replace("= KERN_SUCCESS", "= 0").replace("= MACH_MSG_SUCCESS", "= sent")
}

/// Each call of a folded line by itself.
fn unfolded(line: &str) -> Vec<String> {
    let Some((start, arguments)) = line.strip_suffix(" = 0").and_then(|call| call.split_once('(')) else {
        return vec![line.to_owned()];
    };
    arguments.split(", (").map(|each| format!("{start}({} = 0", each)).collect()
}

proptest! {
    #[test]
    fn the_usual_form_says_what_the_raw_one_says(calls in vec((0..6_u8, 5..8_u32), 1..40)) {
        let samples: Vec<Sample> = calls.iter().flat_map(|(kind, name)| match kind {
            0..=2 => deallocate(*name, 0).to_vec(),
            3 => deallocate(*name, 15).to_vec(),
            4 => protect().to_vec(),
            _ => {
                // A thread of the task comes between request and reply.
                let between = Sample::failed(Direction::Receive, MACH_RCV_TIMED_OUT).on(9).thread(2);
                let [request, reply] = deallocate(*name, 0);
                vec![request, between, reply]
            }
        }).collect();
        let raw: Vec<String> = lines(&[], &samples).iter().map(|line| usual(line)).collect();
        let found: Vec<String> = usual_lines(&[], &samples).iter().flat_map(|line| unfolded(line)).collect();
        prop_assert_eq!(found, raw);
    }
}
