// SPDX-License-Identifier: GPL-2.0-or-later
//! The time of a record: reads the kernel's clock, its count of ticks and the processor's cycle counter for [`Clock`].
//!
//! The clock is read where user programs read it, from the page of the device "time", as it was at the last tick. The kernel's own
//! functions add what a finer timer has counted since. That goes back by up to a tick on kernels before c33f2719 and on those
//! for several processors, and costs a read of a device's register; and `record_time_stamp` does not follow a clock that is set.

use core::arch::x86_64::_rdtsc;

use super::ForOne;
use super::latch::Latch;
use crate::clock::{Clock, Sample};

// SAFETY (of every use below): the variables are in the DWARF of the kernels this payload is linked against.
unsafe extern "C" {
    /// Ticks since boot.
    static elapsed_ticks: u64;
    /// Microseconds in a tick.
    static tick: i32;
    /// The page that user programs read the time from, 0 until the clock is set up.
    static mtime: usize;
}

/// Words of `mapped_time_value_t` in mach/time_value.h, which user programs are built with. The kernel writes them in the order check,
/// microseconds, seconds.
const SECONDS: usize = 0;
const MICROSECONDS: usize = 1;
const CHECK_SECONDS: usize = 2;

/// How often it is read again while it is being written, which takes the clock interrupt a few instructions.
const TRIES: u32 = 100;

/// Whoever holds it reads all that tells the time, so that who holds it later reads later.
static CLOCK: Latch<Clock> = Latch::new(Clock::new());

/// What `number` gives for what happens now, and its time: nanoseconds since 1970 by the kernel's clock, but never less than before.
/// A later number never has an earlier time.
#[inline(always)]
pub(super) fn now(number: impl FnOnce() -> u64) -> (u64, u64) {
    let mut clock = CLOCK.lock();
    let number = number();
    let ticks = ticks();
    let time = match clock.within_tick(cycles(), ticks) {
        Some(time) => time,
        None => look_now(&mut clock),
    };
    (number, time)
}

/// [`now`], where the kernel has counted no tick since the last look; else none, and `number` has not been asked.
#[inline(always)]
pub(super) fn now_quickly(one: ForOne, number: impl FnOnce() -> u64) -> Option<(u64, u64)> {
    let mut clock = CLOCK.take(one)?;
    let time = clock.within_tick_quickly(cycles(), ticks())?;
    Some((number(), time))
}

#[inline(never)]
fn look_now(clock: &mut Clock) -> u64 {
    look(clock);
    clock.time()
}

/// Something that depends on when the kernel came so far, to the cycle, and that no program is told.
pub(crate) fn secret() -> u64 {
    let cycles = cycles();
    (cycles ^ cycles.rotate_left(32)).wrapping_mul(0xff51_afd7_ed55_8ccd) | 1
}

/// Looks at the clock, so that the counter's rate is known before the first record.
pub(crate) fn look_once() {
    look(&mut CLOCK.lock());
}

/// Nobody is traced any more.
pub(crate) fn rest() {
    CLOCK.lock().rest();
}

#[inline(never)]
fn look(clock: &mut Clock) {
    // SAFETY: a variable that is constant after boot.
    let length = unsafe { (&raw const tick).read_volatile() };
    let mut before = ticks();
    loop {
        let sample = Sample { ticks: before, wall: wall(), cycles: cycles() };
        let after = ticks();
        // If a tick came between, there will not be another one so soon.
        if after == before {
            return clock.look(sample, u64::from(length.unsigned_abs()) * 1000);
        }
        before = after;
    }
}

/// What the kernel's clock was at its last tick, in nanoseconds.
fn wall() -> Option<u64> {
    // SAFETY: a variable that is set once at boot.
    let page = unsafe { (&raw const mtime).read_volatile() } as *const u32;
    // SAFETY: the page stays, and has these three words.
    let word = |index: usize| unsafe { page.wrapping_add(index).read_volatile() };
    for _ in 0..if page.is_null() { 0 } else { TRIES } {
        let (seconds, microseconds) = (word(SECONDS), word(MICROSECONDS));
        if word(CHECK_SECONDS) == seconds && microseconds < 1_000_000 {
            return Some(u64::from(seconds) * 1_000_000_000 + u64::from(microseconds) * 1000);
        }
    }
    None
}

fn ticks() -> u64 {
    // SAFETY: a variable that the clock interrupt counts up, an aligned word.
    unsafe { (&raw const elapsed_ticks).read_volatile() }
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and the kernel may always use it.
    unsafe { _rdtsc() }
}
