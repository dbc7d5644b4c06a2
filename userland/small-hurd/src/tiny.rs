// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs of a few instructions that lie anywhere, with an interpreter or without, for a Hurd whose files a test wants: ELF files as a linker
//! makes them with `-pie`, of one page of code and one of data.

use alloc::vec::Vec;

/// Where code and data are, in the file and from where the program lies.
pub const CODE: u64 = 0x1000;
/// Where the data is, in the file and from where the program lies: two words of 32 bits, the second of which is not in the file.
pub const DATA: u64 = 0x2000;
/// What the first word of the data is in the file, and what [`ANSWERS`] makes the second one.
pub const ASKED: u32 = 7;
/// See [`ASKED`].
pub const ANSWERED: u32 = 42;

/// Makes the second word of the data [`ANSWERED`] and stays where it is.
pub const ANSWERS: &[u8] = &[
    0x48, 0x8d, 0x05, 0xfd, 0x0f, 0x00, 0x00, // lea rax, [rip + DATA + 4 - CODE - 7]
    0xc7, 0x00, 0x2a, 0x00, 0x00, 0x00, // mov dword ptr [rax], 42
    0xeb, 0xfe, // jmp to itself
];

/// Ends its own task: `mach_task_self`, then `task_terminate`, by traps.
pub const ENDS: &[u8] = &[
    0x48, 0xc7, 0xc0, 0xe4, 0xff, 0xff, 0xff, // mov rax, -28
    0x0f, 0x05, // syscall
    0x89, 0xc7, // mov edi, eax
    0x48, 0xc7, 0xc0, 0xbb, 0xff, 0xff, 0xff, // mov rax, -69
    0x0f, 0x05, // syscall
    0x0f, 0x0b, // ud2
];

/// `ET_DYN`, and the kinds of parts: `PT_LOAD`, `PT_INTERP`, `PT_PHDR`, `PT_GNU_STACK`.
const DYN: u16 = 3;
const LOAD: u32 = 1;
const INTERP: u32 = 3;
const PHDR: u32 = 6;
const STACK: u32 = 0x6474_e551;
/// Bytes of the headers, where the name of the interpreter stands, and the size of a page.
const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const NAME: u64 = 0x400;
const PAGE: u64 = 0x1000;

/// A program that begins with `code`; one without is a library. Its interpreter is `interpreter`, if there is a name.
pub fn program(interpreter: Option<&str>, code: &[u8]) -> Vec<u8> {
    let name = interpreter.map_or(0, |name| name.len() as u64 + 1);
    // Type, flags, place, bytes in the file, bytes in memory, alignment.
    let mut parts: Vec<(u32, u32, u64, u64, u64, u64)> = Vec::new();
    if interpreter.is_some() {
        parts.push((PHDR, 4, HEADER, 6 * PROGRAM_HEADER, 6 * PROGRAM_HEADER, 8));
        parts.push((INTERP, 4, NAME, name, name, 1));
    }
    parts.push((LOAD, 4, 0, NAME + name, NAME + name, PAGE));
    parts.push((LOAD, 5, CODE, code.len() as u64, code.len() as u64, PAGE));
    parts.push((LOAD, 6, DATA, 4, 2 * PAGE, PAGE));
    parts.push((STACK, 6, 0, 0, 0, 16));
    let mut file = Vec::from([0x7f, b'E', b'L', b'F', 2, 1, 1]);
    file.resize(16, 0);
    for half in [DYN, 62, 1, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [if code.is_empty() { 0 } else { CODE }, HEADER, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [0, 0, HEADER as u16, PROGRAM_HEADER as u16, parts.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for (kind, flags, place, size, memory, align) in parts {
        file.extend([kind, flags].iter().flat_map(|word| word.to_le_bytes()));
        file.extend([place, place, place, size, memory, align].iter().flat_map(|word| word.to_le_bytes()));
    }
    for (place, bytes) in [
        (NAME, interpreter.unwrap_or("").as_bytes()),
        (CODE, code),
        (DATA, &ASKED.to_le_bytes()[..]),
        (DATA + PAGE, b"\0"),
    ] {
        file.resize(place as usize, 0);
        file.extend(bytes);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::ELIBEXEC;
    use crate::image::Image;

    #[test]
    fn it_is_a_program_that_lies_anywhere() {
        let image = Image::parse(&program(Some("/lib/ld.so"), ANSWERS)).unwrap();
        assert_eq!(image.interpreter.as_deref(), Some(&b"/lib/ld.so"[..]));
        assert_eq!(
            (image.entry, image.span, image.headers),
            (CODE, Some(DATA + 2 * PAGE), Some((HEADER, 6 * PROGRAM_HEADER)))
        );
        let protections: Vec<(u64, i32)> =
            image.regions.iter().map(|region| (region.start, region.protection)).collect();
        assert_eq!(protections, [(0, 1), (CODE, 5), (DATA, 3)]);
        assert_eq!(image.regions[1].data, ANSWERS);
        assert!(!image.is_stack_executable);
        assert_eq!(Image::parse(&program(None, ENDS)).unwrap().interpreter, None);
        assert_eq!(Image::parse(&program(None, &[])), Err(ELIBEXEC));
        // The instruction is 7 bytes long, and its address counts from its end.
        assert_eq!(i32::from_le_bytes([ANSWERS[3], ANSWERS[4], ANSWERS[5], ANSWERS[6]]), (DATA + 4 - CODE - 7) as i32);
    }
}
