// SPDX-License-Identifier: GPL-2.0-or-later
//! The list of records that senders have left.

use std::vec::Vec;

use trace_port::{Direction, EventKind};

use super::*;
use crate::emit::{self, Content};
use crate::gnumach::fake::TASK;
use crate::gnumach::{Record, Records};
use crate::hooks::model::Model;
use crate::numbers::ThreadNumber;
use crate::observe::{Event, Moment};

fn draft(model: &Model) -> Draft {
    let moment = Moment { sequence: 1, time: 1 };
    let event = Event::other(Direction::Send, EventKind::Normal, ThreadNumber::new(1), moment);
    emit::draft(&model.fake, &model.state, &event, Content::NOTHING).expect("memory")
}

/// The kmsgs of what is taken.
fn taken(model: &Model, pending: &Pending) -> Vec<Record> {
    let mut taken = Vec::new();
    pending.take(&model.fake, |draft| {
        assert_eq!(model.fake.swap_link(draft.record(), None), None, "it is on no list when it is queued");
        taken.push(draft.record());
    });
    taken
}

#[test]
fn all_are_taken_once_in_the_order_in_which_they_were_left() {
    let (model, pending) = (Model::traced(&[TASK]), Pending::new());
    assert_eq!(taken(&model, &pending), []);
    for count in 1..=4 {
        let drafts: Vec<Draft> = (0..count).map(|_| draft(&model)).collect();
        let kmsgs: Vec<Record> = drafts.iter().map(Draft::record).collect();
        drafts.into_iter().for_each(|draft| pending.push(&model.fake, draft));
        assert_eq!(taken(&model, &pending), kmsgs);
        assert_eq!(taken(&model, &pending), []);
    }
}

#[test]
fn what_is_left_while_others_are_queued_is_there_for_the_next() {
    let (model, pending) = (Model::traced(&[TASK]), Pending::new());
    let (first, second) = (draft(&model), draft(&model));
    let (first_kmsg, second_kmsg) = (first.record(), second.record());
    let mut second = Some(second);
    pending.push(&model.fake, first);
    pending.take(&model.fake, |found| {
        assert_eq!(found.record(), first_kmsg);
        pending.push(&model.fake, second.take().expect("one draft was left"));
    });
    assert_eq!(taken(&model, &pending), [second_kmsg]);
}
