//! A server's side: the frame around every generated `serve` function.

use super::{AnyRight, HEADER_WORDS, Incoming, Outgoing, REPLY_ID_OFFSET};
use crate::error::{KernReturn, Result};
use crate::port::PortName;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// A routine handled or refused it; the buffer holds the reply, with a null remote port if none is to be sent.
    Yes,
    /// No routine has its id. The buffer holds a reply that says so; the request still owns its rights.
    No,
}

/// `msgh_id` of a request; `None` if the words are too few for a header.
pub fn request_id(request: &[u64]) -> Option<u32> {
    request.get(HEADER_WORDS - 1).map(|word| (word >> 32) as u32)
}

/// Answers a request that no routine has the id of.
pub fn refuse(request: &[u64], reply: &mut [u64]) -> Served {
    if let Some(outgoing) = start_reply(request, reply) {
        outgoing.complete(Err(KernReturn::MIG_BAD_ID));
    }
    Served::No
}

/// The reply to a request, addressed to its reply port. `None` if one of the buffers is too small for a message.
fn start_reply<'a>(request: &[u64], reply: &'a mut [u64]) -> Option<Outgoing<'a>> {
    let id = request_id(request)?;
    let disposition = request[0] & 0xff;
    Outgoing::reply(reply, disposition, u64::from(request[1] as u32), id.wrapping_add(REPLY_ID_OFFSET))
}

/// Runs one routine's `serve` on a request and completes the reply.
///
/// The reply goes to the request's reply port, unless the routine is one-way or answers `MIG_NO_REPLY`; the right is then
/// released here, unless the routine was given its name (`takes_reply_port`) and keeps it by answering `MIG_NO_REPLY`.
pub fn answer(
    request: &[u64],
    reply: &mut [u64],
    one_way: bool,
    takes_reply_port: bool,
    serve: impl FnOnce(Incoming<'_>, &mut Outgoing<'_>) -> Result<()>,
) -> Served {
    // A buffer too small for any reply is the server's mistake, not the client's: the request keeps its rights.
    let Some(mut outgoing) = start_reply(request, reply) else { return Served::No };
    let incoming = Incoming::new(request, KernReturn::MIG_BAD_ARGUMENTS);
    let reply_port = AnyRight::from_parts(incoming.reply_disposition(), incoming.reply_port());
    let result = serve(incoming, &mut outgoing);
    let kept = takes_reply_port && result == Err(KernReturn::MIG_NO_REPLY);
    let silent = one_way || result == Err(KernReturn::MIG_NO_REPLY);
    outgoing.complete(result);
    if silent {
        reply[0] &= !0xff;
        reply[1] = PortName::NULL.0.into();
    }
    // Where a reply is sent, or the routine keeps the right to answer later, it is not ours to release.
    if !silent || kept {
        reply_port.into_name();
    }
    Served::Yes
}
