// SPDX-License-Identifier: GPL-2.0-or-later
//! The word: what one part of it says, no other one changes.

use super::*;
use crate::gnumach::fake::Fake;
use crate::gnumach::{Kmsg, OwnedKmsg, Threads};

/// A kernel whose path has been led through the payload so often.
fn kernel(times: usize) -> Fake {
    let fake = Fake::new();
    (0..times).for_each(|_| fake.redirect(true));
    fake
}

#[test]
fn a_thread_that_does_nothing_has_nothing() {
    let kernel = kernel(1);
    for call in [OpenCall::NONE, OpenCall::from_word(0), OpenCall::default()] {
        assert!(call.word() == 0 && !call.has_draft());
        assert!(!call.is_open(&kernel) && !call.has_to_flush() && !call.has_received());
        assert_eq!(call.without_draft(&kernel).word(), 0);
        assert_eq!(call.into_draft(), None);
    }
}

#[test]
fn what_the_stubs_write_is_an_open_call() {
    let kernel = kernel(3);
    let call = OpenCall::from_word(kernel.period());
    assert_eq!(call, OpenCall::open(&kernel));
    assert!(call.is_open(&kernel) && !call.has_to_flush() && !call.has_received() && !call.has_draft());
}

#[test]
fn flags_and_draft_keep_out_of_each_others_way() {
    let kernel = &kernel(2);
    for address in [0xffff_ffff_8000_0000, 0xffff_ffff_9000_0008, 0xffff_ffff_ffff_fff8] {
        let draft = || Some(Draft::of(OwnedKmsg::fake(Kmsg::fake(address))));
        assert!(draft().is_some());
        let open = || OpenCall::open(kernel);
        for call in [open(), open().flushing(), open().received().flushing()] {
            let word = call.bare().with_draft(kernel, draft()).word();
            let with = || OpenCall::from_word(word);
            assert!(with().has_draft());
            assert_eq!(with().into_draft(), draft(), "{address:#x}");
            let flags = |call: &OpenCall| (call.is_open(kernel), call.has_to_flush(), call.has_received());
            assert_eq!(flags(&with()), flags(&call));
            assert_eq!(with().without_draft(kernel), call);
            assert_eq!(with().flushing().without_flush().into_draft(), draft());
            assert!(with().flushing().has_to_flush() && !with().without_flush().has_to_flush());
            assert!(with().received().has_received());
        }
    }
    assert_eq!(OpenCall::NONE.flushing().without_flush(), OpenCall::NONE, "what the stubs look at");
}

#[test]
fn flags_say_something_in_their_own_period_only() {
    let (kernel, later) = (kernel(1), kernel(2));
    for call in [OpenCall::open(&kernel), OpenCall::open(&kernel).received()] {
        assert!(call.is_open(&kernel) && !call.is_open(&later));
        assert_eq!(call.forgotten(), OpenCall::NONE);
        assert!(!call.without_draft(&later).is_open(&later), "a hand-off does not make it one of this period");
        assert!(!call.flushing().without_flush().is_open(&later));
    }
    let flushing = OpenCall::open(&kernel).flushing().forgotten();
    assert!(flushing.has_to_flush() && !flushing.is_open(&later), "somebody still waits for that");
}

#[test]
fn periods_differ_and_are_no_drafts() {
    assert_eq!(CallWord::next_period(0x7fff_fff9), 9, "the last one before they begin again");
    let periods: std::vec::Vec<u32> = (0..5).map(|times| kernel(times).period()).collect();
    assert_eq!(periods, [0, 9, 17, 25, 33]);
}

#[test]
fn a_draft_is_right_in_any_period() {
    let draft = || Some(Draft::of(OwnedKmsg::fake(Kmsg::fake(0xffff_ffff_9000_0008))));
    let call = OpenCall::open(&kernel(1)).with_draft(&kernel(1), draft());
    assert!(call.is_open(&kernel(2)));
    assert!(call.without_draft(&kernel(2)).is_open(&kernel(2)));
    assert_eq!(call.into_draft(), draft());
}
