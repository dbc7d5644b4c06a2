// SPDX-License-Identifier: GPL-2.0-or-later
//! What servers ask of each other for somebody: reauthentication, and names looked up with his ports.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hurd::abi::port;
use hurd::lookup::{Answer, World};
use hurd::stubs::{auth, fs, io, process, term};
use mach::error::Result;
use mach::mig::AnyRight;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use small_hurd::errno::{EBADF, ENOENT, ENXIO};
use small_hurd::ids::Ids;

/// The port of a file as the holder of this authentication handle may have it.
pub(crate) fn authenticated(file: PortName, handle: PortName) -> Result<SendRight> {
    let rendezvous = ReceiveRight::allocate()?;
    io::io_reauthenticate(file, rendezvous.name(), Disposition::MakeSend)?;
    auth::auth_user_authenticate(handle, rendezvous.name(), Disposition::MakeSend)
}

/// The port of a process whose ids are from now on those of this handle.
pub(crate) fn authenticated_process(proc: PortName, handle: PortName) -> Result<SendRight> {
    let rendezvous = ReceiveRight::allocate()?;
    process::proc_reauthenticate(proc, rendezvous.name(), Disposition::MakeSend)?;
    let new = auth::auth_user_authenticate(handle, rendezvous.name(), Disposition::MakeSend)?;
    process::proc_reauthenticate_complete(new.name())?;
    Ok(new)
}

/// Meets the user at the rendezvous, who gets the port `new`; says who he is. Who cannot be met is nobody.
pub(crate) fn meet(handle: PortName, rendezvous: PortName, new: PortName) -> Ids {
    let how = Disposition::CopySend;
    match auth::auth_server_authenticate(handle, rendezvous, how, new, how) {
        Ok(met) => Ids { uids: met.euids.iter().collect(), gids: met.egids.iter().collect() },
        Err(_) => Ids::nobody(),
    }
}

/// The names of rights as they are sent on; null where there is none.
pub(crate) fn names(rights: &[AnyRight]) -> Vec<PortName> {
    rights.iter().map(AnyRight::name).collect()
}

/// Somebody's ports.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    /// As exec is told them.
    pub(crate) ports: &'a [PortName],
    /// His descriptors.
    pub(crate) descriptors: &'a [PortName],
}

impl Client<'_> {
    fn port(&self, place: usize) -> Result<PortName> {
        self.ports.get(place).copied().filter(|name| name.is_valid()).ok_or(ENOENT)
    }
}

impl World for Client<'_> {
    type File = SendRight;

    fn ask(&mut self, from: &SendRight, name: &str, flags: i32, mode: u32) -> Result<Answer<SendRight>> {
        let answer = fs::dir_lookup(from.name(), name, flags, mode)?;
        let name = answer.retry_name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = str::from_utf8(name).map_err(|_| ENOENT)?.into();
        let file = answer.result.name().is_valid().then_some(answer.result);
        Ok(Answer { retry: answer.do_retry, name, file })
    }

    fn authenticate(&mut self, file: SendRight) -> Result<SendRight> {
        authenticated(file.name(), self.port(port::AUTH)?)
    }

    fn root(&mut self) -> Result<SendRight> {
        SendRight::copy_of(self.port(port::CRDIR)?)
    }

    fn working_directory(&mut self) -> Result<SendRight> {
        SendRight::copy_of(self.port(port::CWDIR)?)
    }

    fn descriptor(&mut self, number: usize) -> Result<SendRight> {
        SendRight::copy_of(self.descriptors.get(number).copied().filter(|name| name.is_valid()).ok_or(EBADF)?)
    }

    fn terminal(&mut self, flags: i32) -> Result<SendRight> {
        let id = self.port(port::CTTYID).map_err(|_| ENXIO)?;
        let terminal = term::termctty_open_terminal(id, flags)?;
        self.authenticate(terminal)
    }

    /// Nobody's programs are in a directory of this machine's kind.
    fn machine(&mut self) -> String {
        String::from("0/0")
    }

    fn process_id(&mut self) -> Result<i32> {
        Ok(process::proc_getpids(self.port(port::PROC)?)?.pid)
    }
}

/// What a program is called in the kernel's messages: its first argument and its process's number, the end of it if that is too long.
pub(crate) fn task_name(argv: &[u8], pid: i32) -> Vec<u8> {
    /// Bytes that the kernel keeps of a name.
    const ROOM: usize = 31;
    let first = argv.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut name = first.to_vec();
    name.extend_from_slice(format!("({pid})").as_bytes());
    if name.len() > ROOM {
        name.drain(..name.len() - ROOM);
        name[..3].fill(b'.');
    }
    name
}
