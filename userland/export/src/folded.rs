// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to folded`: collapsed stacks, as flame graphs are made of: who asked for what, for that, and so on; and the nanoseconds that were its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use mig_defs::table::Tables;

use crate::causes::Causes;
use crate::model::{About, Call, End, Remark};
use crate::{Format, Out};

/// What is kept of an open exchange.
#[derive(Debug)]
struct Frame {
    stack: String,
    /// Nanoseconds of what was done for it elsewhere.
    inner: u64,
}

struct Folded {
    out: Out,
    causes: Causes<Frame>,
    /// As many as there are different stacks, however long the trace is.
    times: BTreeMap<String, u64>,
}

impl fmt::Debug for Folded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Folded")
    }
}

/// Begins one.
pub(crate) fn begin(out: Out, _: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    Ok(Box::new(Folded { out, causes: Causes::default(), times: BTreeMap::new() }))
}

/// A frame: frames are separated by semicolons.
fn frame(text: &str) -> String {
    text.replace(';', ":")
}

impl Format for Folded {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        let above = self.causes.parent(call).and_then(|parent| self.causes.get(parent));
        let stack = match (above, call.role) {
            (Some(above), "server") => format!("{};{}", above.stack, frame(&call.label)),
            (Some(above), _) => format!("{};{}", above.stack, frame(&call.name)),
            (None, "client") => format!("{};{}", frame(&call.label), frame(&call.name)),
            (None, role) => format!("{};{} ({role})", frame(&call.label), frame(&call.name)),
        };
        self.causes.opened(call, Frame { stack, inner: 0 });
        Ok(())
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        let Some((parent, Frame { stack, inner })) = self.causes.closed(call) else { return Ok(()) };
        let Some(time) = call.duration() else { return Ok(()) };
        if let Some(above) = parent.and_then(|parent| self.causes.get(parent)) {
            above.inner += time;
        }
        *self.times.entry(stack).or_default() += time.saturating_sub(inner);
        Ok(())
    }

    fn remark(&mut self, _: &Remark) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        for (stack, time) in &self.times {
            writeln!(self.out, "{stack} {time}")?;
        }
        self.out.flush()
    }
}
