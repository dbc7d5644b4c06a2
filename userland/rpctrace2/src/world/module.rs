// SPDX-License-Identifier: GPL-2.0-or-later
//! A boot module: `rpctrace2 --boot` is started by the kernel before a system is there, and traces that system's first tasks from their first
//! message.
//!
//! The kernel's boot script makes the tasks, inserts rights to them here and puts the rights' names into the words. Children inherit the
//! trace port, so the whole system follows; with the host's privileged port it is the system trace, which others may take over. Text goes to the kernel's own console: no server of the traced system is asked for anything.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use exchanges::ending::Untraced;
use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::{console, stubs};
use trace_port::control::VERSION_ID;

use super::{Failure, Heard, Target, Terminal, World, doing, embedded};
use crate::options::place::Here;
use crate::options::{Options, Output};

/// The first word of a boot module.
pub(super) const BOOT: &str = "--boot";

/// Milliseconds that a right is waited for.
const PATIENCE: u32 = 1000;
/// Bytes of an answer, which is not looked at.
const ANSWER: u32 = 256;
/// `D_WRITE` of device_types.h.
const D_WRITE: u32 = 2;
/// The kernel's console, by the name that devices are opened by.
const CONSOLE: &str = "console";

/// The kernel around us, and nothing else yet.
#[derive(Default)]
pub(crate) struct Module {
    /// Tasks of `--trace=NAME:PORT`.
    targets: Vec<Target>,
    /// Which of them starts the system: `--next=NAME`. The boot script's word for a right may stand in a module's line only once: the second
    /// time GNU Mach stops in an assertion.
    next: Option<String>,
    /// The right to it, or to the first if no word says which, as long as it has not begun.
    start: Option<SendRight>,
    /// A word says which task that is.
    is_named: bool,
    /// `--host=PORT`: what is traced is the system trace, which others may take over.
    host: Option<SendRight>,
    /// What was wrong with a word.
    wrong: Option<String>,
    /// A word with a right behind which nobody answers.
    silent: Option<String>,
}

impl Module {
    /// Takes a word of the boot script's, if it is one.
    fn take(&mut self, word: &str) -> bool {
        let Some((name, value)) = word.split_once('=') else { return word == BOOT };
        let right = |value: &str| match value.parse() {
            Ok(number) if PortName(number).is_valid() => Some(SendRight::from_name(PortName(number))),
            _ => None,
        };
        let taken = match name {
            "--trace" => {
                value.rsplit_once(':').and_then(|(name, port)| Some((name, right(port)?))).map(|(name, task)| {
                    self.targets.push(Target { task, name: name.to_string() });
                })
            }
            "--next" => {
                self.next = Some(value.to_string());
                Some(())
            }
            "--device" | "--host" => right(value).map(|right| match (answers(&right), name) {
                // Asked for anything it would stop the boot.
                (false, _) => self.silent = self.silent.take().or(Some(word.to_string())),
                (true, "--device") => set_console(&right),
                (true, _) => self.host = Some(right),
            }),
            _ => return false,
        };
        if taken.is_none() && self.wrong.is_none() {
            self.wrong = Some(word.to_string());
        }
        true
    }
}

/// Whether somebody answers behind a right, as the kernel does at once, or whoever sends to it is told that there is nobody. A wrong right may be to
/// any port.
fn answers(right: &SendRight) -> bool {
    let Ok(reply) = ReceiveRight::allocate() else { return true };
    let mut question = Message::new(VERSION_ID as i32, right.name(), Disposition::CopySend);
    question = question.reply_to(reply.name(), Disposition::MakeSendOnce);
    match question.send(Some(PATIENCE)) {
        KernReturn::KERN_SUCCESS => {
            !matches!(Received::receive(&reply, ANSWER, Some(PATIENCE)), Err(KernReturn::MACH_RCV_TIMED_OUT))
        }
        failure => failure != KernReturn::MACH_SEND_TIMED_OUT,
    }
}

/// Opens the kernel's console. Without it text goes there by the trap that prints.
fn set_console(master: &SendRight) {
    if let Ok(device) = stubs::device::device_open(master.name(), D_WRITE, CONSOLE) {
        console::set_device(device);
    }
}

impl Drop for Module {
    /// Whatever was wrong with us, the system starts.
    fn drop(&mut self) {
        let _ = self.begin();
    }
}

impl World for Module {
    fn complains(&self) -> fn(&str) {
        |text| {
            // Where that fails, nobody can be told.
            let _ = console::write(text.as_bytes());
        }
    }

    fn own_words<'a>(&mut self, words: Vec<&'a str>) -> Vec<&'a str> {
        let mut rest: Vec<&str> = words.into_iter().filter(|word| !self.take(word)).collect();
        let named = self.targets.iter().find(|target| self.next.as_ref() == Some(&target.name));
        self.is_named = named.is_some();
        // Without a room for the reference the system could not run either.
        self.start = named.or(self.targets.first()).and_then(|target| target.task.try_clone().ok());
        // To the options they are processes.
        rest.extend(self.targets.iter().flat_map(|_| ["-p", "a task"]));
        rest
    }

    fn place(&self) -> Here {
        Here::Hurd
    }

    fn prepare(&mut self, options: &Options) -> Result<(), Failure> {
        if let Some(word) = self.wrong.take() {
            let expected = "expected --trace=NAME:PORT, --next=NAME, --device=PORT or --host=PORT, a PORT being what the boot \
                            script's ${...} becomes";
            return Err(Failure::Word { word, expected });
        }
        if options.host.output != Output::Error {
            return Err(Failure::NoFiles("-o"));
        }
        if !options.stops.is_empty() {
            return Err(Failure::NoTerminal);
        }
        if options.host.capture.is_some() {
            return Err(Failure::NoFiles("--capture"));
        }
        if options.host.nostdinc || !options.host.directories.is_empty() || !options.host.rpc_lists.is_empty() {
            return Err(Failure::NoInterfaces);
        }
        if self.host.is_some() && options.engine.is_some() {
            return Err(Failure::NotOnAHurd(
                "option `--as`: with --host= the engine is that of the system trace, which has its tool's name",
            ));
        }
        if let Some(word) = self.silent.take() {
            return Err(Failure::Silent(word));
        }
        if self.is_named {
            return Ok(());
        }
        Err(Failure::Word {
            word: format!("--next={}", self.next.as_deref().unwrap_or("")),
            expected: "expected the name in a --trace=NAME:PORT, of the task that starts the system",
        })
    }

    fn tables(&self) -> Result<&'static [u8], Failure> {
        Ok(embedded::TABLES)
    }

    fn tables_name(&self) -> &'static str {
        embedded::NAME
    }

    fn is_apart(&self) -> bool {
        false
    }

    fn create(&mut self, _command: &[String]) -> Result<SendRight, Failure> {
        Err(Failure::Word { word: BOOT.to_string(), expected: "expected tasks, not a command" })
    }

    fn processes(&mut self, _wanted: &[String]) -> Result<Vec<Target>, Failure> {
        Ok(core::mem::take(&mut self.targets))
    }

    fn background(&mut self) -> Option<SendRight> {
        self.host.take()
    }

    fn privileged_host(&mut self) -> Result<SendRight, Failure> {
        self.host.take().ok_or(Failure::NoHost)
    }

    fn terminal(&self) -> Result<Terminal, Failure> {
        Err(Failure::NoTerminal)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        match self.start.take() {
            Some(task) => doing("task_resume", stubs::mach::task_resume(task.name())),
            None => Ok(()),
        }
    }

    fn ports(&self) -> Vec<&ReceiveRight> {
        Vec::new()
    }

    fn heard(&mut self, _port: PortName, _message: &[u64]) -> Heard {
        Heard::NotOurs
    }

    fn successor(&self) -> Option<Untraced> {
        None
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        doing("writing to the console", console::write(text.as_bytes()))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
