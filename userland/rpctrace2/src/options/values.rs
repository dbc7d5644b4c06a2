// SPDX-License-Identifier: GPL-2.0-or-later
//! What the values of options are, and what each is refused for.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use report::{Layout, Question, Sort, Stamp, Strings};
use trace_port::control::Name;

use super::inject::Injection;
use super::near::Suggestion;
use super::{Color, Options, OptionsError, Output, Policy, Report, Status};

pub(in crate::options) fn status_words(options: &Options) -> Vec<String> {
    let Status { successful, failed, unfinished } = options.status;
    if options.status == Status::ALL {
        return Vec::new();
    }
    if options.status_by_letter {
        return vec![if failed { "-Z" } else { "-z" }.into()];
    }
    let named = [(successful, "successful"), (failed, "failed"), (unfinished, "unfinished")];
    let names: Vec<&str> = named.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, name)| name).collect();
    let names = if names.is_empty() { "none".to_string() } else { names.join(",") };
    vec!["-e".into(), format!("status={names}")]
}

/// `-z`, `-Z`: of several the last one counts.
pub(in crate::options) fn set_only(options: &mut Options, status: Status) {
    (options.status, options.status_by_letter) = (status, true);
}

pub(in crate::options) fn bad_value(option: &'static str, expected: &'static str, found: &str) -> OptionsError {
    OptionsError::BadValue { option, expected, found: found.to_string(), near: Suggestion::none() }
}

pub(in crate::options) fn add_stamp(options: &mut Options) {
    options.style.stamp = match options.style.stamp {
        Stamp::None | Stamp::Relative => Stamp::Day,
        Stamp::Day => Stamp::DayMicroseconds,
        Stamp::DayMicroseconds | Stamp::Epoch => Stamp::Epoch,
    };
}

pub(in crate::options) fn set_string_size(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.style.string_size = value.parse().map_err(|_| bad_value("-s", "a number of bytes", value))?;
    Ok(())
}

pub(in crate::options) fn set_question(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    let question = Question::ALL.into_iter().find(|question| question.name() == value);
    options.report = Report::Answer(question.ok_or_else(|| bad_value("--ask", QUESTIONS, value))?);
    Ok(())
}

/// Units of time, in nanoseconds.
const UNITS: [(&str, u64); 4] = [("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// A time with its unit, in nanoseconds.
fn time(option: &'static str, value: &str) -> Result<u64, OptionsError> {
    let read =
        |(unit, nanoseconds): &(&str, u64)| value.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*nanoseconds);
    UNITS.iter().find_map(read).ok_or_else(|| bad_value(option, "a time: 500us, 1ms, 2s", value))
}

pub(in crate::options) fn set_min(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.min = time("--min", value)?;
    Ok(())
}

pub(in crate::options) fn set_span(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.selecting.span = Some(time("--for", value)?);
    Ok(())
}

pub(in crate::options) fn set_slower(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.selecting.slower = Some(time("--slower", value)?);
    Ok(())
}

/// What stands above the columns of a table, for who mistypes one.
const COLUMNS: &str =
    "columns, each once: time-percent, total-time, min-time, max-time, avg-time, p50, p99, calls, errors, name";
const ORDERS: &str =
    "a column (time-percent, total-time, min-time, max-time, avg-time, p50, p99, calls, errors, name) or none";
const QUESTIONS: &str = "a question that rpctrace2 answers: stuck, top, leaks, ports, tree, coverage";

pub(in crate::options) fn set_columns(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.table.columns = Layout::columns(value).ok_or_else(|| bad_value("-U", COLUMNS, value))?;
    Ok(())
}

pub(in crate::options) fn set_sort(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.table.sort = Sort::of(value).ok_or_else(|| bad_value("-S", ORDERS, value))?;
    Ok(())
}

pub(in crate::options) fn column_words(options: &Options) -> Vec<String> {
    let columns = &options.table.columns;
    if *columns == Layout::default().columns {
        return Vec::new();
    }
    vec!["-U".into(), columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(",")]
}

pub(in crate::options) fn sort_words(options: &Options) -> Vec<String> {
    match options.table.sort {
        sort if sort == Layout::default().sort => Vec::new(),
        sort => vec!["-S".into(), sort.name().into()],
    }
}

/// Largest column of `-a`: each line is filled up to it.
const COLUMN_MAX: usize = 1000;

pub(in crate::options) fn set_column(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    let column = value.parse().ok().filter(|column| *column <= COLUMN_MAX);
    options.host.column = column.ok_or_else(|| bad_value("-a", "a column up to 1000", value))?;
    Ok(())
}

pub(in crate::options) fn set_strings(options: &mut Options, value: Option<&str>) -> Result<(), OptionsError> {
    options.style.strings = match (value, options.style.strings) {
        (None, Strings::Escaped) | (Some("non-ascii"), _) => Strings::OtherHexadecimal,
        (None, _) | (Some("all"), _) => Strings::Hexadecimal,
        (Some(found), _) => return Err(bad_value("--strings-in-hex", "non-ascii or all", found)),
    };
    Ok(())
}

pub(in crate::options) fn set_form(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.style.raw = match value {
        "raw" => true,
        "abbrev" => false,
        found => return Err(bad_value("-X", "raw or abbrev", found)),
    };
    Ok(())
}

pub(in crate::options) fn set_color(options: &mut Options, value: Option<&str>) -> Result<(), OptionsError> {
    options.host.color = match value {
        None | Some("always") => Color::Always,
        Some("auto") => Color::Auto,
        Some("never") => Color::Never,
        Some(found) => return Err(bad_value("--color", "auto, always or never", found)),
    };
    Ok(())
}

pub(in crate::options) fn set_output(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.host.output = match value.strip_prefix('|') {
        Some(command) => Output::Command(command.to_string()),
        None if value == "-" => Output::Standard,
        None if value.is_empty() => return Err(bad_value("-o", "a file, - or |COMMAND", value)),
        None => Output::File(value.to_string()),
    };
    Ok(())
}

/// What may stand before `=` in `-e`.
const KINDS: [&str; 2] = ["trace", "status"];

pub(in crate::options) fn add_expression(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    const EXPECTED: &str = "trace=SET or status=SET";
    let error = |near| OptionsError::BadValue { option: "-e", expected: EXPECTED, found: value.to_string(), near };
    let (kind, set) = match value.split_once('=') {
        // A regular expression can have one.
        Some(_) if value.trim_start_matches('!').starts_with('/') => ("trace", value),
        Some((kind, set)) => (kind, set),
        None => ("trace", value),
    };
    match kind {
        _ if set.trim_start_matches('!').is_empty() => Err(error(Suggestion::none())),
        "trace" | "t" => {
            options.expressions.push(set.to_string());
            Ok(())
        }
        "status" => set_status(options, set),
        "inject" => add_injection(options, set),
        other => Err(error(Suggestion::of(other, KINDS, ""))),
    }
}

fn set_status(options: &mut Options, set: &str) -> Result<(), OptionsError> {
    let (negated, names) = set.strip_prefix('!').map_or((false, set), |names| (true, names));
    let mut status = if negated { Status::ALL } else { Status::NONE };
    for name in names.split(',') {
        match name {
            "successful" => status.successful = !negated,
            "failed" => status.failed = !negated,
            "unfinished" => status.unfinished = !negated,
            "all" => status = if negated { Status::NONE } else { Status::ALL },
            "none" => {}
            other => {
                let known = ["successful", "failed", "unfinished", "all", "none"];
                return Err(OptionsError::BadValue {
                    option: "-e status=",
                    expected: "successful, failed, unfinished",
                    found: other.to_string(),
                    near: Suggestion::of(other, known, ""),
                });
            }
        }
    }
    (options.status, options.status_by_letter) = (status, false);
    Ok(())
}

pub(in crate::options) fn set_engine(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    // As they are printed by --engines and compared by the kernel.
    let is_name = (1..=size_of::<Name>()).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name {
        return Err(bad_value("--as", "a name of at most 32 letters, digits and signs", value));
    }
    options.engine = Some(value.to_string());
    Ok(())
}

pub(in crate::options) fn add_injection(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.injections.push(Injection::parse(value)?);
    Ok(())
}

pub(in crate::options) fn set_policy(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.policy = match value {
        "block" => Policy::Block,
        "drop" => Policy::Drop,
        found => return Err(bad_value("--policy", "block or drop", found)),
    };
    Ok(())
}
