// SPDX-License-Identifier: GPL-2.0-or-later
//! `small-hurd [OPTIONS] PROGRAM [ARGUMENTS]`: starts the servers of a small Hurd, each in a task of its own, and PROGRAM as a Hurd program;
//! ends with its status. A server is the program itself with `--role=`.
//!
//! Options: `--user=N` (whose program it is; root's without it), `--threads=N` (threads of each filesystem that wait for requests),
//! `--out-of-line` (what exec tells a program travels out of line), `--interrupt=TEXT` (Ctrl-C is typed as soon as TEXT has been written to
//! the terminal), and faults of a routine: `--slow=ROUTINE:MILLISECONDS`, `--dies=ROUTINE`, `--refuse=ROUTINE:ERRNO`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod auth;
mod client;
mod exec;
mod fs;
mod places;
mod proc;
mod server;
mod startup;
mod stubs;
mod term;

use alloc::format;
use alloc::string::String;

use mach::error::{KernReturn, Result};
use mach::port::{PortName, PortSet, SendRight};
use mach::rt::arguments::Arguments;
use small_hurd::options::{Options, Role};

use places::{Place, given, served};
use server::faults::Faults;
use server::pool;

mach::entry!(main);

fn main(arguments: Arguments) -> core::result::Result<i32, String> {
    let options = Options::parse(arguments.iter().skip(1))?;
    let faults = Faults::of(&options)?;
    if options.role == Role::Startup {
        return startup::run(&options, &arguments);
    }
    let role = options.role.word();
    serve(&options, faults).map_err(|error: KernReturn| format!("{role}: {error}"))
}

/// Serves for ever.
fn serve(options: &Options, faults: Faults) -> Result<i32> {
    let set = PortSet::allocate()?;
    let of = |role| given(Place::Of(role));
    let files = |translators| fs::Rights { auth: of(Role::Auth), exec: of(Role::Exec), translators, port: served() };
    match options.role {
        Role::Startup => Ok(0),
        Role::Auth => pool::serve(auth::Auth::new(&set, served())?, &set, faults, 1),
        Role::Proc => {
            let (host, device) = options.privileges;
            let right = |name| SendRight::from_name(PortName(name));
            let (auth, init) = (of(Role::Auth), given(Place::Init));
            let rights = proc::Rights { host: right(host), device: right(device), auth, init, port: served() };
            pool::serve(proc::Proc::new(&set, rights)?, &set, faults, 1)
        }
        Role::Term => {
            let rights = term::Rights { auth: of(Role::Auth), proc: of(Role::Proc), port: served() };
            pool::serve(term::Term::new(&set, rights, options.interrupt.clone())?, &set, faults, 1)
        }
        Role::Exec => {
            let rights = exec::Rights { proc: of(Role::Proc), port: served() };
            pool::serve(exec::Exec::new(&set, rights, options.out_of_line)?, &set, faults, 1)
        }
        Role::Home => pool::serve(fs::Fs::home(&set, files(alloc::vec![]))?, &set, faults, options.threads),
        Role::Root => {
            let translators = alloc::vec![of(Role::Home), of(Role::Term), given_again(Role::Exec)?];
            pool::serve(fs::Fs::root(&set, files(translators))?, &set, faults, options.threads)
        }
    }
}

/// A second reference of a right that this server has been given.
fn given_again(role: Role) -> Result<SendRight> {
    SendRight::copy_of(places::place(Place::Of(role)))
}
