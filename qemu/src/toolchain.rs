// SPDX-License-Identifier: GPL-2.0-or-later
//! The Rust toolchain in use, and a `core` and `alloc` for the guest's target: found, added by rustup, or built once.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::fetch::apt::run;
use crate::fetch::{AptRoot, FetchError, packages, programs};
use crate::ui::{Progress, say};

/// The target of everything that runs in the guest.
pub const TARGET: &str = "x86_64-unknown-none";

/// Chooses the way to get `core`, for tests: `sysroot`, `rustup` or `build`.
pub const VARIABLE: &str = "RPCTRACE2_CORE";

/// Suites that may have the source of the installed `rustc`.
const SOURCE_SUITES: [&str; 2] = ["trixie", "trixie-backports"];

/// Why there is no `core` for the guest.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// `rustc` does not answer.
    #[error(transparent)]
    Rustc(#[from] FetchError),
    /// No way worked.
    #[error(
        "no core library of rustc {version} for {TARGET}:{}\n  easiest remedy: rustup target add {TARGET}",
        tried.iter().map(|line| format!("\n  {line}")).collect::<String>()
    )]
    NoCore {
        /// The compiler's version.
        version: String,
        /// What was tried, and why it failed.
        tried: Vec<String>,
    },
    /// A path that cargo cannot take.
    #[error("the cache directory {} has a space in its name, which cargo's RUSTFLAGS cannot express: set {}", .0.display(), crate::cache::VARIABLE)]
    Space(PathBuf),
    /// A file of the cache.
    #[error("cache: {0}")]
    Io(#[from] std::io::Error),
}

/// A Rust toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// `rustc --print sysroot`.
    pub sysroot: PathBuf,
    /// Such as `1.95.0`.
    pub version: String,
    /// The host's target triple.
    pub host: String,
    /// Everything `rustc -vV` says, to tell two builds of one version apart.
    pub verbose: String,
}

/// Where the guest's `core` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Core {
    /// In the toolchain.
    Toolchain,
    /// In a sysroot of our own.
    Private(PathBuf),
}

impl Toolchain {
    /// The toolchain that `rustc` belongs to.
    pub fn find() -> Result<Self, ToolchainError> {
        let sysroot = run(rustc().args(["--print", "sysroot"]))?;
        let verbose = String::from_utf8_lossy(&run(rustc().arg("-vV"))?.stdout).into_owned();
        let field = |name: &str| {
            verbose.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
        };
        Ok(Self {
            sysroot: String::from_utf8_lossy(&sysroot.stdout).trim().into(),
            version: field("release"),
            host: field("host"),
            verbose,
        })
    }

    /// A `core` for [`TARGET`] that is there already.
    pub fn existing_core(&self, cache: &Cache) -> Option<Core> {
        let private = self.private_sysroot(cache);
        if has_core(&self.sysroot) {
            return Some(Core::Toolchain);
        }
        has_core(&private).then_some(Core::Private(private))
    }

    /// Finds or makes a `core` for [`TARGET`].
    pub fn core(&self, cache: &Cache, progress: &Progress) -> Result<Core, ToolchainError> {
        let only = env::var(VARIABLE).ok().filter(|way| !way.is_empty());
        let allowed = |way: &str| only.as_deref().is_none_or(|only| only == way);
        let mut tried = Vec::new();
        if allowed("sysroot") {
            if has_core(&self.sysroot) {
                return Ok(Core::Toolchain);
            }
            tried.push(format!("toolchain in {}: has none", self.sysroot.display()));
        }
        let private = self.private_sysroot(cache);
        if allowed("build") && has_core(&private) {
            return Ok(Core::Private(private));
        }
        if allowed("rustup") {
            match self.rustup(progress) {
                Ok(()) => return Ok(Core::Toolchain),
                Err(why) => tried.push(format!("rustup target add {TARGET}: {why}")),
            }
        }
        if allowed("build") {
            match self.build(cache, progress) {
                Ok(sysroot) => return Ok(Core::Private(sysroot)),
                Err(error) => tried.push(format!("building it from source: {error}")),
            }
        }
        if let Some(way) = only.filter(|way| !["sysroot", "rustup", "build"].contains(&way.as_str())) {
            tried.push(format!("{VARIABLE}: expected sysroot, rustup or build, found {way}"));
        }
        Err(ToolchainError::NoCore { version: self.version.clone(), tried })
    }

    /// Flags for guest code, to be given to cargo in `CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS`.
    pub fn guest_flags(&self, core: &Core) -> Result<String, ToolchainError> {
        let flags = "-C relocation-model=static";
        match core {
            Core::Toolchain => Ok(flags.to_owned()),
            Core::Private(path) => match path.to_str().filter(|path| !path.contains(char::is_whitespace)) {
                Some(path) => Ok(format!("{flags} --sysroot={path}")),
                None => Err(ToolchainError::Space(path.clone())),
            },
        }
    }

    fn private_sysroot(&self, cache: &Cache) -> PathBuf {
        cache.path(self.private_name())
    }

    fn private_name(&self) -> String {
        let build = crate::plan::sha256(self.verbose.as_bytes());
        format!("sysroot-{}-{}", self.version, &build[..8])
    }

    fn rustup(&self, progress: &Progress) -> Result<(), String> {
        let rustup = programs::find("rustup").ok_or("there is no rustup")?;
        progress.note(&format!("adding the target {TARGET} with rustup"));
        run(Command::new(rustup).args(["target", "add", TARGET])).map_err(|error| error.to_string())?;
        if has_core(&self.sysroot) {
            return Ok(());
        }
        Err(format!("it added the target to another toolchain than {}", self.sysroot.display()))
    }

    fn build(&self, cache: &Cache, progress: &Progress) -> Result<PathBuf, ToolchainError> {
        let library = self.library_source(cache, progress)?;
        progress.note(&format!("building core for {TARGET} from {} (once, 1-3 minutes)", library.display()));
        cache.directory(&self.private_name(), |sysroot| {
            let work = tempfile::tempdir_in(cache.root())?;
            build_std(work.path(), &library)?;
            let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
            fs::create_dir_all(&libraries)?;
            for entry in fs::read_dir(work.path().join("target").join(TARGET).join("release/deps"))? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                // The empty crate itself is the only other one.
                if name.ends_with(".rlib") && !name.starts_with("libempty") {
                    fs::copy(&path, libraries.join(name))?;
                }
            }
            // rustc looks for rust-lld below its host's directory.
            let tools = Path::new("lib/rustlib").join(&self.host);
            std::os::unix::fs::symlink(self.sysroot.join(&tools), sysroot.join(&tools))?;
            Ok::<(), ToolchainError>(())
        })
    }

    /// The source of exactly this compiler's library: rustup's component, the system's package, or Debian's.
    fn library_source(&self, cache: &Cache, progress: &Progress) -> Result<PathBuf, ToolchainError> {
        let installed = [
            self.sysroot.join("lib/rustlib/src/rust/library"),
            PathBuf::from(format!("/usr/src/rustc-{}/library", self.version)),
        ];
        if let Some(found) = installed.into_iter().find(|path| path.join("core/src/lib.rs").is_file()) {
            return Ok(found);
        }
        let inside = format!("usr/src/rustc-{}/library", self.version);
        if let Some(package) = packages::fetched(cache, "rust-src")
            && package.root.join(&inside).is_dir()
        {
            return Ok(package.root.join(inside));
        }
        progress.note(&format!("fetching the source of the Rust {} library (45 MB, once)", self.version));
        let apt = AptRoot::create(cache, &SOURCE_SUITES)?;
        apt.update(|line| progress.suspend(|| say(line)))?;
        let versions = apt.versions("rust-src")?;
        let version = matching(&versions, &self.version).ok_or_else(|| FetchError::Version {
            package: "rust-src".to_owned(),
            wanted: self.version.clone(),
            found: versions.join(", "),
        })?;
        let package = packages::unpack(cache, &apt, "rust-src", version)?;
        Ok(package.root.join(inside))
    }
}

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// The cargo in use.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The user's flags are meant for the host and would replace those of the target; the rest belongs to the outer cargo.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}

fn has_core(sysroot: &Path) -> bool {
    let Ok(entries) = fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib")) else { return false };
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let has = |library: &str| names.iter().any(|name| name.starts_with(library) && name.ends_with(".rlib"));
    has("libcore-") && has("liballoc-") && has("libcompiler_builtins-")
}

/// The first package version that is of exactly the wanted upstream version.
fn matching<'a>(versions: &'a [String], wanted: &str) -> Option<&'a String> {
    versions.iter().find(|version| version.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(['+', '-', '~'])))
}

/// Builds `core`, `compiler_builtins` and `alloc` for the guest in `work`.
fn build_std(work: &Path, library: &Path) -> Result<(), ToolchainError> {
    fs::create_dir(work.join("src"))?;
    fs::write(work.join("src/lib.rs"), "#![no_std]\n")?;
    let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(work.join("Cargo.toml"), manifest)?;
    let mut command = cargo();
    command
        .args(["build", "--release", "--target", TARGET, "-Zbuild-std=core,compiler_builtins,alloc"])
        // memcpy and its family have no other home in the guest.
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .current_dir(work)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        .env("CARGO_TARGET_DIR", work.join("target"))
        // Bitcode lets the guest's link-time optimisation see into the library, as in rustup's own build of it.
        .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS", "-C relocation-model=static -C embed-bitcode=yes");
    run(&mut command)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_version_matches() {
        let versions = ["1.95.10+dfsg1-1", "1.95.0+dfsg1-2~bpo13+1", "1.85.0+dfsg3-1"].map(str::to_owned);
        assert_eq!(matching(&versions, "1.95.0").map(String::as_str), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(matching(&versions, "1.95.1"), None);
        assert_eq!(matching(&versions, "1.8"), None);
    }

    #[test]
    fn a_sysroot_without_all_three_libraries_is_none() {
        let sysroot = tempfile::tempdir().unwrap();
        assert!(!has_core(sysroot.path()));
        let libraries = sysroot.path().join("lib/rustlib").join(TARGET).join("lib");
        fs::create_dir_all(&libraries).unwrap();
        for (library, whole) in
            [("libcore-1.rlib", false), ("liballoc-1.rlib", false), ("libcompiler_builtins-1.rlib", true)]
        {
            fs::write(libraries.join(library), "").unwrap();
            assert_eq!(has_core(sysroot.path()), whole, "after {library}");
        }
    }

    #[test]
    fn a_space_in_the_private_sysroot_is_refused() {
        let toolchain = Toolchain {
            sysroot: "/sysroot".into(),
            version: "1.95.0".to_owned(),
            host: "host".to_owned(),
            verbose: String::new(),
        };
        assert!(toolchain.guest_flags(&Core::Private("/a b".into())).is_err());
        let flags = toolchain.guest_flags(&Core::Private("/cache/sysroot".into())).unwrap();
        assert_eq!(flags, "-C relocation-model=static --sysroot=/cache/sysroot");
    }
}
