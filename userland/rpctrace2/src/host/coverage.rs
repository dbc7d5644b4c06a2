// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 coverage FILE FILE...`: what all of several captures reach.

use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::string::String;

use anyhow::{Result, bail};
use report::{Amount, Coverage, Reach};

use super::open::Opened;
use super::out::Text;
use super::say;
use super::show::CUT;
use crate::options::{Host, Options, Report};

/// Shows what the captures reach together; answers the exit status.
///
/// # Errors
/// If a file is no capture that can be read, or nothing can be written.
pub(super) fn show(mut options: Options, names: &[String]) -> Result<u8> {
    let host = core::mem::take(&mut options.host);
    options.report = Report::Nothing;
    let mut out = Text::open(&host)?;
    let reach = Rc::default();
    let (mut is_cut, mut text) = (false, String::new());
    for (place, name) in names.iter().enumerate() {
        let told = match (place + 1 < names.len(), options.style.verbose) {
            (true, _) => Amount::Nothing,
            (false, true) => Amount::All,
            (false, false) => Amount::Begin,
        };
        is_cut |= add(options.clone(), &host, name, (&reach, told), &mut text, out.leaves_error_free())?;
    }
    let result = out.write(&mut text, true);
    out.end(result)?;
    Ok(if is_cut { CUT } else { 0 })
}

/// Adds what a capture reaches to what others have; appends what is told. Answers whether the capture ends too early.
fn add(
    mut options: Options,
    host: &Host,
    name: &str,
    (reach, told): (&Rc<RefCell<Reach>>, Amount),
    text: &mut String,
    is_free: bool,
) -> Result<bool> {
    let mut opened = Opened::new(name, host)?;
    let (tables, mut player) = opened.parts()?;
    let mut trace = player.trace(tables, &mut options)?;
    trace.analyse(Box::new(Coverage::new(tables, Rc::clone(reach), told)));
    let cut = player.play(&mut trace, is_free, |part, _| {
        text.push_str(&core::mem::take(part));
        Ok(())
    })?;
    if let Some(error) = trace.other_version() {
        bail!("{name}: {error}");
    }
    if let Some(error) = &cut {
        say(format_args!("{name}: {error}; what is before it is counted"));
    }
    Ok(cut.is_some())
}
