// SPDX-License-Identifier: GPL-2.0-or-later
//! Plan and bytes in, ELF64 out: applies patches, adds the payload's segment; decides nothing.

use crate::error::InstrumentError;
use crate::plan::Planned;

/// Size of an ELF64 program header.
const PHDR: usize = 56;

/// Offsets in the ELF64 header.
const E_PHOFF: usize = 32;
const E_PHNUM: usize = 56;

/// The instrumented kernel for GRUB.
pub fn elf64(stock: &[u8], planned: &Planned) -> Result<Vec<u8>, InstrumentError> {
    let mut out = stock.to_vec();
    for patch in &planned.plan.patches {
        let place = at(patch.file_offset, patch.old.len(), &out)?;
        if out[place.clone()] != patch.old {
            return Err(InstrumentError::Verify {
                part: format!("stock bytes at {:#x}", patch.address),
                expected: crate::plan::hex(&patch.old),
                found: crate::plan::hex(&out[place]),
            });
        }
        out[place].copy_from_slice(&patch.new);
    }
    add_program_header(&mut out, planned)?;
    let start = usize::try_from(planned.plan.payload.offset).unwrap_or(usize::MAX);
    out.resize(start, 0);
    out.extend_from_slice(&planned.image);
    Ok(out)
}

fn at(offset: u64, len: usize, bytes: &[u8]) -> Result<std::ops::Range<usize>, InstrumentError> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    match start.checked_add(len) {
        Some(end) if end <= bytes.len() => Ok(start..end),
        _ => Err(InstrumentError::DamagedElf { why: format!("no {len} bytes at file offset {offset:#x}") }),
    }
}

fn add_program_header(out: &mut [u8], planned: &Planned) -> Result<(), InstrumentError> {
    let payload = &planned.plan.payload;
    let mut word = [0; 8];
    word.copy_from_slice(&out[at(E_PHOFF as u64, 8, out)?]);
    let table = u64::from_le_bytes(word);
    let count = u16::from_le_bytes([out[E_PHNUM], out[E_PHNUM + 1]]);
    let place = at(table.saturating_add(u64::from(count) * PHDR as u64), PHDR, out)?;
    let first_data = planned.plan.kernel_segments.iter().map(|segment| segment.offset).min().unwrap_or(0);
    if place.end as u64 > first_data || out[place.clone()].iter().any(|&byte| byte != 0) {
        let why = format!("the bytes after the {count} program headers are in use");
        return Err(InstrumentError::NoRoom { why });
    }
    let mut header = Vec::with_capacity(PHDR);
    header.extend_from_slice(&object::elf::PT_LOAD.to_le_bytes());
    header.extend_from_slice(&payload.flags.to_le_bytes());
    for field in [payload.offset, payload.vaddr, payload.paddr, payload.filesz, payload.memsz, 0x1000] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    out[place].copy_from_slice(&header);
    let more =
        count.checked_add(1).ok_or_else(|| InstrumentError::NoRoom { why: "65535 program headers".to_owned() })?;
    out[E_PHNUM..E_PHNUM + 2].copy_from_slice(&more.to_le_bytes());
    Ok(())
}
