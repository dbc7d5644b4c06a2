//! Programs of the host: finds QEMU, installs it where that is possible.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fetch::FetchError;
use crate::fetch::apt::run;
use crate::ui::Progress;

/// The QEMU that runs the guest.
pub const QEMU: &str = "qemu-system-x86_64";

const QEMU_PACKAGES: [&str; 1] = ["qemu-system-x86"];

/// How to get it.
pub fn how_to_install_qemu() -> String {
    how_to_install(&QEMU_PACKAGES)
}

/// The one line for root, which also works where the package lists are missing or old.
fn how_to_install(packages: &[&str]) -> String {
    format!("sudo sh -c 'apt-get update && apt-get install --no-install-recommends {}'", packages.join(" "))
}

/// A program in `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// QEMU, installed with apt if this is root.
pub fn qemu(progress: &Progress) -> Result<PathBuf, FetchError> {
    program(QEMU, &QEMU_PACKAGES, progress)
}

/// The C++ compiler, which libFuzzer is built with, installed with apt if this is root.
pub fn cxx(progress: &Progress) -> Result<PathBuf, FetchError> {
    program("c++", &["g++"], progress)
}

/// What makes a bootable disk image, installed with apt if this is root.
pub fn mkrescue(progress: &Progress) -> Result<PathBuf, FetchError> {
    // Each package of GRUB_PACKAGES is needed; the programs and the directory stand for one each.
    let complete = |found: PathBuf| {
        let rest = find("xorriso").is_some() && find("mformat").is_some() && Path::new(GRUB_MODULES).is_dir();
        rest.then_some(found)
    };
    match find(MKRESCUE).and_then(complete) {
        Some(found) => Ok(found),
        None => install(MKRESCUE, &GRUB_PACKAGES, progress),
    }
}

const MKRESCUE: &str = "grub-mkrescue";
const GRUB_PACKAGES: [&str; 4] = ["grub-common", "grub-pc-bin", "mtools", "xorriso"];
const GRUB_MODULES: &str = "/usr/lib/grub/i386-pc";

fn program(name: &str, packages: &[&str], progress: &Progress) -> Result<PathBuf, FetchError> {
    find(name).map_or_else(|| install(name, packages, progress), Ok)
}

fn install(name: &str, packages: &[&str], progress: &Progress) -> Result<PathBuf, FetchError> {
    let missing = || FetchError::Missing { program: name.to_owned(), install: how_to_install(packages) };
    if !is_root() || find("apt-get").is_none() {
        return Err(missing());
    }
    progress.note(&format!("installing {name} (apt-get install {})", packages.join(" ")));
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get").args(["-q", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = [&["install", "--no-install-recommends"], packages].concat();
    // A machine whose lists are missing or old needs an update first; one that has them does not.
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    find(name).ok_or_else(missing)
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
