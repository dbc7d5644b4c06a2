// SPDX-License-Identifier: GPL-2.0-or-later
//! What is kept of a trace: its calls in few bytes each, in the order in which they are told, and what they do with names and the console.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::rc::Rc;

use exchanges::{Actor, Event, Names};
use export::Format;
use export::model::{Call, Code, End, Half, Remark, Task};
use mach_abi::trap;
use report::words;

use crate::console::Console;
use crate::pack::{Pack, Texts, Unpack};
use crate::rights::Rights;

/// Bytes that are allocated at a time.
const CHUNK: usize = 1 << 20;

/// Bytes, in pieces that are never moved.
#[derive(Debug, Default)]
struct Bytes {
    chunks: Vec<Vec<u8>>,
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    chunk: u32,
    at: u32,
    size: u32,
}

impl Bytes {
    fn push(&mut self, bytes: &[u8]) -> Place {
        let is_full = self.chunks.last().is_none_or(|last| last.capacity() - last.len() < bytes.len());
        if is_full {
            self.chunks.push(Vec::with_capacity(bytes.len().max(CHUNK)));
        }
        let chunk = self.chunks.len() - 1;
        let last = &mut self.chunks[chunk];
        let at = last.len();
        last.extend_from_slice(bytes);
        Place { chunk: chunk as u32, at: at as u32, size: bytes.len() as u32 }
    }

    fn get(&self, place: Place) -> &[u8] {
        let (at, size) = (place.at as usize, place.size as usize);
        self.chunks.get(place.chunk as usize).and_then(|chunk| chunk.get(at..at + size)).unwrap_or(&[])
    }
}

/// What a line of the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// A call that was answered before anything else came, or has no answer.
    Whole(u32),
    /// The request of one, whose answer stands further down if there is one.
    Request(u32),
    /// The answer.
    Reply(u32),
    /// What is said about the trace.
    Note(u32),
}

/// One message of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) time: u64,
    pub(crate) sequence: u64,
    pub(crate) correlation: u64,
    pub(crate) is_sent: bool,
    /// Of it decoded.
    packed: Place,
    /// Of its bytes.
    raw: Place,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    id: u64,
    pub(crate) task: u32,
    number: u32,
    pub(crate) thread: u32,
    label: u32,
    task_name: u32,
    name: u32,
    subsystem: Option<u32>,
    /// Number in the trace, the kernel's number, name.
    asker: Option<(u32, u32, u32)>,
    closed_at: u64,
    pub(crate) role: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) msgh_id: Option<u32>,
    pub(crate) has_failed: bool,
    result: Option<(i32, u32)>,
    split: Option<Box<export::model::Split>>,
    pub(crate) request: Option<Message>,
    pub(crate) reply: Option<Message>,
    /// Where it stands in the list, and its answer if that is not there.
    pub(crate) row: u32,
    pub(crate) reply_row: Option<u32>,
}

impl Kept {
    /// Whether the routine is known.
    pub(crate) fn is_known(&self) -> bool {
        self.subsystem.is_some()
    }

    /// Whether a row of it is of its answer.
    pub(crate) fn message(&self, is_reply: bool) -> Option<&Message> {
        if is_reply { self.reply.as_ref() } else { self.request.as_ref().or(self.reply.as_ref()) }
    }
}

/// Something about the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) time: u64,
    text: u32,
    /// Records were lost here.
    pub(crate) is_loss: bool,
}

/// What is kept.
#[derive(Debug, Default)]
pub struct Store {
    texts: Texts,
    bytes: Bytes,
    pub(crate) rows: Vec<Row>,
    pub(crate) calls: Vec<Kept>,
    pub(crate) notes: Vec<Note>,
    pub(crate) rights: Rights,
    pub(crate) console: Console,
    /// Calls whose answers may come, by their numbers in the trace.
    open: HashMap<u64, u32>,
    /// The first row that is not any more what it was when it was looked at last.
    pub(crate) changed: Option<u32>,
    /// Records that were lost.
    pub(crate) lost: u64,
    /// The time of the first line, in nanoseconds since the epoch.
    pub(crate) begin: Option<u64>,
    /// All has been told.
    pub(crate) is_finished: bool,
}

impl Store {
    /// The line for something about the trace.
    fn note(&mut self, time: u64, text: &str, is_loss: bool) {
        self.begin.get_or_insert(time);
        let note = Note { time, text: self.texts.number(text), is_loss };
        self.rows.push(Row::Note(self.notes.len() as u32));
        self.notes.push(note);
    }

    /// Not all is there, for this reason: a line at the end, which has room for it.
    pub(crate) fn cut(&mut self, reason: &str) {
        let last = self.rows.len().checked_sub(1).and_then(|last| self.time_of(last as u32));
        self.note(last.unwrap_or(0), &format!("--- {reason} ---"), true);
    }

    /// When what a row is of was, in nanoseconds since the epoch.
    pub(crate) fn time_of(&self, row: u32) -> Option<u64> {
        match (self.rows.get(row as usize)?, self.of_row(row)) {
            (Row::Note(note), _) => Some(self.notes.get(*note as usize)?.time),
            (_, call) => call.and_then(|(call, is_reply)| Some(call.message(is_reply)?.time)),
        }
    }

    /// The text of a note.
    pub(crate) fn text_of(&self, note: &Note) -> &str {
        self.texts.text(note.text)
    }

    /// What a call is named: its routine or what stands for it.
    pub(crate) fn name_of(&self, call: &Kept) -> &str {
        self.texts.text(call.name)
    }

    /// What its lines begin with.
    pub(crate) fn label_of(&self, call: &Kept) -> &str {
        self.texts.text(call.label)
    }

    fn message(&mut self, half: &Half) -> Message {
        let mut pack = Pack { texts: &mut self.texts, out: Vec::new() };
        pack.half(half);
        let out = pack.out;
        let packed = self.bytes.push(&out);
        let raw = half.record.as_ref().map(|record| self.bytes.push(record.message())).unwrap_or_default();
        let Half { time, sequence, correlation, is_sent, .. } = *half;
        Message { time, sequence, correlation, is_sent, packed, raw }
    }

    fn keep(&mut self, call: &Call, row: Row) -> u32 {
        self.begin.get_or_insert(call.start());
        let place = self.calls.len() as u32;
        let request = call.request.as_ref().map(|half| self.message(half));
        let reply = call.reply.as_ref().map(|half| self.message(half));
        let texts = &mut self.texts;
        let kept = Kept {
            id: call.id,
            task: call.task.index as u32,
            number: call.task.number,
            thread: call.thread,
            label: texts.number(&call.label),
            task_name: texts.number(&call.task.name),
            name: texts.number(&call.name),
            subsystem: call.subsystem.as_ref().map(|subsystem| texts.number(subsystem)),
            asker: call.asker.as_ref().map(|asker| (asker.index as u32, asker.number, texts.number(&asker.name))),
            closed_at: call.closed_at,
            role: call.role,
            outcome: call.outcome,
            msgh_id: call.msgh_id,
            has_failed: call.has_failed,
            result: call.result.as_ref().map(|code| (code.number, texts.number(&code.name))),
            split: call.split.map(Box::new),
            request,
            reply,
            row: self.rows.len() as u32,
            reply_row: None,
        };
        self.calls.push(kept);
        self.rows.push(row);
        place
    }

    /// A call as it was told.
    pub(crate) fn call(&self, kept: &Kept) -> Call {
        let text = |number: u32| self.texts.text(number).to_owned();
        let half = |message: &Message| {
            let mut unpack = Unpack { texts: &self.texts, bytes: self.bytes.get(message.packed) };
            unpack.half(message.time, message.sequence, message.correlation)
        };
        Call {
            id: kept.id,
            task: Task { index: kept.task as usize, number: kept.number, name: text(kept.task_name) },
            thread: kept.thread,
            label: text(kept.label),
            role: kept.role,
            asker: kept.asker.map(|(index, number, name)| Task { index: index as usize, number, name: text(name) }),
            closed_at: kept.closed_at,
            name: text(kept.name),
            routine: kept.is_known().then(|| text(kept.name)),
            subsystem: kept.subsystem.map(text),
            msgh_id: kept.msgh_id,
            request: kept.request.as_ref().map(half),
            reply: kept.reply.as_ref().map(half),
            outcome: kept.outcome,
            has_failed: kept.has_failed,
            result: kept.result.map(|(number, name)| Code { number, name: text(name) }),
            split: kept.split.as_deref().copied(),
        }
    }

    /// The bytes of a message, as many as the record had.
    pub(crate) fn raw(&self, message: &Message) -> &[u8] {
        self.bytes.get(message.raw)
    }

    /// The call that a row is of, and whether it is of its answer alone.
    pub(crate) fn of_row(&self, row: u32) -> Option<(&Kept, bool)> {
        match *self.rows.get(row as usize)? {
            Row::Whole(call) | Row::Request(call) => Some((self.calls.get(call as usize)?, false)),
            Row::Reply(call) => Some((self.calls.get(call as usize)?, true)),
            Row::Note(_) => None,
        }
    }

    /// How a call ended.
    fn end(&mut self, place: u32, call: &Call) {
        let reply = call.reply.as_ref().map(|half| self.message(half));
        let result = call.result.as_ref().map(|code| (code.number, self.texts.number(&code.name)));
        let (name, last) = (self.texts.number(&call.name), self.rows.len().wrapping_sub(1) as u32);
        let next = self.rows.len() as u32;
        let Some(kept) = self.calls.get_mut(place as usize) else { return };
        (kept.reply, kept.result, kept.outcome, kept.has_failed) = (reply, result, call.outcome, call.has_failed);
        (kept.split, kept.name, kept.closed_at) = (call.split.map(Box::new), name, call.closed_at);
        let row = kept.row;
        if kept.reply.is_some() && row != last {
            kept.reply_row = Some(next);
            self.rows.push(Row::Reply(place));
            return;
        }
        self.rows[row as usize] = Row::Whole(place);
        if row == last {
            self.changed = Some(self.changed.map_or(row, |changed| changed.min(row)));
        }
    }
}

/// Takes a trace's calls into a [`Store`].
#[derive(Clone, Default)]
pub struct Collect {
    store: Rc<RefCell<Store>>,
}

impl fmt::Debug for Collect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Collect")
    }
}

impl Collect {
    /// Where they are put.
    pub fn store(&self) -> Rc<RefCell<Store>> {
        Rc::clone(&self.store)
    }
}

impl Format for Collect {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        let mut store = self.store.borrow_mut();
        let row = Row::Request(store.calls.len() as u32);
        let place = store.keep(call, row);
        store.open.insert(call.id, place);
        if let Some(request) = &call.request {
            store.rights.message(call, request);
        }
        Ok(())
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        let mut store = self.store.borrow_mut();
        match store.open.remove(&call.id) {
            Some(place) => store.end(place, call),
            None => {
                let row = Row::Whole(store.calls.len() as u32);
                store.keep(call, row);
                if let Some(request) = &call.request {
                    store.rights.message(call, request);
                }
            }
        }
        if let Some(reply) = &call.reply {
            store.rights.message(call, reply);
        }
        store.rights.closed(call);
        store.console.closed(call);
        Ok(())
    }

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) -> io::Result<()> {
        let mut store = self.store.borrow_mut();
        let label = words::label(names.label(actor.task, actor.thread));
        let port = words::port(names, actor, event, event.rcv_name);
        let trap = trap::giving(event.options).unwrap_or("trap");
        store.note(event.time, &format!("{label} {trap}() = {port}"), false);
        store.rights.given(actor.task.0 as u32 + 1, event, &port);
        Ok(())
    }

    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        let mut store = self.store.borrow_mut();
        store.lost += u64::from(remark.lost.unwrap_or(0));
        store.note(remark.time, &remark.text, remark.lost.is_some());
        Ok(())
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        self.store.borrow_mut().is_finished = true;
        Ok(())
    }
}
