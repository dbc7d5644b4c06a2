// SPDX-License-Identifier: GPL-2.0-or-later
//! What this project's payload recorded on a real Hurd (data/README.md), as exchanges and as text: not one line of it may be wrong.
//! docs/hurd-lines.md says of each kind of line how it is known.

mod identities;
mod joins;
mod lines;
mod names;
mod posix;
mod version3;

use version3::Old;

/// A file of records.
struct File {
    name: &'static str,
    bytes: &'static [u8],
}

const FILES: [File; 3] = [
    File { name: "pipes", bytes: include_bytes!("data/pipes.v3") },
    File { name: "server", bytes: include_bytes!("data/server.v3") },
    File { name: "stress", bytes: include_bytes!("data/stress.v3") },
];

impl File {
    fn records(&self) -> Vec<Old> {
        version3::records(self.bytes)
    }
}

/// Whether another record of the trace is of the same message: its sender is traced.
fn is_shown_as_its_senders(record: &Old, all: &[Old]) -> bool {
    record.header.sender.get() != 0 && all.iter().any(|other| other.header.task == record.header.sender)
}
