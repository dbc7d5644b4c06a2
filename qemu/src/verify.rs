//! Re-reads the written kernels with a parser that had no part in writing them, and compares them with the plan.

use std::fmt;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};

use crate::error::InstrumentError;
use crate::kernel::elf::Segment;
use crate::plan::{Patch, Plan, Planned, hex, sha256};

/// Checks both outputs part by part.
pub fn verify(stock: &[u8], elf64: &[u8], elf32: &[u8], planned: &Planned) -> Result<(), InstrumentError> {
    let plan = &planned.plan;
    same("hash of the stock kernel", &plan.kernel_hash, &sha256(stock))?;
    let mut expected = plan.kernel_segments.clone();
    expected.push(plan.payload.clone());

    let large = segments::<elf::FileHeader64<LittleEndian>>(elf64)?;
    same("entry of the ELF64 file", &plan.entry, &large.entry)?;
    same("number of ELF64 segments", &expected.len(), &large.segments.len())?;
    for (expected, found) in expected.iter().zip(&large.segments) {
        same("ELF64 segment", expected, found)?;
    }
    contents(stock, elf64, plan)?;
    let payload = slice(elf64, &plan.payload)?;
    same("hash of the payload in the ELF64 file", &plan.payload_hash, &sha256(payload))?;

    let small = segments::<elf::FileHeader32<LittleEndian>>(elf32)?;
    same("entry of the ELF32 file", &plan.entry, &small.entry)?;
    same("number of ELF32 segments", &expected.len(), &small.segments.len())?;
    for (large, small) in large.segments.iter().zip(&small.segments) {
        let place = |s: &Segment| (s.paddr, s.filesz, s.memsz, s.flags);
        same("ELF32 segment (address, file size, memory size, flags)", &place(large), &place(small))?;
        same("virtual address of an ELF32 segment", &large.paddr, &small.vaddr)?;
        let (ours, theirs) = (slice(elf64, large)?, slice(elf32, small)?);
        same("contents of an ELF32 segment", &sha256(ours), &sha256(theirs))?;
    }
    Ok(())
}

/// Every byte of the stock kernel is the stock byte or the patched one; only the program header table grew.
fn contents(stock: &[u8], elf64: &[u8], plan: &Plan) -> Result<(), InstrumentError> {
    let headers_end = 64 + (plan.kernel_segments.len() + 8) * 56;
    let mut expected = stock.to_vec();
    for Patch { file_offset, new, address, .. } in &plan.patches {
        let start = usize::try_from(*file_offset).unwrap_or(usize::MAX);
        let found = elf64.get(start..start.saturating_add(new.len())).unwrap_or_default();
        same(&format!("bytes at {address:#x}"), &hex(new), &hex(found))?;
        expected[start..start + new.len()].copy_from_slice(new);
    }
    let tail = |bytes: &[u8]| bytes.get(headers_end..stock.len()).map(sha256);
    same("bytes outside of the patches", &tail(&expected), &tail(elf64))
}

struct Headers {
    entry: u64,
    segments: Vec<Segment>,
}

fn segments<H>(bytes: &[u8]) -> Result<Headers, InstrumentError>
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
    Ok(Headers { entry: header.e_entry(LittleEndian).into(), segments })
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
