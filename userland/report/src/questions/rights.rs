// SPDX-License-Identifier: GPL-2.0-or-later
//! What tasks ask the kernel to do with port rights: the routines of mach_port.defs, by their names, whatever table they are in.

use exchanges::{Exchange, Role};
use mach_abi::port::MACH_PORT_RIGHT_RECEIVE;
use mig_defs::decode::Message;
use mig_defs::table::Tables;
use mig_defs::value::Value;
use trace_port::{Port, port};

/// A request about a task's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A right of this number of mach/port.h is made: `mach_port_allocate`, whose answer has the name, or `mach_port_allocate_name`.
    Allocate {
        /// `mach_port_right_t`.
        right: u32,
        /// The name, if the request says it.
        name: Option<u32>,
    },
    /// A reference of this name is given back: `mach_port_deallocate`.
    Deallocate(u32),
    /// All of this name: `mach_port_destroy`.
    Destroy(u32),
    /// So many references of a right are added to a name: `mach_port_mod_refs`.
    ModRefs {
        /// The name.
        name: u32,
        /// `mach_port_right_t`.
        right: u32,
        /// How many; negative if they are given back.
        delta: i64,
    },
    /// A name is given another: `mach_port_rename`.
    Rename(u32, u32),
    /// This name gets a right by this disposition: `mach_port_insert_right`.
    Insert(u32, u8),
    /// A right of this name is taken by this disposition: `mach_port_extract_right`. It comes in the answer.
    Extract(u32, u8),
    /// What a thread that has ended leaves is given back: `thread_terminate_release`.
    Release([u32; 2]),
}

const ROUTINES: [&str; 9] = [
    "mach_port_allocate",
    "mach_port_allocate_name",
    "mach_port_deallocate",
    "mach_port_destroy",
    "mach_port_mod_refs",
    "mach_port_rename",
    "mach_port_insert_right",
    "mach_port_extract_right",
    "thread_terminate_release",
];

/// The arguments of a request: names without a right, numbers, and the disposition of the first right of its body.
#[derive(Debug, Default)]
struct Arguments {
    names: [Option<u32>; 2],
    numbers: [Option<i64>; 2],
    disposition: Option<u8>,
}

impl Arguments {
    fn of(request: &Message<'_>) -> Self {
        let mut found = Self::default();
        // The first one is the port that is asked.
        for field in request.fields().map_while(Result::ok).skip(1) {
            let number = match field.value {
                Value::PortName(name) => {
                    found.names.iter_mut().find(|free| free.is_none()).into_iter().for_each(|free| *free = Some(name));
                    None
                }
                Value::Port(right) => {
                    found.disposition = found.disposition.or(Some(right.disposition.0));
                    None
                }
                Value::Signed { value, .. } => Some(value),
                Value::Unsigned { value, .. } => i64::try_from(value).ok(),
                _ => None,
            };
            if let (Some(_), Some(free)) = (number, found.numbers.iter_mut().find(|free| free.is_none())) {
                *free = number;
            }
        }
        found
    }
}

/// What a request asks about rights, if it does.
pub(crate) fn asked(tables: Tables<'_>, exchange: &Exchange<'_>) -> Option<Asked> {
    let called = exchange.subject.routine?.name();
    if !ROUTINES.contains(&called) {
        return None;
    }
    let Arguments { names: [name, second], numbers: [number, other], disposition } =
        Arguments::of(&exchange.decode_request(tables)?);
    let right = || u32::try_from(number?).ok();
    Some(match called {
        "mach_port_allocate" => Asked::Allocate { right: right()?, name: None },
        "mach_port_allocate_name" => Asked::Allocate { right: right()?, name: Some(name?) },
        "mach_port_deallocate" => Asked::Deallocate(name?),
        "mach_port_destroy" => Asked::Destroy(name?),
        "mach_port_mod_refs" => Asked::ModRefs { name: name?, right: right()?, delta: other? },
        "mach_port_rename" => Asked::Rename(name?, second?),
        "mach_port_insert_right" => Asked::Insert(name?, disposition?),
        "mach_port_extract_right" => Asked::Extract(name?, u8::try_from(number?).ok()?),
        _ => Asked::Release([name?, second?]),
    })
}

/// Whether a task asks about its own rights.
pub(crate) fn is_own(exchange: &Exchange<'_>) -> bool {
    let request = exchange.request.as_ref().filter(|_| exchange.role == Role::Client);
    let target = request.and_then(|request| request.remote_port());
    target.is_some_and(|target| {
        target.kind == port::TASK && request.is_some_and(|request| request.task == target.object.get())
    })
}

/// The port whose receive right a task has given back by a request that has succeeded, or may have.
pub(crate) fn receive_right_given_back<'a>(tables: Tables<'a>, exchange: &'a Exchange<'_>) -> Option<&'a Port> {
    if exchange.has_failed() || !is_own(exchange) {
        return None;
    }
    let name = match asked(tables, exchange)? {
        Asked::Destroy(name) => name,
        Asked::ModRefs { name, right: MACH_PORT_RIGHT_RECEIVE, delta } if delta < 0 => name,
        _ => return None,
    };
    exchange.request.as_ref()?.port(name)
}

/// The name in the answer to `mach_port_allocate`.
pub(crate) fn name_in_answer(tables: Tables<'_>, exchange: &Exchange<'_>) -> Option<u32> {
    let reply = exchange.decode_reply(tables)?;
    reply.fields().map_while(Result::ok).find_map(|field| match field.value {
        Value::PortName(name) => Some(name),
        _ => None,
    })
}
