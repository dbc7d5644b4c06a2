// SPDX-License-Identifier: GPL-2.0-or-later
//! From a message to what belongs to it: its answer, the other task's record of it, what it was done for. Only where that is certain.

use crate::store::{Kept, Row, Store};

/// Where a jump leads, and what is there; or why there is none.
pub(crate) type Jump = Result<(u32, String), &'static str>;

impl Store {
    /// From a request to its answer and back.
    pub(crate) fn answer_of(&self, row: u32) -> Jump {
        let (call, is_reply) = self.of_row(row).ok_or("this is no message")?;
        match (is_reply, call.reply_row) {
            (true, _) => Ok((call.row, "its request".into())),
            (false, Some(reply)) => Ok((reply, "its answer".into())),
            (false, None) if call.reply.is_some() => Err("the answer is in the same line"),
            (false, None) if call.outcome == "one-way" => Err("no answer is expected"),
            (false, None) => Err("no answer was seen"),
        }
    }

    /// From one task's record of a message to the other's.
    pub(crate) fn peer_of(&self, row: u32) -> Jump {
        let (call, is_reply) = self.of_row(row).ok_or("this is no message")?;
        let message = call.message(is_reply).filter(|message| message.correlation != 0);
        let message = message.ok_or("the record does not say which other it belongs to")?;
        let is_it = |other: &Kept, is_reply: bool| {
            other.row != call.row
                && other
                    .message(is_reply)
                    .is_some_and(|it| it.correlation == message.correlation && it.is_sent != message.is_sent)
        };
        let is_reply = is_reply || call.request.is_none();
        let mut found = self.calls.iter().filter(|other| {
            (if is_reply { other.reply.is_some() } else { other.request.is_some() }) && is_it(other, is_reply)
        });
        let other = found.next().ok_or("the other task's record of it is not in the trace")?;
        if found.next().is_some() {
            return Err("several tasks have passed it on: which record is the other one is not certain");
        }
        let row = if is_reply { other.reply_row.unwrap_or(other.row) } else { other.row };
        Ok((row, format!("the same message, {}", self.label_of(other))))
    }

    /// From a call to what it was made for: of what a server does, the client's call; of a call that a thread makes while it has one request, and
    /// only one, that it has not answered, that request.
    pub(crate) fn cause_of(&self, row: u32) -> Jump {
        let (call, _) = self.of_row(row).ok_or("this is no message")?;
        if call.role == "server" {
            let (row, _) = self.peer_of(call.row)?;
            return Ok((row, "the call that asked for it".into()));
        }
        let at = call.message(false).ok_or("there is no message")?.sequence;
        let is_served = |other: &&Kept| {
            let is_thread = other.role == "server" && (other.task, other.thread) == (call.task, call.thread);
            is_thread
                && other.outcome != "one-way"
                && other.request.is_some_and(|request| request.sequence < at)
                && other.reply.is_none_or(|reply| reply.sequence > at)
        };
        let mut served = self.calls.iter().filter(is_served);
        let one = served.next().ok_or("its thread had no request to answer: nobody in the trace asked for it")?;
        if served.next().is_some() {
            return Err("its thread had several requests to answer: for which it is done is not certain");
        }
        Ok((one.row, "what its thread was asked for and had not answered".into()))
    }

    /// The place in the order of all records after which a row is, or before which nothing else is known.
    pub(crate) fn sequence_of(&self, row: u32) -> u64 {
        let of = |row: u32| {
            let (call, is_reply) = self.of_row(row)?;
            let is_whole = matches!(self.rows.get(row as usize), Some(Row::Whole(_)));
            call.message(is_reply || is_whole && call.reply.is_some()).map(|message| message.sequence)
        };
        (0..=row).rev().find_map(of).unwrap_or(0)
    }
}
