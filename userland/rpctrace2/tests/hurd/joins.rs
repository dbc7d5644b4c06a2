// SPDX-License-Identifier: GPL-2.0-or-later
//! Which records make an exchange, beside the kernel's numbers in the records themselves. No interface is needed for it.

use std::collections::BTreeMap;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Exchanges, Names, Selection, Sink};
use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::type_name::MAKE_SEND;
use mig_defs::table::Tables;
use trace_port::Direction;

use crate::version3::Old;
use crate::{FILES, is_shown_as_its_senders};

/// What was told.
#[derive(Default)]
struct Told {
    opened: usize,
    closed: Vec<Closed>,
    lost: u32,
}

/// An exchange that was closed, with the sequence numbers of its records.
struct Closed {
    role: Role,
    outcome: Outcome,
    request: Option<u64>,
    reply: Option<u64>,
}

impl<'t> Sink<'t> for Told {
    fn opened(&mut self, _: &Names, _: &Exchange<'t>) {
        self.opened += 1;
    }

    fn closed(&mut self, _: &Names, exchange: &Exchange<'t>) {
        let sequence = |event: &Option<Event>| event.as_ref().map(|event| event.sequence);
        let (request, reply) = (sequence(&exchange.request), sequence(&exchange.reply));
        self.closed.push(Closed { role: exchange.role, outcome: exchange.outcome, request, reply });
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        match remark {
            Remark::Lost(records) => self.lost += records,
            other => panic!("no such remark is due: {other:?}"),
        }
    }
}

fn told(records: &[Old]) -> Told {
    let tables = mig_defs::interfaces::without_routines();
    let tables = Tables::parse(&tables).expect("tables of our own");
    let mut exchanges = Exchanges::new(tables, Selection::default(), "command", false);
    let mut told = Told::default();
    for record in records {
        exchanges.message(&record.to_today(), &mut told);
    }
    exchanges.finish(&mut told);
    told
}

/// A reply has its request's correlation number, its id and 100, and goes where the request said.
fn check_pair(role: Role, request: &Old, reply: &Old) {
    let (asked, answered) = (request.mach_header().expect("a header"), reply.mach_header().expect("a header"));
    let numbers = |old: &Old| (old.header.task.get(), old.header.kind);
    assert_eq!(numbers(request), numbers(reply), "{request:?}\n{reply:?}");
    assert_eq!(answered.id, asked.id + REPLY_ID_OFFSET, "{request:?}\n{reply:?}");
    assert!(request.header.sequence < reply.header.sequence);
    let is_linked = request.header.correlation == reply.header.correlation && request.header.correlation != 0;
    let directions = (request.direction(), reply.direction());
    match role {
        Role::Client => {
            assert_eq!(directions, (Direction::Send, Direction::Receive));
            // The kernel does not link what comes by a send right, as glibc's select makes of its reply port.
            let made = u32::from(asked.local_disposition());
            assert!(is_linked || made == MAKE_SEND, "{request:?}\n{reply:?}");
            assert_eq!(answered.local_port, asked.local_port, "{request:?}\n{reply:?}");
        }
        Role::Server => {
            assert_eq!(directions, (Direction::Receive, Direction::Send));
            // Who asked may be untraced, and then has no number.
            assert!(is_linked || request.header.correlation.get() == 0, "{request:?}\n{reply:?}");
            assert_eq!(answered.remote_port, asked.remote_port, "{request:?}\n{reply:?}");
        }
        Role::Control { .. } => {
            assert_eq!(directions, (Direction::Receive, Direction::Send));
            assert!(is_linked, "{request:?}\n{reply:?}");
        }
        Role::Exception { .. } | Role::Failed => panic!("none of these was answered: {request:?}\n{reply:?}"),
    }
}

#[test]
fn every_record_of_a_hurd_is_in_one_exchange_and_answers_what_the_kernel_says() {
    for file in FILES {
        let records = file.records();
        let told = told(&records);
        let by_sequence: BTreeMap<u64, &Old> = records.iter().map(|old| (old.header.sequence.get(), old)).collect();
        assert_eq!(by_sequence.len(), records.len(), "{}: numbers are used once", file.name);
        let mut seen: Vec<u64> =
            told.closed.iter().flat_map(|closed| [closed.request, closed.reply]).flatten().collect();
        seen.sort_unstable();
        let own = records.iter().filter(|old| !is_shown_as_its_senders(old, &records));
        let mut expected: Vec<u64> = own.map(|old| old.header.sequence.get()).collect();
        expected.sort_unstable();
        assert_eq!(seen, expected, "{}: each record once", file.name);
        for closed in &told.closed {
            match (closed.request, closed.reply) {
                (Some(request), Some(reply)) => check_pair(closed.role, by_sequence[&request], by_sequence[&reply]),
                (None, Some(reply)) => panic!("{}: an answer to nothing: {:?}", file.name, by_sequence[&reply]),
                _ => {}
            }
        }
        let dropped: u32 = records.iter().map(|old| old.header.dropped.get()).sum();
        assert_eq!(told.lost, dropped, "{}", file.name);
    }
}

/// What is left without an answer: nothing in the file is one.
#[test]
fn what_a_hurd_did_not_answer_is_not_answered() {
    for file in FILES {
        let records = file.records();
        let told = told(&records);
        let open = told.closed.iter().filter(|closed| closed.outcome == Outcome::Unanswered);
        let mut ids: BTreeMap<u32, usize> = BTreeMap::new();
        for request in open.filter_map(|closed| closed.request) {
            let request = records.iter().find(|old| old.header.sequence.get() == request).expect("it");
            let id = request.mach_header().expect("a header").id;
            *ids.entry(id).or_default() += 1;
            let answers = |old: &&Old| {
                old.header.task == request.header.task
                    && old.direction() != request.direction()
                    && old.header.correlation == request.header.correlation
                    && request.header.correlation.get() != 0
                    && old.mach_header().is_some_and(|header| header.id == id + REPLY_ID_OFFSET)
            };
            assert_eq!(records.iter().find(answers).map(|old| old.header), None, "{}", file.name);
        }
        let ids: Vec<(u32, usize)> = ids.into_iter().collect();
        match file.name {
            // Ends of tasks, and an exception whose thread its own task ended.
            "pipes" => assert_eq!(ids, [(2008, 4), (2400, 2)]),
            "server" => assert_eq!(ids, []),
            // Cut in the middle of a write.
            _ => assert_eq!(ids, [(2008, 2), (21000, 1)]),
        }
    }
}
