// SPDX-License-Identifier: GPL-2.0-or-later
//! The page of a trace, opened from a file in a headless browser, clicked and typed to as its user would.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rpctrace2::host::export;
use serde_json::json;
use tempfile::TempDir;
use tests::browser::{Browser, Screen};
use tests::guest::qemu;

/// All texts have been read, so that what is not found is not there.
const IS_READ: &str = "document.documentElement?.dataset.read === 'all'";

/// What the page says that its window shows, in nanoseconds.
const LENGTH: &str = "nanoseconds(document.querySelector('#window').textContent)";

/// The window's length now; from here on the page knows what `LENGTH` calls.
fn length(browser: &mut Browser) -> Result<f64> {
    browser.value(
        "globalThis.nanoseconds = (text) => { const [, number, unit] = /([\\d.]+) (ns|µs|ms|s)\\b/.exec(text); \
         return number * { ns: 1, 'µs': 1e3, ms: 1e6, s: 1e9 }[unit]; }; null",
    )?;
    browser.value(LENGTH)?.as_f64().context("the window's length")
}

/// The page of a program's trace, in a folder that goes with the first.
fn page_of(program: &str, options: &[&str]) -> Result<(TempDir, PathBuf, String)> {
    let place = tempfile::tempdir()?;
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (trace, kept, file) = (path("trace"), path("kept"), path("page.html"));
    let mut line = options.to_vec();
    line.extend(["rpctrace2", "-o", &trace, "--capture", &kept, program]);
    let run = qemu(&line)?;
    let status =
        export::run(&["--to", "html", "-o", &file, &kept].map(str::to_owned)).with_context(|| run.stderr.clone())?;
    assert!(status <= 1, "{}", run.stderr);
    let printed = fs::read_to_string(&trace)?;
    Ok((place, PathBuf::from(file), printed))
}

fn open(file: &Path, screen: Screen) -> Result<Browser> {
    let mut browser = Browser::open(file, screen, &[])?;
    browser.wait_for(IS_READ)?;
    Ok(browser)
}

/// Nothing was refused, and nothing thrown; and nothing was asked of a network.
fn check_faults(browser: &mut Browser) -> Result<()> {
    let faults = browser.faults();
    assert!(faults.is_empty(), "{faults:?}");
    let loaded = browser.value("performance.getEntriesByType('resource').length")?;
    assert_eq!(loaded, json!(0));
    Ok(())
}

/// Where the middle of an element is.
fn middle(browser: &mut Browser, selector: &str) -> Result<(f64, f64)> {
    let place = browser.value(&format!(
        "(() => {{ const box = document.querySelector({}).getBoundingClientRect(); \
         return [box.left + box.width / 2, box.top + box.height / 2]; }})()",
        json!(selector)
    ))?;
    let part = |at: usize| place[at].as_f64().context("a number");
    Ok((part(0)?, part(1)?))
}

#[test]
#[ignore = "needs a kernel, QEMU and Chromium: run cargo qemu test"]
fn a_page_is_searched_walked_and_clicked() -> Result<()> {
    let (_place, file, printed) = page_of("ping", &[])?;
    let mut browser = open(&file, Screen::default())?;
    assert_eq!(browser.text("#title")?, "ping");
    // What is printed of a call stands in the table, and its fields and bytes beside it.
    assert!(printed.contains("number: 20)"), "{printed}");
    browser.key("/")?;
    browser.type_text("number: 20)")?;
    browser.wait_for("document.querySelector('#found').textContent.startsWith('2 of ')")?;
    browser.key("Enter")?;
    browser.wait_for("document.querySelector('#details dl.fields') !== null")?;
    assert_eq!(browser.text("#details h2")?, "ping");
    let details = browser.text("#details")?;
    for expected in
        ["call", "answered", "number20", "KERN_SUCCESS", "doubled40", "Bytes of the request", "Bytes of the reply"]
    {
        assert!(details.contains(expected), "{expected}: {details}");
    }
    // The other end is a key away, and its message has the same number.
    let of = |text: &str| {
        text.split("message ").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
    };
    let sent = of(&details).context("the message's number")?;
    browser.key("Escape")?;
    browser.key("g")?;
    browser.wait_for("document.querySelector('#details dl').textContent.includes('request received')")?;
    browser.wait_for("document.querySelector('#details dl.fields') !== null")?;
    let received = browser.text("#details")?;
    assert!(received.contains("(ping)[2]"), "{received}");
    assert_eq!(of(&received), Some(sent), "{received}");
    // The table has it selected, and says how many rows it has though it has few.
    assert_eq!(browser.value("document.querySelectorAll('tr[aria-current=true]').length")?, json!(1));
    check_faults(&mut browser)
}

#[test]
#[ignore = "needs a kernel, QEMU and Chromium: run cargo qemu test"]
fn keys_alone_move_zoom_and_switch() -> Result<()> {
    let (_place, file, _) = page_of("ping", &[])?;
    let mut browser = open(&file, Screen::default())?;
    let all = browser.value("Number(document.querySelector('table').ariaRowCount || document.querySelector('table').getAttribute('aria-rowcount'))")?;
    assert!(all.as_u64() > Some(20), "{all}");
    let whole = length(&mut browser)?;
    // What the page says of its window follows when nothing moves any more.
    browser.hold("w")?;
    browser
        .value("new Promise((go) => requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(go), 100)))")?;
    browser.key("w")?;
    browser.wait_for(&format!("{LENGTH} < 0.99 * {whole}"))?;
    browser.key("0")?;
    browser.wait_for(&format!("{LENGTH} === {whole}"))?;
    browser.wait_for(&format!("document.querySelector('table').getAttribute('aria-rowcount') === '{all}'"))?;
    // Next, fitted: a window of the call's length, whatever that is, and somewhat more.
    browser.key(".")?;
    browser.key("f")?;
    let took = "nanoseconds([...document.querySelectorAll('#details dt')].find((term) => \
                /^(took|waited)$/.test(term.textContent)).nextElementSibling.textContent)";
    browser.wait_for(&format!("{LENGTH} >= {took} && {LENGTH} <= 1.5 * {took} + 100"))?;
    browser.key("?")?;
    assert_eq!(browser.value("document.querySelector('#keys').open")?, json!(true));
    browser.key("Escape")?;
    browser.wait_for("!document.querySelector('#keys').open")?;
    browser.key("v")?;
    assert_eq!(browser.text("#view")?, "Timeline");
    browser.key("2")?;
    browser.wait_for("document.querySelector('#tab-routines').getAttribute('aria-selected') === 'true'")?;
    assert!(browser.text("#panel")?.starts_with("routine"));
    let theme = "document.documentElement.dataset.theme";
    assert_eq!(browser.value(theme)?, json!("light"));
    browser.key("t")?;
    assert_eq!(browser.value(theme)?, json!("dark"));
    check_faults(&mut browser)
}

#[test]
#[ignore = "needs a kernel, QEMU and Chromium: run cargo qemu test"]
fn the_pointer_brushes_and_picks() -> Result<()> {
    let (_place, file, _) = page_of("ping", &[])?;
    let mut browser = open(&file, Screen { is_dark: true, ..Screen::default() })?;
    assert_eq!(browser.value("document.documentElement.dataset.theme")?, json!("dark"));
    let (x, y) = middle(&mut browser, "#overview")?;
    let whole = length(&mut browser)?;
    browser.drag((x * 0.02, y), (x * 1.1, y))?;
    browser.wait_for(&format!("{LENGTH} < 0.6 * {whole}"))?;
    let row = middle(&mut browser, "tbody tr[data-row] td:nth-child(4)")?;
    let name = browser.text("tbody tr[data-row] td:nth-child(4)")?;
    browser.click(row)?;
    browser.wait_for("document.querySelector('#details dl.fields') !== null")?;
    assert_eq!(browser.text("#details h2")?, name);
    // On a narrow screen nothing sticks out.
    browser.resize(Screen { width: 400, height: 800, is_dark: false })?;
    let too_wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.value(too_wide)?, json!(false));
    check_faults(&mut browser)
}

#[test]
#[ignore = "needs a kernel, QEMU and Chromium: run cargo qemu test"]
fn what_was_outstanding_is_listed() -> Result<()> {
    let (_place, file, printed) = page_of("deadlock", &["--timeout", "20"])?;
    assert!(printed.contains("ping("), "{printed}");
    let mut browser = open(&file, Screen::default())?;
    browser.key("o")?;
    browser.wait_for("document.querySelectorAll('#panel tbody tr').length >= 2")?;
    let listed = browser.text("#panel tbody")?;
    assert!(listed.contains("deadlock[1]") && listed.contains("(deadlock)[2]") && listed.contains("ping"), "{listed}");
    check_faults(&mut browser)
}

/// Whatever a trace says of itself stays text.
#[test]
#[ignore = "needs Chromium: run cargo qemu test"]
fn text_of_the_trace_is_no_markup() -> Result<()> {
    const HOSTILE: &str = "</script><script>document.title='broken-out'</script><img src=x onerror=\"document.title='broken-out'\">{{data}}";
    let place = tempfile::tempdir()?;
    let (kept, file) = (place.path().join("kept"), place.path().join("page.html"));
    let facts = capture::Facts::default().with(capture::Fact::Command, HOSTILE).with(capture::Fact::Kernel, HOSTILE);
    let mut writer = capture::Writer::new(64, &facts, &mig_defs::interfaces::without_routines());
    writer.finish();
    fs::write(&kept, writer.bytes())?;
    let words = ["--to".to_owned(), "html".into(), "-o".into(), file.display().to_string(), kept.display().to_string()];
    assert_eq!(export::run(&words)?, 0);
    let written = fs::read_to_string(&file)?;
    assert!(!written.contains("broken-out"), "the trace's text stands in the file as it is");
    let mut browser = open(&file, Screen::default())?;
    assert_eq!(browser.text("#title")?, HOSTILE);
    assert!(browser.value("document.title")?.as_str().is_some_and(|title| title.starts_with(HOSTILE)));
    assert!(browser.text("#details")?.contains(HOSTILE));
    assert_eq!(browser.value("document.images.length")?, json!(0));
    check_faults(&mut browser)
}
