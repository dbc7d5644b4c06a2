// SPDX-License-Identifier: GPL-2.0-or-later
//! Facts about the kernel that are parts of instructions: symbols of the link.

use super::{KERNEL_BASE, SLOTS, Slot, SlotSpec, UNFILLED};

/// Symbols that the instrumenter defines for the link, because instructions have the values of slots in them: every slot's
/// own, and how to load the pointer to the current thread.
pub fn link_symbols(slot: impl Fn(&SlotSpec) -> u64) -> impl Iterator<Item = (&'static str, u64)> {
    let current_thread = SLOTS.get(Slot::current_thread as usize).map_or(UNFILLED, &slot);
    // Prefixes of an instruction; the one for %ds has no meaning in 64-bit mode.
    let segment = if current_thread < KERNEL_BASE { GS_PREFIX } else { DS_PREFIX };
    let loading = [
        ("rpctrace2_current_thread_segment", segment),
        // The processor extends the sign of a 32-bit address.
        ("rpctrace2_current_thread_address", current_thread & 0xffff_ffff),
    ];
    loading.into_iter().chain(SLOTS.iter().map(move |spec| (spec.symbol, slot(spec))))
}

const GS_PREFIX: u64 = 0x65;
const DS_PREFIX: u64 = 0x3e;
