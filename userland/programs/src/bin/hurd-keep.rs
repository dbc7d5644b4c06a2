// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-keep WORD...: runs `rpctrace2 -o /tmp/trace --capture /tmp/kept WORD...` on a Hurd, and prints both files: a line of each begins with
//! its name, and the capture's bytes are in hexadecimal.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hurd::abi::open;
use hurd::names::Here;
use hurd::startup;
use mach::println;
use mach::rt::arguments::Arguments;
use programs::on_hurd::{Started, contents};
use programs::{Doing, Mismatch};

hurd::entry!(main);

const TRACE: &str = "/tmp/trace";
const KEPT: &str = "/tmp/kept";
/// Bytes in a line.
const LINE: usize = 60;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    let mut words = ["rpctrace2", "-o", TRACE, "--capture", KEPT].to_vec();
    words.extend((1..arguments.len()).filter_map(|index| arguments.get_str(index)));
    Started::new(startup, &words)?.ended().doing("its end")?;
    contents(startup, TRACE)?.lines().for_each(|line| println!("trace: {line}"));
    let kept = Here(startup).open(KEPT, open::READ, 0).doing("opening the capture")?;
    let kept: Vec<u8> = kept.read_to_end().doing("reading the capture")?;
    for bytes in kept.chunks(LINE) {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("kept: {text}");
    }
    Ok(())
}
