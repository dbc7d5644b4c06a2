// SPDX-License-Identifier: GPL-2.0-or-later
//! The words of lines for single things, for who shows them otherwise than in lines: ASCII, with everything else escaped.

use alloc::string::String;

use exchanges::exchange::Remark;
use exchanges::memory::Found;
use exchanges::names::{Label, Names};
use exchanges::{Actor, Event, Subject};
use mig_defs::table::{Set, Tables};
use trace_port::{Direction, Port};

use crate::ports::{self, Seen};
use crate::{contents, lines, pieces, remarks};

/// `hello[1]`, or `hello[1/2]` of one of several threads.
pub fn label(label: Label<'_>) -> String {
    written(|out| ports::label(out, label))
}

/// Bytes, of which all that is not printable ASCII is escaped as in a string of C.
pub fn plain(bytes: &[u8]) -> String {
    written(|out| pieces::plain(out, bytes))
}

/// What a name in a message stands for, as the task sees it that sent or received the message.
pub fn port(names: &Names, actor: Actor, event: &Event, name: u32) -> String {
    written(|out| ports::port(out, Seen { names, actor, event, verbose: false }, name))
}

/// What a right in an array out of line of a message is.
pub fn element(names: &Names, actor: Actor, event: &Event, element: &Port) -> String {
    written(|out| ports::element(out, Seen { names, actor, event, verbose: false }, element))
}

/// A return code by its name, or as a number if it has none.
pub fn code(tables: Tables<'_>, code: i32) -> String {
    written(|out| pieces::code(out, tables, code))
}

/// What a number of a set means: a name, names of flags with `|` between them, or the number if it has none.
pub fn constants(set: Set<'_>, number: u32) -> String {
    written(|out| pieces::constants(out, set, number))
}

/// When memory out of line of a message was read that a task has sent, or has received.
pub const fn read_when(direction: Direction) -> &'static str {
    contents::read_when(direction)
}

/// Why memory out of line was not read; empty if it was.
pub fn not_read(tables: Tables<'_>, found: &Found) -> String {
    written(|out| contents::not_read(out, tables, found))
}

/// Why memory out of line was not read; the return code, or its name, belongs behind it where the kernel refused to; empty if it was read.
pub const fn begins_not_read(found: &Found) -> &'static str {
    contents::begins_not_read(found)
}

/// What a request is called: its routine, or `msgh_id 2999`, or `mach_msg` where there was no message.
pub fn subject(subject: Subject<'_>) -> String {
    written(|out| lines::subject(out, subject))
}

/// A remark about the trace, as its line has it.
pub fn remark(tables: Tables<'_>, names: &Names, remark: &Remark) -> String {
    written(|out| remarks::write(out, tables, names, remark))
}

fn written(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}
