// SPDX-License-Identifier: GPL-2.0-or-later
//! Questions about a trace, live and of captures. What docs/questions.md says that is answered is what is answered.

use std::fs;

use anyhow::{Context, Result};
use rpctrace2::host::show;
use tests::documented::{alike, check};
use tests::guest::qemu;

/// What a question is answered of a program's capture, and the exit status.
fn of_capture(question: &str, command: &[&str]) -> Result<(String, u8)> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (trace, kept, text) = (path("trace"), path("kept"), path("text"));
    let run = qemu(&[&["--icount", "rpctrace2", "-o", &trace, "--capture", &kept], command].concat())?;
    let asked = [format!("--ask={question}"), "-o".to_owned(), text.clone(), kept];
    let status = show::run(&asked).with_context(|| run.stderr.clone())?;
    Ok((fs::read_to_string(text)?, status))
}

/// What a question is answered of a program that runs.
fn live(words: &[&str]) -> Result<String> {
    let place = tempfile::tempdir()?;
    let trace = place.path().join("trace").to_string_lossy().into_owned();
    let run = qemu(&[&["--icount", "rpctrace2", "-o", &trace], words].concat())?;
    fs::read_to_string(&trace).with_context(|| run.stderr)
}

/// Compares what is answered with what docs/questions.md shows.
fn is_documented(command: &str, answer: &str) -> Result<()> {
    check("questions.md", command, answer)
}

/// Compares what is answered live with what is documented.
fn is_documented_live(words: &[&str]) -> Result<()> {
    is_documented(&["cargo qemu rpctrace2", &words.join(" ")].join(" "), &live(words)?)
}

/// What `stuck` answers of a recording of a program that does not end, with its exit status.
fn stuck(words: &[&str]) -> Result<(String, u8)> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (kept, text) = (path("kept"), path("text"));
    let run = qemu(&[&["--timeout", "20", "record", "--wait", "-o", &kept], words].concat())?;
    let asked = ["--ask=stuck", "-o", &text, &kept].map(str::to_owned);
    let status = show::run(&asked).with_context(|| run.stderr.clone())?;
    Ok((fs::read_to_string(&text)?, status))
}

/// Programs that give back what they get, or hold it for as long as they run.
const CLEAN: [&[&str]; 12] = [
    &["hello"],
    &["ports"],
    &["vm"],
    &["ping"],
    &["echo"],
    &["threads"],
    &["items"],
    &["arrays"],
    &["timeouts"],
    &["catch"],
    &["relay"],
    &["reply-port"],
];

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn nothing_leaks_of_what_clean_programs_do() -> Result<()> {
    for command in CLEAN {
        let (text, status) = of_capture("leaks", command)?;
        assert!(text.lines().any(|line| line == "no right leaks by these records"), "{command:?}:\n{text}");
        assert_eq!(status, 0, "{command:?}:\n{text}");
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_leaking_program_is_told_what_it_leaks() -> Result<()> {
    let words = ["--ask=leaks", "leaking"];
    let answer = live(&words)?;
    for part in [
        " by answers to task_get_special_port and has given none back\n",
        " by mach_port_allocate and has done nothing with them\n",
    ] {
        assert!(answer.contains(part), "no {part}:\n{answer}");
    }
    is_documented("cargo qemu rpctrace2 --ask=leaks leaking", &answer)?;
    let (text, status) = of_capture("leaks", &["leaking"])?;
    assert_eq!((alike(&text), status), (alike(&answer), 1));
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_chain_of_servers_is_a_tree() -> Result<()> {
    is_documented_live(&["--ask=tree", "--min", "1ms", "relay"])
}

/// Three servers that do not answer: what the records say of each.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn why_a_client_is_not_answered_is_told() -> Result<()> {
    let has = |text: &str, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(text.lines().any(|line| line.contains(part)), "no {part}:\n{text}"));
    };
    let (text, status) = stuck(&["unanswered", "itself"])?;
    assert_eq!(status, 1, "{text}");
    assert!(text.starts_with("cycle: (unanswered)[3] -> (unanswered)[3], which asks itself\n"), "{text}");
    has(
        &text,
        &["unanswered[2] waits since ", ": received by (unanswered)[3] at ", "  1: ping of (unanswered)[3] since "],
    );
    is_documented("cargo qemu record -o FILE unanswered itself; cargo rpctrace2 stuck FILE", &text)?;
    let (text, status) = stuck(&["unanswered", "keeps"])?;
    assert_eq!(status, 0, "{text}");
    has(
        &text,
        &[", not answered; it has sent or received since, last at ", "  1: msgh_id 6900 of (unanswered)[3] since "],
    );
    assert!(!text.contains("cycle"), "{text}");
    is_documented_live(&["--ask=stuck", "unanswered", "destroys"])
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn figures_of_a_program_are_told() -> Result<()> {
    let text = live(&["--ask=top", "vm"])?;
    for part in [" vm[1]\n", " mach\n", " vm_protect\n", " answers\n", "longest", "#\n"] {
        assert!(text.contains(part), "no {part}:\n{text}");
    }
    Ok(())
}

/// The last of three servers rests 20 ms for each request, so that this takes three seconds on any machine.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn figures_are_drawn_while_they_come() -> Result<()> {
    let run = qemu(&["rpctrace2", "--ask=top", "--live", "relay", "150"])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let (drawn, answer) =
        run.stderr.rsplit_once("\x1b[H\x1b[J").context("the answer takes the place of what was drawn")?;
    let frames: Vec<&str> = drawn.split("\x1b[Hfigures so far").skip(1).collect();
    assert!(frames.len() >= 2, "{}", run.stderr);
    // All calls are counted in the end, and fewer in each drawing than in the next.
    let pings = |text: &str, column: usize| {
        let row = text.lines().map(|line| line.replace("\x1b[K", "")).find(|line| line.trim_end().ends_with(" ping"));
        let words: Vec<String> = row.iter().flat_map(|row| row.split_whitespace()).map(str::to_owned).collect();
        words.get(column).and_then(|calls| calls.parse::<u32>().ok())
    };
    let mut counts: Vec<Option<u32>> = frames.iter().map(|frame| pings(frame, 3)).collect();
    counts.push(pings(answer, 7));
    assert!(counts.iter().all(Option::is_some) && counts.is_sorted(), "{counts:?}\n{}", run.stderr);
    assert_eq!(counts.last(), Some(&Some(450)), "three calls for each request\n{answer}");
    Ok(())
}

/// What a suite of two programs reaches, each kept in a capture of its own, and what one of them reaches live.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_was_reached_is_told() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    for program in ["vm", "hello"] {
        let run = qemu(&["--icount", "rpctrace2", "-o", &path("trace"), "--capture", &path(program), program])?;
        anyhow::ensure!(run.status == Some(0), "{}", run.stderr);
    }
    let asked = |words: &[String]| -> Result<String> {
        let status = show::run(&[&["--ask=coverage".into(), "-o".into(), path("text")], words].concat())?;
        assert_eq!(status, 0);
        Ok(fs::read_to_string(path("text"))?)
    };
    let [one, other] = ["vm", "hello"].map(|program| asked(&[path(program)]));
    let (one, other, both) = (one?, other?, asked(&[path("vm"), path("hello")])?);
    is_documented("cargo rpctrace2 coverage VM HELLO", &both)?;
    let line = |text: &str, begin: &str| text.lines().find(|line| line.starts_with(begin)).map(str::to_owned);
    for begin in ["  vm_read: ", "    new_protection: "] {
        assert!(line(&one, begin).is_some() && line(&one, begin) == line(&both, begin), "{begin}:\n{one}{both}");
    }
    for (text, count) in [(&one, 1), (&other, 1), (&both, 2)] {
        assert!(text.contains(&format!("  boot_exit: asked {count}\n")), "{text}");
    }
    assert!(line(&other, "  vm_read: ").is_none(), "{other}");
    assert_eq!(alike(&live(&["--ask=coverage", "vm"])?), alike(&one));
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn where_ports_come_from_is_told() -> Result<()> {
    let text = live(&["--ask=ports", "ping"])?;
    for part in ["bootstrap, number ", "receive right, name ", "made by mach_port_allocate\n"] {
        assert!(text.contains(part), "no {part}:\n{text}");
    }
    Ok(())
}
