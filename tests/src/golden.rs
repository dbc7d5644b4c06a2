// SPDX-License-Identifier: GPL-2.0-or-later
//! Compares text with a file and shows where they differ; `BLESS=1` writes the file instead.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Compares `found` with the golden file, which is called as the test is, but for its hyphens.
///
/// # Errors
/// If they differ, with the first differing line of each, or if the file cannot be read or written.
pub fn compare(file: &Path, found: &str) -> Result<()> {
    if std::env::var_os("BLESS").is_some() {
        let new = file.with_extension("new");
        fs::write(&new, found).with_context(|| format!("writing `{}`", new.display()))?;
        return fs::rename(&new, file).with_context(|| format!("replacing `{}`", file.display()));
    }
    let expected = fs::read_to_string(file)
        .with_context(|| format!("reading `{}`; `{}` writes it", file.display(), bless(file)))?;
    if expected == found {
        return Ok(());
    }
    let mut lines = expected.lines().zip(found.lines()).enumerate();
    let (line, (expected_line, found_line)) =
        lines.find(|(_, (expected, found))| expected != found).unwrap_or_else(|| {
            let line = expected.lines().count().min(found.lines().count());
            (line, (expected.lines().nth(line).unwrap_or("(end)"), found.lines().nth(line).unwrap_or("(end)")))
        });
    bail!(
        "{} differs in line {}:\n  expected {expected_line}\n  found    {found_line}\nAll that was found:\n{found}\nIf that is meant: {}",
        file.display(),
        line + 1,
        bless(file)
    )
}

/// The command that writes a golden.
fn bless(file: &Path) -> String {
    let test = file.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    format!("BLESS=1 cargo qemu test {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_golden_prints_the_command_that_writes_it() {
        let place = tempfile::tempdir().unwrap();
        let golden = place.path().join("reply-port.trace");
        assert!(
            format!("{:#}", compare(&golden, "one\n").unwrap_err()).contains("`BLESS=1 cargo qemu test reply_port`")
        );
        fs::write(&golden, "one\ntwo\n").unwrap();
        let error = compare(&golden, "one\nthree\n").unwrap_err().to_string();
        assert!(error.contains("differs in line 2:\n  expected two\n  found    three\n"), "{error}");
        assert!(error.ends_with("\nIf that is meant: BLESS=1 cargo qemu test reply_port"), "{error}");
        compare(&golden, "one\ntwo\n").unwrap();
    }
}
