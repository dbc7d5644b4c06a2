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
    let call = OpenCall::from_word(1);
    assert_eq!(call, OpenCall::OPEN);
    assert!(call.is_open() && !call.has_to_flush() && !call.has_received() && !call.has_draft());
}

#[test]
fn flags_and_draft_keep_out_of_each_others_way() {
    for address in [0x1000_0008_usize, 0x7fff_fff8, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_fff8] {
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
