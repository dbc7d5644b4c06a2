//! Runs migcom's stubs and ours on the same cases and compares what they do.

use std::path::PathBuf;
use std::process::Command;

use mig_defs::decode::Message;
use mig_defs::encode::encode;
use mig_defs::model::{Model, Role, Routine};
use mig_defs::table::Tables;
use mig_defs::value::{Value, View};

use super::cases::{canonical, delivering, descriptors, masked, server_case, user_case};
use super::driver::{self, Parameter, Run};
use super::hostile::{self, Depth};

/// Sets of values per routine; the first is all zeros, the second has full arrays.
const SETS: u64 = 12;

/// `KERN_FAILURE`
const FAILURE: i32 = 5;
/// `MIG_NO_REPLY`
const NO_REPLY: i32 = -305;

/// The stubs of one file: migcom's and ours.
pub(crate) struct Programs {
    /// The driver of migcom's stubs.
    pub(crate) c: PathBuf,
    /// The driver of ours, of every file.
    pub(crate) rust: PathBuf,
    /// The file's number in it.
    pub(crate) file: usize,
}

type Blocks = Vec<Vec<u8>>;

impl Programs {
    /// The blocks of both for each case.
    fn run(&self, side: &str, cases: &[Run]) -> Vec<(Blocks, Blocks)> {
        let theirs = driver::run(&mut Command::new(&self.c), cases);
        let ours = driver::run(Command::new(&self.rust).args([side, &self.file.to_string()]), cases);
        theirs.into_iter().zip(ours).collect()
    }
}

fn difference(theirs: &[u8], ours: &[u8], significant: &[bool]) -> Option<String> {
    let (theirs, ours) = (masked(theirs, significant), masked(ours, significant));
    let at = theirs.iter().zip(&ours).position(|(one, other)| one != other);
    let from = at.unwrap_or(0).saturating_sub(16) & !7;
    let part = |bytes: &[u8]| format!("{:02x?}", &bytes[from.min(bytes.len())..bytes.len().min(from + 48)]);
    (theirs != ours).then(|| {
        let sizes = (theirs.len(), ours.len());
        format!("byte {at:?} of {sizes:?}, from {from}\n    migcom {}\n    ours   {}", part(&theirs), part(&ours))
    })
}

/// encode(decode(message)) is the message again.
fn check_encode(place: &str, tables: Tables<'_>, routine: &Routine, bytes: &[u8], view: View, is_reply: bool) {
    let decoded = if is_reply { Message::reply(tables, bytes, view) } else { Message::new(tables, bytes, view) };
    let decoded = decoded.unwrap_or_else(|error| panic!("{place}: {error}"));
    if decoded.routine().name() != &*routine.name {
        return; // Two routines with one id: the other file has the canonical name.
    }
    let values: Vec<Value<'_>> =
        decoded.fields().map(|field| field.unwrap_or_else(|error| panic!("{place}: {error}")).value).collect();
    let mut buffer = vec![0; bytes.len() + 64];
    let size = encode(decoded.routine(), is_reply, view, decoded.header(), values, &mut buffer);
    let size = size.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(&buffer[..size], bytes, "{place}: encode");
}

/// A case with what is known of its outcome.
struct Case<'a> {
    place: String,
    routine: &'a Routine,
    run: Run,
    /// Which bytes of the message that is sent mean something, and what it must be.
    sent: Option<(Vec<u8>, Vec<bool>)>,
}

/// What was compared and what was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) calls: usize,
    pub(crate) hostile: usize,
    pub(crate) differences: Vec<String>,
}

impl Found {
    fn check(&mut self, place: &str, what: &str, difference: Option<String>) {
        self.differences.extend(difference.map(|difference| format!("{place}: {what}: {difference}")));
    }
}

/// Compares the user stubs: what they send, and what they make of replies.
pub(crate) fn compare_user(
    place: &str,
    model: &Model,
    tables: Tables<'_>,
    programs: &Programs,
    (header, depth): (&str, Depth),
    found: &mut Found,
) {
    let (mut cases, mut results) = (Vec::new(), Vec::new());
    for routine in &model.routines {
        let parameters = driver::prototype(header, &routine.user_name);
        for set in 0..SETS {
            let case = user_case(model, routine, &parameters, set);
            check_encode(&format!("{place}: {}", routine.name), tables, routine, &case.request.0, View::Sent, false);
            let place = format!("{place}: {} user, values {set}", routine.name);
            let run = |image: Vec<u8>, answer| Run { routine: routine.number, image, answer, hostile: false };
            if set == 2 {
                hostile_user(&mut cases, &place, routine, &parameters, (&case.image, &case.reply), depth);
            }
            cases.push(Case { place, routine, run: run(case.image, 0), sent: Some(case.request) });
            results.resize(cases.len(), Vec::new());
            *results.last_mut().expect("a case") = case.results;
        }
    }
    let runs: Vec<_> = cases.iter().map(|case| case.run.clone()).collect();
    for ((case, results), (theirs, ours)) in cases.iter().zip(&results).zip(programs.run("user", &runs)) {
        let place = &case.place;
        match &case.sent {
            Some((request, significant)) => {
                found.calls += 1;
                assert_eq!(theirs.len(), 4, "{place}: blocks of the C driver");
                let sent = canonical(&theirs[0], &case.run.image);
                found.check(place, "request", difference(&sent, &canonical(request, &case.run.image), significant));
                found.check(place, "return code", difference(&theirs[2], &[0; 4], &[]));
                for (offset, expected) in results {
                    found.check(place, "result", difference(&theirs[3][*offset..][..expected.len()], expected, &[]));
                }
            }
            None => found.hostile += 1,
        }
        // C reads on after the bytes of a string without a NUL: see the README.
        let reads_on = case.run.hostile && takes_varying_text(model, case.routine);
        compare_calls(case, &theirs, &ours, reads_on, found);
    }
}

fn takes_varying_text(model: &Model, routine: &Routine) -> bool {
    routine.arguments.iter().any(|argument| {
        let ty = model.ty(argument.ty);
        argument.role.in_reply() && ty.string && ty.var_array
    })
}

/// The same call in C and in Rust: request, `mach_msg`, return code and, on success, results.
fn compare_calls(case: &Case<'_>, theirs: &[Vec<u8>], ours: &[Vec<u8>], reads_on: bool, found: &mut Found) {
    let place = format!("{} in Rust", case.place);
    if theirs.len() != ours.len() {
        let why = format!("{} blocks of migcom, {} of ours", theirs.len(), ours.len());
        return found.check(&place, "sent or not", Some(why));
    }
    let [.., their_code, their_image] = theirs else { panic!("{place}: too few blocks") };
    let [.., our_code, our_image] = ours else { panic!("{place}: too few blocks") };
    if let ([request, call, ..], [our_request, our_call, ..], Some((_, significant))) = (theirs, ours, &case.sent) {
        let requests = [request, our_request].map(|request| canonical(request, &case.run.image));
        found.check(&place, "request", difference(&requests[0], &requests[1], significant));
        found.check(&place, "option, sizes, timeout", difference(call, our_call, &[]));
    }
    found.check(&place, "return code", difference(their_code, our_code, &[]));
    if *their_code == [0; 4] && our_code == their_code && !reads_on {
        found.check(&place, "results", difference(their_image, our_image, &[]));
    }
}

/// Replies that are not what the .defs say, failures of `mach_msg`, arrays that are too large.
fn hostile_user<'a>(
    cases: &mut Vec<Case<'a>>,
    place: &str,
    routine: &'a Routine,
    parameters: &[Parameter],
    (image, reply): (&[u8], &[u8]),
    depth: Depth,
) {
    let mut add = |what: String, image: Vec<u8>, answer| {
        let run = Run { routine: routine.number, image, answer, hostile: true };
        cases.push(Case { place: format!("{place}, {what}"), routine, run, sent: None });
    };
    // MACH_SEND_INVALID_DEST, MACH_RCV_TIMED_OUT
    for answer in [0x1000_0003, 0x1000_4003].into_iter().take(if routine.one_way { 1 } else { 2 }) {
        add(format!("mach_msg says {answer:#x}"), image.to_vec(), answer);
    }
    if !routine.one_way {
        let replies = hostile::changes(reply, depth).into_iter().chain(hostile::error_replies(reply));
        for (number, reply) in replies.enumerate() {
            add(format!("hostile reply {number} {reply:02x?}"), delivering(image, &reply), 0);
        }
    }
    for (slot, parameter) in parameters.iter().enumerate() {
        let (_, argument, part) = driver::part(routine, parameter);
        if argument.role == Role::In && part == driver::Part::Count {
            let mut image = image.to_vec();
            let at = u32::from_le_bytes(image[slot * 4..][..4].try_into().expect("four bytes")) as usize;
            image[at..at + 4].copy_from_slice(&5001_u32.to_le_bytes());
            add(format!("5001 elements in {}", argument.name), image, 0);
        }
    }
}

/// Compares the servers: what they take out of requests, and what they reply.
pub(crate) fn compare_server(
    place: &str,
    model: &Model,
    tables: Tables<'_>,
    programs: &Programs,
    (header, depth): (&str, Depth),
    found: &mut Found,
) {
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for routine in &model.routines {
        let parameters = driver::prototype(header, &routine.server_name);
        for set in 0..SETS {
            let case = server_case(model, routine, &parameters, set);
            let place = format!("{place}: {} server, values {set}", routine.name);
            let run = |image: Vec<u8>, answer| Run { routine: routine.number, image, answer, hostile: false };
            check_encode(&place, tables, routine, &case.request, View::Received, false);
            if set == 2 {
                for answer in [FAILURE, NO_REPLY] {
                    let place = format!("{place}, answers {answer}");
                    cases.push(Case { place, routine, run: run(case.image.clone(), answer), sent: None });
                }
                for (number, request) in hostile::changes(&case.request, depth).into_iter().enumerate() {
                    let place = format!("{place}, hostile request {number} {request:02x?}");
                    let image = delivering(&quiet(&case.image), &request);
                    let run = Run { hostile: true, ..run(image, FAILURE) };
                    cases.push(Case { place, routine, run, sent: None });
                }
            }
            if !routine.one_way {
                check_encode(&place, tables, routine, &case.reply.0, View::Sent, true);
            }
            cases.push(Case { place, routine, run: run(case.image, 0), sent: Some(case.reply) });
            expected.resize(cases.len(), Vec::new());
            *expected.last_mut().expect("a case") = case.parameters;
        }
    }
    let runs: Vec<_> = cases.iter().map(|case| case.run.clone()).collect();
    for ((case, expected), (theirs, ours)) in cases.iter().zip(&expected).zip(programs.run("server", &runs)) {
        for (number, (expected, block)) in expected.iter().zip(&theirs).enumerate() {
            if let Some(expected) = expected {
                found.check(&case.place, &format!("parameter {number}"), difference(block, expected, &[]));
            }
        }
        if let (Some((reply, significant)), false, Some(sent)) = (&case.sent, case.routine.one_way, theirs.last()) {
            let messages = [sent, reply].map(|message| canonical(message, &case.run.image));
            found.check(&case.place, "reply", difference(&messages[0], &messages[1], significant));
        }
        match case.sent {
            Some(_) => found.calls += 1,
            None => found.hostile += 1,
        }
        let parameters = driver::prototype(header, &case.routine.server_name);
        compare_served(case, &parameters, &theirs, &ours, found);
    }
}

/// The case without anything to log or answer but what C passes by value: sizes would be those of another request.
fn quiet(image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    let entries = |table: usize| table * driver::SLOTS * 4..((table + 1) * driver::SLOTS - 1) * 4;
    image[entries(1)].fill(0);
    image[entries(2)].fill(0);
    image
}

/// The same request served in C and in Rust: arguments, whether it was served, reply.
fn compare_served(case: &Case<'_>, parameters: &[Parameter], theirs: &[Vec<u8>], ours: &[Vec<u8>], found: &mut Found) {
    let place = format!("{} in Rust", case.place);
    if theirs.len() != ours.len() {
        let why = format!("{} blocks of migcom, {} of ours", theirs.len(), ours.len());
        return found.check(&place, "called or not", Some(why));
    }
    let [arguments @ .., served, reply] = theirs else { panic!("{place}: too few blocks") };
    let [our_arguments @ .., our_served, our_reply] = ours else { panic!("{place}: too few blocks") };
    for ((one, other), parameter) in arguments.iter().zip(our_arguments).zip(parameters) {
        let (_, argument, _) = driver::part(case.routine, parameter);
        // What only goes back is not passed in Rust.
        if argument.role != Role::Out {
            found.check(&place, &parameter.name, difference(one, other, &[]));
        }
    }
    found.check(&place, "served", difference(served, our_served, &[]));
    compare_replies(case, &place, [reply, our_reply], found);
}

/// The reply, but for what is meant to differ: see the README.
fn compare_replies(case: &Case<'_>, place: &str, replies: [&[u8]; 2], found: &mut Found) {
    let [mut theirs, ours] = replies.map(|reply| canonical(reply, &case.run.image));
    let code = |reply: &[u8]| reply.get(40..44).map(|code| i32::from_le_bytes(code.try_into().expect("four bytes")));
    // A one-way routine that went well is nothing to answer in Rust, where C's procedure has to say MIG_NO_REPLY.
    let silent = code(&theirs) == Some(NO_REPLY) || case.routine.one_way && code(&theirs) == Some(0);
    if silent {
        found.check(place, "no reply", difference(&ours[..24], &silenced(&theirs)[..24], &[]));
        found.check(place, "no reply", difference(&ours[40..], &theirs[40..48], &[]));
        return;
    }
    // The memory of an answer always goes over to the client: a server in Rust has no place to keep it.
    for at in descriptors(&theirs) {
        let inline = theirs[at + 3] & 0x20 != 0;
        theirs[at + 3] |= if inline { 0 } else { 0x80 };
    }
    let all = Vec::new();
    let significant = case.sent.as_ref().map_or(&all, |(_, significant)| significant);
    found.check(place, "reply", difference(&theirs, &ours, significant));
}

/// The head of a reply that is not to be sent: without a port to go to.
fn silenced(reply: &[u8]) -> Vec<u8> {
    let mut reply = reply.to_vec();
    reply[0] = 0;
    reply[8..12].fill(0);
    reply
}
