// SPDX-License-Identifier: GPL-2.0-or-later
//! Brings everything a run needs together, each part made only if it is missing or stale.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::time::Duration;

use anyhow::{Context, Result};
use protocol::archive::{COMMAND, ENVIRONMENT, INTERFACES, join_arguments};
use protocol::channel::{KEY_LENGTH, Key};
use tempfile::TempDir;

use crate::archive::Archive;
use crate::cache::Cache;
use crate::fetch;
use crate::fetch::packages::{self, DEV, Flavour, Package};
use crate::fetch::programs::{self, Consent};
use crate::guest::{self, Builder, Userland};
use crate::instrument::{self, Outputs};
use crate::link::Linker;
use crate::payload_abi;
use crate::plan::sha256;
use crate::profile;
use crate::stubs::{self, Generated};
use crate::toolchain::Toolchain;
use crate::ui::Progress;
use crate::vm::{Interrupt, Limits, Machine, command};

/// What the user chose about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// A kernel file instead of Debian's.
    pub kernel: Option<PathBuf>,
    /// The `-dbg` kernel or the profile that has the names of one without symbols.
    pub dbg: Option<PathBuf>,
    /// Debian's kernel that is built for debugging, with symbols, instead of the one that people boot.
    pub debug: bool,
    /// The Debian suite of the kernel.
    pub suite: String,
    /// Which of its kernels.
    pub flavour: Flavour,
    /// Processors of the machine.
    pub processors: u32,
    /// Boot the kernel as it is.
    pub stock: bool,
    /// A feature of the payload's package, for test builds.
    pub payload_feature: Option<String>,
    /// Memory in MiB.
    pub memory: u32,
    /// Use KVM.
    pub kvm: bool,
    /// Count instructions instead of time.
    pub icount: bool,
    /// Time limit.
    pub timeout: Option<Duration>,
    /// Interfaces.
    pub interfaces: Interfaces,
    /// The environment of the programs, `NAME=VALUE` each.
    pub environment: Vec<String>,
    /// What may be installed.
    pub consent: Consent,
    /// Further words of the kernel's command line.
    pub words: String,
    /// The file that is to be the machine's memory.
    pub memory_file: Option<PathBuf>,
    /// Bytes of the machine's recorder in an instrumented kernel.
    pub recorder: u64,
}

/// What the traces are decoded with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Directories with more interfaces, the last one winning.
    pub directories: Vec<PathBuf>,
    /// These alone, without the built-in ones.
    pub nostdinc: bool,
    /// The program is the user's own: the interfaces of ours are not its.
    pub host_program: bool,
}

/// A machine that is ready to boot.
#[derive(Debug)]
pub struct Prepared {
    /// The machine.
    pub machine: Machine,
    /// Bounds of its run.
    pub limits: Limits,
    /// How many processors the kernel does not use, if that can be told.
    pub unused_processors: u32,
    kernel: PathBuf,
    userland: Userland,
    environment: Vec<String>,
    tables: Vec<u8>,
}

/// Everything that is made by compiling.
#[derive(Debug)]
pub struct Built {
    /// The `.defs` include directory.
    pub defs: PathBuf,
    /// Directory of all products.
    pub target: PathBuf,
    /// The builder of guest code.
    pub builder: Builder,
    /// Generated files.
    pub generated: Generated,
}

/// Whether the stock kernel for several processors boots hangs on how much is loaded with it, to the page, and comes round with so many bytes
/// (docs/differences.md): so the archive's length is the same in them, whatever a program and its arguments are.
const ARCHIVE_UNIT: usize = 512 * 1024;

/// How much longer the archive is than whole [`ARCHIVE_UNIT`]s: with nothing more it is by one page that it does not boot.
const ARCHIVE_REST: usize = ARCHIVE_UNIT / 2;

/// The steps of [`prepare`], for the progress bar.
const STEPS: u64 = 7;

/// Makes a machine ready.
pub fn prepare(choices: &Choices) -> Result<Prepared> {
    let mut progress = Progress::new(STEPS);
    progress.step("looking for QEMU");
    let qemu = programs::qemu(choices.consent, &progress)?;
    let built = build(&mut progress)?;
    let tables = tables(&choices.interfaces, &built)?;
    progress.step("building the guest's programs");
    let userland = built.builder.userland()?;
    let stock = stock(choices, &progress)?;
    let kernel = if choices.stock {
        progress.step("wrapping the stock kernel for QEMU");
        stock_kernel(&stock.file, &built.target)?
    } else {
        progress.step("building the payload and instrumenting the kernel");
        let payload = match &choices.payload_feature {
            Some(feature) => built.builder.payload_with(feature)?,
            None => built.builder.payload()?,
        };
        instrumented_kernel(&stock, &payload, choices.recorder, &built.target)?
    };
    let machine = Machine {
        processors: choices.processors,
        kvm: choices.kvm,
        icount: choices.icount,
        key: random_key().context("reading /dev/urandom")?,
        words: choices.words.clone(),
        memory_file: choices.memory_file.clone(),
        ..Machine::plain(qemu, choices.memory)
    };
    let limits = Limits { time: choices.timeout, interrupt: Interrupt::default() };
    let environment = choices.environment.clone();
    let unused_processors = unused_processors(&stock, choices.processors);
    Ok(Prepared { machine, limits, unused_processors, kernel, userland, environment, tables })
}

fn unused_processors(stock: &Stock, processors: u32) -> u32 {
    if processors == 1 {
        return 0;
    }
    // What is no kernel is refused by who needs more of it.
    let kernel = instrument::open(&stock.file, stock.names.as_deref()).ok();
    let for_several = kernel.and_then(|(kernel, _)| kernel.is_for_several()).unwrap_or(true);
    if for_several { 0 } else { processors - 1 }
}

/// A key for the console's marks that no program knows.
fn random_key() -> io::Result<Key> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut source = fs::File::open("/dev/urandom")?;
    loop {
        let mut key = [0; KEY_LENGTH];
        source.read_exact(&mut key)?;
        // Some have to be drawn again: they begin like another mark.
        if let Some(key) = Key::new(&key.map(|byte| LETTERS[usize::from(byte) % LETTERS.len()])) {
            return Ok(key);
        }
    }
}

/// What traces are decoded with where nothing is booted.
pub fn decode_tables(choices: &Choices, progress: &mut Progress) -> Result<Vec<u8>> {
    tables(&choices.interfaces, &build(progress)?)
}

/// The decode tables of a run.
fn tables(interfaces: &Interfaces, built: &Built) -> Result<Vec<u8>> {
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let mut builtin = match interfaces.nostdinc {
        true => mig_defs::interfaces::without_routines(),
        false => read(&built.generated.tables)?,
    };
    if !interfaces.nostdinc && !interfaces.host_program {
        builtin.extend(read(&built.generated.demonstrations)?);
    }
    Ok(mig_defs::interfaces::with_directories(&interfaces.directories, from_ref(&built.defs), &builtin)?)
}

/// A kernel file, and the profile or the `-dbg` kernel that has its names, should it have none.
#[derive(Clone, Debug)]
pub struct Stock {
    /// The kernel.
    pub file: PathBuf,
    /// Who has its names.
    pub names: Option<PathBuf>,
}

/// The kernel file the user named, or Debian's, fetched if it is not there yet. The `-dbg` kernel is fetched only if it is the one that is wanted, or
/// if there is no profile for the other.
pub fn stock(choices: &Choices, progress: &Progress) -> Result<Stock> {
    let profile = |file: &Path| -> Result<Option<PathBuf>> {
        Ok(profile::find(&profile::folder(), &sha256(&instrument::read_kernel(file)?)))
    };
    if let Some(file) = &choices.kernel {
        let names = if choices.dbg.is_some() { choices.dbg.clone() } else { profile(file)? };
        return Ok(Stock { file: file.clone(), names });
    }
    let cache = Cache::open().context("opening the cache")?;
    if choices.debug {
        let package = packages::fetch_kernel(&cache, &choices.suite, choices.flavour, progress)?;
        return Ok(Stock { file: packages::kernel_file(&package), names: None });
    }
    let package = packages::fetch_production(&cache, &choices.suite, choices.flavour, progress)?;
    let file = packages::kernel_file(&package);
    let names = profile(&file)?;
    if names.is_some() || choices.stock {
        return Ok(Stock { file, names });
    }
    progress
        .note(&format!("{} {} has no profile: its names are found by its -dbg kernel", package.name, package.version));
    let names = Some(packages::kernel_file(&debug_kernel(choices, &package, progress)?));
    Ok(Stock { file, names })
}

/// The file of the `-dbg` kernel that has the names of Debian's kernel which people boot.
pub fn debug_kernel_file(choices: &Choices, progress: &Progress) -> Result<PathBuf> {
    let cache = Cache::open().context("opening the cache")?;
    let production = packages::fetch_production(&cache, &choices.suite, choices.flavour, progress)?;
    Ok(packages::kernel_file(&debug_kernel(choices, &production, progress)?))
}

/// The `-dbg` kernel of the version of `production`.
pub fn debug_kernel(choices: &Choices, production: &Package, progress: &Progress) -> Result<Package> {
    let cache = Cache::open().context("opening the cache")?;
    let package = packages::fetch_kernel(&cache, &choices.suite, choices.flavour, progress)?;
    if package.version != production.version {
        let Package { name, version, root } = &package;
        let (other, wanted) = (&production.name, &production.version);
        anyhow::bail!(
            "{name}: expected version {wanted}, as of {other}, found {version} in the cache; remove the older one of {} and {}",
            root.display(),
            production.root.display()
        );
    }
    Ok(package)
}

/// Fetches, finds `core`, and generates stubs.
pub fn build(progress: &mut Progress) -> Result<Built> {
    let cache = Cache::open().context("opening the cache")?;
    progress.step("looking for Debian's interface files");
    let found = fetch::fetch(&cache, &[DEV], progress)?;
    let [dev] = &found[..] else { anyhow::bail!("{DEV} is not in the cache after it was fetched") };
    progress.step("looking for a core library for the guest");
    let toolchain = Toolchain::find()?;
    let core = toolchain.core(&cache, progress)?;
    progress.step("generating RPC stubs and decode tables");
    let workspace = guest::workspace();
    let target = guest::target_directory(&workspace);
    let defs = packages::defs_directory(dev);
    let generated = stubs::generate(&defs, &workspace, &target)?;
    let builder = Builder::new(&workspace, &target, &toolchain.guest_flags(&core)?, &generated.stubs);
    Ok(Built { defs, target, builder, generated })
}

/// The stock kernel file that `choices` name, and its instrumented forms.
pub fn instrumented(choices: &Choices, built: &Built, progress: &Progress) -> Result<(PathBuf, Outputs)> {
    let stock = stock(choices, progress)?;
    let payload = built.builder.payload()?;
    let elf32 = instrumented_kernel(&stock, &payload, choices.recorder, &built.target)?;
    Ok((stock.file, Outputs::beside(&elf32.with_extension(""))))
}

/// The instrumented form of `stock` for QEMU, made anew only for a new pair of kernel and payload, or for another who has its names.
fn instrumented_kernel(stock: &Stock, payload: &Path, recorder: u64, target: &Path) -> Result<PathBuf> {
    let linker = Linker::find()?.with_recorder(recorder).map_err(anyhow::Error::msg)?;
    let Stock { file, names } = stock;
    let bytes = instrument::read_kernel(file)?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let (library, names_of) = (read(payload)?, names.as_deref().map(read).transpose()?.unwrap_or_default());
    let key = [sha256(&bytes), sha256(&names_of), sha256(&library), recorder.to_string(), tool_state()].join(" ");
    let key = sha256(key.as_bytes());
    let kernels = Cache::at(target);
    let directory = kernels.directory(&format!("kernels/{}", &key[..16]), |place| -> Result<()> {
        let outputs = Outputs::beside(&place.join("kernel"));
        let what = || format!("instrumenting {}", file.display());
        let (kernel, _) = instrument::open(file, names.as_deref()).with_context(what)?;
        instrument::instrument_kernel(&kernel, payload, &linker, &outputs).with_context(what)?;
        Ok(())
    })?;
    Ok(Outputs::beside(&directory.join("kernel")).elf32)
}

/// Changes with the tool itself, whose decisions are in its outputs.
fn tool_state() -> String {
    let exe = std::env::current_exe().and_then(fs::metadata);
    let modified = exe.ok().and_then(|meta| meta.modified().ok());
    format!("{} {modified:?}", payload_abi::VERSION)
}

fn stock_kernel(stock: &Path, target: &Path) -> Result<PathBuf> {
    let bytes = instrument::read_kernel(stock)?;
    let out = target.join(format!("stock-{}.elf32", &sha256(&bytes)[..16]));
    if !out.is_file() {
        instrument::write(&out, &instrument::stock_elf32(&bytes)?)?;
    }
    Ok(out)
}

impl Prepared {
    /// The kernel as a boot loader takes it, which stands beside the form for QEMU's own loader.
    pub fn elf64(&self) -> PathBuf {
        self.kernel.with_extension("")
    }

    /// The kernel as QEMU's own loader takes it.
    pub fn elf32(&self) -> &Path {
        &self.kernel
    }

    /// What the instrumented kernel's layout says.
    pub fn layout(&self) -> Result<String> {
        let layout = Outputs::beside(&self.elf64()).layout;
        fs::read_to_string(&layout).with_context(|| format!("reading {}", layout.display()))
    }

    /// What the traces are decoded with.
    pub fn tables(&self) -> &[u8] {
        &self.tables
    }

    /// The file of a program of the archive.
    pub fn program(&self, name: &str) -> Option<&Path> {
        self.userland.programs.iter().find(|program| program.name == name).map(|program| program.path.as_path())
    }

    /// Names of the programs in the archive.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.userland.programs.iter().map(|program| program.name.as_str())
    }

    /// The directory QEMU runs in: kernel, boot server, and an archive with these members besides its own, such as the user's own program, that
    /// runs `arguments`.
    pub fn boot_directory(&self, arguments: &[String], members: &[(&str, Vec<u8>)]) -> Result<TempDir> {
        let mut archive = Archive::default();
        let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
        for program in &self.userland.programs {
            archive.add_program(&program.name, read(&program.path)?);
        }
        for (name, contents) in members {
            archive.add(*name, contents.clone());
        }
        if !self.environment.is_empty() {
            let environment = join_arguments(&self.environment).map_err(|error| anyhow::anyhow!("-E: {error}"))?;
            archive.add(ENVIRONMENT, environment);
        }
        archive.add(INTERFACES, self.tables.clone());
        archive.add(COMMAND, join_arguments(arguments).map_err(|error| anyhow::anyhow!("{error}"))?);
        self.write_boot_files(&archive).context("writing the boot files")
    }

    fn write_boot_files(&self, archive: &Archive) -> io::Result<TempDir> {
        let directory = tempfile::Builder::new().prefix("rpctrace2-").tempdir()?;
        let place = |name: &str| directory.path().join(name);
        let mut bytes = archive.to_ustar()?;
        bytes.resize(bytes.len().next_multiple_of(ARCHIVE_UNIT) + ARCHIVE_REST, 0);
        fs::write(place(command::ARCHIVE), bytes)?;
        fs::copy(&self.kernel, place(command::KERNEL))?;
        fs::copy(&self.userland.bootstrap, place(command::BOOTSTRAP))?;
        Ok(directory)
    }
}
