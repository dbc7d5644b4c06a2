// SPDX-License-Identifier: GPL-2.0-or-later
//! Every state that three tools can bring the machine to, and every event in each of them: what the tables say, and what always holds.

use std::collections::{BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::*;
use super::tool;

const TOOLS: [u32; 3] = [1, 2, 3];
const PARTS: [u32; 3] = [part::TASKS, part::RECORDER, part::ALL];

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Configure(u32, u32),
    Reset(u32, u32),
    Register(u32),
    SetOwner(Option<u32>, Option<u32>),
    LetAnyone(bool),
    ConfigureKernel(u32),
    Started,
    Died(u32),
    NotTold(u32),
}

use Event::{Configure, ConfigureKernel, Died, LetAnyone, NotTold, Register, Reset, SetOwner, Started};

type Step = Result<Effects, Refused>;

impl Event {
    fn happens(self, machine: &mut Ownership) -> Step {
        match self {
            Configure(number, parts) => machine.configure(tool(number), parts),
            Reset(number, parts) => machine.reset(number, parts),
            Register(number) => Ok(machine.register(tool(number))),
            SetOwner(by, to) => machine.set_owner(by, to.map(tool)),
            ConfigureKernel(parts) => machine.configure_kernel(parts),
            LetAnyone(anyone) => {
                machine.let_anyone(anyone);
                Ok(Effects::default())
            }
            Started => {
                machine.started();
                Ok(Effects::default())
            }
            Died(number) => {
                machine.died(number);
                Ok(Effects::default())
            }
            NotTold(number) => {
                machine.not_told(number);
                Ok(Effects::default())
            }
        }
    }
}

/// A machine, and which of the tools live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct World {
    machine: Ownership,
    alive: [bool; 3],
}

impl World {
    const FIRST: Self = Self { machine: Ownership::new(), alive: [true; 3] };

    fn key(&self) -> impl Ord + use<> {
        let Ownership { mode, owner, background, told, parts, keeps, is_kernels, anyone, has_started, configured_by } =
            self.machine;
        ((mode, owner, background, told, parts), (keeps, is_kernels, anyone, has_started, configured_by.0), self.alive)
    }

    /// Dead tools ask for nothing; that one could not be told may come late.
    fn events(&self) -> Vec<Event> {
        let alive = || TOOLS.into_iter().zip(self.alive).filter_map(|(number, lives)| lives.then_some(number));
        let asked = || alive().map(Some).chain([None]);
        let mut events = Vec::from([LetAnyone(false), LetAnyone(true), Started]);
        events.extend(TOOLS.map(NotTold));
        events.extend(PARTS.map(ConfigureKernel));
        for number in alive() {
            events.extend(PARTS.map(|parts| Configure(number, parts)));
            events.extend(PARTS.map(|parts| Reset(number, parts)));
            events.extend([Register(number), Died(number)]);
        }
        events.extend(asked().flat_map(|by| asked().map(move |to| SetOwner(by, to))));
        events
    }

    fn after(mut self, event: Event) -> (Self, Step) {
        let step = event.happens(&mut self.machine);
        if let Died(number) = event {
            self.alive[number as usize - 1] = false;
        }
        (self, step)
    }
}

/// Shows `look` every transition; all states are reached, the nearest first.
fn explore(mut look: impl FnMut(&World, Event, &World, Step)) -> usize {
    let mut known = BTreeSet::from([World::FIRST.key()]);
    let mut next = VecDeque::from([World::FIRST]);
    while let Some(before) = next.pop_front() {
        for event in before.events() {
            let (after, step) = before.after(event);
            look(&before, event, &after, step);
            if known.insert(after.key()) {
                next.push_back(after);
            }
        }
    }
    known.len()
}

/// What the table says that an event comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Refused(Refused),
    /// Nothing changes but what the event says of itself: its parts, its tool, its policy.
    Goes,
    /// The tool owns it, in this mode, and nothing ends.
    Owns(Mode),
    /// The tool owns it in the foreground, and what the background had configured ends.
    TakesOver,
    /// The configuration of these parts ends; whether they are still the owner's.
    Ends {
        kept: bool,
    },
    /// It is free, and the background tool is told.
    FreeAndTold,
    /// It is free, and nobody is told.
    Free,
    /// The background tool is told.
    Told,
}

use Outcome::{Ends, Free, FreeAndTold, Goes, Owns, TakesOver, Told};

type Row = (&'static str, fn(&Ownership, Event) -> bool, Outcome);

fn is_foreground(machine: &Ownership) -> bool {
    machine.mode == Mode::Foreground
}

fn is_background(machine: &Ownership) -> bool {
    machine.mode == Mode::Background
}

/// Who asks, or is meant.
fn who(event: Event) -> u32 {
    match event {
        Configure(number, _) | Reset(number, _) | Register(number) | SetOwner(_, Some(number)) => number,
        Died(number) | NotTold(number) => number,
        _ => 0,
    }
}

fn is_owner(machine: &Ownership, event: Event) -> bool {
    machine.owner != 0 && machine.owner == who(event)
}

fn is_daemon(machine: &Ownership, event: Event) -> bool {
    machine.background != 0 && machine.background == who(event)
}

fn is_configure(event: Event) -> bool {
    matches!(event, Configure(..))
}

/// A reset of an owner that does not keep it: whether nothing is left.
fn resets(machine: &Ownership, event: Event, last: bool) -> bool {
    let Reset(_, parts) = event else { return false };
    is_owner(machine, event) && !machine.keeps && (machine.parts & !parts == 0) == last
}

fn is_let(machine: &Ownership, event: Event) -> bool {
    match event {
        SetOwner(Some(by), _) => machine.owner == by,
        SetOwner(None, _) => machine.anyone,
        _ => false,
    }
}

/// Somebody who may unsets a kept owner.
fn unsets(machine: &Ownership, event: Event) -> bool {
    is_let(machine, event) && matches!(event, SetOwner(_, None)) && machine.keeps
}

/// Somebody who may makes a tool the owner.
fn sets(machine: &Ownership, event: Event) -> bool {
    is_let(machine, event) && matches!(event, SetOwner(_, Some(_)))
}

/// Every transition is in one row.
const ROWS: &[Row] = &[
    ("its owner configures more", |m, e| is_configure(e) && is_owner(m, e), Goes),
    (
        "the background tool may not while the foreground is active",
        |m, e| is_configure(e) && is_foreground(m) && is_daemon(m, e) && !is_owner(m, e),
        Outcome::Refused(Refused::Foreground),
    ),
    (
        "another lives and owns it",
        |m, e| is_configure(e) && is_foreground(m) && m.owner != 0 && !is_owner(m, e) && !is_daemon(m, e),
        Outcome::Refused(Refused::Owned),
    ),
    (
        "its owner has died, or is the kernel",
        |m, e| is_configure(e) && is_foreground(m) && m.owner == 0 && !is_daemon(m, e),
        Owns(Mode::Foreground),
    ),
    (
        "off, to the foreground",
        |m, e| is_configure(e) && m.mode == Mode::Off && !is_daemon(m, e),
        Owns(Mode::Foreground),
    ),
    (
        "off, to the background",
        |m, e| is_configure(e) && m.mode == Mode::Off && is_daemon(m, e),
        Owns(Mode::Background),
    ),
    ("from the background to the foreground", |m, e| is_configure(e) && is_background(m) && !is_owner(m, e), TakesOver),
    (
        "who does not own it resets",
        |m, e| matches!(e, Reset(..)) && !is_owner(m, e),
        Outcome::Refused(Refused::NotOwner),
    ),
    ("a reset of some parts", |m, e| resets(m, e, false), Ends { kept: false }),
    ("the last reset in the foreground", |m, e| resets(m, e, true) && is_foreground(m), FreeAndTold),
    ("the last reset in the background", |m, e| resets(m, e, true) && is_background(m), Free),
    ("a reset of what is kept", |m, e| matches!(e, Reset(..)) && is_owner(m, e) && m.keeps, Ends { kept: true }),
    (
        "who registers is told where it is free",
        |m, e| matches!(e, Register(tool) if m.mode == Mode::Off && m.told != tool),
        Told,
    ),
    ("who registers has been told", |m, e| matches!(e, Register(tool) if m.mode == Mode::Off && m.told == tool), Goes),
    ("who registers waits for the foreground", |m, e| matches!(e, Register(_)) && is_foreground(m), Goes),
    ("who registers has the background", |m, e| matches!(e, Register(_)) && is_background(m), Owns(Mode::Background)),
    (
        "who may not makes no owner",
        |m, e| matches!(e, SetOwner(..)) && !is_let(m, e),
        Outcome::Refused(Refused::NotOwner),
    ),
    ("nothing is kept", |m, e| is_let(m, e) && matches!(e, SetOwner(_, None)) && !m.keeps, Goes),
    ("what was kept in the foreground is free", |m, e| unsets(m, e) && is_foreground(m), FreeAndTold),
    ("what was kept in the background is free", |m, e| unsets(m, e) && is_background(m), Free),
    (
        "another owner, in the foreground",
        |m, e| sets(m, e) && (is_foreground(m) || m.mode == Mode::Off && !is_daemon(m, e)),
        Owns(Mode::Foreground),
    ),
    (
        "another owner, in the background",
        |m, e| sets(m, e) && !is_foreground(m) && is_daemon(m, e),
        Owns(Mode::Background),
    ),
    ("another owner, out of the background", |m, e| sets(m, e) && is_background(m) && !is_daemon(m, e), TakesOver),
    (
        "the system has started",
        |m, e| matches!(e, ConfigureKernel(_)) && m.has_started,
        Outcome::Refused(Refused::Started),
    ),
    (
        "the kernel configures",
        |m, e| matches!(e, ConfigureKernel(_)) && !m.has_started && (m.is_kernels || m.mode == Mode::Off),
        Owns(Mode::Foreground),
    ),
    (
        "the kernel takes over",
        |m, e| matches!(e, ConfigureKernel(_)) && !m.has_started && !m.is_kernels && m.mode != Mode::Off,
        Ends { kept: true },
    ),
    ("who makes owners", |_, e| matches!(e, LetAnyone(_)), Goes),
    ("the system starts", |_, e| e == Started, Goes),
    ("a tool dies", |_, e| matches!(e, Died(_)), Goes),
    ("a tool could not be told", |_, e| matches!(e, NotTold(_)), Goes),
];

/// What is to come of it, by what the table says.
fn expected(before: &Ownership, event: Event, outcome: Outcome) -> (Ownership, Step) {
    let mut after = *before;
    let mut effects = Effects::default();
    said(&mut after, event);
    match outcome {
        Outcome::Refused(why) => return (*before, Err(why)),
        Goes => {}
        Owns(mode) => owns(&mut after, event, mode),
        TakesOver => {
            effects.ended = before.parts;
            after.parts &= !before.parts;
            owns(&mut after, event, Mode::Foreground);
            said(&mut after, event);
        }
        Ends { kept } => {
            let (Reset(_, parts) | ConfigureKernel(parts)) = event else { unreachable!("no other ends parts") };
            effects.ended = before.parts & parts;
            if !kept {
                after.parts &= !parts;
            }
            if matches!(event, ConfigureKernel(_)) {
                owns(&mut after, event, Mode::Foreground);
            }
        }
        FreeAndTold | Free => {
            effects.ended = before.parts;
            effects.tell = if outcome == Free { 0 } else { before.background };
            (after.mode, after.owner, after.parts, after.keeps) = (Mode::Off, 0, 0, false);
            after.told = effects.tell;
        }
        Told => {
            effects.tell = who(event);
            after.told = who(event);
        }
    }
    (after, Ok(effects))
}

/// What an event says of itself.
fn said(after: &mut Ownership, event: Event) {
    match event {
        Configure(_, parts) | ConfigureKernel(parts) => after.parts |= parts,
        Register(tool) => {
            after.background = tool;
            after.told = if after.told == tool { tool } else { 0 };
        }
        LetAnyone(anyone) => after.anyone = anyone,
        Started => after.has_started = true,
        Died(tool) => {
            let gone = |number: u32| if number == tool { 0 } else { number };
            (after.owner, after.background, after.told) = (gone(after.owner), gone(after.background), gone(after.told));
        }
        NotTold(tool) if after.told == tool => after.told = 0,
        SetOwner(_, Some(_)) => after.keeps = true,
        _ => {}
    }
}

fn owns(after: &mut Ownership, event: Event, mode: Mode) {
    after.mode = mode;
    after.owner = who(event);
    after.is_kernels = matches!(event, ConfigureKernel(_));
    after.configured_by = if after.is_kernels { KERNEL } else { tool(who(event)).name };
    // Only who was made the owner keeps it.
    if matches!(event, Configure(..) | ConfigureKernel(_)) {
        after.keeps = false;
    }
}

#[test]
fn every_event_in_every_state_is_as_the_table_says() {
    let mut used = BTreeSet::new();
    let mut count = 0;
    let states = explore(|before, event, after, step| {
        let rows: Vec<&Row> = ROWS.iter().filter(|(_, fits, _)| fits(&before.machine, event)).collect();
        let names: Vec<&str> = rows.iter().map(|(name, ..)| *name).collect();
        let [(name, _, outcome)] = rows[..] else { panic!("{names:?} are for {event:?} in {before:?}") };
        let found = (after.machine, step);
        assert_eq!(found, expected(&before.machine, event, *outcome), "{name}: {event:?} in {before:?}");
        used.insert(*name);
        count += 1;
    });
    let unused: Vec<&str> = ROWS.iter().map(|(name, ..)| *name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "nothing comes to {unused:?}");
    assert!(states > 1000 && count > 10_000, "{states} states, {count} transitions");
}

/// What holds in a state, in words where it does not.
fn wrong(world: &World) -> Option<&'static str> {
    let World { machine: m, alive } = world;
    let lives = |number: u32| number == 0 || alive[number as usize - 1];
    let rules = [
        ("what is off has neither owner nor parts", m.mode != Mode::Off || m.owner == 0 && m.parts == 0 && !m.keeps),
        ("an owner has it in some mode", m.owner == 0 || m.mode != Mode::Off),
        ("nobody dead owns it, waits for it or has been told", [m.owner, m.background, m.told].into_iter().all(lives)),
        ("the background is the background tool's", m.mode != Mode::Background || m.owner == m.background),
        (
            "the kernel's is in the foreground, nobody's, and not kept",
            !m.is_kernels || is_foreground(m) && m.owner == 0 && !m.keeps,
        ),
        ("without parts it is off, or kept", m.parts != 0 || m.mode == Mode::Off || m.keeps),
        ("only the background tool has been told", m.told == 0 || m.told == m.background),
        ("only known parts are configured", m.parts & !part::ALL == 0),
    ];
    rules.into_iter().find_map(|(rule, holds)| (!holds).then_some(rule))
}

#[test]
fn what_always_holds_holds_in_every_state_that_can_be_reached() {
    explore(|before, event, after, step| {
        assert_eq!(wrong(after), None, "after {event:?} in {before:?}: {after:?}");
        let changed = problem_of_step(before, event, after, step);
        assert!(changed.is_empty(), "{changed} by {event:?} in {before:?}: {after:?}, {step:?}");
    });
}

/// What no step does.
fn problem_of_step(before: &World, event: Event, after: &World, step: Step) -> String {
    let (was, is) = (&before.machine, &after.machine);
    let effects = step.unwrap_or_default();
    let mut problem = String::new();
    if step.is_err() && was != is {
        problem += "something refused changes something; ";
    }
    if effects.ended & !was.parts != 0 {
        problem += "what was not configured ends; ";
    }
    if was.parts & !is.parts & !effects.ended != 0 {
        problem += "parts go and nobody ends them; ";
    }
    if effects.tell != 0 && (is.mode != Mode::Off || effects.tell != is.background) {
        problem += "somebody is told who may not; ";
    }
    // A living owner in the foreground loses it only by itself, or where anybody may make owners.
    let loses = was.mode == Mode::Foreground && was.owner != 0 && is.owner != was.owner;
    let by_itself = match event {
        Reset(by, _) | SetOwner(Some(by), _) | Died(by) => by == was.owner,
        SetOwner(None, _) => was.anyone,
        ConfigureKernel(_) => !was.has_started,
        _ => false,
    };
    if loses && !by_itself {
        problem += &format!("{} loses the foreground; ", was.owner);
    }
    if was.mode != Mode::Off && is.mode == Mode::Off && is.background != 0 && is.told == 0 && effects.tell == 0 {
        let resets_itself = was.mode == Mode::Background && (was.owner == is.background || was.owner == 0);
        if !resets_itself {
            problem += "the background tool is not told; ";
        }
    }
    problem
}
