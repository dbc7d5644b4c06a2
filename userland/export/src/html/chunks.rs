// SPDX-License-Identifier: GPL-2.0-or-later
//! What the page shows of an exchange when it is asked for: text and bytes, compressed by the hundred.

use exchanges::Event;
use exchanges::exchange::Exchange;

use super::parts::deflate;
use crate::seven::{number, signed};

/// Exchanges in a chunk. More compress better, and take longer until a click is answered.
pub(super) const EXCHANGES: usize = 1024;

/// Most bytes of a message that the page has.
pub(super) const BYTES: usize = 512;

/// Between the texts of exchanges; no text has one.
const SEPARATOR: u8 = 0;

/// Full chunks, compressed, and the one that is being filled.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// The texts of so many exchanges.
    pub(super) texts: Vec<Vec<u8>>,
    /// Their messages, and how many there are.
    pub(super) bytes: Vec<(Vec<u8>, u64)>,
    text: Vec<u8>,
    messages: Vec<u8>,
    in_messages: u64,
    /// The number that links copies of the message before.
    correlation: u64,
    filled: usize,
}

impl Chunks {
    /// Takes the next exchange and its text.
    pub(super) fn add(&mut self, text: &str, exchange: &Exchange<'_>) {
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(SEPARATOR);
        self.message(exchange.request.as_ref());
        self.message(exchange.reply.as_ref());
        self.filled += 1;
        if self.filled == EXCHANGES {
            self.flush();
        }
    }

    /// Nothing comes any more.
    pub(super) fn flush(&mut self) {
        if core::mem::take(&mut self.filled) > 0 {
            self.texts.push(deflate(&self.text));
            self.bytes.push((deflate(&self.messages), self.in_messages));
            self.text.clear();
            self.messages.clear();
            (self.in_messages, self.correlation) = (0, 0);
        }
    }

    /// 1, or 0 if there is no message; the number that links copies, as its difference from that of the message before; options; return code; size;
    /// bytes recorded; bytes here, and these.
    fn message(&mut self, event: Option<&Event>) {
        let out = &mut self.messages;
        let Some(event) = event else { return number(out, 0) };
        number(out, 1);
        signed(out, event.correlation.wrapping_sub(self.correlation) as i64);
        self.correlation = event.correlation;
        number(out, event.options.into());
        number(out, event.retval.into());
        number(out, event.message_size.into());
        let message = event.message();
        number(out, message.len() as u64);
        let kept = message.get(..BYTES).unwrap_or(message);
        number(out, kept.len() as u64);
        out.extend_from_slice(kept);
        self.in_messages += 1;
    }
}
