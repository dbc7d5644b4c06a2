// SPDX-License-Identifier: GPL-2.0-or-later
//! Leads the kernel's message path through the payload, or past it, while it runs.
//!
//! The instrumenter leaves the places alone in the kernel's file and lists them here with both values. On a kernel for one
//! processor these are the calls themselves: nothing executes them meanwhile, and a kernel without kernel preemption runs none of the
//! path's functions but those that have called on. On a kernel for several processors another one may be executing a call, whose
//! bytes are not aligned: there the calls lead to jumps through the pointers below, and only pointers are listed.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{CallWord, slots};
use crate::payload_abi::{SWITCH_WORDS, SWITCHES, SwitchWord};

/// Filled by the instrumenter before boot.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rpctrace2.switches")]
static rpctrace2_switches: [[AtomicU32; SWITCH_WORDS]; SWITCHES] =
    [const { [const { AtomicU32::new(0) }; SWITCH_WORDS] }; SWITCHES];

/// What tells the times apart at which it has been led through the payload: see [`CallWord`]. The stubs read it, too.
#[unsafe(no_mangle)]
static rpctrace2_period: AtomicU32 = AtomicU32::new(0);

/// That of now, or of the last time; 0 before the first.
#[inline(always)]
pub(crate) fn period() -> u32 {
    rpctrace2_period.load(Relaxed)
}

/// How many jumps a kernel for several processors has.
pub(crate) const JUMPS: usize = 13;

// SAFETY (of every use below): the table that arch::stubs lays out: for each jump where it leads, where it leads while nobody is
// traced, and where while somebody is.
unsafe extern "C" {
    static rpctrace2_jumps: [[AtomicU64; 3]; JUMPS];
}

/// Leads the jumps of a kernel for several processors.
fn lead(is_traced: bool) {
    // SAFETY: atomics of the payload's own.
    for [now, stock, traced] in unsafe { &rpctrace2_jumps } {
        let code = if is_traced { traced } else { stock };
        now.store(code.load(Relaxed), Relaxed);
    }
}

/// `CR0_WP`: the kernel, too, may not write where it may only read.
const CR0_WP: u64 = 1 << 16;

/// Leads everything to the payload, or past it. Either is right at any time for who is not traced.
#[inline(never)]
pub(super) fn redirect(is_traced: bool) {
    if is_traced {
        // Under the table's lock: nobody else does so at the same time.
        rpctrace2_period.store(CallWord::next_period(period()), Relaxed);
    }
    if slots::has_locks() {
        lead(is_traced);
    }
    let (flags, cr0): (u64, u64);
    // SAFETY: the kernel runs with all rights. With interrupts off nothing comes between this and the end of the function,
    // where flags and register are as they were.
    unsafe {
        asm!(
            "pushfq", "pop {flags}", "cli", "mov {cr0}, cr0", "mov {open}, {cr0}", "and {open}, {mask}", "mov cr0, {open}",
            flags = out(reg) flags, cr0 = out(reg) cr0, open = out(reg) _, mask = in(reg) !CR0_WP,
        );
    }
    for row in &rpctrace2_switches {
        let word = |word: SwitchWord| row.get(word as usize).map_or(0, |word| word.load(Relaxed));
        let value = word(if is_traced { SwitchWord::Traced } else { SwitchWord::Stock });
        // SAFETY: a row of the instrumenter's, and what is read-only may be written now.
        unsafe { write(word(SwitchWord::Place), value, word(SwitchWord::Bytes)) };
    }
    // SAFETY: gives back what was taken above.
    unsafe {
        asm!("mov cr0, {cr0}", "push {flags}", "popfq", flags = in(reg) flags, cr0 = in(reg) cr0);
    }
}

/// Changes a place of the table's; a row of zeros is none.
///
/// # Safety
/// They are of one row of the table, and the kernel's text may be written.
unsafe fn write(place: u32, value: u32, bytes: u32) {
    // The sign makes the upper half.
    let whole = |half: u32| half.cast_signed() as i64 as u64;
    let place = whole(place) as usize;
    match bytes {
        // SAFETY: the four bytes of a call that the instrumenter found in the kernel's text; nothing executes them meanwhile.
        4 => unsafe { (place as *mut u32).write_unaligned(value) },
        // SAFETY: an aligned pointer that the instrumenter found in the kernel's data, which is read with one instruction.
        8 => unsafe { (*(place as *const AtomicU64)).store(whole(value), Relaxed) },
        _ => {}
    }
}
