// SPDX-License-Identifier: GPL-2.0-or-later
//! What a word of a trace means: a routine, a `msgh_id`, a code, a constant, what a port is called.
//!
//! Everything but the sentences of [`words`] comes from the decode tables.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use mig_defs::table::{Form, ItemRole, Routine, Tables, Type, TypeKind};

use crate::number::hexadecimal;

mod words;

/// Most structs in a struct whose members are listed.
const DEPTH: usize = 3;

/// Appends everything that a word means by these tables; `false` if that is nothing.
pub fn explain(tables: Tables<'_>, word: &str, out: &mut String) -> bool {
    let before = out.len();
    match number(word) {
        Some(value) => of_number(tables, value, out),
        None => of_name(tables, word, out),
    }
    out.len() > before
}

/// A number as it is written in a trace, or in C.
fn number(word: &str) -> Option<i64> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => digits.parse::<u32>().ok()?,
    };
    Some(sign * i64::from(value))
}

fn of_number(tables: Tables<'_>, value: i64, out: &mut String) {
    if let Ok(id) = u32::try_from(value) {
        tables.requests(id).for_each(|named| routine(out, named));
        if let Some(asked) = tables.reply(id) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "msgh_id {id}: the reply of {} (request {})", asked.name(), asked.request_id());
        }
    }
    let code = i32::try_from(value).ok().or_else(|| u32::try_from(value).ok().map(|bits| bits as i32));
    if let Some((code, name)) = code.and_then(|code| Some((code, tables.error_name(code)?))) {
        out.push_str(&error(code, name));
    }
}

fn of_name(tables: Tables<'_>, word: &str, out: &mut String) {
    let is_it = |name: &str| name.eq_ignore_ascii_case(word);
    tables.routines().filter(|named| is_it(named.name())).for_each(|named| routine(out, named));
    let members: Vec<Routine<'_>> = tables.routines().filter(|named| is_it(named.subsystem())).collect();
    if let Some(first) = members.first() {
        let _ = writeln!(out, "subsystem {}, {} routines:", first.subsystem(), members.len());
        for member in &members {
            let _ = writeln!(out, "  {:>7}  {}", member.request_id(), member.name());
        }
    }
    // Several tables have the same codes and sets.
    let mut said: Vec<String> = Vec::new();
    let mut say = |paragraph: String| {
        if !said.contains(&paragraph) {
            out.push_str(&paragraph);
            said.push(paragraph);
        }
    };
    tables.errors().filter(|(_, name)| is_it(name)).for_each(|(code, name)| say(error(code, name)));
    for set in tables.sets() {
        for (value, name) in set.values().filter(|(_, name)| is_it(name)) {
            let what = if set.is_flags() { "a flag" } else { "a value" };
            say(format!("{name}: {value:#x} ({value}), {what} of {}\n", set.name()));
        }
        if is_it(set.name()) {
            let values = set.values().map(|(value, name)| format!("  {value:>#10x}  {name}\n"));
            let head = format!("{}: {}\n", set.name(), if set.is_flags() { "flags" } else { "one of" });
            say(head + &values.collect::<String>());
        }
    }
    if let Some((name, meaning)) = words::PORTS.iter().find(|(name, _)| is_it(name)) {
        let _ = writeln!(out, "{name}: {meaning}");
    }
}

fn error(code: i32, name: &str) -> String {
    let mut out = format!("{name}: {code}");
    if !(-0x1000..0x1000).contains(&code) {
        out.push_str(" (");
        hexadecimal(&mut out, (code as u32).into());
        out.push(')');
    }
    if let Some((_, meaning)) = words::CODES.iter().find(|(known, _)| *known == name) {
        let _ = write!(out, ": {meaning}");
    }
    out.push('\n');
    out
}

fn routine(out: &mut String, routine: Routine<'_>) {
    let (name, id, subsystem) = (routine.name(), routine.request_id(), routine.subsystem());
    let _ = match routine.reply_id() {
        Some(reply) => writeln!(out, "{name}: a routine of {subsystem}, request {id}, reply {reply}"),
        None => writeln!(out, "{name}: a routine of {subsystem}, request {id}, no reply"),
    };
    if routine.is_name_only() {
        out.push_str("  only its name is known\n");
        return;
    }
    let _ = writeln!(out, "  request, {} bytes or more:", routine.request_size());
    items(out, routine, false);
    if routine.reply_id().is_some() {
        let _ = writeln!(out, "  reply, {} bytes or more if it has not failed:", routine.reply_size());
        items(out, routine, true);
    }
}

fn items(out: &mut String, routine: Routine<'_>, of_reply: bool) {
    for item in routine.items(of_reply) {
        let about = match item.role() {
            ItemRole::RequestPort => ", which the request goes to",
            ItemRole::Count => ", how many elements the caller has room for",
            ItemRole::Argument | ItemRole::RetCode => "",
        };
        let ty = item.ty();
        let _ = write!(out, "    {}: {}", item.name(), type_text(ty));
        out.push_str(about);
        if let Some(set) = item.set() {
            let _ = write!(out, ", {} {}", if set.is_flags() { "flags of" } else { "one of" }, set.name());
        }
        out.push_str(form_text(item.form()));
        if item.choice().is_some() {
            out.push_str(", of a type that the request says");
        }
        out.push('\n');
        members(out, ty.element(), 6, DEPTH);
    }
}

fn members(out: &mut String, ty: Type<'_>, column: usize, depth: usize) {
    for member in ty.members().filter(|_| depth > 0) {
        let _ = write!(out, "{:column$}{}: {}", "", member.name, type_text(member.ty));
        if member.flags != 0 {
            let _ = write!(out, ", if a bit of {:#x} is set", member.flags);
        }
        out.push('\n');
        members(out, member.ty.element(), column + 2, depth - 1);
    }
}

fn form_text(form: Form) -> &'static str {
    match form {
        Form::Plain | Form::Sparse => "",
        Form::Path => ", a file name",
        Form::Hexadecimal => ", an address or a register",
        Form::Microseconds => ", a time in seconds and microseconds",
        Form::Nanoseconds => ", a time in seconds and nanoseconds",
        Form::WaitStatus => ", what became of a process",
    }
}

/// `vm_size_t (unsigned, 8 bytes)`.
fn type_text(ty: Type<'_>) -> String {
    let element = ty.element();
    let what = match element.kind() {
        TypeKind::Unsigned => "unsigned",
        TypeKind::Signed => "signed",
        TypeKind::Bool => "true or false",
        TypeKind::Char => "characters",
        TypeKind::Byte => "bytes",
        TypeKind::PortName => "a port's name, without a right",
        TypeKind::Port => "a port right",
        TypeKind::KernReturn => "a return code",
        TypeKind::Array => "arrays",
        TypeKind::Struct => "struct",
        TypeKind::CString => "a string",
        TypeKind::Opaque => "data",
    };
    let mut text = ty.name().to_string();
    let size = match (element.kind(), element.size()) {
        (TypeKind::Port | TypeKind::PortName | TypeKind::KernReturn | TypeKind::Bool, _) | (_, 0) => String::new(),
        (_, size) => format!(", {size} byte{}", if size == 1 { "" } else { "s" }),
    };
    let _ = match (ty.kind(), ty.size()) {
        (TypeKind::Array, 0) => write!(text, " (any number of: {what}{size})"),
        (TypeKind::Array, all) => write!(text, " ({} of: {what}{size})", all.checked_div(element.size()).unwrap_or(0)),
        _ => write!(text, " ({what}{size})"),
    };
    text
}

#[cfg(test)]
mod tests {
    use mig_defs::interfaces::without_routines;

    use super::*;

    fn explained(word: &str) -> Option<String> {
        let tables = without_routines();
        let mut out = String::new();
        explain(Tables::parse(&tables).expect("tables"), word, &mut out).then_some(out)
    }

    #[test]
    fn codes_are_known_by_name_and_number() {
        let timed_out = "MACH_RCV_TIMED_OUT: 268451843 (0x10004003): nothing came in the time given\n";
        for word in ["MACH_RCV_TIMED_OUT", "mach_rcv_timed_out", "0x10004003", "268451843"] {
            assert_eq!(explained(word).as_deref(), Some(timed_out), "{word}");
        }
        assert_eq!(explained("-303"), explained("MIG_BAD_ID"));
        assert!(explained("4").expect("a code").starts_with("KERN_INVALID_ARGUMENT: 4: "));
    }

    #[test]
    fn what_is_nothing_is_not_explained() {
        for word in ["", "-", "0x", "no_such_word", "99999999999999999999", "0xfffffffff", "-0x80000000"] {
            assert_eq!(explained(word), None, "{word}");
        }
    }

    #[test]
    fn each_sentence_is_of_a_code_that_there_is() {
        let tables = without_routines();
        let tables = Tables::parse(&tables).expect("tables");
        let names: Vec<&str> = tables.errors().map(|(_, name)| name).collect();
        for (name, _) in words::CODES {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn constants_and_ports_are_known() {
        assert!(explained("MACH_RCV_LARGE").expect("an option").contains("a flag of mach_msg_option"));
        assert!(explained("mach_msg_option").expect("a set").contains("MACH_SEND_MSG"));
        assert!(explained("host-priv").expect("a port").contains("reboot"));
    }
}
