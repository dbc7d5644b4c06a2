//! `cargo qemu rpctrace2 [OPTIONS] PROGRAM [ARGUMENTS]`: a program, traced.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use qemu::guest::RPCTRACE2;
use qemu::setup::{Choices, Interfaces};
use qemu::vm::{Input, Interrupt};

use crate::cli::Options;
use crate::cmd::{boot, take_host_program};

/// Options of rpctrace2 that take the next word as their value.
const WITH_VALUE: [&str; 6] = ["-E", "-e", "-o", "-p", "-s", "-S"];

/// The words of the command line, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    /// rpctrace2's arguments in the guest.
    guest: Vec<String>,
    /// Which of them is the program.
    program: Option<usize>,
    /// The host file for the trace.
    output: Option<PathBuf>,
    /// Directories of the host with more interfaces.
    interfaces: Vec<PathBuf>,
    /// Do without the built-in interfaces.
    nostdinc: bool,
}

pub(crate) fn run(options: &Options, command: &[String]) -> Result<u8> {
    let mut words = split(command);
    let program = match words.program {
        Some(index) => take_host_program(&mut words.guest[index])?,
        None => None,
    };
    let mut file = match &words.output {
        Some(path) => Some(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => None,
    };
    let mut stderr = io::stderr();
    let trace = match &mut file {
        Some(file) => Some(file as &mut dyn Write),
        // Where both go to the same place, the trace is put between whole lines of the program's output.
        None => (!is_same_place(io::stdout().as_fd(), stderr.as_fd())).then_some(&mut stderr as &mut dyn Write),
    };
    let arguments: Vec<String> = std::iter::once(RPCTRACE2.to_owned()).chain(words.guest).collect();
    let named = words.program.map(|program| program + 1);
    let interfaces =
        Interfaces { directories: words.interfaces, nostdinc: words.nostdinc, host_program: program.is_some() };
    let choices = Choices { interfaces, ..options.choices() };
    boot(options, &choices, &arguments, named, program, (Input::Lines, Interrupt::EndsTrace), trace)
}

/// Whether two descriptors lead to the same file, terminal or pipe. Of what cannot be asked nothing is known.
fn is_same_place(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let place = |descriptor: BorrowedFd<'_>| {
        let metadata = File::from(descriptor.try_clone_to_owned().ok()?).metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}

/// Finds the program, and takes out what is about files, which the guest does not have: `-o FILE`, `-I DIR`,
/// `--nostdinc`.
fn split(command: &[String]) -> Words {
    let mut words = Words::default();
    let mut rest = command.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') || word == "--" {
            let after_mark = usize::from(word == "--");
            words.program = Some(words.guest.len() + after_mark);
            words.guest.push(word.clone());
            // Variables are for the program's task, not for rpctrace2's: the boot server takes the escape away.
            words.guest.extend(rest.map(|argument| argument.replace("${", "$${")));
            words.program = words.program.filter(|&program| program < words.guest.len());
            return words;
        }
        let mut value_of = |option: &str| {
            let value = word.strip_prefix(option)?;
            Some(if value.is_empty() { rest.next().map(PathBuf::from) } else { Some(PathBuf::from(value)) })
        };
        if let Some(value) = value_of("-o") {
            words.output = value;
            continue;
        }
        if let Some(value) = value_of("-I") {
            words.interfaces.extend(value);
            continue;
        }
        if word == "--nostdinc" {
            words.nostdinc = true;
            continue;
        }
        words.guest.push(word.clone());
        if WITH_VALUE.contains(&word.as_str()) {
            words.guest.extend(rest.next().cloned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &[&str]) -> Words {
        split(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_trace_file_stays_on_the_host() {
        for command in [&["-f", "-o", "/t/x", "hello", "-o", "y"][..], &["-f", "-o/t/x", "hello", "-o", "y"]] {
            let found = words(command);
            assert_eq!(found.output, Some(PathBuf::from("/t/x")));
            assert_eq!(found.guest, ["-f", "hello", "-o", "y"]);
            assert_eq!(found.program, Some(1));
        }
    }

    #[test]
    fn two_descriptors_of_one_file_are_one_place() {
        let [one, other] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let again = one.try_clone().unwrap();
        assert!(is_same_place(one.as_fd(), again.as_fd()));
        assert!(!is_same_place(one.as_fd(), other.as_fd()));
    }

    #[test]
    fn variables_are_left_for_the_programs_own_task() {
        assert_eq!(words(&["-f", "hello", "${host-port}"]).guest, ["-f", "hello", "$${host-port}"]);
    }

    #[test]
    fn directories_of_interfaces_stay_on_the_host() {
        let found = words(&["-I", "/a", "-f", "-I/b", "--nostdinc", "hello", "-I", "c"]);
        assert_eq!(found.interfaces, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert!(found.nostdinc);
        assert_eq!(found.guest, ["-f", "hello", "-I", "c"]);
    }

    #[test]
    fn an_options_value_is_not_the_program() {
        assert_eq!(words(&["-s", "32", "/bin/x"]).program, Some(2));
        assert_eq!(words(&["-e", "vm_map", "-f", "ping"]).program, Some(3));
        assert_eq!(words(&["--", "-odd"]).program, Some(1));
        assert_eq!(words(&["--help"]).program, None);
        assert_eq!(words(&[]).program, None);
    }
}
