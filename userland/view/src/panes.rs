// SPDX-License-Identifier: GPL-2.0-or-later
//! What the lower part of the screen says of the selected row.

use crate::app::{App, Pane};
use crate::store::{Kept, Row, Store};
use crate::words;

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Head(String),
    Wrong(String),
    Quiet(String),
    Plain(String),
}

/// The lines of the pane, of this width; of what has no end of its own so many.
pub(crate) fn lines(app: &App<'_>, width: usize, most: usize) -> Vec<Text> {
    let store = app.store.borrow();
    let Some(row) = app.selected() else { return Vec::new() };
    match (app.pane, store.of_row(row)) {
        (Pane::Console, _) => console(&store, row, most),
        (Pane::Message, None) => wrapped(Text::Plain(about(&store, row)), width),
        (_, None) => vec![Text::Quiet("this is no message".into())],
        (Pane::Message, Some((call, _))) => message(&store, call, width),
        (Pane::Bytes, Some((call, is_reply))) => bytes(&store, call, is_reply),
        (Pane::Ports, Some((call, _))) => ports(app, &store, row, call),
    }
}

fn about(store: &Store, row: u32) -> String {
    match store.rows.get(row as usize) {
        Some(Row::Note(note)) => store.notes.get(*note as usize).map_or("", |note| store.text_of(note)).to_owned(),
        _ => String::new(),
    }
}

fn message(store: &Store, call: &Kept, width: usize) -> Vec<Text> {
    let tree = words::tree(&store.call(call)).into_iter().map(|branch| match (branch.is_wrong, branch.is_head) {
        (true, _) => Text::Wrong(branch.text),
        (false, true) => Text::Head(branch.text),
        (false, false) => Text::Plain(branch.text),
    });
    tree.flat_map(|text| wrapped(text, width)).collect()
}

/// A line in as many as it takes, the others further in.
fn wrapped(text: Text, width: usize) -> Vec<Text> {
    let (make, text): (fn(String) -> Text, String) = match text {
        Text::Head(text) => (Text::Head, text),
        Text::Wrong(text) => (Text::Wrong, text),
        Text::Quiet(text) => (Text::Quiet, text),
        Text::Plain(text) => (Text::Plain, text),
    };
    let text = words::clean(&text).into_owned();
    let indent = text.len() - text.trim_start().len() + 4;
    let (mut out, mut rest, mut begin) = (Vec::new(), text.as_str(), String::new());
    loop {
        let room = width.saturating_sub(begin.len()).max(8);
        // It is ASCII. A space is a better place to break than another, if there is one.
        let end = if rest.len() <= room {
            rest.len()
        } else {
            rest[..room].rfind(' ').filter(|place| *place > room / 2).map_or(room, |place| place + 1)
        };
        out.push(make(format!("{begin}{}", rest[..end].trim_end())));
        rest = &rest[end..];
        if rest.is_empty() {
            return out;
        }
        begin = " ".repeat(indent.min(width / 2));
    }
}

fn bytes(store: &Store, call: &Kept, is_reply: bool) -> Vec<Text> {
    let mut out = Vec::new();
    let mut parts = [("request", &call.request), ("reply", &call.reply)];
    if is_reply {
        // What is selected comes first.
        parts.reverse();
    }
    for (what, message) in parts {
        let Some(message) = message else { continue };
        let bytes = store.raw(message);
        let way = if message.is_sent { "sent" } else { "received" };
        out.push(Text::Head(format!("{what} {way}, record {}, {} bytes here", message.sequence, bytes.len())));
        out.extend(words::hex(bytes).map(Text::Plain));
    }
    out
}

fn ports(app: &App<'_>, store: &Store, row: u32, call: &Kept) -> Vec<Text> {
    let (sequence, label) = (store.sequence_of(row), store.label_of(call));
    let names = store.rights.at(call.task, sequence);
    let head = format!("names of {label} that the trace saw come and not go, after record {sequence}: {}", names.len());
    let mut out = vec![Text::Head(head)];
    let is_after_loss = store.rows.iter().take(row as usize).any(|row| match row {
        Row::Note(note) => store.notes.get(*note as usize).is_some_and(|note| note.is_loss),
        _ => false,
    });
    if is_after_loss {
        out.push(Text::Wrong("records were lost before: names may have come or gone unseen".into()));
    }
    if app.about.is_partial {
        out.push(Text::Wrong("only some messages are selected: names may have come or gone unseen".into()));
    }
    out.extend(names.iter().map(|(name, held)| {
        let mut rights = Vec::new();
        if held.has_receive {
            rights.push("receive".to_owned());
        }
        if held.send > 0 {
            rights.push(format!("send x{}", held.send));
        }
        if held.has_once {
            rights.push("send-once".into());
        }
        if held.is_dead {
            rights.push("dead".into());
        }
        Text::Plain(format!("  {name:>6}  {:<22} {}   since record {}", rights.join(", "), held.label, held.since))
    }));
    out.push(Text::Quiet("not in it: what it had before the trace, and reply rights".into()));
    out
}

fn console(store: &Store, row: u32, most: usize) -> Vec<Text> {
    if store.console.is_empty() {
        return vec![Text::Quiet("the trace has no device_write_inband to the console".into())];
    }
    let sequence = store.sequence_of(row);
    let mut out =
        vec![Text::Head(format!("what the trace's programs have written to the console by record {sequence}"))];
    out.extend(store.console.lines(sequence, most.saturating_sub(1)).into_iter().map(Text::Plain));
    out
}
