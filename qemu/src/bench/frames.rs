// SPDX-License-Identifier: GPL-2.0-or-later
//! How deep the kernel stack gets, read off the machine code: what a hook adds to the way to each kernel function it calls.
//!
//! For every function of the kernel that the payload calls, the deepest way there from the hook is compared with the deepest
//! way there from the function that the hook stands in for. Calls through pointers are not followed, on either side.

use std::collections::{BTreeMap, HashMap};

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::kernel::KernelElf;
use crate::kernel::code::functions;

/// Calls between an original function and a function that counts as being on its way.
const FAR: usize = 5;

/// Direct calls of a function: callee, and the bytes of stack between the function's entry and the callee's.
type Calls = Vec<(u64, i64)>;

/// Code of functions by address.
#[derive(Debug, Default)]
pub struct Stacks {
    calls: HashMap<u64, Calls>,
}

/// What a hook adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deeper {
    /// Bytes more than on the original's way to the same function; negative if less.
    pub bytes: i64,
    /// Bytes between the entry of the hook and that of the function.
    pub depth: i64,
    /// The function.
    pub callee: u64,
}

impl Stacks {
    /// The functions of `kernel`, and those of the payload whose bytes are `image` at `base`.
    pub fn read(kernel: &KernelElf, image: &[u8], base: u64, payload: &BTreeMap<u64, String>) -> Self {
        let mut calls: HashMap<u64, Calls> = HashMap::new();
        for (address, code) in functions(kernel) {
            calls.insert(address, walk(address, code));
        }
        let end = base + image.len() as u64;
        let mut places = payload.keys().copied().filter(|&place| place >= base && place < end).peekable();
        while let Some(place) = places.next() {
            let next = places.peek().copied().unwrap_or(end);
            let code = &image[(place - base) as usize..(next - base) as usize];
            calls.insert(place, walk(place, code));
        }
        Self { calls }
    }

    /// The deepest way from `from` to every function within `far` calls.
    fn reach(&self, from: u64, far: usize) -> HashMap<u64, i64> {
        let mut deepest: HashMap<u64, i64> = HashMap::from([(from, 0)]);
        let mut edge: HashMap<u64, i64> = deepest.clone();
        for _ in 0..far {
            let mut next: HashMap<u64, i64> = HashMap::new();
            for (function, depth) in edge {
                for &(callee, bytes) in self.calls.get(&function).into_iter().flatten() {
                    let reached = depth + bytes;
                    // A way back to where it began is not the way to it.
                    if callee != from && deepest.get(&callee).is_none_or(|&known| reached > known) {
                        deepest.insert(callee, reached);
                        next.insert(callee, reached);
                    }
                }
            }
            edge = next;
        }
        deepest
    }

    /// What `hook` adds to the stack that `original` needs: the worst of the kernel functions (those below `base`) that the
    /// payload calls. A function that the original does not reach is compared with the deepest one it does reach.
    pub fn deeper(&self, hook: u64, original: u64, base: u64) -> Option<Deeper> {
        let before = self.reach(original, FAR);
        let most = before.values().copied().max().unwrap_or(0);
        let mut worst: Option<Deeper> = None;
        let ours = self.within(hook, base);
        for (&function, &depth) in &ours {
            for &(callee, bytes) in self.calls.get(&function).into_iter().flatten().filter(|call| call.0 < base) {
                let depth = depth + bytes;
                let found = Deeper { bytes: depth - before.get(&callee).copied().unwrap_or(most), depth, callee };
                if worst.as_ref().is_none_or(|worst| found.bytes > worst.bytes) {
                    worst = Some(found);
                }
            }
        }
        worst
    }

    /// The deepest way from `hook` to every function of the payload, which has no recursion.
    fn within(&self, hook: u64, base: u64) -> HashMap<u64, i64> {
        let mut deepest = HashMap::from([(hook, 0)]);
        let mut work = vec![hook];
        while let Some(function) = work.pop() {
            let depth = deepest[&function];
            for &(callee, bytes) in self.calls.get(&function).into_iter().flatten().filter(|call| call.0 >= base) {
                if deepest.get(&callee).is_none_or(|&known| depth + bytes > known) && depth < 1 << 16 {
                    deepest.insert(callee, depth + bytes);
                    work.push(callee);
                }
            }
        }
        deepest
    }
}

/// Instructions after which the code does not go on.
const ENDS: [Mnemonic; 3] = [Mnemonic::Ret, Mnemonic::Iretq, Mnemonic::Ud2];

/// Follows the code of one function from its entry and notes the stack depth at each direct call or jump out of it.
fn walk(address: u64, code: &[u8]) -> Calls {
    let end = address + code.len() as u64;
    let mut calls = Calls::new();
    let mut seen: HashMap<u64, ()> = HashMap::new();
    // Place, depth below the return address, depth where rbp points.
    let mut work = vec![(address, 0i64, 0i64)];
    while let Some((start, mut depth, mut frame)) = work.pop() {
        let offset = (start - address) as usize;
        for instruction in Decoder::with_ip(64, &code[offset..], start, DecoderOptions::NONE) {
            if instruction.is_invalid() || seen.insert(instruction.ip(), ()).is_some() {
                break;
            }
            (depth, frame) = step(&instruction, depth, frame);
            let inside = |target: u64| target > address && target < end;
            let jump = instruction.is_jmp_short_or_near();
            if instruction.is_call_near() {
                calls.push((instruction.near_branch_target(), depth + 8));
            } else if jump || instruction.is_jcc_short_or_near() {
                let target = instruction.near_branch_target();
                if inside(target) {
                    work.push((target, depth, frame));
                } else {
                    calls.push((target, depth));
                }
            }
            if jump || instruction.is_jmp_near_indirect() || ENDS.contains(&instruction.mnemonic()) {
                break;
            }
        }
    }
    calls
}

/// What an instruction does to the stack pointer.
fn step(instruction: &Instruction, depth: i64, frame: i64) -> (i64, i64) {
    let to_rsp = instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::RSP;
    let immediate = || instruction.immediate(1).cast_signed();
    match instruction.mnemonic() {
        Mnemonic::Push | Mnemonic::Pushfq => (depth + 8, frame),
        Mnemonic::Pop | Mnemonic::Popfq => (depth - 8, frame),
        Mnemonic::Sub if to_rsp && instruction.op1_kind() != OpKind::Register => (depth + immediate(), frame),
        Mnemonic::Add if to_rsp && instruction.op1_kind() != OpKind::Register => (depth - immediate(), frame),
        Mnemonic::Mov if instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::RBP => {
            let from_rsp = instruction.op1_kind() == OpKind::Register && instruction.op1_register() == Register::RSP;
            (depth, if from_rsp { depth } else { frame })
        }
        Mnemonic::Lea if to_rsp && instruction.memory_base() == Register::RBP => {
            (frame - instruction.memory_displacement64().cast_signed(), frame)
        }
        Mnemonic::Leave => (frame - 8, frame),
        _ => (depth, frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_along_branches_and_tail_calls() {
        // push rbp; mov rbp,rsp; sub rsp,0x20; test eax,eax; je +6; call +0x100; leave(at je's end); ret
        let code = [
            0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0x85, 0xc0, 0x74, 0x05, 0xe8, 0x00, 0x01, 0, 0, 0xc9, 0xe9,
            0x00, 0x02, 0, 0,
        ];
        assert_eq!(walk(0x1000, &code), [(0x1111, 48), (0x1217, 0)]);
    }

    #[test]
    fn a_hook_is_compared_with_the_originals_way_to_the_same_function() {
        let calls = HashMap::from([
            // The original: 100 bytes to 2, 50 more to 3.
            (1, vec![(2, 100)]),
            (2, vec![(3, 50)]),
            // The hook at 100: through a function of its own to 3, and to 4, where the original never goes.
            (100, vec![(101, 80)]),
            (101, vec![(3, 120), (4, 60)]),
        ]);
        let stacks = Stacks { calls };
        assert_eq!(stacks.deeper(100, 1, 100), Some(Deeper { bytes: 50, depth: 200, callee: 3 }));
    }
}
