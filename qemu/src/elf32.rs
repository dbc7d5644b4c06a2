// SPDX-License-Identifier: GPL-2.0-or-later
//! Wraps the loadable segments of an ELF64 kernel into an ELF32 file, the only kind QEMU's `-kernel` takes for multiboot.

use crate::error::InstrumentError;
use crate::kernel::elf::Segment;

/// Sizes of the ELF32 headers.
const EHDR: usize = 52;
const PHDR: usize = 32;

const PAGE: u64 = 0x1000;

/// The ELF32 file with the contents of `segments` of `elf64`, all at their physical addresses.
pub fn wrap(elf64: &[u8], segments: &[Segment], entry: u64) -> Result<Vec<u8>, InstrumentError> {
    let mut offset = ((EHDR + segments.len() * PHDR) as u64).next_multiple_of(PAGE);
    let mut headers = Vec::new();
    let mut contents: Vec<(u64, &[u8])> = Vec::new();
    for segment in segments {
        let data = usize::try_from(segment.offset)
            .ok()
            .and_then(|start| elf64.get(start..start.checked_add(usize::try_from(segment.filesz).ok()?)?))
            .ok_or_else(|| InstrumentError::DamagedElf {
                why: format!("segment at {:#x} lies outside of the file", segment.vaddr),
            })?;
        let place = offset + segment.paddr % PAGE;
        let fields =
            [place, segment.paddr, segment.paddr, segment.filesz, segment.memsz, u64::from(segment.flags), PAGE];
        headers.extend_from_slice(&object::elf::PT_LOAD.to_le_bytes());
        for field in fields {
            headers.extend_from_slice(&low(field)?.to_le_bytes());
        }
        contents.push((place, data));
        offset = (place + segment.filesz).next_multiple_of(PAGE);
    }
    let mut out = header(low(entry)?, segments.len());
    out.extend_from_slice(&headers);
    for (place, data) in contents {
        out.resize(usize::try_from(place).unwrap_or(usize::MAX), 0);
        out.extend_from_slice(data);
    }
    Ok(out)
}

fn low(value: u64) -> Result<u32, InstrumentError> {
    u32::try_from(value)
        .map_err(|_| InstrumentError::NoRoom { why: format!("{value:#x} does not fit into an ELF32 file") })
}

fn header(entry: u32, segments: usize) -> Vec<u8> {
    let mut out = vec![0x7f, b'E', b'L', b'F', object::elf::ELFCLASS32, object::elf::ELFDATA2LSB, 1];
    out.resize(16, 0);
    out.extend_from_slice(&object::elf::ET_EXEC.to_le_bytes());
    out.extend_from_slice(&object::elf::EM_386.to_le_bytes());
    out.extend_from_slice(&1u32.to_le_bytes());
    out.extend_from_slice(&entry.to_le_bytes());
    out.extend_from_slice(&(EHDR as u32).to_le_bytes());
    // No section headers, no flags.
    out.extend_from_slice(&[0; 8]);
    let counts = [EHDR as u16, PHDR as u16, u16::try_from(segments).unwrap_or(u16::MAX), 0, 0, 0];
    for count in counts {
        out.extend_from_slice(&count.to_le_bytes());
    }
    out
}
