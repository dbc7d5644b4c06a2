// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls of a trace, thread by thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use export::model::{Call, End, Remark};

use crate::words;

/// A call of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// As it is shown.
    pub text: String,
    /// As it is compared: what may be called otherwise is only said to be of its kind.
    pub alike: String,
    /// The kernel's numbers of the ports in it, in their order.
    pub ports: Vec<u32>,
}

/// A thread, by a name that it has in both traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its task's name, which of the tasks of that name it is, which thread of it.
    pub name: String,
    /// What it did, in the order in which that came to its end.
    pub lines: Vec<Line>,
}

/// A trace.
#[derive(Clone, Debug, Default)]
pub struct Told {
    threads: Vec<Thread>,
    places: HashMap<String, usize>,
    /// Records that were lost.
    pub lost: u64,
    /// Calls.
    pub calls: u64,
}

impl Told {
    /// Its threads, in the order in which they are first seen.
    pub fn threads(&self) -> impl Iterator<Item = &Thread> {
        self.threads.iter()
    }

    /// The thread of this name.
    pub fn thread(&self, name: &str) -> Option<&Thread> {
        self.threads.get(*self.places.get(name)?)
    }

    fn push(&mut self, name: String, line: Line) {
        let next = self.threads.len();
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.threads.push(Thread { name, lines: Vec::new() });
        }
        self.threads[place].lines.push(line);
        self.calls += 1;
    }
}

/// Tasks by their names, and their threads, in the order in which they are first seen.
#[derive(Debug, Default)]
struct Known {
    /// The name of a task by its number in the trace.
    tasks: HashMap<usize, String>,
    /// How many tasks of a name there are.
    of_name: HashMap<String, usize>,
    /// The kernel's numbers of a task's threads.
    threads: HashMap<usize, Vec<u32>>,
}

impl Known {
    fn name(&mut self, call: &Call) -> String {
        let Self { tasks, of_name, threads } = self;
        let name = tasks.entry(call.task.index).or_insert_with(|| {
            let count = of_name.entry(call.task.name.clone()).or_default();
            *count += 1;
            match count {
                1 => call.task.name.clone(),
                _ => format!("{} ({count})", call.task.name),
            }
        });
        if call.thread == 0 {
            return name.clone();
        }
        let threads = threads.entry(call.task.index).or_default();
        let place = threads.iter().position(|thread| *thread == call.thread).unwrap_or_else(|| {
            threads.push(call.thread);
            threads.len() - 1
        });
        format!("{name}, thread {}", place + 1)
    }
}

/// Takes a trace's calls.
#[derive(Debug, Default)]
pub struct Collect {
    known: Known,
    told: Rc<RefCell<Told>>,
}

impl Collect {
    /// Where they are put, which is all there once it has finished.
    pub fn told(&self) -> Rc<RefCell<Told>> {
        Rc::clone(&self.told)
    }
}

impl export::Format for Collect {
    fn closed(&mut self, call: &Call) -> io::Result<()> {
        let name = self.known.name(call);
        self.told.borrow_mut().push(name, words::line(call));
        Ok(())
    }

    fn remark(&mut self, _: &Remark) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, end: &End) -> io::Result<()> {
        self.told.borrow_mut().lost = end.lost;
        Ok(())
    }
}
