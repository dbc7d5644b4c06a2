// SPDX-License-Identifier: GPL-2.0-or-later
//! Whom is traced how, and what becomes of their messages.

use alloc::string::ToString;

use crate::options::ool::OOL;
use crate::options::place::Place;
use crate::options::row::{Action, Row, SAME, nothing, word_if};
use crate::options::values::{add_injection, set_engine, set_policy};
use crate::options::{ALL, Policy};

pub(super) const ROWS: &[Row] = &[
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
    OOL,
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
];
