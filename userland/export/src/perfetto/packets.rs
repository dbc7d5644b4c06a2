// SPDX-License-Identifier: GPL-2.0-or-later
//! Perfetto's packets: the messages of its protos/perfetto/trace, of which these are the fields that are used.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use report::words;

use crate::json::hexadecimal;
use crate::model::{Contents, Field, Port, Split, Value};
use crate::proto::Proto;
use crate::{Out, json};

use super::types::{self, Part, Types};

/// Fields of `Trace` and `TracePacket`.
mod packet {
    pub(super) const OF_TRACE: u64 = 1;
    pub(super) const CLOCK_SNAPSHOT: u64 = 6;
    pub(super) const TIMESTAMP: u64 = 8;
    pub(super) const SEQUENCE_ID: u64 = 10;
    pub(super) const TRACK_EVENT: u64 = 11;
    pub(super) const INTERNED_DATA: u64 = 12;
    pub(super) const SEQUENCE_FLAGS: u64 = 13;
    pub(super) const TRACK_DESCRIPTOR: u64 = 60;
    pub(super) const EXTENSION_DESCRIPTOR: u64 = 72;
}

/// Fields of `TrackEvent`.
mod event {
    pub(super) const DEBUG_ANNOTATIONS: u64 = 4;
    pub(super) const TYPE: u64 = 9;
    pub(super) const NAME_IID: u64 = 10;
    pub(super) const TRACK_UUID: u64 = 11;
    pub(super) const CATEGORIES: u64 = 22;
    pub(super) const COUNTER_VALUE: u64 = 30;
    pub(super) const FLOW_IDS: u64 = 47;
    pub(super) const CORRELATION_ID: u64 = 52;
}

/// Fields of `DebugAnnotation`.
mod annotation {
    pub(super) const NAME_IID: u64 = 1;
    pub(super) const BOOL: u64 = 2;
    pub(super) const UINT: u64 = 3;
    pub(super) const INT: u64 = 4;
    pub(super) const STRING: u64 = 6;
    pub(super) const DICT_ENTRIES: u64 = 11;
    pub(super) const ARRAY_VALUES: u64 = 12;
}

/// Fields of `InternedData`; what is in them has its number in field 1 and its text in field 2.
const EVENT_NAMES: u64 = 2;
const ANNOTATION_NAMES: u64 = 3;

/// `SEQ_INCREMENTAL_STATE_CLEARED` and `SEQ_NEEDS_INCREMENTAL_STATE`.
const CLEARED: u64 = 1;
const NEEDS: u64 = 2;
/// All packets are of one sequence.
const SEQUENCE: u64 = 1;

/// What an event is: `TrackEvent.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Begin = 1,
    End = 2,
    Instant = 3,
    Counter = 4,
    State = 5,
}

/// What a track is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Track<'a> {
    /// Of a task, by its number in the trace.
    Process(usize),
    /// Of a thread: its task's number in the trace, and the kernel's own.
    Thread(usize, u32),
    /// Of slices, or of instants.
    Slices,
    /// Of states.
    State,
    /// Of a number of things.
    Counter(&'a str),
}

/// What no task's number is added to, so that no thread has the number of a process.
const FIRST_TID: i64 = 1_000_000;

/// Texts that are written once, with their numbers.
#[derive(Debug, Default)]
struct Interned {
    numbers: HashMap<String, u64>,
    /// Not yet written.
    new: Vec<(u64, String)>,
}

impl Interned {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u64 + 1;
        self.numbers.insert(text.into(), number);
        self.new.push((number, text.into()));
        number
    }
}

/// Where packets go. What is kept of them is the names.
pub(super) struct Packets {
    out: Out,
    names: Interned,
    keys: Interned,
    types: Types,
    is_first: bool,
}

/// An event, before it is written.
#[derive(Debug, Default)]
pub(super) struct Event(Proto);

impl Packets {
    pub(super) fn new(out: Out) -> Self {
        let (names, keys, types) = Default::default();
        Self { out, names, keys, types, is_first: true }
    }

    /// Describes what is written of exchanges besides their arguments.
    pub(super) fn describe(&mut self) -> io::Result<()> {
        self.extend(&types::values())
    }

    fn extend(&mut self, description: &Proto) -> io::Result<()> {
        self.packet(|packet| {
            packet.nested(packet::EXTENSION_DESCRIPTOR, |inner| inner.append(description));
        })
    }

    /// Writes a packet.
    fn packet(&mut self, write: impl FnOnce(&mut Proto)) -> io::Result<()> {
        let mut trace = Proto::default();
        let flags = if std::mem::replace(&mut self.is_first, false) { CLEARED | NEEDS } else { NEEDS };
        let (names, keys) = (&mut self.names, &mut self.keys);
        trace.nested(packet::OF_TRACE, |packet| {
            packet.uint(packet::SEQUENCE_ID, SEQUENCE).uint(packet::SEQUENCE_FLAGS, flags);
            if !names.new.is_empty() || !keys.new.is_empty() {
                packet.nested(packet::INTERNED_DATA, |data| {
                    for (field, interned) in [(EVENT_NAMES, names), (ANNOTATION_NAMES, keys)] {
                        for (number, text) in interned.new.drain(..) {
                            data.nested(field, |entry| {
                                entry.uint(1, number).text(2, &text);
                            });
                        }
                    }
                });
            }
            write(packet);
        });
        self.out.write_all(trace.bytes())
    }

    /// Says what the time is by the clocks of records: the trace's own is that of the day. 1 is `REALTIME`, 6 is `BOOTTIME`, which packets go by.
    pub(super) fn clocks(&mut self, now: u64) -> io::Result<()> {
        self.packet(|packet| {
            packet.uint(packet::TIMESTAMP, now).nested(packet::CLOCK_SNAPSHOT, |snapshot| {
                for clock in [6, 1] {
                    snapshot.nested(1, |one| {
                        one.uint(1, clock).uint(2, now);
                    });
                }
            });
        })
    }

    /// Describes a track: its number, that of the one above it (0 is none), its name.
    pub(super) fn track(&mut self, uuid: u64, parent: u64, name: &str, track: Track<'_>) -> io::Result<()> {
        self.packet(|packet| {
            packet.nested(packet::TRACK_DESCRIPTOR, |descriptor| {
                descriptor.uint(1, uuid).text(2, name);
                if parent != 0 {
                    descriptor.uint(5, parent);
                }
                match track {
                    Track::Process(task) => descriptor.nested(3, |process| {
                        process.int(1, task as i64).text(6, name);
                    }),
                    Track::Thread(task, thread) => descriptor.nested(4, |process| {
                        process.int(1, task as i64).int(2, FIRST_TID + i64::from(thread)).text(5, name);
                    }),
                    Track::Slices => descriptor,
                    Track::State => descriptor.nested(18, |_| {}),
                    // 2 is `UNIT_COUNT`.
                    Track::Counter(unit) => descriptor.nested(8, |counter| {
                        counter.uint(3, 2).text(6, unit);
                    }),
                };
            });
        })
    }

    /// Begins an event.
    pub(super) fn event(&mut self, kind: Type, track: u64, name: Option<&str>) -> Event {
        let mut event = Event::default();
        event.0.uint(event::TYPE, kind as u64).uint(event::TRACK_UUID, track);
        if let Some(name) = name {
            event.0.uint(event::NAME_IID, self.names.number(name));
        }
        event
    }

    /// Writes an event.
    pub(super) fn write(&mut self, time: u64, event: &Event) -> io::Result<()> {
        self.packet(|packet| {
            packet.uint(packet::TIMESTAMP, time).nested(packet::TRACK_EVENT, |inner| inner.append(&event.0));
        })
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Adds something to an event that is shown with it.
    pub(super) fn note(&mut self, event: &mut Event, name: &str, value: &Value) {
        match types::number(name) {
            Some(number) => types::write_plain(&mut event.0, number, value),
            None => {
                let keys = &mut self.keys;
                event.0.nested(event::DEBUG_ANNOTATIONS, |entry| named(entry, keys, name, value));
            }
        }
    }

    /// Adds the arguments of a routine's request or reply, with their types if they have some.
    pub(super) fn note_arguments(
        &mut self,
        event: &mut Event,
        routine: &str,
        part: Part,
        fields: &[Field],
    ) -> io::Result<()> {
        if fields.is_empty() {
            return Ok(());
        }
        let Some((ty, description)) = self.types.of(routine, part, fields) else {
            self.note_fields(event, part.name(), fields);
            return Ok(());
        };
        if let Some(description) = &description {
            self.extend(description)?;
        }
        event.0.nested(ty.number, |message| types::write_fields(message, fields, &ty.shape));
        Ok(())
    }

    /// Adds named values without types.
    pub(super) fn note_fields(&mut self, event: &mut Event, name: &str, fields: &[Field]) {
        if !fields.is_empty() {
            let keys = &mut self.keys;
            event.0.nested(event::DEBUG_ANNOTATIONS, |entry| {
                entry.uint(annotation::NAME_IID, keys.number(name));
                members(entry, keys, fields);
            });
        }
    }
}

impl Event {
    pub(super) fn category(&mut self, name: &str) {
        self.0.text(event::CATEGORIES, name);
    }

    /// Links it with others of this number, in the order of their times.
    pub(super) fn flow(&mut self, number: u64) {
        self.0.fixed64(event::FLOW_IDS, number).uint(event::CORRELATION_ID, number);
    }

    /// Where the time of a call went, in nanoseconds.
    pub(super) fn split(&mut self, split: &Split) {
        let Some(number) = types::number("nanoseconds") else { return };
        self.0.nested(number, |time| {
            time.uint(1, split.queue).uint(2, split.server).uint(3, split.reply);
        });
    }

    pub(super) fn counter(&mut self, value: i64) {
        self.0.int(event::COUNTER_VALUE, value);
    }
}

fn named(entry: &mut Proto, keys: &mut Interned, name: &str, value: &Value) {
    entry.uint(annotation::NAME_IID, keys.number(name));
    self::value(entry, keys, value);
}

fn members(entry: &mut Proto, keys: &mut Interned, fields: &[Field]) {
    for (place, field) in fields.iter().enumerate() {
        let name = json::key(fields, place);
        entry.nested(annotation::DICT_ENTRIES, |entry| named(entry, keys, &name, &field.value));
    }
}

fn port(entry: &mut Proto, keys: &mut Interned, port: &Port) {
    let mut member = |name: &str, value: Value| {
        entry.nested(annotation::DICT_ENTRIES, |entry| named(entry, keys, name, &value));
    };
    let text = |text: &str| Value::Text(text.into());
    member("port", text(&port.label));
    for (name, number) in [("number", port.number), ("name", port.name)] {
        number.into_iter().for_each(|number| member(name, Value::Unsigned(number.into(), None)));
    }
    for (name, word) in [("kind", port.kind), ("right", port.right)] {
        word.into_iter().for_each(|word| member(name, text(word)));
    }
}

/// The text that a value is, if it is shown as one. A number with a meaning is its meaning, as lines have it: what a number is one asks its own name for.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Signed(_, Some(name)) | Value::Unsigned(_, Some(name)) | Value::Code(_, name) => Cow::Borrowed(name),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(words::plain(bytes)),
        },
        Value::Bytes(bytes) => Cow::Owned(hexadecimal(bytes)),
        Value::Wrong(what) => Cow::Borrowed(what),
        _ => return None,
    })
}

fn value(entry: &mut Proto, keys: &mut Interned, value: &Value) {
    if let Some(text) = text(value) {
        entry.text(annotation::STRING, &text);
        return;
    }
    match value {
        Value::Bool(value) => {
            entry.uint(annotation::BOOL, u64::from(*value));
        }
        Value::Signed(value, _) => {
            entry.int(annotation::INT, *value);
        }
        Value::Unsigned(value, _) => {
            entry.uint(annotation::UINT, *value);
        }
        Value::Port(what) => port(entry, keys, what),
        Value::List(values) => {
            for value in values {
                entry.nested(annotation::ARRAY_VALUES, |entry| self::value(entry, keys, value));
            }
        }
        Value::Struct(fields) => members(entry, keys, fields),
        Value::Memory { address, size, contents } => {
            let mut said = vec![("size", Value::Unsigned(*size, None))];
            said.extend(address.map(|address| ("address", Value::Unsigned(address, None))));
            match contents {
                Contents::Unknown => {}
                Contents::Read { when, bytes } => said.push((when, Value::Bytes(bytes.clone()))),
                Contents::NotRead(why) => said.push(("contents", Value::Wrong(why.clone()))),
            }
            for (name, value) in said {
                entry.nested(annotation::DICT_ENTRIES, |entry| named(entry, keys, name, &value));
            }
        }
        Value::Rights { ports, .. } => {
            for what in ports {
                entry.nested(annotation::ARRAY_VALUES, |entry| port(entry, keys, what));
            }
        }
        Value::Code(..) | Value::Text(_) | Value::Bytes(_) | Value::Wrong(_) => {}
    }
}
