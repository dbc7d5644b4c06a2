// SPDX-License-Identifier: GPL-2.0-or-later
//! What occurs in the .defs of the kernel and the Hurd: our own files have each construct, each id its one proper name.
//!
//! The real files are not ours to keep. tests/good/constructs.txt says which constructs are in them; with `GNUMACH_DEFS` (which
//! `cargo qemu test` sets) and `HURD_DEFS` (docs/mig.md) the files themselves are read, to check that.
#![cfg(feature = "compiler")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use common::{check_golden, corpus, defs_below, good_files};
use mach_abi::Format;
use mig_defs::annotations::Annotations;
use mig_defs::codegen::table;
use mig_defs::compile::{Options, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::layout::list;
use mig_defs::model::Model;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;

/// The constructs in the debugging form of a syntax tree: which node stands in which, and which of its switches are on.
fn constructs_of_syntax(text: &str, found: &mut BTreeSet<String>) {
    // Nodes that only hold others, or say where something is.
    const DULL: [&str; 7] = ["Some", "None", "File", "TypeSpec", "Ident", "Span", "Symbol"];
    let mut above: Vec<&str> = Vec::new();
    let mut rest = text;
    let mut field = "";
    while let Some(first) = rest.chars().next() {
        let word_end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if first == '"' {
            let inside = &rest[1..];
            let end = inside.char_indices().find(|(at, c)| *c == '"' && !inside[..*at].ends_with('\\'));
            rest = &inside[end.expect("the string's end").0 + 1..];
        } else if word_end > 0 {
            let (word, after) = rest.split_at(word_end);
            let parent = above.iter().rev().find(|node| !DULL.contains(node) && !node.is_empty()).unwrap_or(&"");
            if first.is_uppercase() && !DULL.contains(&word) {
                found.insert(format!("{parent} {word}").trim_start().to_string());
            } else if word == "true" {
                found.insert(format!("{parent} {field}"));
            } else if !first.is_numeric() {
                field = word;
            }
            rest = after;
            if rest.trim_start().starts_with(['(', '{']) {
                rest = &rest.trim_start()[1..];
                above.push(word);
            }
        } else {
            match first {
                '(' | '{' | '[' => above.push(""),
                ')' | '}' | ']' => drop(above.pop()),
                _ => {}
            }
            rest = &rest[first.len_utf8()..];
        }
    }
}

/// The preprocessor's directives in a text, with what is special about them.
fn constructs_of_text(text: &str, found: &mut BTreeSet<String>) {
    for line in text.lines() {
        let Some(directive) = line.trim_start().strip_prefix('#').map(str::trim_start) else { continue };
        let end = directive.find(|c: char| !c.is_alphabetic()).unwrap_or(directive.len());
        let (name, rest) = directive.split_at(end);
        let rest = rest.split("/*").next().unwrap_or("").split("//").next().unwrap_or("").trim();
        found.insert(format!("#{name}"));
        let mut special = |what: &str| found.insert(format!("#{name} {what}"));
        match name {
            "if" | "elif" => {
                for operator in ["defined", "&&", "||", "!", "==", "<", ">", "+", "("] {
                    if rest.contains(operator) {
                        special(operator);
                    }
                }
            }
            "include" => drop(special(&rest[..1])),
            "define" => {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                if rest[word..].starts_with('(') {
                    special("(arguments)");
                }
                if rest.ends_with('\\') {
                    special("of several lines");
                }
                if rest.contains("##") {
                    special("##");
                }
                if rest.len() == word {
                    special("of nothing");
                }
            }
            _ => {}
        }
    }
}

fn options(include: &[PathBuf]) -> Options {
    Options::lp64(include.to_vec())
}

fn constructs(files: &[PathBuf], include: &[PathBuf]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        let compilation = compile(file, &options(include), &Disk);
        for statement in &compilation.syntax.statements {
            constructs_of_syntax(&format!("{statement:?}"), &mut found);
        }
        constructs_of_text(&std::fs::read_to_string(file).expect("a .defs file"), &mut found);
    }
    found
}

/// The directories of the real .defs: the kernel's, and the Hurd's if they are there.
fn real() -> (Vec<PathBuf>, Option<PathBuf>) {
    let kernel = std::env::var_os("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test");
    let hurd = std::env::var_os("HURD_DEFS").map(PathBuf::from);
    (hurd.iter().cloned().chain([PathBuf::from(kernel)]).collect(), hurd)
}

/// All of them but one, which is older than today's MIG: that crashes on it, and ours reports syntax errors in it.
fn sound_files(include: &[PathBuf]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = include.iter().flat_map(|directory| defs_below(directory)).collect();
    files.retain(|file| !file.ends_with("mount/mount.defs"));
    files
}

fn golden() -> PathBuf {
    corpus().join("good/constructs.txt")
}

fn listed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(golden()).expect("tests/good/constructs.txt");
    text.lines().map(str::to_string).collect()
}

#[test]
fn our_own_files_have_every_construct_of_the_real_ones() {
    let listed = listed();
    assert!(listed.len() > 60, "{} constructs", listed.len());
    let include = [corpus().join("good/include")];
    let ours = constructs(&good_files().into_iter().chain(defs_below(&include[0])).collect::<Vec<_>>(), &include);
    let missing: Vec<_> = listed.difference(&ours).collect();
    assert!(missing.is_empty(), "in no file of tests/good: {missing:#?}");
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn every_construct_of_the_real_files_is_listed() {
    let (include, hurd) = real();
    let found = constructs(&sound_files(&include), &include);
    if hurd.is_some() {
        let text: String = found.iter().map(|construct| format!("{construct}\n")).collect();
        return check_golden(&golden(), &text);
    }
    let listed = listed();
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "not in tests/good/constructs.txt: {missing:#?}");
}

/// The names of each id in the tables of these models, the proper one first, without repetition.
fn names(models: &[Model]) -> BTreeMap<u32, Vec<String>> {
    let annotations = Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default());
    let bytes = table::tables(&models.iter().collect::<Vec<_>>(), &annotations);
    let tables = Tables::parse(&bytes).expect("tables");
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for id in tables.routines().map(|routine| routine.request_id()).collect::<BTreeSet<_>>() {
        assert_eq!(
            tables.request(id).map(|routine| routine.name()),
            tables.requests(id).next().map(|first| first.name())
        );
        let of_id = names.entry(id).or_default();
        for routine in tables.requests(id) {
            if !of_id.iter().any(|name| name == routine.name()) {
                of_id.push(routine.name().to_string());
            }
        }
    }
    names
}

fn models(files: &[PathBuf], include: &[PathBuf]) -> Vec<Model> {
    files.iter().filter_map(|file| compile(file, &options(include), &Disk).model).collect()
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn an_id_with_two_names_has_the_proper_one_first() {
    let (include, hurd) = real();
    let mut files = sound_files(&include);
    // Whatever the order of the files is.
    for _ in 0..2 {
        let names = names(&models(&files, &include));
        let doubled: Vec<&Vec<String>> = names.values().filter(|names| names.len() > 1).collect();
        for names in &doubled {
            let [proper, other] = &names[..] else { panic!("{names:?}") };
            let asynchronous = [format!("{proper}_request"), proper.replace("_inband", "_request_inband")];
            let is_known =
                asynchronous.contains(other) || (proper == "exception_raise" && other == "proc_exception_raise");
            assert!(is_known, "{names:?}");
        }
        println!("{} ids, {} with two names", names.len(), doubled.len());
        assert_eq!(doubled.len(), if hurd.is_some() { 95 } else { 5 }, "{doubled:?}");
        files.reverse();
    }
}

#[test]
fn types_come_from_the_including_directory_and_from_the_search_path() {
    let include = corpus().join("good/include");
    let compilation = compile(&include.join("includes.defs"), &options(&[include]), &Disk);
    assert_eq!(compilation.report(), "");
    assert_eq!(list(&compilation.model.expect("a subsystem")), "includes 7950 measure 0 7950 8050\n");
}
