// SPDX-License-Identifier: GPL-2.0-or-later
//! The words of `small-hurd`'s command: which server this task is, who runs the program, and the faults that a test wants.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::errno::{self, Errno};

/// Which server a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Starts the others, then the program, and ends with its status.
    Startup,
    /// Authentication.
    Auth,
    /// Processes.
    Proc,
    /// The root filesystem.
    Root,
    /// A filesystem that hangs in the root filesystem.
    Home,
    /// Loads programs.
    Exec,
    /// The terminal.
    Term,
}

impl Role {
    /// The servers, in the order in which they are started.
    pub const SERVERS: [Role; 6] = [Role::Auth, Role::Proc, Role::Term, Role::Exec, Role::Home, Role::Root];

    /// The word for it, which is also its task's name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Auth => "auth",
            Self::Proc => "proc",
            Self::Root => "root",
            Self::Home => "home",
            Self::Exec => "exec",
            Self::Term => "term",
        }
    }
}

/// What is done to the requests of one routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer takes so many milliseconds longer.
    Slow(u32),
    /// The server ends.
    Dies,
    /// The answer is this error.
    Refuse(Errno),
}

/// What the command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which server this is.
    pub role: Role,
    /// The names of the host's and the device master's ports, for the server that hands them out.
    pub privileges: (u32, u32),
    /// Whose program it is.
    pub user: u32,
    /// How many threads of each filesystem wait for requests.
    pub threads: usize,
    /// Arrays are made so large that they travel out of line.
    pub out_of_line: bool,
    /// The terminal gets an interrupt character as soon as this has been written to it.
    pub interrupt: Option<String>,
    /// Faults, and the routines that they are of.
    pub faults: Vec<(String, Fault)>,
    /// The program and its arguments.
    pub command: Vec<Vec<u8>>,
}

impl Options {
    /// Reads the words behind the program's own name.
    ///
    /// # Errors
    /// A sentence about the first word that means nothing.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, String> {
        let mut options = Self {
            role: Role::Startup,
            privileges: (0, 0),
            user: 0,
            threads: 1,
            out_of_line: false,
            interrupt: None,
            faults: Vec::new(),
            command: Vec::new(),
        };
        let mut words = words.into_iter();
        for word in words.by_ref() {
            match word.strip_prefix(b"--") {
                Some(option) => options.take(&String::from_utf8_lossy(option))?,
                None => {
                    options.command.push(word.to_vec());
                    break;
                }
            }
        }
        options.command.extend(words.map(<[u8]>::to_vec));
        Ok(options)
    }

    fn take(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let wrong = |expected: &str| format!("--{option}: expected {expected}");
        match name {
            "role" => {
                let role = Role::SERVERS.into_iter().find(|role| role.word() == value);
                self.role = role.ok_or_else(|| wrong("--role=SERVER"))?;
            }
            "host" => self.privileges.0 = value.parse().map_err(|_| wrong("--host=NAME"))?,
            "device" => self.privileges.1 = value.parse().map_err(|_| wrong("--device=NAME"))?,
            "user" => self.user = value.parse().map_err(|_| wrong("--user=NUMBER"))?,
            "threads" => self.threads = value.parse().map_err(|_| wrong("--threads=NUMBER"))?,
            "out-of-line" if value.is_empty() => self.out_of_line = true,
            "interrupt" if !value.is_empty() => self.interrupt = Some(value.to_string()),
            "dies" if !value.is_empty() => self.faults.push((value.to_string(), Fault::Dies)),
            "slow" | "refuse" => {
                let fault = value.split_once(':').and_then(|(routine, what)| {
                    let fault = match name {
                        "slow" => Fault::Slow(what.parse().ok()?),
                        _ => Fault::Refuse(errno::by_name(what)?),
                    };
                    Some((routine.to_string(), fault))
                });
                self.faults.push(fault.ok_or_else(|| wrong("--slow=ROUTINE:MILLISECONDS or --refuse=ROUTINE:ERRNO"))?);
            }
            _ => return Err(wrong("an option that small-hurd has")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(|word| word.as_bytes()))
    }

    #[test]
    fn options_end_where_the_program_begins() {
        let options =
            parse(&["--role=term", "--user=7", "--threads=30", "--out-of-line", "hello", "--user=8"]).unwrap();
        assert_eq!((options.role, options.user, options.threads, options.out_of_line), (Role::Term, 7, 30, true));
        assert_eq!(options.command, [b"hello".to_vec(), b"--user=8".to_vec()]);
    }

    #[test]
    fn faults_are_of_routines() {
        let options =
            parse(&["--slow=io_write:20", "--dies=dir_lookup", "--refuse=io_read:EIO", "--interrupt=ready"]).unwrap();
        let fault = |name: &str, fault| (name.to_string(), fault);
        let expected = vec![
            fault("io_write", Fault::Slow(20)),
            fault("dir_lookup", Fault::Dies),
            fault("io_read", Fault::Refuse(errno::EIO)),
        ];
        assert_eq!((options.faults, options.interrupt.as_deref()), (expected, Some("ready")));
    }

    #[test]
    fn other_words_are_refused() {
        for word in ["--role=cook", "--user=x", "--out-of-line=1", "--slow=x", "--refuse=io_read:E", "--dies=", "--x"] {
            assert!(parse(&[word]).unwrap_err().starts_with(&format!("{word}: expected ")), "{word}");
        }
    }
}
