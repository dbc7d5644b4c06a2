// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu profile [-o FILE] [KERNEL --dbg DBG]`: writes down what is found in a kernel without symbols.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use qemu::cache::Cache;
use qemu::fetch::packages::{Flavour, fetch_production, kernel_file};
use qemu::instrument::{self, KERNEL, NAMES};
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::plan;
use qemu::profile::{Profile, SUFFIX, folder, is_one};
use qemu::setup::{self, Choices};
use qemu::stripped::Naming;
use qemu::ui::Progress;
use rpctrace2::host::outputs::{Role, keep_apart};

use crate::cli::Options;

/// Steps of the build before the kernel's turn.
const STEPS: u64 = 4;

pub(crate) fn run(options: &Options, files: Option<(PathBuf, PathBuf)>, output: Option<PathBuf>) -> Result<u8> {
    let choices = options.choices();
    let mut progress = Progress::new(STEPS);
    let (file, dbg, name) = kernels(&choices, files, &progress)?;
    let output = output.unwrap_or_else(|| folder().join(format!("{name}.{SUFFIX}")));
    let inputs = [Role { role: KERNEL, path: &file }, Role { role: NAMES, path: &dbg }];
    keep_apart(&[Role { role: "the profile", path: &output }], &inputs)?;
    if is_one(&dbg) {
        bail!("{}: expected the -dbg kernel that a profile is made by, found a profile", dbg.display());
    }
    let what = || file.display().to_string();
    let (kernel, naming) = instrument::open(&file, Some(&dbg)).with_context(what)?;
    let naming = naming.with_context(|| format!("{} has symbols of its own: it needs no profile", file.display()))?;
    let built = setup::build(&mut progress)?;
    progress.step("building the payload");
    let payload = built.builder.payload()?;
    drop(progress);
    let linker = Linker::find()?;
    let planned = plan::plan(&kernel, &payload, &linker).with_context(what)?;
    let profile = Profile::of(&kernel, &naming, &planned.plan, &output)?;
    let text = profile.to_string();
    // By what has been written everything is to come out as by the -dbg kernel.
    let again = Profile::parse(&output, text.as_bytes())?;
    let again = plan::plan(&KernelElf::parse_profiled(kernel.bytes().to_vec(), again)?, &payload, &linker)?;
    if again.plan != planned.plan || again.image != planned.image {
        bail!(
            "by the profile another plan is made than by the -dbg kernel: {}",
            difference(&planned.plan, &again.plan)
        );
    }
    print(&profile, &naming)?;
    instrument::write(&output, text.as_bytes())?;
    writeln!(io::stdout(), "written  {} ({} bytes)", output.display(), text.len())?;
    Ok(0)
}

/// The kernel, the one that has its names, and what the profile is to be called.
fn kernels(
    choices: &Choices,
    files: Option<(PathBuf, PathBuf)>,
    progress: &Progress,
) -> Result<(PathBuf, PathBuf, String)> {
    if let Some((file, dbg)) = files.or_else(|| choices.kernel.clone().zip(choices.dbg.clone())) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
        return Ok((file, dbg, name));
    }
    if let Some(file) = &choices.kernel {
        bail!("{}: expected --dbg with the -dbg kernel of its version beside it", file.display());
    }
    let cache = Cache::open().context("opening the cache")?;
    let production = fetch_production(&cache, &choices.suite, choices.flavour, progress)?;
    let debug = setup::debug_kernel(choices, &production, progress)?;
    let flavour = match choices.flavour {
        Flavour::Up => "up",
        Flavour::Smp => "smp",
    };
    Ok((kernel_file(&production), kernel_file(&debug), format!("{}-amd64-{flavour}", choices.suite)))
}

/// Each name with the rules that agree on where it is.
fn print(profile: &Profile, naming: &Naming) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for name in profile.symbols.keys() {
        let found = naming.evidence.get(name).map_or_else(|| "?".to_owned(), ToString::to_string);
        writeln!(out, "name     {name:<28} {found}")?;
    }
    Ok(())
}

/// The first line in which two plans differ.
fn difference(one: &plan::Plan, other: &plan::Plan) -> String {
    let (one, other) = (one.to_string(), other.to_string());
    let mut lines = one.lines().zip(other.lines()).filter(|(one, other)| one != other);
    lines.next().map_or_else(|| "in the payload".to_owned(), |(one, other)| format!("{one} / {other}"))
}
