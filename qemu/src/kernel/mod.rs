//! Everything that is read from a kernel file: its ELF structure, its DWARF, and the facts the payload asks for.

pub mod code;
pub mod dwarf;
pub mod elf;
pub mod facts;

pub use dwarf::Layouts;
pub use elf::KernelElf;
