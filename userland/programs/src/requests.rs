// SPDX-License-Identifier: GPL-2.0-or-later
//! Random requests of trace_control.defs: right, nearly right, and of no shape at all.

use mach::error::Result;
use mach::memory::{PAGE_SIZE, Pages};
use mach::port::PortName;
use mach_abi::descriptor::{DEALLOCATE, INLINE, LONGFORM};
use mach_abi::header::LP64;
use mach_abi::notify::{
    MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_NO_SENDERS, MACH_NOTIFY_PORT_DESTROYED, MACH_NOTIFY_SEND_ONCE,
};
use mach_abi::{Descriptor, type_name as tn};
use trace_port::control::owner::{part, wire};
use trace_port::control::{self, Action, Name, Rule, event, flag, stop, what};

use crate::random::Random;

/// The ids of the interface, those that have no routine yet included.
pub const IDS: core::ops::Range<u32> = 5100..5200;
/// Other ids: beside the interface's, of its replies and of notifications, and the ends of all numbers.
const OTHER_IDS: [u32; 12] = [
    IDS.start - 1,
    IDS.end,
    IDS.end + 1,
    0,
    1,
    MACH_NOTIFY_PORT_DESTROYED,
    MACH_NOTIFY_NO_SENDERS,
    MACH_NOTIFY_SEND_ONCE,
    MACH_NOTIFY_DEAD_NAME,
    i32::MAX as u32,
    1 << 31,
    u32::MAX,
];
/// Moves, copies and makes.
pub const DISPOSITIONS: [u32; 6] =
    [tn::MOVE_RECEIVE, tn::MOVE_SEND, tn::MOVE_SEND_ONCE, tn::COPY_SEND, tn::MAKE_SEND, tn::MAKE_SEND_ONCE];
/// Numbers that something may count on not to be.
const EDGES: [u32; 10] = [0, 1, 2, 16, 17, 0x1000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, u32::MAX];
/// Bytes of the longest request.
pub const LONGEST: usize = 2048;
/// Items of a body that has nothing to do with any request, at most.
const ITEMS: u64 = 6;

/// What a request takes.
#[derive(Clone, Copy)]
enum Argument {
    Right,
    Name,
    /// One integer, mostly of these bits.
    Bits(u32),
    /// One integer, mostly below this.
    Below(u32),
    /// The number of a thread, or 0 for all.
    Thread,
    /// The number of a stop.
    Stop,
    Rules,
    Actions,
}
use Argument::{Actions, Below, Bits, Right, Rules, Stop, Thread};

const EVENTS: Argument = Bits(event::ALL);
const POLICY: Argument = Below(control::policy::LAST + 1);
const PARTS: Argument = Bits(part::ALL);

/// Every routine, and what it takes.
const ROUTINES: &[(u32, &[Argument])] = &[
    (control::VERSION_ID, &[]),
    (control::ATTACH_ID, &[Right, Argument::Name, Bits(flag::ALL), EVENTS, POLICY]),
    (control::ENGINES_ID, &[]),
    (control::ENGINE_ID, &[]),
    (control::SET_EVENTS_ID, &[EVENTS, POLICY]),
    (control::SET_FILTER_ID, &[Below(4096), Rules]),
    (control::DETACH_ID, &[Right]),
    (control::BARRIER_ID, &[]),
    (control::SET_ACTIONS_ID, &[Actions]),
    (control::ANSWER_ID, &[Thread, Below(what::LAST + 1), Below(100)]),
    (stop::REPORT_ID, &[Thread]),
    (stop::PREPARE_ID, &[Thread]),
    (stop::FINISH_ID, &[Thread, Stop]),
    (stop::STOP_ID, &[Thread]),
    (stop::RESUME_ID, &[Thread]),
    (stop::INTERRUPT_ID, &[Thread]),
    (wire::STATE_ID, &[]),
    (wire::TOOL_ID, &[Argument::Name]),
    (wire::POLICY_ID, &[Below(wire::policy::LAST + 1)]),
    (wire::SET_ID, &[Right]),
    (wire::CLAIM_ID, &[PARTS]),
    (wire::RESET_ID, &[PARTS]),
    (wire::BACKGROUND_ID, &[Right]),
    (wire::ENGINE_ID, &[Right, Bits(flag::CREATE | flag::CHILDREN), EVENTS, POLICY]),
    (wire::JOIN_ID, &[Right]),
];

/// The ids of the requests that have a routine.
pub fn routine_ids() -> impl Iterator<Item = u32> {
    ROUTINES.iter().map(|routine| routine.0)
}

/// A request whose body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// `msgh_id`.
    pub id: u32,
    /// Bytes of the whole message, or of as much of it as is to be sent.
    pub size: u32,
    /// Whether it says that it has rights or memory.
    pub is_complex: bool,
}

/// What requests are made of besides rights.
pub struct Memory {
    /// A page that they send out of line: names of rights, or bytes.
    page: Pages,
    /// The number of a thread that there is; 0 if none is known.
    pub thread: u32,
    /// The number of a stop that there has been; 0 if none is known.
    pub stop: u32,
}

impl Memory {
    /// A page full of names that are none.
    ///
    /// # Errors
    /// What `vm_allocate` returns.
    pub fn new() -> Result<Self> {
        Ok(Self { page: Pages::allocate(PAGE_SIZE)?, thread: 0, stop: 0 })
    }
}

/// A body as it is written.
struct Body<'a> {
    to: &'a mut [u8],
    used: usize,
    /// Where the descriptors are.
    items: [usize; ITEMS as usize],
    count: usize,
    is_complex: bool,
}

impl Body<'_> {
    /// Eight bytes, if there is room.
    fn word(&mut self, word: u64) {
        if self.used + 8 <= LONGEST
            && let Some(place) = self.to.get_mut(self.used..self.used + 8)
        {
            place.copy_from_slice(&word.to_le_bytes());
            self.used += 8;
        }
    }

    fn item(&mut self, descriptor: u64) {
        if let Some(place) = self.items.get_mut(self.count) {
            *place = self.used;
            self.count += 1;
        }
        self.word(descriptor);
    }

    fn integer(&mut self, value: u32) {
        self.item(control::INTEGER);
        self.word(value.into());
    }

    fn right(&mut self, (disposition, name): (u32, PortName)) {
        self.is_complex = true;
        self.item(Descriptor::inline(disposition, 64, 1).to_word());
        self.word(name.0.into());
    }

    /// An array of structs of integers.
    fn array<const N: usize>(&mut self, descriptor: u64, elements: impl Iterator<Item = [u32; N]>) {
        self.item(descriptor);
        let mut half = None;
        for number in elements.flatten() {
            match half.take() {
                None => half = Some(number),
                Some(first) => self.word(u64::from(first) | u64::from(number) << 32),
            }
        }
    }

    /// Replaces a descriptor.
    fn change(&mut self, random: &mut Random, change: impl FnOnce(&mut Random, u64) -> u64) {
        let Some(&at) = self.items.get(random.below(self.count as u64) as usize).filter(|_| self.count > 0) else {
            return;
        };
        if let Some(place) = self.to.get_mut(at..at + 8) {
            let word = place.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            place.copy_from_slice(&change(random, word).to_le_bytes());
        }
    }
}

/// Writes the body of a random request behind the header, whose place is the first 32 bytes of `to`. `right` draws a disposition and
/// a name. Memory of the caller's that is not in `memory` stays mapped, whatever the request is.
pub fn write(
    to: &mut [u8],
    random: &mut Random,
    memory: &mut Memory,
    mut right: impl FnMut(&mut Random) -> (u32, PortName),
) -> Request {
    let (mut id, arguments) = random.pick(ROUTINES, (control::VERSION_ID, &[]));
    let mut body = Body { to, used: LP64.end, items: [0; ITEMS as usize], count: 0, is_complex: false };
    if random.percent(5) {
        anything(&mut body, random, &mut right);
    } else {
        arguments.iter().for_each(|argument| argument.write(&mut body, random, memory, &mut right));
    }
    match random.below(100) {
        0..10 => id = IDS.start + random.below(u64::from(IDS.end - IDS.start)) as u32,
        10 => id = random.pick(&OTHER_IDS, 0),
        _ => {}
    }
    let mut size = body.used;
    if random.percent(50) {
        size = damage(&mut body, random, memory, &mut right);
    }
    keep_from_page_zero(body.to);
    Request { id, size: size as u32, is_complex: body.is_complex }
}

/// Names out of line in the first page stop a stock kernel, whoever sends them: its copyin faults there, and a fault of its own in page zero
/// is the end (kernel_trap of i386/i386/trap.c). Whatever may be such a descriptor, whether it is read as one or not, leads elsewhere.
fn keep_from_page_zero(bytes: &mut [u8]) {
    let names = tn::MOVE_RECEIVE..=tn::MAKE_SEND_ONCE;
    let mut may_be_address = 0;
    for place in bytes.chunks_exact_mut(8) {
        let word = place.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if may_be_address > 0 && word < PAGE_SIZE {
            place.copy_from_slice(&PAGE_SIZE.to_le_bytes());
        }
        let is_long = word & u64::from(LONGFORM) != 0;
        let is_away = word & u64::from(INLINE) == 0 && (is_long || names.contains(&(word as u32 & 0xff)));
        // Of a long one the number comes before the address.
        may_be_address = if is_away { 1 + u32::from(is_long) } else { u32::saturating_sub(may_be_address, 1) };
    }
}

impl Argument {
    fn write(
        self,
        body: &mut Body<'_>,
        random: &mut Random,
        memory: &Memory,
        right: &mut impl FnMut(&mut Random) -> (u32, PortName),
    ) {
        match self {
            Right => body.right(right(random)),
            Self::Name => {
                body.item(control::NAME);
                // Few names, so that some are found again.
                let letter = u64::from(b'a') + random.below(4);
                body.word(letter);
                (1..size_of::<Name>() / 8).for_each(|_| body.word(0));
            }
            Bits(all) => {
                let value = random.word() as u32;
                body.integer(if random.percent(95) { value & all } else { value });
            }
            Below(bound) => {
                let edge = random.pick(&EDGES, 0);
                body.integer(if random.percent(95) { random.below(bound.into()) as u32 } else { edge });
            }
            Thread => body.integer(known(random, memory.thread)),
            Stop => body.integer(known(random, memory.stop)),
            Rules => {
                let count = random.below(control::MAX_RULES as u64 + 1) as usize;
                let rule = |random: &mut Random| {
                    let first = random.below(7500) as u32;
                    [random.below(8) as u32, first, first + random.below(3000) as u32, random.below(4) as u32]
                };
                body.array(control::array_of::<Rule>(count), (0..count).map(|_| rule(random)));
            }
            Actions => {
                let count = random.below(control::MAX_ACTIONS as u64 + 1) as usize;
                let action = |random: &mut Random| {
                    let what = random.below(u64::from(what::LAST) + 1) as u32;
                    let value = 1 + random.below(20) as u32;
                    [0, u32::MAX, what, value, 1 + random.below(8) as u32, random.below(8) as u32]
                };
                body.array(control::array_of::<Action>(count), (0..count).map(|_| action(random)));
            }
        }
    }
}

/// Mostly a number that is known, or a small one.
fn known(random: &mut Random, number: u32) -> u32 {
    match random.below(10) {
        0..7 => number,
        7 => random.pick(&EDGES, 0),
        8 => 0,
        _ => random.below(64) as u32,
    }
}

/// A body of anything.
fn anything(body: &mut Body<'_>, random: &mut Random, right: &mut impl FnMut(&mut Random) -> (u32, PortName)) {
    for _ in 0..random.below(ITEMS) {
        match random.below(4) {
            0 => body.right(right(random)),
            1 => body.integer(random.word() as u32),
            2 => {
                let number = random.below(40) as u32;
                body.item(Descriptor::inline(tn::BYTE, 8, number).to_word());
                (0..number.div_ceil(8)).for_each(|_| body.word(random.word()));
            }
            // Not where it might be memory that goes away.
            _ => body.word(random.word() & !u64::from(DEALLOCATE)),
        }
    }
    body.is_complex |= random.percent(10);
}

/// Makes one thing wrong, or leaves it right by chance. Returns the size.
fn damage(
    body: &mut Body<'_>,
    random: &mut Random,
    memory: &mut Memory,
    right: &mut impl FnMut(&mut Random) -> (u32, PortName),
) -> usize {
    let whole = body.used;
    match random.below(10) {
        0 => body.change(random, |random, word| word ^ 1 << random.below(64)),
        1 => body.change(random, |random, word| word & !0xff | u64::from(random.pick(&DISPOSITIONS, 0))),
        2 => body.change(random, |random, word| word & !0xff | random.below(32)),
        3 => body.change(random, |random, word| word & 0xffff_ffff | u64::from(random.pick(&EDGES, 0)) << 32),
        4 => body.change(random, |random, word| word & !0x00ff_ff00 | u64::from(random.pick(&EDGES, 0) & 0xffff) << 8),
        5 => body.change(random, |_, word| word ^ u64::from(LONGFORM)),
        6 => out_of_line(body, random, memory, right),
        7 => body.is_complex ^= true,
        8 => {
            let more = 8 * random.below(20);
            (0..more / 8).for_each(|_| body.word(random.word() & !u64::from(DEALLOCATE)));
            return body.used;
        }
        _ if random.percent(50) => return random.below(whole as u64 + 1) as usize,
        _ => return (whole + random.below(17) as usize).saturating_sub(8).min(LONGEST),
    }
    body.used
}

/// Puts an item out of line: into the memory for it, or nowhere.
fn out_of_line(
    body: &mut Body<'_>,
    random: &mut Random,
    memory: &mut Memory,
    right: &mut impl FnMut(&mut Random) -> (u32, PortName),
) {
    let Some(&at) = body.items.get(random.below(body.count as u64) as usize).filter(|_| body.count > 0) else { return };
    let number = random.below(9) as u32;
    for place in memory.page.as_mut_slice().chunks_mut(4).take(number as usize) {
        place.copy_from_slice(&right(random).1.0.to_le_bytes());
    }
    let (kind, bits) = if random.percent(60) { (right(random).0, 32) } else { (tn::BYTE, 8) };
    // The kernel says on its console, which takes long, that it has not so much memory.
    let number = if random.percent(99) { number } else { random.pick(&EDGES, 0) };
    let descriptor = Descriptor::inline(kind, bits, number).to_word() & !u64::from(INLINE);
    let nowhere = random.pick(&[0x1000, 0x7000_0000_0000, 0xffff_ffff_8100_0000, u64::MAX], 0);
    let address = if random.percent(80) { memory.page.address() } else { nowhere };
    for (place, word) in [(at, descriptor), (at + 8, address)] {
        if let Some(place) = body.to.get_mut(place..place + 8) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
    body.is_complex = true;
}
