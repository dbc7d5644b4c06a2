// SPDX-License-Identifier: GPL-2.0-or-later
//! Children, and entries that end with their task.

use super::*;

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, KERNEL_TASK, Kobject, TASK, THREAD, TRACE};
use crate::gnumach::{Port, Tasks, mr};
use crate::hooks::model::{Call, Model, SERVICE_NAME, message};

#[test]
fn children_inherit_and_entries_end_with_their_task() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    fake.set_task_entry(CHILD, 0xaaaa);
    created(fake, state, CHILD, Some(TASK));
    assert_eq!(fake.rights(TRACE), 3);
    let call = Call::send(message(19, SERVICE_NAME, 0, 1, 40));
    assert_eq!(model.call(CHILDS_THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.only().who(), (2, 1));
    terminated(fake, state, CHILD);
    assert_eq!((fake.rights(TRACE), fake.task_entry(CHILD)), (2, 0));
    terminated(fake, state, CHILD);
    created(fake, state, CHILD, None);
    assert_eq!(fake.task_entry(CHILD), 0);
    model.assert_ends_clean();
}

/// Slab memory is not zeroed: the hole holds what an earlier task left there.
#[test]
fn a_child_of_an_untraced_task_has_nothing_of_an_earlier_tasks() {
    let model = Model::traced(&[TASK]);
    model.fake.set_task_entry(CHILD, model.fake.task_entry(TASK));
    created(&model.fake, &model.state, CHILD, Some(crate::gnumach::fake::THIRD));
    assert_eq!(model.fake.task_entry(CHILD), 0);
    model.assert_ends_clean();
}

#[test]
fn a_dead_port_is_not_inherited_and_ends_the_parents_trace() {
    let model = Model::traced(&[TASK]);
    model.fake.kill(TRACE);
    created(&model.fake, &model.state, CHILD, Some(TASK));
    assert_eq!((model.fake.task_entry(TASK), model.fake.task_entry(CHILD)), (0, 0));
    model.assert_ends_clean();
}

#[test]
fn a_child_that_there_is_no_room_for_is_told_of_by_its_parent() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    for index in 1..64 {
        fake.add_task(Task::fake(0x10_0000 + 0x100 * index));
        model.trace(Task::fake(0x10_0000 + 0x100 * index));
    }
    fake.script.borrow_mut().no_room = true;
    for _ in 0..3 {
        created(fake, state, CHILD, Some(TASK));
        assert_eq!(fake.task_entry(CHILD), 0);
    }
    assert_eq!((fake.untraced_reports.borrow().clone(), fake.reports.borrow().len()), (std::vec![1, 2], 0));
    for told in [true, false] {
        assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
        let header = model.seen().pop().unwrap().header;
        assert_eq!((header.lost(), header.child_not_traced()), (0, told));
    }
    // Where there is room again, children are traced again.
    terminated(fake, state, Task::fake(0x10_0100));
    created(fake, state, CHILD, Some(TASK));
    assert_ne!(fake.task_entry(CHILD), 0);
    model.assert_ends_clean();
}

#[test]
fn a_thread_made_later_is_traced_and_so_are_requests_on_its_port() {
    let (second, port) = (Thread::fake(0x7900), Port::fake(0xffff_ffff_8123_0220));
    let model = Model::new();
    model.add_thread(TASK, second);
    assert!(!model.fake.thread(second).watched, "nobody is traced");
    let model = Model::traced(&[TASK]);
    model.fake.add_port(port, KERNEL_TASK);
    model.fake.port(port).kobject = Some(Kobject::Thread(second));
    model.add_thread(TASK, second);
    assert!(model.fake.port(port).watched);
    assert_eq!(model.call(second, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.seen().len(), 1);
    model.assert_ends_clean();
}

#[test]
fn the_first_call_after_a_trace_is_the_last_that_costs() {
    let model = Model::traced(&[TASK, CHILD]);
    model.untrace(TASK);
    assert!(model.fake.thread(THREAD).watched);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert!(!model.fake.thread(THREAD).watched && model.fake.thread(CHILDS_THREAD).watched);
    assert_eq!(model.seen().len(), 0);
    model.trace(TASK);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.seen().len(), 1);
    model.assert_ends_clean();
}
