// SPDX-License-Identifier: GPL-2.0-or-later
//! An ELF64 program, taken and refused as the Hurd's exec server does (its exec/exec.c).

use alloc::vec::Vec;
use core::ops::Range;

use mach_abi::KernReturn;

use crate::errno::{ELIBEXEC, ENOEXEC, Errno};

/// Size of a page.
const PAGE: u64 = 4096;
/// The end of a task's space.
const SPACE_END: u64 = 0x8000_0000_0000;

/// Bytes of the file's header.
const HEADER: usize = 64;
/// Bytes of a program header.
const PROGRAM_HEADER: usize = 56;

/// What the header of an x86-64 program has: the magic, 64 bits, little-endian, version 1.
const IDENT: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, 1, 1];
/// `ET_REL` and `ET_DYN`: they may lie anywhere. Every other kind lies where it says.
const ANYWHERE: [u16; 2] = [1, 3];
/// `EM_X86_64`.
const MACHINE: u16 = 62;

/// `PT_LOAD`.
const LOAD: u32 = 1;
/// `PT_INTERP`.
const INTERPRETER: u32 = 3;
/// `PT_GNU_STACK`.
const STACK: u32 = 0x6474_e551;

/// A program that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it starts.
    pub entry: u64,
    /// Its pages, in the order of its program headers.
    pub regions: Vec<Region>,
    /// Where its program headers lie in memory, if they do, and their size.
    pub headers: Option<(u64, u64)>,
    /// From the first to the end of the last executable byte.
    pub code: Range<u64>,
    /// Whether its stack may be executed.
    pub is_stack_executable: bool,
    /// If it may lie anywhere, how many bytes from address 0 to the end of its last part: all addresses count from where it will lie.
    pub span: Option<u64>,
    /// The name of the file that is started in its place.
    pub interpreter: Option<Vec<u8>>,
}

/// Pages with one protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first page.
    pub start: u64,
    /// Bytes, a multiple of the page size.
    pub size: u64,
    /// What they begin with; the rest is zero.
    pub data: Vec<u8>,
    /// `VM_PROT_READ` 1, `VM_PROT_WRITE` 2, `VM_PROT_EXECUTE` 4.
    pub protection: i32,
}

impl Region {
    const fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// The numbers of a program header that matter.
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl ProgramHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at| number(bytes, at).map(u64::from_le_bytes);
        Some(Self {
            kind: number(bytes, 0).map(u32::from_le_bytes)?,
            flags: number(bytes, 4).map(u32::from_le_bytes)?,
            offset: word(8)?,
            address: word(16)?,
            file_size: word(32)?,
            memory_size: word(40)?,
            align: word(48)?,
        })
    }

    /// The name that it leads to: it is looked for where the alignment says, and ends with a NUL.
    fn name(&self, file: &[u8]) -> Option<Vec<u8>> {
        let start = usize::try_from(self.offset & !self.align.wrapping_sub(1)).ok()?;
        let bytes = file.get(start..start.checked_add(usize::try_from(self.file_size).ok()?)?)?;
        bytes.split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
    }

    const fn protection(&self) -> i32 {
        (self.flags >> 2 & 1 | self.flags & 2 | (self.flags & 1) << 2) as i32
    }
}

impl Image {
    /// Reads a program.
    ///
    /// # Errors
    /// `ENOEXEC` for what is none, or whose last loaded byte is the file's last; `ELIBEXEC` for a library, which has no entry;
    /// `KERN_NO_SPACE` if its parts lie over each other.
    pub fn parse(file: &[u8]) -> Result<Self, Errno> {
        let headers = Self::headers(file).ok_or(ENOEXEC)?;
        if headers.entry == 0 { Err(ELIBEXEC) } else { headers.load(file) }
    }

    /// This program as it lies with its address 0 at `base`; nothing if its end is not in a task's space.
    pub fn at(mut self, base: u64) -> Option<Self> {
        let to = |address: u64| address.checked_add(base);
        self.entry = to(self.entry)?;
        self.code = to(self.code.start)?..to(self.code.end)?;
        self.headers = match self.headers {
            Some((place, size)) => Some((to(place)?, size)),
            None => None,
        };
        for region in &mut self.regions {
            region.start = to(region.start)?;
        }
        let is_inside =
            |region: &Region| region.start.checked_add(region.size).is_some_and(|end| end <= SPACE_END - PAGE);
        self.regions.iter().all(is_inside).then_some(self)
    }

    /// Checks the file's header and reads its program headers.
    fn headers(file: &[u8]) -> Option<Headers> {
        let header = file.get(..HEADER)?;
        let half = |at| number(header, at).map(u16::from_le_bytes);
        let word = |at| number(header, at).map(u64::from_le_bytes);
        let is_sound = header.starts_with(&IDENT)
            && half(18)? == MACHINE
            && number(header, 20).map(u32::from_le_bytes)? == 1
            && usize::from(half(52)?) >= HEADER
            && usize::from(half(54)?) == PROGRAM_HEADER;
        if !is_sound {
            return None;
        }
        let place = word(32)?;
        let start = usize::try_from(place).ok()?;
        let size = usize::from(half(56)?) * PROGRAM_HEADER;
        let table = file.get(start..start.checked_add(size)?)?;
        let list: Option<Vec<_>> = table.chunks_exact(PROGRAM_HEADER).map(ProgramHeader::read).collect();
        let is_anywhere = ANYWHERE.contains(&half(16)?);
        Some(Headers { entry: word(24)?, place, size: size as u64, list: list?, is_anywhere })
    }
}

/// Where the last byte of a file is followed that is loaded of it: a file that ends there is refused.
pub fn end_of_loaded(file: &[u8]) -> Option<usize> {
    let parts = Image::headers(file)?.list.into_iter().filter(|header| header.kind == LOAD);
    let end = parts.map(|header| header.offset.saturating_add(header.file_size)).max()?;
    usize::try_from(end).ok().filter(|end| *end <= file.len())
}

/// What a file's headers say.
struct Headers {
    entry: u64,
    place: u64,
    size: u64,
    list: Vec<ProgramHeader>,
    is_anywhere: bool,
}

impl Headers {
    fn load(&self, file: &[u8]) -> Result<Image, Errno> {
        let mut image = Image {
            entry: self.entry,
            regions: Vec::new(),
            headers: None,
            code: 0..0,
            is_stack_executable: true,
            span: self.is_anywhere.then_some(0),
            interpreter: None,
        };
        for header in &self.list {
            match header.kind {
                INTERPRETER => image.interpreter = Some(header.name(file).ok_or(ENOEXEC)?),
                STACK => image.is_stack_executable = header.flags & 1 != 0,
                LOAD => {
                    self.load_part(header, file, &mut image)?;
                    // The last one's end, and not the greatest: so it is there.
                    image.span = image.span.map(|_| header.address.saturating_add(header.memory_size));
                }
                _ => {}
            }
        }
        Ok(image)
    }

    fn load_part(&self, header: &ProgramHeader, file: &[u8], image: &mut Image) -> Result<(), Errno> {
        let end = header.offset.checked_add(header.file_size).ok_or(ENOEXEC)?;
        // At least one byte has to follow.
        if file.len() as u64 <= end || !header.align.is_power_of_two() {
            return Err(ENOEXEC);
        }
        if image.headers.is_none()
            && header.offset < header.align
            && header.offset <= self.place
            && self.place - header.offset < header.file_size
        {
            image.headers = Some((self.place - header.offset + header.address, self.size));
        }
        // What stands before it up to its alignment comes along.
        let before = header.address & (header.align - 1);
        let start = header.address - before;
        let size = header.memory_size.checked_add(before).filter(|size| *size != 0);
        let Some(size) = size else { return Ok(()) };
        let first = header.offset & !(header.align - 1);
        let data = &file[first as usize..end as usize];
        let top = start.checked_add(size.max(data.len() as u64)).filter(|top| *top <= SPACE_END - PAGE);
        let top = top.ok_or(KernReturn::KERN_NO_SPACE)?;
        if header.protection() & 4 != 0 {
            let code = &mut image.code;
            *code = if code.is_empty() { start..top } else { code.start.min(start)..code.end.max(top) };
        }
        place(&mut image.regions, start, top, data, header.protection())
    }
}

/// Puts the bytes of one part into its pages. Its first page may be the last one of another part, whose protection it keeps.
fn place(regions: &mut Vec<Region>, start: u64, top: u64, data: &[u8], protection: i32) -> Result<(), Errno> {
    let mut page = start & !(PAGE - 1);
    let mut lead = (start - page) as usize;
    let mut data = data;
    let top = top.next_multiple_of(PAGE);
    if let Some(shared) = regions.iter_mut().find(|region| (region.start..region.end()).contains(&page)) {
        if shared.end() != page + PAGE {
            return Err(KernReturn::KERN_NO_SPACE);
        }
        let at = (page - shared.start) as usize + lead;
        let (here, rest) = data.split_at(data.len().min(PAGE as usize - lead));
        if shared.data.len() < at + here.len() {
            shared.data.resize(at + here.len(), 0);
        }
        shared.data[at..at + here.len()].copy_from_slice(here);
        data = rest;
        page += PAGE;
        lead = 0;
    }
    if page >= top {
        return Ok(());
    }
    if regions.iter().any(|region| region.start < top && page < region.end()) {
        return Err(KernReturn::KERN_NO_SPACE);
    }
    let mut bytes = alloc::vec![0; lead];
    bytes.extend_from_slice(data);
    regions.push(Region { start: page, size: top - page, data: bytes, protection });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    type Header = (u32, u32, u64, u64, u64, u64, u64);

    /// An ELF header and program headers (type, flags, offset, address, file size, memory size, alignment), then bytes 0xcc up to 0x400.
    fn program(headers: &[Header]) -> Vec<u8> {
        let mut file = IDENT.to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend(0x20_0110u64.to_le_bytes());
        file.extend(64u64.to_le_bytes());
        file.extend([0; 12]);
        for half in [64u16, 56, headers.len() as u16, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        for &(kind, flags, offset, address, file_size, memory_size, align) in headers {
            file.extend(kind.to_le_bytes());
            file.extend(flags.to_le_bytes());
            for word in [offset, address, address, file_size, memory_size, align] {
                file.extend(word.to_le_bytes());
            }
        }
        file.resize(0x400, 0xcc);
        file
    }

    const TEXT: Header = (LOAD, 5, 0, 0x20_0000, 0x200, 0x200, 0x1000);

    #[test]
    fn a_program_is_laid_out() {
        let image = Image::parse(&program(&[
            TEXT,
            (LOAD, 6, 0x200, 0x20_1200, 0x80, 0x2000, 0x1000),
            (STACK, 6, 0, 0, 0, 0, 0),
        ]));
        let image = image.unwrap();
        assert_eq!(
            (image.entry, image.headers, image.code.clone()),
            (0x20_0110, Some((0x20_0040, 168)), 0x20_0000..0x20_0200)
        );
        assert!(!image.is_stack_executable);
        let [text, data] = &image.regions[..] else { panic!("{image:?}") };
        assert_eq!((text.start, text.size, text.data.len(), text.protection), (0x20_0000, 0x1000, 0x200, 5));
        assert_eq!((data.start, data.size, data.data.len(), data.protection), (0x20_1000, 0x3000, 0x280, 3));
    }

    #[test]
    fn parts_may_share_a_page() {
        let image = Image::parse(&program(&[TEXT, (LOAD, 6, 0x280, 0x20_0280, 0x80, 0x1000, 8)])).unwrap();
        let [text, data] = &image.regions[..] else { panic!("{image:?}") };
        assert_eq!((text.size, text.data.len(), text.protection), (0x1000, 0x300, 5));
        assert_eq!((data.start, data.size, data.data.len(), data.protection), (0x20_1000, 0x1000, 0, 3));
        assert!(image.is_stack_executable, "nothing says otherwise");
    }

    #[test]
    fn what_the_exec_server_refuses_is_refused() {
        let good = program(&[TEXT]);
        assert!(Image::parse(&good).is_ok());
        for (offset, value) in [(0, 0), (4, 1), (5, 2), (6, 0), (18, 3), (20, 2), (52, 63), (54, 55), (56, 200)] {
            let mut file = good.clone();
            file[offset] = value;
            assert_eq!(Image::parse(&file), Err(ENOEXEC), "byte {offset}");
        }
        for length in 0..=0x200 {
            assert_eq!(Image::parse(&good[..length]), Err(ENOEXEC), "{length} bytes");
        }
        assert!(Image::parse(&good[..0x201]).is_ok(), "one byte follows");
        assert_eq!((end_of_loaded(&good), end_of_loaded(b"#!")), (Some(0x200), None));
        for header in
            [(INTERPRETER, 4, 0x3f9, 0, 8, 8, 1), (LOAD, 4, 0, 0x20_0000, 8, 8, 0), (LOAD, 4, 0, 0x20_0000, 8, 8, 3)]
        {
            assert_eq!(Image::parse(&program(&[header])), Err(ENOEXEC), "{header:?}");
        }
        let over = program(&[TEXT, (LOAD, 4, 0, 0x1f_f000, 0x10, 0x3000, 0x1000)]);
        assert_eq!(Image::parse(&over), Err(KernReturn::KERN_NO_SPACE));
        let high = program(&[(LOAD, 4, 0, u64::MAX - 0xfff, 0x10, 0x10, 0x1000)]);
        assert_eq!(Image::parse(&high), Err(KernReturn::KERN_NO_SPACE));
    }

    #[test]
    fn what_may_lie_anywhere_lies_where_it_is_put() {
        let mut file =
            program(&[(LOAD, 5, 0, 0, 0x200, 0x200, 0x1000), (LOAD, 6, 0x200, 0x1200, 0x80, 0x2000, 0x1000)]);
        file[16] = 3;
        file[24..32].copy_from_slice(&0x110u64.to_le_bytes());
        let image = Image::parse(&file).unwrap();
        assert_eq!((image.span, image.entry, image.headers), (Some(0x3200), 0x110, Some((0x40, 112))));
        let placed = image.clone().at(0x1_0000_0000).unwrap();
        assert_eq!((placed.entry, placed.headers), (0x1_0000_0110, Some((0x1_0000_0040, 112))));
        assert_eq!(placed.code, 0x1_0000_0000..0x1_0000_0200);
        assert_eq!(
            placed.regions.iter().map(|region| region.start).collect::<Vec<_>>(),
            [0x1_0000_0000, 0x1_0000_1000]
        );
        assert_eq!((image.clone().at(u64::MAX - 0x1000), image.at(SPACE_END - 0x1000)), (None, None));
        file[24..32].fill(0);
        assert_eq!(Image::parse(&file), Err(ELIBEXEC));
        assert_eq!(Image::parse(&program(&[TEXT])).unwrap().span, None);
    }

    #[test]
    fn an_interpreter_is_named() {
        let mut file = program(&[TEXT, (INTERPRETER, 4, 0x305, 0, 8, 8, 1), (STACK, 6, 0, 0, 0, 0, 0)]);
        file[0x305..0x30d].copy_from_slice(b"/ld.so\0x");
        assert_eq!(Image::parse(&file).unwrap().interpreter.as_deref(), Some(&b"/ld.so"[..]));
        // An alignment leads elsewhere.
        file[64 + 56 + 48] = 8;
        file[0x300..0x306].copy_from_slice(b"/other");
        assert_eq!(Image::parse(&file).unwrap().interpreter.as_deref(), Some(&b"/otherld"[..]));
    }

    #[test]
    fn no_damaged_file_panics() {
        let file = program(&[TEXT, (LOAD, 6, 0x200, 0x20_1200, 0x80, 0x2000, 0x1000)]);
        for offset in 0..0xb0 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[offset] = value;
                drop(Image::parse(&damaged).map(|image| image.at(0x1_0000_0000)));
            }
        }
        assert_eq!(vec![Err(ENOEXEC)], [Image::parse(b"")]);
    }
}
