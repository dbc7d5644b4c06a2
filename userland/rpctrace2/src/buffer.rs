// SPDX-License-Identifier: GPL-2.0-or-later
//! Where messages are received: memory that is used again as soon as nobody has a part of what was in it.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use zerocopy::IntoBytes;

/// Bytes of a buffer at first: most messages of a trace port have fewer.
const START: usize = 2048;

/// The memory for the next message.
pub(crate) struct Buffer(Arc<Vec<u64>>);

impl Default for Buffer {
    fn default() -> Self {
        Self(Arc::new(vec![0; START / 8]))
    }
}

/// The memory of a message that somebody has a part of.
struct Shared(Arc<Vec<u64>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Buffer {
    /// The words to receive into: new ones if parts of the last message are still in use.
    pub(crate) fn words(&mut self) -> &mut [u64] {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::new(vec![0; self.0.len()]);
        }
        Arc::get_mut(&mut self.0).map_or(&mut [], Vec::as_mut_slice)
    }

    /// Makes room for a message of so many bytes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.0 = Arc::new(vec![0; bytes.div_ceil(8)]);
    }

    /// All words.
    pub(crate) fn whole(&self) -> &[u64] {
        &self.0
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The first so many bytes, to be kept as long as somebody likes.
    pub(crate) fn share(&self, bytes: usize) -> Bytes {
        let all = Bytes::from_owner(Shared(self.0.clone()));
        let end = bytes.min(all.len());
        all.slice(..end)
    }
}
