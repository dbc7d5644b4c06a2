// SPDX-License-Identifier: GPL-2.0-or-later
//! The decoder allocates nothing: counted over every message of the captures.
#![cfg(feature = "compiler")]

#[path = "../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the file is also a library")]
#[expect(dead_code, reason = "the other targets")]
mod targets;

use targets::{decoder, seeds};

#[test]
fn decoding_allocates_nothing() {
    let messages = seeds::decoder();
    // The first one compiles the interfaces.
    decoder(&messages[0]);
    let counted = allocation_counter::measure(|| messages.iter().for_each(|message| decoder(message)));
    assert_eq!(counted.count_total, 0, "{} allocations for {} messages", counted.count_total, messages.len());
    let counted = allocation_counter::measure(|| drop(vec![messages.len()]));
    assert_eq!(counted.count_total, 1, "the counter counts");
}
