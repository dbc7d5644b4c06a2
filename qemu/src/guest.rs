// SPDX-License-Identifier: GPL-2.0-or-later
//! Builds what runs in the guest: the payload library, the boot server, rpctrace2, the programs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fetch::FetchError;
use crate::fetch::apt::run;
use crate::toolchain::{TARGET, cargo};

/// What every build of guest code shares.
#[derive(Clone, Debug)]
pub struct Builder {
    workspace: PathBuf,
    target: PathBuf,
    flags: String,
    stubs: PathBuf,
}

/// A built program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the archive.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Everything built for user space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Userland {
    /// The boot server.
    pub bootstrap: PathBuf,
    /// rpctrace2 and the programs to trace.
    pub programs: Vec<Program>,
}

pub use protocol::archive::RPCTRACE2;

/// The workspace this tool was built from.
pub fn workspace() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let here = manifest.parent().map(Path::to_path_buf).unwrap_or_default();
    // A test of another package has its own manifest directory, also one level below the workspace.
    if here.join("kernel-ipc").is_dir() { here } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("..") }
}

/// Where guest code is built: apart from the host's, so that neither waits for the other's lock.
pub fn target_directory(workspace: &Path) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("guest")
}

impl Builder {
    /// Builds in `target` with the given flags and stubs.
    pub fn new(workspace: &Path, target: &Path, flags: &str, stubs: &Path) -> Self {
        Self {
            workspace: workspace.to_owned(),
            target: target.to_owned(),
            flags: flags.to_owned(),
            stubs: stubs.to_owned(),
        }
    }

    /// The payload's static library.
    pub fn payload(&self) -> Result<PathBuf, FetchError> {
        let mut command = self.cargo("rustc");
        run(command.args(["-p", "kernel-ipc", "--lib", "--crate-type", "staticlib"]))?;
        Ok(self.target.join(TARGET).join("release/libkernel_ipc.a"))
    }

    /// The payload's static library with a feature of its package, built apart from the ordinary one.
    pub fn payload_with(&self, feature: &str) -> Result<PathBuf, FetchError> {
        let apart = Self { target: self.target.join(format!("with-{feature}")), ..self.clone() };
        let mut command = apart.cargo("rustc");
        run(command.args(["-p", "kernel-ipc", "--lib", "--crate-type", "staticlib", "--features", feature]))?;
        Ok(apart.target.join(TARGET).join("release/libkernel_ipc.a"))
    }

    /// All programs.
    pub fn userland(&self) -> Result<Userland, FetchError> {
        let mut built = self.binaries(&["-p", "bootstrap", "-p", "small-hurd", "-p", "programs", "--bins"])?;
        let place = built.iter().position(|program| program.name == "bootstrap");
        let bootstrap = place.map(|place| built.swap_remove(place).path);
        let bootstrap = bootstrap.ok_or_else(|| FetchError::Missing {
            program: "the boot server".to_owned(),
            install: "it should be a binary of the package bootstrap".to_owned(),
        })?;
        for tracer in self.binaries(&["-p", "rpctrace2", "--features", "mach-task", "--bin", "rpctrace2-mach"])? {
            built.push(Program { name: RPCTRACE2.to_owned(), path: tracer.path });
        }
        built.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Userland { bootstrap, programs: built })
    }

    /// `cargo clippy` over what only builds for the guest, with warnings as errors.
    pub fn clippy(&self) -> Command {
        let mut command = self.cargo("clippy");
        command.args([
            "-p",
            "kernel-ipc",
            "-p",
            "mach",
            "-p",
            "hurd",
            "-p",
            "bootstrap",
            "-p",
            "small-hurd",
            "-p",
            "programs",
        ]);
        command.args(["-p", "rpctrace2", "--features", "rpctrace2/mach-task"]);
        command.args(["--", "--deny", "warnings"]);
        command
    }

    fn cargo(&self, verb: &str) -> Command {
        let mut command = cargo();
        command
            .arg(verb)
            .args(["--release", "--target", TARGET])
            .arg("--manifest-path")
            .arg(self.workspace.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&self.target)
            .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS", &self.flags)
            .env("MACH_STUBS", &self.stubs);
        command
    }

    fn binaries(&self, arguments: &[&str]) -> Result<Vec<Program>, FetchError> {
        let mut command = self.cargo("build");
        command.args(arguments).arg("--message-format=json-render-diagnostics");
        let output = run(&mut command)?;
        let executables = executables(&String::from_utf8_lossy(&output.stdout));
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(executables.into_iter().map(|path| Program { name: name(&path), path }).collect())
    }
}

/// The executables in cargo's JSON messages, one message a line. Their paths are ours and hold nothing to unescape.
fn executables(messages: &str) -> Vec<PathBuf> {
    let executable = |line: &str| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        let (path, _) = rest.split_once('"')?;
        Some(PathBuf::from(path))
    };
    messages.lines().filter_map(executable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/liba.rlib\"],\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/hello\",\"fresh\":true}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executables(messages), [PathBuf::from("/t/release/hello")]);
    }
}
