// SPDX-License-Identifier: GPL-2.0-or-later
//! Profiles as users make and use them: `cargo qemu profile`, `--dbg`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::guest::{all, qemu, setting};

/// The committed profiles, with the options that choose their kernels; the first is that of the default kernel.
const PROFILES: [(&str, &[&str]); 3] = [
    ("trixie-amd64-up", &[]),
    ("sid-amd64-up", &["--suite", "sid"]),
    ("sid-amd64-smp", &["--suite", "sid", "--flavour", "smp"]),
];

fn committed(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu/profiles")).join(format!("{name}.profile"))
}

/// Of the default kernel; with `--all` also of the newest ones.
#[test]
#[ignore = "needs kernels: run cargo qemu test"]
fn profiles_are_made_again_byte_for_byte() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, options) in if all()? { &PROFILES[..] } else { &PROFILES[..1] } {
        let file = folder.path().join(name);
        let output =
            Command::new(setting("RPCTRACE2_QEMU")?).args(*options).arg("profile").arg("-o").arg(&file).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {errors}");
        let (made, committed) = (fs::read_to_string(&file)?, fs::read_to_string(committed(name))?);
        let again = format!("cargo qemu {} profile", options.join(" "));
        ensure!(made == committed, "{name}: differs; if Debian has a new kernel, `{again}` writes its profile");
        // Each name has two rules or more behind it.
        let printed = String::from_utf8_lossy(&output.stdout);
        let names: Vec<&str> = printed.lines().filter(|line| line.starts_with("name ")).collect();
        ensure!(names.len() == made.lines().filter(|line| is_symbol(line)).count(), "{printed}");
        let doubtful = names.iter().find(|line| !line.contains("; "));
        ensure!(doubtful.is_none(), "{doubtful:?}");
    }
    Ok(())
}

fn is_symbol(line: &str) -> bool {
    ["function ", "label ", "data "].into_iter().any(|kind| line.starts_with(kind))
}

#[test]
#[ignore = "needs kernels: run cargo qemu test"]
fn a_kernel_of_ones_own_is_instrumented_by_a_profile() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (kernel, dbg) = (setting("RPCTRACE2_PRODUCTION")?, setting("RPCTRACE2_KERNEL")?);
    let made = qemu(&["profile", &kernel, "--dbg", &dbg, "-o", &place("own.profile")])?;
    ensure!(made.status == Some(0), "{}", made.stderr);
    for (names, out) in [(place("own.profile"), "by-profile"), (dbg, "by-dbg")] {
        let run = qemu(&["instrument", &kernel, "--dbg", &names, "-o", &place(out)])?;
        ensure!(run.status == Some(0), "{}", run.stderr);
    }
    for suffix in ["", ".elf32", ".layout"] {
        let read = |name: &str| fs::read(place(&format!("{name}{suffix}"))).with_context(|| name.to_owned());
        ensure!(read("by-profile")? == read("by-dbg")?, "{suffix}");
    }
    Ok(())
}

#[test]
#[ignore = "needs kernels: run cargo qemu test"]
fn what_is_no_pair_for_a_profile_is_one_clear_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out").to_string_lossy().into_owned();
    let (kernel, dbg) = (setting("RPCTRACE2_PRODUCTION")?, setting("RPCTRACE2_KERNEL")?);
    let profile = committed("trixie-amd64-up").to_string_lossy().into_owned();
    for (kernel, dbg, expected) in [
        (&dbg, &dbg, "has symbols of its own: it needs no profile"),
        (&kernel, &profile, "expected the -dbg kernel that a profile is made by, found a profile"),
        (&kernel, &kernel, "stripped kernel: no symbol table (.symtab)"),
    ] {
        let run = qemu(&["profile", kernel, "--dbg", dbg, "-o", &out])?;
        ensure!(run.status == Some(125) && run.stderr.contains(expected), "{expected}:\n{}", run.stderr);
    }
    ensure!(!Path::new(&out).exists(), "nothing is written");
    let damaged = folder.path().join("damaged.profile");
    fs::write(&damaged, fs::read_to_string(&profile)?.replace("member task 24 8", "member task 32 8"))?;
    let run = qemu(&["instrument", &kernel, "--dbg", &damaged.to_string_lossy(), "-o", &out])?;
    ensure!(run.status == Some(125) && run.stderr.contains("damaged.profile: line "), "{}", run.stderr);
    Ok(())
}
