// SPDX-License-Identifier: GPL-2.0-or-later
//! Models and layouts as text a person can read.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use mach_abi::{Descriptor, Disposition, Format, type_name as tn};

use crate::layout::{self, Complexity, Message};
use crate::model::{Model, Role, Routine, Shape, TypeId, align, word};

/// Every named type and every routine.
pub fn model(model: &Model) -> String {
    let mut text = format!("subsystem {} {}\n", model.name, model.base);
    for (name, id) in &model.named {
        if !model.ty(*id).is_built_in() {
            text += &format!("type {name} = {}\n", type_text(model, *id));
        }
    }
    for routine in &model.routines {
        let kind = if routine.one_way { "simpleroutine" } else { "routine" };
        text += &format!("{kind} {} {}\n", routine.number, routine.name);
        for argument in &routine.arguments {
            let role = match argument.role {
                Role::RequestPort => "request port",
                Role::ReplyPort { user: true, server: true } => "reply port",
                Role::ReplyPort { user: true, .. } => "user reply port",
                Role::ReplyPort { .. } => "server reply port",
                Role::In => "in",
                Role::Out => "out",
                Role::InOut => "inout",
                Role::WaitTime => "waittime",
                Role::MsgOption => "msgoption",
                Role::MsgSeqno => "msgseqno",
            };
            let (ty, what) = (model.display_name(argument.ty), type_text(model, argument.ty));
            text += &format!("    {role} {}: {ty}, {what}\n", argument.name);
        }
    }
    for (name, number) in &model.left_out {
        text += &format!("left out {number} {name}\n");
    }
    text
}

/// What a type is in messages.
pub(crate) fn type_text(model: &Model, id: TypeId) -> String {
    let ty = model.ty(id);
    let count = if ty.var_array { Count::UpTo(ty.number) } else { Count::Exactly(ty.number) };
    let mut text = elements(count, ty.in_name, ty.size);
    if ty.in_name != ty.out_name {
        text += &format!(", received as {}", type_name(ty.out_name));
    }
    for (set, word) in [
        (!ty.inline, "out of line"),
        (ty.indefinite, "or out of line"),
        (ty.long_form, "long form"),
        (ty.string, "string"),
    ] {
        if set {
            text += &format!(", {word}");
        }
    }
    if let Shape::Struct(members) = &model.ty(model.unaliased(id)).shape {
        let list = members
            .iter()
            .map(|member| format!("{} {}: {}", member.offset, member.name, model.display_name(member.ty)));
        text += &format!(", {} bytes {{ {} }}", ty.bytes, list.collect::<Vec<_>>().join(", "));
    }
    text
}

/// How many elements a descriptor speaks of.
enum Count {
    Exactly(u32),
    UpTo(u32),
}

/// `1 x INTEGER_32 of 32 bits`
fn elements(count: Count, name: u32, size: u32) -> String {
    match count {
        Count::Exactly(number) => format!("{number} x {} of {size} bits", type_name(name)),
        Count::UpTo(number) => format!("up to {number} x {} of {size} bits", type_name(name)),
    }
}

/// The name of a message type, without its prefix.
fn type_name(number: u32) -> String {
    let name = match number {
        tn::BOOLEAN => "BOOLEAN",
        tn::INTEGER_16 => "INTEGER_16",
        tn::INTEGER_32 => "INTEGER_32",
        tn::CHAR => "CHAR",
        tn::BYTE => "BYTE",
        tn::REAL => "REAL",
        tn::INTEGER_64 => "INTEGER_64",
        tn::STRING => "STRING",
        tn::POLYMORPHIC => "POLYMORPHIC",
        _ => match u8::try_from(number).map(|number| Disposition(number).sent_name()) {
            Ok("UNKNOWN") | Err(_) => return format!("type {number}"),
            Ok(name) => name,
        },
    };
    name.to_string()
}

/// Both messages of a routine as byte maps.
pub fn routine(model: &Model, routine: &Routine) -> String {
    let layout = layout::layout(model, routine);
    let mut text = message(model, routine, &layout.request, "request");
    if !routine.one_way {
        text += &message(model, routine, &layout.reply, "reply");
    }
    text
}

/// Offset, bytes, what it is.
fn row(place: &str, bytes: &str, what: &str) -> String {
    format!("  {place:>6}  {bytes:>6}  {what}\n")
}

/// The word of a descriptor, or its words.
fn words(format: Format, descriptor: Descriptor) -> String {
    if format == Format::Lp64 {
        return format!("{:#018x}", descriptor.to_word());
    }
    match descriptor.to_words_ilp32() {
        (word, None) => format!("{word:#010x}"),
        (header, Some([type_and_size, number])) => format!("{header:#010x} {type_and_size:#010x} {number:#010x}"),
    }
}

fn descriptor(format: Format, item: &layout::Item, varies: bool) -> String {
    let (sent, received) = (item.sent, item.received);
    let name = |descriptor: Descriptor| match descriptor.name {
        u8::MAX => tn::POLYMORPHIC,
        name => name.into(),
    };
    // Of memory out of line the sender gives the number.
    let count = match varies {
        true if !sent.inline => "any number".to_string() + " x " + &type_name(name(sent)),
        true => elements(Count::UpTo(sent.number), name(sent), sent.size.into()),
        false => elements(Count::Exactly(sent.number), name(sent), sent.size.into()),
    };
    let mut text = format!("descriptor: {count}");
    for (set, word) in [(!sent.inline, "out of line"), (sent.deallocate, "deallocated")] {
        if set {
            text += &format!(", {word}");
        }
    }
    text += &format!(" ({}", words(format, sent));
    if received != sent {
        text += &format!("; received as {}, {}", type_name(name(received)), words(format, received));
    }
    text + ")"
}

fn message(model: &Model, routine: &Routine, message: &Message, which: &str) -> String {
    let sizes = match message.is_variable() {
        true => format!("{} to {} bytes", message.min_size, message.max_size),
        false => format!("{} bytes", message.min_size),
    };
    let complexity = match message.sent {
        Complexity::Simple => "simple",
        Complexity::Complex => "complex",
        Complexity::Varies => "simple or complex",
    };
    let mut text = format!("{} {which}, msgh_id {}, {sizes}, {complexity}\n", routine.name, message.id);
    let target = routine.request_port().filter(|_| which == "request");
    let to = target.map_or(String::new(), |port| format!(", to {}", port.name));
    text += &row("0", &model.format.header().end.to_string(), &format!("header{to}"));
    for item in &message.items {
        text += &item_rows(model, routine, item);
    }
    text
}

fn item_rows(model: &Model, routine: &Routine, item: &layout::Item) -> String {
    let format = model.format;
    let place = |offset: u32| format!("{offset}{}", if item.offset_fixed { "" } else { "+" });
    let bytes = item.sent.bytes(format) as u32;
    let (varies, ty, members) = match item.source {
        layout::Source::RetCode => (false, "kern_return_t".to_string(), &[][..]),
        layout::Source::Count(_) => (false, "mach_msg_type_number_t".to_string(), &[][..]),
        layout::Source::Argument(index) => {
            let id = routine.arguments[index].ty;
            let members = match &model.ty(model.unaliased(id)).shape {
                Shape::Struct(members) => &members[..],
                _ => &[],
            };
            (model.ty(id).var_array, model.display_name(id), members)
        }
    };
    let mut text = row(&place(item.offset), &bytes.to_string(), &descriptor(format, item, varies));
    let start = item.offset + bytes;
    let size = if item.sent.inline { item.sent.data_size() as u32 } else { word(format) };
    let name = format!("{}: {ty}", item.name);
    if item.sent.inline && varies {
        return text + &row(&place(start), &format!("0-{size}"), &format!("{name}, padded to {}", word(format)));
    }
    text += &row(&place(start), &size.to_string(), &name);
    for member in members {
        let (ty, bytes) = (model.display_name(member.ty), model.ty(member.ty).bytes);
        text += &row(&place(start + member.offset), &bytes.to_string(), &format!("  .{}: {ty}", member.name));
    }
    match align(format, size) - size {
        0 => text,
        padding => text + &row(&place(start + size), &padding.to_string(), "padding"),
    }
}
