// SPDX-License-Identifier: GPL-2.0-or-later
//! A static ELF64 program as pages to be mapped.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;

/// Size of a page.
pub const PAGE_SIZE: u64 = 4096;

/// The first address past a task's space (`VM_MAX_ADDRESS` of the 64-bit kernel).
pub const SPACE_END: u64 = 0x8000_0000_0000;

/// Addresses below this one stay unmapped in every program, so that a null pointer faults.
pub const SPACE_START: u64 = 0x1_0000;

/// A program ready to be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// Where it starts running.
    pub entry: u64,
    /// Its pages, by rising address, no two overlapping.
    pub segments: Vec<Segment<'a>>,
}

/// Pages with one protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The first page.
    pub start: u64,
    /// Bytes, a multiple of the page size.
    pub size: u64,
    /// Where in the first page the data starts.
    pub data_offset: usize,
    /// What the file has for it; the rest is zero.
    pub data: &'a [u8],
    /// `VM_PROT_READ` 1, `VM_PROT_WRITE` 2, `VM_PROT_EXECUTE` 4.
    pub protection: i32,
}

impl Segment<'_> {
    const fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// Why a file is not a program we can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// A field of the ELF header is not what a static x86-64 program has.
    Header {
        /// The field.
        field: &'static str,
        /// Where it stands in the file.
        offset: usize,
        /// What it should be.
        expected: &'static str,
        /// What it is, as hexadecimal digits of its bytes; fewer if the file ends.
        found: Vec<u8>,
    },
    /// The ELF structure does not hold together; the parser's own words.
    Structure(String),
    /// A program header asks for something impossible.
    Segment {
        /// Its number in the table.
        index: usize,
        /// What is wrong.
        problem: SegmentProblem,
    },
    /// There is no segment to load.
    NothingToLoad,
    /// The entry point is in no executable segment.
    Entry {
        /// Where it is.
        entry: u64,
    },
}

/// What is wrong with a program header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentProblem {
    /// It names a dynamic linker.
    Interpreter,
    /// Its bytes go past the end of the file.
    PastFile {
        /// Where they would end.
        end: u64,
        /// Where the file ends.
        file: u64,
    },
    /// It has more bytes in the file than in memory.
    Sizes {
        /// Bytes in the file.
        file: u64,
        /// Bytes in memory.
        memory: u64,
    },
    /// It is not inside a task's space.
    Addresses {
        /// Its first address.
        start: u64,
        /// Its size in memory.
        size: u64,
    },
    /// It shares a page with the segment before it, or is not behind it.
    Overlap {
        /// Its first page.
        start: u64,
        /// The end of the segment before.
        previous_end: u64,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { field, offset, expected, found } => {
                write!(f, "ELF {field} at byte {offset}: expected {expected}, found ")?;
                if found.is_empty() {
                    return write!(f, "the end of the file");
                }
                found.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Structure(error) => write!(f, "ELF structure: {error}"),
            Self::Segment { index, problem } => write!(f, "ELF program header {index}: {problem}"),
            Self::NothingToLoad => write!(f, "ELF program headers: expected at least one PT_LOAD, found none"),
            Self::Entry { entry } => {
                write!(f, "ELF entry point: expected an address in an executable segment, found {entry:#x}")
            }
        }
    }
}

impl fmt::Display for SegmentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interpreter => write!(f, "expected a static program, found PT_INTERP"),
            Self::PastFile { end, file } => {
                write!(f, "expected its bytes within the file's {file:#x}, found an end at {end:#x}")
            }
            Self::Sizes { file, memory } => {
                write!(f, "expected at most p_memsz {memory:#x} bytes in the file, found p_filesz {file:#x}")
            }
            Self::Addresses { start, size } => {
                write!(
                    f,
                    "expected addresses from {SPACE_START:#x} to {SPACE_END:#x}, found {size:#x} bytes at {start:#x}"
                )
            }
            Self::Overlap { start, previous_end } => {
                write!(f, "expected a page of its own at or after {previous_end:#x}, found {start:#x}")
            }
        }
    }
}

impl core::error::Error for ImageError {}

impl<'a> Image<'a> {
    /// Reads a program.
    pub fn parse(file: &'a [u8]) -> Result<Self, ImageError> {
        check_header(file)?;
        let parsed =
            ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|error| ImageError::Structure(error.to_string()))?;
        let mut segments: Vec<Segment<'a>> = Vec::new();
        for (index, header) in parsed.segments().into_iter().flatten().enumerate() {
            let previous_end = segments.last().map_or(0, Segment::end);
            let segment =
                plan_segment(file, &header, previous_end).map_err(|problem| ImageError::Segment { index, problem })?;
            segments.extend(segment);
        }
        if segments.is_empty() {
            return Err(ImageError::NothingToLoad);
        }
        let entry = parsed.ehdr.e_entry;
        let holds_entry =
            |segment: &Segment<'_>| segment.protection & 4 != 0 && (segment.start..segment.end()).contains(&entry);
        if segments.iter().any(holds_entry) { Ok(Self { entry, segments }) } else { Err(ImageError::Entry { entry }) }
    }
}

/// Refuses what is no static x86-64 ELF at all, in words about the field that says so.
fn check_header(file: &[u8]) -> Result<(), ImageError> {
    let [machine_low, machine_high] = EM_X86_64.to_le_bytes();
    let [type_low, type_high] = ET_EXEC.to_le_bytes();
    let fields: [(&'static str, usize, &[u8], &'static str); 5] = [
        ("magic", 0, b"\x7fELF", "7f454c46"),
        ("class", 4, &[2], "02 (64 bits)"),
        ("data", 5, &[1], "01 (little-endian)"),
        ("type", 16, &[type_low, type_high], "0200 (ET_EXEC, a static program without relocation)"),
        ("machine", 18, &[machine_low, machine_high], "3e00 (x86-64)"),
    ];
    for (field, offset, value, expected) in fields {
        let rest = file.get(offset..).unwrap_or_default();
        let found = &rest[..rest.len().min(value.len())];
        if found != value {
            return Err(ImageError::Header { field, offset, expected, found: found.to_vec() });
        }
    }
    Ok(())
}

/// The pages for one program header, if it wants any.
fn plan_segment<'a>(
    file: &'a [u8],
    header: &ProgramHeader,
    previous_end: u64,
) -> Result<Option<Segment<'a>>, SegmentProblem> {
    if header.p_type == PT_INTERP {
        return Err(SegmentProblem::Interpreter);
    }
    if header.p_type != PT_LOAD || header.p_memsz == 0 {
        return Ok(None);
    }
    if header.p_filesz > header.p_memsz {
        return Err(SegmentProblem::Sizes { file: header.p_filesz, memory: header.p_memsz });
    }
    let file_end = header.p_offset.saturating_add(header.p_filesz);
    let data = usize::try_from(header.p_offset)
        .ok()
        .zip(usize::try_from(file_end).ok())
        .and_then(|(start, end)| file.get(start..end))
        .ok_or(SegmentProblem::PastFile { end: file_end, file: file.len() as u64 })?;
    let addresses = SegmentProblem::Addresses { start: header.p_vaddr, size: header.p_memsz };
    let end = header.p_vaddr.checked_add(header.p_memsz).filter(|&end| end <= SPACE_END).ok_or(addresses.clone())?;
    let start = header.p_vaddr & !(PAGE_SIZE - 1);
    if start < SPACE_START {
        return Err(addresses);
    }
    if start < previous_end {
        return Err(SegmentProblem::Overlap { start, previous_end });
    }
    let protection = [(PF_R, 1), (PF_W, 2), (PF_X, 4)]
        .into_iter()
        .filter(|(flag, _)| header.p_flags & flag != 0)
        .map(|(_, protection)| protection)
        .sum();
    Ok(Some(Segment {
        start,
        size: end.next_multiple_of(PAGE_SIZE) - start,
        data_offset: (header.p_vaddr - start) as usize,
        data,
        protection,
    }))
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec;

    use super::*;

    /// An ELF header and program headers of (type, flags, offset, address, file size, memory size), then 0x200 bytes 0xcc.
    fn program(entry: u64, segments: &[(u32, u32, u64, u64, u64, u64)]) -> Vec<u8> {
        let mut file = vec![];
        file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file.extend([2, 0, 0x3e, 0, 1, 0, 0, 0]);
        file.extend(entry.to_le_bytes());
        file.extend(64u64.to_le_bytes());
        file.extend(0u64.to_le_bytes());
        file.extend(0u32.to_le_bytes());
        for half in [64u16, 56, segments.len() as u16, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        for &(kind, flags, offset, address, file_size, memory_size) in segments {
            file.extend(kind.to_le_bytes());
            file.extend(flags.to_le_bytes());
            for word in [offset, address, address, file_size, memory_size, PAGE_SIZE] {
                file.extend(word.to_le_bytes());
            }
        }
        file.resize(file.len().max(0x100), 0);
        file.extend([0xcc; 0x200]);
        file
    }

    const TEXT: (u32, u32, u64, u64, u64, u64) = (1, 5, 0x100, 0x20_0100, 0x100, 0x100);

    #[test]
    fn pages_are_planned() {
        let file = program(0x20_0110, &[TEXT, (1, 6, 0x200, 0x20_1200, 0x80, 0x2000), (6, 4, 0, 0, 0, 0)]);
        let image = Image::parse(&file).unwrap();
        assert_eq!(image.entry, 0x20_0110);
        let [text, data] = &image.segments[..] else { panic!("{image:?}") };
        assert_eq!((text.start, text.size, text.data_offset, text.protection), (0x20_0000, 0x1000, 0x100, 5));
        assert_eq!(text.data, &file[0x100..0x200]);
        assert_eq!((data.start, data.size, data.data_offset, data.protection), (0x20_1000, 0x3000, 0x200, 3));
    }

    #[test]
    fn other_files_are_refused_by_the_field_that_says_so() {
        let good = program(0x20_0110, &[TEXT]);
        let message = |file: &[u8]| Image::parse(file).unwrap_err().to_string();
        assert_eq!(message(b""), "ELF magic at byte 0: expected 7f454c46, found the end of the file");
        assert_eq!(message(b"#!/bin/sh\n"), "ELF magic at byte 0: expected 7f454c46, found 23212f62");
        for (offset, value, expected) in [
            (4, 1, "ELF class at byte 4: expected 02 (64 bits), found 01"),
            (5, 2, "ELF data at byte 5: expected 01 (little-endian), found 02"),
            (18, 3, "ELF machine at byte 18: expected 3e00 (x86-64), found 0300"),
        ] {
            let mut file = good.clone();
            file[offset] = value;
            assert_eq!(message(&file), expected);
        }
        let mut shared = good.clone();
        shared[16] = 3;
        assert!(message(&shared).ends_with("without relocation), found 0300"), "{}", message(&shared));
    }

    #[test]
    fn impossible_segments_are_refused() {
        let cases = [
            ((3, 4, 0x100, 0x20_0000, 0x10, 0x10), SegmentProblem::Interpreter),
            ((1, 5, 0x100, 0x20_0000, 0x300, 0x300), SegmentProblem::PastFile { end: 0x400, file: 0x300 }),
            ((1, 5, u64::MAX, 0x20_0000, 2, 2), SegmentProblem::PastFile { end: u64::MAX, file: 0x300 }),
            ((1, 5, 0x100, 0x20_0000, 0x11, 0x10), SegmentProblem::Sizes { file: 0x11, memory: 0x10 }),
            ((1, 5, 0x100, 0, 0x10, 0x10), SegmentProblem::Addresses { start: 0, size: 0x10 }),
            ((1, 5, 0x100, u64::MAX, 0x10, 0x10), SegmentProblem::Addresses { start: u64::MAX, size: 0x10 }),
            ((1, 5, 0x100, SPACE_END - 8, 0x10, 0x10), SegmentProblem::Addresses { start: SPACE_END - 8, size: 0x10 }),
        ];
        for (segment, problem) in cases {
            let file = program(0x20_0000, &[segment]);
            assert_eq!(Image::parse(&file), Err(ImageError::Segment { index: 0, problem }));
        }
        let file = program(0x20_0110, &[TEXT, (1, 6, 0x200, 0x20_0800, 0x10, 0x10)]);
        let problem = SegmentProblem::Overlap { start: 0x20_0000, previous_end: 0x20_1000 };
        assert_eq!(Image::parse(&file), Err(ImageError::Segment { index: 1, problem }));
    }

    #[test]
    fn a_program_must_have_code_at_its_entry() {
        assert_eq!(Image::parse(&program(0x20_0000, &[])), Err(ImageError::NothingToLoad));
        assert_eq!(Image::parse(&program(0x30_0000, &[TEXT])), Err(ImageError::Entry { entry: 0x30_0000 }));
        let file = program(0x20_0110, &[(1, 6, 0x100, 0x20_0100, 0x100, 0x100)]);
        assert_eq!(Image::parse(&file), Err(ImageError::Entry { entry: 0x20_0110 }));
    }

    #[test]
    fn no_truncated_or_damaged_file_panics() {
        let file = program(0x20_0110, &[TEXT, (1, 6, 0x200, 0x20_1200, 0x80, 0x2000)]);
        for length in 0..0x280 {
            assert!(Image::parse(&file[..length]).is_err(), "{length} bytes");
        }
        for offset in 0..0xb0 {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[offset] = value;
                // Whatever it says, it says it without a panic and in words.
                if let Err(error) = Image::parse(&damaged) {
                    assert!(!format!("{error}").is_empty());
                }
            }
        }
    }
}
