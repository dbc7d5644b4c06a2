// SPDX-License-Identifier: GPL-2.0-or-later
//! The boot server as a program sees it through its bootstrap port.

use alloc::string::String;
use alloc::vec::Vec;

use mach_abi::option::MACH_RCV_MSG;
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use protocol::channel::Key;
use protocol::{SPAWN_SUSPENDED, tasks};
use spin::Once;

use crate::error::{KernReturn, Result};
use crate::memory::OutOfLine;
use crate::port::{PortName, ReceiveRight, SendRight};
use crate::sys::msg::mach_msg;
use crate::{stubs, task_self};

/// Room for any message that comes to an exit port.
pub const EXITED_MAX: usize = 128;
/// Room for any key.
const KEY_MAX: usize = 16;
/// Room for any reply of a boot.defs server.
const REPLY_MAX: usize = 128;

static BOOTSTRAP: Once<Option<SendRight>> = Once::new();

/// This task's bootstrap port, asked for once. It stays the runtime's.
pub fn bootstrap() -> Result<PortName> {
    BOOTSTRAP
        .call_once(|| stubs::mach::task_get_special_port(task_self(), TASK_BOOTSTRAP_PORT).ok())
        .as_ref()
        .map(SendRight::name)
        .filter(|name| name.is_valid())
        .ok_or(KernReturn::KERN_INVALID_NAME)
}

/// The console device.
pub fn console() -> Result<SendRight> {
    stubs::boot::boot_console(bootstrap()?)
}

/// Starts `argv[0]` from the boot archive. `argv` is each argument followed by NUL; `${host-port}` and `${device-port}` in
/// it become the names of those rights in the new task. When the program ends, one `boot_exited` message comes to
/// `exit_port`.
pub fn spawn(argv: &[u8], suspended: bool, exit_port: &ReceiveRight) -> Result<SendRight> {
    let flags = if suspended { SPAWN_SUSPENDED } else { 0 };
    stubs::boot::boot_spawn(bootstrap()?, argv, flags, exit_port.name())
}

/// Waits until the program that was spawned with this exit port has ended; returns its exit status.
pub fn wait_exit(exit_port: &ReceiveRight) -> Result<i32> {
    let mut message = [0; EXITED_MAX / 8];
    let answer = mach_msg(&mut message, MACH_RCV_MSG, 0, EXITED_MAX as u32, exit_port.name(), 0, PortName::NULL);
    KernReturn::from_mach_msg(answer).into_result()?;
    exit_status(&message).ok_or(KernReturn::MIG_REPLY_MISMATCH)
}

/// The exit status in a message that came to an exit port; `None` if it is no `boot_exited`: the kernel says that the
/// right was destroyed when the program could not be started.
pub fn exit_status(message: &[u64]) -> Option<i32> {
    told(message).exited
}

/// Whether a message that came to a tracer's interrupt port says that the user wants the trace to end. The kernel says there that the right
/// was destroyed.
pub fn is_interrupt(message: &[u64]) -> bool {
    told(message).is_interrupted
}

fn told(message: &[u64]) -> Told {
    let mut told = Told::default();
    // Nobody waits for an answer: what the boot server tells is one-way.
    let mut reply = [0; REPLY_MAX / 8];
    stubs::boot_server::demux(&mut told, message, &mut reply);
    told
}

/// The side of boot.defs that a program serves: hearing of an end.
#[derive(Default)]
struct Told {
    exited: Option<i32>,
    is_interrupted: bool,
}

impl stubs::boot_server::Server for Told {
    fn boot_exited(&mut self, _exit_port: PortName, status: i32) -> Result<()> {
        self.exited = Some(status);
        Ok(())
    }

    fn boot_interrupted(&mut self, _interrupt: PortName) -> Result<()> {
        self.is_interrupted = true;
        Ok(())
    }
}

/// A member of the boot archive, from `offset` to its end.
pub fn read_file(name: &str, offset: u64) -> Result<OutOfLine> {
    stubs::boot::boot_read_file(bootstrap()?, name.as_bytes(), offset)
}

/// The names of the boot archive's members.
pub fn directory() -> Result<Vec<String>> {
    let text = stubs::boot::boot_directory(bootstrap()?)?;
    let text = str::from_utf8(text.as_slice()).map_err(|_| KernReturn::MIG_TYPE_ERROR)?;
    Ok(text.lines().map(String::from).collect())
}

/// The tasks that the boot server started and that still run.
pub fn tasks() -> Result<Vec<tasks::Task>> {
    let text = stubs::boot::boot_list(bootstrap()?)?;
    tasks::parse(text.as_slice()).map_err(|_| KernReturn::MIG_TYPE_ERROR)
}

/// For rpctrace2: what stands in the console's switch marks of this run. One message comes to `interrupt` when the user wants the trace
/// to end.
pub fn tracer(interrupt: &ReceiveRight) -> Result<Key> {
    let mut key = [0; KEY_MAX];
    let length = stubs::boot::boot_tracer(bootstrap()?, interrupt.name(), &mut key)? as usize;
    Ok(key.get(..length).and_then(Key::new).unwrap_or(Key::NONE))
}

/// Tells the boot server the exit status; the boot server itself has nobody to tell.
pub(crate) fn report_exit(status: i32) {
    if let Ok(port) = bootstrap() {
        let _ = stubs::boot::boot_exit(port, status);
    }
}
