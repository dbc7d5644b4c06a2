// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu rpctrace2 [OPTIONS] PROGRAM [ARGUMENTS]`: a program, traced. Its options are read here, before anything boots.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mig_defs::table::Tables;
use qemu::guest::RPCTRACE2;
use qemu::setup::{Choices, Interfaces};
use qemu::vm::{Input, Interrupt, Paint};
use rpctrace2::host::outputs::{self, Named, Role, keep_apart};
use rpctrace2::host::{Sink, compile, directories, is_colored, name_of, rpc_lists};
use rpctrace2::options::filter::expand;
use rpctrace2::options::owner::Owner;
use rpctrace2::options::place::Here;
use rpctrace2::options::{self, Host, Options, Request, inject};

use crate::cli;
use crate::cmd::{Launch, attend, boot, host_file, inputs, prepare, spelled_out, take_host_program};

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
        &[inputs(&choices, runs.as_deref()), outputs::read(&host, &outputs::interfaces(&host))].concat(),
    )?;
    let asks = !options.stops.is_empty();
    ensure!(!asks || !choices.icount, "option `--stop-at`: nothing can be typed with --icount");
    let prepared = prepare(&choices, command.first().filter(|_| program.is_none()))?;
    expand_all(&mut options, Tables::parse(prepared.tables())?)?;
    let mut sink = Sink::open(&host.output, host.append)?;
    let mut capture = match &host.capture {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {path}"))?;
            Some(Named::new(path, file))
        }
        None => None,
    };
    let mut arguments = vec![RPCTRACE2.to_owned()];
    arguments.extend(sink.is_apart().then(|| options::APART.to_owned()));
    arguments.extend(capture.is_some().then(|| options::CAPTURED.to_owned()));
    // Who types at a terminal sees it there; from elsewhere it is to be seen what was answered.
    arguments.extend((asks && io::stdin().is_terminal()).then(|| options::LINES.to_owned()));
    arguments.extend(options::guest_words(&options));
    // What follows is not read as options, and variables are for the program's task, not for rpctrace2's: the boot server takes the
    // escape away.
    arguments.push("--".to_owned());
    arguments.extend(command.iter().map(|argument| argument.replace("${", "$${")));
    let mut trace = sink.writer().map(|writer| Named::new(name_of(&host.output), writer));
    let launch = Launch {
        program,
        input: Input::Lines,
        interrupt: Interrupt::EndsTrace,
        trace: trace.as_mut().map(|trace| trace as &mut dyn Write),
        capture: capture.as_mut().map(|file| file as &mut dyn Write),
        paint: Paint { color: is_colored(&host), column: host.column },
        ..Launch::of(arguments)
    };
    let status = attend(machine, &choices, &prepared, launch);
    sink.close();
    status
}

/// Puts what the tables make of them in the place of expressions.
fn expand_all(options: &mut Options, tables: Tables<'_>) -> Result<()> {
    for expression in &mut options.expressions {
        *expression = expand("-e", expression, tables, &compile)?;
    }
    options.selecting.expand(tables, &compile)?;
    for injection in &mut options.injections {
        injection.set = expand("--inject", &injection.set, tables, &compile)?;
        injection.clone().resolve(tables)?.ids(tables)?;
    }
    for set in &mut options.stops {
        *set = expand("--stop-at", set, tables, &compile)?;
        inject::ids("--stop-at", set, tables)?;
    }
    Ok(())
}

/// The files that are written.
fn written(host: &Host) -> Vec<Role<'_>> {
    let capture = host.capture.as_ref().map(|path| Role { role: "where the capture goes", path: Path::new(path) });
    outputs::trace(host).into_iter().chain(capture).collect()
}

/// The boot server gives the tool the host's privileged port.
fn own(machine: &cli::Options, owner: Owner) -> Result<u8> {
    let words = [RPCTRACE2, "--host=${host-port}"].into_iter().chain(owner.words());
    let arguments = words.map(ToOwned::to_owned).collect();
    boot(machine, &machine.choices(), Launch { interrupt: Interrupt::EndsTrace, ..Launch::of(arguments) })
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
