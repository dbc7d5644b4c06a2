// SPDX-License-Identifier: GPL-2.0-or-later
//! Ctrl-C and SIGTERM where something is left to be done first: an end to be told, a file to be taken away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// The number of the signal that has come, 0 if none has. Signals are the whole process's.
static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From now on a signal is only noted. A second one ends everything at once: what is to be done first may be stuck.
pub(super) fn catch() {
    CAUGHT.get_or_init(|| {
        let (number, is_caught) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            // One that cannot be caught ends everything, as usual.
            let _ = flag::register_conditional_default(signal, Arc::clone(&is_caught))
                .and_then(|_| flag::register(signal, Arc::clone(&is_caught)))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&number), signal as usize));
        }
        number
    });
}

fn caught() -> usize {
    CAUGHT.get().map_or(0, |number| number.load(Ordering::Relaxed))
}

/// Whether a signal has come.
pub fn is_caught() -> bool {
    caught() != 0
}

/// Ends as if nothing had caught the signal that has come, if one has.
pub fn leave() {
    if is_caught() {
        // Where it does not end, the exit status is the one that would have been without it.
        let _ = low_level::emulate_default_handler(caught() as i32);
    }
}
