// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU's monitor, for people (HMP) or for programs (QMP), as far as a copy of the machine's memory needs it.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{PATIENCE, Stream};

/// What HMP says when it is ready for the next command.
const PROMPT: &str = "(qemu) ";

/// How long QEMU may take to write the memory.
const WRITING: Duration = Duration::from_secs(120);

/// Most bytes of one answer.
const LONGEST: usize = 1 << 20;

/// Writes the machine's memory into a file; a machine that runs stands still meanwhile.
pub(super) fn save(address: &str, file: &Path) -> io::Result<()> {
    let stream = Stream::connect(address)?;
    stream.set_patience(PATIENCE)?;
    let mut monitor = Monitor { stream, heard: Vec::new(), is_qmp: false };
    monitor.greet()?;
    let runs = monitor.runs()?;
    let bytes = monitor.bytes()?;
    if runs {
        monitor.simple("stop")?;
    }
    monitor.stream.set_patience(WRITING)?;
    let saved = monitor.save(bytes, file);
    monitor.stream.set_patience(PATIENCE)?;
    if runs {
        monitor.simple("cont")?;
    }
    saved?;
    match file.metadata() {
        Ok(found) if found.len() == bytes => Ok(()),
        Ok(found) => Err(unexpected(&format!("{bytes} bytes of memory"), &format!("{} bytes", found.len()))),
        Err(_) => Err(io::Error::other(
            "QEMU has written the memory elsewhere: it has to run on this machine, and see its /tmp",
        )),
    }
}

struct Monitor {
    stream: Stream,
    /// What came and was not used.
    heard: Vec<u8>,
    is_qmp: bool,
}

impl Monitor {
    /// Both kinds speak first.
    fn greet(&mut self) -> io::Result<()> {
        let greeting =
            self.until(|text| text.contains(PROMPT) || text.trim_start().starts_with('{') && text.contains('\n'))?;
        self.is_qmp = greeting.trim_start().starts_with('{');
        if self.is_qmp {
            self.heard.drain(..self.heard.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1));
            self.execute("qmp_capabilities", json!({}))?;
        } else {
            self.heard.clear();
        }
        Ok(())
    }

    fn runs(&mut self) -> io::Result<bool> {
        if self.is_qmp {
            let status = self.execute("query-status", json!({}))?;
            return status["running"].as_bool().ok_or_else(|| unexpected("whether it runs", &status.to_string()));
        }
        let status = self.command("info status")?;
        if !status.contains("VM status:") {
            return Err(unexpected("VM status", status.trim()));
        }
        Ok(status.contains("VM status: running"))
    }

    /// How much memory the machine has.
    fn bytes(&mut self) -> io::Result<u64> {
        if self.is_qmp {
            let answer = self.execute("query-memory-size-summary", json!({}))?;
            return answer["base-memory"].as_u64().ok_or_else(|| unexpected("base-memory", &answer.to_string()));
        }
        let answer = self.command("info memory_size_summary")?;
        let line = answer.lines().find_map(|line| line.trim().strip_prefix("base memory:"));
        let bytes = line.and_then(|number| number.trim().parse().ok());
        bytes.ok_or_else(|| unexpected("base memory", answer.trim()))
    }

    fn save(&mut self, bytes: u64, file: &Path) -> io::Result<()> {
        let name = file.to_string_lossy();
        if self.is_qmp {
            return self.execute("pmemsave", json!({"val": 0, "size": bytes, "filename": name})).map(drop);
        }
        let said = self.command(&format!("pmemsave 0 {bytes} \"{name}\""))?;
        // Besides the command, which a terminal's line editor prints while it is typed, it says nothing.
        match said.lines().find(|line| line.contains("Error") || line.contains("rror:")) {
            Some(error) => Err(unexpected("the memory", error.trim())),
            None => Ok(()),
        }
    }

    fn simple(&mut self, command: &str) -> io::Result<()> {
        if self.is_qmp { self.execute(command, json!({})).map(drop) } else { self.command(command).map(drop) }
    }

    /// A command of HMP; answers what is said up to the next prompt.
    fn command(&mut self, command: &str) -> io::Result<String> {
        self.stream.write_all(format!("{command}\n").as_bytes())?;
        // The line editor prints prompts again while a command is typed: the answer is behind the line's end.
        let said = self.until(|text| text.find('\n').is_some_and(|end| text[end..].contains(PROMPT)))?;
        self.heard.clear();
        let end = said.find('\n').map_or(0, |end| end + 1);
        Ok(said[end..].replace(PROMPT, ""))
    }

    /// A command of QMP; answers what it returns. Events are passed over.
    fn execute(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        self.stream.write_all(format!("{request}\n").as_bytes())?;
        loop {
            self.until(|text| text.contains('\n'))?;
            let end = self.heard.iter().position(|byte| *byte == b'\n').map_or(self.heard.len(), |end| end + 1);
            let line: Vec<u8> = self.heard.drain(..end).collect();
            let mut answer: Value = serde_json::from_slice(&line).map_err(io::Error::other)?;
            if let Some(error) = answer.get("error") {
                return Err(unexpected(command, &error["desc"].to_string()));
            }
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
        }
    }

    /// Reads until what is heard is enough.
    fn until(&mut self, is_enough: impl Fn(&str) -> bool) -> io::Result<String> {
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            if is_enough(&text) {
                return Ok(text);
            }
            if self.heard.len() > LONGEST {
                return Err(unexpected("an answer of QEMU's monitor", "no end of one"));
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(unexpected("an answer of QEMU's monitor", "the end of the connection")),
                count => self.heard.extend(buffer.iter().take(count)),
            }
        }
    }
}

fn unexpected(expected: &str, found: &str) -> io::Error {
    io::Error::other(format!("expected {expected}, found `{found}`"))
}
