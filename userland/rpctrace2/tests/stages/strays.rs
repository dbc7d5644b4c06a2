// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages at the trace port that are no records: one remark of each kind, and the trace goes on.

use crate::common::*;
use trace_port::record::{BODY_TYPE_OFFSET, HEADER_OFFSET, HEADER_TYPE_OFFSET, RECORDS_TYPE};
use trace_port::{RecordError, TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

const PING: &str = "hello[1] host_ping(host: host) = MACH_MSG_SUCCESS";

fn ping(sequence: u64) -> Vec<u8> {
    Sample::sent(Message::request_from(7014, 2, 0)).sequence(sequence).wire()
}

/// The lines of what came to the trace port.
fn came(arguments: &[&str], messages: &[Vec<u8>]) -> Vec<String> {
    let mut trace = trace(arguments);
    let mut out = String::new();
    messages.iter().for_each(|message| trace.message(&message.clone().into(), &mut out));
    trace.finish(&mut out);
    out.lines().map(String::from).collect()
}

#[test]
fn each_kind_is_one_remark_where_it_came_and_a_number_at_the_end() {
    let stray = |id| Message::request_from(id, 9, 0).int(7).done();
    let mut version = ping(2);
    version[HEADER_OFFSET] = 9;
    let found = came(
        &[],
        &[
            ping(1),
            stray(4711),
            stray(70),
            stray(TRACE_RECORD_MSGH_ID),
            version,
            ping(2),
            stray(72),
            stray(u32::MAX),
            stray(TRACE_RECORDS_MSGH_ID),
            ping(3),
        ],
    );
    let expected = [
        PING,
        "--- at the trace port, not from the kernel: msgh_id 4711, 48 bytes: no message of trace.defs ---",
        "--- at the trace port, not from the kernel: msgh_id 70, 48 bytes: a notification that was not asked for here ---",
        "--- at the trace port, not from the kernel: msgh_id 5000, 48 bytes: trace record: type descriptor of `task` at \
         offset 32: expected 0x120004011, found 0x120002002 ---",
        "--- at the trace port: msgh_id 5000, 192 bytes: trace record has version 9, this reader knows version 6: use the \
         rpctrace2 that came with the kernel's payload ---",
        PING,
        PING,
        "--- at the trace port 7 messages that were no records: 1 of another version, 2 malformed, 2 notifications, 2 of \
         unknown ids ---",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_flood_is_two_lines() {
    let mut messages = vec![Message::request_from(4711, 9, 0).done(); 10_000];
    messages.push(ping(1));
    let found = came(&[], &messages);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[1], PING);
    assert_eq!(found[2], "--- at the trace port 10000 messages that were no records: 10000 of unknown ids ---");
    // Without lines, the number alone.
    assert_eq!(came(&["-c"], &messages).last(), Some(&found[2]));
}

#[test]
fn a_message_without_a_whole_header_is_a_remark_too() {
    for length in 0..32 {
        let found = came(&[], &[ping(1)[..length].to_vec(), ping(1)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("trace record cut short: `msgh_id` at offset 28"), "{found:?}");
    }
}

#[test]
fn what_is_larger_than_any_record_is_not_received_but_told() {
    let mut trace = trace(&[]);
    let mut out = String::new();
    trace.too_large(5000, 1 << 20, &mut out);
    trace.message(&ping(1).into(), &mut out);
    trace.finish(&mut out);
    let told = "--- at the trace port, not from the kernel: msgh_id 5000, 1048576 bytes: no message of trace.defs has more than \
                147600 bytes ---";
    assert_eq!(out, format!("{told}\n{PING}\n"));
}

#[test]
fn the_records_before_a_malformed_one_count() {
    let record = |sequence| ping(sequence)[HEADER_OFFSET..].to_vec();
    let mut batch = ping(1)[..HEADER_OFFSET].to_vec();
    batch[28..32].copy_from_slice(&TRACE_RECORDS_MSGH_ID.to_le_bytes());
    let mut second = record(2);
    second[BODY_TYPE_OFFSET - HEADER_OFFSET] ^= 1;
    for part in [record(1), vec![0; 8], second, vec![0; 8], record(3)] {
        batch.extend(part);
    }
    let size = (batch.len() - HEADER_OFFSET) as u64;
    batch[HEADER_TYPE_OFFSET..HEADER_OFFSET].copy_from_slice(&(RECORDS_TYPE | size << 32).to_le_bytes());
    let found = came(&[], &[batch, ping(4)]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], PING);
    assert!(found[1].contains("not from the kernel: msgh_id 5001, "), "{found:?}");
    assert_eq!(found[2], PING);
}

#[test]
fn only_records_of_another_version_are_the_kernels() {
    let mut version = ping(1);
    version[HEADER_OFFSET] = 9;
    let mut trace = trace(&[]);
    let mut out = String::new();
    trace.message(&version.into(), &mut out);
    assert_eq!(trace.other_version(), Some(RecordError::WrongVersion { found: 9 }));
    trace.message(&ping(2).into(), &mut out);
    assert_eq!(trace.other_version(), None);
}
