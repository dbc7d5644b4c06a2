// SPDX-License-Identifier: GPL-2.0-or-later
//! Cases for the drivers: values for every parameter of a stub, and the messages that belong to them.

use mach_abi::Descriptor;
use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::type_name::{self as tn, is_port};
use mig_defs::layout::{Complexity, Source, layout};
use mig_defs::model::{Model, Role, Routine, Type};
use mig_defs::value::View;

use super::driver::{self, ARENA, Parameter, Part, SLOTS};
use super::values::{Given, Image, Values, address, give, most, seen};
use crate::common::Builder;

pub(crate) const REQUEST_PORT: u32 = 0x100;
pub(crate) const REPLY_PORT: u32 = 0x900;

pub(crate) fn find(given: &[Given], index: usize) -> Option<&Given> {
    given.iter().find(|one| one.source == Source::Argument(index))
}

/// A message of these items, and which of its bytes mean something.
pub(crate) fn message(id: u32, bits: u32, ports: (u32, u32), given: &[Given]) -> (Vec<u8>, Vec<bool>) {
    let complex = given.iter().any(|one| one.out_of_line() || is_port(u32::from(one.descriptor.name)));
    let bits = bits | if complex { 0x8000_0000 } else { 0 };
    let mut builder = Builder::new(id, bits, ports.0, ports.1.into());
    let mut significant = vec![true; 32];
    for one in given {
        builder = builder.item(one.descriptor.to_word(), &one.data);
        significant.extend([true; 8]);
        significant.extend(&one.significant);
        significant.resize(significant.len().next_multiple_of(8), false);
    }
    // The kernel fills in the upper halves of the ports; stubs do not care.
    for upper in [12..16, 20..24] {
        significant[upper].fill(false);
    }
    (builder.finish(), significant)
}

pub(crate) fn masked(bytes: &[u8], significant: &[bool]) -> Vec<u8> {
    let keep = |(byte, keep): (&u8, Option<&bool>)| if keep == Some(&false) { 0 } else { *byte };
    bytes.iter().enumerate().map(|(at, byte)| keep((byte, significant.get(at)))).collect()
}

/// The places of a message's descriptors.
pub(crate) fn descriptors(message: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 32);
    while let Some(word) = message.get(at..at + 8) {
        let descriptor = Descriptor::from_word(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        found.push(at);
        at += 8 + if descriptor.inline { descriptor.data_size().next_multiple_of(8) as usize } else { 8 };
    }
    found
}

/// A message with every address replaced by the first in the image where the same bytes stand: Rust sends copies.
pub(crate) fn canonical(message: &[u8], image: &[u8]) -> Vec<u8> {
    let mut found = message.to_vec();
    for at in descriptors(message) {
        let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().expect("eight bytes"));
        let descriptor = Descriptor::from_word(word(at));
        if !descriptor.inline && at + 16 <= message.len() {
            let size = descriptor.data_size() as usize;
            let start = word(at + 8).checked_sub(ARENA).map_or(image.len(), |start| start as usize);
            let place = image.get(start..start + size).and_then(|bytes| {
                (0..image.len()).step_by(8).find(|place| image.get(*place..*place + size) == Some(bytes))
            });
            found[at + 8..at + 16].copy_from_slice(&(place.unwrap_or(start) as u64).to_le_bytes());
        }
    }
    found
}

/// The message that an image has to deliver.
pub(crate) fn delivered(image: &[u8]) -> Vec<u8> {
    let entry = |table: usize| {
        let at = ((table + 1) * SLOTS - 1) * 4;
        u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes")) as usize
    };
    image[entry(0)..][..entry(1)].to_vec()
}

/// The image with another message to deliver.
pub(crate) fn delivering(image: &[u8], message: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    image.resize(image.len().next_multiple_of(16), 0);
    for (table, value) in [(0, image.len()), (1, message.len())] {
        let entry = (table * SLOTS + SLOTS - 1) * 4;
        image[entry..entry + 4].copy_from_slice(&(value as u32).to_le_bytes());
    }
    image.extend(message);
    image
}

/// A case for a user stub.
pub(crate) struct UserCase {
    pub(crate) image: Vec<u8>,
    pub(crate) request: (Vec<u8>, Vec<bool>),
    /// Offset in the arena and bytes that must be there after the call.
    pub(crate) results: Vec<(usize, Vec<u8>)>,
}

pub(crate) fn user_case(model: &Model, routine: &Routine, parameters: &[Parameter], values: &Values) -> UserCase {
    let layout = layout(model, routine);
    let mut sent = give(model, routine, &layout.request, View::Sent, &values.request);
    let mut received =
        if routine.one_way { Vec::new() } else { give(model, routine, &layout.reply, View::Received, &values.reply) };
    let mut image = Image::new();
    for given in sent.iter_mut().filter(|given| !indefinite(model, routine, given)).chain(&mut received) {
        image.place_memory(given);
    }
    let mut results = Vec::new();
    let mut request_how = 0;
    let (mut reply_port, mut reply_how) = if routine.one_way { (0, 0) } else { (REPLY_PORT, tn::MAKE_SEND_ONCE) };
    for (slot, parameter) in parameters.iter().enumerate() {
        let (index, argument, part) = driver::part(routine, parameter);
        let ty = model.ty(argument.ty);
        let how = if ty.in_name == tn::POLYMORPHIC { tn::MAKE_SEND } else { ty.in_name };
        match (argument.role, part) {
            (Role::RequestPort, Part::Value) => {
                request_how = how;
                image.place(slot, &REQUEST_PORT.to_le_bytes());
            }
            (Role::ReplyPort { .. }, Part::Value) => {
                (reply_port, reply_how) = (0x345, how);
                image.place(slot, &reply_port.to_le_bytes());
            }
            (Role::RequestPort | Role::ReplyPort { .. }, _) => {
                image.place(slot, &how.to_le_bytes());
            }
            (Role::WaitTime | Role::MsgOption, _) => {
                // MACH_SEND_TIMEOUT, or that many milliseconds.
                image.place(slot, &[0_u32, 0x10][usize::from(values.timed)].to_le_bytes());
            }
            _ => {
                let (sent, received) =
                    (sent.iter_mut().find(|one| one.source == Source::Argument(index)), find(&received, index));
                place_user(&mut image, slot, (part, parameter.pointer), ty, sent, received, &mut results);
            }
        }
    }
    // To migcom, a polymorphic right in the header makes a message complex that may or may not be.
    let any_header = parameters.iter().any(|parameter| {
        let (_, argument, part) = driver::part(routine, parameter);
        part == Part::Poly && matches!(argument.role, Role::RequestPort | Role::ReplyPort { .. })
    });
    let complex = any_header && layout.request.sent == Complexity::Varies;
    let bits = request_how | reply_how << 8 | u32::from(complex) << 31;
    let request = message(layout.request.id, bits, (REQUEST_PORT, reply_port), &sent);
    let reply = message(layout.reply.id, 0x1200, (0, reply_port), &received).0;
    image.place(SLOTS - 1, &reply);
    UserCase { image: image.finish(), request, results }
}

/// Whether C passes a pointer to the data of this item wherever they are.
fn indefinite(model: &Model, routine: &Routine, given: &Given) -> bool {
    matches!(given.source, Source::Argument(index) if model.ty(routine.arguments[index].ty).indefinite)
}

/// Places what the user passes for one parameter, and notes what must be there afterwards.
fn place_user(
    image: &mut Image,
    slot: usize,
    (part, pointer): (Part, bool),
    ty: &Type,
    sent: Option<&mut Given>,
    received: Option<&Given>,
    results: &mut Vec<(usize, Vec<u8>)>,
) {
    let outside = |given: &&mut Given| part == Part::Value && ty.indefinite && given.out_of_line();
    let mut bytes = match &sent {
        Some(given) if outside(given) => given.memory.clone(),
        sent => sent.as_ref().map_or(Vec::new(), |given| seen(given, part)),
    };
    if received.is_some() {
        match part {
            Part::Value if ty.indefinite && pointer => bytes.resize(16, 0),
            Part::Count if sent.is_none() => bytes = most(ty).to_le_bytes().to_vec(),
            _ => {}
        }
        // Room for the most there can be.
        let room = if part == Part::Value { ty.bytes.max(16) as usize } else { 16 };
        bytes.resize(bytes.len() + room, 0);
    }
    let offset = image.place(slot, &bytes);
    if let Some(given) = sent.filter(outside) {
        given.data = address(offset).to_vec();
    }
    if let Some(given) = received {
        let inside = part == Part::Value && ty.indefinite && pointer;
        if inside {
            image.patch(offset, &address(offset + 16));
        }
        let at = if inside && !given.out_of_line() { offset + 16 } else { offset };
        results.push((at, seen(given, part)));
    }
}

/// A case for a server.
pub(crate) struct ServerCase {
    pub(crate) image: Vec<u8>,
    /// What each parameter must be when the procedure is called; `None` for what is not initialised.
    pub(crate) parameters: Vec<Option<Vec<u8>>>,
    pub(crate) reply: (Vec<u8>, Vec<bool>),
}

pub(crate) fn server_case(model: &Model, routine: &Routine, parameters: &[Parameter], values: &Values) -> ServerCase {
    let layout = layout(model, routine);
    let mut received = give(model, routine, &layout.request, View::Received, &values.request);
    let mut sent = give(model, routine, &layout.reply, View::Sent, &values.reply);
    let mut image = Image::new();
    for given in sent.iter_mut().filter(|given| !indefinite(model, routine, given)).chain(&mut received) {
        image.place_memory(given);
    }
    let mut expected = Vec::new();
    let request = message(layout.request.id, 0x1112, (REPLY_PORT, REQUEST_PORT), &received).0;
    for (slot, parameter) in parameters.iter().enumerate() {
        let (index, argument, part) = driver::part(routine, parameter);
        let ty = model.ty(argument.ty);
        let header = match (argument.role, part) {
            (Role::RequestPort, Part::Value) => Some(REQUEST_PORT),
            (Role::RequestPort, _) => Some(0x11),
            (Role::ReplyPort { .. }, Part::Value) => Some(REPLY_PORT),
            (Role::ReplyPort { .. }, _) => Some(0x12),
            (Role::MsgSeqno, _) => Some(0),
            _ => None,
        };
        if let Some(value) = header {
            expected.push(Some(value.to_le_bytes().to_vec()));
            continue;
        }
        let given = find(&received, index);
        let mut value = given.map(|given| seen(given, part));
        if part == Part::Count && given.is_none() && ty.inline {
            value = Some(most(ty).to_le_bytes().to_vec());
        }
        let by_value = driver::by_value(model, argument, part, parameter);
        let outside = part == Part::Value && ty.indefinite && given.is_some_and(Given::out_of_line);
        image.log(slot, if outside { u32::MAX } else { value.as_ref().map_or(0, |value| value.len() as u32) });
        expected.push(value);
        let answer = sent.iter_mut().find(|one| one.source == Source::Argument(index));
        if let Some(answer) = answer.filter(|_| !by_value) {
            let outside = part == Part::Value && ty.indefinite && answer.out_of_line();
            let offset = image.place(slot, &if outside { answer.memory.clone() } else { seen(answer, part) });
            if outside {
                answer.data = address(offset).to_vec();
                image.answer(slot, u32::MAX);
            }
        }
    }
    image.place(SLOTS - 1, &request);
    let reply = message(layout.request.id + REPLY_ID_OFFSET, 0x12, (REPLY_PORT, 0), &sent);
    ServerCase { image: image.finish(), parameters: expected, reply }
}
