// SPDX-License-Identifier: GPL-2.0-or-later
//! The capture of a live trace: what it says of itself, and when it is written.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of;

use capture::{Fact, Facts, Writer};
use mach::{host_self, stubs};
use mach_abi::Format;
use trace_port::RecordHeader;
use trace_port::record::{self, MAX_BODY};

use crate::Trace;
use crate::options::{self, Options, text};
use crate::world::{Failure, World};

/// Bits of a word of the kernels that this program runs on.
const WIDTH: u8 = 8 * Format::Lp64.word() as u8;

/// The capture of a trace of this command, whose program is called so, decoded by tables with this name.
pub(super) fn begin(tables: &[u8], name: &str, options: &Options, program: &str, command: &[String]) -> Writer {
    // A kernel that does not say what it is may be traced all the same.
    let kernel = stubs::mach_host::host_get_kernel_version(host_self()).ok();
    let kernel = kernel.map(|bytes| {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    });
    let header = size_of::<RecordHeader>();
    let layout = format!(
        "x86_64, record version {}, record header {header} bytes, at most {MAX_BODY} of a message",
        record::VERSION
    );
    let arguments = command.iter().skip(1).map(String::as_str);
    let command: Vec<&str> = command.first().map(|_| program).into_iter().chain(arguments).collect();
    let facts = Facts::default()
        .with(Fact::Writer, text::version().trim_end())
        .with(Fact::Kernel, kernel.as_deref().unwrap_or(""))
        .with(Fact::Layout, &layout)
        .with(Fact::Clock, "nanoseconds since 1970 UTC by the kernel's clock, never decreasing")
        .with(Fact::Options, &options::guest_words(options).join("\0"))
        .with(Fact::Command, &command.join("\0"))
        .with(Fact::Tables, name);
    Writer::new(WIDTH, &facts, tables)
}

/// Appends what there is of whole blocks to the file; answers whether nothing is left that is in none.
#[inline]
pub(super) fn append(trace: &mut Trace<'_>, world: &mut dyn World) -> Result<bool, Failure> {
    let Some(capture) = trace.capture() else { return Ok(true) };
    if !capture.bytes().is_empty() {
        world.capture(capture.bytes())?;
        capture.appended();
    }
    Ok(!capture.is_waiting())
}

/// Makes a block of what is in none.
pub(super) fn end_block(trace: &mut Trace<'_>) {
    if let Some(capture) = trace.capture() {
        capture.end_block();
    }
}
