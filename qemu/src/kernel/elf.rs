// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads a kernel's ELF64 file into plain data: segments, sections, symbols; refuses what is not a GNU Mach kernel.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind};

use crate::error::{InstrumentError, Miss};
use crate::kernel::headers;
use crate::payload_abi;
use crate::profile::Profile;
use crate::stripped::Naming;

/// Distance between a kernel virtual address and the physical address it is loaded at.
pub const KERNEL_OFFSET: u64 = 0xffff_ffff_8000_0000;

/// Functions every GNU Mach kernel has; a file with symbols but without these is something else.
const GNUMACH_SYMBOLS: [&str; 3] = ["mach_trap_table", "ipc_kmsg_get", "mach_msg_trap"];

/// What every kernel's version begins with.
pub(crate) const VERSION: &[u8] = b"GNU Mach 1";

/// Functions that only a kernel with 32-bit user programs has: it gives messages another form when it copies them.
const USER32_SYMBOLS: [&str; 2] = ["copyoutmsg", "msg_usize"];

/// A loadable segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Place in the file.
    pub offset: u64,
    /// Virtual address.
    pub vaddr: u64,
    /// Physical address.
    pub paddr: u64,
    /// Bytes in the file.
    pub filesz: u64,
    /// Bytes in memory.
    pub memsz: u64,
    /// `PF_*` flags.
    pub flags: u32,
}

/// A symbol with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Virtual address.
    pub address: u64,
    /// Size, 0 when the symbol table does not say.
    pub size: u64,
    /// Visible to other object files.
    pub global: bool,
    /// A function, or a label in an executable section.
    pub code: bool,
}

impl Symbol {
    /// A function of a stripped kernel of which nothing is known but where it is.
    pub fn without_name(address: u64, size: u64) -> Self {
        Self { name: format!("function_{address:x}"), address, size, global: false, code: true }
    }
}

/// A section whose bytes matter.
#[derive(Clone, Debug)]
pub struct Section {
    /// Virtual address.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
}

/// A kernel file, parsed once.
#[derive(Debug)]
pub struct KernelElf {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    entry: u64,
    text: Vec<Section>,
    symbols: Vec<Symbol>,
    by_name: HashMap<String, Vec<usize>>,
    /// Those of functions, in order of address, the one that says most last.
    functions: Vec<usize>,
    /// Of a stripped kernel: who tells what it does not say itself.
    told: Option<Told>,
    /// Names that have been looked up.
    asked: RefCell<BTreeSet<String>>,
}

/// Who tells what a stripped kernel does not say itself.
#[derive(Debug)]
pub enum Told {
    /// The `-dbg` kernel of the same version.
    Dbg {
        /// The file.
        dbg: Vec<u8>,
        /// Where what it has at an address is in this kernel, and its size.
        moved: HashMap<u64, (u64, u64)>,
        /// Whether both are for several processors.
        is_for_several: bool,
        /// Names for which fewer than two rules speak, with what speaks for them.
        doubtful: BTreeMap<String, String>,
    },
    /// A profile.
    Profile(Profile),
}

impl KernelElf {
    /// Parses `bytes` and refuses what cannot be instrumented at all.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, InstrumentError> {
        let symbols = |file: &ElfFile64<'_, LittleEndian>| {
            let symbols: Vec<Symbol> = file.symbols().filter_map(|symbol| read_symbol(file, &symbol)).collect();
            refuse_foreign(file.data(), file, &symbols)?;
            Ok(symbols)
        };
        let kernel = Self::with(bytes, symbols, None)?;
        refuse_entry(kernel.entry, &kernel.symbols)?;
        Ok(kernel)
    }

    /// A stripped kernel with the names, and the debugging information, of the `-dbg` kernel of the same version.
    ///
    /// # Errors
    /// If it cannot be instrumented, or the two are not builds of one source.
    pub fn parse_stripped(bytes: Vec<u8>, dbg: &Self) -> Result<(Self, Naming), InstrumentError> {
        let naming = Naming::find(&bytes, dbg)?;
        let Naming { moved, is_for_several, doubtful, .. } = &naming;
        let told = Told::Dbg {
            dbg: dbg.bytes.clone(),
            moved: moved.clone(),
            is_for_several: *is_for_several,
            doubtful: doubtful.clone(),
        };
        let kernel = Self::with(bytes, |_| Ok(naming.symbols.clone()), Some(told))?;
        Ok((kernel, naming))
    }

    /// A stripped kernel with the names, structs and prototypes of a profile.
    ///
    /// # Errors
    /// If it cannot be instrumented, or the profile is another kernel's.
    pub fn parse_profiled(bytes: Vec<u8>, profile: Profile) -> Result<Self, InstrumentError> {
        let symbols = profile.symbols_in(&bytes)?;
        let kernel = Self::with(bytes, |_| Ok(symbols), Some(Told::Profile(profile)))?;
        if let Some(Told::Profile(profile)) = kernel.told() {
            profile.refuse_another_version(kernel.version().as_deref())?;
        }
        Ok(kernel)
    }

    fn with(
        bytes: Vec<u8>,
        symbols: impl FnOnce(&ElfFile64<'_, LittleEndian>) -> Result<Vec<Symbol>, InstrumentError>,
        told: Option<Told>,
    ) -> Result<Self, InstrumentError> {
        let (segments, entry) = loadable(&bytes)?;
        if bytes.windows(8).any(|word| word == payload_abi::MAGIC.to_le_bytes()) {
            return Err(InstrumentError::AlreadyInstrumented);
        }
        let damaged = |error: object::Error| InstrumentError::DamagedElf { why: error.to_string() };
        let file = ElfFile64::<LittleEndian>::parse(&*bytes).map_err(damaged)?;
        let text = file
            .sections()
            .filter(|section| section.kind() == object::SectionKind::Text && section.address() >= KERNEL_OFFSET)
            .map(|section| Section { address: section.address(), size: section.size() })
            .collect();
        headers::check(&file, bytes.len() as u64, &segments).map_err(|why| InstrumentError::DamagedElf { why })?;
        let symbols = symbols(&file)?;
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, symbol) in symbols.iter().enumerate() {
            by_name.entry(symbol.name.clone()).or_default().push(index);
        }
        let mut functions: Vec<usize> = (0..symbols.len()).filter(|&index| symbols[index].code).collect();
        functions.sort_by_key(|&index| (symbols[index].address, symbols[index].size, symbols[index].global));
        Ok(Self { bytes, segments, entry, text, symbols, by_name, functions, told, asked: RefCell::default() })
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Of a stripped kernel: who tells what it does not say itself.
    pub fn told(&self) -> Option<&Told> {
        self.told.as_ref()
    }

    /// Whether it has no symbols of its own.
    pub fn is_stripped(&self) -> bool {
        self.told.is_some()
    }

    /// `PT_LOAD` segments in file order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// `e_entry`.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Executable sections at kernel addresses.
    pub fn text(&self) -> &[Section] {
        &self.text
    }

    /// All symbols with an address.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The symbol a linker would bind `name` to: the global one, or the only local one.
    pub fn symbol(&self, name: &str, wanted_by: &str) -> Result<&Symbol, Miss> {
        self.asked.borrow_mut().insert(name.to_owned());
        let found: Vec<&Symbol> =
            self.by_name.get(name).into_iter().flatten().map(|&index| &self.symbols[index]).collect();
        let globals: Vec<&Symbol> = found.iter().copied().filter(|symbol| symbol.global).collect();
        let candidates = if globals.is_empty() { found } else { globals };
        let Some(first) = candidates.first().copied() else {
            return Err(self.missing(name, wanted_by));
        };
        if candidates.iter().any(|symbol| symbol.address != first.address) {
            return Err(Miss::SymbolAmbiguous {
                name: name.to_owned(),
                wanted_by: wanted_by.to_owned(),
                addresses: candidates.iter().map(|symbol| symbol.address).collect(),
            });
        }
        Ok(first)
    }

    fn missing(&self, name: &str, wanted_by: &str) -> Miss {
        let (name, wanted_by) = (name.to_owned(), wanted_by.to_owned());
        match &self.told {
            Some(Told::Dbg { doubtful, .. }) if doubtful.contains_key(&name) => {
                Miss::SymbolDoubtful { found: doubtful[&name].clone(), name, wanted_by }
            }
            _ => Miss::SymbolMissing { name, wanted_by },
        }
    }

    /// Whether a name has been looked up.
    pub fn was_asked(&self, name: &str) -> bool {
        self.asked.borrow().contains(name)
    }

    /// Whether this is a kernel for several processors, which has code that the others start with; not to be told without symbols.
    pub fn is_for_several(&self) -> Option<bool> {
        match &self.told {
            Some(Told::Dbg { is_for_several, .. }) => Some(*is_for_several),
            Some(Told::Profile(profile)) => Some(profile.is_for_several),
            None => (!self.by_name.is_empty()).then(|| self.by_name.contains_key("apboot")),
        }
    }

    /// Whether another object file can link to `name`.
    pub fn exports(&self, name: &str) -> bool {
        self.by_name.get(name).into_iter().flatten().any(|&index| self.symbols[index].global)
    }

    /// The name of the function that contains `address`, with the offset.
    pub fn describe(&self, address: u64) -> String {
        match self.last_function(address) {
            Some(symbol) => format!("{}+{:#x}", symbol.name, address - symbol.address),
            None => format!("{address:#x}"),
        }
    }

    /// The function that `address` is in, or the last one before it.
    pub fn function(&self, address: u64) -> Option<&Symbol> {
        self.last_function(address)
    }

    /// The name of the function that begins at `address`.
    pub fn name(&self, address: u64) -> String {
        let here = self.last_function(address).filter(|symbol| symbol.address == address);
        here.map_or_else(|| format!("{address:#x}"), |symbol| symbol.name.clone())
    }

    /// The last function that begins at `address` or before it.
    fn last_function(&self, address: u64) -> Option<&Symbol> {
        let after = self.functions.partition_point(|&index| self.symbols[index].address <= address);
        self.functions.get(after.checked_sub(1)?).map(|&index| &self.symbols[index])
    }

    /// The text of the kernel's `version` variable; of a stripped kernel the first that begins as it does.
    pub fn version(&self) -> Option<String> {
        let bytes = match self.symbol("version", "the kernel's version") {
            Ok(symbol) => self.read(symbol.address, symbol.size)?,
            Err(_) if !self.is_stripped() => return None,
            Err(_) => {
                let mut segments = self.segments.iter().filter_map(|s| self.read(s.vaddr, s.filesz));
                segments.find_map(|bytes| {
                    let place = bytes.windows(VERSION.len()).position(|text| text == VERSION)?;
                    bytes.get(place..)
                })?
            }
        };
        let text = bytes.split(|&byte| byte == 0).next()?;
        Some(String::from_utf8_lossy(text).trim().to_owned())
    }

    /// Where the `len` bytes at `address` are in the file, if they are file-backed.
    pub fn file_offset(&self, address: u64, len: u64) -> Option<u64> {
        let segment = self
            .segments
            .iter()
            .find(|s| address >= s.vaddr && address.saturating_add(len) <= s.vaddr.saturating_add(s.filesz))?;
        (address - segment.vaddr).checked_add(segment.offset)
    }

    /// The `len` file-backed bytes at `address`.
    pub fn read(&self, address: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(self.file_offset(address, len)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }
}

/// The loadable segments and the entry of an x86-64 ELF64 executable.
pub fn loadable(bytes: &[u8]) -> Result<(Vec<Segment>, u64), InstrumentError> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(InstrumentError::NotElf);
    }
    if bytes.get(4) != Some(&elf::ELFCLASS64) || bytes.get(5) != Some(&elf::ELFDATA2LSB) {
        return Err(InstrumentError::WrongElf { found: "a file that is not 64-bit little-endian".to_owned() });
    }
    let damaged = |error: object::Error| InstrumentError::DamagedElf { why: error.to_string() };
    let header = elf::FileHeader64::<LittleEndian>::parse(bytes).map_err(damaged)?;
    let (machine, kind) = (header.e_machine(LittleEndian), header.e_type(LittleEndian));
    if machine != elf::EM_X86_64 || kind != elf::ET_EXEC {
        return Err(InstrumentError::WrongElf { found: format!("machine {machine}, type {kind}") });
    }
    let segments = read_segments(bytes, header).map_err(damaged)?;
    Ok((segments, header.e_entry(LittleEndian)))
}

fn read_segments(bytes: &[u8], header: &elf::FileHeader64<LittleEndian>) -> Result<Vec<Segment>, object::read::Error> {
    let headers = header.program_headers(LittleEndian, bytes)?;
    Ok(headers
        .iter()
        .filter(|ph| ph.p_type(LittleEndian) == elf::PT_LOAD)
        .map(|ph| Segment {
            offset: ph.p_offset(LittleEndian),
            vaddr: ph.p_vaddr(LittleEndian),
            paddr: ph.p_paddr(LittleEndian),
            filesz: ph.p_filesz(LittleEndian),
            memsz: ph.p_memsz(LittleEndian),
            flags: ph.p_flags(LittleEndian),
        })
        .collect())
}

fn read_symbol<'data>(file: &ElfFile64<'data, LittleEndian>, symbol: &impl ObjectSymbol<'data>) -> Option<Symbol> {
    let name = symbol.name().ok().filter(|name| !name.is_empty())?;
    if symbol.is_undefined() || matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section) {
        return None;
    }
    let in_text = symbol
        .section_index()
        .and_then(|index| file.section_by_index(index).ok())
        .is_some_and(|section| section.kind() == object::SectionKind::Text);
    Some(Symbol {
        name: name.to_owned(),
        address: symbol.address(),
        size: symbol.size(),
        global: symbol.is_global(),
        code: in_text && symbol.kind() != SymbolKind::Data,
    })
}

fn refuse_foreign(bytes: &[u8], file: &ElfFile64<'_, LittleEndian>, symbols: &[Symbol]) -> Result<(), InstrumentError> {
    if symbols.is_empty() {
        // The version string is all that is left to recognise a stripped kernel by.
        let is_mach = bytes.windows(8).any(|text| text == b"GNU Mach");
        return Err(match is_mach {
            true => InstrumentError::Stripped { what: "symbol table (.symtab)" },
            false => InstrumentError::NotGnuMach { missing: "a symbol table and the text `GNU Mach`".to_owned() },
        });
    }
    let missing: Vec<&str> =
        GNUMACH_SYMBOLS.into_iter().filter(|name| !symbols.iter().any(|symbol| symbol.name == *name)).collect();
    // One of them missing is a kernel with a changed name, which the plan reports together with everything else.
    if missing.len() == GNUMACH_SYMBOLS.len() {
        return Err(InstrumentError::NotGnuMach { missing: format!("the symbols {}", missing.join(", ")) });
    }
    if let Some(symbol) = symbols.iter().find(|symbol| USER32_SYMBOLS.contains(&symbol.name.as_str())) {
        return Err(InstrumentError::User32 { symbol: symbol.name.clone() });
    }
    if file.section_by_name(".debug_info").is_none() {
        return Err(InstrumentError::Stripped { what: "debugging information (.debug_info)" });
    }
    Ok(())
}

/// A loader jumps to the entry: it must be where a function of the kernel begins that other files know.
fn refuse_entry(entry: u64, symbols: &[Symbol]) -> Result<(), InstrumentError> {
    if symbols.iter().any(|symbol| symbol.global && symbol.code && symbol.address == entry) {
        return Ok(());
    }
    Err(InstrumentError::DamagedElf { why: format!("the entry {entry:#x} is no function of the kernel") })
}
