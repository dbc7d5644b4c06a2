// SPDX-License-Identifier: GPL-2.0-or-later
//! What the fuzz targets start from: this package's .defs files, their tables, and messages of real programs.

use std::fs;
use std::path::{Path, PathBuf};

use mach_abi::Format;
use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Options, compile};
use mig_defs::source::Disk;

/// Columns of the digits in a line of a dump, after ` | `.
const DIGITS: core::ops::Range<usize> = 7..56;

/// The directory of the package mig-defs.
pub fn package() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if here.ends_with("fuzz") { here.join("..") } else { here.to_path_buf() }
}

/// The files of a directory of the package with this extension, by name.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(package().join(directory)).expect("a directory of seeds");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// For the target `compiler`: good and bad files, and what once made it fail.
pub fn compiler() -> Vec<Vec<u8>> {
    let places = ["tests/good", "tests/bad", "fuzz/corpus/compiler"];
    let paths = places.iter().flat_map(|place| files(place, "defs"));
    paths.map(|path| fs::read(path).expect("a seed")).collect()
}

/// For the target `table`: the tables of each good file, and what once made the reader fail.
pub fn table() -> Vec<Vec<u8>> {
    let tables = files("tests/good", "defs").into_iter().map(|path| {
        let model = compile(&path, &Options::lp64(Vec::new()), &Disk).model.expect("a subsystem");
        codegen::table::tables(&[&model], &Annotations::new(Format::Lp64))
    });
    tables.chain(files("fuzz/corpus/table", "mdt").into_iter().map(|path| fs::read(path).expect("a seed"))).collect()
}

/// For the target `decoder`: the messages of all captures, each once.
pub fn decoder() -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = captures().into_iter().flat_map(|(_, messages)| messages).collect();
    messages.sort();
    messages.dedup();
    messages
}

/// Every capture: the program's name and its messages in the order of the trace. A capture is what
/// `cargo qemu rpctrace2 -x PROGRAM > captures/PROGRAM.txt` writes.
pub fn captures() -> Vec<(String, Vec<Vec<u8>>)> {
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a capture");
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for (line, digits) in text.lines().filter_map(|line| Some((line, line.strip_prefix(" | ")?.get(DIGITS)?))) {
            if line.starts_with(" | 00000 ") {
                messages.push(Vec::new());
            }
            let bytes = digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal"));
            messages.last_mut().expect("a dump starts at 0").extend(bytes);
        }
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), messages)
    };
    files("fuzz/captures", "txt").iter().map(read).collect()
}
