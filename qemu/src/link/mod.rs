// SPDX-License-Identifier: GPL-2.0-or-later
//! Links the payload library against one kernel with the toolchain's own lld.

mod archive;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use kernel_ipc::ring;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSegment, ObjectSymbol};

pub use archive::{Archive, Needs};

use crate::error::InstrumentError;
use crate::kernel::KernelElf;
use crate::payload_abi;

/// The `rust-lld` of a toolchain.
#[derive(Clone, Debug)]
pub struct Linker {
    path: PathBuf,
    /// Bytes of the machine's recorder.
    recorder: u64,
}

/// Bytes of the machine's recorder if nothing else is asked for.
pub const RECORDER: u64 = 4 << 20;

/// A payload at its final address.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The library it was made from.
    pub archive: PathBuf,
    /// Address of the first byte.
    pub base: u64,
    /// Initialised bytes.
    pub image: Vec<u8>,
    /// Bytes in memory.
    pub memsz: u64,
    symbols: HashMap<String, u64>,
}

impl Linked {
    /// The payload's symbols by address.
    pub fn by_address(&self) -> std::collections::BTreeMap<u64, String> {
        self.symbols.iter().map(|(name, &address)| (address, name.clone())).collect()
    }

    /// Address of a symbol of the payload.
    pub fn symbol(&self, name: &str) -> Result<u64, InstrumentError> {
        self.symbols.get(name).copied().ok_or_else(|| InstrumentError::Payload {
            path: self.archive.clone(),
            why: format!("the linked payload lost {name}"),
        })
    }
}

/// What the kernel and the boot archive need besides a recorder at least, as tried: 128 MiB boot with 16M and not with 32M.
const BESIDES: u64 = 100 << 20;

/// Refuses a recorder that none can be, or that a machine with so many MiB of memory has no room for.
///
/// # Errors
/// What is wrong with that size.
pub fn recorder_fits(bytes: u64, memory: u32) -> Result<(), String> {
    if !is_size(bytes) {
        return Err(format!("--recorder: expected {}, found {bytes} bytes", sizes()));
    }
    let needed = (bytes + BESIDES) >> 20;
    match needed > u64::from(memory) {
        true => Err(format!(
            "--recorder: {}M needs a machine of {needed} MiB, found {memory}: a larger one by --memory MIB before the verb",
            bytes >> 20
        )),
        false => Ok(()),
    }
}

fn is_size(bytes: u64) -> bool {
    bytes.is_power_of_two() && (ring::MIN_CAPACITY as u64..=ring::MAX_CAPACITY as u64).contains(&bytes)
}

fn sizes() -> String {
    format!("a power of two from {}K to {}M", ring::MIN_CAPACITY >> 10, ring::MAX_CAPACITY >> 20)
}

impl Linker {
    /// The linker that came with the `rustc` in use.
    pub fn find() -> io::Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(&rustc).args(["--print", "sysroot"]).output()?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Self::in_sysroot(&sysroot)
    }

    /// The linker of the toolchain in `sysroot`.
    pub fn in_sysroot(sysroot: &Path) -> io::Result<Self> {
        let targets = sysroot.join("lib/rustlib");
        for entry in fs::read_dir(&targets)? {
            let path = entry?.path().join("bin/rust-lld");
            if path.is_file() {
                return Ok(Self { path, recorder: RECORDER });
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("no rust-lld under {}", targets.display())))
    }

    /// This linker, for payloads with so many bytes for the machine's recorder: 0 for none, else a power of two.
    ///
    /// # Errors
    /// What is wrong with that size.
    pub fn with_recorder(self, bytes: u64) -> Result<Self, String> {
        match is_size(bytes) || bytes == 0 {
            true => Ok(Self { recorder: bytes, ..self }),
            false => Err(format!("a recorder of {bytes} bytes: expected 0 or {}", sizes())),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Links `archive` at `base` with the symbols of `kernel` and the `defined` ones, keeping `roots`.
    pub fn link(
        &self,
        archive: &Path,
        kernel: &KernelElf,
        base: u64,
        roots: &[&str],
        defined: &[(&str, u64)],
    ) -> Result<Linked, InstrumentError> {
        let io_error = |what, path: &Path| {
            let path = path.to_owned();
            move |source| InstrumentError::Io { what, path, source }
        };
        let dir = tempfile::tempdir().map_err(io_error("write", &env::temp_dir()))?;
        let stock = dir.path().join("kernel");
        let script = dir.path().join("payload.ld");
        let output = dir.path().join("payload");
        let (how, symbols) = symbols_of(kernel);
        fs::write(&stock, symbols).map_err(io_error("write", &stock))?;
        fs::write(&script, script_text(base, roots, self.recorder)).map_err(io_error("write", &script))?;
        let mut command = Command::new(&self.path);
        command
            .args(["-flavor", "gnu", "-m", "elf_x86_64", "-static", "-nostdlib", "--gc-sections", "--omagic"])
            .args(["--no-dynamic-linker", "--orphan-handling=error", "-z", "norelro", "--build-id=none"])
            .args(defined.iter().map(|(name, value)| format!("--defsym={name}={value:#x}")))
            .arg("-T")
            .arg(&script)
            .args(how)
            .arg(format!("{}{}", if how.is_empty() { "@" } else { "" }, stock.display()))
            .arg("-o")
            .arg(&output)
            .arg(archive);
        let run = command.output().map_err(io_error("run", &self.path))?;
        if !run.status.success() {
            return Err(InstrumentError::Link {
                command: format!("{command:?}"),
                output: String::from_utf8_lossy(&run.stderr).into_owned(),
            });
        }
        let linked = fs::read(&output).map_err(io_error("read", &output))?;
        read_linked(&linked, archive, base, kernel)
    }
}

/// The symbols of a kernel that other files know, for the linker: its own file, or, of a stripped one, options.
fn symbols_of(kernel: &KernelElf) -> (&'static [&'static str], Vec<u8>) {
    if !kernel.is_stripped() {
        return (&["--just-symbols"], kernel.bytes().to_vec());
    }
    let known = kernel.symbols().iter().filter(|symbol| symbol.global);
    let options: String = known.map(|symbol| format!("--defsym={}={:#x}\n", symbol.name, symbol.address)).collect();
    (&[], options.into_bytes())
}

/// One segment with code, constants, data, bss and the machine's recorder in this order, so that everything but the last two is in the file.
fn script_text(base: u64, roots: &[&str], recorder: u64) -> String {
    let mut text = String::new();
    let room = if recorder == 0 { 0 } else { recorder + ring::HEADER_SIZE as u64 };
    let (begin, end) = (payload_abi::RING_SYMBOL, payload_abi::RING_END_SYMBOL);
    for root in roots {
        let _ = writeln!(text, "EXTERN({root})");
    }
    let _ = write!(
        text,
        "PHDRS {{ payload PT_LOAD FLAGS(7); }}
SECTIONS {{
  . = {base:#x};
  .payload : {{
    *(.rpctrace2.slots)
    *(.rpctrace2.switches)
    *(.text .text.*)
    . = ALIGN(64);
    *(.rodata .rodata.*)
    . = ALIGN(64);
    *(.got .got.*)
    *(.data .data.*)
    . = ALIGN(8);
  }} :payload
  .payload_bss : {{ *(.bss .bss.*) *(COMMON) }} :payload
  .payload_ring (NOLOAD) : {{ . = ALIGN(4096); {begin} = .; . += {room:#x}; {end} = .; }} :payload
  .comment 0 : {{ *(.comment) }}
  .symtab 0 : {{ *(.symtab) }}
  .shstrtab 0 : {{ *(.shstrtab) }}
  .strtab 0 : {{ *(.strtab) }}
  /DISCARD/ : {{ *(.eh_frame .eh_frame_hdr .note .note.* .debug_* .llvm_addrsig .gcc_except_table .gcc_except_table.*) }}
}}
"
    );
    text
}

fn read_linked(bytes: &[u8], archive: &Path, base: u64, kernel: &KernelElf) -> Result<Linked, InstrumentError> {
    let refuse = |why: String| InstrumentError::Payload { path: archive.to_owned(), why };
    let file = ElfFile64::<LittleEndian>::parse(bytes).map_err(|error| refuse(error.to_string()))?;
    let mut segments = file.segments();
    let (Some(segment), None) = (segments.next(), segments.next()) else {
        return Err(refuse("the linked payload does not have exactly one segment".to_owned()));
    };
    if segment.address() != base {
        return Err(refuse(format!("linked at {:#x}, expected {base:#x}", segment.address())));
    }
    let image = segment.data().map_err(|error| refuse(error.to_string()))?.to_vec();
    let symbols = file
        .symbols()
        .filter(|symbol| symbol.address() >= base && !symbol.is_undefined())
        .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address())))
        .filter(|(name, _)| !kernel.exports(name))
        .collect();
    Ok(Linked { archive: archive.to_owned(), base, image, memsz: segment.size(), symbols })
}
