// SPDX-License-Identifier: GPL-2.0-or-later
//! What is printed of all that comes.

use alloc::format;
use alloc::string::ToString;

use crate::options::Status;
use crate::options::place::Place;
use crate::options::row::{Action, Row, SAME, nothing};
use crate::options::selecting::{
    Trigger, add_ports, add_results, add_threads, nanoseconds, pair, set_direction, set_history, set_limit, set_on,
    set_until,
};
use crate::options::values::{add_expression, set_only, set_slower, set_span, status_words};

pub(super) const ROWS: &[Row] = &[
    Row {
        letter: Some('e'),
        longs: &["expr"],
        action: Action::Value("[trace=]SET or status=SET", add_expression),
        place: Place::Everywhere,
        help: "trace=: only these routines, subsystems, msgh_ids, /regular expressions, %classes; mach_msg: failed calls; \
               !SET: all but these; ?NAME: if it is known. status=: successful, failed, unfinished",
        others: [SAME, "none", "--messages, --exclude-messages"],
        test: "expressions_select_lines",
        words: |options| options.expressions.iter().flat_map(|text| ["-e".into(), format!("trace={text}")]).collect(),
    },
    Row {
        letter: Some('z'),
        longs: &["successful-only"],
        action: Action::Set(|options| set_only(options, Status { successful: true, ..Status::NONE })),
        place: Place::Everywhere,
        help: "only calls that succeed",
        others: [SAME, "none", "none"],
        test: "only_calls_with_a_status_are_shown",
        words: status_words,
    },
    Row {
        letter: Some('Z'),
        longs: &["failed-only"],
        action: Action::Set(|options| set_only(options, Status { failed: true, ..Status::NONE })),
        place: Place::Everywhere,
        help: "only calls that fail",
        others: [SAME, "none", "none"],
        test: "only_calls_with_a_status_are_shown",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["on"],
        action: Action::Value("WHAT", set_on),
        place: Place::Everywhere,
        help: "print nothing before the first call of WHAT: a SET as of -e trace=, whatever -e selects, or SET=RESULT, where RESULT is failed, successful or a return code",
        others: ["none", "none", "--trigger"],
        test: "what_is_shown_begins_at_a_call_with_what_was_before_it",
        words: |options| pair("--on", options.selecting.on.as_ref().map(Trigger::text)),
    },
    Row {
        letter: None,
        longs: &["history"],
        action: Action::Value("LINES", set_history),
        place: Place::Everywhere,
        help: "with --on: so many of the lines before that call, too",
        others: ["none", "none", "none"],
        test: "what_is_shown_begins_at_a_call_with_what_was_before_it",
        words: |options| {
            pair("--history", Some(options.selecting.history).filter(|lines| *lines > 0).map(|lines| lines.to_string()))
        },
    },
    Row {
        letter: None,
        longs: &["until"],
        action: Action::Value("WHAT", set_until),
        place: Place::Everywhere,
        help: "end the trace after the first call of WHAT, as of --on, that has ended; what is traced goes on untraced, and a command is waited for. On a Hurd also all: go on until every traced task has ended; command: until the command has, and nothing came for a second, or ten seconds later (as usual)",
        others: ["none", "none: command", "none"],
        test: "a_trace_ends_after_the_call_that_it_is_to_end_after",
        words: |options| pair("--until", options.selecting.until.as_ref().map(Trigger::text)),
    },
    Row {
        letter: None,
        longs: &["limit", "syscall-limit"],
        action: Action::Value("CALLS", set_limit),
        place: Place::Everywhere,
        help: "end the trace after so many calls that are shown, as --until does",
        others: ["--syscall-limit", "none", "none"],
        test: "a_trace_ends_after_the_call_that_it_is_to_end_after",
        words: |options| pair("--limit", options.selecting.limit.map(|calls| calls.to_string())),
    },
    Row {
        letter: None,
        longs: &["for"],
        action: Action::Value("TIME", set_span),
        place: Place::Everywhere,
        help: "end the trace so long after its first message, or after --on, such as 500ms or 2s, as --until does",
        others: ["none", "none", "none"],
        test: "a_trace_ends_when_its_time_is_over",
        words: |options| pair("--for", nanoseconds(options.selecting.span)),
    },
    Row {
        letter: None,
        longs: &["slower"],
        action: Action::Value("TIME", set_slower),
        place: Place::Everywhere,
        help: "only calls whose answer took so long, such as 500us or 1ms, or has not come after so long when the trace ends",
        others: ["none", "none", "none"],
        test: "calls_are_selected_by_what_they_took",
        words: |options| pair("--slower", nanoseconds(options.selecting.slower)),
    },
    Row {
        letter: None,
        longs: &["port"],
        action: Action::Value("PORT", add_ports),
        place: Place::Everywhere,
        help: "only calls with this port in their messages, as lines show it: its number (7 of port 7), name 7, bootstrap, console; one for each",
        others: ["none", "none", "none"],
        test: "calls_are_selected_by_port",
        words: |options| options.selecting.ports.iter().flat_map(|port| ["--port".into(), port.clone()]).collect(),
    },
    Row {
        letter: None,
        longs: &["direction"],
        action: Action::Value("WAY", set_direction),
        place: Place::Everywhere,
        help: "send: only what traced tasks ask for and send; receive: only what comes to them, with what they answer",
        others: ["none", "none", "none"],
        test: "calls_are_selected_by_thread_and_direction",
        words: |options| pair("--direction", options.selecting.direction.map(|way| way.name().to_string())),
    },
    Row {
        letter: None,
        longs: &["thread"],
        action: Action::Value("TASK[/THREAD]", add_threads),
        place: Place::Everywhere,
        help: "only calls of these tasks or threads, by the numbers in brackets that lines begin with: 1, 1/2; with commas between them",
        others: ["none", "none", "none"],
        test: "calls_are_selected_by_thread_and_direction",
        words: |options| {
            options.selecting.threads.iter().flat_map(|thread| ["--thread".into(), thread.text()]).collect()
        },
    },
    Row {
        letter: None,
        longs: &["result"],
        action: Action::Value("CODES", add_results),
        place: Place::Everywhere,
        help: "only calls that end with one of these return codes, by name or number, with commas between them",
        others: ["none: -e status=", "none", "none"],
        test: "calls_are_selected_by_result",
        words: |options| pair("--result", Some(options.selecting.results.join(",")).filter(|codes| !codes.is_empty())),
    },
    Row {
        letter: Some('f'),
        longs: &["follow-forks"],
        action: Action::Set(|_| ()),
        place: Place::Everywhere,
        help: "accepted: children are always followed",
        others: ["children are followed only with it", "none: always", "none: always"],
        test: "options_end_at_the_command",
        words: nothing,
    },
];
