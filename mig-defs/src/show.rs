//! Models and layouts as text a person can read.

use std::format;
use std::string::{String, ToString};

use crate::layout::{self, Message};
use crate::model::{Abi, Model, Role, Routine, Shape, TypeId};
use crate::wire::Descriptor;

/// Every named type and every routine.
pub fn model(model: &Model) -> String {
    let mut text = format!("subsystem {} {}\n", model.name, model.base);
    for (name, id) in &model.named {
        // The types every file knows, and their spans, are the compiler's own.
        if model.ty(*id).span.file != u32::MAX {
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
            text += &format!("    {role} {}: {}\n", argument.name, type_text(model, argument.ty));
        }
    }
    for (name, number) in &model.left_out {
        text += &format!("left out {number} {name}\n");
    }
    text
}

fn type_text(model: &Model, id: TypeId) -> String {
    let ty = model.ty(id);
    let names = if ty.in_name == ty.out_name {
        message_type(ty.in_name)
    } else {
        format!("{}|{}", message_type(ty.in_name), message_type(ty.out_name))
    };
    let count = if ty.var_array { format!("*:{}", ty.number) } else { ty.number.to_string() };
    let mut text = format!("{} [{count}] of ({names}, {})", model.display_name(id), ty.size);
    for (set, word) in [
        (!ty.inline, "out of line"),
        (ty.indefinite, "or out of line"),
        (ty.long_form, "longform"),
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
        text += &format!(", {} bytes {{ {} }}", ty.bytes, list.collect::<std::vec::Vec<_>>().join(", "));
    }
    text
}

fn message_type(number: u32) -> String {
    if number == u32::MAX { "poly".to_string() } else { number.to_string() }
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

fn descriptor(abi: Abi, descriptor: Descriptor) -> String {
    if abi == Abi::LP64 {
        return format!("{:#018x}", descriptor.to_word());
    }
    match descriptor.to_words_ilp32() {
        (word, None) => format!("{word:#010x}"),
        (header, Some([type_and_size, number])) => format!("{header:#010x} {type_and_size:#010x} {number:#010x}"),
    }
}

fn message(model: &Model, routine: &Routine, message: &Message, which: &str) -> String {
    let mut text = format!(
        "{} {which}, msgh_id {}, {} to {} bytes, {:?}\n",
        routine.name, message.id, message.min_size, message.max_size, message.sent
    );
    text += &format!("  {:>6}  {:>6}  header\n", 0, model.abi.header);
    for item in &message.items {
        let place = format!("{}{}", item.offset, if item.offset_fixed { "" } else { "+" });
        let (sent, received) = (descriptor(model.abi, item.sent), descriptor(model.abi, item.received));
        let received = if received == sent { String::new() } else { format!(", received {received}") };
        let bytes = if item.sent.longform { model.abi.long_descriptor } else { model.abi.descriptor };
        text += &format!("  {place:>6}  {bytes:>6}  descriptor {sent}{received}\n");
        let size = match (item.sent.inline, &item.source) {
            (false, _) => format!("{}", model.abi.word),
            (true, layout::Source::Argument(index)) if model.ty(routine.arguments[*index].ty).var_array => {
                format!("0-{}", item.sent.data_size())
            }
            _ => format!("{}", item.sent.data_size()),
        };
        text += &format!("  {:>6}  {size:>6}  {}\n", "", item.name);
    }
    text
}
