// SPDX-License-Identifier: GPL-2.0-or-later
//! The names of a space: its radix tree, whose lowest two levels are walked here, as the kernel's own way costs more than the rest of looking at a
//! name.

use core::num::NonZeroUsize;

use super::handles::{Name, Node};
use super::members::{NODE_ENTRIES, NODE_HEIGHT, SPACE_IS_ACTIVE, SPACE_LOCK, SPACE_MAP, SPACE_MAP_ROOT, Struct};
use super::slots::slot;
use super::{Space, lock};
use crate::payload_abi::Slot;

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols.
unsafe extern "C" {
    fn rdxtree_lookup_common(tree: usize, key: u32, get_slot: i32) -> Option<Name>;
    fn lock_try_read(lock: usize) -> i32;
    fn lock_done(lock: usize);
}

/// Bits of a key that each level of the tree tells: `RDXTREE_RADIX` of kern/rdxtree.c where `long` has 64 bits.
const RADIX: u32 = 6;

/// How many entries a node has.
const ENTRIES: u32 = 1 << RADIX;

/// In an entry, and in the root: it is a node.
const IS_NODE: usize = 1;

/// Bits of an entry that are none of its address.
const MARKS: usize = 3;

/// Whether a node has as many entries as that.
#[inline(always)]
fn is_as_known() -> bool {
    slot(Slot::rdxtree_node_size) == slot(Slot::rdxtree_node_entries) + size_of::<usize>() * ENTRIES as usize
}

/// `space->is_active`
#[inline(always)]
pub(super) fn is_active(space: Space) -> bool {
    space.load(SPACE_IS_ACTIVE) != 0
}

/// A space that is active, and whose names nobody changes until this is dropped.
pub(super) struct Reading {
    space: Space,
    is_locked: bool,
}

impl Reading {
    /// Locks it. Does not wait: nothing if a writer holds the lock, or if the space has ended.
    #[inline(always)]
    pub(super) fn locked(space: Space) -> Option<Self> {
        Self::begin(space, true)
    }

    /// For who looks at names without sleeping. On a kernel for one processor no lock is needed: a writer that sleeps, for memory, does so where the
    /// tree is whole, each node being made before it is put into its place, and an entry before its type.
    #[inline(always)]
    pub(super) fn of(space: Space) -> Option<Self> {
        Self::begin(space, !lock::is_absent())
    }

    #[inline(always)]
    fn begin(space: Space, is_locked: bool) -> Option<Self> {
        // SAFETY: the lock of a live space.
        if is_locked && unsafe { lock_try_read(space.place(SPACE_LOCK)) } == 0 {
            return None;
        }
        let reading = Self { space, is_locked };
        is_active(space).then_some(reading)
    }
}

impl Drop for Reading {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_locked {
            // SAFETY: it was taken in the beginning.
            unsafe { lock_done(self.space.place(SPACE_LOCK)) };
        }
    }
}

/// The tree of a space's names.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    space: Space,
    top: Top,
}

/// Its highest node, and how it is to be walked from there.
#[derive(Clone, Copy)]
enum Top {
    /// The node has the entries.
    Leaf(Node),
    /// The node has those that have the entries.
    Two(Node),
    /// By the kernel.
    Other,
}

impl Tree {
    /// That of a space.
    ///
    /// # Safety
    /// The space is active, and nobody changes its names as long as this is used.
    #[inline(always)]
    pub(super) unsafe fn of(space: Space) -> Self {
        let root = space.load(SPACE_MAP_ROOT);
        let top = if is_as_known() && root & IS_NODE != 0 {
            // SAFETY: it says that it is a node of the tree.
            let node = unsafe { Node::at(root & !MARKS) };
            match node.load(NODE_HEIGHT) {
                0 => Top::Leaf(node),
                1 => Top::Two(node),
                _ => Top::Other,
            }
        } else {
            Top::Other
        };
        Self { space, top }
    }

    /// The entry of a name.
    #[inline(always)]
    pub(super) fn find(&self, name: u32) -> Option<Name> {
        self.find_quickly(name).or_else(|| self.find_by_kernel(name))
    }

    /// The entry of a name, where it is found in the lowest two levels.
    #[inline(always)]
    pub(super) fn find_quickly(&self, name: u32) -> Option<Name> {
        let found = match (self.top, name >> RADIX) {
            (Top::Two(node), high) if high < ENTRIES => {
                let leaf = NonZeroUsize::new(entry(node, high))?;
                // SAFETY: what is above the lowest level, and not 0, is a node of the tree.
                entry(unsafe { Node::at(leaf.get()) }, name % ENTRIES)
            }
            (Top::Leaf(node), 0) => entry(node, name),
            _ => return None,
        };
        // SAFETY: what is on the lowest level, and not 0, is an entry of the space's.
        NonZeroUsize::new(found).map(|found| unsafe { Name::at(found.get()) })
    }

    #[cold]
    #[inline(never)]
    fn find_by_kernel(&self, name: u32) -> Option<Name> {
        // SAFETY: the tree of such a space as `of` asks for.
        unsafe { rdxtree_lookup_common(self.space.place(SPACE_MAP), name, 0) }
    }
}

/// What a node has at an index, which is less than [`ENTRIES`].
#[inline(always)]
fn entry(node: Node, index: u32) -> usize {
    // SAFETY: one of as many words as a node has.
    unsafe { *(node.place(NODE_ENTRIES) as *const usize).wrapping_add(index as usize % ENTRIES as usize) & !MARKS }
}
