// SPDX-License-Identifier: GPL-2.0-or-later
//! Frees a kernel that waits for ever for channel 2 of QEMU's interval timer.
//!
//! GNU Mach's `pit_udelay` starts the channel in mode 1 and waits until its output is high, as real hardware has it once the
//! count is over. QEMU has it the other way round: high while it counts, low from then on (hw/timer/i8254_common.c,
//! `pit_get_out`). So the wait is over at once, unless the host takes the processor away for the 10 microseconds of the count:
//! then nothing ends it. Kernels for several processors wait so when they start the others.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Name of the monitor's socket in the directory that QEMU runs in.
pub const SOCKET: &str = "monitor.socket";

/// How long a starting kernel has said nothing when it is helped: much longer than any count of the channel, 55 ms.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Sets the channel to mode 0 with the shortest count, whose output is high once it is over, and stays so until the channel is
/// set anew. It ends a wait as real hardware would; a kernel that does not wait does not look at it.
const END_OF_COUNT: &[u8] = b"o /b 0x43 0xb0\no /b 0x42 1\no /b 0x42 0\n";

/// QEMU's monitor, by which the channel can be reached.
#[derive(Debug)]
pub struct Pit(UnixStream);

impl Pit {
    /// Takes the monitor.
    pub fn new(monitor: UnixStream) -> Self {
        Self(monitor)
    }

    /// Ends the channel's count.
    pub fn end_count(&mut self) -> io::Result<()> {
        self.0.write_all(END_OF_COUNT)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_channel_is_set_to_mode_0_and_given_both_bytes_of_a_count() {
        let (monitor, mut qemu) = UnixStream::pair().unwrap();
        let mut pit = Pit::new(monitor);
        pit.end_count().unwrap();
        drop(pit);
        let mut text = String::new();
        qemu.read_to_string(&mut text).unwrap();
        // Control word: channel 2, low byte then high byte, mode 0, binary.
        assert_eq!(text, format!("o /b 0x43 {:#x}\no /b 0x42 1\no /b 0x42 0\n", 2 << 6 | 3 << 4));
    }
}
