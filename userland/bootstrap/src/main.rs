// SPDX-License-Identifier: GPL-2.0-or-later
//! The boot server: reads the boot archive, starts its command, serves boot.defs until that ends, then reboots.
//!
//! The kernel starts it from a boot module with the names of the host control port and the device master port as its
//! arguments, and from a host tool with the key of the console's switch marks, which says that a second serial line leads to it. What
//! it says while it comes up is kernel chatter to the host tool; from the mark behind the word that it is ready, right before the command
//! starts, the console belongs to the programs.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot_archive;
mod crash;
mod devices;
mod line;
mod load;
mod serve;

use alloc::format;
use alloc::string::String;
use core::mem;

use mach::port::{PortName, SendRight};
use mach::rt::arguments::Arguments;
use mach::rt::exit::on_exit;
use mach::{console, println, stubs};
use protocol::archive::{COMMAND, split_arguments};
use protocol::channel::{Channel, Key};
use protocol::control::Control;

use boot_archive::BootArchive;
use serve::{Privileges, Server};

mach::entry!(main);

/// What the command is said to have ended with when it could not even be started.
const NOT_STARTED: i32 = 127;

fn main(arguments: Arguments) -> Result<i32, String> {
    load::reserve_null_pages(mach::task_self()).map_err(|error| format!("reserving the first pages: {error}"))?;
    let privileges = privileges(&arguments)?;
    let host = privileges.host.name();
    let device = devices::open_console(privileges.device.name())?;
    console::set_device(device);
    console::set_key(privileges.key);
    // Also a panic brings the system down in order, with its status.
    on_exit(move |status| shut_down(host, status));
    println!("bootstrap: up");
    let status = run(&privileges).unwrap_or_else(|error| {
        println!("bootstrap: {error}");
        NOT_STARTED
    });
    // The rights must last until `shut_down` has used them.
    mem::forget(privileges);
    Ok(status)
}

/// Tells the host tool the exit status and reboots.
fn shut_down(host: PortName, status: i32) {
    tell(Control::Exit(status));
    devices::drain();
    if let Err(error) = stubs::mach_host::host_reboot(host, 0) {
        println!("bootstrap: host_reboot: {error}");
    }
}

/// The two rights that the boot script passed by name, and the key.
fn privileges(arguments: &Arguments) -> Result<Privileges, String> {
    let right = |index: usize, what: &str| {
        let text = arguments.get_str(index);
        text.and_then(|text| text.parse().ok())
            .map(|name| SendRight::from_name(PortName(name)))
            .ok_or_else(|| format!("argument {index}: expected the name of the {what} port, found {text:?}"))
    };
    let (host, device) = (right(1, "host control")?, right(2, "device master")?);
    let key = match arguments.get_str(3) {
        Some(text) => Key::new(text.as_bytes()).ok_or("argument 3: expected a key of the console's marks")?,
        None => Key::NONE,
    };
    Ok(Privileges { host, device, key })
}

/// Starts the archive's command and serves until it has ended.
fn run(privileges: &Privileges) -> Result<i32, String> {
    let archive = BootArchive::read(privileges.device.name())?;
    println!("bootstrap: {} members in the boot archive", archive.names().count());
    let command =
        archive.member(COMMAND).ok_or_else(|| format!("boot archive: expected a member {COMMAND}, found none"))?;
    let command = split_arguments(command).map_err(|error| format!("{COMMAND}: {error}"))?;
    let mut server = Server::new(&archive, privileges).map_err(|error| format!("port set: {error}"))?;
    // From here on the console is the programs'.
    tell(Control::Ready);
    server.run(&command)
}

/// A line for the host tool.
pub(crate) fn tell(line: Control) {
    // A console that fails cannot be told about.
    let _ = console::write_on(Channel::Control, format!("{line}\n").as_bytes());
}
