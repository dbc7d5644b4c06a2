// SPDX-License-Identifier: GPL-2.0-or-later
//! What is wrong with a disk image, in one line each.

use std::io;
use std::path::{Path, PathBuf};

/// Why an image cannot be booted: which image, what of it, what was expected there and found.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", image.display())]
pub struct DiskError {
    /// The image.
    pub image: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be opened or read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// It is something else than a disk.
    #[error("expected a disk image, found {0}")]
    NoImage(&'static str),
    /// It is in a form that only QEMU reads.
    #[error("expected the bytes of a disk, found a {form} image; qemu-img convert -O raw makes one of it")]
    Form {
        /// Which form.
        form: &'static str,
    },
    /// It ends too early.
    #[error("{what}: expected {expected} bytes of the image, found {found}: it is cut off")]
    CutOff {
        /// What does not fit.
        what: String,
        /// How long the image would be.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// There is nothing to look for files in.
    #[error("expected a partition table (MBR or GPT) or an ext2 file system, found {0}")]
    NoTable(String),
    /// A partition table that does not hold together.
    #[error("partition table: {0}")]
    BadTable(String),
    /// A file system that cannot be read.
    #[error("ext2 file system: {0}")]
    BadSystem(String),
    /// There is no file system that could have a Hurd.
    #[error("expected a partition with an ext2 file system, found {0}")]
    NoExt2(String),
    /// GRUB's configuration is nowhere.
    #[error("expected /boot/grub/grub.cfg in {}, found none", .0.join(" or "))]
    NoMenu(Vec<String>),
    /// GRUB's configuration is no text that GRUB would understand.
    #[error("/boot/grub/grub.cfg, {0}")]
    Grub(#[from] crate::disk::grub::GrubError),
    /// The menu does not have what is wanted.
    #[error("/boot/grub/grub.cfg: expected {wanted}, found {found}")]
    NoEntry {
        /// What is wanted.
        wanted: String,
        /// What the menu has.
        found: String,
    },
    /// An entry loads something else than a kernel of the multiboot kind.
    #[error("/boot/grub/grub.cfg, entry `{title}`: expected a line with multiboot or multiboot2, found {found}")]
    NoMultiboot {
        /// The entry.
        title: String,
        /// What it has.
        found: String,
    },
    /// A file cannot be taken out of the image.
    #[error("{file} (/boot/grub/grub.cfg, line {line}): {why}")]
    File {
        /// As GRUB calls it.
        file: String,
        /// Where it is wanted.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A module that QEMU cannot be told of.
    #[error("/boot/grub/grub.cfg, line {line}: {why}")]
    Line {
        /// Where it is loaded.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl Problem {
    /// The error with the image it is about.
    pub(super) fn of(self, image: &Path) -> DiskError {
        DiskError { image: image.to_owned(), problem: self }
    }
}
