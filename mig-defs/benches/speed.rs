// SPDX-License-Identifier: GPL-2.0-or-later
//! How quick the compiler and the decoder are: every .defs file of gnumach-dev, also through the real MIG; captured messages.
//!
//! `cargo bench -p mig-defs --features bench`. Needs what `cargo qemu test` fetched: `GNUMACH_DEFS` and `MIGCOM` name it, or
//! it is found in the cache of `cargo qemu`.

use std::env;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_main};
use mach_abi::Format;
use mig_defs::annotations::Annotations;
use mig_defs::codegen::{self, Context};
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::decode::Message;
use mig_defs::diag::Diagnostics;
use mig_defs::raw;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::value::{Value, View};

#[path = "../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the file is also a library")]
#[expect(dead_code, reason = "only its seeds and tables are used")]
mod targets;

/// The path that `variable` holds, else `inside` the newest `package` in the cache of `cargo qemu`.
fn fetched(variable: &str, package: &str, inside: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    let home = || PathBuf::from(env::var_os("HOME").expect("HOME")).join(".cache");
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("rpctrace2/debian");
    let entries = std::fs::read_dir(&cache).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path().join(inside))
        .filter(|path| path.exists() && path.starts_with(&cache) && path.to_string_lossy().contains(package))
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("no {package} in {}: run cargo qemu test, or set {variable}", cache.display()))
}

/// Every .defs file of gnumach-dev that has a subsystem which the real MIG accepts too.
fn interfaces(include: &Path, migcom: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    targets::defs_below(include, &mut files);
    files.retain(|file| compile_file(include, file).model.is_some() && run_mig(include, migcom, file));
    files
}

fn compile_file(include: &Path, file: &Path) -> Compilation {
    compile(file, &Options::lp64(vec![include.to_path_buf()]), &Disk)
}

/// The C preprocessor and migcom, as the script `mig` calls them; what they write goes nowhere.
fn run_mig(include: &Path, migcom: &Path, file: &Path) -> bool {
    let mut cpp = Command::new("gcc")
        .args(["-E", "-x", "c", "-nostdinc", "-I"])
        .args([include, file])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gcc runs");
    let output = cpp.stdout.take().expect("gcc's output");
    let null = ["-user", "-server", "-header"].into_iter().flat_map(|option| [option, "/dev/null"]);
    let mut command = Command::new(migcom);
    command.arg("-n").args(null).stdin(output).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().expect("migcom runs");
    cpp.wait().expect("gcc ends").success() && status.success()
}

/// Ours as a program: the stubs of both sides, which go nowhere.
fn run_ours(include: &Path, files: &[PathBuf]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig-defs"));
    command.args(["gen", "both", "-I"]).arg(include).args(files).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("mig-defs runs").success(), "{files:?}");
}

/// Runs of each in turn of which the quickest count: whatever else the machine does slows down some of them.
const ROUNDS: usize = 15;

/// Says how long the real MIG takes for all files and how long ours does, and fails if ours takes longer.
fn compare(include: &Path, migcom: &Path, files: &[PathBuf]) {
    let theirs = || files.iter().for_each(|file| assert!(run_mig(include, migcom, file)));
    let each = || files.chunks(1).for_each(|file| run_ours(include, file));
    let all = || run_ours(include, files);
    let runs: [&dyn Fn(); 3] = [&theirs, &each, &all];
    let mut quickest = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for (run, quickest) in runs.iter().zip(&mut quickest) {
            let start = Instant::now();
            run();
            *quickest = start.elapsed().min(*quickest);
        }
    }
    let [theirs, each, all] = quickest;
    println!(
        "{} files, quickest of {ROUNDS}: cpp and migcom {theirs:.1?}; mig-defs {each:.1?}, in one process {all:.1?}",
        files.len()
    );
    assert!(each < theirs, "mig-defs with a process for each file is slower than cpp and migcom");
    assert!(all < each, "mig-defs in one process is slower than with a process for each file");
}

fn stubs(compilation: &Compilation, file: &Path) -> usize {
    let model = compilation.model.as_ref().expect("a subsystem");
    let context = Context { model, sources: &compilation.sources, file, runtime: "::mach" };
    let user = codegen::user::generate(&context).expect("user stubs");
    user.len() + codegen::server::generate(&context).expect("server stubs").len()
}

fn compiler(criterion: &mut Criterion) {
    let include = fetched("GNUMACH_DEFS", "gnumach-dev", "usr/include/x86_64-linux-gnu");
    let migcom = fetched("MIGCOM", "mig-x86-64-gnu", "usr/lib/mig/x86_64-gnu-migcom");
    let files = interfaces(&include, &migcom);
    assert!(files.len() >= 15, "only {} files below {}", files.len(), include.display());
    compare(&include, &migcom, &files);
    let mut group = criterion.benchmark_group(format!("{} .defs files", files.len()));
    group.sample_size(10);
    group.bench_function("cpp and migcom, a process each", |bencher| {
        bencher.iter(|| files.iter().for_each(|file| assert!(run_mig(&include, &migcom, file))));
    });
    group.bench_function("mig-defs gen both, a process each", |bencher| {
        bencher.iter(|| files.chunks(1).for_each(|file| run_ours(&include, file)));
    });
    group.bench_function("mig-defs gen both, one process", |bencher| bencher.iter(|| run_ours(&include, &files)));
    group.bench_function("mig-defs library, stubs of both sides", |bencher| {
        bencher.iter(|| files.iter().map(|file| stubs(&compile_file(&include, file), file)).sum::<usize>());
    });
    group.bench_function("mig-defs library, decode tables", |bencher| {
        bencher.iter(|| {
            let models: Vec<_> = files.iter().filter_map(|file| compile_file(&include, file).model).collect();
            let annotations =
                Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default());
            codegen::table::tables(&models.iter().collect::<Vec<_>>(), &annotations).len()
        });
    });
    group.finish();
}

/// Looks at every number and every text in a value.
fn weigh(value: Value<'_>) -> u64 {
    match value {
        Value::Signed { value, .. } => value as u64,
        Value::Unsigned { value, .. } => value,
        Value::Text(bytes) | Value::Bytes(bytes) => bytes.len() as u64,
        Value::Port(right) => u64::from(right.name),
        Value::Array(array) => array.iter().map(weigh).fold(0, u64::wrapping_add),
        Value::Struct(members) => members.fields().map(|field| weigh(field.value)).fold(0, u64::wrapping_add),
        _ => 1,
    }
}

fn decoder(criterion: &mut Criterion) {
    let defs = fetched("GNUMACH_DEFS", "gnumach-dev", "usr/include/x86_64-linux-gnu");
    let tables = targets::interfaces(|| Some(defs));
    let mix: Vec<Vec<u8>> = targets::seeds::captures().into_iter().flat_map(|(_, messages)| messages).collect();
    let sizes = mix.iter().map(Vec::len).sum::<usize>();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(mix.len() as u64));
    group.bench_function(
        format!("{} captured messages, {} bytes on average", mix.len(), sizes / mix.len()),
        |bencher| {
            bencher.iter(|| {
                for bytes in &mix {
                    black_box(match Message::new(tables, Format::Lp64, black_box(bytes), View::Sent) {
                        Ok(message) => {
                            let fields = message.fields().map(|field| field.map_or(0, |field| weigh(field.value)));
                            fields.fold(0, u64::wrapping_add)
                        }
                        // A program's own message without .defs: read by its descriptors, as rpctrace2 does.
                        Err(_) => raw::Items::new(Format::Lp64, bytes)
                            .map(|item| weigh(item.value(View::Sent)))
                            .fold(0, u64::wrapping_add),
                    });
                }
            });
        },
    );
    group.finish();
}

mod benches {
    use criterion::criterion_group;

    criterion_group!(all, super::compiler, super::decoder);
}

criterion_main!(benches::all);
