// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting: for a child, and for a message port that has died to be replaced.

use alloc::vec::Vec;

use mach::error::Result;
use mach::port::SendRight;
use small_hurd::errno::{EAGAIN, ECHILD};

use super::letters::{Ended, Letter};
use super::process::Process;
use super::table::Table;
use crate::server::reply::ReplyTo;

/// Not waiting at all.
const WNOHANG: i32 = 1;
/// Children that have stopped.
const WUNTRACED: i32 = 2;
/// Children that go on.
const WCONTINUED: i32 = 4;
/// What is answered now can be asked for again.
const WNOWAIT: i32 = 8;
/// Children that have ended.
pub(super) const WEXITED: i32 = 16;

/// A call that is answered later.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) caller: i32,
    pub(super) reply: ReplyTo,
    pub(super) of: Of,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A child.
    Child { pid: i32, options: i32, is_waitid: bool },
    /// A message port.
    MessagePort { pid: i32 },
}

impl Table {
    /// What `wait` answers now; none if it has to wait.
    pub(super) fn wait(&mut self, caller: i32, pid: i32, options: i32) -> Result<Option<Ended>> {
        let own = self.get(caller)?.group;
        let is_meant = |child: i32, process: &Process| match pid {
            -1 => true,
            0 => process.group == own,
            _ => pid == child || -pid == process.group,
        };
        let mut children = self.processes.iter().filter(|(_, process)| process.parent == caller).peekable();
        if children.peek().is_none() {
            return Err(ECHILD);
        }
        let meant: Vec<_> = children.filter(|(child, process)| is_meant(**child, process)).collect();
        if meant.is_empty() && pid != 0 {
            return Err(ECHILD);
        }
        let tells = |process: &Process| {
            !process.is_waited
                && (process.is_dead && options & WEXITED != 0
                    || process.is_stopped && options & WUNTRACED != 0
                    || process.is_continued && options & WCONTINUED != 0)
        };
        // The youngest child is asked first.
        let found = meant.into_iter().rev().find(|(_, process)| tells(process));
        let Some((&pid, process)) = found else {
            return if options & WNOHANG != 0 { Err(EAGAIN) } else { Ok(None) };
        };
        let ended = Ended { pid, status: process.status, sigcode: process.sigcode };
        if options & WNOWAIT == 0 {
            match process.is_dead {
                true => self.reap(pid),
                false => self.get_mut(pid)?.is_waited = true,
            }
        }
        Ok(Some(ended))
    }

    /// The message port of a process; none inside if it never had one, none outside if it has to be waited for.
    pub(super) fn message_port(&mut self, pid: i32) -> Result<Option<Option<SendRight>>> {
        self.check_message_port(pid);
        let process = self.get(pid)?;
        if process.has_lost_message_port && !process.is_dead {
            return Ok(None);
        }
        process.message_port.as_ref().map(SendRight::try_clone).transpose().map(Some)
    }

    /// Answers whom it can now.
    pub(super) fn settle(&mut self) {
        for waiter in core::mem::take(&mut self.waiters) {
            match waiter.of {
                Of::Child { pid, options, is_waitid } => match self.wait(waiter.caller, pid, options).transpose() {
                    Some(answer) => self.letters.push(Letter::Waited { to: waiter.reply, answer, is_waitid }),
                    None => self.waiters.push(waiter),
                },
                Of::MessagePort { pid } => match self.message_port(pid).transpose() {
                    Some(answer) => self.letters.push(Letter::MessagePort { to: waiter.reply, answer }),
                    None => self.waiters.push(waiter),
                },
            }
        }
    }
}
