// SPDX-License-Identifier: GPL-2.0-or-later
//! Waiting, for a while or for something that does not come.

use mach::port::PortName;
use mach::stubs::mach::thread_info;
use mach::sys::msg::{mach_msg, reply_port};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};

/// Waits so many milliseconds where no message ever comes: GNU Mach for several processors does not survive one that comes just when the
/// time for it is over (docs/differences.md). Without the heap, whose lock a new task could be left with.
pub fn pause(milliseconds: u32) {
    let mut nothing = [0; 8];
    mach_msg(&mut nothing, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, 64, reply_port(), milliseconds, PortName::NULL);
}

/// Whether a thread sleeps.
pub fn waits(thread: PortName) -> bool {
    let mut info = [0; 64];
    thread_info(thread, THREAD_BASIC_INFO, &mut info).is_ok() && info[RUN_STATE] == STATE_WAITING
}

/// `THREAD_BASIC_INFO` of thread_info.h, where the state is in it, and `TH_STATE_WAITING`.
const THREAD_BASIC_INFO: i32 = 1;
const RUN_STATE: usize = 11;
const STATE_WAITING: i32 = 3;

/// Returns the last value of `beats` once it has stayed the same for so many seconds.
pub fn until_silent(seconds: u32, beats: impl Fn() -> u64) -> u64 {
    let (mut last, mut silent) = (beats(), 0);
    while silent < seconds {
        pause(1000);
        let now = beats();
        silent = if now == last { silent + 1 } else { 0 };
        last = now;
    }
    last
}
