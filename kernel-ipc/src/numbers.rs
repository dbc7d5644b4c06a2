// SPDX-License-Identifier: GPL-2.0-or-later
//! The numbers by which records tell tasks, threads, ports and messages: each its own type, so that none is taken for another.

use trace_port::record::PORT_NUMBER;

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident: $repr:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name($repr);

        impl $name {
            /// No number.
            pub(crate) const NONE: Self = Self(0);

            /// This one.
            #[inline(always)]
            pub(crate) const fn new(number: $repr) -> Self {
                Self(number)
            }

            /// For a record, or a word of memory.
            #[inline(always)]
            pub(crate) const fn get(self) -> $repr {
                self.0
            }

            /// Whether there is none.
            #[inline(always)]
            pub(crate) const fn is_none(self) -> bool {
                self.0 == 0
            }
        }
    )*};
}

number! {
    /// What records call a task.
    TaskNumber: u32;
    /// What records call a thread.
    ThreadNumber: u32;
    /// What connects a message with its receipt, a request with its reply, an exception with its answer.
    Correlation: u64;
    /// The lower half of a [`Correlation`], as it is kept in holes of structs.
    HalfCorrelation: u32;
}

impl Correlation {
    /// This number, or `other` if there is none.
    #[inline(always)]
    pub(crate) const fn or(self, other: Self) -> Self {
        if self.is_none() { other } else { self }
    }

    /// What is kept of it in a hole.
    #[inline(always)]
    pub(crate) const fn half(self) -> HalfCorrelation {
        HalfCorrelation(self.0 as u32)
    }
}

/// What records call a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortNumber(u32);

impl PortNumber {
    /// No number.
    pub(crate) const NONE: Self = Self(0);

    /// This one.
    #[inline(always)]
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// For a record.
    #[inline(always)]
    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    /// In the place of a name.
    #[inline(always)]
    pub(crate) const fn as_name(self) -> u32 {
        self.0 | PORT_NUMBER
    }
}
