// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs migcom's stubs and ours on the same cases and compares what they do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use mach_abi::Format;
use mig_defs::decode::Message;
use mig_defs::encode::encode;
use mig_defs::model::{Model, Role, Routine};
use mig_defs::table::Tables;
use mig_defs::value::{Value, View};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::cases::{canonical, delivered, descriptors, masked, server_case, user_case};
use super::driver::{self, Parameter, Run};
use super::hostile::{self, Depth, NO_REPLY};
use super::property::{describe, items, minimal};
use super::values::{Extent, Values, values};

/// How much is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Sets of values per routine and side, besides one that is all zeros and one with full arrays.
    pub(crate) sets: usize,
    pub(crate) depth: Depth,
}

/// Which stubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    User,
    Server,
}

/// The stubs of one side of a file: migcom's and ours.
pub(crate) struct Stubs<'a> {
    pub(crate) place: &'a str,
    pub(crate) side: Side,
    pub(crate) model: &'a Model,
    pub(crate) tables: Tables<'a>,
    /// migcom's header.
    pub(crate) header: &'a str,
    /// The driver of migcom's stubs.
    pub(crate) c: PathBuf,
    /// The driver of ours, of every file.
    pub(crate) rust: PathBuf,
    /// The file's number in it.
    pub(crate) file: usize,
}

type Blocks = Vec<Vec<u8>>;

/// A message, and which of its bytes mean something.
type Masked = (Vec<u8>, Vec<bool>);

/// What is known of a case's outcome.
enum Expected {
    /// Of a user stub: what it sends, and what it stores where.
    User { request: Masked, results: Vec<(usize, Vec<u8>)> },
    /// Of a server: the procedure's arguments, and what it answers.
    Server { parameters: Vec<Option<Vec<u8>>>, reply: Masked },
    /// Only that both do the same.
    Same,
}

/// One call.
struct Case<'a> {
    what: String,
    routine: &'a Routine,
    run: Run,
    expected: Expected,
}

impl Case<'_> {
    /// Which bytes of the message that is sent mean something.
    fn significant(&self) -> &[bool] {
        match &self.expected {
            Expected::User { request: (_, significant), .. } | Expected::Server { reply: (_, significant), .. } => {
                significant
            }
            Expected::Same => &[],
        }
    }
}

/// What differs in a case.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check(&mut self, what: &str, difference: Option<String>) {
        self.0.extend(difference.map(|difference| format!("{what}: {difference}")));
    }
}

/// What was compared and what was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) calls: usize,
    pub(crate) hostile: usize,
    pub(crate) differences: Vec<String>,
}

/// Failures of a file that are reduced to the simplest values: each takes some hundred runs.
const REDUCED: usize = 3;

impl<'a> Stubs<'a> {
    /// The blocks of both for each case.
    fn run(&self, cases: &[Case<'_>]) -> Vec<(Blocks, Blocks)> {
        let side = if self.side == Side::User { "user" } else { "server" };
        let runs: Vec<Run> = cases.iter().map(|case| case.run.clone()).collect();
        let theirs = driver::run(&mut Command::new(&self.c), &runs);
        let ours = driver::run(Command::new(&self.rust).args([side, &self.file.to_string()]), &runs);
        theirs.into_iter().zip(ours).collect()
    }

    fn parameters(&self, routine: &Routine) -> Vec<Parameter> {
        let name = if self.side == Side::User { &routine.user_name } else { &routine.server_name };
        driver::prototype(self.header, name)
    }

    /// Compares both on proptest's values for every routine, and on messages that are not what the .defs say.
    pub(crate) fn compare(&self, effort: Effort, runner: &mut TestRunner, found: &mut Found) {
        let (mut cases, mut trees) = (Vec::new(), BTreeMap::new());
        for routine in &self.model.routines {
            let extents = [Extent::Zero, Extent::Most].into_iter().chain(vec![Extent::Any; effort.sets]);
            for (set, extent) in extents.enumerate() {
                let tree = values(items(self.model, routine), extent).new_tree(runner).expect("values");
                let case = self.case(routine, &tree.current());
                if set == 2 {
                    self.add_hostile(&mut cases, &case, effort.depth);
                }
                trees.insert(cases.len(), tree);
                cases.push(case);
            }
        }
        let mut reduced = 0;
        for (index, (case, blocks)) in cases.iter().zip(self.run(&cases)).enumerate() {
            match case.expected {
                Expected::Same => found.hostile += 1,
                _ => found.calls += 1,
            }
            let mut differences = self.judge(case, &blocks);
            if !differences.is_empty()
                && reduced < REDUCED
                && let Some(tree) = trees.remove(&index)
            {
                reduced += 1;
                differences = self.reduce(case.routine, tree);
            }
            let place = format!("{}: {} {:?}{}", self.place, case.routine.name, self.side, case.what);
            found.differences.extend(differences.into_iter().map(|difference| format!("{place}: {difference}")));
        }
    }

    /// The differences with the simplest values that still have some, and these values.
    fn reduce(&self, routine: &Routine, tree: impl ValueTree<Value = Values>) -> Vec<String> {
        let simplest = minimal(tree, |values| {
            let cases = [self.case(routine, values)];
            let differences = self.judge(&cases[0], &self.run(&cases)[0]);
            (!differences.is_empty()).then_some(differences)
        });
        let Some((values, differences)) = simplest else {
            return vec!["differs among other calls, not alone".to_string()];
        };
        [vec![format!("with {}", describe(self.model, routine, &values))], differences].concat()
    }

    /// A call that is what its .defs say.
    fn case<'r>(&self, routine: &'r Routine, values: &Values) -> Case<'r> {
        let parameters = self.parameters(routine);
        let (image, expected) = match self.side {
            Side::User => {
                let case = user_case(self.model, routine, &parameters, values);
                (case.image, Expected::User { request: case.request, results: case.results })
            }
            Side::Server => {
                let case = server_case(self.model, routine, &parameters, values);
                (case.image, Expected::Server { parameters: case.parameters, reply: case.reply })
            }
        };
        let run = Run { routine: routine.number, image, answer: 0, hostile: false };
        Case { what: String::new(), routine, run, expected }
    }

    /// Calls from here on: what is not what the .defs say, to be treated alike by both.
    fn add_hostile<'r>(&self, cases: &mut Vec<Case<'r>>, valid: &Case<'r>, depth: Depth) {
        let parameters = self.parameters(valid.routine);
        let hostile = match self.side {
            Side::User => hostile::of_user(valid.routine, &parameters, &valid.run, depth),
            Side::Server => hostile::of_server(&valid.run, depth),
        };
        let case =
            |(what, run)| Case { what: format!(", {what}"), routine: valid.routine, run, expected: Expected::Same };
        cases.extend(hostile.into_iter().map(case));
    }

    /// What differs between migcom's stub, ours and what is known.
    fn judge(&self, case: &Case<'_>, (theirs, ours): &(Blocks, Blocks)) -> Vec<String> {
        let mut found = Differences::default();
        match &case.expected {
            Expected::User { request, results } => self.judge_user(case, request, results, theirs, &mut found),
            Expected::Server { parameters, reply } => self.judge_server(case, parameters, reply, theirs, &mut found),
            Expected::Same => {}
        }
        match self.side {
            Side::User => {
                // C reads on after the bytes of a string without a NUL: see docs/mig.md.
                let reads_on = case.run.hostile && takes_varying_text(self.model, case.routine);
                compare_calls(case, theirs, ours, reads_on, &mut found);
            }
            Side::Server => compare_served(case, &self.parameters(case.routine), theirs, ours, &mut found),
        }
        found.0
    }

    /// What migcom's user stub sent and took out of the reply.
    fn judge_user(
        &self,
        case: &Case<'_>,
        (request, significant): &Masked,
        results: &[(usize, Vec<u8>)],
        theirs: &[Vec<u8>],
        found: &mut Differences,
    ) {
        found.check("encode", encoded(self.tables, case.routine, request, View::Sent, false));
        let [sent, _, code, image] = theirs else { panic!("{}: blocks of the C driver", case.routine.name) };
        let [sent, request] = [sent, request].map(|message| canonical(message, &case.run.image));
        found.check("request", difference(&sent, &request, significant));
        found.check("return code", difference(code, &[0; 4], &[]));
        for (offset, expected) in results {
            found.check("result", difference(&image[*offset..][..expected.len()], expected, &[]));
        }
    }

    /// What migcom's server took out of the request and answered.
    fn judge_server(
        &self,
        case: &Case<'_>,
        parameters: &[Option<Vec<u8>>],
        (reply, significant): &Masked,
        theirs: &[Vec<u8>],
        found: &mut Differences,
    ) {
        found.check("encode", encoded(self.tables, case.routine, &delivered(&case.run.image), View::Received, false));
        for (number, (expected, block)) in parameters.iter().zip(theirs).enumerate() {
            if let Some(expected) = expected {
                found.check(&format!("parameter {number}"), difference(block, expected, &[]));
            }
        }
        if !case.routine.one_way {
            found.check("encode reply", encoded(self.tables, case.routine, reply, View::Sent, true));
            let sent = theirs.last().expect("a reply");
            let [sent, reply] = [sent, reply].map(|message| canonical(message, &case.run.image));
            found.check("reply", difference(&sent, &reply, significant));
        }
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

/// What encode(decode(message)) has other than the message; nothing, it should be.
fn encoded(tables: Tables<'_>, routine: &Routine, bytes: &[u8], view: View, is_reply: bool) -> Option<String> {
    let format = Format::Lp64;
    let decoded =
        if is_reply { Message::reply(tables, format, bytes, view) } else { Message::new(tables, format, bytes, view) };
    let decoded = match decoded {
        // Two routines with one id: the other file has the canonical name.
        Ok(decoded) if decoded.routine().name() != &*routine.name => return None,
        Ok(decoded) => decoded,
        Err(error) => return Some(error.to_string()),
    };
    let values: Result<Vec<Value<'_>>, _> = decoded.fields().map(|field| field.map(|field| field.value)).collect();
    let mut buffer = vec![0; bytes.len() + 64];
    match values
        .map(|values| encode(decoded.routine(), is_reply, Format::Lp64, view, decoded.header(), values, &mut buffer))
    {
        Err(error) => Some(error.to_string()),
        Ok(Err(error)) => Some(error.to_string()),
        Ok(Ok(size)) => difference(bytes, &buffer[..size], &[]),
    }
}

fn takes_varying_text(model: &Model, routine: &Routine) -> bool {
    routine.arguments.iter().any(|argument| {
        let ty = model.ty(argument.ty);
        argument.role.in_reply() && ty.string && ty.var_array
    })
}

/// One call in C and in Rust: request, `mach_msg`, return code and, on success, results.
fn compare_calls(case: &Case<'_>, theirs: &[Vec<u8>], ours: &[Vec<u8>], reads_on: bool, found: &mut Differences) {
    if theirs.len() != ours.len() {
        let why = format!("{} blocks of migcom, {} of ours", theirs.len(), ours.len());
        return found.check("ours, sent or not", Some(why));
    }
    let [.., their_code, their_image] = theirs else { panic!("{}: too few blocks", case.routine.name) };
    let [.., our_code, our_image] = ours else { panic!("{}: too few blocks", case.routine.name) };
    if let ([request, call, ..], [our_request, our_call, ..], Expected::User { .. }) = (theirs, ours, &case.expected) {
        let requests = [request, our_request].map(|request| canonical(request, &case.run.image));
        found.check("ours, request", difference(&requests[0], &requests[1], case.significant()));
        found.check("ours, option, sizes, timeout", difference(call, our_call, &[]));
    }
    found.check("ours, return code", difference(their_code, our_code, &[]));
    if *their_code == [0; 4] && our_code == their_code && !reads_on {
        found.check("ours, results", difference(their_image, our_image, &[]));
    }
}

/// One request served in C and in Rust: arguments, whether it was served, reply.
fn compare_served(
    case: &Case<'_>,
    parameters: &[Parameter],
    theirs: &[Vec<u8>],
    ours: &[Vec<u8>],
    found: &mut Differences,
) {
    if theirs.len() != ours.len() {
        let why = format!("{} blocks of migcom, {} of ours", theirs.len(), ours.len());
        return found.check("ours, called or not", Some(why));
    }
    let [arguments @ .., served, reply] = theirs else { panic!("{}: too few blocks", case.routine.name) };
    let [our_arguments @ .., our_served, our_reply] = ours else { panic!("{}: too few blocks", case.routine.name) };
    for ((one, other), parameter) in arguments.iter().zip(our_arguments).zip(parameters) {
        let (_, argument, _) = driver::part(case.routine, parameter);
        // What only goes back is not passed in Rust.
        if argument.role != Role::Out {
            found.check(&format!("ours, {}", parameter.name), difference(one, other, &[]));
        }
    }
    found.check("ours, served", difference(served, our_served, &[]));
    compare_replies(case, [reply, our_reply], found);
}

/// The reply, but for what is meant to differ: see docs/mig.md.
fn compare_replies(case: &Case<'_>, replies: [&[u8]; 2], found: &mut Differences) {
    let [mut theirs, ours] = replies.map(|reply| canonical(reply, &case.run.image));
    let code = |reply: &[u8]| reply.get(40..44).map(|code| i32::from_le_bytes(code.try_into().expect("four bytes")));
    // A one-way routine that went well is nothing to answer in Rust, where C's procedure has to say MIG_NO_REPLY.
    let silent = code(&theirs) == Some(NO_REPLY) || case.routine.one_way && code(&theirs) == Some(0);
    if silent {
        found.check("ours, no reply", difference(&ours[..24], &silenced(&theirs)[..24], &[]));
        found.check("ours, no reply", difference(&ours[40..], &theirs[40..48], &[]));
        return;
    }
    // The memory of an answer always goes over to the client: a server in Rust has no place to keep it.
    for at in descriptors(&theirs) {
        let inline = theirs[at + 3] & 0x20 != 0;
        theirs[at + 3] |= if inline { 0 } else { 0x80 };
    }
    found.check("ours, reply", difference(&theirs, &ours, case.significant()));
}

/// The head of a reply that is not to be sent: without a port to go to.
fn silenced(reply: &[u8]) -> Vec<u8> {
    let mut reply = reply.to_vec();
    reply[0] = 0;
    reply[8..12].fill(0);
    reply
}
