// SPDX-License-Identifier: GPL-2.0-or-later
//! From a stock kernel file to the instrumented pair: read, plan, rewrite, verify, write.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rpctrace2::host::outputs::{Clash, Role, keep_apart};
use tempfile::NamedTempFile;

use crate::error::InstrumentError;
use crate::kernel::{KernelElf, elf};
use crate::link::Linker;
use crate::plan::{Plan, Planned, sha256};
use crate::profile::{self, Profile};
use crate::stripped::Naming;
use crate::{elf32, plan, rewrite, together, verify};

/// First bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What files are that are read: a kernel, and who has its names.
pub const KERNEL: &str = "the kernel that is read";
/// See [`KERNEL`].
pub const NAMES: &str = "the file with the kernel's names that is read";

/// The files of one instrumented kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// For GRUB.
    pub elf64: PathBuf,
    /// For QEMU's `-kernel`.
    pub elf32: PathBuf,
    /// The plan as text.
    pub layout: PathBuf,
}

impl Outputs {
    /// The names that go with `out`.
    pub fn beside(out: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = OsString::from(out);
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { elf64: out.to_owned(), elf32: with(".elf32"), layout: with(".layout") }
    }

    /// Refuses to write onto a file that is read, under whatever name.
    pub fn keep(&self, inputs: &[Role<'_>]) -> Result<(), Clash> {
        let mut all = [&self.elf64, &self.elf32, &self.layout].into_iter();
        all.try_for_each(|path| keep_apart(&[Role { role: "an output", path }], inputs))
    }
}

/// No kernel is larger, packed or not: those with all their debugging information have four megabytes.
const MAX_KERNEL: u64 = 64 << 20;

/// Reads a kernel file, unpacking it if it is compressed.
pub fn read_kernel(path: &Path) -> Result<Vec<u8>, InstrumentError> {
    let io_error = |source| InstrumentError::Io { what: "read", path: path.to_owned(), source };
    // Before it is opened, which may wait for ever.
    let kind = fs::metadata(path).map_err(io_error)?.file_type();
    if !kind.is_file() {
        let kind = if kind.is_dir() { "a directory" } else { "a device, pipe or socket" };
        return Err(InstrumentError::NoFile { path: path.to_owned(), kind });
    }
    let bytes = read_all(fs::File::open(path).map_err(io_error)?, path)?;
    match bytes.starts_with(&GZIP) {
        true => read_all(flate2::read::GzDecoder::new(&*bytes), path),
        false => Ok(bytes),
    }
}

fn read_all(from: impl Read, path: &Path) -> Result<Vec<u8>, InstrumentError> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_KERNEL + 1).read_to_end(&mut bytes);
    let size = read.map_err(|source| InstrumentError::Io { what: "read", path: path.to_owned(), source })?;
    match size as u64 > MAX_KERNEL {
        true => Err(InstrumentError::TooLarge { path: path.to_owned(), most: MAX_KERNEL }),
        false => Ok(bytes),
    }
}

/// Reads a kernel. One without symbols is read by `names`: a profile, or the `-dbg` kernel of its version, of which it then says what speaks for
/// each name; without `names` by the profile of it in qemu/profiles, if there is one.
pub fn open(path: &Path, names: Option<&Path>) -> Result<(KernelElf, Option<Naming>), InstrumentError> {
    let bytes = read_kernel(path)?;
    let stripped = match KernelElf::parse(bytes.clone()) {
        Err(stripped @ InstrumentError::Stripped { .. }) => stripped,
        kernel => return Ok((kernel?, None)),
    };
    let known = || profile::find(&profile::folder(), &sha256(&bytes));
    let names = names.map(Path::to_owned).or_else(known).ok_or(stripped)?;
    if profile::is_one(&names) {
        return Ok((KernelElf::parse_profiled(bytes, Profile::read(&names)?)?, None));
    }
    let (kernel, naming) = KernelElf::parse_stripped(bytes, &KernelElf::parse(read_kernel(&names)?)?)?;
    Ok((kernel, Some(naming)))
}

/// Instruments the kernel `bytes` with the payload library and writes the outputs.
pub fn instrument(bytes: Vec<u8>, payload: &Path, linker: &Linker, outputs: &Outputs) -> Result<Plan, InstrumentError> {
    instrument_kernel(&KernelElf::parse(bytes)?, payload, linker, outputs)
}

/// Instruments a kernel with the payload library and writes the outputs.
pub fn instrument_kernel(
    kernel: &KernelElf,
    payload: &Path,
    linker: &Linker,
    outputs: &Outputs,
) -> Result<Plan, InstrumentError> {
    let planned = plan::plan(kernel, payload, linker)?;
    let (large, small) = render(kernel, &planned)?;
    verify::verify(kernel.bytes(), &large, &small, &planned)?;
    let layout = planned.plan.to_string();
    // Where the first one is, the other two are.
    let files = [(&outputs.elf64, &*large), (&outputs.elf32, &*small), (&outputs.layout, layout.as_bytes())];
    together::write(&files.map(|(path, contents)| (path.as_path(), contents)))?;
    Ok(planned.plan)
}

/// Both files of an instrumented kernel, in memory.
pub fn render(kernel: &KernelElf, planned: &Planned) -> Result<(Vec<u8>, Vec<u8>), InstrumentError> {
    let large = rewrite::elf64(kernel.bytes(), planned)?;
    let mut segments = planned.plan.kernel_segments.clone();
    segments.push(planned.plan.payload.clone());
    let small = elf32::wrap(&large, &segments, planned.plan.entry)?;
    Ok((large, small))
}

/// The ELF32 form of a kernel that is booted as it is; nothing is asked of it but that it can be loaded.
pub fn stock_elf32(bytes: &[u8]) -> Result<Vec<u8>, InstrumentError> {
    let (segments, entry) = elf::loadable(bytes)?;
    elf32::wrap(bytes, &segments, entry)
}

/// Writes a file under a temporary name, then renames it.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), InstrumentError> {
    let io_error = |source| InstrumentError::Io { what: "write", path: path.to_owned(), source };
    write_atomically(path, contents).map_err(io_error)
}

/// Writes a file under a temporary name in the same directory, then renames it.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    temporary(path, contents)?.persist(path)?;
    Ok(())
}

/// A file with these contents under a temporary name in the directory of `path`.
pub(crate) fn temporary(path: &Path, contents: &[u8]) -> io::Result<NamedTempFile> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".rpctrace2-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    io::Write::write_all(&mut file, contents)?;
    Ok(file)
}
