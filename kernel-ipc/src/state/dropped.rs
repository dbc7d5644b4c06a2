// SPDX-License-Identifier: GPL-2.0-or-later
//! What was lost of traces, and is to be told by their next records.

use core::sync::atomic::Ordering::Relaxed;

use trace_port::record::{CHILD_NOT_TRACED, add_lost};

use super::State;
use crate::gnumach::{Kernel, Key};

impl State {
    /// Takes the number of records lost since the last delivered one.
    pub(crate) fn take_dropped(&self, key: Key) -> u32 {
        self.table.lock().of(key).map_or(0, |entry| core::mem::take(entry.dropped()))
    }

    /// Counts lost records of a trace, and `carried` ones that another record was to tell of; returns how many were lost in all
    /// since boot, and whether the trace goes on, so that there is somebody to tell of these.
    pub(crate) fn add_dropped(&self, kernel: &impl Kernel, key: Key, carried: u32, lost: u32) -> (u32, bool) {
        let mut table = self.table.lock();
        let port = table.of(key).map(|entry| entry.port());
        let goes_on = port.is_some();
        // Where engine 0 is not there nobody is to be told.
        if port.is_some_and(|port| !table.is_nowhere(port))
            && let Some(entry) = table.of(key)
        {
            let dropped = entry.dropped();
            *dropped = add_lost(add_lost(*dropped, carried), lost);
            // The next record is to be one that says so.
            entry.set_introduced(0);
            self.count_wanted(kernel, &mut table, key.entry);
        }
        (self.dropped.fetch_add(lost, Relaxed).wrapping_add(lost), goes_on)
    }

    /// A child of a traced task is not traced: its parent's next record says so. Returns how many there were since boot.
    pub(crate) fn child_not_traced(&self, kernel: &impl Kernel, key: Key) -> u32 {
        let mut table = self.table.lock();
        if let Some(entry) = table.of(key) {
            *entry.dropped() |= CHILD_NOT_TRACED;
            entry.set_introduced(0);
            self.count_wanted(kernel, &mut table, key.entry);
        }
        drop(table);
        self.untraced.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// How many records were lost in all since boot.
    #[inline(always)]
    pub(crate) fn lost(&self) -> u32 {
        self.dropped.load(Relaxed)
    }
}
