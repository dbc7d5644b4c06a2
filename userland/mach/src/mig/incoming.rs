//! A received message being taken apart: a user's reply or a server's request.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::rights::{AnyRight, OutOfLinePorts};
use super::{COMPLEX, Complexity, DEALLOCATE, HEADER_WORDS, INLINE, Item, RET_CODE};
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
    /// What to answer if the message is not what it should be.
    wrong: KernReturn,
}

impl<'a> Incoming<'a> {
    /// The message in `words`; words after its end are left alone.
    pub(super) fn new(words: &'a [u64], wrong: KernReturn) -> Self {
        let size = words.first().map_or(0, |word| (word >> 32) as usize);
        // A size that is no multiple of 8 cannot come from the kernel.
        let end = (size / 8).min(words.len());
        Self { words: &words[..end], at: HEADER_WORDS, wrong }
    }

    /// Checks size and complexity, as MIG's stubs do before they look at any item.
    pub fn check(&self, min: u32, max: u32, complexity: Complexity) -> Result<()> {
        let size = self.words.len() * 8;
        let complex = self.words.first().is_some_and(|word| word & COMPLEX != 0);
        let fits = match complexity {
            Complexity::Simple => !complex,
            Complexity::Complex => complex,
            Complexity::Varies => true,
        };
        if fits && size >= min as usize && size <= max as usize { Ok(()) } else { Err(self.wrong) }
    }

    /// Takes a reply's return code off, and checks what follows if it is success.
    pub(super) fn reply(mut self, (min, max, complexity): (u32, u32, Complexity)) -> Result<Self> {
        let code: KernReturn = self.take(RET_CODE)?;
        if code != KernReturn::KERN_SUCCESS {
            // The error reply has nothing else; anything more is given back when this is dropped.
            return Err(code);
        }
        self.check(min, max, complexity)?;
        Ok(self)
    }

    fn word(&self, at: usize) -> Result<u64> {
        self.words.get(at).copied().ok_or(self.wrong)
    }

    /// The bytes of `size` bytes of data at word `at`.
    fn data(&self, at: usize, size: usize) -> Result<&'a [u8]> {
        let words = self.words.get(at..).and_then(|words| words.get(..size.div_ceil(8)));
        words.and_then(|words| bytes_of(words).get(..size)).ok_or(self.wrong)
    }

    /// The descriptor of the next item, if it is `expected` in all but its number and the deallocate bit.
    fn descriptor(&self, expected: u64) -> Result<u64> {
        let found = self.word(self.at)?;
        if (found ^ expected) & 0xffff_ffff & !DEALLOCATE == 0 { Ok(found) } else { Err(self.wrong) }
    }

    /// Takes a value of fixed size.
    pub fn take<T: Item>(&mut self, descriptor: u64) -> Result<T> {
        if self.word(self.at)? != descriptor {
            return Err(self.wrong);
        }
        let value = T::read(self.data(self.at + 1, T::SIZE)?);
        self.at += 1 + T::SIZE.div_ceil(8);
        Ok(value)
    }

    /// Takes an inline array of at most `most` elements.
    pub fn take_array<T: Item>(&mut self, descriptor: u64, most: usize) -> Result<Array<'a, T>> {
        let size = byte_count(self.descriptor(descriptor)?);
        if !size.is_multiple_of(T::SIZE) || size / T::SIZE > most {
            return Err(self.wrong);
        }
        let bytes = self.data(self.at + 1, size)?;
        self.at += 1 + size.div_ceil(8);
        Ok(Array { bytes, element: PhantomData })
    }

    /// Takes an inline array into `into` and returns how many elements there are.
    pub fn take_into<T: Item>(&mut self, descriptor: u64, most: usize, into: &mut [T]) -> Result<usize> {
        self.take_array(descriptor, most)?.copy_to(into)
    }

    /// Takes an array that came inline or out of line into `into` and returns how many elements there are.
    pub fn take_either<T: Item>(&mut self, descriptor: u64, most: usize, into: &mut [T]) -> Result<usize> {
        if self.word(self.at)? & INLINE != 0 {
            return self.take_into(descriptor, most, into);
        }
        let memory = self.take_out_of_line(descriptor & !INLINE)?;
        Array { bytes: memory.as_slice(), element: PhantomData }.copy_to(into)
    }

    /// Takes a C string that takes up `room` bytes, or up to them if it varies; without its NUL.
    pub fn take_string(&mut self, descriptor: u64, room: usize, varies: bool) -> Result<&'a [u8]> {
        let found = self.descriptor(descriptor)?;
        let size = byte_count(found);
        if size > room || (!varies && found != descriptor) {
            return Err(self.wrong);
        }
        let bytes = self.data(self.at + 1, size)?;
        self.at += 1 + size.div_ceil(8);
        Ok(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes))
    }

    /// Takes a right and returns its name, which the caller owns.
    pub fn take_port(&mut self, descriptor: u64) -> Result<PortName> {
        if self.word(self.at)? & !DEALLOCATE != descriptor {
            return Err(self.wrong);
        }
        let name = PortName(self.word(self.at + 1)? as u32);
        self.at += 2;
        Ok(name)
    }

    /// Takes a right of whatever kind.
    pub fn take_any_port(&mut self, descriptor: u64) -> Result<AnyRight> {
        let found = self.word(self.at)?;
        if (found ^ descriptor) & !0xff & !DEALLOCATE != 0 {
            return Err(self.wrong);
        }
        let name = PortName(self.word(self.at + 1)? as u32);
        self.at += 2;
        Ok(AnyRight::from_parts(found as u8, name))
    }

    /// Takes memory out of line.
    pub fn take_out_of_line(&mut self, descriptor: u64) -> Result<OutOfLine> {
        let found = self.descriptor(descriptor)?;
        let address = self.word(self.at + 1)?;
        self.at += 2;
        Ok(OutOfLine::from_parts(address, byte_count(found) as u64))
    }

    /// Takes an array of rights out of line.
    pub fn take_ports(&mut self, descriptor: u64) -> Result<OutOfLinePorts> {
        let memory = self.take_out_of_line(descriptor)?;
        Ok(OutOfLinePorts::from_parts(memory, descriptor as u8))
    }

    /// Takes an array that may have come inline or out of line.
    pub fn take_either_way<T: Item>(&mut self, descriptor: u64, most: usize) -> Result<Received<'a, T>> {
        if self.word(self.at)? & INLINE != 0 {
            return self.take_array(descriptor, most).map(Received::Inline);
        }
        let memory = self.take_out_of_line(descriptor & !INLINE)?;
        Ok(Received::OutOfLine(memory, PhantomData))
    }

    /// Takes an array of at most `most` rights that came inline or, if `either`, out of line. Type 255 is any right.
    pub fn take_rights(&mut self, descriptor: u64, most: usize, either: bool) -> Result<Vec<AnyRight>> {
        let found = self.word(self.at)?;
        let name = if descriptor & 0xff == 0xff { found & 0xff } else { descriptor & 0xff };
        let expected = descriptor & !0xff | name;
        if either && found & INLINE == 0 {
            // Out of line rights are 32-bit names.
            return Ok(self.take_ports(expected & !INLINE & !0xff_ff00 | 32 << 8)?.collect());
        }
        let number = (self.descriptor(expected)? >> 32) as usize;
        if number > most {
            return Err(self.wrong);
        }
        let names = self.data(self.at + 1, number * 8)?;
        self.at += 1 + number;
        Ok(names.chunks_exact(8).map(|right| AnyRight::from_parts(name as u8, PortName::read(right))).collect())
    }

    /// Checks that nothing is left.
    pub fn finish(&self) -> Result<()> {
        if self.at == self.words.len() { Ok(()) } else { Err(self.wrong) }
    }

    /// The name of the port it came to.
    pub fn local_port(&self) -> PortName {
        PortName(self.words.get(2).map_or(0, |word| *word as u32))
    }

    /// The name of the right in its header that a reply goes to.
    pub fn reply_port(&self) -> PortName {
        PortName(self.words.get(1).map_or(0, |word| *word as u32))
    }

    /// The kind of that right: a `msgt_name`.
    pub fn reply_disposition(&self) -> u8 {
        self.words.first().map_or(0, |word| *word as u8)
    }

    /// `msgh_seqno`
    pub fn sequence_number(&self) -> u32 {
        self.words.get(3).map_or(0, |word| *word as u32)
    }

    /// Gives back what the next item holds; false at the end or where the message makes no sense.
    fn release_next(&mut self) -> bool {
        let Ok(descriptor) = self.word(self.at) else { return false };
        let size = byte_count(descriptor);
        let is_port = (16..=18).contains(&(descriptor as u8));
        if descriptor & INLINE == 0 {
            let Ok(address) = self.word(self.at + 1) else { return false };
            let memory = OutOfLine::from_parts(address, size as u64);
            if is_port {
                drop(OutOfLinePorts::from_parts(memory, descriptor as u8));
            }
            self.at += 2;
            return true;
        }
        let Ok(data) = self.data(self.at + 1, size) else { return false };
        if is_port {
            data.chunks_exact(8).for_each(|name| drop(AnyRight::from_parts(descriptor as u8, PortName::read(name))));
        }
        self.at += 1 + size.div_ceil(8);
        true
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        let complex = self.words.first().is_some_and(|word| word & COMPLEX != 0);
        while complex && self.release_next() {}
    }
}

/// Bytes that a descriptor describes.
fn byte_count(descriptor: u64) -> usize {
    let (bits, number) = ((descriptor >> 8) & 0xffff, descriptor >> 32);
    (bits * number).div_ceil(8) as usize
}

/// An array that came inline or out of line.
#[derive(Debug)]
pub enum Received<'a, T> {
    /// In the message.
    Inline(Array<'a, T>),
    /// In memory of its own, which goes when this is dropped.
    OutOfLine(OutOfLine, PhantomData<T>),
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

    /// The array, wherever it is.
    pub fn as_array(&self) -> Array<'_, T> {
        match self {
            Self::Inline(array) => Array { bytes: array.bytes, element: PhantomData },
            Self::OutOfLine(memory, _) => Array { bytes: memory.as_slice(), element: PhantomData },
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
