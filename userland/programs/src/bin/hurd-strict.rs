// SPDX-License-Identifier: GPL-2.0-or-later
//! hurd-strict: asks the servers of a Hurd for what they have to refuse, and says what each answers: messages that are not what the .defs say,
//! routines of other servers, files opened for something else, ids that one does not have, what was given away already.
//!
//! As root it is granted more than as a user.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;

use hurd::abi::{open, port};
use hurd::errno::Answer;
use hurd::file::File;
use hurd::names::Here;
use hurd::startup::{self, Startup};
use hurd::stubs::exec_startup::{self, ExecStartupGetInfoOut};
use hurd::stubs::{auth, fs, io, process, term};
use mach::error::{KernReturn, Result as KernResult};
use mach::msg::Message;
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::{println, stubs, task_self};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use programs::{Doing, Mismatch};
use spin::Once;

mach::entry!(main, ask);

/// What exec answers the second time.
static AGAIN: Once<KernResult<ExecStartupGetInfoOut>> = Once::new();

/// Room for a reply.
const ROOM: u32 = 2048;

/// An id of the fs subsystem that no routine has, and ids of routines.
const NO_ROUTINE: i32 = 20_099;
const DIR_LOOKUP: i32 = 20_018;
const IO_WRITE: i32 = 21_000;
const PROC_GETPIDS: i32 = 24_016;
const AUTH_GETIDS: i32 = 25_000;

/// The status of a process that has stopped, and a size that nothing has.
const STOPPED: i32 = 0x7f;
const NEGATIVE: i64 = -5;

/// As `hurd::entry!` asks, but twice.
fn ask() -> Option<Arguments> {
    let bootstrap = stubs::mach::task_get_special_port(task_self(), TASK_BOOTSTRAP_PORT).ok()?;
    let arguments = startup::ask();
    AGAIN.call_once(|| exec_startup::exec_startup_get_info(bootstrap.name()));
    arguments
}

/// Says what was answered.
fn say<T>(what: &str, answer: KernResult<T>) {
    match answer {
        Ok(_) => println!("{what}: granted"),
        Err(error) => println!("{what}: {}", Answer(error)),
    }
}

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let startup = startup::get().doing("being started on a Hurd")?;
    println!("{}", again());
    let server = |place| startup.port(place).doing("a port of ours");
    messages(server(port::CRDIR)?, server(port::PROC)?, server(port::AUTH)?)?;
    others(startup)?;
    files(startup)?;
    rights(startup)
}

/// What the second `exec_startup_get_info` brought.
fn again() -> String {
    match AGAIN.get() {
        Some(Ok(info)) => format!(
            "started again: {} bytes of arguments, {} of environment, {} descriptors, {} ports, {} integers",
            info.argv.len(),
            info.envp.len(),
            info.dtable.len(),
            info.portarray.len(),
            info.intarray.len(),
        ),
        Some(Err(error)) => format!("started again: {}", Answer(*error)),
        None => String::from("not asked"),
    }
}

/// Messages that are not what the .defs say.
fn messages(root: PortName, proc: PortName, auth: PortName) -> Result<(), Mismatch> {
    let to = |id, port| Message::new(id, port, Disposition::CopySend);
    for (what, message) in [
        ("an id that no routine has", to(NO_ROUTINE, root)),
        ("dir_lookup without arguments", to(DIR_LOOKUP, root)),
        (
            "io_write of short descriptors",
            to(IO_WRITE, root).bytes(b"too few.").bytes(b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
        ("proc_getpids with a port", to(PROC_GETPIDS, proc).port(task_self(), Disposition::CopySend)),
        ("auth_getids with an integer", to(AUTH_GETIDS, auth).integer(1)),
    ] {
        let port = ReceiveRight::allocate().doing("a port for the answer")?;
        let reply = message.reply_to(port.name(), Disposition::MakeSendOnce).exchange(&port, ROOM).doing(what)?;
        let code = reply.body().get(1).map_or(KernReturn::MIG_REPLY_MISMATCH, |word| KernReturn(*word as i32));
        say(what, code.into_result());
    }
    Ok(())
}

/// Routines of other servers.
fn others(startup: &'static Startup) -> Result<(), Mismatch> {
    let server = |place| startup.port(place).doing("a port of ours");
    let (root, proc, auth, id) =
        (server(port::CRDIR)?, server(port::PROC)?, server(port::AUTH)?, server(port::CTTYID)?);
    say("io_write to proc", io::io_write(proc, b"x", -1));
    say("proc_getpids to the root directory", process::proc_getpids(root));
    say("auth_getids to proc", auth::auth_getids(proc));
    say("term_getctty to the root directory", term::term_getctty(root));
    say("io_write to a terminal's id", io::io_write(id, b"x", -1));
    say("termctty_open_terminal to the terminal", term::termctty_open_terminal(output(startup)?, 0));
    let no_rendezvous = auth::auth_user_authenticate(auth, PortName::NULL, Disposition::CopySend);
    say("auth_user_authenticate with nobody", no_rendezvous);
    Ok(())
}

fn output(startup: &Startup) -> Result<PortName, Mismatch> {
    startup.descriptor(1).doing("a standard output")
}

/// Files opened for something else.
fn files(startup: &'static Startup) -> Result<(), Mismatch> {
    let open = |name, flags| Here(startup).open(name, flags, 0o644).doing(name);
    let motd = open("/etc/motd", open::READ)?;
    let made = open("/tmp/strict", open::WRITE | open::CREAT)?;
    let appended = open("/tmp/strict", open::WRITE | open::APPEND)?;
    let directory = open("/etc", 0)?;
    say("io_write to what is open for reading", io::io_write(motd.name(), b"x", -1));
    say("io_read of what is open for writing", io::io_read(made.name(), -1, 8));
    say("io_write at a negative place", io::io_write(made.name(), b"x", NEGATIVE));
    say("io_read at a negative place", io::io_read(motd.name(), NEGATIVE, 8));
    say("io_seek to a negative place", io::io_seek(motd.name(), NEGATIVE, 0));
    say("io_seek from nowhere", io::io_seek(motd.name(), 0, 7));
    say("io_seek on a terminal", io::io_seek(output(startup)?, 0, 0));
    say("io_map", io::io_map(motd.name()));
    say("dir_readdir of a directory that is not open for reading", fs::dir_readdir(directory.name(), 0, -1, 0));
    say("dir_readdir of a file", fs::dir_readdir(motd.name(), 0, -1, 0));
    say("dir_lookup in a file", fs::dir_lookup(motd.name(), "x", 0, 0));
    say("file_set_size of what is open for reading", fs::file_set_size(motd.name(), 0));
    say("a program from what is not open for executing", exec_of(&motd));
    say("file_get_translator_cntl of a file", fs::file_get_translator_cntl(motd.name()));
    say("dir_unlink of a directory", fs::dir_unlink(open("/", 0)?.name(), "tmp"));
    let written = made.write_all(b"one ").and_then(|()| appended.write_all(b"two")).and_then(|()| made.write_all(b"!"));
    say("writing at two file pointers", written);
    let text = open("/tmp/strict", open::READ)?.read_to_end().doing("reading it")?;
    println!("  {}", text.escape_ascii());
    say("file_set_size", fs::file_set_size(made.name(), 2));
    println!("  {} bytes", io::io_stat(made.name()).doing("io_stat")?.st_size);
    let size = Here(startup).create("/tmp/strict").and_then(|file| io::io_stat(file.name()));
    println!("made empty: {} bytes", size.doing("making it empty")?.st_size);
    say("dir_unlink", fs::dir_unlink(open("/tmp", 0)?.name(), "strict"));
    Ok(())
}

/// Starts a file as a program in no task.
fn exec_of(file: &File) -> KernResult<()> {
    let (none, how) = (&[][..], Disposition::CopySend);
    fs::file_exec_paths(file.name(), PortName::NULL, 0, "", "", b"", b"", none, how, none, how, &[], none, none)
}

/// Ids and privileges.
fn rights(startup: &'static Startup) -> Result<(), Mismatch> {
    let proc = startup.proc().doing("our process")?;
    let auth = startup.port(port::AUTH).doing("our ids")?;
    let how = Disposition::CopySend;
    let ids = auth::auth_getids(auth).doing("auth_getids")?;
    println!("we are {:?}", ids.euids.iter().collect::<alloc::vec::Vec<_>>());
    say("a handle with ids of nobody", auth::auth_makeauth(auth, &[], how, &[], &[], &[], &[]));
    say("a handle with user 7", auth::auth_makeauth(auth, &[], how, &[7], &[], &[], &[]));
    say("proc_getprivports", process::proc_getprivports(proc));
    say("proc_pid2task of the first process", process::proc_pid2task(proc, 1));
    say("proc_mark_important", process::proc_mark_important(proc));
    say("proc_mark_exit of one that has stopped", process::proc_mark_exit(proc, STOPPED, 0));
    say("/etc/secret", Here(startup).open("/etc/secret", open::READ, 0));
    say("/etc/note", Here(startup).open("/etc/note", open::READ | open::WRITE, 0));
    say("/etc/closed/x", Here(startup).open("/etc/closed/x", open::READ, 0));
    say("/bin/hello for writing", Here(startup).open("/bin/hello", open::WRITE, 0));
    say("/etc/new", Here(startup).open("/etc/new", open::WRITE | open::CREAT, 0o600));
    let node = Here(startup).open("/home", open::NOTRANS, 0).doing("the node below /home")?;
    say("the translator of /home", fs::file_get_translator_cntl(node.name()));
    Ok(())
}
