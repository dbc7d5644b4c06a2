// SPDX-License-Identifier: GPL-2.0-or-later
//! What our own system is booted from, for tests that boot it in another way than the host tool does.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use qemu::fetch::packages::{Flavour, SUITE};
use qemu::fetch::programs::Consent;
use qemu::link::RECORDER;
use qemu::setup::{Choices, Interfaces, prepare};
use tests::guest::setting;

/// Boot server and archive, which make a system of ours of a kernel, for a command.
pub(crate) fn boot_files(command: &[&str]) -> Result<[Vec<u8>; 2]> {
    let choices = Choices {
        kernel: Some(setting("RPCTRACE2_KERNEL")?.into()),
        dbg: None,
        debug: false,
        suite: SUITE.to_owned(),
        flavour: Flavour::Up,
        processors: 1,
        stock: true,
        payload_feature: None,
        memory: 512,
        kvm: false,
        icount: false,
        timeout: Some(Duration::from_secs(300)),
        interfaces: Interfaces::default(),
        words: String::new(),
        memory_file: None,
        recorder: RECORDER,
        environment: Vec::new(),
        consent: Consent::default(),
    };
    let command: Vec<String> = command.iter().map(ToString::to_string).collect();
    let directory = prepare(&choices)?.boot_directory(&command, &[])?;
    Ok([fs::read(directory.path().join("bootstrap"))?, fs::read(directory.path().join("archive.tar"))?])
}
