// SPDX-License-Identifier: GPL-2.0-or-later
//! Model to user stubs: one typed function per routine.
//!
//! | in the .defs | in Rust |
//! |---|---|
//! | number, name, fixed struct or array | by value; `inout` as `&mut` |
//! | copied or made right, array of them | `PortName`, a slice: the caller keeps what it has |
//! | moved right, array of them | `SendRight`, `SendOnceRight`, `ReceiveRight` by value, a `Vec` |
//! | polymorphic right or array | `PortName` (slice) and a `Disposition` called `NAME_poly` |
//! | C string | `impl AsRef<[u8]>` in, `[u8; N]` out |
//! | inline array | slice in; out as the caller's `&mut` slice, the count is returned |
//! | array that is inline or out of line | slice in, `Received` out |
//! | out-of-line data | slice in, `OutOfLine` out |
//! | the same with `dealloc` | `OutOfLine` in: the memory goes with the message |
//! | the same with `dealloc[]` | `Data` in: either of them |
//! | received right | owning type, `AnyRight` if polymorphic, iterator `OutOfLinePorts` |
//!
//! One out argument is returned as it is, several as a struct named after the routine (`VmRegionOut`). The `waittime` and
//! `msgoption` of a file may be a number or a name; names that mach/message.h does not have are looked for in the module that
//! includes the stubs. Without a stub is a routine with any other word there (MD0057).

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use mach_abi::{option, type_name as tn};

use super::Context;
use super::names::{self, argument_ident, beside_argument, ident};
use super::rights::{disposition, received_right, sent_right};
use super::rust::{self, Form, Place, Structs, Unsupported};
use super::shorten::Imports;
use crate::layout::{self, Complexity, Item, RoutineLayout, Source};
use crate::model::{Argument, Dealloc, Model, Role, Routine, Setting};

/// What [`beside_argument`] is called that says which right a polymorphic one is.
const POLY: &str = "poly";

/// Larger messages would not leave a thread enough of its stack: they are built on the heap.
const MAX_BUFFER: u32 = 40 * 1024;

/// Routines without a stub, with the reason.
pub fn left_out(model: &Model) -> Vec<(String, String)> {
    let rt = Imports::runtime();
    let mut structs = Structs::new();
    let reason = |routine: &Routine| {
        Stub::new(model, routine, &rt, &mut structs).err().map(|why| (routine.name.to_string(), why))
    };
    model.routines.iter().filter_map(reason).collect()
}

/// The Rust text of all stubs.
pub fn generate(context: &Context<'_>) -> anyhow::Result<String> {
    let (rt, model) = (Imports::runtime(), context.model);
    let mut structs = Structs::new();
    let mut stubs: Vec<_> =
        model.routines.iter().map(|routine| (routine, Stub::new(model, routine, &rt, &mut structs))).collect();
    let mut types: BTreeSet<String> = structs.keys().cloned().collect();
    let sound = stubs.iter_mut().filter_map(|(_, stub)| stub.as_mut().ok());
    for stub in sound.filter(|stub| stub.results.len() > 1) {
        stub.result_name = Some(names::result_name(&stub.routine.name, &mut types));
    }
    let mut imports = Imports::new(types.into_iter().chain(names::values(model)));
    let mut text = String::new();
    for (name, id) in &structs {
        text.push('\n');
        text += &rust::format_items(imports.shorten(rust::struct_item(model, name, *id, &rt)))?;
    }
    for (routine, stub) in &stubs {
        text.push('\n');
        match stub {
            Ok(stub) => text += &rust::format_items(imports.shorten(stub.tokens(context)))?,
            Err(why) => text += &format!("// No stub for {}: {why}.\n", routine.name),
        }
    }
    Ok(rust::header(context, "user") + &imports.lines(context.runtime) + &text)
}

/// A stub's parts.
struct Stub<'a> {
    model: &'a Model,
    routine: &'a Routine,
    rt: &'a TokenStream,
    layout: RoutineLayout,
    /// What it calls its buffer, request and reply.
    words: Ident,
    request: Ident,
    reply: Ident,
    parameters: Vec<TokenStream>,
    /// Statements that put the request's items.
    puts: Vec<TokenStream>,
    /// Statements that take the reply's.
    takes: Vec<TokenStream>,
    /// Values to return: name, type.
    results: Vec<(Ident, TokenStream)>,
    /// The struct of the results, if there are several.
    result_name: Option<Ident>,
    /// What the reply stores through references, once everything is taken.
    stores: Vec<TokenStream>,
    /// The request port's name and disposition.
    destination: (TokenStream, TokenStream),
    /// Statements about options, timeout and reply port.
    settings: Vec<TokenStream>,
}

impl<'a> Stub<'a> {
    fn new(
        model: &'a Model,
        routine: &'a Routine,
        rt: &'a TokenStream,
        structs: &mut Structs,
    ) -> Result<Self, Unsupported> {
        let [words, request, reply] = names::locals(["words", "request", "reply"], routine, |one| !is_hidden(one.role));
        let mut stub = Self {
            model,
            routine,
            rt,
            layout: layout::layout(model, routine),
            words,
            request,
            reply,
            parameters: Vec::new(),
            puts: Vec::new(),
            takes: Vec::new(),
            results: Vec::new(),
            result_name: None,
            stores: Vec::new(),
            destination: (quote!(#rt::port::PortName::NULL), disposition(tn::COPY_SEND, rt)),
            settings: Vec::new(),
        };
        stub.file_settings()?;
        for (index, argument) in routine.arguments.iter().enumerate() {
            stub.argument(index, argument, structs).map_err(|why| format!("argument {} is {why}", argument.name))?;
        }
        Ok(stub)
    }

    /// The file's `waittime` and `msgoption`, where the routine has no such argument.
    fn file_settings(&mut self) -> Result<(), Unsupported> {
        let request = &self.request;
        let has = |role| self.routine.arguments.iter().any(|argument| argument.role == role);
        if let Some(option) = self.routine.msg_option.as_ref().filter(|_| !has(Role::MsgOption)) {
            let option = constant(option)?;
            self.settings.push(quote!(#request.set_option(#option);));
        }
        let waits = !self.routine.one_way && !has(Role::WaitTime);
        if let Some(time) = self.routine.wait_time.as_ref().filter(|_| waits) {
            let time = constant(time)?;
            self.settings.push(quote!(#request.set_timeout(#time);));
        }
        Ok(())
    }

    fn argument(&mut self, index: usize, argument: &Argument, structs: &mut Structs) -> Result<(), Unsupported> {
        let (name, request) = (argument_ident(self.routine, argument), self.request.clone());
        match argument.role {
            Role::RequestPort => self.destination = self.header_port(argument),
            Role::ReplyPort { user: true, .. } => {
                let (port, how) = self.header_port(argument);
                self.settings.push(quote!(#request.set_reply_port(#port, #how);));
            }
            Role::ReplyPort { .. } | Role::MsgSeqno => {}
            Role::WaitTime => {
                self.parameters.push(quote!(#name: u32));
                if !self.routine.one_way {
                    self.settings.push(quote!(#request.set_timeout(#name);));
                }
            }
            Role::MsgOption => {
                self.parameters.push(quote!(#name: u32));
                self.settings.push(quote!(#request.set_option(#name);));
            }
            Role::In | Role::Out | Role::InOut => {
                let form = rust::form(self.model, argument.ty, self.rt, structs)?;
                // A value that goes both ways is one reference; anything else is a parameter and a result.
                let stored = argument.role == Role::InOut && matches!(form, Form::Value(_));
                if argument.role.in_request() {
                    self.in_parameter(&form, argument, &name, stored);
                    let value = if stored { quote!(*#name) } else { quote!(#name) };
                    self.put(index, &form, argument, &value);
                }
                if argument.role.in_reply() {
                    self.out(index, &form, argument, stored);
                }
            }
        }
        Ok(())
    }

    /// Adds a parameter for a port in the header; returns its name and its disposition.
    fn header_port(&mut self, argument: &Argument) -> (TokenStream, TokenStream) {
        let (rt, name) = (self.rt, argument_ident(self.routine, argument));
        let in_name = self.model.ty(argument.ty).in_name;
        let ty = sent_right(in_name, rt);
        self.parameters.push(quote!(#name: #ty));
        self.poly_parameter(argument);
        let how = match in_name {
            tn::POLYMORPHIC => {
                // To MIG, a right of any kind in the header makes a message complex that may or may not be.
                if self.layout.request.sent == Complexity::Varies {
                    let request = &self.request;
                    self.settings.push(quote!(#request.set_complex();));
                }
                let poly = beside_argument(self.routine, argument, POLY);
                quote!(#poly)
            }
            in_name => disposition(in_name, rt),
        };
        (quote!(#name), how)
    }

    fn in_parameter(&mut self, form: &Form, argument: &Argument, name: &Ident, stored: bool) {
        let rt = self.rt;
        let right = sent_right(self.model.ty(argument.ty).in_name, rt);
        let moved = matches!(self.model.ty(argument.ty).in_name, tn::MOVE_SEND | tn::MOVE_SEND_ONCE | tn::MOVE_RECEIVE);
        let ty = match form {
            Form::Value(ty) if stored => quote!(&mut #ty),
            Form::Value(ty) => quote!(#ty),
            Form::Text(_) | Form::VaryingText(_) => quote!(impl AsRef<[u8]>),
            Form::Port | Form::AnyPort => right,
            Form::Rights(..) if moved => quote!(#rt::mig::Vec<#right>),
            Form::Rights(..) => quote!(&[#right]),
            Form::Array(ty, _) => quote!(&[#ty]),
            Form::OutOfLine(ty) | Form::Either(ty, _) => match argument.dealloc {
                Dealloc::No => quote!(&[#ty]),
                Dealloc::Yes => quote!(#rt::memory::OutOfLine),
                Dealloc::Maybe => quote!(#rt::mig::Data<'_, #ty>),
            },
        };
        self.parameters.push(quote!(#name: #ty));
        self.poly_parameter(argument);
    }

    /// The kind of a polymorphic right.
    fn poly_parameter(&mut self, argument: &Argument) {
        if self.model.ty(argument.ty).in_name == tn::POLYMORPHIC {
            let (poly, rt) = (beside_argument(self.routine, argument, POLY), self.rt);
            self.parameters.push(quote!(#poly: #rt::port::Disposition));
        }
    }

    fn put(&mut self, index: usize, form: &Form, argument: &Argument, value: &TokenStream) {
        let Some(item) = find(&self.layout.request.items, Source::Argument(index)) else { return };
        let ty = self.model.ty(argument.ty);
        let poly = beside_argument(self.routine, argument, POLY);
        let kind = (ty.in_name == tn::POLYMORPHIC).then(|| quote!(#poly));
        let mut descriptor = rust::descriptor(ty, item.sent, kind.as_ref(), self.rt);
        if matches!(form, Form::Rights(_, Place::Either | Place::Far))
            && argument.dealloc != Dealloc::No
            && !item.sent.deallocate
        {
            // What goes is a copy that the stub makes.
            descriptor.extend(quote!(.dealloc()));
        }
        let call = match form {
            Form::Value(_) => quote!(put(#descriptor, #value)),
            Form::Text(room) => {
                let room = Literal::u32_unsuffixed(*room);
                quote!(put_fixed_text(#descriptor, #value, #room))
            }
            Form::VaryingText(room) => {
                let room = Literal::u32_unsuffixed(*room);
                quote!(put_text(#descriptor, #value, #room))
            }
            Form::Port | Form::AnyPort => quote!(put_right(#descriptor, #value)),
            Form::Array(_, most) => {
                let most = Literal::u32_unsuffixed(*most);
                quote!(put_array(#descriptor, #value, #most))
            }
            Form::Rights(most, place) => rust::put_rights(&descriptor, value, *most, *place),
            Form::OutOfLine(_) => match argument.dealloc {
                Dealloc::No => quote!(put_lent(#descriptor, #value)),
                Dealloc::Yes => quote!(put_given(#descriptor, #value)),
                Dealloc::Maybe => quote!(put_data(#descriptor, #value)),
            },
            Form::Either(element, most) => {
                let most = Literal::u32_unsuffixed(*most);
                let element = (argument.dealloc == Dealloc::Yes).then(|| quote!(::<#element>));
                quote!(put_either #element(#descriptor, #value, #most))
            }
        };
        let request = &self.request;
        self.puts.push(quote!(#request.#call;));
    }

    fn out(&mut self, index: usize, form: &Form, argument: &Argument, stored: bool) {
        let (rt, name, reply) = (self.rt, argument_ident(self.routine, argument), self.reply.clone());
        let ty = self.model.ty(argument.ty);
        let Some(item) = find(&self.layout.reply.items, Source::Argument(index)) else { return };
        let descriptor = rust::descriptor(ty, item.received, None, rt);
        let any = ty.out_name == tn::POLYMORPHIC;
        let (ty, take) = match form {
            Form::Value(ty) => (quote!(#ty), quote!(take(#descriptor)?)),
            Form::Text(room) => {
                let room = Literal::u32_unsuffixed(*room);
                (quote!([u8; #room]), quote!(take_fixed_buffer(#descriptor)?))
            }
            Form::VaryingText(room) => {
                let room = Literal::u32_unsuffixed(*room);
                (quote!([u8; #room]), quote!(take_buffer(#descriptor)?))
            }
            Form::Port | Form::AnyPort if any => (quote!(#rt::mig::AnyRight), quote!(take_any_right(#descriptor)?)),
            Form::Port | Form::AnyPort => (received_right(ty.out_name, rt), quote!(take_right(#descriptor)?)),
            Form::Rights(_, Place::Far) => (quote!(#rt::mig::OutOfLinePorts), quote!(take_far_rights(#descriptor)?)),
            Form::Rights(most, place) => {
                self.puts_room(index, *most);
                let most = Literal::u32_unsuffixed(*most);
                let take = match place {
                    Place::Either => quote!(take_either_rights(#descriptor)?),
                    _ => quote!(take_rights(#descriptor, #most)?),
                };
                (quote!(#rt::mig::Vec<#rt::mig::AnyRight>), take)
            }
            Form::Array(element, most) => {
                self.parameters.push(quote!(#name: &mut [#element]));
                self.puts_count(index, &name, *most);
                (quote!(usize), quote!(take_into(#descriptor, #name)?))
            }
            Form::Either(element, most) => {
                self.puts_room(index, *most);
                (quote!(#rt::mig::Received<'static, #element>), quote!(take_either(#descriptor)?.into_owned()))
            }
            Form::OutOfLine(_) => (quote!(#rt::memory::OutOfLine), quote!(take_memory(#descriptor)?)),
        };
        if stored {
            let taken = beside_argument(self.routine, argument, "out");
            self.takes.push(quote!(let #taken = #reply.#take;));
            self.stores.push(quote!(*#name = #taken;));
        } else {
            self.takes.push(quote!(let #name = #reply.#take;));
            self.results.push((name, ty));
        }
    }

    /// `countinout`: the request says how many elements there is room for.
    fn puts_count(&mut self, index: usize, name: &Ident, most: u32) {
        let most = Literal::u32_unsuffixed(most);
        self.put_number(index, &quote!(#name.len().min(#most) as u32));
    }

    /// `countinout` of an array that the runtime allocates: there is always room for the most.
    fn puts_room(&mut self, index: usize, most: u32) {
        let most = Literal::u32_suffixed(most);
        self.put_number(index, &quote!(#most));
    }

    fn put_number(&mut self, index: usize, number: &TokenStream) {
        let (rt, request) = (self.rt, &self.request);
        if find(&self.layout.request.items, Source::Count(index)).is_some() {
            self.puts.push(quote!(#request.put(#rt::mig::INTEGER_32, #number);));
        }
    }

    fn tokens(&self, context: &Context<'_>) -> TokenStream {
        let (rt, routine) = (self.rt, self.routine);
        let name = names::user_stub(self.model, routine);
        let mut documentation = rust::documentation(context, routine);
        let (result_type, result_value, result_struct) = self.result(&name);
        if self.results.len() == 1 {
            documentation[2] += &format!(" Returns `{}`.", self.results[0].0);
        }
        let documentation = rust::doc_tokens(&documentation);
        let too_many = rust::too_many_arguments(self.parameters.len());
        let arguments = routine.arguments.iter().filter(|argument| !is_hidden(argument.role));
        let arguments: Vec<Ident> =
            arguments.map(|argument| argument_ident(routine, argument)).chain([name.clone()]).collect();
        let c_names = rust::c_names(&arguments);
        let (words, request, reply) = (&self.words, &self.request, &self.reply);
        let (parameters, puts, takes, stores) = (&self.parameters, &self.puts, &self.takes, &self.stores);
        let settings = &self.settings;
        let id = Literal::u32_unsuffixed(self.layout.request.id);
        let size = match routine.one_way {
            true => self.layout.request.max_size,
            false => self.layout.request.max_size.max(self.layout.reply.max_size),
        };
        let count = Literal::u32_unsuffixed(size.div_ceil(8));
        let buffer = match size > MAX_BUFFER {
            true => quote!(#rt::mig::buffer(#count)),
            false => quote!([0; #count]),
        };
        let (port, how) = &self.destination;
        let mutable = (!puts.is_empty() || !settings.is_empty()).then(|| quote!(mut));
        let shape = rust::shape(&self.layout.reply, rt);
        let exchange = match (routine.one_way, &takes[..]) {
            (true, _) => quote!(#request.send()),
            (false, []) => quote!(#request.call(#shape)?.finish()),
            (false, takes) => quote! {
                let mut #reply = #request.call(#shape)?;
                #(#takes)*
                #reply.finish()?;
                #(#stores)*
                Ok(#result_value)
            },
        };
        quote! {
            #result_struct

            #documentation
            #too_many
            #c_names
            pub fn #name(#(#parameters),*) -> #rt::error::Result<#result_type> {
                let mut #words = #buffer;
                let #mutable #request = #rt::mig::Outgoing::request(&mut #words, #id, #port, #how);
                #(#settings)*
                #(#puts)*
                #exchange
            }
        }
    }

    /// The type and value that the function `stub` returns, and the struct if there are several.
    fn result(&self, stub: &Ident) -> (TokenStream, TokenStream, Option<TokenStream>) {
        match (&self.results[..], &self.result_name) {
            ([(name, ty)], _) => (quote!(#ty), quote!(#name), None),
            (several, Some(name)) => {
                let doc = format!(" What [`{stub}`] returns.");
                let fields = several.iter().map(|(field, ty)| {
                    let argument =
                        self.routine.arguments.iter().find(|one| argument_ident(self.routine, one) == *field);
                    let ty_name = argument.map_or_else(String::new, |one| self.model.display_name(one.ty));
                    (field.clone(), ty.clone(), ty_name)
                });
                let names = several.iter().map(|(field, _)| field);
                let definition = rust::result_struct(name, &doc, fields);
                (quote!(#name), quote!(#name { #(#names,)* }), Some(definition))
            }
            (_, None) => (quote!(()), quote!(()), None),
        }
    }
}

/// Whether the user has nothing to do with such an argument.
fn is_hidden(role: Role) -> bool {
    matches!(role, Role::MsgSeqno | Role::ReplyPort { user: false, .. })
}

/// The value of a file's `waittime` or `msgoption`.
fn constant(word: &str) -> Result<TokenStream, Unsupported> {
    let number = match Setting::parse(word) {
        None => return Err(format!("the file's waittime or msgoption `{word}` is no number or name")),
        Some(Setting::Number(number)) => Some(number),
        Some(Setting::Name(name)) => named(name),
    };
    if let Some(number) = number {
        let number = Literal::u32_unsuffixed(number);
        return Ok(quote!(#number));
    }
    let name = ident(word);
    Ok(quote!(super::#name))
}

/// What mach/message.h calls timeouts and options.
fn named(name: &str) -> Option<u32> {
    let options = option::ALL.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    options.or((name == "MACH_MSG_TIMEOUT_NONE").then_some(option::MACH_MSG_TIMEOUT_NONE))
}

fn find(items: &[Item], source: Source) -> Option<&Item> {
    items.iter().find(|item| item.source == source)
}
