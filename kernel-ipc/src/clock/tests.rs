// SPDX-License-Identifier: GPL-2.0-or-later
//! Clocks of kernels, and counters, that go on, stand, jump and lie.

use std::vec::Vec;

use super::*;
use crate::hooks::model::random::Random;

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
fn the_quick_way_tells_what_the_other_does() {
    let mut numbers = Random(0x2545_f491_4f6c_dd1d);
    let mut random = || numbers.below(u64::MAX);
    let (mut clock, mut quick) = (Clock::new(), 0);
    for _ in 0..MILLION {
        let mut number = || random() >> [0, 8, 24, 40, 60][(random() % 5) as usize];
        if number() % 4 == 0 {
            clock.rest();
            clock.look(Sample { ticks: number(), wall: Some(number() >> 4), cycles: number() }, TICK);
            // Rates of a counter of 60 kHz and of one of more than 4 GHz, and what is none.
            clock.pace = [number() >> 30, 1 << 18, 0, u64::MAX][(number() % 4) as usize];
            clock.within = cycles_within(clock.end.saturating_sub(clock.time), clock.pace);
        }
        let cycles = clock.cycles.wrapping_add(number() % clock.within.saturating_mul(2).max(9)).wrapping_sub(3);
        let mut other = clock;
        quick += u32::from(cycles.wrapping_sub(clock.cycles) < clock.within);
        assert_eq!(clock.within_tick(cycles, clock.ticks), Some(other.within_tick_anyhow(cycles)), "{other:?}");
    }
    assert!(quick > MILLION as u32 / 10, "{quick}");
}

#[test]
fn whatever_it_is_given_time_does_not_go_back() {
    let mut numbers = Random(0x9e37_79b9_7f4a_7c15);
    let mut random = || numbers.below(u64::MAX);
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
