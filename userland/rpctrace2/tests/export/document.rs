// SPDX-License-Identifier: GPL-2.0-or-later
//! The examples of docs/export.md are what is written. With `BLESS=1` they are made so.

use std::fs;
use std::path::Path;

use crate::text;

/// A line before a block names the options and the capture of what is in the block, whose language is the form.
fn with_examples(page: &str, root: &Path) -> (String, usize) {
    let (mut out, mut words, mut count) = (String::new(), "", 0);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if let Some(named) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) {
            words = named;
        }
        let Some(form) = line.strip_prefix("```").filter(|_| !words.is_empty()) else { continue };
        let named: Vec<&str> = words.split_whitespace().collect();
        let (file, options) = named.split_last().expect("a file");
        out.push_str(&text(&root.join(file), form, options));
        out.push_str("```\n");
        (words, count) = ("", count + 1);
        lines.by_ref().find(|line| *line == "```").expect("the block ends");
    }
    (out, count)
}

#[test]
fn the_examples_of_the_page_are_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join("docs/export.md");
    let page = fs::read_to_string(&file).unwrap();
    let (expected, count) = with_examples(&page, &root);
    assert_eq!(count, 4);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert!(::export::FORMATS.iter().all(|form| page.contains(&format!("| `{}` |", form.name))));
}
