// SPDX-License-Identifier: GPL-2.0-or-later
//! A stock kernel's file with damages: each is refused, or planned exactly as the whole one.

#[expect(unreachable_pub, reason = "a module of this crate alone")]
mod damages;
#[expect(unreachable_pub, reason = "shared by the test files, which are crates of their own")]
#[expect(dead_code, reason = "what other test files use")]
#[path = "refusals/synthetic/payload.rs"]
mod payload;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, thread};

use qemu::error::InstrumentError;
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::payload_abi::PROTOTYPES;
use qemu::plan::{self, Plan};

use damages::{Damage, directed, flips};

/// How long one plan may take: it takes a tenth of a second, on a machine that does nothing else.
const LONGEST: Duration = Duration::from_secs(20);

/// Seed of the flips, and how many there are with and without `--all`.
const SEED: u64 = 0x7270_6374_7261_6365;
const FLIPS: (usize, usize) = (500, 40);
/// How many directed damages of each kind, and at least in all, are tried with `--all`; without it one of each kind.
const EACH: usize = 50;
const DIRECTED: usize = 200;

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set: run `cargo qemu test`"))
}

fn all() -> bool {
    setting("RPCTRACE2_ALL") == "1"
}

/// What plans kernels: a payload that refers to everything a payload may refer to.
struct Planner {
    directory: tempfile::TempDir,
    linker: Linker,
}

impl Planner {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names: Vec<&str> = PROTOTYPES.iter().map(|known| known.name).collect();
        payload::write_calling(directory.path(), None, &names);
        Self { directory, linker: Linker::find().unwrap() }
    }

    fn plan(&self, bytes: Vec<u8>) -> Result<Plan, InstrumentError> {
        let kernel = KernelElf::parse(bytes)?;
        let library = self.directory.path().join("libpayload.a");
        Ok(essence(plan::plan(&kernel, Path::new(&library), &self.linker)?.plan))
    }
}

/// A plan without what only tells the reader about the file.
fn essence(mut plan: Plan) -> Plan {
    plan.kernel_hash.clear();
    plan.kernel_version.clear();
    plan.slots.iter_mut().for_each(|slot| slot.evidence.clear());
    plan.patches.iter_mut().for_each(|patch| patch.evidence.clear());
    plan.switches.iter_mut().for_each(|switch| switch.evidence.clear());
    plan
}

/// What became of one damage, if it is not as it should be.
fn problem(planner: &Planner, whole: &Plan, stock: &[u8], damage: &Damage) -> (bool, Option<String>) {
    let mut bytes = stock.to_vec();
    damage.apply(&mut bytes);
    let begin = Instant::now();
    let planned = catch_unwind(AssertUnwindSafe(|| planner.plan(bytes)));
    let long = Some(begin.elapsed()).filter(|&time| time > LONGEST).map(|time| format!("took {time:?}"));
    match planned {
        Ok(Ok(plan)) if plan == *whole => (false, long),
        Ok(Err(_)) => (true, long),
        Ok(Ok(plan)) => (false, Some(format!("another plan:\n{}", difference(whole, &plan)))),
        Err(_) => (false, Some("a panic".to_owned())),
    }
}

fn difference(whole: &Plan, other: &Plan) -> String {
    let (whole, other) = (whole.to_string(), other.to_string());
    let lines = whole.lines().zip(other.lines()).filter(|(whole, other)| whole != other);
    lines.take(4).map(|(whole, other)| format!("  - {whole}\n  + {other}\n")).collect()
}

/// Tries all, and fails with everything that was wrong.
fn try_all(damages: &[Damage], stock: &[u8], planner: &Planner) {
    let whole = planner.plan(stock.to_vec()).unwrap();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut problems = Vec::new();
    let work = |worker| {
        let mine = damages.iter().skip(worker).step_by(workers);
        mine.map(|damage| (damage, problem(planner, &whole, stock, damage))).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        for (damage, (refused, problem)) in running.into_iter().flat_map(|worker| worker.join().unwrap()) {
            let kind = kinds.entry(damage.kind).or_default();
            if refused {
                kind.0 += 1
            } else {
                kind.1 += 1
            }
            problems.extend(problem.map(|problem| format!("{}: {problem}", damage.what)));
        }
    });
    for (kind, (refused, same)) in kinds {
        eprintln!("{kind}: {refused} refused, {same} planned");
    }
    assert!(problems.is_empty(), "{} of {} damages:\n{}", problems.len(), damages.len(), problems.join("\n"));
}

fn stock() -> Vec<u8> {
    qemu::instrument::read_kernel(Path::new(&setting("RPCTRACE2_KERNEL"))).unwrap()
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    let stock = stock();
    let count = if all() { FLIPS.0 } else { FLIPS.1 };
    try_all(&flips(&stock, SEED, count), &stock, &Planner::new());
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_directed_damage_is_refused_or_changes_nothing() {
    let stock = stock();
    let damages = directed(&stock);
    let each = if all() { EACH } else { 1 };
    let mut kinds: BTreeMap<&str, Vec<Damage>> = BTreeMap::new();
    damages.into_iter().for_each(|damage| kinds.entry(damage.kind).or_default().push(damage));
    let some = |kind: Vec<Damage>| {
        let each = each.min(kind.len());
        (0..each).map(move |index| kind[index * kind.len() / each].clone())
    };
    let damages: Vec<Damage> = kinds.into_values().flat_map(some).collect();
    assert!(!all() || damages.len() >= DIRECTED, "only {} damages", damages.len());
    try_all(&damages, &stock, &Planner::new());
}

/// The review of the kernel side made two functions of a stock kernel jump to hooked ones; nobody said a word.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn jumps_past_the_hooks_are_refused_by_name() {
    let mut stock = stock();
    let kernel = KernelElf::parse(stock.clone()).unwrap();
    let address = |name: &str| kernel.symbol(name, "").unwrap().address;
    for (name, target) in [("vm_object_print", "ipc_task_terminate"), ("vm_object_collect", "task_set_special_port")] {
        let from = address(name);
        let distance = i32::try_from(address(target).wrapping_sub(from + 5).cast_signed()).unwrap();
        let at = usize::try_from(kernel.file_offset(from, 5).unwrap()).unwrap();
        stock[at] = 0xe9;
        stock[at + 1..at + 5].copy_from_slice(&distance.to_le_bytes());
    }
    let text = Planner::new().plan(stock).unwrap_err().to_string();
    for line in [
        "ipc_task_terminate (for hook_ipc_task_terminate): expected no jumps, found 1 (vm_object_print+0x0)",
        "task_set_special_port (for hook_task_set_special_port): expected no jumps, found 1 (vm_object_collect+0x0)",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("(2 misses):"), "{text}");
}
