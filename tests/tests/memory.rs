// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 --ool`: what memory out of line holds, of a program that says what it puts there, of one that takes it away meanwhile, and of one
//! that provides nothing.

use std::fs;

use anyhow::{Context, Result};
use tests::guest::{Run, options, qemu};

/// The trace of a program of which so many bytes of memory out of line are read.
fn traced(size: &str, more: &[&str], program: &str) -> Result<(Run, String)> {
    traced_on(&[], size, more, program)
}

/// [`traced`] on another machine.
fn traced_on(machine: &[&str], size: &str, more: &[&str], program: &str) -> Result<(Run, String)> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("trace").to_string_lossy().into_owned();
    let run = qemu(&[machine, &["rpctrace2", "--ool", size, "-o", &file], more, &[program]].concat())?;
    let trace = fs::read_to_string(&file).with_context(|| run.stderr.clone())?;
    Ok((run, trace))
}

/// The machine that is tested, and one with several processors.
fn machines() -> Vec<&'static [&'static str]> {
    let several: &[&str] = &["--suite", "sid", "--flavour", "smp", "--smp", "4"];
    if options().is_empty() { vec![&[], several] } else { vec![&[]] }
}

/// What stands in the brackets of memory out of line, one for each, in the order of the lines.
fn memory(trace: &str) -> Vec<&str> {
    trace
        .split("ool 0x")
        .skip(1)
        .filter_map(|part| part.split_once('[')?.1.split_once(']'))
        .map(|(said, _)| said)
        .collect()
}

/// What the program vm puts where: a page of `a` that the kernel reads, one of `b` that it writes to that, twice, four pages of `c` that it sends
/// to itself and gives away, receives, and has read.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn memory_out_of_line_is_read() -> Result<()> {
    let letters = |letter: &str, count: usize| format!("\"{}\"", letter.repeat(count));
    for machine in machines() {
        let (run, trace) = traced_on(machine, "16", &[], "vm")?;
        assert_eq!(run.status, Some(0), "{trace}{}", run.stderr);
        let (a, b, c) = (letters("a", 16), letters("b", 16), letters("c", 16));
        let expected = [
            format!("4096 bytes; 16 read before the return: {a}"),
            format!("4096 bytes; 16 read after the copy: {b}"),
            format!("4096 bytes; 16 read after the copy: {b}"),
            "16384 bytes; given away".to_owned(),
            format!("16384 bytes; 16 read before the return: {c}"),
            format!("16384 bytes; 16 read before the return: {c}"),
        ];
        assert_eq!(memory(&trace), expected, "{machine:?}: {trace}");
    }

    let (_, trace) = traced("4k", &[], "vm")?;
    let (a, b, c) = (letters("a", 80), letters("b", 80), letters("c", 80));
    let expected = [
        format!("4096 bytes; read before the return: {a}..."),
        format!("4096 bytes; read after the copy: {b}..."),
        format!("4096 bytes; read after the copy: {b}..."),
        "16384 bytes; given away".to_owned(),
        format!("16384 bytes; 4096 read before the return: {c}..."),
        format!("16384 bytes; 4096 read before the return: {c}..."),
    ];
    assert_eq!(memory(&trace), expected, "{trace}");
    // It is the same trace, but for that.
    let place = tempfile::tempdir()?;
    let file = place.path().join("trace").to_string_lossy().into_owned();
    qemu(&["rpctrace2", "--as", "rpctrace2", "-o", &file, "vm"])?;
    let without = fs::read_to_string(&file)?;
    let cut = |trace: &str| {
        let lines = trace.lines().map(|line| match line.split_once("; ").zip(line.rsplit_once(']')) {
            Some(((before, _), (_, after))) => format!("{before}]{after}"),
            None => line.to_owned(),
        });
        lines.collect::<Vec<String>>()
    };
    assert_eq!(cut(&trace), without.lines().collect::<Vec<_>>());
    Ok(())
}

/// Nobody reads what is not asked for.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn memory_that_only_a_pager_has_is_not_read() -> Result<()> {
    let (run, trace) = traced("64k", &[], "paged")?;
    assert_eq!(run.status, Some(0), "{trace}{}", run.stderr);
    assert!(run.stdout.contains("paged: sent and received"), "{}", run.stdout);
    assert_eq!(memory(&trace), ["4096 bytes; not read: a pager provides it"; 2], "{trace}");
    Ok(())
}

/// What is read is what the other thread has put there, or the zeros of a new page, or nothing.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn memory_that_is_taken_away_while_it_is_read_is_said_to_be_gone() -> Result<()> {
    machines().iter().try_for_each(|machine| taken_away(machine))
}

fn taken_away(machine: &[&str]) -> Result<()> {
    let (run, trace) = traced_on(machine, "8", &[], "unmap")?;
    assert_eq!(run.status, Some(0), "{trace}{}", run.stderr);
    assert!(run.stdout.contains("unmap: some were received"), "{}", run.stdout);
    let found = memory(&trace);
    assert!(found.len() > 20, "{trace}");
    let (x, zero) = (r#""xxxxxxxx""#, "<00 00 00 00 00 00 00 00>");
    for said in &found {
        let said = said.strip_prefix("4096 bytes; ").with_context(|| format!("{said}: {trace}"))?;
        let may_be = ["8 read after the copy: ", "8 read before the return: "]
            .map(|when| [x, zero].map(|bytes| format!("{when}{bytes}")));
        let is_known = may_be.iter().flatten().any(|known| known == said) || said == "not read: KERN_INVALID_ADDRESS";
        assert!(is_known, "{said}: {trace}");
    }
    assert!(found.iter().any(|said| said.contains(" read ")), "{trace}");
    assert!(found.iter().any(|said| said.contains("not read")), "{trace}");
    Ok(())
}

/// What is kept is shown as it was printed, also of a file that is cut.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn memory_out_of_line_is_kept() -> Result<()> {
    let place = tempfile::tempdir()?;
    let kept = place.path().join("kept").to_string_lossy().into_owned();
    let (_, trace) = traced("4k", &["--capture", &kept], "vm")?;
    let shown = |file: &str| -> Result<(String, u8)> {
        let out = tempfile::NamedTempFile::new()?;
        let words = ["-o".to_owned(), out.path().to_string_lossy().into_owned(), file.to_owned()];
        let status = rpctrace2::host::show::run(&words)?;
        Ok((fs::read_to_string(out.path())?, status))
    };
    assert_eq!(shown(&kept)?, (trace.clone(), 0));
    assert!(trace.contains("4096 read before the return"), "{trace}");
    let bytes = fs::read(&kept)?;
    let cut = place.path().join("cut");
    // Without its index a file has all of its blocks; one that is cut in the last has those before, and calls of which the rest is missing.
    for (length, is_whole) in [(bytes.len() - 100, true), (bytes.len() - 300, false)] {
        fs::write(&cut, &bytes[..length])?;
        let (text, status) = shown(&cut.to_string_lossy())?;
        assert_eq!(status, 1, "{length}");
        let begun = |line: &str| line.trim_end_matches(" = ?").trim_end_matches(" <unfinished ...>").to_owned();
        let is_known = |line: &str| {
            let begun = begun(line);
            trace.lines().any(|known| known == line || begun != line && known.starts_with(&begun))
        };
        assert!(text.lines().filter(|line| !line.starts_with("---")).all(is_known), "{text}");
        assert_eq!(text.lines().count() >= trace.lines().count(), is_whole, "{text}");
        assert!(!is_whole || text.contains("read before the return"), "{text}");
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_size_that_is_none_is_one_clear_line() -> Result<()> {
    let run = qemu(&["rpctrace2", "--ool", "64m", "vm"])?;
    let said = "option `--ool`: expected a number of bytes from 1 to 512k, such as 4096 or 64k, found `64m`";
    assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{}{}", run.stdout, run.stderr);
    assert_ne!(run.status, Some(0));
    Ok(())
}
