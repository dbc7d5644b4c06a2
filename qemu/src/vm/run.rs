// SPDX-License-Identifier: GPL-2.0-or-later
//! Starts QEMU, feeds the console, and ends with the command's exit status or one clear failure.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rpctrace2::host::outputs::Unwritten;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::ending;
use crate::ui::say;
use crate::vm::Paint;
use crate::vm::command::{Machine, RESETS};
use crate::vm::console::{Console, Notice, Sinks};
use crate::vm::input::{self, Input};
use crate::vm::line::{self, Line};
use crate::vm::outcome::{Failure, Outcome};
use crate::vm::pit::{self, Pit};
use crate::vm::socket;
use crate::vm::typist::{Act, Typist};

/// How long QEMU may take to end by itself after the command's end.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// How long a machine on the host's own processor may say nothing at first.
const SILENCE: Duration = Duration::from_secs(10);

/// What ends a system under the hands of who types.
const SYSTEM_ENDED: &str = "the system has ended before the command did";

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interrupt {
    /// What it does to any program: it ends this one, and QEMU.
    #[default]
    EndsAll,
    /// The first is passed on to rpctrace2, whose trace ends with all that belongs to an end; the second ends the machine.
    EndsTrace,
    /// The first, and SIGTERM and SIGHUP, end the machine, and who has started it ends by himself.
    EndsMachine,
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Stop QEMU after this time.
    pub time: Option<Duration>,
    /// What Ctrl-C does.
    pub interrupt: Interrupt,
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

/// What happens while the machine runs.
enum Event {
    /// QEMU wrote this.
    Output(Vec<u8>),
    /// QEMU writes nothing any more.
    End,
    /// Somebody wants an end, by this signal.
    Interrupt(i32),
    /// Nobody looks at the machine any more.
    Stop,
}

/// A machine that runs.
struct Running {
    qemu: Qemu,
    events: Receiver<Event>,
    errors: Receiver<Event>,
    console: Console,
    /// The guest's input, until somebody can read it.
    input: Option<ChildStdin>,
    line: Option<Line>,
    /// As long as the kernel starts.
    pit: Option<Pit>,
    is_ready: bool,
    deadline: Option<Instant>,
    /// When a remark on the machine's silence is due.
    silent: Option<Instant>,
    /// When who types has something to do.
    typing: Option<Instant>,
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
    run_until(machine, directory, input, limits, sinks, None, started)
}

/// Runs `machine` as [`run`] does, until the other end of a channel is gone: then nobody looks at it any more.
pub fn run_until(
    machine: &Machine,
    directory: &Path,
    input: Input,
    limits: Limits,
    sinks: &mut Sinks<'_>,
    looked_at: Option<Receiver<()>>,
    started: impl FnOnce(),
) -> Result<Outcome, Failure> {
    let mut running = Running::start(machine, directory, input, limits, looked_at)?;
    let mut started = Some(started);
    let mut resets = None;
    loop {
        let bytes = match running.next() {
            Ok(Event::Output(bytes)) => bytes,
            Ok(Event::Interrupt(signal)) => {
                running.interrupt(limits, signal)?;
                continue;
            }
            Ok(Event::Stop) => return Err(Failure::Stopped),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return running.ended(machine, resets),
            Err(RecvTimeoutError::Timeout) => {
                running.overdue(limits)?;
                continue;
            }
        };
        if let Some(started) = started.take() {
            // The directory may be gone from now on. QEMU has made the file, or makes none.
            resets = File::open(directory.join(RESETS)).ok();
            started();
        }
        for notice in running.console.feed(&bytes, sinks).map_err(unwritten)? {
            if let Some(outcome) = running.notice(notice)? {
                return Ok(outcome);
            }
        }
    }
}

/// Runs `machine` as [`run`] does, with somebody who types in the place of this process's input, until that has done it all: what his command
/// prints goes to `output`, all else to `other`.
pub fn run_typed(
    machine: &Machine,
    directory: &Path,
    mut typist: Typist,
    limits: Limits,
    [output, other]: [&mut dyn Write; 2],
    started: impl FnOnce(),
) -> Result<Outcome, Failure> {
    let mut running = Running::start(machine, directory, Input::Typed, limits, None)?;
    let mut keys = running.input.take();
    let mut started = Some(started);
    let mut resets = None;
    loop {
        running.typing = Some(typist.due());
        match running.next() {
            Ok(Event::Output(bytes)) => {
                if let Some(started) = started.take() {
                    resets = File::open(directory.join(RESETS)).ok();
                    started();
                }
                let text = running.text(&bytes)?;
                let shown = typist.hear(&text, Instant::now());
                for (sink, bytes) in [(&mut *output, shown.output), (&mut *other, shown.other)] {
                    sink.write_all(&bytes).and_then(|()| sink.flush()).map_err(unwritten)?;
                }
            }
            Ok(Event::Interrupt(signal)) => return Err(Failure::Interrupted(signal)),
            Ok(Event::Stop) => return Err(Failure::Stopped),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => {
                let tail = running.console.tail();
                return running.ended(machine, resets).and_then(|_| Err(typing(SYSTEM_ENDED.to_owned(), tail)));
            }
            Err(RecvTimeoutError::Timeout) => running.overdue(limits)?,
        }
        match typist.act(Instant::now()).map_err(|why| typing(why, running.console.tail()))? {
            None => {}
            Some(Act::Done(status)) => return Ok(Outcome { status, restarted: false }),
            Some(Act::Type(text)) => {
                // Fails only if QEMU is gone, which is seen when its output ends.
                let _ = keys.as_mut().map(|keys| keys.write_all(&text).and_then(|()| keys.flush()));
            }
        }
    }
}

/// Why an output is not written: an output that knows its name says it.
fn unwritten(source: io::Error) -> Failure {
    match source.get_ref().is_some_and(|error| error.is::<Unwritten>()) {
        true => Failure::Unwritten(source),
        false => Failure::Io { what: "write the console's output".to_owned(), source },
    }
}

/// Why nobody types any more.
fn typing(why: String, tail: String) -> Failure {
    Failure::Typing { why, tail }
}

/// Bytes that come on two channels, in their order.
struct Both<'a>(&'a RefCell<Vec<u8>>);

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Running {
    /// What a reader of the screen sees of what QEMU wrote.
    fn text(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let text = RefCell::new(Vec::new());
        let (mut console, mut kernel) = (Both(&text), Both(&text));
        let mut sinks =
            Sinks { console: &mut console, trace: None, capture: None, kernel: &mut kernel, paint: Paint::default() };
        let written = |source| Failure::Io { what: "keep the console's output".to_owned(), source };
        for notice in self.console.feed(bytes, &mut sinks).map_err(written)? {
            // A system that ends has not ended the command.
            if self.notice(notice)?.is_some() {
                return Err(typing(SYSTEM_ENDED.to_owned(), self.console.tail()));
            }
        }
        Ok(text.into_inner())
    }

    fn start(
        machine: &Machine,
        directory: &Path,
        input: Input,
        limits: Limits,
        looked_at: Option<Receiver<()>>,
    ) -> Result<Self, Failure> {
        let mut command = command(machine, directory);
        if limits.interrupt != Interrupt::EndsAll {
            // A terminal's Ctrl-C goes to all of a group.
            command.process_group(0);
        }
        let child = command.stdin(input.of_qemu()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let what = || format!("start {}", machine.qemu.display());
        let mut qemu = Qemu(child.map_err(|source| Failure::Io { what: what(), source })?);
        let (sender, events) = mpsc::channel();
        let (errors_sender, errors) = mpsc::channel();
        read_in_background(qemu.0.stdout.take(), sender.clone());
        read_in_background(qemu.0.stderr.take(), errors_sender);
        if let Some(looked_at) = looked_at {
            stop_with(looked_at, sender.clone());
        }
        hear_interrupts(limits.interrupt, sender)
            .map_err(|source| Failure::Io { what: "hear of Ctrl-C".to_owned(), source })?;
        let line = if machine.has_line() { connect(&mut qemu, directory, line::SOCKET)?.map(Line::new) } else { None };
        let pit = if machine.needs_pit() { connect(&mut qemu, directory, pit::SOCKET)?.map(Pit::new) } else { None };
        let mut guest = qemu.0.stdin.take();
        // Of a system that is not ours nobody says when it reads.
        if let Some(guest) = guest.take_if(|_| machine.foreign.is_some() && input != Input::Typed) {
            input::forward(guest);
        }
        Ok(Self {
            input: guest,
            qemu,
            events,
            errors,
            console: Console::new(machine.key()),
            line,
            pit,
            is_ready: machine.foreign.is_some(),
            deadline: limits.time.map(|limit| Instant::now() + limit),
            silent: machine.kvm.then(|| Instant::now() + SILENCE),
            typing: None,
        })
    }

    /// What happens next; a time-out means that something is due.
    fn next(&mut self) -> Result<Event, RecvTimeoutError> {
        loop {
            let suspicion = self.line.as_ref().and_then(Line::deadline);
            let due = [self.deadline, suspicion, self.silent, self.typing].into_iter().flatten().min();
            let left = due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()));
            let event = match &mut self.pit {
                None => self.events.recv_timeout(left),
                Some(monitor) => match self.events.recv_timeout(left.min(pit::SILENCE)) {
                    Err(RecvTimeoutError::Timeout) if left > pit::SILENCE => {
                        // Fails only if QEMU is gone, which is seen when its output ends.
                        if monitor.end_count().is_err() {
                            self.pit = None;
                        }
                        continue;
                    }
                    other => other,
                },
            };
            if matches!(event, Ok(Event::Output(_))) {
                self.silent = None;
            }
            return event;
        }
    }

    /// Something is due: a remark, or the end of the run.
    fn overdue(&mut self, limits: Limits) -> Result<(), Failure> {
        let now = Instant::now();
        if self.silent.take_if(|silent| *silent <= now).is_some() {
            say(format_args!(
                "KVM: the machine has said nothing for {} seconds; without --kvm it is emulated",
                SILENCE.as_secs()
            ));
        }
        if let Some(cause) = self.line.as_mut().and_then(Line::stopped) {
            return Err(Failure::Kernel { cause, tail: self.console.tail() });
        }
        match self.deadline {
            Some(deadline) if deadline <= now => {
                Err(Failure::TimedOut { limit: limits.time.unwrap_or_default(), tail: self.console.tail() })
            }
            _ => Ok(()),
        }
    }

    /// Acts on what the console brought; the outcome, if it was the end.
    fn notice(&mut self, notice: Notice) -> Result<Option<Outcome>, Failure> {
        match notice {
            // Input that comes earlier would be lost in the loader and the kernel's start.
            Notice::Ready => {
                self.pit = None;
                self.is_ready = true;
                if let Some(guest) = self.input.take() {
                    input::forward(guest);
                }
            }
            Notice::Here => {
                if let Some(line) = &mut self.line {
                    line.is_there();
                }
            }
            Notice::Exit(status) => {
                self.finish();
                return Ok(Some(Outcome { status, restarted: false }));
            }
            Notice::Debugger(cause) => {
                // While no program runs, and where nobody can be asked, the console has to be believed.
                let asked = self.line.as_mut().filter(|_| self.is_ready).map(|line| line.suspect(cause.clone()));
                if !matches!(asked, Some(Ok(()))) {
                    return Err(Failure::Kernel { cause, tail: self.console.tail() });
                }
            }
            Notice::Nonsense(why) => return Err(Failure::Control { why, tail: self.console.tail() }),
        }
        Ok(None)
    }

    /// Passes the first Ctrl-C on to who can make something of it.
    fn interrupt(&mut self, limits: Limits, signal: i32) -> Result<(), Failure> {
        let is_passed_on = limits.interrupt == Interrupt::EndsTrace && self.is_ready;
        if !is_passed_on || !self.line.as_mut().is_some_and(Line::interrupt) {
            return Err(Failure::Interrupted(signal));
        }
        // A terminal shows `^C` behind whatever stands there.
        let is_shown = io::stdin().is_terminal();
        if is_shown {
            self.console.line_has_ended();
        }
        say(format_args!("{}the trace ends; once more ends the machine", if is_shown { "\n" } else { "" }));
        Ok(())
    }

    /// Lets the guest's reboot end QEMU, so that the terminal is restored.
    fn finish(&mut self) {
        let deadline = Instant::now() + SHUTDOWN;
        let next = || self.events.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        while let Ok(Event::Output(_) | Event::Interrupt(_) | Event::Stop) = next() {}
        if let Ok(None) = self.qemu.0.try_wait() {
            let _ = self.qemu.0.kill();
        }
    }

    /// QEMU has ended before the command did: a program has restarted the machine, or it is a failure.
    fn ended(mut self, machine: &Machine, resets: Option<File>) -> Result<Outcome, Failure> {
        let status = self.qemu.0.wait();
        let text: Vec<u8> = self
            .errors
            .iter()
            .flat_map(|event| if let Event::Output(bytes) = event { bytes } else { vec![] })
            .collect();
        let text = String::from_utf8_lossy(&text);
        let text = text.trim();
        // With KVM a triple fault looks like a restart.
        if let Some(cause) = self.console.panic() {
            return Err(Failure::Kernel { cause: cause.to_owned(), tail: self.console.tail() });
        }
        let is_restart = self.is_ready
            && !machine.kvm
            && text.is_empty()
            && status.as_ref().is_ok_and(ExitStatus::success)
            && !resets.is_some_and(has_triple_fault);
        if is_restart {
            return Ok(Outcome { status: 0, restarted: true });
        }
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let stderr = if text.is_empty() { String::new() } else { format!(": {text}") };
        Err(Failure::Died { status, stderr, tail: self.console.tail() })
    }
}

/// Whether QEMU's words on the processors' resets have a triple fault among them. What cannot be read has none.
fn has_triple_fault(mut resets: File) -> bool {
    let mut text = Vec::new();
    let _ = resets.read_to_end(&mut text);
    String::from_utf8_lossy(&text).contains("Triple fault")
}

/// Connects to a socket of QEMU's. `None` if it is gone already, which is seen when its output ends.
fn connect(qemu: &mut Qemu, directory: &Path, name: &str) -> Result<Option<std::os::unix::net::UnixStream>, Failure> {
    let mut runs = || matches!(qemu.0.try_wait(), Ok(None));
    match socket::connect(&directory.join(name), &mut runs) {
        Ok(socket) => Ok(Some(socket)),
        Err(source) if runs() => Err(Failure::Io { what: format!("reach QEMU's {name}"), source }),
        Err(_) => Ok(None),
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

fn read_in_background(source: Option<impl Read + Send + 'static>, sender: Sender<Event>) {
    let Some(mut source) = source else { return };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            if sender.send(Event::Output(buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        // Fails only if nobody waits for it.
        let _ = sender.send(Event::End);
    });
}

/// Signals that are heard before the next one ends the process as ever, whatever it waits for.
const PATIENT: usize = 2;

/// From now on Ctrl-C does not end this process, but is an event.
fn hear_interrupts(interrupt: Interrupt, sender: Sender<Event>) -> io::Result<()> {
    let heard = match interrupt {
        Interrupt::EndsAll => return Ok(()),
        Interrupt::EndsTrace => vec![SIGINT],
        Interrupt::EndsMachine => ending::signals(),
    };
    let mut signals = Signals::new(heard)?;
    thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            let is_heard = sender.send(Event::Interrupt(signal)).is_ok();
            // The machine is over, and who has followed a trace is left to its end.
            if count >= PATIENT || !is_heard && interrupt == Interrupt::EndsMachine {
                let _ = emulate_default_handler(signal);
            }
        }
    });
    Ok(())
}

/// Lets the machine end when the other end of this is gone.
fn stop_with(looked_at: Receiver<()>, sender: Sender<Event>) {
    thread::spawn(move || {
        let _ = looked_at.recv();
        // Fails only if the machine is over.
        let _ = sender.send(Event::Stop);
    });
}
