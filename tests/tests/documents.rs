// SPDX-License-Identifier: GPL-2.0-or-later
//! What the documents name is there: files of this tree, and the tests that show a line of a table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where paths in documents begin.
const TOPS: [&str; 7] = ["kernel-ipc/", "trace-port/", "mig-defs/", "userland/", "qemu/", "tests/", "docs/"];
/// Functions of GNU Mach that look like tests of ours.
const OF_MACH: [&str; 5] = [
    "mach_port_mod_refs",
    "mach_port_get_set_status",
    "vm_map_pageable_scan",
    "ipc_kmsg_copyin_header",
    "memory_object_create_proxy",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace").to_path_buf()
}

/// All files below a folder with this extension.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != ".git") {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
}

fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), "md", &mut found);
    assert!(found.len() > 10, "the walk found only {} documents", found.len());
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("readable"))).collect()
}

/// The words of a text that paths and names are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c))).map(|word| word.trim_matches('.'))
}

#[test]
fn files_that_documents_name_are_there() {
    let mut problems = Vec::new();
    for (document, text) in documents() {
        for path in words(&text).filter(|word| TOPS.iter().any(|top| word.starts_with(top))) {
            if !root().join(path).exists() {
                problems.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{} files are not there:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn tests_that_documents_name_are_there() {
    let mut sources = Vec::new();
    files(&root(), "rs", &mut sources);
    let mut functions = BTreeSet::new();
    for source in sources {
        let text = fs::read_to_string(source).expect("readable");
        let named = text.split("fn ").skip(1).filter_map(|rest| words(rest).next());
        functions.extend(named.map(str::to_owned));
    }
    let mut problems = Vec::new();
    for (document, text) in documents() {
        // In backticks, of four words at least: shorter ones are names of many other things.
        let names = text.split('`').skip(1).step_by(2).filter(|name| {
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            is_name && name.split('_').filter(|word| !word.is_empty()).count() >= 4 && !OF_MACH.contains(name)
        });
        for name in names.filter(|name| !functions.contains(*name)) {
            problems.push(format!("{}: {name}", document.display()));
        }
    }
    assert!(problems.is_empty(), "{} tests are not there:\n{}", problems.len(), problems.join("\n"));
}
