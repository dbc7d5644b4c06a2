// SPDX-License-Identifier: GPL-2.0-or-later
//! The file: the page's own program and style, as they stand in the folder `page`, and the data where the program looks for it.
//!
//! Whatever is of the trace is in base 64, so that none of it can end an element or be taken for a program. The page may load nothing, and run
//! nothing but its program, which is named by its digest.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::parts::Parts;

/// What is to be said of the trace as a whole.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) facts: Vec<(String, String)>,
}

const PAGE: &str = include_str!("../../page/page.html");
const STYLE: &str = include_str!("../../page/page.css");

/// One program: each file uses what is before it.
const SCRIPT: &[&str] = &[
    include_str!("../../page/bytes.js"),
    include_str!("../../page/model.js"),
    include_str!("../../page/state.js"),
    include_str!("../../page/paint.js"),
    include_str!("../../page/timeline.js"),
    include_str!("../../page/sequence.js"),
    include_str!("../../page/overview.js"),
    include_str!("../../page/find.js"),
    include_str!("../../page/details.js"),
    include_str!("../../page/tables.js"),
    include_str!("../../page/latency.js"),
    include_str!("../../page/input.js"),
    include_str!("../../page/main.js"),
];

/// Writes the file; answers its size.
pub(super) fn write(out: &mut dyn Write, parts: &Parts) -> io::Result<u64> {
    let script = format!("(() => {{\n\"use strict\";\n{}}})();\n", SCRIPT.concat());
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        digest(&script),
        digest(STYLE)
    );
    let mut out = Counted { out, size: 0 };
    let mut rest = PAGE;
    for (name, text) in
        [("policy", policy.as_str()), ("style", STYLE), ("overview", &parts.overview), ("script", &script)]
    {
        let (before, after) = rest.split_once(&format!("{{{{{name}}}}}")).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    let (before, after) = rest.split_once("{{data}}").unwrap_or((rest, ""));
    out.write_all(before.as_bytes())?;
    out.block("columns", 0, &parts.columns)?;
    for (number, text) in parts.texts.iter().enumerate() {
        out.block("text", number, text)?;
    }
    for (number, bytes) in parts.bytes.iter().enumerate() {
        out.block("bytes", number, bytes)?;
    }
    out.write_all(after.as_bytes())?;
    out.flush()?;
    Ok(out.size)
}

/// The source of a policy that allows this text, and no other.
fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    size: u64,
}

impl Counted<'_> {
    /// Data that no browser takes for a program.
    fn block(&mut self, name: &str, number: usize, text: &str) -> io::Result<()> {
        writeln!(self, "<script type=\"text/plain\" id=\"{name}{number}\">{text}</script>")
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let texts = vec!["dGV4dA==".to_owned()];
        let parts = Parts { overview: "b3Zlcg==".into(), columns: "Y29s".into(), texts, ..Parts::default() };
        let mut out = Vec::new();
        let size = write(&mut out, &parts).unwrap();
        assert_eq!(size, out.len() as u64);
        String::from_utf8(out).unwrap()
    }

    /// What stands between two marks.
    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
    }

    #[test]
    fn the_policy_names_the_program_and_the_style_that_are_there_and_nothing_else() {
        let page = page();
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        for (directive, text) in [
            ("script-src", between(&page, "<script>", "</script>")),
            ("style-src", between(&page, "<style>", "</style>")),
        ] {
            assert_eq!(between(policy, &format!("{directive} '"), "'"), digest(text));
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    }

    #[test]
    fn the_data_is_where_the_program_looks_for_it() {
        let page = page();
        for (id, text) in [("overview0", "b3Zlcg=="), ("columns0", "Y29s"), ("text0", "dGV4dA==")] {
            assert_eq!(between(&page, &format!("<script type=\"text/plain\" id=\"{id}\">"), "</script>"), text);
        }
        // One program, and nothing that is loaded from somewhere.
        assert_eq!(page.matches("<script>").count(), 1);
        assert!(
            !page.contains(" src=") && !page.contains(" href=") && !page.contains("{{"),
            "a mark is left, or something is loaded"
        );
        assert!(page.trim_end().ends_with("</html>"));
    }

    #[test]
    fn no_part_of_the_program_ends_its_element() {
        let all = SCRIPT.concat();
        assert!(!all.contains("</script") && !all.contains("<!--") && !STYLE.contains("</style"));
        assert!(!all.contains("innerHTML") && !all.contains("insertAdjacentHTML") && !all.contains("document.write"));
    }
}
