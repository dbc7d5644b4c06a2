// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu hurd DISK.img`: the Hurd on a disk image, on a kernel with a trace port.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, absolute};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use qemu::disk::{self, Disk, Found};
use qemu::error::InstrumentError;
use qemu::fetch::programs;
use qemu::guest::RPCTRACE2;
use qemu::kernel::KernelElf;
use qemu::setup::{self, Choices};
use qemu::ui::{Progress, say};
use qemu::vm::typist::{Script, Typist, quoted};
use qemu::vm::{self, Input, Limits, Machine, Paint, Sinks};
use regex_lite::Regex;

use crate::cli::{Hurd, Options};
use crate::cmd::shell_status;

/// Memory in MiB for a system with all its servers, unless something else is asked for.
const MEMORY: u32 = 2048;
/// Where the second disk is mounted.
const MOUNT: &str = "/tmp/rpctrace2";
/// How long each step may take unless the user says it: until the first prompt, each other one, the command.
const BOOT: Duration = Duration::from_secs(600);
const STEP: Duration = Duration::from_secs(120);
const TIME: Duration = Duration::from_secs(600);
/// The tables' file beside the program.
const TABLES: &str = "interfaces.mdt";

pub(crate) fn run(options: &Options, hurd: &Hurd) -> Result<u8> {
    let Hurd { image, dbg, entry, write, show, .. } = hurd;
    let choices = Choices { memory: options.memory_or(MEMORY), ..options.choices() };
    if choices.kernel.is_some() || choices.processors > 1 {
        bail!("the kernel is the image's own, on one processor: leave --kernel and --smp out");
    }
    let mut disk = Disk::open(image)?;
    let found = disk::find(&mut disk, entry.as_deref())?;
    let is_instrumented = examine(&found).with_context(|| format!("{}: {}", image.display(), found.file))?;
    let place = tempfile::Builder::new().prefix("rpctrace2-").tempdir().context("making a temporary directory")?;
    let stock = place.path().join(&found.name);
    fs::write(&stock, &found.kernel).with_context(|| format!("writing {}", stock.display()))?;
    let mke2fs = programs::mke2fs(options.consent(), &Progress::new(1))?;
    // One that is instrumented already is taken as it is.
    let stock_as_it_is = choices.stock || is_instrumented;
    let choices = Choices { kernel: Some(stock), dbg: dbg.clone(), debug: false, stock: stock_as_it_is, ..choices };
    let prepared = setup::prepare(&choices).map_err(|error| match error.is::<InstrumentError>() {
        true => error.context(format!("{}: {}", image.display(), found.file)),
        // Of something that is missing on this machine the image is no part.
        false => error,
    })?;

    let directory = tempfile::Builder::new().prefix("rpctrace2-").tempdir().context("making a temporary directory")?;
    let kernel = prepared.elf32();
    let kernel = fs::read(kernel).with_context(|| format!("reading {}", kernel.display()))?;
    let mut foreign = disk::lay_out(&found, &kernel, image, directory.path())?;
    let program = prepared.program(RPCTRACE2).with_context(|| format!("no program {RPCTRACE2}"))?;
    let program = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let second = place.path().join("rpctrace2.img");
    disk::write_second(&second, &[(RPCTRACE2, &program, true), (TABLES, prepared.tables(), false)], &mke2fs)
        .context("making the second disk")?;
    let first = absolute(image).with_context(|| format!("reading {}", image.display()))?;
    foreign.drives = vec![drive(&first, 0, *write), drive(&second, 1, false)];
    let machine = Machine { foreign: Some(foreign), key: protocol::channel::Key::NONE, ..prepared.machine };
    if *show {
        return show_arguments(&machine);
    }
    say(format_args!("{} boots {} with {} modules", found.title, found.file, found.modules.len()));
    say(format_args!(
        "the second disk has /{RPCTRACE2} and /{TABLES} (wd1, or hd1 where the kernel drives disks); Ctrl-C ends the machine"
    ));
    let boot_files = directory.path().to_owned();
    // QEMU has opened its files when the guest speaks; gone then, they cannot be left behind by a Ctrl-C.
    let started = move || drop((directory, place));
    if let Some(typist) = typist(hurd, &found, choices.timeout)? {
        let limits = Limits { time: None, ..prepared.limits };
        let (mut output, mut other) = (io::stdout(), io::stderr());
        let outcome = vm::run_typed(&machine, &boot_files, typist, limits, [&mut output, &mut other], started);
        // The system's last line has no end, where it is a prompt.
        let outcome = outcome.inspect_err(|_| say(""))?;
        return Ok(shell_status(outcome.status));
    }
    let is_typed = io::stdin().is_terminal();
    // Whoever types decides how long it takes.
    let limits = Limits { time: choices.timeout.filter(|_| !is_typed), ..prepared.limits };
    let (mut console, mut kernel) = (io::stdout(), io::stdout());
    let mut sinks =
        Sinks { console: &mut console, trace: None, capture: None, kernel: &mut kernel, paint: Paint::default() };
    let outcome = vm::run(&machine, &boot_files, Input::Keys, limits, &mut sinks, started)?;
    Ok(shell_status(outcome.status))
}

/// Who types the command, if there is one.
fn typist(hurd: &Hurd, found: &Found, timeout: Option<Duration>) -> Result<Option<Typist>> {
    if hurd.command.is_empty() {
        return Ok(None);
    }
    let shell = Regex::new(&hurd.prompt).map_err(|error| anyhow!("--prompt: {error}"))?;
    let password = match &hurd.password_file {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        None => None,
    };
    // The kernel's words say by which driver the first disk is read.
    let words = String::from_utf8_lossy(&found.words);
    let disk = if words.contains(":hd0") { "hd1" } else { "wd1" };
    let step = hurd.step_timeout.map(Duration::from_secs);
    let command: Vec<String> = hurd.command.iter().map(|word| quoted(word)).collect();
    let script = Script {
        shell,
        password,
        before: format!("PATH={MOUNT}:$PATH; settrans -ac {MOUNT} /hurd/ext2fs --readonly /dev/{disk}"),
        command: command.join(" "),
        after: hurd.write.then(|| "sync".to_owned()),
        boot: step.unwrap_or(BOOT),
        step: step.unwrap_or(STEP),
        time: timeout.unwrap_or(TIME),
    };
    Typist::new(script, Instant::now()).map(Some).map_err(|why| anyhow!(why))
}

/// Refuses what is no kernel for this, before anything is fetched or built; answers whether it is instrumented already.
fn examine(found: &Found) -> Result<bool> {
    match KernelElf::parse(found.kernel.clone()) {
        Ok(_) | Err(InstrumentError::Stripped { .. }) => Ok(false),
        Err(InstrumentError::AlreadyInstrumented) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// A disk for QEMU, in whose options a comma is two.
fn drive(file: &Path, index: u32, write: bool) -> OsString {
    let mut words = b"format=raw,if=ide,media=disk,".to_vec();
    words.extend(format!("index={index},snapshot={},file=", if write { "off" } else { "on" }).bytes());
    for byte in file.as_os_str().as_bytes() {
        words.extend(std::iter::repeat_n(*byte, if *byte == b',' { 2 } else { 1 }));
    }
    OsString::from_vec(words)
}

/// What QEMU would be told, one word a line.
fn show_arguments(machine: &Machine) -> Result<u8> {
    for word in [vec![machine.qemu.clone().into_os_string()], machine.arguments()].concat() {
        writeln!(io::stdout(), "{}", word.to_string_lossy())?;
    }
    Ok(0)
}
