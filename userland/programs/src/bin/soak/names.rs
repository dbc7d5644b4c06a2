// SPDX-License-Identifier: GPL-2.0-or-later
//! What is in play, and the names by which everybody, the program included, knows the same things.

use mach::port::PortName;

use crate::board::Board;

/// Tasks that are traced, trace each other and exchange messages.
pub(crate) const PLAYERS: usize = 4;
/// Threads of each.
pub(crate) const THREADS: usize = 6;
/// Ports that carry messages, records and exceptions, and move between the tasks.
pub(crate) const PORTS: usize = 10;

/// The port set that a player's first thread receives from.
pub(crate) const SET: PortName = PortName(0x4000);
/// The host's name port.
pub(crate) const HOST: PortName = PortName(0x4001);
/// The host's privileged port.
pub(crate) const PRIVILEGED: PortName = PortName(0x4002);
/// The master device port.
pub(crate) const DEVICE: PortName = PortName(0x4003);
/// A dead name.
pub(crate) const DEAD: PortName = PortName(0x4004);
/// A name of nothing.
pub(crate) const ABSENT: PortName = PortName(0x4005);
/// The port where the program itself answers exceptions.
pub(crate) const CATCH: PortName = PortName(0x4006);

/// The names of everything else begin here. None is used twice, as the kernel gives names that are free again to others.
pub(crate) const FIRST: u32 = 0x1_0000;

/// What somebody may try as a trace port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Port(usize),
    Own(usize),
    Task(usize),
    Thread(usize, usize),
    Host,
    Privileged,
    Device,
    Set,
    DeadRight,
    Absent,
    Dead,
    Null,
}

impl Name {
    /// The one that these bits mean. Ports that anybody may receive from are half of all.
    pub(crate) const fn drawn(bits: u64) -> Self {
        let (first, second) = ((bits >> 8) as usize & 0xff, (bits >> 16) as usize & 0xff);
        match bits & 31 {
            0..16 => Self::Port(first % PORTS),
            16 | 17 => Self::Own(first % PLAYERS),
            18..21 => Self::Task(first % PLAYERS),
            21..24 => Self::Thread(first % PLAYERS, second % THREADS),
            24 => Self::Host,
            25 => Self::Privileged,
            26 => Self::Device,
            27 => Self::Set,
            28 => Self::DeadRight,
            29 => Self::Absent,
            30 => Self::Dead,
            _ => Self::Null,
        }
    }

    /// Whether the kernel receives from it.
    pub(crate) const fn is_kernels(self) -> bool {
        matches!(self, Self::Task(_) | Self::Thread(..) | Self::Host | Self::Privileged | Self::Device)
    }

    /// The name, in every task.
    pub(crate) fn name(self, board: Board) -> PortName {
        match self {
            Self::Port(index) => board.port(index),
            Self::Own(player) => board.own(player),
            Self::Task(player) => board.task(player),
            Self::Thread(player, index) => board.thread(player, index),
            Self::Host => HOST,
            Self::Privileged => PRIVILEGED,
            Self::Device => DEVICE,
            Self::Set => SET,
            Self::DeadRight => DEAD,
            Self::Absent => ABSENT,
            Self::Dead => PortName::DEAD,
            Self::Null => PortName::NULL,
        }
    }
}
