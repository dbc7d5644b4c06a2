// SPDX-License-Identifier: GPL-2.0-or-later
//! Values for every item of a message, as they stand in the message and as they stand in a C program's memory.

use mach_abi::{Descriptor, type_name as tn};
use mig_defs::layout::{Item, Message, Source};
use mig_defs::model::{Dealloc, Model, Role, Routine, Shape, Type, TypeId};
use mig_defs::value::View;
use proptest::collection::vec;
use proptest::prelude::*;

use super::driver::{ARENA, Part, SLOTS, TABLES};

/// What the value of an item is made of, whatever its type is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawn {
    /// Elements, or characters, as a part of the most there can be.
    pub(crate) amount: u32,
    /// The data, again and again; none are zeros.
    pub(crate) bytes: Vec<u8>,
    /// Which of the rights that a polymorphic one can be.
    pub(crate) kind: u8,
    /// Whether memory is given away, where that is to be said.
    pub(crate) given: bool,
    /// Whether an array that can be inline is out of line.
    pub(crate) outside: bool,
}

impl Drawn {
    fn bytes(&self, count: u32) -> Vec<u8> {
        let zeros = [0].iter().cycle();
        let bytes = self.bytes.iter().cycle().chain(zeros);
        bytes.take(count as usize).copied().collect()
    }

    fn up_to(&self, most: u32) -> u32 {
        ((u64::from(self.amount) * (u64::from(most) + 1)) >> 32) as u32
    }

    fn one_of(&self, names: &[u32]) -> u32 {
        names[usize::from(self.kind) % names.len()]
    }
}

/// What the values of all arguments of a call are made of.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) request: Vec<Drawn>,
    pub(crate) reply: Vec<Drawn>,
    /// Timeouts and options that are arguments are not zero.
    pub(crate) timed: bool,
}

/// How large the values of a case are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Zeros, empty arrays.
    Zero,
    /// As many elements as there can be inline.
    Most,
    /// Anything.
    Any,
}

/// Values for a routine whose messages have so many items.
pub(crate) fn values((request, reply): (usize, usize), extent: Extent) -> BoxedStrategy<Values> {
    let item = match extent {
        Extent::Zero => Just(Drawn::default()).boxed(),
        Extent::Most => item(Just(u32::MAX).boxed(), Just(false).boxed()),
        Extent::Any => {
            item(prop_oneof![Just(0), any::<u32>(), any::<u32>(), Just(u32::MAX)].boxed(), any::<bool>().boxed())
        }
    };
    let timed = if extent == Extent::Zero { Just(false).boxed() } else { any::<bool>().boxed() };
    let messages = (vec(item.clone(), request), vec(item, reply), timed);
    messages.prop_map(|(request, reply, timed)| Values { request, reply, timed }).boxed()
}

fn item(amount: BoxedStrategy<u32>, outside: BoxedStrategy<bool>) -> BoxedStrategy<Drawn> {
    let parts = (amount, vec(any::<u8>(), 0..=40), any::<u8>(), any::<bool>(), outside);
    parts.prop_map(|(amount, bytes, kind, given, outside)| Drawn { amount, bytes, kind, given, outside }).boxed()
}

/// The value of one item.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) source: Source,
    pub(crate) descriptor: Descriptor,
    /// In the message.
    pub(crate) data: Vec<u8>,
    /// In C.
    pub(crate) c: Vec<u8>,
    /// What is out of line.
    pub(crate) memory: Vec<u8>,
    /// Elements, if it is an array.
    pub(crate) count: u32,
    /// Bytes of `data` that mean something: the others are padding that C leaves as it is.
    pub(crate) significant: Vec<bool>,
}

impl Given {
    pub(crate) fn out_of_line(&self) -> bool {
        !self.descriptor.inline
    }
}

/// Elements that an inline array has room for.
pub(crate) fn most(ty: &Type) -> u32 {
    ty.number / ty.element_number.max(1)
}

/// Values for all items of a message.
pub(crate) fn give(model: &Model, routine: &Routine, message: &Message, view: View, drawn: &[Drawn]) -> Vec<Given> {
    let items = message.items.iter().zip(drawn);
    items.map(|(item, drawn)| value(model, routine, item, view, drawn)).collect()
}

fn value(model: &Model, routine: &Routine, item: &Item, view: View, drawn: &Drawn) -> Given {
    let mut descriptor = if view == View::Sent { item.sent } else { item.received };
    let whole = |data: Vec<u8>, descriptor, count| Given {
        source: item.source,
        descriptor,
        significant: vec![true; data.len()],
        c: data.clone(),
        data,
        memory: Vec::new(),
        count,
    };
    let index = match item.source {
        Source::RetCode => return whole(vec![0; 4], descriptor, 1),
        Source::Count(index) => {
            let room = most(model.ty(routine.arguments[index].ty));
            return whole(room.to_le_bytes().to_vec(), descriptor, 1);
        }
        Source::Argument(index) => index,
    };
    let argument = &routine.arguments[index];
    let ty = model.ty(argument.ty);
    if ty.is_port() && u32::from(descriptor.name) == tn::POLYMORPHIC & 0xff {
        let sent = [tn::COPY_SEND, tn::MOVE_SEND, tn::MAKE_SEND, tn::MAKE_SEND_ONCE, tn::MOVE_SEND_ONCE];
        descriptor.name =
            drawn.one_of(if view == View::Sent { &sent } else { &[tn::MOVE_SEND, tn::MOVE_SEND_ONCE] }) as u8;
    }
    let given = argument.dealloc == Dealloc::Maybe && drawn.given;
    if !ty.indefinite {
        descriptor.deallocate |= given;
    }
    let outside = ty.indefinite && drawn.outside;
    if outside {
        descriptor.inline = false;
        descriptor.deallocate = given || argument.dealloc == Dealloc::Yes;
    }
    if !descriptor.inline {
        let elements = if outside { most(ty) + 1 + drawn.up_to(300) } else { drawn.up_to(600) };
        let number = elements * if ty.is_port() { 1 } else { ty.element_number };
        if ty.number == 0 || ty.var_array || ty.indefinite {
            descriptor.number = number;
        }
        if outside && ty.is_port() {
            descriptor.size = 32;
        }
        let mut memory = drawn.bytes(descriptor.data_size() as u32);
        if !ty.is_port() {
            truths(model, ty, &mut memory);
        }
        let given = whole(vec![0; 8], descriptor, descriptor.number / ty.element_number.max(1));
        return Given { memory, ..given };
    }
    let mut count = most(ty);
    if ty.var_array {
        // What comes back must fit into what was there.
        count = if argument.role == Role::InOut { count } else { drawn.up_to(count) };
        count = count.max(u32::from(ty.string));
        descriptor.number = count * ty.element_number;
    }
    let data = drawn.bytes(descriptor.data_size() as u32);
    plain(model, ty, whole(data, descriptor, count), drawn)
}

/// Makes any bytes a value of the type.
fn plain(model: &Model, ty: &Type, mut given: Given, drawn: &Drawn) -> Given {
    let root = ty;
    if root.string {
        let end = if root.var_array { given.data.len() - 1 } else { drawn.up_to(given.data.len() as u32 - 1) as usize };
        for (at, byte) in given.data.iter_mut().enumerate() {
            *byte = if at >= end { 0 } else { *byte | 1 };
        }
        // C's text ends where its NUL is, and so does what a varying string says to be long.
        let length = given.data.iter().position(|byte| *byte == 0).expect("a NUL") + 1;
        if root.var_array {
            given.data.truncate(length);
            given.descriptor.number = length as u32;
        }
        given.significant = (0..given.data.len()).map(|at| at < length).collect();
        given.c.clone_from(&given.data);
    } else if root.is_port() {
        given.data.chunks_mut(8).for_each(|right| right[4..].fill(0));
        given.c = given.data.chunks(8).flat_map(|right| right[..4].to_vec()).collect();
        given.significant = (0..given.data.len()).map(|at| at % 8 < 4).collect();
    } else {
        truths(model, ty, &mut given.data);
        given.c.clone_from(&given.data);
    }
    given
}

/// Leaves only what is a value in both languages: of truth values the lowest bit, of structs the members.
fn truths(model: &Model, ty: &Type, bytes: &mut [u8]) {
    let element = |id: &TypeId| model.ty(model.unaliased(*id));
    match &ty.shape {
        Shape::Alias(of) => truths(model, element(of), bytes),
        Shape::OutOfLine(of) if matches!(element(of).shape, Shape::VarArray(..)) => truths(model, element(of), bytes),
        Shape::Array(of, _) | Shape::VarArray(of, _) | Shape::OutOfLine(of) => {
            let size = element(of).bytes.max(1) as usize;
            bytes.chunks_exact_mut(size).for_each(|part| truths(model, element(of), part));
        }
        Shape::Struct(members) => {
            // Padding is nothing to Rust.
            let member_of = |at: &usize| {
                members.iter().any(|one| {
                    (one.offset as usize..one.offset as usize + element(&one.ty).bytes as usize).contains(at)
                })
            };
            (0..bytes.len()).filter(|at| !member_of(at)).for_each(|at| bytes[at] = 0);
            for member in members {
                let (ty, start) = (element(&member.ty), member.offset as usize);
                truths(model, ty, &mut bytes[start..start + ty.bytes as usize]);
            }
        }
        Shape::Basic if ty.in_name == tn::BOOLEAN && ty.size == 32 => {
            bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = if at == 0 { *byte & 1 } else { 0 });
        }
        Shape::Basic | Shape::CString => {}
    }
}

/// The values of a case as the driver wants them.
pub(crate) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; TABLES] }
    }

    /// Puts a parameter's value into the arena; returns its offset.
    pub(crate) fn place(&mut self, slot: usize, bytes: &[u8]) -> usize {
        assert!(slot < SLOTS);
        let offset = self.bytes.len().next_multiple_of(16);
        self.bytes.resize(offset, 0);
        self.bytes.extend(bytes);
        self.table(slot, offset as u32);
        self.table(SLOTS + slot, bytes.len() as u32);
        offset
    }

    /// How many bytes to answer; `u32::MAX` for other memory.
    pub(crate) fn answer(&mut self, slot: usize, size: u32) {
        self.table(SLOTS + slot, size);
    }

    /// How many bytes to log; `u32::MAX` for the pointer itself.
    pub(crate) fn log(&mut self, slot: usize, size: u32) {
        self.table(2 * SLOTS + slot, size);
    }

    /// Puts what an item has out of line into the arena, and its address into the item.
    pub(crate) fn place_memory(&mut self, given: &mut Given) {
        if given.out_of_line() {
            let offset = self.bytes.len().next_multiple_of(16);
            self.bytes.resize(offset, 0);
            self.bytes.extend(&given.memory);
            // Two items are never at the same place, even if the first is empty.
            self.bytes.push(0);
            given.data = address(offset).to_vec();
            given.c.clone_from(&given.data);
        }
    }

    fn table(&mut self, entry: usize, value: u32) {
        self.bytes[entry * 4..entry * 4 + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn patch(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The address of an offset in the arena.
pub(crate) fn address(offset: usize) -> [u8; 8] {
    (ARENA + offset as u64).to_le_bytes()
}

/// What C sees of an item in one of the parameters that belong to it.
pub(crate) fn seen(given: &Given, part: Part) -> Vec<u8> {
    match part {
        Part::Value => given.c.clone(),
        Part::Count => given.count.to_le_bytes().to_vec(),
        Part::Poly => u32::from(given.descriptor.name).to_le_bytes().to_vec(),
        Part::Dealloc => u32::from(given.descriptor.deallocate).to_le_bytes().to_vec(),
        Part::ServerCopy => u32::from(given.descriptor.inline).to_le_bytes().to_vec(),
    }
}
