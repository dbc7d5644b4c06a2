// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a function begins and ends.

use std::ops::Range;

use gimli::{BaseAddresses, EhFrame, LittleEndian as Le, UnwindSection};
use object::{Object, ObjectSection};

use crate::error::Miss;
use crate::kernel::elf::{KernelElf, Symbol};

/// The addresses of the function `symbol`: by the symbol table, or, where that gives no size, by the unwind table.
pub fn bounds(kernel: &KernelElf, symbol: &Symbol, wanted_by: &str) -> Result<Range<u64>, Miss> {
    let size = match symbol.size {
        0 => size_of_entry(kernel.bytes(), symbol.address),
        size => Some(size),
    };
    let end = size.and_then(|size| symbol.address.checked_add(size));
    end.map(|end| symbol.address..end).ok_or_else(|| Miss::Bounds {
        function: symbol.name.clone(),
        address: symbol.address,
        wanted_by: wanted_by.to_owned(),
    })
}

/// How many bytes the entry of `.eh_frame` covers that begins at `address`.
fn size_of_entry(elf: &[u8], address: u64) -> Option<u64> {
    let file = object::File::parse(elf).ok()?;
    let section = file.section_by_name(".eh_frame")?;
    let table = EhFrame::new(section.data().ok()?, Le);
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    let mut entries = table.entries(&bases);
    while let Some(entry) = entries.next().ok()? {
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        let entry = partial.parse(EhFrame::cie_from_offset).ok()?;
        if entry.initial_address() == address {
            return Some(entry.len()).filter(|&size| size != 0);
        }
    }
    None
}
