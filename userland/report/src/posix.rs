// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls that a programmer made, of the messages that libc made of them: `--posix`, docs/posix.md.
//!
//! **What.** The messages of each thread, in their order, are a *run*. [`recipes`] has a table of calls: from which messages libc makes each. As
//! soon as nothing more can belong to a run's beginning, that is a line: the call of the row that fits the most of it, or, if none does,
//! the message as it is. What rows do not tell apart is not told apart here.
//!
//! **Place in the flow.** `exchanges` -> [`Posix`] -> text; messages that are no call go through [`Lines`].
//!
//! **Invariants.** Each message is in one line, or is counted as left out; no line says what no message says.
//!
//! **Start reading at** [`Posix::closed`]; at [`recipes`] to add a call.

mod chain;
mod errno;
mod fit;
mod item;
mod left_out;
mod line;
mod places;
mod recipe;
mod recipes;
mod thread;
mod words;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::take;
use core::slice::from_ref;

use exchanges::Actor;
use exchanges::exchange::{Exchange, Outcome, Remark, Role};
use exchanges::names::{Names, TaskIndex};
use mig_defs::table::Tables;

use crate::draft::Draft;
use crate::figures::Figures;
use crate::lines::Lines;
use crate::number::seconds;
use crate::style::Style;
use crate::table::{self, Layout, Row};
pub use errno::strerror;

use chain::{Chain, Taken};
use fit::{Fit, Found};
use item::Item;
use left_out::{LeftOut, is_own_affair, is_wait, may_fail};
use line::{End, Line};
use places::{Places, Reference};
use recipe::{Gives, Need};
use thread::{Over, Thread};

/// Most messages of a run; then it is told as it is.
const RUN: usize = 256;
/// Most ports that are known as open files.
const FILES: usize = 4096;

/// Which ends of calls have lines.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Those that succeed.
    pub successful: bool,
    /// Those that fail.
    pub failed: bool,
    /// Those of which no end is seen.
    pub unfinished: bool,
}

/// A thread: its task, and the kernel's number.
type Key = (TaskIndex, u32);

/// Makes calls of messages.
#[derive(Debug)]
pub struct Posix<'t> {
    tables: Tables<'t>,
    style: Style,
    ends: Ends,
    /// Where lines are written, if any are wanted.
    lines: Option<Lines<'t>>,
    /// The table at the end, if it is wanted.
    layout: Option<Layout>,
    threads: BTreeMap<Key, Thread<'t>>,
    /// What ports were called when they were asked, by the number of the exchange.
    asked: BTreeMap<u64, String>,
    /// References that tasks have to what a call has opened, by the kernel's number of the port.
    opened: BTreeMap<(TaskIndex, u32), u32>,
    places: Places,
    figures: BTreeMap<&'t str, Figures>,
    left_out: LeftOut<'t>,
    lost: u64,
    draft: Draft,
}

/// The actor of a key.
fn actor((task, thread): Key) -> Actor {
    Actor { task, thread }
}

impl<'t> Posix<'t> {
    /// With lines in this style of calls with these ends, and a table at the end.
    pub fn new(tables: Tables<'t>, style: Style, ends: Ends, has_lines: bool, layout: Option<Layout>) -> Self {
        Self {
            tables,
            style,
            ends,
            lines: has_lines.then(|| Lines::new(tables, style)),
            layout,
            threads: BTreeMap::new(),
            asked: BTreeMap::new(),
            opened: BTreeMap::new(),
            places: Places::default(),
            figures: BTreeMap::new(),
            left_out: LeftOut::default(),
            lost: 0,
            draft: Draft::default(),
        }
    }

    /// A request was seen.
    pub fn opened(&mut self, names: &Names, exchange: &Exchange<'t>, out: &mut String) {
        if exchange.role != Role::Client {
            return;
        }
        let key = (exchange.actor.task, exchange.actor.thread);
        let to = self.called(names, exchange);
        let thread = self.threads.entry(key).or_default();
        thread.open += 1;
        let is_next = thread.chain.is_none() && !thread.run.is_empty() && !is_own_affair(exchange);
        self.asked.insert(exchange.id, to);
        if is_next {
            let next = Item::of(self.tables, exchange, String::new());
            self.settle(names, key, Over::Before(&next), out);
        }
    }

    /// Nothing more will be known of an exchange.
    pub fn closed(&mut self, names: &Names, exchange: &Exchange<'t>, out: &mut String) {
        match exchange.role {
            Role::Client => {}
            Role::Failed if is_wait(exchange) => return self.leave_out("mach_msg"),
            Role::Failed | Role::Exception { .. } => return self.tell(names, exchange, out),
            Role::Server | Role::Control { .. } => return self.leave_out(name(exchange)),
        }
        let key = (exchange.actor.task, exchange.actor.thread);
        let to = self.asked.remove(&exchange.id).unwrap_or_else(|| self.called(names, exchange));
        let item = Item::of(self.tables, exchange, to);
        let thread = self.threads.entry(key).or_default();
        thread.open = thread.open.saturating_sub(1);
        match thread.chain.take() {
            Some(chain) if is_own_affair(exchange) && item.failed.is_none() => {
                thread.chain = Some(chain);
                self.leave_out(name(exchange));
            }
            Some(chain) => {
                let taken = chain.take(self.tables, item);
                self.taken(names, key, taken, out);
            }
            None => self.begun(names, key, item, out),
        }
    }

    /// What the port is called that is asked.
    fn called(&mut self, names: &Names, exchange: &Exchange<'_>) -> String {
        let to = exchange.request.as_ref().and_then(|event| Some((event, event.mach_header?.remote_port)));
        let Some((event, name)) = to else { return String::new() };
        let label = crate::words::port(names, exchange.actor, event, name);
        let Some(port) = event.port(name) else { return label };
        let port = (exchange.actor.task, port.number.get());
        self.places.note(port, &label);
        self.places.label(port).filter(|_| places::start(&label).is_none()).map_or(label, String::from)
    }

    /// A message with which no lookup goes on.
    fn begun(&mut self, names: &Names, key: Key, item: Item<'t>, out: &mut String) {
        match item.is_lookup() {
            true => {
                let taken = Chain::begin(self.tables, item);
                self.taken(names, key, taken, out);
            }
            false => self.add(names, key, item, out),
        }
    }

    fn taken(&mut self, names: &Names, key: Key, taken: Taken<'t>, out: &mut String) {
        match taken {
            Taken::Going(chain) => self.threads.entry(key).or_default().chain = Some(chain),
            Taken::Done(item) => self.add(names, key, item, out),
            Taken::Odd(parts) => {
                self.settle(names, key, Over::All, out);
                parts.iter().for_each(|part| self.tell(names, part, out));
            }
            Taken::Other(chain, item) => {
                self.settle(names, key, Over::All, out);
                chain.parts.iter().for_each(|part| self.tell(names, part, out));
                self.begun(names, key, *item, out);
            }
        }
    }

    /// A message of a run.
    fn add(&mut self, names: &Names, key: Key, item: Item<'t>, out: &mut String) {
        let is_own_affair = is_own_affair(&item.exchange);
        let thread = self.threads.entry(key).or_default();
        let reference = Reference::of(self.tables, &item);
        if let (Some(Reference::Taken(port)), Some(label)) = (reference, named(self.tables, names, key, &item)) {
            self.places.note((key.0, port), &label);
        }
        thread.run.push(item);
        if is_own_affair
            && !Fit::of(self.tables, &thread.run).is_all
            && let Some(item) = thread.run.pop()
        {
            self.own_affair(names, key, item, reference, out);
        } else {
            let over = if thread.run.len() > RUN { Over::All } else { Over::Complete };
            if let Some(Reference::Given(port)) = reference {
                // It is part of a call, whose reference it was.
                self.closes((key.0, port));
            }
            self.settle(names, key, over, out);
        }
        match reference {
            Some(Reference::Taken(port)) => {
                self.places.refer((key.0, port));
                self.opened.entry((key.0, port)).and_modify(|references| *references += 1);
            }
            Some(Reference::Given(port)) => self.places.give_back((key.0, port)),
            None => {}
        }
    }

    /// What libc does with memory, rights and threads is no call; but that an open file is given back is one.
    fn own_affair(&mut self, names: &Names, key: Key, item: Item<'t>, reference: Option<Reference>, out: &mut String) {
        if item.failed.is_some() && !may_fail(&item.exchange) {
            self.settle(names, key, Over::All, out);
            return self.tell(names, &item.exchange, out);
        }
        if reference.is_none() && Fit::of(self.tables, from_ref(&item)).is_all {
            // A call begins with it, whatever the one before is still waited for with.
            self.settle(names, key, Over::All, out);
            return self.threads.entry(key).or_default().run.push(item);
        }
        if let Some(Reference::Given(port) | Reference::Taken(port)) = reference {
            let run = self.threads.get(&key).map_or(&[][..], |thread| &thread.run);
            // A call has to be told of before what it brought, or came from, has another reference, or one less.
            let is_open = self.opened.contains_key(&(key.0, port));
            let is_about = |item: &Item<'t>| item.brought.contains(&port) || is_open && item.asks(port);
            // What is looked up from is given back in the middle of a call, by the reference that was taken for it.
            let is_spare = matches!(reference, Some(Reference::Given(_))) && self.places.has_spare((key.0, port));
            let is_place = self.places.label((key.0, port)).is_some();
            if !is_spare && (is_place || run.iter().any(is_about)) {
                self.settle(names, key, Over::All, out);
                if matches!(reference, Some(Reference::Taken(_))) && Fit::of(self.tables, from_ref(&item)).is_all {
                    // The next call begins with it.
                    return self.threads.entry(key).or_default().run.push(item);
                }
            }
        }
        if let Some(Reference::Given(port)) = reference
            && self.closes((key.0, port))
        {
            return self.close(names, key, &item, out);
        }
        self.leave_out(item.routine());
    }

    /// Whether a reference to what a call has opened is given back.
    fn closes(&mut self, file: (TaskIndex, u32)) -> bool {
        let Some(references) = self.opened.get_mut(&file) else { return false };
        *references -= 1;
        if *references == 0 {
            self.opened.remove(&file);
        }
        true
    }

    fn close(&mut self, names: &Names, key: Key, item: &Item<'t>, out: &mut String) {
        let exchange = &item.exchange;
        let label = named(self.tables, names, key, item);
        self.draft.clear();
        self.draft.line.push_str("close(");
        self.draft.line.push_str(label.as_deref().unwrap_or("?"));
        self.draft.line.push_str(") = 0");
        self.write(names, key, "close", End::Success, (exchange, exchange), out);
    }

    /// Makes lines of a run from its beginning on.
    fn settle(&mut self, names: &Names, key: Key, over: Over<'_, 't>, out: &mut String) {
        let Some(thread) = self.threads.get_mut(&key) else { return };
        let mut run = take(&mut thread.run);
        while !run.is_empty() {
            if let Over::Before(next) = over {
                run.push(next.clone());
                let belongs = Fit::of(self.tables, &run).is_all;
                run.pop();
                if belongs {
                    break;
                }
            }
            let fit = Fit::of(self.tables, &run);
            if fit.may_grow && matches!(over, Over::Complete) {
                break;
            }
            let found = fit.found.or_else(|| Fit::of(self.tables, run.get(..1).unwrap_or_default()).found);
            let rest = run.split_off(found.map_or(1, |found| found.items).min(run.len()));
            match found {
                Some(found) => self.call(names, key, (&run, &found), out),
                None => run.iter().for_each(|item| self.no_call(names, item, out)),
            }
            run = rest;
        }
        self.threads.entry(key).or_default().run = run;
    }

    /// A message that belongs to no call.
    fn no_call(&mut self, names: &Names, item: &Item<'t>, out: &mut String) {
        if is_own_affair(&item.exchange) && item.failed.is_none() {
            return self.leave_out(item.routine());
        }
        self.tell(names, &item.exchange, out);
    }

    fn call(&mut self, names: &Names, key: Key, (items, found): (&[Item<'t>], &Found), out: &mut String) {
        self.draft.clear();
        let (tables, style, places, draft) = (self.tables, &self.style, &self.places, &mut self.draft);
        let end = Line { tables, names, style, actor: actor(key), items, found, places, draft }.write();
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return };
        self.write(names, key, found.recipe.call, end, (&first.exchange, &last.exchange), out);
        if end == End::Success {
            self.opens(key, items, found);
        }
        let brought = items.first().and_then(|item| item.brought.first());
        match (found.recipe.call, brought) {
            ("chdir", Some(port)) => self.places.change((key.0, *port)),
            // Of one that succeeds no answer comes.
            ("execve", _) if end != End::Failure => self.places.forget(key.0),
            _ => {}
        }
    }

    /// Takes note of what a call has opened, of which one may see that it is closed.
    fn opens(&mut self, (task, _): Key, items: &[Item<'t>], found: &Found) {
        let recipe = found.recipe;
        let steps = match recipe.gives {
            // Who only looks a name up has no descriptor.
            Gives::Port(step) if recipe.steps.iter().any(|step| step.need != Need::Must) => [Some(step), None],
            Gives::Pair(first, second) => [Some(first), Some(second)],
            _ => return,
        };
        for step in steps.into_iter().flatten() {
            let item = found.places.get(step).copied().flatten().and_then(|place| items.get(place));
            if let Some(port) = item.and_then(|item| item.brought.first())
                && (self.opened.len() < FILES || self.opened.contains_key(&(task, *port)))
            {
                *self.opened.entry((task, *port)).or_default() += 1;
            }
        }
    }

    /// Writes the line of a call, which is in the draft, and counts it.
    fn write(
        &mut self,
        names: &Names,
        key: Key,
        call: &'t str,
        end: End,
        (first, last): (&Exchange<'t>, &Exchange<'t>),
        out: &mut String,
    ) {
        let begin = first.request.as_ref().map_or(0, |event| event.time);
        let took = last.reply.as_ref().map(|event| event.time.saturating_sub(begin)).filter(|_| end != End::Unfinished);
        let keeps_times = self.layout.as_ref().is_some_and(Layout::needs_times);
        self.figures.entry(call).or_default().called(end == End::Failure, took, keeps_times);
        let is_wanted = match end {
            End::Success => self.ends.successful,
            End::Failure => self.ends.failed,
            End::Unfinished => self.ends.unfinished,
        };
        let Some(lines) = self.lines.as_mut().filter(|_| is_wanted) else { return };
        if let Some(took) = took.filter(|_| self.style.durations) {
            self.draft.line.push_str(" <");
            seconds(&mut self.draft.line, took, 0);
            self.draft.line.push('>');
        }
        lines.told(names.label(key.0, key.1), &self.draft, begin, out);
    }

    /// Writes a message as it is.
    fn tell(&mut self, names: &Names, exchange: &Exchange<'t>, out: &mut String) {
        let keeps_times = self.layout.as_ref().is_some_and(Layout::needs_times);
        let figures = self.figures.entry(name(exchange)).or_default();
        figures.called(exchange.has_failed(), exchange.duration(), keeps_times);
        let is_wanted = match exchange.outcome {
            Outcome::OneWay | Outcome::Answered { failed: false } => self.ends.successful,
            Outcome::Answered { failed: true } | Outcome::Failed(_) => self.ends.failed,
            Outcome::Open | Outcome::Unanswered => self.ends.unfinished,
        };
        if let Some(lines) = self.lines.as_mut().filter(|_| is_wanted) {
            if exchange.role != Role::Failed {
                lines.opened(names, exchange, out);
            }
            lines.closed(names, exchange, out);
        }
    }

    fn leave_out(&mut self, name: &'t str) {
        self.left_out.add(name);
    }

    /// Something about the trace itself.
    pub fn remark(&mut self, names: &Names, time: u64, remark: &Remark, out: &mut String) {
        match remark {
            Remark::Ended { task, .. } => self.end(names, Some(*task), out),
            // What was lost may have been in the middle of a call.
            Remark::Lost(records) => {
                self.lost += u64::from(*records);
                self.end(names, None, out);
            }
            _ => {}
        }
        if let Some(lines) = &mut self.lines {
            lines.remark(names, time, remark, out);
        }
    }

    /// Nothing more belongs to the runs of a task, or of all.
    fn end(&mut self, names: &Names, task: Option<TaskIndex>, out: &mut String) {
        let keys: Vec<Key> = self.threads.keys().copied().filter(|key| task.is_none_or(|task| key.0 == task)).collect();
        for key in keys {
            self.settle(names, key, Over::All, out);
            let chain = self.threads.get_mut(&key).and_then(|thread| thread.chain.take());
            chain.iter().flat_map(|chain| &chain.parts).for_each(|part| self.tell(names, part, out));
            if task.is_some() {
                self.threads.remove(&key);
            }
        }
        if let Some(task) = task {
            self.opened.retain(|(of, _), _| *of != task);
            self.places.forget(task);
        }
    }

    /// The trace is to end: what nobody works at is told.
    pub fn interrupt(&mut self, names: &Names, out: &mut String) {
        let waiting = self.threads.iter().filter(|(_, thread)| thread.is_waiting());
        let keys: Vec<Key> = waiting.map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.settle(names, key, Over::All, out));
        if let Some(lines) = &mut self.lines {
            lines.interrupt(out);
        }
    }

    /// Nothing comes any more: the rest of the lines, what was left out of them, and the table.
    pub fn finish(&mut self, names: &Names, out: &mut String) {
        self.end(names, None, out);
        if let Some(lines) = &mut self.lines {
            lines.interrupt(out);
            if !self.style.quiet {
                self.left_out.write(out);
            }
        }
        if let Some(layout) = &self.layout {
            let rows =
                self.figures.iter().map(|(call, figures)| Row { name: (*call).into(), figures: figures.clone() });
            table::write(out, layout, "call", rows.collect());
            if self.lost > 0 {
                out.push_str("--- ");
                crate::remarks::lost(out, self.lost);
                out.push_str(" ---\n");
            }
        }
    }
}

/// What is asked for.
fn name<'t>(exchange: &Exchange<'t>) -> &'t str {
    match (exchange.subject.routine, exchange.subject.msgh_id) {
        (Some(routine), _) => routine.name(),
        (None, Some(_)) => "unknown msgh_id",
        (None, None) => "mach_msg",
    }
}

/// What the port is called whose references a request is about.
fn named<'t>(tables: Tables<'t>, names: &Names, key: Key, item: &Item<'t>) -> Option<String> {
    let event = item.exchange.request.as_ref()?;
    let number = item.asked_port(tables, "name")?;
    let port = event.ports().iter().find(|port| port.number.get() == number)?;
    Some(crate::words::port(names, actor(key), event, port.name.get()))
}
