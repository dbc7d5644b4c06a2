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
    /// Up to so many cycles from then on, as they are most often, the time is no more than a product: it is within the tick.
    within: u64,
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
        Self { ticks: 0, cycles: 0, time: 0, pace: 0, within: 0, end: 0, start: 0, last: 0, meter: Meter::new() }
    }

    /// The time, if the kernel has counted no tick since the last look. What its clock is set to meanwhile shows from the next
    /// tick on.
    #[inline(always)]
    pub(crate) fn within_tick(&mut self, cycles: u64, ticks: u64) -> Option<u64> {
        if ticks != self.ticks {
            return None;
        }
        Some(self.within_tick_quickly(cycles, ticks).unwrap_or_else(|| self.within_tick_anyhow(cycles)))
    }

    /// [`Clock::within_tick`] where the time is a product that is not behind what was told; none, and nothing has changed, where it is not.
    #[inline(always)]
    pub(crate) fn within_tick_quickly(&mut self, cycles: u64, ticks: u64) -> Option<u64> {
        let passed = cycles.wrapping_sub(self.cycles);
        if ticks != self.ticks || passed >= self.within {
            return None;
        }
        let time = self.time.wrapping_add(passed.wrapping_mul(self.pace) >> FRACTION);
        if time < self.last {
            return None;
        }
        self.meter.seen = cycles;
        self.last = time;
        Some(time)
    }

    /// The time within a tick of the last look, whatever the counter says.
    #[cold]
    #[inline(never)]
    fn within_tick_anyhow(&mut self, cycles: u64) -> u64 {
        self.meter.seen = cycles;
        // Another processor's counter may be behind the one of the last look.
        let passed = cycles.saturating_sub(self.cycles).saturating_mul(self.pace) >> FRACTION;
        self.last = self.time.wrapping_add(passed).min(self.end).max(self.last);
        self.last
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
        self.within = cycles_within(self.end.saturating_sub(self.time), self.pace);
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

/// How many cycles of a pace are no more than so many nanoseconds, by a product that does not overflow.
fn cycles_within(nanoseconds: u64, pace: u64) -> u64 {
    if nanoseconds > u64::MAX >> FRACTION { 0 } else { (nanoseconds << FRACTION).checked_div(pace).unwrap_or(0) }
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
mod tests;
