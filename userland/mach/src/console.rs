// SPDX-License-Identifier: GPL-2.0-or-later
//! The console: `print!` and `println!`, writing on a channel, reading a line.
//!
//! The console is the device the boot server hands out; without a boot server, text goes to the kernel's own console
//! through the trap `mach_print`. A program with a standard output of another kind says so with [`set_writer`]. Text is buffered for one `print!` at a time and written in pieces as large as one
//! in-band device message takes, so that a short line is one `device_write_inband`.

use alloc::boxed::Box;
use core::fmt::{self, Write};

use protocol::channel::{Channel, Key, SWITCH_LENGTH};
use spin::Once;

use crate::error::{KernReturn, Result};
use crate::memory::Pages;
use crate::port::{PortName, SendRight};
use crate::{boot, stubs, sys};

/// Most bytes in one in-band device message (`IO_INBAND_MAX`).
pub const INBAND_MAX: usize = 128;

/// Most bytes in one out-of-line device message of ours; well below what the terminal driver queues.
const OUT_OF_LINE_MAX: usize = 1024;

/// Writes all of some bytes.
type Writer = Box<dyn Fn(&[u8]) -> Result<()> + Send + Sync>;

static WRITER: Once<Writer> = Once::new();

/// Has everything that this program writes go through `writer` instead of to the console device. The first call counts.
pub fn set_writer(writer: impl Fn(&[u8]) -> Result<()> + Send + Sync + 'static) {
    WRITER.call_once(|| Box::new(writer));
}

static DEVICE: Once<Option<SendRight>> = Once::new();

static KEY: Once<Key> = Once::new();

/// Tells the runtime what stands in this run's switch marks: to write on other channels than the programs' own takes the boot server or
/// rpctrace2.
pub fn set_key(key: Key) {
    KEY.call_once(|| key);
}

fn key() -> Key {
    KEY.get().copied().unwrap_or(Key::NONE)
}

/// Tells the runtime which device the console is. Only the boot server has to: everyone else asks it.
pub fn set_device(device: SendRight) {
    DEVICE.call_once(|| Some(device));
}

/// The console device, asked for on first use.
fn device() -> Option<&'static SendRight> {
    DEVICE.call_once(|| boot::console().ok()).as_ref()
}

/// The name of the console device's right, which stays the runtime's.
pub fn device_name() -> Result<PortName> {
    device().map(SendRight::name).ok_or(KernReturn::D_NO_SUCH_DEVICE)
}

/// Writes all of `bytes` as they are.
pub fn write(bytes: &[u8]) -> Result<()> {
    if let Some(writer) = WRITER.get() {
        return writer(bytes);
    }
    let Some(device) = device() else {
        print_to_kernel(bytes);
        return Ok(());
    };
    for piece in bytes.chunks(INBAND_MAX) {
        let mut rest = piece;
        while !rest.is_empty() {
            let written = stubs::device::device_write_inband(device.name(), 0, 0, rest)?;
            rest = rest.get(written as usize..).filter(|_| written > 0).ok_or(KernReturn::D_IO_ERROR)?;
        }
    }
    Ok(())
}

/// Writes `bytes` on another channel than the programs' own: every device message switches to the channel and back, so
/// that another task's output cannot end up in it.
pub fn write_on(channel: Channel, bytes: &[u8]) -> Result<()> {
    let marks = 2 * SWITCH_LENGTH;
    if bytes.len() + marks <= INBAND_MAX {
        return write_wrapped(channel, bytes);
    }
    let Some(device) = device() else {
        print_to_kernel(bytes);
        return Ok(());
    };
    let mut pages = Pages::allocate(OUT_OF_LINE_MAX as u64)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let text = rest.len().min(OUT_OF_LINE_MAX - marks);
        let total = fill(pages.as_mut_slice(), channel, &rest[..text]);
        let written = stubs::device::device_write(device.name(), 0, 0, &pages.as_slice()[..total])? as usize;
        // A write cut short may have lost the switch back, and whatever text was not taken comes again.
        if written < total {
            write(Channel::Console.switch(&key()).bytes())?;
        }
        let taken = written.saturating_sub(channel.switch(&key()).bytes().len()).min(text);
        rest = rest.get(taken..).filter(|_| taken > 0).ok_or(KernReturn::D_IO_ERROR)?;
    }
    Ok(())
}

/// One short text on another channel, in one in-band message.
fn write_wrapped(channel: Channel, bytes: &[u8]) -> Result<()> {
    let mut buffer = [0; INBAND_MAX];
    let total = fill(&mut buffer, channel, bytes);
    write(&buffer[..total])
}

/// Puts the switch to `channel`, `text` and the switch back into `buffer`; returns how many bytes that is.
fn fill(buffer: &mut [u8], channel: Channel, text: &[u8]) -> usize {
    let key = key();
    let (there, back) = (channel.switch(&key), Channel::Console.switch(&key));
    let mut used = 0;
    for part in [there.bytes(), text, back.bytes()] {
        buffer[used..used + part.len()].copy_from_slice(part);
        used += part.len();
    }
    used
}

/// Text for the kernel's own console, a short NUL-terminated piece at a time.
fn print_to_kernel(bytes: &[u8]) {
    for piece in bytes.chunks(INBAND_MAX - 1) {
        let mut buffer = [0; INBAND_MAX];
        buffer[..piece.len()].copy_from_slice(piece);
        if let Ok(text) = core::ffi::CStr::from_bytes_until_nul(&buffer) {
            sys::trap::mach_print(text);
        }
    }
}

/// Waits for input from the keyboard or serial line: at least one byte, as many as there are and `buffer` holds.
pub fn read(buffer: &mut [u8]) -> Result<usize> {
    let device = device().ok_or(KernReturn::D_NO_SUCH_DEVICE)?;
    let wanted = buffer.len().min(INBAND_MAX);
    stubs::device::device_read_inband(device.name(), 0, 0, wanted as i32, buffer)
}

/// Collects formatted text into pieces for [`write`].
struct Pieces {
    buffer: [u8; INBAND_MAX],
    used: usize,
    result: Result<()>,
}

impl Pieces {
    fn flush(&mut self) {
        if self.used > 0 && self.result.is_ok() {
            self.result = write(&self.buffer[..self.used]);
        }
        self.used = 0;
    }
}

impl Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.used == INBAND_MAX {
                self.flush();
            }
            let (now, later) = rest.split_at(rest.len().min(INBAND_MAX - self.used));
            self.buffer[self.used..self.used + now.len()].copy_from_slice(now);
            self.used += now.len();
            rest = later;
        }
        Ok(())
    }
}

/// What `print!` and `println!` call. A console that fails cannot be told about; the text is lost.
pub fn print(arguments: fmt::Arguments<'_>) {
    let mut pieces = Pieces { buffer: [0; INBAND_MAX], used: 0, result: Ok(()) };
    let _ = pieces.write_fmt(arguments);
    pieces.flush();
}

/// Formatted text on the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(format_args!($($argument)*)) };
}

/// Formatted text and a line end on the console, as one piece.
#[macro_export]
macro_rules! println {
    () => { $crate::console::print(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::console::print(format_args!("{}\n", format_args!($($argument)*))) };
}
