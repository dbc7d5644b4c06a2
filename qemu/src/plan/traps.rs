// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's trap table: the entries that are redirected, and that nothing in it is unknown.

use crate::error::Miss;
use crate::kernel::{KernelElf, Layouts};
use crate::payload_abi::{Hook, NO_TRAP, TRAPS, TrapKind};
use crate::plan::site::{FoundSite, POINTER};

/// Symbol of the trap table.
pub(super) const TRAP_TABLE: &str = "mach_trap_table";

/// C name of an entry's type.
pub const TRAP_TYPE: &str = "mach_trap_t";

/// Its member that holds the function.
pub const TRAP_FUNCTION: &str = "mach_trap_function";

/// More entries than any table has; the check of a damaged one shall end.
const MAX_TRAPS: u64 = 1024;

/// The trap table of a kernel.
pub(super) struct Table<'a> {
    kernel: &'a KernelElf,
    address: u64,
    size: u64,
    entry: u64,
    function: u64,
}

impl<'a> Table<'a> {
    pub(super) fn find(kernel: &'a KernelElf, layouts: &Layouts, wanted_by: &str) -> Result<Self, Miss> {
        let symbol = kernel.symbol(TRAP_TABLE, wanted_by)?;
        let layout = layouts.layout(TRAP_TYPE, TRAP_TABLE)?;
        let function = layout.field(TRAP_FUNCTION, TRAP_TABLE)?.bit_offset / 8;
        Ok(Self { kernel, address: symbol.address, size: symbol.size, entry: layout.size, function })
    }

    /// The place of `hook` in the table.
    pub(super) fn site(&self, hook: &Hook, number: u32, original: &str) -> Result<FoundSite, Miss> {
        let expected = self.kernel.symbol(original, hook.symbol)?.address;
        let place = u64::from(number) * self.entry + self.function;
        let address = self.address.wrapping_add(place);
        let miss = |found: String| Miss::Trap {
            number,
            wanted_by: hook.symbol.to_owned(),
            expected: format!("{original} ({expected:#x})"),
            found,
        };
        if place + POINTER > self.size {
            return Err(miss(format!("the end of the table after {} bytes", self.size)));
        }
        // Another processor reads it while the payload writes it.
        if !address.is_multiple_of(POINTER) {
            return Err(miss(format!("a pointer at {address:#x}, which is not aligned")));
        }
        let evidence = format!("{TRAP_TABLE}[{number}].{TRAP_FUNCTION} = {original}");
        let (site, found) = FoundSite::pointer(self.kernel, hook, address, evidence)?;
        if found != expected {
            return Err(miss(format!("{} ({found:#x})", self.kernel.describe(found))));
        }
        Ok(site)
    }

    /// Refuses entries that nobody has thought about: one of them may stand in for an RPC.
    pub(super) fn check(&self, misses: &mut Vec<Miss>) {
        let count = self.size / self.entry.max(1);
        let entries = 0..u32::try_from(count).unwrap_or(u32::MAX);
        if self.entry == 0 || !self.size.is_multiple_of(self.entry) || count > MAX_TRAPS {
            misses.push(Miss::TrapTable { size: self.size, entry: self.entry });
            return;
        }
        let absent: Vec<u64> = NO_TRAP
            .iter()
            .filter_map(|name| self.kernel.symbol(name, TRAP_TABLE).ok())
            .map(|found| found.address)
            .collect();
        for number in entries {
            let place = self.address.wrapping_add(u64::from(number) * self.entry).wrapping_add(self.function);
            let word = self.kernel.read(place, POINTER).and_then(<[u8]>::first_chunk);
            let found = word.copied().map(u64::from_le_bytes);
            let known = TRAPS.iter().find(|trap| trap.number == number);
            // The others have hooks, whose sites have been looked at.
            if known.is_some_and(|trap| trap.kind != TrapKind::Local) {
                continue;
            }
            let address = known.and_then(|trap| self.kernel.symbol(trap.function, TRAP_TABLE).ok()).map(|s| s.address);
            if found.is_some_and(|found| absent.contains(&found) || Some(found) == address) {
                continue;
            }
            let expected = known.map_or(NO_TRAP[0], |trap| trap.function);
            let found = found.map_or_else(|| "nothing".to_owned(), |found| self.kernel.describe(found));
            misses.push(Miss::UnknownTrap { number, expected: expected.to_owned(), found });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::payload_abi::{HOOKS, Site, TRAPS, TrapKind};

    #[test]
    fn every_trap_that_says_what_an_rpc_does_or_sends_has_a_hook_and_no_other_has() {
        for trap in TRAPS {
            let site = Site::Trap { number: trap.number, original: trap.function };
            let hooked = HOOKS.iter().any(|hook| hook.site == site);
            assert_eq!(hooked, trap.kind != TrapKind::Local, "trap {}, {}", trap.number, trap.function);
        }
        let hooks = HOOKS.iter().filter(|hook| matches!(hook.site, Site::Trap { .. })).count();
        assert_eq!(hooks, TRAPS.iter().filter(|trap| trap.kind != TrapKind::Local).count());
    }

    #[test]
    fn the_list_is_in_order() {
        assert!(TRAPS.is_sorted_by(|a, b| a.number < b.number));
    }
}
