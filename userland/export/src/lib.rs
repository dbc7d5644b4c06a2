// SPDX-License-Identifier: GPL-2.0-or-later
//! Exchanges in the forms that other tools read: docs/export.md.
//!
//! **What.** [`Export`] is an [`Analysis`](report::Analysis): it hears of a trace's exchanges, decodes each once to the [`model`] and hands that to a [`Format`],
//! which writes it. What is in memory is bounded by what is open at a time, not by the length of the trace.
//!
//! **Place in the flow.** `exchanges` -> [`Export`] -> [`decode`] -> a module for each form -> a file.
//!
//! **Invariants.** Whatever the bytes of a message, a name or a text are, what is written is valid in its form.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`Export`] and [`FORMATS`].
#![forbid(unsafe_code)]

mod causes;
mod decode;
mod driver;
mod folded;
pub mod html;
mod json;
mod jsonl;
mod lua;
mod mermaid;
pub mod model;
mod otlp;
mod pcapng;
mod perfetto;
mod proto;
pub mod seven;
mod sqlite;
mod strace;

use std::fmt;
use std::io::{self, Write};

use exchanges::{Actor, Event, Names};
use mig_defs::table::Tables;

pub use driver::{Export, Progress, Wanted};

use model::{About, Call, End, Remark};

/// Where a form is written.
pub type Out = Box<dyn Write>;

/// A form that is written while the trace is read. All times are nanoseconds since the epoch.
pub trait Format: fmt::Debug {
    /// A request was seen whose answer may come.
    ///
    /// # Errors
    /// If it cannot be written; so with all others.
    fn opened(&mut self, _call: &Call) -> io::Result<()> {
        Ok(())
    }

    /// All is known of an exchange. [`Format::opened`] was called of it if there was a request that an answer might have come to.
    ///
    /// # Errors
    /// If it cannot be written.
    fn closed(&mut self, call: &Call) -> io::Result<()>;

    /// A record, before anything is told that it brings about; not where only some are wanted.
    ///
    /// # Errors
    /// If it cannot be written.
    fn record(&mut self, _event: &Event) -> io::Result<()> {
        Ok(())
    }

    /// A task got a right by a trap.
    ///
    /// # Errors
    /// If it cannot be written.
    fn given(&mut self, _names: &Names, _actor: Actor, _event: &Event) -> io::Result<()> {
        Ok(())
    }

    /// Something about the trace itself.
    ///
    /// # Errors
    /// If it cannot be written.
    fn remark(&mut self, remark: &Remark) -> io::Result<()>;

    /// Nothing comes any more.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(&mut self, end: &End) -> io::Result<()>;
}

/// A form by its name.
#[derive(Clone, Copy)]
pub struct Form {
    /// What it is called after `--to`.
    pub name: &'static str,
    /// What it is, to the user.
    pub help: &'static str,
    /// Whether it is text that a terminal shows.
    pub is_text: bool,
    /// Begins one.
    pub begin: Begin,
}

/// Begins a form.
pub type BeginCalls = fn(Out, &About, Tables<'_>) -> io::Result<Box<dyn Format>>;

/// What a form is made of.
#[derive(Clone, Copy)]
pub enum Begin {
    /// Of calls, decoded once for all forms: [`Export`].
    Calls(BeginCalls),
    /// Of exchanges as they are: [`html::Html`].
    Exchanges,
}

/// All of them, in the order in which they are listed.
pub const FORMATS: &[Form] = &[
    Form { name: "html", help: "a page for a browser, in one file", is_text: false, begin: Begin::Exchanges },
    Form { name: "jsonl", help: "a JSON object a line, for scripts", is_text: true, begin: Begin::Calls(jsonl::begin) },
    Form {
        name: "perfetto",
        help: "a timeline for ui.perfetto.dev",
        is_text: false,
        begin: Begin::Calls(perfetto::begin),
    },
    Form {
        name: "pcapng",
        help: "a packet a record, for Wireshark",
        is_text: false,
        begin: Begin::Calls(pcapng::begin),
    },
    Form {
        name: "wireshark-lua",
        help: "Wireshark's dissector of these packets",
        is_text: true,
        begin: Begin::Calls(lua::begin),
    },
    Form { name: "sqlite", help: "a database", is_text: false, begin: Begin::Calls(sqlite::begin) },
    Form {
        name: "folded",
        help: "collapsed stacks of nanoseconds, for flame graphs",
        is_text: true,
        begin: Begin::Calls(folded::begin),
    },
    Form { name: "mermaid", help: "a sequence diagram", is_text: true, begin: Begin::Calls(mermaid::begin) },
    Form {
        name: "strace",
        help: "the calls in strace's spelling, for what reads that",
        is_text: true,
        begin: Begin::Calls(strace::begin),
    },
    Form { name: "otlp", help: "spans of OpenTelemetry in JSON", is_text: true, begin: Begin::Calls(otlp::begin) },
];
