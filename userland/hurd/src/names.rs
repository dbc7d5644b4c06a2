// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of files as this program looks them up: the servers behind [`crate::lookup`].

use alloc::format;
use alloc::string::String;

use mach::error::Result;
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::{host_self, stubs as kernel};

use crate::abi::{open, port};
use crate::errno::{EBADF, ENOENT, ENXIO};
use crate::file::File;
use crate::lookup::{Answer, World, lookup};
use crate::startup::Startup;
use crate::stubs::{auth, fs, io, term};

/// `HOST_BASIC_INFO` of host_info.h, and where the processor's type and subtype are in it.
const HOST_BASIC_INFO: i32 = 1;
const CPU_TYPE: usize = 3;
const CPU_SUBTYPE: usize = 4;
const HOST_BASIC_INFO_COUNT: usize = 5;

/// The Hurd as this program was started in it.
#[derive(Clone, Copy, Debug)]
pub struct Here(pub &'static Startup);

impl Here {
    /// The file of this name.
    ///
    /// # Errors
    /// An errno value, or whatever a server answers.
    pub fn open(mut self, name: &str, flags: i32, mode: u32) -> Result<File> {
        let file = lookup(&mut self, name, flags, mode)?;
        // No server does that: it is for whoever opens the file.
        if flags & open::TRUNC != 0 {
            fs::file_set_size(file.name(), 0)?;
        }
        Ok(file)
    }

    /// Where a file is written to that is made empty, or made, for it.
    ///
    /// # Errors
    /// An errno value, or whatever a server answers.
    pub fn create(self, name: &str) -> Result<File> {
        self.open(name, open::WRITE | open::CREAT | open::TRUNC, 0o666)
    }

    /// Takes the name of what is no directory away.
    ///
    /// # Errors
    /// An errno value, or whatever a server answers.
    pub fn remove(self, name: &str) -> Result<()> {
        let (directory, name) = match name.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((directory, name)) => (directory, name),
            None => (".", name),
        };
        fs::dir_unlink(self.open(directory, 0, 0)?.name(), name)
    }

    fn port(self, place: usize) -> Result<PortName> {
        self.0.port(place).ok_or(ENOENT)
    }

    /// A right to what this name has a right to.
    fn copy(name: PortName) -> Result<File> {
        SendRight::copy_of(name).map(File::new)
    }
}

impl World for Here {
    type File = File;

    fn ask(&mut self, from: &File, name: &str, flags: i32, mode: u32) -> Result<Answer<File>> {
        let answer = fs::dir_lookup(from.name(), name, flags, mode)?;
        let left = answer.retry_name.split(|byte| *byte == 0).next().unwrap_or(&[]);
        let name = str::from_utf8(left).map_err(|_| ENOENT)?.into();
        let file = answer.result.name().is_valid().then(|| File::new(answer.result));
        Ok(Answer { retry: answer.do_retry, name, file })
    }

    fn authenticate(&mut self, file: File) -> Result<File> {
        let rendezvous = ReceiveRight::allocate()?;
        let right = rendezvous.make_send()?;
        io::io_reauthenticate(file.name(), right.name(), mach::port::Disposition::CopySend)?;
        let new =
            auth::auth_user_authenticate(self.port(port::AUTH)?, right.name(), mach::port::Disposition::CopySend)?;
        Ok(File::new(new))
    }

    fn root(&mut self) -> Result<File> {
        Self::copy(self.port(port::CRDIR)?)
    }

    fn working_directory(&mut self) -> Result<File> {
        Self::copy(self.port(port::CWDIR)?)
    }

    fn descriptor(&mut self, number: usize) -> Result<File> {
        Self::copy(self.0.descriptor(number).ok_or(EBADF)?)
    }

    fn terminal(&mut self, flags: i32) -> Result<File> {
        let id = self.0.port(port::CTTYID).ok_or(ENXIO)?;
        let terminal = term::termctty_open_terminal(id, flags)?;
        self.authenticate(File::new(terminal))
    }

    fn machine(&mut self) -> String {
        let mut info = [0; HOST_BASIC_INFO_COUNT];
        match kernel::mach_host::host_info(host_self(), HOST_BASIC_INFO, &mut info) {
            Ok(_) => format!("{}/{}", info[CPU_TYPE], info[CPU_SUBTYPE]),
            Err(_) => String::from("0/0"),
        }
    }

    fn process_id(&mut self) -> Result<i32> {
        self.0.process_id()
    }
}
