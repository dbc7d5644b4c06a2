// SPDX-License-Identifier: GPL-2.0-or-later
//! bench-rpc: what `cargo qemu bench` measures, run under `-icount`, where the time stamp counter counts instructions.
//!
//! Each line `bench NAME TOTAL COUNT` says that COUNT calls took TOTAL instructions: the least of many batches, because a
//! clock interrupt can only add. A kernel without trace ports answers the untraced cases alone. The clients are tasks of
//! their own; this one is the tracer, which receives records and throws them away. `bench-rpc NAME` measures one case, `bench-rpc untraced`
//! those in which this program traces nobody.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod ring;

use alloc::format;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::mach_port::mach_port_move_member;
use mach::stubs::trace_control::trace_set_filter;
use mach::sys::msg::mach_msg;
use mach::sys::trap::{mach_port_insert_right, task_create, task_set_special_port, task_terminate};
use mach::thread::{self, Child};
use mach::{println, task_self};
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::engine::{self, Wish};
use programs::tracer::Tracer;
use programs::{Doing, Mismatch, expect};
use trace_port::control::{MAX_ENGINES, event, rule};
use trace_port::port::MAX_PORTS;
use trace_port::record::wire_size;

use client::{DONE, LIMIT, PARENT, SERVER, SYNC, Work, answer, client, serve};

mach::entry!(main);

/// The word for the cases in which nobody is traced by this program.
const UNTRACED: &str = "untraced";
/// What a port's queue can hold.
const QUEUE: u32 = MACH_PORT_QLIMIT_MAX;
/// Calls after which the queue is not full yet: two records each, one more for the answer to [`SYNC`].
const CALLS_WITHOUT_WAITING: u32 = (QUEUE - 1) / 2;
/// Calls in a batch where everybody's work is counted that goes through a ring: a good part of what it holds, as what finds no room goes in messages, and
/// how much that is depends on when the scheduler lets the tracer run.
const CALLS_INTO_RING: u32 = 300;
/// Calls in a batch where everybody's work is counted; a whole number of full queues.
const CALLS_TOGETHER: u32 = 64;
/// Sizes of the messages whose cost per byte is of interest.
const SIZES: [u32; 4] = [32, 1024, 4096, 65536];

/// Who is traced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Traced {
    Nobody,
    /// The client; what it costs the client alone.
    Client,
    /// The client; what it costs everybody, this task's receiving included.
    ClientTogether,
    /// Client and server, everybody's cost.
    BothTogether,
    /// The client, by so many engines that are told of everything; what it costs the client alone.
    Engines(usize),
    /// The client, by an engine that is told of nothing that a client does.
    Unasked,
    /// The client, by an engine whose rules allow no message of the client's.
    Filtered,
    /// Client and server, each by such an engine.
    BothFiltered,
    /// The client, into a ring; what it costs the client alone.
    Ring,
    /// The client, into a ring, everybody's cost.
    RingTogether,
    /// Client and server, into a ring, everybody's cost.
    RingBothTogether,
}

impl Traced {
    const fn is_together(self) -> bool {
        matches!(self, Self::ClientTogether | Self::BothTogether | Self::RingTogether | Self::RingBothTogether)
    }

    const fn is_in_ring(self) -> bool {
        matches!(self, Self::Ring | Self::RingTogether | Self::RingBothTogether)
    }

    const fn has_trace_port(self) -> bool {
        self.is_in_ring() || matches!(self, Self::Client | Self::ClientTogether | Self::BothTogether)
    }

    const fn is_both(self) -> bool {
        matches!(self, Self::BothTogether | Self::RingBothTogether)
    }
}

/// The ports of this task.
struct Bench {
    report: ReceiveRight,
    trace: ReceiveRight,
    /// Of engines.
    traces: Vec<Tracer>,
    /// That of the cases with a ring.
    ring: Tracer,
    /// The least that reading a full ring has cost, and how many records it had.
    read: Option<(u64, u64)>,
    both: PortSet,
    buffer: Vec<u64>,
    /// The only case to measure, if one was named.
    only: Option<&'static str>,
}

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let named = arguments.get_str(1);
    let bench = &mut Bench::new(named.filter(|name| *name != UNTRACED))?;
    bench.line("untraced/kernel-rpc", Work::KernelCall, Traced::Nobody)?;
    bench.line("untraced/task-rpc", Work::ServerCall, Traced::Nobody)?;
    for size in SIZES {
        bench.line(&format!("untraced/send-{size}"), Work::Send(size), Traced::Nobody)?;
    }
    let mut others = Vec::new();
    if named == Some(UNTRACED) || !bench.trace_one_more(&mut others)? {
        return Ok(());
    }
    bench.line("other-traced/kernel-rpc", Work::KernelCall, Traced::Nobody)?;
    bench.line("other-traced/task-rpc", Work::ServerCall, Traced::Nobody)?;
    end(&mut others)?;
    bench.line("untraced-again/kernel-rpc", Work::KernelCall, Traced::Nobody)?;
    bench.line("traced/kernel-rpc", Work::KernelCall, Traced::Client)?;
    for size in SIZES {
        bench.line(&format!("traced/send-{size}"), Work::Send(size), Traced::Client)?;
    }
    // As rpctrace2 does: several records are received at once then.
    thread::step_back().doing("thread_priority")?;
    bench.line("machine/kernel-rpc", Work::KernelCall, Traced::ClientTogether)?;
    bench.line("machine/task-rpc", Work::ServerCall, Traced::ClientTogether)?;
    bench.line("both-traced/task-rpc", Work::ServerCall, Traced::BothTogether)?;
    for tasks in [16, 256, 10_000] {
        // The client is the last one.
        while others.len() + 1 < tasks {
            expect("a trace port for one more task", true, bench.trace_one_more(&mut others)?)?;
        }
        bench.line(&format!("traced-{tasks}/kernel-rpc"), Work::KernelCall, Traced::Client)?;
    }
    end(&mut others)?;
    for (name, traced) in [
        ("unasked", Traced::Unasked),
        ("filtered", Traced::Filtered),
        ("engines-1", Traced::Engines(1)),
        ("engines-2", Traced::Engines(2)),
        ("engines-8", Traced::Engines(8)),
    ] {
        bench.line(&format!("{name}/kernel-rpc"), Work::KernelCall, traced)?;
    }
    bench.line("filtered/send-32", Work::Send(32), Traced::Filtered)?;
    bench.line("filtered/task-rpc", Work::ServerCall, Traced::Filtered)?;
    bench.line("both-filtered/task-rpc", Work::ServerCall, Traced::BothFiltered)?;
    bench.line("ring/kernel-rpc", Work::KernelCall, Traced::Ring)?;
    bench.line("ring-machine/kernel-rpc", Work::KernelCall, Traced::RingTogether)?;
    bench.line("ring-machine/task-rpc", Work::ServerCall, Traced::RingTogether)?;
    bench.line("ring-both/task-rpc", Work::ServerCall, Traced::RingBothTogether)?;
    bench.reading()?;
    // As before there was an engine, or a ring.
    bench.line("traced-again/kernel-rpc", Work::KernelCall, Traced::Client)?;
    Ok(())
}

/// Ends tasks that were there only to be traced.
fn end(others: &mut Vec<PortName>) -> Result<(), Mismatch> {
    for task in others.drain(..) {
        task_terminate(task).doing("task_terminate")?;
    }
    Ok(())
}

impl Bench {
    fn new(only: Option<&'static str>) -> Result<Self, Mismatch> {
        let report = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let trace = ReceiveRight::allocate().doing("mach_port_allocate")?;
        trace.set_queue_limit(QUEUE).doing("mach_port_set_qlimit")?;
        let both = PortSet::allocate().doing("mach_port_allocate")?;
        let traces = (0..MAX_ENGINES).map(|_| Tracer::new(QUEUE)).collect::<Result<_, _>>()?;
        let ring = Tracer::new(QUEUE)?;
        Ok(Self {
            report,
            trace,
            traces,
            ring,
            read: None,
            both,
            only,
            buffer: alloc::vec![0; wire_size(LIMIT, MAX_PORTS) / 8],
        })
    }

    /// Measures one case and prints its line.
    fn line(&mut self, name: &str, work: Work, traced: Traced) -> Result<(), Mismatch> {
        if self.only.is_some_and(|only| only != name) {
            return Ok(());
        }
        let calls = match work {
            Work::Send(_) => 1,
            _ if traced.is_in_ring() && traced.is_together() => CALLS_INTO_RING,
            _ if traced.is_together() => CALLS_TOGETHER,
            _ => CALLS_WITHOUT_WAITING,
        };
        let total = self.measure(work, calls, traced)?;
        println!("bench {name} {total} {calls}");
        Ok(())
    }

    /// The least that a batch of so many calls costs.
    fn measure(&mut self, work: Work, calls: u32, traced: Traced) -> Result<u64, Mismatch> {
        let server_port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let to_server = server_port.make_send().doing("a send right to the server")?;
        let server = self.child(serve, traced, traced.is_both())?;
        mach_port_insert_right(server.task.name(), SERVER, server_port.into_name(), Disposition::MoveReceive)
            .doing("inserting the server's receive right")?;
        let until_seen = traced.is_in_ring() && traced.is_together();
        let client = self.child(move || client(work, calls, until_seen), traced, traced.has_trace_port())?;
        if traced.is_in_ring() && self.ring.ring.is_none() {
            self.ring.ask_for_ring(client.task.name()).doing("task_get_special_port")?;
        }
        let mut engines = self.attach(client.task.name(), traced)?;
        if traced == Traced::BothFiltered {
            engines.extend(self.attach(server.task.name(), traced)?);
        }
        mach_port_insert_right(client.task.name(), SERVER, to_server.name(), Disposition::CopySend)
            .doing("inserting a send right to the server")?;
        server.resume().doing("starting the server")?;
        client.resume().doing("starting the client")?;
        let total = match traced.is_together() {
            true if traced.is_in_ring() => self.read_together()?,
            true => self.receive_together()?,
            false => self.receive_apart()?,
        };
        task_terminate(client.task.name()).doing("task_terminate")?;
        task_terminate(server.task.name()).doing("task_terminate")?;
        self.drain()?;
        drop(engines);
        Ok(total)
    }

    /// A child that is not running yet, with a send right to this task.
    fn child(&self, body: impl FnOnce() + Send + 'static, how: Traced, is_traced: bool) -> Result<Child, Mismatch> {
        let child = thread::fork(body).doing("making a child")?;
        mach_port_insert_right(child.task.name(), PARENT, self.report.name(), Disposition::MakeSend)
            .doing("inserting a send right into a child")?;
        if is_traced {
            let port = if how.is_in_ring() { &self.ring.port } else { &self.trace };
            set_trace_port(child.task.name(), port).doing("task_set_special_port")?;
        }
        Ok(child)
    }

    /// The engines of a case.
    fn attach(&self, task: PortName, traced: Traced) -> Result<Vec<SendRight>, Mismatch> {
        let (count, events) = match traced {
            Traced::Engines(count) => (count, event::ALL),
            Traced::Unasked => (1, event::EXCEPTION),
            Traced::Filtered | Traced::BothFiltered => (1, event::MESSAGES),
            _ => (0, 0),
        };
        let wish = Wish::new("bench").of(events);
        let engines = self.traces.iter().take(count).map(|tracer| engine::attach(task, tracer, wish));
        let engines = engines.collect::<Result<Vec<_>, _>>().doing("trace_attach")?;
        if matches!(traced, Traced::Filtered | Traced::BothFiltered)
            && let Some(engine) = engines.first()
        {
            let rules = [engine::rule(0, 1, 2, 0), engine::rule(rule::NO_MESSAGE, 0, 0, 0)];
            trace_set_filter(engine.name(), u32::MAX, &rules).doing("trace_set_filter")?;
        }
        Ok(engines)
    }

    /// Traces a new task that does nothing; `false` if this kernel cannot.
    fn trace_one_more(&self, others: &mut Vec<PortName>) -> Result<bool, Mismatch> {
        let task = task_create(task_self(), false).doing("task_create")?;
        others.push(task);
        match set_trace_port(task, &self.trace) {
            Err(KernReturn::KERN_INVALID_ARGUMENT) => Ok(false),
            other => other.doing("task_set_special_port").map(|()| true),
        }
    }

    /// Leaves records in the queue until the client asks, so that only the client runs while it counts.
    fn receive_apart(&mut self) -> Result<u64, Mismatch> {
        loop {
            self.receive(self.report.name(), None)?;
            match self.id() {
                SYNC => {
                    let mut request = [
                        self.buffer[word::BITS],
                        self.buffer[word::REMOTE_PORT],
                        self.buffer[word::LOCAL_PORT],
                        self.buffer[word::ID],
                    ];
                    self.drain()?;
                    answer(&mut request)?;
                }
                DONE => return self.result(),
                other => expect("id of a client's message", DONE, other)?,
            }
        }
    }

    /// Receives every record as it comes.
    fn receive_together(&mut self) -> Result<u64, Mismatch> {
        self.both.add(&self.report).doing("mach_port_move_member")?;
        self.both.add(&self.trace).doing("mach_port_move_member")?;
        let found = loop {
            self.receive(self.both.name(), None)?;
            match self.id() {
                SYNC => answer(&mut self.buffer)?,
                DONE => break self.result()?,
                _ => {}
            }
        };
        alone(&self.report)?;
        alone(&self.trace)?;
        Ok(found)
    }

    /// Takes every record out of the queues and out of the ring.
    fn drain(&mut self) -> Result<(), Mismatch> {
        let ports: Vec<PortName> = self.traces.iter().map(|tracer| tracer.port.name()).collect();
        for port in ports.into_iter().chain([self.trace.name(), self.ring.port.name()]) {
            while self.receive(port, Some(0)).is_ok() {}
        }
        self.read().map(drop)
    }

    fn receive(&mut self, port: PortName, timeout: Option<u32>) -> Result<(), Mismatch> {
        self.receive_in_time(port, timeout)?.then_some(()).doing("receiving in time")
    }

    /// Whether something has come in time.
    fn receive_in_time(&mut self, port: PortName, timeout: Option<u32>) -> Result<bool, Mismatch> {
        let option = MACH_RCV_MSG | timeout.map_or(0, |_| MACH_RCV_TIMEOUT);
        let room = size_of_val(&self.buffer[..]) as u32;
        let answer = mach_msg(&mut self.buffer, option, 0, room, port, timeout.unwrap_or(0), PortName::NULL);
        match KernReturn::from_mach_msg(answer) {
            KernReturn::MACH_RCV_TIMED_OUT => Ok(false),
            answer => answer.into_result().doing("receiving").map(|()| true),
        }
    }

    fn id(&self) -> i32 {
        (self.buffer[word::ID] >> 32) as i32
    }

    /// The total in a client's last message: an integer for each half.
    fn result(&self) -> Result<u64, Mismatch> {
        let total = self.buffer[7] << 32 | self.buffer[5] & 0xffff_ffff;
        Some(total).filter(|&total| total != u64::MAX).doing("client whose calls all succeed")
    }
}

/// Takes a port out of its set.
fn alone(port: &ReceiveRight) -> Result<(), Mismatch> {
    mach_port_move_member(task_self(), port.name(), PortName::NULL).doing("mach_port_move_member")
}

fn set_trace_port(task: PortName, port: &ReceiveRight) -> Result<(), KernReturn> {
    let right = port.make_send()?;
    task_set_special_port(task, TASK_TRACE_PORT, right.name())
}
