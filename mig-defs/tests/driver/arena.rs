// SPDX-License-Identifier: GPL-2.0-or-later
//! The Rust driver's side of tests/reference/driver.rs: takes the same cases as the C driver, gives the stubs the values in
//! them, and writes the same blocks. Compiled by tests/reference/rust.rs with the stubs it is for.

use std::cell::RefCell;
use std::io::{Read, Write};

use mach_abi::type_name as tn;

use crate::error::{KernReturn, Result};
use crate::mig::{AnyRight, Data, Item, OutOfLinePorts, Received};
use crate::port::{Disposition, PortName, ReceiveRight, SendOnceRight, SendRight};
use crate::stand_in::memory::{self, OutOfLine};
use crate::stand_in::{kernel_says, released};

/// As in tests/reference/driver.rs.
const ARENA: u64 = 0x1000_0000;
const SLOTS: usize = 40;
const DELIVERED: usize = SLOTS - 1;

#[derive(Default)]
struct Case {
    image: Vec<u8>,
    /// What `mach_msg` or the server's procedure answers.
    answer: i32,
    /// Whether what is delivered is not what the .defs say: then it need not be values either.
    hostile: bool,
    output: Vec<u8>,
}

thread_local! {
    static CASE: RefCell<Case> = RefCell::default();
}

fn case<T>(with: impl FnOnce(&mut Case) -> T) -> T {
    CASE.with_borrow_mut(with)
}

fn table(entry: usize) -> usize {
    case(|case| u32::from_le_bytes(case.image[entry * 4..][..4].try_into().expect("four bytes"))) as usize
}

/// Bytes of the image, zeros after its end.
fn image(offset: usize, size: usize) -> Vec<u8> {
    case(|case| (offset..offset + size).map(|at| case.image.get(at).copied().unwrap_or(0)).collect())
}

fn write(offset: usize, bytes: &[u8]) {
    case(|case| case.image[offset..offset + bytes.len()].copy_from_slice(bytes));
}

fn put(block: &[u8]) {
    case(|case| {
        case.output.extend((block.len() as u32).to_le_bytes());
        case.output.extend(block);
    });
}

/// Takes cases from the standard input until it ends; `run` gets the routine's number.
pub(crate) fn cases(mut run: impl FnMut(u32)) {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("cases");
    let mut rest = &input[..];
    while let Some((head, after)) = rest.split_first_chunk::<16>() {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (image, after) = after.split_at(word(4) as usize);
        rest = after;
        case(|case| (case.image, case.answer, case.hostile) = (image.to_vec(), word(8) as i32, word(12) != 0));
        memory::clear();
        deliver();
        run(word(0));
        released();
        case(|case| case.output.extend([0xff; 4]));
    }
    std::io::stdout().write_all(&case(|case| std::mem::take(&mut case.output))).expect("standard output");
}

/// The message to deliver.
fn delivered() -> Vec<u64> {
    let bytes = image(table(DELIVERED), table(SLOTS + DELIVERED));
    bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("whole words"))).collect()
}

/// The places of a message's descriptors.
fn items(words: &[u64]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 4;
    while let Some(descriptor) = words.get(at) {
        found.push(at);
        let bits = (descriptor >> 8 & 0xffff) * (descriptor >> 32);
        at += 1 + if descriptor & 1 << 29 == 0 { 1 } else { bits.div_ceil(64) as usize };
    }
    found
}

/// The address and contents of an item that is out of line.
fn far(words: &[u64], at: usize) -> Option<(u64, Vec<u8>)> {
    let (descriptor, address) = (*words.get(at)?, *words.get(at + 1)?);
    let size = ((descriptor >> 8 & 0xffff) * (descriptor >> 32)).div_ceil(8);
    let place = address.checked_sub(ARENA)? as usize;
    (descriptor & 1 << 29 == 0 && size < 1 << 20 && place < 1 << 20).then(|| (address, image(place, size as usize)))
}

/// Makes what is out of line in the delivered message readable, and answers requests with it.
fn deliver() {
    let words = delivered();
    for (address, bytes) in items(&words).into_iter().filter_map(|at| far(&words, at)) {
        memory::place(address, &bytes);
    }
    kernel_says(|request, call| {
        put(&bytes(&canonical(request)));
        put(&call.map(u32::to_le_bytes).concat());
        match case(|case| case.answer) {
            0 => Ok(delivered()),
            code => Err(code as u32),
        }
    });
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A message with the addresses that C's stubs send: those in the image.
fn canonical(message: &[u64]) -> Vec<u64> {
    let mut words = message.to_vec();
    for at in items(message) {
        let descriptor = message[at];
        let size = ((descriptor >> 8 & 0xffff) * (descriptor >> 32)).div_ceil(8);
        if descriptor & 1 << 29 == 0 && size > 0 {
            let contents = memory::at(message[at + 1], size);
            let all = case(|case| case.image.clone());
            let offsets = (0..SLOTS).map(table).chain((0..all.len()).step_by(16));
            let place = offsets.into_iter().find(|offset| all.get(*offset..*offset + contents.len()) == Some(&contents));
            words[at + 1] = place.map_or(0, |place| ARENA + place as u64);
        }
    }
    words
}

/// The value of a parameter.
pub(crate) fn value<T: Item>(slot: usize) -> T {
    T::read(&image(table(slot), T::SIZE))
}

/// Elements of an array.
pub(crate) fn list<T: Item>(slot: usize, count: u32) -> Vec<T> {
    list_at(table(slot), count)
}

/// Elements of an array that C passes a pointer to.
pub(crate) fn far_list<T: Item>(slot: usize, count: u32) -> Vec<T> {
    list_at(pointed_to(slot), count)
}

fn pointed_to(slot: usize) -> usize {
    (value::<u64>(slot) - ARENA) as usize
}

fn list_at<T: Item>(offset: usize, count: u32) -> Vec<T> {
    let bytes = image(offset, count as usize * T::SIZE);
    let list: Vec<T> = bytes.chunks(T::SIZE).map(T::read).collect();
    memory::place(list.as_ptr() as u64, &bytes);
    list
}

/// Memory that is given away, at a parameter or at what that points to.
pub(crate) fn memory<T: Item>(slot: usize, count: u32, pointer: bool) -> OutOfLine {
    let offset = if pointer { pointed_to(slot) } else { table(slot) };
    OutOfLine::copy_of(&image(offset, count as usize * T::SIZE)).expect("a copy")
}

/// An array that is given away if another parameter says so.
pub(crate) fn data<T: Item>(slot: usize, count: u32, pointer: bool, dealloc: usize) -> Data<'static, T> {
    match value::<u32>(dealloc) {
        0 => Data::Lent(list_at(if pointer { pointed_to(slot) } else { table(slot) }, count).leak()),
        _ => Data::Given(memory::<T>(slot, count, pointer)),
    }
}

/// Room for an array that comes back.
pub(crate) fn room<T: Item>(count: u32) -> Vec<T> {
    vec![T::read(&vec![0; T::SIZE]); count as usize]
}

/// A C string.
pub(crate) fn text(slot: usize) -> Vec<u8> {
    image(table(slot), 1 << 12).into_iter().take_while(|byte| *byte != 0).collect()
}

/// A right of whatever kind the stub wants.
pub(crate) trait Right {
    /// Takes it on.
    fn named(name: PortName) -> Self;
}

impl Right for PortName {
    fn named(name: PortName) -> Self {
        name
    }
}
impl Right for SendRight {
    fn named(name: PortName) -> Self {
        Self::from_name(name)
    }
}
impl Right for SendOnceRight {
    fn named(name: PortName) -> Self {
        Self::from_name(name)
    }
}
impl Right for ReceiveRight {
    fn named(name: PortName) -> Self {
        Self::from_name(name)
    }
}

/// A right.
pub(crate) fn right<R: Right>(slot: usize) -> R {
    R::named(value(slot))
}

/// An array of rights.
pub(crate) fn rights<R: Right>(slot: usize, count: u32) -> Vec<R> {
    list(slot, count).into_iter().map(R::named).collect()
}

/// An array of rights that C passes a pointer to.
pub(crate) fn far_rights<R: Right>(slot: usize, count: u32) -> Vec<R> {
    far_list(slot, count).into_iter().map(R::named).collect()
}

/// What is to happen to a polymorphic right.
pub(crate) fn disposition(slot: usize) -> Disposition {
    match value::<u32>(slot) {
        tn::MOVE_RECEIVE => Disposition::MoveReceive,
        tn::MOVE_SEND => Disposition::MoveSend,
        tn::MOVE_SEND_ONCE => Disposition::MoveSendOnce,
        tn::COPY_SEND => Disposition::CopySend,
        tn::MAKE_SEND => Disposition::MakeSend,
        _ => Disposition::MakeSendOnce,
    }
}

/// Runs a user stub.
pub(crate) fn user(stub: impl FnOnce() -> Result<()>) {
    let code = stub().map_or_else(|error| error.0, |()| 0);
    put(&code.to_le_bytes());
    put(&case(|case| case.image.clone()));
}

/// Runs a server.
pub(crate) fn server(demux: impl FnOnce(&[u64], &mut [u64]) -> bool) {
    let mut reply = vec![0; 1 << 15];
    let served = demux(&delivered(), &mut reply);
    put(&i32::from(served).to_le_bytes());
    reply.truncate((reply[0] >> 32) as usize / 8);
    put(&bytes(&canonical(&reply)));
}

/// What a server's procedure answers.
pub(crate) fn outcome() -> Result<()> {
    KernReturn(case(|case| case.answer)).into_result()
}

/// What the header's rights are; the stubs do not say.
pub(crate) fn log_disposition(reply: bool) {
    put(&u32::from((delivered()[0] >> if reply { 0 } else { 8 }) as u8).to_le_bytes());
}

/// What stands in the header.
pub(crate) fn log_header<T: Item>(value: T) {
    let mut bytes = vec![0; T::SIZE];
    value.write(&mut bytes);
    put(&bytes);
}

/// A parameter that only goes back.
pub(crate) fn log_nothing() {
    put(&[]);
}

/// What a stub took out of an item, as C's parameters have it.
pub(crate) struct Seen {
    bytes: Vec<u8>,
    address: Option<u64>,
    count: u32,
    kind: u32,
}

impl Seen {
    /// Item number `item` of the delivered message, of which the stub made `bytes`.
    fn new(item: usize, bytes: Vec<u8>, count: usize) -> Self {
        let words = delivered();
        let at = items(&words).get(item).copied().unwrap_or(words.len());
        let address = far(&words, at).map(|(address, contents)| {
            let stands = memory::at(address, contents.len() as u64);
            assert!(bytes == stands || case(|case| case.hostile), "item {item}: {stands:02x?}, taken as {bytes:02x?}");
            address
        });
        // A null right has no kind in Rust.
        let kind = words.get(at).map_or(0, |word| u32::from(*word as u8));
        Self { bytes, address, count: count as u32, kind }
    }

    /// A value of fixed size.
    pub(crate) fn value<T: Item>(item: usize, value: T) -> Self {
        let mut bytes = vec![0; T::SIZE];
        value.write(&mut bytes);
        Self::new(item, bytes, 1)
    }

    /// A C string.
    pub(crate) fn text(item: usize, text: &[u8]) -> Self {
        let mut bytes: Vec<u8> = text.iter().copied().take_while(|byte| *byte != 0).collect();
        bytes.push(0);
        let count = bytes.len();
        Self::new(item, bytes, count)
    }

    /// Elements.
    pub(crate) fn list<T: Item>(item: usize, values: impl IntoIterator<Item = T>) -> Self {
        let (mut bytes, mut count) = (Vec::new(), 0);
        for value in values {
            let start = bytes.len();
            bytes.resize(start + T::SIZE, 0);
            value.write(&mut bytes[start..]);
            count += 1;
        }
        Self::new(item, bytes, count)
    }

    /// Elements that may be out of line.
    pub(crate) fn received<T: Item>(item: usize, values: &Received<'_, T>) -> Self {
        let seen = Self::list(item, values.iter());
        assert_eq!(seen.address.is_none(), !matches!(values, Received::OutOfLine(_)), "item {item}");
        seen
    }

    /// Memory out of line, of elements of `size` bytes.
    pub(crate) fn memory(item: usize, memory: &OutOfLine, size: usize) -> Self {
        Self::new(item, memory.as_slice().to_vec(), memory.as_slice().len() / size)
    }

    /// Rights: single, in arrays, out of line.
    pub(crate) fn rights(item: usize, rights: impl IntoIterator<Item = AnyRight>) -> Self {
        let rights: Vec<AnyRight> = rights.into_iter().collect();
        let seen = Self::list(item, rights.iter().map(AnyRight::name));
        for right in &rights {
            let kind = match right {
                AnyRight::None(_) => seen.kind,
                AnyRight::Receive(_) => 16,
                AnyRight::Send(_) => 17,
                AnyRight::SendOnce(_) => 18,
            };
            assert_eq!(kind, seen.kind, "item {item}");
        }
        seen
    }

    /// Logs C's parameter for the value: as it is, or the memory at a pointer.
    pub(crate) fn log(&self, slot: usize, by_value: bool) {
        match (self.address, by_value) {
            (Some(address), _) if by_value || table(2 * SLOTS + slot) == u32::MAX as usize => put(&address.to_le_bytes()),
            (_, true) => put(&self.bytes),
            (_, false) => {
                let mut bytes = self.bytes.clone();
                bytes.resize(table(2 * SLOTS + slot), 0);
                put(&bytes);
            }
        }
    }

    /// Logs C's parameter for how many there are, which kind, or whether it came inline.
    pub(crate) fn log_part(&self, part: &str, slot: usize, by_value: bool) {
        let bytes = self.part(part).to_le_bytes();
        put(if by_value { &bytes } else { &bytes[..table(2 * SLOTS + slot).min(4)] });
    }

    fn part(&self, part: &str) -> u32 {
        match part {
            "Count" => self.count,
            "Poly" => self.kind,
            _ => u32::from(self.address.is_none()),
        }
    }

    /// Stores it where C's stub does: at the parameter, or at what that points to.
    pub(crate) fn store(&self, slot: usize, pointer: bool) {
        match self.address {
            Some(address) => write(table(slot), &address.to_le_bytes()),
            None if pointer => write(pointed_to(slot), &self.bytes),
            None => write(table(slot), &self.bytes),
        }
    }

    /// Stores how many there are, or which kind.
    pub(crate) fn store_part(&self, part: &str, slot: usize) {
        write(table(slot), &self.part(part).to_le_bytes());
    }
}
