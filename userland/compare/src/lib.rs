// SPDX-License-Identifier: GPL-2.0-or-later
//! Two traces, equal up to names of ports, addresses, numbers of tasks and times.
//!
//! **What.** [`told`] takes a trace's calls, thread by thread; [`compare`] says where two traces differ, as text like diff's.
//!
//! **Place in the flow.** `exchanges` -> `export`'s model -> [`told::Collect`] -> [`compare`] -> text.
//!
//! **Invariants.** Two calls are alike if everything in them is equal but what may be called otherwise in another run: port names and the
//! kernel's numbers of ports, addresses, times, and the numbers of tasks and threads in labels. A port of the one trace is one and the same port of the
//! other wherever both traces have it in calls that are alike, or that is said.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`told`].
#![forbid(unsafe_code)]

pub mod told;
mod words;

use std::collections::HashMap;
use std::fmt::Write;

use export::model::{Call, Contents, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use told::{Line, Thread, Told};
pub use words::is_address;

/// Lines that are alike before and after one that is not.
const CONTEXT: usize = 3;

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// As text; empty if there is nothing to be said.
    pub text: String,
    /// Calls that only one of the traces has.
    pub calls: usize,
    /// Calls that are alike but for a port that is another one elsewhere.
    pub ports: usize,
}

/// What stands before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Alike,
    First,
    Second,
    /// Alike, but it says of a port what others deny.
    Renamed,
}

/// Which port of the second trace each of the first is, and the other way round.
#[derive(Debug, Default)]
pub struct Renaming {
    there: HashMap<u32, u32>,
    back: HashMap<u32, u32>,
}

impl Renaming {
    /// Takes note of two that stand in the same place; what contradicts that, in words.
    fn note(&mut self, (one, other): (u32, u32)) -> Option<String> {
        let there = *self.there.entry(one).or_insert(other);
        let back = *self.back.entry(other).or_insert(one);
        if there != other {
            return Some(format!("port {one} of the first is port {other} of the second here, port {there} before"));
        }
        (back != one).then(|| format!("port {other} of the second is port {one} of the first here, port {back} before"))
    }
}

/// Compares the answers to a call and to the same call made again: what came of them and what they carry. Where they are not alike, or say of a port what
/// others have denied, what to say of it: the calls as diff's lines, which end with `\n`. `renaming` is of all answers before. `has_contents`: what
/// memory out of line held is compared, too, which both have read ([`memory`]).
pub fn answers(first: &Call, second: &Call, renaming: &mut Renaming, has_contents: bool) -> Option<String> {
    let (one, other) = (words::answer(first, has_contents), words::answer(second, has_contents));
    let show = |note: &str| {
        let (before, after) = (words::request(first), words::request(second));
        Some(format!("-{before}{}\n+{after}{}\n{note}", one.text, other.text))
    };
    if one.alike != other.alike {
        return show("");
    }
    let pairs = one.ports.iter().copied().zip(other.ports.iter().copied());
    let notes: Vec<String> = pairs.filter_map(|pair| renaming.note(pair)).collect();
    if notes.is_empty() { None } else { show(&format!("  ({})\n", notes.join("; "))) }
}

/// Whether what memory out of line in an answer held is known, all of it; `None` if it has none.
pub fn memory(call: &Call) -> Option<bool> {
    let mut memory = call.reply.iter().flat_map(|reply| &reply.arguments).filter_map(|field| match &field.value {
        Value::Memory { size: size @ 1.., contents: Contents::Read { bytes, .. }, .. } => {
            Some(bytes.len() as u64 == *size)
        }
        Value::Memory { size: 1.., .. } => Some(false),
        _ => None,
    });
    let first = memory.next()?;
    Some(memory.fold(first, |all, is_whole| all && is_whole))
}

/// A call as it is shown.
pub fn shown(call: &Call) -> String {
    words::line(call).text
}

/// Says where two traces differ.
pub fn compare(first: &Told, second: &Told) -> Differences {
    let (mut differences, mut renaming) = (Differences::default(), Renaming::default());
    let nobody = Thread::default();
    for thread in first.threads() {
        let other = second.thread(&thread.name).unwrap_or(&nobody);
        of_threads(&thread.name, thread, other, &mut renaming, &mut differences);
    }
    for thread in second.threads().filter(|thread| first.thread(&thread.name).is_none()) {
        of_threads(&thread.name, &nobody, thread, &mut renaming, &mut differences);
    }
    differences
}

fn of_threads(name: &str, one: &Thread, other: &Thread, renaming: &mut Renaming, differences: &mut Differences) {
    let mut numbers = HashMap::new();
    let mut numbered = |lines: &[Line]| -> Vec<usize> {
        lines
            .iter()
            .map(|line| {
                let next = numbers.len();
                *numbers.entry(line.alike.clone()).or_insert(next)
            })
            .collect()
    };
    let (left, right) = (numbered(&one.lines), numbered(&other.lines));
    let mut lines: Vec<(Mark, String)> = Vec::new();
    for operation in capture_diff_slices(Algorithm::Myers, &left, &right) {
        let (_, gone, come) = operation.as_tag_tuple();
        if let DiffOp::Equal { .. } = operation {
            for (line, same) in one.lines[gone].iter().zip(&other.lines[come]) {
                let notes: Vec<String> = line
                    .ports
                    .iter()
                    .copied()
                    .zip(same.ports.iter().copied())
                    .filter_map(|pair| renaming.note(pair))
                    .collect();
                let mark = if notes.is_empty() { Mark::Alike } else { Mark::Renamed };
                differences.ports += usize::from(mark == Mark::Renamed);
                lines.push((mark, line.text.clone()));
                lines.extend(notes.into_iter().map(|note| (Mark::Renamed, format!("  ({note})"))));
            }
            continue;
        }
        differences.calls += gone.len() + come.len();
        lines.extend(one.lines[gone].iter().map(|line| (Mark::First, line.text.clone())));
        lines.extend(other.lines[come].iter().map(|line| (Mark::Second, line.text.clone())));
    }
    write_hunks(name, &lines, &mut differences.text);
}

/// Appends what is not alike with some lines around it, as diff does.
fn write_hunks(name: &str, lines: &[(Mark, String)], out: &mut String) {
    let is_near = |at: usize| {
        let (from, to) = (at.saturating_sub(CONTEXT), (at + CONTEXT + 1).min(lines.len()));
        lines[from..to].iter().any(|(mark, _)| *mark != Mark::Alike)
    };
    let mut skipped = None;
    for (at, (mark, text)) in lines.iter().enumerate() {
        if !is_near(at) {
            skipped = Some(skipped.unwrap_or(0) + 1);
            continue;
        }
        if at == 0 || skipped.is_some() || out.is_empty() {
            // Writing to a String cannot fail.
            let _ = match skipped.take() {
                None => writeln!(out, "@@ {name} @@"),
                Some(1) => writeln!(out, "@@ {name}, after 1 that is alike @@"),
                Some(count) => writeln!(out, "@@ {name}, after {count} that are alike @@"),
            };
        }
        out.push(match mark {
            Mark::Alike => ' ',
            Mark::First => '-',
            Mark::Second => '+',
            Mark::Renamed => '~',
        });
        out.push_str(text);
        out.push('\n');
    }
}
