// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu instrument KERNEL[.gz] [-o OUT]`: prints the plan, writes the instrumented kernel.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use qemu::instrument::{self, KERNEL, NAMES, Outputs};
use qemu::kernel::elf::Told;
use qemu::link::Linker;
use qemu::setup;
use qemu::ui::Progress;
use rpctrace2::host::outputs::Role;

/// Steps of the build before the kernel's turn.
const STEPS: u64 = 4;

pub(crate) fn run(path: &Path, dbg: Option<&Path>, output: Option<PathBuf>, recorder: u64) -> Result<u8> {
    let linker = Linker::find()?.with_recorder(recorder).map_err(anyhow::Error::msg)?;
    let output = output.unwrap_or_else(|| default_output(path));
    let outputs = Outputs::beside(&output);
    let names = dbg.map(|path| Role { role: NAMES, path });
    outputs.keep(&[Role { role: KERNEL, path }].into_iter().chain(names).collect::<Vec<_>>())?;
    // A file that cannot be instrumented is refused before anything is fetched or built for it.
    let (kernel, naming) = instrument::open(path, dbg).with_context(|| path.display().to_string())?;
    let mut progress = Progress::new(STEPS);
    let built = setup::build(&mut progress)?;
    progress.step("building the payload");
    let payload = built.builder.payload()?;
    drop(progress);
    let plan = instrument::instrument_kernel(&kernel, &payload, &linker, &outputs)
        .with_context(|| path.display().to_string())?;
    let mut out = io::stdout().lock();
    if let Some(Told::Profile(profile)) = kernel.told() {
        writeln!(out, "names    {} of profile {}", profile.symbols.len(), profile.path.display())?;
    }
    if let Some(naming) = naming {
        for (name, found) in naming.evidence.iter().filter(|(name, _)| kernel.was_asked(name)) {
            writeln!(out, "name     {name:<28} {found}")?;
        }
    }
    write!(out, "{plan}")?;
    for path in [&outputs.elf64, &outputs.elf32, &outputs.layout] {
        writeln!(out, "written  {}", path.display())?;
    }
    Ok(0)
}

/// `KERNEL.trace` in the current directory.
fn default_output(kernel: &Path) -> PathBuf {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    PathBuf::from(format!("{}.trace", name.strip_suffix(".gz").unwrap_or(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_output_has_no_gz() {
        assert_eq!(default_output(Path::new("/boot/gnumach-1.8.gz")), Path::new("gnumach-1.8.trace"));
        assert_eq!(default_output(Path::new("k")), Path::new("k.trace"));
    }
}
