// SPDX-License-Identifier: GPL-2.0-or-later
//! refill: reads three pages that are not there; another thread, which serves the exceptions, has the reading thread make them itself.
//!
//! As a Unix system delivers SIGSEGV: the server takes the thread's state, puts it on the thread's stack and sets another one, with
//! which the thread runs a handler; that allocates the page, fills it, and goes back by the trap `thread_set_self_state`. Its trace
//! must show each exception as raised and as received, both states, and `vm_allocate` as the reading thread's own; the trap is no
//! message. Server and reader are one task, and the server answers and waits for the next with one `mach_msg`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::{KernReturn, Result as KernResult};
use mach::memory::{PAGE_SIZE, Pages};
use mach::port::{Disposition, PortName, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::msg::mach_msg;
use mach::sys::{interrupt, trap};
use mach::{println, stubs, task_self, thread, thread_self};
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};
use mach_abi::special_port::THREAD_EXCEPTION_PORT;
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// `EXC_BAD_ACCESS` of exception.h.
const EXC_BAD_ACCESS: i32 = 1;
/// Where nothing is.
const HOLE: u64 = 0x1000_0000;
/// How many pages of it are read.
const PAGES: u64 = 3;
/// Bytes of an integer in them.
const INTEGER: u64 = 4;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let port = trap::mach_reply_port();
    thread::spawn(move || serve(port)).doing("starting the server thread")?;
    trap::mach_port_insert_right(task_self(), port, port, Disposition::MakeSend).doing("mach_port_insert_right")?;
    stubs::mach::thread_set_special_port(thread_self(), THREAD_EXCEPTION_PORT, port)
        .doing("thread_set_special_port")?;

    let sum: u64 = (0..PAGES * PAGE_SIZE / INTEGER).map(|at| u64::from(interrupt::read(HOLE + at * INTEGER))).sum();
    let last = PAGE_SIZE / INTEGER - 1;
    expect("the sum of what was read", PAGES * last * (last + 1) / 2, sum)?;
    println!("refill: read {PAGES} pages, sum {sum}");
    Ok(())
}

/// Run by the reading thread where it misses a page.
fn refill(address: u64) {
    let mut page = Pages::allocate_at(address, PAGE_SIZE)
        .unwrap_or_else(|error| panic!("vm_allocate at {address:#x}: expected KERN_SUCCESS, found {error}"));
    for (number, integer) in (0u32..).zip(page.as_mut_slice().chunks_exact_mut(INTEGER as usize)) {
        integer.copy_from_slice(&number.to_le_bytes());
    }
    println!("refill: filled the page at {:#x}", page.leak());
}

/// Answers exceptions for ever.
fn serve(port: PortName) {
    let (mut option, mut size) = (MACH_RCV_MSG, 0);
    let mut message = [0; 32];
    loop {
        let limit = size_of_val(&message) as u32;
        let answer = mach_msg(&mut message, option, size, limit, port, 0, PortName::NULL);
        assert!(answer == 0, "answering and receiving an exception: expected MACH_MSG_SUCCESS, found {answer:#x}");
        let request = message;
        assert!(stubs::exc_server::demux(&mut Refiller, &request, &mut message), "expected an exception");
        (option, size) = (MACH_SEND_MSG | MACH_RCV_MSG, (message[word::BITS] >> 32) as u32);
    }
}

/// The server of exc.defs.
struct Refiller;

impl stubs::exc_server::Server for Refiller {
    fn exception_raise(
        &mut self,
        _exception_port: PortName,
        thread: SendRight,
        task: SendRight,
        exception: i32,
        code: i32,
        subcode: i64,
    ) -> KernResult<()> {
        if (exception, KernReturn(code)) != (EXC_BAD_ACCESS, KernReturn::KERN_INVALID_ADDRESS) {
            return Err(KernReturn::KERN_FAILURE);
        }
        interrupt::interrupt(&thread, &task, refill, subcode as u64)
    }
}
