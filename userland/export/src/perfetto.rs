// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to perfetto`: a trace for ui.perfetto.dev and trace_processor.
//!
//! A task is a process and a thread a thread. Perfetto wants what is on one track to nest, which RPCs need not: a slice is on the first of its
//! thread's tracks on which nothing else is at that time, and tracks of one name are shown as one. What a server does for a client has the
//! number of the request as its flow and correlation id. A thread that waits for an answer says so on a track of states. How many messages
//! wait in a port's queue is counted where tasks of the trace send and receive.

use std::collections::HashMap;
use std::fmt;
use std::io;

use exchanges::Event as RecordEvent;
use mach_abi::type_name::MOVE_SEND_ONCE;
use mig_defs::table::Tables;
use trace_port::{Direction, EventKind, port};

use crate::model::{About, Call, End, Field, Half, Remark, Value};
use crate::{Format, Out};
use packets::{Event, Packets, Track, Type};
use types::Part;

mod packets;
mod types;

/// Most messages that are remembered until they are received; who receives others is not traced.
const QUEUED_MAX: usize = 65536;
/// The track of what is said of the trace itself.
const TRACE: u64 = 1;

/// A track of slices that follow each other.
#[derive(Debug)]
struct Lane {
    uuid: u64,
    /// A slice is open on it.
    open: bool,
    /// When the last slice ended.
    end: u64,
}

/// A thread, or a task as a whole.
#[derive(Debug, Default)]
struct Place {
    uuid: u64,
    name: String,
    /// By the name of the tracks.
    lanes: HashMap<&'static str, Vec<Lane>>,
    /// The track of its state; 0 if there is none.
    state: u64,
    /// The exchange whose answer the thread waits for.
    waits: Option<u64>,
}

/// A port from whose queue a task of the trace receives.
#[derive(Debug, Default)]
struct Queue {
    /// 0 until somebody receives from it.
    uuid: u64,
    depth: i64,
}

struct Perfetto {
    packets: Packets,
    last: u64,
    /// What the trace says of itself, until there is a time to say it at.
    about: Option<Vec<Field>>,
    /// By the task's number in the trace.
    tasks: HashMap<usize, Place>,
    /// By that and the kernel's number of the thread.
    threads: HashMap<(usize, u32), Place>,
    /// The tracks of open slices, by the numbers of their exchanges: the task's number, and the thread's or 0.
    open: HashMap<u64, (u64, (usize, u32))>,
    queues: HashMap<u32, Queue>,
    /// The ports that messages are in the queue of, by their correlation numbers.
    queued: HashMap<u64, u32>,
}

impl fmt::Debug for Perfetto {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Perfetto")
    }
}

/// Begins one.
pub(crate) fn begin(out: Out, about: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    let mut packets = Packets::new(out);
    packets.track(TRACE, 0, "trace", Track::Slices)?;
    packets.describe()?;
    let facts = about.facts.iter().map(|(name, fact)| field(name, text(fact)));
    let about = Some(facts.collect());
    let (tasks, threads, open, queues, queued) = Default::default();
    Ok(Box::new(Perfetto { packets, last: TRACE, about, tasks, threads, open, queues, queued }))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn field(name: &str, value: Value) -> Field {
    Field { name: name.into(), ty: String::new(), value }
}

/// What the tracks are called on which exchanges of a role are, and whether they are the thread's: others do the rest with the task.
fn tracks(role: &str) -> (&'static str, bool) {
    match role {
        "server" => ("serves", true),
        "control" => ("asked of the kernel about it", false),
        "exception" => ("exceptions", false),
        _ => ("calls", true),
    }
}

impl Perfetto {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The first time that is known is when the clocks are told.
    fn begins_at(&mut self, time: u64) -> io::Result<()> {
        let Some(about) = self.about.take() else { return Ok(()) };
        self.packets.clocks(time)?;
        let mut event = self.packets.event(Type::Instant, TRACE, Some("about this trace"));
        self.packets.note_fields(&mut event, "facts", &about);
        self.packets.write(time, &event)
    }

    /// The task as a process, described again if its name is another now.
    fn task(&mut self, call: &Call) -> io::Result<u64> {
        let next = self.next();
        let task = self.tasks.entry(call.task.index).or_default();
        let is_new = task.uuid == 0;
        if is_new {
            task.uuid = next;
        }
        if is_new || task.name != call.task.name {
            task.name.clone_from(&call.task.name);
            // The kernel's name comes late, if at all.
            let name = if task.name.is_empty() { "(not known)" } else { &task.name };
            self.packets.track(task.uuid, 0, name, Track::Process(call.task.index))?;
        }
        Ok(task.uuid)
    }

    /// The track of what a thread, or the task, is.
    fn place(&mut self, call: &Call, of_thread: bool) -> io::Result<u64> {
        let process = self.task(call)?;
        if !of_thread || call.thread == 0 {
            return Ok(process);
        }
        let next = self.next();
        let thread = self.threads.entry((call.task.index, call.thread)).or_default();
        let is_new = thread.uuid == 0;
        if is_new {
            thread.uuid = next;
        }
        if is_new || thread.name != call.label {
            thread.name.clone_from(&call.label);
            self.packets.track(thread.uuid, process, &call.label, Track::Thread(call.task.index, call.thread))?;
        }
        Ok(thread.uuid)
    }

    /// The track of the slice of an exchange that begins.
    fn lane(&mut self, call: &Call) -> io::Result<u64> {
        let (name, of_thread) = tracks(call.role);
        let above = self.place(call, of_thread)?;
        let (start, next) = (call.start(), self.next());
        let owner = (call.task.index, if of_thread { call.thread } else { 0 });
        let place = match owner {
            (task, 0) => self.tasks.entry(task).or_default(),
            thread => self.threads.entry(thread).or_default(),
        };
        let lanes = place.lanes.entry(name).or_default();
        let free = lanes.iter_mut().find(|lane| !lane.open && lane.end <= start);
        let uuid = free.as_ref().map_or(next, |lane| lane.uuid);
        match free {
            Some(lane) => lane.open = true,
            None => {
                lanes.push(Lane { uuid, open: true, end: start });
                self.packets.track(uuid, above, name, Track::Slices)?;
            }
        }
        self.open.insert(call.id, (uuid, owner));
        Ok(uuid)
    }

    /// The track of the slice of an exchange that ends. Another thread than the one that asked may have received the answer.
    fn end_lane(&mut self, id: u64, end: u64) -> Option<u64> {
        let (track, owner) = self.open.remove(&id)?;
        let place = match owner {
            (task, 0) => self.tasks.get_mut(&task),
            thread => self.threads.get_mut(&thread),
        };
        let lane = place?.lanes.values_mut().flatten().find(|lane| lane.uuid == track)?;
        (lane.open, lane.end) = (false, end);
        Some(track)
    }

    fn begin_slice(&mut self, call: &Call, kind: Type, track: u64) -> io::Result<Event> {
        let mut event = self.packets.event(kind, track, Some(&call.name));
        event.category(call.subsystem.as_deref().unwrap_or("mach"));
        let Some(request) = &call.request else { return Ok(event) };
        if let Some(port) = &request.port {
            self.packets.note(&mut event, if request.is_sent { "to" } else { "on" }, &Value::Port(port.clone()));
        }
        self.packets.note_arguments(&mut event, &call.name, Part::Request, &request.arguments)?;
        let mut number = |name: &str, number: u64| {
            self.packets.note(&mut event, name, &Value::Unsigned(number, None));
        };
        call.msgh_id.into_iter().for_each(|id| number("msgh_id", id.into()));
        number("exchange", call.id);
        number("bytes", request.size.into());
        if request.correlation != 0 && kind == Type::Begin {
            event.flow(request.correlation);
        }
        Ok(event)
    }

    /// What is known of an exchange once it is closed.
    fn note_end(&mut self, call: &Call, event: &mut Event) -> io::Result<()> {
        self.packets.note(event, "outcome", &text(call.outcome));
        if let Some(code) = &call.result {
            self.packets.note(event, "result", &Value::Code(code.number, code.name.clone()));
            self.packets.note(event, "code", &Value::Signed(code.number.into(), None));
        }
        if let Some(reply) = &call.reply {
            self.packets.note_arguments(event, &call.name, Part::Reply, &reply.arguments)?;
        }
        if let Some(split) = &call.split {
            event.split(split);
        }
        Ok(())
    }

    /// The thread of a call begins or ends waiting.
    fn wait(&mut self, call: &Call, request: &Half) -> io::Result<()> {
        let above = self.place(call, true)?;
        let next = self.next();
        let Some(place) = self.threads.get_mut(&(call.task.index, call.thread)) else { return Ok(()) };
        place.waits = Some(call.id);
        if place.state == 0 {
            place.state = next;
            self.packets.track(next, above, "state", Track::State)?;
        }
        let what = request.port.as_ref().map_or("", |port| port.label.as_str());
        let kernel = request
            .port
            .as_ref()
            .and_then(|port| port.kind)
            .is_some_and(|kind| !matches!(kind, "port" | "memory-object"));
        let state = format!("waits for {}{what}", if kernel { "the kernel: " } else { "" });
        let event = self.packets.event(Type::State, place.state, Some(&state));
        self.packets.write(request.time, &event)
    }

    /// A thread does something else than to wait.
    fn runs(&mut self, thread: (usize, u32), time: u64) -> io::Result<()> {
        let Some(place) = self.threads.get_mut(&thread) else { return Ok(()) };
        if place.waits.take().is_none() {
            return Ok(());
        }
        let event = self.packets.event(Type::State, place.state, None);
        self.packets.write(time, &event)
    }

    fn queue(&mut self, number: u32, change: i64, is_received: bool, time: u64) -> io::Result<()> {
        let next = self.next();
        let queue = self.queues.entry(number).or_default();
        queue.depth += change;
        if queue.uuid == 0 {
            if !is_received {
                return Ok(());
            }
            queue.uuid = next;
            self.packets.track(next, 0, &format!("queue of port {number}"), Track::Counter("messages"))?;
        }
        let mut event = self.packets.event(Type::Counter, queue.uuid, None);
        event.counter(queue.depth);
        self.packets.write(time, &event)
    }
}

impl Format for Perfetto {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        self.begins_at(call.start())?;
        let lane = self.lane(call)?;
        let event = self.begin_slice(call, Type::Begin, lane)?;
        self.packets.write(call.start(), &event)?;
        match (&call.request, call.role) {
            (Some(request), "client") if request.then_receives && call.outcome != "one-way" => self.wait(call, request),
            (_, "client" | "server") => self.runs((call.task.index, call.thread), call.start()),
            _ => Ok(()),
        }
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        self.begins_at(call.start())?;
        let (_, of_thread) = tracks(call.role);
        let end = call.end().unwrap_or(if call.outcome == "unanswered" { call.closed_at } else { call.start() });
        // Who receives the answer may be another thread than who asked.
        let waits = |place: &Place| place.waits == Some(call.id);
        let waiting = self.threads.iter().find(|(_, place)| waits(place)).map(|(thread, _)| *thread);
        if let Some(thread) = waiting {
            self.runs(thread, end)?;
        }
        let Some(lane) = self.end_lane(call.id, end) else {
            // No request was seen that an answer might have come to: it is a moment.
            let track = self.place(call, of_thread)?;
            let mut event = self.begin_slice(call, Type::Instant, track)?;
            self.note_end(call, &mut event)?;
            self.packets.write(call.start(), &event)?;
            return self.runs((call.task.index, call.thread), call.start());
        };
        let mut event = self.packets.event(Type::End, lane, None);
        self.note_end(call, &mut event)?;
        self.packets.write(end, &event)
    }

    fn record(&mut self, event: &RecordEvent) -> io::Result<()> {
        if event.kind != EventKind::Normal || event.retval != 0 || event.correlation == 0 {
            return Ok(());
        }
        let Some(header) = event.mach_header else { return Ok(()) };
        match event.direction {
            Direction::Send => {
                let is_reply = u32::from(header.remote_disposition()) == MOVE_SEND_ONCE;
                let to = event.remote_port().filter(|to| to.kind == port::NONE && to.number.get() != 0);
                let Some(to) = to.filter(|_| !is_reply && self.queued.len() < QUEUED_MAX) else { return Ok(()) };
                self.begins_at(event.time)?;
                self.queued.insert(event.correlation, to.number.get());
                self.queue(to.number.get(), 1, false, event.time)
            }
            Direction::Receive => {
                // An answer may have the number of its request, too, but comes to another port.
                let on = event.received_on().or_else(|| event.port(header.local_port as u32));
                let Some(number) = on.map(|on| on.number.get()) else { return Ok(()) };
                if self.queued.get(&event.correlation) != Some(&number) {
                    return Ok(());
                }
                self.queued.remove(&event.correlation);
                self.queue(number, -1, true, event.time)
            }
        }
    }

    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.begins_at(remark.time)?;
        let mut event = self.packets.event(Type::Instant, TRACE, Some(&remark.text));
        if let Some(lost) = remark.lost {
            self.packets.note(&mut event, "lost", &Value::Unsigned(lost.into(), None));
            // What has been received meanwhile is not known.
            self.queued.clear();
            self.queues.clear();
        }
        self.packets.write(remark.time, &event)
    }

    fn finish(&mut self, end: &End) -> io::Result<()> {
        self.begins_at(end.time)?;
        self.packets.flush()
    }
}
