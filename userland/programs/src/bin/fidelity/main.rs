// SPDX-License-Identifier: GPL-2.0-or-later
//! fidelity SEED COUNT [FROM TO]: pseudo-random `mach_msg` calls, each one's result and the state afterwards in a hash.
//!
//! What it prints must be the same traced and untraced, for every seed: the hash after each 1000 calls, and with FROM and TO
//! each call between them with everything that went into the hash. Excluded is what docs/differences.md lists.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod echo;
mod hash;
mod kernel;
mod message;
mod world;

use alloc::vec::Vec;

use mach::error::{KernReturn, Result};
use mach::memory::PAGE_SIZE;
use mach::port::PortName;
use mach::sys::wild::{Arena, Arguments, Place};
use mach::{println, task_self};
use mach_abi::header::{self, LP64, MACH_MSGH_BITS_COMPLEX, MACH_MSGH_BITS_LOCAL_MASK, MACH_MSGH_BITS_REMOTE_MASK};
use mach_abi::option::{
    MACH_RCV_INTERRUPT, MACH_RCV_LARGE, MACH_RCV_MSG, MACH_RCV_NOTIFY, MACH_RCV_TIMEOUT, MACH_SEND_CANCEL,
    MACH_SEND_INTERRUPT, MACH_SEND_MSG, MACH_SEND_NOTIFY, MACH_SEND_TIMEOUT,
};
use mach_abi::type_name::{COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE};
use programs::random::Random;
use programs::{Doing, Mismatch};

use echo::Echo;
use hash::{Hash, Kind, Seen};
use kernel::Way;
use message::Supply;
use world::{Looks, World};

mach::entry!(main);

/// The optimized kind of call.
const RPC: u32 = MACH_SEND_MSG | MACH_RCV_MSG;
/// Every option bit that `mach_msg` knows.
const ALL_OPTIONS: u32 = MACH_SEND_MSG
    | MACH_RCV_MSG
    | MACH_SEND_TIMEOUT
    | MACH_SEND_NOTIFY
    | MACH_SEND_INTERRUPT
    | MACH_SEND_CANCEL
    | MACH_RCV_TIMEOUT
    | MACH_RCV_NOTIFY
    | MACH_RCV_INTERRUPT
    | MACH_RCV_LARGE;
/// Bytes of the arena that are looked at after each call.
const SEEN: usize = 4096;
/// And where a message is that does not begin there.
const SEEN_ELSEWHERE: usize = 256;
/// Neither sends nor receives.
const NOTHING: Arguments =
    Arguments { option: 0, send_size: 0, rcv_size: 0, rcv_name: PortName::NULL, time_out: 0, notify: PortName::NULL };
/// Calls after which the program looks which names there are.
const NAMES_EVERY: u64 = 16;
/// Calls after which it looks at the state of every port.
const STATE_EVERY: u64 = 64;

/// What was called.
struct Call {
    place: Place,
    arguments: Arguments,
    /// First words of the message.
    header: [u32; 8],
    /// The servers that get a message if it is sent, in this order.
    servers: [Option<usize>; 2],
}

/// Everything the calls work on.
struct Run {
    random: Random,
    world: World,
    arena: Arena,
    supply: Supply,
    echo: Echo,
    kernel: kernel::Ports,
    seen: Seen,
    log: Vec<Line>,
}

/// A call of the full log: its number, the call, its result, hashes, the message afterwards, the server's last call.
type Line = (u64, Call, u32, [Hash; 4], [u32; 24], [u64; 7]);

fn main(arguments: mach::rt::arguments::Arguments) -> core::result::Result<(), Mismatch> {
    if let Some(result) = arguments.get_str(1).and_then(fatal) {
        println!("fidelity: {:#x}", result.doing("setting up")?);
        return Ok(());
    }
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u64>().ok());
    let (seed, count) = (number(1).doing("a seed")?, number(2).doing("a number of calls")?);
    let shown = number(3).unwrap_or(u64::MAX)..number(4).unwrap_or(u64::MAX);
    println!("fidelity: seed {seed}, {count} calls");
    let mut run = Run::new(seed).doing("setting up")?;
    for index in 1..=count {
        let shown = shown.contains(&index);
        run.step(index, shown).doing("looking at the state")?;
        if index % 1000 == 0 || index == count {
            println!("{index} {}", run.seen);
        }
    }
    run.log.iter().for_each(show);
    Ok(())
}

/// The calls that a stock kernel does not survive, by name, each alone: see docs/differences.md.
fn fatal(name: &str) -> Option<Result<u32>> {
    match name {
        "null" => Some(fatal_call(Place::Null)),
        "reply" => Some(fatal_call(Place::Inside(0))),
        "huge" => Some(huge()),
        _ => None,
    }
}

/// Messages of 2 GiB and more, which the payload refuses: a stock kernel copies them over what is behind their buffer. The last result
/// is that of a size that the kernel itself refuses.
fn huge() -> Result<u32> {
    let mut arena = Arena::allocate(PAGE_SIZE)?;
    let mut last = 0;
    for (option, send_size) in [
        (MACH_SEND_MSG, 0x8000_0000),
        (MACH_SEND_MSG | MACH_SEND_TIMEOUT, 0xffff_fff8),
        (RPC, 0x8000_0020),
        (RPC, 0x8000_0024),
        (RPC, 0x8000_0022),
    ] {
        last = arena.mach_msg(Place::Inside(0), &Arguments { option, send_size, ..NOTHING });
        println!("fidelity: {send_size:#x} bytes, option {option:#x}: {last:#x}");
    }
    Ok(last)
}

/// A request to the kernel whose reply port and receive name are a send right.
fn fatal_call(place: Place) -> Result<u32> {
    let mut arena = Arena::allocate(PAGE_SIZE)?;
    message::header(arena.as_mut_slice(), header::bits(COPY_SEND, MAKE_SEND_ONCE), task_self(), task_self(), 3999);
    let arguments = Arguments {
        option: RPC,
        send_size: LP64.end as u32,
        rcv_size: 4096,
        rcv_name: task_self(),
        time_out: 0,
        notify: PortName::NULL,
    };
    Ok(arena.mach_msg(place, &arguments))
}

impl Run {
    fn new(seed: u64) -> Result<Self> {
        let echo = Echo::start(seed)?;
        let arena = Arena::allocate(16 * PAGE_SIZE)?;
        let supply = Supply::new()?;
        let kernel = kernel::Ports::new()?;
        Ok(Self {
            random: Random::new(seed),
            world: World::new()?,
            arena,
            supply,
            echo,
            kernel,
            seen: Seen::NOTHING,
            log: Vec::new(),
        })
    }

    /// One call, and a look at what it did.
    fn step(&mut self, index: u64, shown: bool) -> Result<()> {
        if index % NAMES_EVERY == 1 {
            self.world.refresh(&mut self.random)?;
            self.seen.note(Kind::Names, self.world.types());
        }
        let call = match self.random.below(100) {
            0..8 => self.rpc(),
            8..10 => self.relay(),
            10..14 => self.late(),
            14..30 => self.kernel_call()?,
            _ => self.wild()?,
        };
        let result = self.arena.mach_msg(call.place, &call.arguments);
        let before = self.seen.all;
        self.seen.note(Kind::Results, Hash(result.into()));
        let mut written = self.written(&call, result);
        let buffer = written;
        let code = KernReturn::from_mach_msg(result);
        if has_sent(result) {
            call.servers.iter().flatten().for_each(|server| self.echo.expect(*server));
        }
        for server in call.servers.iter().flatten() {
            self.seen.note(Kind::Servers, Hash(self.echo.wait(*server)));
        }
        let inside = call.place == Place::Inside(0);
        let received = result == 0 && call.arguments.option & MACH_RCV_MSG != 0;
        if inside && (received || matches!(code, KernReturn::MACH_SEND_TIMED_OUT | KernReturn::MACH_SEND_INTERRUPTED)) {
            message::take_memory(&self.arena, Some(&self.supply), &mut written);
        }
        self.seen.note(Kind::Buffers, written);
        let mut state = Hash::START;
        if index.is_multiple_of(STATE_EVERY) {
            self.seen.note(Kind::Messages, self.world.messages());
            self.world.hash_state(&mut state);
            self.kernel.hash_state(&mut state);
            self.seen.note(Kind::State, state);
        }
        if shown {
            // Printed at the end: a message to the console in between would change what the kernel's heap holds.
            let after = words::<24>(self.arena.as_slice());
            self.log.push((index, call, result, [before, buffer, self.seen.all, state], after, echo::last()));
        }
        Ok(())
    }

    /// What a call may have written.
    fn written(&mut self, call: &Call, result: u32) -> Hash {
        let offset = if let Place::Inside(offset) = call.place { offset } else { 0 };
        if call.arguments.option & MACH_RCV_MSG != 0 && has_sent(result) {
            message::clear_kernel_padding(&mut self.arena.as_mut_slice()[offset..]);
        }
        let bytes = self.arena.as_slice();
        let mut hash = Hash::START;
        hash.bytes(&bytes[..SEEN]);
        if offset >= SEEN {
            hash.bytes(&bytes[offset..(offset + SEEN_ELSEWHERE).min(bytes.len())]);
        }
        hash
    }

    /// A call to a server, which is answered or refused.
    fn rpc(&mut self) -> Call {
        let (server, send_size) = self.for_server(self.echo.reply);
        let random = &mut self.random;
        let mut option = RPC;
        if random.percent(40) {
            option |= random.pick(
                &[
                    MACH_SEND_TIMEOUT,
                    MACH_RCV_TIMEOUT,
                    MACH_RCV_NOTIFY,
                    MACH_SEND_NOTIFY,
                    MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT,
                ],
                0,
            );
        }
        let arguments = Arguments {
            option,
            send_size,
            rcv_size: if random.percent(10) { random.below(64) as u32 } else { 8192 },
            rcv_name: self.echo.reply,
            time_out: 1_000_000_000,
            notify: self.world.port(random),
        };
        Call { servers: [Some(server), None], ..self.call(Place::Inside(0), arguments) }
    }

    /// A message to a server whose answer another server gets.
    fn relay(&mut self) -> Call {
        let second = self.random.below(echo::SERVERS as u64) as usize;
        let (first, send_size) = self.for_server(self.echo.ports[second]);
        let option = random_bit(&mut self.random, MACH_SEND_TIMEOUT) | MACH_SEND_MSG;
        let arguments = Arguments { option, send_size, ..NOTHING };
        Call { servers: [Some(first), Some(second)], ..self.call(Place::Inside(0), arguments) }
    }

    /// Writes a message for a server; returns which and its size.
    fn for_server(&mut self, reply: PortName) -> (usize, u32) {
        let random = &mut self.random;
        let server = random.below(echo::SERVERS as u64) as usize;
        let complex = if random.percent(40) { MACH_MSGH_BITS_COMPLEX } else { 0 };
        let bits = header::bits(
            random.pick(&[COPY_SEND, COPY_SEND, COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE], COPY_SEND),
            MAKE_SEND_ONCE,
        ) | complex;
        let size = if complex == 0 {
            LP64.end as u32 + 8 * random.below(300) as u32
        } else {
            let port = Some(self.world.port(random)).filter(|port| Looks::default().is_receive(*port));
            message::sound_body(self.arena.as_mut_slice(), random, &self.supply, port)
        };
        message::header(self.arena.as_mut_slice(), bits, self.echo.ports[server], reply, random.word() as u32);
        (server, size)
    }

    /// Receives a reply of the kernel's that was left waiting, if there is one.
    fn late(&mut self) -> Call {
        let rcv_name = self.kernel.late(&mut self.random);
        let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT | random_bit(&mut self.random, MACH_RCV_INTERRUPT);
        let arguments = Arguments { option, rcv_size: message::receive_size(&mut self.random), rcv_name, ..NOTHING };
        self.call(Place::Inside(0), arguments)
    }

    /// A call of the kernel.
    fn kernel_call(&mut self) -> Result<Call> {
        let (random, arena) = (&mut self.random, &mut self.arena);
        let mut way = self.kernel.way(random, &self.world);
        let request = self.kernel.request(arena.as_mut_slice(), random, &mut self.supply, &self.world)?;
        let mut servers = [None; 2];
        let mut option = RPC;
        if way.ends && random.percent(20) {
            way = self.kernel.late_way();
            option |= random.word() as u32 & ALL_OPTIONS;
        } else if request.complex == 0 && random.percent(6) {
            // Not if it may be refused when its reply right is made: the server would be told of that.
            let server = random.below(echo::SERVERS as u64) as usize;
            way = Way { local: self.echo.ports[server], ..self.kernel.unheard_way() };
            servers[0] = Some(server);
        }
        let bits = header::bits(if random.percent(97) { COPY_SEND } else { MAKE_SEND }, way.kind) | request.complex;
        message::header(arena.as_mut_slice(), bits, request.remote, way.local, request.id);
        let place = if servers[0].is_some() { Place::Inside(0) } else { self.place(request.size as usize) };
        let random = &mut self.random;
        let mut arguments = Arguments {
            option,
            send_size: if random.percent(5) { message::lie_about(random, request.size) } else { request.size },
            rcv_size: message::receive_size(random),
            rcv_name: way.rcv_name,
            time_out: 0,
            notify: if random.percent(60) { self.world.name(random) } else { PortName::NULL },
        };
        let mut looks = Looks::default();
        if !way.ends && kernel::names_port(request.id) && !looks.is_receive(way.rcv_name) {
            // The name may be free then, perhaps because the reply right was moved, and name the new port.
            arguments.option |= MACH_RCV_TIMEOUT;
        }
        self.restrain(&mut looks, &mut arguments, bits, request.remote, way.local, &[]);
        Ok(Call { servers, ..self.call(place, arguments) })
    }

    /// A call with anything in it.
    fn wild(&mut self) -> Result<Call> {
        let bits = message::bits(&mut self.random);
        let (size, mut named) = self.body(bits & MACH_MSGH_BITS_COMPLEX != 0)?;
        let random = &mut self.random;
        let (mut remote, local) = (self.world.name(random), self.world.name(random));
        let mut id = random.word() as u32;
        if random.percent(4) {
            // The kernel itself: mach_port_type, whose answer depends on the body, and routines that are not there.
            remote = task_self();
            id = random.pick(&[3201, 3999, 2999, 1], 1);
        }
        let bits = if remote == task_self() { bits & !MACH_MSGH_BITS_REMOTE_MASK | COPY_SEND } else { bits };
        let mut rcv_name = if random.percent(80) { self.world.port(random) } else { self.world.name(random) };
        let local = if bits & MACH_MSGH_BITS_LOCAL_MASK == 0 && random.percent(90) { PortName::NULL } else { local };
        if random.percent(20) {
            rcv_name = local;
        }
        message::header(self.arena.as_mut_slice(), bits, remote, local, id);
        let place = self.place(size as usize);
        let random = &mut self.random;
        let mut arguments = Arguments {
            option: option(random),
            send_size: message::lie_about(random, size),
            rcv_size: message::receive_size(random),
            rcv_name,
            time_out: if random.percent(1) { 1 + random.below(5) as u32 } else { 0 },
            notify: if random.percent(60) { self.world.name(random) } else { PortName::NULL },
        };
        named.extend([remote, local]);
        self.restrain(&mut Looks::default(), &mut arguments, bits, remote, local, &named);
        Ok(self.call(place, arguments))
    }

    /// A body: the size of the message, and the names in it.
    fn body(&mut self, complex: bool) -> Result<(u32, Vec<PortName>)> {
        let (random, world) = (&mut self.random, &self.world);
        let mut named = Vec::new();
        if !complex && random.percent(50) {
            return Ok((32 + 8 * random.below(20) as u32, named));
        }
        let name = |random: &mut Random| {
            let name = world.name(random);
            named.push(name);
            name
        };
        let size = message::body(self.arena.as_mut_slice(), random, &mut self.supply, name)?;
        Ok((size, named))
    }

    /// Where the message is; moves it there.
    fn place(&mut self, size: usize) -> Place {
        let whole = self.arena.size();
        // Not at address 0: any fault of the kernel in the first page, copyin's included, is fatal to it.
        let offset = match self.random.below(40) {
            0 => return Place::Forbidden,
            1 => return Place::ReadOnly,
            2 => return Place::Kernel,
            3 => 4,
            // So that the message ends near the page that nobody can touch.
            5 | 6 => whole - (size + self.random.below(64) as usize).min(whole),
            _ => return Place::Inside(0),
        };
        self.arena.as_mut_slice().copy_within(..size, offset.min(whole - size));
        Place::Inside(offset.min(whole - 1))
    }

    fn call(&self, place: Place, arguments: Arguments) -> Call {
        Call { place, arguments, header: words(self.arena.as_slice()), servers: [None; 2] }
    }

    /// Takes out of a call what would wait for ever, and what docs/differences.md lists. `named` is every name in the message.
    fn restrain(
        &self,
        looks: &mut Looks,
        arguments: &mut Arguments,
        bits: u32,
        remote: PortName,
        local: PortName,
        named: &[PortName],
    ) {
        if arguments.send_size > 0x7fff_ffff {
            arguments.send_size = 24;
        }
        let rcv_name = arguments.rcv_name;
        let sends = arguments.option & MACH_SEND_MSG != 0;
        let to_kernel = self.kernel.is_kernel(remote);
        if sends && arguments.option & MACH_SEND_TIMEOUT == 0 && !to_kernel && !looks.has_room(remote, named) {
            arguments.option |= MACH_SEND_TIMEOUT;
        }
        let receives = arguments.option & MACH_RCV_MSG != 0;
        if receives && arguments.option & MACH_RCV_TIMEOUT == 0 && !self.kernel.answers(local, rcv_name) {
            let sent_there = sends && (remote == rcv_name || to_kernel && local == rcv_name);
            let comes_back = sent_there && looks.is_receive(rcv_name);
            if !comes_back && !looks.has_message(rcv_name) {
                arguments.option |= MACH_RCV_TIMEOUT;
            }
        }
        if arguments.option == RPC {
            // The stock kernel asserts that this is a receive right.
            if bits == header::bits(COPY_SEND, MAKE_SEND_ONCE) && local == rcv_name && !looks.is_receive(local) {
                arguments.option |= MACH_RCV_TIMEOUT;
            }
        }
    }
}

/// Whether the send half, if there was one, has not failed.
fn has_sent(result: u32) -> bool {
    result == 0 || KernReturn::from_mach_msg(result).is_of_receive()
}

/// The first words of a message.
fn words<const N: usize>(message: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(message.chunks_exact(4)) {
        *word = bytes.try_into().map_or(0, u32::from_le_bytes);
    }
    words
}

fn option(random: &mut Random) -> u32 {
    match random.below(20) {
        0..7 => RPC,
        7..10 => MACH_SEND_MSG | MACH_SEND_TIMEOUT,
        10 | 11 => MACH_RCV_MSG | MACH_RCV_TIMEOUT,
        12 => random.word() as u32,
        _ => random.word() as u32 & ALL_OPTIONS | random.pick(&[MACH_SEND_MSG, MACH_RCV_MSG, RPC], RPC),
    }
}

/// This bit, or none.
fn random_bit(random: &mut Random, bit: u32) -> u32 {
    if random.percent(50) { bit } else { 0 }
}

fn show((index, call, result, hashes, after, server): &Line) {
    let [before, buffer, last, state] = hashes.map(|hash| hash.0);
    let Arguments { option, send_size, rcv_size, rcv_name, time_out, notify } = call.arguments;
    println!(
        "{index} {:?} option {option:#x} send {send_size} receive {rcv_size} {} time {time_out} notify {} header {:x?} = \
         {result:#x} before {before:016x} buffer {buffer:016x} after {last:016x} state {state:016x} server {server:x?} \
         message {after:x?}",
        call.place, rcv_name.0, notify.0, call.header
    );
}
