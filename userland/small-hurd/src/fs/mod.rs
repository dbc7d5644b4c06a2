// SPDX-License-Identifier: GPL-2.0-or-later
//! A filesystem in memory: what libdiskfs does for its clients.
//!
//! It maps no files (`io_map` answers `EOPNOTSUPP`, as filesystems that are no disks do), and a translator whose server has died stays
//! dead. Two tasks run it: the root filesystem, and one that hangs in it.

mod contents;
mod exec;
mod files;
mod io;
mod lookup;

use alloc::sync::Arc;
use alloc::vec::Vec;

use hurd::stubs::{fs_server, io_server};
use mach::error::Result;
use mach::port::{PortName, PortSet, ReceiveRight, SendRight};
use mach::sys::trap::thread_switch;
use small_hurd::errno::EOPNOTSUPP;
use small_hurd::ids::Ids;
use small_hurd::tree::{NodeId, ROOT, Tree};

use crate::server::Lock;
use crate::server::objects::Objects;
use crate::server::pool::Server;
use crate::stubs::fsys_server;
use contents::Contents;

/// The rights that the server starts with.
pub(crate) struct Rights {
    /// Root's authentication handle.
    pub(crate) auth: SendRight,
    /// The exec server.
    pub(crate) exec: SendRight,
    /// What hangs in it: [`files::HOME`], [`files::TERM`], [`files::EXEC`].
    pub(crate) translators: Vec<SendRight>,
    /// The port by which others know it.
    pub(crate) port: ReceiveRight,
}

/// The server.
pub(crate) struct Fs {
    auth: SendRight,
    exec: SendRight,
    translators: Vec<SendRight>,
    state: Lock<State>,
}

struct State {
    tree: Tree<Contents>,
    ports: Objects<Port>,
}

/// What a port stands for.
enum Port {
    /// The filesystem itself, for the one that it hangs in.
    Control,
    /// An open file.
    File {
        open: Arc<Lock<Open>>,
        /// Whose it is; not known while that is being found out.
        ids: Option<Ids>,
    },
}

/// An open file, which several ports can share.
struct Open {
    node: NodeId,
    flags: i32,
    at: i64,
    /// The directory that the root of this filesystem hangs in, for who came from there.
    parent: Option<Arc<SendRight>>,
}

/// An open file as one port has it.
struct File {
    open: Arc<Lock<Open>>,
    ids: Ids,
    node: NodeId,
    flags: i32,
    parent: Option<Arc<SendRight>>,
}

impl Fs {
    /// The root filesystem, whose port is its root directory opened by root.
    pub(crate) fn root(set: &PortSet, rights: Rights) -> Result<Self> {
        let open = Open { node: ROOT, flags: 0, at: 0, parent: None };
        let port = Port::File { open: Arc::new(Lock::new(open)), ids: Some(Ids::root()) };
        Self::new(set, rights, files::root()?, port)
    }

    /// The one that hangs in it, whose port is for that alone.
    pub(crate) fn home(set: &PortSet, rights: Rights) -> Result<Self> {
        Self::new(set, rights, files::home(), Port::Control)
    }

    fn new(set: &PortSet, rights: Rights, tree: Tree<Contents>, port: Port) -> Result<Self> {
        let mut ports = Objects::new(set);
        ports.keep(rights.port, port)?;
        let Rights { auth, exec, translators, .. } = rights;
        Ok(Self { auth, exec, translators, state: Lock::new(State { tree, ports }) })
    }

    /// The open file behind a port.
    fn file(&self, port: PortName) -> Result<File> {
        loop {
            let state = self.state.lock();
            match state.ports.get(port) {
                Some(Port::File { open, ids: Some(ids) }) => {
                    let locked = open.lock();
                    let (node, flags, parent) = (locked.node, locked.flags, locked.parent.clone());
                    return Ok(File { open: Arc::clone(open), ids: ids.clone(), node, flags, parent });
                }
                // The one who is finding it out has been answered already, or his user would not have the port.
                Some(Port::File { ids: None, .. }) => {}
                Some(Port::Control) | None => return Err(EOPNOTSUPP),
            }
            drop(state);
            thread_switch();
        }
    }
}

impl State {
    /// A port to a node, opened anew.
    fn open(&mut self, node: NodeId, flags: i32, parent: Option<Arc<SendRight>>, ids: Ids) -> Result<SendRight> {
        let open = Arc::new(Lock::new(Open { node, flags, at: 0, parent }));
        self.ports.make(Port::File { open, ids: Some(ids) })
    }
}

impl Server for Fs {
    fn serve(&self, request: &[u64], reply: &mut [u64], _held: &mut Vec<SendRight>) -> bool {
        let serving = &mut Serving { fs: self };
        fs_server::demux(serving, request, reply)
            || io_server::demux(serving, request, reply)
            || fsys_server::demux(serving, request, reply)
    }

    fn no_senders(&self, port: PortName) {
        let gone = self.state.lock().ports.remove(port);
        // A right to another server may go with it, which is given back when nothing is locked.
        drop(gone);
    }
}

/// One request.
struct Serving<'a> {
    fs: &'a Fs,
}
