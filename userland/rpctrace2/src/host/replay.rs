// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu replay`: what of a capture a client's requests are, and what a capture of their replay says of the answers.

use std::boxed::Box;
use std::format;
use std::string::String;

use ::replay::judge::{Judgement, judge};
use ::replay::plan::{Plan, plan};
use ::replay::{Calls, Collect};
use anyhow::{Result, bail};
use compare::shown;
use export::Wanted;
use protocol::replay;

use super::{calls, say};
use crate::options::Options;

/// A client's requests, and what is known of the answers.
#[derive(Debug)]
pub struct Replay {
    name: String,
    plan: Plan,
}

impl Replay {
    /// Plans the calls of the task with this number, from 1, of a capture.
    ///
    /// # Errors
    /// If the file is no capture that can be read, or has no such task.
    pub fn of(name: &str, task: usize) -> Result<Self> {
        let calls = calls_of(name)?;
        if calls.lost > 0 {
            say(format_args!("{name}: {} records were lost, which may be what a request needs", calls.lost));
        }
        if !calls.calls.iter().any(|call| call.task.index == task) {
            bail!("{name}: no call of task {task} is in it");
        }
        Ok(Self { name: name.into(), plan: plan(&calls, task) })
    }

    /// What the program that replays is to do.
    pub fn script(&self) -> String {
        replay::write(&self.plan.steps)
    }

    /// Whether what memory out of line held is to be compared.
    pub fn has_memory(&self) -> bool {
        self.plan.has_memory
    }

    /// Whether nothing can be sent again.
    pub fn is_empty(&self) -> bool {
        self.plan.calls.is_empty()
    }

    /// What a capture of the replay says.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn judge(&self, again: &str) -> Result<Judgement> {
        let calls = calls_of(again)?;
        if calls.lost > 0 {
            bail!("{again}: {} records of the replay were lost", calls.lost);
        }
        Ok(self.judged(&calls))
    }

    /// What there is to say if nothing was sent.
    pub fn unsent(&self) -> Judgement {
        self.judged(&Calls::default())
    }

    fn judged(&self, calls: &Calls) -> Judgement {
        judge(&self.plan, calls, |call| format!("{} {}", call.label, shown(call)))
    }

    /// The file of the capture.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The calls of a capture.
fn calls_of(name: &str) -> Result<Calls> {
    let collect = Collect::default();
    let calls = collect.calls();
    calls::collect(&mut Options::default(), name, (Box::new(collect), Wanted::default()), "replayed")?;
    Ok(calls.take())
}
