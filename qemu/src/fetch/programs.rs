// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs of the host: finds QEMU and others, installs them where that is possible and wanted.

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::fetch::apt::{run, run_apt};
use crate::fetch::own::Needed;
use crate::fetch::{FetchError, own};
use crate::ui::{Progress, say};

/// The QEMU that runs the guest.
pub const QEMU: &str = "qemu-system-x86_64";

const QEMU_PACKAGES: [&str; 1] = ["qemu-system-x86"];

/// What may be installed on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// What a person at the terminal says yes to; where nobody can be asked, what is needed.
    #[default]
    Ask,
    /// What is needed.
    Yes,
}

/// How to get QEMU.
pub fn how_to_install_qemu() -> String {
    how_to_install(&QEMU_PACKAGES)
}

/// How to get what makes disk images.
pub fn how_to_install_grub() -> String {
    how_to_install(&GRUB_PACKAGES)
}

/// The one line for root, which also works where the package lists are missing or old. It removes nothing.
fn how_to_install(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    format!("sudo sh -c 'apt-get update && apt-get install --no-remove --no-install-recommends {packages}'")
}

/// A program in `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// QEMU, installed with apt if this is root and that is wanted. Where installing it would remove something, it is unpacked in the cache, which takes
/// no root.
pub fn qemu(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    let cache = Cache::open()?;
    if let Some(found) = find_qemu(&cache) {
        return Ok(found);
    }
    match install(QEMU, "it runs the machine", &QEMU_PACKAGES, consent, progress) {
        Err(FetchError::WouldRemove { removed, needed, .. }) => {
            progress.note(&format!("installing {QEMU} would remove {removed}: it is unpacked in the cache instead"));
            own::unpack(&cache, QEMU, &needed, progress)
        }
        other => other,
    }
}

/// QEMU, if it is there.
pub fn find_qemu(cache: &Cache) -> Option<PathBuf> {
    find(QEMU).or_else(|| own::find(cache, QEMU))
}

/// The C++ compiler, which libFuzzer is built with, installed with apt if this is root and that is wanted.
pub fn cxx(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    program("c++", "libFuzzer is built with it", &["g++"], consent, progress)
}

/// A browser without a window, which the page of a trace is tested in, installed with apt if this is root and that is wanted.
pub fn chromium(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    let get = || install(CHROMIUM[0], "the page of a trace is tested in it", &CHROMIUM_PACKAGES, consent, progress);
    find_chromium().map_or_else(get, Ok)
}

/// A browser, if it is there.
pub fn find_chromium() -> Option<PathBuf> {
    CHROMIUM.into_iter().find_map(find)
}

/// How to get a browser.
pub fn how_to_install_chromium() -> String {
    how_to_install(&CHROMIUM_PACKAGES)
}

/// The smallest that there is, and what users may have.
const CHROMIUM: [&str; 2] = ["chromium-headless-shell", "chromium"];
/// It says nothing readable without a font.
const CHROMIUM_PACKAGES: [&str; 2] = ["chromium-headless-shell", "fonts-dejavu-core"];

/// What reads packets, with which tests read what is exported; installed with apt if this is root and that is wanted.
pub fn tshark(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    program("tshark", "the tests read exported packets with it", &["tshark"], consent, progress)
}

/// What reads databases, likewise.
pub fn sqlite3(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    program("sqlite3", "the tests read exported databases with it", &["sqlite3"], consent, progress)
}

/// A terminal without a screen, which the view of a trace is tested in, installed with apt if this is root and that is wanted.
pub fn tmux(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    program(TMUX, "the view of a trace is tested in it", &[TMUX], consent, progress)
}

/// How to get tmux.
pub fn how_to_install_tmux() -> String {
    how_to_install(&[TMUX])
}

/// A terminal without a screen: program and package.
pub const TMUX: &str = "tmux";

/// What makes ext2 file systems, installed with apt if this is root and that is wanted.
pub fn mke2fs(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    let get = || install(MKE2FS, "it makes ext2 file systems", &MKE2FS_PACKAGES, consent, progress);
    find_mke2fs().map_or_else(get, Ok)
}

/// What makes ext2 file systems, if it is there; only root's `PATH` leads there.
pub fn find_mke2fs() -> Option<PathBuf> {
    let in_sbin =
        || ["/usr/sbin", "/sbin"].map(|place| Path::new(place).join(MKE2FS)).into_iter().find(|file| file.is_file());
    find(MKE2FS).or_else(in_sbin)
}

/// How to get what makes ext2 file systems.
pub fn how_to_install_mke2fs() -> String {
    how_to_install(&MKE2FS_PACKAGES)
}

/// What makes ext2 file systems.
const MKE2FS: &str = "mke2fs";
const MKE2FS_PACKAGES: [&str; 1] = ["e2fsprogs"];

/// What makes Debian packages. It is part of every Debian, so nothing is installed for it.
pub fn dpkg_deb() -> Result<PathBuf, FetchError> {
    let missing = || FetchError::Missing { program: DPKG_DEB.to_owned(), install: how_to_install(&["dpkg"]) };
    find(DPKG_DEB).ok_or_else(missing)
}

/// What makes Debian packages.
const DPKG_DEB: &str = "dpkg-deb";

/// What makes a bootable disk image, installed with apt if this is root and that is wanted.
pub fn mkrescue(consent: Consent, progress: &Progress) -> Result<PathBuf, FetchError> {
    match (find(MKRESCUE), missing_grub().is_empty()) {
        (Some(found), true) => Ok(found),
        _ => install(MKRESCUE, "it makes disk images", &GRUB_PACKAGES, consent, progress),
    }
}

/// What of the parts that make a disk image is not here.
pub fn missing_grub() -> Vec<&'static str> {
    // Each package of GRUB_PACKAGES is needed; the programs and the directory stand for one each.
    let programs = [MKRESCUE, "xorriso", "mformat"].into_iter().filter(|name| find(name).is_none());
    programs.chain((!Path::new(GRUB_MODULES).is_dir()).then_some(GRUB_MODULES)).collect()
}

/// The program that makes disk images.
pub const MKRESCUE: &str = "grub-mkrescue";
const GRUB_PACKAGES: [&str; 4] = ["grub-common", "grub-pc-bin", "mtools", "xorriso"];
const GRUB_MODULES: &str = "/usr/lib/grub/i386-pc";

fn program(
    name: &str,
    why: &str,
    packages: &[&str],
    consent: Consent,
    progress: &Progress,
) -> Result<PathBuf, FetchError> {
    find(name).map_or_else(|| install(name, why, packages, consent, progress), Ok)
}

fn install(
    name: &str,
    why: &str,
    packages: &[&str],
    consent: Consent,
    progress: &Progress,
) -> Result<PathBuf, FetchError> {
    let missing = || FetchError::Missing { program: name.to_owned(), install: how_to_install(packages) };
    if find("apt-get").is_none() {
        return Err(missing());
    }
    let simulated = match simulate(packages) {
        Ok(simulated) => simulated,
        Err(_) if !is_root() => return Err(missing()),
        // A machine whose lists are missing or old needs an update first; one that has them does not.
        Err(_) => {
            progress.note("reading the package lists of this machine's Debian (apt-get update)");
            apt_get(&["update"])?;
            simulate(packages)?
        }
    };
    let (needed, removed) = (new_packages(&simulated), removed_packages(&simulated));
    if !removed.is_empty() {
        return Err(FetchError::WouldRemove { program: name.to_owned(), removed: removed.join(" "), needed });
    }
    if !is_root() {
        return Err(missing());
    }
    let new: Vec<&str> = needed.iter().map(|(name, _)| name.as_str()).collect();
    let what = format!("{name} is missing; {why}. To be installed: {}", enumerated(&new));
    if !progress.suspend(|| may_install(consent, &what)) {
        return Err(FetchError::NotAllowed { program: name.to_owned(), install: how_to_install(packages) });
    }
    progress.note(&format!("installing {name}"));
    apt_get(&[&["install", "-y", "--no-remove", "--no-install-recommends"], packages].concat())?;
    find(name).ok_or_else(missing)
}

/// What `apt-get install` would do.
fn simulate(packages: &[&str]) -> Result<String, FetchError> {
    apt_get(&[&["install", "-s", "--no-install-recommends"], packages].concat())
}

fn apt_get(arguments: &[&str]) -> Result<String, FetchError> {
    let mut command = Command::new("apt-get");
    command.arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    let output = run_apt(&mut command, &format!("apt-get {}", arguments.join(" ")))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The packages that a simulated `apt-get install` would install or replace, and their versions.
fn new_packages(simulated: &str) -> Vec<Needed> {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let version = rest.split_once('(')?.1.split_whitespace().next()?;
        Some((name.to_owned(), version.to_owned()))
    };
    simulated.lines().filter_map(package).collect()
}

/// The packages that a simulated `apt-get install` would remove.
fn removed_packages(simulated: &str) -> Vec<&str> {
    let lines = simulated.lines().filter_map(|line| line.strip_prefix("Remv "));
    lines.filter_map(|rest| rest.split_whitespace().next()).collect()
}

fn enumerated(packages: &[&str]) -> String {
    let names = packages.join(" ");
    if packages.len() == 1 { format!("the package {names}") } else { format!("{} packages: {names}", packages.len()) }
}

/// Says what is to be installed, and whether that is wanted.
fn may_install(consent: Consent, what: &str) -> bool {
    say(what);
    let nobody_to_ask = || !io::stdin().is_terminal() || !io::stderr().is_terminal();
    if consent == Consent::Yes || nobody_to_ask() {
        return true;
    }
    let _ = io::stderr().write_all(b"Install? [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    // What cannot be read is no yes.
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_install_is_told_and_nothing_is_removed() {
        let simulated = "Reading package lists...\nThe following NEW packages will be installed:\n  libslirp0 \
                         qemu-system-x86\nInst libslirp0 (4.8.0-1 Debian:13 [amd64])\nInst qemu-system-x86 (1:10 \
                         Debian:13 [amd64])\nConf libslirp0 (4.8.0-1)\n";
        let new = new_packages(simulated);
        let expected = [("libslirp0", "4.8.0-1"), ("qemu-system-x86", "1:10")];
        assert_eq!(new, expected.map(|(name, version)| (name.to_owned(), version.to_owned())));
        assert!(removed_packages(simulated).is_empty());
        assert_eq!(enumerated(&["libslirp0", "qemu-system-x86"]), "2 packages: libslirp0 qemu-system-x86");
        assert_eq!(enumerated(&["xorriso"]), "the package xorriso");
        assert!(how_to_install_qemu().contains(" install --no-remove --no-install-recommends qemu-system-x86'"));
    }

    #[test]
    fn what_apt_would_remove_or_replace_is_told() {
        let simulated =
            "Remv qemu-utils [1:10]\nInst seabios [1.15-1] (1.16-1 Debian:12 [all])\nConf seabios (1.16-1)\n";
        assert_eq!(removed_packages(simulated), ["qemu-utils"]);
        assert_eq!(new_packages(simulated), [("seabios".to_owned(), "1.16-1".to_owned())]);
    }

    #[test]
    fn only_yes_is_yes() {
        assert!(["y", "Y\n", "yes\n", " YES \n"].iter().all(|answer| is_yes(answer)));
        assert!(["", "\n", "n\n", "no\n", "yo\n"].iter().all(|answer| !is_yes(answer)));
    }
}
