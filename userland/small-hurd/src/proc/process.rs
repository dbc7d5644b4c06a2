// SPDX-License-Identifier: GPL-2.0-or-later
//! One process, as the process server knows it.

use alloc::vec::Vec;

use mach::port::{PortName, SendRight};
use small_hurd::ids::ROOT;

/// The process that is everybody's last parent.
pub(crate) const INIT: i32 = 1;
/// The process that the kernel's own task counts as.
pub(crate) const KERNEL: i32 = 3;
/// The process server's own process.
pub(crate) const PROC: i32 = 4;

/// `SIGKILL`: what a process seems to have died of that did not say.
const SIGKILL: i32 = 9;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its task; none once that is dead.
    pub(crate) task: Option<SendRight>,
    /// The port by which it is known to this server; none once it is dead.
    pub(crate) port: PortName,
    /// Its parent.
    pub(crate) parent: i32,
    /// Somebody has said that it is his child.
    pub(crate) has_parent: bool,
    /// Its process group.
    pub(crate) group: i32,
    /// Its session.
    pub(crate) session: i32,
    /// Users, the effective ones first.
    pub(crate) ids: Vec<u32>,
    /// Where it hears of signals.
    pub(crate) message_port: Option<SendRight>,
    /// It had one, which has died: who asks for it waits for another.
    pub(crate) has_lost_message_port: bool,
    /// The program's file.
    pub(crate) exe: Vec<u8>,
    /// Where its arguments are in its memory.
    pub(crate) argv: u64,
    /// Where its environment is in its memory.
    pub(crate) envp: u64,
    /// Where its program starts.
    pub(crate) entry: u64,
    /// From the first to the end of the last byte of its code.
    pub(crate) code: (u64, u64),
    /// What `wait` answers.
    pub(crate) status: i32,
    /// What goes with it.
    pub(crate) sigcode: i32,
    /// It has said how it ends.
    pub(crate) is_exiting: bool,
    /// It has said that it stops.
    pub(crate) is_stopped: bool,
    /// It has said that it goes on.
    pub(crate) is_continued: bool,
    /// Its parent has heard of its last change.
    pub(crate) is_waited: bool,
    /// Its task is gone.
    pub(crate) is_dead: bool,
    /// It has become another program.
    pub(crate) has_execed: bool,
    /// It is not ended before the system goes down.
    pub(crate) is_important: bool,
}

impl Process {
    /// A process of which nobody has said whose it is.
    pub(crate) const fn new(task: SendRight, port: PortName) -> Self {
        Self {
            task: Some(task),
            port,
            parent: INIT,
            has_parent: false,
            group: INIT,
            session: INIT,
            ids: Vec::new(),
            message_port: None,
            has_lost_message_port: false,
            exe: Vec::new(),
            argv: 0,
            envp: 0,
            entry: 0,
            code: (0, 0),
            status: 0,
            sigcode: 0,
            is_exiting: false,
            is_stopped: false,
            is_continued: false,
            is_waited: false,
            is_dead: false,
            has_execed: false,
            is_important: false,
        }
    }

    /// The name of its task, null if that is dead.
    pub(crate) fn task_name(&self) -> PortName {
        self.task.as_ref().map_or(PortName::NULL, SendRight::name)
    }

    fn is_of(&self, user: u32) -> bool {
        self.ids.iter().any(|id| *id == user || *id == ROOT)
    }

    /// Whether it may do to `other` what only its owner may: it is root, or has all of its users.
    pub(crate) fn owns(&self, other: &Self) -> bool {
        let has_all = !other.ids.is_empty() && other.ids.iter().all(|id| self.is_of(*id));
        !self.ids.is_empty() && (self.is_of(ROOT) || has_all)
    }

    /// Its task is gone: what is left is what its parent may ask for.
    pub(crate) fn die(&mut self) {
        self.is_dead = true;
        self.is_waited = false;
        self.task = None;
        self.message_port = None;
        if !self.is_exiting {
            self.status = SIGKILL;
            self.sigcode = -1;
        }
    }
}
