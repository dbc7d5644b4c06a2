// SPDX-License-Identifier: GPL-2.0-or-later
//! One trace: what the stages of `exchanges` make of it, into what `report` writes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;

use bytes::Bytes;
use exchanges::ending::Untraced;
use exchanges::exchange::{Exchange, Remark, Role, Tally};
use exchanges::fate::Told;
use exchanges::leave_out::LetThrough;
use exchanges::{Actor, Event, Exchanges, Injected, Names, Selection, Sink};
use mig_defs::table::Tables;
use report::{Lines, Summary};
use trace_port::{Record, RecordError};

use crate::options::filter::{FilterError, expand, no_patterns};
use crate::options::near::Suggestion;
use crate::options::{Options, Report, Status};

/// A trace of one command and its children, and its text.
#[derive(Debug)]
pub struct Trace<'t> {
    tables: Tables<'t>,
    exchanges: Exchanges<'t>,
    lines: Option<Shown<'t>>,
    summary: Option<Summary>,
    is_live: bool,
}

/// Lines, and which ends of exchanges have some.
#[derive(Debug)]
struct Shown<'t> {
    lines: Lines<'t>,
    status: Status,
}

/// Where exchanges go: lines are appended to `out`.
struct Output<'a, 't> {
    lines: Option<&'a mut Shown<'t>>,
    summary: Option<&'a mut Summary>,
    out: &'a mut String,
}

impl<'t> Sink<'t> for Output<'_, 't> {
    fn opened(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if let Some(summary) = &mut self.summary {
            summary.opened(exchange);
        }
        // Before its end it is not known whether it has a line.
        if let Some(shown) = self.lines.as_mut().filter(|shown| shown.status == Status::ALL) {
            shown.lines.opened(names, exchange, self.out);
        }
    }

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if let Some(summary) = &mut self.summary {
            summary.closed(exchange);
        }
        if let Some(Shown { lines, status }) = self.lines.as_mut().filter(|shown| shown.status.has(exchange.outcome)) {
            if *status != Status::ALL && exchange.role != Role::Failed {
                lines.opened(names, exchange, self.out);
            }
            lines.closed(names, exchange, self.out);
        }
    }

    fn counted(&mut self, tally: Tally) {
        if let Some(summary) = &mut self.summary {
            summary.counted(tally);
        }
    }

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) {
        if let Some(Shown { lines, .. }) = &mut self.lines {
            lines.given(names, actor, event, self.out);
        }
    }

    fn remark(&mut self, names: &Names, time: u64, remark: &Remark) {
        if let (Some(summary), Remark::Lost(records)) = (&mut self.summary, remark) {
            summary.lost(*records);
        }
        if let Some(Shown { lines, .. }) = &mut self.lines {
            lines.remark(names, time, remark, self.out);
        }
    }
}

impl<'t> Trace<'t> {
    /// A trace that decodes with these tables.
    ///
    /// # Errors
    /// If an option names something the tables do not have.
    pub fn new(tables: Tables<'t>, options: &Options, command: &str) -> Result<Self, FilterError> {
        let expressions = options.expressions.iter().map(|expression| expand(expression, tables, &no_patterns));
        let selection = Selection::new(&expressions.collect::<Result<Vec<_>, _>>()?, tables)
            .map_err(|unknown| FilterError::UnknownName { name: unknown.0, near: Suggestion::none() })?;
        let (has_lines, has_summary) = (options.report != Report::Summary, options.report != Report::Lines);
        Ok(Self {
            tables,
            is_live: has_lines && !selection.is_empty(),
            exchanges: Exchanges::new(tables, selection, command, !has_lines),
            lines: has_lines.then(|| Shown { lines: Lines::new(tables, options.style), status: options.status }),
            summary: has_summary.then(Summary::default),
        })
    }

    /// What is traced ran before: there is no command. If it is one task it has this name; otherwise [`Trace::call`] says what they are called.
    pub fn attach(&mut self, only: Option<&str>) {
        self.exchanges.attach(only);
    }

    /// Tasks are traced by engines, so that it ends no trace when somebody sets a task's trace port.
    pub fn keep_to_engines(&mut self) {
        self.exchanges.keep_to_engines();
    }

    /// What the kernel is to let through, in so many rules at most; nothing if that is everything. Before the first record.
    pub fn leave_out(&mut self, rules: usize) -> Option<LetThrough> {
        self.exchanges.leave_out(rules)
    }

    /// This has been made of the message whose record has this sequence number. Before that record.
    pub fn inject(&mut self, sequence: u64, injected: Injected) {
        self.exchanges.inject(sequence, injected);
    }

    /// The task with this number of the kernel's is called so.
    pub fn call(&mut self, number: u32, name: &str) {
        self.exchanges.call(number, name);
    }

    /// The trace has let go of what it traced, which goes on.
    pub fn detached(&mut self, out: &mut String) {
        self.idle(out);
        out.push_str("--- detached ---\n");
    }

    /// Another tool has taken over: what was traced goes on, and may be traced by it.
    pub fn taken_over(&mut self, by: &impl Display, out: &mut String) {
        self.idle(out);
        out.push_str(&format!("--- the system trace was taken over by {by}; this one ends ---\n"));
    }

    /// Its lines stand apart from the command's own output.
    pub fn set_apart(&mut self) {
        self.is_live = false;
    }

    /// Whether its lines are to stand where they belong in the command's own output: not where it makes a table alone, or nothing.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// The stages, and where they lead.
    fn parts<'a>(&'a mut self, out: &'a mut String) -> (&'a mut Exchanges<'t>, Output<'a, 't>) {
        let output = Output { lines: self.lines.as_mut(), summary: self.summary.as_mut(), out };
        (&mut self.exchanges, output)
    }

    /// Takes a message that came to the trace port, whoever sent it; appends the lines that are complete now.
    pub fn message(&mut self, message: &Bytes, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.message(message, &mut output);
    }

    /// Takes note of a message that was too large to be received; this is what its header said.
    pub fn too_large(&mut self, id: u32, size: u32, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.too_large(id, size, &mut output);
    }

    /// Takes the next record, which is a part of this buffer; appends the lines that are complete now.
    pub fn record(&mut self, record: &Record<'_>, buffer: &Bytes, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.record(record, buffer, &mut output);
    }

    /// No task is traced any more, but the command goes on.
    pub fn untraced(&mut self, now: Untraced, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.untraced(now, &mut output);
    }

    /// The time of the last record, as records have it, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.exchanges.now()
    }

    /// What the kernel sent, if it can have been the kernel, when nothing that came was a record.
    pub fn other_version(&self) -> Option<RecordError> {
        self.exchanges.other_version()
    }

    /// Whether something is held back that [`Trace::idle`] would print.
    pub fn is_waiting(&self) -> bool {
        self.exchanges.is_waiting() || self.lines.as_ref().is_some_and(|shown| shown.lines.is_waiting())
    }

    /// Nothing has come for a while: prints what was held back for what might come.
    pub fn idle(&mut self, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.catch_up(&mut output);
        if let Some(Shown { lines, .. }) = &mut self.lines {
            lines.interrupt(out);
        }
    }

    /// The task with this number of the kernel's has ended, and all its records have been taken.
    pub fn ended(&mut self, number: u32, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.ended(number, &mut output);
    }

    /// The command has ended and nothing comes any more, but tasks are still traced.
    pub fn left(&mut self, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.left(&mut output);
    }

    /// The user wants the trace to end now, whatever is still traced.
    pub fn interrupted(&mut self, out: &mut String) {
        self.idle(out);
        out.push_str("--- interrupted ---\n");
        self.left(out);
    }

    /// The command has ended, and all its records have been taken.
    pub fn exited(&mut self, status: i32, out: &mut String) {
        self.ended_so(Told::Exited(status), out);
    }

    /// The command has ended so, and all its records have been taken.
    pub fn ended_so(&mut self, told: Told, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.exited(told, &mut output);
    }

    /// The command has ended, or will, but nobody says how; this was answered instead.
    pub fn end_unknown(&mut self, answer: &str, out: &mut String) {
        self.idle(out);
        report::end_unknown(out, answer);
    }

    /// No record comes any more.
    pub fn finish(&mut self, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.finish(&mut output);
        if let Some(shown) = &mut self.lines {
            shown.lines.interrupt(out);
        }
        if let Some(summary) = &self.summary {
            summary.write(self.tables, out);
        }
        report::strays(out, self.exchanges.strays(), self.lines.is_some());
    }
}
