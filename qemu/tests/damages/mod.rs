// SPDX-License-Identifier: GPL-2.0-or-later
//! Damages of a kernel file: flipped bits anywhere, and changes where a reader would trip over them.

use std::ops::Range;

use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};
use qemu::kernel::{Debug, Layouts, facts};
use qemu::payload_abi::{HOOKS, PROTOTYPES, SLOTS, Site};

/// How many bits are flipped in each struct.
const STRUCT_FLIPS: usize = 64;

/// One change of a file.
#[derive(Clone, Debug)]
pub struct Damage {
    /// What kind of a change.
    pub kind: &'static str,
    /// Which one, so that it can be made again.
    pub what: String,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Flip(usize, u8),
    Cut(usize),
}

impl Damage {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match &self.change {
            Change::Write(at, new) => bytes[*at..*at + new.len()].copy_from_slice(new),
            Change::Flip(at, bit) => bytes[*at] ^= 1 << bit,
            Change::Cut(len) => bytes.truncate(*len),
        }
    }
}

/// `count` flips of a bit, one of four in what is loaded or in the tables that say where things are, which is little of the file.
pub fn flips(stock: &[u8], seed: u64, count: usize) -> Vec<Damage> {
    let file = ElfFile64::<LittleEndian>::parse(stock).unwrap();
    let mut dense = vec![0..288, file.elf_header().e_shoff(LittleEndian) as usize..stock.len()];
    for name in [".text", ".data", ".symtab", ".strtab", ".debug_abbrev", ".eh_frame", ".debug_str"] {
        dense.push(section(&file, name));
    }
    let mut state = seed;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut flip = |index: usize| {
        let range = if index.is_multiple_of(4) { dense[next(dense.len())].clone() } else { 0..stock.len() };
        let (at, bit) = (range.start + next(range.len()), next(8) as u8);
        Damage { kind: "flip", what: format!("bit {bit} of byte {at:#x}"), change: Change::Flip(at, bit) }
    };
    (0..count).map(&mut flip).collect()
}

/// Changes of headers, symbols, DWARF, code and length.
pub fn directed(stock: &[u8]) -> Vec<Damage> {
    let file = ElfFile64::<LittleEndian>::parse(stock).unwrap();
    let mut made = Maker { stock, damages: Vec::new() };
    made.headers(&file);
    made.symbols(&file);
    made.debugging(&file);
    made.code(&file);
    made.lengths(&file);
    made.damages
}

fn section(file: &ElfFile64<'_, LittleEndian>, name: &str) -> Range<usize> {
    let (start, len) = file.section_by_name(name).unwrap().file_range().unwrap();
    start as usize..(start + len) as usize
}

struct Maker<'a> {
    stock: &'a [u8],
    damages: Vec<Damage>,
}

impl Maker<'_> {
    fn write(&mut self, kind: &'static str, what: impl Into<String>, at: usize, new: Vec<u8>) {
        if self.stock[at..at + new.len()] != new {
            self.damages.push(Damage {
                kind,
                what: format!("{kind}: {}", what.into()),
                change: Change::Write(at, new),
            });
        }
    }

    /// Gives the `len` bytes at `at` values that a field should not have.
    fn field(&mut self, kind: &'static str, what: &str, at: usize, len: usize) {
        let mut more = self.stock[at..at + len].to_vec();
        more[0] = more[0].wrapping_add(1);
        let mut top = self.stock[at..at + len].to_vec();
        top[len - 1] ^= 0x80;
        for (how, new) in [("0", vec![0; len]), ("ones", vec![0xff; len]), ("one more", more), ("top bit", top)] {
            self.write(kind, format!("{what} {how}"), at, new);
        }
    }

    fn headers(&mut self, file: &ElfFile64<'_, LittleEndian>) {
        for (name, at, len) in [
            ("class", 4, 1),
            ("data", 5, 1),
            ("e_type", 16, 2),
            ("e_machine", 18, 2),
            ("e_entry", 24, 8),
            ("e_phoff", 32, 8),
            ("e_shoff", 40, 8),
            ("e_phentsize", 54, 2),
            ("e_phnum", 56, 2),
            ("e_shentsize", 58, 2),
            ("e_shnum", 60, 2),
            ("e_shstrndx", 62, 2),
        ] {
            self.field("ELF header", name, at, len);
        }
        let table = file.elf_header().e_phoff(LittleEndian) as usize;
        for (index, header) in file.elf_program_headers().iter().enumerate() {
            for (name, at, len) in [
                ("type", 0, 4),
                ("flags", 4, 4),
                ("offset", 8, 8),
                ("vaddr", 16, 8),
                ("paddr", 24, 8),
                ("filesz", 32, 8),
                ("memsz", 40, 8),
            ] {
                let what = format!("{index} at {:#x}, {name}", header.p_vaddr(LittleEndian));
                self.field("program header", &what, table + index * 56 + at, len);
            }
        }
        let table = file.elf_header().e_shoff(LittleEndian) as usize;
        for (index, header) in file.elf_section_table().iter().enumerate().skip(1) {
            let name = file.elf_section_table().section_name(LittleEndian, header).unwrap();
            for (field, at, len) in [
                ("name", 0, 4),
                ("type", 4, 4),
                ("flags", 8, 8),
                ("addr", 16, 8),
                ("offset", 24, 8),
                ("size", 32, 8),
                ("link", 40, 4),
            ] {
                let what = format!("{} {field}", String::from_utf8_lossy(name));
                self.field("section header", &what, table + index * 64 + at, len);
            }
        }
    }

    /// Every symbol that the plan goes by: name, kind, section, address, size.
    fn symbols(&mut self, file: &ElfFile64<'_, LittleEndian>) {
        let table = section(file, ".symtab").start;
        let mut names: Vec<&str> = PROTOTYPES.iter().map(|known| known.name).collect();
        names.extend(["_end", "mach_trap_table", "percpu_array", "thread_template", "thread_create", "kern_invalid"]);
        for hook in HOOKS {
            if let Site::CallsIn { callers, .. } = hook.site {
                names.extend(callers);
            }
        }
        names.sort_unstable();
        names.dedup();
        for symbol in file.symbols().filter(|symbol| symbol.is_global()) {
            let Ok(name) = symbol.name() else { continue };
            if !names.contains(&name) {
                continue;
            }
            let at = table + symbol.index().0 * 24;
            for (field, place, len) in
                [("name", 0, 4), ("info", 4, 1), ("section", 6, 2), ("address", 8, 8), ("size", 16, 8)]
            {
                self.field("symbol", &format!("{name} {field}"), at + place, len);
            }
            for bit in 0..6 {
                let what = format!("symbol {name}, bit {bit} of its address and size");
                self.damages.push(Damage {
                    kind: "symbol, a bit",
                    what: what.clone(),
                    change: Change::Flip(at + 8, bit),
                });
                self.damages.push(Damage { kind: "symbol, a bit", what, change: Change::Flip(at + 16, bit) });
            }
        }
    }

    /// What is read of the DWARF, spread over its sections.
    fn debugging(&mut self, file: &ElfFile64<'_, LittleEndian>) {
        let info = section(file, ".debug_info");
        for (field, at, len) in
            [("length", 0, 4), ("version", 4, 2), ("type", 6, 1), ("address size", 7, 1), ("abbreviations", 8, 4)]
        {
            self.field("DWARF unit", field, info.start + at, len);
        }
        for name in [".debug_info", ".debug_abbrev", ".debug_str", ".debug_line", ".eh_frame", ".strtab"] {
            let range = section(file, name);
            for part in 0..24 {
                let at = range.start + range.len() * part / 24;
                let len = 16.min(range.end - at);
                for (how, new) in
                    [("zeros", vec![0; len]), ("ones", vec![0xff; len]), ("counted", (1..=len as u8).collect())]
                {
                    self.write("DWARF bytes", format!("{name}+{:#x} {how}", at - range.start), at, new);
                }
            }
        }
        self.structs(info.start);
        for name in
            ["thread_list\0", "task\0", "ipc_kmsg\0", "copyinmsg\0", "mach_trap_function\0", "exception_raise\0"]
        {
            let text = section(file, ".debug_str");
            let found =
                self.stock[text.clone()].windows(name.len() + 1).position(|w| w[0] == 0 && w[1..] == *name.as_bytes());
            let Some(found) = found else { continue };
            self.write("DWARF name", name.trim_end_matches('\0'), text.start + found + 1, vec![b'#']);
        }
    }

    /// Bits of the definitions that the slots are read from, members and all.
    fn structs(&mut self, info: usize) {
        let debug = Debug::open(self.stock).unwrap();
        let tags = facts::wanted_structs(SLOTS);
        let layouts = Layouts::read(&debug, &tags).unwrap();
        for tag in tags {
            let layout = layouts.layout(tag, "").unwrap();
            let len = layout.fields.iter().filter(|field| field.direct).count() * 13 + 10;
            for part in 0..STRUCT_FLIPS {
                let at = info + layout.die + len * part / STRUCT_FLIPS;
                let what = format!("struct {tag}, bit {} of byte {at:#x}", part % 8);
                self.damages.push(Damage { kind: "DWARF struct", what, change: Change::Flip(at, (part % 8) as u8) });
            }
        }
    }

    /// The first bytes of every function that is hooked or that hooks are in, and calls of them.
    fn code(&mut self, file: &ElfFile64<'_, LittleEndian>) {
        let text = file.section_by_name(".text").unwrap();
        let (base, start) = (text.address(), section(file, ".text").start);
        for hook in HOOKS {
            let (Site::Trap { original: target, .. } | Site::Calls { target, .. } | Site::CallsIn { target, .. }) =
                hook.site;
            let Some(symbol) = file.symbol_by_name(target) else { continue };
            let len = section(file, ".text").len() - 5;
            let calls = (0..len).filter(|&at| {
                let rel32 = i32::from_le_bytes(self.stock[start + at + 1..start + at + 5].try_into().unwrap());
                let to = (base + at as u64 + 5).wrapping_add_signed(rel32.into());
                self.stock[start + at] == 0xe8 && to == symbol.address()
            });
            for at in calls.collect::<Vec<_>>() {
                for opcode in [0xe9, 0xea, 0xa8, 0x90] {
                    self.write(
                        "opcode of a call",
                        format!("{target} at {:#x}: {opcode:#x}", base + at as u64),
                        start + at,
                        vec![opcode],
                    );
                }
                for bit in [0, 4, 9, 30] {
                    let what = format!("call of {target} at {:#x}, bit {bit}", base + at as u64);
                    self.damages.push(Damage {
                        kind: "distance of a call",
                        what,
                        change: Change::Flip(start + at + 1 + bit / 8, (bit % 8) as u8),
                    });
                }
            }
        }
    }

    fn lengths(&mut self, file: &ElfFile64<'_, LittleEndian>) {
        let mut ends = vec![0, 1, 4, 63, 64, 100, 288, self.stock.len() / 2, self.stock.len() - 1];
        for part in file.sections() {
            let (at, len) = part.file_range().unwrap_or_default();
            ends.extend([at as usize, (at + len) as usize]);
        }
        ends.retain(|&end| end < self.stock.len());
        for end in ends {
            self.damages.push(Damage {
                kind: "length",
                what: format!("cut to {end:#x} bytes"),
                change: Change::Cut(end),
            });
        }
    }
}
