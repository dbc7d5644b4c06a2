// SPDX-License-Identifier: GPL-2.0-or-later
//! The record's bytes, as a table; and that nothing but a whole record of this version is accepted.

use mach_abi::Format;
use trace_port::port::MAX_PORTS;
use trace_port::record::{self, BODY_OFFSET, HEADER_OFFSET, MAX_BODY, MAX_RECORDS, VERSION};
use trace_port::{Direction, EventKind, Port, Record, RecordError, RecordHeader, Records, port};
use zerocopy::IntoBytes;

/// A receive record of a 40-byte message, byte by byte as trace.defs lays it out.
#[rustfmt::skip]
const EXAMPLE: [u8; 200] = [
    // mach_msg_header_t as the tracer receives it: bits, size 200
    0x00, 0x11, 0x00, 0x80,  0xc8, 0x00, 0x00, 0x00,
    // remote port 0, local port 5
    0, 0, 0, 0, 0, 0, 0, 0,  5, 0, 0, 0, 0, 0, 0, 0,
    // seqno 9, msgh_id 5000
    9, 0, 0, 0,  0x88, 0x13, 0, 0,
    // one inline MACH_MSG_TYPE_PORT_SEND, 64 bits; name 23
    0x11, 0x40, 0x00, 0x20,  1, 0, 0, 0,  23, 0, 0, 0, 0, 0, 0, 0,
    // ten inline MACH_MSG_TYPE_INTEGER_64
    0x0b, 0x40, 0x00, 0x20,  10, 0, 0, 0,
    // version 6, receive, normal; options 0x102
    6, 0, 1, 0,  0x02, 0x01, 0, 0,
    // retval MACH_RCV_TOO_LARGE; thread 3
    0x04, 0x40, 0x00, 0x10,  3, 0, 0, 0,
    // sequence 0x1122334455667788
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
    // correlation 6
    6, 0, 0, 0, 0, 0, 0, 0,
    // time 1000000007 ns
    0x07, 0xca, 0x9a, 0x3b, 0, 0, 0, 0,
    // message size 100, captured 35
    100, 0, 0, 0,  35, 0, 0, 0,
    // dropped 2, rcv_name 7
    2, 0, 0, 0,  7, 0, 0, 0,
    // time_out 30, notify 0
    30, 0, 0, 0,  0, 0, 0, 0,
    // task 4, sender 0
    4, 0, 0, 0,  0, 0, 0, 0,
    // one port
    1, 0, 0, 0,  0, 0, 0, 0,
    // 35 + 5 + 16 inline MACH_MSG_TYPE_CHAR, long form
    0x08, 0x08, 0x00, 0x60,  56, 0, 0, 0,
    // 35 bytes and 5 of padding
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 0, 0, 0, 0, 0,
    // name 7, number 300, a task's control port that the message was received on, of task 12
    7, 0, 0, 0,  0x2c, 1, 0, 0,  2, 1, 0, 0,  12, 0, 0, 0,
];

fn header() -> RecordHeader {
    RecordHeader {
        version: VERSION.into(),
        direction: Direction::Receive as u8,
        kind: EventKind::Normal as u8,
        options: 0x102.into(),
        retval: 0x1000_4004.into(),
        thread: 3.into(),
        sequence: 0x1122_3344_5566_7788.into(),
        correlation: 6.into(),
        time: 1_000_000_007.into(),
        message_size: 100.into(),
        captured_size: 35.into(),
        dropped: 2.into(),
        rcv_name: 7.into(),
        time_out: 30.into(),
        notify: 0.into(),
        task: 4.into(),
        sender: 0.into(),
        ports: 1.into(),
        reserved: 0.into(),
    }
}

#[test]
fn a_record_says_the_format_of_its_message() {
    for (direction, format, byte) in [
        (Direction::Send, Format::Lp64, 0),
        (Direction::Receive, Format::Lp64, 1),
        (Direction::Send, Format::Ilp32, 0x80),
        (Direction::Receive, Format::Ilp32, 0x81),
    ] {
        assert_eq!(record::direction_of(direction, format), byte);
        let mut bytes = EXAMPLE;
        bytes[HEADER_OFFSET + 2] = byte;
        let record = Record::parse(&bytes).unwrap();
        assert_eq!((record.direction, record.format), (direction, format));
    }
}

#[test]
fn the_table_is_the_record() {
    let record = Record::parse(&EXAMPLE).unwrap();
    assert_eq!(record.task, 23);
    assert_eq!((record.direction, record.format), (Direction::Receive, Format::Lp64));
    assert_eq!(record.kind, EventKind::Normal);
    assert_eq!(*record.header, header());
    assert_eq!(record.message, (1..=35).collect::<Vec<u8>>());
    let flags = port::RECEIVED_ON;
    let object = 12.into();
    assert_eq!(
        record.ports,
        [Port { name: 7.into(), number: 300.into(), kind: port::TASK, flags, reserved: [0; 2], object }]
    );
    assert!(record.ports[0].is_received_on());
    assert_eq!(header().as_bytes(), &EXAMPLE[56..136]);
    assert_eq!(record::wire_size(35, 1), EXAMPLE.len());
    assert_eq!(record::body_type(record::carried(35, 1) as u32).to_le_bytes(), EXAMPLE[136..144]);
    assert_eq!(
        (record::carried(35, 0), record::part_size(35, 0)),
        (35, 96 + 40),
        "nothing is padded where nothing follows"
    );
}

#[test]
fn every_truncated_prefix_is_an_error_that_says_what_is_missing() {
    for length in 0..EXAMPLE.len() {
        match Record::parse(&EXAMPLE[..length]) {
            Err(RecordError::Truncated { offset, need, have, .. }) => {
                assert!(have < need, "at {length}");
                assert_eq!(offset.min(length) + have, length, "at {length}");
            }
            other => panic!("prefix of {length} bytes: {other:?}"),
        }
    }
    // Without ports the last bytes are padding, which a reader does not need.
    let mut bytes = EXAMPLE;
    bytes[128] = 0;
    bytes[140] = 35;
    assert!(Record::parse(&bytes[..BODY_OFFSET + 35]).is_ok());
    assert!(Record::parse(&bytes[..BODY_OFFSET + 34]).is_err());
}

#[test]
fn another_version_is_refused_and_both_are_named() {
    let mut bytes = EXAMPLE;
    bytes[56] = 1;
    let error = Record::parse(&bytes).unwrap_err();
    assert_eq!(error, RecordError::WrongVersion { found: 1 });
    let text = error.to_string();
    assert!(text.contains("version 1") && text.contains("version 6"), "{text}");
}

#[test]
fn every_single_bit_flip_of_the_frame_is_an_error_or_another_value_but_never_a_panic() {
    let good = Record::parse(&EXAMPLE).unwrap();
    for bit in 0..EXAMPLE.len() * 8 {
        let mut bytes = EXAMPLE;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let parsed = Record::parse(&bytes);
        match bit / 8 {
            28..40 | 48..58 | 101..104 | 128..132 | 136..144 => assert!(parsed.is_err(), "bit {bit}"),
            // ports, sizes and seqno of the outer header, and padding, do not reach the record
            0..28 | 44..48 | 179..184 => assert_eq!(parsed, Ok(good), "bit {bit}"),
            _ => assert_ne!(parsed, Ok(good), "bit {bit}"),
        }
    }
}

#[test]
fn errors_say_item_place_expected_and_found() {
    let cases: [(RecordError, &str); 5] = [
        (
            RecordError::Truncated { item: "task", offset: 40, need: 4, have: 1 },
            "trace record cut short: `task` at offset 40 needs 4 bytes, found 1",
        ),
        (RecordError::WrongId { found: 2100 }, "not a trace record: expected msgh_id 5000 or 5001, found 2100"),
        (
            RecordError::WrongType { item: "task", offset: 32, expected: 0x11, found: 0x12 },
            "trace record: type descriptor of `task` at offset 32: expected 0x11, found 0x12",
        ),
        (
            RecordError::WrongVersion { found: 7 },
            "trace record has version 7, this reader knows version 6: use the rpctrace2 that came with the kernel's payload",
        ),
        (
            RecordError::BadField { field: "direction", found: 9 },
            "trace record: field `direction` has the unknown value 9",
        ),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
}

/// The example and after it, `more` times, the same record with other message bytes.
fn several(more: u8) -> Vec<u8> {
    let mut bytes = EXAMPLE.to_vec();
    for index in 1..=more {
        let start = bytes.len();
        bytes.extend_from_slice(&EXAMPLE[48..]);
        // Nobody looks at the word between two records.
        bytes[start..start + 8].fill(0xee);
        bytes[start + 96] = 77 + index;
    }
    bytes[28] = 0x89;
    let size = bytes.len() as u32;
    bytes[48..56].copy_from_slice(&record::records_type(size).to_le_bytes());
    bytes
}

fn all(message: &[u8]) -> Result<Vec<Record<'_>>, RecordError> {
    Records::parse(message)?.collect()
}

#[test]
fn a_message_may_hold_several_records_of_one_task() {
    for more in [0, 1, 2, 11] {
        let bytes = several(more);
        assert_eq!(bytes.len(), record::wire_size(35, 1) + usize::from(more) * record::part_size(35, 1));
        // A receive buffer is larger than what it holds.
        let received = [&bytes[..], &[0xff; 100]].concat();
        let found = all(&received).unwrap();
        assert_eq!(found.len(), usize::from(more) + 1);
        assert_eq!(found[0], Record::parse(&EXAMPLE).unwrap());
        for (index, record) in found.iter().enumerate().skip(1) {
            assert_eq!((record.task, *record.header, record.message[0]), (23, header(), 77 + index as u8));
        }
        assert_eq!(Record::parse(&bytes), Err(RecordError::WrongId { found: 5001 }), "nobody takes it for one record");
    }
    assert_eq!(all(&EXAMPLE).unwrap(), [Record::parse(&EXAMPLE).unwrap()]);
}

#[test]
fn a_message_of_several_records_that_is_cut_short_is_an_error() {
    let bytes = several(2);
    for length in 0..bytes.len() {
        let cut = all(&bytes[..length]);
        assert!(matches!(cut, Err(RecordError::Truncated { .. })), "prefix of {length} bytes: {cut:?}");
    }
    // The same where the array is said to end there: whole records are records, and a part of one is none.
    for end in HEADER_OFFSET..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[48..56].copy_from_slice(&record::records_type(end as u32).to_le_bytes());
        match all(&bytes) {
            Ok(found) => {
                assert_eq!(end.next_multiple_of(8), 48 + found.len() * record::part_size(35, 1), "{end} bytes")
            }
            Err(error) => assert!(matches!(error, RecordError::Truncated { .. }), "{end} bytes: {error}"),
        }
    }
}

#[test]
fn no_bit_of_a_message_of_several_records_makes_a_reader_fail() {
    let good = several(2);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let records: Vec<_> = match Records::parse(&bytes) {
            Ok(records) => records.collect(),
            Err(_) => continue,
        };
        assert!(records.len() <= 3, "bit {bit}");
        let errors = records.iter().filter(|record| record.is_err()).count();
        assert!(errors == 0 || errors == 1 && records.last().unwrap().is_err(), "bit {bit}: an error is the last item");
    }
}

#[test]
fn more_records_than_fit_are_refused() {
    let mut bytes = several(1);
    let size = MAX_RECORDS as u32 + 8;
    bytes[48..56].copy_from_slice(&record::records_type(size + HEADER_OFFSET as u32).to_le_bytes());
    let found = RecordError::BadField { field: "size of the records", found: size };
    assert_eq!(Records::parse(&bytes), Err(found));
}

#[test]
fn more_than_the_largest_body_is_refused() {
    let mut bytes = EXAMPLE;
    bytes[56 + 44..56 + 48].copy_from_slice(&(MAX_BODY as u32 + 1).to_le_bytes());
    assert_eq!(
        Record::parse(&bytes),
        Err(RecordError::BadField { field: "captured_size", found: MAX_BODY as u32 + 1 })
    );
}

#[test]
fn more_than_the_most_ports_are_refused() {
    let mut bytes = EXAMPLE;
    bytes[128..132].copy_from_slice(&(MAX_PORTS as u32 + 1).to_le_bytes());
    assert_eq!(Record::parse(&bytes), Err(RecordError::BadField { field: "ports", found: MAX_PORTS as u32 + 1 }));
}

#[test]
fn what_is_lost_adds_up_beside_the_flag() {
    let flag = record::CHILD_NOT_TRACED;
    assert_eq!(record::add_lost(2, 3), 5);
    assert_eq!(record::add_lost(flag | 2, 3), flag | 5);
    assert_eq!(record::add_lost(0, flag), flag);
    assert_eq!(record::add_lost(flag - 1, flag | 7), u32::MAX, "no more than fits");
    let header = RecordHeader { dropped: (flag | 9).into(), ..RecordHeader::default() };
    assert_eq!((header.lost(), header.child_not_traced()), (9, true));
}
