// SPDX-License-Identifier: GPL-2.0-or-later
//! catch: writes to a page it may not write to, catches the exception in another thread, and goes on.
//!
//! Its trace must show both kinds of exception: thread-exception, which the server refuses, then task-exception for the same
//! fault, which it answers with success after making the page writable. Server and faulting thread are one task, so the
//! exception is there twice: as the kernel raised it, and as the server received it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use mach::error::{KernReturn, Result as KernResult};
use mach::memory::{PAGE_SIZE, Pages, VM_PROT_NONE, VM_PROT_READ, VM_PROT_WRITE};
use mach::mig::{Patience, send_reply};
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::msg::mach_msg;
use mach::{println, stubs, task_self, thread, thread_self};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::special_port::{TASK_EXCEPTION_PORT, THREAD_EXCEPTION_PORT};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// `EXC_BAD_ACCESS` of exception.h.
const EXC_BAD_ACCESS: i32 = 1;
/// What the faulting write leaves behind.
const MARK: u8 = 42;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let mut pages = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?;
    let address = pages.address();
    stubs::mach::vm_protect(task_self(), address, PAGE_SIZE, false, VM_PROT_NONE).doing("vm_protect")?;

    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right to the exception port")?;
    stubs::mach::thread_set_special_port(thread_self(), THREAD_EXCEPTION_PORT, right.name())
        .doing("thread_set_special_port")?;
    stubs::mach::task_set_special_port(task_self(), TASK_EXCEPTION_PORT, right.name())
        .doing("task_set_special_port")?;
    let name = port.name();
    thread::spawn(move || serve(name, address)).doing("starting the server thread")?;

    pages.as_mut_slice()[0] = MARK;
    expect("what the write left", MARK, pages.as_slice()[0])?;
    println!("catch: the write went through after all");
    Ok(())
}

/// Refuses the exception on the thread's port, then repairs its cause and accepts it on the task's.
fn serve(port: PortName, address: u64) {
    let mut catcher = Catcher { address, seen: 0 };
    while catcher.seen < 2 {
        let mut request = [0; 32];
        let mut reply = [0; 16];
        let limit = size_of_val(&request) as u32;
        let received = mach_msg(&mut request, MACH_RCV_MSG, 0, limit, port, 0, PortName::NULL);
        assert!(received == 0, "receiving the exception: expected MACH_MSG_SUCCESS, found {received:#x}");
        assert!(stubs::exc_server::demux(&mut catcher, &request, &mut reply), "expected an exception");
        let sent = send_reply(&mut reply, Patience::Endless);
        assert!(sent.is_ok(), "answering the exception: expected MACH_MSG_SUCCESS, found {sent:?}");
    }
}

/// The server of exc.defs.
struct Catcher {
    address: u64,
    seen: u32,
}

impl stubs::exc_server::Server for Catcher {
    fn exception_raise(
        &mut self,
        _exception_port: PortName,
        _thread: SendRight,
        _task: SendRight,
        exception: i32,
        code: i32,
        subcode: i64,
    ) -> KernResult<()> {
        let found = (exception, KernReturn(code), subcode as u64);
        let expected = (EXC_BAD_ACCESS, KernReturn::KERN_PROTECTION_FAILURE, self.address);
        assert!(found == expected, "exception: expected {expected:?}, found {found:?}");
        self.seen += 1;
        if self.seen == 1 {
            return Err(KernReturn::KERN_FAILURE);
        }
        stubs::mach::vm_protect(task_self(), self.address, PAGE_SIZE, false, VM_PROT_READ | VM_PROT_WRITE)
    }
}
