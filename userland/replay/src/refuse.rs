// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests that are not sent again, whatever is in them.

use std::fmt;

/// Why a call is not replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// `mach_msg` failed: nothing was sent.
    NotSent,
    /// The capture has no request.
    NoRequest,
    /// Of a 32-bit kernel.
    Format,
    /// The record has only the begin of the request.
    Cut,
    /// A tracer has answered it, or let it fail.
    Injected,
    /// The request is of no routine that is known, so that what in it are addresses is not.
    NoRoutine,
    /// The request is not as its routine has it.
    NotAsDefined,
    /// Nobody is known to have answered it.
    NoAnswer,
    /// It would do to the program that replays what must not be.
    Harms(&'static str),
    /// It goes to a port that the task has made.
    ToItself,
    /// It is about what a call that is not replayed has made something of.
    Spoiled,
    /// It names something of which the record does not say what it is.
    UnknownName(u32),
    /// It names a port that no answer that can be replayed has brought: as it is called, and its number.
    Port(String, u32),
    /// It names memory that no answer that can be replayed has brought.
    Address(u64),
    /// An address stands in a struct or an array.
    AddressWithin,
    /// It has memory out of line of which the capture has not all of the contents: so many bytes.
    Memory(u64),
    /// It has rights out of line.
    Rights,
    /// There are more calls than can be told apart.
    TooMany,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => out.write_str("mach_msg failed"),
            Self::NoRequest => out.write_str("the capture has no request of it"),
            Self::Format => out.write_str("it is of a 32-bit kernel"),
            Self::Cut => out.write_str("the capture has only the begin of the request"),
            Self::Injected => out.write_str("a tracer has made something of it"),
            Self::NoRoutine => out.write_str("no interface is known of it, which would say what in it are addresses"),
            Self::NotAsDefined => out.write_str("the request is not as its interface says"),
            Self::NoAnswer => out.write_str("the capture has no answer to it"),
            Self::Harms(what) => out.write_str(what),
            Self::ToItself => {
                out.write_str("it goes to a port that the client has made, from which nobody receives here")
            }
            Self::Spoiled => out.write_str("it is about what a call that is not replayed was about"),
            Self::UnknownName(name) => write!(out, "the capture does not say what name {name} stands for"),
            Self::Port(label, _) => write!(out, "no answer that is replayed brings {label}"),
            Self::Address(address) => write!(out, "no answer that is replayed brings memory at {address:#x}"),
            Self::AddressWithin => out.write_str("an address stands within an argument"),
            Self::Memory(size) => write!(out, "{size} bytes out of line, which the capture has not"),
            Self::Rights => out.write_str("rights out of line"),
            Self::TooMany => out.write_str("there are more calls than can be told apart"),
        }
    }
}

/// What ends or stops who replays, if the task or thread is its own.
const ENDS: [&str; 12] = [
    "task_terminate",
    "task_suspend",
    "task_set_special_port",
    "task_set_exception_ports",
    "task_set_emulation",
    "thread_terminate",
    "thread_terminate_release",
    "thread_suspend",
    "thread_abort",
    "thread_abort_safely",
    "thread_depress_abort",
    "thread_set_special_port",
];

/// What is never sent again, and why.
const NEVER: [(&str, &str); 8] = [
    ("boot_exit", "it would end the program that replays"),
    ("boot_tracer", "it would take the console's interrupts"),
    ("host_reboot", "it would restart the machine"),
    ("thread_set_state", "it is about registers, and code that is not there"),
    ("thread_resume", "it would start code that is not there"),
    ("task_resume", "it would start code that is not there"),
    ("thread_create_running", "it would start code that is not there"),
    ("task_get_emulation_vector", "it is about code that is not there"),
];

/// Why a routine is not called again; `is_own`: of the task itself, or of a thread that it has by itself.
pub(crate) fn harm(routine: &str, is_own: bool) -> Option<Why> {
    let never = NEVER.iter().find(|(name, _)| *name == routine).map(|(_, why)| Why::Harms(why));
    never.or_else(|| {
        (is_own && ENDS.contains(&routine)).then_some(Why::Harms("it would end or change the program that replays"))
    })
}
