// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages built and taken apart by hand: for a program whose message has no MIG definition, such as a demonstration of
//! what `mach_msg` does. RPCs do not come through here.

use alloc::vec::Vec;

use mach_abi::header::{bits, word};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, MACH_SEND_TIMEOUT};
use mach_abi::{Descriptor, header, type_name};

use crate::error::KernReturn;
use crate::mig::{COMPLEX, Incoming, MOVE_SEND, OutOfLinePorts};
use crate::port::{Disposition, PortName, ReceiveRight, SendOnceRight, SendRight};
use crate::sys::msg::mach_msg;

/// A message to send.
#[derive(Clone, Debug)]
pub struct Message {
    words: Vec<u64>,
}

impl Message {
    /// An empty message with this id to this port.
    pub fn new(id: i32, to: PortName, how: Disposition) -> Self {
        let words = alloc::vec![u64::from(how as u32), u64::from(to.0), 0, u64::from(id as u32) << 32,];
        Self { words }
    }

    /// Names the port that a reply is to go to.
    #[must_use]
    pub fn reply_to(mut self, reply: PortName, how: Disposition) -> Self {
        self.words[word::BITS] |= u64::from(bits(0, how as u32));
        self.words[word::LOCAL_PORT] = u64::from(reply.0);
        self
    }

    /// Adds a 32-bit integer.
    #[must_use]
    pub fn integer(mut self, value: u32) -> Self {
        self.words.extend([Descriptor::inline(type_name::INTEGER_32, 32, 1).to_word(), u64::from(value)]);
        self
    }

    /// Adds bytes in the message.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.words.push(Descriptor::inline(type_name::BYTE, 8, bytes.len() as u32).to_word());
        self.words.extend(bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        }));
        self
    }

    /// Adds a right.
    #[must_use]
    pub fn port(mut self, name: PortName, how: Disposition) -> Self {
        self.complex();
        self.words.extend([Descriptor::inline(how as u32, 64, 1).to_word(), u64::from(name.0)]);
        self
    }

    /// Adds memory out of line: `size` bytes at `address`, copied (and here unmapped, if `deallocate`) when it is sent.
    #[must_use]
    pub fn out_of_line(mut self, address: u64, size: u32, deallocate: bool) -> Self {
        self.complex();
        let bytes = Descriptor { inline: false, deallocate, ..Descriptor::inline(type_name::BYTE, 8, size) };
        self.words.extend([bytes.to_word(), address]);
        self
    }

    /// Adds rights out of line: so many of these names, which are read when it is sent.
    #[must_use]
    pub fn ports_out_of_line(self, names: &[PortName], how: Disposition) -> Self {
        // The kernel reads them as words of 32 bits.
        let descriptor = Descriptor { inline: false, ..Descriptor::inline(how as u32, 32, names.len() as u32) };
        self.item(descriptor, &[names.as_ptr().addr() as u64])
    }

    /// Adds an item of any kind: a descriptor and the words of its data, or of its address. With rights or memory the message is complex.
    #[must_use]
    pub fn item(mut self, descriptor: Descriptor, data: &[u64]) -> Self {
        if descriptor.is_port() || !descriptor.inline {
            self.complex();
        }
        self.words.push(descriptor.to_word());
        self.words.extend(data);
        self
    }

    fn complex(&mut self) {
        self.words[word::BITS] |= COMPLEX;
    }

    /// Says that it may hold rights or memory, though no item of it does.
    #[must_use]
    pub fn said_complex(mut self) -> Self {
        self.complex();
        self
    }

    /// Says that it holds neither rights nor memory, whatever its items are: the kernel then looks at none of them.
    #[must_use]
    pub fn said_simple(mut self) -> Self {
        self.words[word::BITS] &= !COMPLEX;
        self
    }

    /// The words after the header.
    pub fn body(&self) -> &[u64] {
        &self.words[word::BODY..]
    }

    /// Size in bytes.
    pub fn size(&self) -> u32 {
        size_of_val(&self.words[..]) as u32
    }

    /// Sends it; with a timeout in milliseconds if one is given. The message can be sent again.
    ///
    /// A message that timed out comes back with its rights, copied and made ones included, as rights to move. They are
    /// released again here, except where the message was to move them: those are the caller's, as before.
    pub fn send(&mut self, timeout: Option<u32>) -> KernReturn {
        let option = MACH_SEND_MSG | timeout.map_or(0, |_| MACH_SEND_TIMEOUT);
        let size = self.size();
        self.words[word::BITS] = self.words[word::BITS] & 0xffff_ffff | u64::from(size) << 32;
        let mut words = self.words.clone();
        let answer = mach_msg(&mut words, option, size, 0, PortName::NULL, timeout.unwrap_or(0), PortName::NULL);
        let answer = KernReturn::from_mach_msg(answer);
        if matches!(answer, KernReturn::MACH_SEND_TIMED_OUT | KernReturn::MACH_SEND_INTERRUPTED) {
            self.release_copies(words);
        }
        answer
    }

    /// Sends it as [`Message::send`] does, but with no size in its header: `mach_msg` is told the size anyway.
    pub fn send_without_size(&self) -> KernReturn {
        let mut words = self.words.clone();
        let none = PortName::NULL;
        KernReturn::from_mach_msg(mach_msg(&mut words, MACH_SEND_MSG, self.size(), 0, none, 0, none))
    }

    /// Sends it and waits for a message on `port` that is at most `limit` bytes long, both with one call of `mach_msg`.
    pub fn exchange(&self, port: &ReceiveRight, limit: u32) -> Result<Received, KernReturn> {
        let mut words = self.words.clone();
        words[word::BITS] |= u64::from(self.size()) << 32;
        words.resize(words.len().max(limit.div_ceil(8) as usize), 0);
        let option = MACH_SEND_MSG | MACH_RCV_MSG;
        let answer = mach_msg(&mut words, option, self.size(), limit, port.name(), 0, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().map(|()| Received { words })
    }

    /// Releases what a message that came back holds beyond what it was built with.
    fn release_copies(&self, returned: Vec<u64>) {
        let moved = |how: u8| disposition(how).is_some();
        let built = Received { words: self.words.clone() };
        let returned = Received { words: returned };
        let kinds = |words: &[u64]| [header::remote, header::local].map(|kind| kind(words[word::BITS] as u32) as u8);
        let names = [returned.reply_port(), returned.port()];
        for ((built, returned), name) in kinds(&self.words).into_iter().zip(kinds(&returned.words)).zip(names) {
            if !moved(built) {
                release(returned, name);
            }
        }
        for (built, returned) in built.items().zip(returned.items()) {
            if let (Item::Other(_), Item::Port(name, how)) = (built, returned) {
                release(how as u8, name);
            }
        }
    }
}

/// Gives back everything that a received message brought, of which nothing has been taken.
pub fn destroy(message: &[u64]) {
    if let [bits, reply, ..] = message {
        release(*bits as u8, PortName(*reply as u32));
    }
    destroy_body(message);
}

/// The name of the only right that a received message has brought, if all else in it are data: a send right that comes first in its body.
/// The reference is the caller's to give back.
pub fn only_right(message: &[u64]) -> Option<PortName> {
    let size = (message.first()? >> 32) as usize;
    let words = message.get(..size / size_of::<u64>())?;
    let [right, name] = *words.get(word::BODY..)?.first_chunk()?;
    let is_right =
        words[word::BITS] & COMPLEX != 0 && right == Descriptor::inline(type_name::PORT_SEND, 64, 1).to_word();
    if !is_right || header::remote(words[word::BITS] as u32) != 0 {
        return None;
    }
    let mut rest = words.get(word::BODY + 2..)?;
    while let [descriptor, data @ ..] = rest {
        let descriptor = Descriptor::from_word(*descriptor);
        if descriptor.is_port() || !descriptor.inline {
            return None;
        }
        rest = data.get(descriptor.data_size().div_ceil(size_of::<u64>() as u64) as usize..)?;
    }
    Some(PortName(name as u32))
}

/// Gives back the rights and the memory in the body of a received message that nobody is going to look at. The rights in
/// its header stay as they are. What only looks like a right, because the kernel has not looked at it, is left alone.
pub fn destroy_body(message: &[u64]) {
    drop(Incoming::new(message, KernReturn::MIG_BAD_ARGUMENTS));
}

/// Drops a right that came back in a message.
fn release(how: u8, name: PortName) {
    match disposition(how) {
        Some(Disposition::MoveSend) => drop(SendRight::from_name(name)),
        Some(Disposition::MoveSendOnce) => drop(SendOnceRight::from_name(name)),
        _ => {}
    }
}

/// A message that was received. The rights in it belong to the receiver, who takes them out by name.
#[derive(Clone, Debug)]
pub struct Received {
    words: Vec<u64>,
}

/// One item of a message body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// 32-bit integers, or port names as numbers, which own nothing.
    Integers(&'a [u8]),
    /// Bytes in the message.
    Bytes(&'a [u8]),
    /// A right, and which kind.
    Port(PortName, Disposition),
    /// Memory out of line.
    OutOfLine {
        /// Where the kernel mapped it.
        address: u64,
        /// How many bytes.
        size: u64,
    },
    /// Anything else, by its `mach_msg_type_name_t`.
    Other(u8),
}

impl Received {
    /// Waits for a message on `port` that is at most `limit` bytes long; with a timeout in milliseconds if one is given.
    pub fn receive(port: &ReceiveRight, limit: u32, timeout: Option<u32>) -> Result<Self, KernReturn> {
        Self::receive_with(port.name(), 0, limit, timeout).map_err(|(error, _)| error)
    }

    /// Waits for a message as [`Received::receive`] does, with further options and on any name. Also on failure the header that the kernel left in the buffer is
    /// returned, because that is where `MACH_RCV_TOO_LARGE` says how large the message is.
    pub fn receive_with(
        name: PortName,
        option: u32,
        limit: u32,
        timeout: Option<u32>,
    ) -> Result<Self, (KernReturn, Self)> {
        let room = (limit as usize).div_ceil(8).max(word::BODY);
        let mut words = alloc::vec![0; room];
        let option = option | MACH_RCV_MSG | timeout.map_or(0, |_| MACH_RCV_TIMEOUT);
        let answer = mach_msg(&mut words, option, 0, limit, name, timeout.unwrap_or(0), PortName::NULL);
        let received = Self { words };
        match KernReturn::from_mach_msg(answer).into_result() {
            Ok(()) => Ok(received),
            Err(error) => Err((error, received)),
        }
    }

    /// `msgh_id`.
    pub fn id(&self) -> i32 {
        (self.words[word::ID] >> 32) as i32
    }

    /// `msgh_size`.
    pub fn size(&self) -> u32 {
        (self.words[word::BITS] >> 32) as u32
    }

    /// `msgh_seqno`.
    pub fn seqno(&self) -> u32 {
        self.words[word::ID] as u32
    }

    /// The right a reply goes to, with its kind; a send-once right from most clients. The receiver owns it.
    pub fn reply_port(&self) -> PortName {
        PortName(self.words[word::REMOTE_PORT] as u32)
    }

    /// The port it came to: the name of its receive right.
    pub fn port(&self) -> PortName {
        PortName(self.words[word::LOCAL_PORT] as u32)
    }

    /// The words after the header.
    pub fn body(&self) -> &[u64] {
        let end = (self.size() as usize / 8).min(self.words.len());
        self.words.get(word::BODY..end).unwrap_or_default()
    }

    /// Sends it to whoever waits for an answer to it, as it is: with its id, its items and what the header says of both ports, though it
    /// names no port for an answer any more.
    pub fn send_back(mut self) -> KernReturn {
        self.words[word::LOCAL_PORT] = 0;
        let (size, none) = (self.size(), PortName::NULL);
        KernReturn::from_mach_msg(mach_msg(&mut self.words, MACH_SEND_MSG, size, 0, none, 0, none))
    }

    /// Takes send rights that came out of line, as the message's only item.
    pub fn into_ports_out_of_line(self) -> Result<OutOfLinePorts, KernReturn> {
        if self.words[word::BITS] & COMPLEX == 0 {
            return Err(KernReturn::MIG_TYPE_ERROR);
        }
        Incoming::new(&self.words, KernReturn::MIG_TYPE_ERROR).take_far_rights(MOVE_SEND.out_of_line())
    }

    /// The items of the body; an array of rights is one item for each. Ends early where the body does not hold what its
    /// descriptors say.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let mut rest = self.body();
        let mut ports: Option<(&[u64], Disposition)> = None;
        core::iter::from_fn(move || {
            loop {
                if let Some((names, how)) = ports
                    && let [name, others @ ..] = names
                {
                    ports = Some((others, how));
                    return Some(Item::Port(PortName(*name as u32), how));
                }
                let next = next_item(rest)?;
                rest = next.1;
                match next.0 {
                    Found::Item(item) => return Some(item),
                    Found::Ports(names, how) => ports = Some((names, how)),
                }
            }
        })
    }
}

/// What a descriptor describes: rights may be several.
enum Found<'a> {
    Item(Item<'a>),
    Ports(&'a [u64], Disposition),
}

/// What stands first in a body, and what follows it.
fn next_item(body: &[u64]) -> Option<(Found<'_>, &[u64])> {
    let (&word, data) = body.split_first()?;
    let descriptor = Descriptor::from_word(word);
    let name = descriptor.name;
    let bytes = usize::try_from(u64::from(descriptor.number) * u64::from(descriptor.size) / 8).ok()?;
    if !descriptor.inline {
        let (&address, after) = data.split_first()?;
        return Some((Found::Item(Item::OutOfLine { address, size: bytes as u64 }), after));
    }
    let (words, after) = data.split_at_checked(bytes.div_ceil(8))?;
    if let Some(how) = disposition(name) {
        return Some((Found::Ports(words, how), after));
    }
    let data = crate::sys::memory::bytes_of(words).get(..bytes)?;
    let item = match u32::from(name) {
        type_name::INTEGER_32 | type_name::PORT_NAME => Item::Integers(data),
        type_name::BYTE | type_name::CHAR => Item::Bytes(data),
        _ => Item::Other(name),
    };
    Some((Found::Item(item), after))
}

/// The right that a received descriptor's name means. Received rights carry the names of moved ones.
fn disposition(name: u8) -> Option<Disposition> {
    match u32::from(name) {
        type_name::PORT_RECEIVE => Some(Disposition::MoveReceive),
        type_name::PORT_SEND => Some(Disposition::MoveSend),
        type_name::PORT_SEND_ONCE => Some(Disposition::MoveSendOnce),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    const TO: PortName = PortName(0x11);

    /// The message as a receiver would have it.
    fn received(message: &Message) -> Received {
        let mut words = message.words.clone();
        words[word::BITS] |= u64::from(message.size()) << 32;
        Received { words }
    }

    #[test]
    fn descriptors_are_those_of_mig() {
        let message = Message::new(6000, TO, Disposition::CopySend)
            .reply_to(PortName(0x22), Disposition::MakeSendOnce)
            .integer(5)
            .bytes(b"ninebytes")
            .port(PortName(0x33), Disposition::MoveSend)
            .out_of_line(0x1000, 16, true);
        let expected = [
            0x8000_1513,
            0x11,
            0x22,
            6000 << 32,
            0x0000_0001_2000_2002,
            5,
            0x0000_0009_2000_0809,
            u64::from_le_bytes(*b"ninebyte"),
            u64::from(b's'),
            0x0000_0001_2000_4011,
            0x33,
            0x0000_0010_8000_0809,
            0x1000,
        ];
        assert_eq!(message.words, expected);
        assert_eq!(message.size(), 104);
    }

    #[test]
    fn what_is_built_is_read_back() {
        let message = Message::new(-7, TO, Disposition::CopySend)
            .integer(5)
            .bytes(b"abc")
            .port(PortName(0x33), Disposition::MoveReceive)
            .out_of_line(0x1000, 16, false);
        let received = received(&message);
        assert_eq!((received.id(), received.size()), (-7, message.size()));
        let expected = [
            Item::Integers(&[5, 0, 0, 0]),
            Item::Bytes(b"abc"),
            Item::Port(PortName(0x33), Disposition::MoveReceive),
            Item::OutOfLine { address: 0x1000, size: 16 },
        ];
        assert_eq!(received.items().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_array_of_rights_is_one_item_for_each() {
        let words = vec![0x8000_0000 | 56 << 32, 0, 0, 0, 0x0000_0002_2000_4011, 1, 2];
        let items: Vec<_> = Received { words }.items().map(|item| format!("{item:?}")).collect();
        assert_eq!(items, ["Port(PortName(1), MoveSend)", "Port(PortName(2), MoveSend)"]);
    }

    #[test]
    fn a_body_that_ends_early_ends_the_items() {
        let whole = received(&Message::new(1, TO, Disposition::CopySend).integer(1).bytes(&[7; 20]));
        for length in 4..whole.words.len() {
            let cut = Received { words: whole.words[..length].to_vec() };
            assert_eq!(cut.items().count(), usize::from(length >= 6), "{length} words");
        }
        let nonsense = Received { words: vec![u64::MAX; 9] };
        assert_eq!(nonsense.items().count(), 0);
    }
}
