// SPDX-License-Identifier: GPL-2.0-or-later
//! Differential test against Debian's MIG: the same routines, ids, sizes and type descriptors for every .defs file.
//!
//! Needs `GNUMACH_DEFS`, the include directory of a gnumach-dev package, `MIGCOM`, the migcom program of mig-x86-64-gnu,
//! and gcc as preprocessor; `cargo qemu test` sets both and runs it. With `HURD_DEFS`, a directory that has the Hurd's
//! .defs in its subdirectory hurd (a checkout of its source, or the include directory of a Hurd system), theirs as well.
#![cfg(feature = "compiler")]

mod common;
mod reference;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mach_abi::{Descriptor, Format};
use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Options, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::layout::{Item, RoutineLayout, Source, layout, list};
use mig_defs::model::Model;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::{Routine as TableRoutine, Tables};
use reference::{Mig, Migcom, defs_below, directory, run, scratch, versions};

/// The text of each routine in a C file.
fn routines(text: &str) -> BTreeMap<&str, &str> {
    let mut starts: Vec<(usize, &str)> = Vec::new();
    for (at, line) in text.lines().map(|line| (line.as_ptr() as usize - text.as_ptr() as usize, line)) {
        let name = line.strip_prefix("/* Routine ").or_else(|| line.strip_prefix("/* SimpleRoutine "));
        if let Some(name) = name.and_then(|name| name.strip_suffix(" */")) {
            starts.push((at, name));
        }
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]).collect::<Vec<_>>();
    starts.iter().zip(ends).map(|((start, name), end)| (*name, &text[*start..end])).collect()
}

/// The type descriptors that a routine declares, by C name.
fn descriptors(text: &str) -> BTreeMap<String, Descriptor> {
    let mut found = BTreeMap::new();
    let mut current: Option<(String, Descriptor)> = None;
    for line in text.lines().map(str::trim) {
        let declaration =
            line.strip_prefix("const mach_msg_type_t ").or_else(|| line.strip_prefix("const mach_msg_type_long_t "));
        if let Some(name) = declaration.and_then(|rest| rest.strip_suffix(" = {")) {
            current = Some((name.to_string(), Descriptor::default()));
        } else if line == "};" {
            found.extend(current.take());
        } else if let (Some((_, descriptor)), Some((field, value))) = (&mut current, line.split_once('=')) {
            let value = value.trim().trim_end_matches(',').trim_start_matches("(unsigned char)");
            let value = value.trim_start_matches("(unsigned short)").trim();
            match field.trim() {
                // A long descriptor of the 32-bit format has these a second time, after a header that says nothing.
                ".msgt_name" | ".msgtl_name" => descriptor.name = message_type(value),
                ".msgt_size" | ".msgtl_size" => descriptor.size = value.parse().expect("a size"),
                ".msgt_number" | ".msgtl_number" => descriptor.number = value.parse().expect("a number"),
                ".msgt_inline" => descriptor.inline = value == "TRUE",
                ".msgt_longform" => descriptor.longform = value == "TRUE",
                ".msgt_deallocate" => descriptor.deallocate = value == "TRUE",
                _ => {}
            }
        }
    }
    found
}

fn message_type(text: &str) -> u8 {
    let names = [
        ("BOOLEAN", 0),
        ("UNSTRUCTURED", 0),
        ("INTEGER_16", 1),
        ("INTEGER_32", 2),
        ("CHAR", 8),
        ("BYTE", 9),
        ("INTEGER_8", 9),
        ("REAL", 10),
        ("INTEGER_64", 11),
        ("STRING", 12),
        ("STRING_C", 12),
        ("PORT_NAME", 15),
        ("MOVE_RECEIVE", 16),
        ("PORT_RECEIVE", 16),
        ("MOVE_SEND", 17),
        ("PORT_SEND", 17),
        ("MOVE_SEND_ONCE", 18),
        ("PORT_SEND_ONCE", 18),
        ("COPY_SEND", 19),
        ("MAKE_SEND", 20),
        ("MAKE_SEND_ONCE", 21),
        ("POLYMORPHIC", 255),
    ];
    let name = text.strip_prefix("MACH_MSG_TYPE_");
    match name.and_then(|name| names.iter().find(|(known, _)| *known == name)) {
        Some((_, number)) => *number,
        None => text.parse().unwrap_or_else(|_| panic!("message type {text}")),
    }
}

/// The first number after any of `marks` in `text`.
fn number_after(text: &str, marks: &[&str]) -> Option<u32> {
    let at = marks.iter().filter_map(|mark| text.find(mark).map(|at| at + mark.len())).min()?;
    let digits: String = text[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Compares the descriptors called `{item}{suffix}` with ours; returns how many there are.
fn compare(
    place: &str,
    items: &[Item],
    theirs: &BTreeMap<String, Descriptor>,
    suffix: &str,
    ours: impl Fn(&Item) -> Descriptor,
) -> usize {
    let mut compared = 0;
    for item in items {
        if let Some(expected) = theirs.get(&format!("{}{suffix}", item.name)) {
            assert_eq!(ours(item), *expected, "{place}: {}{suffix}", item.name);
            compared += 1;
        }
    }
    compared
}

/// Compares one routine; returns how many descriptors were compared.
fn compare_routine(place: &str, layout: &RoutineLayout, one_way: bool, user: &str, server: &str) -> usize {
    let (user_types, server_types) = (descriptors(user), descriptors(server));
    // In the server, MIG's reply items of the same name as a request item (inout) are declared once as Type.
    let mut compared = compare(place, &layout.request.items, &user_types, "Type", |item| item.sent);
    compared += compare(place, &layout.request.items, &server_types, "Check", |item| item.received);
    compared += compare(place, &layout.reply.items, &server_types, "Type", |item| item.sent);
    compared += compare(place, &layout.reply.items, &user_types, "Check", |item| item.received);
    for item in &layout.request.items {
        let name = format!("{}Type", item.name);
        assert!(user_types.contains_key(&name), "{place}: migcom has no {name}");
    }
    let request = number_after(server, &["(msgh_size < ", "In0P->Head.msgh_size != "]);
    assert_eq!(request, Some(layout.request.min_size), "{place}: request size");
    let exact = number_after(user, &["_Static_assert(sizeof(Request) == "]);
    assert_eq!(exact, (!layout.request.is_variable()).then_some(layout.request.min_size), "{place}: request varies");
    if !one_way {
        let reply = number_after(user, &["(msgh_size < ", "((msgh_size != ", "OutP->Head.msgh_size != "]);
        assert_eq!(reply, Some(layout.reply.min_size), "{place}: reply size");
    }
    compared
}

fn compare_file(place: &str, model: &Model, theirs: &Migcom) -> usize {
    assert_eq!(list(model), theirs.list, "{place}: list");
    let (user, server) = (routines(&theirs.user), routines(&theirs.server));
    let mut compared = 0;
    for routine in &model.routines {
        let place = format!("{place}: {}", routine.name);
        let layout = layout(model, routine);
        let (user, server) = (user[&*routine.name], server[&*routine.name]);
        compared += compare_routine(&place, &layout, routine.one_way, user, server);
        let ours: usize = layout.request.items.iter().filter(|item| item.source != Source::RetCode).count();
        let declared = descriptors(user).keys().filter(|name| name.ends_with("Type")).count();
        assert_eq!(declared, ours, "{place}: items of the request");
    }
    compared
}

/// Every routine of every file is found in the tables under both its ids, with all its items.
fn check_tables(format: Format, models: &[Model]) {
    let annotations = Annotations::builtin(format, &mut SourceMap::default(), &mut Diagnostics::default());
    let bytes = codegen::table::tables(&models.iter().collect::<Vec<_>>(), &annotations);
    let tables = Tables::parse(&bytes).expect("tables");
    assert_eq!(tables.subsystem_count(), models.len());
    for (model, routine) in models.iter().flat_map(|model| model.routines.iter().map(move |routine| (model, routine))) {
        let layout = layout(model, routine);
        let reply_id = (!routine.one_way).then_some(layout.reply.id);
        let reply_items = if routine.one_way { 0 } else { layout.reply.items.len() };
        // Servers of the Hurd present msg.defs to themselves as another one, with the same names and without replies.
        let is_it = |found: &TableRoutine<'_>| found.name() == &*routine.name && found.reply_id() == reply_id;
        let found = tables.requests(layout.request.id).find(is_it);
        let found = found.unwrap_or_else(|| panic!("{} is not in the tables", routine.name));
        assert_eq!(found.items(false).count(), layout.request.items.len() + 1, "{}", routine.name);
        assert_eq!(found.items(true).count(), reply_items, "{}", routine.name);
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev and mig-x86-64-gnu: set GNUMACH_DEFS and MIGCOM, as `cargo qemu test` does"]
fn every_file_is_laid_out_as_migcom_does() {
    let scratch = scratch("layout");
    for mig in versions().iter().map(|include| Mig::amd64(include)).chain(Mig::i386()) {
        let mut files = Vec::new();
        defs_below(&mig.include, &mut files);
        files.push(common::corpus().join("../../trace-port/defs/trace.defs"));
        files.extend(common::good_files());
        compare_files(&mig, &files, &scratch);
    }
    std::fs::remove_dir_all(&scratch).expect("scratch directory");
}

/// Debian has the Hurd's .defs only in the archive of its ports, which `cargo qemu` does not read: whoever has them says where.
#[test]
#[ignore = "needs the Hurd's .defs besides Debian's packages: set HURD_DEFS, as docs/mig.md says"]
fn every_file_of_the_hurd_is_laid_out_as_migcom_does() {
    let Some(hurd) = std::env::var_os("HURD_DEFS").map(PathBuf::from) else {
        println!("HURD_DEFS is not set: the Hurd's .defs are not compared");
        return;
    };
    let scratch = scratch("hurd");
    let mut files = Vec::new();
    defs_below(&hurd, &mut files);
    let amd64 = with_hurd(Mig::amd64(&directory("GNUMACH_DEFS")), Options::lp64, &hurd, &scratch.join("64"));
    compare_files(&amd64, &files, &scratch);
    if let Some(mig) = Mig::i386() {
        compare_files(&with_hurd(mig, Options::ilp32, &hurd, &scratch.join("32")), &files, &scratch);
    }
    std::fs::remove_dir_all(&scratch).expect("scratch directory");
}

/// A MIG whose include directory, made at `place`, has the Hurd's interfaces next to the kernel's, and what both MIGs would
/// find in headers of the Hurd's C library.
fn with_hurd(mut mig: Mig, options: fn(Vec<PathBuf>) -> Options, hurd: &Path, place: &Path) -> Mig {
    std::fs::create_dir_all(place.join("bits")).expect("include directory");
    for (directory, name) in [(&*mig.include, "mach"), (&mig.include, "device"), (hurd, "hurd")] {
        let found = directory.join(name).canonicalize().expect("a directory of .defs");
        std::os::unix::fs::symlink(found, place.join(name)).expect("a link");
    }
    std::fs::write(place.join("bits/utsname.h"), "#define _UTSNAME_LENGTH 1024\n").expect("a header");
    std::fs::write(place.join("bits/ioctls.h"), "").expect("a header");
    mig.options = options(vec![place.to_path_buf()]);
    mig.include = place.to_path_buf();
    mig
}

fn compare_files(mig: &Mig, files: &[PathBuf], scratch: &Path) {
    let include = &mig.include;
    let (mut subsystems, mut compared) = (0, 0);
    let mut models = Vec::new();
    for file in files {
        let compilation = compile(file, &mig.options, &Disk);
        let place = file.display().to_string();
        let Some(model) = &compilation.model else {
            assert_eq!(compilation.report(), "", "{place}");
            continue;
        };
        if let Some(theirs) = run(mig, file, scratch) {
            assert_eq!(compilation.diagnostics.errors(), 0, "{}", compilation.report());
            compared += compare_file(&place, model, &theirs);
            subsystems += 1;
            models.push(model.clone());
        } else {
            // What migcom refuses, ours must have found fault with too.
            assert_ne!(compilation.report(), "", "{place}: migcom refuses it");
        }
    }
    check_tables(mig.options.format, &models);
    assert!(subsystems >= 15, "only {subsystems} subsystems below {}", include.display());
    assert!(compared >= 1000, "only {compared} descriptors compared");
    let routines: usize = models.iter().map(|model| model.routines.len()).sum();
    println!(
        "{}: {} files, {subsystems} subsystems, {routines} routines, {compared} descriptors",
        include.display(),
        files.len()
    );
}
