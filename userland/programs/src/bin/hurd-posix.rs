// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-posix: what a program of POSIX's does with files, by the messages that the C library of a Hurd makes of it; some of it fails.
//!
//! Its trace with `--posix` must have a line for each comment in capitals below, and one for each line that it writes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use hurd::abi::open::READ;
use hurd::errno::Answer;
use hurd::names::Here;
use hurd::startup;
use hurd::stubs::io;
use mach::println;
use mach::rt::arguments::Arguments;
use programs::{Doing, Mismatch};

hurd::entry!(main);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let here = Here(startup::get().doing("being started on a Hurd")?);
    // OPEN, FSTAT, READ, READ, CLOSE.
    let motd = here.open("/etc/motd", READ, 0).doing("opening /etc/motd")?;
    let size = io::io_stat(motd.name()).doing("asking for its state")?.st_size;
    let text = motd.read_to_end().doing("reading it")?;
    drop(motd);
    println!("{} of {size} bytes", text.len());
    // STAT.
    let found = here.open("/etc/motd", 0, 0).doing("finding /etc/motd")?;
    let mode = io::io_stat(found.name()).doing("asking for its state")?.st_mode;
    drop(found);
    println!("mode {mode:#o}");
    // OPEN, whose lookup goes on in another file system, and CLOSE.
    drop(here.open("/home/user/letter", READ, 0).doing("opening /home/user/letter")?);
    // OPEN, which fails.
    let error = here.open("/etc/none", READ, 0).err();
    println!("/etc/none: {}", error.map_or("a file", |error| hurd::errno::name(error).unwrap_or("no errno")));
    // OPEN, which makes the file, WRITE, CLOSE.
    let made = here.create("/tmp/posix").doing("making /tmp/posix")?;
    made.write_all(b"four").doing("writing to it")?;
    drop(made);
    // UNLINK, and UNLINK, which fails.
    here.remove("/tmp/posix").doing("taking its name away")?;
    if let Err(error) = here.remove("/tmp/posix") {
        println!("/tmp/posix: {}", Answer(error));
    }
    Ok(())
}
