// SPDX-License-Identifier: GPL-2.0-or-later
//! A received message being taken apart: a user's reply or a server's request.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::RangeInclusive;

use mach_abi::header::word;
use mach_abi::type_name;

use super::rights::{AnyRight, OutOfLinePorts, Owned};
use super::types::{INTEGER_32, POLYMORPHIC, Type};
use super::{COMPLEX, Complexity, Item, WORD};
use crate::error::{KernReturn, Result};
use crate::memory::OutOfLine;
use crate::port::PortName;
use crate::sys::memory::bytes_of;

/// A received message. Dropped before its end, it gives back the rights and memory that were not taken.
#[derive(Debug)]
pub struct Incoming<'a> {
    words: &'a [u64],
    /// The next item's first word.
    at: usize,
    /// Bytes beyond the least that such a message has, which items of varying size can still take up.
    free: usize,
    /// What to answer if the message is not what it should be.
    wrong: KernReturn,
}

impl<'a> Incoming<'a> {
    /// The message in `words`; words after its end are left alone.
    pub(crate) fn new(words: &'a [u64], wrong: KernReturn) -> Self {
        let size = words.first().map_or(0, |word| (word >> 32) as usize);
        // A size that is no multiple of 8 cannot come from the kernel.
        let end = (size / 8).min(words.len());
        Self { words: &words[..end], at: word::BODY, free: 0, wrong }
    }

    /// Checks size and complexity, as MIG's stubs do before they look at any item.
    pub(super) fn check(&mut self, sizes: &RangeInclusive<u32>, complexity: Complexity) -> Result<()> {
        let fits = match complexity {
            Complexity::Simple => !self.is_complex(),
            Complexity::Complex => self.is_complex(),
            Complexity::Varies => true,
        };
        let size = size_of_val(self.words) as u32;
        if !fits || !sizes.contains(&size) {
            return Err(self.wrong);
        }
        self.free = (size - sizes.start()) as usize;
        Ok(())
    }

    fn is_complex(&self) -> bool {
        self.words.first().is_some_and(|word| word & COMPLEX != 0)
    }

    /// Checks a reply and takes its return code off. A reply is what the .defs say, or an error alone.
    pub(super) fn reply(mut self, sizes: &RangeInclusive<u32>, complexity: Complexity) -> Result<Self> {
        let whole = self.check(sizes, complexity);
        let alone = self.words.len() == word::BODY + 2 && !self.is_complex();
        if whole.is_err() && !alone {
            return Err(self.wrong);
        }
        // What comes along with an error is given back when this is dropped.
        self.take::<KernReturn>(INTEGER_32)?.into_result()?;
        whole.map(|()| self)
    }

    fn word(&self, at: usize) -> Result<u64> {
        self.words.get(at).copied().ok_or(self.wrong)
    }

    /// The bytes of `size` bytes of data at word `at`.
    fn data(&self, at: usize, size: usize) -> Result<&'a [u8]> {
        let words = self.words.get(at..).and_then(|words| words.get(..size.div_ceil(8)));
        words.and_then(|words| bytes_of(words).get(..size)).ok_or(self.wrong)
    }

    /// The descriptor of the next item, if it is `expected` in all that does not vary.
    fn descriptor(&self, expected: Type) -> Result<Type> {
        let found = Type::found(self.word(self.at)?);
        if expected.accepts(found) { Ok(found) } else { Err(self.wrong) }
    }

    /// The inline data of the next item.
    fn inline(&mut self, found: Type) -> Result<&'a [u8]> {
        let bytes = self.data(self.at + 1, found.bytes())?;
        self.at += 1 + found.bytes().div_ceil(8);
        Ok(bytes)
    }

    /// The inline data of the next item, whose size varies: it has to leave room for the least of what follows.
    fn varying(&mut self, found: Type) -> Result<&'a [u8]> {
        self.take_up(found.bytes())?;
        self.inline(found)
    }

    fn take_up(&mut self, size: usize) -> Result<()> {
        self.free = self.free.checked_sub(size.next_multiple_of(8)).ok_or(self.wrong)?;
        Ok(())
    }

    fn next_is_inline(&self) -> Result<bool> {
        Ok(Type::found(self.word(self.at)?).is_inline())
    }

    /// The data of the next item, if it is just this.
    fn fixed(&mut self, ty: Type) -> Result<&'a [u8]> {
        if ty.is(Type::found(self.word(self.at)?)) { self.inline(ty) } else { Err(self.wrong) }
    }

    /// Takes a value of fixed size.
    pub fn take<T: Item>(&mut self, ty: Type) -> Result<T> {
        debug_assert_eq!(T::SIZE, ty.bytes());
        self.fixed(ty).map(T::read)
    }

    /// Takes an inline array of at most `most` elements.
    pub fn take_array<T: Item>(&mut self, ty: Type, most: usize) -> Result<Array<'a, T>> {
        let found = self.descriptor(ty)?;
        if !found.bytes().is_multiple_of(T::SIZE) || found.bytes() / T::SIZE > most {
            return Err(self.wrong);
        }
        Ok(Array { bytes: self.varying(found)?, element: PhantomData })
    }

    /// Takes an inline array into `into` and returns how many elements there are. More than there is room for is
    /// `MIG_ARRAY_TOO_LARGE`, even if they are more than the .defs allow.
    pub fn take_into<T: Item>(&mut self, ty: Type, into: &mut [T]) -> Result<usize> {
        self.take_array(ty, usize::MAX)?.copy_to(into)
    }

    /// Takes a C string of at most `room` bytes; without its NUL.
    pub fn take_text(&mut self, ty: Type, room: usize) -> Result<&'a [u8]> {
        let found = self.descriptor(ty)?;
        if found.bytes() > room {
            return Err(self.wrong);
        }
        let bytes = self.varying(found)?;
        Ok(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes))
    }

    /// Takes a C string that takes up a buffer of fixed size; without its NUL.
    pub fn take_fixed_text(&mut self, ty: Type) -> Result<&'a [u8]> {
        let bytes = self.fixed(ty)?;
        Ok(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes))
    }

    /// Takes a C string of at most `N` bytes into a buffer of its own.
    pub fn take_buffer<const N: usize>(&mut self, ty: Type) -> Result<[u8; N]> {
        self.take_text(ty, N).map(buffer)
    }

    /// Takes a C string of at most `N` bytes that takes up a buffer of fixed size in the message.
    pub fn take_fixed_buffer<const N: usize>(&mut self, ty: Type) -> Result<[u8; N]> {
        self.take_fixed_text(ty).map(buffer)
    }

    /// Takes a right.
    pub fn take_right<R: Owned>(&mut self, ty: Type) -> Result<R> {
        self.fixed(ty).map(|name| R::received(PortName::read(name)))
    }

    /// Takes a right of whatever kind.
    pub fn take_any_right(&mut self, ty: Type) -> Result<AnyRight> {
        let found = Type::found(self.word(self.at)?);
        // A message that is not complex has no rights, whatever it says.
        let fits = ty.kind(found.name()).accepts(found) && found.number() == 1;
        if !fits || found.is_right() && !self.is_complex() {
            return Err(self.wrong);
        }
        let name = PortName(self.word(self.at + 1)? as u32);
        self.at += 2;
        Ok(AnyRight::from_parts(found.name(), name))
    }

    /// Takes memory out of line.
    pub fn take_memory(&mut self, ty: Type) -> Result<OutOfLine> {
        let found = self.descriptor(ty)?;
        let address = self.word(self.at + 1)?;
        self.at += 2;
        Ok(OutOfLine::from_parts(address, found.bytes() as u64))
    }

    /// Takes an array of rights out of line; polymorphic ones are of any kind.
    pub fn take_far_rights(&mut self, ty: Type) -> Result<OutOfLinePorts> {
        let ty = self.of_found_kind(ty)?;
        Ok(OutOfLinePorts::from_parts(self.take_memory(ty)?, ty.name()))
    }

    fn of_found_kind(&self, ty: Type) -> Result<Type> {
        let found = Type::found(self.word(self.at)?);
        Ok(if ty.name() == POLYMORPHIC.name() { ty.kind(found.name()) } else { ty })
    }

    /// Takes an array that may have come inline or out of line, of any length.
    pub fn take_either<T: Item>(&mut self, ty: Type) -> Result<Received<'a, T>> {
        if self.next_is_inline()? {
            return self.take_array(ty, usize::MAX).map(Received::Inline);
        }
        self.take_up(WORD)?;
        self.take_memory(ty.out_of_line()).map(Received::OutOfLine)
    }

    /// Takes an inline array of at most `most` rights; polymorphic ones are of any kind.
    pub fn take_rights(&mut self, ty: Type, most: usize) -> Result<Vec<AnyRight>> {
        let ty = self.of_found_kind(ty)?;
        let found = self.descriptor(ty)?;
        if found.number() > most {
            return Err(self.wrong);
        }
        let names = self.varying(found)?.chunks_exact(8);
        Ok(names.map(|right| AnyRight::from_parts(ty.name(), PortName::read(right))).collect())
    }

    /// Takes an array of rights that came inline or out of line.
    pub fn take_either_rights(&mut self, ty: Type) -> Result<Vec<AnyRight>> {
        match self.next_is_inline()? {
            true => self.take_rights(ty, usize::MAX),
            false => {
                self.take_up(WORD)?;
                self.take_far_rights(ty.out_of_line()).map(Iterator::collect)
            }
        }
    }

    /// Checks that nothing is left.
    pub fn finish(&self) -> Result<()> {
        if self.at == self.words.len() { Ok(()) } else { Err(self.wrong) }
    }

    /// Gives back what the next item holds; false at the end or where the message makes no sense.
    fn release_next(&mut self) -> bool {
        let Ok(found) = self.word(self.at).map(Type::found) else { return false };
        let is_right = type_name::is_right(found.name().into());
        if !found.is_inline() {
            let Ok(address) = self.word(self.at + 1) else { return false };
            let memory = OutOfLine::from_parts(address, found.bytes() as u64);
            if is_right {
                drop(OutOfLinePorts::from_parts(memory, found.name()));
            }
            self.at += 2;
            return true;
        }
        let Ok(data) = self.inline(found) else { return false };
        if is_right {
            data.chunks_exact(8).for_each(|name| drop(AnyRight::from_parts(found.name(), PortName::read(name))));
        }
        true
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        while self.is_complex() && self.release_next() {}
    }
}

/// Text in a buffer that it fits into, with zeros after it.
fn buffer<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut buffer = [0; N];
    buffer.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
    buffer
}

/// An array that came inline or out of line.
#[derive(Debug)]
pub enum Received<'a, T> {
    /// In the message.
    Inline(Array<'a, T>),
    /// In the message, whose buffer is gone.
    Copied(Vec<u8>),
    /// In memory of its own, which goes when this is dropped.
    OutOfLine(OutOfLine),
}

impl<T: Item> Received<'_, T> {
    /// Its elements.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.as_array().iter()
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.as_array().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, wherever they are.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(array) => array.bytes,
            Self::Copied(bytes) => bytes,
            Self::OutOfLine(memory) => memory.as_slice(),
        }
    }

    /// The array, wherever it is.
    pub fn as_array(&self) -> Array<'_, T> {
        Array { bytes: self.as_bytes(), element: PhantomData }
    }

    /// The array without the message that brought it.
    pub fn into_owned(self) -> Received<'static, T> {
        match self {
            Self::Inline(array) => Received::Copied(array.bytes.to_vec()),
            Self::Copied(bytes) => Received::Copied(bytes),
            Self::OutOfLine(memory) => Received::OutOfLine(memory),
        }
    }
}

/// An array in a received message.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a, T> {
    bytes: &'a [u8],
    element: PhantomData<T>,
}

impl<'a, T: Item + 'a> Array<'a, T> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.bytes.len() / T::SIZE
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its elements.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::SIZE).map(T::read)
    }

    /// Its bytes as they stand in the message.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Copies it to the start of `into`; as MIG does, what does not fit is an error after what fits is copied.
    fn copy_to(&self, into: &mut [T]) -> Result<usize> {
        into.iter_mut().zip(self.iter()).for_each(|(place, value)| *place = value);
        if self.len() > into.len() { Err(KernReturn::MIG_ARRAY_TOO_LARGE) } else { Ok(self.len()) }
    }
}
