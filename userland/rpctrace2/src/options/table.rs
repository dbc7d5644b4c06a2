// SPDX-License-Identifier: GPL-2.0-or-later
//! The options: every one a row, from which the parser, the help, the manual page, docs/options.md and the tests follow.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use report::{Stamp, Strings};

use super::place::Place;
use super::row::{Action, Row, SAME, nothing, word_if};
use super::values::{
    add_expression, add_injection, add_stamp, column_words, set_color, set_column, set_columns, set_engine, set_form,
    set_min, set_output, set_policy, set_question, set_sort, set_string_size, set_strings, set_until, sort_words,
    status_words,
};
use super::{ALL, Policy, Report, Status};

/// All options, in the order in which the help lists them.
pub const TABLE: &[Row] = &[
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
        action: Action::Set(|options| options.status = Status { successful: true, ..Status::NONE }),
        place: Place::Everywhere,
        help: "only calls that succeed",
        others: [SAME, "none", "none"],
        test: "only_calls_with_a_status_are_shown",
        words: status_words,
    },
    Row {
        letter: Some('Z'),
        longs: &["failed-only"],
        action: Action::Set(|options| options.status = Status { failed: true, ..Status::NONE }),
        place: Place::Everywhere,
        help: "only calls that fail",
        others: [SAME, "none", "none"],
        test: "only_calls_with_a_status_are_shown",
        words: nothing,
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
    Row {
        letter: Some('c'),
        longs: &["summary-only"],
        action: Action::Set(|options| options.report = Report::Summary),
        place: Place::Everywhere,
        help: "count, errors and time by routine instead of lines",
        others: [SAME, "none", "--with=top"],
        test: "the_summary_counts_by_routine",
        words: |options| word_if(options.report == Report::Summary, "-c"),
    },
    Row {
        letter: Some('C'),
        longs: &["summary"],
        action: Action::Set(|options| options.report = Report::Both),
        place: Place::Everywhere,
        help: "the same after the lines",
        others: [SAME, "none", "--with=top"],
        test: "the_summary_counts_by_routine",
        words: |options| word_if(options.report == Report::Both, "-C"),
    },
    Row {
        letter: Some('S'),
        longs: &["summary-sort-by"],
        action: Action::Value("COLUMN", set_sort),
        place: Place::Everywhere,
        help: "the table's order: by a column of -U, largest first, or none",
        others: [SAME, "none", "none"],
        test: "the_table_has_the_columns_and_the_order_that_are_asked_for",
        words: sort_words,
    },
    Row {
        letter: Some('U'),
        longs: &["summary-columns"],
        action: Action::Value("COLUMNS", set_columns),
        place: Place::Everywhere,
        help: "the table's columns: time-percent, total-time, min-time, max-time, avg-time, p50, p99, calls, errors, name",
        others: ["the same, but for p50 and p99", "none", "none"],
        test: "the_table_has_the_columns_and_the_order_that_are_asked_for",
        words: column_words,
    },
    Row {
        letter: Some('w'),
        longs: &["summary-wall-clock"],
        action: Action::Set(|_| ()),
        place: Place::Everywhere,
        help: "accepted: times are always from request to answer, by the clock",
        others: ["not the processor's time, but the clock's", "none", "none"],
        test: "the_table_has_the_columns_and_the_order_that_are_asked_for",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["ask"],
        action: Action::Value("QUESTION", set_question),
        place: Place::Everywhere,
        help: "no lines, but at the end the answer to a question: stuck, who waits for whom; top, figures of calls; leaks, rights that come and \
               never go; ports, where each comes from; tree, which calls a call has led to; \
               coverage, which routines, codes and values were reached, with -v in full (docs/questions.md)",
        others: ["none", "none", "none"],
        test: "a_deadlock_is_found_in_the_memory_that_is_left",
        words: |options| match options.report {
            Report::Answer(question) => vec!["--ask".into(), question.name().into()],
            _ => Vec::new(),
        },
    },
    Row {
        letter: None,
        longs: &["min"],
        action: Action::Value("TIME", set_min),
        place: Place::Everywhere,
        help: "of --ask=tree: only calls that took so long, such as 500us or 1ms",
        others: ["none", "none", "none"],
        test: "calls_are_told_with_what_they_led_to",
        words: |options| match options.min {
            0 => Vec::new(),
            min => vec!["--min".into(), format!("{min}ns")],
        },
    },
    Row {
        letter: Some('o'),
        longs: &["output"],
        action: Action::Value("FILE", set_output),
        place: Place::Files,
        help: "write the trace to FILE, to standard output if it is -, to a command if it begins with |",
        others: ["FILE, |COMMAND, !COMMAND", "FILE", "--to"],
        test: "the_trace_goes_where_it_is_to_go",
        words: nothing,
    },
    Row {
        letter: Some('A'),
        longs: &["output-append-mode"],
        action: Action::Set(|options| options.host.append = true),
        place: Place::Files,
        help: "append to the FILE of -o",
        others: [SAME, "none", "none"],
        test: "the_trace_goes_where_it_is_to_go",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["capture"],
        action: Action::Value("FILE", |options, value| {
            options.host.capture = Some(value.to_string());
            Ok(())
        }),
        place: Place::Files,
        help: "keep every message in FILE, too, whatever is printed; `cargo rpctrace2 show FILE` prints it again (docs/capture.md)",
        others: ["none", "none", "--save"],
        test: "what_is_shown_of_a_capture_is_what_was_printed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["follow"],
        action: Action::Set(|options| options.host.follow = true),
        place: Place::Show,
        help: "wait for more where FILE ends, until its trace does",
        others: ["none", "none", "none"],
        test: "a_capture_that_grows_is_followed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["to"],
        action: Action::Value("FORM", |options, value| {
            options.host.to = Some(value.to_string());
            Ok(())
        }),
        place: Place::Show,
        help: "with `cargo rpctrace2 export`: write what is selected of FILE in a form that other tools read, to the file of -o \
               (docs/export.md); `cargo rpctrace2 export` lists the forms",
        others: ["none", "none", "none"],
        test: "a_capture_is_written_in_each_form",
        words: nothing,
    },
    Row {
        letter: Some('p'),
        longs: &["attach"],
        action: Action::Value("PID", |options, value| {
            options.attach.push(value.to_string());
            Ok(())
        }),
        place: Place::Hurd,
        help: "on a Hurd: trace this process instead of a command, by its process id, the name of its program or the node (/...) that it is the translator of, as often as you like; all: every task, as the owner of the system trace",
        others: [SAME, "none", "--remote-pid"],
        test: "options_know_where_they_are_followed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["all-tasks"],
        action: Action::Set(|options| options.attach.push(ALL.to_string())),
        place: Place::Hurd,
        help: "on a Hurd: as -p all",
        others: ["none: -a is a column", "none", "none"],
        test: "options_know_where_they_are_followed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["until"],
        action: Action::Value("WHEN", set_until),
        place: Place::Hurd,
        help: "on a Hurd: command: end when the command has ended and nothing came for a second, or ten seconds later (as usual); \
               all: when every traced task has ended",
        others: ["none: all", "none: command", "none"],
        test: "options_know_where_they_are_followed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["as"],
        action: Action::Value("NAME", set_engine),
        place: Place::Everywhere,
        help: "trace by an engine called NAME, one of up to eight tracers of a task, instead of by its trace port, of which there is one; \
               refused where the task has an engine of this name",
        others: ["none: a process has one tracer", "none: the same", "none"],
        test: "two_tracers_of_one_task_do_not_notice_each_other",
        words: |options| options.engine.iter().flat_map(|name| ["--as".into(), name.clone()]).collect(),
    },
    Row {
        letter: None,
        longs: &["policy"],
        action: Action::Value("WHAT", set_policy),
        place: Place::Everywhere,
        help: "with --as, if the trace cannot be written as fast as messages come: block: who is traced waits (as usual); drop: records are \
               lost, which a line says",
        others: ["none: block", "none: block", "none"],
        test: "a_slow_tracer_that_drops_says_how_much",
        words: |options| word_if(options.policy == Policy::Drop, "--policy=drop"),
    },
    Row {
        letter: None,
        longs: &["kernel-filter"],
        action: Action::Set(|options| options.kernel_filter = true),
        place: Place::Everywhere,
        help: "with --as: the kernel sends only what -e trace= selects, and what tells tasks, ports and ends; for less of a load, with fewer \
               names and up to a second late",
        others: ["--seccomp-bpf", "none", "none"],
        test: "the_kernel_leaves_out_what_is_not_selected",
        words: |options| word_if(options.kernel_filter, "--kernel-filter"),
    },
    Row {
        letter: None,
        longs: &["inject"],
        action: Action::Value("SET:WHAT[:when=WHEN]", add_injection),
        place: Place::Everywhere,
        help: "also -e inject=: what becomes of messages of SET, as of -e trace=, that are about to be sent, and a line then says INJECTED or \
               DELAYED. error=CODE: mach_msg fails so; retval=CODE: a reply with this return code that nobody has sent; \
               delay_enter=TIME: sent later. WHEN is first[..last][+[step]], counted for each task and msgh_id; all without it. Needs \
               engines; makes one called rpctrace2 without --as",
        others: ["the same; signal=, delay_exit= and more", "none", "none"],
        test: "messages_become_what_is_injected",
        words: |options| options.injections.iter().flat_map(|one| ["--inject".into(), one.text()]).collect(),
    },
    Row {
        letter: None,
        longs: &["stop-at"],
        action: Action::Value("SET", |options, value| {
            options.stops.push(value.to_string());
            Ok(())
        }),
        place: Place::Everywhere,
        help: "a thread that is about to send a message of SET, as of -e trace=, stops, and it is asked at the terminal what becomes of that: \
               show, registers, go, fail CODE, quit; all goes on at the end of the input. Needs engines; makes one called rpctrace2 without --as",
        others: ["none: -e inject=SET:signal=STOP", "none", "none"],
        test: "a_stopped_thread_waits_for_what_is_typed",
        words: |options| options.stops.iter().flat_map(|set| ["--stop-at".into(), set.clone()]).collect(),
    },
    Row {
        letter: None,
        longs: &["engines"],
        action: Action::Set(|options| options.engines = true),
        place: Place::Hurd,
        help: "on a Hurd: trace nothing; print the engines of the processes of -p, a line each: name, the port of whose task made it, events, \
               policy, rules, tasks, records lost",
        others: ["none", "none", "none"],
        test: "engines_are_listed",
        words: nothing,
    },
    Row {
        letter: Some('s'),
        longs: &["string-limit"],
        action: Action::Value("SIZE", set_string_size),
        place: Place::Everywhere,
        help: "print at most SIZE bytes of a string (80)",
        others: ["the same (32)", SAME, "none"],
        test: "mistakes_are_named",
        words: |options| match options.style.string_size {
            size if size == report::Style::default().string_size => Vec::new(),
            size => vec!["-s".into(), size.to_string()],
        },
    },
    Row {
        letter: Some('x'),
        longs: &["strings-in-hex"],
        action: Action::Optional("WHEN", set_strings),
        place: Place::Everywhere,
        help: "strings with other than ASCII in hexadecimal; -xx all strings. WHEN is non-ascii or all",
        others: [SAME, "none", "none"],
        test: "strings_in_hexadecimal",
        words: |options| match options.style.strings {
            Strings::Escaped => Vec::new(),
            Strings::OtherHexadecimal => word_if(true, "-x"),
            Strings::Hexadecimal => word_if(true, "-xx"),
        },
    },
    Row {
        letter: None,
        longs: &["dump-messages"],
        action: Action::Set(|options| options.style.dump = true),
        place: Place::Everywhere,
        help: "the bytes of each message",
        others: ["-e read=, -e write=", "none", SAME],
        test: "a_dump_shows_both_messages",
        words: |options| word_if(options.style.dump, "--dump-messages"),
    },
    Row {
        letter: Some('v'),
        longs: &["no-abbrev"],
        action: Action::Set(|options| options.style.verbose = true),
        place: Place::Everywhere,
        help: "abbreviate nothing; names of ports, traps that give rights, options of failed mach_msg calls",
        others: [SAME, "none", "none"],
        test: "verbose_abbreviates_nothing",
        words: |options| word_if(options.style.verbose, "-v"),
    },
    Row {
        letter: Some('X'),
        longs: &["form"],
        action: Action::Value("FORM", set_form),
        place: Place::Everywhere,
        help: "raw: in each line what is otherwise left out, as with -v: the caller's own port, KERN_SUCCESS; calls that give back \
               rights and those of exec, a line each. abbrev: as usual",
        others: ["how constants are written", "none", "none"],
        test: "the_raw_form_repeats_what_is_usually_left_out",
        words: |options| word_if(options.style.raw, "-Xraw"),
    },
    Row {
        letter: Some('q'),
        longs: &["quiet", "silent"],
        action: Action::Set(|options| options.style.quiet = true),
        place: Place::Everywhere,
        help: "no lines about exits",
        others: ["no lines about attaching; exits with -qq", "none", "none"],
        test: "the_exit_is_a_line_unless_quiet",
        words: |options| word_if(options.style.quiet, "-q"),
    },
    Row {
        letter: Some('t'),
        longs: &["absolute-timestamps"],
        action: Action::Set(add_stamp),
        place: Place::Everywhere,
        help: "time of day (UTC) before each line; -tt with microseconds; -ttt seconds since the epoch",
        others: ["the same, in local time", SAME, "none"],
        test: "times_stand_before_lines",
        words: |options| match options.style.stamp {
            Stamp::None | Stamp::Relative => Vec::new(),
            Stamp::Day => word_if(true, "-t"),
            Stamp::DayMicroseconds => word_if(true, "-tt"),
            Stamp::Epoch => word_if(true, "-ttt"),
        },
    },
    Row {
        letter: Some('r'),
        longs: &["relative-timestamps"],
        action: Action::Set(|options| options.style.stamp = Stamp::Relative),
        place: Place::Everywhere,
        help: "time since the line before",
        others: [SAME, "none", "none"],
        test: "times_stand_before_lines",
        words: |options| word_if(options.style.stamp == Stamp::Relative, "-r"),
    },
    Row {
        letter: Some('T'),
        longs: &["syscall-times"],
        action: Action::Set(|options| options.style.durations = true),
        place: Place::Everywhere,
        help: "how long each RPC took",
        others: [SAME, "none", "none"],
        test: "durations_stand_behind_results",
        words: |options| word_if(options.style.durations, "-T"),
    },
    Row {
        letter: Some('a'),
        longs: &["columns"],
        action: Action::Value("COLUMN", set_column),
        place: Place::Host,
        help: "move results to this column (0: leave them where they are); all tasks of a Hurd are -p all",
        others: ["the same (40)", "none", "none: its --columns is the width of lines"],
        test: "results_stand_in_a_column",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["color"],
        action: Action::Optional("WHEN", set_color),
        place: Place::Host,
        help: "colors on a terminal; WHEN is auto, always or never",
        others: [SAME, "none", "none: on a terminal"],
        test: "colors_add_nothing_but_colors",
        words: nothing,
    },
    Row {
        letter: Some('I'),
        longs: &[],
        action: Action::Value("DIR", |options, value| {
            options.host.directories.push(value.to_string());
            Ok(())
        }),
        place: Place::Files,
        help: "decode with .defs, .msgids, .annotations, .mdt of DIR too; the last DIR wins. On a Hurd with .msgids and .mdt",
        others: ["none: it says what Ctrl-C does", "the same, .msgids alone", "--fidl-ir-path"],
        test: "messages_decode_with_definitions_of_the_user",
        words: nothing,
    },
    Row {
        letter: Some('i'),
        longs: &["rpc-list"],
        action: Action::Value("FILE", |options, value| {
            options.host.rpc_lists.push(value.to_string());
            Ok(())
        }),
        place: Place::Files,
        help: "names of routines from FILE too, as `mig -list` writes them (.msgids), or decode tables (.mdt)",
        others: ["none: it prints the instruction pointer", SAME, "--fidl-ir-path"],
        test: "a_list_of_routines_is_a_file",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["nostdinc"],
        action: Action::Set(|options| options.host.nostdinc = true),
        place: Place::Files,
        help: "decode with -I and -i alone",
        others: ["none", SAME, "none"],
        test: "the_hosts_options_stay_there",
        words: nothing,
    },
    Row {
        letter: Some('E'),
        longs: &["env"],
        action: Action::Value("VAR[=VALUE]", |options, value| {
            options.host.environment.push(value.to_string());
            Ok(())
        }),
        place: Place::Host,
        help: "put VAR=VALUE into the command's environment, which is empty otherwise; VAR alone takes it out",
        others: [SAME, SAME, "none"],
        test: "variables_are_put_in_and_taken_out",
        words: nothing,
    },
    Row {
        letter: Some('V'),
        longs: &["version"],
        action: Action::Version,
        place: Place::Everywhere,
        help: "the version",
        others: [SAME, SAME, "not looked at"],
        test: "help_lists_every_option",
        words: nothing,
    },
    Row {
        letter: Some('h'),
        longs: &["help"],
        action: Action::Help,
        place: Place::Everywhere,
        help: "this text",
        others: [SAME, "--help", "not looked at"],
        test: "help_lists_every_option",
        words: nothing,
    },
];
