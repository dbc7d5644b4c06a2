//! From a stock kernel file to the instrumented pair: read, plan, rewrite, verify, write.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::InstrumentError;
use crate::kernel::{KernelElf, elf};
use crate::link::Linker;
use crate::plan::{Plan, Planned};
use crate::{elf32, plan, rewrite, verify};

/// First bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

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
}

/// Reads a kernel file, unpacking it if it is compressed.
pub fn read_kernel(path: &Path) -> Result<Vec<u8>, InstrumentError> {
    let io_error = |source| InstrumentError::Io { what: "read", path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(io_error)?;
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut unpacked).map_err(io_error)?;
    Ok(unpacked)
}

/// Instruments the kernel `bytes` with the payload library and writes the outputs.
pub fn instrument(bytes: Vec<u8>, payload: &Path, linker: &Linker, outputs: &Outputs) -> Result<Plan, InstrumentError> {
    let kernel = KernelElf::parse(bytes)?;
    let planned = plan::plan(&kernel, payload, linker)?;
    let (large, small) = render(&kernel, &planned)?;
    verify::verify(kernel.bytes(), &large, &small, &planned)?;
    write(&outputs.elf64, &large)?;
    write(&outputs.elf32, &small)?;
    write(&outputs.layout, planned.plan.to_string().as_bytes())?;
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
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".rpctrace2-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    io::Write::write_all(&mut file, contents)?;
    file.persist(path)?;
    Ok(())
}
