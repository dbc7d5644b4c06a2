// SPDX-License-Identifier: GPL-2.0-or-later
//! Connects to a socket that QEMU makes when it starts.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How often the socket is looked for before QEMU has made it, and the pause between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Connects to a QEMU that was just started, as long as `runs` says that it runs.
pub(super) fn connect(socket: &Path, mut runs: impl FnMut() -> bool) -> io::Result<UnixStream> {
    let mut tries = 0;
    loop {
        match UnixStream::connect(socket) {
            Err(_) if tries < TRIES && runs() => thread::sleep(PAUSE),
            other => return other,
        }
        tries += 1;
    }
}
