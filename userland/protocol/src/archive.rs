// SPDX-License-Identifier: GPL-2.0-or-later
//! The boot archive: which members it has, and the argument vector in `etc/command`.
//!
//! The archive is a ustar file that the kernel makes into a ram disk; the boot server reads it as the device
//! [`DEVICE_NAME`].

use alloc::vec::Vec;

/// The device that holds the archive.
pub const DEVICE_NAME: &str = "rd0";

/// What stands before a program's name in the name of its member.
pub const PROGRAMS: &str = "programs/";

/// The member that says what to run: an argument vector as [`join_arguments`] writes it.
pub const COMMAND: &str = "etc/command";

/// The member with the environment of programs, as [`join_arguments`] writes it; without one it is empty.
pub const ENVIRONMENT: &str = "etc/environment";

/// The member with the compiled decode tables.
pub const INTERFACES: &str = "etc/interfaces.mdt";

/// The member with a program of the user's, which can have any name: it is started as [`HOST_NAME`] and its name.
pub const HOST_PROGRAM: &str = "etc/program";

/// What stands before the name of the user's program in an argument vector that starts it.
pub const HOST_NAME: &str = "./";

/// The program that traces others.
pub const RPCTRACE2: &str = "rpctrace2";

/// The program that is an interactive prompt.
pub const SHELL: &str = "shell";

/// An argument vector as one sequence of bytes: each argument, then a NUL.
pub fn join_arguments<I>(arguments: I) -> Result<Vec<u8>, ArgumentsError>
where
    I: IntoIterator,
    I::Item: AsRef<[u8]>,
{
    let mut joined = Vec::new();
    for (index, argument) in arguments.into_iter().enumerate() {
        let argument = argument.as_ref();
        if let Some(offset) = argument.iter().position(|&byte| byte == 0) {
            return Err(ArgumentsError::EmbeddedNul { index, offset });
        }
        joined.extend_from_slice(argument);
        joined.push(0);
    }
    if joined.is_empty() { Err(ArgumentsError::Empty) } else { Ok(joined) }
}

/// The arguments in such a sequence.
pub fn split_arguments(joined: &[u8]) -> Result<Vec<&[u8]>, ArgumentsError> {
    let Some((&last, body)) = joined.split_last() else { return Err(ArgumentsError::Empty) };
    if last != 0 {
        return Err(ArgumentsError::Unterminated { last, length: joined.len() });
    }
    Ok(body.split(|&byte| byte == 0).collect())
}

/// Why bytes are not an argument vector, or arguments cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentsError {
    /// There is not even a program name.
    Empty,
    /// The last argument has no NUL.
    Unterminated {
        /// The last byte.
        last: u8,
        /// How many bytes there are.
        length: usize,
    },
    /// An argument has a NUL inside.
    EmbeddedNul {
        /// Which argument.
        index: usize,
        /// Where in it.
        offset: usize,
    },
}

impl core::fmt::Display for ArgumentsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => write!(f, "argument vector: expected a program name, found nothing"),
            Self::Unterminated { last, length } => {
                write!(f, "argument vector of {length} bytes: expected NUL as the last byte, found {last:#04x}")
            }
            Self::EmbeddedNul { index, offset } => {
                write!(f, "argument {index}: expected no NUL inside, found one at byte {offset}")
            }
        }
    }
}

impl core::error::Error for ArgumentsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_survive() {
        for arguments in [&["hello"][..], &["rpctrace2", "-f", "hello"], &["a", "", "c"], &[""]] {
            let joined = join_arguments(arguments).unwrap();
            let expected: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
            assert_eq!(split_arguments(&joined).unwrap(), expected);
        }
    }

    #[test]
    fn each_argument_ends_with_a_nul() {
        assert_eq!(join_arguments(["rpctrace2", "hello"]).unwrap(), b"rpctrace2\0hello\0");
    }

    #[test]
    fn damage_is_refused() {
        assert_eq!(split_arguments(b""), Err(ArgumentsError::Empty));
        assert_eq!(split_arguments(b"hello"), Err(ArgumentsError::Unterminated { last: b'o', length: 5 }));
        assert_eq!(join_arguments(["a", "b\0c"]), Err(ArgumentsError::EmbeddedNul { index: 1, offset: 1 }));
        assert_eq!(join_arguments::<[&str; 0]>([]), Err(ArgumentsError::Empty));
    }
}
