// SPDX-License-Identifier: GPL-2.0-or-later
//! Exchanges to lines: one for a request with its reply if nothing comes between, `<unfinished ...>` and `<... resumed>` otherwise.

use alloc::string::String;
use alloc::vec::Vec;

use exchanges::exchange::{Exchange, Outcome, Remark, Role};
use exchanges::names::{Label, Names};
use exchanges::{Actor, Event, Injected, Subject};
use mach_abi::code::mr;
use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_FIRST};
use mach_abi::trap;
use mig_defs::table::Tables;
use trace_port::Direction;

use crate::draft::Draft;
use crate::fold::Fold;
use crate::loading::Loading;
use crate::number::{SECOND, decimal, of_day, padded, seconds};
use crate::ports::{self, LastLabel, Seen, label};
use crate::remarks;
use crate::style::{Stamp, Style};
use crate::values::Writer;

/// What success is where its name is not repeated, and a message that was sent and expects no answer.
const SUCCESS: &str = "0";
const SENT: &str = "sent";

/// What stands behind a request whose reply is not there yet.
pub const UNFINISHED: &str = " <unfinished ...>";

/// Writes lines, and holds back at most one request and what may be folded with it.
#[derive(Debug)]
pub struct Lines<'t> {
    tables: Tables<'t>,
    /// What the return code 0 is called.
    success: Option<&'t str>,
    style: Style,
    /// The number of the exchange whose request waits for its reply at the end of the output, and when it began.
    held: Option<(u64, u64)>,
    /// Its line, or the one that is being written.
    draft: Draft,
    /// What the line before begins with.
    label: LastLabel,
    /// Where the routine's name in it begins, before its arguments.
    call: usize,
    /// The line before, which may grow.
    fold: Option<Fold>,
    /// What others ask about tasks that do nothing themselves yet.
    loading: Vec<Loading>,
    /// Time of the line before.
    before: Option<u64>,
    /// Lines at the end of what is written that are of one exchange: [`Lines::own`].
    own: usize,
}

impl<'t> Lines<'t> {
    /// Lines in this style.
    pub fn new(tables: Tables<'t>, style: Style) -> Self {
        let success = if style.repeats() { tables.error_name(0) } else { Some(SUCCESS) };
        let draft = Draft::default();
        Self {
            tables,
            success,
            style,
            held: None,
            draft,
            label: LastLabel::default(),
            call: 0,
            fold: None,
            loading: Vec::new(),
            before: None,
            own: 0,
        }
    }

    /// Whether something is held back.
    pub fn is_waiting(&self) -> bool {
        self.held.is_some() || self.fold.is_some() || !self.loading.is_empty()
    }

    /// Begins to count the lines of an exchange.
    pub fn count_own(&mut self) {
        self.own = 0;
    }

    /// The lines at the end of what is written since then that are of no other exchange than the last.
    pub fn own(&self) -> usize {
        self.own
    }

    /// Something else is to be written, or nothing comes for now: the held request as unfinished.
    pub fn interrupt(&mut self, out: &mut String) {
        self.break_off(out);
        self.loading.drain(..).for_each(|mut loading| loading.write(out));
    }

    /// Something else is to be written.
    fn break_off(&mut self, out: &mut String) {
        self.give_up(out);
        self.unfold(out);
    }

    /// A request was seen.
    pub fn opened(&mut self, names: &Names, exchange: &Exchange<'t>, out: &mut String) {
        if !self.loading.is_empty() {
            self.runs(names, out);
        }
        if Loading::takes(names, exchange) && self.style.folds() {
            return self.loads(names, exchange);
        }
        self.give_up(out);
        if !self.fold.as_ref().is_some_and(|fold| fold.continues(exchange)) {
            self.unfold(out);
        }
        let Some(event) = &exchange.request else { return };
        self.request(names, exchange, event);
        match exchange.role {
            Role::Client => self.held = Some((exchange.id, event.time)),
            _ => self.end(event.time, out),
        }
    }

    /// The line of a request, without its end.
    fn request(&mut self, names: &Names, exchange: &Exchange<'t>, event: &Event) {
        self.begin(names, exchange);
        let before = match exchange.role {
            Role::Client | Role::Failed => "",
            Role::Server | Role::Control { .. } => "<- ",
            Role::Exception { .. } => "-> ",
        };
        if !before.is_empty() {
            self.draft.line.push_str(before);
        }
        let message = exchange.decode_request(self.tables);
        self.call = self.draft.line.len();
        self.writer(names, exchange, event).request(message.as_ref());
        self.note_time_out(event);
        self.note_asker(names, exchange);
        self.note_bytes("message", event);
    }

    /// Nothing more will be known of it.
    pub fn closed(&mut self, names: &Names, exchange: &Exchange<'t>, out: &mut String) {
        if !self.loading.is_empty() {
            if self.loaded(exchange, out) {
                return;
            }
            self.runs(names, out);
        }
        match (exchange.role, exchange.outcome) {
            (Role::Failed, Outcome::Failed(code)) => self.failed(names, exchange, code, out),
            (Role::Client, outcome) => self.returned(names, exchange, outcome, out),
            (_, Outcome::Answered { .. }) => self.answered(names, exchange, out),
            _ => {}
        }
    }

    /// A task got a right by a trap: a line where nothing is to be abbreviated.
    pub fn given(&mut self, names: &Names, actor: Actor, event: &Event, out: &mut String) {
        if !self.style.verbose {
            return;
        }
        self.break_off(out);
        self.draft.clear();
        let line = &mut self.draft.line;
        label(line, names.label(actor.task, actor.thread));
        line.push(' ');
        line.push_str(trap::giving(event.options).unwrap_or("trap"));
        line.push_str("() = ");
        ports::port(line, Seen { names, actor, event, verbose: true }, event.rcv_name);
        self.end(event.time, out);
    }

    /// Something about the trace itself.
    pub fn remark(&mut self, names: &Names, time: u64, remark: &Remark, out: &mut String) {
        if matches!(remark, Remark::Ended { .. }) && self.style.quiet {
            return;
        }
        self.interrupt(out);
        self.draft.clear();
        remarks::write(&mut self.draft.line, self.tables, names, remark);
        self.end(time, out);
    }

    /// A line that was made elsewhere, of a thread, which began at this time.
    pub(crate) fn told(&mut self, of: Label<'_>, text: &Draft, time: u64, out: &mut String) {
        self.break_off(out);
        self.draft.clear();
        self.draft.line.push_str(self.label.of(of));
        self.draft.line.push(' ');
        self.draft.line.push_str(&text.line);
        self.end(time, out);
    }

    /// Keeps what was asked about a task that does nothing itself yet.
    fn loads(&mut self, names: &Names, exchange: &Exchange<'t>) {
        let (Some(event), task) = (&exchange.request, exchange.actor.task) else { return };
        // A call may wait there for its end.
        let (draft, call) = (core::mem::take(&mut self.draft), self.call);
        self.request(names, exchange, event);
        let line = core::mem::replace(&mut self.draft, draft).line;
        self.call = call;
        if !self.loading.iter().any(|loading| loading.task() == task) {
            self.loading.push(Loading::new(task));
        }
        let label = self.label.of(names.label(task, 0));
        if let Some(loading) = self.loading.iter_mut().find(|loading| loading.task() == task) {
            loading.asked(exchange, label, line);
        }
    }

    /// Takes the end of what is kept, if it is one of these and all that is to be said of it is that it succeeded.
    fn loaded(&mut self, exchange: &Exchange<'t>, out: &mut String) -> bool {
        let of_task = |loading: &&mut Loading| loading.task() == exchange.actor.task;
        let Some(loading) = self.loading.iter_mut().find(of_task) else { return false };
        let Some(line) = loading.take(exchange) else { return false };
        if matches!(exchange.outcome, Outcome::OneWay | Outcome::Answered { failed: false }) {
            loading.done(exchange.subject);
            return true;
        }
        let mut text = String::new();
        loading.write_done(&mut text);
        text.push_str(&line);
        text.push('\n');
        self.give_up(out);
        self.unfold(out);
        out.push_str(&text);
        false
    }

    /// Tells what was asked about tasks that do something themselves now.
    fn runs(&mut self, names: &Names, out: &mut String) {
        let runs = |loading: &mut Loading| !names.is_loading(loading.task());
        if self.loading.iter_mut().any(runs) {
            self.unfold(out);
        }
        self.loading.retain_mut(|loading| {
            let is_over = runs(loading);
            if is_over {
                loading.write(out);
            }
            !is_over
        });
    }

    /// A call has returned, or will not.
    fn returned(&mut self, names: &Names, exchange: &Exchange<'t>, outcome: Outcome, out: &mut String) {
        let is_held = self.held.take_if(|held| held.0 == exchange.id);
        match (outcome, &exchange.reply) {
            (Outcome::OneWay, _) => {
                self.draft.line.push_str(" = ");
                self.draft.line.push_str(if self.style.repeats() { "MACH_MSG_SUCCESS" } else { SENT });
                self.note_injected(exchange);
            }
            (Outcome::Answered { .. }, Some(reply)) => {
                if is_held.is_none() {
                    self.break_off(out);
                    self.begin(names, exchange);
                    self.draft.line.push_str("<... ");
                    subject(&mut self.draft.line, exchange.subject);
                    self.draft.line.push_str(" resumed>");
                }
                let end = self.draft.line.len();
                self.draft.line.push_str(" = ");
                self.result(names, exchange, reply);
                if is_held.is_some() && self.may_fold(exchange, end) {
                    return self.fold(exchange, end, out);
                }
            }
            _ if is_held.is_some() => self.draft.line.push_str(" = ?"),
            _ => return,
        }
        let time = is_held.map(|held| held.1).or_else(|| exchange.last().map(|event| event.time));
        self.end(time.unwrap_or(0), out);
    }

    /// Whether the line, whose arguments end there, says nothing but that a call like others has succeeded.
    fn may_fold(&self, exchange: &Exchange<'t>, end: usize) -> bool {
        let result = self.draft.line.get(end..).and_then(|result| result.strip_prefix(" = "));
        self.style.folds() && result == Some(SUCCESS) && self.draft.below.is_empty() && Fold::takes(exchange)
    }

    /// Makes the line, whose arguments end there, a part of the one before, or one that may grow.
    fn fold(&mut self, exchange: &Exchange<'t>, end: usize, out: &mut String) {
        if let Some(fold) = self.fold.as_mut().filter(|fold| fold.continues(exchange)) {
            let call = self.draft.line.get(self.call..end).unwrap_or_default();
            return fold.grow(call.find('(').and_then(|at| call.get(at..)).unwrap_or(call));
        }
        self.unfold(out);
        self.fold = self.draft.line.get(..end).map(|line| Fold::new(exchange, line));
    }

    /// Writes the line that might have grown.
    fn unfold(&mut self, out: &mut String) {
        if let Some(fold) = self.fold.take() {
            out.push_str(fold.line());
            out.push_str(" = ");
            out.push_str(SUCCESS);
            out.push('\n');
            self.own = 0;
        }
    }

    /// Somebody's request has been answered.
    fn answered(&mut self, names: &Names, exchange: &Exchange<'t>, out: &mut String) {
        let Some(reply) = &exchange.reply else { return };
        self.break_off(out);
        self.begin(names, exchange);
        self.draft.line.push_str(if reply.direction == Direction::Receive { "<- " } else { "-> " });
        subject(&mut self.draft.line, exchange.subject);
        self.draft.line.push_str(" reply = ");
        self.result(names, exchange, reply);
        self.end(reply.time, out);
    }

    /// The return code, the out arguments, the duration.
    fn result(&mut self, names: &Names, exchange: &Exchange<'t>, reply: &Event) {
        let goes_by_request = exchange.subject.routine.is_some_and(|routine| routine.reply_goes_by_request());
        let request = if goes_by_request { exchange.decode_request(self.tables) } else { None };
        let message = exchange.decode_reply(self.tables);
        let mut writer = self.writer(names, exchange, reply);
        match (message, &request) {
            (Some(message), Some(request)) => writer.reply(&message.to_request(request)),
            (Some(message), None) => writer.reply(&message),
            (None, _) => writer.unknown_reply(),
        }
        self.note_injected(exchange);
        self.note_id(exchange, reply);
        // Of the call that sent the request it has been said.
        let said = exchange.request.as_ref().is_some_and(|request| request.time_out_given() == reply.time_out_given());
        if !said {
            self.note_time_out(reply);
        }
        self.note_bytes("reply", reply);
        if let Some(took) = exchange.duration().filter(|_| self.style.durations) {
            let line = &mut self.draft.line;
            line.push_str(" <");
            seconds(line, took, 0);
            line.push('>');
        }
    }

    fn failed(&mut self, names: &Names, exchange: &Exchange<'t>, code: u32, out: &mut String) {
        let Some(event) = &exchange.request else { return };
        self.break_off(out);
        self.begin(names, exchange);
        let message = event.decode(self.tables);
        let verbose = self.style.verbose;
        let mut writer = self.writer(names, exchange, event);
        writer.push(if event.direction == Direction::Send { "mach_msg(send" } else { "mach_msg(receive, " });
        if event.direction == Direction::Receive {
            writer.port(event.rcv_name);
        }
        writer.mach_msg_options(verbose);
        writer.push(")");
        writer.failed_message(message.as_ref());
        writer.push(" = ");
        writer.code(code as i32);
        if code == mr::MACH_RCV_TOO_LARGE {
            // The header that is left of a destroyed message still has the size it had.
            let size = event.mach_header.map_or(event.message_size, |header| header.size);
            if size > 0 {
                writer.push(" {size: ");
                decimal(&mut self.draft.line, size);
                self.draft.line.push('}');
            }
        }
        self.note_injected(exchange);
        self.note_bytes("message", event);
        self.end(event.time, out);
    }

    /// A writer of one message of an exchange.
    fn writer<'a>(&'a mut self, names: &'a Names, exchange: &Exchange<'t>, event: &'a Event) -> Writer<'a> {
        let (tables, style, draft) = (self.tables, &self.style, &mut self.draft);
        let (success, own_names) = (self.success, exchange.has_own_names(event));
        Writer { tables, names, style, actor: exchange.actor, event, success, own_names, shown: 0, draft }
    }

    /// Begins a line with whose it is.
    fn begin(&mut self, names: &Names, exchange: &Exchange<'t>) {
        self.draft.clear();
        let line = &mut self.draft.line;
        line.push_str(self.label.of(names.label(exchange.actor.task, exchange.actor.thread)));
        line.push_str(match exchange.role {
            Role::Client | Role::Server | Role::Failed => " ",
            Role::Control { of_thread: false } => " (task) ",
            Role::Control { of_thread: true } => " (thread) ",
            Role::Exception { of_thread: false } => " (task exception) ",
            Role::Exception { of_thread: true } => " (thread exception) ",
        });
    }

    /// A reply with another id than that of the request and 100 is no MIG server's; news that the reply right died is none.
    fn note_id(&mut self, exchange: &Exchange<'t>, reply: &Event) {
        let (Some(asked), Some(header)) = (exchange.subject.msgh_id, reply.mach_header) else { return };
        if header.id != asked.wrapping_add(REPLY_ID_OFFSET)
            && !(MACH_NOTIFY_FIRST..=MACH_NOTIFY_DEAD_NAME).contains(&header.id)
        {
            self.draft.line.push_str(" <msgh_id ");
            decimal(&mut self.draft.line, header.id as i32);
            self.draft.line.push_str(", not ");
            decimal(&mut self.draft.line, asked.wrapping_add(REPLY_ID_OFFSET) as i32);
            self.draft.line.push('>');
        }
    }

    /// What the tracer has made of it, in strace's words.
    fn note_injected(&mut self, exchange: &Exchange<'t>) {
        let of = |event: Option<&Event>| event.and_then(|event| event.injected);
        let injected = of(exchange.request.as_ref()).or_else(|| of(exchange.reply.as_ref()));
        self.draft.line.push_str(match injected {
            Some(Injected::Failure(_)) => " (INJECTED)",
            Some(Injected::Reply(code)) if exchange.is_answered_with(code) => " (INJECTED)",
            Some(Injected::Delay) => " (DELAYED)",
            _ => "",
        });
    }

    /// How long the call would wait.
    fn note_time_out(&mut self, event: &Event) {
        if let Some(milliseconds) = event.time_out_given() {
            self.draft.line.push_str(" <time_out ");
            decimal(&mut self.draft.line, milliseconds);
            self.draft.line.push('>');
        }
    }

    /// Which traced task waits for the answer.
    fn note_asker(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if let Some(asker) = exchange.peer.filter(|_| self.style.verbose) {
            self.draft.line.push_str(" <for ");
            label(&mut self.draft.line, names.label(asker, 0));
            self.draft.line.push('>');
        }
    }

    /// The bytes of a message, of which a line may have two.
    fn note_bytes(&mut self, what: &str, event: &Event) {
        if self.style.dump {
            self.draft.dump_all(what, event);
        }
    }

    fn give_up(&mut self, out: &mut String) {
        if let Some((_, time)) = self.held.take() {
            self.draft.line.push_str(UNFINISHED);
            self.end(time, out);
            self.own = 0;
        }
    }

    /// Ends the line, which began at this time.
    fn end(&mut self, time: u64, out: &mut String) {
        self.unfold(out);
        self.stamp(time, out);
        out.push_str(&self.draft.line);
        out.push('\n');
        out.push_str(&self.draft.below);
        self.own += 1;
    }

    fn stamp(&mut self, time: u64, out: &mut String) {
        match self.style.stamp {
            Stamp::None => return,
            Stamp::Day => of_day(out, time / SECOND),
            Stamp::DayMicroseconds => {
                of_day(out, time / SECOND);
                out.push('.');
                padded(out, time % SECOND / 1000, 6);
            }
            Stamp::Epoch => seconds(out, time, 0),
            Stamp::Relative => seconds(out, time.saturating_sub(self.before.unwrap_or(time)), 6),
        }
        out.push(' ');
        self.before = Some(time);
    }
}

/// Appends what lines and tables call a request.
pub(crate) fn subject(out: &mut String, subject: Subject<'_>) {
    match (subject.routine, subject.msgh_id) {
        (Some(routine), _) => out.push_str(routine.name()),
        (None, Some(id)) => {
            out.push_str("msgh_id ");
            decimal(out, id as i32);
        }
        (None, None) => out.push_str("mach_msg"),
    }
}
