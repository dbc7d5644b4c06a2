// SPDX-License-Identifier: GPL-2.0-or-later
//! The time of a record, from the kernel's clock, its ticks and the processor's cycle counter. Pure arithmetic.
//!
//! Records are told the time of the kernel's clock, but in a trace time never goes back, whatever that clock does:
//!
//! | the kernel's clock | the time of records |
//! |---|---|
//! | goes on, or is set forward | is the same |
//! | is set back by up to a second | runs at 15/16 of its speed until it is the same again |
//! | is set back by more | runs on ahead by as much; intervals are right |
//! | has overtaken the last record, or nobody is traced any more ([`Clock::rest`]) | is the same again at once |
//!
//! The kernel's clock and its count of ticks say in which tick an event lies; the counter says where in it. How fast that runs is
//! not assumed but bounded by every tick that is seen, more closely the longer it is watched. A counter that stands still,
//! jumps, goes back, or is behind on another processor costs accuracy within a tick and nothing else.

/// Fractional bits of a rate in nanoseconds per cycle.
const FRACTION: u32 = 20;

/// Longest time over which a rate is measured: more would overflow, and the processor's speed may change.
const LONGEST: u64 = 1 << 40;

/// Largest rate that is believed: a counter slower than 60 kHz is no cycle counter.
const MAX_RATE: u64 = 1 << 34;

/// How far, in nanoseconds, time may be ahead of the kernel's clock and still wait for it.
const WAIT_MAX: u64 = 1_000_000_000;

/// While it waits, time goes slower by one part in 2 to this power.
const SLOWER: u32 = 4;

/// One look at everything that tells the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// How many ticks the kernel has counted.
    pub(crate) ticks: u64,
    /// What its clock was set to at the last of them, in nanoseconds; `None` if it could not be read.
    pub(crate) wall: Option<u64>,
    /// The cycle counter.
    pub(crate) cycles: u64,
}

/// Tells the time, which never goes back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// Of the last look.
    ticks: u64,
    cycles: u64,
    /// The time then.
    time: u64,
    /// Nanoseconds per cycle from then on, 0 while the counter's rate is not known.
    pace: u64,
    /// The last nanosecond of the tick.
    end: u64,
    /// The first.
    start: u64,
    /// The last time that was told.
    last: u64,
    meter: Meter,
}

impl Clock {
    /// Nothing learned. All zero bytes.
    pub(crate) const fn new() -> Self {
        Self { ticks: 0, cycles: 0, time: 0, pace: 0, end: 0, start: 0, last: 0, meter: Meter::new() }
    }

    /// The time, if the kernel has counted no tick since the last look. What its clock is set to meanwhile shows from the next
    /// tick on.
    #[inline(always)]
    pub(crate) fn within_tick(&mut self, cycles: u64, ticks: u64) -> Option<u64> {
        if ticks != self.ticks {
            return None;
        }
        // Another processor's counter may be behind the one of the last look.
        let passed = cycles.saturating_sub(self.cycles).saturating_mul(self.pace) >> FRACTION;
        self.meter.seen = cycles;
        self.last = self.time.wrapping_add(passed).min(self.end).max(self.last);
        Some(self.last)
    }

    /// The time of the last look.
    pub(crate) fn time(&mut self) -> u64 {
        self.last = self.last.max(self.time);
        self.last
    }

    /// Learns from a sample, where a tick lasts so many nanoseconds.
    pub(crate) fn look(&mut self, now: Sample, tick: u64) {
        let counted = Reading { uptime: now.ticks.saturating_mul(tick), cycles: now.cycles };
        let passed = counted.uptime.saturating_sub(self.meter.previous.uptime);
        self.start = self.agreed(now.wall, self.start.saturating_add(passed), passed);
        let ahead = now.wall.map_or(0, |wall| self.start.saturating_sub(wall));
        let waits = ahead > 0 && ahead <= WAIT_MAX;
        let paced = |nanoseconds: u64| nanoseconds - if waits { nanoseconds >> SLOWER } else { 0 };

        let into = self.meter.uptime(counted, tick).saturating_sub(counted.uptime);
        self.time = self.start.saturating_add(paced(into)).max(self.last);
        self.end = self.start.saturating_add(paced(tick).saturating_sub(1)).max(self.time);
        self.pace = paced(self.meter.rate);
        self.ticks = now.ticks;
        self.cycles = now.cycles;
    }

    /// No trace is left in which time could go back: the next one begins with the time of the kernel's clock.
    pub(crate) fn rest(&mut self) {
        self.last = 0;
        // No count of ticks: what comes next has to look.
        self.ticks = u64::MAX;
    }

    /// When the tick begins, if by the kernel's ticks it is at `next`, and `passed` have passed since the last look.
    fn agreed(&self, wall: Option<u64>, next: u64, passed: u64) -> u64 {
        match wall {
            Some(wall) if wall >= next || wall >= self.last => wall,
            Some(wall) if next - wall <= WAIT_MAX => next - (next - wall).min(passed >> SLOWER),
            _ => next,
        }
    }
}

/// What the kernel had counted, and the processor.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// All ticks, in nanoseconds.
    uptime: u64,
    cycles: u64,
}

/// How fast the cycle counter runs.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    /// Where the present measurement began.
    anchor: Reading,
    /// The last look.
    previous: Reading,
    /// Time since boot then.
    then: u64,
    /// The counter's last value that was seen.
    seen: u64,
    /// Bounds of the rate; both 0 while nothing is known.
    slowest: u64,
    fastest: u64,
    /// The rate in use, 0 while nothing is known.
    rate: u64,
    /// How far the bounds it comes from were apart.
    doubt: u64,
}

impl Meter {
    const fn new() -> Self {
        const NONE: Reading = Reading { uptime: 0, cycles: 0 };
        Self { anchor: NONE, previous: NONE, then: 0, seen: 0, slowest: 0, fastest: 0, rate: 0, doubt: 0 }
    }

    /// Time since boot, within the tick.
    fn uptime(&mut self, now: Reading, tick: u64) -> u64 {
        self.then = self.interpolate(now, tick);
        self.previous = now;
        self.seen = now.cycles;
        self.then
    }

    fn interpolate(&mut self, now: Reading, tick: u64) -> u64 {
        if self.previous.uptime == 0 || now.cycles <= self.seen || now.uptime < self.previous.uptime {
            self.restart(now);
            return now.uptime;
        }
        if now.uptime != self.previous.uptime {
            self.calibrate(now, tick);
        }
        if self.rate == 0 {
            return now.uptime;
        }
        // What was seen last was still in the tick before.
        let end = |reading: Reading| reading.uptime.saturating_add(tick.saturating_sub(1));
        let seen = self.after(self.then, self.previous.cycles, self.seen).min(end(self.previous));
        self.after(seen, self.seen, now.cycles).min(end(now)).max(now.uptime)
    }

    /// The time when the counter is at `to`, if it was `time` at `from`.
    fn after(&self, time: u64, from: u64, to: u64) -> u64 {
        time.saturating_add(to.saturating_sub(from).saturating_mul(self.rate) >> FRACTION)
    }

    /// Narrows the bounds with a reading of a new tick and the last one before it: both were within their ticks, and so was the
    /// anchor.
    fn calibrate(&mut self, now: Reading, tick: u64) {
        let elapsed = now.uptime.saturating_sub(self.anchor.uptime);
        if elapsed > LONGEST || tick > LONGEST {
            return self.restart(now);
        }
        let cycles = now.cycles.saturating_sub(self.anchor.cycles);
        let until = self.previous.uptime.saturating_add(tick).saturating_sub(self.anchor.uptime);
        let before = rate(until, self.seen.saturating_sub(self.anchor.cycles)).unwrap_or(MAX_RATE);
        let Some(fastest) = rate(elapsed + tick, cycles) else { return };
        let known = if self.fastest == 0 { MAX_RATE } else { self.fastest };
        self.fastest = known.min(fastest).min(before);
        self.slowest = self.slowest.max(rate(elapsed.saturating_sub(tick), cycles).unwrap_or(0));
        if self.slowest > self.fastest {
            // They no longer agree: ticks were lost, or the counter changed its speed.
            return self.restart(now);
        }
        let width = self.fastest - self.slowest;
        if self.rate == 0 || width <= self.doubt || self.rate < self.slowest || self.rate > self.fastest {
            self.rate = u64::midpoint(self.slowest, self.fastest);
            self.doubt = width;
        }
    }

    /// Measures anew from here. The rate in use stays until a better one is known.
    fn restart(&mut self, now: Reading) {
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
    use std::vec::Vec;

    use super::*;

    const TICK: u64 = 10_000_000;
    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3600 * SECOND;
    /// Time of boot by the kernel's clock.
    const BOOT: u64 = 1_700_000_000 * SECOND;
    const MILLION: u64 = 1_000_000;

    /// A kernel whose clock was at `boot` when it booted, and what looks at it.
    struct Kernel {
        clock: Clock,
        boot: u64,
        tick: u64,
        last: u64,
    }

    impl Kernel {
        fn new() -> Self {
            Self { clock: Clock::new(), boot: BOOT, tick: TICK, last: 0 }
        }

        /// The time of an event so long after boot; asks as the kernel does.
        fn event(&mut self, uptime: u64, cycles: u64) -> u64 {
            let ticks = uptime / self.tick;
            let told = self.clock.within_tick(cycles, ticks).unwrap_or_else(|| {
                let wall = Some(self.boot + ticks * self.tick);
                self.clock.look(Sample { ticks, wall, cycles }, self.tick);
                self.clock.time()
            });
            assert!(told >= self.last, "after {uptime} ns: {told} after {}", self.last);
            self.last = told;
            told
        }

        /// Events every `interval` with a counter of 2133 cycles in a microsecond: what was told less the kernel's clock.
        fn events(&mut self, from: u64, interval: u64, count: u64) -> Vec<i64> {
            let at = |event| from + event * interval;
            (0..count)
                .map(|event| {
                    self.event(at(event), at(event) * 2133 / 1000).wrapping_sub(self.boot + at(event)).cast_signed()
                })
                .collect()
        }
    }

    fn worst(found: &[i64]) -> u64 {
        found.iter().map(|error| error.unsigned_abs()).max().unwrap()
    }

    #[test]
    fn it_follows_the_kernels_clock_within_a_fraction_of_a_tick() {
        for (cycles, tick) in [(1, TICK), (1000, TICK), (2133, TICK), (5000, TICK), (2133, TICK / 10)] {
            let mut kernel = Kernel { tick, ..Kernel::new() };
            let found: Vec<i64> = (TICK / 3700..MILLION)
                .map(|event| event * 37_000)
                .map(|real| {
                    let told = kernel.event(real, real * cycles / 1000);
                    assert_eq!(told / tick, (BOOT + real) / tick, "{cycles}: the tick is the kernel's");
                    (told - BOOT).cast_signed() - real.cast_signed()
                })
                .collect();
            // After half a second.
            assert!(worst(&found[14_000..]) < tick / 20, "{cycles}: {} ns off", worst(&found[14_000..]));
        }
    }

    #[test]
    fn events_that_are_far_between_are_told_in_their_ticks() {
        let found = Kernel::new().events(SECOND, 731_234_567, MILLION);
        assert!(worst(&found) < TICK && worst(&found[1000..]) < TICK / 4, "{} ns off", worst(&found[1000..]));
    }

    #[test]
    fn two_events_of_one_tick_differ_by_the_time_between_them() {
        let found = Kernel::new().events(SECOND, 50_000, 40_000);
        let took = 50_000 + found[39_802] - found[39_801];
        assert!(took.abs_diff(50_000) < 1_000, "50 us were told as {took} ns");
    }

    #[test]
    fn a_counter_that_stands_still_leaves_the_tick() {
        let mut kernel = Kernel::new();
        for real in (1..MILLION).map(|event| SECOND + event * 37_000) {
            assert_eq!(kernel.event(real, 12345), BOOT + real - real % TICK);
        }
    }

    #[test]
    fn a_counter_that_jumps_or_changes_its_speed_costs_accuracy_not_order() {
        let mut kernel = Kernel::new();
        let mut cycles: u64 = 1 << 40;
        for event in 1..MILLION {
            let real = SECOND + event * 37_000;
            cycles = match event {
                50_000 => 17,
                80_000 => u64::MAX / 2,
                100_000.. => cycles + 37 * 500,
                _ => cycles + 37 * 3000,
            };
            let told = kernel.event(real, cycles);
            assert_eq!(told / TICK, (BOOT + real) / TICK, "event {event}");
            let off = told.abs_diff(BOOT + real);
            assert!(event < 150_000 || off < TICK / 5, "event {event}: {off} ns off");
        }
    }

    #[test]
    fn the_counters_of_processors_may_differ() {
        for behind in [0, 50, 100_000, 20_000_000, 1 << 50] {
            let mut kernel = Kernel::new();
            for event in 1..MILLION {
                let real = SECOND + event * 37_000;
                // Three processors take turns, not evenly.
                let processor = event * event % 7 % 3;
                let told = kernel.event(real, (1 << 52) + real * 2133 / 1000 - processor * behind);
                assert_eq!(told / TICK, (BOOT + real) / TICK, "{behind}: event {event}");
                let off = told.abs_diff(BOOT + real);
                assert!(behind > 50 || event < 14_000 || off < TICK / 20, "{behind}: event {event}: {off} ns off");
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_forward_is_followed() {
        for by in [3_000_000, SECOND, HOUR, 1000 * 24 * HOUR] {
            let mut kernel = Kernel::new();
            kernel.events(SECOND, 37_000, 500_000);
            kernel.boot += by;
            let found = kernel.events(SECOND + 500_000 * 37_000, 37_000, 500_000);
            // From the next tick on.
            assert!(worst(&found[(TICK / 37_000 + 1) as usize..]) < TICK / 20, "set forward by {by} ns");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_is_waited_for_at_fifteen_sixteenths_of_the_speed() {
        for by in [5_000, 3_000_000, 400_000_000, SECOND] {
            let mut kernel = Kernel::new();
            kernel.events(SECOND, 37_000, 500_000);
            kernel.boot -= by;
            let found = kernel.events(SECOND + 500_000 * 37_000, 37_000, 500_000);
            let last = (by * 16 / 37_000 + 2 * TICK / 37_000) as usize;
            assert!(worst(&found[last..]) < TICK / 20, "set back by {by} ns: {} ns off", worst(&found[last..]));
            if by == SECOND {
                // Before that it goes on with every event, not in steps, but for the first tick.
                let slow = &found[(TICK / 37_000 + 1) as usize..last / 16 * 15];
                let even = |pair: &[i64]| pair[0].abs_diff(pair[1]) < 15_000;
                assert!(slow.windows(2).all(even), "about 37 us from each to the next");
                let lost = (slow[0] - slow[slow.len() - 1]).unsigned_abs();
                assert!((lost * 16).abs_diff(slow.len() as u64 * 37_000) < SECOND / 10, "{lost} ns");
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_far_is_left_behind_at_the_right_speed() {
        let mut kernel = Kernel::new();
        kernel.events(SECOND, 37_000, 500_000);
        kernel.boot -= HOUR;
        let from = SECOND + 500_000 * 37_000;
        let found = kernel.events(from, 37_000, 500_000);
        assert!(found.iter().all(|ahead| ahead.abs_diff(HOUR.cast_signed()) < TICK / 20), "ahead by as much");
        // Set forward again, wholly or too far, it is followed.
        kernel.boot += 2 * HOUR;
        let found = kernel.events(from + 500_000 * 37_000, 37_000, 500_000);
        assert!(worst(&found[(TICK / 37_000 + 1) as usize..]) < TICK / 20);
    }

    #[test]
    fn after_a_silence_or_the_last_trace_time_is_the_kernels_again() {
        let from = SECOND + 500_000 * 37_000;
        for (silence, rest) in [(HOUR, false), (SECOND, true), (0, true)] {
            let mut kernel = Kernel::new();
            kernel.events(SECOND, 37_000, 500_000);
            kernel.boot -= HOUR;
            if rest {
                kernel.clock.rest();
                kernel.last = 0;
            }
            let found = kernel.events(from + silence, 37_000, 1000);
            assert!(worst(&found) < 2 * TICK, "{} ns off after {silence} ns", worst(&found));
        }
    }

    #[test]
    fn a_kernels_clock_that_wobbles_does_not_show() {
        let mut kernel = Kernel::new();
        for event in 1..MILLION {
            let real = SECOND + event * 37_000;
            // What kernels with a finer clock than their ticks have been seen to do: back by up to a tick, and by one second.
            kernel.boot = BOOT - [0, 3_000_000, TICK - 1, 0, 0, 0, SECOND, 0][(real / TICK * 5 % 8) as usize];
            let told = kernel.event(real, real * 3);
            assert!(told.abs_diff(BOOT + real) < 2 * TICK, "event {event}: {} ns off", told.abs_diff(BOOT + real));
        }
    }

    #[test]
    fn a_clock_that_cannot_be_read_is_done_without() {
        let mut clock = Clock::new();
        for (ticks, wall, expected) in [(5, None, 5 * TICK), (6, Some(BOOT), BOOT), (8, None, BOOT + 2 * TICK)] {
            clock.look(Sample { ticks, wall, cycles: ticks }, TICK);
            assert_eq!(clock.time(), expected);
        }
    }

    #[test]
    fn whatever_it_is_given_time_does_not_go_back() {
        // xorshift64
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let (mut clock, mut last) = (Clock::new(), 0);
        for _ in 0..MILLION {
            // Small, near, or any numbers.
            let mut number = || random() >> [0, 8, 40, 60][(random() % 4) as usize];
            let (ticks, cycles, wall, tick) = (number(), number(), Some(number()), number());
            let now = Sample { ticks, wall: wall.filter(|wall| wall % 5 != 0), cycles };
            let told = match number() % 3 {
                0 => clock.within_tick(cycles, clock.ticks).unwrap(),
                1 => {
                    clock.look(now, tick);
                    clock.time()
                }
                _ => {
                    clock.look(now, TICK);
                    clock.within_tick(cycles, ticks).unwrap()
                }
            };
            assert!(told >= last, "{told} after {last}: {clock:?}");
            last = told;
        }
    }
}
