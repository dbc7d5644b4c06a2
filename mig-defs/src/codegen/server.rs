// SPDX-License-Identifier: GPL-2.0-or-later
//! Model to server stubs: a trait with one method per routine, and `demux`, which calls it.
//!
//! Arguments are as the user stubs return them (rights owned, arrays borrowed from the request), results as the user
//! stubs take them, except that a polymorphic right is a pair of name and `Disposition`, and out-of-line memory is an
//! `OutOfLine` and goes over to the client. Methods have a default that answers `MIG_BAD_ID`. An `sreplyport` argument is
//! a name: the right is the server's only if it answers `MIG_NO_REPLY`. A request that is not what its .defs say never
//! reaches the trait: it is answered with `MIG_BAD_ARGUMENTS`, and its rights and memory are given back. Of a
//! simpleroutine only what went wrong is answered.

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use mach_abi::type_name as tn;

use super::Context;
use super::names::{self, argument_ident, beside_argument};
use super::rights::{received_right, sent_right};
use super::rust::{self, Form, Place, Structs, Unsupported};
use super::shorten::Imports;
use crate::layout::{self, Item, RoutineLayout, Source};
use crate::model::{Argument, Model, Role, Routine};

/// Routines without a stub, with the reason.
pub fn left_out(model: &Model) -> Vec<(String, String)> {
    let rt = Imports::runtime();
    let mut structs = Structs::new();
    let reason = |routine: &Routine| {
        Stub::new(model, routine, &rt, &mut structs).err().map(|why| (routine.name.to_string(), why))
    };
    model.routines.iter().filter_map(reason).collect()
}

/// The Rust text of the trait and its `demux`.
pub fn generate(context: &Context<'_>) -> anyhow::Result<String> {
    let (rt, model) = (Imports::runtime(), context.model);
    let mut structs = Structs::new();
    let (mut stubs, mut missing) = (Vec::new(), String::new());
    for routine in &model.routines {
        match Stub::new(model, routine, &rt, &mut structs) {
            Ok(stub) => stubs.push(stub),
            Err(why) => missing += &format!("// No stub for {}: {why}.\n", routine.name),
        }
    }
    let mut types: BTreeSet<String> = structs.keys().cloned().chain([String::from("Server")]).collect();
    for stub in stubs.iter_mut().filter(|stub| stub.results.len() > 1) {
        stub.result_name = Some(names::result_name(&stub.routine.name, &mut types));
    }
    let mut imports = Imports::new(types.into_iter().chain(names::values(model)));
    let structs = structs.iter().map(|(name, id)| rust::struct_item(model, name, *id, &rt));
    let parts: Vec<TokenStream> = structs
        .chain(stubs.iter().filter_map(Stub::result_struct))
        .chain([server_trait(context, &stubs), demux(context, &stubs, &rt)])
        .chain(stubs.iter().map(Stub::serve))
        .collect();
    let mut text = missing;
    for part in parts {
        text.push('\n');
        text += &rust::format_items(imports.shorten(part))?;
    }
    Ok(rust::header(context, "server") + &imports.lines(context.runtime) + &text)
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
        quote!(#id => #serve(server, &mut call),)
    });
    let (binding, served) = match stubs {
        [] => (quote!(call), quote!(let _ = server; call.refuse())),
        _ => {
            let served = quote! {
                let result = match call.id() {
                    #(#arms)*
                    _ => return call.refuse(),
                };
                call.answer(result)
            };
            (quote!(mut call), served)
        }
    };
    quote! {
        #doc
        pub fn demux(server: &mut impl Server, request: &[u64], reply: &mut [u64]) -> bool {
            let Some(#binding) = #rt::mig::Call::new(request, reply) else { return false };
            #served
        }
    }
}

/// A routine's method and `serve` function.
struct Stub<'a> {
    model: &'a Model,
    routine: &'a Routine,
    rt: &'a TokenStream,
    layout: RoutineLayout,
    /// What its `serve` calls the server, the call and the request.
    server: Ident,
    call: Ident,
    request: Ident,
    /// Name and type of the method's parameters.
    parameters: Vec<(Ident, TokenStream)>,
    /// Statements that take the request's items.
    takes: Vec<TokenStream>,
    /// What is passed for each parameter.
    arguments: Vec<TokenStream>,
    /// Name and type of the results.
    results: Vec<(Ident, TokenStream, String)>,
    /// The struct of the results, if there are several.
    result_name: Option<Ident>,
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
        let [server, call, request] = names::locals(["server", "call", "request"], routine, is_local);
        let mut stub = Self {
            model,
            routine,
            rt,
            layout: layout::layout(model, routine),
            server,
            call,
            request,
            parameters: Vec::new(),
            takes: Vec::new(),
            arguments: Vec::new(),
            results: Vec::new(),
            result_name: None,
            puts: Vec::new(),
        };
        for (index, argument) in routine.arguments.iter().enumerate() {
            stub.argument(index, argument, structs).map_err(|why| format!("argument {} is {why}", argument.name))?;
        }
        Ok(stub)
    }

    fn parameter(&mut self, name: Ident, ty: TokenStream, value: TokenStream) {
        self.parameters.push((name, ty));
        self.arguments.push(value);
    }

    fn argument(&mut self, index: usize, argument: &Argument, structs: &mut Structs) -> Result<(), Unsupported> {
        let (rt, name, call) = (self.rt, argument_ident(self.routine, argument), self.call.clone());
        match argument.role {
            Role::RequestPort => self.parameter(name, quote!(#rt::port::PortName), quote!(#call.port())),
            Role::ReplyPort { server: true, .. } => {
                self.parameter(name, quote!(#rt::port::PortName), quote!(#call.reply_port()));
            }
            Role::MsgSeqno => self.parameter(name, quote!(u32), quote!(#call.sequence_number())),
            Role::ReplyPort { .. } | Role::WaitTime | Role::MsgOption => {}
            Role::In | Role::Out | Role::InOut => {
                let form = rust::form(self.model, argument.ty, rt, structs)?;
                if argument.role.in_request() {
                    self.take(index, argument, &form);
                }
                if argument.count_in_out {
                    self.take_count(index, argument, matches!(form, Form::Array(..)));
                }
                if argument.role.in_reply() {
                    self.put(index, argument, &form);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, index: usize, argument: &Argument, form: &Form) {
        let (rt, name, request) = (self.rt, argument_ident(self.routine, argument), &self.request);
        let Some(item) = find(&self.layout.request.items, Source::Argument(index)) else { return };
        let ty = self.model.ty(argument.ty);
        let descriptor = rust::descriptor(ty, item.received, None, rt);
        let any = ty.out_name == tn::POLYMORPHIC;
        let (ty, take) = match form {
            Form::Value(ty) => (quote!(#ty), quote!(take(#descriptor)?)),
            Form::Text(_) => (quote!(&[u8]), quote!(take_fixed_text(#descriptor)?)),
            Form::VaryingText(room) => {
                let room = Literal::u32_unsuffixed(*room);
                (quote!(&[u8]), quote!(take_text(#descriptor, #room)?))
            }
            Form::Port | Form::AnyPort if any => (quote!(#rt::mig::AnyRight), quote!(take_any_right(#descriptor)?)),
            Form::Port | Form::AnyPort => (received_right(ty.out_name, rt), quote!(take_right(#descriptor)?)),
            Form::Array(element, most) => {
                let most = Literal::u32_unsuffixed(*most);
                match element.to_string() == "u8" {
                    true => (quote!(&[u8]), quote!(take_array::<u8>(#descriptor, #most)?.as_bytes())),
                    false => (quote!(#rt::mig::Array<'_, #element>), quote!(take_array(#descriptor, #most)?)),
                }
            }
            Form::OutOfLine(_) => (quote!(#rt::memory::OutOfLine), quote!(take_memory(#descriptor)?)),
            Form::Rights(_, Place::Far) => (quote!(#rt::mig::OutOfLinePorts), quote!(take_far_rights(#descriptor)?)),
            Form::Rights(most, place) => {
                let most = Literal::u32_unsuffixed(*most);
                let take = match place {
                    Place::Either => quote!(take_either_rights(#descriptor)?),
                    _ => quote!(take_rights(#descriptor, #most)?),
                };
                (quote!(#rt::mig::Vec<#rt::mig::AnyRight>), take)
            }
            Form::Either(element, _) => (quote!(#rt::mig::Received<'_, #element>), quote!(take_either(#descriptor)?)),
        };
        self.takes.push(quote!(let #name = #request.#take;));
        self.parameter(name.clone(), ty, quote!(#name));
    }

    /// How much room the user has: a limit for what goes inline, of no interest where more can go out of line.
    fn take_count(&mut self, index: usize, argument: &Argument, used: bool) {
        if find(&self.layout.request.items, Source::Count(index)).is_some() {
            let (rt, request) = (self.rt, &self.request);
            let name = beside_argument(self.routine, argument, "count");
            let binding = if used { quote!(let #name =) } else { quote!() };
            self.takes.push(quote!(#binding #request.take::<u32>(#rt::mig::INTEGER_32)?;));
        }
    }

    fn put(&mut self, index: usize, argument: &Argument, form: &Form) {
        let (rt, name) = (self.rt, argument_ident(self.routine, argument));
        let Some(item) = find(&self.layout.reply.items, Source::Argument(index)) else { return };
        let ty = self.model.ty(argument.ty);
        let any = ty.in_name == tn::POLYMORPHIC;
        let kind = any.then(|| quote!(#name.1));
        let descriptor = rust::descriptor(ty, item.sent, kind.as_ref(), rt);
        let right = sent_right(ty.in_name, rt);
        let (ty, put) = match form {
            Form::Value(ty) => (quote!(#ty), quote!(put(#descriptor, #name))),
            Form::Text(room) => {
                let room = Literal::u32_unsuffixed(*room);
                // The whole buffer, with whatever stands after the NUL.
                (quote!([u8; #room]), quote!(put(#descriptor, #name)))
            }
            Form::Port | Form::AnyPort if any => {
                (quote!((#rt::port::PortName, #rt::port::Disposition)), quote!(put_right(#descriptor, #name.0)))
            }
            Form::Port | Form::AnyPort => (right, quote!(put_right(#descriptor, #name))),
            Form::OutOfLine(_) => (quote!(#rt::memory::OutOfLine), quote!(put_given(#descriptor, #name))),
            Form::Array(element, most) => {
                let count = beside_argument(self.routine, argument, "count");
                let most = Literal::u32_unsuffixed(*most);
                let room = if argument.count_in_out { quote!(#most.min(#count as usize)) } else { quote!(#most) };
                (self.list(quote!(#element)), quote!(put_array(#descriptor, #name.as_ref(), #room)))
            }
            Form::Either(element, most) => {
                let most = Literal::u32_unsuffixed(*most);
                (self.list(quote!(#element)), quote!(put_list(#descriptor, #name.as_ref(), #most)))
            }
            Form::VaryingText(room) => {
                let room = Literal::u32_unsuffixed(*room);
                (self.list(quote!(u8)), quote!(put_text(#descriptor, #name, #room)))
            }
            Form::Rights(most, place) => {
                let names = if any { quote!(#name.0) } else { quote!(#name) };
                // Out of line goes a copy that nobody else would give back.
                let given = (*place != Place::Near && !item.sent.deallocate).then(|| quote!(.dealloc()));
                let put = rust::put_rights(&quote!(#descriptor #given), &names, *most, *place);
                let list = quote!(#rt::mig::Vec<#right>);
                (if any { quote!((#list, #rt::port::Disposition)) } else { list }, put)
            }
        };
        let call = &self.call;
        self.puts.push(quote!(#call.reply.#put;));
        self.results.push((name, ty, self.model.display_name(argument.ty)));
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
        match (&self.results[..], &self.result_name) {
            ([(_, ty, _)], _) => quote!(#ty),
            (_, Some(name)) => quote!(#name),
            (_, None) => quote!(()),
        }
    }

    fn result_struct(&self) -> Option<TokenStream> {
        let name = self.result_name.as_ref()?;
        let doc = format!(" What [`Server::{}`] answers.", names::method(self.model, self.routine));
        Some(rust::result_struct(name, &doc, self.results.iter().cloned()))
    }

    fn method(&self, context: &Context<'_>) -> TokenStream {
        let rt = self.rt;
        let name = names::method(self.model, self.routine);
        let doc = rust::doc_tokens(&rust::documentation(context, self.routine));
        let too_many = rust::too_many_arguments(self.parameters.len() + 1);
        let c_names = rust::c_names(self.parameters.iter().map(|(name, _)| name).chain([&name]));
        let parameters = self.parameters.iter().map(|(name, ty)| quote!(#name: #ty));
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        let names = match &names[..] {
            [name] => quote!(#name),
            names => quote!((#(#names),*)),
        };
        let result = self.result_type();
        // `impl Trait` results need a concrete type in the default.
        let unnamed = self.results.first().is_some_and(|(_, ty, _)| ty.to_string().starts_with("impl"));
        let concrete = unnamed.then(|| quote!(::<[_; 0]>));
        quote! {
            #doc
            #too_many
            #c_names
            fn #name(&mut self, #(#parameters),*) -> #rt::error::Result<#result> {
                #rt::mig::not_served #concrete(#names)
            }
        }
    }

    fn serve_name(&self) -> Ident {
        format_ident!("serve_{}", &*self.routine.name)
    }

    fn serve(&self) -> TokenStream {
        let rt = self.rt;
        let (serve, method) = (self.serve_name(), names::method(self.model, self.routine));
        let (server, call, request) = (&self.server, &self.call, &self.request);
        let shape = rust::shape(&self.layout.request, rt);
        let open = if self.routine.one_way { quote!(one_way) } else { quote!(request) };
        let (takes, puts, arguments) = (&self.takes, &self.puts, &self.arguments);
        let checked = match &takes[..] {
            [] => quote!(#call.#open(#shape)?.finish()?;),
            takes => quote! {
                let mut #request = #call.#open(#shape)?;
                #(#takes)*
                #request.finish()?;
            },
        };
        let names: Vec<_> = self.results.iter().map(|(name, ..)| name).collect();
        let answer = quote!(#server.#method(#(#arguments),*));
        let served = match &names[..] {
            [] => answer,
            names => {
                let pattern = match &self.result_name {
                    Some(ty) => quote!(#ty { #(#names),* }),
                    None => quote!(#(#names)*),
                };
                quote! {
                    let #pattern = #answer?;
                    #(#puts)*
                    Ok(())
                }
            }
        };
        let locals: Vec<Ident> = self
            .routine
            .arguments
            .iter()
            .filter(|one| is_local(one))
            .map(|one| argument_ident(self.routine, one))
            .collect();
        let c_names = rust::c_names(locals.iter().chain([&serve]));
        quote! {
            #c_names
            fn #serve(#server: &mut impl Server, #call: &mut #rt::mig::Call<'_>) -> #rt::error::Result<()> {
                #checked
                #served
            }
        }
    }
}

/// Whether `serve` has a local of this argument's name.
fn is_local(argument: &Argument) -> bool {
    argument.role.in_request() || argument.role.in_reply()
}

fn find(items: &[Item], source: Source) -> Option<&Item> {
    items.iter().find(|item| item.source == source)
}
