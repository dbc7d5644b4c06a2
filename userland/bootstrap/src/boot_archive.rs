// SPDX-License-Identifier: GPL-2.0-or-later
//! The boot archive in memory: members by name.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use mach::port::PortName;
use protocol::archive::DEVICE_NAME;
use tar_no_std::{ArchiveEntry, TarArchiveRef};

use crate::devices;

/// The archive. Read once, kept for ever: members are handed out as slices of it.
#[derive(Clone, Copy)]
pub(crate) struct BootArchive {
    archive: &'static [u8],
}

impl BootArchive {
    /// Reads the whole ram disk.
    pub(crate) fn read(device_master: PortName) -> Result<Self, String> {
        let archive = &*Box::leak(devices::read_disk(device_master, DEVICE_NAME)?);
        TarArchiveRef::new(archive).map_err(|_| {
            format!("device {DEVICE_NAME}: expected a ustar archive, found {} other bytes", archive.len())
        })?;
        Ok(Self { archive })
    }

    /// The bytes of a member.
    pub(crate) fn member(&self, name: &str) -> Option<&'static [u8]> {
        self.entries().find(|entry| is_named(entry, name)).map(|entry| entry.data())
    }

    /// The members' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.entries().filter_map(|entry| entry.filename().as_str().ok().map(String::from))
    }

    fn entries(&self) -> impl Iterator<Item = ArchiveEntry<'static>> + use<> {
        // `read` has validated it; an archive that is none has no members.
        TarArchiveRef::new(self.archive).into_iter().flat_map(|archive| archive.entries())
    }
}

fn is_named(entry: &ArchiveEntry<'_>, name: &str) -> bool {
    entry.filename().as_str() == Ok(name)
}
