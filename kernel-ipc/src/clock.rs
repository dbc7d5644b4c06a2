//! Time between two ticks of the kernel's clock, from the processor's cycle counter. Pure arithmetic.
//!
//! The kernel's time stamp says in which tick an event lies; the counter says where in it. How fast the counter runs is
//! not assumed but bounded by every tick that is seen, more closely the longer it is watched. The result never leaves the tick
//! that the kernel names and never goes back. A counter that stands still, jumps or goes back leaves the tick alone, and
//! a kernel whose own stamps are finer than a tick is believed.

/// Fractional bits of a rate in nanoseconds per cycle.
const FRACTION: u32 = 20;

/// Longest time over which a rate is measured: more would overflow, and the processor's speed may change.
const LONGEST: u64 = 1 << 40;

/// Largest rate that is believed: a counter slower than 60 kHz is no cycle counter.
const MAX_RATE: u64 = 1 << 34;

/// One look at both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds of the kernel's clock.
    pub stamp: u64,
    /// The cycle counter.
    pub cycles: u64,
}

/// What has been learned from the samples so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// The first sample of the present measurement.
    anchor: Sample,
    /// The last sample.
    previous: Sample,
    /// Bounds of the rate; both 0 while nothing is known.
    slowest: u64,
    fastest: u64,
    /// The rate in use, 0 while nothing is known.
    rate: u64,
    /// The last answer.
    last: u64,
    /// The last nanosecond of the tick of the last sample.
    end: u64,
    /// The kernel's count of ticks then.
    ticks: u64,
    /// The kernel's own stamps differ by less than a tick.
    fine: bool,
}

impl Clock {
    /// Nothing learned. All zero bytes.
    pub const fn new() -> Self {
        const NONE: Sample = Sample { stamp: 0, cycles: 0 };
        Self { anchor: NONE, previous: NONE, slowest: 0, fastest: 0, rate: 0, last: 0, end: 0, ticks: 0, fine: false }
    }

    /// The time in the tick of the last sample, if the kernel has counted no other since. What the kernel's clock is set to
    /// meanwhile shows from the next tick on.
    pub fn within_tick(&mut self, cycles: u64, ticks: u64) -> Option<u64> {
        if self.fine || ticks != self.ticks || self.rate == 0 {
            return None;
        }
        let passed = cycles.checked_sub(self.previous.cycles)?.checked_mul(self.rate)? >> FRACTION;
        let time = self.last.saturating_add(passed);
        if time > self.end {
            return None;
        }
        self.previous.cycles = cycles;
        self.last = time;
        Some(time)
    }

    /// The time of a sample, in nanoseconds, where a tick of the kernel's clock lasts `tick` and the kernel had counted `ticks`
    /// of them just before.
    pub fn time(&mut self, now: Sample, ticks: u64, tick: u64) -> u64 {
        self.end = now.stamp.saturating_add(tick.saturating_sub(1));
        self.ticks = ticks;
        let time = self.interpolate(now, tick).max(self.last);
        self.previous = now;
        self.last = time;
        time
    }

    fn interpolate(&mut self, now: Sample, tick: u64) -> u64 {
        let step = now.stamp.saturating_sub(self.previous.stamp);
        // Adjusting the clock changes a tick by much less than a half.
        if step != 0 && step < tick / 2 {
            self.fine = true;
        }
        if self.fine
            || self.previous.stamp == 0
            || now.cycles <= self.previous.cycles
            || now.stamp < self.previous.stamp
        {
            self.restart(now);
            return now.stamp;
        }
        if step != 0 {
            self.calibrate(now, tick);
        }
        // What overflows has been too long for a guess anyway.
        let passed = (now.cycles - self.previous.cycles).checked_mul(self.rate).filter(|&passed| passed != 0);
        let Some(passed) = passed else { return now.stamp };
        let guess = self.last.saturating_add(passed >> FRACTION);
        guess.clamp(now.stamp, self.end)
    }

    /// Narrows the bounds with a sample of a new tick and the last one before it: both were within their ticks, and so was the
    /// anchor.
    fn calibrate(&mut self, now: Sample, tick: u64) {
        let elapsed = now.stamp.saturating_sub(self.anchor.stamp);
        if elapsed > LONGEST {
            return self.restart(now);
        }
        let cycles = now.cycles - self.anchor.cycles;
        let until = (self.previous.stamp + tick).saturating_sub(self.anchor.stamp);
        let before = rate(until, self.previous.cycles - self.anchor.cycles).unwrap_or(MAX_RATE);
        let Some(fastest) = rate(elapsed + tick, cycles) else { return };
        let known = if self.fastest == 0 { MAX_RATE } else { self.fastest };
        self.fastest = known.min(fastest).min(before);
        self.slowest = self.slowest.max(rate(elapsed.saturating_sub(tick), cycles).unwrap_or(0));
        if self.slowest > self.fastest {
            // The clocks no longer agree: ticks were lost, or the counter changed its speed.
            return self.restart(now);
        }
        self.rate = u64::midpoint(self.slowest, self.fastest);
    }

    /// Measures anew from here. The rate in use stays until a better one is known.
    fn restart(&mut self, now: Sample) {
        self.anchor = now;
        self.slowest = 0;
        self.fastest = 0;
    }
}

/// Nanoseconds per cycle, if that is a rate of a cycle counter; never 0, which stands for an unknown one.
fn rate(nanoseconds: u64, cycles: u64) -> Option<u64> {
    (nanoseconds << FRACTION).checked_div(cycles).filter(|&rate| rate < MAX_RATE).map(|rate| rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 10_000_000;
    const START: u64 = 1_700_000_000_000_000_000;

    /// A kernel with stamps of `resolution` and a counter of `cycles` per microsecond, looked at every `interval` ns.
    fn watch(resolution: u64, cycles: u64, interval: u64, looks: u64) -> std::vec::Vec<(u64, u64)> {
        let mut clock = Clock::new();
        (1..=looks)
            .map(|look| {
                let real = START + look * interval;
                let sample = Sample { stamp: real - real % resolution, cycles: (real - START) * cycles / 1000 };
                (real, look_at(&mut clock, sample, real / TICK))
            })
            .collect()
    }

    /// Asks as the kernel does: for the stamp only where the tick is another one.
    fn look_at(clock: &mut Clock, sample: Sample, ticks: u64) -> u64 {
        clock.within_tick(sample.cycles, ticks).unwrap_or_else(|| clock.time(sample, ticks, TICK))
    }

    fn worst(found: &[(u64, u64)]) -> u64 {
        found.iter().map(|&(real, told)| real.abs_diff(told)).max().unwrap()
    }

    #[test]
    fn it_follows_real_time_within_a_fraction_of_a_tick() {
        for cycles in [1, 1000, 2133, 5000] {
            let found = watch(TICK, cycles, 37_000, 100_000);
            assert!(found.is_sorted_by_key(|&(_, told)| told), "{cycles}: the time never goes back");
            assert!(found.iter().all(|&(real, told)| told / TICK == real / TICK), "{cycles}: the tick is the kernel's");
            // After half a second.
            assert!(worst(&found[14_000..]) < TICK / 20, "{cycles}: {} ns off", worst(&found[14_000..]));
        }
    }

    #[test]
    fn two_events_of_one_tick_differ_by_the_time_between_them() {
        let found = watch(TICK, 1000, 50_000, 40_000);
        let (first, second) = (found[39_801], found[39_802]);
        let took = second.1 - first.1;
        assert!(took.abs_diff(50_000) < 1_000, "50 us were told as {took} ns");
    }

    #[test]
    fn a_counter_that_stands_still_leaves_the_tick() {
        let found = watch(TICK, 0, 37_000, 10_000);
        assert!(found.iter().all(|&(real, told)| told == real - real % TICK));
    }

    #[test]
    fn a_kernel_with_fine_stamps_is_believed() {
        let found = watch(10, 2133, 37_123, 10_000);
        // Once it has seen a second stamp.
        assert!(worst(&found[1..]) < 10);
    }

    #[test]
    fn a_counter_that_jumps_or_changes_its_speed_costs_accuracy_not_order() {
        let mut clock = Clock::new();
        let mut last = 0;
        let mut cycles: u64 = 1 << 40;
        for look in 1..200_000_u64 {
            let real = START + look * 37_000;
            cycles = match look {
                50_000 => 17,
                80_000 => u64::MAX / 2,
                100_000.. => cycles + 37 * 500,
                _ => cycles + 37 * 3000,
            };
            let told = look_at(&mut clock, Sample { stamp: real - real % TICK, cycles }, real / TICK);
            assert!(told >= last && told / TICK == real / TICK, "look {look}");
            assert!(look < 150_000 || real.abs_diff(told) < TICK / 5, "look {look}: {} ns off", real.abs_diff(told));
            last = told;
        }
    }

    #[test]
    fn a_kernel_clock_that_is_set_back_does_not_take_the_trace_with_it() {
        let mut clock = Clock::new();
        let before = clock.time(Sample { stamp: START, cycles: 1 }, 1, TICK);
        assert_eq!(clock.time(Sample { stamp: START - 5 * TICK, cycles: 2 }, 2, TICK), before);
    }
}
