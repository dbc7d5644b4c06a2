// SPDX-License-Identifier: GPL-2.0-or-later
//! A captured client's requests, sent again: which can be, what they are with the names and addresses of then, and whether the answers are
//! the same up to names.
//!
//! **What.** [`plan`] decides of each call of a captured task whether it can be sent again, and writes what the program `replay` is to do;
//! [`judge`] compares what that was answered with what the capture has.
//!
//! **Place in the flow.** `export`'s model -> [`Collect`] -> [`plan::plan`] -> `protocol::replay` -> the program, traced -> [`Collect`] -> [`judge`].
//!
//! **Invariants.** A request is sent again only if all of it is known: each port and each address in it comes from an answer that was replayed
//! before, or is one that every task has. What cannot be is told with its reason, and is never counted as replayed. Answers are
//! compared as `compare` compares calls.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`plan`].
#![forbid(unsafe_code)]

pub mod judge;
mod parts;
pub mod plan;
mod refuse;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use exchanges::{Actor, Event, Names};
use export::model::{Call, End, Remark};

/// What a trace has of its tasks' calls.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// All of them, in the order in which they came to their end.
    pub calls: Vec<Call>,
    /// Rights that traps gave: the task's number in the trace, from 1, and the record.
    pub traps: Vec<(usize, Event)>,
    /// Records that were lost.
    pub lost: u64,
}

/// Takes a trace's calls.
#[derive(Debug, Default)]
pub struct Collect(Rc<RefCell<Calls>>);

impl Collect {
    /// Where they are put, which is all there once it has finished.
    pub fn calls(&self) -> Rc<RefCell<Calls>> {
        Rc::clone(&self.0)
    }
}

impl export::Format for Collect {
    fn closed(&mut self, call: &Call) -> io::Result<()> {
        self.0.borrow_mut().calls.push(call.clone());
        Ok(())
    }

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) -> io::Result<()> {
        let index = names.label(actor.task, actor.thread).task;
        self.0.borrow_mut().traps.push((index, event.clone()));
        Ok(())
    }

    fn remark(&mut self, _: &Remark) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, end: &End) -> io::Result<()> {
        self.0.borrow_mut().lost = end.lost;
        Ok(())
    }
}
