//! Compares text with a file and shows where they differ; `BLESS=1` writes the file instead.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Compares `found` with the golden file.
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
        .with_context(|| format!("reading `{}`; BLESS=1 cargo qemu test writes it", file.display()))?;
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
        "{} differs in line {}:\n  expected {expected_line}\n  found    {found_line}\nAll that was found:\n{found}",
        file.display(),
        line + 1
    )
}
