// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to pcapng` and `--to wireshark-lua`, read with tshark.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{captured, exported, json, made_of_nothing, text};

/// What tshark prints of a capture by the dissector of its own tables.
fn tshark(file: &Path, options: &[&str], arguments: &[&str]) -> String {
    let place = TempDir::new().unwrap();
    let [packets, script] = ["packets.pcapng", "mach.lua"].map(|name| place.path().join(name));
    fs::write(&packets, exported(file, "pcapng", options)).unwrap();
    fs::write(&script, exported(file, "wireshark-lua", &[])).unwrap();
    let mut command = Command::new("tshark");
    // No settings of the user's.
    command.env("HOME", place.path()).arg("-2").args(["-X", &format!("lua_script:{}", script.display())]);
    let output = command.arg("-r").arg(&packets).args(arguments).output().expect("tshark is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.to_lowercase().contains("lua"), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// These fields of the packets that a filter selects.
fn fields(file: &str, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-Y", filter, "-T", "fields"];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let text = tshark(&captured(file), &[], &arguments);
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
#[ignore = "needs tshark: run cargo qemu test"]
fn tshark_filters_by_routines_and_arguments() {
    let found = fields(
        "deadlock.mtrc",
        "mach.vm_allocate.size >= 200000",
        &["mach.routine", "mach.vm_allocate.size", "mach.label"],
    );
    assert_eq!(found, [["vm_allocate", "262144", "deadlock[1]"]]);
    let found =
        fields("deadlock.mtrc", "mach.ping.doubled", &["mach.ping.RetCode", "mach.ping.doubled", "mach.is_reply"]);
    assert_eq!(found, [["0", "2", "1"], ["0", "2", "1"], ["0", "4", "1"], ["0", "4", "1"]]);
    let text = tshark(&captured("echo.mtrc"), &[], &["-Y", "mach.failed.expert"]);
    assert!(text.lines().count() == 4 && text.contains(" mach_msg failed: MACH_RCV_TIMED_OUT"), "{text}");
}

#[test]
#[ignore = "needs tshark: run cargo qemu test"]
fn tshark_links_requests_and_replies() {
    let columns = ["frame.number", "mach.reply_in", "mach.exchange"];
    let requests = fields("deadlock.mtrc", "mach.reply_in", &columns);
    let replies = fields("deadlock.mtrc", "mach.request_in", &["mach.request_in", "frame.number", "mach.exchange"]);
    assert!(requests.len() > 10, "{requests:?}");
    let sorted = |mut lines: Vec<Vec<String>>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(requests), sorted(replies));
    let filter = "mach.time && mach.routine == \"ping\" && mach.role == 1";
    let times = fields("deadlock.mtrc", filter, &["mach.exchange", "mach.time"]);
    let lines = text(&captured("deadlock.mtrc"), "jsonl", &["-e", "ping"]);
    let calls = json::lines(&lines, "exchange");
    let durations = calls.iter().filter(|call| call["role"] == "client" && call["outcome"] == "answered");
    // Nanoseconds as tshark writes them.
    let seconds = |time: u64| format!("{}.{:09}", time / 1_000_000_000, time % 1_000_000_000);
    let durations = durations.map(|call| [call["id"].to_string(), seconds(call["duration"].as_u64().unwrap())]);
    assert_eq!(times, durations.collect::<Vec<_>>());
    let copies = fields(
        "deadlock.mtrc",
        "mach.routine == \"ping\" && mach.is_reply == 0 && mach.copy_in",
        &["mach.copy_in", "frame.number"],
    );
    let (sent, received) = (&copies[0], &copies[1]);
    assert_eq!((&sent[0], &sent[1]), (&received[1], &received[0]), "{copies:?}");
}

#[test]
#[ignore = "needs tshark: run cargo qemu test"]
fn tshark_finds_nothing_malformed() {
    for file in ["deadlock.mtrc", "echo.mtrc", "version1.mtrc"] {
        let errors = tshark(&captured(file), &[], &["-Y", "_ws.malformed || mach.malformed.expert || _ws.lua.error"]);
        assert_eq!(errors, "", "{file}");
        let experts = tshark(&captured(file), &[], &["-q", "-z", "expert,error"]);
        assert!(!experts.contains("Lua"), "{experts}");
    }
    for file in made_of_nothing() {
        let lines = tshark(file.path(), &[], &[]);
        assert!(lines.is_empty() || lines.contains("3 records lost"), "{lines}");
    }
}

/// Each record is a packet once, whatever is selected.
#[test]
#[ignore = "needs tshark: run cargo qemu test"]
fn every_record_is_one_packet() {
    let sequences = |options: &[&str]| {
        let text =
            tshark(&captured("echo.mtrc"), options, &["-Y", "mach.sequence", "-T", "fields", "-e", "mach.sequence"]);
        text.lines().map(|line| line.parse::<u64>().unwrap()).collect::<Vec<_>>()
    };
    let all = sequences(&[]);
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "in order, and none twice");
    assert_eq!(all.len() as u64, all[all.len() - 1] - all[0] + 1, "and none is missing");
    let some = sequences(&["-e", "/^vm_"]);
    assert!(!some.is_empty() && some.len() < all.len() && some.iter().all(|one| all.contains(one)));
}
