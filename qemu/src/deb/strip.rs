// SPDX-License-Identifier: GPL-2.0-or-later
//! A program without what only debuggers read, and with its section headers: the Hurd's exec refuses a file that ends where what it
//! loads ends.

use object::build::elf::{Builder, SectionData};
use object::elf;

/// The program without symbols and debugging information. What is loaded stays where it is.
pub(super) fn strip(program: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: object::build::Error| format!("cannot take its symbols away: {error}");
    let mut builder = Builder::read(program).map_err(failed)?;
    for section in &mut builder.sections {
        // The headers need their names.
        section.delete = !section.is_alloc() && !matches!(section.data, SectionData::SectionString);
    }
    for symbol in &mut builder.symbols {
        symbol.delete = true;
    }
    let mut stripped = Vec::new();
    builder.write(&mut stripped).map_err(failed)?;
    if loaded(program)? != loaded(&stripped)? {
        return Err("without symbols other bytes of it would be loaded".to_owned());
    }
    let end = loaded_end(&stripped)?;
    match end < stripped.len() as u64 {
        true => Ok(stripped),
        false => Err(format!("expected something behind byte {end}, where what is loaded ends, found nothing")),
    }
}

/// Where in the file the last bytes end that are loaded.
fn loaded_end(program: &[u8]) -> Result<u64, String> {
    let builder = Builder::read(program).map_err(|error| format!("damaged ELF file: {error}"))?;
    let segments = builder.segments.iter().filter(|segment| segment.p_type == elf::PT_LOAD);
    Ok(segments.map(|segment| segment.p_offset.saturating_add(segment.p_filesz)).max().unwrap_or_default())
}

/// What of a program comes into memory at one place.
#[derive(PartialEq, Eq)]
struct Loaded {
    address: u64,
    size: u64,
    flags: u32,
    bytes: Vec<u8>,
}

/// What of a program comes into memory.
fn loaded(program: &[u8]) -> Result<Vec<Loaded>, String> {
    let damaged = |error: object::build::Error| format!("damaged ELF file: {error}");
    let builder = Builder::read(program).map_err(damaged)?;
    let segments = builder.segments.iter().filter(|segment| segment.p_type == elf::PT_LOAD);
    segments
        .map(|segment| {
            let start = usize::try_from(segment.p_offset).ok();
            let end = segment.p_offset.checked_add(segment.p_filesz).and_then(|end| usize::try_from(end).ok());
            let bytes = start.zip(end).and_then(|(start, end)| program.get(start..end));
            let bytes = bytes.ok_or_else(|| format!("segment at {:#x} lies outside of the file", segment.p_vaddr))?;
            let mut bytes = bytes.to_vec();
            // The header is loaded with what follows it, and says where the sections are.
            let header = builder.file_header_size().saturating_sub(segment.p_offset as usize).min(bytes.len());
            bytes[..header].fill(0);
            Ok(Loaded { address: segment.p_vaddr, size: segment.p_memsz, flags: segment.p_flags, bytes })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_one_line() {
        for wrong in [&b""[..], b"text", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]] {
            let why = strip(wrong).unwrap_err();
            assert_eq!(why.lines().count(), 1, "{why}");
        }
    }
}
