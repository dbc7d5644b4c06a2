//! Rights in stubs of both sides: their owning types, and how they are put into a message.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::rust::{Form, ident};
use crate::wire::type_name as tn;

/// The descriptor of an array of rights; of which kind they are, `poly` says if the type does not.
pub(super) fn rights_descriptor(descriptor: &Literal, in_name: u32, poly: &TokenStream) -> TokenStream {
    if in_name == tn::POLYMORPHIC { quote!(#descriptor & !0xff | #poly as u64) } else { quote!(#descriptor) }
}

/// The element type of an array of rights that `form` sends, and the statement that adds it to `message`.
pub(super) fn put_rights(
    message: &TokenStream,
    descriptor: &TokenStream,
    in_name: u32,
    value: &TokenStream,
    form: &Form,
    rt: &TokenStream,
) -> (TokenStream, TokenStream) {
    let (element, name) = sent_right(in_name, &quote!(right), rt);
    let (method, most) = match form {
        Form::Ports(most) | Form::Rights { most, either: false } => (quote!(put_ports), *most),
        Form::Rights { most, either: true } => (quote!(put_rights), *most),
        _ => (quote!(put_rights), 0),
    };
    let most = Literal::u32_unsuffixed(most);
    let names = match in_name {
        tn::MOVE_SEND | tn::MOVE_SEND_ONCE | tn::MOVE_RECEIVE => quote! {
            #value.into_iter().map(|right| #name).collect::<#rt::mig::Vec<#rt::port::PortName>>()
        },
        _ => quote!(#value),
    };
    (element, quote!(#message.#method(#descriptor, &#names, #most);))
}

/// The Rust type of a right that is sent with disposition `in_name`, and its name for the message.
pub(super) fn sent_right(in_name: u32, value: &TokenStream, rt: &TokenStream) -> (TokenStream, TokenStream) {
    match in_name {
        tn::MOVE_SEND => (quote!(#rt::port::SendRight), quote!(#value.into_name())),
        tn::MOVE_SEND_ONCE => (quote!(#rt::port::SendOnceRight), quote!(#value.into_name())),
        tn::MOVE_RECEIVE => (quote!(#rt::port::ReceiveRight), quote!(#value.into_name())),
        _ => (quote!(#rt::port::PortName), value.clone()),
    }
}

/// The owning type of a right that is received as `out_name`.
pub(super) fn received_right(out_name: u32, rt: &TokenStream) -> TokenStream {
    match out_name {
        tn::MOVE_SEND_ONCE => quote!(#rt::port::SendOnceRight),
        tn::MOVE_RECEIVE => quote!(#rt::port::ReceiveRight),
        _ => quote!(#rt::port::SendRight),
    }
}

/// `Disposition` of the runtime for a `msgt_name`.
pub(super) fn disposition(name: u32, rt: &TokenStream) -> TokenStream {
    let variant = match name {
        tn::MOVE_RECEIVE => "MoveReceive",
        tn::MOVE_SEND => "MoveSend",
        tn::MOVE_SEND_ONCE => "MoveSendOnce",
        tn::MAKE_SEND => "MakeSend",
        tn::MAKE_SEND_ONCE => "MakeSendOnce",
        _ => "CopySend",
    };
    let variant = ident(variant);
    quote!(#rt::port::Disposition::#variant)
}
