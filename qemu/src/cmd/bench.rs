// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu bench`: stock and instrumented kernel side by side, in retired instructions, against the ceilings.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use qemu::bench::figures::{PayloadSize, UNTRACED, USES, figures, recorder_figures, tool_figures};
use qemu::bench::frames::Stacks;
use qemu::bench::{Ceilings, Figure, Results, Verdict, ceilings};
use qemu::fetch::packages::Flavour;
use qemu::guest::{RPCTRACE2, workspace};
use qemu::instrument;
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::plan;
use qemu::setup::{self, Choices};
use qemu::ui::{Progress, say};
use qemu::vm::{self, Input, Paint, Sinks};

use crate::cli::{FAILURE, Options};
use crate::cmd::{follow, record};

/// The guest program that measures.
const PROGRAM: &str = "bench-rpc";

/// Its word for the cases in which it traces nobody.
const NOBODY_TRACED: &str = "untraced";

/// The guest program that rpctrace2 is measured on, and its word for itself untraced.
const TRACED: [&str; 2] = ["bench-tool", UNTRACED];

/// Steps of the build before the payload's turn.
const STEPS: u64 = 4;

/// Where the figures go, in the target directory.
const OUTPUT: &str = "bench.json";

/// The checked-in ceilings, relative to the workspace: those of the kernel that people boot or of the one built for debugging, each for one
/// processor or for several, run with one.
const fn ceilings_file(debug: bool, flavour: Flavour) -> &'static str {
    match (debug, flavour) {
        (false, Flavour::Up) => "qemu/bench-ceilings-production.json",
        (false, Flavour::Smp) => "qemu/bench-ceilings-production-smp.json",
        (true, Flavour::Up) => "qemu/bench-ceilings.json",
        (true, Flavour::Smp) => "qemu/bench-ceilings-smp.json",
    }
}

/// Figures of stack depth: name, where the payload begins, the function it stands in for.
const STACKS: [(&str, &str, &str); 8] = [
    ("stack of a message copied in", "rpctrace2_copyinmsg", "copyinmsg"),
    ("stack of a message copied out", "rpctrace2_clients_answer", "copyout"),
    ("stack of a hand-off", "rpctrace2_traced_handoff", "thread_handoff"),
    ("stack of the end of a call", "rpctrace2_returned", "thread_syscall_return"),
    ("stack of a message to the kernel", "rpctrace2_kobject_server", "ipc_kobject_server"),
    ("stack of task_set_special_port", "hook_task_set_special_port", "task_set_special_port"),
    ("stack of task_create", "hook_ipc_task_init", "ipc_task_init"),
    ("stack of task_terminate", "hook_ipc_task_terminate", "ipc_task_terminate"),
];

pub(crate) fn run(options: &Options, profile: bool) -> Result<u8> {
    let choices = Choices { icount: true, kvm: false, ..options.choices() };
    let linked = payload(&choices, profile)?;
    let followed = follow::follow(&choices, &linked.kernel)?;
    if profile {
        write!(io::stdout(), "{}", follow::profile(&followed, |address| linked.function(address)))?;
        return Ok(0);
    }
    let ours = measure(&Choices { stock: false, ..choices.clone() }, &[])?;
    let stock = measure(&Choices { stock: true, ..choices.clone() }, &[])?;
    let mut figures = figures(&stock, &ours, linked.size)?;
    let recorded = |words: &str| {
        let choices = Choices { stock: false, words: words.to_owned(), ..choices.clone() };
        measure(&choices, &[NOBODY_TRACED])
    };
    figures.extend(recorder_figures(&stock, &recorded(record::HEADERS)?, &recorded(record::ALL)?)?);
    figures.extend(tool_figures(&measure_tool(&Choices { stock: false, ..choices.clone() })?)?);
    figures.extend(linked.stacks()?);
    figures.extend(follow::figures(&followed));
    let file = ceilings_file(choices.debug, choices.flavour);
    let text = fs::read_to_string(workspace().join(file)).with_context(|| format!("reading {file}"))?;
    let ceilings = Ceilings::parse(&text).with_context(|| format!("reading {file}"))?;

    let target = qemu::guest::target_directory(&workspace());
    let output = target.parent().unwrap_or(&target).join(OUTPUT);
    let json = serde_json::to_string_pretty(&ceilings::json(&figures, &ceilings))?;
    instrument::write(&output, json.as_bytes())?;
    write!(io::stdout(), "{}", table(&figures, &ceilings))?;
    writeln!(io::stdout(), "written  {}", output.display())?;
    judge(&figures, &ceilings, file)
}

/// Boots one kernel and lets it be measured.
fn measure(choices: &Choices, words: &[&str]) -> Result<Results> {
    let arguments = [PROGRAM].iter().chain(words).map(|word| (*word).to_owned());
    let output = boot(choices, &arguments.collect::<Vec<_>>())?;
    Ok(Results::parse(&output)?)
}

/// Boots the instrumented kernel with each use of rpctrace2.
fn measure_tool(choices: &Choices) -> Result<Results> {
    let mut output = boot(choices, &TRACED.map(str::to_owned))?;
    for (case, options) in USES {
        let words = [RPCTRACE2].iter().chain(options).chain([&TRACED[0], &case]);
        output += &boot(choices, &words.map(|word| (*word).to_owned()).collect::<Vec<_>>())?;
    }
    Ok(Results::parse(&output)?)
}

/// Boots a machine that runs `arguments`; returns what they print.
fn boot(choices: &Choices, arguments: &[String]) -> Result<String> {
    let prepared = setup::prepare(choices)?;
    let directory = prepared.boot_directory(arguments, &[])?;
    let (mut console, mut trace, mut kernel) = (Vec::new(), io::sink(), io::sink());
    let mut sinks = Sinks {
        console: &mut console,
        trace: Some(&mut trace),
        capture: None,
        kernel: &mut kernel,
        paint: Paint::default(),
    };
    let outcome = vm::run(&prepared.machine, directory.path(), Input::None, prepared.limits, &mut sinks, || ())?;
    let text = String::from_utf8_lossy(&console).into_owned();
    if outcome.status != 0 {
        bail!("{} ended with {}:\n{text}", arguments.join(" "), outcome.status);
    }
    Ok(text)
}

/// The payload, linked once more for the kernel that is measured.
struct Linked {
    kernel: KernelElf,
    symbols: BTreeMap<u64, String>,
    image: Vec<u8>,
    /// Where the payload begins.
    base: u64,
    size: PayloadSize,
}

/// With all names of the kernel, if functions are to be shown; a profile has only those that are needed.
fn payload(choices: &Choices, with_names: bool) -> Result<Linked> {
    let mut progress = Progress::new(STEPS);
    let built = setup::build(&mut progress)?;
    let payload = built.builder.payload()?;
    let mut stock = setup::stock(choices, &progress)?;
    if with_names && choices.kernel.is_none() && !choices.debug {
        stock.names = Some(setup::debug_kernel_file(choices, &progress)?);
    }
    let (kernel, _) = instrument::open(&stock.file, stock.names.as_deref())?;
    let planned = plan::plan(&kernel, &payload, &Linker::find()?)?;
    let segment = &planned.plan.payload;
    let size = PayloadSize { file: segment.filesz, memory: segment.memsz - planned.plan.recorder.bytes };
    Ok(Linked { base: segment.vaddr, size, kernel, symbols: planned.symbols, image: planned.image })
}

impl Linked {
    /// What each hook adds to the kernel stack.
    fn stacks(&self) -> Result<Vec<Figure>> {
        let stacks = Stacks::read(&self.kernel, &self.image, self.base, &self.symbols);
        let mut figures = Vec::new();
        for (name, hook, original) in STACKS {
            let entry = self.symbols.iter().find(|(_, symbol)| symbol.as_str() == hook).map(|(&address, _)| address);
            let entry = entry.with_context(|| format!("the payload has no symbol {hook}"))?;
            let original = self.kernel.symbol(original, hook)?.address;
            let Some(found) = stacks.deeper(entry, original, self.base) else { bail!("{hook} calls nothing") };
            let callee = self.kernel.describe(found.callee);
            say(format_args!("{name}: worst at {}, {} bytes below", callee.trim_end_matches("+0x0"), found.depth));
            let (ours, value) = (found.depth as f64, found.bytes as f64);
            let stock = Some(ours - value);
            let (name, unit) = (name.into(), "bytes deeper than stock");
            figures.push(Figure { name, stock, ours, value, unit, counted: "bytes of stack" });
        }
        Ok(figures)
    }

    /// The function of the kernel or the payload that an address belongs to.
    fn function(&self, address: u64) -> String {
        let ours = self.symbols.range(..=address).next_back().filter(|_| address >= self.base);
        // Without the hash at the end of a Rust name.
        let demangled = |name: &String| format!("{:#}", rustc_demangle::demangle(name));
        let name = ours.map_or_else(|| self.kernel.describe(address), |(_, name)| demangled(name));
        name.split('+').next().unwrap_or_default().to_owned()
    }
}

fn table(figures: &[Figure], ceilings: &Ceilings) -> String {
    let mut text = format!("{:<44} {:>11} {:>12}  {:>10} {:>10}\n", "", "stock", "instrumented", "figure", "ceiling");
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{}", ceilings::rounded(value)));
    for figure in figures {
        text.push_str(&format!(
            "{:<44} {:>11} {:>12}  {:>10} {:>10}  {}{}\n",
            figure.name,
            number(figure.stock),
            number(Some(figure.ours)),
            number(Some(figure.value)),
            number(ceilings.of(&figure.name)),
            figure.unit,
            if ceilings.judge(figure) == Verdict::Exceeded { "  EXCEEDED" } else { "" },
        ));
    }
    text
}

/// Says which lines of the ceiling file are to change; fails if a ceiling is exceeded or names no figure.
fn judge(figures: &[Figure], ceilings: &Ceilings, file: &str) -> Result<u8> {
    let mut failed = false;
    for figure in figures {
        let line = format!("\"{}\": {}", figure.name, ceilings::rounded(figure.value));
        match ceilings.judge(figure) {
            Verdict::Holds => {}
            Verdict::CouldBeLower => say(format_args!("lower the ceiling, {file}: {line}")),
            Verdict::NoCeiling => say(format_args!("no ceiling yet, {file}: {line}")),
            Verdict::Exceeded => {
                say(format_args!("above the ceiling of {file}: {line} {}", figure.unit));
                failed = true;
            }
        }
    }
    for name in ceilings.names().filter(|name| figures.iter().all(|figure| figure.name != *name)) {
        say(format_args!("{file} has a ceiling for `{name}`, which is no figure"));
        failed = true;
    }
    Ok(if failed { FAILURE } else { 0 })
}
