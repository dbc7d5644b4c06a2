// SPDX-License-Identifier: GPL-2.0-or-later
//! A lock for what several threads of a task share, held for a few instructions at a time.

use spin::mutex::SpinMutex;
use spin::relax::RelaxStrategy;

use crate::sys;

/// A lock whose waiters let the thread that holds it run.
pub type Lock<T> = SpinMutex<T, Yield>;

/// Waits for a lock by letting another thread run.
#[derive(Debug)]
pub struct Yield;

impl RelaxStrategy for Yield {
    fn relax() {
        sys::trap::thread_switch();
    }
}
