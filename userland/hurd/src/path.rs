// SPDX-License-Identifier: GPL-2.0-or-later
//! The file of a command: as it is named, or in one of the directories of `PATH`.

use alloc::format;
use alloc::string::String;

use mach_abi::KernReturn;

use crate::abi::open;
use crate::errno::{EACCES, EISDIR, ENOENT, ENOTDIR};
use crate::lookup::{World, lookup};

/// Where commands are if `PATH` does not say (`_CS_PATH` of glibc).
pub const DEFAULT: &str = "/bin:/usr/bin";

/// A command's file, opened to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<F> {
    /// The file.
    pub file: F,
    /// The name that led to it.
    pub name: String,
}

/// Finds the file of a command as `execvp` does: a name with a slash is the file's, any other is looked for in each directory of `path`; an
/// empty directory is the working one.
///
/// # Errors
/// `EACCES` if a file of that name may not be executed and no other was found, `ENOENT` if there is none, or what a server answers.
pub fn find<W: World>(world: &mut W, command: &str, path: &str) -> Result<Command<W::File>, KernReturn> {
    if command.contains('/') {
        let file = lookup(world, command, open::EXEC, 0)?;
        return Ok(Command { file, name: command.into() });
    }
    if command.is_empty() {
        return Err(ENOENT);
    }
    let mut refused = ENOENT;
    for directory in path.split(':') {
        let name = match directory {
            "" => String::from(command),
            directory => format!("{}/{command}", directory.trim_end_matches('/')),
        };
        match lookup(world, &name, open::EXEC, 0) {
            Ok(file) => return Ok(Command { file, name }),
            Err(EACCES) => refused = EACCES,
            Err(ENOENT | ENOTDIR | EISDIR) => {}
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// The absolute name of a file, if it can be told from the working directory's (`PWD`).
pub fn absolute(name: &str, working_directory: Option<&str>) -> Option<String> {
    if name.starts_with('/') {
        return Some(name.into());
    }
    let directory = working_directory.filter(|directory| directory.starts_with('/'))?;
    Some(format!("{}/{name}", directory.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::abi::retry;
    use crate::lookup::Answer;

    /// Some names have files.
    #[derive(Default)]
    struct Some_ {
        asked: Vec<String>,
    }

    impl World for Some_ {
        type File = String;

        fn ask(&mut self, from: &String, name: &str, flags: i32, _: u32) -> Result<Answer<String>, KernReturn> {
            assert_eq!(flags, open::EXEC);
            let name = format!("{from}{name}");
            self.asked.push(name.clone());
            match name.as_str() {
                "/bin/ls" | "./run" | "run" | "/opt/ls" | "/usr/bin/there" => {
                    Ok(Answer { retry: retry::NORMAL, name: String::new(), file: Some(name) })
                }
                "/bin/there" => Err(EACCES),
                "/bin/only" => Err(EACCES),
                "/bin/broken" => Err(KernReturn::MIG_SERVER_DIED),
                name if name.starts_with("/file/") => Err(ENOTDIR),
                _ => Err(ENOENT),
            }
        }

        fn authenticate(&mut self, file: String) -> Result<String, KernReturn> {
            Ok(file)
        }

        fn root(&mut self) -> Result<String, KernReturn> {
            Ok("/".into())
        }

        fn working_directory(&mut self) -> Result<String, KernReturn> {
            Ok(String::new())
        }

        fn descriptor(&mut self, _: usize) -> Result<String, KernReturn> {
            Err(ENOENT)
        }

        fn terminal(&mut self, _: i32) -> Result<String, KernReturn> {
            Err(ENOENT)
        }

        fn machine(&mut self) -> String {
            String::new()
        }

        fn process_id(&mut self) -> Result<i32, KernReturn> {
            Err(ENOENT)
        }
    }

    #[test]
    fn the_first_directory_with_the_command_counts() {
        for (command, path, name) in [
            ("ls", "/sbin:/bin:/opt", Ok("/bin/ls")),
            ("ls", "/file:/opt/:/bin", Ok("/opt/ls")),
            ("run", "/bin::/opt", Ok("run")),
            ("./run", "", Ok("./run")),
            ("/bin/ls", "/opt", Ok("/bin/ls")),
            ("there", DEFAULT, Ok("/usr/bin/there")),
            ("only", DEFAULT, Err(EACCES)),
            ("none", DEFAULT, Err(ENOENT)),
            ("broken", DEFAULT, Err(KernReturn::MIG_SERVER_DIED)),
            ("", DEFAULT, Err(ENOENT)),
        ] {
            let found = find(&mut Some_::default(), command, path).map(|command| command.name);
            assert_eq!(found.as_deref(), name.as_ref().copied(), "{command} in {path}");
        }
    }

    #[test]
    fn nothing_is_asked_after_the_first() {
        let mut world = Some_::default();
        find(&mut world, "ls", "/a:/bin:/opt").unwrap();
        assert_eq!(world.asked, ["/a/ls", "/bin/ls"]);
    }

    #[test]
    fn absolute_names() {
        assert_eq!(absolute("/bin/ls", None).as_deref(), Some("/bin/ls"));
        assert_eq!(absolute("a", Some("/home/")).as_deref(), Some("/home/a"));
        assert_eq!(absolute("a", Some("home")), None);
        assert_eq!(absolute("a", None), None);
    }
}
