// SPDX-License-Identifier: GPL-2.0-or-later
//! `strace`, read by strace-tui, whose fields are held against those of `jsonl`.

use std::collections::HashMap;

use serde_json::Value;
use strace_tui::{StraceParser, SyscallEntry};

use crate::common::*;
use crate::{captured, json, made, made_of_nothing, text};

/// What strace-tui reads, resumed calls with what they resume.
pub(crate) fn read(text: &str) -> Vec<SyscallEntry> {
    let mut parser = StraceParser::new();
    let entries = parser.parse_lines(text.lines().map(str::to_owned), true).expect("lines");
    assert!(parser.errors.is_empty(), "{:?}\n{text}", parser.errors);
    assert_eq!(entries.iter().filter(|entry| entry.is_resumed).count(), 0, "{text}");
    entries
}

/// What jsonl says of a call, as strace-tui has it: thread, name, whether it ended, result, nanoseconds.
type Key = (u64, String, bool, Option<String>, Option<u64>);

fn theirs(entry: &SyscallEntry) -> Key {
    // Behind an errno its reader looks for no time.
    let time = entry.duration.map(|seconds| (seconds * 1e9).round() as u64);
    (entry.pid.into(), entry.syscall_name.clone(), !entry.is_unfinished, entry.return_value.clone(), time)
}

fn ours(call: &Value) -> Key {
    let failed = call["failed"] == true;
    let ended = call["outcome"] != "unanswered";
    let name = match (call["role"].as_str(), call["routine"].as_str()) {
        (Some("failed"), _) => "mach_msg".to_owned(),
        (_, Some(routine)) => routine.to_owned(),
        _ => format!("msgh_id_{}", call["msgh_id"]),
    };
    let value =
        ended.then(|| if failed { "-1".into() } else { call["result"]["code"].as_i64().unwrap_or(0).to_string() });
    let time = call["duration"].as_u64().filter(|_| !failed && ended);
    (call["thread"].as_u64().expect("a thread"), name, ended, value, time)
}

fn counted(keys: impl Iterator<Item = Key>) -> HashMap<Key, usize> {
    keys.fold(HashMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}

#[test]
fn strace_tui_reads_every_call() {
    for (name, least) in [("deadlock.mtrc", 20), ("echo.mtrc", 60)] {
        let lines = text(&captured(name), "strace", &[]);
        let entries = read(&lines);
        let (signals, calls): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.signal.is_some());
        let all = text(&captured(name), "jsonl", &[]);
        let exchanges = json::lines(&all, "exchange");
        let own = exchanges.iter().filter(|call| call["role"] != "server" && call["role"] != "control");
        assert!(calls.len() >= least, "{name}: {}", calls.len());
        assert_eq!(counted(calls.into_iter().map(theirs)), counted(own.map(ours)), "{name}\n{lines}");
        assert_eq!(signals.len(), json::lines(&all, "remark").len(), "{name}");
    }
}

#[test]
fn a_call_is_written_as_strace_writes_it() {
    let line = |name: &str, selected: &str| {
        let lines = text(&captured(name), "strace", &["-e", selected]);
        lines.lines().next().unwrap_or_default().to_owned()
    };
    let allocated = line("deadlock.mtrc", "vm_protect");
    // Of the example in docs/export.md: 1795782173804541380 ns since 1970 is 12:22:53 of that day, and took 1452846 ns.
    assert_eq!(
        allocated,
        "1 12:22:53.804541380 vm_protect(self, address=65536, size=4096, set_maximum=false, new_protection=VM_PROT_NONE) = 0 <0.001452846>"
    );
}

/// A call that others stand in the middle of ends behind them, and one without an answer never does.
#[test]
fn what_is_interrupted_is_resumed() {
    let lines = text(&captured("deadlock.mtrc"), "strace", &["-e", "ping"]);
    assert!(lines.lines().any(|line| line.contains(" ping(") && line.ends_with(" <unfinished ...>")), "{lines}");
    assert!(lines.lines().any(|line| line.contains(" <... ping resumed>")), "{lines}");
    let entries = read(&lines);
    assert!(entries.iter().any(|entry| entry.syscall_name == "ping" && entry.is_unfinished), "{lines}");
}

/// An errno is read with what it says, and text that looks like the line's end, or like a line of another kind, is text.
#[test]
fn errors_and_text_stay_what_they_are() {
    let file = made(|trace, out| {
        let evil = b"a) = -1 ENOENT <unfinished ...> +++ --- (((";
        let samples = [
            Sample::sent(Message::request(7007, 10).chars(evil)),
            Sample::received(Message::reply(7107, REPLY).int(0x4000_0002).int(31)),
        ];
        for (place, sample) in samples.iter().enumerate() {
            let mut wire = sample.wire();
            set_sequence(&mut wire, place as u64 + 1);
            trace.message(&wire.into(), out);
        }
    });
    let lines = text(file.path(), "strace", &[]);
    let entries = read(&lines);
    let calls: Vec<_> = entries.iter().filter(|entry| entry.signal.is_none()).collect();
    assert_eq!(calls.len(), 1, "{lines}");
    assert!(
        calls[0]
            .arguments
            .contains("a\\051 = -1 ENOENT \\074unfinished ...\\076 +\\053\\053 -\\055\\055 \\050\\050\\050"),
        "{lines}"
    );
    let errno = calls[0].errno.as_ref().expect("an errno");
    assert_eq!((errno.code.as_str(), errno.message.as_str()), ("ENOENT", "No such file or directory"));
}

#[test]
fn losses_are_lines_of_their_own() {
    let [nothing, lost] = made_of_nothing().map(|file| text(file.path(), "strace", &[]));
    assert_eq!(nothing, "");
    let entries = read(&lost);
    assert_eq!(entries.len(), 2, "{lost}");
    assert!(
        entries.iter().all(|entry| entry.signal.as_ref().is_some_and(|signal| signal.details.contains("3 "))),
        "{lost}"
    );
}
