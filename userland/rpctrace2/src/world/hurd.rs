// SPDX-License-Identifier: GPL-2.0-or-later
//! A Hurd: commands are programs that exec loads into a task of ours, text goes to the standard error or a file, the end comes from proc.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use exchanges::ending::Untraced;
use exchanges::fate::Told;
use hurd::abi::{open, signal};
use hurd::errno::{EBADF, ENOENT, ENOTDIR};
use hurd::file::{self, File};
use hurd::message_port::MessagePort;
use hurd::names::Here as Names;
use hurd::path::{self, Command};
use hurd::spawn::{self, Child, Program};
use hurd::startup::{Startup, variable};
use hurd::wait::Ending;
use mach::error::{KernReturn, Result as Answered};
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::rt::arguments::arguments;

use super::{Failure, Heard, Target, Terminal, World, doing, embedded};
use crate::options::place::Here;
use crate::options::{Options, Output};

mod interfaces;
mod node;
mod processes;
mod writer;

use interfaces::{Interfaces, TABLES};
use writer::Writer;

/// The descriptors of standard input, standard output and standard error.
const INPUT: usize = 0;
const OUTPUT: usize = 1;
const ERROR: usize = 2;

fn write_to(startup: &Startup, descriptor: usize, text: &[u8]) -> Answered<()> {
    file::write_all(startup.descriptor(descriptor).ok_or(EBADF)?, text)
}

/// Where text goes.
enum Sink {
    Descriptor(usize),
    File(File),
    /// By a thread of its own, which has one of the others.
    Writer {
        writer: Writer,
        is_file: bool,
    },
}

impl Sink {
    fn write(&self, startup: &Startup, text: &[u8]) -> Answered<()> {
        match self {
            Self::Descriptor(number) => write_to(startup, *number, text),
            Self::File(file) => file.write_all(text),
            Self::Writer { writer, .. } => writer.post(text),
        }
    }

    /// Writes as this one does, in a thread of its own.
    fn by_thread(self, startup: &'static Startup, is_text: bool) -> Answered<Self> {
        let is_file = matches!(self, Self::File(_));
        let writer = Writer::start(is_text, move |text| self.write(startup, text))?;
        Ok(Self::Writer { writer, is_file })
    }
}

/// What is started by [`World::begin`].
struct Started {
    child: Child,
    command: Command<File>,
    arguments: Vec<u8>,
}

fn not_written(error: KernReturn) -> Failure {
    Failure::Kernel { what: "writing the trace", error }
}

/// The Hurd around us.
pub(crate) struct Hurd {
    startup: &'static Startup,
    /// Hears how the command ended.
    exit: ReceiveRight,
    signals: MessagePort,
    /// How often the user has pressed Ctrl-C.
    interrupts: u32,
    /// Where the trace goes.
    sink: Sink,
    /// The file that it is kept in.
    capture: Option<Sink>,
    started: Option<Started>,
    interfaces: Interfaces,
}

impl Hurd {
    pub(crate) fn new(startup: &'static Startup) -> Result<Self, Failure> {
        let exit = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let signals = doing("proc_setmsgport", MessagePort::register(startup))?;
        let (sink, interfaces) = (Sink::Descriptor(ERROR), Interfaces::default());
        Ok(Self { startup, exit, signals, interrupts: 0, sink, capture: None, started: None, interfaces })
    }

    fn names(&self) -> Names {
        Names(self.startup)
    }
}

impl World for Hurd {
    fn complains(&self) -> fn(&str) {
        |text| {
            if let Some(startup) = hurd::startup::get() {
                // Where that fails, nobody can be told.
                let _ = write_to(startup, ERROR, text.as_bytes());
            }
        }
    }

    fn own_words<'a>(&mut self, words: Vec<&'a str>) -> Vec<&'a str> {
        words
    }

    fn place(&self) -> Here {
        Here::Hurd
    }

    fn prepare(&mut self, options: &Options) -> Result<(), Failure> {
        self.interfaces = Interfaces::of(&options.host);
        let names = self.names();
        let named = |name: &str, append: bool| {
            let end = if append { open::APPEND } else { open::TRUNC };
            let file = names.open(name, open::WRITE | open::CREAT | end, 0o666);
            file.map_err(|error| Failure::File { file: name.to_string(), error })
        };
        self.capture = options.host.capture.as_deref().map(|name| named(name, false)).transpose()?.map(Sink::File);
        self.sink = match &options.host.output {
            Output::Error => Sink::Descriptor(ERROR),
            Output::Standard => Sink::Descriptor(OUTPUT),
            Output::File(name) => Sink::File(named(name, options.host.append)?),
            Output::Command(_) => {
                return Err(Failure::NotOnAHurd(
                    "option `-o`: rpctrace2 starts no command for its output on a Hurd; name a file",
                ));
            }
        };
        Ok(())
    }

    fn tables(&self) -> Result<&'static [u8], Failure> {
        self.interfaces.read(self.names()).map(|bytes| &*bytes.leak())
    }

    fn tables_name(&self) -> &'static str {
        TABLES
    }

    fn is_apart(&self) -> bool {
        matches!(self.sink, Sink::File(_) | Sink::Writer { is_file: true, .. })
    }

    fn create(&mut self, command: &[String]) -> Result<SendRight, Failure> {
        let name = command.first().map_or("", String::as_str);
        for (index, argument) in command.iter().enumerate() {
            if let Some(offset) = argument.bytes().position(|byte| byte == 0) {
                return Err(Failure::Nul { index, offset });
            }
        }
        let path = variable("PATH").unwrap_or(path::DEFAULT);
        let found = path::find(&mut self.names(), name, path).map_err(|error| match error {
            ENOENT | ENOTDIR => Failure::NotFound(name.to_string()),
            error => Failure::NotExecuted { command: name.to_string(), error },
        })?;
        let arguments = spawn::block(command.iter().map(String::as_bytes));
        let child = doing("task_create, proc_child", Child::create(self.startup))?;
        let task = doing("mach_port_mod_refs", child.task.try_clone());
        if task.is_err() {
            child.kill();
        }
        let task = task?;
        self.started = Some(Started { child, command: found, arguments });
        Ok(task)
    }

    fn processes(&mut self, wanted: &[String]) -> Result<Vec<Target>, Failure> {
        let targets = processes::find(self.startup, wanted)?;
        let sink = mem::replace(&mut self.sink, Sink::Descriptor(ERROR));
        self.sink = doing("starting a thread", sink.by_thread(self.startup, true))?;
        if let Some(sink) = self.capture.take() {
            self.capture = Some(doing("starting a thread", sink.by_thread(self.startup, false))?);
        }
        Ok(targets)
    }

    fn privileged_host(&mut self) -> Result<SendRight, Failure> {
        let proc = doing("proc", self.startup.proc())?;
        doing("the host's privileged port: proc_getprivports", processes::privileged_host(proc))
    }

    fn terminal(&self) -> Result<Terminal, Failure> {
        let startup = self.startup;
        let read = move |buffer: &mut [u8]| match startup.descriptor(INPUT) {
            Some(input) => file::read(input, buffer),
            None => Ok(0),
        };
        let write = move |text: &[u8]| write_to(startup, ERROR, text);
        // Its server does, or another program has told it not to.
        Ok(Terminal { read: Box::new(read), write: Box::new(write), echoes: false })
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let Some(Started { child, command, arguments: words }) = &self.started else { return Ok(()) };
        let environment = arguments().map(|arguments| spawn::block(arguments.environment())).unwrap_or_default();
        let absolute = path::absolute(&command.name, variable("PWD")).unwrap_or_default();
        let program = Program {
            file: &command.file,
            name: &command.name,
            absolute: &absolute,
            arguments: words,
            environment: &environment,
        };
        child
            .exec(self.startup, &program)
            .map_err(|error| Failure::NotExecuted { command: command.name.clone(), error })?;
        doing("proc_waitid", child.wait(self.startup, &self.exit))
    }

    fn ports(&self) -> Vec<&ReceiveRight> {
        [&self.exit, &self.signals.port].into()
    }

    fn heard(&mut self, port: PortName, message: &[u64]) -> Heard {
        if port == self.exit.name() {
            return match spawn::ended(message) {
                Ok(ending @ Ending::Exited(status)) => Heard::Ended(Told::Exited(status.into()), ending.shell_status()),
                Ok(ending @ Ending::Signaled(number)) => {
                    Heard::Ended(Told::Signaled(signal::name(number.into())), ending.shell_status())
                }
                Err(error) => Heard::EndUnknown(error),
            };
        }
        if port != self.signals.port.name() {
            return Heard::NotOurs;
        }
        match self.signals.answer(self.startup, message) {
            Some(signal::INT) if self.started.is_some() && self.interrupts == 0 => {
                self.interrupts += 1;
                Heard::CommandInterrupted
            }
            Some(signal::INT | signal::QUIT | signal::TERM | signal::HUP) => Heard::Interrupted,
            _ => Heard::Nothing,
        }
    }

    fn successor(&self) -> Option<Untraced> {
        let started = self.started.as_ref()?;
        let successor = started.child.successor(self.startup)?;
        (successor != started.child.task.name()).then_some(Untraced::SetId)
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.sink.write(self.startup, text.as_bytes()).map_err(not_written)
    }

    fn has_capture(&self) -> bool {
        self.capture.is_some()
    }

    fn capture(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.capture.iter().try_for_each(|file| file.write(self.startup, bytes).map_err(not_written))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        [Some(&self.sink), self.capture.as_ref()].into_iter().flatten().try_for_each(|sink| match sink {
            Sink::Writer { writer, .. } => writer.finish().map_err(not_written),
            _ => Ok(()),
        })
    }
}
