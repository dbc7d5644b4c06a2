// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's machine code, function by function.

use crate::kernel::elf::KernelElf;

/// Address and bytes of every function, in order of address; data between functions is left out.
pub fn functions(kernel: &KernelElf) -> Vec<(u64, &[u8])> {
    let mut symbols: Vec<(u64, u64)> =
        kernel.symbols().iter().filter(|symbol| symbol.code).map(|symbol| (symbol.address, symbol.size)).collect();
    // Of several names for one address the largest size counts.
    symbols.sort_by_key(|&(address, size)| (address, std::cmp::Reverse(size)));
    symbols.dedup_by_key(|&mut (address, _)| address);
    let mut functions = Vec::new();
    let mut covered = 0;
    for (index, &(address, size)) in symbols.iter().enumerate() {
        // A label inside a function, such as one of the fault-recovery addresses, is decoded with the function.
        if address < covered {
            continue;
        }
        let Some(section) = kernel.text().iter().find(|s| address >= s.address && address - s.address < s.size) else {
            continue;
        };
        let section_end = section.address + section.size;
        // Assembly labels have no size: they reach to the next label.
        let next = symbols.get(index + 1).map_or(section_end, |&(next, _)| next);
        let end = if size == 0 { next.min(section_end) } else { address.saturating_add(size).min(section_end) };
        if let Some(code) = kernel.read(address, end - address) {
            functions.push((address, code));
            covered = end;
        }
    }
    functions
}
