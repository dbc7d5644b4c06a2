// SPDX-License-Identifier: GPL-2.0-or-later
//! How a program learns that it is on a Hurd, and what it was started with.
//!
//! exec leaves nothing on the stack. The task's bootstrap port is a port of the exec server that answers one useful call, once,
//! `exec_startup_get_info`: arguments, environment, descriptors, ports and integers. Whoever else is behind a bootstrap port does not know
//! that call, and then the arguments are on the stack.

use alloc::vec::Vec;

use mach::error::Result;
use mach::mig::AnyRight;
use mach::port::{PortName, SendRight};
use mach::rt::arguments::{self, Arguments};
use mach::rt::exit;
use mach::{console, stubs as kernel, task_self};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use spin::Once;

use crate::abi::{exec, int, port};
use crate::errno::{EBADF, ESRCH};
use crate::file;
use crate::stubs::{exec_startup, process};
use crate::wait::Ending;

/// The descriptor that a program prints to.
const STANDARD_OUTPUT: usize = 1;

/// What this program was started with on a Hurd.
#[derive(Debug)]
pub struct Startup {
    descriptors: Vec<Option<SendRight>>,
    ports: Vec<Option<SendRight>>,
    ints: [i32; int::MAX],
    program: Loaded,
}

/// The program that exec has loaded: an interpreter of its is started in its place, and is told this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where it begins.
    pub entry: u64,
    /// Where its program headers are, and how many bytes; 0 if they are not in memory.
    pub headers: (u64, u64),
}

static STARTUP: Once<Option<Startup>> = Once::new();

/// What this program was started with, if that was on a Hurd.
pub fn get() -> Option<&'static Startup> {
    STARTUP.get()?.as_ref()
}

/// For [`crate::entry!`]: asks the bootstrap port for the arguments. On a Hurd the console is from then on the standard output, and the exit
/// status goes to proc. `None` if nobody there knows the call, or says that the arguments are on the stack.
pub fn ask() -> Option<Arguments> {
    let bootstrap = kernel::mach::task_get_special_port(task_self(), TASK_BOOTSTRAP_PORT).ok()?;
    if !bootstrap.name().is_valid() {
        return None;
    }
    let info = exec_startup::exec_startup_get_info(bootstrap.name()).ok()?;
    if info.flags & exec::STACK_ARGS != 0 {
        return None;
    }
    let mut ports: Vec<Option<SendRight>> = info.portarray.into_iter().map(owned).collect();
    // exec's own port is of no more use, and as long as somebody has it, exec keeps what is behind it.
    let next = ports.get_mut(port::BOOTSTRAP).and_then(Option::take);
    let name = next.as_ref().map_or(PortName::NULL, SendRight::name);
    let _ = kernel::mach::task_set_special_port(task_self(), TASK_BOOTSTRAP_PORT, name);
    let mut ints = [0; int::MAX];
    for (to, from) in ints.iter_mut().zip(info.intarray.iter()) {
        *to = from;
    }
    let descriptors = info.dtable.into_iter().map(owned).collect();
    let program = Loaded { entry: info.user_entry, headers: (info.phdr_data, info.phdr_size) };
    STARTUP.call_once(|| Some(Startup { descriptors, ports, ints, program }));
    let arguments = arguments::told(info.argv.as_bytes().to_vec(), info.envp.as_bytes().to_vec());
    begin(&arguments);
    Some(arguments)
}

/// A right that came in an array of send rights.
fn owned(right: AnyRight) -> Option<SendRight> {
    match right {
        AnyRight::Send(right) => Some(right),
        // A receive or send-once right is not what the interface has there; it is given back.
        _ => None,
    }
}

/// Has the runtime do what a Hurd program does.
fn begin(arguments: &Arguments) {
    console::set_writer(|bytes| match get().and_then(|startup| startup.descriptor(STANDARD_OUTPUT)) {
        Some(output) => file::write_all(output, bytes),
        None => Err(EBADF),
    });
    exit::on_exit(|status| {
        if let Some(proc) = get().and_then(|startup| startup.port(port::PROC)) {
            // Nobody is left to be told that it failed.
            let _ = process::proc_mark_exit(proc, Ending::Exited(status as u8).to_status(), 0);
        }
    });
    if let Some(proc) = get().and_then(|startup| startup.port(port::PROC)) {
        let (argv, envp) = arguments.places();
        // For ps alone.
        let _ = process::proc_set_arg_locations(proc, argv, envp);
    }
}

impl Startup {
    /// The name of the right behind a descriptor.
    pub fn descriptor(&self, number: usize) -> Option<PortName> {
        self.descriptors.get(number)?.as_ref().map(SendRight::name)
    }

    /// The descriptors, in order; null where there is none.
    pub fn descriptors(&self) -> Vec<PortName> {
        names(&self.descriptors)
    }

    /// The name of one of the ports of [`crate::abi::port`].
    pub fn port(&self, place: usize) -> Option<PortName> {
        self.ports.get(place)?.as_ref().map(SendRight::name)
    }

    /// The ports, in the order of [`crate::abi::port`]; null where there is none.
    pub fn ports(&self) -> Vec<PortName> {
        let mut ports = names(&self.ports);
        ports.resize(port::MAX, PortName::NULL);
        ports
    }

    /// The proc server, as it knows this program.
    ///
    /// # Errors
    /// `ESRCH` if the program was given no such port.
    pub fn proc(&self) -> Result<PortName> {
        self.port(port::PROC).ok_or(ESRCH)
    }

    /// The integers, in the order of [`crate::abi::int`].
    pub const fn ints(&self) -> [i32; int::MAX] {
        self.ints
    }

    /// Where the program is that exec was asked for: this one, or one that this one interprets.
    pub const fn program(&self) -> Loaded {
        self.program
    }

    /// This program's process id.
    ///
    /// # Errors
    /// What proc answers.
    pub fn process_id(&self) -> Result<i32> {
        process::proc_getpids(self.proc()?).map(|ids| ids.pid)
    }
}

fn names(rights: &[Option<SendRight>]) -> Vec<PortName> {
    rights.iter().map(|right| right.as_ref().map_or(PortName::NULL, SendRight::name)).collect()
}

/// The value of a variable of the environment.
pub fn variable(name: &str) -> Option<&'static str> {
    let arguments = arguments::arguments()?;
    arguments.environment().find_map(|variable| {
        let (found, value) = str::from_utf8(variable).ok()?.split_once('=')?;
        (found == name).then_some(value)
    })
}
