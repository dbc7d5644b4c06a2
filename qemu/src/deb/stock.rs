// SPDX-License-Identifier: GPL-2.0-or-later
//! What a stock kernel is called and which version it is: by the files of its own package beside it, else by its own words.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::deb::DebError;

/// How the names of Debian's kernel files begin.
const FILE: &str = "gnumach-";
/// What the kernel says first when it boots.
const BANNER: &[u8] = b"GNU Mach ";
/// The package that Debian builds its kernels from.
const SOURCE: &str = "gnumach";
/// Bytes of a changelog that are read for its first line.
const FIRST_LINE: u64 = 4096;

/// A stock kernel's name and origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// What stands behind `gnumach-` in the name of its file, such as `1.8-amd64-up`.
    pub stem: String,
    /// Its Debian version, as far as it is known.
    pub version: String,
    /// Whether that is the version of a package of Debian's, and not what the kernel itself says.
    pub is_packaged: bool,
    /// The terms under which it comes, if they are there.
    pub copyright: Option<String>,
}

impl Stock {
    /// What the kernel in `file`, whose unpacked bytes these are, is.
    pub fn of(file: &Path, bytes: &[u8]) -> Result<Self, DebError> {
        let nameless = || DebError::Nameless { kernel: file.to_owned() };
        let named = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(FILE));
        let named = named.map(|name| name.strip_suffix(".gz").unwrap_or(name)).filter(|name| is_name(name));
        let said = banner(bytes);
        let stem = named.or(said.as_deref()).ok_or_else(nameless)?.to_owned();
        // Of an installed or unpacked package the documents are beside its kernel.
        let root = file.parent().and_then(Path::parent).filter(|_| named.is_some());
        let documents = root.map(|root| root.join(format!("usr/share/doc/gnumach-image-{stem}")));
        let changelog = documents.as_deref().and_then(|place| first_line(&place.join("changelog.Debian.gz")));
        let packaged = changelog.as_deref().and_then(version);
        let copyright = documents.and_then(|place| fs::read_to_string(place.join("copyright")).ok());
        let version = match &packaged {
            Some(version) => version.clone(),
            None => {
                let said = said.ok_or_else(nameless)?;
                // What the kernel says has its flavour behind the version.
                format!("{}-0", said.split('-').next().unwrap_or(&said))
            }
        };
        Ok(Self { stem, version, is_packaged: packaged.is_some(), copyright })
    }
}

/// What a kernel calls itself, if a package could be called so.
fn banner(bytes: &[u8]) -> Option<String> {
    bytes.windows(BANNER.len()).enumerate().filter(|(_, window)| *window == BANNER).find_map(|(at, _)| {
        let rest = &bytes[at + BANNER.len()..];
        let end = rest.iter().take(100).position(|byte| !byte.is_ascii_graphic())?;
        let name = std::str::from_utf8(&rest[..end]).ok()?;
        (is_name(name) && name.starts_with(|c: char| c.is_ascii_digit())).then(|| name.to_owned())
    })
}

/// Whether a package's name may have this in it.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

fn first_line(changelog: &Path) -> Option<String> {
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(changelog).ok()?).take(FIRST_LINE).read_to_end(&mut text).ok()?;
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

/// The version in the first line of a Debian changelog.
fn version(line: &str) -> Option<String> {
    let (package, rest) = line.split_once(" (")?;
    let (version, _) = rest.split_once(')')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+.-~:".contains(c);
    (package == SOURCE && !version.is_empty() && version.chars().all(plain)).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const WORDS: &[u8] = b"\0GNU Mach %s\0GNU Mach 1.8+git20250702-up-amd64\0";

    #[test]
    fn a_kernel_is_called_as_its_file_and_is_of_the_version_of_its_package() {
        let root = tempfile::tempdir().unwrap();
        let kernel = root.path().join("boot/gnumach-1.8-amd64-up.gz");
        let alone = Stock::of(&kernel, WORDS).unwrap();
        assert_eq!((&*alone.stem, &*alone.version), ("1.8-amd64-up", "1.8+git20250702-0"));
        assert!(!alone.is_packaged && alone.copyright.is_none());

        let documents = root.path().join("usr/share/doc/gnumach-image-1.8-amd64-up");
        fs::create_dir_all(&documents).unwrap();
        let file = fs::File::create(documents.join("changelog.Debian.gz")).unwrap();
        let mut writer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        writer.write_all(b"gnumach (2:1.8+git20250702-1) unstable; urgency=medium\n\n  * x\n").unwrap();
        writer.finish().unwrap();
        fs::write(documents.join("copyright"), "terms\n").unwrap();
        let packaged = Stock::of(&kernel, WORDS).unwrap();
        assert_eq!((&*packaged.version, packaged.is_packaged), ("2:1.8+git20250702-1", true));
        assert_eq!(packaged.copyright.as_deref(), Some("terms\n"));
    }

    #[test]
    fn a_kernel_of_another_name_says_itself_what_it_is() {
        let stock = Stock::of(Path::new("/tmp/Kernel"), WORDS).unwrap();
        assert_eq!((&*stock.stem, &*stock.version), ("1.8+git20250702-up-amd64", "1.8+git20250702-0"));
        let error = Stock::of(Path::new("/tmp/Kernel"), b"nothing").unwrap_err().to_string();
        assert!(error.starts_with("/tmp/Kernel: expected a name `gnumach-VERSION`"), "{error}");
        Stock::of(Path::new("gnumach-1.8"), b"nothing").unwrap_err();
        Stock::of(Path::new("gnumach-A b"), b"GNU Mach 1 x").unwrap();
    }

    #[test]
    fn only_a_changelog_of_gnumach_says_the_version() {
        assert_eq!(version("gnumach (2:1-1) unstable; urgency=low").as_deref(), Some("2:1-1"));
        for line in ["hurd (1-1) unstable", "gnumach 1-1", "gnumach (1 1) x", "gnumach () x", ""] {
            assert_eq!(version(line), None, "{line}");
        }
    }
}
