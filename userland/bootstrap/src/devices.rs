// SPDX-License-Identifier: GPL-2.0-or-later
//! The devices the boot server uses itself: the console and the ram disk.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mach::console;
use mach::port::{PortName, SendRight};
use mach::stubs;
use protocol::channel::Channel;

/// `D_READ | D_WRITE` of device_types.h.
const D_READ_WRITE: u32 = 3;
/// `D_READ` of device_types.h.
const D_READ: u32 = 1;
/// `DEV_GET_SIZE`: device size and record size, both in bytes.
const DEV_GET_SIZE: u32 = 0;
/// `TTY_STATUS` of tty_status.h: input speed, output speed, break character, flags.
const TTY_STATUS: u32 = (b't' as u32) << 16 | 1;
/// `B9600` of tty_status.h.
const B9600: i32 = 13;

/// Most bytes to ask the ram disk for at once.
const READ_SIZE: usize = 1 << 20;

/// More than the terminal driver holds back at any speed before it answers a write.
const DRAIN: usize = 2048;

/// Opens the console and sets its speed to one at which the driver's queue holds several writers' messages: at the fast
/// speed it starts with, the driver lets the queue fill up and then takes only part of a write, and another writer's bytes
/// get in between. The emulated line is as fast at any speed.
pub(crate) fn open_console(device_master: PortName) -> Result<SendRight, String> {
    let console = stubs::device::device_open(device_master, D_READ_WRITE, b"console")
        .map_err(|error| format!("device console: {error}"))?;
    let mut status = [0; 4];
    // A console that is no terminal has no speed, and no queue to fill.
    if let Ok(4) = stubs::device::device_get_status(console.name(), TTY_STATUS, &mut status) {
        status[0] = B9600;
        status[1] = B9600;
        stubs::device::device_set_status(console.name(), TTY_STATUS, &status)
            .map_err(|error| format!("device console, setting its speed: {error}"))?;
    }
    Ok(console)
}

/// Returns when everything written before has left the machine. The driver answers a write as soon as its queue is short
/// enough; so much chatter is written that, when the last write is answered, nothing but chatter can be left in it.
pub(crate) fn drain() {
    let filler = [b' '; console::INBAND_MAX - 4];
    for _ in 0..DRAIN.div_ceil(filler.len()) {
        let _ = console::write_on(Channel::Kernel, &filler);
    }
}

/// All bytes of a disk.
pub(crate) fn read_disk(device_master: PortName, name: &str) -> Result<Box<[u8]>, String> {
    let device = stubs::device::device_open(device_master, D_READ, name.as_bytes())
        .map_err(|error| format!("device {name}: {error}"))?;
    let mut status = [0; 2];
    stubs::device::device_get_status(device.name(), DEV_GET_SIZE, &mut status)
        .map_err(|error| format!("device {name}, its size: {error}"))?;
    let [size, record] = status.map(|value| value as u32 as usize);
    if record == 0 {
        return Err(format!("device {name}: expected a record size, found 0"));
    }
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let wanted = (size - bytes.len()).min(READ_SIZE);
        let data = stubs::device::device_read(device.name(), 0, (bytes.len() / record) as u64, wanted as i32)
            .map_err(|error| format!("device {name} at byte {}: {error}", bytes.len()))?;
        if data.is_empty() {
            return Err(format!("device {name}: expected {size} bytes, found {}", bytes.len()));
        }
        bytes.extend_from_slice(data.as_slice());
    }
    Ok(bytes.into_boxed_slice())
}
