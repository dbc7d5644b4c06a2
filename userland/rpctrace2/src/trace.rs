//! The pipeline: records in, text out.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::{Format, Header, KernReturn};
use mig_defs::decode::Message;
use mig_defs::table::Tables;
use mig_defs::value::Value;
use trace_port::record::SENDER_IS_TRACER;
use trace_port::{Direction, EventKind, Record, RecordError, Records};

use crate::correlate::{Call, Correlator, Step};
use crate::ending::{Ending, Key, Untraced};
use crate::event::Event;
use crate::line::{Line, Tag};
use crate::names::{self, Names, TaskIndex};
use crate::options::{Options, Report};
use crate::order::Order;
use crate::print::{self, Printer};
use crate::select::{Selection, Subject, UnknownName};
use crate::stray::Strays;
use crate::summary::Summary;
use crate::values::Writer;
use crate::weave::{Outcome, Row, Weaver, remark};

/// A trace of one command and its children.
#[derive(Debug)]
pub struct Trace<'t> {
    tables: Tables<'t>,
    options: Options,
    order: Order,
    correlator: Correlator,
    names: Names,
    selection: Selection,
    weaver: Weaver,
    printer: Printer,
    summary: Summary,
    strays: Strays,
    ending: Ending,
    /// Whether any record was one.
    has_records: bool,
    /// Time of the last event.
    now: u64,
}

/// Who does something.
#[derive(Clone, Copy, Debug)]
struct Actor {
    task: TaskIndex,
    thread: u32,
    kind: EventKind,
}

impl<'t> Trace<'t> {
    /// A trace that decodes with these tables.
    ///
    /// # Errors
    /// If an option names something the tables do not have.
    pub fn new(tables: Tables<'t>, options: Options, command: &str) -> Result<Self, UnknownName> {
        let selection = Selection::new(&options.expressions, tables)?;
        Ok(Self {
            tables,
            options,
            order: Order::default(),
            correlator: Correlator::default(),
            names: Names::new(command),
            selection,
            weaver: Weaver::default(),
            printer: Printer::default(),
            summary: Summary::default(),
            strays: Strays::default(),
            ending: Ending::default(),
            has_records: false,
            now: 0,
        })
    }

    /// Takes a message that came to the trace port, whoever sent it; appends the lines that are complete now.
    pub fn message(&mut self, message: &[u8], out: &mut String) {
        let result = Records::parse(message).and_then(|mut records| {
            records.try_for_each(|record| {
                self.record(&record?, out);
                Ok(())
            })
        });
        if let Err(error) = result {
            let header = Header::read(Format::Lp64, message).unwrap_or_default();
            let remark = self.strays.take(header.id, header.size, error);
            self.remark(remark, out);
        }
    }

    /// The same of a message that was too large to be received; this is what its header said.
    pub fn too_large(&mut self, id: u32, size: u32, out: &mut String) {
        let remark = self.strays.take_too_large(id, size);
        self.remark(remark, out);
    }

    /// No task is traced any more, but the command goes on.
    pub fn untraced(&mut self, now: Untraced, out: &mut String) {
        self.catch_up(out);
        let remark = self.ending.untraced(&self.names.label(TaskIndex(0), 0), now);
        self.remark(remark, out);
    }

    /// What the kernel sent, if it can have been the kernel, when nothing that came was a record.
    pub fn other_version(&self) -> Option<RecordError> {
        self.strays.other_version().filter(|_| !self.has_records)
    }

    /// Takes the next record; appends the lines that are complete now.
    pub fn record(&mut self, record: &Record<'_>, out: &mut String) {
        self.has_records = true;
        for event in self.order.push(Event::from(record)) {
            self.event(event, out);
        }
    }

    /// Whether something is held back that [`Trace::idle`] would print.
    pub fn is_waiting(&self) -> bool {
        self.order.is_waiting() || self.weaver.is_waiting()
    }

    /// Nothing has come for a while: prints what was held back for what might come.
    pub fn idle(&mut self, out: &mut String) {
        self.catch_up(out);
        let row = self.weaver.interrupt();
        self.print(row, out);
    }

    /// The command has ended, and all its records have been taken.
    pub fn exited(&mut self, status: i32, out: &mut String) {
        self.catch_up(out);
        let row = self.weaver.end();
        self.print(row, out);
        let unanswered = self.ending.finished();
        self.remark(unanswered, out);
        if !self.options.quiet {
            let label = self.names.label(TaskIndex(0), 0);
            let row = remark(self.now, &format!("+++ {label} exited with {status} +++"));
            self.print(Some(row), out);
        }
    }

    /// No record comes any more.
    pub fn finish(&mut self, out: &mut String) {
        self.catch_up(out);
        let row = self.weaver.end();
        self.print(row, out);
        if self.options.report != Report::Lines {
            self.summary.write(out);
        }
        if let Some(total) = self.strays.total(self.options.report != Report::Summary) {
            out.push_str(&total);
            out.push('\n');
        }
    }

    fn catch_up(&mut self, out: &mut String) {
        for event in self.order.flush() {
            self.event(event, out);
        }
    }

    fn event(&mut self, event: Event, out: &mut String) {
        self.now = event.time;
        if event.dropped > 0 {
            self.summary.lost(event.dropped);
            let plural = if event.dropped == 1 { "" } else { "s" };
            self.remark(Some(format!("--- {} record{plural} lost ---", event.dropped)), out);
        }
        if self.is_known_otherwise(&event) {
            return;
        }
        let actor = Actor { task: self.names.meet(&event), thread: event.thread, kind: event.kind };
        if event.child_not_traced {
            let parent = self.names.label(actor.task, 0);
            self.remark(Some(format!("--- a child of {parent} is not traced: the kernel had no room for it ---")), out);
        }
        if event.kind != EventKind::Normal {
            return self.control(actor, Rc::new(event), out);
        }
        match self.correlator.step(self.tables, event) {
            Step::Request(call) => self.request(actor, call, out),
            Step::Reply { call, reply } => self.reply(actor, call.as_deref(), reply, out),
            Step::OneWay(event) => self.one_way(actor, event, out),
            Step::Incoming(event) => self.incoming(actor, event, out),
            Step::Answer { request, answer } => self.answer(actor, request.as_deref(), answer, out),
            Step::Failed(event) => self.failed(actor, event, out),
        }
    }

    /// Whether it is a message that this trace shows as its sender's, or one of our own.
    fn is_known_otherwise(&self, event: &Event) -> bool {
        event.sender == SENDER_IS_TRACER || event.sender != 0 && self.names.find(event.sender).is_some()
    }

    /// What another task, or the kernel, exchanged on a control port or an exception port.
    fn control(&mut self, actor: Actor, event: Rc<Event>, out: &mut String) {
        let is_exception = matches!(event.kind, EventKind::TaskException | EventKind::ThreadException);
        let is_reply = is_exception == (event.direction == Direction::Receive);
        let mut line = Line::default();
        line.push(Tag::Plain, if event.direction == Direction::Receive { "<- " } else { "-> " });
        let writer = self.writer(actor, None);
        if is_reply {
            let name = Subject::of_reply(self.tables, &event).name();
            line.push(Tag::Routine, &name);
            line.push(Tag::Plain, " reply = ");
            let failed = self.result(actor, None, &event, &mut line);
            let ended = self.ending.answered(Key::Control(event.correlation), || !failed);
            self.selected(self.label(actor), event, &served_name(&name), line, out);
            self.remark(ended, out);
        } else {
            writer.request(&mut line, &event);
            self.note_ending(actor, Key::Control(event.correlation), &event);
            let name = served(&Subject::of(self.tables, &event));
            self.selected(self.label(actor), event, &name, line, out);
        }
    }

    fn request(&mut self, actor: Actor, call: Rc<Call>, out: &mut String) {
        let label = self.label(actor);
        let line = self.sent_line(actor, &call.request);
        self.note_ending(actor, Key::Call(call.id), &call.request);
        let subject = Subject::of(self.tables, &call.request);
        if self.selection.has(subject) {
            self.summary.count(&subject.name());
            let messages = Vec::from([Rc::new(call.request.clone())]);
            let row = Row { label, time: call.request.time, line, messages };
            let before = self.weaver.request(call, row);
            self.print(before, out);
        }
    }

    fn one_way(&mut self, actor: Actor, event: Rc<Event>, out: &mut String) {
        // A task that names itself is still called what it was.
        let label = self.label(actor);
        let mut line = self.sent_line(actor, &event);
        self.note_ending(actor, Key::Unanswered, &event);
        line.push(Tag::Plain, " = ");
        line.push(Tag::Success, "MACH_MSG_SUCCESS");
        let name = Subject::of(self.tables, &event).name();
        self.selected(label, event, &name, line, out);
    }

    /// A request that is to set the trace port of a task of this trace ends that task's trace.
    fn note_ending(&mut self, actor: Actor, key: Key, request: &Event) {
        let Some(routine) = Subject::of(self.tables, request).routine else { return };
        if routine.name() != "task_set_special_port" {
            return;
        }
        let Some(message) = request.decode(self.tables).filter(names::sets_trace_port) else { return };
        match actor.kind {
            EventKind::Normal => {
                if let Some(target) = self.names.first_task(actor.task, &message) {
                    self.ending.asked(key, self.label(actor), self.names.label(target, 0));
                }
            }
            _ => self.ending.asked(key, "another task".to_string(), self.names.label(actor.task, 0)),
        }
    }

    /// `routine(arguments)` of a message that was sent; learns from it.
    fn sent_line(&mut self, actor: Actor, event: &Event) -> Line {
        let message = event.decode(self.tables);
        self.names.sent(actor.task, event, message.as_ref());
        let mut line = Line::default();
        self.writer(actor, message.as_ref()).request(&mut line, event);
        self.names.after_sent(actor.task, event, message.as_ref());
        line
    }

    fn incoming(&mut self, actor: Actor, event: Rc<Event>, out: &mut String) {
        let message = event.decode(self.tables);
        if let Some(message) = &message {
            self.names.received(actor.task, message);
        }
        let mut line = Line::default();
        line.push(Tag::Plain, "<- ");
        self.writer(actor, message.as_ref()).request(&mut line, &event);
        let name = served(&Subject::of(self.tables, &event));
        self.selected(self.label(actor), event.clone(), &name, line, out);
    }

    fn reply(&mut self, actor: Actor, call: Option<&Call>, reply: Rc<Event>, out: &mut String) {
        let succeeded = || reply.decode_reply(self.tables).as_ref().is_some_and(has_succeeded);
        let ended = call.and_then(|call| self.ending.answered(Key::Call(call.id), succeeded));
        self.result_of_call(actor, call, reply, out);
        self.remark(ended, out);
    }

    fn result_of_call(&mut self, actor: Actor, call: Option<&Call>, reply: Rc<Event>, out: &mut String) {
        let request = call.and_then(|call| call.request.decode(self.tables));
        let message = reply.decode_reply(self.tables);
        let succeeded = message.as_ref().is_some_and(has_succeeded);
        match (&request, &message) {
            (Some(request), Some(message)) if succeeded => self.names.replied(actor.task, request, message),
            (_, Some(message)) => self.names.received(actor.task, message),
            _ => {}
        }
        let mut line = Line::default();
        let failed = self.result(actor, request.as_ref(), &reply, &mut line);
        if let Some(request) = request.as_ref().filter(|_| succeeded) {
            self.names.after_replied(actor.task, request);
        }
        let subject = match call {
            Some(call) => Subject::of(self.tables, &call.request),
            None => Subject::of_reply(self.tables, &reply),
        };
        if !self.selection.has(subject) {
            return;
        }
        let routine = subject.name();
        if failed {
            self.summary.error(&routine);
        }
        if let Some(call) = call {
            let took = reply.time.saturating_sub(call.request.time);
            self.summary.time(&routine, took);
            if self.options.durations {
                line.push(Tag::Note, &print::duration(took));
            }
        }
        let outcome = Outcome { line, routine, label: self.label(actor), time: reply.time, reply };
        for row in self.weaver.reply(call.map_or(0, |call| call.id), outcome) {
            self.print(Some(row), out);
        }
    }

    fn answer(&mut self, actor: Actor, request: Option<&Event>, answer: Rc<Event>, out: &mut String) {
        self.names.sent(actor.task, &answer, None);
        let mut line = Line::default();
        let subject = match request {
            Some(request) => Subject::of(self.tables, request),
            None => Subject::of_reply(self.tables, &answer),
        };
        line.push(Tag::Plain, "-> ");
        line.push(Tag::Routine, &subject.name());
        line.push(Tag::Plain, " reply = ");
        let took = request.map(|request| answer.time.saturating_sub(request.time));
        let request = request.and_then(|request| request.decode(self.tables));
        let failed = self.result(actor, request.as_ref(), &answer, &mut line);
        let message = answer.decode_reply(self.tables);
        self.names.after_sent(actor.task, &answer, message.as_ref());
        if self.selection.has(subject) {
            let name = served(&subject);
            if failed {
                self.summary.error(&name);
            }
            if let Some(took) = took {
                self.summary.time(&name, took);
                if self.options.durations {
                    line.push(Tag::Note, &print::duration(took));
                }
            }
            let row = Row { label: self.label(actor), time: answer.time, line, messages: Vec::from([answer]) };
            self.other(row, out);
        }
    }

    /// What a reply says; whether it is a failure.
    fn result(&self, actor: Actor, request: Option<&Message<'_>>, reply: &Event, line: &mut Line) -> bool {
        let writer = self.writer(actor, request);
        match reply.decode_reply(self.tables) {
            Some(message) => writer.reply(line, &request.map_or(message, |request| message.to_request(request))),
            None => writer.unknown_reply(line, reply),
        }
    }

    fn failed(&mut self, actor: Actor, event: Rc<Event>, out: &mut String) {
        let message = event.decode(self.tables);
        self.names.sent(actor.task, &event, message.as_ref().filter(|_| event.direction == Direction::Send));
        let mut line = Line::default();
        line.push(Tag::Routine, "mach_msg");
        let writer = self.writer(actor, message.as_ref());
        line.push(Tag::Plain, if event.direction == Direction::Send { "(send" } else { "(receive, " });
        if event.direction == Direction::Receive {
            writer.port(&mut line, event.rcv_name);
        }
        if self.options.verbose {
            writer.mach_msg_options(&mut line, &event);
        }
        line.push(Tag::Plain, ")");
        writer.failed_message(&mut line, &event);
        line.push(Tag::Plain, " = ");
        writer.code(&mut line, event.retval as i32);
        if KernReturn::from_mach_msg(event.retval) == KernReturn::MACH_RCV_TOO_LARGE {
            // The header that is left of a destroyed message still has the size it had.
            let size = event.mach_header().map_or(event.message_size, |header| header.size);
            if size > 0 {
                line.add(Tag::Plain, format_args!(" {{size: {size}}}"));
            }
        }
        let subject = Subject::of(self.tables, &event);
        if self.selection.has(Subject { failed: true, ..subject }) {
            let name = if message.is_some() { subject.name() } else { "mach_msg".to_string() };
            self.summary.count(&name);
            self.summary.error(&name);
            let row = Row { label: self.label(actor), time: event.time, line, messages: Vec::from([event]) };
            self.other(row, out);
        }
    }

    /// A line about one message, counted under `name`, if it is selected.
    fn selected(&mut self, label: String, event: Rc<Event>, name: &str, line: Line, out: &mut String) {
        let subject = Subject::of(self.tables, &event);
        if self.selection.has(subject) {
            self.summary.count(name);
            let row = Row { label, time: event.time, line, messages: Vec::from([event]) };
            self.other(row, out);
        }
    }

    /// A line of our own, if there is something to say.
    fn remark(&mut self, text: Option<String>, out: &mut String) {
        if let Some(text) = text {
            self.other(remark(self.now, &text), out);
        }
    }

    /// A line that is complete, after the request that was held back.
    fn other(&mut self, row: Row, out: &mut String) {
        let before = self.weaver.interrupt();
        self.print(before, out);
        self.print(Some(row), out);
    }

    fn print(&mut self, row: Option<Row>, out: &mut String) {
        if let Some(row) = row.filter(|_| self.options.report != Report::Summary) {
            self.printer.row(&self.options, &row, out);
        }
    }

    fn label(&self, actor: Actor) -> String {
        let label = self.names.label(actor.task, actor.thread);
        match actor.kind {
            EventKind::Normal => label,
            EventKind::Task => label + " (task)",
            EventKind::Thread => label + " (thread)",
            EventKind::TaskException => label + " (task exception)",
            EventKind::ThreadException => label + " (thread exception)",
        }
    }

    /// A writer of this actor's messages, or of replies to this request.
    fn writer(&self, actor: Actor, request: Option<&Message<'_>>) -> Writer<'_> {
        let request = request.filter(|request| !request.is_reply());
        let space = request.map_or(actor.task, |request| self.names.space_of(actor.task, request));
        Writer {
            tables: self.tables,
            names: &self.names,
            options: &self.options,
            task: actor.task,
            thread: actor.thread,
            space,
        }
    }
}

fn served_name(routine: &str) -> String {
    format!("<- {routine}")
}

/// What a routine is called in the summary where a traced task is the server.
fn served(subject: &Subject<'_>) -> String {
    served_name(&subject.name())
}

fn has_succeeded(reply: &Message<'_>) -> bool {
    match reply.fields().next() {
        Some(Ok(field)) => !matches!(field.value, Value::KernReturn(code) if code != 0),
        Some(Err(_)) => false,
        None => true,
    }
}
