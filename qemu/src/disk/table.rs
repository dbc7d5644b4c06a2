// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the partitions of a disk are: MBR with its extended partitions, GPT, or one file system without any.

use std::io::{Cursor, Read, Seek, SeekFrom};

use gptman::GPTHeader;
use mbrman::{MBRHeader, MBRPartitionEntry};

use crate::disk::error::Problem;

/// Bytes of a sector; disks with others do not have a BIOS that starts GRUB.
const SECTOR: u64 = 512;
/// The kind of an MBR's partition that says: the disk has a GPT.
const PROTECTIVE: u8 = 0xee;
/// Most partitions that are looked at, of a chain as well.
const MOST: u64 = 128;
/// Most entries of a GPT, and the most bytes of one.
const GPT_ENTRIES: u32 = 1024;
const GPT_ENTRY: u32 = 4096;
/// The first number of a partition inside an extended one.
const FIRST_LOGICAL: u32 = 5;

/// A part of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its number, which GRUB knows it by; the whole disk has none.
    pub(super) number: Option<u32>,
    /// The word before its number in GRUB: `msdos` or `gpt`.
    pub(super) table: &'static str,
    /// Its first byte.
    pub(super) start: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// What it is said to hold.
    pub(super) kind: String,
}

impl Partition {
    /// How GRUB calls it.
    pub(super) fn device(&self) -> Vec<u8> {
        match self.number {
            Some(number) => format!("hd0,{}{number}", self.table).into_bytes(),
            None => b"hd0".to_vec(),
        }
    }

    /// How a person calls it.
    pub(super) fn name(&self) -> String {
        self.number.map_or_else(|| "the whole disk".to_owned(), |number| format!("partition {number}"))
    }

    /// Whether GRUB means it by this name of a device.
    pub(super) fn is_called(&self, device: &[u8]) -> bool {
        let Some((disk, part)) = split_device(device) else { return false };
        let Some(number) = self.number else { return disk && part.is_none() };
        let table = self.table.as_bytes();
        let matches = |part: &[u8]| part.strip_prefix(table).unwrap_or(part) == number.to_string().as_bytes();
        disk && part.is_some_and(matches)
    }
}

/// Whether a device's name means the first disk, and what it says behind that.
fn split_device(device: &[u8]) -> Option<(bool, Option<&[u8]>)> {
    let (disk, part) = match device.iter().position(|byte| *byte == b',') {
        Some(at) => (&device[..at], Some(&device[at + 1..])),
        None => (device, None),
    };
    let letters = disk.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    (letters > 0).then(|| (disk[letters..] == *b"0", part))
}

/// The partitions of a disk of so many bytes.
pub(super) fn partitions(disk: &mut (impl Read + Seek), length: u64) -> Result<Vec<Partition>, Problem> {
    let whole = Partition { number: None, table: "", start: 0, length, kind: "file system".to_owned() };
    let header = header(disk, 0)?;
    let used: Vec<(u32, MBRPartitionEntry)> = header.iter().flat_map(entries).collect();
    let is_within = |entry: &MBRPartitionEntry| entry.sectors > 0 && u64::from(entry.starting_lba) * SECTOR < length;
    if used.iter().any(|(_, entry)| entry.sys == PROTECTIVE) {
        return gpt(disk, length);
    }
    if used.is_empty() || !used.iter().any(|(_, entry)| is_within(entry)) {
        return match is_ext2(disk)? {
            true => Ok(vec![whole]),
            false if header.is_some() => Err(Problem::NoTable("a boot sector without partitions".to_owned())),
            false => Err(Problem::NoTable("neither".to_owned())),
        };
    }
    let mut found = Vec::new();
    for (number, entry) in used {
        match entry.is_extended() {
            true => logical(disk, u64::from(entry.starting_lba), &mut found)?,
            false => found.push(partition(number, 0, &entry)),
        }
    }
    Ok(found)
}

/// The table in a sector, if it ends in the two bytes of one.
fn header(disk: &mut (impl Read + Seek), sector: u64) -> Result<Option<MBRHeader>, Problem> {
    disk.seek(SeekFrom::Start(sector.saturating_mul(SECTOR)))?;
    let mut bytes = Vec::new();
    Read::by_ref(disk).take(SECTOR).read_to_end(&mut bytes)?;
    // It reads from the beginning of what it is given.
    Ok(MBRHeader::read_from(&mut Cursor::new(bytes)).ok())
}

/// The used ones of the four entries.
fn entries(header: &MBRHeader) -> Vec<(u32, MBRPartitionEntry)> {
    let all = [&header.partition_1, &header.partition_2, &header.partition_3, &header.partition_4];
    (1..).zip(all).filter(|(_, entry)| entry.is_used()).map(|(number, entry)| (number, entry.clone())).collect()
}

fn partition(number: u32, base: u64, entry: &MBRPartitionEntry) -> Partition {
    Partition {
        number: Some(number),
        table: "msdos",
        start: (base + u64::from(entry.starting_lba)) * SECTOR,
        length: u64::from(entry.sectors) * SECTOR,
        kind: format!("type {:#04x}", entry.sys),
    }
}

/// Follows the chain of an extended partition: each link has one partition, and where the next link is.
fn logical(disk: &mut (impl Read + Seek), extended: u64, found: &mut Vec<Partition>) -> Result<(), Problem> {
    let mut link = 0;
    for number in FIRST_LOGICAL.. {
        if u64::from(number) > MOST {
            return Err(Problem::BadTable(format!(
                "the extended partition: expected an end, found more than {MOST} links"
            )));
        }
        let Some(header) = header(disk, extended + link)? else {
            return Err(Problem::BadTable(format!(
                "sector {}: expected a link of the extended partition, found none",
                extended + link
            )));
        };
        if header.partition_1.is_used() {
            found.push(partition(number, extended + link, &header.partition_1));
        }
        link = u64::from(header.partition_2.starting_lba);
        if header.partition_2.is_unused() || link == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// The partitions of a GPT, of its copy at the end where the first is damaged.
fn gpt(disk: &mut (impl Read + Seek), length: u64) -> Result<Vec<Partition>, Problem> {
    let mut read = |sector: u64| -> Result<Vec<Partition>, String> {
        disk.seek(SeekFrom::Start(sector * SECTOR)).map_err(|error| error.to_string())?;
        let header = GPTHeader::read_from(disk).map_err(|error| error.to_string())?;
        let (count, size) = (header.number_of_partition_entries, header.size_of_partition_entry);
        if count > GPT_ENTRIES || size > GPT_ENTRY || header.partition_entry_lba > length / SECTOR {
            return Err(format!("{count} entries of {size} bytes at sector {}", header.partition_entry_lba));
        }
        let entries = header.read_partitions(disk, SECTOR).map_err(|error| error.to_string())?;
        let used = (1..).zip(entries).filter(|(_, entry)| entry.is_used());
        let end = |sector: u64| sector.saturating_mul(SECTOR);
        let partition = |(number, entry): (u32, gptman::GPTPartitionEntry)| Partition {
            number: Some(number),
            table: "gpt",
            start: end(entry.starting_lba),
            length: end(entry.ending_lba.saturating_add(1)).saturating_sub(end(entry.starting_lba)),
            kind: "GPT partition".to_owned(),
        };
        Ok(used.map(partition).collect())
    };
    let first = match read(1) {
        Ok(partitions) => return Ok(partitions),
        Err(why) => why,
    };
    let last = (length / SECTOR).saturating_sub(1);
    read(last)
        .map_err(|copy| Problem::BadTable(format!("expected a GPT, found none: {first}; its copy at the end: {copy}")))
}

/// Where the superblock of an ext2 file system is, in bytes from its beginning, and what it has there.
const MAGIC: (u64, [u8; 2]) = (1024 + 56, [0x53, 0xef]);

fn is_ext2(disk: &mut (impl Read + Seek)) -> Result<bool, Problem> {
    let (place, magic) = MAGIC;
    disk.seek(SeekFrom::Start(place))?;
    let mut found = Vec::new();
    disk.take(2).read_to_end(&mut found)?;
    Ok(found == magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry of an MBR: kind, first sector, sectors.
    type Entry = (u8, u32, u32);

    /// A disk of so many sectors whose MBRs, by sector, have these entries.
    fn disk(sectors: u64, tables: &[(u64, &[Entry])]) -> Cursor<Vec<u8>> {
        let mut bytes = vec![0; (sectors * SECTOR) as usize];
        for (sector, entries) in tables {
            let table = &mut bytes[(sector * SECTOR) as usize..][..SECTOR as usize];
            for (entry, place) in entries.iter().zip([446, 462, 478, 494]) {
                table[place + 4] = entry.0;
                table[place + 8..place + 12].copy_from_slice(&entry.1.to_le_bytes());
                table[place + 12..place + 16].copy_from_slice(&entry.2.to_le_bytes());
            }
            table[510..].copy_from_slice(&[0x55, 0xaa]);
        }
        Cursor::new(bytes)
    }

    fn found(disk: &mut Cursor<Vec<u8>>) -> Result<Vec<(String, u64, u64)>, String> {
        let length = disk.get_ref().len() as u64;
        let all = partitions(disk, length).map_err(|error| error.to_string())?;
        let one = |p: &Partition| (String::from_utf8(p.device()).unwrap(), p.start / SECTOR, p.length / SECTOR);
        Ok(all.iter().map(one).collect())
    }

    #[test]
    fn partitions_of_an_mbr_are_found_inside_extended_ones_too() {
        let tables: &[(u64, &[Entry])] = &[
            (0, &[(0x82, 2, 8), (0x83, 10, 10), (5, 20, 40)]),
            (20, &[(0x83, 1, 9), (5, 10, 10)]),
            (30, &[(0x83, 2, 8)]),
        ];
        let expected = [("hd0,msdos1", 2, 8), ("hd0,msdos2", 10, 10), ("hd0,msdos5", 21, 9), ("hd0,msdos6", 32, 8)];
        assert_eq!(found(&mut disk(64, tables)).unwrap(), expected.map(|(name, a, b)| (name.to_owned(), a, b)));
    }

    #[test]
    fn a_chain_that_leads_back_or_out_is_one_line() {
        let mut round =
            disk(64, &[(0, &[(5, 20, 40)]), (20, &[(0x83, 1, 1), (5, 10, 1)]), (30, &[(0x83, 1, 1), (5, 10, 1)])]);
        assert!(found(&mut round).unwrap_err().contains("more than 128 links"));
        let mut out = disk(64, &[(0, &[(5, 20, 40)]), (20, &[(0x83, u32::MAX, u32::MAX), (5, u32::MAX, 1)])]);
        assert!(found(&mut out).unwrap_err().contains("expected a link of the extended partition"));
    }

    #[test]
    fn a_disk_without_a_table_is_said_to_have_none() {
        assert!(found(&mut disk(4, &[])).unwrap_err().ends_with("found neither"));
        assert!(found(&mut disk(4, &[(0, &[])])).unwrap_err().ends_with("found a boot sector without partitions"));
        assert!(found(&mut Cursor::new(vec![0; 7])).unwrap_err().ends_with("found neither"));
        let mut bare = disk(4, &[(0, &[])]);
        bare.get_mut()[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(found(&mut bare).unwrap(), [("hd0".to_owned(), 0, 4)]);
    }

    #[test]
    fn a_gpt_is_read_and_its_copy_where_it_is_damaged() {
        let mut bytes = disk(128, &[(0, &[(PROTECTIVE, 1, 127)])]);
        let mut table = gptman::GPT::new_from(&mut bytes, SECTOR, [1; 16]).unwrap();
        table[3] = gptman::GPTPartitionEntry {
            partition_type_guid: [2; 16],
            unique_partition_guid: [3; 16],
            starting_lba: 40,
            ending_lba: 49,
            attribute_bits: 0,
            partition_name: "x".into(),
        };
        table.write_into(&mut bytes).unwrap();
        let expected = [("hd0,gpt3".to_owned(), 40, 10)];
        assert_eq!(found(&mut bytes).unwrap(), expected);
        bytes.get_mut()[512 + 40] ^= 1;
        assert_eq!(found(&mut bytes).unwrap(), expected);
        let end = bytes.get_ref().len();
        bytes.get_mut()[end - 512..].fill(0);
        assert!(found(&mut bytes).unwrap_err().contains("expected a GPT, found none"));
    }

    #[test]
    fn devices_are_called_as_grub_calls_them() {
        let partition = Partition { number: Some(2), table: "msdos", start: 0, length: 1, kind: String::new() };
        for (name, expected) in [
            ("hd0,msdos2", true),
            ("hd0,2", true),
            ("ahci0,msdos2", true),
            ("hd1,msdos2", false),
            ("hd0,gpt2", false),
            ("hd0", false),
            ("", false),
            (",2", false),
        ] {
            assert_eq!(partition.is_called(name.as_bytes()), expected, "{name}");
        }
        let whole = Partition { number: None, table: "", ..partition };
        assert!(whole.is_called(b"hd0") && !whole.is_called(b"hd0,msdos1"));
    }
}
