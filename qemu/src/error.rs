// SPDX-License-Identifier: GPL-2.0-or-later
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
    /// A kernel whose user programs are of another size than itself.
    #[error(
        "a kernel for 32-bit user programs (USER32): it has {symbol}, and messages have two forms in it; expected one for 64-bit programs such as {DBG_PACKAGE}"
    )]
    User32 {
        /// The function that shows it.
        symbol: String,
    },
    /// An executable, but no GNU Mach.
    #[error("not a GNU Mach kernel: it lacks {missing}")]
    NotGnuMach {
        /// What every GNU Mach has and this file has not.
        missing: String,
    },
    /// A kernel without the tables that say where things are.
    #[error(
        "stripped kernel: no {what}, and no profile of it in qemu/profiles; name the kernel of the -dbg package of its version, such as {DBG_PACKAGE}, or a profile, with --dbg beside it"
    )]
    Stripped {
        /// The table that is missing.
        what: &'static str,
    },
    /// A stripped kernel and one with names that is not alike.
    #[error("the stripped kernel is not like the one with names: {why}")]
    Unlike {
        /// In what.
        why: String,
    },
    /// A profile that is damaged, or another kernel's.
    #[error("profile {}: {why}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
    /// A profile by which what the payload needs is not in the kernel.
    #[error("profile {} does not fit the kernel; cargo qemu profile makes one anew; {}", path.display(), list(misses))]
    ProfileMisses {
        /// The file.
        path: PathBuf,
        /// All that was looked for and not found as expected.
        misses: Vec<Miss>,
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
    /// The DWARF can be read, but says what cannot be.
    #[error("damaged debugging information: {why}")]
    DamagedDwarf {
        /// What cannot be.
        why: String,
    },
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
    /// The input is no file.
    #[error("cannot read {}: expected a file, found {kind}", path.display())]
    NoFile {
        /// What was given.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The input is larger than any kernel, as it is or unpacked.
    #[error("cannot read {}: expected a kernel of at most {most} bytes, found more", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many bytes it may have.
        most: u64,
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
    /// A kernel that does not reach its per-CPU data as expected.
    #[error("{wanted_by}: expected instructions that load {}{place:#x}, found none", if *segment { "%gs:" } else { "" })]
    Uses {
        /// The place is an offset of `%gs`.
        segment: bool,
        /// Where the member is.
        place: u64,
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
    /// A symbol of a stripped kernel that is not certain.
    #[error("symbol {name} (for {wanted_by}): expected two rules that agree on where it is, found {found}")]
    SymbolDoubtful {
        /// The symbol.
        name: String,
        /// What needs it.
        wanted_by: String,
        /// What speaks for a place.
        found: String,
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
    /// No such struct in the DWARF or the profile.
    #[error("struct {name} (for {wanted_by}): no definition found")]
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
    /// A function that is known to call another one does not.
    #[error("calls to {target} in {caller} (for {wanted_by}): expected at least one, found none")]
    NoCall {
        /// The function called.
        target: String,
        /// The function that should call it.
        caller: String,
        /// What needs the call, or counts on knowing of it.
        wanted_by: String,
    },
    /// A function that is not known to call another one does.
    #[error("calls to {target} in {caller} (for {wanted_by}): expected none, found {}{}", sites.len(), at(sites))]
    UnknownCaller {
        /// The function called.
        target: String,
        /// The function that calls it.
        caller: String,
        /// What has to know every call.
        wanted_by: String,
        /// Where they were found.
        sites: Vec<String>,
    },
    /// A function without an end.
    #[error(
        "end of {function} at {address:#x} (for {wanted_by}): expected a size in .symtab or an entry of .eh_frame, found none"
    )]
    Bounds {
        /// The function.
        function: String,
        /// Where it begins.
        address: u64,
        /// What needs it.
        wanted_by: String,
    },
    /// A place that is not in the file.
    #[error("place {address:#x} (for {wanted_by}): expected {len} bytes of a segment in the file, found none")]
    NoBytes {
        /// Where.
        address: u64,
        /// How many.
        len: u64,
        /// What needs it.
        wanted_by: String,
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
    /// No segment with the code that the machine starts with.
    #[error("boot segment: expected one at its physical address with the entry in it, found none")]
    NoBootSegment,
    /// Not one instruction loads the start of the kernel where its end is loaded.
    #[error(
        "start of the boot data: expected one movabs of {start:#x} (the end of the boot segment) next to that of _end in {by}, found {found}"
    )]
    BootDataStart {
        /// Physical address of the end of the boot segment.
        start: u64,
        /// Where the end is loaded.
        by: String,
        /// How many there are.
        found: usize,
    },
    /// A hooked function is reached past the places that are redirected.
    #[error("{target} (for {wanted_by}): expected no {way}, found {}{}", places.len(), at(places))]
    OtherWay {
        /// The function.
        target: String,
        /// What would miss it.
        wanted_by: String,
        /// How it is reached.
        way: &'static str,
        /// Where.
        places: Vec<String>,
    },
    /// A trap-table entry that nobody has thought about.
    #[error(
        "mach_trap_table[{number}]: expected {expected}, found {found}, which is not known: it may stand in for an RPC"
    )]
    UnknownTrap {
        /// Index.
        number: u32,
        /// What is known to be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A trap table that is not one of whole entries.
    #[error("mach_trap_table: expected entries of {entry} bytes, found {size} bytes in all")]
    TrapTable {
        /// Bytes of the table.
        size: u64,
        /// Bytes of an entry.
        entry: u64,
    },
    /// A function or variable of the kernel that is used as something else than it is.
    #[error("prototype of {name}: expected {expected}, found {found}")]
    Prototype {
        /// Its symbol.
        name: String,
        /// What the payload takes it for.
        expected: String,
        /// What the DWARF says.
        found: String,
    },
    /// A symbol of the kernel that is used and that the table of prototypes does not have.
    #[error("prototype of {name}: expected an entry in PROTOTYPES of payload_abi, found none")]
    NoPrototype {
        /// The symbol.
        name: String,
    },
    /// Symbol table and DWARF differ.
    #[error("place of {name}: expected {expected}, found {found}")]
    Place {
        /// The symbol.
        name: String,
        /// Where the symbol table has it.
        expected: String,
        /// Where something else has it.
        found: String,
    },
    /// A new thread is no whole copy of the template.
    #[error("thread_create: expected one copy of the {expected} bytes of thread_template, found {found}")]
    Template {
        /// Size of struct thread.
        expected: u64,
        /// What is done instead.
        found: String,
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
