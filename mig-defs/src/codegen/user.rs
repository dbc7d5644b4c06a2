//! Model to user stubs: one typed function per routine.
//!
//! | in the .defs | in Rust |
//! |---|---|
//! | number, name, fixed struct or array | by value; `inout` as `&mut` |
//! | copied or made right | `PortName`: the caller keeps what it has |
//! | moved right | `SendRight`, `SendOnceRight`, `ReceiveRight` by value |
//! | polymorphic right, or inline array of them | `PortName` (slice) and a `Disposition` called `NAME_poly` |
//! | C string | `impl AsRef<[u8]>` in, `[u8; N]` out |
//! | inline array | slice in; out as the caller's `&mut` slice, the count is returned |
//! | out-of-line data | slice in, `OutOfLine` out |
//! | received right | owning type, `AnyRight` if polymorphic, iterator `OutOfLinePorts` |
//!
//! One out argument is returned as it is, several as a struct named after the routine (`VmRegionOut`).

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::Context;
use super::rights::{disposition, put_rights, received_right, rights_descriptor, sent_right};
use super::rust::{self, Form, Structs, Unsupported, argument_ident, ident, poly_ident};
use crate::layout::{self, Item, RoutineLayout, Source};
use crate::model::{Argument, Model, Role, Routine};
use crate::wire::type_name as tn;

/// Larger messages would not leave a thread enough of its stack: they are built on the heap.
const MAX_BUFFER: u32 = 40 * 1024;

/// Routines without a stub, with the reason.
pub fn left_out(model: &Model) -> Vec<(String, String)> {
    let rt = quote!(rt);
    let reason = |routine: &Routine| Stub::new(model, routine, &rt, &mut Structs::new()).err();
    model.routines.iter().filter_map(|routine| Some((routine.name.to_string(), reason(routine)?))).collect()
}

/// The Rust text of all stubs.
pub fn generate(context: &Context<'_>) -> anyhow::Result<String> {
    let rt = rust::runtime(context)?;
    let model = context.model;
    let mut structs = Structs::new();
    let mut functions = String::new();
    for routine in &model.routines {
        functions.push('\n');
        match Stub::new(model, routine, &rt, &mut structs) {
            Ok(stub) => functions += &rust::format_items(stub.tokens(context))?,
            Err(why) => functions += &format!("// No stub for {}: {why}.\n", routine.name),
        }
    }
    let mut text = rust::header(context, "user");
    for (name, id) in &structs {
        text.push('\n');
        text += &rust::format_items(rust::struct_item(model, name, *id, &rt))?;
    }
    Ok(text + &functions)
}

/// A stub's parts.
struct Stub<'a> {
    routine: &'a Routine,
    rt: &'a TokenStream,
    layout: RoutineLayout,
    parameters: Vec<TokenStream>,
    puts: Vec<TokenStream>,
    takes: Vec<TokenStream>,
    /// Values to return: name, type.
    results: Vec<(Ident, TokenStream)>,
    /// What the reply stores through references, once everything is taken.
    stores: Vec<TokenStream>,
    /// The request port's name and disposition.
    destination: Option<(TokenStream, TokenStream)>,
    reply_port: Option<(TokenStream, TokenStream)>,
    timeout: TokenStream,
    option: TokenStream,
}

impl<'a> Stub<'a> {
    fn new(
        model: &'a Model,
        routine: &'a Routine,
        rt: &'a TokenStream,
        structs: &mut Structs,
    ) -> Result<Self, Unsupported> {
        let layout = layout::layout(model, routine);
        if routine.msg_option.is_some() || routine.wait_time.is_some() {
            return Err(String::from("the file's waittime or msgoption is a C expression"));
        }
        let mut stub = Self {
            routine,
            rt,
            layout,
            parameters: Vec::new(),
            puts: Vec::new(),
            takes: Vec::new(),
            results: Vec::new(),
            stores: Vec::new(),
            destination: None,
            reply_port: None,
            timeout: quote!(None),
            option: quote!(0),
        };
        for (index, argument) in routine.arguments.iter().enumerate() {
            stub.argument(model, index, argument, structs)?;
        }
        Ok(stub)
    }

    fn argument(
        &mut self,
        model: &Model,
        index: usize,
        argument: &Argument,
        structs: &mut Structs,
    ) -> Result<(), Unsupported> {
        let name = argument_ident(argument);
        let unsupported = |why: Unsupported| format!("argument {} is {why}", argument.name);
        match argument.role {
            Role::RequestPort => self.destination = Some(self.header_port(model, argument)),
            Role::ReplyPort { user: true, .. } => self.reply_port = Some(self.header_port(model, argument)),
            Role::ReplyPort { .. } | Role::MsgSeqno => {}
            Role::WaitTime => {
                self.parameters.push(quote!(#name: u32));
                self.timeout = quote!(Some(#name));
            }
            Role::MsgOption => {
                self.parameters.push(quote!(#name: u32));
                self.option = quote!(#name);
            }
            Role::In | Role::Out | Role::InOut => {
                let form = rust::form(model, argument.ty, self.rt, structs).map_err(unsupported)?;
                // A value that goes both ways is one reference; anything else is a parameter and a result.
                if let (Role::InOut, Form::Value(ty)) = (argument.role, &form) {
                    self.parameters.push(quote!(#name: &mut #ty));
                    self.put(index, &form, model, argument, &quote!(*#name));
                    self.take_value(index, &name, ty, true);
                    return Ok(());
                }
                if argument.role.in_request() {
                    self.in_parameter(&form, model, argument, &name);
                    self.put(index, &form, model, argument, &quote!(#name));
                }
                if argument.role.in_reply() {
                    self.out(index, &form, model, argument).map_err(unsupported)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a parameter for a port in the header; returns its name and its disposition.
    fn header_port(&mut self, model: &Model, argument: &Argument) -> (TokenStream, TokenStream) {
        let rt = self.rt;
        let name = argument_ident(argument);
        let in_name = model.ty(argument.ty).in_name;
        if in_name == tn::POLYMORPHIC {
            let poly = poly_ident(&argument.name);
            self.parameters.push(quote!(#name: #rt::port::PortName));
            self.parameters.push(quote!(#poly: #rt::port::Disposition));
            return (quote!(#name), quote!(#poly));
        }
        let (ty, value) = sent_right(in_name, &quote!(#name), rt);
        self.parameters.push(quote!(#name: #ty));
        (value, disposition(in_name, rt))
    }

    fn in_parameter(&mut self, form: &Form, model: &Model, argument: &Argument, name: &Ident) {
        let rt = self.rt;
        match form {
            Form::Value(ty) => self.parameters.push(quote!(#name: #ty)),
            Form::Text(_) | Form::VaryingText(_) => self.parameters.push(quote!(#name: impl AsRef<[u8]>)),
            Form::Port | Form::AnyPort => {
                let in_name = model.ty(argument.ty).in_name;
                let (ty, _) = sent_right(in_name, &quote!(#name), rt);
                self.parameters.push(quote!(#name: #ty));
                if in_name == tn::POLYMORPHIC {
                    let poly = poly_ident(&argument.name);
                    self.parameters.push(quote!(#poly: #rt::port::Disposition));
                }
            }
            Form::Array(ty, _) | Form::OutOfLine(ty) | Form::Either(ty, _) => {
                self.parameters.push(quote!(#name: &[#ty]));
            }
            Form::Rights { .. } => {
                let (element, _) = sent_right(model.ty(argument.ty).in_name, &quote!(right), rt);
                self.parameters.push(quote!(#name: #rt::mig::Vec<#element>));
                self.poly_parameter(model, argument);
            }
            Form::Ports(_) | Form::OutOfLinePorts => {
                self.parameters.push(quote!(#name: &[#rt::port::PortName]));
                self.poly_parameter(model, argument);
            }
        }
    }

    /// The kind of rights in a polymorphic array.
    fn poly_parameter(&mut self, model: &Model, argument: &Argument) {
        if model.ty(argument.ty).in_name == tn::POLYMORPHIC {
            let (poly, rt) = (poly_ident(&argument.name), self.rt);
            self.parameters.push(quote!(#poly: #rt::port::Disposition));
        }
    }

    fn put(&mut self, index: usize, form: &Form, model: &Model, argument: &Argument, value: &TokenStream) {
        let Some(item) = find(&self.layout.request.items, Source::Argument(index)) else { return };
        let descriptor = rust::descriptor(item.sent);
        let count = |count: &u32| Literal::u32_unsuffixed(*count);
        self.puts.push(match form {
            Form::Value(_) => quote!(mig_request.put(#descriptor, #value);),
            Form::Text(room) => {
                let room = count(room);
                quote!(mig_request.put_string(#descriptor, #value.as_ref(), #room);)
            }
            Form::VaryingText(room) => {
                let room = count(room);
                quote!(mig_request.put_varying_string(#descriptor, #value.as_ref(), #room);)
            }
            Form::Port | Form::AnyPort => {
                let in_name = model.ty(argument.ty).in_name;
                if in_name == tn::POLYMORPHIC {
                    let poly = poly_ident(&argument.name);
                    quote!(mig_request.put_any_port(#descriptor, #value, #poly);)
                } else {
                    let (_, value) = sent_right(in_name, value, self.rt);
                    quote!(mig_request.put_port(#descriptor, #value);)
                }
            }
            Form::Array(_, most) => {
                let most = count(most);
                quote!(mig_request.put_array(#descriptor, #value, #most);)
            }
            Form::Ports(most) => {
                let (most, poly) = (count(most), poly_ident(&argument.name));
                match model.ty(argument.ty).in_name {
                    tn::POLYMORPHIC => quote!(mig_request.put_any_ports(#descriptor, #value, #most, #poly);),
                    _ => quote!(mig_request.put_ports(#descriptor, #value, #most);),
                }
            }
            Form::Rights { .. } => {
                let in_name = model.ty(argument.ty).in_name;
                let poly = poly_ident(&argument.name);
                let descriptor = rights_descriptor(&descriptor, in_name, &quote!(#poly));
                put_rights(&quote!(mig_request), &descriptor, in_name, value, form, self.rt).1
            }
            Form::OutOfLinePorts => {
                let poly = poly_ident(&argument.name);
                let descriptor = rights_descriptor(&descriptor, model.ty(argument.ty).in_name, &quote!(#poly));
                quote!(mig_request.put_out_of_line_items(#descriptor, #value);)
            }
            Form::OutOfLine(ty) if ty.to_string() == "u8" => {
                quote!(mig_request.put_out_of_line(#descriptor, #value);)
            }
            Form::OutOfLine(_) => {
                quote!(mig_request.put_out_of_line_items(#descriptor, #value);)
            }
            Form::Either(_, most) => {
                let most = count(most);
                quote!(mig_request.put_either(#descriptor, #value, #most);)
            }
        });
    }

    fn take_value(&mut self, index: usize, name: &Ident, ty: &TokenStream, store: bool) {
        let Some(item) = find(&self.layout.reply.items, Source::Argument(index)) else { return };
        let descriptor = rust::descriptor(item.received);
        if store {
            let taken = ident(&format!("{name}_out"));
            self.takes.push(quote!(let #taken: #ty = mig_reply.take(#descriptor)?;));
            self.stores.push(quote!(*#name = #taken;));
        } else {
            self.takes.push(quote!(let #name: #ty = mig_reply.take(#descriptor)?;));
            self.results.push((name.clone(), ty.clone()));
        }
    }

    fn out(&mut self, index: usize, form: &Form, model: &Model, argument: &Argument) -> Result<(), Unsupported> {
        let rt = self.rt;
        let name = argument_ident(argument);
        let Some(item) = find(&self.layout.reply.items, Source::Argument(index)) else { return Ok(()) };
        let descriptor = rust::descriptor(item.received);
        let (ty, take) = match form {
            Form::Value(ty) => {
                self.take_value(index, &name, ty, false);
                return Ok(());
            }
            Form::Ports(most) | Form::Rights { most, .. } => {
                let either = matches!(form, Form::Rights { either: true, .. });
                self.puts_room(index, *most);
                let most = Literal::u32_unsuffixed(*most);
                let take = quote!(let #name = mig_reply.take_rights(#descriptor, #most, #either)?;);
                (quote!(#rt::mig::Vec<#rt::mig::AnyRight>), take)
            }
            Form::Text(room) | Form::VaryingText(room) => {
                let varies = matches!(form, Form::VaryingText(_));
                let room = Literal::u32_unsuffixed(*room);
                let take = quote! {
                    let #name = {
                        let text = mig_reply.take_string(#descriptor, #room, #varies)?;
                        let mut buffer = [0; #room];
                        buffer[..text.len()].copy_from_slice(text);
                        buffer
                    };
                };
                (quote!([u8; #room]), take)
            }
            Form::Port => {
                let owner = received_right(model.ty(argument.ty).out_name, rt);
                (owner.clone(), quote!(let #name = #owner::from_name(mig_reply.take_port(#descriptor)?);))
            }
            Form::AnyPort => match model.ty(argument.ty).out_name {
                tn::POLYMORPHIC => {
                    (quote!(#rt::mig::AnyRight), quote!(let #name = mig_reply.take_any_port(#descriptor)?;))
                }
                out_name => {
                    let owner = received_right(out_name, rt);
                    (owner.clone(), quote!(let #name = #owner::from_name(mig_reply.take_port(#descriptor)?);))
                }
            },
            Form::Array(element, most) | Form::Either(element, most) => {
                self.parameters.push(quote!(#name: &mut [#element]));
                self.puts_count(index, &name, *most);
                let most = Literal::u32_unsuffixed(*most);
                let method = if matches!(form, Form::Array(..)) { quote!(take_into) } else { quote!(take_either) };
                (quote!(usize), quote!(let #name = mig_reply.#method(#descriptor, #most, #name)?;))
            }
            Form::OutOfLine(_) => {
                (quote!(#rt::memory::OutOfLine), quote!(let #name = mig_reply.take_out_of_line(#descriptor)?;))
            }
            Form::OutOfLinePorts => {
                (quote!(#rt::mig::OutOfLinePorts), quote!(let #name = mig_reply.take_ports(#descriptor)?;))
            }
        };
        self.takes.push(take);
        self.results.push((name, ty));
        Ok(())
    }

    /// `countinout`: the request says how many elements there is room for.
    fn puts_count(&mut self, index: usize, name: &Ident, most: u32) {
        if let Some(item) = find(&self.layout.request.items, Source::Count(index)) {
            let descriptor = rust::descriptor(item.sent);
            let most = Literal::u32_unsuffixed(most);
            self.puts.push(quote!(mig_request.put(#descriptor, #name.len().min(#most) as u32);));
        }
    }

    /// `countinout` of an array that the runtime allocates: there is always room for the most.
    fn puts_room(&mut self, index: usize, most: u32) {
        if let Some(item) = find(&self.layout.request.items, Source::Count(index)) {
            let descriptor = rust::descriptor(item.sent);
            let most = Literal::u32_suffixed(most);
            self.puts.push(quote!(mig_request.put(#descriptor, #most);));
        }
    }

    fn tokens(&self, context: &Context<'_>) -> TokenStream {
        let rt = self.rt;
        let name = ident(&self.routine.user_name);
        let mut documentation = rust::documentation(context, self.routine);
        let (result_type, result_value, result_struct) = self.result(context);
        if self.results.len() == 1 {
            documentation[2] += &format!(" Returns `{}`.", self.results[0].0);
        }
        let documentation = rust::doc_tokens(&documentation);
        let too_many = rust::too_many_arguments(self.parameters.len());
        let (parameters, puts, takes, stores) = (&self.parameters, &self.puts, &self.takes, &self.stores);
        let id = Literal::u32_unsuffixed(self.layout.request.id);
        let (request, reply) = (&self.layout.request, &self.layout.reply);
        let size = if self.routine.one_way { request.max_size } else { request.max_size.max(reply.max_size) };
        let words = Literal::u32_unsuffixed(size.div_ceil(8));
        let buffer = match size > MAX_BUFFER {
            true => quote!(let mut mig_words = #rt::mig::buffer(#words);),
            false => quote!(let mut mig_words = [0; #words];),
        };
        let (port, how) = self.destination.clone().unwrap_or_else(|| (quote!(), quote!()));
        let (option, timeout) = (&self.option, &self.timeout);
        let request_binding = if puts.is_empty() { quote!(let mig_request) } else { quote!(let mut mig_request) };
        let exchange = if self.routine.one_way {
            let reply_to = match &self.reply_port {
                Some((port, how)) => quote!(Some((#port, #how))),
                None => quote!(None),
            };
            quote!(mig_request.send(#option, #reply_to))
        } else {
            let reply_to = match &self.reply_port {
                Some((port, _)) => quote!(Some(#port)),
                None => quote!(None),
            };
            let (min, max) = (Literal::u32_unsuffixed(reply.min_size), Literal::u32_unsuffixed(reply.max_size));
            let complexity = rust::complexity(reply.received, rt);
            let reply_binding = if takes.is_empty() { quote!(let mig_reply) } else { quote!(let mut mig_reply) };
            quote! {
                #reply_binding = mig_request.call(#option, #timeout, #reply_to, (#min, #max, #complexity))?;
                #(#takes)*
                mig_reply.finish()?;
                #(#stores)*
                Ok(#result_value)
            }
        };
        quote! {
            #result_struct

            #documentation
            #too_many
            pub fn #name(#(#parameters),*) -> #rt::error::Result<#result_type> {
                #buffer
                #request_binding = #rt::mig::Outgoing::request(&mut mig_words, #id, #port, #how);
                #(#puts)*
                #exchange
            }
        }
    }

    /// The type and value returned, and the struct if there are several.
    fn result(&self, context: &Context<'_>) -> (TokenStream, TokenStream, Option<TokenStream>) {
        match &self.results[..] {
            [] => (quote!(()), quote!(()), None),
            [(name, ty)] => (quote!(#ty), quote!(#name), None),
            several => {
                let name = rust::result_name(&self.routine.name);
                let doc = format!(" What [`{}`] returns.", self.routine.user_name);
                let fields = several.iter().map(|(field, ty)| {
                    let argument = self.routine.arguments.iter().find(|argument| argument_ident(argument) == *field);
                    let ty_name = argument.map_or_else(String::new, |one| context.model.display_name(one.ty));
                    let doc = format!(" `{ty_name}`");
                    quote!(#[doc = #doc] pub #field: #ty)
                });
                let names = several.iter().map(|(field, _)| field);
                let definition = quote! {
                    #[doc = #doc]
                    #[derive(Debug)]
                    pub struct #name { #(#fields,)* }
                };
                (quote!(#name), quote!(#name { #(#names,)* }), Some(definition))
            }
        }
    }
}

fn find(items: &[Item], source: Source) -> Option<&Item> {
    items.iter().find(|item| item.source == source)
}
