// SPDX-License-Identifier: GPL-2.0-or-later
//! The process of the translator at a node, for `-p /node`.
//!
//! No server says which process it is. So the kernel does: an engine has all processes and is told only of what they receive with the
//! `msgh_id` of one routine; then the translator's control port is asked for that routine, which it does not serve, with a number that nobody else
//! sends. Who is recorded to have received that number is the one. No right is made or moved for it, and nobody waits for the engine.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use hurd::abi::{open, pid};
use hurd::errno::ENXIO;
use hurd::names::Here as Names;
use hurd::startup::Startup;
use hurd::stubs::{fs, io, process};
use mach::error::KernReturn;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::stubs::trace_control::{
    trace_attach, trace_detach, trace_join, trace_rule_t, trace_set_filter, trace_version,
};
use mach::sys::msg::mach_msg;
use mach::task_self;
use mach_abi::header::{LP64, word};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use trace_port::Records;
use trace_port::control::{event, flag, policy};
use trace_port::event::Direction;
use trace_port::record::LARGEST;
use zerocopy::IntoBytes;

use crate::world::Failure;

/// What the engine is called, padded with zero bytes.
const NAME: [u8; 32] = *b"rpctrace2 -p\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// `io_seek` of io.defs: its `msgh_id`, and where its offset stands, behind the header and a type descriptor.
const IO_SEEK: u32 = 21002;
const OFFSET: usize = LP64.end + 8;
/// The offset that is asked for: of no file, and with this process's id in it another tracer's is another one.
const FAR: i64 = 0x7270_6374_0000_0000;

/// The process of the translator that is active at `node`.
pub(super) fn process(startup: &'static Startup, proc: PortName, own: i32, node: &str) -> Result<i32, Failure> {
    let file = |error| Failure::File { file: node.to_string(), error };
    let place = Names(startup).open(node, open::NOTRANS, 0).map_err(file)?;
    let control = fs::file_get_translator_cntl(place.name()).map_err(|error| match error {
        ENXIO => Failure::NoProcess(format!("{node}: no translator runs there")),
        error => file(error),
    })?;
    trace_version(task_self()).map_err(Failure::NoEngines)?;
    let watched = Watched::all(proc, own).map_err(|(what, error)| Failure::Kernel { what, error })?;
    let number = FAR | i64::from(own);
    // Whatever it answers, it has received it.
    let _ = io::io_seek(control.name(), number, 0);
    watched.who_received(number).ok_or_else(|| {
        Failure::NoProcess(format!(
            "{node}: its translator is in none of the processes that can be traced; name the process"
        ))
    })
}

/// Processes that an engine has.
struct Watched {
    port: ReceiveRight,
    engine: Option<SendRight>,
    processes: Vec<(i32, SendRight)>,
}

type Refused = (&'static str, KernReturn);

impl Watched {
    /// All that can be traced, but our own and the kernel's.
    fn all(proc: PortName, own: i32) -> Result<Self, Refused> {
        let doing = |what| move |error| (what, error);
        let port = ReceiveRight::allocate().map_err(doing("mach_port_allocate"))?;
        let right = port.make_send().map_err(doing("mach_port_insert_right"))?;
        let mut watched = Self { port, engine: None, processes: Vec::new() };
        let all = process::proc_getallpids(proc).map_err(doing("proc_getallpids"))?;
        for id in all.iter().filter(|id| *id != own && *id != pid::KERNEL) {
            // Another user's, or one that has ended.
            let Ok(task) = process::proc_pid2task(proc, id) else { continue };
            if task.name().is_valid() && watched.watch(task.name(), &right).map_err(doing("trace_set_filter"))? {
                watched.processes.push((id, task));
            }
        }
        Ok(watched)
    }

    /// Whether the engine has this task now.
    fn watch(&mut self, task: PortName, right: &SendRight) -> Result<bool, KernReturn> {
        let copy = Disposition::CopySend;
        if let Some(engine) = &self.engine {
            return Ok(trace_join(engine.name(), task, copy).is_ok());
        }
        let Ok(engine) = trace_attach(task, right.name(), copy, NAME, flag::CREATE, event::RECEIVE, policy::DROP)
        else {
            return Ok(false);
        };
        trace_set_filter(
            engine.name(),
            u32::MAX,
            &[trace_rule_t { flags: 0, first: IO_SEEK, last: IO_SEEK, port: 0 }],
        )?;
        self.engine = Some(engine);
        Ok(true)
    }

    /// Who is recorded to have received this number.
    fn who_received(&self, number: i64) -> Option<i32> {
        let mut buffer = vec![0u64; LARGEST.div_ceil(8)];
        let size = size_of_val(&buffer[..]) as u32;
        loop {
            let answer =
                mach_msg(&mut buffer, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, size, self.port.name(), 0, PortName::NULL);
            // The record was there before the answer: whoever receives has written it before it reads what it has received.
            if KernReturn::from_mach_msg(answer) != KernReturn::KERN_SUCCESS {
                return None;
            }
            let size = buffer.get(word::BITS).map_or(0, |bits| (bits >> 32) as usize);
            let task = self.receiver(buffer.as_bytes().get(..size).unwrap_or(&[]), number);
            mach::msg::destroy(&buffer);
            if let Some(task) = task {
                return self.processes.iter().find(|(_, right)| right.name() == task).map(|(id, _)| *id);
            }
        }
    }

    /// The task of a record in this message, if one is of a message with this number.
    fn receiver(&self, message: &[u8], number: i64) -> Option<PortName> {
        let records = Records::parse(message).ok()?;
        let mut records = records.filter_map(Result::ok);
        let has_it = |record: &trace_port::Record<'_>| {
            let offset = record.message.get(OFFSET..OFFSET + 8).and_then(|bytes| bytes.try_into().ok());
            record.direction == Direction::Receive && offset.map(i64::from_le_bytes) == Some(number)
        };
        records.find(has_it).map(|record| PortName(record.task))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(engine) = &self.engine {
            // With the last right to it, which goes next, it ends anyway.
            let _ = trace_detach(engine.name(), PortName::NULL, Disposition::CopySend);
        }
    }
}
