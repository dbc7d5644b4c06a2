// SPDX-License-Identifier: GPL-2.0-or-later
//! Who waits for whom when the records end.
//!
//! A thread waits if the last thing that it did was one `mach_msg` that sends a request with a right made to answer it and receives, and no
//! answer to it was recorded. That much the records say. Where its request, or the answer, is they say too: a message is known by the number
//! of the port that it was sent to and by its correlation number. Where nobody has received it, they say who received from that port before,
//! which is not said to be who will.

mod queues;
mod words;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Injected, Names, Sink, TaskIndex};
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mach_abi::option::MACH_RCV_MSG;
use mig_defs::table::Tables;
use trace_port::{Direction, EventKind, Port, port};

use self::queues::{Message, Queues};
use super::rights::receive_right_given_back;
use super::say::ThreadId;
use crate::analysis::{Analysis, Found};
use crate::lines::subject;

/// Most lost rights to answer that are told one by one: the last ones.
const DIED_MAX: usize = 16;

/// What somebody has done, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    by: ThreadId,
    time: u64,
    /// Place in the order of all events.
    sequence: u64,
}

/// Where the request of a call is, or the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the queue of the port with this number.
    Queue(u32),
    /// The kernel has it.
    Kernel,
    /// Somebody has received it.
    Taken(Done),
    /// It has been answered, and nobody has received that.
    Answered(Done),
    /// The record does not say which port it was sent to.
    Unknown,
}

/// What a thread waits for.
#[derive(Debug)]
struct Call {
    task: TaskIndex,
    by: ThreadId,
    sequence: u64,
    /// Of the request.
    time: u64,
    /// The kernel's number of the port where the answer is to come.
    reply_port: u32,
    place: Place,
    /// Who has passed it on last, and to which port.
    passed_on: Option<(Done, Port)>,
    /// The routine.
    text: String,
    port: Option<Port>,
}

/// A right to answer that died unused, as the kernel told who waited.
#[derive(Debug)]
struct Died {
    text: String,
    port: Option<Port>,
    by: ThreadId,
    time: u64,
    taken: Option<Done>,
}

/// What is known of calls that are not answered.
#[derive(Debug)]
pub(crate) struct Stuck<'t> {
    tables: Tables<'t>,
    /// By their correlation numbers.
    calls: BTreeMap<u64, Call>,
    queues: Queues,
    died: Vec<Died>,
    /// Those that are not kept.
    more_died: u64,
    /// What each thread did last: the number in the order of all events.
    last: BTreeMap<ThreadId, Done>,
    /// Threads that some message or birth speaks of, by the kernel's number: those of a message by the port, of a birth by the task.
    met: BTreeMap<u32, Met>,
    /// Tasks that have ended.
    ended: BTreeSet<TaskIndex>,
    /// Time of the last record.
    now: u64,
    lost: u64,
}

/// How a thread is known that need not have done anything itself.
#[derive(Clone, Copy, Debug)]
enum Met {
    Port(Port),
    Born(ThreadId, u64),
}

impl<'t> Stuck<'t> {
    pub(crate) fn new(tables: Tables<'t>) -> Self {
        Self {
            tables,
            calls: BTreeMap::new(),
            queues: Queues::default(),
            died: Vec::new(),
            more_died: 0,
            last: BTreeMap::new(),
            met: BTreeMap::new(),
            ended: BTreeSet::new(),
            now: 0,
            lost: 0,
        }
    }

    /// Whether a thread is still where it was when it sent this.
    fn waits(&self, call: &Call) -> bool {
        self.last.get(&call.by).is_some_and(|last| last.sequence == call.sequence) && !self.ended.contains(&call.task)
    }

    /// The calls that threads wait in, the oldest first.
    fn waiting(&self) -> Vec<&Call> {
        let mut waiting: Vec<&Call> = self.calls.values().filter(|call| self.waits(call)).collect();
        waiting.sort_by_key(|call| (call.time, call.sequence));
        waiting
    }

    /// Who could go on with a call: who has its request, or, if nobody has, those that have received from its port, the last one first.
    fn next(&self, call: &Call) -> Vec<Done> {
        match call.place {
            Place::Taken(done) => Vec::from([done]),
            Place::Queue(port) => self.queues.receivers(port),
            Place::Kernel | Place::Answered(_) | Place::Unknown => Vec::new(),
        }
    }

    /// The waiting threads that wait for each other alone: whoever could go on with what they wait for is one of them.
    fn blocked<'a>(&self, waiting: &[&'a Call]) -> BTreeMap<ThreadId, &'a Call> {
        let mut blocked: BTreeMap<ThreadId, &Call> = waiting.iter().map(|call| (call.by, *call)).collect();
        loop {
            let before = blocked.clone();
            blocked.retain(|_, call| {
                let next = self.next(call);
                !next.is_empty() && next.iter().all(|done| before.contains_key(&done.by))
            });
            if blocked.len() == before.len() {
                return blocked;
            }
        }
    }

    /// Calls that lead back to where they begin, each from its oldest one on.
    fn cycles<'a>(&self, waiting: &[&'a Call]) -> Vec<Vec<&'a Call>> {
        let of = self.blocked(waiting);
        let mut seen = BTreeSet::new();
        let mut cycles = Vec::new();
        for first in waiting.iter().filter(|call| of.contains_key(&call.by)) {
            let mut path: Vec<&Call> = Vec::new();
            let mut at = Some(*first);
            while let Some(call) = at.filter(|call| seen.insert(call.by)) {
                path.push(call);
                at = self.next(call).first().and_then(|done| of.get(&done.by).copied());
            }
            // It has met a thread of its own path, or one of an earlier path.
            let back = at.and_then(|call| path.iter().position(|earlier| earlier.by == call.by));
            if let Some(mut cycle) = back.map(|start| path.split_off(start)) {
                let oldest = (0..cycle.len()).min_by_key(|place| cycle.get(*place).map(|call| call.time)).unwrap_or(0);
                cycle.rotate_left(oldest);
                cycles.push(cycle);
            }
        }
        cycles
    }

    /// A message was sent, and is in a queue now if no kernel takes it.
    fn sent(&mut self, event: &Event) {
        let Some(to) = event.remote_port().filter(|to| to.kind == port::NONE) else { return };
        let done = done(event);
        if let Some(call) = self.calls.get_mut(&event.correlation) {
            if call.reply_port == to.number.get() {
                call.place = Place::Answered(done);
            } else {
                (call.place, call.passed_on) = (Place::Queue(to.number.get()), Some((done, *to)));
            }
        }
        let id = event.mach_header.map_or(0, |header| header.id);
        self.queues.push(to, Message { id, correlation: event.correlation, by: done.by, time: event.time });
    }

    fn received(&mut self, event: &Event) {
        let Some(on) = received_on(event) else { return };
        let (done, number) = (done(event), on.number.get());
        match self.calls.get_mut(&event.correlation) {
            // The answer: who receives it is no server of that port.
            Some(call) if call.reply_port == number => return self.queues.answered(number, event.correlation),
            Some(call) => call.place = Place::Taken(done),
            None => {}
        }
        self.queues.take(number, event.correlation, done);
    }

    fn opened(&mut self, exchange: &Exchange<'_>) {
        let Some(request) = exchange.request.as_ref().filter(|_| exchange.role == Role::Client) else { return };
        let port = request.remote_port().copied();
        if let (Some(Injected::Reply(_)), Some(port)) = (request.injected, &port) {
            // It was never sent.
            return self.queues.forget(port.number.get(), request.correlation);
        }
        // What is passed on with the right of another to answer does not come back here.
        let Some(reply) = request.reply_port().filter(|_| request.options & MACH_RCV_MSG != 0) else { return };
        let place = match &port {
            None => Place::Unknown,
            Some(port) if port.kind == port::NONE => Place::Queue(port.number.get()),
            Some(_) => Place::Kernel,
        };
        let mut text = String::new();
        subject(&mut text, exchange.subject);
        let by = (request.task, exchange.actor.thread);
        let Event { sequence, time, .. } = *request;
        let (task, reply_port, passed_on) = (exchange.actor.task, reply.number.get(), None);
        let call = Call { task, by, sequence, time, reply_port, place, passed_on, text, port };
        self.calls.insert(request.correlation, call);
    }

    fn closed(&mut self, exchange: &Exchange<'_>) {
        if let Some(given_back) = receive_right_given_back(self.tables, exchange) {
            self.queues.end(given_back.number.get());
        }
        let Some(request) = exchange.request.as_ref().filter(|_| exchange.role == Role::Client) else { return };
        if exchange.outcome == Outcome::Unanswered {
            return;
        }
        let Some(call) = self.calls.remove(&request.correlation) else { return };
        let Some(reply) = &exchange.reply else { return };
        if reply.mach_header.is_some_and(|header| header.id == MACH_NOTIFY_SEND_ONCE) {
            let taken = match call.place {
                Place::Taken(done) => Some(done),
                _ => None,
            };
            if self.died.len() == DIED_MAX {
                self.died.remove(0);
                self.more_died += 1;
            }
            self.died.push(Died { text: call.text, port: call.port, by: call.by, time: reply.time, taken });
        }
    }

    /// A task has ended: of its threads and of the ports that it alone received from nothing more is to be said.
    fn end(&mut self, task: u32) {
        self.last.retain(|thread, _| thread.0 != task);
        self.queues.end_of(|thread| thread.0 == task);
        self.met.retain(|_, met| !matches!(met, Met::Born(thread, _) if thread.0 == task));
    }

    /// Takes note of the threads that it speaks of.
    fn meet(&mut self, event: &Event) {
        for port in event.ports().iter().filter(|port| port.kind == port::THREAD && port.object.get() != 0) {
            self.met.entry(port.object.get()).or_insert(Met::Port(*port));
        }
    }
}

fn done(event: &Event) -> Done {
    Done { by: (event.task, event.thread), time: event.time, sequence: event.sequence }
}

/// The port that a message was received on, also where only the header says its name.
fn received_on(event: &Event) -> Option<&Port> {
    let of_header = || event.port(event.mach_header?.local_port as u32);
    event.received_on().or_else(of_header)
}

impl<'t> Analysis<'t> for Stuck<'t> {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        self.write(names, out)
    }
}

impl<'t> Sink<'t> for Stuck<'t> {
    fn opened(&mut self, _: &Names, exchange: &Exchange<'t>) {
        Self::opened(self, exchange);
    }

    fn closed(&mut self, _: &Names, exchange: &Exchange<'t>) {
        Self::closed(self, exchange);
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        match remark {
            Remark::Lost(count) => self.lost = self.lost.saturating_add((*count).into()),
            Remark::Ended { task, .. } => drop(self.ended.insert(*task)),
            _ => {}
        }
    }

    fn event(&mut self, event: &Event) {
        let by = (event.task, event.thread);
        self.now = self.now.max(event.time);
        self.meet(event);
        match event.kind {
            EventKind::Normal | EventKind::Trap => {
                let last = self.last.entry(by).or_insert_with(|| done(event));
                if last.sequence < event.sequence {
                    *last = done(event);
                }
            }
            EventKind::ThreadBirth => drop(self.met.insert(event.thread, Met::Born(by, event.time))),
            EventKind::ThreadDeath => {
                self.last.remove(&by);
                self.met.remove(&event.thread);
                self.queues.end_of(|thread| thread == by);
            }
            EventKind::TaskDeath => self.end(event.task),
            _ => {}
        }
        if event.kind == EventKind::Normal && event.retval == 0 && event.mach_header.is_some() {
            match event.direction {
                Direction::Send => self.sent(event),
                Direction::Receive => self.received(event),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mig_defs::interfaces::without_routines;

    use super::*;

    /// A call of thread `10 * task` of a task, of which this is known, at a time in microseconds.
    fn call(stuck: &mut Stuck<'_>, task: u32, time: u64, place: Place) {
        let by = (task, 10 * task);
        stuck.last.insert(by, Done { by, time: 1000 * time, sequence: time });
        let call = Call {
            task: TaskIndex(task as usize),
            by,
            sequence: time,
            time: 1000 * time,
            reply_port: 0,
            place,
            passed_on: None,
            text: String::from("ping"),
            port: None,
        };
        stuck.calls.insert(time, call);
    }

    fn taken(task: u32) -> Place {
        Place::Taken(Done { by: (task, 10 * task), time: 0, sequence: 0 })
    }

    fn received(stuck: &mut Stuck<'_>, number: u32, task: u32) {
        stuck.queues.take(number, 0, Done { by: (task, 10 * task), time: 0, sequence: 0 });
    }

    /// The tasks of each cycle.
    fn cycles(stuck: &Stuck<'_>) -> Vec<Vec<u32>> {
        let waiting = stuck.waiting();
        stuck.cycles(&waiting).iter().map(|cycle| cycle.iter().map(|call| call.by.0).collect()).collect()
    }

    #[test]
    fn a_cycle_begins_with_its_oldest_call_and_has_only_its_own() {
        let tables = without_routines();
        let mut stuck = Stuck::new(Tables::parse(&tables).expect("tables"));
        // 4 has waited longest, for 1; 1 and 2 wait for each other, and 3 for one that does not wait.
        call(&mut stuck, 4, 1, taken(1));
        call(&mut stuck, 1, 2, taken(2));
        call(&mut stuck, 2, 3, Place::Queue(72));
        call(&mut stuck, 3, 4, taken(5));
        received(&mut stuck, 72, 1);
        assert_eq!(cycles(&stuck), [[1, 2]]);
        assert_eq!(stuck.waiting().iter().map(|call| call.by.0).collect::<Vec<_>>(), [4, 1, 2, 3]);
    }

    #[test]
    fn who_asks_itself_is_a_cycle_unless_another_receives_there_too() {
        let tables = without_routines();
        let mut stuck = Stuck::new(Tables::parse(&tables).expect("tables"));
        call(&mut stuck, 1, 1, Place::Queue(70));
        assert_eq!(cycles(&stuck), [] as [Vec<u32>; 0], "nobody has ever received there");
        received(&mut stuck, 70, 1);
        assert_eq!(cycles(&stuck), [[1]]);
        received(&mut stuck, 70, 2);
        assert_eq!(cycles(&stuck), [] as [Vec<u32>; 0], "2 may receive it");
        received(&mut stuck, 70, 1);
        assert_eq!(cycles(&stuck), [] as [Vec<u32>; 0], "2 may receive it still");
        // Until it waits for the first one.
        call(&mut stuck, 2, 3, taken(1));
        assert_eq!(cycles(&stuck), [[1]], "the last one that received is 1 itself");
    }

    #[test]
    fn who_goes_on_or_has_ended_or_is_answered_is_in_no_cycle() {
        let tables = without_routines();
        let mut stuck = Stuck::new(Tables::parse(&tables).expect("tables"));
        call(&mut stuck, 1, 1, taken(2));
        call(&mut stuck, 2, 2, taken(1));
        assert_eq!(cycles(&stuck).len(), 1);
        let by = (1, 10);
        let before = stuck.last.insert(by, Done { by, time: 9, sequence: 9 });
        assert_eq!((cycles(&stuck).len(), stuck.waiting().len()), (0, 1), "1 goes on");
        stuck.last.insert(by, before.expect("it was there"));
        stuck.ended.insert(TaskIndex(2));
        assert_eq!((cycles(&stuck).len(), stuck.waiting().len()), (0, 1), "2 has ended");
        stuck.ended.clear();
        call(&mut stuck, 2, 2, Place::Answered(Done { by, time: 1, sequence: 1 }));
        assert_eq!((cycles(&stuck).len(), stuck.waiting().len()), (0, 2), "2 is answered");
    }
}
