// SPDX-License-Identifier: GPL-2.0-or-later
//! Profiles: what a kernel without symbols does not say itself, as a text file of a few kilobytes.
//!
//! **What.** Names with their places, prototypes, and the members of structs that the payload asks for, as they were found once by the `-dbg`
//! kernel of the same version (`cargo qemu profile`, [`crate::stripped`]). With one the `-dbg` kernel is not needed any more. Those of
//! Debian's kernels are in qemu/profiles; which one is a kernel's is known by the SHA-256 of the kernel.
//!
//! **Place in the flow.** file -> [`text`] -> [`Profile`] -> [`crate::kernel::Declarations`] -> [`crate::plan`].
//!
//! **Invariants.** A profile is another kernel's, damaged, or whole: its last line is the sum of the others. What it says of places is held
//! against the kernel ([`Profile::symbols_in`]), and every place that is changed, every count and caller is looked for in the kernel as if there
//! were no profile.
//!
//! **Start reading at** [`Profile::of`].

mod held;
mod made;
mod text;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::InstrumentError;
use crate::guest::workspace;
use crate::kernel::Routines;
use crate::kernel::dwarf::{Layout, Layouts};
use crate::kernel::routines::{Routine, Variable};
use crate::payload_abi::Value;

/// What every profile begins with; a number follows.
pub const MAGIC: &str = "rpctrace2 profile ";

/// How the names of files end that are profiles.
pub const SUFFIX: &str = "profile";

/// No profile is larger: those of Debian's kernels have 13 KB.
const MAX_SIZE: u64 = 1 << 20;

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function of which the kernel's `.eh_frame` knows where it begins and ends.
    Function,
    /// Other code.
    Label,
    /// A variable.
    Data,
}

/// What is declared of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nothing that anybody asks for.
    Nothing,
    /// The prototype of a function.
    Prototype {
        /// What it gives back.
        result: Value,
        /// What it takes.
        parameters: Vec<Value>,
        /// It takes more after these.
        variadic: bool,
    },
    /// What a variable holds.
    Type(Value),
}

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What stands there.
    pub kind: Kind,
    /// Visible to other object files.
    pub global: bool,
    /// Where.
    pub address: u64,
    /// Bytes, 0 if nobody knows.
    pub size: u64,
    /// What is declared of it.
    pub says: Says,
}

/// What a kernel without symbols does not say itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The file, for messages.
    pub path: PathBuf,
    /// The kernel's version.
    pub version: String,
    /// SHA-256 of the kernel, not compressed.
    pub kernel: String,
    /// Whether it is for several processors.
    pub is_for_several: bool,
    /// By name.
    pub symbols: BTreeMap<String, Named>,
    /// By tag, with the members alone that are asked for.
    pub structs: BTreeMap<String, Layout>,
}

/// The folder with the profiles of Debian's kernels, and of those that the user has made one for.
pub fn folder() -> PathBuf {
    workspace().join("qemu/profiles")
}

/// The profile in `folder` that is for the kernel with this SHA-256.
pub fn find(folder: &Path, kernel: &str) -> Option<PathBuf> {
    let line = format!("kernel {kernel}");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|file| Some(file.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == SUFFIX));
    files.sort();
    // One that is damaged elsewhere is found, and then refused with the place.
    files.into_iter().find(|file| {
        let bytes = fs::read(file).unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').any(|found| found == line.as_bytes())
    })
}

/// Whether the file is meant to be a profile, damaged or not.
pub fn is_one(path: &Path) -> bool {
    let mut begin = [0; MAGIC.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    path.extension().is_some_and(|suffix| suffix == SUFFIX) || read.is_ok() && begin == *MAGIC.as_bytes()
}

impl Profile {
    /// Reads a file.
    ///
    /// # Errors
    /// With the line, what was expected there and what is there instead.
    pub fn read(path: &Path) -> Result<Self, InstrumentError> {
        let io_error = |source| InstrumentError::Io { what: "read", path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(io_error)?;
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(io_error)?;
        if bytes.len() as u64 > MAX_SIZE {
            let why = format!("expected at most {MAX_SIZE} bytes, found more");
            return Err(InstrumentError::Profile { path: path.to_owned(), why });
        }
        Self::parse(path, &bytes)
    }

    /// The layouts that it has of `tags`.
    pub fn layouts(&self, tags: &[&str]) -> Layouts {
        Layouts::of(tags.iter().filter_map(|tag| self.structs.get(*tag)).cloned())
    }

    /// What it says of `names`, as if it had been read from DWARF.
    pub fn routines(&self, names: &HashSet<&str>) -> Routines {
        let (mut routines, mut variables) = (HashMap::new(), HashMap::new());
        for (name, named) in self.symbols.iter().filter(|(name, _)| names.contains(name.as_str())) {
            if named.kind == Kind::Data {
                let value = if let Says::Type(value) = named.says { Some(value) } else { None };
                variables.insert(name.clone(), vec![Variable { address: named.address, value, die: None }]);
                continue;
            }
            let mut routine = Routine { external: named.global, ..Routine::default() };
            routine.code = (named.kind == Kind::Function).then_some((named.address, named.size));
            if let Says::Prototype { result, parameters, variadic } = &named.says {
                routine.prototype = Some((Some(*result), parameters.iter().copied().map(Some).collect()));
                (routine.external, routine.variadic) = (true, *variadic);
            }
            routines.insert(name.clone(), vec![routine]);
        }
        Routines::of(routines, variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_by_the_kernel_it_is_for() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, kernel: &str| fs::write(place.path().join(name), format!("x\nkernel {kernel}\n"));
        write("a.profile", "1").unwrap();
        write("b.profile", "2").unwrap();
        write("c.text", "3").unwrap();
        assert_eq!(find(place.path(), "2"), Some(place.path().join("b.profile")));
        assert_eq!(find(place.path(), "3"), None);
        assert_eq!(find(&place.path().join("none"), "1"), None);
    }

    #[test]
    fn what_is_meant_to_be_a_profile_is_told_from_kernels() {
        let place = tempfile::tempdir().unwrap();
        let is = |name: &str, contents: &str| {
            let path = place.path().join(name);
            fs::write(&path, contents).unwrap();
            is_one(&path)
        };
        assert!(is("a", "rpctrace2 profile 7\n") && is("b.profile", ""));
        assert!(!is("c", "\x7fELF") && !is("d.gz", "rpctrace2") && !is_one(Path::new("/no/such/file")));
    }
}
