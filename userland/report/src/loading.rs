// SPDX-License-Identifier: GPL-2.0-or-later
//! What others ask the kernel about a task before it does anything itself, as exec does to load a program: one line.
//!
//! ```text
//! /bin/hello(11)[1] (task) <- exec: 6 RPCs of other tasks, none of its own between: vm_map 3, task_set_name, thread_create, thread_resume
//! ```
//!
//! What fails, or is not answered, has lines of its own.

use alloc::string::String;
use alloc::vec::Vec;

use exchanges::exchange::{Exchange, Role};
use exchanges::{Names, Subject, TaskIndex};

use crate::lines::subject;
use crate::number::decimal;

/// What makes a program of a task: its name, and a thread that runs it.
const OF_EXEC: [&str; 2] = ["task_set_name", "thread_create"];

/// What was asked about one task.
#[derive(Debug)]
pub(crate) struct Loading {
    task: TaskIndex,
    /// What its lines begin with.
    label: String,
    /// What succeeded, in the order in which it came first, and how often.
    asked: Vec<(String, u32)>,
    /// What is not answered: the number of the exchange, and its line.
    open: Vec<(u64, String)>,
}

impl Loading {
    /// Whether an exchange is of a kind that is told so.
    pub(crate) fn takes(names: &Names, exchange: &Exchange<'_>) -> bool {
        matches!(exchange.role, Role::Control { .. }) && names.is_loading(exchange.actor.task)
    }

    /// Nothing was asked yet.
    pub(crate) fn new(task: TaskIndex) -> Self {
        Self { task, label: String::new(), asked: Vec::new(), open: Vec::new() }
    }

    /// Of which task.
    pub(crate) fn task(&self) -> TaskIndex {
        self.task
    }

    /// A request, with the line that tells of it by itself and what the task's lines begin with now.
    pub(crate) fn asked(&mut self, exchange: &Exchange<'_>, label: &str, line: String) {
        self.label.clear();
        self.label.push_str(label);
        self.open.push((exchange.id, line));
    }

    /// The line of the request of this exchange, if it waits for what comes of it.
    pub(crate) fn take(&mut self, exchange: &Exchange<'_>) -> Option<String> {
        let place = self.open.iter().position(|open| open.0 == exchange.id)?;
        Some(self.open.remove(place).1)
    }

    /// What was asked for was done.
    pub(crate) fn done(&mut self, what: Subject<'_>) {
        let mut name = String::new();
        subject(&mut name, what);
        match self.asked.iter_mut().find(|asked| asked.0 == name) {
            Some((_, count)) => *count += 1,
            None => self.asked.push((name, 1)),
        }
    }

    /// Appends the line of what was done, if anything was.
    pub(crate) fn write_done(&mut self, out: &mut String) {
        let count = self.asked.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        if count == 0 {
            return;
        }
        let is_exec = OF_EXEC.iter().all(|of_exec| self.asked.iter().any(|(name, _)| name == of_exec));
        out.push_str(&self.label);
        out.push_str(if is_exec { " (task) <- exec: " } else { " (task) <- " });
        decimal(out, count);
        out.push_str(if count == 1 { " RPC of another task" } else { " RPCs of other tasks" });
        let mut separator = ", none of its own between: ";
        for (name, count) in self.asked.drain(..) {
            out.push_str(core::mem::replace(&mut separator, ", "));
            out.push_str(&name);
            if count > 1 {
                out.push(' ');
                decimal(out, count);
            }
        }
        out.push('\n');
    }

    /// Appends it and the lines of what is not answered.
    pub(crate) fn write(&mut self, out: &mut String) {
        self.write_done(out);
        for (_, line) in self.open.drain(..) {
            out.push_str(&line);
            out.push('\n');
        }
    }
}
