// SPDX-License-Identifier: GPL-2.0-or-later
//! Starting programs of a Hurd, for programs that watch them.

use alloc::format;
use alloc::string::String;

use hurd::abi::open;
use hurd::names::Here;
use hurd::spawn::{Child, Program, block, receive_end};
use hurd::startup::Startup;
use hurd::stubs::{msg, process};
use hurd::wait::Ending;
use mach::error::Result;
use mach::port::{PortName, ReceiveRight, SendRight};

use crate::{Doing, Mismatch, expect};

/// Starts the program in this file with these words, the first of which is its name.
pub fn start(startup: &'static Startup, file_name: &str, words: &[&str]) -> Result<Child> {
    let file = Here(startup).open(file_name, open::EXEC, 0)?;
    let child = Child::create(startup)?;
    let arguments = block(words.iter().map(|word| word.as_bytes()));
    let program = Program {
        file: &file,
        name: file_name,
        absolute: file_name,
        arguments: &arguments,
        environment: b"PATH=/bin\0",
    };
    child.exec(startup, &program).inspect_err(|_| child.kill())?;
    Ok(child)
}

/// A process of ours, and where its end is heard of.
pub struct Started {
    /// It.
    pub child: Child,
    end: ReceiveRight,
}

impl Started {
    /// Starts the program of /bin that the first of these words names.
    pub fn new(startup: &'static Startup, words: &[&str]) -> core::result::Result<Self, Mismatch> {
        let file = format!("/bin/{}", words.first().doing("the name of a program")?);
        let child = start(startup, &file, words).doing("starting a program")?;
        let end = ReceiveRight::allocate().doing("mach_port_allocate")?;
        child.wait(startup, &end).doing("proc_waitid")?;
        Ok(Self { child, end })
    }

    /// Its task's control port.
    pub fn task(&self) -> PortName {
        self.child.task.name()
    }

    /// Where it hears of signals; no right as long as it has not said where.
    pub fn message_port(&self, startup: &'static Startup) -> core::result::Result<SendRight, Mismatch> {
        process::proc_getmsgport(startup.proc().doing("our process")?, self.child.id).doing("proc_getmsgport")
    }

    /// Sends it a signal.
    pub fn signal(&self, startup: &'static Startup, number: i32) -> core::result::Result<(), Mismatch> {
        let to = self.message_port(startup)?;
        msg::msg_sig_post(to.name(), number, 0, self.task()).doing("msg_sig_post")
    }

    /// Waits until it has ended, and says how.
    pub fn ended(&self) -> Result<Ending> {
        receive_end(&self.end)
    }

    /// Waits until it has ended so.
    pub fn ends(&self, what: &str, expected: Ending) -> core::result::Result<(), Mismatch> {
        expect(what, expected, self.ended().doing("its end")?)
    }
}

/// What is in a file.
pub fn contents(startup: &'static Startup, name: &str) -> core::result::Result<String, Mismatch> {
    let file = Here(startup).open(name, open::READ, 0).doing("opening a file")?;
    Ok(String::from_utf8_lossy(&file.read_to_end().doing("reading a file")?).into_owned())
}
