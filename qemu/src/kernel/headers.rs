// SPDX-License-Identifier: GPL-2.0-or-later
//! Holds what an ELF file says of its segments against what it says of its sections: a loader goes by the first, we read the second.

use object::read::elf::{ElfFile64, SectionHeader};
use object::{LittleEndian, elf};

use crate::kernel::elf::{KERNEL_OFFSET, Segment};

const FLAGS: u32 = elf::PF_R | elf::PF_W | elf::PF_X;

/// More than any kernel has; with more, looking at them would take for ever.
const MOST: usize = 256;

/// A section that is loaded.
struct Loaded {
    name: String,
    address: u64,
    offset: u64,
    size: u64,
    in_file: bool,
    flags: u32,
}

/// What does not hold together, if anything.
pub(super) fn check(file: &ElfFile64<'_, LittleEndian>, len: u64, segments: &[Segment]) -> Result<(), String> {
    let (headers, all) = (file.elf_program_headers().len(), file.elf_section_table().len());
    if headers > MOST || all > MOST {
        return Err(format!("{headers} program headers and {all} sections, expected at most {MOST}"));
    }
    let sections = loaded(file)?;
    for segment in segments {
        alone(segment, len)?;
        let inside: Vec<&Loaded> = sections.iter().filter(|section| within(section, segment)).collect();
        agree(segment, &inside)?;
    }
    if let Some(lost) = sections.iter().find(|lost| !segments.iter().any(|segment| within(lost, segment))) {
        return Err(format!("section {} at {:#x} is in no segment", lost.name, lost.address));
    }
    let mut places: Vec<(u64, u64)> = segments.iter().map(|s| (s.paddr, s.paddr.saturating_add(s.memsz))).collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => Err(format!("the segments at {:#x} and {:#x} overlap in memory", pair[0].0, pair[1].0)),
        None => Ok(()),
    }
}

fn loaded(file: &ElfFile64<'_, LittleEndian>) -> Result<Vec<Loaded>, String> {
    let table = file.elf_section_table();
    let mut sections = Vec::new();
    for header in table.iter().filter(|header| header.sh_flags(LittleEndian) & u64::from(elf::SHF_ALLOC) != 0) {
        let name = table.section_name(LittleEndian, header).map_err(|error| error.to_string())?;
        let has = |flag: u32| header.sh_flags(LittleEndian) & u64::from(flag) != 0;
        let flag = |has: bool, bit: u32| if has { bit } else { 0 };
        let (address, size) = (header.sh_addr(LittleEndian), header.sh_size(LittleEndian));
        let name = String::from_utf8_lossy(name).into_owned();
        if address.checked_add(size).is_none() {
            return Err(format!("section {name} at {address:#x} of {size:#x} bytes has no end"));
        }
        let flags = elf::PF_R | flag(has(elf::SHF_WRITE), elf::PF_W) | flag(has(elf::SHF_EXECINSTR), elf::PF_X);
        let in_file = header.sh_type(LittleEndian) != elf::SHT_NOBITS;
        sections.push(Loaded { name, address, offset: header.sh_offset(LittleEndian), size, in_file, flags });
    }
    Ok(sections)
}

fn within(section: &Loaded, segment: &Segment) -> bool {
    // `alone` has seen to it that this does not overflow.
    section.address >= segment.vaddr && section.address + section.size <= segment.vaddr.saturating_add(segment.memsz)
}

/// What a segment says of itself.
fn alone(segment: &Segment, len: u64) -> Result<(), String> {
    let Segment { offset, vaddr, paddr, filesz, memsz, flags } = segment;
    let refuse = |why: String| Err(format!("the segment at {vaddr:#x} {why}"));
    if vaddr.checked_add(*memsz).is_none() || filesz > memsz {
        return refuse(format!("has {filesz:#x} bytes in the file and {memsz:#x} in memory"));
    }
    if offset.checked_add(*filesz).is_none_or(|end| end > len) {
        return refuse(format!("has {filesz:#x} bytes at {offset:#x} of a file of {len:#x} bytes"));
    }
    let expected = if *vaddr >= KERNEL_OFFSET { vaddr - KERNEL_OFFSET } else { *vaddr };
    if *paddr != expected {
        return refuse(format!("is loaded at {paddr:#x}, expected {expected:#x}"));
    }
    if flags & !FLAGS != 0 {
        return refuse(format!("has unknown flags {flags:#x}"));
    }
    Ok(())
}

/// A segment, and the sections in it.
fn agree(segment: &Segment, inside: &[&Loaded]) -> Result<(), String> {
    let refuse = |why: String| Err(format!("the segment at {:#x} {why}", segment.vaddr));
    let flags = inside.iter().fold(0, |flags, section| flags | section.flags);
    if flags != segment.flags {
        return refuse(format!("has flags {:#x}, its sections {flags:#x}", segment.flags));
    }
    let in_file = inside.iter().filter(|section| section.in_file);
    for section in in_file.clone() {
        if section.offset.wrapping_sub(segment.offset) != section.address - segment.vaddr {
            return refuse(format!("has section {} elsewhere in the file than in memory", section.name));
        }
    }
    let end = |sections: &mut dyn Iterator<Item = &&Loaded>| {
        sections.map(|section| section.address + section.size - segment.vaddr).max().unwrap_or(0)
    };
    let (file_end, memory_end) = (end(&mut in_file.clone()), end(&mut inside.iter()));
    if (file_end, memory_end) != (segment.filesz, segment.memsz) {
        let Segment { filesz, memsz, .. } = segment;
        return refuse(format!(
            "has {filesz:#x} bytes in the file and {memsz:#x} in memory, its sections {file_end:#x} and {memory_end:#x}"
        ));
    }
    Ok(())
}
