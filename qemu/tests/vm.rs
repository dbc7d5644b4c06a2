// SPDX-License-Identifier: GPL-2.0-or-later
//! How a run ends, with a shell script in QEMU's place that plays each case.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qemu::vm::command::Foreign;
use qemu::vm::{Failure, Input, Interrupt, Limits, Machine, Outcome, Paint, Sinks, run, run_until};
use rpctrace2::host::outputs::Named;

/// What a run gave: its result, the programs' output, the trace, the kernel's chatter.
struct Played {
    result: Result<Outcome, Failure>,
    text: [String; 3],
}

fn play(script: &str, limit: Duration) -> Played {
    play_on(script, limit, |machine| machine)
}

/// A script in QEMU's place.
fn script(directory: &Path, script: &str) -> PathBuf {
    let file = directory.join("qemu");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// With a machine that is not as plain.
fn play_on(script: &str, limit: Duration, change: impl FnOnce(Machine) -> Machine) -> Played {
    let mut trace = Vec::new();
    let (result, [console, kernel]) = play_to(script, limit, change, (&mut trace, None));
    Played { result, text: [console, trace, kernel].map(|bytes| String::from_utf8(bytes).unwrap()) }
}

/// With a place for the trace, and who looks at the machine: the result, the programs' output, the kernel's chatter.
fn play_to(
    script: &str,
    limit: Duration,
    change: impl FnOnce(Machine) -> Machine,
    (trace, looked_at): (&mut dyn Write, Option<mpsc::Receiver<()>>),
) -> (Result<Outcome, Failure>, [Vec<u8>; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let machine = change(Machine::plain(self::script(directory.path(), script), 64));
    let (mut console, mut kernel) = (Vec::new(), Vec::new());
    let mut sinks = Sinks {
        console: &mut console,
        trace: Some(trace),
        capture: None,
        kernel: &mut kernel,
        paint: Paint::default(),
    };
    let limits = Limits { time: Some(limit), interrupt: Interrupt::EndsAll };
    let result = run_until(&machine, directory.path(), Input::None, limits, &mut sinks, looked_at, || {});
    (result, [console, kernel])
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_exit_line_is_the_outcome_and_the_machine_is_ended() {
    let begin = Instant::now();
    let played = play(r"printf 'boot\r\n\001xready\r\n\001chi\r\n\001tcall\r\n\001c\001xexit 7\r\n'", LONG);
    assert_eq!(played.result.unwrap(), Outcome { status: 7, restarted: false });
    assert_eq!(played.text, ["hi\n", "call\n", "boot\n"].map(str::to_owned));
    assert!(begin.elapsed() < LONG);
}

#[test]
fn a_stopped_kernel_is_one_error_with_its_own_words() {
    let script = r"printf '\001cwork\r\npanic x.c:1: f: it broke\r\nDebugger invoked: panic\r\ndb> '; sleep 60";
    let error = play(script, LONG).result.unwrap_err();
    assert!(matches!(&error, Failure::Kernel { cause, .. } if cause == "panic x.c:1: f: it broke"), "{error}");
    assert!(error.to_string().ends_with("\n  work\n  panic x.c:1: f: it broke\n  Debugger invoked: panic\n  db> "));
}

/// What a kernel does that has no debugger; a program's last words are not the kernel's.
#[test]
fn a_kernel_that_panics_and_restarts_the_machine_is_one_error_with_its_own_words() {
    let error = play(r"printf '\001xready\r\n\001cwork\r\npanic x.c:1: f: it broke\n\r'", LONG).result.unwrap_err();
    assert!(matches!(&error, Failure::Kernel { cause, .. } if cause == "panic x.c:1: f: it broke"), "{error}");
    let outcome = play(r"printf '\001xready\r\n\001cpanic x.c:1: f: it broke\r\n'", LONG).result.unwrap();
    assert_eq!(outcome, Outcome { status: 0, restarted: true });
}

#[test]
fn a_machine_that_dies_early_is_an_error_with_what_it_said() {
    let error = play(r"printf 'boot\r\n'; echo 'no such device' >&2; exit 3", LONG).result.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Failure::Died { .. }), "{text}");
    assert_eq!(
        text,
        "QEMU ended (exit status: 3) before the program did: no such device\n--- end of the console\n  boot"
    );
}

#[test]
fn a_program_that_restarts_the_machine_ends_it_and_a_triple_fault_is_a_failure() {
    let ready = r"printf '\001xready\r\n\001cbye\r\n'";
    let outcome = play(&format!("echo CPU Reset > resets.log; {ready}"), LONG).result.unwrap();
    assert_eq!(outcome, Outcome { status: 0, restarted: true });
    for script in [
        format!("echo Triple fault > resets.log; {ready}"),
        format!("{ready}; echo 'terminating on signal 15' >&2"),
        format!("{ready}; exit 1"),
        r"printf 'boot\r\n'".to_owned(),
    ] {
        let error = play(&script, LONG).result.unwrap_err();
        assert!(matches!(error, Failure::Died { .. }), "{script}: {error}");
    }
}

/// Of a system that is not ours there are no marks: its text is the kernel's, and when it turns the machine off that is its end.
#[test]
fn a_foreign_system_ends_by_itself() {
    let foreign = |machine| Machine { foreign: Some(Foreign::default()), ..machine };
    let played = play_on(r"printf 'GNU/Hurd\r\nlogin: '; exit 0", LONG, foreign);
    assert_eq!(played.result.unwrap(), Outcome { status: 0, restarted: true });
    assert_eq!(played.text, ["", "", "GNU/Hurd\nlogin: "].map(str::to_owned));
    for script in ["echo Triple fault > resets.log; printf 'login: '", "echo 'no such disk' >&2; exit 1"] {
        let error = play_on(script, LONG, foreign).result.unwrap_err();
        assert!(matches!(error, Failure::Died { .. }), "{script}: {error}");
    }
}

#[test]
fn the_time_limit_ends_the_machine() {
    let begin = Instant::now();
    let error = play(r"printf 'boot\r\n'; exec sleep 60", Duration::from_millis(300)).result.unwrap_err();
    assert!(matches!(error, Failure::TimedOut { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_missing_qemu_is_an_error_not_a_panic() {
    let machine = Machine::plain(Path::new("/nonexistent/qemu").into(), 64);
    let mut nothing = (std::io::sink(), std::io::sink(), std::io::sink());
    let mut sinks = Sinks {
        console: &mut nothing.0,
        trace: Some(&mut nothing.1),
        capture: None,
        kernel: &mut nothing.2,
        paint: Paint::default(),
    };
    let directory = tempfile::tempdir().unwrap();
    let result = run(
        &machine,
        directory.path(),
        Input::None,
        Limits { time: Some(LONG), interrupt: Interrupt::EndsAll },
        &mut sinks,
        || {},
    );
    assert!(result.is_err());
}

/// Who looks at the machine is gone: so is the machine, and nothing waits for its end.
#[test]
fn a_machine_that_nobody_looks_at_any_more_is_ended() {
    let (looks, looked_at) = mpsc::channel();
    drop(looks);
    let (result, _) = play_to("exec sleep 60", LONG, |machine| machine, (&mut io::sink(), Some(looked_at)));
    assert!(matches!(result, Err(Failure::Stopped)), "{result:?}");
}

/// What cannot be written is said by its own name.
#[test]
fn an_output_that_is_full_ends_the_machine_and_says_its_name() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut full = Named::new("/dev/full", full);
    let script = r"printf '\001tcall\r\n'; exec sleep 60";
    let error = play_to(script, LONG, |machine| machine, (&mut full, None)).0.unwrap_err();
    assert_eq!(error.to_string(), "cannot write /dev/full: No space left on device (os error 28)");
}
