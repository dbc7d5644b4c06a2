// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of several records without their first one.

use bytes::Bytes;
use mach_abi::header::LP64;
use rpctrace2::apart::behind_first;
use trace_port::record::{HEADER_TYPE_OFFSET, records_type};
use trace_port::{Records, TRACE_RECORDS_MSGH_ID};

use crate::common::*;

/// These records in one message.
fn together(samples: &[Sample]) -> Vec<u8> {
    let mut bytes = samples[0].wire()[..HEADER_TYPE_OFFSET].to_vec();
    // What stands before a record that is not the first may be any word.
    samples.iter().for_each(|sample| bytes.extend(&sample.wire()[HEADER_TYPE_OFFSET..]));
    let size = bytes.len() as u32;
    bytes[LP64.size..LP64.size + 4].copy_from_slice(&size.to_le_bytes());
    bytes[LP64.id..LP64.id + 4].copy_from_slice(&TRACE_RECORDS_MSGH_ID.to_le_bytes());
    bytes[HEADER_TYPE_OFFSET..HEADER_TYPE_OFFSET + 8].copy_from_slice(&records_type(size).to_le_bytes());
    bytes
}

#[test]
fn what_is_behind_the_first_record_is_a_message_of_its_own() {
    let sample = |id, sequence| Sample::sent(Message::request_from(id, 7, 0).chars(b"three")).sequence(sequence);
    let all = [sample(2990, 1), sample(2991, 2), sample(2992, 3)];
    let mut rest = Bytes::from(together(&all));
    for left in (0..all.len()).rev() {
        let first = Records::parse(&rest).unwrap().next().unwrap().unwrap();
        let behind = behind_first(&rest, &first);
        if left == 0 {
            assert_eq!(behind, None);
            break;
        }
        rest = behind.expect("there is more");
        let found: Vec<u64> = Records::parse(&rest).unwrap().map(|one| one.unwrap().header.sequence.get()).collect();
        assert_eq!(found, (all.len() - left + 1..=all.len()).map(|at| at as u64).collect::<Vec<_>>());
        assert_eq!(rest.len(), together(&all[all.len() - left..]).len());
    }
    // Of one that is alone there is nothing left.
    let alone = Bytes::from(all[0].wire());
    let first = Records::parse(&alone).unwrap().next().unwrap().unwrap();
    assert_eq!(behind_first(&alone, &first), None);
}
