// SPDX-License-Identifier: GPL-2.0-or-later
//! The players of one round: how they come, what they have, and how everything ends.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::mig::AnyRight;
use mach::msg::Message;
use mach::port::{Disposition, PortName, Right, SendRight};
use mach::stubs::{mach as kernel, mach_host, mach_port};
use mach::sys::trap::{mach_port_allocate_name, mach_port_insert_right, task_set_special_port, task_terminate};
use mach::{task_self, thread as threads};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use mach_abi::special_port::{TASK_EXCEPTION_PORT, TASK_TRACE_PORT};
use programs::patience::pause;
use programs::random::Random;
use programs::{Doing, Mismatch, processors};

use crate::board::Board;
use crate::engines::Engines;
use crate::held::Ended;
use crate::names::{CATCH, DEAD, DEVICE, HOST, Name, PLAYERS, PORTS, PRIVILEGED, SET, THREADS};
use crate::player::{Player, Plays};
use crate::rings::Rings;
use crate::without::Without;

/// By how much the players' priority is lower than the program's.
const STEPS_BACK: i32 = 4;
/// Tenths of a second in which every thread that nobody holds must have done something.
const PATIENCE: u32 = 600;
/// Steps after which a thread is known to run.
const RUNS: u64 = 2;

/// Rights that the program has for all rounds, by its own names.
#[derive(Clone, Copy)]
pub(crate) struct Fixed {
    pub(crate) host: PortName,
    pub(crate) privileged: PortName,
    pub(crate) device: PortName,
    /// Of the machine, as far as the kernel uses them.
    pub(crate) processors: usize,
}

/// A round.
pub(crate) struct World {
    pub(crate) fixed: Fixed,
    pub(crate) board: Board,
    pub(crate) without: Without,
    pub(crate) random: Random,
    /// How often each task and each thread of it has been suspended.
    pub(crate) suspended: [u32; PLAYERS],
    pub(crate) held: [[u32; THREADS]; PLAYERS],
    /// Engines of the players.
    pub(crate) engines: Engines,
    /// Rings of the program's trace ports.
    pub(crate) rings: Rings,
    /// What was ended.
    ended: Ended,
}

/// A player that nobody knows yet, by the names that it will have.
struct NewPlayer {
    task: PortName,
    threads: Vec<PortName>,
    tick: PortName,
}

/// Who has a receive right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Program,
    Player(usize),
    /// It is in a message, or dead.
    Nobody,
}

/// Whether a right of the program's has died.
pub(crate) fn is_dead(name: PortName) -> bool {
    mach_port::mach_port_type(task_self(), name).map_or(true, |kind| kind & MACH_PORT_TYPE_DEAD_NAME != 0)
}

impl World {
    /// Ports and players.
    pub(crate) fn start(fixed: Fixed, board: Board, without: Without, random: Random) -> Result<Self, Mismatch> {
        let mut world = Self {
            fixed,
            board,
            without,
            random,
            suspended: [0; PLAYERS],
            held: [[0; THREADS]; PLAYERS],
            engines: Engines::new()?,
            rings: Rings::default(),
            ended: Ended::default(),
        };
        board.set_over(false);
        for index in 0..PORTS {
            world.make_port(index)?;
        }
        for player in 0..PLAYERS {
            world.make_player(player)?;
        }
        for index in 0..PORTS {
            let player = world.random.below(2 * PLAYERS as u64) as usize;
            if player < PLAYERS {
                world.move_port(index, Holder::Player(player));
            }
        }
        if !world.without.has("rings") {
            world.trace_into_rings();
        }
        Ok(world)
    }

    /// The round begins with players that are traced to ports of the program, which has rings.
    fn trace_into_rings(&mut self) {
        let ports = (0..PORTS).filter(|index| self.holder(*index) == Holder::Program);
        let ports: Vec<PortName> = ports.map(|index| self.board.port(index)).collect();
        for (player, port) in (0..PLAYERS).zip(ports) {
            // A kernel without trace ports refuses.
            if task_set_special_port(self.board.task(player), TASK_TRACE_PORT, port).is_ok() {
                self.rings.ask(self.board.task(player));
            }
        }
    }

    /// A new port, to which everybody has a send right.
    pub(crate) fn make_port(&mut self, index: usize) -> Result<(), Mismatch> {
        let name = self.board.fresh_name();
        mach_port_allocate_name(task_self(), Right::Receive, name).doing("mach_port_allocate_name")?;
        mach_port_insert_right(task_self(), name, name, Disposition::MakeSend).doing("mach_port_insert_right")?;
        let limit = self.random.below(17) as u32;
        mach_port::mach_port_set_qlimit(task_self(), name, limit).doing("mach_port_set_qlimit")?;
        for player in 0..PLAYERS {
            // One that is dead has no need of it.
            let _ = mach_port_insert_right(self.board.task(player), name, name, Disposition::CopySend);
        }
        self.board.set_port(index, name);
        Ok(())
    }

    /// A new task with its threads.
    pub(crate) fn make_player(&mut self, player: usize) -> Result<(), Mismatch> {
        let seed = self.random.word();
        let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        for index in 0..THREADS {
            let plays = Plays { without: self.without, alone: self.fixed.processors == 1 };
            let part = Player::new(player, index, seed, self.board, plays).doing("vm_allocate")?;
            bodies.push(Box::new(move || part.run()));
        }
        let (new, its_threads) = threads::fork_all(bodies).doing("making a task")?;
        let new = self.named(new, its_threads)?;
        self.equip(&new)?;
        self.introduce(player, &new);
        self.suspended[player] = 0;
        self.held[player] = [0; THREADS];
        self.board.set_own(player, PortName::NULL);
        self.board.set_tick(player, new.tick);
        new.threads.iter().enumerate().for_each(|(index, name)| self.board.set_thread(player, index, *name));
        self.board.set_task(player, new.task);
        if self.random.percent(50) && !self.without.has("processors") {
            processors::move_elsewhere(self.fixed.privileged, new.task)?;
        }
        new.threads.iter().try_for_each(|name| kernel::thread_resume(*name)).doing("thread_resume")
    }

    /// Gives a new task and its threads names that nobody has had, and the threads their priority.
    fn named(&self, task: SendRight, threads: Vec<SendRight>) -> Result<NewPlayer, Mismatch> {
        let mut new = NewPlayer { task: self.board.fresh_name(), threads: Vec::new(), tick: self.board.fresh_name() };
        rename(task.into_name(), new.task)?;
        for thread in threads {
            let name = self.board.fresh_name();
            rename(thread.into_name(), name)?;
            // What does not sleep would leave nothing for the program.
            mach_host::thread_priority(name, BASE_PRIORITY + STEPS_BACK, false).doing("thread_priority")?;
            new.threads.push(name);
        }
        Ok(new)
    }

    /// Gives a new player the rights that are always the same.
    fn equip(&self, new: &NewPlayer) -> Result<(), Mismatch> {
        let NewPlayer { task: this, tick, .. } = *new;
        mach_port_allocate_name(this, Right::PortSet, SET).doing("the set of a player")?;
        mach_port_allocate_name(this, Right::Receive, tick).doing("a port of a player")?;
        mach_port::mach_port_move_member(this, tick, SET).doing("mach_port_move_member")?;
        rename(extract(this, tick, Disposition::MakeSend)?, tick)?;
        mach_port_allocate_name(this, Right::Receive, DEAD).doing("a port of a player")?;
        let dead = SendRight::from_name(extract(this, DEAD, Disposition::MakeSend)?);
        mach_port_insert_right(this, DEAD, dead.name(), Disposition::CopySend).doing("mach_port_insert_right")?;
        mach_port::mach_port_mod_refs(this, DEAD, Right::Receive as u32, -1).doing("mach_port_mod_refs")?;
        let Fixed { host, privileged, device, .. } = self.fixed;
        for (name, right) in [(HOST, host), (PRIVILEGED, privileged), (DEVICE, device), (CATCH, CATCH)] {
            mach_port_insert_right(this, name, right, Disposition::CopySend).doing("mach_port_insert_right")?;
        }
        kernel::task_set_special_port(this, TASK_EXCEPTION_PORT, CATCH).doing("task_set_special_port")
    }

    /// Gives a new player rights to all that is there, itself included, and the others rights to it.
    fn introduce(&self, player: usize, new: &NewPlayer) {
        let give = |to: PortName, name: PortName| {
            if !to.is_valid() || !name.is_valid() {
                return;
            }
            // What is dead stays a dead name, as it is in a task that had the right before: the kernel prints a line for every message
            // to a name of nothing. If the task itself is dead, it is nobody's loss.
            if mach_port_insert_right(to, name, name, Disposition::CopySend).is_err() {
                let _ = mach_port_allocate_name(to, Right::DeadName, name);
            }
        };
        (0..PORTS).for_each(|index| give(new.task, self.board.port(index)));
        let its = || new.threads.iter().chain([&new.task]);
        its().for_each(|name| give(new.task, *name));
        for other in (0..PLAYERS).filter(|other| *other != player) {
            let task = self.board.task(other);
            its().for_each(|name| give(task, *name));
            give(new.task, task);
            (0..THREADS).for_each(|index| give(new.task, self.board.thread(other, index)));
        }
    }

    /// Ends a player, if it has not ended by itself, and forgets it.
    pub(crate) fn end_player(&mut self, player: usize) {
        let _ = task_terminate(self.board.task(player));
        self.ended += Ended { players: 1, hurt: u64::from(!self.without.has("faults")) };
        // The kernel may give the names to something else from now on.
        for name in [self.board.task(player), self.board.tick(player)] {
            let _ = mach_port::mach_port_destroy(task_self(), name);
        }
        self.board.set_task(player, PortName::NULL);
        self.board.set_tick(player, PortName::NULL);
        for index in 0..THREADS {
            let _ = mach_port::mach_port_destroy(task_self(), self.board.thread(player, index));
            self.board.set_thread(player, index, PortName::NULL);
        }
    }

    /// Who has the receive right of a port.
    pub(crate) fn holder(&self, index: usize) -> Holder {
        let receives = |task| mach_port::mach_port_get_receive_status(task, self.board.port(index)).is_ok();
        if receives(task_self()) {
            return Holder::Program;
        }
        (0..PLAYERS).find(|player| receives(self.board.task(*player))).map_or(Holder::Nobody, Holder::Player)
    }

    /// The task of a holder.
    pub(crate) fn space(&self, holder: Holder) -> Option<PortName> {
        match holder {
            Holder::Program => Some(task_self()),
            Holder::Player(player) => Some(self.board.task(player)),
            Holder::Nobody => None,
        }
    }

    /// Moves a receive right.
    pub(crate) fn move_port(&mut self, index: usize, to: Holder) {
        let (from, name) = (self.holder(index), self.board.port(index));
        let (Some(from_space), Some(space)) = (self.space(from), self.space(to)) else { return };
        if from == to {
            return;
        }
        if from != Holder::Program {
            // Comes under the name of the send right that the program has. Whoever had it may be dead by now.
            match mach_port::mach_port_extract_right(from_space, name, Disposition::MoveReceive as u32) {
                Ok(right) => drop(right.into_name()),
                Err(_) => return,
            }
        }
        if to != Holder::Program
            && mach_port_insert_right(space, name, name, Disposition::MoveReceive).is_ok()
            && self.random.percent(75)
        {
            let _ = mach_port::mach_port_move_member(space, name, SET);
        }
    }

    /// The name by which the program itself knows something.
    pub(crate) fn own_name(&self, name: Name) -> PortName {
        match name {
            Name::Host => self.fixed.host,
            Name::Privileged => self.fixed.privileged,
            Name::Device => self.fixed.device,
            other => other.name(self.board),
        }
    }

    /// Ends all traces by the death of their ports, and makes sure that every thread that is left runs; then ends the players.
    /// Returns how many have ended in the round.
    pub(crate) fn end(mut self) -> Result<Ended, Mismatch> {
        self.board.set_over(true);
        self.engines.forget_all();
        for player in 0..PLAYERS {
            for _ in 0..self.suspended[player] {
                let _ = kernel::task_resume(self.board.task(player));
            }
            for index in 0..THREADS {
                for _ in 0..self.held[player][index] {
                    let _ = kernel::thread_resume(self.board.thread(player, index));
                }
            }
        }
        // Whom a thread would have answered that was ended in between would wait for ever, and keep what came to it.
        for player in 0..PLAYERS {
            if is_dead(self.board.thread(player, 0)) {
                self.end_player(player);
            }
        }
        let ports: Vec<PortName> = (0..PORTS).map(|index| self.board.port(index)).collect();
        self.end_ports(&ports);
        for (index, name) in ports.iter().enumerate() {
            let _ = mach_port::mach_port_destroy(task_self(), *name);
            self.board.set_port(index, PortName::NULL);
        }
        self.wait_for_all(&ports)?;
        (0..PLAYERS).for_each(|player| self.end_player(player));
        Ok(self.ended)
    }

    /// Ends ports that players have.
    ///
    /// A player keeps a dead name: the kernel would give the name of a port that a thread is about to receive from to another's reply
    /// port, and the thread would take the reply.
    fn end_ports(&self, ports: &[PortName]) {
        for name in ports {
            for player in 0..PLAYERS {
                let _ = mach_port::mach_port_mod_refs(self.board.task(player), *name, Right::Receive as u32, -1);
            }
        }
    }

    /// Waits until every thread that is not gone has done something since its trace ended.
    fn wait_for_all(&self, ports: &[PortName]) -> Result<(), Mismatch> {
        let seats = || (0..PLAYERS).flat_map(|player| (0..THREADS).map(move |index| (player, index)));
        let before: Vec<u64> = seats().map(|(player, index)| self.board.steps(player, index)).collect();
        for _ in 0..PATIENCE {
            let waits = |(seat, before): (_, &u64)| {
                let (player, index): (usize, usize) = seat;
                let steps = self.board.steps(player, index) - before;
                // The exception of one whose catcher is gone may have ended the task.
                steps < RUNS && !is_dead(self.board.thread(player, index)) && !is_dead(self.board.task(player))
            };
            if !seats().zip(&before).any(waits) {
                return Ok(());
            }
            // One may have been in a message.
            self.end_ports(ports);
            for player in 0..PLAYERS {
                // Who was about to set a trace port when the round ended may have set one of these.
                let _ = mach_port::mach_port_destroy(self.board.task(player), self.board.take_own(player));
                Message::new(TICK, self.board.tick(player), Disposition::CopySend).send(Some(0));
            }
            self.board.beat();
            pause(100);
        }
        let waiting = seats().zip(&before).filter(|((player, index), before)| {
            self.board.steps(*player, *index) - *before < RUNS && !is_dead(self.board.thread(*player, *index))
        });
        let list: Vec<String> = waiting.map(|((player, index), _)| format!("{player}/{index}")).collect();
        Err(Mismatch::new(&format!(
            "threads of traces that have ended: expected all to run within {} s, found waiting: {}",
            PATIENCE / 10,
            list.join(", ")
        )))
    }
}

/// `BASEPRI_USER` of sched.h.
const BASE_PRIORITY: i32 = 25;
/// Id of a message that only keeps a player busy.
const TICK: i32 = 7200;

/// Gives a right of the program's another name.
pub(crate) fn rename(from: PortName, to: PortName) -> Result<(), Mismatch> {
    mach_port::mach_port_rename(task_self(), from, to).doing("mach_port_rename")
}

/// A right to a port that a task receives from, or the receive right itself.
pub(crate) fn extract(from: PortName, name: PortName, how: Disposition) -> Result<PortName, Mismatch> {
    match mach_port::mach_port_extract_right(from, name, how as u32).doing("mach_port_extract_right")? {
        AnyRight::None(_) => Err(Mismatch::new("mach_port_extract_right: expected a right, found none")),
        right => Ok(right.into_name()),
    }
}

/// Ends the tasks that the players have made and not lived to end.
pub(crate) fn end_orphans(privileged: PortName, known: &[SendRight]) -> Result<(), Mismatch> {
    for task in processors::tasks(privileged)? {
        if !known.iter().any(|known| known.name() == task.name()) {
            match task_terminate(task.name()) {
                // It may just have ended.
                Ok(()) | Err(KernReturn::MACH_SEND_INVALID_DEST | KernReturn::KERN_INVALID_ARGUMENT) => {}
                Err(error) => return Err(error).doing("ending a task that a player left behind"),
            }
        }
    }
    Ok(())
}

/// Every task that may have a receive right.
pub(crate) fn spaces(board: Board) -> impl Iterator<Item = (Holder, PortName)> {
    let players = (0..PLAYERS).map(move |player| (Holder::Player(player), board.task(player)));
    [(Holder::Program, task_self())].into_iter().chain(players)
}
