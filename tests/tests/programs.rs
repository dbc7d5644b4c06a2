// SPDX-License-Identifier: GPL-2.0-or-later
//! Every program of userland/programs: the same with and without tracing, and its trace as its golden says.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tests::golden;
use tests::guest::{all, options, qemu, qemu_on_one_screen};
use tests::normalise::{self, Order};

fn golden_file(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../userland/programs/golden/{program}.trace"))
}

/// Runs a program untraced and traced and compares: its own output, its exit status, its trace.
fn check(program: &str, order: Order) -> Result<()> {
    let untraced = qemu(&["--icount", "run", program]).context("untraced")?;
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let traced = qemu(&["--icount", "rpctrace2", "-X", "raw", "-o", &file, program]).context("traced")?;
    assert_eq!(traced.stdout, untraced.stdout, "output of `{program}` with and without tracing");
    assert_eq!(traced.status, untraced.status, "exit status of `{program}` with and without tracing");
    assert_eq!(untraced.status, Some(0), "`{program}` itself:\n{}{}", untraced.stdout, untraced.stderr);
    let trace = std::fs::read_to_string(out.path())?;
    golden::compare(&golden_file(program), &normalise::trace(&trace, order))
}

macro_rules! programs {
    ($($name:ident: $order:expr;)*) => {$(
        #[test]
        #[ignore = "needs a kernel and QEMU: run cargo qemu test"]
        fn $name() -> Result<()> {
            check(&stringify!($name).replace('_', "-"), $order)
        }
    )*};
}

programs! {
    hello: Order::Whole;
    ports: Order::Whole;
    vm: Order::Whole;
    ping: Order::WithinTasks;
    items: Order::Whole;
    arrays: Order::Whole;
    timeouts: Order::Whole;
    threads: Order::WithinThreads;
    reply_port: Order::Whole;
    echo: Order::WithinThreads;
    refill: Order::WithinThreads;
}

/// The kernel raises an exception, the boot server reports it and ends the task, traced or not.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn crash() -> Result<()> {
    const REPORT: &str = "crash: killed by EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x0, rip 0x";
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    for run in [&["--icount", "run", "crash"][..], &["--icount", "rpctrace2", "-X", "raw", "-o", &file, "crash"]] {
        let run = qemu(run)?;
        assert!(run.stdout.contains(REPORT), "expected {REPORT:?}, found {:?}", run.stdout);
        assert_eq!(run.status, Some(129), "128 and the exception's number:\n{}", run.stderr);
    }
    let trace = std::fs::read_to_string(out.path())?;
    let raised = "crash[1] (task exception) -> exception_raise(exception_port: bootstrap, ";
    assert!(trace.contains(raised), "expected {raised:?} in:\n{trace}");
    golden::compare(&golden_file("crash"), &normalise::trace(&trace, Order::Whole))
}

/// A general protection fault, in a child and then in the command: the end of both, by the trace's numbers, and nobody else's.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn stray() -> Result<()> {
    const REPORT: &str = "stray: killed by EXC_BAD_INSTRUCTION (EXC_I386_GPFLT, rip 0x";
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    for run in [&["--icount", "run", "stray"][..], &["--icount", "rpctrace2", "-X", "raw", "-o", &file, "stray"]] {
        let run = qemu(run)?;
        assert!(run.stdout.contains(REPORT), "expected {REPORT:?}, found {:?}", run.stdout);
        assert!(run.stdout.contains("stray: a task that it made was killed by EXC_"), "{}", run.stdout);
        assert_eq!(run.status, Some(130), "128 and the exception's number:\n{}", run.stderr);
    }
    let trace = std::fs::read_to_string(out.path())?;
    golden::compare(&golden_file("stray"), &normalise::trace(&trace, Order::WithinTasks))
}

/// A task that has no threads and never ends is left behind: the run ends as it does untraced, and the trace says what is left.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn orphan() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    for run in [&["run", "orphan"][..], &["rpctrace2", "-X", "raw", "-o", &file, "orphan"]] {
        let run = qemu(run)?;
        assert_eq!(run.status, Some(3), "{}{}", run.stdout, run.stderr);
    }
    let trace = std::fs::read_to_string(out.path())?;
    let end = "orphan[1] task_terminate(target_task: self) = ?\n+++ orphan[1] exited with 3 +++\n\
               --- traced tasks are left, the end was not seen of (orphan)[2] ---\n";
    assert!(trace.ends_with(end), "expected {end:?} at the end of:\n{trace}");
    Ok(())
}

/// Output without a line end, on the console and by the kernel: each line of the trace is a line all the same.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn halves() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let apart = qemu(&["--icount", "rpctrace2", "-X", "raw", "-o", &file, "halves"])?;
    let (together, status) = qemu_on_one_screen(&["--icount", "rpctrace2", "-X", "raw", "halves"])?;
    for (shown, status) in [(&apart.stdout, apart.status), (&together, status)] {
        assert_eq!(status, Some(0), "{shown}{}", apart.stderr);
        let text = shown.replace('\n', "");
        assert!(text.contains("abc") && text.contains("<kernel"), "{shown}");
    }
    let trace = std::fs::read_to_string(out.path())?;
    let is_traced = |line: &&str| line.starts_with("halves[1] ") || line.starts_with("+++ ");
    let found: Vec<&str> = together.split('\n').filter(is_traced).collect();
    assert_eq!(found, trace.lines().collect::<Vec<_>>(), "{together}");
    assert!(found.len() > 15, "{trace}");
    Ok(())
}

/// Both kinds of exception, refused on the thread's port and answered on the task's, and the program goes on.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn catch() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let run = qemu(&["--icount", "rpctrace2", "-X", "raw", "-o", &file, "catch"])?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let trace = std::fs::read_to_string(out.path())?;
    for expected in [
        "(thread exception) -> exception_raise(",
        "(thread exception) <- exception_raise reply = KERN_FAILURE\n",
        "(task exception) -> exception_raise(",
        "(task exception) <- exception_raise reply = KERN_SUCCESS\n",
    ] {
        assert!(trace.contains(expected), "expected {expected:?} in:\n{trace}");
    }
    golden::compare(&golden_file("catch"), &normalise::trace(&trace, Order::WithinThreads))
}

/// Writes by trap are shown as the RPCs that they become. Untraced they crash a stock kernel (docs/differences.md).
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn device_writes() -> Result<()> {
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let run = qemu(&["--icount", "rpctrace2", "-X", "raw", "-o", &file, "device-writes", "${device-port}"])?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let trace = std::fs::read_to_string(out.path())?;
    for text in ["by trap 40\\r\\n", "by ", "trap 39\\r\\n"] {
        let line = format!(
            "device_write_inband(device: device \"console\", mode: 0, recnum: 0, data: \"{text}\") = KERN_SUCCESS"
        );
        assert!(trace.contains(&line), "expected {line:?} in:\n{trace}");
    }
    assert!(run.stdout.replace("\r", "").contains("by trap 40\nby trap 39\n"), "{:?}", run.stdout);
    Ok(())
}

/// Programs that are tracers of their own and check the trace port itself.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn tracers() -> Result<()> {
    let programs = [
        "trace-port",
        "backpressure",
        "chain",
        "outstanding",
        "payloads",
        "elements",
        "untold",
        "leaks",
        "trace-boot",
        "intruder",
        "engines",
        "births",
        "inject",
        "crowd",
        "owner",
    ];
    for program in programs {
        let run = qemu(&["--icount", "run", program, "${host-port}"])?;
        assert_eq!(run.status, Some(0), "`{program}`:\n{}{}", run.stdout, run.stderr);
    }
    Ok(())
}

/// Of those above, some that count nothing in which the events of another's trace are counted, too.
const TRACED_TRACERS: [&str; 6] = ["outstanding", "backpressure", "chain", "payloads", "births", "inject"];

/// A tracer is a program like others, also where its own calls and what it does to others are traced.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn tracers_that_are_traced() -> Result<()> {
    for program in TRACED_TRACERS {
        let run = qemu(&["--icount", "rpctrace2", "--as", "x", "-c", program, "${host-port}"])?;
        assert_eq!(run.status, Some(0), "`{program}`:\n{}{}", run.stdout, run.stderr);
    }
    Ok(())
}

/// The eight ways out of a full queue for a thread in each of three situations; on kernels for several processors, the thread runs on
/// another one than its tracer.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn ways() -> Result<()> {
    let run = qemu(&["--icount", "run", "ways", "${host-port}"])?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("ways: 24 ways out of a full queue"), "{}", run.stdout);
    Ok(())
}

/// The nine ways out of a stop, or back to it, for a thread that is stopped in each of five places; on kernels for several processors, the
/// thread runs on another one than its tracer.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn stops() -> Result<()> {
    let run = qemu(&["--icount", "run", "stops", "${host-port}"])?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("stops: 45 ways out of a stop"), "{}", run.stdout);
    Ok(())
}

/// Three rounds of everything at once, the same each time; with `--all` two minutes of it, which depend on when threads run.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn soak() -> Result<()> {
    let machine: &[&str] = if all()? { &[] } else { &["--icount"] };
    let minutes = if all()? { "2" } else { "0" };
    let run = qemu(&[machine, &["soak", "--minutes", minutes, "--seed", "3"]].concat())?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("; nothing is left of it"), "{}", run.stdout);
    assert!(!run.stdout.contains(" 0 frames of rings"), "nothing has come into a ring: {}", run.stdout);
    Ok(())
}

/// Random requests of trace_control.defs: with `--all` 100,000 for each of 20 seeds, else two thousand for each of two, the same each time.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn requests() -> Result<()> {
    let (machine, last, count) = if all()? { (None, "20", "100000") } else { (Some("--icount"), "2", "2000") };
    let command =
        |first, last| ["--timeout", "1800", "run", "requests", "${host-port}", "${device-port}", first, last, count];
    let run = qemu(&machine.into_iter().chain(command("1", last)).collect::<Vec<_>>())?;
    let seed = run.stdout.lines().filter_map(|line| line.strip_prefix("requests: seed ")).next_back().unwrap_or("1");
    let options = options();
    let machine = machine.filter(|_| options.is_empty()).unwrap_or(&options);
    let repeat = format!("cargo qemu {machine} {}", command(seed, seed).join(" ").replace('$', "\\$"));
    assert_eq!(run.status, Some(0), "to repeat it: {repeat}\n{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("; nothing is left of them"), "to repeat it: {repeat}\n{}", run.stdout);
    Ok(())
}
