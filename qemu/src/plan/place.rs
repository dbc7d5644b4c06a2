// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the payload goes, and how the kernel is told that its pages are taken.

use iced_x86::{Code, Decoder, DecoderOptions};

use crate::error::{InstrumentError, Miss};
use crate::kernel::code::functions;
use crate::kernel::elf::{KERNEL_OFFSET, KernelElf, Segment};
use crate::plan::Patch;

const PAGE: u64 = 0x1000;

/// Length of `movabs $imm64, %reg`, the last 8 bytes being the immediate.
const MOVABS: u64 = 10;

/// The page after the kernel's `_end`, which must be where its last segment ends, and free.
pub fn base(kernel: &KernelElf, end: u64) -> Result<u64, InstrumentError> {
    let refuse = |why: String| InstrumentError::NoRoom { why };
    let segment_end = |segment: &Segment| segment.vaddr.saturating_add(segment.memsz);
    let last = kernel.segments().iter().map(segment_end).max().unwrap_or(0);
    if last != end {
        return Err(refuse(format!("the last segment ends at {last:#x}, _end is {end:#x}")));
    }
    let base = end.checked_next_multiple_of(PAGE).filter(|&base| base >= KERNEL_OFFSET);
    let base = base.ok_or_else(|| refuse(format!("_end is {end:#x}, expected more than {KERNEL_OFFSET:#x}")))?;
    let physical = base - KERNEL_OFFSET;
    match kernel.segments().iter().find(|s| s.vaddr < KERNEL_OFFSET && s.paddr.saturating_add(s.memsz) > physical) {
        Some(boot) => Err(refuse(format!("the boot segment at {:#x} reaches beyond _end ({end:#x})", boot.paddr))),
        None => Ok(base),
    }
}

/// The first offset after the file's `len` bytes that is congruent with `address` modulo the page size.
pub fn file_offset(len: u64, address: u64) -> u64 {
    len.next_multiple_of(PAGE) + address % PAGE
}

/// An instruction that loads the physical end of the kernel for `biosmem_register_boot_data`.
///
/// Without a changed end the payload's pages would be handed out as free memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootDataEnd {
    immediate: u64,
    file_offset: u64,
    end: u64,
    function: String,
}

impl BootDataEnd {
    /// The patch that makes `end` the end of the boot data.
    pub fn patch(&self, end: u64) -> Patch {
        Patch {
            what: format!("end of the boot data in {}", self.function),
            address: self.immediate,
            file_offset: self.file_offset,
            old: self.end.to_le_bytes().to_vec(),
            new: end.to_le_bytes().to_vec(),
            evidence: "movabs of the physical address of _end".to_owned(),
            purpose: "the payload's pages are not handed out as free memory".to_owned(),
        }
    }
}

/// Every `movabs` of the physical address of `_end`; at least one.
pub fn boot_data_ends(kernel: &KernelElf) -> Result<Vec<BootDataEnd>, Miss> {
    let end = kernel.symbol("_end", "the end of the boot data")?.address.wrapping_sub(KERNEL_OFFSET);
    let mut found = Vec::new();
    for (address, code) in functions(kernel) {
        for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
            if instruction.code() == Code::Mov_r64_imm64 && instruction.immediate64() == end {
                let immediate = instruction.ip() + MOVABS - 8;
                if let Some(file_offset) = kernel.file_offset(immediate, 8) {
                    found.push(BootDataEnd {
                        immediate,
                        file_offset,
                        end,
                        function: kernel.describe(instruction.ip()),
                    });
                }
            }
        }
    }
    if found.is_empty() { Err(Miss::NoBootDataEnd { end }) } else { Ok(found) }
}
