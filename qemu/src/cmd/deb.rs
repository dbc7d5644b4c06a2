// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu deb -o DIR`: Debian packages of rpctrace2 and of the instrumented kernel.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use qemu::deb::{self, Source, Stock};
use qemu::fetch::programs;
use qemu::guest::{RPCTRACE2, workspace};
use qemu::instrument;
use qemu::setup;
use qemu::ui::Progress;

use crate::cli::Options;

/// Steps of the build before the packages' turn.
const STEPS: u64 = 6;

pub(crate) fn run(options: &Options, directory: &Path) -> Result<u8> {
    if options.is_stock() {
        bail!("a package is made of an instrumented kernel: leave --stock out");
    }
    if directory.exists() && !directory.is_dir() {
        bail!("cannot write packages to {}: expected a directory, found a file", directory.display());
    }
    let dpkg_deb = programs::dpkg_deb()?;
    let source = Source::of(&workspace())?;
    let mut progress = Progress::new(STEPS);
    let built = setup::build(&mut progress)?;
    progress.step("building the guest's programs");
    let userland = built.builder.userland()?;
    progress.step("building the payload and instrumenting the kernel");
    let (file, outputs) = setup::instrumented(&options.choices(), &built, &progress)?;
    progress.step("making the packages");
    let stock = Stock::of(&file, &instrument::read_kernel(&file)?)?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let program = userland.programs.iter().find(|program| program.name == RPCTRACE2);
    let program = program.with_context(|| format!("no program {RPCTRACE2}"))?;
    let changes = workspace().join("CHANGELOG.md");
    let tracer = deb::Tracer {
        path: &program.path,
        program: &read(&program.path)?,
        tables: &read(&built.generated.tables)?,
        manual: &rpctrace2::options::text::manual(),
        changes: &fs::read_to_string(&changes).with_context(|| format!("reading {}", changes.display()))?,
    };
    let kernel = deb::Kernel { stock: &stock, kernel: &read(&outputs.elf64)?, layout: &read(&outputs.layout)? };
    let packages = [deb::tracer(&tracer, &stock, &source)?, deb::kernel(&kernel, &source)];
    let written = deb::write(&packages, &source, &dpkg_deb, directory)?;
    drop(progress);
    for path in written {
        writeln!(io::stdout(), "written  {}", path.display())?;
    }
    Ok(0)
}
