// SPDX-License-Identifier: GPL-2.0-or-later
//! What all servers share: threads that wait for requests, rights to answer later, ports that stand for something.

pub(crate) mod faults;
pub(crate) mod objects;
pub(crate) mod pool;
pub(crate) mod reply;

use mach::sys::trap::thread_switch;
use spin::mutex::SpinMutex;
use spin::relax::RelaxStrategy;

/// A lock that is waited for by letting other threads run.
pub(crate) type Lock<T> = SpinMutex<T, Yield>;

/// Lets the thread that holds a lock run.
#[derive(Debug)]
pub(crate) struct Yield;

impl RelaxStrategy for Yield {
    fn relax() {
        thread_switch();
    }
}
