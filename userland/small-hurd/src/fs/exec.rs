// SPDX-License-Identifier: GPL-2.0-or-later
//! Starting a program from a file: the exec server does it, with the file opened anew; a set-id file brings its owner's ids.

use alloc::vec::Vec;

use hurd::abi::{exec as flag, open, port};
use hurd::stubs::{auth, exec};
use mach::error::{KernReturn, Result};
use mach::mig::AnyRight;
use mach::port::{Disposition, PortName, SendRight};
use small_hurd::errno::{EACCES, EBADF};
use small_hurd::ids::Credentials;

use super::{File, Fs};
use crate::client::{authenticated, authenticated_process, names};

/// Set-id bits of a mode.
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;

/// What `file_exec_paths` says.
pub(super) struct Program<'a> {
    pub(super) task: SendRight,
    pub(super) flags: i32,
    pub(super) path: &'a [u8],
    pub(super) absolute: &'a [u8],
    pub(super) argv: &'a [u8],
    pub(super) envp: &'a [u8],
    pub(super) descriptors: Vec<AnyRight>,
    pub(super) ports: Vec<AnyRight>,
    pub(super) ints: Vec<i32>,
    pub(super) dealloc: Vec<PortName>,
    pub(super) destroy: Vec<PortName>,
}

impl Fs {
    /// Has the exec server start a program from an open file.
    pub(super) fn start(&self, file: &File, program: &mut Program<'_>) -> Result<()> {
        let (mode, owner, is_directory) = {
            let state = self.state.lock();
            let node = state.tree.node(file.node);
            (node.mode, node.owner, node.is_directory())
        };
        if file.flags & open::EXEC == 0 {
            return Err(EBADF);
        }
        if mode & 0o111 == 0 || is_directory {
            return Err(EACCES);
        }
        let user = (mode & SET_USER != 0).then_some(owner.0);
        let group = (mode & SET_GROUP != 0).then_some(owner.1);
        if (user.is_some() || group.is_some()) && self.set_ids(program, user, group)? {
            program.flags |= flag::SECURE | flag::NEWTASK;
        }
        // The exec server reads the file, even if its caller may only execute it, and seeks in it as it likes.
        let new = self.state.lock().open(file.node, open::READ | open::EXEC, file.parent.clone(), file.ids.clone())?;
        let (descriptors, ports) = (names(&program.descriptors), names(&program.ports));
        let answer = exec::exec_exec_paths(
            self.exec.name(),
            new.name(),
            Disposition::CopySend,
            program.task.name(),
            program.flags,
            program.path,
            program.absolute,
            program.argv,
            program.envp,
            &descriptors,
            Disposition::CopySend,
            &ports,
            Disposition::CopySend,
            &program.ints,
            &program.dealloc,
            &program.destroy,
        );
        match answer {
            // An exec server of before there were paths.
            Err(KernReturn::MIG_BAD_ID) => exec::exec_exec(
                self.exec.name(),
                new.name(),
                Disposition::CopySend,
                program.task.name(),
                program.flags,
                program.argv,
                program.envp,
                &descriptors,
                Disposition::CopySend,
                &ports,
                Disposition::CopySend,
                &program.ints,
                &program.dealloc,
                &program.destroy,
            ),
            answer => answer,
        }
    }

    /// Gives the program the owner's ids, in every port that it gets; answers whether it has more than before.
    fn set_ids(&self, program: &mut Program<'_>, user: Option<u32>, group: Option<u32>) -> Result<bool> {
        let Some(old) = program.ports.get(port::AUTH).map(AnyRight::name).filter(|name| name.is_valid()) else {
            return Ok(false);
        };
        let ids = auth::auth_getids(old)?;
        let ids = Credentials {
            euids: ids.euids.iter().collect(),
            auids: ids.auids.iter().collect(),
            egids: ids.egids.iter().collect(),
            agids: ids.agids.iter().collect(),
        };
        let (new, is_secure) = ids.with_owner(user, group);
        let Credentials { euids, auids, egids, agids } = &new;
        let handle = auth::auth_makeauth(self.auth.name(), &[old], Disposition::CopySend, euids, auids, egids, agids)?;
        let again = |right: &mut AnyRight| {
            // A server that does not take part keeps what it has given.
            if right.name().is_valid()
                && let Ok(new) = authenticated(right.name(), handle.name())
                && new.name().is_valid()
            {
                *right = AnyRight::Send(new);
            }
        };
        program.descriptors.iter_mut().for_each(again);
        if let Some(directory) = program.ports.get_mut(port::CWDIR) {
            again(directory);
        }
        if let Some(directory) = program.ports.get_mut(port::CRDIR) {
            match is_secure {
                // exec puts the standard one there.
                true => *directory = AnyRight::None(PortName::NULL),
                false => again(directory),
            }
        }
        if !is_secure
            && let Some(proc) = program.ports.get_mut(port::PROC)
            && proc.name().is_valid()
            && let Ok(new) = authenticated_process(proc.name(), handle.name())
        {
            *proc = AnyRight::Send(new);
        }
        if let Some(place) = program.ports.get_mut(port::AUTH) {
            *place = AnyRight::Send(handle);
        }
        Ok(is_secure)
    }
}
