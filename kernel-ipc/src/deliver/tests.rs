// SPDX-License-Identifier: GPL-2.0-or-later
//! Records on their way into the queue: who waits, what is lost, and that losses are told.

use std::boxed::Box;
use std::vec::Vec;

use trace_port::Direction::{Receive, Send};
use trace_port::record::MAX_BATCH;

use super::*;
use crate::emit::prepare;
use crate::gnumach::Thread;
use crate::gnumach::fake::{CHILD, TASK, THREAD, TRACE, TRACER, Waiting};
use crate::gnumach::{Ports, Threads};
use crate::hooks::lifecycle;
use crate::hooks::model::{Call, Model, Moment, REPLY_NAME, TO_SERVICE, message};
use crate::numbers::TaskNumber;
use crate::quiet::is_waiting;

/// Messages so large that no record goes behind another.
fn large() -> Call {
    Call::send(message(19, TO_SERVICE, 0, 7000, MAX_BATCH - 200))
}

/// A traced task whose tracer does not receive, and for whose messages there are places in the queue.
fn full_after(limit: usize) -> Model {
    let model = Model::traced(&[TASK]);
    model.fake.behind.set(true);
    model.fake.port(TRACE).limit = limit;
    model
}

fn send(model: &Model, call: &Call) {
    assert_eq!(model.call(THREAD, call), Some(mr::MACH_MSG_SUCCESS), "tracing changes no result");
}

/// How many records were lost before each.
fn dropped(model: &Model) -> Vec<u32> {
    model.seen().iter().map(|seen| seen.header.dropped.get()).collect()
}

#[test]
fn a_live_thread_waits_at_its_exit_until_the_tracer_has_received() {
    let model = full_after(2);
    for _ in 0..5 {
        send(&model, &large());
    }
    let waits = option::MACH_SEND_TIMEOUT;
    assert_eq!(*model.fake.options.borrow(), [0, 0, waits, 0, waits]);
    assert_eq!((model.seen().len(), model.state.lost()), (5, 0));
    assert_eq!(model.fake.port(TRACE).queue.len(), 1);
    model.assert_ends_clean();
}

#[test]
fn a_halting_thread_does_not_wait_for_the_tracer() {
    let model = full_after(2);
    model.fake.thread(THREAD).halting = true;
    for _ in 0..Wait::Never.cap() + 3 {
        send(&model, &large());
    }
    let options = model.fake.options.borrow().clone();
    let (queued, refused) = options.split_at(Wait::Never.cap() as usize);
    assert!(queued.iter().all(|&option| option == option::MACH_SEND_ALWAYS), "beyond the limit");
    assert!(refused.iter().all(|&option| option == option::MACH_SEND_TIMEOUT), "beyond the cap it gives up at once");
    assert_eq!((model.seen().len(), model.state.lost()), (Wait::Never.cap() as usize, 3));
    assert_eq!(*model.fake.reports.borrow(), [1, 2]);
    model.assert_ends_clean();
}

#[test]
fn an_interrupted_wait_queues_beyond_the_limit_and_loses_only_above_the_cap() {
    let model = full_after(2);
    model.fake.script.borrow_mut().waiting = Waiting::Interrupted;
    for _ in 0..4 {
        send(&model, &large());
    }
    let (waits, forces) = (option::MACH_SEND_TIMEOUT, option::MACH_SEND_ALWAYS);
    let expected = [0, 0, waits, forces, waits, forces];
    assert_eq!(*model.fake.options.borrow(), expected);
    assert_eq!((model.seen().len(), model.state.lost()), (4, 0));
    for _ in 0..Wait::Never.cap() {
        send(&model, &large());
    }
    assert_eq!((model.seen().len(), model.state.lost()), (Wait::Never.cap() as usize, 4));
    // What was lost is told once there is room.
    model.fake.receive_records();
    send(&model, &large());
    assert_eq!(dropped(&model)[Wait::Never.cap() as usize..], [4]);
    model.assert_ends_clean();
}

#[test]
fn a_record_in_the_middle_of_a_call_never_waits() {
    let model = full_after(1);
    model.script(|steps| steps.receive = 0x1000_4003);
    let call = || Call::rpc(message(19, TO_SERVICE, 0, 7000, MAX_BATCH - 200), REPLY_NAME);
    for _ in 0..Wait::Never.cap() {
        // The request goes on, the receive that fails waits.
        assert_eq!(model.call(THREAD, &call()), Some(0x1000_4003));
    }
    let options = model.fake.options.borrow();
    assert!(options.chunks(2).all(|pair| pair == [option::MACH_SEND_ALWAYS, option::MACH_SEND_TIMEOUT]), "{options:?}");
    assert_eq!(model.state.lost(), 0);
    drop(options);
    model.assert_ends_clean();
}

#[test]
fn a_port_that_dies_while_a_thread_waits_takes_the_record_with_it() {
    let model = full_after(0);
    model.fake.script.borrow_mut().waiting = Waiting::PortDies;
    send(&model, &large());
    assert_eq!(model.fake.task(TASK).messages_sent, 1, "the user's own message");
    assert_eq!((model.seen().len(), model.state.lost()), (0, 0));
    send(&model, &large());
    assert!(!model.state.any_traced());
    model.assert_ends_clean();
    let model = full_after(1);
    send(&model, &large());
    send(&model, &large());
    assert_eq!(model.fake.task(TASK).messages_sent, 2, "the record was counted and taken out again");
    model.assert_ends_clean();
}

#[test]
fn a_port_that_dies_within_the_call_takes_the_record_with_it() {
    for wait in [Call::of_host(), Call::simple()] {
        let model = Model::traced(&[TASK]);
        model.at(Moment::Send, |model| model.fake.kill(TRACE));
        model.at(Moment::Serve, |model| model.fake.kill(TRACE));
        send(&model, &wait);
        assert_eq!(model.state.lost(), 0);
        assert_eq!(model.fake.task(TASK).messages_sent, i64::from(wait.message.len() == 40 && wait.rcv_size == 0));
        model.assert_ends_clean();
    }
}

#[test]
fn lost_records_are_counted_and_the_count_rides_in_the_next() {
    let model = Model::traced(&[TASK]);
    model.fake.script.borrow_mut().no_memory = true;
    send(&model, &Call::simple());
    model.fake.script.borrow_mut().no_memory = false;
    model.fake.script.borrow_mut().record_send = mr::MACH_SEND_INTERRUPTED;
    send(&model, &Call::simple());
    model.fake.script.borrow_mut().record_send = mr::MACH_MSG_SUCCESS;
    send(&model, &Call::simple());
    send(&model, &Call::simple());
    assert_eq!(dropped(&model), [2, 0]);
    assert_eq!(*model.fake.reports.borrow(), [1, 2]);
    model.assert_ends_clean();
}

#[test]
fn of_a_message_with_two_records_both_are_lost() {
    let model = Model::traced(&[TASK]);
    model.fake.script.borrow_mut().record_send = mr::MACH_SEND_INTERRUPTED;
    send(&model, &Call::of_host());
    assert_eq!(model.state.lost(), 2);
    model.fake.script.borrow_mut().record_send = mr::MACH_MSG_SUCCESS;
    model.fake.script.borrow_mut().no_memory = true;
    send(&model, &Call::of_host());
    assert_eq!((model.state.lost(), model.fake.reports.borrow().clone()), (4, Vec::from([2, 4])));
    model.fake.script.borrow_mut().no_memory = false;
    send(&model, &Call::of_host());
    assert_eq!(dropped(&model), [4, 0]);
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0)]);
    model.assert_ends_clean();
}

#[test]
fn every_failing_call_without_memory_is_counted_once() {
    let cases = [(Call::simple(), 1), (Call::of_host(), 2), (Call::receive(REPLY_NAME, 100), 1)];
    for (call, records) in cases {
        let model = Model::traced(&[TASK]);
        model.fake.script.borrow_mut().no_memory = true;
        model.script(|steps| steps.receive = 0x1000_4003);
        assert!(model.call(THREAD, &call).is_some());
        assert_eq!(model.state.lost(), records);
        model.assert_ends_clean();
    }
    // And where it is the send that fails.
    let model = Model::traced(&[TASK]);
    model.fake.script.borrow_mut().no_memory = true;
    model.script(|steps| steps.send = 0x1000_0004);
    assert_eq!(model.call(THREAD, &Call::of_service()), Some(0x1000_0004));
    assert_eq!(model.state.lost(), 1, "the message is given back, which is no receive");
    model.assert_ends_clean();
}

#[test]
fn a_loss_while_a_record_is_under_way_is_told_by_it() {
    let model = Model::traced(&[TASK]);
    model.at(Moment::Serve, |model| {
        let second = Thread::fake(0x7010);
        model.add_thread(TASK, second);
        model.fake.script.borrow_mut().no_memory = true;
        assert_eq!(model.call(second, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
        model.fake.script.borrow_mut().no_memory = false;
    });
    send(&model, &Call::of_host());
    assert_eq!(dropped(&model), [1, 0]);
    model.assert_ends_clean();
}

/// The entry of a task that is gone serves another one: a record of the first one, lost late, is none of the second's.
#[test]
fn what_a_task_lost_is_not_told_to_the_next_one_in_its_place() {
    let model = Model::traced(&[TASK]);
    model.at(Moment::Send, |model| {
        lifecycle::terminated(&model.fake, &model.state, TASK);
        model.trace(CHILD);
        assert_eq!(model.state.key(&model.fake, CHILD).map(|key| (key.entry, key.number.get())), Some((1, 2)));
        model.fake.script.borrow_mut().record_send = mr::MACH_SEND_INTERRUPTED;
    });
    send(&model, &Call::simple());
    assert_eq!(model.state.lost(), 1);
    let key = model.state.key(&model.fake, CHILD).unwrap();
    assert_eq!(model.state.take_dropped(key), 0);
    assert_eq!(model.state.take_dropped(Key { number: TaskNumber::new(1), ..key }), 0);
    model.assert_ends_clean();
}

#[test]
fn memory_is_prepared_once_and_used_by_the_next_record() {
    let model = Model::traced(&[TASK]);
    let records = |model: &Model| model.fake.kmsgs.borrow().values().filter(|memory| memory.is_record).count();
    prepare(&model.fake, &model.state);
    prepare(&model.fake, &model.state);
    assert_eq!(records(&model), 1);
    model.fake.script.borrow_mut().no_memory = true;
    send(&model, &Call::simple());
    assert_eq!((model.seen().len(), model.state.lost(), records(&model)), (1, 0, 0));
    // Without memory nothing is lost yet, and what was lost before is not forgotten.
    let key = model.state.key(&model.fake, TASK).unwrap();
    model.state.add_dropped(&model.fake, key, 0, 3);
    prepare(&model.fake, &model.state);
    assert_eq!(model.state.lost(), 3);
    model.fake.script.borrow_mut().no_memory = false;
    prepare(&model.fake, &model.state);
    send(&model, &Call::simple());
    assert_eq!(dropped(&model), [0, 3]);
    assert_eq!(model.fake.rights(TRACE), 2);
    model.assert_ends_clean();
}

#[test]
fn a_dead_port_ends_the_trace_where_memory_is_prepared() {
    let model = Model::traced(&[TASK]);
    model.fake.kill(TRACE);
    prepare(&model.fake, &model.state);
    assert!(!model.state.any_traced() && !model.fake.port_is_active(TRACE));
    prepare(&model.fake, &model.state);
    model.assert_ends_clean();
}

/// The tracer, which does not receive, ends or replaces the trace that a thread waits for.
#[test]
fn the_end_of_a_trace_wakes_who_waits_for_it() {
    type End = fn(&Model);
    let ends: [End; 2] = [|model| model.untrace(TASK), |model| model.trace(TASK)];
    for (index, end) in ends.into_iter().enumerate() {
        let model: &'static Model = Box::leak(Box::new(full_after(1)));
        let second = Thread::fake(0x7010);
        model.add_thread(TASK, second);
        send(model, &large());
        model.fake.script.borrow_mut().waiting = Waiting::SomethingElse;
        *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || {
            assert!(is_waiting(&model.fake, THREAD) && !is_waiting(&model.fake, second));
            end(model);
        }));
        send(model, &large());
        // A replaced trace keeps its port here, so that the thread would wait again if the end had not woken it.
        assert_eq!(*model.fake.interrupted.borrow(), [THREAD]);
        assert_eq!(model.fake.options.borrow()[1..], [option::MACH_SEND_TIMEOUT, option::MACH_SEND_ALWAYS]);
        assert_eq!((model.seen().len(), model.state.lost(), model.fake.is_redirected()), (2, 0, index == 1));
        assert_eq!(model.fake.thread_message(THREAD), 0);
        model.assert_ends_clean();
    }
}

/// Nothing wakes the thread: on a kernel for several processors the end may come between the look and the sleep, and where the task
/// itself comes to receive its records nobody would ever make room.
#[test]
fn who_waits_looks_again() {
    let happenings: [fn(&Model); 2] =
        [|model| model.untrace(TASK), |model| model.fake.port(TRACE).receiver = TASK.address()];
    for happens in happenings {
        let model: &'static Model = Box::leak(Box::new(full_after(1)));
        send(model, &large());
        model.fake.script.borrow_mut().waiting = Waiting::SomethingElse;
        *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || {
            happens(model);
            model.fake.interrupted.borrow_mut().clear();
        }));
        send(model, &large());
        assert_eq!(model.fake.options.borrow()[1..], [option::MACH_SEND_TIMEOUT, option::MACH_SEND_ALWAYS]);
        assert_eq!((model.seen().len(), model.state.lost()), (2, 0));
        model.fake.port(TRACE).receiver = TRACER.address();
        model.assert_ends_clean();
    }
}

/// A trace that has ended by then is not waited for at all.
#[test]
fn nobody_waits_for_a_trace_that_is_over() {
    let model = full_after(1);
    send(&model, &large());
    model.at(Moment::Send, |model| model.untrace(TASK));
    send(&model, &large());
    assert_eq!(model.fake.options.borrow()[1..], [option::MACH_SEND_ALWAYS]);
    assert_eq!(model.seen().len(), 2);
    model.assert_ends_clean();
}
