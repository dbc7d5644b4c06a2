// SPDX-License-Identifier: GPL-2.0-or-later
//! Types of arguments, as extensions of Perfetto's `TrackEvent` that the trace itself describes: a message for the arguments of each routine's requests and
//! of its answers. A type is described when a value first has it, with what protocol buffers call a file; values that no type of a few fits stay without.
//!
//! What is described is google/protobuf/descriptor.proto of protocol buffers; where it stands is `ExtensionDescriptor` of
//! protos/perfetto/trace/extension_descriptor.proto. Numbers of extensions are from 1000 to 9999 (docs/instrumentation/extensions.md), Chrome's and
//! Android's own from 1000 on; ours begin at [`FIRST`].

use std::collections::HashMap;
use std::rc::Rc;

use crate::json;
use crate::model::{Field, Port, Value};
use crate::proto::Proto;

/// The number of the first extension.
const FIRST: u64 = 5000;
/// The number of the first extension that is a routine's.
const FIRST_OF_ROUTINES: u64 = FIRST + 100;
/// One more than the last.
const END: u64 = 9900;
/// Most types of one routine's requests, or of its answers.
const TYPES_MAX: usize = 8;
/// Most structs and lists in one another of which one has a type.
const DEPTH_MAX: usize = 8;

/// `FieldDescriptorProto.Type`.
#[derive(Clone, Copy)]
enum Kind {
    Int = 3,
    Uint = 4,
    Bool = 8,
    Text = 9,
    Message = 11,
}

/// Messages that values of the model are.
const PORT: &str = "Port";
const MEMORY: &str = "Memory";
const TIME: &str = "Time";

/// What is known of an exchange besides its arguments: the extensions from [`FIRST`] on, and the messages that they are.
const FIELDS: [(&str, Kind, &str); 10] = [
    ("to", Kind::Message, PORT),
    ("on", Kind::Message, PORT),
    ("msgh_id", Kind::Uint, ""),
    ("exchange", Kind::Uint, ""),
    ("bytes", Kind::Uint, ""),
    ("outcome", Kind::Text, ""),
    ("result", Kind::Text, ""),
    ("code", Kind::Int, ""),
    ("nanoseconds", Kind::Message, TIME),
    ("lost", Kind::Uint, ""),
];

/// The number of one of [`FIELDS`].
pub(super) fn number(name: &str) -> Option<u64> {
    Some(FIRST + FIELDS.iter().position(|(known, ..)| *known == name)? as u64)
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// An empty list, of which one cannot know.
    Nothing,
    Bool,
    Int,
    Uint,
    Text,
    Port,
    Memory,
    List(Box<Shape>),
    Struct(Vec<(String, Shape)>),
}

impl Shape {
    /// What a value is, or `None` if it has no type.
    fn of(value: &Value, depth: usize) -> Option<Self> {
        Some(match value {
            Value::Bool(_) => Self::Bool,
            Value::Signed(_, None) => Self::Int,
            Value::Unsigned(_, None) => Self::Uint,
            Value::Signed(..)
            | Value::Unsigned(..)
            | Value::Code(..)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Wrong(_) => Self::Text,
            Value::Port(_) => Self::Port,
            Value::Memory { .. } => Self::Memory,
            Value::Rights { ports, .. } if ports.is_empty() => Self::Nothing,
            Value::Rights { .. } => Self::List(Box::new(Self::Port)),
            Value::List(values) => {
                let depth = depth.checked_sub(1)?;
                let mut element = Self::Nothing;
                for value in values {
                    element = element.with(Self::of(value, depth)?)?;
                }
                if values.is_empty() { Self::Nothing } else { Self::List(Box::new(element)) }
            }
            Value::Struct(fields) => Self::of_fields(fields, depth.checked_sub(1)?)?,
        })
    }

    fn of_fields(fields: &[Field], depth: usize) -> Option<Self> {
        let mut members: Vec<(String, Self)> = Vec::with_capacity(fields.len());
        for (place, field) in fields.iter().enumerate() {
            let name = identifier(&json::key(fields, place));
            if members.iter().any(|(other, _)| *other == name) {
                return None;
            }
            members.push((name, Self::of(&field.value, depth)?));
        }
        Some(Self::Struct(members))
    }

    /// The shape that both are of.
    fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => Some(one),
            (Self::List(one), Self::List(other)) => Some(Self::List(Box::new(one.with(*other)?))),
            (one, other) => (one == other).then_some(one),
        }
    }

    /// Whether values of this shape are of a type of the other.
    fn fits(&self, ty: &Self) -> bool {
        match (self, ty) {
            (Self::Nothing, _) => true,
            (Self::List(one), Self::List(other)) => one.fits(other),
            (Self::Struct(one), Self::Struct(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|((name, one), (known, other))| name == known && one.fits(other))
            }
            (one, other) => one == other,
        }
    }
}

/// A name as protocol buffers have them.
fn identifier(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let text: String = name.chars().map(letter).collect();
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) { text } else { format!("item{text}") }
}

/// A `FieldDescriptorProto` from its number on; a message has its name behind it. 1 is `LABEL_OPTIONAL`, 3 is `LABEL_REPEATED`.
fn ends(field: &mut Proto, number: u64, is_list: bool, kind: Kind, message: &str) {
    field.uint(3, number).uint(4, if is_list { 3 } else { 1 }).uint(5, kind as u64);
    if !message.is_empty() {
        field.text(6, message);
    }
}

/// A field of a message.
fn field(out: &mut Proto, name: &str, number: u64, is_list: bool, kind: Kind, message: &str) {
    out.nested(FIELD, |field| ends(field.text(1, name), number, is_list, kind, message));
}

/// An extension of `TrackEvent`, which stands in a message of ours.
fn extension(out: &mut Proto, name: &str, number: u64, kind: Kind, message: &str) {
    out.nested(EXTENSION, |field| ends(field.text(1, name).text(2, TRACK_EVENT), number, false, kind, message));
}

/// Places in `DescriptorProto`.
const FIELD: u64 = 2;
const NESTED: u64 = 3;
const EXTENSION: u64 = 6;
const TRACK_EVENT: &str = ".perfetto.protos.TrackEvent";
const TRACK_EVENT_FILE: &str = "protos/perfetto/trace/track_event/track_event.proto";
const VALUES_FILE: &str = "rpctrace2/values.proto";

/// An `ExtensionDescriptor` with one file.
fn described(name: &str, imported: &[&str], write: impl FnOnce(&mut Proto)) -> Proto {
    let mut out = Proto::default();
    out.nested(1, |set| {
        set.nested(1, |file| {
            file.text(1, name).text(2, "rpctrace2");
            for other in imported {
                file.text(3, other);
            }
            write(file);
        });
    });
    out
}

/// Describes what is not a routine's.
pub(super) fn values() -> Proto {
    const PARTS: [(&str, &[(&str, Kind)]); 3] = [
        (
            PORT,
            &[
                ("port", Kind::Text),
                ("number", Kind::Uint),
                ("name", Kind::Uint),
                ("kind", Kind::Text),
                ("right", Kind::Text),
            ],
        ),
        (MEMORY, &[("size", Kind::Uint), ("address", Kind::Uint)]),
        (TIME, &[("queue", Kind::Uint), ("server", Kind::Uint), ("reply", Kind::Uint)]),
    ];
    described(VALUES_FILE, &[TRACK_EVENT_FILE], |file| {
        for (name, members) in PARTS {
            file.nested(4, |message| {
                message.text(1, name);
                for (place, (name, kind)) in members.iter().enumerate() {
                    field(message, name, place as u64 + 1, false, *kind, "");
                }
            });
        }
        file.nested(4, |message| {
            message.text(1, "Exchange");
            for (place, (name, kind, of)) in FIELDS.into_iter().enumerate() {
                let of = if of.is_empty() { String::new() } else { format!(".rpctrace2.{of}") };
                extension(message, name, FIRST + place as u64, kind, &of);
            }
        });
    })
}

/// Describes the members of a message, and the messages in it. Its full name is `path`.
fn members(message: &mut Proto, path: &str, members: &[(String, Shape)]) {
    for (place, (name, shape)) in members.iter().enumerate() {
        let number = place as u64 + 1;
        let inner = format!("M{number}");
        let (is_list, shape) = match shape {
            Shape::List(element) => (true, &**element),
            one => (false, one),
        };
        let of = match shape {
            Shape::Nothing => continue,
            Shape::Bool => (Kind::Bool, String::new()),
            Shape::Int => (Kind::Int, String::new()),
            Shape::Uint => (Kind::Uint, String::new()),
            Shape::Text => (Kind::Text, String::new()),
            Shape::Port => (Kind::Message, format!(".rpctrace2.{PORT}")),
            Shape::Memory => (Kind::Message, format!(".rpctrace2.{MEMORY}")),
            Shape::List(_) | Shape::Struct(_) => (Kind::Message, format!("{path}.{inner}")),
        };
        field(message, name, number, is_list, of.0, &of.1);
        let path = &of.1;
        let of_list;
        let inside = match shape {
            Shape::Struct(members) => members,
            // A list in a list is a message with one.
            Shape::List(_) => {
                of_list = vec![("item".to_owned(), shape.clone())];
                &of_list
            }
            _ => continue,
        };
        message.nested(NESTED, |nested| {
            nested.text(1, &inner);
            self::members(nested, path, inside);
        });
    }
}

/// Which arguments are meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Request,
    Reply,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
        }
    }
}

/// A type that was described.
#[derive(Clone, Debug)]
pub(super) struct Type {
    /// The number of the extension.
    pub(super) number: u64,
    pub(super) shape: Rc<Shape>,
}

/// The types that were described.
#[derive(Debug, Default)]
pub(super) struct Types {
    /// By the names of routines: those of requests, and those of replies.
    known: HashMap<String, [Vec<Type>; 2]>,
    count: u64,
}

impl Types {
    /// The type of a routine's arguments, and its description if it is new; `None` if they have none.
    pub(super) fn of(&mut self, routine: &str, part: Part, fields: &[Field]) -> Option<(Type, Option<Proto>)> {
        let shape = Shape::of_fields(fields, DEPTH_MAX)?;
        if !self.known.contains_key(routine) {
            self.known.insert(routine.into(), Default::default());
        }
        let types = &mut self.known.get_mut(routine)?[part as usize];
        if let Some(known) = types.iter().find(|known| shape.fits(&known.shape)) {
            return Some((known.clone(), None));
        }
        let number = FIRST_OF_ROUTINES + self.count;
        if types.len() >= TYPES_MAX || number >= END {
            return None;
        }
        self.count += 1;
        let ty = Type { number, shape: Rc::new(shape) };
        types.push(ty.clone());
        let description = arguments(routine, part, &ty);
        Some((ty, Some(description)))
    }
}

/// Describes the arguments of a routine.
fn arguments(routine: &str, part: Part, ty: &Type) -> Proto {
    let name = format!("{}_{}_{}", identifier(routine), part.name(), ty.number);
    let path = format!(".rpctrace2.{name}");
    described(&format!("rpctrace2/{name}.proto"), &[TRACK_EVENT_FILE, VALUES_FILE], |file| {
        file.nested(4, |message| {
            message.text(1, &name);
            if let Shape::Struct(inside) = &*ty.shape {
                members(message, &path, inside);
            }
            extension(message, part.name(), ty.number, Kind::Message, &path);
        });
    })
}

/// Writes values as the fields of a message of their type.
pub(super) fn write_fields(out: &mut Proto, fields: &[Field], shape: &Shape) {
    let Shape::Struct(members) = shape else { return };
    for (place, (field, (_, shape))) in fields.iter().zip(members).enumerate() {
        write(out, place as u64 + 1, &field.value, shape);
    }
}

fn write(out: &mut Proto, number: u64, value: &Value, shape: &Shape) {
    match (value, shape) {
        (Value::List(values), Shape::List(element)) => {
            for value in values {
                write_element(out, number, value, element);
            }
        }
        (Value::Struct(fields), _) => {
            out.nested(number, |message| write_fields(message, fields, shape));
        }
        (Value::Rights { ports, .. }, Shape::List(_)) => ports.iter().for_each(|port| write_port(out, number, port)),
        // An empty one.
        (Value::List(_) | Value::Rights { .. }, _) => {}
        (value, _) => write_plain(out, number, value),
    }
}

fn write_element(out: &mut Proto, number: u64, value: &Value, shape: &Shape) {
    if let Shape::List(_) = shape {
        out.nested(number, |list| write(list, 1, value, shape));
    } else {
        write(out, number, value, shape);
    }
}

/// Writes a value of which the type is always the same.
pub(super) fn write_plain(out: &mut Proto, number: u64, value: &Value) {
    match value {
        Value::Bool(value) => {
            out.uint(number, u64::from(*value));
        }
        Value::Signed(value, None) => {
            out.int(number, *value);
        }
        Value::Unsigned(value, None) => {
            out.uint(number, *value);
        }
        Value::Port(port) => write_port(out, number, port),
        Value::Memory { address, size, .. } => {
            out.nested(number, |memory| {
                memory.uint(1, *size);
                if let Some(address) = address {
                    memory.uint(2, *address);
                }
            });
        }
        value => {
            if let Some(text) = super::packets::text(value) {
                out.text(number, &text);
            }
        }
    }
}

fn write_port(out: &mut Proto, number: u64, port: &Port) {
    out.nested(number, |message| {
        message.text(1, &port.label);
        for (place, number) in [(2, port.number), (3, port.name)] {
            if let Some(number) = number {
                message.uint(place, number.into());
            }
        }
        for (place, word) in [(4, port.kind), (5, port.right)] {
            if let Some(word) = word {
                message.text(place, word);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments_of(value: Value) -> [Field; 1] {
        [Field { name: "value".into(), ty: String::new(), value }]
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Bool(true), |inner, _| Value::List(vec![inner]))
    }

    #[test]
    fn a_routine_has_a_few_types() {
        let mut types = Types::default();
        for depth in 0..TYPES_MAX {
            let (ty, description) = types.of("f", Part::Request, &arguments_of(nested(depth))).expect("a type");
            assert_eq!((ty.number, description.is_some()), (FIRST_OF_ROUTINES + depth as u64, true));
            let (again, description) = types.of("f", Part::Request, &arguments_of(nested(depth))).expect("a type");
            assert_eq!((again.number, description.is_none()), (ty.number, true));
        }
        assert!(types.of("f", Part::Request, &arguments_of(Value::Signed(1, None))).is_none(), "too many");
        assert!(types.of("f", Part::Reply, &arguments_of(Value::Signed(1, None))).is_some(), "of another half");
        assert!(types.of("g", Part::Request, &arguments_of(nested(DEPTH_MAX + 1))).is_none(), "too deep");
    }

    #[test]
    fn an_empty_list_is_one_of_anything() {
        let mut types = Types::default();
        let numbers = Value::List(vec![Value::Unsigned(1, None), Value::Unsigned(2, None)]);
        let (ty, _) = types.of("f", Part::Reply, &arguments_of(numbers)).expect("a type");
        let (empty, _) = types.of("f", Part::Reply, &arguments_of(Value::List(Vec::new()))).expect("a type");
        assert_eq!(ty.number, empty.number);
        let unlike = Value::List(vec![Value::Unsigned(1, None), Value::Unsigned(2, Some("TWO".into()))]);
        assert!(types.of("f", Part::Reply, &arguments_of(unlike)).is_none());
    }
}
