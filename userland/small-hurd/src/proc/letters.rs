// SPDX-License-Identifier: GPL-2.0-or-later
//! What the process server says without being asked: signals and news to message ports, and late answers. They are sent when nothing is
//! locked any more, because a message port's queue can be full.

use mach::error::{KernReturn, Result};
use mach::port::{Disposition, PortName, SendRight};

use crate::server::reply::ReplyTo;
use crate::stubs::{msg_request, process_reply};

/// What a call of `wait` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    pub(crate) status: i32,
    pub(crate) sigcode: i32,
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A signal.
    Signal {
        to: SendRight,
        signal: i32,
        code: u32,
        /// By what right it comes.
        reference: SendRight,
    },
    /// Another parent or group.
    NewIds { to: SendRight, task: SendRight, parent: i32, group: i32, orphaned: bool },
    /// A late answer to `proc_wait`, or to `proc_waitid`.
    Waited { to: ReplyTo, answer: Result<Ended>, is_waitid: bool },
    /// A late answer to `proc_getmsgport`.
    MessagePort { to: ReplyTo, answer: Result<Option<SendRight>> },
}

/// What a process has used: not known here.
pub(crate) const USAGE: [i64; 18] = [0; 18];

impl Letter {
    /// Sends it. Who is gone does not hear of it.
    pub(crate) fn send(self) {
        let _ = match self {
            Self::Signal { to, signal, code, reference } => {
                msg_request::msg_sig_post_request(to.name(), signal, code, reference.name())
            }
            Self::NewIds { to, task, parent, group, orphaned } => {
                msg_request::msg_proc_newids_request(to.name(), task.name(), parent, group, i32::from(orphaned))
            }
            Self::Waited { to, answer, is_waitid } => {
                let (name, how) = to.into_parts();
                let (code, ended) = match answer {
                    Ok(ended) => (KernReturn::KERN_SUCCESS, ended),
                    Err(error) => (error, Ended { pid: 0, status: 0, sigcode: 0 }),
                };
                let reply = match is_waitid {
                    true => process_reply::proc_waitid_reply,
                    false => process_reply::proc_wait_reply,
                };
                reply(name, how, code, ended.status, ended.sigcode, USAGE, ended.pid)
            }
            Self::MessagePort { to, answer } => {
                let (name, how) = to.into_parts();
                let (code, port) = match answer {
                    Ok(port) => (KernReturn::KERN_SUCCESS, port.map_or(PortName::NULL, SendRight::into_name)),
                    Err(error) => (error, PortName::NULL),
                };
                process_reply::proc_getmsgport_reply(name, how, code, port, Disposition::MoveSend)
            }
        };
    }
}
