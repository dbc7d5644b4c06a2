// SPDX-License-Identifier: GPL-2.0-or-later
//! Goldens: good/ files and what every stage makes of them, bad/ files and the diagnostics they give.
//!
//! `BLESS=1` rewrites the goldens; the differences are then reviewed like code.
#![cfg(feature = "compiler")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use common::{check_golden, corpus, good_files};
use mig_defs::codegen::{self, Context};
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::diag::Code;
use mig_defs::layout::list;
use mig_defs::show;
use mig_defs::source::Memory;

/// Compiles a file under its bare name, so that goldens hold no path of this machine.
fn compile_file(path: &Path) -> (PathBuf, Compilation) {
    compile_with(path, &Options::lp64(Vec::new()))
}

fn compile_with(path: &Path, options: &Options) -> (PathBuf, Compilation) {
    let name = PathBuf::from(path.file_name().expect("a file name"));
    let text = std::fs::read_to_string(path).expect("a text");
    let files = Memory(BTreeMap::from([(name.clone(), text)]));
    let compilation = compile(&name, options, &files);
    (name, compilation)
}

#[test]
fn good_files_give_their_goldens() {
    let files = good_files();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let (name, compilation) = compile_file(&path);
        assert_eq!(compilation.report(), "", "{}", path.display());
        let model = compilation.model.as_ref().expect("a subsystem");
        let source = path;
        let path = corpus().join("good/golden").join(&name);
        check_golden(&path.with_extension("list"), &list(model));
        check_golden(&path.with_extension("model"), &show::model(model));
        let layout: String = model.routines.iter().map(|routine| show::routine(model, routine)).collect();
        check_golden(&path.with_extension("layout"), &layout);
        check_golden(&path.with_extension("layout32"), &layout32(&source));
        // Their stubs have nothing that others do not show.
        if ["hurd.defs", "macros.defs"].contains(&&*name.to_string_lossy()) {
            continue;
        }
        let context = Context { model, sources: &compilation.sources, file: &name, runtime: "crate" };
        let user = codegen::user::generate(&context).expect("user stubs");
        check_golden(&path.with_extension("user.rs"), &user);
        let server = codegen::server::generate(&context).expect("server stubs");
        check_golden(&path.with_extension("server.rs"), &server);
    }
}

/// The byte maps of the 32-bit format. `cargo qemu test --all` compares the same files with the 32-bit MIG (tests/migcom.rs).
fn layout32(path: &Path) -> String {
    let (_, compilation) = compile_with(path, &Options::ilp32(Vec::new()));
    assert_eq!(compilation.report(), "", "{}", path.display());
    let model = compilation.model.as_ref().expect("a subsystem");
    model.routines.iter().map(|routine| show::routine(model, routine)).collect()
}

#[test]
fn bad_files_give_their_diagnostics() {
    let entries = std::fs::read_dir(corpus().join("bad")).expect("tests/bad");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "defs"));
    files.sort();
    let mut shown = BTreeSet::new();
    for path in files {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let code = Code::from_name(name.split('-').next().unwrap_or(&name)).expect("named after a code");
        let (_, compilation) = compile_file(&path);
        let report = compilation.report();
        assert!(report.contains(&code.name()), "{}: {report}", path.display());
        check_golden(&path.with_extension("stderr"), &report);
        shown.insert(code);
    }
    // No file shows these two: one is about the command line, the other about annotation files.
    let elsewhere = [Code::CannotRead, Code::BadAnnotation];
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !shown.contains(code) && !elsewhere.contains(code)).collect();
    assert!(missing.is_empty(), "no bad file for {missing:?}");
}

#[test]
fn an_unknown_type_costs_one_routine() {
    let text = "subsystem s 10; type p_t = MACH_MSG_TYPE_COPY_SEND;\n\
        routine a(p : p_t); routine b(p : p_t; x : nowhere_t; y : elsewhere_t); routine c(p : p_t);";
    let compilation = common::compile_text(text);
    let model = compilation.model.expect("a subsystem");
    assert_eq!(list(&model), "s 10 a 0 10 110\ns 10 c 2 12 112\n");
    assert_eq!(model.left_out.len(), 1);
    let codes: Vec<_> = compilation.diagnostics.list().iter().map(|wrong| wrong.code).collect();
    assert_eq!(codes, [Code::UnknownType, Code::UnknownType, Code::RoutineLeftOut]);
}

/// A struct that is declared with an argument is known there alone, but its C type, and its Rust type, in the whole file.
#[test]
fn structs_of_one_name_and_different_shape_are_not_taken_for_each_other() {
    let text = "subsystem s 10; type p_t = MACH_MSG_TYPE_COPY_SEND;\n\
        routine a(p : p_t; x : pair_t = struct { int a; int b; }); routine b(p : p_t; x : pair_t = struct { int a; });\n\
        routine c(p : p_t; x : pair_t = struct { int a; int b; });";
    let compilation = common::compile_text(text);
    assert_eq!(compilation.report(), "");
    let model = compilation.model.expect("a subsystem");
    let why = ("b".to_string(), "argument x is another struct `pair_t` than an earlier one".to_string());
    for left_out in [codegen::user::left_out(&model), codegen::server::left_out(&model)] {
        assert_eq!(left_out, std::slice::from_ref(&why));
    }
}

/// As the Hurd's terminal server presents msg.defs to itself: keywords and the subsystem's name are macros.
#[test]
fn macros_make_another_interface_of_an_included_file() {
    let main = "#define routine simpleroutine\n#define out /* empty */\n#define USERPREFIX nowait_\n\
        #define msg ourmsg\t\t/* for the headers */\n\n#include <hurd/msg.defs>\n";
    let included = "subsystem msg 23000;\n#ifdef USERPREFIX\nuserprefix USERPREFIX;\n#endif\n\
        type port_t = MACH_MSG_TYPE_COPY_SEND;\nroutine msg_sig_post(process : port_t; signal : int);\n\
        routine msg_get_fd(process : port_t; fd : int; out port : int);\n";
    let files = [("ourmsg.defs", main), ("inc/hurd/msg.defs", included)];
    let files = Memory(files.map(|(name, text)| (PathBuf::from(name), text.to_string())).into());
    let compilation = compile(Path::new("ourmsg.defs"), &Options::lp64(vec!["inc".into()]), &files);
    assert_eq!(compilation.report(), "");
    let model = compilation.model.expect("a subsystem");
    assert_eq!(list(&model), "ourmsg 23000 msg_sig_post 0 23000 0\nourmsg 23000 msg_get_fd 1 23001 0\n");
    assert_eq!(model.routines[0].user_name, "nowait_msg_sig_post");
    assert_eq!(model.routines[1].arguments.iter().filter(|argument| argument.role.in_request()).count(), 2);
}

#[test]
fn the_kernel_view_is_a_matter_of_macros() {
    let path = corpus().join("good/macros.defs");
    let text = std::fs::read_to_string(&path).expect("a text");
    let files = Memory(BTreeMap::from([(PathBuf::from("m.defs"), text)]));
    let options = Options::lp64(Vec::new()).define("KERNEL_SERVER", "1").define("INTERFACE", "kernel");
    let compilation = compile(Path::new("m.defs"), &options, &files);
    let model = compilation.model.expect("a subsystem");
    assert_eq!((&*model.name, model.kernel_server, model.kernel_user), ("kernel", true, false));
}
