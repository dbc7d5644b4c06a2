// SPDX-License-Identifier: GPL-2.0-or-later
//! echo: messages that no interface knows, to itself and to a thread that sends each one back as its answer, with the id it came with.
//!
//! Each goes four ways: to itself with one `mach_msg` and with two, to the thread with one and with two. What goes to itself says that it
//! may hold rights or memory, what goes to the thread that it does not, whatever its items are: rights and memory are then plain data.
//! Only the last, rights that go to the thread and back, are rights there. In the end threads are interrupted while they receive.
//! Its trace must show each message with the sizes, items and ports that it has, rights only where there are some, and each answer as one.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use mach::error::KernReturn;
use mach::msg::{Item, Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::thread_switch;
use mach::sys::{msg, trap};
use mach::{host_self, println, stubs, task_self, thread, thread_self};
use mach_abi::header::LP64;
use mach_abi::notify::MACH_NOTIFY_DEAD_NAME;
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::{Descriptor, type_name};
use programs::patience::pause;
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// The id of all messages.
const ID: i32 = 123;
/// Room for each of them.
const LIMIT: u32 = 256;
/// How often the first one is sent at the end, and how many the thread sends back in all.
const ITERATIONS: u32 = 3;
const ECHOES: u32 = 4 * 2 + 2 + ITERATIONS;
/// `i386_REGS_SEGS_STATE` of thread_status.h, the words in it and the one with the lower half of rax.
const I386_REGS_SEGS_STATE: i32 = 5;
const WORDS: usize = 42;
const RAX: usize = 30;
/// What a receive of an interrupted thread is made to answer.
const ANSWER: u32 = 123;

/// Two ports of our own and the one that the thread receives from.
struct Ports {
    own: ReceiveRight,
    answers: ReceiveRight,
    thread: PortName,
    /// The host, the task and the thread. Not on the stack, where the compiler says where things are, and made before there is a
    /// second thread: where memory of the heap is depends on who is quicker.
    names: Vec<PortName>,
}

/// Adds items to a message.
type Build<'a> = &'a dyn Fn(Message) -> Message;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let [own, answers, thread] = [(); 3].map(|()| ReceiveRight::allocate());
    let thread = thread.doing("mach_port_allocate")?;
    let ports = Ports {
        own: own.doing("mach_port_allocate")?,
        answers: answers.doing("mach_port_allocate")?,
        thread: thread.name(),
        names: [host_self(), task_self(), thread_self()].to_vec(),
    };
    thread::spawn(move || echo(&thread)).doing("starting the thread")?;

    let whole = |received: Received, sent: &Message| expect("the items", sent.body(), received.body());
    ports.four_ways(&string, &whole)?;
    let two = |message: Message| {
        let message = message.item(Descriptor::inline(type_name::STRING, 80, 1), &text(b"cccccccccc"));
        message.item(Descriptor::inline(type_name::CHAR, 8, 5), &text(b"xxxxx")[..1])
    };
    ports.four_ways(&two, &whole)?;
    let nothing = Descriptor { inline: false, ..Descriptor::inline(type_name::STRING, 8, 0) };
    ports.four_ways(&|message| string(message.item(nothing, &[0])), &|received, sent| {
        let (expected, found) = (&sent.body()[1..], received.body().get(1..).doing("items")?);
        expect("the items but for the first descriptor", expected, found)?;
        expect("memory", Some(Item::OutOfLine { address: 0, size: 0 }), received.items().next())
    })?;
    ports.rights()?;

    for _ in 0..ITERATIONS {
        let sent = string(ports.to_thread());
        whole(sent.exchange(&ports.answers, LIMIT).doing("exchanging")?, &sent)?;
    }
    println!("echo: {ECHOES} messages came back from the thread");

    let found = interrupted(&ports.own, None)?;
    expect("an interrupted receive", KernReturn::MACH_RCV_INTERRUPTED, KernReturn::from_mach_msg(found))?;
    expect("an interrupted receive with another answer", ANSWER, interrupted(&ports.own, Some(ANSWER))?)?;
    println!("echo: two threads were interrupted");
    Ok(())
}

/// The first message's item.
fn string(message: Message) -> Message {
    message.item(Descriptor::inline(type_name::STRING, 40, 1), &text(b"ciao\0")[..1])
}

/// Bytes as words of a message.
fn text(bytes: &[u8]) -> [u64; 2] {
    let mut both = [0; 16];
    both[..bytes.len()].copy_from_slice(bytes);
    [0, 8].map(|start| both[start..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk)))
}

/// Sends back what comes.
fn echo(port: &ReceiveRight) {
    for _ in 0..ECHOES {
        let received = Received::receive(port, LIMIT, None).unwrap_or_else(|error| panic!("receiving: {error}"));
        let answer = received.send_back();
        assert!(answer == KernReturn::KERN_SUCCESS, "sending back: expected KERN_SUCCESS, found {answer}");
    }
}

impl Ports {
    /// A message to ourselves, which we are asked to answer on the same port.
    fn to_self(&self) -> Message {
        let port = self.own.name();
        Message::new(ID, port, Disposition::MakeSend).reply_to(port, Disposition::MakeSendOnce)
    }

    /// A message to the thread.
    fn to_thread(&self) -> Message {
        let answers = self.answers.name();
        Message::new(ID, self.thread, Disposition::MakeSend).reply_to(answers, Disposition::MakeSendOnce)
    }

    /// Sends a message each way and checks what comes back.
    fn four_ways(
        &self,
        build: Build<'_>,
        check: &dyn Fn(Received, &Message) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        let sent = build(self.to_self()).said_complex();
        check(self.one_to_self(&sent)?, &sent)?;
        check(self.two_to_self(&sent)?, &sent)?;
        let sent = build(self.to_thread()).said_simple();
        self.there_and_back(&sent, |received| expect("the items", sent.body(), received.body()))
    }

    /// The host, the task and the thread out of line: moved where the message says that they are rights, else numbers and an address.
    fn rights(&self) -> Result<(), Mismatch> {
        let names = [self.names[0], self.names[1], self.names[2]];
        // A reference more of each, for the message to take away.
        let take = || [trap::mach_host_self(), trap::mach_task_self(), trap::mach_thread_self()];
        let came = |received: Received| {
            let mut rights = received.into_ports_out_of_line().doing("rights")?;
            let found = [(); 3].map(|()| rights.next());
            expect("the rights", names.map(Some), found.each_ref().map(|right| right.as_ref().map(|it| it.name())))
        };
        let build = |message: Message| message.ports_out_of_line(&self.names, Disposition::MoveSend);
        expect("more references", names, take())?;
        came(self.one_to_self(&build(self.to_self()))?)?;
        expect("more references", names, take())?;
        came(self.two_to_self(&build(self.to_self()))?)?;
        let sent = build(self.to_thread()).said_simple();
        self.there_and_back(&sent, |received| expect("the items", sent.body(), received.body()))?;
        expect("more references", [names; 2], [take(), take()])?;
        self.there_and_back(&build(self.to_thread()), came)
    }

    fn one_to_self(&self, sent: &Message) -> Result<Received, Mismatch> {
        let received = sent.exchange(&self.own, sent.size()).doing("sending and receiving")?;
        self.came_to_self(sent, received)
    }

    fn two_to_self(&self, sent: &Message) -> Result<Received, Mismatch> {
        expect("sending", KernReturn::KERN_SUCCESS, sent.send_without_size())?;
        let received = Received::receive(&self.own, sent.size(), None).doing("receiving")?;
        self.came_to_self(sent, received)
    }

    /// Checks the header of what came. The right to answer is left unused: given back it would be one more message, a notification.
    fn came_to_self(&self, sent: &Message, received: Received) -> Result<Received, Mismatch> {
        expect("size and id", (sent.size(), ID), (received.size(), received.id()))?;
        expect("the port", self.own.name(), received.port())?;
        expect("the right to answer", true, received.reply_port().is_valid())?;
        Ok(received)
    }

    /// Sends a message to the thread and receives it again, with one call and with two.
    fn there_and_back(&self, sent: &Message, check: impl Fn(Received) -> Result<(), Mismatch>) -> Result<(), Mismatch> {
        let received = sent.exchange(&self.answers, sent.size()).doing("sending and receiving")?;
        self.came_back(sent, &received)?;
        check(received)?;
        expect("sending", KernReturn::KERN_SUCCESS, sent.send_without_size())?;
        let received = Received::receive(&self.answers, sent.size(), None).doing("receiving")?;
        self.came_back(sent, &received)?;
        check(received)
    }

    fn came_back(&self, sent: &Message, received: &Received) -> Result<(), Mismatch> {
        expect("size and id", (sent.size(), ID), (received.size(), received.id()))?;
        expect("the ports", (self.answers.name(), PortName::NULL), (received.port(), received.reply_port()))
    }
}

/// Interrupts a thread that receives, and returns what its `mach_msg` answered: as it was, or as its state was changed to.
fn interrupted(port: &ReceiveRight, change: Option<u32>) -> Result<u32, Mismatch> {
    let to = port.name();
    let begins = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&begins);
    let thread = thread::spawn(move || {
        let nothing = ReceiveRight::allocate().unwrap_or_else(|error| panic!("mach_port_allocate: {error}"));
        let mut buffer = [0; LP64.end / 8];
        let size = LP64.end as u32;
        says.store(true, Relaxed);
        let answer = msg::mach_msg(&mut buffer, MACH_RCV_MSG, 0, size, nothing.name(), 0, PortName::NULL);
        let told = Message::new(ID + 1, to, Disposition::MakeSend).integer(answer).send(None);
        assert!(told == KernReturn::KERN_SUCCESS, "telling the answer: expected KERN_SUCCESS, found {told}");
    });
    let thread = thread.doing("starting a thread")?;
    // On a busy host a thread may take long to come so far.
    while !begins.load(Relaxed) {
        thread_switch();
    }
    pause(100);
    stubs::mach::thread_suspend(thread.name()).doing("thread_suspend")?;
    let gone = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (id, how) = (MACH_NOTIFY_DEAD_NAME as i32, Disposition::MakeSendOnce);
    let before = stubs::mach_port::mach_port_request_notification(task_self(), thread.name(), id, 1, gone.name(), how);
    drop(before.doing("mach_port_request_notification")?);
    stubs::mach::thread_abort(thread.name()).doing("thread_abort")?;
    if let Some(answer) = change {
        let mut state = [0; WORDS];
        let count = stubs::mach::thread_get_state(thread.name(), I386_REGS_SEGS_STATE, &mut state);
        expect("words of the state", WORDS, count.doing("thread_get_state")?)?;
        state[RAX] = answer;
        stubs::mach::thread_set_state(thread.name(), I386_REGS_SEGS_STATE, &state).doing("thread_set_state")?;
    }
    stubs::mach::thread_resume(thread.name()).doing("thread_resume")?;
    let received = Received::receive(port, LIMIT, None).doing("receiving")?;
    // It is about to end, and its stack with it: what is done next must not depend on who of us is quicker.
    let end = Received::receive(&gone, LIMIT, None).doing("receiving")?;
    expect("the notification", MACH_NOTIFY_DEAD_NAME as i32, end.id())?;
    // The name is dead now, and has the notification's reference besides.
    thread.into_name();
    expect("the id", ID + 1, received.id())?;
    let answer = received.items().find_map(|item| match item {
        Item::Integers(bytes) => bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)),
        _ => None,
    });
    answer.doing("what the thread says")
}
