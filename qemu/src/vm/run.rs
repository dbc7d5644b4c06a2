//! Starts QEMU, feeds the console, and ends with the command's exit status or one clear failure.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::vm::command::Machine;
use crate::vm::console::{Console, Notice, Sinks};
use crate::vm::outcome::{Failure, Outcome};
use crate::vm::pit::{self, Pit};
use crate::vm::socket;

/// How long QEMU may take to end by itself after the command's end.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// What the guest reads from its console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    None,
    /// This process's standard input.
    Stdin,
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Stop QEMU after this time.
    pub time: Option<Duration>,
}

/// QEMU, which never outlives this value.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `machine` with the boot files in `directory`; `started` is called once QEMU has read them.
pub fn run(
    machine: &Machine,
    directory: &Path,
    input: Input,
    limits: Limits,
    sinks: &mut Sinks<'_>,
    started: impl FnOnce(),
) -> Result<Outcome, Failure> {
    let io_error = |what: &str| {
        let what = what.to_owned();
        move |source| Failure::Io { what, source }
    };
    let terminal = input == Input::Stdin && io::stdin().is_terminal();
    let mut qemu = Qemu(
        command(machine, directory)
            .stdin(match (input, terminal) {
                // QEMU puts the terminal into raw mode and keeps its signals: Ctrl-C ends it in an orderly way.
                (Input::Stdin, true) => Stdio::inherit(),
                (Input::Stdin, false) => Stdio::piped(),
                (Input::None, _) => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io_error(&format!("start {}", machine.qemu.display())))?,
    );
    let output = read_in_background(qemu.0.stdout.take());
    let errors = read_in_background(qemu.0.stderr.take());
    let mut forward = qemu.0.stdin.take();
    let deadline = limits.time.map(|limit| Instant::now() + limit);
    let mut console = Console::default();
    let mut started = Some(started);
    // As long as the kernel starts.
    let mut pit = if machine.needs_pit() { connect_pit(&mut qemu, directory)? } else { None };
    loop {
        let bytes = match next(&output, deadline, &mut pit) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) => {
                let limit = limits.time.unwrap_or_default();
                return Err(Failure::TimedOut { limit, tail: console.tail() });
            }
            Err(RecvTimeoutError::Disconnected) => return Err(died(&mut qemu, &errors, &console)),
        };
        if let Some(started) = started.take() {
            started();
        }
        for notice in console.feed(&bytes, sinks).map_err(io_error("write the console's output"))? {
            match notice {
                // Input that comes earlier would be lost in the loader and the kernel's start.
                Notice::Ready => {
                    pit = None;
                    if let Some(guest) = forward.take() {
                        forward_stdin(guest);
                    }
                }
                Notice::Exit(status) => {
                    finish(&mut qemu, &output);
                    return Ok(Outcome { status });
                }
                Notice::Debugger(cause) => return Err(Failure::Kernel { cause, tail: console.tail() }),
                Notice::Nonsense(why) => return Err(Failure::Control { why, tail: console.tail() }),
            }
        }
    }
}

/// `None` if QEMU is gone already, which is seen when its output ends.
fn connect_pit(qemu: &mut Qemu, directory: &Path) -> Result<Option<Pit>, Failure> {
    let mut runs = || matches!(qemu.0.try_wait(), Ok(None));
    match socket::connect(&directory.join(pit::SOCKET), &mut runs) {
        Ok(monitor) => Ok(Some(Pit::new(monitor))),
        Err(source) if runs() => Err(Failure::Io { what: format!("reach QEMU's {}", pit::SOCKET), source }),
        Err(_) => Ok(None),
    }
}

/// What QEMU writes next. While there is a `pit`, a silent kernel gets help.
fn next(
    output: &Receiver<Vec<u8>>,
    deadline: Option<Instant>,
    pit: &mut Option<Pit>,
) -> Result<Vec<u8>, RecvTimeoutError> {
    loop {
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let Some(monitor) = pit else { return output.recv_timeout(left) };
        match output.recv_timeout(left.min(pit::SILENCE)) {
            Err(RecvTimeoutError::Timeout) if left > pit::SILENCE => {
                // Fails only if QEMU is gone, which is seen when its output ends.
                if monitor.end_count().is_err() {
                    *pit = None;
                }
            }
            other => return other,
        }
    }
}

/// `setpriv` ends QEMU with this process, however that ends; it is part of every Debian.
fn command(machine: &Machine, directory: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    let mut command = if setpriv.exists() {
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "TERM"]).arg(&machine.qemu);
        command
    } else {
        Command::new(&machine.qemu)
    };
    command.args(machine.arguments()).current_dir(directory);
    command
}

fn read_in_background(source: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut source) = source {
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// Control-D, the end of a terminal's input.
const END: u8 = 0x04;

/// Gives the guest what comes, and the end of it: on a line of its own, where a prompt takes it for one.
fn forward_stdin(mut guest: ChildStdin) {
    thread::spawn(move || {
        let mut buffer = [0; 256];
        let mut last = b'\n';
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            if guest.write_all(&buffer[..count]).and_then(|()| guest.flush()).is_err() {
                return;
            }
            last = buffer[count - 1];
        }
        let end: &[u8] = if last == b'\n' { &[END] } else { &[b'\n', END] };
        // Fails only if the guest is gone.
        let _ = guest.write_all(end).and_then(|()| guest.flush());
    });
}

/// Lets the guest's reboot end QEMU, so that the terminal is restored; the channel closes when QEMU is gone.
fn finish(qemu: &mut Qemu, output: &Receiver<Vec<u8>>) {
    let deadline = Instant::now() + SHUTDOWN;
    while output.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
    if let Ok(None) = qemu.0.try_wait() {
        let _ = qemu.0.kill();
    }
}

fn died(qemu: &mut Qemu, errors: &Receiver<Vec<u8>>, console: &Console) -> Failure {
    let status = qemu.0.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let text: Vec<u8> = errors.iter().flatten().collect();
    let text = String::from_utf8_lossy(&text);
    let stderr = if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) };
    Failure::Died { status, stderr, tail: console.tail() }
}
