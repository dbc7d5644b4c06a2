// SPDX-License-Identifier: GPL-2.0-or-later
//! What the user sees while things are prepared: a progress bar on a terminal, a plain line for what takes long elsewhere.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Says something on standard error. Where nobody can hear it, that is no reason to end: what the tool does may still be of use.
pub fn say(text: impl Display) {
    // At once, so that no other line comes between.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A step that is done sooner is not worth a line in a log.
const LONG: Duration = Duration::from_secs(2);

/// Progress through a known number of steps, on standard error.
#[derive(Debug)]
pub struct Progress {
    shown: Shown,
    steps: u64,
    done: u64,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    /// Takes the line of the current step, to be printed if the next one does not come soon.
    Lines(Sender<String>),
}

impl Progress {
    /// Progress through `steps` steps.
    pub fn new(steps: u64) -> Self {
        let shown = if io::stderr().is_terminal() { Shown::Bar(bar(steps)) } else { Shown::Lines(lines()) };
        Self { shown, steps, done: 0 }
    }

    /// The next step begins.
    pub fn step(&mut self, what: &str) {
        self.done += 1;
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_position(self.done - 1);
                bar.set_message(what.to_owned());
            }
            // The receiver lives as long as this sender.
            Shown::Lines(lines) => drop(lines.send(format!("[{}/{}] {what}", self.done, self.steps))),
        }
    }

    /// Something in this step will take its time, or changes the machine: always worth saying.
    pub fn note(&self, what: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(what.to_owned()),
            Shown::Lines(_) => say(what),
        }
    }

    /// Asks or tells something while no bar is in the way.
    pub fn suspend<T>(&self, ask: impl FnOnce() -> T) -> T {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(ask),
            Shown::Lines(_) => ask(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    // The template is a constant; if it were wrong, indicatif's own style would do.
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:20}] {pos}/{len} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn lines() -> Sender<String> {
    let (sender, receiver) = mpsc::channel::<String>();
    thread::spawn(move || {
        let mut waiting: Option<String> = None;
        loop {
            let next = match waiting {
                Some(_) => receiver.recv_timeout(LONG),
                None => receiver.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(line) => waiting = Some(line),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(line) = waiting.take() {
                        say(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    sender
}
