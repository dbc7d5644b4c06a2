// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU's monitor, for people (HMP) or for programs (QMP), as far as a copy of the machine's memory needs it.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::copy::Copy;
use super::wire::{PATIENCE, Wire, ended, shown};
use crate::ending::Ending;

/// What HMP says when it is ready for the next command.
const PROMPT: &str = "(qemu) ";

/// How long QEMU may take to write a piece of the memory.
const WRITING: Duration = Duration::from_secs(120);

/// Bytes of such a piece. HMP takes a size of 32 bits, and between two of them it is seen whether this process is to end.
const PIECE: u64 = if cfg!(test) { 3 << 20 } else { 256 << 20 };

/// How often a machine that stands still is told to go on, where answers are late.
const TRIES: usize = 4;

/// Writes the machine's memory into a copy; a machine that runs stands still meanwhile, and runs on afterwards whatever fails.
pub(super) fn save(address: &str, copy: &Copy, ending: &Ending) -> io::Result<()> {
    let name = name(&copy.piece())?;
    let wire = Wire::connect(address, ending)?;
    let mut monitor = Monitor { wire, heard: Vec::new(), is_qmp: false, asked: 0 };
    monitor.greet()?;
    let runs = monitor.runs()?;
    let bytes = monitor.bytes()?;
    copy.set_len(bytes)?;
    if !runs {
        return monitor.save(bytes, copy, &name, ending);
    }
    monitor.wire.gives_way = false;
    let saved = monitor.simple("stop").and_then(|()| monitor.save(bytes, copy, &name, ending));
    let told = saved.as_ref().map_err(|_| ()).and_then(|()| monitor.simple("cont").map_err(drop));
    let goes_on = told.or_else(|()| monitor.go_on());
    saved.and(goes_on.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{error}; the machine may stand still: `cont` on the monitor lets it go on"),
        )
    }))
}

/// A file's name, as either monitor can be told it.
fn name(file: &Path) -> io::Result<String> {
    let name = file.to_str().filter(|name| !name.contains(char::is_control));
    name.map(str::to_owned).ok_or_else(|| {
        io::Error::other(format!(
            "expected a folder for temporary files (TMPDIR) whose name is UTF-8 without control characters, found {file:?}"
        ))
    })
}

struct Monitor<'a> {
    wire: Wire<'a>,
    /// What came and was not used.
    heard: Vec<u8>,
    is_qmp: bool,
    /// Commands of QMP that were sent: by its number an answer is known.
    asked: u64,
}

impl Monitor<'_> {
    /// Both kinds speak first.
    fn greet(&mut self) -> io::Result<()> {
        let greeting =
            self.until(|text| text.contains(PROMPT) || text.trim_start().starts_with('{') && text.contains('\n'))?;
        self.is_qmp = greeting.trim_start().starts_with('{');
        if self.is_qmp {
            self.heard.drain(..self.heard.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1));
            self.execute("qmp_capabilities", json!({}), PATIENCE)?;
        } else {
            self.heard.clear();
        }
        Ok(())
    }

    fn runs(&mut self) -> io::Result<bool> {
        if self.is_qmp {
            let status = self.execute("query-status", json!({}), PATIENCE)?;
            return status["running"].as_bool().ok_or_else(|| unexpected("whether it runs", &status.to_string()));
        }
        let status = self.command("info status", PATIENCE)?;
        if !status.contains("VM status:") {
            return Err(unexpected("VM status", &status));
        }
        Ok(status.contains("VM status: running"))
    }

    /// How much memory the machine has.
    fn bytes(&mut self) -> io::Result<u64> {
        if self.is_qmp {
            let answer = self.execute("query-memory-size-summary", json!({}), PATIENCE)?;
            return answer["base-memory"].as_u64().ok_or_else(|| unexpected("base-memory", &answer.to_string()));
        }
        let answer = self.command("info memory_size_summary", PATIENCE)?;
        let line = answer.lines().find_map(|line| line.trim().strip_prefix("base memory:"));
        let bytes = line.and_then(|number| number.trim().parse().ok());
        bytes.ok_or_else(|| unexpected("base memory", &answer))
    }

    fn save(&mut self, bytes: u64, copy: &Copy, name: &str, ending: &Ending) -> io::Result<()> {
        let mut at = 0;
        while at < bytes {
            ended(ending)?;
            let size = PIECE.min(bytes - at);
            copy.begin_piece()?;
            let said = self.piece(at, size, name)?;
            let written = copy.written()?;
            if written != size {
                return Err(self.unwritten(size, written, &said, copy));
            }
            copy.take_piece(at)?;
            at += size;
        }
        Ok(())
    }

    /// Has so many bytes at an address written; answers what HMP says of it, which is nothing if all is well.
    fn piece(&mut self, at: u64, size: u64, name: &str) -> io::Result<String> {
        if self.is_qmp {
            let arguments = json!({"val": at, "size": size, "filename": name});
            return self.execute("pmemsave", arguments, WRITING).map(|_| String::new());
        }
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        self.command(&format!("pmemsave {at} {size} \"{name}\""), WRITING)
    }

    fn unwritten(&self, size: u64, written: u64, said: &str, copy: &Copy) -> io::Error {
        if !said.trim().is_empty() {
            return io::Error::other(format!("QEMU's pmemsave: {}", shown(said)));
        }
        if written > 0 {
            return unexpected(&format!("{size} bytes of memory"), &format!("{written} bytes"));
        }
        let folder = copy.folder().parent().unwrap_or(copy.folder()).display();
        io::Error::other(format!(
            "QEMU has written the memory elsewhere: it has to run on this machine, and see its {folder}"
        ))
    }

    fn simple(&mut self, command: &str) -> io::Result<()> {
        if self.is_qmp {
            self.execute(command, json!({}), PATIENCE).map(drop)
        } else {
            self.command(command, PATIENCE).map(drop)
        }
    }

    /// Lets the machine go on where something has failed. The answer to what failed may still come, in the place of a later one: that it runs is what counts.
    fn go_on(&mut self) -> io::Result<()> {
        let mut told = self.simple("cont");
        for _ in 0..TRIES {
            match self.runs() {
                Ok(true) => return Ok(()),
                Ok(false) => told = self.simple("cont"),
                Err(error) => told = Err(error),
            }
        }
        told.and_then(|()| Err(unexpected("a machine that runs", "one that stands still")))
    }

    /// A command of HMP; answers what is said up to the next prompt.
    fn command(&mut self, command: &str, patience: Duration) -> io::Result<String> {
        self.wire.ask(format!("{command}\n").as_bytes(), patience)?;
        // The line editor prints prompts again while a command is typed: the answer is behind the line's end.
        let said = self.until(|text| text.find('\n').is_some_and(|end| text[end..].contains(PROMPT)))?;
        self.heard.clear();
        let end = said.find('\n').map_or(0, |end| end + 1);
        Ok(said[end..].replace(PROMPT, ""))
    }

    /// A command of QMP; answers what it returns. Events, and answers to what was given up, are passed over.
    fn execute(&mut self, command: &str, arguments: Value, patience: Duration) -> io::Result<Value> {
        self.asked += 1;
        let request = json!({"execute": command, "arguments": arguments, "id": self.asked});
        self.wire.ask(format!("{request}\n").as_bytes(), patience)?;
        loop {
            self.until(|text| text.contains('\n'))?;
            let end = self.heard.iter().position(|byte| *byte == b'\n').map_or(self.heard.len(), |end| end + 1);
            let line: Vec<u8> = self.heard.drain(..end).collect();
            let mut answer: Value = serde_json::from_slice(&line).map_err(io::Error::other)?;
            if answer.get("id").is_some_and(|id| *id != self.asked) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                return Err(unexpected(command, error["desc"].as_str().unwrap_or_default()));
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
            match self.wire.read(&mut buffer)? {
                0 => return Err(unexpected("an answer of QEMU's monitor", "the end of the connection")),
                count => self.heard.extend(buffer.iter().take(count)),
            }
        }
    }
}

fn unexpected(expected: &str, found: &str) -> io::Error {
    io::Error::other(format!("expected {expected}, found `{}`", shown(found)))
}
