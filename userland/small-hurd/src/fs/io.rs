// SPDX-License-Identifier: GPL-2.0-or-later
//! Open files: io.defs.

use alloc::sync::Arc;

use hurd::abi::{AT_FILE_POINTER, open};
use hurd::stubs::io_server::{IoMapOut, Server, io_statbuf_t};
use mach::error::Result;
use mach::mig::Received;
use mach::port::{Disposition, PortName, SendRight};
use small_hurd::errno::{EBADF, EFBIG, EINVAL, EISDIR, EOPNOTSUPP};
use small_hurd::tree::{Kind, ROOT};

use super::{Port, Serving};
use crate::client::meet;

/// The number of the root directory; the others count from there.
pub(super) const FIRST_NUMBER: u64 = 2;

/// `FSTYPE_MEMFS`.
const FSTYPE: i32 = 0x19;
/// Kinds of files in a mode, and what the Hurd adds: an active translator, the root of a filesystem.
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IATRANS: u32 = 0o20_000_000;
const S_IROOT: u32 = 0o40_000_000;

/// The largest file.
pub(super) const SIZE_MAX: usize = 64 << 20;

/// Preferred size of reads.
const BLOCK: i64 = 4096;

/// Where `io_seek` counts from.
const SEEK_SET: i32 = 0;
const SEEK_CUR: i32 = 1;
const SEEK_END: i32 = 2;

impl Server for Serving<'_> {
    fn io_write(&mut self, port: PortName, data: Received<'_, u8>, offset: i64) -> Result<u64> {
        let file = self.fs.file(port)?;
        if file.flags & open::WRITE == 0 {
            return Err(EBADF);
        }
        let mut state = self.fs.state.lock();
        let Kind::File(contents) = &mut state.tree.node_mut(file.node).kind else { return Err(EISDIR) };
        let bytes = contents.bytes_mut()?;
        let mut open = file.open.lock();
        let at = match offset {
            AT_FILE_POINTER if open.flags & open::APPEND != 0 => bytes.len() as i64,
            AT_FILE_POINTER => open.at,
            offset => offset,
        };
        let start = usize::try_from(at).map_err(|_| EINVAL)?;
        let end = start.checked_add(data.len()).filter(|end| *end <= SIZE_MAX).ok_or(EFBIG)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data.as_bytes());
        if offset == AT_FILE_POINTER {
            open.at = end as i64;
        }
        Ok(data.len() as u64)
    }

    fn io_read(&mut self, port: PortName, offset: i64, amount: u64) -> Result<impl AsRef<[u8]>> {
        let file = self.fs.file(port)?;
        if file.flags & open::READ == 0 {
            return Err(EBADF);
        }
        let mut state = self.fs.state.lock();
        let bytes = match &mut state.tree.node_mut(file.node).kind {
            Kind::File(contents) => contents.bytes()?,
            Kind::Link(target) => target,
            _ => return Err(EISDIR),
        };
        let mut open = file.open.lock();
        let at = if offset == AT_FILE_POINTER { open.at } else { offset };
        let start = usize::try_from(at).map_err(|_| EINVAL)?.min(bytes.len());
        let amount = usize::try_from(amount).unwrap_or(usize::MAX).min(bytes.len() - start);
        if offset == AT_FILE_POINTER {
            open.at += amount as i64;
        }
        Ok(bytes[start..start + amount].to_vec())
    }

    fn io_seek(&mut self, port: PortName, offset: i64, whence: i32) -> Result<i64> {
        let file = self.fs.file(port)?;
        let size = self.size(&file)?;
        let mut open = file.open.lock();
        let from = match whence {
            SEEK_SET => 0,
            SEEK_CUR => open.at,
            SEEK_END => size,
            _ => return Err(EINVAL),
        };
        open.at = from.checked_add(offset).filter(|at| *at >= 0).ok_or(EINVAL)?;
        Ok(open.at)
    }

    fn io_readable(&mut self, port: PortName) -> Result<u64> {
        let file = self.fs.file(port)?;
        if file.flags & open::READ == 0 {
            return Err(EBADF);
        }
        Ok((self.size(&file)? - file.open.lock().at).max(0) as u64)
    }

    fn io_get_openmodes(&mut self, port: PortName) -> Result<i32> {
        self.fs.file(port).map(|file| file.flags)
    }

    fn io_stat(&mut self, port: PortName) -> Result<io_statbuf_t> {
        let file = self.fs.file(port)?;
        let size = self.size(&file)?;
        let state = self.fs.state.lock();
        let node = state.tree.node(file.node);
        let kind = match node.kind {
            _ if node.is_directory() => S_IFDIR,
            Kind::Link(_) => S_IFLNK,
            Kind::Translator(_) | Kind::Magic(_) => S_IFREG | S_IATRANS,
            _ => S_IFREG,
        };
        let root = if file.node == ROOT { S_IROOT } else { 0 };
        Ok(io_statbuf_t {
            st_fstype: FSTYPE,
            st_ino: (file.node as u64 + FIRST_NUMBER) as i64,
            st_mode: node.mode | kind | root,
            st_nlink: 1,
            st_uid: node.owner.0,
            st_gid: node.owner.1,
            st_author: node.owner.0,
            st_size: size,
            st_blksize: BLOCK,
            ..io_statbuf_t::default()
        })
    }

    fn io_reauthenticate(&mut self, port: PortName, rendezvous: SendRight) -> Result<()> {
        let file = self.fs.file(port)?;
        let new = {
            let mut state = self.fs.state.lock();
            state.ports.make(Port::File { open: Arc::clone(&file.open), ids: None })?
        };
        // No lock is held while the user is waited for.
        let ids = meet(self.fs.auth.name(), rendezvous.name(), new.name());
        if let Some(Port::File { ids: known, .. }) = self.fs.state.lock().ports.get_mut(new.name()) {
            *known = Some(ids);
        }
        Ok(())
    }

    fn io_duplicate(&mut self, port: PortName) -> Result<(PortName, Disposition)> {
        let file = self.fs.file(port)?;
        let port = Port::File { open: Arc::clone(&file.open), ids: Some(file.ids) };
        let right = self.fs.state.lock().ports.make(port)?;
        Ok((right.into_name(), Disposition::MoveSend))
    }

    fn io_map(&mut self, port: PortName) -> Result<IoMapOut> {
        self.fs.file(port)?;
        Err(EOPNOTSUPP)
    }
}

impl Serving<'_> {
    fn size(&self, file: &super::File) -> Result<i64> {
        let mut state = self.fs.state.lock();
        match &mut state.tree.node_mut(file.node).kind {
            Kind::File(contents) => contents.bytes().map(|bytes| bytes.len() as i64),
            Kind::Link(target) => Ok(target.len() as i64),
            _ => Ok(0),
        }
    }
}
