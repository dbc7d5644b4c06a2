// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls of a capture, for who looks at them as a whole.

use std::boxed::Box;

use anyhow::{Result, bail};
use export::{Export, Format, Wanted};

use super::open::Opened;
use super::{say, show};
use crate::options::{Host, Options, Report};

/// Has the calls that the options select of a capture go to `format`, as far as it can be read; answers whether it ends too early, which is said
/// with what is done to the rest (`done`).
pub(super) fn collect(
    options: &mut Options,
    name: &str,
    (format, wanted): (Box<dyn Format>, Wanted),
    done: &str,
) -> Result<bool> {
    options.report = Report::Nothing;
    let host: Host = core::mem::take(&mut options.host);
    let mut opened = Opened::new(name, &host)?;
    let (tables, mut player) = opened.parts()?;
    let mut trace = player.trace(tables, options)?;
    let (export, progress) = Export::new(tables, format, wanted);
    trace.analyse(Box::new(export));
    let cut = player.play(&mut trace, true, |text, _| {
        text.clear();
        Ok(())
    })?;
    if let Some(error) = trace.other_version() {
        bail!("{name}: {error}");
    }
    show::complain(&trace);
    drop(trace);
    if let Some(error) = progress.take().error {
        return Err(error.into());
    }
    if let Some(error) = &cut {
        say(format_args!("{name}: {error}; what is before it is {done}"));
    }
    Ok(cut.is_some())
}
