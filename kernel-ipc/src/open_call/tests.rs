//! The word: what one part of it says, no other one changes.

use super::*;

#[test]
fn a_thread_that_does_nothing_has_nothing() {
    for call in [OpenCall::NONE, OpenCall::from_word(0), OpenCall::default()] {
        assert_eq!((call.word(), call.draft()), (0, None));
        assert!(!call.is_open() && !call.has_to_flush() && !call.has_received());
    }
}

#[test]
fn what_the_stubs_write_is_an_open_call() {
    let call = OpenCall::from_word(1);
    assert_eq!(call, OpenCall::OPEN);
    assert!(call.is_open() && !call.has_to_flush() && !call.has_received() && call.draft().is_none());
}

#[test]
fn flags_and_draft_keep_out_of_each_others_way() {
    for address in [0x1000_0008_usize, 0x7fff_fff8, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_fff8] {
        let draft = Draft::from_address(address);
        assert!(draft.is_some());
        for call in [OpenCall::NONE, OpenCall::OPEN, OpenCall::OPEN.flushing(), OpenCall::OPEN.received().flushing()] {
            let with = OpenCall::from_word(call.with_draft(draft).word());
            assert_eq!(with.draft(), draft, "{address:#x}");
            let flags = |call: OpenCall| (call.is_open(), call.has_to_flush(), call.has_received());
            assert_eq!(flags(with), flags(call));
            assert_eq!(with.with_draft(None), call);
            assert_eq!(with.flushing().without_flush().draft(), draft);
            assert!(with.flushing().has_to_flush() && !with.without_flush().has_to_flush());
            assert!(with.received().has_received());
        }
    }
}
