// SPDX-License-Identifier: GPL-2.0-or-later
//! Kernels for several processors: that a start which QEMU's interval timer would stop for ever goes on. With `--all`, as their
//! kernels are not fetched otherwise.

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
use tests::guest::all;

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
