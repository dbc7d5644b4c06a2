// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu image -o FILE.iso [PROGRAM]`: a GRUB disk image with the instrumented kernel.

use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use qemu::fetch::programs;
use qemu::image::{self, Protocol};
use qemu::setup;
use qemu::ui::{Progress, say};
use qemu::vm::{self, Input, Machine, Paint, Sinks};
use rpctrace2::host::outputs::{Role, keep_apart};

use crate::cli::Options;
use crate::cmd::{host_file, inputs, members, refuse_unknown, spelled_out, take_host_program, told};

pub(crate) fn run(options: &Options, output: &Path, boot: bool, multiboot2: bool, command: &[String]) -> Result<u8> {
    if options.is_stock() {
        bail!("an image is made of an instrumented kernel: leave --stock out");
    }
    let mut arguments: Vec<String> = command.iter().map(|argument| spelled_out(argument)).collect();
    if arguments.is_empty() {
        arguments.push(protocol::archive::SHELL.to_owned());
    }
    let choices = options.choices();
    let file = host_file(&arguments);
    keep_apart(&[Role { role: "the image", path: output }], &inputs(&choices, file.as_deref()))?;
    let program = take_host_program(&mut arguments)?;
    let mkrescue = programs::mkrescue(options.consent(), &Progress::new(1))?;
    let prepared = setup::prepare(&choices)?;
    if program.is_none() {
        refuse_unknown(&prepared, &arguments[0])?;
    }
    let directory = prepared.boot_directory(&arguments, &members(program))?;
    let first = if multiboot2 { Protocol::Two } else { Protocol::One };
    image::write(output, &prepared.elf64(), directory.path(), first, &mkrescue)?;
    say(format_args!("written  {}", output.display()));
    if !boot {
        return Ok(0);
    }
    let disc = output.canonicalize().with_context(|| format!("reading {}", output.display()))?;
    let machine = Machine { disc: Some(disc), ..prepared.machine };
    let (mut console, mut chatter, mut nothing) = (io::stdout(), io::stderr(), io::sink());
    let kernel: &mut dyn io::Write = if options.verbose { &mut chatter } else { &mut nothing };
    let mut sinks = Sinks { console: &mut console, trace: None, capture: None, kernel, paint: Paint::default() };
    let input = if command.is_empty() { Input::Keys } else { Input::None };
    let outcome = vm::run(&machine, directory.path(), input, prepared.limits, &mut sinks, || ())?;
    Ok(told(outcome))
}
