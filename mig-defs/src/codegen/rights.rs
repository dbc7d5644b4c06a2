// SPDX-License-Identifier: GPL-2.0-or-later
//! Rights in stubs of both sides: their owning types, and what the runtime calls what happens to them.

use proc_macro2::TokenStream;
use quote::quote;

use mach_abi::type_name as tn;

use super::names::ident;

/// The Rust type of a right that is sent with disposition `in_name`.
pub(super) fn sent_right(in_name: u32, rt: &TokenStream) -> TokenStream {
    match in_name {
        tn::MOVE_SEND => quote!(#rt::port::SendRight),
        tn::MOVE_SEND_ONCE => quote!(#rt::port::SendOnceRight),
        tn::MOVE_RECEIVE => quote!(#rt::port::ReceiveRight),
        _ => quote!(#rt::port::PortName),
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
