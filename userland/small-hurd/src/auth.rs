// SPDX-License-Identifier: GPL-2.0-or-later
//! The authentication server: handles that stand for ids, and the meeting of a user and a server who trust only it.

use alloc::vec::Vec;

use hurd::stubs::auth_server::{self, AuthGetidsOut, AuthServerAuthenticateOut};
use mach::error::{KernReturn, Result};
use mach::mig::{AnyRight, Received};
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use small_hurd::errno::{EINVAL, EOPNOTSUPP, EPERM};
use small_hurd::ids::{Credentials, ROOT};

use crate::server::Lock;
use crate::server::objects::{Objects, tell_death};
use crate::server::pool::Server;
use crate::server::reply::ReplyTo;
use crate::stubs::auth_reply;

/// The server.
pub(crate) struct Auth {
    /// Where the kernel says that a rendezvous port has died.
    notify: ReceiveRight,
    state: Lock<State>,
}

struct State {
    handles: Objects<Credentials>,
    users: Vec<User>,
    servers: Vec<Waiting>,
}

/// A user who has come first.
struct User {
    rendezvous: SendRight,
    reply: ReplyTo,
    credentials: Credentials,
}

/// A server that has come first.
struct Waiting {
    rendezvous: SendRight,
    reply: ReplyTo,
    new_port: AnyRight,
}

impl Auth {
    /// A server with one handle, root's, on `port`.
    pub(crate) fn new(set: &PortSet, port: ReceiveRight) -> Result<Self> {
        let notify = ReceiveRight::allocate()?;
        set.add(&notify)?;
        let mut handles = Objects::new(set);
        handles.keep(port, Credentials::of(ROOT))?;
        Ok(Self { notify, state: Lock::new(State { handles, users: Vec::new(), servers: Vec::new() }) })
    }

    fn credentials(&self, handle: PortName) -> Result<Credentials> {
        self.state.lock().handles.get(handle).cloned().ok_or(EOPNOTSUPP)
    }
}

impl Server for Auth {
    fn serve(&self, request: &[u64], reply: &mut [u64], held: &mut Vec<SendRight>) -> bool {
        auth_server::demux(&mut Serving { auth: self, request, held }, request, reply)
    }

    fn no_senders(&self, port: PortName) {
        self.state.lock().handles.remove(port);
    }

    /// Nobody will come to that rendezvous any more.
    fn died(&self, name: PortName) {
        let mut state = self.state.lock();
        let users: Vec<User> = state.users.extract_if(.., |user| user.rendezvous.name() == name).collect();
        let servers: Vec<Waiting> = state.servers.extract_if(.., |server| server.rendezvous.name() == name).collect();
        drop(state);
        users.into_iter().for_each(|user| answer_user(user.reply, Err(EINVAL)));
        servers.into_iter().for_each(|server| answer_server(server.reply, Err(EINVAL)));
    }
}

/// One request.
struct Serving<'a> {
    auth: &'a Auth,
    request: &'a [u64],
    /// Rights to handles whose reply makes another one, so that a handle whose reply is not taken goes again.
    held: &'a mut Vec<SendRight>,
}

impl auth_server::Server for Serving<'_> {
    fn auth_getids(&mut self, handle: PortName) -> Result<AuthGetidsOut> {
        let Credentials { euids, auids, egids, agids } = self.auth.credentials(handle)?;
        Ok(AuthGetidsOut { euids, auids, egids, agids })
    }

    fn auth_makeauth(
        &mut self,
        handle: PortName,
        others: Vec<AnyRight>,
        euids: Received<'_, u32>,
        auids: Received<'_, u32>,
        egids: Received<'_, u32>,
        agids: Received<'_, u32>,
    ) -> Result<PortName> {
        let ids = |ids: Received<'_, u32>| ids.iter().collect();
        let wanted = Credentials { euids: ids(euids), auids: ids(auids), egids: ids(egids), agids: ids(agids) };
        let mut state = self.auth.state.lock();
        let first = state.handles.get(handle).ok_or(EOPNOTSUPP)?;
        let mut held = alloc::vec![first];
        // A right that is no handle of ours gives nothing.
        held.extend(others.iter().filter_map(|right| state.handles.get(right.name())));
        if !Credentials::may_be_made(&wanted, &held) {
            return Err(EPERM);
        }
        let right = state.handles.make(wanted)?;
        let name = right.name();
        self.held.push(right);
        Ok(name)
    }

    fn auth_user_authenticate(
        &mut self,
        handle: PortName,
        _reply: PortName,
        rendezvous: SendRight,
    ) -> Result<(PortName, Disposition)> {
        let credentials = self.auth.credentials(handle)?;
        if !rendezvous.name().is_valid() {
            return Err(EINVAL);
        }
        let mut state = self.auth.state.lock();
        let waiting = state.servers.iter().position(|server| server.rendezvous == rendezvous);
        match waiting {
            Some(index) => {
                let server = state.servers.swap_remove(index);
                drop(state);
                answer_server(server.reply, Ok(credentials));
                Ok((right_of(server.new_port), Disposition::MoveSend))
            }
            None => {
                tell_death(rendezvous.name(), self.auth.notify.name()).map_err(|_| EINVAL)?;
                state.users.push(User { rendezvous, reply: ReplyTo::of(self.request), credentials });
                Err(KernReturn::MIG_NO_REPLY)
            }
        }
    }

    fn auth_server_authenticate(
        &mut self,
        handle: PortName,
        _reply: PortName,
        rendezvous: SendRight,
        new_port: AnyRight,
    ) -> Result<AuthServerAuthenticateOut> {
        self.auth.credentials(handle)?;
        if !rendezvous.name().is_valid() {
            return Err(EINVAL);
        }
        let mut state = self.auth.state.lock();
        let waiting = state.users.iter().position(|user| user.rendezvous == rendezvous);
        match waiting {
            Some(index) => {
                let user = state.users.swap_remove(index);
                drop(state);
                answer_server(ReplyTo::of(self.request), Ok(user.credentials));
                answer_user(user.reply, Ok(new_port));
            }
            None => {
                tell_death(rendezvous.name(), self.auth.notify.name()).map_err(|_| EINVAL)?;
                state.servers.push(Waiting { rendezvous, reply: ReplyTo::of(self.request), new_port });
            }
        }
        Err(KernReturn::MIG_NO_REPLY)
    }
}

/// The name of a send right that goes with a message; null if it is another right.
fn right_of(right: AnyRight) -> PortName {
    match right {
        AnyRight::Send(right) => right.into_name(),
        _ => PortName::NULL,
    }
}

/// Answers a user late. Who does not wait any more has lost the port.
fn answer_user(reply: ReplyTo, answer: Result<AnyRight>) {
    let (name, how) = reply.into_parts();
    let (code, port) = match answer {
        Ok(port) => (KernReturn::KERN_SUCCESS, right_of(port)),
        Err(error) => (error, PortName::NULL),
    };
    let _ = auth_reply::auth_user_authenticate_reply(name, how, code, port, Disposition::MoveSend);
}

/// Answers a server late.
fn answer_server(reply: ReplyTo, answer: Result<Credentials>) {
    let (name, how) = reply.into_parts();
    let (code, ids) = match answer {
        Ok(ids) => (KernReturn::KERN_SUCCESS, ids),
        Err(error) => (error, Credentials::default()),
    };
    let Credentials { euids, auids, egids, agids } = ids;
    let _ = auth_reply::auth_server_authenticate_reply(name, how, code, &euids, &auids, &egids, &agids);
}
