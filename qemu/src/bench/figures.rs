// SPDX-License-Identifier: GPL-2.0-or-later
//! From the measurements of both kernels to the figures that have a ceiling.

use std::borrow::Cow;

use crate::bench::results::{BenchError, Results};

/// One figure: what tracing costs, beside the stock kernel's number where there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name in the table, in bench.json and in the ceiling file.
    pub name: Cow<'static, str>,
    /// The stock kernel's measurement.
    pub stock: Option<f64>,
    /// The instrumented kernel's.
    pub ours: f64,
    /// What the ceiling is for.
    pub value: f64,
    /// Unit of `value`.
    pub unit: &'static str,
    /// What `stock` and `ours` count.
    pub counted: &'static str,
}

const EACH: &str = "instructions a call";
const MORE: &str = "instructions more per mach_msg";
const TIMES: &str = "times stock";

/// Size of the payload in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadSize {
    /// Text, constants and data.
    pub file: u64,
    /// Those and zeroed memory.
    pub memory: u64,
}

/// Every figure that follows from instruction counts and sizes.
pub fn figures(stock: &Results, ours: &Results, payload: PayloadSize) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    // A kernel RPC is one mach_msg; an RPC of another task is one of the client and one of the server.
    for (name, base, case, calls) in [
        ("kernel RPC, nobody traced", "untraced/kernel-rpc", "untraced/kernel-rpc", 1.0),
        ("task RPC, nobody traced", "untraced/task-rpc", "untraced/task-rpc", 2.0),
        ("kernel RPC, after the last trace", "untraced/kernel-rpc", "untraced-again/kernel-rpc", 1.0),
        ("kernel RPC, another task traced", "untraced/kernel-rpc", "other-traced/kernel-rpc", 1.0),
        ("task RPC, another task traced", "untraced/task-rpc", "other-traced/task-rpc", 2.0),
        ("kernel RPC, an engine that asks for no messages", "untraced/kernel-rpc", "unasked/kernel-rpc", 1.0),
        ("kernel RPC, an engine whose rules allow none", "untraced/kernel-rpc", "filtered/kernel-rpc", 1.0),
        ("one message, an engine whose rules allow none", "untraced/send-32", "filtered/send-32", 1.0),
        ("task RPC, client by an engine whose rules allow none", "untraced/task-rpc", "filtered/task-rpc", 2.0),
        ("task RPC, both by engines whose rules allow none", "untraced/task-rpc", "both-filtered/task-rpc", 2.0),
    ] {
        let (stock, ours) = (stock.each(base)?, ours.each(case)?);
        let value = (ours - stock) / calls;
        figures.push(Figure { name: name.into(), stock: Some(stock), ours, value, unit: MORE, counted: EACH });
    }
    for (name, base, case) in [
        ("kernel RPC, client traced, its own thread", "untraced/kernel-rpc", "traced/kernel-rpc"),
        ("kernel RPC, client traced, after engines", "untraced/kernel-rpc", "traced-again/kernel-rpc"),
        ("kernel RPC, client traced, whole machine", "untraced/kernel-rpc", "machine/kernel-rpc"),
        ("task RPC, client traced, whole machine", "untraced/task-rpc", "machine/task-rpc"),
        ("task RPC, both traced, whole machine", "untraced/task-rpc", "both-traced/task-rpc"),
        ("kernel RPC, client traced into a ring, its own thread", "untraced/kernel-rpc", "ring/kernel-rpc"),
        ("kernel RPC, client traced into a ring, whole machine", "untraced/kernel-rpc", "ring-machine/kernel-rpc"),
        ("task RPC, client traced into a ring, whole machine", "untraced/task-rpc", "ring-machine/task-rpc"),
        ("task RPC, both traced into a ring, whole machine", "untraced/task-rpc", "ring-both/task-rpc"),
        ("kernel RPC, 1 engine, its own thread", "untraced/kernel-rpc", "engines-1/kernel-rpc"),
        ("kernel RPC, 2 engines, its own thread", "untraced/kernel-rpc", "engines-2/kernel-rpc"),
        ("kernel RPC, 8 engines, its own thread", "untraced/kernel-rpc", "engines-8/kernel-rpc"),
    ] {
        let (stock, ours) = (stock.each(base)?, ours.each(case)?);
        figures.push(Figure {
            name: name.into(),
            stock: Some(stock),
            ours,
            value: ours / stock,
            unit: TIMES,
            counted: EACH,
        });
    }
    for (name, small, large) in
        [("recording a byte, 1 KiB to 4 KiB", 1024, 4096), ("recording a byte, 4 KiB to 64 KiB", 4096, 65536)]
    {
        figures.push(per_byte(name, stock, ours, small, large)?);
    }
    let alone = ours.each("traced/kernel-rpc")?;
    for (name, case) in [
        ("kernel RPC, 16 tasks traced", "traced-16/kernel-rpc"),
        ("kernel RPC, 256 tasks traced", "traced-256/kernel-rpc"),
        ("kernel RPC, 10000 tasks traced", "traced-10000/kernel-rpc"),
    ] {
        let many = ours.each(case)?;
        let value = many / alone;
        figures.push(Figure {
            name: name.into(),
            stock: None,
            ours: many,
            value,
            unit: "times one task traced",
            counted: EACH,
        });
    }
    figures.push(whole(
        "one record read from a ring",
        ours.each("ring/reading")?,
        "instructions",
        "instructions a record",
    ));
    for (name, size) in [("payload text and data", payload.file), ("payload with zeroed memory", payload.memory)] {
        figures.push(whole(name, size as f64, "bytes", "bytes"));
    }
    Ok(figures)
}

/// A figure of which the stock kernel has nothing.
fn whole(name: &'static str, value: f64, unit: &'static str, counted: &'static str) -> Figure {
    Figure { name: name.into(), stock: None, ours: value, value, unit, counted }
}

/// What the machine's recorder costs everybody, with the headers of messages and with all of them.
pub fn recorder_figures(stock: &Results, headers: &Results, all: &Results) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for (name, case, ours) in [
        ("kernel RPC, recorder with headers", "untraced/kernel-rpc", headers),
        ("kernel RPC, recorder with all", "untraced/kernel-rpc", all),
        ("task RPC, recorder with headers", "untraced/task-rpc", headers),
        ("task RPC, recorder with all", "untraced/task-rpc", all),
    ] {
        let (stock, ours) = (stock.each(case)?, ours.each(case)?);
        let (value, unit) = (ours / stock, TIMES);
        figures.push(Figure { name: name.into(), stock: Some(stock), ours, value, unit, counted: EACH });
    }
    Ok(figures)
}

/// What [`tool_figures`] calls the program that nobody traces.
pub const UNTRACED: &str = "tool-untraced";

/// Uses of rpctrace2 that are measured: a word for each, and the options. Lines cost the same whether they go to a file of the host's or
/// to its terminal.
pub const USES: [(&str, &[&str]); 4] = [
    ("tool-filtered", &["-e", "trace=none"]),
    ("tool-counts", &["-c"]),
    ("tool-lines", &[]),
    ("tool-kernel-filter", &["--as", "bench", "--kernel-filter", "-e", "trace=host_reboot"]),
];

/// What everybody does for an RPC of a program that rpctrace2 traces: the program, the kernel, rpctrace2, and the console for its lines.
pub fn tool_figures(results: &Results) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for (name, case, rpc) in [
        ("rpctrace2, all filtered out, kernel RPC", USES[0].0, "kernel-rpc"),
        ("rpctrace2 -c, kernel RPC", USES[1].0, "kernel-rpc"),
        ("rpctrace2, a line each, kernel RPC", USES[2].0, "kernel-rpc"),
        ("rpctrace2, all filtered out, task RPC", USES[0].0, "task-rpc"),
        ("rpctrace2 --kernel-filter, kernel RPC", USES[3].0, "kernel-rpc"),
    ] {
        let (stock, ours) = (results.each(&format!("{UNTRACED}/{rpc}"))?, results.each(&format!("{case}/{rpc}"))?);
        let value = ours.round();
        figures.push(Figure {
            name: name.into(),
            stock: Some(stock),
            ours,
            value,
            unit: "instructions",
            counted: EACH,
        });
    }
    Ok(figures)
}

/// What recording adds to sending one byte, against one copy of it by the kernel (`copyin`, which is what a byte more costs
/// an untraced sender of small messages).
fn per_byte(name: &'static str, stock: &Results, ours: &Results, small: u32, large: u32) -> Result<Figure, BenchError> {
    let more = |results: &Results, who: &str, small: u32, large: u32| -> Result<f64, BenchError> {
        let cost = |size: u32| results.each(&format!("{who}/send-{size}"));
        Ok((cost(large)? - cost(small)?) / f64::from(large - small))
    };
    let copy = more(stock, "untraced", 32, 1024)?;
    let recording = more(ours, "traced", small, large)? - more(stock, "untraced", small, large)?;
    Ok(Figure {
        name: name.into(),
        stock: Some(copy),
        ours: recording,
        value: recording / copy,
        unit: "times one copy",
        counted: "instructions a byte",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = "\
bench untraced/kernel-rpc 8400 7
bench untraced/task-rpc 14000 7
bench untraced/send-32 600 1
bench untraced/send-1024 724 1
bench untraced/send-4096 1108 1
bench untraced/send-65536 38788 1
";

    const OURS: &str = "\
bench untraced/kernel-rpc 8421 7
bench untraced/task-rpc 14028 7
bench untraced-again/kernel-rpc 8421 7
bench other-traced/kernel-rpc 8470 7
bench other-traced/task-rpc 14140 7
bench traced/kernel-rpc 16800 7
bench traced-again/kernel-rpc 16800 7
bench traced/send-32 1300 1
bench traced/send-1024 1548 1
bench traced/send-4096 2316 1
bench traced/send-65536 47676 1
bench machine/kernel-rpc 192000 64
bench machine/task-rpc 256000 64
bench both-traced/task-rpc 512000 64
bench unasked/kernel-rpc 8610 7
bench filtered/kernel-rpc 10500 7
bench filtered/send-32 650 1
bench filtered/task-rpc 14700 7
bench both-filtered/task-rpc 15400 7
bench engines-1/kernel-rpc 21000 7
bench engines-2/kernel-rpc 25200 7
bench engines-8/kernel-rpc 50400 7
bench ring/kernel-rpc 12600 7
bench ring-machine/kernel-rpc 9830400 4096
bench ring-machine/task-rpc 12288000 4096
bench ring-both/task-rpc 16384000 4096
bench ring/reading 61000 600
bench traced-16/kernel-rpc 16800 7
bench traced-256/kernel-rpc 17640 7
bench traced-10000/kernel-rpc 16800 7
";

    #[test]
    fn a_recorder_is_held_against_the_stock_kernel() {
        let [stock, headers] = [STOCK, OURS].map(|text| Results::parse(text).unwrap());
        let all = Results::parse("bench untraced/kernel-rpc 16800 7\nbench untraced/task-rpc 21000 7\n").unwrap();
        let found = recorder_figures(&stock, &headers, &all).unwrap();
        let values: Vec<f64> = found.iter().map(|figure| figure.value).collect();
        assert_eq!(values, [8421.0 / 8400.0, 2.0, 14028.0 / 14000.0, 1.5]);
        assert!(recorder_figures(&stock, &headers, &Results::default()).is_err());
    }

    #[test]
    fn each_figure_is_what_its_unit_says() {
        let stock = Results::parse(STOCK).unwrap();
        let ours = Results::parse(OURS).unwrap();
        let found = figures(&stock, &ours, PayloadSize { file: 10, memory: 20 }).unwrap();
        let value = |name: &str| found.iter().find(|figure| figure.name == name).unwrap().value;
        assert_eq!(value("kernel RPC, nobody traced"), 3.0);
        assert_eq!(value("task RPC, nobody traced"), 2.0);
        assert_eq!(value("kernel RPC, after the last trace"), 3.0);
        assert_eq!(value("kernel RPC, another task traced"), 10.0);
        assert_eq!(value("task RPC, another task traced"), 10.0);
        assert_eq!(value("kernel RPC, an engine that asks for no messages"), 30.0);
        assert_eq!(value("one message, an engine whose rules allow none"), 50.0);
        assert_eq!(value("task RPC, both by engines whose rules allow none"), 100.0);
        assert_eq!(value("kernel RPC, 8 engines, its own thread"), 6.0);
        assert_eq!(value("kernel RPC, client traced, its own thread"), 2.0);
        assert_eq!(value("kernel RPC, client traced, whole machine"), 2.5);
        assert_eq!(value("task RPC, both traced, whole machine"), 4.0);
        assert_eq!(value("kernel RPC, client traced into a ring, its own thread"), 1.5);
        assert_eq!(value("kernel RPC, client traced into a ring, whole machine"), 2.0);
        assert_eq!(value("task RPC, both traced into a ring, whole machine"), 2.0);
        assert!((value("one record read from a ring") - 101.666).abs() < 0.001);
        // 0.125 a byte is one copy; recording adds another one.
        assert_eq!(value("recording a byte, 1 KiB to 4 KiB"), 1.0);
        assert!((value("recording a byte, 4 KiB to 64 KiB") - 1.0).abs() < 0.01);
        assert!((value("kernel RPC, 256 tasks traced") - 1.05).abs() < 1e-9);
        assert_eq!(value("payload text and data"), 10.0);
    }

    #[test]
    fn the_tools_figures_are_whole_instructions() {
        let mut text = String::new();
        for case in [UNTRACED].into_iter().chain(USES.map(|(case, _)| case)) {
            text += &format!("bench {case}/kernel-rpc 9011 2\nbench {case}/task-rpc 30000 2\n");
        }
        let found = tool_figures(&Results::parse(&text).unwrap()).unwrap();
        let values: Vec<f64> = found.iter().map(|figure| figure.value).collect();
        assert_eq!(values, [4506.0, 4506.0, 4506.0, 15000.0, 4506.0]);
        assert!(tool_figures(&Results::parse("").unwrap()).is_err());
    }

    #[test]
    fn a_case_that_was_not_measured_is_an_error() {
        let stock = Results::parse(STOCK).unwrap();
        let error = figures(&stock, &stock, PayloadSize { file: 0, memory: 0 }).unwrap_err();
        assert_eq!(error, BenchError::Missing { case: "untraced-again/kernel-rpc".to_owned() });
    }
}
