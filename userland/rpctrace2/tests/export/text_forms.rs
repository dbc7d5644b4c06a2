// SPDX-License-Identifier: GPL-2.0-or-later
//! The smaller forms: `folded` with inferno, `otlp` with the types of the published protocol, `mermaid` by its grammar as we know it (tests/tests/mermaid.rs asks Mermaid itself).

use std::collections::{BTreeMap, BTreeSet};

use inferno::flamegraph;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use serde_json::Value;

use crate::{captured, text};

/// Stacks with their times: frames between semicolons, and a number behind the last space.
pub(crate) fn check_folded(text: &str) -> BTreeMap<String, u64> {
    let stack = |line: &str| {
        let (stack, time) = line.rsplit_once(' ').expect("a stack and a time");
        assert!(stack.split(';').count() >= 2 && stack.split(';').all(|frame| !frame.is_empty()), "{line}");
        (stack.to_owned(), time.parse().expect("a number"))
    };
    text.lines().map(stack).collect()
}

/// A flame graph that inferno makes of it: a line that it does not take would be missing in the sum.
fn flames(text: &str) -> String {
    let mut graph = Vec::new();
    let mut options = flamegraph::Options::default();
    flamegraph::from_reader(&mut options, text.as_bytes(), &mut graph).expect("a flame graph");
    String::from_utf8(graph).expect("SVG")
}

/// A number as flame graphs have it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}

/// All that is in one value is in another, too.
fn is_in(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|other| is_in(value, other)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(value, other)| is_in(value, other))
        }
        (part, whole) => part == whole,
    }
}

/// Each line is a participant, an arrow or a note; who is in one has been named before; text has nothing in it that means something.
pub(crate) fn check_mermaid(text: &str) -> usize {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("sequenceDiagram"));
    let mut named = BTreeSet::new();
    let mut arrows = 0;
    for line in lines {
        let line = line.strip_prefix("    ").expect(line);
        let (words, text) = if let Some(participant) = line.strip_prefix("participant ") {
            let (name, text) = participant.split_once(" as ").expect(line);
            assert!(named.insert(name.to_owned()), "{line}");
            (vec![name], text)
        } else if let Some(note) = line.strip_prefix("Note over ") {
            let (name, text) = note.split_once(": ").expect(line);
            (vec![name], text)
        } else {
            arrows += 1;
            let (ends, text) = line.split_once(": ").expect(line);
            let arrow = ["-->>", "->>", "-)", "-x"].into_iter().find(|arrow| ends.contains(arrow)).expect(line);
            let (from, to) = ends.split_once(arrow).expect(line);
            (vec![from, to], text)
        };
        assert!(words.iter().all(|word| named.contains(*word)), "{line}");
        let mut rest = text;
        while let Some(at) = rest.find('#') {
            let (number, behind) = rest[at + 1..].split_once(';').expect(line);
            assert!(number.parse::<u32>().is_ok(), "{line}");
            assert!(!rest[..at].contains(';'), "{line}");
            rest = behind;
        }
        assert!(!rest.contains([';', '%', '\n', ':']), "{line}");
    }
    arrows
}

/// The spans, with what OpenTelemetry asks of each.
pub(crate) fn spans(text: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(text).expect("JSON");
    let resources = all["resourceSpans"].as_array().expect("spans");
    let spans = resources.iter().map(|resource| {
        assert_eq!(resource["resource"]["attributes"][0]["key"], "service.name");
        let span = &resource["scopeSpans"][0]["spans"][0];
        let is_hexadecimal = |key: &str, digits: usize| {
            let text = span[key].as_str().unwrap();
            text.len() == digits
                && text.chars().all(|digit| digit.is_ascii_hexdigit())
                && text.chars().any(|digit| digit != '0')
        };
        assert!(is_hexadecimal("traceId", 32) && is_hexadecimal("spanId", 16), "{span}");
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
        span.clone()
    });
    spans.collect()
}

#[test]
fn a_stack_has_what_is_done_for_a_call_in_it() {
    let stacks = check_folded(&text(&captured("deadlock.mtrc"), "folded", &[]));
    assert!(stacks.contains_key("(deadlock)[2];ping;deadlock[1]"), "{stacks:?}");
    let total: u64 =
        stacks.iter().filter(|(stack, _)| stack.starts_with("(deadlock)[2];ping")).map(|(_, time)| time).sum();
    let lines = text(&captured("deadlock.mtrc"), "jsonl", &["-e", "ping"]);
    let calls = crate::json::lines(&lines, "exchange");
    let call = calls
        .iter()
        .find(|line| line["task"]["index"] == 2 && line["role"] == "client" && line["outcome"] == "answered");
    assert_eq!(total, call.unwrap()["duration"].as_u64().unwrap(), "the parts are the whole");
}

#[test]
fn inferno_takes_every_stack() {
    for name in ["deadlock.mtrc", "echo.mtrc"] {
        let folded = text(&captured(name), "folded", &[]);
        let stacks = check_folded(&folded);
        let graph = flames(&folded);
        let total = format!("<title>all ({} samples, 100%)</title>", grouped(stacks.values().sum()));
        assert!(graph.contains(&total), "{name}: no {total}");
    }
    let graph = flames(&text(&captured("deadlock.mtrc"), "folded", &[]));
    assert!(graph.contains("<title>deadlock[1] (") && graph.contains("<title>ping ("), "{graph}");
}

/// What the types of the protocol read they also write, with what has its default besides: nothing of ours is unknown to them.
#[test]
fn spans_are_of_the_published_protocol() {
    for (name, least) in [("deadlock.mtrc", 20), ("echo.mtrc", 100)] {
        let ours = text(&captured(name), "otlp", &[]);
        let data: TracesData = serde_json::from_str(&ours).expect("TracesData");
        let theirs = serde_json::to_value(&data).expect("JSON");
        let ours: Value = serde_json::from_str(&ours).expect("JSON");
        assert!(is_in(&ours, &theirs), "{name}: {ours}\n{theirs}");
        let all = data.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        let spans: Vec<_> = all.collect();
        assert!(spans.len() >= least, "{name}: {}", spans.len());
        for span in spans {
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8), "{span:?}");
            assert!(span.start_time_unix_nano > 0 && !span.name.is_empty(), "{span:?}");
        }
    }
    let wrong = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"spanNumber": 1}]}]}]});
    let data: TracesData = serde_json::from_value(wrong.clone()).expect("what is unknown is passed over");
    assert!(!is_in(&wrong, &serde_json::to_value(&data).expect("JSON")), "and is seen not to be there");
}

#[test]
fn a_diagram_has_both_ends_of_a_call() {
    let diagram = text(&captured("deadlock.mtrc"), "mermaid", &["-e", "ping"]);
    assert_eq!(check_mermaid(&diagram), 6, "{diagram}");
    assert!(diagram.contains("T2->>T1: ping\n") && diagram.contains("T1-->>T2: ping = KERN_SUCCESS\n"), "{diagram}");
    assert!(check_mermaid(&text(&captured("echo.mtrc"), "mermaid", &[])) > 100);
}

#[test]
fn a_span_of_a_server_is_for_its_clients() {
    let spans = spans(&text(&captured("deadlock.mtrc"), "otlp", &[]));
    let children: Vec<&Value> = spans.iter().filter(|span| span["parentSpanId"].is_string()).collect();
    for child in &children {
        let parent = spans.iter().find(|span| span["spanId"] == child["parentSpanId"]).expect("it is there");
        assert_eq!(parent["traceId"], child["traceId"]);
    }
    let servers: Vec<&&Value> = children.iter().filter(|span| span["kind"] == 2 && span["name"] == "ping").collect();
    assert_eq!(servers.len(), 2);
    let failed = self::spans(&text(&captured("echo.mtrc"), "otlp", &["-Z"]));
    assert!(!failed.is_empty() && failed.iter().all(|span| span["status"]["code"] == 2));
}
