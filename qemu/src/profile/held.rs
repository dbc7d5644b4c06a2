// SPDX-License-Identifier: GPL-2.0-or-later
//! Holds a profile against the kernel it is to be used for.

use std::collections::BTreeSet;

use object::{Object, ObjectSection, SectionKind};

use super::{Kind, Profile, Says};
use crate::error::InstrumentError;
use crate::kernel::Symbol;
use crate::kernel::elf::loadable;
use crate::payload_abi::PROTOTYPES;
use crate::plan::sha256;
use crate::stripped::image::functions;

impl Profile {
    pub(super) fn refusal(&self, why: String) -> InstrumentError {
        InstrumentError::Profile { path: self.path.clone(), why }
    }

    /// The symbols of the kernel `bytes`: its own names, and functions without.
    ///
    /// # Errors
    /// If it is another kernel's, or something does not stand where it says.
    pub fn symbols_in(&self, bytes: &[u8]) -> Result<Vec<Symbol>, InstrumentError> {
        let found = sha256(bytes);
        if found != self.kernel {
            return Err(self.refusal(format!("expected the kernel with SHA-256 {}, found {found}", self.kernel)));
        }
        let functions = functions(bytes)?;
        let mut symbols = Vec::new();
        let places = Places::of(bytes)?;
        for (name, named) in &self.symbols {
            let (address, size) = (named.address, named.size);
            let none = || "none".to_owned();
            let wrong = match named.kind {
                Kind::Function => {
                    let known = functions.get(&address);
                    let found = || known.map_or_else(none, |size| format!("one of {size} bytes"));
                    (known != Some(&size)).then(|| (format!("a function of {size} bytes in .eh_frame"), found()))
                }
                Kind::Label => (!places.is_code(address)).then(|| ("code".to_owned(), none())),
                Kind::Data => {
                    (!places.is_loaded(address, size)).then(|| (format!("{size} bytes of a segment"), none()))
                }
            };
            if let Some((expected, found)) = wrong {
                return Err(self.refusal(format!("{name} at {address:#x}: expected {expected}, found {found}")));
            }
            self.refuse_silence(name, &named.says)?;
            symbols.push(Symbol {
                name: name.clone(),
                address,
                size,
                global: named.global,
                code: named.kind != Kind::Data,
            });
        }
        let known: BTreeSet<u64> = symbols.iter().map(|symbol| symbol.address).collect();
        let others = functions.into_iter().filter(|(address, _)| !known.contains(address));
        symbols.extend(others.map(|(address, size)| Symbol::without_name(address, size)));
        Ok(symbols)
    }

    /// What the payload takes for something has to be declared.
    fn refuse_silence(&self, name: &str, says: &Says) -> Result<(), InstrumentError> {
        if *says != Says::Nothing || PROTOTYPES.iter().all(|known| known.name != name) {
            return Ok(());
        }
        Err(self.refusal(format!("{name}: expected a prototype or a type, found none")))
    }

    /// Refuses a version that is not the kernel's.
    pub(crate) fn refuse_another_version(&self, found: Option<&str>) -> Result<(), InstrumentError> {
        match found {
            Some(found) if found == self.version => Ok(()),
            found => Err(self.refusal(format!(
                "version: expected {:?}, found {:?}",
                self.version,
                found.unwrap_or("nothing")
            ))),
        }
    }
}

/// What a kernel has where.
struct Places {
    code: Vec<(u64, u64)>,
    loaded: Vec<(u64, u64)>,
}

impl Places {
    fn of(bytes: &[u8]) -> Result<Self, InstrumentError> {
        let damaged = |error: object::Error| InstrumentError::DamagedElf { why: error.to_string() };
        let file = object::File::parse(bytes).map_err(damaged)?;
        let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
        let code = code.map(|section| (section.address(), section.size())).collect();
        let loaded = loadable(bytes)?.0.iter().map(|segment| (segment.vaddr, segment.memsz)).collect();
        Ok(Self { code, loaded })
    }

    fn is_code(&self, address: u64) -> bool {
        within(&self.code, address, 1)
    }

    fn is_loaded(&self, address: u64, size: u64) -> bool {
        within(&self.loaded, address, size)
    }
}

/// Whether the bytes are in one of the ranges, or, if there are none, at the end of one.
fn within(ranges: &[(u64, u64)], address: u64, size: u64) -> bool {
    let end = address.checked_add(size);
    ranges.iter().any(|(start, len)| *start <= address && end.is_some_and(|end| end <= start.saturating_add(*len)))
}
