// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2's options as a user gives them: mistakes before anything boots, and some of everything in one run.

use anyhow::Result;
use tests::guest::qemu;

/// Without a kernel to boot: what is refused, or only printed, needs none.
#[test]
#[ignore = "needs the host tool: run cargo qemu test"]
fn mistakes_boot_nothing() -> Result<()> {
    let kernel = ["--kernel", "/no/such/kernel", "rpctrace2"];
    for (words, status, expected) in [
        (&["--sumary", "hello"][..], 125, "unknown option `--sumary`; did you mean `--summary`?"),
        (&["-p", "1"], 125, "option `-p`: needs a Hurd"),
        (&["-e", "tarce=x", "hello"], 125, "did you mean `trace`?"),
        (&["-h"], 0, "rpctrace2 [OPTION]... COMMAND [ARGUMENT]..."),
        (&["--version"], 0, "rpctrace2 0."),
    ] {
        let run = qemu(&[&kernel[..], words].concat())?;
        assert_eq!(run.status, Some(status), "{words:?}: {}", run.stderr);
        let text = if status == 0 { &run.stdout } else { &run.stderr };
        assert!(text.contains(expected), "{words:?}: {text}");
    }
    Ok(())
}

/// Names of routines are known once the interfaces are there; what is booted would say so.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_mistyped_routine_boots_nothing() -> Result<()> {
    let run = qemu(&["-v", "rpctrace2", "-e", "tsak_create", "hello"])?;
    assert_eq!((run.stdout.as_str(), run.status), ("", Some(125)));
    assert!(run.stderr.contains("is called `tsak_create`; did you mean `task_create`?"), "{}", run.stderr);
    assert!(!run.stderr.contains("bootstrap: up"), "{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn expressions_variables_and_commands_reach_where_they_belong() -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("trace");
    let command = format!("|cat >>{}", file.display());
    let line = ["-E", "A=1", "-o", &command, "-e", "/^device_.*inband/,%task,?not_there", "-z", "-x", "hello"];
    let run = qemu(&[&["--icount", "rpctrace2"], &line[..]].concat())?;
    assert_eq!((run.stdout.as_str(), run.status), ("hello, world\nenvironment: A=1\n", Some(0)), "{}", run.stderr);
    let trace = std::fs::read_to_string(file)?;
    let routine = |line: &str| line.split_once("] ").map(|(_, rest)| rest.split('(').next().unwrap_or(rest).to_owned());
    let routines: Vec<String> = trace.lines().filter_map(routine).collect();
    assert_eq!(
        routines,
        ["task_get_special_port", "device_write_inband", "device_write_inband", "exited with 0 +++"],
        "{trace}"
    );
    Ok(())
}
