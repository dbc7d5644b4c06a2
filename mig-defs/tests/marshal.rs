//! Whole messages against Debian's MIG: its C stubs and our Rust stubs are compiled and run on the same values.
//!
//! For every routine and several sets of values: the request that each user stub sends, byte for byte; the results it takes
//! out of a reply; the arguments that each server takes out of a request; the reply that it sends. Then messages that are
//! not what their .defs say: what each makes of them, down to the return code. What differs is only padding, which C leaves
//! as the stack was (after data that is no multiple of 8 bytes, in the upper half of an inline right, after the NUL of a C
//! string of fixed size), and what the README names.
//!
//! Needs `GNUMACH_DEFS`, `MIGCOM`, gcc and rustc, as tests/migcom.rs; `GNUMACH_DEFS_ALL` names more versions of the .defs
//! and makes more hostile messages.
#![cfg(feature = "compiler")]

mod common;
mod reference;

use std::path::{Path, PathBuf};

use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::model::Model;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;
use reference::compare::{Found, Programs, compare_server, compare_user};
use reference::driver;
use reference::hostile::Depth;
use reference::rust::Driver;
use reference::{Migcom, defs_below, directory, migcom, scratch, versions};

fn tables(model: &Model) -> Vec<u8> {
    let annotations = Annotations::builtin(&mut SourceMap::default(), &mut Diagnostics::default());
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

/// The routine whose server migcom writes in C that gcc refuses: it takes a polymorphic inline array of rights.
const REFUSED: &str = "memory_object_create_proxy";

/// Compares one file.
fn compare_file(both: &Both, headers: &Path, scratch: &Path, rust: &Path, depth: Depth, found: &mut Found) {
    let Both { place, compilation, theirs, number } = both;
    let mut model = compilation.model.clone().expect("a subsystem");
    let bytes = tables(&model);
    let tables = Tables::parse(&bytes).expect("tables");
    // The drivers include migcom's C.
    theirs.write(scratch);
    let build = |model: &Model, text: &str, name: &str| {
        let program = driver::build(model, text, headers, scratch, name);
        let c = program.unwrap_or_else(|error| panic!("{place}: gcc refuses the {name}: {error}"));
        Programs { c, rust: rust.to_path_buf(), file: *number }
    };
    let user = build(&model, &driver::user(&model, &theirs.user_header), "user-driver");
    compare_user(place, &model, tables, &user, (&theirs.user_header, depth), found);
    if model.routines.iter().any(|routine| &*routine.name == REFUSED) {
        println!("  {place}: the server of {REFUSED} is not compared");
        model.routines.retain(|routine| &*routine.name != REFUSED);
        std::fs::write(scratch.join("server.c"), without_server_of(REFUSED, &theirs.server)).expect("C written");
    }
    let server = build(&model, &driver::server(&model, &theirs.server, &theirs.server_header), "server-driver");
    compare_server(place, &model, tables, &server, (&theirs.server_header, depth), found);
}

/// migcom's server with nothing in what serves one routine.
fn without_server_of(routine: &str, server: &str) -> String {
    let start = server.find(&format!("mig_internal void _X{routine}")).expect("a routine");
    let open = start + server[start..].find("\n{").expect("a body");
    let close = open + server[open..].find("\n}").expect("its end");
    format!("{}\n{{{}", &server[..open], &server[close..])
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
    files.push(common::corpus().join("reference/options.defs"));
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

fn compare_version(include: &Path, scratch: &Path, depth: Depth) {
    println!("{}", include.display());
    let mut driver = Driver::default();
    let files = compile_version(include, scratch, &mut driver);
    let rust = driver.build(scratch);
    let (mut found, mut routines) = (Found::default(), 0);
    for both in &files {
        routines += both.compilation.model.as_ref().map_or(0, |model| model.routines.len());
        compare_file(both, &headers(include), scratch, &rust, depth, &mut found);
    }
    let Found { calls, hostile, differences } = &found;
    let shown: Vec<_> = differences.iter().take(20).cloned().collect();
    assert!(differences.is_empty(), "{} differences, of which\n{}", differences.len(), shown.join("\n"));
    println!("  {routines} routines, {calls} calls, {hostile} hostile messages, no difference");
    assert!(routines > 150, "only {routines} routines below {}", include.display());
    assert!(*calls >= routines * 23 && *hostile > routines * 20, "only {calls} calls, {hostile} hostile messages");
}

#[test]
#[ignore = "needs Debian's gnumach-dev and mig-x86-64-gnu: set GNUMACH_DEFS and MIGCOM, as `cargo qemu test` does"]
fn whole_messages_are_those_of_migcoms_stubs() {
    let scratch = scratch("marshal");
    let depth = if std::env::var_os("GNUMACH_DEFS_ALL").is_some() { Depth::Full } else { Depth::Bounded };
    for include in versions() {
        compare_version(&include, &scratch, depth);
    }
    std::fs::remove_dir_all(&scratch).expect("scratch directory");
}
