// SPDX-License-Identifier: GPL-2.0-or-later
//! Command line of the MIG compiler: check, list, table, dump, show, explain, gen.

use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use mig_defs::annotations::Annotations;
use mig_defs::codegen;
use mig_defs::compile::{Compilation, Options, compile};
use mig_defs::diag::{Code, Diagnostics, Severity};
use mig_defs::layout;
use mig_defs::model::Model;
use mig_defs::show;
use mig_defs::source::{Disk, Files as _, SourceMap};

mod cached;
mod output;

/// A MIG compiler for GNU Mach.
#[derive(Parser)]
#[command(name = "mig-defs")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Compile and report what is wrong, and which routines have no Rust stub.
    Check(Input),
    /// Print one line per routine: subsystem, base, name, number, request id, reply id.
    List(Interfaces),
    /// Write Rust stubs.
    Gen(Gen),
    /// Write binary decode tables of all files together.
    Table {
        #[command(flatten)]
        input: Input,
        /// The file to write.
        #[arg(short)]
        output: PathBuf,
        /// More annotation files.
        #[arg(long)]
        annotations: Vec<PathBuf>,
    },
    /// Print what a stage of the compiler made of a file.
    Dump {
        /// Which stage.
        #[arg(long)]
        stage: Stage,
        #[command(flatten)]
        input: Input,
    },
    /// Explain a diagnostic code.
    Explain {
        /// As in MD0031; all of them if not given.
        code: Option<String>,
    },
    /// Print the messages of a routine as byte maps: offset, bytes, what stands there (40+: after data of varying size).
    Show {
        /// Its name, or the message id of its request or reply.
        routine: String,
        #[command(flatten)]
        interfaces: Interfaces,
    },
}

#[derive(Args)]
struct Input {
    /// The .defs files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
struct Interfaces {
    /// The .defs files; if none is given, all in the -I directories. Without -I, the directory of the interfaces that `cargo
    /// qemu` has fetched.
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
struct Settings {
    /// Where #include looks; as often as you like.
    #[arg(short = 'I', value_name = "DIR")]
    include: Vec<PathBuf>,
    /// For the message format of 32-bit Mach; stubs are for the 64-bit one.
    #[arg(long)]
    ilp32: bool,
    /// Define a macro: NAME or NAME=VALUE.
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    define: Vec<String>,
}

#[derive(Args)]
struct Gen {
    /// Which side.
    side: Side,
    #[command(flatten)]
    input: Input,
    /// The file to write; of both sides the directory, for FILE.user.rs and FILE.server.rs of each FILE.defs. Standard output
    /// if not given.
    #[arg(short)]
    output: Option<PathBuf>,
    /// Path of the runtime crate in the generated code.
    #[arg(long, default_value = "::mach")]
    runtime: String,
    /// Write nothing; fail if a file is not what would be written.
    #[arg(long, requires = "output")]
    check: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Side {
    User,
    Server,
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    Ast,
    Model,
    Layout,
}

impl Settings {
    fn options(&self) -> Options {
        let options = if self.ilp32 { Options::ilp32 } else { Options::lp64 }(self.include.clone());
        self.define.iter().fold(options, |options, macro_text| match macro_text.split_once('=') {
            Some((name, value)) => options.define(name, value),
            None => options.define(macro_text, "1"),
        })
    }
}

impl Input {
    /// Compiles every file, reporting to standard error.
    fn compile(&self) -> Compiled<'_> {
        let options = self.settings.options();
        let compiled = self.files.iter().map(|file| (file.as_path(), compile(file, &options, &Disk)));
        Compiled(compiled.inspect(|(_, compilation)| eprint!("{}", compilation.report())).collect())
    }
}

impl Interfaces {
    /// The files that are meant where none are named.
    fn input(self) -> anyhow::Result<Input> {
        let Self { mut files, mut settings } = self;
        if settings.include.is_empty() {
            match cached::include(settings.ilp32) {
                Ok(include) => settings.include.push(include),
                // The files may include nothing.
                Err(_) if !files.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        if files.is_empty() {
            files = cached::defs_of(&settings.include)?;
        }
        Ok(Input { files, settings })
    }
}

/// Files and what was made of them.
struct Compiled<'a>(Vec<(&'a Path, Compilation)>);

impl Compiled<'_> {
    /// Those with a subsystem.
    fn models(&self) -> impl Iterator<Item = (&Path, &Model)> {
        self.0.iter().filter_map(|(file, compilation)| Some((*file, compilation.model.as_ref()?)))
    }

    fn errors(&self) -> usize {
        self.0.iter().map(|(_, compilation)| compilation.diagnostics.errors()).sum()
    }

    /// Refuses to go on, or to end well, after errors.
    fn sound(&self) -> anyhow::Result<()> {
        match self.errors() {
            0 => Ok(()),
            errors => bail!("{}", counted(errors, "error")),
        }
    }
}

/// What `work` makes of each item, in their order, made by as many threads as there are processors.
fn in_parallel<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    let others = if items.len() > 1 { processors().min(items.len()) - 1 } else { 0 };
    let next = AtomicUsize::new(0);
    let worker = || {
        let taken = std::iter::from_fn(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, work(item)))
        });
        taken.collect::<Vec<_>>()
    };
    let mut made = thread::scope(|scope| {
        let threads: Vec<_> = (0..others).map(|_| scope.spawn(worker)).collect();
        let mut made = worker();
        for thread in threads {
            made.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        made
    });
    made.sort_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, made)| made).collect()
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever made a mistake in a .defs file has no use for a stack of ours.
        Err(error) => {
            eprintln!("mig-defs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Check(input) => check(&input),
        Verb::List(interfaces) => {
            let input = interfaces.input()?;
            let compiled = input.compile();
            print(&compiled.models().map(|(_, model)| layout::list(model)).collect::<String>())?;
            compiled.sound()
        }
        Verb::Gen(gen_verb) => gen_verb.run(),
        Verb::Table { input, output, annotations } => table(&input, output, &annotations),
        Verb::Dump { stage, input } => dump(stage, &input),
        Verb::Explain { code } => explain(code.as_deref()),
        Verb::Show { routine, interfaces } => show_routine(&routine, &interfaces.input()?),
    }
}

/// To standard output; a reader that went away is not an error of ours.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write the output"),
        _ => Ok(()),
    }
}

fn check(input: &Input) -> anyhow::Result<()> {
    let (mut routines, mut text) = (0, String::new());
    let compiled = input.compile();
    for (file, compilation) in &compiled.0 {
        let Some(model) = &compilation.model else {
            // Types for other files, unless it could not even be read.
            if compilation.diagnostics.errors() == 0 {
                writeln!(text, "{}: no subsystem, only for other files to include", file.display())?;
            }
            continue;
        };
        routines += model.routines.len();
        writeln!(
            text,
            "{}: subsystem {} {}, {} routines",
            file.display(),
            model.name,
            model.base,
            model.routines.len()
        )?;
        for (side, left_out) in [("user", codegen::user::left_out(model)), ("server", codegen::server::left_out(model))]
        {
            for (routine, why) in left_out {
                writeln!(text, "  no {side} stub for {routine}: {why}")?;
            }
        }
    }
    let (files, errors) = (input.files.len(), compiled.errors());
    writeln!(text, "{}, {}, {}", counted(files, "file"), counted(routines, "routine"), counted(errors, "error"))?;
    print(&text)?;
    compiled.sound()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl Gen {
    fn sides(&self) -> &'static [Side] {
        match self.side {
            Side::User => &[Side::User],
            Side::Server => &[Side::Server],
            Side::Both => &[Side::User, Side::Server],
        }
    }

    /// The stubs of one side of a file, and the report of compiling it.
    fn stubs(&self, options: &Options, file: &Path, side: Side) -> (String, anyhow::Result<String>) {
        let compilation = compile(file, options, &Disk);
        let stubs = || {
            if compilation.diagnostics.errors() > 0 {
                bail!("{}: no stubs because of the errors above", file.display());
            }
            let model = compilation.model.as_ref().with_context(|| format!("{}: no subsystem", file.display()))?;
            let context = codegen::Context { model, sources: &compilation.sources, file, runtime: &self.runtime };
            match side {
                Side::Server => codegen::server::generate(&context),
                _ => codegen::user::generate(&context),
            }
        };
        (compilation.report(), stubs())
    }

    /// Where the stubs of one side of a file go in the directory `output`.
    fn place(&self, output: &Path, file: &Path, side: Side) -> PathBuf {
        let side = if matches!(side, Side::Server) { "server" } else { "user" };
        let stem = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
        output.join(format!("{stem}.{side}.rs"))
    }

    fn run(&self) -> anyhow::Result<()> {
        if self.input.settings.ilp32 {
            bail!("stubs are for the 64-bit format only");
        }
        let options = self.input.settings.options();
        let files = self.input.files.iter();
        let jobs: Vec<(&Path, Side)> =
            files.flat_map(|file| self.sides().iter().map(|side| (file.as_path(), *side))).collect();
        let made = in_parallel(&jobs, |(file, side)| self.stubs(&options, file, *side));
        // Both sides report the same.
        made.iter().step_by(self.sides().len()).for_each(|(report, _)| eprint!("{report}"));
        let texts = made.into_iter().map(|(_, text)| text).collect::<anyhow::Result<Vec<_>>>()?;
        let Some(output) = &self.output else { return print(&texts.concat()) };
        let files = match self.side {
            Side::User | Side::Server => Vec::from([(output.clone(), texts.concat())]),
            Side::Both => jobs.iter().map(|(file, side)| self.place(output, file, *side)).zip(texts).collect(),
        };
        if let Some(twice) =
            (1..files.len()).find(|index| files[..*index].iter().any(|(path, _)| *path == files[*index].0))
        {
            bail!("two of the files would be written as {}", files[twice].0.display());
        }
        if self.check { files.iter().try_for_each(|(path, text)| unchanged(path, text)) } else { output::write(&files) }
    }
}

/// Checks that a file is what would be written.
fn unchanged(path: &Path, text: &str) -> anyhow::Result<()> {
    let found = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if found != text {
        bail!("{} is not what its .defs generate; run gen without --check", path.display());
    }
    Ok(())
}

fn table(input: &Input, output: PathBuf, annotation_files: &[PathBuf]) -> anyhow::Result<()> {
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let format = input.settings.options().format;
    let mut annotations = Annotations::builtin(format, &mut sources, &mut diagnostics);
    for path in annotation_files {
        let text = Disk.read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = sources.add(path.clone(), text);
        annotations.add(file, &sources, &mut diagnostics);
    }
    eprint!("{}", diagnostics.render(&sources));
    let compiled = input.compile();
    compiled.sound()?;
    if diagnostics.errors() > 0 {
        bail!("the annotations above have errors");
    }
    let models: Vec<&Model> = compiled.models().map(|(_, model)| model).collect();
    output::write(&[(output, codegen::table::tables(&models, &annotations))])
}

fn dump(stage: Stage, input: &Input) -> anyhow::Result<()> {
    let mut text = String::new();
    let compiled = input.compile();
    for (_, compilation) in &compiled.0 {
        match (stage, &compilation.model) {
            (Stage::Ast, _) => writeln!(text, "{:#?}", compilation.syntax)?,
            (Stage::Model, Some(model)) => text += &show::model(model),
            (Stage::Layout, Some(model)) => {
                for routine in &model.routines {
                    text += &show::routine(model, routine);
                }
            }
            (_, None) => {}
        }
    }
    print(&text)?;
    compiled.sound()
}

fn explain(name: Option<&str>) -> anyhow::Result<()> {
    let codes = match name {
        None => Code::ALL.to_vec(),
        Some(name) => vec![Code::from_name(name).with_context(|| format!("there is no diagnostic {name}"))?],
    };
    let line = |code: &Code| {
        let severity = if code.severity() == Severity::Error { "error" } else { "warning" };
        format!("{} {severity}: {}\n{}", code.name(), code.title(), paragraph(code.explanation()))
    };
    print(&codes.iter().map(line).collect::<String>())
}

/// Text in lines that a terminal has room for.
fn paragraph(text: &str) -> String {
    const WIDTH: usize = 78;
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH - 3 {
            lines += &format!("   {line}\n");
            line.clear();
        }
        line = line + " " + word;
    }
    lines + &format!("   {line}\n")
}

fn show_routine(wanted: &str, input: &Input) -> anyhow::Result<()> {
    let compiled = input.compile();
    let mut found = Vec::new();
    for (file, model) in compiled.models() {
        for routine in &model.routines {
            let layout = layout::layout(model, routine);
            let reply = (!routine.one_way).then_some(layout.reply.id);
            let has_id = [Some(layout.request.id), reply].into_iter().flatten().any(|id| id.to_string() == *wanted);
            if *routine.name == *wanted || has_id {
                found.push((file, model, routine));
            }
        }
    }
    // The proper name of an id first, as the tables have it.
    found.sort_by_key(|(_, _, routine)| codegen::table::rank(&routine.name));
    let text: String = found
        .iter()
        .map(|(file, model, one)| {
            let (name, number, subsystem) = (&one.name, one.number, &model.name);
            let head =
                format!("{name}: routine {number} of subsystem {subsystem} {}, {}\n", model.base, file.display());
            let others = found.iter().map(|(_, _, other)| &other.name).filter(|other| *other != name);
            let others: Vec<&str> = others.map(|other| &**other).collect();
            let also = if others.is_empty() { String::new() } else { format!("also called {}\n", others.join(", ")) };
            head + &also + &show::routine(model, one)
        })
        .collect();
    if text.is_empty() {
        bail!("no routine is called, and no message has the id, {wanted}; `mig-defs list` prints them all");
    }
    print(&text)?;
    compiled.sound()
}
