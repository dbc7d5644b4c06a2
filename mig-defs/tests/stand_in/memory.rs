//! `memory` of the runtime: regions that are counted. Memory that a message only claims to have is empty.

use std::cell::Cell;

use crate::error::Result;

thread_local! {
    static MAPPED: Cell<isize> = const { Cell::new(0) };
}

/// How many regions there are.
pub(crate) fn mapped() -> isize {
    MAPPED.get()
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
        Self { address, size, bytes: Vec::new() }
    }

    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self> {
        MAPPED.set(MAPPED.get() + 1);
        Ok(Self { address: bytes.as_ptr() as u64, size: bytes.len() as u64, bytes: bytes.to_vec() })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_parts(self) -> (u64, u64) {
        (self.address, self.size)
    }
}

impl Drop for OutOfLine {
    fn drop(&mut self) {
        MAPPED.set(MAPPED.get() - 1);
    }
}
