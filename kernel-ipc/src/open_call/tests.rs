//! The word: what one part of it says, no other one changes.

use super::*;
use crate::gnumach::{Kmsg, OwnedKmsg};

#[test]
fn a_thread_that_does_nothing_has_nothing() {
    for call in [OpenCall::NONE, OpenCall::from_word(0), OpenCall::default()] {
        assert!(call.word() == 0 && !call.has_draft());
        assert!(!call.is_open() && !call.has_to_flush() && !call.has_received());
        assert_eq!(call.into_draft(), None);
    }
}

#[test]
fn what_the_stubs_write_is_an_open_call() {
    let period = CallWord::next_period(0);
    // SAFETY: a period.
    let call = OpenCall(unsafe { CallWord::of(period, period) });
    assert_eq!(call, OpenCall::OPEN);
    assert!(call.is_open() && !call.has_to_flush() && !call.has_received() && !call.has_draft());
}

#[test]
fn flags_and_draft_keep_out_of_each_others_way() {
    for address in [0xffff_ffff_8000_0000, 0xffff_ffff_9000_0008, 0xffff_ffff_ffff_fff8] {
        let draft = || Some(Draft::of(OwnedKmsg::fake(Kmsg::fake(address))));
        assert!(draft().is_some());
        let calls = [OpenCall::NONE, OpenCall::OPEN, OpenCall::OPEN.flushing(), OpenCall::OPEN.received().flushing()];
        for call in calls {
            let word = call.without_draft().with_draft(draft()).word();
            let with = || OpenCall::from_word(word);
            assert!(with().has_draft());
            assert_eq!(with().into_draft(), draft(), "{address:#x}");
            let flags = |call: &OpenCall| (call.is_open(), call.has_to_flush(), call.has_received());
            assert_eq!(flags(&with()), flags(&call));
            assert_eq!(with().without_draft(), call);
            assert_eq!(with().flushing().without_flush().into_draft(), draft());
            assert!(with().flushing().has_to_flush() && !with().without_flush().has_to_flush());
            assert!(with().received().has_received());
        }
    }
}

#[test]
fn flags_say_something_in_their_own_period_only() {
    let periods = [CallWord::next_period(0), CallWord::next_period(CallWord::next_period(0)), 0x7fff_fff9];
    assert_eq!(CallWord::next_period(0x7fff_fff9), 1);
    for (index, &period) in periods.iter().enumerate() {
        let in_period = |word: u32, period: u32| {
            // SAFETY: the words of this test have no kmsg.
            OpenCall(unsafe { CallWord::of(word, period) })
        };
        let later = periods[(index + 1) % periods.len()];
        for call in [OpenCall::NONE, OpenCall::OPEN, OpenCall::OPEN.received(), OpenCall::NONE.flushing()] {
            let word = call.0.kept(period);
            assert_eq!(word == 0, call == OpenCall::NONE, "what the stubs look at");
            let then = in_period(word, later);
            assert!(!then.is_open() && !then.has_received() && !then.has_draft());
            assert_eq!(then.has_to_flush(), call.has_to_flush(), "somebody still waits for that");
            assert_eq!(in_period(word, period), call);
        }
    }
}

#[test]
fn a_draft_is_right_in_any_period() {
    let draft = || Some(Draft::of(OwnedKmsg::fake(Kmsg::fake(0xffff_ffff_9000_0008))));
    let word = OpenCall::OPEN.with_draft(draft()).0.kept(9);
    // SAFETY: what was kept, once.
    let then = OpenCall(unsafe { CallWord::of(word, 17) });
    assert!(then.is_open());
    assert_eq!(then.into_draft(), draft());
}
