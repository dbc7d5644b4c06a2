//! Programs of the host: finds QEMU, installs it where that is possible.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::fetch::FetchError;
use crate::fetch::apt::run;
use crate::ui::Progress;

/// The QEMU that runs the guest.
pub const QEMU: &str = "qemu-system-x86_64";

/// How to get it.
pub const INSTALL_QEMU: &str = "sudo apt-get install --no-install-recommends qemu-system-x86";

/// A program in `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// QEMU, installed with apt if this is root.
pub fn qemu(progress: &Progress) -> Result<PathBuf, FetchError> {
    if let Some(found) = find(QEMU) {
        return Ok(found);
    }
    let missing = || FetchError::Missing { program: QEMU.to_owned(), install: INSTALL_QEMU.to_owned() };
    if !is_root() || find("apt-get").is_none() {
        return Err(missing());
    }
    progress.note("installing QEMU (apt-get install qemu-system-x86)");
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get").args(["-q", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = ["install", "--no-install-recommends", "qemu-system-x86"];
    // A machine whose lists are missing or old needs an update first; one that has them does not.
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    find(QEMU).ok_or_else(missing)
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
