//! Console channels: one serial line carries several streams, told apart by switch marks.
//!
//! A mark is the byte [`MARK`] and a channel's letter; every byte after it belongs to that channel, until the next mark.
//! The line starts in [`Channel::Kernel`]. A mark byte before anything but a channel's letter is an ordinary byte.

/// The byte that begins a switch mark.
pub const MARK: u8 = 0x01;

/// Bytes in a switch mark.
pub const SWITCH_LENGTH: usize = 2;

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
            b'x' => Some(Self::Control),
            _ => None,
        }
    }

    /// The mark that switches to this channel.
    pub const fn switch(self) -> [u8; SWITCH_LENGTH] {
        [MARK, self as u8]
    }
}

/// Takes the channels apart again. Keeps its place between calls, so input may be cut anywhere, even inside a mark.
#[derive(Clone, Debug)]
pub struct Demultiplexer {
    channel: Channel,
    mark_seen: bool,
    return_seen: bool,
}

impl Default for Demultiplexer {
    fn default() -> Self {
        Self { channel: Channel::Kernel, mark_seen: false, return_seen: false }
    }
}

impl Demultiplexer {
    /// Calls `sink` with each byte of `input` and its channel. The terminal driver's `\r` before `\n` is dropped.
    pub fn feed(&mut self, input: &[u8], mut sink: impl FnMut(Channel, u8)) {
        for &byte in input {
            if self.mark_seen {
                self.mark_seen = false;
                if let Some(channel) = Channel::from_letter(byte) {
                    self.flush_return(&mut sink);
                    self.channel = channel;
                    continue;
                }
                self.ordinary(MARK, &mut sink);
            }
            if byte == MARK {
                self.mark_seen = true;
            } else {
                self.ordinary(byte, &mut sink);
            }
        }
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
        let mut output: Vec<(Channel, String)> = Vec::new();
        let mut demultiplexer = Demultiplexer::default();
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
        for channel in [Channel::Kernel, Channel::Console, Channel::Trace, Channel::Control] {
            assert_eq!(Channel::from_letter(channel.switch()[1]), Some(channel));
        }
        assert_eq!(Channel::from_letter(b'?'), None);
    }
}
