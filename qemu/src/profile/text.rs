// SPDX-License-Identifier: GPL-2.0-or-later
//! A profile as text, and back.
//!
//! The first line has the number of the format, the last one the SHA-256 of all lines before it; `#` begins a remark. Between them, in this
//! order and written in one way only, so that a profile that is made again is the same to the byte:
//!
//! | line | |
//! |---|---|
//! | `version TEXT` | the kernel's own words |
//! | `kernel SHA-256` | of the file, not compressed |
//! | `processors one` or `several` | |
//! | `function global ADDRESS SIZE NAME PROTOTYPE` | a function that `.eh_frame` knows; `local` if no other file may refer to it |
//! | `label global ADDRESS SIZE NAME PROTOTYPE` | other code |
//! | `data global ADDRESS SIZE NAME TYPE` | a variable |
//! | `struct TAG SIZE PLACE` | bytes, and where the `-dbg` kernel's DWARF defines it; its members follow |
//! | `hole BYTE...` | where four bytes belong to no member |
//! | `member PATH BYTE SIZE` | |
//! | `bits PATH BYTE.BIT COUNT` | a bit-field |
//!
//! Prototypes and types are there where the payload takes the name for something; they are written as [`Value`] is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::SplitWhitespace;

use super::{Kind, MAGIC, Named, Profile, Says};
use crate::error::InstrumentError;
use crate::kernel::dwarf::{Field, Layout};
use crate::payload_abi::Value;
use crate::plan::sha256;

/// The number of the format.
const FORMAT: &str = "1";

const REMARKS: &str = "\
# Where things are in a kernel without symbols, as `cargo qemu profile` has found them by the -dbg kernel of the same version.
# What the lines are: qemu/src/profile/text.rs. Not to be edited: the last line is the SHA-256 of all before it.
";

/// What the last line begins with.
const SUM: &str = "sum ";

/// Characters of a line that a message shows.
const SHOWN: usize = 100;

impl fmt::Display for Profile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        writeln!(out, "{lines}{SUM}{}", sha256(lines.as_bytes()))
    }
}

impl fmt::Display for Says {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Type(value) => write!(out, " {value}"),
            Self::Prototype { result, parameters, variadic } => {
                let more = variadic.then(|| "...".to_owned());
                let all: Vec<String> = parameters.iter().map(ToString::to_string).chain(more).collect();
                write!(out, " ({}) -> {result}", all.join(", "))
            }
        }
    }
}

impl Profile {
    /// All lines but the last.
    fn lines(&self) -> String {
        let mut text = format!("{MAGIC}{FORMAT}\n{REMARKS}version {}\nkernel {}\n", self.version, self.kernel);
        text += if self.is_for_several { "processors several\n" } else { "processors one\n" };
        for (name, Named { kind, global, address, size, says }) in &self.symbols {
            let kind = match kind {
                Kind::Function => "function",
                Kind::Label => "label",
                Kind::Data => "data",
            };
            let global = if *global { "global" } else { "local" };
            text += &format!("{kind:<8} {global:<6} {address:#018x} {size:>5} {name}{says}\n");
        }
        for Layout { tag, size, fields, holes, die } in self.structs.values() {
            text += &format!("struct {tag} {size} {die:#x}\n");
            if !holes.is_empty() {
                text += &format!("  hole {}\n", holes.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
            }
            for Field { path, bit_offset, bit_size, bit_field, .. } in fields {
                let (byte, bit) = (bit_offset / 8, bit_offset % 8);
                text += &match bit_field {
                    true => format!("  bits {path} {byte}.{bit} {bit_size}\n"),
                    false => format!("  member {path} {byte} {}\n", bit_size / 8),
                };
            }
        }
        text
    }

    /// Reads a profile; `path` is for messages.
    ///
    /// # Errors
    /// With the line, what was expected there and what is there instead.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, InstrumentError> {
        let refuse = |why: String| InstrumentError::Profile { path: path.to_owned(), why };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let place = error.valid_up_to();
            refuse(format!("byte {place}: expected text, found {:#04x}", bytes.get(place).copied().unwrap_or(0)))
        })?;
        let mut profile = read(text).map_err(refuse)?;
        profile.path = path.to_owned();
        refuse_another_form(&profile.to_string(), text).map_err(refuse)?;
        Ok(profile)
    }
}

/// What is read so far.
#[derive(Default)]
struct Draft {
    version: Option<String>,
    kernel: Option<String>,
    is_for_several: Option<bool>,
    symbols: BTreeMap<String, Named>,
    structs: BTreeMap<String, Layout>,
    /// The struct that members belong to.
    open: Option<String>,
}

/// Reads all lines, then holds the sum against them.
fn read(text: &str) -> Result<Profile, String> {
    let first = text.lines().next().unwrap_or_default();
    if first.strip_prefix(MAGIC) != Some(FORMAT) {
        return Err(format!("line 1: expected `{MAGIC}{FORMAT}`, found {}", shown(first)));
    }
    let mut draft = Draft::default();
    let (mut place, mut number) = (first.len() + 1, 1);
    for line in text.lines().skip(1) {
        number += 1;
        if let Some(sum) = line.strip_prefix(SUM) {
            return close(draft, text, place, number, sum);
        }
        place += line.len() + 1;
        if !line.starts_with('#') {
            draft
                .take(line)
                .map_err(|expected| format!("line {number}: expected {expected}, found {}", shown(line)))?;
        }
    }
    let last = text.lines().last().unwrap_or_default();
    Err(format!("line {number}, the last: expected `{SUM}` and a SHA-256, found {}", shown(last)))
}

/// The whole, if the sum of the lines before `place` is right and nothing follows.
fn close(draft: Draft, text: &str, place: usize, number: usize, sum: &str) -> Result<Profile, String> {
    let found = sha256(text.get(..place).unwrap_or_default().as_bytes());
    if sum != found {
        let why = "the lines before it are not those that were written";
        return Err(format!("line {number}: expected the sum {found}, found {}: {why}", shown(sum)));
    }
    let missing = |what: &str| format!("line {number}: expected a line `{what}` before it, found none");
    Ok(Profile {
        path: Path::new("").to_owned(),
        version: draft.version.ok_or_else(|| missing("version"))?,
        kernel: draft.kernel.ok_or_else(|| missing("kernel"))?,
        is_for_several: draft.is_for_several.ok_or_else(|| missing("processors"))?,
        symbols: draft.symbols,
        structs: draft.structs,
    })
}

/// A profile is written in one way only.
fn refuse_another_form(expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let (mut ours, mut theirs) = (expected.split('\n'), found.split('\n'));
    let mut number = 0;
    loop {
        number += 1;
        let (ours, theirs) = (ours.next(), theirs.next());
        if ours != theirs || ours.is_none() {
            let word = |line: Option<&str>| line.map_or_else(|| "the end".to_owned(), shown);
            return Err(format!("line {number}: expected {}, found {}", word(ours), word(theirs)));
        }
    }
}

/// A line in a message.
fn shown(line: &str) -> String {
    let short: String = line.chars().take(SHOWN).collect();
    let more = if short.len() < line.len() { "..." } else { "" };
    format!("`{}`{more}", short.escape_debug())
}

impl Draft {
    /// Takes a line, or says what was expected.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (kind, rest) = line.trim_start().split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split_whitespace();
        match kind {
            "version" => once(&mut self.version, rest.to_owned(), kind),
            "kernel" => {
                let is_sum = rest.len() == 64 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let sum = is_sum.then(|| rest.to_owned()).ok_or("`kernel` and 64 hexadecimal digits")?;
                once(&mut self.kernel, sum, kind)
            }
            "processors" => match rest {
                "one" | "several" => once(&mut self.is_for_several, rest == "several", kind),
                _ => Err("`processors one` or `processors several`".to_owned()),
            },
            "function" => self.symbol(Kind::Function, &mut words),
            "label" => self.symbol(Kind::Label, &mut words),
            "data" => self.symbol(Kind::Data, &mut words),
            "struct" => self.open(&mut words),
            "hole" | "member" | "bits" => self.member(kind, &mut words),
            _ => Err("a line that begins with version, kernel, processors, function, label, data, struct, hole, \
                      member, bits or sum"
                .to_owned()),
        }
    }

    fn symbol(&mut self, kind: Kind, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let form = "KIND, global or local, an address, a size, a name";
        let global = match words.next() {
            Some("global") => true,
            Some("local") => false,
            _ => return Err(form.to_owned()),
        };
        let address = words.next().and_then(hexadecimal).ok_or(form)?;
        let size = words.next().and_then(|word| word.parse().ok()).ok_or(form)?;
        let name = words.next().ok_or(form)?.to_owned();
        let rest: Vec<&str> = words.collect();
        let says = says(kind, &rest.join(" ")).ok_or("a prototype `(TYPE, ...) -> TYPE` of code, a type of data")?;
        let of = Named { kind, global, address, size, says };
        match self.symbols.insert(name.clone(), of) {
            None => Ok(()),
            Some(before) => Err(format!("{name} once (it is at {:#x} above)", before.address)),
        }
    }

    fn open(&mut self, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let form = "struct, a tag, its size, a place";
        let tag = words.next().ok_or(form)?.to_owned();
        let size = words.next().and_then(number).ok_or(form)?;
        let die = words.next().and_then(hexadecimal).and_then(|die| usize::try_from(die).ok()).ok_or(form)?;
        let layout = Layout { tag: tag.clone(), size, fields: Vec::new(), holes: Vec::new(), die };
        self.open = Some(tag.clone());
        match self.structs.insert(tag.clone(), layout) {
            None => Ok(()),
            Some(_) => Err(format!("struct {tag} once")),
        }
    }

    fn member(&mut self, kind: &str, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let layout =
            self.open.as_ref().and_then(|tag| self.structs.get_mut(tag)).ok_or("a struct before its members")?;
        if kind == "hole" {
            let holes: Option<Vec<u64>> = words.map(number).collect();
            layout.holes = holes.ok_or("hole and the bytes where holes begin")?;
            return Ok(());
        }
        let form = "a path, a byte (with a bit, of bits), a size";
        let path = words.next().ok_or(form)?.to_owned();
        let (place, size) = (words.next().ok_or(form)?, words.next().and_then(number).ok_or(form)?);
        let bit_field = kind == "bits";
        let (byte, bit) = match place.split_once('.') {
            Some((byte, bit)) if bit_field => (number(byte), number(bit).filter(|bit| *bit < 8)),
            None if !bit_field => (number(place), Some(0)),
            _ => (None, None),
        };
        let byte = byte.ok_or(form)?;
        let bit_offset = byte * 8 + bit.ok_or(form)?;
        let bit_size = if bit_field { size } else { size * 8 };
        if layout.fields.iter().any(|field| field.path == path) {
            return Err(format!("{path} once in struct {}", layout.tag));
        }
        let storage = (byte, byte + bit_size.div_ceil(8));
        layout.fields.push(Field { path, bit_offset, bit_size, bit_field, storage, direct: false });
        layout.fields.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T, kind: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{kind}` once")),
    }
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// A size or an offset; sums of such numbers do not overflow.
fn number(word: &str) -> Option<u64> {
    word.parse::<u32>().ok().map(u64::from)
}

fn says(kind: Kind, text: &str) -> Option<Says> {
    if text.is_empty() {
        return Some(Says::Nothing);
    }
    if kind == Kind::Data {
        return value(text).map(Says::Type);
    }
    let (parameters, result) = text.strip_prefix('(')?.split_once(") -> ")?;
    let (parameters, variadic) = match parameters.strip_suffix("...") {
        Some(fixed) => (fixed.trim_end_matches(", "), true),
        None => (parameters, false),
    };
    let parameters = parameters.split(", ").filter(|word| !word.is_empty()).map(value).collect::<Option<Vec<_>>>()?;
    Some(Says::Prototype { result: value(result)?, parameters, variadic })
}

/// The type that is written so.
fn value(word: &str) -> Option<Value> {
    let sizes = [1, 2, 4, 8, 16];
    let integers = sizes.into_iter().flat_map(|bytes| [Value::Signed(bytes), Value::Unsigned(bytes)]);
    [Value::Nothing, Value::Pointer].into_iter().chain(integers).find(|value| value.to_string() == word)
}
