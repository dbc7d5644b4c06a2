// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu rpctrace2 [OPTIONS] PROGRAM [ARGUMENTS]`: a program, traced. Its options are read here, before anything boots.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mig_defs::table::Tables;
use qemu::guest::RPCTRACE2;
use qemu::outputs::{Role, keep_apart};
use qemu::setup::{Choices, Interfaces, Prepared};
use qemu::vm::{Input, Interrupt, Paint};
use rpctrace2::host::{Sink, compile, directories, is_colored, rpc_lists};
use rpctrace2::options::filter::expand;
use rpctrace2::options::owner::Owner;
use rpctrace2::options::place::Here;
use rpctrace2::options::{self, Host, Output, Request, inject};

use crate::cli;
use crate::cmd::{Launch, boot, host_file, inputs, spelled_out, take_host_program};

pub(crate) fn run(machine: &cli::Options, words: &[String]) -> Result<u8> {
    let (mut options, command) = match options::parse(words.iter().map(String::as_str), Here::Host)? {
        Request::Help => return print(&options::text::help()),
        Request::Version => return print(&options::text::version()),
        Request::Owner(owner) => return own(machine, owner),
        Request::Trace { options, command } => (options, command),
    };
    let mut command: Vec<String> = command.iter().map(|argument| spelled_out(argument)).collect();
    let runs = host_file(&command);
    let program = take_host_program(&mut command)?;
    let host = std::mem::take(&mut options.host);
    let lists = rpc_lists(&host.rpc_lists)?;
    let choices = Choices {
        interfaces: Interfaces {
            directories: directories(&host, lists.as_ref()),
            nostdinc: host.nostdinc,
            host_program: program.is_some(),
        },
        environment: environment(&host.environment),
        ..machine.choices()
    };
    keep_apart(
        &written(&host),
        &[inputs(&choices, runs.as_deref()), read(&host, &interfaces(&host.directories))].concat(),
    )?;
    let mut sink = Sink::open(&host.output, host.append)?;
    let mut capture = match &host.capture {
        Some(path) => Some(File::create(path).with_context(|| format!("cannot write {path}"))?),
        None => None,
    };
    let (is_apart, is_captured, asks) = (sink.is_apart(), capture.is_some(), !options.stops.is_empty());
    ensure!(!asks || !choices.icount, "option `--stop-at`: nothing can be typed with --icount");
    let paint = Paint { color: is_colored(&host), column: host.column };
    let arguments = |prepared: &Prepared| {
        let mut options = options.clone();
        for expression in &mut options.expressions {
            *expression = expand("-e", expression, Tables::parse(prepared.tables())?, &compile)?;
        }
        options.selecting.expand(Tables::parse(prepared.tables())?, &compile)?;
        for injection in &mut options.injections {
            let tables = Tables::parse(prepared.tables())?;
            injection.set = expand("--inject", &injection.set, tables, &compile)?;
            injection.clone().resolve(tables)?.ids(tables)?;
        }
        for set in &mut options.stops {
            let tables = Tables::parse(prepared.tables())?;
            *set = expand("--stop-at", set, tables, &compile)?;
            inject::ids("--stop-at", set, tables)?;
        }
        let mut arguments = vec![RPCTRACE2.to_owned()];
        arguments.extend(is_apart.then(|| options::APART.to_owned()));
        arguments.extend(is_captured.then(|| options::CAPTURED.to_owned()));
        // Who types at a terminal sees it there; from elsewhere it is to be seen what was answered.
        arguments.extend((asks && io::stdin().is_terminal()).then(|| options::LINES.to_owned()));
        arguments.extend(options::guest_words(&options));
        // What follows is not read as options, and variables are for the program's task, not for rpctrace2's: the boot server takes the
        // escape away.
        arguments.push("--".to_owned());
        arguments.extend(command.iter().map(|argument| argument.replace("${", "$${")));
        Ok(arguments)
    };
    let launch = Launch {
        named: command.first().map(String::as_str),
        program,
        input: Input::Lines,
        interrupt: Interrupt::EndsTrace,
        trace: sink.writer(),
        capture: capture.as_mut().map(|file| file as &mut dyn Write),
        paint,
        ..Launch::of(&arguments)
    };
    let status = boot(machine, &choices, launch);
    sink.close()?;
    status
}

/// The files that are written.
fn written(host: &Host) -> Vec<Role<'_>> {
    let trace = match &host.output {
        Output::File(path) => Some(Role { role: "where the trace goes", path: Path::new(path) }),
        Output::Standard | Output::Error | Output::Command(_) => None,
    };
    let capture = host.capture.as_ref().map(|path| Role { role: "where the capture goes", path: Path::new(path) });
    trace.into_iter().chain(capture).collect()
}

/// The files that are read.
fn read<'a>(host: &'a Host, interfaces: &'a [PathBuf]) -> Vec<Role<'a>> {
    let lists = host.rpc_lists.iter().map(|path| Role { role: "a list of ids that is read", path: Path::new(path) });
    lists.chain(interfaces.iter().map(|path| Role { role: "an interface that is read", path })).collect()
}

/// What is in directories with interfaces. What cannot be read is said by who reads it.
fn interfaces(directories: &[String]) -> Vec<PathBuf> {
    let found = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
    found.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The boot server gives the tool the host's privileged port.
fn own(machine: &cli::Options, owner: Owner) -> Result<u8> {
    let arguments = |_: &Prepared| {
        let words = [RPCTRACE2, "--host=${host-port}"].into_iter().chain(owner.words());
        Ok(words.map(ToOwned::to_owned).collect())
    };
    boot(machine, &machine.choices(), Launch { interrupt: Interrupt::EndsTrace, ..Launch::of(&arguments) })
}

fn print(text: &str) -> Result<u8> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// The environment that is left when all has been put in and taken out.
fn environment(changes: &[String]) -> Vec<String> {
    let mut variables: Vec<String> = Vec::new();
    for change in changes {
        let name = change.split('=').next().unwrap_or(change);
        variables.retain(|variable| variable.split('=').next() != Some(name));
        variables.extend(change.contains('=').then(|| change.clone()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_taken_out() {
        let changes = ["A=1", "B=2", "A=3", "B", "C", "D="].map(String::from);
        assert_eq!(environment(&changes), ["A=3", "D="]);
        assert_eq!(environment(&[]), [""; 0]);
    }
}
