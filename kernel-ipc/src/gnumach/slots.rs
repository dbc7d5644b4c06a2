// SPDX-License-Identifier: GPL-2.0-or-later
//! The facts about the kernel that the instrumenter filled in: as a table, and as parts of instructions.

use core::ffi::c_char;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::payload_abi::{
    ABSENT, HEADER_WORDS, KERNEL_BASE, MAGIC, Need, SLOT_WORDS, SLOTS, Slot, UNFILLED, VERSION, every_slot,
};

// SAFETY (of every call below): the prototype in the DWARF of the kernels this payload is linked against.
unsafe extern "C" {
    fn printf(format: *const c_char, ...) -> i32;
}

/// Filled by the instrumenter before boot.
#[unsafe(no_mangle)]
static rpctrace2_slots: [AtomicU64; SLOT_WORDS] = {
    let mut words = [const { AtomicU64::new(UNFILLED) }; SLOT_WORDS];
    words[0] = AtomicU64::new(MAGIC);
    words[1] = AtomicU64::new(VERSION);
    words[2] = AtomicU64::new(SLOTS.len() as u64);
    words
};

/// A slot's value from the table, where it is more than an offset.
pub(super) fn fact(slot: Slot) -> usize {
    rpctrace2_slots[HEADER_WORDS + slot as usize].load(Relaxed) as usize
}

macro_rules! offsets {
    ($($name:ident)*) => {
        /// A slot's value as a part of the instruction that uses it.
        #[inline(always)]
        pub(super) fn slot(slot: Slot) -> usize {
            // SAFETY: symbols that the instrumenter defines; only their addresses are used, which are the slots' values.
            unsafe extern "C" {
                $(#[link_name = concat!("rpctrace2_slot_", stringify!($name))] static $name: u8;)*
            }
            match slot {
                $(Slot::$name => (&raw const $name) as usize,)*
            }
        }
    };
}

every_slot!(offsets);

/// Whether the kernel is one for several processors.
pub(crate) fn has_locks() -> bool {
    fact(Slot::port_lock) as u64 != ABSENT
}

macro_rules! names {
    ($($name:ident)*) => {
        concat!($(stringify!($name), "\0"),*)
    };
}

/// Names of the slots, each with a NUL: what is said about a slot in the kernel. The rest of [`SLOTS`] stays outside.
static NAMES: &str = every_slot!(names);

/// What the slots can hold.
static PLAUSIBLE: [Plausible; SLOTS.len()] = {
    let mut plausible = [Plausible::Offset; SLOTS.len()];
    let mut index = 0;
    while index < SLOTS.len() {
        plausible[index] = Plausible::of(&SLOTS[index].need);
        index += 1;
    }
    plausible
};

/// Whether the instrumenter filled every slot with something believable; says on the console what is wrong.
#[inline(never)]
pub(crate) fn check_slots() -> bool {
    let values = rpctrace2_slots.iter().skip(HEADER_WORDS);
    for ((name, plausible), word) in NAMES.split('\0').zip(&PLAUSIBLE).zip(values) {
        let value = word.load(Relaxed);
        if value == UNFILLED || !plausible.allows(value) {
            // SAFETY: the format is NUL-terminated and matches the arguments; `%.*s` reads exactly `len` bytes of `name`.
            unsafe {
                printf(
                    c"rpctrace2: slot %.*s of the payload holds 0x%lx, not a value of this kernel: trace port off\n"
                        .as_ptr(),
                    name.len() as i32,
                    name.as_ptr(),
                    value,
                )
            };
            return false;
        }
    }
    true
}

/// Says on the console that the trace port is there.
pub(crate) fn announce() {
    // SAFETY: the format is NUL-terminated and matches the argument.
    unsafe { printf(c"rpctrace2: trace port armed, payload version %d\n".as_ptr(), VERSION as i32) };
}

/// What a slot's value can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plausible {
    /// An address in the kernel, or an offset from `%gs`.
    Place,
    /// An offset into a struct, or no lock.
    OffsetOrAbsent,
    /// An offset into a struct.
    Offset,
}

impl Plausible {
    /// What the values for a need can be.
    const fn of(need: &Need) -> Self {
        match need {
            Need::PerCpu { .. } => Self::Place,
            Need::Lock { .. } => Self::OffsetOrAbsent,
            _ => Self::Offset,
        }
    }

    /// Whether a value is one of them.
    fn allows(self, value: u64) -> bool {
        const MAX_OFFSET: u64 = 0x10_0000;
        match self {
            Self::Place => !(MAX_OFFSET..KERNEL_BASE).contains(&value),
            Self::OffsetOrAbsent => value == ABSENT || value < MAX_OFFSET,
            Self::Offset => value < MAX_OFFSET,
        }
    }
}
