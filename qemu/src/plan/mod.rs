// SPDX-License-Identifier: GPL-2.0-or-later
//! What will be changed in a kernel, decided completely before a byte is written: plain data that prints itself.

mod calls;
pub mod hooks;
pub mod place;
mod places;
mod proofs;
mod prototypes;
mod reach;
pub mod site;
pub mod slots;
pub mod switches;
mod template;
mod traps;

pub use proofs::names;
pub use traps::{TRAP_FUNCTION, TRAP_TYPE};

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{InstrumentError, Miss};
use crate::kernel::elf::Told;
use crate::kernel::elf::{KERNEL_OFFSET, KernelElf, Segment};
use crate::kernel::facts::{self, SlotValue};
use crate::kernel::{Declarations, References};
use crate::link::{Archive, Linked, Linker};
use crate::payload_abi::{self, HOOKS, Hook, SLOTS};
use crate::plan::site::{FoundSite, Way};
use crate::plan::switches::Switch;

/// Bytes of the kernel file that are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// What the new bytes stand for.
    pub what: String,
    /// Virtual address of the first byte.
    pub address: u64,
    /// Place in the file.
    pub file_offset: u64,
    /// The stock bytes.
    pub old: Vec<u8>,
    /// The bytes that replace them.
    pub new: Vec<u8>,
    /// Why this is the place.
    pub evidence: String,
    /// What it is for.
    pub purpose: String,
}

/// Everything that will be done to one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// SHA-256 of the stock kernel file.
    pub kernel_hash: String,
    /// Size of the stock kernel file.
    pub kernel_size: u64,
    /// The kernel's version text, if it has one.
    pub kernel_version: String,
    /// SHA-256 of the linked payload with its slots filled.
    pub payload_hash: String,
    /// Segments of the stock kernel.
    pub kernel_segments: Vec<Segment>,
    /// `e_entry`.
    pub entry: u64,
    /// The segment that is added.
    pub payload: Segment,
    /// Address of the slot table in it.
    pub slots_address: u64,
    /// The filled slots.
    pub slots: Vec<SlotValue>,
    /// Everything that is replaced in the stock kernel.
    pub patches: Vec<Patch>,
    /// The memory of the machine's recorder, in the payload's segment.
    pub recorder: Recorder,
    /// Address of the table of `switches` in the payload.
    pub switches_address: u64,
    /// Everything that the payload replaces in memory.
    pub switches: Vec<Switch>,
}

/// Where the machine's recorder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorder {
    /// Address of its first byte.
    pub vaddr: u64,
    /// Its physical address.
    pub paddr: u64,
    /// Bytes, with the two pages before the records; 0 if there is none.
    pub bytes: u64,
}

/// A plan and the bytes of the segment it adds.
#[derive(Debug)]
pub struct Planned {
    /// What to do.
    pub plan: Plan,
    /// File contents of the added segment.
    pub image: Vec<u8>,
    /// Its symbols.
    pub symbols: BTreeMap<u64, String>,
}

/// Reads `kernel`, links the payload archive for it, and decides everything.
pub fn plan(kernel: &KernelElf, payload: &Path, linker: &Linker) -> Result<Planned, InstrumentError> {
    let declared = Declarations::of(kernel)?;
    let structs = [facts::wanted_structs(SLOTS), vec![traps::TRAP_TYPE]].concat();
    let layouts = declared.layouts(&structs)?;
    let archive = Archive::read(payload)?;
    let mut misses = Vec::new();
    let slots = facts::slots(kernel, &layouts, &mut misses);
    let one_processor = facts::one_processor(&slots);
    let hooks: Vec<Hook> = HOOKS.iter().filter(|hook| hook.kernels.has(one_processor)).copied().collect();
    let references = References::find(kernel, &proofs::targets(kernel));
    let sites = hooks::find(&hooks, kernel, &layouts, &references, &mut misses);
    let boot_ends = collect(place::boot_data_ends(kernel), &mut misses).unwrap_or_default();
    let boot_starts = match one_processor {
        true => Vec::new(),
        false => collect(place::with_boot_segment(kernel, &boot_ends), &mut misses).unwrap_or_default(),
    };
    let end = collect(kernel.symbol("_end", "the payload's place").map(|symbol| symbol.address), &mut misses);
    let roots = roots(&hooks, one_processor);
    // Where the ring is the linker says.
    let ring = [payload_abi::RING_SYMBOL, payload_abi::RING_END_SYMBOL].map(|symbol| (symbol, 0));
    let given = [&link_symbols(&slots)[..], &ring].concat();
    let needs = archive.needs(&roots, &given, kernel)?;
    misses.extend(needs.misses);
    let found = proofs::Found {
        kernel,
        declared: &declared,
        layouts: &layouts,
        references: &references,
        hooks: &hooks,
        sites: &sites,
        imports: &needs.imports,
    };
    found.check(&mut misses)?;
    let Some(end) = end.filter(|_| misses.is_empty()) else {
        return Err(match kernel.told() {
            Some(Told::Profile(profile)) => InstrumentError::ProfileMisses { path: profile.path.clone(), misses },
            _ => InstrumentError::Misses(misses),
        });
    };
    let base = place::base(kernel, end)?;
    let linked = linker.link(payload, kernel, base, &roots, &link_symbols(&slots))?;
    let sites: Vec<_> = sites.into_iter().map(|site| (Way::of(&site.hook, one_processor), site)).collect();
    assemble(kernel, linked, slots, &sites, (&boot_ends, boot_starts))
}

/// Symbols of the payload that must survive the link.
fn roots(hooks: &[Hook], one_processor: bool) -> Vec<&'static str> {
    let tables = [payload_abi::SLOTS_SYMBOL, payload_abi::SWITCHES_SYMBOL];
    tables.into_iter().chain(hooks.iter().map(|hook| Way::of(hook, one_processor).symbol())).collect()
}

/// Symbols that are defined for the payload. Without a value for a slot there is a miss, and nothing is linked.
fn link_symbols(slots: &[SlotValue]) -> Vec<(&'static str, u64)> {
    let value = |spec: &payload_abi::SlotSpec| {
        slots.iter().find(|slot| slot.name == spec.name).map_or(payload_abi::UNFILLED, |slot| slot.value)
    };
    payload_abi::link_symbols(value).collect()
}

fn assemble(
    kernel: &KernelElf,
    linked: Linked,
    slots: Vec<SlotValue>,
    sites: &[(Way, FoundSite)],
    (boot_ends, boot_starts): (&[place::BootData], Vec<Patch>),
) -> Result<Planned, InstrumentError> {
    let mut image = linked.image.clone();
    let slots_address = linked.symbol(payload_abi::SLOTS_SYMBOL)?;
    slots::fill_table(&mut image, slots_address - linked.base, &slots, &linked.archive)?;
    let (mut patches, mut switches) = (Vec::new(), Vec::new());
    for (way, site) in sites {
        let target = linked.symbol(way.symbol())?;
        match way {
            Way::Patched(_) => patches.push(site.patch(target, &linked.archive)?),
            Way::Switched(symbol) => switches.push(site.switch(symbol, target, &linked.archive)?),
        }
    }
    let switches_address = linked.symbol(payload_abi::SWITCHES_SYMBOL)?;
    let ring = linked.symbol(payload_abi::RING_SYMBOL)?;
    let ring_end = linked.symbol(payload_abi::RING_END_SYMBOL)?;
    let recorder = Recorder { vaddr: ring, paddr: ring - KERNEL_OFFSET, bytes: ring_end.saturating_sub(ring) };
    switches::fill_table(&mut image, switches_address - linked.base, &switches, &linked.archive)?;
    let memory_end = linked.base + linked.memsz;
    patches.extend(boot_ends.iter().map(|found| found.with_end(memory_end - KERNEL_OFFSET)));
    patches.extend(boot_starts);
    let payload = Segment {
        offset: place::file_offset(kernel.bytes().len() as u64, linked.base),
        vaddr: linked.base,
        paddr: linked.base - KERNEL_OFFSET,
        filesz: image.len() as u64,
        memsz: linked.memsz,
        flags: object::elf::PF_R | object::elf::PF_W | object::elf::PF_X,
    };
    let plan = Plan {
        kernel_hash: sha256(kernel.bytes()),
        kernel_size: kernel.bytes().len() as u64,
        kernel_version: kernel.version().unwrap_or_else(|| "unknown".to_owned()),
        payload_hash: sha256(&image),
        kernel_segments: kernel.segments().to_vec(),
        entry: kernel.entry(),
        payload,
        slots_address,
        slots,
        patches,
        recorder,
        switches_address,
        switches,
    };
    Ok(Planned { plan, image, symbols: linked.by_address() })
}

fn collect<T>(found: Result<T, Miss>, misses: &mut Vec<Miss>) -> Option<T> {
    found.map_err(|miss| misses.push(miss)).ok()
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes in hexadecimal, separated by spaces.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "kernel   {} ({} bytes)", self.kernel_version, self.kernel_size)?;
        writeln!(out, "         sha256 {}", self.kernel_hash)?;
        writeln!(out, "         entry {:#x}", self.entry)?;
        for segment in &self.kernel_segments {
            writeln!(out, "segment  {}", Shown(segment))?;
        }
        writeln!(out, "payload  {}", Shown(&self.payload))?;
        writeln!(out, "         sha256 {}", self.payload_hash)?;
        let Recorder { vaddr, paddr, bytes } = self.recorder;
        writeln!(out, "recorder {vaddr:#18x} phys {paddr:#x} memory {bytes:#x}")?;
        writeln!(out, "slots    {} at {:#x}, version {}", self.slots.len(), self.slots_address, payload_abi::VERSION)?;
        for slot in &self.slots {
            writeln!(out, "slot     {:<28} {:#18x}  {}", slot.name, slot.value, slot.evidence)?;
        }
        for Patch { what, address, file_offset, old, new, evidence, purpose } in &self.patches {
            writeln!(out, "patch    {address:#x} (file {file_offset:#x}) {what}")?;
            writeln!(out, "         {} -> {}  {evidence}; {purpose}", hex(old), hex(new))?;
        }
        let (rows, room) = (self.switches.len(), payload_abi::SWITCHES);
        writeln!(out, "switches {rows} of {room} at {:#x}, made with the first trace", self.switches_address)?;
        for Switch { what, address, stock, traced, evidence, purpose, .. } in &self.switches {
            writeln!(out, "switch   {address:#x} ({} bytes) {what}", stock.len())?;
            writeln!(out, "         {} -> {}  {evidence}; {purpose}", hex(stock), hex(traced))?;
        }
        Ok(())
    }
}

struct Shown<'a>(&'a Segment);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segment { offset, vaddr, paddr, filesz, memsz, flags } = self.0;
        let flag = |bit: u32, letter: char| if flags & bit == 0 { '-' } else { letter };
        write!(
            out,
            "{vaddr:#18x} phys {paddr:#x} file {offset:#x}+{filesz:#x} memory {memsz:#x} {}{}{}",
            flag(object::elf::PF_R, 'r'),
            flag(object::elf::PF_W, 'w'),
            flag(object::elf::PF_X, 'x'),
        )
    }
}
