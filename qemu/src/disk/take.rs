// SPDX-License-Identifier: GPL-2.0-or-later
//! Takes the kernel and the modules of an entry out of an image, as GRUB would load them.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::disk::error::{DiskError, Problem};
use crate::disk::files::Disk;
use crate::disk::grub::{Load, Loads, Menu, menu};

/// First bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Most bytes of a kernel, and of a module, unpacked.
const KERNEL: u64 = 64 << 20;
const MODULE: u64 = 512 << 20;

/// What GRUB would boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The entry's title.
    pub title: String,
    /// The kernel's file, as GRUB calls it.
    pub file: String,
    /// The name of that file alone.
    pub name: String,
    /// The kernel, unpacked.
    pub kernel: Vec<u8>,
    /// The kernel's command line.
    pub words: Vec<u8>,
    /// The line of the configuration that loads it.
    pub line: usize,
    /// The modules in their order.
    pub modules: Vec<Module>,
}

/// One multiboot module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The line of the configuration that loads it.
    pub line: usize,
    /// Its text for the kernel, which begins with its name.
    pub text: Vec<u8>,
    /// Its bytes, unpacked.
    pub contents: Vec<u8>,
}

/// What the entry of the menu boots that `choice` names, else the default one.
pub fn find(disk: &mut Disk, choice: Option<&str>) -> Result<Found, DiskError> {
    let path = disk.path.clone();
    read(disk, choice).map_err(|problem| problem.of(&path))
}

fn read(disk: &mut Disk, choice: Option<&str>) -> Result<Found, Problem> {
    let (device, text) = disk.menu()?;
    let shown: Menu<'_> = menu(&text, &device, disk)?;
    let titles = shown.titles();
    let Some(loads) = shown.entry(choice)? else {
        let wanted = choice.map_or_else(|| "an entry".to_owned(), |choice| format!("an entry `{choice}`"));
        let found = if titles.is_empty() { "none".to_owned() } else { titles.join(", ") };
        return Err(Problem::NoEntry { wanted, found });
    };
    let Loads { title, kernel, modules, other } = loads;
    let Some(kernel) = kernel else {
        let found = other.map_or_else(|| "none".to_owned(), |(command, line)| format!("`{command}` in line {line}"));
        return Err(Problem::NoMultiboot { title, found });
    };
    let modules = modules.iter().map(|load| {
        let contents = contents(disk, load, MODULE)?;
        Ok(Module { line: load.line, text: load.text(), contents })
    });
    let path = &kernel.file.path;
    let name = path.rsplit(|byte| *byte == b'/').find(|name| !name.is_empty()).unwrap_or(b"kernel");
    Ok(Found {
        title,
        file: kernel.file.to_string(),
        name: String::from_utf8_lossy(name).into_owned(),
        kernel: contents(disk, &kernel, KERNEL)?,
        words: kernel.text(),
        line: kernel.line,
        modules: modules.collect::<Result<_, Problem>>()?,
    })
}

/// A file as GRUB loads it: unpacked, unless the line says otherwise.
fn contents(disk: &Disk, load: &Load, most: u64) -> Result<Vec<u8>, Problem> {
    let refuse = |why: String| Problem::File { file: load.file.to_string(), line: load.line, why };
    let bytes = disk.contents(&load.file, most).map_err(refuse)?;
    if load.is_raw || !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(&*bytes).take(most + 1).read_to_end(&mut unpacked);
    let size = read.map_err(|error| refuse(format!("cannot unpack it: {error}")))?;
    match size as u64 > most {
        true => Err(refuse(format!("expected at most {most} bytes unpacked, found more"))),
        false => Ok(unpacked),
    }
}
