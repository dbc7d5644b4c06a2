// SPDX-License-Identifier: GPL-2.0-or-later
//! The names of a fake task.

use super::*;

/// The names of a fake task.
pub(crate) struct FakeNames<'a> {
    pub(super) fake: &'a Fake,
    pub(super) task: Task,
    pub(super) numbers: &'a Numbers,
}

impl Names for FakeNames<'_> {
    fn port(&self, name: u32) -> Option<NamedPort> {
        if self.fake.task(self.task).sets.contains(&name) {
            return NamedPort::of(name, Identity::SET);
        }
        let port = self.fake.task(self.task).names.get(&name).copied()?;
        NamedPort::of(name, self.fake.identity(Port::fake(port), self.numbers)?)
    }
}
