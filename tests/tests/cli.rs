// SPDX-License-Identifier: GPL-2.0-or-later
//! What a user meets besides a good trace: stock kernels, kernels by path, wrong names, crashes, the prompt.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use tests::guest::{Run, qemu, qemu_on_one_screen, setting};

/// Gives a symbol another name of the same length, in the symbol table and wherever else the kernel names it.
fn rename(kernel: &mut [u8], symbol: &str) {
    let name = format!("\0{symbol}\0").into_bytes();
    let places: Vec<usize> = (0..kernel.len() - name.len()).filter(|&at| kernel[at..].starts_with(&name)).collect();
    assert!(!places.is_empty(), "no symbol {symbol} in the kernel");
    places.into_iter().for_each(|at| kernel[at + name.len() - 2] = b'#');
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_kernel_that_lacks_something_is_refused_with_the_full_list() -> Result<()> {
    let lacking = ["ipc_kobject_server", "ipc_mqueue_send", "mach_msg_trap"];
    let mut kernel = std::fs::read(setting("RPCTRACE2_KERNEL")?)?;
    lacking.iter().for_each(|symbol| rename(&mut kernel, symbol));
    let folder = tempfile::tempdir()?;
    let (file, out) = (folder.path().join("doctored"), folder.path().join("out"));
    std::fs::write(&file, &kernel)?;
    let run = qemu(&["instrument", &file.to_string_lossy(), "-o", &out.to_string_lossy()])?;
    assert_eq!(run.status, Some(125), "{}", run.stderr);
    for symbol in lacking {
        let line =
            run.stderr.lines().find(|line| line.contains(&format!("symbol {symbol} ")) && line.contains("missing"));
        assert!(line.is_some(), "expected a line about {symbol}:\n{}", run.stderr);
    }
    assert!(!out.exists(), "nothing is written");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_kernel_that_is_read_is_never_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kernel = folder.path().join("kernel");
    std::fs::copy(setting("RPCTRACE2_KERNEL")?, &kernel)?;
    let name = kernel.to_string_lossy();
    let run = qemu(&["instrument", &name, "-o", &name])?;
    assert_eq!(run.status, Some(125), "{}", run.stderr);
    assert!(one_line(&run.stderr).contains("it is the kernel that is read"), "{}", run.stderr);
    assert_eq!(std::fs::read(&kernel)?, std::fs::read(setting("RPCTRACE2_KERNEL")?)?);
    Ok(())
}

/// Which kernel is booted is seen by the version that it says.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_default_kernel_is_the_one_that_people_boot() -> Result<()> {
    for (options, is_debug) in [(&["-v"][..], false), (&["-v", "--debug-kernel"], true)] {
        let run = qemu(&[options, &["run", "hello"]].concat())?;
        let version = run.stderr.lines().find(|line| line.contains("GNU Mach 1.8")).context("no version")?;
        assert_eq!((version.ends_with("-dbg"), run.status), (is_debug, Some(0)), "{}", run.stderr);
    }
    Ok(())
}

/// What README.md shows first, on the screen line for line: the trace stands where the program's own output does.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_readme_shows_what_a_user_sees() -> Result<()> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let after = readme.lines().skip_while(|line| *line != "    $ cargo qemu rpctrace2 hello").skip(1);
    let shown: Vec<&str> = after.map_while(|line| line.strip_prefix("    ")).collect();
    assert!(shown.len() > 5, "the trace in README.md: {shown:#?}");
    let (screen, _) = qemu_on_one_screen(&["--icount", "rpctrace2", "hello"])?;
    assert_eq!(screen.lines().collect::<Vec<_>>(), shown);
    Ok(())
}

fn one_line(text: &str) -> &str {
    assert_eq!(text.lines().count(), 1, "expected one line, found:\n{text}");
    text.trim_end()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_trace_port_is_set_read_back_and_cleared_by_rpc() -> Result<()> {
    let Run { stdout, stderr, status } = qemu(&["run", "trace-port"])?;
    let expected = "trace-port: set and read back\ntrace-port: records came\ntrace-port: records stopped\n";
    assert_eq!((stdout.as_str(), status), (expected, Some(0)), "{stderr}");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_stock_kernel_gives_one_clear_line() -> Result<()> {
    let program = qemu(&["--stock", "run", "trace-port"])?;
    assert_eq!((one_line(&program.stdout), program.status), ("trace-port: this kernel has no trace port", Some(3)));
    let tracer = qemu(&["--stock", "rpctrace2", "hello"])?;
    assert!(tracer.stderr.contains("rpctrace2: this kernel has no trace port"), "{}", tracer.stderr);
    assert!(tracer.stderr.contains("cargo qemu instrument") && tracer.stdout.is_empty(), "{}", tracer.stderr);
    assert_eq!(tracer.status, Some(125));
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_kernel_file_given_by_path_is_instrumented_and_traces() -> Result<()> {
    let kernel = setting("RPCTRACE2_KERNEL")?;
    let run = qemu(&["--kernel", &kernel, "rpctrace2", "hello"])?;
    assert!(run.stderr.contains("data: \"hello, world\\n\") = 0 {bytes_written: 13}"), "{}", run.stderr);
    assert_eq!((run.stdout.as_str(), run.status), ("hello, world\n", Some(0)), "the trace is not among the output");
    Ok(())
}

/// The default one is the kernel that people boot; this is the other, of which the tests with `--all` run all programs.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_kernel_built_for_debugging_traces() -> Result<()> {
    for (program, status, end) in [
        ("hello", 0, "+++ hello[1] exited with 0 +++"),
        ("ping", 0, "+++ ping[1] exited with 0 +++"),
        ("threads", 0, "+++ threads[1] exited with 0 +++"),
        ("catch", 0, "+++ catch[1] exited with 0 +++"),
        ("crash", 129, "+++ crash[1] killed by EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x0, rip 0x"),
    ] {
        let run = qemu(&["--debug-kernel", "--icount", "rpctrace2", program])?;
        assert_eq!(run.status, Some(status), "{program}:\n{}{}", run.stdout, run.stderr);
        assert!(run.stderr.lines().last().is_some_and(|last| last.starts_with(end)), "{program}:\n{}", run.stderr);
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn an_instrumented_kernel_is_written_and_not_instrumented_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("kernel.trace");
    let out_name = out.to_string_lossy().into_owned();
    let first = qemu(&["instrument", &setting("RPCTRACE2_KERNEL")?, "-o", &out_name])?;
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    assert!(first.stdout.contains("mach_trap_table[25]"), "the plan is printed:\n{}", first.stdout);
    for suffix in ["", ".elf32", ".layout"] {
        let file = format!("{out_name}{suffix}");
        assert!(std::fs::metadata(&file).is_ok_and(|file| file.len() > 0), "{file}");
    }
    let second = qemu(&["instrument", &out_name, "-o", &format!("{out_name}.2")])?;
    assert_eq!(second.status, Some(125));
    assert!(one_line(&second.stderr).contains("already instrumented"), "{}", second.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn variables_become_names_in_the_programs_own_task() -> Result<()> {
    let arguments = ["hello", "${host-port}", "d=${device-port}"];
    let untraced = qemu(&[&["run"][..], &arguments].concat())?;
    assert_eq!(untraced.stdout, "hello, world\nargument 1: 1\nargument 2: d=2\n");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace").to_string_lossy().into_owned();
    let traced = qemu(&[&["rpctrace2", "-o", &file][..], &arguments].concat())?;
    assert_eq!(traced.stdout, untraced.stdout);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_is_not_there_is_one_line_and_a_status_of_its_own() -> Result<()> {
    for verb in ["run", "rpctrace2"] {
        let missing = qemu(&[verb, "nonsense"])?;
        assert_eq!(missing.status, Some(127), "{verb}");
        assert!(one_line(&missing.stderr).contains("no program `nonsense`: expected one of "), "{}", missing.stderr);
    }
    let file = qemu(&["run", "./nonsense"])?;
    assert_eq!(file.status, Some(127), "{}", file.stderr);
    let foreign = qemu(&["run", "/bin/ls"])?;
    assert_eq!(foreign.status, Some(125));
    assert!(one_line(&foreign.stderr).contains("/bin/ls"), "{}", foreign.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_prompt_runs_programs_and_ends_with_the_status_it_is_told() -> Result<()> {
    let output = type_to(&["shell"], b"ps\nhello\nrpctrace2 hello\nexit 7\n")?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running    shell"), "{text}");
    assert_eq!(text.matches("\nhello, world").count(), 2, "{text}");
    assert!(text.contains("+++ hello[1] exited with 0 +++"), "{text}");
    assert_eq!(output.status.code(), Some(7));
    Ok(())
}

/// Also where the last line has no end.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_end_of_the_input_ends_the_prompt() -> Result<()> {
    for keys in [&b"hello\n"[..], b"hello"] {
        let output = type_to(&["shell"], keys)?;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("\nhello, world"), "{text}");
        assert_eq!(output.status.code(), Some(0));
    }
    Ok(())
}

/// One tracer alone: a second one takes the place of the first where the host tool's Ctrl-C is heard of, which ends the first.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_prompt_says_by_whom_tasks_are_traced() -> Result<()> {
    let output = type_to(&["rpctrace2", "--as", "one", "shell"], b"ps\nexit 7\n")?;
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let tasks: Vec<&str> = text.lines().filter(|line| line.contains(" running ")).collect();
    let expected = ["1   running    rpctrace2", "2   running    shell  traced by one"];
    assert_eq!(tasks, expected, "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(7));
    Ok(())
}

/// The prompt, run by these words, with these keys and then no more.
fn type_to(words: &[&str], text: &[u8]) -> Result<Output> {
    let mut shell = Command::new(setting("RPCTRACE2_QEMU")?)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the shell")?;
    let mut keys = shell.stdin.take().context("the shell's standard input")?;
    keys.write_all(text)?;
    drop(keys);
    Ok(shell.wait_with_output()?)
}
