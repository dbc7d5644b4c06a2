// SPDX-License-Identifier: GPL-2.0-or-later
//! trace.defs goes through Debian's own MIG, and a C program receives records with the server stub it makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::guest::{qemu, setting};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace").to_path_buf()
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Runs a .defs file through cpp and the stock migcom, writing `name.user.c` and its like into `out`.
fn mig(defs: &Path, name: &str, out: &Path) -> Result<()> {
    let preprocessed = out.join(format!("{name}.i"));
    run(Command::new("gcc")
        .args(["-E", "-x", "c", "-nostdinc", "-I"])
        .arg(setting("GNUMACH_DEFS")?)
        .arg(defs)
        .arg("-o")
        .arg(&preprocessed))?;
    let mut migcom = Command::new(setting("MIGCOM")?);
    migcom.arg("-n").current_dir(out).stdin(Stdio::from(fs::File::open(&preprocessed)?));
    for (option, suffix) in
        [("-user", "user.c"), ("-header", "user.h"), ("-server", "server.c"), ("-sheader", "server.h")]
    {
        migcom.arg(option).arg(format!("{name}.{suffix}"));
    }
    run(migcom.args(["-list", "/dev/null"]))
}

/// Builds a C program of tests/c for GNU Mach, without any C library, with the side of a .defs file of trace-port that it needs.
fn build(out: &Path, name: &str, (defs, side): (&str, &str)) -> Result<PathBuf> {
    let headers = PathBuf::from(setting("GNUMACH_DEFS")?);
    mig(&headers.join("mach/mach.defs"), "mach", out)?;
    mig(&headers.join("mach/mach_port.defs"), "mach_port", out)?;
    mig(&root().join("trace-port/defs").join(defs).with_extension("defs"), defs, out)?;
    let include = Command::new("gcc").arg("-print-file-name=include").output().context("starting gcc")?;
    let program = out.join(name);
    let c = root().join("tests/c");
    run(Command::new("gcc")
        .args(["-O1", "-Wall", "-Werror", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"])
        .args(["-static", "-nostdlib", "-nostdinc", "-isystem"])
        .arg(String::from_utf8_lossy(&include.stdout).trim())
        .arg("-I")
        .arg(&c)
        .arg("-I")
        .arg(c.join("include"))
        .arg("-I")
        .arg(out)
        .arg("-I")
        .arg(root().join("trace-port/defs"))
        .arg("-I")
        .arg(&headers)
        .args([c.join(name).with_extension("c"), c.join("mach_support.c")])
        .args(["mach.user.c", "mach_port.user.c", &format!("{defs}.{side}.c")].map(|file| out.join(file)))
        .arg("-o")
        .arg(&program))?;
    Ok(program)
}

/// What the tracer itself asks of the traced task and its thread (thread_create, thread_get_state, thread_set_state,
/// thread_resume), then two RPCs of the task's own and its end, whose request has no reply; before each of these the task asks for its own
/// port (trap 28, `mach_task_self`) and for a reply port (26, `mach_reply_port`).
const RECORDS: &str = "\
record 1: task receive msgh_id 2061 size 32 retval 0 thread 0 correlation 1
record 2: task send msgh_id 2161 size 64 retval 0 thread 0 correlation 1
record 3: thread receive msgh_id 2017 size 64 retval 0 thread 1 correlation 2
record 4: thread send msgh_id 2117 size 224 retval 0 thread 1 correlation 2
record 5: thread receive msgh_id 2018 size 224 retval 0 thread 1 correlation 3
record 6: thread send msgh_id 2118 size 48 retval 0 thread 1 correlation 3
record 7: thread receive msgh_id 2063 size 32 retval 0 thread 1 correlation 4
record 8: thread send msgh_id 2163 size 48 retval 0 thread 1 correlation 4
record 9: trap 28 gives a right
record 10: trap 26 gives a right
record 11: send msgh_id 2021 size 80 retval 0 thread 1 correlation 5
record 12: receive msgh_id 2121 size 64 retval 0 thread 1 correlation 5
record 13: trap 28 gives a right
record 14: trap 26 gives a right
record 15: send msgh_id 2023 size 64 retval 0 thread 1 correlation 6
record 16: receive msgh_id 2123 size 48 retval 0 thread 1 correlation 6
record 17: trap 28 gives a right
record 18: trap 26 gives a right
record 19: send msgh_id 2008 size 32 retval 0 thread 1 correlation 7
no senders left; records 19, lost 0
";

#[test]
#[ignore = "needs a kernel, Debian's MIG and QEMU: run cargo qemu test"]
fn a_c_program_receives_records_through_the_stub_of_the_stock_mig() -> Result<()> {
    let out = tempfile::tempdir()?;
    let program = build(out.path(), "trace_receiver", ("trace", "server"))?;
    let traced = qemu(&["run", &program.to_string_lossy()])?;
    assert_eq!(traced.stdout, RECORDS, "{}", traced.stderr);
    assert_eq!(traced.status, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn tracing_is_switched_on_and_off_while_messages_are_exchanged() -> Result<()> {
    let run = qemu(&["run", "toggle", "${host-port}"])?;
    let last = run.stdout.lines().last().unwrap_or_default();
    assert_eq!(
        last, "toggle: 100 messages and more while tracing was switched on and off",
        "{}{}",
        run.stdout, run.stderr
    );
    assert_eq!(run.status, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs a kernel, Debian's MIG and QEMU: run cargo qemu test"]
fn on_a_stock_kernel_the_c_program_says_that_there_is_no_trace_port() -> Result<()> {
    let out = tempfile::tempdir()?;
    let program = build(out.path(), "trace_receiver", ("trace", "server"))?;
    let traced = qemu(&["--stock", "run", &program.to_string_lossy()])?;
    assert_eq!(traced.stdout, "this kernel has no trace port\n", "{}", traced.stderr);
    Ok(())
}

/// Flags: TRACE_CHILDREN. Events: TRACE_EVENT_SEND, then TRACE_EVENT_TASK_DEATH too.
const ENGINES: &str = "\
version 3, engines 8, rules 16, tasks 65536
1 engine: engine 1 `in C' of somebody: flags 8 events 1 policy 1 rules 0 tasks 1 lost 0
found again
engine 1 `in C' of somebody: flags 8 events 513 policy 0 rules 2 tasks 1 lost 0
an engine without TRACE_CONTROL: as expected
nobody waits: as expected
a task that is not its own: as expected
a task is no engine: as expected
0 engines
";

#[test]
#[ignore = "needs a kernel, Debian's MIG and QEMU: run cargo qemu test"]
fn a_c_program_uses_engines_through_the_stubs_of_the_stock_mig() -> Result<()> {
    let out = tempfile::tempdir()?;
    let program = build(out.path(), "trace_engines", ("trace_control", "user"))?.to_string_lossy().into_owned();
    let asked = qemu(&["run", &program])?;
    assert_eq!((asked.stdout.as_str(), asked.status), (ENGINES, Some(0)), "{}", asked.stderr);
    let stock = qemu(&["--stock", "run", &program])?;
    // The kernel says on the console that it does not know the request.
    assert!(stock.stdout.ends_with("this kernel has no engines\n"), "{}{}", stock.stdout, stock.stderr);
    Ok(())
}

/// The tracers' engines go on to the task that the C program makes, of which it makes one of its own.
#[test]
#[ignore = "needs a kernel, Debian's MIG and QEMU: run cargo qemu test"]
fn two_tracers_and_a_c_program_have_engines_of_one_task() -> Result<()> {
    let out = tempfile::tempdir()?;
    let program = build(out.path(), "trace_engines", ("trace_control", "user"))?.to_string_lossy().into_owned();
    let words = ["--as", "outer", "-e", "task_create", "rpctrace2", "--as", "inner", "-e", "task_create", &program];
    let run = qemu(&[&["rpctrace2"], &words[..]].concat())?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let said: Vec<&str> = run.stdout.lines().skip(1).collect();
    for (line, begin) in
        said.iter().zip(["3 engines: engine 1 `outer'", "engine 2 `inner'", "engine 3 `in C'", "found again"])
    {
        assert!(line.starts_with(begin), "{begin}: {}", run.stdout);
    }
    assert!(run.stdout.ends_with("\n2 engines\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("NOT AS EXPECTED"), "{}", run.stdout);
    // Each tracer has seen the program make the task.
    assert!(run.stderr.matches("trace_engines[").count() >= 2, "{}", run.stderr);
    assert_eq!(run.stderr.matches(" task_create(").count(), 2, "{}", run.stderr);
    Ok(())
}
