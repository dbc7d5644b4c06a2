// SPDX-License-Identifier: GPL-2.0-or-later
//! shell: an interactive prompt on the console: `help`, `ps`, the names of programs, `exit`.
//!
//! Its trace must show `device_read_inband` waiting for keys, `boot_spawn` for each program and the `boot_exited` that
//! tells its end.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::boot;
use mach::console;
use mach::error::Result;
use mach::port::ReceiveRight;
use mach::rt::arguments::Arguments;
use mach::{print, println};
use protocol::archive::{PROGRAMS, join_arguments};

mach::entry!(main);

/// What the prompt looks like.
const PROMPT: &str = "mach> ";
/// Longest line that is kept; further characters are dropped, and not echoed either.
const LINE_MAX: usize = 1024;

/// Control-C: gives up the line, or the shell if there is none.
const INTERRUPT: u8 = 0x03;
/// Control-D: the end of input.
const END: u8 = 0x04;

fn main(_arguments: Arguments) -> Result<i32> {
    println!("Type \"help\" for what can be run, \"exit\" to leave.");
    let mut status = 0;
    let mut keys = Keys::default();
    while let Some(line) = keys.line()? {
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [] => {}
            [b"exit"] => return Ok(status),
            [b"exit", number] => match str::from_utf8(number).ok().and_then(|number| number.parse().ok()) {
                Some(status) => return Ok(status),
                None => println!("exit: expected a number, found {}", number.escape_ascii()),
            },
            [b"help"] => help()?,
            [b"ps"] => list()?,
            _ => status = run(&words)?,
        }
    }
    Ok(status)
}

/// What can be typed here.
fn help() -> Result<()> {
    println!("help         this text");
    println!("ps           the tasks the boot server started, and the engines that trace each");
    println!("exit [N]     leaves, with status N or that of the last program");
    println!("NAME ARG...  runs a program:");
    for name in boot::directory()? {
        if let Some(program) = name.strip_prefix(PROGRAMS) {
            println!("             {program}");
        }
    }
    Ok(())
}

/// The tasks, as a table.
fn list() -> Result<()> {
    println!("ID  STATE      NAME");
    for task in boot::tasks()? {
        let engines = task.engines.join(", ");
        let traced = if task.engines.is_empty() { "" } else { "  traced by " };
        println!("{:<3} {:<10} {}{traced}{engines}", task.id, task.state.word(), task.name);
    }
    Ok(())
}

/// Runs a program to its end; says its status unless that is 0.
fn run(words: &[&[u8]]) -> Result<i32> {
    let Ok(arguments) = join_arguments(words) else {
        println!("shell: an argument with a NUL in it");
        return Ok(1);
    };
    let exit_port = ReceiveRight::allocate()?;
    // The boot server has said why it cannot be started.
    let Ok(_task) = boot::spawn(&arguments, false, &exit_port) else { return Ok(127) };
    let status = boot::wait_exit(&exit_port)?;
    if status != 0 {
        println!("{}: status {status}", words[0].escape_ascii());
    }
    Ok(status)
}

/// The keyboard: bytes that came and are not used up yet.
#[derive(Default)]
struct Keys {
    waiting: Vec<u8>,
}

impl Keys {
    /// The next line, echoed as it is typed; `None` at the end of input.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        print!("{PROMPT}");
        let mut line = Vec::new();
        loop {
            match self.key()? {
                b'\r' | b'\n' => {
                    println!();
                    return Ok(Some(line));
                }
                INTERRUPT | END if line.is_empty() => {
                    println!();
                    return Ok(None);
                }
                INTERRUPT => {
                    line.clear();
                    print!("^C\n{PROMPT}");
                }
                0x08 | 0x7f => print!("{}", line.pop().map_or("", |_| "\x08 \x08")),
                key @ (b' '..=b'~' | 0x80..) if line.len() < LINE_MAX => {
                    line.push(key);
                    console::write(&[key])?;
                }
                _ => {}
            }
        }
    }

    /// The next key.
    fn key(&mut self) -> Result<u8> {
        while self.waiting.is_empty() {
            let mut buffer = [0; console::INBAND_MAX];
            let count = console::read(&mut buffer)?;
            self.waiting.extend(buffer[..count].iter().rev());
        }
        Ok(self.waiting.pop().unwrap_or(END))
    }
}
