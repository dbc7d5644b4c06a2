// SPDX-License-Identifier: GPL-2.0-or-later
//! Traps of a traced task that give rights.

use trace_port::{Direction, EventKind, port};

use super::gave;
use crate::gnumach::fake::{TASK, THREAD, control_port};
use crate::gnumach::option;
use crate::hooks::model::{Model, REPLY_NAME};

/// Index of `mach_reply_port` and of `mach_task_self` in the table.
const REPLY_PORT: u32 = 26;
const TASK_SELF: u32 = 28;

#[test]
fn a_right_that_a_trap_gives_is_recorded_with_the_port_it_is_to() {
    let model = Model::traced(&[TASK]);
    model.fake.run(THREAD);
    model.fake.task(TASK).names.insert(0x40, control_port(TASK).address());
    gave(&model.fake, &model.state, REPLY_PORT, REPLY_NAME);
    gave(&model.fake, &model.state, TASK_SELF, 0x40);
    for (seen, (trap, name, kind, object)) in
        model.seen().iter().zip([(REPLY_PORT, REPLY_NAME, port::NONE, 0), (TASK_SELF, 0x40, port::TASK, 1)])
    {
        assert_eq!((seen.kind, seen.direction), (EventKind::Trap, Direction::Receive));
        assert_eq!((seen.header.options.get(), seen.header.rcv_name.get()), (trap, name));
        assert_eq!((seen.header.task.get(), seen.header.thread.get()), (1, 1));
        assert_eq!((seen.message.len(), seen.header.message_size.get()), (0, 0));
        let [port] = seen.ports[..] else { panic!("{} ports", seen.ports.len()) };
        assert_eq!((port.name.get(), port.kind, port.object.get()), (name, kind, object));
        assert!(!port.is_received_on());
    }
    assert_eq!(model.seen().len(), 2);
    assert_eq!(model.last_option(), Some(0), "the thread itself waits for its tracer");
    model.assert_ends_clean();
}

#[test]
fn a_trap_that_gave_nothing_is_recorded_as_that() {
    let model = Model::traced(&[TASK]);
    model.fake.run(THREAD);
    gave(&model.fake, &model.state, REPLY_PORT, 0);
    let seen = model.only();
    assert_eq!((seen.header.rcv_name.get(), seen.ports.len()), (0, 0));
    model.assert_ends_clean();
}

#[test]
fn a_thread_that_is_halted_does_not_wait() {
    let model = Model::traced(&[TASK]);
    model.fake.run(THREAD);
    model.fake.thread(THREAD).halting = true;
    gave(&model.fake, &model.state, REPLY_PORT, REPLY_NAME);
    assert_eq!(model.last_option(), Some(option::MACH_SEND_ALWAYS));
    assert_eq!(model.seen().len(), 1);
    model.assert_ends_clean();
}
