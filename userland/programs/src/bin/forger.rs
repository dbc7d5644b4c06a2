// SPDX-License-Identifier: GPL-2.0-or-later
//! forger HOST WORD: sends to the trace port of its own tracer what only the kernel should.
//!
//! Run it traced. It asks for its trace port, which is refused to all but the tracer; then it makes itself a send right by the task
//! port of the tracer, which HOST, the name of the host's privileged port, gives to anyone who has it. The trace must go on to its end,
//! with a remark on each kind of message that is no record. WORD says what is sent:
//! `end`, `silently` and `replace` nothing, they set the trace port; `id`, `malformed`, `version`, `notifications`, `large` one message or a few of that
//! kind; `rights` one that brings rights and memory, `names` some that only look so, `flood` 10,000.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, Pages};
use mach::mig::AnyRight;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::{mach as kernel, mach_host, mach_port};
use mach::sys::msg::mach_msg;
use mach::{println, task_self};
use mach_abi::header::word;
use mach_abi::notify::MACH_NOTIFY_NO_SENDERS;
use mach_abi::option::MACH_SEND_MSG;
use mach_abi::port::{MACH_PORT_QLIMIT_MAX, MACH_PORT_TYPE_DEAD_NAME};
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::{Doing, Mismatch, expect_error};
use trace_port::TRACE_RECORD_MSGH_ID;
use trace_port::record::{HEADER_TYPE, LARGEST, RecordHeader, TASK_TYPE, body_type};
use trace_port::ring::QUEUE;

mach::entry!(main);

/// `task_set_special_port` of mach.defs.
const TASK_SET_SPECIAL_PORT: i32 = 2059;
/// An id of no interface.
const UNKNOWN: i32 = 4711;
/// Names that a task may have for its rights.
const NAMES: u32 = 64;
const FLOOD: u32 = 10_000;
/// Tenths of a second.
const PATIENCE: u32 = 100;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(1).and_then(|word| word.parse().ok()).map(PortName);
    let host = host.doing("the name of the host's privileged port")?;
    let word = arguments.get_str(2).unwrap_or("");
    let own = kernel::task_get_special_port(task_self(), TASK_TRACE_PORT);
    println!(
        "forger: its trace port: {}",
        if own.is_ok_and(|port| port.name().is_valid()) { "given" } else { "refused" }
    );
    match word {
        "end" => set(PortName::NULL)?,
        "silently" => {
            // Without a reply port there is no answer that the trace could show.
            let request = Message::new(TASK_SET_SPECIAL_PORT, task_self(), Disposition::CopySend);
            sent(request.integer(TASK_TRACE_PORT as u32).port(PortName::NULL, Disposition::CopySend))?;
            pause()?;
        }
        "replace" => {
            let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
            set(port.make_send().doing("a send right")?.name())?;
        }
        _ => {
            let to = trace_port(host)?;
            forge(to.name(), word)?;
        }
    }
    println!("forger: {word}: done");
    Ok(())
}

fn set(port: PortName) -> Result<(), Mismatch> {
    let set = kernel::task_set_special_port(task_self(), TASK_TRACE_PORT, port);
    println!("forger: setting it: {}", if set.is_ok() { "done" } else { "refused" });
    // So that the tracer finds it going on.
    pause()
}

/// A send right to the tracer's port.
fn trace_port(host: PortName) -> Result<SendRight, Mismatch> {
    let set = mach_host::processor_set_default(host).doing("processor_set_default")?;
    let set = mach_host::host_processor_set_priv(host, set.name()).doing("host_processor_set_priv")?;
    for task in mach_host::processor_set_tasks(set.name()).doing("processor_set_tasks")? {
        let AnyRight::Send(task) = task else { continue };
        // The kernel's own task has no names to tell.
        let Ok(names) = mach_port::mach_port_names(task.name()) else { continue };
        for name in names.names.as_slice().chunks_exact(4).filter_map(|name| name.first_chunk().copied()) {
            let name = PortName(u32::from_le_bytes(name));
            // Of other rights there is no such status.
            let status = mach_port::mach_port_get_receive_status(task.name(), name);
            let is_limit = |limit| [MACH_PORT_QLIMIT_MAX, QUEUE].contains(&limit);
            if !status.is_ok_and(|status| is_limit(status.mps_qlimit) && status.mps_nsrequest) {
                continue;
            }
            let right = mach_port::mach_port_extract_right(task.name(), name, Disposition::MakeSend as u32);
            if let Ok(AnyRight::Send(right)) = right {
                return Ok(right);
            }
        }
    }
    Err(Mismatch::new("the trace port: expected a port with one of its queue limits, found none"))
}

fn forge(to: PortName, word: &str) -> Result<(), Mismatch> {
    let message = |id| Message::new(id, to, Disposition::CopySend);
    match word {
        "id" => sent(message(UNKNOWN).integer(7)),
        "malformed" => sent(message(TRACE_RECORD_MSGH_ID as i32).integer(7)),
        "version" => record_of_another_version(to),
        "notifications" => (0..3).try_for_each(|_| sent(message(MACH_NOTIFY_NO_SENDERS as i32).integer(0))),
        "large" => sent(message(UNKNOWN).bytes(&vec![0; 2 * LARGEST])),
        "rights" => rights(to),
        "names" => names_that_are_no_rights(to),
        "flood" => (0..FLOOD).try_for_each(|number| sent(message(UNKNOWN).integer(number))),
        _ => Err(Mismatch::new("WORD: expected one of those in the program's first lines")),
    }
}

/// Sends rights and memory; the tracer has given them back when the port whose receive right was among them is dead.
fn rights(to: PortName) -> Result<(), Mismatch> {
    let pages = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?;
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let kept = port.make_send().doing("a send right")?;
    let message = Message::new(UNKNOWN, to, Disposition::CopySend)
        .reply_to(task_self(), Disposition::CopySend)
        .port(task_self(), Disposition::CopySend)
        .port(port.name(), Disposition::MakeSend)
        .out_of_line(pages.address(), PAGE_SIZE as u32, false);
    sent(message.port(port.into_name(), Disposition::MoveReceive))?;
    for _ in 0..PATIENCE {
        pause()?;
        let kind = mach_port::mach_port_type(task_self(), kept.name()).doing("mach_port_type")?;
        if kind & MACH_PORT_TYPE_DEAD_NAME != 0 {
            println!("forger: what it brought was given back");
            return Ok(());
        }
    }
    Err(Mismatch::new("a receive right sent to the tracer: expected it to be given back, found it alive"))
}

/// A tenth of a second.
fn pause() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    expect_error("waiting", KernReturn::MACH_RCV_TIMED_OUT, Received::receive(&port, 64, Some(100)))
}

fn sent(mut message: Message) -> Result<(), Mismatch> {
    message.send(None).into_result().doing("sending to the trace port")
}

fn send_words(words: &mut [u64]) -> Result<(), Mismatch> {
    let size = size_of_val(words) as u32;
    words[word::BITS] |= u64::from(size) << 32;
    let answer = mach_msg(words, MACH_SEND_MSG, size, 0, PortName::NULL, 0, PortName::NULL);
    KernReturn::from_mach_msg(answer).into_result().doing("sending to the trace port")
}

fn header(to: PortName, complex: bool, id: u32) -> [u64; 4] {
    let bits = u64::from(complex) << 31 | Disposition::CopySend as u64;
    [bits, u64::from(to.0), 0, u64::from(id) << 32]
}

/// A record in all but its version.
fn record_of_another_version(to: PortName) -> Result<(), Mismatch> {
    let copied = TASK_TYPE & !0xff | Disposition::CopySend as u64;
    let mut words = Vec::from(header(to, true, TRACE_RECORD_MSGH_ID));
    words.extend([copied, u64::from(task_self().0), HEADER_TYPE, 9]);
    words.resize(words.len() + size_of::<RecordHeader>() / 8 - 1, 0);
    words.push(body_type(0));
    send_words(&mut words)
}

/// Messages that do not say that they bring rights, with what would be rights if they did: the tracer's own, by any name.
fn names_that_are_no_rights(to: PortName) -> Result<(), Mismatch> {
    for name in 1..NAMES {
        let mut record = Vec::from(header(to, false, TRACE_RECORD_MSGH_ID));
        record.extend([TASK_TYPE, u64::from(name)]);
        send_words(&mut record)?;
        let receive = TASK_TYPE & !0xff | Disposition::MoveReceive as u64;
        let mut other = Vec::from(header(to, false, UNKNOWN as u32));
        other.extend([receive, u64::from(name)]);
        send_words(&mut other)?;
    }
    Ok(())
}
