// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs the host tool in a clean environment and collects everything a user would see.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

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
    let output = command(arguments)?.output().context("starting the host tool")?;
    Ok(Run {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status.code(),
    })
}

/// Runs the binary behind `cargo qemu` with standard output and standard error in one place, as on a terminal; answers what came there, without the lines that
/// say what is being prepared, and the exit status.
///
/// # Errors
/// If the variable is not set or the binary cannot be started.
pub fn qemu_on_one_screen(arguments: &[&str]) -> Result<(String, Option<i32>)> {
    shown_on_one_screen(&mut command(arguments)?, |_| false)
}

/// Runs a command with standard output and standard error in one place, as on a terminal, and interrupts it after the first line of which `is_enough` says
/// so; answers what came there, without the lines that say what is being prepared, and the exit status.
///
/// # Errors
/// If it cannot be started.
pub fn shown_on_one_screen(command: &mut Command, is_enough: impl Fn(&str) -> bool) -> Result<(String, Option<i32>)> {
    let (screen, writer) = std::io::pipe()?;
    let mut tool = command.stdout(writer.try_clone()?).stderr(writer).spawn().context("starting the host tool")?;
    // With them the last writers of ours go.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut screen, mut shown, mut is_interrupted) = (BufReader::new(screen), String::new(), false);
    let mut line = Vec::new();
    while screen.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if !text.starts_with('[') {
            shown.push_str(&text);
        }
        if !is_interrupted && is_enough(&text) {
            is_interrupted = true;
            signal(tool.id(), Signal::INT)?;
        }
        line.clear();
    }
    Ok((shown, tool.wait()?.code()))
}

/// The command that [`qemu`] runs.
///
/// # Errors
/// If the variable is not set.
pub fn command(arguments: &[&str]) -> Result<Command> {
    let options = options();
    let mut command = Command::new(PathBuf::from(setting("RPCTRACE2_QEMU")?));
    command.args(options.split_whitespace());
    // The kernels of 2026 measure their timers at boot by waiting, for minutes if every instruction takes a nanosecond.
    command.args(arguments.iter().filter(|&&argument| options.is_empty() || argument != "--icount"));
    command.stdin(Stdio::null());
    Ok(command)
}

/// Sends a signal to a process of ours, and not to what it has started.
///
/// # Errors
/// If there is no such process.
pub fn signal(process: u32, signal: Signal) -> Result<()> {
    let process = Pid::from_raw(process.try_into()?).context("a process is never 0")?;
    kill_process(process, signal).with_context(|| format!("a signal to process {process:?}"))
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
