// SPDX-License-Identifier: GPL-2.0-or-later
//! What `cargo qemu bench` works with: the guest's lines, the figures made of them, the ceilings they must stay below.

pub mod ceilings;
pub mod figures;
pub mod frames;
pub mod results;
pub mod steps;

pub use ceilings::{Ceilings, Verdict};
pub use figures::Figure;
pub use results::Results;
