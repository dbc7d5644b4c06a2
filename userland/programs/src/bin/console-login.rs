// SPDX-License-Identifier: GPL-2.0-or-later
//! console-login SCENE: a system's console as getty, login and a shell make it, for whoever types on it. It knows what
//! `cargo qemu hurd DISK.img -- CMD` types, and no more; what it does not know it refuses, as a shell does.
//!
//! Scenes: `plain` (root has no password), `password` (it is `secret`), `shell` (nobody logs in), `chatter` (lines like prompts, which are none,
//! come before), `silent` (no prompt comes), `refused` (nobody is let in), `mountless` (the disk cannot be mounted), `ends` (the
//! system ends instead of the command).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach::boot;
use mach::console;
use mach::port::ReceiveRight;
use mach::rt::arguments::Arguments;
use mach::{print, println};
use programs::patience::pause;
use programs::{Doing, Mismatch};
use protocol::archive::join_arguments;

mach::entry!(main);

/// The one password.
const SECRET: &str = "secret";
/// What the shell's prompt is like.
const PROMPT: &str = "root@small:~# ";
/// Milliseconds of a wait that is begun again and again.
const LONG: u32 = 10_000;
/// Statuses of a shell: not found, and a syntax that it does not know.
const NOT_FOUND: i32 = 127;
const SYNTAX: i32 = 2;

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    let scene = arguments.get_str(1).doing("a scene")?;
    let mut keys = Keys::default();
    println!("Starting what a system has: # $");
    match scene {
        "silent" => loop {
            pause(LONG);
        },
        "shell" => return shell(&mut keys, scene),
        "chatter" => {
            for text in ["small login: ", "# ", "root@small:~# "] {
                println!("{text}not yet");
            }
        }
        _ => {}
    }
    loop {
        print!("\nSmall system\n\nsmall login: ");
        let name = keys.line(true)?;
        let is_let_in = match scene {
            "password" => {
                print!("Password: ");
                let password = keys.line(false)?;
                println!();
                name == "root" && password == SECRET
            }
            _ => name == "root" && scene != "refused",
        };
        if is_let_in {
            println!("Welcome.\n$ is money here");
            return shell(&mut keys, scene);
        }
        println!("Login incorrect");
    }
}

/// A shell, until it is told to end.
fn shell(keys: &mut Keys, scene: &str) -> Result<i32, Mismatch> {
    let mut status = 0;
    loop {
        // As readline does it.
        print!("\x1b[?2004h{PROMPT}");
        let line = keys.line(true)?;
        print!("\x1b[?2004l\r");
        for command in split(&line, ';') {
            let words: Vec<String> = split(&command, ' ').iter().map(|word| expanded(word, status)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
            status = match words[..] {
                [] => status,
                ["exit"] => return Ok(status),
                ["echo", ref words @ ..] => {
                    println!("{}", words.join(" "));
                    0
                }
                [path] if path.starts_with("PATH=/tmp/rpctrace2:") => 0,
                ["settrans", "-ac", "/tmp/rpctrace2", "/hurd/ext2fs", "--readonly", "/dev/wd1"] => match scene {
                    "mountless" => {
                        println!("settrans: /dev/wd1: No such device or address");
                        6
                    }
                    _ => 0,
                },
                ["sync"] => 0,
                _ if scene == "ends" => return Ok(0),
                _ => run(&words)?,
            };
        }
    }
}

/// The parts of a line between these characters, where no quotation marks are around them.
fn split(line: &str, at: char) -> Vec<String> {
    let mut parts = Vec::from([String::new()]);
    let mut quote = None;
    for key in line.chars() {
        match quote {
            None if key == at => {
                parts.push(String::new());
                continue;
            }
            None if matches!(key, '"' | '\'') => quote = Some(key),
            Some(open) if open == key => quote = None,
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(key);
        }
    }
    parts
}

/// A word without its quotation marks, and with the status where it is asked for.
fn expanded(word: &str, status: i32) -> String {
    let word = if word.contains('\'') { word.to_string() } else { word.replace("$?", &status.to_string()) };
    word.replace(['"', '\''], "")
}

/// Runs a program of the archive's; its status.
fn run(words: &[&str]) -> Result<i32, Mismatch> {
    let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let Ok(arguments) = join_arguments(&bytes) else { return Ok(SYNTAX) };
    let exit = ReceiveRight::allocate().doing("mach_port_allocate")?;
    match boot::spawn(&arguments, false, &exit) {
        Ok(_task) => boot::wait_exit(&exit).doing("the end of a program"),
        Err(_) => {
            println!("sh: {}: not found", words.first().unwrap_or(&""));
            Ok(NOT_FOUND)
        }
    }
}

/// The keyboard: keys that came and are not used up yet.
#[derive(Default)]
struct Keys {
    waiting: Vec<u8>,
}

impl Keys {
    /// The next line, which is shown as it is typed if `echo` says so.
    fn line(&mut self, echo: bool) -> Result<String, Mismatch> {
        let mut line = Vec::new();
        loop {
            while self.waiting.is_empty() {
                let mut buffer = [0; console::INBAND_MAX];
                let count = console::read(&mut buffer).doing("reading the console")?;
                self.waiting.extend(buffer[..count].iter().rev());
            }
            match self.waiting.pop() {
                Some(b'\r' | b'\n') => {
                    if echo {
                        println!();
                    }
                    return String::from_utf8(line).map_err(|_| Mismatch::new("keys that are not UTF-8"));
                }
                Some(key) => {
                    line.push(key);
                    if echo {
                        console::write(&[key]).doing("writing to the console")?;
                    }
                }
                None => {}
            }
        }
    }
}
