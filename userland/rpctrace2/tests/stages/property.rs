// SPDX-License-Identifier: GPL-2.0-or-later
//! Whatever bytes come, a trace goes on: no panic, and only printable text.

use crate::common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use trace_port::Direction;

/// A message: any bytes, or a known header before any bytes, or a sound one with some bytes changed.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let sound = Message::request(7009, 7).port(MOVE_SEND, 8).data(&[1, 2, 3]).memory(0x2000, 8192).done();
    let described = Message::reply(7111, REPLY).int(0).words(&[5, 6]).ints(&[1, 2]).done();
    let header = (any::<u32>(), 0..12_u64, 0..12_u64, prop_oneof![6995..7120_u32, 60..80_u32, any::<u32>()]);
    let built = (header, vec(any::<u8>(), 0..96)).prop_map(|((bits, remote, local, id), body)| {
        let mut bytes = Message::request_from(id, remote, local).done();
        bytes[..4].copy_from_slice(&bits.to_le_bytes());
        bytes.extend(body);
        bytes
    });
    let damaged = (0..2_usize, vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), any::<prop::sample::Index>());
    let damaged = damaged.prop_map(move |(which, changes, end)| {
        let mut bytes = if which == 0 { sound.clone() } else { described.clone() };
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        bytes
    });
    prop_oneof![vec(any::<u8>(), 0..64), built, damaged]
}

fn sample() -> impl Strategy<Value = Sample> {
    let retval = prop_oneof![4 => Just(0), 1 => Just(0x1000_4004), 1 => any::<u32>()];
    let sequence = prop_oneof![8 => 1..200_u64, 1 => any::<u64>()];
    (message(), any::<bool>(), retval, sequence, 1..4_u32, 0..3_u32, any::<u64>()).prop_map(
        |(message, sent, retval, sequence, task, dropped, time)| {
            let direction = if sent { Direction::Send } else { Direction::Receive };
            Sample::raw(direction, &message)
                .retval(retval)
                .sequence(sequence)
                .task(task)
                .dropped(dropped)
                .correlation(sequence % 7)
                .time(time)
        },
    )
}

/// A call or its answer, of one of two tasks with two threads each.
pub(crate) fn exchange() -> impl Strategy<Value = Vec<Sample>> {
    let request = (prop_oneof![Just(7000_u32), Just(7001), Just(7005), Just(7008)], 3..6_u64);
    let fails = prop_oneof![3 => Just(0), 1 => Just(5)];
    (request, 1..3_u32, 0..2_u32, 0..4_u8, any::<bool>(), fails).prop_map(
        |((id, reply), task, thread, ends, correlated, fails)| {
            let of = |sample: Sample| {
                let sample = sample.task(task).thread(1000 * task + thread);
                sample.correlation(if correlated { reply } else { 0 })
            };
            let port = if id == 7008 { 7 } else { SELF };
            let asked = of(Sample::sent(Message::request_from(id, port, reply).int(3)));
            let answered = of(Sample::received(Message::reply(id + 100, reply).int(fails).int(6)));
            match ends {
                0 => vec![asked],
                1 => vec![answered],
                _ => vec![asked, answered],
            }
        },
    )
}

/// The text of a trace, after a call that nobody wants to see: answered, or, so that nothing is passed over, not.
fn text(arguments: &[&str], is_answered: bool, exchanges: &[Vec<Sample>]) -> Vec<String> {
    let call = Sample::sent(Message::request_from(7007, 10, 99).chars(b"x"));
    let answer = Sample::received(Message::reply(7107, if is_answered { 99 } else { 98 }).int(0).int(1));
    let mut all = vec![call, answer];
    let timed = exchanges.iter().flatten().enumerate();
    all.extend(timed.map(|(index, sample)| sample.clone().time(1000 * (index as u64 + 1))));
    lines(arguments, &all)
}

proptest! {
    #[test]
    fn what_is_passed_over_changes_no_line(
        exchanges in vec(exchange(), 1..30),
        names in prop_oneof![Just("vm_protect"), Just("none"), Just("!vm_allocate,device_write_inband"), Just("echo,mach_msg"), Just("7108")],
    ) {
        let text = |is_answered| text(&["-e", names], is_answered, &exchanges);
        prop_assert_eq!(text(true), text(false));
    }

    #[test]
    fn what_is_passed_over_is_counted(
        exchanges in vec(exchange(), 1..30),
        arguments in prop_oneof![Just(&["-c"][..]), Just(&["-c", "-e", "vm_protect,device_write_inband"][..])],
    ) {
        let text = |is_answered| text(arguments, is_answered, &exchanges);
        prop_assert_eq!(text(true), text(false));
    }

    #[test]
    fn any_bytes_make_lines(samples in vec(sample(), 1..40), flags in 0..5_usize) {
        let mut trace = usual_trace([&["-T"][..], &["-vx"], &["-c"], &["-Cs0", "-tt"], &[]][flags]);
        let mut out = String::new();
        for sample in &samples {
            sample.feed(&mut trace, &mut out);
            if sample.header.time.get() % 5 == 0 {
                trace.idle(&mut out);
            }
        }
        trace.exited(0, &mut out);
        trace.finish(&mut out);
        prop_assert!(!trace.is_waiting());
        prop_assert!(out.ends_with('\n'));
        let odd = out.chars().find(|c| !matches!(c, ' '..='~' | '\n'));
        prop_assert_eq!(odd, None, "{}", out);
    }

    #[test]
    fn whatever_comes_to_the_trace_port_the_records_go_on(
        mut wire in sample().prop_map(|sample| sample.wire()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        forged in vec(any::<u8>(), 0..200),
    ) {
        for (at, byte) in changes {
            *at.get_mut(&mut wire) = byte;
        }
        let mut trace = trace(&[]);
        let mut out = String::new();
        trace.message(&forged.into(), &mut out);
        trace.message(&wire.into(), &mut out);
        let ping = Sample::sent(Message::request_from(7014, 2, 0)).task(77).sequence(u64::MAX);
        trace.message(&ping.wire().into(), &mut out);
        trace.finish(&mut out);
        prop_assert!(out.contains("host_ping(host: host) = MACH_MSG_SUCCESS"), "{}", out);
    }

    #[test]
    fn every_prefix_of_a_message_makes_a_line(length in 0..113_usize) {
        let whole = Message::request(7009, 7).port(MOVE_SEND, 8).data(&[1, 2, 3]).memory(0x2000, 8192).done();
        let found = lines(&[], &[Sample::raw(Direction::Send, &whole[..length.min(whole.len())])]);
        prop_assert!(found[0].starts_with("hello[1] "), "{:?}", found);
        // Below it only what could not be decoded.
        prop_assert!(found[1..].iter().all(|row| row.starts_with(" | ")), "{:?}", found);
        prop_assert!(found.len() <= 1 + length.div_ceil(16), "{:?}", found);
    }
}
