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

/// How far apart the two are that are given to one call.
const NEAR: u64 = 2 * MOVABS;

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

/// An instruction that loads a limit of the kernel's own memory for `biosmem_register_boot_data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootData {
    immediate: u64,
    file_offset: u64,
    limit: u64,
    function: String,
}

impl BootData {
    /// The patch that makes `end` the end of the boot data: without it the payload's pages would be handed out as free memory.
    pub fn with_end(&self, end: u64) -> Patch {
        self.patch(end, "end", "_end", "the payload's pages are not handed out as free memory")
    }

    /// The patch that makes `start` its start.
    fn with_start(&self, start: u64) -> Patch {
        let purpose = "what other processors start with is not handed out as free memory";
        self.patch(start, "start", "the end of the boot segment, by that of _end", purpose)
    }

    fn patch(&self, limit: u64, what: &str, old: &str, purpose: &str) -> Patch {
        Patch {
            what: format!("{what} of the boot data in {}", self.function),
            address: self.immediate,
            file_offset: self.file_offset,
            old: self.limit.to_le_bytes().to_vec(),
            new: limit.to_le_bytes().to_vec(),
            evidence: format!("movabs of the physical address of {old}"),
            purpose: purpose.to_owned(),
        }
    }
}

/// Every `movabs` of the physical address of `_end`; at least one.
pub fn boot_data_ends(kernel: &KernelElf) -> Result<Vec<BootData>, Miss> {
    let end = kernel.symbol("_end", "the end of the boot data")?.address.wrapping_sub(KERNEL_OFFSET);
    let found = loads(kernel, end);
    if found.is_empty() { Err(Miss::NoBootDataEnd { end }) } else { Ok(found) }
}

/// The patches that add the boot segment to the boot data, whose start is said next to each of its `ends`: on a kernel for several processors that segment has
/// the code and the page tables that the others start with, long after the VM has got all memory that nobody has registered.
pub fn with_boot_segment(kernel: &KernelElf, ends: &[BootData]) -> Result<Vec<Patch>, Miss> {
    let is_boot = |segment: &&Segment| {
        segment.vaddr == segment.paddr && kernel.entry().checked_sub(segment.vaddr).is_some_and(|at| at < segment.memsz)
    };
    let Some(boot) = kernel.segments().iter().find(is_boot) else { return Err(Miss::NoBootSegment) };
    let start = boot.paddr.saturating_add(boot.memsz);
    let starts = loads(kernel, start);
    let of = |end: &BootData| {
        let is_near = |start: &&BootData| start.immediate.abs_diff(end.immediate) <= NEAR;
        let near: Vec<&BootData> = starts.iter().filter(is_near).collect();
        match near[..] {
            [near] => Ok(near.with_start(boot.paddr)),
            _ => Err(Miss::BootDataStart { start, by: end.function.clone(), found: near.len() }),
        }
    };
    ends.iter().map(of).collect()
}

/// Every `movabs` of a limit.
fn loads(kernel: &KernelElf, limit: u64) -> Vec<BootData> {
    let mut found = Vec::new();
    for (address, code) in functions(kernel) {
        for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
            if instruction.code() == Code::Mov_r64_imm64 && instruction.immediate64() == limit {
                let immediate = instruction.ip() + MOVABS - 8;
                if let Some(file_offset) = kernel.file_offset(immediate, 8) {
                    let function = kernel.describe(instruction.ip());
                    found.push(BootData { immediate, file_offset, limit, function });
                }
            }
        }
    }
    found
}
