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

/// The part of a trace that is about neither what was before nor what is after, and a command that goes on to its end.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_trace_ends_and_the_command_goes_on_untraced() -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("trace");
    let name = file.to_string_lossy().into_owned();
    let trace = |words: &[&str]| -> Result<(Vec<String>, String, Option<i32>)> {
        let run = qemu(&[&["--icount", "rpctrace2", "-Xraw", "-o", &name], words, &["-E", "A=1", "hello"]].concat())?;
        let lines = std::fs::read_to_string(&file)?.lines().map(str::to_owned).collect();
        Ok((lines, run.stdout, run.status))
    };
    let printed = "hello, world\nenvironment: A=1\n";
    let (whole, stdout, status) = trace(&[])?;
    assert_eq!((stdout.as_str(), status), (printed, Some(0)));
    let first = whole.iter().position(|line| line.contains("] device_write_inband(")).expect("it prints");
    assert!(first > 1 && whole.len() > first + 2, "{whole:#?}");
    let (part, stdout, status) =
        trace(&["--on=device_write_inband", "--history=1", "--until=device_write_inband=successful"])?;
    let end = "rpctrace2: --until=device_write_inband=successful: the trace ends here".to_owned();
    assert_eq!(part, [&whole[first - 1..=first], &[end]].concat());
    assert_eq!((stdout.as_str(), status), (printed, Some(0)), "it goes on, and its status is told");
    // A program whose status is not 0, also if it is traced by an engine.
    for words in [&["--limit=2"][..], &["--as=one", "--limit=2"]] {
        let run = qemu(&[&["rpctrace2"], words, &["orphan"]].concat())?;
        assert_eq!(run.status, Some(3), "{}{}", run.stdout, run.stderr);
        let lines: Vec<&str> = run.stderr.lines().filter(|line| !line.starts_with('[')).collect();
        let [_, _, end] = lines[..] else { panic!("{}", run.stderr) };
        assert_eq!(end, "rpctrace2: --limit=2: the trace ends here");
    }
    Ok(())
}

/// An option that nothing was of is told of.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn an_option_that_selects_nothing_says_so() -> Result<()> {
    let run = qemu(&["rpctrace2", "-e", "vm_map", "--port=7777", "--result=KERN_NO_SPACE", "hello"])?;
    assert_eq!((run.stdout.as_str(), run.status), ("hello, world\n", Some(0)), "{}", run.stderr);
    let said: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("rpctrace2: ")).collect();
    let [said] = said[..] else { panic!("{}", run.stderr) };
    let count =
        said.strip_prefix("rpctrace2: -e vm_map matched none of ").and_then(|rest| rest.strip_suffix(" records"));
    assert!(count.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 5), "{said}");
    Ok(())
}
