// SPDX-License-Identifier: GPL-2.0-or-later
//! Records in, names out: what ports, tasks and threads are called.

use crate::common::*;
use crate::lines::vm_allocate;
use trace_port::record::PORT_NUMBER;
use trace_port::{EventKind, port};

#[test]
fn ports_are_called_what_they_are() {
    let thread = || kernel_port(5, 5, port::THREAD, 70);
    let master = kernel_port(9, 9, port::MASTER_DEVICE, 0);
    let device = || kernel_port(10, 10, port::DEVICE, 0);
    let found = lines(
        &[],
        &[
            Sample::sent(Message::request(7014, 2)),
            Sample::received(Message::reply(7114, REPLY).int(0)),
            Sample::sent(Message::request(7016, 5)).knows(thread()),
            Sample::received(Message::reply(7116, REPLY).int(0)),
            Sample::sent(Message::request(7012, SELF).int(4)),
            Sample::received(Message::reply(7112, REPLY).int(0).port(MOVE_SEND, 6)),
            Sample::sent(Message::request(7006, 9).int(1).string("console")).knows(master),
            Sample::received(Message::reply(7106, REPLY).int(0).port(MOVE_SEND, 10)).knows(device()),
            Sample::sent(Message::request(7007, 10).chars(b"hi")).knows(device()),
            Sample::received(Message::reply(7107, REPLY).int(0).int(2)),
            Sample::sent(Message::request(7004, SELF).int(3)),
            Sample::received(Message::reply(7104, REPLY).int(0).name(11)).knows(kernel_port(11, 0, port::PORT_SET, 0)),
            Sample::sent(Message::request(7005, SELF).name(10)).knows(device()),
            Sample::received(Message::reply(7105, REPLY).int(0)),
            // The name was given up and comes back as another port.
            Sample::sent(Message::request(7004, SELF).int(1)),
            Sample::received(Message::reply(7104, REPLY).int(0).name(10)).knows(port(10, 200)),
            Sample::sent(Message::request(7004, SELF).int(1)),
            Sample::received(Message::reply(7104, REPLY).int(0).name(14)),
            Sample::sent(Message::request(7013, 6).chars(b"ping\0-c\0")),
            Sample::received(Message::reply(7113, REPLY).int(0).port(MOVE_SEND, 12)),
            Sample::sent(Message::request(7003, SELF).bool(true)),
            Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 13)).knows(task(13, 41)),
            // What the child will call it is nothing in this task.
            Sample::sent(Message::request(7015, 13).name(3).port(COPY_SEND, 6)).knows(task(13, 41)),
            Sample::received(Message::reply(7115, REPLY).int(0)),
            Sample::sent(Message::request(7014, 3)).task(41).knows(port(3, 6)),
            Sample::sent(Message::request(7014, 8)).task(41).knows(port(8, 200)),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] host_ping(host: host) = KERN_SUCCESS",
            "hello[1] thread_ping(thread: thread-self) = KERN_SUCCESS",
            "hello[1] task_get_special_port(task: self, which_port: TASK_BOOTSTRAP_PORT) = KERN_SUCCESS {special_port: bootstrap}",
            "hello[1] device_open(master_port: device-master, mode: 1, name: \"console\") = KERN_SUCCESS {device: device \"console\"}",
            "hello[1] device_write_inband(device: device \"console\", data: \"hi\") = KERN_SUCCESS {bytes_written: 2}",
            "hello[1] mach_port_allocate(task: self, right: MACH_PORT_RIGHT_PORT_SET) = KERN_SUCCESS {name: port set 11}",
            "hello[1] mach_port_deallocate(task: self, name: device \"console\") = KERN_SUCCESS",
            "hello[1] mach_port_allocate(task: self, right: MACH_PORT_RIGHT_RECEIVE) = KERN_SUCCESS {name: port made by hello[1]}",
            "hello[1] mach_port_allocate(task: self, right: MACH_PORT_RIGHT_RECEIVE) = KERN_SUCCESS {name: port 2 made by hello[1]}",
            "hello[1] boot_spawn(bootstrap: bootstrap, arguments: \"ping\\0-c\\0\") = KERN_SUCCESS {task: task \"ping\"}",
            "hello[1] task_create(target_task: self, inherit_memory: true) = KERN_SUCCESS {child_task: task (hello)[2]}",
            "hello[1] mach_port_insert_right(task: task (hello)[2], name: 3, poly: bootstrap) = KERN_SUCCESS",
            "(hello)[2] host_ping(host: bootstrap) <unfinished ...>",
            "(hello)[2] host_ping(host: port made by hello[1]) = ?",
        ]
    );
}

#[test]
fn a_child_heard_of_before_its_creation_is_the_same_task() {
    let found = lines(
        &[],
        &[
            Sample::sent(Message::request(7003, SELF).bool(true)),
            Sample::sent(Message::request_from(7014, 2, 0)).task(41),
            Sample::sent(Message::request_from(7002, SELF, 0).string("early")).task(41),
            Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 12)).knows(task(12, 41)),
            Sample::sent(Message::request_from(7014, 2, 0)).task(41),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] task_create(target_task: self, inherit_memory: true) <unfinished ...>",
            "[2] host_ping(host: host) = MACH_MSG_SUCCESS",
            "[2] task_set_name(task: self, name: \"early\") = MACH_MSG_SUCCESS",
            "hello[1] <... task_create resumed> = KERN_SUCCESS {child_task: task early[2]}",
            "early[2] host_ping(host: host) = MACH_MSG_SUCCESS",
        ]
    );
}

#[test]
fn children_are_told_apart_by_the_order_of_their_creation() {
    let create = || Sample::sent(Message::request(7003, SELF).bool(false));
    let created = |name, number| {
        Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, name)).knows(task(name as u32, number))
    };
    let rename = |name, number, text: &str| {
        Sample::sent(Message::request_from(7002, name, 0).string(text)).knows(task(name as u32, number))
    };
    let found = lines(
        &["-e", "trace=vm_allocate"],
        &[
            create(),
            created(6, 41),
            create(),
            created(7, 42),
            rename(6, 41, "first"),
            rename(7, 42, "second"),
            Sample::sent(vm_allocate()).task(42),
            Sample::sent(vm_allocate()).task(41),
        ],
    );
    assert_eq!(
        found,
        [
            "second[3] vm_allocate(task: self, address: 0x0, size: 4096, anywhere: true) <unfinished ...>",
            "first[2] vm_allocate(task: self, address: 0x0, size: 4096, anywhere: true) = ?",
        ]
    );
}

#[test]
fn threads_are_called_as_their_lines_begin() {
    let ping = |thread| {
        let asked = kernel_port(5, 50, port::THREAD, 71);
        Sample::sent(Message::request_from(7016, 5, 0)).thread(thread).knows(asked)
    };
    // A thread of a task outside the trace has no number in it.
    let other = Sample::sent(Message::request_from(7016, 6, 0)).thread(71).knows(kernel_port(6, 60, port::THREAD, 0));
    let found = lines(&[], &[ping(71), ping(72), other]);
    assert_eq!(
        found,
        [
            "hello[1] thread_ping(thread: thread-self) = MACH_MSG_SUCCESS",
            "hello[1/2] thread_ping(thread: thread [1/1]) = MACH_MSG_SUCCESS",
            "hello[1/1] thread_ping(thread: thread port 60) = MACH_MSG_SUCCESS",
        ]
    );
}

#[test]
fn bytes_that_are_text_are_shown_as_text() {
    let data = |bytes: &[u8]| Sample::sent(Message::request_from(2998, 7, 0).data(bytes));
    let found = lines(&[], &[data(b"two\nlines\t"), data(b"not\0")]);
    assert_eq!(
        found,
        [
            "hello[1] msgh_id 2998(to port 7, 56 bytes: \"two\\nlines\\t\") = MACH_MSG_SUCCESS",
            "hello[1] msgh_id 2998(to port 7, 48 bytes: <6e 6f 74 00>) = MACH_MSG_SUCCESS",
        ]
    );
}

#[test]
fn a_name_is_what_the_kernel_says_in_this_message_and_no_longer() {
    let came = || Message::incoming(7009, 3, 0).port(MOVE_SEND, 6).data(&[]).memory(0, 0);
    let given =
        |port: &str| format!("hello[1] <- give(port: port 3, right: {port}, bytes: <>, memory: ool 0x0[0 bytes])");
    let first = Sample::received(came()).knows(port(6, 300));
    let second = Sample::received(came()).knows(port(6, 301));
    assert_eq!(lines(&[], &[first, second]), [given("port 300"), given("port 301")]);
    // The kernel could not say.
    let unknown = Sample::received(came()).without_ports();
    assert_eq!(
        lines(&[], &[unknown]),
        ["hello[1] <- give(port: name 3, right: name 6, bytes: <>, memory: ool 0x0[0 bytes])"]
    );
}

#[test]
fn a_port_has_one_name_in_every_task_and_its_own_with_v() {
    let ask = |task, name| Sample::sent(Message::request_from(7014, name, 0)).task(task).knows(port(name as u32, 300));
    let found = lines(&["-v"], &[ask(40, 9), ask(41, 12)]);
    assert_eq!(
        found,
        [
            "hello[1] host_ping(host: port 300 (name 9)) = MACH_MSG_SUCCESS",
            "[2] host_ping(host: port 300 (name 12)) = MACH_MSG_SUCCESS",
        ]
    );
}

#[test]
fn a_protected_payload_hides_no_port() {
    // msgh_local_port holds the payload; the kernel says which port it was.
    let payload = 0x0000_1234_0000_5678_u64;
    let mut message = Message::incoming(7008, payload, 9).int(5).done();
    message[1] = 23;
    let came = Sample::raw(trace_port::Direction::Receive, &message).on(20).without_ports();
    let said = came.clone().says(trace_port::Port { flags: port::RECEIVED_ON, ..port(21, 300) });
    assert_eq!(lines(&[], &[said]), ["hello[1] <- echo(port: port 300, value: 5)"]);
    assert_eq!(
        lines(&[], &[came]),
        ["hello[1] <- echo(port: a port with the protected payload 0x123400005678, value: 5)"]
    );
}

#[test]
fn traps_that_give_rights_are_lines_where_nothing_is_to_be_abbreviated() {
    let samples = [Sample::trap(28, SELF as u32), Sample::trap(26, 8), Sample::trap(29, 2), Sample::trap(26, 0)];
    assert!(lines(&[], &samples).is_empty());
    let all = [
        "hello[1] mach_task_self() = self (name 1)",
        "hello[1] mach_reply_port() = port 8 (name 8)",
        "hello[1] mach_host_self() = host (name 2)",
        "hello[1] mach_reply_port() = MACH_PORT_NULL",
    ];
    assert_eq!(lines(&["-v"], &samples), all);
    assert_eq!(lines(&["-v", "-e", "trace=mach_host_self"], &samples), all[2..3]);
    assert_eq!(lines(&["-v", "-e", "trace=!mach_reply_port"], &samples), [all[0], all[2]]);
    assert!(lines(&["-v", "-e", "trace=mach_msg"], &samples).is_empty());
}

#[test]
fn plain_names_that_another_task_sends_are_nothing_in_the_receivers() {
    // The kernel looks them up in the receiver's names, where they happen to stand for something.
    let release = |request: Message| request.name(10).name(11);
    let found = lines(
        &[],
        &[
            Sample::received(release(Message::incoming(2997, 3, 9))),
            // What a server says of its own names, or hears from the kernel about its own, it knows.
            Sample::sent(Message::answer(3097, 9).int(0).name(10)),
            Sample::received(Message::incoming(72, 3, 0).name(10)),
            // A reply of a server that is no kernel.
            Sample::sent(Message::request(2996, 7)),
            Sample::received(Message::reply(3096, REPLY).int(0).name(10)),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] <- msgh_id 2997(on port 3, 64 bytes: name 10, name 11)",
            "hello[1] -> msgh_id 2997 reply = KERN_SUCCESS {port 10}",
            "hello[1] <- msgh_id 72(on port 3, 48 bytes: port 10)",
            "hello[1] msgh_id 2996(to port 7, 32 bytes) = KERN_SUCCESS {name 10}",
        ]
    );
}

#[test]
fn a_number_that_stands_for_a_right_in_transit_is_no_name() {
    let number = u64::from(PORT_NUMBER | 12);
    let reply = Sample::sent(Message::reply(7112, REPLY).int(0).port(MOVE_SEND, number)).without_ports();
    let request = Sample::received(Message::request(7012, SELF).int(4)).correlation(5);
    let found =
        lines(&[], &[request.kind(EventKind::Task).thread(0), reply.kind(EventKind::Task).thread(0).correlation(5)]);
    assert_eq!(
        found[1],
        "hello[1] (task) -> task_get_special_port reply = KERN_SUCCESS {special_port: move-send port 12}"
    );
}

#[test]
fn a_server_says_whom_its_answer_goes_to_where_nothing_is_abbreviated() {
    let ask = || Sample::sent(Message::request(7008, 7).int(3)).correlation(5);
    let hear = || Sample::received(Message::incoming(7008, 3, 9).int(3)).task(41).correlation(5).knows(port(3, 7));
    let found = lines(&["-v"], &[ask(), hear()]);
    assert_eq!(found[1], "[2] <- echo(port: port 7 (name 3), value: 3) <for hello[1]>");
    assert_eq!(lines(&[], &[ask(), hear()])[1], "[2] <- echo(port: port 7, value: 3)");
}
