// SPDX-License-Identifier: GPL-2.0-or-later
//! The ports that the calls play with, and what can be seen of their state.

use alloc::vec::Vec;

use mach::error::{KernReturn, Result};
use mach::port::{Disposition, PortName, Right};
use mach::{stubs, task_self};
use mach_abi::port::{
    MACH_PORT_TYPE_DEAD_NAME as DEAD_NAME, MACH_PORT_TYPE_DNREQUEST as DEAD_NAME_REQUEST,
    MACH_PORT_TYPE_PORT_SET as PORT_SET, MACH_PORT_TYPE_RECEIVE as RECEIVE, MACH_PORT_TYPE_SEND as SEND,
    MACH_PORT_TYPE_SEND_ONCE as SEND_ONCE,
};
use programs::random::Random;

use crate::hash::Hash;

/// A `mach_port_type_t` for a name that names nothing.
const NOTHING: u32 = 0;

/// Ports that are made anew whenever there are fewer.
const LEAST: usize = 5;
/// Names above which all are destroyed.
const MOST: usize = 28;

/// The names in play.
pub(crate) struct World {
    /// Names of the program itself, which no call touches.
    reserved: Vec<u32>,
    names: Vec<(PortName, u32)>,
    /// Messages sent and received until then.
    began: [u64; 2],
}

impl World {
    /// Everything there is now is the program's own. What the task did before is not compared: the kernel counts a message only if nobody waited
    /// for it, and what others do who start this program depends on how long a console takes.
    pub(crate) fn new() -> Result<Self> {
        let mut world = Self { reserved: Vec::new(), names: Vec::new(), began: [0; 2] };
        world.reserved = all()?.into_iter().map(|(name, _)| name.0).collect();
        world.began = messages()?;
        Ok(world)
    }

    /// Reads which names there are, destroys them if they are too many and makes new ones if they are too few.
    pub(crate) fn refresh(&mut self, random: &mut Random) -> Result<()> {
        self.read()?;
        if self.names.len() > MOST {
            for (name, _) in &self.names {
                stubs::mach_port::mach_port_destroy(task_self(), *name)?;
            }
            self.read()?;
        }
        let ports = self.names.iter().filter(|(_, kind)| kind & RECEIVE != 0).count();
        for index in ports..LEAST {
            self.make(random, index)?;
        }
        if ports < LEAST {
            self.read()?;
        }
        Ok(())
    }

    fn make(&self, random: &mut Random, index: usize) -> Result<()> {
        let port = stubs::mach_port::mach_port_allocate(task_self(), Right::Receive as u32)?;
        if random.percent(75) {
            stubs::mach_port::mach_port_insert_right(task_self(), port, port, Disposition::MakeSend)?;
        }
        if index == 0 {
            let set = stubs::mach_port::mach_port_allocate(task_self(), Right::PortSet as u32)?;
            stubs::mach_port::mach_port_move_member(task_self(), port, set)?;
        }
        // No-senders, port-destroyed and dead-name notifications.
        if let Some(id) = [Some(70), Some(69), Some(72), None][random.below(4) as usize] {
            // A right that could not be made would leave a send-once notification in the thread's reply port.
            let to = self.names.iter().find(|(_, kind)| kind & RECEIVE != 0).map_or(port, |(name, _)| *name);
            let _ = stubs::mach_port::mach_port_request_notification(
                task_self(),
                port,
                id,
                u32::from(id == 70),
                to,
                Disposition::MakeSendOnce,
            );
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        self.names = all()?;
        self.names.retain(|(name, _)| !self.reserved.contains(&name.0));
        Ok(())
    }

    /// A name in play, or one that was, or one that names nothing.
    pub(crate) fn name(&self, random: &mut Random) -> PortName {
        match random.below(50) {
            0 => PortName::NULL,
            1 => PortName::DEAD,
            // The kernel remarks on these on its console, which takes long.
            2 => PortName(0x00ab_0000 + random.below(9) as u32),
            _ => {
                self.names.get(random.below(self.names.len() as u64) as usize).map_or(PortName::NULL, |(name, _)| *name)
            }
        }
    }

    /// A name of a receive right, if there is one.
    pub(crate) fn port(&self, random: &mut Random) -> PortName {
        let ports: Vec<PortName> =
            self.names.iter().filter(|(_, kind)| kind & (RECEIVE | PORT_SET) != 0).map(|(name, _)| *name).collect();
        random.pick(&ports, PortName::NULL)
    }

    /// The types of all names in play.
    pub(crate) fn types(&self) -> Hash {
        let mut hash = Hash::START;
        self.names.iter().for_each(|(name, kind)| hash.word(u64::from(name.0) << 32 | u64::from(*kind)));
        hash
    }

    /// How many messages were sent and received, those that the kernel counts.
    pub(crate) fn messages(&self) -> Hash {
        let mut hash = Hash::START;
        match messages() {
            Ok(now) => self.began.iter().zip(now).for_each(|(began, now)| hash.word(now.wrapping_sub(*began))),
            Err(error) => hash.word(u64::from(error.0 as u32) | 1 << 63),
        }
        hash
    }

    /// References of every right, and the state of every port in play.
    pub(crate) fn hash_state(&self, hash: &mut Hash) {
        for (name, kind) in &self.names {
            for (bit, right) in [(SEND, Right::Send), (SEND_ONCE, Right::SendOnce), (DEAD_NAME, Right::DeadName)] {
                if kind & bit != 0 {
                    let refs = stubs::mach_port::mach_port_get_refs(task_self(), *name, right as u32);
                    hash.word(refs.map_or_else(|error| u64::from(error.0 as u32) | 1 << 63, u64::from));
                }
            }
            if kind & RECEIVE != 0 {
                hash_status(*name, hash);
            }
        }
    }
}

/// The two counts that end `struct task_events_info`, four words: those of the kernel's slow paths, messages sent and received.
fn messages() -> Result<[u64; 2]> {
    const TASK_EVENTS_INFO: i32 = 2;
    let mut info = [0; 14];
    stubs::mach::task_info(task_self(), TASK_EVENTS_INFO, &mut info)?;
    Ok([10, 12].map(|at| u64::from(info[at].cast_unsigned()) | u64::from(info[at + 1].cast_unsigned()) << 32))
}

/// Everything that `mach_port_get_receive_status` says.
pub(crate) fn hash_status(name: PortName, hash: &mut Hash) {
    match stubs::mach_port::mach_port_get_receive_status(task_self(), name) {
        Err(error) => hash.word(u64::from(error.0 as u32) | 1 << 63),
        Ok(status) => {
            let flags = [status.mps_srights, status.mps_pdrequest, status.mps_nsrequest];
            let flags = flags.iter().fold(0, |word, flag| word << 1 | u64::from(*flag));
            hash.word(u64::from(status.mps_pset.0) << 32 | u64::from(status.mps_seqno));
            hash.word(u64::from(status.mps_mscount) << 32 | u64::from(status.mps_qlimit));
            hash.word(u64::from(status.mps_msgcount) << 32 | u64::from(status.mps_sorights));
            hash.word(flags);
        }
    }
}

/// All names of this task and their types. The two lists are in the kernel's order, which tracing does not change.
fn all() -> Result<Vec<(PortName, u32)>> {
    let out = stubs::mach_port::mach_port_names(task_self())?;
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_le_bytes)).collect()
    };
    let (names, types) = (words(out.names.as_slice()), words(out.types.as_slice()));
    Ok(names.into_iter().map(PortName).zip(types).collect())
}

/// What the kernel says of names, asked once for a call and before it.
#[derive(Default)]
pub(crate) struct Looks(Vec<(PortName, Look)>);

#[derive(Clone, Copy)]
enum Look {
    Receive { messages: u32, limit: u32 },
    Other { kind: u32 },
}

impl Looks {
    fn look(&mut self, name: PortName) -> Look {
        if let Some((_, look)) = self.0.iter().find(|(known, _)| *known == name) {
            return *look;
        }
        let look = match stubs::mach_port::mach_port_get_receive_status(task_self(), name) {
            Ok(status) => Look::Receive { messages: status.mps_msgcount, limit: status.mps_qlimit },
            Err(KernReturn::KERN_INVALID_RIGHT) => Look::Other { kind: kind(name) },
            Err(_) => Look::Other { kind: NOTHING },
        };
        self.0.push((name, look));
        look
    }

    /// Whether this names a receive right.
    pub(crate) fn is_receive(&mut self, name: PortName) -> bool {
        matches!(self.look(name), Look::Receive { .. })
    }

    /// Whether a call without a time limit can neither wait for a message on this name nor hang.
    pub(crate) fn has_message(&mut self, name: PortName) -> bool {
        match self.look(name) {
            Look::Receive { messages, .. } => messages > 0,
            Look::Other { kind } => kind & PORT_SET == 0,
        }
    }

    /// Whether a message to this name cannot wait for room in its queue. `named` is every name in the message: one that moves
    /// away and has a dead-name request is at once told of as deleted, perhaps to the same queue and before the message is in it.
    pub(crate) fn has_room(&mut self, name: PortName, named: &[PortName]) -> bool {
        match self.look(name) {
            Look::Receive { messages, limit } => {
                let fits = |notices: usize| messages + (notices as u32) < limit;
                fits(named.len()) || fits(0) && fits(named.iter().filter(|name| is_watched(**name)).count())
            }
            // Somebody else's port may be full.
            Look::Other { kind } => kind & SEND == 0,
        }
    }
}

/// Whether somebody asked to be told when this name goes.
fn is_watched(name: PortName) -> bool {
    kind(name) & DEAD_NAME_REQUEST != 0
}

fn kind(name: PortName) -> u32 {
    stubs::mach_port::mach_port_type(task_self(), name).unwrap_or(NOTHING)
}
