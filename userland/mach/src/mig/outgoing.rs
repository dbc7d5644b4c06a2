//! A message being built: a user's request or a server's reply.

use alloc::vec::Vec;

use super::{
    AnyRight, COMPLEX, Complexity, DEALLOCATE, HEADER_WORDS, INLINE, Incoming, Item, REPLY_ID_OFFSET, RET_CODE,
};
use crate::error::{KernReturn, Result};
use crate::memory::OutOfLine;
use crate::port::{Disposition, PortName, ReceiveRight};
use crate::sys::msg::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, forget_reply_port, mach_msg, reply_port};

/// Id of the notification that a send-once right was destroyed unused: the server died.
const NOTIFY_SEND_ONCE: u32 = 0o107;

/// A message being built. The first thing that does not fit is remembered and reported when it is sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    words: &'a mut [u64],
    /// Words in use.
    used: usize,
    wrong: Option<KernReturn>,
    /// Copies made for out-of-line data; given back once the message is sent.
    held: Vec<OutOfLine>,
}

impl<'a> Outgoing<'a> {
    /// A request with this id to `to`. `words` has room for the largest request and reply.
    pub fn request(words: &'a mut [u64], id: u32, to: PortName, how: Disposition) -> Self {
        words[..HEADER_WORDS].copy_from_slice(&[how as u64, to.0.into(), 0, u64::from(id) << 32]);
        Self { words, used: HEADER_WORDS, wrong: None, held: Vec::new() }
    }

    /// A reply, up to and with its return code. `None` if there is no room even for that.
    pub(super) fn reply(words: &'a mut [u64], bits: u64, to: u64, id: u32) -> Option<Self> {
        let head = words.get_mut(..HEADER_WORDS + 2)?;
        head.copy_from_slice(&[bits, to, 0, u64::from(id) << 32, RET_CODE, 0]);
        Some(Self { words, used: HEADER_WORDS + 2, wrong: None, held: Vec::new() })
    }

    fn fail(&mut self, error: KernReturn) {
        self.wrong.get_or_insert(error);
    }

    fn push(&mut self, word: u64) {
        match self.words.get_mut(self.used) {
            Some(place) => {
                *place = word;
                self.used += 1;
            }
            None => self.fail(KernReturn::MIG_ARRAY_TOO_LARGE),
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.push(u64::from_le_bytes(word));
        }
    }

    /// Writes items one after the other, whatever their size is.
    fn push_items<T: Item>(&mut self, values: &[T]) {
        let size = values.len() * T::SIZE;
        let room = self.words.len() - self.used;
        if size.div_ceil(8) > room {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        let (mut word, mut filled) = ([0_u8; 8], 0);
        for value in values {
            let mut one = [0_u8; MAX_ITEM];
            value.write(&mut one[..T::SIZE]);
            for byte in &one[..T::SIZE] {
                word[filled] = *byte;
                filled += 1;
                if filled == 8 {
                    self.push(u64::from_le_bytes(word));
                    (word, filled) = ([0; 8], 0);
                }
            }
        }
        if filled > 0 {
            self.push(u64::from_le_bytes(word));
        }
    }

    /// Adds a value of fixed size.
    pub fn put<T: Item>(&mut self, descriptor: u64, value: T) {
        self.push(descriptor);
        self.push_items(&[value]);
    }

    /// Adds an array of at most `most` elements.
    pub fn put_array<T: Item>(&mut self, descriptor: u64, values: &[T], most: usize) {
        if values.len() > most {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.push(with_bytes(descriptor, values.len() * T::SIZE));
        self.push_items(values);
    }

    /// Adds a C string that always takes `room` bytes.
    pub fn put_string(&mut self, descriptor: u64, text: &[u8], room: usize) {
        if text.len() >= room {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.push(descriptor);
        self.push_bytes(text);
        // The rest is zero, and so the NUL is there.
        (text.len().div_ceil(8)..room.div_ceil(8)).for_each(|_| self.push(0));
    }

    /// Adds a C string with its NUL, of at most `room` bytes.
    pub fn put_varying_string(&mut self, descriptor: u64, text: &[u8], room: usize) {
        if text.len() >= room {
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.push(with_bytes(descriptor, text.len() + 1));
        self.push_bytes(text);
        if text.len().is_multiple_of(8) {
            self.push(0);
        }
    }

    /// Adds a right; the descriptor says what happens to it.
    pub fn put_port(&mut self, descriptor: u64, name: PortName) {
        self.words[0] |= COMPLEX;
        self.push(descriptor);
        self.push(name.0.into());
    }

    /// Adds a right of a polymorphic argument.
    pub fn put_any_port(&mut self, descriptor: u64, name: PortName, how: Disposition) {
        self.put_port(descriptor & !0xff | how as u64, name);
    }

    /// Adds an inline array of at most `most` rights.
    pub fn put_ports(&mut self, descriptor: u64, names: &[PortName], most: usize) {
        if names.len() > most {
            Self::release(descriptor, names);
            return self.fail(KernReturn::MIG_ARRAY_TOO_LARGE);
        }
        self.words[0] |= COMPLEX;
        self.push(with_bytes(descriptor, names.len() * 8));
        names.iter().for_each(|name| self.push(name.0.into()));
    }

    /// Adds an inline array of at most `most` rights of a polymorphic argument.
    pub fn put_any_ports(&mut self, descriptor: u64, names: &[PortName], most: usize, how: Disposition) {
        self.put_ports(descriptor & !0xff | how as u64, names, most);
    }

    /// Gives back rights that were to be moved; those of other dispositions stay where they are.
    fn release(descriptor: u64, names: &[PortName]) {
        names.iter().for_each(|name| drop(AnyRight::from_parts(descriptor as u8, *name)));
    }

    /// Adds bytes out of line: the receiver gets a copy of the pages they are in.
    pub fn put_out_of_line(&mut self, descriptor: u64, bytes: &[u8]) {
        self.words[0] |= COMPLEX;
        self.push(with_bytes(descriptor & !DEALLOCATE, bytes.len()));
        self.push(bytes.as_ptr().addr() as u64);
    }

    /// Adds an array out of line, from a copy that is given back when the message is sent.
    pub fn put_out_of_line_items<T: Item>(&mut self, descriptor: u64, values: &[T]) {
        match OutOfLine::copy_of(&bytes_of_items(values)) {
            Ok(copy) => {
                self.put_out_of_line(descriptor, copy.as_slice());
                self.held.push(copy);
            }
            Err(error) => self.fail(error),
        }
    }

    /// Adds memory out of line that goes over to the receiver.
    pub fn put_moved(&mut self, descriptor: u64, memory: OutOfLine) {
        let (address, size) = memory.into_parts();
        self.words[0] |= COMPLEX;
        self.push(with_bytes(descriptor | DEALLOCATE, size as usize));
        self.push(address);
    }

    /// Adds an array that goes inline up to `most` elements, else out of line in memory that goes over to the receiver.
    pub fn put_either_moved<T: Item>(&mut self, descriptor: u64, values: &[T], most: usize) {
        if values.len() <= most {
            return self.put_array(descriptor, values, most);
        }
        match OutOfLine::copy_of(&bytes_of_items(values)) {
            Ok(copy) => self.put_moved(descriptor & !INLINE, copy),
            Err(error) => self.fail(error),
        }
    }

    /// Adds rights, inline up to `most` and else out of line in memory that goes over to the receiver.
    pub fn put_rights(&mut self, descriptor: u64, names: &[PortName], most: usize) {
        if names.len() <= most && descriptor & INLINE != 0 {
            return self.put_ports(descriptor, names, most);
        }
        // Out of line rights are 32-bit names.
        let descriptor = descriptor & !INLINE & !0xff_ff00 | 32 << 8;
        match OutOfLine::copy_of(&bytes_of_items(names)) {
            Ok(copy) => self.put_moved(descriptor, copy),
            Err(error) => {
                Self::release(descriptor, names);
                self.fail(error);
            }
        }
    }

    /// Adds an array that goes inline up to `most` elements, else out of line.
    pub fn put_either<T: Item>(&mut self, descriptor: u64, values: &[T], most: usize) {
        if values.len() <= most {
            self.put_array(descriptor, values, most);
        } else {
            self.put_out_of_line_items(descriptor & !INLINE, values);
        }
    }

    /// Sends a request that has no reply. `option` is added to the options; a reply port is only named, for a reply that
    /// comes some other way.
    pub fn send(mut self, option: u32, reply_to: Option<(PortName, Disposition)>) -> Result<()> {
        self.wrong.map_or(Ok(()), Err)?;
        self.set_reply_port(reply_to);
        let size = self.set_size();
        let answer = mach_msg(self.words, MACH_SEND_MSG | option, size, 0, PortName::NULL, 0, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result()
    }

    /// Sends a request and waits for its reply, `timeout` milliseconds at most if one is given. The reply must have
    /// between `min` and `max` bytes, or be the error reply.
    pub fn call(
        mut self,
        option: u32,
        timeout: Option<u32>,
        reply_to: Option<PortName>,
        reply: (u32, u32, Complexity),
    ) -> Result<Incoming<'a>> {
        self.wrong.map_or(Ok(()), Err)?;
        let id = (self.words[3] >> 32) as u32;
        let port = reply_to.unwrap_or_else(reply_port);
        self.set_reply_port(Some((port, Disposition::MakeSendOnce)));
        let size = self.set_size();
        let room = size_of_val(self.words) as u32;
        let timed = if timeout.is_some() { MACH_RCV_TIMEOUT } else { 0 };
        let option = MACH_SEND_MSG | MACH_RCV_MSG | timed | option;
        let answer = mach_msg(self.words, option, size, room, port, timeout.unwrap_or(0), PortName::NULL);
        let forget = || {
            // What still comes must not be taken for that of a later request.
            if reply_to.is_none() {
                drop(ReceiveRight::from_name(forget_reply_port()));
            }
        };
        // A send that failed may have made the reply right already and destroyed it, which is a message to the port, too.
        KernReturn::from_mach_msg(answer).into_result().inspect_err(|_| forget())?;
        let Self { words, .. } = self;
        let found = (words[3] >> 32) as u32;
        let incoming = Incoming::new(words, KernReturn::MIG_TYPE_ERROR);
        match found {
            _ if found == id.wrapping_add(REPLY_ID_OFFSET) => incoming.reply(reply),
            NOTIFY_SEND_ONCE => Err(KernReturn::MIG_SERVER_DIED),
            _ => {
                forget();
                Err(KernReturn::MIG_REPLY_MISMATCH)
            }
        }
    }

    fn set_reply_port(&mut self, reply_to: Option<(PortName, Disposition)>) {
        if let Some((name, how)) = reply_to {
            self.words[0] |= (how as u64) << 8;
            self.words[2] = name.0.into();
        }
    }

    /// Writes the size into the header and returns it.
    fn set_size(&mut self) -> u32 {
        let size = (self.used * 8) as u32;
        self.words[0] = self.words[0] & 0xffff_ffff | u64::from(size) << 32;
        size
    }

    /// Completes a reply: with its items if all is well, else with the return code alone.
    pub(super) fn complete(mut self, result: Result<()>) {
        if let Err(error) = result.and(self.wrong.map_or(Ok(()), Err)) {
            self.used = HEADER_WORDS + 2;
            self.words[0] &= !COMPLEX;
            self.words[HEADER_WORDS + 1] = u64::from(error.0 as u32);
        }
        self.set_size();
    }
}

/// Largest item: a struct or fixed array within an array.
const MAX_ITEM: usize = 2048;

/// Items one after the other, as they stand out of line.
fn bytes_of_items<T: Item>(values: &[T]) -> Vec<u8> {
    let mut bytes = alloc::vec![0; values.len() * T::SIZE];
    for (value, place) in values.iter().zip(bytes.chunks_mut(T::SIZE)) {
        value.write(place);
    }
    bytes
}

/// The descriptor with the number of basic items that `bytes` bytes are.
fn with_bytes(descriptor: u64, bytes: usize) -> u64 {
    let bits = (descriptor >> 8) & 0xffff;
    let number = (bytes as u64 * 8).checked_div(bits).unwrap_or(0);
    descriptor & 0xffff_ffff | number << 32
}
