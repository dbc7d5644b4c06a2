// SPDX-License-Identifier: GPL-2.0-or-later
//! Everything in a kernel's file that leads to one of a few addresses: calls, jumps, addresses in instructions and in data.
//!
//! Found byte by byte, so that nothing depends on where functions begin; only where bytes match is anything decoded.

use std::collections::BTreeSet;
use std::ops::Range;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use object::{Object, ObjectSection};

use crate::kernel::code::functions;
use crate::kernel::elf::KernelElf;

/// Length of `call rel32`.
const CALL: u64 = 5;

/// How far a jump with one byte of distance leads.
const SHORT: u64 = 0x80;

/// The table of how to unwind the stack, which has the address of every function.
const UNWIND: &str = ".eh_frame";

/// How an address is led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lead {
    /// A direct call.
    Call,
    /// A direct jump, conditional or not.
    Jump,
    /// The end of a function that does not return, call or jump there.
    Fall,
    /// Its address in an instruction.
    Address,
    /// Its address in data.
    Data,
}

/// One place that leads to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The address led to.
    pub target: u64,
    /// How.
    pub lead: Lead,
    /// Where: the opcode of a call, the first byte of another instruction, or of data.
    pub site: u64,
    /// Address of the function that the place is in, of an instruction.
    pub function: Option<u64>,
}

/// All places that lead to the addresses that were asked for.
#[derive(Debug, Default)]
pub struct References {
    found: BTreeSet<Reference>,
}

impl References {
    /// Looks for everything that leads to `targets`.
    pub fn find(kernel: &KernelElf, targets: &BTreeSet<u64>) -> Self {
        let text = Text { functions: functions(kernel) };
        let mut search = Search { targets: targets.iter().copied().collect(), text, found: BTreeSet::new() };
        let unwind = section_range(kernel.bytes(), UNWIND);
        for segment in kernel.segments() {
            if let Some(bytes) = kernel.read(segment.vaddr, segment.filesz) {
                search.scan(segment.vaddr, bytes, &unwind);
            }
        }
        for &target in targets {
            search.near(target);
        }
        Self { found: search.found }
    }

    /// What leads to `target`, in order of kind and address.
    pub fn to(&self, target: u64) -> impl Iterator<Item = &Reference> {
        self.found.iter().filter(move |reference| reference.target == target)
    }

    /// The direct calls of `target`, in order of address.
    pub fn calls(&self, target: u64) -> impl Iterator<Item = &Reference> {
        self.to(target).filter(|reference| reference.lead == Lead::Call)
    }
}

/// The functions in order of address.
struct Text<'a> {
    functions: Vec<(u64, &'a [u8])>,
}

impl<'a> Text<'a> {
    /// The function that `address` is in.
    fn function(&self, address: u64) -> Option<(u64, &'a [u8])> {
        let after = self.functions.partition_point(|&(start, _)| start <= address);
        let &(start, code) = self.functions.get(after.checked_sub(1)?)?;
        (address - start < code.len() as u64).then_some((start, code))
    }
}

/// Four bytes that would lead to a target.
struct Candidate {
    place: u64,
    target: u64,
    /// As an address, not only as a distance.
    address: bool,
}

struct Search<'a> {
    /// In ascending order.
    targets: Vec<u64>,
    text: Text<'a>,
    found: BTreeSet<Reference>,
}

impl Search<'_> {
    /// Looks at every four bytes as an address's lower half, and as a distance.
    fn scan(&mut self, base: u64, bytes: &[u8], unwind: &Range<u64>) {
        let (Some(&first), Some(&last)) = (self.targets.first(), self.targets.last()) else { return };
        let mut candidates = Vec::new();
        for (at, window) in bytes.windows(4).enumerate() {
            let place = base + at as u64;
            let word = u32::from_le_bytes([window[0], window[1], window[2], window[3]]);
            // The kernel is in the upper 2 GiB: the lower half says it all.
            let absolute = u64::from(word) | 0xffff_ffff_0000_0000;
            let relative = place.wrapping_add(4).wrapping_add_signed(i64::from(word.cast_signed()));
            for target in [absolute, relative] {
                if (first..=last).contains(&target) && self.targets.binary_search(&target).is_ok() {
                    let address = target == absolute && !unwind.contains(&place);
                    candidates.push(Candidate { place, target, address });
                }
            }
        }
        self.classify(&candidates);
    }

    /// Sorts out what `candidates`, in order of place, are; each function is decoded once.
    fn classify(&mut self, mut candidates: &[Candidate]) {
        while let Some(first) = candidates.first() {
            let Some((function, code)) = self.text.function(first.place) else {
                if first.address {
                    let Candidate { place: site, target, .. } = *first;
                    self.found.insert(Reference { target, lead: Lead::Data, site, function: None });
                }
                candidates = &candidates[1..];
                continue;
            };
            let end = function + code.len() as u64;
            let (inside, after) = candidates.split_at(candidates.partition_point(|next| next.place < end));
            let mut inside = inside.iter().peekable();
            for instruction in Decoder::with_ip(64, code, function, DecoderOptions::NONE) {
                while let Some(Candidate { target, .. }) = inside.next_if(|next| next.place < instruction.next_ip()) {
                    // Bytes of two instructions lead nowhere.
                    let Some(lead) = lead(&instruction, *target) else { continue };
                    // Counted from the end, because there may be prefixes.
                    let site = if lead == Lead::Call { instruction.next_ip() - CALL } else { instruction.ip() };
                    self.found.insert(Reference { target: *target, lead, site, function: Some(function) });
                }
                if inside.peek().is_none() {
                    break;
                }
            }
            candidates = after;
        }
    }

    /// Short jumps to `target`, and what stands right before it.
    fn near(&mut self, target: u64) {
        let functions = &self.text.functions;
        let (from, to) = (target.saturating_sub(SHORT + 2), target.saturating_add(SHORT));
        let first = functions.partition_point(|&(start, code)| start + (code.len() as u64) < from);
        for (index, &(function, code)) in functions.iter().enumerate().skip(first).take_while(|(_, f)| f.0 <= to) {
            let mut last = None;
            for instruction in Decoder::with_ip(64, code, function, DecoderOptions::NONE) {
                let site = instruction.ip();
                if is_short(&instruction) && instruction.near_branch_target() == target {
                    self.found.insert(Reference { target, lead: Lead::Jump, site, function: Some(function) });
                }
                if !is_padding(&instruction) {
                    last = Some(instruction);
                }
            }
            // Between two functions there is only padding, else it would have a name.
            let next = functions.get(index + 1).map(|&(start, _)| start);
            if next == Some(target) && last.is_none_or(|last| goes_on(&last)) {
                let site = last.map_or(function, |last| last.ip());
                self.found.insert(Reference { target, lead: Lead::Fall, site, function: Some(function) });
            }
        }
    }
}

/// How an instruction leads to `target`, if it does.
fn lead(instruction: &Instruction, target: u64) -> Option<Lead> {
    let branch = |kind| matches!(kind, OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16);
    if branch(instruction.op0_kind()) {
        let call = instruction.code() == Code::Call_rel32_64;
        let there = instruction.near_branch_target() == target;
        return there.then_some(if call { Lead::Call } else { Lead::Jump });
    }
    let operands = 0..instruction.op_count();
    let holds = |operand: u32| match instruction.op_kind(operand) {
        OpKind::Memory => instruction.memory_displacement64() == target,
        OpKind::Immediate32 => u64::from(instruction.immediate32()) == target & 0xffff_ffff,
        OpKind::Immediate32to64 => instruction.immediate32to64().cast_unsigned() == target,
        OpKind::Immediate64 => instruction.immediate64() == target,
        _ => false,
    };
    operands.into_iter().any(holds).then_some(Lead::Address)
}

/// Whether an instruction is a jump with one byte of distance.
fn is_short(instruction: &Instruction) -> bool {
    instruction.is_jmp_short()
        || instruction.is_jcc_short()
        || instruction.is_jcx_short()
        || instruction.is_loop()
        || instruction.is_loopcc()
}

/// Whether an instruction, or zeros read as one, fills the room up to the next function.
fn is_padding(instruction: &Instruction) -> bool {
    use Code::{Add_rm8_r8, Int3, Nop_rm16, Nop_rm32, Nop_rm64, Nopd, Nopq, Nopw};
    matches!(instruction.code(), Nopw | Nopd | Nopq | Nop_rm16 | Nop_rm32 | Nop_rm64 | Int3 | Add_rm8_r8)
}

/// Whether what follows an instruction is executed; a call that ends a function is one of a function that does not return.
fn goes_on(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::ConditionalBranch | FlowControl::Interrupt | FlowControl::XbeginXabortXend
    )
}

fn section_range(elf: &[u8], name: &str) -> Range<u64> {
    let file = object::File::parse(elf).ok();
    let section = file.as_ref().and_then(|file| file.section_by_name(name));
    section.map_or(0..0, |section| section.address()..section.address().saturating_add(section.size()))
}
