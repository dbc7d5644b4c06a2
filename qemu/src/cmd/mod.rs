// SPDX-License-Identifier: GPL-2.0-or-later
//! One file per verb: takes the parsed options, calls the library, prints.

pub(crate) mod autopsy;
pub(crate) mod bench;
pub(crate) mod deb;
pub(crate) mod doctor;
pub(crate) mod explain;
mod follow;
pub(crate) mod hurd;
pub(crate) mod image;
pub(crate) mod instrument;
pub(crate) mod profile;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod rpctrace2;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod soak;
pub(crate) mod test;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use ::rpctrace2::host::outputs::{Named, Role};
use ::rpctrace2::options::place::Here;
use ::rpctrace2::options::{self, Request};
use anyhow::Result;
use protocol::archive::HOST_PROGRAM;
use protocol::replay::SCRIPT;
use protocol::{DEVICE_PORT_ARGUMENT, HOST_PORT_ARGUMENT};
use qemu::archive::host_program;
use qemu::guest::RPCTRACE2;
use qemu::instrument::{KERNEL, NAMES};
use qemu::setup::{self, Choices, Prepared};
use qemu::ui::say;
use qemu::vm::{self, Input, Interrupt, Limits, Outcome, Paint, Sinks};

use crate::cli::Options;

/// The bytes of a program that comes from the host.
type HostProgram = Option<Vec<u8>>;

/// The file of the host that a command runs, if it runs one.
fn host_file(command: &[String]) -> Option<PathBuf> {
    command.get(innermost(command)).filter(|word| word.contains('/')).map(PathBuf::from)
}

/// What a machine is made of, where it is no output of ours: kernels, and the program.
fn inputs<'a>(choices: &'a Choices, program: Option<&'a Path>) -> Vec<Role<'a>> {
    let kernel = choices.kernel.iter().map(|path| Role { role: KERNEL, path });
    let names = choices.dbg.iter().map(|path| Role { role: NAMES, path });
    let program = program.map(|path| Role { role: "the program that is run", path });
    kernel.chain(names).chain(program).collect()
}

/// If the word of a command that names its program is the path of a host file, reads it and replaces the word by what starts it.
fn take_host_program(command: &mut [String]) -> Result<HostProgram> {
    let innermost = innermost(command);
    let Some(word) = command.get_mut(innermost).filter(|word| word.contains('/')) else { return Ok(None) };
    let (name, contents) = host_program(Path::new(word.as_str()))?;
    *word = name;
    Ok(Some(contents))
}

/// Which word of a command names the program that is run at last: what is traced may be a tracer, too.
fn innermost(command: &[String]) -> usize {
    let mut at = 0;
    while command.get(at).is_some_and(|word| word == RPCTRACE2) {
        let words = command.iter().skip(at + 1).map(String::as_str);
        match options::parse(words, Here::Guest) {
            Ok(Request::Trace { command: inner, .. }) if !inner.is_empty() => at = command.len() - inner.len(),
            _ => break,
        }
    }
    at
}

/// Other spellings of the variables for privileged rights, which shells leave alone where nobody thinks of quotation marks.
fn spelled_out(argument: &str) -> String {
    [HOST_PORT_ARGUMENT, DEVICE_PORT_ARGUMENT].into_iter().fold(argument.to_owned(), |text, variable| {
        let other = variable.trim_start_matches('$');
        // Put back what was spelled with it already.
        text.replace(other, variable).replace(&format!("${variable}"), variable)
    })
}

/// What a machine runs, and how it is attended.
struct Launch<'a> {
    /// What is run.
    arguments: Vec<String>,
    /// The user's own program.
    program: HostProgram,
    /// What the program `replay` is to do.
    script: Option<String>,
    input: Input,
    interrupt: Interrupt,
    /// Where the trace goes; `None` if it goes among the program's output.
    trace: Option<&'a mut dyn Write>,
    /// Where it is kept.
    capture: Option<&'a mut dyn Write>,
    paint: Paint,
    /// Ends the machine when the other end is gone.
    looked_at: Option<Receiver<()>>,
}

impl Launch<'_> {
    /// With no input and no trace.
    fn of(arguments: Vec<String>) -> Self {
        Self {
            arguments,
            program: None,
            script: None,
            input: Input::None,
            interrupt: Interrupt::EndsAll,
            trace: None,
            capture: None,
            paint: Paint::default(),
            looked_at: None,
        }
    }
}

/// The user's own program as a member of the archive.
fn members(program: HostProgram) -> Vec<(&'static str, Vec<u8>)> {
    program.map(|contents| (HOST_PROGRAM, contents)).into_iter().collect()
}

/// Boots a machine and returns the exit status of what it runs.
fn boot(options: &Options, choices: &Choices, launch: Launch<'_>) -> Result<u8> {
    attend(options, choices, &prepare(choices, None)?, launch)
}

/// Makes a machine ready that has this program of the archive, if one is named. Until then no file of the user's has been opened for writing.
fn prepare(choices: &Choices, named: Option<&String>) -> Result<Prepared> {
    let prepared = setup::prepare(choices)?;
    if let Some(remark) = of_unused(prepared.unused_processors) {
        say(remark);
    }
    if let Some(named) = named {
        refuse_unknown(&prepared, named)?;
    }
    Ok(prepared)
}

/// Boots a machine that is ready and returns the exit status of what it runs.
fn attend(options: &Options, choices: &Choices, prepared: &Prepared, launch: Launch<'_>) -> Result<u8> {
    let mut all = members(launch.program);
    all.extend(launch.script.map(|script| (SCRIPT, script.into_bytes())));
    let directory = prepared.boot_directory(&launch.arguments, &all)?;
    let place = directory.path().to_owned();
    let mut console = Named::new("standard output", io::stdout());
    let (mut chatter, mut nothing) = (Named::new("standard error", io::stderr()), io::sink());
    let kernel: &mut dyn Write = if options.verbose { &mut chatter } else { &mut nothing };
    // Borrowed anew, for no longer than the others.
    let trace = launch.trace.map(|trace| trace as &mut dyn Write);
    let capture = launch.capture.map(|capture| capture as &mut dyn Write);
    let mut sinks = Sinks { console: &mut console, trace, capture, kernel, paint: launch.paint };
    // QEMU has read its files when the guest speaks; gone then, they cannot be left behind by a Ctrl-C.
    let started = move || drop(directory);
    let limits = Limits { interrupt: launch.interrupt, ..prepared.limits };
    // Every run with counted instructions is the same, whatever is typed meanwhile.
    let input = if choices.icount { Input::None } else { launch.input };
    let outcome = vm::run_until(&prepared.machine, &place, input, limits, &mut sinks, launch.looked_at, started)?;
    Ok(told(outcome))
}

/// The exit status, and what is to be said of it.
fn told(outcome: Outcome) -> u8 {
    if outcome.restarted {
        say("the program restarted the machine");
    }
    shell_status(outcome.status)
}

/// What a shell can be told of a program's exit status: all of it, or 255 and a line.
fn shell_status(status: i32) -> u8 {
    u8::try_from(status).unwrap_or_else(|_| {
        say(format_args!("the program ended with {status}, which is no exit status here: 255 instead"));
        u8::MAX
    })
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

/// What to say if a kernel for one processor is to run on several, of which so many stay unused.
fn of_unused(unused: u32) -> Option<String> {
    let all = unused + 1;
    let advice = "--suite sid --flavour smp has one for several";
    (unused > 0).then(|| format!("the kernel is for one processor: {unused} of {all} stay unused ({advice})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_survive_a_shell_in_another_spelling() {
        for (written, expected) in [
            ("{host-port}", "${host-port}"),
            ("${host-port}", "${host-port}"),
            ("h={host-port},d=${device-port}", "h=${host-port},d=${device-port}"),
            ("{device-port}${host-port}", "${device-port}${host-port}"),
            ("{port}", "{port}"),
        ] {
            assert_eq!(spelled_out(written), expected);
        }
    }

    #[test]
    fn no_failure_becomes_a_success() {
        let statuses = [0, 1, 127, 255, 256, 512, -1, i32::MIN].map(shell_status);
        assert_eq!(statuses, [0, 1, 127, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn processors_that_stay_unused_are_said_to() {
        let said = of_unused(3).unwrap();
        assert!(said.starts_with("the kernel is for one processor: 3 of 4 stay unused"), "{said}");
        assert_eq!(of_unused(0), None);
    }

    #[test]
    fn the_program_behind_traced_tracers_is_the_users() {
        for (words, expected) in [
            ("./program", 0),
            ("hello rpctrace2 ./file", 0),
            ("rpctrace2", 0),
            ("rpctrace2 ./program", 1),
            ("rpctrace2 --as ./inner rpctrace2 -e task_create ./program ./argument", 6),
        ] {
            let words: Vec<String> = words.split(' ').map(String::from).collect();
            assert_eq!(innermost(&words), expected, "{words:?}");
        }
    }
}
