// SPDX-License-Identifier: GPL-2.0-or-later
//! A disk image with GRUB, a kernel and the boot archive: boots on a PC's BIOS, QEMU's or a real one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fetch::FetchError;
use crate::fetch::apt::run;
use crate::vm::command::{ARCHIVE, BOOTSTRAP, module_arguments};

/// Where GRUB looks for its menu.
const MENU: &str = "boot/grub/grub.cfg";
/// The kernel in the image.
const KERNEL: &str = "gnumach";

/// How GRUB hands over to a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Multiboot: every GNU Mach kernel.
    One,
    /// Multiboot 2: kernels of 2026 and later.
    Two,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The kernel cannot be loaded this way.
    #[error("{}: expected a {wanted} header in its first {window} bytes, found none", kernel.display())]
    NoHeader {
        /// The kernel file.
        kernel: PathBuf,
        /// Which header.
        wanted: &'static str,
        /// Where it has to be.
        window: usize,
    },
    /// A file of the image.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// grub-mkrescue failed.
    #[error(transparent)]
    Grub(#[from] FetchError),
}

impl Protocol {
    /// Whether `kernel` has this protocol's header.
    pub fn is_in(self, kernel: &[u8]) -> bool {
        let (magic, window, align, words) = self.header();
        let end = kernel.len().min(window);
        kernel[..end].windows(4 * words).step_by(align).any(|header| {
            let (fields, _) = header.as_chunks::<4>();
            let sum = fields.iter().fold(0u32, |sum, field| sum.wrapping_add(u32::from_le_bytes(*field)));
            header.starts_with(&magic.to_le_bytes()) && sum == 0
        })
    }

    /// Magic, where the header has to be, its alignment, and how many words add up to zero.
    const fn header(self) -> (u32, usize, usize, usize) {
        match self {
            Self::One => (0x1bad_b002, 8192, 4, 3),
            Self::Two => (0xe852_50d6, 32768, 8, 4),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::One => "multiboot",
            Self::Two => "multiboot2",
        }
    }
}

/// GRUB's menu for a kernel with these protocols; the first one is started.
fn menu(protocols: &[Protocol]) -> String {
    let mut text = String::from("set timeout=2\nset default=0\n");
    for (title, console) in [("serial line", "console=com0"), ("screen", "")] {
        for protocol in protocols {
            let (kernel, module) = match protocol {
                Protocol::One => ("multiboot", "module"),
                Protocol::Two => ("multiboot2", "module2"),
            };
            text.push_str(&format!(
                "menuentry 'GNU Mach with a trace port ({kernel}, console on the {title})' {{\n  \
                 {kernel} /boot/{KERNEL} {console}\n"
            ));
            for file in [ARCHIVE, BOOTSTRAP] {
                // GRUB leaves the file's name out, so it stands here again; quotes keep `$` from GRUB.
                text.push_str(&format!("  {module} /boot/{file} {file}"));
                for word in module_arguments(file).split(' ') {
                    text.push_str(&format!(" '{word}'"));
                }
                text.push('\n');
            }
            text.push_str("}\n");
        }
    }
    text
}

/// Writes the image: `kernel` (ELF64), and boot server and archive from `boot_files`.
pub fn write(
    output: &Path,
    kernel: &Path,
    boot_files: &Path,
    first: Protocol,
    mkrescue: &Path,
) -> Result<(), ImageError> {
    let io_error = |what: String| move |source| ImageError::Io { what, source };
    let reading = || io_error(format!("read {}", kernel.display()));
    let bytes = fs::read(kernel).map_err(reading())?;
    if !first.is_in(&bytes) {
        let (_, window, ..) = first.header();
        return Err(ImageError::NoHeader { kernel: kernel.to_owned(), wanted: first.name(), window });
    }
    let mut protocols = vec![first];
    let others = [Protocol::One, Protocol::Two].into_iter().filter(|&other| other != first && other.is_in(&bytes));
    protocols.extend(others);

    let tree = tempfile::tempdir().map_err(io_error("make a temporary directory".to_owned()))?;
    let boot = tree.path().join("boot");
    fs::create_dir_all(boot.join("grub")).map_err(io_error(format!("write {}", boot.display())))?;
    for (from, name) in
        [(kernel, KERNEL), (&boot_files.join(ARCHIVE), ARCHIVE), (&boot_files.join(BOOTSTRAP), BOOTSTRAP)]
    {
        fs::copy(from, boot.join(name)).map_err(io_error(format!("copy {}", from.display())))?;
    }
    fs::write(tree.path().join(MENU), menu(&protocols)).map_err(io_error(format!("write {MENU}")))?;
    // In the same directory, so that it can be renamed.
    let beside = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = tempfile::Builder::new().prefix(".rpctrace2-").tempdir_in(beside);
    let place = place.map_err(io_error(format!("write to {}", beside.display())))?;
    let image = place.path().join("image.iso");
    run(Command::new(mkrescue).arg("-o").arg(&image).arg(tree.path()))?;
    fs::rename(&image, output).map_err(io_error(format!("write {}", output.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_where_it_may_be_and_if_its_words_add_up() {
        let header = |magic: u32, fields: &[u32]| -> Vec<u8> {
            let sum = fields.iter().fold(magic, |sum, field| sum.wrapping_add(*field));
            [&[magic], fields, &[sum.wrapping_neg()]].concat().iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let one = header(0x1bad_b002, &[3]);
        let two = header(0xe852_50d6, &[0, 24]);
        let at = |place: usize, header: &[u8]| [&vec![0; place], header, &[0; 64]].concat();
        assert!(Protocol::One.is_in(&at(0x104, &one)));
        assert!(!Protocol::Two.is_in(&at(0x104, &one)));
        assert!(!Protocol::One.is_in(&at(8192, &one)));
        assert!(Protocol::Two.is_in(&at(0x7f0, &two)));
        assert!(!Protocol::Two.is_in(&at(0x7f4, &two)));
        assert!(!Protocol::One.is_in(&at(0, &[&one[..8], &[0; 4]].concat())));
        assert!(!Protocol::One.is_in(&[]));
    }

    #[test]
    fn the_menu_begins_with_the_protocol_asked_for_and_keeps_boot_script_words_from_grub() {
        let text = menu(&[Protocol::Two, Protocol::One]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[3], "  multiboot2 /boot/gnumach console=com0");
        assert_eq!(lines[4], "  module2 /boot/archive.tar archive.tar '$(ramdisk-create)'");
        assert_eq!(
            lines[5],
            "  module2 /boot/bootstrap bootstrap '${host-port}' '${device-port}' '$(task-create)' '$(task-resume)'"
        );
        assert_eq!(lines.iter().filter(|line| line.starts_with("menuentry")).count(), 4);
    }
}
