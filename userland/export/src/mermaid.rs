// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to mermaid`: a sequence diagram.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use mig_defs::table::Tables;

use crate::model::{About, Call, End, Port, Remark};
use crate::{Format, Out};

/// Who answers where no task of the trace does.
const KERNEL: &str = "K";
const OTHERS: &str = "O";

struct Mermaid {
    out: Out,
    /// Participants that have been named, by what they are called in arrows.
    named: HashMap<String, String>,
    /// Open calls, by the numbers of their requests; whether a task of the trace has received it.
    calls: HashMap<u64, bool>,
    /// Open exchanges that have an arrow.
    drawn: HashSet<u64>,
}

impl fmt::Debug for Mermaid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Mermaid")
    }
}

/// Begins one.
pub(crate) fn begin(mut out: Out, _: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    out.write_all(b"sequenceDiagram\n")?;
    Ok(Box::new(Mermaid { out, named: HashMap::new(), calls: HashMap::new(), drawn: HashSet::new() }))
}

/// Text in a diagram: whatever might mean something there is written by its number.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '_' | '.' | ',' | '(' | ')' | '[' | ']' | '=' | '/' => {
                out.push(letter)
            }
            other => {
                let _ = write!(out, "#{};", u32::from(other));
            }
        }
        out
    })
}

/// Whether the kernel receives from it.
fn is_kernels(port: &Port) -> bool {
    port.kind.is_some_and(|kind| !matches!(kind, "port" | "memory-object" | "port-set"))
}

impl Mermaid {
    fn participant(&mut self, key: &str, name: &str) -> io::Result<()> {
        if self.named.get(key).is_none_or(|known| known != name) {
            // What is called otherwise later keeps its place, and the name that it had first.
            if self.named.insert(key.into(), name.into()).is_none() {
                writeln!(self.out, "    participant {key} as {}", escaped(name))?;
            }
        }
        Ok(())
    }

    fn task(&mut self, index: usize, name: &str) -> io::Result<String> {
        let key = format!("T{index}");
        self.participant(&key, &format!("{name}[{index}]"))?;
        Ok(key)
    }

    fn arrow(&mut self, from: &str, arrow: &str, to: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "    {from}{arrow}{to}: {}", escaped(text))
    }

    /// Who answers what goes to a port that no task of the trace receives from.
    fn other(&mut self, port: Option<&Port>) -> io::Result<&'static str> {
        let (key, name) = if port.is_some_and(is_kernels) { (KERNEL, "the kernel") } else { (OTHERS, "not traced") };
        self.participant(key, name)?;
        Ok(key)
    }

    /// An answer, which is called as what it answers.
    fn answer(&mut self, call: &Call, from: &str, to: &str) -> io::Result<()> {
        match &call.result {
            Some(code) => self.arrow(from, "-->>", to, &format!("{} = {}", call.name, code.name)),
            None if call.reply.is_some() => self.arrow(from, "-->>", to, &format!("{} reply", call.name)),
            None => Ok(()),
        }
    }
}

impl Format for Mermaid {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        let correlation = call.request.as_ref().map_or(0, |request| request.correlation);
        if call.role == "client" && correlation != 0 {
            self.calls.insert(correlation, false);
        }
        let (Some(asker), "server") = (&call.asker, call.role) else { return Ok(()) };
        if let Some(is_received) = self.calls.get_mut(&correlation) {
            *is_received = true;
        }
        let server = self.task(call.task.index, &call.task.name)?;
        let client = self.task(asker.index, &asker.name)?;
        self.drawn.insert(call.id);
        self.arrow(&client, "->>", &server, &call.name)
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        let task = self.task(call.task.index, &call.task.name)?;
        let request = call.request.as_ref();
        let correlation = request.map_or(0, |request| request.correlation);
        match (call.role, call.outcome) {
            ("server", _) if self.drawn.remove(&call.id) => {
                let client = format!("T{}", call.asker.as_ref().map_or(0, |asker| asker.index));
                self.answer(call, &task, &client)
            }
            ("client", outcome) => {
                if self.calls.remove(&correlation) == Some(true) && outcome != "unanswered" {
                    // Both arrows are the server's.
                    return Ok(());
                }
                let port = request.and_then(|request| request.port.as_ref());
                match outcome {
                    // Who may receive it yet, or has lost it, is not known.
                    "unanswered" => self.arrow(&task, "-x", &task, &format!("{} = ? (no answer)", call.name)),
                    "one-way" if !port.is_some_and(is_kernels) => {
                        self.arrow(&task, "-)", &task, &format!("{} (sent)", call.name))
                    }
                    "one-way" => {
                        let kernel = self.other(port)?;
                        self.arrow(&task, "-)", kernel, &call.name)
                    }
                    _ => {
                        let other = self.other(port)?;
                        self.arrow(&task, "->>", other, &call.name)?;
                        self.answer(call, other, &task)
                    }
                }
            }
            ("failed", _) => {
                let result = call.result.as_ref().map_or("", |code| code.name.as_str());
                self.arrow(&task, "-x", &task, &format!("mach_msg of {} = {result}", call.name))
            }
            // Its client is not traced, or expects no answer.
            ("server", "one-way") => self.arrow(&task, "-)", &task, &format!("{} (received)", call.name)),
            ("server", _) => {
                let other = self.other(None)?;
                self.arrow(other, "->>", &task, &call.name)?;
                self.answer(call, &task, other)
            }
            // What others ask of the kernel about a task has no arrow of the task's.
            _ => Ok(()),
        }
    }

    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.participant(KERNEL, "the kernel")?;
        writeln!(self.out, "    Note over {KERNEL}: {}", escaped(&remark.text))
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        self.out.flush()
    }
}
