// SPDX-License-Identifier: GPL-2.0-or-later
//! What programs have written to the console, as far as the trace has it.

use export::model::{Call, Value};

/// How the console's device port is called.
const CONSOLE: &str = "device \"console\"";

/// The text, in the order in which it was sent.
#[derive(Debug, Default)]
pub(crate) struct Console {
    /// The place in the order of the record that sent it, and it.
    written: Vec<(u64, Box<[u8]>)>,
}

impl Console {
    /// Takes what a call has written, if it has.
    pub(crate) fn closed(&mut self, call: &Call) {
        let is_written = matches!(call.outcome, "answered" | "one-way") && !call.has_failed && call.role == "client";
        if !is_written || !matches!(call.name.as_str(), "device_write_inband" | "device_write_request_inband") {
            return;
        }
        let Some(request) = call.request.as_ref().filter(|request| request.is_sent) else { return };
        if request.port.as_ref().is_none_or(|port| port.label != CONSOLE) {
            return;
        }
        let bytes = request.arguments.iter().find_map(|field| match &field.value {
            Value::Text(bytes) | Value::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return };
        let place = self.written.iter().rposition(|(other, _)| *other <= request.sequence).map_or(0, |place| place + 1);
        self.written.insert(place, (request.sequence, bytes.into()));
    }

    /// Whether anything was written in the whole trace.
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The last lines, so many at most, of what was written by the record at this place: printable, whatever was written.
    pub(crate) fn lines(&self, sequence: u64, most: usize) -> Vec<String> {
        let end = self.written.partition_point(|(other, _)| *other <= sequence);
        let mut first = end;
        let mut breaks = 0;
        while first > 0 && breaks <= most {
            first -= 1;
            breaks += self.written[first].1.iter().filter(|byte| **byte == b'\n').count();
        }
        let text: Vec<u8> = self.written[first..end].iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let lines = text
            .split(|byte| *byte == b'\n')
            .map(|line| line.iter().filter(|byte| **byte != b'\r').map(shown).collect());
        let mut lines: Vec<String> = lines.collect();
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.drain(..lines.len().saturating_sub(most));
        lines
    }
}

/// A byte as a terminal may have it.
fn shown(byte: &u8) -> String {
    match byte {
        b'\t' => "    ".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => byte.escape_ascii().to_string(),
    }
}
