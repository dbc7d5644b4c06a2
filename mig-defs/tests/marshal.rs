// SPDX-License-Identifier: GPL-2.0-or-later
//! Whole messages against Debian's MIG: its C stubs and our Rust stubs are compiled and run on the same values.
//!
//! For every routine and the values that proptest makes for its arguments, reduced to the simplest where something differs: the
//! request that each user stub sends, byte for byte; the results it takes
//! out of a reply; the arguments that each server takes out of a request; the reply that it sends. Then messages that are
//! not what their .defs say: what each makes of them, down to the return code. What differs is only padding, which C leaves
//! as the stack was (after data that is no multiple of 8 bytes, in the upper half of an inline right, after the NUL of a C
//! string of fixed size), and what docs/mig.md names.
//!
//! Needs `GNUMACH_DEFS`, `MIGCOM`, gcc and rustc, as tests/migcom.rs; `GNUMACH_DEFS_ALL` names more versions of the .defs
//! and makes more hostile messages.
#![cfg(feature = "compiler")]

mod common;
mod reference;

use std::path::{Path, PathBuf};

use mach_abi::Format;
use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::layout::layout;
use mig_defs::model::Model;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;
use mig_defs::value::View;
use proptest::strategy::Strategy;
use proptest::test_runner::TestRunner;
use reference::compare::{Effort, Found, Side, Stubs};
use reference::driver;
use reference::hostile::Depth;
use reference::property::{describe, items, minimal};
use reference::rust::Driver;
use reference::values::{Extent, Values, give, values};
use reference::{Migcom, defs_below, directory, migcom, scratch, versions};

fn tables(model: &Model) -> Vec<u8> {
    let annotations = Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default());
    codegen::table::tables(&[model], &annotations)
}

/// A file that migcom takes, with what it makes of it.
struct Both {
    place: String,
    compilation: Compilation,
    theirs: Migcom,
    /// Its number in the Rust driver.
    number: usize,
}

/// Compares one file.
fn compare_file(both: &Both, headers: &Path, scratch: &Path, rust: &Path, compare: &mut dyn FnMut(Stubs<'_>)) {
    let Both { place, compilation, theirs, number } = both;
    let model = compilation.model.as_ref().expect("a subsystem");
    let bytes = tables(model);
    let tables = Tables::parse(&bytes).expect("tables");
    // The drivers include migcom's C.
    theirs.write(scratch);
    let build = |text: &str, name: &str| {
        let program = driver::build(model, text, headers, scratch, name);
        program.unwrap_or_else(|error| panic!("{place}: gcc refuses the {name}: {error}"))
    };
    let c = build(&driver::user(model, &theirs.user_header), "user-driver");
    let (rust, file) = (rust.to_path_buf(), *number);
    let header = &theirs.user_header;
    compare(Stubs { place, side: Side::User, model, tables, header, c, rust: rust.clone(), file });
    if let Some(text) = mended(&theirs.server) {
        println!("  {place}: migcom's C for inline arrays of rights is mended");
        std::fs::write(scratch.join("server.c"), text).expect("C written");
    }
    let c = build(&driver::server(model, &theirs.server, &theirs.server_header), "server-driver");
    let header = &theirs.server_header;
    compare(Stubs { place, side: Side::Server, model, tables, header, c, rust, file });
}

/// What migcom does with an inline array of rights where it may be out of line as well: the names move together.
const NAMES: &str = "#include <mach/message.h>
static mach_port_t *
together (mach_port_name_inlined_t *rights, unsigned number)
{
  mach_port_t *names = (mach_port_t *) rights;
  for (unsigned i = 1; i < number; i++)
    names[i] = rights[i].name;
  return names;
}
";

/// migcom's server with what gcc refuses made C: of an array of rights that is always inline it passes `array.name`. `None` if
/// there is no such array.
fn mended(server: &str) -> Option<String> {
    let mend = |line: &str| {
        let words: Vec<&str> = line.split(", ").collect();
        let mend = |(index, word): (usize, &&str)| {
            let number = words.get(index + 1).copied().unwrap_or_default();
            let array = word.strip_suffix(".name").filter(|array| number == format!("{array}Type.msgt_number"));
            array.map_or_else(|| word.to_string(), |array| format!("together({array}, {number})"))
        };
        words.iter().enumerate().map(mend).collect::<Vec<_>>().join(", ")
    };
    let text: String = server.lines().map(|line| mend(line) + "\n").collect();
    text.contains("together(").then(|| format!("{NAMES}{text}"))
}

/// The C headers for a version's stubs: its own, unless it is older than this migcom, whose stubs it then cannot compile.
fn headers(include: &Path) -> PathBuf {
    let message = std::fs::read_to_string(include.join("mach/message.h")).unwrap_or_default();
    if message.contains("mach_port_name_inlined_t") { include.to_path_buf() } else { directory("GNUMACH_DEFS") }
}

/// Compiles every file of a version with both compilers.
fn compile_version(include: &Path, scratch: &Path, driver: &mut Driver) -> Vec<Both> {
    let mut files: Vec<PathBuf> = Vec::new();
    defs_below(include, &mut files);
    files.extend(["options.defs", "ioctls.defs"].map(|name| common::corpus().join("reference").join(name)));
    let mut found = Vec::new();
    for file in &files {
        let compilation = compile(file, &Options::lp64(vec![include.to_path_buf()]), &Disk);
        let Some(model) = &compilation.model else { continue };
        let place = file.display().to_string();
        let Some(theirs) = migcom(include, file, scratch) else {
            println!("  {place}: migcom refuses it; ours leaves out {} routines", model.left_out.len());
            assert!(!model.left_out.is_empty(), "{place}: migcom refuses it, ours does not");
            continue;
        };
        let number = driver.add(file, &compilation, &theirs);
        found.push(Both { place, compilation, theirs, number });
    }
    found
}

fn compare_version(include: &Path, scratch: &Path, effort: Effort) {
    println!("{}", include.display());
    let mut driver = Driver::default();
    let files = compile_version(include, scratch, &mut driver);
    let rust = driver.build(scratch);
    let (mut found, mut routines) = (Found::default(), 0);
    let mut runner = TestRunner::deterministic();
    for both in &files {
        routines += both.compilation.model.as_ref().map_or(0, |model| model.routines.len());
        let mut compare = |stubs: Stubs<'_>| stubs.compare(effort, &mut runner, &mut found);
        compare_file(both, &headers(include), scratch, &rust, &mut compare);
    }
    let Found { calls, hostile, differences } = &found;
    let shown: Vec<_> = differences.iter().take(20).cloned().collect();
    assert!(differences.is_empty(), "{} differences, of which\n{}", differences.len(), shown.join("\n"));
    println!("  {routines} routines, {calls} calls, {hostile} hostile messages, no difference");
    assert!(routines > 150, "only {routines} routines below {}", include.display());
    assert!(
        *calls >= routines * 2 * effort.sets && *hostile > routines * 20,
        "only {calls} calls, {hostile} hostile messages"
    );
}

#[test]
fn what_differs_is_reduced_to_the_simplest_arguments_and_told() {
    let compilation = common::compile_text(include_str!("reference/options.defs"));
    let model = compilation.model.expect("a subsystem");
    let routine = model.routines.iter().find(|routine| &*routine.name == "told").expect("told");
    // As if no more than four elements arrived, and no byte above 0x7f.
    let fails = |values: &Values| {
        let layout = layout(&model, routine);
        let far = give(&model, routine, &layout.request, View::Sent, &values.request).remove(0);
        (far.count > 4 && far.memory.iter().any(|byte| *byte > 0x7f)).then_some(())
    };
    let mut runner = TestRunner::deterministic();
    let strategy = values(items(&model, routine), Extent::Any);
    let reduced: Vec<String> = (0..20)
        .filter_map(|_| minimal(strategy.new_tree(&mut runner).expect("values"), fails))
        .map(|(values, ())| describe(&model, routine, &values))
        .collect();
    assert!(reduced.len() > 5, "{reduced:?}");
    let simplest = "far = 5 x [80, 80, 80, 80, 80] out of line, name = 1 x [00]";
    assert!(reduced.iter().all(|told| told == simplest), "{reduced:#?}");
}

#[test]
#[ignore = "needs Debian's gnumach-dev and mig-x86-64-gnu: set GNUMACH_DEFS and MIGCOM, as `cargo qemu test` does"]
fn whole_messages_are_those_of_migcoms_stubs() {
    let scratch = scratch("marshal");
    let effort = match std::env::var_os("GNUMACH_DEFS_ALL") {
        Some(_) => Effort { sets: 50, depth: Depth::Full },
        None => Effort { sets: 10, depth: Depth::Bounded },
    };
    for include in versions() {
        compare_version(&include, &scratch, effort);
    }
    std::fs::remove_dir_all(&scratch).expect("scratch directory");
}
