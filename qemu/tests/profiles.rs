// SPDX-License-Identifier: GPL-2.0-or-later
//! The profiles of qemu/profiles: whole, refused if anything about them is changed, and as good as the `-dbg` kernel.

#[expect(unreachable_pub, reason = "shared by the test files, which are crates of their own")]
#[path = "refusals/synthetic/payload.rs"]
mod payload;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use qemu::error::InstrumentError;
use qemu::instrument::{self, read_kernel};
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::payload_abi::{HOOKS, PROTOTYPES, Site};
use qemu::plan::{self, Planned, sha256};
use qemu::profile::{Kind, Profile, folder};

/// The profile of the default kernel.
const DEFAULT: &str = "trixie-amd64-up.profile";

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect("a profile")
}

fn parse(text: impl AsRef<[u8]>) -> Result<Profile, InstrumentError> {
    Profile::parse(Path::new("p"), text.as_ref())
}

/// What is wrong with a profile of these lines, whose sum is right.
fn refusal(lines: &[String]) -> String {
    parse(summed(lines)).expect_err("it is damaged").to_string()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with("sum ")).map(str::to_owned).collect()
}

fn summed(lines: &[String]) -> String {
    let text = lines.join("\n") + "\n";
    format!("{text}sum {}\n", sha256(text.as_bytes()))
}

/// The number of the first line, counted from 1, that begins so.
fn number(lines: &[String], begin: &str) -> usize {
    1 + lines.iter().position(|line| line.starts_with(begin)).expect("such a line")
}

#[test]
fn every_profile_is_whole_and_of_another_kernel() {
    let files = fs::read_dir(folder()).expect("qemu/profiles").map(|file| file.expect("a file").path());
    let mut kernels = BTreeSet::new();
    for file in files {
        let profile = Profile::read(&file).expect("a whole profile");
        assert_eq!(profile.to_string(), fs::read_to_string(&file).expect("a text"), "{}", file.display());
        assert!(kernels.insert(profile.kernel), "{}: there is another one of its kernel", file.display());
    }
    assert!(kernels.len() >= 3, "{kernels:?}");
}

/// One bit of each byte, another one from byte to byte.
#[test]
fn a_flipped_bit_is_refused_with_its_place() {
    let whole = text(DEFAULT).into_bytes();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = parse(damaged).expect_err("a flipped bit").to_string();
        let begin = ["profile p: line ", "profile p: byte "].into_iter().any(|begin| error.starts_with(begin));
        assert!(begin && error.contains("expected ") && error.contains("found "), "byte {at}: {error}");
    }
}

#[test]
fn a_cut_is_refused() {
    let whole = text(DEFAULT);
    for end in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let error = parse(&whole[..end]).expect_err("a cut").to_string();
        assert!(error.starts_with("profile p: line "), "{end} bytes: {error}");
    }
    let lines = lines(&whole);
    let cut = parse(lines[..20].join("\n") + "\n").expect_err("a cut").to_string();
    assert!(cut.starts_with("profile p: line 20, the last: expected `sum ` and a SHA-256, found `"), "{cut}");
    assert!(parse(whole + "\n").is_err());
}

/// A line taken out, one twice, two in another order: whether or not the sum has been put right.
#[test]
fn damaged_lines_are_refused() {
    let whole = text(DEFAULT);
    let sum = whole.lines().last().expect("a sum").to_owned();
    let all = lines(&whole);
    for at in 0..all.len() {
        let [mut without, mut twice, mut turned] = [all.clone(), all.clone(), all.clone()];
        without.remove(at);
        twice.insert(at, all[at].clone());
        turned.swap(at, (at + 1) % all.len());
        for damaged in [&without, &twice, &turned] {
            assert!(parse(format!("{}\n{sum}\n", damaged.join("\n"))).is_err(), "line {}", at + 1);
        }
        // What is not there is missed by who asks for it.
        assert!(parse(summed(&twice)).is_err(), "line {} twice", at + 1);
        // A member may be another struct's: who asks for it misses it.
        if !turned[at..].iter().take(2).any(|line| line.starts_with("struct ")) {
            assert!(parse(summed(&turned)).is_err(), "line {} in another place", at + 1);
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_the_line() {
    let all = lines(&text(DEFAULT));
    let with = |begin: &str, line: &str| {
        let mut changed = all.clone();
        let number = number(&changed, begin);
        changed[number - 1] = line.to_owned();
        (refusal(&changed), number)
    };
    let (error, _) = with("rpctrace2", "rpctrace2 profile 2");
    assert_eq!(error, "profile p: line 1: expected `rpctrace2 profile 1`, found `rpctrace2 profile 2`");
    let (error, at) = with("kernel", "kernel 12ab");
    assert_eq!(
        error,
        format!("profile p: line {at}: expected `kernel` and 64 hexadecimal digits, found `kernel 12ab`")
    );
    let (error, at) = with("processors", "processors two");
    let expected = "expected `processors one` or `processors several`, found `processors two`";
    assert_eq!(error, format!("profile p: line {at}: {expected}"));
    let (error, at) = with("data     global", "date     global");
    assert!(error.starts_with(&format!("profile p: line {at}: expected a line that begins with version, ")), "{error}");

    let copyin = all[number(&all, "label    global 0xffffffff81012244") - 1].clone();
    let mut twice = all.clone();
    let clear_wait = number(&all, "function global 0xffffffff81019ca0");
    twice.insert(clear_wait, all[clear_wait - 1].replace("81019ca0", "81019ca1"));
    let error = refusal(&twice);
    let expected = format!("line {}: expected clear_wait once (it is at 0xffffffff81019ca0 above)", clear_wait + 1);
    assert!(error.starts_with(&format!("profile p: {expected}, found `")), "{error}");
    let (error, at) = with(&copyin, &copyin.replace("u64", "u65"));
    assert!(error.contains(&format!("line {at}: expected a prototype")), "{error}");
    let (error, at) = with(&copyin, &copyin.replace("label    ", "label  "));
    assert_eq!(
        error,
        format!("profile p: line {at}: expected `{copyin}`, found `{}`", copyin.replace("label    ", "label  "))
    );
}

#[test]
fn a_number_that_was_changed_does_not_go_with_the_sum() {
    let whole = text(DEFAULT);
    let last = whole.lines().count();
    let error = parse(whole.replace("member task 24 8", "member task 32 8")).expect_err("a number").to_string();
    assert!(error.starts_with(&format!("profile p: line {last}: expected the sum ")), "{error}");
    assert!(error.ends_with("the lines before it are not those that were written"), "{error}");
}

fn kernel(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable}: run cargo qemu test")).into()
}

fn production() -> Vec<u8> {
    read_kernel(&kernel("RPCTRACE2_PRODUCTION")).expect("a kernel")
}

/// What plans kernels: a payload that refers to everything a payload may refer to.
struct Planner(tempfile::TempDir);

impl Planner {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let names: Vec<&str> = PROTOTYPES.iter().map(|known| known.name).collect();
        payload::write_calling(directory.path(), None, &names);
        Self(directory)
    }

    fn plan(&self, kernel: &KernelElf) -> Result<Planned, InstrumentError> {
        plan::plan(kernel, &self.0.path().join("libpayload.a"), &Linker::find().expect("a linker"))
    }

    /// What is wrong with a profile that is changed by `change`, and has the right sum.
    fn refusal(&self, change: impl FnOnce(&mut Profile)) -> String {
        let mut profile = parse(text(DEFAULT)).expect("a whole profile");
        change(&mut profile);
        let profile = parse(profile.to_string()).expect("a profile with the right sum");
        let planned = KernelElf::parse_profiled(production(), profile).and_then(|kernel| self.plan(&kernel));
        planned.err().map_or_else(|| "nothing".to_owned(), |error| error.to_string())
    }
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn by_the_profile_the_plan_is_the_one_that_the_dbg_kernel_gives() {
    let (file, dbg) = (kernel("RPCTRACE2_PRODUCTION"), kernel("RPCTRACE2_KERNEL"));
    let planner = Planner::new();
    let (by_dbg, naming) = instrument::open(&file, Some(&dbg)).expect("by the -dbg kernel");
    let (by_profile, none) = instrument::open(&file, None).expect("by the profile that is found");
    assert!(naming.is_some() && none.is_none());
    let (one, other) = (planner.plan(&by_dbg).expect("a plan"), planner.plan(&by_profile).expect("a plan"));
    assert_eq!(one.plan.to_string(), other.plan.to_string());
    assert!(one.plan == other.plan && one.image == other.image);
}

/// One rule is not enough: who needs such a name is told what speaks for it, and no profile has it.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_name_that_one_rule_alone_speaks_for_is_refused() {
    let (file, dbg) = (kernel("RPCTRACE2_PRODUCTION"), kernel("RPCTRACE2_KERNEL"));
    let (kernel, naming) = instrument::open(&file, Some(&dbg)).expect("by the -dbg kernel");
    let naming = naming.expect("names");
    let whole = parse(text(DEFAULT)).expect("a whole profile");
    // What speaks for a name is in brackets, with semicolons between.
    let mut doubtful = naming
        .doubtful
        .iter()
        .filter(|(_, found)| found.contains(" (") && !found.contains(" ()") && !found.contains("; "));
    let (name, found) = doubtful.next().expect("a name that one rule has found");
    assert!(!whole.symbols.contains_key(name), "{name}");
    let error = kernel.symbol(name, "a test").expect_err("a doubtful name").to_string();
    let expected = "expected two rules that agree on where it is";
    assert_eq!(error, format!("symbol {name} (for a test): {expected}, found {found}"));
    let directory = tempfile::tempdir().expect("a directory");
    let library = payload::write(directory.path(), None, Some(name));
    let error = plan::plan(&kernel, &library, &Linker::find().expect("a linker")).expect_err("a miss").to_string();
    assert!(error.contains(&format!("\n  symbol {name} (for ")) && error.contains(expected), "{error}");
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn another_kernel_is_refused() {
    let mut other = production();
    *other.last_mut().expect("a byte") ^= 1;
    let profile = parse(text(DEFAULT)).expect("a whole profile");
    let (expected, found) = (profile.kernel.clone(), sha256(&other));
    let error = KernelElf::parse_profiled(other, profile).expect_err("another kernel").to_string();
    assert_eq!(error, format!("profile p: expected the kernel with SHA-256 {expected}, found {found}"));
}

/// A sum that is right makes nothing right: what is to be changed is looked for in the kernel.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_wrong_profile_with_a_right_sum_is_refused() {
    let planner = Planner::new();
    let whole = parse(text(DEFAULT)).expect("a whole profile");
    assert_eq!(planner.refusal(|_| ()), "nothing");
    // Each hooked function elsewhere.
    let other = whole.symbols["mach_print"].clone();
    let targets: BTreeSet<&str> = HOOKS
        .iter()
        .filter(|hook| hook.kernels.has(true))
        .map(|hook| match hook.site {
            Site::Trap { original: target, .. } | Site::Calls { target, .. } | Site::CallsIn { target, .. } => target,
        })
        .collect();
    for target in targets {
        let error = planner.refusal(|profile| {
            let named = profile.symbols.get_mut(target).expect("it is there");
            (named.kind, named.address, named.size) = (other.kind, other.address, other.size);
        });
        assert!(error.starts_with("profile p does not fit the kernel; "), "{target}: {error}");
        assert!(error.contains(target), "{target}: {error}");
    }
    // Each function somewhat elsewhere, or longer.
    for name in whole.symbols.iter().filter(|(_, named)| named.kind == Kind::Function).map(|(name, _)| name) {
        for (address, size) in [(1, 0), (0, 1)] {
            let error = planner.refusal(|profile| {
                let named = profile.symbols.get_mut(name).expect("it is there");
                (named.address, named.size) = (named.address + address, named.size + size);
            });
            let begin = format!("profile p: {name} at 0x");
            assert!(error.starts_with(&begin) && error.contains("in .eh_frame, found"), "{error}");
        }
    }
    // What the kernel's own bytes say otherwise.
    let moved = |name: &str| planner.refusal(|profile| profile.symbols.get_mut(name).expect("a name").address += 16);
    for name in ["_end", "mach_trap_table", "percpu_array", "thread_template"] {
        let error = moved(name);
        assert!(error.starts_with("profile p") || error.starts_with("no place for the payload: "), "{name}: {error}");
    }
    let error = planner.refusal(|profile| profile.structs.get_mut("thread").expect("a struct").size += 8);
    assert!(error.contains("\n  thread_create: expected one copy of the 560 bytes of thread_template"), "{error}");
    let error = planner.refusal(|profile| profile.version.push('x'));
    assert!(error.starts_with("profile p: version: expected \"GNU Mach 1.8"), "{error}");
    // What is left out is missed.
    for name in whole.symbols.keys().filter(|name| PROTOTYPES.iter().any(|known| known.name == **name)) {
        let error = planner.refusal(|profile| _ = profile.symbols.remove(name));
        assert!(error.contains(name) && error.contains("missing"), "{name}: {error}");
    }
    for tag in whole.structs.keys().filter(|tag| *tag != "percpu") {
        let error = planner.refusal(|profile| _ = profile.structs.remove(tag));
        assert!(error.contains(&format!("struct {tag} (")) && error.contains("no definition found"), "{tag}: {error}");
    }
}
