// SPDX-License-Identifier: GPL-2.0-or-later
//! An image opened for reading: its ext2 file systems and the files in them.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::disk::error::{DiskError, Problem};
use crate::disk::ext2::Ext2;
use crate::disk::grub::{Drives, FileName, Kind, Search};
use crate::disk::table::{Partition, partitions};

/// Most bytes of a text that GRUB reads.
const TEXT: u64 = 1 << 20;
/// GRUB's configuration.
pub(super) const MENU: &str = "/boot/grub/grub.cfg";

/// Forms of disk images that are not the disk's bytes, by their first ones.
const FORMS: [(&[u8], &str); 7] = [
    (b"QFI\xfb", "qcow2"),
    (b"KDMV", "VMDK"),
    (b"# Disk DescriptorFile", "VMDK"),
    (b"<<< ", "VDI"),
    (b"conectix", "VHD"),
    (b"\x1f\x8b", "gzip-packed"),
    (b"\xfd7zXZ", "xz-packed"),
];

/// The image of a disk, or a disk.
pub struct Disk {
    pub(super) path: PathBuf,
    systems: Vec<FileSystem>,
    /// What there is instead of a file system, for the error.
    others: Vec<String>,
    cut_off: Option<Problem>,
}

/// A partition with an ext2 file system.
struct FileSystem {
    partition: Partition,
    files: Ext2,
}

impl Disk {
    /// Opens an image; what is no image, or ends too early, is refused.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let problem = |problem: Problem| problem.of(path);
        // Before it is opened, which may wait for ever.
        let kind = fs::metadata(path).map_err(|error| problem(error.into()))?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let kind = if kind.is_dir() { "a directory" } else { "a device, pipe or socket" };
            return Err(problem(Problem::NoImage(kind)));
        }
        let mut file = File::open(path).map_err(|error| problem(error.into()))?;
        Self::read(path, &mut file).map_err(problem)
    }

    fn read(path: &Path, file: &mut File) -> Result<Self, Problem> {
        let length = file.seek(SeekFrom::End(0))?;
        if length == 0 {
            return Err(Problem::NoImage("an empty file"));
        }
        file.seek(SeekFrom::Start(0))?;
        let mut first = Vec::new();
        Read::by_ref(file).take(64).read_to_end(&mut first)?;
        if let Some((_, form)) = FORMS.iter().find(|(bytes, _)| first.starts_with(bytes)) {
            return Err(Problem::Form { form });
        }
        let mut disk = Self { path: path.to_owned(), systems: Vec::new(), others: Vec::new(), cut_off: None };
        for partition in partitions(file, length)? {
            match Ext2::open(file, &partition, length) {
                Ok(files) => disk.systems.push(FileSystem { partition, files }),
                Err(Some(cut_off @ Problem::CutOff { .. })) => disk.cut_off = disk.cut_off.or(Some(cut_off)),
                Err(other) => {
                    let why = other.map_or_else(String::new, |why| format!(", {why}"));
                    disk.others.push(format!("{} ({}{why})", partition.name(), partition.kind));
                }
            }
        }
        Ok(disk)
    }

    /// The device with GRUB's configuration, and its text.
    pub(super) fn menu(&mut self) -> Result<(Vec<u8>, Vec<u8>), Problem> {
        for FileSystem { partition, files } in &self.systems {
            if files.kind(MENU.as_bytes()).is_some() {
                let text = files.read(MENU.as_bytes(), TEXT);
                let text = text.map_err(|why| Problem::File { file: MENU.to_owned(), line: 1, why })?;
                return Ok((partition.device(), text));
            }
        }
        match self.cut_off.take() {
            Some(cut_off) => Err(cut_off),
            None if self.systems.is_empty() && self.others.is_empty() => {
                Err(Problem::NoExt2("no partition".to_owned()))
            }
            None if self.systems.is_empty() => Err(Problem::NoExt2(self.others.join(", "))),
            None => Err(Problem::NoMenu(self.systems.iter().map(|system| system.partition.name()).collect())),
        }
    }

    fn system(&self, device: &[u8]) -> Option<&FileSystem> {
        self.systems.iter().find(|system| system.partition.is_called(device))
    }

    /// The contents of a file of at most so many bytes, or why there are none.
    pub(super) fn contents(&self, file: &FileName, most: u64) -> Result<Vec<u8>, String> {
        let Some(system) = self.system(&file.device) else {
            let all: Vec<_> = self.systems.iter().map(|system| system.partition.device()).collect();
            let all: Vec<_> = all.iter().map(|device| String::from_utf8_lossy(device)).collect();
            return Err(format!(
                "expected a device of this image with an ext2 file system ({}), found none",
                all.join(", ")
            ));
        };
        system.files.read(&file.path, most)
    }
}

impl Drives for Disk {
    fn kind(&self, device: &[u8], path: &[u8]) -> Option<Kind> {
        self.system(device)?.files.kind(path)
    }

    fn text(&self, device: &[u8], path: &[u8]) -> Option<Vec<u8>> {
        self.system(device)?.files.read(path, TEXT).ok()
    }

    fn search(&self, by: Search, what: &[u8]) -> Option<Vec<u8>> {
        let found = self.systems.iter().find(|FileSystem { files, .. }| match by {
            Search::Uuid => files.uuid.as_bytes().eq_ignore_ascii_case(what),
            Search::Label => files.label == what,
            Search::File => files.kind(what).is_some(),
        });
        found.map(|system| system.partition.device())
    }
}
