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
use exchanges::fate::Told;
use exchanges::leave_out::LetThrough;
use exchanges::memory::Found;
use exchanges::{Exchanges, Injected, Memory, Selection};
use mig_defs::table::Tables;
use report::posix::Ends;
use report::{Analysis, Found as Answered, Lines, Posix, Stamp, Style, Summary};
use trace_port::{Record, RecordError};

use crate::gate::{Asked, Gate, History};
use crate::options::filter::{FilterError, expand, no_patterns};
use crate::options::near::Suggestion;
use crate::options::{Options, Report};
use crate::ring::Piece;

mod output;

use output::Output;

/// A trace of one command and its children, and its text.
#[derive(Debug)]
pub struct Trace<'t> {
    tables: Tables<'t>,
    exchanges: Exchanges<'t>,
    lines: Option<Lines<'t>>,
    summary: Option<Summary>,
    posix: Option<Posix<'t>>,
    analysis: Option<Box<dyn Analysis<'t> + 't>>,
    found: Answered,
    is_live: bool,
    /// Where all of it is kept, too.
    capture: Option<Box<Writer>>,
    /// Something has come since it was noted there that nothing comes.
    has_come: bool,
    style: Style,
    /// What is shown, and what was asked for in words.
    gate: Gate,
    asked: Asked,
    /// The lines before what is shown.
    history: History,
    /// It has been said that nothing more is shown.
    is_concluded: bool,
}

impl<'t> Trace<'t> {
    /// A trace that decodes with these tables.
    ///
    /// # Errors
    /// If an option names something the tables do not have.
    pub fn new(tables: Tables<'t>, options: &Options, command: &str) -> Result<Self, FilterError> {
        let expanded = |expression: &String| expand("-e", expression, tables, &no_patterns);
        let expressions = options.expressions.iter().map(expanded).collect::<Result<Vec<_>, _>>()?;
        let unknown = |name| FilterError::UnknownName { option: "-e", name, near: Suggestion::none() };
        let select = || Selection::new(&expressions, tables).map_err(|error| unknown(error.0));
        let (gate, selection) = Gate::new(options, select, tables)?;
        let counts_only = options.report == Report::Summary && gate.is_plain() && !options.posix;
        let has_lines = matches!(options.report, Report::Lines | Report::Both);
        let has_summary = matches!(options.report, Report::Summary | Report::Both);
        let mut trace = Self {
            tables,
            is_live: has_lines && !selection.is_empty(),
            exchanges: Exchanges::new(tables, selection, command, counts_only),
            lines: (has_lines && !options.posix).then(|| Lines::new(tables, options.style)),
            summary: (has_summary && !options.posix).then(|| Summary::new(options.table.clone())),
            posix: options.posix.then(|| {
                let ends = Ends {
                    successful: options.status.successful,
                    failed: options.status.failed,
                    unfinished: options.status.unfinished,
                };
                Posix::new(tables, options.style, ends, has_lines, has_summary.then(|| options.table.clone()))
            }),
            analysis: None,
            found: Answered::Nothing,
            capture: None,
            has_come: false,
            style: options.style,
            gate,
            asked: Asked::new(options),
            history: History::new(options.selecting.history),
            is_concluded: false,
        };
        if trace.gate.has_span() {
            trace.exchanges.look_at_all();
        }
        if let Report::Answer(question) = options.report {
            trace.analyse(question.begin(tables, options.min, options.style.verbose, options.table.width));
        }
        Ok(trace)
    }

    /// Has all exchanges go there, too. Before the first record.
    pub fn analyse(&mut self, analysis: Box<dyn Analysis<'t> + 't>) {
        self.exchanges.look_at_all();
        self.analysis = Some(analysis);
    }

    /// Appends the answer to a question as it stands, in so many lines at most; nothing if it cannot be told before the end.
    pub fn so_far(&self, lines: usize, out: &mut String) {
        if let Some(analysis) = &self.analysis {
            analysis.so_far(self.exchanges.names(), lines, out);
        }
    }

    /// What the answer to a question came to, once it has been written.
    pub fn found(&self) -> Answered {
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
        // What comes after the end of what is shown is not of the trace.
        if let Some(capture) = self.capture.as_mut().filter(|_| !self.is_concluded) {
            capture.note(note);
        }
    }

    /// Whether what is shown is over, by `--until`, `--limit` or `--for`: nothing that comes is taken any more.
    pub fn is_over(&self) -> bool {
        self.is_concluded
    }

    /// Nanoseconds that are left of `--for`, if nothing has come for so many.
    pub fn left_of_span(&self, silent: u64) -> Option<u64> {
        self.gate.left(silent)
    }

    /// The time of `--for` is over, though nothing comes.
    pub fn run_out(&mut self, out: &mut String) {
        self.gate.run_out();
        self.conclude(out);
    }

    /// A line for each option that has selected nothing of all that came; at the end.
    pub fn unmatched(&self) -> Vec<String> {
        self.asked.lines(&self.gate, self.exchanges.records())
    }

    /// Says why nothing more is shown, if that is so.
    fn conclude(&mut self, out: &mut String) {
        if self.gate.is_plain() || self.is_concluded {
            return;
        }
        if self.exchanges.records() > 0 {
            self.gate.comes(self.exchanges.now());
        }
        if self.gate.is_over() {
            let (exchanges, mut output) = self.parts(out);
            output.conclude();
            output.conclude_calls(exchanges.names());
            let text = format!("{}: the trace ends here", self.asked.end(&self.gate));
            self.mark(&text, out);
            self.is_concluded = true;
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
        if self.is_concluded {
            return;
        }
        self.note(Note::Lost(lost));
        let (exchanges, mut output) = self.parts(out);
        exchanges.lost(u32::try_from(lost.count).unwrap_or(u32::MAX), &mut output);
        self.conclude(out);
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

    /// Memory out of line of the message whose record has this sequence number held this. Before that record.
    pub fn remember(&mut self, sequence: u64, memory: Memory) {
        let found = match &memory.found {
            Found::Read(bytes) => capture::Found::Read(bytes),
            Found::GivenAway => capture::Found::GivenAway,
            Found::Refused(code) => capture::Found::Refused(*code),
            Found::Paged => capture::Found::Paged,
        };
        let Memory { address, size, .. } = memory;
        self.note(Note::Memory(capture::Memory { sequence, address, size, found }));
        self.exchanges.remember(sequence, memory);
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
        let (lines, summary, posix) = (self.lines.as_mut(), self.summary.as_mut(), self.posix.as_mut());
        let (gate, history, analysis) = (&mut self.gate, &mut self.history, self.analysis.as_deref_mut());
        (&mut self.exchanges, Output { gate, history, lines, summary, posix, analysis, out })
    }

    /// Takes a message that came to the trace port, whoever sent it; appends the lines that are complete now.
    pub fn message(&mut self, message: &Bytes, out: &mut String) {
        if self.is_concluded {
            return;
        }
        if let Some(capture) = &mut self.capture {
            capture.message(message);
            self.has_come = true;
        }
        let (exchanges, mut output) = self.parts(out);
        exchanges.message(message, &mut output);
        self.conclude(out);
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
        self.conclude(out);
    }

    /// Takes the next record of a ring; appends the lines that are complete now.
    pub fn piece(&mut self, piece: &mut Piece<'_>, out: &mut String) {
        if self.is_concluded {
            return;
        }
        // The reader has looked at it.
        let Ok(record) = Record::in_ring(piece.bytes()) else { return };
        if let Some(capture) = &mut self.capture {
            capture.record(piece.bytes());
            self.has_come = true;
        }
        let (exchanges, mut output) = self.parts(out);
        if !exchanges.pass(&record, &mut output) {
            let bytes = piece.share();
            if let Ok(record) = Record::in_ring(&bytes) {
                exchanges.take(&record, &bytes, &mut output);
            }
        }
        self.conclude(out);
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
        self.conclude(out);
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
        self.has_come || self.exchanges.is_waiting() || self.lines.as_ref().is_some_and(Lines::is_waiting)
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
        output.interrupt();
        self.conclude(out);
    }

    /// The task with this number of the kernel's has ended, and all its records have been taken.
    pub fn ended(&mut self, number: u32, out: &mut String) {
        self.note(Note::Ended(number));
        let (exchanges, mut output) = self.parts(out);
        exchanges.ended(number, &mut output);
        self.conclude(out);
    }

    /// The command has ended and nothing comes any more, but tasks are still traced.
    pub fn left(&mut self, out: &mut String) {
        self.note(Note::Left);
        self.leave(out);
    }

    fn leave(&mut self, out: &mut String) {
        let (exchanges, mut output) = self.parts(out);
        exchanges.left(&mut output);
        self.conclude(out);
    }

    /// The user wants the trace to end now, whatever is still traced.
    pub fn interrupted(&mut self, out: &mut String) {
        self.note(Note::Interrupted);
        self.catch_up(out);
        let (exchanges, mut output) = self.parts(out);
        output.conclude_calls(exchanges.names());
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
        self.conclude(out);
    }

    /// The command has ended, or will, but nobody says how; this was answered instead.
    pub fn end_unknown(&mut self, answer: &str, out: &mut String) {
        self.note(Note::EndUnknown(answer));
        self.catch_up(out);
        report::end_unknown(out, answer);
    }

    /// No record comes any more.
    pub fn finish(&mut self, out: &mut String) {
        self.gate.finishes();
        let (exchanges, mut output) = self.parts(out);
        exchanges.finish(&mut output);
        output.interrupt();
        self.conclude(out);
        if let Some(capture) = &mut self.capture {
            capture.note(Note::Finished);
            capture.finish();
        }
        if let Some(posix) = &mut self.posix {
            posix.finish(self.exchanges.names(), out);
        }
        if let Some(summary) = &self.summary {
            summary.write(self.tables, out);
        }
        if let Some(analysis) = &mut self.analysis {
            self.found = analysis.finish(self.exchanges.names(), out);
        }
        report::strays(out, self.exchanges.strays(), self.lines.is_some() || self.posix.is_some());
    }
}
