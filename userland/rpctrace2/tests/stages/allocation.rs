// SPDX-License-Identifier: GPL-2.0-or-later
//! How often the stages ask for memory.

use crate::common::*;
use crate::mixture;

/// Most allocations for a record, which are those of the buffers that stay with requests until they are answered.
const MOST: f64 = 3.0;

#[test]
fn a_record_becomes_text_with_few_allocations() {
    for arguments in [&[][..], &["-c"], &["-e", "none"]] {
        let messages: Vec<_> = mixture::messages(100).collect();
        let mut trace = usual_trace(arguments);
        let mut out = String::with_capacity(1 << 20);
        let counted = allocation_counter::measure(|| {
            messages.iter().for_each(|message| trace.message(message, &mut out));
        });
        let each = counted.count_total as f64 / messages.len() as f64;
        println!("{arguments:?}: {each:.2} allocations a record");
        assert!(each <= MOST, "{arguments:?}: {each} allocations a record");
    }
}
