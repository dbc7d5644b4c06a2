// SPDX-License-Identifier: GPL-2.0-or-later
//! Starting a program: a task, a process of it, and what exec is told.
//!
//! The order is that of the Hurd's own rpctrace: the task is a child of ours before anything is loaded into it, and between the two it can be
//! traced. exec loads into the very task that it is given, which is suspended by nobody but itself.

use alloc::vec::Vec;

use mach::error::{KernReturn, Result};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::sys::msg::mach_msg;
use mach::{stubs as kernel, task_self};
use mach_abi::option::MACH_RCV_MSG;

use crate::abi::{port, wait};
use crate::errno::{EIO, EPERM};
use crate::file::File;
use crate::startup::Startup;
use crate::stubs::{fs, process, process_reply_server, process_request};
use crate::wait::Ending;

/// A task that proc knows as our child, in which nothing runs yet.
#[derive(Debug)]
pub struct Child {
    /// The task.
    pub task: SendRight,
    /// Its process id.
    pub id: i32,
    /// The proc server, as it knows the child.
    proc: SendRight,
}

/// What a program is started as.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its file, opened to be executed.
    pub file: &'a File,
    /// The name that led to the file.
    pub name: &'a str,
    /// The file's absolute name; empty if that is not known.
    pub absolute: &'a str,
    /// Its arguments, each followed by NUL.
    pub arguments: &'a [u8],
    /// Its environment, each variable followed by NUL.
    pub environment: &'a [u8],
}

impl Child {
    /// A new task without memory, known to proc as our child.
    ///
    /// # Errors
    /// What the kernel or proc answers; then the task is ended.
    pub fn create(startup: &Startup) -> Result<Self> {
        let proc = startup.proc()?;
        let task = kernel::mach::task_create(task_self(), false)?;
        Self::adopt(proc, task.try_clone()?).inspect_err(|_| {
            let _ = kernel::mach::task_terminate(task.name());
        })
    }

    fn adopt(proc: PortName, task: SendRight) -> Result<Self> {
        process::proc_child(proc, task.name())?;
        let id = process::proc_task2pid(proc, task.name())?;
        let proc = process::proc_task2proc(proc, task.name())?;
        Ok(Self { task, id, proc })
    }

    /// Has exec load a program into the task and start it, with our descriptors, directories and rights.
    ///
    /// # Errors
    /// What the file's server or exec answers.
    pub fn exec(&self, startup: &Startup, program: &Program<'_>) -> Result<()> {
        let descriptors = startup.descriptors();
        let mut ports = startup.ports();
        ports[port::PROC] = self.proc.name();
        fs::file_exec_paths(
            program.file.name(),
            self.task.name(),
            0,
            program.name,
            program.absolute,
            program.arguments,
            program.environment,
            &descriptors,
            Disposition::CopySend,
            &ports,
            Disposition::CopySend,
            &startup.ints(),
            &[],
            &[],
        )
    }

    /// Asks proc how the child ends; the answer comes to `port` as [`ended`] reads it, when it has.
    ///
    /// # Errors
    /// If proc cannot be asked.
    pub fn wait(&self, startup: &Startup, port: &ReceiveRight) -> Result<()> {
        process_request::proc_waitid_request(startup.proc()?, port.name(), self.id, wait::EXITED)
    }

    /// The task that this process has now, if proc says so: another one once a set-id program has taken it over. Null if we may not have it.
    pub fn successor(&self, startup: &Startup) -> Option<PortName> {
        match process::proc_pid2task(startup.proc().ok()?, self.id) {
            Ok(task) if task.name().is_valid() => Some(task.name()),
            // It lives, and belongs to somebody else now.
            Err(EPERM) => Some(PortName::NULL),
            _ => None,
        }
    }

    /// Ends the task, which may have ended itself.
    pub fn kill(&self) {
        let _ = kernel::mach::task_terminate(self.task.name());
    }
}

/// Waits until a child has ended of which [`Child::wait`] has asked with this port; how.
///
/// # Errors
/// If nothing can be received, or what proc answered instead.
pub fn receive_end(port: &ReceiveRight) -> Result<Ending> {
    let mut message = [0; ENDED_MAX / 8];
    let answer = mach_msg(&mut message, MACH_RCV_MSG, 0, ENDED_MAX as u32, port.name(), 0, PortName::NULL);
    KernReturn::from_mach_msg(answer).into_result()?;
    ended(&message)
}

/// Room for any message of that kind.
const ENDED_MAX: usize = 512;

/// How a child ended, in a message that came to the port given to [`Child::wait`].
///
/// # Errors
/// What proc answered instead, or `EIO` if it is no answer to that.
pub fn ended(message: &[u64]) -> Result<Ending> {
    let mut reply = Reply(Err(EIO));
    let mut nothing = [0; REPLY_MAX / 8];
    process_reply_server::demux(&mut reply, message, &mut nothing);
    reply.0
}

/// Room for what a reply is answered with, which is not sent.
const REPLY_MAX: usize = 128;

struct Reply(Result<Ending>);

impl process_reply_server::Server for Reply {
    fn proc_waitid_reply(
        &mut self,
        _reply: PortName,
        return_code: KernReturn,
        status: i32,
        _sigcode: i32,
        _rusage: process_reply_server::rusage_t,
        _pid_status: i32,
    ) -> Result<()> {
        self.0 = return_code.into_result().and_then(|()| Ending::from_status(status).ok_or(EIO));
        Ok(())
    }
}

/// Strings as exec takes them, each followed by NUL.
pub fn block<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut block = Vec::new();
    for string in strings {
        block.extend_from_slice(string);
        block.push(0);
    }
    block
}
