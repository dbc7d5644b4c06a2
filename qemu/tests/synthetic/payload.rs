//! A payload library whose hooks only go on to the original.

use std::fs;
use std::path::{Path, PathBuf};

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationEncoding, RelocationFlags, RelocationKind, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};
use qemu::payload_abi::{HEADER_WORDS, HOOKS, MAGIC, SLOT_WORDS, SLOTS, SLOTS_SYMBOL, Site, UNFILLED, VERSION};

/// Writes the library into `directory`; `calls` is what its first hook calls in addition.
pub fn write(directory: &Path, without: Option<&str>, calls: Option<&str>) -> PathBuf {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let data = object.add_section(Vec::new(), b".data.slots".to_vec(), SectionKind::Data);
    let mut words = [UNFILLED; SLOT_WORDS];
    words[..HEADER_WORDS].copy_from_slice(&[MAGIC, VERSION, SLOTS.len() as u64]);
    define(&mut object, data, SLOTS_SYMBOL, SymbolKind::Data, &words.map(u64::to_le_bytes).concat());
    for hook in HOOKS.iter().filter(|hook| Some(hook.symbol) != without) {
        let name = format!(".text.{}", hook.symbol).into_bytes();
        let section = object.add_section(Vec::new(), name, SectionKind::Text);
        // jmp rel32
        define(&mut object, section, hook.symbol, SymbolKind::Text, &[0xe9, 0, 0, 0, 0]);
        let (Site::Trap { original: target, .. } | Site::Calls { target, .. }) = hook.site;
        refer(&mut object, section, target);
    }
    if let Some(name) = calls {
        let first = object.symbol_id(HOOKS[0].symbol.as_bytes()).unwrap();
        let section = object.symbol(first).section.id().unwrap();
        object.append_section_data(section, &[0xe9, 0, 0, 0, 0], 1);
        let symbol = undefined(&mut object, name);
        relocate(&mut object, section, 6, symbol);
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
