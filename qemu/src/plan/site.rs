// SPDX-License-Identifier: GPL-2.0-or-later
//! A place in the stock kernel that a hook takes over, and the ways to lead it to the payload.

use std::path::Path;

use crate::error::{InstrumentError, Miss};
use crate::kernel::KernelElf;
use crate::payload_abi::{Hook, Site, When};
use crate::plan::Patch;
use crate::plan::switches::Switch;

/// Length of `call rel32`.
pub(super) const CALL: u64 = 5;

/// Length of a pointer.
pub(super) const POINTER: u64 = 8;

/// How a place comes to lead to a symbol of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The file is patched.
    Patched(&'static str),
    /// The payload itself writes the place, while somebody is traced.
    Switched(&'static str),
}

impl Way {
    /// The way of `hook` on a kernel for one processor, or for several.
    pub fn of(hook: &Hook, one_processor: bool) -> Self {
        match (hook.when, hook.site) {
            (When::Traced { traced }, Site::Trap { .. }) => Self::Switched(traced),
            // A rel32 has no alignment: another processor could execute half of it.
            (When::Traced { traced }, Site::Calls { .. } | Site::CallsIn { .. }) if one_processor => {
                Self::Switched(traced)
            }
            (When::Traced { .. } | When::Always, _) => Self::Patched(hook.symbol),
        }
    }

    /// Where the place leads.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Patched(symbol) | Self::Switched(symbol) => symbol,
        }
    }
}

/// A place in the stock kernel that one hook takes over.
#[derive(Clone, Debug)]
pub struct FoundSite {
    /// The hook.
    pub hook: Hook,
    address: u64,
    file_offset: u64,
    old: Vec<u8>,
    call: bool,
    evidence: String,
}

impl FoundSite {
    /// The `call rel32`, or `jmp rel32`, at `site`.
    pub(super) fn call(kernel: &KernelElf, hook: &Hook, site: u64, evidence: String) -> Result<Self, Miss> {
        let (file_offset, old) = in_file(kernel, hook, site, CALL)?;
        Ok(Self { hook: *hook, address: site, file_offset, old, call: true, evidence })
    }

    /// The pointer at `address`, and what it holds.
    pub(super) fn pointer(
        kernel: &KernelElf,
        hook: &Hook,
        address: u64,
        evidence: String,
    ) -> Result<(Self, u64), Miss> {
        let (file_offset, old) = in_file(kernel, hook, address, POINTER)?;
        let found = old.first_chunk().map_or(0, |&word| u64::from_le_bytes(word));
        Ok((Self { hook: *hook, address, file_offset, old, call: false, evidence }, found))
    }

    /// Whether it is the call at `address`.
    pub(super) fn is_at(&self, address: u64) -> bool {
        self.call && self.address == address
    }

    /// Where the pointer is that this place consists of, and what it holds.
    pub(super) fn pointer_to(&self) -> Option<(u64, u64)> {
        let word = self.old.first_chunk().filter(|_| !self.call)?;
        Some((self.address, u64::from_le_bytes(*word)))
    }

    /// The patch that sends this place to `target`.
    pub fn patch(&self, target: u64, archive: &Path) -> Result<Patch, InstrumentError> {
        Ok(Patch {
            what: format!("{} = {target:#x}", self.hook.symbol),
            address: self.address,
            file_offset: self.file_offset,
            old: self.old.clone(),
            new: self.leading_to(target, archive)?,
            evidence: self.evidence.clone(),
            purpose: self.hook.purpose.to_owned(),
        })
    }

    /// What the payload has to write to send this place to its `symbol` at `target`, and to send it back.
    pub fn switch(&self, symbol: &str, target: u64, archive: &Path) -> Result<Switch, InstrumentError> {
        // The opcode of a call stays.
        let opcode = if self.call { 1 } else { 0 };
        Ok(Switch {
            what: format!("{symbol} = {target:#x}"),
            address: self.address + opcode as u64,
            file_offset: self.file_offset + opcode as u64,
            stock: self.old[opcode..].to_vec(),
            traced: self.leading_to(target, archive)?[opcode..].to_vec(),
            evidence: self.evidence.clone(),
            purpose: self.hook.purpose.to_owned(),
        })
    }

    fn leading_to(&self, target: u64, archive: &Path) -> Result<Vec<u8>, InstrumentError> {
        if !self.call {
            return Ok(target.to_le_bytes().to_vec());
        }
        let distance = target.wrapping_sub(self.address + CALL).cast_signed();
        let rel32 = i32::try_from(distance).map_err(|_| InstrumentError::Payload {
            path: archive.to_owned(),
            why: format!("{} at {target:#x} is too far from {:#x} for a call", self.hook.symbol, self.address),
        })?;
        // Of a call, or of a jump in the place of one.
        Ok([&self.old[..1], &rel32.to_le_bytes()].concat())
    }
}

/// Where `len` bytes of a segment are in the file, and what they are.
fn in_file(kernel: &KernelElf, hook: &Hook, address: u64, len: u64) -> Result<(u64, Vec<u8>), Miss> {
    let offset = kernel.file_offset(address, len);
    let found = offset.zip(kernel.read(address, len));
    found.map(|(offset, bytes)| (offset, bytes.to_vec())).ok_or_else(|| Miss::NoBytes {
        address,
        len,
        wanted_by: hook.symbol.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_abi::Kernels;

    const CALLS: Site = Site::Calls { target: "t", count: 1 };
    const TRAP: Site = Site::Trap { number: 1, original: "t" };
    const TRACED: When = When::Traced { traced: "later" };

    fn way(site: Site, when: When, one_processor: bool) -> Way {
        Way::of(&Hook { symbol: "hook", site, when, kernels: Kernels::All, purpose: "" }, one_processor)
    }

    #[test]
    fn what_is_always_there_is_in_the_file() {
        for site in [CALLS, TRAP] {
            assert_eq!(way(site, When::Always, true), Way::Patched("hook"));
            assert_eq!(way(site, When::Always, false), Way::Patched("hook"));
        }
    }

    #[test]
    fn a_call_is_switched_only_where_no_other_processor_can_be_in_it() {
        assert_eq!(way(CALLS, TRACED, true), Way::Switched("later"));
        assert_eq!(way(CALLS, TRACED, false), Way::Patched("hook"));
        assert_eq!(way(TRAP, TRACED, true), Way::Switched("later"));
        assert_eq!(way(TRAP, TRACED, false), Way::Switched("later"));
    }
}
