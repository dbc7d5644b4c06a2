// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads files of an ext2 file system as the Hurd makes them: without types in directories, which no crate for this reads.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::disk::error::Problem;
use crate::disk::grub::Kind;
use crate::disk::table::Partition;

/// Where the superblock is, how long it is, and its magic.
const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
/// The one feature that a reader has to know and that changes nothing for this one: types in directories.
const TYPES: u32 = 0x2;
/// The largest block: 64 KiB.
const MOST_LOG_SIZE: u32 = 6;
/// Bytes of a group's descriptor, and of the inodes of the first version.
const DESCRIPTOR: u64 = 32;
const INODE: u64 = 128;
/// The inode of the root.
const ROOT: u32 = 2;
/// Bits of a mode that say what an inode is.
const KIND: u16 = 0xf000;
const DIRECTORY: u16 = 0x4000;
const REGULAR: u16 = 0x8000;
const LINK: u16 = 0xa000;
/// Blocks that an inode itself names.
const DIRECT: usize = 12;
/// The longest target of a link that is in the inode.
const SHORT_LINK: u64 = 60;
/// Bounds of what is looked at: bytes of a directory and of a link's target, names on the way to a file.
const MOST_DIRECTORY: u64 = 16 << 20;
const MOST_LINK: u64 = 4096;
const MOST_NAMES: usize = 256;

/// A file system in a part of a disk.
#[derive(Debug)]
pub(super) struct Ext2 {
    file: File,
    start: u64,
    /// Bytes from its beginning to the end of the disk.
    length: u64,
    block: u64,
    inodes: u32,
    inodes_per_group: u32,
    inode_size: u64,
    first_block: u64,
    /// As GRUB writes it.
    pub(super) uuid: String,
    pub(super) label: Vec<u8>,
}

/// What an inode says.
struct Inode {
    mode: u16,
    size: u64,
    /// Numbers of blocks, or the target of a short link.
    blocks: [u8; 60],
}

impl Ext2 {
    /// The file system of a partition; without an error where it is none. `disk` is how many bytes the disk has.
    pub(super) fn open(file: &File, partition: &Partition, disk: u64) -> Result<Self, Option<Problem>> {
        let Partition { start, length, .. } = *partition;
        let cut_off = |what: String, expected: u64| Some(Problem::CutOff { what, expected, found: disk });
        let end = start.saturating_add(length);
        if length < 2 * SUPERBLOCK || start.saturating_add(2 * SUPERBLOCK) > disk {
            return Err(if end > disk { cut_off(partition.name(), end) } else { None });
        }
        let mut bytes = [0; SUPERBLOCK as usize];
        file.read_exact_at(&mut bytes, start + SUPERBLOCK).map_err(|error| Some(error.into()))?;
        if half(&bytes, 56) != MAGIC {
            return Err(None);
        }
        let damaged = |why: String| Some(Problem::BadSystem(why));
        let (log_size, inodes, per_group) = (word(&bytes, 24), word(&bytes, 0), word(&bytes, 40));
        if log_size > MOST_LOG_SIZE || per_group == 0 {
            return Err(damaged(format!("blocks of 2^{log_size} KiB, {per_group} inodes in a group")));
        }
        let foreign = word(&bytes, 96) & !TYPES;
        if foreign != 0 {
            return Err(damaged(format!("features {foreign:#x} of ext3 or ext4")));
        }
        let block = 1024 << log_size;
        let whole = start.saturating_add(u64::from(word(&bytes, 4)) * block);
        if whole > disk {
            return Err(cut_off(format!("the file system of {}", partition.name()), whole));
        }
        let inode_size = if word(&bytes, 76) == 0 { INODE } else { u64::from(half(&bytes, 88)) };
        if !(INODE..=block).contains(&inode_size) {
            return Err(damaged(format!("inodes of {inode_size} bytes")));
        }
        let label = &bytes[120..136];
        Ok(Self {
            file: file.try_clone().map_err(|error| Some(error.into()))?,
            start,
            length: disk - start,
            block,
            inodes,
            inodes_per_group: per_group,
            inode_size,
            first_block: u64::from(word(&bytes, 20)),
            uuid: uuid(&bytes[104..120]),
            label: label.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
        })
    }

    /// What is at a path, if anything is.
    pub(super) fn kind(&self, path: &[u8]) -> Option<Kind> {
        let inode = self.find(path).ok()?;
        Some(if inode.mode & KIND == DIRECTORY { Kind::Directory } else { Kind::File(inode.size) })
    }

    /// The contents of a file of at most so many bytes, or why there are none.
    pub(super) fn read(&self, path: &[u8], most: u64) -> Result<Vec<u8>, String> {
        let inode = self.find(path)?;
        match inode.mode & KIND {
            REGULAR => self.contents(&inode, most),
            DIRECTORY => Err("expected a file, found a directory".to_owned()),
            _ => Err(format!("expected a file, found something of mode {:#o}", inode.mode)),
        }
    }

    fn bytes(&self, at: u64, length: u64) -> Result<Vec<u8>, String> {
        let is_within = at.checked_add(length).is_some_and(|end| end <= self.length);
        if !is_within {
            return Err(format!("cannot read it: the file system says that it is at byte {at} of {}", self.length));
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, self.start + at).map_err(|error| format!("cannot read it: {error}"))?;
        Ok(bytes)
    }

    fn block(&self, number: u32) -> Result<Vec<u8>, String> {
        self.bytes(u64::from(number) * self.block, self.block)
    }

    fn inode(&self, number: u32) -> Result<Inode, String> {
        if number == 0 || number > self.inodes {
            return Err(format!("cannot read it: expected an inode from 1 to {}, found {number}", self.inodes));
        }
        let (group, index) = ((number - 1) / self.inodes_per_group, (number - 1) % self.inodes_per_group);
        let descriptor = (self.first_block + 1) * self.block + u64::from(group) * DESCRIPTOR;
        let table = word(&self.bytes(descriptor, DESCRIPTOR)?, 8);
        let place = u64::from(table) * self.block + u64::from(index) * self.inode_size;
        let bytes = self.bytes(place, INODE)?;
        let mode = half(&bytes, 0);
        // Only files can be so large that there is more of it elsewhere.
        let high = if mode & KIND == REGULAR { u64::from(word(&bytes, 108)) << 32 } else { 0 };
        let mut blocks = [0; 60];
        blocks.copy_from_slice(&bytes[40..100]);
        Ok(Inode { mode, size: u64::from(word(&bytes, 4)) | high, blocks })
    }

    /// The inode at a path from the root, behind all links.
    fn find(&self, path: &[u8]) -> Result<Inode, String> {
        let missing = || "expected a file, found none".to_owned();
        // The names that are left, the next one last.
        let names = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).rev().map(<[u8]>::to_vec).collect()
        };
        let (mut left, mut here, mut looked_at) = (names(path), ROOT, 0);
        let mut inode = self.inode(here)?;
        while let Some(name) = left.pop() {
            looked_at += 1;
            if looked_at > MOST_NAMES {
                return Err(format!("expected a path without end to have an end, found more than {MOST_NAMES} names"));
            }
            if inode.mode & KIND != DIRECTORY {
                return Err(missing());
            }
            let next = self.entry(&inode, &name)?.ok_or_else(missing)?;
            let found = self.inode(next)?;
            if found.mode & KIND != LINK {
                (here, inode) = (next, found);
                continue;
            }
            let target = self.target(&found)?;
            if target.starts_with(b"/") {
                here = ROOT;
            }
            left.extend(names(&target));
            inode = self.inode(here)?;
        }
        Ok(inode)
    }

    fn target(&self, link: &Inode) -> Result<Vec<u8>, String> {
        match link.size < SHORT_LINK {
            true => Ok(link.blocks[..link.size as usize].to_vec()),
            false => self.contents(link, MOST_LINK),
        }
    }

    /// The inode that a directory has under a name.
    fn entry(&self, directory: &Inode, name: &[u8]) -> Result<Option<u32>, String> {
        let bytes = self.contents(directory, MOST_DIRECTORY)?;
        let mut rest = &*bytes;
        while !rest.is_empty() {
            let damaged = || "cannot read it: damaged directory on the way to it".to_owned();
            let header = rest.get(..8).ok_or_else(damaged)?;
            // The byte behind the name's length is its type, or the upper half of a length that is never used.
            let (length, name_length) = (usize::from(half(header, 4)), usize::from(header[6]));
            if length < 8 + name_length || length > rest.len() {
                return Err(damaged());
            }
            let number = word(header, 0);
            if number != 0 && &rest[8..8 + name_length] == name {
                return Ok(Some(number));
            }
            rest = &rest[length..];
        }
        Ok(None)
    }

    /// All bytes of what an inode leads to, if they are at most so many.
    fn contents(&self, inode: &Inode, most: u64) -> Result<Vec<u8>, String> {
        if inode.size > most {
            return Err(format!("expected at most {most} bytes, found {}", inode.size));
        }
        let mut contents = Vec::new();
        let size = inode.size as usize;
        for (at, number) in inode.blocks.as_chunks::<4>().0.iter().enumerate() {
            let level = at.saturating_sub(DIRECT - 1) as u32;
            self.fill(u32::from_le_bytes(*number), level, size, &mut contents)?;
        }
        match contents.len() == size {
            true => Ok(contents),
            false => Err(format!("cannot read it: expected {size} bytes, found {}", contents.len())),
        }
    }

    /// Adds the bytes of a block, or of the blocks that it names, and so on for so many levels, up to the size.
    fn fill(&self, number: u32, level: u32, size: usize, contents: &mut Vec<u8>) -> Result<(), String> {
        let left = size - contents.len();
        if left == 0 {
            return Ok(());
        }
        if number == 0 {
            // What was never written is zero.
            let span = self.block.saturating_mul((self.block / 4).saturating_pow(level));
            contents.resize(contents.len() + left.min(usize::try_from(span).unwrap_or(left)), 0);
            return Ok(());
        }
        let block = self.block(number)?;
        if level == 0 {
            contents.extend_from_slice(&block[..left.min(block.len())]);
            return Ok(());
        }
        block
            .as_chunks::<4>()
            .0
            .iter()
            .try_for_each(|number| self.fill(u32::from_le_bytes(*number), level - 1, size, contents))
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn uuid(bytes: &[u8]) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    parts.map(digits).join("-")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;
    use crate::fetch::programs::{Consent, mke2fs};
    use crate::ui::Progress;

    fn open(image: &std::path::Path) -> Ext2 {
        let length = fs::metadata(image).unwrap().len();
        let whole = Partition { number: None, table: "", start: 0, length, kind: String::new() };
        Ext2::open(&File::open(image).unwrap(), &whole, length).unwrap()
    }

    /// As the Hurd makes them and as Linux does, with small and large blocks; files that need one block of numbers, and blocks of blocks of
    /// them; holes; links.
    #[test]
    #[ignore = "needs mke2fs: run cargo qemu test"]
    fn files_are_read_behind_links_and_through_every_level_of_blocks() {
        let mke2fs = mke2fs(Consent::default(), &Progress::new(1)).unwrap();
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("boot/deep")).unwrap();
        let large: Vec<u8> = (0..70u32 << 18).flat_map(u32::to_le_bytes).collect();
        for (name, bytes) in [("small", &large[..5]), ("one", &large[..200_000]), ("large", &large), ("empty", &[])] {
            fs::write(tree.join("boot").join(name), bytes).unwrap();
        }
        File::create(tree.join("hole")).unwrap().set_len(300_000).unwrap();
        let long = format!("/boot/{}small", "deep/../".repeat(20));
        for (target, name) in [
            ("boot", "b"),
            ("/b/small", "s"),
            ("../../b/../s", "boot/deep/l"),
            (&long, "long"),
            ("x", "x"),
            ("none", "y"),
        ] {
            symlink(target, tree.join(name)).unwrap();
        }
        for options in [
            &["-o", "hurd", "-b", "1024"][..],
            &["-o", "hurd", "-b", "4096"],
            &["-b", "1024"],
            &["-b", "2048", "-r", "0"],
        ] {
            let image = place.path().join("image");
            let mut command = Command::new(&mke2fs);
            command
                .args(["-q", "-F", "-t", "ext2", "-L", "a label", "-U", "01020304-0506-0708-090a-0b0c0d0e0f10"])
                .args(options);
            let made = command.arg("-d").arg(&tree).arg(&image).arg("100M").output().unwrap();
            assert!(made.status.success(), "{options:?} {made:?}");
            let files = open(&image);
            assert_eq!((&*files.label, &*files.uuid), (&b"a label"[..], "01020304-0506-0708-090a-0b0c0d0e0f10"));
            for (path, bytes) in [
                ("/boot/small", &large[..5]),
                ("boot//one", &large[..200_000]),
                ("/b/large", &large),
                ("/boot/empty", &[]),
                ("/s", &large[..5]),
                ("/boot/deep/l", &large[..5]),
                ("/long", &large[..5]),
                ("/hole", &[0; 300_000]),
            ] {
                let found = files.read(path.as_bytes(), 1 << 30);
                assert!(found.as_deref() == Ok(bytes), "{options:?} {path}: {:?}", found.map(|found| found.len()));
            }
            let why = |path: &str| files.read(path.as_bytes(), 1000).unwrap_err();
            assert_eq!(why("/boot/none"), "expected a file, found none");
            assert_eq!(why("/boot/small/x"), "expected a file, found none");
            assert_eq!(why("/y"), "expected a file, found none");
            assert_eq!(why("/b"), "expected a file, found a directory");
            assert_eq!(why("/hole"), "expected at most 1000 bytes, found 300000");
            assert!(why("/x").ends_with("found more than 256 names"));
            assert_eq!(
                (files.kind(b"/b"), files.kind(b"/s"), files.kind(b"/y")),
                (Some(Kind::Directory), Some(Kind::File(5)), None)
            );
            fs::remove_file(image).unwrap();
        }
    }
}
