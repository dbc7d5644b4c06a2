// SPDX-License-Identifier: GPL-2.0-or-later
//! That a new thread is a whole copy of `thread_template`: the payload keeps its numbers in holes of the struct, which are 0 in it.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register,
};

use crate::error::Miss;
use crate::kernel::{KernelElf, Layouts, bounds};

/// The struct that all threads begin as.
pub(super) const TEMPLATE: &str = "thread_template";

/// The function that makes threads.
pub(super) const MAKER: &str = "thread_create";

/// Refuses a kernel whose `thread_create` does not copy all of the template in one piece.
pub(super) fn check(kernel: &KernelElf, layouts: &Layouts) -> Result<(), Miss> {
    let wanted_by = "the numbers in holes of struct thread";
    let layout = layouts.layout("thread", wanted_by)?;
    let template = kernel.symbol(TEMPLATE, wanted_by)?;
    let maker = kernel.symbol(MAKER, wanted_by)?;
    let range = bounds(kernel, maker, wanted_by)?;
    let memcpy = kernel.symbol("memcpy", wanted_by).ok().map(|symbol| symbol.address);
    let miss = |found: String| Miss::Template { expected: layout.size, found };
    if template.size != layout.size {
        return Err(miss(format!("a template of {} bytes", template.size)));
    }
    let code = kernel.read(range.start, range.end - range.start).unwrap_or_default();
    let copies = copies(Decoder::with_ip(64, code, range.start, DecoderOptions::NONE), template.address, memcpy);
    match copies.as_slice() {
        [bytes] if *bytes == layout.size => Ok(()),
        [] => Err(miss("no copy by rep movs or memcpy".to_owned())),
        other => Err(miss(format!("copies of {other:?} bytes"))),
    }
}

/// How many bytes each `rep movs` and each call of `memcpy` copies from `source`, as far as straight code says it.
fn copies(code: Decoder<'_>, source: u64, memcpy: Option<u64>) -> Vec<u64> {
    let mut known = Known::default();
    let mut found = Vec::new();
    for instruction in code {
        let from_source = known.rsi == Some(source);
        let unit = match instruction.code() {
            Code::Movsb_m8_m8 => Some(1),
            Code::Movsd_m32_m32 => Some(4),
            Code::Movsq_m64_m64 => Some(8),
            _ => None,
        };
        if let Some(unit) = unit.filter(|_| from_source) {
            let times = if instruction.has_rep_prefix() { known.rcx } else { Some(1) };
            found.push(times.map_or(0, |times| times.saturating_mul(unit)));
        }
        let call = instruction.flow_control() == FlowControl::Call;
        if call && from_source && Some(instruction.near_branch_target()) == memcpy {
            found.push(known.rdx.unwrap_or(0));
        }
        known.execute(&instruction);
    }
    found
}

/// The registers whose value is known.
#[derive(Default)]
struct Known {
    rsi: Option<u64>,
    rcx: Option<u64>,
    rdx: Option<u64>,
}

impl Known {
    fn execute(&mut self, instruction: &Instruction) {
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            *self = Self::default();
            return;
        }
        let mut factory = InstructionInfoFactory::new();
        for used in factory.info(instruction).used_registers() {
            if !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
                && let Some(register) = self.register(used.register())
            {
                *register = None;
            }
        }
        if instruction.op0_kind() == OpKind::Register
            && let Some(value) = constant(instruction)
            && let Some(register) = self.register(instruction.op0_register())
        {
            *register = Some(value);
        }
    }

    fn register(&mut self, register: Register) -> Option<&mut Option<u64>> {
        match register.full_register() {
            Register::RSI => Some(&mut self.rsi),
            Register::RCX => Some(&mut self.rcx),
            Register::RDX => Some(&mut self.rdx),
            _ => None,
        }
    }
}

/// What an instruction that loads a constant puts into its register.
fn constant(instruction: &Instruction) -> Option<u64> {
    match instruction.code() {
        Code::Mov_r32_imm32 | Code::Mov_rm32_imm32 => Some(instruction.immediate32().into()),
        Code::Mov_rm64_imm32 => Some(instruction.immediate32to64().cast_unsigned()),
        Code::Mov_r64_imm64 => Some(instruction.immediate64()),
        Code::Lea_r64_m if instruction.is_ip_rel_memory_operand() => Some(instruction.memory_displacement64()),
        _ => None,
    }
}
