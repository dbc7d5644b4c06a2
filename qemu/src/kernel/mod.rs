// SPDX-License-Identifier: GPL-2.0-or-later
//! Everything that is read from a kernel file: its ELF structure, its DWARF, and the facts the payload asks for.

pub mod bounds;
pub mod code;
pub mod debug;
pub mod declarations;
pub mod dwarf;
pub mod elf;
pub mod facts;
mod headers;
pub mod references;
pub mod routines;

pub use bounds::bounds;
pub use debug::Debug;
pub use declarations::Declarations;
pub use dwarf::Layouts;
pub use elf::{KernelElf, Symbol};
pub use references::References;
pub use routines::Routines;
