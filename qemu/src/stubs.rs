// SPDX-License-Identifier: GPL-2.0-or-later
//! Generates the guest's RPC stubs and decode tables from the fetched `.defs` files and our own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mach_abi::Format;
use mig_defs::annotations::Annotations;
use mig_defs::codegen::{self, Context};
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::model::Model;
use mig_defs::source::{Disk, SourceMap};

/// Which stub of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    User,
    Server,
}

/// Stub file, `.defs` file, side; userland/mach/src/stubs.rs, userland/hurd/src/stubs.rs, userland/small-hurd/src/stubs.rs and
/// userland/programs include them under these names.
const STUBS: [(&str, &str, Side); 39] = [
    ("mach.rs", "mach/mach.defs", Side::User),
    ("mach_port.rs", "mach/mach_port.defs", Side::User),
    ("mach_host.rs", "mach/mach_host.defs", Side::User),
    ("gnumach.rs", "mach/gnumach.defs", Side::User),
    ("mach4.rs", "mach/mach4.defs", Side::User),
    ("mach_debug.rs", "mach_debug/mach_debug.defs", Side::User),
    ("device.rs", "device/device.defs", Side::User),
    ("device_request.rs", "device/device_request.defs", Side::User),
    ("device_reply_server.rs", "device/device_reply.defs", Side::Server),
    ("boot.rs", BOOT_DEFS, Side::User),
    ("boot_server.rs", BOOT_DEFS, Side::Server),
    ("exc_server.rs", "mach/exc.defs", Side::Server),
    ("notify_server.rs", "mach/notify.defs", Side::Server),
    ("trace_control.rs", TRACE_CONTROL_DEFS, Side::User),
    ("ping.rs", PING_DEFS, Side::User),
    ("ping_server.rs", PING_DEFS, Side::Server),
    ("exec_startup.rs", "userland/hurd/defs/exec_startup.defs", Side::User),
    ("exec_startup_server.rs", "userland/hurd/defs/exec_startup.defs", Side::Server),
    ("exec.rs", "userland/hurd/defs/exec.defs", Side::User),
    ("exec_server.rs", "userland/hurd/defs/exec.defs", Side::Server),
    ("fs.rs", "userland/hurd/defs/fs.defs", Side::User),
    ("fs_server.rs", "userland/hurd/defs/fs.defs", Side::Server),
    ("io.rs", "userland/hurd/defs/io.defs", Side::User),
    ("io_server.rs", "userland/hurd/defs/io.defs", Side::Server),
    ("process.rs", "userland/hurd/defs/process.defs", Side::User),
    ("process_server.rs", "userland/hurd/defs/process.defs", Side::Server),
    ("process_request.rs", "userland/hurd/defs/process_request.defs", Side::User),
    ("process_reply_server.rs", "userland/hurd/defs/process_reply.defs", Side::Server),
    ("auth.rs", "userland/hurd/defs/auth.defs", Side::User),
    ("auth_server.rs", "userland/hurd/defs/auth.defs", Side::Server),
    ("msg.rs", "userland/hurd/defs/msg.defs", Side::User),
    ("msg_server.rs", "userland/hurd/defs/msg.defs", Side::Server),
    ("term.rs", "userland/hurd/defs/term.defs", Side::User),
    ("term_server.rs", "userland/hurd/defs/term.defs", Side::Server),
    ("late_auth.rs", "userland/small-hurd/defs/late_auth.defs", Side::User),
    ("late_process.rs", "userland/small-hurd/defs/late_process.defs", Side::User),
    ("msg_request.rs", "userland/small-hurd/defs/msg_request.defs", Side::User),
    ("fsys.rs", "userland/small-hurd/defs/fsys.defs", Side::User),
    ("fsys_server.rs", "userland/small-hurd/defs/fsys.defs", Side::Server),
];

/// Subsystems that the traces are decoded with.
const TABLES: [&str; 27] = [
    "mach/mach.defs",
    "mach/mach_port.defs",
    "mach/mach_host.defs",
    "mach/gnumach.defs",
    "mach/mach4.defs",
    "mach/exc.defs",
    "mach/notify.defs",
    "mach/task_notify.defs",
    "mach/memory_object.defs",
    "mach/memory_object_default.defs",
    "mach/default_pager.defs",
    "mach/experimental.defs",
    "mach/x86_64/mach_i386.defs",
    "mach_debug/mach_debug.defs",
    "device/device.defs",
    BOOT_DEFS,
    TRACE_DEFS,
    TRACE_CONTROL_DEFS,
    "userland/hurd/defs/exec_startup.defs",
    "userland/hurd/defs/exec.defs",
    "userland/hurd/defs/fs.defs",
    "userland/small-hurd/defs/fsys.defs",
    "userland/hurd/defs/io.defs",
    "userland/hurd/defs/process.defs",
    "userland/hurd/defs/auth.defs",
    "userland/hurd/defs/msg.defs",
    "userland/hurd/defs/term.defs",
];

/// Those of our own programs, whose ids another's messages may have.
const DEMONSTRATIONS: [&str; 1] = [PING_DEFS];

/// Our own interfaces, relative to the workspace.
const BOOT_DEFS: &str = "userland/protocol/defs/boot.defs";
const PING_DEFS: &str = "userland/programs/defs/ping.defs";
const TRACE_DEFS: &str = "trace-port/defs/trace.defs";
const TRACE_CONTROL_DEFS: &str = "trace-port/defs/trace_control.defs";

/// Runtime crate of the generated code.
const RUNTIME: &str = "::mach";

/// Why stubs or tables cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// A `.defs` file with errors.
    #[error("{}: {why}", file.display())]
    Defs {
        /// The file.
        file: PathBuf,
        /// The compiler's report.
        why: String,
    },
    /// An output cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Where the generated files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Directory of the stubs (`MACH_STUBS`).
    pub stubs: PathBuf,
    /// The decode tables.
    pub tables: PathBuf,
    /// Those of our own programs' interfaces.
    pub demonstrations: PathBuf,
}

/// Generates everything into `out`; files that would not change are left alone, so that cargo sees nothing new.
pub fn generate(defs: &Path, workspace: &Path, out: &Path) -> Result<Generated, StubError> {
    let options = Options::lp64(vec![defs.to_owned()]);
    let generated = Generated {
        stubs: out.join("stubs"),
        tables: out.join("interfaces.mdt"),
        demonstrations: out.join("demonstrations.mdt"),
    };
    fs::create_dir_all(&generated.stubs).map_err(|source| StubError::Io { path: generated.stubs.clone(), source })?;
    for (name, file, side) in STUBS {
        let path = place(defs, workspace, file);
        let compilation = compile(&path, &options, &Disk);
        let model = sound(&path, &compilation)?;
        let context = Context { model, sources: &compilation.sources, file: Path::new(file), runtime: RUNTIME };
        let text = match side {
            Side::User => codegen::user::generate(&context),
            Side::Server => codegen::server::generate(&context),
        };
        let text = text.map_err(|error| StubError::Defs { file: path, why: format!("{error:#}") })?;
        write_if_changed(&generated.stubs.join(name), text.as_bytes())?;
    }
    write_if_changed(&generated.tables, &tables(defs, workspace, &options, &TABLES)?)?;
    write_if_changed(&out.join("without-routines.mdt"), &mig_defs::interfaces::without_routines())?;
    write_if_changed(&generated.demonstrations, &tables(defs, workspace, &options, &DEMONSTRATIONS)?)?;
    Ok(generated)
}

fn tables(defs: &Path, workspace: &Path, options: &Options, files: &[&str]) -> Result<Vec<u8>, StubError> {
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let annotations = Annotations::builtin(Format::Lp64, &mut sources, &mut diagnostics);
    let mut compilations = Vec::new();
    for file in files {
        let path = place(defs, workspace, file);
        // An older or newer gnumach-dev may lack one of the lesser interfaces; its messages are then printed undecoded.
        if path.is_file() {
            let compilation = compile(&path, options, &Disk);
            sound(&path, &compilation)?;
            compilations.push(compilation);
        }
    }
    let models: Vec<&Model> = compilations.iter().filter_map(|compilation| compilation.model.as_ref()).collect();
    Ok(codegen::table::tables(&models, &annotations))
}

fn place(defs: &Path, workspace: &Path, file: &str) -> PathBuf {
    let ours = ["userland/", "trace-port/"].iter().any(|top| file.starts_with(top));
    if ours { workspace.join(file) } else { defs.join(file) }
}

fn sound<'a>(path: &Path, compilation: &'a Compilation) -> Result<&'a Model, StubError> {
    let refuse = |why: String| StubError::Defs { file: path.to_owned(), why };
    if compilation.diagnostics.errors() > 0 {
        return Err(refuse(compilation.report()));
    }
    compilation.model.as_ref().ok_or_else(|| refuse("expected a subsystem, found none".to_owned()))
}

/// Writes a file under a temporary name and renames it, unless it has these contents already.
pub fn write_if_changed(path: &Path, contents: &[u8]) -> Result<(), StubError> {
    if fs::read(path).is_ok_and(|found| found == contents) {
        return Ok(());
    }
    crate::instrument::write_atomically(path, contents)
        .map_err(|source| StubError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stub.rs");
        write_if_changed(&path, b"one").unwrap();
        let old = fs::File::open(&path).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH;
        old.set_modified(time).unwrap();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), time);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_ne!(fs::metadata(&path).unwrap().modified().unwrap(), time);
    }
}
