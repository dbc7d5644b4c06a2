// SPDX-License-Identifier: GPL-2.0-or-later
//! Which direct calls in the kernel's text a hook takes over.

use std::collections::BTreeMap;

use crate::error::Miss;
use crate::kernel::references::{Lead, Reference, References};
use crate::kernel::{KernelElf, bounds};
use crate::payload_abi::{Hook, Kernels, Others};
use crate::plan::site::FoundSite;

/// Opcode of `jmp rel32`.
const JUMP: u8 = 0xe9;

/// The direct calls of all hooked functions.
pub(super) struct Calls<'a> {
    pub(super) kernel: &'a KernelElf,
    pub(super) references: &'a References,
}

impl Calls<'_> {
    /// All calls of `target`, of which there must be `count`.
    pub(super) fn all(&self, hook: &Hook, target: &str, count: usize) -> Result<Vec<FoundSite>, Miss> {
        let address = self.kernel.symbol(target, hook.symbol)?.address;
        let mut calls: Vec<Reference> = self.references.calls(address).copied().collect();
        calls.extend(self.references.to(address).filter(|jump| is_last_call(self.kernel, jump)).copied());
        if calls.len() != count {
            return Err(Miss::CallCount {
                target: target.to_owned(),
                wanted_by: hook.symbol.to_owned(),
                expected: count,
                sites: self.describe(&calls),
            });
        }
        calls.iter().map(|call| self.found(hook, target, call)).collect()
    }

    /// The calls of `target` in each of `callers`, after a look at who else calls it.
    pub(super) fn inside(
        &self,
        hook: &Hook,
        target: &str,
        callers: &[&str],
        others: Others,
        misses: &mut Vec<Miss>,
    ) -> Vec<FoundSite> {
        let address = match self.kernel.symbol(target, hook.symbol) {
            Ok(symbol) => symbol.address,
            Err(miss) => {
                misses.push(miss);
                return Vec::new();
            }
        };
        let mut left: Vec<Reference> = self.references.calls(address).copied().collect();
        let mut taken = Vec::new();
        for caller in callers {
            taken.extend(self.take(hook, target, caller, &mut left, misses));
        }
        if hook.kernels != Kernels::All {
            let is_part = |call: &Reference| {
                call.function.is_some_and(|function| split_off(&self.kernel.name(function), callers))
            };
            taken.extend(left.extract_if(.., |call| is_part(call)));
        }
        if let Others::Only(list) = others {
            for other in list {
                self.take(hook, target, other, &mut left, misses);
            }
        }
        self.refuse_unknown(hook, target, callers, others, &left, misses);
        let mut sites = Vec::new();
        for call in &taken {
            match self.found(hook, target, call) {
                Ok(site) => sites.push(site),
                Err(miss) => misses.push(miss),
            }
        }
        sites
    }

    /// Moves the calls that are in `caller` out of `left`; there must be one where every kernel has it.
    fn take(
        &self,
        hook: &Hook,
        target: &str,
        caller: &str,
        left: &mut Vec<Reference>,
        misses: &mut Vec<Miss>,
    ) -> Vec<Reference> {
        let symbol = match self.kernel.symbol(caller, hook.symbol) {
            Ok(symbol) => symbol,
            Err(miss) => {
                misses.push(miss);
                return Vec::new();
            }
        };
        let range = match bounds(self.kernel, symbol, hook.symbol) {
            Ok(range) => range,
            Err(miss) => {
                misses.push(miss);
                // Its calls are not those of a stranger.
                left.retain(|call| call.function != Some(symbol.address));
                return Vec::new();
            }
        };
        let inside: Vec<Reference> = left.extract_if(.., |call| range.contains(&call.site)).collect();
        if inside.is_empty() && hook.kernels == Kernels::All {
            misses.push(Miss::NoCall {
                target: target.to_owned(),
                caller: caller.to_owned(),
                wanted_by: hook.symbol.to_owned(),
            });
        }
        inside
    }

    /// One miss for every function that makes one of the calls `left` and should not.
    fn refuse_unknown(
        &self,
        hook: &Hook,
        target: &str,
        callers: &[&str],
        others: Others,
        left: &[Reference],
        misses: &mut Vec<Miss>,
    ) {
        let mut by_function: BTreeMap<u64, Vec<Reference>> = BTreeMap::new();
        for call in left {
            by_function.entry(call.function.unwrap_or(call.site)).or_default().push(*call);
        }
        for (function, calls) in by_function {
            let caller = self.kernel.name(function);
            if others == Others::Any && !split_off(&caller, callers) {
                continue;
            }
            misses.push(Miss::UnknownCaller {
                target: target.to_owned(),
                caller,
                wanted_by: hook.symbol.to_owned(),
                sites: self.describe(&calls),
            });
        }
    }

    fn found(&self, hook: &Hook, target: &str, call: &Reference) -> Result<FoundSite, Miss> {
        let place = self.kernel.describe(call.site);
        FoundSite::call(self.kernel, hook, call.site, format!("call {target} in {place}"))
    }

    fn describe(&self, calls: &[Reference]) -> Vec<String> {
        calls.iter().map(|call| self.kernel.describe(call.site)).collect()
    }
}

/// Whether a reference is a call at the end of a function, of which the compiler has made a jump: one of five bytes from another function. Kernels
/// with a debugger are built without these.
pub(super) fn is_last_call(kernel: &KernelElf, reference: &Reference) -> bool {
    let is_long = || kernel.read(reference.site, 1) == Some(&[JUMP]);
    kernel.is_stripped()
        && reference.lead == Lead::Jump
        && reference.function.is_some_and(|function| function != reference.target)
        && is_long()
}

/// Whether `function` is a part that GCC has split off one of `callers`: it names them F.cold, F.part.0 and the like.
pub(super) fn split_off(function: &str, callers: &[&str]) -> bool {
    function.split_once('.').is_some_and(|(whole, _)| callers.contains(&whole))
}
