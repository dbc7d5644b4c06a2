// SPDX-License-Identifier: GPL-2.0-or-later
//! The terminal: the console device as a file, the id by which it is somebody's controlling terminal, and interrupts.
//!
//! It has no line discipline: what is written is written, what is typed can be read at once, but for the interrupt character.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hurd::abi::{open, retry, signal};
use hurd::stubs::fs_server::DirLookupOut;
use hurd::stubs::io_server::{self, IoMapOut, io_statbuf_t};
use hurd::stubs::{fs_server, msg, process, term_server};
use mach::error::Result;
use mach::mig::Received;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::sys::trap::thread_switch;
use mach::{console, thread};
use small_hurd::errno::{EACCES, EBADF, EINVAL, ENOTDIR, EOPNOTSUPP, ESPIPE};
use small_hurd::ids::{self, Ids, allowed};
use small_hurd::open_flags::{KEPT, ONLY_OPENING};

use crate::client::meet;
use crate::server::Lock;
use crate::server::objects::Objects;
use crate::server::pool::Server;
use crate::stubs::fsys_server::{self, FsysGetrootOut};

/// Everybody may read and write the terminal.
const MODE: u32 = 0o666;
/// `S_IFCHR`.
const S_IFCHR: u32 = 0o020_000;
/// `FSTYPE_TERM`.
const FSTYPE: i32 = 0xe;
/// What Ctrl-C types.
const INTERRUPT: u8 = 3;

/// The rights that the server starts with.
pub(crate) struct Rights {
    /// Root's authentication handle.
    pub(crate) auth: SendRight,
    /// The process server, as the first process has it.
    pub(crate) proc: SendRight,
    /// The port by which the root filesystem knows it.
    pub(crate) port: ReceiveRight,
}

/// The server.
pub(crate) struct Term(Arc<Inner>);

struct Inner {
    auth: SendRight,
    proc: SendRight,
    /// The name of the port that stands for it as a controlling terminal.
    id: PortName,
    state: Lock<State>,
}

struct State {
    ports: Objects<Port>,
    /// Whom it interrupts: a process, or, negative, a group.
    owner: Option<i32>,
    /// What has to be written for an interrupt character to be typed, and what has been written of late.
    interrupt: Option<String>,
    written: Vec<u8>,
}

/// What a port stands for.
enum Port {
    /// The terminal, for the filesystem that it hangs in.
    Control,
    /// Its id.
    Id,
    /// The terminal, opened.
    File { flags: i32, ids: Option<Ids> },
}

impl Term {
    /// A terminal on the console that the boot server hands out.
    pub(crate) fn new(set: &PortSet, rights: Rights, interrupt: Option<String>) -> Result<Self> {
        let Rights { auth, proc, port } = rights;
        let mut ports = Objects::new(set);
        ports.keep(port, Port::Control)?;
        let id = ReceiveRight::allocate()?;
        let name = id.name();
        ports.keep(id, Port::Id)?;
        let state = Lock::new(State { ports, owner: None, interrupt, written: Vec::new() });
        Ok(Self(Arc::new(Inner { auth, proc, id: name, state })))
    }
}

impl Inner {
    /// The flags and ids of an open terminal.
    fn file(&self, port: PortName) -> Result<(i32, Ids)> {
        loop {
            match self.state.lock().ports.get(port) {
                Some(Port::File { flags, ids: Some(ids) }) => return Ok((*flags, ids.clone())),
                // The one who is finding it out has been answered already, or his user would not have the port.
                Some(Port::File { ids: None, .. }) => {}
                _ => return Err(EOPNOTSUPP),
            }
            thread_switch();
        }
    }

    fn open(&self, flags: i32, ids: Ids) -> Result<SendRight> {
        for (flag, what) in [(open::READ, ids::READ), (open::WRITE, ids::WRITE), (open::EXEC, ids::EXECUTE)] {
            if flags & flag != 0 && !allowed(MODE, (0, 0), true, &ids, what) {
                return Err(EACCES);
            }
        }
        let file = Port::File { flags: flags & KEPT & !ONLY_OPENING, ids: Some(ids) };
        self.state.lock().ports.make(file)
    }

    /// Whether an interrupt character is typed now that this has been written.
    fn interrupts(&self, bytes: &[u8]) -> bool {
        let mut state = self.state.lock();
        let Some(text) = &state.interrupt else { return false };
        let keep = text.len();
        let mut written = core::mem::take(&mut state.written);
        written.extend_from_slice(bytes);
        let is_there = state
            .interrupt
            .as_ref()
            .is_some_and(|text| written.windows(text.len()).any(|window| window == text.as_bytes()));
        let done = written.len().saturating_sub(keep);
        written.drain(..done);
        state.written = written;
        if is_there {
            state.interrupt = None;
        }
        is_there
    }

    /// Tells the foreground processes, each in its turn, and waits for their answers.
    fn interrupt(&self) -> Result<()> {
        let (owner, id) = {
            let state = self.state.lock();
            (state.owner, state.ports.send_right(self.id).ok_or(EINVAL)??)
        };
        let pids = match owner {
            None => return Ok(()),
            Some(group) if group < 0 => process::proc_getpgrppids(self.proc.name(), -group)?.iter().collect(),
            Some(pid) => alloc::vec![pid],
        };
        for pid in pids {
            let port = process::proc_getmsgport(self.proc.name(), pid)?;
            if port.name().is_valid() {
                // A process that refuses it is not ended for that.
                let _ = msg::msg_sig_post(port.name(), signal::INT, 0, id.name());
            }
        }
        Ok(())
    }
}

impl Server for Term {
    fn serve(&self, request: &[u64], reply: &mut [u64], _held: &mut Vec<SendRight>) -> bool {
        let serving = &mut Serving { term: &self.0 };
        io_server::demux(serving, request, reply)
            || term_server::demux(serving, request, reply)
            || fs_server::demux(serving, request, reply)
            || fsys_server::demux(serving, request, reply)
    }

    fn no_senders(&self, port: PortName) {
        self.0.state.lock().ports.remove(port);
    }
}

/// One request.
struct Serving<'a> {
    term: &'a Arc<Inner>,
}

impl Serving<'_> {
    /// An interrupt character has been typed. The one who has written may be the one who is to hear of it: a thread tells him.
    fn typed(&self) {
        let term = Arc::clone(self.term);
        let told = move || {
            let _ = term.interrupt();
        };
        drop(thread::spawn(told));
    }
}

fn moved(right: SendRight) -> (PortName, Disposition) {
    (right.into_name(), Disposition::MoveSend)
}

impl io_server::Server for Serving<'_> {
    fn io_write(&mut self, port: PortName, data: Received<'_, u8>, _offset: i64) -> Result<u64> {
        let (flags, _) = self.term.file(port)?;
        if flags & open::WRITE == 0 {
            return Err(EBADF);
        }
        console::write(data.as_bytes())?;
        if self.term.interrupts(data.as_bytes()) {
            self.typed();
        }
        Ok(data.len() as u64)
    }

    fn io_read(&mut self, port: PortName, _offset: i64, amount: u64) -> Result<impl AsRef<[u8]>> {
        let (flags, _) = self.term.file(port)?;
        if flags & open::READ == 0 {
            return Err(EBADF);
        }
        let mut buffer = [0; console::INBAND_MAX];
        let room = usize::try_from(amount).unwrap_or(usize::MAX).min(buffer.len());
        let mut read = Vec::new();
        while read.is_empty() && room > 0 {
            let count = console::read(&mut buffer[..room])?;
            if buffer[..count].contains(&INTERRUPT) {
                self.typed();
            }
            read.extend(buffer[..count].iter().filter(|byte| **byte != INTERRUPT));
        }
        Ok(read)
    }

    fn io_seek(&mut self, port: PortName, _offset: i64, _whence: i32) -> Result<i64> {
        self.term.file(port)?;
        Err(ESPIPE)
    }

    fn io_readable(&mut self, port: PortName) -> Result<u64> {
        self.term.file(port).map(|_| 0)
    }

    fn io_get_openmodes(&mut self, port: PortName) -> Result<i32> {
        self.term.file(port).map(|file| file.0)
    }

    fn io_mod_owner(&mut self, port: PortName, owner: i32) -> Result<()> {
        self.term.file(port)?;
        self.term.state.lock().owner = (owner != 0).then_some(owner);
        Ok(())
    }

    fn io_get_owner(&mut self, port: PortName) -> Result<i32> {
        self.term.file(port)?;
        Ok(self.term.state.lock().owner.unwrap_or(0))
    }

    fn io_stat(&mut self, port: PortName) -> Result<io_statbuf_t> {
        self.term.file(port)?;
        Ok(io_statbuf_t { st_fstype: FSTYPE, st_mode: MODE | S_IFCHR, st_nlink: 1, ..io_statbuf_t::default() })
    }

    fn io_reauthenticate(&mut self, port: PortName, rendezvous: SendRight) -> Result<()> {
        let (flags, _) = self.term.file(port)?;
        let new = self.term.state.lock().ports.make(Port::File { flags, ids: None })?;
        // No lock is held while the user is waited for.
        let ids = meet(self.term.auth.name(), rendezvous.name(), new.name());
        if let Some(Port::File { ids: known, .. }) = self.term.state.lock().ports.get_mut(new.name()) {
            *known = Some(ids);
        }
        Ok(())
    }

    fn io_duplicate(&mut self, port: PortName) -> Result<(PortName, Disposition)> {
        let (flags, ids) = self.term.file(port)?;
        self.term.state.lock().ports.make(Port::File { flags, ids: Some(ids) }).map(moved)
    }

    fn io_map(&mut self, port: PortName) -> Result<IoMapOut> {
        self.term.file(port)?;
        Err(EOPNOTSUPP)
    }
}

impl term_server::Server for Serving<'_> {
    fn term_getctty(&mut self, terminal: PortName) -> Result<(PortName, Disposition)> {
        self.term.file(terminal)?;
        self.term.state.lock().ports.send_right(self.term.id).ok_or(EOPNOTSUPP)?.map(moved)
    }

    fn term_open_ctty(&mut self, terminal: PortName, pid: i32, pgrp: i32) -> Result<(PortName, Disposition)> {
        let (flags, ids) = self.term.file(terminal)?;
        if pid <= 0 || pgrp <= 0 {
            return Err(EINVAL);
        }
        if flags & (open::READ | open::WRITE) == 0 {
            return Err(EBADF);
        }
        self.term.state.lock().ports.make(Port::File { flags, ids: Some(ids) }).map(moved)
    }

    /// Whoever asks still has to say who he is.
    fn termctty_open_terminal(&mut self, id: PortName, flags: i32) -> Result<(PortName, Disposition)> {
        if id != self.term.id {
            return Err(EOPNOTSUPP);
        }
        self.term.open(flags, Ids::nobody()).map(moved)
    }
}

impl fs_server::Server for Serving<'_> {
    /// The terminal is no directory; an empty name opens it again.
    fn dir_lookup(&mut self, start: PortName, name: &[u8], flags: i32, _mode: u32) -> Result<DirLookupOut> {
        let (_, ids) = self.term.file(start)?;
        if !name.is_empty() {
            return Err(ENOTDIR);
        }
        let result = moved(self.term.open(flags, ids)?);
        Ok(DirLookupOut { do_retry: retry::NORMAL, retry_name: [0; 1024], result })
    }

    fn file_set_size(&mut self, file: PortName, _size: i64) -> Result<()> {
        let (flags, _) = self.term.file(file)?;
        // It has no size that could be another.
        if flags & open::WRITE == 0 { Err(EINVAL) } else { Ok(()) }
    }
}

impl fsys_server::Server for Serving<'_> {
    fn fsys_getroot(
        &mut self,
        fsys: PortName,
        _dotdot: SendRight,
        uids: Received<'_, u32>,
        gids: Received<'_, u32>,
        flags: i32,
    ) -> Result<FsysGetrootOut> {
        if !matches!(self.term.state.lock().ports.get(fsys), Some(Port::Control)) {
            return Err(EOPNOTSUPP);
        }
        let ids = Ids { uids: uids.iter().collect(), gids: gids.iter().collect() };
        let file = moved(self.term.open(flags, ids)?);
        Ok(FsysGetrootOut { do_retry: retry::NORMAL, retry_name: [0; 1024], file })
    }
}
