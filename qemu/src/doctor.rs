// SPDX-License-Identifier: GPL-2.0-or-later
//! What a machine has of everything this tool needs, without changing anything.

use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::fetch::apt::{keyring, mirror, run};
use crate::fetch::packages::{DEV, KERNEL, MIG, PRODUCTION, fetched};
use crate::fetch::programs::{
    MKRESCUE, TMUX, find, find_chromium, find_mke2fs, find_qemu, how_to_install_chromium, how_to_install_grub,
    how_to_install_mke2fs, how_to_install_qemu, how_to_install_tmux, missing_grub,
};
use crate::link::Linker;
use crate::toolchain::{Core, TARGET, Toolchain};

/// One thing that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub name: &'static str,
    /// What was found, or how to get it.
    pub state: State,
}

/// Whether something is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is; the text says which.
    Found(String),
    /// It is not, and the first run that needs it gets it.
    Later(String),
    /// It is not, and somebody has to get it.
    Missing(String),
}

/// Everything, in the order it is needed.
pub fn examine(cache: &Cache) -> Vec<Finding> {
    let toolchain = Toolchain::find().ok();
    let finding = |name, state| Finding { name, state };
    vec![
        finding("cache", State::Found(cache.root().display().to_string())),
        finding("rustc", rustc(toolchain.as_ref())),
        finding("rust-lld", linker()),
        finding("gcc", program("gcc", "apt-get install gcc libc6-dev")),
        finding("core", core(toolchain.as_ref(), cache)),
        finding("apt", program("apt-get", "this tool fetches GNU Mach with apt: use a Debian machine")),
        finding("dpkg", program("dpkg", "this tool unpacks packages with dpkg: use a Debian machine")),
        finding("keyring", keyring_state()),
        finding("mirror", mirror().map_or_else(|error| State::Missing(error.to_string()), State::Found)),
        finding("kernel", package(cache, PRODUCTION)),
        finding("-dbg kernel", package(cache, KERNEL)),
        finding("interfaces", package(cache, DEV)),
        finding("mig", package(cache, MIG)),
        finding("qemu", found_program(find_qemu(cache), &format!("{} (or --yes, as root)", how_to_install_qemu()))),
        finding("grub", grub(&missing_grub())),
        finding("mke2fs", disks()),
        finding("chromium", browser()),
        finding(TMUX, terminal()),
    ]
}

/// The table of findings.
pub fn table(findings: &[Finding]) -> String {
    let line = |Finding { name, state }: &Finding| {
        let (word, text) = match state {
            State::Found(text) => ("found", text),
            State::Later(text) => ("later", text),
            State::Missing(text) => ("MISSING", text),
        };
        format!("{name:<11} {word:<8} {text}\n")
    };
    findings.iter().map(line).collect()
}

fn rustc(toolchain: Option<&Toolchain>) -> State {
    match toolchain {
        Some(toolchain) => {
            let version = toolchain.verbose.lines().next().unwrap_or_default();
            State::Found(format!("{version}, {}", toolchain.sysroot.display()))
        }
        None => State::Missing("install a Rust toolchain".to_owned()),
    }
}

fn linker() -> State {
    match Linker::find() {
        Ok(linker) => State::Found(linker.path().display().to_string()),
        Err(error) => State::Missing(format!("{error}; it is part of rustup's toolchains")),
    }
}

fn core(toolchain: Option<&Toolchain>, cache: &Cache) -> State {
    match toolchain.and_then(|toolchain| toolchain.existing_core(cache)) {
        Some(Core::Toolchain) => State::Found(format!("for {TARGET}, in the toolchain")),
        Some(Core::Private(path)) => State::Found(format!("for {TARGET}, built in {}", path.display())),
        None => State::Later(format!("rustup target add {TARGET}, or built from rust-src by the first run")),
    }
}

fn program(name: &str, how: &str) -> State {
    found_program(find(name), how)
}

fn found_program(found: Option<PathBuf>, how: &str) -> State {
    let Some(path) = found else { return State::Missing(how.to_owned()) };
    let output = run(Command::new(&path).arg("--version"));
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    State::Found(format!("{}, {}", path.display(), text.lines().next().unwrap_or("unknown version").trim()))
}

/// Only disk images need it.
fn grub(missing: &[&str]) -> State {
    match missing {
        [] => program(MKRESCUE, ""),
        _ => State::Later(format!("for `cargo qemu image`, lacks {}: {}", missing.join(", "), how_to_install_grub())),
    }
}

/// Only images of disks need it.
fn disks() -> State {
    let later = || State::Later(format!("for `cargo qemu hurd`: {}", how_to_install_mke2fs()));
    find_mke2fs().map_or_else(later, |path| State::Found(path.display().to_string()))
}

/// Only the tests of the page need it.
fn browser() -> State {
    let later = || State::Later(format!("for `cargo qemu test`: {}", how_to_install_chromium()));
    find_chromium().map_or_else(later, |path| State::Found(path.display().to_string()))
}

/// Only the tests of the view of a trace need it.
fn terminal() -> State {
    let later = || State::Later(format!("for `cargo qemu test`: {}", how_to_install_tmux()));
    find(TMUX).map_or_else(later, |path| State::Found(path.display().to_string()))
}

fn keyring_state() -> State {
    match keyring() {
        Some(path) => State::Found(path.display().to_string()),
        None => State::Missing("apt-get install debian-archive-keyring".to_owned()),
    }
}

fn package(cache: &Cache, name: &str) -> State {
    match fetched(cache, name) {
        Some(package) => State::Found(format!("{name} {}, {}", package.version, package.root.display())),
        None => State::Later(format!("{name} is fetched by the first run that needs it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_cache_is_filled_later() {
        let root = tempfile::tempdir().unwrap();
        let findings = examine(&Cache::at(root.path()));
        let state = |name: &str| findings.iter().find(|finding| finding.name == name).map(|finding| &finding.state);
        for name in ["kernel", "interfaces", "mig"] {
            assert!(matches!(state(name), Some(State::Later(_))), "{name}: {:?}", state(name));
        }
        assert!(matches!(state("rustc"), Some(State::Found(_))));
        assert_eq!(table(&findings).lines().count(), findings.len());
    }

    #[test]
    fn what_makes_disk_images_is_no_need_of_every_run() {
        let State::Later(text) = grub(&["xorriso", "mformat"]) else { panic!("expected later") };
        assert!(text.contains("lacks xorriso, mformat: ") && text.contains(" grub-pc-bin mtools "), "{text}");
    }
}
