// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of a kernel without symbols: Debian's own -dbg kernel, whose names are known, with its symbol table taken away.

use std::collections::BTreeSet;
use std::path::Path;

use object::{LittleEndian as Le, elf};
use qemu::error::InstrumentError;
use qemu::instrument::read_kernel;
use qemu::kernel::KernelElf;
use qemu::stripped::{Naming, Place};

/// Least names that are certain.
const CERTAIN: usize = 1000;
/// Bits that are flipped, one at a time, in each part of the file.
const FLIPS: usize = 3;

fn kernel() -> Vec<u8> {
    let path = std::env::var_os("RPCTRACE2_KERNEL").expect("RPCTRACE2_KERNEL: run cargo qemu test");
    read_kernel(Path::new(&path)).expect("a kernel")
}

/// The kernel with sections that say nothing any more: the symbols and the debugging information.
fn strip(mut bytes: Vec<u8>) -> Vec<u8> {
    let header = object::from_bytes::<elf::FileHeader64<Le>>(&bytes).expect("a header").0;
    let (place, count) = (header.e_shoff.get(Le) as usize, usize::from(header.e_shnum.get(Le)));
    let (size, names) = (size_of::<elf::SectionHeader64<Le>>(), usize::from(header.e_shstrndx.get(Le)));
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let names_at = word(&bytes, place + names * size + 24);
    for section in 0..count {
        let at = place + section * size;
        let name = &bytes[names_at + word(&bytes, at)..];
        let name = &name[..name.iter().position(|byte| *byte == 0).expect("an end")];
        if [&b".symtab"[..], b".strtab"].contains(&name) || name.starts_with(b".debug") {
            bytes[at + 4..at + 8].copy_from_slice(&elf::SHT_NULL.to_le_bytes());
        }
    }
    bytes
}

/// The kernel with its names, and without.
fn both() -> (KernelElf, Vec<u8>) {
    let whole = kernel();
    (KernelElf::parse(whole.clone()).expect("a kernel with names"), strip(whole))
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn every_name_that_is_certain_is_right() {
    let (dbg, stripped) = both();
    assert!(matches!(KernelElf::parse(stripped.clone()), Err(InstrumentError::Stripped { .. })));
    let naming = Naming::find(&stripped, &dbg).expect("names");
    assert!(naming.evidence.len() > CERTAIN, "only {} names", naming.evidence.len());
    for (name, found) in &naming.evidence {
        let places: BTreeSet<u64> = dbg.symbols().iter().filter(|s| s.name == *name).map(|s| s.address).collect();
        let Place::At(address) = found.place else { panic!("{name}: {found}") };
        assert!(places.contains(&address), "{name}: expected {places:x?}, found {found}");
        assert!(found.why.len() >= 2, "{name}: {found}");
    }
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn another_version_is_refused() {
    let (dbg, mut other) = both();
    let text = b"GNU Mach 1.8";
    let places: Vec<usize> =
        other.windows(text.len()).enumerate().filter(|(_, window)| window == text).map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| other[at + text.len() - 1] = b'7');
    let error = Naming::find(&other, &dbg).expect_err("another version").to_string();
    assert!(error.contains("expected the -dbg kernel of \"GNU Mach 1.7"), "{error}");
}

/// A call more or less of a function that is to be hooked is no small difference.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_kernel_that_calls_otherwise_is_refused() {
    let (dbg, mut other) = both();
    let target = dbg.symbol("ipc_port_destroy", "a test").expect("it is there").address;
    let caller = dbg.symbol("ipc_right_clean", "a test").expect("it is there");
    let code = dbg.read(caller.address, caller.size).expect("its code");
    let is_call = |at: &usize| {
        let distance = code.get(at + 1..at + 5).and_then(<[u8]>::first_chunk).map(|word| i32::from_le_bytes(*word));
        let next = caller.address + *at as u64 + 5;
        code[*at] == 0xe8 && distance.map(|distance| next.wrapping_add_signed(distance.into())) == Some(target)
    };
    let at = (0..code.len()).find(is_call).expect("it calls");
    let place = dbg.file_offset(caller.address + at as u64, 5).expect("in the file") as usize;
    // Five bytes that do nothing.
    other[place..place + 5].copy_from_slice(&[0x0f, 0x1f, 0x44, 0x00, 0x00]);
    let error = Naming::find(&other, &dbg).expect_err("a call less").to_string();
    assert!(error.contains("calls of ipc_port_destroy: expected"), "{error}");
}

/// Bits anywhere in the file, and in the tables that functions are found by: an error, or names that are right.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_flipped_bit_makes_no_name_wrong() {
    let (dbg, stripped) = both();
    let mut state = 2026_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let file = object::File::parse(&*stripped).expect("an ELF file");
    let sections = [".eh_frame", ".data", ".rodata", ".text"].map(|name| {
        let section = object::Object::section_by_name(&file, name).expect("it is there");
        let (start, size) = object::ObjectSection::file_range(&section).expect("in the file");
        start as usize..(start + size) as usize
    });
    let places = [0..4096, stripped.len() - 4096..stripped.len()].into_iter().chain(sections);
    let mut found = 0;
    for place in places.flat_map(|place| std::iter::repeat_n(place, FLIPS)) {
        let mut damaged = stripped.clone();
        damaged[place.start + random(place.len())] ^= 1 << random(8);
        let Ok(naming) = Naming::find(&damaged, &dbg) else { continue };
        found += 1;
        for (name, known) in &naming.evidence {
            let right = dbg.symbols().iter().any(|s| s.name == *name && known.place == Place::At(s.address));
            assert!(right, "{name}: {known}");
        }
    }
    assert!(found > FLIPS, "only {found} kernels with one bit changed had names");
}
