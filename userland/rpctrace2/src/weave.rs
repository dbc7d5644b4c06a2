//! Requests and replies into lines: one line if nothing comes between, `<unfinished ...>` and `<... resumed>` otherwise.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::correlate::Call;
use crate::event::Event;
use crate::line::{Line, Tag};

/// A line with what stands before and below it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Task and thread; empty for rpctrace2's own lines.
    pub label: String,
    /// When it began.
    pub time: u64,
    /// The line.
    pub line: Line,
    /// The messages it is about, for `-x`.
    pub messages: Vec<Rc<Event>>,
}

/// A request that waits for its reply at the end of the output.
#[derive(Debug)]
struct Held {
    call: Rc<Call>,
    row: Row,
}

/// What came back from a call.
#[derive(Debug)]
pub struct Outcome {
    /// The return code, the out arguments, the duration.
    pub line: Line,
    /// The routine's name.
    pub routine: String,
    /// As in [`Row`], of the reply.
    pub label: String,
    /// When the reply came.
    pub time: u64,
    /// The reply.
    pub reply: Rc<Event>,
}

/// Holds back at most one request.
#[derive(Debug, Default)]
pub struct Weaver {
    held: Option<Held>,
}

impl Weaver {
    /// A request; returns the one before, which is now unfinished.
    pub fn request(&mut self, call: Rc<Call>, row: Row) -> Option<Row> {
        let before = self.interrupt();
        self.held = Some(Held { call, row });
        before
    }

    /// A reply; `call` is 0 if its request was not seen. Returns the lines that are complete now.
    pub fn reply(&mut self, call: u64, outcome: Outcome) -> Vec<Row> {
        let Outcome { line: result, routine, label, time, reply } = outcome;
        if let Some(mut held) = self.held.take_if(|held| held.call.id == call) {
            held.row.line.push(Tag::Plain, " = ");
            held.row.line.extend(&result);
            held.row.messages.push(reply);
            return Vec::from([held.row]);
        }
        let mut line = Line::default();
        line.push(Tag::Note, "<... ");
        line.push(Tag::Routine, &routine);
        line.push(Tag::Note, " resumed>");
        line.push(Tag::Plain, " = ");
        line.extend(&result);
        let mut rows: Vec<Row> = self.interrupt().into_iter().collect();
        rows.push(Row { label, time, line, messages: Vec::from([reply]) });
        rows
    }

    /// Something else is to be printed, or nothing comes for now: the held request as unfinished.
    pub fn interrupt(&mut self) -> Option<Row> {
        self.give_up(" <unfinished ...>", Tag::Note)
    }

    /// Nothing comes any more: the held request without a result.
    pub fn end(&mut self) -> Option<Row> {
        self.give_up(" = ?", Tag::Plain)
    }

    /// Whether a request is held back.
    pub fn is_waiting(&self) -> bool {
        self.held.is_some()
    }

    fn give_up(&mut self, text: &str, tag: Tag) -> Option<Row> {
        self.held.take().map(|mut held| {
            held.row.line.push(tag, text);
            held.row
        })
    }
}

/// A line of rpctrace2's own.
pub fn remark(time: u64, text: &str) -> Row {
    let mut line = Line::default();
    line.push(Tag::Note, text);
    Row { label: "".to_string(), time, line, messages: Vec::new() }
}
