// SPDX-License-Identifier: GPL-2.0-or-later
//! Finds the places that lead to the payload: trap-table entries with `traps`, `call rel32` sites with `calls`.

use crate::error::Miss;
use crate::kernel::{KernelElf, Layouts, References};
use crate::payload_abi::{Hook, Site};
use crate::plan::calls::Calls;
use crate::plan::site::FoundSite;
use crate::plan::traps::Table;

/// Finds the sites of `hooks`; what is not found as expected is added to `misses`.
pub fn find(
    hooks: &[Hook],
    kernel: &KernelElf,
    layouts: &Layouts,
    references: &References,
    misses: &mut Vec<Miss>,
) -> Vec<FoundSite> {
    let calls = Calls { kernel, references };
    let mut sites = Vec::new();
    for hook in hooks {
        let mut missed = Vec::new();
        let found = match hook.site {
            Site::Trap { number, original } => Table::find(kernel, layouts, hook.symbol)
                .and_then(|table| table.site(hook, number, original))
                .map(|site| vec![site]),
            Site::Calls { target, count } => calls.all(hook, target, count),
            Site::CallsIn { target, callers, others } => Ok(calls.inside(hook, target, callers, others, &mut missed)),
        };
        match found {
            Ok(found) => sites.extend(found),
            Err(miss) => missed.push(miss),
        }
        // One thing that is missing has one line, however many hooks need it.
        for miss in missed {
            if !misses.contains(&miss) {
                misses.push(miss);
            }
        }
    }
    sites
}
