// SPDX-License-Identifier: GPL-2.0-or-later
//! The payload's static library: what its roots reach, and which symbols of the kernel that needs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};

use crate::error::{InstrumentError, Miss};
use crate::kernel::KernelElf;

/// A static library in memory.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// What a library needs of a kernel.
#[derive(Debug)]
pub struct Needs {
    /// Symbols of the kernel.
    pub imports: BTreeSet<String>,
    /// What is nowhere.
    pub misses: Vec<Miss>,
}

/// Where a symbol is defined: member and section.
type Place = (usize, SectionIndex);

impl Archive {
    /// Reads the library.
    pub fn read(path: &Path) -> Result<Self, InstrumentError> {
        let bytes =
            fs::read(path).map_err(|source| InstrumentError::Io { what: "read", path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// What the library needs of the kernel, and what it lacks: of `roots`, and of what those reach that neither the library
    /// nor the kernel nor `given` defines.
    ///
    /// Follows relocations section by section as `--gc-sections` does, so that dead code of `core` asks for nothing.
    pub fn needs(&self, roots: &[&str], given: &[(&str, u64)], kernel: &KernelElf) -> Result<Needs, InstrumentError> {
        let known = |name: &str| given.iter().any(|&(symbol, _)| symbol == name);
        let members = self.members()?;
        let defined = definitions(&members);
        let mut misses = Vec::new();
        let mut imports = BTreeSet::new();
        let mut todo: Vec<Place> = Vec::new();
        for root in roots {
            match defined.get(*root) {
                Some(place) => todo.push(*place),
                None => misses.push(Miss::PayloadLacks { name: (*root).to_owned() }),
            }
        }
        let mut seen: HashSet<Place> = todo.iter().copied().collect();
        let mut undefined = HashSet::new();
        while let Some((member, section)) = todo.pop() {
            let file = &members[member];
            let Ok(section) = file.section_by_index(section) else { continue };
            for (_, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else { continue };
                let Ok(symbol) = file.symbol_by_index(index) else { continue };
                let name = symbol.name().unwrap_or_default();
                let place = match symbol.section_index() {
                    Some(local) => Some((member, local)),
                    // The kernel's own definition wins over a library function such as memcpy.
                    None if kernel.exports(name) => None,
                    None => defined.get(name).copied(),
                };
                match place {
                    Some(place) if seen.insert(place) => todo.push(place),
                    Some(_) => {}
                    None if kernel.exports(name) => _ = imports.insert(name.to_owned()),
                    None if known(name) || symbol.is_weak() || !undefined.insert(name.to_owned()) => {}
                    None => misses.push(lacking(kernel, name, section.name().unwrap_or("?"))),
                }
            }
        }
        Ok(Needs { imports, misses })
    }

    fn members(&self) -> Result<Vec<object::File<'_>>, InstrumentError> {
        let refuse =
            |error: object::Error| InstrumentError::Payload { path: self.path.clone(), why: error.to_string() };
        let archive = ArchiveFile::parse(&*self.bytes).map_err(refuse)?;
        let mut members = Vec::new();
        for member in archive.members() {
            let data = member.map_err(refuse)?.data(&*self.bytes).map_err(refuse)?;
            // rustc's metadata member is no object file.
            if data.starts_with(&object::elf::ELFMAG) {
                members.push(object::File::parse(data).map_err(refuse)?);
            }
        }
        Ok(members)
    }
}

fn definitions(members: &[object::File<'_>]) -> HashMap<String, Place> {
    let mut defined = HashMap::new();
    for (index, file) in members.iter().enumerate() {
        for symbol in file.symbols().filter(|symbol| symbol.is_global() && !symbol.is_undefined()) {
            if let (Ok(name), Some(section)) = (symbol.name(), symbol.section_index()) {
                defined.entry(name.to_owned()).or_insert((index, section));
            }
        }
    }
    defined
}

/// What to say of a symbol that the kernel does not have, or has in a doubtful place.
fn lacking(kernel: &KernelElf, name: &str, section: &str) -> Miss {
    let (name, used_by) = (name.to_owned(), section.to_owned());
    match kernel.symbol(&name, section) {
        Err(doubtful @ Miss::SymbolDoubtful { .. }) => doubtful,
        _ => Miss::PayloadUndefined { name, used_by },
    }
}
