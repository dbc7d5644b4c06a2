// SPDX-License-Identifier: GPL-2.0-or-later
//! Which rules agree on where a name is.

use std::collections::BTreeMap;
use std::fmt;

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};

use super::order::{between, common, likeness, votes};
use super::shared::References;
use super::{Image, Matching, Place, Rule};

/// Functions between two neighbours, of which it is still asked which is most alike.
const GAP: usize = 24;
/// Bytes of code without an entry in `.eh_frame` that are compared, and least instructions among them.
const CODE: u64 = 64;
const SAME_MIN: usize = 4;
/// How many functions have to refer to data in one order, and how many times more than for the second best.
const ORDERED: u32 = 2;
/// Bytes of a variable in which members are looked for, and least of them that are found in one order.
const MEMBERS: u64 = 4096;
const MEMBERS_MIN: usize = 3;
/// How much a function has to be like one that no other is like, and by how much more.
const ALONE: f64 = 0.9;
const ALONE_BY: f64 = 0.05;
/// Bytes beside a variable in which others are looked for.
const NEAR: u64 = 256;

/// A rule by which a name is where it is, independent of the others.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// The trap table has it.
    Trap,
    /// A table of MIG's has it.
    Table,
    /// A string that no other function uses.
    Text(String),
    /// So many functions call it in the same place, and none elsewhere.
    CallOrder(u32),
    /// So many functions refer to it, and hardly others; the score, and that of the second best.
    Shared(usize, f64, f64),
    /// So many functions refer to it in the same place of the order of their data.
    DataOrder(u32),
    /// Of the functions between the same two of both files it is the one most alike; how many these are.
    Neighbours(usize),
    /// So many instructions there are the same.
    Code(usize),
    /// It calls what it calls in the other kernel, so many functions, and no other does so.
    Calls(usize),
    /// No other function of the kernel is nearly as much alike: how much it is.
    Alone(f64),
    /// It stands between the same labels, of code that has no entry in `.eh_frame`.
    Labels,
    /// So many members of it are referred to in one order.
    Members(usize),
    /// So much else stands beside it at the same distance.
    Distance(usize),
    /// So many entries of the trap table have the same names.
    Traps(usize),
    /// The sections end there.
    Section,
    /// The segments end there.
    Segment,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap => write!(out, "trap table"),
            Self::Table => write!(out, "MIG's table"),
            Self::Text(text) => write!(out, "string {text:?}"),
            Self::CallOrder(functions) => write!(out, "order of calls in {functions}"),
            Self::Shared(functions, score, second) => {
                write!(out, "references of {functions} (score {score:.2}, second {second:.2})")
            }
            Self::DataOrder(functions) => write!(out, "order of data in {functions}"),
            Self::Neighbours(1) => write!(out, "alone between the same neighbours"),
            Self::Neighbours(functions) => write!(out, "between the same neighbours, most alike of {functions}"),
            Self::Code(instructions) => write!(out, "{instructions} instructions are the same"),
            Self::Calls(calls) => write!(out, "calls the same, {calls}, as no other"),
            Self::Alone(likeness) => write!(out, "no other is as much alike ({likeness:.2})"),
            Self::Labels => write!(out, "between the same labels"),
            Self::Members(members) => write!(out, "order of {members} members"),
            Self::Distance(others) => write!(out, "{others} others at the same distance"),
            Self::Traps(traps) => write!(out, "{traps} traps have the same names"),
            Self::Section => write!(out, "end of the sections"),
            Self::Segment => write!(out, "end of the segments"),
        }
    }
}

/// Where a name of the named kernel is in the stripped one.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Address, or offset in the processor's segment.
    pub place: Place,
    /// The rules that agree.
    pub why: Vec<Why>,
}

impl Found {
    /// Whether two rules agree, so that none has to be believed alone.
    pub fn is_certain(&self) -> bool {
        self.why.len() >= 2
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::At(address) => write!(out, "{address:#x}")?,
            Place::OfProcessor(offset) => write!(out, "%gs:{offset:#x}")?,
        }
        let why: Vec<String> = self.why.iter().map(ToString::to_string).collect();
        write!(out, " ({})", why.join("; "))
    }
}

/// Looks names up, with all that speaks for them.
#[derive(Debug)]
pub struct Evidence<'m> {
    matching: &'m Matching<'m>,
    references: References<'m>,
    /// How many functions use a string, in the named kernel and in the stripped.
    users: [BTreeMap<&'m str, usize>; 2],
    /// How often the order of data in functions says that an address is another.
    data: BTreeMap<u64, BTreeMap<u64, u32>>,
}

impl<'m> Evidence<'m> {
    /// Prepares.
    pub fn new(matching: &'m Matching<'m>) -> Self {
        let users = |image: &'m Image| {
            let mut users: BTreeMap<&str, usize> = BTreeMap::new();
            let texts = image.functions.values().flat_map(|function| &function.strings);
            texts.for_each(|text| *users.entry(text).or_default() += 1);
            users
        };
        let references = References::count(matching);
        let data = data_votes(matching, &references);
        let users = [users(matching.named), users(matching.stripped)];
        Self { matching, references, users, data }
    }

    /// Where a symbol of the named kernel is; `None` if it has no such symbol, or nothing speaks for any place.
    pub fn of(&self, name: &str) -> Option<Found> {
        let (address, _) = *self.matching.named.symbols.get(name)?;
        let shared = self.references.of(Place::At(address)).filter(|shared| shared.is_clear());
        let Some((stripped, rule)) = self.matching.of(address) else {
            // Code that has no entry of how to unwind it.
            let stripped = match shared.map(|shared| shared.place) {
                Some(Place::At(stripped)) => stripped,
                _ => *self.data.get(&address)?.iter().max_by_key(|(_, votes)| **votes)?.0,
            };
            let mut why: Vec<Why> =
                shared.into_iter().map(|shared| Why::Shared(shared.functions, shared.score, shared.second)).collect();
            why.extend(self.data_order(address, stripped));
            why.extend(self.code(address, stripped));
            why.extend(self.labels(address, stripped));
            return Some(Found { place: Place::At(stripped), why });
        };
        let mut why = Vec::new();
        match rule {
            Rule::Trap => why.push(Why::Trap),
            Rule::Table => why.push(Why::Table),
            Rule::Text | Rule::CallOrder | Rule::LinkOrder | Rule::Likeness => {}
        }
        why.extend(self.own_text(address, stripped).map(Why::Text));
        // Without what is known of it already.
        if let Some(others) = votes(self.matching, Some(address)).get(&address)
            && let Some(count) = others.get(&stripped).filter(|_| others.len() == 1)
        {
            why.push(Why::CallOrder(*count));
        }
        let shared = shared.filter(|shared| shared.place == Place::At(stripped));
        why.extend(shared.map(|shared| Why::Shared(shared.functions, shared.score, shared.second)));
        why.extend(self.data_order(address, stripped));
        why.extend(self.neighbours(address, stripped));
        why.extend(self.same_calls(address, stripped));
        if why.len() < 2 {
            why.extend(self.alone(address, stripped));
        }
        Some(Found { place: Place::At(stripped), why })
    }

    /// Where a variable of the named kernel is, by what refers to it and to its members.
    pub fn data(&self, name: &str) -> Option<Found> {
        let (address, size) = *self.matching.named.symbols.get(name)?;
        let mut bases: BTreeMap<u64, Vec<Why>> = BTreeMap::new();
        let mut members: BTreeMap<u64, usize> = BTreeMap::new();
        for place in address..address.saturating_add(size.clamp(1, MEMBERS)) {
            let shared = self.references.of(Place::At(place)).filter(|shared| shared.is_clear());
            if let Some((shared, Place::At(stripped))) = shared.map(|shared| (shared, shared.place))
                && let Some(base) = stripped.checked_sub(place - address)
            {
                let why = Why::Shared(shared.functions, shared.score, shared.second);
                bases.entry(base).or_default().push(why);
            }
            for stripped in self.data.get(&place).into_iter().flatten().map(|vote| vote.0) {
                let Some(base) = stripped.checked_sub(place - address) else { continue };
                bases.entry(base).or_default().extend(self.data_order(place, *stripped));
                *members.entry(base).or_default() += 1;
            }
        }
        for (base, count) in members.iter().filter(|(_, count)| **count >= MEMBERS_MIN) {
            if members.iter().all(|(other, others)| other == base || MEMBERS_MIN * others <= *count) {
                bases.entry(*base).or_default().push(Why::Members(*count));
            }
        }
        let (base, mut why) = bases.into_iter().max_by_key(|(_, why)| why.len())?;
        why.extend(self.distance(address, size, base));
        Some(Found { place: Place::At(base), why })
    }

    /// What stands beside a variable, at the same distance in both kernels.
    fn distance(&self, named: u64, size: u64, stripped: u64) -> Option<Why> {
        let near = (named.saturating_sub(NEAR)..named).chain(named + size.max(1)..named + size + NEAR);
        let is_same = |place: &u64| {
            let there = stripped.wrapping_add(place.wrapping_sub(named));
            self.data.get(place).is_some_and(|votes| votes.len() == 1 && votes.contains_key(&there))
        };
        let count = near.filter(is_same).count();
        (count >= MEMBERS_MIN).then_some(Why::Distance(count))
    }

    /// A string that the function alone uses, in both kernels.
    fn own_text(&self, named: u64, stripped: u64) -> Option<String> {
        let (one, other) = (self.matching.named, self.matching.stripped);
        let mut texts = one.functions[&named].strings.intersection(&other.functions[&stripped].strings);
        texts.find(|text| self.users.iter().all(|users| users.get(text.as_str()) == Some(&1))).cloned()
    }

    /// Data that functions refer to in the same order.
    fn data_order(&self, named: u64, stripped: u64) -> Option<Why> {
        let votes = self.data.get(&named)?;
        let count = *votes.get(&stripped)?;
        let rival = votes.iter().filter(|(other, _)| **other != stripped).map(|(_, votes)| *votes).max().unwrap_or(0);
        (count >= ORDERED && count >= ORDERED * rival).then_some(Why::DataOrder(count))
    }

    /// The function most alike between the nearest ones that are found, before and behind it.
    fn neighbours(&self, named: u64, stripped: u64) -> Option<Why> {
        let matching = self.matching;
        let before = matching.forth.range(..named).next_back()?.1.0;
        let after = matching.forth.range(named + 1..).next()?.1.0;
        if !(before < stripped && stripped < after) {
            return None;
        }
        let room = between(&matching.stripped.functions, before, after);
        let mine = likeness(matching, named, stripped);
        let is_best = room.iter().all(|other| *other == stripped || likeness(matching, named, *other) < mine);
        (is_best && room.len() <= GAP).then_some(Why::Neighbours(room.len()))
    }

    /// It calls the same functions, all of which are found, in the same order, and no other function calls just these.
    fn same_calls(&self, named: u64, stripped: u64) -> Option<Why> {
        let [one, other] = &self.matching.calls;
        let called = other.get(&stripped)?;
        let of = |target: &u64| self.matching.of(*target).map(|found| found.0);
        let expected: Option<Vec<u64>> = one.get(&named)?.iter().map(of).collect();
        let is_only = other.values().filter(|calls| *calls == called).count() == 1;
        (!called.is_empty() && is_only && expected.as_ref() == Some(called)).then_some(Why::Calls(called.len()))
    }

    /// No other function of the stripped kernel is nearly as much like it, nor it as much like another of the named one.
    fn alone(&self, named: u64, stripped: u64) -> Option<Why> {
        let matching = self.matching;
        let mine = likeness(matching, named, stripped);
        let is_far = |one: u64, other: u64| likeness(matching, one, other) < mine - ALONE_BY;
        let others = matching.stripped.functions.keys().filter(|other| **other != stripped);
        let rivals = matching.named.functions.keys().filter(|rival| **rival != named);
        let is_alone = mine >= ALONE
            && others.into_iter().all(|other| is_far(named, *other))
            && rivals.into_iter().all(|rival| is_far(*rival, stripped));
        is_alone.then_some(Why::Alone(mine))
    }

    /// The labels before and behind it that functions refer to are those of the other kernel, too.
    fn labels(&self, named: u64, stripped: u64) -> Option<Why> {
        let is_label = |address: &u64| {
            !self.matching.named.functions.contains_key(address)
                && address.abs_diff(named) < NEAR * 4
                && *address != named
        };
        let of = |address: u64| self.data.get(&address).filter(|votes| votes.len() == 1)?.keys().next().copied();
        let known = self.data.keys().copied().filter(is_label).filter_map(|address| Some((address, of(address)?)));
        let (before, after): (Vec<_>, Vec<_>) = known.partition(|(address, _)| *address < named);
        let (before, after) = (before.into_iter().max()?, after.into_iter().min()?);
        (before.1 < stripped && stripped < after.1 && after.1 - before.1 < NEAR * 8).then_some(Why::Labels)
    }

    /// Whether the instructions are those of the other kernel but for addresses, as far as the named one has no other symbol.
    fn code(&self, named: u64, stripped: u64) -> Option<Why> {
        let (one, other) = (self.matching.named, self.matching.stripped);
        let next = one.symbols.values().map(|symbol| symbol.0).filter(|address| *address > named).min()?;
        let len = (next - named).min(CODE);
        let decode = |image: &Image, at: u64| -> Option<Vec<Instruction>> {
            Some(Decoder::with_ip(64, image.bytes_at(at, len)?, at, DecoderOptions::NONE).into_iter().collect())
        };
        let (one, other) = (decode(one, named)?, decode(other, stripped)?);
        let whole =
            |instructions: &[Instruction], at: u64| instructions.iter().filter(|i| i.next_ip() <= at + len).count();
        let count = whole(&one, named).min(whole(&other, stripped));
        let same = one.iter().zip(&other).take(count).all(|(one, other)| is_same(one, other));
        (same && count >= SAME_MIN && whole(&one, named) == whole(&other, stripped)).then_some(Why::Code(count))
    }
}

/// How often the order of what functions refer to says that an address is another: between what is known of both, as many in both.
fn data_votes(matching: &Matching<'_>, references: &References<'_>) -> BTreeMap<u64, BTreeMap<u64, u32>> {
    let mut known: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    let mut votes: BTreeMap<u64, BTreeMap<u64, u32>> = BTreeMap::new();
    for (named, stripped) in matching.pairs() {
        let (one, other) = (&matching.named.functions[&named].data, &matching.stripped.functions[&stripped].data);
        let mut first = Vec::new();
        for address in one {
            let found = *known.entry(*address).or_insert_with(|| {
                let function = matching.of(*address).map(|found| found.0);
                let shared = || references.of(Place::At(*address)).filter(|shared| shared.is_clear());
                function.or_else(|| shared().and_then(|shared| shared.place.address()))
            });
            first.push(found);
        }
        let second: Vec<Option<u64>> =
            other.iter().map(|address| first.contains(&Some(*address)).then_some(*address)).collect();
        let mut from = (0, 0);
        for (at, there) in common(&first, &second).into_iter().chain([(one.len(), other.len())]) {
            if at - from.0 == there - from.1 {
                for (one, other) in one[from.0..at].iter().zip(&other[from.1..there]) {
                    *votes.entry(*one).or_default().entry(*other).or_default() += 1;
                }
            }
            if at < one.len() {
                *votes.entry(one[at]).or_default().entry(other[there]).or_default() += 1;
            }
            from = (at + 1, there + 1);
        }
    }
    votes
}

/// Whether an operand is a number in the instruction.
fn is_immediate(kind: OpKind) -> bool {
    use OpKind::{
        Immediate8, Immediate8to16, Immediate8to32, Immediate8to64, Immediate16, Immediate32, Immediate32to64,
        Immediate64,
    };
    matches!(
        kind,
        Immediate8
            | Immediate16
            | Immediate32
            | Immediate64
            | Immediate8to16
            | Immediate8to32
            | Immediate8to64
            | Immediate32to64
    )
}

/// Whether two instructions do the same to the same registers; addresses may differ.
fn is_same(one: &Instruction, other: &Instruction) -> bool {
    let is_address = |value: u64| value >= crate::kernel::elf::KERNEL_OFFSET;
    one.code() == other.code()
        && (0..one.op_count()).all(|operand| match (one.op_kind(operand), other.op_kind(operand)) {
            (OpKind::Register, OpKind::Register) => one.op_register(operand) == other.op_register(operand),
            (OpKind::Memory, OpKind::Memory) => {
                let (mine, its) = (one.memory_displacement64(), other.memory_displacement64());
                one.memory_base() == other.memory_base()
                    && one.memory_index() == other.memory_index()
                    && (mine == its || is_address(mine) && is_address(its))
            }
            (OpKind::NearBranch64, OpKind::NearBranch64) => true,
            (kind, its) if kind == its && is_immediate(kind) => {
                let (mine, its) = (one.immediate(operand), other.immediate(operand));
                mine == its || is_address(mine) && is_address(its)
            }
            // Such as the places that string instructions know by themselves.
            (kind, its) => kind == its,
        })
}
