// SPDX-License-Identifier: GPL-2.0-or-later
//! The capture of a live trace: what it says of itself, and when it is written.

use alloc::string::String;
use alloc::vec::Vec;

use capture::Writer;
use mach::{host_self, stubs};

use crate::Trace;
use crate::facts::{WIDTH, facts};
use crate::options::{self, Options};
use crate::world::{Failure, World};

/// The capture of a trace of this command, whose program is called so, decoded by tables with this name.
pub(super) fn begin(tables: &[u8], name: &str, options: &Options, program: &str, command: &[String]) -> Writer {
    // A kernel that does not say what it is may be traced all the same.
    let kernel = stubs::mach_host::host_get_kernel_version(host_self()).ok();
    let kernel = kernel.map(|bytes| {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    });
    let arguments = command.iter().skip(1).map(String::as_str);
    let command: Vec<&str> = command.first().map(|_| program).into_iter().chain(arguments).collect();
    let words = options::guest_words(options).join("\0");
    let facts = facts(kernel.as_deref().unwrap_or(""), &words, &command.join("\0"), name);
    match options.memory {
        0 => Writer::new(WIDTH, &facts, tables),
        _ => Writer::with_memory(WIDTH, &facts, tables),
    }
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
