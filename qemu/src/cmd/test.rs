// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu test`: sets everything up, lints the guest packages on their target, runs every test.

use std::env;
use std::ffi::OsString;
use std::path::{Path, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail};
use qemu::cache::Cache;
use qemu::fetch::fetch;
use qemu::fetch::packages::{
    Flavour, KERNEL, MIG, MOVING_SUITE, PRODUCTION, Package, defs_directory, fetch_defs, fetch_kernel, fetch_mig32,
    fetch_production, kernel_file, migcom,
};
use qemu::fetch::programs::{self, Consent};
use qemu::guest::workspace;
use qemu::instrument;
use qemu::setup;
use qemu::toolchain::cargo;
use qemu::ui::{Progress, say};

use crate::cli::FAILURE;

/// Where the user has the Hurd's .defs files.
const HURD_DEFS: &str = "HURD_DEFS";

/// What proptest draws its cases by, and the number that it is unless somebody asks for all tests or says another.
const CASES_SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "1");

/// Steps before the first test.
const STEPS: u64 = 8;

/// What `--all` adds: a name, the options for `cargo qemu` that lead to it, and the tests.
const OTHERS: &[(&str, &str, &[&str])] = &[
    ("the default kernel, built for debugging", "--debug-kernel", PROGRAMS),
    ("the newest kernel for one processor", "--suite sid", WITH_FIDELITY),
    ("the newest kernel for several, one there", "--suite sid --flavour smp", PROGRAMS),
    ("the newest kernel for several, two there", "--suite sid --flavour smp --smp 2", WITH_FIDELITY),
    ("the newest kernel for several, four there", "--suite sid --flavour smp --smp 4", PROGRAMS),
    ("the newest kernel, built for debugging", "--suite sid --debug-kernel", PROGRAMS),
    ("the one for several, built for debugging", "--suite sid --debug-kernel --flavour smp --smp 2", PROGRAMS),
];
/// Tests that depend on the kernel.
const PROGRAMS: &[&str] = &["--test", "programs", "--test", "trace_defs"];
/// The long one as well, which is not for machines with more processors than the host has.
const WITH_FIDELITY: &[&str] = &["--test", "programs", "--test", "trace_defs", "--test", "fidelity"];

/// Disk images that are booted through GRUB: name, options of the machine, options of the image.
const IMAGES: &[(&str, &[&str], &[&str])] =
    &[("a disk image, multiboot", &[], &[]), ("a disk image, multiboot 2", &["--suite", "sid"], &["--multiboot2"])];

/// How many inputs libFuzzer makes for each target: about a minute's worth.
const FUZZ_RUNS: [(&str, &str, &str); 4] = [
    ("mig-defs", "compiler", "-runs=6000"),
    ("mig-defs", "table", "-runs=500000"),
    ("mig-defs", "decoder", "-runs=500000"),
    ("trace-port/capture", "capture", "-runs=500000"),
];

/// Suites with other versions of the interfaces: 2022, and the newest.
const OTHER_DEFS: [&str; 2] = ["bookworm", MOVING_SUITE];

pub(crate) fn run(all: bool, consent: Consent, arguments: &[String]) -> Result<u8> {
    // Taken now: building the tests may replace the file of the running program.
    let this = env::current_exe()?;
    let mut progress = Progress::new(STEPS);
    progress.step("looking for QEMU and what else the tests run");
    for get in
        [programs::qemu, programs::mke2fs, programs::chromium, programs::tshark, programs::sqlite3, programs::tmux]
    {
        get(consent, &progress)?;
    }
    let built = setup::build(&mut progress)?;
    progress.step("looking for Debian's MIG");
    let cache = Cache::open().context("opening the cache")?;
    let found = fetch(&cache, &[MIG, PRODUCTION, KERNEL], &progress)?;
    let [mig, production, debug] = &found[..] else {
        bail!("{MIG}, {PRODUCTION} or {KERNEL} is not in the cache after it was fetched")
    };
    progress.step("building the payload");
    let payload = built.builder.payload()?;
    progress.step("building the guest's programs");
    built.builder.userland()?;
    // Tests read the kernel many times; unpacked it is quicker.
    let unpacked = |name: &str, package: &Package| -> Result<OsString> {
        let file = built.target.join(name);
        instrument::write(&file, &instrument::read_kernel(&kernel_file(package))?)?;
        Ok(file.into_os_string())
    };
    let (kernel, production) = (unpacked("stock-kernel", debug)?, unpacked("production-kernel", production)?);
    drop(progress);

    let mut variables = vec![
        ("GNUMACH_DEFS", built.defs.clone().into_os_string()),
        ("MIGCOM", migcom(mig).into_os_string()),
        ("RPCTRACE2_KERNEL", kernel),
        ("RPCTRACE2_PRODUCTION", production),
        ("RPCTRACE2_PAYLOAD", payload.into_os_string()),
        ("RPCTRACE2_QEMU", this.clone().into_os_string()),
        ("RPCTRACE2_ALL", if all { "1" } else { "0" }.into()),
    ];
    variables.extend(hurd_defs()?);
    variables.extend(cases(all));
    let mut failed = Vec::new();
    lint(&mut built.builder.clippy(), &mut failed)?;
    for (name, packages) in [
        ("tests of the host packages", &["--features", "mig-defs/compiler"][..]),
        ("tests of the servers' logic", &["-p", "bootstrap", "-p", "small-hurd", "--lib"]),
    ] {
        let mut command = cargo();
        command.arg("test").args(packages).current_dir(workspace()).envs(variables.clone());
        command.args(["--no-fail-fast", "--", "--include-ignored"]).args(arguments);
        run_step(name, &mut command, &mut failed)?;
    }
    for (name, options, protocol) in if all { IMAGES } else { &[] } {
        let mut command = Command::new(&this);
        command.args(*options).arg("image").args(*protocol);
        command.arg("-o").arg(built.target.join("test.iso")).args(["--boot", "rpctrace2", "hello"]);
        run_step(name, &mut command, &mut failed)?;
    }
    if all {
        interfaces(&cache, &built.defs, &variables, &mut failed)?;
        fuzz(consent, &built.target.join("fuzz"), &variables, &mut failed)?;
        fetch_newest(&cache)?;
    }
    for (name, options, tests) in if all { OTHERS } else { &[] } {
        let mut command = cargo();
        command.args(["test", "-p", "tests"]).args(*tests).arg("--no-fail-fast");
        command.current_dir(workspace()).envs(variables.clone()).env("RPCTRACE2_OPTIONS", options);
        command.args(["--", "--include-ignored"]).args(arguments);
        run_step(name, &mut command, &mut failed)?;
    }
    for name in &failed {
        say(format_args!("failed: {name}"));
    }
    Ok(if failed.is_empty() { 0 } else { FAILURE })
}

/// Lints the guest packages, if there is something to lint them with.
fn lint(clippy: &mut Command, failed: &mut Vec<&'static str>) -> Result<()> {
    if cargo().args(["clippy", "--version"]).output().is_ok_and(|output| output.status.success()) {
        return run_step("clippy of the guest packages", clippy, failed);
    }
    say("cargo clippy is not installed: the guest packages are not linted (rustup component add clippy)");
    Ok(())
}

/// A run without a change gives what the one before gave; new cases are looked for where there is time to look at them.
fn cases(all: bool) -> Option<(&'static str, OsString)> {
    let (name, seed) = CASES_SEED;
    (!all && env::var_os(name).is_none()).then(|| (name, seed.into()))
}

/// Fetches the newest kernels, and says which they are.
fn fetch_newest(cache: &Cache) -> Result<()> {
    for flavour in [Flavour::Up, Flavour::Smp] {
        let production = fetch_production(cache, MOVING_SUITE, flavour, &Progress::new(1))?;
        let debug = fetch_kernel(cache, MOVING_SUITE, flavour, &Progress::new(1))?;
        for package in [production, debug] {
            say(format_args!("kernel of {} {}", package.name, package.version));
        }
    }
    Ok(())
}

/// The variable with the Hurd's .defs files, if it is set; tests run in the folders of their packages, and so would look for them there.
fn hurd_defs() -> Result<Option<(&'static str, OsString)>> {
    let place = env::var_os(HURD_DEFS).filter(|place| !place.is_empty());
    Ok(place.map(absolute).transpose()?.map(|place| (HURD_DEFS, place.into_os_string())))
}

/// Compares the interfaces of every version with the real MIG, numbers and layouts with the headers, and what decodes with what encodes.
fn interfaces(
    cache: &Cache,
    stock: &Path,
    variables: &[(&str, OsString)],
    failed: &mut Vec<&'static str>,
) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "-p", "mach-abi", "-p", "mig-defs", "--features", "mig-defs/compiler"]);
    for test in ["headers", "facts", "migcom", "marshal", "roundtrip"] {
        command.args(["--test", test]);
    }
    command.args(["--no-fail-fast", "--", "--include-ignored", "--nocapture"]);
    command.current_dir(workspace()).envs(variables.iter().cloned());
    command.env("GNUMACH_DEFS_ALL", all_defs(cache, stock)?);
    let mig32 = fetch_mig32(cache, &Progress::new(1))?;
    command.env("GNUMACH_DEFS_I386", mig32.defs).env("MIGCOM_I386", env::join_paths(mig32.command)?);
    run_step("the interfaces of every version against the real MIG", &mut command, failed)
}

/// Runs each fuzz target for a bounded time on inputs that are the same in every run: first without libFuzzer, then with it.
fn fuzz(consent: Consent, place: &Path, variables: &[(&str, OsString)], failed: &mut Vec<&'static str>) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "-p", "mig-defs", "--features", "compiler", "--test", "fuzz", "--", "--include-ignored"]);
    command.current_dir(workspace()).envs(variables.iter().cloned());
    command.env("MIG_DEFS_SEEDS", place.join("seeds")).env("MIG_DEFS_MUTATIONS", "5000");
    run_step("the fuzz targets without libFuzzer", &mut command, failed)?;
    let mut command = cargo();
    command.args(["test", "-p", "capture", "--features", "std", "--test", "fuzz", "--", "--include-ignored"]);
    command.current_dir(workspace()).env("CAPTURE_MUTATIONS", "200000");
    command.env("CAPTURE_SEEDS", place.join("seeds/capture"));
    run_step("the fuzz target of captures without libFuzzer", &mut command, failed)?;
    programs::cxx(consent, &Progress::new(1))?;
    for (package, target, runs) in FUZZ_RUNS {
        let mut command = cargo();
        command.args(["run", "--quiet", "--release", "--bin", target, "--target-dir"]).arg(place).arg("--");
        command.args([runs, "-seed=1", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]);
        command.arg(format!("-artifact_prefix={}/{target}-", place.display())).arg(place.join("seeds").join(target));
        command.current_dir(workspace().join(package).join("fuzz")).envs(variables.iter().cloned());
        run_step("libFuzzer", &mut command, failed)?;
    }
    Ok(())
}

/// The include directories of every version of the interfaces that is still served.
fn all_defs(cache: &Cache, stock: &Path) -> Result<OsString> {
    let mut directories = vec![stock.to_path_buf()];
    for suite in OTHER_DEFS {
        match fetch_defs(cache, suite, &Progress::new(1)) {
            Ok(package) => directories.push(defs_directory(&package)),
            Err(error) => say(format_args!("the interfaces of Debian {suite} are skipped: {error}")),
        }
    }
    Ok(env::join_paths(directories)?)
}

/// Runs one step to its end whatever the others did, so that one run shows everything that is wrong.
fn run_step(name: &'static str, command: &mut Command, failed: &mut Vec<&'static str>) -> Result<()> {
    say(format_args!("== {name}"));
    if !command.status().with_context(|| format!("starting {command:?}"))?.success() {
        failed.push(name);
    }
    Ok(())
}
