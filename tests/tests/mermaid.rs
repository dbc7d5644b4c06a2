// SPDX-License-Identifier: GPL-2.0-or-later
//! `export --to mermaid`, read by Mermaid itself in a headless browser. Its scripts are those that the package aquamarine brings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rpctrace2::host::export;
use serde_json::{Value, json};
use tests::browser::{Browser, Screen};

/// Where a package of the workspace's own lock file lies.
fn package(name: &str) -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    // What other machines need is not fetched for it.
    let platform = format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH);
    command.args(["metadata", "--format-version=1", "--locked", &platform, "--manifest-path"]).arg(manifest);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let found = packages.iter().find(|package| package["name"] == name).with_context(|| format!("no {name}"))?;
    let manifest = Path::new(found["manifest_path"].as_str().context("a path")?);
    Ok(manifest.parent().context("a folder")?.to_owned())
}

/// A browser with Mermaid in it.
fn mermaid(place: &Path) -> Result<Browser> {
    let script = package("aquamarine")?.join("doc/js/mermaid.esm.min.mjs");
    let file = place.join("mermaid.html");
    let page = format!(
        "<script type=\"module\">import mermaid from {}; mermaid.initialize({{ startOnLoad: false }}); \
         globalThis.mermaid = mermaid;</script>",
        json!(format!("file://{}", script.display()))
    );
    fs::write(&file, page)?;
    // Modules of files are of different origins to it otherwise.
    let mut browser = Browser::open(&file, Screen::default(), &["--allow-file-access-from-files"])?;
    browser.wait_for("globalThis.mermaid !== undefined")?;
    Ok(browser)
}

/// What the lines of a diagram say: from, to, and Mermaid's number of the arrow or note (its `LINETYPE`).
fn expected(diagram: &str) -> Vec<Value> {
    const ARROWS: [(&str, u32); 4] = [("-->>", 1), ("->>", 0), ("-)", 24), ("-x", 3)];
    let lines = diagram.lines().skip(1).map(str::trim_start).filter(|line| !line.starts_with("participant "));
    let said = lines.map(|line| {
        if let Some(note) = line.strip_prefix("Note over ") {
            let (name, _) = note.split_once(": ").expect(line);
            return json!([name, name, 2]);
        }
        let (ends, _) = line.split_once(": ").expect(line);
        let arrow = ARROWS.into_iter().find_map(|(arrow, kind)| Some((ends.split_once(arrow)?, kind)));
        let ((from, to), kind) = arrow.expect(line);
        json!([from, to, kind])
    });
    said.collect()
}

#[test]
#[ignore = "needs Chromium: run cargo qemu test"]
fn mermaid_reads_every_arrow() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut browser = mermaid(place.path())?;
    for (name, least) in [("deadlock.mtrc", 39), ("echo.mtrc", 180)] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name);
        let out = place.path().join("diagram");
        let words = ["--to", "mermaid", "-o", &out.to_string_lossy(), &file.to_string_lossy()].map(str::to_owned);
        assert_eq!(export::run(&words)?, 0);
        let diagram = fs::read_to_string(&out)?;
        let read = format!(
            "(async () => {{ const {{ db, type }} = await mermaid.mermaidAPI.getDiagramFromText({}); \
             const messages = db.getMessages().map((one) => [one.from, one.to, one.type]); \
             return {{ type, messages, actors: Object.values(db.getActors()).map((one) => one.name) }}; }})()",
            json!(diagram)
        );
        let read = browser.value(&read)?;
        let expected = expected(&diagram);
        assert!(expected.len() >= least, "{diagram}");
        assert_eq!((&read["type"], &read["messages"]), (&json!("sequence"), &json!(expected)), "{diagram}");
        let named =
            diagram.lines().filter_map(|line| line.trim_start().strip_prefix("participant ")?.split(' ').next());
        assert_eq!(read["actors"], json!(named.collect::<Vec<_>>()), "{diagram}");
        // It can be drawn, too.
        let drawn =
            browser.value(&format!("mermaid.render('drawn', {}).then((drawn) => drawn.svg)", json!(diagram)))?;
        assert!(
            drawn.as_str().is_some_and(|svg| svg.starts_with("<svg") && svg.contains("mach_port_allocate")),
            "{name}"
        );
    }
    // It would say so otherwise.
    let wrong = browser.value("mermaid.parse('sequenceDiagram\\n  T1->>').then(() => 'taken', () => 'refused')")?;
    assert_eq!(wrong, json!("refused"));
    Ok(())
}
