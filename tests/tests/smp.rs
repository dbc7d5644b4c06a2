// SPDX-License-Identifier: GPL-2.0-or-later
//! Kernels for several processors: that they start, where the stock one takes memory for it that is the VM's, and where QEMU's interval timer
//! would stop it for ever (with `--all`, as it needs the kernel for debugging).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu::cache::Cache;
use qemu::fetch::packages::{Flavour, MOVING_SUITE, fetch_kernel, kernel_file};
use qemu::fetch::programs::Consent;
use qemu::instrument::read_kernel;
use qemu::kernel::KernelElf;
use qemu::link::RECORDER;
use qemu::setup::{self, Choices, Interfaces};
use qemu::ui::Progress;
use qemu::vm;
use qemu::vm::gdb::Debugger;
use tests::guest::{all, options, qemu};

/// The function that waits for the timer.
const WAIT: &str = "pit_udelay";

/// Follows the first wait until it goes round in circles, which it does not while the timer counts. The steps themselves take the
/// time that the host would have to take away.
fn wait_for_ever(directory: &Path, start: u64) -> Result<u64> {
    let mut machine = Debugger::connect(directory)?;
    machine.set_breakpoint(start)?;
    ensure!(machine.resume()?, "QEMU ended before {WAIT} was called");
    machine.clear_breakpoint(start)?;
    let mut seen = BTreeSet::new();
    let mut at = start;
    while seen.insert(at) {
        machine.step()?;
        at = machine.registers()?.rip;
    }
    machine.detach()?;
    Ok(at)
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_start_that_the_timer_stops_goes_on() -> Result<()> {
    if !all()? {
        return Ok(());
    }
    let file = kernel_file(&fetch_kernel(&Cache::open()?, MOVING_SUITE, Flavour::Smp, &Progress::new(1))?);
    let kernel = KernelElf::parse(read_kernel(&file)?)?;
    let wait = kernel.symbol(WAIT, "this test").ok().with_context(|| format!("the kernel has no {WAIT}"))?;
    let inside = wait.address..wait.address + wait.size;
    let choices = Choices {
        consent: Consent::Ask,
        environment: Vec::new(),
        kernel: Some(file),
        dbg: None,
        debug: false,
        suite: MOVING_SUITE.to_owned(),
        flavour: Flavour::Smp,
        processors: 2,
        stock: true,
        payload_feature: None,
        memory: 2048,
        kvm: false,
        icount: false,
        timeout: Some(Duration::from_secs(120)),
        interfaces: Interfaces::default(),
        words: String::new(),
        memory_file: None,
        recorder: RECORDER,
    };
    let prepared = setup::prepare(&choices)?;
    let directory = prepared.boot_directory(&["hello".to_owned()], &[])?;
    let mut console = Vec::new();
    let follower = |place: &Path| wait_for_ever(place, inside.start);
    let (outcome, stuck) =
        vm::run_followed(&prepared.machine, directory.path(), prepared.limits, &mut console, follower);
    let stuck = stuck?;
    ensure!(inside.contains(&stuck), "expected a loop in {WAIT} at {inside:x?}, found one at {stuck:#x}");
    ensure!(outcome?.status == 0 && console.starts_with(b"hello"), "found {:?}", String::from_utf8_lossy(&console));
    Ok(())
}

/// With as much memory the VM uses their descriptors, or the page tables that they start with: the stock kernel ends, with either (docs/differences.md).
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_other_processors_start_with_is_not_the_vms() -> Result<()> {
    if !options().is_empty() {
        return Ok(());
    }
    for (processors, memory) in [("4", "512"), ("2", "2035")] {
        let machine = ["--suite", "sid", "--flavour", "smp", "--smp", processors, "--memory", memory];
        let run = qemu(&[&machine[..], &["run", "hello"]].concat())?;
        ensure!(run.status == Some(0) && run.stdout.contains("hello"), "{machine:?}: {}", run.stderr);
    }
    Ok(())
}
