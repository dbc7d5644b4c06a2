// SPDX-License-Identifier: GPL-2.0-or-later
//! The disk image of a GNU/Hurd: what its GRUB would boot, taken out of it, for a kernel with a trace port.
//!
//! image -> [`Disk`] partitions -> ext2 -> [`grub`] the entry -> [`Found`] kernel and modules -> [`lay_out`] what QEMU gets. Nothing here
//! writes to the image.

mod error;
mod ext2;
mod files;
pub mod grub;
mod layout;
mod second;
mod table;
mod take;

pub use error::DiskError;
pub use files::Disk;
pub use layout::lay_out;
pub use second::write as write_second;
pub use take::{Found, Module, find};
