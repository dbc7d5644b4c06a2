// SPDX-License-Identifier: GPL-2.0-or-later
//! Generated stubs against each other: the user's request, as a kernel would deliver it, into the server's `demux` and back.
//!
//! The goldens of good/ are compiled here, with the guest's own stub runtime on top of stand-ins for ports and `mach_msg`,
//! so that every right and every piece of memory can be counted.
#![cfg(feature = "compiler")]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    unfulfilled_lint_expectations,
    clippy::allow_attributes,
    reason = "the runtime and the stubs are made for a library and not used whole"
)]

extern crate alloc;

#[path = "../../../userland/mach/src/error.rs"]
mod error;
#[path = "../../../userland/mach/src/mig/mod.rs"]
mod mig;
#[path = "../stand_in/mod.rs"]
mod stand_in;

mod failing;
mod names;

use stand_in::{memory, port, sys};

mod types {
    include!("../good/golden/types.user.rs");
}
mod types_server {
    include!("../good/golden/types.server.rs");
}
mod arrays {
    include!("../good/golden/arrays.user.rs");
}
mod arrays_server {
    include!("../good/golden/arrays.server.rs");
}
mod lists {
    include!("../good/golden/lists.user.rs");
}
mod lists_server {
    include!("../good/golden/lists.server.rs");
}
mod ports {
    include!("../good/golden/ports.user.rs");
}
mod ports_server {
    include!("../good/golden/ports.server.rs");
}

use error::{KernReturn, Result};
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mig::{AnyRight, Data};
use port::{Disposition, PortName, ReceiveRight, SendOnceRight, SendRight};
use stand_in::{kernel, released, request_of, with_server};

const SERVER: PortName = PortName(0x100);

struct Types;

impl types_server::Server for Types {
    fn scalars(
        &mut self,
        server: PortName,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: bool,
        f: PortName,
        g: KernReturn,
        i: i32,
    ) -> Result<types_server::ScalarsOut> {
        assert_eq!((server, a, b, c, d, e, f), (SERVER, 200, 60_000, 4_000_000_000, u64::MAX, true, PortName(7)));
        assert_eq!(g, KernReturn(-5));
        Ok(types_server::ScalarsOut { h: [1, 2, 3], i: i - 1 })
    }

    fn structs(
        &mut self,
        _: PortName,
        a: types_server::small_t,
        b: types_server::short_t,
        c: types_server::mixed_t,
        d: types_server::wide_t,
    ) -> Result<types_server::StructsOut> {
        assert_eq!((a.a, a.b, a.c, b.a, b.b), (1, 2, 3, 4, 5));
        assert_eq!((c.a, c.b, c.c, c.d), (6, 7, [8, 9, 10, 11, 12], true));
        let e = types_server::nested_t { a: 1, b: d, c: types_server::short_t { a: 2, b: 3 }, d: PortName(4), e: -5 };
        Ok(types_server::StructsOut { d: types_server::wide_t { a: d.a + 1, ..d }, e, f: [[1, 2, 3], [4, 5, 6]] })
    }

    fn strings(&mut self, _: PortName, a: &[u8], b: &[u8], c: &[u8]) -> Result<[u8; 20]> {
        assert_eq!((a, b, c), (&b"seven.."[..6], &b"nineteen characters"[..], &b"eight888"[..]));
        let mut answer = [0; 20];
        answer[..4].copy_from_slice(b"fine");
        Ok(answer)
    }
}

#[test]
fn values_structs_and_strings_arrive() {
    with_server(|request, reply| types_server::demux(&mut Types, request, reply));
    let mut i = -3;
    let h = types::scalars(SERVER, 200, 60_000, 4_000_000_000, u64::MAX, true, PortName(7), KernReturn(-5), &mut i);
    assert_eq!((h, i), (Ok([1, 2, 3]), -4));

    let mut d = types::wide_t { a: 40, b: 1 << 40, c: 9 };
    let mixed = types::mixed_t { a: 6, b: 7, c: [8, 9, 10, 11, 12], d: true };
    let small = types::small_t { a: 1, b: 2, c: 3 };
    let out = types::structs(SERVER, small, types::short_t { a: 4, b: 5 }, mixed, &mut d).expect("served");
    assert_eq!(d, types::wide_t { a: 41, b: 1 << 40, c: 9 });
    assert_eq!((out.e.b.a, out.e.c.b, out.e.d, out.e.e), (40, 3, PortName(4), -5));
    assert_eq!(out.f, [[1, 2, 3], [4, 5, 6]]);

    let text = types::strings(SERVER, "seven.", b"nineteen characters", "eight888").expect("served");
    assert_eq!(&text[..5], b"fine\0");
    assert_eq!(types::strings(SERVER, "seven..", "", "").err(), Some(KernReturn::MIG_ARRAY_TOO_LARGE));
}

struct Arrays;

impl arrays_server::Server for Arrays {
    fn inline(
        &mut self,
        _: PortName,
        a: mig::Array<'_, u32>,
        b: &[u8],
        c: mig::Array<'_, arrays_server::pair_t>,
        d: u32,
    ) -> Result<()> {
        let pairs: Vec<_> = c.iter().map(|pair| (pair.a, pair.b)).collect();
        assert_eq!((a.iter().collect::<Vec<_>>(), b, pairs, d), (vec![1, 2, 3], &b"text"[..], vec![(5, 6)], 7));
        Ok(())
    }

    fn counted(&mut self, _: PortName, b: u32) -> Result<impl AsRef<[u32]>> {
        Ok((0..b).collect::<Vec<u32>>())
    }

    fn large(&mut self, _: PortName, a: &[u8]) -> Result<()> {
        assert_eq!(a.len(), 5000);
        Ok(())
    }
}

#[test]
fn arrays_arrive_and_bounds_hold() {
    with_server(|request, reply| arrays_server::demux(&mut Arrays, request, reply));
    let pair = arrays::pair_t { a: 5, b: 6 };
    assert_eq!(arrays::inline(SERVER, &[1, 2, 3], b"text", &[pair], 7), Ok(()));
    assert_eq!(arrays::inline(SERVER, &[0; 17], b"", &[], 0), Err(KernReturn::MIG_ARRAY_TOO_LARGE));
    let mut room = [9; 8];
    assert_eq!((arrays::counted(SERVER, &mut room, 5), room), (Ok(5), [0, 1, 2, 3, 4, 9, 9, 9]));
    // The request says how much room there is, and the server's own stub keeps to it.
    assert_eq!(arrays::counted(SERVER, &mut room[..2], 3), Err(KernReturn::MIG_ARRAY_TOO_LARGE));
    assert_eq!(arrays::large(SERVER, &[1; 5000]), Ok(()));
}

#[test]
fn memory_out_of_line_is_named_by_address_and_given_back_once() {
    let data = [1_u8; 100];
    let given = memory::OutOfLine::copy_of(&[7; 12]).expect("a copy");
    let _ = arrays::far(SERVER, &data, given, &[PortName(3), PortName(4)], Data::Lent(b"four"));
    let request = request_of();
    assert_eq!(request[4], 0x0000_0064_4000_0809);
    assert_eq!(request[5], data.as_ptr() as u64);
    // What was given goes with the message; the copy of the array of rights is gone with the call.
    assert_eq!((request[6], request[8], request[10]), (0x3_c000_2002, 0x2_4000_2013, 0x4_4000_0809));
    let given = memory::OutOfLine::copy_of(b"four").expect("a copy");
    let _ = arrays::far(SERVER, &data, memory::OutOfLine::copy_of(&[]).expect("none"), &[], Data::Given(given));
    assert_eq!(request_of()[10], 0x4_c000_0809);
    assert_eq!(memory::mapped(), 0);
    let _ = arrays::either(SERVER, &[0; 257]);
    let request = request_of();
    assert_eq!((request[4] >> 32, request[4] & (1 << 29)), (257, 0));
    let _ = arrays::either(SERVER, &[0; 256]);
    assert_eq!(request_of()[4], 0x0000_0100_6000_400b);
}

struct Lists;

/// Rights of these names, the receiver's own now.
fn send_rights(names: std::ops::Range<u32>) -> Vec<SendRight> {
    names.map(|name| SendRight::from_name(PortName(name))).collect()
}

/// The names of rights that are dropped with this.
fn names(rights: Vec<AnyRight>) -> Vec<u32> {
    rights.iter().map(|right| right.name().0).collect()
}

impl lists_server::Server for Lists {
    fn mixed(&mut self, _: PortName) -> Result<lists_server::MixedOut> {
        let c = (0..200).map(|a| lists_server::pair_t { a, b: -1 }).collect();
        Ok(lists_server::MixedOut { a: vec![1, 2], b: 3, c, d: b"text".to_vec() })
    }

    fn given(&mut self, _: PortName, a: Vec<AnyRight>) -> Result<Vec<SendRight>> {
        assert_eq!(names(a), [31, 32]);
        Ok(send_rights(33..35))
    }

    fn lent(&mut self, _: PortName, a: Vec<AnyRight>) -> Result<Vec<SendRight>> {
        assert_eq!(names(a), [41, 42, 43]);
        Ok(send_rights(44..46))
    }

    fn rights(&mut self, _: PortName, a: Vec<AnyRight>) -> Result<lists_server::RightsOut> {
        let c = a.len() as u32;
        Ok(lists_server::RightsOut { b: a.into_iter().map(|one| SendRight::from_name(one.into_name())).collect(), c })
    }

    fn some(&mut self, _: PortName, a: mig::Received<'_, lists_server::pair_t>) -> Result<()> {
        assert_eq!(a.iter().map(|pair| (pair.a, pair.b)).collect::<Vec<_>>(), [(7, 8)]);
        Ok(())
    }

    fn any_list(&mut self, _: PortName, a: Vec<AnyRight>) -> Result<()> {
        assert!(a.iter().all(|right| matches!(right, AnyRight::SendOnce(_))), "{a:?}");
        Ok(())
    }

    fn large(&mut self, _: PortName, a: &[u8]) -> Result<()> {
        assert_eq!(a, [5; 50_000]);
        Ok(())
    }
}

#[test]
fn lists_and_rights_in_lists_arrive() {
    with_server(|request, reply| lists_server::demux(&mut Lists, request, reply));
    assert_eq!(names(lists::given(SERVER, send_rights(31..33)).expect("served")), [33, 34]);
    assert_eq!(released(), [31, 32, 33, 34]);
    assert_eq!(lists::given(SERVER, send_rights(31..35)).err(), Some(KernReturn::MIG_ARRAY_TOO_LARGE));
    assert_eq!(released(), [31, 32, 33, 34], "too many for the message");
    let rights = lists::rights(SERVER, send_rights(51..53)).expect("served");
    assert_eq!((names(rights.b), rights.c), (vec![51, 52], 2));
    assert_eq!(released(), [51, 52]);
    let pair = lists::pair_t { a: 7, b: 8 };
    assert_eq!(lists::some(SERVER, &[pair]), Ok(()));
    assert_eq!(lists::any_list(SERVER, &[PortName(61)], Disposition::MakeSendOnce), Ok(()));
    assert_eq!(released(), [61]);
    assert_eq!(lists::large(SERVER, &[5; 50_000]), Ok(()));
}

#[test]
fn what_does_not_fit_goes_out_of_line() {
    with_server(|request, reply| lists_server::demux(&mut Lists, request, reply));
    let mut a = [0; 3];
    let out = lists::mixed(SERVER, &mut a).expect("served");
    assert_eq!((out.a, a, out.b, &out.d[..6]), (2, [1, 2, 0], 3, &b"text\0\0"[..]));
    assert!(matches!(out.c, mig::Received::OutOfLine(_)), "{:?}", out.c);
    assert!(out.c.iter().eq((0..200).map(|a| lists::pair_t { a, b: -1 })), "{:?}", out.c);
    let back = lists::lent(SERVER, &[PortName(41), PortName(42), PortName(43)]).expect("served");
    assert_eq!(names(back.collect()), [44, 45]);
    assert_eq!(released(), [41, 42, 43, 44, 45]);
    kernel(|_| None);
    let _ = lists::rights(SERVER, send_rights(0..257));
    assert_eq!(request_of()[4], 0x101_4000_2011);
}

#[derive(Default)]
struct Ports {
    kept: Vec<AnyRight>,
}

impl ports_server::Server for Ports {
    fn move_send(&mut self, _: PortName, right: SendRight) -> Result<()> {
        self.kept.push(AnyRight::Send(right));
        Ok(())
    }

    fn any(&mut self, _: PortName, right: AnyRight) -> Result<()> {
        assert!(matches!(right, AnyRight::SendOnce(_)), "{right:?}");
        Ok(())
    }

    fn back(&mut self, _: PortName) -> Result<ports_server::BackOut> {
        Ok(ports_server::BackOut {
            a: SendRight::from_name(PortName(21)),
            b: SendOnceRight::from_name(PortName(22)),
            c: ReceiveRight::from_name(PortName(23)),
            d: PortName(24),
        })
    }

    fn any_back(&mut self, _: PortName) -> Result<(PortName, Disposition)> {
        Ok((PortName(31), Disposition::MoveReceive))
    }

    fn with_reply_port(&mut self, _: PortName, _: u32) -> Result<()> {
        Ok(())
    }

    fn asynchronous(&mut self, _: PortName, reply: PortName, _: u32) -> Result<()> {
        self.kept.push(AnyRight::SendOnce(SendOnceRight::from_name(reply)));
        Err(KernReturn::MIG_NO_REPLY)
    }
}

/// Somebody else owns these rights now.
fn give_up(rights: &mut Vec<AnyRight>) {
    rights.drain(..).for_each(|right| {
        right.into_name();
    });
}

#[test]
fn rights_change_hands_and_are_released_once() {
    with_server(|request, reply| {
        let mut server = Ports::default();
        let served = ports_server::demux(&mut server, request, reply);
        give_up(&mut server.kept);
        served
    });
    assert_eq!(ports::move_send(SERVER, SendRight::from_name(PortName(11))), Ok(()));
    assert_eq!(released(), []);
    assert_eq!(ports::any(SERVER, PortName(12), Disposition::MakeSendOnce), Ok(()));
    assert_eq!(released(), [12]);
    let back = ports::back(SERVER).expect("served");
    assert_eq!((back.a.name().0, back.b.name().0, back.c.name().0, back.d.name().0), (21, 22, 23, 24));
    drop(back);
    assert_eq!(released(), [21, 22, 23, 24]);
    let right = ports::any_back(SERVER).expect("served");
    assert!(matches!(right, AnyRight::Receive(_)), "{right:?}");
    drop(right);
    assert_eq!(released(), [31]);
    // Not implemented: the default answers, and what came with the request is released.
    assert_eq!(ports::make_once(SERVER, PortName(13)), Err(KernReturn::MIG_BAD_ID));
    assert_eq!(released(), [13]);
    assert_eq!(ports::consumed(SendOnceRight::from_name(PortName(14)), 1), Ok(()));
    assert_eq!(released(), []);
}

#[test]
fn a_server_that_does_not_reply_keeps_the_reply_port_only_if_it_asked_for_it() {
    kernel(|_| None);
    let _ = ports::asynchronous(SERVER, 1);
    let request = stand_in::delivered(&request_of());
    let mut server = Ports::default();
    let mut reply = [0; 64];
    assert!(ports_server::demux(&mut server, &request, &mut reply));
    assert_eq!(reply[1], 0);
    let kept: Vec<u32> = server.kept.iter().map(|right| right.name().0).collect();
    assert_eq!(kept, [stand_in::REPLY_PORT.0]);
    give_up(&mut server.kept);
    assert_eq!(released(), []);

    // A one-way request with a reply right in its header: what goes wrong is answered, as MIG's server does.
    let _ = ports::with_reply_port(SERVER, PortName(33), 1);
    let request = stand_in::delivered(&request_of());
    assert!(ports_server::demux(&mut Lazy, &request, &mut reply));
    assert_eq!((reply[1], reply[5] as u32 as i32, released()), (33, KernReturn::MIG_BAD_ID.0, vec![]));
    // Otherwise nobody will use it.
    assert!(ports_server::demux(&mut server, &request, &mut reply));
    assert_eq!((reply[1], released()), (0, vec![33]));
}

/// Every request of the three interfaces, as delivered.
fn requests() -> Vec<Vec<u64>> {
    kernel(|_| None);
    let mut requests = Vec::new();
    let mut take = || requests.push(stand_in::delivered(&request_of()));
    let _ = types::scalars(SERVER, 1, 2, 3, 4, true, PortName(5), KernReturn(6), &mut 7);
    take();
    let _ = types::strings(SERVER, "a", "b", "c");
    take();
    let pair = arrays::pair_t { a: 5, b: 6 };
    let _ = arrays::inline(SERVER, &[1, 2, 3], b"text", &[pair], 7);
    take();
    let _ = ports::move_send(SERVER, SendRight::from_name(PortName(11)));
    take();
    let _ = ports::move_receive(SERVER, ReceiveRight::from_name(PortName(12)));
    take();
    let _ = ports::any(SERVER, PortName(13), Disposition::MakeSend);
    take();
    requests
}

fn serve(request: &[u64]) -> [u64; 64] {
    let mut reply = [0; 64];
    let _ = types_server::demux(&mut Lazy, request, &mut reply)
        || arrays_server::demux(&mut Lazy, request, &mut reply)
        || ports_server::demux(&mut Lazy, request, &mut reply);
    reply
}

/// Implements nothing.
struct Lazy;
impl types_server::Server for Lazy {}
impl ports_server::Server for Lazy {}
impl arrays_server::Server for Lazy {
    fn counted(&mut self, _: PortName, _: u32) -> Result<impl AsRef<[u32]>> {
        Err::<[u32; 0], _>(KernReturn::MIG_BAD_ID)
    }
}

#[test]
fn a_request_cut_short_is_refused_and_its_rights_are_released_once() {
    for request in requests() {
        let whole = serve(&request);
        assert_eq!(whole[5] as u32 as i32, KernReturn::MIG_BAD_ID.0, "no routine is implemented");
        let all = released();
        for words in 4..request.len() {
            let mut cut = request[..words].to_vec();
            cut[0] = cut[0] & 0xffff_ffff | (words as u64 * 8) << 32;
            let reply = serve(&cut);
            assert_eq!(reply[5] as u32 as i32, KernReturn::MIG_BAD_ARGUMENTS.0, "{words} words of {request:x?}");
            assert_eq!(reply[0] >> 32, 48);
            let some = released();
            assert!(some.iter().all(|name| all.contains(name)), "{some:?} of {all:?}");
        }
    }
}

#[test]
fn no_changed_byte_makes_a_server_panic() {
    for request in requests() {
        for at in 0..request.len() * 8 {
            for value in [0_u64, 1, 0x11, 0x12, 0x20, 0x7f, 0x80, 0xff] {
                let mut changed = request.clone();
                let shift = at % 8 * 8;
                changed[at / 8] = changed[at / 8] & !(0xff << shift) | value << shift;
                let reply = serve(&changed);
                assert!(reply[0] >> 32 <= 64 * 8);
                released();
            }
        }
    }
}

#[test]
fn an_unknown_id_is_not_served_and_keeps_its_rights() {
    kernel(|_| None);
    let _ = ports::move_send(SERVER, SendRight::from_name(PortName(11)));
    let mut request = stand_in::delivered(&request_of());
    request[3] = 7999 << 32;
    let mut reply = [0; 16];
    assert!(!ports_server::demux(&mut Lazy, &request, &mut reply));
    assert_eq!((reply[5] as u32 as i32, reply[3] >> 32), (KernReturn::MIG_BAD_ID.0, 8099));
    assert_eq!(released(), []);
    assert!(!ports_server::demux(&mut Lazy, &request[..3], &mut reply));
    assert!(!ports_server::demux(&mut Lazy, &request, &mut []));
}

#[test]
fn replies_that_are_not_what_the_defs_say_are_refused() {
    /// A reply with these words after the header.
    fn prepare(id: u64, complex: bool, body: &'static [u64]) {
        kernel(move |_| {
            let bits = 0x12 | u64::from(complex) << 31;
            let head = [bits | (32 + body.len() as u64 * 8) << 32, 0, 0, id << 32];
            Some(head.into_iter().chain(body.iter().copied()).collect())
        });
    }
    fn answer(id: u64, complex: bool, body: &'static [u64]) -> Option<KernReturn> {
        prepare(id, complex, body);
        ports::move_send(SERVER, SendRight::from_name(PortName::NULL)).err()
    }
    const CODE: u64 = 0x1_2000_2002;
    assert_eq!(answer(7501, false, &[CODE, 0]), None);
    assert_eq!(answer(7501, false, &[CODE, 5]), Some(KernReturn::KERN_FAILURE));
    assert_eq!(answer(7502, false, &[CODE, 0]), Some(KernReturn::MIG_REPLY_MISMATCH));
    assert_eq!(answer(MACH_NOTIFY_SEND_ONCE.into(), false, &[]), Some(KernReturn::MIG_SERVER_DIED));
    assert_eq!(answer(7501, false, &[CODE]), Some(KernReturn::MIG_TYPE_ERROR));
    assert_eq!(answer(7501, false, &[0x1_2000_2001, 0]), Some(KernReturn::MIG_TYPE_ERROR));
    assert_eq!(answer(7501, true, &[CODE, 0]), Some(KernReturn::MIG_TYPE_ERROR));
    assert_eq!(released(), []);
    // What comes with an error, and what comes in the wrong place, is given back.
    let back = |complex, body| {
        prepare(7509, complex, body);
        ports::back(SERVER).err()
    };
    // An error comes alone.
    assert_eq!(back(true, &[CODE, 5, 0x2_2000_4012, 98, 97]), Some(KernReturn::MIG_TYPE_ERROR));
    assert_eq!(released(), [98, 97]);
    let swapped = &[CODE, 0, 0x1_2000_4011, 96, 0x1_2000_4011, 95, 0x1_2000_4010, 94, 0x1_2000_4011, 93];
    assert_eq!(back(true, swapped), Some(KernReturn::MIG_TYPE_ERROR));
    let mut all = released();
    all.sort_unstable();
    assert_eq!(all, [93, 94, 95, 96]);
}
