// SPDX-License-Identifier: GPL-2.0-or-later
//! The boot archive: programs, the command, the decode tables, as a ustar file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};
use protocol::archive::HOST_NAME;

/// Why a host file cannot be a program of the archive.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("cannot read program {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is something else.
    #[error("program {}: expected a static x86-64 GNU Mach ELF file, found {found}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
}

/// What goes into an archive.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    members: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// Adds or replaces a member.
    pub fn add(&mut self, name: impl Into<String>, contents: Vec<u8>) {
        self.members.insert(name.into(), contents);
    }

    /// Adds a program under its own name.
    pub fn add_program(&mut self, name: &str, contents: Vec<u8>) {
        self.add(format!("{}{name}", protocol::archive::PROGRAMS), contents);
    }

    /// Names of the programs.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.members.keys().filter_map(|name| name.strip_prefix(protocol::archive::PROGRAMS))
    }

    /// The ustar file. The same members give the same bytes.
    pub fn to_ustar(&self) -> io::Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, contents) in &self.members {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(0o755);
            header.set_mtime(0);
            builder.append_data(&mut header, name, &**contents)?;
        }
        builder.into_inner()
    }
}

/// Reads a program of the host, refusing what GNU Mach cannot start without a dynamic linker. Answers how an argument vector names it,
/// and its bytes; it can be called anything.
pub fn host_program(path: &Path) -> Result<(String, Vec<u8>), ProgramError> {
    let contents = fs::read(path).map_err(|source| ProgramError::Io { path: path.to_owned(), source })?;
    if let Some(found) = unfit(&contents) {
        return Err(ProgramError::Wrong { path: path.to_owned(), found });
    }
    let name = path.file_name().unwrap_or(OsStr::new("program")).to_string_lossy();
    Ok((format!("{HOST_NAME}{name}"), contents))
}

/// What is wrong with a program, if anything is.
fn unfit(contents: &[u8]) -> Option<String> {
    if !contents.starts_with(&elf::ELFMAG) {
        return Some("no ELF file".to_owned());
    }
    let Ok(header) = elf::FileHeader64::<LittleEndian>::parse(contents) else {
        return Some("an ELF file that is not 64-bit little-endian".to_owned());
    };
    let machine = header.e_machine(LittleEndian);
    if machine != elf::EM_X86_64 {
        return Some(format!("an ELF file for machine {machine}"));
    }
    let kind = header.e_type(LittleEndian);
    if kind != elf::ET_EXEC && kind != elf::ET_DYN {
        return Some(format!("an ELF file of type {kind}"));
    }
    let Ok(segments) = header.program_headers(LittleEndian, contents) else {
        return Some("an ELF file without program headers".to_owned());
    };
    let interpreted = segments.iter().any(|segment| segment.p_type(LittleEndian) == elf::PT_INTERP);
    interpreted.then(|| "a dynamically linked one (it asks for an interpreter)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minimal ELF64 file with one program header.
    fn program(machine: u16, segment: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', elf::ELFCLASS64, elf::ELFDATA2LSB, 1]);
        file[16..18].copy_from_slice(&elf::ET_EXEC.to_le_bytes());
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[52..54].copy_from_slice(&64u16.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&1u16.to_le_bytes());
        file[64..68].copy_from_slice(&segment.to_le_bytes());
        file
    }

    #[test]
    fn only_static_x86_64_programs_are_taken() {
        assert_eq!(unfit(&program(elf::EM_X86_64, elf::PT_LOAD)), None);
        assert_eq!(unfit(b"#!/bin/sh\n").unwrap(), "no ELF file");
        assert_eq!(unfit(&program(elf::EM_AARCH64, elf::PT_LOAD)).unwrap(), "an ELF file for machine 183");
        let dynamic = unfit(&program(elf::EM_X86_64, elf::PT_INTERP)).unwrap();
        assert!(dynamic.contains("dynamically linked"), "{dynamic}");
        let mut small = program(elf::EM_X86_64, elf::PT_LOAD);
        small[4] = elf::ELFCLASS32;
        assert!(unfit(&small).unwrap().contains("not 64-bit"));
    }

    #[test]
    fn a_program_of_the_host_can_be_called_anything() {
        let place = tempfile::tempdir().unwrap();
        for name in ["n".repeat(200), "rpctrace2".into(), "shell".into(), "-x".into(), "a b".into()] {
            let path = place.path().join(&name);
            fs::write(&path, program(elf::EM_X86_64, elf::PT_LOAD)).unwrap();
            assert_eq!(host_program(&path).unwrap().0, format!("./{name}"));
        }
    }

    #[test]
    fn the_archive_holds_what_was_added_and_is_the_same_each_time() {
        let mut archive = Archive::default();
        archive.add_program("hello", b"ELF".to_vec());
        archive.add(protocol::archive::COMMAND, b"hello\0".to_vec());
        let bytes = archive.to_ustar().unwrap();
        assert_eq!(bytes, archive.to_ustar().unwrap());
        assert_eq!(&bytes[257..262], b"ustar");
        let mut reader = tar::Archive::new(&*bytes);
        let members: Vec<(String, u64)> = reader
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().to_string_lossy().into_owned(), entry.size())
            })
            .collect();
        assert_eq!(members, [("etc/command".to_owned(), 6), ("programs/hello".to_owned(), 3)]);
        assert_eq!(archive.programs().collect::<Vec<_>>(), ["hello"]);
    }
}
