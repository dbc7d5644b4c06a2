//! A MIG compiler and message decoder for GNU Mach.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "compiler"))]
extern crate std;

#[cfg(feature = "compiler")]
pub mod annotations;
#[cfg(feature = "compiler")]
pub mod ast;
#[cfg(feature = "compiler")]
pub mod codegen;
#[cfg(feature = "compiler")]
pub mod compile;
pub mod decode;
#[cfg(feature = "compiler")]
pub mod diag;
#[cfg(feature = "compiler")]
pub mod layout;
#[cfg(feature = "compiler")]
pub mod lex;
#[cfg(feature = "compiler")]
pub mod model;
#[cfg(feature = "compiler")]
pub mod parse;
#[cfg(feature = "compiler")]
pub mod preprocess;
#[cfg(feature = "compiler")]
pub mod resolve;
#[cfg(feature = "compiler")]
pub mod show;
#[cfg(feature = "compiler")]
pub mod source;
pub mod table;
pub mod value;
pub mod wire;
