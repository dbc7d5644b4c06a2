// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are not what their .defs say: what a stub may get from somebody who means no good.

use mach_abi::header::{LP64, MACH_MSGH_BITS_COMPLEX};
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mach_abi::{Format, KernReturn};
use mig_defs::model::{Role, Routine};

use super::cases::{delivered, delivering, descriptors};
use super::driver::{self, Parameter, Part, Run, SLOTS};

const FAILURE: i32 = KernReturn::KERN_FAILURE.0;
pub(crate) const NO_REPLY: i32 = KernReturn::MIG_NO_REPLY.0;

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
fn changes(message: &[u8], depth: Depth) -> Vec<Vec<u8>> {
    let mut found = vec![
        with(message, LP64.id, 0x7fff_0000),
        with(message, LP64.id, MACH_NOTIFY_SEND_ONCE),
        resized(message, message.len() + 8),
        flipped(message, LP64.bits, MACH_MSGH_BITS_COMPLEX),
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
        // Numbers so large that their product with the size overflows crash migcom's stubs, or get past their checks.
        found.extend([number + 1, number.saturating_sub(1), 0, 1000].map(|number| with(message, at + 4, number)));
    }
    if depth == Depth::Full {
        for at in places {
            found.extend((0..32).map(|bit| flipped(message, at, 1 << bit)));
            found.extend((0..16).map(|bit| flipped(message, at + 4, 1 << bit)));
        }
    }
    found.dedup();
    found
}

/// What only replies can be: errors of every shape.
fn error_replies(reply: &[u8]) -> Vec<Vec<u8>> {
    const CODE: usize = 40;
    let failed = with(reply, CODE, 5);
    let short = resized(&failed, Format::Lp64.error_reply_size());
    let simple = with(&short, 0, word(reply, 0) & !MACH_MSGH_BITS_COMPLEX);
    let complex = with(&short, 0, word(reply, 0) | MACH_MSGH_BITS_COMPLEX);
    vec![
        failed.clone(),
        short,
        complex,
        resized(&simple, 56),
        flipped(&failed, LP64.bits, MACH_MSGH_BITS_COMPLEX),
        simple,
    ]
}

/// What may happen to a user stub beside a good reply: replies that are not what the .defs say, failures of `mach_msg`, arrays
/// that are too large.
pub(crate) fn of_user(routine: &Routine, parameters: &[Parameter], valid: &Run, depth: Depth) -> Vec<(String, Run)> {
    let run = |image, answer| Run { image, answer, hostile: true, ..*valid };
    let answers = [KernReturn::MACH_SEND_INVALID_DEST, KernReturn::MACH_RCV_TIMED_OUT]
        .map(|answer| answer.0)
        .into_iter()
        .take(if routine.one_way { 1 } else { 2 });
    let mut found: Vec<(String, Run)> =
        answers.map(|answer| (format!("mach_msg says {answer:#x}"), run(valid.image.clone(), answer))).collect();
    if !routine.one_way {
        let reply = delivered(&valid.image);
        let replies = changes(&reply, depth).into_iter().chain(error_replies(&reply)).enumerate();
        found.extend(replies.map(|(number, reply)| {
            (format!("hostile reply {number} {reply:02x?}"), run(delivering(&valid.image, &reply), 0))
        }));
    }
    for (slot, parameter) in parameters.iter().enumerate() {
        let (_, argument, part) = driver::part(routine, parameter);
        if argument.role == Role::In && part == Part::Count {
            let at = word(&valid.image, slot * 4) as usize;
            found.push((format!("5001 elements in {}", argument.name), run(with(&valid.image, at, 5001), 0)));
        }
    }
    found
}

/// What may happen to a server: procedures that fail, requests that are not what the .defs say.
pub(crate) fn of_server(valid: &Run, depth: Depth) -> Vec<(String, Run)> {
    let failing = [FAILURE, NO_REPLY].map(|answer| (format!("answers {answer}"), Run { answer, ..valid.clone() }));
    let requests = changes(&delivered(&valid.image), depth).into_iter().enumerate();
    let requests = requests.map(|(number, request)| {
        let image = delivering(&quiet(&valid.image), &request);
        let run = Run { image, answer: FAILURE, hostile: true, ..*valid };
        (format!("hostile request {number} {request:02x?}"), run)
    });
    failing.into_iter().chain(requests).collect()
}

/// The case without anything to log or answer but what C passes by value: sizes would be those of another request.
fn quiet(image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    let entries = |table: usize| table * SLOTS * 4..((table + 1) * SLOTS - 1) * 4;
    image[entries(1)].fill(0);
    image[entries(2)].fill(0);
    image
}
