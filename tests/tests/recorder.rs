// SPDX-License-Identifier: GPL-2.0-or-later
//! The machine's own recorder: read from outside, while the machine runs and after its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rpctrace2::host::show;
use tests::guest::{Run, Signal, options, qemu, setting, signal};

/// Seen and lost, as the last line but one says.
fn tally(run: &Run) -> Result<(u64, u64)> {
    let line = run.stderr.lines().find_map(|line| line.strip_prefix("recorder: ")).context(run.stderr.clone())?;
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [seen, lost] = numbers[..] else { bail!("{line}") };
    Ok((seen, lost))
}

/// Runs a command with the recorder; answers what was printed of it.
fn record(options: &[&str], command: &[&str]) -> Result<Run> {
    qemu(&[options, &["record", "--wait"], command].concat())
}

/// A tool with a folder for temporary files of its own, so that no other machine's memory is there.
fn apart(folder: &Path, words: &[&str]) -> Result<Child> {
    let mut command = Command::new(setting("RPCTRACE2_QEMU")?);
    command.args(options().split_whitespace()).args(words).env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("starting cargo qemu")
}

/// Records that there are in the only machine that runs in this folder, and those that are overwritten.
fn look(folder: &Path) -> Result<(u64, u64)> {
    let found = apart(folder, &["autopsy"])?.wait_with_output()?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    anyhow::ensure!(found.status.success(), "{text}{}", String::from_utf8_lossy(&found.stderr));
    let line = text.lines().find(|line| line.starts_with("recorder at 0x")).context(text.clone())?;
    let numbers: Vec<u64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [records, lost] = numbers[..] else { bail!("{line}") };
    Ok((records, lost))
}

/// The reader stands still until all that it cannot have read is overwritten, which an autopsy without arguments sees in the machine that runs on.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_is_overwritten_before_it_is_read_is_said_to_be_lost() -> Result<()> {
    let place = tempfile::tempdir()?;
    let words = ["--timeout", "300", "record", "--recorder", "512K", "clock", "${host-port}", "60000"];
    let mut tool = apart(place.path(), &words)?;
    let mut trace = BufReader::new(tool.stderr.take().context("its trace")?);
    let mut text = String::new();
    while !text.ends_with("\n") || !text.contains("] device_open(") {
        anyhow::ensure!(trace.read_line(&mut text)? > 0, "no record: {text}");
    }
    signal(tool.id(), Signal::STOP)?;
    let (records, overwritten) = look(place.path())?;
    let most = records + overwritten;
    let since = Instant::now();
    while look(place.path())?.1 <= most {
        anyhow::ensure!(since.elapsed() < Duration::from_secs(100), "no more than {most} records overwritten");
        sleep(Duration::from_millis(200));
    }
    signal(tool.id(), Signal::CONT)?;
    trace.read_to_string(&mut text)?;
    let ended = tool.wait_with_output()?;
    assert_eq!(ended.status.code(), Some(0), "{text}");
    let run = Run { stdout: String::new(), stderr: text, status: Some(0) };
    let (_, lost) = tally(&run)?;
    // `records 12 to 345 of the recorder are lost: newer ones …`
    let said =
        run.stderr.lines().filter_map(|line| line.split_once("records ")?.1.split_once(" of the recorder are lost: "));
    let numbers = said.map(|(numbers, why)| -> Result<u64> {
        assert!(why.starts_with("newer ones took their place before they were read; "), "{why}");
        let (first, last) = numbers.split_once(" to ").context("two numbers")?;
        Ok(last.parse::<u64>()? - first.parse::<u64>()? + 1)
    });
    let numbers = numbers.collect::<Result<Vec<u64>>>()?;
    assert!(lost > 0 && numbers.iter().sum::<u64>() == lost, "{lost} lost: {numbers:?}");
    Ok(())
}

/// What of a line is the same whatever numbers tasks and ports have.
const FROM_THE_FIRST_TASK_ON: [&str; 4] = [
    // The bootstrap task's own start, which no tracer in the machine could see.
    "] device_open(master_port: port ",
    "] task_create(",
    "hello[",
    // The boot server's end of it all.
    "] host_reboot(host_priv: host-priv, options: RB_AUTOBOOT) ",
];

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn every_task_is_recorded_and_nothing_in_the_machine_traces() -> Result<()> {
    let run = record(&[], &["hello"])?;
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "hello, world\n"), "{}", run.stderr);
    let (seen, lost) = tally(&run)?;
    assert!(seen > 100 && lost == 0, "{}", run.stderr);
    for part in FROM_THE_FIRST_TASK_ON {
        assert!(run.stderr.contains(part), "no {part}:\n{}", run.stderr);
    }
    for part in ["trace port", "trace_attach", "rpctrace2["] {
        assert!(!run.stderr.contains(part), "nobody traces, but {part}:\n{}", run.stderr);
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn headers_have_no_bodies() -> Result<()> {
    let run = record(&[], &["--headers", "hello"])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let (seen, lost) = tally(&run)?;
    assert!(seen > 100 && lost == 0, "{}", run.stderr);
    assert!(run.stderr.contains("] device_open("), "routines are known by the header: {}", run.stderr);
    assert!(!run.stderr.contains("name: \"console\""), "a body: {}", run.stderr);
    Ok(())
}

/// More records than the ring has room for, while the kernel waits for the reader.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn who_asks_the_kernel_to_wait_loses_nothing() -> Result<()> {
    let run = record(&["--timeout", "300"], &["--recorder", "512K", "bench-rpc", "untraced"])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let (seen, lost) = tally(&run)?;
    // That of a message takes 152 bytes at least: frame, header, the message's own header. Births and deaths, which take less, are few.
    assert!(seen * 152 > 512 * 1024, "too few records for a ring that comes round: {seen}");
    assert_eq!(lost, 0, "{seen} seen");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_recording_is_kept_and_shown_again() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (kept, text) = (path("kept"), path("text"));
    let run = record(&[], &["-o", &kept, "hello"])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("device_open"), "lines besides the file: {}", run.stderr);
    assert_eq!(show::run(&["-o".to_owned(), text.clone(), kept.clone()])?, 0);
    let shown = fs::read_to_string(Path::new(&text))?;
    for part in FROM_THE_FIRST_TASK_ON {
        assert!(shown.contains(part), "no {part}:\n{shown}");
    }
    // What is selected, as of any capture.
    assert_eq!(show::run(&["-o", &text, "-e", "trace=task_create", &kept].map(str::to_owned))?, 0);
    let selected = fs::read_to_string(Path::new(&text))?;
    assert!(selected.contains("] task_create(") && !selected.contains("device_open"), "{selected}");
    Ok(())
}

/// What is left of the machine is said first, then all of it, to the last record.
fn ends_with(run: &Run, last: &str) -> Result<()> {
    let (seen, lost) = tally(run)?;
    assert!(seen > 100 && lost == 0, "{}", run.stderr);
    for part in &FROM_THE_FIRST_TASK_ON[..3] {
        assert!(run.stderr.contains(&part.replace("hello[", "pretend[")), "no {part}:\n{}", run.stderr);
    }
    let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains("] ")).collect();
    assert!(lines.iter().any(|line| line.contains(last)), "no {last}:\n{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_program_that_restarts_the_machine_is_recorded_to_the_end() -> Result<()> {
    let run = record(&[], &["pretend", "${host-port}"])?;
    assert!(run.stderr.contains("\nthe program restarted the machine\n"), "{}", run.stderr);
    assert_eq!(run.status, Some(0));
    ends_with(&run, "pretend[2] host_reboot(host_priv: host-priv, options: RB_AUTOBOOT) ")
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_kernel_that_stops_is_recorded_to_the_end() -> Result<()> {
    // The kernel that people boot has no debugger, and panics.
    for kernel in [&[][..], &["--debug-kernel"]] {
        let run = record(kernel, &["pretend", "${host-port}", "4096"])?;
        assert_eq!(run.status, Some(125), "{}", run.stderr);
        assert!(run.stderr.contains("error: the kernel stopped: "), "{}", run.stderr);
        ends_with(&run, "pretend[2] host_reboot(host_priv: host-priv, options: RB_DEBUGGER) ")?;
    }
    Ok(())
}

/// Two tasks wait for each other, and the time limit ends it.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_machine_that_hangs_is_recorded_to_the_end() -> Result<()> {
    let run = record(&["--timeout", "20"], &["deadlock"])?;
    assert_eq!(run.status, Some(125), "{}", run.stderr);
    assert!(run.stderr.contains("no end after 20 seconds"), "{}", run.stderr);
    let (_, lost) = tally(&run)?;
    assert_eq!(lost, 0);
    for unfinished in [
        "deadlock[2] ping(port: port 2 made by deadlock[2], number: 3)",
        "(deadlock)[3] ping(port: port made by deadlock[2], number: 4)",
    ] {
        assert!(run.stderr.contains(unfinished), "no {unfinished}:\n{}", run.stderr);
    }
    Ok(())
}

/// Each signal that ends a process ends the machine, what was recorded is there to the last record, and nothing else stays.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_signal_ends_the_machine_and_loses_no_record() -> Result<()> {
    for (with, name) in [(Signal::INT, "-o"), (Signal::TERM, "--wait"), (Signal::HUP, "--headers")] {
        let place = tempfile::tempdir()?;
        let kept = place.path().join("kept");
        let temporary = place.path().join("tmp");
        fs::create_dir(&temporary)?;
        let file = kept.to_string_lossy();
        let words = if name == "-o" { vec!["record", name, &file] } else { vec!["record", name] };
        let mut tool = apart(&temporary, &[&words[..], &["deadlock"]].concat())?;
        let mut said = BufReader::new(tool.stdout.take().context("what it says")?);
        said.read_line(&mut String::new())?;
        signal(tool.id(), with)?;
        let ended = tool.wait_with_output()?;
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(128 + with.as_raw()), "{text}");
        let last = text.lines().last().context("no line")?;
        assert!(last.starts_with("recorder: ") && last.ends_with(" records seen, 0 lost"), "{text}");
        assert_eq!(fs::read_dir(&temporary)?.count(), 0, "{text}");
        let shown = match name {
            "-o" => {
                let shown = place.path().join("text").to_string_lossy().into_owned();
                // One that is cut has another status.
                assert_eq!(show::run(&["-o".to_owned(), shown.clone(), file.clone().into_owned()])?, 0);
                fs::read_to_string(shown)?
            }
            _ => text,
        };
        // The program has said so after its last answer.
        assert!(shown.contains("] ping("), "{shown}");
    }
    Ok(())
}

/// What cannot be kept ends the machine, and is said once, with the file's name.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_full_disk_ends_the_machine() -> Result<()> {
    for words in [
        &["record", "-o", "/dev/full"][..],
        &["record", "--wait", "-o", "/dev/full"],
        &["rpctrace2", "--capture", "/dev/full"],
        &["rpctrace2", "-o", "/dev/full"],
    ] {
        let run = qemu(&[words, &["deadlock"]].concat())?;
        let line = "error: cannot write /dev/full: No space left on device (os error 28)\n";
        assert!(run.stderr.ends_with(line) && run.status == Some(125), "{words:?}: {:?} {}", run.status, run.stderr);
        assert_eq!(run.stderr.matches("/dev/full").count(), 1, "{}", run.stderr);
    }
    Ok(())
}

/// A program that there is not is found out before any file is opened.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_mistake_empties_no_file() -> Result<()> {
    let place = tempfile::tempdir()?;
    let old = place.path().join("old");
    fs::write(&old, "old")?;
    let file = old.to_string_lossy();
    for words in [
        &["rpctrace2", "--capture", &file, "nosuchprogram"][..],
        &["rpctrace2", "-o", &file, "nosuchprogram"],
        &["rpctrace2", "-o", &file, "-e", "trace=no_such_routine", "hello"],
        &["record", "-o", &file, "nosuchprogram"],
        &["record", "--memory-file", &file, "nosuchprogram"],
    ] {
        let run = qemu(words)?;
        assert!(matches!(run.status, Some(125 | 127)), "{words:?}: {:?} {}", run.status, run.stderr);
        assert_eq!(fs::read(&old)?, b"old", "{words:?}");
    }
    Ok(())
}

/// The machine is gone, its memory is there: who waits for whom is in it.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_deadlock_is_found_in_the_memory_that_is_left() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (memory, kept, text) = (path("memory"), path("kept"), path("text"));
    let run = record(&["--timeout", "20"], &["--memory-file", &memory, "deadlock"])?;
    assert_eq!(run.status, Some(125), "{}", run.stderr);
    let found = qemu(&["autopsy", &memory, "-o", &kept])?;
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    let lines: Vec<&str> = found.stdout.lines().skip_while(|line| *line != "who waits for whom:").collect();
    assert_eq!(lines.get(1), Some(&"cycle: (deadlock)[3] -> deadlock[2] -> (deadlock)[3]"), "{}", found.stdout);
    // What each waits for, and that nobody says who will receive it.
    for part in [
        "for the answer to ping to port made by deadlock[2]: received by nobody; ",
        " last received from that port, at ",
        "  this holds if those that received last from these ports are still to receive from them, which no record says",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "no {part}:\n{}", found.stdout);
    }
    assert_eq!(show::run(&["-o".to_owned(), text.clone(), kept.clone()])?, 0);
    assert!(fs::read_to_string(&text)?.contains("] ping("), "a capture of all of it");
    // Of which the same question has the same answer, and the exit status says that there is a cycle.
    assert_eq!(show::run(&["--ask=stuck".to_owned(), "-o".to_owned(), text.clone(), kept])?, 1);
    let answer = fs::read_to_string(text)?;
    assert_eq!(answer.lines().collect::<Vec<_>>(), lines[1..lines.len() - 1], "{}", found.stdout);
    // What cannot be written is named.
    let full = qemu(&["autopsy", &memory, "-o", "/dev/full"])?;
    let line = "error: cannot write /dev/full: No space left on device (os error 28)\n";
    assert!(full.status == Some(125) && full.stderr.ends_with(line), "{}", full.stderr);
    // Memory that ends in the ring has no time that nobody knows.
    let ring = found.stdout.lines().find_map(|line| line.strip_prefix("recorder at 0x")?.split(':').next());
    let ring = u64::from_str_radix(ring.context("where it is")?, 16)?;
    fs::OpenOptions::new().write(true).open(&memory)?.set_len(ring + 8192)?;
    let cut = qemu(&["autopsy", &memory])?;
    assert_eq!(cut.status, Some(0), "{}", cut.stderr);
    assert!(cut.stdout.contains("times unknown") && cut.stdout.contains("\nno record has a time"), "{}", cut.stdout);
    // What has no recorder is said to have none.
    let empty = path("empty");
    fs::write(&empty, "")?;
    let none = qemu(&["autopsy", &empty])?;
    assert_eq!(none.status, Some(125));
    assert!(none.stderr.ends_with("was the kernel told `rpctrace2=record` or `rpctrace2=all`?\n"), "{}", none.stderr);
    Ok(())
}
