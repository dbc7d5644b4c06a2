//! Why a kernel is refused: one error per run, with everything that was missing in it.

use std::fmt::Write as _;
use std::path::PathBuf;

/// Where a kernel that can be instrumented comes from.
const DBG_PACKAGE: &str = "Debian's gnumach-image-1.8-amd64-up-dbg";

/// A kernel, payload or output that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstrumentError {
    /// The file does not begin like an ELF file.
    #[error("not an ELF file (the first bytes are not 7f 45 4c 46)")]
    NotElf,
    /// An ELF file of another kind.
    #[error("not a kernel this tool knows: expected an x86-64 ELF64 executable, found {found}")]
    WrongElf {
        /// What the header says.
        found: String,
    },
    /// An ELF file with a structure that does not hold together.
    #[error("damaged ELF file: {why}")]
    DamagedElf {
        /// The parser's words.
        why: String,
    },
    /// An executable, but no GNU Mach.
    #[error("not a GNU Mach kernel: it lacks {missing}")]
    NotGnuMach {
        /// What every GNU Mach has and this file has not.
        missing: String,
    },
    /// A kernel without the tables that say where things are.
    #[error("stripped kernel: no {what}; use the kernel of a -dbg package such as {DBG_PACKAGE}")]
    Stripped {
        /// The table that is missing.
        what: &'static str,
    },
    /// The output of an earlier run.
    #[error("already instrumented: the file holds a slot table of this tool; give the stock kernel instead")]
    AlreadyInstrumented,
    /// Everything that was looked for and not found as expected.
    #[error("{}", list(.0))]
    Misses(Vec<Miss>),
    /// The DWARF cannot be read.
    #[error("unreadable debugging information: {0}")]
    Dwarf(#[from] gimli::Error),
    /// The payload library is not what this tool was built with.
    #[error("payload library {}: {why}", path.display())]
    Payload {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The linker failed.
    #[error("linking the payload failed: {command}\n{output}")]
    Link {
        /// The command line.
        command: String,
        /// What it wrote.
        output: String,
    },
    /// The file has no room for one more program header, or the payload's place is taken.
    #[error("no place for the payload: {why}")]
    NoRoom {
        /// What is in the way.
        why: String,
    },
    /// A re-read output differs from the plan.
    #[error("the written kernel differs from the plan: {part}: expected {expected}, found {found}")]
    Verify {
        /// The part compared.
        part: String,
        /// The plan's value.
        expected: String,
        /// The file's value.
        found: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// One thing that was looked for in a kernel and not found as expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// The per-CPU array is not one of whole elements.
    #[error("{array}: expected a multiple of {element} bytes, found {size}")]
    PerCpuSize {
        /// The array.
        array: String,
        /// Its size.
        size: u64,
        /// The size of its element.
        element: u64,
    },
    /// A kernel for several processors that does not reach its per-CPU data as expected.
    #[error("{wanted_by}: expected instructions that load %gs:{offset:#x}, found none")]
    Segment {
        /// The member's offset.
        offset: u64,
        /// What needs it.
        wanted_by: String,
    },
    /// A lock where there should be none, or none where there should be one.
    #[error(
        "slot {slot}: expected {} on a kernel for {}, found {}",
        if *several { "a lock" } else { "no lock" },
        if *several { "several processors" } else { "one processor" },
        if *several { "none" } else { "one" }
    )]
    Lock {
        /// The slot.
        slot: String,
        /// Whether the kernel is for several processors.
        several: bool,
    },
    /// No such symbol.
    #[error("symbol {name} (for {wanted_by}): missing")]
    SymbolMissing {
        /// The symbol.
        name: String,
        /// What needs it.
        wanted_by: String,
    },
    /// Several symbols of one name.
    #[error("symbol {name} (for {wanted_by}): ambiguous, found at {}", hex(addresses))]
    SymbolAmbiguous {
        /// The symbol.
        name: String,
        /// What needs it.
        wanted_by: String,
        /// Where they are.
        addresses: Vec<u64>,
    },
    /// No such struct in the DWARF.
    #[error("struct {name} (for {wanted_by}): missing in the debugging information")]
    StructMissing {
        /// Its tag.
        name: String,
        /// What needs it.
        wanted_by: String,
    },
    /// Several structs of one name that differ.
    #[error("struct {name} (for {wanted_by}): ambiguous, two definitions differ in {difference}")]
    StructAmbiguous {
        /// Its tag.
        name: String,
        /// What needs it.
        wanted_by: String,
        /// The first difference.
        difference: String,
    },
    /// No such member, or more than one.
    #[error("struct {of}, member {member} (for {wanted_by}): {why}")]
    Member {
        /// Tag of the struct.
        of: String,
        /// Path of the member.
        member: String,
        /// What needs it.
        wanted_by: String,
        /// What is wrong.
        why: String,
    },
    /// No hole left in a struct.
    #[error("struct {of} (for {wanted_by}): no aligned 4-byte hole left between its members")]
    NoPadding {
        /// Tag of the struct.
        of: String,
        /// What needs it.
        wanted_by: String,
    },
    /// Another number of call sites.
    #[error("calls to {target} (for {wanted_by}): expected {expected}, found {}{}", sites.len(), at(sites))]
    CallCount {
        /// The function called.
        target: String,
        /// What needs them.
        wanted_by: String,
        /// How many a stock kernel has.
        expected: usize,
        /// Where they were found.
        sites: Vec<String>,
    },
    /// A trap-table entry that points elsewhere.
    #[error("mach_trap_table[{number}] (for {wanted_by}): expected {expected}, found {found}")]
    Trap {
        /// Index.
        number: u32,
        /// What needs it.
        wanted_by: String,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// No instruction loads the end of the kernel.
    #[error(
        "end of the boot data: expected a movabs of {end:#x} (the physical address of _end) in the text, found none"
    )]
    NoBootDataEnd {
        /// Physical address of `_end`.
        end: u64,
    },
    /// The payload refers to something the kernel does not have.
    #[error("symbol {name} (used by the payload in {used_by}): missing in the kernel")]
    PayloadUndefined {
        /// The symbol.
        name: String,
        /// The section of the payload that uses it.
        used_by: String,
    },
    /// The payload library lacks a symbol the contract names.
    #[error("symbol {name}: missing in the payload library")]
    PayloadLacks {
        /// The symbol.
        name: String,
    },
}

fn list(misses: &[Miss]) -> String {
    let mut text = format!("this kernel does not have what the payload needs ({} misses):", misses.len());
    for miss in misses {
        let _ = write!(text, "\n  {miss}");
    }
    text
}

fn hex(addresses: &[u64]) -> String {
    addresses.iter().map(|address| format!("{address:#x}")).collect::<Vec<_>>().join(", ")
}

fn at(sites: &[String]) -> String {
    if sites.is_empty() { String::new() } else { format!(" ({})", sites.join(", ")) }
}
