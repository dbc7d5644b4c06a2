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
const ENTRIES: usize = 1 << RADIX;

/// In an entry, and in the root: it is a node.
const IS_NODE: usize = 1;

/// Bits of an entry that are none of its address.
const MARKS: usize = 3;

/// Whether a node has as many entries as that.
#[inline(always)]
pub(super) fn is_as_known() -> bool {
    slot(Slot::rdxtree_node_size) == slot(Slot::rdxtree_node_entries) + size_of::<usize>() * ENTRIES
}

/// `space->is_active`
#[inline(always)]
pub(super) fn is_active(space: Space) -> bool {
    space.load(SPACE_IS_ACTIVE) != 0
}

/// A space that is active, and whose names nobody changes until this is dropped.
pub(super) struct Reading {
    space: Space,
    lowest: Lowest,
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
        let mut reading = Self { space, lowest: Lowest::NOWHERE, is_locked };
        if !is_active(space) {
            return None;
        }
        if is_as_known() {
            // SAFETY: an active space, whose names nobody changes.
            reading.lowest = unsafe { Lowest::of(space) }.unwrap_or(Lowest::NOWHERE);
        }
        Some(reading)
    }

    /// Whether others might change the space, were it not for the lock.
    #[inline(always)]
    pub(super) const fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Where its names are found quickly.
    #[inline(always)]
    pub(super) const fn lowest(&self) -> Lowest {
        self.lowest
    }

    /// The entry of a name.
    #[inline(always)]
    pub(super) fn find(&self, name: u32) -> Option<Name> {
        self.lowest.find(name).or_else(|| self.find_by_kernel(name))
    }

    #[cold]
    #[inline(never)]
    fn find_by_kernel(&self, name: u32) -> Option<Name> {
        // SAFETY: the tree of an active space, whose names nobody changes.
        unsafe { rdxtree_lookup_common(self.space.place(SPACE_MAP), name, 0) }
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

/// Words of which each leads to a node of a tree's lowest level, or is 0, and how many there are: none where the tree has more levels, or they are not
/// known.
#[derive(Clone, Copy)]
pub(super) struct Lowest {
    nodes: *const usize,
    count: u32,
}

impl Lowest {
    /// Where nothing is found.
    const NOWHERE: Self = Self { nodes: core::ptr::null(), count: 0 };

    /// Where the root leads to the only node.
    #[inline(always)]
    fn of_root(space: Space) -> Self {
        Self { nodes: space.place(SPACE_MAP_ROOT) as *const usize, count: 1 }
    }

    /// Where it leads to one that leads to them.
    #[inline(always)]
    fn of_node(node: Node) -> Self {
        Self { nodes: node.place(NODE_ENTRIES) as *const usize, count: ENTRIES as u32 }
    }

    /// That of a space, if its tree has no more than two levels.
    ///
    /// # Safety
    /// The space is active, nobody changes its names as long as this is used, and nodes are as they are known.
    #[inline(always)]
    pub(super) unsafe fn of(space: Space) -> Option<Self> {
        let root = space.load(SPACE_MAP_ROOT);
        if root & IS_NODE == 0 {
            return None;
        }
        // SAFETY: it says that it is a node of the tree.
        let node = unsafe { Node::at(root & !MARKS) };
        match node.load(NODE_HEIGHT) {
            0 => Some(Self::of_root(space)),
            1 => Some(Self::of_node(node)),
            _ => None,
        }
    }

    /// The entry of a name.
    #[inline(always)]
    pub(super) fn find(self, name: u32) -> Option<Name> {
        // As wide as an address from the first: what is made so later takes an instruction each time.
        let name = name as usize;
        let index = name >> RADIX;
        if index >= self.count as usize {
            return None;
        }
        // SAFETY: there are more words than that.
        let node = NonZeroUsize::new(unsafe { *self.nodes.wrapping_add(index) } & !MARKS)?;
        // SAFETY: what leads to the lowest level, and is not 0, is a node of the tree.
        let node = unsafe { Node::at(node.get()) };
        let place = (node.place(NODE_ENTRIES) as *const usize).wrapping_add(name % ENTRIES);
        // SAFETY: one of as many words as a node has.
        let entry = NonZeroUsize::new(unsafe { *place } & !MARKS)?;
        // SAFETY: what is on the lowest level, and not 0, is an entry of the space's.
        Some(unsafe { Name::at(entry.get()) })
    }
}
