//! Runs the host tool in a clean environment and collects everything a user would see.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// What one run of `cargo qemu ...` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status; `None` if a signal ended it.
    pub status: Option<i32>,
}

/// Runs the binary behind `cargo qemu`, whose path `cargo qemu test` passes in `RPCTRACE2_QEMU`, with these arguments. Options
/// in `RPCTRACE2_OPTIONS`, separated by spaces, come first: they choose the kernel and the machine. With them `--icount` is left
/// out.
///
/// # Errors
/// If the variable is not set or the binary cannot be started.
pub fn qemu(arguments: &[&str]) -> Result<Run> {
    let binary = PathBuf::from(setting("RPCTRACE2_QEMU")?);
    let options = options();
    let output = Command::new(&binary)
        .args(options.split_whitespace())
        // The kernels of 2026 measure their timers at boot by waiting, for minutes if every instruction takes a nanosecond.
        .args(arguments.iter().filter(|&&argument| options.is_empty() || argument != "--icount"))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting `{}`", binary.display()))?;
    Ok(Run {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status.code(),
    })
}

/// The options that choose another kernel or machine than the first; of the first, none.
#[must_use]
pub fn options() -> String {
    std::env::var("RPCTRACE2_OPTIONS").unwrap_or_default()
}

/// Whether `cargo qemu test` runs with `--all`.
///
/// # Errors
/// If the tests were started some other way.
pub fn all() -> Result<bool> {
    Ok(setting("RPCTRACE2_ALL")? == "1")
}

/// A variable that `cargo qemu test` sets.
///
/// # Errors
/// If it is not set, because the tests were started some other way.
pub fn setting(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("`{name}` is not set: run `cargo qemu test`"))
}
