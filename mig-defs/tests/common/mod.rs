// SPDX-License-Identifier: GPL-2.0-or-later
//! Helpers of the integration tests: compile text, build messages, print fields.
#![allow(dead_code, clippy::allow_attributes, reason = "not every test file uses every helper")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mach_abi::{Descriptor, Format, Header};
use mig_defs::annotations::Annotations;
use mig_defs::codegen::table;
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::decode::Message;
use mig_defs::diag::Diagnostics;
use mig_defs::model::Model;
use mig_defs::source::{Memory, SourceMap};
use mig_defs::table::Tables;
use mig_defs::value::{Field, Value, View};

/// Compiles text that includes nothing.
pub(crate) fn compile_text(text: &str) -> Compilation {
    compile_for(Format::Lp64, text)
}

/// Compiles for messages of this format.
pub(crate) fn compile_for(format: Format, text: &str) -> Compilation {
    let path = PathBuf::from("test.defs");
    let files = Memory(BTreeMap::from([(path.clone(), text.to_string())]));
    compile(&path, &options(format, Vec::new()), &files)
}

/// The compiler's options for this format.
pub(crate) fn options(format: Format, include: Vec<PathBuf>) -> Options {
    match format {
        Format::Lp64 => Options::lp64(include),
        Format::Ilp32 => Options::ilp32(include),
    }
}

/// Tables of several texts with the built-in annotations.
pub(crate) fn tables(texts: &[&str]) -> Vec<u8> {
    tables_for(Format::Lp64, texts)
}

/// Tables for messages of this format.
pub(crate) fn tables_for(format: Format, texts: &[&str]) -> Vec<u8> {
    let models: Vec<Model> = texts
        .iter()
        .map(|text| {
            let compilation = compile_for(format, text);
            assert_eq!(compilation.report(), "");
            compilation.model.expect("a subsystem")
        })
        .collect();
    table::tables(&models.iter().collect::<Vec<_>>(), &builtin(format))
}

/// The built-in annotations.
pub(crate) fn builtin(format: Format) -> Annotations {
    Annotations::builtin(format, &mut SourceMap::default(), &mut Diagnostics::default())
}

/// Builds a message.
pub(crate) struct Builder {
    format: Format,
    header: Header,
    bytes: Vec<u8>,
}

impl Builder {
    pub(crate) fn new(id: u32, bits: u32, remote_port: u32, local_port: u64) -> Self {
        Self::of(Format::Lp64, Header { bits, size: 0, remote_port, local_port, seqno: 0, id })
    }

    /// In this format, with this header.
    pub(crate) fn of(format: Format, header: Header) -> Self {
        Self { format, header, bytes: vec![0; format.header().end] }
    }

    /// An item in the 64-bit format, whose descriptor may be anything.
    pub(crate) fn item(mut self, descriptor: u64, data: &[u8]) -> Self {
        self.bytes.extend(descriptor.to_le_bytes());
        self.data(data)
    }

    /// An item in the format of the message.
    pub(crate) fn described(mut self, descriptor: Descriptor, data: &[u8]) -> Self {
        let mut place = [0; mach_abi::descriptor::MAX_SIZE];
        let size = descriptor.write(self.format, &mut place).expect("room for any descriptor");
        self.bytes.extend(&place[..size]);
        self.data(data)
    }

    fn data(mut self, data: &[u8]) -> Self {
        self.bytes.extend(data);
        self.bytes.resize(self.format.align(self.bytes.len()), 0);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.header.size = self.bytes.len() as u32;
        self.header.write(self.format, &mut self.bytes).expect("room for the header");
        self.bytes
    }
}

/// Everything a message of the 64-bit format decodes to, as text.
pub(crate) fn decode_all(tables: Tables<'_>, bytes: &[u8], view: View) -> String {
    decode_as(Format::Lp64, tables, bytes, view)
}

/// Everything a message of this format decodes to, as text.
pub(crate) fn decode_as(format: Format, tables: Tables<'_>, bytes: &[u8], view: View) -> String {
    let message = match Message::new(tables, format, bytes, view) {
        Ok(message) => message,
        Err(error) => return error.to_string(),
    };
    let routine = message.routine();
    let reply = if message.is_reply() { " reply" } else { "" };
    let fields: Vec<String> = message
        .fields()
        .map(|field| match field {
            Ok(field) => field_text(tables, &field),
            Err(error) => format!("error {error}"),
        })
        .collect();
    format!("{}.{}{reply}({})", routine.subsystem(), routine.name(), fields.join(", "))
}

/// A field as text.
pub(crate) fn field_text(tables: Tables<'_>, field: &Field<'_>) -> String {
    let mut text = format!("{}: {} = {}", field.name, field.type_name(), value_text(tables, field.value));
    if let (Some(set), Value::Signed { value, .. }) = (field.set, field.value) {
        write!(text, " {}", set.names_of(value as u32).collect::<Vec<_>>().join("|")).expect("writes to a string");
    }
    text
}

fn value_text(tables: Tables<'_>, value: Value<'_>) -> String {
    match value {
        Value::Signed { value, bits } => format!("{value} i{bits}"),
        Value::Unsigned { value, bits } => format!("{value} u{bits}"),
        Value::Bool(value) => value.to_string(),
        Value::KernReturn(code) => tables.error_name(code).map_or(code.to_string(), str::to_string),
        Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => format!("{bytes:x?}"),
        Value::PortName(name) => format!("name {name}"),
        Value::Port(right) => {
            let name = match right.view {
                View::Sent => right.disposition.sent_name(),
                View::Received => right.disposition.received_name(),
            };
            format!("port {} {name}", right.name)
        }
        Value::Array(array) => {
            format!("[{}]", array.iter().map(|value| value_text(tables, value)).collect::<Vec<_>>().join(", "))
        }
        Value::Struct(members) => {
            let fields: Vec<_> = members.fields().map(|field| field_text(tables, &field)).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::OutOfLine { address, size, deallocate, .. } => {
            format!("{size} bytes at {address:#x}{}", if deallocate { " dealloc" } else { "" })
        }
        Value::OutOfLinePorts { address, count, disposition, .. } => {
            format!("{count} ports at {address:#x} {}", disposition.sent_name())
        }
        other => format!("{other:?}"),
    }
}

/// The directory of this package's test files.
pub(crate) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The files of tests/good, sorted.
pub(crate) fn good_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(corpus().join("good")).expect("tests/good");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "defs"));
    files.sort();
    files
}

/// Compares with a golden, or with `BLESS=1` writes it.
pub(crate) fn check_golden(path: &Path, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, found).expect("golden written");
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let different = expected.lines().zip(found.lines()).position(|(expected, found)| expected != found);
    if let Some(line) = different {
        let (expected, found) = (expected.lines().nth(line), found.lines().nth(line));
        panic!(
            "{}:{}: expected {expected:?}, found {found:?}; if that is meant: BLESS=1 cargo test -p mig-defs --features compiler --test {}",
            path.display(),
            line + 1,
            env!("CARGO_CRATE_NAME")
        );
    }
    assert_eq!(
        expected,
        found,
        "{}: lengths differ; if that is meant: BLESS=1 cargo test -p mig-defs --features compiler --test {}",
        path.display(),
        env!("CARGO_CRATE_NAME")
    );
}

/// Every .defs file below a directory, without following links.
pub(crate) fn defs_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(directory).expect("directory").map(|e| e.expect("entry")).collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let (kind, path) = (entry.file_type().expect("file type"), entry.path());
        if kind.is_dir() {
            found.extend(defs_below(&path));
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "defs") {
            found.push(path);
        }
    }
    found
}
