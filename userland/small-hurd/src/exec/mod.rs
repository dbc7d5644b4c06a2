// SPDX-License-Identifier: GPL-2.0-or-later
//! The exec server: loads a program into a task and tells it, once, how it was started.
//!
//! Programs may lie where they say or anywhere, and have an interpreter. Of its port as a file's it knows nothing.

mod load;
mod run;

use alloc::vec::Vec;

use hurd::stubs::exec_server;
use hurd::stubs::exec_startup_server::{self, ExecStartupGetInfoOut};
use mach::error::Result;
use mach::mig::{AnyRight, Received};
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use small_hurd::errno::{EINVAL, EOPNOTSUPP, EPERM};
use small_hurd::ids::Ids;

use crate::server::Lock;
use crate::server::objects::Objects;
use crate::server::pool::Server;
use crate::stubs::fsys_server::{self, FsysGetrootOut};
use hurd::abi::{int, port, retry};
use run::Program;

/// What is added to each array so that it is too large for a message.
const FAR_PORTS: usize = 300;
const FAR_INTS: usize = 600;
const FAR_BYTES: usize = 3000;

/// The rights that the server starts with.
pub(crate) struct Rights {
    /// The process server, as the first process has it.
    pub(crate) proc: SendRight,
    /// The port by which filesystems know it, as root has it.
    pub(crate) port: ReceiveRight,
}

/// The server.
pub(crate) struct Exec {
    proc: SendRight,
    /// Arrays are made so large that they travel out of line.
    out_of_line: bool,
    state: Lock<State>,
}

struct State {
    ports: Objects<Port>,
    standard: Option<Standard>,
}

/// What programs get that may not bring their own.
struct Standard {
    ports: Vec<AnyRight>,
    ints: Vec<i32>,
}

/// What a port stands for.
enum Port {
    /// The server, for who may start programs; root may tell it more.
    Server { is_root: bool },
    /// What a program is told.
    Boot(Boot),
}

/// How a program was started.
#[derive(Debug, Default)]
struct Boot {
    entry: u64,
    headers: Option<(u64, u64)>,
    stack_base: u64,
    stack_size: u64,
    flags: i32,
    argv: Vec<u8>,
    envp: Vec<u8>,
    descriptors: Vec<AnyRight>,
    ports: Vec<AnyRight>,
    ints: Vec<i32>,
}

impl Boot {
    /// Makes each array larger than a message takes: with a variable that nobody reads, and ports and integers that are none.
    fn stretch(&mut self) {
        self.envp.extend_from_slice(b"PADDING=");
        self.envp.resize(self.envp.len() + FAR_BYTES, b'x');
        self.envp.push(0);
        self.descriptors.resize_with(self.descriptors.len() + FAR_PORTS, || AnyRight::None(PortName::NULL));
        self.ports.resize_with(self.ports.len() + FAR_PORTS, || AnyRight::None(PortName::NULL));
        self.ints.resize(self.ints.len() + FAR_INTS, 0);
    }
}

impl Exec {
    /// A server without standard ports, which `exec_setexecdata` brings.
    pub(crate) fn new(set: &PortSet, rights: Rights, out_of_line: bool) -> Result<Self> {
        let Rights { proc, port } = rights;
        let mut ports = Objects::new(set);
        ports.keep(port, Port::Server { is_root: true })?;
        Ok(Self { proc, out_of_line, state: Lock::new(State { ports, standard: None }) })
    }

    /// Whether who has this port is root; an error if it is not the server's.
    fn is_root(&self, port: PortName) -> Result<bool> {
        match self.state.lock().ports.get(port) {
            Some(Port::Server { is_root }) => Ok(*is_root),
            _ => Err(EOPNOTSUPP),
        }
    }
}

impl Server for Exec {
    fn serve(&self, request: &[u64], reply: &mut [u64], _held: &mut Vec<SendRight>) -> bool {
        let serving = &mut Serving { exec: self };
        exec_server::demux(serving, request, reply)
            || exec_startup_server::demux(serving, request, reply)
            || fsys_server::demux(serving, request, reply)
    }

    fn no_senders(&self, port: PortName) {
        let gone = self.state.lock().ports.remove(port);
        // A program that never asked leaves its ports, which are given back when nothing is locked.
        drop(gone);
    }
}

/// One request.
struct Serving<'a> {
    exec: &'a Exec,
}

impl exec_startup_server::Server for Serving<'_> {
    /// Everything is given away; who asks again gets empty arrays.
    fn exec_startup_get_info(&mut self, bootstrap: PortName) -> Result<ExecStartupGetInfoOut> {
        let mut state = self.exec.state.lock();
        let Some(Port::Boot(boot)) = state.ports.get_mut(bootstrap) else { return Err(EOPNOTSUPP) };
        let names = |rights: &mut Vec<AnyRight>| rights.drain(..).map(AnyRight::into_name).collect();
        let (phdr_data, phdr_size) = boot.headers.unwrap_or_default();
        Ok(ExecStartupGetInfoOut {
            user_entry: boot.entry,
            phdr_data,
            phdr_size,
            stack_base: boot.stack_base,
            stack_size: boot.stack_size,
            flags: boot.flags,
            argv: core::mem::take(&mut boot.argv),
            envp: core::mem::take(&mut boot.envp),
            dtable: (names(&mut boot.descriptors), Disposition::MoveSend),
            portarray: (names(&mut boot.ports), Disposition::MoveSend),
            intarray: core::mem::take(&mut boot.ints),
        })
    }
}

impl exec_server::Server for Serving<'_> {
    fn exec_exec(
        &mut self,
        server: PortName,
        file: SendRight,
        task: SendRight,
        flags: i32,
        argv: Received<'_, u8>,
        envp: Received<'_, u8>,
        descriptors: Vec<AnyRight>,
        ports: Vec<AnyRight>,
        ints: Received<'_, i32>,
        dealloc: Received<'_, PortName>,
        destroy: Received<'_, PortName>,
    ) -> Result<()> {
        self.exec_exec_paths(
            server,
            file,
            task,
            flags,
            b"",
            b"",
            argv,
            envp,
            descriptors,
            ports,
            ints,
            dealloc,
            destroy,
        )
    }

    fn exec_exec_paths(
        &mut self,
        server: PortName,
        file: SendRight,
        task: SendRight,
        flags: i32,
        path: &[u8],
        absolute: &[u8],
        argv: Received<'_, u8>,
        envp: Received<'_, u8>,
        descriptors: Vec<AnyRight>,
        ports: Vec<AnyRight>,
        ints: Received<'_, i32>,
        dealloc: Received<'_, PortName>,
        destroy: Received<'_, PortName>,
    ) -> Result<()> {
        self.exec.is_root(server)?;
        self.exec.run(Program {
            file,
            task: (task.name() != PortName::NULL).then_some(task),
            flags,
            path: path.to_vec(),
            absolute: absolute.to_vec(),
            argv: argv.as_bytes().to_vec(),
            envp: envp.as_bytes().to_vec(),
            descriptors,
            ports,
            ints: ints.iter().collect(),
            dealloc: dealloc.iter().collect(),
            destroy: destroy.iter().collect(),
        })
    }

    fn exec_setexecdata(&mut self, server: PortName, ports: Vec<AnyRight>, ints: Received<'_, i32>) -> Result<()> {
        if !self.exec.is_root(server)? {
            return Err(EPERM);
        }
        if ports.len() < port::MAX || ints.len() < int::MAX {
            return Err(EINVAL);
        }
        let old = self.exec.state.lock().standard.replace(Standard { ports, ints: ints.iter().collect() });
        drop(old);
        Ok(())
    }
}

impl fsys_server::Server for Serving<'_> {
    fn fsys_getroot(
        &mut self,
        fsys: PortName,
        _dotdot: SendRight,
        uids: Received<'_, u32>,
        _gids: Received<'_, u32>,
        _flags: i32,
    ) -> Result<FsysGetrootOut> {
        if !self.exec.is_root(fsys)? {
            return Err(EOPNOTSUPP);
        }
        let is_root = Ids { uids: uids.iter().collect(), gids: Vec::new() }.is_root();
        let right = self.exec.state.lock().ports.make(Port::Server { is_root })?;
        let file = (right.into_name(), Disposition::MoveSend);
        Ok(FsysGetrootOut { do_retry: retry::NORMAL, retry_name: [0; 1024], file })
    }
}
