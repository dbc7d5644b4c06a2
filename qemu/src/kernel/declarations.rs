// SPDX-License-Identifier: GPL-2.0-or-later
//! What a kernel's source declares, by one door: structs, prototypes, variables.
//!
//! It comes from the kernel's own DWARF, from that of the `-dbg` kernel of the same version, or from a profile that was made of it. Who asks does
//! not learn which: places in the kernel are looked for in its own bytes in all cases.

use std::collections::{HashMap, HashSet};

use crate::error::InstrumentError;
use crate::kernel::dwarf::Layouts;
use crate::kernel::elf::{KernelElf, Told};
use crate::kernel::{Debug, Routines};
use crate::profile::Profile;

/// Where declarations come from.
#[derive(Debug)]
pub enum Declarations<'a> {
    /// DWARF.
    Dwarf {
        /// It, opened.
        debug: Box<Debug<'a>>,
        /// If it is that of another build: where things are in this one, by their addresses there.
        moved: Option<&'a HashMap<u64, (u64, u64)>>,
    },
    /// A profile.
    Profile(&'a Profile),
}

impl<'a> Declarations<'a> {
    /// Those of a kernel.
    pub fn of(kernel: &'a KernelElf) -> Result<Self, InstrumentError> {
        Ok(match kernel.told() {
            None => Self::Dwarf { debug: Box::new(Debug::open(kernel.bytes())?), moved: None },
            Some(Told::Dbg { dbg, moved, .. }) => {
                Self::Dwarf { debug: Box::new(Debug::open(dbg)?), moved: Some(moved) }
            }
            Some(Told::Profile(profile)) => Self::Profile(profile),
        })
    }

    /// The layouts of the structs named in `tags`.
    pub fn layouts(&self, tags: &[&str]) -> Result<Layouts, InstrumentError> {
        match self {
            Self::Dwarf { debug, .. } => Layouts::read(debug, tags),
            Self::Profile(profile) => Ok(profile.layouts(tags)),
        }
    }

    /// What is said of the functions and variables `names`.
    pub fn routines(&self, names: &HashSet<&str>) -> Result<Routines, InstrumentError> {
        match self {
            Self::Dwarf { debug, moved } => {
                let routines = Routines::read(debug, names)?;
                Ok(match moved {
                    Some(moved) => routines.moved(moved),
                    None => routines,
                })
            }
            Self::Profile(profile) => Ok(profile.routines(names)),
        }
    }
}
