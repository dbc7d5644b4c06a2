//! One file per verb: takes the parsed options, calls the library, prints.

pub(crate) mod bench;
pub(crate) mod doctor;
mod follow;
pub(crate) mod image;
pub(crate) mod instrument;
pub(crate) mod rpctrace2;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod soak;
pub(crate) mod test;

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use qemu::archive::host_program;
use qemu::setup::{self, Choices, Prepared};
use qemu::vm::{self, Input, Sinks};

use crate::cli::Options;

/// A program for the archive that comes from the host: its name there and its contents.
type HostProgram = Option<(String, Vec<u8>)>;

/// If `word` is the path of a host file, reads it and replaces `word` by the program's name in the archive.
fn take_host_program(word: &mut String) -> Result<HostProgram> {
    if !word.contains('/') {
        return Ok(None);
    }
    let (name, contents) = host_program(Path::new(word.as_str()))?;
    name.clone_into(word);
    Ok(Some((name, contents)))
}

/// Boots a machine that runs `arguments`, of which `named` is a program, with the trace going to `trace`, and returns the exit
/// status.
fn boot(
    options: &Options,
    choices: &Choices,
    arguments: &[String],
    named: Option<usize>,
    program: HostProgram,
    input: Input,
    trace: Option<&mut dyn Write>,
) -> Result<u8> {
    let prepared = setup::prepare(choices)?;
    if let Some(named) = named.and_then(|named| arguments.get(named)).filter(|_| program.is_none()) {
        refuse_unknown(&prepared, named)?;
    }
    let directory = prepared.boot_directory(arguments, program.into_iter().collect())?;
    let place = directory.path().to_owned();
    let (mut console, mut other) = (io::stdout(), io::stdout());
    let (mut chatter, mut nothing) = (io::stderr(), io::sink());
    let mut sinks = Sinks {
        console: &mut console,
        trace: trace.unwrap_or(&mut other),
        kernel: if options.verbose { &mut chatter } else { &mut nothing },
    };
    // QEMU has read its files when the guest speaks; gone then, they cannot be left behind by a Ctrl-C.
    let started = move || drop(directory);
    let outcome = vm::run(&prepared.machine, &place, input, prepared.limits, &mut sinks, started)?;
    // A shell keeps the low byte of an exit status too.
    Ok(outcome.status.to_le_bytes()[0])
}

/// A program that is neither in the boot archive nor a file of the host.
#[derive(Debug)]
pub(crate) struct UnknownProgram {
    program: String,
    known: Vec<String>,
}

impl std::fmt::Display for UnknownProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { program, known } = self;
        let known = known.join(", ");
        write!(f, "no program `{program}`: expected one of {known}, or the path of a static x86-64 ELF file")
    }
}

impl std::error::Error for UnknownProgram {}

/// An unknown program is refused here, where the names of the known ones can be listed, and before a machine is booted.
fn refuse_unknown(prepared: &Prepared, program: &str) -> Result<()> {
    if program == protocol::archive::SHELL || prepared.programs().any(|known| known == program) {
        return Ok(());
    }
    let known = prepared.programs().map(ToOwned::to_owned).collect();
    Err(UnknownProgram { program: program.to_owned(), known }.into())
}
