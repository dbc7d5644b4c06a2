// SPDX-License-Identifier: GPL-2.0-or-later
//! A message of a call: a request of a traced thread with its answer, and what a recipe asks of it.

use alloc::string::String;
use alloc::vec::Vec;

use exchanges::Event;
use exchanges::exchange::{Exchange, Outcome};
use mach_abi::KernReturn;
use mig_defs::table::Tables;
use mig_defs::value::{Field, Value};
use trace_port::port;

use super::recipe::{LOOKUP, Step, When};

/// What a request is for which one puts another reference into a name.
const REFER: &str = "mach_port_mod_refs";
/// How routines begin that are about names of a task.
const REFERENCES: &str = "mach_port_";

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Item<'t> {
    /// The request and the answer; of a lookup the first request and the last answer.
    pub(super) exchange: Exchange<'t>,
    /// What the port that was asked is called, as it was when it was asked.
    pub(super) to: String,
    /// What was answered that is an error.
    pub(super) failed: Option<i32>,
    /// The kernel's numbers of the ports that the answer brought.
    pub(super) brought: Vec<u32>,
}

/// A field of a message.
pub(super) fn field<'a>(fields: impl Iterator<Item = Field<'a>>, name: &str) -> Option<Field<'a>> {
    let mut fields = fields;
    fields.find(|field| field.name == name)
}

/// A number, whatever it is sent as.
pub(super) fn number(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Signed { value, .. } => Some(value),
        Value::Unsigned { value, .. } => i64::try_from(value).ok(),
        Value::Bool(value) => Some(value.into()),
        _ => None,
    }
}

/// The bytes of a text or of data that is in the message.
pub(super) fn bytes(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Text(bytes) | Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// How many bytes there are, in the message or beside it.
pub(super) fn length(value: Value<'_>) -> Option<u64> {
    match value {
        Value::OutOfLine { size, .. } => Some(size),
        value => bytes(value).map(|bytes| bytes.len() as u64),
    }
}

fn port_number(event: &Event, name: u32) -> Option<u32> {
    event.port(name).map(|port| port.number.get()).filter(|number| *number != 0)
}

impl<'t> Item<'t> {
    /// Whether the port with this number of the kernel's was asked.
    pub(super) fn asks(&self, port: u32) -> bool {
        let asked = self.exchange.request.as_ref().and_then(|event| event.remote_port());
        asked.is_some_and(|asked| asked.number.get() == port)
    }

    /// Whether a task is asked that is not the one that asks: names in the request are names there.
    pub(super) fn asks_another_task(&self) -> bool {
        let Some(event) = &self.exchange.request else { return false };
        event.remote_port().is_some_and(|asked| asked.kind == port::TASK && asked.object.get() != event.task)
    }

    /// Of an exchange, which may have no answer yet; `to` is what its port is called.
    pub(super) fn of(tables: Tables<'t>, exchange: &Exchange<'t>, to: String) -> Self {
        let mut item = Self { exchange: exchange.clone(), to, failed: None, brought: Vec::new() };
        item.failed = item.error(tables);
        item.brought = item.ports(tables);
        item
    }

    fn error(&self, tables: Tables<'t>) -> Option<i32> {
        if !self.exchange.has_failed() {
            return None;
        }
        let of_message = || {
            let message = self.exchange.decode_reply(tables)?;
            match message.fields().next()?.ok()?.value {
                Value::KernReturn(code) => Some(code),
                _ => None,
            }
        };
        let of_items = || self.exchange.reply.as_ref()?.items().next()?.return_code();
        // What MIG's stubs say where something else came than the answer.
        of_message().or_else(of_items).filter(|code| *code != 0).or(Some(KernReturn::MIG_SERVER_DIED.0))
    }

    fn ports(&self, tables: Tables<'t>) -> Vec<u32> {
        if self.routine() == REFER && !self.asks_another_task() {
            return self.asked_port(tables, "name").into_iter().collect();
        }
        let (Some(event), None) = (&self.exchange.reply, self.failed) else { return Vec::new() };
        let Some(message) = self.exchange.decode_reply(tables) else { return Vec::new() };
        let fields = message.fields().map_while(Result::ok);
        let rights = fields.filter_map(|field| match field.value {
            Value::Port(right) => port_number(event, right.name),
            _ => None,
        });
        rights.collect()
    }

    /// What was asked for.
    pub(super) fn routine(&self) -> &'t str {
        self.exchange.subject.routine.map_or("", |routine| routine.name())
    }

    /// Whether it is a name that was looked up.
    pub(super) fn is_lookup(&self) -> bool {
        self.routine() == LOOKUP
    }

    /// Whether the answer is not there, and will not come.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self.exchange.outcome, Outcome::Unanswered | Outcome::Open)
    }

    /// The kernel's number of the port that was asked.
    pub(super) fn target(&self) -> Option<u32> {
        let port = self.exchange.request.as_ref()?.remote_port()?;
        Some(port.number.get()).filter(|number| *number != 0)
    }

    /// What a field of the request makes.
    pub(super) fn asked<R>(
        &self,
        tables: Tables<'t>,
        name: &str,
        make: impl FnOnce(&Event, Field<'_>) -> Option<R>,
    ) -> Option<R> {
        let message = self.exchange.decode_request(tables)?;
        let field = field(message.fields().map_while(Result::ok), name)?;
        make(self.exchange.request.as_ref()?, field)
    }

    /// What a field of the answer makes, if it is a success.
    pub(super) fn answered<R>(
        &self,
        tables: Tables<'t>,
        name: &str,
        make: impl FnOnce(&Event, Field<'_>) -> Option<R>,
    ) -> Option<R> {
        if self.failed.is_some() {
            return None;
        }
        let request = self.exchange.decode_request(tables)?;
        let message = self.exchange.decode_reply(tables)?.to_request(&request);
        let field = field(message.fields().map_while(Result::ok), name)?;
        make(self.exchange.reply.as_ref()?, field)
    }

    /// A number that was asked with.
    pub(super) fn asked_number(&self, tables: Tables<'t>, name: &str) -> Option<i64> {
        self.asked(tables, name, |_, field| number(field.value))
    }

    /// A text that was asked with.
    pub(super) fn asked_bytes(&self, tables: Tables<'t>, name: &str) -> Option<Vec<u8>> {
        self.asked(tables, name, |_, field| bytes(field.value).map(<[u8]>::to_vec))
    }

    /// The kernel's number of a port that was asked with.
    pub(super) fn asked_port(&self, tables: Tables<'t>, name: &str) -> Option<u32> {
        self.asked(tables, name, |event, field| match field.value {
            Value::Port(right) => port_number(event, right.name),
            Value::PortName(name) => port_number(event, name),
            _ => None,
        })
    }

    /// Whether it is this step of a call, whose steps before it are these items.
    pub(super) fn is_step(&self, tables: Tables<'t>, step: &Step, before: &[Option<&Self>]) -> bool {
        let is_routine = match step.routine.strip_suffix('*') {
            Some(start) => self.routine().starts_with(start),
            None => self.routine() == step.routine,
        };
        // What a call does with its references is about its own task.
        let is_of_another = self.routine().starts_with(REFERENCES) && self.asks_another_task();
        is_routine
            && !is_of_another
            && brought_by(step.on, before, self.target()).unwrap_or(true)
            && step.when.iter().all(|when| self.says(tables, when, before))
    }

    fn says(&self, tables: Tables<'t>, when: &When, before: &[Option<&Self>]) -> bool {
        match *when {
            When::Is(name, value) => self.asked_number(tables, name) == Some(value),
            When::Has(name, bits) => self.asked_number(tables, name).is_some_and(|value| value & bits != 0),
            When::Lacks(name, bits) => self.asked_number(tables, name).is_some_and(|value| value & bits == 0),
            When::Ends(name, end) => self.asked_bytes(tables, name).is_some_and(|text| text.ends_with(end)),
            When::Begins(name, start) => self.asked_bytes(tables, name).is_some_and(|data| data.starts_with(start)),
            When::Port(name, steps) => brought_by(steps, before, self.asked_port(tables, name)).unwrap_or(false),
            When::Own(name) => self.asks_with_itself(tables, name),
            When::Null(name) => {
                self.asked(tables, name, |_, field| Some(matches!(field.value, Value::Port(right) if right.name == 0)))
                    == Some(true)
            }
            When::Same(step) => {
                let target = before.get(step).copied().flatten().and_then(Item::target);
                target.is_some() && target == self.target()
            }
        }
    }

    fn asks_with_itself(&self, tables: Tables<'t>, name: &str) -> bool {
        let is_own = self.asked(tables, name, |event, field| match field.value {
            Value::Port(right) => {
                event.port(right.name).map(|port| port.kind == port::TASK && port.object.get() == event.task)
            }
            _ => None,
        });
        is_own == Some(true)
    }
}

/// Whether one of the steps brought the port; nothing if none of them was there, or brought nothing that is known.
fn brought_by(steps: &[usize], before: &[Option<&Item<'_>>], port: Option<u32>) -> Option<bool> {
    let mut there = steps.iter().filter_map(|step| before.get(*step).copied().flatten()).peekable();
    there.peek()?;
    Some(port.is_some_and(|port| there.any(|item| item.brought.contains(&port))))
}
