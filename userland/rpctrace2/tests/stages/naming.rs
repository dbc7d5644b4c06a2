//! Records in, names out: what ports, tasks and threads are called, and for how long.

use crate::common::*;
use crate::lines::vm_allocate;

#[test]
fn ports_are_called_what_they_are() {
    let found = lines(
        &[],
        &[
            Sample::sent(Message::request(7014, 2)),
            Sample::received(Message::reply(7114, REPLY).int(0)),
            Sample::sent(Message::request(7016, 5)),
            Sample::received(Message::reply(7116, REPLY).int(0)),
            Sample::sent(Message::request(7012, SELF).int(4)),
            Sample::received(Message::reply(7112, REPLY).int(0).port(MOVE_SEND, 6)),
            Sample::sent(Message::request(7006, 9).int(1).string("console")),
            Sample::received(Message::reply(7106, REPLY).int(0).port(MOVE_SEND, 10)),
            Sample::sent(Message::request(7007, 10).chars(b"hi")),
            Sample::received(Message::reply(7107, REPLY).int(0).int(2)),
            Sample::sent(Message::request(7004, SELF).int(3)),
            Sample::received(Message::reply(7104, REPLY).int(0).name(11)),
            Sample::sent(Message::request(7005, SELF).name(10)),
            Sample::received(Message::reply(7105, REPLY).int(0)),
            // The name was given up and comes back as another port.
            Sample::sent(Message::request(7004, SELF).int(1)),
            Sample::received(Message::reply(7104, REPLY).int(0).name(10)),
            Sample::sent(Message::request(7013, 6).chars(b"ping\0-c\0")),
            Sample::received(Message::reply(7113, REPLY).int(0).port(MOVE_SEND, 12)),
            Sample::sent(Message::request(7003, SELF).bool(true)),
            Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 13)),
            Sample::sent(Message::request(7015, 13).name(3).port(COPY_SEND, 6)),
            Sample::received(Message::reply(7115, REPLY).int(0)),
            Sample::sent(Message::request(7014, 3)).task(41),
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
            "hello[1] mach_port_allocate(task: self, right: MACH_PORT_RIGHT_RECEIVE) = KERN_SUCCESS {name: port 10}",
            "hello[1] boot_spawn(bootstrap: bootstrap, arguments: \"ping\\0-c\\0\") = KERN_SUCCESS {task: task \"ping\"}",
            "hello[1] task_create(target_task: self, inherit_memory: true) = KERN_SUCCESS {child_task: task[2]}",
            "hello[1] mach_port_insert_right(task: task[2], name: port 3, poly: bootstrap) = KERN_SUCCESS",
            "(hello)[2] host_ping(host: bootstrap) = ?",
        ]
    );
}

#[test]
fn a_child_heard_of_before_its_creation_is_the_same_task() {
    let found = lines(
        &[],
        &[
            Sample::sent(Message::request(7003, SELF).bool(true)),
            Sample::sent(Message::request_from(7002, SELF, 0).string("early")).task(41),
            Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, 12)),
            Sample::sent(Message::request_from(7014, 2, 0)).task(41),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] task_create(target_task: self, inherit_memory: true) <unfinished ...>",
            "(hello)[2] task_set_name(task: self, name: \"early\") = MACH_MSG_SUCCESS",
            "hello[1] <... task_create resumed> = KERN_SUCCESS {child_task: task[2]}",
            "early[2] host_ping(host: host) = MACH_MSG_SUCCESS",
        ]
    );
}

#[test]
fn children_are_told_apart_by_the_order_of_their_creation() {
    let create = || Sample::sent(Message::request(7003, SELF).bool(false));
    let created = |name| Sample::received(Message::reply(7103, REPLY).int(0).port(MOVE_SEND, name));
    let rename = |name, text: &str| Sample::sent(Message::request_from(7002, name, 0).string(text));
    let found = lines(
        &["-e", "trace=vm_allocate"],
        &[
            create(),
            created(6),
            create(),
            created(7),
            rename(6, "first"),
            rename(7, "second"),
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
fn a_thread_that_ends_gives_its_names_to_the_next() {
    let end = |thread| Sample::sent(Message::request_from(7017, 5, 0).name(5).name(6)).thread(thread);
    let ping = |thread| Sample::sent(Message::request_from(7016, 5, 0)).thread(thread);
    let found = lines(&[], &[ping(71), end(71), ping(72), ping(71)]);
    assert_eq!(
        found,
        [
            "hello[1] thread_ping(thread: thread-self) = MACH_MSG_SUCCESS",
            "hello[1] thread_terminate_release(thread: thread-self, thread_name: thread-self, reply_port: port 6) = \
             MACH_MSG_SUCCESS",
            "hello[1/2] thread_ping(thread: thread-self) = MACH_MSG_SUCCESS",
            "hello[1/1] thread_ping(thread: thread 5) = MACH_MSG_SUCCESS",
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
fn a_name_is_known_while_a_reference_of_it_is_left() {
    let boot = || {
        [
            Sample::sent(Message::request(7012, SELF).int(4)),
            Sample::received(Message::reply(7112, REPLY).int(0).port(MOVE_SEND, 6)),
        ]
    };
    let free =
        || [Sample::sent(Message::request(7005, SELF).name(6)), Sample::received(Message::reply(7105, REPLY).int(0))];
    let came = || [Sample::received(Message::incoming(7009, 3, 0).port(MOVE_SEND, 6).data(&[]).memory(0, 0))];
    let samples: Vec<Sample> = [&boot()[..], &came(), &free(), &came(), &free(), &free(), &came()].concat();
    let found = lines(&["-e", "give"], &samples);
    let given = |port: &str| format!("hello[1] <- give(port: port 3, right: {port}, bytes: <>, memory: ool 0x0[0])");
    assert_eq!(found, [given("bootstrap"), given("bootstrap"), given("port 6")]);
}
