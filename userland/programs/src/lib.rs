// SPDX-License-Identifier: GPL-2.0-or-later
//! What the programs to trace share: checking a result, and saying what was expected when it differs.
//!
//! **What.** One program per file in `src/bin`, each one behaviour, whose header says what its trace must show.
//!
//! **Place in the flow.** They are the traced ones: rpctrace2 starts them, the golden tests compare what they print and
//! what is printed about them.
//!
//! **Invariants.** A program prints the same at every run, traced or not: no addresses, no times, nothing whose order
//! is left to chance. It exits with 0 only if everything it checked was as expected.
//!
//! **Unsafe.** None.
//!
//! **Start reading at** `src/bin/hello.rs`, then [`expect`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod catcher;
pub mod engine;
pub mod everywhere;
pub mod left;
pub mod on_hurd;
pub mod patience;
pub mod ping;
pub mod processors;
pub mod random;
pub mod requests;
pub mod ring;
pub mod tracer;

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Debug, Display};

use mach::error::KernReturn;

/// Something that differed, in words: what, expected, found.
pub struct Mismatch(String);

impl Mismatch {
    /// What went otherwise than expected.
    pub fn new(what: &str) -> Self {
        Self(String::from(what))
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses a value that is not the expected one.
pub fn expect<T: PartialEq + Debug>(what: &str, expected: T, found: T) -> Result<(), Mismatch> {
    if expected == found { Ok(()) } else { Err(Mismatch(format!("{what}: expected {expected:?}, found {found:?}"))) }
}

/// Says what was being done when an error came instead of success.
pub trait Doing<T> {
    /// Names what was being done.
    fn doing(self, what: &str) -> Result<T, Mismatch>;
}

impl<T> Doing<T> for Result<T, KernReturn> {
    fn doing(self, what: &str) -> Result<T, Mismatch> {
        self.map_err(|error| Mismatch(format!("{what}: expected KERN_SUCCESS, found {error}")))
    }
}

impl<T> Doing<T> for Option<T> {
    fn doing(self, what: &str) -> Result<T, Mismatch> {
        self.ok_or_else(|| Mismatch(format!("{what}: expected one, found none")))
    }
}

/// Refuses an answer that is not the expected error.
pub fn expect_error<T>(what: &str, expected: KernReturn, found: Result<T, KernReturn>) -> Result<(), Mismatch> {
    expect(what, expected, found.err().unwrap_or(KernReturn::KERN_SUCCESS))
}
