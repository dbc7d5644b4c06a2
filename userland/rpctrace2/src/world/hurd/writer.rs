// SPDX-License-Identifier: GPL-2.0-or-later
//! A thread that writes: rpctrace2 must never wait for what it traces, and text may go to a file of a server that is traced.
//!
//! The server may stop at a full queue of records, and only who receives them lets it go on. So the thread that receives hands its text over
//! and goes on receiving. What such a server does to write the text is traced, too, and becomes text: the pause between two writes
//! keeps that slow.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use mach::error::{KernReturn, Result};
use mach::lock::Lock;
use mach::{stubs, task_self, thread};

use crate::kept::Kept;

/// Bytes of text that are kept for a server that takes none.
const KEPT: usize = 16 * 1024 * 1024;
/// Milliseconds between two writes.
const PAUSE: u32 = 200;
/// `GSYNC_TIMED` of gnumach.defs' headers: a wait that ends by itself.
const GSYNC_TIMED: i32 = 4;

/// Text that is to be written.
struct State {
    text: Kept,
    /// Some of it is being written.
    is_writing: bool,
    failure: Option<KernReturn>,
    /// Nothing is traced any more, and nothing is to be waited for.
    is_last: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { text: Kept::new(KEPT), is_writing: false, failure: None, is_last: false }
    }
}

#[derive(Default)]
struct Shared {
    state: Lock<State>,
    /// Counts what there is to write.
    posted: AtomicU32,
    /// Counts what has been written.
    written: AtomicU32,
}

/// The writing thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    is_text: bool,
}

impl Writer {
    /// Starts the thread, which writes with `write`. Text may have gaps, and says so; others have none.
    pub(super) fn start(is_text: bool, write: impl Fn(&[u8]) -> Result<()> + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        drop(thread::spawn(move || theirs.run(&write))?);
        Ok(Self { shared, is_text })
    }

    /// Has this text written, some time.
    ///
    /// # Errors
    /// If an earlier one could not be, or there is no room for it and it is no text.
    pub(super) fn post(&self, text: &[u8]) -> Result<()> {
        let mut state = self.shared.state.lock();
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        if self.is_text {
            state.text.add(text);
        } else if !state.text.add_all(text) {
            return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
        }
        drop(state);
        wake(&self.shared.posted)
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// If something could not be.
    pub(super) fn finish(&self) -> Result<()> {
        self.shared.state.lock().is_last = true;
        wake(&self.shared.posted)?;
        loop {
            let seen = self.shared.written.load(Ordering::Acquire);
            let state = self.shared.state.lock();
            match state.failure {
                Some(failure) => return Err(failure),
                None if state.text.is_empty() && !state.is_writing => return Ok(()),
                None => drop(state),
            }
            wait(&self.shared.written, seen);
        }
    }
}

impl Shared {
    fn run(&self, write: &impl Fn(&[u8]) -> Result<()>) {
        loop {
            let seen = self.posted.load(Ordering::Acquire);
            let mut state = self.state.lock();
            let (text, is_last) = (state.text.take(), state.is_last);
            state.is_writing = !text.is_empty();
            drop(state);
            if text.is_empty() {
                let _ = wake(&self.written);
                wait(&self.posted, seen);
                continue;
            }
            if let Err(error) = write(&text) {
                self.state.lock().failure = Some(error);
            }
            if !is_last {
                let seen = self.written.load(Ordering::Acquire);
                let _ = stubs::gnumach::gsync_wait(task_self(), address(&self.written), seen, 0, PAUSE, GSYNC_TIMED);
            }
        }
    }
}

fn address(word: &AtomicU32) -> u64 {
    core::ptr::from_ref(word) as u64
}

/// Counts on, and wakes who waits for that.
fn wake(word: &AtomicU32) -> Result<()> {
    word.fetch_add(1, Ordering::Release);
    stubs::gnumach::gsync_wake(task_self(), address(word), 0, 0)
}

/// Waits until a word is not what was seen any more.
fn wait(word: &AtomicU32, seen: u32) {
    // It answers, too, if the word is another already: the caller looks again.
    let _ = stubs::gnumach::gsync_wait(task_self(), address(word), seen, 0, 0, 0);
}
