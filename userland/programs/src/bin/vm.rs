// SPDX-License-Identifier: GPL-2.0-or-later
//! vm: allocates, maps, protects, reads, writes and gives back memory, and sends memory out of line.
//!
//! Its trace must show `vm_allocate`, `vm_map`, `vm_protect`, `vm_read` and `vm_write` with out-of-line data, the failures
//! `KERN_PROTECTION_FAILURE` and `KERN_INVALID_ADDRESS`, a message with out-of-line memory, and `vm_deallocate`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, Pages, VM_PROT_READ, VM_PROT_WRITE};
use mach::msg::{Item, Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::{self, Mapping};
use mach::{println, stubs, task_self};
use programs::{Doing, Mismatch, expect, expect_error};

mach::entry!(main);

/// `VM_INHERIT_COPY` of vm_inherit.h.
const VM_INHERIT_COPY: i32 = 1;
/// Alignment asked of `vm_map`.
const ALIGNMENT: u64 = 1 << 20;
/// Id of the message this program sends to itself.
const CARRIES_MEMORY: i32 = 6200;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let mut pages = Pages::allocate(2 * PAGE_SIZE).doing("vm_allocate")?;
    expect("new memory", true, pages.as_slice().iter().all(|&byte| byte == 0))?;
    pages.as_mut_slice().fill(b'a');
    println!("vm: allocated, zero-filled");

    read_and_write(&pages)?;
    mapped()?;
    out_of_line()?;

    let address = pages.address();
    drop(pages);
    let found = stubs::mach::vm_read(task_self(), address, PAGE_SIZE);
    expect_error("vm_read of memory given back", KernReturn::KERN_INVALID_ADDRESS, found)?;
    println!("vm: given back");
    println!("vm: all as expected");
    Ok(())
}

/// Reading and writing by RPC, also against the protection.
fn read_and_write(pages: &Pages) -> Result<(), Mismatch> {
    let data = stubs::mach::vm_read(task_self(), pages.address(), PAGE_SIZE).doing("vm_read")?;
    expect(
        "what vm_read read",
        true,
        data.len() as u64 == PAGE_SIZE && data.as_slice().iter().all(|&byte| byte == b'a'),
    )?;

    let mut text = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?;
    text.as_mut_slice().fill(b'b');
    stubs::mach::vm_write(task_self(), pages.address(), text.as_slice()).doing("vm_write")?;
    expect("what vm_write wrote", Some(&b'b'), pages.as_slice().first())?;
    expect("what vm_write left alone", Some(&b'a'), pages.as_slice().get(PAGE_SIZE as usize))?;
    println!("vm: read and written");

    protect(pages, VM_PROT_READ)?;
    let found = stubs::mach::vm_write(task_self(), pages.address(), text.as_slice());
    expect_error("vm_write to read-only memory", KernReturn::KERN_PROTECTION_FAILURE, found)?;
    protect(pages, VM_PROT_READ | VM_PROT_WRITE)?;
    println!("vm: protected");
    Ok(())
}

fn protect(pages: &Pages, protection: i32) -> Result<(), Mismatch> {
    stubs::mach::vm_protect(task_self(), pages.address(), pages.size(), false, protection).doing("vm_protect")
}

/// An aligned mapping of zero-filled memory.
fn mapped() -> Result<(), Mismatch> {
    let mapping = Mapping {
        mask: ALIGNMENT - 1,
        anywhere: true,
        object: PortName::NULL,
        offset: 0,
        copy: false,
        protection: VM_PROT_READ | VM_PROT_WRITE,
        max_protection: VM_PROT_READ | VM_PROT_WRITE,
        inheritance: VM_INHERIT_COPY,
    };
    let address = trap::vm_map(task_self(), 0, PAGE_SIZE, &mapping).doing("vm_map")?;
    expect("alignment of what vm_map mapped", 0, address % ALIGNMENT)?;
    trap::vm_deallocate(task_self(), address, PAGE_SIZE).doing("vm_deallocate")?;
    let taken = Mapping { anywhere: false, ..mapping };
    let found = trap::vm_map(task_self(), 1, PAGE_SIZE, &taken);
    expect_error("vm_map at a reserved address", KernReturn::KERN_NO_SPACE, found)?;
    println!("vm: mapped");
    Ok(())
}

/// Memory that leaves this task with a message and comes back with it.
fn out_of_line() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut cargo = Pages::allocate(4 * PAGE_SIZE).doing("vm_allocate")?;
    cargo.as_mut_slice().fill(b'c');
    let (address, size) = (cargo.address(), cargo.size());
    cargo.leak();
    let mut message =
        Message::new(CARRIES_MEMORY, port.name(), Disposition::MakeSend).out_of_line(address, size as u32, true);
    expect("sending memory", KernReturn::KERN_SUCCESS, message.send(None))?;
    let found = stubs::mach::vm_read(task_self(), address, PAGE_SIZE);
    expect_error("vm_read of memory sent away", KernReturn::KERN_INVALID_ADDRESS, found)?;

    let received = Received::receive(&port, 256, None).doing("receiving memory")?;
    let region = received.items().find_map(|item| match item {
        Item::OutOfLine { address, size } => Some((address, size)),
        _ => None,
    });
    let (address, found) = region.doing("memory in the message")?;
    expect("bytes received", size, found)?;
    let data = stubs::mach::vm_read(task_self(), address, size).doing("vm_read")?;
    expect("what came back", true, data.as_slice().iter().all(|&byte| byte == b'c'))?;
    trap::vm_deallocate(task_self(), address, size).doing("vm_deallocate")?;
    println!("vm: sent out of line");
    Ok(())
}
