// SPDX-License-Identifier: GPL-2.0-or-later
//! What the user and the server generator share: Rust types of arguments, structs, names, documentation.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use mach_abi::{Descriptor, type_name as tn};

use super::Context;
use super::names::{self, ident, struct_name};
use super::table::basic_kind;
use crate::layout::{self, Complexity, Message};
use crate::model::{Member, Model, Routine, Shape, Type, TypeId};
use crate::table::TypeKind;

/// Structs that the stubs of a file use, by their names in Rust.
pub(super) type Structs = BTreeMap<String, TypeId>;

/// How an argument stands in a message, and the Rust type of its value or element.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A value of fixed size.
    Value(TokenStream),
    /// A C string of this many bytes, of which all are sent.
    Text(u32),
    /// A C string of up to this many bytes.
    VaryingText(u32),
    /// One right.
    Port,
    /// One right of any kind.
    AnyPort,
    /// An array of rights, of which so many fit inline.
    Rights(u32, Place),
    /// An inline array of up to so many elements.
    Array(TokenStream, u32),
    /// Memory out of line: the element type.
    OutOfLine(TokenStream),
    /// An array that is inline up to so many elements, else out of line.
    Either(TokenStream, u32),
}

/// Where an array may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the message.
    Near,
    /// In the message if it is small enough.
    Either,
    /// Out of line.
    Far,
}

/// Why there is no stub.
pub(super) type Unsupported = String;

/// How an argument of type `id` is passed.
pub(super) fn form(model: &Model, id: TypeId, rt: &TokenStream, structs: &mut Structs) -> Result<Form, Unsupported> {
    let root = model.unaliased(id);
    let ty = model.ty(root);
    match &ty.shape {
        Shape::OutOfLine(target) => {
            let target = model.unaliased(*target);
            let element = match model.ty(target).shape {
                Shape::VarArray(element, _) => element,
                _ => target,
            };
            if model.ty(element).is_port() {
                return Ok(Form::Rights(0, Place::Far));
            }
            value(model, element, rt, structs).map(Form::OutOfLine)
        }
        Shape::VarArray(element, most) => {
            if model.ty(*element).is_port() {
                return Ok(Form::Rights(*most, if ty.indefinite { Place::Either } else { Place::Near }));
            }
            let element = value(model, *element, rt, structs)?;
            Ok(if ty.indefinite { Form::Either(element, *most) } else { Form::Array(element, *most) })
        }
        Shape::CString if ty.var_array => Ok(Form::VaryingText(ty.bytes)),
        Shape::CString => Ok(Form::Text(ty.bytes)),
        _ if ty.is_port() && ty.number == 1 => {
            let any = ty.in_name == tn::POLYMORPHIC || ty.out_name == tn::POLYMORPHIC;
            Ok(if any { Form::AnyPort } else { Form::Port })
        }
        Shape::Basic if ty.in_name == tn::STRING => Ok(Form::Text(ty.bytes)),
        _ => value(model, id, rt, structs).map(Form::Value),
    }
}

/// The Rust type of a value of fixed size.
pub(super) fn value(
    model: &Model,
    id: TypeId,
    rt: &TokenStream,
    structs: &mut Structs,
) -> Result<TokenStream, Unsupported> {
    let root = model.unaliased(id);
    let ty = model.ty(root);
    match &ty.shape {
        Shape::Array(element, count) => {
            let element = value(model, *element, rt, structs)?;
            let count = Literal::u32_unsuffixed(*count);
            Ok(quote!([#element; #count]))
        }
        Shape::Struct(members) => {
            let name = struct_name(model, ty.name.as_ref().ok_or("a struct without a name")?);
            for member in members {
                member_type(model, member, rt, structs)?;
            }
            let ident = ident(&name);
            // Types that are declared with an argument can have one name and be different.
            let other = structs.get(&name).map(|other| &model.ty(*other).shape).filter(|other| **other != ty.shape);
            if other.is_some() {
                return Err(format!("another struct `{name}` than an earlier one"));
            }
            structs.insert(name, root);
            Ok(quote!(#ident))
        }
        Shape::CString => Ok(bytes(ty)),
        _ => basic(model, id, ty, rt),
    }
}

fn bytes(ty: &Type) -> TokenStream {
    let size = Literal::u32_unsuffixed(ty.bytes);
    quote!([u8; #size])
}

fn basic(model: &Model, id: TypeId, ty: &Type, rt: &TokenStream) -> Result<TokenStream, Unsupported> {
    Ok(match (basic_kind(model, id), ty.size) {
        (TypeKind::Unsigned, 16) => quote!(u16),
        (TypeKind::Unsigned, 32) => quote!(u32),
        (TypeKind::Unsigned, 64) => quote!(u64),
        (TypeKind::Signed, 16) => quote!(i16),
        (TypeKind::Signed, 32) => quote!(i32),
        (TypeKind::Signed, 64) => quote!(i64),
        (TypeKind::Bool, _) => quote!(bool),
        (TypeKind::Char | TypeKind::Byte, _) => quote!(u8),
        (TypeKind::PortName, _) => quote!(#rt::port::PortName),
        (TypeKind::KernReturn, _) => quote!(#rt::error::KernReturn),
        (TypeKind::Port, _) => return Err(String::from("a right inside a struct or array")),
        _ if ty.size.is_multiple_of(8) => bytes(ty),
        _ => return Err(format!("a value of {} bits", ty.size)),
    })
}

/// A struct member's type; `KernReturn` has no default value and is a number there.
fn member_type(
    model: &Model,
    member: &Member,
    rt: &TokenStream,
    structs: &mut Structs,
) -> Result<TokenStream, Unsupported> {
    match basic_kind(model, member.ty) {
        TypeKind::KernReturn => Ok(quote!(i32)),
        _ => value(model, member.ty, rt, structs),
    }
}

/// The definition of a struct and its place in messages.
pub(super) fn struct_item(model: &Model, name: &str, id: TypeId, rt: &TokenStream) -> TokenStream {
    let ty = model.ty(id);
    let Shape::Struct(members) = &ty.shape else { return TokenStream::new() };
    let ident = ident(name);
    let mut structs = Structs::new();
    let mut fields = Vec::new();
    let mut large = false;
    for member in members {
        let Ok(field) = member_type(model, member, rt, &mut structs) else { continue };
        let member_type = model.ty(model.unaliased(member.ty));
        // The standard library implements Default for arrays of up to 32 elements.
        large |= matches!(member_type.shape, Shape::CString) && member_type.bytes > 32;
        large |= matches!(member_type.shape, Shape::Array(_, count) if count > 32);
        fields.push((names::member(members, &member.name), field, member));
    }
    let declarations = fields.iter().map(|(name, ty, member)| {
        let doc = format!(" `{}`, at byte {}", model.display_name(member.ty), member.offset);
        quote!(#[doc = #doc] pub #name: #ty)
    });
    let range = |member: &Member| {
        let start = Literal::u32_unsuffixed(member.offset);
        quote!(#start..)
    };
    let writes = fields.iter().map(|(name, _, member)| {
        let range = range(member);
        quote!(#rt::mig::Item::write(self.#name, &mut to[#range]);)
    });
    let reads = fields.iter().map(|(name, _, member)| {
        let range = range(member);
        quote!(#name: #rt::mig::Item::read(&from[#range]))
    });
    let size = Literal::u32_unsuffixed(ty.bytes);
    let doc = format!(" `{}` of the .defs: {} bytes.", ty.name.as_deref().unwrap_or(name), ty.bytes);
    let name = name.trim_matches('_');
    let lower_case = name.contains('_') || name.starts_with(char::is_lowercase);
    let expect = lower_case.then(|| quote!(#[expect(non_camel_case_types, reason = "the C name")]));
    let field_names = c_names(fields.iter().map(|(name, ..)| name));
    let derive_default = (!large).then(|| quote!(, Default));
    let default = large.then(|| {
        quote! {
            impl Default for #ident {
                fn default() -> Self {
                    #rt::mig::Item::read(&[0; #size])
                }
            }
        }
    });
    quote! {
        #[doc = #doc]
        #expect
        #field_names
        #[derive(Clone, Copy, Debug, PartialEq #derive_default)]
        pub struct #ident {
            #(#declarations,)*
        }

        #default

        impl #rt::mig::Item for #ident {
            const SIZE: usize = #size;

            fn write(self, to: &mut [u8]) {
                #(#writes)*
            }

            fn read(from: &[u8]) -> Self {
                Self { #(#reads,)* }
            }
        }
    }
}

/// A descriptor in terms of the runtime's types. The number of one that varies comes from the value.
/// What kind a polymorphic right is comes from `kind`.
pub(super) fn descriptor(
    ty: &Type,
    descriptor: Descriptor,
    kind: Option<&TokenStream>,
    rt: &TokenStream,
) -> TokenStream {
    let name = u32::from(descriptor.name);
    let known = KNOWN_TYPES.iter().find(|(number, size, _)| (*number, *size) == (name, descriptor.size));
    // Out of line, a right is a name of 32 bits.
    let far_right = (!descriptor.inline && descriptor.size == 32)
        .then(|| KNOWN_TYPES.iter().find(|(number, size, _)| (*number, *size) == (name, 64)))
        .flatten();
    let mut tokens = match (kind, known.or(far_right)) {
        (Some(kind), _) => quote!(#rt::mig::Type::of(#kind)),
        (None, Some((.., constant))) => {
            let constant = ident(constant);
            quote!(#rt::mig::#constant)
        }
        (None, None) => {
            let (name, size) = (Literal::u8_unsuffixed(descriptor.name), Literal::u16_unsuffixed(descriptor.size));
            quote!(#rt::mig::Type::new(#name, #size))
        }
    };
    let varies = ty.var_array || ty.indefinite || !ty.inline;
    if descriptor.number != 1 && !varies {
        let number = Literal::u32_unsuffixed(descriptor.number);
        tokens.extend(quote!(.times(#number)));
    }
    for (set, call) in [
        (!descriptor.inline, quote!(.out_of_line())),
        (descriptor.longform, quote!(.long())),
        (descriptor.deallocate, quote!(.dealloc())),
    ] {
        tokens.extend(set.then_some(call));
    }
    tokens
}

/// Types that have a name in the runtime.
const KNOWN_TYPES: [(u32, u16, &str); 15] = [
    (tn::BOOLEAN, 32, "BOOLEAN"),
    (tn::INTEGER_16, 16, "INTEGER_16"),
    (tn::INTEGER_32, 32, "INTEGER_32"),
    (tn::CHAR, 8, "CHAR"),
    (tn::BYTE, 8, "BYTE"),
    (tn::INTEGER_64, 64, "INTEGER_64"),
    (tn::STRING, 8, "STRING"),
    (tn::PORT_NAME, 32, "PORT_NAME"),
    (tn::MOVE_RECEIVE, 64, "MOVE_RECEIVE"),
    (tn::MOVE_SEND, 64, "MOVE_SEND"),
    (tn::MOVE_SEND_ONCE, 64, "MOVE_SEND_ONCE"),
    (tn::COPY_SEND, 64, "COPY_SEND"),
    (tn::MAKE_SEND, 64, "MAKE_SEND"),
    (tn::MAKE_SEND_ONCE, 64, "MAKE_SEND_ONCE"),
    (0xff, 64, "POLYMORPHIC"),
];

/// The sizes a message may have, and its complexity.
pub(super) fn shape(message: &Message, rt: &TokenStream) -> TokenStream {
    let (min, max) = (Literal::u32_unsuffixed(message.min_size), Literal::u32_unsuffixed(message.max_size));
    let complexity = complexity(message.received, rt);
    quote!(#min..=#max, #complexity)
}

/// `Complexity` of the runtime.
fn complexity(complexity: Complexity, rt: &TokenStream) -> TokenStream {
    match complexity {
        Complexity::Simple => quote!(#rt::mig::Complexity::Simple),
        Complexity::Complex => quote!(#rt::mig::Complexity::Complex),
        Complexity::Varies => quote!(#rt::mig::Complexity::Varies),
    }
}

/// The documentation of a routine's stub.
pub(super) fn documentation(context: &Context<'_>, routine: &Routine) -> Vec<String> {
    let layout = layout::layout(context.model, routine);
    let place = context.sources.place(routine.span);
    let file = place.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let size = |message: &Message| match message.is_variable() {
        true => format!("{} to {} bytes", message.min_size, message.max_size),
        false => format!("{} bytes", message.min_size),
    };
    let reply = match routine.one_way {
        true => String::from("no reply"),
        false => format!("reply {} of {}", layout.reply.id, size(&layout.reply)),
    };
    Vec::from([
        format!(" `{}` of subsystem `{}`, {file} line {}.", routine.name, context.model.name, place.line),
        String::new(),
        format!(" Request {} of {}, {reply}.", layout.request.id, size(&layout.request)),
    ])
}

/// `///` lines as tokens.
pub(super) fn doc_tokens(lines: &[String]) -> TokenStream {
    lines.iter().map(|line| quote!(#[doc = #line])).collect()
}

/// `#[expect]` for a function with many arguments.
pub(super) fn too_many_arguments(count: usize) -> Option<TokenStream> {
    // Clippy's own limit.
    (count > 7).then(|| quote!(#[expect(clippy::too_many_arguments, reason = "as the .defs declare it")]))
}

/// `#[expect]` for C names that Rust would write otherwise.
pub(super) fn c_names<'a>(names: impl IntoIterator<Item = &'a Ident>) -> Option<TokenStream> {
    let is_snake_case = |name: &Ident| {
        let name = name.to_string();
        !name.contains(char::is_uppercase) && !name.trim_matches('_').contains("__")
    };
    let other = names.into_iter().any(|name| !is_snake_case(name));
    other.then(|| quote!(#[expect(non_snake_case, reason = "the C name")]))
}

/// The definition of a struct of results: field, type, and name of the type in the .defs.
pub(super) fn result_struct(
    name: &Ident,
    doc: &str,
    fields: impl Iterator<Item = (Ident, TokenStream, String)>,
) -> TokenStream {
    let fields: Vec<_> = fields.collect();
    let names = c_names(fields.iter().map(|(field, ..)| field));
    let fields = fields.iter().map(|(field, ty, type_name)| {
        let doc = format!(" `{type_name}`");
        quote!(#[doc = #doc] pub #field: #ty)
    });
    quote! {
        #[doc = #doc]
        #names
        #[derive(Debug)]
        pub struct #name { #(#fields,)* }
    }
}

/// The call that puts an array of rights.
pub(super) fn put_rights(descriptor: &TokenStream, rights: &TokenStream, most: u32, place: Place) -> TokenStream {
    let most = Literal::u32_unsuffixed(most);
    match place {
        Place::Near => quote!(put_rights(#descriptor, #rights, #most)),
        Place::Either => quote!(put_either_rights(#descriptor, #rights, #most)),
        Place::Far => quote!(put_far_rights(#descriptor, #rights)),
    }
}

/// Formatted Rust text of the items, with an empty line between them and between the methods of a trait.
pub(super) fn format_items(items: TokenStream) -> anyhow::Result<String> {
    let file: syn::File = syn::parse2(items)?;
    let items = file.items.into_iter().map(|item| {
        let file = syn::File { shebang: None, attrs: Vec::new(), items: Vec::from([item]) };
        prettyplease::unparse(&file).replace("\n    }\n    ", "\n    }\n\n    ")
    });
    Ok(items.collect::<Vec<_>>().join("\n"))
}

/// The head of a generated file.
pub(super) fn header(context: &Context<'_>, side: &str) -> String {
    let file = context.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let files = context.sources.files().iter().map(|file| file.text.as_bytes());
    format!(
        "// Generated by mig-defs (`gen {side}`) from {file}, subsystem {} {}. Sources: {:016x}. Do not edit.\n\n",
        context.model.name,
        context.model.base,
        hash(files)
    )
}

/// FNV-1a over all source bytes: tells two generations apart, no more.
fn hash<'a>(files: impl Iterator<Item = &'a [u8]>) -> u64 {
    files.flatten().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
