// SPDX-License-Identifier: GPL-2.0-or-later
//! The live source: starts the command with a trace port and prints what arrives there until all traced tasks are gone.
//!
//! The kernel holds a send right to the trace port for every traced task and for every record in its queue, and we hold
//! none. So the no-senders notification comes when the last traced task is gone, children included, and is queued behind
//! its last record. It comes to a port of its own, to which the kernel alone has a right: whoever else gets one to the trace port
//! can send what looks like a notification, but not there.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hurd::errno::Answer;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::{print, stubs, task_self};
use mach_abi::header::LP64;
use mach_abi::notify::MACH_NOTIFY_NO_SENDERS;
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use mig_defs::table::Tables;
use protocol::archive::HOST_NAME;
use trace_port::control::MAX_RULES;
use trace_port::record::TASK_OFFSET;

use crate::buffer::Buffer;
use crate::injections::Injections;
use crate::options::{self, Request, text};
use crate::pace::Pace;
use crate::tasks::Tasks;
use crate::trace::Trace;
use crate::world::{self, CANNOT_TRACE, Failure, World, doing};

mod captured;
mod end;
mod ending;
mod engines;
mod live;
mod memory;
mod owner;
mod prompt;
mod received;
mod registers;
mod ring;
mod stops;
mod subject;
mod system;

use end::End;
use engines::Engines;
use live::{EVERY, Live};
use prompt::Prompt;
use received::Message;
use ring::Ring;
use stops::Left;
use subject::Subject;

/// Exit status after an interrupt, as shells have it: 128 and SIGINT.
const INTERRUPTED: i32 = 130;

/// Milliseconds without a record after which a request that waits for its reply is shown as unfinished, and after which those are left
/// alone that go on when the command has ended: its exit status is waited for, and untraced its end is that of all.
const IDLE: u32 = 1000;
/// Milliseconds without a record after which what has come is written to a capture.
const PAUSE: u32 = 50;
/// Bytes of text that are written even if more records are there.
const BATCH: usize = 4096;

/// The whole program; returns its exit status: the command's, if it ran.
pub fn main(arguments: Arguments) -> i32 {
    // Words in another encoding are refused once it is known where to.
    let words: Vec<&str> = (1..arguments.len()).map(|index| arguments.get_str(index).unwrap_or(NOT_UTF8)).collect();
    let said = |complain: fn(&str), failure: &Failure| {
        complain(&format!("rpctrace2: {failure}\n"));
        failure.status()
    };
    match world::find(&words) {
        // What was wrong is said while the world is there: a system that waits for its tracer starts with the world's end.
        Ok(mut world) => run(&mut *world, words).unwrap_or_else(|failure| said(world.complains(), &failure)),
        Err(failure) => said(|text| print!("{text}"), &failure),
    }
}

/// Stands for a word that is not UTF-8: no argument has a NUL.
const NOT_UTF8: &str = "\0";

fn run(world: &mut dyn World, words: Vec<&str>) -> Result<i32, Failure> {
    if let Some(index) = words.iter().position(|word| *word == NOT_UTF8) {
        return Err(Failure::NotUtf8(index + 1));
    }
    let words = world.own_words(words);
    let (options, command) = match options::parse(words, world.place())? {
        Request::Trace { options, command } => (options, command),
        Request::Help => {
            print!("{}", text::help());
            return Ok(0);
        }
        Request::Version => {
            print!("{}", text::version());
            return Ok(0);
        }
        Request::Owner(wanted) => return owner::run(wanted, world),
    };
    world.prepare(&options)?;
    if options.engines {
        print!("{}", engines::list(&world.processes(&options.attach)?)?);
        return Ok(0);
    }
    let file = world.tables_name();
    let bytes = world.tables()?;
    let tables = Tables::parse(bytes).map_err(|error| Failure::Tables { file, error })?;
    let program = command.first().map_or("", String::as_str);
    let program = program.strip_prefix(HOST_NAME).unwrap_or(program);
    let mut trace = Trace::new(tables, &options, program)?;
    if world.has_capture() {
        trace.keep(captured::begin(bytes, file, &options, program, &command));
    }
    if world.is_apart() {
        trace.set_apart();
    }
    let let_through = options.kernel_filter.then(|| trace.leave_out(MAX_RULES)).flatten();
    let injections = Injections::of(&options.injections, &options.stops, tables)?;
    let engines = Engines::of(&options, let_through, &injections);
    let mut session = if command.is_empty() {
        let session = Session::attach(&options.attach, engines, world)?;
        trace.attach(session.subject.only_name());
        session
    } else {
        Session::start(&command, options.until_all, engines, world)?
    };
    session.set_injections(injections)?;
    session.memory = options.memory;
    session.live = options.live.then(Live::default);
    if session.engines.are_there() {
        trace.keep_to_engines();
    }
    let mut said = String::new();
    core::mem::take(&mut session.said).iter().for_each(|remark| trace.mark(remark, &mut said));
    session.follow(&mut trace)
}

/// What is traced and the ports it is heard through.
struct Session<'a> {
    /// All ports below, so that their messages come in the order in which they were sent.
    ports: PortSet,
    trace: ReceiveRight,
    /// Where records are that came in no message to it.
    ring: Option<Ring>,
    /// Hears from the kernel that nobody can send to the trace port any more.
    no_senders: ReceiveRight,
    /// Those whose records have come.
    tasks: Tasks,
    subject: Subject,
    engines: Engines,
    injections: Injections,
    /// `--ool`.
    memory: usize,
    /// Where the user is asked about threads that have stopped.
    prompt: Option<Prompt>,
    buffer: Buffer,
    /// What is on the screen, if figures are drawn there.
    live: Option<Live>,
    /// Whether what is traced runs first.
    pace: Option<Pace>,
    /// Where we are.
    world: &'a mut dyn World,
    /// The trace goes on until every traced task has ended.
    until_all: bool,
    /// What was said before there was a trace.
    said: Vec<String>,
    /// Milliseconds that have been waited for a record since the last.
    silent: u32,
    /// What was traced goes on untraced, although the trace might go on: what is shown of it is over.
    has_let_go: bool,
}

impl<'a> Session<'a> {
    fn start(command: &[String], until_all: bool, engines: Engines, world: &'a mut dyn World) -> Result<Self, Failure> {
        let task = world.create(command)?;
        Self::open(Subject::Command(task), until_all, engines, world)
    }

    fn attach(wanted: &[String], mut engines: Engines, world: &'a mut dyn World) -> Result<Self, Failure> {
        let targets = world.processes(wanted)?;
        if let Some(host) = world.background() {
            engines.stay_in_background(host)?;
        } else if wanted.iter().any(|wanted| wanted == options::ALL) {
            engines.claim_system(world.privileged_host()?)?;
        }
        Self::open(Subject::Processes(targets), true, engines, world)
    }

    fn open(subject: Subject, until_all: bool, engines: Engines, world: &'a mut dyn World) -> Result<Self, Failure> {
        let ports = doing("mach_port_allocate", PortSet::allocate())?;
        let trace = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let no_senders = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let tasks = doing("mach_port_allocate", Tasks::new())?;
        for member in [&trace, &no_senders, &tasks.news].into_iter().chain(world.ports()) {
            doing("mach_port_move_member", ports.add(member))?;
        }
        // The more records fit, the less often a traced thread waits.
        doing("mach_port_set_qlimit", trace.set_queue_limit(MACH_PORT_QLIMIT_MAX))?;

        let mut session = Self {
            ports,
            trace,
            ring: None,
            no_senders,
            tasks,
            subject,
            engines,
            injections: Injections::default(),
            memory: 0,
            prompt: None,
            live: None,
            pace: None,
            buffer: Buffer::default(),
            world,
            until_all,
            said: Vec::new(),
            silent: 0,
            has_let_go: false,
        };
        match session.arm() {
            Ok(()) => Ok(session),
            Err(failure) => {
                session.abandon();
                Err(failure)
            }
        }
    }

    /// Sets the trace port and lets the command run.
    fn arm(&mut self) -> Result<(), Failure> {
        let right = doing("mach_port_insert_right", self.trace.make_send())?;
        for remark in self.subject.trace(&right, &mut self.engines)? {
            self.say(remark)?;
        }
        // While a command does nothing yet, and so does not end meanwhile.
        self.find_ring()?;
        // From here on only the kernel can send to it.
        drop(right);
        let before = stubs::mach_port::mach_port_request_notification(
            task_self(),
            self.trace.name(),
            MACH_NOTIFY_NO_SENDERS as i32,
            0,
            self.no_senders.name(),
            Disposition::MakeSendOnce,
        );
        drop(doing("mach_port_request_notification", before)?);
        self.world.begin()
    }

    /// Something is to be said before there is a trace.
    fn say(&mut self, remark: String) -> Result<(), Failure> {
        self.world.write(&format!("rpctrace2: {remark}\n"))?;
        self.said.push(remark);
        Ok(())
    }

    /// Prints until the command has ended and no traced task is left; returns the command's exit status.
    fn follow(mut self, trace: &mut Trace<'_>) -> Result<i32, Failure> {
        let result = self.print_all(trace);
        if result.is_err() {
            self.abandon();
        }
        result
    }

    fn print_all(&mut self, trace: &mut Trace<'_>) -> Result<i32, Failure> {
        let mut text = String::new();
        let mut end = End::of(&self.subject, self.until_all, self.engines.are_there());
        self.pace = (!trace.is_live()).then(Pace::default);
        while !end.is_untraced || end.status.is_none() {
            self.end_what_is_over(&mut end, trace)?;
            let is_kept = captured::append(trace, &mut *self.world)?;
            self.draw_if_due(trace)?;
            // Text and what is to be said of ends wait until the queue is empty, but no longer.
            let mut is_due = self.tasks.has_gone();
            let mut may_rest = false;
            if end.is_near() {
                is_due |= end.is_due();
                let may_leave = end.may_leave();
                may_rest = may_leave || self.engines.are_there();
                if may_leave && end.is_over(trace.now()) {
                    if !end.is_letting_go() {
                        trace.left(&mut text);
                    }
                    break;
                }
            }
            let may_idle = trace.is_waiting() || may_rest;
            let is_written = !text.is_empty() && !self.keeps_back(&text);
            let timeout = self.timeout(is_due || is_written, is_kept, may_idle);
            let message = self.receive_within_span(timeout, trace)?;
            if !matches!(message, Some(Message::Trace)) {
                self.give(u64::MAX, trace, &mut text)?;
            }
            match message {
                Some(Message::Trace) => self.take(trace, &mut text)?,
                Some(Message::Ring(bytes)) => self.keep_pace(bytes),
                // The words after it are those of the message before.
                Some(Message::Header) => trace.message(&self.buffer.share(LP64.end), &mut text),
                Some(Message::TooLarge(id, size)) => trace.too_large(id, size, &mut text),
                // The record of the call in which it ended itself may be right behind.
                Some(Message::Ended(task)) => self.tasks.bury(task),
                Some(Message::EndedSo(told, status)) => end.ended(Some(told), status),
                Some(Message::EndUnknown(error)) => {
                    end.ended(None, CANNOT_TRACE);
                    trace.end_unknown(&format!("{}", Answer(error)), &mut text);
                }
                Some(Message::NoSenders) => end.no_senders(),
                Some(Message::Interrupted) if self.subject.is_attached() || self.engines.are_there() => {
                    self.interrupt(&mut end);
                }
                Some(Message::Interrupted) => {
                    end.interrupted();
                    trace.interrupted(&mut text);
                    break;
                }
                Some(Message::Typed) => self.typed(&mut end, trace, &mut text)?,
                Some(Message::Other) => mach::msg::destroy(self.message()),
                Some(Message::Taken) => {}
                None if end.looks() => end.untraced(),
                None if end.is_letting_go() => break,
                None if self.has_passed(trace) => trace.run_out(&mut text),
                None if is_due => self.tell(&mut end, trace, &mut text)?,
                None if is_written => self.write(&mut text)?,
                None if !is_kept => captured::end_block(trace),
                None if self.is_stale() => self.draw(trace)?,
                None if trace.is_waiting() => trace.idle(&mut text),
                None => {
                    // The kernel tells of the ends of those tasks that records have come of, and not of others.
                    self.engines.give_up_empty();
                    end.leave();
                }
            }
            if text.len() >= BATCH && !self.keeps_back(&text) {
                self.write(&mut text)?;
            }
        }
        self.finish(&mut end, trace, text)?;
        match trace.other_version() {
            Some(error) => Err(error.into()),
            None => Ok(end.status.unwrap_or(CANNOT_TRACE)),
        }
    }

    /// How many milliseconds a message is waited for until something else is done; for ever, if there is nothing.
    fn timeout(&self, has_more: bool, is_kept: bool, may_idle: bool) -> Option<u32> {
        match () {
            () if has_more => Some(0),
            () if !is_kept => Some(PAUSE),
            () if self.is_stale() => Some(EVERY),
            () => may_idle.then_some(IDLE),
        }
    }

    /// No record comes any more: says how it ended.
    fn finish(&mut self, end: &mut End, trace: &mut Trace<'_>, mut text: String) -> Result<(), Failure> {
        if end.is_letting_go() && self.subject.is_attached() {
            trace.detached(&mut text);
        } else if end.is_letting_go() {
            trace.interrupted(&mut text);
        }
        self.clear()?;
        self.tell(end, trace, &mut text)?;
        if let Some(successor) = self.engines.successor() {
            trace.taken_over(&successor, &mut text);
        }
        trace.finish(&mut text);
        self.write(&mut text)?;
        captured::append(trace, &mut *self.world)?;
        self.world.finish()?;
        trace.unmatched().iter().for_each(|line| (self.world.complains())(&format!("rpctrace2: {line}\n")));
        Ok(())
    }

    /// Whoever is traced goes on untraced.
    fn let_go(&self) {
        self.engines.let_go();
        if self.subject.is_attached() {
            self.abandon();
        }
    }

    /// A command ends; processes go on. Engines end with this task.
    fn abandon(&self) {
        // What is traced by engines alone may have somebody else's trace port.
        if !(self.subject.is_attached() && self.engines.are_all()) {
            self.subject.let_go();
        }
    }

    /// So many bytes of records have come at once.
    fn keep_pace(&mut self, bytes: usize) {
        if let Some(pace) = &mut self.pace {
            pace.take(bytes);
        }
    }

    /// Takes the message to the trace port that is in the buffer.
    #[inline]
    fn take(&mut self, trace: &mut Trace<'_>, text: &mut String) -> Result<(), Failure> {
        let size = self.message_size();
        let (words, message) = (self.buffer.whole(), self.buffer.share(size));
        let words = words.get(..size.div_ceil(8)).unwrap_or(words);
        let task = PortName(words.get(TASK_OFFSET / size_of::<u64>()).map_or(0, |word| *word as u32));
        self.tasks.meet(task, &message, |number| {
            if let Some(name) = self.subject.name_of(task) {
                trace.call(number, name);
            }
        });
        // Every message brings a reference of the task's right; others may bring anything.
        match mach::msg::only_right(words) {
            Some(right) => self.tasks.give_back(right),
            None => mach::msg::destroy(words),
        }
        self.give_before(&message, trace, text)?;
        let left = stops::answer((task, &message), self.memory, &mut self.injections, &self.engines, trace);
        match left {
            Left::All => trace.message(&message, text),
            Left::Rest(rest) => rest.iter().for_each(|rest| trace.message(rest, text)),
            Left::Asks(stop) => {
                trace.message(&message, text);
                self.stopped(stop, text)?;
            }
        }
        self.keep_pace(size);
        self.give(u64::MAX, trace, text)
    }

    /// Tells what is known of the end and has not been told.
    fn tell(&mut self, end: &mut End, trace: &mut Trace<'_>, text: &mut String) -> Result<(), Failure> {
        let gone = self.tasks.gone();
        for task in &gone {
            self.forget_open(*task, trace, text)?;
            trace.ended(*task, text);
            self.injections.forget(*task);
            if let Some(prompt) = &mut self.prompt {
                prompt.forget(*task)?;
            }
        }
        if !gone.is_empty() {
            self.engines.give_up_empty();
        }
        if end.is_untraced && !end.untraced_shown {
            end.untraced_shown = true;
            let now = || self.subject.untraced(&*self.world, &self.engines).filter(|_| end.status.is_none());
            if let Some(untraced) = end.went_on.or_else(now) {
                trace.untraced(untraced, text);
            }
        }
        if let Some(told) = end.told.take() {
            trace.ended_so(told, text);
        }
        Ok(())
    }

    /// Writes the text, as trace, and empties it.
    fn write(&mut self, text: &mut String) -> Result<(), Failure> {
        if !text.is_empty() {
            self.world.write(text)?;
            text.clear();
        }
        Ok(())
    }
}
