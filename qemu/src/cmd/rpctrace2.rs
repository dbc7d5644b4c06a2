//! `cargo qemu rpctrace2 [OPTIONS] PROGRAM [ARGUMENTS]`: a program, traced.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use qemu::guest::RPCTRACE2;
use qemu::vm::Input;

use crate::cli::Options;
use crate::cmd::{boot, take_host_program};

/// Options of rpctrace2 that take the next word as their value.
const WITH_VALUE: [&str; 6] = ["-E", "-e", "-o", "-p", "-s", "-S"];

/// The words of the command line, told apart.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    /// rpctrace2's arguments in the guest.
    guest: Vec<String>,
    /// Which of them is the program.
    program: Option<usize>,
    /// The host file for the trace.
    output: Option<PathBuf>,
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
    let trace = file.as_mut().map(|file| file as &mut dyn Write);
    let arguments: Vec<String> = std::iter::once(RPCTRACE2.to_owned()).chain(words.guest).collect();
    let named = words.program.map(|program| program + 1);
    boot(options, &options.choices(), &arguments, named, program, Input::None, trace)
}

/// Finds the program, and takes out `-o FILE`: the guest has no files, so the trace goes into the host's.
fn split(command: &[String]) -> Words {
    let mut words = Words { guest: Vec::new(), program: None, output: None };
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
        if let Some(value) = word.strip_prefix("-o") {
            let value = if value.is_empty() { rest.next().cloned() } else { Some(value.to_owned()) };
            words.output = value.map(PathBuf::from);
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
    fn variables_are_left_for_the_programs_own_task() {
        assert_eq!(words(&["-f", "hello", "${host-port}"]).guest, ["-f", "hello", "$${host-port}"]);
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
