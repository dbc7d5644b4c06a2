// SPDX-License-Identifier: GPL-2.0-or-later
//! A headless Chromium that opens a page, and is clicked, typed to and measured: the DevTools protocol over a pair of pipes, one JSON object after
//! another with a NUL behind each.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What it may be called; the first is enough, and the smallest.
const PROGRAMS: [&str; 2] = ["chromium-headless-shell", "chromium"];

/// How long a page may take until something holds that is waited for: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    calls: u64,
    /// What went wrong in the page, each in its own words.
    faults: VecDeque<String>,
    /// Its profile.
    _place: tempfile::TempDir,
}

/// How a page is shown.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Points from left to right.
    pub width: u32,
    /// Points from top to bottom.
    pub height: u32,
    /// The user prefers dark colours.
    pub is_dark: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self { width: 1280, height: 800, is_dark: false }
    }
}

/// The browser's program, if it is in `PATH`.
#[must_use]
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = PROGRAMS.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
    found.into_iter().find(|file| file.is_file())
}

impl Browser {
    /// Starts one, with these arguments besides the usual ones, and opens a file.
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub fn open(file: &Path, screen: Screen, arguments: &[&str]) -> Result<Self> {
        let program = program().context("no Chromium is installed: cargo qemu test installs it")?;
        let place = tempfile::tempdir()?;
        // It takes commands at descriptor 3 and answers at 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"]).arg(&program);
        command.args(["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.arg(format!("--user-data-dir={}", place.path().display())).args(arguments);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        let (session, faults) = (String::new(), VecDeque::new());
        let mut browser = Self { process, input, output, session, calls: 0, faults, _place: place };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &attach)?;
        browser.session = session["sessionId"].as_str().context("a session")?.to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({}))?;
        }
        browser.resize(screen)?;
        let url = format!("file://{}", fs::canonicalize(file)?.display());
        browser.call("Page.navigate", &json!({"url": url}))?;
        Ok(browser)
    }

    /// Shows the page on another screen.
    ///
    /// # Errors
    /// If the browser does not answer; so with all others.
    pub fn resize(&mut self, screen: Screen) -> Result<()> {
        let size = json!({"width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if screen.is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// Gives a command of the DevTools protocol; answers what came of it.
    ///
    /// # Errors
    /// If the browser does not know it, or ends.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.calls += 1;
        let mut command = json!({"id": self.calls, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.input.write_all(format!("{command}\0").as_bytes())?;
        self.input.flush()?;
        loop {
            let mut message = Vec::new();
            if self.output.read_until(0, &mut message)? == 0 {
                bail!("{method}: the browser has ended");
            }
            let message: Value = serde_json::from_slice(message.strip_suffix(&[0]).unwrap_or(&message))?;
            if message["id"] == json!(self.calls) {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].clone());
            }
            match message["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.faults.push_back(message["params"].to_string()),
                Some("Log.entryAdded") => self.faults.push_back(message["params"]["entry"].to_string()),
                _ => {}
            }
        }
    }

    /// The value of an expression in the page; of a promise, what it comes to.
    ///
    /// # Errors
    /// If it throws.
    pub fn value(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", &parameters)?;
        if let Some(thrown) = result.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// The text of the first element that a selector finds; empty if none.
    ///
    /// # Errors
    /// If the selector is none.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        let text = self.value(&format!("document.querySelector({})?.textContent ?? ''", json!(selector)))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// If it is not within a minute: what the page said of itself meanwhile.
    pub fn wait_for(&mut self, expression: &str) -> Result<()> {
        let start = Instant::now();
        while self.value(expression)? != json!(true) {
            if start.elapsed() > PATIENCE {
                bail!("not so within {PATIENCE:?}: {expression}; {:?}", self.faults);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Presses a key and lets it go: a letter, or a name such as `Escape`.
    pub fn key(&mut self, key: &str) -> Result<()> {
        self.hold(key)?;
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": key})).map(drop)
    }

    /// Presses a key.
    pub fn hold(&mut self, key: &str) -> Result<()> {
        let mut event = json!({"type": "keyDown", "key": key});
        match key {
            "Enter" => event["text"] = json!("\r"),
            letter if letter.chars().count() == 1 => event["text"] = json!(letter),
            _ => {}
        }
        self.call("Input.dispatchKeyEvent", &event).map(drop)
    }

    /// Types a text where the focus is.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", &json!({"text": text})).map(drop)
    }

    /// Moves the pointer, presses, moves on and lets go.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) -> Result<()> {
        for (kind, (x, y)) in [("mouseMoved", from), ("mousePressed", from), ("mouseMoved", to), ("mouseReleased", to)]
        {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let held = i32::from(kind == "mouseMoved" && (x, y) == to && from != to);
            let event = json!({"type": kind, "x": x, "y": y, "button": button, "buttons": held, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Clicks at a place of the page.
    pub fn click(&mut self, place: (f64, f64)) -> Result<()> {
        self.drag(place, place)
    }

    /// What went wrong in the page so far: exceptions, and what the browser refused to load or run.
    pub fn faults(&mut self) -> Vec<String> {
        self.faults.drain(..).collect()
    }

    /// A picture of what is on the screen, as a PNG file in base 64.
    pub fn picture(&mut self) -> Result<String> {
        let answer = self.call("Page.captureScreenshot", &json!({"format": "png"}))?;
        Ok(answer["data"].as_str().context("a picture")?.to_owned())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
