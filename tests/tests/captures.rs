// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace that was kept: what is shown of it is what was printed, to the last byte, and files of earlier versions stay readable.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rpctrace2::host::{diff, show};
use tests::guest::qemu;

/// What `show` makes of a capture, with its exit status.
fn shown(file: &Path, options: &[&str]) -> Result<(String, u8)> {
    let out = tempfile::NamedTempFile::new()?;
    let mut words = vec!["-o".to_owned(), out.path().to_string_lossy().into_owned()];
    words.extend(options.iter().map(|option| (*option).to_owned()));
    words.push(file.to_string_lossy().into_owned());
    let status = show::run(&words)?;
    Ok((fs::read_to_string(out.path())?, status))
}

/// Runs a program once, printed and kept, and compares both.
fn check(program: &str, options: &[&str]) -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (trace, kept) = (path("trace"), path("kept"));
    let mut line = vec!["--icount", "rpctrace2", "-o", &trace, "--capture", &kept];
    line.extend(options.iter().chain(&[program]));
    let run = qemu(&line)?;
    let printed = fs::read_to_string(&trace)?;
    let (shown, status) = shown(Path::new(&kept), options).with_context(|| run.stderr.clone())?;
    assert_eq!(shown, printed, "{program} {options:?}: {}", run.stderr);
    assert_eq!(status, 0);
    assert!(printed.lines().count() > 3, "{program}: {printed}");
    Ok(())
}

macro_rules! programs {
    ($($name:ident: $options:expr;)*) => {$(
        #[test]
        #[ignore = "needs a kernel and QEMU: run cargo qemu test"]
        fn $name() -> Result<()> {
            check(&stringify!($name).trim_start_matches("kept_").replace('_', "-"), $options)
        }
    )*};
}

programs! {
    kept_hello: &[];
    kept_ports: &["-Xraw"];
    kept_vm: &["-C"];
    kept_ping: &["-T", "-v"];
    kept_items: &["--dump-messages"];
    kept_arrays: &[];
    kept_timeouts: &["-Z"];
    kept_threads: &["-tt"];
    kept_crash: &[];
}

/// One of several tasks and threads, whose trace is the longest.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_is_shown_of_a_capture_is_what_was_printed() -> Result<()> {
    check("echo", &[])
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn kept_is_what_nobody_asked_for_too() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (trace, kept) = (path("trace"), path("kept"));
    qemu(&["--icount", "rpctrace2", "-e", "trace=none", "-o", &trace, "--capture", &kept, "hello"])?;
    assert!(!fs::read_to_string(&trace)?.contains("device_write_inband"));
    let (shown, _) = shown(Path::new(&kept), &[])?;
    assert!(shown.contains("] device_write_inband(device: device \"console\""), "{shown}");
    Ok(())
}

/// What is printed of it is in no message.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn kept_is_what_was_injected_too() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (trace, kept) = (path("trace"), path("kept"));
    let how = "boot_console:retval=KERN_NO_ACCESS";
    qemu(&["--icount", "rpctrace2", "--inject", how, "-o", &trace, "--capture", &kept, "hello"])?;
    let printed = fs::read_to_string(&trace)?;
    assert!(printed.contains("= KERN_NO_ACCESS (INJECTED)"), "{printed}");
    assert_eq!(shown(Path::new(&kept), &[])?.0, printed);
    Ok(())
}

/// What a line says of a file that hurd-keep prints.
fn of_file<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn bytes(hexadecimal: &str) -> Result<Vec<u8>> {
    let digits = |at: usize| hexadecimal.get(at..at + 2).context("half a byte");
    (0..hexadecimal.len()).step_by(2).map(|at| Ok(u8::from_str_radix(digits(at)?, 16)?)).collect()
}

/// On the file system of a Hurd, of a command and of another that spawns; it is printed there, read here.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_hurds_capture_is_shown_as_it_was_printed() -> Result<()> {
    for (words, line) in [
        (&["hurd-hello", "a"][..], "+++ hurd-hello(13)[1] exited with 3 +++"),
        (&["-T", "-e", "trace=process", "hurd-spawn"], "exited with 0 +++"),
    ] {
        let run = qemu(&[&["--icount", "run", "small-hurd", "hurd-keep"], words].concat())?;
        let text = run.stdout.replace('\r', "");
        assert_eq!(run.status, Some(0), "{text}{}", run.stderr);
        let printed: String = of_file(&text, "trace").map(|line| format!("{line}\n")).collect();
        let kept = bytes(&of_file(&text, "kept").collect::<String>())?;
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), &kept)?;
        let options: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with("hurd-")).collect();
        let (shown, status) = shown(file.path(), &options)?;
        assert_eq!(shown, printed, "{words:?}");
        assert!(printed.trim_end().ends_with(line), "{printed}");
        assert_eq!(status, 0);
    }
    Ok(())
}

#[test]
fn captures_of_all_versions_are_read() -> Result<()> {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("captures");
    for version in 1..=2 {
        let (shown, status) = shown(&place.join(format!("version{version}.mtrc")), &[])?;
        assert_eq!(shown, fs::read_to_string(place.join(format!("version{version}.txt")))?);
        assert_eq!(status, 0);
    }
    Ok(())
}

/// Twice the same program, once by its trace port and once by an engine, where the kernel numbers ports otherwise; and once with something else.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn two_captures_of_the_same_are_alike() -> Result<()> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (port, engine, other, text) = (path("port"), path("engine"), path("other"), path("text"));
    qemu(&["rpctrace2", "-o", "/dev/null", "--capture", &port, "ping"])?;
    qemu(&["rpctrace2", "-o", "/dev/null", "--as", "one", "--capture", &engine, "ping"])?;
    let inject = "--inject=device_write_inband:retval=KERN_NO_SPACE:when=2";
    qemu(&["rpctrace2", "-o", "/dev/null", inject, "--capture", &other, "ping"])?;
    let diff = |second: &str| diff::run(&["-o", &text, &port, second].map(ToOwned::to_owned));
    assert_eq!(diff(&engine)?, 0, "{}", fs::read_to_string(&text).unwrap_or_default());
    assert_eq!(diff(&other)?, 1);
    let found = fs::read_to_string(&text)?;
    let changed: Vec<&str> = found.lines().filter(|line| line.starts_with(['-', '+', '~'])).skip(2).collect();
    let [gone, come] = changed[..] else { anyhow::bail!("{found}") };
    assert!(gone.starts_with("-device_write_inband(") && gone.ends_with("{bytes_written: 30}"), "{found}");
    assert!(come.starts_with("+device_write_inband(") && come.ends_with(" = KERN_NO_SPACE"), "{found}");
    Ok(())
}
