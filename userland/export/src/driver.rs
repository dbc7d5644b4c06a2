// SPDX-License-Identifier: GPL-2.0-or-later
//! From exchanges to a form: decoded when they are seen, and remembered until they are closed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::rc::Rc;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Names, Sink};
use mig_defs::table::Tables;
use report::{Analysis, Found, words};

use crate::model::{self, Call, End, Half, Split};
use crate::{Format, decode};

/// What is wanted beyond what the trace selects.
pub struct Wanted {
    /// Whether exchanges are wanted that ended so.
    pub outcome: Box<dyn Fn(Outcome) -> bool>,
    /// Whatever their end is, they are wanted.
    pub is_any: bool,
    /// Everything is selected, so that records that belong to no exchange are wanted, too.
    pub is_all: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { outcome: Box::new(|_| true), is_any: true, is_all: true }
    }
}

/// What came of it, for who began it.
#[derive(Debug, Default)]
pub struct Progress {
    /// What was written.
    pub end: End,
    /// Why nothing more was.
    pub error: Option<io::Error>,
}

/// What a server has done with a request of a client that is traced, too.
#[derive(Clone, Copy, Debug)]
enum Served {
    Received(u64),
    Replied(u64, u64),
    /// Several have received it: one has passed it on.
    Several,
}

/// Writes a trace's exchanges in a form.
pub struct Export<'t> {
    tables: Tables<'t>,
    format: Box<dyn Format>,
    wanted: Wanted,
    /// The requests that wait for an answer, by the numbers of their exchanges.
    open: HashMap<u64, Half>,
    /// What became of requests that a traced task waits for, by their correlation numbers.
    served: HashMap<u64, Served>,
    progress: Rc<RefCell<Progress>>,
}

impl fmt::Debug for Export<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Export").field("format", &self.format).field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl<'t> Export<'t> {
    /// Writes in this form what a trace with these tables tells. What comes of it is told in what is answered second.
    pub fn new(tables: Tables<'t>, format: Box<dyn Format>, wanted: Wanted) -> (Self, Rc<RefCell<Progress>>) {
        let progress = Rc::new(RefCell::new(Progress::default()));
        let (open, served) = (HashMap::new(), HashMap::new());
        (Self { tables, format, wanted, open, served, progress: progress.clone() }, progress)
    }

    /// Writes something, if nothing has failed so far.
    fn write(&mut self, write: impl FnOnce(&mut dyn Format) -> io::Result<()>) {
        let mut progress = self.progress.borrow_mut();
        if progress.error.is_none() {
            progress.error = write(&mut *self.format).err();
        }
    }

    /// Takes note of when a server received and answered what a traced task waits for.
    fn serve(&mut self, exchange: &Exchange<'_>) {
        let (Role::Server, Some(request), Some(_)) = (exchange.role, &exchange.request, exchange.peer) else { return };
        if request.correlation == 0 {
            return;
        }
        let now = match (exchange.reply.as_ref(), self.served.get(&request.correlation)) {
            (None, None) => Served::Received(request.time),
            (Some(reply), Some(Served::Received(time))) if *time == request.time => Served::Replied(*time, reply.time),
            _ => Served::Several,
        };
        self.served.insert(request.correlation, now);
    }

    /// Where the time of a call went.
    fn split(&mut self, exchange: &Exchange<'_>) -> Option<Split> {
        let request = exchange.request.as_ref().filter(|_| exchange.role == Role::Client)?;
        let served = self.served.remove(&request.correlation)?;
        let (Served::Replied(received, replied), Some(reply)) = (served, &exchange.reply) else { return None };
        Some(Split {
            queue: received.checked_sub(request.time)?,
            server: replied.checked_sub(received)?,
            reply: reply.time.checked_sub(replied)?,
        })
    }
}

impl<'t> Sink<'t> for Export<'t> {
    fn opened(&mut self, names: &Names, exchange: &Exchange<'t>) {
        self.serve(exchange);
        let Some(request) = decode::request(self.tables, names, exchange) else { return };
        if self.wanted.is_any {
            let call = decode::call(self.tables, names, exchange, Some(request.clone()), None);
            self.write(|format| format.opened(&call));
        }
        self.open.insert(exchange.id, request);
    }

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if exchange.reply.is_some() {
            self.serve(exchange);
        }
        let opened = self.open.remove(&exchange.id);
        let split = self.split(exchange);
        if !(self.wanted.outcome)(exchange.outcome) {
            return;
        }
        let is_late = opened.is_some() && !self.wanted.is_any;
        let request = opened.or_else(|| decode::request(self.tables, names, exchange));
        let reply = decode::reply(self.tables, names, exchange);
        let closed_at = self.progress.borrow().end.time;
        let call = Call { split, closed_at, ..decode::call(self.tables, names, exchange, request, reply) };
        if is_late {
            self.write(|format| format.opened(&call));
        }
        self.write(|format| format.closed(&call));
        self.progress.borrow_mut().end.exchanges += 1;
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) {
        if self.wanted.is_any {
            self.write(|format| format.given(names, actor, event));
        }
    }

    fn remark(&mut self, names: &Names, time: u64, remark: &Remark) {
        let lost = if let Remark::Lost(records) = remark { Some(*records) } else { None };
        let ended = if let Remark::Ended { task, .. } = remark { Some(task.0 + 1) } else { None };
        self.progress.borrow_mut().end.lost += u64::from(lost.unwrap_or(0));
        let remark = model::Remark { time, text: words::remark(self.tables, names, remark), lost, ended };
        self.write(|format| format.remark(&remark));
    }

    fn event(&mut self, event: &Event) {
        self.progress.borrow_mut().end.time = event.time;
        if self.wanted.is_all {
            self.write(|format| format.record(event));
        }
    }
}

impl<'t> Analysis<'t> for Export<'t> {
    fn finish(&mut self, _: &Names, _: &mut String) -> Found {
        let end = self.progress.borrow().end;
        self.write(|format| format.finish(&end));
        Found::Nothing
    }
}
