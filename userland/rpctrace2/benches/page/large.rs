// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of a system with much to do: clients that ask a server, which asks the kernel and another server.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};
use trace_port::port;

use crate::common::*;

/// Clients, each a task.
const CLIENTS: u32 = 5;
/// Threads of each.
const THREADS: u32 = 2;
/// The kernel's numbers of the servers.
const SERVERS: [u32; 2] = [60, 61];
/// The number of a server's port.
const PORT: u32 = 500;

/// Messages of a trace port, each with a record.
pub(crate) fn messages(count: usize) -> impl Iterator<Item = Bytes> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut next: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut waiting = std::collections::HashMap::new();
    let mut correlation = 0;
    let mut made = 0;
    let clients = CLIENTS * THREADS;
    let mut free: BinaryHeap<Reverse<(u64, u32)>> = (0..clients).map(|client| Reverse((1000, client))).collect();
    (1..=count as u64).map(move |sequence| {
        // What is next: a record that is there already, or what a client does when it is free before that.
        while let Some(Reverse((time, client))) = free.peek().copied()
            && next.peek().is_none_or(|Reverse((record, _))| *record >= time)
        {
            free.pop();
            let mut end = time;
            for (time, sample) in episode(client, time, &mut random, &mut correlation) {
                made += 1;
                waiting.insert(made, sample);
                next.push(Reverse((time, made)));
                end = end.max(time);
            }
            free.push(Reverse((end + random.below(40_000) + random.rarely(2_000_000), client)));
        }
        let Reverse((time, number)) = next.pop().expect("clients never end");
        let sample: Sample = waiting.remove(&number).expect("it was put there");
        let lost = if sequence == count as u64 / 3 || sequence == count as u64 * 4 / 5 { 17 } else { 0 };
        sample.time(1_790_000_000_000_000_000 + time).sequence(sequence).dropped(lost).wire().into()
    })
}

/// What a client does: the records, and when.
fn episode(client: u32, start: u64, random: &mut Random, correlation: &mut u64) -> Vec<(u64, Sample)> {
    let (task, thread) = (40 + client / THREADS, 1040 + client);
    let at = Place { task, thread, client, server: false };
    let mut records = Vec::new();
    let mut time = start;
    match random.below(10) {
        0..3 => time = kernel(at, time, random, correlation, &mut records),
        3..9 => time = ask(at, 0, time, random, correlation, &mut records),
        _ => {
            let message = Message::request_from(7002, 1, 0).string(&format!("client{}", client / THREADS));
            records.push((time, at.says(Sample::sent(message), correlation, true)));
        }
    }
    let _ = time;
    records
}

/// Who.
#[derive(Clone, Copy)]
struct Place {
    task: u32,
    thread: u32,
    /// Which client it is, or serves.
    client: u32,
    server: bool,
}

impl Place {
    /// Its name for its reply port.
    fn reply(self) -> u64 {
        20 + u64::from(self.client)
    }

    /// A server's name for the right to answer.
    fn right(self) -> u64 {
        100 + u64::from(self.client)
    }

    fn says(self, sample: Sample, correlation: &mut u64, is_new: bool) -> Sample {
        *correlation += u64::from(is_new);
        let options = if self.server { MACH_RCV_MSG } else { MACH_SEND_MSG | MACH_RCV_MSG };
        sample.task(self.task).thread(self.thread).correlation(*correlation).options(options, 0)
    }
}

/// A call of the kernel; answers when it returned.
fn kernel(at: Place, time: u64, random: &mut Random, correlation: &mut u64, records: &mut Vec<(u64, Sample)>) -> u64 {
    let address = random.below(1 << 35) << 12;
    let result = if random.below(100) == 0 { 3 } else { 0 };
    let (sent, received) = match random.below(3) {
        0 => (
            Message::request_from(7000, 1, at.reply()).long(address).long(random.below(64) << 12).bool(true),
            Message::reply(7100, at.reply()).int(result).long(address),
        ),
        1 => (
            Message::request_from(7007, 10, at.reply())
                .chars(format!("line {} of what is written\n", random.below(1 << 40)).as_bytes()),
            Message::reply(7107, at.reply()).int(result).int(random.below(64) as i32),
        ),
        _ => (
            Message::request_from(7005, 1, at.reply()).name(random.below(4000) as u32),
            Message::reply(7105, at.reply()).int(result),
        ),
    };
    let device = kernel_port(10, 10, port::DEVICE, 0);
    records.push((time, at.says(Sample::sent(sent).knows(device), correlation, true)));
    let end = time + 2000 + random.below(9000) + random.rarely(300_000);
    records.push((end, at.says(Sample::received(received), correlation, false)));
    end
}

/// A call of a server, which asks the kernel, and now and then the next server; answers when it returned.
fn ask(
    at: Place,
    server: usize,
    time: u64,
    random: &mut Random,
    correlation: &mut u64,
    records: &mut Vec<(u64, Sample)>,
) -> u64 {
    let Some(number) = SERVERS.get(server).copied() else {
        return kernel(at, time, random, correlation, records);
    };
    let serves = Place { task: number, thread: number * 100 + at.client, client: at.client, server: true };
    let value = random.below(1 << 31) as i32;
    let known = |name: u32| port(name, PORT + number);
    records.push((
        time,
        at.says(Sample::sent(Message::request_from(7008, 7, at.reply()).int(value)).knows(known(7)), correlation, true),
    ));
    let asked = *correlation;
    let mut now = time + 1500 + random.below(3000) + random.rarely(500_000);
    let incoming = Message::incoming(7008, 12, serves.right()).int(value);
    records.push((now, serves.says(Sample::received(incoming).knows(known(12)), &mut asked.clone(), false)));
    for _ in 0..random.below(3) {
        now = kernel(serves, now + 700, random, correlation, records);
    }
    if random.below(4) == 0 {
        now = ask(serves, server + 1, now + 600, random, correlation, records);
    }
    now += 900;
    let result = if random.below(60) == 0 { 4 } else { 0 };
    *correlation += 1;
    let answered = *correlation;
    let answer = Message::answer(7108, serves.right()).int(result).int(value.wrapping_mul(2));
    records.push((now, serves.says(Sample::sent(answer), &mut answered.clone(), false)));
    now += 1200 + random.below(2000);
    let reply = Message::reply(7108, at.reply()).int(result).int(value.wrapping_mul(2));
    records.push((now, at.says(Sample::received(reply), &mut answered.clone(), false)));
    now
}

/// Xorshift: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// Now and then much.
    fn rarely(&mut self, much: u64) -> u64 {
        if self.below(50) == 0 { self.below(much) } else { 0 }
    }
}
