// SPDX-License-Identifier: GPL-2.0-or-later
//! Which exchange an exchange is for, where that is certain: what a server receives is for the call whose request has the same number, and what a
//! thread asks while it serves is for what it serves, until it has answered.

use std::collections::HashMap;

use crate::model::Call;

/// An exchange that is open, and what a form keeps of it.
#[derive(Debug)]
struct Open<T> {
    parent: Option<u64>,
    /// Task and thread.
    thread: (usize, u32),
    /// Of a call: the number of its request.
    correlation: u64,
    kept: T,
}

/// The exchanges that are open.
#[derive(Debug)]
pub(crate) struct Causes<T> {
    open: HashMap<u64, Open<T>>,
    /// Calls, by the numbers of their requests.
    calls: HashMap<u64, u64>,
    /// What threads serve, in the order in which they received it.
    serving: HashMap<(usize, u32), Vec<u64>>,
}

impl<T> Default for Causes<T> {
    fn default() -> Self {
        Self { open: HashMap::new(), calls: HashMap::new(), serving: HashMap::new() }
    }
}

impl<T> Causes<T> {
    /// The exchange that one which begins is for.
    pub(crate) fn parent(&self, call: &Call) -> Option<u64> {
        match call.role {
            "server" => self.calls.get(&call.request.as_ref()?.correlation).copied(),
            "client" | "failed" => self.serving.get(&(call.task.index, call.thread))?.last().copied(),
            _ => None,
        }
    }

    /// An exchange begins.
    pub(crate) fn opened(&mut self, call: &Call, kept: T) {
        let (parent, thread) = (self.parent(call), (call.task.index, call.thread));
        let correlation = call.request.as_ref().map_or(0, |request| request.correlation);
        match call.role {
            "client" if correlation != 0 => drop(self.calls.insert(correlation, call.id)),
            // Who asks for no answer has none served.
            "server" if call.outcome != "one-way" => self.serving.entry(thread).or_default().push(call.id),
            _ => {}
        }
        self.open.insert(call.id, Open { parent, thread, correlation, kept });
    }

    /// What is kept of an exchange that is open.
    pub(crate) fn get(&mut self, id: u64) -> Option<&mut T> {
        self.open.get_mut(&id).map(|open| &mut open.kept)
    }

    /// An exchange ends: what it was for, and what was kept of it.
    pub(crate) fn closed(&mut self, call: &Call) -> Option<(Option<u64>, T)> {
        let Open { parent, thread, correlation, kept } = self.open.remove(&call.id)?;
        if self.calls.get(&correlation) == Some(&call.id) {
            self.calls.remove(&correlation);
        }
        if let Some(serving) = self.serving.get_mut(&thread) {
            serving.retain(|one| *one != call.id);
            if serving.is_empty() {
                self.serving.remove(&thread);
            }
        }
        Some((parent, kept))
    }
}
