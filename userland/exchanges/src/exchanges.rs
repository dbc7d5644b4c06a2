// SPDX-License-Identifier: GPL-2.0-or-later
//! The stages in a row: messages of the trace port in, exchanges out.

use alloc::vec::Vec;

use bytes::Bytes;
use mach_abi::bytes::read_u32;
use mach_abi::header::LP64;
use mig_defs::table::Tables;
use trace_port::record::SENDER_IS_TRACER;
use trace_port::{Direction, EventKind, Record, RecordError, Records};

use crate::ending::{Ending, Unfinished, Untraced};
use crate::event::{Event, Injected};
use crate::exchange::{Actor, Exchange, Outcome, Remark, Role, Sink};
use crate::fate::Told;
use crate::leave_out::LetThrough;
use crate::lessons;
use crate::memory::{Memory, Waiting};
use crate::names::{Names, TaskIndex};
use crate::order::Order;
use crate::pair::{Pairs, Step};
use crate::quiet::{Passed, Quiet};
use crate::select::{Selection, Subject};
use crate::stray::Strays;

/// Most messages whose records are waited for of which the tracer has made something.
const INJECTED_MAX: usize = 4096;

/// A trace of one command and its children.
#[derive(Debug)]
pub struct Exchanges<'t> {
    tables: Tables<'t>,
    order: Order,
    pairs: Pairs<'t>,
    names: Names,
    selection: Selection,
    quiet: Quiet,
    strays: Strays,
    ending: Ending,
    /// Tasks that have ended, by the kernel's numbers, but may have records that are held back.
    gone: Vec<u32>,
    /// What the tracer has made of messages whose records have not come, by their sequence numbers.
    injected: Vec<(u64, Injected)>,
    /// What memory out of line held of messages whose records have not come.
    memory: Waiting,
    /// Whether tasks are traced by engines.
    has_engines: bool,
    /// Records that came.
    records: u64,
    /// Time of the last event.
    now: u64,
}

impl<'t> Exchanges<'t> {
    /// A trace of `command` that decodes with these tables and tells of what is selected. `counts_only`: calls of known routines may be told
    /// by [`Sink::counted`].
    pub fn new(tables: Tables<'t>, selection: Selection, command: &str, counts_only: bool) -> Self {
        let names = Names::new(tables, command);
        Self {
            tables,
            order: Order::default(),
            pairs: Pairs::default(),
            quiet: Quiet::new(tables, &selection, &names.lessons, counts_only),
            names,
            selection,
            strays: Strays::default(),
            ending: Ending::default(),
            gone: Vec::new(),
            injected: Vec::new(),
            memory: Waiting::default(),
            has_engines: false,
            records: 0,
            now: 0,
        }
    }

    /// The tasks of this trace ran before it: there is no command. If there is only one it has this name; otherwise [`Exchanges::call`]
    /// says what they are called.
    pub fn attach(&mut self, only: Option<&str>) {
        self.names.have_run_before(only);
    }

    /// Tasks are traced by engines, so that it ends no trace when somebody sets a task's trace port.
    pub fn keep_to_engines(&mut self) {
        self.has_engines = true;
    }

    /// The kernel leaves something out, as [`Exchanges::leave_out`] of another trace said.
    pub fn set_filtered(&mut self) {
        self.names.is_filtered = true;
    }

    /// No record is passed over, whatever is selected: [`Sink::event`] is called for each.
    pub fn look_at_all(&mut self) {
        self.quiet = Quiet::default();
    }

    /// Records were lost before they came here.
    pub fn lost(&mut self, records: u32, sink: &mut impl Sink<'t>) {
        self.catch_up(sink);
        self.remark(Some(Remark::Lost(records)), sink);
    }

    /// What the kernel is to let through, in so many rules at most; nothing if that is everything, or nothing can be left out. Before the
    /// first record.
    pub fn leave_out(&mut self, rules: usize) -> Option<LetThrough> {
        let let_through = LetThrough::of(&self.selection, self.tables, &self.names.lessons, rules);
        self.names.is_filtered = let_through.is_some();
        let_through
    }

    /// The task with this number of the kernel's is called so.
    pub fn call(&mut self, number: u32, name: &str) {
        let task = self.names.task(number);
        self.names.rename(task, name.as_bytes());
    }

    /// What would begin with the message that a record, a part of this buffer, says is about to be sent. Nothing is kept of it.
    pub fn preview(&self, record: &Record<'_>, buffer: &Bytes) -> Exchange<'t> {
        let mut event = Event::new(record, buffer);
        event.kind = EventKind::Normal;
        event.is_foreign = self.names.is_foreign(self.tables, &event);
        Exchange {
            id: 0,
            actor: Actor { task: self.names.would_be(event.task), thread: event.thread },
            role: Role::Client,
            peer: None,
            subject: Subject::of(self.tables, &event),
            request: Some(event),
            reply: None,
            outcome: Outcome::Open,
        }
    }

    /// The tracer has made this of the message whose record has this sequence number. Before that record comes.
    pub fn inject(&mut self, sequence: u64, injected: Injected) {
        if self.injected.len() == INJECTED_MAX {
            // Its record has been lost.
            self.injected.remove(0);
        }
        self.injected.push((sequence, injected));
    }

    /// Memory out of line of the message whose record has this sequence number held this. Before that record comes.
    pub fn remember(&mut self, sequence: u64, memory: Memory) {
        self.memory.add(sequence, memory);
    }

    /// What the tracer has made of the message that a record shows, if the record agrees.
    fn take_injected(&mut self, event: &Event) -> Option<Injected> {
        let is_sent = event.kind == EventKind::Normal && event.direction == Direction::Send;
        let place = self.injected.iter().position(|(sequence, _)| is_sent && *sequence == event.sequence)?;
        let (_, injected) = self.injected.swap_remove(place);
        // One that is ended, or interrupted, while it waits is told that.
        let code = if let Injected::Failure(code) = injected { code } else { 0 };
        Some(injected).filter(|_| event.retval == code || injected == Injected::Delay)
    }

    /// What tasks and ports are, as far as it is known.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The time of the last record, as records have it.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Records that came, whatever they are about and whether anything was told of them.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Messages at the trace port that were no records.
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Takes a message that came to the trace port, whoever sent it.
    pub fn message(&mut self, message: &Bytes, sink: &mut impl Sink<'t>) {
        let result = Records::parse(message).and_then(|mut records| {
            records.try_for_each(|record| {
                let record = record?;
                self.record(&record, message, sink);
                Ok(())
            })
        });
        if let Err(error) = result {
            let word = |at| read_u32(message, at).unwrap_or(0);
            let stray = self.strays.take(word(LP64.id), word(LP64.size), error).map(Remark::Stray);
            self.remark(stray, sink);
        }
    }

    /// Takes note of a message that was too large to be received; this is what its header said.
    pub fn too_large(&mut self, id: u32, size: u32, sink: &mut impl Sink<'t>) {
        let stray = self.strays.take_too_large(id, size).map(Remark::Stray);
        self.remark(stray, sink);
    }

    /// No task is traced any more, but the command goes on.
    pub fn untraced(&mut self, now: Untraced, sink: &mut impl Sink<'t>) {
        self.catch_up(sink);
        let remark = self.ending.untraced(TaskIndex(0), now);
        self.remark(remark, sink);
    }

    /// What the kernel sent, if it can have been the kernel, when nothing that came was a record.
    pub fn other_version(&self) -> Option<RecordError> {
        self.strays.other_version().filter(|_| self.records == 0)
    }

    /// Takes the next record, which is a part of this buffer.
    pub fn record(&mut self, record: &Record<'_>, buffer: &Bytes, sink: &mut impl Sink<'t>) {
        if !self.pass(record, sink) {
            self.take(record, buffer, sink);
        }
    }

    /// Takes the next record if all that it would change is the time; else [`Exchanges::take`] is to take it.
    #[inline]
    pub fn pass(&mut self, record: &Record<'_>, sink: &mut impl Sink<'t>) -> bool {
        let passes = self.passes(record, sink);
        self.records += u64::from(passes);
        passes
    }

    /// Takes the next record, which is a part of this buffer and did not pass.
    pub fn take(&mut self, record: &Record<'_>, buffer: &Bytes, sink: &mut impl Sink<'t>) {
        self.records += 1;
        self.quiet.note(record);
        let mut event = self.order.push(Event::new(record, buffer));
        while let Some(ready) = event {
            self.event(ready, sink);
            event = self.order.following();
        }
        self.bury(sink);
    }

    /// Passes a record over if all that it would change is the time.
    #[inline]
    fn passes(&mut self, record: &Record<'_>, sink: &mut impl Sink<'t>) -> bool {
        if !self.order.is_next(record.header.sequence.get())
            || !self.pairs.is_idle()
            || !self.injected.is_empty()
            || !self.memory.is_empty()
            || !self.gone.is_empty()
            || self.names.is_watched && (self.names.has_crashed || self.names.may_give_back(record))
        {
            return false;
        }
        match self.quiet.pass(&mut self.names, record) {
            Passed::No => return false,
            Passed::Silent => {}
            Passed::Counted(tally) => sink.counted(tally),
        }
        self.order.pass();
        self.now = record.header.time.get();
        true
    }

    /// Whether records are held back that [`Exchanges::catch_up`] would take.
    pub fn is_waiting(&self) -> bool {
        self.order.is_waiting()
    }

    /// Nothing has come for a while: takes what was held back for what might come.
    pub fn catch_up(&mut self, sink: &mut impl Sink<'t>) {
        while let Some(event) = self.order.give_up() {
            self.event(event, sink);
        }
        self.bury(sink);
    }

    /// The task with this number of the kernel's has ended, and all its records have been taken.
    pub fn ended(&mut self, number: u32, sink: &mut impl Sink<'t>) {
        self.gone.push(number);
        self.bury(sink);
    }

    /// The command has ended, and all its records have been taken.
    pub fn exited(&mut self, told: Told, sink: &mut impl Sink<'t>) {
        self.catch_up(sink);
        self.end(TaskIndex(0), Some(told), sink);
    }

    /// The command has ended and nothing comes any more, but tasks are still traced.
    pub fn left(&mut self, sink: &mut impl Sink<'t>) {
        self.catch_up(sink);
        let mut tasks = self.names.not_ended();
        tasks.retain(|task| !self.ending.is_told(*task));
        self.remark(Some(Remark::Left(tasks)), sink);
    }

    /// No record comes any more.
    pub fn finish(&mut self, sink: &mut impl Sink<'t>) {
        self.catch_up(sink);
        for exchange in self.pairs.end() {
            self.tell(&exchange, sink);
        }
        let unfinished = self.ending.finished();
        self.remark(unfinished, sink);
    }

    /// Tells of the ends of tasks.
    fn bury(&mut self, sink: &mut impl Sink<'t>) {
        if self.gone.is_empty() || self.order.is_waiting() {
            return;
        }
        for number in core::mem::take(&mut self.gone) {
            self.quiet.end_of(number);
            if let Some(task) = self.names.find(number) {
                self.end(task, None, sink);
            }
        }
    }

    /// A task has ended, so if that is known otherwise than by its records. Of the command it comes to be known.
    fn end(&mut self, task: TaskIndex, told: Option<Told>, sink: &mut impl Sink<'t>) {
        if task == TaskIndex(0) && told.is_none() && self.names.has_command {
            return;
        }
        let Some(fate) = self.names.end(task, told) else { return };
        for exchange in self.pairs.end_of(task) {
            self.tell(&exchange, sink);
        }
        let unfinished = self.ending.ended(task);
        self.remark(unfinished, sink);
        self.remark(Some(Remark::Ended { task, fate }), sink);
    }

    fn event(&mut self, mut event: Event, sink: &mut impl Sink<'t>) {
        self.now = event.time;
        let lost = (event.dropped > 0).then_some(Remark::Lost(event.dropped));
        if lost.is_some()
            && let Some(task) = self.names.find(event.task)
        {
            // What it has given back meanwhile is not known.
            self.names.forget_all(task);
        }
        self.remark(lost, sink);
        sink.event(&event);
        if !event.kind.shows_message() && event.kind != EventKind::Lost || self.is_known_otherwise(&event) {
            return;
        }
        let actor = Actor { task: self.names.meet(&event), thread: event.thread };
        if matches!(event.kind, EventKind::Normal | EventKind::Trap) {
            self.names.acts(actor, &event);
        }
        if !self.injected.is_empty() {
            event.injected = self.take_injected(&event);
        }
        if !self.memory.is_empty() && event.kind == EventKind::Normal {
            event.memory = self.memory.take(event.sequence);
        }
        event.is_foreign = self.names.is_foreign(self.tables, &event);
        let child = event.child_not_traced.then_some(Remark::ChildNotTraced(actor.task));
        self.remark(child, sink);
        if event.kind == EventKind::Lost {
            // All that it tells has been told.
            return;
        }
        if event.kind == EventKind::Trap {
            if self.selection.has_trap(event.options) {
                sink.given(&self.names, actor, &event);
            }
            return;
        }
        match self.quiet.take_answer(&self.pairs, &mut self.names, &event) {
            Passed::No => {}
            Passed::Silent => return,
            Passed::Counted(tally) => return sink.counted(tally),
        }
        match self.pairs.step(self.tables, event, actor) {
            Step::Opened(exchange) => {
                self.opened(&exchange, sink);
                if let Some(given_up) = self.pairs.keep(exchange) {
                    self.tell(&given_up, sink);
                }
            }
            Step::OneWay(mut exchange) => {
                self.opened(&exchange, sink);
                exchange.outcome = Outcome::OneWay;
                self.tell(&exchange, sink);
            }
            Step::Closed(exchange) => self.closed(&exchange, sink),
            Step::Failed(exchange) => self.tell(&exchange, sink),
        }
    }

    /// Whether it is a message that this trace shows as its sender's, or one of our own.
    fn is_known_otherwise(&self, event: &Event) -> bool {
        event.sender == SENDER_IS_TRACER || event.sender != 0 && self.names.find(event.sender).is_some()
    }

    fn opened(&mut self, exchange: &Exchange<'t>, sink: &mut impl Sink<'t>) {
        if self.selection.has(exchange.subject) {
            sink.opened(&self.names, exchange);
        }
        self.note_ending(exchange);
        self.names.requested(self.tables, exchange);
    }

    fn closed(&mut self, exchange: &Exchange<'t>, sink: &mut impl Sink<'t>) {
        let failed = exchange.has_failed();
        if let Some(reply) = exchange.reply.as_ref().filter(|_| exchange.role == Role::Server) {
            self.names.gives_away(exchange.actor.task, reply);
        }
        let terminated = if failed { None } else { self.names.replied(self.tables, exchange) };
        self.tell(exchange, sink);
        if !failed && exchange.role == Role::Client && self.names.lessons.is_start(exchange) {
            // The threads of the program before are no more: nothing answers them.
            for open in self.pairs.end_of(exchange.actor.task) {
                self.tell(&open, sink);
            }
        }
        let ended = self.ending.answered(exchange.id, failed);
        self.remark(ended, sink);
        if let Some(task) = terminated {
            self.end(task, None, sink);
        }
    }

    fn tell(&self, exchange: &Exchange<'t>, sink: &mut impl Sink<'t>) {
        if self.selection.has(exchange.subject) {
            sink.closed(&self.names, exchange);
        }
    }

    fn remark(&self, remark: Option<Remark>, sink: &mut impl Sink<'t>) {
        if let Some(remark) = remark {
            sink.remark(&self.names, self.now, &remark);
        }
    }

    /// A request that is to set the trace port of a task of this trace ends that task's trace.
    fn note_ending(&mut self, exchange: &Exchange<'t>) {
        if !self.names.lessons.is_special_port_set(exchange) || self.has_engines {
            return;
        }
        if !exchange.decode_request(self.tables).as_ref().is_some_and(lessons::sets_trace_port) {
            return;
        }
        let actor = exchange.actor;
        let (target, by) = match exchange.role {
            Role::Client => (self.names.target(exchange), Some(actor)),
            _ => (Some(actor.task), None),
        };
        if let Some(target) = target {
            self.ending.asked(exchange.id, Unfinished { target, by });
        }
    }
}
