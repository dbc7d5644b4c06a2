//! Messages that are not what their .defs say: what a stub may get from somebody who means no good.

use super::cases::descriptors;

/// Which changes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The ones that each check of a stub is for.
    Bounded,
    /// Every bit of every descriptor too.
    Full,
}

fn word(message: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(message[at..at + 4].try_into().expect("four bytes"))
}

fn with(message: &[u8], at: usize, value: u32) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
    changed
}

fn flipped(message: &[u8], at: usize, bits: u32) -> Vec<u8> {
    with(message, at, word(message, at) ^ bits)
}

/// The message with another size, in its header and in fact.
fn resized(message: &[u8], size: usize) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed.resize(size, 0);
    with(&changed, 4, size as u32)
}

/// Wrong ids, sizes and descriptors of a message.
pub(crate) fn changes(message: &[u8], depth: Depth) -> Vec<Vec<u8>> {
    const COMPLEX: u32 = 1 << 31;
    let mut found = vec![
        with(message, 28, 0x7fff_0000),
        // MACH_NOTIFY_SEND_ONCE
        with(message, 28, 0o107),
        resized(message, message.len() + 8),
        flipped(message, 0, COMPLEX),
    ];
    let places = descriptors(message);
    // Cut short before and after each descriptor.
    for at in &places {
        found.extend([resized(message, *at), resized(message, at + 8)]);
    }
    // Name, size, an unused bit, inline, longform, deallocate.
    let first = [1, 0xff, 0x18 << 8, 1 << 28, 1 << 29, 1 << 30, 1 << 31];
    for at in &places {
        found.extend(first.map(|bits| flipped(message, *at, bits)));
        let number = word(message, at + 4);
        found.extend(
            [number.wrapping_add(1), number.wrapping_sub(1), 0, 1000].map(|number| with(message, at + 4, number)),
        );
    }
    if depth == Depth::Full {
        for at in places {
            found.extend((0..32).map(|bit| flipped(message, at, 1 << bit)));
            // Numbers so large that their product with the size overflows crash migcom's stubs.
            found.extend((0..16).map(|bit| flipped(message, at + 4, 1 << bit)));
        }
    }
    found.dedup();
    found
}

/// What only replies can be: errors of every shape.
pub(crate) fn error_replies(reply: &[u8]) -> Vec<Vec<u8>> {
    const CODE: usize = 40;
    let failed = with(reply, CODE, 5);
    let short = resized(&failed, 48);
    let simple = with(&short, 0, word(reply, 0) & !(1 << 31));
    let complex = with(&short, 0, word(reply, 0) | 1 << 31);
    vec![failed.clone(), short, complex, resized(&simple, 56), flipped(&failed, 0, 1 << 31), simple]
}
