// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to html`: one file that a browser shows without a network, with everything of the trace in it: docs/page.md.
//!
//! [`Html`] hears of a trace's exchanges. Of each it keeps a `rows::Row` of some 50 bytes; its text and the bytes of its messages go to
//! `chunks`, which are compressed as they fill. `parts` puts both into the page's own form when nothing comes any more, and `page` writes
//! the file.

mod chunks;
mod page;
mod parts;
mod rows;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::rc::Rc;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Names, Sink};
use mig_defs::table::Tables;
use report::{Analysis, Found, Lines, Stamp, Style};
use trace_port::port;

use chunks::Chunks;
use page::Page;
use rows::{Marks, Moment, Row, Rows};

/// Most bytes of a text argument that the page has: the message's bytes have all of it.
const TEXT: usize = 256;

/// What came of it, for who began it.
#[derive(Debug, Default)]
pub struct Written {
    /// Exchanges on the page.
    pub exchanges: usize,
    /// Bytes of the file.
    pub size: u64,
    /// Messages whose bytes were left out, so that the file is not too large.
    pub left_out: u64,
    /// Why it could not be written.
    pub error: Option<io::Error>,
}

/// Makes a page of a trace.
pub struct Html<'t> {
    lines: Lines<'t>,
    /// The text of the exchange at hand.
    text: String,
    rows: Rows,
    marks: Marks,
    chunks: Chunks,
    page: Page,
    out: Box<dyn Write>,
    wanted: Box<dyn Fn(Outcome) -> bool>,
    written: Rc<RefCell<Written>>,
}

impl fmt::Debug for Html<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Html").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl<'t> Html<'t> {
    /// A page of a trace with these tables, written to `out` at its end. The facts, a name and a text each, stand on it: of the command `title` is the
    /// text. What comes of it is told in what is answered second.
    pub fn new(
        tables: Tables<'t>,
        out: Box<dyn Write>,
        title: &str,
        facts: Vec<(String, String)>,
    ) -> (Self, Rc<RefCell<Written>>) {
        let style = Style { string_size: TEXT, stamp: Stamp::None, raw: true, ..Style::default() };
        let written = Rc::new(RefCell::new(Written::default()));
        let html = Self {
            lines: Lines::new(tables, style),
            text: String::new(),
            rows: Rows::default(),
            marks: Marks::default(),
            chunks: Chunks::default(),
            page: Page { title: title.to_owned(), facts },
            out,
            wanted: Box::new(|_| true),
            written: written.clone(),
        };
        (html, written)
    }

    /// Has on the page only exchanges that ended so.
    #[must_use]
    pub fn only(self, wanted: Box<dyn Fn(Outcome) -> bool>) -> Self {
        Self { wanted, ..self }
    }
}

impl<'t> Sink<'t> for Html<'t> {
    fn opened(&mut self, _: &Names, exchange: &Exchange<'t>) {
        self.rows.opened(exchange);
    }

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if exchange.last().is_none() || !(self.wanted)(exchange.outcome) {
            return;
        }
        self.text.clear();
        if exchange.role != Role::Failed {
            self.lines.opened(names, exchange, &mut self.text);
        }
        self.lines.closed(names, exchange, &mut self.text);
        self.lines.interrupt(&mut self.text);
        self.chunks.add(self.text.trim_end(), exchange);
        self.rows.closed(exchange);
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, names: &Names, time: u64, remark: &Remark) {
        self.text.clear();
        self.lines.remark(names, time, remark, &mut self.text);
        self.marks.add(time, self.text.trim_end(), remark);
    }

    fn event(&mut self, event: &Event) {
        self.rows.event(event);
    }
}

impl<'t> Analysis<'t> for Html<'t> {
    fn finish(&mut self, names: &Names, _: &mut String) -> Found {
        let parts = parts::build(&mut self.rows, &self.marks, names, &mut self.chunks, &self.page);
        let mut written = self.written.borrow_mut();
        written.exchanges = self.rows.len();
        match page::write(&mut *self.out, &parts) {
            Ok(size) => (written.size, written.left_out) = (size, parts.left_out),
            Err(error) => written.error = Some(error),
        }
        Found::Nothing
    }
}

/// What a row says of how an exchange ended.
fn outcome(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Answered { failed: false } => 0,
        Outcome::Answered { failed: true } => 1,
        Outcome::OneWay => 2,
        Outcome::Open | Outcome::Unanswered => 3,
        Outcome::Failed(_) => 4,
    }
}

/// What a row says of the part that its task had.
fn role(role: Role) -> u8 {
    match role {
        Role::Client => 0,
        Role::Server => 1,
        Role::Control { .. } => 2,
        Role::Exception { .. } => 3,
        Role::Failed => 4,
    }
}

/// Whether the kernel itself answers what is sent there; `false` where the record does not say.
fn is_kernels(exchange: &Exchange<'_>) -> bool {
    let to = exchange.request.as_ref().filter(|_| exchange.role == Role::Client).and_then(Event::remote_port);
    to.is_some_and(|to| to.kind != port::NONE)
}

impl Row {
    fn of(exchange: &Exchange<'_>, now: Moment, lane: u32, what: u32) -> Self {
        let first = exchange.request.as_ref().or(exchange.reply.as_ref()).map_or(now, Moment::of);
        let ending = outcome(exchange.outcome);
        // Of what was not answered: until when it was not.
        let last = if ending == 3 { now } else { exchange.last().map_or(first, Moment::of) };
        Self {
            start: first.time,
            took: last.time.saturating_sub(first.time),
            first: first.sequence,
            records: last.sequence.saturating_sub(first.sequence),
            lane,
            what,
            flags: role(exchange.role) | ending << 3 | u8::from(is_kernels(exchange)) << 6,
            link: None,
            peer: exchange.peer.map(|peer| peer.0),
        }
    }
}
