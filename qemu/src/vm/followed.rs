// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs a machine that somebody follows through QEMU's gdb stub.

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use crate::vm::{Failure, Input, Limits, Machine, Outcome, Paint, Sinks, run};

/// Runs `machine` with the boot files in `directory` as [`run`](super::run()) does, with `follow` beside it, which has to connect a
/// [`Debugger`](crate::vm::gdb::Debugger) for the machine to start. Only what the programs print is kept, in `console`.
pub fn run_followed<T: Send>(
    machine: &Machine,
    directory: &Path,
    limits: Limits,
    console: &mut dyn Write,
    follow: impl FnOnce(&Path) -> T + Send,
) -> (Result<Outcome, Failure>, T) {
    let machine = Machine { debugged: true, ..machine.clone() };
    let (mut trace, mut kernel) = (io::sink(), io::sink());
    let mut sinks =
        Sinks { console, trace: Some(&mut trace), capture: None, kernel: &mut kernel, paint: Paint::default() };
    thread::scope(|scope| {
        let follower = scope.spawn(|| follow(directory));
        let outcome = run(&machine, directory, Input::None, limits, &mut sinks, || ());
        let followed = follower.join().unwrap_or_else(|panic| resume_unwind(panic));
        (outcome, followed)
    })
}
