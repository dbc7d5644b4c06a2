// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals that end this process, heard where something has to be put right before it ends.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Those that are heard: a hang-up is not where somebody has asked that none comes here (`nohup`).
pub(crate) fn signals() -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_ignored = |signal: i32| mask >> (signal - 1) & 1 != 0;
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(*signal)).collect()
}

/// As long as it lives such signals are noted. Later ones end the process as ever.
#[derive(Debug)]
pub struct Ending {
    heard: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Ending {
    /// From now on.
    ///
    /// # Errors
    /// If the system cannot have more of them heard.
    pub fn hear() -> io::Result<Self> {
        let ending = Self::unheard();
        for signal in signals() {
            flag::register_conditional_default(signal, Arc::clone(&ending.is_over))?;
            flag::register_usize(signal, Arc::clone(&ending.heard), usize::try_from(signal).unwrap_or(0))?;
        }
        Ok(ending)
    }

    fn unheard() -> Self {
        Self { heard: Arc::default(), is_over: Arc::default() }
    }

    /// The last one that came.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.heard.load(Ordering::Acquire)).ok().filter(|signal| *signal != 0)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl Ending {
        /// What has heard this one; `None` is nothing.
        pub(crate) fn that_heard(signal: Option<usize>) -> Self {
            let ending = Self::unheard();
            ending.heard.store(signal.unwrap_or(0), Ordering::Release);
            ending
        }
    }

    #[test]
    fn what_was_heard_is_said() {
        assert_eq!(Ending::that_heard(None).signal(), None);
        assert_eq!(Ending::that_heard(Some(15)).signal(), Some(SIGTERM));
        assert!(signals().contains(&SIGINT) && signals().contains(&SIGTERM));
    }
}
