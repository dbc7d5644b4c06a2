// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that are written whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::NamedTempFile;

/// Writes all of these files or, if one cannot be written, none.
pub(crate) fn write<B: AsRef<[u8]>>(files: &[(PathBuf, B)]) -> anyhow::Result<()> {
    let mut made = Vec::new();
    for (path, bytes) in files {
        made.push((path, prepare(path, bytes.as_ref()).with_context(|| cannot_write(path))?));
    }
    // What a later file still needs is that its directory does not change now.
    for (path, file) in made {
        file.put().with_context(|| cannot_write(path))?;
    }
    Ok(())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// What is left to do once all files can be written.
enum Prepared<'a> {
    /// A file under a temporary name, and its own.
    File(NamedTempFile, PathBuf),
    /// A terminal, a pipe, a device: nothing that could be replaced.
    Device(&'a Path, &'a [u8]),
}

fn prepare<'a>(path: &'a Path, bytes: &'a [u8]) -> anyhow::Result<Prepared<'a>> {
    // A link stays one, and leads to the new file.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match place.metadata() {
        Ok(found) if found.is_dir() => bail!("expected a file, found a directory"),
        Ok(found) if !found.is_file() => return Ok(Prepared::Device(path, bytes)),
        _ => {}
    }
    let directory = place.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mig-defs-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(bytes)?;
    Ok(Prepared::File(file, place))
}

impl Prepared<'_> {
    fn put(self) -> std::io::Result<()> {
        match self {
            Self::File(file, place) => file.persist(place).map(drop).map_err(|error| error.error),
            Self::Device(path, bytes) => std::fs::write(path, bytes),
        }
    }
}
