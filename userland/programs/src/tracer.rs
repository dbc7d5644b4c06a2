// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace port and what comes to it, for programs that are tracers of their own.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mach::boot;
use mach::error::KernReturn;
use mach::mig;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::rt::exit::terminate;
use mach::sys::msg::mach_msg;
use mach::sys::trap::{mach_port_insert_right, task_set_special_port};
use mach::thread::{self, Child};
use mach::{stubs, task_self};
use mach_abi::header::word;
use mach_abi::notify::MACH_NOTIFY_NO_SENDERS;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::special_port::TASK_TRACE_PORT;
use trace_port::event::{Direction, EventKind};
use trace_port::record::{LARGEST, Record, Records};
use trace_port::{RecordHeader, TRACE_RING_MSGH_ID};
use zerocopy::IntoBytes;

use crate::ring::Ring;
use crate::{Doing, Mismatch};

/// What a record says, without the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Sent or received.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// `msgh_id` of the message; 0 if there is none.
    pub id: i32,
    /// Everything else.
    pub header: RecordHeader,
}

/// A trace port.
pub struct Tracer {
    /// Its receive right.
    pub port: ReceiveRight,
    /// Where records come to besides.
    pub ring: Option<Ring>,
    /// How many records came from the ring.
    pub from_ring: usize,
    /// How many came in messages.
    pub from_messages: usize,
    buffer: Vec<u64>,
    /// What came last was another message, before which there were records in the ring.
    is_other: bool,
    /// The further records of the last message, or of the ring.
    next: VecDeque<Seen>,
}

impl Tracer {
    /// A trace port that holds `limit` records.
    pub fn new(limit: u32) -> Result<Self, Mismatch> {
        let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        port.set_queue_limit(limit).doing("mach_port_set_qlimit")?;
        Ok(Self::of(port))
    }

    /// A trace port that there is.
    pub fn of(port: ReceiveRight) -> Self {
        Self {
            port,
            ring: None,
            from_ring: 0,
            from_messages: 0,
            buffer: record_buffer(),
            is_other: false,
            next: VecDeque::new(),
        }
    }

    /// Asks for the ring of the trace port, to which this task is traced already: from now on records come from there, too.
    ///
    /// # Errors
    /// Those of [`Ring::of`].
    pub fn ask_for_ring(&mut self, task: PortName) -> Result<(), KernReturn> {
        self.ring = Some(Ring::of(task)?);
        Ok(())
    }

    /// Sets it as a task's trace port; the only send rights left are the kernel's.
    pub fn trace(&self, task: PortName) -> Result<(), KernReturn> {
        trace(task, &self.port)
    }

    /// The next record; `None` if none comes in time, or what comes is another message. A malformed record is an error.
    pub fn record(&mut self, timeout: Option<u32>) -> Result<Option<Seen>, Mismatch> {
        if self.next.is_empty() {
            let mut next = VecDeque::new();
            self.each(timeout, |record| {
                next.push_back(Seen::of(record));
                Ok(())
            })?;
            self.next = next;
        }
        Ok(self.next.pop_front())
    }

    /// Takes the records of the ring, or of the next message and what is in the ring by then, with what they hold; false if none comes in time, or
    /// another message does.
    pub fn each(
        &mut self,
        timeout: Option<u32>,
        mut take: impl FnMut(&Record<'_>) -> Result<(), Mismatch>,
    ) -> Result<bool, Mismatch> {
        if core::mem::take(&mut self.is_other) {
            return Ok(false);
        }
        loop {
            if let Some(ring) = &mut self.ring {
                let count = ring.read(&mut take)?;
                self.from_ring += count;
                if count > 0 {
                    return Ok(true);
                }
                if !ring.may_sleep(1)? {
                    continue;
                }
            }
            let came = receive(&self.port, &mut self.buffer, timeout)?;
            // What a thread has written before its message was queued is there by now.
            let mut count = 0;
            if let Some(ring) = &mut self.ring {
                ring.wakes_up()?;
                count = ring.read(&mut take)?;
                self.from_ring += count;
            }
            match came {
                Came::Records => {
                    let from_messages = &mut self.from_messages;
                    each_record(&self.buffer, |record| {
                        *from_messages += 1;
                        take(record)
                    })?;
                    return Ok(true);
                }
                Came::Wake if count == 0 => {}
                Came::Other if count > 0 => {
                    self.is_other = true;
                    return Ok(true);
                }
                Came::Wake | Came::Other | Came::Nothing => return Ok(count > 0),
            }
        }
    }
}

/// What comes to a trace port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// A message with records.
    Records,
    /// That there is something in the ring.
    Wake,
    /// Another message.
    Other,
    /// Nothing in time.
    Nothing,
}

fn receive(port: &ReceiveRight, buffer: &mut [u64], timeout: Option<u32>) -> Result<Came, Mismatch> {
    let option = MACH_RCV_MSG | timeout.map_or(0, |_| MACH_RCV_TIMEOUT);
    let limit = size_of_val(buffer) as u32;
    let answer = mach_msg(buffer, option, 0, limit, port.name(), timeout.unwrap_or(0), PortName::NULL);
    match KernReturn::from_mach_msg(answer) {
        KernReturn::MACH_RCV_TIMED_OUT => return Ok(Came::Nothing),
        other => other.into_result().doing("receiving a record")?,
    }
    Ok(match mig::request_id(buffer) {
        Some(id) if trace_port::is_record(id) => Came::Records,
        Some(TRACE_RING_MSGH_ID) => Came::Wake,
        _ => Came::Other,
    })
}

/// Takes the records of a received message apart. Of the right to the task that came with them nothing is left.
pub fn each_record(message: &[u64], mut take: impl FnMut(&Record<'_>) -> Result<(), Mismatch>) -> Result<(), Mismatch> {
    let size = message.get(word::BITS).map_or(0, |word| (word >> 32) as usize);
    let bytes = message.as_bytes().get(..size).doing("message that fits")?;
    let records = Records::parse(bytes).ok().doing("well-formed message of a trace port")?;
    drop(SendRight::from_name(PortName(records.task)));
    for record in records {
        take(&record.ok().doing("well-formed record")?)?;
    }
    Ok(())
}

impl Seen {
    fn of(record: &Record<'_>) -> Self {
        let id = record.message.get(28..32).and_then(|id| id.try_into().ok()).map_or(0, i32::from_le_bytes);
        Self { direction: record.direction, kind: record.kind, id, header: *record.header }
    }
}

/// Makes this port a task's trace port; the only send rights left are the kernel's.
fn trace(task: PortName, port: &ReceiveRight) -> Result<(), KernReturn> {
    let right = port.make_send()?;
    task_set_special_port(task, TASK_TRACE_PORT, right.name())
}

/// Asks for the notification, to the port itself, that no send right to a trace port is left: of no task, of no record.
pub fn tell_when_untraced(port: &ReceiveRight) -> Result<(), Mismatch> {
    let (name, how) = (port.name(), Disposition::MakeSendOnce);
    let id = MACH_NOTIFY_NO_SENDERS as i32;
    stubs::mach_port::mach_port_request_notification(task_self(), name, id, 0, name, how)
        .map(drop)
        .doing("mach_port_request_notification")
}

/// What happens to a program that is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record came; it is in the buffer.
    Record,
    /// The program ended, with this status if it could tell one.
    Ended(Option<i32>),
    /// Neither it nor a child of it is left.
    Untraced,
    /// Records have come into the ring.
    InRing,
    /// None of these in time.
    Nothing,
}

/// A program of the boot archive that is traced from its first instruction on.
pub struct Program {
    task: SendRight,
    ports: PortSet,
    // They are in the set.
    trace: ReceiveRight,
    exit: ReceiveRight,
}

impl Program {
    /// Starts it; `argv` is each argument followed by NUL. `before` is called right before it runs.
    pub fn start(argv: &[u8], before: impl FnOnce() -> Result<(), Mismatch>) -> Result<Self, Mismatch> {
        let ports = PortSet::allocate().doing("mach_port_allocate")?;
        let trace_port = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let exit = ReceiveRight::allocate().doing("mach_port_allocate")?;
        ports.add(&trace_port).doing("mach_port_move_member")?;
        ports.add(&exit).doing("mach_port_move_member")?;
        let task = boot::spawn(argv, true, &exit).doing("boot_spawn")?;
        trace(task.name(), &trace_port).doing("task_set_special_port")?;
        tell_when_untraced(&trace_port)?;
        before()?;
        stubs::mach::task_resume(task.name()).doing("task_resume")?;
        Ok(Self { task, ports, trace: trace_port, exit })
    }

    /// The ring of its trace port.
    ///
    /// # Errors
    /// Those of [`Ring::of`].
    pub fn ring(&self) -> Result<Ring, KernReturn> {
        Ring::of(self.task.name())
    }

    /// How many messages of records may wait before the program has to.
    pub fn set_queue_limit(&self, limit: u32) -> Result<(), Mismatch> {
        self.trace.set_queue_limit(limit).doing("mach_port_set_qlimit")
    }

    /// Waits for what comes next, `patience` milliseconds at most.
    pub fn next(&self, buffer: &mut [u64], patience: u32) -> Result<Event, Mismatch> {
        let limit = size_of_val(buffer) as u32;
        loop {
            let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
            let answer = mach_msg(buffer, option, 0, limit, self.ports.name(), patience, PortName::NULL);
            match KernReturn::from_mach_msg(answer) {
                KernReturn::MACH_RCV_TIMED_OUT => return Ok(Event::Nothing),
                other => other.into_result().doing("the next record or the program's end")?,
            }
            if PortName(buffer[word::LOCAL_PORT] as u32) == self.exit.name() {
                return Ok(Event::Ended(boot::exit_status(buffer)));
            }
            match mig::request_id(buffer) {
                Some(id) if trace_port::is_record(id) => return Ok(Event::Record),
                Some(TRACE_RING_MSGH_ID) => return Ok(Event::InRing),
                Some(MACH_NOTIFY_NO_SENDERS) => return Ok(Event::Untraced),
                _ => mach::msg::destroy_body(buffer),
            }
        }
    }
}

impl Program {
    /// Ends it, unless it has ended by itself.
    pub fn terminate(&self) {
        let _ = stubs::mach::task_terminate(self.task.name());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// Room for any record.
pub fn record_buffer() -> Vec<u64> {
    alloc::vec![0; LARGEST / 8]
}

/// Takes a task's trace port away.
pub fn untrace(task: PortName) -> Result<(), KernReturn> {
    task_set_special_port(task, TASK_TRACE_PORT, PortName::NULL)
}

/// What a child calls the first and the second right that its parent gives it.
pub const FIRST: PortName = PortName(0x101);
/// The second.
pub const SECOND: PortName = PortName(0x102);
/// The third.
pub const THIRD: PortName = PortName(0x103);

/// A suspended child task that runs `body` and ends.
pub fn child(body: fn()) -> Result<Child, Mismatch> {
    let run = move || {
        body();
        terminate()
    };
    thread::fork(run).doing("making a child")
}

/// A suspended child task that runs `body`, to which [`FIRST`] is a send right to `parent` and [`SECOND`] a receive right; and
/// a send right to that one.
pub fn child_with_port(body: fn(), parent: &ReceiveRight) -> Result<(Child, SendRight), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let to_child = port.make_send().doing("a send right to the child's port")?;
    let child = child(body)?;
    give(&child, FIRST, parent.name(), Disposition::MakeSend)?;
    give(&child, SECOND, port.into_name(), Disposition::MoveReceive)?;
    Ok((child, to_child))
}

/// Gives a child a right.
pub fn give(child: &Child, name: PortName, right: PortName, how: Disposition) -> Result<(), Mismatch> {
    mach_port_insert_right(child.task.name(), name, right, how).doing("inserting a right into a child")
}

/// A message with a number.
pub fn send(id: i32, to: PortName, how: Disposition, number: u32) -> KernReturn {
    Message::new(id, to, how).integer(number).send(None)
}

/// The number in a message with one.
pub fn number(message: &Received) -> Option<u32> {
    message.items().find_map(|item| match item {
        mach::msg::Item::Integers(bytes) => bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)),
        _ => None,
    })
}
