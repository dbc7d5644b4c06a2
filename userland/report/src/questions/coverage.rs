// SPDX-License-Identifier: GPL-2.0-or-later
//! What traces reach of the interfaces: routines, return codes, values of arguments that have names.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Injected, Names, Sink};
use mig_defs::table::{Routine, Set, Tables};
use mig_defs::value::{Field, Value};
use trace_port::{Direction, EventKind};

use crate::analysis::{Analysis, Found};

mod reach;
mod words;

pub use reach::Reach;
use reach::{Reached, Side, Values};

/// How much of a list is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Nothing at all: another trace comes.
    Nothing,
    /// Of long lists the begin.
    Begin,
    /// All.
    All,
}

/// What one trace reaches is added to what others have.
#[derive(Debug)]
pub struct Coverage<'t> {
    tables: Tables<'t>,
    reach: Rc<RefCell<Reach>>,
    told: Amount,
}

impl<'t> Coverage<'t> {
    /// Adds to what is there, of which so much is told at the end of the trace.
    pub fn new(tables: Tables<'t>, reach: Rc<RefCell<Reach>>, told: Amount) -> Self {
        reach.borrow_mut().begin(tables);
        Self { tables, reach, told }
    }

    fn called(&self, reach: &mut Reach, exchange: &Exchange<'_>, routine: Routine<'_>) {
        let reached = reach.routine(routine);
        let is_asked = exchange.role == Role::Client;
        let side = if is_asked { &mut reached.asked } else { &mut reached.served };
        side.calls += 1;
        self.ended(side, exchange);
        let is_cut = self.arguments(reached, exchange);
        reach.cut += u64::from(is_cut);
    }

    fn ended(&self, side: &mut Side, exchange: &Exchange<'_>) {
        match exchange.outcome {
            Outcome::Answered { .. } => {
                let first = exchange.reply.as_ref().and_then(|reply| reply.items().next());
                match first.and_then(|item| item.return_code()) {
                    Some(code) => side.codes.count(self.tables, code),
                    None => side.without_code += 1,
                }
            }
            Outcome::Open | Outcome::Unanswered => side.unanswered += 1,
            Outcome::OneWay | Outcome::Failed(_) => {}
        }
    }

    /// Takes note of the request's arguments; whether some of it is not in the record.
    fn arguments(&self, reached: &mut Reached, exchange: &Exchange<'_>) -> bool {
        let Some(message) = exchange.decode_request(self.tables) else { return false };
        let (mut fields, mut path) = (message.fields(), String::new());
        while let Some(Ok(field)) = fields.next() {
            member(reached, &mut path, &field);
        }
        fields.is_cut()
    }
}

/// A field, and what is in it; `path` is what it is a member of.
fn member(reached: &mut Reached, path: &mut String, field: &Field<'_>) {
    let before = path.len();
    if before > 0 {
        path.push('.');
    }
    path.push_str(field.name);
    value(reached, path, field.value, field.set);
    path.truncate(before);
}

fn value(reached: &mut Reached, path: &mut String, of: Value<'_>, set: Option<Set<'_>>) {
    let number = match of {
        Value::Bool(truth) => {
            let values = reached.argument(path, Values::of_truth);
            return values.name(if truth { "true" } else { "false" });
        }
        Value::Array(array) => {
            let set = array.set();
            return array.iter().for_each(|element| value(reached, path, element, set));
        }
        Value::Struct(members) => return members.fields().for_each(|field| member(reached, path, &field)),
        Value::Signed { value, .. } => Some(value as u32),
        Value::Unsigned { value, .. } => u32::try_from(value).ok(),
        _ => None,
    };
    if let (Some(number), Some(set)) = (number, set) {
        reached.argument(path, || Values::of(set)).number(set, number);
    }
}

impl<'t> Analysis<'t> for Coverage<'t> {
    fn finish(&mut self, _: &Names, out: &mut String) -> Found {
        match self.told {
            Amount::Nothing => {}
            Amount::Begin => words::write(out, &self.reach.borrow(), words::LISTED),
            Amount::All => words::write(out, &self.reach.borrow(), usize::MAX),
        }
        Found::Nothing
    }
}

impl<'t> Sink<'t> for Coverage<'t> {
    fn opened(&mut self, _: &Names, _: &Exchange<'t>) {}

    fn closed(&mut self, _: &Names, exchange: &Exchange<'t>) {
        // It went nowhere.
        if matches!(exchange.outcome, Outcome::Failed(_)) {
            return;
        }
        let reach = &mut *self.reach.borrow_mut();
        let injected = exchange.request.as_ref().and_then(|request| request.injected);
        match (injected, exchange.subject.routine, exchange.subject.msgh_id) {
            (Some(Injected::Failure(_) | Injected::Reply(_)), ..) => reach.injected += 1,
            (_, Some(routine), _) => self.called(reach, exchange, routine),
            (_, None, Some(id)) => {
                let [asked, served] = reach.unknown.entry(id).or_default();
                *(if exchange.role == Role::Client { asked } else { served }) += 1;
            }
            (_, None, None) => {}
        }
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        if let Remark::Lost(count) = remark {
            let mut reach = self.reach.borrow_mut();
            reach.lost = reach.lost.saturating_add((*count).into());
        }
    }

    fn event(&mut self, event: &Event) {
        // What a tracer has made of a message is no doing of the kernel's.
        if event.kind != EventKind::Normal || event.injected.is_some() {
            return;
        }
        let reach = &mut *self.reach.borrow_mut();
        if let Some(set) = self.tables.set("mach_msg_option") {
            reach.options.number(set, event.options);
        }
        let of_send = usize::from(event.direction == Direction::Receive);
        reach.returned[of_send].count(self.tables, event.retval as i32);
    }
}
