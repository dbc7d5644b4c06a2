// SPDX-License-Identifier: GPL-2.0-or-later
//! A kernel's functions as far as two builds of one source have them in common: calls, strings, constants, members.
//!
//! Functions are those of `.eh_frame`, which a stripped kernel keeps, so that both kernels are read in one way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use gimli::{BaseAddresses, EhFrame, LittleEndian as Le, UnwindSection};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use crate::error::InstrumentError;
use crate::kernel::elf::{Segment, loadable};

/// Least characters of a string that is worth comparing.
const STRING_MIN: usize = 4;
/// Characters of a string that are compared.
const STRING_MAX: usize = 80;
/// Displacements above it are addresses, below it members of structs.
const MEMBER_MAX: u64 = 0x100_0000;

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An address.
    At(u64),
    /// An offset in the segment of the processor.
    OfProcessor(u64),
}

impl Place {
    /// The address, if it is one.
    pub fn address(self) -> Option<u64> {
        match self {
            Self::At(address) => Some(address),
            Self::OfProcessor(_) => None,
        }
    }
}

/// A function.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Bytes.
    pub size: u64,
    /// Instructions.
    pub instructions: usize,
    /// Direct calls, and jumps to other functions, in order: from, to.
    pub calls: Vec<(u64, u64)>,
    /// Strings it uses.
    pub strings: BTreeSet<String>,
    /// How often numbers are used that are no addresses.
    pub numbers: BTreeMap<u64, u32>,
    /// How often displacements from registers are used, of members of structs for the most part.
    pub members: BTreeMap<u64, u32>,
    /// All that is referred to, calls too.
    pub places: BTreeSet<Place>,
    /// Addresses that it refers to, but for calls of functions, each where it comes first.
    pub data: Vec<u64>,
}

impl Function {
    fn refers_to(&mut self, address: u64) {
        if !self.data.contains(&address) {
            self.data.push(address);
        }
    }
}

/// A kernel file, read for comparing.
#[derive(Debug)]
pub struct Image {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    rodata: Range<u64>,
    /// Address and bytes of initialized data.
    data: Range<u64>,
    /// End of all sections: what the linker calls `_end`.
    pub end: u64,
    /// By address.
    pub functions: BTreeMap<u64, Function>,
    /// Names of functions, of a kernel that has them.
    pub names: HashMap<u64, String>,
    /// Addresses of all symbols that have one address alone.
    pub symbols: HashMap<String, (u64, u64)>,
}

impl Image {
    /// Reads a kernel.
    ///
    /// # Errors
    /// If it is no kernel, or damaged.
    pub fn read(bytes: Vec<u8>) -> Result<Self, InstrumentError> {
        let (segments, _) = loadable(&bytes)?;
        let damaged = |why: String| InstrumentError::DamagedElf { why };
        let file = object::File::parse(&*bytes).map_err(|error| damaged(error.to_string()))?;
        let range = |name: &str| {
            let section = file.section_by_name(name);
            section.map_or(0..0, |section| section.address()..section.address().saturating_add(section.size()))
        };
        // What the file does not have is not looked through, however large a damaged section says it is.
        let in_file = |range: Range<u64>| {
            let segment = segments.iter().find(|s| (s.vaddr..s.vaddr.saturating_add(s.filesz)).contains(&range.start));
            segment.map_or(0..0, |s| range.start..range.end.min(s.vaddr.saturating_add(s.filesz)))
        };
        let (rodata, data, end) = (in_file(range(".rodata")), in_file(range(".data")), range(".bss").end);
        let bounds = bounds(&file).map_err(|error| damaged(format!(".eh_frame: {error}")))?;
        let (names, symbols) = symbols(&file);
        let mut image =
            Self { segments, rodata, data, end, functions: BTreeMap::new(), names, symbols, bytes: Vec::new() };
        image.bytes = bytes;
        let starts: BTreeSet<u64> = bounds.iter().map(|(start, _)| *start).collect();
        for (start, size) in bounds {
            if let Some(code) = image.bytes_at(start, size) {
                let function = image.function(start, code, &starts);
                image.functions.insert(start, function);
            }
        }
        Ok(image)
    }

    /// The `len` bytes at `address`, if the file has them.
    pub fn bytes_at(&self, address: u64, len: u64) -> Option<&[u8]> {
        let within =
            |s: &&Segment| address >= s.vaddr && address.saturating_add(len) <= s.vaddr.saturating_add(s.filesz);
        let segment = self.segments.iter().find(within)?;
        let start = usize::try_from((address - segment.vaddr).checked_add(segment.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }

    /// The word at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        self.bytes_at(address, 8)?.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    /// The text at `address`, of what is printable.
    pub fn text(&self, address: u64) -> Option<String> {
        let most = (1..=STRING_MAX as u64).rev().find_map(|len| self.bytes_at(address, len))?;
        let text = most.split(|byte| *byte == 0).next()?;
        let is_text = text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'));
        (is_text && text.len() >= STRING_MIN).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// Addresses of initialized data, word by word.
    pub fn data_words(&self) -> impl Iterator<Item = (u64, u64)> {
        let range = self.data.clone();
        range.step_by(8).filter_map(|address| Some((address, self.word(address)?)))
    }

    /// Where the bytes stand in the file's segments.
    pub fn find(&self, bytes: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        for segment in &self.segments {
            let Some(all) = self.bytes_at(segment.vaddr, segment.filesz) else { continue };
            let places = all.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes);
            found.extend(places.map(|(at, _)| segment.vaddr + at as u64));
        }
        found
    }

    fn is_mapped(&self, address: u64) -> bool {
        self.segments.iter().any(|s| address >= s.vaddr && address < s.vaddr.saturating_add(s.memsz))
    }

    fn function(&self, start: u64, code: &[u8], starts: &BTreeSet<u64>) -> Function {
        let mut function = Function { size: code.len() as u64, ..Function::default() };
        let own = start..start + code.len() as u64;
        for instruction in Decoder::with_ip(64, code, start, DecoderOptions::NONE) {
            function.instructions += 1;
            let is_near = matches!(instruction.op0_kind(), OpKind::NearBranch64);
            let target = if is_near { instruction.near_branch_target() } else { 0 };
            match instruction.flow_control() {
                FlowControl::Call | FlowControl::IndirectCall => {
                    function.calls.push((instruction.ip(), target));
                    if target != 0 {
                        function.places.insert(Place::At(target));
                        if !starts.contains(&target) {
                            function.refers_to(target);
                        }
                    }
                    continue;
                }
                FlowControl::UnconditionalBranch if is_near && !own.contains(&target) && starts.contains(&target) => {
                    function.calls.push((instruction.ip(), target));
                    function.places.insert(Place::At(target));
                    continue;
                }
                _ => {}
            }
            self.operands(&instruction, &mut function);
        }
        function
    }

    fn operands(&self, instruction: &Instruction, function: &mut Function) {
        for operand in 0..instruction.op_count() {
            let value = match instruction.op_kind(operand) {
                OpKind::Memory => {
                    let displacement = instruction.memory_displacement64();
                    if instruction.segment_prefix() == Register::GS {
                        function.places.insert(Place::OfProcessor(displacement));
                        continue;
                    }
                    match instruction.memory_base() {
                        Register::RIP | Register::None => displacement,
                        _ if displacement > MEMBER_MAX && self.is_mapped(displacement) => displacement,
                        Register::RSP | Register::RBP => continue,
                        _ => {
                            *function.members.entry(displacement).or_default() += 1;
                            continue;
                        }
                    }
                }
                OpKind::Immediate8
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
                | OpKind::Immediate8to32
                | OpKind::Immediate8to16 => instruction.immediate(operand),
                _ => continue,
            };
            function.places.insert(Place::At(value));
            if self.is_mapped(value) && !self.rodata.contains(&value) {
                function.refers_to(value);
            }
            if self.rodata.contains(&value) {
                function.strings.extend(self.text(value));
            } else if !self.is_mapped(value) && (0x100..1 << 32).contains(&value) && instruction.code() != Code::INVALID
            {
                *function.numbers.entry(value).or_default() += 1;
            }
        }
    }
}

/// Begin and size of all functions that `.eh_frame` of a kernel file has, and whose bytes are in the file.
///
/// # Errors
/// If it is no kernel, or damaged.
pub fn functions(bytes: &[u8]) -> Result<BTreeMap<u64, u64>, InstrumentError> {
    let (segments, _) = loadable(bytes)?;
    let damaged = |why: String| InstrumentError::DamagedElf { why };
    let file = object::File::parse(bytes).map_err(|error| damaged(error.to_string()))?;
    let found = bounds(&file).map_err(|error| damaged(format!(".eh_frame: {error}")))?;
    let in_file = |(start, size): &(u64, u64)| {
        let end = start.saturating_add(*size);
        segments.iter().any(|s| *start >= s.vaddr && end <= s.vaddr.saturating_add(s.filesz))
    };
    Ok(found.into_iter().filter(in_file).collect())
}

/// Begin and size of all functions that `.eh_frame` has.
fn bounds(file: &object::File<'_>) -> Result<Vec<(u64, u64)>, gimli::Error> {
    let Some(section) = file.section_by_name(".eh_frame") else { return Ok(Vec::new()) };
    let data = section.data().unwrap_or(&[]);
    let table = EhFrame::new(data, Le);
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    let mut entries = table.entries(&bases);
    let mut found = Vec::new();
    while let Some(entry) = entries.next()? {
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        let entry = partial.parse(EhFrame::cie_from_offset)?;
        if entry.len() > 0 {
            found.push((entry.initial_address(), entry.len()));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|(start, _)| *start);
    // No function reaches into the next, so that each byte is decoded once.
    let starts: Vec<u64> = found.iter().map(|(start, _)| *start).collect();
    for ((start, size), next) in found.iter_mut().zip(&starts[1.min(starts.len())..]) {
        *size = (*size).min(next - *start);
    }
    Ok(found)
}

type Symbols = (HashMap<u64, String>, HashMap<String, (u64, u64)>);

/// Names of functions by address, and addresses and sizes by name of what has one address.
fn symbols(file: &object::File<'_>) -> Symbols {
    let (mut names, mut addresses) = (HashMap::new(), HashMap::new());
    let mut several = BTreeSet::new();
    for symbol in file.symbols() {
        let Ok(name) = symbol.name() else { continue };
        if name.is_empty() || symbol.is_undefined() || matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section) {
            continue;
        }
        if symbol.kind() == SymbolKind::Text {
            names.insert(symbol.address(), name.to_owned());
        }
        let known = addresses.insert(name.to_owned(), (symbol.address(), symbol.size()));
        if known.is_some_and(|known: (u64, u64)| known.0 != symbol.address()) {
            several.insert(name.to_owned());
        }
    }
    addresses.retain(|name, _| !several.contains(name));
    (names, addresses)
}
