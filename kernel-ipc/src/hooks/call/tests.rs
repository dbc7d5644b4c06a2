// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls that send, receive, or end early, and what of them is recorded: see also those of `copy` and `handoff`.

use std::vec::Vec;

use trace_port::Direction::{self, Receive, Send};

use crate::emit::{self, Content};
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THIRDS_THREAD, THREAD, TIME, TRACE, TRACER};
use crate::gnumach::{Messages, SendRight, Tasks, Thread, mr, option};
use crate::hooks::model::{
    Call, Model, Moment, REPLY, REPLY_NAME, RPC, SERVICE, SERVICE_NAME, SIMPLE, Steps, TO_SERVICE, message,
};
use crate::hooks::{call, lifecycle, special_port};
use crate::numbers::Correlation;
use crate::observe::Event;
use crate::open_call::OpenCall;

#[test]
fn a_sent_message_is_recorded_with_the_names_the_task_used() {
    let model = Model::traced(&[TASK]);
    let sent = message(SIMPLE, TO_SERVICE, 0, 2021, 44);
    assert_eq!(model.call(THREAD, &Call::send(sent.clone())), Some(mr::MACH_MSG_SUCCESS));
    let record = model.only();
    assert_eq!(record.direction, Direction::Send);
    let header = &record.header;
    assert_eq!((record.retval(), record.who()), (mr::MACH_MSG_SUCCESS, (1, 1)));
    assert_eq!((header.sequence.get(), header.correlation.get(), header.time.get()), (1, 1, TIME));
    assert_eq!((header.message_size.get(), header.captured_size.get(), header.sender.get()), (44, 44, 0));
    assert_eq!((header.options.get(), header.time_out.get()), (option::MACH_SEND_MSG, 30));
    assert_eq!(record.message[8..], sent[8..], "as seen by the task: before copyin");
    let bytes = &model.fake.records()[0];
    assert_eq!(bytes.len(), 144 + 48 + 16);
    assert_eq!(bytes[144 + 44..144 + 48], [0; 4], "padding is zero, not what kalloc returned");
    assert_eq!(model.fake.task(TASK).messages_sent, 1, "the record does not count as the task's");
    assert_eq!(model.fake.port(SERVICE).queue.len(), 1);
    model.assert_ends_clean();
}

#[test]
fn an_untraced_task_is_left_alone() {
    let model = Model::traced(&[CHILD]);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), []);
    model.assert_ends_clean();
}

/// What goes wrong, with which options, what `mach_msg` returns, and how much of the message was there.
type FailingSend = (&'static str, Steps, u32, u32, usize);

fn failing_sends() -> Vec<FailingSend> {
    let steps = Steps::default;
    Vec::from([
        ("bad pointer", Steps { bad_copyins: 2, ..steps() }, 0, mr::MACH_SEND_INVALID_DATA, 0),
        ("bad name", Steps { copyin: mr::MACH_SEND_INVALID_DEST, ..steps() }, 0, mr::MACH_SEND_INVALID_DEST, 40),
        (
            "timed out",
            Steps { send: mr::MACH_SEND_TIMED_OUT, ..steps() },
            option::MACH_SEND_TIMEOUT,
            mr::MACH_SEND_TIMED_OUT,
            40,
        ),
        ("interrupted", Steps { send: 0x1000_2007, ..steps() }, 0, 0x1000_2007, 40),
        (
            "no notify",
            Steps { send: mr::MACH_SEND_TIMED_OUT, ..steps() },
            option::MACH_SEND_NOTIFY,
            mr::MACH_SEND_INVALID_NOTIFY,
            40,
        ),
    ])
}

#[test]
fn every_failing_send_is_recorded_and_returned_and_leaks_nothing() {
    let without_receive = option::MACH_SEND_MSG;
    for (name, steps, extra, expected, captured) in failing_sends() {
        for options in [RPC, without_receive] {
            let model = Model::traced(&[TASK]);
            *model.steps.borrow_mut() = steps.clone();
            let mut call = Call::of_service().with(extra);
            call.arguments.option = options | extra;
            assert_eq!(model.call(THREAD, &call), Some(expected), "{name}");
            let record = model.only();
            assert_eq!((record.direction, record.retval()), (Send, expected), "{name}");
            assert_eq!((record.message.len(), record.header.message_size.get()), (captured, 40), "{name}");
            assert_eq!(model.last_option(), Some(0), "{name}: the call is over, so that it may wait");
            model.assert_ends_clean();
        }
    }
}

/// `fast_get` cannot read the message, `ipc_kmsg_get` can.
#[test]
fn of_two_copyins_the_one_that_goes_well_counts() {
    let model = Model::traced(&[TASK]);
    model.call(THREAD, &Call::simple());
    model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 100));
    model.script(|steps| steps.bad_copyins = 1);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), [(Send, 0), (Send, 0), (Receive, 0)]);
    model.assert_ends_clean();
}

#[test]
fn a_full_queue_with_a_notify_port_forces_the_message_and_says_will_notify() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
    let call = Call::simple().with(option::MACH_SEND_NOTIFY).notifying(9);
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_SEND_WILL_NOTIFY));
    assert_eq!(model.fake.port(SERVICE).queue.len(), 1);
    let record = model.only();
    assert_eq!((record.retval(), record.header.notify.get()), (mr::MACH_SEND_WILL_NOTIFY, 9));
    model.assert_ends_clean();
}

#[test]
fn only_an_option_that_uses_a_notify_port_shows_one() {
    let model = Model::traced(&[TASK]);
    model.call(THREAD, &Call::simple().with(option::MACH_SEND_NOTIFY).notifying(9));
    model.call(THREAD, &Call::simple().notifying(8));
    let notify: Vec<u32> = model.seen().iter().map(|seen| seen.header.notify.get()).collect();
    assert_eq!(notify, [9, 0]);
}

#[test]
fn a_size_the_kernel_would_overflow_on_never_reaches_it() {
    for (size, expected) in [(0x8000_0000, mr::MACH_SEND_NO_BUFFER), (0x8000_0004, mr::MACH_SEND_MSG_TOO_SMALL)] {
        let model = Model::traced(&[TASK]);
        let mut call = Call::simple();
        call.arguments.send_size = size;
        assert_eq!(model.call(THREAD, &call), Some(expected));
        let record = model.only();
        assert_eq!((record.retval(), record.header.message_size.get(), record.message.len()), (expected, size, 0));
        model.assert_ends_clean();
    }
}

#[test]
fn a_receive_that_fails_without_a_message_is_recorded_and_returned() {
    let steps = Steps::default;
    let cases = [
        ("bad name", Steps { mqueue_copyin: 0x1000_4002, ..steps() }, 0x1000_4002),
        ("timed out", Steps { receive: 0x1000_4003, ..steps() }, 0x1000_4003),
        ("interrupted", Steps { receive: mr::MACH_RCV_INTERRUPTED, ..steps() }, mr::MACH_RCV_INTERRUPTED),
    ];
    for (name, steps, expected) in cases {
        let model = Model::traced(&[TASK]);
        *model.steps.borrow_mut() = steps;
        assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), Some(expected), "{name}");
        let record = model.only();
        assert_eq!((record.direction, record.retval(), record.message.len()), (Receive, expected, 0), "{name}");
        assert_eq!((record.header.message_size.get(), record.header.rcv_name.get()), (0, REPLY_NAME), "{name}");
        assert_eq!(model.last_option(), Some(0), "{name}");
        model.assert_ends_clean();
    }
}

#[test]
fn after_a_send_that_goes_well_the_receive_may_fail() {
    for options in [RPC, RPC | option::MACH_RCV_LARGE] {
        let model = Model::traced(&[TASK]);
        model.script(|steps| steps.receive = 0x1000_4003);
        assert_eq!(model.call(THREAD, &Call::of_service().with(options)), Some(0x1000_4003));
        assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0x1000_4003)]);
        assert_eq!(
            *model.fake.options.borrow(),
            [option::MACH_SEND_ALWAYS, 0],
            "only where the call is over one may wait"
        );
        let names: Vec<u32> = model.seen().iter().map(|seen| seen.header.rcv_name.get()).collect();
        assert_eq!(names, [0, REPLY_NAME]);
        model.assert_ends_clean();
    }
}

#[test]
fn a_receiver_that_sleeps_is_seen_when_it_goes_on() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(model.outcomes(), [(Send, 0)], "the request is there while its reply is waited for");
    model.notify(REPLY, 72, 40);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0)]);
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), None);
    model.give_up(THREAD, 0x1000_4003);
    assert_eq!(model.outcomes()[2..], [(Receive, 0x1000_4003)]);
    model.assert_ends_clean();
}

#[test]
fn sleeping_receivers_are_joined_when_the_trace_begins() {
    let model = Model::new();
    let second = Thread::fake(0x7010);
    model.add_thread(TASK, second);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    model.fake.run(CHILDS_THREAD);
    model.trace(TASK);
    assert_eq!(OpenCall::of(&model.fake, THREAD), OpenCall::open(&model.fake));
    assert_eq!(model.fake.thread(second).call, 0, "it will be in a call with its next");
    model.notify(REPLY, 72, 40);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    let record = model.only();
    assert_eq!((record.direction, record.retval(), record.header.rcv_name.get()), (Receive, 0, REPLY_NAME));
    assert_eq!(record.header.options.get(), RPC);
    model.assert_ends_clean();
}

#[test]
fn who_runs_on_another_processor_is_not_joined() {
    let model = Model::new();
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), None);
    model.fake.thread(THREAD).runs_elsewhere = true;
    model.fake.run(CHILDS_THREAD);
    model.trace(TASK);
    assert_eq!(model.fake.thread(THREAD).call, 0);
}

#[test]
fn an_interrupted_receive_is_recorded_though_its_thread_does_not_run() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    model.fake.run(CHILDS_THREAD);
    model.interrupt(THREAD);
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, mr::MACH_RCV_INTERRUPTED)]);
    assert_eq!(
        model.last_option(),
        Some(option::MACH_SEND_ALWAYS),
        "whoever stops a thread does not wait for its tracer"
    );
    assert_eq!(model.fake.thread(THREAD).call, 0);
    // One that is in no call leaves nothing.
    model.fake.free(model.fake.port(SERVICE).queue.pop_front().unwrap());
    model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 100));
    model.interrupt(CHILDS_THREAD);
    assert_eq!(model.outcomes().len(), 2);
    model.assert_ends_clean();
}

/// The request is a `task_terminate` of its sender.
#[test]
fn the_call_that_ends_the_task_is_recorded() {
    for call in [Call::of_host(), Call::send(Call::of_host().message)] {
        let model = Model::traced(&[TASK]);
        model.script(|steps| steps.reply = None);
        model.at(Moment::Serve, |model| {
            model.fake.thread(THREAD).halting = true;
            model.fake.task(TASK).dying = true;
            lifecycle::terminated(&model.fake, &model.state, TASK);
        });
        let result = model.call(THREAD, &call);
        assert!(model.fake.is_redirected() || result.is_some() || model.outcomes().len() == 1);
        let record = model.only();
        assert_eq!((record.retval(), record.who()), (mr::MACH_MSG_SUCCESS, (1, 1)));
        assert_eq!(model.last_option(), Some(option::MACH_SEND_ALWAYS), "a thread that is halted does not wait");
        if result.is_none() {
            model.interrupt(THREAD);
        }
        assert_eq!(model.outcomes().len(), 1, "nobody is traced any more");
        model.assert_ends_clean();
    }
}

#[test]
fn the_record_of_the_call_that_ends_the_task_tells_of_earlier_losses() {
    let model = Model::traced(&[TASK]);
    model.fake.script.borrow_mut().no_memory = true;
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    model.fake.script.borrow_mut().no_memory = false;
    let lost = model.state.lost();
    assert_eq!(lost, 1);
    model.at(Moment::Serve, |model| lifecycle::terminated(&model.fake, &model.state, TASK));
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    let [request, reply] = model.seen_exactly();
    assert_eq!((request.header.dropped.get(), reply.header.dropped.get()), (lost, 0));
    model.assert_ends_clean();
}

#[test]
fn a_trace_that_ends_within_a_call_gets_the_record_that_was_begun() {
    let model = Model::traced(&[TASK]);
    model.at(Moment::Serve, |model| {
        model.untrace(TASK);
        assert!(model.fake.is_redirected(), "a draft is open");
    });
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0)], "both in the message that was begun");
    assert!(!model.fake.is_redirected(), "the last draft is gone");
    model.assert_ends_clean();
}

#[test]
fn a_trace_that_ends_before_the_message_is_copied_in_gets_nothing() {
    for call in [Call::of_host(), Call::simple()] {
        let model = Model::traced(&[TASK]);
        model.at(Moment::CopyIn, |model| model.untrace(TASK));
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.outcomes(), []);
        model.assert_ends_clean();
    }
}

#[test]
fn a_trace_that_is_replaced_within_a_call_gets_what_comes_after() {
    let model = Model::traced(&[TASK]);
    model.at(Moment::Serve, |model| {
        model.fake.run(CHILDS_THREAD);
        model.trace(TASK);
    });
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0)]);
    assert_eq!(model.fake.rights(TRACE), 2);
    model.assert_ends_clean();
}

/// A thread waits for a pager in `copyinmsg` meanwhile.
#[test]
fn a_trace_that_is_replaced_before_the_message_is_copied_in_misses_nothing() {
    for (call, records) in [(Call::of_host(), 2), (Call::simple(), 1)] {
        let model = Model::traced(&[TASK]);
        model.at(Moment::CopyIn, |model| {
            model.fake.run(CHILDS_THREAD);
            model.trace(TASK);
        });
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.outcomes().len(), records);
        model.assert_ends_clean();
    }
}

#[test]
fn a_trace_that_begins_anew_before_the_message_is_copied_in_leaves_no_draft_behind() {
    for call in [Call::of_host(), Call::simple()] {
        let model = Model::traced(&[TASK]);
        model.at(Moment::CopyIn, |model| {
            model.fake.run(CHILDS_THREAD);
            model.untrace(TASK);
            model.trace(TASK);
        });
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.outcomes(), [], "its first call will be the next");
        model.assert_ends_clean();
    }
}

/// The receiver of a hand-off, which is not traced, waits for a pager in `copyout` when its task's trace begins.
#[test]
fn who_has_others_records_to_queue_still_does_when_its_own_trace_begins() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 100)), None);
    model.at(Moment::CopyOut, |model| {
        model.fake.run(THIRDS_THREAD);
        model.trace(CHILD);
    });
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(model.outcomes(), [(Send, 0)]);
    model.assert_ends_clean();
}

#[test]
fn a_call_whose_end_nobody_saw_is_lost_and_counted() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    OpenCall::open(fake).keep(fake, THREAD);
    let event = Event::of_call(fake, state, THREAD, Send);
    let draft = call::open(fake, state, &event, Content::NOTHING);
    assert!(draft.is_some());
    OpenCall::open(fake).with_draft(fake, draft).keep(fake, THREAD);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(state.lost(), 1);
    let record = model.only();
    assert_eq!((record.header.dropped.get(), record.message.len()), (1, 40));
    model.assert_ends_clean();
}

#[test]
fn tracing_ends_when_the_trace_port_dies() {
    let model = Model::traced(&[TASK]);
    model.fake.kill(TRACE);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), []);
    assert_eq!(model.fake.task_entry(TASK), 0);
    assert!(!model.state.any_traced());
    model.assert_ends_clean();
}

#[test]
fn a_task_that_receives_its_own_trace_is_not_traced() {
    let model = Model::traced(&[TASK]);
    model.fake.port(TRACE).receiver = TASK.address();
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), []);
    assert_eq!(special_port::set(&model.fake, &model.state, TASK, Some(SendRight::fake(TRACE))), mr::KERN_FAILURE);
    model.fake.port(TRACE).receiver = TRACER.address();
    model.assert_ends_clean();
}

/// The last look at a draft: what it shows.
#[test]
fn a_draft_shows_what_cancels_its_link() {
    let model = Model::traced(&[TASK]);
    let fake = &model.fake;
    let event = Event { correlation: Correlation::new(9), ..Event::of_call(fake, &model.state, THREAD, Send) };
    let kmsg = fake.kmsg(&message(19 | 21 << 8, 1, 2, 3, 40));
    let size = fake.msgh_size(kmsg);
    let draft = emit::draft(fake, &model.state, &event, Content::seen(fake, kmsg, size)).unwrap();
    assert_eq!(emit::shown(fake, &draft), (Correlation::new(9), 19 | 21 << 8, 2));
    fake.ipc_kmsg_destroy(draft.into_memory());
    let draft = emit::draft(fake, &model.state, &event, Content::NOTHING).unwrap();
    assert_eq!(emit::shown(fake, &draft), (Correlation::new(9), 0, 0));
    fake.ipc_kmsg_destroy(draft.into_memory());
    fake.free(kmsg);
    model.assert_ends_clean();
}

/// While others are traced, what a thread has copied in is kept, in case that its receiver is one of them.
#[test]
fn what_a_thread_did_before_its_task_was_traced_hides_nothing_of_its_first_call() {
    let model = Model::traced(&[CHILD]);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_ne!(model.fake.thread(THREAD).message, 0);
    // On another processor, so that nobody looks at it now.
    model.fake.thread(THREAD).runs_elsewhere = true;
    model.trace(TASK);
    let mut call = Call::simple();
    call.arguments.send_size = 1 << 31;
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_SEND_NO_BUFFER));
    assert_eq!(model.only().header.retval.get(), mr::MACH_SEND_NO_BUFFER);
}
