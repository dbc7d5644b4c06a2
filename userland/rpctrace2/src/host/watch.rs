// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 top --follow FILE` on a terminal: the figures of a capture that is being written, drawn anew every second.

use std::format;
use std::io::{self, IsTerminal, Write};
use std::string::String;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::open::{Cut, PAUSE, Player, Step};
use crate::options::{Host, Options, Output, Report};
use crate::replay::Replay;
use crate::screen::{CLEAR, USUAL, frame, room};
use crate::{Question, Trace};

/// How long a drawing stands.
const EVERY: Duration = Duration::from_secs(1);
/// Whether the options ask for it: figures of what is being written, on a terminal that knows how to be drawn on.
pub(super) fn is_wanted(options: &Options, host: &Host) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    let is_screen = matches!(host.output, Output::Error | Output::Standard) && io::stdout().is_terminal() && !is_dumb;
    host.follow && options.report == Report::Answer(Question::Top) && is_screen
}

/// Draws until the trace has ended; then the screen is empty, and `text` has the answer. Answers why there is no more, if not all is there.
pub(super) fn watch(
    name: &str,
    player: &mut Player<'_>,
    trace: &mut Trace<'_>,
    text: &mut String,
) -> Result<Option<Cut>> {
    let (mut replay, mut drawn) = (Replay::default(), None::<Instant>);
    let cut = loop {
        match player.step_until_signal(&mut replay, trace, text)? {
            Step::More => {}
            Step::Waiting => thread::sleep(PAUSE),
            Step::End(cut) => break cut,
        }
        if drawn.is_none_or(|at| at.elapsed() >= EVERY) {
            draw(name, trace)?;
            drawn = Some(Instant::now());
        }
    };
    if drawn.is_some() {
        io::stdout().lock().write_all(CLEAR.as_bytes())?;
    }
    Ok(cut)
}

fn draw(name: &str, trace: &Trace<'_>) -> Result<()> {
    let size = view::size().map_or(USUAL, |(columns, lines)| (columns.into(), lines.into()));
    let mut figures = String::new();
    trace.so_far(room(size), &mut figures);
    let head = format!("{name}: figures so far, as it is being written; Ctrl-C leaves");
    let mut out = io::stdout().lock();
    out.write_all(frame(&head, &figures, size).as_bytes())?;
    Ok(out.flush()?)
}
