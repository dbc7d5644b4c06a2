// SPDX-License-Identifier: GPL-2.0-or-later
//! The mark of a thread that delivers a record.

use super::*;
use crate::gnumach::Threads;
use crate::gnumach::fake::{TASK, THREAD};
use crate::hooks::model::Model;

#[test]
fn what_queues_a_record_is_known_as_such() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    fake.run(THREAD);
    fake.set_thread_message(THREAD, 0x9000_0010);
    assert!(!is_emitting(fake));
    for mark in [EMITS, WAITS] {
        quietly(fake, mark, || {
            assert!(is_emitting(fake));
            assert_eq!(is_waiting(fake, THREAD), mark == WAITS);
        });
        assert_eq!(fake.thread_message(THREAD), 0x9000_0010);
    }
    assert!(state.any_traced());
    fake.set_thread_message(THREAD, 0);
    model.assert_ends_clean();
}
