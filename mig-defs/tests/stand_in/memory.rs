// SPDX-License-Identifier: GPL-2.0-or-later
//! `memory` of the runtime: regions that are counted, and an address space of what the test put somewhere.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::error::Result;

thread_local! {
    static MAPPED: Cell<isize> = const { Cell::new(0) };
    static SPACE: RefCell<BTreeMap<u64, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many regions there are.
pub(crate) fn mapped() -> isize {
    MAPPED.get()
}

/// Says what stands at an address.
pub(crate) fn place(address: u64, bytes: &[u8]) {
    SPACE.with_borrow_mut(|space| space.insert(address, bytes.to_vec()));
}

/// Forgets what was placed.
pub(crate) fn clear() {
    SPACE.with_borrow_mut(BTreeMap::clear);
}

/// What stands at an address; nothing if that was not said.
pub(crate) fn at(address: u64, size: u64) -> Vec<u8> {
    let found = |space: &BTreeMap<u64, Vec<u8>>| space.get(&address)?.get(..size as usize).map(<[u8]>::to_vec);
    SPACE.with_borrow(found).unwrap_or_default()
}

/// As in the runtime.
#[derive(Debug)]
pub struct OutOfLine {
    address: u64,
    size: u64,
    bytes: Vec<u8>,
}

impl OutOfLine {
    pub(crate) fn from_parts(address: u64, size: u64) -> Self {
        MAPPED.set(MAPPED.get() + 1);
        Self { address, size, bytes: at(address, size) }
    }

    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self> {
        MAPPED.set(MAPPED.get() + 1);
        let bytes = bytes.to_vec();
        let address = bytes.as_ptr() as u64;
        place(address, &bytes);
        Ok(Self { address, size: bytes.len() as u64, bytes })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_parts(mut self) -> (u64, u64) {
        // The receiver has it now, under the same address for want of a second space: that must stay its own.
        std::mem::take(&mut self.bytes).leak();
        (self.address, self.size)
    }
}

impl Drop for OutOfLine {
    fn drop(&mut self) {
        MAPPED.set(MAPPED.get() - 1);
    }
}
