// SPDX-License-Identifier: GPL-2.0-or-later
//! A server's side: the frame around every generated `serve` function.

use core::ops::RangeInclusive;

use mach_abi::header::{REPLY_ID_OFFSET, remote, word};
use mach_abi::option::{MACH_SEND_MSG, MACH_SEND_TIMEOUT};

use super::{AnyRight, Complexity, Incoming, Outgoing};
use crate::error::{KernReturn, Result};
use crate::port::PortName;
use crate::sys::msg::mach_msg;

/// `msgh_id` of a request; `None` if the words are too few for a header.
pub fn request_id(request: &[u64]) -> Option<u32> {
    request.get(word::ID).map(|word| (word >> 32) as u32)
}

/// How long a server waits for room in its client's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Until there is some.
    Endless,
    /// Not at all: a client that cannot take its reply loses it.
    None,
}

/// Sends the reply that a generated `demux` made, unless it is one that is not to be sent. If the client is gone or does not take it,
/// what it would have brought is given back, the right to answer included.
pub fn send_reply(reply: &mut [u64], patience: Patience) -> Result<()> {
    let (size, port) = ((reply[word::BITS] >> 32) as u32, PortName(reply[word::REMOTE_PORT] as u32));
    if port == PortName::NULL {
        return Ok(());
    }
    let option = MACH_SEND_MSG | if patience == Patience::None { MACH_SEND_TIMEOUT } else { 0 };
    let answer = KernReturn::from_mach_msg(mach_msg(reply, option, size, 0, PortName::NULL, 0, PortName::NULL));
    if matches!(
        answer,
        KernReturn::MACH_SEND_INVALID_DEST | KernReturn::MACH_SEND_TIMED_OUT | KernReturn::MACH_SEND_INTERRUPTED
    ) {
        drop(AnyRight::from_parts(reply[word::BITS] as u8, port));
        drop(Incoming::new(reply, answer));
    }
    answer.into_result()
}

/// What the methods of a generated `Server` answer by default; what they were called with is released.
pub fn not_served<T>(_arguments: impl Sized) -> Result<T> {
    Err(KernReturn::MIG_BAD_ID)
}

/// A request that is being served, and its reply.
#[derive(Debug)]
pub struct Call<'a> {
    words: &'a [u64],
    /// The reply, after its return code.
    pub reply: Outgoing<'a>,
    one_way: bool,
    /// The routine was given the name of the reply port, to answer later.
    takes_reply_port: bool,
}

impl<'a> Call<'a> {
    /// Starts the reply to a request. `None` if there is no room even for that: the server's mistake, not the client's, and
    /// the request keeps its rights.
    pub fn new(request: &'a [u64], reply: &'a mut [u64]) -> Option<Self> {
        let id = request_id(request)?.wrapping_add(REPLY_ID_OFFSET);
        let reply = Outgoing::reply(
            reply,
            u64::from(remote(request[word::BITS] as u32)),
            u64::from(request[word::REMOTE_PORT] as u32),
            id,
        )?;
        Some(Self { words: request, reply, one_way: false, takes_reply_port: false })
    }

    /// `msgh_id` of the request.
    pub fn id(&self) -> u32 {
        request_id(self.words).unwrap_or(0)
    }

    /// The request's items, if it has one of these sizes.
    pub fn request(&self, sizes: RangeInclusive<u32>, complexity: Complexity) -> Result<Incoming<'a>> {
        let mut request = Incoming::new(self.words, KernReturn::MIG_BAD_ARGUMENTS);
        request.check(&sizes, complexity)?;
        Ok(request)
    }

    /// The request's items, if it has one of these sizes, where success is not answered.
    pub fn one_way(&mut self, sizes: RangeInclusive<u32>, complexity: Complexity) -> Result<Incoming<'a>> {
        self.one_way = true;
        self.request(sizes, complexity)
    }

    /// The name of the port the request came to.
    pub fn port(&self) -> PortName {
        PortName(self.words[word::LOCAL_PORT] as u32)
    }

    /// The name of the right that the reply goes to. Whoever asks for it keeps it by answering `MIG_NO_REPLY`.
    pub fn reply_port(&mut self) -> PortName {
        self.takes_reply_port = true;
        PortName(self.words[word::REMOTE_PORT] as u32)
    }

    /// `msgh_seqno`
    pub fn sequence_number(&self) -> u32 {
        self.words[word::ID] as u32
    }

    /// Answers that no routine has the request's id. The request still owns its rights.
    pub fn refuse(self) -> bool {
        self.reply.complete(Err(KernReturn::MIG_BAD_ID), false);
        false
    }

    /// Completes the reply, addressed to the request's reply port; to none, if none is to be sent.
    pub fn answer(self, result: Result<()>) -> bool {
        let no_reply = result == Err(KernReturn::MIG_NO_REPLY);
        let silent = no_reply || self.one_way && result.is_ok();
        let reply_port =
            AnyRight::from_parts(self.words[word::BITS] as u8, PortName(self.words[word::REMOTE_PORT] as u32));
        // Where a reply is sent, or the routine keeps the right to answer later, it is not ours to release.
        if !silent || no_reply && self.takes_reply_port {
            reply_port.into_name();
        }
        self.reply.complete(result, silent);
        true
    }
}
