// SPDX-License-Identifier: GPL-2.0-or-later
//! A payload library whose hooks only go on to the original.

use std::fs;
use std::path::{Path, PathBuf};

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationEncoding, RelocationFlags, RelocationKind, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};
use qemu::payload_abi::{
    HEADER_WORDS, HOOKS, MAGIC, SLOT_WORDS, SLOTS, SLOTS_SYMBOL, SWITCH_WORDS, SWITCHES, SWITCHES_SYMBOL, Site,
    UNFILLED, VERSION, When,
};

/// Writes the library into `directory`; `calls` is what its first hook calls in addition.
pub fn write(directory: &Path, without: Option<&str>, calls: Option<&str>) -> PathBuf {
    write_calling(directory, without, calls.as_slice())
}

/// Writes the library into `directory`, its first hook calling all of `calls` in addition.
pub fn write_calling(directory: &Path, without: Option<&str>, calls: &[&str]) -> PathBuf {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let data = object.add_section(Vec::new(), b".data.slots".to_vec(), SectionKind::Data);
    let mut words = [UNFILLED; SLOT_WORDS];
    words[..HEADER_WORDS].copy_from_slice(&[MAGIC, VERSION, SLOTS.len() as u64]);
    define(&mut object, data, SLOTS_SYMBOL, SymbolKind::Data, &words.map(u64::to_le_bytes).concat());
    if without != Some(SWITCHES_SYMBOL) {
        let section = object.add_section(Vec::new(), b".rpctrace2.switches".to_vec(), SectionKind::Data);
        define(&mut object, section, SWITCHES_SYMBOL, SymbolKind::Data, &[0; SWITCHES * SWITCH_WORDS * 8]);
    }
    for hook in HOOKS {
        let (Site::Trap { original: target, .. } | Site::Calls { target, .. } | Site::CallsIn { target, .. }) =
            hook.site;
        let traced = match hook.when {
            When::Traced { traced } if traced != hook.symbol => Some(traced),
            When::Traced { .. } | When::Always => None,
        };
        for symbol in std::iter::once(hook.symbol).chain(traced).filter(|symbol| Some(*symbol) != without) {
            let name = format!(".text.{symbol}").into_bytes();
            let section = object.add_section(Vec::new(), name, SectionKind::Text);
            // jmp rel32
            define(&mut object, section, symbol, SymbolKind::Text, &[0xe9, 0, 0, 0, 0]);
            refer(&mut object, section, target);
        }
    }
    for (index, name) in (1..).zip(calls) {
        let first = object.symbol_id(HOOKS[0].symbol.as_bytes()).unwrap();
        let section = object.symbol(first).section.id().unwrap();
        object.append_section_data(section, &[0xe9, 0, 0, 0, 0], 1);
        let symbol = object.symbol_id(name.as_bytes()).unwrap_or_else(|| undefined(&mut object, name));
        relocate(&mut object, section, index * 5 + 1, symbol);
    }
    let member = object.write().unwrap();
    let mut archive = b"!<arch>\n".to_vec();
    archive.extend_from_slice(
        format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "payload.o/", 0, 0, 0, 644, member.len()).as_bytes(),
    );
    archive.extend_from_slice(&member);
    let path = directory.join("libpayload.a");
    fs::write(&path, archive).unwrap();
    path
}

fn define(object: &mut Object<'_>, section: SectionId, name: &str, kind: SymbolKind, contents: &[u8]) {
    let symbol = object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: contents.len() as u64,
        kind,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    object.add_symbol_data(symbol, section, contents, 8);
}

fn refer(object: &mut Object<'_>, section: SectionId, target: &str) {
    let symbol = match object.symbol_id(target.as_bytes()) {
        Some(symbol) => symbol,
        None => undefined(object, target),
    };
    relocate(object, section, 1, symbol);
}

fn relocate(object: &mut Object<'_>, section: SectionId, offset: u64, symbol: SymbolId) {
    let flags =
        RelocationFlags::Generic { kind: RelocationKind::Relative, encoding: RelocationEncoding::Generic, size: 32 };
    object.add_relocation(section, Relocation { offset, symbol, addend: -4, flags }).unwrap();
}

fn undefined(object: &mut Object<'_>, name: &str) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    })
}
