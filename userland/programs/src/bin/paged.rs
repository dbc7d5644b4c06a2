// SPDX-License-Identifier: GPL-2.0-or-later
//! paged: memory of which this program itself is the pager, one that provides nothing, is sent out of line and received.
//!
//! Whoever touches it waits for ever, so that a tracer must not: with `--ool` a line says that a pager provides it, and the trace goes on.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, VM_PROT_READ, VM_PROT_WRITE};
use mach::msg::{Item, Message, Received};
use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::{self, Mapping};
use mach::{println, stubs, task_self, thread};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// `msgh_id` of `memory_object_init` of memory_object.defs.
const MEMORY_OBJECT_INIT: i32 = 2200;
/// `MEMORY_OBJECT_COPY_DELAY` of memory_object.h: the kernel copies what is written to, when it is.
const COPY_DELAY: i32 = 2;
/// `VM_INHERIT_COPY` of vm_inherit.h.
const VM_INHERIT_COPY: i32 = 1;
/// Id of the message this program sends to itself.
const CARRIES_MEMORY: i32 = 6210;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let object = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = object.make_send().doing("a right to the memory object")?;
    thread::spawn(move || serve(&object)).doing("starting a thread")?;
    let mapping = Mapping {
        mask: 0,
        anywhere: true,
        object: right.name(),
        offset: 0,
        copy: false,
        protection: VM_PROT_READ | VM_PROT_WRITE,
        max_protection: VM_PROT_READ | VM_PROT_WRITE,
        inheritance: VM_INHERIT_COPY,
    };
    let address = trap::vm_map(task_self(), 0, PAGE_SIZE, &mapping).doing("vm_map")?;
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let message = Message::new(CARRIES_MEMORY, port.name(), Disposition::MakeSend);
    let sent = message.out_of_line(address, PAGE_SIZE as u32, false).send(None);
    expect("sending memory", KernReturn::KERN_SUCCESS, sent)?;
    let received = Received::receive(&port, 256, None).doing("receiving memory")?;
    let is_whole = received.items().any(|item| matches!(item, Item::OutOfLine { size: PAGE_SIZE, .. }));
    expect("a page in the message", true, is_whole)?;
    println!("paged: sent and received");
    Ok(())
}

/// Says that there is memory, and provides none of it.
fn serve(object: &ReceiveRight) {
    while let Ok(received) = Received::receive(object, 256, None) {
        let control = received.items().find_map(|item| match item {
            Item::Port(control, _) => Some(control),
            _ => None,
        });
        if let Some(control) = control.filter(|_| received.id() == MEMORY_OBJECT_INIT) {
            // Who maps it waits for ever without this.
            let _ = stubs::mach::memory_object_ready(control, false, COPY_DELAY);
        }
    }
}
