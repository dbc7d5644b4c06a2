// SPDX-License-Identifier: GPL-2.0-or-later
//! What a capture says of itself, whoever writes it: a trace in the guest, or a host that reads the machine's memory.

use alloc::format;
use core::mem::size_of;

use capture::{Fact, Facts};
use mach_abi::Format;
use trace_port::RecordHeader;
use trace_port::record::{self, MAX_BODY};

use crate::options::text;

/// Bits of a word of the kernels whose records there are.
pub const WIDTH: u8 = 8 * Format::Lp64.word() as u8;

/// The facts of a capture: the kernel's own words on its version, the options and the words of the command, each before a NUL, and where the
/// tables are from.
pub fn facts(kernel: &str, options: &str, command: &str, tables: &str) -> Facts {
    let header = size_of::<RecordHeader>();
    let layout = format!(
        "x86_64, record version {}, record header {header} bytes, at most {MAX_BODY} of a message",
        record::VERSION
    );
    Facts::default()
        .with(Fact::Writer, text::version().trim_end())
        .with(Fact::Kernel, kernel)
        .with(Fact::Layout, &layout)
        .with(Fact::Clock, "nanoseconds since 1970 UTC by the kernel's clock, never decreasing")
        .with(Fact::Options, options)
        .with(Fact::Command, command)
        .with(Fact::Tables, tables)
}
