// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that cannot be made or sent: every right and every piece of memory that they took over is given back once.

use crate::error::KernReturn;
use crate::memory::{self, OutOfLine};
use crate::mig::{CHAR, COPY_SEND, Complexity, INTEGER_32, MOVE_RECEIVE, MOVE_SEND, MOVE_SEND_ONCE, Outgoing};
use crate::port::{Disposition, PortName, ReceiveRight, SendOnceRight, SendRight};
use crate::stand_in::{delivered, kernel, kernel_says, released, request_of};
use crate::{Lists, SERVER, lists, lists_server, send_rights};

type Put = fn(&mut Outgoing<'_>);

/// What a stub can put that has an owner, in an order that mixes rights with what is none; the rights 3 to 12.
const PUTS: [Put; 11] = [
    |request| request.put_right(MOVE_SEND, send(3)),
    |request| request.put(INTEGER_32, 97),
    |request| request.put_rights(MOVE_SEND_ONCE, [4, 5].map(|name| SendOnceRight::from_name(PortName(name))), 4),
    |request| request.put_far_rights(MOVE_RECEIVE.out_of_line(), [ReceiveRight::from_name(PortName(6))]),
    |request| request.put_text(CHAR, "text", 10),
    |request| request.put_far_rights(MOVE_SEND.out_of_line().dealloc(), [7, 8].map(send)),
    |request| request.put_given(CHAR.out_of_line(), OutOfLine::copy_of(b"given").expect("a copy")),
    |request| request.put_lent(INTEGER_32.out_of_line(), &[1, 2, 3]),
    |request| request.put_either_rights(MOVE_SEND, [9, 10, 11].map(send), 2),
    // Copied, and so still the caller's.
    |request| request.put_right(COPY_SEND, PortName(98)),
    |request| request.put_right(MOVE_SEND_ONCE, SendOnceRight::from_name(PortName(12))),
];

fn send(name: u32) -> SendRight {
    SendRight::from_name(PortName(name))
}

fn sorted(mut names: Vec<u32>) -> Vec<u32> {
    names.sort_unstable();
    names
}

/// A request to the right 1, with a reply to the right 2, with what `PUTS` has and what `between` does before the item `at`.
fn request(words: &mut [u64], at: usize, between: impl Fn(&mut Outgoing<'_>)) -> Outgoing<'_> {
    let mut request = Outgoing::request(words, 100, send(1), Disposition::MoveSend);
    request.set_reply_port(SendOnceRight::from_name(PortName(2)), Disposition::MoveSendOnce);
    for (index, put) in PUTS.iter().enumerate() {
        if index == at {
            between(&mut request);
        }
        put(&mut request);
    }
    if at == PUTS.len() {
        between(&mut request);
    }
    request
}

#[test]
fn a_request_that_cannot_be_made_gives_back_all_that_it_took_over() {
    kernel(|_| panic!("nothing is sent"));
    let faults: [Put; 4] = [
        |request| request.put_array(INTEGER_32, &[0; 17], 16),
        |request| request.put_fixed_text(CHAR.times(4), "four", 4),
        |request| request.put_text(CHAR, "four", 4),
        |request| request.put_rights(MOVE_SEND, [13, 14].map(send), 1),
    ];
    for (number, fault) in faults.iter().enumerate() {
        for at in 0..=PUTS.len() {
            for one_way in [false, true] {
                let mut words = [0; 128];
                let request = request(&mut words, at, fault);
                let error = match one_way {
                    true => request.send().err(),
                    false => request.call(32..=48, Complexity::Varies).map(drop).err(),
                };
                assert_eq!(error, Some(KernReturn::MIG_ARRAY_TOO_LARGE), "fault {number} before item {at}");
                let last = if number == 3 { 14 } else { 12 };
                assert_eq!(sorted(released()), (1..=last).collect::<Vec<u32>>(), "fault {number} before item {at}");
                assert_eq!(memory::mapped(), 0, "fault {number} before item {at}");
            }
        }
    }
}

#[test]
fn a_buffer_that_is_too_small_is_a_fault_like_any_other() {
    kernel(|_| panic!("nothing is sent"));
    let mut whole = [0; 128];
    kernel_says(|_, _| Ok(Vec::new()));
    request(&mut whole, 0, |_| ()).send().expect("sent");
    let size = request_of().len();
    assert_eq!((size, released(), memory::mapped()), (4 + 21 + 2, vec![], 0));
    for words in 4..size {
        let error = request(&mut whole[..words], 0, |_| ()).send();
        assert_eq!(error.err(), Some(KernReturn::MIG_ARRAY_TOO_LARGE), "{words} words");
        assert_eq!(sorted(released()), (1..=12).collect::<Vec<u32>>(), "{words} words");
        assert_eq!(memory::mapped(), 0, "{words} words");
    }
}

#[test]
fn what_the_kernel_did_not_take_is_given_back_and_no_more() {
    for (code, taken) in [
        (KernReturn::MACH_SEND_INVALID_DEST, false),
        (KernReturn::MACH_SEND_INVALID_REPLY, false),
        (KernReturn::MACH_SEND_INVALID_HEADER, false),
        // Some of them may be gone.
        (KernReturn::MACH_SEND_INVALID_RIGHT, true),
        (KernReturn::MACH_RCV_TIMED_OUT, true),
    ] {
        kernel_says(move |_, _| Err(code.to_mach_msg()));
        let mut words = [0; 128];
        let error = request(&mut words, 0, |_| ()).call(32..=48, Complexity::Varies).map(drop).err();
        assert_eq!(error, Some(code));
        let all = if taken { Vec::new() } else { (1..=12).collect() };
        assert_eq!(sorted(released()), all, "{code}");
        assert_eq!(memory::mapped(), 0, "{code}");
    }
}

#[test]
fn a_reply_without_room_gives_back_what_it_would_have_brought() {
    kernel(|_| None);
    let _ = lists::rights(SERVER, send_rights(51..53));
    let request = delivered(&request_of());
    let mut fits = 0;
    for words in 6..64 {
        let mut reply = vec![0; words];
        assert!(lists_server::demux(&mut Lists, &request, &mut reply));
        let code = reply[5] as u32 as i32;
        match code {
            0 => {
                fits += 1;
                // Descriptor of long form, two rights, a number.
                assert_eq!((reply[7], reply[8], released()), (51, 52, vec![]), "{words} words");
            }
            _ => {
                assert_eq!((code, reply[0] >> 32), (KernReturn::MIG_ARRAY_TOO_LARGE.0, 48), "{words} words");
                assert_eq!(sorted(released()), [51, 52], "{words} words");
            }
        }
    }
    assert_eq!(fits, 64 - 11, "from 11 words on");
}
