// SPDX-License-Identifier: GPL-2.0-or-later
//! Our own small system: the boot server starts commands from its archive, and text goes to the console on a channel of its own.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exchanges::ending::Untraced;
use exchanges::fate::Told;
use mach::boot;
use mach::error::KernReturn;
use mach::memory::OutOfLine;
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::{console, stubs};
use protocol::archive::{self, INTERFACES};
use protocol::channel::Channel;

use super::{Failure, Heard, Target, Terminal, World, doing};
use crate::options::place::Here;
use crate::options::{self, Options};

/// What the boot server does for us.
pub(crate) struct Boot {
    /// Hears that the command has ended.
    exit: ReceiveRight,
    /// Hears that the user wants the trace to end.
    interrupt: ReceiveRight,
    /// The command's, as long as it has not begun.
    suspended: Option<PortName>,
    is_apart: bool,
    /// The host keeps the trace in a file.
    has_capture: bool,
    /// The host's terminal shows what is typed.
    has_lines: bool,
    /// The host's privileged port, if we have been given it.
    host: Option<SendRight>,
}

/// What stands before the name of the host's privileged port, which the boot server writes for `${host-port}`.
const HOST: &str = "--host=";

/// Bytes in a line of base64: short enough that it is in one message to the console device.
const LINE: usize = 720;

impl Boot {
    pub(crate) fn new() -> Result<Self, Failure> {
        let interrupt = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let exit = doing("mach_port_allocate", ReceiveRight::allocate())?;
        console::set_key(doing("boot_tracer", boot::tracer(&interrupt))?);
        Ok(Self { exit, interrupt, suspended: None, is_apart: false, has_capture: false, has_lines: false, host: None })
    }
}

impl World for Boot {
    fn complains(&self) -> fn(&str) {
        |text| {
            // Where that fails, nobody can be told.
            let _ = console::write_on(Channel::Trace, text.as_bytes());
        }
    }

    fn own_words<'a>(&mut self, mut words: Vec<&'a str>) -> Vec<&'a str> {
        while let Some(word) = words.first() {
            match *word {
                options::APART => self.is_apart = true,
                options::CAPTURED => self.has_capture = true,
                options::LINES => self.has_lines = true,
                word => match word.strip_prefix(HOST).and_then(|name| name.parse().ok()).map(PortName) {
                    Some(name) if name.is_valid() => self.host = Some(SendRight::from_name(name)),
                    _ => break,
                },
            }
            words.remove(0);
        }
        words
    }

    fn place(&self) -> Here {
        Here::Guest
    }

    fn prepare(&mut self, _options: &Options) -> Result<(), Failure> {
        Ok(())
    }

    fn tables(&self) -> Result<&'static [u8], Failure> {
        let file: OutOfLine = doing("boot_read_file of etc/interfaces.mdt", boot::read_file(INTERFACES, 0))?;
        Ok(file.leak())
    }

    fn tables_name(&self) -> &'static str {
        INTERFACES
    }

    fn is_apart(&self) -> bool {
        self.is_apart
    }

    fn create(&mut self, command: &[String]) -> Result<SendRight, Failure> {
        let name = command.first().map_or("", String::as_str);
        let arguments = archive::join_arguments(command).map_err(|error| match error {
            archive::ArgumentsError::EmbeddedNul { index, offset } => Failure::Nul { index, offset },
            _ => Failure::NotFound(name.to_string()),
        })?;
        let task = boot::spawn(&arguments, true, &self.exit).map_err(|error| match error {
            KernReturn::KERN_INVALID_NAME => Failure::NotFound(name.to_string()),
            error => Failure::Kernel { what: "boot_spawn", error },
        })?;
        self.suspended = Some(task.name());
        Ok(task)
    }

    fn processes(&mut self, _wanted: &[String]) -> Result<Vec<Target>, Failure> {
        // The option is refused before.
        Ok(Vec::new())
    }

    fn privileged_host(&mut self) -> Result<SendRight, Failure> {
        self.host.take().ok_or(Failure::NoHost)
    }

    fn terminal(&self) -> Result<Terminal, Failure> {
        let (read, write) = (Box::new(console::read), Box::new(console::write));
        Ok(Terminal { read, write, echoes: !self.has_lines })
    }

    fn begin(&mut self) -> Result<(), Failure> {
        match self.suspended.take() {
            Some(task) => doing("task_resume", stubs::mach::task_resume(task)),
            None => Ok(()),
        }
    }

    fn ports(&self) -> Vec<&ReceiveRight> {
        [&self.exit, &self.interrupt].into()
    }

    fn heard(&mut self, port: PortName, message: &[u64]) -> Heard {
        if port == self.interrupt.name() {
            if boot::is_interrupt(message) { Heard::Interrupted } else { Heard::NotOurs }
        } else if port == self.exit.name() {
            boot::exit_status(message).map_or(Heard::NotOurs, |status| Heard::Ended(Told::Exited(status), status))
        } else {
            Heard::NotOurs
        }
    }

    fn successor(&self) -> Option<Untraced> {
        None
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        doing("writing to the console", console::write_on(Channel::Trace, text.as_bytes()))
    }

    fn has_capture(&self) -> bool {
        self.has_capture
    }

    fn capture(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        bytes.chunks(LINE).try_for_each(|bytes| {
            let mut line = STANDARD.encode(bytes);
            line.push('\n');
            doing("writing to the console", console::write_on(Channel::Capture, line.as_bytes()))
        })
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
