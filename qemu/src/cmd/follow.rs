// SPDX-License-Identifier: GPL-2.0-or-later
//! The part of `cargo qemu bench` that follows both kernels step by step: measured stack depths, and `--profile`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object as _, ObjectSymbol as _};
use qemu::bench::Figure;
use qemu::bench::steps::{self, MARK, Part, Places};
use qemu::kernel::KernelElf;
use qemu::setup::{self, Choices};
use qemu::vm;

/// The guest program with the parts to follow.
const PROGRAM: &str = "bench-steps";

/// Functions with less than this share of a part's instructions are left out of the profile.
const SHARE: u64 = 200;

/// What ran in one part on each kernel.
pub(crate) struct Followed {
    name: String,
    stock: Part,
    ours: Part,
}

/// Follows every part on the stock and on the instrumented kernel; `kernel` is the stock one.
pub(crate) fn follow(choices: &Choices, kernel: &KernelElf) -> Result<Vec<Followed>> {
    let (names, mut ours) = parts(&Choices { stock: false, ..choices.clone() }, kernel)?;
    let (_, mut stock) = parts(&Choices { stock: true, ..choices.clone() }, kernel)?;
    let both = names.into_iter().map(|(number, name)| {
        let missing = || format!("{PROGRAM} did not mark part {number}, {name}");
        let stock = stock.remove(&number).with_context(missing)?;
        let ours = ours.remove(&number).with_context(missing)?;
        Ok(Followed { name, stock, ours })
    });
    both.collect()
}

/// Boots one kernel under the debugger.
fn parts(choices: &Choices, kernel: &KernelElf) -> Result<(BTreeMap<u64, String>, BTreeMap<u64, Part>)> {
    let prepared = setup::prepare(choices)?;
    let program = prepared.program(PROGRAM).with_context(|| format!("no program {PROGRAM}"))?;
    let places = Places { mark: mark(program)?, active_stack: steps::active_stack(kernel)? };
    let directory = prepared.boot_directory(&[PROGRAM.to_owned()], &[])?;
    let mut console = Vec::new();
    let follower = |place: &Path| steps::follow(place, places);
    let (outcome, found) =
        vm::run_followed(&prepared.machine, directory.path(), prepared.limits, &mut console, follower);
    let found = found.with_context(|| format!("following {PROGRAM}"))?;
    let text = String::from_utf8_lossy(&console).into_owned();
    match outcome?.status {
        0 => Ok((steps::names(&text)?, found)),
        status => bail!("{PROGRAM} ended with {status}:\n{text}"),
    }
}

/// Address of the mark in the program.
fn mark(program: &Path) -> Result<u64> {
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let file = object::File::parse(&bytes[..]).with_context(|| format!("reading {}", program.display()))?;
    let symbol = file.symbol_by_name(MARK).map(|symbol| symbol.address());
    symbol.with_context(|| format!("{} has no symbol {MARK}", program.display()))
}

/// How much deeper the stacks get.
pub(crate) fn figures(followed: &[Followed]) -> Vec<Figure> {
    let figure = |part: &Followed| {
        let (stock, ours) = (part.stock.deepest as f64, part.ours.deepest as f64);
        let name = format!("measured stack, {}", part.name).into();
        let unit = "bytes deeper than stock";
        Figure { name, stock: Some(stock), ours, value: ours - stock, unit, counted: "bytes of stack" }
    };
    followed.iter().map(figure).collect()
}

/// Instructions by function, part by part; `name` says which function an address belongs to.
pub(crate) fn profile(followed: &[Followed], name: impl Fn(u64) -> String) -> String {
    let mut text = String::new();
    for part in followed {
        let (stock, ours) = (part.stock.by_function(&name), part.ours.by_function(&name));
        let before: BTreeMap<&str, u64> = stock.iter().map(|(function, count)| (function.as_str(), *count)).collect();
        let total = part.ours.instructions();
        text.push_str(&format!("{:<44} {:>8} {:>13}\n", part.name, "stock", "instrumented"));
        text.push_str(&format!(
            "  {:<42} {:>8} {total:>13}\n",
            "instructions in the kernel",
            part.stock.instructions()
        ));
        let (mut shown, mut shown_stock) = (0, 0);
        for (function, count) in ours.iter().filter(|(_, count)| count * SHARE >= total) {
            let stock = before.get(function.as_str());
            (shown, shown_stock) = (shown + count, shown_stock + stock.unwrap_or(&0));
            let stock = stock.map_or_else(|| "-".to_owned(), u64::to_string);
            text.push_str(&format!("  {function:<42} {stock:>8} {count:>13}\n"));
        }
        let rest = part.stock.instructions() - shown_stock;
        text.push_str(&format!("  {:<42} {rest:>8} {:>13}\n", "all others", total - shown));
        let at = |part: &Part| format!("{} in {}", part.deepest, name(part.deepest_at));
        text.push_str(&format!("  deepest stack: stock {}, instrumented {}\n", at(&part.stock), at(&part.ours)));
    }
    text
}
