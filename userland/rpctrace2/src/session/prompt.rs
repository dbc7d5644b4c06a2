// SPDX-License-Identifier: GPL-2.0-or-later
//! `--stop-at`: a thread has stopped before it sends a message, and the user is asked what becomes of that.
//!
//! The terminal is written to and read by a thread of its own: while a line is waited for records go on being received, so that nobody waits
//! for the user but who has stopped, and the terminal's server may be traced itself. What the trace has to say meanwhile is kept.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use exchanges::Injected;
use mach::error::Result as Answered;
use mach::lock::Lock;
use mach::msg::Message;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::thread;
use trace_port::control::what;

use super::Session;
use super::end::End;
use super::registers::{self, Call};
use crate::Trace;
use crate::answers::{Answer, Keys, Line};
use crate::injections::Injections;
use crate::options::inject::Instead;
use crate::world::{Failure, Terminal, doing};

/// What it is asked with.
const PROMPT: &str = "stop> ";
/// Says that a line has been typed, in a message to a port that hears of nothing else.
const HAS_TYPED: i32 = 1;
/// Most bytes of text that wait while the user is asked.
const KEPT_BACK: usize = 256 * 1024;
/// Most keys that are read at once.
const KEYS: usize = 128;

/// A thread that waits for the user's word.
pub(super) struct Stop {
    /// Its task, by the name of our right to that and by number.
    pub(super) task: PortName,
    pub(super) number: u32,
    /// Its number.
    pub(super) thread: u32,
    /// That of the message's record.
    pub(super) sequence: u64,
    /// The line, and all there is to say of the message.
    pub(super) line: String,
    pub(super) whole: String,
    /// What the thread has told `mach_msg`.
    pub(super) call: Call,
    /// Why it can get no reply, if it cannot.
    pub(super) no_reply: Option<&'static str>,
}

/// Who asks.
pub(super) struct Prompt {
    terminal: Arc<Terminal>,
    /// Hears that a line has been typed.
    news: ReceiveRight,
    typed: Arc<Lock<Typed>>,
    /// The first is asked about.
    waiting: VecDeque<Stop>,
    /// A line is waited for.
    is_reading: bool,
}

#[derive(Default)]
struct Typed {
    keys: Keys,
    line: Option<Line>,
}

impl Prompt {
    pub(super) fn new(terminal: Terminal) -> Result<Self, Failure> {
        let news = doing("mach_port_allocate", ReceiveRight::allocate())?;
        let (terminal, typed) = (Arc::new(terminal), Arc::default());
        Ok(Self { terminal, news, typed, waiting: VecDeque::new(), is_reading: false })
    }

    /// Where it hears.
    pub(super) const fn port(&self) -> &ReceiveRight {
        &self.news
    }

    /// Whether the user is being asked.
    pub(super) fn is_asking(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Asks about a thread, when those before it have been answered.
    fn add(&mut self, stop: Stop) -> Result<(), Failure> {
        self.waiting.push_back(stop);
        if self.waiting.len() == 1 { self.ask_next("") } else { Ok(()) }
    }

    /// Asks about the first one, after this text.
    fn ask_next(&mut self, before: &str) -> Result<(), Failure> {
        let line = self.waiting.front().map(|stop| format!("{} <stopped>\n", stop.line.trim_end()));
        match line {
            Some(line) => self.ask(&format!("{before}{line}")),
            None if before.is_empty() => Ok(()),
            None => self.say(before),
        }
    }

    /// Writes a text, and has a line typed behind a prompt.
    fn ask(&mut self, text: &str) -> Result<(), Failure> {
        let text = format!("{text}{PROMPT}");
        if core::mem::replace(&mut self.is_reading, true) {
            return self.say(&text);
        }
        let news = doing("mach_port_insert_right", self.news.make_send())?;
        let (terminal, typed) = (self.terminal.clone(), self.typed.clone());
        let reads = move || {
            // Who cannot read has come to the end.
            let line = terminal.write(text.as_bytes()).and_then(|()| terminal.line(&typed)).unwrap_or(Line::End);
            typed.lock().line = Some(line);
            tell(&news);
        };
        thread::spawn(reads).map(drop).map_err(|error| Failure::Kernel { what: "starting a thread", error })
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        let (terminal, text) = (self.terminal.clone(), String::from(text));
        let writes = move || {
            // Where that fails, nobody can be told.
            let _ = terminal.write(text.as_bytes());
        };
        thread::spawn(writes).map(drop).map_err(|error| Failure::Kernel { what: "starting a thread", error })
    }

    /// The line that has been typed.
    fn take_line(&mut self) -> Option<Line> {
        let line = self.typed.lock().line.take();
        self.is_reading &= line.is_none();
        line
    }

    /// A task has ended: nobody of it waits.
    pub(super) fn forget(&mut self, task: u32) -> Result<(), Failure> {
        let asked = self.waiting.front().is_some_and(|stop| stop.number == task);
        self.waiting.retain(|stop| stop.number != task);
        if asked { self.ask_next("\nit has ended\n") } else { Ok(()) }
    }
}

impl Terminal {
    /// Reads the next line.
    fn line(&self, typed: &Lock<Typed>) -> Answered<Line> {
        let mut buffer = [0; KEYS];
        loop {
            let mut echo = Vec::new();
            let line = typed.lock().keys.line(&mut echo);
            if self.echoes && !echo.is_empty() {
                self.write(&echo)?;
            }
            if let Some(line) = line {
                return Ok(line);
            }
            let count = (self.read)(&mut buffer)?;
            typed.lock().keys.typed(buffer.get(..count).unwrap_or(&[]));
        }
    }

    fn write(&self, text: &[u8]) -> Answered<()> {
        (self.write)(text)
    }
}

/// Wakes who receives: a line is there.
fn tell(news: &SendRight) {
    // It is our own port, with room for the only one that is on its way.
    let _ = Message::new(HAS_TYPED, news.name(), Disposition::CopySend).send(None);
}

impl Session<'_> {
    /// Sets what becomes of messages, before any is received.
    pub(super) fn set_injections(&mut self, injections: Injections) -> Result<(), Failure> {
        if injections.asks() {
            let prompt = self.prompt.insert(Prompt::new(self.world.terminal()?)?);
            doing("mach_port_move_member", self.ports.add(prompt.port()))?;
        }
        self.injections = injections;
        Ok(())
    }

    /// Whether text waits until the user has answered: what comes meanwhile would stand between the question and the answer.
    pub(super) fn keeps_back(&self, text: &str) -> bool {
        text.len() < KEPT_BACK && self.prompt.as_ref().is_some_and(Prompt::is_asking)
    }

    /// A thread has stopped.
    pub(super) fn stopped(&mut self, stop: Stop, text: &mut String) -> Result<(), Failure> {
        // What the trace has said until now stands before the question.
        if !self.prompt.as_ref().is_some_and(Prompt::is_asking) {
            self.write(text)?;
        }
        match &mut self.prompt {
            Some(prompt) => prompt.add(stop),
            None => Ok(()),
        }
    }

    /// Something has been typed.
    pub(super) fn typed(&mut self, end: &mut End, trace: &mut Trace<'_>, text: &mut String) -> Result<(), Failure> {
        let Some(prompt) = &mut self.prompt else { return Ok(()) };
        let Some(line) = prompt.take_line() else { return Ok(()) };
        let line = match line {
            Line::Text(line) => line,
            Line::Interrupt => {
                self.interrupt(end);
                return Ok(());
            }
            Line::End => {
                if self.injections.ask_no_more() {
                    trace.mark("the input has ended: no thread stops any more, and everything goes on", text);
                }
                self.release();
                return Ok(());
            }
        };
        // Who was asked about may have ended meanwhile, or been let go.
        let Some(stop) = prompt.waiting.front() else { return Ok(()) };
        let said = match Answer::parse(&line, trace.tables()) {
            Ok(Answer::Nothing) => String::new(),
            Ok(Answer::Show) => stop.whole.clone(),
            Ok(Answer::Registers) => registers::of(stop.task, &stop.call),
            Ok(Answer::Help) => Answer::help(),
            Ok(Answer::Go) => return self.decide(None, trace),
            Ok(Answer::Fail(instead)) => match stop.no_reply.filter(|_| matches!(instead, Instead::Reply(_))) {
                Some(why) => format!("`fail`: {why}; a MACH_SEND_ code can be had\n"),
                None => return self.decide(Some(instead), trace),
            },
            Ok(Answer::Quit) => {
                self.quit(end);
                return Ok(());
            }
            Err(why) => format!("{why}\n"),
        };
        prompt.ask(&said)
    }

    /// Has this become of the message that is asked about, and asks about the next one.
    fn decide(&mut self, instead: Option<Instead>, trace: &mut Trace<'_>) -> Result<(), Failure> {
        let Some(prompt) = &mut self.prompt else { return Ok(()) };
        let Some(stop) = prompt.waiting.pop_front() else { return Ok(()) };
        let (what, value, injected) = words(instead);
        let waits = self.engines.answer(stop.thread, what, value);
        if let Some(injected) = injected.filter(|_| waits) {
            trace.inject(stop.sequence, injected);
        }
        prompt.ask_next(if waits { "" } else { "it waits no more: it has been ended, or interrupted\n" })
    }

    /// Everything goes on, and nobody is asked any more.
    pub(super) fn release(&mut self) {
        self.injections.ask_no_more();
        if let Some(prompt) = &mut self.prompt {
            for stop in prompt.waiting.drain(..) {
                self.engines.answer(stop.thread, what::GO, 0);
            }
        }
    }

    /// The user wants no trace any more.
    fn quit(&mut self, end: &mut End) {
        // Before anybody goes on: who is let go of waits for nobody.
        if self.subject.is_attached() {
            self.let_go();
            end.let_go();
        } else {
            // What is said of its engine's end is said of this one, and the command's end is waited for, which may be heard of together with
            // that of its trace: it goes on while that is being ended.
            end.went_on = self.subject.untraced(&*self.world, &self.engines);
            self.engines.give_up();
        }
        self.release();
    }

    /// The user wants the trace to end.
    pub(super) fn interrupt(&mut self, end: &mut End) {
        end.interrupted();
        self.let_go();
        self.release();
        end.let_go();
    }
}

/// What the kernel is told of what is to become of a message, and the trace.
pub(super) fn words(instead: Option<Instead>) -> (u32, u32, Option<Injected>) {
    match instead {
        None => (what::GO, 0, None),
        Some(Instead::Failure(code)) => (what::FAIL, code, Some(Injected::Failure(code))),
        Some(Instead::Reply(code)) => (what::REPLY, code as u32, Some(Injected::Reply(code))),
        Some(Instead::Delay(time)) => (what::DELAY, time, Some(Injected::Delay)),
    }
}
