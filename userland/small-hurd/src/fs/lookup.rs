// SPDX-License-Identifier: GPL-2.0-or-later
//! Names, directories and what hangs in them: fs.defs and fsys.defs.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hurd::abi::{open, retry};
use hurd::stubs::fs_server::{DirLookupOut, DirReaddirOut, Server};
use mach::error::{KernReturn, Result};
use mach::mig::{AnyRight, Received};
use mach::port::{Disposition, PortName, SendRight};
use small_hurd::errno::{EBADF, EDIED, EFBIG, EINVAL, ENAMETOOLONG, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM};
use small_hurd::ids::{self, Ids};
use small_hurd::open_flags::{DIRECTORY, KEPT, ONLY_OPENING};
use small_hurd::tree::{Found, Kind, Lookup, NodeId, ROOT, Tree};

use super::contents::Contents;
use super::exec::Program;
use super::io::SIZE_MAX;
use super::{File, Port, Serving, State};
use crate::stubs::fsys;
use crate::stubs::fsys_server::{self, FsysGetrootOut};

/// Room for a name in a message.
const NAME_SIZE: usize = 1024;

/// The longest name that fits, with its NUL.
fn padded(name: &[u8]) -> Result<[u8; NAME_SIZE]> {
    let mut padded = [0; NAME_SIZE];
    if name.len() >= NAME_SIZE {
        return Err(ENAMETOOLONG);
    }
    padded[..name.len()].copy_from_slice(name);
    Ok(padded)
}

/// A right that goes with the reply.
fn moved(right: Option<SendRight>) -> (PortName, Disposition) {
    (right.map_or(PortName::NULL, SendRight::into_name), Disposition::MoveSend)
}

fn answer(do_retry: u32, name: &[u8], right: Option<SendRight>) -> Result<DirLookupOut> {
    let retry_name = padded(name)?;
    Ok(DirLookupOut { do_retry, retry_name, result: moved(right) })
}

/// Where another server has to be asked.
struct Elsewhere {
    control: PortName,
    dotdot: SendRight,
    rest: Vec<u8>,
    flags: i32,
}

impl Serving<'_> {
    /// Looks a name up in this filesystem; in another, if that is where it leads, the caller has to.
    fn look(
        &self,
        file: &File,
        name: &[u8],
        flags: i32,
        mode: u32,
    ) -> Result<core::result::Result<DirLookupOut, Elsewhere>> {
        let lookup = Lookup {
            start: file.node,
            name,
            flags: flags & (KEPT | DIRECTORY),
            mode,
            ids: &file.ids,
            is_mounted: file.parent.is_some(),
        };
        let mut state = self.fs.state.lock();
        let found = state.tree.lookup(&lookup)?;
        let opened = |state: &mut State, node: NodeId, flags: i32| {
            state.open(node, flags, file.parent.clone(), file.ids.clone())
        };
        let answer = match found {
            Found::Node(node) => {
                answer(retry::NORMAL, b"", Some(opened(&mut state, node, flags & KEPT & !ONLY_OPENING)?))
            }
            Found::Handover(node, rest) => answer(retry::NORMAL, &rest, Some(opened(&mut state, node, 0)?)),
            Found::Up(rest, to) => {
                // Whoever goes there says anew who he is.
                let right = match (to, &file.parent) {
                    (None, Some(parent)) => parent.try_clone()?,
                    (to, _) => state.open(to.unwrap_or(ROOT), 0, file.parent.clone(), Ids::nobody())?,
                };
                answer(retry::REAUTH, &rest, Some(right))
            }
            Found::Magical(name, directory) => {
                let right = directory.map(|directory| opened(&mut state, directory, 0)).transpose()?;
                answer(retry::MAGICAL, &name, right)
            }
            Found::Translator { translator, directory, rest, flags } => {
                let control = self.fs.translators.get(translator).ok_or(EDIED)?.name();
                let dotdot = state.open(directory, 0, file.parent.clone(), Ids::nobody())?;
                return Ok(Err(Elsewhere { control, dotdot, rest, flags }));
            }
        };
        answer.map(Ok)
    }

    /// Starts a program from a file.
    fn start(&self, port: PortName, program: &mut Program<'_>) -> Result<()> {
        let file = self.fs.file(port)?;
        self.fs.start(&file, program)
    }

    fn rights(&self, port: PortName) -> Result<i32> {
        let file = self.fs.file(port)?;
        let state = self.fs.state.lock();
        let node = state.tree.node(file.node);
        let kinds = [(open::READ, ids::READ), (open::WRITE, ids::WRITE), (open::EXEC, ids::EXECUTE)];
        Ok(kinds.iter().filter(|(_, what)| node.check(&file.ids, *what).is_ok()).map(|(flag, _)| flag).sum())
    }
}

impl Server for Serving<'_> {
    fn dir_lookup(&mut self, start: PortName, name: &[u8], flags: i32, mode: u32) -> Result<DirLookupOut> {
        let file = self.fs.file(start)?;
        let elsewhere = match self.look(&file, name, flags, mode)? {
            Ok(answer) => return Ok(answer),
            Err(elsewhere) => elsewhere,
        };
        // No lock is held while another server is asked.
        let Elsewhere { control, dotdot, rest, flags } = elsewhere;
        let Ids { uids, gids } = &file.ids;
        let root = fsys::fsys_getroot(control, dotdot.name(), Disposition::CopySend, uids, gids, flags);
        let root = root.map_err(|error| match error {
            KernReturn::MACH_SEND_INVALID_DEST | KernReturn::MIG_SERVER_DIED => EDIED,
            error => error,
        })?;
        let mut name = root.retry_name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        if !name.is_empty() && !rest.is_empty() && !rest.starts_with(b"/") {
            name.push(b'/');
        }
        name.extend_from_slice(&rest);
        answer(root.do_retry, &name, Some(root.file))
    }

    fn dir_readdir(&mut self, dir: PortName, entry: i32, nentries: i32, bufsiz: u64) -> Result<DirReaddirOut> {
        let file = self.fs.file(dir)?;
        if file.flags & open::READ == 0 {
            return Err(EBADF);
        }
        let state = self.fs.state.lock();
        let entries = state.tree.entries(file.node).ok_or(ENOTDIR)?;
        let first = usize::try_from(entry).map_err(|_| EINVAL)?;
        let most = usize::try_from(nentries).unwrap_or(usize::MAX);
        let (mut data, mut amount) = (Vec::new(), 0);
        for (name, node) in entries.iter().skip(first).take(most) {
            let bytes = directory_entry(name, *node, &state.tree);
            if bufsiz != 0 && (data.len() + bytes.len()) as u64 > bufsiz {
                break;
            }
            data.extend(bytes);
            amount += 1;
        }
        Ok(DirReaddirOut { data, amount })
    }

    fn dir_mkdir(&mut self, directory: PortName, name: &[u8], mode: u32) -> Result<()> {
        let file = self.fs.file(directory)?;
        self.fs.state.lock().tree.make_directory(file.node, name, mode, &file.ids)
    }

    fn dir_unlink(&mut self, directory: PortName, name: &[u8]) -> Result<()> {
        let file = self.fs.file(directory)?;
        self.fs.state.lock().tree.unlink(file.node, name, &file.ids)
    }

    fn file_set_size(&mut self, port: PortName, size: i64) -> Result<()> {
        let file = self.fs.file(port)?;
        let size = usize::try_from(size).map_err(|_| EINVAL)?;
        if file.flags & open::WRITE == 0 {
            return Err(EINVAL);
        }
        if size > SIZE_MAX {
            return Err(EFBIG);
        }
        let mut state = self.fs.state.lock();
        match &mut state.tree.node_mut(file.node).kind {
            Kind::File(contents) => contents.bytes_mut().map(|bytes| bytes.resize(size, 0)),
            _ => Err(EINVAL),
        }
    }

    fn file_check_access(&mut self, port: PortName) -> Result<i32> {
        self.rights(port)
    }

    fn file_get_translator_cntl(&mut self, port: PortName) -> Result<(PortName, Disposition)> {
        let file = self.fs.file(port)?;
        let state = self.fs.state.lock();
        let node = state.tree.node(file.node);
        if !file.ids.is_root() && !file.ids.uids.contains(&node.owner.0) {
            return Err(EPERM);
        }
        let Kind::Translator(translator) = node.kind else { return Err(ENXIO) };
        self.fs.translators.get(translator).ok_or(ENXIO)?.try_clone().map(|right| moved(Some(right)))
    }

    fn file_exec(
        &mut self,
        file: PortName,
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
        self.file_exec_paths(file, task, flags, b"", b"", argv, envp, descriptors, ports, ints, dealloc, destroy)
    }

    fn file_exec_paths(
        &mut self,
        file: PortName,
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
        let program = &mut Program {
            task,
            flags,
            path,
            absolute,
            argv: argv.as_bytes(),
            envp: envp.as_bytes(),
            descriptors,
            ports,
            ints: ints.iter().collect(),
            dealloc: dealloc.iter().collect(),
            destroy: destroy.iter().collect(),
        };
        self.start(file, program)
    }
}

/// `struct dirent` of the Hurd: number, length, kind, length of the name, the name and its NUL; a multiple of four bytes.
fn directory_entry(name: &[u8], node: NodeId, tree: &Tree<Contents>) -> Vec<u8> {
    /// `DT_DIR`, `DT_REG` and `DT_LNK`.
    const KINDS: [u8; 3] = [4, 8, 10];
    let [directory, file, link] = KINDS;
    let kind = match &tree.node(node).kind {
        Kind::Link(_) => link,
        _ if tree.node(node).is_directory() => directory,
        _ => file,
    };
    let size = (12 + name.len() + 1).next_multiple_of(4);
    let mut entry = (node as u64 + super::io::FIRST_NUMBER).to_le_bytes().to_vec();
    entry.extend_from_slice(&(size as u16).to_le_bytes());
    entry.extend_from_slice(&[kind, name.len() as u8]);
    entry.extend_from_slice(name);
    entry.resize(size, 0);
    entry
}

impl fsys_server::Server for Serving<'_> {
    /// The filesystem that this one hangs in vouches for the ids, so nobody has to authenticate himself on the way in: as libdiskfs and
    /// libtrivfs do, it answers `FS_RETRY_NORMAL`. On the way out, through the directory that it hangs in, everybody has to.
    fn fsys_getroot(
        &mut self,
        fsys: PortName,
        dotdot: SendRight,
        uids: Received<'_, u32>,
        gids: Received<'_, u32>,
        flags: i32,
    ) -> Result<FsysGetrootOut> {
        let ids = Ids { uids: uids.iter().collect(), gids: gids.iter().collect() };
        let mut state = self.fs.state.lock();
        if !matches!(state.ports.get(fsys), Some(Port::Control)) {
            return Err(EOPNOTSUPP);
        }
        let lookup = Lookup { start: ROOT, name: b"", flags: flags & KEPT, mode: 0, ids: &ids, is_mounted: true };
        state.tree.lookup(&lookup)?;
        let parent = dotdot.name().is_valid().then(|| Arc::new(dotdot));
        let root = state.open(ROOT, flags & KEPT & !ONLY_OPENING, parent, ids.clone())?;
        Ok(FsysGetrootOut { do_retry: retry::NORMAL, retry_name: padded(b"")?, file: moved(Some(root)) })
    }
}
