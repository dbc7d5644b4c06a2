// SPDX-License-Identifier: GPL-2.0-or-later
//! A small kernel made from nothing: an ELF64 executable with symbols and DWARF that has whatever the payload asks for.
//!
//! Tests take [`Kernel::complete`], damage it, and look at what the tool says.

pub mod dwarf;
pub mod payload;
pub mod routines;

use std::collections::BTreeMap;

use qemu::payload_abi::{HOOKS, NO_TRAP, Need, Others, SLOTS, Site, TRAPS};

pub use dwarf::{Member, Struct};
use routines::{Prototype, Routine};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const DATA: u64 = 0xffff_ffff_8110_0000;
const BOOT: u64 = 0xff_0000;
const TRAP_COUNT: u64 = 130;
const TRAP_SIZE: u64 = 32;

/// A symbol of the synthetic kernel.
#[derive(Clone, Debug)]
pub struct Symbol {
    pub name: String,
    pub address: u64,
    pub size: u64,
    pub global: bool,
    /// In text rather than in data.
    pub code: bool,
}

/// The parts of a kernel, to be changed before [`Kernel::build`].
#[derive(Clone, Debug)]
pub struct Kernel {
    pub structs: Vec<Struct>,
    pub symbols: Vec<Symbol>,
    pub text: Vec<u8>,
    pub data: Vec<u8>,
    /// Leave out `.symtab`, or the DWARF.
    pub symtab: bool,
    pub dwarf: bool,
    /// `.eh_frame`: functions by address and size.
    pub unwind: Vec<(u64, u32)>,
    /// Calls that the DWARF has noted: address of the `e8`, and of the function.
    pub calls: Vec<(u64, u64)>,
    /// What the DWARF says of functions.
    pub prototypes: BTreeMap<String, Prototype>,
    /// Bodies that are in other functions: whose, and in which.
    pub inlined: Vec<(String, String)>,
    /// Symbols that the DWARF has so many bytes further.
    pub moved: Vec<(String, u64)>,
}

impl Kernel {
    /// A kernel for one processor in which everything is found.
    pub fn complete() -> Self {
        Self::with(false)
    }

    /// A kernel for several processors in which everything is found.
    pub fn several_processors() -> Self {
        let mut kernel = Self::with(true);
        kernel.symbol_mut("percpu_array").size *= 8;
        // mov %gs:0, %rax
        kernel.function("current_of_several", &[0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0xc3]);
        kernel
    }

    fn with(several: bool) -> Self {
        let mut kernel = Self {
            structs: dwarf::structs(SLOTS, several),
            symbols: Vec::new(),
            text: Vec::new(),
            data: Vec::new(),
            symtab: true,
            dwarf: true,
            unwind: Vec::new(),
            calls: Vec::new(),
            prototypes: routines::wanted(),
            inlined: Vec::new(),
            moved: Vec::new(),
        };
        let functions = kernel.functions();
        kernel.caller(&functions);
        kernel.data(&functions);
        kernel.symbol("boot_start", BOOT, 16, true);
        // mov percpu_array, %rax
        let array = low(kernel.address("percpu_array"));
        kernel.function("current", &[&[0x48, 0x8b, 0x04, 0x25][..], &array, &[0xc3]].concat());
        let size = low(kernel.struct_mut("thread").size);
        kernel.symbol("thread_template", kernel.end() - 0x1000, u32::from_le_bytes(size).into(), false);
        kernel.thread_create(&size);
        kernel
    }

    /// A function that copies `size` bytes of `thread_template`.
    fn thread_create(&mut self, size: &[u8; 4]) {
        self.function("memcpy", &[0xc3]);
        let memcpy = self.address("memcpy");
        let address = TEXT + self.text.len() as u64;
        // mov $thread_template, %rsi; mov $size, %edx
        let template = low(self.address("thread_template"));
        self.text.extend_from_slice(&[&[0x48, 0xc7, 0xc6][..], &template, &[0xba], size].concat());
        self.call(memcpy);
        self.text.push(0xc3);
        self.symbol("thread_create", address, 18, true);
    }

    /// One function for every symbol the hooks name: the calls that hooks want in it, and a `ret`.
    fn functions(&mut self) -> BTreeMap<String, u64> {
        let traps = TRAPS.iter().map(|trap| trap.function).chain(NO_TRAP.iter().copied());
        let mut calls: BTreeMap<&str, Vec<&str>> = traps.map(|function| (function, Vec::new())).collect();
        calls.insert("ipc_kmsg_get", Vec::new());
        for hook in HOOKS {
            let (Site::Trap { original: name, .. }
            | Site::Calls { target: name, .. }
            | Site::CallsIn { target: name, .. }) = hook.site;
            calls.entry(name).or_default();
            if let Site::CallsIn { target, callers, others } = hook.site {
                let others = if let Others::Only(list) = others { list } else { &[] };
                // One caller makes the call twice.
                for caller in callers.iter().chain(others).chain(callers.first()) {
                    calls.entry(caller).or_default().push(target);
                }
            }
        }
        let mut functions = BTreeMap::new();
        // Not at an address with three bytes of 0, which may be the end of one pointer and the beginning of the next.
        self.text.extend_from_slice(&[0x90; 16]);
        let mut address = self.next_function();
        for (name, targets) in &calls {
            let size = targets.len() as u64 * 5 + 4;
            self.symbol(name, address, size, true);
            functions.insert((*name).to_owned(), address);
            address += size;
        }
        for target in calls.values() {
            for target in target {
                self.call(functions[*target]);
            }
            self.text.extend_from_slice(&[0xc3, 0x90, 0x90, 0x90]);
        }
        functions
    }

    /// A function with all the calls, and the movabs of the end of the kernel and of its start.
    fn caller(&mut self, functions: &BTreeMap<String, u64>) {
        let start = self.text.len();
        for hook in HOOKS {
            if let Site::Calls { target, count } = hook.site {
                for _ in 0..count {
                    self.call(functions[target]);
                }
            }
        }
        self.text.extend_from_slice(&[0x48, 0xbe]);
        let end = self.end() - 0xffff_ffff_8000_0000;
        self.text.extend_from_slice(&end.to_le_bytes());
        self.text.extend_from_slice(&[0x48, 0xbf]);
        self.text.extend_from_slice(&Self::start().to_le_bytes());
        self.text.push(0xc3);
        let size = (self.text.len() - start) as u64;
        self.symbol("c_boot_entry", TEXT + start as u64, size, true);
    }

    /// Adds a `call rel32`.
    pub fn call(&mut self, target: u64) {
        let next = TEXT + self.text.len() as u64 + 5;
        let rel32 = i32::try_from(target.wrapping_sub(next).cast_signed()).unwrap();
        self.text.push(0xe8);
        self.text.extend_from_slice(&rel32.to_le_bytes());
        self.calls.push((next - 5, target));
    }

    /// Makes the calls of `target` in `caller` disappear.
    pub fn remove_calls(&mut self, target: &str, caller: &str) {
        let (target, caller) = (self.address(target), self.symbol_mut(caller).clone());
        let start = usize::try_from(caller.address - TEXT).unwrap();
        let end = start + usize::try_from(caller.size).unwrap() - 4;
        for (at, code) in (start..end).step_by(5).zip(self.text[start..end].chunks_mut(5)) {
            let rel32 = i32::from_le_bytes(code[1..].try_into().unwrap());
            if (TEXT + at as u64 + 5).wrapping_add_signed(rel32.into()) == target {
                code.fill(0x90);
                self.calls.retain(|&(site, _)| site != TEXT + at as u64);
            }
        }
    }

    /// Adds a function that only calls `target`.
    pub fn function_calling(&mut self, name: &str, target: &str) {
        let address = TEXT + self.text.len() as u64;
        let target = self.address(target);
        self.call(target);
        self.text.push(0xc3);
        self.symbol(name, address, 6, true);
    }

    /// Where the next function will be.
    pub fn next_function(&self) -> u64 {
        TEXT + self.text.len() as u64
    }

    /// Replaces bytes of the text.
    pub fn patch(&mut self, address: u64, code: &[u8]) {
        let at = usize::try_from(address - TEXT).unwrap();
        self.text[at..at + code.len()].copy_from_slice(code);
    }

    /// Where the return is, and three bytes of padding, that end the function before `name`.
    pub fn before(&self, name: &str) -> u64 {
        self.address(name) - 4
    }

    /// Adds a function with this code.
    pub fn function(&mut self, name: &str, code: &[u8]) {
        let address = self.next_function();
        self.text.extend_from_slice(code);
        self.symbol(name, address, code.len() as u64, true);
    }

    fn data(&mut self, functions: &BTreeMap<String, u64>) {
        self.data = vec![0; usize::try_from(TRAP_COUNT * TRAP_SIZE).unwrap()];
        self.symbol("mach_trap_table", DATA, TRAP_COUNT * TRAP_SIZE, false);
        for number in 0..u32::try_from(TRAP_COUNT).unwrap() {
            let trap = TRAPS.iter().find(|trap| trap.number == number);
            self.set_trap(number, functions[trap.map_or(NO_TRAP[0], |trap| trap.function)]);
        }
        let mut next = DATA + TRAP_COUNT * TRAP_SIZE;
        let version = b"GNU Mach synthetic\0";
        self.data.extend_from_slice(version);
        self.symbol("version", next, version.len() as u64, false);
        next += 64;
        for spec in SLOTS {
            if let Need::PerCpu { array, of, .. } = spec.need {
                let size = self.structs.iter().find(|s| s.tag == of).unwrap().size;
                self.symbol(array, next, size, false);
                next += size;
            }
        }
        self.symbol("_end", self.end(), 0, false);
    }

    pub fn set_trap(&mut self, number: u32, address: u64) {
        let place = usize::try_from(u64::from(number) * TRAP_SIZE + 8).unwrap();
        self.data[place..place + 8].copy_from_slice(&address.to_le_bytes());
    }

    /// `_end`: well after the data, as a bss would be, and not on a page boundary.
    pub fn end(&self) -> u64 {
        DATA + 0x8c88
    }

    /// Where the kernel begins behind what boots it, a physical address.
    pub const fn start() -> u64 {
        BOOT + 16
    }

    fn symbol(&mut self, name: &str, address: u64, size: u64, code: bool) {
        self.symbols.push(Symbol { name: name.to_owned(), address, size, global: true, code });
    }

    /// What the DWARF says: every function by its symbol, and the variables that are found by name.
    fn routines(&self) -> Vec<Routine> {
        let name = |address: u64| self.symbols.iter().find(|symbol| symbol.code && symbol.address == address);
        let known = |symbol: &&Symbol| {
            symbol.code || ["mach_trap_table", "percpu_array", "thread_template"].contains(&symbol.name.as_str())
        };
        let next = |address: u64| self.symbols.iter().map(|other| other.address).filter(|&other| other > address).min();
        let routine = |symbol: &Symbol| {
            let size = if symbol.size == 0 { next(symbol.address).unwrap() - symbol.address } else { symbol.size };
            let end = symbol.address + size;
            let inside = self.calls.iter().filter(|(site, _)| (symbol.address..end).contains(site));
            let calls = inside.filter_map(|&(site, target)| Some((site + 5, name(target)?.name.clone()))).collect();
            let unknown = Prototype {
                result: qemu::payload_abi::Value::Nothing,
                parameters: Vec::new(),
                variadic: false,
                declared: false,
            };
            let prototype = self.prototypes.get(&symbol.name).cloned().unwrap_or(unknown);
            let moved = self.moved.iter().find(|(name, _)| *name == symbol.name);
            let inlined = self.inlined.iter().filter(|(_, inside)| *inside == symbol.name);
            Routine {
                name: symbol.name.clone(),
                address: symbol.address + moved.map_or(0, |(_, by)| *by),
                size,
                prototype: symbol.code.then_some(prototype),
                calls,
                inlined: inlined.map(|(target, _)| target.clone()).collect(),
            }
        };
        self.symbols.iter().filter(known).map(routine).collect()
    }

    pub fn address(&self, name: &str) -> u64 {
        self.symbols.iter().find(|symbol| symbol.name == name).unwrap().address
    }

    pub fn struct_mut(&mut self, tag: &str) -> &mut Struct {
        self.structs.iter_mut().find(|s| s.tag == tag).unwrap()
    }

    pub fn symbol_mut(&mut self, name: &str) -> &mut Symbol {
        self.symbols.iter_mut().find(|symbol| symbol.name == name).unwrap()
    }

    /// The ELF file.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0; 0x1000];
        let boot = place(&mut file, &[0xf4; 16]);
        let text = place(&mut file, &self.text);
        let data = place(&mut file, &self.data);
        let bss = self.end() - DATA;
        let segments = [
            segment(5, boot, BOOT, 16, 16),
            segment(5, text, TEXT, self.text.len() as u64, self.text.len() as u64),
            segment(6, data, DATA, self.data.len() as u64, bss),
        ];
        let mut sections = Sections::default();
        sections.add(".text", 1, 6, TEXT, text, self.text.len() as u64, 0, 0);
        sections.add(".data", 1, 3, DATA, data, self.data.len() as u64, 0, 0);
        sections.add(".boot", 1, 6, BOOT, boot, 16, 0, 0);
        let in_file = self.data.len() as u64;
        sections.add(".bss", 8, 3, DATA + in_file, data + in_file, bss - in_file, 0, 0);
        if self.dwarf {
            for (name, contents) in dwarf::sections(&self.structs, &self.routines()) {
                let offset = place(&mut file, &contents);
                sections.add(&name, 1, 0, 0, offset, contents.len() as u64, 0, 0);
            }
        }
        if !self.unwind.is_empty() {
            let contents = dwarf::unwind(&self.unwind);
            let offset = place(&mut file, &contents);
            sections.add(".eh_frame", 1, 0, 0, offset, contents.len() as u64, 0, 0);
        }
        if self.symtab {
            let (symtab, strtab) = self.symbol_table();
            let (at_symtab, at_strtab) = (place(&mut file, &symtab), place(&mut file, &strtab));
            let strings = sections.count() + 1;
            sections.add(".symtab", 2, 0, 0, at_symtab, symtab.len() as u64, strings, 24);
            sections.add(".strtab", 3, 0, 0, at_strtab, strtab.len() as u64, 0, 0);
        }
        let names_offset = file.len() as u64;
        let (headers, names) = sections.finish(names_offset);
        file.extend_from_slice(&names);
        let table = place(&mut file, &headers);
        let header =
            elf_header(table, u16::try_from(segments.len()).unwrap(), u16::try_from(headers.len() / 64).unwrap());
        file[..64].copy_from_slice(&header);
        file[64..64 + 56 * 3].copy_from_slice(&segments.concat());
        file
    }

    fn symbol_table(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut table, mut strings) = (vec![0; 24], vec![0]);
        for symbol in &self.symbols {
            table.extend_from_slice(&u32::try_from(strings.len()).unwrap().to_le_bytes());
            let kind = if symbol.code { 2 } else { 1 };
            table.extend_from_slice(&[u8::from(symbol.global) << 4 | kind, 0]);
            table.extend_from_slice(&(if symbol.code { 1u16 } else { 2 }).to_le_bytes());
            table.extend_from_slice(&symbol.address.to_le_bytes());
            table.extend_from_slice(&symbol.size.to_le_bytes());
            strings.extend_from_slice(symbol.name.as_bytes());
            strings.push(0);
        }
        (table, strings)
    }
}

/// The lower half of a number, as an instruction has it.
fn low(number: u64) -> [u8; 4] {
    u32::try_from(number & 0xffff_ffff).unwrap().to_le_bytes()
}

/// Appends `contents` on a page boundary and says where.
fn place(file: &mut Vec<u8>, contents: &[u8]) -> u64 {
    file.resize(file.len().next_multiple_of(0x1000), 0);
    let offset = file.len() as u64;
    file.extend_from_slice(contents);
    offset
}

fn segment(flags: u32, offset: u64, address: u64, filesz: u64, memsz: u64) -> [u8; 56] {
    let physical = if address > 0xffff_ffff_8000_0000 { address - 0xffff_ffff_8000_0000 } else { address };
    let mut header = [0; 56];
    header[..4].copy_from_slice(&1u32.to_le_bytes());
    header[4..8].copy_from_slice(&flags.to_le_bytes());
    for (index, field) in [offset, address, physical, filesz, memsz, 0x1000].into_iter().enumerate() {
        header[8 + index * 8..16 + index * 8].copy_from_slice(&field.to_le_bytes());
    }
    header
}

fn elf_header(section_table: u64, segments: u16, sections: u16) -> Vec<u8> {
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    header.resize(16, 0);
    header.extend_from_slice(&2u16.to_le_bytes());
    header.extend_from_slice(&62u16.to_le_bytes());
    header.extend_from_slice(&1u32.to_le_bytes());
    for field in [BOOT, 64, section_table] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.extend_from_slice(&0u32.to_le_bytes());
    for field in [64, 56, segments, 64, sections, sections - 1] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header
}

#[derive(Default)]
struct Sections {
    headers: Vec<u8>,
    names: Vec<u8>,
}

impl Sections {
    fn count(&self) -> u32 {
        // The null section comes first.
        u32::try_from(self.headers.len() / 64).unwrap() + 1
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a section header, in their order")]
    fn add(&mut self, name: &str, kind: u32, flags: u64, address: u64, offset: u64, size: u64, link: u32, entry: u64) {
        if self.names.is_empty() {
            self.names.push(0);
        }
        self.headers.extend_from_slice(&u32::try_from(self.names.len()).unwrap().to_le_bytes());
        self.headers.extend_from_slice(&kind.to_le_bytes());
        for field in [flags, address, offset, size] {
            self.headers.extend_from_slice(&field.to_le_bytes());
        }
        self.headers.extend_from_slice(&link.to_le_bytes());
        self.headers.extend_from_slice(&1u32.to_le_bytes());
        for field in [1, entry] {
            self.headers.extend_from_slice(&field.to_le_bytes());
        }
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
    }

    fn finish(mut self, offset: u64) -> (Vec<u8>, Vec<u8>) {
        let size = self.names.len() as u64 + 11;
        self.add(".shstrtab", 3, 0, 0, offset, size, 0, 0);
        self.names.resize(usize::try_from(size).unwrap(), 0);
        ([vec![0; 64], self.headers].concat(), self.names)
    }
}
