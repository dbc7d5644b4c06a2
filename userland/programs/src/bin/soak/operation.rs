// SPDX-License-Identifier: GPL-2.0-or-later
//! What the program does to the players and their ports, one thing at a time. Each is told whole by one random number.
//!
//! Tasks do not change their processors while they run: GNU Mach for several processors, traced or not, then leaves threads waiting
//! and tasks that never end. Where a task runs is settled before it begins (world.rs).

use mach::msg::{Message, destroy};
use mach::port::{Disposition, PortName, Right};
use mach::stubs::{mach as kernel, mach_port};
use mach::sys::msg::mach_msg;
use mach::sys::trap::{task_set_special_port, thread_switch};
use mach::task_self;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::special_port::{TASK_EXCEPTION_PORT, TASK_TRACE_PORT, THREAD_EXCEPTION_PORT};
use programs::patience::pause;
use programs::{Doing, Mismatch};

use crate::names::{CATCH, Name, PLAYERS, PORTS, SET, THREADS};
use crate::words::ROOM;
use crate::world::{Holder, World, is_dead};

/// Id of a message that brings a receive right.
const MAIL: i32 = 7300;
/// Hundredths of a second in which a task that is being ended has ended.
const ENDED: u32 = 1000;
/// A task or thread is not suspended more often than this.
const DEEPEST: u32 = 2;

/// One thing to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Trace { player: usize, to: Name },
    EndTrace { player: usize },
    Read { player: usize },
    Limit { port: usize, limit: u32 },
    Move { port: usize, to: Option<usize> },
    Mail { port: usize, to: usize },
    Member { port: usize, leaves: bool },
    Destroy { port: usize, makes_new: bool },
    Kill { player: usize },
    Abort { player: usize, thread: usize },
    SuspendTask { player: usize },
    ResumeTask { player: usize },
    SuspendThread { player: usize, thread: usize },
    ResumeThread { player: usize, thread: usize },
    TerminateThread { player: usize, thread: usize },
    Drain { port: usize, messages: u32 },
    TaskExceptions { player: usize, port: Option<usize> },
    ThreadExceptions { player: usize, thread: usize, port: Option<usize> },
    Attach { player: usize, port: usize, wish: u64 },
    Ask { engine: usize, player: usize, thread: usize, draw: u64 },
    Forget { engine: usize },
    AskForRing { player: usize },
    Look { ring: usize, draw: u64 },
    Pause { milliseconds: u32 },
}

impl Operation {
    /// What a random number says.
    pub(crate) fn drawn(draw: u64) -> Self {
        let field = |shift: u32, bound: usize| (draw >> shift) as usize % 256 % bound;
        let (player, thread) = (field(8, PLAYERS), field(16, THREADS));
        let (port, number) = (field(24, PORTS), field(32, 256));
        let some_port = Some(field(40, PORTS)).filter(|_| number < 80);
        match draw % 128 {
            0..28 => Self::Trace { player, to: Name::drawn(draw >> 32) },
            28..32 => Self::EndTrace { player },
            32..34 => Self::Read { player },
            34..44 => Self::Limit { port, limit: (number % 17) as u32 },
            44..54 => Self::Move { port, to: Some(field(40, PLAYERS)).filter(|_| number < 180) },
            54..57 => Self::Mail { port, to: field(40, PORTS) },
            57..62 => Self::Member { port, leaves: number < 80 },
            62..66 => Self::Destroy { port, makes_new: number < 200 },
            66..68 => Self::Kill { player },
            68..78 => Self::Abort { player, thread },
            78..82 => Self::SuspendTask { player },
            82..88 => Self::ResumeTask { player },
            88..91 => Self::SuspendThread { player, thread },
            91..96 => Self::ResumeThread { player, thread },
            96 => Self::TerminateThread { player, thread },
            97..107 => Self::Drain { port, messages: (number % 64) as u32 },
            107..109 => Self::TaskExceptions { player, port: some_port },
            109..111 => Self::ThreadExceptions { player, thread, port: some_port },
            111..114 => Self::Attach { player, port, wish: draw >> 40 },
            114..120 => Self::Ask { engine: number, player, thread, draw: draw >> 40 },
            120 => Self::Forget { engine: number },
            121..123 => Self::AskForRing { player },
            123..126 => Self::Look { ring: number, draw: draw >> 40 },
            _ => Self::Pause { milliseconds: (number % 30) as u32 },
        }
    }

    /// The word by which it is left out.
    fn word(self) -> &'static str {
        match self {
            Self::Trace { .. } | Self::EndTrace { .. } => "trace",
            Self::Read { .. } => "read",
            Self::Limit { .. } => "limit",
            Self::Move { .. } => "move",
            Self::Mail { .. } => "mail",
            Self::Member { .. } => "set",
            Self::Destroy { .. } => "destroy",
            Self::Kill { .. } => "kill",
            Self::Abort { .. } => "abort",
            Self::SuspendTask { .. } | Self::SuspendThread { .. } => "suspend",
            Self::ResumeTask { .. } | Self::ResumeThread { .. } | Self::Pause { .. } => "",
            Self::TerminateThread { .. } => "terminate-thread",
            Self::Drain { .. } => "drain",
            Self::TaskExceptions { .. } | Self::ThreadExceptions { .. } => "exceptions",
            Self::Attach { .. } | Self::Ask { .. } | Self::Forget { .. } => "engines",
            Self::AskForRing { .. } | Self::Look { .. } => "rings",
        }
    }

    /// Does it, unless it is left out. What the kernel answers is right, if it answers.
    pub(crate) fn perform(self, world: &mut World) -> Result<(), Mismatch> {
        if world.without.has(self.word()) {
            return Ok(());
        }
        let board = world.board;
        match self {
            Self::Trace { player, to } => {
                let name = world.own_name(world.without.filter(to));
                let _ = task_set_special_port(board.task(player), TASK_TRACE_PORT, name);
            }
            Self::EndTrace { player } => {
                let _ = task_set_special_port(board.task(player), TASK_TRACE_PORT, PortName::NULL);
            }
            Self::Read { player } => drop(kernel::task_get_special_port(board.task(player), TASK_TRACE_PORT)),
            Self::Kill { player } => return replace(world, player),
            Self::Abort { player, thread: index } => drop(kernel::thread_abort(board.thread(player, index))),
            Self::TerminateThread { player, thread: index } => {
                let name = board.thread(player, index);
                let _ = kernel::thread_terminate(name);
                let _ = mach_port::mach_port_destroy(task_self(), name);
                board.set_thread(player, index, PortName::NULL);
            }
            Self::TaskExceptions { player, port: to } => {
                let to = to.map_or(CATCH, |index| board.port(index));
                let _ = kernel::task_set_special_port(board.task(player), TASK_EXCEPTION_PORT, to);
            }
            Self::ThreadExceptions { player, thread: index, port: to } => {
                let to = to.map_or(PortName::NULL, |index| board.port(index));
                let _ = kernel::thread_set_special_port(board.thread(player, index), THREAD_EXCEPTION_PORT, to);
            }
            Self::Attach { player, port, wish } => world.engines.attach(board.task(player), board.port(port), wish),
            Self::Ask { engine, player, thread, draw } => world.engines.ask(engine, board, (player, thread), draw),
            Self::Forget { engine } => world.engines.forget(engine),
            Self::AskForRing { player } => world.rings.ask(board.task(player)),
            Self::Look { ring, draw } => world.rings.look(board, ring, draw),
            Self::Pause { milliseconds: 0 } => thread_switch(),
            Self::Pause { milliseconds } => pause(milliseconds),
            _ => return self.of_port(world).and_then(|()| self.of_suspension(world)),
        }
        Ok(())
    }

    fn of_port(self, world: &mut World) -> Result<(), Mismatch> {
        let board = world.board;
        match self {
            Self::Limit { port: index, limit } => {
                if let Some(space) = world.space(world.holder(index)) {
                    let _ = mach_port::mach_port_set_qlimit(space, board.port(index), limit);
                }
            }
            Self::Move { port: index, to } => world.move_port(index, to.map_or(Holder::Program, Holder::Player)),
            Self::Mail { port: index, to } if world.holder(index) == Holder::Program && index != to => {
                Message::new(MAIL, board.port(to), Disposition::CopySend)
                    .port(board.port(index), Disposition::MoveReceive)
                    .send(Some(0));
            }
            Self::Member { port: index, leaves } => {
                if let Holder::Player(player) = world.holder(index) {
                    let set = if leaves { PortName::NULL } else { SET };
                    let _ = mach_port::mach_port_move_member(board.task(player), board.port(index), set);
                }
            }
            Self::Destroy { port: index, makes_new } => {
                if let Some(space) = world.space(world.holder(index)) {
                    let _ = mach_port::mach_port_mod_refs(space, board.port(index), Right::Receive as u32, -1);
                }
                if makes_new {
                    let _ = mach_port::mach_port_destroy(task_self(), board.port(index));
                    world.make_port(index)?;
                }
            }
            Self::Drain { port: index, messages } if world.holder(index) == Holder::Program => {
                drain(board.port(index), messages)
            }
            _ => {}
        }
        Ok(())
    }

    fn of_suspension(self, world: &mut World) -> Result<(), Mismatch> {
        let board = world.board;
        match self {
            Self::SuspendTask { player } if world.suspended[player] < DEEPEST => {
                let done = kernel::task_suspend(board.task(player)).is_ok();
                world.suspended[player] += u32::from(done);
            }
            Self::ResumeTask { player } if world.suspended[player] > 0 => {
                world.suspended[player] -= 1;
                answered(board.task(player), kernel::task_resume(board.task(player)))?;
            }
            Self::SuspendThread { player, thread: index } if world.held[player][index] < DEEPEST => {
                let done = kernel::thread_suspend(board.thread(player, index)).is_ok();
                world.held[player][index] += u32::from(done);
            }
            Self::ResumeThread { player, thread: index } if world.held[player][index] > 0 => {
                world.held[player][index] -= 1;
                if !is_dead(board.thread(player, index)) {
                    answered(board.task(player), kernel::thread_resume(board.thread(player, index)))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A resume is refused only if what was suspended is dead meanwhile, or is being ended: a player that ends itself, with a lower priority than the
/// program's, has threads that answer for nothing any more before their ports die.
fn answered(task: PortName, answer: mach::error::Result<()>) -> Result<(), Mismatch> {
    for _ in 0..ENDED {
        if answer.is_ok() || is_dead(task) {
            return Ok(());
        }
        pause(10);
    }
    answer.doing("resuming")
}

/// Ends a player and makes another one in its place.
fn replace(world: &mut World, player: usize) -> Result<(), Mismatch> {
    world.end_player(player);
    world.make_player(player)
}

/// Makes a new player where one has ended by itself.
pub(crate) fn revive(world: &mut World) -> Result<(), Mismatch> {
    let board = world.board;
    (0..PLAYERS).filter(|player| is_dead(board.task(*player))).try_for_each(|player| replace(world, player))
}

/// Receives some messages that wait in a port of the program's.
fn drain(port: PortName, messages: u32) {
    let mut buffer = [0; ROOM];
    for _ in 0..messages {
        let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
        if mach_msg(&mut buffer, option, 0, 8 * ROOM as u32, port, 0, PortName::NULL) != 0 {
            break;
        }
        destroy(&buffer);
    }
}
