// SPDX-License-Identifier: GPL-2.0-or-later
//! A tracer with a ring is told what one is told by messages alone, whatever becomes of the ring; and who gets one.

use std::vec::Vec;

use trace_port::TRACE_RING_MSGH_ID;
use trace_port::control::{event, policy};
use trace_port::ring::{LARGEST_FRAME, Reader};

use super::*;
use crate::direct::tests::{CALLS, alike, asked, make, serve};
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THIRD, THIRDS_THREAD, THREAD, TRACE, TRACER, TRACERS_THREAD};
use crate::gnumach::{Messages, SendRight, Shared, Task, Tasks, Thread, Threads, mr};
use crate::hooks::lifecycle;
use crate::hooks::model::random::Random;
use crate::hooks::model::{Call, Model, Moment, SERVICE_NAME};
use crate::recorder::tests::{Found, Told};
use crate::state::State;

/// Of an engine.
const ONE: Port = Port::fake(0x5200);

/// What a thread is answered that asks for the ring of a task.
fn ask(model: &Model, thread: Thread, task: Task) -> Result<SendRight, u32> {
    let current = model.fake.current_thread();
    model.fake.run(thread);
    let answer = give(&model.fake, &model.state, task, false);
    model.fake.run(current);
    answer
}

/// The records in a ring that have come since the last time, with their outcomes.
struct Follower {
    reader: Reader,
    place: usize,
    found: Found,
}

impl Follower {
    fn of(model: &Model, place: usize) -> Self {
        let ring = *model.fake.tracers_ring(place).unwrap();
        Self { reader: Reader::open(&ring).unwrap(), place, found: Found::default() }
    }

    fn follow(&mut self, model: &Model) {
        let ring = *model.fake.tracers_ring(self.place).unwrap();
        let mut buffer = std::vec![0; LARGEST_FRAME / 8 + 1];
        let batch = self.reader.read(&ring, &mut buffer).unwrap();
        batch.into_iter().for_each(|item| self.found.take(item));
        ring.set_tail(self.reader.position());
    }
}

/// Two tasks traced by a trace port, or by an engine.
fn traced(by_engine: bool) -> Model {
    let model = Model::new();
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    for task in [TASK, CHILD] {
        if by_engine {
            model.attach(task, ONE, 0, event::MESSAGES, policy::BLOCK).unwrap();
        } else {
            model.trace(task);
        }
    }
    model
}

fn is_direct(model: &Model, task: Task) -> bool {
    State::is_direct(model.fake.task_entry(task))
}

/// What has come by messages.
fn by_messages(model: &Model) -> Vec<Told> {
    model.seen().into_iter().map(|seen| (seen.header, seen.message, seen.ports)).collect()
}

/// What has come both ways, in its order.
fn all(model: &Model, follower: Follower) -> Vec<Told> {
    let mut told = by_messages(model);
    told.extend(follower.found.told);
    told.sort_by_key(|(header, ..)| header.sequence.get());
    told
}

#[test]
fn the_first_record_of_a_task_is_a_message_and_those_behind_it_are_in_the_ring() {
    for by_engine in [false, true] {
        let model = traced(by_engine);
        let right = ask(&model, TRACERS_THREAD, TASK).unwrap();
        let mut follower = Follower::of(&model, 0);
        assert!(!is_direct(&model, TASK));
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        assert_eq!(model.seen().len(), 2, "one message");
        assert!(is_direct(&model, TASK) && !is_direct(&model, CHILD));
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        follower.follow(&model);
        assert_eq!((model.seen().len(), follower.found.told.len()), (2, 2));
        model.fake.unmap(right);
    }
}

#[test]
fn it_has_the_same_by_a_ring() {
    let mut random = Random(0x15_0002);
    let (mut in_ring, mut in_messages) = (0, 0);
    for turn in 0..300 {
        let calls: Vec<u64> = (0..12).map(|_| random.below(CALLS)).collect();
        let by_engine = turn % 2 == 0;
        // The reader sometimes does not read for a while, and the ring is full: see below.
        let is_full = turn % 3 == 0;
        let [with, without] = [true, false].map(|has_ring| {
            let model = traced(by_engine);
            if !has_ring {
                calls.iter().for_each(|&call| make(&model, call));
                return alike(by_messages(&model));
            }
            let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
            let mut follower = Follower::of(&model, 0);
            for (index, &call) in calls.iter().enumerate() {
                let ring = *model.fake.tracers_ring(0).unwrap();
                if is_full && index % 4 == 2 {
                    // A tail that cannot be is a full ring.
                    ring.set_tail(u64::MAX);
                }
                make(&model, call);
                follower.follow(&model);
            }
            assert!(model.state.rings.owed(0) <= 2, "one for each thread that sleeps: {calls:?}");
            in_ring += follower.found.told.len();
            in_messages += model.seen().len();
            alike(all(&model, follower))
        });
        let other = with.iter().zip(&without).find(|(one, other)| one != other);
        assert_eq!(other, None, "{calls:?}");
        assert_eq!(with.len(), without.len(), "{calls:?}");
    }
    assert!(in_ring > 1000 && in_messages > 500, "{in_ring}, {in_messages}");
}

#[test]
fn what_waits_for_an_answer_is_owed_until_it_comes() {
    let model = traced(false);
    let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    for _ in 0..3 {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        assert_eq!(model.state.rings.owed(0), 0);
    }
    model.at(Moment::Serve, |model| assert_eq!(model.state.rings.owed(0), 1));
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.state.rings.owed(0), 0);
}

#[test]
fn a_servers_answer_is_owed_until_it_is_sent() {
    let model = traced(false);
    let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    // Both are introduced to it by messages.
    serve(&model, 40);
    serve(&model, 40);
    for _ in 0..2 {
        let answer = asked(&model, 40).unwrap();
        assert_eq!(model.state.rings.owed(0), 1, "the client's");
        model.script(|steps| steps.no_handoff = true);
        model.at(Moment::Send, |model| assert_eq!(model.state.rings.owed(0), 2, "and the server's"));
        model.call(CHILDS_THREAD, &answer);
        model.script(|steps| steps.no_handoff = false);
        model.resume(THREAD);
        assert_eq!(model.state.rings.owed(0), 0);
    }
    // The next request comes in the call of the answer.
    let answer = asked(&model, 40).unwrap();
    model.call(CHILDS_THREAD, &Call::rpc(answer.message, SERVICE_NAME));
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(model.state.rings.owed(0), 1, "the client's");
}

#[test]
fn who_sleeps_is_woken_once() {
    for by_engine in [false, true] {
        let model = traced(by_engine);
        let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        let ring = *model.fake.tracers_ring(0).unwrap();
        let port = if by_engine { ONE } else { TRACE };
        model.fake.behind.set(true);
        ring.set_sleeps(1);
        let before = model.fake.queued.borrow().len();
        for _ in 0..3 {
            assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        }
        assert_eq!(model.fake.queued.borrow().len(), before + 1);
        let woken = model.fake.port(port).queue.back().copied().unwrap();
        assert_eq!(model.fake.msgh_id(woken), TRACE_RING_MSGH_ID);
        assert_eq!(model.fake.msgh_size(woken), 32);
    }
}

#[test]
fn without_memory_the_next_record_wakes() {
    let model = traced(false);
    let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    model.fake.behind.set(true);
    model.fake.tracers_ring(0).unwrap().set_sleeps(1);
    model.fake.script.borrow_mut().no_memory = true;
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert!(model.fake.port(TRACE).queue.is_empty());
    model.fake.script.borrow_mut().no_memory = false;
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.fake.port(TRACE).queue.len(), 1);
}

#[test]
fn only_who_receives_from_the_trace_port_gets_its_ring_and_only_a_few() {
    let model = traced(false);
    assert_eq!(ask(&model, THIRDS_THREAD, TASK).err(), Some(mr::KERN_NO_ACCESS));
    assert_eq!(ask(&model, THREAD, TASK).err(), Some(mr::KERN_NO_ACCESS));
    assert_eq!(ask(&model, TRACERS_THREAD, THIRD).err(), Some(mr::KERN_NO_ACCESS), "nobody traces it");
    let one = ask(&model, TRACERS_THREAD, TASK).unwrap();
    let same = ask(&model, TRACERS_THREAD, CHILD).unwrap();
    assert_eq!(one, same, "of the port, whichever task");
    model.untrace(TASK);
    for number in 0..4 {
        let port = Port::fake(0x5a00 + 0x20 * number);
        model.fake.add_port(port, TRACER);
        model.fake.port(port).rights = 1;
        model.trace_to(TASK, port);
        let answer = ask(&model, TRACERS_THREAD, TASK);
        assert_eq!(answer.err(), (number == 3).then_some(mr::KERN_RESOURCE_SHORTAGE), "{number}");
    }
    assert_eq!(model.fake.references.get(), 4);
    lifecycle::terminated(&model.fake, &model.state, TRACER);
    assert_eq!(model.fake.references.get(), 0);
}

#[test]
fn threads_that_ask_at_once_get_one_ring() {
    let model = traced(false);
    let (fake, rings) = (&model.fake, &model.state.rings);
    let places: Vec<_> = (0..=OF_TASK).filter_map(|_| rings.claim(fake, TRACER)).collect();
    assert_eq!(places, [0, 1, 2, 3], "also of what it is about to get it has only a few");
    let publish = |&place| rings.publish(fake, place, (fake.port_reference(TRACE), fake.task_space(TRACER)));
    let published: Vec<_> = places.iter().map(publish).collect();
    assert_eq!(published, [0; 4]);
    assert_eq!(fake.references.get(), 1);
    assert_eq!(rings.claim(fake, TRACER), Some(1), "what the others had claimed is free");
}

#[test]
fn a_ring_that_is_still_mapped_is_nobody_elses() {
    let model = traced(false);
    let right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    lifecycle::terminated(&model.fake, &model.state, TRACER);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.seen().len(), 4, "by messages again");
    let again = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert_ne!(again, right);
    model.fake.unmap(right);
    lifecycle::terminated(&model.fake, &model.state, TRACER);
    assert!(!is_direct(&model, TASK) || model.call(THREAD, &Call::of_host()).is_some());
    let third = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert_ne!(third, again, "the first one's place");
}

#[test]
fn who_gets_the_receive_right_is_told_by_messages() {
    let model = traced(false);
    let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    model.fake.port(TRACE).receiver = THIRD.address();
    let before = model.seen().len();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.seen().len(), before + 2);
    // Its own begins with a message, too.
    let _other = ask(&model, THIRDS_THREAD, TASK).unwrap();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.seen().len(), before + 4);
    let mut follower = Follower::of(&model, 1);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    follower.follow(&model);
    assert_eq!(follower.found.told.len(), 2);
}

#[test]
fn who_else_is_attached_is_told_and_the_ring_goes_on() {
    let model = traced(false);
    let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    let mut follower = Follower::of(&model, 0);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    let engine = model.attach(TASK, ONE, 0, event::MESSAGES, policy::BLOCK).unwrap();
    assert!(!is_direct(&model, TASK));
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    follower.follow(&model);
    assert_eq!((model.seen_at(ONE).len(), follower.found.told.len()), (2, 2));
    model.give_back_engine(engine);
    assert!(is_direct(&model, TASK));
}

#[test]
fn the_request_that_ends_its_own_task_is_sent() {
    for by_engine in [false, true] {
        let model = traced(by_engine);
        let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
        let mut follower = Follower::of(&model, 0);
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        model.at(Moment::Serve, |model| {
            lifecycle::terminates(&model.fake, &model.state, TASK);
            lifecycle::terminated(&model.fake, &model.state, TASK);
        });
        model.call(THREAD, &Call::of_host());
        follower.follow(&model);
        let [(header, ..)] = &follower.found.told[..] else { panic!("one record") };
        assert_eq!(header.retval.get(), 0);
        let ring = *model.fake.tracers_ring(0).unwrap();
        assert_eq!(ring.control[trace_port::ring::control::NUMBERS].load(Relaxed), 2, "the record and its outcome");
    }
}

/// What one tracer was told is not in the memory that another gets.
#[test]
fn a_ring_tells_nothing_of_who_had_it_before() {
    let model = traced(false);
    let right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    for _ in 0..2 {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    }
    let ring = *model.fake.tracers_ring(0).unwrap();
    let is_empty = || ring.frames.iter().all(|word| word.load(Relaxed) == 0);
    assert!(!is_empty());
    lifecycle::terminated(&model.fake, &model.state, TRACER);
    model.fake.unmap(right);
    let _again = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert!(is_empty());
}

/// Somebody else ends a receive whose request is open in the ring: the outcome wakes the reader.
#[test]
fn an_outcome_that_another_task_tells_wakes() {
    let model = traced(false);
    let _right = ask(&model, TRACERS_THREAD, TASK).unwrap();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    while model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)).is_some() {}
    // It is handed over, and the client sleeps with its request open.
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    model.fake.behind.set(true);
    model.fake.tracers_ring(0).unwrap().set_sleeps(1);
    let before = model.fake.port(TRACE).queue.len();
    model.fake.run(THIRDS_THREAD);
    model.interrupt(THREAD);
    assert!(model.fake.port(TRACE).queue.len() > before);
    assert_eq!(model.state.rings.owed(0), 0);
}
