// SPDX-License-Identifier: GPL-2.0-or-later
//! What others ask the kernel about a task before it does anything itself: one line, of which nothing that failed is a part.

use std::slice::from_ref;

use mach_abi::code::mr::MACH_RCV_INTERRUPTED;
use mach_abi::type_name;
use trace_port::record::PORT_NUMBER;
use trace_port::{Direction, EventKind};

use crate::common::*;
use crate::hurd::{asks, string, told, usual, wrote};

/// Somebody asks the kernel something about a task, and is answered.
fn about(task: u32, number: u64, request: Message, answer: Message) -> Vec<Sample> {
    let of = |sample: Sample| sample.task(task).thread(0).kind(EventKind::Task).correlation(number);
    vec![of(Sample::received(request)), of(Sample::sent(answer))]
}

fn protects(task: u32, number: u64, code: i32) -> Vec<Sample> {
    about(task, number, Message::request(7001, SELF).int(1), Message::reply(7101, REPLY).int(code))
}

/// What exec does with a task that has nothing yet.
fn load(task: u32) -> Vec<Sample> {
    let name = Message::request_from(7002, SELF, 0).string("cat(12)");
    let name = Sample::received(name).task(task).thread(0).kind(EventKind::Task);
    let thread = Message::reply(7127, REPLY).int(0).port(MOVE_SEND, u64::from(PORT_NUMBER | 90));
    let thread = about(task, 8, Message::request(7027, SELF), thread);
    [protects(task, 7, 0), vec![name], thread, protects(task, 9, 0)].concat()
}

#[test]
fn what_exec_asks_about_a_task_is_one_line() {
    let samples = [&load(40)[..], &usual()].concat();
    let found = told(&[], &samples);
    assert_eq!(
        found[0],
        "cat(12)[1] (task) <- exec: 4 RPCs of other tasks, none of its own between: vm_protect 2, task_set_name, thread_create"
    );
    assert!(found[1].starts_with("cat(12)[1] exec_startup_get_info("), "{found:?}");
    // Where nothing is left out, all of it is there, and where each has its own time.
    for option in ["-v", "-Xraw", "-t", "-T", "--dump-messages"] {
        let lines = told(&[option], &samples);
        assert_eq!(lines.iter().filter(|line| line.contains("(task)")).count(), 7, "{option}: {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("RPCs of")), "{option}: {lines:?}");
    }
    // Without a name and a thread it is not known that it is exec.
    let found = told(&[], &[protects(40, 7, 0), vec![wrote(5)]].concat());
    assert_eq!(found[0], "hello[1] (task) <- 1 RPC of another task, none of its own between: vm_protect");
    // What is asked later is shown: the task runs.
    let found = told(&[], &[vec![wrote(5)], protects(40, 7, 0)].concat());
    assert_eq!(
        found[1..],
        ["hello[1] (task) <- vm_protect(new_protection: VM_PROT_READ)", "hello[1] (task) -> vm_protect reply = 0"]
    );
}

#[test]
fn what_fails_while_a_program_is_loaded_is_shown() {
    let found = told(&[], &[protects(40, 5, 0), protects(40, 6, 3), load(40), vec![wrote(5)]].concat());
    assert_eq!(
        found[..4],
        [
            "hello[1] (task) <- 1 RPC of another task, none of its own between: vm_protect",
            "hello[1] (task) <- vm_protect(new_protection: VM_PROT_READ)",
            "hello[1] (task) -> vm_protect reply = KERN_NO_SPACE",
            "cat(12)[1] (task) <- exec: 4 RPCs of other tasks, none of its own between: vm_protect 2, task_set_name, thread_create",
        ]
    );
    // What nobody answers, too.
    let open = protects(40, 5, 0).swap_remove(0);
    let found = told(&[], &[load(40), vec![open]].concat());
    assert_eq!(found.last().map(String::as_str), Some("cat(12)[1] (task) <- vm_protect(new_protection: VM_PROT_READ)"));
    // Nobody waits for ever for what has not begun.
    let found = told(&[], &load(40));
    assert!(found.len() == 1 && found[0].contains("exec: 4 RPCs"), "{found:?}");
    // Only what fails, only what succeeds.
    let samples = [protects(40, 5, 0), protects(40, 6, 3), vec![wrote(5)]].concat();
    assert_eq!(told(&["-Z"], &samples).len(), 2);
    assert_eq!(
        told(&["-z"], &samples)[0],
        "hello[1] (task) <- 1 RPC of another task, none of its own between: vm_protect"
    );
}

#[test]
fn a_task_that_becomes_another_program_is_loaded_again() {
    let strings = string(string(asks(20034, 14).port(COPY_SEND, SELF).int(0), "/bin/cat"), "/bin/cat");
    let request = [&[5, 5, 5][..], &[9, 9]].iter().fold(strings.chars(b"cat\0").chars(b""), |message, names| {
        let data: Vec<u8> = names.iter().flat_map(|name: &u64| name.to_le_bytes()).collect();
        message.item(COPY_SEND, 64, names.len(), &data)
    });
    let request = request.ints(&[0, 0, 0, 0, 0]);
    let names = |message: Message| message.item(type_name::PORT_NAME, 32, 0, &[]);
    let exec = Sample::sent(names(names(request)));
    // Who ends the old threads ends what they wait for.
    let ended = Sample::failed(Direction::Receive, MACH_RCV_INTERRUPTED).on(4);
    let interrupted = [protects(40, 6, 0), vec![ended], load(40)].concat();
    let found = told(&[], &[&usual()[..], from_ref(&exec), &interrupted, &[wrote(5).thread(71)]].concat());
    assert!(found[1].starts_with("hello[1] file_exec_paths(exec_file: port 14, exec_task: self, "), "{found:?}");
    assert!(found[1].ends_with("<unfinished ...>"), "{found:?}");
    assert_eq!(found[2], "hello[1] mach_msg(receive, reply port) = MACH_RCV_INTERRUPTED");
    assert!(
        found[3].contains(
            "exec: 5 RPCs of other tasks, none of its own between: vm_protect 3, task_set_name, thread_create"
        )
    );
    assert!(found[4].contains("io_write("), "{found:?}");
    // The request is not answered, which nobody waits for once the new program has started.
    let started = usual().map(|sample| sample.thread(71));
    let samples = [&usual()[..], from_ref(&exec), &load(40), &started, &[wrote(5).thread(71)]].concat();
    let found = told(&["-e", "file_exec_paths"], &samples);
    assert!(found.len() == 1 && found[0].ends_with(" = ?"), "{found:?}");
    // One that could not be loaded goes on as it was.
    let failed = Sample::received(Message::reply(20134, REPLY).int(0x4000_0008));
    let found = told(&[], &[&usual()[..], &[exec, failed], &protects(40, 6, 0)].concat());
    assert!(found[1].ends_with(" = ENOEXEC") && found[2].contains("(task) <- vm_protect("), "{found:?}");
}
