//! Whole messages against Debian's MIG: its C stubs are compiled and run on generated values.
//!
//! For every routine and several sets of values: the request that C's user stub sends, byte for byte; the results it takes
//! out of a reply; the arguments that C's server takes out of a request; the reply that it sends. What differs is only
//! padding, which C leaves as the stack was: after data that is no multiple of 8 bytes, in the upper half of an inline
//! right, after the NUL of a C string of fixed size.
//!
//! Needs `GNUMACH_DEFS`, `MIGCOM` and gcc, as tests/migcom.rs; `GNUMACH_DEFS_ALL` names more versions of the .defs.
#![cfg(feature = "compiler")]

mod common;
mod reference;

use std::path::{Path, PathBuf};

use common::Builder;
use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Options, compile};
use mig_defs::decode::Message;
use mig_defs::diag::Diagnostics;
use mig_defs::encode::encode;
use mig_defs::layout::{Source, layout};
use mig_defs::model::{Model, Role, Routine};
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;
use mig_defs::value::{Value, View};
use mig_defs::wire::{REPLY_ID_OFFSET, is_port, type_name as tn};
use reference::driver::{self, Parameter, Part, SLOTS};
use reference::values::{Choice, Given, Image, Pool, address, give, most, seen};
use reference::{Migcom, defs_below, directory, migcom, scratch, versions};

const REQUEST_PORT: u32 = 0x100;
const REPLY_PORT: u32 = 0x900;
/// Sets of values per routine; the first is all zeros, the second has full arrays.
const SETS: u64 = 12;

fn pool(set: u64, routine: &Routine) -> Pool {
    let choice = [Choice::Zero, Choice::Most].get(set as usize).copied().unwrap_or(Choice::Random);
    Pool::new(choice, set * 1000 + u64::from(routine.number) + 1)
}

fn find(given: &[Given], index: usize) -> Option<&Given> {
    given.iter().find(|one| one.source == Source::Argument(index))
}

/// A message of these items, and which of its bytes mean something.
fn message(id: u32, bits: u32, ports: (u32, u32), given: &[Given]) -> (Vec<u8>, Vec<bool>) {
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

fn masked(bytes: &[u8], significant: &[bool]) -> Vec<u8> {
    let keep = |(byte, keep): (&u8, Option<&bool>)| if keep == Some(&false) { 0 } else { *byte };
    bytes.iter().enumerate().map(|(at, byte)| keep((byte, significant.get(at)))).collect()
}

#[track_caller]
fn same(place: &str, theirs: &[u8], (expected, significant): &(Vec<u8>, Vec<bool>)) {
    let (theirs, expected) = (masked(theirs, significant), masked(expected, significant));
    if theirs != expected {
        let at = theirs.iter().zip(&expected).position(|(one, other)| one != other);
        panic!("{place}: differs at byte {at:?}\nmigcom {theirs:x?}\nours   {expected:x?}");
    }
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

/// A case for a user stub.
struct UserCase {
    image: Vec<u8>,
    request: (Vec<u8>, Vec<bool>),
    /// Offset in the arena and bytes that must be there after the call.
    results: Vec<(usize, Vec<u8>)>,
}

fn user_case(model: &Model, routine: &Routine, parameters: &[Parameter], set: u64) -> UserCase {
    let layout = layout(model, routine);
    let pool = &mut pool(set, routine);
    let mut sent = give(model, routine, &layout.request, View::Sent, pool);
    let received = if routine.one_way { Vec::new() } else { give(model, routine, &layout.reply, View::Received, pool) };
    let mut image = Image::new();
    let mut results = Vec::new();
    let (mut request_port, mut request_how) = (REQUEST_PORT, 0);
    let (mut reply_port, mut reply_how) = if routine.one_way { (0, 0) } else { (REPLY_PORT, tn::MAKE_SEND_ONCE) };
    for (slot, parameter) in parameters.iter().enumerate() {
        let (index, argument, part) = driver::part(routine, parameter);
        let ty = model.ty(argument.ty);
        let how = if ty.in_name == tn::POLYMORPHIC { tn::MAKE_SEND } else { ty.in_name };
        match (argument.role, part) {
            (Role::RequestPort, Part::Value) => {
                request_how = how;
                image.place(slot, &request_port.to_le_bytes());
            }
            (Role::ReplyPort { .. }, Part::Value) => {
                (reply_port, reply_how) = (0x345, how);
                image.place(slot, &reply_port.to_le_bytes());
            }
            (Role::RequestPort | Role::ReplyPort { .. }, _) => {
                image.place(slot, &how.to_le_bytes());
            }
            (Role::WaitTime | Role::MsgOption, _) => {
                image.place(slot, &0_u32.to_le_bytes());
            }
            _ => {
                let (sent, received) =
                    (sent.iter_mut().find(|one| one.source == Source::Argument(index)), find(&received, index));
                place_user(&mut image, slot, (part, parameter.pointer), ty, sent, received, &mut results);
            }
        }
    }
    request_port = REQUEST_PORT;
    let bits = request_how | reply_how << 8;
    let request = message(layout.request.id, bits, (request_port, reply_port), &sent);
    let reply = message(layout.reply.id, 0x1200, (0, reply_port), &received).0;
    image.place(SLOTS - 1, &reply);
    UserCase { image: image.finish(), request, results }
}

/// Places what the user passes for one parameter, and notes what must be there afterwards.
fn place_user(
    image: &mut Image,
    slot: usize,
    (part, pointer): (Part, bool),
    ty: &mig_defs::model::Type,
    sent: Option<&mut Given>,
    received: Option<&Given>,
    results: &mut Vec<(usize, Vec<u8>)>,
) {
    let mut bytes = sent.as_ref().map_or(Vec::new(), |given| seen(given, part));
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
    if let Some(given) = sent.filter(|given| part == Part::Value && ty.indefinite && given.out_of_line()) {
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

fn compare_user(place: &str, model: &Model, tables: Tables<'_>, program: &Path, header: &str) -> usize {
    let mut cases = Vec::new();
    for routine in &model.routines {
        let parameters = driver::prototype(header, &routine.user_name);
        cases.extend((0..SETS).map(|set| (routine, set, user_case(model, routine, &parameters, set))));
    }
    let images: Vec<_> = cases.iter().map(|(routine, _, case)| (routine.number, case.image.clone())).collect();
    let blocks = driver::run(program, &images);
    assert_eq!(blocks.len(), cases.len() * 3, "{place}: what the user stubs wrote");
    for ((routine, set, case), blocks) in cases.iter().zip(blocks.chunks_exact(3)) {
        let place = format!("{place}: {} user, values {set}", routine.name);
        same(&place, &blocks[0], &case.request);
        assert_eq!(blocks[1], [0; 4], "{place}: return code");
        for (offset, expected) in &case.results {
            assert_eq!(blocks[2][*offset..][..expected.len()], expected[..], "{place}: result at {offset}");
        }
        check_encode(&place, tables, routine, &case.request.0, View::Sent, false);
    }
    cases.len()
}

/// A case for a server.
struct ServerCase {
    image: Vec<u8>,
    /// What each parameter must be when the procedure is called; `None` for what is not initialised.
    parameters: Vec<Option<Vec<u8>>>,
    request: Vec<u8>,
    reply: (Vec<u8>, Vec<bool>),
}

fn server_case(model: &Model, routine: &Routine, parameters: &[Parameter], set: u64) -> ServerCase {
    let layout = layout(model, routine);
    let pool = &mut pool(set, routine);
    let received = give(model, routine, &layout.request, View::Received, pool);
    let mut sent = give(model, routine, &layout.reply, View::Sent, pool);
    let mut image = Image::new();
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
            let offset = image.place(slot, &seen(answer, part));
            if part == Part::Value && ty.indefinite && answer.out_of_line() {
                answer.data = address(offset).to_vec();
                image.answer(slot, u32::MAX);
            }
        }
    }
    image.place(SLOTS - 1, &request);
    let reply = message(layout.request.id + REPLY_ID_OFFSET, 0x12, (REPLY_PORT, 0), &sent);
    ServerCase { image: image.finish(), parameters: expected, request, reply }
}

fn compare_server(place: &str, model: &Model, tables: Tables<'_>, program: &Path, header: &str) -> usize {
    let mut cases = Vec::new();
    for routine in &model.routines {
        let parameters = driver::prototype(header, &routine.server_name);
        cases.extend((0..SETS).map(|set| (routine, set, server_case(model, routine, &parameters, set))));
    }
    let images: Vec<_> = cases.iter().map(|(routine, _, case)| (routine.number, case.image.clone())).collect();
    let mut blocks = driver::run(program, &images).into_iter();
    for (routine, set, case) in &cases {
        let place = format!("{place}: {} server, values {set}", routine.name);
        for (number, expected) in case.parameters.iter().enumerate() {
            let found = blocks.next().expect("a parameter");
            if let Some(expected) = expected {
                assert_eq!(&found, expected, "{place}: parameter {number}; request {:x?}", case.request);
            }
        }
        assert_eq!(blocks.next().expect("served"), [1, 0, 0, 0], "{place}: served");
        let reply = blocks.next().expect("a reply");
        if !routine.one_way {
            same(&place, &reply, &case.reply);
            check_encode(&place, tables, routine, &case.reply.0, View::Sent, true);
        }
        check_encode(&place, tables, routine, &case.request, View::Received, false);
    }
    assert!(blocks.next().is_none(), "{place}: the server wrote more");
    cases.len()
}

/// What the server answers to requests that are not what their .defs say is what the runtime of our stubs answers
/// (userland/mach/src/mig, tests/stubs.rs). Returns how many there were.
fn refusals(place: &str, model: &Model, program: &Path, header: &str) -> usize {
    const BAD_ID: i32 = -303;
    const BAD_ARGUMENTS: i32 = -304;
    let mut cases = Vec::new();
    for routine in &model.routines {
        let request = server_case(model, routine, &driver::prototype(header, &routine.server_name), 1).request;
        let mut changed = |change: &dyn Fn(&mut Vec<u8>), answer| {
            let mut bytes = request.clone();
            change(&mut bytes);
            let size = bytes.len() as u32;
            bytes[4..8].copy_from_slice(&size.to_le_bytes());
            let mut image = Image::new();
            image.place(SLOTS - 1, &bytes);
            cases.push((&routine.name, answer, image.finish()));
        };
        changed(&|bytes| bytes[28..32].copy_from_slice(&0x7fff_0000_u32.to_le_bytes()), BAD_ID);
        changed(&|bytes| bytes.extend([0; 8]), BAD_ARGUMENTS);
        if request.len() > 32 {
            changed(&|bytes| bytes.truncate(bytes.len() - 8), BAD_ARGUMENTS);
            // The size of an element in the first descriptor.
            changed(&|bytes| bytes[33] ^= 0x18, BAD_ARGUMENTS);
        }
    }
    let images: Vec<_> = cases.iter().map(|(.., image)| (0, image.clone())).collect();
    let blocks = driver::run(program, &images);
    assert_eq!(blocks.len(), cases.len() * 2, "{place}: a procedure was called");
    for ((name, answer, _), blocks) in cases.iter().zip(blocks.chunks_exact(2)) {
        let served = i32::from(*answer != BAD_ID).to_le_bytes();
        assert_eq!(blocks[0], served, "{place}: {name}: {answer}");
        assert_eq!(blocks[1].len(), 48, "{place}: {name}: {answer}");
        assert_eq!(blocks[1][40..44], answer.to_le_bytes(), "{place}: {name}: {answer}");
    }
    cases.len()
}

fn tables(model: &Model) -> Vec<u8> {
    let annotations = Annotations::builtin(&mut SourceMap::default(), &mut Diagnostics::default());
    codegen::table::tables(&[model], &annotations)
}

/// What could be compared of a file.
#[derive(Default)]
struct Compared {
    routines: usize,
    calls: usize,
    refusals: usize,
    /// What gcc says to the server that migcom writes, if it refuses it.
    refused: Option<String>,
}

fn compare_file(place: &str, model: &Model, theirs: &Migcom, headers: &Path, scratch: &Path) -> Compared {
    let bytes = tables(model);
    let tables = Tables::parse(&bytes).expect("tables");
    let build = |text: &str, name: &str| driver::build(model, text, headers, scratch, name);
    let user = build(&driver::user(model, &theirs.user_header), "user-driver");
    let user = user.unwrap_or_else(|error| panic!("{place}: gcc refuses the user stubs: {error}"));
    let calls = compare_user(place, model, tables, &user, &theirs.user_header);
    let mut compared = Compared { routines: model.routines.len(), calls, refusals: 0, refused: None };
    match build(&driver::server(model, &theirs.server, &theirs.server_header), "server-driver") {
        Ok(server) => {
            compared.calls += compare_server(place, model, tables, &server, &theirs.server_header);
            compared.refusals += refusals(place, model, &server, &theirs.server_header);
        }
        Err(error) => compared.refused = Some(error),
    }
    compared
}

/// The C headers for a version's stubs: its own, unless it is older than this migcom, whose stubs it then cannot compile.
fn headers(include: &Path) -> PathBuf {
    let message = std::fs::read_to_string(include.join("mach/message.h")).unwrap_or_default();
    if message.contains("mach_port_name_inlined_t") { include.to_path_buf() } else { directory("GNUMACH_DEFS") }
}

#[test]
#[ignore = "needs Debian's gnumach-dev and mig-x86-64-gnu: set GNUMACH_DEFS and MIGCOM, as `cargo qemu test` does"]
fn whole_messages_are_those_of_migcoms_stubs() {
    let scratch = scratch("marshal");
    for include in versions() {
        let mut files: Vec<PathBuf> = Vec::new();
        defs_below(&include, &mut files);
        let mut total = Compared::default();
        println!("{}", include.display());
        for file in &files {
            let compilation = compile(file, &Options::lp64(vec![include.clone()]), &Disk);
            let Some(model) = &compilation.model else { continue };
            let place = file.display().to_string();
            let Some(theirs) = migcom(&include, file, &scratch) else {
                println!("  {place}: migcom refuses it; ours leaves out {} routines", model.left_out.len());
                assert!(!model.left_out.is_empty(), "{place}: migcom refuses it, ours does not");
                continue;
            };
            let found = compare_file(&place, model, &theirs, &headers(&include), &scratch);
            total.routines += found.routines;
            total.calls += found.calls;
            total.refusals += found.refusals;
            if let Some(error) = found.refused {
                // Its stub for a polymorphic array of rights is no C; all others are.
                assert!(error.contains("_Xmemory_object_create_proxy"), "{place}: gcc refuses the server: {error}");
                println!("  {place}: gcc refuses the server that migcom writes");
            }
        }
        let Compared { routines, calls, refusals, .. } = &total;
        println!("  {routines} routines, {calls} calls, {refusals} refused requests, no difference");
        assert!(total.routines > 150, "only {} routines below {}", total.routines, include.display());
        assert!(total.calls >= total.routines * 23, "only {} calls", total.calls);
    }
    std::fs::remove_dir_all(&scratch).expect("scratch directory");
}
