// SPDX-License-Identifier: GPL-2.0-or-later
//! When the tracer lets what it traces run first, so that several records come in one message: where no line is to stand among the command's
//! own output, as with `-c`, or with `-o` and a file.
//!
//! A program that calls the kernel fills messages as long as it runs, also beside a tracer of its priority; one that steps back would be
//! interrupted at each message that it takes from a full queue. A program that blocks in its calls lets such a tracer run after each, so
//! that a message has one or two records: there it steps back. What the program does changes, so it is looked at again now and then.

use mach::thread;
use trace_port::record::MAX_BATCH;

/// Messages that are looked at.
const SAMPLE: u32 = 32;
/// So many of them with few records are a program that blocks.
const FEW: u32 = 24;
/// Bytes of one with few.
const SMALL: usize = MAX_BATCH / 2;
/// Messages until it is looked at again after a step back.
const LONG: u32 = 2048;

/// How it goes.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    messages: u32,
    few: u32,
    is_back: bool,
}

impl Pace {
    /// Takes note of a message of so many bytes, or of so many that were read of a ring at once. Who cannot change its own priority goes on as it is.
    pub(crate) fn take(&mut self, size: usize) {
        self.messages += 1;
        self.few += u32::from(size < SMALL);
        let enough = if self.is_back { LONG } else { SAMPLE };
        if self.messages < enough {
            return;
        }
        let blocks = !self.is_back && self.few >= FEW;
        if blocks != self.is_back {
            let _ = if blocks { thread::step_back() } else { thread::step_forward() };
        }
        *self = Self { is_back: blocks, ..Self::default() };
    }
}
