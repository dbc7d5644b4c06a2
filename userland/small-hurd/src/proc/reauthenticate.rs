// SPDX-License-Identifier: GPL-2.0-or-later
//! A process that says anew who it is: it meets this server at the authentication server and goes on with the port it gets there.

use alloc::vec::Vec;

use hurd::stubs::auth;
use mach::error::{KernReturn, Result};
use mach::mig::request_id;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::sys::msg::mach_msg;
use mach::{stubs, task_self};
use mach_abi::notify::MACH_NOTIFY_NO_SENDERS;
use mach_abi::option::MACH_RCV_MSG;
use small_hurd::errno::{EAGAIN, EINVAL};

use super::Proc;

/// `proc_reauthenticate_complete`, the only message that the new port takes before it is one.
const COMPLETE: u32 = 24064;

/// Room for that message.
const ROOM: usize = 64;

impl Proc {
    /// Reauthenticates a process, which goes over to the task of another if that is given.
    pub(super) fn reauthenticate(&self, pid: i32, rendezvous: &SendRight, new: Option<i32>) -> Result<()> {
        if !rendezvous.name().is_valid() {
            return Err(EINVAL);
        }
        // No lock is held while others are waited for.
        let (port, ids) = self.meet(rendezvous.name())?;
        self.with(|table| {
            if table.living(pid).is_err() || new.is_some_and(|new| table.living(new).is_err()) {
                return Err(EAGAIN);
            }
            if let Some(new) = new {
                table.reassign(pid, new)?;
            }
            table.reauthenticated(pid, port, ids)
        })
    }

    /// Meets the user, and waits until he has the new port and says so.
    fn meet(&self, rendezvous: PortName) -> Result<(ReceiveRight, Vec<u32>)> {
        let port = ReceiveRight::allocate()?;
        // A user who goes away is heard of there, too.
        stubs::mach_port::mach_port_request_notification(
            task_self(),
            port.name(),
            MACH_NOTIFY_NO_SENDERS as i32,
            1,
            port.name(),
            Disposition::MakeSendOnce,
        )?;
        let met = auth::auth_server_authenticate(
            self.auth.name(),
            rendezvous,
            Disposition::CopySend,
            port.name(),
            Disposition::MakeSend,
        )?;
        let mut message = [0u64; ROOM / 8];
        let answer = mach_msg(&mut message, MACH_RCV_MSG, 0, ROOM as u32, port.name(), 0, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().map_err(|_| EINVAL)?;
        let is_complete = request_id(&message) == Some(COMPLETE);
        mach::msg::destroy(&message);
        let ids = met.euids.iter().chain(met.auids.iter()).collect();
        if is_complete { Ok((port, ids)) } else { Err(EINVAL) }
    }
}
