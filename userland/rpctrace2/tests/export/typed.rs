// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to perfetto`: the arguments, read by prost-reflect with nothing but the descriptions that the trace itself has of them, and held against `jsonl`.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use prost_reflect::prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, descriptor_proto::ExtensionRange,
};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};

use crate::{captured, exported, json, made_of_nothing, text};

/// Packets, with what is in them not yet read.
#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<Packet>,
}

#[derive(Clone, PartialEq, Message)]
struct Packet {
    #[prost(bytes, optional, tag = "11")]
    track_event: Option<Vec<u8>>,
    #[prost(message, optional, tag = "72")]
    extension_descriptor: Option<ExtensionDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct ExtensionDescriptor {
    #[prost(message, optional, tag = "1")]
    extension_set: Option<FileDescriptorSet>,
}

/// Perfetto's own file, of which nothing is used but that `TrackEvent` can be extended, by these numbers.
fn track_event() -> FileDescriptorProto {
    let range = ExtensionRange { start: Some(1000), end: Some(10000), ..ExtensionRange::default() };
    let message =
        DescriptorProto { name: Some("TrackEvent".into()), extension_range: vec![range], ..DescriptorProto::default() };
    FileDescriptorProto {
        name: Some("protos/perfetto/trace/track_event/track_event.proto".into()),
        package: Some("perfetto.protos".into()),
        message_type: vec![message],
        ..FileDescriptorProto::default()
    }
}

/// A value of a message as JSON: what it has, by the names of its fields.
fn plain(value: &prost_reflect::Value) -> Value {
    use prost_reflect::Value as Typed;
    match value {
        Typed::Bool(value) => json!(value),
        Typed::I64(value) => json!(value),
        Typed::U64(value) => json!(value),
        Typed::String(value) => json!(value),
        Typed::List(values) => values.iter().map(plain).collect(),
        Typed::Message(message) => fields(message),
        other => panic!("{other:?}"),
    }
}

fn fields(message: &DynamicMessage) -> Value {
    let fields = message.fields().map(|(field, value)| (field.name().to_owned(), plain(value)));
    assert_eq!(message.unknown_fields().count(), 0, "all of it is described");
    Value::Object(fields.collect())
}

/// The extensions of all events by the numbers of their exchanges; those of a call's begin and end together.
pub(crate) fn extensions(bytes: &[u8]) -> BTreeMap<u64, BTreeMap<String, Value>> {
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(track_event()).expect("Perfetto's");
    let (mut all, mut open): (BTreeMap<u64, BTreeMap<String, Value>>, _) = (BTreeMap::new(), BTreeMap::new());
    for packet in Trace::decode(bytes).expect("sound").packet {
        if let Some(extension) = packet.extension_descriptor {
            let files = extension.extension_set.expect("a set").file;
            pool.add_file_descriptor_protos(files).expect("what protocol buffers take");
        }
        let Some(event) = packet.track_event else { continue };
        let event = DynamicMessage::decode(own(&pool), &event[..]).expect("an event");
        let known = event.extensions().map(|(extension, value)| (extension.name().to_owned(), plain(value)));
        let known: BTreeMap<String, Value> = known.collect();
        // An end is that of the slice that began last on its track.
        let track = event.unknown_fields().find(|field| field.number() == 11).map(|field| format!("{field:?}"));
        let id = known.get("exchange").and_then(Value::as_u64);
        let id = match id {
            Some(id) => {
                open.insert(track, id);
                id
            }
            None if known.contains_key("outcome") => open[&track],
            None => continue,
        };
        all.entry(id).or_default().extend(known);
    }
    all
}

fn own(pool: &DescriptorPool) -> MessageDescriptor {
    pool.get_message_by_name("perfetto.protos.TrackEvent").expect("it is there")
}

/// What has no name is called by its place, in front of which protocol buffers want a letter.
fn named(name: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("item{name}") } else { name.to_owned() }
}

/// What jsonl says, as the timeline has it: meanings instead of numbers, bytes as text, ports out of line without their count.
fn told(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(told).collect(),
        Value::Object(members) => match ["bytes", "error"].iter().find_map(|name| members.get(*name)) {
            Some(text) if members.len() == 1 => text.clone(),
            _ if members.len() == 2 && members.get("name").is_some_and(Value::is_string) => members["name"].clone(),
            _ if members.contains_key("ports") => told(&members["ports"]),
            _ => Value::Object(members.iter().map(|(name, value)| (named(name), told(value))).collect()),
        },
        other => other.clone(),
    }
}

/// Without lists that are empty, and messages with nothing but those, which protocol buffers do not tell from none.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, without_nothing(value)));
            Value::Object(members.filter(|(_, value)| *value != json!([])).collect())
        }
        Value::Array(values) => values.into_iter().map(without_nothing).collect(),
        other => other,
    }
}

fn check(file: &Path, least: usize) {
    let all = extensions(&exported(file, "perfetto", &[]));
    let lines = text(file, "jsonl", &[]);
    let exchanges = json::lines(&lines, "exchange");
    assert_eq!(all.len(), exchanges.len());
    let mut compared = 0;
    for exchange in exchanges {
        let known = &all[&exchange["id"].as_u64().unwrap()];
        for half in ["request", "reply"] {
            let arguments = without_nothing(told(&exchange[half]["arguments"]));
            let typed = known.get(half).cloned().unwrap_or_else(|| json!({}));
            if arguments.as_object().is_some_and(|arguments| !arguments.is_empty()) {
                assert_eq!(typed, arguments, "{exchange}");
                compared += 1;
            }
        }
        assert_eq!(known["outcome"], exchange["outcome"]);
        let code = |name: &str| known.get(name).cloned().unwrap_or(Value::Null);
        assert_eq!(
            (code("code"), code("result")),
            (exchange["result"]["code"].clone(), exchange["result"]["name"].clone())
        );
        let port = known.get("to").or(known.get("on")).cloned().unwrap_or(Value::Null);
        let named = ["to", "on"].iter().find_map(|name| exchange["request"].get(*name)).cloned();
        assert_eq!(port, named.unwrap_or(Value::Null), "{exchange}");
        assert_eq!(known.get("nanoseconds").cloned().unwrap_or(Value::Null), exchange["split"], "{exchange}");
    }
    assert!(compared >= least, "{compared}");
}

#[test]
fn arguments_have_the_types_that_the_trace_describes() {
    check(&captured("deadlock.mtrc"), 20);
    check(&captured("echo.mtrc"), 100);
}

#[test]
fn a_trace_of_nothing_describes_nothing_wrong() {
    for file in made_of_nothing() {
        assert!(extensions(&exported(file.path(), "perfetto", &[])).is_empty());
    }
}
