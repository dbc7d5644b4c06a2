// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 --boot`, a boot module: what the kernel starts is traced from its first message, and starts whatever is wrong with the module.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu::cache::Cache;
use qemu::fetch::programs::find_qemu;
use qemu::guest::{target_directory, workspace};
use tempfile::TempDir;
use tests::guest::{qemu, setting};

use boot_files::boot_files as system;

mod boot_files;

/// Seconds after which a machine is stopped that has not said its last line.
const LIMIT: u64 = 300;

/// A kernel with a trace port, rpctrace2 and programs, in a directory.
fn boot_files(programs: &[&str]) -> Result<TempDir> {
    let place = tempfile::tempdir()?;
    let kernel = place.path().join("kernel");
    let run = qemu(&["instrument", &setting("RPCTRACE2_KERNEL")?, "-o", &kernel.to_string_lossy()])?;
    ensure!(run.status == Some(0), "{}", run.stderr);
    let built = target_directory(&workspace()).join("x86_64-unknown-none/release");
    for (file, name) in
        [("rpctrace2-mach", "rpctrace2")].iter().copied().chain(programs.iter().map(|name| (*name, *name)))
    {
        fs::copy(built.join(file), place.path().join(name)).with_context(|| format!("copying {file}"))?;
    }
    Ok(place)
}

/// Boots these modules; what the console says from the first program's start on until a line ends so.
fn boot(place: &Path, modules: &str, last: &str) -> Result<String> {
    let qemu = find_qemu(&Cache::open()?).context("QEMU is not there")?;
    let mut machine = Command::new(qemu)
        .args(["-accel", "tcg", "-cpu", "core2duo-v1", "-m", "512", "-nodefaults", "-display", "none"])
        .args(["-serial", "stdio", "-no-reboot", "-kernel", "kernel.elf32", "-append", "console=com0"])
        .args(["-initrd", modules])
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting QEMU")?;
    let console = machine.stdout.take().context("QEMU's output")?;
    let mut lines = BufReader::new(console).lines();
    let (said, heard) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        lines.by_ref().map_while(Result::ok).for_each(|line| drop(said.send(line.replace('\r', ""))));
    });
    let mut text = String::new();
    let end = std::time::Instant::now() + Duration::from_secs(LIMIT);
    while let Ok(line) = heard.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
        text += &line;
        text.push('\n');
        if line.ends_with(last) {
            break;
        }
    }
    machine.kill()?;
    machine.wait()?;
    drop(reader.join());
    let start = text.find("\nstart ").map_or(text.len(), |start| start + 1);
    ensure!(text.trim_end().ends_with(last), "no line that ends with {last:?}: {text}");
    Ok(text[start..].to_owned())
}

/// By its first task's trace port, and as the system trace, by an engine: the same lines.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_system_is_traced_from_its_first_message() -> Result<()> {
    let files = boot_files(&["hello", "vm"])?;
    for host in ["", "--host=${host-port} "] {
        let modules = format!(
            "rpctrace2 --boot -e task_get_special_port {host}--device=${{device-port}} --trace=hello:${{hello-task}} --next=hello \
             $(task-create) $(task-resume),hello $(hello-task=task-create)"
        );
        let console = boot(files.path(), &modules, "+++ hello[1] ended +++")?;
        let expected = "hello[1] task_get_special_port(which_port: TASK_BOOTSTRAP_PORT) = 0 {special_port: MACH_PORT_NULL}\n\
                        +++ hello[1] ended +++\n";
        assert!(console.starts_with("start rpctrace2: "), "{host}: {console}");
        assert!(console.ends_with(expected), "{host}: {console}");
        assert!(console.contains("hello, world\n"), "{host}: {console}");
    }
    Ok(())
}

/// The boot of a small Hurd is the system trace in the background: a program claims it, and the boot's tracer says so and ends.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn who_claims_the_system_trace_takes_over_from_the_boot() -> Result<()> {
    let files = boot_files(&[])?;
    for (name, contents) in ["bootstrap", "archive.tar"].iter().zip(system(&["small-hurd", "hurd-claim"])?) {
        fs::write(files.path().join(name), contents)?;
    }
    let console = boot(
        files.path(),
        "archive.tar $(ramdisk-create),\
         rpctrace2 --boot -e proc_getprivports --host=${host-port} --device=${device-port} --trace=boot:${boot-task} --next=boot \
         $(task-create) $(task-resume),\
         bootstrap ${host-port} ${device-port} $(boot-task=task-create)",
        "exit 0",
    )?;
    let at = |text: &str| console.find(text).with_context(|| format!("no {text:?}: {console}"));
    let taken_over = at("--- the system trace was taken over by hurd-claim, tool 2; this one ends ---\n")?;
    let order = [
        at("hurd-claim: the boot has the system trace in the background\n")?,
        at("hurd-claim: the boot's tracer has ended\n")?,
        at("hurd-claim: the system trace is free\n")?,
    ];
    assert!(order.is_sorted() && taken_over < order[1], "{console}");
    // It asks twice, and the second time it is not traced any more.
    let asked: Vec<&str> = console.lines().filter(|line| line.contains("] proc_getprivports(")).collect();
    assert_eq!(asked.len(), 1, "{console}");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_system_starts_whatever_is_wrong_with_the_tracer() -> Result<()> {
    let files = boot_files(&["vm"])?;
    for (words, said) in [
        ("-e vm_alocate --next=vm", "rpctrace2: option `-e`"),
        ("--next=other", "rpctrace2: `--next=other`: expected the name in a --trace=NAME:PORT"),
        ("--next=vm --device=x", "rpctrace2: `--device=x`: expected --trace=NAME:PORT"),
        ("--next=vm --host=${device-port}", "rpctrace2: trace_owner_tool: "),
        ("--next=vm -o f", "rpctrace2: option `-o`: a boot module has no files"),
        ("--next=vm -I d", "rpctrace2: options `-I`, `-i`, `--nostdinc`: a boot module has no files"),
        ("--next=vm --host=1 --as me", "rpctrace2: option `--as`: with --host= the engine is that of the system trace"),
    ] {
        let modules = format!(
            "rpctrace2 --boot {words} --trace=vm:${{vm-task}} $(task-create) $(task-resume),vm $(vm-task=task-create)"
        );
        let console = boot(files.path(), &modules, "found KERN_SUCCESS")?;
        assert!(console.contains(said), "{words}: {console}");
        assert!(console.contains("vm: allocated, zero-filled\n"), "{words}: {console}");
    }
    Ok(())
}

/// A program does as the boot script does; its right is one behind which nobody answers.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_right_behind_which_nobody_answers_does_not_stop_the_boot() -> Result<()> {
    for word in ["host", "device"] {
        let run = qemu(&["--icount", "run", "mute", word])?;
        let said = format!(
            "rpctrace2: `--{word}=257`: nobody has answered there within a second; expected what the boot script's "
        );
        assert!(run.stdout.contains(&said), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("hello, world\n"), "{}", run.stdout);
        assert!(run.stdout.ends_with("mute: the system has started\n"), "{}", run.stdout);
        assert_eq!(run.status, Some(0));
    }
    Ok(())
}
