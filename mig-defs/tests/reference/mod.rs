// SPDX-License-Identifier: GPL-2.0-or-later
//! Debian's MIG as a reference: finds .defs files, runs gcc and migcom on them, takes their C apart.
#![allow(dead_code, clippy::allow_attributes, reason = "not every test file uses every helper")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mig_defs::compile::Options;

pub(crate) mod cases;
pub(crate) mod compare;
pub(crate) mod driver;
pub(crate) mod hostile;
pub(crate) mod property;
pub(crate) mod rust;
pub(crate) mod values;

/// What migcom made of a file.
pub(crate) struct Migcom {
    pub(crate) list: String,
    pub(crate) user: String,
    pub(crate) server: String,
    pub(crate) user_header: String,
    pub(crate) server_header: String,
}

impl Migcom {
    /// Writes the C files again, for a compiler.
    pub(crate) fn write(&self, scratch: &Path) {
        let files = [
            ("user.c", &self.user),
            ("server.c", &self.server),
            ("user.h", &self.user_header),
            ("server.h", &self.server_header),
        ];
        for (name, text) in files {
            std::fs::write(scratch.join(name), text).expect("migcom's C written");
        }
    }
}

/// The directory or file that an environment variable names.
pub(crate) fn directory(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set"));
    PathBuf::from(value)
}

/// The include directories whose .defs are compared: all versions if `GNUMACH_DEFS_ALL` names them, else the one.
pub(crate) fn versions() -> Vec<PathBuf> {
    match std::env::var_os("GNUMACH_DEFS_ALL") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => vec![directory("GNUMACH_DEFS")],
    }
}

/// Every .defs file below `path`; links (`mach/machine`) would only lead to files that are found anyway.
pub(crate) fn defs_below(path: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(path).expect("directory").map(|entry| entry.expect("entry")).collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let kind = entry.file_type().expect("file type");
        if kind.is_dir() {
            defs_below(&entry.path(), found);
        } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "defs") {
            found.push(entry.path());
        }
    }
}

/// An empty directory for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let scratch = std::env::temp_dir().join(format!("mig-defs-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("scratch directory");
    scratch
}

/// A MIG for one message format, and the .defs to run it on.
pub(crate) struct Mig {
    pub(crate) include: PathBuf,
    /// The format, for our compiler.
    pub(crate) options: Options,
    /// The C preprocessor's option for the machine.
    machine: &'static str,
    /// The program and its first arguments.
    command: Vec<OsString>,
}

impl Mig {
    /// Of the 64-bit format.
    pub(crate) fn amd64(include: &Path) -> Self {
        let options = Options::lp64(vec![include.to_path_buf()]);
        let command = vec![directory("MIGCOM").into_os_string()];
        Self { include: include.to_path_buf(), options, machine: "-m64", command }
    }

    /// Of the 32-bit format, if `GNUMACH_DEFS_I386` and `MIGCOM_I386` are set; the latter is what runs this MIG, as a list of
    /// paths: a loader with its option's value, so that a system without 32-bit libraries can.
    pub(crate) fn i386() -> Option<Self> {
        let include = PathBuf::from(std::env::var_os("GNUMACH_DEFS_I386")?);
        let paths: Vec<_> = std::env::split_paths(&std::env::var_os("MIGCOM_I386")?).collect();
        let [loader, libraries, migcom] = <[PathBuf; 3]>::try_from(paths).expect("loader, libraries, migcom");
        let command = vec![loader.into(), "--library-path".into(), libraries.into(), migcom.into()];
        Some(Self { options: Options::ilp32(vec![include.clone()]), include, machine: "-m32", command })
    }
}

/// Runs gcc and migcom for the 64-bit format. `None` if migcom refuses the file.
pub(crate) fn migcom(include: &Path, file: &Path, scratch: &Path) -> Option<Migcom> {
    run(&Mig::amd64(include), file, scratch)
}

/// Runs gcc and migcom. `None` if migcom refuses the file.
pub(crate) fn run(mig: &Mig, file: &Path, scratch: &Path) -> Option<Migcom> {
    let mut cpp = Command::new("gcc")
        .args(["-E", "-x", "c", "-nostdinc", mig.machine, "-I"])
        .arg(&mig.include)
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gcc runs");
    let output = |name: &str| scratch.join(name);
    let mut command = Command::new(&mig.command[0]);
    command.args(&mig.command[1..]).arg("-n");
    let files = [
        ("-list", "list"),
        ("-user", "user.c"),
        ("-server", "server.c"),
        ("-header", "user.h"),
        ("-sheader", "server.h"),
    ];
    for (option, name) in files {
        command.arg(option).arg(output(name));
    }
    let status = command
        .stdin(cpp.stdout.take().expect("gcc's output"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("migcom runs");
    cpp.wait().expect("gcc ends");
    let read = |name| std::fs::read_to_string(output(name)).expect("migcom's output");
    status.success().then(|| Migcom {
        list: read("list"),
        user: read("user.c"),
        server: read("server.c"),
        user_header: read("user.h"),
        server_header: read("server.h"),
    })
}
