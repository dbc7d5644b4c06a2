// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to jsonl`, read again with serde_json.

use serde_json::Value;

use crate::{captured, made_of_nothing, text};

/// The objects of the lines, of this kind.
pub(crate) fn lines(text: &str, kind: &str) -> Vec<Value> {
    let all =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    all.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn jsonl_has_numbers_as_numbers() {
    let text = text(&captured("deadlock.mtrc"), "jsonl", &[]);
    let all = lines(&text, "exchange");
    assert_eq!(lines(&text, "trace")[0]["facts"]["command"], "deadlock");
    assert_eq!(lines(&text, "end")[0]["exchanges"], all.len());
    let allocate = all.iter().find(|line| line["routine"] == "vm_allocate").unwrap();
    assert_eq!(allocate["request"]["arguments"]["size"], 131_072);
    assert_eq!(allocate["request"]["arguments"]["anywhere"], true);
    assert_eq!(allocate["reply"]["arguments"]["address"], 0x10000);
    assert_eq!((&allocate["result"]["code"], &allocate["result"]["name"]), (&0.into(), &"KERN_SUCCESS".into()));
    assert_eq!(allocate["task"]["name"], "deadlock");
    let protect = all.iter().find(|line| line["routine"] == "vm_protect").unwrap();
    assert_eq!(
        protect["request"]["arguments"]["new_protection"],
        serde_json::json!({"value": 0, "name": "VM_PROT_NONE"})
    );
    let right = all.iter().find(|line| line["routine"] == "mach_port_insert_right").unwrap();
    assert_eq!(right["request"]["arguments"]["poly"]["right"], "MAKE_SEND");
    assert_eq!(right["request"]["arguments"]["poly"]["number"], right["request"]["arguments"]["name"]["number"]);
}

/// What a client waits is what it waits in the queue, for the server, and for the way back.
#[test]
fn where_the_time_of_a_call_went_is_said() {
    let text = text(&captured("deadlock.mtrc"), "jsonl", &["-e", "ping"]);
    let all = lines(&text, "exchange");
    assert!(all.iter().all(|line| line["routine"] == "ping"));
    let split: Vec<&Value> = all.iter().filter(|line| line["split"].is_object()).collect();
    assert_eq!(split.len(), 2, "both calls that were answered");
    for line in split {
        let part = |name: &str| line["split"][name].as_u64().unwrap();
        assert_eq!(part("queue") + part("server") + part("reply"), line["duration"].as_u64().unwrap());
    }
    let unanswered: Vec<&Value> = all.iter().filter(|line| line["outcome"] == "unanswered").collect();
    assert_eq!(unanswered.len(), 2, "each of the two waits for the other");
}

#[test]
fn only_calls_with_a_status_are_written() {
    let all = text(&captured("echo.mtrc"), "jsonl", &[]);
    let some = text(&captured("echo.mtrc"), "jsonl", &["-Z"]);
    let failed: Vec<Value> = lines(&all, "exchange").into_iter().filter(|line| line["failed"] == true).collect();
    assert!(!failed.is_empty(), "one has failed");
    assert_eq!(lines(&some, "exchange"), failed);
}

#[test]
fn losses_are_lines_of_their_own() {
    let [_, losses] = made_of_nothing();
    let text = text(losses.path(), "jsonl", &[]);
    let remarks = lines(&text, "remark");
    assert_eq!(remarks.iter().filter_map(|line| line["lost"].as_u64()).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(lines(&text, "end")[0]["lost"], 6);
}
