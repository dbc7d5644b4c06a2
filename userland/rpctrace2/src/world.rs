// SPDX-License-Identifier: GPL-2.0-or-later
//! Where rpctrace2 runs: our own small system, a Hurd, or a machine where there is neither yet. Who starts a command, where text goes and who says that the trace is to end differ;
//! the trace does not.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use ::hurd::errno::Answer;
use exchanges::ending::Untraced;
use exchanges::fate::Told;
use mach::error::KernReturn;
use mach::port::{PortName, ReceiveRight, SendRight};
use mig_defs::table::TableError;
use thiserror::Error;
use trace_port::RecordError;

use crate::options::filter::FilterError;
use crate::options::inject::InjectError;
use crate::options::place::Here;
use crate::options::{Options, OptionsError};

mod boot;
mod embedded;
mod hurd;
mod module;

/// Exit status when the command is not there, as in shells.
const NOT_FOUND: i32 = 127;
/// Exit status when the command is there and cannot be started.
const NOT_EXECUTED: i32 = 126;
/// Exit status when rpctrace2 itself fails, as `env` and `timeout` do it: few commands use it.
pub(crate) const CANNOT_TRACE: i32 = 125;

/// Why a command cannot be traced.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Inject(#[from] InjectError),
    #[error("argument {0} is not UTF-8")]
    NotUtf8(usize),
    #[error("argument {index} holds a NUL byte at offset {offset}")]
    Nul { index: usize, offset: usize },
    #[error("{0}: command not found")]
    NotFound(String),
    #[error(
        "this kernel has no trace port (task_set_special_port 5: KERN_INVALID_ARGUMENT); boot one that `cargo qemu \
         instrument` made, without --stock"
    )]
    NoTracePort,
    #[error("{file}: {error}")]
    Tables { file: &'static str, error: TableError },
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{what}: {}", Answer(*error))]
    Kernel { what: &'static str, error: KernReturn },
    #[error("{file}: {}", Answer(*error))]
    File { file: String, error: KernReturn },
    #[error("{command}: cannot be executed: {}", Answer(*error))]
    NotExecuted { command: String, error: KernReturn },
    #[error("{0}")]
    NotOnAHurd(&'static str),
    #[error("{0}")]
    NoProcess(String),
    #[error("{0}")]
    Interfaces(String),
    #[error("`{word}`: {expected}")]
    Word { word: String, expected: &'static str },
    #[error("option `{0}`: a boot module has no files; its lines go to the kernel's console")]
    NoFiles(&'static str),
    #[error("option `--stop-at`: a boot module has no terminal, at which it could be asked")]
    NoTerminal,
    #[error(
        "`{0}`: nobody has answered there within a second; expected what the boot script's ${{host-port}} or ${{device-port}} becomes"
    )]
    Silent(String),
    #[error("options `-I`, `-i`, `--nostdinc`: a boot module has no files; it decodes with the tables inside it")]
    NoInterfaces,
    #[error("{name}: {}", Answer(*error))]
    NotAttached { name: String, error: KernReturn },
    #[error(
        "this kernel has no engines, which `--as`, `--inject`, `--stop-at`, `--ool`, `--engines`, `-p all` and `owner` need (trace_version: {0}); boot one that `cargo qemu instrument` made"
    )]
    NoEngines(KernReturn),
    #[error("this kernel's engines are of version {0}, this rpctrace2's of version {version}", version = trace_port::control::VERSION)]
    OtherEngines(u32),
    #[error("option `--as`: the command has an engine that is called {0}")]
    EngineExists(String),
    #[error("{name}: has as many engines as there may be; `rpctrace2 --engines -p` lists them")]
    EnginesFull { name: String },
    #[error("the system trace is owned by {0}, and nobody else's as long as that lives; `rpctrace2 owner` says more")]
    Owned(String),
    #[error(
        "`owner`: a change takes the host's privileged port; in the small system --host=${{host-port}} before `owner` is that"
    )]
    NoHost,
    #[error("{name}: has an engine that is called {engine}; `rpctrace2 --engines -p` lists them")]
    HasEngine { name: String, engine: String },
}

impl Failure {
    pub(crate) fn status(&self) -> i32 {
        match self {
            Self::NotFound(_) => NOT_FOUND,
            Self::NotExecuted { .. } => NOT_EXECUTED,
            _ => CANNOT_TRACE,
        }
    }
}

/// Says what the kernel was asked for when it refused.
pub(crate) fn doing<T>(what: &'static str, result: Result<T, KernReturn>) -> Result<T, Failure> {
    result.map_err(|error| Failure::Kernel { what, error })
}

/// What a message to one of a world's ports says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The command has ended: how, and what a shell would have in `$?`.
    Ended(Told, i32),
    /// The command has ended, or will, but nobody says how: this is what was answered instead.
    EndUnknown(KernReturn),
    /// The user wants the trace to end.
    Interrupted,
    /// The user has interrupted what runs at the terminal: the command, too, which may have its own mind about it.
    CommandInterrupted,
    /// Nothing that the trace needs to know.
    Nothing,
    /// It came to a port of somebody else, and what it brought is still to be given back.
    NotOurs,
}

/// A task that is traced although it runs already.
pub(crate) struct Target {
    pub(crate) task: SendRight,
    pub(crate) name: String,
}

/// Waits for keys, and puts them into the buffer; how many.
type Read = dyn Fn(&mut [u8]) -> mach::error::Result<usize> + Send + Sync;
/// Writes all of a text.
type Write = dyn Fn(&[u8]) -> mach::error::Result<()> + Send + Sync;

/// Where the user is asked.
pub(crate) struct Terminal {
    /// If it reads no key there are no more.
    pub(crate) read: Box<Read>,
    pub(crate) write: Box<Write>,
    /// What is typed is shown by nobody else.
    pub(crate) echoes: bool,
}

/// Where rpctrace2 runs.
pub(crate) trait World {
    /// Says why nothing is traced, where the trace would have gone.
    fn complains(&self) -> fn(&str);

    /// Takes the words of the command line that only this world knows.
    fn own_words<'a>(&mut self, words: Vec<&'a str>) -> Vec<&'a str>;

    /// Which options are followed here.
    fn place(&self) -> Here;

    /// Takes what of the options is its own: where text goes.
    fn prepare(&mut self, options: &Options) -> Result<(), Failure>;

    /// The decode tables.
    fn tables(&self) -> Result<&'static [u8], Failure>;

    /// The name of their file.
    fn tables_name(&self) -> &'static str;

    /// Whether text is kept apart from what the command itself prints.
    fn is_apart(&self) -> bool;

    /// Makes the task of a command, in which nothing runs until [`World::begin`].
    fn create(&mut self, command: &[String]) -> Result<SendRight, Failure>;

    /// The processes of `-p`.
    fn processes(&mut self, wanted: &[String]) -> Result<Vec<Target>, Failure>;

    /// The host's privileged port, if what is traced is to be the system trace that others may take over.
    fn background(&mut self) -> Option<SendRight> {
        None
    }

    /// The host's privileged port.
    fn privileged_host(&mut self) -> Result<SendRight, Failure>;

    /// The user's terminal.
    fn terminal(&self) -> Result<Terminal, Failure>;

    /// Lets the command run.
    fn begin(&mut self) -> Result<(), Failure>;

    /// Where it hears of what [`World::heard`] tells.
    fn ports(&self) -> Vec<&ReceiveRight>;

    /// Takes a message that came to a port.
    fn heard(&mut self, port: PortName, message: &[u64]) -> Heard;

    /// What became of a command whose task is gone although the command is not, if that can be.
    fn successor(&self) -> Option<Untraced>;

    /// Writes text of the trace.
    fn write(&mut self, text: &str) -> Result<(), Failure>;

    /// Whether the trace is kept in a file.
    fn has_capture(&self) -> bool {
        false
    }

    /// Appends bytes to that file.
    fn capture(&mut self, _bytes: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    /// Nothing is traced any more: waits until all text is written.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// Our world is one of two, or there is none yet but the kernel: the words say that.
pub(crate) fn find(words: &[&str]) -> Result<Box<dyn World>, Failure> {
    if words.first() == Some(&module::BOOT) {
        return Ok(Box::new(module::Module::default()));
    }
    match ::hurd::startup::get() {
        Some(startup) => Ok(Box::new(hurd::Hurd::new(startup)?)),
        None => Ok(Box::new(boot::Boot::new()?)),
    }
}
