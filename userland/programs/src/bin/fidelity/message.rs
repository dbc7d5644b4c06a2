// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are nearly right: headers and bodies drawn from everything that `mach_msg` knows, and some things it does not.

use mach::error::Result;
use mach::memory::{PAGE_SIZE, Pages};
use mach::port::PortName;
use mach::sys::wild::Arena;
use mach::{stubs, task_self};
use mach_abi::descriptor::{DEALLOCATE, INLINE, LONGFORM};
use mach_abi::header::{self, LP64, MACH_MSGH_BITS_COMPLEX};
use mach_abi::{Descriptor, Format, type_name as tn};
use programs::random::Random;
use programs::requests::DISPOSITIONS;

use crate::hash::Hash;
use crate::kernel;

/// Type names of data with their sizes in bits; the last one is none of the kernel's.
const KINDS: [(u32, u32); 6] =
    [(tn::BYTE, 8), (tn::INTEGER_32, 32), (tn::INTEGER_16, 16), (tn::INTEGER_64, 64), (tn::PORT_NAME, 32), (3, 32)];
/// The descriptor of one integer of 32 bits, but for its number.
const INTEGER: u32 = Descriptor::inline(tn::INTEGER_32, 32, 0).to_word() as u32;

/// The kernel's replies carry whatever its heap held behind data that does not fill 8 bytes.
pub(crate) fn clear_kernel_padding(message: &mut [u8]) {
    // Whatever the request was, an error reply is a header and an integer.
    let is_error =
        word(message, LP64.size) as usize == Format::Lp64.error_reply_size() && word(message, LP64.end) == INTEGER;
    if !is_error && !kernel::is_reply(word(message, LP64.id)) {
        return;
    }
    let mut at = LP64.end;
    while let Some(item) = Item::at(message, at) {
        let end = item.data + if item.inline { item.bytes as usize } else { 8 };
        at = end.next_multiple_of(8);
        if let Some(padding) = message.get_mut(end..at) {
            padding.fill(0);
        }
    }
}

fn word(message: &[u8], at: usize) -> u32 {
    message.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// One item of a message's body.
struct Item {
    inline: bool,
    /// Of its data, wherever they are.
    bytes: u64,
    /// Where its data or their address are.
    data: usize,
}

impl Item {
    /// The item that begins there, if one does.
    fn at(message: &[u8], at: usize) -> Option<Self> {
        let descriptor = Descriptor::read(Format::Lp64, message, at).unwrap_or_default();
        let bytes = u64::from(descriptor.size) * u64::from(descriptor.number) / 8;
        let data = at + descriptor.bytes(Format::Lp64);
        (data <= word(message, LP64.size) as usize).then_some(Self { inline: descriptor.inline, bytes, data })
    }
}

/// Memory that messages send out of line.
pub(crate) struct Supply {
    bytes: Pages,
    names: Pages,
}

impl Supply {
    pub(crate) fn new() -> Result<Self> {
        let (mut bytes, names) = (Pages::allocate(4 * PAGE_SIZE)?, Pages::allocate(PAGE_SIZE)?);
        for (index, byte) in bytes.as_mut_slice().iter_mut().enumerate() {
            *byte = (index % 251) as u8;
        }
        Ok(Self { bytes, names })
    }

    /// A region of a message's own, which it may unmap.
    pub(crate) fn fresh(&self) -> Result<u64> {
        let mut address = 0;
        stubs::mach::vm_allocate(task_self(), &mut address, 2 * PAGE_SIZE, true)?;
        Ok(address)
    }

    /// Where its bytes are: four pages.
    pub(crate) fn address(&self) -> u64 {
        self.bytes.address()
    }

    fn owns(&self, address: u64) -> bool {
        [&self.bytes, &self.names]
            .iter()
            .any(|pages| (pages.address()..pages.address() + pages.size()).contains(&address))
    }
}

/// Words of 32 bits written one after the other.
pub(crate) struct Writer<'a> {
    to: &'a mut [u8],
    pub(crate) used: usize,
}

impl<'a> Writer<'a> {
    /// For a body.
    pub(crate) fn behind_header(to: &'a mut [u8]) -> Self {
        Self { to, used: LP64.end }
    }

    fn word(&mut self, word: u32) {
        if let Some(place) = self.to.get_mut(self.used..self.used + 4) {
            place.copy_from_slice(&word.to_le_bytes());
            self.used += 4;
        }
    }

    pub(crate) fn long(&mut self, long: u64) {
        self.word(long as u32);
        self.word((long >> 32) as u32);
    }

    pub(crate) fn descriptor(&mut self, kind: u32, size: u32, number: u32, flags: u32) {
        self.word(kind | size << 8 | flags);
        self.word(number);
    }
}

/// Writes a header.
pub(crate) fn header(to: &mut [u8], bits: u32, remote: PortName, local: PortName, id: u32) {
    let mut writer = Writer { to, used: 0 };
    for word in [bits, 0, remote.0, 0, local.0, 0, 0, id] {
        writer.word(word);
    }
}

/// Draws the bits of a header.
pub(crate) fn bits(random: &mut Random) -> u32 {
    let remote = match random.below(20) {
        0 => 0,
        1 => random.below(32) as u32,
        2..9 => tn::COPY_SEND,
        _ => random.pick(&DISPOSITIONS, tn::COPY_SEND),
    };
    let local = match random.below(20) {
        0..8 => 0,
        8 => random.below(32) as u32,
        9..14 => tn::MAKE_SEND_ONCE,
        _ => random.pick(&DISPOSITIONS, tn::MAKE_SEND),
    };
    let complex = if random.percent(45) { MACH_MSGH_BITS_COMPLEX } else { 0 };
    let junk = if random.percent(3) { random.word() as u32 & 0x7fff_0000 } else { 0 };
    header::bits(remote, local) | complex | junk
}

/// Writes a body behind the header and returns the size of the message. `name` draws a port name.
pub(crate) fn body(
    to: &mut [u8],
    random: &mut Random,
    supply: &mut Supply,
    mut name: impl FnMut(&mut Random) -> PortName,
) -> Result<u32> {
    let mut writer = Writer::behind_header(to);
    for _ in 0..random.below(5) {
        match random.below(12) {
            0..4 => bytes(&mut writer, random),
            4..8 => rights(&mut writer, random, &mut name),
            8 | 9 => out_of_line(&mut writer, random, supply)?,
            10 => out_of_line_rights(&mut writer, random, supply, &mut name),
            _ => writer.long(random.word() & random.word()),
        }
    }
    Ok(writer.used as u32)
}

/// Writes a body that nothing is wrong with: a refused one would leave a send-once notification in the server's queue.
/// `port` is a receive right, if there is one.
pub(crate) fn sound_body(to: &mut [u8], random: &mut Random, supply: &Supply, port: Option<PortName>) -> u32 {
    let mut writer = Writer::behind_header(to);
    for _ in 0..random.below(4) {
        match (random.below(4), port) {
            (0, Some(port)) => {
                let kind = random.pick(&[tn::MAKE_SEND, tn::MAKE_SEND_ONCE], tn::MAKE_SEND);
                descriptor(&mut writer, random, kind, 64, 1, INLINE);
                writer.long(port.0.into());
            }
            (1, _) => {
                let size = random.pick(&[0, 1, 100, 4096, 4097], 1);
                descriptor(&mut writer, random, tn::BYTE, 8, size, 0);
                writer.long(supply.bytes.address() + random.below(PAGE_SIZE));
            }
            _ => bytes(&mut writer, random),
        }
    }
    writer.used as u32
}

fn descriptor(writer: &mut Writer<'_>, random: &mut Random, kind: u32, size: u32, number: u32, flags: u32) {
    // On a 64-bit kernel the long form differs by its flag only.
    let long_form = if random.percent(10) { LONGFORM } else { 0 };
    writer.descriptor(kind, size, number, flags | long_form);
}

fn bytes(writer: &mut Writer<'_>, random: &mut Random) {
    let number = if random.percent(10) { random.below(3000) } else { random.below(40) } as u32;
    let (kind, size) = random.pick(&KINDS, KINDS[0]);
    descriptor(writer, random, kind, size, number, INLINE);
    for _ in 0..(number * size).div_ceil(64) {
        writer.long(random.word());
    }
}

fn rights(writer: &mut Writer<'_>, random: &mut Random, name: &mut impl FnMut(&mut Random) -> PortName) {
    let kind = random.pick(&DISPOSITIONS, tn::COPY_SEND);
    let number = 1 + random.below(3) as u32;
    let size = if random.percent(3) { 32 } else { 64 };
    descriptor(writer, random, kind, size, number, INLINE);
    for _ in 0..number {
        writer.long(name(random).0.into());
    }
}

fn out_of_line(writer: &mut Writer<'_>, random: &mut Random, supply: &Supply) -> Result<()> {
    let size = random.pick(&[0, 1, 7, 100, 4095, 4096, 4097, 8000], 1);
    let (address, flags) = match random.below(8) {
        0 | 1 => (supply.fresh()?, DEALLOCATE),
        2 => (random.pick(&[0, 0x1000, 0xffff_ffff_8100_0000, 0x7000_0000_0000], 0), 0),
        _ => (supply.bytes.address() + random.below(PAGE_SIZE), 0),
    };
    descriptor(writer, random, tn::BYTE, 8, size, flags);
    writer.long(address);
    Ok(())
}

fn out_of_line_rights(
    writer: &mut Writer<'_>,
    random: &mut Random,
    supply: &mut Supply,
    name: &mut impl FnMut(&mut Random) -> PortName,
) {
    let number = random.below(6) as u32;
    for place in supply.names.as_mut_slice().chunks_mut(4).take(number as usize) {
        place.copy_from_slice(&name(random).0.to_le_bytes());
    }
    let kind = random.pick(&DISPOSITIONS, tn::COPY_SEND);
    descriptor(writer, random, kind, 32, number, 0);
    writer.long(supply.names.address());
}

/// Reads the memory that a message brought into the hash and unmaps it.
pub(crate) fn take_memory(arena: &Arena, supply: Option<&Supply>, hash: &mut Hash) {
    let message = arena.as_slice();
    if word(message, LP64.bits) & MACH_MSGH_BITS_COMPLEX == 0 {
        return;
    }
    let mut at = LP64.end;
    while let Some(Item { inline, bytes, data }) = Item::at(message, at) {
        at = data + if inline { bytes.next_multiple_of(8) as usize } else { 8 };
        let address = u64::from(word(message, data)) | u64::from(word(message, data + 4)) << 32;
        if inline || bytes == 0 || address == 0 || supply.is_some_and(|supply| supply.owns(address)) {
            continue;
        }
        if let Ok(copy) = stubs::mach::vm_read(task_self(), address, bytes) {
            hash.bytes(copy.as_slice());
        }
        let start = mach::memory::page_floor(address);
        let end = mach::memory::page_ceiling(address + bytes).unwrap_or(address);
        hash.word(u64::from(stubs::mach::vm_deallocate(task_self(), start, end - start).is_ok()));
    }
}

/// A send size that is right, nearly right, or wrong.
pub(crate) fn lie_about(random: &mut Random, size: u32) -> u32 {
    match random.below(25) {
        0 => size.wrapping_sub(8),
        1 => size + 8,
        2 => size.wrapping_add(random.below(8) as u32),
        3 => random.below(40) as u32,
        4 => random.pick(&[60_000, 0x2_0000, 0x10_0000, 0x7fff_ffb8, 0x7fff_fff0, 0x7fff_fff8, 0x7fff_fffc], 0),
        5 => size.wrapping_sub(4),
        _ => size,
    }
}

/// Room for a message, or too little.
pub(crate) fn receive_size(random: &mut Random) -> u32 {
    match random.below(10) {
        0 => random.below(100) as u32,
        1 => random.word() as u32,
        _ => 8192,
    }
}
