// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 owner`, and `-p all`, which owns the system trace: one has it at a time.

use anyhow::Result;
use tests::guest::{Run, qemu};

/// Runs hurd-owner in the small Hurd; what all wrote.
fn scene(name: &str) -> Result<String> {
    let run = qemu(&["--icount", "run", "small-hurd", "hurd-owner", name])?;
    assert_eq!(run.status, Some(0), "{name}: {}{}", run.stdout, run.stderr);
    Ok(run.stdout.replace('\r', ""))
}

/// What `rpctrace2 owner` prints.
fn state(mode: &str, owner: &str, background: &str, parts: &str, by: &str) -> String {
    format!(
        "mode: {mode}\nowner: {owner}\nbackground tool: {background}\nparts: {parts}\nconfigured by: {by}\nanother owner is made by: the owner\n"
    )
}

const REFUSED: &str = "rpctrace2: the system trace is owned by rpctrace2 owner, tool 1, and nobody else's as long as that lives; \
                       `rpctrace2 owner` says more\n";

/// One claims it; others are refused it, `-p all` among them; it gives it back. What one that is killed leaves is released.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn one_owner_at_a_time_is_in_the_foreground() -> Result<()> {
    let died = "none: it has died, and whoever claims the trace has it";
    let expected = [
        &state("off", "none", "none", "none", "nobody yet"),
        "the system trace is ours in the foreground, tool 1; Ctrl-C gives it back\n",
        &state("foreground", "rpctrace2 owner, tool 1", "none", "tasks, recorder", "rpctrace2 owner"),
        REFUSED,
        REFUSED,
        REFUSED,
        "the system trace is given back\n",
        "the system trace is free already\n",
        "the system trace is ours in the foreground, tool 6; Ctrl-C gives it back\n",
        &state("foreground", died, "none", "tasks, recorder", "rpctrace2 owner"),
        "the system trace is free: what rpctrace2 owner had configured has ended\n",
        "rpctrace2: `owner`: expected claim, release, background or nothing, found `relaese` (a program of that name is traced by \
         `-- owner`); did you mean `release`?\n",
    ];
    assert_eq!(scene("claim")?, expected.concat());
    Ok(())
}

/// It has the trace as soon as it is free, loses it to who claims it, and has it again.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_background_has_what_nobody_else_wants() -> Result<()> {
    let ours = "the system trace is ours in the background, tool 1; Ctrl-C gives it back\n";
    let expected = [
        ours,
        "the system trace is ours in the foreground, tool 2; Ctrl-C gives it back\n",
        &state("foreground", "rpctrace2 owner, tool 2", "tool 1", "tasks, recorder", "rpctrace2 owner"),
        "the system trace is given back\n",
        ours,
        "the system trace is given back\n",
        &state("off", "none", "none", "none", "rpctrace2 owner"),
    ];
    assert_eq!(scene("background")?, expected.concat());
    Ok(())
}

/// Of two that trace all tasks one is refused, who reads whose it is. A program that starts later is traced.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn every_task_at_once_takes_the_system_trace() -> Result<()> {
    let text = scene("all")?;
    let said: Vec<&str> = text.lines().filter(|line| !line.starts_with("environment: ")).collect();
    let expected = [
        "mode: foreground",
        "owner: rpctrace2, tool 1",
        "background tool: none",
        "parts: tasks by engine 1",
        "configured by: rpctrace2",
        "another owner is made by: the owner",
        "rpctrace2: the system trace is owned by rpctrace2, tool 1, and nobody else's as long as that lives; `rpctrace2 owner` says more",
        "hello, Hurd",
    ];
    assert_eq!(said, expected, "{text}");
    Ok(())
}

/// In our own small system, where who has the host's privileged port says so, and on the host, which gives it.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_small_system_shows_and_changes_the_owner() -> Result<()> {
    let free = state("off", "none", "none", "none", "nobody yet");
    for (words, said, status) in [
        (&["run", "rpctrace2", "owner"][..], free.as_str(), 0),
        (&["rpctrace2", "owner"], free.as_str(), 0),
        (&["rpctrace2", "owner", "release"], "the system trace is free already\n", 0),
        (&["run", "rpctrace2", "--host=${host-port}", "owner", "release"], "the system trace is free already\n", 0),
    ] {
        let run = qemu(&[&["--icount"], words].concat())?;
        assert_eq!((run.stdout.as_str(), run.status), (said, Some(status)), "{words:?}: {}", run.stderr);
    }
    let run = qemu(&["--icount", "run", "rpctrace2", "owner", "claim"])?;
    refused(
        &run,
        "rpctrace2: `owner`: a change takes the host's privileged port; in the small system --host=${host-port} before",
    );
    let run = qemu(&["--stock", "run", "rpctrace2", "owner"])?;
    refused(&run, "rpctrace2: this kernel has no engines, which ");
    Ok(())
}

fn refused(run: &Run, said: &str) {
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains(said), "{all}");
    assert_eq!(run.status, Some(125), "{all}");
}
