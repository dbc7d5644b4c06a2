// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace that is kept in a capture, and made again of it: the text is the same, whatever the options were and are.

use bytes::Bytes;
use capture::{Facts, Reader, Writer};
use exchanges::Injected;
use exchanges::ending::Untraced;
use exchanges::fate::Told;
use proptest::collection::vec;
use proptest::prelude::*;
use rpctrace2::Trace;
use rpctrace2::replay::Replay;

use crate::common::*;
use crate::mixture;

/// What comes to a trace.
#[derive(Clone, Debug)]
enum Came {
    /// So many messages, after so many that are lost.
    Messages(u64, u64),
    TooLarge,
    Stray(Vec<u8>),
    Called,
    Idle,
    Ended(u32),
    Untraced(Untraced),
    EndedSo(Told),
    EndUnknown,
    Left,
    Interrupted,
    Detached,
    /// Something was made of the message with this sequence number.
    Injected(u64, Injected),
    TakenOver,
    Mark,
    /// What has come is written.
    Pause,
}

fn injected() -> impl Strategy<Value = Injected> {
    prop_oneof![Just(Injected::Failure(0x1000_0003)), any::<i32>().prop_map(Injected::Reply), Just(Injected::Delay),]
}

fn came() -> impl Strategy<Value = Came> {
    let untraced = [Untraced::Cleared, Untraced::Replaced, Untraced::EngineEnded, Untraced::SetId].to_vec();
    prop_oneof![
        6 => (1..30_u64, prop_oneof![3 => Just(0), 1 => 0..4_u64]).prop_map(|(count, lost)| Came::Messages(count, lost)),
        1 => Just(Came::TooLarge),
        1 => vec(any::<u8>(), 0..60).prop_map(Came::Stray),
        1 => Just(Came::Called),
        2 => Just(Came::Idle),
        1 => (0..3_u32).prop_map(Came::Ended),
        1 => prop::sample::select(untraced).prop_map(Came::Untraced),
        1 => prop_oneof![Just(Told::Exited(3)), Just(Told::Signaled("SIGSEGV"))].prop_map(Came::EndedSo),
        1 => Just(Came::EndUnknown),
        1 => Just(Came::Left),
        1 => Just(Came::Interrupted),
        1 => Just(Came::Detached),
        2 => (0..60_u64, injected()).prop_map(|(sequence, injected)| Came::Injected(sequence, injected)),
        1 => Just(Came::TakenOver),
        1 => Just(Came::Mark),
        1 => Just(Came::Pause),
    ]
}

/// Has all this come to a trace; answers its text. `idles`: whether it hears of it when nothing comes, as one does that waits.
fn feed(trace: &mut Trace<'_>, came: &[Came]) -> String {
    let mut out = String::new();
    let mut messages = mixture::messages(1000);
    trace.attach(Some("a task"));
    for came in came {
        match came {
            Came::Messages(count, lost) => {
                messages.by_ref().skip(*lost as usize).take(*count as usize).for_each(|message| {
                    trace.message(&message, &mut out);
                });
            }
            Came::TooLarge => trace.too_large(5000, 1 << 20, &mut out),
            Came::Stray(bytes) => trace.message(&Bytes::from(bytes.clone()), &mut out),
            Came::Called => trace.call(1, "another name"),
            Came::Idle => {
                if trace.is_waiting() {
                    trace.idle(&mut out);
                }
            }
            Came::Ended(task) => trace.ended(*task, &mut out),
            Came::Untraced(now) => trace.untraced(*now, &mut out),
            Came::EndedSo(told) => trace.ended_so(*told, &mut out),
            Came::EndUnknown => trace.end_unknown("(ipc/mig) bad request message ID", &mut out),
            Came::Left => trace.left(&mut out),
            Came::Interrupted => trace.interrupted(&mut out),
            Came::Detached => trace.detached(&mut out),
            Came::Injected(sequence, injected) => trace.inject(*sequence, *injected),
            Came::TakenOver => trace.taken_over(&"rpctrace2, process 7", &mut out),
            Came::Mark => trace.mark("a process has as many engines as there may be", &mut out),
            Came::Pause => trace.capture().into_iter().for_each(Writer::end_block),
        }
    }
    trace.finish(&mut out);
    out
}

/// The text of what a trace with these options kept, with others.
pub(crate) fn shown(file: &[u8], arguments: &[&str]) -> String {
    let mut reader = Reader::new(file);
    let (mut replay, mut out) = (Replay::default(), String::new());
    let mut trace = usual_trace(arguments);
    reader.contents().expect("facts and tables");
    while let Some(block) = reader.next_block().expect("a whole file") {
        replay.block(&block.contents.into(), &mut trace, &mut out).expect("entries");
    }
    replay.end(&mut trace, &mut out);
    out
}

fn options() -> impl Strategy<Value = &'static [&'static str]> {
    prop::sample::select(vec![
        &[][..],
        &["-Xraw"],
        &["-c"],
        &["-C", "-v"],
        &["-Z", "-t"],
        &["-e", "vm_protect,task_set_name", "-T"],
        &["-e", "none"],
        &["-r", "--dump-messages"],
    ])
}

proptest! {
    #[test]
    fn what_is_shown_of_a_trace_is_what_was_printed(
        came in vec(came(), 0..20), recorded in options(), wanted in options()
    ) {
        let mut recording = usual_trace(recorded);
        recording.keep(Writer::new(64, &Facts::default(), b""));
        let printed = feed(&mut recording, &came);
        let file = recording.capture().expect("it is kept").bytes().to_vec();
        prop_assert_eq!(shown(&file, recorded), printed);
        // As a trace with the other options would have been, if it had heard of the same.
        let mut other = usual_trace(wanted);
        other.keep(Writer::new(64, &Facts::default(), b""));
        prop_assert_eq!(shown(&file, wanted), feed(&mut other, &came));
    }
}
