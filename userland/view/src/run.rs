// SPDX-License-Identifier: GPL-2.0-or-later
//! The terminal: keys in, screens out. It is as it was when this ends, whatever ends it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::app::{App, Effect, STEP};
use crate::draw;

/// How long nothing is looked at when nothing is to be done.
const PAUSE: Duration = Duration::from_millis(100);
/// How long work is done before keys are looked at.
const TURN: Duration = Duration::from_millis(20);

/// What reading on has come to.
#[derive(Debug)]
pub enum Fed {
    /// There is more.
    More,
    /// There may be more later.
    Waiting,
    /// There is no more; why, if not all is there.
    End(Option<String>),
}

/// Shows it until the user leaves. `feed` reads on a little. Answers the number of the signal that ended it, if one did.
///
/// # Errors
/// If the terminal cannot be used, or what `feed` says.
pub fn run<E: From<io::Error>>(app: &mut App<'_>, mut feed: impl FnMut() -> Result<Fed, E>) -> Result<Option<i32>, E> {
    let signal = Arc::new(AtomicUsize::new(0));
    let mut registered = Vec::new();
    // Not SIGHUP, which ends it: of a terminal that is gone `event::poll` reads the end again and again, and does not return.
    for number in [SIGTERM, SIGINT] {
        registered.push(signal_hook::flag::register_usize(number, signal.clone(), number as usize)?);
    }
    // It has a panic restore the terminal, too.
    let mut terminal = ratatui::try_init()?;
    let result = turns(app, &mut feed, &mut terminal, &signal);
    ratatui::try_restore()?;
    for id in registered {
        signal_hook::low_level::unregister(id);
    }
    result
}

/// Columns and lines of the terminal, if it says.
pub fn size() -> Option<(u16, u16)> {
    ratatui::crossterm::terminal::size().ok().filter(|(columns, lines)| *columns > 0 && *lines > 0)
}

fn turns<E: From<io::Error>>(
    app: &mut App<'_>,
    feed: &mut impl FnMut() -> Result<Fed, E>,
    terminal: &mut ratatui::DefaultTerminal,
    signal: &AtomicUsize,
) -> Result<Option<i32>, E> {
    let mut has_ended = false;
    loop {
        let begin = Instant::now();
        let mut is_busy = true;
        while is_busy && begin.elapsed() < TURN {
            is_busy = false;
            if !has_ended {
                match feed()? {
                    Fed::More => is_busy = true,
                    Fed::Waiting => {}
                    Fed::End(reason) => {
                        has_ended = true;
                        app.end(reason);
                    }
                }
            }
            is_busy |= app.work(STEP);
        }
        terminal.draw(|frame| draw::draw(app, frame))?;
        let mut wait = if is_busy { Duration::ZERO } else { PAUSE };
        // Keys that have come are taken together: one screen shows what they have done.
        while event::poll(wait)? {
            wait = Duration::ZERO;
            let Event::Key(key) = event::read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match app.key(key) {
                Effect::None => {}
                Effect::Quit => return Ok(None),
                Effect::Copy(text) => copy(&text)?,
            }
        }
        match signal.load(Ordering::Relaxed) {
            0 => {}
            number => return Ok(Some(number as i32)),
        }
    }
}

/// Has the terminal put text into its clipboard (OSC 52), if it does so.
fn copy(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
    out.flush()
}
