// SPDX-License-Identifier: GPL-2.0-or-later
//! What each fuzz target does with its input; mig-defs/tests/fuzz.rs runs the same functions over the corpus without libFuzzer.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mach_abi::Format;
use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::decode::Message;
use mig_defs::diag::Diagnostics;
use mig_defs::layout::list;
use mig_defs::model::Model;
use mig_defs::raw;
use mig_defs::show;
use mig_defs::source::{Disk, Memory, SourceMap};
use mig_defs::table::Tables;
use mig_defs::value::{Field, Value, View};

pub mod seeds;

/// The name that an input may include itself by.
const FILE: &str = "fuzz.defs";

/// Input: a .defs file, which may include itself.
pub fn compiler(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let files = Memory(BTreeMap::from([(PathBuf::from(FILE), text)]));
    for options in [Options::lp64(Vec::new()), Options::ilp32(Vec::new())] {
        let compilation = compile(Path::new(FILE), &options, &files);
        // Rendering reads every span.
        assert_eq!(compilation.report().is_empty(), compilation.diagnostics.list().is_empty());
        let Some(model) = &compilation.model else { continue };
        list(model);
        show::model(model);
        model.routines.iter().for_each(|routine| drop(show::routine(model, routine)));
    }
    let model = compile(Path::new(FILE), &Options::lp64(Vec::new()), &files).model;
    if let Some(model) = model {
        Tables::parse(&codegen::table::tables(&[&model], &Annotations::new(Format::Lp64)))
            .expect("our own tables are sound");
    }
}

/// Input: decode tables. Those that are accepted are read completely and decode a message for every id in them.
pub fn table(data: &[u8]) {
    let Ok(tables) = Tables::parse(data) else { return };
    for routine in tables.routines().take(64) {
        for (id, is_reply) in [(routine.request_id(), false), (routine.reply_id().unwrap_or(0), true)] {
            let mut message = vec![0; 32];
            message[28..].copy_from_slice(&id.to_le_bytes());
            // Of each item what its descriptor says, with as many elements as fit a few bytes.
            for item in routine.items(is_reply).skip(usize::from(!is_reply)).take(16) {
                let size = item.ty().size().clamp(4, 64).next_multiple_of(4);
                let number = (size * 8 / (item.sent() as usize >> 8 & 0xffff).max(1)) as u32;
                message.extend(item.sent().to_le_bytes());
                message.extend(number.to_le_bytes());
                message.resize(message.len() + size.next_multiple_of(8), 1);
            }
            decode(tables, &message);
        }
    }
}

/// Input: a message.
pub fn decoder(data: &[u8]) {
    decode(interfaces(|| std::env::var_os("GNUMACH_DEFS").map(PathBuf::from)), data);
}

const VIEWS: [View; 2] = [View::Sent, View::Received];

/// Decodes a message in every way there is and looks at all of what comes out.
fn decode(tables: Tables<'_>, bytes: &[u8]) {
    for (format, view) in [Format::Lp64, Format::Ilp32].into_iter().flat_map(|format| VIEWS.map(|view| (format, view)))
    {
        let request = Message::new(tables, format, bytes, view);
        for message in [request, Message::reply(tables, format, bytes, view)].into_iter().flatten() {
            let about_itself = request.map_or(message, |request| message.to_request(&request));
            // As if it had been cut off at its end.
            let cut = about_itself.cut_from(2 * bytes.len());
            for field in message.fields().chain(about_itself.fields()).chain(cut.fields()) {
                match field {
                    Ok(field) => look_at(bytes, &field),
                    Err(error) => {
                        write!(Nowhere, "{error}").expect("written nowhere");
                        inside(bytes, message.rest(error.offset));
                    }
                }
            }
        }
    }
    for format in [Format::Lp64, Format::Ilp32] {
        let cut = raw::Items::new(format, bytes).cut_from(2 * bytes.len());
        raw::Items::new(format, bytes).chain(cut).for_each(|item| {
            inside(bytes, item.data);
            VIEWS.iter().for_each(|view| look_at_value(bytes, item.value(*view)));
        });
    }
}

/// Takes text without keeping it: a decoder needs no memory, so neither does what watches it.
struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Every byte that comes out of a message is one of the message's own.
fn inside(message: &[u8], part: &[u8]) {
    let (outer, inner) = (message.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (outer.start <= inner.start && inner.end <= outer.end));
}

fn look_at(message: &[u8], field: &Field<'_>) {
    if let (Some(set), Value::Unsigned { value, .. }) = (field.set, field.value) {
        assert!(set.names_of(value as u32).count() <= 1 << 16);
    }
    look_at_value(message, field.value);
}

fn look_at_value(message: &[u8], value: Value<'_>) {
    match value {
        Value::Text(bytes) | Value::Bytes(bytes) => inside(message, bytes),
        Value::Array(array) => array.iter().for_each(|value| look_at_value(message, value)),
        Value::Struct(members) => {
            inside(message, members.bytes());
            members.fields().for_each(|field| look_at(message, &field));
        }
        _ => {}
    }
}

/// Tables of the system's interfaces, if there are any, and of this package's own test files. Made once.
pub fn interfaces(system: impl FnOnce() -> Option<PathBuf>) -> Tables<'static> {
    static INTERFACES: OnceLock<Tables<'static>> = OnceLock::new();
    *INTERFACES.get_or_init(|| {
        let own = ["tests/good", "../trace-port/defs", "../userland/protocol/defs", "../userland/programs/defs"];
        let own = own.map(|place| seeds::package().join(place));
        let include: Vec<PathBuf> = system().into_iter().collect();
        let mut files = Vec::new();
        include.iter().chain(&own).for_each(|directory| defs_below(directory, &mut files));
        let compiled = |file: &PathBuf| compile(file, &Options::lp64(include.clone()), &Disk);
        let models: Vec<Model> = files.iter().map(compiled).filter_map(|Compilation { model, .. }| model).collect();
        let annotations = Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default());
        let bytes = codegen::table::tables(&models.iter().collect::<Vec<_>>(), &annotations);
        Tables::parse(bytes.leak()).expect("our own tables are sound")
    })
}

/// Every .defs file below `path`, in order; links would only lead to files that are found anyway.
pub fn defs_below(path: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(path).expect("a directory of .defs");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let (kind, path) = (entry.file_type().expect("a file type"), entry.path());
        if kind.is_dir() {
            defs_below(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "defs") {
            found.push(path);
        }
    }
}
