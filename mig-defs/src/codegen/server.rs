//! Model to server stubs: a trait with one method per routine, and `demux`, which calls it.
//!
//! Arguments are as the user stubs return them (rights owned, arrays borrowed from the request), results as the user
//! stubs take them, except that a polymorphic right is a pair of name and `Disposition`, and out-of-line memory is an
//! `OutOfLine` and goes over to the client. Methods have a default that answers `MIG_BAD_ID`. An `sreplyport` argument is
//! a name: the right is the server's only if it answers `MIG_NO_REPLY`. A request that is not what its .defs say never
//! reaches the trait: it is answered with `MIG_BAD_ARGUMENTS`, and its rights and memory are given back.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::Context;
use super::rights::{put_rights, received_right, rights_descriptor, sent_right};
use super::rust::{self, Form, Structs, Unsupported, argument_ident, ident};
use crate::layout::{self, RoutineLayout, Source};
use crate::model::{Argument, Model, Role, Routine};
use crate::wire::type_name as tn;

/// Routines without a stub, with the reason.
pub fn left_out(model: &Model) -> Vec<(String, String)> {
    let rt = quote!(rt);
    let reason = |routine: &Routine| Stub::new(model, routine, &rt, &mut Structs::new()).err();
    model.routines.iter().filter_map(|routine| Some((routine.name.to_string(), reason(routine)?))).collect()
}

/// The Rust text of the trait and its `demux`.
pub fn generate(context: &Context<'_>) -> anyhow::Result<String> {
    let rt = rust::runtime(context)?;
    let model = context.model;
    let mut structs = Structs::new();
    let mut stubs = Vec::new();
    let mut text = rust::header(context, "server");
    for routine in &model.routines {
        match Stub::new(model, routine, &rt, &mut structs) {
            Ok(stub) => stubs.push(stub),
            Err(why) => text += &format!("// No stub for {}: {why}.\n", routine.name),
        }
    }
    for (name, id) in &structs {
        text.push('\n');
        text += &rust::format_items(rust::struct_item(model, name, *id, &rt))?;
    }
    for results in stubs.iter().filter_map(|stub| stub.result_struct()) {
        text.push('\n');
        text += &rust::format_items(results)?;
    }
    text.push('\n');
    text += &rust::format_items(server_trait(context, &stubs))?;
    text.push('\n');
    text += &rust::format_items(demux(context, &stubs, &rt))?;
    for stub in &stubs {
        text.push('\n');
        text += &rust::format_items(stub.serve())?;
    }
    Ok(text)
}

fn server_trait(context: &Context<'_>, stubs: &[Stub<'_>]) -> TokenStream {
    let doc = format!(" What a server of subsystem `{}` does; each method answers one routine.", context.model.name);
    let methods = stubs.iter().map(|stub| stub.method(context));
    quote! {
        #[doc = #doc]
        pub trait Server {
            #(#methods)*
        }
    }
}

fn demux(context: &Context<'_>, stubs: &[Stub<'_>], rt: &TokenStream) -> TokenStream {
    let doc = [
        format!(" Serves a request of subsystem `{}` and leaves its reply in `reply`.", context.model.name),
        String::new(),
        String::from(
            " False if no routine has its id; the reply then says `MIG_BAD_ID`, and the request still owns its rights.",
        ),
        String::from(" True otherwise: if the reply's remote port is null, no reply is to be sent."),
    ];
    let doc = rust::doc_tokens(&doc);
    let arms = stubs.iter().map(|stub| {
        let id = Literal::u32_unsuffixed(stub.layout.request.id);
        let serve = stub.serve_name();
        let (one_way, takes) = (stub.routine.one_way, stub.takes_reply_port);
        quote! {
            Some(#id) => #rt::mig::answer(
                request,
                reply,
                #one_way,
                #takes,
                |incoming, outgoing| #serve(server, incoming, outgoing),
            ),
        }
    });
    quote! {
        #doc
        pub fn demux(server: &mut impl Server, request: &[u64], reply: &mut [u64]) -> bool {
            let served = match #rt::mig::request_id(request) {
                #(#arms)*
                _ => #rt::mig::refuse(request, reply),
            };
            served == #rt::mig::Served::Yes
        }
    }
}

/// A routine's method and `serve` function.
struct Stub<'a> {
    routine: &'a Routine,
    rt: &'a TokenStream,
    layout: RoutineLayout,
    takes_reply_port: bool,
    /// Name and type of the method's parameters.
    parameters: Vec<(TokenStream, TokenStream)>,
    /// Statements that take the request's items.
    takes: Vec<TokenStream>,
    /// What is passed for each parameter.
    arguments: Vec<TokenStream>,
    /// Name and type of the results.
    results: Vec<(proc_macro2::Ident, TokenStream, String)>,
    /// Statements that put the reply's items.
    puts: Vec<TokenStream>,
}

impl<'a> Stub<'a> {
    fn new(
        model: &'a Model,
        routine: &'a Routine,
        rt: &'a TokenStream,
        structs: &mut Structs,
    ) -> Result<Self, Unsupported> {
        let mut stub = Self {
            routine,
            rt,
            layout: layout::layout(model, routine),
            takes_reply_port: false,
            parameters: Vec::new(),
            takes: Vec::new(),
            arguments: Vec::new(),
            results: Vec::new(),
            puts: Vec::new(),
        };
        for (index, argument) in routine.arguments.iter().enumerate() {
            stub.argument(model, index, argument, structs)?;
        }
        Ok(stub)
    }

    fn parameter(&mut self, name: &proc_macro2::Ident, ty: TokenStream, value: TokenStream) {
        self.parameters.push((quote!(#name), ty));
        self.arguments.push(value);
    }

    fn argument(
        &mut self,
        model: &Model,
        index: usize,
        argument: &Argument,
        structs: &mut Structs,
    ) -> Result<(), Unsupported> {
        let rt = self.rt;
        let name = argument_ident(argument);
        let unsupported = |why: Unsupported| format!("argument {} is {why}", argument.name);
        match argument.role {
            Role::RequestPort => self.parameter(&name, quote!(#rt::port::PortName), quote!(mig_port)),
            Role::ReplyPort { server: true, .. } => {
                self.takes_reply_port = true;
                self.parameter(&name, quote!(#rt::port::PortName), quote!(mig_reply_port));
            }
            Role::MsgSeqno => self.parameter(&name, quote!(u32), quote!(mig_sequence_number)),
            Role::ReplyPort { .. } | Role::WaitTime | Role::MsgOption => {}
            Role::In | Role::Out | Role::InOut => {
                let form = rust::form(model, argument.ty, rt, structs).map_err(unsupported)?;
                if argument.role.in_request() {
                    self.take(model, index, argument, &form).map_err(unsupported)?;
                }
                if argument.count_in_out {
                    self.take_count(index, argument, matches!(form, Form::Array(..)));
                }
                if argument.role.in_reply() {
                    self.put(model, index, argument, &form).map_err(unsupported)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, model: &Model, index: usize, argument: &Argument, form: &Form) -> Result<(), Unsupported> {
        let rt = self.rt;
        let name = argument_ident(argument);
        let Some(item) = self.layout.request.items.iter().find(|item| item.source == Source::Argument(index)) else {
            return Ok(());
        };
        let descriptor = rust::descriptor(item.received);
        let number = |number: &u32| Literal::u32_unsuffixed(*number);
        let out_name = model.ty(argument.ty).out_name;
        let (ty, take) = match form {
            Form::Value(ty) => (quote!(#ty), quote!(let #name: #ty = incoming.take(#descriptor)?;)),
            Form::Text(room) | Form::VaryingText(room) => {
                let varies = matches!(form, Form::VaryingText(_));
                let room = number(room);
                (quote!(&[u8]), quote!(let #name = incoming.take_string(#descriptor, #room, #varies)?;))
            }
            Form::AnyPort if out_name == tn::POLYMORPHIC => {
                (quote!(#rt::mig::AnyRight), quote!(let #name = incoming.take_any_port(#descriptor)?;))
            }
            Form::Port | Form::AnyPort => {
                let owner = received_right(out_name, rt);
                let take = quote!(let #name = #owner::from_name(incoming.take_port(#descriptor)?););
                (owner, take)
            }
            Form::Array(element, most) if element.to_string() == "u8" => {
                let most = number(most);
                let take = quote!(let #name = incoming.take_array::<u8>(#descriptor, #most)?.as_bytes(););
                (quote!(&[u8]), take)
            }
            Form::Array(element, most) => {
                let most = number(most);
                let take = quote!(let #name = incoming.take_array::<#element>(#descriptor, #most)?;);
                (quote!(#rt::mig::Array<'_, #element>), take)
            }
            Form::OutOfLine(_) => {
                (quote!(#rt::memory::OutOfLine), quote!(let #name = incoming.take_out_of_line(#descriptor)?;))
            }
            Form::OutOfLinePorts => {
                (quote!(#rt::mig::OutOfLinePorts), quote!(let #name = incoming.take_ports(#descriptor)?;))
            }
            Form::Ports(most) | Form::Rights { most, .. } => {
                let (most, either) = (number(most), matches!(form, Form::Rights { either: true, .. }));
                let take = quote!(let #name = incoming.take_rights(#descriptor, #most, #either)?;);
                (quote!(#rt::mig::Vec<#rt::mig::AnyRight>), take)
            }
            Form::Either(element, most) => {
                let most = number(most);
                let take = quote!(let #name = incoming.take_either_way::<#element>(#descriptor, #most)?;);
                (quote!(#rt::mig::Received<'_, #element>), take)
            }
        };
        self.takes.push(take);
        self.parameter(&name, ty, quote!(#name));
        Ok(())
    }

    /// How much room the user has: a limit for what goes inline, of no interest where more can go out of line.
    fn take_count(&mut self, index: usize, argument: &Argument, used: bool) {
        let items = &self.layout.request.items;
        if let Some(item) = items.iter().find(|item| item.source == Source::Count(index)) {
            let descriptor = rust::descriptor(item.received);
            let name = ident(&format!("{}{}_count", if used { "" } else { "_" }, argument.name));
            self.takes.push(quote!(let #name: u32 = incoming.take(#descriptor)?;));
        }
    }

    fn put(&mut self, model: &Model, index: usize, argument: &Argument, form: &Form) -> Result<(), Unsupported> {
        let rt = self.rt;
        let name = argument_ident(argument);
        let Some(item) = self.layout.reply.items.iter().find(|item| item.source == Source::Argument(index)) else {
            return Ok(());
        };
        let descriptor = rust::descriptor(item.sent);
        let in_name = model.ty(argument.ty).in_name;
        let (ty, put) = match form {
            Form::Value(ty) => (quote!(#ty), quote!(outgoing.put(#descriptor, #name);)),
            Form::Text(room) => {
                let room = Literal::u32_unsuffixed(*room);
                // The whole buffer, with whatever stands after the NUL.
                (quote!([u8; #room]), quote!(outgoing.put(#descriptor, #name);))
            }
            Form::Port => {
                let (ty, value) = sent_right(in_name, &quote!(#name), rt);
                (ty, quote!(outgoing.put_port(#descriptor, #value);))
            }
            Form::AnyPort if in_name != tn::POLYMORPHIC => {
                let (ty, value) = sent_right(in_name, &quote!(#name), rt);
                (ty, quote!(outgoing.put_port(#descriptor, #value);))
            }
            Form::OutOfLine(_) => (quote!(#rt::memory::OutOfLine), quote!(outgoing.put_moved(#descriptor, #name);)),
            Form::Array(element, most) => {
                let count = ident(&format!("{}_count", argument.name));
                let most = Literal::u32_unsuffixed(*most);
                let room = if argument.count_in_out { quote!(#most.min(#count as usize)) } else { quote!(#most) };
                let put = quote!(outgoing.put_array(#descriptor, #name.as_ref(), #room););
                (self.list(quote!(#element)), put)
            }
            Form::Either(element, most) => {
                let most = Literal::u32_unsuffixed(*most);
                let put = quote!(outgoing.put_either_moved(#descriptor, #name.as_ref(), #most););
                (self.list(quote!(#element)), put)
            }
            Form::AnyPort => (
                quote!((#rt::port::PortName, #rt::port::Disposition)),
                quote!(outgoing.put_any_port(#descriptor, #name.0, #name.1);),
            ),
            Form::VaryingText(room) => {
                let room = Literal::u32_unsuffixed(*room);
                let put = quote!(outgoing.put_varying_string(#descriptor, #name.as_ref(), #room););
                (self.list(quote!(u8)), put)
            }
            Form::Ports(_) | Form::Rights { .. } | Form::OutOfLinePorts => {
                let descriptor = rights_descriptor(&descriptor, in_name, &quote!(#name.1));
                let any = in_name == tn::POLYMORPHIC;
                let names = if any { quote!(#name.0) } else { quote!(#name) };
                let (element, put) = put_rights(&quote!(outgoing), &descriptor, in_name, &names, form, rt);
                let list = quote!(#rt::mig::Vec<#element>);
                (if any { quote!((#list, #rt::port::Disposition)) } else { list }, put)
            }
        };
        self.results.push((name, ty, model.display_name(argument.ty)));
        self.puts.push(put);
        Ok(())
    }

    /// The type of an array that goes back. A named struct cannot have a field of an unnamed type.
    fn list(&self, element: TokenStream) -> TokenStream {
        let rt = self.rt;
        if self.several_results() { quote!(#rt::mig::Vec<#element>) } else { quote!(impl AsRef<[#element]>) }
    }

    fn several_results(&self) -> bool {
        self.routine.arguments.iter().filter(|argument| argument.role.in_reply()).count() > 1
    }

    fn result_type(&self) -> TokenStream {
        match &self.results[..] {
            [] => quote!(()),
            [(_, ty, _)] => quote!(#ty),
            _ => {
                let name = rust::result_name(&self.routine.name);
                quote!(#name)
            }
        }
    }

    fn result_struct(&self) -> Option<TokenStream> {
        if self.results.len() < 2 {
            return None;
        }
        let name = rust::result_name(&self.routine.name);
        let doc = format!(" What [`Server::{}`] answers.", self.routine.name);
        let fields = self.results.iter().map(|(field, ty, type_name)| {
            let doc = format!(" `{type_name}`");
            quote!(#[doc = #doc] pub #field: #ty)
        });
        Some(quote! {
            #[doc = #doc]
            #[derive(Debug)]
            pub struct #name { #(#fields,)* }
        })
    }

    fn method(&self, context: &Context<'_>) -> TokenStream {
        let rt = self.rt;
        let name = ident(&self.routine.name);
        let doc = rust::doc_tokens(&rust::documentation(context, self.routine));
        let too_many = rust::too_many_arguments(self.parameters.len() + 1);
        let parameters = self.parameters.iter().map(|(name, ty)| quote!(#name: #ty));
        let names = self.parameters.iter().map(|(name, _)| name);
        let result = self.result_type();
        // `impl Trait` results need a concrete type in the default.
        let refuse = match self.results.first() {
            Some((_, ty, _)) if ty.to_string().starts_with("impl") => {
                quote!(Err::<[_; 0], _>(#rt::error::KernReturn::MIG_BAD_ID))
            }
            _ => quote!(Err(#rt::error::KernReturn::MIG_BAD_ID)),
        };
        quote! {
            #doc
            #too_many
            fn #name(&mut self, #(#parameters),*) -> #rt::error::Result<#result> {
                let _ = (#(#names,)*);
                #refuse
            }
        }
    }

    fn serve_name(&self) -> proc_macro2::Ident {
        ident(&format!("serve_{}", self.routine.name))
    }

    fn serve(&self) -> TokenStream {
        let rt = self.rt;
        let (serve, method) = (self.serve_name(), ident(&self.routine.name));
        let request = &self.layout.request;
        let (min, max) = (Literal::u32_unsuffixed(request.min_size), Literal::u32_unsuffixed(request.max_size));
        let complexity = rust::complexity(request.received, rt);
        let (takes, puts, arguments) = (&self.takes, &self.puts, &self.arguments);
        let incoming = if takes.is_empty() { quote!(incoming) } else { quote!(mut incoming) };
        let outgoing = if puts.is_empty() { quote!(_outgoing) } else { quote!(outgoing) };
        let reply_port = self.takes_reply_port.then(|| quote!(let mig_reply_port = incoming.reply_port();));
        let has_seqno = self.routine.arguments.iter().any(|argument| argument.role == Role::MsgSeqno);
        let sequence_number = has_seqno.then(|| quote!(let mig_sequence_number = incoming.sequence_number();));
        let names: Vec<_> = self.results.iter().map(|(name, ..)| name).collect();
        let call = quote!(server.#method(#(#arguments),*)?);
        let call = match &names[..] {
            [] => quote!(#call;),
            [name] => quote!(let #name = #call;),
            _ => {
                let ty = rust::result_name(&self.routine.name);
                quote!(let #ty { #(#names),* } = #call;)
            }
        };
        quote! {
            fn #serve(
                server: &mut impl Server,
                #incoming: #rt::mig::Incoming<'_>,
                #outgoing: &mut #rt::mig::Outgoing<'_>,
            ) -> #rt::error::Result<()> {
                incoming.check(#min, #max, #complexity)?;
                #(#takes)*
                incoming.finish()?;
                let mig_port = incoming.local_port();
                #sequence_number
                #reply_port
                #call
                #(#puts)*
                Ok(())
            }
        }
    }
}
