// SPDX-License-Identifier: GPL-2.0-or-later
//! What the Hurd's programs hold ports for: their current directory, servers and file descriptors.
//!
//! A program is given them when it starts, and a forked one has its parent's under the same names. A program may put another port in the
//! place of one at any time, without a message that says which: so of a port of which a reference is given back, or may be, it is
//! no longer said what the program holds it for. Descriptors count anew in each program, so what is said here is said of one task.

use mach_abi::header::MACH_MSGH_BITS_COMPLEX;
use mach_abi::{Header, type_name};
use mig_defs::value::{Value, View};
use trace_port::{Direction, Port, Record, port};

use crate::event::Event;
use crate::names::{Names, TaskIndex};

/// What is at each place of `portarray`: the Hurd's `INIT_PORT_CWDIR` and so on.
const PLACES: [&str; 6] = ["cwd", "root", "auth", "proc", "ctty", "bootstrap"];
const PROC: usize = 3;
/// Descriptors that are kept in mind.
const DESCRIPTORS: usize = u64::BITS as usize;

/// What a program holds a port for: it may be several things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// A bit for each of [`PLACES`].
    places: u8,
    /// A bit for each file descriptor.
    descriptors: u64,
    /// It is what `term_open_ctty` made of the port of these descriptors.
    pub is_terminal: bool,
}

impl Roles {
    /// At this place of `portarray`.
    pub(crate) fn place(place: usize) -> Option<Self> {
        (place < PLACES.len()).then(|| Self { places: 1 << place, ..Self::default() })
    }

    /// This file descriptor.
    pub(crate) fn descriptor(number: usize) -> Option<Self> {
        (number < DESCRIPTORS).then(|| Self { descriptors: 1 << number, ..Self::default() })
    }

    /// The terminal that reads and writes on these descriptors go to; `None` of what is no descriptor.
    pub(crate) fn terminal_of(self) -> Option<Self> {
        let is_one = self.descriptors != 0 && !self.is_terminal;
        is_one.then_some(Self { places: 0, is_terminal: true, ..self })
    }

    pub(crate) fn is_proc(self) -> bool {
        self.places & 1 << PROC != 0
    }

    fn with(self, other: Self) -> Self {
        Self { places: self.places | other.places, descriptors: self.descriptors | other.descriptors, ..self }
    }

    /// What it is by the Hurd's names: `cwd`, `root`, `auth`, `proc`, `ctty`, `bootstrap`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        PLACES.into_iter().enumerate().filter(move |(place, _)| self.places & 1 << place != 0).map(|(_, name)| name)
    }

    /// The file descriptors, the first and the last of each run.
    pub fn runs(self) -> impl Iterator<Item = (u32, u32)> {
        let mut left = self.descriptors;
        core::iter::from_fn(move || {
            let first = (left != 0).then(|| left.trailing_zeros())?;
            let count = (left >> first).trailing_ones();
            left = if first + count < u64::BITS { left >> (first + count) << (first + count) } else { 0 };
            Some((first, first + count - 1))
        })
    }
}

/// What a task holds a port for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its name for it.
    name: u32,
    /// The kernel's number.
    number: u32,
    roles: Roles,
}

impl Names {
    /// Whether any task is known to hold a port for something.
    pub(crate) fn has_given(&self) -> bool {
        !self.holders.is_empty()
    }

    /// What a task holds a port for. What another does and nobody else, if nothing else is known of it, with that task.
    pub fn roles(&self, task: TaskIndex, port: &Port) -> Option<(Roles, Option<TaskIndex>)> {
        let holders = self.holders.get(&port.number.get()).filter(|_| port.kind == port::NONE)?;
        let of = |task: TaskIndex| {
            let given = self.given_to(task).iter().find(|given| given.number == port.number.get());
            given.map(|given| given.roles)
        };
        if holders.contains(&task) {
            return Some((of(task)?, None));
        }
        match holders[..] {
            [other] if !self.knows(port) => Some((of(other)?, Some(other))),
            _ => None,
        }
    }

    /// A task holds a port for something, too.
    pub(crate) fn give(&mut self, task: TaskIndex, port: &Port, roles: Roles) {
        let (name, number) = (port.name.get(), port.number.get());
        if number == 0 || port.kind != port::NONE || self.is_filtered {
            return;
        }
        let Some(known) = self.tasks.get_mut(task.0) else { return };
        if let Some(given) = known.given.iter_mut().find(|given| given.number == number) {
            given.roles = given.roles.with(roles);
            return;
        }
        known.given.push(Given { name, number, roles });
        self.holders.entry(number).or_default().push(task);
        self.watch();
    }

    /// A task may have another port than before by this name, or none.
    pub(crate) fn forget(&mut self, task: TaskIndex, name: u32) {
        let Some(of) = self.given_to(task).iter().find(|given| given.name == name).map(|given| given.roles) else {
            return;
        };
        // The terminal of a descriptor goes with it.
        let goes = |given: &Given| {
            let is_its = given.roles.is_terminal && !of.is_terminal && given.roles.descriptors & of.descriptors != 0;
            given.name == name || is_its
        };
        self.forget_where(task, goes);
    }

    /// Nothing is known any more of what a task holds.
    pub(crate) fn forget_all(&mut self, task: TaskIndex) {
        self.forget_where(task, |_| true);
    }

    fn forget_where(&mut self, task: TaskIndex, goes: impl Fn(&Given) -> bool) {
        let Some(known) = self.tasks.get_mut(task.0) else { return };
        let holders = &mut self.holders;
        known.given.retain(|given| {
            let stays = !goes(given);
            if !stays && let Some(tasks) = holders.get_mut(&given.number) {
                tasks.retain(|holder| *holder != task);
                if tasks.is_empty() {
                    holders.remove(&given.number);
                }
            }
            stays
        });
        self.watch();
    }

    /// A forked task has got the port that its parent holds by this name by the same: for the same.
    pub(crate) fn inherit(&mut self, child: TaskIndex, parent: TaskIndex, (name, port): (u32, &Port)) {
        let same = |given: &&Given| given.name == name && given.number == port.number.get();
        let roles = self.given_to(parent).iter().find(same).map(|given| given.roles);
        if let Some(roles) = roles {
            self.give(child, &Port { name: name.into(), ..*port }, roles);
        }
    }

    /// A task gives away the rights that move with a message it sends.
    pub(crate) fn gives_away(&mut self, task: TaskIndex, event: &Event) {
        let Some(header) = event.mach_header.filter(|_| self.has_one_of(task, event.ports())) else { return };
        if u32::from(header.remote_disposition()) == type_name::MOVE_SEND {
            self.forget(task, header.remote_port);
        }
        if header.bits & MACH_MSGH_BITS_COMPLEX == 0 {
            return;
        }
        for item in event.items().filter(|item| u32::from(item.descriptor.name) == type_name::MOVE_SEND) {
            match item.value(View::Sent) {
                Value::Port(right) => self.forget(task, right.name),
                Value::Array(rights) => rights.iter().for_each(|right| {
                    if let Value::Port(right) = right {
                        self.forget(task, right.name);
                    }
                }),
                // Which of the arrays an element is of is not looked at.
                _ => event.elements().for_each(|element| self.forget(task, element.name.get())),
            }
        }
    }

    /// Whether a record, of which nothing is to be told, may tell that a reference of what a task holds for something goes: it is of a message
    /// about rights, or one that has some.
    #[cold]
    pub(crate) fn may_give_back(&self, record: &Record<'_>) -> bool {
        let header = Header::read(record.format, record.message).filter(|_| record.direction == Direction::Send);
        let (Some(header), Some(task)) = (header, self.find(record.header.task.get())) else { return false };
        let has_rights = header.bits & MACH_MSGH_BITS_COMPLEX != 0
            || u32::from(header.remote_disposition()) == type_name::MOVE_SEND
            || self.lessons.is_of_rights(header.id);
        let is_to_another = |port: &Port| {
            port.name.get() == header.remote_port && port.kind == port::TASK && port.object != record.header.task
        };
        has_rights && (record.ports.iter().any(is_to_another) || self.has_one_of(task, record.ports))
    }

    /// Sets whether records are to be looked at that nothing else would be told of.
    pub(crate) fn watch(&mut self) {
        self.is_watched = self.has_crashed || self.has_given();
    }

    fn has_one_of(&self, task: TaskIndex, ports: &[Port]) -> bool {
        let given = self.given_to(task);
        !given.is_empty() && ports.iter().any(|port| given.iter().any(|given| given.name == port.name.get()))
    }

    fn given_to(&self, task: TaskIndex) -> &[Given] {
        self.tasks.get(task.0).map_or(&[], |task| &task.given)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn descriptors_are_told_in_runs() {
        let roles = |numbers: &[usize]| {
            let each = numbers.iter().filter_map(|number| Roles::descriptor(*number));
            each.fold(Roles::default(), Roles::with).runs().collect::<Vec<_>>()
        };
        assert_eq!(roles(&[0, 1, 2, 5, 7, 8]), vec![(0, 2), (5, 5), (7, 8)]);
        assert_eq!(roles(&[63, 64]), vec![(63, 63)]);
        let all: Vec<usize> = (0..64).collect();
        assert_eq!(roles(&all), vec![(0, 63)]);
        assert_eq!(roles(&[]), vec![]);
    }
}
