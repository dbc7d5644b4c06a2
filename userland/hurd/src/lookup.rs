// SPDX-License-Identifier: GPL-2.0-or-later
//! A file by its name: what a client does with the answers of `dir_lookup` until it has the file.
//!
//! A server resolves as much of a name as is its own. What is left comes back with the port from which to go on: as it is, to be
//! authenticated first, or with a word that only the client can make sense of. glibc's hurd/lookup-retry.c does the same.

use alloc::format;
use alloc::string::String;

use mach_abi::KernReturn;

use crate::abi::{NAME_MAX, retry};
use crate::errno::{EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EOPNOTSUPP};

/// Answers of servers for one name; more are a loop.
const ANSWERS_MAX: usize = 32;

/// What a server answered to `dir_lookup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<F> {
    /// How it goes on: one of [`retry`].
    pub retry: u32,
    /// The name that is left.
    pub name: String,
    /// From where, if there is a port.
    pub file: Option<F>,
}

/// Where names are looked up from, and who is asked.
pub trait World {
    /// An open file or directory.
    type File;

    /// `dir_lookup` of `name` from a directory.
    ///
    /// # Errors
    /// What the server answers.
    fn ask(&mut self, from: &Self::File, name: &str, flags: i32, mode: u32) -> Result<Answer<Self::File>, KernReturn>;

    /// The file as one may have it by one's own rights.
    ///
    /// # Errors
    /// What the file's server or auth answers.
    fn authenticate(&mut self, file: Self::File) -> Result<Self::File, KernReturn>;

    /// The root directory.
    ///
    /// # Errors
    /// If there is none.
    fn root(&mut self) -> Result<Self::File, KernReturn>;

    /// The working directory.
    ///
    /// # Errors
    /// If there is none.
    fn working_directory(&mut self) -> Result<Self::File, KernReturn>;

    /// The file behind a descriptor.
    ///
    /// # Errors
    /// `EBADF` if there is none.
    fn descriptor(&mut self, number: usize) -> Result<Self::File, KernReturn>;

    /// The controlling terminal, opened with these flags.
    ///
    /// # Errors
    /// `ENXIO` if there is none.
    fn terminal(&mut self, flags: i32) -> Result<Self::File, KernReturn>;

    /// What stands for this machine in names: the type and subtype of its processor, `N/M`.
    fn machine(&mut self) -> String;

    /// The caller's process id.
    ///
    /// # Errors
    /// What proc answers.
    fn process_id(&mut self) -> Result<i32, KernReturn>;
}

/// The file of this name: from the root if it begins with a slash, else from the working directory. `mode` is that of a file that is made.
///
/// # Errors
/// An errno value, or whatever a server answers.
pub fn lookup<W: World>(world: &mut W, name: &str, flags: i32, mode: u32) -> Result<W::File, KernReturn> {
    if name.is_empty() {
        return Err(ENOENT);
    }
    let from = if name.starts_with('/') { world.root()? } else { world.working_directory()? };
    let rest = String::from(name.trim_start_matches('/'));
    follow(world, from, rest, flags, mode)
}

fn follow<W: World>(
    world: &mut W,
    mut from: W::File,
    mut name: String,
    flags: i32,
    mode: u32,
) -> Result<W::File, KernReturn> {
    for _ in 0..ANSWERS_MAX {
        if name.len() >= NAME_MAX {
            return Err(ENAMETOOLONG);
        }
        let answer = world.ask(&from, &name, flags, mode).map_err(|error| match error {
            // It is a file of a server that has no directories.
            EOPNOTSUPP | KernReturn::MIG_BAD_ID => ENOTDIR,
            error => error,
        })?;
        match answer.retry {
            retry::NORMAL if answer.name.is_empty() => return answer.file.ok_or(ENOENT),
            retry::NORMAL => from = answer.file.ok_or(ENOENT)?,
            retry::REAUTH => from = world.authenticate(answer.file.ok_or(ENOENT)?)?,
            retry::MAGICAL => match magical(world, &answer.name, flags)? {
                Step::Found(file) => return Ok(file),
                Step::From(file, rest) => {
                    (from, name) = (file, rest);
                    continue;
                }
                Step::Same(rest) => {
                    name = rest;
                    // The word stands for a name in the same directory, if the server gave one.
                    if let Some(file) = answer.file {
                        from = file;
                    }
                    continue;
                }
            },
            _ => return Err(EINVAL),
        }
        name = answer.name;
    }
    Err(ELOOP)
}

/// What a magical word leads to.
enum Step<F> {
    Found(F),
    From(F, String),
    Same(String),
}

fn magical<W: World>(world: &mut W, word: &str, flags: i32) -> Result<Step<W::File>, KernReturn> {
    if word.starts_with('/') {
        return Ok(Step::From(world.root()?, word.trim_start_matches('/').into()));
    }
    let (first, rest) = word.split_once('/').unwrap_or((word, ""));
    let more = word.contains('/') && !rest.trim_start_matches('/').is_empty();
    match first {
        "fd" if !rest.is_empty() => {
            let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let number = number.parse().map_err(|_| ENOENT)?;
            let file = world.descriptor(number)?;
            Ok(if rest.is_empty() { Step::Found(file) } else { Step::From(file, rest.into()) })
        }
        "tty" if more => Err(ENOTDIR),
        "tty" => world.terminal(flags).map(Step::Found),
        "machtype" => Ok(Step::Same(joined(&world.machine(), rest))),
        "pid" => Ok(Step::Same(joined(&format!("{}", world.process_id()?), rest))),
        _ => Err(ENOENT),
    }
}

fn joined(first: &str, rest: &str) -> String {
    if rest.is_empty() { first.into() } else { format!("{first}/{rest}") }
}

#[cfg(test)]
mod tests;
