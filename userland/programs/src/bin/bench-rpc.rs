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

use alloc::format;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::Message;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::rt::exit::terminate;
use mach::stubs::trace_control::trace_set_filter;
use mach::sys::clock::counter;
use mach::sys::msg::mach_msg;
use mach::sys::trap::{mach_port_insert_right, task_create, task_set_special_port, task_terminate};
use mach::thread::{self, Child};
use mach::{println, task_self};
use mach_abi::Descriptor;
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG};
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use mach_abi::special_port::TASK_TRACE_PORT;
use mach_abi::type_name::{BYTE, PORT_NAME};
use programs::engine::{self, Wish};
use programs::tracer::Tracer;
use programs::{Doing, Mismatch, expect};
use trace_port::control::{MAX_ENGINES, event, rule};
use trace_port::port::MAX_PORTS;
use trace_port::record::wire_size;

mach::entry!(main);

/// The word for the cases in which nobody is traced by this program.
const UNTRACED: &str = "untraced";
/// What a child calls its send right to this task.
const PARENT: PortName = PortName(0x101);
/// What the server calls its receive right, and a client its send right to the server.
const SERVER: PortName = PortName(0x102);
/// A client asks that no record be left in the queue.
const SYNC: i32 = 6600;
/// A client's result.
const DONE: i32 = 6601;
/// Id of the messages measured.
const NULL_CALL: i32 = 6610;
/// `mach_port_type` of mach_port.defs.
const MACH_PORT_TYPE: u64 = 3201;
/// What a port's queue can hold.
const QUEUE: u32 = MACH_PORT_QLIMIT_MAX;
/// Calls after which the queue is not full yet: two records each, one more for the answer to [`SYNC`].
const CALLS_WITHOUT_WAITING: u32 = (QUEUE - 1) / 2;
/// Calls in a batch where everybody's work is counted; a whole number of full queues.
const CALLS_TOGETHER: u32 = 64;
/// Batches, of which the least counts.
const BATCHES: u32 = 24;
/// Sizes of the messages whose cost per byte is of interest.
const SIZES: [u32; 4] = [32, 1024, 4096, 65536];
/// Most bytes of a message received here.
const LIMIT: usize = 66 * 1024;

/// What a client does again and again.
#[derive(Clone, Copy)]
enum Work {
    /// `mach_port_type` on itself.
    KernelCall,
    /// A call of the server without arguments.
    ServerCall,
    /// Sends a message of so many bytes to a port of its own; taking it out is not counted.
    Send(u32),
}

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
}

/// The ports of this task.
struct Bench {
    report: ReceiveRight,
    trace: ReceiveRight,
    /// Of engines.
    traces: Vec<Tracer>,
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
    // As before there was an engine.
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
        Ok(Self { report, trace, traces, both, only, buffer: alloc::vec![0; wire_size(LIMIT, MAX_PORTS) / 8] })
    }

    /// Measures one case and prints its line.
    fn line(&mut self, name: &str, work: Work, traced: Traced) -> Result<(), Mismatch> {
        if self.only.is_some_and(|only| only != name) {
            return Ok(());
        }
        let together = matches!(traced, Traced::ClientTogether | Traced::BothTogether);
        let calls = match work {
            Work::Send(_) => 1,
            _ if together => CALLS_TOGETHER,
            _ => CALLS_WITHOUT_WAITING,
        };
        let server_port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let to_server = server_port.make_send().doing("a send right to the server")?;
        let server = self.child(serve, traced == Traced::BothTogether)?;
        mach_port_insert_right(server.task.name(), SERVER, server_port.into_name(), Disposition::MoveReceive)
            .doing("inserting the server's receive right")?;
        let has_trace_port = matches!(traced, Traced::Client | Traced::ClientTogether | Traced::BothTogether);
        let client = self.child(move || client(work, calls), has_trace_port)?;
        let mut engines = self.attach(client.task.name(), traced)?;
        if traced == Traced::BothFiltered {
            engines.extend(self.attach(server.task.name(), traced)?);
        }
        mach_port_insert_right(client.task.name(), SERVER, to_server.name(), Disposition::CopySend)
            .doing("inserting a send right to the server")?;
        server.resume().doing("starting the server")?;
        client.resume().doing("starting the client")?;
        let total = if together { self.receive_together()? } else { self.receive_apart()? };
        task_terminate(client.task.name()).doing("task_terminate")?;
        task_terminate(server.task.name()).doing("task_terminate")?;
        self.drain();
        drop(engines);
        println!("bench {name} {total} {calls}");
        Ok(())
    }

    /// A child that is not running yet, with a send right to this task.
    fn child(&self, body: impl FnOnce() + Send + 'static, traced: bool) -> Result<Child, Mismatch> {
        let child = thread::fork(body).doing("making a child")?;
        mach_port_insert_right(child.task.name(), PARENT, self.report.name(), Disposition::MakeSend)
            .doing("inserting a send right into a child")?;
        if traced {
            self.set_trace_port(child.task.name()).doing("task_set_special_port")?;
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

    fn set_trace_port(&self, task: PortName) -> Result<(), KernReturn> {
        let right = self.trace.make_send()?;
        task_set_special_port(task, TASK_TRACE_PORT, right.name())
    }

    /// Traces a new task that does nothing; `false` if this kernel cannot.
    fn trace_one_more(&self, others: &mut Vec<PortName>) -> Result<bool, Mismatch> {
        let task = task_create(task_self(), false).doing("task_create")?;
        others.push(task);
        match self.set_trace_port(task) {
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
                    self.drain();
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
        for port in [&self.report, &self.trace] {
            mach::stubs::mach_port::mach_port_move_member(task_self(), port.name(), PortName::NULL)
                .doing("mach_port_move_member")?;
        }
        Ok(found)
    }

    /// Takes every record out of the queue.
    fn drain(&mut self) {
        let ports: Vec<PortName> = self.traces.iter().map(|tracer| tracer.port.name()).collect();
        for port in ports.into_iter().chain([self.trace.name()]) {
            while self.receive(port, Some(0)).is_ok() {}
        }
    }

    fn receive(&mut self, port: PortName, timeout: Option<u32>) -> Result<(), Mismatch> {
        let option = MACH_RCV_MSG | timeout.map_or(0, |_| MACH_RCV_TIMEOUT);
        let room = size_of_val(&self.buffer[..]) as u32;
        let answer = mach_msg(&mut self.buffer, option, 0, room, port, timeout.unwrap_or(0), PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().doing("receiving")
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

/// Answers the message in `buffer` with a message of 32 bytes to its reply port.
fn answer(buffer: &mut [u64]) -> Result<(), Mismatch> {
    reply(buffer);
    let sent = mach_msg(buffer, MACH_SEND_MSG, 32, 0, PortName::NULL, 0, PortName::NULL);
    KernReturn::from_mach_msg(sent).into_result().doing("answering")
}

/// Makes a received request its own reply.
fn reply(buffer: &mut [u64]) {
    buffer[word::BITS] = Disposition::MoveSendOnce as u64;
    buffer[word::LOCAL_PORT] = 0;
}

/// The server: answers every request, each answer and the next request in one `mach_msg`.
fn serve() {
    let mut buffer = [0; 8];
    let mut option = MACH_RCV_MSG;
    while mach_msg(&mut buffer, option, 32, 64, SERVER, 0, PortName::NULL) == 0 {
        reply(&mut buffer);
        option = MACH_SEND_MSG | MACH_RCV_MSG;
    }
    terminate()
}

/// The client: measures its batches, reports the least, and waits to be ended.
fn client(work: Work, calls: u32) {
    let mut caller = Caller { reply: mach::sys::msg::reply_port(), buffer: alloc::vec![0; LIMIT / 8] };
    let mut least = u64::MAX;
    for _ in 0..BATCHES {
        if !caller.sync() {
            break;
        }
        let start = counter();
        let right = (0..calls).all(|_| caller.call(work));
        let total = counter() - start;
        if !right || !caller.clean_up(work) {
            least = u64::MAX;
            break;
        }
        least = least.min(total);
    }
    let mut done =
        Message::new(DONE, PARENT, Disposition::CopySend).integer(least as u32).integer((least >> 32) as u32);
    done.send(None);
    // Nothing comes.
    mach_msg(&mut caller.buffer, MACH_RCV_MSG, 0, 256, caller.reply, 0, PortName::NULL);
    terminate()
}

/// A client's buffer and reply port. Requests are made by hand, so that little but the kernel is measured.
struct Caller {
    reply: PortName,
    buffer: Vec<u64>,
}

impl Caller {
    /// Waits until the tracer has emptied its queue.
    fn sync(&mut self) -> bool {
        self.header(PARENT, SYNC as u64, 32);
        self.exchange(32)
    }

    #[inline]
    fn call(&mut self, work: Work) -> bool {
        match work {
            Work::KernelCall => {
                self.header(task_self(), MACH_PORT_TYPE, 48);
                // One port name, in the message.
                self.buffer[4] = Descriptor::inline(PORT_NAME, 32, 1).to_word();
                self.buffer[5] = u64::from(self.reply.0);
                self.exchange(48) && self.buffer[5] as u32 == 0
            }
            Work::ServerCall => {
                self.header(SERVER, NULL_CALL as u64, 32);
                self.exchange(32)
            }
            Work::Send(size) => {
                self.buffer[word::BITS] = Disposition::MakeSend as u64 | u64::from(size) << 32;
                self.buffer[word::REMOTE_PORT] = u64::from(self.reply.0);
                self.buffer[word::LOCAL_PORT] = 0;
                self.buffer[word::ID] = (NULL_CALL as u64) << 32;
                if size > 32 {
                    // Bytes in the message.
                    self.buffer[4] = Descriptor::inline(BYTE, 8, size - 40).to_word();
                }
                mach_msg(&mut self.buffer, MACH_SEND_MSG, size, 0, PortName::NULL, 0, PortName::NULL) == 0
            }
        }
    }

    /// Takes out what a batch left behind.
    fn clean_up(&mut self, work: Work) -> bool {
        let Work::Send(size) = work else { return true };
        mach_msg(&mut self.buffer, MACH_RCV_MSG, 0, size, self.reply, 0, PortName::NULL) == 0
    }

    #[inline]
    fn header(&mut self, to: PortName, id: u64, size: u64) {
        self.buffer[word::BITS] = Disposition::CopySend as u64 | (Disposition::MakeSendOnce as u64) << 8 | size << 32;
        self.buffer[word::REMOTE_PORT] = u64::from(to.0);
        self.buffer[word::LOCAL_PORT] = u64::from(self.reply.0);
        self.buffer[word::ID] = id << 32;
    }

    #[inline]
    fn exchange(&mut self, size: u32) -> bool {
        let option = MACH_SEND_MSG | MACH_RCV_MSG;
        mach_msg(&mut self.buffer, option, size, 256, self.reply, 0, PortName::NULL) == 0
    }
}
