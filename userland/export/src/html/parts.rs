// SPDX-License-Identifier: GPL-2.0-or-later
//! The page's data: numbers of seven bits a byte, lowest first, in columns, compressed (RFC 1951) and in base 64.
//!
//! What page/model.js reads is written here, in this order, and nowhere else.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exchanges::Names;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::chunks::{BYTES, Chunks, EXCHANGES};
use super::page::Page;
use super::rows::{Marks, Row, Rows};
use crate::seven::{number, signed};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Columns of the histogram that is there at once.
const BUCKETS: usize = 1024;

/// Most bytes of a file that messages' bytes are in; what is drawn and its texts may need more.
const FILE: usize = 24_500_000;

/// What the file has besides its program, each in base 64.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What is drawn first.
    pub(super) overview: String,
    /// What is drawn.
    pub(super) columns: String,
    /// Texts.
    pub(super) texts: Vec<String>,
    /// Bytes of messages; fewer than texts if they would make the file too large.
    pub(super) bytes: Vec<String>,
    /// Messages whose bytes are not there.
    pub(super) left_out: u64,
}

/// Takes all that is known into the page's form.
pub(super) fn build(rows: &mut Rows, marks: &Marks, names: &Names, chunks: &mut Chunks, page: &Page) -> Parts {
    chunks.flush();
    rows.end();
    let mut order: Vec<u32> = (0..rows.rows.len() as u32).collect();
    order.sort_by_key(|at| rows.rows.get(*at as usize).map(|row| (row.start, row.first)));
    let mut parts = Parts { columns: encode(&columns(rows, &order)), ..Parts::default() };
    parts.texts = chunks.texts.drain(..).map(|chunk| STANDARD.encode(chunk)).collect();
    let mut size = parts.columns.len() + parts.texts.iter().map(String::len).sum::<usize>();
    for (chunk, messages) in chunks.bytes.drain(..) {
        let encoded = STANDARD.encode(chunk);
        if parts.left_out > 0 || size + encoded.len() > FILE {
            parts.left_out += messages;
        } else {
            size += encoded.len();
            parts.bytes.push(encoded);
        }
    }
    parts.overview = encode(&overview(rows, marks, names, page, &parts));
    parts
}

/// Appends a text and how long it is.
fn text(out: &mut Vec<u8>, text: &[u8]) {
    number(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Bytes, compressed.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    // A vector takes whatever is written.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(deflate(bytes))
}

/// What is drawn first: facts, lanes, names, marks, and how much there was when.
fn overview(rows: &Rows, marks: &Marks, names: &Names, page: &Page, parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    let (first, last) = rows.span.unwrap_or_default();
    let bytes = [parts.texts.len(), parts.bytes.len(), EXCHANGES, BYTES].map(|count| count as u64);
    let counts = [rows.len() as u64, rows.messages, first / SECOND, first % SECOND, last - first];
    for value in counts.into_iter().chain(bytes).chain([marks.lost, parts.left_out]) {
        number(&mut out, value);
    }
    text(&mut out, page.title.as_bytes());
    number(&mut out, page.facts.len() as u64);
    for (name, value) in &page.facts {
        text(&mut out, name.as_bytes());
        text(&mut out, value.as_bytes());
    }
    number(&mut out, rows.lanes.len() as u64);
    for actor in &rows.lanes {
        let label = names.label(actor.task, actor.thread);
        number(&mut out, label.task as u64);
        number(&mut out, label.thread.map_or(0, |thread| thread as u64));
        text(&mut out, String::from_utf8_lossy(label.name).as_bytes());
    }
    number(&mut out, rows.names.len() as u64);
    rows.names.iter().for_each(|name| text(&mut out, name.as_bytes()));
    number(&mut out, marks.all.len() as u64);
    for mark in &marks.all {
        number(&mut out, mark.time.clamp(first, last) - first);
        number(&mut out, mark.lost.into());
        text(&mut out, mark.text.as_bytes());
    }
    let mut buckets = [(0, 0); BUCKETS];
    for row in &rows.rows {
        let at = u128::from(row.start.saturating_sub(first)) * BUCKETS as u128 / (u128::from(last - first) + 1);
        if let Some((all, failed)) = buckets.get_mut(at as usize) {
            *all += 1;
            *failed += u64::from(row.has_failed());
        }
    }
    number(&mut out, BUCKETS as u64);
    for (all, failed) in buckets {
        number(&mut out, all);
        number(&mut out, failed);
    }
    out
}

/// Appends a row's value: where to, the row's place in the order in which they began, that in which they were closed, and the row.
type Value<'a> = dyn FnMut(&mut Vec<u8>, usize, u32, &Row) + 'a;

/// The rows in the order in which they began, column by column, each with its size before it.
fn columns(rows: &Rows, order: &[u32]) -> Vec<u8> {
    let mut place = vec![0_i64; order.len()];
    for (index, at) in order.iter().enumerate() {
        if let Some(place) = place.get_mut(*at as usize) {
            *place = index as i64;
        }
    }
    let mut out = Vec::new();
    let mut column = |write: &mut Value<'_>| {
        let mut bytes = Vec::new();
        for (index, at) in order.iter().enumerate() {
            if let Some(row) = rows.rows.get(*at as usize) {
                write(&mut bytes, index, *at, row);
            }
        }
        text(&mut out, &bytes);
    };
    let mut before = rows.span.unwrap_or_default().0;
    column(&mut |out, _, _, row| {
        number(out, row.start.saturating_sub(before));
        before = row.start;
    });
    column(&mut |out, _, _, row| number(out, row.took));
    let mut first = 0;
    column(&mut |out, _, _, row| {
        signed(out, row.first.wrapping_sub(first) as i64);
        first = row.first;
    });
    column(&mut |out, _, _, row| number(out, row.records));
    column(&mut |out, _, _, row| number(out, row.lane.into()));
    column(&mut |out, _, _, row| number(out, row.what.into()));
    column(&mut |out, _, _, row| out.push(row.flags));
    // How many rows before; 0 is none, as no row is linked to itself.
    column(&mut |out, index, _, row| {
        let other = row.link.and_then(|other| place.get(other as usize));
        signed(out, other.map_or(0, |other| index as i64 - other));
    });
    column(&mut |out, _, _, row| number(out, row.peer.map_or(0, |peer| peer as u64 + 1)));
    let mut expected = 0;
    column(&mut |out, _, at, _| {
        signed(out, i64::from(at) - expected);
        expected = i64::from(at) + 1;
    });
    out
}

impl Row {
    fn has_failed(&self) -> bool {
        matches!(self.flags >> 3 & 7, 1 | 4)
    }
}
