// SPDX-License-Identifier: GPL-2.0-or-later
//! Words that the program shares with the tasks that it makes: the names of what is in play, and what every thread does.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mach::error::Result;
use mach::memory::shared_words;
use mach::port::PortName;

use crate::names::{FIRST, PLAYERS, PORTS, THREADS};

/// Operations that are remembered.
const LOG: usize = 32;
/// Words of one thread.
const SEAT: usize = 2;
/// The first words: whether the threads are to leave trace ports alone, operations, records received, beats, names given out, whether
/// the threads are to rest, records read of rings.
const OVER: usize = 0;
const OPERATIONS: usize = 1;
const RECORDS: usize = 2;
const BEATS: usize = 3;
const GIVEN: usize = 4;
const RESTS: usize = 5;
const IN_RINGS: usize = 6;
/// Then those of the threads, the names, the last operations.
const SEATS: usize = 7;
const PORT_NAMES: usize = SEATS + SEAT * PLAYERS * THREADS;
const TASK_NAMES: usize = PORT_NAMES + PORTS;
const OWN_NAMES: usize = TASK_NAMES + PLAYERS;
const TICK_NAMES: usize = OWN_NAMES + PLAYERS;
const THREAD_NAMES: usize = TICK_NAMES + PLAYERS;
const LOG_START: usize = THREAD_NAMES + PLAYERS * THREADS;

/// The words.
#[derive(Clone, Copy)]
pub(crate) struct Board(&'static [AtomicU64]);

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Act {
    Nothing,
    Receiving,
    Answering,
    Calling,
    Sending,
    AskingTheKernel,
    Protecting,
    Writing,
    SettingByTrap,
    Setting,
    Reading,
}

const ACTS: [Act; 11] = [
    Act::Nothing,
    Act::Receiving,
    Act::Answering,
    Act::Calling,
    Act::Sending,
    Act::AskingTheKernel,
    Act::Protecting,
    Act::Writing,
    Act::SettingByTrap,
    Act::Setting,
    Act::Reading,
];

impl Board {
    pub(crate) fn new() -> Result<Self> {
        shared_words(LOG_START + LOG).map(Self)
    }

    /// A name that nothing has had yet.
    pub(crate) fn fresh_name(self) -> PortName {
        PortName(FIRST + self.0[GIVEN].fetch_add(1, Relaxed) as u32)
    }

    fn name(self, index: usize) -> PortName {
        PortName(self.0[index].load(Relaxed) as u32)
    }

    fn set_name(self, index: usize, name: PortName) {
        self.0[index].store(name.0.into(), Relaxed);
    }

    /// One of the ports.
    pub(crate) fn port(self, index: usize) -> PortName {
        self.name(PORT_NAMES + index)
    }

    pub(crate) fn set_port(self, index: usize, name: PortName) {
        self.set_name(PORT_NAMES + index, name);
    }

    /// A player's task.
    pub(crate) fn task(self, player: usize) -> PortName {
        self.name(TASK_NAMES + player)
    }

    pub(crate) fn set_task(self, player: usize, name: PortName) {
        self.set_name(TASK_NAMES + player, name);
    }

    /// A port that a player has made for itself; null if it has none.
    pub(crate) fn own(self, player: usize) -> PortName {
        self.name(OWN_NAMES + player)
    }

    pub(crate) fn set_own(self, player: usize, name: PortName) {
        self.set_name(OWN_NAMES + player, name);
    }

    /// Takes the name away: only one may end the port, as its name may be another's then.
    pub(crate) fn take_own(self, player: usize) -> PortName {
        PortName(self.0[OWN_NAMES + player].swap(0, Relaxed) as u32)
    }

    /// A port in a player's set to which the program sends, so that the thread that receives there has something to do.
    pub(crate) fn tick(self, player: usize) -> PortName {
        self.name(TICK_NAMES + player)
    }

    pub(crate) fn set_tick(self, player: usize, name: PortName) {
        self.set_name(TICK_NAMES + player, name);
    }

    /// A player's thread.
    pub(crate) fn thread(self, player: usize, thread: usize) -> PortName {
        self.name(THREAD_NAMES + player * THREADS + thread)
    }

    pub(crate) fn set_thread(self, player: usize, thread: usize, name: PortName) {
        self.set_name(THREAD_NAMES + player * THREADS + thread, name);
    }

    /// Whether the players may set trace ports.
    pub(crate) fn is_over(self) -> bool {
        self.0[OVER].load(Relaxed) != 0
    }

    pub(crate) fn set_over(self, over: bool) {
        self.0[OVER].store(over.into(), Relaxed);
    }

    /// Remembers an operation that the program is about to do.
    pub(crate) fn begin(self, draw: u64) {
        let index = self.0[OPERATIONS].fetch_add(1, Relaxed) as usize;
        self.0[LOG_START + index % LOG].store(draw, Relaxed);
    }

    /// How many operations there were.
    pub(crate) fn operations(self) -> u64 {
        self.0[OPERATIONS].load(Relaxed)
    }

    /// The last operations, the latest at the end.
    pub(crate) fn log(self) -> impl Iterator<Item = u64> {
        let count = self.operations() as usize;
        (count.saturating_sub(LOG)..count).map(move |index| self.0[LOG_START + index % LOG].load(Relaxed))
    }

    /// Counts messages with records that a player received.
    pub(crate) fn count_records(self) {
        self.0[RECORDS].fetch_add(1, Relaxed);
    }

    pub(crate) fn records(self) -> u64 {
        self.0[RECORDS].load(Relaxed)
    }

    /// Counts frames that somebody has found in a ring.
    pub(crate) fn count_in_rings(self, more: usize) {
        self.0[IN_RINGS].fetch_add(more as u64, Relaxed);
    }

    pub(crate) fn in_rings(self) -> u64 {
        self.0[IN_RINGS].load(Relaxed)
    }

    /// Shows that the program goes on.
    pub(crate) fn beat(self) {
        self.0[BEATS].fetch_add(1, Relaxed);
    }

    pub(crate) fn beats(self) -> u64 {
        self.0[BEATS].load(Relaxed)
    }

    /// Whether the players' threads are to sleep.
    pub(crate) fn rests(self) -> bool {
        self.0[RESTS].load(Relaxed) != 0
    }

    pub(crate) fn set_rests(self, rests: bool) {
        self.0[RESTS].store(rests.into(), Relaxed);
    }

    fn seat(self, player: usize, thread: usize) -> &'static [AtomicU64] {
        &self.0[SEATS + SEAT * (player * THREADS + thread)..][..SEAT]
    }

    /// Says what a thread is about to do, and with which port.
    pub(crate) fn act(self, player: usize, thread: usize, act: Act, port: PortName) {
        self.seat(player, thread)[0].store(act as u64 | u64::from(port.0) << 8, Relaxed);
    }

    /// What it said last.
    pub(crate) fn last_act(self, player: usize, thread: usize) -> (Act, PortName) {
        let word = self.seat(player, thread)[0].load(Relaxed);
        let act = ACTS.get(word as usize & 0xff).copied().unwrap_or(Act::Nothing);
        (act, PortName((word >> 8) as u32))
    }

    /// Counts something that a thread has done.
    pub(crate) fn step(self, player: usize, thread: usize) {
        self.seat(player, thread)[1].fetch_add(1, Relaxed);
    }

    pub(crate) fn steps(self, player: usize, thread: usize) -> u64 {
        self.seat(player, thread)[1].load(Relaxed)
    }

    /// What all threads have done.
    pub(crate) fn all_steps(self) -> u64 {
        (0..PLAYERS * THREADS).map(|seat| self.steps(seat / THREADS, seat % THREADS)).sum()
    }
}
