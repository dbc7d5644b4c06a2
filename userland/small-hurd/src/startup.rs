// SPDX-License-Identifier: GPL-2.0-or-later
//! The first process: makes the servers' ports, starts the servers with them, starts the program, waits for it.

use alloc::string::String;
use alloc::vec::Vec;

use hurd::abi::{int, open, port, wait};
use hurd::lookup::lookup;
use hurd::stubs::{auth, exec, fs, io, process, term};
use hurd::wait::Ending;
use mach::error::{KernReturn, Result};
use mach::memory::{PAGE_SIZE, Pages};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::{mach_port_insert_right, vm_allocate};
use mach::{boot, stubs, task_self};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use protocol::HOST_PORT_ARGUMENT;
use protocol::{DEVICE_PORT_ARGUMENT, archive};
use small_hurd::errno::ENOENT;
use small_hurd::ids::Credentials;
use small_hurd::options::{Options, Role};

use crate::client::{Client, authenticated, authenticated_process};
use crate::places::{Place, place};

/// The exit status when the program cannot be started.
const NOT_STARTED: i32 = 127;

/// Which files a program may not make accessible to everybody.
const UMASK: i32 = 0o22;

/// A server's task, which ends with this.
struct ServerTask {
    task: SendRight,
    /// Where the boot server says that it has ended, which nobody reads: rights to it die with it.
    _exit: ReceiveRight,
}

impl Drop for ServerTask {
    fn drop(&mut self) {
        let _ = stubs::mach::task_terminate(self.task.name());
    }
}

/// A port of each server.
struct Servers {
    ports: Vec<(Role, SendRight)>,
    tasks: Vec<ServerTask>,
}

impl Servers {
    fn port(&self, role: Role) -> PortName {
        self.ports.iter().find(|(of, _)| *of == role).map_or(PortName::NULL, |(_, right)| right.name())
    }

    /// Makes the ports and starts the servers, each with the receive right of its own and rights to those of the others.
    fn start(words: &[&[u8]]) -> Result<Self> {
        let mut receivers = Vec::new();
        let mut servers = Self { ports: Vec::new(), tasks: Vec::new() };
        for role in Role::SERVERS {
            let receiver = ReceiveRight::allocate()?;
            servers.ports.push((role, receiver.make_send()?));
            receivers.push((role, receiver));
        }
        for (role, receiver) in receivers {
            let task = servers.start_one(role, receiver, words)?;
            servers.tasks.push(task);
        }
        Ok(servers)
    }

    /// Says to proc what the servers are called, as servers of the Hurd do: their arguments stand in their own memory.
    fn name_processes(&self) -> Result<()> {
        for (role, server) in Role::SERVERS.into_iter().zip(&self.tasks) {
            let task = server.task.name();
            let address = vm_allocate(task, 0, PAGE_SIZE, true)?;
            let vector = argument_vector(address, &alloc::format!("/hurd/{}", role.word()));
            // Whole pages are written.
            let mut page = Pages::allocate(PAGE_SIZE)?;
            page.as_mut_slice()[..vector.len()].copy_from_slice(&vector);
            stubs::mach::vm_write(task, address, page.as_slice())?;
            let proc = process::proc_task2proc(self.port(Role::Proc), task)?;
            process::proc_set_arg_locations(proc.name(), address, address + VECTOR / 2)?;
        }
        Ok(())
    }

    fn start_one(&self, role: Role, receiver: ReceiveRight, words: &[&[u8]]) -> Result<ServerTask> {
        let mut arguments: Vec<Vec<u8>> = alloc::vec![b"small-hurd".to_vec()];
        arguments.extend(words.iter().map(|word| word.to_vec()));
        arguments.push([b"--role=", role.word().as_bytes()].concat());
        if role == Role::Proc {
            arguments.push([b"--host=", HOST_PORT_ARGUMENT.as_bytes()].concat());
            arguments.push([b"--device=", DEVICE_PORT_ARGUMENT.as_bytes()].concat());
        }
        let arguments = archive::join_arguments(&arguments).map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        let exit = ReceiveRight::allocate()?;
        let task = boot::spawn(&arguments, true, &exit)?;
        let server = ServerTask { task, _exit: exit };
        let task = server.task.name();
        // The name serves the kernel's own messages and whoever looks at the tasks.
        let _ = stubs::gnumach::task_set_name(task, role.word());
        let own = receiver.into_name();
        mach_port_insert_right(task, place(Place::Served), own, Disposition::MoveReceive)?;
        for other in Role::SERVERS.into_iter().filter(|other| *other != role) {
            mach_port_insert_right(task, place(Place::Of(other)), self.port(other), Disposition::CopySend)?;
        }
        if role == Role::Proc {
            mach_port_insert_right(task, place(Place::Init), task_self(), Disposition::CopySend)?;
        }
        stubs::mach::task_resume(task)?;
        Ok(server)
    }
}

/// An array of two pointers, the second one null, and the string that the first one leads to, as they stand in memory at `address`.
fn argument_vector(address: u64, argument: &str) -> Vec<u8> {
    let mut bytes = (address + VECTOR).to_le_bytes().to_vec();
    bytes.resize(VECTOR as usize, 0);
    bytes.extend_from_slice(argument.as_bytes());
    bytes.push(0);
    bytes
}

/// Bytes of an array of two pointers.
const VECTOR: u64 = 16;

/// Runs the command; answers the exit status.
pub(crate) fn run(options: &Options, arguments: &Arguments) -> core::result::Result<i32, String> {
    let Some(command) = options.command.first() else {
        return Err(String::from("expected a program to run, found none"));
    };
    let words: Vec<&[u8]> = arguments.iter().skip(1).take_while(|word| word.starts_with(b"--")).collect();
    let doing = |what: &'static str| move |error: KernReturn| alloc::format!("{what}: {}", hurd::errno::Answer(error));
    let servers = Servers::start(&words).map_err(doing("starting the servers"))?;
    servers.name_processes().map_err(doing("the servers' names"))?;
    let user = User::new(&servers, options.user).map_err(doing("the user's ports"))?;
    let child = user.child(&servers).map_err(doing("the program's process"))?;
    let name = program_name(command);
    let environment = environment(arguments);
    if let Err(error) = user.exec(&child, &name, options, &environment) {
        mach::println!("{name}: {}", hurd::errno::Answer(error));
        return Ok(NOT_STARTED);
    }
    wait_for(&servers, child.pid).map_err(doing("waiting for the program"))
}

/// Where a program is that is called so.
fn program_name(command: &[u8]) -> String {
    let text = String::from_utf8_lossy(command);
    if text.contains('/') { text.into() } else { alloc::format!("/bin/{text}") }
}

/// The program's environment: ours, and where programs are.
fn environment(arguments: &Arguments) -> Vec<u8> {
    let mut block = b"PATH=/bin\0".to_vec();
    for variable in arguments.environment() {
        block.extend_from_slice(variable);
        block.push(0);
    }
    block
}

/// Waits for every child until this one has ended; what a shell says of its end.
fn wait_for(servers: &Servers, pid: i32) -> Result<i32> {
    loop {
        let ended = process::proc_wait(servers.port(Role::Proc), -1, wait::EXITED)?;
        if ended.pid_status == pid {
            return Ok(Ending::from_status(ended.status).map_or(NOT_STARTED, Ending::shell_status));
        }
    }
}

/// The ports of the user whose program it is.
struct User {
    id: u32,
    auth: SendRight,
    root: SendRight,
    console: SendRight,
    /// The terminal's id.
    terminal: SendRight,
}

/// The program's process.
struct Child {
    task: SendRight,
    pid: i32,
    proc: SendRight,
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = stubs::mach::task_terminate(self.task.name());
    }
}

impl User {
    fn new(servers: &Servers, id: u32) -> Result<Self> {
        let Credentials { euids, auids, egids, agids } = Credentials::of(id);
        let server = servers.port(Role::Auth);
        let none = Disposition::CopySend;
        let auth = auth::auth_makeauth(server, &[], none, &euids, &auids, &egids, &agids)?;
        let root = authenticated(servers.port(Role::Root), auth.name())?;
        // Programs that may not bring their own directories get these, opened by nobody until they say who they are.
        let nobody = auth::auth_makeauth(server, &[], none, &[], &[], &[], &[])?;
        let mut ports = [PortName::NULL; port::MAX];
        ports[port::AUTH] = nobody.name();
        (ports[port::CRDIR], ports[port::CWDIR]) = (servers.port(Role::Root), servers.port(Role::Root));
        let mut ints = [0; int::MAX];
        ints[int::UMASK] = UMASK;
        process::proc_setexecdata(servers.port(Role::Proc), &ports, Disposition::CopySend, &ints)?;
        exec::exec_setexecdata(servers.port(Role::Exec), &ports, Disposition::CopySend, &ints)?;
        let ports = [root.name(), root.name(), auth.name()];
        let mut client = Client { ports: &ports, descriptors: &[] };
        let console = lookup(&mut client, "/dev/console", open::READ | open::WRITE, 0)?;
        let terminal = term::term_getctty(console.name())?;
        Ok(Self { id, auth, root, console, terminal })
    }

    /// A task that the process server knows as a process of the user's, in the terminal's foreground.
    fn child(&self, servers: &Servers) -> Result<Child> {
        let init = servers.port(Role::Proc);
        let task = stubs::mach::task_create(task_self(), false)?;
        let adopt = || {
            process::proc_child(init, task.name())?;
            let pid = process::proc_task2pid(init, task.name())?;
            let mut proc = process::proc_task2proc(init, task.name())?;
            process::proc_setpgrp(init, pid, 0)?;
            io::io_mod_owner(self.console.name(), -pid)?;
            if self.id != 0 {
                proc = authenticated_process(proc.name(), self.auth.name())?;
            }
            // It has no business with the boot server.
            stubs::mach::task_set_special_port(task.name(), TASK_BOOTSTRAP_PORT, PortName::NULL)?;
            Ok((pid, proc))
        };
        match adopt() {
            Ok((pid, proc)) => Ok(Child { task, pid, proc }),
            Err(error) => {
                let _ = stubs::mach::task_terminate(task.name());
                Err(error)
            }
        }
    }

    /// Starts the program in it.
    fn exec(&self, child: &Child, name: &str, options: &Options, environment: &[u8]) -> Result<()> {
        let mut ports = [PortName::NULL; port::MAX];
        (ports[port::CWDIR], ports[port::CRDIR]) = (self.root.name(), self.root.name());
        ports[port::AUTH] = self.auth.name();
        ports[port::PROC] = child.proc.name();
        ports[port::CTTYID] = self.terminal.name();
        let descriptors = [self.console.name(); 3];
        let mut client = Client { ports: &ports, descriptors: &descriptors };
        let file = lookup(&mut client, name, open::EXEC, 0)?;
        let mut ints = [0; int::MAX];
        ints[int::UMASK] = UMASK;
        let arguments = archive::join_arguments(&options.command).map_err(|_| ENOENT)?;
        fs::file_exec_paths(
            file.name(),
            child.task.name(),
            0,
            name,
            name,
            &arguments,
            environment,
            &descriptors,
            Disposition::CopySend,
            &ports,
            Disposition::CopySend,
            &ints,
            &[],
            &[],
        )
    }
}
