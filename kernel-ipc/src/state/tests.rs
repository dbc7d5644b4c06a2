// SPDX-License-Identifier: GPL-2.0-or-later
//! The table of traces, the numbers that are given out, and when the kernel is left alone again.

use super::*;
use crate::gnumach::fake::{CHILD, Fake, TASK, THIRD, TRACE};
use crate::gnumach::{Ports, Tasks};
use crate::table::{Asked, CAPACITY};

/// Consumes no right of the tracer's.
fn set(fake: &Fake, state: &State, task: Task) -> Result<Released, Refusal> {
    let right = fake.ipc_port_copy_send(TRACE).expect("a live port");
    state.set(fake, task, right, |_| true).map_err(|(refusal, right)| {
        fake.ipc_port_release_send(right);
        refusal
    })
}

/// The task has no entry yet.
fn begin(fake: &Fake, state: &State, task: Task) {
    assert_eq!(set(fake, state, task), Ok(Released::NOTHING));
}

fn remove(fake: &Fake, state: &State, task: Task) {
    let entry = state.remove(fake, task);
    assert!(!entry.is_nothing());
    entry.release(fake);
}

#[test]
fn without_room_a_task_is_refused_and_a_place_that_becomes_free_is_used_again() {
    let (fake, state) = (Fake::new(), State::new());
    let task = |index: usize| Task::fake(0x10_0000 + index);
    for index in 0..64 {
        begin(&fake, &state, task(index));
    }
    assert_eq!(fake.rooms.get(), 1);
    fake.script.borrow_mut().no_room = true;
    assert_eq!(set(&fake, &state, TASK), Err(Refusal::Full));
    assert_eq!((fake.task_entry(TASK), fake.rights(TRACE)), (0, 65));
    remove(&fake, &state, task(3));
    begin(&fake, &state, TASK);
    assert_eq!(place(&fake, TASK), 4);
    fake.script.borrow_mut().no_room = false;
    begin(&fake, &state, task(3));
    assert_eq!((place(&fake, task(3)), fake.rooms.get()), (65, 2));
    assert_eq!(fake.rights(TRACE), 1 + 65);
}

/// What has been taken for entries is never given back.
#[test]
fn no_room_is_taken_for_a_table_that_cannot_grow() {
    let (fake, state) = (Fake::new(), State::new());
    for index in 0..CAPACITY {
        begin(&fake, &state, Task::fake(0x10_0000 + index));
    }
    let rooms = fake.rooms.get();
    for _ in 0..3 {
        assert_eq!(set(&fake, &state, TASK), Err(Refusal::Full));
    }
    assert_eq!(fake.rooms.get(), rooms);
}

/// What a task keeps of its entry may be another one's by now.
#[test]
fn an_entry_used_again_by_another_task_is_not_mistaken() {
    let (fake, state) = (Fake::new(), State::new());
    begin(&fake, &state, TASK);
    let old = state.key(&fake, TASK).unwrap();
    remove(&fake, &state, TASK);
    begin(&fake, &state, CHILD);
    let new = state.key(&fake, CHILD).unwrap();
    assert_eq!((old.entry, old.number.get(), new.entry, new.number.get()), (1, 1, 1, 2));
    // A task that still thinks it has the entry.
    fake.set_task_entry(TASK, 1);
    assert_eq!(state.key(&fake, TASK), None);
    assert!(state.target(&fake, TASK, true, || Asked::ANYTHING).is_none());
    assert_eq!(state.send_right(&fake, TASK), TracePort::None);
    assert!(state.remove(&fake, TASK).is_nothing());
    // Losses of the old one are counted in all, but told by nobody.
    assert_eq!(state.add_dropped(&fake, old, 2, 1), (1, false));
    assert_eq!((state.take_dropped(old), state.take_dropped(new)), (0, 0));
    assert_eq!(state.add_dropped(&fake, new, 2, 1), (2, true));
    assert_eq!((state.take_dropped(new), state.take_dropped(new), state.lost()), (3, 0, 2));
    // And there is no spare for it.
    let kmsg = fake.kmsg(&[0; 64]);
    fake.memory(kmsg).bytes[8..16].copy_from_slice(&(TRACE.address() as u64).to_le_bytes());
    let owned = || OwnedKmsg::fake(kmsg);
    assert_eq!(state.keep_spare(&fake, old, owned()), Err(owned()));
    assert_eq!(state.keep_spare(&fake, new, owned()), Ok(()));
    assert_eq!(state.keep_spare(&fake, new, owned()), Err(owned()));
    let target = state.target(&fake, CHILD, true, || Asked::ANYTHING).unwrap();
    assert!(matches!(target.way, Way::Memory(memory) if memory == owned()));
}

#[test]
fn numbers_out_of_range_are_no_entries() {
    let (fake, state) = (Fake::new(), State::new());
    begin(&fake, &state, TASK);
    for entry in [2, CAPACITY as u32 + 1, 0x7fff_ffff] {
        fake.set_task_entry(CHILD, entry);
        assert_eq!(state.key(&fake, CHILD), None);
        assert_eq!(state.take_dropped(Key { entry, number: TaskNumber::new(1) }), 0);
    }
    assert_eq!(state.take_dropped(Key { entry: 0, number: TaskNumber::new(1) }), 0);
}

#[test]
fn a_spare_is_for_the_port_it_goes_to_and_says_that_it_is_there() {
    let (fake, state) = (Fake::new(), State::new());
    begin(&fake, &state, TASK);
    let key = state.key(&fake, TASK).unwrap();
    let kmsg = fake.kmsg(&[1; 64]);
    let owned = || OwnedKmsg::fake(kmsg);
    assert_eq!(state.keep_spare(&fake, key, owned()), Err(owned()), "to another port");
    fake.memory(kmsg).bytes[8..16].copy_from_slice(&(TRACE.address() as u64).to_le_bytes());
    assert!(!State::has_spare(fake.task_entry(TASK)));
    assert_eq!(state.keep_spare(&fake, key, owned()), Ok(()));
    assert!(State::has_spare(fake.task_entry(TASK)));
    assert_eq!(state.key(&fake, TASK), Some(key), "the same trace");
    let large = state.target(&fake, TASK, false, || Asked::ANYTHING).unwrap();
    assert_eq!(large.key, key);
    let Way::Right(right) = large.way else { panic!("{large:?}") };
    assert_eq!(right.port(), TRACE);
    fake.ipc_port_release_send(right);
    let small = state.target(&fake, TASK, true, || Asked::ANYTHING).unwrap();
    assert!(matches!(small.way, Way::Memory(memory) if memory == owned()));
    assert!(!State::has_spare(fake.task_entry(TASK)));
    assert_eq!(state.keep_spare(&fake, key, owned()), Ok(()));
    let old = Released { right: Some(SendRight::fake(TRACE)), spare: Some(owned()), number: key.number, dropped: 0 };
    assert_eq!(set(&fake, &state, TASK), Ok(old), "it ends with the port");
    assert!(!State::has_spare(fake.task_entry(TASK)));
}

#[test]
fn what_was_lost_goes_with_the_target() {
    let (fake, state) = (Fake::new(), State::new());
    begin(&fake, &state, TASK);
    let key = state.key(&fake, TASK).unwrap();
    state.add_dropped(&fake, key, 0, 4);
    let dropped = |state: &State| {
        let target = state.target(&fake, TASK, true, || Asked::ANYTHING).unwrap();
        let Way::Right(right) = target.way else { panic!("{target:?}") };
        fake.ipc_port_release_send(right);
        target.dropped
    };
    assert_eq!((dropped(&state), dropped(&state)), (4, 0));
}

#[test]
fn the_path_is_watched_from_the_first_trace_to_the_last_trace_and_draft() {
    let (fake, state) = (Fake::new(), State::new());
    begin(&fake, &state, TASK);
    begin(&fake, &state, CHILD);
    state.draft_opened();
    state.draft_opened();
    state.draft_closed(&fake);
    remove(&fake, &state, TASK);
    remove(&fake, &state, CHILD);
    assert!(!state.any_traced());
    assert_eq!(*fake.redirected.borrow(), [true], "a draft is still open");
    state.draft_closed(&fake);
    assert_eq!(*fake.redirected.borrow(), [true, false]);
    // The other way round, and with a trace that begins while a draft is open.
    begin(&fake, &state, TASK);
    state.draft_opened();
    remove(&fake, &state, TASK);
    begin(&fake, &state, THIRD);
    state.draft_closed(&fake);
    assert!(fake.is_redirected());
    remove(&fake, &state, THIRD);
    assert!(!fake.is_redirected());
}

#[test]
fn tasks_and_threads_get_numbers_of_their_own() {
    let (fake, state) = (Fake::new(), State::new());
    for number in 1..=3 {
        begin(&fake, &state, TASK);
        assert_eq!(state.key(&fake, TASK).unwrap().number.get(), number, "a trace that begins anew is another");
        remove(&fake, &state, TASK);
    }
    assert_eq!((state.numbers.next_thread().get(), state.numbers.next_thread().get()), (1, 2));
    assert_eq!((state.next_sequence(), state.next_sequence()), (1, 2));
    assert_eq!((state.next_correlation().get(), state.next_correlation().get()), (1, 2));
}

#[test]
fn a_correlation_number_is_known_by_its_lower_half_across_a_wrap() {
    let state = State::new();
    for last in [1, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, 0x7_0000_0001] {
        state.correlation.store(last, Relaxed);
        for back in [0, 1, 4, 0xffff_fffe].into_iter().filter(|&back| back < last) {
            let number = last - back;
            assert_eq!(
                state.whole_correlation(Correlation::new(number).half()).get(),
                number,
                "{number:#x} of {last:#x}"
            );
        }
    }
}
