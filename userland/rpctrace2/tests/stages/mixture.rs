// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of a program that asks the kernel and a server, writes, and fails now and then.

use bytes::Bytes;
use trace_port::port;

use crate::common::*;

/// Messages of a trace port, each with a record: what the program does, again and again.
pub(crate) fn messages(times: u64) -> impl Iterator<Item = Bytes> {
    let device = || kernel_port(10, 10, port::DEVICE, 0);
    let samples = [
        Sample::sent(Message::request(7000, SELF).long(0).long(4096).bool(true)),
        Sample::received(Message::reply(7100, REPLY).int(0).long(0x2000)),
        Sample::sent(Message::request(7008, 7).int(3)),
        Sample::received(Message::reply(7108, REPLY).int(0).int(6)),
        Sample::sent(Message::request(7007, 10).chars(b"a line of text that is written\n")).knows(device()),
        Sample::received(Message::reply(7107, REPLY).int(0).int(31)),
        Sample::sent(Message::request(7005, SELF).name(10)).knows(device()),
        Sample::received(Message::reply(7105, REPLY).int(0)),
        Sample::sent(Message::request(7001, SELF).int(3)),
        Sample::received(Message::reply(7101, REPLY).int(3)),
    ];
    let count = samples.len() as u64;
    let wires: Vec<Vec<u8>> = samples.iter().map(Sample::wire).collect();
    (0..times * count).map(move |index| {
        let mut wire = wires[(index % count) as usize].clone();
        set_sequence(&mut wire, index + 1);
        wire.into()
    })
}
