// SPDX-License-Identifier: GPL-2.0-or-later
//! A panic: one line on the console, exit status 101.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use super::arguments::program_name;
use super::exit;

/// What a program exits with that panicked, as Rust programs do elsewhere.
const PANIC_STATUS: i32 = 101;

static PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // A panic while printing a panic ends the task without another word.
    if PANICKING.swap(true, Ordering::Relaxed) {
        exit::terminate();
    }
    match info.location() {
        Some(location) => crate::println!("{}: panicked at {location}: {}", program_name(), info.message()),
        None => crate::println!("{}: panicked: {}", program_name(), info.message()),
    }
    exit::exit(PANIC_STATUS)
}
