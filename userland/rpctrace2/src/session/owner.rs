// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 owner`: prints whose the system trace is, has it for a while, or ends what is left of it.

use alloc::format;
use alloc::string::String;

use mach::error::KernReturn;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::stubs::trace_control::{
    trace_owner_claim, trace_owner_reset, trace_owner_set_background, trace_owner_state, trace_owner_t,
    trace_owner_tool,
};
use mach::sys::msg::mach_msg;
use mach::{println, task_self};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::{Format, Header};
use trace_port::control::Name;
use trace_port::control::owner::wire::{AVAILABLE_ID, state_flag};
use trace_port::control::owner::{Mode, part};
use zerocopy::IntoBytes;

use super::INTERRUPTED;
use super::engines::limits;
use super::system::{named, refusal};
use crate::options::owner::Owner;
use crate::world::{Failure, Heard, World, doing};

/// What our tool is called.
const NAME: &str = "rpctrace2 owner";
/// Room for any message that says something here; a larger one is somebody's joke.
const ROOM: usize = 1024;

/// Does what is wanted; the exit status.
pub(super) fn run(wanted: Owner, world: &mut dyn World) -> Result<i32, Failure> {
    limits()?;
    if wanted == Owner::Show {
        println!("{}", shown(&state()?).trim_end());
        return Ok(0);
    }
    let host = world.privileged_host()?;
    let tool = doing("trace_owner_tool", trace_owner_tool(host.name(), Name::of(NAME).0))?;
    match wanted {
        Owner::Show => Ok(0),
        Owner::Claim => claim(&tool, world),
        Owner::Release => release(&tool),
        Owner::Background => background(&tool, world),
    }
}

fn state() -> Result<trace_owner_t, Failure> {
    doing("trace_owner_state", trace_owner_state(task_self()))
}

/// A line for each thing there is to say of it.
fn shown(state: &trace_owner_t) -> String {
    let trace_owner_t { mode, owner, background, parts, flags, engine, .. } = *state;
    let name = format!("{}", named(state));
    let is_kernels = flags & state_flag::KERNEL != 0;
    let mode = match mode {
        mode if mode == Mode::Off as u32 => "off",
        mode if mode == Mode::Foreground as u32 => "foreground",
        mode if mode == Mode::Background as u32 => "background",
        _ => "unknown",
    };
    let owner = match owner {
        0 if is_kernels => String::from("the kernel"),
        0 if mode == "off" => String::from("none"),
        0 => String::from("none: it has died, and whoever claims the trace has it"),
        owner => format!("{name}, tool {owner}"),
    };
    let background = match background {
        0 => String::from("none"),
        background => format!("tool {background}"),
    };
    let mut text = format!("mode: {mode}\nowner: {owner}\nbackground tool: {background}\n");
    let tasks = match engine {
        0 => String::from("tasks"),
        engine => format!("tasks by engine {engine}"),
    };
    let recorder = if parts & part::RECORDER != 0 { "recorder" } else { "" };
    let tasks = if parts & part::TASKS != 0 { &tasks } else { "" };
    let comma = if tasks.is_empty() || recorder.is_empty() { "" } else { ", " };
    let none = if parts == 0 { "none" } else { "" };
    text += &format!("parts: {tasks}{comma}{recorder}{none}\n");
    text += &format!("configured by: {}\n", if name.is_empty() { "nobody yet" } else { &name });
    let who = if flags & state_flag::ANYONE != 0 { "who has the host's privileged port" } else { "the owner" };
    text += &format!("another owner is made by: {who}\n");
    if flags & state_flag::KEEPS != 0 {
        text.push_str("kept over resets: yes\n");
    }
    text
}

/// Owns it in the foreground until the user wants that to end.
fn claim(tool: &SendRight, world: &mut dyn World) -> Result<i32, Failure> {
    trace_owner_claim(tool.name(), part::ALL).map_err(|error| refusal("trace_owner_claim", error))?;
    println!("the system trace is ours in the foreground, tool {}; Ctrl-C gives it back", state()?.owner);
    let mut ports = Ports::of(world, None)?;
    while ports.next(world)? != Came::Interrupt {}
    give_back(tool)
}

fn give_back(tool: &SendRight) -> Result<i32, Failure> {
    match trace_owner_reset(tool.name(), part::ALL) {
        Ok(()) => println!("the system trace is given back"),
        // Another has been made its owner, or has taken it over.
        Err(_) => println!("the system trace is not ours: {}", owner_of(&state()?)),
    }
    Ok(INTERRUPTED)
}

/// Whose it is, in a few words.
fn owner_of(state: &trace_owner_t) -> String {
    match state.owner {
        0 => String::from("nobody has it"),
        owner => format!("it is that of {}, tool {owner}", named(state)),
    }
}

/// Ends what is left of it.
fn release(tool: &SendRight) -> Result<i32, Failure> {
    let before = state()?;
    if before.mode == Mode::Off as u32 {
        println!("the system trace is free already");
        return Ok(0);
    }
    trace_owner_claim(tool.name(), part::ALL).map_err(|error| refusal("trace_owner_claim", error))?;
    doing("trace_owner_reset", trace_owner_reset(tool.name(), part::ALL))?;
    println!("the system trace is free: what {} had configured has ended", named(&before));
    Ok(0)
}

/// Owns it in the background whenever it is free, until the user wants that to end.
fn background(tool: &SendRight, world: &mut dyn World) -> Result<i32, Failure> {
    let notify = doing("mach_port_allocate", ReceiveRight::allocate())?;
    let mut ports = Ports::of(world, Some(&notify))?;
    let registered = trace_owner_set_background(tool.name(), notify.name(), Disposition::MakeSend);
    doing("trace_owner_set_background", registered)?;
    let first = state()?;
    if first.mode == Mode::Foreground as u32 {
        println!("waiting for the system trace: {}; Ctrl-C ends this", owner_of(&first));
    } else if first.mode == Mode::Background as u32 {
        println!("the system trace is ours in the background, with what was configured; Ctrl-C gives it back");
    }
    loop {
        match ports.next(world)? {
            Came::Interrupt => return give_back(tool),
            Came::Available => match trace_owner_claim(tool.name(), part::TASKS) {
                Ok(()) => {
                    println!(
                        "the system trace is ours in the background, tool {}; Ctrl-C gives it back",
                        state()?.owner
                    );
                }
                Err(KernReturn::KERN_NO_ACCESS | KernReturn::KERN_FAILURE) => {
                    println!("another was quicker: {}", owner_of(&state()?));
                }
                Err(error) => return Err(Failure::Kernel { what: "trace_owner_claim", error }),
            },
            Came::Other => {}
        }
    }
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// The user wants it to end.
    Interrupt,
    /// The trace is free.
    Available,
    Other,
}

/// Where something is heard.
struct Ports {
    set: PortSet,
    notify: Option<PortName>,
}

impl Ports {
    fn of(world: &dyn World, notify: Option<&ReceiveRight>) -> Result<Self, Failure> {
        let set = doing("mach_port_allocate", PortSet::allocate())?;
        for port in world.ports().into_iter().chain(notify) {
            doing("mach_port_move_member", set.add(port))?;
        }
        Ok(Self { set, notify: notify.map(ReceiveRight::name) })
    }

    /// Waits for a message.
    fn next(&mut self, world: &mut dyn World) -> Result<Came, Failure> {
        let mut words = [0; ROOM / 8];
        let answer = mach_msg(&mut words, MACH_RCV_MSG, 0, ROOM as u32, self.set.name(), 0, PortName::NULL);
        match KernReturn::from_mach_msg(answer) {
            KernReturn::KERN_SUCCESS => {}
            KernReturn::MACH_RCV_INTERRUPTED | KernReturn::MACH_RCV_TOO_LARGE => return Ok(Came::Other),
            error => return Err(Failure::Kernel { what: "receiving", error }),
        }
        let header = Header::read(Format::Lp64, words.as_bytes()).unwrap_or_default();
        let message = words.get(..(header.size as usize).div_ceil(8)).unwrap_or(&words);
        let port = PortName(header.local_port as u32);
        if Some(port) == self.notify {
            mach::msg::destroy(message);
            return Ok(if header.id == AVAILABLE_ID { Came::Available } else { Came::Other });
        }
        Ok(match world.heard(port, message) {
            Heard::Interrupted => Came::Interrupt,
            Heard::NotOurs => {
                mach::msg::destroy(message);
                Came::Other
            }
            _ => Came::Other,
        })
    }
}
