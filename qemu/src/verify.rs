// SPDX-License-Identifier: GPL-2.0-or-later
//! Re-reads the written kernels with a parser that had no part in writing them, and compares them with the plan.

use std::fmt;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};

use crate::error::InstrumentError;
use crate::kernel::elf::Segment;
use crate::payload_abi::{SWITCH_WORDS, SWITCHES, SWITCHES_SYMBOL};
use crate::plan::switches::Switch;
use crate::plan::{Patch, Plan, Planned, hex, sha256};

/// Offset of the number of program headers in the ELF64 header, and the size of one.
const E_PHNUM: usize = 56;
const PHDR64: usize = 56;

/// Sizes of the ELF32 headers.
const EHDR32: usize = 52;
const PHDR32: usize = 32;

/// Type and alignment of every program header that we write.
const ADDED: (u32, u64) = (elf::PT_LOAD, 0x1000);

/// Checks both outputs part by part.
pub fn verify(stock: &[u8], elf64: &[u8], elf32: &[u8], planned: &Planned) -> Result<(), InstrumentError> {
    let plan = &planned.plan;
    same("hash of the stock kernel", &plan.kernel_hash, &sha256(stock))?;
    let mut expected = plan.kernel_segments.clone();
    expected.push(plan.payload.clone());

    let large = headers::<elf::FileHeader64<LittleEndian>>(elf64)?;
    same("entry of the ELF64 file", &plan.entry, &large.entry)?;
    same("number of ELF64 segments", &expected.len(), &large.segments.len())?;
    for (expected, found) in expected.iter().zip(&large.segments) {
        same("ELF64 segment", expected, found)?;
    }
    contents(stock, elf64, &large, plan)?;
    let payload = slice(elf64, &plan.payload)?;
    same("hash of the payload in the ELF64 file", &plan.payload_hash, &sha256(payload))?;
    switches(elf64, payload, plan)?;

    let small = headers::<elf::FileHeader32<LittleEndian>>(elf32)?;
    same("entry of the ELF32 file", &plan.entry, &small.entry)?;
    same("ELF32 program headers (type, alignment)", &vec![ADDED; expected.len()], &small.kinds)?;
    for (large, small) in large.segments.iter().zip(&small.segments) {
        let place = |s: &Segment| (s.paddr, s.filesz, s.memsz, s.flags);
        same("ELF32 segment (address, file size, memory size, flags)", &place(large), &place(small))?;
        same("virtual address of an ELF32 segment", &large.paddr, &small.vaddr)?;
        let (ours, theirs) = (slice(elf64, large)?, slice(elf32, small)?);
        same("contents of an ELF32 segment", &sha256(ours), &sha256(theirs))?;
    }
    wrapping(elf32, &small)
}

/// Every byte is the stock byte, a patched one, the count of program headers or the added one, zero up to the payload, or its.
fn contents(stock: &[u8], elf64: &[u8], large: &Headers, plan: &Plan) -> Result<(), InstrumentError> {
    let mut expected = stock.to_vec();
    for Patch { file_offset, new, address, .. } in &plan.patches {
        let start = usize::try_from(*file_offset).unwrap_or(usize::MAX);
        let found = elf64.get(start..start.saturating_add(new.len())).unwrap_or_default();
        same(&format!("bytes at {address:#x}"), &hex(new), &hex(found))?;
        expected[start..start + new.len()].copy_from_slice(new);
    }
    let before = headers::<elf::FileHeader64<LittleEndian>>(stock)?;
    let kinds = [&*before.kinds, &[ADDED]].concat();
    same("program headers (type, alignment)", &kinds, &large.kinds)?;
    same("place of the program headers", &before.table, &large.table)?;
    // The two that differ by now have been looked at: the count, and the header that was added.
    let added = large.table + before.kinds.len() * PHDR64;
    for range in [E_PHNUM..E_PHNUM + 2, added..added + PHDR64] {
        let new = elf64.get(range.clone()).unwrap_or_default();
        expected.get_mut(range).unwrap_or_default().copy_from_slice(new);
    }
    let payload = usize::try_from(plan.payload.offset).unwrap_or(usize::MAX);
    same("length of the ELF64 file", &(plan.payload.offset + plan.payload.filesz), &(elf64.len() as u64))?;
    first_difference("the ELF64 file", &expected, elf64.get(..stock.len()).unwrap_or_default())?;
    let between = elf64.get(stock.len()..payload).unwrap_or_default();
    first_difference("the ELF64 file before the payload", &vec![0; between.len()], between)
}

/// The ELF32 file's own header, and that nothing is in it but its headers and segments.
fn wrapping(elf32: &[u8], small: &Headers) -> Result<(), InstrumentError> {
    let mut expected = vec![0x7f, b'E', b'L', b'F', elf::ELFCLASS32, elf::ELFDATA2LSB, 1];
    expected.resize(16, 0);
    let count = u16::try_from(small.kinds.len()).unwrap_or(u16::MAX);
    for half in [elf::ET_EXEC, elf::EM_386, 1, 0] {
        expected.extend_from_slice(&half.to_le_bytes());
    }
    expected.extend_from_slice(&low(small.entry).to_le_bytes());
    for word in [EHDR32 as u32, 0, 0] {
        expected.extend_from_slice(&word.to_le_bytes());
    }
    for half in [EHDR32 as u16, PHDR32 as u16, count, 0, 0, 0] {
        expected.extend_from_slice(&half.to_le_bytes());
    }
    first_difference("the header of the ELF32 file", &expected, elf32.get(..EHDR32).unwrap_or_default())?;
    let mut covered = EHDR32 + small.kinds.len() * PHDR32;
    for segment in &small.segments {
        let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
        let between = elf32.get(covered..start).unwrap_or(&[1]);
        first_difference("the ELF32 file between segments", &vec![0; between.len()], between)?;
        covered = start.saturating_add(usize::try_from(segment.filesz).unwrap_or(usize::MAX));
    }
    same("length of the ELF32 file", &covered, &elf32.len())
}

/// The lower half of an address, which the caller has compared in full.
fn low(address: u64) -> u32 {
    (address & 0xffff_ffff) as u32
}

fn first_difference(part: &str, expected: &[u8], found: &[u8]) -> Result<(), InstrumentError> {
    if expected == found {
        return Ok(());
    }
    same(&format!("length of {part}"), &expected.len(), &found.len())?;
    let at = expected.iter().zip(found).position(|(expected, found)| expected != found).unwrap_or(0);
    same(&format!("byte {at:#x} of {part}"), &expected[at], &found[at])
}

/// The table that the payload will go by has the plan's rows and no other, and the places hold what it takes for stock.
fn switches(elf64: &[u8], payload: &[u8], plan: &Plan) -> Result<(), InstrumentError> {
    const ROW: usize = SWITCH_WORDS * 4;
    let start = usize::try_from(plan.switches_address.wrapping_sub(plan.payload.vaddr)).unwrap_or(usize::MAX);
    for index in 0..SWITCHES.max(plan.switches.len()) {
        let expected = plan.switches.get(index).map_or_else(|| vec![0; ROW], row_bytes);
        let place = start.saturating_add(index * ROW);
        let found = payload.get(place..place.saturating_add(ROW)).unwrap_or_default();
        same(&format!("{SWITCHES_SYMBOL} row {index}"), &hex(&expected), &hex(found))?;
    }
    for Switch { file_offset, stock, address, .. } in &plan.switches {
        let start = usize::try_from(*file_offset).unwrap_or(usize::MAX);
        let found = elf64.get(start..start.saturating_add(stock.len())).unwrap_or_default();
        same(&format!("stock bytes at {address:#x}"), &hex(stock), &hex(found))?;
    }
    Ok(())
}

/// A row as it must be in the file: the lower half of the address, the first four bytes of what stands there, and how many those are.
fn row_bytes(switch: &Switch) -> Vec<u8> {
    let mut row = switch.address.to_le_bytes()[..4].to_vec();
    for bytes in [&switch.stock, &switch.traced] {
        row.extend(bytes.iter().take(4));
    }
    row.extend((switch.stock.len() as u32).to_le_bytes());
    row
}

/// What the program headers of a file say.
struct Headers {
    entry: u64,
    /// Where the table is.
    table: usize,
    /// Type and alignment of each.
    kinds: Vec<(u32, u64)>,
    /// The loadable ones.
    segments: Vec<Segment>,
}

fn headers<H>(bytes: &[u8]) -> Result<Headers, InstrumentError>
where
    H: FileHeader<Endian = LittleEndian>,
{
    let damaged = |error: object::Error| InstrumentError::DamagedElf { why: error.to_string() };
    let header = H::parse(bytes).map_err(damaged)?;
    let table = header.program_headers(LittleEndian, bytes).map_err(damaged)?;
    let segments = table
        .iter()
        .filter(|ph| ph.p_type(LittleEndian) == elf::PT_LOAD)
        .map(|ph| Segment {
            offset: ph.p_offset(LittleEndian).into(),
            vaddr: ph.p_vaddr(LittleEndian).into(),
            paddr: ph.p_paddr(LittleEndian).into(),
            filesz: ph.p_filesz(LittleEndian).into(),
            memsz: ph.p_memsz(LittleEndian).into(),
            flags: ph.p_flags(LittleEndian),
        })
        .collect();
    let kinds = table.iter().map(|ph| (ph.p_type(LittleEndian), ph.p_align(LittleEndian).into())).collect();
    let place: u64 = header.e_phoff(LittleEndian).into();
    Ok(Headers {
        entry: header.e_entry(LittleEndian).into(),
        table: usize::try_from(place).unwrap_or(usize::MAX),
        kinds,
        segments,
    })
}

fn slice<'a>(bytes: &'a [u8], segment: &Segment) -> Result<&'a [u8], InstrumentError> {
    let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
    let len = usize::try_from(segment.filesz).unwrap_or(usize::MAX);
    bytes.get(start..start.saturating_add(len)).ok_or_else(|| InstrumentError::Verify {
        part: "length of the file".to_owned(),
        expected: format!("{len:#x} bytes at {start:#x}"),
        found: format!("{:#x} bytes in all", bytes.len()),
    })
}

fn same<T: PartialEq + fmt::Debug>(part: &str, expected: &T, found: &T) -> Result<(), InstrumentError> {
    if expected == found {
        return Ok(());
    }
    Err(InstrumentError::Verify {
        part: part.to_owned(),
        expected: format!("{expected:x?}"),
        found: format!("{found:x?}"),
    })
}
