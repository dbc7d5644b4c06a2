// SPDX-License-Identifier: GPL-2.0-or-later
//! The numbers of GNU Mach's interface, each written once: where a message has what, in both formats, and what its codes mean.
//!
//! **What.** A module for each header of GNU Mach: the header and the type descriptors of a message in the format of 64-bit and of
//! 32-bit kernels ([`Format`]), type names and dispositions, options and return codes of `mach_msg`, notifications, special ports,
//! port types, traps. Constants have the names of the C headers; only those of `MACH_MSG_TYPE_*` go without that prefix.
//!
//! **Place in the flow.** Below everything: the payload, the record, the MIG compiler and decoder, user space, tests.
//!
//! **Invariants.** No other crate writes such a number (tests/tests/tidy.rs); each is the one of Debian's gnumach-dev
//! (tests/headers.rs). Reading never panics: what is too short has no answer.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`header`] and [`descriptor`].
#![no_std]
#![forbid(unsafe_code)]

/// Constants, and all of them in a list with their names.
macro_rules! numbers {
    ($(#[$all:meta])* $all_name:ident: $ty:ty; $($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: $ty = $value;)*

        $(#[$all])*
        pub const $all_name: &[(&str, $ty)] = &[$((stringify!($name), $name)),*];
    };
}

pub mod bytes;
pub mod code;
pub mod descriptor;
pub mod disposition;
mod format;
pub mod header;
pub mod notify;
pub mod option;
pub mod port;
pub mod special_port;
pub mod trap;
pub mod type_name;
pub mod vm_info;

pub use code::KernReturn;
pub use descriptor::Descriptor;
pub use disposition::Disposition;
pub use format::Format;
pub use header::Header;
