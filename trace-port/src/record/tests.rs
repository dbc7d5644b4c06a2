// SPDX-License-Identifier: GPL-2.0-or-later
//! A record is sound if none of its items is wrong.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// A record of so many bytes of a message and so many ports.
fn record(captured: usize, ports: usize) -> Vec<u8> {
    let header = RecordHeader {
        version: VERSION.into(),
        captured_size: (captured as u32).into(),
        ports: (ports as u32).into(),
        ..RecordHeader::default()
    };
    let carried = carried(captured, ports);
    let part = Part { header_type: HEADER_TYPE.into(), header, body_type: body_type(carried as u32).into() };
    let mut bytes = part.as_bytes().to_vec();
    bytes.resize(size_of::<Part>() + carried, 7);
    bytes
}

proptest! {
    #[test]
    fn what_is_sound_is_what_is_right_item_by_item(
        (captured, ports) in (0..90usize, 0..5usize),
        flips in proptest::collection::vec((0..size_of::<Part>(), 0..8u32), 0..3),
        cut in 0..12usize,
    ) {
        let mut bytes = record(captured, ports);
        for (place, bit) in flips {
            bytes[place] ^= 1 << bit;
        }
        bytes.truncate(bytes.len() - cut.saturating_sub(8));
        prop_assert_eq!(Record::sound(&bytes), Record::part(&bytes, 0, 0).ok());
    }
}

#[test]
fn the_largest_are_sound() {
    for (captured, ports) in [(MAX_BODY, 0), (MAX_BODY, MAX_PORTS), (0, MAX_PORTS), (0, 0)] {
        let bytes = record(captured, ports);
        let found = Record::sound(&bytes).unwrap();
        assert_eq!((found.message.len(), found.ports.len()), (captured, ports));
    }
    for (captured, ports) in [(MAX_BODY + 1, 0), (0, MAX_PORTS + 1)] {
        assert_eq!(Record::sound(&record(captured, ports)), None);
    }
}
