// SPDX-License-Identifier: GPL-2.0-or-later
//! The page of a large trace, measured in a headless Chromium on this machine: `cargo bench -p rpctrace2 --bench page`.
//!
//! The trace has a million messages unless `--messages N` says otherwise: programs that ask a server, which asks another and the kernel, with random
//! values and times, errors, two losses, and requests that are outstanding at the end. `--keep FILE` keeps the page, `--pictures FOLDER` pictures of it,
//! `--capture FILE` the capture. The figures are in docs/page.md.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use browser::{Browser, Screen};
use capture::{Facts, Writer};
use export::html::Html;
use serde_json::Value;

#[path = "../../../tests/src/browser.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests use more of it, as a library")]
mod browser;
#[path = "../tests/stages/common.rs"]
#[expect(dead_code, unused_imports, reason = "only what makes records is used")]
mod common;
#[path = "page/large.rs"]
mod large;

/// Messages of the trace.
const MESSAGES: usize = 1_000_000;

/// How long keys are held for each kind of movement.
const HELD: Duration = Duration::from_millis(2500);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| Some(words.get(words.iter().position(|word| word == name)? + 1)?.clone());
    let messages = option("--messages").map_or(Ok(MESSAGES), |number| number.parse()).context("--messages N")?;
    let place = tempfile::tempdir()?;
    let page = option("--keep").map_or_else(|| place.path().join("page.html"), PathBuf::from);
    write(messages, &page, option("--capture").as_deref())?;
    if browser::program().is_none() {
        println!("no Chromium is installed, so nothing more is measured");
        return Ok(());
    }
    opened(&page)?;
    moved(&page)?;
    if let Some(folder) = option("--pictures") {
        pictures(&page, Path::new(&folder))?;
    }
    Ok(())
}

/// Makes the page, and tells how large it is and how long that took.
fn write(messages: usize, page: &Path, capture: Option<&str>) -> Result<()> {
    let mut trace = common::usual_trace(&[]);
    let facts = vec![("kernel".to_owned(), "GNU Mach, made up for a benchmark".to_owned())];
    let file = io::BufWriter::new(fs::File::create(page)?);
    let (html, written) = Html::new(common::sample_tables(), Box::new(file), "a benchmark", facts);
    trace.analyse(Box::new(html));
    let mut kept = capture.map(|_| Writer::new(64, &Facts::default(), &common::BYTES));
    let (mut text, mut took) = (String::new(), Duration::ZERO);
    for message in large::messages(messages) {
        kept.iter_mut().for_each(|capture| capture.message(&message));
        let start = Instant::now();
        trace.message(&message, &mut text);
        took += start.elapsed();
        text.clear();
    }
    if let (Some(mut kept), Some(path)) = (kept, capture) {
        kept.finish();
        fs::File::create(path)?.write_all(kept.bytes())?;
    }
    let start = Instant::now();
    trace.finish(&mut text);
    took += start.elapsed();
    let written = written.take();
    if let Some(error) = written.error {
        return Err(error.into());
    }
    println!("{messages} messages, {} exchanges: {:.1} MB", written.exchanges, written.size as f64 / 1e6);
    println!("written in {:.1} s; bytes of {} messages left out", took.as_secs_f64(), written.left_out);
    Ok(())
}

/// Tells when something is seen, and when all is there.
fn opened(page: &Path) -> Result<()> {
    for round in 1..=3 {
        let mut browser = Browser::open(page, Screen::default(), &[])?;
        browser.wait_for("document.documentElement?.dataset.read === 'all'")?;
        let mark = "Object.fromEntries(performance.getEntries().filter((entry) => ['paint', 'mark'].includes(entry.entryType))\
                    .map((entry) => [entry.name, Math.round(entry.startTime)]))";
        println!("opened, round {round}: milliseconds to {}", browser.value(mark)?);
    }
    Ok(())
}

/// Tells how long frames are while the window moves, and how long finding takes.
fn moved(page: &Path) -> Result<()> {
    // Frames are made as quickly as they can be, instead of sixty times a second.
    let mut browser = Browser::open(page, Screen::default(), &["--disable-frame-rate-limit", "--disable-gpu-vsync"])?;
    browser.wait_for("document.documentElement?.dataset.read === 'all'")?;
    // From one frame's start to the next one's, of frames in which something was drawn: others are as long as the screen's.
    browser.value(
        "window.times = []; { let before = 0, isDrawn = false; const draw = CanvasRenderingContext2D.prototype.drawImage; \
         CanvasRenderingContext2D.prototype.drawImage = function (...words) { isDrawn = true; draw.apply(this, words); }; \
         const tick = (now) => { if (before && isDrawn) window.times.push(now - before); isDrawn = false; before = now; \
         requestAnimationFrame(tick); }; requestAnimationFrame(tick); } 0",
    )?;
    let mut all = Vec::new();
    for (what, keys, part) in [
        ("zooming in, at first", "w", 0.12),
        ("panning, half in sight", "d", 0.2),
        ("and back", "a", 0.2),
        ("zooming in", "w", 1.0),
        ("panning, near", "a", 1.0),
        ("zooming out", "s", 1.0),
    ] {
        browser.value("window.times.length = 0; 0")?;
        browser.hold(keys)?;
        std::thread::sleep(HELD.mul_f64(part));
        let times = browser.value("window.times")?;
        browser.key(keys)?;
        let times: Vec<f64> = times.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        println!("{what:<23} {}", percentiles(&times));
        all.extend(times);
    }
    println!("{:<23} {}", "all of these", percentiles(&all));
    for text in ["echo", "0x7f", "e", "no such text", "value: 1234)", "client2[3]"] {
        browser.value("document.getElementById('query').focus(); document.getElementById('query').select(); 0")?;
        browser.type_text(text)?;
        let found = browser.text("#found")?;
        let took = browser.value("performance.getEntriesByName('find').at(-1).duration")?;
        println!("find {text:<17} {:.0} ms, {found}", took.as_f64().unwrap_or_default());
    }
    let faults = browser.faults();
    anyhow::ensure!(faults.is_empty(), "the page says {faults:?}");
    Ok(())
}

fn percentiles(times: &[f64]) -> String {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    let (half, most) = (at(0.5), at(0.95));
    format!("{} frames, median {half:.1} ms, 95 % within {most:.1} ms, longest {:.1} ms", times.len(), at(0.999_999))
}

/// What it looks like.
fn pictures(page: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut browser = Browser::open(page, Screen::default(), &[])?;
    browser.wait_for("document.documentElement?.dataset.read === 'all'")?;
    std::thread::sleep(Duration::from_millis(400));
    fs::write(folder.join("large.png"), STANDARD.decode(browser.picture()?)?)?;
    Ok(())
}
