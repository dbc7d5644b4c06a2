// SPDX-License-Identifier: GPL-2.0-or-later
//! What to say of options that have selected nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Gate, Over, State};
use crate::options::selecting::{Selecting, Trigger};
use crate::options::{self, Options};

/// Most characters of what an option selects that are said again.
const LONG: usize = 60;

/// Whether anything was what an option asks for, by option; of those after `-e`, of what that selects.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hits {
    /// `-e trace=`.
    pub(super) selected: bool,
    /// `-e status=`.
    pub(super) status: bool,
    pub(super) direction: bool,
    pub(super) thread: bool,
    pub(super) port: bool,
    pub(super) result: bool,
    pub(super) slower: bool,
    /// All of the five at once.
    pub(super) all: bool,
    pub(super) on: bool,
    pub(super) until: bool,
}

/// What was asked for, in words.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `-e`, if it selects something at all.
    expressions: Vec<String>,
    /// `-e status=` as it is written, if it says something.
    status: String,
    selecting: Selecting,
}

impl Asked {
    /// By these options.
    pub(crate) fn new(options: &Options) -> Self {
        let (expressions, status) = (options.expressions.clone(), options::status_text(options));
        Self { expressions, status, selecting: options.selecting.clone() }
    }

    /// How the option is written with which a trace has ended.
    pub(crate) fn end(&self, gate: &Gate) -> String {
        let wanted = &self.selecting;
        match gate.state {
            State::Over(Over::Until) => format!("--until={}", short(wanted.until.as_ref().map(Trigger::text))),
            State::Over(Over::Limit) => format!("--limit={}", wanted.limit.unwrap_or(0)),
            _ => format!("--for={}", time(wanted.span)),
        }
    }

    /// A line for each option that nothing was what it asks for, of so many records.
    pub(crate) fn lines(&self, gate: &Gate, records: u64) -> Vec<String> {
        // Where nothing came no option is why nothing is shown.
        if records == 0 {
            return Vec::new();
        }
        let (wanted, hits) = (&self.selecting, gate.hits);
        let none = |what: &str| format!("{what} matched none of {records} records");
        if let Some(on) = wanted.on.as_ref().filter(|_| !hits.on) {
            // Of what comes after it nothing is known.
            return Vec::from([none(&format!("--on={}", short(Some(on.text()))))]);
        }
        let mut lines: Vec<String> = Vec::new();
        let is_unheard = !hits.selected && !gate.selection.is_empty() && !self.expressions.is_empty();
        if is_unheard {
            let expressions = self.expressions.iter().map(|text| format!("-e {}", short(Some(text.clone()))));
            lines.push(none(&expressions.collect::<Vec<_>>().join(" ")));
        }
        let picks = self.picks(hits);
        if hits.selected {
            lines.extend(picks.iter().filter(|(_, hit)| !hit).map(|(what, _)| none(what)));
            if picks.len() > 1 && !hits.all && lines.is_empty() {
                let all: Vec<&str> = picks.iter().map(|(what, _)| what.as_str()).collect();
                lines.push(format!(
                    "{} have each matched some, but all together none of {records} records",
                    all.join(" ")
                ));
            }
            if !self.status.is_empty() && !hits.status && lines.is_empty() {
                lines.push(none(&self.status));
            }
        }
        if let Some(until) = wanted.until.as_ref().filter(|_| !hits.until && !gate.is_over()) {
            lines.push(none(&format!("--until={}", short(Some(until.text())))));
        }
        lines
    }

    /// What each exchange is asked for by itself, and whether any was that.
    fn picks(&self, hits: Hits) -> Vec<(String, bool)> {
        let Selecting { slower, ports, direction, threads, results, .. } = &self.selecting;
        let list = |words: Vec<String>| Some(words.join(",")).filter(|words| !words.is_empty());
        let options = [
            ("--direction", direction.map(|way| way.name().to_string()), hits.direction),
            ("--thread", list(threads.iter().map(|thread| thread.text()).collect()), hits.thread),
            ("--port", list(ports.clone()), hits.port),
            ("--result", list(results.clone()), hits.result),
            ("--slower", slower.map(|slower| time(Some(slower))), hits.slower),
        ];
        let given = options.into_iter().filter_map(|(name, words, hit)| Some((name, words?, hit)));
        given.map(|(name, words, hit)| (format!("{name}={}", short(Some(words))), hit)).collect()
    }
}

fn short(text: Option<String>) -> String {
    let mut text = text.unwrap_or_default();
    if let Some((at, _)) = text.char_indices().nth(LONG) {
        text.truncate(at);
        text.push_str("...");
    }
    text
}

/// Nanoseconds in the largest unit of which they are whole.
fn time(nanoseconds: Option<u64>) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us")];
    let time = nanoseconds.unwrap_or(0);
    let unit = UNITS.iter().find(|(size, _)| time > 0 && time.is_multiple_of(*size));
    unit.map_or_else(|| format!("{time}ns"), |(size, unit)| format!("{}{unit}", time / size))
}
