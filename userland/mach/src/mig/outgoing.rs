// SPDX-License-Identifier: GPL-2.0-or-later
//! A message being built: a user's request or a server's reply.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use mach_abi::header::{MACH_MSGH_BITS_REMOTE_MASK, REPLY_ID_OFFSET, word};
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG};

use super::types::{INTEGER_32, Type};
use super::{AnyRight, COMPLEX, Complexity, Incoming, Item, Named, OutOfLinePorts};
use crate::error::{KernReturn, Result};
use crate::memory::OutOfLine;
use crate::port::{Disposition, PortName};
use crate::sys::msg::{give_back_reply_port, mach_msg, reply_port};

/// A message being built. The first thing that does not fit is remembered and reported when it is sent; what the message had
/// taken over until then, and what it is given from then on, is given back.
#[derive(Debug)]
pub struct Outgoing<'a> {
    words: &'a mut [u64],
    /// Where its items begin.
    first: usize,
    /// Words in use.
    used: usize,
    wrong: Option<KernReturn>,
    /// Copies made for out-of-line data; given back once the message is sent.
    held: Vec<OutOfLine>,
    /// Options of `mach_msg` beyond the usual.
    option: u32,
    timeout: Option<u32>,
    /// The reply port and what happens to it, if it is not the thread's own.
    reply_to: Option<(PortName, Disposition)>,
}

impl<'a> Outgoing<'a> {
    /// A request with this id to `to`. `words` has room for the largest request and reply.
    pub fn request(words: &'a mut [u64], id: u32, to: impl Named, how: Disposition) -> Self {
        let to = to.into_sent_name();
        words[..word::BODY].copy_from_slice(&[how as u64, to.0.into(), 0, u64::from(id) << 32]);
        Self::after(words, word::BODY)
    }

    /// A reply, up to and with its return code. `None` if there is no room even for that.
    pub(super) fn reply(words: &'a mut [u64], bits: u64, to: u64, id: u32) -> Option<Self> {
        let head = words.get_mut(..word::BODY + 2)?;
        head.copy_from_slice(&[bits, to, 0, u64::from(id) << 32, INTEGER_32.word(), 0]);
        Some(Self::after(words, word::BODY + 2))
    }

    fn after(words: &'a mut [u64], used: usize) -> Self {
        Self { words, first: used, used, wrong: None, held: Vec::new(), option: 0, timeout: None, reply_to: None }
    }

    fn fail(&mut self, error: KernReturn) {
        if self.wrong.is_none() {
            self.wrong = Some(error);
            self.give_back_items();
        }
    }

    /// Whether an item with so many words of data can be added: nothing is wrong yet, and there is room for it.
    fn takes(&mut self, data: usize) -> bool {
        if self.wrong.is_none() && self.words.len() - self.used <= data {
            self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.wrong.is_none()
    }

    /// Adds a word for which there is room.
    fn push(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.used) {
            *place = word;
            self.used += 1;
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.push(u64::from_le_bytes(word));
        }
    }

    /// Adds an item of values one after the other, whatever their size is.
    fn push_items<T: Item>(&mut self, ty: Type, values: &[T]) {
        let size = values.len() * T::SIZE;
        if !self.takes(size.div_ceil(8)) {
            return;
        }
        self.push(ty.word());
        if let Some(bytes) = T::bytes_of(values) {
            return self.push_bytes(bytes);
        }
        let mut few = [0; FEW];
        match few.get_mut(..size) {
            Some(bytes) => {
                write_items(values, bytes);
                self.push_bytes(bytes);
            }
            None => self.push_bytes(&bytes_of_items(values)),
        }
    }

    /// Adds a value of fixed size.
    pub fn put<T: Item>(&mut self, ty: Type, value: T) {
        self.push_items(ty, &[value]);
    }

    /// Adds an array of at most `most` elements.
    pub fn put_array<T: Item>(&mut self, ty: Type, values: &[T], most: usize) {
        if values.len() > most {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.push_items(ty.of_bytes(values.len() * T::SIZE), values);
    }

    /// Adds a C string that always takes `room` bytes.
    pub fn put_fixed_text(&mut self, ty: Type, text: impl AsRef<[u8]>, room: usize) {
        let text = text.as_ref();
        if text.len() >= room {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        if !self.takes(room.div_ceil(8)) {
            return;
        }
        self.push(ty.word());
        self.push_bytes(text);
        // The rest is zero, and so the NUL is there.
        (text.len().div_ceil(8)..room.div_ceil(8)).for_each(|_| self.push(0));
    }

    /// Adds a C string with its NUL, of at most `room` bytes.
    pub fn put_text(&mut self, ty: Type, text: impl AsRef<[u8]>, room: usize) {
        let text = text.as_ref();
        if text.len() >= room {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        if !self.takes(text.len() / 8 + 1) {
            return;
        }
        self.push(ty.of_bytes(text.len() + 1).word());
        self.push_bytes(text);
        if text.len().is_multiple_of(8) {
            self.push(0);
        }
    }

    /// Adds a right; the descriptor says what happens to it.
    pub fn put_right(&mut self, ty: Type, right: impl Named) {
        self.put_names(ty, &[right.into_sent_name()]);
    }

    fn put_names(&mut self, ty: Type, names: &[PortName]) {
        if !self.takes(names.len()) {
            return release(ty, names);
        }
        self.words[word::BITS] |= COMPLEX;
        self.push(ty.word());
        names.iter().for_each(|name| self.push(name.0.into()));
    }

    /// Adds an inline array of at most `most` rights.
    pub fn put_rights(&mut self, ty: Type, rights: impl IntoIterator<Item: Named>, most: usize) {
        let names = names(rights);
        if names.len() > most {
            release(ty, &names);
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.put_names(ty.of_bytes(names.len() * 8), &names);
    }

    /// Adds rights, inline up to `most` and else out of line.
    pub fn put_either_rights(&mut self, ty: Type, rights: impl IntoIterator<Item: Named>, most: usize) {
        let names = names(rights);
        match names.len() <= most {
            true => self.put_rights(ty.inline(), names, most),
            false => self.put_far_rights(ty.out_of_line(), names),
        }
    }

    /// Adds an array of rights out of line.
    pub fn put_far_rights(&mut self, ty: Type, rights: impl IntoIterator<Item: Named>) {
        let names = names(rights);
        if !self.takes(1) {
            return release(ty, &names);
        }
        if let Err(error) = self.put_copy(ty, &names) {
            release(ty, &names);
            self.fail(error);
        }
    }

    /// Adds an array out of line that stays the sender's: the receiver gets a copy.
    pub fn put_lent<T: Item>(&mut self, ty: Type, values: &[T]) {
        match T::bytes_of(values) {
            Some(bytes) => self.push_far(ty, bytes.as_ptr().addr() as u64, bytes.len()),
            None => {
                let put = self.put_copy(ty, values);
                put.unwrap_or_else(|error| self.fail(error));
            }
        }
    }

    /// Adds memory out of line that goes over to the receiver.
    pub fn put_given(&mut self, ty: Type, memory: OutOfLine) {
        if self.takes(1) {
            let (address, size) = memory.into_parts();
            self.push_far(ty.dealloc(), address, size as usize);
        }
    }

    /// Adds an array out of line that is lent or given.
    pub fn put_data<'d, T: Item + 'd>(&mut self, ty: Type, data: impl Into<Data<'d, T>>) {
        match data.into() {
            Data::Lent(values) => self.put_lent(ty, values),
            Data::Given(memory) => self.put_given(ty, memory),
        }
    }

    /// Adds an array that goes inline up to `most` elements, else out of line.
    pub fn put_either<'d, T: Item + 'd>(&mut self, ty: Type, data: impl Into<Data<'d, T>>, most: usize) {
        match data.into() {
            Data::Lent(values) if values.len() <= most => self.put_array(ty.inline(), values, most),
            Data::Given(memory) if memory.as_slice().len() <= most * T::SIZE => {
                self.push_items(ty.inline().of_bytes(memory.as_slice().len()), memory.as_slice());
            }
            data => self.put_data(ty.out_of_line(), data),
        }
    }

    /// Adds an array to a reply, inline up to `most` elements, else out of line in memory that goes over to the client.
    pub fn put_list<T: Item>(&mut self, ty: Type, values: &[T], most: usize) {
        if values.len() <= most {
            return self.put_array(ty, values, most);
        }
        let put = self.put_copy(ty.out_of_line().dealloc(), values);
        put.unwrap_or_else(|error| self.fail(error));
    }

    /// Adds a copy of an array: given to the receiver if the descriptor says so, else given back when the message is sent.
    fn put_copy<T: Item>(&mut self, ty: Type, values: &[T]) -> Result<()> {
        let copy = OutOfLine::copy_of(&bytes_of_items(values))?;
        if ty.is_given() {
            self.put_given(ty, copy);
        } else {
            let bytes = copy.as_slice();
            self.push_far(ty, bytes.as_ptr().addr() as u64, bytes.len());
            self.held.push(copy);
        }
        Ok(())
    }

    fn push_far(&mut self, ty: Type, address: u64, size: usize) {
        if !self.takes(1) {
            return;
        }
        self.words[word::BITS] |= COMPLEX;
        self.push(ty.of_bytes(size).word());
        self.push(address);
    }

    /// Adds to the options of `mach_msg`.
    pub fn set_option(&mut self, option: u32) {
        self.option |= option;
    }

    /// Says that the message has rights or memory, whatever its items are.
    pub fn set_complex(&mut self) {
        self.words[word::BITS] |= COMPLEX;
    }

    /// Waits for the reply so many milliseconds at most.
    pub fn set_timeout(&mut self, timeout: u32) {
        self.timeout = Some(timeout);
    }

    /// Names the port for the reply: that of a call, or one that is only named, for a reply that comes some other way.
    pub fn set_reply_port(&mut self, port: impl Named, how: Disposition) {
        self.reply_to = Some((port.into_sent_name(), how));
    }

    /// Sends a request that has no reply.
    pub fn send(mut self) -> Result<()> {
        if let Some((name, how)) = self.reply_to {
            self.write_reply_port(name, how);
        }
        self.check()?;
        let size = self.set_size();
        let answer = mach_msg(self.words, MACH_SEND_MSG | self.option, size, 0, PortName::NULL, 0, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().inspect_err(|error| self.give_back_unsent(*error))
    }

    /// What went wrong while the request was made, if anything did: then its ports are given back as well.
    fn check(&mut self) -> Result<()> {
        self.wrong.map_or(Ok(()), Err).inspect_err(|_| self.give_back_ports())
    }

    /// Gives back what a request moves if the kernel took none of it: there is no such port to send to or to reply to.
    fn give_back_unsent(&mut self, error: KernReturn) {
        let untouched = [
            KernReturn::MACH_SEND_INVALID_DEST,
            KernReturn::MACH_SEND_INVALID_REPLY,
            KernReturn::MACH_SEND_INVALID_HEADER,
        ];
        if untouched.contains(&error) {
            self.give_back_items();
            self.give_back_ports();
        }
    }

    /// Gives back the rights that the header moves.
    fn give_back_ports(&mut self) {
        for (kind, name) in [
            (self.words[word::BITS], self.words[word::REMOTE_PORT]),
            (self.words[word::BITS] >> 8, self.words[word::LOCAL_PORT]),
        ] {
            drop(AnyRight::from_parts(kind as u8, PortName(name as u32)));
        }
    }

    /// Gives back the rights and the memory that the items give away, and the copies made for them.
    fn give_back_items(&mut self) {
        let mut held = core::mem::take(&mut self.held);
        let mut at = self.first;
        while at < self.used {
            let ty = Type::found(self.words[at]);
            if ty.is_inline() {
                let end = at + 1 + ty.bytes().div_ceil(8);
                if ty.is_right() {
                    let names = &self.words[at + 1..end];
                    names.iter().for_each(|name| drop(AnyRight::from_parts(ty.name(), PortName(*name as u32))));
                }
                at = end;
                continue;
            }
            let address = self.words[at + 1];
            let copy = held.iter().position(|copy| copy.as_slice().as_ptr().addr() as u64 == address);
            let memory = match copy {
                Some(index) => Some(held.swap_remove(index)),
                None => ty.is_given().then(|| OutOfLine::from_parts(address, ty.bytes() as u64)),
            };
            if let Some(memory) = memory
                && ty.is_right()
            {
                drop(OutOfLinePorts::from_parts(memory, ty.name()));
            }
            at += 2;
        }
        self.used = self.first;
    }

    /// Sends a request and waits for its reply, which must have one of these sizes, or be the error reply.
    pub fn call(mut self, sizes: RangeInclusive<u32>, complexity: Complexity) -> Result<Incoming<'a>> {
        let id = (self.words[word::ID] >> 32) as u32;
        let (port, how) = self.reply_to.unwrap_or_else(|| (reply_port(), Disposition::MakeSendOnce));
        self.write_reply_port(port, how);
        self.check()?;
        let size = self.set_size();
        let room = (*sizes.end()).min(size_of_val(self.words) as u32);
        let timed = if self.timeout.is_some() { MACH_RCV_TIMEOUT } else { 0 };
        let option = MACH_SEND_MSG | MACH_RCV_MSG | timed | self.option;
        let timeout = self.timeout.unwrap_or(0);
        let answer = mach_msg(self.words, option, size, room, port, timeout, PortName::NULL);
        let own = self.reply_to.is_none();
        let forget = || {
            // What still comes must not be taken for that of a later request.
            if own {
                give_back_reply_port();
            }
        };
        // A send that failed may have made the reply right already and destroyed it, which is a message to the port, too.
        if let Err(error) = KernReturn::from_mach_msg(answer).into_result() {
            self.give_back_unsent(error);
            forget();
            return Err(error);
        }
        let Self { words, .. } = self;
        let found = (words[word::ID] >> 32) as u32;
        let incoming = Incoming::new(words, KernReturn::MIG_TYPE_ERROR);
        match found {
            _ if found == id.wrapping_add(REPLY_ID_OFFSET) => incoming.reply(&sizes, complexity),
            // The right to answer died unused.
            MACH_NOTIFY_SEND_ONCE => Err(KernReturn::MIG_SERVER_DIED),
            _ => {
                forget();
                Err(KernReturn::MIG_REPLY_MISMATCH)
            }
        }
    }

    fn write_reply_port(&mut self, name: PortName, how: Disposition) {
        self.words[word::BITS] |= (how as u64) << 8;
        self.words[word::LOCAL_PORT] = name.0.into();
    }

    /// Writes the size into the header and returns it.
    fn set_size(&mut self) -> u32 {
        let size = (self.used * 8) as u32;
        self.words[word::BITS] = self.words[word::BITS] & 0xffff_ffff | u64::from(size) << 32;
        size
    }

    /// Completes a reply: with its items if all is well, else with the return code alone. One that is not to be sent gets
    /// no port to go to.
    pub(super) fn complete(mut self, result: Result<()>, silent: bool) {
        if let Err(error) = result.and(self.wrong.map_or(Ok(()), Err)) {
            self.used = word::BODY + 2;
            self.words[word::BITS] &= !COMPLEX;
            self.words[word::BODY + 1] = u64::from(error.0 as u32);
        }
        self.set_size();
        if silent {
            self.words[word::BITS] &= !u64::from(MACH_MSGH_BITS_REMOTE_MASK);
            self.words[word::REMOTE_PORT] = PortName::NULL.0.into();
        }
    }
}

/// Bytes of items for which no memory is allocated.
const FEW: usize = 128;

/// Items one after the other, as they stand in a message and out of line.
fn bytes_of_items<T: Item>(values: &[T]) -> Vec<u8> {
    let mut bytes = alloc::vec![0; values.len() * T::SIZE];
    write_items(values, &mut bytes);
    bytes
}

fn write_items<T: Item>(values: &[T], to: &mut [u8]) {
    values.iter().zip(to.chunks_mut(T::SIZE)).for_each(|(value, place)| value.write(place));
}

/// The names of rights, which the message takes over where it moves them.
fn names(rights: impl IntoIterator<Item: Named>) -> Vec<PortName> {
    rights.into_iter().map(Named::into_sent_name).collect()
}

/// Gives back rights that were to be moved; those of other dispositions stay where they are.
fn release(ty: Type, names: &[PortName]) {
    names.iter().for_each(|name| drop(AnyRight::from_parts(ty.name(), *name)));
}

/// An array for a message: lent for the time of the call, or memory that goes over to the receiver.
#[derive(Debug)]
pub enum Data<'a, T> {
    /// Stays the sender's.
    Lent(&'a [T]),
    /// Goes with the message; unmapped here if it fits into the message.
    Given(OutOfLine),
}

impl<'a, T> From<&'a [T]> for Data<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Self::Lent(values)
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Data<'a, T> {
    fn from(values: &'a [T; N]) -> Self {
        Self::Lent(values)
    }
}

impl<'a, T> From<&'a Vec<T>> for Data<'a, T> {
    fn from(values: &'a Vec<T>) -> Self {
        Self::Lent(values)
    }
}

impl<T> From<OutOfLine> for Data<'_, T> {
    fn from(memory: OutOfLine) -> Self {
        Self::Given(memory)
    }
}
