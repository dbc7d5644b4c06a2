//! The time of a record: the kernel's clock, refined by the processor's cycle counter.

use core::arch::x86_64::_rdtsc;

use spin::mutex::SpinMutex;

use crate::clock::{Clock, Sample};

/// Corresponds to `time_value64_t`: seconds and nanoseconds.
type TimeValue64 = [i64; 2];

// SAFETY (of every use below): the prototype and the variables are in the DWARF of the kernels this payload is linked against.
unsafe extern "C" {
    fn record_time_stamp(stamp: *mut TimeValue64);
    /// Ticks since boot.
    static elapsed_ticks: u64;
    /// Microseconds in a tick.
    static tick: i32;
    /// The page that user programs read the time from, 0 until the clock is set up.
    static mtime: usize;
}

static CLOCK: SpinMutex<Clock> = SpinMutex::new(Clock::new());

/// Nanoseconds of the kernel's clock.
pub(super) fn now() -> u64 {
    // SAFETY: a variable that the clock interrupt counts up, an aligned word.
    let ticks = unsafe { (&raw const elapsed_ticks).read_volatile() };
    // SAFETY: every x86-64 processor has the instruction, and the kernel may always use it.
    let cycles = unsafe { _rdtsc() };
    if let Some(time) = CLOCK.lock().within_tick(cycles, ticks) {
        return time;
    }
    look(ticks)
}

#[inline(never)]
fn look(ticks: u64) -> u64 {
    let mut stamp: TimeValue64 = [0; 2];
    // SAFETY: `stamp` outlives the call, which only writes to it.
    unsafe { record_time_stamp(&mut stamp) };
    let [seconds, nanoseconds] = stamp.map(i64::cast_unsigned);
    let stamp = seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds);
    // SAFETY: every x86-64 processor has the instruction, and the kernel may always use it.
    let cycles = unsafe { _rdtsc() };
    // SAFETY: a variable that is constant after boot.
    let length = unsafe { (&raw const tick).read_volatile() };
    CLOCK.lock().time(Sample { stamp, cycles }, ticks, u64::from(length.unsigned_abs()) * 1000)
}

/// Looks at the clock, so that the counter's rate is known before the first record.
#[inline(never)]
pub fn watch() {
    // SAFETY: a variable that is set once at boot.
    if unsafe { (&raw const mtime).read_volatile() } != 0 {
        now();
    }
}
