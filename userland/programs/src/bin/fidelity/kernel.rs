// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests to the kernel: sound ones, and some that are nearly so.

use mach::error::Result;
use mach::memory::PAGE_SIZE;
use mach::port::{Disposition, PortName, Right};
use mach::{host_self, stubs, task_self, thread_self};
use mach_abi::descriptor::INLINE;
use mach_abi::header::{LP64, MACH_MSGH_BITS_COMPLEX};
use mach_abi::notify::{
    MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_NO_SENDERS, MACH_NOTIFY_PORT_DESTROYED, MACH_NOTIFY_SEND_ONCE,
};
use mach_abi::special_port::TASK_TRACE_PORT;
use mach_abi::type_name as tn;
use programs::random::Random;
use programs::requests::{self, DISPOSITIONS, IDS, LONGEST, Memory as Names};

use crate::hash::Hash;
use crate::message::{self, Supply, Writer};
use crate::world::{self, Looks, World};

/// What a routine takes.
enum Item {
    /// A name in play.
    Name,
    /// One of these.
    Int(&'static [u32]),
    Long(&'static [u64]),
    /// A right with any disposition.
    Right,
    /// A new right to a port that this task receives from, or none can be made.
    Own,
    /// An address and a size that may be read, or not.
    Readable,
    /// An address and a size in the supply, so that it may be written.
    Writable,
    /// A region of its own.
    Fresh,
    /// Memory out of line, to be written to the supply.
    Memory,
}
use Item::{Fresh, Int, Long, Memory, Name, Own, Readable, Writable};

/// `mach_port_right_t`, and one that is not.
const RIGHTS: Item = Int(&[0, 1, 2, 3, 4, 5]);
/// Special ports, but for the trace port: a traced task has one.
const SPECIAL: Item = Int(&[1, 2, 3, 4, 6, 99]);
/// Special ports of threads, which have no trace port.
const SPECIAL_OF_THREADS: Item = Int(&[1, 2, 3, 4, TASK_TRACE_PORT as u32, 6, 99]);

/// Notifications that one can ask for, and the one that one cannot.
const NOTIFICATIONS: &[u32] =
    &[MACH_NOTIFY_PORT_DESTROYED, MACH_NOTIFY_NO_SENDERS, MACH_NOTIFY_SEND_ONCE, MACH_NOTIFY_DEAD_NAME];

/// Requests to a task: `msgh_id`, arguments. Left out are those that end or stop the caller or somebody else, make tasks or threads, or
/// tell what no two runs have in common.
const TASK: &[(u32, &[Item])] = &[
    (3200, &[]),
    (3201, &[Name]),
    (3202, &[Name, Name]),
    (3203, &[RIGHTS, Name]),
    (3204, &[RIGHTS]),
    (3205, &[Name]),
    (3206, &[Name]),
    (3207, &[Name, RIGHTS]),
    (3208, &[Name, RIGHTS, Int(&[0, 1, 2, 0xffff_ffff, 0x8000_0000])]),
    (3210, &[Name, Int(&[0, 1, 5, 16, 17])]),
    (3211, &[Name, Int(&[0, 1, 0xffff_ffff])]),
    (3212, &[Name]),
    (3213, &[Name, Name]),
    (3214, &[Name, Int(NOTIFICATIONS), Int(&[0, 1]), Item::Right]),
    (3215, &[Name, Item::Right]),
    (3216, &[Name, Int(&[15, 16, 17, 18, 19, 20, 21])]),
    (3217, &[Name]),
    (3218, &[Name, Int(&[0, 1, 0xffff_fff0])]),
    (3221, &[Name, Long(&[0, 1, 0x1234_5678_9abc_def0])]),
    (3222, &[Name]),
    (2011, &[]),
    (2012, &[Int(&[99]), Int(&[0, 10])]),
    (2021, &[Long(&[0]), Long(&[0, PAGE_SIZE, 1 << 60]), Int(&[1])]),
    (2023, &[Fresh]),
    (2025, &[Writable, Int(&[0, 1, 2, 3])]),
    (2026, &[Readable]),
    (2027, &[Memory]),
    (2029, &[Long(&[0x1000, 1 << 40, 0xffff_ffff_8100_0000])]),
    (2058, &[SPECIAL]),
    (2059, &[Int(&[3, 99]), Item::Right]),
    // A task cannot receive its own trace, whether it is traced or not.
    (2059, &[Int(&[TASK_TRACE_PORT as u32]), Own]),
    (2618, &[]),
];
const THREAD: &[(u32, &[Item])] = &[
    (2017, &[Int(&[1, 99]), Int(&[0, 20])]),
    (2019, &[Int(&[99]), Int(&[0, 10])]),
    (2067, &[SPECIAL_OF_THREADS]),
    (2068, &[Int(&[3, TASK_TRACE_PORT as u32, 99]), Item::Right]),
    (2615, &[]),
    (2631, &[]),
    (4214, &[]),
];
const HOST: &[(u32, &[Item])] =
    &[(2600, &[]), (2606, &[]), (2629, &[]), (2638, &[Int(&[1, 2, 3, 99]), Int(&[0, 1, 5, 1024])]), (2646, &[])];
/// Ids that no routine has, and of notifications, which have no reply.
const UNKNOWN: [u32; 5] = [3209, 2999, 3999, 1, 0x7fff_ffff];

/// Whether a request may give a receive right a name: `mach_port_rename`, `_allocate_name`, `_allocate`, `_insert_right`.
pub(crate) fn names_port(id: u32) -> bool {
    matches!(id, 3202..=3204 | 3215)
}

/// Whether a message may be the kernel's reply to one of these.
pub(crate) fn is_reply(id: u32) -> bool {
    let request = id.wrapping_sub(100);
    [TASK, THREAD, HOST].iter().any(|routines| routines.iter().any(|routine| routine.0 == request))
        || UNKNOWN.contains(&request)
}

/// The kernel's ports and those that replies come to; no request names them.
pub(crate) struct Ports {
    task: PortName,
    thread: PortName,
    host: PortName,
    /// For replies that are received at once.
    reply: PortName,
    /// For replies that wait.
    late: PortName,
    /// One in a port set.
    member: PortName,
    set: PortName,
    /// Where requests of trace_control.defs have what is out of line.
    names: Names,
}

/// A request that is written.
pub(crate) struct Request {
    pub(crate) size: u32,
    pub(crate) complex: u32,
    pub(crate) remote: PortName,
    pub(crate) id: u32,
}

/// Where the reply goes and what is received from.
pub(crate) struct Way {
    /// The disposition of the reply right.
    pub(crate) kind: u32,
    pub(crate) local: PortName,
    pub(crate) rcv_name: PortName,
    /// The options are `MACH_SEND_MSG|MACH_RCV_MSG` alone, and nothing has to be looked at: the call ends.
    pub(crate) ends: bool,
}

impl Ports {
    pub(crate) fn new() -> Result<Self> {
        let allocate = |right: Right| stubs::mach_port::mach_port_allocate(task_self(), right as u32);
        let (reply, late, member) = (allocate(Right::Receive)?, allocate(Right::Receive)?, allocate(Right::Receive)?);
        let set = allocate(Right::PortSet)?;
        stubs::mach_port::mach_port_move_member(task_self(), member, set)?;
        for port in [reply, late] {
            stubs::mach_port::mach_port_insert_right(task_self(), port, port, Disposition::MakeSend)?;
        }
        let (task, thread, host) = (task_self(), thread_self(), host_self());
        Ok(Self { task, thread, host, reply, late, member, set, names: Names::new()? })
    }

    /// Whether this is a kernel's port, which always has room.
    pub(crate) fn is_kernel(&self, name: PortName) -> bool {
        [self.task, self.thread, self.host].contains(&name)
    }

    /// The state of the ports that replies come to.
    pub(crate) fn hash_state(&self, hash: &mut Hash) {
        [self.reply, self.late, self.member].into_iter().for_each(|port| world::hash_status(port, hash));
    }

    /// A name to receive late replies from.
    pub(crate) fn late(&self, random: &mut Random) -> PortName {
        random.pick(&[self.late, self.set], self.late)
    }
}

impl Ports {
    /// Draws where the reply goes.
    pub(crate) fn way(&self, random: &mut Random, world: &World) -> Way {
        let way = |local, rcv_name| Way { kind: tn::MAKE_SEND_ONCE, local, rcv_name, ends: true };
        match random.below(20) {
            0..9 => way(self.reply, self.reply),
            9 => {
                Way { kind: random.pick(&[tn::COPY_SEND, tn::MAKE_SEND], tn::MAKE_SEND), ..way(self.reply, self.reply) }
            }
            10 | 11 => way(self.member, self.set),
            12 => way(self.member, self.member),
            13 => self.late_way(),
            14 => Way {
                rcv_name: random.pick(&[PortName::NULL, PortName::DEAD, self.task], self.host),
                ..self.late_way()
            },
            15 => Way { ends: false, ..way(self.late, world.port(random)) },
            _ => {
                let local = world.name(random);
                let rcv_name = if random.percent(75) { local } else { world.port(random) };
                let kind =
                    if random.percent(40) { tn::MAKE_SEND_ONCE } else { random.pick(&DISPOSITIONS, tn::MAKE_SEND) };
                Way { kind, local, rcv_name, ends: false }
            }
        }
    }

    /// The reply waits behind others, which are received first.
    pub(crate) fn late_way(&self) -> Way {
        Way { kind: tn::MAKE_SEND_ONCE, local: self.late, rcv_name: self.late, ends: true }
    }

    /// The caller does not receive the reply.
    pub(crate) fn unheard_way(&self) -> Way {
        Way { rcv_name: self.host, ..self.late_way() }
    }

    /// Whether a reply to this name is one that can be received from that name, or nothing can.
    pub(crate) fn answers(&self, local: PortName, rcv_name: PortName) -> bool {
        let waits = [self.reply, self.late, self.member].contains(&local) && rcv_name == local;
        waits || local == self.member && rcv_name == self.set || self.is_kernel(rcv_name)
    }

    /// Writes a request: most are sound, the others wrong in one way.
    pub(crate) fn request(
        &mut self,
        to: &mut [u8],
        random: &mut Random,
        supply: &mut Supply,
        world: &World,
    ) -> Result<Request> {
        if random.percent(25) {
            return Ok(self.of_traces(to, random, world));
        }
        let (remote, routines) = match random.below(20) {
            0..16 => (self.task, TASK),
            16 | 17 => (self.thread, THREAD),
            _ => (self.host, HOST),
        };
        let (id, items) = random.pick(routines, (1, &[]));
        let mut request = Request { size: 0, complex: 0, remote, id };
        if random.percent(8) {
            request.complex = if random.percent(50) { MACH_MSGH_BITS_COMPLEX } else { 0 };
            request.size = message::body(to, random, supply, |random| world.name(random))?;
        } else {
            let mut writer = Writer::behind_header(to);
            for item in items {
                request.complex |= item.write(&mut writer, random, supply, world)?;
            }
            request.size = writer.used as u32;
            if random.percent(25) {
                request.spoil(to, random, items);
            }
        }
        Ok(request)
    }
}

impl Ports {
    /// A request of trace_control.defs, to a port that is no engine: none comes to be, as this task receives from each port that is named.
    /// One whose receive right is in a message would do, and be full one day.
    fn of_traces(&mut self, to: &mut [u8], random: &mut Random, world: &World) -> Request {
        let remote = random.pick(&[self.task, self.thread, self.host], self.task);
        let right = |random: &mut Random| {
            let port = world.port(random);
            let name = if Looks::default().is_receive(port) { port } else { PortName::NULL };
            (random.pick(&DISPOSITIONS, tn::COPY_SEND), name)
        };
        let requests::Request { id, size, is_complex } =
            requests::write(&mut to[..LONGEST], random, &mut self.names, right);
        // A notification need not be answered, and what receives the answer may wait for it.
        let id = if IDS.contains(&id) || UNKNOWN.contains(&id) { id } else { IDS.end };
        Request { size, complex: if is_complex { MACH_MSGH_BITS_COMPLEX } else { 0 }, remote, id }
    }
}

impl Request {
    fn spoil(&mut self, to: &mut [u8], random: &mut Random, items: &[Item]) {
        match random.below(6) {
            0 => self.id = random.pick(&UNKNOWN, 1),
            // Never one that takes an address, which would be anything.
            1 => self.id = 3200 + random.below(24) as u32,
            2 => self.remote = random.pick(&[task_self(), thread_self(), host_self()], self.remote),
            3 => self.complex ^= MACH_MSGH_BITS_COMPLEX,
            4 => self.size = (self.size + 40).saturating_sub(random.below(10) as u32 * 8),
            _ if items.iter().any(|item| matches!(item, Memory)) => {}
            _ => {
                // One bit of one descriptor.
                let at = LP64.end + 16 * random.below(items.len() as u64) as usize + random.below(8) as usize;
                if at < self.size as usize {
                    to[at] ^= 1 << random.below(8);
                }
            }
        }
    }
}

impl Item {
    /// Writes it; returns the bit of a message that is not simple.
    fn write(&self, writer: &mut Writer<'_>, random: &mut Random, supply: &Supply, world: &World) -> Result<u32> {
        let long = |writer: &mut Writer<'_>, long: u64| {
            writer.descriptor(tn::INTEGER_64, 64, 1, INLINE);
            writer.long(long);
        };
        match self {
            Name => {
                writer.descriptor(tn::PORT_NAME, 32, 1, INLINE);
                writer.long(world.name(random).0.into());
            }
            Int(choices) => {
                writer.descriptor(tn::INTEGER_32, 32, 1, INLINE);
                writer.long(random.pick(choices, 0).into());
            }
            Long(choices) => long(writer, random.pick(choices, 0)),
            Item::Right => {
                writer.descriptor(random.pick(&DISPOSITIONS, tn::COPY_SEND), 64, 1, INLINE);
                writer.long(world.name(random).0.into());
                return Ok(MACH_MSGH_BITS_COMPLEX);
            }
            Own => {
                writer.descriptor(tn::MAKE_SEND, 64, 1, INLINE);
                writer.long(world.port(random).0.into());
                return Ok(MACH_MSGH_BITS_COMPLEX);
            }
            Readable => {
                let sound = supply.address() + random.below(PAGE_SIZE);
                let bad = random.pick(&[0x1000, 1 << 40, 0xffff_ffff_8100_0000], 0);
                long(writer, if random.percent(80) { sound } else { bad });
                long(writer, random.pick(&[0, 1, 100, PAGE_SIZE, PAGE_SIZE + 1, 1 << 30], 0));
            }
            Writable => {
                long(writer, supply.address() + random.below(2) * PAGE_SIZE);
                long(writer, random.pick(&[0, 1, PAGE_SIZE, 2 * PAGE_SIZE], 0));
            }
            Fresh => {
                long(writer, supply.fresh()?);
                long(writer, 2 * PAGE_SIZE);
            }
            Memory => {
                long(writer, supply.address() + random.below(2) * PAGE_SIZE);
                let number = random.pick(&[0, 1, 100, PAGE_SIZE, 2 * PAGE_SIZE], 1);
                writer.descriptor(tn::BYTE, 8, number as u32, 0);
                writer.long(supply.address() + random.below(PAGE_SIZE));
                return Ok(MACH_MSGH_BITS_COMPLEX);
            }
        }
        Ok(0)
    }
}
