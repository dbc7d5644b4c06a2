// SPDX-License-Identifier: GPL-2.0-or-later
//! What the guest reads from its console: this process's standard input, once somebody in the guest can read it.

use std::io::{self, IsTerminal, Read, Write};
use std::process::{ChildStdin, Stdio};
use std::thread;

/// What the guest reads from its console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    None,
    /// This process's standard input; from a terminal each key at once, and the guest shows it.
    Keys,
    /// This process's standard input; from a terminal a line at a time, which the terminal shows and lets one edit.
    Lines,
    /// What somebody types who sees the console.
    Typed,
}

impl Input {
    /// What QEMU's own standard input is.
    pub(super) fn of_qemu(self) -> Stdio {
        match self {
            Self::None => Stdio::null(),
            // QEMU puts the terminal into raw mode and keeps its signals: Ctrl-C ends it in an orderly way.
            Self::Keys if io::stdin().is_terminal() => Stdio::inherit(),
            Self::Keys | Self::Lines | Self::Typed => Stdio::piped(),
        }
    }
}

/// Control-D, the end of a terminal's input.
const END: u8 = 0x04;

/// Gives the guest what comes, and the end of it: on a line of its own, where a prompt takes it for one.
pub(super) fn forward(mut guest: ChildStdin) {
    if !may_read() {
        return;
    }
    thread::spawn(move || {
        let mut buffer = [0; 256];
        let mut last = b'\n';
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            if guest.write_all(&buffer[..count]).and_then(|()| guest.flush()).is_err() {
                return;
            }
            last = buffer[count - 1];
        }
        let is_whole = last == b'\n';
        if !is_whole && io::stdin().is_terminal() {
            // The terminal has shown the keys of this line, and no end of it.
            let _ = io::stdout().write_all(b"\n");
        }
        let end: &[u8] = if is_whole { &[END] } else { &[b'\n', END] };
        // Fails only if the guest is gone.
        let _ = guest.write_all(end).and_then(|()| guest.flush());
    });
}

/// Whether this process can read its input without being stopped: in the background of a terminal's shell it cannot.
fn may_read() -> bool {
    let input = io::stdin();
    !input.is_terminal() || rustix::termios::tcgetpgrp(&input).is_ok_and(|group| group == rustix::process::getpgrp())
}
