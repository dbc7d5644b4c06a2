// SPDX-License-Identifier: GPL-2.0-or-later
//! Follows what the guest program bench-steps marks, instruction by instruction: what runs in the kernel, and how deep its
//! stacks get. The machine takes no interrupts meanwhile, so that the same comes out at every run.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::bench::results::BenchError;
use crate::kernel::Declarations;
use crate::kernel::KernelElf;
use crate::kernel::facts;
use crate::payload_abi::{KERNEL_BASE, Need, SlotSpec};
use crate::vm::gdb::{Debugger, Registers};

/// Symbol in the program, called with the number of a part and `MAGIC`; 0 ends the part (mach::sys::mark).
pub const MARK: &str = "rpctrace2_mark";
/// Tells that function from what other programs have at its address.
const MAGIC: u64 = u64::from_le_bytes(*b"rpc2mark");
/// The number of what is not to be followed.
const PRACTICE: u64 = u32::MAX as u64;
/// `KERNEL_STACK_SIZE` of vm_param.h; stacks are aligned to it.
const STACK: u64 = 4096;
/// Instructions after which a part is taken for endless.
const MOST: u64 = 1_000_000;

/// Where the debugger looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The program's [`MARK`].
    pub mark: u64,
    /// The kernel's pointer to the lowest byte of the stack in use.
    pub active_stack: u64,
}

/// What ran in the kernel between two marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How often an instruction at an address was executed.
    pub executed: BTreeMap<u64, u64>,
    /// Most bytes of a kernel stack in use.
    pub deepest: u64,
    /// The instruction before which they were.
    pub deepest_at: u64,
}

/// The kernel's array with what belongs to one processor each.
const PER_CPU: &str = "percpu_array";

/// The pointer to the lowest byte of the stack in use, of a processor.
pub const ACTIVE_STACK: SlotSpec = SlotSpec {
    name: "active_stack",
    symbol: "",
    need: Need::PerCpu { array: PER_CPU, of: "percpu", member: "active_stack" },
};

/// Where `active_stack` of the first processor is.
pub fn active_stack(kernel: &KernelElf) -> Result<u64, BenchError> {
    let specs = [ACTIVE_STACK];
    let declared = Declarations::of(kernel);
    let layouts = declared.and_then(|declared| declared.layouts(&facts::wanted_structs(&specs)));
    let layouts = layouts.map_err(|error| error.to_string());
    let mut misses = Vec::new();
    let found = layouts.map(|layouts| facts::fill(&specs, kernel, &layouts, &mut misses));
    match found.as_deref() {
        Ok([slot]) if slot.value >= KERNEL_BASE => Ok(slot.value),
        // An offset from %gs, which is the first element for the first processor.
        Ok([slot]) => match kernel.symbol(PER_CPU, "the bench") {
            Ok(array) => Ok(array.address + slot.value),
            Err(miss) => Err(BenchError::Stack { why: miss.to_string() }),
        },
        Err(why) => Err(BenchError::Stack { why: why.clone() }),
        Ok(_) => Err(BenchError::Stack { why: format!("not on this kernel: {misses:?}") }),
    }
}

/// Lets the machine in `directory` run to its end and follows every part.
pub fn follow(directory: &Path, places: Places) -> io::Result<BTreeMap<u64, Part>> {
    let mut debugger = Debugger::connect(directory)?;
    let found = follow_parts(&mut debugger, places);
    if found.is_err() {
        // The machine shall end by itself.
        let _ = debugger.detach();
    }
    found
}

fn follow_parts(debugger: &mut Debugger, places: Places) -> io::Result<BTreeMap<u64, Part>> {
    let mut parts = BTreeMap::new();
    debugger.set_breakpoint(places.mark)?;
    while debugger.resume()? {
        let at = debugger.registers()?;
        debugger.clear_breakpoint(places.mark)?;
        match marked(&at, places) {
            Some(number @ 1..PRACTICE) => {
                parts.insert(number, follow_part(debugger, places)?);
            }
            _ => debugger.step()?,
        }
        // Not before the instruction after it, where it would stop at once.
        if debugger.registers()?.rip == places.mark {
            debugger.step()?;
        }
        debugger.set_breakpoint(places.mark)?;
    }
    Ok(parts)
}

/// Steps until the mark that ends the part.
fn follow_part(debugger: &mut Debugger, places: Places) -> io::Result<Part> {
    let mut part = Part::default();
    let mut stack = 0;
    for _ in 0..MOST {
        debugger.step()?;
        let at = debugger.registers()?;
        if marked(&at, places) == Some(0) {
            return Ok(part);
        }
        if at.rip < KERNEL_BASE {
            continue;
        }
        *part.executed.entry(at.rip).or_default() += 1;
        // Part of the way in and out of the kernel runs on other stacks.
        if at.rsp.wrapping_sub(1) & !(STACK - 1) != stack {
            stack = debugger.word(places.active_stack)?;
        }
        let used = stack.wrapping_add(STACK).wrapping_sub(at.rsp);
        if used <= STACK && used > part.deepest {
            (part.deepest, part.deepest_at) = (used, at.rip);
        }
    }
    Err(io::Error::other(format!("a part of bench-steps has more than {MOST} instructions")))
}

/// The number of the part whose mark comes next.
fn marked(at: &Registers, places: Places) -> Option<u64> {
    (at.rip == places.mark && at.rsi == MAGIC).then_some(at.rdi)
}

/// `step NUMBER NAME` lines of the program.
pub fn names(output: &str) -> Result<BTreeMap<u64, String>, BenchError> {
    let line = |line: &str| -> Option<(u64, String)> {
        let (number, name) = line.strip_prefix("step ")?.split_once(' ')?;
        Some((number.parse().ok()?, name.to_owned()))
    };
    let steps = output.lines().filter(|text| text.starts_with("step "));
    steps.map(|text| line(text).ok_or_else(|| BenchError::Line { line: text.to_owned() })).collect()
}

impl Part {
    /// Instructions in the kernel.
    pub fn instructions(&self) -> u64 {
        self.executed.values().sum()
    }

    /// Instructions by function, most first.
    pub fn by_function(&self, name: impl Fn(u64) -> String) -> Vec<(String, u64)> {
        let mut functions: BTreeMap<String, u64> = BTreeMap::new();
        for (&address, &count) in &self.executed {
            *functions.entry(name(address)).or_default() += count;
        }
        let mut sorted: Vec<(String, u64)> = functions.into_iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_counted_by_function() {
        let part = Part { executed: BTreeMap::from([(10, 1), (11, 2), (20, 5)]), ..Part::default() };
        assert_eq!(part.instructions(), 8);
        let name = |address: u64| if address < 20 { "a" } else { "b" }.to_owned();
        assert_eq!(part.by_function(name), [("b".to_owned(), 5), ("a".to_owned(), 3)]);
    }

    #[test]
    fn names_are_read_and_damaged_ones_refused() {
        let names = names("step 1 kernel RPC\nhello\nstep 2 task RPC\n").unwrap();
        assert_eq!(names, BTreeMap::from([(1, "kernel RPC".to_owned()), (2, "task RPC".to_owned())]));
        assert!(super::names("step one x").is_err());
    }
}
