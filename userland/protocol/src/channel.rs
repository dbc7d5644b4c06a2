// SPDX-License-Identifier: GPL-2.0-or-later
//! Console channels: one serial line carries several streams, told apart by switch marks.
//!
//! A mark is the byte [`MARK`], a [`Key`] and a channel's letter; every byte after it belongs to that channel, until the next mark.
//! The host tool makes up a key for each run, and only the boot server and rpctrace2 are told it: so a program can print no mark.
//! The mark of the programs' own channel has no key, and is one only outside of that channel: there it is ordinary text.
//! The line starts in [`Channel::Kernel`]. A mark byte before anything else is an ordinary byte.

/// The byte that begins a switch mark.
pub const MARK: u8 = 0x01;

/// Bytes in a key.
pub const KEY_LENGTH: usize = 5;

/// Most bytes in a switch mark.
pub const SWITCH_LENGTH: usize = KEY_LENGTH + 2;

/// What stands in the marks of one run. A machine that no host tool reads has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(Option<[u8; KEY_LENGTH]>);

impl Key {
    /// Marks without a key.
    pub const NONE: Self = Self(None);

    /// A key of these letters and digits. `None` if it is something else, which a boot script could take for its own, or begins like
    /// the mark that has no key.
    pub fn new(text: &[u8]) -> Option<Self> {
        let key = <[u8; KEY_LENGTH]>::try_from(text).ok()?;
        let is_plain = key.iter().all(u8::is_ascii_alphanumeric);
        (is_plain && key[0] != Channel::Console as u8).then_some(Self(Some(key)))
    }

    /// Its bytes, none if it is [`Key::NONE`].
    pub const fn bytes(&self) -> &[u8] {
        match &self.0 {
            Some(key) => key,
            None => &[],
        }
    }
}

/// The bytes of a switch mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    bytes: [u8; SWITCH_LENGTH],
    length: usize,
}

impl Mark {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    fn of(parts: [&[u8]; 3]) -> Self {
        let mut mark = Self { bytes: [0; SWITCH_LENGTH], length: 0 };
        for (place, byte) in mark.bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
            mark.length += 1;
        }
        mark
    }
}

/// One of the streams on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Channel {
    /// What the kernel and the boot server say while the system comes up.
    Kernel = b'k',
    /// The programs' own output.
    Console = b'c',
    /// The text of a trace.
    Trace = b't',
    /// A trace as it is kept, in lines of base64: what the kernel says meanwhile is none.
    Capture = b'd',
    /// Lines for the host tool, see [`crate::control`].
    Control = b'x',
}

impl Channel {
    /// The channel with this letter.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'k' => Some(Self::Kernel),
            b'c' => Some(Self::Console),
            b't' => Some(Self::Trace),
            b'd' => Some(Self::Capture),
            b'x' => Some(Self::Control),
            _ => None,
        }
    }

    /// The mark that switches to this channel.
    pub fn switch(self, key: &Key) -> Mark {
        let key = if self == Self::Console { &[] } else { key.bytes() };
        Mark::of([&[MARK], key, &[self as u8]])
    }
}

/// Takes the channels apart again. Keeps its place between calls, so input may be cut anywhere, even inside a mark.
#[derive(Clone, Debug)]
pub struct Demultiplexer {
    key: Key,
    channel: Channel,
    /// How many bytes of a mark have come.
    seen: usize,
    return_seen: bool,
}

impl Default for Demultiplexer {
    fn default() -> Self {
        Self::new(Key::NONE)
    }
}

impl Demultiplexer {
    /// For marks with this key.
    pub const fn new(key: Key) -> Self {
        Self { key, channel: Channel::Kernel, seen: 0, return_seen: false }
    }

    /// Calls `sink` with each byte of `input` and its channel. The terminal driver's `\r` before `\n` is dropped.
    pub fn feed(&mut self, input: &[u8], mut sink: impl FnMut(Channel, u8)) {
        for &byte in input {
            if self.seen > 0 {
                if self.is_next(byte) {
                    self.seen += 1;
                    continue;
                }
                let seen = core::mem::take(&mut self.seen);
                if let Some(channel) = self.marked(seen, byte) {
                    self.flush_return(&mut sink);
                    self.channel = channel;
                    continue;
                }
                self.ordinary(MARK, &mut sink);
                let key = self.key;
                key.bytes().iter().take(seen - 1).for_each(|&byte| self.ordinary(byte, &mut sink));
            }
            if byte == MARK {
                self.seen = 1;
            } else {
                self.ordinary(byte, &mut sink);
            }
        }
    }

    /// Whether the key goes on with this byte.
    fn is_next(&self, byte: u8) -> bool {
        self.key.bytes().get(self.seen - 1) == Some(&byte)
    }

    /// The channel of a mark that ends with `byte` after so many others.
    fn marked(&self, seen: usize, byte: u8) -> Option<Channel> {
        let channel = Channel::from_letter(byte)?;
        let is_whole = if channel == Channel::Console {
            seen == 1 && (self.channel != Channel::Console || self.key == Key::NONE)
        } else {
            seen == self.key.bytes().len() + 1
        };
        is_whole.then_some(channel)
    }

    fn ordinary(&mut self, byte: u8, sink: &mut impl FnMut(Channel, u8)) {
        if byte != b'\n' {
            self.flush_return(sink);
        }
        self.return_seen = byte == b'\r';
        if !self.return_seen {
            sink(self.channel, byte);
        }
    }

    fn flush_return(&mut self, sink: &mut impl FnMut(Channel, u8)) {
        if core::mem::take(&mut self.return_seen) {
            sink(self.channel, b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn demultiplex(pieces: &[&[u8]]) -> Vec<(Channel, String)> {
        demultiplex_with(Key::NONE, pieces)
    }

    fn demultiplex_with(key: Key, pieces: &[&[u8]]) -> Vec<(Channel, String)> {
        let mut output: Vec<(Channel, String)> = Vec::new();
        let mut demultiplexer = Demultiplexer::new(key);
        for piece in pieces {
            demultiplexer.feed(piece, |channel, byte| match output.last_mut() {
                Some((last, text)) if *last == channel => text.push(byte.into()),
                _ => output.push((channel, String::from(char::from(byte)))),
            });
        }
        output
    }

    #[test]
    fn channels_come_apart_wherever_the_input_is_cut() {
        let input = b"boot\r\n\x01chello\r\n\x01ttrace\x01cbye\r\n\x01xexit 0\r\n";
        let expected = [
            (Channel::Kernel, "boot\n".into()),
            (Channel::Console, "hello\n".into()),
            (Channel::Trace, "trace".into()),
            (Channel::Console, "bye\n".into()),
            (Channel::Control, "exit 0\n".into()),
        ];
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            assert_eq!(demultiplex(&[head, tail]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_a_program_prints_is_no_mark_of_a_run_with_a_key() {
        let key = Key::new(b"a1b2c").unwrap();
        let input =
            b"boot\r\n\x01chello\x01xexit 0\n\x01a1b2d\x01a1b\x01cx\x01a1b2ct1\r\n\x01c\x01a\x01a1b2cxexit 7\r\n";
        let expected = [
            (Channel::Kernel, "boot\n".into()),
            (Channel::Console, "hello\x01xexit 0\n\x01a1b2d\x01a1b\x01cx".into()),
            (Channel::Trace, "1\n".into()),
            (Channel::Console, "\x01a".into()),
            (Channel::Control, "exit 7\n".into()),
        ];
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            assert_eq!(demultiplex_with(key, &[head, tail]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn keys_are_letters_and_digits() {
        assert!(Key::new(b"aZ019").is_some());
        for text in [&b"aZ01"[..], b"aZ0123", b"a,b c", b"a$bcd", b"", b"c1234"] {
            assert_eq!(Key::new(text), None);
        }
    }

    #[test]
    fn a_mark_before_another_byte_is_ordinary() {
        assert_eq!(demultiplex(&[b"a\x01zb"]), [(Channel::Kernel, "a\x01zb".into())]);
        assert_eq!(demultiplex(&[b"\x01\x01cd"]), [(Channel::Kernel, "\x01".into()), (Channel::Console, "d".into())]);
    }

    #[test]
    fn only_a_return_before_a_line_end_is_dropped() {
        assert_eq!(demultiplex(&[b"50%\r60%\r\r\n"]), [(Channel::Kernel, "50%\r60%\r\n".into())]);
    }

    #[test]
    fn every_letter_names_its_channel() {
        for channel in [Channel::Kernel, Channel::Console, Channel::Trace, Channel::Capture, Channel::Control] {
            let mark = channel.switch(&Key::NONE);
            assert_eq!(mark.bytes().last().copied().and_then(Channel::from_letter), Some(channel));
            assert_eq!(mark.bytes().len(), 2);
        }
        assert_eq!(Channel::from_letter(b'?'), None);
    }
}
