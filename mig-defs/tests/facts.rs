// SPDX-License-Identifier: GPL-2.0-or-later
//! The built-in annotations against what they are about: the places are in the .defs, the numbers and layouts those of the C
//! headers.
//!
//! `GNUMACH_DEFS` (which `cargo qemu test` sets) has both for the kernel; with `HURD_DEFS` (docs/mig.md) the Hurd's places and
//! those of its numbers that its own headers define are looked at too, with `GNUMACH_DEFS_I386` the layouts of 32-bit kernels. glibc's headers for the Hurd are not to be had.
#![cfg(feature = "compiler")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::defs_below;
use mach_abi::Format;
use mig_defs::annotations::{Annotations, BUILTIN};
use mig_defs::compile::{Options, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::model::{Role, Shape};
use mig_defs::source::{Disk, SourceMap};

/// Places that Debian's files lack: types of C, and of routines that Debian leaves out.
const NOWHERE: [&str; 3] = ["mach_msg_option_t", "exception_type_t", "sampled_pc_flavor_t"];
/// Places of the Hurd in gnumach.txt, which shares sets with them.
const OF_THE_HURD: [&str; 6] = [
    "crash_dump_task.exc",
    "crash_dump_task.code",
    "crash_dump_task.subcode",
    "proc_handle_exceptions.flavor",
    "proc_handle_exceptions.new_state",
    "startup_reboot.reboot_code",
];
/// Numbers that are in headers of the kernel's source alone, or nowhere but with us.
const NOT_INSTALLED: [&str; 7] = ["GSYNC_", "IKOT_", "RB_", "TASK_TRACE_", "VM_SYNC_", "DEV_GET_", "FP_"];
/// Structs that C has as arrays.
const NO_STRUCTS: [&str; 2] = ["dev_size", "dev_records"];
/// Headers that only the kernel can include.
const NOT_FOR_PROGRAMS: [&str; 6] = [
    "device/disk_status.h",
    "mach/boot.h",
    "mach/profil.h",
    "mach/syscall_sw.h",
    "mach/x86_64/multiboot.h",
    "mach/i386/multiboot.h",
];

fn gnumach() -> PathBuf {
    std::env::var_os("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test").into()
}

fn hurd() -> Option<PathBuf> {
    std::env::var_os("HURD_DEFS").map(PathBuf::from)
}

/// The built-in files up to this one, and of that one alone the places and names.
fn builtin(format: Format, last: &str) -> (Annotations, Annotations) {
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let (mut before, mut all) = (Annotations::new(format), Annotations::new(format));
    for (name, text) in BUILTIN {
        let file = sources.add(name.into(), text.into());
        before = all.clone();
        all.add(file, &sources, &mut diagnostics);
        if name == last {
            break;
        }
    }
    assert_eq!(diagnostics.render(&sources), "");
    (before, all)
}

/// Every place an annotation can be about, and of each routine the arguments that a choice can go by.
fn places(directories: &[PathBuf]) -> (BTreeSet<String>, BTreeMap<String, Vec<String>>) {
    let (mut places, mut makers) = (BTreeSet::new(), BTreeMap::new());
    for path in directories.iter().flat_map(|directory| defs_below(directory)) {
        let Some(model) = compile(&path, &Options::lp64(directories.to_vec()), &Disk).model else { continue };
        for routine in &model.routines {
            places.extend(routine.arguments.iter().map(|argument| format!("{}.{}", routine.name, argument.name)));
            let sent = routine.arguments.iter().filter(|argument| matches!(argument.role, Role::In | Role::InOut));
            makers.insert(routine.name.to_string(), sent.map(|argument| argument.name.to_string()).collect());
        }
        for ty in &model.types {
            let Some(name) = &ty.name else { continue };
            places.insert(name.to_string());
            if let Shape::Struct(members) = &ty.shape {
                places.extend(members.iter().map(|member| format!("{name}.{}", member.name)));
            }
        }
    }
    (places, makers)
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn the_places_of_the_built_in_annotations_exist() {
    let directories: Vec<PathBuf> = hurd().into_iter().chain([gnumach()]).collect();
    let (known, makers) = places(&directories);
    let (_, annotations) = builtin(Format::Lp64, if directories.len() > 1 { "hurd.txt" } else { "gnumach.txt" });
    let places = annotations.uses.keys().chain(annotations.forms.keys()).chain(annotations.choice_uses.keys());
    let is_excused = |place: &&String| {
        NOWHERE.contains(&place.as_str()) || (directories.len() == 1 && OF_THE_HURD.contains(&place.as_str()))
    };
    let unknown: Vec<&String> = places.filter(|place| !known.contains(*place) && !is_excused(place)).collect();
    assert!(unknown.is_empty(), "in no .defs: {unknown:?}");
    for (place, index) in &annotations.choice_uses {
        let Some(by) = &annotations.choices[*index].by else { continue };
        let routine = place.split('.').next().expect("a routine");
        // Of a routine of the Hurd, without its files, nothing is known.
        let is_there = makers.get(routine).is_none_or(|makers| makers.contains(by));
        assert!(is_there, "{place} is chosen by {by}, which is not in the request");
    }
}

/// What gcc says against this program, the first lines of it.
fn gcc(machine: &str, include: &[&Path], text: &str) -> String {
    let mut command = Command::new("gcc");
    command.args([machine, "-ffreestanding", "-fsyntax-only", "-x", "c", "-Wno-overflow"]);
    for directory in include {
        command.arg("-I").arg(directory);
    }
    let mut child = command.arg("-").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("gcc runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("gcc reads");
    let output = child.wait_with_output().expect("gcc ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    errors.lines().filter(|line| line.contains("error")).take(12).collect::<Vec<_>>().join("\n")
}

/// A program that is only right if these numbers and layouts are those of the headers.
fn assertions(annotations: &Annotations, headers: &[String], is_asked: impl Fn(&str) -> bool) -> (String, usize) {
    let mut text = "#include <stddef.h>\n".to_string();
    headers.iter().for_each(|header| writeln!(text, "#include <{header}>").expect("written"));
    let errors = annotations.errors.iter().map(|(number, name)| (*number, name));
    let named = annotations.sets.iter().flat_map(|set| &set.values).map(|(number, name)| (*number, name)).chain(errors);
    let mut asked = 0;
    for (number, name) in named.filter(|(_, name)| is_asked(name)) {
        writeln!(text, "_Static_assert((unsigned) ({name}) == {number}u, \"{name}\");").expect("written");
        asked += 1;
    }
    for whole in annotations.structs.iter().filter(|whole| is_asked(&whole.name)) {
        for member in &whole.members {
            let (of, name, offset) = (&whole.name, &member.name, member.offset);
            writeln!(text, "_Static_assert(offsetof(struct {of}, {name}) == {offset}, \"{of}.{name}\");")
                .expect("written");
            asked += 1;
        }
        let size = whole.end.next_multiple_of(whole.align);
        writeln!(text, "_Static_assert(sizeof(struct {0}) == {size}, \"{0}\");", whole.name).expect("written");
    }
    (text, asked)
}

/// The C headers below a directory, as they are included.
fn headers(include: &Path, names: &[&str]) -> Vec<String> {
    let below = |name: &&str| {
        let entries = std::fs::read_dir(include.join(name)).expect("a directory of headers");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|file| file.ends_with(".h")).map(|file| format!("{name}/{file}")).collect::<Vec<_>>()
    };
    let mut found: Vec<String> = names.iter().flat_map(below).collect();
    found.retain(|header| !NOT_FOR_PROGRAMS.contains(&header.as_str()));
    found.sort();
    found.insert(0, "mach/mach_types.h".to_string());
    found
}

/// Flavors without a struct of their own, and why.
const NO_STRUCT: [(&str, &str); 8] = [
    ("HOST_PROCESSOR_SLOTS", "an integer for each processor"),
    ("NET_ADDRESS", "the bytes of an address, in words"),
    ("NET_DSTADDR", "the bytes of an address, in words"),
    ("TTY_STOP", "no data"),
    ("TTY_START", "no data"),
    ("TTY_SET_BREAK", "no data"),
    ("TTY_CLEAR_BREAK", "no data"),
    ("TTY_SET_TRANSLATION", "no data"),
];

/// A flavor that is named has its data named, too.
#[test]
fn every_flavor_has_its_struct() {
    for format in [Format::Lp64, Format::Ilp32] {
        let (_, annotations) = builtin(format, "gnumach.txt");
        let mut seen = 0;
        for (place, index) in &annotations.choice_uses {
            let choice = &annotations.choices[*index];
            let Some(by) = choice.by.as_deref().filter(|by| *by == "flavor") else { continue };
            let routine = place.split('.').next().expect("a routine");
            let set = annotations.uses.get(&format!("{routine}.{by}")).or_else(|| annotations.uses.get("dev_flavor_t"));
            let set = &annotations.sets[*set.expect("flavors with names")];
            for (number, name) in &set.values {
                let excused = NO_STRUCT.iter().any(|(other, _)| other == name);
                let known = choice.cases.iter().any(|case| case.0 == *number);
                assert!(known || excused, "{place}: flavor {name} has no struct");
                seen += 1;
            }
        }
        assert!(seen > 30, "only {seen} flavors");
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn numbers_and_structs_of_the_kernel_are_those_of_its_headers() {
    let (_, annotations) = builtin(Format::Lp64, "gnumach.txt");
    let include = gnumach();
    let is_asked =
        |name: &str| !NOT_INSTALLED.iter().any(|start| name.starts_with(start)) && !NO_STRUCTS.contains(&name);
    let headers = headers(&include, &["mach", "device", "mach/x86_64"]);
    let (text, asked) = assertions(&annotations, &headers, is_asked);
    assert!(asked > 350, "only {asked} numbers and members");
    assert_eq!(gcc("-m64", &[&include], &text), "");
    // And the comparison finds what is wrong.
    let wrong = text.replace("(MACH_RCV_TIMED_OUT) == ", "(MACH_RCV_TIMED_OUT) == 1 + ");
    assert!(gcc("-m64", &[&include], &wrong).contains("\"MACH_RCV_TIMED_OUT\""));
    println!("{asked} numbers and members are those of the C headers");
}

#[test]
#[ignore = "needs Debian's gnumach-dev for i386: set GNUMACH_DEFS_I386, as `cargo qemu test --all` does"]
fn structs_of_32_bit_kernels_are_those_of_their_headers() {
    let Some(include) = std::env::var_os("GNUMACH_DEFS_I386").map(PathBuf::from) else {
        println!("GNUMACH_DEFS_I386 is not set: the layouts of 32-bit kernels are not looked at");
        return;
    };
    let (_, mut annotations) = builtin(Format::Ilp32, "gnumach.txt");
    (annotations.sets, annotations.errors) = Default::default();
    // No flavor of these kernels.
    let is_asked = |name: &str| !NO_STRUCTS.contains(&name) && name != "i386_fsgs_base_state";
    let headers = headers(&include, &["mach", "device", "mach/i386"]);
    let (text, asked) = assertions(&annotations, &headers, is_asked);
    assert!(asked > 100, "only {asked} members");
    assert_eq!(gcc("-m32", &[&include], &text), "");
}

#[test]
#[ignore = "needs the Hurd's .defs besides Debian's packages: set HURD_DEFS, as docs/mig.md says"]
fn numbers_of_the_hurd_are_those_of_its_header() {
    let Some(hurd) = hurd() else {
        println!("HURD_DEFS is not set: the Hurd's headers are not looked at");
        return;
    };
    let (before, mut annotations) = builtin(Format::Lp64, "hurd.txt");
    annotations.sets.drain(..before.sets.len());
    annotations.structs.drain(..before.structs.len());
    // What hurd_types.h defines; the rest is in headers of glibc for the Hurd, and the system's own has other numbers.
    let starts = [
        "EXEC_",
        "FS_",
        "FSYS_",
        "FSTYPE_",
        "DIR_CHANGED_",
        "FILE_CHANGED_",
        "SELECT_",
        "PI_",
        "INIT_",
        "STORAGE_",
        "TERM_ON_",
    ];
    let is_asked = |name: &str| name == "procinfo" || starts.iter().any(|start| name.starts_with(start));
    let (text, asked) = assertions(&annotations, &["hurd/hurd_types.h".to_string()], is_asked);
    assert!(asked > 90, "only {asked} numbers and members");
    // Linux's headers have no loff_t of this name.
    let text = format!("#define _GNU_SOURCE\n#include <sys/types.h>\ntypedef int error_t;\n{text}");
    assert_eq!(gcc("-m64", &[&hurd, &gnumach()], &text), "");
    println!("{asked} numbers and members are those of hurd_types.h");
}
