// SPDX-License-Identifier: GPL-2.0-or-later
//! Rights in arrays out of line: what the kernel says of them, and how much of it.

use trace_port::{Port, port};

use crate::common::*;

const THREADS: u32 = MOVE_SEND;

fn thread(name: u32, number: u32) -> Port {
    kernel_port(name, 800 + number, port::THREAD, number)
}

/// An element that stands for nothing.
fn nothing(name: u32) -> Port {
    Port { kind: port::NOTHING, ..port(name, 0) }
}

/// A request with two arrays, of so many rights each.
fn register(counts: [u32; 2]) -> Message {
    let message = Message::request(7025, SELF);
    message.out_of_line(COPY_SEND, 32, counts[0], 0x5000).out_of_line(COPY_SEND, 32, counts[1], 0x5000)
}

#[test]
fn threads_that_did_nothing_are_known_by_who_lists_them() {
    let list = Message::reply(7124, REPLY).int(0).out_of_line(THREADS, 32, 3, 0x5000);
    let list = || Sample::received(list.clone()).elements(&[thread(20, 70), thread(21, 71), thread(22, 0)]);
    let asked = || Sample::sent(Message::request(7024, SELF));
    let of_other = Sample::sent(Message::request(7016, 30)).knows(thread(30, 71)).thread(72);
    let found = lines(&[], &[asked(), list(), of_other]);
    assert_eq!(
        found,
        [
            "hello[1] task_threads(target_task: self) = KERN_SUCCESS {thread_list: ool 0x5000[3 ports: thread-self, thread [1/2], \
             thread port 800]}",
            "hello[1/3] thread_ping(thread: thread [1/2]) = ?",
        ]
    );
    let verbose = lines(&["-v"], &[asked(), list()]);
    assert!(verbose[0].contains("[3 ports: thread-self (name 20), thread [1/2] (name 21), "), "{}", verbose[0]);
}

#[test]
fn each_array_has_its_own_elements_in_their_order() {
    let sample = Sample::sent(register([3, 2])).elements(&[nothing(0), port(9, 9), nothing(u32::MAX), nothing(33)]);
    // What stands for something elsewhere in the message is not what an element of the same name was.
    let found = lines(&[], &[sample.elements(&[task(9, 40)])]);
    assert_eq!(
        found,
        [
            "hello[1] register(task: self, first: ool 0x5000[3 ports: MACH_PORT_NULL, port 9, MACH_PORT_DEAD], second: ool \
             0x5000[2 ports: name 33, self]) = ?"
        ]
    );
}

#[test]
fn what_the_record_does_not_hold_is_counted() {
    let few: Vec<Port> = (0..40).map(|index| port(index + 50, index + 50)).collect();
    let line = |arguments: &[&str], counts, elements: &[Port]| {
        lines(arguments, &[Sample::sent(register(counts)).elements(elements)]).remove(0)
    };
    assert_eq!(
        line(&[], [1, 3], &few[..2]),
        "hello[1] register(task: self, first: ool 0x5000[1 port: port 50], second: ool 0x5000[3 ports: port 51, <2 not captured>]) = ?"
    );
    let all = line(&[], [2, 3], &few[..2]);
    assert!(all.ends_with("[2 ports: port 50, port 51], second: ool 0x5000[3 ports]) = ?"), "nothing is said: {all}");
    let long = line(&[], [40, 0], &few);
    assert!(long.contains("port 81, ...], second: ool 0x5000[0 ports]) = ?"), "{long}");
    let long = line(&[], [50, 0], &few);
    assert!(long.contains("port 81, ..., <10 not captured>], "), "{long}");
    let long = line(&["-v"], [50, 0], &few);
    assert!(long.contains("port 89 (name 89), <10 not captured>], "), "{long}");
}

/// The kernel could not write the first array to the receiver's memory; what it says is of the second.
#[test]
fn an_array_that_could_not_be_received_has_no_elements() {
    let incoming = Message::incoming(7025, 8, 9).out_of_line(MOVE_SEND, 0, 2, 0).out_of_line(MOVE_SEND, 32, 1, 0x6000);
    let found = lines(&[], &[Sample::received(incoming).elements(&[port(33, 33)])]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("ool 0x6000[1 port: port 33]"), "{}", found[0]);
}
