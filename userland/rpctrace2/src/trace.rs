// SPDX-License-Identifier: GPL-2.0-or-later
//! One trace: what the stages of `exchanges` make of it, into what `report` writes.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use bytes::Bytes;
use capture::{Lost, Note, Writer};
use exchanges::ending::Untraced;
use exchanges::exchange::{Exchange, Remark, Role, Tally};
use exchanges::fate::Told;
use exchanges::leave_out::LetThrough;
use exchanges::{Actor, Event, Exchanges, Injected, Names, Selection, Sink};
use mig_defs::table::Tables;
use report::{Analysis, Found, Lines, Stamp, Style, Summary};
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
    analysis: Option<Box<dyn Analysis<'t> + 't>>,
    found: Found,
    is_live: bool,
    /// Where all of it is kept, too.
    capture: Option<Box<Writer>>,
    /// Something has come since it was noted there that nothing comes.
    has_come: bool,
    style: Style,
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
    analysis: Option<&'a mut (dyn Analysis<'t> + 't)>,
    out: &'a mut String,
}

impl<'t> Sink<'t> for Output<'_, 't> {
    fn opened(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if let Some(summary) = &mut self.summary {
            summary.opened(exchange);
        }
        if let Some(analysis) = &mut self.analysis {
            analysis.opened(names, exchange);
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
        if let Some(analysis) = &mut self.analysis {
            analysis.closed(names, exchange);
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
        if let Some(analysis) = &mut self.analysis {
            analysis.given(names, actor, event);
        }
    }

    fn remark(&mut self, names: &Names, time: u64, remark: &Remark) {
        if let (Some(summary), Remark::Lost(records)) = (&mut self.summary, remark) {
            summary.lost(*records);
        }
        if let Some(Shown { lines, .. }) = &mut self.lines {
            lines.remark(names, time, remark, self.out);
        }
        if let Some(analysis) = &mut self.analysis {
            analysis.remark(names, time, remark);
        }
    }

    fn event(&mut self, event: &Event) {
        if let Some(analysis) = &mut self.analysis {
            analysis.event(event);
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
        let has_lines = matches!(options.report, Report::Lines | Report::Both);
        let has_summary = matches!(options.report, Report::Summary | Report::Both);
        let mut trace = Self {
            tables,
            is_live: has_lines && !selection.is_empty(),
            exchanges: Exchanges::new(tables, selection, command, options.report == Report::Summary),
            lines: has_lines.then(|| Shown { lines: Lines::new(tables, options.style), status: options.status }),
            summary: has_summary.then(|| Summary::new(options.table.clone())),
            analysis: None,
            found: Found::Nothing,
            capture: None,
            has_come: false,
            style: options.style,
        };
        if let Report::Answer(question) = options.report {
            trace.analyse(question.begin(tables, options.min, options.style.verbose));
        }
        Ok(trace)
    }

    /// Has all exchanges go there, too. Before the first record.
    pub fn analyse(&mut self, analysis: Box<dyn Analysis<'t> + 't>) {
        self.exchanges.look_at_all();
        self.analysis = Some(analysis);
    }

    /// What the answer to a question came to, once it has been written.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Keeps everything in a capture, too, from here on: before anything else is said of the trace.
    pub fn keep(&mut self, capture: Writer) {
        self.capture = Some(Box::new(capture));
    }

    /// The capture that it is kept in.
    pub fn capture(&mut self) -> Option<&mut Writer> {
        self.capture.as_deref_mut()
    }

    fn note(&mut self, note: Note<'_>) {
        if let Some(capture) = &mut self.capture {
            capture.note(note);
        }
    }

    /// What is traced ran before: there is no command. If it is one task it has this name; otherwise [`Trace::call`] says what they are called.
    pub fn attach(&mut self, only: Option<&str>) {
        self.note(Note::Attached(only));
        self.exchanges.attach(only);
    }

    /// Tasks are traced by engines, so that it ends no trace when somebody sets a task's trace port.
    pub fn keep_to_engines(&mut self) {
        self.note(Note::ByEngines);
        self.exchanges.keep_to_engines();
    }

    /// What the kernel is to let through, in so many rules at most; nothing if that is everything. Before the first record.
    pub fn leave_out(&mut self, rules: usize) -> Option<LetThrough> {
        let let_through = self.exchanges.leave_out(rules);
        if let_through.is_some() {
            self.note(Note::Filtered);
        }
        let_through
    }

    /// The kernel has left out what another trace did not want, of which this one is made again.
    pub fn set_filtered(&mut self) {
        self.exchanges.set_filtered();
    }

    /// Something is to be said about the trace; appends the line.
    pub fn mark(&mut self, text: &str, out: &mut String) {
        self.note(Note::Mark(text));
        out.push_str("rpctrace2: ");
        out.push_str(text);
        out.push('\n');
    }

    /// Records were lost before they came here.
    pub fn lost(&mut self, lost: Lost, out: &mut String) {
        self.note(Note::Lost(lost));
        let (exchanges, mut output) = self.parts(out);
        exchanges.lost(u32::try_from(lost.count).unwrap_or(u32::MAX), &mut output);
    }

    /// This has been made of the message whose record has this sequence number. Before that record.
    pub fn inject(&mut self, sequence: u64, injected: Injected) {
        self.note(Note::Injected(
            sequence,
            match injected {
                Injected::Failure(code) => capture::Injected::Failure(code),
                Injected::Reply(code) => capture::Injected::Reply(code),
                Injected::Delay => capture::Injected::Delay,
            },
        ));
        self.exchanges.inject(sequence, injected);
    }

    /// The line of a message that a record, a part of this buffer, says is about to be sent, without its end; in full with what `-v` and
    /// `--dump-messages` say. Nothing is kept of it.
    pub fn preview(&self, record: &Record<'_>, buffer: &Bytes, in_full: bool) -> String {
        let verbose = self.style.verbose || in_full;
        let style = Style { stamp: Stamp::None, verbose, dump: in_full, ..self.style };
        let (mut lines, mut text) = (Lines::new(self.tables, style), String::new());
        lines.opened(self.exchanges.names(), &self.exchanges.preview(record, buffer), &mut text);
        lines.interrupt(&mut text);
        text.replacen(report::UNFINISHED, "", 1)
    }

    /// What it decodes with.
    pub fn tables(&self) -> Tables<'t> {
        self.tables
    }

    /// The task with this number of the kernel's is called so.
    pub fn call(&mut self, number: u32, name: &str) {
        self.note(Note::Called(number, name));
        self.exchanges.call(number, name);
    }

    /// The trace has let go of what it traced, which goes on.
    pub fn detached(&mut self, out: &mut String) {
        self.note(Note::Detached);
        self.catch_up(out);
        out.push_str("--- detached ---\n");
    }

    /// Another tool has taken over: what was traced goes on, and may be traced by it.
    pub fn taken_over(&mut self, by: &impl Display, out: &mut String) {
        let by = by.to_string();
        self.note(Note::TakenOver(&by));
        self.catch_up(out);
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
        let (lines, summary, analysis) = (self.lines.as_mut(), self.summary.as_mut(), self.analysis.as_deref_mut());
        (&mut self.exchanges, Output { lines, summary, analysis, out })
    }

    /// Takes a message that came to the trace port, whoever sent it; appends the lines that are complete now.
    pub fn message(&mut self, message: &Bytes, out: &mut String) {
        if let Some(capture) = &mut self.capture {
            capture.message(message);
            self.has_come = true;
        }
        let (exchanges, mut output) = self.parts(out);
        exchanges.message(message, &mut output);
    }

    /// Takes note of a message that was too large to be received; this is what its header said.
    pub fn too_large(&mut self, id: u32, size: u32, out: &mut String) {
        self.note(Note::TooLarge(id, size));
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
        self.note(Note::Untraced(match now {
            Untraced::Cleared => capture::Untraced::Cleared,
            Untraced::Replaced => capture::Untraced::Replaced,
            Untraced::EngineEnded => capture::Untraced::EngineEnded,
            Untraced::SetId => capture::Untraced::SetId,
        }));
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

    /// Whether something is held back that [`Trace::idle`] would print, or that nothing comes is to be noted in the capture, of which somebody may want
    /// to see more.
    pub fn is_waiting(&self) -> bool {
        self.has_come
            || self.exchanges.is_waiting()
            || self.lines.as_ref().is_some_and(|shown| shown.lines.is_waiting())
    }

    /// Nothing has come for a while: prints what was held back for what might come.
    pub fn idle(&mut self, out: &mut String) {
        self.note(Note::Idle);
        self.has_come = false;
        self.catch_up(out);
    }

    fn catch_up(&mut self, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.catch_up(&mut output);
        if let Some(Shown { lines, .. }) = &mut self.lines {
            lines.interrupt(out);
        }
    }

    /// The task with this number of the kernel's has ended, and all its records have been taken.
    pub fn ended(&mut self, number: u32, out: &mut String) {
        self.note(Note::Ended(number));
        let (exchanges, mut output) = self.parts(out);
        exchanges.ended(number, &mut output);
    }

    /// The command has ended and nothing comes any more, but tasks are still traced.
    pub fn left(&mut self, out: &mut String) {
        self.note(Note::Left);
        self.leave(out);
    }

    fn leave(&mut self, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.left(&mut output);
    }

    /// The user wants the trace to end now, whatever is still traced.
    pub fn interrupted(&mut self, out: &mut String) {
        self.note(Note::Interrupted);
        self.catch_up(out);
        out.push_str("--- interrupted ---\n");
        self.leave(out);
    }

    /// The command has ended, and all its records have been taken.
    pub fn exited(&mut self, status: i32, out: &mut String) {
        self.ended_so(Told::Exited(status), out);
    }

    /// The command has ended so, and all its records have been taken.
    pub fn ended_so(&mut self, told: Told, out: &mut String) {
        self.note(match told {
            Told::Exited(status) => Note::Exited(status),
            Told::Signaled(signal) => Note::Signaled(signal),
        });
        let (exchanges, mut output) = self.parts(out);
        exchanges.exited(told, &mut output);
    }

    /// The command has ended, or will, but nobody says how; this was answered instead.
    pub fn end_unknown(&mut self, answer: &str, out: &mut String) {
        self.note(Note::EndUnknown(answer));
        self.catch_up(out);
        report::end_unknown(out, answer);
    }

    /// No record comes any more.
    pub fn finish(&mut self, out: &mut String) {
        self.note(Note::Finished);
        if let Some(capture) = &mut self.capture {
            capture.finish();
        }
        let (exchanges, mut output) = self.parts(out);
        exchanges.finish(&mut output);
        if let Some(shown) = &mut self.lines {
            shown.lines.interrupt(out);
        }
        if let Some(summary) = &self.summary {
            summary.write(self.tables, out);
        }
        if let Some(analysis) = &mut self.analysis {
            self.found = analysis.finish(self.exchanges.names(), out);
        }
        report::strays(out, self.exchanges.strays(), self.lines.is_some());
    }
}
