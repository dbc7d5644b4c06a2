// SPDX-License-Identifier: GPL-2.0-or-later
//! Wire layout: message ids, items in their order, offsets, sizes, type descriptors.

use std::string::String;
use std::vec::Vec;

use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::type_name::{self as tn, is_port};
use mach_abi::{Descriptor, Format};

use crate::model::{Argument, Dealloc, Model, Role, Routine, Type, align};

/// What an item of a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The routine's return code, first in every reply.
    RetCode,
    /// The argument with this index.
    Argument(usize),
    /// How many elements of the out argument with this index the user has room for.
    Count(usize),
}

/// One typed item of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it carries.
    pub source: Source,
    /// Its name.
    pub name: String,
    /// Where its descriptor stands if no variable-size item before it has any data.
    pub offset: u32,
    /// Whether that is where it always stands.
    pub offset_fixed: bool,
    /// Its descriptor as sent; a polymorphic name is 255.
    pub sent: Descriptor,
    /// Its descriptor as received.
    pub received: Descriptor,
}

/// Whether a message carries rights or out-of-line memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complexity {
    /// Never.
    Simple,
    /// Always.
    Complex,
    /// Depends on the values: a null polymorphic right, an array small enough to be inline.
    Varies,
}

/// A request or a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `msgh_id`
    pub id: u32,
    /// Its items, in order.
    pub items: Vec<Item>,
    /// Bytes if all variable-size items are empty.
    pub min_size: u32,
    /// Bytes if all variable-size items are full.
    pub max_size: u32,
    /// `MACH_MSGH_BITS_COMPLEX` as sent.
    pub sent: Complexity,
    /// `MACH_MSGH_BITS_COMPLEX` as received.
    pub received: Complexity,
}

impl Message {
    /// Whether its size varies.
    pub fn is_variable(&self) -> bool {
        self.min_size != self.max_size
    }
}

/// Both messages of a routine. A one-way routine's reply is the error reply a server may still send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutineLayout {
    /// The request.
    pub request: Message,
    /// The reply.
    pub reply: Message,
}

/// Lays out one routine.
pub fn layout(model: &Model, routine: &Routine) -> RoutineLayout {
    let id = model.base.wrapping_add(routine.number);
    let mut request = Builder::new(model.format);
    let mut reply = Builder::new(model.format);
    reply.integer(Source::RetCode, String::from("RetCode"), model.format);
    for (index, argument) in routine.arguments.iter().enumerate() {
        let ty = model.ty(argument.ty);
        if argument.role.in_request() {
            request.argument(index, argument, ty, model.format);
        }
        if argument.role.in_reply() {
            reply.argument(index, argument, ty, model.format);
        }
        if argument.count_in_out {
            request.integer(Source::Count(index), std::format!("{}Cnt", argument.name), model.format);
        }
    }
    RoutineLayout { request: request.finish(id), reply: reply.finish(id.wrapping_add(REPLY_ID_OFFSET)) }
}

struct Builder {
    items: Vec<Item>,
    min_size: u32,
    max_size: u32,
    sent: Complexity,
    received: Complexity,
}

impl Builder {
    fn new(format: Format) -> Self {
        Self {
            items: Vec::new(),
            min_size: format.header().end as u32,
            max_size: format.header().end as u32,
            sent: Complexity::Simple,
            received: Complexity::Simple,
        }
    }

    fn integer(&mut self, source: Source, name: String, format: Format) {
        let descriptor = Descriptor::inline(tn::INTEGER_32, 32, 1);
        let item = Item {
            source,
            name,
            offset: self.min_size,
            offset_fixed: self.min_size == self.max_size,
            sent: descriptor,
            received: descriptor,
        };
        let size = format.descriptor_size(false) as u32 + align(format, 4);
        self.push(item, size, size);
    }

    fn argument(&mut self, index: usize, argument: &Argument, ty: &Type, format: Format) {
        let descriptor = format.descriptor_size(argument.long_form) as u32;
        let item = Item {
            source: Source::Argument(index),
            name: String::from(&*argument.name),
            offset: self.min_size,
            offset_fixed: self.min_size == self.max_size,
            sent: descriptor_of(ty, argument, ty.in_name),
            received: descriptor_of(ty, argument, ty.out_name),
        };
        let (min, max) = (descriptor + ty.min_bytes(format), descriptor.saturating_add(ty.max_bytes(format)));
        self.push(item, min, max);
        self.sent = combine(self.sent, complexity(ty, ty.in_name));
        self.received = combine(self.received, complexity(ty, ty.out_name));
    }

    fn push(&mut self, item: Item, min: u32, max: u32) {
        self.items.push(item);
        self.min_size = self.min_size.saturating_add(min);
        self.max_size = self.max_size.saturating_add(max);
    }

    fn finish(self, id: u32) -> Message {
        let Self { items, min_size, max_size, sent, received } = self;
        Message { id, items, min_size, max_size, sent, received }
    }
}

fn complexity(ty: &Type, name: u32) -> Complexity {
    if is_port(name) || !ty.inline {
        Complexity::Complex
    } else if name == tn::POLYMORPHIC || ty.indefinite {
        Complexity::Varies
    } else {
        Complexity::Simple
    }
}

fn combine(one: Complexity, other: Complexity) -> Complexity {
    match (one, other) {
        (Complexity::Complex, _) | (_, Complexity::Complex) => Complexity::Complex,
        (Complexity::Varies, _) | (_, Complexity::Varies) => Complexity::Varies,
        _ => Complexity::Simple,
    }
}

fn descriptor_of(ty: &Type, argument: &Argument, name: u32) -> Descriptor {
    // Out-of-line rights are an array of 32-bit names, also where an inline right takes 64 bits.
    let size = if ty.is_port() && !ty.inline && ty.number == 0 { 32 } else { ty.size };
    Descriptor {
        name: name as u8,
        size: size as u16,
        number: ty.number,
        inline: ty.inline,
        longform: argument.long_form,
        // The bit of an array that may be inline is set only where the data turn out to be out of line.
        deallocate: argument.dealloc == Dealloc::Yes && !ty.indefinite,
    }
}

/// MIG's `-list`: one line per routine.
pub fn list(model: &Model) -> String {
    let line = |routine: &Routine| {
        let id = model.base.wrapping_add(routine.number);
        let reply = if routine.one_way { 0 } else { id.wrapping_add(REPLY_ID_OFFSET) };
        std::format!("{} {} {} {} {id} {reply}\n", model.name, model.base, routine.name, routine.number)
    };
    model.routines.iter().map(line).collect()
}

/// The argument that a message's header carries as reply port, if the side in question has one.
pub fn reply_port(routine: &Routine, user_side: bool) -> Option<(usize, &Argument)> {
    routine.arguments.iter().enumerate().rfind(|(_, argument)| match argument.role {
        Role::ReplyPort { user, server } => (user_side && user) || (!user_side && server),
        _ => false,
    })
}
