// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 top --follow FILE` on a terminal: the figures of a capture that is being written, drawn anew every second.

use std::format;
use std::io::{self, IsTerminal, Write};
use std::string::String;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use capture::ReadError;

use super::open::{PAUSE, Player, Step};
use crate::options::{Host, Options, Output, Report};
use crate::replay::Replay;
use crate::{Question, Trace};

/// How long a drawing stands.
const EVERY: Duration = Duration::from_secs(1);
/// Columns and lines of a terminal that does not say.
const USUAL: (u16, u16) = (80, 24);
/// To the first place of the screen; to the end of the line, and of the screen, all that was there goes.
const HOME: &str = "\x1b[H";
const TO_LINE_END: &str = "\x1b[K";
const TO_SCREEN_END: &str = "\x1b[J";

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
) -> Result<Option<ReadError>> {
    let (mut replay, mut drawn) = (Replay::default(), None::<Instant>);
    let cut = loop {
        match player.step(&mut replay, trace, text)? {
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
        io::stdout().lock().write_all(format!("{HOME}{TO_SCREEN_END}").as_bytes())?;
    }
    Ok(cut)
}

fn draw(name: &str, trace: &Trace<'_>) -> Result<()> {
    let (columns, lines) = view::size().unwrap_or(USUAL);
    let mut text = format!("{name}: figures so far, as it is being written; Ctrl-C leaves\n");
    // The cursor stands in the last line.
    trace.so_far(usize::from(lines).saturating_sub(2), &mut text);
    let mut screen = String::from(HOME);
    for line in text.lines().take(usize::from(lines).saturating_sub(1)) {
        let end = line.char_indices().nth(usize::from(columns)).map_or(line.len(), |(at, _)| at);
        screen.push_str(line.get(..end).unwrap_or(line));
        screen.push_str(TO_LINE_END);
        screen.push_str("\r\n");
    }
    screen.push_str(TO_SCREEN_END);
    let mut out = io::stdout().lock();
    out.write_all(screen.as_bytes())?;
    Ok(out.flush()?)
}
