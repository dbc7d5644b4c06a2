// SPDX-License-Identifier: GPL-2.0-or-later
//! The server's loop: every program it started calls on a port of its own, all of them in one port set.
//!
//! A program's port is its bootstrap port and its exception port, and the port to which the kernel says that its task is
//! gone. So all that happens to one program comes through one queue, in the order in which it happened: the exit status a
//! program tells is always read before the end of its task.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bootstrap::arguments::{Privilege, substitute};
use bootstrap::image::Image;
use mach::error::{KernReturn, Result};
use mach::memory::OutOfLine;
use mach::mig::{Patience, send_reply};
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendOnceRight, SendRight};
use mach::stubs::trace_control::{trace_engine_t, trace_engines};
use mach::sys::msg::mach_msg;
use mach::sys::trap;
use mach::{println, stubs, task_self};
use mach_abi::notify::MACH_NOTIFY_DEAD_NAME;
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::special_port::{TASK_BOOTSTRAP_PORT, TASK_EXCEPTION_PORT};
use protocol::archive::{ENVIRONMENT, HOST_NAME, HOST_PROGRAM, PROGRAMS, RPCTRACE2, split_arguments};
use protocol::channel::Key;
use protocol::control::{ARE_YOU_THERE, Control, INTERRUPT};
use protocol::tasks::{State, Task, engine_name};
use protocol::{ARGUMENTS_MAX, CRASH_STATUS, SPAWN_SUSPENDED};

use crate::boot_archive::BootArchive;
use crate::crash::Crash;
use crate::line::{self, Line};
use crate::load::NewTask;
use crate::tell;

/// `TASK_BASIC_INFO` of task_info.h, whose first integer is the suspend count.
const TASK_BASIC_INFO: i32 = 1;

/// Most engines of a task: the bound of `trace_engines_t` in trace_control.defs.
const ENGINES_MAX: usize = 8;

/// Integers that `task_info` answers at most.
const TASK_INFO_MAX: usize = 1024;

/// Room for the largest request: `boot_spawn` with all its arguments.
const REQUEST_SIZE: usize = ARGUMENTS_MAX + 512;

/// Room for the largest reply.
const REPLY_SIZE: usize = 512;

/// The first names to try for a right inserted into a program's space, as GNU Mach's boot scripts do.
const FIRST_NAME: u32 = 1;

/// The rights that only the boot server holds.
pub(crate) struct Privileges {
    /// The host control port.
    pub(crate) host: SendRight,
    /// The device master port.
    pub(crate) device: SendRight,
    /// What stands in the console's switch marks; there is none if no host tool reads the console.
    pub(crate) key: Key,
}

/// A program that was started and whose task is still there.
struct Program {
    id: u32,
    name: String,
    /// It is the archive's own rpctrace2.
    is_tracer: bool,
    task: SendRight,
    port: ReceiveRight,
    exit_port: Option<SendOnceRight>,
    status: Option<i32>,
}

/// The boot server.
pub(crate) struct Server<'a> {
    archive: &'a BootArchive,
    privileges: &'a Privileges,
    ports: PortSet,
    programs: Vec<Program>,
    last_id: u32,
    /// Where the host tool is heard, if there is one.
    line: Option<Line>,
    /// The tracers that run, by their programs' ids, and by what each is told that its trace is to end. The last one is told first: a tracer in a
    /// traced shell ends, and the shell goes on.
    tracers: Vec<(u32, SendOnceRight)>,
    /// The host tool has said so.
    is_interrupted: bool,
}

impl<'a> Server<'a> {
    /// A server that has started nothing yet.
    pub(crate) fn new(archive: &'a BootArchive, privileges: &'a Privileges) -> Result<Self> {
        let ports = PortSet::allocate()?;
        let line = match privileges.key == Key::NONE {
            true => None,
            false => Some(Line::open(privileges.device.name())?),
        };
        if let Some(line) = &line {
            ports.add(&line.replies)?;
            line.ask()?;
        }
        Ok(Self {
            archive,
            privileges,
            ports,
            programs: Vec::new(),
            last_id: 0,
            line,
            tracers: Vec::new(),
            is_interrupted: false,
        })
    }

    /// Starts the command and serves until it has ended; returns its exit status.
    pub(crate) fn run(&mut self, command: &[&[u8]]) -> core::result::Result<i32, String> {
        let command = self.spawn(command, task_self(), false, None)?;
        loop {
            let mut request = vec![0u64; REQUEST_SIZE / 8];
            let answer =
                mach_msg(&mut request, MACH_RCV_MSG, 0, REQUEST_SIZE as u32, self.ports.name(), 0, PortName::NULL);
            match KernReturn::from_mach_msg(answer) {
                KernReturn::KERN_SUCCESS => {}
                // A client's mistake: the kernel has destroyed its message, and tells it so through its reply right.
                KernReturn::MACH_RCV_TOO_LARGE => continue,
                error => return Err(format!("receiving requests: {error}")),
            }
            if let Some((id, status)) = self.serve(&request)
                && id == command
            {
                return Ok(status);
            }
        }
    }
}

impl Server<'_> {
    /// Serves one message. Answers the id and exit status of a program if it was its end.
    fn serve(&mut self, request: &[u64]) -> Option<(u32, i32)> {
        let mut reply = vec![0u64; REPLY_SIZE / 8];
        let caller = PortName(request[2] as u32);
        if self.line.as_ref().is_some_and(|line| line.replies.name() == caller) {
            line::answer(request, &mut reply, |byte| self.heard(byte));
            // A line that fails is not listened to any more.
            self.line.take_if(|line| line.ask().is_err());
            return None;
        }
        let index = self.programs.iter().position(|program| program.port.name() == caller)?;
        let mut call = Call { server: self, index, ended: None };
        let served = stubs::boot_server::demux(&mut call, request, &mut reply)
            || stubs::exc_server::demux(&mut call, request, &mut reply)
            || stubs::notify_server::demux(&mut call, request, &mut reply);
        let ended = call.ended;
        if !served {
            // The reply says that nobody knows the request; what it brought is given back.
            mach::msg::destroy_body(request);
        }
        // A client that cannot take its reply loses it.
        let _ = send_reply(&mut reply, Patience::None);
        ended
    }

    /// The host tool has said something.
    fn heard(&mut self, byte: u8) {
        match byte {
            ARE_YOU_THERE => tell(Control::Here),
            INTERRUPT => {
                self.is_interrupted = true;
                self.tell_tracer();
            }
            _ => {}
        }
    }

    /// Tells a tracer if its trace is to end, now or when there is one.
    fn tell_tracer(&mut self) {
        if self.is_interrupted
            && let Some((_, interrupt)) = self.tracers.pop()
        {
            self.is_interrupted = false;
            // Whoever asked to be told may be gone.
            let _ = stubs::boot::boot_interrupted(interrupt);
        }
    }

    /// The file of a program, its member in the archive, and what it is called: the user's own program can be called anything.
    fn program_file(&self, called: &str) -> core::result::Result<(&'static [u8], String, String), String> {
        let (member, name) = match called.strip_prefix(HOST_NAME) {
            Some(name) => (String::from(HOST_PROGRAM), name),
            None => (format!("{PROGRAMS}{called}"), called),
        };
        let file = self.archive.member(&member).ok_or_else(|| format!("{called}: no such program"))?;
        Ok((file, member, name.into()))
    }

    /// Starts a program; returns its id.
    fn spawn(
        &mut self,
        arguments: &[&[u8]],
        parent: PortName,
        suspended: bool,
        exit_port: Option<SendOnceRight>,
    ) -> core::result::Result<u32, String> {
        let called = arguments.first().map(|name| String::from_utf8_lossy(name)).unwrap_or_default();
        let (file, member, name) = self.program_file(&called)?;
        let is_tracer = member.strip_prefix(PROGRAMS) == Some(RPCTRACE2);
        let mut arguments = arguments.to_vec();
        if let Some(first) = arguments.first_mut() {
            *first = name.as_bytes();
        }
        let image = Image::parse(file).map_err(|error| format!("{member}: {error}"))?;
        let kernel = |what: &'static str| {
            let name = name.clone();
            move |error: KernReturn| format!("{name}: {what}: {error}")
        };

        let task = NewTask::create(&name, parent).map_err(kernel("task_create"))?;
        let arguments = substitute(&arguments, |privilege| self.insert(task.name(), privilege))
            .map_err(kernel("inserting a privileged right"))?;
        let port = self.adopt(task.name()).map_err(kernel("its ports"))?;
        if suspended {
            trap::task_suspend(task.name()).map_err(kernel("task_suspend"))?;
        }
        task.start(&image, &arguments, &self.environment(is_tracer)).map_err(|error| format!("{name}: {error}"))?;

        self.last_id += 1;
        let task = task.finished();
        self.programs.push(Program { id: self.last_id, name, is_tracer, task, port, exit_port, status: None });
        Ok(self.last_id)
    }

    /// What a program finds in its environment; the tracer is none of those that it is meant for.
    fn environment(&self, is_tracer: bool) -> Vec<Vec<u8>> {
        let member = self.archive.member(ENVIRONMENT).filter(|_| !is_tracer);
        let variables = member.and_then(|member| split_arguments(member).ok()).unwrap_or_default();
        variables.into_iter().map(<[u8]>::to_vec).collect()
    }

    /// Puts a copy of a privileged right into a task, under the first free name.
    fn insert(&self, task: PortName, privilege: Privilege) -> Result<u32> {
        let right = match privilege {
            Privilege::Host => self.privileges.host.name(),
            Privilege::Device => self.privileges.device.name(),
        };
        let mut name = FIRST_NAME;
        loop {
            match trap::mach_port_insert_right(task, PortName(name), right, Disposition::CopySend) {
                Err(KernReturn::KERN_NAME_EXISTS) => name += 1,
                other => return other.map(|()| name),
            }
        }
    }

    /// Makes the port by which this server and the task know each other, and has the kernel tell it when the task ends.
    fn adopt(&self, task: PortName) -> Result<ReceiveRight> {
        let port = ReceiveRight::allocate()?;
        self.ports.add(&port)?;
        let right = port.make_send()?;
        trap::task_set_special_port(task, TASK_BOOTSTRAP_PORT, right.name())?;
        trap::task_set_special_port(task, TASK_EXCEPTION_PORT, right.name())?;
        stubs::mach_port::mach_port_request_notification(
            task_self(),
            task,
            MACH_NOTIFY_DEAD_NAME as i32,
            0,
            port.name(),
            Disposition::MakeSendOnce,
        )?;
        Ok(port)
    }

    /// What `boot_list` answers about a program.
    fn describe(&self, program: &Program) -> Task {
        let mut info = [0; TASK_INFO_MAX];
        let suspended = stubs::mach::task_info(program.task.name(), TASK_BASIC_INFO, &mut info)
            .is_ok_and(|count| count > 0 && info[0] > 0);
        let state = match program.status {
            Some(_) => State::Exiting,
            None if suspended => State::Suspended,
            None => State::Running,
        };
        let mut engines = [trace_engine_t::default(); ENGINES_MAX];
        // A kernel without engines answers that it does not know the request.
        let count = trace_engines(program.task.name(), &mut engines).unwrap_or(0);
        let engines = engines.iter().take(count).map(|engine| engine_name(&engine.name)).collect();
        Task { id: program.id, state, engines, name: program.name.clone() }
    }
}

/// One request, and the program that made it.
struct Call<'s, 'a> {
    server: &'s mut Server<'a>,
    index: usize,
    ended: Option<(u32, i32)>,
}

impl Call<'_, '_> {
    fn program(&mut self) -> &mut Program {
        &mut self.server.programs[self.index]
    }
}

impl stubs::boot_server::Server for Call<'_, '_> {
    fn boot_spawn(
        &mut self,
        _bootstrap: PortName,
        arguments: &[u8],
        flags: i32,
        exit_port: SendOnceRight,
    ) -> Result<SendRight> {
        let arguments = split_arguments(arguments).map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        if flags & !SPAWN_SUSPENDED != 0 {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let parent = self.program().task.name();
        match self.server.spawn(&arguments, parent, flags & SPAWN_SUSPENDED != 0, Some(exit_port)) {
            Ok(_) => self.server.programs.last().ok_or(KernReturn::KERN_FAILURE)?.task.try_clone(),
            Err(error) => {
                // The return value has room for a number only; the reason goes to whoever watches.
                println!("bootstrap: {error}");
                Err(KernReturn::KERN_INVALID_NAME)
            }
        }
    }

    fn boot_exit(&mut self, _bootstrap: PortName, status: i32) -> Result<()> {
        self.program().status = Some(status);
        Ok(())
    }

    fn boot_list(&mut self, _bootstrap: PortName) -> Result<OutOfLine> {
        let list: String =
            self.server.programs.iter().map(|program| format!("{}\n", self.server.describe(program))).collect();
        OutOfLine::copy_of(list.as_bytes())
    }

    fn boot_read_file(&mut self, _bootstrap: PortName, name: &[u8], offset: u64) -> Result<OutOfLine> {
        let name = str::from_utf8(name).map_err(|_| KernReturn::KERN_INVALID_NAME)?;
        let member = self.server.archive.member(name).ok_or(KernReturn::KERN_INVALID_NAME)?;
        let offset = usize::try_from(offset).map_err(|_| KernReturn::KERN_INVALID_VALUE)?;
        OutOfLine::copy_of(member.get(offset..).ok_or(KernReturn::KERN_INVALID_VALUE)?)
    }

    fn boot_console(&mut self, _bootstrap: PortName) -> Result<PortName> {
        mach::console::device_name()
    }

    fn boot_tracer(&mut self, _bootstrap: PortName, interrupt: SendOnceRight) -> Result<impl AsRef<[u8]>> {
        if !self.program().is_tracer {
            return Err(KernReturn::KERN_NO_ACCESS);
        }
        let id = self.program().id;
        // Who asks again is told once.
        self.server.tracers.retain(|(tracer, _)| *tracer != id);
        self.server.tracers.push((id, interrupt));
        self.server.tell_tracer();
        Ok(self.server.privileges.key.bytes().to_vec())
    }

    fn boot_directory(&mut self, _bootstrap: PortName) -> Result<OutOfLine> {
        let names: String = self.server.archive.names().map(|name| name + "\n").collect();
        OutOfLine::copy_of(names.as_bytes())
    }
}

impl stubs::exc_server::Server for Call<'_, '_> {
    /// Reports the crash and ends the task. A task that a program made itself inherits its exception port: its crash is
    /// reported as such and does not become the program's status.
    fn exception_raise(
        &mut self,
        _exception_port: PortName,
        thread: SendRight,
        task: SendRight,
        exception: i32,
        code: i32,
        subcode: i64,
    ) -> Result<()> {
        let crash = Crash { thread: thread.name(), exception, code, subcode }.describe();
        let program = self.program();
        if program.task.name() == task.name() {
            program.status = Some(CRASH_STATUS + exception);
            println!("{}: killed by {crash}", program.name);
        } else {
            println!("{}: a task that it made was killed by {crash}", program.name);
        }
        let _ = trap::task_terminate(task.name());
        // The thread that would have read the answer is gone with its task.
        Err(KernReturn::MIG_NO_REPLY)
    }
}

impl stubs::notify_server::Server for Call<'_, '_> {
    /// The program's task is gone.
    fn mach_notify_dead_name(&mut self, _notify: PortName, name: PortName) -> Result<()> {
        // The notification carries a reference of the dead name.
        drop(SendRight::from_name(name));
        if self.program().task.name() != name {
            return Ok(());
        }
        let program = self.server.programs.remove(self.index);
        self.server.tracers.retain(|(tracer, _)| *tracer != program.id);
        let status = program.status.unwrap_or(0);
        if let Some(exit_port) = program.exit_port {
            // Whoever asked may be gone itself.
            let _ = stubs::boot::boot_exited(exit_port, status);
        }
        self.ended = Some((program.id, status));
        Ok(())
    }
}
