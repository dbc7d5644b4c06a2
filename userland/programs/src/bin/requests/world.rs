// SPDX-License-Identifier: GPL-2.0-or-later
//! What is in play: ports of every kind, a task that rests and one that runs.

use alloc::vec::Vec;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicU32, AtomicU64};

use mach::error::KernReturn;
use mach::msg::{Message, Received, destroy};
use mach::port::{Disposition, PortName, ReceiveRight, Right, SendRight};
use mach::stubs::mach_port;
use mach::stubs::trace_control::{trace_detach, trace_owner_policy, trace_owner_set};
use mach::sys::msg::{mach_msg, reply_port};
use mach::sys::trap::{mach_port_allocate_name, task_create, task_terminate};
use mach::thread::{self, Child};
use mach::{host_self, task_self, thread_self};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::port::{MACH_PORT_TYPE_DEAD_NAME, MACH_PORT_TYPE_RECEIVE};
use mach_abi::type_name as tn;
use programs::random::Random;
use programs::requests::DISPOSITIONS;
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, give, record_buffer, send};
use programs::{Doing, Mismatch, left};
use trace_port::control::owner::wire::policy;
use trace_port::record::Records;
use zerocopy::IntoBytes;

/// Ports that this task receives from.
const PORTS: usize = 4;
/// Engines and tools that are kept, at most.
const MOST: usize = 12;
/// References that a right has which requests may move away.
const REFERENCES: u32 = 2000;
/// Id of the message that has the other task run.
const GO: i32 = 7600;
/// Id of what it sends.
const WENT: i32 = 7601;
/// The next name for a port of this task's. None is used twice, as the kernel gives names that are free again to others: a request to an
/// engine that is gone would be one that waits in this task's own port, and not be answered.
static NEXT: AtomicU32 = AtomicU32::new(0x1_0000);
/// A name that nothing has.
const ABSENT: PortName = PortName(0x00ab_0000);

/// What the command line names.
#[derive(Clone, Copy)]
pub(crate) struct Fixed {
    pub(crate) privileged: PortName,
    pub(crate) device: PortName,
}

/// Where a request goes.
pub(crate) struct Target {
    pub(crate) name: PortName,
    /// Whether the kernel receives from it, as long as it lives.
    pub(crate) is_kernels: bool,
    pub(crate) is_engine: bool,
}

/// Everything the requests work on.
pub(crate) struct World {
    fixed: Fixed,
    /// Where answers come to.
    pub(crate) reply: PortName,
    /// Ports of this task's, members of the set: trace ports, and where wrong requests go.
    ports: [PortName; PORTS],
    set: PortName,
    dead: PortName,
    idle: SendRight,
    child: Child,
    to_child: SendRight,
    from_child: PortName,
    /// How often the child was told to go, and how often it has.
    told: u64,
    went: &'static AtomicU64,
    /// The number of a thread of the child's; 0 before any is known.
    pub(crate) thread: u32,
    engines: Vec<PortName>,
    tools: Vec<PortName>,
    buffer: Vec<u64>,
    /// Names that were there before.
    own: Vec<PortName>,
}

impl World {
    /// `went` is a word that tasks which inherit this task's memory share.
    pub(crate) fn start(fixed: Fixed, went: &'static AtomicU64) -> Result<Self, Mismatch> {
        // Made on first use, and kept.
        let _ = (reply_port(), thread_self(), host_self());
        let mut own = Vec::with_capacity(64);
        left::each_name(task_self(), |name, _| own.push(name)).doing("mach_port_names")?;
        // A call that fails has the thread take another one, and this name may be of something else then.
        own.retain(|name| *name != reply_port());
        let allocate = |right: Right| mach_port::mach_port_allocate(task_self(), right as u32);
        let (reply, set) = (allocate(Right::Receive), allocate(Right::PortSet));
        let dead = allocate(Right::Receive).doing("mach_port_allocate")?;
        mach_port::mach_port_insert_right(task_self(), dead, dead, Disposition::MakeSend)
            .and_then(|()| mach_port::mach_port_mod_refs(task_self(), dead, Right::Receive as u32, -1))
            .doing("making a dead name")?;
        went.store(0, SeqCst);
        let from_child = allocate(Right::Receive).doing("mach_port_allocate")?;
        let (child, to_child) = start_child(from_child, went)?;
        let idle = SendRight::from_name(task_create(task_self(), false).doing("task_create")?);
        Ok(Self {
            fixed,
            reply: reply.doing("mach_port_allocate")?,
            ports: [PortName::NULL; PORTS],
            set: set.doing("mach_port_allocate")?,
            dead,
            idle,
            child,
            to_child,
            from_child,
            told: 0,
            went,
            thread: 0,
            engines: Vec::with_capacity(MOST + 1),
            tools: Vec::with_capacity(MOST + 1),
            buffer: record_buffer(),
            own,
        })
    }

    /// Makes anew what requests have moved away, and takes what has come.
    pub(crate) fn make_whole(&mut self) -> Result<(), Mismatch> {
        self.drain();
        for place in &mut self.ports {
            let kind = mach_port::mach_port_type(task_self(), *place).unwrap_or(0);
            if kind & MACH_PORT_TYPE_RECEIVE == 0 {
                if kind & MACH_PORT_TYPE_DEAD_NAME != 0 {
                    mach_port::mach_port_destroy(task_self(), *place).doing("mach_port_destroy")?;
                }
                *place = PortName(NEXT.fetch_add(1, Relaxed));
                mach_port_allocate_name(task_self(), Right::Receive, *place).doing("mach_port_allocate_name")?;
                mach_port::mach_port_move_member(task_self(), *place, self.set).doing("mach_port_move_member")?;
            }
            let port = *place;
            // There may be one already, of as many references as there can be.
            let _ = mach_port::mach_port_insert_right(task_self(), port, port, Disposition::MakeSend);
        }
        for list in [&mut self.engines, &mut self.tools] {
            // The kernel ends an engine whose trace port is gone.
            list.retain(|&name| {
                let lives =
                    mach_port::mach_port_type(task_self(), name).is_ok_and(|kind| kind & MACH_PORT_TYPE_DEAD_NAME == 0);
                if !lives {
                    let _ = mach_port::mach_port_destroy(task_self(), name);
                }
                lives
            });
        }
        let sent = self.kernels().map(|name| (name, Right::Send));
        for (name, right) in sent.into_iter().chain([(self.dead, Right::DeadName)]) {
            let references = mach_port::mach_port_get_refs(task_self(), name, right as u32);
            let missing = REFERENCES as i32 - references.doing("a right that is still there")? as i32;
            mach_port::mach_port_mod_refs(task_self(), name, right as u32, missing).doing("mach_port_mod_refs")?;
        }
        Ok(())
    }

    /// Ports of the kernel's, of which each always has a right.
    fn kernels(&self) -> [PortName; 8] {
        let Fixed { privileged, device } = self.fixed;
        let child = [self.child.task.name(), self.child.thread.name()];
        [task_self(), thread_self(), host_self(), privileged, device, child[0], child[1], self.idle.name()]
    }

    /// The child in the place of this task.
    pub(crate) fn other_than_this(&self, name: PortName) -> PortName {
        if name == task_self() { self.child.task.name() } else { name }
    }

    /// Draws where a request goes.
    pub(crate) fn target(&self, random: &mut Random) -> Target {
        let kernels = |name| Target { name, is_kernels: true, is_engine: false };
        let others = |name| Target { name, is_kernels: false, is_engine: false };
        let child = self.child.task.name();
        match random.below(100) {
            0..35 => Target { is_engine: true, ..kernels(random.pick(&self.engines, child)) },
            35..55 => kernels(random.pick(&self.tools, self.fixed.privileged)),
            55..70 => kernels(child),
            70..75 => kernels(self.idle.name()),
            75..85 => kernels(self.fixed.privileged),
            85..95 => kernels(random.pick(&self.kernels(), child)),
            95..98 => others(random.pick(&self.ports, PortName::NULL)),
            _ => others(random.pick(&[PortName::NULL, PortName::DEAD, self.dead, self.set], PortName::NULL)),
        }
    }

    /// Draws a right for a request.
    pub(crate) fn right(&self, random: &mut Random) -> (u32, PortName) {
        let name = match random.below(100) {
            0..40 => random.pick(&self.ports, PortName::NULL),
            40..60 => random.pick(&[self.child.task.name(), self.idle.name()], PortName::NULL),
            60..65 => self.other_than_this(random.pick(&self.kernels(), PortName::NULL)),
            65..80 => random.pick(&self.tools, self.dead),
            80..90 => random.pick(&self.engines, self.dead),
            90..97 => PortName::NULL,
            97 => random.pick(&[PortName::DEAD, self.set], PortName::DEAD),
            // The kernel remarks on these on its console, which takes long.
            98 if random.percent(5) => ABSENT,
            _ => self.dead,
        };
        let kind = if random.percent(90) { tn::COPY_SEND } else { random.pick(&DISPOSITIONS, tn::COPY_SEND) };
        (kind, name)
    }

    /// Draws where an answer goes that this task does not receive, with the disposition of the right.
    pub(crate) fn odd_reply(&self, random: &mut Random) -> (u32, PortName) {
        match random.below(4) {
            0 => (0, PortName::NULL),
            1 => (random.below(32) as u32, random.pick(&self.ports, PortName::NULL)),
            _ => (random.pick(&DISPOSITIONS, 0), self.right(random).1),
        }
    }

    /// Keeps an engine, or lets the kernel have one back.
    pub(crate) fn keep_engine(&mut self, right: PortName, random: &mut Random) {
        keep(&mut self.engines, right, random);
    }

    /// Keeps a tool, or lets the kernel have one back.
    pub(crate) fn keep_tool(&mut self, right: PortName, random: &mut Random) {
        keep(&mut self.tools, right, random);
    }

    /// Has the child run, unless it still does.
    pub(crate) fn go(&mut self) {
        self.drain();
        if self.is_at_rest() && send(GO, self.to_child.name(), Disposition::CopySend, 0) == KernReturn::KERN_SUCCESS {
            self.told += 1;
        }
    }

    /// Whether the child has done all that it was told.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.went.load(SeqCst) == self.told
    }

    /// An engine has no task any more.
    pub(crate) fn let_go(&mut self, engine: PortName) {
        let _ = trace_detach(engine, PortName::NULL, Disposition::CopySend);
        self.drain();
    }

    /// Takes what has come to this task's ports.
    pub(crate) fn drain(&mut self) {
        let limit = size_of_val(&*self.buffer) as u32;
        for port in [self.set, self.from_child] {
            loop {
                let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
                let code = mach_msg(&mut self.buffer, option, 0, limit, port, 0, PortName::NULL);
                match KernReturn::from_mach_msg(code) {
                    KernReturn::KERN_SUCCESS => {
                        self.thread = thread_of(&self.buffer).unwrap_or(self.thread);
                        destroy(&self.buffer);
                    }
                    KernReturn::MACH_RCV_TOO_LARGE => {}
                    _ => break,
                }
            }
        }
    }

    /// Everything ends but what was there before.
    pub(crate) fn end(self) -> Result<(), Mismatch> {
        let Self { fixed: Fixed { privileged, .. }, idle, child, to_child, own, .. } = self;
        trace_owner_policy(privileged, policy::ANYONE).doing("trace_owner_policy")?;
        // There may be no owner.
        let _ = trace_owner_set(privileged, PortName::NULL, Disposition::CopySend);
        trace_owner_policy(privileged, policy::OWNER).doing("trace_owner_policy")?;
        task_terminate(child.task.name()).doing("task_terminate")?;
        task_terminate(idle.name()).doing("task_terminate")?;
        // Their names go with all others.
        let _ = [idle, child.task, child.thread, to_child].map(SendRight::into_name);
        let mut names = Vec::with_capacity(64);
        left::each_name(task_self(), |name, _| names.push(name)).doing("mach_port_names")?;
        for name in names.iter().filter(|&&name| !own.contains(&name) && name != reply_port()) {
            mach_port::mach_port_destroy(task_self(), *name).doing("mach_port_destroy")?;
        }
        Ok(())
    }
}

/// The number of the thread that a message of a trace port tells of.
fn thread_of(message: &[u64]) -> Option<u32> {
    let record = Records::parse(message.as_bytes()).ok()?.next()?.ok()?;
    Some(record.header.thread.get()).filter(|&number| number != 0)
}

/// Keeps a right with as many references that no request moves it away: the kernel would give its name to another port.
fn keep(names: &mut Vec<PortName>, right: PortName, random: &mut Random) {
    if names.contains(&right) {
        let _ = mach_port::mach_port_deallocate(task_self(), right);
        return;
    }
    let _ = mach_port::mach_port_mod_refs(task_self(), right, Right::Send as u32, REFERENCES as i32);
    names.push(right);
    if names.len() > MOST {
        let _ = mach_port::mach_port_destroy(task_self(), names.swap_remove(random.below(MOST as u64) as usize));
    }
}

/// A task that runs each time that it gets a message; and a right to send it one.
fn start_child(parent: PortName, went: &'static AtomicU64) -> Result<(Child, SendRight), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let to_child = port.make_send().doing("a send right to the child's port")?;
    let child = thread::fork(move || run(went)).doing("making a child")?;
    give(&child, PARENT, parent, Disposition::MakeSend)?;
    give(&child, CHILD, port.into_name(), Disposition::MoveReceive)?;
    child.resume().doing("starting a child")?;
    Ok((child, to_child))
}

/// What the child runs, whatever becomes of what it sends.
fn run(went: &AtomicU64) -> ! {
    let port = ReceiveRight::from_name(CHILD);
    loop {
        if Received::receive(&port, 64, None).is_ok() {
            // No stub: where an engine fails every message, each would leave a name behind.
            Message::new(WENT, PARENT, Disposition::CopySend).integer(1).send(Some(0));
            went.fetch_add(1, SeqCst);
        }
    }
}
